// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "input_queue.hpp"
#include "spikelock/golden/float_network.hpp"

namespace spikelock::golden {

std::uint32_t FloatNetwork::n_neurons() const noexcept {
    std::uint32_t n = 0;
    for (const FloatPopulation& p : populations) n += p.size;
    return n;
}

std::vector<trace::Population> FloatNetwork::ranges() const {
    std::vector<trace::Population> out;
    std::uint32_t begin = 0;
    for (const FloatPopulation& p : populations) {
        out.push_back({p.label, begin, begin + p.size});
        begin += p.size;
    }
    return out;
}

namespace {

/// Euler's rule with the constant factors multiplied out, as quantise() does.
struct FloatNeuron {
    double gain = 0.0;    ///< from the weighted sum of spikes to i_syn, units of v
    double bias = 0.0;    ///< constant part of i_syn's sum, units of v
    double rest = 0.0;    ///< dt / tau_mem * v_leak
    double keep_v = 1.0;  ///< 1 - dt / tau_mem
    double keep_u = 1.0;  ///< 1 - dt / tau_syn
    double threshold = 0.0;
    double v_reset = 0.0;
    std::uint32_t refractory = 0;  ///< timesteps
    bool cuba = false;
    bool spiking = true;
};

struct FloatTarget {
    std::uint32_t target;
    std::uint32_t delay;  ///< timesteps
    double weight;        ///< with the target's gain
};

bool has_filter(NeuronKind kind) {
    return kind == NeuronKind::CubaLif || kind == NeuronKind::CubaLi;
}

class FloatSource final : public trace::StepSource {
public:
    static Result<std::unique_ptr<trace::StepSource>> create(const FloatNetwork& net,
                                                             const FloatOptions& options) {
        std::unique_ptr<FloatSource> source(new FloatSource(net, options));
        if (Status s = source->load_neurons(net); !s) return s.error();
        if (Status s = source->load_synapses(net); !s) return s.error();
        source->make_shape(net);
        return std::unique_ptr<trace::StepSource>(std::move(source));
    }

    const trace::Shape& shape() const override { return shape_; }
    Status submit(const trace::StimulusBlock& block) override { return input_.submit(block); }
    std::uint64_t in_flight() const override { return input_.in_flight(); }

    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(
        std::uint32_t max_steps) override {
        const auto steps =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(max_steps, in_flight()));
        if (steps == 0)
            return std::variant<trace::BlockView, trace::SourceEnd>(trace::SourceEnd{
                trace::EndKind::Complete, input_.next(), 0, "everything submitted has been read"});
        const std::size_t words = shape_.spike_words();
        spikes_.assign(words * steps, 0);
        fields_.resize(shape_.fields.size());
        for (auto& field : fields_) field.resize(neurons_.size() * steps);
        for (std::uint32_t s = 0; s < steps; ++s) {
            step(input_.take(), spikes_.data() + words * s);
            std::size_t f = 0;
            for (const auto* values : {&i_syn_, &u_, &v_}) {
                if (values == &u_ && !any_cuba_) continue;
                std::ranges::copy(*values,
                                  fields_[f++].begin() + std::ptrdiff_t(values->size()) * s);
            }
        }
        trace::BlockView view;
        view.first = input_.next() - steps;
        view.n_steps = steps;
        view.spikes = spikes_;
        for (const auto& field : fields_) view.fields.push_back(std::as_bytes(std::span(field)));
        return std::variant<trace::BlockView, trace::SourceEnd>(std::move(view));
    }

private:
    FloatSource(const FloatNetwork& net, const FloatOptions& options)
        : name_(net.name), options_(options), input_(net.ports, net.n_neurons(), 0) {}

    Error bad(const std::string& label, std::string message) const {
        return {Errc::BadConfig, fmt::format("population '{}': {}", label, std::move(message)),
                name_};
    }
    Error bad(std::string message) const { return {Errc::BadConfig, std::move(message), name_}; }

    Status load_neurons(const FloatNetwork& net);
    Status load_synapses(const FloatNetwork& net);
    void make_shape(const FloatNetwork& net);
    void deliver(std::uint32_t source);
    void step(const detail::InputQueue::Step& input, std::uint64_t* spikes);
    std::size_t slot_after(std::size_t delay) const { return (slot_ + delay) % slots_; }

    std::string name_;
    FloatOptions options_;
    trace::Shape shape_;
    detail::InputQueue input_;
    std::uint32_t n_axons_ = 0;
    bool any_cuba_ = false;
    std::vector<FloatNeuron> neurons_;
    std::vector<std::uint32_t> row_begin_;
    std::vector<FloatTarget> targets_;
    std::size_t slots_ = 1;
    std::size_t slot_ = 0;
    std::vector<double> acc_;  ///< shape (slots, neurons)
    std::vector<double> i_syn_, u_, v_;
    std::vector<std::uint32_t> refr_;
    std::vector<std::uint64_t> spikes_;
    std::vector<std::vector<double>> fields_;
};

Status FloatSource::load_neurons(const FloatNetwork& net) {
    if (!(std::isfinite(options_.dt) && options_.dt > 0.0))
        return bad(fmt::format("dt is {} s, expected a finite number above 0", options_.dt));
    for (const FloatPopulation& p : net.populations) {
        for (const auto* values : {&p.tau_mem, &p.tau_syn, &p.w_in, &p.r, &p.v_leak, &p.v_threshold,
                                   &p.v_reset, &p.bias}) {
            if (values->size() != p.size)
                return bad(p.label, fmt::format("a parameter has {} values for {} neurons",
                                                values->size(), p.size));
            if (!std::ranges::all_of(*values, [](double x) { return std::isfinite(x); }))
                return bad(p.label, "a parameter is not finite");
        }
        const double refractory = std::nearbyint(p.refractory / options_.dt);
        if (!(refractory >= 0.0 && refractory < 0x1p31))
            return bad(p.label,
                       fmt::format("refractory period is {} s, expected 0 or more", p.refractory));
        for (std::uint32_t i = 0; i < p.size; ++i) {
            // A time constant of 0 has no memory: the state takes its input's value at once.
            const auto part = [&](double tau) { return tau == 0.0 ? 1.0 : options_.dt / tau; };
            FloatNeuron n;
            n.cuba = has_filter(p.kind);
            n.spiking = p.kind != NeuronKind::Li && p.kind != NeuronKind::CubaLi;
            n.threshold = p.v_threshold[i];
            n.v_reset = p.v_reset[i];
            n.refractory = static_cast<std::uint32_t>(refractory);
            n.gain = options_.dt * p.r[i];
            if (p.kind != NeuronKind::If) {
                if (p.tau_mem[i] < 0.0)
                    return bad(p.label, fmt::format("tau_mem of neuron {} is {} s, expected 0 or "
                                                    "more",
                                                    i, p.tau_mem[i]));
                n.gain = part(p.tau_mem[i]) * p.r[i];
                n.rest = part(p.tau_mem[i]) * p.v_leak[i];
                n.keep_v = 1.0 - part(p.tau_mem[i]);
            }
            if (n.cuba) {
                if (p.tau_syn[i] < 0.0)
                    return bad(p.label, fmt::format("tau_syn of neuron {} is {} s, expected 0 or "
                                                    "more",
                                                    i, p.tau_syn[i]));
                n.gain *= part(p.tau_syn[i]) * p.w_in[i];
                n.keep_u = 1.0 - part(p.tau_syn[i]);
            }
            n.bias = n.gain * p.bias[i];
            any_cuba_ |= n.cuba;
            neurons_.push_back(n);
        }
    }
    if (neurons_.empty()) return bad("the network has no neurons");
    i_syn_.assign(neurons_.size(), 0.0);
    u_ = v_ = i_syn_;
    refr_.assign(neurons_.size(), 0);
    return {};
}

Status FloatSource::load_synapses(const FloatNetwork& net) {
    constexpr double kLongest = 65535.0;
    n_axons_ = net.n_axons();
    const std::size_t sources = neurons_.size() + n_axons_;
    if (net.row_begin.size() != sources + 1 || net.row_begin.front() != 0 ||
        net.row_begin.back() != net.synapses.size() || !std::ranges::is_sorted(net.row_begin))
        return bad("row_begin does not describe the rows of all axons and neurons");
    row_begin_ = net.row_begin;
    std::uint32_t longest = 0;
    for (std::size_t source = 0; source < sources; ++source) {
        for (std::uint32_t i = row_begin_[source]; i < row_begin_[source + 1]; ++i) {
            const FloatSynapse& s = net.synapses[i];
            if (s.target >= neurons_.size())
                return bad(fmt::format("a synapse leads to neuron {}, but there are only {}",
                                       s.target, neurons_.size()));
            const double steps = std::nearbyint(s.delay / options_.dt) + (s.recurrent ? 1.0 : 0.0);
            if (!(s.delay >= 0.0 && steps <= kLongest && std::isfinite(s.weight)))
                return bad(
                    fmt::format("synapse {} has a weight of {} and a delay of {} s, expected "
                                "finite ones and at most {} timesteps",
                                i, s.weight, s.delay, kLongest));
            if (steps == 0.0 && source >= n_axons_ && s.target <= source - n_axons_)
                return bad(
                    fmt::format("synapse {} leads from neuron {} to {} without delay, "
                                "expected a later target",
                                i, source - n_axons_, s.target));
            const auto delay = static_cast<std::uint32_t>(steps);
            longest = std::max(longest, delay);
            targets_.push_back({s.target, delay, s.weight * neurons_[s.target].gain});
        }
    }
    slots_ = std::size_t{longest} + 1;
    acc_.assign(slots_ * neurons_.size(), 0.0);
    return {};
}

void FloatSource::make_shape(const FloatNetwork& net) {
    const auto field = [](const char* label, trace::FieldClass cls) {
        return trace::FieldSpec{.name = label,
                                .cls = cls,
                                .bits = 64,
                                .is_signed = true,
                                .is_float = true,
                                .frac_bits = 0,
                                .bytes = 8};
    };
    shape_.n_neurons = net.n_neurons();
    shape_.dt = options_.dt;
    shape_.populations = net.ranges();
    shape_.fields.push_back(field("i_syn", trace::FieldClass::Input));
    if (any_cuba_) shape_.fields.push_back(field("u", trace::FieldClass::State));
    shape_.fields.push_back(field("v", trace::FieldClass::State));
}

void FloatSource::deliver(std::uint32_t source) {
    for (std::uint32_t i = row_begin_[source]; i < row_begin_[source + 1]; ++i) {
        const FloatTarget& s = targets_[i];
        acc_[slot_after(s.delay) * neurons_.size() + s.target] += s.weight;
    }
}

/// The sweep of docs/model.md section 3 with the equations of section 5.
void FloatSource::step(const detail::InputQueue::Step& input, std::uint64_t* spikes) {
    if (input.clear) {
        for (auto* values : {&acc_, &u_, &v_}) std::ranges::fill(*values, 0.0);
        std::ranges::fill(refr_, 0U);
        slot_ = 0;
    }
    for (const std::uint32_t axon : input.axons) deliver(axon);
    for (std::uint32_t n = 0; n < neurons_.size(); ++n) {
        const FloatNeuron& p = neurons_[n];
        double& acc = acc_[slot_ * neurons_.size() + n];
        i_syn_[n] = acc;
        acc = 0.0;
        double drive = i_syn_[n] + p.bias;
        if (p.cuba) drive = u_[n] = p.keep_u * u_[n] + drive;
        const double v1 = p.keep_v * v_[n] + p.rest + drive;
        if (refr_[n] > 0) {
            --refr_[n];
            continue;
        }
        const bool reached =
            options_.compare == Compare::Greater ? v1 > p.threshold : v1 >= p.threshold;
        if (!p.spiking || !reached) {
            v_[n] = v1;
            continue;
        }
        refr_[n] = p.refractory;
        v_[n] = options_.reset_mode == ResetMode::Value ? p.v_reset : v1 - p.threshold;
        spikes[n / 64] |= std::uint64_t{1} << (n % 64);
        deliver(n_axons_ + n);
    }
    slot_ = slot_after(1);
}

}  // namespace

Result<std::unique_ptr<trace::StepSource>> make_float_source(FloatNetwork network,
                                                             FloatOptions options) {
    return FloatSource::create(network, options);
}

}  // namespace spikelock::golden

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/quantise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <tuple>

namespace spikelock::golden {
namespace {

/// A neuron with its constants folded; voltages and weights in units of v (docs/model.md, 5).
struct Folded {
    double a_mem = 0.0;  ///< part of v lost in a timestep, 0..1
    double a_syn = 0.0;  ///< the same of u
    double gain = 0.0;   ///< factor on weights and on the bias current
    double bias = 0.0;   ///< constant input, v_leak included
    bool cuba = false;
    bool spiking = true;
};

/// Powers of two between units and integers.
struct Scale {
    int v_frac = 0;
    int weight_shift = 0;
    int u_shift = 0;
    /// Fraction bits of what a neuron's input is added to: u or v.
    int input_frac(bool cuba) const noexcept { return cuba ? v_frac + u_shift : v_frac; }
    int weight_frac(bool cuba) const noexcept { return input_frac(cuba) - weight_shift; }
};

double largest(int bits) noexcept { return std::ldexp(1.0, bits - 1) - 1.0; }

/// Largest e with x * 2^e <= most; nothing where x is 0 and any e will do.
std::optional<int> exponent_that_fits(double x, double most) noexcept {
    if (x == 0.0) return std::nullopt;
    // The quotient of the two could overflow, whose exponent is some 2^31 steps away.
    int e = std::ilogb(most) - std::ilogb(x);
    // Off by one at most: decide with the exact product.
    while (std::ldexp(x, e) > most) --e;
    while (std::ldexp(x, e + 1) <= most) ++e;
    return e;
}

double to_lsb(double value, int frac) noexcept { return std::nearbyint(std::ldexp(value, frac)); }

class Quantiser {
public:
    Quantiser(const FloatNetwork& network, const QuantiseOptions& options)
        : net_(network), options_(options), arithmetic_(options.arithmetic) {}

    Result<Quantised> run() {
        for (const auto step :
             {&Quantiser::check_input, &Quantiser::fold, &Quantiser::choose_scale,
              &Quantiser::make_neurons, &Quantiser::make_synapses, &Quantiser::finish})
            if (Status status = (this->*step)(); !status) return status.error();
        return std::move(out_);
    }

private:
    using Row = QuantiseReport::Row;

    Error bad(const std::string& label, std::string message) const {
        return {Errc::BadConfig, fmt::format("population '{}': {}", label, std::move(message)),
                net_.name};
    }
    Error bad(std::string message) const {
        return {Errc::BadConfig, std::move(message), net_.name};
    }

    // --- input --------------------------------------------------------------------------------
    Status check_input() {
        if (!(options_.dt > 0.0) || !std::isfinite(options_.dt))
            return bad(fmt::format("dt must be positive, got {}", options_.dt));
        // The widths are used below before the network as a whole is checked.
        Network smallest;
        smallest.arithmetic = arithmetic_;
        smallest.populations = {{"", 0, 1}};
        smallest.neurons = {NeuronParams{}};
        smallest.row_begin = {0, 0};
        if (Status status = smallest.check(); !status) return status;
        if (options_.headroom_bits < 0 || options_.headroom_bits > arithmetic_.v_bits - 2)
            return bad(fmt::format("headroom_bits must be 0..{} (v_bits - 2), got {}",
                                   arithmetic_.v_bits - 2, options_.headroom_bits));
        std::uint64_t n = 0;
        for (std::size_t p = 0; p < net_.populations.size(); ++p) {
            const FloatPopulation& population = net_.populations[p];
            for (const auto* values : {&population.tau_mem, &population.tau_syn, &population.w_in,
                                       &population.r, &population.v_leak, &population.v_threshold,
                                       &population.v_reset, &population.bias}) {
                if (values->size() != population.size)
                    return bad(population.label,
                               fmt::format("a parameter has {} values for {} neurons",
                                           values->size(), population.size));
                for (const double value : *values)
                    if (!std::isfinite(value))
                        return bad(population.label, "a parameter is not finite");
            }
            if (!std::isfinite(population.refractory) || population.refractory < 0.0)
                return bad(population.label, fmt::format("refractory must be 0 s or more, got {}",
                                                         population.refractory));
            begins_.push_back(static_cast<std::uint32_t>(n));
            n += population.size;
            population_of_.insert(population_of_.end(), population.size,
                                  static_cast<std::uint32_t>(p));
        }
        const std::size_t n_sources = population_of_.size() + net_.n_axons();
        if (net_.row_begin.size() != n_sources + 1 || net_.row_begin.front() != 0 ||
            net_.row_begin.back() != net_.synapses.size() ||
            !std::is_sorted(net_.row_begin.begin(), net_.row_begin.end()))
            return bad("row_begin does not describe the rows of all axons and neurons");
        for (const FloatSynapse& synapse : net_.synapses) {
            if (synapse.target >= population_of_.size())
                return bad(fmt::format("a synapse leads to neuron {}, but there are only {}",
                                       synapse.target, population_of_.size()));
            if (!std::isfinite(synapse.weight) || !std::isfinite(synapse.delay) ||
                synapse.delay < 0.0)
                return bad(population(synapse.target).label,
                           fmt::format("a synapse of weight {} and delay {} s leads into it",
                                       synapse.weight, synapse.delay));
        }
        return {};
    }

    const FloatPopulation& population(std::uint32_t neuron) const {
        return net_.populations[population_of_[neuron]];
    }

    /// dt / tau, or an error where a timestep is too long for Euler's rule.
    Result<double> part_lost(const std::string& label, const char* name, double tau) const {
        if (tau == 0.0) return 1.0;  // no memory
        const double part = options_.dt / tau;
        if (!(tau > 0.0) || part > 1.0)
            return bad(label, fmt::format("{} of {} s is shorter than the timestep of {} s", name,
                                          tau, options_.dt));
        return part;
    }

    /// docs/model.md section 5.
    Status fold() {
        for (const FloatPopulation& p : net_.populations) {
            Row& row = report().rows.emplace_back();
            row.label = p.label;
            for (std::uint32_t i = 0; i < p.size; ++i) {
                Folded f;
                f.cuba = p.kind == NeuronKind::CubaLif || p.kind == NeuronKind::CubaLi;
                f.spiking = p.kind != NeuronKind::Li && p.kind != NeuronKind::CubaLi;
                double to_v = options_.dt;
                if (p.kind != NeuronKind::If) {
                    auto part = part_lost(p.label, "tau_mem", p.tau_mem[i]);
                    if (!part) return part.error();
                    f.a_mem = to_v = *part;
                }
                f.gain = to_v * p.r[i];
                double rest = f.a_mem * p.v_leak[i];
                if (f.cuba) {
                    auto part = part_lost(p.label, "tau_syn", p.tau_syn[i]);
                    if (!part) return part.error();
                    f.a_syn = *part;
                    f.gain *= f.a_syn * p.w_in[i];
                    rest *= f.a_syn;
                }
                f.bias = f.gain * p.bias[i] + rest;
                if (!std::isfinite(f.gain) || !std::isfinite(f.bias))
                    return bad(p.label, "its parameters multiply to more than a number can hold");
                folded_.push_back(f);
            }
            const auto rests = [](double v) { return v != 0.0; };
            if (p.size > 0 && folded_.back().cuba &&
                std::any_of(p.v_leak.begin(), p.v_leak.end(), rests))
                note(
                    "population '{}': v_leak of a CUBA neuron enters through its synaptic filter "
                    "and takes tau_syn to settle",
                    p.label);
        }
        // The sums if every source sends one event at once: the largest that a timestep can bring
        // with plain spikes.
        sums_.assign(folded_.size(), {0.0, 0.0});
        for (const FloatSynapse& synapse : net_.synapses) {
            const double weight = folded_[synapse.target].gain * synapse.weight;
            if (!std::isfinite(weight))
                return bad(population(synapse.target).label,
                           "a weight is more than a number holds");
            sums_[synapse.target][weight < 0.0 ? 1 : 0] += std::abs(weight);
        }
        return {};
    }

    /// Largest sum into a neuron, of either sign, units.
    double sum(std::size_t neuron) const { return std::max(sums_[neuron][0], sums_[neuron][1]); }

    // --- scale --------------------------------------------------------------------------------
    /// What bounds the scales, over all neurons; index 1 for CUBA neurons, 0 for others.
    struct Needs {
        double threshold = 0.0;  ///< and where there is none, the sum
        double reset = 0.0;
        std::array<double, 2> weight{};
        std::array<double, 2> bias{};
        std::array<double, 2> sum{};
        double u = 0.0;  ///< if every source fires in every timestep
        bool cuba = false;
    };

    Needs needs() const {
        Needs need;
        double integrated = 0.0;
        for (std::uint32_t n = 0; n < folded_.size(); ++n) {
            const Folded& f = folded_[n];
            const FloatPopulation& p = population(n);
            const std::uint32_t i = n - begins_[population_of_[n]];
            const auto raise = [](double& to, double value) { to = std::max(to, std::abs(value)); };
            if (f.spiking) {
                raise(need.threshold, p.v_threshold[i]);
                raise(need.reset, p.v_reset[i]);
            } else {
                raise(integrated, sum(n) + std::abs(p.v_leak[i]));
            }
            raise(need.bias[f.cuba], f.bias);
            raise(need.sum[f.cuba], sum(n));
            if (f.cuba) {
                need.cuba = true;
                raise(need.u, sum(n) / f.a_syn);
            }
        }
        for (const FloatSynapse& synapse : net_.synapses) {
            const Folded& f = folded_[synapse.target];
            double& most = need.weight[f.cuba];
            most = std::max(most, std::abs(f.gain * synapse.weight));
        }
        // An integrator is given no headroom: not every source fires at once.
        need.threshold = std::max(need.threshold, std::ldexp(integrated, -options_.headroom_bits));
        return need;
    }

    Status choose_scale() {
        Arithmetic& a = arithmetic_;
        if (options_.choose_scale) {
            const Needs need = needs();
            const double v_most = largest(a.v_bits);
            const auto threshold_fits =
                exponent_that_fits(need.threshold, std::ldexp(v_most, -options_.headroom_bits));
            const auto reset_fits = exponent_that_fits(need.reset, v_most);
            std::array<std::optional<int>, 2> wanted;
            for (const std::size_t cuba : {0U, 1U})
                wanted[cuba] = exponent_that_fits(need.weight[cuba], largest(a.weight_bits));
            int most = threshold_fits.value_or(
                reset_fits.value_or(wanted[0].value_or(wanted[1].value_or(0))));
            most = std::clamp(std::min(most, reset_fits.value_or(most)), -960, 960);

            using Cost = std::tuple<int, int, int, int, int>;
            std::optional<std::pair<Cost, Scale>> best;
            for (int v_frac = most; v_frac > most - 40; --v_frac)
                for (int shift = 0; shift <= 15; ++shift)
                    for (int u_shift = 0; u_shift <= (need.cuba ? 15 : 0); ++u_shift) {
                        const Scale scale{v_frac, shift, u_shift};
                        const auto cost = cost_of(scale, need, wanted);
                        if (!cost) continue;
                        const Cost full{cost->first, cost->second, -v_frac, -u_shift, shift};
                        if (!best || full < best->first) best = {full, scale};
                    }
            if (!best)
                return bad(
                    "no scale fits its weights, biases and currents at once into weight_bits, "
                    "v_bits and u_bits");
            a.v_frac = best->second.v_frac;
            a.weight_shift = best->second.weight_shift;
            a.u_shift = best->second.u_shift;
        }
        scale_ = {a.v_frac, a.weight_shift, a.u_shift};
        report().v_frac = a.v_frac;
        report().weight_shift = a.weight_shift;
        report().u_shift = a.u_shift;
        return {};
    }

    /// (bits of weights lost, bits that the accumulator lacks), or nothing where it does not fit.
    std::optional<std::pair<int, int>> cost_of(
        const Scale& scale, const Needs& need,
        const std::array<std::optional<int>, 2>& wanted) const {
        const Arithmetic& a = arithmetic_;
        int lost = 0;
        double worst_sum = 0.0;
        for (const std::size_t cuba : {0U, 1U}) {
            const int frac = scale.input_frac(cuba == 1);
            if (std::ldexp(need.bias[cuba], frac) > largest(a.v_bits)) return std::nullopt;
            worst_sum = std::max(worst_sum, std::ldexp(need.sum[cuba], frac));
            if (!wanted[cuba]) continue;
            const int spare = *wanted[cuba] - scale.weight_frac(cuba == 1);
            if (spare < 0) return std::nullopt;
            lost += spare;
        }
        // More current than fills v in one timestep need not be told apart.
        const double u = std::min(need.u, std::ldexp(largest(a.v_bits), -scale.v_frac));
        if (need.cuba && std::ldexp(u, scale.v_frac + scale.u_shift) > largest(a.u_bits))
            return std::nullopt;
        int lacking = 0;
        if (a.acc_overflow == Overflow::Wrap)
            while (worst_sum > std::ldexp(largest(a.acc_bits), lacking)) ++lacking;
        return std::pair{lost, lacking};
    }

    // --- neurons ------------------------------------------------------------------------------
    /// The integer that stands for losing `part` of a state in each timestep.
    Result<std::uint32_t> leak_of(double part, const FloatPopulation& p, Row& row) {
        const Arithmetic& a = arithmetic_;
        double kept = 1.0;
        std::uint32_t code = 0;
        if (a.leak_mode == LeakMode::Multiply) {
            const double multiplier = to_lsb(1.0 - part, a.leak_frac);
            code = static_cast<std::uint32_t>(multiplier);
            kept = std::ldexp(multiplier, -a.leak_frac);
        } else {
            const int most = a.leak_frac >= 5 ? 31 : (1 << (a.leak_frac + 1)) - 1;
            for (int shift = 1; shift <= std::min(most, 31); ++shift) {
                const double candidate = 1.0 - std::ldexp(1.0, -shift);
                if (std::abs(candidate - (1.0 - part)) < std::abs(kept - (1.0 - part))) {
                    kept = candidate;
                    code = static_cast<std::uint32_t>(shift);
                }
            }
        }
        row.max_leak_error = std::max(row.max_leak_error, std::abs(kept - (1.0 - part)));
        if (part > 0.0 && kept == 1.0 && noted_leak_ != &p) {
            note("population '{}': a leak of {:.3g} in each timestep rounds to none", p.label,
                 part);
            noted_leak_ = &p;
        }
        return code;
    }

    /// A signed value of v_bits.
    Result<std::int32_t> voltage(const FloatPopulation& p, const char* name, double value,
                                 int frac) const {
        const double lsb = to_lsb(value, frac);
        const double most = largest(arithmetic_.v_bits);
        if (lsb > most || lsb < -most - 1.0)
            return bad(p.label,
                       fmt::format("{} of {:.6g} is {:.0f} LSB at {} fraction bits, which does not "
                                   "fit into v_bits = {}",
                                   name, value, lsb, frac, arithmetic_.v_bits));
        return static_cast<std::int32_t>(lsb);
    }

    Status make_neurons() {
        const Arithmetic& a = arithmetic_;
        out_.network.neurons.reserve(folded_.size());
        for (std::size_t index = 0; index < net_.populations.size(); ++index) {
            const FloatPopulation& p = net_.populations[index];
            Row& row = report().rows[index];
            if (p.kind == NeuronKind::Lif && a.leak_mode == LeakMode::Shift &&
                std::find(p.tau_mem.begin(), p.tau_mem.end(), 0.0) != p.tau_mem.end())
                return bad(p.label,
                           "a neuron without memory (NIR Threshold) needs leak_mode multiply");
            const double steps = std::nearbyint(p.refractory / options_.dt);
            if (steps > std::ldexp(1.0, a.refr_bits) - 1.0)
                return bad(
                    p.label,
                    fmt::format("a refractory period of {} s is {:.0f} timesteps, which does "
                                "not fit into refr_bits = {}",
                                p.refractory, steps, a.refr_bits));
            double largest_threshold = 0.0;
            double largest_sum = 0.0;
            for (std::uint32_t i = 0; i < p.size; ++i) {
                const std::uint32_t n = begins_[index] + i;
                const Folded& f = folded_[n];
                NeuronParams& neuron = out_.network.neurons.emplace_back();
                neuron.spiking = f.spiking;
                neuron.cuba = f.cuba;
                neuron.refractory = static_cast<std::uint32_t>(steps);
                auto leak = leak_of(f.a_mem, p, row);
                if (!leak) return leak.error();
                neuron.leak = *leak;
                if (f.cuba) {
                    auto decay = leak_of(f.a_syn, p, row);
                    if (!decay) return decay.error();
                    neuron.u_decay = *decay;
                }
                auto bias = voltage(p, "bias", f.bias, scale_.input_frac(f.cuba));
                if (!bias) return bias.error();
                neuron.bias = *bias;
                largest_sum = std::max(largest_sum, std::ldexp(sum(n), scale_.input_frac(f.cuba)));
                if (!f.spiking) continue;
                auto threshold = voltage(p, "threshold", p.v_threshold[i], scale_.v_frac);
                if (!threshold) return threshold.error();
                neuron.threshold = *threshold;
                if (neuron.threshold == 0 && p.v_threshold[i] > 0.0)
                    return bad(p.label,
                               fmt::format("threshold of {:.6g} rounds to 0 at {} fraction bits, "
                                           "which other populations and v_bits = {} allow",
                                           p.v_threshold[i], scale_.v_frac, a.v_bits));
                auto reset = voltage(p, "v_reset", p.v_reset[i], scale_.v_frac);
                if (!reset) return reset.error();
                neuron.v_reset = *reset;
                const double back = std::ldexp(neuron.threshold, -scale_.v_frac);
                row.max_threshold_error =
                    std::max(row.max_threshold_error, std::abs(back - p.v_threshold[i]));
                largest_threshold = std::max(largest_threshold, std::abs(back));
            }
            if (largest_threshold > 0.0)
                row.saturation_margin =
                    std::ldexp(largest(a.v_bits), -scale_.v_frac) / largest_threshold;
            if (largest_sum > 0.0) row.input_margin = largest(a.acc_bits) / largest_sum;
            if (row.input_margin > 0.0 && row.input_margin < 1.0)
                note(
                    "population '{}': one event of every source at once would be {:.2g} times what "
                    "acc_bits = {} hold, and {}",
                    p.label, 1.0 / row.input_margin, a.acc_bits,
                    a.acc_overflow == Overflow::Wrap ? "wrap" : "saturate");
        }
        return {};
    }

    // --- synapses -----------------------------------------------------------------------------
    std::string source_name(std::size_t source) const {
        if (source >= net_.n_axons())
            return population(static_cast<std::uint32_t>(source - net_.n_axons())).label;
        for (const InputPort& port : net_.ports)
            if (source < port.end) return port.label;
        return {};
    }

    Status make_synapses() {
        const Arithmetic& a = arithmetic_;
        const double most = largest(a.weight_bits);
        std::vector<double> squares(net_.populations.size(), 0.0);
        out_.network.row_begin.push_back(0);
        for (std::size_t source = 0; source + 1 < net_.row_begin.size(); ++source) {
            for (std::uint32_t i = net_.row_begin[source]; i < net_.row_begin[source + 1]; ++i) {
                const FloatSynapse& synapse = net_.synapses[i];
                const std::uint32_t p = population_of_[synapse.target];
                const Folded& f = folded_[synapse.target];
                Row& row = report().rows[p];
                const double steps =
                    std::nearbyint(synapse.delay / options_.dt) + (synapse.recurrent ? 1.0 : 0.0);
                if (steps > a.delay_slots - 1)
                    return bad(net_.populations[p].label,
                               fmt::format("a delay of {} s from '{}' is {:.0f} timesteps{}, which "
                                           "does not fit into delay_slots = {} (at most {})",
                                           synapse.delay, source_name(source), steps,
                                           synapse.recurrent ? " with the one of its cycle" : "",
                                           a.delay_slots, a.delay_slots - 1));
                const int frac = scale_.weight_frac(f.cuba);
                const double exact = f.gain * synapse.weight;
                const double rounded = to_lsb(exact, frac);
                const double lsb = std::clamp(rounded, -most - 1.0, most);
                const double error = std::abs(std::ldexp(lsb, -frac) - exact);
                ++row.weights;
                row.weights_clipped += lsb != rounded ? 1U : 0U;
                row.max_weight_error = std::max(row.max_weight_error, error);
                squares[p] += error * error;
                if (lsb == 0.0) {
                    row.weights_zeroed += exact != 0.0 ? 1U : 0U;
                    continue;
                }
                out_.network.synapses.push_back({synapse.target, static_cast<std::int16_t>(lsb),
                                                 static_cast<std::uint16_t>(steps)});
            }
            out_.network.row_begin.push_back(
                static_cast<std::uint32_t>(out_.network.synapses.size()));
        }
        for (std::size_t p = 0; p < squares.size(); ++p) {
            Row& row = report().rows[p];
            if (row.weights > 0)
                row.rms_weight_error = std::sqrt(squares[p] / static_cast<double>(row.weights));
        }
        return {};
    }

    Status finish() {
        Network& network = out_.network;
        network.name = net_.name;
        network.dt = options_.dt;
        network.arithmetic = arithmetic_;
        network.ports = net_.ports;
        for (std::size_t p = 0; p < net_.populations.size(); ++p)
            network.populations.push_back(
                {net_.populations[p].label, begins_[p], begins_[p] + net_.populations[p].size});
        return network.check();
    }

    QuantiseReport& report() noexcept { return out_.report; }
    template <typename... Values>
    void note(fmt::format_string<Values...> format, Values&&... values) {
        report().notes.push_back(fmt::format(format, std::forward<Values>(values)...));
    }

    const FloatNetwork& net_;
    const QuantiseOptions& options_;
    Arithmetic arithmetic_;
    Scale scale_;
    std::vector<std::uint32_t> begins_;         ///< first neuron of each population
    std::vector<std::uint32_t> population_of_;  ///< of each neuron
    std::vector<Folded> folded_;
    std::vector<std::array<double, 2>> sums_;  ///< positive, negative
    const FloatPopulation* noted_leak_ = nullptr;
    Quantised out_;
};

}  // namespace

Result<Quantised> quantise(const FloatNetwork& network, const QuantiseOptions& options) {
    return Quantiser(network, options).run();
}

}  // namespace spikelock::golden

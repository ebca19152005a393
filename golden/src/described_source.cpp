// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/described_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <deque>
#include <optional>
#include <utility>

#include "column_ops.hpp"
#include "input_queue.hpp"
#include "kernels.hpp"
#include "neuron_program.hpp"
#include "spikelock/golden/arithmetic.hpp"
#include "spikelock/golden/lfsr.hpp"

namespace spikelock::golden {
namespace {

using detail::Values;
using trace::TakenEvent;
using Answer = std::variant<trace::BlockView, trace::SourceEnd>;

/// Sums of 2^15 events of the largest payload then stay within 63 bits.
constexpr std::int64_t kMostWeight = std::int64_t{1} << 32;

/// A source's synapses with what each adds; consecutive targets of one delay form a run.
struct Rows {
    struct Run {
        std::uint32_t target = 0, count = 0, delay = 0;
        std::size_t weight = 0;  ///< of the first
    };
    std::vector<std::size_t> begin;  ///< shape (sources + 1), into runs
    std::vector<Run> runs;
    Values weights;
    std::int64_t low = 0, high = 0;  ///< of the weights, with what a payload makes of them
};

Result<Rows> make_rows(const Network& net, const Description& d, const detail::Resolved& r) {
    const auto& s = d.synapse;
    const std::uint32_t sources = net.n_axons() + net.n_neurons();
    if (s.types.empty() != s.weights.empty())
        return Error{Errc::BadConfig,
                     "'types' of the sources and 'weights' of the types belong together",
                     "golden.synapse"};
    if (!s.types.empty() && s.types.size() != net.n_axons() && s.types.size() != sources)
        return Error{Errc::BadConfig,
                     fmt::format("has {} types, expected {} (axons) or {} (axons and neurons)",
                                 s.types.size(), net.n_axons(), sources),
                     "golden.synapse.types"};
    Rows rows;
    rows.begin.push_back(0);
    for (std::uint32_t source = 0; source < sources; ++source) {
        const bool table = source < s.types.size();
        if (table && static_cast<std::size_t>(s.types[source]) >= r.weights.size())
            return Error{Errc::BadConfig,
                         fmt::format("type {} of source {} has no weight, expected 0..{}",
                                     s.types[source], source, r.weights.size() - 1),
                         "golden.synapse.types"};
        const std::size_t first = rows.runs.size();
        for (const Synapse& synapse : net.row(source)) {
            std::int64_t weight = synapse.weight;
            if (s.weights_unsigned) weight &= (std::int64_t{1} << net.arithmetic.weight_bits) - 1;
            if (table)
                weight *= r.weights[static_cast<std::size_t>(s.types[source])][synapse.target];
            if (s.weight_shift >= 0) {
                weight *= std::int64_t{1} << s.weight_shift;
            } else {
                const int k = -s.weight_shift;
                const std::int64_t one = std::int64_t{1} << k;
                switch (s.rounding) {
                    case Round::TowardZero:
                        weight = weight / one;
                        break;
                    case Round::AwayFromZero:
                        weight = weight < 0 ? weight >> k : -(-weight >> k);
                        break;
                    case Round::NearestEven:
                        weight = rnd(weight, k, Rounding::NearestEven);
                        break;
                    case Round::Up:
                        weight = -(-weight >> k);
                        break;
                    case Round::HalfUp:
                        weight = (weight + one / 2) >> k;
                        break;
                    case Round::HalfAway:
                        weight = weight < 0 ? -((-weight + one / 2) >> k) : (weight + one / 2) >> k;
                        break;
                    case Round::Floor:
                        weight >>= k;
                        break;
                    case Round::Stochastic:
                        return Error{Errc::BadConfig, "weights cannot be rounded at random",
                                     "golden.synapse.rounding"};
                }
            }
            if (weight < -kMostWeight || weight > kMostWeight)
                return Error{Errc::BadConfig,
                             fmt::format("the weight {} of a synapse of source {} is too large, "
                                         "expected at most {}",
                                         weight, source, kMostWeight),
                             "golden.synapse"};
            rows.low = std::min(rows.low, weight);
            rows.high = std::max(rows.high, weight);
            Rows::Run* const last = rows.runs.size() > first ? &rows.runs.back() : nullptr;
            if (last != nullptr && last->target + last->count == synapse.target &&
                last->delay == synapse.delay)
                ++last->count;
            else
                rows.runs.push_back({synapse.target, 1, synapse.delay, rows.weights.size()});
            rows.weights.push_back(weight);
        }
        rows.begin.push_back(rows.runs.size());
    }
    if (d.event.updates == Updates::All) {
        // An update takes the sum of a row's synapses to its neuron.
        Values sums(net.n_neurons());
        for (std::uint32_t source = 0; source < sources; ++source) {
            std::ranges::fill(sums, 0);
            for (std::size_t i = rows.begin[source]; i < rows.begin[source + 1]; ++i)
                for (std::uint32_t k = 0; k < rows.runs[i].count; ++k)
                    sums[rows.runs[i].target + k] += rows.weights[rows.runs[i].weight + k];
            const auto [low, high] = std::ranges::minmax(sums);
            rows.low = std::min(rows.low, low);
            rows.high = std::max(rows.high, high);
        }
    }
    if (s.graded) {
        const auto [low, high] = std::pair(rows.low, rows.high);
        rows.low = std::min(low * 32767, high * -32768);
        rows.high = std::max(high * 32767, low * -32768);
    }
    return rows;
}

/// State and programs of a network, and what timesteps of both semantics share.
class Engine : public DescribedSource {
public:
    Engine(Network network, Description description, detail::Resolved resolved, Rows rows,
           const detail::KernelTable& table, const detail::ColumnOps& ops)
        : net_(std::move(network)),
          d_(std::move(description)),
          r_(std::move(resolved)),
          rows_(std::move(rows)),
          table_(table),
          ops_(ops),
          neurons_(net_.n_neurons()),
          words_((neurons_ + 63) / 64),
          stride_(words_ * 64),
          input_(net_.ports, net_.n_neurons(), std::min(d_.synapse.bits, 32), d_.synapse.graded) {
        for (Values* values :
             {&state_.v, &state_.u, &state_.w, &state_.refr, &state_.armed, &state_.pending,
              &state_.i_syn, &state_.seen, &state_.fired, &state_.active})
            values->assign(stride_, 0);
        noise_.resize(d_.noise.size());
        for (std::size_t i = 0; i < noise_.size(); ++i) {
            noise_[i].values.assign(stride_, 0);
            seed(i);
        }
        clear_neurons();
        make_shape();
    }

    /// Builds the programs. @errors as create()
    Status build();

    const trace::Shape& shape() const override { return shape_; }
    const Network& network() const override { return net_; }
    const Description& description() const override { return d_; }
    std::uint64_t in_flight() const override { return input_.in_flight(); }
    Status submit(const trace::StimulusBlock& block) override { return input_.submit(block); }
    std::string kernel() const override {
        static constexpr std::string_view kModels[] = {
            "network", "if", "lif", "cuba_lif", "li", "adaptive_lif", "izhikevich"};
        return fmt::format("described/{}/{}/{} operations/{}",
                           d_.semantics == Semantics::Event ? "event" : "timestep",
                           kModels[static_cast<std::size_t>(d_.model)],
                           tick_.n_operations() + (event_ ? event_->n_operations() : 0), ops_.name);
    }
    Result<Answer> read(std::uint32_t max_steps) override;
    Status set_state(std::string_view field, std::span<const std::int64_t> values) override;
    Status continue_from(const DescribedSource& other) override;
    void trust_order() override { trusting_ = true; }
    bool list_spikes() override {
        shape_.events = d_.semantics == Semantics::Event && d_.event.fifo_order == FifoOrder::Fifo;
        return shape_.events;
    }

protected:
    /// What a semantics has beside the state of neurons and registers. @pre same semantics
    virtual void take_over(const Engine& other) = 0;
    /// How many of the timesteps in flight may be run now.
    virtual Result<std::uint64_t> ready() { return in_flight(); }
    virtual Status step(const detail::InputQueue::Step& input) = 0;
    virtual void clear() {
        clear_neurons();
        for (std::size_t i = 0; i < noise_.size(); ++i)
            if (d_.noise[i].seed_on_clear) seed(i);
    }

    struct Register {
        std::vector<std::uint64_t> state;  ///< one, or one for each neuron
        Values values;                     ///< of the current draws, shape (stride)
        std::int64_t value = 0;            ///< of the last draw where all neurons share it
    };

    void seed(std::size_t i) {
        const Values& seeds = r_.seeds[i];
        const bool own = d_.noise[i].advance == Advance::Neuron;
        noise_[i].state.assign(own ? neurons_ : 1, 0);
        for (std::size_t n = 0; n < noise_[i].state.size(); ++n)
            noise_[i].state[n] = static_cast<std::uint64_t>(seeds[n]);
        noise_[i].value = value_of(noise_[i].state[0], d_.noise[i]);
        std::ranges::fill(noise_[i].values, noise_[i].value);
    }

    void clear_neurons() {
        std::ranges::copy(r_.v_init, state_.v.begin());
        std::ranges::fill(state_.u, 0);
        if (d_.model == Model::Izhikevich) std::ranges::copy(r_.izh_init, state_.u.begin());
        if (d_.adaptation.effect != Effect::None) std::ranges::copy(r_.w_init, state_.w.begin());
        std::ranges::fill(state_.refr, 0);
        std::ranges::fill(state_.armed, -1);
        std::ranges::fill(state_.pending, 0);
        std::ranges::fill(state_.i_syn, 0);
        std::ranges::fill(state_.seen, 0);
    }

    /// Draws of the registers that advance once for all neurons.
    void advance(Advance when) {
        for (std::size_t i = 0; i < noise_.size(); ++i) {
            if (d_.noise[i].advance != when) continue;
            noise_[i].value = draw(noise_[i].state[0], d_.noise[i]);
            std::ranges::fill(noise_[i].values, noise_[i].value);
        }
    }

    /// Draws for the updates of neurons begin..end-1, and tells the program where they are.
    void prepare_noise(detail::Program& program, std::size_t first_slot, std::size_t begin,
                       std::size_t end) {
        for (std::size_t i = 0; i < noise_.size(); ++i) {
            const Noise& n = d_.noise[i];
            Register& reg = noise_[i];
            if (n.advance == Advance::Update)
                for (std::size_t k = begin; k < end; ++k) reg.values[k] = draw(reg.state[0], n);
            else if (n.advance == Advance::Neuron)
                for (std::size_t k = begin; k < end; ++k) reg.values[k] = draw(reg.state[k], n);
            program.set_run_input(first_slot + i, reg.values.data() + begin);
        }
    }

    void run_tick(std::size_t begin, std::size_t end) {
        prepare_noise(tick_, 0, begin, end);
        tick_.run(begin, end);
    }

    std::span<const Rows::Run> runs_of(std::uint32_t source) const {
        return std::span(rows_.runs)
            .subspan(rows_.begin[source], rows_.begin[source + 1] - rows_.begin[source]);
    }

    /// A neuron whose spike is seen.
    bool shows(std::size_t n) const { return r_.masked[n] == 0; }
    bool delivers(std::size_t n) const { return r_.masked[n] == 0 || d_.output.masked_delivers; }

    Network net_;
    Description d_;
    detail::Resolved r_;
    Rows rows_;
    const detail::KernelTable& table_;
    const detail::ColumnOps& ops_;
    std::size_t neurons_, words_, stride_;
    detail::InputQueue input_;
    detail::State state_;
    std::vector<Register> noise_;
    detail::Program tick_;
    std::optional<detail::Program> event_, lazy_;
    trace::Shape shape_;
    std::uint64_t* spikes_ = nullptr;        ///< of the timestep that is computed
    std::uint16_t* counts_ = nullptr;        ///< likewise, where the shape has counts
    std::vector<trace::SpikeEvent> listed_;  ///< of the block, where the shape has events
    std::uint32_t row_ = 0;                  ///< of the timestep that is computed, in its block
    bool trusting_ = false;                  ///< any order of events is followed

private:
    struct Field {
        const std::int64_t* from;
        std::size_t noise;  ///< register whose state is shown, or none
        std::size_t store;
        std::size_t row_bytes;
        std::vector<std::byte> buffer;
    };
    static constexpr std::size_t kNoNoise = ~std::size_t{0};

    void make_shape();
    /// A part of the state that is shown.
    struct Variable {
        std::string_view field;
        Values detail::State::* column;
    };
    static constexpr Variable kVariables[] = {{"v", &detail::State::v},
                                              {"u", &detail::State::u},
                                              {"w", &detail::State::w},
                                              {"refr", &detail::State::refr}};
    /// nullptr: this description does not have it.
    const trace::FieldSpec* format_of(const Variable& variable) const;
    /// @errors as set_state()
    static Status check_values(std::span<const std::int64_t> values, const trace::FieldSpec& spec);
    void add_field(std::string name, trace::FieldClass cls, int bits, bool is_signed, int frac,
                   const std::int64_t* from, std::size_t noise = kNoNoise);

    std::vector<Field> fields_;
    std::vector<std::uint64_t> spike_buffer_;
    std::vector<std::uint16_t> count_buffer_;
    Values shown_;  ///< states of a register, for its field
};

void Engine::add_field(std::string name, trace::FieldClass cls, int bits, bool is_signed, int frac,
                       const std::int64_t* from, std::size_t noise) {
    const int bytes = trace::storage_bytes(bits);
    shape_.fields.push_back({.name = std::move(name),
                             .cls = cls,
                             .bits = bits,
                             .is_signed = is_signed,
                             .is_float = false,
                             .frac_bits = frac,
                             .bytes = bytes});
    fields_.push_back({from,
                       noise,
                       static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(bytes))),
                       neurons_ * static_cast<std::size_t>(bytes),
                       {}});
}

void Engine::make_shape() {
    using enum trace::FieldClass;
    shape_.n_neurons = net_.n_neurons();
    shape_.dt = net_.dt;
    shape_.populations = net_.populations;
    shape_.counts = d_.semantics == Semantics::Event;
    const bool all_cuba =
        r_.any_cuba && std::ranges::all_of(r_.cuba, [](std::int64_t c) { return c != 0; });
    add_field("i_syn", Input, d_.synapse.bits, true, all_cuba ? d_.u.frac : d_.v.frac,
              state_.i_syn.data());
    if (r_.any_cuba) add_field("u", State, d_.u.bits, d_.u.is_signed, d_.u.frac, state_.u.data());
    if (d_.model == Model::Izhikevich) {
        const Signal& u = d_.izhikevich.u;
        add_field("u", State, u.bits, u.is_signed, u.frac, state_.u.data());
    }
    if (d_.adaptation.effect != Effect::None) {
        const Signal& w = d_.adaptation.w;
        add_field("w", State, w.bits, w.is_signed, w.frac, state_.w.data());
    }
    add_field("v", State, d_.v.bits, d_.v.is_signed, d_.v.frac, state_.v.data());
    if (r_.any_refractory)
        add_field("refr", State, d_.refractory.bits, false, 0, state_.refr.data());
    shown_.assign(stride_, 0);
    for (std::size_t i = 0; i < d_.noise.size(); ++i)
        if (!d_.noise[i].name.empty())
            add_field(d_.noise[i].name, State, d_.noise[i].bits, false, 0, shown_.data(), i);
}

const trace::FieldSpec* Engine::format_of(const Variable& variable) const {
    const int index = shape_.field_index(variable.field);
    return index < 0 ? nullptr : &shape_.fields[static_cast<std::size_t>(index)];
}

Status Engine::check_values(std::span<const std::int64_t> values, const trace::FieldSpec& spec) {
    const std::int64_t low = spec.is_signed ? -(std::int64_t{1} << (spec.bits - 1)) : 0;
    const std::int64_t high = low + (std::int64_t{1} << spec.bits) - 1;
    for (std::size_t n = 0; n < values.size(); ++n)
        if (values[n] < low || values[n] > high)
            return Error{Errc::BadConfig,
                         fmt::format("{} of neuron {} is {}, expected {}..{}", spec.name, n,
                                     values[n], low, high),
                         {}};
    return {};
}

Status Engine::set_state(std::string_view field, std::span<const std::int64_t> values) {
    const auto* const variable = std::ranges::find(kVariables, field, &Variable::field);
    const trace::FieldSpec* const spec =
        variable == std::end(kVariables) ? nullptr : format_of(*variable);
    if (spec == nullptr)
        return Error{Errc::NotFound, fmt::format("no state '{}' in this description", field), {}};
    if (values.size() != neurons_)
        return Error{
            Errc::BadConfig, fmt::format("{} values for {} neurons", values.size(), neurons_), {}};
    if (Status good = check_values(values, *spec); !good) return good;
    std::ranges::copy(values, (state_.*variable->column).begin());
    return {};
}

Status Engine::continue_from(const DescribedSource& other) {
    const auto* from = dynamic_cast<const Engine*>(&other);
    if (from == nullptr || from->d_.semantics != d_.semantics || from->neurons_ != neurons_)
        return Error{Errc::Mismatch, "the sources do not have the same semantics and neurons", {}};
    for (const Variable& variable : kVariables)
        if (const trace::FieldSpec* const spec = format_of(variable))
            if (Status good =
                    check_values(std::span(from->state_.*variable.column).first(neurons_), *spec);
                !good)
                return good;
    for (const Variable& variable : kVariables)
        state_.*variable.column = from->state_.*variable.column;
    state_.armed = from->state_.armed;
    state_.pending = from->state_.pending;
    for (std::size_t i = 0; i < std::min(noise_.size(), from->noise_.size()); ++i)
        if (noise_[i].state.size() == from->noise_[i].state.size() &&
            d_.noise[i].bits == from->d_.noise[i].bits)
            noise_[i].state = from->noise_[i].state;
    take_over(*from);
    return {};
}

Status Engine::build() {
    const bool event = d_.semantics == Semantics::Event;
    Result<detail::Program> tick = detail::build_update(
        d_, r_, detail::Update::Tick, event ? d_.on_tick : d_.order, state_, 0, 0, ops_);
    if (!tick) return tick.error();
    tick_ = std::move(*tick);
    if (!event) return {};
    Result<detail::Program> reached = detail::build_update(
        d_, r_, detail::Update::Event, d_.on_event, state_, rows_.low, rows_.high, ops_);
    if (!reached) return reached.error();
    event_ = std::move(*reached);
    if (d_.leak.when == LeakWhen::Lazy) {
        Result<detail::Program> lazy =
            detail::build_update(d_, r_, detail::Update::Lazy, {}, state_, 0, 0, ops_);
        if (!lazy) return lazy.error();
        lazy_ = std::move(*lazy);
    }
    return {};
}

Result<Answer> Engine::read(std::uint32_t max_steps) {
    Result<std::uint64_t> can = ready();
    if (!can) return can.error();
    const auto steps = static_cast<std::uint32_t>(std::min<std::uint64_t>(max_steps, *can));
    if (steps == 0)
        return Answer(trace::SourceEnd{trace::EndKind::Complete, input_.next(), 0,
                                       "everything submitted has been read"});
    spike_buffer_.assign(words_ * steps, 0);
    count_buffer_.assign(shape_.counts ? neurons_ * steps : 0, 0);
    for (Field& field : fields_) field.buffer.resize(field.row_bytes * steps);
    listed_.clear();
    for (std::uint32_t s = 0; s < steps; ++s) {
        row_ = s;
        spikes_ = spike_buffer_.data() + words_ * s;
        counts_ = shape_.counts ? count_buffer_.data() + neurons_ * s : nullptr;
        const detail::InputQueue::Step input = input_.take();
        if (input.clear) clear();
        if (Status done = step(input); !done) return done.error();
        for (Field& field : fields_) {
            if (field.noise != kNoNoise) {
                const Register& reg = noise_[field.noise];
                for (std::size_t n = 0; n < neurons_; ++n)
                    shown_[n] = static_cast<std::int64_t>(reg.state[reg.state.size() == 1 ? 0 : n]);
            }
            table_.store64[field.store](field.buffer.data() + field.row_bytes * s, field.from,
                                        neurons_);
        }
    }
    trace::BlockView view;
    view.first = input_.next() - steps;
    view.n_steps = steps;
    view.spikes = spike_buffer_;
    for (const Field& field : fields_) view.fields.emplace_back(field.buffer);
    view.counts = count_buffer_;
    view.events = listed_;
    return Answer(std::move(view));
}

/// Accumulate, then update: inputs are summed in a ring of delay slots and each neuron has one
/// update a timestep.
class TimestepEngine final : public Engine {
public:
    template <typename... Args>
    explicit TimestepEngine(Args&&... args) : Engine(std::forward<Args>(args)...) {
        slots_ = static_cast<std::size_t>(net_.arithmetic.delay_slots);
        acc_.assign(slots_ * stride_, 0);
        if (d_.leak.when == LeakWhen::WithoutEvent) met_.assign(slots_ * stride_, 0);
        const auto& s = d_.synapse;
        fit_each_ = s.fit == FitWhen::Each &&
                    (s.overflow.low != Edge::Wrap || s.overflow.high != Edge::Wrap);
        split();
    }

private:
    struct Chunk {
        std::uint32_t begin, end;
    };

    /// Stretches in which no neuron reaches another of them in the same timestep.
    void split() {
        std::uint32_t begin = 0;
        std::uint32_t limit = net_.n_neurons();
        for (std::uint32_t n = 0; n < net_.n_neurons(); ++n) {
            if (n == limit) {
                chunks_.push_back({begin, n});
                begin = n;
                limit = net_.n_neurons();
            }
            for (const Synapse& s : net_.row_of_neuron(n))
                if (s.delay == 0) limit = std::min(limit, s.target);
        }
        chunks_.push_back({begin, net_.n_neurons()});
    }

    void take_over(const Engine& other) override {
        const auto& from = static_cast<const TimestepEngine&>(other);
        if (from.slots_ == slots_) {
            acc_ = from.acc_;
            slot_ = from.slot_;
            if (met_.size() == from.met_.size()) met_ = from.met_;
        }
    }

    void clear() override {
        Engine::clear();
        std::ranges::fill(acc_, 0);
        std::ranges::fill(met_, 0);
        slot_ = 0;
    }

    std::int64_t fitted(std::int64_t x) const {
        const auto& s = d_.synapse;
        const std::int64_t half = std::int64_t{1} << (s.bits - 1);
        const std::int64_t low = s.overflow.low == Edge::At ? s.overflow.low_at : -half;
        const std::int64_t high = s.overflow.high == Edge::At ? s.overflow.high_at : half - 1;
        if (x < low && s.overflow.low != Edge::Wrap) return low;
        if (x > high && s.overflow.high != Edge::Wrap) return high;
        return fit(x, s.bits, Overflow::Wrap);
    }

    void deliver(std::uint32_t source, std::int64_t times) {
        for (const Rows::Run& run : runs_of(source)) {
            const std::size_t at = slot_ + run.delay;
            std::int64_t* const acc =
                acc_.data() + stride_ * (at < slots_ ? at : at - slots_) + run.target;
            const std::int64_t* const w = rows_.weights.data() + run.weight;
            if (fit_each_) {
                for (std::uint32_t i = 0; i < run.count; ++i)
                    acc[i] = fitted(acc[i] + w[i] * times);
            } else {
                for (std::uint32_t i = 0; i < run.count; ++i) acc[i] += w[i] * times;
            }
            if (!met_.empty()) {
                std::int64_t* const met = met_.data() + (acc - acc_.data());
                for (std::uint32_t i = 0; i < run.count; ++i) ++met[i];
            }
        }
    }

    void deliver_inputs(const detail::InputQueue::Step& input) {
        const auto payload = [&](std::size_t i) {
            return input.payloads == nullptr ? std::int64_t{1} : std::int64_t{input.payloads[i]};
        };
        if (d_.synapse.duplicates == Duplicates::Delivered) {
            for (std::size_t i = 0; i < input.axons.size(); ++i) {
                advance(Advance::Event);
                deliver(input.axons[i], payload(i));
            }
            return;
        }
        // Each axon once, at its first event; merged: with the first payload, counted: with all.
        times_.resize(net_.n_axons());
        first_.clear();
        for (std::size_t i = 0; i < input.axons.size(); ++i) {
            advance(Advance::Event);
            std::int64_t& times = times_[input.axons[i]].second;
            bool& met = times_[input.axons[i]].first;
            if (!met) first_.push_back(input.axons[i]);
            if (!met || d_.synapse.duplicates == Duplicates::Counted) times += payload(i);
            met = true;
        }
        for (const std::uint32_t axon : first_) {
            deliver(axon, times_[axon].second);
            times_[axon] = {};
        }
    }

    Status step(const detail::InputQueue::Step& input) override {
        advance(Advance::Timestep);
        deliver_inputs(input);
        std::int64_t* const acc = acc_.data() + stride_ * slot_;
        const bool wraps = d_.synapse.overflow == OverflowRule::wrap();
        for (const Chunk& chunk : chunks_) {
            for (std::size_t n = chunk.begin; n < chunk.end; ++n) {
                const std::int64_t sum = acc[n] + (input.i_in == nullptr ? 0 : input.i_in[n]);
                state_.i_syn[n] = wraps ? fit(sum, d_.synapse.bits, Overflow::Wrap) : fitted(sum);
            }
            if (!met_.empty())
                std::copy(met_.begin() + static_cast<std::ptrdiff_t>(stride_ * slot_ + chunk.begin),
                          met_.begin() + static_cast<std::ptrdiff_t>(stride_ * slot_ + chunk.end),
                          state_.seen.begin() + static_cast<std::ptrdiff_t>(chunk.begin));
            run_tick(chunk.begin, chunk.end);
            for (std::uint32_t w = chunk.begin / 64; w * 64 < chunk.end; ++w) {
                std::uint64_t word = table_.pack64(state_.fired.data() + std::size_t{w} * 64);
                // A word may hold neurons of other chunks.
                if (chunk.begin > w * 64) word &= ~std::uint64_t{0} << (chunk.begin % 64);
                if (chunk.end < (w + 1) * 64) word &= ~(~std::uint64_t{0} << (chunk.end % 64));
                for (; word != 0; word &= word - 1) {
                    const std::uint32_t n =
                        w * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
                    if (shows(n)) spikes_[n / 64] |= std::uint64_t{1} << (n % 64);
                    if (delivers(n)) deliver(net_.n_axons() + n, 1);
                }
            }
        }
        std::fill_n(acc, stride_, 0);
        if (!met_.empty()) std::fill_n(met_.data() + stride_ * slot_, stride_, 0);
        slot_ = slot_ + 1 == slots_ ? 0 : slot_ + 1;
        return {};
    }

    std::size_t slots_ = 0;
    std::size_t slot_ = 0;
    bool fit_each_ = false;
    std::vector<Chunk> chunks_;
    Values acc_;  ///< shape (delay_slots, stride)
    Values met_;  ///< likewise: how many events arrive; empty where nothing depends on it
    std::vector<std::pair<bool, std::int64_t>> times_;
    std::vector<std::uint32_t> first_;
};

/// Each event updates the neurons it reaches, which may fire at once; spikes come back as events.
class EventEngine final : public Engine, public trace::OrderTaker {
public:
    template <typename... Args>
    explicit EventEngine(Args&&... args) : Engine(std::forward<Args>(args)...) {
        dense_.assign(stride_, 0);
        last_.assign(stride_, 1);
        owed_.assign(stride_, 0);
        for (const InputPort& port : net_.ports) begins_.push_back(port.begin);
    }

    Status give_order(std::uint32_t n_steps, std::span<const TakenEvent> taken) override {
        following_ = true;
        std::vector<std::vector<TakenEvent>> steps(n_steps);
        std::uint32_t last = 0;
        for (const TakenEvent& e : taken) {
            if (e.step >= n_steps || e.step < last)
                return Error{Errc::Mismatch,
                             fmt::format("the order of events names timestep {} of {} after {}",
                                         e.step, n_steps, last),
                             {}};
            last = e.step;
            steps[e.step].push_back(e);
        }
        for (auto& step : steps) orders_.push_back(std::move(step));
        return {};
    }

private:
    Result<std::uint64_t> ready() override {
        if (!following_ || in_flight() == 0) return in_flight();
        if (orders_.empty())
            return Error{Errc::Mismatch,
                         "the order in which the core took its events is not known yet",
                         fmt::format("timestep {}", input_.next())};
        return std::min<std::uint64_t>(in_flight(), orders_.size());
    }

    void take_over(const Engine& other) override {
        const auto& from = static_cast<const EventEngine&>(other);
        fifo_ = from.fifo_;
        now_ = from.now_;
        last_ = from.last_;
    }

    void clear() override {
        Engine::clear();
        fifo_.clear();
        std::ranges::fill(last_, now_ + 1);
    }

    static Error wrong(std::uint64_t timestep, std::string message) {
        return Error{Errc::Mismatch, std::move(message), fmt::format("timestep {}", timestep)};
    }

    void count(std::uint32_t n) {
        if (!shows(n)) return;
        spikes_[n / 64] |= std::uint64_t{1} << (n % 64);
        if (counts_[n] < 0xffff) ++counts_[n];
        if (shape_.events) listed_.push_back({row_, n, 0});
    }

    /// Neurons begin..end-1 have been updated: those that fired leave and come back.
    void collect(std::size_t begin, std::size_t end) {
        for (std::size_t at = begin; at < end;) {
            const std::size_t word_begin = at / 64 * 64;
            std::uint64_t word = table_.pack64(state_.fired.data() + word_begin);
            if (at > word_begin) word &= ~std::uint64_t{0} << (at - word_begin);
            if (end < word_begin + 64) word &= ~(~std::uint64_t{0} << (end - word_begin));
            for (; word != 0; word &= word - 1)
                fired(static_cast<std::uint32_t>(word_begin) +
                      static_cast<std::uint32_t>(std::countr_zero(word)));
            at = word_begin + 64;
        }
    }

    void fired(std::uint32_t n) {
        const auto& e = d_.event;
        const bool room =
            e.fifo_depth == 0 ||
            static_cast<std::int64_t>(fifo_.size()) + (popping_ ? 1 : 0) < e.fifo_depth;
        const bool accepted = e.closed_loop && delivers(n) && room;
        if (e.output == Shown::Fired ||
            (e.output == Shown::Accepted && (accepted || !e.closed_loop)))
            count(n);
        if (accepted) fifo_.push_back(n);
    }

    /// Timesteps of leak that neurons begin..end-1 have not had yet.
    void catch_up(std::size_t begin, std::size_t end) {
        const std::int64_t most = (std::int64_t{1} << d_.leak.dt_bits) - 1;
        std::int64_t longest = 0;
        for (std::size_t n = begin; n < end; ++n) {
            owed_[n] = std::min(now_ - last_[n], most);
            longest = std::max(longest, owed_[n]);
            last_[n] = now_;
        }
        for (std::int64_t i = 0; i < longest; ++i) {
            for (std::size_t n = begin; n < end; ++n) state_.active[n] = owed_[n] > i ? -1 : 0;
            lazy_->run(begin, end);
        }
    }

    void update(std::size_t begin, std::size_t end, const std::int64_t* weights,
                std::int64_t times) {
        if (times != 1) {
            scaled_.assign(weights, weights + (end - begin));
            for (std::int64_t& w : scaled_) w *= times;
            weights = scaled_.data();
        }
        if (lazy_) catch_up(begin, end);
        for (std::size_t n = begin; n < end; ++n)
            state_.i_syn[n] =
                fit(state_.i_syn[n] + weights[n - begin], d_.synapse.bits, Overflow::Wrap);
        if (d_.leak.when == LeakWhen::WithoutEvent)
            for (std::size_t n = begin; n < end; ++n) ++state_.seen[n];
        event_->set_run_input(0, weights);
        prepare_noise(*event_, 1, begin, end);
        event_->run(begin, end);
        collect(begin, end);
    }

    Status process(std::uint32_t source, std::int64_t times) {
        if (++events_ > d_.event.limit)
            return Error{Errc::Limit,
                         fmt::format("more than {} events: the closed loop does not come to rest "
                                     "(golden.event.limit)",
                                     d_.event.limit),
                         fmt::format("timestep {}", input_.next() - 1)};
        advance(Advance::Event);
        if (d_.event.updates == Updates::All) {
            for (const Rows::Run& run : runs_of(source))
                for (std::uint32_t i = 0; i < run.count; ++i)
                    dense_[run.target + i] += rows_.weights[run.weight + i];
            update(0, neurons_, dense_.data(), times);
            std::ranges::fill(dense_, 0);
            return {};
        }
        for (const Rows::Run& run : runs_of(source))
            update(run.target, run.target + run.count, rows_.weights.data() + run.weight, times);
        return {};
    }

    Status take_spike(std::deque<std::uint32_t>::iterator at) {
        const std::uint32_t n = *at;
        fifo_.erase(at);
        popping_ = d_.event.fifo_pop == FifoPop::End;
        if (d_.event.output == Shown::Taken) count(n);
        Status done = process(net_.n_axons() + n, 1);
        popping_ = false;
        return done;
    }

    /// The core took a spike of which nothing is known here. What waits before it has evidently
    /// not been put there.
    Status take_unexpected(std::uint32_t n) {
        const auto waits = std::ranges::find(fifo_, n);
        if (waits == fifo_.end())
            fifo_.push_front(n);
        else
            fifo_.erase(fifo_.begin(), waits);
        return take_spike(fifo_.begin());
    }

    Status drain() {
        while (!fifo_.empty())
            if (Status done = take_spike(fifo_.begin()); !done) return done;
        return {};
    }

    void tick() {
        run_tick(0, neurons_);
        collect(0, neurons_);
        ticked_ = true;
    }

    Status step(const detail::InputQueue::Step& input) override {
        events_ = 0;
        ticked_ = false;
        ++now_;
        std::ranges::fill(state_.i_syn, 0);
        std::ranges::fill(state_.seen, 0);
        if (input.i_in != nullptr) std::copy_n(input.i_in, neurons_, state_.i_syn.begin());
        advance(Advance::Timestep);
        if (d_.event.tick == TickAt::First) tick();
        return following_ ? follow(input) : drain_each(input);
    }

    static std::int64_t payload(const detail::InputQueue::Step& input, std::size_t i) {
        return input.payloads == nullptr ? 1 : input.payloads[i];
    }

    /// Without an order: each event and all that it causes, then the next.
    Status drain_each(const detail::InputQueue::Step& input) {
        if (Status done = drain(); !done) return done;  // what the last tick left
        for (std::size_t i = 0; i < input.axons.size(); ++i) {
            if (Status done = process(input.axons[i], payload(input, i)); !done) return done;
            if (Status done = drain(); !done) return done;
        }
        if (!ticked_) tick();
        return d_.event.after_tick == AfterTick::Drain ? drain() : Status{};
    }

    Status follow(const detail::InputQueue::Step& input) {
        const std::uint64_t t = input_.next() - 1;
        const std::vector<TakenEvent> order = std::move(orders_.front());
        orders_.pop_front();
        // Events of a port are taken in the order in which they were sent.
        const auto port_of = [&](std::uint32_t axon) {
            return static_cast<std::size_t>(std::ranges::upper_bound(begins_, axon) -
                                            begins_.begin()) -
                   1;
        };
        sent_.assign(begins_.size(), {});
        for (std::size_t i = 0; i < input.axons.size(); ++i)
            sent_[port_of(input.axons[i])].push_back(i);
        std::size_t left = input.axons.size();
        const bool marked =
            std::ranges::any_of(order, [](const TakenEvent& e) { return e.port == kTickPort; });
        for (std::size_t k = 0; k < order.size(); ++k) {
            const TakenEvent& e = order[k];
            if (!ticked_ && !marked && left == 0 &&
                (d_.event.tick == TickAt::AfterInputs || fifo_.empty()))
                tick();
            if (e.port == kTickPort) {
                if (ticked_) return wrong(t, fmt::format("event {} is a second tick", k));
                tick();
            } else if (e.port == TakenEvent::kInternal) {
                const auto found =
                    d_.event.fifo_order == FifoOrder::Fifo
                        ? (fifo_.empty() || fifo_.front() != e.address ? fifo_.end()
                                                                       : fifo_.begin())
                        : std::ranges::find(fifo_, e.address);
                if (found == fifo_.end() && trusting_ && e.address < neurons_) {
                    if (Status done = take_unexpected(e.address); !done) return done;
                    continue;
                }
                if (found == fifo_.end())
                    return wrong(
                        t,
                        fmt::format(
                            "event {} that the core took is the spike of neuron {}, expected {}", k,
                            e.address,
                            fifo_.empty() ? std::string("none: no spike is waiting")
                            : d_.event.fifo_order == FifoOrder::Fifo
                                ? fmt::format("that of neuron {}, which waits first", fifo_.front())
                                : fmt::format("one of the {} that wait", fifo_.size())));
                if (Status done = take_spike(found); !done) return done;
            } else {
                if (e.port >= begins_.size() || sent_[e.port].empty())
                    return wrong(t, fmt::format("event {} that the core took is axon {} of port "
                                                "{}, on which nothing more was sent",
                                                k, e.address, e.port));
                const std::size_t i = sent_[e.port].front();
                const std::uint32_t axon = input.axons[i];
                if (axon != begins_[e.port] + e.address)
                    return wrong(t, fmt::format("event {} that the core took is axon {} of port "
                                                "{}, expected axon {}, which was sent before it",
                                                k, e.address, e.port, axon - begins_[e.port]));
                sent_[e.port].pop_front();
                --left;
                if (Status done = process(axon, payload(input, i)); !done) return done;
            }
        }
        if (left > 0)
            return wrong(t, fmt::format("the core took {} of the {} events that were sent",
                                        input.axons.size() - left, input.axons.size()));
        if (!ticked_) tick();
        return {};
    }

    std::deque<std::uint32_t> fifo_;
    bool popping_ = false;  ///< the event under way still has its place in the FIFO
    bool ticked_ = false;
    bool following_ = false;
    std::int64_t events_ = 0;
    std::int64_t now_ = 0;
    Values dense_, scaled_;
    Values last_,
        owed_;  ///< of a lazy leak: timestep up to which a neuron has leaked, and its debt
    std::vector<std::uint32_t> begins_;  ///< first axon of each port
    std::vector<std::deque<std::size_t>> sent_;
    std::deque<std::vector<TakenEvent>> orders_;
};

Error contradiction(std::string where, std::string message) {
    return Error{Errc::BadConfig, std::move(message), "golden." + std::move(where)};
}

/// What no single key can tell.
Status check(const Network& net, const Description& d, const detail::Resolved& r) {
    const bool event = d.semantics == Semantics::Event;
    const auto has = [](const std::vector<Stage>& stages, Stage stage) {
        return std::ranges::find(stages, stage) != stages.end();
    };
    if (d.leak.when == LeakWhen::Lazy && !event)
        return contradiction("leak.when", "'lazy' needs semantics = \"event\"");
    if (d.leak.when == LeakWhen::Lazy && !has(d.on_event, Stage::Leak))
        return contradiction("on_event", "a lazy leak happens at events; expected 'leak' here");
    if (d.leak.input == LeakInput::Inside &&
        (d.leak.kind == LeakKind::None || d.leak.kind == LeakKind::Constant))
        return contradiction("leak.input", "'inside' needs a leak that shifts or multiplies");
    for (const auto& [rule, name] :
         {std::pair(&d.u_leak, "u.leak"), std::pair(&d.adaptation.leak, "adaptation.leak")})
        if (rule->when != LeakWhen::Always || rule->input != LeakInput::Apart)
            return contradiction(name, "'when' and 'input' are for the leak of v only");
    if (d.leak.when == LeakWhen::Lazy && has(d.on_tick, Stage::Leak))
        return contradiction("on_tick", "a leak is either lazy or on the tick");
    if (d.leak.when == LeakWhen::Lazy && d.leak.input == LeakInput::Inside)
        return contradiction("leak.input", "a lazy leak cannot have the input inside");
    if (event && d.model == Model::Izhikevich)
        return contradiction("model", "'izhikevich' needs semantics = \"timestep\"");
    if (d.model == Model::Izhikevich && r.any_cuba)
        return contradiction("u.filter",
                             "'izhikevich' takes its input without a filter; expected \"none\"");
    if (event && r.any_cuba && has(d.on_event, Stage::Threshold))
        return contradiction("on_event",
                             "with a filter an event changes u only; expected the "
                             "threshold on_tick");
    if (event)
        for (const Synapse& s : net.synapses)
            if (s.delay > 1)
                return contradiction("semantics",
                                     fmt::format("event-driven cores have no delays; a synapse to "
                                                 "neuron {} has {}",
                                                 s.target, s.delay));
    const auto stochastic = [&](const LeakRule& rule) {
        return rule.kind != LeakKind::None && rule.rounding == Round::Stochastic;
    };
    const auto& z = d.izhikevich;
    const bool needs =
        stochastic(d.leak) || (r.any_cuba && stochastic(d.u_leak)) ||
        (r.any_cuba && d.u_rounding == Round::Stochastic) ||
        (d.adaptation.effect != Effect::None &&
         (stochastic(d.adaptation.leak) || d.adaptation.rounding == Round::Stochastic)) ||
        (d.model == Model::Izhikevich &&
         (z.square_rounding == Round::Stochastic || z.dt_rounding == Round::Stochastic ||
          z.quadratic.rounding == Round::Stochastic || z.linear.rounding == Round::Stochastic ||
          z.a.rounding == Round::Stochastic || z.b.rounding == Round::Stochastic));
    const auto rounding = std::ranges::count(d.noise, NoiseUse::Rounding, &Noise::use);
    if (needs && rounding != 1)
        return contradiction("noise", fmt::format("'stochastic' rounding needs one [[golden.noise]]"
                                                  " with use = \"rounding\", found {}",
                                                  rounding));
    if (needs && d.leak.when == LeakWhen::Lazy && stochastic(d.leak))
        return contradiction("leak.rounding", "a lazy leak cannot be rounded at random");
    return {};
}

}  // namespace

bool is_plain(const Network& network, const Description& description) {
    Description plain = describe(network);
    Description given = description;
    plain.preset = given.preset = {};
    return given == plain;
}

Result<std::unique_ptr<DescribedSource>> DescribedSource::create(Network network,
                                                                 Description description,
                                                                 Kernel kernel) {
    if (Status status = network.check(); !status) return status.error();
    const detail::KernelTable* table = &detail::kernels_generic();
    const detail::ColumnOps* ops = &detail::column_ops_generic();
    const detail::KernelTable* const tables[] = {detail::kernels_avx2(), detail::kernels_avx512()};
    const detail::ColumnOps* const sets[] = {detail::column_ops_avx2(),
                                             detail::column_ops_avx512()};
    for (const std::size_t i : {0U, 1U}) {
        const Kernel set = i == 0 ? Kernel::Avx2 : Kernel::Avx512;
        if (kernel != Kernel::Auto && kernel != set) continue;
        if (tables[i] != nullptr && sets[i] != nullptr) {
            table = tables[i];
            ops = sets[i];
        } else if (kernel == set) {
            return Error{Errc::Unsupported,
                         fmt::format("this CPU does not run the kernel '{}'", name_of(kernel)),
                         {}};
        }
    }
    Result<detail::Resolved> resolved = detail::resolve(network, description);
    if (!resolved) return resolved.error();
    if (Status good = check(network, description, *resolved); !good) return good.error();
    Result<Rows> rows = make_rows(network, description, *resolved);
    if (!rows) return rows.error();
    const auto finish = [&](auto engine) -> Result<std::unique_ptr<DescribedSource>> {
        if (Status built = engine->build(); !built) return built.error();
        return std::unique_ptr<DescribedSource>(std::move(engine));
    };
    if (description.semantics == Semantics::Event)
        return finish(std::make_unique<EventEngine>(std::move(network), std::move(description),
                                                    std::move(*resolved), std::move(*rows), *table,
                                                    *ops));
    return finish(std::make_unique<TimestepEngine>(std::move(network), std::move(description),
                                                   std::move(*resolved), std::move(*rows), *table,
                                                   *ops));
}

}  // namespace spikelock::golden

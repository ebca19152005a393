// SPDX-License-Identifier: Apache-2.0
#include "evidence.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace spikelock::analysis::detail {

Status check_windows(const DivergenceReport& report, std::uint32_t neurons) {
    for (const trace::ExecutionTrace* window : {&report.expected_window, &report.actual_window}) {
        if (window->n_neurons() != neurons)
            return Error{Errc::Mismatch,
                         "network and report must have the same number of neurons, network " +
                             std::to_string(neurons) + ", report " +
                             std::to_string(window->n_neurons()),
                         {}};
        if (!window->holds(report.place.timestep))
            return Error{Errc::Mismatch,
                         "the report's windows do not hold its timestep " +
                             std::to_string(report.place.timestep),
                         {}};
        for (const trace::FieldSpec& field : window->shape().fields)
            if (field.is_float)
                return Error{Errc::Unsupported,
                             "field '" + field.name +
                                 "' is float64: only the integer model can be recomputed",
                             {}};
    }
    return {};
}

namespace {
constexpr std::array<std::string_view, 4> kFields{"i_syn", "u", "v", "refr"};
}

Recomputer::Recomputer(const Connectivity& connectivity, const trace::Stimulus* stimulus,
                       const DivergenceReport& report)
    : network_(connectivity.network()),
      expected_(report.expected_window),
      actual_(report.actual_window),
      diverges_at_(report.place.timestep),
      activity_(connectivity, stimulus, report.actual_window) {
    const auto compared = [&report](std::string_view name) {
        return report.compared_fields.empty() ||
               std::find(report.compared_fields.begin(), report.compared_fields.end(), name) !=
                   report.compared_fields.end();
    };
    for (std::size_t f = 0; f < kFields.size(); ++f) {
        expected_fields_[f] = expected_.shape().field_index(kFields[f]);
        actual_fields_[f] = compared(kFields[f]) ? actual_.shape().field_index(kFields[f]) : -1;
    }
    spikes_compared_ = compared("spike");
    any_refractory_ = std::any_of(network_.neurons.begin(), network_.neurons.end(),
                                  [](const golden::NeuronParams& p) { return p.refractory > 0; });
    const std::size_t updates = static_cast<std::size_t>(actual_.n_steps()) * network_.n_neurons();
    delivered_.resize(updates);
    delivered_known_.resize(updates);
}

Observed Recomputer::observed(bool expected_side, std::uint32_t neuron, std::uint64_t t) const {
    const trace::ExecutionTrace& trace = expected_side ? expected_ : actual_;
    const std::array<int, 4>& fields = expected_side ? expected_fields_ : actual_fields_;
    Observed result;
    if (!trace.holds(t) || !trace.valid(t)) return result;
    const auto read = [&](std::size_t f) -> std::optional<std::int64_t> {
        if (fields[f] < 0) return std::nullopt;
        const auto field = static_cast<std::size_t>(fields[f]);
        if (!trace.valid(field, t, neuron)) return std::nullopt;
        return trace.raw(field, t, neuron);
    };
    result.i_syn = read(0);
    if (network_.neurons[neuron].cuba) result.u = read(1);
    result.v = read(2);
    result.refr = read(3);
    if (spikes_compared_) result.spike = trace.spike(t, neuron);
    return result;
}

std::optional<std::int64_t> Recomputer::refractory_left(std::uint32_t neuron, std::uint64_t t,
                                                        std::uint32_t period) const {
    const std::uint64_t clear = activity_.clear_at(t);
    for (std::uint32_t back = 1; back <= period; ++back) {
        if (t < clear + back) return 0;
        if (!actual_.holds(t - back)) return std::nullopt;
        if (actual_.spike(t - back, neuron)) return std::int64_t{period} - back + 1;
    }
    return 0;
}

std::optional<State> Recomputer::state_before(std::uint32_t neuron, std::uint64_t t,
                                              const Rules& rules,
                                              const Alternative* alternative) const {
    if (alternative != nullptr && alternative->state_cleared) return State{};
    const bool kept = alternative != nullptr && alternative->state_kept;
    if (t == activity_.clear_at(t) && !(kept && t > 0)) {
        if (!activity_.clear_is_zero(t)) return std::nullopt;
        State start;
        start.v = network_.neurons[neuron].v_init;
        return start;
    }
    std::uint32_t from = neuron;
    if (alternative != nullptr && alternative->state_offset != 0) {
        const std::int64_t index = std::int64_t{neuron} + alternative->state_offset;
        if (index < 0 || index >= network_.n_neurons()) return std::nullopt;
        from = static_cast<std::uint32_t>(index);
    }
    const Observed actual_state = actual(from, t - 1);
    // Up to the divergence both sides agree, so what the actual side hides the expected one tells.
    const Observed expected_state = t <= diverges_at_ ? expected(from, t - 1) : Observed{};
    State state;
    if (actual_state.v)
        state.v = *actual_state.v;
    else if (expected_state.v)
        state.v = *expected_state.v;
    else
        return std::nullopt;
    if (network_.neurons[neuron].cuba) {
        if (actual_state.u)
            state.u = *actual_state.u;
        else if (expected_state.u)
            state.u = *expected_state.u;
        else
            return std::nullopt;
    }
    const bool other_period = rules.params.refractory != network_.neurons[neuron].refractory;
    if (actual_state.refr) {
        state.refr = *actual_state.refr;
    } else if (!other_period && expected_state.refr) {
        state.refr = *expected_state.refr;
    } else if (any_refractory_ || other_period) {
        const std::optional<std::int64_t> left = refractory_left(from, t, rules.params.refractory);
        if (!left) return std::nullopt;
        state.refr = *left;
    }
    return state;
}

std::optional<std::int64_t> Recomputer::delivered(std::uint32_t neuron, std::uint64_t t,
                                                  const Alternative* alternative) {
    const bool cached = alternative == nullptr && actual_.holds(t);
    const std::size_t index =
        cached ? static_cast<std::size_t>(t - actual_.first_step()) * network_.n_neurons() + neuron
               : 0;
    if (cached && delivered_known_[index] != 0) {
        if (delivered_known_[index] == 2) return std::nullopt;
        return delivered_[index];
    }
    DeliveryRule rule;
    golden::Arithmetic arithmetic = network_.arithmetic;
    if (alternative != nullptr) {
        if (alternative->delivery) rule = *alternative->delivery;
        if (alternative->edit) {
            Rules rules = rules_of(network_, neuron);
            alternative->edit(rules, neuron);
            arithmetic = rules.arithmetic;
        }
    }
    const Activity::Arrivals arrivals = activity_.arrivals(neuron, t, rule);
    const std::optional<std::int64_t> sum =
        arrivals.complete ? std::optional(accumulate(arithmetic, arrivals)) : std::nullopt;
    if (cached) {
        delivered_known_[index] = sum ? 1 : 2;
        if (sum) delivered_[index] = *sum;
    }
    return sum;
}

const Alternative& Recomputer::modelled() {
    static const Alternative kModelled;
    return kModelled;
}

std::optional<Update> Recomputer::predict(std::uint32_t neuron, std::uint64_t t,
                                          const Alternative* alternative) {
    Rules rules = rules_of(network_, neuron);
    if (alternative != nullptr && alternative->edit) alternative->edit(rules, neuron);
    const std::optional<State> before = state_before(neuron, t, rules, alternative);
    if (!before) return std::nullopt;
    std::optional<std::int64_t> i_syn;
    if (alternative != nullptr && alternative->delivery)
        i_syn = delivered(neuron, t, alternative);
    else if (const Observed seen = actual(neuron, t); seen.i_syn && alternative != &modelled())
        i_syn = seen.i_syn;
    else
        i_syn = delivered(neuron, t, nullptr);
    // At the divergence itself the expected side knows i_syn even where the input is not recorded.
    if (!i_syn && t == diverges_at_ && !(alternative != nullptr && alternative->delivery))
        i_syn = expected(neuron, t).i_syn;
    if (!i_syn) return std::nullopt;
    return update_neuron(rules, *before, *i_syn);
}

bool gives(const Update& update, const Observed& observed) noexcept {
    if (!observed.i_syn && !observed.u && !observed.v && !observed.refr && !observed.spike)
        return false;
    return (!observed.i_syn || *observed.i_syn == update.i_syn) &&
           (!observed.u || *observed.u == update.u) && (!observed.v || *observed.v == update.v) &&
           (!observed.refr || *observed.refr == update.refr) &&
           (!observed.spike || *observed.spike == update.spike);
}

bool gives_field(const Update& update, const Observed& observed, std::string_view field) noexcept {
    if (field == "i_syn") return observed.i_syn && *observed.i_syn == update.i_syn;
    if (field == "u") return observed.u && *observed.u == update.u;
    if (field == "v") return observed.v && *observed.v == update.v;
    if (field == "refr") return observed.refr && *observed.refr == update.refr;
    return observed.spike && *observed.spike == update.spike;
}

bool look_alike(const Update& a, const Update& b, const Observed& shown) noexcept {
    return (!shown.i_syn || a.i_syn == b.i_syn) && (!shown.u || a.u == b.u) &&
           (!shown.v || a.v == b.v) && (!shown.refr || a.refr == b.refr) &&
           (!shown.spike || a.spike == b.spike);
}

namespace {
using golden::Rounding;

std::string_view name_of(Rounding rounding) {
    switch (rounding) {
        case Rounding::Floor:
            return "floor";
        case Rounding::TowardZero:
            return "toward_zero";
        case Rounding::AwayFromZero:
            return "away_from_zero";
        case Rounding::NearestEven:
            return "nearest_even";
    }
    return "floor";
}

/// Collects alternatives.
class List {
public:
    explicit List(std::vector<Alternative>& into) : into_(into) {}
    Alternative& update(int prior, std::string id, std::string text,
                        std::function<void(Rules&, std::uint32_t)> edit) {
        Alternative alternative;
        alternative.prior = prior;
        alternative.id = std::move(id);
        alternative.text = std::move(text);
        alternative.edit = std::move(edit);
        into_.push_back(std::move(alternative));
        return into_.back();
    }
    Alternative& deliver(int prior, std::string id, std::string text, DeliveryRule rule) {
        Alternative alternative;
        alternative.prior = prior;
        alternative.id = std::move(id);
        alternative.text = std::move(text);
        alternative.delivery = rule;
        into_.push_back(std::move(alternative));
        return into_.back();
    }

private:
    std::vector<Alternative>& into_;
};

void add_arithmetic(List& list, const golden::Network& network,
                    const golden::NeuronParams& params) {
    const golden::Arithmetic& arithmetic = network.arithmetic;
    const std::string configured(name_of(arithmetic.rounding));
    for (const Rounding mode :
         {Rounding::Floor, Rounding::TowardZero, Rounding::AwayFromZero, Rounding::NearestEven}) {
        if (mode == arithmetic.rounding) continue;
        const std::string name(name_of(mode));
        list.update(5, "rounding." + name, "rounding is " + name + ", not " + configured,
                    [mode](Rules& r, std::uint32_t) {
                        r.leak_rounding = r.filter_rounding = r.drive_rounding = mode;
                    });
        if (!params.cuba) continue;
        list.update(8, "rounding.leak." + name,
                    "the leak of v is rounded " + name + ", not " + configured,
                    [mode](Rules& r, std::uint32_t) { r.leak_rounding = mode; });
        list.update(8, "rounding.filter." + name,
                    "the decay of u is rounded " + name + ", not " + configured,
                    [mode](Rules& r, std::uint32_t) { r.filter_rounding = mode; });
        list.update(8, "rounding.drive." + name,
                    "u >> u_shift is rounded " + name + ", not " + configured,
                    [mode](Rules& r, std::uint32_t) { r.drive_rounding = mode; });
    }
    const bool wraps = arithmetic.v_overflow == golden::Overflow::Wrap;
    list.update(6, wraps ? "overflow.saturate" : "overflow.wrap",
                wraps ? "v and u saturate on overflow, where the model wraps"
                      : "v and u wrap on overflow, where the model saturates",
                [wraps](Rules& r, std::uint32_t) {
                    r.v_fit = r.u_fit = wraps ? Fit::Saturate : Fit::Wrap;
                });
    if (params.cuba)
        list.update(
            9, wraps ? "overflow.filter.saturate" : "overflow.filter.wrap",
            wraps ? "u alone saturates on overflow" : "u alone wraps on overflow",
            [wraps](Rules& r, std::uint32_t) { r.u_fit = wraps ? Fit::Saturate : Fit::Wrap; });
    list.update(20, "overflow.positive", "negative overflow ends at the positive bound",
                [](Rules& r, std::uint32_t) { r.v_fit = r.u_fit = Fit::SaturatePositive; });
    list.update(20, "overflow.symmetric", "the lower bound of saturation is -(2^(W-1)-1)",
                [](Rules& r, std::uint32_t) { r.v_fit = r.u_fit = Fit::SaturateSymmetric; });
    list.update(20, "overflow.clamp_at_zero", "v is not allowed below 0",
                [](Rules& r, std::uint32_t) { r.v_fit = Fit::ClampAtZero; });
    for (const int delta : {-1, 1}) {
        const int bits = arithmetic.v_bits + delta;
        if (bits >= 2)
            list.update(
                25, delta < 0 ? "width.v_narrow" : "width.v_wide",
                "v has " + std::to_string(bits) + " bits, not " + std::to_string(arithmetic.v_bits),
                [bits](Rules& r, std::uint32_t) { r.arithmetic.v_bits = bits; });
        const int u_bits = arithmetic.u_bits + delta;
        if (params.cuba && u_bits >= 2)
            list.update(25, delta < 0 ? "width.u_narrow" : "width.u_wide",
                        "u has " + std::to_string(u_bits) + " bits, not " +
                            std::to_string(arithmetic.u_bits),
                        [u_bits](Rules& r, std::uint32_t) { r.arithmetic.u_bits = u_bits; });
    }
    for (const int bits : {1, 2, 4})
        if (bits < arithmetic.v_bits)
            list.update(45, "width.low_bits." + std::to_string(bits),
                        "the low " + std::to_string(bits) + " bits of v are lost",
                        [bits](Rules& r, std::uint32_t) { r.least_bits_dropped = bits; });
}

/// A leak one step away, where there is one; each neuron from its own.
std::uint32_t moved(std::uint32_t leak, int delta, const Rules& rules) {
    const std::int64_t most = (std::int64_t{1} << (rules.arithmetic.leak_frac + 1)) - 1;
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(std::int64_t{leak} + delta, 0, most));
}

void add_leak(List& list, const golden::Network& network, const golden::NeuronParams& params) {
    const bool shift = network.arithmetic.leak_mode == golden::LeakMode::Shift;
    // The parameter has leak_frac + 1 bits in both modes.
    const std::int64_t most = (std::int64_t{1} << (network.arithmetic.leak_frac + 1)) - 1;
    const std::uint32_t none = shift ? 0U : 1U << network.arithmetic.leak_frac;
    if (params.leak != none)
        list.update(10, "leak.missing", "v does not leak",
                    [none](Rules& r, std::uint32_t) { r.params.leak = none; });
    for (const int delta : {-1, 1}) {
        const std::int64_t leak = std::int64_t{params.leak} + delta;
        if (leak >= 0 && leak <= most)
            list.update(12, delta < 0 ? "leak.minus_one" : "leak.plus_one",
                        (shift ? "leak shift is " : "leak multiplier is ") + std::to_string(leak) +
                            ", not " + std::to_string(params.leak),
                        [delta](Rules& r, std::uint32_t) {
                            r.params.leak = moved(r.params.leak, delta, r);
                        });
        const std::int64_t decay = std::int64_t{params.u_decay} + delta;
        if (params.cuba && decay >= 0 && decay <= most)
            list.update(
                12, delta < 0 ? "filter.minus_one" : "filter.plus_one",
                "u_decay is " + std::to_string(decay) + ", not " + std::to_string(params.u_decay),
                [delta](Rules& r, std::uint32_t) {
                    r.params.u_decay = moved(r.params.u_decay, delta, r);
                });
    }
    const auto rule = [&list](int prior, const char* id, const char* text, LeakRule leak) {
        list.update(prior, id, text, [leak](Rules& r, std::uint32_t) { r.leak = leak; });
    };
    rule(14, "leak.after_input", "leak acts after the input is added", LeakRule::AfterInput);
    rule(22, "leak.negative_only", "only negative v leaks", LeakRule::OnNegativeOnly);
    rule(22, "leak.positive_only", "only positive v leaks", LeakRule::OnPositiveOnly);
    rule(18, "leak.without_input", "v leaks only in timesteps without input",
         LeakRule::WithoutInput);
    rule(18, "leak.with_input", "v leaks only in timesteps with input", LeakRule::WithInput);
    rule(18, "leak.at_least_one", "at least 1 LSB of v leaks", LeakRule::AtLeastOne);
    if (shift)
        rule(12, "leak.logical_shift", "the leak of a negative v uses a logical shift (>>)",
             LeakRule::LogicalShift);
    if (!params.cuba) return;
    list.update(12, "filter.no_decay", "u does not decay",
                [none](Rules& r, std::uint32_t) { r.params.u_decay = none; });
    list.update(15, "filter.bypass", "input drives v directly, without the filter u",
                [](Rules& r, std::uint32_t) { r.params.cuba = false; });
    list.update(10, "filter.old_u", "v is driven by u of the timestep before",
                [](Rules& r, std::uint32_t) { r.drive_from_old_u = true; });
    list.update(15, "filter.reset", "a spike clears u",
                [](Rules& r, std::uint32_t) { r.filter_resets = true; });
    list.update(15, "filter.held", "u is held in the refractory period",
                [](Rules& r, std::uint32_t) { r.refractory = RefractoryRule::HoldFilter; });
    list.update(20, "filter.swapped_decays", "leak and u_decay are swapped",
                [](Rules& r, std::uint32_t) { std::swap(r.params.leak, r.params.u_decay); });
    for (const int delta : {-1, 1}) {
        const int u_shift = network.arithmetic.u_shift + delta;
        if (u_shift >= 0)
            list.update(20, delta < 0 ? "filter.shift_minus_one" : "filter.shift_plus_one",
                        "u_shift is " + std::to_string(u_shift) + ", not " +
                            std::to_string(network.arithmetic.u_shift),
                        [u_shift](Rules& r, std::uint32_t) { r.arithmetic.u_shift = u_shift; });
    }
}

void add_threshold(List& list, const golden::Network& network, const golden::NeuronParams& params) {
    const bool greater = network.arithmetic.compare == golden::Compare::Greater;
    list.update(4, greater ? "compare.greater_equal" : "compare.greater",
                greater ? "the threshold is compared with >=, not >"
                        : "the threshold is compared with >, not >=",
                [greater](Rules& r, std::uint32_t) {
                    r.arithmetic.compare =
                        greater ? golden::Compare::GreaterEqual : golden::Compare::Greater;
                });
    const auto compared = [&list](int prior, const char* id, const char* text, Compared what) {
        list.update(prior, id, text, [what](Rules& r, std::uint32_t) { r.compared = what; });
    };
    compared(10, "compare.previous_v", "the threshold is compared with v before the update",
             Compared::Previous);
    compared(14, "compare.before_input", "the threshold is compared before the input is added",
             Compared::Leaked);
    compared(14, "compare.unfitted", "the threshold is compared before overflow is handled",
             Compared::Unfitted);
    compared(10, "compare.unsigned", "v and threshold are compared as unsigned numbers",
             Compared::Unsigned);
    compared(25, "compare.magnitude", "the threshold is compared with |v|", Compared::Magnitude);
    for (const int delta : {-1, 1})
        list.update(15, delta < 0 ? "threshold.minus_one" : "threshold.plus_one",
                    "threshold is " + std::to_string(std::int64_t{params.threshold} + delta) +
                        ", not " + std::to_string(params.threshold),
                    [delta](Rules& r, std::uint32_t) { r.params.threshold += delta; });

    const bool subtracts = network.arithmetic.reset_mode == golden::ResetMode::Subtract;
    list.update(5, subtracts ? "reset.value" : "reset.subtract",
                subtracts ? "a spike resets v to v_reset, instead of subtracting the threshold"
                          : "a spike subtracts the threshold from v, instead of resetting it",
                [subtracts](Rules& r, std::uint32_t) {
                    r.arithmetic.reset_mode =
                        subtracts ? golden::ResetMode::Value : golden::ResetMode::Subtract;
                });
    const auto reset = [&list](int prior, const char* id, const char* text, ResetRule what) {
        list.update(prior, id, text, [what](Rules& r, std::uint32_t) { r.reset = what; });
    };
    reset(6, "reset.missing", "v is not reset by a spike", ResetRule::None);
    reset(7, "reset.zero", "a spike resets v to 0", ResetRule::Zero);
    reset(15, "reset.previous", "v keeps its value from before the update when it fires",
          ResetRule::Previous);
    reset(18, "reset.subtract_unfitted",
          "a spike subtracts the threshold before overflow is handled", ResetRule::SubtractExact);
    list.update(8, "shown.before_reset", "v is shown before the reset (v1)",
                [](Rules& r, std::uint32_t) { r.shows_before_reset = true; })
        .hides_state = true;
    list.update(12, "shown.previous_v", "v is shown as it was before the update",
                [](Rules& r, std::uint32_t) { r.shows_previous = true; })
        .hides_state = true;

    const auto spike = [&list](int prior, const char* id, const char* text, SpikeRule what) {
        list.update(prior, id, text, [what](Rules& r, std::uint32_t) { r.spike = what; });
    };
    spike(30, "spike.suppressed", "the neuron neither fires nor resets", SpikeRule::Never);
    spike(20, "spike.lost", "the neuron fires and resets, but its spike is lost",
          SpikeRule::Unseen);
    spike(20, "spike.without_reset", "the neuron fires, but neither v nor refr change",
          SpikeRule::WithoutReset);
    spike(40, "spike.phantom", "the neuron fires and resets without reaching the threshold",
          SpikeRule::Always);
    spike(15, "spike.while_held", "the neuron can fire in its refractory period",
          SpikeRule::WhileHeld);
    if (!params.spiking)
        list.update(10, "spike.of_integrator", "a neuron that must not fire (LI) fires",
                    [](Rules& r, std::uint32_t) { r.params.spiking = true; });
}

void add_refractory(List& list, const golden::Network& network,
                    const golden::NeuronParams& params) {
    // Each neuron from its own period.
    const auto period = [&list, &params](int prior, const char* id, std::int64_t change) {
        const auto changed = [change](std::uint32_t own) {
            return static_cast<std::uint32_t>(
                std::max<std::int64_t>(0, std::int64_t{own} + change));
        };
        list.update(prior, id,
                    "the refractory period is " + std::to_string(changed(params.refractory)) +
                        " timesteps, not " + std::to_string(params.refractory),
                    [changed](Rules& r, std::uint32_t) {
                        r.params.refractory = changed(r.params.refractory);
                    });
    };
    const std::uint32_t longest = (1U << network.arithmetic.refr_bits) - 1;
    if (params.refractory > 0) period(5, "refractory.minus_one", -1);
    if (params.refractory < longest) period(5, "refractory.plus_one", 1);
    if (params.refractory > 1) period(7, "refractory.none", -std::int64_t{longest});
    const auto rule = [&list](int prior, const char* id, const char* text, RefractoryRule what) {
        list.update(prior, id, text, [what](Rules& r, std::uint32_t) { r.refractory = what; });
    };
    rule(8, "refractory.ignored", "the refractory period is counted, but holds nothing",
         RefractoryRule::Ignore);
    rule(10, "refractory.leaks", "v leaks in the refractory period", RefractoryRule::Leak);
    rule(10, "refractory.integrates", "v integrates in the refractory period",
         RefractoryRule::Integrate);
    rule(6, "refractory.ends_at_one", "the refractory period already ends at refr = 1",
         RefractoryRule::HoldAboveOne);
    rule(15, "refractory.forces_reset", "v is forced to v_reset in the refractory period",
         RefractoryRule::ResetValue);
    rule(15, "refractory.not_counted", "refr is not counted down", RefractoryRule::NoCount);
}

void add_bias(List& list, const golden::NeuronParams& params, const golden::Network& network) {
    if (params.bias == 0) return;
    list.update(8, "bias.missing", "the bias is not added",
                [](Rules& r, std::uint32_t) { r.params.bias = 0; });
    list.update(10, "bias.doubled", "the bias is added twice",
                [](Rules& r, std::uint32_t) { r.bias_once_more = true; });
    list.update(10, "bias.negated", "the bias has the wrong sign",
                [](Rules& r, std::uint32_t) { r.params.bias = -r.params.bias; });
    if (params.bias < 0 && network.arithmetic.v_bits < 31)
        list.update(10, "bias.unsigned", "the bias is taken as an unsigned number",
                    [](Rules& r, std::uint32_t) {
                        if (r.params.bias < 0) r.params.bias += 1 << r.arithmetic.v_bits;
                    });
    if (params.cuba)
        list.update(12, "bias.after_filter", "the bias is added after the filter u",
                    [](Rules& r, std::uint32_t) { r.bias_after_filter = true; });
}

void add_neighbours(List& list, std::vector<Alternative>& all, const golden::Network& network,
                    std::uint32_t neuron, const Connectivity& connectivity) {
    const golden::NeuronParams& own = network.neurons[neuron];
    for (const int offset : {-1, 1}) {
        const std::int64_t index = std::int64_t{neuron} + offset;
        if (index < 0 || index >= network.n_neurons()) continue;
        const std::string suffix = offset < 0 ? ".before" : ".after";
        const std::string name = connectivity.neuron_name(static_cast<std::uint32_t>(index));
        const golden::NeuronParams& other = network.neurons[static_cast<std::size_t>(index)];
        // Outside the network a neuron keeps its own parameters.
        const auto of = [&network, offset](std::uint32_t n) -> const golden::NeuronParams& {
            const std::int64_t i = std::int64_t{n} + offset;
            return network
                .neurons[i < 0 || i >= network.n_neurons() ? n : static_cast<std::size_t>(i)];
        };
        const auto one = [&](const char* what, auto member) {
            if (own.*member == other.*member) return;
            list.update(
                16, std::string(what) + ".of_neighbour" + suffix,
                std::string(what) + " is that of " + name,
                [of, member](Rules& r, std::uint32_t n) { r.params.*member = of(n).*member; });
        };
        one("threshold", &golden::NeuronParams::threshold);
        one("v_reset", &golden::NeuronParams::v_reset);
        one("bias", &golden::NeuronParams::bias);
        one("leak", &golden::NeuronParams::leak);
        one("u_decay", &golden::NeuronParams::u_decay);
        one("refractory", &golden::NeuronParams::refractory);
        if (!(own == other))
            list.update(20, "parameters.of_neighbour" + suffix,
                        "all parameters are those of " + name,
                        [of](Rules& r, std::uint32_t n) { r.params = of(n); });
        Alternative state;
        state.prior = 30;
        state.id = "state.of_neighbour" + suffix;
        state.text = "the state that is updated is that of " + name;
        state.state_offset = offset;
        all.push_back(std::move(state));
        DeliveryRule rule;
        rule.target_offset = offset;
        list.deliver(18, "i_syn.of_neighbour" + suffix, "the input is that of " + name, rule);
    }
}

std::string synapse_text(const Connectivity& connectivity, std::uint32_t source,
                         std::uint32_t target, std::uint32_t synapse) {
    const golden::Synapse& s = connectivity.network().synapses[synapse];
    return connectivity.source_name(source) + " -> " + connectivity.neuron_name(target) +
           " (w=" + std::to_string(s.weight) + ", d=" + std::to_string(s.delay) + ")";
}

void add_deliveries(List& list, Recomputer& recomputer, std::uint32_t neuron, std::uint64_t t) {
    const golden::Network& network = recomputer.network();
    const Connectivity& connectivity = recomputer.activity().connectivity();
    using Which = DeliveryRule::Which;
    using Act = DeliveryRule::Act;
    const auto rule = [](Which which, Act act, std::uint32_t index = 0, int value = 0) {
        DeliveryRule r;
        r.which = which;
        r.act = act;
        r.index = index;
        r.value = value;
        return r;
    };
    const auto one = [&](int prior, std::string id, std::string text, DeliveryRule r,
                         std::uint32_t synapse, bool single) {
        Alternative& added = list.deliver(prior, std::move(id), std::move(text), r);
        added.synapse = synapse;
        added.single_event = single;
    };

    // Whole classes.
    list.deliver(6, "rows.last_missing", "the last synapse of each row is not delivered",
                 rule(Which::LastOfRows, Act::Drop));
    list.deliver(12, "rows.first_missing", "the first synapse of each row is not delivered",
                 rule(Which::FirstOfRows, Act::Drop));
    list.deliver(12, "rows.last_doubled", "the last synapse of each row is delivered twice",
                 rule(Which::LastOfRows, Act::Double));
    list.deliver(6, "weights.unsigned", "weights are taken as unsigned numbers",
                 rule(Which::All, Act::Unsigned));
    list.deliver(12, "weights.negated", "all weights have the wrong sign",
                 rule(Which::All, Act::Negate));
    for (const int delta : {-1, 1})
        list.deliver(12, delta < 0 ? "weights.shift_minus_one" : "weights.shift_plus_one",
                     "weight_shift is " + std::to_string(network.arithmetic.weight_shift + delta) +
                         ", not " + std::to_string(network.arithmetic.weight_shift),
                     rule(Which::All, Act::Shift, 0, delta));
    const struct {
        Which which;
        const char* id;
        const char* text;
    } classes[] = {{Which::All, "all", "all deliveries"},
                   {Which::Axons, "inputs", "input events"},
                   {Which::Neurons, "recurrent", "spikes of neurons"}};
    for (const auto& group : classes) {
        const std::string id(group.id);
        const std::string text(group.text);
        list.deliver(14, id + ".early", text + " act one timestep early",
                     rule(group.which, Act::Delay, 0, -1));
        list.deliver(10, id + ".late", text + " act one timestep late",
                     rule(group.which, Act::Delay, 0, 1));
        list.deliver(12, id + ".dropped", text + " are not delivered",
                     rule(group.which, Act::Drop));
        list.deliver(14, id + ".doubled", text + " are delivered twice",
                     rule(group.which, Act::Double));
    }
    const bool wraps = network.arithmetic.acc_overflow == golden::Overflow::Wrap;
    {
        Alternative& overflow =
            list.deliver(6, wraps ? "accumulator.saturate" : "accumulator.wrap",
                         wraps ? "the accumulator saturates, where the model wraps"
                               : "the accumulator wraps, where the model saturates",
                         DeliveryRule{});
        overflow.edit = [wraps](Rules& r, std::uint32_t) {
            r.arithmetic.acc_overflow = wraps ? golden::Overflow::Saturate : golden::Overflow::Wrap;
        };
    }
    for (const int delta : {-1, 1}) {
        const int bits = network.arithmetic.acc_bits + delta;
        if (bits < 2) continue;
        Alternative& width =
            list.deliver(25, delta < 0 ? "accumulator.narrow" : "accumulator.wide",
                         "the accumulator has " + std::to_string(bits) + " bits, not " +
                             std::to_string(network.arithmetic.acc_bits),
                         DeliveryRule{});
        width.edit = [bits](Rules& r, std::uint32_t) { r.arithmetic.acc_bits = bits; };
    }
    DeliveryRule special;
    special.stale_slot = true;
    list.deliver(8, "accumulator.not_cleared", "the accumulator keeps its last sum when it is read",
                 special);
    special = {};
    special.ignore_clear = true;
    list.deliver(10, "clear.pending", "spikes under way survive the clear between samples",
                 special);
    special = {};
    special.no_current = true;
    list.deliver(10, "current.missing", "the side-band current i_in is not added", special);

    // What arrived in this timestep, one by one.
    const Activity::Arrivals arrivals = recomputer.activity().arrivals(neuron, t);
    std::set<std::uint32_t> synapses;
    std::set<std::tuple<std::uint32_t, std::uint64_t>> sources;
    std::set<std::tuple<bool, std::uint64_t>> groups;
    for (const Arrival& arrival : arrivals.list) {
        const bool axon = connectivity.is_axon(arrival.source);
        const std::string from = connectivity.source_name(arrival.source);
        const std::string fired = " at t=" + std::to_string(arrival.fired_at);
        const std::string what = axon ? "input event " + from + fired : "spike " + from + fired;
        if (sources.insert({arrival.source, arrival.fired_at}).second) {
            const auto occurrences = std::count_if(
                arrivals.list.begin(), arrivals.list.end(), [&arrival](const Arrival& other) {
                    return other.synapse == arrival.synapse && other.fired_at == arrival.fired_at;
                });
            DeliveryRule event = rule(Which::Source, Act::Drop, arrival.source);
            event.only_fired_at = arrival.fired_at;
            if (occurrences > 1) event.only_order = arrival.order;
            const std::string once =
                occurrences > 1 ? " (one of " + std::to_string(occurrences) + " alike)" : "";
            one(7, axon ? "event.dropped" : "spike.not_routed",
                "the " + what + once + " was not delivered to any target", event, arrival.synapse,
                true);
            event.act = Act::Double;
            one(9, axon ? "event.doubled" : "spike.routed_twice",
                "the " + what + once + " was delivered twice to all targets", event,
                arrival.synapse, true);
            event.act = Act::Delay;
            event.value = 1;
            event.only_order.reset();
            if (occurrences > 1) {
                event.only_fired_at.reset();
                event.act = Act::Drop;
                event.only_fired_at = arrival.fired_at;
                one(11, axon ? "event.all_dropped" : "spike.all_dropped",
                    "all " + std::to_string(occurrences) + " deliveries of " + what + " were lost",
                    event, arrival.synapse, true);
            }
            one(9, axon ? "axon.dead" : "row.dead", "the row of " + from + " is never delivered",
                rule(Which::Source, Act::Drop, arrival.source), arrival.synapse, false);
            one(9, axon ? "axon.doubled" : "row.doubled",
                "the row of " + from + " is always delivered twice",
                rule(Which::Source, Act::Double, arrival.source), arrival.synapse, false);
            one(11, axon ? "axon.late" : "row.late", from + " acts one timestep late",
                rule(Which::Source, Act::Delay, arrival.source, 1), arrival.synapse, false);
        }
        if (groups.insert({axon, arrival.fired_at}).second) {
            DeliveryRule lost = rule(axon ? Which::Axons : Which::Neurons, Act::Drop);
            lost.only_fired_at = arrival.fired_at;
            one(13, axon ? "events.timestep_dropped" : "spikes.timestep_dropped",
                (axon ? std::string("all input events") : std::string("all spikes of neurons")) +
                    fired + " were lost",
                lost, arrival.synapse, true);
        }
        if (!synapses.insert(arrival.synapse).second) continue;
        const std::uint32_t s = arrival.synapse;
        const std::string text = synapse_text(connectivity, arrival.source, neuron, s);
        const int weight = network.synapses[s].weight;
        one(10, "synapse.dropped", "the synapse " + text + " was not delivered",
            rule(Which::One, Act::Drop, s), s, false);
        one(10, "synapse.doubled", "the synapse " + text + " was delivered twice",
            rule(Which::One, Act::Double, s), s, false);
        one(12, "synapse.negated", "the weight of " + text + " has the wrong sign",
            rule(Which::One, Act::Negate, s), s, false);
        one(12, "synapse.late", "the synapse " + text + " acts one timestep late",
            rule(Which::One, Act::Delay, s, 1), s, false);
        if (weight < 0)
            one(14, "synapse.unsigned", "the weight of " + text + " is taken as unsigned",
                rule(Which::One, Act::Unsigned, s), s, false);
        for (const int offset : {-1, 1}) {
            const std::int64_t other = std::int64_t{s} + offset;
            if (other < 0 || other >= static_cast<std::int64_t>(network.synapses.size())) continue;
            const int read = network.synapses[static_cast<std::size_t>(other)].weight;
            if (read == weight) continue;
            one(16, offset < 0 ? "synapse.weight_before" : "synapse.weight_after",
                "the weight of " + text + " was read as " + std::to_string(read) +
                    ", that of the synapse " + (offset < 0 ? "before" : "after") + " it",
                rule(Which::One, Act::Weight, s, read), s, false);
        }
        for (int bit = 0; bit < network.arithmetic.weight_bits; ++bit) {
            const int width = network.arithmetic.weight_bits;
            const auto flipped = static_cast<int>(
                fit(std::int64_t{weight} ^ (std::int64_t{1} << bit), width, Fit::Wrap));
            one(40, "synapse.weight_bit",
                "the weight of " + text + " was " + std::to_string(flipped) + " (bit " +
                    std::to_string(bit) + " flipped)",
                rule(Which::One, Act::Weight, s, flipped), s, false);
        }
    }

    // What should arrive one timestep later, and came now.
    for (const Arrival& arrival :
         recomputer.activity().arrivals(neuron, t, rule(Which::All, Act::Delay, 0, -1)).list) {
        const std::uint32_t s = arrival.synapse;
        one(12, "synapse.early",
            "the synapse " + synapse_text(connectivity, arrival.source, neuron, s) +
                " acts one timestep early",
            rule(Which::One, Act::Delay, s, -1), s, false);
        one(12, connectivity.is_axon(arrival.source) ? "axon.early" : "row.early",
            connectivity.source_name(arrival.source) + " acts one timestep early",
            rule(Which::Source, Act::Delay, arrival.source, -1), s, false);
    }
}
}  // namespace

std::vector<Alternative> alternatives_for(Recomputer& recomputer, std::uint32_t neuron,
                                          std::uint64_t t) {
    const golden::Network& network = recomputer.network();
    const golden::NeuronParams& params = network.neurons[neuron];
    std::vector<Alternative> all;
    List list(all);
    add_arithmetic(list, network, params);
    add_leak(list, network, params);
    add_threshold(list, network, params);
    add_refractory(list, network, params);
    add_bias(list, params, network);
    add_neighbours(list, all, network, neuron, recomputer.activity().connectivity());
    list.update(12, "update.skipped", "the neuron is not updated",
                [](Rules& r, std::uint32_t) { r.updates = 0; });
    list.update(14, "update.twice", "the neuron is updated twice with the same input",
                [](Rules& r, std::uint32_t) { r.updates = 2; });
    Alternative cleared;
    cleared.id = "state.cleared";
    cleared.text = "the state before the update was 0";
    cleared.prior = 20;
    cleared.state_cleared = true;
    all.push_back(std::move(cleared));
    if (t > 0 && t == recomputer.activity().clear_at(t)) {
        Alternative kept;
        kept.id = "clear.missing";
        kept.text = "the state was not cleared at the start of the sample";
        kept.prior = 5;
        kept.state_kept = true;
        all.push_back(std::move(kept));
    }
    add_deliveries(list, recomputer, neuron, t);
    return all;
}

}  // namespace spikelock::analysis::detail

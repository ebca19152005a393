// SPDX-License-Identifier: Apache-2.0
#include "neuron_update.hpp"

#include <algorithm>
#include <cstdlib>

namespace spikelock::analysis::detail {

using golden::Rounding;

namespace {
std::int64_t wrap(std::int64_t x, int bits) noexcept {
    const int spare = 64 - bits;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << spare) >> spare;
}

std::int64_t decay(const Rules& rules, std::int64_t x, std::uint32_t amount,
                   Rounding rounding) noexcept {
    if (rules.arithmetic.leak_mode == golden::LeakMode::Multiply)
        return round_shift(x * static_cast<std::int64_t>(amount), rules.arithmetic.leak_frac,
                           rounding);
    if (amount == 0) return x;
    return x - round_shift(x, static_cast<int>(std::min(amount, 62U)), rounding);
}

std::int64_t leak_of_v(const Rules& rules, std::int64_t v, bool has_input) noexcept {
    const bool shift_mode = rules.arithmetic.leak_mode == golden::LeakMode::Shift;
    const std::int64_t usual = decay(rules, v, rules.params.leak, rules.leak_rounding);
    switch (rules.leak) {
        case LeakRule::BeforeInput:
            return usual;
        case LeakRule::AfterInput:
            return v;
        case LeakRule::OnNegativeOnly:
            return v < 0 ? usual : v;
        case LeakRule::OnPositiveOnly:
            return v > 0 ? usual : v;
        case LeakRule::WithoutInput:
            return has_input ? v : usual;
        case LeakRule::WithInput:
            return has_input ? usual : v;
        case LeakRule::AtLeastOne:
            if (usual == v && v != 0) return v > 0 ? v - 1 : v + 1;
            return usual;
        case LeakRule::LogicalShift: {
            if (!shift_mode || rules.params.leak == 0 || v >= 0) return usual;
            const std::uint64_t field =
                static_cast<std::uint64_t>(v) & ((std::uint64_t{1} << rules.arithmetic.v_bits) - 1);
            return v - static_cast<std::int64_t>(field >> std::min(rules.params.leak, 63U));
        }
    }
    return usual;
}

bool over_threshold(const Rules& rules, const State& before, const Update& update) noexcept {
    const std::int64_t threshold = rules.params.threshold;
    std::int64_t x = update.v1;
    std::int64_t limit = threshold;
    switch (rules.compared) {
        case Compared::Next:
            break;
        case Compared::Previous:
            x = before.v;
            break;
        case Compared::Leaked:
            x = update.leaked;
            break;
        case Compared::Unfitted:
            x = update.sum;
            break;
        case Compared::Magnitude:
            x = std::abs(update.v1);
            break;
        case Compared::Unsigned: {
            const std::int64_t mask = (std::int64_t{1} << rules.arithmetic.v_bits) - 1;
            x &= mask;
            limit &= mask;
            break;
        }
    }
    return rules.arithmetic.compare == golden::Compare::Greater ? x > limit : x >= limit;
}

Update update_once(const Rules& rules, const State& before, std::int64_t i_syn) {
    const golden::Arithmetic& arithmetic = rules.arithmetic;
    const golden::NeuronParams& params = rules.params;
    Update update;
    update.i_syn = i_syn;
    const std::int64_t bias = std::int64_t{params.bias} * (rules.bias_once_more ? 2 : 1);
    update.input = i_syn + (rules.bias_after_filter ? 0 : bias);
    update.u = before.u;
    const bool holds_filter = rules.refractory == RefractoryRule::HoldFilter && before.refr > 0;
    if (params.cuba) {
        if (!holds_filter)
            update.u =
                fit(decay(rules, before.u, params.u_decay, rules.filter_rounding) + update.input,
                    arithmetic.u_bits, rules.u_fit);
        update.drive = round_shift(rules.drive_from_old_u ? before.u : update.u, arithmetic.u_shift,
                                   rules.drive_rounding);
    } else {
        update.drive = update.input;
    }
    if (rules.bias_after_filter) update.drive += bias;

    update.leaked = leak_of_v(rules, before.v, i_syn != 0);
    update.sum = update.leaked + update.drive;
    if (rules.leak == LeakRule::AfterInput)
        update.sum = decay(rules, update.sum, params.leak, rules.leak_rounding);
    update.v1 = fit(update.sum, arithmetic.v_bits, rules.v_fit);
    update.v = update.v1;
    update.refr = before.refr;

    const RefractoryRule hold = rules.refractory;
    update.held = before.refr > (hold == RefractoryRule::HoldAboveOne ? 1 : 0) &&
                  hold != RefractoryRule::Ignore;
    if (before.refr > 0 && hold != RefractoryRule::NoCount) --update.refr;
    const bool crosses = over_threshold(rules, before, update);
    if (update.held) {
        switch (hold) {
            case RefractoryRule::Leak:
                update.v = fit(update.leaked, arithmetic.v_bits, rules.v_fit);
                break;
            case RefractoryRule::Integrate:
                break;
            case RefractoryRule::ResetValue:
                update.v = params.v_reset;
                break;
            default:
                update.v = before.v;
                break;
        }
        if (rules.spike != SpikeRule::WhileHeld) return update;
    }
    const bool fires = rules.spike == SpikeRule::Always ||
                       (params.spiking && crosses && rules.spike != SpikeRule::Never);
    if (!fires) return update;

    update.spike = rules.spike != SpikeRule::Unseen;
    if (rules.spike == SpikeRule::WithoutReset) return update;
    update.refr = params.refractory;
    if (rules.filter_resets) update.u = 0;
    switch (rules.reset) {
        case ResetRule::None:
            break;
        case ResetRule::Zero:
            update.v = 0;
            break;
        case ResetRule::Previous:
            update.v = before.v;
            break;
        case ResetRule::SubtractExact:
            update.v = fit(update.sum - params.threshold, arithmetic.v_bits, rules.v_fit);
            break;
        case ResetRule::Configured:
            update.v = arithmetic.reset_mode == golden::ResetMode::Value
                           ? params.v_reset
                           : fit(update.v1 - params.threshold, arithmetic.v_bits, rules.v_fit);
            break;
    }
    if (rules.shows_before_reset) update.v = update.v1;
    return update;
}
}  // namespace

std::int64_t round_shift(std::int64_t x, int shift, Rounding mode) noexcept {
    if (shift <= 0) return x;
    // A shift may be as large as leak_frac allows; beyond 62 the result no longer changes.
    shift = std::min(shift, 62);
    const std::int64_t below_one = (std::int64_t{1} << shift) - 1;
    switch (mode) {
        case Rounding::Floor:
            return x >> shift;
        case Rounding::TowardZero:
            return x < 0 ? -(-x >> shift) : x >> shift;
        case Rounding::AwayFromZero:
            return x < 0 ? -((-x + below_one) >> shift) : (x + below_one) >> shift;
        case Rounding::NearestEven: {
            const std::int64_t floor = x >> shift;
            const std::int64_t twice_rest = (x & below_one) * 2;
            const std::int64_t one = below_one + 1;
            if (twice_rest > one || (twice_rest == one && (floor & 1) != 0)) return floor + 1;
            return floor;
        }
    }
    return x >> shift;
}

std::int64_t fit(std::int64_t x, int bits, Fit mode) noexcept {
    const std::int64_t high = (std::int64_t{1} << (bits - 1)) - 1;
    const std::int64_t low = -high - 1;
    switch (mode) {
        case Fit::Wrap:
            return wrap(x, bits);
        case Fit::Saturate:
            return std::clamp(x, low, high);
        case Fit::SaturatePositive:
            return x < low || x > high ? high : x;
        case Fit::SaturateSymmetric:
            return std::clamp(x, -high, high);
        case Fit::ClampAtZero:
            return std::clamp(x, std::int64_t{0}, high);
    }
    return x;
}

Fit fit_of(golden::Overflow overflow) noexcept {
    return overflow == golden::Overflow::Wrap ? Fit::Wrap : Fit::Saturate;
}

Rules rules_of(const golden::Network& network, std::uint32_t neuron) {
    Rules rules;
    rules.arithmetic = network.arithmetic;
    rules.params = network.neurons[neuron];
    rules.leak_rounding = network.arithmetic.rounding;
    rules.filter_rounding = network.arithmetic.rounding;
    rules.drive_rounding = network.arithmetic.rounding;
    rules.v_fit = fit_of(network.arithmetic.v_overflow);
    rules.u_fit = fit_of(network.arithmetic.v_overflow);
    return rules;
}

std::int64_t accumulate(const golden::Arithmetic& arithmetic, const Activity::Arrivals& arrivals) {
    const Fit mode = fit_of(arithmetic.acc_overflow);
    std::int64_t sum = 0;
    for (const Arrival& arrival : arrivals.list)
        sum = fit(sum + arrival.contribution, arithmetic.acc_bits, mode);
    return fit(sum + arrivals.current, arithmetic.acc_bits, mode);
}

Update update_neuron(const Rules& rules, const State& before, std::int64_t i_syn) {
    if (rules.updates == 0) {
        Update update;
        update.i_syn = i_syn;
        update.v = update.v1 = before.v;
        update.u = before.u;
        update.refr = before.refr;
        return update;
    }
    Update update = update_once(rules, before, i_syn);
    for (int i = 1; i < rules.updates; ++i) {
        const bool fired = update.spike;
        update = update_once(rules, {update.v, update.u, update.refr}, i_syn);
        update.spike = update.spike || fired;
    }
    if (rules.shows_previous) update.v = before.v;
    if (rules.least_bits_dropped > 0)
        update.v = update.v >> rules.least_bits_dropped << rules.least_bits_dropped;
    return update;
}

}  // namespace spikelock::analysis::detail

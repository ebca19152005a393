// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "activity.hpp"
#include "spikelock/golden/network.hpp"

// The update of one neuron, written from docs/model.md without the golden's kernels, and with every
// place in which cores are known to depart from it as a choice. It is the judge of explanations,
// not a simulator: clarity before speed.
namespace spikelock::analysis::detail {

enum class Fit : std::uint8_t {
    Wrap,
    Saturate,
    SaturatePositive,   ///< both overflows end at the positive bound
    SaturateSymmetric,  ///< the lower bound is -(2^(W-1) - 1)
    ClampAtZero,        ///< saturates, and negative values become 0
};

/// What the threshold is compared with.
enum class Compared : std::uint8_t {
    Next,       ///< v1, as in eq. 6
    Previous,   ///< v before the update
    Leaked,     ///< v after leak, before input
    Unfitted,   ///< the exact sum before fit
    Unsigned,   ///< v1 and threshold as unsigned numbers
    Magnitude,  ///< |v1|
};

enum class LeakRule : std::uint8_t {
    BeforeInput,     ///< eq. 4
    AfterInput,      ///< decay(v + drive)
    OnNegativeOnly,  ///< positive values do not leak
    OnPositiveOnly,
    WithoutInput,  ///< only in timesteps without input
    WithInput,     ///< only in timesteps with input
    AtLeastOne,    ///< the amount that leaks is at least 1 LSB while v is not 0
    LogicalShift,  ///< v >> k fills with zeros in VWidth bits
};

enum class RefractoryRule : std::uint8_t {
    Hold,          ///< eq. 5
    Ignore,        ///< refr is counted, but does not hold
    Leak,          ///< v leaks, input is dropped
    Integrate,     ///< v integrates, but does not fire
    HoldAboveOne,  ///< refr = 1 no longer holds
    ResetValue,    ///< v is forced to v_reset
    NoCount,       ///< refr is not decremented
    HoldFilter,    ///< u is held too
};

enum class ResetRule : std::uint8_t {
    Configured,
    None,  ///< v keeps v1
    Zero,
    Previous,       ///< v keeps the value from before the update
    SubtractExact,  ///< subtracts before fit
};

enum class SpikeRule : std::uint8_t {
    Configured,
    Never,   ///< neither fires nor resets
    Unseen,  ///< resets, but the spike is not delivered
    WithoutReset,
    Always,     ///< fires whatever v1 is
    WhileHeld,  ///< the threshold is compared in the refractory period too
};

struct Rules {
    golden::Arithmetic arithmetic;
    golden::NeuronParams params;
    golden::Rounding leak_rounding{};
    golden::Rounding filter_rounding{};
    golden::Rounding drive_rounding{};
    Fit v_fit = Fit::Saturate;
    Fit u_fit = Fit::Saturate;
    Compared compared = Compared::Next;
    LeakRule leak = LeakRule::BeforeInput;
    RefractoryRule refractory = RefractoryRule::Hold;
    ResetRule reset = ResetRule::Configured;
    SpikeRule spike = SpikeRule::Configured;
    bool shows_before_reset = false;  ///< v is shown as v1 where the neuron fires
    bool shows_previous = false;      ///< v is shown as it was before the update
    bool drive_from_old_u = false;
    bool filter_resets = false;  ///< u is cleared by a spike
    bool bias_after_filter = false;
    bool bias_once_more = false;
    int updates = 1;             ///< 0: skipped, 2: done twice with the same input
    int least_bits_dropped = 0;  ///< low bits of v that are stored as 0
};

/// The update of docs/model.md for neuron n of a network. @pre neuron < n_neurons()
Rules rules_of(const golden::Network& network, std::uint32_t neuron);

struct State {
    std::int64_t v = 0;
    std::int64_t u = 0;
    std::int64_t refr = 0;
};

/// Every term of one update, by the names of docs/model.md section 3.
struct Update {
    std::int64_t i_syn = 0;
    std::int64_t input = 0;
    std::int64_t u = 0;
    std::int64_t drive = 0;
    std::int64_t leaked = 0;  ///< decay(v, leak)
    std::int64_t sum = 0;     ///< leaked + drive, exact
    std::int64_t v1 = 0;
    bool held = false;  ///< in the refractory period
    bool spike = false;
    std::int64_t v = 0;
    std::int64_t refr = 0;
};

std::int64_t round_shift(std::int64_t x, int shift, golden::Rounding mode) noexcept;
std::int64_t fit(std::int64_t x, int bits, Fit mode) noexcept;
Fit fit_of(golden::Overflow overflow) noexcept;

/// eq. 1 and 2: the sum of deliveries, fitted after each one.
std::int64_t accumulate(const golden::Arithmetic& arithmetic, const Activity::Arrivals& arrivals);
/// eq. 3 to 6.
Update update_neuron(const Rules& rules, const State& before, std::int64_t i_syn);

}  // namespace spikelock::analysis::detail

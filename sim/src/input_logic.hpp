// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

/// Lets the host skip the combinational logic that follows the inputs, in an eval before which no
/// input but the clock changed: Verilator computes it in each eval, twice a clock.
/// In the model's C++ code the one call of that logic gets a condition, spikelock_inputs_settled,
/// which the host sets. Where the logic reads the clock itself (a gated clock), or the code does
/// not look as expected, all stays as it is.
/// @param folder       of the Verilated model with prefix Vdut
/// @param clock_member C++ name of the clock port
/// @returns whether the condition was put in; an Error where a file cannot be written
Result<bool> make_input_logic_skippable(const std::string& folder, const std::string& clock_member);

}  // namespace spikelock::sim::detail

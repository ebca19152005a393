// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

/// What a model's C++ code lets the host leave out of its evals. Where the code does not look as
/// expected, nothing.
struct EvalShortcuts {
    /// The combinational logic behind the inputs, where none but the clock changed. The logic does
    /// not read the clock (a gated clock), gives the same again, and its one call got the condition
    /// spikelock_inputs_settled, which the host sets.
    bool settled_inputs = false;
    /// The eval of a falling edge before which no input changed: only rising edges of the clock are
    /// looked at. Here the member that holds what the clock was in the eval before; with 0 in it
    /// the next eval sees a rising edge.
    std::string clock_before;
    /// The same where inputs have changed: no other signal has edges that are looked at, and no
    /// assertion samples what follows the inputs.
    bool clock_alone = false;
    /// What surrounds the model's own eval function in its public one: nothing in it matters.
    bool eval_alone = false;
};

/// Finds them, puts in that condition, and writes shortcuts.inc, which the host includes.
/// @param folder       of the Verilated model with prefix Vdut
/// @param clock_member C++ name of the clock port; empty: no shortcuts are wanted
/// @returns an Error where a file cannot be written
Result<EvalShortcuts> make_eval_shortcuts(const std::string& folder,
                                          const std::string& clock_member);

}  // namespace spikelock::sim::detail

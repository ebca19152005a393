// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "spikelock/analysis/causal_chain.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"
#include "spikelock/analysis/spike_diff.hpp"

namespace spikelock::analysis {

/// The facts of a report for machines: one JSON object, keys as the members are named, in a fixed
/// order. Raw values are integers (the bit pattern of a float64); `expected_value` and
/// `actual_value` are in units, null where they are not finite. Absent optionals are null.
/// @param window  timesteps of the windows around the divergence that are written, on each side
std::string to_json(const DivergenceReport& report, std::uint32_t window = 8);
std::string to_json(const SpikeDiff& diff);
std::string to_json(const CausalChain& chain);
std::string to_json(const Explanation& explanation);

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::analysis {

/// Spikes as a picture of braille dots (UTF-8), time to the right, neuron 0 on top. A dot is set
/// where any spike falls into its share of neurons and timesteps, so no spike is ever lost. A
/// column whose timesteps are all invalid shows '?'.
/// @param first   first timestep; timesteps that the trace does not hold are left out
/// @param count   timesteps; 0: to the end
/// @param width   columns of text without the axis, >= 1; 2 dots each
/// @param height  most rows of text, >= 1; 4 dots each
/// @returns lines, each ended by a newline: the rows with the first neuron of each on the left, and
/// the time axis; one line that says so where there is nothing to show
std::string raster(const trace::ExecutionTrace& trace, std::uint64_t first, std::uint64_t count,
                   std::uint32_t width, std::uint32_t height);

/// A bar per population with its mean firing rate: spikes per neuron and second, and the share of
/// neuron-timesteps with a spike. Populations without label for it stand as "all".
/// @param width  columns of a line, >= 40
std::string rate_bars(const trace::ExecutionTrace& trace, std::uint32_t width = 80);

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/writer.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::bridge::waves {

/// How timesteps become times: timestep t begins at t * units, in units of 10^exponent seconds.
struct TimeBase {
    int exponent = 0;
    std::uint64_t units = 1;
    bool exact = true;  ///< false: dt is no whole number of femtoseconds; a timestep is 1 s
};
TimeBase time_base(double dt);

/// Writes what a source yields as a waveform for a viewer: a scope a population, in it for neuron n
/// of the population `spike_n` (one bit, high for the timestep in which it fires) and `<field>_n`
/// (raw integers, two's complement; a real for float64). What is not valid is x. Memory does not
/// depend on the number of timesteps.
/// @param writer  fresh, with the exponent of time_base(source.shape().dt); closed by the caller
/// @returns timesteps written
/// @errors those of the source
Result<std::uint64_t> write_waves(trace::StepSource& source, vcd::Writer& writer);

}  // namespace spikelock::bridge::waves

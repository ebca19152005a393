// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::golden {

/// Records what a network does under random input, in memory and without any RTL.
class SpikeTracer {
public:
    /// @param input_rate  of the Poisson input on every axon, spikes per second
    explicit SpikeTracer(Network network, double input_rate = 100.0)
        : network_(std::move(network)), input_rate_(input_rate) {}

    /// Runs from a cleared state; equal arguments give equal traces.
    /// @param duration  seconds, rounded to whole timesteps
    /// @param dt        seconds per timestep; the network's own, for which it was quantised
    /// @param seed      of the input
    /// @errors Errc::BadConfig for a bad network, a duration that is negative or not finite, or a
    /// dt that is not the network's; Errc::Limit when the trace would exceed 2^32 timesteps
    Result<trace::ExecutionTrace> run(double duration, double dt, std::uint64_t seed) const;

private:
    Network network_;
    double input_rate_;
};

}  // namespace spikelock::golden

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "spikelock/golden/network.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::test {

/// A bug planted into the simulator, by the id of the hypothesis that should find it.
struct Fault {
    std::string id;              ///< empty: none
    std::uint64_t timestep = 0;  ///< of a single event
    std::uint32_t index = 0;     ///< neuron, synapse or source that it is about
};

/// docs/model.md as plain loops, for tests only: no code of analysis/ or golden/.
trace::ExecutionTrace simulate(const golden::Network& network, const trace::Stimulus& stimulus,
                               const Fault& fault = {});

/// A copy of a trace with one value changed. @pre the trace holds the place
trace::ExecutionTrace with_value(const trace::ExecutionTrace& trace, const std::string& field,
                                 std::uint64_t timestep, std::uint32_t neuron, std::int64_t value);

/// Timesteps first..first+count-1 of a trace.
trace::ExecutionTrace part_of(const trace::ExecutionTrace& trace, std::uint64_t first,
                              std::uint64_t count);

/// A random network of at most 24 neurons that fires.
/// @param cuba  whether some neurons have the synaptic filter
golden::Network small_network(std::uint64_t seed, bool cuba = true);
/// Poisson input for it in samples of 64 timesteps, each from cleared state.
std::unique_ptr<trace::Stimulus> input_for(const golden::Network& network, std::uint64_t seed,
                                           std::uint64_t n_steps = 256);

}  // namespace spikelock::analysis::test

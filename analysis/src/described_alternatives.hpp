// SPDX-License-Identifier: Apache-2.0
// What a core under a description may have done with its network and its input, each as another
// network or description that is then run: nothing here computes an update.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::detail {

/// A network under a description, to be changed.
struct Described {
    golden::Network network;
    golden::Description description;
};

/// A way in which a core departs from its network or from what was delivered.
struct DescribedAlternative {
    std::string id;
    std::string text;
    int prior = 50;  ///< among equals, lower comes first
    std::function<void(Described&)> edit;
    std::optional<std::uint64_t> only_at;  ///< the one timestep in which it holds; absent: in all
    /// Changes the input of `only_at`, in place of `edit`.
    std::function<void(trace::StimulusBlock&)> input;
    std::optional<std::uint32_t> synapse;
};

/// What is known of the update in which both sides part.
struct DescribedUpdate {
    std::uint32_t neuron = 0;
    std::uint64_t timestep = 0;
    std::optional<std::int64_t> i_syn_error;  ///< observed less predicted
    std::optional<std::int64_t> u_error, v_error;
    std::int64_t v = 0;                  ///< predicted
    std::optional<std::int64_t> v_seen;  ///< observed
    std::optional<std::int64_t> v1;      ///< before threshold and reset
    bool fires = false;                  ///< as predicted
    bool fired = false;                  ///< as observed
};

/// The values of a parameter of a description, one for each neuron.
/// @param of_network  what Param::From::Network means
std::vector<std::int64_t> values_of(
    const golden::Param& param, const golden::Network& network,
    const std::function<std::int64_t(const golden::NeuronParams&)>& of_network);
std::vector<std::int64_t> thresholds_of(const Described& described);
std::vector<std::int64_t> biases_of(const Described& described);

/// Makes a neuron unable to fire, and takes away what a low v does: its v is then v1.
void without_threshold(Described& described, std::uint32_t neuron);

/// Ways to depart that are worth trying for an update, about parameters and spikes of its neuron
/// and about what arrived at it.
/// @param core  supplies the spikes, and the order of events where it has one
std::vector<DescribedAlternative> described_alternatives(const Described& described,
                                                         const Connectivity& connectivity,
                                                         const trace::Stimulus& stimulus,
                                                         const trace::ExecutionTrace& core,
                                                         const DescribedUpdate& update);

}  // namespace spikelock::analysis::detail

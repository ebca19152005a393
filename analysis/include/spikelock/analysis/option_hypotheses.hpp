// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

struct OptionHypothesesOptions {
    std::size_t most_hypotheses = 12;
    std::uint64_t most_updates = 40'000'000;  ///< neuron-updates that are computed, in all
    /// Neuron-updates of the golden before the window, to have the state of what is not shown.
    std::uint64_t most_before = 400'000'000;
    /// Synapses and neuron-updates that changes of the network go through, in all.
    std::uint64_t most_network_work = 200'000'000;
};

/// Tries every change of one option of the golden's description (those that `fit` searches) on the
/// timestep in which a core first departs from it, from the state that was observed before it, and
/// lists the changes that give what the core shows. Each is also tried on every other timestep of
/// the window: one that the core refutes elsewhere is told from one that fits all of them.
/// Hypothesis::id is "option." with the option and its value, e.g. "option.leak.rounding=floor".
/// With a description also changes of the network and of what was delivered are tried: parameters
/// of the neuron, single events and spikes lost or doubled, rows and synapses lost, doubled, early
/// or late, weights and types; and what was shown where and when. Their ids are those of
/// explain_divergence() where that has the same.
/// @param network      of the golden
/// @param description  [golden] of the manifest
/// @param stimulus     of the run
/// @param report       from describe(), with its windows
/// @errors as explain_divergence(); those of golden::DescribedSource::create() for the description
/// as it is
/// @source docs/golden.md
Result<Explanation> explain_by_options(const golden::Network& network,
                                       const std::optional<golden::Setting>& description,
                                       const trace::Stimulus& stimulus,
                                       const DivergenceReport& report,
                                       const OptionHypothesesOptions& options = {});

}  // namespace spikelock::analysis

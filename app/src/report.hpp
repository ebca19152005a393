// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "answers.hpp"
#include "console.hpp"
#include "spikelock/analysis/causal_chain.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"
#include "spikelock/analysis/spike_diff.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace spikelock::app {

/// Everything a verb has found out about two sources, for one text or one JSON object.
struct Findings {
    std::string headline;
    const lockstep::Outcome* outcome = nullptr;
    std::optional<analysis::DivergenceReport> divergence;
    std::optional<analysis::Explanation> explanation;
    std::optional<analysis::CausalChain> chain;
    std::optional<analysis::SpikeDiff> spikes;
    std::vector<std::pair<std::string, Accuracy>> accuracies;  ///< by model
    std::uint32_t n_neurons = 0;
    std::uint64_t clocks = 0;        ///< of the core; 0 where there is none
    std::string trace_file;          ///< empty: nothing was recorded
    std::vector<std::string> notes;  ///< one line each
    std::string reproduce;
    std::uint64_t start_clocks = 0;  ///< of them, for the start-up list
    std::string provenance;          ///< JSON
    trace::Shape shape;
};

/// The report for people, ending with the line that reproduces it.
void print_text(const Findings& findings, const Console& console);
/// The same facts as one JSON object.
void print_json(const Findings& findings, const Console& console);
/// Verdict and place as JSON, for the trace's attributes.
std::string verdict_json(const Findings& findings);

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "spikelock/analysis/causal_chain.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"
#include "spikelock/analysis/spike_diff.hpp"

namespace spikelock::analysis {

/// How text is laid out for people.
struct RenderOptions {
    std::uint32_t width = 80;  ///< columns, >= 60
    bool colour = false;       ///< ANSI colours; the text without them says the same
    std::uint32_t before = 4;  ///< timesteps of the window table
    std::uint32_t after = 3;
    std::size_t most_differences = 8;  ///< lines of the list of differences
    std::size_t most_spikes = 8;       ///< neurons listed by a spike diff
};

/// Place, values, the last agreement, the other differences, and a table of both sides around it.
std::string render(const DivergenceReport& report, const RenderOptions& options = {});
/// The update term by term, what is certain, and the hypotheses.
std::string render(const Explanation& explanation, const RenderOptions& options = {});
/// The chain as an indented tree; a node that stands in several places is drawn once.
std::string render(const CausalChain& chain, const RenderOptions& options = {});
std::string render(const SpikeDiff& diff, const trace::Shape& shape,
                   const RenderOptions& options = {});

/// The chain as a Graphviz graph, causes above effects.
std::string to_dot(const CausalChain& chain);

}  // namespace spikelock::analysis

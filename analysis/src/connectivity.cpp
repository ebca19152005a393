// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/connectivity.hpp"

#include "spikelock/base/assert.hpp"

namespace spikelock::analysis {

namespace {
template <typename Range>
std::string name_in(const std::vector<Range>& ranges, std::uint32_t index, const char* otherwise) {
    for (const Range& range : ranges)
        if (index >= range.begin && index < range.end)
            return range.label + "[" + std::to_string(index - range.begin) + "]";
    return std::string(otherwise) + " " + std::to_string(index);
}
}  // namespace

Connectivity::Connectivity(const golden::Network& network)
    : network_(network), begin_(network.n_neurons() + std::size_t{1}, 0) {
    // Counting sort by target; rows are walked in order, so each target's list ends up by source,
    // then in row order, which is the order of delivery inside a phase.
    for (const golden::Synapse& synapse : network.synapses) {
        SPIKELOCK_ASSERT(synapse.target < network.n_neurons());
        ++begin_[synapse.target + std::size_t{1}];
    }
    for (std::size_t n = 1; n < begin_.size(); ++n) begin_[n] += begin_[n - 1];
    incoming_.resize(network.synapses.size());
    std::vector<std::uint32_t> next(begin_.begin(), begin_.end() - 1);
    const auto sources = static_cast<std::uint32_t>(network.row_begin.size() - 1);
    for (std::uint32_t source = 0; source < sources; ++source)
        for (std::uint32_t i = network.row_begin[source]; i < network.row_begin[source + 1]; ++i) {
            const golden::Synapse& synapse = network.synapses[i];
            incoming_[next[synapse.target]++] = {source, i, synapse.weight, synapse.delay};
        }
}

std::string Connectivity::source_name(std::uint32_t source) const {
    if (is_axon(source)) return name_in(network_.ports, source, "axon");
    return neuron_name(source - network_.n_axons());
}

std::string Connectivity::neuron_name(std::uint32_t neuron) const {
    return name_in(network_.populations, neuron, "neuron");
}

}  // namespace spikelock::analysis

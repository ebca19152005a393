// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spikelock/golden/network.hpp"

namespace spikelock::analysis {

/// The synapses of a network by target: a network lists them by source. Built once, then read only.
/// Refers to the network, which must outlive it and stay unchanged.
class Connectivity {
public:
    /// A synapse seen from its target.
    struct Incoming {
        std::uint32_t source = 0;   ///< axon a, or n_axons + neuron
        std::uint32_t synapse = 0;  ///< index in Network::synapses
        std::int16_t weight = 0;    ///< LSB, before the weight shift
        std::uint16_t delay = 0;    ///< timesteps
    };

    /// @pre network.check() succeeds
    explicit Connectivity(const golden::Network& network);

    const golden::Network& network() const noexcept { return network_; }
    /// Synapses onto a neuron, by source, then in row order. @pre neuron < n_neurons()
    std::span<const Incoming> into(std::uint32_t neuron) const noexcept {
        return std::span(incoming_).subspan(begin_[neuron], begin_[neuron + 1] - begin_[neuron]);
    }
    bool is_axon(std::uint32_t source) const noexcept { return source < network_.n_axons(); }
    /// "pixels[12]" for an axon, "hidden[3]" for a neuron. @pre source < n_axons + n_neurons
    std::string source_name(std::uint32_t source) const;
    /// "hidden[3]". @pre neuron < n_neurons
    std::string neuron_name(std::uint32_t neuron) const;
    /// What one delivery adds to the accumulator: weight * 2^weight_shift.
    std::int64_t contribution(std::int16_t weight) const noexcept {
        return static_cast<std::int64_t>(weight) *
               (std::int64_t{1} << network_.arithmetic.weight_shift);
    }

private:
    const golden::Network& network_;
    std::vector<std::uint32_t> begin_;  ///< shape (n_neurons + 1)
    std::vector<Incoming> incoming_;
};

}  // namespace spikelock::analysis

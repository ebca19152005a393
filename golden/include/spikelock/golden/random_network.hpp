// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"

namespace spikelock::golden {

/// Bounds of a random network. The defaults give every mode and width of docs/model.md its turn.
struct RandomNetworkOptions {
    std::uint32_t min_neurons = 8;
    std::uint32_t max_neurons = 96;
    std::uint32_t min_axons = 4;
    std::uint32_t max_axons = 32;
    std::uint32_t max_populations = 4;
    std::uint32_t max_synapses = 65536;
    /// Word widths and modes to keep where they are not drawn.
    Arithmetic arithmetic;
    bool random_widths = true;  ///< v_bits, u_bits, acc_bits, weight_bits, leak_frac, refr_bits,
                                ///< delay_slots
    bool random_modes = true;   ///< leak, rounding, overflow, compare, reset; the shifts always are
    bool allow_cuba = true;
    bool allow_delay_0_inside = true;  ///< synapses of delay 0 within a population
    double input_probability = 0.1;    ///< of the Poisson input that the thresholds are set for
    double min_activity = 0.01;        ///< share of neuron-timesteps that fire
    double max_activity = 0.5;
    std::uint32_t calibration_steps = 256;
};

/// A random network: feed-forward (delay 0) and recurrent (delays) projections, dense and sparse
/// rows, duplicate synapses, spiking and integrating neurons with and without CUBA filter, some
/// parameters at their extremes. Thresholds are scaled until a golden run under Poisson input of
/// the stated probability has the stated activity. Equal arguments give equal networks.
/// @errors Errc::BadConfig when the bounds contradict each other, Errc::Limit when no draw reaches
/// the activity (far-off widths)
Result<Network> random_network(std::uint64_t seed, const RandomNetworkOptions& options = {});

}  // namespace spikelock::golden

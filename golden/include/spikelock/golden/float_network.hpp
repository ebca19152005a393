// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden {

enum class NeuronKind : std::uint8_t { If, Lif, CubaLif, Li, CubaLi };

/// One population of the float model; all arrays have `size` elements, in SI units as NIR gives
/// them.
struct FloatPopulation {
    std::string label;
    NeuronKind kind = NeuronKind::Lif;
    std::uint32_t size = 0;
    std::vector<double>
        tau_mem;  ///< seconds; unused by IF; 0: no memory, v = R * I (NIR Threshold)
    std::vector<double> tau_syn;  ///< seconds; CUBA only
    std::vector<double> w_in;     ///< CUBA only
    std::vector<double> r;
    std::vector<double> v_leak;
    std::vector<double> v_threshold;  ///< unused by LI, CUBA-LI
    std::vector<double> v_reset;
    std::vector<double> bias;  ///< constant input current I (from Affine nodes)
    double refractory = 0.0;   ///< seconds
};

struct FloatSynapse {
    std::uint32_t target = 0;  ///< global neuron index
    double weight = 0.0;
    double delay = 0.0;      ///< seconds, from Delay nodes; 0 for none
    bool recurrent = false;  ///< crosses a feedback edge: acts one timestep later
};

/// A network as imported, before quantisation. Same ordering rules and row layout as Network.
struct FloatNetwork {
    std::string name;
    std::vector<InputPort> ports;
    std::vector<FloatPopulation> populations;  ///< in processing order
    std::vector<std::uint32_t> row_begin;      ///< shape (n_axons + n_neurons + 1)
    std::vector<FloatSynapse> synapses;

    std::uint32_t n_axons() const noexcept { return ports.empty() ? 0 : ports.back().end; }
    std::uint32_t n_neurons() const noexcept;
    std::vector<trace::Population> ranges() const;  ///< populations as neuron ranges
};

/// Subtract or set to v_reset when a neuron fires; NIR leaves it to the platform.
struct FloatOptions {
    double dt = 1e-3;  ///< seconds
    ResetMode reset_mode = ResetMode::Value;
    Compare compare = Compare::GreaterEqual;
};

/// The float64 model as a source: fields i_syn, u (if any neuron is CUBA) and v, float64, all in
/// units of voltage: constant factors are folded into weights as quantise() folds them, so that a
/// field has the same meaning as the golden's. Euler steps of docs/model.md section 5, in the same
/// processing order as the golden; delays and refractory periods are rounded to timesteps.
/// submit() takes plain events only, with the errors of GoldenSource.
/// @errors Errc::BadConfig naming the population or synapse whose parameters are out of range
Result<std::unique_ptr<trace::StepSource>> make_float_source(FloatNetwork network,
                                                             FloatOptions options);

}  // namespace spikelock::golden

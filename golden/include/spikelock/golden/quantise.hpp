// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/float_network.hpp"
#include "spikelock/golden/network.hpp"

namespace spikelock::golden {

struct QuantiseOptions {
    double dt = 1e-3;       ///< seconds
    Arithmetic arithmetic;  ///< word widths, modes; the members below say which parts are chosen
    bool choose_scale =
        true;  ///< choose v_frac, weight_shift and u_shift; else take them from `arithmetic`
    int headroom_bits = 2;  ///< bits of v kept free above the largest threshold when choosing
                            ///< v_frac, 0..v_bits-2
};

/// What quantisation lost. A row counts what leads into a population and what it is made of.
struct QuantiseReport {
    struct Row {
        std::string label;
        std::uint64_t weights = 0;      ///< synapses of the float network that lead into it
        double max_weight_error = 0.0;  ///< units of v
        double rms_weight_error = 0.0;
        std::uint64_t weights_clipped = 0;  ///< did not fit in weight_bits
        std::uint64_t weights_zeroed = 0;   ///< rounded to 0, so not in the network
        double max_threshold_error = 0.0;   ///< units of v
        double max_leak_error = 0.0;        ///< of a decay factor, of v or of u
        double saturation_margin = 0.0;  ///< largest representable v / largest threshold; 0 without
        double input_margin = 0.0;  ///< largest representable sum of inputs / sum if every source
                                    ///< sends one event at once; 0 without inputs
    };
    std::vector<Row> rows;
    std::vector<std::string> notes;  ///< one sentence each, naming the population
    int v_frac = 0;
    int weight_shift = 0;
    int u_shift = 0;
};

struct Quantised {
    Network network;
    QuantiseReport report;
};

/// Turns a float network into integers: folds R, tau and dt into weights and biases, chooses the
/// scales that use the given widths best, rounds to nearest even.
///
/// Scales are chosen so that no weight is clipped, in this order: all weight_bits are used; where
/// the accumulator wraps, it holds one event of every source at once; v and then u get as many
/// fraction bits as thresholds with their headroom, biases and u_bits allow. An integrator has no
/// threshold; there v holds one event of every source at once.
///
/// A leak that is a shift becomes the nearest of no leak and 2^-1 .. 2^-31. v_leak of a CUBA neuron
/// enters through its synaptic filter and so takes tau_syn to settle.
/// @errors Errc::BadConfig when a width, delay or refractory period does not fit, naming population
/// and value
/// @source docs/model.md section 5
Result<Quantised> quantise(const FloatNetwork& network, const QuantiseOptions& options);

}  // namespace spikelock::golden

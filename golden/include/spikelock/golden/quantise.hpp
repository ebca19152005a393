// SPDX-License-Identifier: Apache-2.0
#pragma once

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
    int headroom_bits =
        2;  ///< bits of v kept free above the largest threshold when choosing v_frac
};

/// What quantisation lost, per population.
struct QuantiseReport {
    struct Row {
        std::string label;
        double max_weight_error = 0.0;  ///< units of v
        double rms_weight_error = 0.0;
        std::uint64_t weights_clipped = 0;  ///< did not fit in weight_bits
        double max_threshold_error = 0.0;
        double max_leak_error = 0.0;     ///< of the decay factor
        double saturation_margin = 0.0;  ///< largest representable v / largest threshold
    };
    std::vector<Row> rows;
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
/// @errors Errc::BadConfig when a width, delay or refractory period does not fit, naming population
/// and value
/// @source docs/model.md section 5
Result<Quantised> quantise(const FloatNetwork& network, const QuantiseOptions& options);

}  // namespace spikelock::golden

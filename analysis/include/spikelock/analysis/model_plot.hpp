// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::analysis {

struct ModelPlotOptions {
    std::string title;
    std::string expected_name = "float";
    std::string actual_name = "golden";
    std::vector<std::uint32_t> neurons;  ///< whose voltage is drawn, a panel each
    std::vector<double> thresholds;      ///< shape (n_neurons), units of v; 0: none. May be empty
};

/// A picture of two models over the same timesteps, as a self-contained SVG: the voltage of some
/// neurons on both sides with their spikes as ticks, the spikes of all neurons (those of one side
/// only in its colour), and the root mean square error of the voltage over time.
/// @param expected, actual  traces of the same timesteps and neurons; both show v
/// @errors Errc::Mismatch when they do not, Errc::NotFound for a neuron that is not there
Result<std::string> model_plot_svg(const trace::ExecutionTrace& expected,
                                   const trace::ExecutionTrace& actual,
                                   const ModelPlotOptions& options);

}  // namespace spikelock::analysis

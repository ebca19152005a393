// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/float_network.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/golden/quantise.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::app {

/// What a manifest names beside the core: the network, where it comes from, and what is applied.
struct Experiment {
    golden::Network network;
    std::optional<golden::FloatNetwork> float_network;  ///< where it was quantised
    std::optional<golden::QuantiseReport> quantised;
    std::optional<golden::Description> description;  ///< from [golden], unless it says what the
                                                     ///< network's arithmetic says
    std::unique_ptr<trace::Stimulus> stimulus;
    std::vector<std::pair<std::string, std::string>> files;  ///< read files with their SHA-256
};

/// Loads, imports, quantises and checks that stimulus and network fit together.
/// @errors of the readers, with file and position; Errc::Mismatch when the stimulus does not fit
Result<Experiment> load_experiment(const manifest::Manifest& manifest);

/// The built-in golden of an experiment with the name of its kernel for reports.
struct BuiltIn {
    std::unique_ptr<trace::StepSource> source;
    std::string kernel;
    bool lists_spikes = false;  ///< in the order in which they leave
};
/// @param list_spikes  where the description has an order
/// @errors of GoldenSource::create and DescribedSource::create
Result<BuiltIn> make_golden(const Experiment& experiment, golden::Kernel kernel,
                            bool list_spikes = false);

}  // namespace spikelock::app

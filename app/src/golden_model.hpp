// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "console.hpp"
#include "experiment.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::app {

/// The model that a core is compared with: the built-in one, or the user's.
struct Golden {
    std::unique_ptr<trace::StepSource> source;
    std::string name;           ///< "built in", or the user's file
    std::string kernel;         ///< of the built-in one; "user" for others
    std::string compiler;       ///< of the user's
    std::string note;           ///< for the report; empty: built in
    bool lists_spikes = false;  ///< in the order in which they leave
    std::vector<std::pair<std::string, std::string>> files;  ///< of the user's, with SHA-256
};

/// How a user's model is built and run.
struct OwnGoldenOptions {
    bool rebuild = false;
    double wall_limit_s = 20.0;  ///< for one timestep
};

/// The golden that a manifest asks for.
/// @errors of make_golden() and UserGolden::create()
Result<Golden> open_golden(const manifest::Manifest& m, const Experiment& e, golden::Kernel kernel,
                           const OwnGoldenOptions& o, const Console& console);

}  // namespace spikelock::app

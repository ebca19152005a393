// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "console.hpp"
#include "experiment.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/step_source.hpp"

namespace CLI {
class App;
}

namespace spikelock::app {

/// What a verb works on that runs models but no core: a manifest (its [core] may be missing), a
/// NIR graph or a network as JSON, each with a stimulus.
struct SubjectOptions {
    std::string path;
    std::vector<std::string> set;       ///< manifest keys, "key.path=value"
    std::vector<std::string> quantise;  ///< the same, from options such as --v-bits
    std::optional<std::uint64_t> seed;
    std::optional<double> duration_s;
    std::optional<double> probability;
    std::optional<double> rate_hz;
    std::string events;  ///< CSV file
    std::uint64_t samples = 0;
    std::uint64_t sample_steps = 0;
    std::uint64_t steps = 0;
};

struct Subject {
    manifest::Manifest manifest;  ///< of a network file: [network] and [stimulus] only
    Experiment experiment;
    std::string name;         ///< of the core, else of the file
    std::uint64_t steps = 0;  ///< to run
};

/// Adds the subject and its options to a verb.
void add_subject_options(CLI::App& cmd, SubjectOptions& options);

/// Reads, quantises and makes the stimulus.
/// @errors those of the readers; Errc::BadConfig for options that do not go together
Result<Subject> load_subject(const SubjectOptions& options);

/// The float model of a subject.
/// @errors Errc::BadConfig where the network is given as integers
Result<std::unique_ptr<trace::StepSource>> float_model(const Subject& subject);

/// What a trace says about its origin, as JSON.
/// @param name   of the model: "built in", the user's file, or `source` again
/// @param files  of the model, with their SHA-256
std::string provenance(const Subject& subject, const std::string& source, const std::string& name,
                       std::vector<std::pair<std::string, std::string>> files,
                       const Console& console);

/// Runs sources side by side over the first timesteps of a stimulus.
/// @param take  gets the blocks of all sources for the same timesteps
/// @errors Errc::Interrupted when the user stops it; those of the sources and of `take`
Status drive(std::span<trace::StepSource* const> sources, const trace::Stimulus& stimulus,
             std::uint64_t steps, const Console& console, const std::string& what,
             const std::function<Status(std::span<const trace::BlockView>)>& take);

}  // namespace spikelock::app

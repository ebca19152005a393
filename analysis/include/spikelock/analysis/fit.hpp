// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// One way in which a description departs from the one that the search started from.
struct FitChange {
    std::string option;  ///< "rounding", "v_bits", ..., or a parameter of all neurons: "refractory"
    std::string from;    ///< value at the start, e.g. "floor"; "as given" for parameters
    std::string to;      ///< e.g. "nearest_even", "+1"
    std::string toml;    ///< line for [network.quantise]; empty for parameters
    std::string json;    ///< key for "arithmetic" of a network file; empty for parameters
    std::string golden = {};  ///< lines for [golden], where the change is one of a description
    bool operator==(const FitChange&) const = default;
};

/// Values of an option that reproduce the core just as well, each on its own.
struct FitFree {
    std::string option;
    std::string value;                ///< that of the description
    std::vector<std::string> others;  ///< in the order of the option's values
};

/// A description with how far the golden follows the core under it.
struct FitCandidate {
    std::vector<FitChange> changes;  ///< from the start; empty: the start itself
    bool explains = false;           ///< no observed value of any timestep differs
    std::uint64_t timestep = 0;      ///< of the first divergence; all timesteps where it explains
    std::uint32_t neuron = 0;
    std::string field;          ///< that differs there; empty where it explains
    std::uint64_t updates = 0;  ///< neuron-updates that agree before it
    std::vector<FitFree> free;  ///< of an explanation: what the stimulus could not tell apart
    // Of the best where nothing explains: neuron-updates that follow from what was observed before
    // them, of those that were looked at.
    std::uint64_t predicted = 0;
    std::uint64_t judged = 0;
};

/// A register that a core shows, as it is at the end of each timestep.
struct ObservedRegister {
    std::string name;
    int bits = 0;
    std::vector<std::uint64_t> values;  ///< shape (n_steps)
};

/// A shift register with linear feedback that was found in a core.
struct FoundRegister {
    std::string name;     ///< in the core
    golden::Noise noise;  ///< polynomial, form, seed and advance; not what it is used for
};

/// What a search found.
struct FitReport {
    FitCandidate start;
    std::vector<FitCandidate> explanations;  ///< fewest changes first; none can be had from another
                                             ///< through its `free`
    std::vector<FitCandidate> best;        ///< where nothing explains: those that predict the most
                                           ///< neuron-updates, then those that get furthest
    std::vector<FoundRegister> registers;  ///< that noise was looked for in
    std::vector<std::string> unused;       ///< options that this network has no use for
    std::uint64_t steps = 0;               ///< timesteps of the recording
    std::uint64_t updates = 0;             ///< neuron-updates of the recording
    std::uint64_t spikes = 0;              ///< of the core
    std::uint64_t tried = 0;               ///< descriptions that were run
    std::uint64_t singles = 0;             ///< of those, with one change
    std::uint64_t pairs = 0;               ///< with two
    bool complete = true;                  ///< the time limit did not cut the search short
    double seconds = 0.0;
};

/// State of a search for a progress display.
struct FitProgress {
    std::string phase;  ///< "single changes", "pairs of changes", ...
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    std::uint64_t best_updates = 0;  ///< neuron-updates that the best description follows
    std::uint64_t updates = 0;       ///< of all
};

struct FitOptions {
    double limit_s = 120.0;  ///< of wall-clock time; an explanation found by then is finished
    std::size_t beam = 16;   ///< descriptions that a round of further changes starts from
    int rounds = 6;          ///< of further changes, after pairs
    std::size_t most_explanations = 8;
    std::size_t most_best = 8;
    std::optional<golden::Setting> description;  ///< [golden] of the manifest, kept in each
    /// What registers of the core hold over the recording. Asked once, and only where what is left
    /// to explain looks random; where none follows a recurrence those in common use are tried.
    std::function<Result<std::vector<ObservedRegister>>()> registers;
    const std::atomic<bool>* stop = nullptr;
    std::function<void(const FitProgress&)> progress;  ///< called often; may be empty
};

/// Searches descriptions of the golden for those that reproduce a recorded core: every option on
/// its own and in pairs, starting from the given network, then further changes to the descriptions
/// that get furthest, as long as that moves the first divergence.
///
/// Options of docs/golden.md that docs/model.md does not have are tried where its own explain
/// nothing, also by how many single timesteps they predict from the state that was observed before
/// each: that shows what an option does where others are still wrong.
///
/// Where what is left looks random, shift registers are looked for: in what the core shows, by the
/// recurrence that their states follow, else among those in common use. The bits that enter v or
/// round the leak are then read off a regression of what is unexplained on the register's bits.
///
/// The core is not touched: the recording holds what it did with what was loaded into it. Fields
/// that the core does not show are not compared, and a value that is marked invalid is left out.
/// Equal arguments give equal reports unless the time limit or `stop` ends the search.
/// @param start     what the manifest describes
/// @param stimulus  that was applied in timesteps 0..core.n_steps()-1
/// @param core      recorded from timestep 0
/// @errors Errc::BadConfig when `start` fails Network::check(); Errc::Mismatch when network and
/// recording have different numbers of neurons or the recording does not begin at 0 or is longer
/// than the stimulus; Errc::Unsupported for float64 fields; Errc::Interrupted when stopped; those
/// of FitOptions::registers
/// @source docs/model.md sections 1 to 3
Result<FitReport> fit_description(const golden::Network& start, const trace::Stimulus& stimulus,
                                  const trace::ExecutionTrace& core,
                                  const FitOptions& options = {});

/// The golden of a network under changes, with what they say in [golden].
/// @param description  as in FitOptions
/// @errors as apply_changes(), GoldenSource::create() and DescribedSource::create()
Result<std::unique_ptr<trace::StepSource>> golden_under(
    const golden::Network& start, const std::optional<golden::Setting>& description,
    std::span<const FitChange> changes);

/// The network under a description, without what changes say in [golden].
/// @errors Errc::NotFound for an unknown option or value; Errc::BadConfig when a parameter does not
/// fit the changed widths
Result<golden::Network> apply_changes(const golden::Network& start,
                                      std::span<const FitChange> changes);

/// Whether a report stands for the description `start` with these options changed to these values:
/// one of its explanations has them, up to the values that this explanation lists as free.
bool reports(const FitReport& report,
             std::span<const std::pair<std::string, std::string>> option_values);

}  // namespace spikelock::analysis

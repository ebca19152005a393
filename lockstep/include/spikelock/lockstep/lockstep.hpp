// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::lockstep {

enum class Verdict : std::uint8_t { Match, Diverged, Inconclusive, Asserted, Hung, Crashed };
std::string_view name_of(Verdict verdict) noexcept;  ///< "MATCH", "DIVERGED", ...
/// 0 MATCH, 1 DIVERGED, 3 INCONCLUSIVE, 4 ASSERTED, HUNG and CRASHED.
int exit_code(Verdict verdict) noexcept;

/// One value that differs. Spikes are the field "spike" with values 0 and 1 (or counts).
struct Difference {
    std::string field;
    std::uint32_t neuron = 0;
    std::int64_t expected = 0;  ///< raw; the bit pattern of a float64
    std::int64_t actual = 0;
};

/// A timestep at which two sources differ.
/// Order of the differences: neurons ascending in processing order, for each its fields in causal
/// order, spike last; the first is where they part.
struct Divergence {
    std::uint64_t timestep = 0;
    std::uint64_t sample = 0;  ///< index; 0 where there are no samples
    std::uint64_t step_in_sample = 0;
    std::vector<Difference> differences;  ///< first the one that names the divergence; at most
                                          ///< Options::most_differences
    std::uint64_t n_differences = 0;      ///< all that differ in this timestep
};

/// Leaves things out of the comparison; the verdict says so.
struct Mask {
    std::string field;               ///< a field, "spike", or "*" for all
    std::uint32_t neuron_begin = 0;  ///< neurons begin..end-1 are not compared; both 0: all neurons
    std::uint32_t neuron_end = 0;
    std::uint64_t step_begin = 0;  ///< timesteps begin..end-1; both 0: all timesteps
    std::uint64_t step_end = 0;
    int low_bits = 0;  ///< > 0: only these low bits are ignored, the rest is compared
};

/// State of a run for a progress display.
struct Progress {
    std::uint64_t steps_compared = 0;
    std::uint64_t steps_total = 0;
};

struct Options {
    std::uint32_t block_steps = 0;   ///< timesteps submitted at once; 0: chosen to take 2 to 5 ms
    std::uint32_t blocks_ahead = 3;  ///< blocks in flight at the actual source
    std::uint64_t max_steps = 0;     ///< 0: the whole stimulus, or until a source ends
    std::uint64_t collect = 1;       ///< divergent timesteps to collect before stopping
    std::uint32_t window_before = 256;  ///< timesteps of history kept for analysis
    std::uint32_t window_after = 8;
    std::uint32_t most_differences = 64;
    bool allow_vacuous = false;
    std::vector<Mask> masks;
    std::vector<std::string>
        fields;  ///< compare only these ("spike" among them); empty: all that both show
    const std::atomic<bool>* stop = nullptr;        ///< set by Ctrl-C: ends at the next block
    std::function<void(const Progress&)> progress;  ///< called at most about ten times a second
};

/// Takes what is compared, block by block, e.g. to record it.
class Sink {
public:
    virtual ~Sink() = default;
    /// A block of the actual source, after comparison.
    virtual Status actual(const trace::BlockView& block) = 0;
    /// The expected block where it differs from the actual one (same timesteps); called before
    /// actual().
    virtual Status expected_difference(const trace::BlockView& expected,
                                       const trace::BlockView& actual) = 0;
    /// Input of the timesteps, as applied, for sinks that want it.
    virtual Status stimulus(const trace::StimulusBlock&) { return {}; }
};

/// What a run found.
struct Outcome {
    Verdict verdict = Verdict::Inconclusive;
    std::string reason;               ///< one sentence for verdicts other than MATCH and DIVERGED
    std::optional<Divergence> first;  ///< in any field
    std::optional<Divergence>
        first_spike;  ///< first in spikes, where later than `first` and inside the compared part
    std::vector<Divergence> collected;
    std::uint64_t steps_compared = 0;
    std::uint64_t values_compared = 0;  ///< field elements and spike bits
    std::uint64_t steps_invalid = 0;    ///< not compared because one side was not valid
    std::uint64_t spikes_expected = 0;
    std::uint64_t spikes_actual = 0;
    std::optional<std::uint64_t>
        last_agreed;  ///< last timestep on which everything agreed before `first`
    std::vector<std::string> compared_fields;  ///< in causal order, "spike" last
    std::vector<std::string> not_compared;     ///< fields that only one side shows, with which side
    std::vector<std::string> masked;           ///< one sentence per mask
    std::optional<trace::SourceEnd> actual_end;  ///< how the actual source ended, unless complete
    std::optional<trace::SourceEnd> expected_end;
    bool interrupted = false;
    double seconds = 0.0;
    trace::ExecutionTrace
        expected_window;  ///< around the first divergence; empty where there is none
    trace::ExecutionTrace actual_window;
};

/// Runs two sources in lockstep over a stimulus and finds the first divergence.
/// @param stimulus  null when both sources are recorded; then the shorter length without end marker
/// is INCONCLUSIVE
/// @errors those of the sources and the sink; Errc::Mismatch when the shapes cannot be compared
/// (neurons, storage)
Result<Outcome> run(trace::StepSource& expected, trace::StepSource& actual,
                    const trace::Stimulus* stimulus, const Options& options, Sink* sink = nullptr);

}  // namespace spikelock::lockstep

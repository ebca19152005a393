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

/// One value that differs. Spikes are the field "spike" with values 0 and 1 (or counts). The field
/// "spike_order" is where equal spikes of a timestep came in another order: expected and actual are
/// the neurons at the first place that differs, and `neuron` is the actual one.
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
    std::vector<Difference> differences;    ///< first the one that names the divergence; at most
                                            ///< Options::most_differences
    std::uint64_t n_differences = 0;        ///< all that differ in this timestep
    std::uint64_t n_spike_differences = 0;  ///< of those, in spikes
    /// Neurons in the order of their spikes, where that is what differs.
    std::vector<std::uint32_t> expected_order;
    std::vector<std::uint32_t> actual_order;
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

/// What to do after the first divergence.
enum class OnDivergence : std::uint8_t {
    Stop,           ///< look no further than window and spike search need, whatever `collect` says
    Collect,        ///< go on until Options::collect divergent timesteps were seen
    Resynchronise,  ///< force the expected state from the actual source; Errc::Unsupported until
                    ///< sources offer state access
};

/// How to compare. None of it but `stop` makes an outcome depend on time, and neither do the sizes
/// of blocks: equal sources, masks and limits give equal outcomes and equal bytes in the sink.
struct Options {
    std::uint32_t block_steps = 0;   ///< timesteps submitted at once; 0: chosen to take 2 to 5 ms
    std::uint32_t blocks_ahead = 3;  ///< blocks in flight at the actual source
    std::uint32_t lag = 0;  ///< timesteps that `actual` needs beyond the one that is read, since it
                            ///< shows some values late
    std::uint64_t max_steps = 0;        ///< 0: the whole stimulus, or until a source ends
    std::uint64_t collect = 1;          ///< divergent timesteps to collect before stopping
    std::uint32_t window_before = 256;  ///< timesteps of history kept for analysis
    std::uint32_t window_after = 8;
    std::uint32_t most_differences = 64;
    bool allow_vacuous = false;
    /// Where both sides list their spikes, those of a timestep must come in the same order too.
    bool order = false;
    std::vector<Mask> masks;
    std::vector<std::string>
        fields;  ///< compare only these ("spike" among them); empty: all that both show
    const std::atomic<bool>* stop = nullptr;        ///< set by Ctrl-C: ends at the next block
    std::function<void(const Progress&)> progress;  ///< called at most about ten times a second
    OnDivergence on_divergence = OnDivergence::Collect;
    /// After a divergence that leaves the spikes equal: how many timesteps more to look for the
    /// first spike that differs (or to the end of the run, where that comes first).
    std::uint64_t spike_search_steps = 4096;
    std::vector<trace::Sample> samples;  ///< of recorded sources; unused where there is a stimulus
};

/// Takes what is compared, block by block, e.g. to record it.
/// Calls cover the compared timesteps in order and without gap. How they are cut into blocks may
/// change from run to run; their concatenation does not.
class Sink {
public:
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    virtual ~Sink() = default;
    /// A block of the actual source, after comparison.
    virtual Status actual(const trace::BlockView& block) = 0;
    /// Both sides of consecutive timesteps that all differ in something compared; called before the
    /// actual() that holds them.
    virtual Status expected_difference(const trace::BlockView& expected,
                                       const trace::BlockView& actual) = 0;
    /// Input of the timesteps, as applied, for sinks that want it; called after actual() has been
    /// called for the last of them, and only where there is a stimulus.
    virtual Status stimulus(const trace::StimulusBlock&) { return {}; }
};

/// What a run found.
struct Outcome {
    Verdict verdict = Verdict::Inconclusive;
    std::string reason;               ///< one sentence for verdicts other than MATCH and DIVERGED
    std::optional<Divergence> first;  ///< in any field
    std::optional<Divergence>
        first_spike;  ///< first in spikes, where later than `first` and inside the compared part;
                      ///< lists differences in spikes only
    std::vector<Divergence> collected;        ///< divergent timesteps from `first` on
    std::uint64_t divergent_steps = 0;        ///< timesteps that differ, in the compared part
    std::uint64_t steps_compared = 0;         ///< timesteps valid on both sides
    std::uint64_t values_compared = 0;        ///< field elements and spike bits
    std::uint64_t steps_invalid = 0;          ///< not compared because one side was not valid
    std::uint64_t values_invalid = 0;         ///< not compared because valid on one side only, in
                                              ///< timesteps that are valid
    std::optional<std::uint64_t> first_loss;  ///< first timestep with an invalid step or value
    std::uint64_t spikes_expected = 0;        ///< in the valid timesteps of that side
    std::uint64_t spikes_actual = 0;
    std::uint64_t n_samples = 0;  ///< of the run; 0 where there are none
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
/// Stimulus blocks go to both sources ahead of reading, to `actual` first: a DUT in a process of
/// its own runs while `expected` computes inside read(). Values are compared as raw memory: floats
/// by bit pattern, so that 0.0 and -0.0 differ and equal NaNs do not.
/// A timestep that is invalid on either side, and a value that is valid on one side only, is lost:
/// lost data is never a MATCH. A value that is invalid on both sides was not observed and is left
/// out, as is all that a mask covers.
/// @param stimulus  null when both sources are recorded; then they are compared until one ends, and
/// differing lengths are INCONCLUSIVE unless a divergence came first
/// @errors those of the sources and the sink (but Errc::Interrupted of a source, which ends the run
/// as Options::stop does); Errc::Mismatch when the shapes cannot be compared (neurons, storage,
/// sign); Errc::NotFound and Errc::BadConfig for masks and fields; Errc::Unsupported for
/// Resynchronise; Errc::Internal when a source breaks its contract
Result<Outcome> run(trace::StepSource& expected, trace::StepSource& actual,
                    const trace::Stimulus* stimulus, const Options& options, Sink* sink = nullptr);

/// The outcome in one line, e.g. "MATCH: 12,345,678 values of 3 fields over 11,520 timesteps" or
/// "DIVERGED at timestep 132 (sample 4, step 4), neuron hidden[17], field v: expected 1203, got
/// 1204"; what was masked or could not be compared stands at its end.
/// @param shape  of the expected source, for names of neurons and formats of fields
std::string headline(const Outcome& outcome, const trace::Shape& shape);

}  // namespace spikelock::lockstep

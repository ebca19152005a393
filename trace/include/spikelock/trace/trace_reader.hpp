// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace spikelock::trace {

struct ReaderOptions {
    std::uint64_t memory_limit = 1ULL << 30;  ///< bytes that the reading process may add
    double time_limit_s = 30.0;               ///< for one request (a few MiB of data)
};

/// What is known of the input that was applied.
struct RecordedStimulus {
    struct Band {
        std::string name;
        std::uint32_t width = 0;
        bool recorded = false;  ///< else it comes from the seed in the provenance
    };
    std::uint64_t first_step = 0;
    std::uint64_t n_steps = 0;  ///< timesteps whose input is recorded
    std::uint64_t n_events = 0;
    std::vector<Band> side_bands;
};

/// A trace file as a source of observations. Reading streams: memory does not grow with the number
/// of timesteps, and the next stretch is decoded by a child process while this one is looked at.
/// The child confines the HDF5 library, which damaged files can crash; it ends with this object,
/// or with the process that owns it.
class RecordedTrace : public StepSource {
public:
    virtual const std::string& path() const noexcept = 0;
    virtual std::uint64_t first_step() const noexcept = 0;
    /// Timesteps that are stored.
    virtual std::uint64_t n_steps() const noexcept = 0;
    /// Whether the recording was closed at the end of its run; if not, read() ends with
    /// EndKind::Incomplete.
    virtual bool complete() const noexcept = 0;
    virtual std::span<const Sample> samples() const noexcept = 0;
    /// JSON text given to the writer.
    virtual const std::string& provenance() const noexcept = 0;
    /// Text attributes of the file beside those of the format: verdict, divergence, ...
    virtual const std::map<std::string, std::string>& attributes() const noexcept = 0;
    /// Values of the expected side where it differed, in the order in which they were recorded.
    /// @param most  at most that many
    /// @errors Errc::BadFormat, Errc::Timeout
    virtual Result<std::vector<ExpectedDifference>> expected_differences(
        std::uint64_t most = 1'000'000) = 0;
    /// Null where the input was not recorded.
    virtual const RecordedStimulus* recorded_stimulus() const noexcept = 0;
    /// What was applied in timesteps first..first+count-1: events, the starts of samples among
    /// them, and the side bands that are recorded.
    /// @errors Errc::NotFound when the input of these timesteps is not recorded; Errc::Limit when
    /// it holds more than 2^32 events; Errc::BadFormat, Errc::Timeout
    virtual Result<StimulusBlock> stimulus(std::uint64_t first, std::uint32_t count) = 0;
    /// The next read() starts at `timestep`.
    /// @errors Errc::NotFound when it is not first_step() .. first_step()+n_steps()
    virtual Status seek(std::uint64_t timestep) = 0;
};

/// Opens a trace file. Call it while no other thread of the process is inside the HDF5 library:
/// the child is forked.
/// @errors Errc::NotFound no such file; Errc::BadFormat, Errc::Truncated not a trace or damaged;
/// Errc::Unsupported a newer format version; Errc::Limit larger than the limits; Errc::Timeout
Result<std::unique_ptr<RecordedTrace>> open_trace(const std::string& path,
                                                  const ReaderOptions& options = {});

/// Loads timesteps first .. first+count-1 with all samples that touch them; count is cut at the end
/// of the trace.
/// @errors those of open_trace; Errc::NotFound when `first` lies outside the trace
Result<ExecutionTrace> load_trace(const std::string& path, std::uint64_t first,
                                  std::uint64_t count);

/// What recover_trace() found.
struct Recovery {
    std::uint64_t n_steps = 0;  ///< timesteps in the rebuilt file
    std::uint64_t chunks = 0;   ///< chunks that were intact
    std::uint64_t damaged = 0;  ///< stretches of timesteps in the index whose chunks were not
    bool complete = false;      ///< the run had ended; only closing the file was cut short
};

/// Rebuilds a trace whose recorder was killed, from the file and its index, and replaces it.
/// The rebuilt file carries complete=0 and the attribute `recovered`, unless the run had ended.
/// @errors Errc::NotFound no index: nothing to recover; Errc::Environment a living process records
/// to it, or the disk is full; Errc::BadFormat the index is not one, or not of this file; Errc::Io
Result<Recovery> recover_trace(const std::string& path);

/// Whether an index lies beside the trace: it is being recorded, or its recorder was killed.
bool has_index(const std::string& path);

/// Numbers for a summary.
struct TraceStatistics {
    struct Group {
        std::string label;
        std::uint32_t n_neurons = 0;
        std::uint64_t spikes = 0;
        double rate_hz = 0.0;  ///< mean over its neurons
    };
    struct Range {
        std::string field;
        double least = 0.0;  ///< in units, over valid values; 0 where there are none
        double most = 0.0;
    };
    std::uint64_t n_steps = 0;
    std::uint64_t valid_steps = 0;
    double seconds = 0.0;  ///< n_steps * dt
    std::uint64_t spikes = 0;
    std::uint64_t events = 0;                 ///< ordered spikes, where the shape has them
    std::uint64_t taken = 0;                  ///< taken events, where the shape has them
    std::vector<std::uint64_t> spike_counts;  ///< per neuron
    std::vector<double> rates_hz;             ///< per neuron, over valid timesteps
    std::vector<Group> populations;
    std::vector<Range> fields;
    SourceEnd end;
};

/// Reads a source to its end and counts; memory does not grow with the number of timesteps.
/// @errors those of the source
Result<TraceStatistics> measure(StepSource& source);

}  // namespace spikelock::trace

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::bridge {

/// Files of other tools that show what neurons did.
enum class RecordingFormat : std::uint8_t {
    Trace,    ///< Spikelock's own HDF5, read by trace::open_trace
    Npy,      ///< one array, (timesteps, neurons)
    Csv,      ///< a table
    Sonata,   ///< HDF5: spikes and reports, both layouts
    Aedat2,   ///< address events, jAER
    Aedat3,   ///< address events, AEDAT 3.1
    AerText,  ///< lines of timestamp and address
    Npz,      ///< arrays by name in a ZIP archive, each (timesteps, neurons)
    NirData,  ///< HDF5: what nir.write_data writes
};
std::string_view name_of(RecordingFormat format) noexcept;  ///< "HDF5 trace", "NPY", ...

/// What a file does not say itself.
struct RecordingOptions {
    /// Columns of a table without a header: "spike", a field, either with "[neuron]", or "-" for
    /// one that is not wanted. Given for a table with a header, they replace it; for an NPZ file
    /// they name its arrays.
    std::vector<std::string> columns;
    /// What a plain array holds: "spike" or a field; empty: spikes where all values are 0 or 1,
    /// else v.
    std::string field;
    bool transposed = false;      ///< arrays are (neurons, timesteps)
    double dt = 0.0;              ///< seconds per timestep; 0: as the file says or suggests
    std::uint64_t n_steps = 0;    ///< of spike lists; 0: up to the last spike
    std::uint32_t n_neurons = 0;  ///< of spike lists; 0: up to the last neuron that fires
};

/// What a file holds, in memory.
struct Recording {
    RecordingFormat format = RecordingFormat::Npy;
    trace::ExecutionTrace trace;
    bool dt_known = false;           ///< said by the file or an option; else dt is 1
    std::vector<std::string> notes;  ///< what was assumed, one sentence each
};

/// Largest recording that is brought into memory: spike bits and field values in all.
inline constexpr std::uint64_t kMostRecordingValues = std::uint64_t{1} << 27;

/// Tells the format by the first bytes of the file, never by its name.
/// @errors Errc::NotFound, Errc::Io; Errc::Unsupported saying which formats are known
Result<RecordingFormat> recording_format(const std::string& path);

/// Reads a file of any format but Trace. HDF5 is read by a child process with limits.
/// @errors Errc::BadFormat and Errc::Truncated with line, byte or dataset; Errc::BadConfig where
/// options are missing or do not fit, with those that would; Errc::Limit; Errc::NotFound, Errc::Io
Result<Recording> read_recording(const std::string& path, const RecordingOptions& options = {});

struct NirData;
/// The data of a NIR graph as a recording: each node a population, its observable `spikes` (or the
/// only one without values) the spikes, the others fields; samples follow one another.
/// @errors Errc::BadFormat and Errc::BadConfig naming node and observable; Errc::Limit
Result<Recording> recording_of(const NirData& data, const RecordingOptions& options = {});

/// A table as a recording. With columns `timestep` and `neuron` each row is a spike of that neuron,
/// or its values where there are other columns; else each row is a timestep.
/// @param origin  stands for the path in errors
Result<Recording> parse_recording_csv(std::string_view text, const std::string& origin,
                                      const RecordingOptions& options = {});

/// What of a trace goes to files that do not hold all of it.
struct WriteRecordingOptions {
    std::string field = "spike";  ///< of an NPY array
    bool transposed = false;      ///< of an NPY array: (neurons, timesteps)
};
/// Writes NPY (one field, raw integers or float64), CSV (a row per timestep and neuron, values in
/// units) or SONATA (spikes, and a report for each field) under a temporary name and renames it.
/// @errors Errc::Unsupported for other formats; Errc::NotFound for a field that is not there;
/// Errc::Io, Errc::Environment (disk full)
Status write_recording(const std::string& path, RecordingFormat format,
                       const trace::ExecutionTrace& trace,
                       const WriteRecordingOptions& options = {});

}  // namespace spikelock::bridge

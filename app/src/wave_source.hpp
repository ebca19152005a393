// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/waves/wave_source.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/trace_reader.hpp"

namespace CLI {
class App;
}

namespace spikelock::app {

/// How a waveform is to be read.
struct WaveformOptions {
    std::string manifest;          ///< of the core that it shows
    std::vector<std::string> set;  ///< manifest keys, "key.path=value"
    std::string scope;             ///< of the core in the waveform, "tb.dut"; empty: looked for
    std::optional<std::uint64_t> first_time;  ///< see bridge::waves::WaveOptions
    std::string command;                      ///< as typed, for the provenance
    std::string temp_folder;  ///< where open_any_trace() puts a trace while it is read; empty: as
                              ///< the environment's TMPDIR says, else /tmp
};

/// Whether a path is that of a waveform: .vcd, .evcd, .fst, or one of them with .gz.
bool is_waveform(const std::string& path);

/// Bytes of a file that were read, and their CRC-64 (that of xz): a SHA-256, as other files of a
/// provenance have, would take ten times as long as reading the waveform does.
struct FileDigest {
    std::uint64_t bytes = 0;
    std::uint64_t crc = 0;
    void add(std::span<const char> part);
};

/// A waveform and what had to be assumed to read it.
struct Waveform {
    std::unique_ptr<FileDigest> digest;  ///< of what the source has read; outlives it
    std::unique_ptr<bridge::waves::WaveSource> source;
    std::string provenance;               ///< JSON, without the digest
    std::vector<trace::Sample> labelled;  ///< samples of the manifest's stimulus
    std::vector<std::string> notes;       ///< the scope that was found, fields that are not shown
};

/// Opens a waveform of a core as a source of observations.
/// @errors those of the readers and of the manifest; Errc::NotFound where the waveform shows no
/// such scope or signal, with the nearest names; Errc::Mismatch for widths that differ;
/// Errc::Unsupported for what a manifest may say but no waveform is read by
Result<Waveform> open_waveform(const std::string& path, const WaveformOptions& options);

/// What a manifest observes, in terms of the signals of a waveform.
/// @param notes  gets what is left out
Result<bridge::waves::ObservationMap> map_observations(const manifest::Manifest& m,
                                                       const golden::Network& network,
                                                       const bridge::vcd::Header& header,
                                                       const std::string& scope,
                                                       std::vector<std::string>& notes);

/// What writing a waveform as a trace found.
struct WaveformSummary {
    std::uint64_t n_steps = 0;
    std::uint64_t spikes = 0;
    std::uint64_t clocks = 0;
    std::uint64_t bytes = 0;  ///< of the waveform, uncompressed
    trace::SourceEnd end;
    std::uint64_t n_unknowns = 0;
    std::vector<bridge::waves::Unknown> unknowns;
    std::vector<std::string> notes;  ///< with a line for each unknown, and for how it ended
};

/// Reads a waveform to its end and records it as a trace file, with the hashes of all files that
/// were read in its provenance.
/// @errors those of open_waveform() and of the writer
Result<WaveformSummary> record_waveform(const std::string& path, const std::string& trace_file,
                                        const WaveformOptions& options);

/// Opens a trace file, or a waveform by way of a temporary trace file.
/// @param notes  gets what the caller should print
Result<std::unique_ptr<trace::RecordedTrace>> open_any_trace(const std::string& path,
                                                             const WaveformOptions& options,
                                                             std::vector<std::string>& notes);

/// The same, whole and in memory: for what is not compared as a stream.
/// @param provenance  gets the trace's, as JSON
Result<trace::ExecutionTrace> load_waveform(const std::string& path, const WaveformOptions& options,
                                            std::vector<std::string>& notes,
                                            std::string& provenance);

/// Writes what a source yields as a VCD, or an FST where the path ends so.
/// @errors those of the source and of the writers
Status write_waveform(trace::StepSource& source, const std::string& path);

/// Adds --manifest, --set, --scope and --first-time to a verb that reads waveforms.
void add_waveform_options(CLI::App& cmd, WaveformOptions& options);

}  // namespace spikelock::app

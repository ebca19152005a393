// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/analysis/trace_source.hpp"
#include "spikelock/base/hash.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/events.hpp"
#include "spikelock/bridge/recording.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "spikelock/trace/trace_writer.hpp"
#include "wave_source.hpp"

namespace spikelock::app {

namespace {
struct ConvertOptions {
    std::string from;
    std::string to;
    std::string format;
    std::string columns;
    std::string field;
    std::string orientation = "tn";
    std::string to_orientation = "tn";
    double dt = 0.0;
    std::uint64_t steps = 0;
    std::uint32_t neurons = 0;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
};

Result<std::string> format_of(const ConvertOptions& o) {
    if (!o.format.empty()) return o.format;
    const std::string extension = std::filesystem::path(o.to).extension().string();
    if (extension == ".npy") return std::string("npy");
    if (extension == ".csv") return std::string("csv");
    if (extension == ".h5" || extension == ".hdf5") return std::string("trace");
    if (extension == ".vcd" || extension == ".fst") return std::string("waves");
    return Error{Errc::BadConfig,
                 "the name does not tell the format (.npy, .csv, .h5, .vcd, .fst): choose one with "
                 "--to",
                 o.to};
}

Result<bridge::Recording> load(const ConvertOptions& o) {
    Result<bridge::RecordingFormat> format = bridge::recording_format(o.from);
    if (!format) return format.error();
    if (*format != bridge::RecordingFormat::Trace) {
        bridge::RecordingOptions options;
        for (std::size_t at = 0; !o.columns.empty() && at <= o.columns.size();) {
            const std::size_t comma = std::min(o.columns.find(',', at), o.columns.size());
            options.columns.push_back(o.columns.substr(at, comma - at));
            at = comma + 1;
        }
        options.field = o.field;
        options.transposed = o.orientation == "nt";
        options.dt = o.dt;
        options.n_steps = o.steps;
        options.n_neurons = o.neurons;
        return bridge::read_recording(o.from, options);
    }
    Result<std::unique_ptr<trace::RecordedTrace>> opened = trace::open_trace(o.from);
    if (!opened) return opened.error();
    const trace::RecordedTrace& t = **opened;
    const std::uint64_t first = std::max(o.first, t.first_step());
    const std::uint64_t end = t.first_step() + t.n_steps();
    std::uint64_t count = end > first ? end - first : 0;
    if (o.count > 0) count = std::min(count, o.count);
    const double values = static_cast<double>(count) * t.shape().n_neurons *
                          static_cast<double>(t.shape().fields.size() + 1);
    if (values > static_cast<double>(bridge::kMostRecordingValues))
        return Error{Errc::Limit,
                     "more than 2^27 values at once: choose a part with --from and --count",
                     o.from};
    Result<trace::ExecutionTrace> part = trace::load_trace(o.from, first, count);
    if (!part) return part.error();
    bridge::Recording recording;
    recording.format = *format;
    recording.trace = std::move(*part);
    recording.dt_known = true;
    return recording;
}

Status write_trace(const ConvertOptions& o, const trace::ExecutionTrace& t,
                   const Console& console) {
    nlohmann::ordered_json provenance;
    provenance["spikelock"] = SPIKELOCK_VERSION;
    provenance["command"] = console.command_line;
    if (Result<std::string> hash = hash_file(o.from)) provenance["files"][o.from] = *hash;
    trace::WriterOptions options;
    options.provenance = provenance.dump();
    options.first_step = t.first_step();
    auto writer = trace::TraceWriter::create(o.to, t.shape(), options);
    if (!writer) return writer.error();
    if (t.n_steps() > 0)
        if (Status ok = (*writer)->append(t.view()); !ok) return ok;
    if (Status ok = (*writer)->add_samples(t.samples()); !ok) return ok;
    return (*writer)->close();
}

Status write_as_events(const ConvertOptions& o, const trace::ExecutionTrace& t) {
    std::vector<bridge::TimedEvent> events;
    for (std::uint64_t step = t.first_step(); step < t.first_step() + t.n_steps(); ++step) {
        const auto row = t.spike_row(step);
        for (std::size_t w = 0; w < row.size(); ++w)
            for (std::uint64_t bits = row[w]; bits != 0; bits &= bits - 1)
                events.push_back({step,
                                  {static_cast<std::uint32_t>(w * 64) +
                                       static_cast<std::uint32_t>(std::countr_zero(bits)),
                                   0, 1}});
    }
    return bridge::write_events(o.to, events);
}

/// The input that a trace says was applied, in the form that a stimulus is read from.
int convert_input(const ConvertOptions& o, Console& console) {
    Result<std::unique_ptr<trace::RecordedTrace>> opened = trace::open_trace(o.from);
    if (!opened) return console.fail(opened.error());
    trace::RecordedTrace& t = **opened;
    const trace::RecordedStimulus* applied = t.recorded_stimulus();
    if (applied == nullptr)
        return console.fail(
            {Errc::NotFound, "the trace does not hold the input that was applied", o.from});
    const std::uint64_t end = applied->first_step + applied->n_steps;
    const std::uint64_t first = std::clamp(o.first, applied->first_step, end);
    const std::uint64_t last = o.count > 0 ? std::min(end, first + o.count) : end;
    std::vector<bridge::TimedEvent> events;
    for (std::uint64_t at = first; at < last;) {
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(65536, last - at));
        Result<trace::StimulusBlock> block = t.stimulus(at, count);
        if (!block) return console.fail(block.error());
        for (std::uint32_t step = 0; step < count; ++step)
            for (const trace::InputEvent& event : block->events_of(step))
                events.push_back({at + step, event});
        at += count;
    }
    if (Status done = bridge::write_events(o.to, events); !done) return console.fail(done.error());
    fmt::print(console.out, "{} (input events): {} timesteps, {} events\n", o.to,
               with_commas(last - first), with_commas(events.size()));
    for (const auto& band : applied->side_bands)
        fmt::print(console.out, "left out: {}, {} values a timestep\n", band.name,
                   with_commas(band.width));
    return 0;
}

int convert(const ConvertOptions& o, Console& console) {
    Result<std::string> format = format_of(o);
    if (!format) return console.fail(format.error());
    std::error_code ignored;
    if (std::filesystem::equivalent(o.from, o.to, ignored))
        return console.fail({Errc::BadConfig, "cannot convert a file into itself", o.to});
    if (*format == "input") return convert_input(o, console);
    Result<bridge::Recording> recording = load(o);
    if (!recording) return console.fail(recording.error());
    const trace::ExecutionTrace& t = recording->trace;
    bridge::WriteRecordingOptions options;
    // An array holds one thing: what was asked for, else spikes, else the only field.
    options.field = "spike";
    if (!o.field.empty()) options.field = o.field;
    options.transposed = o.to_orientation == "nt";
    Status done;
    std::string lost;
    if (*format == "trace") {
        done = write_trace(o, t, console);
    } else if (*format == "waves") {
        const auto source = analysis::make_trace_source(t);
        done = write_waveform(*source, o.to);
    } else if (*format == "events") {
        done = write_as_events(o, t);
        if (!t.shape().fields.empty()) lost = "fields";
    } else if (*format == "npy") {
        done = bridge::write_recording(o.to, bridge::RecordingFormat::Npy, t, options);
        lost = "all but " + options.field;
    } else if (*format == "csv") {
        done = bridge::write_recording(o.to, bridge::RecordingFormat::Csv, t, options);
    } else {
        done = bridge::write_recording(o.to, bridge::RecordingFormat::Sonata, t, options);
    }
    if (!done) return console.fail(done.error());
    for (const std::string& note : recording->notes)
        fmt::print(console.out, "{}: {}\n", o.from, note);
    fmt::print(console.out, "{} ({}): {} timesteps of {} s, {} neurons, {} spikes{}\n", o.to,
               *format, with_commas(t.n_steps()), t.dt(), with_commas(t.n_neurons()),
               with_commas(t.spike_count()), lost.empty() ? "" : "; left out: " + lost);
    return 0;
}
}  // namespace

void add_convert(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<ConvertOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "convert",
        "Turn a recording (HDF5 trace, NPY, NPZ, CSV, SONATA, NIRData, AEDAT) into another format");
    cmd->add_option("recording", o->from, "Recording to read")->required();
    cmd->add_option("to_file", o->to, "File to write")->required();
    cmd->add_option("--to", o->format,
                    "trace, npy, csv, sonata, waves (VCD, FST), events (spikes as input events) or "
                    "input (what was applied, of a trace); default: by the name")
        ->check(CLI::IsMember({"trace", "npy", "csv", "sonata", "waves", "events", "input"}));
    cmd->add_option(
        "--columns", o->columns,
        "Columns of a table or arrays of an NPZ file, e.g. -,v,spike, or time_us,address "
        "of address events");
    cmd->add_option("--field", o->field,
                    "What a plain array holds, and what goes into one: spike, v, ...");
    cmd->add_option("--orientation", o->orientation,
                    "Rows and columns of the array read: tn (timesteps, neurons) or nt")
        ->check(CLI::IsMember({"tn", "nt"}));
    cmd->add_option("--to-orientation", o->to_orientation, "The same of the array written")
        ->check(CLI::IsMember({"tn", "nt"}));
    cmd->add_option("--dt", o->dt, "Seconds per timestep")->check(CLI::PositiveNumber);
    cmd->add_option("--steps", o->steps, "Timesteps of a list of spikes");
    cmd->add_option("--neurons", o->neurons, "Neurons of a list of spikes");
    cmd->add_option("--from", o->first, "First timestep of a trace");
    cmd->add_option("--count", o->count, "Timesteps of a trace");
    cmd->callback([=, &exit_code, &console] { exit_code = convert(*o, console); });
}

}  // namespace spikelock::app

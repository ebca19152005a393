// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "golden_model.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/trace/trace_writer.hpp"
#include "subject.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {
struct RecordOptions {
    SubjectOptions subject;
    std::string source = "golden";
    std::string record;
    std::string kernel = "auto";
    bool json = false;
};

int record(const RecordOptions& o, Console& console) {
    const auto begin = std::chrono::steady_clock::now();
    Result<golden::Kernel> kernel = golden::kernel_of(o.kernel);
    if (!kernel) return console.fail(kernel.error());
    Result<Subject> subject = load_subject(o.subject);
    if (!subject) return console.fail(subject.error());
    const Experiment& e = subject->experiment;
    std::unique_ptr<trace::StepSource> source;
    std::string name = o.source;  // of the model
    std::vector<std::pair<std::string, std::string>> files;
    if (o.source == "float") {
        Result<std::unique_ptr<trace::StepSource>> model = float_model(*subject);
        if (!model) return console.fail(model.error());
        source = std::move(*model);
    } else {
        Result<Golden> model = open_golden(subject->manifest, e, *kernel, {}, console);
        if (!model) return console.fail(model.error());
        name = model->name;
        files = std::move(model->files);
        source = std::move(model->source);
    }

    const std::string file =
        !o.record.empty() ? o.record : "spikelock-out/" + subject->name + "-" + o.source + ".h5";
    if (const fs::path folder = fs::path(file).parent_path(); !folder.empty()) {
        std::error_code error;
        fs::create_directories(folder, error);
        if (error)
            return console.fail({Errc::Io,
                                 "cannot create the folder for the trace: " + error.message() +
                                     "; choose another with --record FILE",
                                 file});
    }
    trace::WriterOptions options;
    options.provenance = provenance(*subject, o.source, name, std::move(files), console);
    Result<std::unique_ptr<trace::TraceWriter>> writer =
        trace::TraceWriter::create(file, source->shape(), options);
    if (!writer) return console.fail(writer.error());

    std::uint64_t spikes = 0;
    trace::StepSource* const sources[] = {source.get()};
    const Status ran = drive(
        sources, *e.stimulus, subject->steps, console, o.source,
        [&](std::span<const trace::BlockView> blocks) {
            for (const std::uint64_t word : blocks[0].spikes)
                spikes += static_cast<std::uint64_t>(std::popcount(word));
            if (Status ok = (*writer)->append(blocks[0]); !ok) return ok;
            return (*writer)->add_stimulus(e.stimulus->block(blocks[0].first, blocks[0].n_steps));
        });
    const bool stopped = !ran && ran.error().code == Errc::Interrupted;
    if (!ran && !stopped) {
        (void)(*writer)->close(false);
        return console.fail(ran.error());
    }
    const std::uint64_t steps = (*writer)->n_steps();
    std::vector<trace::Sample> recorded;
    for (const trace::Sample& sample : e.stimulus->samples()) {
        if (sample.begin >= steps) break;
        recorded.push_back(sample);
        recorded.back().end = std::min(sample.end, steps);
    }
    Status closed = (*writer)->add_samples(recorded);
    if (closed) closed = (*writer)->close(!stopped);
    if (!closed) return console.fail(closed.error());

    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double simulated = static_cast<double>(steps) * e.network.dt;
    const double rate =
        steps > 0 ? static_cast<double>(spikes) / (simulated * e.network.n_neurons()) : 0.0;
    std::string reproduce = console.command_line;
    if (!o.subject.seed) reproduce += " --seed " + std::to_string(subject->manifest.stimulus.seed);
    if (o.json) {
        nlohmann::ordered_json j;
        j["source"] = o.source;
        if (o.source == "golden") j["golden"] = name;
        j["neurons"] = e.network.n_neurons();
        j["timesteps"] = steps;
        j["samples"] = recorded.size();
        j["dt"] = e.network.dt;
        j["spikes"] = spikes;
        j["rate_hz"] = rate;
        j["interrupted"] = stopped;
        j["seconds"] = seconds;
        j["trace"] = file;
        j["provenance"] = nlohmann::ordered_json::parse(options.provenance);
        j["reproduce"] = reproduce;
        console.out << j.dump(2) << "\n";
    } else {
        fmt::print(console.out,
                   "{}{}: {} timesteps of {} neurons in {} samples, {} spikes ({:.4g} per neuron "
                   "and second), in {}\n",
                   stopped ? "interrupted, " : "",
                   name == o.source ? name : o.source + " (" + name + ")", with_commas(steps),
                   with_commas(e.network.n_neurons()), with_commas(recorded.size()),
                   with_commas(spikes), rate, duration(seconds));
        fmt::print(console.out, "trace: {}\nreproduce: {}\n", file, reproduce);
    }
    return static_cast<int>(stopped ? ExitCode::Interrupted : ExitCode::Ok);
}
}  // namespace

void add_record(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<RecordOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand("trace", "Record the golden or the float model alone");
    add_subject_options(*cmd, o->subject);
    cmd->add_option("--source", o->source, "golden (default) or float")
        ->check(CLI::IsMember({"golden", "float"}));
    cmd->add_option("--record", o->record, "Trace file (default spikelock-out/<name>-<source>.h5)");
    cmd->add_option("--kernel", o->kernel,
                    "Golden arithmetic: auto, scalar, generic, avx2, avx512");
    cmd->add_flag("--json", o->json, "Print one JSON object instead of text");
    cmd->add_flag("-q,--quiet", console.quiet, "No progress");
    cmd->callback([=, &exit_code, &console] { exit_code = record(*o, console); });
}

}  // namespace spikelock::app

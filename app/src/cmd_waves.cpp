// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"
#include "wave_source.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {
struct WavesOptions {
    std::string file;
    WaveformOptions how;
    std::string record;
    bool json = false;
};

std::string_view name_of(trace::EndKind kind) {
    switch (kind) {
        case trace::EndKind::Complete:
            return "complete";
        case trace::EndKind::Asserted:
            return "asserted";
        default:
            return "incomplete";
    }
}

int waves(const WavesOptions& o, Console& console) {
    const std::string file =
        !o.record.empty()
            ? o.record
            : "spikelock-out/" + fs::path(o.file).filename().replace_extension().string() + ".h5";
    if (const fs::path folder = fs::path(file).parent_path(); !folder.empty()) {
        std::error_code failed;
        fs::create_directories(folder, failed);
        if (failed)
            return console.fail({Errc::Io,
                                 "cannot create the folder for the trace: " + failed.message() +
                                     "; choose another with --record FILE",
                                 file});
    }
    Result<WaveformSummary> summary = record_waveform(o.file, file, o.how);
    if (!summary) return console.fail(summary.error());
    // What the waveform does not tell is no match and no difference: exit code INCONCLUSIVE.
    const bool whole = summary->end.kind == trace::EndKind::Complete && summary->n_unknowns == 0;
    if (o.json) {
        nlohmann::ordered_json j;
        j["timesteps"] = summary->n_steps;
        j["clocks"] = summary->clocks;
        j["spikes"] = summary->spikes;
        j["bytes"] = summary->bytes;
        j["end"] = name_of(summary->end.kind);
        j["end_text"] = summary->end.text;
        j["n_unknowns"] = summary->n_unknowns;
        j["unknowns"] = nlohmann::ordered_json::array();
        for (const bridge::waves::Unknown& u : summary->unknowns)
            j["unknowns"].push_back({{"time", u.time},
                                     {"timestep", u.timestep},
                                     {"signal", u.signal},
                                     {"value", u.value},
                                     {"meaning", u.meaning}});
        j["notes"] = summary->notes;
        j["trace"] = file;
        console.out << j.dump(2) << "\n";
    } else {
        fmt::print(console.out, "{}: {} timesteps, {} clocks, {} spikes\n", o.file,
                   with_commas(summary->n_steps), with_commas(summary->clocks),
                   with_commas(summary->spikes));
        for (const std::string& note : summary->notes) fmt::print(console.out, "{}\n", note);
        fmt::print(console.out, "trace: {}\n", file);
    }
    return whole ? 0 : 3;
}
}  // namespace

void add_waveform_options(CLI::App& cmd, WaveformOptions& o) {
    cmd.add_option("--manifest", o.manifest,
                   "Of the core that a waveform shows: says which signals are spikes and fields");
    cmd.add_option("--set", o.set, "Override a manifest key: --set core.parameters.Neurons=64");
    cmd.add_option("--scope", o.scope, "Of the core in the waveform, e.g. tb.dut");
    cmd.add_option("--first-time", o.first_time,
                   "Clocked cores: timestep 0 begins at the first clock edge from this time on");
}

void add_waves(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<WavesOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand("waves", "Read a waveform (VCD, FST) as a trace");
    cmd->add_option("waveform", o->file, "VCD, gzipped VCD or FST of the core")->required();
    add_waveform_options(*cmd, o->how);
    cmd->add_option("--record", o->record, "Trace file (default spikelock-out/<waveform>.h5)");
    cmd->add_flag("--json", o->json, "Print one JSON object instead of text");
    cmd->callback([=, &exit_code, &console] {
        o->how.command = console.command_line;
        exit_code = waves(*o, console);
    });
}

}  // namespace spikelock::app

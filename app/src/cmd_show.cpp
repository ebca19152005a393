// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/analysis/raster.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/trace/trace_reader.hpp"

namespace spikelock::app {

namespace {
struct ShowOptions {
    std::string trace;
    std::optional<std::uint64_t> sample;
    std::uint64_t from = 0;
    std::uint64_t count = 0;
    std::uint32_t width = 72;
    std::uint32_t height = 20;
    bool json = false;
};

nlohmann::ordered_json stimulus_json(const trace::RecordedStimulus& applied) {
    nlohmann::ordered_json j;
    j["first_step"] = applied.first_step;
    j["n_steps"] = applied.n_steps;
    j["events"] = applied.n_events;
    j["side_bands"] = nlohmann::ordered_json::array();
    for (const auto& band : applied.side_bands)
        j["side_bands"].push_back(
            {{"name", band.name}, {"width", band.width}, {"recorded", band.recorded}});
    return j;
}

/// The input that was applied, in one line; what is not in the file comes from the seed.
std::string stimulus_line(const trace::RecordedTrace& t) {
    const trace::RecordedStimulus* applied = t.recorded_stimulus();
    if (applied == nullptr) return "input: not recorded";
    std::string line = "input: " + with_commas(applied->n_events) + " events";
    for (const auto& band : applied->side_bands)
        line += fmt::format(", {} ({} values a timestep, {})", band.name, with_commas(band.width),
                            band.recorded ? "recorded" : "not recorded: made from the seed");
    if (applied->n_steps != t.n_steps())
        line += fmt::format(", of timesteps {} to {} only", with_commas(applied->first_step),
                            with_commas(applied->first_step + applied->n_steps));
    return line;
}

int show(const ShowOptions& o, Console& console) {
    Result<std::unique_ptr<trace::RecordedTrace>> opened = trace::open_trace(o.trace);
    if (!opened) return console.fail(opened.error());
    trace::RecordedTrace& t = **opened;
    std::uint64_t from = std::max(o.from, t.first_step());
    std::uint64_t count = o.count;
    if (o.sample) {
        if (*o.sample >= t.samples().size())
            return console.fail(
                {Errc::NotFound,
                 fmt::format("no sample {}: the trace holds {}", *o.sample, t.samples().size()),
                 o.trace});
        from = t.samples()[*o.sample].begin;
        count = t.samples()[*o.sample].end - from;
    }
    // A picture of the first timesteps, not of millions.
    if (count == 0)
        count = std::min<std::uint64_t>(t.n_steps() - std::min(t.n_steps(), from - t.first_step()),
                                        4ULL * o.width);
    Result<trace::TraceStatistics> statistics = trace::measure(t);
    if (!statistics) return console.fail(statistics.error());
    const trace::TraceStatistics& s = *statistics;
    if (o.json) {
        nlohmann::ordered_json j;
        j["trace"] = o.trace;
        j["complete"] = t.complete();
        j["n_neurons"] = t.shape().n_neurons;
        j["n_steps"] = s.n_steps;
        j["valid_steps"] = s.valid_steps;
        j["seconds"] = s.seconds;
        j["spikes"] = s.spikes;
        j["samples"] = t.samples().size();
        if (t.shape().events) j["ordered_spikes"] = s.events;
        if (t.shape().order) j["taken_events"] = s.taken;
        const trace::RecordedStimulus* applied = t.recorded_stimulus();
        j["stimulus"] = applied != nullptr ? stimulus_json(*applied) : nlohmann::ordered_json();
        for (const auto& p : s.populations)
            j["populations"].push_back({{"label", p.label},
                                        {"n_neurons", p.n_neurons},
                                        {"spikes", p.spikes},
                                        {"rate_hz", p.rate_hz}});
        for (const auto& f : s.fields)
            j["fields"].push_back({{"name", f.field}, {"least", f.least}, {"most", f.most}});
        j["rates_hz"] = s.rates_hz;
        const auto verdict = t.attributes().find("verdict");
        j["verdict"] = verdict != t.attributes().end()
                           ? nlohmann::ordered_json::parse(verdict->second, nullptr, false)
                           : nlohmann::ordered_json();
        j["provenance"] = nlohmann::ordered_json::parse(t.provenance(), nullptr, false);
        console.out << j.dump(2) << "\n";
        return 0;
    }
    std::ostream& out = console.out;
    fmt::print(out, "{}: {} timesteps of {} s, {} neurons, {} samples, {} spikes{}\n", o.trace,
               with_commas(s.n_steps), t.shape().dt, with_commas(t.shape().n_neurons),
               with_commas(t.samples().size()), with_commas(s.spikes),
               t.complete() ? "" : "; not closed: the run ended early");
    if (s.valid_steps != s.n_steps)
        fmt::print(out, "{} timesteps are marked invalid\n",
                   with_commas(s.n_steps - s.valid_steps));
    fmt::print(out, "{}\n", stimulus_line(t));
    if (t.shape().events)
        fmt::print(out, "{} spikes with their order and clock\n", with_commas(s.events));
    if (t.shape().order)
        fmt::print(out, "{} events in the order in which the core took them\n",
                   with_commas(s.taken));
    for (const auto& f : s.fields)
        fmt::print(out, "  {:<8} {:>12.6g} .. {:.6g}\n", f.field, f.least, f.most);
    fmt::print(out, "\n{:<16}{:>9}{:>14}{:>14}\n", "population", "neurons", "spikes", "mean rate");
    for (const auto& p : s.populations)
        fmt::print(out, "{:<16}{:>9}{:>14}{:>11.2f} Hz\n", p.label, with_commas(p.n_neurons),
                   with_commas(p.spikes), p.rate_hz);
    if (count > 0) {
        Result<trace::ExecutionTrace> window = trace::load_trace(o.trace, from, count);
        if (!window) return console.fail(window.error());
        fmt::print(out, "\nspikes in timesteps {} to {}{}\n", with_commas(from),
                   with_commas(from + count - 1),
                   o.sample ? fmt::format(" (sample {}, label '{}')", *o.sample,
                                          t.samples()[*o.sample].label)
                            : "");
        out << analysis::raster(*window, from, count, o.width, o.height);
    }
    const auto verdict = t.attributes().find("verdict");
    if (verdict != t.attributes().end()) {
        const auto j = nlohmann::json::parse(verdict->second, nullptr, false);
        if (j.is_object() && j.contains("headline"))
            fmt::print(out, "\n{}\n", j["headline"].get<std::string>());
    }
    return 0;
}
}  // namespace

void add_show(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<ShowOptions>();  // shared by the parser and the callback
    auto* cmd =
        app.add_subcommand("show", "Summarise a trace: firing rates and a raster in the terminal");
    cmd->add_option("trace", o->trace, "Trace file (HDF5)")->required();
    cmd->add_option("--sample", o->sample, "Draw this sample");
    cmd->add_option("--from", o->from, "First timestep of the raster");
    cmd->add_option("--count", o->count,
                    "Timesteps of the raster (default: as many as fit four to a column)");
    cmd->add_option("--width", o->width, "Columns of the raster")->check(CLI::Range(10, 400));
    cmd->add_option("--height", o->height, "Most rows of the raster")->check(CLI::Range(1, 200));
    cmd->add_flag("--json", o->json, "Print JSON");
    cmd->callback([=, &exit_code, &console] { exit_code = show(*o, console); });
}

}  // namespace spikelock::app

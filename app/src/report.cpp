// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <nlohmann/json.hpp>

#include "spikelock/analysis/json.hpp"
#include "spikelock/analysis/render.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::app {

using nlohmann::ordered_json;

namespace {

const char* end_name(trace::EndKind kind) {
    switch (kind) {
        case trace::EndKind::Complete:
            return "complete";
        case trace::EndKind::Finished:
            return "finished";
        case trace::EndKind::Asserted:
            return "asserted";
        case trace::EndKind::Hung:
            return "hung";
        case trace::EndKind::Crashed:
            return "crashed";
        case trace::EndKind::Incomplete:
            return "incomplete";
    }
    return "unknown";
}

ordered_json verdict_object(const Findings& f) {
    const lockstep::Outcome& o = *f.outcome;
    ordered_json j;
    j["verdict"] = lockstep::name_of(o.verdict);
    j["exit_code"] = o.interrupted ? 130 : lockstep::exit_code(o.verdict);
    j["headline"] = f.headline;
    j["reason"] = o.reason;
    j["interrupted"] = o.interrupted;
    j["steps_compared"] = o.steps_compared;
    j["values_compared"] = o.values_compared;
    j["steps_invalid"] = o.steps_invalid;
    j["values_invalid"] = o.values_invalid;
    j["divergent_steps"] = o.divergent_steps;
    j["spikes_expected"] = o.spikes_expected;
    j["spikes_actual"] = o.spikes_actual;
    j["compared_fields"] = o.compared_fields;
    j["not_compared"] = o.not_compared;
    j["masked"] = o.masked;
    if (o.actual_end) {
        j["end"] = {{"kind", end_name(o.actual_end->kind)},
                    {"timestep", o.actual_end->timestep},
                    {"clock", o.actual_end->clock},
                    {"text", o.actual_end->text}};
    } else {
        j["end"] = nullptr;
    }
    j["divergence"] =
        f.divergence ? ordered_json::parse(analysis::to_json(*f.divergence)) : ordered_json();
    return j;
}
}  // namespace

std::string verdict_json(const Findings& findings) { return verdict_object(findings).dump(); }

void print_json(const Findings& f, const Console& console) {
    ordered_json j = verdict_object(f);
    if (f.explanation) j["explanation"] = ordered_json::parse(analysis::to_json(*f.explanation));
    if (f.chain) j["causal_chain"] = ordered_json::parse(analysis::to_json(*f.chain));
    if (f.spikes) j["spike_diff"] = ordered_json::parse(analysis::to_json(*f.spikes));
    ordered_json accuracies = ordered_json::array();
    for (const auto& [model, a] : f.accuracies)
        accuracies.push_back({{"model", model},
                              {"right", a.right},
                              {"samples", a.samples},
                              {"percent", a.percent()}});
    j["accuracy"] = accuracies;
    j["seconds"] = f.outcome->seconds;
    j["clocks"] = f.clocks;
    j["trace"] = f.trace_file.empty() ? ordered_json() : ordered_json(f.trace_file);
    j["notes"] = f.notes;
    j["provenance"] = f.provenance.empty() ? ordered_json() : ordered_json::parse(f.provenance);
    j["reproduce"] = f.reproduce;
    console.out << j.dump(2) << "\n";
}

void print_text(const Findings& f, const Console& console) {
    const lockstep::Outcome& o = *f.outcome;
    analysis::RenderOptions render;
    render.colour = console.colour;
    std::ostream& out = console.out;
    if (f.divergence) {
        out << analysis::render(*f.divergence, render) << "\n";
        if (f.explanation) out << analysis::render(*f.explanation, render) << "\n";
        if (f.chain) out << "What led there\n" << analysis::render(*f.chain, render) << "\n";
    }
    if (f.spikes && f.spikes->total.mismatches() > 0)
        out << analysis::render(*f.spikes, f.shape, render) << "\n";
    if (!f.accuracies.empty()) {
        fmt::print(out, "{:<14}{:>10}{:>12}\n", "model", "accuracy", "samples");
        for (const auto& [model, a] : f.accuracies)
            fmt::print(out, "{:<14}{:>8.2f} %{:>12}\n", model, a.percent(),
                       fmt::format("{}/{}", a.right, a.samples));
        out << "\n";
    }
    if (o.actual_end && o.actual_end->kind != trace::EndKind::Complete)
        fmt::print(out, "The core ended in timestep {}{}: {}\n",
                   with_commas(o.actual_end->timestep),
                   o.actual_end->clock > 0 ? ", clock " + with_commas(o.actual_end->clock) : "",
                   o.actual_end->text);
    for (const std::string& note : f.notes) fmt::print(out, "{}\n", note);
    if (f.clocks > 0 && o.seconds > 0) {
        const auto steps = static_cast<double>(o.steps_compared);
        fmt::print(out, "{} in {}: {} timesteps/s, {} neuron-updates/s, {} clocks/s\n",
                   "ran " + with_commas(f.clocks) + " clocks", duration(o.seconds),
                   short_count(steps / o.seconds), short_count(steps * f.n_neurons / o.seconds),
                   short_count(static_cast<double>(f.clocks - f.start_clocks) / o.seconds));
    }
    const char* colour = !console.colour                         ? ""
                         : o.verdict == lockstep::Verdict::Match ? "\x1b[1;32m"
                                                                 : "\x1b[1;31m";
    fmt::print(out, "{}{}{}\n", colour, f.headline, console.colour ? "\x1b[0m" : "");
    if (!f.trace_file.empty()) fmt::print(out, "trace: {}\n", f.trace_file);
    fmt::print(out, "reproduce: {}\n", f.reproduce);
}

}  // namespace spikelock::app

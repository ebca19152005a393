// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <fnmatch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "core_session.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/sim/elaborate.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {
struct SignalsOptions {
    std::string manifest;
    std::string pattern;
    std::vector<std::string> set;
    bool json = false;
};

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// A pattern with * or ? must match the whole name, any other a part of it; in either case.
bool matches(const std::string& name, const std::string& pattern) {
    if (pattern.empty()) return true;
    const std::string wanted = lower(pattern);
    if (wanted.find_first_of("*?") == std::string::npos)
        return lower(name).find(wanted) != std::string::npos;
    return fnmatch(wanted.c_str(), lower(name).c_str(), 0) == 0;
}

std::string width_of(const sim::Variable& v) {
    if (v.bits == 0) return "-";
    return v.is_array ? fmt::format("{} x {}", with_commas(v.words), v.bits) : with_commas(v.bits);
}

std::string kind_of(const sim::Variable& v) {
    switch (v.kind) {
        case sim::Variable::Kind::Port:
            return v.direction;
        case sim::Variable::Kind::Parameter:
            return "parameter";
        case sim::Variable::Kind::LocalParameter:
            return "localparam";
        case sim::Variable::Kind::Signal:
            return v.is_array ? "memory" : "signal";
    }
    return {};
}

/// A place with the file as seen from here, where that is shorter.
std::string near(const std::string& where) {
    std::error_code code;
    const std::size_t colon = where.rfind(':');
    if (colon == std::string::npos) return where;
    const std::string file = fs::relative(where.substr(0, colon), code).string();
    return (code || file.empty() || file.size() > colon ? where.substr(0, colon) : file) +
           where.substr(colon);
}

using Groups = std::vector<std::pair<std::string, std::vector<const sim::Variable*>>>;

void print_json(const sim::Design& design, const Groups& groups, std::ostream& out) {
    using nlohmann::ordered_json;
    ordered_json j;
    j["top"] = design.top;
    for (const auto& [title, variables] : groups) {
        ordered_json list = ordered_json::array();
        for (const sim::Variable* v : variables) {
            ordered_json one = {{"name", v->name},      {"kind", kind_of(*v)},
                                {"bits", v->bits},      {"words", v->words},
                                {"array", v->is_array}, {"signed", v->is_signed}};
            if (!v->value.empty()) one["value"] = v->value;
            one["copies"] = v->copies;
            one["observable"] = v->bits > 0;
            one["module"] = v->module;
            one["where"] = v->where;
            list.push_back(std::move(one));
        }
        j[title] = std::move(list);
    }
    ordered_json instances = ordered_json::array();
    for (const auto& i : design.instances)
        instances.push_back(
            {{"name", i.name}, {"module", i.module}, {"copies", i.copies}, {"where", i.where}});
    j["instances"] = std::move(instances);
    ordered_json loops = ordered_json::array();
    for (const auto& l : design.loops)
        loops.push_back(
            {{"name", l.name}, {"first", l.first}, {"count", l.count}, {"where", l.where}});
    j["loops"] = std::move(loops);
    out << j.dump(2) << "\n";
}

int signals(const SignalsOptions& o, Console& console) {
    Result<manifest::Manifest> m = manifest::load_manifest(o.manifest, o.set);
    if (!m) return console.fail(m.error());
    const Result<sim::Design> design = elaborate_core(*m, console);
    if (console.stopped()) return console.fail({Errc::Interrupted, "", ""});
    if (!design) return console.fail(design.error());

    Groups groups = {{"parameters", {}}, {"ports", {}}, {"signals", {}}};
    const std::vector<sim::Variable>* lists[] = {&design->parameters, &design->ports,
                                                 &design->signals};
    std::size_t shown = 0;
    std::vector<std::string> names;
    for (std::size_t g = 0; g < groups.size(); ++g)
        for (const sim::Variable& v : *lists[g]) {
            names.push_back(v.name);
            // What ghdl made up is listed only where it is asked for.
            if (!matches(v.name, o.pattern) || (v.generated && o.pattern.empty() && !o.json))
                continue;
            groups[g].second.push_back(&v);
            ++shown;
        }
    if (shown == 0 && !o.pattern.empty())
        return console.fail({Errc::NotFound,
                             fmt::format("none of the {} signals matches '{}'{}", names.size(),
                                         o.pattern, did_you_mean(o.pattern, names)),
                             o.manifest});
    if (o.json) {
        print_json(*design, groups, console.out);
        return 0;
    }
    fmt::print(console.out, "{}: {} of {} signals{}\n", design->top, with_commas(shown),
               with_commas(names.size()),
               o.pattern.empty() ? "" : fmt::format(" match '{}'", o.pattern));
    std::size_t widest = 4;
    for (const auto& [title, variables] : groups)
        for (const sim::Variable* v : variables) widest = std::max(widest, v->name.size());
    widest = std::min<std::size_t>(widest, 60);
    for (const auto& [title, variables] : groups) {
        if (variables.empty()) continue;
        fmt::print(console.out, "\n{:<{}}  {:<10} {:>12}  {}\n", title, widest, "kind", "bits",
                   "where");
        for (const sim::Variable* v : variables) {
            std::string note = near(v->where);
            if (v->kind == sim::Variable::Kind::Parameter ||
                v->kind == sim::Variable::Kind::LocalParameter)
                note = "= " + v->value + "  " + note;
            if (v->copies > 1) note += fmt::format("  ({} copies)", with_commas(v->copies));
            if (v->bits == 0) note += "  (cannot be observed)";
            fmt::print(console.out, "{:<{}}  {:<10} {:>12}  {}\n", v->name, widest,
                       kind_of(*v) + (v->is_signed ? " signed" : ""), width_of(*v), note);
        }
    }
    if (!design->loops.empty() && o.pattern.empty()) {
        fmt::print(console.out, "\nloops\n");
        for (const auto& l : design->loops)
            fmt::print(console.out, "{}[{}..{}]  {}\n", l.name, l.first,
                       l.first + static_cast<std::int64_t>(l.count) - 1, near(l.where));
    }
    return 0;
}
}  // namespace

void add_signals(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<SignalsOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "signals", "List what can be driven and observed, named as a manifest names it");
    cmd->add_option("manifest", o->manifest, "Core manifest (cosim.toml)")->required();
    cmd->add_option("pattern", o->pattern,
                    "Only names with this in them; with * or ?, only whole names that match");
    cmd->add_option("--set", o->set, "Override a manifest key");
    cmd->add_flag("--json", o->json, "Print JSON");
    cmd->callback([=, &exit_code, &console] { exit_code = signals(*o, console); });
}

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
#include "check_names.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "spikelock/base/text.hpp"
#include "spikelock/manifest/plan.hpp"
#include "spikelock/sim/elaborate.hpp"

namespace spikelock::sim::detail {

namespace fs = std::filesystem;

namespace {
/// A name with every index left open: gen[3].u.v_q, gen[{i}].u.v_q and gen[{}].u.v_q are one.
std::string open_indices(const std::string& name) {
    std::string open;
    for (std::size_t i = 0; i < name.size(); ++i) {
        open += name[i];
        if (name[i] != '[') continue;
        i = std::min(name.find(']', i), name.size() - 1);
        open += "{}]";
    }
    return open;
}

std::string parent_of(const std::string& name) {
    const std::size_t dot = name.rfind('.');
    return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

bool name_part(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

/// Where a name stands in the manifest, for the message: its line, and the key that it belongs to.
struct Place {
    std::string where;
    std::string key;
};
Place place_of(const manifest::Manifest& m, const std::string& name) {
    const std::string last = name.substr(name.rfind('.') + 1);
    std::ifstream file(m.path);
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        line.resize(std::min(line.find('#'), line.size()));
        const std::size_t equals = line.find('=');
        if (equals == std::string::npos) continue;
        for (std::size_t at = line.find(last, equals); at != std::string::npos;
             at = line.find(last, at + 1)) {
            const std::size_t end = at + last.size();
            if (name_part(line[at - 1]) || (end < line.size() && name_part(line[end]))) continue;
            std::string key = line.substr(0, equals);
            key.erase(key.find_last_not_of(" \t") + 1);
            key.erase(0, key.find_first_not_of(" \t"));
            return {m.path + ":" + std::to_string(number), std::move(key)};
        }
    }
    return {m.path, ""};
}
}  // namespace

Status check_before_build(const manifest::Manifest& m, const BuildOptions& options) {
    ElaborateOptions elaboration = elaborate_options(m);
    if (options.faults) elaboration.defines.emplace_back("FAULTS");
    std::error_code code;
    elaboration.temp_folder = fs::temp_directory_path(code).string();
    elaboration.stop = options.stop;
    const Result<Design> design = elaborate(elaboration);
    if (!design && design.error().code == Errc::Interrupted) return design.error();
    if (!design) return {};  // what is wrong with the sources, the build tells

    manifest::SignalTable table;
    std::set<std::string> names;
    std::set<std::string> parents = {""};
    std::vector<std::string> known;
    for (const auto* list : {&design->ports, &design->parameters, &design->signals})
        for (const Variable& v : *list) {
            std::string open = open_indices(v.name);
            // So Verilator calls what is a word of C++; a manifest uses the name in the source.
            if (const std::size_t at = open.find("__SYM__"); at != std::string::npos)
                open.erase(at, 7);
            names.insert(open);
            parents.insert(parent_of(open));
            known.push_back(v.name);
            if (v.copies == 1 && v.bits > 0) table[v.name] = {"internal", v.bits, v.words};
        }
    for (const std::string& name : m.signal_names()) {
        const std::string open = open_indices(name);
        if (name.find("{}") != std::string::npos && open == name &&
            name.find("[{}]") == std::string::npos)
            continue;  // an index that is a part of the name
        // In a scope of which nothing is known, a signal may be one that Verilator does not list.
        if (names.contains(open) || !parents.contains(parent_of(open))) continue;
        const Place place = place_of(m, name);
        for (const std::string& loop : design->loop_variables)
            if (open_indices(loop) == open)
                return Error{Errc::NotFound,
                             (place.key.empty() ? "" : place.key + ": ") + "'" + name +
                                 "' is the variable of a loop, which the built core does not have",
                             place.where};
        return Error{Errc::NotFound,
                     (place.key.empty() ? "" : place.key + ": ") + "the core has no signal '" +
                         name + "'" + did_you_mean(name, known),
                     place.where};
    }
    if (options.network) return manifest::check_map_sizes(m, table, *options.network);
    return {};
}

}  // namespace spikelock::sim::detail

// SPDX-License-Identifier: Apache-2.0
#include "golden_section.hpp"

#include <algorithm>
#include <array>

#include "section.hpp"
#include "spikelock/golden/description.hpp"

namespace spikelock::manifest::detail {
namespace {

constexpr int kDeepest = 6;
constexpr std::array<std::string_view, 4> kOwnKeys{"cpp", "python", "flags", "interpreter"};

std::string place(const toml::node& node, const std::string& file) {
    const auto& begin = node.source().begin;
    return begin ? file + ":" + std::to_string(begin.line) : file;
}

golden::Setting to_setting(const toml::node& node, const std::string& file, int depth) {
    golden::Setting setting;
    setting.where = place(node, file);
    if (depth > kDeepest) bad("expected tables nested less deeply", setting.where);
    if (node.is_boolean()) {
        setting.value = node.as_boolean()->get();
    } else if (node.is_integer()) {
        setting.value = std::int64_t{node.as_integer()->get()};
    } else if (node.is_string()) {
        setting.value = node.as_string()->get();
    } else if (node.is_array()) {
        std::vector<golden::Setting> items;
        for (const toml::node& item : *node.as_array())
            items.push_back(to_setting(item, file, depth + 1));
        setting.value = std::move(items);
    } else if (node.is_table()) {
        golden::Setting::Table items;
        for (const auto& [key, item] : *node.as_table())
            items.push_back({std::string(key.str()), to_setting(item, file, depth + 1)});
        setting.value = std::move(items);
    } else {
        bad("expected an integer, a string, true or false, a list or a table: the golden computes "
            "with integers only",
            setting.where + ": [golden]");
    }
    return setting;
}

}  // namespace

GoldenSpec read_golden(const toml::node* node, const std::string& file, const std::string& folder) {
    GoldenSpec golden;
    if (node == nullptr) return golden;
    golden.where = place(*node, file);
    if (!node->is_table()) bad("expected a table", golden.where + ": golden");
    const toml::table& table = *node->as_table();
    const bool own =
        std::ranges::any_of(kOwnKeys, [&](std::string_view key) { return table.contains(key); });
    if (!own) {
        golden::Setting settings = to_setting(table, file, 0);
        // What can be told without the network is told now.
        golden::Description description = golden::describe(golden::Network{});
        if (Status good = golden::apply(settings, description); !good) throw Bad{good.error()};
        golden.description = std::move(settings);
        return golden;
    }
    Section s(&table, "golden", file);
    if (s.has("cpp")) golden.cpp = needed_file(folder, s.text("cpp"), s.where("cpp"));
    s.know({"cpp"});
    if (s.has("python")) golden.python = needed_file(folder, s.text("python"), s.where("python"));
    s.know({"python"});
    golden.flags = s.list("flags");
    golden.interpreter = s.text("interpreter", golden.interpreter);
    for (const auto& [key, item] : table) {
        if (std::ranges::find(kOwnKeys, key.str()) != kOwnKeys.end()) continue;
        const std::vector<std::string> keys = golden::description_keys();
        const std::string name(key.str());
        if (std::ranges::any_of(
                keys, [&](const std::string& k) { return k == name || k.starts_with(name + "."); }))
            bad("'" + name + "' describes the built-in golden, which a model of your own (" +
                    (golden.cpp.empty() ? "python" : "cpp") + ") replaces; expected one of the two",
                place(item, file) + ": golden." + name);
    }
    s.close();
    if (golden.cpp.empty() == golden.python.empty())
        bad("expected either cpp = \"model.cpp\" or python = \"model.py\"",
            golden.where + ": [golden]");
    return golden;
}

}  // namespace spikelock::manifest::detail

// SPDX-License-Identifier: Apache-2.0
// Any text is a manifest or an error that names the file; any text is an expression or an error
// that names the column, and an expression has one value however often it is asked.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "fuzz_support.hpp"
#include "spikelock/base/hash.hpp"
#include "spikelock/manifest/manifest.hpp"

namespace {
namespace fs = std::filesystem;
using namespace spikelock;
using fuzz::must;

/// A folder with the files that manifests of the corpus name, so that reading goes on behind them.
const std::string& manifest_path() {
    static const std::string path = [] {
        const fs::path folder = fs::temp_directory_path() / "spikelock-fuzz-manifest";
        fs::create_directories(folder);
        for (const char* name : {"core.sv", "core.vlt", "net.nir", "net.json", "images.csv"})
            std::ofstream(folder / name) << "\n";
        std::ofstream(folder / "faults.toml") << "[[fault]]\nname = \"late\"\nid = 1\n";
        return (folder / "m.toml").string();
    }();
    return path;
}

/// Values that depend on nothing but the name.
Result<std::int64_t> lookup(const std::string& name) {
    Sha256 hash;
    hash.update(name);
    const std::string hex = hash.hex();
    if (hex[0] == '0') return Error{Errc::NotFound, "no such name", "lookup"};
    return static_cast<std::int64_t>(
        std::strtoull(hex.substr(1, hex[0] == 'f' ? 16 : 2).c_str(), nullptr, 16));
}

void expression(std::string_view text) {
    const auto parsed = manifest::Expression::parse(text, "m.toml:1: key");
    if (!parsed) {
        must(parsed.error().where == "m.toml:1: key");
        must(parsed.error().message.find(" at column ") != std::string::npos);
        return;
    }
    const auto names = parsed->names();
    std::size_t looked_up = 0;
    const auto value = parsed->evaluate([&](const std::string& name) {
        ++looked_up;
        return lookup(name);
    });
    must(looked_up == 0 || !names.empty());
    // In parentheses it is the same expression, and its double negation has the same bits.
    const std::string inside = "~~(" + std::string(text) + ")";
    const auto again = manifest::Expression::parse(inside, "m.toml:1: key");
    if (!again) return;  // a level deeper than allowed
    const auto same = again->evaluate(lookup);
    must(value.has_value() == same.has_value() && (!value || *value == *same));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    expression(text);
    // A pattern such as "/*/*/*" is the user's own wish to search the disk.
    if (std::count(text.begin(), text.end(), '*') > 8 || text.find('/') != std::string_view::npos)
        return 0;
    for (const auto need : {manifest::CoreNeed::Always, manifest::CoreNeed::IfPresent}) {
        const auto parsed = manifest::parse_manifest(text, manifest_path(), {}, need);
        if (parsed) {
            for (const std::string& name : parsed->signal_names()) must(!name.empty());
            continue;
        }
        must(!parsed.error().message.empty());
        const std::string folder = fs::path(manifest_path()).parent_path().string();
        must(parsed.error().where.starts_with(folder));
    }
    // The same text as an override: it never crashes, and blames itself or a key.
    const auto overridden = manifest::parse_manifest("", manifest_path(), {std::string(text)},
                                                     manifest::CoreNeed::IfPresent);
    if (!overridden) must(!overridden.error().message.empty());
    return 0;
}

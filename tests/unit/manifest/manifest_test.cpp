// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/manifest.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

using namespace spikelock;
using namespace spikelock::manifest;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = SPIKELOCK_SOURCE_DIR;

struct Line {
    std::size_t number = 0;  ///< from 1
    std::string section;     ///< "core.parameters"; empty at the top
    std::string key;         ///< of "key = value"; empty for a header
    bool array = false;      ///< header of [[...]]
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines(1);
    for (const char c : text) {
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    }
    return lines;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

/// Headers and keys of a manifest whose values stand on one line each.
std::vector<Line> scan(const std::vector<std::string>& lines) {
    std::vector<Line> all;
    std::string section;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string& line = lines[i];
        if (line.starts_with("[")) {
            const bool array = line.starts_with("[[");
            section = line.substr(array ? 2 : 1, line.find(']') - (array ? 2 : 1));
            all.push_back({i + 1, section, {}, array});
        } else if (const std::size_t equals = line.find(" = ");
                   equals != std::string::npos && !line.starts_with("#")) {
            all.push_back({i + 1, section, line.substr(0, equals), false});
        }
    }
    return all;
}

/// The manifests of the examples and tests, and one that has what none of them has.
const std::vector<std::string> kManifests = {
    "examples/010_digits/cosim.toml", "examples/030_parallel_lif/cosim.toml",
    "tests/unit/manifest/all_keys.toml", "tests/unit/manifest/all_keys_aer.toml"};

std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

Error error_of(const std::string& text, const std::string& path,
               const std::vector<std::string>& overrides = {}) {
    const auto parsed = parse_manifest(text, path, overrides);
    if (parsed) FAIL("accepted:\n" << text);
    return parsed.error();
}

/// A manifest that is enough, beside files that exist.
std::string minimal(const std::string& more = {}) {
    return "clock = \"clk_i\"\n"                                 // 1
           "[core]\ntop = \"t\"\nsources = [\"core.sv\"]\n"      // 2 to 4
           "[timestep]\nstart = \"s\"\ndone = \"d\"\n"           // 5 to 7
           "[[observe]]\nfield = \"v\"\nvalue = \"v_o[i]\"\n" +  // 8 to 10
           more;                                                 // from 11
}
const std::string kMinimalPath = (kRoot / "tests/unit/manifest/m.toml").string();
}  // namespace

TEST_CASE("manifest: the manifests of examples and tests load", "[manifest][unit]") {
    const std::string name = GENERATE(from_range(kManifests));
    CAPTURE(name);
    const auto loaded = load_manifest((kRoot / name).string());
    if (!loaded) FAIL(loaded.error().text());
    CHECK(loaded->folder == (kRoot / name).parent_path().string());
    CHECK(fs::path(loaded->core.sources.at(0)).is_absolute());
}

TEST_CASE("manifest: every misspelt key is told with its line and the right name",
          "[manifest][property]") {
    const std::string name = GENERATE(from_range(kManifests));
    const std::string path = (kRoot / name).string();
    const std::vector<std::string> lines = lines_of(content(path));
    std::size_t checked = 0;
    for (const Line& line : scan(lines)) {
        if (line.key.empty() || line.section == "core.parameters" ||
            line.section == "adapter.options")
            continue;
        std::vector<std::string> changed = lines;
        changed[line.number - 1].insert(line.key.size(), "x");
        const Error error = error_of(joined(changed), path);
        CAPTURE(line.number, line.section, line.key, error.text());
        CHECK(error.code == Errc::BadConfig);
        CHECK(error.where == path + ":" + std::to_string(line.number));
        CHECK_THAT(error.message, StartsWith("unknown key '" + line.key + "x'") &&
                                      ContainsSubstring("did you mean '" + line.key + "'"));
        ++checked;
    }
    CHECK(checked > 15);
}

TEST_CASE("manifest: every value of a wrong type is told with its line and key",
          "[manifest][property]") {
    const std::string name = GENERATE(from_range(kManifests));
    const std::string path = (kRoot / name).string();
    const std::vector<std::string> lines = lines_of(content(path));
    for (const Line& line : scan(lines)) {
        if (line.key.empty()) continue;
        for (const char* value : {"{ x = 1 }", "2001-02-03", "[[1]]"}) {
            std::vector<std::string> changed = lines;
            changed[line.number - 1] = line.key + " = " + value;
            const Error error = error_of(joined(changed), path);
            CAPTURE(line.number, line.section, value, error.text());
            CHECK(error.code == Errc::BadConfig);
            const std::string full =
                line.section.empty() ? line.key : line.section + "." + line.key;
            CHECK(error.where == path + ":" + std::to_string(line.number) + ": " + full);
            CHECK_THAT(error.message, StartsWith("expected "));
        }
    }
}

TEST_CASE("manifest: every misspelt section is told with its line and the right name",
          "[manifest][property]") {
    const std::string name = GENERATE(from_range(kManifests));
    const std::string path = (kRoot / name).string();
    const std::vector<std::string> lines = lines_of(content(path));
    for (const Line& line : scan(lines)) {
        // A [core.parameters] that stays makes a [core], which then lacks everything else.
        if (!line.key.empty() || line.section == "core") continue;
        std::vector<std::string> changed = lines;
        std::string& header = changed[line.number - 1];
        header.insert(header.find(']'), "x");
        // [stimulus.x] keeps a section that a table inside it makes.
        const bool inner = std::any_of(lines.begin(), lines.end(), [&](const std::string& other) {
            return other.starts_with("[" + line.section + ".");
        });
        if (inner) continue;
        const Error error = error_of(joined(changed), path);
        const std::string own = line.section.substr(line.section.rfind('.') + 1);
        CAPTURE(line.number, line.section, error.text());
        CHECK_THAT(error.where, StartsWith(path + ":" + std::to_string(line.number)));
        CHECK_THAT(error.message, StartsWith("unknown key '" + own + "x'") &&
                                      ContainsSubstring("did you mean '" + own + "'"));
    }
}

TEST_CASE("manifest: what is missing or does not fit is told", "[manifest][unit]") {
    const auto [text, where, message] = GENERATE(table<std::string, std::string, std::string>({
        {"", "", "missing section [core]: sources, top and how to build"},
        {"[core]\nsources = \"core.sv\"\n", ":1: [core]",
         "missing key 'top', e.g. top = \"my_core\""},
        {"[core]\ntop = \"t\"\n", ":1: [core]",
         "missing key 'sources', e.g. sources = [\"rtl/*.sv\"]"},
        {"[core]\ntop = \"t\"\nsources = []\n", ":3: core.sources",
         "expected at least one source file"},
        {"[core]\ntop = \"t\"\nsources = [\"nowhere.sv\"]\n", ":3: core.sources", "no such file: "},
        {"[core]\ntop = \"t\"\nsources = [\"*.vhd\"]\n", ":3: core.sources", "no file matches: "},
        {"[core]\ntop = \"t\"\nsources = [1]\n", ":3: core.sources",
         "expected a list of strings, found integer"},
        {"[core]\ntop = \"t\"\nsources = \"core.sv\"\n", "", "missing key 'clock', e.g. clock = "},
        {"clock = \"c\"\n[core]\ntop = \"t\"\nsources = \"core.sv\"\n", "",
         "missing section [timestep]"},
        {"clock = \"c\"\n[core]\ntop = \"t\"\nsources = \"core.sv\"\n[timestep]\nstart = \"s\"\n"
         "done = \"d\"\n",
         "", "nothing is observed: expected [[observe]] entries"},
        {"clock = \"c\"\n[core]\ntop = \"t\"\nsources = \"core.sv\"\n[timestep]\nstart = \"s\"\n",
         ":5: [timestep]", "missing key 'done', e.g. done = \"done_o\""},
        {"core = 1\n", ":1: core", "expected a table, got integer"},
        {minimal("[[map]]\nvalue = \"n\"\naddress = \"0\"\n"), ":11: [[map]]",
         "missing key 'array': global, neuron, row, synapse or dense"},
        {minimal("[[map]]\narray = \"neurons\"\nvalue = \"n\"\naddress = \"0\"\n"),
         ":12: map.array",
         "expected one of 'global', 'neuron', 'row', 'synapse', 'dense', got 'neurons'; did you "
         "mean 'neuron'?"},
        {minimal("[[map]]\narray = \"neuron\"\nvalue = \"n\"\n"), ":11: [[map]]",
         "expected either 'address' (through the configuration port) or 'memory' (back door)"},
        {minimal("[[map]]\narray = \"neuron\"\naddress = \"4*(n\"\nvalue = \"n\"\n"),
         ":13: map.address", "expected ')' at column 5 of '4*(n'"},
        {minimal("[[map]]\narray = \"neuron\"\naddress = \"n\"\nvalue = \"n\"\nwidth = 65\n"),
         ":15: map.width", "expected 1..64, got 65"},
        {minimal("[[startup]]\nreset = \"r\"\npulse = \"p\"\n"), ":11: [startup]",
         "expected exactly one of reset, set, wait_clocks, pulse, load"},
        {minimal("[[observe]]\nfield = \"u\"\n"), ":11: [[observe]]",
         "expected 'value' (sampled each timestep) or 'valid' and 'index' (a stream)"},
        {minimal("[[observe]]\nfield = \"u\"\nvalid = \"x\"\nvalue = \"y\"\n"), ":11: [[observe]]",
         "'valid' needs 'index' (the neuron)"},
        {minimal("map = 3\n"), ":11", "unknown key 'map' in [observe]"},
        {minimal("[network]\n"), ":11: [network]",
         "expected either nir = \"net.nir\" or json = \"net.json\""},
        {minimal("[network]\nnir = \"nowhere.nir\"\n"), ":12: network.nir", "no such file: "},
        {minimal("[network]\njson = \"core.sv\"\n[network.quantise]\nv_bits = 33\n"),
         ":14: network.quantise.v_bits", "expected 2..32, got 33"},
        {minimal("[network]\njson = \"core.sv\"\n[network.quantise]\ndt = nan\n"),
         ":14: network.quantise.dt", "expected 1e-12 to 1000, got nan"},
        {minimal("[stimulus]\nkind = \"images\"\n"), ":11: [stimulus]", "missing key 'file'"},
        {minimal("[stimulus]\nseed = -1\n"), ":12: stimulus.seed",
         "expected 0..9223372036854775807, got -1"},
        {minimal("[stimulus]\nkind = \"current\"\nmax_rate = 0.5\n"), ":13: stimulus.max_rate",
         "does nothing with kind = 'current', it belongs to: images"},
        {minimal("[[extra_clock]]\nport = \"clk_i\"\n"), ":11: [[extra_clock]]",
         "port = \"clk_i\" is the clock already"},
        {minimal("[[extra_clock]]\nport = \"b\"\n[[extra_clock]]\nport = \"b\"\n"),
         ":13: [[extra_clock]]", "port = \"b\" is an [[extra_clock]] already"},
        {minimal("[[startup]]\nset = \"clk_i\"\n"), ":11",
         "the driven port = \"clk_i\" is the clock already"},
        {minimal("[stimulus]\nnoise = 3\n"), ":12: stimulus.noise",
         "does nothing with kind = 'poisson', it belongs to: current"},
        {minimal("[pacing]\nstall_probability = 1\n"), ":12: pacing.stall_probability",
         "expected 0 to 0.99, got 1"},
        {"clock = \"a\"\nclock = \"b\"\n", ":2:", "Error while parsing"},
        {"clock = \"\xff\"\n", ":1:", "Error while parsing"},
    }));
    const Error error = error_of(text, kMinimalPath);
    CAPTURE(text, error.text());
    CHECK_THAT(error.where, StartsWith(kMinimalPath + where));
    if (where.empty()) CHECK(error.where == kMinimalPath);
    if (message != "Error while parsing") CHECK_THAT(error.message, StartsWith(message));
}

TEST_CASE("manifest: overrides are put in before checking and blamed by key", "[manifest][unit]") {
    const auto good =
        parse_manifest(minimal(), kMinimalPath,
                       {"core.parameters.N=4", "stimulus.kind=poisson", "stimulus.probability=0.25",
                        "stimulus.seed=9", "core.top=other", "core.defines=[\"A\", \"B=2\"]"});
    if (!good) FAIL(good.error().text());
    CHECK(good->core.parameters.at("N") == "4");
    CHECK(good->stimulus.probability == 0.25);
    CHECK(good->stimulus.seed == 9);
    CHECK(good->core.top == "other");
    CHECK(good->core.defines == std::vector<std::string>{"A", "B=2"});

    const auto [text, where, message] = GENERATE(table<std::string, std::string, std::string>(
        {{"stimulus.seed", "--set stimulus.seed", "expected key.path=value"},
         {"=3", "--set =3", "expected key.path=value"},
         {"clock.x=3", "--set clock.x=3", "'clock' is not a table"},
         {"observe.x=3", "--set observe.x=3",
          "'observe' has several entries, which --set cannot reach; edit the manifest"},
         // No line of the file is to blame.
         {"stimulus.seed=-1", "--set stimulus.seed=-1: stimulus.seed",
          "expected 0..9223372036854775807, got -1"},
         {"stimulus.sead=1", kMinimalPath,
          "unknown key 'sead' in [stimulus]; did you mean 'seed'?"},
         {"core.parameters.N=1.5", "--set core.parameters.N=1.5: core.parameters.N",
          "expected an integer or a string, got floating-point"}}));
    const Error error = error_of(minimal(), kMinimalPath, {text});
    CAPTURE(text, error.text());
    CHECK(error.where == where);
    CHECK(error.message == message);
}

TEST_CASE("manifest: keys of another kind of stimulus are in the way only where it was chosen",
          "[manifest][unit]") {
    const std::string text =
        minimal("[stimulus]\nkind = \"current\"\ncurrent = 5\nnoise = 3\nsteps = 9\n");
    CHECK(parse_manifest(text, kMinimalPath));
    const auto other = parse_manifest(text, kMinimalPath, {"stimulus.kind=poisson"});
    if (!other) FAIL(other.error().text());
    CHECK(other->stimulus.steps == 9);
    // What is said on the command line is meant to do something.
    const Error error = error_of(text, kMinimalPath, {"stimulus.kind=poisson", "stimulus.noise=4"});
    CHECK(error.where == "--set stimulus.noise=4: stimulus.noise");
    CHECK(error.message == "does nothing with kind = 'poisson', it belongs to: current");
}

TEST_CASE("manifest: a verb that runs no core needs no [core]", "[manifest][unit]") {
    const std::string text = "[stimulus]\nsteps = 7\n";
    const auto loaded = parse_manifest(text, kMinimalPath, {}, CoreNeed::IfPresent);
    if (!loaded) FAIL(loaded.error().text());
    CHECK(loaded->stimulus.steps == 7);
    CHECK(loaded->core.top.empty());
    // Where there is one, it is checked as ever.
    CHECK_FALSE(parse_manifest("[core]\n", kMinimalPath, {}, CoreNeed::IfPresent));
    CHECK_FALSE(parse_manifest("[cores]\n", kMinimalPath, {}, CoreNeed::IfPresent));
    CHECK_FALSE(parse_manifest("clock = \"c\"\n", kMinimalPath, {}, CoreNeed::IfPresent));
}

TEST_CASE("manifest: files that are no manifest are refused", "[manifest][unit]") {
    CHECK(load_manifest("/nowhere/cosim.toml").error().code == Errc::NotFound);
    CHECK(load_manifest(kRoot.string()).error().code == Errc::NotFound);
    const auto endless = load_manifest("/dev/zero");
    REQUIRE_FALSE(endless);
    CHECK(endless.error().code == Errc::Limit);
}

TEST_CASE("manifest: the list of faults is checked like the manifest", "[manifest][unit]") {
    const fs::path folder = fs::temp_directory_path() / "spikelock-manifest-test";
    fs::create_directories(folder);
    const auto [faults, where, message] = GENERATE(table<std::string, std::string, std::string>(
        {{"[[fault]]\nname = \"a\"\n", ":1: [fault]", "missing key 'id' (1..255)"},
         {"[[fault]]\nname = \"a\"\nid = 256\n", ":3: fault.id", "expected 1..255, got 256"},
         {"[[fault]]\nnome = \"a\"\nid = 1\n", ":2",
          "unknown key 'nome' in [fault]; did you mean 'name'?"},
         {"[[faults]]\nname = \"a\"\nid = 1\n", ":1",
          "unknown key 'faults'; did you mean 'fault'?"}}));
    const fs::path list = folder / "faults.toml";
    std::ofstream(list) << faults;
    const Error error = error_of(minimal(), kMinimalPath, {"core.faults=" + list.string()});
    CAPTURE(faults, error.text());
    CHECK_THAT(error.where, StartsWith(list.string() + where));
    CHECK(error.message == message);
    fs::remove_all(folder);
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/nir.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "nir_graph.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/golden/quantise.hpp"

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using spikelock::Errc;
using spikelock::Result;
using spikelock::golden::FloatNetwork;
using spikelock::golden::FloatPopulation;
using spikelock::golden::NeuronKind;
using spikelock::golden::read_nir;

namespace fs = std::filesystem;

namespace {

const fs::path kFiles = SPIKELOCK_NIR_FILES;

/// Files written by make_nir.py that have a companion with this ending, in a fixed order.
std::vector<fs::path> files_with(const std::string& ending) {
    std::vector<fs::path> files;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(kFiles, missing))
        if (entry.path().extension() == ending)
            files.push_back(fs::path(entry.path()).replace_extension(".nir"));
    std::sort(files.begin(), files.end());
    return files;
}

/// Data from elsewhere, if it is there.
fs::path data(const std::string& name) {
    const char* folder = std::getenv("SPIKELOCK_DATA");
    const fs::path path =
        (folder != nullptr ? fs::path(folder) : fs::path(SPIKELOCK_SOURCE_DIR) / "../shared/data") /
        name;
    if (!fs::exists(path)) SKIP("no " << path.string() << "; set SPIKELOCK_DATA");
    return path;
}

FloatNetwork load(const fs::path& path) {
    auto network = read_nir(path.string());
    if (!network) FAIL(network.error().text());
    return std::move(*network);
}

std::uint32_t n_neurons(const FloatNetwork& network) {
    std::uint32_t n = 0;
    for (const FloatPopulation& population : network.populations) n += population.size;
    return n;
}

/// (source, target, delay, recurrent) -> weight
using Synapses = std::map<std::tuple<std::uint32_t, std::uint32_t, double, bool>, double>;

Synapses synapses_of(const FloatNetwork& network) {
    Synapses all;
    for (std::uint32_t source = 0; source + 1 < network.row_begin.size(); ++source)
        for (std::uint32_t i = network.row_begin[source]; i < network.row_begin[source + 1]; ++i) {
            const auto& s = network.synapses[i];
            // One synapse for each way: parallel ways are summed.
            CHECK(all.emplace(std::tuple{source, s.target, s.delay, s.recurrent}, s.weight).second);
        }
    return all;
}

std::string kind_name(NeuronKind kind) {
    return std::array{"If", "Lif", "CubaLif", "Li", "CubaLi"}[static_cast<std::size_t>(kind)];
}

const std::vector<double>* parameter(const FloatPopulation& p, const std::string& name) {
    const std::map<std::string, const std::vector<double>*> all = {
        {"tau_mem", &p.tau_mem}, {"tau_syn", &p.tau_syn},
        {"w_in", &p.w_in},       {"r", &p.r},
        {"v_leak", &p.v_leak},   {"v_reset", &p.v_reset},
        {"bias", &p.bias},       {"v_threshold", &p.v_threshold},
    };
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second;
}

/// Compares a network with the lines of an .expect file.
void check_expected(const FloatNetwork& network, const fs::path& path) {
    std::ifstream file(path);
    REQUIRE(file);
    Synapses want;
    std::size_t next = 0;
    const FloatPopulation* population = nullptr;
    std::uint32_t neurons = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        const auto real = [&] {
            std::string text;
            words >> text;
            return std::strtod(text.c_str(), nullptr);
        };
        if (word == "ports") {
            std::string ports;
            for (const auto& port : network.ports)
                ports += " " + port.label + ":" + std::to_string(port.end - port.begin);
            CHECK("ports" + (ports.empty() ? " " : ports) == line);
        } else if (word == "population") {
            REQUIRE(next < network.populations.size());
            population = &network.populations[next++];
            CHECK("population " + population->label + " " + kind_name(population->kind) + " " +
                      std::to_string(population->size) ==
                  line);
            neurons += population->size;
        } else if (word == "synapse") {
            std::uint32_t source = 0;
            std::uint32_t target = 0;
            words >> source >> target;
            const double weight = real();
            const double delay = real();
            int recurrent = 0;
            words >> recurrent;
            want[{source, target, delay, recurrent == 1}] = weight;
        } else {
            REQUIRE(population != nullptr);
            const std::vector<double>* values = parameter(*population, word);
            REQUIRE(values != nullptr);
            REQUIRE(values->size() == population->size);
            CAPTURE(population->label, word);
            for (const double value : *values) CHECK(value == real());
        }
    }
    CHECK(next == network.populations.size());
    CHECK(network.row_begin.size() == network.n_axons() + neurons + std::size_t{1});
    CHECK(synapses_of(network) == want);
}

}  // namespace

TEST_CASE("golden/nir: every kind of graph gives the network that NIR defines", "[golden][unit]") {
    const std::vector<fs::path> files = files_with(".expect");
    REQUIRE(files.size() > 30);
    for (const fs::path& path : files) {
        INFO(path.filename().string());
        const auto network = read_nir(path.string());
        if (!network) {
            FAIL_CHECK(network.error().text());
            continue;
        }
        CHECK(network->name == path.stem().string());
        check_expected(*network, fs::path(path).replace_extension(".expect"));
    }
}

TEST_CASE("golden/nir: a graph that cannot be had is refused by name", "[golden][unit]") {
    const std::vector<fs::path> files = files_with(".error");
    REQUIRE(files.size() > 40);
    for (const fs::path& path : files) {
        INFO(path.filename().string());
        const auto network = read_nir(path.string());
        if (network) {
            FAIL_CHECK("was read");
            continue;
        }
        std::ifstream file(fs::path(path).replace_extension(".error"));
        std::string line;
        REQUIRE(std::getline(file, line));
        CHECK(std::string(name_of(network.error().code)) == line);
        CHECK_THAT(network.error().where, StartsWith(path.string()));
        while (std::getline(file, line))
            CHECK_THAT(network.error().text(), ContainsSubstring(line));
    }
}

TEST_CASE("golden/nir: what is not a readable file is an error", "[golden][unit]") {
    const auto missing = read_nir("/nonexistent/network.nir");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::NotFound);
    CHECK(missing.error().text() == "/nonexistent/network.nir: no such file");
    const auto folder = read_nir(kFiles.string());
    REQUIRE_FALSE(folder);
    CHECK(folder.error().code == Errc::BadFormat);
}

TEST_CASE("golden/nir: the Braille networks load", "[golden][unit]") {
    const auto [name, hidden] = GENERATE(table<std::string, std::uint32_t>(
        {{"braille_noDelay_bias_zero", 38}, {"braille_noDelay_noBias_subtract", 40}}));
    const FloatNetwork network = load(data("nir/" + name + ".nir"));
    REQUIRE(network.populations.size() == 2);
    CHECK(network.n_axons() == 12);
    CHECK(network.ports[0].label == "input");
    CHECK(network.populations[0].label == "lif1.lif");
    CHECK(network.populations[0].size == hidden);
    CHECK(network.populations[0].kind == NeuronKind::CubaLif);
    CHECK(network.populations[1].label == "lif2");
    CHECK(network.populations[1].size == 7);
    CHECK(network.populations[1].v_reset == std::vector<double>(7, 0.0));
    std::uint64_t recurrent = 0;
    for (const auto& synapse : network.synapses) recurrent += synapse.recurrent ? 1 : 0;
    CHECK(recurrent == hidden * hidden);
    CHECK(network.synapses.size() == 12 * hidden + hidden * hidden + hidden * 7);
}

TEST_CASE("golden/nir: the single neuron of the paper loads", "[golden][unit]") {
    const FloatNetwork network = load(data("nir/lif_norse.nir"));
    CHECK(network.n_axons() == 1);
    REQUIRE(n_neurons(network) == 1);
    CHECK(network.populations[0].kind == NeuronKind::Lif);
    CHECK(static_cast<float>(network.populations[0].tau_mem[0]) == 0.0025F);
    CHECK(static_cast<float>(network.populations[0].v_threshold[0]) == 0.1F);
}

TEST_CASE("golden/nir: a nested graph whose edges misname its nodes is refused", "[golden][unit]") {
    const auto network = read_nir(data("nir/braille_noDelay_bias_zero_subgraph.nir").string());
    REQUIRE_FALSE(network);
    CHECK(network.error().code == Errc::BadFormat);
    CHECK_THAT(network.error().text(), ContainsSubstring("edge ('input', 'lif') of graph 'lif1'") &&
                                           ContainsSubstring("did you mean 'lif1'"));
}

TEST_CASE("golden/nir: the nested Braille graph, put right, is the flat one", "[golden][unit]") {
    const FloatNetwork flat = load(data("nir/braille_noDelay_bias_zero.nir"));
    const fs::path repaired = kFiles / "braille_subgraph_repaired.nir";
    REQUIRE(fs::exists(repaired));
    const FloatNetwork nested = load(repaired);
    REQUIRE(nested.populations.size() == flat.populations.size());
    for (std::size_t p = 0; p < flat.populations.size(); ++p) {
        CHECK(nested.populations[p].label == flat.populations[p].label);
        CHECK(nested.populations[p].tau_syn == flat.populations[p].tau_syn);
        CHECK(nested.populations[p].bias == flat.populations[p].bias);
    }
    CHECK(synapses_of(nested) == synapses_of(flat));
}

TEST_CASE("golden/nir: the digits network of the example loads and quantises without clipping",
          "[golden][unit]") {
    const fs::path path = fs::path(SPIKELOCK_SOURCE_DIR) / "examples/010_digits/digits.nir";
    if (!fs::exists(path)) SKIP("no " << path.string());
    const FloatNetwork network = load(path);
    CHECK(network.n_axons() == 64);
    REQUIRE(network.populations.size() >= 2);
    CHECK(network.populations.back().size == 10);
    spikelock::golden::QuantiseOptions options;
    options.arithmetic.weight_bits = 8;
    const auto quantised = quantise(network, options);
    if (!quantised) FAIL(quantised.error().text());
    for (const auto& row : quantised->report.rows) {
        INFO(row.label);
        CHECK(row.weights_clipped == 0);
        CHECK(row.max_weight_error <= 0.004);  // half of the 2^-7 that its weights are scaled for
        CHECK(row.max_leak_error == 0.0);
        CHECK(row.saturation_margin >= 4.0);
        CHECK(row.input_margin >= 1.0);
    }
    CHECK(quantised->report.notes.empty());
}

TEST_CASE("golden/nir: a broken file gives an error or a network, soon", "[golden][property]") {
    std::vector<fs::path> files = files_with(".expect");
    REQUIRE_FALSE(files.empty());
    const fs::path broken =
        fs::temp_directory_path() / ("spikelock_nir_" + std::to_string(::getpid()) + ".nir");
    const spikelock::CounterRandom random(Catch::getSeed(), 0);
    std::uint64_t draws = 0;
    const auto below = [&](std::size_t bound) {
        return random.below(static_cast<std::uint32_t>(bound), ++draws);
    };
    std::map<std::string, int> outcomes;
    constexpr int kRuns = 200;
    for (int run = 0; run < kRuns; ++run) {
        const fs::path& source = files[below(files.size())];
        std::ifstream in(source, std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(in), {}};
        REQUIRE_FALSE(bytes.empty());
        const auto place = [&] {
            // Half of the changes go to the start, where the superblock and the first groups are.
            return below(below(2) == 0 ? std::min<std::size_t>(bytes.size(), 4096) : bytes.size());
        };
        switch (below(4)) {
            case 0:  // bits
                for (std::uint32_t i = below(8) + 1; i-- > 0;) {
                    char& byte = bytes[place()];
                    byte = static_cast<char>(byte ^ (1 << below(8)));
                }
                break;
            case 1: {  // extreme numbers
                const std::array<char, 4> values{'\0', '\1', '\x7f', '\xff'};
                for (std::uint32_t i = below(16) + 1; i-- > 0;) bytes[place()] = values[below(4)];
                break;
            }
            case 2: {  // a stretch copied over another
                const std::size_t from = place();
                const std::size_t to = place();
                const std::size_t size =
                    std::min<std::size_t>(below(256) + 1, bytes.size() - std::max(from, to));
                bytes.replace(to, size, bytes.substr(from, size));
                break;
            }
            default:
                bytes.resize(place());
        }
        std::ofstream(broken, std::ios::binary | std::ios::trunc)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        INFO("run " << run << " from " << source.filename().string());
        const auto begin = std::chrono::steady_clock::now();
        const auto network =
            spikelock::golden::detail::read_nir_within(broken.string(), {.wall = 500ms});
        CHECK(std::chrono::steady_clock::now() - begin < 10s);
        if (network) {
            // What is let through must be sound enough for the next stage, whatever it says.
            (void)quantise(*network, {});
            ++outcomes["read"];
        } else {
            CHECK_THAT(network.error().where, StartsWith(broken.string()));
            CHECK_FALSE(network.error().message.empty());
            const bool crashed = network.error().message.find("crashed") != std::string::npos;
            const bool hung = network.error().code == Errc::Timeout;
            ++outcomes[crashed ? "crashed" : hung ? "hung" : "refused"];
        }
    }
    fs::remove(broken);
    // Both ways must have been taken, else the mutations are too mild or too wild to show much.
    CHECK(outcomes["read"] > 0);
    CHECK(outcomes["refused"] > 0);
    WARN(kRuns << " broken files: " << outcomes["read"] << " read, " << outcomes["refused"]
               << " refused, " << outcomes["crashed"] << " crashed the HDF5 library, "
               << outcomes["hung"] << " hung it");
}

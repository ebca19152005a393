// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "spikelock/golden/network.hpp"
#include "spikelock/manifest/plan.hpp"

using namespace spikelock;
using namespace spikelock::manifest;
using Catch::Matchers::ContainsSubstring;

namespace {
const std::string kPath = SPIKELOCK_SOURCE_DIR "/tests/unit/manifest/m.toml";

/// Three neurons, two axons, with synapses in an order of their own.
golden::Network network() {
    golden::Network net;
    net.name = "maps";
    net.ports = {{"in", 0, 2}};
    net.populations = {{"all", 0, 3}};
    net.neurons.resize(3);
    for (std::int32_t n = 0; n < 3; ++n) {
        net.neurons[static_cast<std::size_t>(n)].threshold = 10 + n;
        net.neurons[static_cast<std::size_t>(n)].v_init = 5 * n - 7;
    }
    net.synapses = {{2, -5, 1}, {0, 7, 0}, {1, 3, 2}, {0, 4, 1}};
    net.row_begin = {0, 2, 3, 4, 4, 4};
    return net;
}

Manifest parse(const std::string& maps) {
    auto parsed = parse_manifest(
        "clock = \"clk_i\"\n[core]\ntop = \"t\"\nsources = [\"core.sv\"]\n"
        "[timestep]\nkind = \"clocked\"\n[[observe]]\nfield = \"spike\"\n"
        "value = \"s_o[i]\"\n" +
            maps,
        kPath);
    if (!parsed) FAIL(parsed.error().text());
    return *parsed;
}

SignalTable signals(std::uint32_t words) {
    SignalTable table;
    table["clk_i"] = {"in", 1, 1};
    table["s_o"] = {"out", 3, 1};
    table["mem"] = {"internal", 16, words};
    return table;
}

std::string map_text(const std::string& array, const std::string& word, const std::string& value,
                     const std::string& more) {
    return "[[map]]\narray = \"" + array + "\"\nmemory = \"mem\"\nword = \"" + word +
           "\"\nwidth = 16\nvalue = \"" + value + "\"\n" + more;
}
}  // namespace

TEST_CASE("maps: a network that is written and read back is the same", "[manifest][property]") {
    struct Case {
        std::string array;
        std::string word;
        std::string value;
    };
    for (const Case& c : {Case{"neuron", "n", "threshold"}, Case{"neuron", "n", "v_init"},
                          Case{"synapse", "k", "weight"}, Case{"synapse", "k", "delay"},
                          Case{"dense", "3*pre + post", "weight"}}) {
        CAPTURE(c.array, c.value);
        const golden::Network net = network();
        const Manifest writes = parse(map_text(c.array, c.word, c.value, ""));
        const Manifest reads =
            parse(map_text(c.array, c.word, c.value, "direction = \"read\"\nsigned = true\n"));
        auto plan = resolve(writes, signals(32), net);
        REQUIRE(plan);
        auto written = map_words(writes, *plan, signals(32), net);
        REQUIRE(written);
        std::vector<std::uint64_t> values;
        for (const MapWord& word : *written) values.push_back(word.data);
        auto words = map_words(reads, *plan, signals(32), net);
        REQUIRE(words);
        REQUIRE(words->size() == written->size());

        golden::Network other = net;
        for (auto& neuron : other.neurons) {
            if (c.value == "threshold") neuron.threshold = 1;
            if (c.value == "v_init") neuron.v_init = 1;
        }
        for (auto& synapse : other.synapses) {
            synapse.weight = 1;
            synapse.delay = 1;
        }
        const bool of_neurons = c.array == "neuron";
        auto back = network_from_core(reads, *words, values, of_neurons ? other : net);
        REQUIRE(back);
        CHECK(back->neurons == net.neurons);
        if (of_neurons) continue;
        CHECK(back->synapses == net.synapses);
        CHECK(back->row_begin == net.row_begin);
        // A change in the core is a change of the network, at its place.
        values[c.array == "dense" ? 1 : 2] = c.value == "delay" ? 3 : 9;
        back = network_from_core(reads, *words, values, net);
        REQUIRE(back);
        if (c.array == "dense") {
            REQUIRE(back->synapses.size() == 5);
            CHECK(back->row(0)[2] == golden::Synapse{1, 9, 0});
        } else if (c.value == "weight") {
            CHECK(back->synapses[2].weight == 9);
        } else {
            CHECK(back->synapses[2].delay == 3);
        }
    }
}

TEST_CASE("maps: elements for which 'when' is 0 are left out, in both directions",
          "[manifest][unit]") {
    const golden::Network net = network();
    const bool read = GENERATE(false, true);
    const std::string more =
        std::string("when = \"n != 1 && n < 3\"\n") + (read ? "direction = \"read\"\n" : "");
    // A word that would not exist is not looked for either.
    const Manifest m = parse(map_text("neuron", "n == 1 ? 99 : n", "threshold", more));
    auto plan = resolve(m, signals(3), net);
    REQUIRE(plan);
    auto words = map_words(m, *plan, signals(3), net);
    REQUIRE(words);
    REQUIRE(words->size() == 2);
    CHECK((*words)[0].element == 0);
    CHECK((*words)[1].element == 2);
    if (read) {
        auto back = network_from_core(m, *words, {20, 21}, net);
        REQUIRE(back);
        CHECK(back->neurons[0].threshold == 20);
        CHECK(back->neurons[1].threshold == 11);
        CHECK(back->neurons[2].threshold == 21);
    } else {
        CHECK((*words)[0].data == 10);
        CHECK((*words)[1].data == 12);
    }
    // What 'when' cannot say is told.
    const Manifest wrong = parse(map_text("neuron", "n", "threshold", "when = \"pre < 2\"\n"));
    const auto refused = map_words(wrong, *plan, signals(3), net);
    REQUIRE(!refused);
    CHECK_THAT(refused.error().text(), ContainsSubstring("unknown name 'pre'"));
}

TEST_CASE("maps: what the core holds must be a network", "[manifest][unit]") {
    const golden::Network net = network();
    const Manifest reads = parse(map_text("neuron", "n", "threshold", "direction = \"read\"\n"));
    auto plan = resolve(reads, signals(32), net);
    REQUIRE(plan);
    auto words = map_words(reads, *plan, signals(32), net);
    REQUIRE(words);
    // Unsigned 0xffff is no threshold of 16 bits.
    const auto bad = network_from_core(reads, *words, {5, 0xffff, 6}, net);
    REQUIRE(!bad);
    CHECK_THAT(bad.error().text(), ContainsSubstring("the network that the core holds"));
}

TEST_CASE("maps: a memory that is too small is told with what is needed", "[manifest][unit]") {
    const golden::Network net = network();
    const auto error_of = [&](const std::string& map, std::uint32_t words) {
        const Manifest m = parse(map);
        const Status before = check_map_sizes(m, signals(words), net);
        auto plan = resolve(m, signals(words), net);
        REQUIRE(plan);
        const auto made = map_words(m, *plan, signals(words), net);
        // Before the build and after it the same is said.
        REQUIRE(static_cast<bool>(before) == static_cast<bool>(made));
        if (made) return std::string();
        CHECK(before.error().text() == made.error().text());
        CHECK(made.error().code == Errc::Mismatch);
        return made.error().text();
    };
    CHECK_THAT(
        error_of(map_text("neuron", "n", "threshold", ""), 2),
        ContainsSubstring("the map of 'neuron' needs 3 words of 'mem' (neuron 2), which has 2"));
    CHECK_THAT(error_of(map_text("synapse", "4 + k", "weight", ""), 7),
               ContainsSubstring("needs 8 words of 'mem' (synapse 3), which has 7"));
    CHECK_THAT(error_of(map_text("neuron", "n - 1", "threshold", ""), 7),
               ContainsSubstring("needs word -1"));
    CHECK(error_of(map_text("neuron", "n", "threshold", ""), 3).empty());
    // Sources without synapses need no words: those of neurons 1 and 2 are not there.
    CHECK(error_of(map_text("dense", "3*pre + post", "weight", ""), 9).empty());
    CHECK_THAT(error_of(map_text("dense", "3*pre + post", "weight", ""), 6),
               ContainsSubstring("needs 7 words"));
}

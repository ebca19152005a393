// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/render.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "simulator.hpp"
#include "spikelock/analysis/json.hpp"
#include "spikelock/analysis/raster.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using namespace spikelock::analysis::test;
using nlohmann::json;

namespace {
std::size_t longest_line(const std::string& text) {
    std::istringstream lines(text);
    std::size_t longest = 0;
    for (std::string line; std::getline(lines, line);)
        longest =
            std::max(longest, static_cast<std::size_t>(std::ranges::count_if(line, [](char c) {
                         return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
                     })));
    return longest;
}

/// Dots that are set in a raster.
std::uint64_t dots_in(const std::string& text) {
    std::uint64_t dots = 0;
    for (std::size_t i = 0; i + 2 < text.size(); ++i) {
        const auto byte = [&text, i](std::size_t k) {
            return static_cast<unsigned char>(text[i + k]);
        };
        if (byte(0) != 0xE2 || byte(1) < 0xA0 || byte(1) > 0xA3) continue;
        const unsigned cell = (byte(1) - 0xA0U) << 6 | (byte(2) - 0x80U);
        for (unsigned bits = cell; bits != 0; bits &= bits - 1) ++dots;
    }
    return dots;
}

std::string without_colour(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\x1b')
            while (text[i] != 'm') ++i;
        else
            plain += text[i];
    }
    return plain;
}

struct Case {
    golden::Network network;
    std::unique_ptr<trace::Stimulus> stimulus;
    trace::ExecutionTrace expected;
    trace::ExecutionTrace actual;
    DivergenceReport report;
};

/// A planted fault that shows in a network of this seed.
Case make_case(std::uint64_t seed, const std::string& fault) {
    Case result{small_network(seed), nullptr, {}, {}, {}};
    result.stimulus = input_for(result.network, seed);
    result.expected = simulate(result.network, *result.stimulus);
    result.actual = simulate(result.network, *result.stimulus, {fault, 0, 0});
    auto report = find_divergence(result.expected, result.actual);
    REQUIRE(report);
    REQUIRE(*report);
    result.report = std::move(**report);
    return result;
}
}  // namespace

TEST_CASE("analysis/render: reports fit 80 columns and colour changes nothing but colour",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{9}));
    const Case c = make_case(seed, "rows.last_missing");
    const Connectivity connectivity(c.network);
    const auto explanation = explain_divergence(connectivity, c.stimulus.get(), c.report);
    const auto chain = causal_chain(connectivity, c.stimulus.get(), c.actual, c.report.place.neuron,
                                    c.report.place.timestep);
    const auto diff = spike_diff(c.expected, c.actual);
    REQUIRE((explanation && chain && diff));
    RenderOptions colour;
    colour.colour = true;
    const std::string texts[][2] = {
        {render(c.report), render(c.report, colour)},
        {render(*explanation), render(*explanation, colour)},
        {render(*chain), render(*chain, colour)},
        {render(*diff, c.expected.shape()), render(*diff, c.expected.shape(), colour)}};
    for (const auto& [plain, coloured] : texts) {
        CAPTURE(plain);
        CHECK(longest_line(plain) <= 80);
        CHECK(plain != coloured);
        CHECK(without_colour(coloured) == plain);
        CHECK(plain.back() == '\n');
    }
    CHECK(texts[0][0].find("timestep " + std::to_string(c.report.place.timestep)) !=
          std::string::npos);
    CHECK(texts[0][0].find("\n> ") != std::string::npos);
    CHECK(texts[0][0].find('*') != std::string::npos);
}

TEST_CASE("analysis/json: every report is one JSON object with its facts", "[analysis][unit]") {
    Case c = make_case(2, "rows.last_missing");
    // Labels come from files; bytes that are no text must not break the output.
    c.report.place.sample_label = "bad \xFF label";
    const Connectivity connectivity(c.network);
    const auto explanation = explain_divergence(connectivity, c.stimulus.get(), c.report);
    const auto chain = causal_chain(connectivity, c.stimulus.get(), c.actual, c.report.place.neuron,
                                    c.report.place.timestep);
    const auto diff = spike_diff(c.expected, c.actual);
    REQUIRE((explanation && chain && diff));
    const json report = json::parse(to_json(c.report));
    CHECK(report["timestep"] == c.report.place.timestep);
    CHECK(report["differences"][0]["expected"] == c.report.differences[0].raw.expected);
    CHECK(report["differences"].size() == c.report.differences.size());
    CHECK(report["expected_window"]["timestep"].size() == report["expected_window"]["v"].size());
    const json why = json::parse(to_json(*explanation));
    CHECK(why["hypotheses"].size() == explanation->hypotheses.size());
    CHECK(why["model"]["v1"] == explanation->model->v1);
    const json graph = json::parse(to_json(*chain));
    CHECK(graph["nodes"].size() == chain->nodes.size());
    CHECK(graph["edges"].size() == chain->edges.size());
    const json spikes = json::parse(to_json(*diff));
    CHECK(spikes["mismatches"] == diff->total.mismatches());
}

TEST_CASE("analysis/render: Graphviz takes the graph", "[analysis][unit]") {
    Case c = make_case(3, "rows.last_missing");
    c.network.populations[0].label = "odd \"name\" \\ here";
    const Connectivity connectivity(c.network);
    const auto chain = causal_chain(connectivity, c.stimulus.get(), c.actual, c.report.place.neuron,
                                    c.report.place.timestep);
    REQUIRE(chain);
    const auto folder =
        std::filesystem::temp_directory_path() / ("spikelock_dot_" + std::to_string(std::rand()));
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "chain.dot") << to_dot(*chain);
    const std::string command = "dot -Tsvg -o '" + (folder / "chain.svg").string() + "' '" +
                                (folder / "chain.dot").string() + "'";
    CHECK(std::system(command.c_str()) == 0);
    CHECK(std::filesystem::file_size(folder / "chain.svg") > 500);
    std::filesystem::remove_all(folder);
}

TEST_CASE("analysis/raster: every spike is a dot where there is room", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{7}));
    const golden::Network network = small_network(seed);
    const auto stimulus = input_for(network, seed, 100);
    const trace::ExecutionTrace trace = simulate(network, *stimulus);
    REQUIRE(trace.spike_count() > 0);
    CHECK(dots_in(raster(trace, 0, 0, 50, 6)) == trace.spike_count());
    // With less room dots stand for several, but none vanishes.
    const std::string small = raster(trace, 0, 0, 10, 2);
    CHECK(dots_in(small) > 0);
    CHECK(dots_in(small) <= trace.spike_count());
    std::uint64_t later = 0;
    for (std::uint64_t t = 40; t < 60; ++t)
        for (std::uint32_t n = 0; n < trace.n_neurons(); ++n) later += trace.spike(t, n) ? 1U : 0U;
    CHECK(dots_in(raster(trace, 40, 20, 50, 6)) == later);
    CHECK(raster(trace, 100, 5, 50, 6) == "no timesteps to show\n");
    CHECK(dots_in(raster(trace, 40, ~std::uint64_t{0}, 50, 6)) ==
          dots_in(raster(trace, 40, 0, 50, 6)));
    CHECK(longest_line(raster(trace, 0, 0, 60, 6)) <= 80);
    CHECK(longest_line(rate_bars(trace, 80)) <= 80);
}

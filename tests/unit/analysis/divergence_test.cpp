// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/divergence.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "simulator.hpp"
#include "spikelock/analysis/trace_source.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/golden/golden_source.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using namespace spikelock::analysis::test;

TEST_CASE("analysis/divergence: golden and the tests' own simulator agree",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{13}));
    const golden::Network network = small_network(seed);
    const auto stimulus = input_for(network, seed);
    const trace::ExecutionTrace simulated = simulate(network, *stimulus);
    auto golden = golden::GoldenSource::create(network);
    REQUIRE(golden);
    const auto source = make_trace_source(simulated);
    const auto outcome = lockstep::run(**golden, *source, stimulus.get(), {});
    REQUIRE(outcome);
    CAPTURE(seed, outcome->reason);
    CHECK(outcome->verdict == lockstep::Verdict::Match);
    CHECK(outcome->steps_compared == 256);
    CHECK_FALSE(describe(*outcome, network.shape(), stimulus->samples()));
}

TEST_CASE("analysis/divergence: a changed value is found at its place", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{21}));
    const golden::Network network = small_network(seed);
    const auto stimulus = input_for(network, seed, 200);
    const trace::ExecutionTrace expected = simulate(network, *stimulus);
    const CounterRandom random(seed, 7);
    const std::uint64_t t = random.below(200, 0);
    const std::uint32_t n = random.below(network.n_neurons(), 1);
    const std::size_t f =
        random.below(static_cast<std::uint32_t>(expected.shape().fields.size()), 2);
    const std::string field = expected.shape().fields[f].name;
    const std::int64_t was = expected.raw(f, t, n);
    trace::ExecutionTrace actual = with_value(expected, field, t, n, was ^ 1);
    // A spike that differs later must be reported beside it, not instead of it.
    const std::uint64_t later = t + 1 < 200 ? t + 1 : t;
    actual = with_value(actual, "spike", later, n, expected.spike(later, n) ? 0 : 1);

    const auto report = find_divergence(expected, actual);
    REQUIRE(report);
    REQUIRE(*report);
    const DivergenceReport& found = **report;
    CAPTURE(seed, t, n, field);
    CHECK(found.place.timestep == t);
    CHECK(found.place.neuron == n);
    CHECK(found.place.field == field);
    CHECK(found.place.neuron_name == network.shape().neuron_name(n));
    CHECK(found.place.has_samples);
    CHECK(found.place.sample == t / 64);
    CHECK(found.place.step_in_sample == t % 64);
    REQUIRE_FALSE(found.differences.empty());
    CHECK(found.differences[0].raw.expected == was);
    CHECK(found.differences[0].raw.actual == (was ^ 1));
    CHECK(found.last_agreed == (t == 0 ? std::nullopt : std::optional(t - 1)));
    CHECK(found.n_differences == (later == t ? 2 : 1));
    CHECK(found.first_spike.has_value() == (later != t));
    if (found.first_spike) {
        CHECK(found.first_spike->timestep == later);
        CHECK(found.first_spike->neuron == n);
        CHECK(found.spike_expected == expected.spike(later, n));
    }
    CHECK(found.expected_window.holds(t));
    CHECK(found.actual_window.raw(f, t, n) == (was ^ 1));
    if (t > 0) CHECK(found.actual_window.holds(t - 1));
}

TEST_CASE("analysis/divergence: values are given in units", "[analysis][unit]") {
    golden::Network network = small_network(3, false);
    network.arithmetic.v_frac = 4;
    const auto stimulus = input_for(network, 3, 64);
    const trace::ExecutionTrace expected = simulate(network, *stimulus);
    const auto v = static_cast<std::size_t>(expected.shape().field_index("v"));
    const trace::ExecutionTrace actual =
        with_value(expected, "v", 40, 1, expected.raw(v, 40, 1) ^ 1);
    const auto report = find_divergence(expected, actual);
    REQUIRE(report);
    REQUIRE(*report);
    const ReportedDifference& difference = (*report)->differences.at(0);
    CHECK(difference.in_units);
    CHECK(difference.expected_value * 16 == static_cast<double>(difference.raw.expected));
    CHECK(difference.actual_value * 16 == static_cast<double>(difference.raw.actual));
}

TEST_CASE("analysis/divergence: a shorter trace is no match", "[analysis][unit]") {
    const golden::Network network = small_network(4);
    const auto stimulus = input_for(network, 4, 100);
    const trace::ExecutionTrace expected = simulate(network, *stimulus);
    const auto comparison = compare(expected, part_of(expected, 0, 60));
    REQUIRE(comparison);
    CHECK(comparison->outcome.verdict == lockstep::Verdict::Inconclusive);
    CHECK(comparison->outcome.steps_compared == 60);
    CHECK_FALSE(comparison->divergence);
    const auto same = compare(expected, expected);
    REQUIRE(same);
    CHECK(same->outcome.verdict == lockstep::Verdict::Match);
}

TEST_CASE("analysis/divergence: masks and fields are obeyed", "[analysis][unit]") {
    const golden::Network network = small_network(5);
    const auto stimulus = input_for(network, 5, 100);
    const trace::ExecutionTrace expected = simulate(network, *stimulus);
    const auto v = static_cast<std::size_t>(expected.shape().field_index("v"));
    trace::ExecutionTrace actual = with_value(expected, "v", 30, 2, expected.raw(v, 30, 2) ^ 1);
    actual = with_value(actual, "spike", 50, 1, expected.spike(50, 1) ? 0 : 1);
    CompareOptions options;
    options.fields = {"spike"};
    auto report = find_divergence(expected, actual, options);
    REQUIRE((report && *report));
    CHECK((*report)->place.timestep == 50);
    CHECK((*report)->place.field == "spike");
    options.fields.clear();
    options.masks = {{"v", 0, 0, 0, 0, 1}};
    report = find_divergence(expected, actual, options);
    REQUIRE((report && *report));
    CHECK((*report)->place.timestep == 50);
    CHECK_FALSE((*report)->masked.empty());
}

TEST_CASE("analysis/trace_source: blocks of any size give the trace again",
          "[analysis][property]") {
    const auto size = GENERATE(1U, 7U, 64U, 1000U);
    const golden::Network network = small_network(6);
    const auto stimulus = input_for(network, 6, 150);
    const trace::ExecutionTrace trace = part_of(simulate(network, *stimulus), 20, 130);
    const auto source = make_trace_source(trace);
    trace::ExecutionTrace copy(source->shape(), 20);
    for (;;) {
        auto read = source->read(size);
        REQUIRE(read);
        if (const auto* end = std::get_if<trace::SourceEnd>(&*read)) {
            CHECK(end->kind == trace::EndKind::Complete);
            CHECK(end->timestep == 150);
            break;
        }
        const auto& block = std::get<trace::BlockView>(*read);
        REQUIRE(block.n_steps >= 1);
        REQUIRE(block.n_steps <= size);
        copy.append(block);
    }
    REQUIRE(copy.n_steps() == 130);
    for (std::uint64_t t = 20; t < 150; ++t)
        for (std::uint32_t n = 0; n < trace.n_neurons(); ++n) {
            REQUIRE(copy.spike(t, n) == trace.spike(t, n));
            for (std::size_t f = 0; f < trace.shape().fields.size(); ++f)
                REQUIRE(copy.raw(f, t, n) == trace.raw(f, t, n));
        }
}

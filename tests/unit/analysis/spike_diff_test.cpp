// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/spike_diff.hpp"

#include <algorithm>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <set>
#include <utility>

#include "simulator.hpp"
#include "spikelock/analysis/trace_source.hpp"
#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using namespace spikelock::analysis::test;

namespace {
/// A trace without fields from spike words.
trace::ExecutionTrace trace_of(std::uint32_t neurons, std::uint32_t steps,
                               const std::set<std::pair<std::uint64_t, std::uint32_t>>& spikes,
                               const std::vector<std::uint8_t>& valid = {}) {
    trace::Shape shape;
    shape.n_neurons = neurons;
    shape.populations = {{"low", 0, neurons / 2}, {"high", neurons / 2, neurons}};
    std::vector<std::uint64_t> words(shape.spike_words() * steps);
    for (const auto& [t, n] : spikes)
        words[t * shape.spike_words() + n / 64] |= std::uint64_t{1} << n % 64;
    trace::ExecutionTrace trace(shape);
    trace::BlockView block;
    block.n_steps = steps;
    block.spikes = words;
    block.valid = valid;
    trace.append(block);
    return trace;
}
}  // namespace

TEST_CASE("analysis/spike_diff: counts equal those of sets of spikes", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{11}));
    const CounterRandom random(seed, 1);
    const std::uint32_t neurons = 1 + random.below(200, 0);
    const std::uint32_t steps = 1 + random.below(80, 1);
    std::set<std::pair<std::uint64_t, std::uint32_t>> expected;
    std::set<std::pair<std::uint64_t, std::uint32_t>> actual;
    for (std::uint64_t t = 0; t < steps; ++t)
        for (std::uint32_t n = 0; n < neurons; ++n) {
            const bool fires = random.uniform(t, n) < 0.2;
            const bool flips = random.uniform(t, n + 1000) < 0.03;
            if (fires) expected.emplace(t, n);
            if (fires != flips) actual.emplace(t, n);
        }
    const trace::ExecutionTrace e = trace_of(neurons, steps, expected);
    const trace::ExecutionTrace a = trace_of(neurons, steps, actual);
    const auto diff = spike_diff(e, a, {.most_listed = 1'000'000});
    REQUIRE(diff);

    std::vector<std::pair<std::uint64_t, std::uint32_t>> missing;
    std::vector<std::pair<std::uint64_t, std::uint32_t>> extra;
    std::ranges::set_difference(expected, actual, std::back_inserter(missing));
    std::ranges::set_difference(actual, expected, std::back_inserter(extra));
    CHECK(diff->total.expected == expected.size());
    CHECK(diff->total.actual == actual.size());
    CHECK(diff->total.missing == missing.size());
    CHECK(diff->total.extra == extra.size());
    REQUIRE(diff->missing.size() == missing.size());
    REQUIRE(diff->extra.size() == extra.size());
    for (std::size_t i = 0; i < missing.size(); ++i)
        CHECK(diff->missing[i] == trace::Spike{missing[i].first, missing[i].second});
    std::uint64_t of_neurons = 0;
    for (std::uint32_t n = 0; n < neurons; ++n) {
        CHECK(diff->neurons[n].missing ==
              static_cast<std::uint64_t>(
                  std::ranges::count_if(missing, [n](const auto& s) { return s.second == n; })));
        of_neurons += diff->neurons[n].mismatches();
    }
    CHECK(of_neurons == missing.size() + extra.size());
    CHECK(diff->populations.at(0).tally.mismatches() + diff->populations.at(1).tally.mismatches() ==
          of_neurons);
    CHECK(diff->rate() == Catch::Approx(static_cast<double>(of_neurons) / neurons / steps));
    CHECK(diff->first.has_value() == (of_neurons > 0));
    if (diff->first) {
        auto all = missing;
        all.insert(all.end(), extra.begin(), extra.end());
        const auto first = std::ranges::min(all);
        CHECK(*diff->first == trace::Spike{first.first, first.second});
        CHECK(diff->first_is_missing == (expected.count(first) == 1));
    }

    // Block by block gives the same.
    auto differ = SpikeDiffer::create(e.shape(), a.shape(), {.most_listed = 1'000'000});
    REQUIRE(differ);
    const auto left = make_trace_source(e);
    const auto right = make_trace_source(a);
    for (;;) {
        auto x = left->read(7);
        auto y = right->read(7);
        REQUIRE((x && y));
        if (std::holds_alternative<trace::SourceEnd>(*x)) break;
        differ->feed(std::get<trace::BlockView>(*x), std::get<trace::BlockView>(*y));
    }
    const SpikeDiff streamed = differ->result();
    CHECK(streamed.total == diff->total);
    CHECK(streamed.neurons == diff->neurons);
    CHECK(streamed.missing == diff->missing);
    CHECK(streamed.mismatches_at_lag == diff->mismatches_at_lag);
}

TEST_CASE("analysis/spike_diff: one timestep of lag is recognised with its direction",
          "[analysis][unit]") {
    const int lag = GENERATE(-1, 0, 1);
    std::set<std::pair<std::uint64_t, std::uint32_t>> expected;
    std::set<std::pair<std::uint64_t, std::uint32_t>> actual;
    const CounterRandom random(5, 2);
    for (std::uint64_t t = 1; t < 99; ++t)
        for (std::uint32_t n = 0; n < 30; ++n)
            if (random.uniform(t, n) < 0.1) {
                expected.emplace(t, n);
                // Moving the actual spikes by `lag` gives the expected ones.
                actual.emplace(lag < 0 ? t + 1 : lag > 0 ? t - 1 : t, n);
            }
    const auto diff = spike_diff(trace_of(30, 100, expected), trace_of(30, 100, actual));
    REQUIRE(diff);
    CHECK(diff->lag() == lag);
}

TEST_CASE("analysis/spike_diff: invalid and unmatched timesteps are told, not compared",
          "[analysis][unit]") {
    std::vector<std::uint8_t> valid(20, 1);
    valid[3] = 0;
    const auto e = trace_of(10, 20, {{3, 1}, {5, 2}});
    const auto a = trace_of(10, 20, {{5, 2}}, valid);
    auto diff = spike_diff(e, a);
    REQUIRE(diff);
    CHECK(diff->total.mismatches() == 0);
    CHECK(diff->steps_invalid == 1);
    CHECK(diff->steps_compared == 19);
    diff = spike_diff(e, trace_of(10, 4, {{3, 1}}));
    REQUIRE(diff);
    CHECK(diff->total.mismatches() == 0);
    CHECK(diff->steps_unmatched == 16);
    const auto bad = spike_diff(e, trace_of(11, 20, {}));
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == Errc::Mismatch);
}

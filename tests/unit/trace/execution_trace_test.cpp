// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <cmath>

#include "random_trace.hpp"

using namespace spikelock;
using namespace spikelock::trace;
using spikelock::trace::test::RandomTrace;

namespace {
// The whole trace, or the same made of pieces of uneven size.
ExecutionTrace in_pieces(const RandomTrace& random, std::uint32_t steps) {
    ExecutionTrace trace(random.shape());
    std::uint32_t piece = 1;
    for (std::uint32_t at = 0; at < steps; at += piece) {
        piece = std::min(piece * 2 + 1, steps - at);
        const ExecutionTrace part = random.make(at, piece);
        trace.append(part.view());
    }
    return trace;
}

bool same(const BlockView& a, const BlockView& b) {
    const auto equal = [](auto x, auto y) {
        return std::equal(x.begin(), x.end(), y.begin(), y.end());
    };
    if (a.first != b.first || a.n_steps != b.n_steps || !equal(a.spikes, b.spikes) ||
        !equal(a.valid, b.valid) || !equal(a.counts, b.counts) ||
        a.fields.size() != b.fields.size() || a.masks.size() != b.masks.size()) {
        return false;
    }
    for (std::size_t f = 0; f < a.fields.size(); ++f) {
        if (!equal(a.fields[f], b.fields[f])) return false;
    }
    for (std::size_t f = 0; f < a.masks.size(); ++f) {
        if (!equal(a.masks[f], b.masks[f])) return false;
    }
    return true;
}
}  // namespace

TEST_CASE("trace/execution_trace: appending in pieces gives the same as at once",
          "[trace][property]") {
    RandomTrace random;
    random.n_neurons = GENERATE(1U, 64U, 70U, 129U);
    random.counts = GENERATE(false, true);
    random.invalid_steps = random.masks = random.counts;
    const ExecutionTrace whole = random.make(0, 500);
    const ExecutionTrace pieces = in_pieces(random, 500);
    REQUIRE(same(whole.view(), pieces.view()));

    SECTION("the last timesteps of it are those of a later start") {
        ExecutionTrace window = pieces;
        window.keep_last(123);
        REQUIRE(same(window.view(), random.make(377, 123).view()));
        CHECK(window.holds(377));
        CHECK_FALSE(window.holds(376));
    }
}

TEST_CASE("trace/execution_trace: blocks without validity among blocks with it are valid",
          "[trace][unit]") {
    RandomTrace plain;
    RandomTrace partly;
    partly.invalid_steps = partly.masks = true;
    ExecutionTrace t(plain.shape());
    t.append(plain.make(0, 100).view());
    t.append(partly.make(100, 300).view());
    t.append(plain.make(400, 100).view());
    for (std::uint64_t step = 0; step < 500; ++step) {
        const bool given = step >= 100 && step < 400;
        REQUIRE(t.valid(step) == (!given || partly.valid(step)));
        REQUIRE((given || t.valid(1, step, 69)));
    }
    t.keep_last(50);
    CHECK(t.valid(499));
    CHECK(t.valid(1, 499, 0));
}

TEST_CASE("trace/execution_trace: queries agree with a plain count", "[trace][property]") {
    RandomTrace random;
    random.invalid_steps = GENERATE(false, true);
    random.first = 40;
    const ExecutionTrace t = random.make(40, 700);
    std::uint64_t all = 0;
    std::uint64_t valid_steps = 0;
    std::vector<std::uint64_t> per_neuron(t.n_neurons(), 0);
    std::vector<Spike> out;
    for (std::uint64_t step = 40; step < 740; ++step) {
        REQUIRE(t.valid(step) == random.valid(step));
        if (!random.valid(step)) continue;
        ++valid_steps;
        for (std::uint32_t n = 0; n < t.n_neurons(); ++n) {
            if (!t.spike(step, n)) continue;
            ++all;
            ++per_neuron[n];
            if (n >= 35) out.push_back({step, n});
        }
    }
    CHECK(t.spike_count() == all);
    const auto rates = t.firing_rates();
    for (std::uint32_t n = 0; n < t.n_neurons(); ++n) {
        CHECK(t.spike_times(n)->size() == per_neuron[n]);
        CHECK(std::abs(rates[n] * static_cast<double>(valid_steps) * 1e-4 -
                       static_cast<double>(per_neuron[n])) < 1e-9);
    }
    CHECK(*t.population_spikes("out") == out);
}

TEST_CASE("trace/execution_trace: values come in units and keep their sign", "[trace][unit]") {
    const RandomTrace random;
    const ExecutionTrace t = random.make(0, 64);
    // v is (t % 64) * n, as int16 with 8 fraction bits.
    CHECK(t.raw(1, 63, 69) == 63 * 69);
    CHECK(t.value(1, 63, 69) == 63 * 69 / 256.0);
    CHECK(t.neuron_trace(2)->at(5) == 10 / 256.0);
    const CounterRandom draw(random.seed, 1);
    const std::uint64_t r = draw.bits(3, 9);
    CHECK(t.raw(0, 3, 9) == static_cast<std::int64_t>(r >> 40) - (1 << 23));
    CHECK(t.raw(2, 3, 9) == static_cast<std::int64_t>(r & 15U));
    CHECK(static_cast<std::uint64_t>(t.raw(3, 3, 9)) == r);
    CHECK(t.value(3, 3, 9) == static_cast<double>(r));  // unsigned, beyond int64
    CHECK(t.value(4, 3, 9) == static_cast<double>(r >> 12) * 1e-9);
}

TEST_CASE("trace/execution_trace: unknown names are errors that offer the nearest",
          "[trace][unit]") {
    const ExecutionTrace t = RandomTrace{}.make(0, 4);
    const auto label = t.population_spikes("hiden");
    REQUIRE_FALSE(label);
    CHECK(label.error().code == Errc::NotFound);
    CHECK(label.error().message == "no population 'hiden'; did you mean 'hidden'?");
    const auto field = t.neuron_trace(0, "i_sin");
    REQUIRE_FALSE(field);
    CHECK(field.error().message == "no field 'i_sin'; did you mean 'i_syn'?");
    const auto neuron = t.spike_times(70);
    REQUIRE_FALSE(neuron);
    CHECK(neuron.error().message == "no neuron 70: the trace has 70, counted from 0");
    CHECK(t.shape().neuron_name(36) == "out[1]");
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/alignment.hpp"

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <numeric>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using trace::BlockView;
using trace::ExecutionTrace;
using trace::FieldClass;
using trace::Shape;

namespace {
constexpr std::uint32_t kSteps = 200;
constexpr std::uint32_t kNeurons = 10;

/// How an observer would see the same network.
struct View {
    std::int32_t lag = 0;  // timesteps late
    std::vector<std::uint32_t> order;
    double scale = 1.0;
    double offset = 0.0;
    double noise = 0.0;
    bool integer = false;
    std::int32_t second_lag = 0;  // of the second population, beside the first
};

/// A network's spikes and voltages, made from the seed, as seen.
ExecutionTrace see(std::uint64_t seed, const View& view) {
    const CounterRandom random(seed, 5);
    Shape shape;
    shape.n_neurons = kNeurons;
    shape.dt = 1e-3;
    shape.populations = {{"a", 0, 4}, {"b", 4, kNeurons}};
    shape.fields = {{"v", FieldClass::State, view.integer ? 32 : 64, true, !view.integer, 0,
                     view.integer ? 4 : 8}};
    std::vector<std::uint64_t> spikes(kSteps, 0);
    std::vector<std::byte> v(kSteps * kNeurons * (view.integer ? 4 : 8));
    for (std::uint32_t t = 0; t < kSteps; ++t) {
        for (std::uint32_t n = 0; n < kNeurons; ++n) {
            const std::uint32_t at = view.order.empty() ? n : view.order[n];
            const std::int64_t then = std::int64_t{t} - view.lag - (n >= 4 ? view.second_lag : 0);
            const auto key = static_cast<std::uint64_t>(then + 1000);
            if (then >= 0 && random.below(8, key, n) == 0) spikes[t] |= 1ULL << at;
            double value = then < 0 ? 0.0 : random.below(2000, key, 100 + n) - 1000.0;
            value =
                value * view.scale + view.offset + view.noise * (random.uniform(t, 200 + n) - 0.5);
            const std::size_t index = std::size_t{t} * kNeurons + at;
            if (view.integer) {
                const auto raw = static_cast<std::int32_t>(value);
                std::memcpy(v.data() + index * 4, &raw, 4);
            } else {
                std::memcpy(v.data() + index * 8, &value, 8);
            }
        }
    }
    BlockView block;
    block.n_steps = kSteps;
    block.spikes = spikes;
    block.fields = {v};
    ExecutionTrace trace(shape, 0);
    trace.append(block);
    return trace;
}

bool equal_spikes(const ExecutionTrace& a, const ExecutionTrace& b) {
    return a.n_steps() == b.n_steps() && std::ranges::equal(a.view().spikes, b.view().spikes);
}
}  // namespace

TEST_CASE("analysis/alignment: lag, order, scale and offset are found and undone",
          "[analysis][property]") {
    const auto trial = GENERATE(range(0U, 20U));
    const std::uint64_t seed = Catch::getSeed() + trial;
    const CounterRandom draw(seed, 9);
    View view;
    view.lag = static_cast<std::int32_t>(draw.below(6, 0));
    if (draw.below(2, 1) == 0) {
        view.order.resize(kNeurons);
        std::iota(view.order.begin(), view.order.end(), 0U);
        for (std::uint32_t i = kNeurons - 1; i > 0; --i)
            std::swap(view.order[i], view.order[draw.below(i + 1, 2, i)]);
    }
    const bool scaled = draw.below(2, 3) == 0;
    if (scaled) {
        view.scale = draw.below(2, 4) == 0 ? 16.0 : -0.25;
        view.offset = draw.below(2, 5) == 0 ? 0.0 : 300.0;
    }
    const bool early = draw.below(2, 6) == 0;
    CAPTURE(trial, view.lag, view.order, view.scale, view.offset, early);
    const ExecutionTrace plain = see(seed, {});
    const ExecutionTrace seen = see(seed, view);
    const ExecutionTrace& expected = early ? seen : plain;
    const ExecutionTrace& actual = early ? plain : seen;
    const auto found = find_alignment(expected, actual);
    REQUIRE(found);
    CHECK(found->lag == (early ? -view.lag : view.lag));
    CHECK(found->mismatches_after <= static_cast<std::uint64_t>(view.lag) * kNeurons);
    CHECK(found->fits.at(0).assumed == scaled);
    const AlignedPair pair = apply(*found, expected, actual);
    CHECK(pair.expected.n_steps() == kSteps - static_cast<std::uint32_t>(view.lag));
    CHECK(equal_spikes(pair.expected, pair.actual));
    for (std::uint64_t t = pair.expected.first_step();
         t < pair.expected.first_step() + pair.expected.n_steps(); ++t) {
        for (std::uint32_t n = 0; n < kNeurons; ++n) {
            const double want = pair.expected.value(0, t, n);
            REQUIRE(std::abs(pair.actual.value(0, t, n) - want) <= 1e-6 * (1 + std::abs(want)));
        }
    }
    if (!scaled && view.lag == 0 && view.order.empty()) CHECK_FALSE(found->any());
}

TEST_CASE("analysis/alignment: populations may have lags of their own", "[analysis][unit]") {
    View view;
    view.lag = 1;
    view.second_lag = 2;
    const ExecutionTrace expected = see(7, {});
    const ExecutionTrace actual = see(7, view);
    const auto found = find_alignment(expected, actual, {.max_lag = 8, .order = false});
    REQUIRE(found);
    REQUIRE(found->population_lags.size() == 2);
    CHECK(found->population_lags[0].lag == 1);
    CHECK(found->population_lags[1].lag == 3);
    const AlignedPair pair = apply(*found, expected, actual);
    CHECK(equal_spikes(pair.expected, pair.actual));
    CHECK(sentences(*found).front().starts_with(
        "lags differ by population: a 1 timestep late, b 3 timesteps late ("));
}

TEST_CASE("analysis/alignment: unrelated traces are left as they are", "[analysis][property]") {
    const auto trial = GENERATE(range(0U, 10U));
    const auto found = find_alignment(see(trial, {}), see(trial + 1000, {}));
    REQUIRE(found);
    CHECK(found->lag == 0);
    CHECK(found->order.empty());
    CHECK_FALSE(found->fits.at(0).assumed);
}

TEST_CASE("analysis/alignment: a finer time base is made coarser", "[analysis][unit]") {
    const ExecutionTrace coarse = see(3, {});
    // Each timestep three times, its spike in the middle one.
    Shape shape = coarse.shape();
    shape.dt = coarse.dt() / 3;
    std::vector<std::uint64_t> spikes;
    std::vector<std::byte> v;
    const BlockView view = coarse.view();
    const std::size_t row = std::size_t{kNeurons} * 8;
    for (std::uint32_t t = 0; t < kSteps; ++t) {
        for (std::uint32_t i = 0; i < 3; ++i) {
            spikes.push_back(i == 1 ? view.spikes[t] : 0);
            const auto values = view.fields[0].subspan(t * row, row);
            v.insert(v.end(), values.begin(), values.end());
        }
    }
    BlockView block;
    block.n_steps = 3 * kSteps;
    block.spikes = spikes;
    block.fields = {v};
    ExecutionTrace fine(shape, 0);
    fine.append(block);
    for (const bool swapped : {false, true}) {
        const auto found = swapped ? find_alignment(fine, coarse) : find_alignment(coarse, fine);
        REQUIRE(found);
        CHECK((swapped ? found->time_base_expected : found->time_base) == 3);
        const AlignedPair pair =
            swapped ? apply(*found, fine, coarse) : apply(*found, coarse, fine);
        CHECK(pair.expected.n_steps() == kSteps);
        CHECK(equal_spikes(pair.expected, pair.actual));
        CHECK(std::ranges::equal(pair.expected.view().fields[0], pair.actual.view().fields[0]));
    }
}

TEST_CASE("analysis/alignment: neurons that cannot be matched are an error", "[analysis][unit]") {
    const ExecutionTrace expected = see(1, {});
    Shape shape;
    shape.n_neurons = 3;
    const std::vector<std::uint64_t> spikes(7, 0);
    BlockView block;
    block.n_steps = 7;
    block.spikes = spikes;
    ExecutionTrace other(shape, 0);
    other.append(block);
    const auto found = find_alignment(expected, other);
    REQUIRE_FALSE(found);
    CHECK(found.error().message ==
          "the neurons cannot be matched: expected 200 timesteps of 10 neurons, actual 7 timesteps "
          "of 3");
}

TEST_CASE("analysis/alignment: tolerances let pass what is within, and count it",
          "[analysis][property]") {
    View view;
    view.noise = 4.0;  // up to 2 either way
    const ExecutionTrace expected = see(5, {});
    const ExecutionTrace noisy = see(5, view);
    for (const double limit : {0.0, 0.5, 1.9, 2.0}) {
        CAPTURE(limit);
        ExecutionTrace a = expected;
        ExecutionTrace b = noisy;
        const auto passed = tolerate(a, b, {{"v", limit, 0.0, 0}});
        REQUIRE(passed);
        std::uint64_t beyond = 0;
        std::uint64_t within = 0;
        for (std::uint64_t t = 0; t < kSteps; ++t) {
            for (std::uint32_t n = 0; n < kNeurons; ++n) {
                const double apart = std::abs(expected.value(0, t, n) - noisy.value(0, t, n));
                if (apart > limit) ++beyond;
                if (apart > 0 && apart <= limit) ++within;
                REQUIRE(b.value(0, t, n) ==
                        (apart <= limit ? expected.value(0, t, n) : noisy.value(0, t, n)));
            }
        }
        CHECK(passed->at(0).beyond == beyond);
        CHECK(passed->at(0).values == within);
    }
    // Between an integer and a floating-point format, in units and in steps of the integer.
    View integer;
    integer.integer = true;
    ExecutionTrace a = see(5, integer);
    ExecutionTrace b = noisy;
    const auto passed = tolerate(a, b, {{"v", 0.0, 0.0, 2}});
    REQUIRE(passed);
    CHECK(passed->at(0).beyond == 0);
    CHECK(a.shape().fields[0].is_float);
    CHECK_FALSE(tolerate(a, b, {{"w", 1.0, 0.0, 0}}));
    CHECK_FALSE(tolerate(a, b, {{"v", 0.0, 0.0, 2}}));  // both are floating-point by now
}

TEST_CASE("analysis/alignment: tolerances are parsed as they are written", "[analysis][unit]") {
    const auto t = parse_tolerance("v=abs:0.5,rel:1e-3,lsb:2");
    REQUIRE(t);
    CHECK(t->field == "v");
    CHECK(t->absolute == 0.5);
    CHECK(t->relative == 1e-3);
    CHECK(t->lsb == 2);
    for (const char* wrong : {"", "v", "=abs:1", "v=", "v=abs", "v=abs:", "v=abs:x", "v=abs:-1",
                              "v=abs:inf", "v=lsb:0.5", "v=far:1", "v=abs:1;rel:2"}) {
        CAPTURE(wrong);
        const auto bad = parse_tolerance(wrong);
        REQUIRE_FALSE(bad);
        CHECK(bad.error().code == Errc::BadConfig);
    }
}

TEST_CASE("analysis/alignment: the hint of a lag is exact where all agrees",
          "[analysis][property]") {
    const auto lag = GENERATE(1, 3, 16);
    View view;
    view.lag = lag;
    const ExecutionTrace expected = see(11, {});
    const ExecutionTrace actual = see(11, view);
    const auto hint = find_lag(expected, actual, {"v", "spike"});
    REQUIRE(hint);
    CHECK(hint->match);
    CHECK(hint->lag == lag);
    const auto back = find_lag(actual, expected, {"v", "spike"});
    REQUIRE(back);
    CHECK(back->lag == -lag);
    // Spikes alone that agree less than wholly explain more; what is unrelated explains nothing.
    view.noise = 1.0;
    const auto noisy = find_lag(expected, see(11, view), {"v", "spike"});
    REQUIRE(noisy);
    CHECK_FALSE(noisy->match);
    CHECK(noisy->lag == lag);
    CHECK(noisy->mismatches_after < noisy->mismatches_before);
    CHECK_FALSE(find_lag(expected, see(12, {}), {"v", "spike"}));
    CHECK_FALSE(find_lag(expected, expected, {"v", "spike"}));
}

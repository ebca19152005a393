// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/random.hpp"

#include <array>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

using spikelock::CounterRandom;

// Bounds below are 6 sigma: with fixed seeds they hold for good, and a generator that is off by
// more would have to be rather lucky.
namespace {
constexpr int kDraws = 100000;
}

TEST_CASE("base/random: stored seeds give stored numbers", "[base][unit]") {
    // Recorded runs are repeated from their seeds: these numbers may never change.
    constexpr CounterRandom kStream(42, 7);
    CHECK(kStream.bits(0) == 0x11f00763c8296ac0ULL);
    CHECK(kStream.bits(1) == 0x7150647690a847b8ULL);
    CHECK(kStream.bits(1, 1) == 0x4f05dc23b834559dULL);
    CHECK(CounterRandom(0, 0).bits(0) == 0x2758036df7c31c18ULL);
}

TEST_CASE("base/random: a draw depends on its counter, not on draws before it", "[base][unit]") {
    const CounterRandom stream(1, 2);
    std::vector<std::uint64_t> forward;
    for (std::uint64_t i = 0; i < 100; ++i) forward.push_back(stream.bits(i));
    for (std::uint64_t i = 100; i-- > 0;) REQUIRE(CounterRandom(1, 2).bits(i) == forward[i]);
}

TEST_CASE("base/random: seeds, streams, counters and lanes all matter", "[base][unit]") {
    std::set<std::uint64_t> seen;
    std::size_t made = 0;
    for (std::uint64_t seed = 0; seed < 10; ++seed)
        for (std::uint64_t stream = 0; stream < 10; ++stream)
            for (std::uint64_t counter = 0; counter < 30; ++counter)
                for (std::uint64_t lane = 0; lane < 30; ++lane, ++made)
                    seen.insert(CounterRandom(seed, stream).bits(counter, lane));
    CHECK(seen.size() == made);  // 90,000 of 2^64: even one collision would be a defect
}

TEST_CASE("base/random: numbers are uniform from 0 to below 1", "[base][property]") {
    const std::uint64_t seed = GENERATE(0U, 1U, 123456789U);
    const CounterRandom stream(seed, 3);
    double sum = 0, squares = 0;
    std::array<int, 16> bins{};
    for (std::uint64_t i = 0; i < kDraws; ++i) {
        const double u = stream.uniform(i);
        REQUIRE(u >= 0.0);
        REQUIRE(u < 1.0);
        sum += u;
        squares += u * u;
        ++bins[static_cast<std::size_t>(u * 16)];
    }
    CHECK(std::abs(sum / kDraws - 0.5) < 6 * std::sqrt(1.0 / 12 / kDraws));
    CHECK(std::abs(squares / kDraws - 1.0 / 3) < 6 * std::sqrt(4.0 / 45 / kDraws));
    const double expected = kDraws / 16.0;
    double chi = 0;
    for (const int bin : bins) chi += (bin - expected) * (bin - expected) / expected;
    CHECK(chi < 15 + 6 * std::sqrt(30.0));  // chi-square with 15 degrees: mean 15, variance 30
}

TEST_CASE("base/random: neighbouring lanes and counters are not correlated", "[base][property]") {
    const CounterRandom stream(9, 9);
    double lanes = 0, counters = 0;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
        const double u = stream.uniform(i) - 0.5;
        lanes += u * (stream.uniform(i, 1) - 0.5);
        counters += u * (stream.uniform(i + 1) - 0.5);
    }
    const double bound = 6 * std::sqrt(1.0 / 144 / kDraws);
    CHECK(std::abs(lanes / kDraws) < bound);
    CHECK(std::abs(counters / kDraws) < bound);
}

TEST_CASE("base/random: one changed input bit flips half of the output bits", "[base][property]") {
    const int bit = GENERATE(range(0, 64));
    double flips = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const CounterRandom stream(i, 0);
        flips += std::popcount(stream.bits(i) ^ stream.bits(i ^ (std::uint64_t{1} << bit)));
    }
    CAPTURE(bit);
    CHECK(std::abs(flips / 1000 - 32) < 6 * 4 / std::sqrt(1000.0));
}

TEST_CASE("base/random: bounded numbers stay in bounds and reach them", "[base][property]") {
    const std::uint32_t bound = GENERATE(1U, 2U, 3U, 7U, 1000U, 0x80000000U, 0xffffffffU);
    const CounterRandom stream(5, 5);
    double sum = 0;
    bool low = false, high = false;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
        const std::uint32_t value = stream.below(bound, i);
        REQUIRE(value < bound);
        sum += value;
        low |= value == 0;
        high |= value == bound - 1;
    }
    const double mean = (bound - 1.0) / 2, sigma = bound / std::sqrt(12.0);
    CAPTURE(bound);
    CHECK(std::abs(sum / kDraws - mean) <= 6 * sigma / std::sqrt(double{kDraws}));
    if (bound <= 1000) {
        CHECK(low);
        CHECK(high);
    }
}

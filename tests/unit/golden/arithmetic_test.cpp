// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/arithmetic.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "reference.hpp"
#include "spikelock/base/random.hpp"

using namespace spikelock::golden;
using test::reference_fit;
using test::reference_rnd;
using test::Wide;

TEST_CASE("golden/arithmetic: rounding agrees with its rational definition", "[golden][unit]") {
    const auto mode = GENERATE(Rounding::Floor, Rounding::TowardZero, Rounding::AwayFromZero,
                               Rounding::NearestEven);
    for (int shift = 0; shift <= 13; ++shift) {
        for (std::int64_t x = -4096; x <= 4095; ++x) {
            if (rnd(x, shift, mode) != static_cast<std::int64_t>(reference_rnd(x, shift, mode)))
                FAIL("mode " << static_cast<int>(mode) << ", x " << x << ", shift " << shift << ": "
                             << rnd(x, shift, mode));
        }
    }
    const spikelock::CounterRandom random(7, 0);
    for (std::uint64_t i = 0; i < 20000; ++i) {
        const int shift = static_cast<int>(random.below(62, i, 0));
        const auto x = static_cast<std::int64_t>(random.bits(i, 1)) >>
                       (4 + static_cast<int>(random.below(59, i, 2)));
        CAPTURE(x, shift);
        if (rnd(x, shift, mode) != static_cast<std::int64_t>(reference_rnd(x, shift, mode)))
            FAIL("wrong");
    }
}

TEST_CASE("golden/arithmetic: rounding gives the textbook values of halves", "[golden][unit]") {
    struct Row {
        std::int64_t x;
        std::int64_t floor, toward_zero, away_from_zero, nearest_even;
    };
    // x / 2
    const auto row = GENERATE(Row{-5, -3, -2, -3, -2}, Row{-3, -2, -1, -2, -2},
                              Row{-1, -1, 0, -1, 0}, Row{0, 0, 0, 0, 0}, Row{1, 0, 0, 1, 0},
                              Row{3, 1, 1, 2, 2}, Row{5, 2, 2, 3, 2}, Row{6, 3, 3, 3, 3});
    CAPTURE(row.x);
    CHECK(rnd(row.x, 1, Rounding::Floor) == row.floor);
    CHECK(rnd(row.x, 1, Rounding::TowardZero) == row.toward_zero);
    CHECK(rnd(row.x, 1, Rounding::AwayFromZero) == row.away_from_zero);
    CHECK(rnd(row.x, 1, Rounding::NearestEven) == row.nearest_even);
}

TEST_CASE("golden/arithmetic: fit agrees with its definition", "[golden][unit]") {
    const auto mode = GENERATE(Overflow::Wrap, Overflow::Saturate);
    for (int bits = 2; bits <= 12; ++bits) {
        for (std::int64_t x = -10000; x <= 10000; ++x) {
            if (fit(x, bits, mode) != static_cast<std::int64_t>(reference_fit(x, bits, mode)))
                FAIL("x " << x << ", bits " << bits << ": " << fit(x, bits, mode));
        }
    }
    const spikelock::CounterRandom random(8, 0);
    for (std::uint64_t i = 0; i < 20000; ++i) {
        const int bits = 2 + static_cast<int>(random.below(62, i, 0));
        const auto x = static_cast<std::int64_t>(random.bits(i, 1)) >>
                       static_cast<int>(random.below(64, i, 2));
        CAPTURE(x, bits);
        if (fit(x, bits, mode) != static_cast<std::int64_t>(reference_fit(x, bits, mode)))
            FAIL("wrong");
    }
}

TEST_CASE("golden/arithmetic: a shift beyond the word leaks what its limit leaks",
          "[golden][unit]") {
    const auto mode = GENERATE(Rounding::Floor, Rounding::TowardZero, Rounding::AwayFromZero,
                               Rounding::NearestEven);
    Arithmetic a;
    a.rounding = mode;
    const std::int64_t v =
        GENERATE(-(std::int64_t{1} << 31), -1, 0, 1, (std::int64_t{1} << 31) - 1);
    for (const std::uint32_t shift : {33U, 34U, 35U, 64U, 100U, 131071U}) {
        const auto wide = static_cast<std::int64_t>(
            v - reference_rnd(v, shift < 100 ? static_cast<int>(shift) : 100, mode));
        CAPTURE(v, shift);
        CHECK(decay(v, shift, a) == wide);
    }
    CHECK(decay(v, 0, a) == v);
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/block_compare.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <vector>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::trace;

TEST_CASE("trace/block_compare: the first differing row and element are those of a plain loop",
          "[trace][property]") {
    const std::size_t element = GENERATE(1U, 2U, 4U, 8U);
    const std::size_t columns = GENERATE(1U, 3U, 64U, 257U);
    const std::size_t rows = GENERATE(1U, 7U, 700U);
    const std::size_t row_bytes = element * columns;
    const CounterRandom random(element * 1000 + columns, rows);
    std::vector<std::byte> a(row_bytes * rows);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<std::byte>(random.bits(i));
    REQUIRE_FALSE(compare_rows(a, a, row_bytes));
    for (std::uint64_t trial = 0; trial < 20; ++trial) {
        auto b = a;
        for (std::uint64_t k = 0; k < 1 + trial % 3; ++k) {
            b[random.bits(trial, k) % b.size()] ^= std::byte{0x10};
        }
        std::size_t at = 0;
        while (at < a.size() && a[at] == b[at]) ++at;
        if (at == a.size()) continue;  // the same byte was flipped twice
        CAPTURE(trial, at);
        REQUIRE(first_difference(a, b) == at);
        const auto row = compare_rows(a, b, row_bytes);
        REQUIRE(row == at / row_bytes);
        const auto ra = std::span(a).subspan(*row * row_bytes, row_bytes);
        const auto rb = std::span(b).subspan(*row * row_bytes, row_bytes);
        const auto place = static_cast<std::uint32_t>(at % row_bytes / element);
        REQUIRE(first_element(ra, rb, element) == place);
        REQUIRE(first_element(ra, rb, element, place) == place);
        // Behind the found one the search goes on.
        const auto next = first_element(ra, rb, element, place + 1);
        if (next) REQUIRE(*next > place);
    }
}

TEST_CASE("trace/block_compare: a differing spike is found by its neuron", "[trace][unit]") {
    std::vector<std::uint64_t> a(3, 0x5555);
    auto b = a;
    REQUIRE_FALSE(first_bit(a, b));
    b[1] ^= std::uint64_t{1} << 3;
    b[2] ^= std::uint64_t{1} << 63;
    CHECK(first_bit(a, b) == 67U);
    CHECK(first_bit(a, b, 67) == 67U);
    CHECK(first_bit(a, b, 68) == 191U);
    b[2] ^= 1;
    CHECK(first_bit(a, b, 68) == 128U);
    CHECK(first_bit(a, b, 129) == 191U);
    CHECK_FALSE(first_bit(a, b, 192));
}

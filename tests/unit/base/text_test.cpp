// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/text.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using spikelock::did_you_mean;
using spikelock::nearest_names;
using spikelock::with_commas;

namespace {
const std::vector<std::string> kKeys = {"threshold", "leak_shift", "reset", "refractory",
                                        "reset_to"};

/// Edit distance by its recursive definition; slow, and shares nothing with the library's table.
std::size_t distance_by_definition(std::string_view a, std::string_view b) {
    if (a.empty()) return b.size();
    if (b.empty()) return a.size();
    std::size_t least = std::min({distance_by_definition(a.substr(1), b) + 1,
                                  distance_by_definition(a, b.substr(1)) + 1,
                                  distance_by_definition(a.substr(1), b.substr(1)) +
                                      (a[0] == b[0] ? std::size_t{0} : std::size_t{1})});
    if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0])
        least = std::min(least, distance_by_definition(a.substr(2), b.substr(2)) + 1);
    return least;
}
}  // namespace

TEST_CASE("base/text: a misspelt name finds the right one first", "[base][unit]") {
    const auto [typed, meant] = GENERATE(table<std::string, std::string>({
        {"treshold", "threshold"},
        {"thresholdd", "threshold"},
        {"leak-shift", "leak_shift"},
        {"resett", "reset"},
        {"refactory", "refractory"},
        {"treshlod", "threshold"},
        {"reset", "reset"},
    }));
    const auto near = nearest_names(typed, kKeys);
    CAPTURE(typed);
    REQUIRE_FALSE(near.empty());
    CHECK(near.front() == meant);
}

TEST_CASE("base/text: nothing is suggested for what resembles nothing", "[base][unit]") {
    CHECK(nearest_names("xyzzy", kKeys).empty());
    CHECK(did_you_mean("xyzzy", kKeys).empty());
    CHECK(nearest_names("threshold", {}).empty());
}

TEST_CASE("base/text: suggestions are few, distinct and in a fixed order", "[base][unit]") {
    const std::vector<std::string> known = {"v4", "v2", "v3", "v1", "v2"};
    CHECK(nearest_names("v9", known) == std::vector<std::string>{"v1", "v2", "v3"});
    CHECK(nearest_names("v9", known, 1) == std::vector<std::string>{"v1"});
    CHECK(nearest_names("v9", known, 0).empty());
    CHECK(nearest_names("v9", known, 9).size() == 4);
    CHECK(did_you_mean("v9", known) == "; did you mean 'v1' or 'v2' or 'v3'?");
    CHECK(did_you_mean("tresh", std::vector<std::string>{"thresh"}) == "; did you mean 'thresh'?");
}

TEST_CASE("base/text: names are ranked by edit distance as defined", "[base][property]") {
    const auto seed = GENERATE(take(60, random(0U, 1U << 30)));
    std::mt19937 engine(seed);
    const auto word = [&engine] {
        std::string text(engine() % 6, ' ');
        for (char& letter : text) letter = "ab_"[engine() % 3];
        return text;
    };
    const std::string wanted = word();
    std::vector<std::string> known(1 + engine() % 8);
    std::generate(known.begin(), known.end(), word);
    CAPTURE(seed, wanted, known);

    const auto near = nearest_names(wanted, known, known.size());
    const auto close = [&](const std::string& name) {
        return distance_by_definition(wanted, name) * 2 <= std::max(wanted.size(), name.size());
    };
    for (const std::string& name : known)
        CHECK((std::find(near.begin(), near.end(), name) != near.end()) == close(name));
    CHECK(std::is_sorted(near.begin(), near.end(), [&](const auto& a, const auto& b) {
        return distance_by_definition(wanted, a) < distance_by_definition(wanted, b);
    }));
}

TEST_CASE("base/text: counts are grouped by thousands", "[base][unit]") {
    const auto [value, text] = GENERATE(table<unsigned long long, std::string>({
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {12345, "12,345"},
        {123456, "123,456"},
        {1234567, "1,234,567"},
        {18446744073709551615ULL, "18,446,744,073,709,551,615"},
    }));
    CHECK(with_commas(value) == text);
}

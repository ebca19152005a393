// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/spike_distance.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <cmath>
#include <vector>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using Train = std::vector<double>;

namespace {

/// Up to `most` spikes in 0..span on a grid of 1/4, so that equal times occur.
Train random_train(const CounterRandom& random, std::uint64_t which, std::uint32_t most,
                   double span) {
    Train train(random.below(most + 1, which));
    for (std::size_t i = 0; i < train.size(); ++i)
        train[i] = std::floor(random.uniform(which, 1 + i) * span * 4.0) / 4.0;
    std::sort(train.begin(), train.end());
    return train;
}

/// The definition: every way of pairing spikes of a with spikes of b, crossing or not.
double all_pairings(const Train& a, const Train& b, double q, std::size_t i,
                    std::vector<bool>& used) {
    if (i == a.size())
        return static_cast<double>(std::count(used.begin(), used.end(), false));  // to be added
    double least = 1.0 + all_pairings(a, b, q, i + 1, used);                      // removed
    for (std::size_t j = 0; j < b.size(); ++j) {
        if (used[j]) continue;
        used[j] = true;
        least = std::min(least, q * std::abs(a[i] - b[j]) + all_pairings(a, b, q, i + 1, used));
        used[j] = false;
    }
    return least;
}

/// Victor and Purpura's own algorithm: a table of all prefixes.
double whole_table(const Train& a, const Train& b, double q) {
    std::vector<Train> cost(a.size() + 1, Train(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i)
        for (std::size_t j = 0; j <= b.size(); ++j) {
            if (i == 0 || j == 0) {
                cost[i][j] = static_cast<double>(i + j);
                continue;
            }
            cost[i][j] = std::min({cost[i - 1][j] + 1.0, cost[i][j - 1] + 1.0,
                                   cost[i - 1][j - 1] + q * std::abs(a[i - 1] - b[j - 1])});
        }
    return cost[a.size()][b.size()];
}

/// The definition, by Simpson's rule on cells of 1/32 with spikes on their borders only. The two
/// ends of a cell are taken from inside it.
double integrated(const Train& a, const Train& b, double tau, double span) {
    constexpr double kCell = 1.0 / 32.0;
    const auto filtered = [&](const Train& train, double cell_begin, double t) {
        double f = 0.0;
        for (const double spike : train)
            if (spike <= cell_begin) f += std::exp(-(t - spike) / tau);
        return f;
    };
    double sum = 0.0;
    for (double begin = 0.0; begin < span + 25.0 * tau; begin += kCell)
        for (const auto& [at, weight] : {std::pair{0.0, 1.0}, {0.5, 4.0}, {1.0, 1.0}}) {
            const double t = begin + at * kCell;
            const double d = filtered(a, begin, t) - filtered(b, begin, t);
            sum += weight * d * d * kCell / 6.0;
        }
    return std::sqrt(sum / tau);
}

}  // namespace

TEST_CASE("analysis/spike_distance: Victor-Purpura is the least cost over all pairings",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{61}));
    const double q = GENERATE(0.0, 0.1, 0.5, 1.0, 3.0);
    const CounterRandom random(seed, 7);
    const Train a = random_train(random, 1, 6, 20.0);
    const Train b = random_train(random, 2, 6, 20.0);
    CAPTURE(a, b, q);
    std::vector<bool> used(b.size(), false);
    CHECK_THAT(victor_purpura(a, b, q), WithinAbs(all_pairings(a, b, q, 0, used), 1e-12));
}

TEST_CASE("analysis/spike_distance: Victor-Purpura equals the whole table on long trains",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{13}));
    const double q = GENERATE(0.01, 0.2, 1.0, 8.0);
    const double span = GENERATE(30.0, 300.0, 30000.0);  // from dense to mostly out of reach
    const CounterRandom random(seed, 8);
    const Train a = random_train(random, 1, 150, span);
    const Train b = random_train(random, 2, 150, span);
    CHECK_THAT(victor_purpura(a, b, q), WithinAbs(whole_table(a, b, q), 1e-9));
    CHECK_THAT(victor_purpura(b, a, q), WithinAbs(whole_table(a, b, q), 1e-9));
}

TEST_CASE("analysis/spike_distance: van Rossum is the integral of its definition",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{9}));
    const double tau = GENERATE(0.5, 2.0, 10.0);
    const CounterRandom random(seed, 9);
    const Train a = random_train(random, 1, 12, 20.0);
    const Train b = random_train(random, 2, 12, 20.0);
    CAPTURE(a, b, tau);
    CHECK_THAT(van_rossum(a, b, tau), WithinAbs(integrated(a, b, tau, 20.0), 1e-6));
}

TEST_CASE("analysis/spike_distance: van Rossum equals the sum over pairs of spikes",
          "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{21}));
    const double tau = GENERATE(0.3, 5.0, 400.0);
    const CounterRandom random(seed, 10);
    const Train a = random_train(random, 1, 60, 500.0);
    const Train b = random_train(random, 2, 60, 500.0);
    const auto pairs = [&](const Train& x, const Train& y) {
        double sum = 0.0;
        for (const double s : x)
            for (const double t : y) sum += std::exp(-std::abs(s - t) / tau);
        return sum;
    };
    const double squared = (pairs(a, a) + pairs(b, b)) / 2.0 - pairs(a, b);
    CHECK_THAT(std::pow(van_rossum(a, b, tau), 2.0), WithinAbs(squared, 1e-8));
}

TEST_CASE("analysis/spike_distance: both are metrics", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{41}));
    const CounterRandom random(seed, 11);
    const Train a = random_train(random, 1, 8, 12.0);
    const Train b = random_train(random, 2, 8, 12.0);
    const Train c = random_train(random, 3, 8, 12.0);
    CAPTURE(a, b, c);
    const auto check = [&](auto distance) {
        CHECK(distance(a, a) == 0.0);
        CHECK((distance(a, b) > 0.0) == (a != b));
        CHECK_THAT(distance(a, b), WithinAbs(distance(b, a), 1e-12));
        CHECK(distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12);
    };
    check([](const Train& x, const Train& y) { return van_rossum(x, y, 3.0); });
    check([](const Train& x, const Train& y) { return victor_purpura(x, y, 0.4); });
}

TEST_CASE("analysis/spike_distance: known values and limits", "[analysis][unit]") {
    const Train none;
    const Train one{5.0};
    const Train late{7.0};
    const Train far{5e6};
    CHECK(van_rossum(none, none, 1.0) == 0.0);
    CHECK(victor_purpura(none, none, 1.0) == 0.0);
    CHECK_THAT(van_rossum(one, none, 3.0), WithinRel(std::sqrt(0.5), 1e-15));
    CHECK_THAT(van_rossum(one, far, 3.0), WithinRel(1.0, 1e-15));
    CHECK_THAT(van_rossum(one, late, 4.0), WithinRel(std::sqrt(1.0 - std::exp(-0.5)), 1e-14));
    CHECK(victor_purpura(one, none, 3.0) == 1.0);
    CHECK(victor_purpura(one, late, 0.25) == 0.5);
    CHECK(victor_purpura(one, late, 1.0) == 2.0);
    CHECK(victor_purpura(one, late, 50.0) == 2.0);
    // Without a price on time only the counts differ, and a slow kernel sees nothing else.
    const Train three{1.0, 2.0, 900.0};
    CHECK(victor_purpura(three, one, 0.0) == 2.0);
    CHECK_THAT(van_rossum(three, one, 1e12), WithinRel(2.0 / std::sqrt(2.0), 1e-6));
}

TEST_CASE("analysis/spike_distance: long trains take time in proportion to their spikes",
          "[analysis][unit]") {
    // A table of all prefixes would hold 4e10 costs.
    Train a;
    Train b;
    for (int i = 0; i < 200000; ++i) {
        a.push_back(10.0 * i);
        b.push_back(10.0 * i + (i % 2 == 0 ? 0.0 : 1.0));
    }
    CHECK_THAT(victor_purpura(a, b, 0.1), WithinAbs(10000.0, 1e-6));
    CHECK(van_rossum(a, b, 1.0) > 0.0);
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/model_comparison.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstring>
#include <set>

#include "spikelock/analysis/model_plot.hpp"
#include "spikelock/analysis/spike_distance.hpp"
#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;

namespace {
constexpr std::uint32_t kNeurons = 70;  // more than a word of spikes
constexpr std::uint32_t kSteps = 90;
constexpr int kFrac = 5;

/// A float model and a golden of 16 bits with 5 fraction bits, drawn at random.
struct Pair {
    trace::Shape expected;
    trace::Shape actual;
    std::vector<double> v;                                       // shape (steps, neurons)
    std::vector<std::int16_t> raw;                               // the same
    std::set<std::pair<std::uint32_t, std::uint32_t>> fires[2];  // (step, neuron)
    std::vector<std::uint64_t> words[2];

    double error(std::uint32_t t, std::uint32_t n) const {
        const std::size_t i = std::size_t{t} * kNeurons + n;
        return std::abs(std::ldexp(raw[i], -kFrac) - v[i]);
    }
    trace::BlockView block(int side, std::uint32_t first, std::uint32_t steps) const {
        trace::BlockView b;
        b.first = first;
        b.n_steps = steps;
        const std::size_t w = expected.spike_words();
        b.spikes = std::span(words[side]).subspan(first * w, steps * w);
        if (side == 0)
            b.fields = {std::as_bytes(std::span(v).subspan(std::size_t{first} * kNeurons,
                                                           std::size_t{steps} * kNeurons))};
        else
            b.fields = {std::as_bytes(std::span(raw).subspan(std::size_t{first} * kNeurons,
                                                             std::size_t{steps} * kNeurons))};
        return b;
    }
};

Pair random_pair(std::uint64_t seed) {
    Pair p;
    p.expected.n_neurons = kNeurons;
    p.expected.populations = {{"low", 0, 30}, {"high", 30, kNeurons}};
    p.actual = p.expected;
    p.expected.fields = {{.name = "v", .bits = 64, .is_float = true, .bytes = 8}};
    p.actual.fields = {{.name = "v", .bits = 16, .frac_bits = kFrac, .bytes = 2}};
    const CounterRandom random(seed, 3);
    const std::size_t w = p.expected.spike_words();
    for (auto& words : p.words) words.resize(w * kSteps);
    for (std::uint32_t t = 0; t < kSteps; ++t)
        for (std::uint32_t n = 0; n < kNeurons; ++n) {
            p.v.push_back(200.0 * random.uniform(t, n) - 100.0);
            const double off = 0.2 * random.uniform(t, n + 1000) - 0.1;
            p.raw.push_back(random.uniform(t, n + 4000) < 0.05
                                ? static_cast<std::int16_t>(n % 2 == 0 ? 32767 : -32768)
                                : static_cast<std::int16_t>(std::ldexp(p.v.back() + off, kFrac)));
            const bool fires = random.uniform(t, n + 2000) < 0.1;
            const bool flips = t > 12 && random.uniform(t, n + 3000) < 0.02;
            for (const int side : {0, 1})
                if (fires != (side == 1 && flips)) {
                    p.fires[side].emplace(t, n);
                    p.words[side][t * w + n / 64] |= std::uint64_t{1} << (n % 64);
                }
        }
    return p;
}

std::vector<double> train(const Pair& p, int side, std::uint32_t n, const trace::Sample& s) {
    std::vector<double> times;
    for (const auto& [t, neuron] : p.fires[side])
        if (neuron == n && t >= s.begin && t < s.end)
            times.push_back(static_cast<double>(t - s.begin));
    return times;
}
}  // namespace

TEST_CASE("analysis/model_comparison: figures follow from their definitions, however cut",
          "[analysis][property]") {
    const Pair p = random_pair(GENERATE(1U, 2U, 3U));
    const std::uint32_t cut = GENERATE(1U, 7U, 90U);
    const std::vector<trace::Sample> samples = {
        {"a", 0, 40, {}}, {"b", 40, 41, {}}, {"c", 41, 90, {}}};
    ModelComparisonOptions options;
    options.tau_steps = 4.0;
    options.cost_per_step = 0.3;
    options.v_tolerance = 0.02;
    for (std::uint32_t n = 0; n < kNeurons; ++n)
        options.thresholds.push_back(n < 30 ? 5.0 + n : 0.0);
    auto comparer = ModelComparer::create(p.expected, p.actual, samples, options);
    REQUIRE(comparer);
    for (std::uint32_t t = 0; t < kSteps; t += cut) {
        const std::uint32_t steps = std::min(cut, kSteps - t);
        comparer->feed(p.block(0, t, steps), p.block(1, t, steps));
    }
    const ModelComparison c = comparer->finish();
    CHECK(c.steps == kSteps);
    CHECK(c.samples == 3);
    REQUIRE(c.populations.size() == 2);
    for (const auto& [got, begin, end] : {std::tuple{c.populations[0], 0U, 30U},
                                          {c.populations[1], 30U, kNeurons},
                                          {c.total, 0U, kNeurons}}) {
        double squares = 0.0, relative = 0.0, agreeing = 0.0, worst = 0.0, vr = 0.0, vp = 0.0;
        std::uint64_t values = 0, values_agreeing = 0, counts[2] = {0, 0}, differ = 0,
                      saturated = 0, count_error = 0;
        for (const trace::Sample& s : samples) {
            bool agrees = true;
            for (auto t = static_cast<std::uint32_t>(s.begin); t < s.end; ++t) {
                for (std::uint32_t n = 0; n < kNeurons; ++n)
                    agrees = agrees && p.fires[0].contains({t, n}) == p.fires[1].contains({t, n});
                for (std::uint32_t n = begin; n < end; ++n, ++values) {
                    const double e = p.error(t, n);
                    squares += e * e;
                    worst = std::max(worst, e);
                    const int raw = p.raw[std::size_t{t} * kNeurons + n];
                    saturated += raw == 32767 || raw == -32768;
                    if (n < 30) relative += std::pow(e / options.thresholds[n], 2.0);
                    if (agrees) agreeing += e * e, ++values_agreeing;
                    differ += p.fires[0].contains({t, n}) != p.fires[1].contains({t, n});
                }
            }
            for (std::uint32_t n = begin; n < end; ++n) {
                const auto a = train(p, 0, n, s);
                const auto b = train(p, 1, n, s);
                counts[0] += a.size();
                counts[1] += b.size();
                count_error += a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
                vr += van_rossum(a, b, 4.0);
                vp += victor_purpura(a, b, 0.3);
            }
        }
        CHECK(got.neurons == end - begin);
        CHECK(got.voltages == values);
        CHECK(got.voltages_agreeing == values_agreeing);
        CHECK_THAT(got.v_rmse, WithinRel(std::sqrt(squares / double(values)), 1e-12));
        CHECK_THAT(got.v_rmse_agreeing,
                   WithinRel(std::sqrt(agreeing / double(values_agreeing)), 1e-12));
        REQUIRE(got.v_rmse_relative.has_value() == (begin == 0));
        if (begin == 0)
            CHECK_THAT(*got.v_rmse_relative,
                       WithinRel(std::sqrt(relative / (30.0 * kSteps)), 1e-12));
        CHECK(got.v_max_error == worst);
        CHECK(got.v_saturated == saturated);
        CHECK(got.spikes_expected == counts[0]);
        CHECK(got.spikes_actual == counts[1]);
        CHECK(got.spikes_differing == differ);
        CHECK(got.count_error == count_error);
        CHECK_THAT(got.van_rossum, WithinRel(vr / (3.0 * (end - begin)), 1e-12));
        CHECK_THAT(got.victor_purpura, WithinRel(vp / (3.0 * (end - begin)), 1e-12));
    }
    // The first of each kind, in order of timestep, then neuron.
    bool found = false;
    for (std::uint32_t t = 0; t < kSteps && !found; ++t)
        for (std::uint32_t n = 0; n < kNeurons && !found; ++n) {
            found = p.fires[0].contains({t, n}) != p.fires[1].contains({t, n});
            if (!found) continue;
            REQUIRE(c.first_spike);
            CHECK(c.first_spike->timestep == t);
            CHECK(c.first_spike->neuron == n);
            CHECK(c.first_spike->expected_fired == p.fires[0].contains({t, n}));
            CHECK(c.first_spike->sample == (t < 40 ? 0U : t < 41 ? 1U : 2U));
        }
    CHECK(found);
    found = false;
    for (std::uint32_t t = 0; t < kSteps && !found; ++t)
        for (std::uint32_t n = 0; n < 30 && !found; ++n) {
            found = p.error(t, n) > 0.02 * options.thresholds[n];
            if (!found) continue;
            REQUIRE(c.first_voltage);
            CHECK(c.first_voltage->timestep == t);
            CHECK(c.first_voltage->neuron == n);
        }
    CHECK(found == c.first_voltage.has_value());
}

TEST_CASE("analysis/model_comparison: what cannot be compared is refused", "[analysis][unit]") {
    const Pair p = random_pair(1);
    trace::Shape other = p.actual;
    other.n_neurons = 3;
    CHECK(ModelComparer::create(p.expected, other, {}).error().code == Errc::Mismatch);
    other = p.actual;
    other.fields[0].name = "u";
    CHECK(ModelComparer::create(p.expected, other, {}).error().code == Errc::Mismatch);
    std::vector<ModelComparisonOptions> bad(5);
    bad[0].tau_steps = 0.0;
    bad[1].cost_per_step = -1.0;
    bad[2].tau_steps = INFINITY;
    bad[3].thresholds = {1.0};
    bad[4].v_tolerance = NAN;
    for (const ModelComparisonOptions& o : bad)
        CHECK(ModelComparer::create(p.expected, p.actual, {}, o).error().code == Errc::BadConfig);
}

TEST_CASE("analysis/model_plot: the picture shows what it is given", "[analysis][unit]") {
    const Pair p = random_pair(2);
    trace::ExecutionTrace expected(p.expected, 0);
    trace::ExecutionTrace actual(p.actual, 0);
    expected.append(p.block(0, 0, kSteps));
    actual.append(p.block(1, 0, kSteps));
    ModelPlotOptions options;
    options.title = "a <b> & c";
    options.neurons = {3, 69};
    options.thresholds.assign(kNeurons, 50.0);
    const auto svg = model_plot_svg(expected, actual, options);
    REQUIRE(svg);
    CHECK_THAT(*svg, ContainsSubstring("a &lt;b&gt; &amp; c"));
    CHECK_THAT(*svg, ContainsSubstring("v of low[3]") && ContainsSubstring("v of high[39]"));
    CHECK(svg->starts_with("<svg "));
    CHECK(svg->ends_with("</svg>\n"));
    // One mark for each spike of the raster: on both sides, expected only, actual only.
    std::size_t both = 0;
    for (const auto& spike : p.fires[0]) both += p.fires[1].count(spike);
    const auto marks = [&](const std::string& colour) {
        std::size_t begin = svg->rfind("<path stroke=\"" + colour + "\" stroke-width=\"1.6\" d=\"");
        REQUIRE(begin != std::string::npos);
        begin = svg->find(" d=\"", begin);
        const std::string path = svg->substr(begin, svg->find("/>", begin) - begin);
        return static_cast<std::size_t>(std::count(path.begin(), path.end(), 'M'));
    };
    CHECK(marks("#8a8f98") == both);
    CHECK(marks("#1f6fb4") == p.fires[0].size() - both);
    CHECK(marks("#d9480f") == p.fires[1].size() - both);

    options.neurons = {kNeurons};
    CHECK(model_plot_svg(expected, actual, options).error().code == Errc::NotFound);
    CHECK(model_plot_svg(expected, trace::ExecutionTrace(p.actual, 0), options).error().code ==
          Errc::Mismatch);
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/stimulus.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::golden;
using Catch::Matchers::ContainsSubstring;
using trace::Sample;
using trace::StartState;
using trace::Stimulus;
using trace::StimulusBlock;

namespace {

std::unique_ptr<Stimulus> made(Result<std::unique_ptr<Stimulus>> stimulus) {
    if (!stimulus) FAIL(stimulus.error().text());
    return std::move(*stimulus);
}

std::unique_ptr<Stimulus> events() {
    std::vector<TimedEvent> list;
    const CounterRandom random(5, 5);
    for (std::uint64_t i = 0, t = 0; i < 400; ++i, t += random.below(2, i))
        list.push_back({t, {random.below(9, i, 1), static_cast<std::uint16_t>(i % 2), 1}});
    return made(make_event_stimulus(std::move(list), 401,
                                    {{"x", 0, 10, StartState::Keep},
                                     {"y", 10, 11, StartState::Clear},
                                     {"z", 11, 401, StartState::Reset}}));
}

std::unique_ptr<Stimulus> poisson(double probability, std::uint32_t axons = 130,
                                  std::uint64_t seed = 1) {
    return made(make_poisson_stimulus({.axons = axons,
                                       .probability = probability,
                                       .n_steps = 401,
                                       .sample_steps = 50,
                                       .seed = seed}));
}

ImageOptions image_options(ImageCoding coding) {
    ImageOptions options;
    options.coding = coding;
    options.pixels_per_image = 20;
    options.steps_per_image = 16;
    for (int image = 0; image < 25; ++image) {
        options.labels.push_back(std::to_string(image % 10));
        for (int p = 0; p < 20; ++p)
            options.pixels.push_back(p == 7 ? 0.0 : (image + p) % 20 / 19.0);
    }
    return options;
}

std::unique_ptr<Stimulus> currents(std::int32_t noise) {
    CurrentOptions options;
    options.current = {5, -5, 1000, 0, 7};
    options.noise = noise;
    options.n_steps = 401;
    options.sample_steps = 100;
    return made(make_current_stimulus(std::move(options)));
}

/// Appends b to a, as if they had been one block.
void append(StimulusBlock& a, const StimulusBlock& b) {
    REQUIRE(b.first == a.first + a.n_steps);
    for (const auto& begin : b.begins) a.begins.push_back({begin.step + a.n_steps, begin.start});
    for (std::uint32_t s = 0; s < b.n_steps; ++s) {
        const auto more = b.events_of(s);
        a.events.insert(a.events.end(), more.begin(), more.end());
        a.event_begin.push_back(static_cast<std::uint32_t>(a.events.size()));
    }
    REQUIRE(a.side_bands.size() == b.side_bands.size());
    for (std::size_t i = 0; i < a.side_bands.size(); ++i) {
        auto& to = a.side_bands[i].values;
        to.insert(to.end(), b.side_bands[i].values.begin(), b.side_bands[i].values.end());
    }
    a.n_steps += b.n_steps;
}

void require_equal(const StimulusBlock& a, const StimulusBlock& b) {
    REQUIRE(a.n_steps == b.n_steps);
    REQUIRE(a.event_begin == b.event_begin);
    REQUIRE(a.events == b.events);
    REQUIRE(a.begins.size() == b.begins.size());
    for (std::size_t i = 0; i < a.begins.size(); ++i) {
        REQUIRE(a.begins[i].step == b.begins[i].step);
        REQUIRE(a.begins[i].start == b.begins[i].start);
    }
    REQUIRE(a.side_bands.size() == b.side_bands.size());
    for (std::size_t i = 0; i < a.side_bands.size(); ++i) {
        REQUIRE(a.side_bands[i].name == b.side_bands[i].name);
        REQUIRE(a.side_bands[i].width == b.side_bands[i].width);
        REQUIRE(a.side_bands[i].values == b.side_bands[i].values);
    }
}

}  // namespace

TEST_CASE("golden/stimulus: any cut into blocks gives the whole", "[golden][property]") {
    std::vector<std::unique_ptr<Stimulus>> stimuli;
    stimuli.push_back(events());
    stimuli.push_back(poisson(0.1));
    stimuli.push_back(poisson(1.0));
    stimuli.push_back(made(make_image_stimulus(image_options(ImageCoding::Rate))));
    stimuli.push_back(made(make_image_stimulus(image_options(ImageCoding::Latency))));
    stimuli.push_back(currents(0));
    stimuli.push_back(currents(30));
    for (std::size_t which = 0; which < stimuli.size(); ++which) {
        const Stimulus& stimulus = *stimuli[which];
        CAPTURE(which);
        const auto n = static_cast<std::uint32_t>(stimulus.n_steps());
        const StimulusBlock whole = stimulus.block(0, n);
        REQUIRE(whole.event_begin.size() == n + 1);
        // Every sample starts once, where it says.
        REQUIRE(whole.begins.size() == stimulus.samples().size());
        for (std::size_t i = 0; i < whole.begins.size(); ++i) {
            CHECK(whole.begins[i].step == stimulus.samples()[i].begin);
            CHECK(whole.begins[i].start == stimulus.samples()[i].start);
            CHECK(stimulus.samples()[i].end ==
                  (i + 1 < whole.begins.size() ? stimulus.samples()[i + 1].begin : n));
        }
        for (std::uint64_t seed = 0; seed < 10; ++seed) {
            const CounterRandom random(seed, 9);
            StimulusBlock joined = stimulus.block(0, 0);
            for (std::uint64_t i = 0; joined.n_steps < n; ++i)
                append(joined, stimulus.block(joined.n_steps,
                                              std::min(random.below(40, i), n - joined.n_steps)));
            require_equal(joined, whole);
        }
        // And out of order.
        require_equal(stimulus.block(n - 7, 7), stimulus.block(n - 7, 7));
    }
}

TEST_CASE("golden/stimulus: Poisson spikes have their probability and are independent",
          "[golden][property]") {
    const double p = GENERATE(0.0, 0.001, 0.1, 0.3333, 0.5, 0.75, 0.999, 1.0);
    constexpr std::uint32_t kAxons = 130;
    constexpr std::uint32_t kSteps = 4000;
    const auto stimulus = made(
        make_poisson_stimulus({.axons = kAxons, .probability = p, .n_steps = kSteps, .seed = 11}));
    const StimulusBlock block = stimulus->block(0, kSteps);
    std::vector<double> per_axon(kAxons, 0.0);
    double neighbours = 0.0;   // axon i and i+1 in one timestep
    double words_apart = 0.0;  // axon i and i+64, which are drawn by the same bit of two words
    double successive = 0.0;   // axon i in two timesteps
    std::vector<bool> before(kAxons, false);
    for (std::uint32_t s = 0; s < kSteps; ++s) {
        std::vector<bool> now(kAxons, false);
        std::uint32_t next = 0;
        for (const auto& e : block.events_of(s)) {
            REQUIRE(e.address >= next);  // ascending, each once
            REQUIRE(e.address < kAxons);
            next = e.address + 1;
            now[e.address] = true;
            per_axon[e.address] += 1.0;
        }
        for (std::uint32_t i = 0; i < kAxons; ++i) {
            if (i > 0 && now[i] && now[i - 1]) neighbours += 1.0;
            if (i >= 64 && now[i] && now[i - 64]) words_apart += 1.0;
            if (s > 0 && now[i] && before[i]) successive += 1.0;
        }
        before = now;
    }
    CAPTURE(p);
    // Five standard deviations of a binomial count.
    const auto near = [](double count, double trials, double chance) {
        return std::abs(count - trials * chance) <=
               5.0 * std::sqrt(trials * chance * (1.0 - chance)) + 1e-9;
    };
    CHECK(near(static_cast<double>(block.events.size()), kAxons * kSteps, p));
    for (const double count : per_axon) CHECK(near(count, kSteps, p));
    CHECK(near(neighbours, (kAxons - 1.0) * kSteps, p * p));
    CHECK(near(words_apart, (kAxons - 64.0) * kSteps, p * p));
    CHECK(near(successive, kAxons * (kSteps - 1.0), p * p));
    if (p > 0.0 && p < 1.0) {
        const auto other = made(make_poisson_stimulus(
            {.axons = kAxons, .probability = p, .n_steps = kSteps, .seed = 12}));
        CHECK(other->block(0, kSteps).events != block.events);
    }
}

TEST_CASE("golden/stimulus: images fire by rate or by latency", "[golden][unit]") {
    ImageOptions options;
    options.pixels_per_image = 4;
    options.pixels = {0.0, 1.0, 0.5, 1e-9};
    options.labels = {"seven"};
    options.steps_per_image = 11;
    options.coding = ImageCoding::Latency;
    const auto latency = made(make_image_stimulus(options));
    const auto block = latency->block(0, 11);
    std::map<std::uint32_t, std::uint32_t> fired;
    for (std::uint32_t s = 0; s < 11; ++s)
        for (const auto& e : block.events_of(s)) CHECK(fired.emplace(e.address, s).second);
    CHECK(fired == std::map<std::uint32_t, std::uint32_t>{{1, 0}, {2, 5}, {3, 10}});
    REQUIRE(latency->samples().size() == 1);
    CHECK(latency->samples()[0] == Sample{"seven", 0, 11, StartState::Clear});

    options.coding = ImageCoding::Rate;
    options.steps_per_image = 20000;
    options.max_rate = 0.5;
    const auto rate = made(make_image_stimulus(options));
    std::array<double, 4> counts{};
    for (const auto& e : rate->block(0, 20000).events) counts[e.address] += 1.0;
    CHECK(counts[0] == 0.0);
    CHECK(std::abs(counts[1] - 10000.0) < 360.0);
    CHECK(std::abs(counts[2] - 5000.0) < 310.0);
    CHECK(counts[3] == 0.0);
    // The same image shown twice is drawn twice.
    ImageOptions twice = options;
    twice.steps_per_image = 50;
    twice.labels.push_back("seven");
    twice.pixels.insert(twice.pixels.end(), options.pixels.begin(), options.pixels.end());
    const auto shown = made(make_image_stimulus(twice));
    CHECK(shown->block(0, 50).events != shown->block(50, 50).events);
    options.max_rate = 1.0;
    options.steps_per_image = 100;
    const auto always = made(make_image_stimulus(options))->block(0, 100);
    CHECK(std::ranges::count(always.events, 1U, &trace::InputEvent::address) == 100);
}

TEST_CASE("golden/stimulus: noise stays within its bound and reaches it", "[golden][unit]") {
    const auto block = currents(3)->block(0, 401);
    REQUIRE(block.side_bands.size() == 1);
    CHECK(block.side_bands[0].name == "i_in");
    std::map<std::int32_t, int> offsets;
    const std::int32_t base[] = {5, -5, 1000, 0, 7};
    for (std::size_t i = 0; i < block.side_bands[0].values.size(); ++i)
        ++offsets[block.side_bands[0].values[i] - base[i % 5]];
    CHECK(offsets.begin()->first == -3);
    CHECK(offsets.rbegin()->first == 3);
    for (const auto& [offset, count] : offsets) CHECK(std::abs(count - 2005.0 / 7) < 90);
}

TEST_CASE("golden/stimulus: options out of range are errors", "[golden][unit]") {
    const auto refused = [](Result<std::unique_ptr<Stimulus>> stimulus, const char* text) {
        REQUIRE_FALSE(stimulus);
        CHECK(stimulus.error().code == Errc::BadConfig);
        CHECK_THAT(stimulus.error().text(), ContainsSubstring(text));
    };
    refused(make_event_stimulus({{3, {}}, {2, {}}}, 9, {}), "event 1: is at timestep 2, before 3");
    refused(make_event_stimulus({{3, {}}}, 3, {}), "event 0: is at timestep 3, expected one below");
    refused(make_event_stimulus({}, 9, {{"", 1, 9}}), "sample 0: covers timesteps 1..9");
    refused(make_event_stimulus({}, 9, {{"", 0, 0}}), "sample 0");
    refused(make_event_stimulus({}, 9, {{"", 0, 8}}), "samples: end before timestep 8, expected 9");
    refused(make_poisson_stimulus({.probability = 1.1}), "probability: is 1.1, expected 0..1");
    refused(make_poisson_stimulus({.probability = std::nan("")}), "probability: is nan");
    ImageOptions images = image_options(ImageCoding::Rate);
    images.pixels[21] = 1.5;
    refused(make_image_stimulus(images), "pixel 1 of image 1: is 1.5");
    images.pixels.pop_back();
    refused(make_image_stimulus(images), "pixels: has 499 values, expected 500");
    refused(make_current_stimulus({}), "current: has no neurons");
    refused(make_current_stimulus({.current = {1}, .noise = -1}), "noise: is -1");
    refused(make_current_stimulus({.current = {2147483647}, .noise = 1}), "exceeds 32 bits");
    const auto empty = made(make_event_stimulus({}, 0, {}));
    CHECK(empty->n_steps() == 0);
    CHECK(empty->block(0, 0).n_steps == 0);
}

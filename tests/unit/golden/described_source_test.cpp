// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/described_source.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_adapters.hpp>
#include <catch2/generators/catch_generators_random.hpp>
#include <cstring>

#include "spikelock/base/random.hpp"
#include "spikelock/golden/random_network.hpp"
#include "spikelock/golden/stimulus.hpp"

using namespace spikelock;
using namespace spikelock::golden;

namespace {

template <typename T>
T need(Result<T> result) {
    if (!result) FAIL(result.error().text());
    return std::move(*result);
}

Description description_of(const Network& net, std::string_view toml) {
    Description d = describe(net);
    const Setting settings = need(settings_from_text(toml));
    const Status applied = apply(settings, d);
    if (!applied) FAIL(applied.error().text());
    return d;
}

/// All that a source shows of a stimulus, field by field, widened.
struct Seen {
    std::vector<std::uint64_t> spikes;
    std::vector<std::uint16_t> counts;
    std::vector<std::vector<std::int64_t>> fields;
    bool operator==(const Seen&) const = default;
};

std::vector<std::int64_t> widened(const trace::FieldSpec& spec, std::span<const std::byte> from) {
    const auto bytes = static_cast<std::size_t>(spec.bytes);
    std::vector<std::int64_t> out(from.size() / bytes);
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::uint64_t raw = 0;
        std::memcpy(&raw, from.data() + i * bytes, bytes);
        const int unused = static_cast<int>(64 - 8 * bytes);
        out[i] = spec.is_signed ? static_cast<std::int64_t>(raw << unused) >> unused
                                : static_cast<std::int64_t>(raw);
    }
    return out;
}

Seen run(trace::StepSource& source, const trace::Stimulus& stimulus, std::uint32_t block) {
    Seen seen;
    seen.fields.resize(source.shape().fields.size());
    for (std::uint64_t first = 0; first < stimulus.n_steps(); first += block) {
        const auto count =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(block, stimulus.n_steps() - first));
        const Status submitted = source.submit(stimulus.block(first, count));
        if (!submitted) FAIL(submitted.error().text());
        while (source.in_flight() > 0) {
            auto got = source.read(block);
            if (!got) FAIL(got.error().text());
            const auto& view = std::get<trace::BlockView>(*got);
            seen.spikes.insert(seen.spikes.end(), view.spikes.begin(), view.spikes.end());
            seen.counts.insert(seen.counts.end(), view.counts.begin(), view.counts.end());
            for (std::size_t f = 0; f < view.fields.size(); ++f) {
                const auto values = widened(source.shape().fields[f], view.fields[f]);
                seen.fields[f].insert(seen.fields[f].end(), values.begin(), values.end());
            }
        }
    }
    return seen;
}

}  // namespace

TEST_CASE("golden/described: every plain network runs as in the fast kernels",
          "[golden][property]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(take(40, random(1, 1 << 30))));
    CAPTURE(seed);
    const Network net = need(random_network(seed));
    auto fast = need(GoldenSource::create(net));
    const auto kernel = GENERATE(Kernel::Generic, Kernel::Auto);
    auto described = need(DescribedSource::create(net, describe(net), kernel));
    CHECK(is_plain(net, describe(net)));
    CHECK(described->shape() == fast->shape());
    PoissonOptions poisson;
    poisson.axons = net.n_axons();
    poisson.probability = 0.2;
    poisson.n_steps = 150;
    poisson.sample_steps = 60;
    poisson.seed = seed;
    const auto stimulus = need(make_poisson_stimulus(poisson));
    const Seen expected = run(*fast, *stimulus, 64);
    const Seen actual = run(*described, *stimulus, 37);
    CHECK(expected.spikes == actual.spikes);
    for (std::size_t f = 0; f < expected.fields.size(); ++f) {
        CAPTURE(fast->shape().fields[f].name);
        CHECK(expected.fields[f] == actual.fields[f]);
    }
}

TEST_CASE("golden/described: currents run as in the fast kernels", "[golden][property]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(take(10, random(1, 1 << 30))));
    CAPTURE(seed);
    const Network net = need(random_network(seed));
    CurrentOptions current;
    const std::int32_t top = (std::int32_t{1} << (net.arithmetic.acc_bits - 2)) - 1;
    current.current.assign(net.n_neurons(), top / 4);
    current.noise = top / 2;
    current.n_steps = 100;
    current.seed = seed;
    const auto stimulus = need(make_current_stimulus(current));
    auto fast = need(GoldenSource::create(net));
    auto described = need(DescribedSource::create(net, describe(net)));
    CHECK(run(*fast, *stimulus, 64) == run(*described, *stimulus, 33));
}

TEST_CASE("golden/described: a description survives being written as keys", "[golden][property]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(take(20, random(1, 1 << 30))));
    const Description d = describe(need(random_network(seed)));
    CHECK(description_of(Network{}, to_toml(d)) == d);
}

TEST_CASE("golden/described: a source goes on from the state of another", "[golden][property]") {
    const auto seed = static_cast<std::uint64_t>(GENERATE(take(20, random(1, 1 << 30))));
    CAPTURE(seed);
    const Network net = need(random_network(seed));
    PoissonOptions poisson;
    poisson.axons = net.n_axons();
    poisson.probability = 0.2;
    poisson.n_steps = 60;
    poisson.seed = seed;
    const auto stimulus = need(make_poisson_stimulus(poisson));
    auto first = need(DescribedSource::create(net, describe(net)));
    REQUIRE(first->submit(stimulus->block(0, 30)));
    while (first->in_flight() > 0) REQUIRE(first->read(30));
    auto second = need(DescribedSource::create(net, describe(net)));
    REQUIRE(second->continue_from(*first));
    for (auto* source : {first.get(), second.get()})
        REQUIRE(source->submit(stimulus->block(30, 30)));
    for (int step = 0; step < 30; ++step) {
        const auto a = need(first->read(1));
        const auto b = need(second->read(1));
        const auto& x = std::get<trace::BlockView>(a);
        const auto& y = std::get<trace::BlockView>(b);
        REQUIRE(std::ranges::equal(x.spikes, y.spikes));
        for (std::size_t f = 0; f < x.fields.size(); ++f)
            REQUIRE(std::ranges::equal(x.fields[f], y.fields[f]));
    }
}

TEST_CASE("golden/described: state is set within its format", "[golden][unit]") {
    Network net;
    net.arithmetic.v_bits = 8;
    net.neurons.resize(2);
    for (NeuronParams& n : net.neurons) n = {.threshold = 100, .leak = 1};
    net.populations = {{"all", 0, 2}};
    net.row_begin.assign(3, 0);
    auto source = need(DescribedSource::create(net, describe(net)));
    const std::array<std::int64_t, 2> values{40, -41};
    REQUIRE(source->set_state("v", values));
    trace::StimulusBlock block;
    block.n_steps = 1;
    block.event_begin = {0, 0};
    REQUIRE(source->submit(block));
    const auto read = need(source->read(1));
    const auto& view = std::get<trace::BlockView>(read);
    const auto v = static_cast<std::size_t>(source->shape().field_index("v"));
    CHECK(widened(source->shape().fields[v], view.fields[v]) == std::vector<std::int64_t>{20, -20});
    const Status wide = source->set_state("v", std::array<std::int64_t, 2>{0, 128});
    REQUIRE(!wide);
    CHECK(wide.error().text() == "v of neuron 1 is 128, expected -128..127");
    CHECK(source->set_state("u", values).error().code == Errc::NotFound);
    CHECK(source->set_state("v", std::array<std::int64_t, 1>{0}).error().code == Errc::BadConfig);
}

// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstring>
#include <functional>

#include "spikelock/golden/float_network.hpp"

using namespace spikelock;
using namespace spikelock::golden;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

namespace {

FloatPopulation population(std::string label, NeuronKind kind, std::uint32_t size) {
    FloatPopulation p;
    p.label = std::move(label);
    p.kind = kind;
    p.size = size;
    p.tau_mem.assign(size, 0.01);
    p.tau_syn.assign(size, 0.005);
    p.w_in.assign(size, 1.0);
    p.r.assign(size, 1.0);
    p.v_leak.assign(size, 0.0);
    p.v_threshold.assign(size, 1.0);
    p.v_reset.assign(size, 0.0);
    p.bias.assign(size, 0.0);
    return p;
}

/// One axon into each neuron of one population with `weight`.
FloatNetwork one(FloatPopulation p, double weight) {
    FloatNetwork net;
    net.name = "one";
    net.ports = {{"in", 0, 1}};
    const std::uint32_t size = p.size;
    net.populations.push_back(std::move(p));
    net.row_begin.assign(size + 2, size);
    net.row_begin[0] = 0;
    for (std::uint32_t n = 0; n < size; ++n) net.synapses.push_back({n, weight, 0.0, false});
    return net;
}

struct Run {
    trace::Shape shape;
    std::vector<std::vector<double>> fields;
    std::vector<std::uint64_t> spikes;
    double at(const char* name, std::uint32_t step, std::uint32_t neuron = 0) const {
        const int f = shape.field_index(name);
        REQUIRE(f >= 0);
        return fields[static_cast<std::size_t>(f)][step * shape.n_neurons + neuron];
    }
    bool spike(std::uint32_t step, std::uint32_t neuron = 0) const {
        return (spikes[step] >> neuron & 1) != 0;
    }
};

/// Events on axon 0 in the timesteps of `fired`, read in blocks of 3.
Run run(FloatNetwork net, FloatOptions options, std::uint32_t steps,
        const std::function<bool(std::uint32_t)>& fired,
        std::vector<trace::StimulusBlock::Begin> begins = {}) {
    auto source = make_float_source(std::move(net), options);
    if (!source) FAIL(source.error().text());
    trace::StimulusBlock block;
    block.n_steps = steps;
    block.begins = std::move(begins);
    block.event_begin = {0};
    for (std::uint32_t s = 0; s < steps; ++s) {
        if (fired(s)) block.events.push_back({0, 0, 1});
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
    }
    REQUIRE((*source)->submit(block));
    Run out;
    out.shape = (*source)->shape();
    out.fields.resize(out.shape.fields.size());
    while ((*source)->in_flight() > 0) {
        auto read = (*source)->read(3);
        REQUIRE(read);
        const auto& view = std::get<trace::BlockView>(*read);
        out.spikes.insert(out.spikes.end(), view.spikes.begin(), view.spikes.end());
        for (std::size_t f = 0; f < view.fields.size(); ++f) {
            std::vector<double> values(view.fields[f].size() / sizeof(double));
            std::memcpy(values.data(), view.fields[f].data(), view.fields[f].size());
            out.fields[f].insert(out.fields[f].end(), values.begin(), values.end());
        }
    }
    return out;
}

const auto kAlways = [](std::uint32_t) { return true; };

}  // namespace

TEST_CASE("golden/float: a LIF follows the closed form of its Euler steps", "[golden][unit]") {
    FloatPopulation p = population("p", NeuronKind::Lif, 1);
    p.v_threshold = {1e9};
    p.r = {3.0};
    p.v_leak = {0.25};
    p.bias = {0.5};
    const Run out = run(one(p, 2.0), {}, 60, kAlways);
    const double limit = 0.25 + 3.0 * (2.0 + 0.5);  // v_leak + R * I
    for (std::uint32_t s = 0; s < 60; ++s)
        CHECK_THAT(out.at("v", s), WithinAbs(limit * (1.0 - std::pow(0.9, s + 1)), 1e-12));
    CHECK_THAT(out.at("i_syn", 7), WithinAbs(0.1 * 3.0 * 2.0, 1e-15));
    CHECK(out.shape.fields.size() == 2);
    CHECK(out.shape.fields[0].is_float);
    CHECK(out.shape.fields[0].bytes == 8);
}

TEST_CASE("golden/float: an IF adds up dt R I and resets as asked", "[golden][unit]") {
    FloatPopulation p = population("p", NeuronKind::If, 1);
    p.r = {500.0};  // 0.5 each timestep
    p.v_threshold = {1.0};
    p.v_reset = {-0.5};
    p.refractory = 0.0021;  // two timesteps
    const Run value = run(one(p, 1.0), {}, 8, kAlways);
    const bool spikes[] = {false, true, false, false, false, false, true, false};
    const double v[] = {0.5, -0.5, -0.5, -0.5, 0.0, 0.5, -0.5, -0.5};
    for (std::uint32_t s = 0; s < 8; ++s) {
        CHECK(value.spike(s) == spikes[s]);
        CHECK(value.at("v", s) == v[s]);
    }
    p.refractory = 0.0;
    p.v_threshold = {0.75};
    const Run subtract = run(one(p, 1.0), {.reset_mode = ResetMode::Subtract}, 4, kAlways);
    CHECK(subtract.at("v", 1) == 0.25);
    CHECK(subtract.spike(1));
    CHECK(subtract.at("v", 2) == 0.0);
    p.v_threshold = {1.0};
    const Run greater = run(one(p, 1.0), {.compare = Compare::Greater}, 3, kAlways);
    CHECK_FALSE(greater.spike(1));
    CHECK(greater.spike(2));
}

TEST_CASE("golden/float: a CUBA-LIF filters its input first", "[golden][unit]") {
    FloatPopulation p = population("p", NeuronKind::CubaLi, 1);
    p.w_in = {2.0};
    p.r = {4.0};
    p.v_leak = {0.5};
    const auto fired = [](std::uint32_t s) { return s % 3 == 0; };
    const Run out = run(one(p, 1.5), {}, 40, fired);
    double i = 0.0;
    double v = 0.0;
    for (std::uint32_t s = 0; s < 40; ++s) {
        i += 0.2 * (-i + 2.0 * (fired(s) ? 1.5 : 0.0));
        v += 0.1 * (0.5 - v + 4.0 * i);
        CHECK_THAT(out.at("u", s), WithinAbs(0.1 * 4.0 * i, 1e-13));
        CHECK_THAT(out.at("v", s), WithinAbs(v, 1e-12));
        CHECK_FALSE(out.spike(s));
    }
}

TEST_CASE("golden/float: a neuron without memory takes its input's value", "[golden][unit]") {
    FloatPopulation p = population("p", NeuronKind::Lif, 1);
    p.tau_mem = {0.0};
    const Run out = run(one(p, 0.75), {}, 4, [](std::uint32_t s) { return s != 2; });
    CHECK(out.at("v", 1) == 0.75);
    CHECK(out.at("v", 2) == 0.0);
}

TEST_CASE("golden/float: delays are whole timesteps and a cycle adds one", "[golden][unit]") {
    FloatNetwork net = one(population("p", NeuronKind::If, 3), 0.0);
    for (auto* values : {&net.populations[0].r}) values->assign(3, 1000.0);
    // Axon to neuron 0 at once; 0 to 1 at once; 0 to 2 after 2.4 ms; 2 to 0 around a cycle.
    net.synapses = {
        {0, 1.0, 0.0, false}, {1, 1.0, 0.0, false}, {2, 1.0, 0.0024, false}, {0, 1.0, 0.003, true}};
    net.row_begin = {0, 1, 3, 3, 4};
    const Run out = run(net, {}, 10, [](std::uint32_t s) { return s == 0; });
    for (std::uint32_t s = 0; s < 10; ++s) {
        CHECK(out.spike(s, 0) == (s % 6 == 0));
        CHECK(out.spike(s, 1) == (s % 6 == 0));
        CHECK(out.spike(s, 2) == (s % 6 == 2));
    }
    // A clear forgets what is on its way.
    const Run cleared =
        run(net, {}, 10, [](std::uint32_t s) { return s == 0; }, {{1, trace::StartState::Clear}});
    CHECK_FALSE(cleared.spike(2, 2));
}

TEST_CASE("golden/float: bad parameters are errors that name the population", "[golden][unit]") {
    const FloatNetwork good = one(population("cells", NeuronKind::CubaLif, 2), 1.0);
    const struct {
        std::function<void(FloatNetwork&)> change;
        const char* text;
    } rows[] = {
        {[](FloatNetwork& n) { n.populations[0].tau_mem[1] = -1.0; },
         "population 'cells': tau_mem of neuron 1 is -1 s"},
        {[](FloatNetwork& n) { n.populations[0].tau_syn[0] = -2.0; }, "tau_syn of neuron 0"},
        {[](FloatNetwork& n) { n.populations[0].r.pop_back(); },
         "'cells': a parameter has 1 values"},
        {[](FloatNetwork& n) { n.populations[0].bias[0] = std::nan(""); },
         "'cells': a parameter is "},
        {[](FloatNetwork& n) { n.populations[0].refractory = -1.0; }, "'cells': refractory period"},
        {[](FloatNetwork& n) { n.synapses[0].target = 2; }, "a synapse leads to neuron 2"},
        {[](FloatNetwork& n) { n.synapses[0].delay = 1e9; }, "synapse 0 has"},
        {[](FloatNetwork& n) { n.row_begin.back() = 7; }, "row_begin"},
        {[](FloatNetwork& n) { n.row_begin = {0, 1, 1, 2}; }, "synapse 1 leads from neuron 1 to 1"},
    };
    REQUIRE(make_float_source(good, {}));
    for (const auto& row : rows) {
        FloatNetwork net = good;
        row.change(net);
        const auto source = make_float_source(net, {});
        CAPTURE(row.text);
        REQUIRE_FALSE(source);
        CHECK(source.error().code == Errc::BadConfig);
        CHECK_THAT(source.error().text(), ContainsSubstring(row.text));
    }
    CHECK_FALSE(make_float_source(good, {.dt = 0.0}));
}

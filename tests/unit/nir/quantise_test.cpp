// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/quantise.hpp"

#include <algorithm>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "spikelock/base/random.hpp"

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;
using namespace spikelock;
using namespace spikelock::golden;

namespace {

FloatPopulation population(std::string label, NeuronKind kind, std::uint32_t size) {
    FloatPopulation p;
    p.label = std::move(label);
    p.kind = kind;
    p.size = size;
    p.tau_mem.assign(size, 0.02);
    p.tau_syn.assign(size, 0.005);
    p.w_in.assign(size, 1.0);
    p.r.assign(size, 1.0);
    p.v_leak.assign(size, 0.0);
    p.v_threshold.assign(size, 1.0);
    p.v_reset.assign(size, 0.0);
    p.bias.assign(size, 0.0);
    return p;
}

/// One axon that leads to every neuron of one population.
FloatNetwork one_population(FloatPopulation p, double weight = 1.0) {
    FloatNetwork net;
    net.name = "test";
    net.ports = {{"in", 0, 1}};
    net.row_begin = {0};
    for (std::uint32_t n = 0; n < p.size; ++n) net.synapses.push_back({n, weight, 0.0, false});
    net.row_begin.assign(p.size + std::size_t{2}, p.size);
    net.row_begin[0] = 0;
    net.populations.push_back(std::move(p));
    return net;
}

/// A network of random kinds, sizes, parameters and synapses; equal seeds give equal networks.
FloatNetwork random_network(std::uint64_t seed) {
    const CounterRandom random(seed, 1);
    std::uint64_t draws = 0;
    const auto below = [&](std::uint32_t bound) { return random.below(bound, ++draws); };
    const auto uniform = [&](double low, double high) {
        return low + (high - low) * random.uniform(++draws);
    };
    FloatNetwork net;
    net.name = "random";
    net.ports = {{"in", 0, 2 + below(6)}};
    std::uint32_t n_neurons = 0;
    std::vector<std::uint32_t> population_of;
    const double volt = std::exp2(uniform(-8.0, 8.0));  // networks differ in their units
    const std::uint32_t n_populations = 1 + below(3);
    for (std::uint32_t p = 0; p < n_populations; ++p) {
        const auto kind = static_cast<NeuronKind>(below(5));
        const std::uint32_t size = 1 + below(6);
        auto made = population("p" + std::to_string(p), kind, size);
        for (std::uint32_t i = 0; i < made.size; ++i) {
            made.tau_mem[i] = uniform(0.0011, 0.05);
            made.tau_syn[i] = uniform(0.0011, 0.01);
            made.w_in[i] = uniform(0.5, 2.0);
            made.r[i] = uniform(0.5, 2.0);
            made.v_leak[i] = uniform(-0.1, 0.1) * volt;
            made.v_threshold[i] = uniform(0.5, 1.5) * volt;
            made.v_reset[i] = uniform(-0.5, 0.3) * volt;
            made.bias[i] = uniform(-0.1, 0.1) * volt;
            population_of.push_back(p);
        }
        made.refractory = 0.001 * below(4);
        n_neurons += made.size;
        net.populations.push_back(std::move(made));
    }
    std::vector<std::uint32_t> begins;
    for (std::uint32_t n = 0, at = 0; n < net.populations.size(); at += net.populations[n++].size)
        begins.push_back(at);
    net.row_begin = {0};
    for (std::uint32_t source = 0; source < net.n_axons() + n_neurons; ++source) {
        for (std::uint32_t target = 0; target < n_neurons; ++target) {
            if (below(3) == 0) continue;
            const bool recurrent =
                source >= net.n_axons() && source - net.n_axons() >= begins[population_of[target]];
            net.synapses.push_back(
                {target, uniform(-1.0, 1.0) * volt, 0.0004 * below(4), recurrent});
        }
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    return net;
}

/// docs/model.md section 5, written down once more: what a unit of weight is worth.
double gain(const FloatPopulation& p, std::uint32_t i, double dt) {
    switch (p.kind) {
        case NeuronKind::If:
            return dt * p.r[i];
        case NeuronKind::Lif:
        case NeuronKind::Li:
            return dt / p.tau_mem[i] * p.r[i];
        default:
            return dt / p.tau_syn[i] * p.w_in[i] * (dt / p.tau_mem[i]) * p.r[i];
    }
}

bool is_cuba(const FloatPopulation& p) {
    return p.kind == NeuronKind::CubaLif || p.kind == NeuronKind::CubaLi;
}

Quantised must(const FloatNetwork& net, const QuantiseOptions& options) {
    auto result = quantise(net, options);
    if (!result) FAIL(result.error().text());
    return std::move(*result);
}

}  // namespace

TEST_CASE("golden/quantise: every number is within half an LSB of what it stands for",
          "[golden][property]") {
    const auto run = GENERATE(range(0U, 60U));
    const std::uint64_t seed = std::uint64_t{Catch::getSeed()} * 1000 + run;
    const CounterRandom random(seed, 2);
    const FloatNetwork net = random_network(seed);
    QuantiseOptions options;
    options.dt = 1e-3;
    Arithmetic& wanted = options.arithmetic;
    wanted.v_bits = 12 + static_cast<int>(random.below(13, 0));
    wanted.u_bits = 12 + static_cast<int>(random.below(13, 1));
    wanted.acc_bits = wanted.v_bits + static_cast<int>(random.below(7, 2));
    wanted.weight_bits = 4 + static_cast<int>(random.below(9, 3));
    wanted.leak_frac = 6 + static_cast<int>(random.below(11, 4));
    wanted.leak_mode = static_cast<LeakMode>(random.below(2, 5));
    CAPTURE(seed, wanted.v_bits, wanted.u_bits, wanted.weight_bits);
    const Quantised out = must(net, options);
    const Network& q = out.network;
    const Arithmetic& a = q.arithmetic;
    CHECK(q.check());
    CHECK(q.dt == options.dt);
    CHECK(q.ports == net.ports);
    REQUIRE(q.populations.size() == net.populations.size());

    // Neurons.
    double largest_threshold = 0.0;
    std::uint32_t n = 0;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> place;  // population, index
    for (std::uint32_t p = 0; p < net.populations.size(); ++p) {
        const FloatPopulation& f = net.populations[p];
        CHECK(q.populations[p].label == f.label);
        CHECK(q.populations[p].begin == n);
        for (std::uint32_t i = 0; i < f.size; ++i, ++n) {
            place.emplace_back(p, i);
            const NeuronParams& raw = q.neurons[n];
            const double v_lsb = std::ldexp(1.0, -a.v_frac);
            const double in_lsb = is_cuba(f) ? std::ldexp(v_lsb, -a.u_shift) : v_lsb;
            const double part = f.kind == NeuronKind::If ? 0.0 : options.dt / f.tau_mem[i];
            const double syn = options.dt / f.tau_syn[i];
            const double slack = 1.0 + 1e-9;
            double bias = gain(f, i, options.dt) * f.bias[i];
            if (f.kind != NeuronKind::If) bias += part * f.v_leak[i] * (is_cuba(f) ? syn : 1.0);
            CHECK(std::abs(raw.bias * in_lsb - bias) <= 0.5 * in_lsb * slack);
            CHECK(raw.cuba == is_cuba(f));
            CHECK(raw.spiking == (f.kind != NeuronKind::Li && f.kind != NeuronKind::CubaLi));
            CHECK(raw.refractory * options.dt == Catch::Approx(f.refractory));
            if (raw.spiking) {
                CHECK(std::abs(raw.threshold * v_lsb - f.v_threshold[i]) <= 0.5 * v_lsb * slack);
                CHECK(std::abs(raw.v_reset * v_lsb - f.v_reset[i]) <= 0.5 * v_lsb * slack);
                largest_threshold = std::max(largest_threshold, f.v_threshold[i]);
            }
            const auto check_leak = [&](std::uint32_t code, double lost) {
                if (a.leak_mode == LeakMode::Multiply) {
                    CHECK(std::abs(std::ldexp(code, -a.leak_frac) - (1.0 - lost)) <=
                          std::ldexp(0.5 * slack, -a.leak_frac));
                } else {
                    // No other shift comes closer.
                    const auto kept = [](std::uint32_t k) {
                        return k == 0 ? 1.0 : 1.0 - std::ldexp(1.0, -static_cast<int>(k));
                    };
                    for (std::uint32_t k = 0; k <= 31; ++k)
                        CHECK(std::abs(kept(code) - (1.0 - lost)) <=
                              std::abs(kept(k) - (1.0 - lost)));
                }
            };
            check_leak(raw.leak, part);
            if (is_cuba(f)) check_leak(raw.u_decay, syn);
        }
    }
    if (largest_threshold > 0.0)
        CHECK(std::ldexp(largest_threshold, a.v_frac) <=
              std::ldexp(1.0, a.v_bits - 1 - options.headroom_bits));

    // Synapses: those of the float network in the same order, less those that round to 0.
    double largest_weight = 0.0;
    for (std::uint32_t source = 0; source + 1 < net.row_begin.size(); ++source) {
        std::uint32_t at = q.row_begin[source];
        for (std::uint32_t i = net.row_begin[source]; i < net.row_begin[source + 1]; ++i) {
            const FloatSynapse& f = net.synapses[i];
            const auto [p, index] = place[f.target];
            const bool cuba = is_cuba(net.populations[p]);
            const double lsb = std::ldexp(1.0, a.weight_shift - a.v_frac - (cuba ? a.u_shift : 0));
            const double weight = f.weight * gain(net.populations[p], index, options.dt);
            const auto delay = static_cast<std::uint16_t>(std::lround(f.delay / options.dt) +
                                                          (f.recurrent ? 1 : 0));
            largest_weight = std::max(largest_weight, std::abs(weight) / lsb);
            const bool kept = at < q.row_begin[source + 1] && q.synapses[at].target == f.target &&
                              q.synapses[at].delay == delay;
            const double value = kept ? q.synapses[at].weight * lsb : 0.0;
            CHECK(std::abs(value - weight) <= 0.5 * lsb * (1.0 + 1e-9));
            if (kept) CHECK(q.synapses[at].weight != 0);
            at += kept ? 1 : 0;
        }
        CHECK(at == q.row_begin[source + 1]);
    }
    // Used as well as the widths allow: nothing is clipped, and doubling every weight would clip
    // unless v itself is too coarse to hold finer ones.
    CHECK(largest_weight <= std::ldexp(1.0, a.weight_bits - 1) - 0.5);
    for (const auto& row : out.report.rows) CHECK(row.weights_clipped == 0);
}

TEST_CASE("golden/quantise: the report states the largest and the mean error", "[golden][unit]") {
    auto p = population("n", NeuronKind::If, 3);
    p.r.assign(3, 1000.0);  // times dt = 1e-3: weights are in units of v
    p.v_threshold = {1.0, 2.0, 1.3};
    FloatNetwork net = one_population(p);
    net.synapses[0].weight = 1.0;
    net.synapses[1].weight = 0.3;
    net.synapses[2].weight = 0.01;
    QuantiseOptions options;
    options.choose_scale = false;
    options.arithmetic.v_frac = 4;
    options.arithmetic.weight_shift = 1;  // a weight of one LSB is 1/8
    options.arithmetic.weight_bits = 4;   // at most 7/8
    const Quantised out = must(net, options);
    const auto& row = out.report.rows.at(0);
    CHECK(row.label == "n");
    CHECK(row.weights == 3);
    CHECK(row.weights_clipped == 1);
    CHECK(row.weights_zeroed == 1);
    CHECK_THAT(row.max_weight_error, WithinAbs(0.125, 1e-12));
    const double rms = std::sqrt((0.125 * 0.125 + 0.05 * 0.05 + 0.01 * 0.01) / 3.0);
    CHECK_THAT(row.rms_weight_error, WithinRel(rms, 1e-9));
    CHECK_THAT(row.max_threshold_error, WithinAbs(1.3125 - 1.3, 1e-12));
    CHECK_THAT(row.saturation_margin, WithinRel(32767.0 / 32.0, 1e-12));
    REQUIRE(out.network.synapses.size() == 2);
    CHECK(out.network.synapses[0].weight == 7);
    CHECK(out.network.synapses[1].weight == 2);
    CHECK(out.report.v_frac == 4);
    CHECK(out.report.weight_shift == 1);
}

TEST_CASE("golden/quantise: ties go to the even number", "[golden][unit]") {
    auto p = population("n", NeuronKind::If, 4);
    p.r.assign(4, 1000.0);
    p.v_reset = {0.5, 1.5, 2.5, -0.5};
    p.v_threshold.assign(4, 100.0);
    QuantiseOptions options;
    options.choose_scale = false;
    const Quantised out = must(one_population(p), options);
    CHECK(out.network.neurons[0].v_reset == 0);
    CHECK(out.network.neurons[1].v_reset == 2);
    CHECK(out.network.neurons[2].v_reset == 2);
    CHECK(out.network.neurons[3].v_reset == 0);
}

TEST_CASE("golden/quantise: known decay factors are exact", "[golden][unit]") {
    auto p = population("n", NeuronKind::CubaLif, 1);
    p.tau_mem = {0.016};
    p.tau_syn = {0.004};
    QuantiseOptions options;
    options.arithmetic.leak_mode = GENERATE(LeakMode::Shift, LeakMode::Multiply);
    const bool shift = options.arithmetic.leak_mode == LeakMode::Shift;
    const Quantised out = must(one_population(p), options);
    CHECK(out.network.neurons[0].leak == (shift ? 4U : 4096U - 256U));
    CHECK(out.network.neurons[0].u_decay == (shift ? 2U : 4096U - 1024U));
    CHECK(out.report.rows[0].max_leak_error == 0.0);
    p.kind = NeuronKind::If;
    const Quantised none = must(one_population(p), options);
    CHECK(none.network.neurons[0].leak == (shift ? 0U : 4096U));
}

TEST_CASE("golden/quantise: a neuron without memory loses all of v", "[golden][unit]") {
    auto p = population("n", NeuronKind::Lif, 1);
    p.tau_mem = {0.0};
    QuantiseOptions options;
    options.arithmetic.leak_mode = LeakMode::Multiply;
    const Quantised out = must(one_population(p, 0.75), options);
    CHECK(out.network.neurons[0].leak == 0);
    CHECK_THAT(
        std::ldexp(out.network.synapses[0].weight, out.report.weight_shift - out.report.v_frac),
        WithinAbs(0.75, 0.01));
    options.arithmetic.leak_mode = LeakMode::Shift;
    const auto refused = quantise(one_population(p), options);
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().text(), ContainsSubstring("'n'") && ContainsSubstring("multiply"));
}

TEST_CASE("golden/quantise: an accumulator that wraps gets room for every source at once",
          "[golden][unit]") {
    // 256 sources of weight 1 against a threshold of 1: 8 bits above it.
    FloatNetwork net;
    net.ports = {{"in", 0, 256}};
    auto p = population("n", NeuronKind::If, 1);
    p.r = {1000.0};
    net.populations = {p};
    net.row_begin = {0};
    for (std::uint32_t i = 0; i < 256; ++i) {
        net.synapses.push_back({0, 1.0, 0.0, false});
        net.row_begin.push_back(i + 1);
    }
    net.row_begin.push_back(256);
    QuantiseOptions options;
    options.arithmetic.acc_bits = 20;
    options.arithmetic.acc_overflow = Overflow::Wrap;
    const Quantised wide = must(net, options);
    CHECK(wide.report.rows[0].input_margin >= 1.0);
    CHECK(wide.report.notes.empty());
    // Where weights would lose bits, they come first, and the report says so.
    options.arithmetic.acc_bits = 12;
    const Quantised narrow = must(net, options);
    CHECK(narrow.report.rows[0].max_weight_error == 0.0);
    CHECK(narrow.report.rows[0].input_margin < 1.0);
    REQUIRE(narrow.report.notes.size() == 1);
    CHECK_THAT(narrow.report.notes[0], ContainsSubstring("'n'") && ContainsSubstring("wrap"));
}

TEST_CASE("golden/quantise: what does not fit is an error that names the population",
          "[golden][unit]") {
    auto p = population("name", NeuronKind::Lif, 1);
    QuantiseOptions options;
    options.arithmetic.delay_slots = 4;
    const auto refused = [&](const FloatNetwork& net, const std::string& text) {
        const auto result = quantise(net, options);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Errc::BadConfig);
        CHECK_THAT(result.error().text(), ContainsSubstring("'name'") && ContainsSubstring(text));
    };
    SECTION("refractory period") {
        p.refractory = 0.256;
        refused(one_population(p), "256 timesteps");
        p.refractory = 0.255;
        CHECK(quantise(one_population(p), options));
    }
    SECTION("delay") {
        FloatNetwork net = one_population(p);
        net.synapses[0].delay = 0.004;
        refused(net, "from 'in' is 4 timesteps");
        net.synapses[0].delay = 0.003;
        CHECK(quantise(net, options));
        net.synapses[0].recurrent = true;
        refused(net, "with the one of its cycle");
    }
    SECTION("time constant") {
        p.tau_mem = {0.0005};
        refused(one_population(p), "shorter than the timestep");
        p.tau_mem = {-1.0};
        refused(one_population(p), "tau_mem");
    }
    SECTION("threshold") {
        options.choose_scale = false;
        p.v_threshold = {40000.0};
        refused(one_population(p), "threshold of 40000");
        options.choose_scale = true;
        CHECK(quantise(one_population(p), options));
    }
    SECTION("thresholds too far apart") {
        FloatNetwork net = one_population(population("large", NeuronKind::Lif, 1));
        net.populations[0].v_threshold = {1e6};
        net.populations.push_back(p);
        net.row_begin.push_back(net.row_begin.back());
        refused(net, "rounds to 0");
    }
    SECTION("bias") {
        options.choose_scale = false;
        p.bias = {1e9};
        refused(one_population(p), "bias");
    }
    SECTION("not a number") {
        p.r = {std::numeric_limits<double>::quiet_NaN()};
        refused(one_population(p), "finite");
    }
    SECTION("arrays of another size") {
        p.v_reset.clear();
        refused(one_population(p), "0 values for 1 neurons");
    }
}

TEST_CASE("golden/quantise: a network that is not one is refused", "[golden][unit]") {
    FloatNetwork net = one_population(population("n", NeuronKind::Lif, 2));
    QuantiseOptions options;
    SECTION("dt") { options.dt = GENERATE(0.0, -1.0, std::nan("")); }
    SECTION("widths") { options.arithmetic.v_bits = GENERATE(0, 1, 33, 1000); }
    SECTION("weight width") { options.arithmetic.weight_bits = 40; }
    SECTION("headroom") { options.headroom_bits = GENERATE(-1, 15); }
    SECTION("target") { net.synapses[1].target = 2; }
    SECTION("rows too short") { net.row_begin.pop_back(); }
    SECTION("rows not ascending") { net.row_begin = {0, 2, 0, 2}; }
    SECTION("no rows") { net.row_begin.clear(); }
    SECTION("negative delay") { net.synapses[0].delay = -0.001; }
    SECTION("infinite weight") { net.synapses[0].weight = HUGE_VAL; }
    SECTION("no neurons") {
        net.populations.clear();
        net.synapses.clear();
        net.row_begin = {0, 0};
    }
    const auto result = quantise(net, options);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Errc::BadConfig);
}

TEST_CASE("golden/quantise: mixed synapses share one weight width", "[golden][unit]") {
    // Weights into the CUBA population are 64 times smaller once folded: u gets the finer scale.
    FloatNetwork net = one_population(population("plain", NeuronKind::If, 1));
    net.populations[0].r = {1000.0};
    auto cuba = population("cuba", NeuronKind::CubaLif, 1);
    cuba.tau_mem = {0.008};
    cuba.tau_syn = {0.008};
    net.populations.push_back(cuba);
    net.synapses.push_back({1, 1.0, 0.0, false});
    net.row_begin = {0, 2, 2, 2};
    QuantiseOptions options;
    options.arithmetic.u_bits = 24;
    const Quantised out = must(net, options);
    CHECK(out.report.u_shift == 6);
    CHECK(out.network.synapses[0].weight == out.network.synapses[1].weight);
    CHECK(out.network.synapses[0].weight == 64);
    CHECK(out.report.rows[0].max_weight_error == 0.0);
    CHECK(out.report.rows[1].max_weight_error == 0.0);
}

// SPDX-License-Identifier: Apache-2.0
// How the cost of a timestep grows with neurons, synapses and activity: golden alone and lockstep
// on rtl/core/snn_core. Prints CSV:
// series,neurons,synapses,activity,golden_us,lockstep_us,clocks_per_step (microseconds per
// timestep).
//   lockstep_growth [--steps N] [--only-large]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "spikelock/base/random.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/stimulus.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/sim/dut_source.hpp"

namespace {
using namespace spikelock;

constexpr std::uint32_t kAxons = 64;

template <typename T>
T need(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "lockstep_growth: %s\n", result.error().text().c_str());
        std::exit(1);
    }
    return std::move(*result);
}

/// N recurrent LIF neurons with `fan_out` random synapses each, and as many for each axon.
golden::Network make_network(std::uint32_t n, std::uint32_t fan_out, std::int32_t threshold) {
    golden::Network net;
    net.name = "growth";
    net.arithmetic.leak_mode = golden::LeakMode::Shift;
    net.ports = {{"input", 0, kAxons}};
    net.populations = {{"lif", 0, n}};
    golden::NeuronParams p;
    p.threshold = threshold;
    p.leak = 3;
    net.neurons.assign(n, p);
    const CounterRandom random(1, n);
    net.row_begin = {0};
    for (std::uint32_t s = 0; s < kAxons + n; ++s) {
        for (std::uint32_t k = 0; k < fan_out; ++k) {
            const std::int32_t weight = static_cast<std::int32_t>(random.below(101, s, 2 * k)) - 50;
            net.synapses.push_back({random.below(n, s, 2 * k + 1),
                                    static_cast<std::int16_t>(weight),
                                    static_cast<std::uint16_t>(s < kAxons ? 0 : 1)});
        }
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    return net;
}

struct Speed {
    double activity = 0.0;
    double us_per_step = 0.0;
};

Speed run_golden(const golden::Network& net, const trace::Stimulus& stimulus) {
    auto source = need(golden::GoldenSource::create(net));
    std::uint64_t spikes = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::uint64_t first = 0; first < stimulus.n_steps();) {
        const auto count =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(256, stimulus.n_steps() - first));
        if (!source->submit(stimulus.block(first, count))) std::exit(1);
        auto got = need(source->read(count));
        const auto& block = std::get<trace::BlockView>(got);
        for (const std::uint64_t word : block.spikes)
            spikes += static_cast<std::uint64_t>(__builtin_popcountll(word));
        first += block.n_steps;
        if (block.n_steps != count) std::exit(1);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const auto steps = static_cast<double>(stimulus.n_steps());
    return {static_cast<double>(spikes) / (steps * net.n_neurons()), 1e6 * seconds / steps};
}

/// Threshold at which the network fires in about this share of neuron-timesteps.
std::int32_t threshold_for(std::uint32_t n, std::uint32_t fan_out, double activity,
                           const trace::Stimulus& probe) {
    std::int32_t low = 1;
    std::int32_t high = 30000;
    while (high - low > std::max(1, low / 50)) {
        const std::int32_t middle = low + (high - low) / 2;
        (run_golden(make_network(n, fan_out, middle), probe).activity > activity ? low : high) =
            middle;
    }
    return high;
}

std::unique_ptr<trace::Stimulus> poisson(std::uint64_t steps) {
    golden::PoissonOptions options;
    options.axons = kAxons;
    options.probability = 0.05;
    options.n_steps = steps;
    return need(golden::make_poisson_stimulus(options));
}
}  // namespace

int main(int argc, char** argv) {
    std::uint64_t steps = 2000;
    bool only_large = false;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--steps") == 0 && i + 1 < argc)
            steps = std::strtoull(argv[++i], nullptr, 10);
        only_large = only_large || std::strcmp(argv[i], "--only-large") == 0;
    }
    struct Point {
        const char* series;
        std::uint32_t neurons;
        std::uint32_t fan_out;
        double activity;
    };
    std::vector<Point> points;
    if (!only_large)
        for (const std::uint32_t n : {64U, 256U}) points.push_back({"neurons", n, 32, 0.05});
    points.push_back({"neurons", 1024, 32, 0.05});
    for (const std::uint32_t fan_out : {4U, 16U, 60U})
        points.push_back({"synapses", 1024, fan_out, 0.05});
    for (const double activity : {0.01, 0.1, 0.3})
        points.push_back({"activity", 1024, 32, activity});

    const auto probe = poisson(300);
    const auto stimulus = poisson(steps);
    std::printf("series,neurons,synapses,activity,golden_us,lockstep_us,clocks_per_step\n");
    for (const Point& point : points) {
        const golden::Network net =
            make_network(point.neurons, point.fan_out,
                         threshold_for(point.neurons, point.fan_out, point.activity, *probe));
        const manifest::Manifest m = need(manifest::load_manifest(
            "examples/010_digits/cosim.toml",
            {"core.parameters.Neurons=" + std::to_string(point.neurons),
             "core.parameters.Axons=" + std::to_string(kAxons),
             "core.parameters.Synapses=" + std::to_string(point.neurons * 64),
             "core.parameters.VWidth=" + std::to_string(net.arithmetic.v_bits),
             "core.parameters.AccWidth=" + std::to_string(net.arithmetic.acc_bits)}));
        sim::BuildOptions build;
        build.cache_dir = std::filesystem::absolute("build/bench").string();
        const sim::BuiltHost host = need(sim::build_host(m, build));
        const Speed golden_speed = run_golden(net, *stimulus);
        auto golden = need(golden::GoldenSource::create(net));
        auto dut = need(sim::DutSource::create(host, m, net, {}));
        const std::uint64_t clocks = dut->clocks();
        const lockstep::Outcome outcome = need(lockstep::run(*golden, *dut, stimulus.get(), {}));
        if (outcome.verdict != lockstep::Verdict::Match) {
            std::fprintf(stderr, "lockstep_growth: not a MATCH: %s\n", outcome.reason.c_str());
            return 1;
        }
        const auto n_steps = static_cast<double>(steps);
        std::printf("%s,%u,%zu,%.4f,%.3f,%.2f,%.0f\n", point.series, point.neurons,
                    net.synapses.size(), golden_speed.activity, golden_speed.us_per_step,
                    1e6 * outcome.seconds / n_steps,
                    static_cast<double>(dut->clocks() - clocks) / n_steps);
        std::fflush(stdout);
    }
}

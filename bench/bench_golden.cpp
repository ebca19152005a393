// SPDX-License-Identifier: Apache-2.0
// Neuron-updates and synaptic events per second of the golden alone, one core.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "spikelock/base/random.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace {

using namespace spikelock;
using namespace spikelock::golden;

constexpr std::uint32_t kBlock = 1024;

/// LIF neurons that currents drive; no synapses.
Network lif_bank(std::uint32_t neurons, int v_bits) {
    Network net;
    net.name = "lif_bank";
    net.arithmetic.v_bits = v_bits;
    net.arithmetic.acc_bits = 16;
    net.populations = {{"lif", 0, neurons}};
    const CounterRandom random(1, 0);
    for (std::uint32_t n = 0; n < neurons; ++n)
        net.neurons.push_back(
            {.threshold = 4000, .leak = 4, .refractory = random.below(3, n), .spiking = true});
    net.row_begin.assign(std::size_t{neurons} + 1, 0);
    return net;
}

/// Axons to hidden neurons to outputs, all dense, and the hidden ones to themselves a step later.
Network layers(std::uint32_t axons, std::uint32_t hidden, std::uint32_t outputs, double density) {
    Network net;
    net.name = "layers";
    net.arithmetic.leak_mode = LeakMode::Multiply;
    net.ports = {{"in", 0, axons}};
    net.populations = {{"hidden", 0, hidden}, {"out", hidden, hidden + outputs}};
    net.neurons.assign(hidden + outputs, {.threshold = 300, .leak = 3800});
    net.row_begin = {0};
    const CounterRandom random(2, 0);
    for (std::uint32_t row = 0; row < axons + hidden + outputs; ++row) {
        const bool axon = row < axons;
        const bool from_hidden = !axon && row < axons + hidden;
        for (std::uint32_t n = 0; n < hidden + outputs; ++n) {
            const bool to_hidden = n < hidden;
            if (!(axon && to_hidden) && !from_hidden) continue;
            if (random.uniform(row, 2 * n) >= density) continue;
            const auto weight = static_cast<std::int16_t>(random.below(100, row, 2 * n + 1)) - 50;
            net.synapses.push_back({n, static_cast<std::int16_t>(weight),
                                    static_cast<std::uint16_t>(from_hidden && to_hidden ? 1 : 0)});
        }
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    return net;
}

/// Runs a stimulus in blocks, over and over; submitting is inside the timed region.
void run(benchmark::State& state, const Network& net, Kernel kernel,
         const trace::Stimulus& stimulus) {
    auto created = GoldenSource::create(net, {kernel});
    if (!created) {
        state.SkipWithError(created.error().text().c_str());
        return;
    }
    GoldenSource& golden = **created;
    trace::StimulusBlock block = stimulus.block(0, kBlock);
    std::uint64_t synaptic_events = 0;
    std::uint64_t spikes = 0;
    std::uint64_t t = 0;
    for (auto _ : state) {
        block.first = t;
        t += kBlock;
        if (!golden.submit(block)) state.SkipWithError("submit failed");
        auto result = golden.read(kBlock);
        const auto& view = std::get<trace::BlockView>(*result);
        benchmark::DoNotOptimize(view.spikes.data());
        state.PauseTiming();
        for (const trace::InputEvent& e : block.events)
            synaptic_events += net.row_of_axon(e.address).size();
        const std::size_t words = golden.shape().spike_words();
        for (std::size_t w = 0; w < view.spikes.size(); ++w) {
            for (std::uint64_t bits = view.spikes[w]; bits != 0; bits &= bits - 1) {
                ++spikes;
                synaptic_events +=
                    net.row_of_neuron(static_cast<std::uint32_t>(w % words * 64) +
                                      static_cast<std::uint32_t>(__builtin_ctzll(bits)))
                        .size();
            }
        }
        state.ResumeTiming();
    }
    const auto rate = benchmark::Counter::kIsRate;
    const auto steps = static_cast<double>(t);
    state.counters["timesteps/s"] = {steps, rate};
    state.counters["updates/s"] = {steps * net.n_neurons(), rate};
    state.counters["synaptic_events/s"] = {static_cast<double>(synaptic_events), rate};
    state.counters["activity"] = static_cast<double>(spikes) / (steps * net.n_neurons());
    state.SetLabel(golden.kernel());
}

void lif(benchmark::State& state, Kernel kernel, std::uint32_t neurons, int v_bits) {
    const Network net = lif_bank(neurons, v_bits);
    CurrentOptions options;
    options.current.assign(neurons, 300);
    options.noise = 100;
    options.n_steps = kBlock;
    run(state, net, kernel, **make_current_stimulus(std::move(options)));
}

void network(benchmark::State& state, std::uint32_t hidden, double density) {
    const Network net = layers(64, hidden, 10, density);
    run(state, net, Kernel::Auto,
        **make_poisson_stimulus({.axons = 64, .probability = 0.1, .n_steps = kBlock}));
}

void poisson(benchmark::State& state, double probability) {
    constexpr std::uint32_t kAxons = 1024;
    const auto stimulus = make_poisson_stimulus(
        {.axons = kAxons, .probability = probability, .n_steps = ~std::uint64_t{0}});
    std::uint64_t t = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize((*stimulus)->block(t, 64).events.data());
        t += 64;
    }
    state.counters["axon_steps/s"] = {static_cast<double>(t) * kAxons, benchmark::Counter::kIsRate};
}

}  // namespace

int main(int argc, char** argv) {
    for (const Kernel kernel : available_kernels()) {
        const std::string name(name_of(kernel));
        for (const std::uint32_t neurons : {256U, 1024U, 16384U})
            benchmark::RegisterBenchmark(
                ("golden/lif_" + name + "/" + std::to_string(neurons)).c_str(),
                [=](benchmark::State& state) { lif(state, kernel, neurons, 16); });
        benchmark::RegisterBenchmark(("golden/lif_32_bits_" + name + "/256").c_str(),
                                     [=](benchmark::State& state) { lif(state, kernel, 256, 32); });
    }
    // What this machine's golden runs at, whichever kernel that is: bench/entries.toml names it.
    benchmark::RegisterBenchmark(
        "golden/lif/1024", [](benchmark::State& state) { lif(state, Kernel::Auto, 1024, 16); });
    for (const std::uint32_t hidden : {128U, 1014U}) {
        benchmark::RegisterBenchmark(("golden/dense/" + std::to_string(hidden)).c_str(),
                                     [=](benchmark::State& state) { network(state, hidden, 1.0); });
        benchmark::RegisterBenchmark(("golden/sparse/" + std::to_string(hidden)).c_str(),
                                     [=](benchmark::State& state) { network(state, hidden, 0.1); });
    }
    for (const double probability : {0.01, 0.1, 0.5})
        benchmark::RegisterBenchmark(
            ("poisson/p_" + std::to_string(probability).substr(0, 4) + "/1024").c_str(),
            [=](benchmark::State& state) { poisson(state, probability); });
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Neuron-updates per second of the golden under descriptions, one core. An event-driven core has an
// update for each neuron that an event reaches.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/random.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace {

using namespace spikelock;
using namespace spikelock::golden;

constexpr std::uint32_t kBlock = 256;
constexpr std::uint32_t kNeurons = 1024;

/// LIF neurons; of an event-driven core with a crossbar: each axon reaches all of them.
Network bank(bool crossbar) {
    Network net;
    net.name = "bank";
    net.arithmetic.acc_bits = 18;
    net.populations = {{"all", 0, kNeurons}};
    net.ports = {{"in", 0, crossbar ? 64U : 1U}};
    net.neurons.assign(kNeurons, {.threshold = 4000, .leak = 4, .refractory = 2});
    net.row_begin.push_back(0);
    const CounterRandom random(3, 0);
    for (std::uint32_t axon = 0; axon < net.n_axons(); ++axon) {
        for (std::uint32_t n = 0; crossbar && n < kNeurons; ++n)
            net.synapses.push_back({n, static_cast<std::int16_t>(random.below(200, axon, n)), 0});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    net.row_begin.resize(net.row_begin.size() + kNeurons, net.row_begin.back());
    for (Synapse& s : net.synapses) s.weight = static_cast<std::int16_t>(s.weight - 80);
    net.arithmetic.weight_bits = 9;
    return net;
}

std::unique_ptr<trace::StepSource> source_of(benchmark::State& state, const Network& net,
                                             std::string_view toml) {
    Description description = describe(net);
    const auto settings = settings_from_text(toml);
    const Status applied = settings ? apply(*settings, description) : Status(settings.error());
    if (!applied) {
        state.SkipWithError(applied.error().text().c_str());
        return nullptr;
    }
    auto source = DescribedSource::create(net, description);
    if (!source) {
        state.SkipWithError(source.error().text().c_str());
        return nullptr;
    }
    state.SetLabel((*source)->kernel());
    return std::move(*source);
}

void run(benchmark::State& state, const std::string& toml, bool crossbar) {
    const Network net = bank(crossbar);
    const auto source = source_of(state, net, toml);
    if (!source) return;
    Result<std::unique_ptr<trace::Stimulus>> stimulus =
        crossbar ? make_poisson_stimulus({.axons = 64, .probability = 0.05, .n_steps = kBlock})
                 : make_current_stimulus({.current = std::vector<std::int32_t>(kNeurons, 260),
                                          .noise = 900,
                                          .n_steps = kBlock});
    if (!stimulus) {
        state.SkipWithError(stimulus.error().text().c_str());
        return;
    }
    trace::StimulusBlock block = (*stimulus)->block(0, kBlock);
    block.begins.clear();
    std::uint64_t t = 0;
    std::uint64_t updates = 0;
    for (auto _ : state) {
        block.first = t;
        t += kBlock;
        if (!source->submit(block)) state.SkipWithError("submit failed");
        auto result = source->read(kBlock);
        if (!result) {
            state.SkipWithError(result.error().text().c_str());
            return;
        }
        benchmark::DoNotOptimize(std::get<trace::BlockView>(*result).spikes.data());
        // A tick updates all neurons, and so does each event of a crossbar.
        updates += (kBlock + (crossbar ? block.events.size() : 0)) * kNeurons;
    }
    state.counters["updates/s"] = {static_cast<double>(updates), benchmark::Counter::kIsRate};
}

}  // namespace

int main(int argc, char** argv) {
    struct Case {
        const char* name;
        const char* toml;
        bool crossbar;
    };
    static constexpr Case kCases[] = {
        {"described/lif/1024", "", false},
        {"described/lif_lfsr/1024",
         "leak.rounding = \"stochastic\"\n"
         "noise = [{bits = 16, taps = 0xb400, form = \"galois\", direction = \"right\", "
         "advance = \"update\", width = 8, use = \"rounding\"}]\n",
         false},
        {"described/adaptive_lif/1024",
         "model = \"adaptive_lif\"\nadaptation.jump = 100\nadaptation.leak.kind = \"shift\"\n"
         "adaptation.leak.amount = 5\nleak.rounding = \"half_away\"\n",
         false},
        {"described/izhikevich/1024",
         "model = \"izhikevich\"\nv.bits = 18\nizhikevich.bits = 18\n"
         "izhikevich.square_shift = 16\nizhikevich.square_bits = 18\n"
         "izhikevich.quadratic.factor = 4\nizhikevich.linear.factor = 5\n"
         "izhikevich.a = {factor = 1311, frac = 16}\n"
         "izhikevich.b = {factor = 13107, frac = 16}\nizhikevich.dt_shift = 4\n"
         "izhikevich.constant = 91750\nthreshold.value = 19661\nreset.value = -30000\n",
         false},
        {"described/crossbar/1024",
         "semantics = \"event\"\nleak.kind = \"constant\"\nreset.kind = \"zero\"\n", true},
    };
    for (const Case& c : kCases)
        benchmark::RegisterBenchmark(
            c.name, [&c](benchmark::State& state) { run(state, c.toml, c.crossbar); });
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The engine over two sources in memory against memcmp of the same bytes: what lockstep costs when
// golden and DUT cost nothing.
#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "spikelock/base/random.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace {
using namespace spikelock;

/// 256 neurons with spikes, a 16-bit and a 32-bit field.
trace::Shape shape() {
    trace::Shape shape;
    shape.n_neurons = 256;
    shape.fields.resize(2);
    shape.fields[0].name = "i_syn";
    shape.fields[1].name = "v";
    shape.fields[1].bits = 32;
    shape.fields[1].bytes = 4;
    return shape;
}

struct Recording {
    explicit Recording(std::uint32_t steps) : n_steps(steps) {
        const CounterRandom random(1, 0);
        spikes.resize(std::size_t{n_steps} * 4);
        for (std::size_t i = 0; i < spikes.size(); ++i)
            spikes[i] = random.bits(i) & random.bits(i, 1);
        for (std::size_t f = 0; f < 2; ++f) {
            fields[f].resize(std::size_t{n_steps} * 256 * (f == 0 ? 2 : 4));
            for (std::size_t i = 0; i + 8 <= fields[f].size(); i += 8) {
                const std::uint64_t bits = random.bits(i, 2 + f);
                std::memcpy(fields[f].data() + i, &bits, 8);
            }
        }
    }
    std::size_t bytes() const { return spikes.size() * 8 + fields[0].size() + fields[1].size(); }

    std::uint32_t n_steps;
    std::vector<std::uint64_t> spikes;
    std::vector<std::byte> fields[2];
};

/// Hands out a recording as views, at most `most_block` timesteps at a time.
class Player : public trace::StepSource {
public:
    Player(const Recording& recording, std::uint32_t most_block)
        : recording_(recording), shape_(::shape()), most_block_(most_block) {}
    const trace::Shape& shape() const override { return shape_; }
    Status submit(const trace::StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return 0; }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t most) override {
        using Reply = std::variant<trace::BlockView, trace::SourceEnd>;
        const std::uint32_t count = std::min({most, most_block_, recording_.n_steps - next_});
        if (count == 0) return Reply{trace::SourceEnd{}};
        trace::BlockView view;
        view.first = next_;
        view.n_steps = count;
        view.spikes =
            std::span(recording_.spikes).subspan(std::size_t{next_} * 4, std::size_t{count} * 4);
        for (std::size_t f = 0; f < 2; ++f) {
            const std::size_t row = f == 0 ? 512 : 1024;
            view.fields.emplace_back(
                std::span(recording_.fields[f]).subspan(next_ * row, count * row));
        }
        next_ += count;
        return Reply{view};
    }

private:
    const Recording& recording_;
    trace::Shape shape_;
    std::uint32_t most_block_;
    std::uint32_t next_ = 0;
};

const Recording& left() {
    static const Recording recording(40000);
    return recording;
}
const Recording& right() {
    static const Recording recording(40000);
    return recording;
}

void rates(benchmark::State& state) {
    const auto runs = static_cast<double>(state.iterations());
    state.counters["bytes/s"] =
        benchmark::Counter(runs * static_cast<double>(left().bytes()), benchmark::Counter::kIsRate);
    state.counters["timesteps/s"] =
        benchmark::Counter(runs * left().n_steps, benchmark::Counter::kIsRate);
}

void memcmp_same_bytes(benchmark::State& state) {
    const Recording& a = left();
    const Recording& b = right();
    for (auto _ : state) {
        int difference = std::memcmp(a.spikes.data(), b.spikes.data(), a.spikes.size() * 8);
        for (std::size_t f = 0; f < 2; ++f)
            difference |= std::memcmp(a.fields[f].data(), b.fields[f].data(), a.fields[f].size());
        benchmark::DoNotOptimize(difference);
        if (difference != 0) state.SkipWithError("the recordings differ");
    }
    rates(state);
}

/// @param masked  the low bit of v is masked, and differs in every value
void engine(benchmark::State& state, std::uint32_t most_block, bool masked, bool differs) {
    const Recording& a = left();
    Recording changed(1);
    if (differs) {
        changed = right();
        for (std::size_t i = 0; i < changed.fields[1].size(); i += 4)
            changed.fields[1][i] ^= std::byte{1};
    }
    const Recording& b = differs ? changed : right();
    lockstep::Options options;
    if (masked) options.masks.push_back({.field = "v", .low_bits = 1});
    for (auto _ : state) {
        Player expected(a, most_block);
        Player actual(b, most_block);
        const auto outcome = lockstep::run(expected, actual, nullptr, options);
        if (!outcome || outcome->verdict != lockstep::Verdict::Match ||
            outcome->values_compared != std::uint64_t{3} * 256 * a.n_steps)
            state.SkipWithError("the engine did not find a match");
    }
    rates(state);
}
}  // namespace

BENCHMARK(memcmp_same_bytes)->Name("lockstep_engine/memcmp/256_neurons");
BENCHMARK_CAPTURE(engine, whole, 1U << 20U, false, false)
    ->Name("lockstep_engine/equal/256_neurons");
BENCHMARK_CAPTURE(engine, small, 100U, false, false)
    ->Name("lockstep_engine/blocks_of_100/256_neurons");
BENCHMARK_CAPTURE(engine, single, 1U, false, false)
    ->Name("lockstep_engine/blocks_of_1/256_neurons");
BENCHMARK_CAPTURE(engine, masked, 1U << 20U, true, true)
    ->Name("lockstep_engine/masked_bits_differ/256_neurons");
BENCHMARK_MAIN();

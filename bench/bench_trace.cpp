// SPDX-License-Identifier: Apache-2.0
// Speed of comparing, recording and reading traces. Inputs come from a seed; results are checked
// before timing.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "spikelock/base/assert.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/trace/block_compare.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::trace;

constexpr std::size_t kSide = 512ULL << 20;

// Two equal sides whose last row differs in the last element; made once.
struct Sides {
    std::vector<std::uint64_t> a = std::vector<std::uint64_t>(kSide / 8);
    std::vector<std::uint64_t> b;
    Sides() {
        const CounterRandom random(1, 1);
        for (std::size_t i = 0; i < a.size(); ++i) a[i] = random.bits(i);
        b = a;
        b.back() ^= std::uint64_t{1} << 63;
    }
};
const Sides& sides() {
    static const Sides made;
    return made;
}

void memcmp_baseline(benchmark::State& state) {
    const Sides& s = sides();
    for (auto _ : state) {
        benchmark::DoNotOptimize(std::memcmp(s.a.data(), s.b.data(), kSide));
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSide));
}

// Spikes of 256 neurons: rows of 4 words, located to the bit.
void first_divergence_spikes(benchmark::State& state) {
    const Sides& s = sides();
    constexpr std::size_t kWords = 4;
    const auto find = [&] {
        const auto row =
            compare_rows(std::as_bytes(std::span(s.a)), std::as_bytes(std::span(s.b)), kWords * 8);
        return first_bit(std::span(s.a).subspan(*row * kWords, kWords),
                         std::span(s.b).subspan(*row * kWords, kWords));
    };
    SPIKELOCK_ASSERT(find() == 255U);
    for (auto _ : state) benchmark::DoNotOptimize(find());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSide));
}

// Potentials of 256 neurons, 16 bits each, located to the neuron.
void first_divergence_values(benchmark::State& state) {
    const Sides& s = sides();
    constexpr std::size_t kRow = 512;
    const auto find = [&] {
        const auto a = std::as_bytes(std::span(s.a));
        const auto b = std::as_bytes(std::span(s.b));
        const auto row = compare_rows(a, b, kRow);
        return first_element(a.subspan(*row * kRow, kRow), b.subspan(*row * kRow, kRow), 2);
    };
    SPIKELOCK_ASSERT(find() == 255U);
    for (auto _ : state) benchmark::DoNotOptimize(find());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSide));
}

// Leaky integrators under random input: what potentials and currents of a network look like.
struct Network {
    Shape shape;
    std::vector<std::uint64_t> spikes;
    std::vector<std::int16_t> i_syn;
    std::vector<std::int16_t> v;
    static constexpr std::uint32_t kSteps = 4096;

    Network(std::uint32_t neurons, bool quiet) {
        shape.n_neurons = neurons;
        shape.dt = 1e-3;
        shape.populations = {{"all", 0, neurons}};
        shape.fields = {{"i_syn", FieldClass::Input, 16, true, false, 8, 2},
                        {"v", FieldClass::State, 16, true, false, 8, 2}};
        const std::size_t words = shape.spike_words();
        spikes.resize(kSteps * words);
        const CounterRandom random(2, neurons);
        std::vector<std::int32_t> state(neurons, 0);
        for (std::uint32_t t = 0; t < kSteps; ++t) {
            for (std::uint32_t n = 0; n < neurons; ++n) {
                std::int32_t input = 0;
                if (quiet) {
                    // A few synapses of 8-bit weights; samples of 32 timesteps start anew.
                    if (t % 32 == 0) state[n] = 0;
                    const std::uint32_t drive = random.below(100, t / 32, n);
                    for (std::uint32_t k = 0; k < 6; ++k) {
                        if (random.below(400, t, n * 8 + k) < drive) {
                            input += static_cast<std::int32_t>(random.below(255, n, k)) - 100;
                        }
                    }
                    input *= 4;
                } else {
                    input = static_cast<std::int32_t>(random.below(1024, t, n)) - 400;
                }
                std::int32_t next = state[n] - (state[n] >> 4) + input;
                if (next >= 1500) {
                    next = 0;
                    spikes[t * words + n / 64] |= std::uint64_t{1} << (n % 64);
                }
                state[n] = next;
                i_syn.push_back(static_cast<std::int16_t>(input));
                v.push_back(static_cast<std::int16_t>(next));
            }
        }
    }
    BlockView block(std::uint64_t first, std::uint32_t from, std::uint32_t steps) const {
        const std::size_t n = shape.n_neurons;
        BlockView view;
        view.first = first;
        view.n_steps = steps;
        view.spikes =
            std::span(spikes).subspan(from * shape.spike_words(), steps * shape.spike_words());
        for (const auto* field : {&i_syn, &v}) {
            view.fields.push_back(std::as_bytes(std::span(*field).subspan(from * n, steps * n)));
        }
        return view;
    }
    std::size_t bytes_per_step() const {
        return shape.spike_words() * 8 + std::size_t{shape.n_neurons} * 4;
    }
};

std::string temporary_file() {
    return (std::filesystem::temp_directory_path() /
            ("spikelock-bench-" + std::to_string(::getpid()) + ".h5"))
        .string();
}

void record_file(const Network& network, const std::string& path, std::uint32_t rounds, bool sonata,
                 std::uint64_t* stored) {
    auto writer = TraceWriter::create(path, network.shape, {.sonata = sonata});
    SPIKELOCK_ASSERT(writer);
    std::uint64_t t = 0;
    for (std::uint32_t r = 0; r < rounds; ++r) {
        for (std::uint32_t at = 0; at < Network::kSteps; at += 1024, t += 1024) {
            const Status ok = (*writer)->append(network.block(t, at, 1024));
            SPIKELOCK_ASSERT(ok);
        }
    }
    const Status closed = (*writer)->close();
    SPIKELOCK_ASSERT(closed);
    if (stored != nullptr) *stored = std::filesystem::file_size(path);
}

// Spikes, currents and potentials; the counters give the size beside 17 bytes a neuron and
// timestep.
void record(benchmark::State& state, std::uint32_t neurons, bool quiet, bool sonata) {
    const Network network(neurons, quiet);
    const std::string path = temporary_file();
    constexpr std::uint32_t kRounds = 16;
    std::uint64_t stored = 0;
    for (auto _ : state) record_file(network, path, kRounds, sonata, &stored);
    std::filesystem::remove(path);
    const std::uint64_t steps = std::uint64_t{kRounds} * Network::kSteps;
    std::uint64_t fired = 0;
    for (const std::uint64_t w : network.spikes) {
        fired += static_cast<std::uint64_t>(std::popcount(w));
    }
    state.SetBytesProcessed(state.iterations() *
                            static_cast<std::int64_t>(steps * network.bytes_per_step()));
    state.counters["share_of_17_bytes"] =
        static_cast<double>(stored) / (17.0 * static_cast<double>(steps * neurons));
    state.counters["fires"] = static_cast<double>(fired) /
                              (static_cast<double>(Network::kSteps) * static_cast<double>(neurons));
}

void read_back(benchmark::State& state) {
    const Network network(256, false);
    const std::string path = temporary_file();
    constexpr std::uint32_t kRounds = 16;
    record_file(network, path, kRounds, true, nullptr);
    std::uint64_t steps = 0;
    for (auto _ : state) {
        auto reader = open_trace(path);
        SPIKELOCK_ASSERT(reader);
        for (;;) {
            auto item = (*reader)->read(4096);
            SPIKELOCK_ASSERT(item);
            if (std::holds_alternative<SourceEnd>(*item)) break;
            const BlockView& block = std::get<BlockView>(*item);
            steps += block.n_steps;
            benchmark::DoNotOptimize(block.fields[1].front());
        }
    }
    std::filesystem::remove(path);
    state.SetBytesProcessed(static_cast<std::int64_t>(steps * network.bytes_per_step()));
}
}  // namespace

BENCHMARK(memcmp_baseline)->Name("memcmp/512MiB")->Unit(benchmark::kMillisecond);
BENCHMARK(first_divergence_spikes)
    ->Name("first_divergence/spikes/512MiB")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(first_divergence_values)
    ->Name("first_divergence/values/512MiB")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(record, noisy_256, 256, false, true)
    ->Name("record/256_noisy/65536_steps")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(record, noisy_256_bits, 256, false, false)
    ->Name("record/256_noisy_without_sonata/65536_steps")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(record, samples_106, 106, true, true)
    ->Name("record/106_samples/65536_steps")
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(record, samples_106_bits, 106, true, false)
    ->Name("record/106_samples_without_sonata/65536_steps")
    ->Unit(benchmark::kMillisecond);
BENCHMARK(read_back)->Name("read/256_noisy/65536_steps")->Unit(benchmark::kMillisecond);

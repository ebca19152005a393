// SPDX-License-Identifier: Apache-2.0
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "spikelock/base/hash.hpp"
#include "spikelock/base/random.hpp"

namespace {
void sha256(benchmark::State& state) {
    const spikelock::CounterRandom random(1, 1);
    std::string bytes(std::size_t{64} << 20, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(random.bits(i));
    spikelock::Sha256 check;
    check.update("abc");
    if (check.hex() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        state.SkipWithError("wrong digest");
    for (auto _ : state) {
        spikelock::Sha256 hash;
        hash.update(bytes);
        benchmark::DoNotOptimize(hash.hex());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(sha256)->Name("sha256/64MiB");

void counter_random(benchmark::State& state) {
    constexpr std::uint64_t kDraws = 1 << 20;
    const spikelock::CounterRandom random(1, 1);
    for (auto _ : state) {
        std::uint64_t all = 0;
        for (std::uint64_t i = 0; i < kDraws; ++i) all ^= random.bits(i);
        benchmark::DoNotOptimize(all);
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kDraws));
}
BENCHMARK(counter_random)->Name("counter_random/1Mi");
}  // namespace

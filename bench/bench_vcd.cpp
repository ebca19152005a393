// SPDX-License-Identifier: Apache-2.0
// libvcd on a dump of 256 potentials and spikes, made here: what the scan alone costs, and what it
// costs with every potential decoded. With `--few FILE` it reads two signals of a file instead, for
// bench/vcd_ratio.py.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <vector>

#include "spikelock/base/random.hpp"
#include "spikelock/bridge/vcd/reader.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge::vcd;

constexpr int kNeurons = 256;

std::string code(int n) {
    std::string text;
    for (;; n = n / 94 - 1) {
        text += static_cast<char>('!' + n % 94);
        if (n < 94) return text;
    }
}

/// A clock, spikes of one bit and potentials of 16, of which most change in each cycle.
const std::string& dump() {
    static const std::string text = [] {
        std::string t = "$timescale 1ns $end\n$scope module tb $end\n$var wire 1 ! clk $end\n";
        for (int n = 0; n < kNeurons; ++n) {
            t += "$var wire 16 " + code(1 + n) + " v" + std::to_string(n) + " [15:0] $end\n";
            t += "$var wire 1 " + code(1 + kNeurons + n) + " s" + std::to_string(n) + " $end\n";
        }
        t += "$upscope $end\n$enddefinitions $end\n";
        const CounterRandom random(1, 0);
        for (std::uint64_t step = 0; t.size() < (std::size_t{64} << 20); ++step) {
            t += "#" + std::to_string(10 * step) + "\n1!\n";
            for (int n = 0; n < kNeurons; ++n) {
                const std::uint64_t bits = random.bits(step, static_cast<std::uint64_t>(n));
                if (bits % 16 == 0) t += (bits & 16 ? "1" : "0") + code(1 + kNeurons + n) + "\n";
                if (bits % 8 == 1) continue;
                t += 'b';
                for (int i = 0; i < 16; ++i) t += (bits >> (20 + i) & 1) != 0 ? '1' : '0';
                t += " " + code(1 + n) + "\n";
            }
            t += "#" + std::to_string(10 * step + 5) + "\n0!\n";
        }
        return t;
    }();
    return text;
}

/// Changes and the sum of their values; 0 on error.
std::uint64_t read(Reader& reader, std::uint64_t& sum) {
    std::uint64_t changes = 0;
    const Header& header = reader.header();
    for (;;) {
        auto batch = reader.next();
        if (!batch) return 0;
        if (batch->empty()) return changes;
        for (const Change& c : *batch) {
            if (c.signal >= header.signals.size()) continue;
            std::uint64_t value = 0;
            std::uint64_t unknown = 0;
            if (decode(c, header.signals[c.signal].bits, value, unknown) == Decoded::Known)
                sum += value;
            ++changes;
        }
    }
}

void scan(benchmark::State& state, Simd simd, std::size_t selected) {
    std::uint64_t want = 0;
    for (auto step : state) {
        (void)step;
        auto reader = Reader::from_memory(dump(), "bench", {.simd = simd});
        if (!reader) {
            state.SkipWithError("these instructions are not there");
            return;
        }
        std::vector<std::uint32_t> signals(selected);
        for (std::uint32_t i = 0; i < selected; ++i) signals[i] = i;
        (*reader)->select(signals);
        std::uint64_t sum = 0;
        const std::uint64_t changes = read(**reader, sum);
        if (changes == 0 || (want != 0 && want != sum)) state.SkipWithError("wrong values");
        want = sum;
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(dump().size()));
}

int few(const char* path) {
    auto reader = Reader::open(path);
    if (!reader || (*reader)->header().signals.size() < 2) return 1;
    const std::uint32_t two[] = {0, 1};
    (*reader)->select(two);
    std::uint64_t sum = 0;
    const std::uint64_t changes = read(**reader, sum);
    std::printf("%llu changes\n", static_cast<unsigned long long>(changes));
    return changes > 0 ? 0 : 1;
}
}  // namespace

BENCHMARK_CAPTURE(scan, few, Simd::Auto, 2)->Name("vcd_scan/two/64MiB");
BENCHMARK_CAPTURE(scan, all, Simd::Auto, 2 * kNeurons + 1)->Name("vcd_decode/all/64MiB");
BENCHMARK_CAPTURE(scan, avx2, Simd::Avx2, 2 * kNeurons + 1)->Name("vcd_decode/all_avx2/64MiB");
BENCHMARK_CAPTURE(scan, scalar, Simd::Scalar, 2 * kNeurons + 1)
    ->Name("vcd_decode/all_scalar/64MiB");

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "--few") return few(argv[2]);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

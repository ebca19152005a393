// SPDX-License-Identifier: Apache-2.0
// The bare driver of examples/050_parallel_q88: applies currents each clock and reads nothing.
// q88_array_main <file>; prints clocks and seconds.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

/// Of base/random.hpp: the finaliser of SplitMix64.
std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}
}  // namespace

int main(int argc, char** argv) {
    std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file) return 2;
    std::uint64_t head[5] = {};  // neurons, timesteps, current, noise, key of the random numbers
    if (std::fread(head, sizeof head, 1, file) != 1) return 2;
    std::fclose(file);
    const auto [neurons, steps, current, noise, key] = head;
    // The same stimulus as lockstep's: with one that repeats, the processor would learn when
    // which neuron fires, which made this driver a sixth faster.
    std::vector<std::int16_t> currents(neurons * steps);
    for (std::uint64_t t = 0; t < steps; ++t) {
        const std::uint64_t row = mix(key + t * kGolden);
        for (std::uint64_t n = 0; n < neurons; ++n) {
            const std::uint64_t drawn = mix(row ^ (n * 0xd1342543de82ef95 + kGolden)) >> 32;
            currents[t * neurons + n] =
                static_cast<std::int16_t>(current - noise + (drawn * (2 * noise + 1) >> 32));
        }
    }

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    const auto clock = [&] {
        dut.clk = 0;
        dut.eval();
        dut.clk = 1;
        dut.eval();
    };
    std::memset(&dut.current[0], 0, neurons * 2);
    dut.rst = 1;
    for (int i = 0; i < 4; ++i) clock();
    dut.rst = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t t = 0; t < steps; ++t) {
        std::memcpy(&dut.current[0], currents.data() + t * neurons, neurons * 2);
        clock();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(steps), seconds);
    dut.final();
}

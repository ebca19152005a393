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

int main(int argc, char** argv) {
    std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file) return 2;
    std::uint64_t head[3] = {};  // neurons, timesteps in the file, timesteps to run
    if (std::fread(head, sizeof head, 1, file) != 1) return 2;
    std::vector<std::int16_t> currents(head[0] * head[1]);
    if (std::fread(currents.data(), 2, currents.size(), file) != currents.size()) return 2;
    std::fclose(file);

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    const auto clock = [&] {
        dut.clk = 0;
        dut.eval();
        dut.clk = 1;
        dut.eval();
    };
    std::memset(&dut.current[0], 0, head[0] * 2);
    dut.rst = 1;
    for (int i = 0; i < 4; ++i) clock();
    dut.rst = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t t = 0; t < head[2]; ++t) {
        std::memcpy(&dut.current[0], currents.data() + t % head[1] * head[0], head[0] * 2);
        clock();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(head[2]), seconds);
    dut.final();
}

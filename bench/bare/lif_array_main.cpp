// SPDX-License-Identifier: Apache-2.0
// The bare driver of lif_array: applies currents each clock and reads nothing.
// lif_array_main <file from lockstep_ratio>; prints clocks and seconds.
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
    std::uint64_t head[4] = {};  // neurons, timesteps in the file, timesteps to run, threshold
    if (std::fread(head, sizeof head, 1, file) != 1) return 2;
    std::vector<std::int16_t> currents(head[0] * head[1]);
    if (std::fread(currents.data(), 2, currents.size(), file) != currents.size()) return 2;
    std::fclose(file);

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    const auto eval = [&](int clk) {
        dut.clk_i = static_cast<CData>(clk);
        dut.eval();
        context.timeInc(1);
    };
    dut.step_i = 0;
    dut.th_i = static_cast<SData>(head[3]);
    std::memset(&dut.i_in_i[0], 0, head[0] * 2);
    dut.clk_i = 0;
    dut.rst_ni = 1;
    dut.eval();
    dut.rst_ni = 0;
    for (int i = 0; i < 4; ++i) {
        eval(0);
        eval(1);
    }
    dut.rst_ni = 1;
    eval(0);
    eval(1);
    dut.step_i = 1;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint64_t t = 0; t < head[2]; ++t) {
        std::memcpy(&dut.i_in_i[0], currents.data() + t % head[1] * head[0], head[0] * 2);
        eval(0);
        eval(1);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(head[2]), seconds);
    dut.final();
}

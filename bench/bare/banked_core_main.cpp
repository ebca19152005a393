// SPDX-License-Identifier: Apache-2.0
// The bare driver of examples/070_banked_serial: gives the events of each timestep, starts it,
// waits until it is done, and reads nothing. banked_core_main <file>; prints clocks and seconds.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "Vdut.h"
#include "Vdut___024root.h"
#include "lists.hpp"
#include "verilated.h"

int main(int argc, char** argv) {
    std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file) return 2;
    const std::vector<std::uint32_t> weights = read_list(file);  // words
    const std::vector<std::uint32_t> thresholds = read_list(file);
    const std::vector<std::uint32_t> counts = read_list(file);  // bit 31: starts cleared
    const std::vector<std::uint32_t> axons = read_list(file);
    std::fclose(file);

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    std::uint64_t clocks = 0;
    const auto clock = [&] {
        dut.clk = 0;
        dut.eval();
        dut.clk = 1;
        dut.eval();
        ++clocks;
    };
    dut.spk_ready = 1;
    dut.rst_n = 1;
    clock();
    dut.rst_n = 0;
    for (int i = 0; i < 4; ++i) clock();
    dut.rst_n = 1;
    for (std::size_t k = 0; k < weights.size(); ++k)
        dut.rootp->banked_core__DOT__weight[k] = weights[k];
    for (std::size_t k = 0; k < thresholds.size(); ++k)
        dut.rootp->banked_core__DOT__threshold[k] = static_cast<SData>(thresholds[k]);
    clocks = 0;
    const auto begin = std::chrono::steady_clock::now();
    const std::uint32_t* axon = axons.data();
    for (const std::uint32_t count : counts) {
        if ((count & 0x80000000U) != 0) {
            dut.clear = 1;
            clock();
            dut.clear = 0;
            while (!dut.done) clock();
            clock();
        }
        for (std::uint32_t k = 0; k < (count & 0x7fffffffU); ++k) {
            dut.in_valid = 1;
            dut.in_id = static_cast<CData>(*axon++);
            dut.eval();
            while (!dut.in_ready) clock();
            clock();
        }
        dut.in_valid = 0;
        dut.eval();
        while (!dut.in_ready) clock();
        dut.start = 1;
        clock();
        dut.start = 0;
        while (!dut.done) clock();
        clock();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(clocks), seconds);
    dut.final();
}

// SPDX-License-Identifier: Apache-2.0
// The bare driver of examples/060_event_crossbar: configures it bit by bit, gives the events of
// each timestep and its tick by four-phase handshakes, takes the core's own, and reads nothing.
// crossbar_main <file>; prints clocks and seconds.
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
    const std::vector<std::uint32_t> weights = read_list(file);  // words of eight
    const std::vector<std::uint32_t> thresholds = read_list(file);
    const std::vector<std::uint32_t> counts = read_list(file);
    const std::vector<std::uint32_t> axons = read_list(file);
    std::fclose(file);

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    std::uint64_t clocks = 0;
    const auto clock = [&] {
        dut.CLK = 0;
        dut.eval();
        if (dut.AEROUT_REQ && !dut.AEROUT_ACK)
            dut.AEROUT_ACK = 1;
        else if (!dut.AEROUT_REQ)
            dut.AEROUT_ACK = 0;
        dut.CLK = 1;
        dut.eval();
        ++clocks;
    };
    const auto write = [&](std::uint64_t what, std::uint64_t address, std::uint64_t data) {
        const std::uint64_t bits = what << 48 | address << 32 | data;
        for (int k = 51; k >= 0; --k) {
            dut.SCK = 0;
            dut.MOSI = bits >> k & 1;
            dut.eval();
            dut.SCK = 1;
            dut.eval();
        }
    };
    const auto send = [&](std::uint32_t address) {
        dut.AERIN_ADDR = static_cast<SData>(address);
        dut.AERIN_REQ = 1;
        while (!dut.AERIN_ACK) clock();
        dut.AERIN_REQ = 0;
        while (dut.AERIN_ACK) clock();
    };
    const auto drain = [&] {
        while (dut.rootp->crossbar__DOT__state != 0 ||
               dut.rootp->crossbar__DOT__written != dut.rootp->crossbar__DOT__taken ||
               dut.rootp->crossbar__DOT__req_sync != 0)
            clock();
    };
    dut.SCK = dut.MOSI = dut.AERIN_REQ = dut.AEROUT_ACK = 0;
    dut.RST = 0;
    clock();
    dut.RST = 1;
    for (int i = 0; i < 4; ++i) clock();
    dut.RST = 0;
    clock();
    for (std::size_t k = 0; k < weights.size(); ++k) write(2, k, weights[k]);
    for (std::size_t k = 0; k < thresholds.size(); ++k) write(1, k, thresholds[k]);
    write(0, 1, 3);
    write(0, 0, 0);
    drain();
    clocks = 0;
    const auto begin = std::chrono::steady_clock::now();
    const std::uint32_t* axon = axons.data();
    for (const std::uint32_t count : counts) {
        for (std::uint32_t k = 0; k < count; ++k) send(*axon++);
        drain();
        send(0x100);
        drain();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(clocks), seconds);
    dut.final();
}

// SPDX-License-Identifier: Apache-2.0
// The bare driver of snn_core: what one writes by hand to run a stimulus and nothing else. Reads
// the handshakes that it must, no result. snn_core_main <file from lockstep_ratio>; prints clocks
// and seconds.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

namespace {
template <typename T>
std::vector<T> take(std::FILE* file) {
    std::uint64_t count = 0;
    if (std::fread(&count, sizeof count, 1, file) != 1) return {};
    std::vector<T> all(count);
    if (std::fread(all.data(), sizeof(T), count, file) != count) return {};
    return all;
}
}  // namespace

int main(int argc, char** argv) {
    std::FILE* file = argc > 1 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file) return 2;
    const auto writes = take<std::uint64_t>(file);  // address, data in turn
    const auto counts = take<std::uint32_t>(file);  // events of each timestep; bit 31: clear first
    const auto axons = take<std::uint32_t>(file);
    std::fclose(file);

    VerilatedContext context;
    Vdut dut(&context, "TOP");
    std::uint64_t clocks = 0;
    const auto clock = [&] {
        dut.clk_i = 1;
        dut.eval();
        context.timeInc(1);
        ++clocks;
    };
    const auto settle = [&] {
        dut.clk_i = 0;
        dut.eval();
        context.timeInc(1);
    };
    dut.cfg_we_i = dut.cfg_addr_i = dut.cfg_wdata_i = 0;
    dut.clear_i = dut.tick_i = dut.ev_valid_i = dut.ev_axon_i = 0;
    dut.spk_ready_i = 1;
    dut.clk_i = 0;
    dut.rst_ni = 1;
    dut.eval();
    dut.rst_ni = 0;
    dut.eval();
    for (int i = 0; i < 4; ++i) {
        settle();
        clock();
    }
    dut.rst_ni = 1;
    settle();
    clock();
    for (std::size_t i = 0; i + 1 < writes.size(); i += 2) {
        dut.cfg_addr_i = static_cast<std::uint32_t>(writes[i]);
        dut.cfg_wdata_i = static_cast<std::uint32_t>(writes[i + 1]);
        dut.cfg_we_i = 1;
        settle();
        clock();
    }
    dut.cfg_we_i = 0;
    settle();
    clock();
    const auto until_done = [&] {
        bool done = false;
        do {
            settle();
            done = dut.done_o;
            clock();
        } while (!done);
    };
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t clocks_before = clocks;
    std::size_t next = 0;
    for (const std::uint32_t entry : counts) {
        if (entry >> 31) {
            dut.clear_i = 1;
            settle();
            clock();
            dut.clear_i = 0;
            until_done();
        }
        const std::uint32_t count = entry & 0x7fffffff;
        for (std::uint32_t i = 0; i < count; ++i) {
            dut.ev_axon_i = axons[next++];
            dut.ev_valid_i = 1;
            bool ready = false;
            do {
                settle();
                ready = dut.ev_ready_o;
                clock();
            } while (!ready);
        }
        dut.ev_valid_i = 0;
        if (count > 0) {
            bool busy = true;
            do {
                settle();
                busy = dut.busy_o;
                clock();
            } while (busy);
        }
        dut.tick_i = 1;
        settle();
        clock();
        dut.tick_i = 0;
        until_done();
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::printf("%llu %.9f\n", static_cast<unsigned long long>(clocks - clocks_before), seconds);
    dut.final();
}

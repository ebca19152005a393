// SPDX-License-Identifier: Apache-2.0
// Included before sim/host/host.cpp by tests that want a waveform of what the host does:
// the model that the host drives writes every evaluation to the file in SPIKELOCK_WAVES.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "Vdut.h"
#include "verilated.h"
#if SPIKELOCK_TRACE_FST
#include "verilated_fst_c.h"
using WaveFile = VerilatedFstC;
#else
#include "verilated_vcd_c.h"
using WaveFile = VerilatedVcdC;
#endif

/// The Verilated core with a waveform; everything else is the core's own.
class TracedDut : public Vdut {
public:
    TracedDut(VerilatedContext* context, const char* name) : Vdut(context, name) {
        context->traceEverOn(true);
        const char* file = std::getenv("SPIKELOCK_WAVES");
        if (file == nullptr) return;
        trace(&waves_, 99);
        waves_.open(file);
        open_ = true;
    }
    ~TracedDut() override = default;
    void eval() {
        Vdut::eval();
        if (!open_) return;
        // What is driven between two clocks has times of its own: a second dump of one is ignored.
        time_ = std::max(time_ + 1, 4 * contextp()->time());
        waves_.dump(time_);
    }
    void final() {
        Vdut::final();
        if (!open_) return;
        open_ = false;
        // Compressing the last block may take longer than the tool waits for its host: a process of
        // its own does it, and record_waves waits for that one.
        if (fork() == 0) {
            waves_.close();
            _exit(0);
        }
    }

private:
    WaveFile waves_;
    std::uint64_t time_ = 0;
    bool open_ = false;
};
#define Vdut TracedDut

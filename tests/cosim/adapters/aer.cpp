// SPDX-License-Identifier: Apache-2.0
// Drives aer_core.sv by hand: 4-phase handshakes both ways, v read through the back door. What goes
// wrong on purpose is chosen by [adapter.options] do.
#include <stdexcept>

#include "spikelock_adapter.hpp"

namespace {
using namespace spikelock::adapter;
static_assert(kVersion == 1);

class AerAdapter final : public Adapter {
public:
    void call(Bench& b, std::string_view what) override {
        if (what != "four phase") b.fail("unknown call");
        b.dut.four_phase_i = 1;
        b.dut.loop_i = b.number("loop", 0) != 0;
        b.clock(2);
        v_ = b.signal("v_q");
        field_ = b.field("v");
    }
    void step(Bench& b, const Timestep& t) override {
        misbehave(b, t);
        for (const Event& event : t.events) {
            b.gap();
            b.dut.in_addr_i = static_cast<unsigned char>(0x10 + event.axon);
            b.dut.in_req_i = 1;
            b.until([&] { return b.dut.in_ack_o; }, "in_ack_o did not rise");
            b.dut.in_req_i = 0;
            b.until([&] { return !b.dut.in_ack_o; }, "in_ack_o did not fall");
            if (b.drain()) idle(b);
        }
        idle(b);
        b.dut.tick_i = 1;
        b.clock();
        b.dut.tick_i = 0;
        b.clock();
        idle(b);
        for (std::uint32_t n = 0; n < b.neurons(); ++n)
            b.value(field_, n, static_cast<std::int16_t>(b.get(v_, n)));
    }
    void before_edge(Bench& b) override {
        const bool request = b.dut.out_req_o;
        if (request && !b.dut.out_ack_i && !b.stall()) {
            b.spike(b.dut.out_neuron_o);
            b.dut.out_ack_i = 1;
        } else if (!request) {
            b.dut.out_ack_i = 0;
        }
    }

private:
    static void idle(Bench& b) {
        b.until([&] { return b.dut.idle_o && !b.dut.out_ack_i; }, "the core did not become idle");
    }
    void misbehave(Bench& b, const Timestep& t) {
        const std::string what = b.option("do");
        if (what.empty() || t.number < 10) return;
        if (what == "throw") throw std::runtime_error("planted");
        if (what == "fail") b.fail("planted words");
        if (what == "set") b.set(v_, b.get(v_, 5) + 1, 5);
        if (what == "clock for ever")
            b.until([] { return false; }, "what never comes did not come");
        if (what == "no such neuron") b.spike(8);
        if (what == "too wide") b.value(field_, 0, 40000);
        if (what == "hang")
            for (volatile int i = 1; i != 0;) i = 1;
    }
    Signal v_{};
    Field field_{};
};
}  // namespace

SPIKELOCK_ADAPTER(AerAdapter)

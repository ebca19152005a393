// SPDX-License-Identifier: Apache-2.0
// Drives crossbar.sv: serial configuration, events in and out by four-phase handshakes, and the end
// of a timestep, for which the core has no pin.
#include "spikelock_adapter.hpp"

namespace {
using namespace spikelock::adapter;

constexpr std::uint32_t kTick = 0x100;
constexpr std::uint32_t kClear = 0x200;
/// What a frame writes or reads; addresses of [[map]] have it above bit 17.
enum What : std::uint64_t { kRegister = 0, kThreshold = 1, kSynapses = 2 };

class Crossbar final : public Adapter {
public:
    void call(Bench& b, std::string_view what) override {
        if (what == "clear") {
            send(b, kClear);
        } else if (what == "open the gate") {
            state_ = b.signal("state");
            empty_ = b.signal("empty");
            request_ = b.signal("req_sync");
            take_axon_ = b.signal("take_axon");
            take_spike_ = b.signal("take_spike");
            take_source_ = b.signal("take_source");
            running_ = true;
            write(b, kRegister, 0);
        } else {
            b.fail("no such call: " + std::string(what));
        }
        wait_until_idle(b);
    }

    void step(Bench& b, const Timestep& timestep) override {
        for (const Event& event : timestep.events) {
            b.gap();
            send(b, event.axon);
            if (b.drain()) wait_until_idle(b);
        }
        wait_until_idle(b);
        send(b, kTick);
        wait_until_idle(b);
    }

    /// Spikes leave whenever the core likes, also while an event waits to be taken.
    void before_edge(Bench& b) override {
        if (!running_) return;  // until the reset AEROUT_REQ means nothing
        if (b.dut.AEROUT_REQ && !b.dut.AEROUT_ACK && !b.stall()) {
            b.spike(b.dut.AEROUT_ADDR);
            b.dut.AEROUT_ACK = 1;
        } else if (!b.dut.AEROUT_REQ) {
            b.dut.AEROUT_ACK = 0;
        }
        // Which event the core takes next decides the result: the golden takes the same.
        const auto source = static_cast<std::uint32_t>(b.get(take_source_));
        if (b.get(take_spike_))
            b.took_internal(source & 0xff);
        else if (b.get(take_axon_) && b.dut.AERIN_ADDR < kTick)
            b.took(source);
    }

    // [[map]] words. Those of weights have 4 bits; eight of them go in one frame.
    bool can_read() const override { return true; }
    void write(Bench& b, std::uint64_t address, std::uint64_t data) override {
        if (address >> 17 != kSynapses) {
            frame(b, false, address >> 17, address & 0xffff, data);
            return;
        }
        const unsigned place = 4 * (address & 7);
        word_ = place == 0 ? data & 15 : word_ | (data & 15) << place;
        if (place == 28) frame(b, false, kSynapses, (address & 0x1ffff) >> 3, word_);
    }
    std::uint64_t read(Bench& b, std::uint64_t address) override {
        if (address >> 17 != kSynapses) return frame(b, true, address >> 17, address & 0xffff, 0);
        const unsigned place = 4 * (address & 7);
        if (place == 0) word_ = frame(b, true, kSynapses, (address & 0x1ffff) >> 3, 0);
        return word_ >> place & 15;
    }

private:
    void send(Bench& b, std::uint32_t address) {
        b.dut.AERIN_ADDR = address & 0x3ff;
        b.dut.AERIN_REQ = 1;
        b.until([&] { return b.dut.AERIN_ACK != 0; }, "AERIN_ACK did not rise");
        b.dut.AERIN_REQ = 0;
        b.until([&] { return b.dut.AERIN_ACK == 0; }, "AERIN_ACK did not fall");
    }

    void wait_until_idle(Bench& b) {
        b.until([&] { return b.get(state_) == 0 && b.get(empty_) && !b.get(request_); },
                "the core did not become idle");
    }

    /// 52 bits with SCK alone; the core's clock stands still.
    std::uint64_t frame(Bench& b, bool read, std::uint64_t what, std::uint64_t address,
                        std::uint64_t data) {
        const std::uint64_t bits =
            std::uint64_t{read} << 51 | what << 48 | address << 32 | (data & 0xffffffff);
        std::uint64_t answer = 0;
        for (int k = 51; k >= 0; --k) {
            b.dut.SCK = 0;
            b.dut.MOSI = bits >> k & 1;
            b.eval();
            if (k < 32) answer = answer << 1 | b.dut.MISO;
            b.dut.SCK = 1;
            b.eval();
        }
        return answer;
    }

    Signal state_{}, empty_{}, request_{}, take_axon_{}, take_spike_{}, take_source_{};
    bool running_ = false;
    std::uint64_t word_ = 0;  ///< of eight weights
};
}  // namespace

SPIKELOCK_ADAPTER(Crossbar)

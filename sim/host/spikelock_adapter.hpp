// SPDX-License-Identifier: Apache-2.0
// An adapter drives a core whose interface no manifest describes: SPI configuration, odd
// handshakes, packets. It is one C++17 file, named in the manifest:
//
//     [timestep]
//     kind = "custom"
//     [adapter]
//     file = "adapter.cpp"
//
// and compiled into the core's DUT host. It sets input ports and reads output ports of the
// Verilated model, clocks it, and says which neurons fired and what their state is. Whatever else
// the manifest can do stays there: [[observe]] by signal or memory, [[map]], [[startup]], pacing,
// waveforms. See docs/adapter.md, and examples/060_event_crossbar for a whole one.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "Vdut.h"

namespace spikelock::adapter {

/// Raised when an adapter that compiles with this header would have to change.
inline constexpr int kVersion = 1;

/// An input event of the stimulus.
struct Event {
    std::uint32_t axon = 0;  ///< within the port
    std::uint16_t port = 0;  ///< index of the network's input port
    std::int16_t payload = 1;
};

/// Values that the stimulus applies beside events, one per neuron.
struct Band {
    std::string name;  ///< of the [[side_band]], e.g. "i_in"
    std::vector<std::int32_t> values;
};

/// What is to be applied in one timestep.
struct Timestep {
    std::uint64_t number = 0;
    std::vector<Event> events;  ///< in the order in which they are to be offered
    std::vector<Band> bands;
};

/// A field of [[observe]] with source = "adapter"; an inner signal.
enum class Field : std::uint32_t {};
enum class Signal : std::uint32_t {};

/// What the host offers. Calls may throw to leave the adapter where the run ends: let that through
/// (no `catch (...)`).
class Bench {
public:
    explicit Bench(Vdut& model) : dut(model) {}
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;
    virtual ~Bench() = default;

    Vdut& dut;  ///< ports by their names: dut.sck_i = 1; if (dut.req_o) ...

    /// Clocks of the manifest's `clock`, each: low, what is sampled before the edge, rising edge.
    /// A port that was set takes effect before the rising edge; outputs are those after it.
    /// Ends the run as HUNG when limit_clocks of the timestep (of the hook's [[startup]] entry) are
    /// used up.
    virtual void clock(std::uint64_t clocks = 1) = 0;
    /// Lets outputs follow inputs without a clock. For a clock that the adapter drives itself
    /// (SCK), set the port and call this.
    virtual void eval() = 0;
    /// Clocks until `condition` holds, none where it does already.
    /// @param waiting_for  what a HUNG verdict says, e.g. "ack_o did not fall"
    template <typename Condition>
    void until(Condition&& condition, const char* waiting_for) {
        const char* const before = wait_text(waiting_for);
        for (eval(); !condition();) clock();
        wait_text(before);
    }
    virtual std::uint64_t clocks() const = 0;  ///< since power-on

    // What the core showed, for the timestep that runs.
    virtual void spike(std::uint32_t neuron) = 0;  ///< fired; several times only with counts = true
    virtual Field field(std::string_view name) = 0;  ///< look up once, in a hook or in step()
    virtual void value(Field field, std::uint32_t neuron, std::int64_t value) = 0;
    /// The core took an event: of the stimulus, or a spike of its own ([adapter] order = true).
    virtual void took(std::uint32_t axon, std::uint16_t port = 0) = 0;
    virtual void took_internal(std::uint32_t neuron) = 0;
    virtual void took_tick() = 0;  ///< the tick, where it stands in that order

    // Back door, for signals that [adapter] lists.
    virtual Signal signal(std::string_view name) = 0;  ///< look up once
    std::uint64_t get(Signal signal) const {           ///< all of it, at most 64 bits
        const auto n = static_cast<std::size_t>(signal);
        if (n < places_.size() && places_[n].bytes > 0) {
            std::uint64_t value = 0;
            switch (places_[n].bytes) {
                case 1:
                    return *places_[n].data;
                case 2:
                    std::memcpy(&value, places_[n].data, 2);
                    return value;
                case 4:
                    std::memcpy(&value, places_[n].data, 4);
                    return value;
                default:
                    std::memcpy(&value, places_[n].data, 8);
                    return value;
            }
        }
        return bits(signal, 0, 0, 0);
    }
    /// A bit field of a word; width 0: the rest of it, at most 64 bits.
    std::uint64_t get(Signal signal, std::uint32_t word, std::uint32_t lsb = 0,
                      std::uint32_t width = 0) const {
        return bits(signal, word, lsb, width);
    }
    /// Of a signal in [adapter] writes; takes effect with the next eval() or clock.
    virtual void set(Signal signal, std::uint64_t value, std::uint32_t word = 0,
                     std::uint32_t lsb = 0, std::uint32_t width = 0) = 0;

    // The manifest's [pacing], decided by the stimulus seed.
    virtual bool drain() const = 0;  ///< wait until the core is idle after each event
    virtual void gap() = 0;          ///< call before each event: sometimes some clocks
    virtual bool stall() = 0;        ///< whether to hold back an output in this clock
    virtual std::uint32_t random(std::uint32_t below) = 0;  ///< 0..below-1; below >= 1

    virtual std::uint32_t neurons() const = 0;
    virtual std::uint32_t axons() const = 0;
    /// [adapter.options] name; `fallback` where it is not given.
    virtual std::string option(std::string_view name, std::string fallback = {}) const = 0;
    std::int64_t number(std::string_view name, std::int64_t fallback) const {
        const std::string text = option(name);
        return text.empty() ? fallback : std::stoll(text, nullptr, 0);
    }
    /// The core broke its rules: ends the run as ASSERTED with this text.
    [[noreturn]] virtual void fail(const std::string& text) = 0;

protected:
    virtual const char* wait_text(const char* text) = 0;
    virtual std::uint64_t bits(Signal signal, std::uint32_t word, std::uint32_t lsb,
                               std::uint32_t width) const = 0;
    /// Where a signal that is no array lies: what get() needs most often, without a call.
    void set_place(std::size_t signal, const std::uint8_t* data, std::uint32_t bytes) {
        if (places_.size() <= signal) places_.resize(signal + 1);
        places_[signal] = {data, bytes};
    }

private:
    struct Place {
        const std::uint8_t* data = nullptr;
        std::uint32_t bytes = 0;  ///< 0: look it up
    };
    std::vector<Place> places_;
};

/// What an adapter implements. One object lives as long as the host.
class Adapter {
public:
    Adapter() = default;
    Adapter(const Adapter&) = delete;
    Adapter& operator=(const Adapter&) = delete;
    virtual ~Adapter() = default;

    /// Runs one timestep to its end: gives the events, lets the core compute, delivers what it
    /// shows.
    virtual void step(Bench& bench, const Timestep& timestep) = 0;

    /// A [[startup]] or [[state.clear]] entry with adapter = "what".
    virtual void call(Bench& bench, std::string_view what) {
        bench.fail("this adapter has no '" + std::string(what) + "'");
    }
    /// A word of a [[map]] with `address`, where the manifest has no [config].
    virtual void write(Bench& bench, std::uint64_t address, std::uint64_t data) {
        (void)address;
        (void)data;
        bench.fail("a [[map]] has an address, but this adapter has no write()");
    }
    /// The same word read back; without can_read() it is not compared after start-up.
    virtual bool can_read() const { return false; }
    virtual std::uint64_t read(Bench& bench, std::uint64_t address) {
        (void)bench;
        (void)address;
        return 0;
    }
    /// Called in every clock, inputs settled, right before the rising edge; not to clock. Here an
    /// output handshake is served while something else waits.
    virtual void before_edge(Bench& bench) { (void)bench; }
    /// The same right after the rising edge.
    virtual void after_edge(Bench& bench) { (void)bench; }
};

}  // namespace spikelock::adapter

/// Defined by SPIKELOCK_ADAPTER.
spikelock::adapter::Adapter* spikelock_make_adapter();

/// Put at the end of the file, outside of namespaces: the class that is the adapter.
#define SPIKELOCK_ADAPTER(Type) \
    spikelock::adapter::Adapter* spikelock_make_adapter() { return new Type(); }

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spikelock/trace/shape.hpp"

namespace spikelock::bridge::waves {

/// A signal of the core as a manifest names it, put together from what the waveform shows.
struct WaveSignal {
    /// `bits` bits of it from bit `lsb` up are a whole signal of the waveform.
    struct Part {
        std::uint32_t source = 0;  ///< index in vcd::Header::signals
        std::uint32_t lsb = 0;
        std::uint32_t bits = 1;
    };
    std::string name;  ///< of the waveform, for messages: "tb.dut.v_q"
    std::uint32_t bits = 1;
    std::vector<Part> parts;  ///< one, or one for each bit where bits are dumped apart
};

/// At most 64 bits of a signal.
struct BitField {
    std::uint32_t signal = 0;  ///< index in ObservationMap::signals
    std::uint32_t lsb = 0;
    std::uint32_t width = 1;
};

/// A four-state expression in postfix order, on 64-bit unsigned numbers as in the DUT host.
struct Expr {
    enum class Op : std::uint8_t {
        Const,
        Load,
        Add,
        Sub,
        Mul,
        Div,  ///< by 0: 0
        Mod,  ///< by 0: 0
        And,
        Or,
        Xor,
        Shl,
        Shr,
        Eq,
        Ne,
        Lt,
        Le,
        Gt,
        Ge,
        LogicAnd,
        LogicOr,
        LogicNot,
        Not,
        Neg,
        Select,
    };
    struct Code {
        Op op = Op::Const;
        std::uint64_t value = 0;
        BitField field{};
    };
    static constexpr std::size_t kMostCodes = 64;
    std::vector<Code> code;  ///< at most kMostCodes
    bool empty() const noexcept { return code.empty(); }
};

/// One entry of a start-up list, or of how a sample begins, as far as a waveform shows it.
struct ProgramStep {
    enum class Kind : std::uint8_t {
        Reset,   ///< `field` active, then inactive for one clock
        Set,     ///< `field` has `value`
        Clocks,  ///< `clocks` clocks
        Pulse,   ///< `field` is 1 in one clock; clocks until `until`
    };
    Kind kind = Kind::Clocks;
    BitField field{};
    std::uint64_t value = 0;  ///< Set: wanted; Reset: that of the active level
    std::uint64_t clocks = 1;
    Expr until;
};

/// Neurons shown one after the other: sampled before each rising clock edge where `valid` holds.
struct Stream {
    struct Value {
        std::uint32_t field = 0;  ///< index in Shape::fields
        Expr value;
    };
    bool is_spike = false;
    std::uint32_t begin = 0;  ///< the index counts from this neuron on
    std::uint32_t end = 0;    ///< neurons begin..end-1 are shown, of values each once a timestep
    Expr valid;
    Expr index;
    bool has_ready = false;
    BitField ready{};  ///< the other side of the handshake
    std::vector<Value> values;
};

/// Which signals of a core are spikes and fields, and when a timestep is sampled. The manifest
/// says it; the same rules drive the DUT host (sim/host/host.cpp).
struct ObservationMap {
    trace::Shape shape;
    std::vector<WaveSignal> signals;
    BitField clock{};
    bool handshake = true;
    BitField start{};  ///< handshake: a timestep begins where it is 1 before an edge ...
    Expr done;         ///< ... and ends with the first later edge before which this holds
    std::uint32_t clocks_per_step = 1;  ///< clocked
    std::vector<ProgramStep> startup;   ///< clocked: timestep 0 begins behind it
    /// How a cleared sample begins; a pulse or reset in it, or in the start-up, discards what was
    /// shown before it.
    std::vector<ProgramStep> clear;
    bool after_edge = true;  ///< values are sampled after the timestep's last edge, else before
    /// Per field of the shape: an element a neuron, empty where a stream shows it; or none.
    std::vector<std::vector<Expr>> gather;
    std::vector<Expr> spikes;  ///< the same for spikes: one bit each
    std::vector<Stream> streams;
};

}  // namespace spikelock::bridge::waves

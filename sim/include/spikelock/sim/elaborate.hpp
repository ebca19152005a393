// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"

namespace spikelock::sim {

/// What Verilator is asked to elaborate. Paths are absolute, or relative to `folder`.
struct ElaborateOptions {
    std::vector<std::string> sources;  ///< VHDL among them is translated by ghdl
    std::string top;  ///< empty: the module that nothing instantiates; of several the largest
    std::vector<std::string> include_dirs;
    std::vector<std::string> defines;               ///< NAME or NAME=value
    std::map<std::string, std::string> parameters;  ///< of the top module
    std::vector<std::string> waivers;
    std::string language = "1800-2017";
    std::string vhdl_std = "08";
    std::vector<std::string> vhdl_flags;  ///< for ghdl synth
    bool assertions = true;               ///< of the VHDL
    std::string folder;                   ///< working folder; empty: the caller's
    std::string temp_folder;  ///< an existing folder; what is written there is removed again
    const std::atomic<bool>* stop = nullptr;  ///< set by Ctrl-C: ends with Errc::Interrupted
};

/// A port, parameter, net, register or memory of the elaborated design.
struct Variable {
    enum class Kind : std::uint8_t { Port, Parameter, LocalParameter, Signal };
    /// As a manifest names it, below the top module; where a generate loop makes copies, the
    /// indices are left as {i}, {j}, ...: gen_neuron[{i}].u_neuron.v_q.
    std::string name;
    Kind kind = Kind::Signal;
    std::string direction;    ///< of a port, of inner modules too: "input", "output" or "inout"
    std::uint32_t bits = 1;   ///< of one element; 0: has none (real, string)
    std::uint32_t words = 1;  ///< elements of an unpacked array, all dimensions together
    bool is_array = false;
    bool is_signed = false;
    std::string value;         ///< of a parameter, as a Verilog literal
    std::uint32_t copies = 1;  ///< how many a generate loop makes
    std::string where;         ///< file:line
    std::string module;        ///< that declares it
    bool written = false;      ///< something other than an initial block assigns to it
    bool generated = false;    ///< a net that no source names: the translation of VHDL made it
    bool counts = false;       ///< one more in every clock but in reset
    bool working = false;      ///< its module decides with it, or sets it to constants but in reset
    bool fed_back = false;     ///< a memory: what is read out of it goes into what is written
    /// The top's port at whose edges alone it is written; empty: there is no such one.
    std::string clock;
    /// Of a memory that is read at {row, column[high:low]}: 2^low columns share a word, and
    /// 2^column_bits words make a row. 0 where it is read otherwise.
    std::uint32_t shared_bits = 0;
    std::uint32_t column_bits = 0;
    /// Of a net that a plain assignment reads out of memories with one index: that, in the words of
    /// a manifest and with @ as the index, e.g. "u_state.dirty[@] ? u_state.word[@][15:0] : 0".
    std::string reads;
};

struct Instance {
    std::string name;  ///< as Variable::name
    std::string module;
    std::uint32_t copies = 1;
    std::string where;
};

struct GenerateLoop {
    std::string name;  ///< of the block without index: gen_neuron
    std::int64_t first = 0;
    std::uint32_t count = 0;
    std::string where;
};

/// How an input port of the top is used in clocked blocks, anywhere below it.
struct ClockUse {
    std::uint32_t posedge_first = 0;  ///< blocks in which it is the only edge, or the one that is
                                      ///< no asynchronous reset
    std::uint32_t negedge_first = 0;
    std::uint32_t async_low = 0;   ///< blocks with its falling edge as asynchronous reset
    std::uint32_t async_high = 0;  ///< blocks with its rising edge as asynchronous reset
    std::uint32_t sync_low = 0;    ///< clocked blocks that set constants where it is 0
    std::uint32_t sync_high = 0;   ///< clocked blocks that set constants where it is 1
};

/// A port of the top that is cut into equal slices, one for each copy of a generate loop.
struct SlicedPort {
    std::string port;
    std::uint32_t width = 1;  ///< of a slice, bits
    std::uint32_t count = 0;
    bool is_array = false;  ///< elements of an unpacked array instead of bits
};

/// An elaborated design.
struct Design {
    std::string top;
    std::vector<std::string> other_tops;      ///< modules that nothing instantiates, beside `top`
    std::vector<Variable> ports;              ///< of the top, in order
    std::vector<Variable> parameters;         ///< of the top, local ones too
    std::vector<Variable> signals;            ///< inside, memories too, in order of the hierarchy
    std::vector<std::string> loop_variables;  ///< names of genvars and the like, in no list above
    std::vector<Instance> instances;
    std::vector<GenerateLoop> loops;
    std::map<std::string, ClockUse> clock_uses;  ///< by port
    std::vector<SlicedPort> slices;
    std::uint32_t clocked_blocks = 0;
    std::string sum_at;      ///< file:line of the first sum of two values that are no constants
    std::string compare_at;  ///< file:line of the first comparison of size that is no loop's bound
};

/// What a manifest's [core] asks for. `temp_folder` and `stop` are left to the caller.
ElaborateOptions elaborate_options(const manifest::Manifest& manifest);

/// Elaborates sources with Verilator, without building anything.
/// @errors Errc::Environment when Verilator is missing; Errc::Build with the place of the first
/// error in the sources; Errc::Unsupported when this Verilator cannot show what it elaborated;
/// Errc::Interrupted
/// @source Verilator's --xml-only (5.006 to 5.032)
Result<Design> elaborate(const ElaborateOptions& options);

}  // namespace spikelock::sim

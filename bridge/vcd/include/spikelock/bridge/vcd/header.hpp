// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge::vcd {

/// A scope, as its file names it.
struct Scope {
    static constexpr std::uint32_t kNone = 0xffffffff;
    std::string kind;              ///< "module", "task", "begin", "interface", ...
    std::string name;              ///< one level; an escaped name keeps its backslash
    std::uint32_t parent = kNone;  ///< index in Header::scopes
};

/// One declared name. Names that show the same values share a signal.
struct Var {
    std::string kind;        ///< "wire", "reg", "real", "event", "port", ...
    std::string name;        ///< without its range; an escaped name keeps its backslash
    std::string range;       ///< "[7:0]", "[3]" or empty
    std::uint32_t bits = 1;  ///< declared size
    std::int64_t left = 0;   ///< bounds of the range; 0 where there is none
    std::int64_t right = 0;
    std::uint32_t scope = Scope::kNone;  ///< index in Header::scopes
    std::uint32_t signal = 0;            ///< index in Header::signals
};

/// What values are recorded for: one identifier code of a VCD, one handle of an FST.
struct Signal {
    enum class Kind : std::uint8_t { Bits, Real, String, Event };
    Kind kind = Kind::Bits;
    std::uint32_t bits = 1;  ///< the widest of its names
    std::string id;          ///< identifier code; empty in an FST
};

/// Everything before the values.
struct Header {
    std::string date;
    std::string version;
    std::string comment;  ///< of the header; several are joined by a line end
    /// One unit of time is 10^exponent seconds; none where the file does not say.
    std::optional<int> time_exponent;
    std::int64_t time_zero = 0;  ///< what time 0 stands for, in units of time
    std::vector<Scope> scopes;   ///< parents before children
    std::vector<Var> vars;       ///< in order of declaration
    std::vector<Signal> signals;

    /// "tb.dut" of a scope; empty for Scope::kNone.
    std::string path(std::uint32_t scope) const;
    /// "tb.dut.v_q[7:0]" without the range: "tb.dut.v_q".
    std::string full_name(const Var& var) const;
    /// Index of the variable with that full name (or full name and range).
    /// @errors Errc::NotFound with the nearest names
    Result<std::uint32_t> find(std::string_view full_name) const;
};

/// Splits a reference into name and range as tools write them: `v [7:0]`, `v[7:0]`, `v [3]`,
/// `\esc[0] [3:0]`. A single index that is part of the word is taken as a bit only where the
/// variable has one bit; else it belongs to the name (`mem[3]`, a word of an array).
/// @param reference  what stands between identifier code and $end, blanks made single
void split_reference(std::string_view reference, Var& var);

}  // namespace spikelock::bridge::vcd

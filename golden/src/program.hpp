// SPDX-License-Identifier: Apache-2.0
// Straight-line programs over columns, built once a run from a description.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "column_ops.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"

namespace spikelock::golden::detail {

/// Neurons that an operation treats at once: its operands stay in the first-level cache.
inline constexpr std::size_t kTile = 128;

/// A column with the range of its values, which is proved when a program is built.
struct Reg {
    std::uint16_t column = 0;
    std::int64_t low = 0;
    std::int64_t high = 0;
    bool is_constant() const { return low == high; }
};

/// Operations for each neuron begin..end-1 of a run, tile by tile.
class Program {
public:
    void run(std::size_t begin, std::size_t end) const noexcept;
    /// Base of an input that counts from the first neuron of a run.
    void set_run_input(std::size_t slot, const std::int64_t* base) noexcept {
        columns_[run_inputs_[slot]].base = const_cast<std::int64_t*>(base);
    }
    std::size_t n_operations() const noexcept { return steps_.size(); }

private:
    friend class ProgramBuilder;
    enum class Place : std::uint8_t { Neuron, Run, Tile };
    struct Column {
        std::int64_t* base = nullptr;
        Place place = Place::Tile;
    };
    struct Step {
        ColumnOp op = nullptr;
        std::uint16_t d = 0, a = 0, b = 0, c = 0;
        std::int64_t k0 = 0, k1 = 0;
    };
    std::vector<Step> steps_;
    std::vector<Column> columns_;
    std::vector<std::uint16_t> run_inputs_;
    std::vector<std::vector<std::int64_t>> owned_;
};

/// Builds a program in order of execution. Each result has a range; a sum or product that could
/// leave 63 bits is an error, told by finish().
class ProgramBuilder {
public:
    explicit ProgramBuilder(const ColumnOps& ops) : ops_(ops) {}

    Reg constant(std::int64_t value);
    /// One value per neuron of the network; copied.
    Reg per_neuron(const std::vector<std::int64_t>& values);
    /// State that the program reads and, by store(), writes.
    Reg state(std::int64_t* base, std::int64_t low, std::int64_t high);
    /// Input that counts from the first neuron of a run; slots are numbered from 0.
    Reg run_input(std::int64_t low, std::int64_t high);
    void store(Reg value, Reg state);

    Reg add(Reg a, Reg b);
    Reg sub(Reg a, Reg b);
    Reg mul(Reg a, Reg b);
    Reg shl(Reg a, int shift);
    /// @param noise  for the stochastic mode
    Reg round(Reg a, int shift, Round mode, Reg noise);
    Reg round(Reg a, Reg shift, Round mode, Reg noise);
    Reg toward_zero(Reg a, Reg by);
    Reg ge(Reg a, Reg b);
    Reg gt(Reg a, Reg b);
    Reg is_zero(Reg a);
    Reg positive(Reg a);
    Reg both(Reg a, Reg b);
    Reg either(Reg a, Reg b);
    Reg except(Reg a, Reg b);  ///< a and not b
    Reg select(Reg mask, Reg yes, Reg no);
    Reg low_bits(Reg a, int bits);
    Reg fit(Reg a, int bits, bool is_signed, const OverflowRule& rule);
    Reg fit(Reg a, const Signal& s) { return fit(a, s.bits, s.is_signed, s.overflow); }
    Reg fit(Reg a, const Width& w, bool is_signed = true) {
        return w.bits == 0 ? a : fit(a, w.bits, is_signed, w.overflow);
    }
    /// Names what is computed next, for errors.
    void part(std::string name) { part_ = std::move(name); }

    /// @errors Errc::BadConfig naming the part whose numbers may leave 63 bits
    Result<Program> finish();

private:
    Reg emit(OpCode code, Reg a, Reg b, Reg c, std::int64_t low, std::int64_t high,
             std::int64_t k0 = 0, std::int64_t k1 = 0);
    std::uint16_t new_column(std::int64_t* base, Program::Place place);
    __extension__ typedef __int128 Wide;
    std::pair<std::int64_t, std::int64_t> bounded(Wide low, Wide high);

    struct Raw {
        OpCode code;
        std::uint16_t d, a, b, c;
        std::int64_t k0, k1;
    };
    const ColumnOps& ops_;
    Program program_;
    std::vector<Raw> raw_;
    std::vector<std::uint8_t> temporary_;  ///< by column: result of an operation
    std::vector<std::pair<std::int64_t, std::uint16_t>> constants_;
    std::string part_;
    Status status_;
};

}  // namespace spikelock::golden::detail

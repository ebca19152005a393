// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spikelock::golden::detail {
namespace {

constexpr std::int64_t kBound = std::int64_t{1} << 61;  ///< room for the offsets of rounding

}  // namespace

void Program::run(std::size_t begin, std::size_t end) const noexcept {
    for (std::size_t at = begin; at < end; at += kTile) {
        const std::size_t n = std::min(kTile, end - at);
        const auto place = [&](std::uint16_t column) {
            const Column& c = columns_[column];
            return c.base + (c.place == Place::Neuron ? at
                             : c.place == Place::Run  ? at - begin
                                                      : 0);
        };
        for (const Step& s : steps_)
            s.op(place(s.d), place(s.a), place(s.b), place(s.c), n, s.k0, s.k1);
    }
}

std::uint16_t ProgramBuilder::new_column(std::int64_t* base, Program::Place place) {
    program_.columns_.push_back({base, place});
    temporary_.push_back(0);
    return static_cast<std::uint16_t>(program_.columns_.size() - 1);
}

Reg ProgramBuilder::constant(std::int64_t value) {
    for (const auto& [known, column] : constants_)
        if (known == value) return {column, value, value};
    program_.owned_.emplace_back(kTile, value);
    const std::uint16_t column = new_column(program_.owned_.back().data(), Program::Place::Tile);
    constants_.emplace_back(value, column);
    return {column, value, value};
}

Reg ProgramBuilder::per_neuron(const std::vector<std::int64_t>& values) {
    const auto [low, high] = std::ranges::minmax(values);
    if (low == high) return constant(low);
    program_.owned_.push_back(values);
    return {new_column(program_.owned_.back().data(), Program::Place::Neuron), low, high};
}

Reg ProgramBuilder::state(std::int64_t* base, std::int64_t low, std::int64_t high) {
    // A range of one value would be folded although the state may be set from outside.
    return {new_column(base, Program::Place::Neuron), low, high == low ? high + 1 : high};
}

Reg ProgramBuilder::run_input(std::int64_t low, std::int64_t high) {
    const std::uint16_t column = new_column(nullptr, Program::Place::Run);
    program_.run_inputs_.push_back(column);
    return {column, low, high == low ? high + 1 : high};
}

Reg ProgramBuilder::emit(OpCode code, Reg a, Reg b, Reg c, std::int64_t low, std::int64_t high,
                         std::int64_t k0, std::int64_t k1) {
    const std::uint16_t d = new_column(nullptr, Program::Place::Tile);
    temporary_[d] = 1;
    raw_.push_back({code, d, a.column, b.column, c.column, k0, k1});
    return {d, low, high};
}

std::pair<std::int64_t, std::int64_t> ProgramBuilder::bounded(Wide low, Wide high) {
    if (low >= -Wide{kBound} && high <= Wide{kBound})
        return {static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)};
    if (status_)
        status_ = Error{Errc::BadConfig,
                        "the numbers may exceed 62 bits here; expected narrower widths, or an "
                        "intermediate width before this",
                        part_};
    return {-kBound, kBound};
}

void ProgramBuilder::store(Reg value, Reg state) {
    if (value.column == state.column) return;
    raw_.push_back({OpCode::Copy, state.column, value.column, value.column, value.column, 0, 0});
}

Reg ProgramBuilder::add(Reg a, Reg b) {
    if (a.is_constant() && b.is_constant()) return constant(a.low + b.low);
    if (a.is_constant() && a.low == 0) return b;
    if (b.is_constant() && b.low == 0) return a;
    const auto [low, high] = bounded(Wide{a.low} + b.low, Wide{a.high} + b.high);
    return emit(OpCode::Add, a, b, a, low, high);
}

Reg ProgramBuilder::sub(Reg a, Reg b) {
    if (a.is_constant() && b.is_constant()) return constant(a.low - b.low);
    if (b.is_constant() && b.low == 0) return a;
    const auto [low, high] = bounded(Wide{a.low} - b.high, Wide{a.high} - b.low);
    return emit(OpCode::Sub, a, b, a, low, high);
}

Reg ProgramBuilder::mul(Reg a, Reg b) {
    if (a.is_constant() && a.low == 1) return b;
    if (b.is_constant() && b.low == 1) return a;
    const Wide corners[] = {Wide{a.low} * b.low, Wide{a.low} * b.high, Wide{a.high} * b.low,
                            Wide{a.high} * b.high};
    const auto [low, high] =
        bounded(*std::ranges::min_element(corners), *std::ranges::max_element(corners));
    if (a.is_constant() && b.is_constant()) return constant(low);
    return emit(OpCode::Mul, a, b, a, low, high);
}

Reg ProgramBuilder::shl(Reg a, int shift) {
    if (shift == 0) return a;
    const auto [low, high] =
        bounded(Wide{a.low} * (Wide{1} << shift), Wide{a.high} * (Wide{1} << shift));
    if (a.is_constant()) return constant(low);
    return emit(OpCode::ShlK, a, a, a, low, high, shift);
}

Reg ProgramBuilder::round(Reg a, int shift, Round mode, Reg noise) {
    if (shift == 0) return a;
    const int s = std::min(shift, 60);
    bounded(Wide{a.low} - (Wide{1} << s), Wide{a.high} + (Wide{1} << s));
    // Between the floor of the lowest and the ceiling of the highest.
    const std::int64_t low = a.low >> s;
    const std::int64_t high = -((-a.high) >> s);
    const auto code =
        static_cast<OpCode>(static_cast<int>(OpCode::RoundKFloor) + static_cast<int>(mode));
    return emit(code, a, a, mode == Round::Stochastic ? noise : a, low, high, s);
}

Reg ProgramBuilder::round(Reg a, Reg shift, Round mode, Reg noise) {
    if (shift.is_constant())
        return round(a, static_cast<int>(std::min<std::int64_t>(shift.low, 60)), mode, noise);
    // Shifts are at most 60 (the caller clamps them), and beyond 2^59 a nearest one would show it.
    bounded(Wide{a.low} - (Wide{1} << 60), Wide{a.high} + (Wide{1} << 60));
    const std::int64_t low = a.low < 0 ? a.low >> shift.low : 0;
    const std::int64_t high = a.high > 0 ? -((-a.high) >> shift.low) : 0;
    const auto code =
        static_cast<OpCode>(static_cast<int>(OpCode::RoundFloor) + static_cast<int>(mode));
    return emit(code, a, shift, mode == Round::Stochastic ? noise : a, low, high);
}

Reg ProgramBuilder::toward_zero(Reg a, Reg by) {
    const std::int64_t more = by.low < 0 ? -by.low : 0;
    const auto [low, high] = bounded(Wide{std::min<std::int64_t>(a.low, 0)} - more,
                                     Wide{std::max<std::int64_t>(a.high, 0)} + more);
    return emit(OpCode::Toward, a, by, a, low, high);
}

Reg ProgramBuilder::ge(Reg a, Reg b) {
    if (a.low >= b.high) return constant(-1);
    if (a.high < b.low) return constant(0);
    return emit(OpCode::Ge, a, b, a, -1, 0);
}

Reg ProgramBuilder::gt(Reg a, Reg b) {
    if (a.low > b.high) return constant(-1);
    if (a.high <= b.low) return constant(0);
    return emit(OpCode::Gt, a, b, a, -1, 0);
}

Reg ProgramBuilder::is_zero(Reg a) {
    if (a.low > 0 || a.high < 0) return constant(0);
    if (a.is_constant()) return constant(-1);
    return emit(OpCode::EqZero, a, a, a, -1, 0);
}

Reg ProgramBuilder::positive(Reg a) {
    if (a.high <= 0) return constant(0);
    return emit(OpCode::Positive, a, a, a, -1, 0);
}

Reg ProgramBuilder::both(Reg a, Reg b) {
    if (a.is_constant()) return a.low == 0 ? a : b;
    if (b.is_constant()) return b.low == 0 ? b : a;
    return emit(OpCode::And, a, b, a, -1, 0);
}

Reg ProgramBuilder::either(Reg a, Reg b) {
    if (a.is_constant()) return a.low == 0 ? b : a;
    if (b.is_constant()) return b.low == 0 ? a : b;
    return emit(OpCode::Or, a, b, a, -1, 0);
}

Reg ProgramBuilder::except(Reg a, Reg b) {
    if (b.is_constant()) return b.low == 0 ? a : constant(0);
    if (a.is_constant() && a.low == 0) return a;
    return emit(OpCode::AndNot, a, b, a, -1, 0);
}

Reg ProgramBuilder::select(Reg mask, Reg yes, Reg no) {
    if (mask.is_constant()) return mask.low == 0 ? no : yes;
    if (yes.column == no.column) return yes;
    return emit(OpCode::Select, mask, yes, no, std::min(yes.low, no.low),
                std::max(yes.high, no.high));
}

Reg ProgramBuilder::low_bits(Reg a, int bits) {
    const std::int64_t highest = (std::int64_t{1} << bits) - 1;
    if (a.low >= 0 && a.high <= highest) return a;
    if (a.is_constant()) return constant(a.low & highest);
    return emit(OpCode::AndK, a, a, a, 0, highest, highest);
}

Reg ProgramBuilder::fit(Reg a, int bits, bool is_signed, const OverflowRule& rule) {
    const std::int64_t lowest = is_signed ? -(std::int64_t{1} << (bits - 1)) : 0;
    const std::int64_t highest = (std::int64_t{1} << (is_signed ? bits - 1 : bits)) - 1;
    const auto bound = [&](Edge edge, std::int64_t at, std::int64_t end) {
        if (edge != Edge::At) return end;
        if ((at < lowest || at > highest) && status_)
            status_ = Error{Errc::BadConfig,
                            fmt::format("the bound {} of the overflow does not fit in {} {} bits",
                                        at, bits, is_signed ? "signed" : "unsigned"),
                            part_};
        return at;
    };
    const std::int64_t low = bound(rule.low, rule.low_at, lowest);
    const std::int64_t high = bound(rule.high, rule.high_at, highest);
    if (low > high && status_)
        status_ =
            Error{Errc::BadConfig, "the low bound of the overflow is above the high one", part_};
    const bool clamps_low = rule.low != Edge::Wrap && a.low < low;
    const bool clamps_high = rule.high != Edge::Wrap && a.high > high;
    if (a.is_constant() && !clamps_low && !clamps_high && a.low >= lowest && a.low <= highest)
        return a;
    if (clamps_low && clamps_high) {
        a = emit(OpCode::Clamp, a, a, a, std::clamp(a.low, low, high),
                 std::clamp(a.high, low, high), low, high);
    } else if (clamps_low) {
        a = emit(OpCode::ClampLow, a, a, a, low, std::max(a.high, low), low);
    } else if (clamps_high) {
        a = emit(OpCode::ClampHigh, a, a, a, std::min(a.low, high), high, high);
    }
    if (a.low >= lowest && a.high <= highest) return a;
    if (!is_signed) return low_bits(a, bits);
    return emit(OpCode::WrapS, a, a, a, lowest, highest, 64 - bits);
}

Result<Program> ProgramBuilder::finish() {
    if (!status_) return status_.error();
    // Operations whose results nothing uses go; then temporaries share columns once they are dead.
    std::vector<std::uint8_t> used(program_.columns_.size(), 0);
    std::vector<Raw> kept;
    for (std::size_t i = raw_.size(); i-- > 0;) {
        const Raw& r = raw_[i];
        if (temporary_[r.d] != 0 && used[r.d] == 0) continue;
        used[r.a] = used[r.b] = used[r.c] = 1;
        kept.push_back(r);
    }
    std::ranges::reverse(kept);
    std::vector<std::size_t> last(program_.columns_.size(), 0);
    for (std::size_t i = 0; i < kept.size(); ++i)
        for (const std::uint16_t column : {kept[i].a, kept[i].b, kept[i].c}) last[column] = i;
    std::vector<std::int64_t*> free;
    std::vector<std::pair<std::size_t, std::uint16_t>> live;
    for (std::size_t i = 0; i < kept.size(); ++i) {
        const Raw& r = kept[i];
        // An operation may write over its own operands: it reads each element before writing it.
        std::erase_if(live, [&](const auto& entry) {
            if (entry.first > i) return false;
            free.push_back(program_.columns_[entry.second].base);
            return true;
        });
        if (temporary_[r.d] != 0) {
            if (free.empty()) {
                program_.owned_.emplace_back(kTile, 0);
                free.push_back(program_.owned_.back().data());
            }
            program_.columns_[r.d].base = free.back();
            free.pop_back();
            live.emplace_back(last[r.d], r.d);
        }
        program_.steps_.push_back(
            {ops_.of[static_cast<std::size_t>(r.code)], r.d, r.a, r.b, r.c, r.k0, r.k1});
    }
    return std::move(program_);
}

}  // namespace spikelock::golden::detail

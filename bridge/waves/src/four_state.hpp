// SPDX-License-Identifier: Apache-2.0
// Numbers of four states as a waveform shows them, and expressions over them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "spikelock/trace/observation_plan.hpp"

namespace spikelock::bridge::waves::detail {

using trace::plan::Op;

inline constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// A four-state number as in VPI: a bit is unknown (x or z) where `unknown` has it.
struct Four {
    std::uint64_t value = 0;
    std::uint64_t unknown = 0;

    bool known() const noexcept { return unknown == 0; }
    bool is_true() const noexcept { return (value & ~unknown) != 0; }
    bool is_false() const noexcept { return value == 0 && unknown == 0; }
};

inline std::uint64_t low_mask(std::uint32_t bits) noexcept {
    return bits >= 64 ? kAll : (std::uint64_t{1} << bits) - 1;
}

/// A field brought down to words of the state.
struct Place {
    std::uint32_t word = 0;
    std::uint8_t shift = 0;
    bool two_words = false;
    std::uint64_t mask = 1;

    static Place at(std::uint32_t word, std::uint32_t lsb, std::uint32_t width) noexcept {
        Place p;
        p.word = word + lsb / 64;
        p.shift = static_cast<std::uint8_t>(lsb % 64);
        p.two_words = lsb % 64 + width > 64;
        p.mask = low_mask(width);
        return p;
    }
};

/// What is in force: every selected signal, in words of its own.
class State {
public:
    /// @returns the first of so many words
    std::uint32_t add(std::size_t words) {
        const auto first = static_cast<std::uint32_t>(value_.size());
        value_.resize(value_.size() + words, 0);
        // Nothing is known before the first change.
        unknown_.resize(value_.size(), kAll);
        return first;
    }
    Four load(const Place& p) const noexcept {
        std::uint64_t value = value_[p.word] >> p.shift;
        std::uint64_t unknown = unknown_[p.word] >> p.shift;
        if (p.two_words) {
            value |= value_[p.word + 1] << (64 - p.shift);
            unknown |= unknown_[p.word + 1] << (64 - p.shift);
        }
        return {value & p.mask, unknown & p.mask};
    }
    void store(const Place& p, std::uint64_t value, std::uint64_t unknown) noexcept {
        const std::uint64_t mask = p.mask << p.shift;
        value_[p.word] = (value_[p.word] & ~mask) | (value << p.shift);
        unknown_[p.word] = (unknown_[p.word] & ~mask) | (unknown << p.shift);
        if (!p.two_words) return;
        const std::uint64_t high = p.mask >> (64 - p.shift);
        value_[p.word + 1] = (value_[p.word + 1] & ~high) | (value >> (64 - p.shift));
        unknown_[p.word + 1] = (unknown_[p.word + 1] & ~high) | (unknown >> (64 - p.shift));
    }

private:
    std::vector<std::uint64_t> value_;
    std::vector<std::uint64_t> unknown_;
};

/// An expression over the state; mostly one field.
class Program {
public:
    struct Code {
        Op op;
        std::uint64_t value;
        Place place;
        std::uint32_t stride = 0;  ///< LoadWord: from word to word, and how many there are
        std::uint32_t words = 0;
    };
    void add(const Code& code) { code_.push_back(code); }
    bool empty() const noexcept { return code_.empty(); }
    bool simple() const noexcept { return code_.size() == 1 && code_[0].op == Op::Load; }
    Four eval(const State& state) const noexcept {
        if (__builtin_expect(simple(), 1)) return state.load(code_[0].place);
        return run(state);
    }

private:
    static Four truth(bool sure, bool value) noexcept {
        return {static_cast<std::uint64_t>(value), sure ? std::uint64_t{0} : std::uint64_t{1}};
    }
    static Four number(Four a, Four b, std::uint64_t result) noexcept {
        return a.known() && b.known() ? Four{result, 0} : Four{0, kAll};
    }
    static Four binary(Op op, Four a, Four b) noexcept {
        const std::uint64_t x = a.value;
        const std::uint64_t y = b.value;
        switch (op) {
            case Op::And: {
                const std::uint64_t zero = (~x & ~a.unknown) | (~y & ~b.unknown);
                return {x & y & ~zero, (a.unknown | b.unknown) & ~zero};
            }
            case Op::Or: {
                const std::uint64_t one = (x & ~a.unknown) | (y & ~b.unknown);
                return {x | y, (a.unknown | b.unknown) & ~one};
            }
            case Op::Xor:
                return {x ^ y, a.unknown | b.unknown};
            case Op::Shl:
                if (!b.known()) return {0, kAll};
                return y > 63 ? Four{} : Four{x << y, a.unknown << y};
            case Op::Shr:
                if (!b.known()) return {0, kAll};
                return y > 63 ? Four{} : Four{x >> y, a.unknown >> y};
            case Op::Eq:
            case Op::Ne: {
                // One pair of known bits that differ decides.
                const bool differ = ((x ^ y) & ~a.unknown & ~b.unknown) != 0;
                const bool sure = differ || (a.known() && b.known());
                return truth(sure, sure && (differ == (op == Op::Ne)));
            }
            case Op::Lt:
            case Op::Le:
            case Op::Gt:
            case Op::Ge:
                return truth(a.known() && b.known(),
                             a.known() && b.known() && trace::plan::apply(op, x, y) != 0);
            case Op::LogicAnd:
                if (a.is_false() || b.is_false()) return {};
                return truth(a.is_true() && b.is_true(), true);
            case Op::LogicOr:
                if (a.is_true() || b.is_true()) return {1, 0};
                return truth(a.is_false() && b.is_false(), false);
            default:
                return number(a, b, trace::plan::apply(op, x, y));
        }
    }
    __attribute__((noinline)) Four run(const State& state) const noexcept {
        Four stack[trace::plan::kMostCodes];
        std::size_t top = 0;
        for (const Code& c : code_) {
            switch (c.op) {
                case Op::Const:
                    stack[top++] = {c.value, 0};
                    break;
                case Op::Load:
                    stack[top++] = state.load(c.place);
                    break;
                case Op::LoadWord: {
                    Four& a = stack[top - 1];
                    Place place = c.place;
                    place.word += a.known() && a.value < c.words
                                      ? static_cast<std::uint32_t>(a.value) * c.stride
                                      : 0;
                    if (!a.known())
                        a = {0, place.mask};
                    else
                        a = a.value < c.words ? state.load(place) : Four{};
                    break;
                }
                case Op::Extend:
                case Op::Reverse: {
                    // An unknown bit goes where its value would have gone.
                    Four& a = stack[top - 1];
                    const auto moved =
                        c.op == Op::Extend ? trace::plan::extended : trace::plan::reversed;
                    a = {moved(a.value, c.value), moved(a.unknown, c.value)};
                    break;
                }
                case Op::LogicNot: {
                    Four& a = stack[top - 1];
                    a = truth(a.is_true() || a.is_false(), a.is_false());
                    break;
                }
                case Op::Not:
                    stack[top - 1].value = ~stack[top - 1].value;
                    break;
                case Op::Neg: {
                    Four& a = stack[top - 1];
                    a = number(a, a, 0 - a.value);
                    break;
                }
                case Op::Select: {
                    top -= 2;
                    Four& a = stack[top - 1];
                    const Four yes = stack[top];
                    const Four no = stack[top + 1];
                    if (a.is_true()) {
                        a = yes;
                    } else if (a.is_false()) {
                        a = no;
                    } else {
                        a = {yes.value & no.value,
                             yes.unknown | no.unknown | (yes.value ^ no.value)};
                    }
                    break;
                }
                default: {
                    const Four b = stack[--top];
                    stack[top - 1] = binary(c.op, stack[top - 1], b);
                    break;
                }
            }
        }
        return stack[0];
    }

    std::vector<Code> code_;
};

inline std::string bits_text(Four value, std::uint32_t width) {
    std::string text;
    for (std::uint32_t i = std::min(width, 64U); i-- > 0;) {
        const bool v = (value.value >> i & 1) != 0;
        text += (value.unknown >> i & 1) != 0 ? (v ? 'x' : 'z') : (v ? '1' : '0');
    }
    return text;
}

}  // namespace spikelock::bridge::waves::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

#include "spikelock/golden/description.hpp"

namespace spikelock::golden {

/// The register of a Noise after one shift.
/// @source docs/golden.md section 9
inline std::uint64_t shifted_once(std::uint64_t state, const Noise& n) noexcept {
    const std::uint64_t all = (std::uint64_t{1} << n.bits) - 1;
    const auto taps = static_cast<std::uint64_t>(n.taps);
    if (n.form == LfsrForm::Fibonacci) {
        const std::uint64_t bit =
            (static_cast<std::uint64_t>(std::popcount(state & taps)) & 1) ^ (n.xnor ? 1 : 0);
        return n.direction == Direction::Left ? ((state << 1) | bit) & all
                                              : (state >> 1) | (bit << (n.bits - 1));
    }
    const std::uint64_t out =
        n.direction == Direction::Left ? (state >> (n.bits - 1)) & 1 : state & 1;
    const std::uint64_t moved = n.direction == Direction::Left ? (state << 1) & all : state >> 1;
    return (out != 0) != n.xnor ? moved ^ taps : moved;
}

/// What is used of a register.
inline std::int64_t value_of(std::uint64_t state, const Noise& n) noexcept {
    auto value = static_cast<std::int64_t>((state >> n.lsb) & ((std::uint64_t{1} << n.width) - 1));
    if (n.is_signed && (value >> (n.width - 1)) != 0) value -= std::int64_t{1} << n.width;
    return (value + n.offset) * (std::int64_t{1} << n.shift);
}

/// Advances the register and gives the value of one draw.
inline std::int64_t draw(std::uint64_t& state, const Noise& n) noexcept {
    const std::int64_t before = value_of(state, n);
    for (int i = 0; i < n.shifts; ++i) state = shifted_once(state, n);
    return n.read == Read::Before ? before : value_of(state, n);
}

}  // namespace spikelock::golden

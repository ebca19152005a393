// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "spikelock/golden/network.hpp"

namespace spikelock::golden {

/// Brings x into `bits` bits, two's complement.
/// @pre 2 <= bits <= 63
/// @source docs/model.md section 1
constexpr std::int64_t fit(std::int64_t x, int bits, Overflow mode) noexcept {
    if (mode == Overflow::Wrap) {
        const int unused = 64 - bits;
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) << unused) >> unused;
    }
    const std::int64_t highest = (std::int64_t{1} << (bits - 1)) - 1;
    return x > highest ? highest : x < -highest - 1 ? -highest - 1 : x;
}

/// x / 2^shift rounded to an integer.
/// @pre 0 <= shift <= 61, |x| < 2^61
/// @source docs/model.md section 1, table of rounding modes
constexpr std::int64_t rnd(std::int64_t x, int shift, Rounding mode) noexcept {
    if (shift == 0) return x;
    const std::int64_t one = std::int64_t{1} << shift;
    switch (mode) {
        case Rounding::Floor:
            return x >> shift;
        case Rounding::TowardZero:
            return x < 0 ? -((-x) >> shift) : x >> shift;
        case Rounding::AwayFromZero:
            return x < 0 ? -((-x + one - 1) >> shift) : (x + one - 1) >> shift;
        case Rounding::NearestEven:
            return (x + (one >> 1) - 1 + ((x >> shift) & 1)) >> shift;
    }
    return 0;
}

/// What is left of x after one timestep of leak; `factor` is a shift or a multiplier.
/// @pre |x| < 2^32, factor < 2^(leak_frac + 1)
/// @source docs/model.md section 3
constexpr std::int64_t decay(std::int64_t x, std::uint32_t factor, const Arithmetic& a) noexcept {
    if (a.leak_mode == LeakMode::Multiply) return rnd(x * factor, a.leak_frac, a.rounding);
    // A shift has leak_frac + 1 bits and may exceed any word. Beyond 33 bits each mode has reached
    // its limit (0 or the sign of x), since |x| / 2^33 < 1/2.
    if (factor == 0) return x;
    return x - rnd(x, factor < 34 ? static_cast<int>(factor) : 34, a.rounding);
}

}  // namespace spikelock::golden

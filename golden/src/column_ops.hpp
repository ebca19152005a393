// SPDX-License-Identifier: Apache-2.0
// Operations on columns: the same integer operation for a stretch of neurons.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace spikelock::golden::detail {

/// d = op(a, b, c) for each element, with constants k0 and k1. Masks are -1 and 0.
enum class OpCode : std::uint8_t {
    Copy,       ///< a
    Add,        ///< a + b
    Sub,        ///< a - b
    Mul,        ///< a * b
    ShlK,       ///< a << k0
    AndK,       ///< a & k0
    Clamp,      ///< a in k0..k1
    ClampLow,   ///< at least k0
    ClampHigh,  ///< at most k0
    WrapS,      ///< low 64 - k0 bits of a, sign-extended
    And,
    Or,
    AndNot,  ///< a & ~b
    Select,  ///< a ? b : c
    Ge,
    Gt,
    EqZero,    ///< a == 0
    Positive,  ///< a > 0
    Toward,    ///< a moved toward 0 by b, not beyond; b < 0: away from it
    // Rounded a / 2^k0, and a / 2^b; the stochastic ones add the low bits of c before the floor.
    RoundKFloor,
    RoundKTowardZero,
    RoundKAwayFromZero,
    RoundKNearestEven,
    RoundKUp,
    RoundKHalfUp,
    RoundKHalfAway,
    RoundKStochastic,
    RoundFloor,
    RoundTowardZero,
    RoundAwayFromZero,
    RoundNearestEven,
    RoundUp,
    RoundHalfUp,
    RoundHalfAway,
    RoundStochastic,
};
inline constexpr std::size_t kOpCodes = static_cast<std::size_t>(OpCode::RoundStochastic) + 1;

using ColumnOp = void (*)(std::int64_t* d, const std::int64_t* a, const std::int64_t* b,
                          const std::int64_t* c, std::size_t n, std::int64_t k0,
                          std::int64_t k1) noexcept;

/// d[n] = base[n] - spread + a random number in 0..2*spread, of lane n.
/// @param random_row  of base/random.hpp's CounterRandom
using SpreadOp = void (*)(std::int32_t* d, const std::int32_t* base, std::size_t n,
                          std::uint64_t random_row, std::int32_t spread) noexcept;

/// One instruction set's implementation.
struct ColumnOps {
    const char* name;
    std::array<ColumnOp, kOpCodes> of{};
    SpreadOp spread = nullptr;
};

const ColumnOps& column_ops_generic() noexcept;
/// nullptr where not compiled in or where this CPU does not run them.
const ColumnOps* column_ops_avx2() noexcept;
const ColumnOps* column_ops_avx512() noexcept;
/// The fastest that this CPU runs.
const ColumnOps& column_ops_best() noexcept;

}  // namespace spikelock::golden::detail

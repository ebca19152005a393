// SPDX-License-Identifier: Apache-2.0
// The body that each column_ops_<set>.cpp compiles with its own target; rules as in
// kernels_body.hpp.
#include "column_ops.hpp"
#include "spikelock/base/random.hpp"

#define SPIKELOCK_INLINE [[gnu::always_inline]] inline
#if defined(__clang__)
#define SPIKELOCK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SPIKELOCK_INDEPENDENT _Pragma("GCC ivdep")
#else
#define SPIKELOCK_INDEPENDENT
#endif

namespace spikelock::golden::detail::SPIKELOCK_KERNEL_SET {

using I = std::int64_t;
using U = std::uint64_t;

// Sums and products are proved to fit by the program's builder; going through unsigned keeps the
// vectorised lanes of a masked-out branch from being undefined.
SPIKELOCK_INLINE I add(I a, I b) noexcept {
    return static_cast<I>(static_cast<U>(a) + static_cast<U>(b));
}
SPIKELOCK_INLINE I sub(I a, I b) noexcept {
    return static_cast<I>(static_cast<U>(a) - static_cast<U>(b));
}
SPIKELOCK_INLINE I mul(I a, I b) noexcept {
    return static_cast<I>(static_cast<U>(a) * static_cast<U>(b));
}
SPIKELOCK_INLINE I shl(I a, I s) noexcept { return static_cast<I>(static_cast<U>(a) << s); }
SPIKELOCK_INLINE I mask(bool x) noexcept { return -static_cast<I>(x); }
SPIKELOCK_INLINE I select(I m, I a, I b) noexcept { return (a & m) | (b & ~m); }

/// Each mode is the floor of x plus an offset; with s = 0 all offsets are 0.
/// @param r  noise of the stochastic mode
template <OpCode FloorCode, OpCode Code>
SPIKELOCK_INLINE I rounded(I x, I s, I r) noexcept {
    constexpr int kMode = static_cast<int>(Code) - static_cast<int>(FloorCode);
    const I below_one = sub(shl(1, s), 1);
    const I negative = x >> 63;
    const I half = below_one - (below_one >> 1);  // 2^(s-1), or 0
    if constexpr (kMode == 0) return x >> s;
    if constexpr (kMode == 1) return add(x, below_one & negative) >> s;
    if constexpr (kMode == 2) return add(x, below_one & ~negative) >> s;
    if constexpr (kMode == 3) return add(x, (below_one >> 1) + ((x >> s) & below_one & 1)) >> s;
    if constexpr (kMode == 4) return add(x, below_one) >> s;
    if constexpr (kMode == 5) return add(x, half) >> s;
    if constexpr (kMode == 6) return add(x, half + (negative & mask(s != 0) & -1)) >> s;
    return add(x, r & below_one) >> s;
}

template <OpCode Code>
SPIKELOCK_INLINE I compute(I a, I b, I c, I k0, I k1) noexcept {
    if constexpr (Code == OpCode::Copy) return a;
    if constexpr (Code == OpCode::Add) return add(a, b);
    if constexpr (Code == OpCode::Sub) return sub(a, b);
    if constexpr (Code == OpCode::Mul) return mul(a, b);
    if constexpr (Code == OpCode::ShlK) return shl(a, k0);
    if constexpr (Code == OpCode::AndK) return a & k0;
    if constexpr (Code == OpCode::Clamp) {
        const I low = a < k0 ? k0 : a;
        return low > k1 ? k1 : low;
    }
    if constexpr (Code == OpCode::ClampLow) return a < k0 ? k0 : a;
    if constexpr (Code == OpCode::ClampHigh) return a > k0 ? k0 : a;
    if constexpr (Code == OpCode::WrapS) return shl(a, k0) >> k0;
    if constexpr (Code == OpCode::And) return a & b;
    if constexpr (Code == OpCode::Or) return a | b;
    if constexpr (Code == OpCode::AndNot) return a & ~b;
    if constexpr (Code == OpCode::Select) return select(a, b, c);
    if constexpr (Code == OpCode::Ge) return mask(a >= b);
    if constexpr (Code == OpCode::Gt) return mask(a > b);
    if constexpr (Code == OpCode::EqZero) return mask(a == 0);
    if constexpr (Code == OpCode::Positive) return mask(a > 0);
    if constexpr (Code == OpCode::Toward) {
        const I down = sub(a, b);
        const I up = add(a, b);
        return a > 0 ? (down < 0 ? 0 : down) : a < 0 ? (up > 0 ? 0 : up) : 0;
    }
    if constexpr (Code >= OpCode::RoundKFloor && Code < OpCode::RoundFloor)
        return rounded<OpCode::RoundKFloor, Code>(a, k0, c);
    if constexpr (Code >= OpCode::RoundFloor) return rounded<OpCode::RoundFloor, Code>(a, b, c);
    return 0;
}

template <OpCode Code>
SPIKELOCK_KERNEL_TARGET void apply(I* d, const I* a, const I* b, const I* c, std::size_t n, I k0,
                                   I k1) noexcept {
    SPIKELOCK_INDEPENDENT
    for (std::size_t i = 0; i < n; ++i) d[i] = compute<Code>(a[i], b[i], c[i], k0, k1);
}

SPIKELOCK_KERNEL_TARGET inline void spread_row(std::int32_t* d, const std::int32_t* base,
                                               std::size_t n, U random_row,
                                               std::int32_t spread) noexcept {
    const U range = 2 * static_cast<U>(spread) + 1;
    SPIKELOCK_INDEPENDENT
    for (std::size_t i = 0; i < n; ++i) {
        const U drawn = (CounterRandom::lane_bits(random_row, i) >> 32) * range >> 32;
        d[i] = static_cast<std::int32_t>(base[i] + static_cast<I>(drawn) - spread);
    }
}

template <std::size_t Index>
constexpr void fill(std::array<ColumnOp, kOpCodes>& table) noexcept {
    table[Index] = &apply<static_cast<OpCode>(Index)>;
    if constexpr (Index + 1 < kOpCodes) fill<Index + 1>(table);
}

constexpr ColumnOps make_ops(const char* name) noexcept {
    ColumnOps ops{name, {}, &spread_row};
    fill<0>(ops.of);
    return ops;
}

}  // namespace spikelock::golden::detail::SPIKELOCK_KERNEL_SET

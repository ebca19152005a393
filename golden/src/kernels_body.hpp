// SPDX-License-Identifier: Apache-2.0
// The body that each kernels_<set>.cpp compiles with its own target. The includer defines
// SPIKELOCK_KERNEL_SET (a namespace name, so that no two sets share a symbol) and
// SPIKELOCK_KERNEL_TARGET (an attribute, or nothing). Nothing here may call a function of the
// standard library: an inline one compiled for AVX-512 could be the copy that the linker keeps.
// No include guard: this is included once per translation unit by construction.
#include <utility>

#include "kernels.hpp"
#include "spikelock/golden/network.hpp"

#define SPIKELOCK_INLINE [[gnu::always_inline]] inline
// The arrays of a loop do not overlap. GCC takes this from a pragma, not from local __restrict.
#if defined(__clang__)
#define SPIKELOCK_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define SPIKELOCK_INDEPENDENT _Pragma("GCC ivdep")
#else
#define SPIKELOCK_INDEPENDENT
#endif

namespace spikelock::golden::detail::SPIKELOCK_KERNEL_SET {

template <typename T>
struct UnsignedOf;
template <>
struct UnsignedOf<std::int32_t> {
    using Type = std::uint32_t;
};
template <>
struct UnsignedOf<std::int64_t> {
    using Type = std::uint64_t;
};

template <typename T>
inline constexpr int kBits = static_cast<int>(8 * sizeof(T));

/// The low `bits` bits of x, sign-extended.
template <typename T>
SPIKELOCK_INLINE T wrap(T x, int bits) noexcept {
    using U = typename UnsignedOf<T>::Type;
    const int unused = kBits<T> - bits;
    return static_cast<T>(static_cast<U>(x) << unused) >> unused;
}

template <bool Saturate, typename T>
SPIKELOCK_INLINE T fit(T x, int bits) noexcept {
    if constexpr (Saturate) {
        const T highest = static_cast<T>((T{1} << (bits - 1)) - 1);
        const T low = x > highest ? highest : x;
        return low < -highest - 1 ? -highest - 1 : low;
    } else {
        return wrap(x, bits);
    }
}

/// rnd() of model.md without branches. Each mode is the floor of x plus an offset:
/// ceil(x / 2^s) = floor((x + 2^s - 1) / 2^s). With s = 0 all offsets are 0.
template <Rounding Mode, typename T>
SPIKELOCK_INLINE T rnd(T x, T s) noexcept {
    if constexpr (Mode == Rounding::Floor) return x >> s;
    const T below_one = static_cast<T>((T{1} << s) - 1);
    const T negative = x >> (kBits<T> - 1);
    if constexpr (Mode == Rounding::TowardZero) return (x + (below_one & negative)) >> s;
    if constexpr (Mode == Rounding::AwayFromZero) return (x + (below_one & ~negative)) >> s;
    return (x + (below_one >> 1) + ((x >> s) & below_one & 1)) >> s;
}

template <std::size_t LeakKind, typename T>
SPIKELOCK_INLINE T decay(T x, T factor, int leak_frac) noexcept {
    if constexpr (LeakKind == kLeakNone) {
        return x;
    } else if constexpr (LeakKind < kLeakMultiply) {
        constexpr auto kMode = static_cast<Rounding>(LeakKind - kLeakShift);
        // Shift 0 stands for no leak, although rnd(x, 0) is x.
        const T active = static_cast<T>(-static_cast<T>(factor != 0));
        return x - (rnd<kMode>(x, factor) & active);
    } else {
        constexpr auto kMode = static_cast<Rounding>(LeakKind - kLeakMultiply);
        return rnd<kMode>(static_cast<T>(x * factor), static_cast<T>(leak_frac));
    }
}

template <typename T, std::size_t Index>
SPIKELOCK_KERNEL_TARGET void sweep(const SweepArgs<T>& args, std::size_t begin,
                                   std::size_t end) noexcept {
    constexpr SweepKey kKey = SweepKey::of(Index);
    constexpr auto kMode = static_cast<Rounding>(kKey.leak == kLeakNone ? 0 : (kKey.leak - 1) % 4);
    std::int32_t* const acc = args.acc;
    T* const v = args.v;
    T* const u = args.u;
    T* const refr = args.refr;
    T* const i_syn_out = args.i_syn;
    T* const fired_out = args.fired;
    const T* const fires_at = args.fires_at;
    const T* const threshold = args.threshold;
    const T* const v_reset = args.v_reset;
    const T* const bias = args.bias;
    const T* const leak = args.leak;
    const T* const u_decay = args.u_decay;
    const T* const refractory = args.refractory;
    const int acc_bits = args.acc_bits;
    const int v_bits = args.v_bits;
    const int u_bits = args.u_bits;
    const int leak_frac = args.leak_frac;
    const T u_shift = args.u_shift;

    SPIKELOCK_INDEPENDENT
    for (std::size_t n = begin; n < end; ++n) {
        const T i_syn = wrap(static_cast<T>(acc[n]), acc_bits);
        acc[n] = 0;
        i_syn_out[n] = i_syn;
        T drive = i_syn + bias[n];
        if constexpr (kKey.cuba) {
            const T next_u = fit<kKey.saturate>(
                static_cast<T>(decay<kKey.leak>(u[n], u_decay[n], leak_frac) + drive), u_bits);
            u[n] = next_u;
            drive = rnd<kMode>(next_u, u_shift);
        }
        const T old_v = v[n];
        const T v1 = fit<kKey.saturate>(
            static_cast<T>(decay<kKey.leak>(old_v, leak[n], leak_frac) + drive), v_bits);
        T fires = static_cast<T>(-static_cast<T>(v1 >= fires_at[n]));
        T held = 0;
        if constexpr (kKey.refractory) {
            const T left = refr[n];
            held = static_cast<T>(-static_cast<T>(left > 0));
            fires = fires & ~held;
            refr[n] = (refractory[n] & fires) | ((left - 1) & held);
        }
        T reset = 0;
        if constexpr (kKey.subtract) {
            reset = fit<kKey.saturate>(static_cast<T>(v1 - threshold[n]), v_bits);
        } else {
            reset = v_reset[n];
        }
        T next_v = (reset & fires) | (v1 & ~fires);
        if constexpr (kKey.refractory) next_v = (old_v & held) | (next_v & ~held);
        v[n] = next_v;
        fired_out[n] = fires;
    }
}

template <typename T>
SPIKELOCK_KERNEL_TARGET std::uint64_t pack(const T* fired) noexcept {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 64; ++i) word |= static_cast<std::uint64_t>(fired[i] & 1) << i;
    return word;
}

SPIKELOCK_KERNEL_TARGET inline void add_wrap(std::int32_t* to, const std::int32_t* from,
                                             std::size_t count) noexcept {
    std::int32_t* const sum = to;
    SPIKELOCK_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i)
        sum[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum[i]) +
                                           static_cast<std::uint32_t>(from[i]));
}

SPIKELOCK_KERNEL_TARGET inline void add_saturate(std::int32_t* to, const std::int32_t* from,
                                                 std::size_t count, int bits) noexcept {
    std::int32_t* const sum = to;
    SPIKELOCK_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) sum[i] = fit<true>(sum[i] + from[i], bits);
}

template <typename Stored, typename T>
SPIKELOCK_KERNEL_TARGET void store(std::byte* to, const T* from, std::size_t count) noexcept {
    // Rows of a block are aligned to their element, since the block is and all elements are alike.
    Stored* const out = reinterpret_cast<Stored*>(to);
    SPIKELOCK_INDEPENDENT
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<Stored>(from[i]);
}

/// The slots of kernels that no network chooses stay empty: without leak there is no rounding, so
/// a CUBA chunk, which rounds its drive, always has a leak kind.
template <typename T, std::size_t... Index>
constexpr std::array<Sweep<T>, kSweeps> sweeps(std::index_sequence<Index...>) noexcept {
    return {[] {
        constexpr SweepKey kKey = SweepKey::of(Index);
        if constexpr (kKey.cuba && kKey.leak == kLeakNone)
            return Sweep<T>{nullptr};
        else
            return Sweep<T>{&sweep<T, Index>};
    }()...};
}

constexpr KernelTable make_table(const char* name) noexcept {
    return {.name = name,
            .sweep32 = sweeps<std::int32_t>(std::make_index_sequence<kSweeps>{}),
            .sweep64 = sweeps<std::int64_t>(std::make_index_sequence<kSweeps>{}),
            .pack32 = &pack<std::int32_t>,
            .pack64 = &pack<std::int64_t>,
            .add_wrap = &add_wrap,
            .add_saturate = &add_saturate,
            .store32 = {&store<std::int8_t, std::int32_t>, &store<std::int16_t, std::int32_t>,
                        &store<std::int32_t, std::int32_t>},
            .store64 = {&store<std::int8_t, std::int64_t>, &store<std::int16_t, std::int64_t>,
                        &store<std::int32_t, std::int64_t>, &store<std::int64_t, std::int64_t>}};
}

}  // namespace spikelock::golden::detail::SPIKELOCK_KERNEL_SET

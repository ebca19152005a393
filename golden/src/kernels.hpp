// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a sweep as loops over neurons, one table of functions per instruction set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace spikelock::golden::detail {

/// What the neurons of a chunk do for leak; a rounding mode added to the second and third.
enum Leak : std::size_t { kLeakNone = 0, kLeakShift = 1, kLeakMultiply = 5, kLeakKinds = 9 };

/// Parameters that choose a kernel.
struct SweepKey {
    std::size_t leak = kLeakNone;  ///< Leak, plus the rounding mode unless kLeakNone
    bool saturate = false;         ///< v_overflow
    bool subtract = false;         ///< reset_mode
    bool refractory = false;       ///< some neuron of the chunk has a refractory period
    bool cuba = false;             ///< all neurons of the chunk have the filter, else none

    constexpr std::size_t index() const noexcept {
        return (((leak * 2 + (saturate ? 1 : 0)) * 2 + (subtract ? 1 : 0)) * 2 +
                (refractory ? 1 : 0)) *
                   2 +
               (cuba ? 1 : 0);
    }
    static constexpr SweepKey of(std::size_t index) noexcept {
        return {.leak = index >> 4,
                .saturate = (index & 8) != 0,
                .subtract = (index & 4) != 0,
                .refractory = (index & 2) != 0,
                .cuba = (index & 1) != 0};
    }
};
inline constexpr std::size_t kSweeps = kLeakKinds * 16;

/// Arrays over all neurons and what is alike for all of them. T holds the intermediates: int32
/// where golden_source.cpp proves that they fit, else int64.
template <typename T>
struct SweepArgs {
    std::int32_t* acc = nullptr;  ///< current slot; any representative modulo 2^acc_bits, cleared
    T* v = nullptr;
    T* u = nullptr;
    T* refr = nullptr;
    T* i_syn = nullptr;           ///< written
    T* fired = nullptr;           ///< written: -1 or 0
    const T* fires_at = nullptr;  ///< least v1 that fires: threshold, one more where `>` compares,
                                  ///< the largest T for neurons that never fire
    const T* threshold = nullptr;
    const T* v_reset = nullptr;
    const T* bias = nullptr;
    const T* leak = nullptr;  ///< shifts at most the width of their operand
    const T* u_decay = nullptr;
    const T* refractory = nullptr;
    int acc_bits = 0;
    int v_bits = 0;
    int u_bits = 0;
    int leak_frac = 0;
    int u_shift = 0;
};

template <typename T>
using Sweep = void (*)(const SweepArgs<T>& args, std::size_t begin, std::size_t end) noexcept;

/// One instruction set.
struct KernelTable {
    const char* name = "";
    std::array<Sweep<std::int32_t>, kSweeps> sweep32{};
    std::array<Sweep<std::int64_t>, kSweeps> sweep64{};
    /// One word of spikes from 64 elements of `fired`.
    std::uint64_t (*pack32)(const std::int32_t* fired) noexcept = nullptr;
    std::uint64_t (*pack64)(const std::int64_t* fired) noexcept = nullptr;
    /// to[i] += from[i] modulo 2^32.
    void (*add_wrap)(std::int32_t* to, const std::int32_t* from,
                     std::size_t count) noexcept = nullptr;
    /// to[i] = fit(to[i] + from[i], bits, saturate). @pre both hold at most 31 bits
    void (*add_saturate)(std::int32_t* to, const std::int32_t* from, std::size_t count,
                         int bits) noexcept = nullptr;
    /// The low bytes of each element: [0] 1 byte, [1] 2 bytes, [2] 4 bytes, [3] 8 bytes each.
    std::array<void (*)(std::byte* to, const std::int32_t* from, std::size_t count) noexcept, 3>
        store32{};
    std::array<void (*)(std::byte* to, const std::int64_t* from, std::size_t count) noexcept, 4>
        store64{};
};

const KernelTable& kernels_generic() noexcept;
/// nullptr where the compiler does not target x86-64 or the CPU lacks the instructions.
const KernelTable* kernels_avx2() noexcept;
const KernelTable* kernels_avx512() noexcept;

}  // namespace spikelock::golden::detail

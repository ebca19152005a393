// SPDX-License-Identifier: Apache-2.0
// Moves of values from the model's memory to a row of observations: what a clocked core's timestep
// mostly consists of beside the core itself. Small functions, chosen once for each run of equally
// distant values, because a small core's timestep takes so little time that what surrounds it must
// stay in the processor's instruction cache together with it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__BMI2__)
#include <immintrin.h>
#define SPIKELOCK_MASKED_VECTORS 1
#endif

/// Of functions that run in each timestep: the linker puts them next to each other, so that with
/// the model's own code they find room in the processor's instruction cache.
#define SPIKELOCK_HOT __attribute__((hot, noinline))
/// Of loops in them that mostly go round a few times.
#ifdef __clang__
#define SPIKELOCK_SMALL_LOOP _Pragma("clang loop unroll(disable)")
#else
#define SPIKELOCK_SMALL_LOOP _Pragma("GCC unroll 1")
#endif

namespace spikelock::sim {

/// `count` values of 1, 2, 4 or 8 bytes, and where they go in a row.
struct Move {
    using Go = void (*)(const Move&, std::byte* to);
    Go go = nullptr;
    const std::uint8_t* from = nullptr;
    std::ptrdiff_t stride = 0;    ///< bytes from value to value
    std::uint32_t count = 0;      ///< values; bits where they are bits
    std::uint32_t offset = 0;     ///< bytes from the beginning of the row to the first value
    std::uint64_t row_bytes = 0;  ///< to the next timestep's row
    std::uint64_t mask = 0;       ///< bits of a value
    std::uint64_t sign = 0;       ///< its sign bit; 0 where unsigned
};

namespace moves {

/// The next timestep's row comes into the cache while the core computes it: the tool used its lines
/// last, on another processor.
inline void prefetch_next(const Move& m, const std::byte* to) {
    __builtin_prefetch(to + m.row_bytes, 1);
}

/// Any distance, any processor. Distances that are known here become vector code.
template <typename Word, typename Stride>
void one_by_one(const Move& m, std::byte* to, Stride stride) {
    const auto mask = static_cast<Word>(m.mask);
    const auto sign = static_cast<Word>(m.sign);
    const std::uint8_t* const from = m.from;
    const std::uint32_t count = m.count;
    for (std::uint32_t at = 0; at < count * sizeof(Word); at += 64) prefetch_next(m, to + at);
    for (std::uint32_t i = 0; i < count; ++i) {
        Word word;
        std::memcpy(&word, from + static_cast<std::ptrdiff_t>(i) * stride, sizeof word);
        word = static_cast<Word>(static_cast<Word>((word & mask) ^ sign) - sign);
        std::memcpy(to + i * sizeof word, &word, sizeof word);
    }
}

#ifdef SPIKELOCK_MASKED_VECTORS
/// One vector instruction of each kind, by the size of the values.
template <typename Word>
struct Lanes {
    static constexpr unsigned kCount = 64 / sizeof(Word);
    static __m512i load(std::uint64_t lanes, const void* from) {
        if constexpr (sizeof(Word) == 1) return _mm512_maskz_loadu_epi8(lanes, from);
        if constexpr (sizeof(Word) == 2)
            return _mm512_maskz_loadu_epi16(static_cast<__mmask32>(lanes), from);
        if constexpr (sizeof(Word) == 4)
            return _mm512_maskz_loadu_epi32(static_cast<__mmask16>(lanes), from);
        if constexpr (sizeof(Word) == 8)
            return _mm512_maskz_loadu_epi64(static_cast<__mmask8>(lanes), from);
    }
    static void store(void* to, std::uint64_t lanes, __m512i v) {
        if constexpr (sizeof(Word) == 1) _mm512_mask_storeu_epi8(to, lanes, v);
        if constexpr (sizeof(Word) == 2)
            _mm512_mask_storeu_epi16(to, static_cast<__mmask32>(lanes), v);
        if constexpr (sizeof(Word) == 4)
            _mm512_mask_storeu_epi32(to, static_cast<__mmask16>(lanes), v);
        if constexpr (sizeof(Word) == 8)
            _mm512_mask_storeu_epi64(to, static_cast<__mmask8>(lanes), v);
    }
    /// The lower half.
    static void store(void* to, std::uint64_t lanes, __m256i v) {
        if constexpr (sizeof(Word) == 1)
            _mm256_mask_storeu_epi8(to, static_cast<__mmask32>(lanes), v);
        if constexpr (sizeof(Word) == 2)
            _mm256_mask_storeu_epi16(to, static_cast<__mmask16>(lanes), v);
        if constexpr (sizeof(Word) == 4)
            _mm256_mask_storeu_epi32(to, static_cast<__mmask8>(lanes), v);
    }
    static __m512i all(std::uint64_t word) {
        if constexpr (sizeof(Word) == 1) return _mm512_set1_epi8(static_cast<char>(word));
        if constexpr (sizeof(Word) == 2) return _mm512_set1_epi16(static_cast<short>(word));
        if constexpr (sizeof(Word) == 4) return _mm512_set1_epi32(static_cast<int>(word));
        if constexpr (sizeof(Word) == 8) return _mm512_set1_epi64(static_cast<long long>(word));
    }
    static __m512i subtract(__m512i a, __m512i b) {
        if constexpr (sizeof(Word) == 1) return _mm512_sub_epi8(a, b);
        if constexpr (sizeof(Word) == 2) return _mm512_sub_epi16(a, b);
        if constexpr (sizeof(Word) == 4) return _mm512_sub_epi32(a, b);
        if constexpr (sizeof(Word) == 8) return _mm512_sub_epi64(a, b);
    }
    /// Every other one.
    static __m256i even(__m512i v) {
        if constexpr (sizeof(Word) == 1) return _mm512_cvtepi16_epi8(v);
        if constexpr (sizeof(Word) == 2) return _mm512_cvtepi32_epi16(v);
        if constexpr (sizeof(Word) == 4) return _mm512_cvtepi64_epi32(v);
    }
};

/// Values next to each other (`kApart` = 1), or each followed by another one (2).
template <typename Word, unsigned kApart>
SPIKELOCK_HOT void vectors(const Move& m, std::byte* to) {
    using L = Lanes<Word>;
    constexpr std::uint32_t kPer = L::kCount / kApart;  // values in a vector
    constexpr std::uint64_t kWanted = kApart == 1 ? ~0ULL : 0x5555555555555555ULL;
    const __m512i mask = L::all(m.mask);
    const __m512i sign = L::all(m.sign);
    const std::uint8_t* from = m.from;
    std::uint32_t lanes = 0;
    SPIKELOCK_SMALL_LOOP
    for (std::uint32_t left = m.count; left > 0; left -= lanes) {
        lanes = std::min(left, kPer);
        __m512i v = L::load(_bzhi_u64(kWanted, lanes * kApart), from);
        v = L::subtract(_mm512_xor_si512(_mm512_and_si512(v, mask), sign), sign);
        prefetch_next(m, to);
        const std::uint64_t stored = _bzhi_u64(~0ULL, lanes);
        if constexpr (kApart == 1)
            L::store(to, stored, v);
        else
            L::store(to, stored, L::even(v));
        from += 64;
        to += kPer * sizeof(Word);
    }
}
#endif

/// How values at that distance are moved.
template <typename Word>
Move::Go moved_by(std::ptrdiff_t stride) {
    constexpr auto kSize = static_cast<std::ptrdiff_t>(sizeof(Word));
#ifdef SPIKELOCK_MASKED_VECTORS
    if (stride == kSize) return vectors<Word, 1>;
    if constexpr (kSize < 8)
        if (stride == 2 * kSize) return vectors<Word, 2>;
#else
    if (stride == kSize)
        return [](const Move& m, std::byte* to) {
            one_by_one<Word>(m, to, std::integral_constant<std::ptrdiff_t, kSize>());
        };
    if (stride == 2 * kSize)
        return [](const Move& m, std::byte* to) {
            one_by_one<Word>(m, to, std::integral_constant<std::ptrdiff_t, 2 * kSize>());
        };
#endif
    return [](const Move& m, std::byte* to) { one_by_one<Word>(m, to, m.stride); };
}
inline Move::Go moved_by(std::uint32_t bytes, std::ptrdiff_t stride) {
    return bytes == 1   ? moved_by<std::uint8_t>(stride)
           : bytes == 2 ? moved_by<std::uint16_t>(stride)
           : bytes == 4 ? moved_by<std::uint32_t>(stride)
                        : moved_by<std::uint64_t>(stride);
}

/// Bits in a row, from bit 0 of a byte; what is left of the last word of 64 becomes 0.
SPIKELOCK_HOT inline void bits(const Move& m, std::byte* to) {
    const std::uint8_t* from = m.from;
    std::uint32_t left = m.count;
    SPIKELOCK_SMALL_LOOP
    for (; left >= 64; left -= 64, from += 8, to += 8) {
        std::memcpy(to, from, 8);
        prefetch_next(m, to);
    }
    if (left == 0) return;
    std::uint64_t word = 0;
    SPIKELOCK_SMALL_LOOP
    for (std::uint32_t byte = 0; byte < (left + 7) / 8; ++byte)
        word |= std::uint64_t{from[byte]} << 8 * byte;
    word &= (1ULL << left) - 1;
    std::memcpy(to, &word, 8);
}

}  // namespace moves
}  // namespace spikelock::sim

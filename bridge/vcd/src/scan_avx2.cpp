// SPDX-License-Identifier: Apache-2.0
#include "scan.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include <bit>

#define SPIKELOCK_SCAN_SET avx2
#define SPIKELOCK_SCAN_TARGET [[gnu::target("avx2,bmi,bmi2,popcnt,pclmul")]]

namespace spikelock::bridge::vcd::detail {
namespace avx2 {

struct Classes {
    std::uint64_t newline = 0;
    std::uint64_t blank = 0;
    std::uint64_t control = 0;  ///< below blank, but no line end
    std::uint64_t bit = 0;      ///< 0 1 x X z Z
    std::uint64_t vector = 0;   ///< b B
    std::uint64_t time = 0;     ///< #
};

SPIKELOCK_SCAN_TARGET inline std::uint64_t mask_of(__m256i low, __m256i high) {
    const auto a = static_cast<std::uint32_t>(_mm256_movemask_epi8(low));
    const auto b = static_cast<std::uint32_t>(_mm256_movemask_epi8(high));
    return a | (std::uint64_t{b} << 32);
}

SPIKELOCK_SCAN_TARGET inline Classes classify(const char* text) {
    const auto* from = reinterpret_cast<const __m256i*>(text);
    const __m256i a = _mm256_loadu_si256(from);
    const __m256i b = _mm256_loadu_si256(from + 1);
    const __m256i newline = _mm256_set1_epi8('\n');
    const __m256i blank = _mm256_set1_epi8(' ');
    const __m256i below = _mm256_set1_epi8(' ' - 1);
    const __m256i hash = _mm256_set1_epi8('#');
    const __m256i la = _mm256_or_si256(a, blank);
    const __m256i lb = _mm256_or_si256(b, blank);
    Classes c;
    c.newline = mask_of(_mm256_cmpeq_epi8(a, newline), _mm256_cmpeq_epi8(b, newline));
    c.blank = mask_of(_mm256_cmpeq_epi8(a, blank), _mm256_cmpeq_epi8(b, blank));
    c.control = mask_of(_mm256_cmpeq_epi8(_mm256_min_epu8(a, below), a),
                        _mm256_cmpeq_epi8(_mm256_min_epu8(b, below), b)) &
                ~c.newline;
    // Setting bit 5 makes letters small and leaves digits and '#'; what else it maps there is a
    // control character, which makes the line irregular anyway.
    const __m256i not1 = _mm256_set1_epi8(static_cast<char>(0xfe));
    const __m256i not2 = _mm256_set1_epi8(static_cast<char>(0xfd));
    const __m256i zero = _mm256_set1_epi8('0');
    const __m256i x = _mm256_set1_epi8('x');
    c.bit = mask_of(_mm256_or_si256(_mm256_cmpeq_epi8(_mm256_and_si256(la, not1), zero),
                                    _mm256_cmpeq_epi8(_mm256_and_si256(la, not2), x)),
                    _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_and_si256(lb, not1), zero),
                                    _mm256_cmpeq_epi8(_mm256_and_si256(lb, not2), x)));
    const __m256i vector = _mm256_set1_epi8('b');
    c.vector = mask_of(_mm256_cmpeq_epi8(la, vector), _mm256_cmpeq_epi8(lb, vector));
    c.time = mask_of(_mm256_cmpeq_epi8(a, hash), _mm256_cmpeq_epi8(b, hash));
    return c;
}

SPIKELOCK_SCAN_TARGET inline std::uint64_t prefix_xor(std::uint64_t bits) {
    const __m128i all = _mm_set1_epi8(static_cast<char>(0xff));
    const __m128i value = _mm_set_epi64x(0, static_cast<long long>(bits));
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_clmulepi64_si128(value, all, 0)));
}

SPIKELOCK_SCAN_TARGET inline void put_positions(std::uint64_t mask, std::uint16_t base,
                                                std::uint16_t* to) {
    const int count = std::popcount(mask);
    // Eight at once without a branch; few blocks have more.
    for (int i = 0; i < count; i += 8)
        for (int k = 0; k < 8; ++k) {
            to[i + k] = static_cast<std::uint16_t>(base + _tzcnt_u64(mask));
            mask = _blsr_u64(mask);
        }
}

}  // namespace avx2
}  // namespace spikelock::bridge::vcd::detail

#include "scan_body.hpp"

namespace spikelock::bridge::vcd::detail {
const Scanner* scanner_avx2() noexcept {
    const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
                     __builtin_cpu_supports("pclmul");
    return has ? &avx2::kScanner : nullptr;
}
}  // namespace spikelock::bridge::vcd::detail

#else

namespace spikelock::bridge::vcd::detail {
const Scanner* scanner_avx2() noexcept { return nullptr; }
}  // namespace spikelock::bridge::vcd::detail

#endif

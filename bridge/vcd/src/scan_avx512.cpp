// SPDX-License-Identifier: Apache-2.0
#include "scan.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#include <bit>

#define SPIKELOCK_SCAN_SET avx512
#define SPIKELOCK_SCAN_TARGET \
    [[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt,pclmul")]]

namespace spikelock::bridge::vcd::detail {
namespace avx512 {

struct Classes {
    std::uint64_t newline = 0;
    std::uint64_t blank = 0;
    std::uint64_t control = 0;  ///< below blank, but no line end
    std::uint64_t bit = 0;      ///< 0 1 x X z Z
    std::uint64_t vector = 0;   ///< b B
    std::uint64_t time = 0;     ///< #
};

SPIKELOCK_SCAN_TARGET inline Classes classify(const char* text) {
    const __m512i a = _mm512_loadu_si512(text);
    const __m512i lower = _mm512_or_si512(a, _mm512_set1_epi8(' '));
    Classes c;
    c.newline = _mm512_cmpeq_epi8_mask(a, _mm512_set1_epi8('\n'));
    c.blank = _mm512_cmpeq_epi8_mask(a, _mm512_set1_epi8(' '));
    c.control = _mm512_cmplt_epu8_mask(a, _mm512_set1_epi8(' ')) & ~c.newline;
    // As in the AVX2 variant: what bit 5 maps there wrongly is a control character.
    const __m512i digit = _mm512_and_si512(lower, _mm512_set1_epi8(static_cast<char>(0xfe)));
    const __m512i letter = _mm512_and_si512(lower, _mm512_set1_epi8(static_cast<char>(0xfd)));
    c.bit = _mm512_cmpeq_epi8_mask(digit, _mm512_set1_epi8('0')) |
            _mm512_cmpeq_epi8_mask(letter, _mm512_set1_epi8('x'));
    c.vector = _mm512_cmpeq_epi8_mask(lower, _mm512_set1_epi8('b'));
    c.time = _mm512_cmpeq_epi8_mask(a, _mm512_set1_epi8('#'));
    return c;
}

SPIKELOCK_SCAN_TARGET inline std::uint64_t prefix_xor(std::uint64_t bits) {
    const __m128i all = _mm_set1_epi8(static_cast<char>(0xff));
    const __m128i value = _mm_set_epi64x(0, static_cast<long long>(bits));
    return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_clmulepi64_si128(value, all, 0)));
}

SPIKELOCK_SCAN_TARGET inline void put_positions(std::uint64_t mask, std::uint16_t base,
                                                std::uint16_t* to) {
    const __m512i places = _mm512_set_epi8(
        63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41,
        40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18,
        17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i packed = _mm512_maskz_compress_epi8(mask, places);
    const __m512i offset = _mm512_set1_epi16(static_cast<short>(base));
    // The zeroing form, because g++ 12 calls the plain one's operand uninitialised.
    const __m512i low = _mm512_cvtepu8_epi16(_mm512_maskz_extracti64x4_epi64(0xff, packed, 0));
    _mm512_storeu_si512(to, _mm512_add_epi16(low, offset));
    if (__builtin_expect(std::popcount(mask) > 32, 0)) {
        const __m512i high = _mm512_cvtepu8_epi16(_mm512_maskz_extracti64x4_epi64(0xff, packed, 1));
        _mm512_storeu_si512(to + 32, _mm512_add_epi16(high, offset));
    }
}

}  // namespace avx512
}  // namespace spikelock::bridge::vcd::detail

#include "scan_body.hpp"

namespace spikelock::bridge::vcd::detail {
const Scanner* scanner_avx512() noexcept {
    const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi2") &&
                     scanner_avx2() != nullptr;
    return has ? &avx512::kScanner : nullptr;
}
}  // namespace spikelock::bridge::vcd::detail

#else

namespace spikelock::bridge::vcd::detail {
const Scanner* scanner_avx512() noexcept { return nullptr; }
}  // namespace spikelock::bridge::vcd::detail

#endif

// SPDX-License-Identifier: Apache-2.0
#include "kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define SPIKELOCK_KERNEL_SET avx2
#define SPIKELOCK_KERNEL_TARGET [[gnu::target("avx2")]]
#include "kernels_body.hpp"

namespace spikelock::golden::detail {
namespace avx2 {

SPIKELOCK_KERNEL_TARGET std::uint64_t pack_32(const std::int32_t* fired) noexcept {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 64; i += 8) {
        const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(fired + i));
        const auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
        word |= std::uint64_t{mask} << i;
    }
    return word;
}

SPIKELOCK_KERNEL_TARGET std::uint64_t pack_64(const std::int64_t* fired) noexcept {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 64; i += 4) {
        const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(fired + i));
        const auto mask = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(lanes)));
        word |= std::uint64_t{mask} << i;
    }
    return word;
}

constexpr KernelTable make_avx2_table() noexcept {
    KernelTable table = make_table("avx2");
    table.pack32 = &pack_32;
    table.pack64 = &pack_64;
    return table;
}

}  // namespace avx2

const KernelTable* kernels_avx2() noexcept {
    static constexpr KernelTable kTable = avx2::make_avx2_table();
    return __builtin_cpu_supports("avx2") ? &kTable : nullptr;
}

}  // namespace spikelock::golden::detail

#else

namespace spikelock::golden::detail {
const KernelTable* kernels_avx2() noexcept { return nullptr; }
}  // namespace spikelock::golden::detail

#endif

// SPDX-License-Identifier: Apache-2.0
#include "kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define SPIKELOCK_KERNEL_SET avx512
#if defined(__clang__)
#define SPIKELOCK_KERNEL_TARGET [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]]
#else
#define SPIKELOCK_KERNEL_TARGET \
    [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")]]
#endif
#include "kernels_body.hpp"

namespace spikelock::golden::detail {
namespace avx512 {

SPIKELOCK_KERNEL_TARGET std::uint64_t pack_32(const std::int32_t* fired) noexcept {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 64; i += 16)
        word |= std::uint64_t{_mm512_movepi32_mask(_mm512_loadu_si512(fired + i))} << i;
    return word;
}

SPIKELOCK_KERNEL_TARGET std::uint64_t pack_64(const std::int64_t* fired) noexcept {
    std::uint64_t word = 0;
    for (unsigned i = 0; i < 64; i += 8)
        word |= std::uint64_t{_mm512_movepi64_mask(_mm512_loadu_si512(fired + i))} << i;
    return word;
}

constexpr KernelTable make_avx512_table() noexcept {
    KernelTable table = make_table("avx512");
    table.pack32 = &pack_32;
    table.pack64 = &pack_64;
    return table;
}

}  // namespace avx512

const KernelTable* kernels_avx512() noexcept {
    static constexpr KernelTable kTable = avx512::make_avx512_table();
    const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return runs ? &kTable : nullptr;
}

}  // namespace spikelock::golden::detail

#else

namespace spikelock::golden::detail {
const KernelTable* kernels_avx512() noexcept { return nullptr; }
}  // namespace spikelock::golden::detail

#endif

// SPDX-License-Identifier: Apache-2.0
#include "column_ops.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#define SPIKELOCK_KERNEL_SET ops_avx512
#if defined(__clang__)
#define SPIKELOCK_KERNEL_TARGET [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl")]]
#else
#define SPIKELOCK_KERNEL_TARGET \
    [[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")]]
#endif
#include "column_ops_body.hpp"

namespace spikelock::golden::detail {

const ColumnOps* column_ops_avx512() noexcept {
    static constexpr ColumnOps kOps = ops_avx512::make_ops("avx512");
    const bool runs = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return runs ? &kOps : nullptr;
}

}  // namespace spikelock::golden::detail

#else

namespace spikelock::golden::detail {
const ColumnOps* column_ops_avx512() noexcept { return nullptr; }
}  // namespace spikelock::golden::detail

#endif

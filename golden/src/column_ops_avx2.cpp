// SPDX-License-Identifier: Apache-2.0
#include "column_ops.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

#define SPIKELOCK_KERNEL_SET ops_avx2
#define SPIKELOCK_KERNEL_TARGET [[gnu::target("avx2")]]
#include "column_ops_body.hpp"

namespace spikelock::golden::detail {

const ColumnOps* column_ops_avx2() noexcept {
    static constexpr ColumnOps kOps = ops_avx2::make_ops("avx2");
    return __builtin_cpu_supports("avx2") ? &kOps : nullptr;
}

}  // namespace spikelock::golden::detail

#else

namespace spikelock::golden::detail {
const ColumnOps* column_ops_avx2() noexcept { return nullptr; }
}  // namespace spikelock::golden::detail

#endif

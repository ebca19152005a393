// SPDX-License-Identifier: Apache-2.0
#define SPIKELOCK_KERNEL_SET ops_generic
#define SPIKELOCK_KERNEL_TARGET
#include "column_ops_body.hpp"

namespace spikelock::golden::detail {

const ColumnOps& column_ops_generic() noexcept {
    static constexpr ColumnOps kOps = ops_generic::make_ops("generic");
    return kOps;
}

const ColumnOps& column_ops_best() noexcept {
    if (const ColumnOps* ops = column_ops_avx512()) return *ops;
    if (const ColumnOps* ops = column_ops_avx2()) return *ops;
    return column_ops_generic();
}

}  // namespace spikelock::golden::detail

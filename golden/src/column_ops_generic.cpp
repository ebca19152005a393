// SPDX-License-Identifier: Apache-2.0
#define SPIKELOCK_KERNEL_SET ops_generic
#define SPIKELOCK_KERNEL_TARGET
#include "column_ops_body.hpp"

namespace spikelock::golden::detail {

const ColumnOps& column_ops_generic() noexcept {
    static constexpr ColumnOps kOps = ops_generic::make_ops("generic");
    return kOps;
}

}  // namespace spikelock::golden::detail

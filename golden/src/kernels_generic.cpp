// SPDX-License-Identifier: Apache-2.0
#define SPIKELOCK_KERNEL_SET generic
#define SPIKELOCK_KERNEL_TARGET
#include "kernels_body.hpp"

namespace spikelock::golden::detail {

const KernelTable& kernels_generic() noexcept {
    static constexpr KernelTable kTable = generic::make_table("generic");
    return kTable;
}

}  // namespace spikelock::golden::detail

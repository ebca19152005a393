// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace spikelock::detail {
/// Prints the broken condition with its place to stderr and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;
}  // namespace spikelock::detail

/// Checks an invariant in every build.
#define SPIKELOCK_ASSERT(condition) \
    (static_cast<bool>(condition)   \
         ? static_cast<void>(0)     \
         : ::spikelock::detail::assertion_failed(#condition, __FILE__, __LINE__))

/// Checks an invariant in debug builds only; for inner loops.
#ifdef NDEBUG
#define SPIKELOCK_DCHECK(condition) static_cast<void>(0)
#else
#define SPIKELOCK_DCHECK(condition) SPIKELOCK_ASSERT(condition)
#endif

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock {

/// What an isolated call may use.
struct IsolationLimits {
    std::uint64_t memory_bytes = std::uint64_t{2} << 30;  ///< address space beyond the caller's own
    std::uint32_t cpu_seconds = 30;                       ///< processor time
    std::chrono::milliseconds wall{60'000};               ///< until an answer must be there
    std::uint64_t result_bytes = std::uint64_t{1} << 30;  ///< largest result that is accepted
};

/// Runs `body` in a child process and returns its bytes. For libraries that may crash, hang or eat
/// memory on hostile input (HDF5, FST): what the child does cannot harm the caller.
///
/// The child is a fork: it sees the caller's memory, has stdin, stdout and stderr on /dev/null,
/// ignores SIGINT, leaves no core file, runs no exit handlers and dies with its parent. An Error
/// (or an exception) of `body` comes back as if it had been called directly.
///
/// Within a child of this function the body is called directly: what limits the child limits it.
///
/// Only the calling thread exists in the child. If the caller has other threads, `body` may
/// allocate memory but must not wait for a lock that another thread could have held at the fork; a
/// child that does so anyway ends as Errc::Timeout. Nothing else in the process may reap children
/// that it did not start (`waitpid(-1)`).
///
/// @param what   who failed, for messages, e.g. "the HDF5 library"
/// @param where  file that is read; becomes Error::where
/// @errors those of `body`; Errc::BadFormat "`what` crashed reading this file (SIGSEGV)" when a
/// signal ended the child; Errc::Timeout for processor and wall-clock time; Errc::Limit for memory
/// and size of the result; Errc::Environment when no child can be started
Result<std::string> run_isolated(const std::string& what, const std::string& where,
                                 const IsolationLimits& limits,
                                 const std::function<Result<std::string>()>& body);

// For children that stay and answer several requests, the same parts:

/// Turns a fork into a child that can do no harm: stdin, stdout and stderr on /dev/null, signal
/// handlers of the caller gone, SIGINT ignored, exit() without exit handlers, no core file,
/// `memory_bytes` of address space beyond what it has. Under a sanitizer stderr stays, for its
/// report, and the address space, most of which is the sanitizer's, has no limit.
void confine_child(std::uint64_t memory_bytes) noexcept;

/// Closes all descriptors from 3 on but those in `keep`: a child must not hold the caller's files,
/// nor its ends of other children's pipes.
void close_descriptors_but(std::span<const int> keep) noexcept;

}  // namespace spikelock

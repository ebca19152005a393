// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace spikelock::bridge::fst::detail {

/// What the child sends is text in frames: 32 bits of length, then bytes. After the header it
/// waits for the handles to be shown.
inline constexpr std::uint32_t kEndFrame = 0;
inline constexpr std::uint32_t kErrorFrame = 0xffffffff;  ///< Errc (32 bits), then a message
inline constexpr std::uint32_t kMostFrame = 1U << 20;

/// Sends the header of an FST, waits for a selection (a count and handles, 32 bits each), sends
/// the changes. Never returns.
/// @param out  written to; @param in  read from
[[noreturn]] void run_child(const std::string& path, int out, int in, std::uint64_t memory_limit);

/// Whether this build can read FST.
bool has_library() noexcept;

/// Identifier code of a handle, and back. @pre handle >= 1
std::string code_of(std::uint32_t handle);
std::uint32_t handle_of(const std::string& code);

}  // namespace spikelock::bridge::fst::detail

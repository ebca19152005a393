// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spikelock/trace/shape.hpp"

namespace spikelock::trace::detail {

/// Requests of the reader to its child, answered in order over a socket.
enum class ChildRequest : std::uint32_t { Open = 1, Rows = 2, Differences = 3 };

struct Request {
    ChildRequest what = ChildRequest::Open;
    std::uint32_t slot = 0;
    std::uint64_t first = 0;  ///< row, or index of a difference
    std::uint64_t count = 0;
};

struct Reply {
    std::uint16_t errc = 0;  ///< 0: done; else the slot holds the message
    std::uint16_t has_valid = 0;
    std::uint32_t unused = 0;
    std::uint64_t masked = 0;  ///< bit f: field f has a mask in these rows
    std::uint64_t size = 0;    ///< bytes in the slot: JSON, message or differences
};

/// Where the arrays of `rows` timesteps lie in a slot; both sides compute it alike.
struct SlotLayout {
    std::size_t spikes = 0;
    std::size_t counts = 0;
    std::size_t valid = 0;
    std::vector<std::size_t> fields;
    std::vector<std::size_t> masks;
    std::size_t size = 0;

    SlotLayout(const Shape& shape, std::uint64_t rows);
};

/// Serves requests until the socket closes, then ends the process. Never returns.
/// @param socket  connected; every other descriptor is closed
/// @param slots   shared memory
[[noreturn]] void run_reader_child(const std::string& path, int socket,
                                   std::span<const std::span<std::byte>> slots,
                                   std::uint64_t memory_limit, double time_limit_s);

}  // namespace spikelock::trace::detail

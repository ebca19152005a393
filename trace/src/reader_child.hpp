// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "spikelock/trace/shape.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::trace::detail {

/// Requests of the reader to its child, answered in order over a socket.
enum class ChildRequest : std::uint32_t {
    Open = 1,
    Rows = 2,
    Differences = 3,
    Stimulus = 4,  ///< input events of timesteps, as StimulusEntry
    SideBand = 5,  ///< values of timesteps
};

struct Request {
    ChildRequest what = ChildRequest::Open;
    std::uint32_t slot = 0;
    std::uint64_t first = 0;  ///< row, or index of a difference
    std::uint64_t count = 0;
    std::uint64_t skip = 0;  ///< entries of these rows that were had before; or the band's number
};

struct Reply {
    std::uint16_t errc = 0;  ///< 0: done; else the slot holds the message
    std::uint16_t has_valid = 0;
    std::uint32_t unused = 0;
    std::uint64_t masked = 0;  ///< bit f: field f has a mask in these rows
    std::uint64_t size = 0;    ///< bytes in the slot: JSON, message or differences
    std::uint64_t rows = 0;    ///< timesteps that are in the slot, where not all fit
    std::uint64_t events = 0;  ///< SpikeEvent after the arrays, step counts from the first row
    std::uint64_t taken = 0;   ///< TakenEvent after those
};

/// An input event with its timestep.
struct StimulusEntry {
    std::uint64_t timestep = 0;
    InputEvent event;
};
static_assert(sizeof(StimulusEntry) == 16);

/// Where the arrays of `rows` timesteps lie in a slot; both sides compute it alike.
struct SlotLayout {
    std::size_t spikes = 0;
    std::size_t counts = 0;
    std::size_t valid = 0;
    std::vector<std::size_t> fields;
    std::vector<std::size_t> masks;
    std::size_t size = 0;  ///< ordered spikes and taken events follow

    SlotLayout(const Shape& shape, std::uint64_t rows);
};

/// A trace file, read with the HDF5 library in this process: what the child does, without the
/// child.
class TraceFile {
public:
    TraceFile() = default;
    TraceFile(const TraceFile&) = delete;
    TraceFile& operator=(const TraceFile&) = delete;
    virtual ~TraceFile() = default;
    /// Answers a request; the slots take what does not fit the reply.
    /// The first request must be Open and succeed.
    virtual Reply serve(const Request& request) = 0;
};
std::unique_ptr<TraceFile> make_trace_file(std::string path,
                                           std::span<const std::span<std::byte>> slots);

/// Serves requests until the socket closes, then ends the process. Never returns.
/// @param socket  connected; every other descriptor is closed
/// @param slots   shared memory
[[noreturn]] void run_reader_child(const std::string& path, int socket,
                                   std::span<const std::span<std::byte>> slots,
                                   std::uint64_t memory_limit, double time_limit_s);

}  // namespace spikelock::trace::detail

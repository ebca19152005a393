// SPDX-License-Identifier: Apache-2.0
// What the tool and the process of a user's golden say to each other. sim/python/
// spikelock_golden_runner.py speaks the same. Requests go through a socket, short answers through a
// pipe; results are written straight into shared memory, so that those of finished timesteps
// survive the model.
#pragma once

#include <atomic>
#include <cstdint>

namespace spikelock::sim::user {

inline constexpr int kRequests = 10;  ///< file descriptors in the model's process
inline constexpr int kAnswers = 11;
inline constexpr int kMemory = 12;

enum class Tag : std::uint32_t {
    // tool to model
    Network = 1,  ///< arrays, see Array -> Shape or Error
    Memory = 2,   ///< MemoryLayout + u32 bytes[n_fields], is_signed[n_fields], bits[n_fields]
    Run = 3,      ///< RunHeader + inputs -> Done or Error; no more than two are under way
    // model to tool
    Shape = 16,  ///< text, a line each: "field <name> <bits> <signed>" (bits 0: as the network),
                 ///< "file <path>" for what else was loaded from the model's folder
    Done = 17,
    Error = 18,  ///< text: "<where>\n<message>"; the process ends
};

struct Header {
    Tag tag;
    std::uint32_t reserved;
    std::uint64_t bytes;  ///< of the payload
};

/// Followed by `count` elements of int32, or bytes where the name is "json"; the whole padded to 8.
struct Array {
    char name[24];
    std::uint64_t count;
};

/// Each slot holds the results of a Run: spikes u64[capacity][words], then per field
/// [capacity][n_neurons] elements, each part padded to 64 bytes.
struct MemoryLayout {
    std::uint64_t total;  ///< bytes to map
    std::uint64_t slot_bytes;
    std::uint32_t capacity;  ///< timesteps of a slot
    std::uint32_t n_fields;
};

/// Followed by u32 event_begin[n_steps + 1], u8 begins[n_steps] (1: cleared before the timestep),
/// padded to 4; u32 axons[event_begin[n_steps]]; i32 i_in[n_steps][n_neurons] where has_i_in.
struct RunHeader {
    std::uint64_t first;
    std::uint32_t n_steps;
    std::uint32_t slot;
    std::uint32_t has_i_in;
    std::uint32_t reserved;
};

inline constexpr std::uint32_t kSlots = 2;
inline constexpr std::uint64_t kSharedBytes = 4096;  ///< Shared, before the first slot
/// Start of the shared memory.
struct Shared {
    std::atomic<std::uint64_t> steps_done;  ///< ever finished; their results are complete
};

constexpr std::uint64_t padded(std::uint64_t bytes, std::uint64_t to = 64) {
    return (bytes + to - 1) / to * to;
}

}  // namespace spikelock::sim::user

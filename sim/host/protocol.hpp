// SPDX-License-Identifier: Apache-2.0
// What the tool and a DUT host say to each other. Included by both; standard library only.
// Transport: one shared-memory file with two rings (to the host, to the tool), an eventfd per
// direction for wake-ups.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace spikelock::sim {

inline constexpr std::uint32_t kProtocolMagic = 0x4b4c5053;  // "SPLK"
inline constexpr std::uint32_t kProtocolVersion = 3;

/// Record types. Requests are answered in order; Run is answered by Block records and possibly one
/// End.
enum class Msg : std::uint32_t {
    Pad = 0,  ///< skip to the start of the ring
    // tool to host
    Describe = 1,    ///< -> Text: one signal a line
    Plan = 2,        ///< text: what to drive and observe; -> Ok or Error
    Program = 3,     ///< text: name of a program of the plan (reset, clear); -> Ok, Error or End
    PortWrites = 4,  ///< Word[]: through the configuration port; -> Ok, Error or End
    PortReads = 5,   ///< Word[]: addresses; -> Data
    BackdoorWrites = 6,  ///< Cell[]; -> Ok or Error
    BackdoorReads = 7,   ///< Cell[]; -> Data
    Run = 8,             ///< RunHeader + stimulus; -> Block, and End where it stopped early
    Quit = 9,
    Snapshot = 10,  ///< reserved, in order with Run: fork() here; -> Error "not implemented"
    StateGet = 11,  ///< reserved
    StateSet = 12,  ///< reserved
    Digest = 13,    ///< reserved
    Waves = 14,     ///< reserved: open or close a waveform
    Coverage = 15,  ///< reserved: write coverage
    Drain = 16,     ///< timesteps without input, for what the core shows late; -> Block
    // host to tool
    Hello = 32,  ///< magic and version
    Ok = 33,
    Error = 34,  ///< text
    Text = 35,
    Data = 36,   ///< u64[]
    Block = 37,  ///< BlockHeader + observations
    End = 38,    ///< EndHeader + text: no further blocks will come
};

/// Takes one alignment unit (64 bytes); the payload follows.
struct RecordHeader {
    Msg type;
    std::uint32_t reserved;
    std::uint64_t bytes;  ///< of payload, without header and padding
};

struct Word {
    std::uint64_t address;
    std::uint64_t data;
};

/// A bit field of a signal: `width` bits (1..64) from bit `lsb` of word `word` of the signal with
/// this index in the plan.
struct Cell {
    std::uint32_t signal;
    std::uint32_t word;
    std::uint32_t lsb;
    std::uint32_t width;
    std::uint64_t data;
};

struct RunEvent {
    std::uint32_t address;
    std::uint16_t port;
    std::int16_t payload;
};

/// Followed by: u32 event_begin[n_steps + 1], u32 begin_count pairs {step, start}, RunEvent[], side
/// bands in plan order (n_steps rows each, already in the width of the port), each part padded to 8
/// bytes.
struct RunHeader {
    std::uint64_t first;
    std::uint32_t n_steps;
    std::uint32_t n_events;
    std::uint32_t n_begins;
    std::uint32_t reserved;
};

/// Followed by spikes u64[capacity][words], per field bytes[capacity][row_bytes], counts
/// u16[capacity][neurons] where the plan has counts, ListedSpike[spike_capacity] and
/// ListedTaken[taken_capacity] where it has lists, each part padded to 64 bytes. `n_steps` of the
/// `capacity` rows are filled; list entries of later steps are not.
struct BlockHeader {
    std::uint64_t first;
    std::uint32_t n_steps;
    std::uint32_t capacity;
    std::uint64_t clock;  ///< clocks since power-on at the end of the block
    std::uint32_t n_spikes;
    std::uint32_t spike_capacity;
    std::uint32_t n_taken;
    std::uint32_t taken_capacity;
    std::uint64_t reserved[3];
};

/// As trace::SpikeEvent and trace::TakenEvent.
struct ListedSpike {
    std::uint32_t step;
    std::uint32_t neuron;
    std::uint64_t clock;
};
struct ListedTaken {
    std::uint32_t step;
    std::uint32_t address;
    std::uint16_t port;  ///< 0xffff: a spike of the core's own
};
static_assert(sizeof(BlockHeader) == 64);

enum class HostEnd : std::uint32_t { Finished = 1, Asserted = 2, Hung = 3, Violation = 4 };

struct EndHeader {
    HostEnd kind;
    std::uint32_t reserved;
    std::uint64_t timestep;
    std::uint64_t clock;
};

inline constexpr std::uint64_t kAlign = 64;
constexpr std::uint64_t align_up(std::uint64_t bytes, std::uint64_t to = kAlign) {
    return (bytes + to - 1) / to * to;
}

/// Single-producer single-consumer ring of variable records, each contiguous and aligned to 64
/// bytes.
struct RingControl {
    alignas(64) std::atomic<std::uint64_t> head;  ///< bytes ever published
    alignas(64) std::atomic<std::uint64_t> tail;  ///< bytes ever released
    alignas(64) std::atomic<std::uint32_t> reader_sleeps;
    std::atomic<std::uint32_t> writer_sleeps;
    std::uint64_t offset;  ///< of the data from the start of the mapping
    std::uint64_t size;    ///< of the data, a multiple of 64
};

struct SharedHeader {
    std::uint32_t magic;
    std::uint32_t version;
    RingControl to_host;
    RingControl to_tool;
    alignas(
        64) std::atomic<std::uint64_t> heartbeat;  ///< clocks so far; stands still inside one eval
    std::atomic<std::uint64_t> timestep;           ///< being run
    /// Place in the ring to the tool, plus 1, of a block that is being filled; 0: none. Where the
    /// host dies or hangs in it, its finished timesteps count as if the block had ended there.
    std::atomic<std::uint64_t> open_block;
};

/// One end's view of a ring. Not thread safe.
class Ring {
public:
    Ring() = default;
    Ring(RingControl* control, std::byte* base)
        : control_(control), data_(base + control->offset), size_(control->size) {}

    /// Space for a record, or null while there is not enough; a record may use at most half of the
    /// ring.
    std::byte* reserve(Msg type, std::uint64_t payload) {
        const std::uint64_t bytes = align_up(kAlign + payload);
        const std::uint64_t head = control_->head.load(std::memory_order_relaxed);
        const std::uint64_t to_end = size_ - head % size_;
        const std::uint64_t need = bytes <= to_end ? bytes : to_end + bytes;
        if (head + need - control_->tail.load(std::memory_order_acquire) > size_) return nullptr;
        std::uint64_t at = head;
        if (bytes > to_end) {
            const RecordHeader pad{Msg::Pad, 0, to_end - kAlign};
            std::memcpy(data_ + head % size_, &pad, sizeof pad);
            at = head + to_end;
        }
        const RecordHeader header{type, 0, payload};
        std::memcpy(data_ + at % size_, &header, sizeof header);
        reserved_at_ = at;
        reserved_end_ = at + bytes;
        return data_ + at % size_ + kAlign;
    }
    void publish() { control_->head.store(reserved_end_, std::memory_order_seq_cst); }
    /// Where the record of the last reserve() stands.
    std::uint64_t reserved_at() const { return reserved_at_; }
    /// Publishes a record that its writer reserved and can no longer publish.
    /// @pre the writer has ended
    void adopt(std::uint64_t at) {
        if (at < control_->head.load(std::memory_order_acquire)) return;  // it did publish
        RecordHeader header;
        std::memcpy(&header, data_ + at % size_, sizeof header);
        control_->head.store(at + align_up(kAlign + header.bytes), std::memory_order_seq_cst);
    }

    /// Oldest record, or null when there is none.
    const RecordHeader* front() {
        for (;;) {
            const std::uint64_t tail = control_->tail.load(std::memory_order_relaxed);
            if (tail == control_->head.load(std::memory_order_acquire)) return nullptr;
            const auto* header = reinterpret_cast<const RecordHeader*>(data_ + tail % size_);
            if (header->type != Msg::Pad) return header;
            control_->tail.store(tail + size_ - tail % size_, std::memory_order_seq_cst);
        }
    }
    static const std::byte* payload(const RecordHeader* header) {
        return reinterpret_cast<const std::byte*>(header) + kAlign;
    }
    void release(const RecordHeader* header) {
        const std::uint64_t tail = control_->tail.load(std::memory_order_relaxed);
        control_->tail.store(tail + align_up(kAlign + header->bytes), std::memory_order_seq_cst);
    }
    RingControl* control() { return control_; }
    std::uint64_t size() const { return size_; }

private:
    RingControl* control_ = nullptr;
    std::byte* data_ = nullptr;
    std::uint64_t size_ = 0;
    std::uint64_t reserved_at_ = 0;
    std::uint64_t reserved_end_ = 0;
};
static_assert(sizeof(RecordHeader) <= kAlign);

}  // namespace spikelock::sim

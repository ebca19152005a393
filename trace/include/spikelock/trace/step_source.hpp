// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::trace {

/// One spike that enters the network.
struct InputEvent {
    std::uint32_t address = 0;  ///< axon within the port
    std::uint16_t port = 0;     ///< index of the input port
    std::int16_t payload = 1;   ///< graded value; 1 for a plain spike
    bool operator==(const InputEvent&) const = default;
};

/// A value per neuron (or another declared count) and timestep that is applied beside events:
/// currents, mode pins.
struct SideBand {
    std::string name;                  ///< e.g. "i_in"
    std::uint32_t width = 0;           ///< elements per timestep
    std::vector<std::int32_t> values;  ///< shape (n_steps, width)
};

/// What is applied in timesteps first .. first+n_steps-1.
struct StimulusBlock {
    /// State to be in before a timestep is run.
    struct Begin {
        std::uint32_t step = 0;  ///< offset in the block
        StartState start = StartState::Keep;
    };
    std::uint64_t first = 0;
    std::uint32_t n_steps = 0;
    std::vector<std::uint32_t> event_begin;  ///< shape (n_steps + 1): events of step s are
                                             ///< event_begin[s]..event_begin[s+1]-1
    std::vector<InputEvent> events;          ///< in the order in which they are offered
    std::vector<SideBand> side_bands;
    std::vector<Begin> begins;  ///< sample starts inside the block, ascending

    std::span<const InputEvent> events_of(std::uint32_t step) const {
        return std::span(events).subspan(event_begin[step],
                                         event_begin[step + 1] - event_begin[step]);
    }
};

/// A spike as it left the source, where order matters.
struct SpikeEvent {
    std::uint32_t step = 0;  ///< offset in the block
    std::uint32_t neuron = 0;
    std::uint64_t clock = 0;  ///< since power-on, where the source knows it, else 0
    bool operator==(const SpikeEvent&) const = default;
};

/// An event as the core took it: one of the stimulus, or a spike of its own that came back.
struct TakenEvent {
    static constexpr std::uint16_t kInternal = 0xffff;
    std::uint32_t step = 0;     ///< offset in the block
    std::uint32_t address = 0;  ///< axon of the port; of kInternal: neuron
    std::uint16_t port = 0;     ///< index of the input port, or kInternal
    bool operator==(const TakenEvent&) const = default;
};

/// Observations of timesteps first .. first+n_steps-1 as views into the source's memory.
/// Each array is contiguous, timestep-major; a masked or unused bit is 0.
struct BlockView {
    std::uint64_t first = 0;
    std::uint32_t n_steps = 0;
    std::span<const std::uint64_t> spikes;  ///< shape (n_steps, spike_words)
    std::vector<std::span<const std::byte>>
        fields;                           ///< per field of the shape: (n_steps, n_neurons) elements
    std::span<const std::uint8_t> valid;  ///< shape (n_steps), 1 or 0; empty: all valid
    std::vector<std::span<const std::uint64_t>>
        masks;  ///< per field (n_steps, spike_words) validity bits; empty vector or
                ///< empty span: all valid
    std::span<const std::uint16_t>
        counts;  ///< shape (n_steps, n_neurons) where Shape::counts, else empty
    std::span<const SpikeEvent> events = {};  ///< in order of appearance where Shape::events
    std::span<const TakenEvent> taken = {};   ///< in the order taken where Shape::order, else empty
};

/// Why a source has no more blocks.
enum class EndKind : std::uint8_t {
    Complete,    ///< everything that was submitted, or recorded, has been read
    Finished,    ///< the RTL called $finish early
    Asserted,    ///< an RTL assertion failed, or $fatal
    Hung,        ///< no step boundary within the bound of clocks, or of wall-clock time
    Crashed,     ///< the process died
    Incomplete,  ///< the recording ends early (not closed, truncated)
};

struct SourceEnd {
    EndKind kind = EndKind::Complete;
    std::uint64_t timestep = 0;  ///< first timestep that could not be delivered
    std::uint64_t clock = 0;     ///< clocks since reset, where known
    std::string
        text;  ///< the assertion's own words, the bound that was met, the signal that killed it
};

/// Anything that yields observations timestep by timestep: golden, RTL, board, recorded trace.
/// One thread uses a source at a time. Submitting ahead of reading lets two sources work at once.
class StepSource {
public:
    StepSource() = default;
    StepSource(const StepSource&) = delete;
    StepSource& operator=(const StepSource&) = delete;
    virtual ~StepSource() = default;

    /// Constant over the life of the source.
    virtual const Shape& shape() const = 0;
    /// Queues timesteps to be run; blocks follow each other without gap. A recorded source ignores
    /// it. The block is copied or consumed before the call returns.
    virtual Status submit(const StimulusBlock& block) = 0;
    /// Timesteps submitted and not yet read (0 for a recorded source).
    virtual std::uint64_t in_flight() const = 0;
    /// The next 1..max_steps timesteps, or why there are none.
    /// Views stay valid until the next read or the end of the source.
    /// @pre max_steps >= 1
    /// @errors Errc::Io and others for a fault of the tool or environment, never for what the
    /// hardware did
    virtual Result<std::variant<BlockView, SourceEnd>> read(std::uint32_t max_steps) = 0;
};

/// A source whose result depends on the order in which another took its events (the golden of an
/// event-driven core): the other is read first, and its order is given here before this one is
/// read.
class OrderTaker {
public:
    OrderTaker() = default;
    OrderTaker(const OrderTaker&) = delete;
    OrderTaker& operator=(const OrderTaker&) = delete;
    virtual ~OrderTaker() = default;
    /// Order of the next `n_steps` timesteps for which none was given yet, with steps counted from
    /// the first of them.
    /// @errors Errc::Mismatch naming timestep and event where it is no legal interleaving of what
    /// was sent and fired; it may also come from the read that finds this out
    virtual Status give_order(std::uint32_t n_steps, std::span<const TakenEvent> taken) = 0;
};

/// A seekable stimulus: any stretch can be had without those before it; equal arguments give equal
/// blocks.
class Stimulus {
public:
    Stimulus() = default;
    Stimulus(const Stimulus&) = delete;
    Stimulus& operator=(const Stimulus&) = delete;
    virtual ~Stimulus() = default;
    /// Timesteps in all.
    virtual std::uint64_t n_steps() const = 0;
    /// Samples in order, without gaps or overlaps, covering 0..n_steps()-1.
    virtual std::span<const Sample> samples() const = 0;
    /// Timesteps first..first+count-1, with the sample starts among them.
    /// @pre first + count <= n_steps()
    virtual StimulusBlock block(std::uint64_t first, std::uint32_t count) const = 0;
};

}  // namespace spikelock::trace

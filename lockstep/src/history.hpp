// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::lockstep::detail {

/// The last timesteps of one side, kept so that a divergence can show what led to it.
/// A ring: of each block only the tail that can still matter is copied.
class History {
public:
    /// @param steps  at most that many; fewer where they would take more than kMostBytes
    History(const trace::Shape& shape, std::uint32_t steps);

    static constexpr std::size_t kMostBytes = std::size_t{256} << 20U;

    /// Adds a block that follows the one before.
    void push(const trace::BlockView& block);
    /// The timesteps kept from `begin` on, or from the oldest that is left.
    trace::ExecutionTrace trace_from(std::uint64_t begin) const;
    std::uint64_t capacity() const noexcept { return capacity_; }

private:
    /// Appends slots begin..end-1 of the ring, which hold consecutive timesteps.
    void append_slots(trace::ExecutionTrace& into, std::uint64_t first, std::size_t begin,
                      std::size_t end) const;
    void copy_in(const trace::BlockView& block, std::size_t from, std::size_t slot,
                 std::size_t count);

    trace::Shape shape_;
    std::uint64_t capacity_ = 0;
    std::uint64_t next_ = 0;  ///< timestep after the newest
    std::uint64_t held_ = 0;
    std::vector<std::uint64_t> spikes_;
    std::vector<std::uint16_t> counts_;
    std::vector<std::uint8_t> valid_;
    std::vector<std::vector<std::byte>> fields_;
    std::vector<std::vector<std::uint64_t>> masks_;  ///< per field; empty until one has a mask
    /// Where order is told: the lists of the timesteps held, by timestep.
    std::deque<std::pair<std::uint64_t, trace::SpikeEvent>> events_;
    std::deque<std::pair<std::uint64_t, trace::TakenEvent>> taken_;
};

}  // namespace spikelock::lockstep::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden::detail {

/// Submitted stimulus blocks, checked and with events as axons, handed out timestep by timestep.
class InputQueue {
public:
    /// @param current_bits  width of side band i_in, 0 where it is not taken
    /// @param graded        events may carry any payload
    InputQueue(std::vector<InputPort> ports, std::uint32_t neurons, int current_bits,
               bool graded = false)
        : ports_(std::move(ports)),
          neurons_(neurons),
          current_bits_(current_bits),
          graded_(graded) {}

    /// Takes all of a block or nothing.
    /// @errors as documented on GoldenSource
    Status submit(const trace::StimulusBlock& block);

    std::uint64_t in_flight() const noexcept { return submitted_ - next_; }
    /// First timestep not yet taken.
    std::uint64_t next() const noexcept { return next_; }

    /// What enters in one timestep; the views are valid until the next take().
    struct Step {
        bool clear = false;                      ///< before anything else
        std::span<const std::uint32_t> axons;    ///< in order
        const std::int16_t* payloads = nullptr;  ///< of the events where graded, else nullptr
        const std::int32_t* i_in = nullptr;      ///< shape (neurons), or nullptr
    };
    /// @pre in_flight() > 0
    Step take() noexcept;

private:
    struct Block {
        std::uint32_t n_steps = 0;
        std::uint32_t done = 0;
        std::size_t next_begin = 0;
        std::vector<trace::StimulusBlock::Begin> begins;
        std::vector<std::uint32_t> event_begin;
        std::vector<std::uint32_t> axons;
        std::vector<std::int16_t> payloads;  ///< empty: not graded
        std::vector<std::int32_t> i_in;      ///< empty: none
    };
    Result<Block> check(const trace::StimulusBlock& block) const;
    Status check_begins(const trace::StimulusBlock& block) const;
    Status check_current(const trace::StimulusBlock& block, const trace::SideBand& band) const;

    std::vector<InputPort> ports_;
    std::uint32_t neurons_;
    int current_bits_;
    bool graded_;
    std::deque<Block> queue_;
    bool started_ = false;
    std::uint64_t next_ = 0;
    std::uint64_t submitted_ = 0;  ///< first timestep not yet submitted
};

}  // namespace spikelock::golden::detail

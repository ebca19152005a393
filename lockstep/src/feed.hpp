// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::lockstep::detail {

/// A part of a block, with what lists it has. Not to be copied: the view refers to the lists.
struct Part {
    trace::BlockView view;
    std::vector<trace::SpikeEvent> events;
    std::vector<trace::TakenEvent> taken;

    Part() = default;
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
};

/// Part of a block: `count` timesteps from row `offset` on. Views, but for lists nothing is copied:
/// their steps count from the start of the part.
/// @param into  reused, so that no memory is taken in the steady state
void slice(const trace::BlockView& block, const trace::Shape& shape, std::uint32_t offset,
           std::uint32_t count, Part& into);

/// Reads one source and hands out its timesteps in pieces of any size.
class Feed {
public:
    /// @param name  "expected" or "actual", for messages
    Feed(trace::StepSource& source, std::string name) : source_(source), name_(std::move(name)) {}

    /// Reads the next block unless timesteps are left, or the source has ended.
    /// @errors those of the source; Errc::Internal when a block is not what the shape promises
    Status fill(std::uint32_t most);

    std::uint32_t left() const noexcept { return view_.n_steps - used_; }
    /// The next timestep. @pre left() > 0
    std::uint64_t position() const noexcept { return view_.first + used_; }
    /// Next `count` timesteps; valid until fill() reads again.
    void peek(std::uint32_t count, Part& into) const {
        slice(view_, source_.shape(), used_, count, into);
    }
    void advance(std::uint32_t count) noexcept { used_ += count; }
    /// The block in hand, as it was read.
    const trace::BlockView& block() const noexcept { return view_; }
    const std::optional<trace::SourceEnd>& end() const noexcept { return end_; }
    /// What was read and not yet handed out is dropped: the source was found to have ended.
    void end_with(trace::SourceEnd end) {
        used_ = view_.n_steps;
        end_ = std::move(end);
    }
    trace::StepSource& source() noexcept { return source_; }

private:
    Status check(const trace::BlockView& block) const;

    trace::StepSource& source_;
    std::string name_;
    trace::BlockView view_;
    std::uint32_t used_ = 0;
    std::optional<std::uint64_t> next_;
    std::optional<trace::SourceEnd> end_;
};

}  // namespace spikelock::lockstep::detail

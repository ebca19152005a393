// SPDX-License-Identifier: Apache-2.0
#include "input_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "spikelock/base/assert.hpp"

namespace spikelock::golden::detail {
namespace {

Error bad(std::uint64_t timestep, Errc code, std::string message) {
    return Error{code, std::move(message), fmt::format("timestep {}", timestep)};
}

}  // namespace

Status InputQueue::submit(const trace::StimulusBlock& block) {
    if (started_ && block.first != submitted_)
        return bad(block.first, Errc::BadConfig,
                   fmt::format("the block does not follow the last one, which ends before timestep "
                               "{}",
                               submitted_));
    Result<Block> checked = check(block);
    if (!checked) return checked.error();
    if (!started_) next_ = block.first;
    started_ = true;
    submitted_ = block.first + block.n_steps;
    if (block.n_steps > 0) queue_.push_back(std::move(*checked));
    return {};
}

InputQueue::Step InputQueue::take() noexcept {
    SPIKELOCK_DCHECK(in_flight() > 0);
    if (queue_.front().done == queue_.front().n_steps) queue_.pop_front();
    Block& block = queue_.front();
    const std::uint32_t at = block.done++;
    ++next_;
    Step step;
    for (; block.next_begin < block.begins.size() && block.begins[block.next_begin].step == at;
         ++block.next_begin)
        step.clear |= block.begins[block.next_begin].start != trace::StartState::Keep;
    step.axons =
        std::span(block.axons)
            .subspan(block.event_begin[at], block.event_begin[at + 1] - block.event_begin[at]);
    if (!block.payloads.empty()) step.payloads = block.payloads.data() + block.event_begin[at];
    if (!block.i_in.empty()) step.i_in = block.i_in.data() + std::size_t{neurons_} * at;
    return step;
}

Result<InputQueue::Block> InputQueue::check(const trace::StimulusBlock& block) const {
    if (block.event_begin.size() != std::size_t{block.n_steps} + 1 ||
        block.event_begin.front() != 0 || block.event_begin.back() != block.events.size() ||
        !std::ranges::is_sorted(block.event_begin))
        return bad(block.first, Errc::BadConfig,
                   "event_begin does not divide the events of the block");
    if (Status status = check_begins(block); !status) return status.error();
    Block out;
    out.n_steps = block.n_steps;
    out.begins = block.begins;
    out.event_begin = block.event_begin;
    out.axons.reserve(block.events.size());
    for (std::uint32_t step = 0; step < block.n_steps; ++step) {
        for (const trace::InputEvent& e : block.events_of(step)) {
            const std::uint64_t t = block.first + step;
            if (e.port >= ports_.size())
                return bad(t, Errc::BadConfig,
                           fmt::format("event for axon {} of port {}, expected a port below {}",
                                       e.address, e.port, ports_.size()));
            const InputPort& port = ports_[e.port];
            if (e.address >= port.end - port.begin)
                return bad(t, Errc::BadConfig,
                           fmt::format("event for axon {} of port '{}', which has {} axons",
                                       e.address, port.label, port.end - port.begin));
            if (e.payload != 1 && !graded_)
                return bad(t, Errc::Unsupported,
                           fmt::format("event for axon {} of port '{}' has the payload {}; graded "
                                       "events are not computed, expected 1",
                                       e.address, port.label, e.payload));
            out.axons.push_back(port.begin + e.address);
            if (graded_) out.payloads.push_back(e.payload);
        }
    }
    for (const trace::SideBand& band : block.side_bands) {
        if (band.name != "i_in" || current_bits_ == 0)
            return bad(block.first, Errc::Unsupported,
                       fmt::format("side band '{}' is not taken{}", band.name,
                                   current_bits_ == 0 ? "" : ", expected 'i_in'"));
        if (!out.i_in.empty())
            return bad(block.first, Errc::BadConfig, "side band 'i_in' is given twice");
        if (Status status = check_current(block, band); !status) return status.error();
        out.i_in = band.values;
    }
    return out;
}

Status InputQueue::check_begins(const trace::StimulusBlock& block) const {
    std::uint32_t earliest = 0;
    for (const auto& begin : block.begins) {
        if (begin.step < earliest || begin.step >= block.n_steps)
            return bad(block.first + begin.step, Errc::BadConfig,
                       "sample starts of a block must ascend inside it");
        if (begin.start == trace::StartState::Snapshot)
            return bad(block.first + begin.step, Errc::Unsupported,
                       "the model cannot start a sample from a snapshot");
        earliest = begin.step;
    }
    return {};
}

Status InputQueue::check_current(const trace::StimulusBlock& block,
                                 const trace::SideBand& band) const {
    if (band.width != neurons_ || band.values.size() != std::size_t{block.n_steps} * neurons_)
        return bad(block.first, Errc::BadConfig,
                   fmt::format("side band 'i_in' has {} values of width {}, expected {} timesteps "
                               "of {} neurons",
                               band.values.size(), band.width, block.n_steps, neurons_));
    // Shifted by half the range, a value that fits has no bit above current_bits; one pass without
    // branches finds whether any does, and only then is it looked for.
    const std::uint32_t half = std::uint32_t{1} << (current_bits_ - 1);
    std::uint32_t used = 0;
    for (const std::int32_t value : band.values) used |= static_cast<std::uint32_t>(value) + half;
    if ((std::uint64_t{used} >> current_bits_) == 0) return {};
    const std::int64_t limit = half;
    const auto outside = std::ranges::find_if(
        band.values, [&](std::int64_t value) { return value < -limit || value >= limit; });
    const auto i = static_cast<std::size_t>(outside - band.values.begin());
    return bad(block.first + i / neurons_, Errc::BadConfig,
               fmt::format("i_in of neuron {} is {}, expected {}..{}", i % neurons_, *outside,
                           -limit, limit - 1));
}

}  // namespace spikelock::golden::detail

// SPDX-License-Identifier: Apache-2.0
#include "history.hpp"

#include <algorithm>
#include <cstring>

namespace spikelock::lockstep::detail {

namespace {
std::size_t row_bytes(const trace::Shape& shape, std::size_t field) {
    return std::size_t{shape.n_neurons} * static_cast<unsigned>(shape.fields[field].bytes);
}

/// Adds the entries of a block from timestep `oldest` on, and forgets those before it.
template <typename Event>
void keep_list(std::deque<std::pair<std::uint64_t, Event>>& kept, std::span<const Event> list,
               std::uint64_t first, std::uint64_t oldest) {
    while (!kept.empty() && kept.front().first < oldest) kept.pop_front();
    for (const Event& event : list)
        if (first + event.step >= oldest) kept.emplace_back(first + event.step, event);
}

/// Those of timesteps first..first+steps-1, with steps counted from the first.
template <typename Event>
std::vector<Event> list_of(const std::deque<std::pair<std::uint64_t, Event>>& kept,
                           std::uint64_t first, std::size_t steps) {
    const auto before = [](const auto& entry, std::uint64_t t) { return entry.first < t; };
    auto at = std::lower_bound(kept.begin(), kept.end(), first, before);
    std::vector<Event> list;
    for (; at != kept.end() && at->first < first + steps; ++at) {
        list.push_back(at->second);
        list.back().step = static_cast<std::uint32_t>(at->first - first);
    }
    return list;
}
}  // namespace

History::History(const trace::Shape& shape, std::uint32_t steps)
    : shape_(shape), fields_(shape.fields.size()), masks_(shape.fields.size()) {
    std::size_t step_bytes = shape_.spike_words() * 8 + 1;
    for (std::size_t f = 0; f < fields_.size(); ++f) step_bytes += row_bytes(shape_, f);
    capacity_ = std::min<std::uint64_t>(steps, kMostBytes / step_bytes);
    spikes_.resize(capacity_ * shape_.spike_words());
    valid_.resize(capacity_, 1);
    if (shape_.counts) counts_.resize(capacity_ * shape_.n_neurons);
    for (std::size_t f = 0; f < fields_.size(); ++f)
        fields_[f].resize(capacity_ * row_bytes(shape_, f));
}

void History::copy_in(const trace::BlockView& block, std::size_t from, std::size_t slot,
                      std::size_t count) {
    if (count == 0) return;
    const std::size_t words = shape_.spike_words();
    const std::size_t neurons = shape_.n_neurons;
    const auto copy = [&](auto& into, const auto& source, std::size_t row) {
        if (row > 0)
            std::memcpy(into.data() + slot * row, source.data() + from * row,
                        count * row * sizeof(into[0]));
    };
    copy(spikes_, block.spikes, words);
    if (shape_.counts) copy(counts_, block.counts, neurons);
    if (block.valid.empty())
        std::memset(valid_.data() + slot, 1, count);
    else
        copy(valid_, block.valid, 1);
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        copy(fields_[f], block.fields[f], row_bytes(shape_, f));
        const bool masked = f < block.masks.size() && !block.masks[f].empty();
        if (masked && masks_[f].empty()) masks_[f].assign(capacity_ * words, ~std::uint64_t{0});
        if (masked)
            copy(masks_[f], block.masks[f], words);
        else if (!masks_[f].empty())
            std::fill_n(masks_[f].begin() + static_cast<std::ptrdiff_t>(slot * words),
                        count * words, ~std::uint64_t{0});
    }
}

void History::push(const trace::BlockView& block) {
    const std::uint64_t kept = std::min<std::uint64_t>(block.n_steps, capacity_);
    next_ = block.first + block.n_steps;
    held_ = std::min(capacity_, held_ + kept);
    if (shape_.events) keep_list(events_, block.events, block.first, next_ - held_);
    if (shape_.order) keep_list(taken_, block.taken, block.first, next_ - held_);
    if (kept == 0) return;
    const std::size_t from = block.n_steps - kept;
    const std::size_t slot = (next_ - kept) % capacity_;
    const std::size_t straight = std::min<std::size_t>(kept, capacity_ - slot);
    copy_in(block, from, slot, straight);
    copy_in(block, from + straight, 0, kept - straight);
}

void History::append_slots(trace::ExecutionTrace& into, std::uint64_t first, std::size_t begin,
                           std::size_t end) const {
    if (begin == end) return;
    const std::size_t steps = end - begin;
    const std::size_t words = shape_.spike_words();
    const auto part = [&](const auto& values, std::size_t row) {
        return std::span(values).subspan(begin * row, steps * row);
    };
    trace::BlockView view;
    view.first = first;
    view.n_steps = static_cast<std::uint32_t>(steps);
    view.spikes = part(spikes_, words);
    view.valid = part(valid_, 1);
    if (std::find(view.valid.begin(), view.valid.end(), 0) == view.valid.end()) view.valid = {};
    if (shape_.counts) view.counts = part(counts_, shape_.n_neurons);
    const auto events = list_of(events_, first, steps);
    const auto taken = list_of(taken_, first, steps);
    view.events = events;
    view.taken = taken;
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        view.fields.push_back(part(fields_[f], row_bytes(shape_, f)));
        view.masks.emplace_back();
        if (!masks_[f].empty()) view.masks.back() = part(masks_[f], words);
    }
    into.append(view);
}

trace::ExecutionTrace History::trace_from(std::uint64_t begin) const {
    const std::uint64_t first = std::max(begin, next_ - held_);
    trace::ExecutionTrace trace(shape_, std::min(first, next_));
    if (first >= next_) return trace;
    const std::size_t count = next_ - first;
    const std::size_t slot = first % capacity_;
    const std::size_t straight = std::min<std::size_t>(count, capacity_ - slot);
    append_slots(trace, first, slot, slot + straight);
    append_slots(trace, first + straight, 0, count - straight);
    return trace;
}

}  // namespace spikelock::lockstep::detail

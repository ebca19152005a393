// SPDX-License-Identifier: Apache-2.0
#include "feed.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace spikelock::lockstep::detail {

namespace {
/// Entries of steps offset..offset+count-1, with their steps counted from offset.
template <typename Event>
void slice_list(std::span<const Event> list, std::uint32_t offset, std::uint32_t count,
                std::vector<Event>& into) {
    const auto from = std::partition_point(list.begin(), list.end(),
                                           [&](const Event& e) { return e.step < offset; });
    const auto to = std::partition_point(from, list.end(),
                                         [&](const Event& e) { return e.step < offset + count; });
    into.assign(from, to);
    for (Event& event : into) event.step -= offset;
}
}  // namespace

void slice(const trace::BlockView& block, const trace::Shape& shape, std::uint32_t offset,
           std::uint32_t count, Part& part) {
    trace::BlockView& into = part.view;
    if (shape.events) slice_list(block.events, offset, count, part.events);
    if (shape.order) slice_list(block.taken, offset, count, part.taken);
    into.events = part.events;
    into.taken = part.taken;
    const std::size_t words = shape.spike_words();
    const std::size_t neurons = shape.n_neurons;
    into.first = block.first + offset;
    into.n_steps = count;
    into.spikes = block.spikes.subspan(offset * words, count * words);
    into.valid = block.valid.empty() ? block.valid : block.valid.subspan(offset, count);
    into.counts = shape.counts ? block.counts.subspan(offset * neurons, count * neurons)
                               : std::span<const std::uint16_t>{};
    into.fields.resize(block.fields.size());
    for (std::size_t f = 0; f < block.fields.size(); ++f) {
        const std::size_t row = neurons * static_cast<unsigned>(shape.fields[f].bytes);
        into.fields[f] = block.fields[f].subspan(offset * row, count * row);
    }
    into.masks.resize(block.masks.size());
    for (std::size_t f = 0; f < block.masks.size(); ++f)
        into.masks[f] = block.masks[f].empty()
                            ? block.masks[f]
                            : block.masks[f].subspan(offset * words, count * words);
}

Status Feed::check(const trace::BlockView& block) const {
    // Everything after this trusts the sizes, so a faulty source must stop here.
    const trace::Shape& shape = source_.shape();
    const std::size_t steps = block.n_steps;
    const std::size_t elements = steps * shape.n_neurons;
    const auto fault = [&](const std::string& what) {
        return Error{Errc::Internal,
                     "the " + name_ + " source broke its contract at timestep " +
                         std::to_string(block.first) + ": " + what,
                     {}};
    };
    if (steps == 0) return fault("a block without timesteps");
    if (next_ && block.first != *next_)
        return fault("blocks must follow each other, expected timestep " + std::to_string(*next_));
    if (block.spikes.size() != steps * shape.spike_words()) return fault("wrong number of spikes");
    if (block.fields.size() != shape.fields.size()) return fault("wrong number of fields");
    if (!block.valid.empty() && block.valid.size() != steps) return fault("wrong size of valid");
    if (shape.counts && block.counts.size() != elements) return fault("wrong number of counts");
    const auto in_order = [&](const auto& list) {
        for (std::size_t i = 0; i < list.size(); ++i)
            if (list[i].step >= steps || (i > 0 && list[i].step < list[i - 1].step)) return false;
        return true;
    };
    if (!in_order(block.events)) return fault("spike events out of order");
    if (!in_order(block.taken)) return fault("taken events out of order");
    for (std::size_t f = 0; f < block.fields.size(); ++f)
        if (block.fields[f].size() != elements * static_cast<unsigned>(shape.fields[f].bytes))
            return fault("wrong size of field " + shape.fields[f].name);
    if (block.masks.size() > shape.fields.size()) return fault("more masks than fields");
    for (std::size_t f = 0; f < block.masks.size(); ++f)
        if (!block.masks[f].empty() && block.masks[f].size() != steps * shape.spike_words())
            return fault("wrong size of the mask of field " + shape.fields[f].name);
    return {};
}

Status Feed::fill(std::uint32_t most) {
    if (left() > 0 || end_) return {};
    auto got = source_.read(most);
    if (!got) return std::move(got.error());
    if (auto* end = std::get_if<trace::SourceEnd>(&*got)) {
        end_ = std::move(*end);
        return {};
    }
    auto& block = std::get<trace::BlockView>(*got);
    if (Status status = check(block); !status) return status;
    view_ = std::move(block);
    used_ = 0;
    next_ = view_.first + view_.n_steps;
    return {};
}

}  // namespace spikelock::lockstep::detail

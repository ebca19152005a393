// SPDX-License-Identifier: Apache-2.0
#include "comparer.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "spikelock/trace/block_compare.hpp"

namespace spikelock::lockstep::detail {

namespace {
/// The flags of a block, or null where all timesteps are valid.
const std::uint8_t* invalid_flags(std::span<const std::uint8_t> valid) {
    if (valid.empty() || std::memchr(valid.data(), 0, valid.size()) == nullptr) return nullptr;
    return valid.data();
}

const std::uint64_t* mask_of(const trace::BlockView& block, std::size_t field) {
    return field < block.masks.size() && !block.masks[field].empty() ? block.masks[field].data()
                                                                     : nullptr;
}

/// One bit for each of `count` (at most 64) elements that differ in a bit that matters.
template <typename T>
std::uint64_t element_differences(const std::byte* expected, const std::byte* actual,
                                  const std::uint64_t* bits, std::uint32_t count) {
    std::uint64_t word = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        T e = 0;
        T a = 0;
        std::memcpy(&e, expected + i * sizeof(T), sizeof(T));
        std::memcpy(&a, actual + i * sizeof(T), sizeof(T));
        std::uint64_t difference = std::uint64_t{e} ^ std::uint64_t{a};
        if (bits != nullptr) difference &= bits[i];
        word |= std::uint64_t{difference != 0} << i;
    }
    return word;
}

std::uint64_t element_differences(int bytes, const std::byte* expected, const std::byte* actual,
                                  const std::uint64_t* bits, std::uint32_t count) {
    switch (bytes) {
        case 1:
            return element_differences<std::uint8_t>(expected, actual, bits, count);
        case 2:
            return element_differences<std::uint16_t>(expected, actual, bits, count);
        case 4:
            return element_differences<std::uint32_t>(expected, actual, bits, count);
        default:
            return element_differences<std::uint64_t>(expected, actual, bits, count);
    }
}

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> neurons) {
    std::sort(neurons.begin(), neurons.end());
    return neurons;
}

std::uint64_t load_word(const std::byte* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}
}  // namespace

Comparer::Comparer(std::vector<Channel> channels, std::uint32_t n_neurons, bool order)
    : channels_(std::move(channels)),
      n_neurons_(n_neurons),
      words_((n_neurons + 63) / 64),
      memory_(channels_.size()),
      next_(channels_.size()),
      scratch_(words_),
      order_(order) {}

void Comparer::bind(const trace::BlockView& expected, const trace::BlockView& actual,
                    const MaskPlan& plan) {
    n_rows_ = expected.n_steps;
    expected_valid_ = invalid_flags(expected.valid);
    actual_valid_ = invalid_flags(actual.valid);
    expected_counts_ = nullptr;
    actual_counts_ = nullptr;
    values_per_step_ = plan.values_per_step();
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        const Channel& channel = channels_[c];
        Memory& memory = memory_[c];
        memory = {};
        memory.care = &plan.care(c);
        if (channel.is_spike) {
            memory.expected = std::as_bytes(expected.spikes).data();
            memory.actual = std::as_bytes(actual.spikes).data();
            memory.row_bytes = words_ * sizeof(std::uint64_t);
            if (channel.counts) {
                expected_counts_ = counts_of(expected, expected_bits_);
                actual_counts_ = counts_of(actual, actual_bits_);
            }
        } else {
            memory.expected = expected.fields[channel.expected].data();
            memory.actual = actual.fields[channel.actual].data();
            memory.expected_mask = mask_of(expected, channel.expected);
            memory.actual_mask = mask_of(actual, channel.actual);
            memory.row_bytes = std::size_t{n_neurons_} * static_cast<unsigned>(channel.spec.bytes);
        }
        next_[c] = memory.care->count == 0 ? n_rows_ : search(c, 0);
    }
    orders_.clear();
    for (std::size_t c = 0; order_ && c < channels_.size(); ++c)
        if (channels_[c].is_spike) find_orders(expected.events, actual.events, *memory_[c].care);
}

void Comparer::find_orders(std::span<const trace::SpikeEvent> expected,
                           std::span<const trace::SpikeEvent> actual, const Care& care) {
    const auto cared_for = [&](std::uint32_t n) {
        return n < n_neurons_ && (care.neurons[n / 64] >> (n % 64) & 1U) != 0;
    };
    // Of the timestep at the front of both lists.
    const auto take = [&](std::span<const trace::SpikeEvent>& list, std::uint32_t row) {
        std::vector<std::uint32_t> neurons;
        for (; !list.empty() && list.front().step <= row; list = list.subspan(1))
            if (cared_for(list.front().neuron)) neurons.push_back(list.front().neuron);
        return neurons;
    };
    while (!expected.empty() && !actual.empty()) {
        const std::uint32_t row = std::min(expected.front().step, actual.front().step);
        Orders orders{row, take(expected, row), take(actual, row)};
        if (orders.expected == orders.actual || !valid(row)) continue;
        // Other spikes are what the spikes themselves are compared for.
        if (sorted(orders.expected) == sorted(orders.actual)) orders_.push_back(std::move(orders));
    }
}

const std::uint16_t* Comparer::counts_of(const trace::BlockView& block,
                                         std::vector<std::uint16_t>& from_bits) const {
    if (!block.counts.empty()) return block.counts.data();
    from_bits.assign(std::size_t{block.n_steps} * n_neurons_, 0);
    for (std::size_t row = 0; row < block.n_steps; ++row)
        for (std::size_t w = 0; w < words_; ++w)
            for (std::uint64_t word = block.spikes[row * words_ + w]; word != 0; word &= word - 1) {
                const std::size_t n = w * 64 + static_cast<std::size_t>(std::countr_zero(word));
                if (n < n_neurons_) from_bits[row * n_neurons_ + n] = 1;
            }
    return from_bits.data();
}

std::uint32_t Comparer::first_unequal_row(std::size_t c, std::uint32_t from) const {
    const Memory& memory = memory_[c];
    const std::size_t rows = n_rows_ - from;
    const auto first = [&](const std::byte* e, const std::byte* a, std::size_t row_bytes) {
        const std::size_t offset = from * row_bytes;
        const auto row = trace::compare_rows({e + offset, rows * row_bytes},
                                             {a + offset, rows * row_bytes}, row_bytes);
        return row ? from + static_cast<std::uint32_t>(*row) : n_rows_;
    };
    std::uint32_t row = first(memory.expected, memory.actual, memory.row_bytes);
    if (channels_[c].counts)
        row = std::min(row, first(std::as_bytes(std::span(expected_counts_, n_neurons_)).data(),
                                  std::as_bytes(std::span(actual_counts_, n_neurons_)).data(),
                                  n_neurons_ * sizeof(std::uint16_t)));
    return row;
}

bool Comparer::difference_words(std::size_t c, std::uint32_t row,
                                std::vector<std::uint64_t>& words) {
    const Memory& memory = memory_[c];
    const Channel& channel = channels_[c];
    const std::size_t offset = row * memory.row_bytes;
    const std::byte* expected = memory.expected + offset;
    const std::byte* actual = memory.actual + offset;
    std::uint64_t any = 0;
    for (std::size_t w = 0; w < words_; ++w) {
        const std::uint32_t first = static_cast<std::uint32_t>(w * 64);
        const std::uint32_t count = std::min(64U, n_neurons_ - first);
        std::uint64_t word = 0;
        if (channel.is_spike) {
            word = load_word(expected + w * 8) ^ load_word(actual + w * 8);
            if (channel.counts) {
                const std::size_t at = std::size_t{row} * n_neurons_ + first;
                word |= element_differences<std::uint16_t>(
                    std::as_bytes(std::span(expected_counts_ + at, count)).data(),
                    std::as_bytes(std::span(actual_counts_ + at, count)).data(), nullptr, count);
            }
        } else {
            const std::size_t at = std::size_t{first} * static_cast<unsigned>(channel.spec.bytes);
            word = element_differences(
                channel.spec.bytes, expected + at, actual + at,
                memory.care->bits.empty() ? nullptr : memory.care->bits.data() + first, count);
            const std::size_t mask = row * words_ + w;
            if (memory.expected_mask != nullptr) word &= memory.expected_mask[mask];
            if (memory.actual_mask != nullptr) word &= memory.actual_mask[mask];
        }
        words[w] = word & memory.care->neurons[w];
        any |= words[w];
    }
    return any != 0;
}

std::uint32_t Comparer::search(std::size_t c, std::uint32_t from) {
    const Memory& memory = memory_[c];
    // Where memory differs, elements decide: what differs may be masked, invalid or padding.
    const bool memory_decides = memory.care->whole && memory.expected_mask == nullptr &&
                                memory.actual_mask == nullptr && !channels_[c].is_spike;
    std::uint32_t row = first_unequal_row(c, from);
    while (row < n_rows_ &&
           (!valid(row) || !(memory_decides || difference_words(c, row, scratch_))))
        row = first_unequal_row(c, row + 1);
    return row;
}

std::uint32_t Comparer::next_difference(std::uint32_t from) {
    std::uint32_t next = n_rows_;
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        // Each channel is searched once from one of its differences to the next, so that a block
        // with many of them still costs one pass.
        if (next_[c] < from) next_[c] = search(c, from);
        next = std::min(next, next_[c]);
    }
    const auto order =
        std::lower_bound(orders_.begin(), orders_.end(), from,
                         [](const Orders& orders, std::uint32_t row) { return orders.row < row; });
    return order == orders_.end() ? next : std::min(next, order->row);
}

Tally Comparer::tally(std::uint32_t begin, std::uint32_t end) const {
    Tally tally;
    bool masked = false;
    for (const Memory& memory : memory_)
        masked = masked || memory.expected_mask != nullptr || memory.actual_mask != nullptr;
    if (all_steps_valid() && !masked) {
        tally.steps = end - begin;
        tally.values = tally.steps * values_per_step_;
        if (values_per_step_ > 0 && end > begin) tally.last_whole = std::int64_t{end} - 1;
        return tally;
    }
    for (std::uint32_t row = begin; row < end; ++row) {
        bool lost = false;
        if (!valid(row)) {
            // A timestep of which nothing would be compared loses nothing.
            lost = values_per_step_ > 0;
            if (lost) ++tally.steps_invalid;
        } else {
            ++tally.steps;
            const std::uint64_t invalid_before = tally.values_invalid;
            for (const Memory& memory : memory_) {
                if (memory.expected_mask == nullptr && memory.actual_mask == nullptr) {
                    tally.values += memory.care->count;
                    continue;
                }
                for (std::size_t w = 0; w < words_; ++w) {
                    const std::size_t at = row * words_ + w;
                    const std::uint64_t all = ~std::uint64_t{0};
                    const std::uint64_t e = memory.expected_mask ? memory.expected_mask[at] : all;
                    const std::uint64_t a = memory.actual_mask ? memory.actual_mask[at] : all;
                    const std::uint64_t care = memory.care->neurons[w];
                    tally.values += static_cast<std::uint64_t>(std::popcount(e & a & care));
                    tally.values_invalid +=
                        static_cast<std::uint64_t>(std::popcount((e ^ a) & care));
                }
            }
            lost = tally.values_invalid != invalid_before;
        }
        if (lost && tally.first_loss < 0) tally.first_loss = row;
        if (!lost && values_per_step_ > 0) tally.last_whole = row;
    }
    return tally;
}

Divergence Comparer::describe(std::uint32_t row, std::uint32_t most, bool spikes_only) {
    Divergence divergence = describe_values(row, most, spikes_only);
    const auto order = std::find_if(orders_.begin(), orders_.end(),
                                    [&](const Orders& orders) { return orders.row == row; });
    if (order == orders_.end() || spikes_only) return divergence;
    const auto [e, a] =
        std::mismatch(order->expected.begin(), order->expected.end(), order->actual.begin());
    ++divergence.n_differences;
    if (divergence.differences.size() < most)
        divergence.differences.push_back({"spike_order", *a, *e, *a});
    divergence.expected_order = order->expected;
    divergence.actual_order = order->actual;
    return divergence;
}

Divergence Comparer::describe_values(std::uint32_t row, std::uint32_t most, bool spikes_only) {
    Divergence divergence;
    std::vector<std::vector<std::uint64_t>> words(channels_.size(),
                                                  std::vector<std::uint64_t>(words_));
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        if (memory_[c].care->count == 0 || (spikes_only && !channels_[c].is_spike)) continue;
        difference_words(c, row, words[c]);
        std::uint64_t count = 0;
        for (const std::uint64_t word : words[c])
            count += static_cast<std::uint64_t>(std::popcount(word));
        divergence.n_differences += count;
        if (channels_[c].is_spike) divergence.n_spike_differences += count;
    }
    for (std::size_t w = 0; w < words_; ++w) {
        std::uint64_t neurons = 0;
        for (const auto& channel : words) neurons |= channel[w];
        for (; neurons != 0; neurons &= neurons - 1) {
            const auto bit = static_cast<std::uint32_t>(std::countr_zero(neurons));
            const std::uint32_t neuron = static_cast<std::uint32_t>(w * 64) + bit;
            for (std::size_t c = 0; c < channels_.size(); ++c) {
                if ((words[c][w] >> bit & 1U) == 0) continue;
                if (divergence.differences.size() >= most) return divergence;
                const Channel& channel = channels_[c];
                const Memory& memory = memory_[c];
                Difference difference{channel.name, neuron, 0, 0};
                const std::size_t offset = row * memory.row_bytes;
                if (channel.is_spike) {
                    const std::byte* e = memory.expected + offset + w * 8;
                    const std::byte* a = memory.actual + offset + w * 8;
                    difference.expected = static_cast<std::int64_t>(load_word(e) >> bit & 1U);
                    difference.actual = static_cast<std::int64_t>(load_word(a) >> bit & 1U);
                    if (channel.counts) {
                        const std::size_t at = std::size_t{row} * n_neurons_ + neuron;
                        const std::uint16_t counted_e = expected_counts_[at];
                        const std::uint16_t counted_a = actual_counts_[at];
                        // Equal counts with unequal bits: a source contradicts itself, and the bits
                        // are what shows it.
                        if (counted_e != counted_a) {
                            difference.expected = counted_e;
                            difference.actual = counted_a;
                        }
                    }
                } else {
                    const std::size_t at =
                        offset + std::size_t{neuron} * static_cast<unsigned>(channel.spec.bytes);
                    difference.expected = raw_value(memory.expected + at, channel.spec);
                    difference.actual = raw_value(memory.actual + at, channel.spec);
                }
                divergence.differences.push_back(std::move(difference));
            }
        }
    }
    return divergence;
}

}  // namespace spikelock::lockstep::detail

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/execution_trace.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "spikelock/base/assert.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::trace {

namespace {
template <typename T>
T load(const std::byte* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

template <typename T>
void drop_front(std::vector<T>& values, std::size_t count) {
    values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
}

template <typename T>
void extend(std::vector<T>& values, std::span<const T> more) {
    values.insert(values.end(), more.begin(), more.end());
}

// Appends the entries of a block that begins `offset` timesteps after the first one.
template <typename Event>
void extend_list(std::vector<Event>& list, std::span<const Event> more, std::uint64_t offset) {
    SPIKELOCK_ASSERT(more.empty() || offset + more.back().step <= UINT32_MAX);
    for (Event event : more) {
        event.step += static_cast<std::uint32_t>(offset);
        list.push_back(event);
    }
}

template <typename Event>
std::span<const Event> entries_of(std::span<const Event> list, std::uint64_t step) noexcept {
    const auto from =
        std::lower_bound(list.begin(), list.end(), step,
                         [](const Event& event, std::uint64_t s) { return event.step < s; });
    const auto to = std::upper_bound(
        from, list.end(), step, [](std::uint64_t s, const Event& event) { return s < event.step; });
    return {from, to};
}

template <typename Event>
void drop_steps(std::vector<Event>& list, std::uint64_t gone) {
    std::erase_if(list, [gone](const Event& event) { return event.step < gone; });
    for (Event& event : list) event.step -= static_cast<std::uint32_t>(gone);
}

Error no_neuron(std::uint32_t neuron, std::uint32_t n_neurons) {
    return Error{Errc::NotFound,
                 "no neuron " + std::to_string(neuron) + ": the trace has " +
                     std::to_string(n_neurons) + ", counted from 0",
                 {}};
}
}  // namespace

ExecutionTrace::ExecutionTrace(Shape shape, std::uint64_t first_step)
    : shape_(std::move(shape)),
      first_step_(first_step),
      fields_(shape_.fields.size()),
      masks_(shape_.fields.size()) {}

void ExecutionTrace::append(const BlockView& block) {
    const std::size_t steps = block.n_steps;
    const std::size_t words = shape_.spike_words();
    SPIKELOCK_ASSERT(block.first == first_step_ + n_steps_);
    SPIKELOCK_ASSERT(block.spikes.size() == steps * words);
    SPIKELOCK_ASSERT(block.fields.size() == shape_.fields.size());
    extend(spikes_, block.spikes);
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        SPIKELOCK_ASSERT(block.fields[f].size() ==
                         steps * n_neurons() * static_cast<std::size_t>(shape_.fields[f].bytes));
        extend(fields_[f], block.fields[f]);
    }
    if (shape_.counts) {
        SPIKELOCK_ASSERT(block.counts.size() == steps * n_neurons());
        extend(counts_, block.counts);
    }
    extend_list(events_, block.events, n_steps_);
    extend_list(taken_, block.taken, n_steps_);
    // Validity is stored from the first timestep on that is not all valid.
    if (!block.valid.empty() || !valid_.empty()) {
        valid_.resize(n_steps_, 1);
        if (block.valid.empty()) {
            valid_.resize(n_steps_ + steps, 1);
        } else {
            SPIKELOCK_ASSERT(block.valid.size() == steps);
            extend(valid_, block.valid);
        }
    }
    for (std::size_t f = 0; f < masks_.size(); ++f) {
        const bool masked = f < block.masks.size() && !block.masks[f].empty();
        if (!masked && masks_[f].empty()) continue;
        masks_[f].resize(n_steps_ * words, ~std::uint64_t{0});
        if (masked) {
            SPIKELOCK_ASSERT(block.masks[f].size() == steps * words);
            extend(masks_[f], block.masks[f]);
        } else {
            masks_[f].resize((n_steps_ + steps) * words, ~std::uint64_t{0});
        }
    }
    n_steps_ += steps;
}

void ExecutionTrace::keep_last(std::uint64_t keep) {
    if (n_steps_ <= keep) return;
    const std::size_t gone = n_steps_ - keep;
    const std::size_t words = shape_.spike_words();
    drop_front(spikes_, gone * words);
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        drop_front(fields_[f],
                   gone * n_neurons() * static_cast<std::size_t>(shape_.fields[f].bytes));
        if (!masks_[f].empty()) drop_front(masks_[f], gone * words);
    }
    if (!counts_.empty()) drop_front(counts_, gone * n_neurons());
    if (!valid_.empty()) drop_front(valid_, gone);
    drop_steps(events_, gone);
    drop_steps(taken_, gone);
    first_step_ += gone;
    n_steps_ = keep;
}

bool ExecutionTrace::spike(std::uint64_t timestep, std::uint32_t neuron) const noexcept {
    SPIKELOCK_DCHECK(neuron < n_neurons());
    return (spike_row(timestep)[neuron / 64] >> (neuron % 64)) & 1U;
}

std::span<const std::uint64_t> ExecutionTrace::spike_row(std::uint64_t timestep) const noexcept {
    SPIKELOCK_DCHECK(holds(timestep));
    const std::size_t words = shape_.spike_words();
    return std::span(spikes_).subspan((timestep - first_step_) * words, words);
}

std::span<const SpikeEvent> ExecutionTrace::events_of(std::uint64_t timestep) const noexcept {
    SPIKELOCK_DCHECK(holds(timestep));
    return entries_of(events(), timestep - first_step_);
}

std::span<const TakenEvent> ExecutionTrace::taken_of(std::uint64_t timestep) const noexcept {
    SPIKELOCK_DCHECK(holds(timestep));
    return entries_of(taken(), timestep - first_step_);
}

std::int64_t ExecutionTrace::raw(std::size_t field, std::uint64_t timestep,
                                 std::uint32_t neuron) const noexcept {
    SPIKELOCK_DCHECK(holds(timestep) && field < fields_.size() && neuron < n_neurons());
    const FieldSpec& spec = shape_.fields[field];
    const std::size_t index = (timestep - first_step_) * n_neurons() + neuron;
    const std::byte* at = fields_[field].data() + index * static_cast<std::size_t>(spec.bytes);
    switch (spec.bytes) {
        case 1:
            return spec.is_signed ? std::int64_t{load<std::int8_t>(at)} : load<std::uint8_t>(at);
        case 2:
            return spec.is_signed ? std::int64_t{load<std::int16_t>(at)} : load<std::uint16_t>(at);
        case 4:
            return spec.is_signed ? std::int64_t{load<std::int32_t>(at)} : load<std::uint32_t>(at);
        default:
            return load<std::int64_t>(at);
    }
}

double ExecutionTrace::value(std::size_t field, std::uint64_t timestep,
                             std::uint32_t neuron) const noexcept {
    const FieldSpec& spec = shape_.fields[field];
    const std::int64_t bits = raw(field, timestep, neuron);
    if (spec.is_float) return std::bit_cast<double>(bits);
    const double number = spec.is_signed ? static_cast<double>(bits)
                                         : static_cast<double>(static_cast<std::uint64_t>(bits));
    return std::ldexp(number, -spec.frac_bits);
}

bool ExecutionTrace::valid(std::uint64_t timestep) const noexcept {
    SPIKELOCK_DCHECK(holds(timestep));
    return valid_.empty() || valid_[timestep - first_step_] != 0;
}

bool ExecutionTrace::valid(std::size_t field, std::uint64_t timestep,
                           std::uint32_t neuron) const noexcept {
    SPIKELOCK_DCHECK(field < masks_.size() && neuron < n_neurons());
    if (!valid(timestep)) return false;
    if (masks_[field].empty()) return true;
    const std::size_t row = (timestep - first_step_) * shape_.spike_words();
    return (masks_[field][row + neuron / 64] >> (neuron % 64)) & 1U;
}

BlockView ExecutionTrace::view() const {
    SPIKELOCK_ASSERT(n_steps_ <= UINT32_MAX);
    BlockView block;
    block.first = first_step_;
    block.n_steps = static_cast<std::uint32_t>(n_steps_);
    block.spikes = spikes_;
    block.fields.assign(fields_.begin(), fields_.end());
    block.valid = valid_;
    if (std::any_of(masks_.begin(), masks_.end(), [](const auto& m) { return !m.empty(); })) {
        block.masks.assign(masks_.begin(), masks_.end());
    }
    block.counts = counts_;
    block.events = events_;
    block.taken = taken_;
    return block;
}

std::uint64_t ExecutionTrace::spike_count() const {
    std::uint64_t count = 0;
    for (std::uint64_t t = first_step_; t < first_step_ + n_steps_; ++t) {
        if (!valid(t)) continue;
        if (shape_.counts) {
            for (std::uint32_t n = 0; n < n_neurons(); ++n) {
                count += counts_[(t - first_step_) * n_neurons() + n];
            }
        } else {
            for (const std::uint64_t word : spike_row(t)) {
                count += static_cast<std::uint64_t>(std::popcount(word));
            }
        }
    }
    return count;
}

std::vector<double> ExecutionTrace::firing_rates() const {
    std::vector<std::uint64_t> counts(n_neurons(), 0);
    std::uint64_t valid_steps = 0;
    for (std::uint64_t t = first_step_; t < first_step_ + n_steps_; ++t) {
        if (!valid(t)) continue;
        ++valid_steps;
        if (shape_.counts) {
            for (std::uint32_t n = 0; n < n_neurons(); ++n) {
                counts[n] += counts_[(t - first_step_) * n_neurons() + n];
            }
            continue;
        }
        const auto row = spike_row(t);
        for (std::size_t w = 0; w < row.size(); ++w) {
            for (std::uint64_t word = row[w]; word != 0; word &= word - 1) {
                ++counts[w * 64 + static_cast<std::size_t>(std::countr_zero(word))];
            }
        }
    }
    std::vector<double> rates(n_neurons(), 0.0);
    if (valid_steps == 0) return rates;
    const double seconds = static_cast<double>(valid_steps) * dt();
    for (std::size_t n = 0; n < rates.size(); ++n) {
        rates[n] = static_cast<double>(counts[n]) / seconds;
    }
    return rates;
}

Result<std::vector<std::uint64_t>> ExecutionTrace::spike_times(std::uint32_t neuron) const {
    if (neuron >= n_neurons()) return no_neuron(neuron, n_neurons());
    std::vector<std::uint64_t> times;
    for (std::uint64_t t = first_step_; t < first_step_ + n_steps_; ++t) {
        if (valid(t) && spike(t, neuron)) times.push_back(t);
    }
    return times;
}

Result<std::vector<double>> ExecutionTrace::neuron_trace(std::uint32_t neuron,
                                                         std::string_view field) const {
    if (neuron >= n_neurons()) return no_neuron(neuron, n_neurons());
    const int index = shape_.field_index(field);
    if (index < 0) {
        std::vector<std::string> names;
        for (const FieldSpec& spec : shape_.fields) names.push_back(spec.name);
        return Error{Errc::NotFound,
                     "no field '" + std::string(field) + "'" + did_you_mean(field, names),
                     {}};
    }
    std::vector<double> values;
    values.reserve(n_steps_);
    for (std::uint64_t t = first_step_; t < first_step_ + n_steps_; ++t) {
        values.push_back(value(static_cast<std::size_t>(index), t, neuron));
    }
    return values;
}

Result<std::vector<Spike>> ExecutionTrace::population_spikes(std::string_view label) const {
    auto population = shape_.population(label);
    if (!population) return population.error();
    const std::uint32_t end = std::min(population->end, n_neurons());
    std::vector<Spike> spikes;
    for (std::uint64_t t = first_step_; t < first_step_ + n_steps_; ++t) {
        if (!valid(t)) continue;
        for (std::uint32_t n = population->begin; n < end; ++n) {
            if (spike(t, n)) spikes.push_back({t, n});
        }
    }
    return spikes;
}

}  // namespace spikelock::trace

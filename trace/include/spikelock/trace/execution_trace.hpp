// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/shape.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::trace {

/// A spike with its neuron and timestep.
struct Spike {
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
    bool operator==(const Spike&) const = default;
};

/// The recorded observations of a run, in memory: whole for short runs, a window of timesteps
/// [first_step, first_step + n_steps) for long ones. All queries use absolute timesteps.
/// Distinct objects are independent; const access is thread safe.
class ExecutionTrace {
public:
    ExecutionTrace() = default;
    /// An empty trace that starts at `first_step`.
    explicit ExecutionTrace(Shape shape, std::uint64_t first_step = 0);

    /// Appends a block. @pre block.first == first_step() + n_steps()
    void append(const BlockView& block);
    /// Drops the oldest timesteps until at most `keep` remain.
    void keep_last(std::uint64_t keep);

    const Shape& shape() const noexcept { return shape_; }
    std::uint32_t n_neurons() const noexcept { return shape_.n_neurons; }
    std::uint64_t n_steps() const noexcept { return n_steps_; }
    std::uint64_t first_step() const noexcept { return first_step_; }
    double dt() const noexcept { return shape_.dt; }

    std::vector<Sample>& samples() noexcept { return samples_; }
    const std::vector<Sample>& samples() const noexcept { return samples_; }

    bool holds(std::uint64_t timestep) const noexcept {
        return timestep >= first_step_ && timestep - first_step_ < n_steps_;
    }
    /// Whether the neuron fired. @pre holds(timestep), neuron < n_neurons()
    bool spike(std::uint64_t timestep, std::uint32_t neuron) const noexcept;
    /// Spikes of one timestep, spike_words() words. Valid until the trace changes. @pre
    /// holds(timestep)
    std::span<const std::uint64_t> spike_row(std::uint64_t timestep) const noexcept;
    /// Raw value of a field; float64 fields give the bit pattern. @pre holds(timestep), indices in
    /// range
    std::int64_t raw(std::size_t field, std::uint64_t timestep,
                     std::uint32_t neuron) const noexcept;
    /// Value in units: raw * 2^-frac_bits, or the float64 itself. @pre as raw
    double value(std::size_t field, std::uint64_t timestep, std::uint32_t neuron) const noexcept;
    /// Ordered spikes of all stored timesteps; `step` counts from first_step(). Empty where the
    /// shape has none. Valid until the trace changes.
    std::span<const SpikeEvent> events() const noexcept { return events_; }
    /// Those of one timestep. @pre holds(timestep)
    std::span<const SpikeEvent> events_of(std::uint64_t timestep) const noexcept;
    /// Events in the order in which the source took them; `step` as above.
    std::span<const TakenEvent> taken() const noexcept { return taken_; }
    std::span<const TakenEvent> taken_of(std::uint64_t timestep) const noexcept;
    /// Whether the timestep holds data. @pre holds(timestep)
    bool valid(std::uint64_t timestep) const noexcept;
    /// Whether one value of a field is valid (timestep and mask). @pre as raw
    bool valid(std::size_t field, std::uint64_t timestep, std::uint32_t neuron) const noexcept;
    /// The stored timesteps as one view; valid until the trace changes.
    BlockView view() const;

    /// Spikes in all valid timesteps.
    std::uint64_t spike_count() const;
    /// Spikes per second for each neuron, shape (n_neurons): count / (valid timesteps * dt).
    std::vector<double> firing_rates() const;
    /// Timesteps in which a neuron fired, ascending.
    /// @errors Errc::NotFound when there is no such neuron
    Result<std::vector<std::uint64_t>> spike_times(std::uint32_t neuron) const;
    /// A field of one neuron over all stored timesteps, in units, shape (n_steps).
    /// @errors Errc::NotFound when there is no such neuron or field (with the nearest names)
    Result<std::vector<double>> neuron_trace(std::uint32_t neuron,
                                             std::string_view field = "v") const;
    /// Spikes of a population in order of timestep, then neuron.
    /// @errors Errc::NotFound when there is no such label (with the nearest labels)
    Result<std::vector<Spike>> population_spikes(std::string_view label) const;

private:
    Shape shape_;
    std::uint64_t first_step_ = 0;
    std::uint64_t n_steps_ = 0;
    std::vector<Sample> samples_;
    std::vector<std::uint64_t> spikes_;
    std::vector<std::uint16_t> counts_;
    std::vector<std::vector<std::byte>> fields_;
    std::vector<SpikeEvent> events_;                 ///< step counts from first_step_
    std::vector<TakenEvent> taken_;                  ///< likewise
    std::vector<std::uint8_t> valid_;                ///< empty: all valid
    std::vector<std::vector<std::uint64_t>> masks_;  ///< per field, empty: all valid
};

}  // namespace spikelock::trace

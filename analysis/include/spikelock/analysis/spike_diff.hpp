// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// Spikes of one neuron, or of a population, on both sides.
struct SpikeTally {
    std::uint64_t expected = 0;  ///< spikes
    std::uint64_t actual = 0;
    std::uint64_t missing = 0;  ///< expected, but not there
    std::uint64_t extra = 0;    ///< there, but not expected
    std::uint64_t mismatches() const noexcept { return missing + extra; }
    bool operator==(const SpikeTally&) const = default;
};

struct PopulationTally {
    std::string label;
    SpikeTally tally;
};

/// How the spikes of two sources differ over a whole run.
struct SpikeDiff {
    std::uint64_t steps_compared = 0;   ///< timesteps valid on both sides
    std::uint64_t steps_invalid = 0;    ///< not compared: invalid on a side
    std::uint64_t steps_unmatched = 0;  ///< not compared: only one side has them
    std::uint32_t n_neurons = 0;
    SpikeTally total;
    std::vector<SpikeTally> neurons;  ///< shape (n_neurons)
    std::vector<PopulationTally> populations;
    std::optional<trace::Spike> first;  ///< first mismatch
    bool first_is_missing = false;
    std::vector<trace::Spike> missing;  ///< the first of them, SpikeDiffOptions::most_listed
    std::vector<trace::Spike> extra;
    /// Mismatches if the actual side is moved by -1, 0 and +1 timesteps ([1] is as recorded); a
    /// much smaller outer number says that one side is a timestep ahead.
    std::array<std::uint64_t, 3> mismatches_at_lag{};

    /// Mismatches per neuron and timestep compared, 0..1 (above 1 only with spike counts).
    double rate() const noexcept;
    /// -1 or +1 where moving the actual spikes by that many timesteps leaves less than half of the
    /// mismatches, else 0. +1: the actual side is one timestep early.
    int lag() const noexcept;
};

struct SpikeDiffOptions {
    std::size_t most_listed = 100;  ///< of `missing` and of `extra`
};

/// Compares spikes block by block in memory that does not grow with time.
class SpikeDiffer {
public:
    /// @errors Errc::Mismatch when the numbers of neurons differ
    static Result<SpikeDiffer> create(const trace::Shape& expected, const trace::Shape& actual,
                                      SpikeDiffOptions options = {});

    /// Adds the same timesteps of both sides. Where only one side carries spike counts, its counts
    /// are compared as fired or not.
    /// @pre both blocks start at the same timestep and are equally long; blocks ascend
    void feed(const trace::BlockView& expected, const trace::BlockView& actual);
    /// Adds timesteps that only one side has.
    void feed_unmatched(std::uint64_t steps) noexcept { diff_.steps_unmatched += steps; }
    /// The result so far.
    SpikeDiff result() const;

private:
    explicit SpikeDiffer(const trace::Shape& shape, SpikeDiffOptions options);

    void note(std::uint64_t timestep, std::uint32_t neuron, std::uint64_t expected,
              std::uint64_t actual);

    SpikeDiffOptions options_;
    std::vector<trace::Population> populations_;
    SpikeDiff diff_;
    bool has_previous_ = false;  ///< the timestep before was compared: lags can be
    std::uint64_t previous_step_ = 0;
    std::vector<std::uint64_t> previous_expected_;  ///< spike words of that timestep
    std::vector<std::uint64_t> previous_actual_;
};

/// Compares the timesteps that both traces hold; the others count as unmatched.
/// @errors as SpikeDiffer::create
Result<SpikeDiff> spike_diff(const trace::ExecutionTrace& expected,
                             const trace::ExecutionTrace& actual, SpikeDiffOptions options = {});

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// What counts as close between a model and its quantised twin.
struct ModelComparisonOptions {
    double tau_steps = 10.0;     ///< van Rossum's tau, timesteps, > 0
    double cost_per_step = 0.1;  ///< Victor and Purpura's q, per timestep, >= 0
    /// Thresholds, shape (n_neurons), units of v; 0 for neurons that never fire. Empty: none do.
    std::vector<double> thresholds;
    double v_tolerance = 0.1;  ///< a voltage is off when it differs by more, in thresholds
};

/// How far two models of one population are apart. Means of distances are over all pairs of neuron
/// and sample; a sample is a train of its own.
struct PopulationComparison {
    std::string label;
    std::uint32_t neurons = 0;
    std::uint64_t voltages = 0;             ///< values of v compared
    double v_rmse = 0.0;                    ///< units of v
    std::optional<double> v_rmse_relative;  ///< in thresholds; over neurons that have one
    /// The same over the timesteps of each sample before its first spike that differs anywhere:
    /// rounding alone, without what a moved spike does to the voltage after it.
    double v_rmse_agreeing = 0.0;
    std::uint64_t voltages_agreeing = 0;
    double v_max_error = 0.0;       ///< units of v
    std::uint64_t v_saturated = 0;  ///< voltages of the actual side at an end of their format
    std::uint64_t spikes_expected = 0;
    std::uint64_t spikes_actual = 0;
    std::uint64_t spikes_differing = 0;  ///< neuron-timesteps in which one side fired
    std::uint64_t count_error = 0;       ///< sum over neurons and samples of |actual - expected|
    double van_rossum = 0.0;             ///< mean
    double victor_purpura = 0.0;         ///< mean
};

/// A spike or voltage that differs.
struct ModelDifference {
    std::uint64_t sample = 0;
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
    double expected = 0.0;  ///< v after the timestep, units
    double actual = 0.0;
    bool expected_fired = false;
};

struct ModelComparison {
    std::uint64_t steps = 0;
    std::uint64_t samples = 0;
    std::uint64_t samples_equal = 0;  ///< without a spike that differs
    PopulationComparison total;       ///< label "all"
    std::vector<PopulationComparison> populations;
    std::vector<double> v_rmse;                    ///< shape (n_neurons)
    std::optional<ModelDifference> first_spike;    ///< first spike that differs
    std::optional<ModelDifference> first_voltage;  ///< first voltage off by more than the tolerance
};

/// Compares two sources whose values are close but not equal: the float model and the golden that
/// was quantised from it. Memory grows with the spikes of one sample.
class ModelComparer {
public:
    /// @param samples  cover the run in order; empty: the run is one sample. Must outlive this.
    /// @errors Errc::Mismatch when the numbers of neurons differ or a side does not show v;
    /// Errc::BadConfig for options out of range
    static Result<ModelComparer> create(const trace::Shape& expected, const trace::Shape& actual,
                                        std::span<const trace::Sample> samples,
                                        ModelComparisonOptions options = {});
    /// Adds the same timesteps of both sides.
    /// @pre both blocks start at the same timestep and are equally long; blocks follow each other
    void feed(const trace::BlockView& expected, const trace::BlockView& actual);
    /// The result; a sample that has not ended counts as ended here. Call it once, last.
    ModelComparison finish();

private:
    struct Sums {  // of one neuron
        double squares = 0.0;
        double squares_agreeing = 0.0;
        double max_error = 0.0;
        double van_rossum = 0.0;
        double victor_purpura = 0.0;
        std::uint64_t expected = 0;
        std::uint64_t actual = 0;
        std::uint64_t differing = 0;
        std::uint64_t saturated = 0;
        std::uint64_t count_error = 0;
    };
    ModelComparer(const trace::Shape& expected, const trace::Shape& actual,
                  std::span<const trace::Sample> samples, ModelComparisonOptions options);
    void step(std::uint64_t t, std::span<const std::uint64_t> expected,
              std::span<const std::uint64_t> actual);
    void end_sample();

    ModelComparisonOptions options_;
    trace::Shape expected_;
    trace::Shape actual_;
    std::span<const trace::Sample> samples_;
    double v_low_ = 0.0;  ///< ends of the actual side's format; equal where it is float
    double v_high_ = 0.0;
    std::vector<Sums> sums_;                   ///< shape (n_neurons)
    std::vector<std::vector<double>> trains_;  ///< of the sample: expected, then actual, by neuron
    std::vector<double> v_expected_;           ///< of the timestep
    std::vector<double> v_actual_;
    std::uint64_t sample_steps_ = 0;
    std::uint64_t steps_agreeing_ = 0;
    bool agrees_ = true;  ///< no spike of the sample has differed
    ModelComparison result_;
};

}  // namespace spikelock::analysis

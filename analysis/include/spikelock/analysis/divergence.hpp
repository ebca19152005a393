// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::analysis {

/// One value that differs, raw and in units.
struct ReportedDifference {
    lockstep::Difference raw;
    std::string neuron;     ///< "hidden[17]"
    bool in_units = false;  ///< the field has fraction bits or is float64: units differ from raw
    double expected_value = 0.0;  ///< raw * 2^-frac_bits, or the float64 itself
    double actual_value = 0.0;
};

/// The place of a divergence, as people name it.
struct Place {
    std::uint64_t sample = 0;  ///< index; 0 where there are no samples
    std::string sample_label;  ///< empty where unlabelled
    bool has_samples = false;
    std::uint64_t timestep = 0;
    std::uint64_t step_in_sample = 0;
    std::uint32_t neuron = 0;
    std::string neuron_name;  ///< "hidden[17]"
    std::string field;
};

/// Where two sources first part, with what is needed to understand it.
struct DivergenceReport {
    Place place;
    std::vector<ReportedDifference> differences;  ///< in that timestep, in the order of
                                                  ///< lockstep::Divergence; [0] is at `place`
    std::uint64_t n_differences = 0;              ///< all of them, listed or not
    std::uint64_t n_neurons_differing = 0;        ///< neurons among the listed differences
    std::optional<std::uint64_t> last_agreed;     ///< last timestep on which everything agreed
    std::optional<Place> first_spike;             ///< first difference in spikes, where it is later
    bool spike_expected = false;                  ///< value on the expected side at first_spike
    std::vector<std::string> compared_fields;
    std::vector<std::string> not_compared;
    std::vector<std::string> masked;
    trace::ExecutionTrace expected_window;  ///< timesteps around the divergence
    trace::ExecutionTrace actual_window;
};

/// What is compared, and how much is kept around a divergence.
struct CompareOptions {
    std::vector<std::string> fields;  ///< only these, "spike" among them; empty: all both show
    std::vector<lockstep::Mask> masks;
    std::uint32_t window_before = 256;  ///< timesteps
    std::uint32_t window_after = 8;
    bool allow_vacuous = false;
};

/// A comparison of two whole traces.
struct Comparison {
    lockstep::Outcome outcome;
    std::optional<DivergenceReport> divergence;
};

/// Compares two traces in memory with the lockstep engine. Unlike an absent divergence, the
/// verdict also tells equal traces from those that merely end early or hold no data.
/// @errors Errc::Mismatch when the shapes cannot be compared
Result<Comparison> compare(const trace::ExecutionTrace& expected,
                           const trace::ExecutionTrace& actual, const CompareOptions& options = {});

/// The first divergence of two traces, or nothing where no compared value differs. Nothing does
/// not mean that the traces are equal: one may be shorter or invalid, see compare().
/// @errors as compare()
Result<std::optional<DivergenceReport>> find_divergence(const trace::ExecutionTrace& expected,
                                                        const trace::ExecutionTrace& actual,
                                                        const CompareOptions& options = {});

/// The report of a finished lockstep run; nothing where it did not diverge.
/// @param shape    names neurons and gives units: that of the actual source
/// @param samples  of the stimulus; empty: the run is one unlabelled sample
std::optional<DivergenceReport> describe(const lockstep::Outcome& outcome,
                                         const trace::Shape& shape,
                                         std::span<const trace::Sample> samples);

}  // namespace spikelock::analysis

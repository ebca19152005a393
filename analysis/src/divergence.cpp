// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/divergence.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "spikelock/analysis/trace_source.hpp"

namespace spikelock::analysis {

namespace {
double in_units(const trace::FieldSpec& field, std::int64_t raw) {
    if (field.is_float) return std::bit_cast<double>(raw);
    return std::ldexp(static_cast<double>(raw), -field.frac_bits);
}

Place place_of(const lockstep::Divergence& divergence, const trace::Shape& shape,
               std::span<const trace::Sample> samples) {
    Place place;
    place.timestep = divergence.timestep;
    place.sample = divergence.sample;
    place.step_in_sample = divergence.step_in_sample;
    // The engine knows no samples when both sides are recorded; the caller may.
    const auto after = std::upper_bound(
        samples.begin(), samples.end(), divergence.timestep,
        [](std::uint64_t t, const trace::Sample& sample) { return t < sample.begin; });
    if (after != samples.begin() && divergence.timestep < std::prev(after)->end) {
        const trace::Sample& sample = *std::prev(after);
        place.has_samples = true;
        place.sample = static_cast<std::uint64_t>(std::prev(after) - samples.begin());
        place.sample_label = sample.label;
        place.step_in_sample = divergence.timestep - sample.begin;
    } else if (samples.empty()) {
        place.step_in_sample = divergence.timestep;
    }
    if (!divergence.differences.empty()) {
        place.neuron = divergence.differences.front().neuron;
        place.neuron_name = shape.neuron_name(place.neuron);
        place.field = divergence.differences.front().field;
    }
    return place;
}
}  // namespace

std::optional<DivergenceReport> describe(const lockstep::Outcome& outcome,
                                         const trace::Shape& shape,
                                         std::span<const trace::Sample> samples) {
    if (!outcome.first) return std::nullopt;
    const lockstep::Divergence& first = *outcome.first;
    DivergenceReport report;
    report.place = place_of(first, shape, samples);
    report.n_differences = first.n_differences;
    std::uint32_t last_neuron = 0;
    for (const lockstep::Difference& difference : first.differences) {
        ReportedDifference entry;
        entry.raw = difference;
        entry.neuron = shape.neuron_name(difference.neuron);
        entry.expected_value = static_cast<double>(difference.expected);
        entry.actual_value = static_cast<double>(difference.actual);
        if (const int f = shape.field_index(difference.field); f >= 0) {
            const trace::FieldSpec& field = shape.fields[static_cast<std::size_t>(f)];
            entry.in_units = field.is_float || field.frac_bits != 0;
            entry.expected_value = in_units(field, difference.expected);
            entry.actual_value = in_units(field, difference.actual);
        }
        if (report.differences.empty() || difference.neuron != last_neuron)
            ++report.n_neurons_differing;
        last_neuron = difference.neuron;
        report.differences.push_back(std::move(entry));
    }
    report.last_agreed = outcome.last_agreed;
    if (outcome.first_spike && outcome.first_spike->timestep > first.timestep) {
        report.first_spike = place_of(*outcome.first_spike, shape, samples);
        if (!outcome.first_spike->differences.empty())
            report.spike_expected = outcome.first_spike->differences.front().expected != 0;
    }
    report.compared_fields = outcome.compared_fields;
    report.not_compared = outcome.not_compared;
    report.masked = outcome.masked;
    report.expected_window = outcome.expected_window;
    report.actual_window = outcome.actual_window;
    // Where state was cleared is part of understanding a window.
    for (trace::ExecutionTrace* window : {&report.expected_window, &report.actual_window})
        if (window->samples().empty()) window->samples().assign(samples.begin(), samples.end());
    return report;
}

Result<Comparison> compare(const trace::ExecutionTrace& expected,
                           const trace::ExecutionTrace& actual, const CompareOptions& options) {
    lockstep::Options run_options;
    run_options.fields = options.fields;
    run_options.masks = options.masks;
    run_options.window_before = options.window_before;
    run_options.window_after = options.window_after;
    run_options.allow_vacuous = options.allow_vacuous;
    run_options.samples = expected.samples().empty() ? actual.samples() : expected.samples();
    const auto expected_source = make_trace_source(expected);
    const auto actual_source = make_trace_source(actual);
    Result<lockstep::Outcome> outcome =
        lockstep::run(*expected_source, *actual_source, nullptr, run_options);
    if (!outcome) return std::move(outcome.error());
    Comparison comparison;
    comparison.divergence = describe(*outcome, actual.shape(), run_options.samples);
    comparison.outcome = std::move(*outcome);
    return comparison;
}

Result<std::optional<DivergenceReport>> find_divergence(const trace::ExecutionTrace& expected,
                                                        const trace::ExecutionTrace& actual,
                                                        const CompareOptions& options) {
    Result<Comparison> comparison = compare(expected, actual, options);
    if (!comparison) return std::move(comparison.error());
    return std::move(comparison->divergence);
}

}  // namespace spikelock::analysis

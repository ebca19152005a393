// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/model_comparison.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "spikelock/analysis/spike_distance.hpp"

namespace spikelock::analysis {

namespace {

/// One timestep of a field in units.
void load_row(const trace::BlockView& block, const trace::Shape& shape, std::size_t field,
              std::uint32_t step, std::vector<double>& out) {
    const trace::FieldSpec& spec = shape.fields[field];
    const auto width = static_cast<std::size_t>(spec.bytes);
    const std::byte* at = block.fields[field].data() + width * shape.n_neurons * step;
    if (spec.is_float) {
        std::memcpy(out.data(), at, width * shape.n_neurons);
        return;
    }
    const auto unused = static_cast<unsigned>(64 - 8 * spec.bytes);
    for (std::uint32_t n = 0; n < shape.n_neurons; ++n, at += width) {
        std::uint64_t raw = 0;
        std::memcpy(&raw, at, width);
        const auto value = spec.is_signed ? static_cast<std::int64_t>(raw << unused) >> unused
                                          : static_cast<std::int64_t>(raw);
        out[n] = std::ldexp(static_cast<double>(value), -spec.frac_bits);
    }
}

}  // namespace

Result<ModelComparer> ModelComparer::create(const trace::Shape& expected,
                                            const trace::Shape& actual,
                                            std::span<const trace::Sample> samples,
                                            ModelComparisonOptions options) {
    if (expected.n_neurons != actual.n_neurons)
        return Error{Errc::Mismatch,
                     "expected equally many neurons, got " + std::to_string(expected.n_neurons) +
                         " and " + std::to_string(actual.n_neurons),
                     {}};
    for (const trace::Shape* shape : {&expected, &actual})
        if (shape->field_index("v") < 0)
            return Error{Errc::Mismatch, "expected the field v on both sides", {}};
    const auto positive = [](double x) { return std::isfinite(x) && x > 0.0; };
    if (!positive(options.tau_steps) || !positive(options.v_tolerance) ||
        !(std::isfinite(options.cost_per_step) && options.cost_per_step >= 0.0))
        return Error{Errc::BadConfig,
                     "expected finite tau and tolerance above 0 and a cost of 0 or more",
                     {}};
    if (!options.thresholds.empty() && options.thresholds.size() != expected.n_neurons)
        return Error{Errc::BadConfig, "expected a threshold for each neuron", {}};
    return ModelComparer(expected, actual, samples, std::move(options));
}

ModelComparer::ModelComparer(const trace::Shape& expected, const trace::Shape& actual,
                             std::span<const trace::Sample> samples, ModelComparisonOptions options)
    : options_(std::move(options)),
      expected_(expected),
      actual_(actual),
      samples_(samples),
      sums_(expected.n_neurons),
      trains_(std::size_t{2} * expected.n_neurons),
      v_expected_(expected.n_neurons),
      v_actual_(expected.n_neurons) {
    options_.thresholds.resize(expected.n_neurons, 0.0);
    const trace::FieldSpec& v = actual_.fields[static_cast<std::size_t>(actual_.field_index("v"))];
    if (v.is_float || !v.is_signed) return;
    v_low_ = -std::ldexp(1.0, v.bits - 1 - v.frac_bits);
    v_high_ = -v_low_ - std::ldexp(1.0, -v.frac_bits);
}

void ModelComparer::feed(const trace::BlockView& expected, const trace::BlockView& actual) {
    const std::size_t words = expected_.spike_words();
    for (std::uint32_t s = 0; s < expected.n_steps; ++s) {
        const std::uint64_t t = expected.first + s;
        load_row(expected, expected_, static_cast<std::size_t>(expected_.field_index("v")), s,
                 v_expected_);
        load_row(actual, actual_, static_cast<std::size_t>(actual_.field_index("v")), s, v_actual_);
        step(t, expected.spikes.subspan(s * words, words), actual.spikes.subspan(s * words, words));
        if (result_.samples < samples_.size() && t + 1 == samples_[result_.samples].end)
            end_sample();
    }
}

void ModelComparer::step(std::uint64_t t, std::span<const std::uint64_t> expected,
                         std::span<const std::uint64_t> actual) {
    const auto note = [&](std::optional<ModelDifference>& first, std::uint32_t n, bool fired) {
        if (!first) first = {result_.samples, t, n, v_expected_[n], v_actual_[n], fired};
    };
    for (std::size_t w = 0; w < expected.size(); ++w)
        for (std::uint64_t any = expected[w] | actual[w]; any != 0; any &= any - 1) {
            const auto bit = static_cast<unsigned>(std::countr_zero(any));
            const auto n = static_cast<std::uint32_t>(w * 64 + bit);
            const bool here = ((expected[w] >> bit) & 1) != 0;
            const bool there = ((actual[w] >> bit) & 1) != 0;
            const auto at = static_cast<double>(sample_steps_);
            if (here) trains_[n].push_back(at);
            if (there) trains_[expected_.n_neurons + n].push_back(at);
            if (here == there) continue;
            ++sums_[n].differing;
            agrees_ = false;
            note(result_.first_spike, n, here);
        }
    for (std::uint32_t n = 0; n < expected_.n_neurons; ++n) {
        const double error = std::abs(v_actual_[n] - v_expected_[n]);
        sums_[n].squares += error * error;
        if (agrees_) sums_[n].squares_agreeing += error * error;
        if (v_low_ < v_high_ && (v_actual_[n] <= v_low_ || v_actual_[n] >= v_high_))
            ++sums_[n].saturated;
        sums_[n].max_error = std::max(sums_[n].max_error, error);
        if (options_.thresholds[n] > 0.0 && error > options_.v_tolerance * options_.thresholds[n])
            note(result_.first_voltage, n, ((expected[n / 64] >> (n % 64)) & 1) != 0);
    }
    ++result_.steps;
    ++sample_steps_;
    if (agrees_) ++steps_agreeing_;
}

void ModelComparer::end_sample() {
    for (std::uint32_t n = 0; n < expected_.n_neurons; ++n) {
        std::vector<double>& a = trains_[n];
        std::vector<double>& b = trains_[expected_.n_neurons + n];
        Sums& sums = sums_[n];
        sums.expected += a.size();
        sums.actual += b.size();
        sums.count_error += a.size() > b.size() ? a.size() - b.size() : b.size() - a.size();
        sums.van_rossum += van_rossum(a, b, options_.tau_steps);
        sums.victor_purpura += victor_purpura(a, b, options_.cost_per_step);
        a.clear();
        b.clear();
    }
    ++result_.samples;
    if (agrees_) ++result_.samples_equal;
    agrees_ = true;
    sample_steps_ = 0;
}

ModelComparison ModelComparer::finish() {
    if (sample_steps_ > 0) end_sample();
    const auto steps = static_cast<double>(result_.steps);
    const auto summed = [&](std::string label, std::uint32_t begin, std::uint32_t end) {
        PopulationComparison p;
        p.label = std::move(label);
        p.neurons = end - begin;
        p.voltages = result_.steps * p.neurons;
        p.voltages_agreeing = steps_agreeing_ * p.neurons;
        double squares = 0.0;
        double agreeing = 0.0;
        double relative = 0.0;
        double firing = 0.0;  // neurons
        for (std::uint32_t n = begin; n < end; ++n) {
            const Sums& s = sums_[n];
            squares += s.squares;
            agreeing += s.squares_agreeing;
            if (const double threshold = options_.thresholds[n]; threshold > 0.0) {
                relative += s.squares / (threshold * threshold);
                firing += 1.0;
            }
            p.v_max_error = std::max(p.v_max_error, s.max_error);
            p.v_saturated += s.saturated;
            p.spikes_expected += s.expected;
            p.spikes_actual += s.actual;
            p.spikes_differing += s.differing;
            p.count_error += s.count_error;
            p.van_rossum += s.van_rossum;
            p.victor_purpura += s.victor_purpura;
        }
        const double trains = static_cast<double>(result_.samples) * p.neurons;
        if (p.voltages > 0) p.v_rmse = std::sqrt(squares / static_cast<double>(p.voltages));
        if (p.voltages_agreeing > 0)
            p.v_rmse_agreeing = std::sqrt(agreeing / static_cast<double>(p.voltages_agreeing));
        if (firing > 0.0 && steps > 0.0) p.v_rmse_relative = std::sqrt(relative / (firing * steps));
        if (trains > 0.0) {
            p.van_rossum /= trains;
            p.victor_purpura /= trains;
        }
        return p;
    };
    for (const trace::Population& p : expected_.populations)
        result_.populations.push_back(summed(p.label, p.begin, p.end));
    result_.total = summed("all", 0, expected_.n_neurons);
    for (const Sums& s : sums_)
        result_.v_rmse.push_back(steps > 0.0 ? std::sqrt(s.squares / steps) : 0.0);
    return result_;
}

}  // namespace spikelock::analysis

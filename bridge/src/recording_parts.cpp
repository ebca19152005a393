// SPDX-License-Identifier: Apache-2.0
#include "recording_parts.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace spikelock::bridge::detail {

using trace::BlockView;
using trace::ExecutionTrace;
using trace::FieldClass;
using trace::FieldSpec;

Error config(std::string what) { return Error{Errc::BadConfig, std::move(what), {}}; }

FieldSpec float_field(const std::string& name) {
    return {name, name == "i_syn" ? FieldClass::Input : FieldClass::State, 64, true, true, 0, 8};
}

bool is_spikes(const std::string& name) { return name == "spike" || name == "spikes"; }

std::optional<std::uint64_t> as_count(double value) {
    if (!(value >= 0.0) || value > 65535.0 || value != std::floor(value)) return std::nullopt;
    return static_cast<std::uint64_t>(value);
}

double fitting_step(std::span<const double> times_ms) {
    constexpr std::array<double, 13> kSteps = {1.0,  0.5,  0.25,  0.2,    0.1,   0.05, 0.025,
                                               0.02, 0.01, 0.005, 0.0025, 0.002, 0.001};
    for (const double step : kSteps) {
        const bool fits = std::all_of(times_ms.begin(), times_ms.end(), [&](double t) {
            return std::abs(t / step - std::round(t / step)) < 1e-3;
        });
        if (fits) return step;
    }
    return 0.0;
}

Error no_step(const std::string& what) {
    return config(what + " fit no timestep of 1 ms down to 1 us: give it with --dt SECONDS");
}

std::optional<std::uint64_t> step_of(double time, double step) {
    const double at = std::round(time / step);
    if (!(at >= 0.0) || at > 1e15) return std::nullopt;
    return static_cast<std::uint64_t>(at);
}

Status check_dt(const RecordingOptions& options, double dt, const std::string& what) {
    if (options.dt <= 0.0 || std::abs(options.dt / dt - 1) <= 1e-6) return {};
    return config(fmt::format("--dt {} s, but {} is {} s", options.dt, what, dt));
}

void set_dt(ExecutionTrace& trace, double dt) {
    trace::Shape shape = trace.shape();
    shape.dt = dt;
    ExecutionTrace same(shape, trace.first_step());
    same.append(trace.view());
    same.samples() = std::move(trace.samples());
    trace = std::move(same);
}

Status Collector::size(std::uint64_t steps, std::uint64_t neurons, std::size_t fields) {
    if (steps == 0 || neurons == 0) return Error{Errc::BadFormat, "holds no timesteps", {}};
    if (neurons > (1U << 24) || fields > kMostRecordingValues ||
        steps > kMostRecordingValues / (neurons * (fields + 1))) {
        return Error{Errc::Limit,
                     fmt::format("{} timesteps of {} neurons with {} fields are more than 2^27 "
                                 "values; choose a longer timestep or fewer",
                                 steps, neurons, fields),
                     {}};
    }
    steps_ = static_cast<std::uint32_t>(steps);
    shape.n_neurons = static_cast<std::uint32_t>(neurons);
    spikes_.assign(steps_ * shape.spike_words(), 0);
    return {};
}

void Collector::spike(std::uint64_t step, std::uint64_t neuron, std::uint64_t times) {
    const std::size_t word = step * shape.spike_words() + neuron / 64;
    const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
    const bool again = (spikes_[word] & bit) != 0;
    if (times > 0) spikes_[word] |= bit;
    if (!again && times <= 1 && counts_.empty()) return;
    if (counts_.empty()) {
        counts_.assign(std::size_t{steps_} * shape.n_neurons, 0);
        for (std::uint64_t t = 0; t < steps_; ++t) {
            for (std::uint64_t n = 0; n < shape.n_neurons; ++n) {
                counts_[t * shape.n_neurons + n] =
                    spikes_[t * shape.spike_words() + n / 64] >> (n % 64) & 1U;
            }
        }
        counts_[step * shape.n_neurons + neuron] = again ? 1 : 0;
    }
    auto& count = counts_[step * shape.n_neurons + neuron];
    count = static_cast<std::uint16_t>(std::min<std::uint64_t>(count + times, 65535));
}

std::size_t Collector::add_field(FieldSpec spec) {
    fields_.emplace_back(std::size_t{steps_} * shape.n_neurons *
                         static_cast<std::size_t>(spec.bytes));
    masks_.emplace_back();
    shape.fields.push_back(std::move(spec));
    return fields_.size() - 1;
}

ExecutionTrace Collector::make(std::uint64_t first) {
    shape.counts = !counts_.empty();
    BlockView block;
    block.first = first;
    block.n_steps = steps_;
    block.spikes = spikes_;
    block.counts = counts_;
    block.fields.assign(fields_.begin(), fields_.end());
    block.masks.assign(masks_.begin(), masks_.end());
    ExecutionTrace trace(shape, first);
    trace.append(block);
    return trace;
}

}  // namespace spikelock::bridge::detail

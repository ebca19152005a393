// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/recording.hpp"
#include "spikelock/trace/execution_trace.hpp"

// What the readers of recordings share.
namespace spikelock::bridge::detail {

/// Errc::BadConfig; the caller adds the path.
Error config(std::string what);

trace::FieldSpec float_field(const std::string& name);

/// Whether a name means spikes rather than a field.
bool is_spikes(const std::string& name);

/// A number of spikes in one timestep, or nothing where it cannot be one.
std::optional<std::uint64_t> as_count(double value);

/// The largest usual timestep (ms) of which all times are multiples; 0 where there is none.
double fitting_step(std::span<const double> times_ms);
/// That there is none. @param what  has the times, plural
Error no_step(const std::string& what);
/// Number of the timestep that is nearest to a time, or nothing where there is none.
std::optional<std::uint64_t> step_of(double time, double step);

/// Whether --dt, where given, is what the file says.
Status check_dt(const RecordingOptions& options, double dt, const std::string& what);
/// The shape of a trace is fixed when it is made: makes it anew.
void set_dt(trace::ExecutionTrace& trace, double dt);

/// Collects what a file shows and makes a trace of it.
class Collector {
public:
    /// @errors Errc::Limit, Errc::BadFormat where there is nothing
    Status size(std::uint64_t steps, std::uint64_t neurons, std::size_t fields);
    void spike(std::uint64_t step, std::uint64_t neuron, std::uint64_t times = 1);
    std::size_t add_field(trace::FieldSpec spec);
    void set(std::size_t field, std::uint64_t step, std::uint64_t neuron, const void* raw) {
        const auto bytes = static_cast<std::size_t>(shape.fields[field].bytes);
        std::memcpy(fields_[field].data() + (step * shape.n_neurons + neuron) * bytes, raw, bytes);
        if (masks_[field].empty()) return;
        masks_[field][step * shape.spike_words() + neuron / 64] |= std::uint64_t{1}
                                                                   << (neuron % 64);
    }
    /// From now on only what is set is valid.
    void mask(std::size_t field) { masks_[field].assign(spikes_.size(), 0); }
    trace::ExecutionTrace make(std::uint64_t first);
    trace::Shape shape;

private:
    std::uint32_t steps_ = 0;
    std::vector<std::uint64_t> spikes_;
    std::vector<std::uint16_t> counts_;
    std::vector<std::vector<std::byte>> fields_;
    std::vector<std::vector<std::uint64_t>> masks_;
};

/// Adds the values of all neurons, "spike" or a field; rows are timesteps, or neurons where turned.
/// @errors Errc::BadFormat for what is no number of spikes
template <typename T>
Status put_matrix(Collector& collector, const std::string& field, std::span<const T> values,
                  std::uint64_t rows, std::uint64_t columns, bool turned) {
    const bool spike = field == "spike";
    std::size_t f = 0;
    if (!spike) {
        trace::FieldSpec spec = float_field(field);
        if constexpr (std::is_integral_v<T>) {
            spec.is_float = false;
            spec.is_signed = std::is_signed_v<T>;
            spec.bytes = sizeof(T);
            spec.bits = 8 * spec.bytes;
        }
        f = collector.add_field(spec);
    }
    for (std::uint64_t r = 0; r < rows; ++r) {
        for (std::uint64_t c = 0; c < columns; ++c) {
            const T value = values[r * columns + c];
            const std::uint64_t t = turned ? c : r;
            const std::uint64_t n = turned ? r : c;
            if (!spike) {
                if constexpr (std::is_integral_v<T>) {
                    collector.set(f, t, n, &value);
                } else {
                    const double wide = value;
                    collector.set(f, t, n, &wide);
                }
                continue;
            }
            const auto count = as_count(static_cast<double>(value));
            if (!count) {
                return Error{Errc::BadFormat,
                             fmt::format("spikes at row {}, column {}: expected 0, 1 or how often "
                                         "it fired; --field v reads voltages",
                                         r, c),
                             {}};
            }
            collector.spike(t, n, *count);
        }
    }
    return {};
}

}  // namespace spikelock::bridge::detail

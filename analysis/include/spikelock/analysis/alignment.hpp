// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::analysis {

/// How far values of a field may be apart. A value passes where any of the limits that are given
/// lets it pass.
struct Tolerance {
    std::string field;
    double absolute = 0.0;  ///< in units of the expected side
    double relative = 0.0;  ///< of the larger of the two magnitudes
    std::int64_t lsb = 0;   ///< of the coarser of the two formats
};
/// Parses "FIELD=abs:0.1", "FIELD=rel:1e-3", "FIELD=lsb:2", or several: "v=abs:0.1,rel:0.01".
/// @errors Errc::BadConfig saying which part is wrong
Result<Tolerance> parse_tolerance(const std::string& text);

struct AlignOptions {
    std::uint32_t max_lag = 16;  ///< timesteps, in both directions
    bool order = true;           ///< also look for another order of neurons
};

/// One lag that was tried: actual(t + lag) beside expected(t).
struct LagScore {
    std::int32_t lag = 0;
    std::uint64_t mismatches = 0;  ///< spike bits that differ; beyond either end there are none
};

/// actual = scale * expected + offset, by least squares over the timesteps that both have.
struct FieldFit {
    std::string field;
    std::int32_t lag = 0;  ///< of this field beside that of the spikes
    double scale = 1.0;
    double offset = 0.0;
    double rms = 0.0;      ///< of what is left, in units of the actual side
    double worst = 0.0;    ///< largest of it
    double range = 0.0;    ///< of the actual values; 0: constant
    bool assumed = false;  ///< whether scale and offset are not simply 1 and 0
};

/// What makes two traces comparable.
struct Alignment {
    bool transposed = false;      ///< actual has timesteps and neurons in each other's place
    std::uint32_t time_base = 1;  ///< actual timesteps to one expected timestep
    std::uint32_t time_base_expected = 1;  ///< expected timesteps to one actual timestep
    std::int32_t lag = 0;                  ///< actual is so many timesteps late (positive) or early
    struct PopulationLag {
        std::string label;
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
        std::int32_t lag = 0;
    };
    std::vector<PopulationLag> population_lags;  ///< where they are not all `lag`
    std::vector<std::uint32_t> order;  ///< expected neuron n is actual order[n]; empty: equal
    std::string order_name;            ///< "reversed", "bit-reversed", "rotated by 3", or a list
    std::vector<FieldFit> fits;
    std::uint64_t spike_bits = 0;         ///< compared
    std::uint64_t mismatches_before = 0;  ///< of spike bits, with nothing assumed but orientation
    std::uint64_t mismatches_after = 0;
    std::vector<LagScore> lags;  ///< all that were tried, ascending
    /// Whether anything had to be assumed.
    bool any() const noexcept;
};

/// Finds what makes `actual` most like `expected`: orientation, time base, neuron order, lag and,
/// for fields, scale and offset. What explains nothing is not assumed.
/// Timesteps are compared by their number.
/// @errors Errc::Mismatch when the neurons cannot be matched, naming both shapes
Result<Alignment> find_alignment(const trace::ExecutionTrace& expected,
                                 const trace::ExecutionTrace& actual,
                                 const AlignOptions& options = {});

/// One sentence for each thing that is assumed, for people.
std::vector<std::string> sentences(const Alignment& alignment);

/// Both sides as they can be compared: actual moved, reordered and scaled to the units of expected,
/// both cut to the timesteps that both have; fields that were scaled are float64.
/// @pre `alignment` was found for these two
struct AlignedPair {
    trace::ExecutionTrace expected;
    trace::ExecutionTrace actual;
};
AlignedPair apply(const Alignment& alignment, const trace::ExecutionTrace& expected,
                  const trace::ExecutionTrace& actual);

/// What tolerances let pass.
struct Tolerated {
    std::string field;
    std::uint64_t values = 0;  ///< that differ, and passed
    std::uint64_t beyond = 0;  ///< that differ by more
    double worst = 0.0;        ///< largest difference, in units of expected
};

/// Puts the expected value in place of each actual one that is within its tolerance, so that an
/// exact comparison finds what is beyond. Fields with tolerance become float64 where the two sides
/// store them differently.
/// @errors Errc::NotFound for a field that one of the sides does not have
Result<std::vector<Tolerated>> tolerate(trace::ExecutionTrace& expected,
                                        trace::ExecutionTrace& actual,
                                        const std::vector<Tolerance>& tolerances);

/// Makes fields that the two sides store differently float64 on both, in units.
/// @returns their names
std::vector<std::string> unify_formats(trace::ExecutionTrace& expected,
                                       trace::ExecutionTrace& actual);

/// A lag at which two traces would agree, or agree better; for a hint beside a divergence.
struct LagHint {
    std::int32_t lag = 0;
    bool match = false;                   ///< everything compared is then equal
    std::uint64_t mismatches_before = 0;  ///< spike bits
    std::uint64_t mismatches_after = 0;
    std::uint64_t spike_bits = 0;
};
/// @param fields  names that are compared; "spike" among them
/// @returns nothing where no lag is better than none
std::optional<LagHint> find_lag(const trace::ExecutionTrace& expected,
                                const trace::ExecutionTrace& actual,
                                const std::vector<std::string>& fields, std::uint32_t max_lag = 16);

}  // namespace spikelock::analysis

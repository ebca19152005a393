// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::detail {

/// Judges descriptions by the timesteps of a recording, each predicted from the state that was
/// observed before it: a wrong option shows wherever it matters and not only until the first
/// divergence, so options can be found one at a time. What the recording does not show (a
/// register, a queue, input under way) is as the description has it.
class StepJudge {
public:
    /// Both must outlive this object.
    /// @pre stimulus covers the recording
    StepJudge(const trace::Stimulus& stimulus, const trace::ExecutionTrace& core);

    /// What a description predicts for one timestep.
    struct Prediction {
        std::uint64_t timestep = 0;
        const trace::BlockView* block = nullptr;  ///< of that timestep alone
        const trace::Shape* shape = nullptr;
    };
    /// Predicts timesteps first .. first+count-1 with a source whose state belongs before `first`,
    /// as far as the recording does not show it.
    /// @param look  called for each; false ends it
    /// @param edit  changes the input of a timestep; empty: it is as given
    /// @errors of the source, also where an observed value does not fit its state
    Status follow(golden::DescribedSource& source, std::uint64_t first, std::uint64_t count,
                  const std::function<bool(const Prediction&)>& look,
                  const std::function<void(trace::StimulusBlock&)>& edit = {});

    /// Whether all that the recording shows of a neuron is as predicted.
    bool right(const Prediction& prediction, std::uint32_t neuron) const;
    /// What is predicted of a field by its name, where the prediction has it.
    static std::optional<std::int64_t> predicted(const Prediction& prediction,
                                                 std::string_view field, std::uint32_t neuron);
    static bool predicted_spike(const Prediction& prediction, std::uint32_t neuron);
    /// A number that is the same where all that the recording shows is predicted alike.
    std::uint64_t fingerprint(const Prediction& prediction, std::uint32_t neuron) const;
    /// Observed less predicted v, where both are there.
    std::optional<std::int64_t> error_of_v(const Prediction& prediction,
                                           std::uint32_t neuron) const;
    bool spikes_agree(const Prediction& prediction, std::uint32_t neuron) const;

    /// How far predictions are off. A value off by a little costs less than one off by a lot.
    struct Cost {
        std::uint64_t cost = 0;
        std::uint64_t wrong = 0;   ///< neuron-updates
        std::uint64_t judged = 0;  ///< likewise
    };
    /// The cost of timesteps first .. first+count-1; given up beyond `bound`.
    /// @returns nothing where the source cannot follow the recording, or the bound was met
    std::optional<Cost> cost(golden::DescribedSource& source, std::uint64_t first,
                             std::uint64_t count, std::uint64_t bound);

private:
    const trace::StimulusBlock& input(std::uint64_t timestep);
    /// Puts what was observed in a timestep into the state.
    Status correct(golden::DescribedSource& source, std::uint64_t timestep,
                   const trace::BlockView* predicted);
    std::int64_t predicted(const Prediction& prediction, std::size_t field,
                           std::uint32_t neuron) const;

    const trace::Stimulus& stimulus_;
    const trace::ExecutionTrace& core_;
    trace::BlockView view_;
    int v_field_ = -1;
    std::vector<int> fields_;  ///< as fields_of()
    std::uint64_t first_input_ = 0;
    std::vector<trace::StimulusBlock> inputs_;  ///< of single timesteps from first_input_ on
    std::vector<std::int64_t> values_;
};

/// The order in which the core took the events of a timestep, with steps counted from it.
std::vector<trace::TakenEvent> order_of(const trace::ExecutionTrace& core, std::uint64_t timestep);

/// Fields of a golden by field of a recording. kAlwaysZero: the golden does not have what is then 0
/// (u without CUBA neurons, refr without refractory periods); kUnknown: it knows nothing of it.
std::vector<int> fields_of(const trace::Shape& golden, const trace::Shape& recording);
inline constexpr int kAlwaysZero = -1;
inline constexpr int kUnknown = -2;

/// An element of a field as it is stored. @pre not a float64
std::int64_t load(const std::byte* from, const trace::FieldSpec& field);

}  // namespace spikelock::analysis::detail

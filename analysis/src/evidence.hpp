// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "activity.hpp"
#include "neuron_update.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"

namespace spikelock::analysis::detail {

/// Whether the windows of a report can be judged by a network's golden.
/// @errors as explain_divergence()
Status check_windows(const DivergenceReport& report, std::uint32_t neurons);

/// A way to depart from docs/model.md.
struct Alternative {
    std::string id;
    std::string text;
    int prior = 50;  ///< among equals, lower comes first: the common bugs
    std::function<void(Rules&, std::uint32_t neuron)> edit;  ///< empty: the update is as modelled
    std::optional<DeliveryRule> delivery;                    ///< absent: deliveries are as modelled
    int state_offset = 0;        ///< state before is that of neuron n + offset
    bool state_cleared = false;  ///< state before is all 0
    bool state_kept = false;     ///< a clear left the state as it was
    bool single_event = false;   ///< is about one event, says nothing of others
    bool hides_state = false;    ///< what is shown is not the state: later updates cannot be judged
    std::optional<std::uint32_t> synapse;
};

/// What a side shows of one neuron in one timestep; fields that it does not show are empty.
struct Observed {
    std::optional<std::int64_t> i_syn, u, v, refr;
    std::optional<bool> spike;
};

/// Recomputes updates from what the two sides recorded around a divergence.
class Recomputer {
public:
    Recomputer(const Connectivity& connectivity, const trace::Stimulus* stimulus,
               const DivergenceReport& report);

    Observed actual(std::uint32_t neuron, std::uint64_t t) const {
        return observed(false, neuron, t);
    }
    Observed expected(std::uint32_t neuron, std::uint64_t t) const {
        return observed(true, neuron, t);
    }
    /// State of the actual side before timestep t (up to the divergence, that of both).
    std::optional<State> state_before(std::uint32_t neuron, std::uint64_t t, const Rules& rules,
                                      const Alternative* alternative) const;
    /// The update of the actual side at t as model (null) or alternative has it. i_syn is the
    /// recorded one unless the alternative is about deliveries, so that each term is judged alone.
    std::optional<Update> predict(std::uint32_t neuron, std::uint64_t t,
                                  const Alternative* alternative);
    /// Passed to predict(): everything as modelled, deliveries recomputed even where i_syn is
    /// shown.
    static const Alternative& modelled();
    /// i_syn that network, input and recorded spikes give.
    std::optional<std::int64_t> delivered(std::uint32_t neuron, std::uint64_t t,
                                          const Alternative* alternative);

    bool shows_i_syn() const noexcept { return actual_fields_[0] >= 0; }
    Activity& activity() noexcept { return activity_; }
    const golden::Network& network() const noexcept { return network_; }
    const trace::ExecutionTrace& actual_trace() const noexcept { return actual_; }
    const trace::ExecutionTrace& expected_trace() const noexcept { return expected_; }
    std::uint64_t diverges_at() const noexcept { return diverges_at_; }

private:
    Observed observed(bool expected_side, std::uint32_t neuron, std::uint64_t t) const;
    std::optional<std::int64_t> refractory_left(std::uint32_t neuron, std::uint64_t t,
                                                std::uint32_t period) const;

    const golden::Network& network_;
    const trace::ExecutionTrace& expected_;
    const trace::ExecutionTrace& actual_;
    std::uint64_t diverges_at_;
    Activity activity_;
    bool spikes_compared_ = true;
    std::array<int, 4> expected_fields_{};  ///< i_syn, u, v, refr; -1: not shown
    std::array<int, 4> actual_fields_{};
    bool any_refractory_ = false;
    std::vector<std::int64_t> delivered_;        ///< cache of delivered(.., null)
    std::vector<std::uint8_t> delivered_known_;  ///< 0 not computed, 1 computed, 2 unknown
};

/// A hypothesis with what orders it among others.
struct Ranked {
    Hypothesis hypothesis;
    bool single_event = false;  ///< is about one event, says nothing of others
    int prior = 50;             ///< among equals, lower comes first
};
/// The most likely first. Of one id a few are kept, and the others counted.
/// @param differing  neurons that differ in the timestep
std::vector<Hypothesis> rank(std::vector<Ranked> found, std::size_t differing, std::size_t most);
/// Hypotheses about what is shown where and when, which need no model.
/// @pre check_windows() succeeds
std::vector<Ranked> shown_otherwise(const Connectivity& connectivity,
                                    const trace::Stimulus* stimulus,
                                    const DivergenceReport& report);

/// Whether an update gives all that is shown. @returns false where nothing is shown
bool gives(const Update& update, const Observed& observed) noexcept;
/// Whether an update gives one shown field.
bool gives_field(const Update& update, const Observed& observed, std::string_view field) noexcept;
/// Whether two updates look alike to someone who sees the fields that are shown.
bool look_alike(const Update& a, const Update& b, const Observed& shown) noexcept;

/// Every alternative worth trying for a neuron and timestep.
std::vector<Alternative> alternatives_for(Recomputer& recomputer, std::uint32_t neuron,
                                          std::uint64_t t);

}  // namespace spikelock::analysis::detail

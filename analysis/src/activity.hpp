// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::detail {

/// One delivery (docs/model.md eq. 1) that arrives at a neuron in a timestep.
struct Arrival {
    std::uint32_t source = 0;
    std::uint32_t synapse = 0;
    std::uint64_t fired_at = 0;
    std::uint32_t order = 0;  ///< position among the events of that timestep; the index of a neuron
    std::uint16_t delay = 0;
    std::int64_t contribution = 0;
};

/// How delivery departs from docs/model.md; by default not at all.
struct DeliveryRule {
    enum class Which : std::uint8_t {
        None,
        One,
        Source,
        LastOfRows,
        FirstOfRows,
        Axons,
        Neurons,
        All
    };
    enum class Act : std::uint8_t { Drop, Double, Negate, Unsigned, Weight, Delay, Shift };
    Which which = Which::None;
    Act act = Act::Drop;
    std::uint32_t index = 0;                     ///< synapse or source
    int value = 0;                               ///< weight, change of delay or change of shift
    std::optional<std::uint64_t> only_fired_at;  ///< a single event: the spike of this timestep
    std::optional<std::uint32_t> only_order;     ///< and of this position
    int target_offset = 0;                       ///< gets the input of neuron n + offset
    bool ignore_clear = false;  ///< deliveries from before the last clear still arrive
    bool stale_slot = false;    ///< the slot was never zeroed since the clear
    bool no_current = false;    ///< i_in is not added
};

/// What fired, as a trace and a stimulus tell, and what arrives where because of it.
class Activity {
public:
    /// @param stimulus  null: input events are unknown
    /// @param trace     supplies the spikes
    Activity(const Connectivity& connectivity, const trace::Stimulus* stimulus,
             const trace::ExecutionTrace& trace);

    /// Timestep of the last clear or reset at or before t (0 is one), when state is known to be 0.
    std::uint64_t clear_at(std::uint64_t t) const;
    /// Whether the state at clear_at(t) is all 0 (false after a snapshot).
    bool clear_is_zero(std::uint64_t t) const;
    /// (axon, position) of the input events of a timestep, by axon. Valid until the object dies.
    std::span<const std::pair<std::uint32_t, std::uint32_t>> events(std::uint64_t t);
    /// Side band i_in.
    std::int64_t current(std::uint64_t t, std::uint32_t neuron);

    struct Arrivals {
        std::vector<Arrival> list;  ///< in order of delivery
        std::int64_t current = 0;   ///< i_in, added last
        bool complete = true;  ///< false: spikes or events before what is recorded may be missing
        std::uint64_t unknown_synapses = 0;  ///< synapses whose source's timestep is not recorded
    };
    Arrivals arrivals(std::uint32_t neuron, std::uint64_t t, const DeliveryRule& rule = {});

    const Connectivity& connectivity() const noexcept { return connectivity_; }
    const trace::ExecutionTrace& trace() const noexcept { return trace_; }
    bool has_stimulus() const noexcept { return stimulus_ != nullptr; }

private:
    using Events = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
    struct Step {
        Events events;
        std::vector<std::int32_t> current;
    };
    const Step& step(std::uint64_t t);
    bool applies(const DeliveryRule& rule, const Connectivity::Incoming& incoming) const;

    const Connectivity& connectivity_;
    const trace::Stimulus* stimulus_;
    const trace::ExecutionTrace& trace_;
    std::map<std::uint64_t, Step> steps_;
    Step nothing_;
};

}  // namespace spikelock::analysis::detail

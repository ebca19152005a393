// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// What stands behind an effect.
enum class CauseKind : std::uint8_t {
    Effect,        ///< the value or spike that is asked about
    Spike,         ///< a spike of a neuron
    Input,         ///< an input event
    Current,       ///< side band i_in
    Bias,          ///< the neuron's bias, summed over the timesteps looked at
    State,         ///< v and u that the neuron carried when the look-back begins
    BeforeWindow,  ///< sources whose spikes are not recorded
    Rest,          ///< what max_causes left out, summed
};
std::string_view name_of(CauseKind kind) noexcept;  ///< "effect", "spike", "input", ...

/// A node of the chain; each spike and each input event stands once.
struct CausalNode {
    CauseKind kind = CauseKind::Effect;
    std::uint32_t neuron = 0;  ///< of an effect, spike, current, bias, state
    std::uint32_t axon = 0;    ///< of an input event
    std::uint64_t timestep = 0;
    std::string label;           ///< "hidden[17] t=132"
    std::uint32_t depth = 0;     ///< steps from the effect
    bool expanded = false;       ///< its own causes are in the chain
    bool before_window = false;  ///< some of its causes lie before the recorded window
    // Of effects and spikes that are expanded:
    std::optional<std::int64_t> i_syn_recorded;  ///< from the trace, where it shows i_syn
    std::int64_t i_syn_delivered = 0;            ///< sum of what network, spikes and input deliver
    bool i_syn_complete = false;                 ///< every delivery is known
    std::string i_syn_overflow;  ///< "wraps in 9 bits" where that makes what was delivered what
                                 ///< is recorded, "saturates in 9 bits" likewise; else empty
    double v_estimate = 0.0;     ///< sum of all decayed contributions: an estimate of v1 in LSB
    bool in_refractory = false;  ///< input of this timestep was dropped
};

/// `cause` acts on `effect`.
struct CausalEdge {
    std::size_t cause = 0;  ///< index of a node
    std::size_t effect = 0;
    std::uint32_t synapse = 0;      ///< index in Network::synapses; of spikes and input events
    std::int32_t weight = 0;        ///< LSB
    std::uint32_t delay = 0;        ///< timesteps
    std::uint32_t times = 1;        ///< deliveries: an event may stand several times
    std::uint64_t arrives = 0;      ///< timestep in which it is added to i_syn
    std::int64_t contribution = 0;  ///< to i_syn of that timestep, all deliveries, LSB
    double decayed = 0.0;           ///< what of it is left in the effect's v, estimated in LSB:
                                    ///< linear decay, no rounding, no overflow
    std::size_t causes = 1;         ///< of Rest: how many were summed; of BeforeWindow: synapses
};

/// Why a neuron was where it was: a directed graph without cycles, nodes[0] is the effect.
/// Edges of one effect stand together, strongest first.
struct CausalChain {
    std::vector<CausalNode> nodes;
    std::vector<CausalEdge> edges;
    std::string field;         ///< what was asked about
    bool connectivity = true;  ///< false: made without a network, edges say only "earlier"
};

struct CausalOptions {
    std::uint32_t depth = 3;       ///< generations of presynaptic spikes
    std::uint32_t look_back = 32;  ///< timesteps of integration that are looked at
    std::size_t max_causes = 8;    ///< of each effect; the others are summed
    std::size_t max_nodes = 2000;  ///< expansion ends there
    std::string field = "v";       ///< "i_syn": only what arrives in that very timestep
    /// What the trace follows (docs/golden.md); null: docs/model.md. Must outlive the call.
    const golden::Description* description = nullptr;
};

/// Which input events and presynaptic spikes led to the state of a neuron in a timestep, back to a
/// given depth. The look-back of one neuron ends at the last clear, at its last spike (with its
/// refractory period; the synaptic filter of a CUBA neuron remembers beyond it), at the last time
/// that a negative threshold of the description set its v, and after `look_back` timesteps; what
/// the neuron carried from there is one cause of its own.
/// @param stimulus  null: input events are unknown and count as before the window
/// @param trace     the side whose spikes are followed
/// @errors Errc::NotFound when the trace does not hold the neuron and timestep;
/// Errc::Mismatch when network and trace have different numbers of neurons
/// @source docs/model.md eq. 1 to 6
Result<CausalChain> causal_chain(const Connectivity& connectivity, const trace::Stimulus* stimulus,
                                 const trace::ExecutionTrace& trace, std::uint32_t neuron,
                                 std::uint64_t timestep, const CausalOptions& options = {});

/// All spikes of the `look_back` timesteps before the effect, latest first: what can be said of a
/// trace without a network. Earlier is not because; use it to know where to look, not why.
/// @errors Errc::NotFound as causal_chain()
Result<CausalChain> causal_chain_without_connectivity(const trace::ExecutionTrace& trace,
                                                      std::uint32_t neuron, std::uint64_t timestep,
                                                      const CausalOptions& options = {});

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// How far a hypothesis holds, judged on all recorded updates of the actual side.
enum class Scope : std::uint8_t {
    Everywhere,  ///< no recorded update of any neuron speaks against it
    ThisNeuron,  ///< other neurons speak against it, this one never does
    ThisTime,    ///< it explains this event, but elsewhere the core did as the model says
};
std::string_view name_of(Scope scope) noexcept;  ///< "everywhere", "this_neuron", "this_time"

/// Updates in which hypothesis and model give different observations, by whom the core agreed with.
struct Evidence {
    std::uint64_t tested = 0;      ///< updates that could be recomputed
    std::uint64_t supporting = 0;  ///< the core did as the hypothesis says
    std::uint64_t against = 0;     ///< the core did as the model says
    std::uint64_t neither = 0;     ///< the core did a third thing
};

/// One way to depart from docs/model.md that gives exactly what the actual side shows.
struct Hypothesis {
    std::string id;      ///< stable, for machines: "rounding.toward_zero", "synapse.dropped", ...
    std::string text;    ///< what the core would have done, one sentence without full stop
    bool whole = false;  ///< gives every shown field of the neuron in that timestep, not only the
                         ///< one that differs first
    std::uint64_t explained_neurons = 0;  ///< differing neurons of the timestep it explains
    std::uint64_t broken_neurons = 0;     ///< agreeing neurons of the timestep it would change
    Scope scope = Scope::ThisTime;
    Evidence neuron;  ///< updates of this neuron in the window
    Evidence all;     ///< updates of all neurons in the window (this one included)
    std::optional<std::uint32_t> synapse;  ///< index in Network::synapses, where it is about one
    std::size_t alike = 0;  ///< further hypotheses of this id that explain it equally well
};

/// The terms of one update, by the names of docs/model.md section 3.
struct UpdateTerms {
    bool described = false;         ///< by docs/golden.md: drive, leaked and sum are not known
    bool moving_threshold = false;  ///< noise or adaptation is added to `threshold`
    std::int64_t v_before = 0, u_before = 0, refr_before = 0;
    std::int64_t i_syn = 0;
    std::int64_t bias = 0;
    std::int64_t u = 0;
    std::int64_t drive = 0;
    std::int64_t leaked = 0;  ///< decay(v, leak)
    std::int64_t sum = 0;     ///< leaked + drive, before fit
    std::int64_t v1 = 0;
    std::int64_t threshold = 0;
    bool held = false;  ///< refractory
    bool spike = false;
    std::int64_t v = 0;
    std::int64_t refr = 0;
};

/// Why a divergence may have come about.
struct Explanation {
    Place place;
    std::string term;                     ///< the first term that parts: "i_syn (eq. 2)", ...
    std::vector<std::string> facts;       ///< what is certain, plain sentences
    std::optional<UpdateTerms> model;     ///< the update as docs/model.md gives it, where the state
                                          ///< before it is known
    bool expected_follows_model = false;  ///< the expected side shows what docs/model.md gives
    bool actual_follows_model = false;    ///< the actual side does, and the expected one does not:
                                          ///< there is nothing to explain about it
    std::vector<Hypothesis> hypotheses;   ///< most likely first
    std::uint64_t alternatives = 0;       ///< ways to depart that were tried
    std::string ways = "ways to depart";  ///< what they are, for reports
    std::vector<std::string> limits;      ///< what could not be judged, and why
};

struct ExplainOptions {
    std::size_t most_hypotheses = 12;
    std::uint64_t most_updates = 2'000'000;  ///< recomputed per hypothesis as evidence
};

/// Recomputes the update in which two sources part under every known way to depart from
/// docs/model.md (rounding, overflow, widths, leak, threshold, reset, refractory period, bias, CUBA
/// filter, parameters and state of a neighbour, each delivered synapse lost, doubled, late, early
/// or with another weight, whole rows and events lost, order and timing of what is shown) and lists
/// those that give the actual value exactly. Each is then tried on every other recorded update:
/// one that elsewhere would have shown long before is told from one that fits all of them.
/// A hypothesis is no proof: several may fit the same data.
/// @param stimulus  null: input events are unknown, deliveries from axons cannot be judged
/// @pre report comes from describe() or find_divergence(), with its windows
/// @errors Errc::Mismatch when network and report have different numbers of neurons;
/// Errc::Unsupported when the fields are float64
/// @source docs/model.md sections 1 to 3
Result<Explanation> explain_divergence(const Connectivity& connectivity,
                                       const trace::Stimulus* stimulus,
                                       const DivergenceReport& report,
                                       const ExplainOptions& options = {});

}  // namespace spikelock::analysis

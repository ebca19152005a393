// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/json.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace spikelock::analysis {

namespace {
using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

template <typename T>
Json optional(const std::optional<T>& value) {
    return value ? Json(*value) : Json(nullptr);
}

/// Labels come from files: bytes that are no UTF-8 are replaced, not fatal.
std::string text_of(const Json& json) {
    return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

Json json_of(const Place& place) {
    Json json;
    json["sample"] = place.has_samples ? Json(place.sample) : Json(nullptr);
    json["sample_label"] = place.sample_label;
    json["timestep"] = place.timestep;
    json["step_in_sample"] = place.step_in_sample;
    json["neuron"] = place.neuron;
    json["neuron_name"] = place.neuron_name;
    json["field"] = place.field;
    return json;
}

/// The diverging neuron over time: {"timestep": [...], "i_syn": [...], ..., "spike": [...]}.
Json window_of(const trace::ExecutionTrace& trace, std::uint32_t neuron, std::uint64_t around,
               std::uint32_t reach) {
    Json steps = Json::array();
    Json spikes = Json::array();
    Json fields = Json::object();
    const std::uint64_t begin =
        std::max<std::uint64_t>(trace.first_step(), around >= reach ? around - reach : 0);
    const std::uint64_t end =
        std::min<std::uint64_t>(trace.first_step() + trace.n_steps(), around + reach + 1);
    for (std::uint64_t t = begin; t < end; ++t) {
        steps.push_back(t);
        spikes.push_back(trace.valid(t) ? Json(trace.spike(t, neuron) ? 1 : 0) : Json(nullptr));
        for (std::size_t f = 0; f < trace.shape().fields.size(); ++f)
            fields[trace.shape().fields[f].name].push_back(
                trace.valid(f, t, neuron) ? Json(trace.raw(f, t, neuron)) : Json(nullptr));
    }
    Json json;
    json["timestep"] = std::move(steps);
    for (auto& [name, values] : fields.items()) json[name] = values;
    json["spike"] = std::move(spikes);
    return json;
}

Json json_of(const SpikeTally& tally) {
    Json json;
    json["expected"] = tally.expected;
    json["actual"] = tally.actual;
    json["missing"] = tally.missing;
    json["extra"] = tally.extra;
    return json;
}

Json json_of(const std::vector<trace::Spike>& spikes) {
    Json json = Json::array();
    for (const trace::Spike& spike : spikes)
        json.push_back({{"timestep", spike.timestep}, {"neuron", spike.neuron}});
    return json;
}

Json json_of(const Evidence& evidence) {
    Json json;
    json["tested"] = evidence.tested;
    json["supporting"] = evidence.supporting;
    json["against"] = evidence.against;
    json["neither"] = evidence.neither;
    return json;
}

bool about_neuron(CauseKind kind) {
    return kind != CauseKind::Input && kind != CauseKind::Rest && kind != CauseKind::BeforeWindow;
}
bool by_synapse(CauseKind kind) { return kind == CauseKind::Spike || kind == CauseKind::Input; }
}  // namespace

std::string to_json(const DivergenceReport& report, std::uint32_t window) {
    Json json = json_of(report.place);
    json["last_agreed"] = optional(report.last_agreed);
    json["n_differences"] = report.n_differences;
    Json differences = Json::array();
    for (const ReportedDifference& difference : report.differences) {
        Json entry;
        entry["neuron"] = difference.raw.neuron;
        entry["neuron_name"] = difference.neuron;
        entry["field"] = difference.raw.field;
        entry["expected"] = difference.raw.expected;
        entry["actual"] = difference.raw.actual;
        entry["expected_value"] = number(difference.expected_value);
        entry["actual_value"] = number(difference.actual_value);
        differences.push_back(std::move(entry));
    }
    json["differences"] = std::move(differences);
    if (report.first_spike) {
        json["first_spike"] = json_of(*report.first_spike);
        json["first_spike"]["expected"] = report.spike_expected ? 1 : 0;
    } else {
        json["first_spike"] = nullptr;
    }
    json["compared_fields"] = report.compared_fields;
    json["not_compared"] = report.not_compared;
    json["masked"] = report.masked;
    json["expected_window"] =
        window_of(report.expected_window, report.place.neuron, report.place.timestep, window);
    json["actual_window"] =
        window_of(report.actual_window, report.place.neuron, report.place.timestep, window);
    return text_of(json);
}

std::string to_json(const SpikeDiff& diff) {
    Json json;
    json["steps_compared"] = diff.steps_compared;
    json["steps_invalid"] = diff.steps_invalid;
    json["steps_unmatched"] = diff.steps_unmatched;
    json["n_neurons"] = diff.n_neurons;
    json["mismatches"] = diff.total.mismatches();
    json["rate"] = diff.rate();
    json["lag"] = diff.lag();
    json["mismatches_at_lag"] = diff.mismatches_at_lag;
    json["total"] = json_of(diff.total);
    Json first(nullptr);
    if (diff.first)
        first = {{"timestep", diff.first->timestep},
                 {"neuron", diff.first->neuron},
                 {"kind", diff.first_is_missing ? "missing" : "extra"}};
    json["first"] = std::move(first);
    Json populations = Json::array();
    for (const PopulationTally& population : diff.populations) {
        Json entry;
        entry["label"] = population.label;
        entry.update(json_of(population.tally));
        populations.push_back(std::move(entry));
    }
    json["populations"] = std::move(populations);
    // Only neurons that differ: the list stays short where most agree.
    Json neurons = Json::array();
    for (std::size_t n = 0; n < diff.neurons.size(); ++n) {
        if (diff.neurons[n].mismatches() == 0) continue;
        Json entry;
        entry["neuron"] = n;
        entry.update(json_of(diff.neurons[n]));
        neurons.push_back(std::move(entry));
    }
    json["neurons"] = std::move(neurons);
    json["missing"] = json_of(diff.missing);
    json["extra"] = json_of(diff.extra);
    return text_of(json);
}

std::string to_json(const CausalChain& chain) {
    Json json;
    json["field"] = chain.field;
    json["connectivity"] = chain.connectivity;
    Json nodes = Json::array();
    for (std::size_t i = 0; i < chain.nodes.size(); ++i) {
        const CausalNode& node = chain.nodes[i];
        Json entry;
        entry["id"] = i;
        entry["kind"] = name_of(node.kind);
        entry["label"] = node.label;
        if (about_neuron(node.kind)) entry["neuron"] = node.neuron;
        if (node.kind == CauseKind::Input) entry["axon"] = node.axon;
        entry["timestep"] = node.timestep;
        entry["depth"] = node.depth;
        entry["before_window"] = node.before_window;
        entry["expanded"] = node.expanded;
        if (node.expanded && chain.connectivity) {
            entry["i_syn_recorded"] = optional(node.i_syn_recorded);
            entry["i_syn_delivered"] = node.i_syn_delivered;
            entry["i_syn_complete"] = node.i_syn_complete;
            entry["i_syn_overflow"] = node.i_syn_overflow;
            entry["v_estimate"] = number(node.v_estimate);
            entry["in_refractory"] = node.in_refractory;
        }
        nodes.push_back(std::move(entry));
    }
    json["nodes"] = std::move(nodes);
    Json edges = Json::array();
    for (const CausalEdge& edge : chain.edges) {
        Json entry;
        entry["cause"] = edge.cause;
        entry["effect"] = edge.effect;
        if (by_synapse(chain.nodes[edge.cause].kind) && chain.connectivity) {
            entry["synapse"] = edge.synapse;
            entry["weight"] = edge.weight;
            entry["times"] = edge.times;
        }
        entry["delay"] = edge.delay;
        entry["arrives"] = edge.arrives;
        entry["contribution"] = edge.contribution;
        entry["decayed"] = number(edge.decayed);
        entry["causes"] = edge.causes;
        edges.push_back(std::move(entry));
    }
    json["edges"] = std::move(edges);
    return text_of(json);
}

std::string to_json(const Explanation& explanation) {
    Json json;
    json["place"] = json_of(explanation.place);
    json["term"] = explanation.term;
    json["facts"] = explanation.facts;
    json["expected_follows_model"] = explanation.expected_follows_model;
    json["actual_follows_model"] = explanation.actual_follows_model;
    if (explanation.model) {
        const UpdateTerms& terms = *explanation.model;
        Json model;
        model["v_before"] = terms.v_before;
        model["u_before"] = terms.u_before;
        model["refr_before"] = terms.refr_before;
        model["i_syn"] = terms.i_syn;
        model["bias"] = terms.bias;
        model["u"] = terms.u;
        if (!terms.described) {
            model["drive"] = terms.drive;
            model["leaked"] = terms.leaked;
            model["sum"] = terms.sum;
        }
        model["v1"] = terms.v1;
        model["threshold"] = terms.threshold;
        model["held"] = terms.held;
        model["spike"] = terms.spike;
        model["v"] = terms.v;
        model["refr"] = terms.refr;
        json["model"] = std::move(model);
    } else {
        json["model"] = nullptr;
    }
    json["alternatives"] = explanation.alternatives;
    Json hypotheses = Json::array();
    for (const Hypothesis& hypothesis : explanation.hypotheses) {
        Json entry;
        entry["id"] = hypothesis.id;
        entry["text"] = hypothesis.text;
        entry["whole"] = hypothesis.whole;
        entry["scope"] = name_of(hypothesis.scope);
        entry["explained_neurons"] = hypothesis.explained_neurons;
        entry["broken_neurons"] = hypothesis.broken_neurons;
        entry["evidence_neuron"] = json_of(hypothesis.neuron);
        entry["evidence_all"] = json_of(hypothesis.all);
        entry["synapse"] = optional(hypothesis.synapse);
        entry["alike"] = hypothesis.alike;
        hypotheses.push_back(std::move(entry));
    }
    json["hypotheses"] = std::move(hypotheses);
    json["limits"] = explanation.limits;
    return text_of(json);
}

}  // namespace spikelock::analysis

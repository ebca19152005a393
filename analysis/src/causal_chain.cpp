// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/causal_chain.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <numeric>
#include <tuple>

#include "activity.hpp"
#include "neuron_update.hpp"
#include "spikelock/golden/described_source.hpp"
#include "step_judge.hpp"

namespace spikelock::analysis {

std::string_view name_of(CauseKind kind) noexcept {
    switch (kind) {
        case CauseKind::Effect:
            return "effect";
        case CauseKind::Spike:
            return "spike";
        case CauseKind::Input:
            return "input";
        case CauseKind::Current:
            return "current";
        case CauseKind::Bias:
            return "bias";
        case CauseKind::State:
            return "state";
        case CauseKind::BeforeWindow:
            return "before_window";
        case CauseKind::Rest:
            return "rest";
    }
    return "effect";
}

namespace {
std::string at(std::uint64_t timestep) { return " t=" + std::to_string(timestep); }

Status check_place(const trace::ExecutionTrace& trace, std::uint32_t neuron,
                   std::uint64_t timestep) {
    if (neuron >= trace.n_neurons())
        return Error{Errc::NotFound,
                     "no neuron " + std::to_string(neuron) + ": the trace has " +
                         std::to_string(trace.n_neurons()),
                     {}};
    if (!trace.holds(timestep))
        return Error{Errc::NotFound,
                     "timestep " + std::to_string(timestep) + " is not recorded: the trace holds " +
                         std::to_string(trace.n_steps()) + " timesteps from " +
                         std::to_string(trace.first_step()),
                     {}};
    return {};
}

class Builder {
public:
    Builder(const Connectivity& connectivity, const trace::Stimulus* stimulus,
            const trace::ExecutionTrace& trace, const CausalOptions& options)
        : connectivity_(connectivity),
          network_(connectivity.network()),
          trace_(trace),
          options_(options),
          activity_(connectivity, stimulus, trace),
          i_syn_field_(trace.shape().field_index("i_syn")),
          v_field_(trace.shape().field_index("v")),
          u_field_(trace.shape().field_index("u")),
          synapse_(options.description != nullptr ? options.description->synapse
                                                  : golden::describe(network_).synapse) {}

    CausalChain build(std::uint32_t neuron, std::uint64_t timestep) {
        chain_.field = options_.field;
        find_resets(timestep);
        CausalNode root;
        root.neuron = neuron;
        root.timestep = timestep;
        root.label = connectivity_.neuron_name(neuron) + at(timestep);
        chain_.nodes.push_back(std::move(root));
        if (options_.field != "i_syn" && trace_.spike(timestep, neuron))
            known_[{CauseKind::Spike, neuron, timestep}] = 0;
        // Breadth first: each node is reached by its shortest way, and a limit cuts what is far.
        std::deque<std::size_t> todo{0};
        while (!todo.empty()) {
            const std::size_t node = todo.front();
            todo.pop_front();
            if (chain_.nodes[node].depth >= options_.depth) continue;
            if (chain_.nodes.size() >= options_.max_nodes) break;
            expand(node, node == 0 && options_.field == "i_syn", todo);
        }
        return std::move(chain_);
    }

private:
    using Key = std::tuple<CauseKind, std::uint32_t, std::uint64_t>;

    double decay_factor(std::uint32_t amount) const {
        const golden::Arithmetic& arithmetic = network_.arithmetic;
        if (arithmetic.leak_mode == golden::LeakMode::Multiply)
            return std::ldexp(static_cast<double>(amount), -arithmetic.leak_frac);
        return amount == 0 ? 1.0
                           : 1.0 - std::ldexp(1.0, -static_cast<int>(std::min(amount, 1000U)));
    }

    /// Share of a contribution that arrived at s which is left in v at t, when v integrates from
    /// `begin` on (0 where nothing reaches it).
    double share(const golden::NeuronParams& params, std::uint64_t s, std::uint64_t begin,
                 std::uint64_t t) const {
        const double leak = decay_factor(params.leak);
        if (!params.cuba) return s >= begin ? std::pow(leak, static_cast<double>(t - s)) : 0.0;
        const double filter = decay_factor(params.u_decay);
        double sum = 0.0;
        for (std::uint64_t j = std::max(s, begin); j <= t; ++j)
            sum += std::pow(filter, static_cast<double>(j - s)) *
                   std::pow(leak, static_cast<double>(t - j));
        return std::ldexp(sum, -network_.arithmetic.u_shift);
    }

    /// Finds where a low v set the state, as a description may say: what came before is then no
    /// cause. Each update is computed from the recorded state and input, without what a low v does;
    /// where that gives another v than is recorded, it was set.
    void find_resets(std::uint64_t until) {
        using golden::NegativeAction;
        if (options_.description == nullptr || i_syn_field_ < 0 || v_field_ < 0) return;
        golden::Description d = *options_.description;
        const NegativeAction action = d.threshold.negative_action;
        // Registers and counts of events are not recorded for each update.
        if ((action != NegativeAction::Reset && action != NegativeAction::Clamp) ||
            d.semantics != golden::Semantics::Timestep || !d.noise.empty() ||
            d.leak.when == golden::LeakWhen::WithoutEvent)
            return;
        d.threshold.negative_action = NegativeAction::None;
        golden::Network network = network_;
        network.synapses.clear();
        std::ranges::fill(network.row_begin, 0);
        resets_begin_ = trace_.first_step();
        const std::uint64_t most = std::uint64_t{options_.look_back} * (options_.depth + 1);
        if (until - resets_begin_ > most) resets_begin_ = until - most;
        for (std::uint64_t t = resets_begin_; t <= until; ++t) {
            resets_.emplace_back(network_.n_neurons(), false);
            find_resets_at(t, network, d);
        }
    }

    void find_resets_at(std::uint64_t t, const golden::Network& network,
                        const golden::Description& description) {
        auto source = golden::DescribedSource::create(network, description);
        if (!source || !trace_.valid(t)) return;
        const std::uint32_t neurons = network_.n_neurons();
        const auto recorded = [&](std::size_t field, std::uint64_t when) {
            std::vector<std::int64_t> values;
            for (std::uint32_t n = 0; n < neurons && trace_.valid(field, when, n); ++n)
                values.push_back(trace_.raw(field, when, n));
            return values;
        };
        const trace::Shape& shape = (*source)->shape();
        if (t != activity_.clear_at(t)) {
            if (t == 0 || !trace_.holds(t - 1) || !trace_.valid(t - 1)) return;
            for (const trace::FieldSpec& field : shape.fields) {
                if (field.cls != trace::FieldClass::State) continue;
                const int own = trace_.shape().field_index(field.name);
                if (own < 0) return;
                const auto values = recorded(static_cast<std::size_t>(own), t - 1);
                if (values.size() != neurons || !(*source)->set_state(field.name, values)) return;
            }
        }
        trace::StimulusBlock block;
        block.first = t;
        block.n_steps = 1;
        block.event_begin = {0, 0};
        const auto input = recorded(static_cast<std::size_t>(i_syn_field_), t);
        if (input.size() != neurons) return;
        block.side_bands.push_back({"i_in", neurons, {}});
        for (const std::int64_t x : input) {
            const auto narrow = static_cast<std::int32_t>(x);
            if (narrow != x) return;
            block.side_bands[0].values.push_back(narrow);
        }
        if (!(*source)->submit(block)) return;
        const auto got = (*source)->read(1);
        const auto* view = got ? std::get_if<trace::BlockView>(&*got) : nullptr;
        if (view == nullptr) return;
        const auto v = static_cast<std::size_t>(shape.field_index("v"));
        const auto bytes = static_cast<std::size_t>(shape.fields[v].bytes);
        const auto field = static_cast<std::size_t>(v_field_);
        for (std::uint32_t n = 0; n < neurons; ++n) {
            const bool fires = (view->spikes[n / 64] >> (n % 64) & 1) != 0;
            if (fires || trace_.spike(t, n) || !trace_.valid(field, t, n)) continue;
            const std::int64_t without = detail::load(&view->fields[v][n * bytes], shape.fields[v]);
            resets_.back()[n] = without != trace_.raw(field, t, n);
        }
    }
    bool was_reset(std::uint64_t t, std::uint32_t neuron) const {
        return t >= resets_begin_ && t - resets_begin_ < resets_.size() &&
               resets_[t - resets_begin_][neuron];
    }

    /// A sum in the format of the accumulator.
    std::int64_t fitted(std::int64_t x) const {
        const golden::OverflowRule& rule = synapse_.overflow;
        const std::int64_t half = std::int64_t{1} << (synapse_.bits - 1);
        const std::int64_t low = rule.low == golden::Edge::At ? rule.low_at : -half;
        const std::int64_t high = rule.high == golden::Edge::At ? rule.high_at : half - 1;
        if (x < low && rule.low != golden::Edge::Wrap) return low;
        if (x > high && rule.high != golden::Edge::Wrap) return high;
        return detail::fit(x, synapse_.bits, detail::Fit::Wrap);
    }
    /// What of the accumulator's overflow makes one sum the other; empty: nothing does.
    std::string overflow_between(const detail::Activity::Arrivals& arrivals, std::int64_t delivered,
                                 std::int64_t recorded) const {
        if (delivered == recorded) return {};
        // Both are of at most 48 bits and few deliveries: the difference is exact.
        if ((delivered - recorded) % (std::int64_t{1} << synapse_.bits) == 0)
            return "wraps in " + std::to_string(synapse_.bits) + " bits";
        std::int64_t sum = 0;
        for (const detail::Arrival& arrival : arrivals.list) {
            sum += arrival.contribution;
            if (synapse_.fit == golden::FitWhen::Each) sum = fitted(sum);
        }
        if (fitted(sum + arrivals.current) != recorded) return {};
        return "saturates in " + std::to_string(synapse_.bits) + " bits";
    }

    std::size_t node_of(CauseKind kind, std::uint32_t index, std::uint64_t timestep,
                        std::uint32_t depth, std::deque<std::size_t>& todo) {
        const auto [entry, is_new] =
            known_.try_emplace({kind, index, timestep}, chain_.nodes.size());
        if (!is_new) return entry->second;
        CausalNode node;
        node.kind = kind;
        node.timestep = timestep;
        node.depth = depth;
        if (kind == CauseKind::Input) {
            node.axon = index;
            node.label = connectivity_.source_name(index) + at(timestep);
        } else {
            node.neuron = index;
            node.label = connectivity_.neuron_name(index) + at(timestep);
            todo.push_back(entry->second);
        }
        chain_.nodes.push_back(std::move(node));
        return entry->second;
    }

    std::size_t leaf(CauseKind kind, const CausalNode& effect, std::uint64_t timestep,
                     std::string label) {
        CausalNode node;
        node.kind = kind;
        node.neuron = effect.neuron;
        node.timestep = timestep;
        node.depth = effect.depth + 1;
        node.label = std::move(label);
        chain_.nodes.push_back(std::move(node));
        return chain_.nodes.size() - 1;
    }

    /// A cause before it becomes node and edge.
    struct Candidate {
        CausalEdge edge;
        Key key{};
        std::string label;  ///< of a leaf
    };

    void expand(std::size_t index, bool only_now, std::deque<std::size_t>& todo) {
        CausalNode effect = chain_.nodes[index];
        const std::uint32_t n = effect.neuron;
        const std::uint64_t t = effect.timestep;
        const golden::NeuronParams& params = network_.neurons[n];
        const std::uint64_t clear = activity_.clear_at(t);

        // Timesteps first..t are looked at; v integrates in begin..t.
        std::uint64_t first = t;
        std::uint64_t begin = t;
        bool from_spike = false;
        bool from_reset = false;  // by a low v
        if (!only_now) {
            const std::uint64_t oldest =
                std::max({clear, trace_.first_step(),
                          t >= options_.look_back ? t - options_.look_back + 1 : 0});
            begin = oldest;
            // A spike before the look-back can hold the neuron inside it.
            const std::uint64_t reach = std::max(clear, trace_.first_step());
            const std::uint64_t earliest =
                oldest - std::min<std::uint64_t>(oldest - reach, params.refractory);
            for (std::uint64_t s = t; s > earliest; --s)
                if (trace_.spike(s - 1, n)) {
                    from_spike = s + params.refractory >= oldest;
                    begin = std::max(oldest, s + params.refractory);
                    break;
                } else if (s > oldest && was_reset(s - 1, n)) {
                    from_reset = true;
                    begin = s;
                    break;
                }
            effect.in_refractory = begin > t;
            begin = std::min(begin, t);
            first = params.cuba ? oldest : begin;
        }

        std::vector<Candidate> candidates;
        std::uint64_t unknown = 0;
        for (std::uint64_t s = first; s <= t; ++s) {
            const detail::Activity::Arrivals arrivals = activity_.arrivals(n, s);
            unknown += arrivals.unknown_synapses;
            const double left =
                only_now ? 1.0 : (effect.in_refractory ? 0.0 : share(params, s, begin, t));
            std::int64_t total = arrivals.current;
            const std::size_t of_earlier = candidates.size();
            for (const detail::Arrival& arrival : arrivals.list) {
                total += arrival.contribution;
                // Several deliveries by one synapse of spikes in one timestep are one cause.
                const auto same =
                    std::find_if(candidates.begin() + static_cast<std::ptrdiff_t>(of_earlier),
                                 candidates.end(), [&](const Candidate& candidate) {
                                     return candidate.edge.synapse == arrival.synapse &&
                                            std::get<2>(candidate.key) == arrival.fired_at;
                                 });
                if (same != candidates.end()) {
                    ++same->edge.times;
                    same->edge.contribution += arrival.contribution;
                    same->edge.decayed += static_cast<double>(arrival.contribution) * left;
                    continue;
                }
                const bool axon = connectivity_.is_axon(arrival.source);
                Candidate candidate;
                candidate.edge.synapse = arrival.synapse;
                candidate.edge.weight = network_.synapses[arrival.synapse].weight;
                candidate.edge.delay = arrival.delay;
                candidate.edge.arrives = s;
                candidate.edge.contribution = arrival.contribution;
                candidate.edge.decayed = static_cast<double>(arrival.contribution) * left;
                candidate.key = {axon ? CauseKind::Input : CauseKind::Spike,
                                 axon ? arrival.source : arrival.source - network_.n_axons(),
                                 arrival.fired_at};
                candidates.push_back(std::move(candidate));
            }
            if (arrivals.current != 0) {
                Candidate candidate;
                candidate.edge.arrives = s;
                candidate.edge.contribution = arrivals.current;
                candidate.edge.decayed = static_cast<double>(arrivals.current) * left;
                candidate.key = {CauseKind::Current, n, s};
                candidate.label = "i_in of " + connectivity_.neuron_name(n) + at(s);
                candidates.push_back(std::move(candidate));
            }
            if (s == t) {
                effect.i_syn_delivered = total;
                effect.i_syn_complete = arrivals.complete;
            }
        }
        if (i_syn_field_ >= 0 && trace_.valid(static_cast<std::size_t>(i_syn_field_), t, n)) {
            effect.i_syn_recorded = trace_.raw(static_cast<std::size_t>(i_syn_field_), t, n);
            if (effect.i_syn_complete)
                effect.i_syn_overflow = overflow_between(
                    activity_.arrivals(n, t), effect.i_syn_delivered, *effect.i_syn_recorded);
        }

        if (!only_now && !effect.in_refractory)
            add_leaves(effect, first, begin, t,
                       from_spike   ? " after its spike,"
                       : from_reset ? " after its negative threshold,"
                                    : "",
                       candidates);
        for (const Candidate& candidate : candidates) effect.v_estimate += candidate.edge.decayed;
        effect.before_window = unknown > 0 || (!only_now && !from_spike && !from_reset &&
                                               first == trace_.first_step() && first > clear &&
                                               !trace_.holds(first - 1));
        effect.expanded = true;
        chain_.nodes[index] = effect;
        link(index, std::move(candidates), unknown, t, todo);
    }

    void add_leaves(const CausalNode& effect, std::uint64_t first, std::uint64_t begin,
                    std::uint64_t t, const char* since_when,
                    std::vector<Candidate>& candidates) const {
        const std::uint32_t n = effect.neuron;
        const golden::NeuronParams& params = network_.neurons[n];
        if (params.bias != 0) {
            Candidate candidate;
            candidate.edge.arrives = t;
            candidate.edge.contribution = params.bias;
            candidate.edge.times = static_cast<std::uint32_t>(t - first + 1);
            for (std::uint64_t s = first; s <= t; ++s)
                candidate.edge.decayed += params.bias * share(params, s, begin, t);
            candidate.key = {CauseKind::Bias, n, t};
            candidate.label = "bias of " + connectivity_.neuron_name(n);
            candidates.push_back(std::move(candidate));
        }
        // v at begin - 1 and u at first - 1 are where the look-back starts from.
        const std::uint64_t clear = activity_.clear_at(t);
        std::int64_t v = 0;
        double decayed = 0.0;
        std::uint64_t since = begin;
        if (begin > clear && v_field_ >= 0 && trace_.holds(begin - 1)) {
            v = trace_.raw(static_cast<std::size_t>(v_field_), begin - 1, n);
            decayed = static_cast<double>(v) *
                      std::pow(decay_factor(params.leak), static_cast<double>(t - begin + 1));
        }
        if (params.cuba && first > clear && u_field_ >= 0 && trace_.holds(first - 1)) {
            const double u =
                static_cast<double>(trace_.raw(static_cast<std::size_t>(u_field_), first - 1, n));
            decayed += u * decay_factor(params.u_decay) * share(params, first, begin, t);
            since = std::min(since, first);
        }
        if (v == 0 && decayed == 0.0) return;
        Candidate candidate;
        candidate.edge.arrives = begin;
        candidate.edge.contribution = v;
        candidate.edge.decayed = decayed;
        candidate.key = {CauseKind::State, n, since - 1};
        candidate.label = "v=" + std::to_string(v) + " of " + connectivity_.neuron_name(n) +
                          since_when + at(begin - 1);
        candidates.push_back(std::move(candidate));
    }

    void link(std::size_t index, std::vector<Candidate> candidates, std::uint64_t unknown,
              std::uint64_t t, std::deque<std::size_t>& todo) {
        std::stable_sort(candidates.begin(), candidates.end(),
                         [](const Candidate& a, const Candidate& b) {
                             const double left = std::abs(a.edge.decayed);
                             const double right = std::abs(b.edge.decayed);
                             if (left != right) return left > right;
                             return a.edge.arrives > b.edge.arrives;
                         });
        const std::uint32_t depth = chain_.nodes[index].depth + 1;
        const std::size_t kept =
            candidates.size() > options_.max_causes + 1 ? options_.max_causes : candidates.size();
        for (std::size_t i = 0; i < kept; ++i) {
            Candidate& candidate = candidates[i];
            const auto [kind, source, fired_at] = candidate.key;
            candidate.edge.cause =
                kind == CauseKind::Input || kind == CauseKind::Spike
                    ? node_of(kind, source, fired_at, depth, todo)
                    : leaf(kind, chain_.nodes[index], fired_at, std::move(candidate.label));
            candidate.edge.effect = index;
            chain_.edges.push_back(candidate.edge);
        }
        if (kept < candidates.size()) {
            CausalEdge rest;
            rest.causes = candidates.size() - kept;
            rest.arrives = t;
            rest.effect = index;
            for (std::size_t i = kept; i < candidates.size(); ++i) {
                rest.contribution += candidates[i].edge.contribution;
                rest.decayed += candidates[i].edge.decayed;
            }
            rest.cause = leaf(CauseKind::Rest, chain_.nodes[index], t,
                              std::to_string(rest.causes) + " further causes");
            chain_.edges.push_back(rest);
        }
        if (unknown > 0) {
            CausalEdge edge;
            edge.causes = static_cast<std::size_t>(unknown);
            edge.arrives = t;
            edge.effect = index;
            edge.cause = leaf(CauseKind::BeforeWindow, chain_.nodes[index], trace_.first_step(),
                              activity_.has_stimulus() ? "before the recorded window"
                                                       : "not recorded: input events or spikes");
            chain_.edges.push_back(edge);
        }
    }

    const Connectivity& connectivity_;
    const golden::Network& network_;
    const trace::ExecutionTrace& trace_;
    const CausalOptions& options_;
    detail::Activity activity_;
    int i_syn_field_;
    int v_field_;
    int u_field_;
    golden::Description::Synapse synapse_;  ///< the accumulator's format
    std::uint64_t resets_begin_ = 0;
    std::vector<std::vector<bool>> resets_;  ///< shape (timesteps from resets_begin_, n_neurons)
    CausalChain chain_;
    std::map<Key, std::size_t> known_;
};
}  // namespace

Result<CausalChain> causal_chain(const Connectivity& connectivity, const trace::Stimulus* stimulus,
                                 const trace::ExecutionTrace& trace, std::uint32_t neuron,
                                 std::uint64_t timestep, const CausalOptions& options) {
    if (trace.n_neurons() != connectivity.network().n_neurons())
        return Error{Errc::Mismatch,
                     "network and trace must have the same number of neurons, network " +
                         std::to_string(connectivity.network().n_neurons()) + ", trace " +
                         std::to_string(trace.n_neurons()),
                     {}};
    if (Status status = check_place(trace, neuron, timestep); !status)
        return std::move(status.error());
    return Builder(connectivity, stimulus, trace, options).build(neuron, timestep);
}

Result<CausalChain> causal_chain_without_connectivity(const trace::ExecutionTrace& trace,
                                                      std::uint32_t neuron, std::uint64_t timestep,
                                                      const CausalOptions& options) {
    if (Status status = check_place(trace, neuron, timestep); !status)
        return std::move(status.error());
    CausalChain chain;
    chain.field = options.field;
    chain.connectivity = false;
    CausalNode root;
    root.neuron = neuron;
    root.timestep = timestep;
    root.label = trace.shape().neuron_name(neuron) + at(timestep);
    root.expanded = true;
    chain.nodes.push_back(std::move(root));
    const std::uint64_t oldest = std::max(
        trace.first_step(), timestep >= options.look_back ? timestep - options.look_back : 0);
    chain.nodes[0].before_window = oldest == trace.first_step() && oldest > 0;
    for (std::uint64_t t = timestep; t > oldest && chain.nodes.size() < options.max_nodes; --t) {
        if (!trace.valid(t - 1)) continue;
        for (std::uint32_t n = 0; n < trace.n_neurons(); ++n) {
            if (!trace.spike(t - 1, n)) continue;
            CausalNode node;
            node.kind = CauseKind::Spike;
            node.neuron = n;
            node.timestep = t - 1;
            node.depth = 1;
            node.label = trace.shape().neuron_name(n) + at(t - 1);
            CausalEdge edge;
            edge.cause = chain.nodes.size();
            edge.delay = static_cast<std::uint32_t>(timestep - (t - 1));
            edge.arrives = timestep;
            chain.nodes.push_back(std::move(node));
            chain.edges.push_back(edge);
        }
    }
    return chain;
}

}  // namespace spikelock::analysis

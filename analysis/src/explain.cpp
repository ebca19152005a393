// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/explain.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <tuple>

#include "evidence.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::analysis {

std::string_view name_of(Scope scope) noexcept {
    switch (scope) {
        case Scope::Everywhere:
            return "everywhere";
        case Scope::ThisNeuron:
            return "this_neuron";
        case Scope::ThisTime:
            return "this_time";
    }
    return "this_time";
}

namespace {
using detail::Alternative;
using detail::Observed;
using detail::Ranked;
using detail::Recomputer;
using detail::Update;

std::string signed_text(std::int64_t value) {
    return (value >= 0 ? "+" : "") + std::to_string(value);
}

/// "1 neuron", "3 neurons".
std::string counted(std::uint64_t count, const std::string& noun) {
    return with_commas(count) + " " + noun + (count == 1 ? "" : "s");
}

/// Whether the side shows all that the other would, in the fields that `shown` has.
bool same(const Observed& a, const Observed& b) {
    return (!a.i_syn || !b.i_syn || *a.i_syn == *b.i_syn) && (!a.u || !b.u || *a.u == *b.u) &&
           (!a.v || !b.v || *a.v == *b.v) && (!a.refr || !b.refr || *a.refr == *b.refr) &&
           (!a.spike || !b.spike || *a.spike == *b.spike);
}

std::optional<std::int64_t> field_of(const Observed& observed, std::string_view field) {
    if (field == "i_syn") return observed.i_syn;
    if (field == "u") return observed.u;
    if (field == "v") return observed.v;
    if (field == "refr") return observed.refr;
    if (observed.spike) return *observed.spike ? 1 : 0;
    return std::nullopt;
}

class Explainer {
public:
    Explainer(const Connectivity& connectivity, const trace::Stimulus* stimulus,
              const DivergenceReport& report, const ExplainOptions& options)
        : connectivity_(connectivity),
          network_(connectivity.network()),
          report_(report),
          options_(options),
          recomputer_(connectivity, stimulus, report),
          n_(report.place.neuron),
          t_(report.place.timestep),
          actual_(recomputer_.actual(n_, t_)),
          expected_(recomputer_.expected(n_, t_)) {}

    Explanation explain() {
        result_.place = report_.place;
        result_.term = term();
        find_differing();
        judge_model();
        circumstances();
        // No way to depart is needed where the actual side does not depart.
        if (!result_.actual_follows_model) {
            try_alternatives();
            compare_windows();
            if (!recomputer_.activity().has_stimulus() && network_.n_axons() > 0) match_weights();
        }
        result_.hypotheses =
            detail::rank(std::move(found_), differing_.size(), options_.most_hypotheses);
        return std::move(result_);
    }

    std::vector<Ranked> shown() {
        find_differing();
        compare_windows();
        return std::move(found_);
    }

private:
    std::string term() const {
        const std::string& field = report_.place.field;
        const bool cuba = network_.neurons[n_].cuba;
        if (field == "i_syn") return "i_syn, the synaptic input (eq. 1 and 2)";
        if (field == "u") return "u, the synaptic filter (eq. 3)";
        if (field == "v")
            return actual_.spike && expected_.spike && *actual_.spike != *expected_.spike
                       ? "v and spike: leak, threshold or reset (eq. 4 to 6)"
                       : (cuba ? "v: drive, leak, overflow or reset (eq. 3 to 6)"
                               : "v: leak, overflow or reset (eq. 4 to 6)");
        if (field == "refr") return "refr, the refractory period (eq. 5 and 6)";
        if (field == "spike") return "spike, the threshold (eq. 6)";
        return field;
    }

    void fact(std::string text) { result_.facts.push_back(std::move(text)); }

    void find_differing() {
        std::map<std::string, std::uint64_t> by_population;
        for (std::uint32_t n = 0; n < network_.n_neurons(); ++n) {
            if (same(recomputer_.expected(n, t_), recomputer_.actual(n, t_))) continue;
            differing_.push_back(n);
            std::string name = connectivity_.neuron_name(n);
            ++by_population[name.substr(0, name.find('['))];
        }
        if (differing_.size() < 2) return;
        std::string where;
        for (const auto& [label, count] : by_population)
            where += (where.empty() ? "" : ", ") + with_commas(count) + " in " + label;
        fact(counted(differing_.size(), "neuron") + " of " + with_commas(network_.n_neurons()) +
             " differ in this timestep (" + where + ")");
    }

    void judge_model() {
        const detail::Rules rules = detail::rules_of(network_, n_);
        const auto before = recomputer_.state_before(n_, t_, rules, nullptr);
        std::optional<std::int64_t> i_syn = recomputer_.delivered(n_, t_, nullptr);
        const bool i_syn_known = i_syn.has_value();
        if (!i_syn) i_syn = expected_.i_syn;
        if (!before) {
            result_.limits.push_back("the state of " + report_.place.neuron_name +
                                     " before this timestep is not recorded: the update cannot be "
                                     "recomputed");
            return;
        }
        if (!i_syn) {
            result_.limits.push_back(
                "the input of this timestep is not recorded: the update cannot be recomputed");
            return;
        }
        model_ = detail::update_neuron(rules, *before, *i_syn);
        UpdateTerms terms;
        terms.v_before = before->v;
        terms.u_before = before->u;
        terms.refr_before = before->refr;
        terms.i_syn = *i_syn;
        terms.bias = rules.params.bias;
        terms.u = model_->u;
        terms.drive = model_->drive;
        terms.leaked = model_->leaked;
        terms.sum = model_->sum;
        terms.v1 = model_->v1;
        terms.threshold = rules.params.threshold;
        terms.held = model_->held;
        terms.spike = model_->spike;
        terms.v = model_->v;
        terms.refr = model_->refr;
        result_.model = terms;
        result_.expected_follows_model = detail::gives(*model_, expected_);
        if (!result_.expected_follows_model) {
            const bool actual_follows = detail::gives(*model_, actual_);
            result_.actual_follows_model = actual_follows;
            fact(std::string("the expected side does not show what docs/model.md gives for this "
                             "network") +
                 (actual_follows ? ", the actual side does" : "") +
                 ": the golden is wrong, or it computed another network or input");
        }
        if (!i_syn_known)
            result_.limits.push_back(
                "not all spikes and input events that arrive in this timestep are recorded: "
                "i_syn is taken from the expected side");
    }

    void circumstances() {
        const std::string& field = report_.place.field;
        const auto expected = field_of(expected_, field);
        const auto actual = field_of(actual_, field);
        if (expected && actual && field != "spike") {
            std::string text = field + " differs by " + signed_text(*actual - *expected) +
                               " (expected " + std::to_string(*expected) + ", actual " +
                               std::to_string(*actual) + ")";
            if (field != "i_syn" && actual_.i_syn) text += "; i_syn and everything before it agree";
            fact(std::move(text));
        } else if (expected && actual) {
            fact(*expected != 0 ? "a spike was expected and is missing; i_syn and state agree"
                                : "a spike is there that was not expected; i_syn and state agree");
        }
        if (field == "i_syn") {
            // Without alternative, predict() takes the i_syn that the actual side shows.
            if (const auto rest = recomputer_.predict(n_, t_, nullptr))
                fact(
                    detail::gives(*rest, actual_)
                        ? "the rest of the update follows from the i_syn that the actual side shows"
                        : "the rest of the update does not follow from the i_syn that the actual "
                          "side shows: a second term parts too");
            const auto arrivals = recomputer_.activity().arrivals(n_, t_);
            if (expected && actual) name_difference(arrivals, *actual - *expected);
            if (arrivals.complete)
                fact(arrivals.list.empty()
                         ? std::string("nothing arrives at this neuron in this timestep")
                         : with_commas(arrivals.list.size()) +
                               (arrivals.list.size() == 1 ? " delivery reaches"
                                                          : " deliveries reach") +
                               " this neuron in this timestep, see the causes");
        }
        spike_shift();
        if (!model_) return;
        const UpdateTerms& terms = *result_.model;
        const golden::NeuronParams& params = network_.neurons[n_];
        if (!terms.held && params.spiking && terms.v1 == terms.threshold)
            fact("v1 equals the threshold exactly (" + std::to_string(terms.v1) +
                 "): >= and > part here");
        if (!terms.held && terms.sum != terms.v1)
            fact("the sum " + std::to_string(terms.sum) + " does not fit " +
                 std::to_string(network_.arithmetic.v_bits) + " bits: v1 becomes " +
                 std::to_string(terms.v1));
        if (!terms.held && terms.v_before < 0 && field == "v" && actual && expected &&
            std::abs(*actual - *expected) == 1)
            fact("v before the update is negative (" + std::to_string(terms.v_before) +
                 ") and the result is off by one LSB: as where a leak is rounded otherwise");
        if (terms.refr_before > 0)
            fact("the neuron is in its refractory period (refr = " +
                 std::to_string(terms.refr_before) + " before the update): v must not move");
        else if (refractory_just_ended())
            fact("this is the first timestep after the refractory period");
        if (t_ == recomputer_.activity().clear_at(t_))
            fact(t_ == 0 ? "this is the first timestep of the run"
                         : "this is the first timestep after a clear");
    }

    /// "-23 is what hidden[3] -> output[1] delivers, with the sign turned".
    void name_difference(const detail::Activity::Arrivals& arrivals, std::int64_t difference) {
        std::string names;
        std::size_t matches = 0;
        for (const detail::Arrival& arrival : arrivals.list) {
            if (arrival.contribution == 0 ||
                (arrival.contribution != difference && arrival.contribution != -difference))
                continue;
            if (++matches > 3) continue;
            names += (names.empty() ? "" : ", ") + connectivity_.source_name(arrival.source) +
                     " (" + signed_text(arrival.contribution) + ")";
        }
        if (matches == 0) return;
        if (matches > 3) names += " and " + std::to_string(matches - 3) + " more";
        fact("the difference " + signed_text(difference) + " is one delivery more or less of " +
             names);
    }

    bool refractory_just_ended() const {
        const std::uint32_t period = network_.neurons[n_].refractory;
        const trace::ExecutionTrace& trace = recomputer_.actual_trace();
        return period > 0 && t_ > period && trace.holds(t_ - period - 1) &&
               trace.spike(t_ - period - 1, n_);
    }

    void spike_shift() {
        if (!actual_.spike || !expected_.spike || *actual_.spike == *expected_.spike) return;
        const trace::ExecutionTrace& late =
            *expected_.spike ? recomputer_.actual_trace() : recomputer_.expected_trace();
        const trace::ExecutionTrace& early =
            *expected_.spike ? recomputer_.expected_trace() : recomputer_.actual_trace();
        if (late.holds(t_ + 1) && early.holds(t_ + 1) && late.spike(t_ + 1, n_) &&
            !early.spike(t_ + 1, n_))
            fact(*expected_.spike ? "the actual side fires one timestep later"
                                  : "the expected side fires one timestep later: the actual one is "
                                    "early by one");
    }

    void try_alternatives() {
        if (!recomputer_.predict(n_, t_, &Recomputer::modelled()) &&
            !recomputer_.predict(n_, t_, nullptr))
            return;
        const std::vector<Alternative> all = detail::alternatives_for(recomputer_, n_, t_);
        std::vector<const Alternative*> whole;
        std::vector<const Alternative*> partial;
        // Where i_syn itself differs, only another delivery explains it: any other alternative
        // takes i_syn as the actual side shows it.
        const bool must_deliver = report_.place.field == "i_syn";
        for (const Alternative& alternative : all) {
            if (must_deliver && !alternative.delivery) continue;
            const auto update = recomputer_.predict(n_, t_, &alternative);
            if (!update) continue;
            ++result_.alternatives;
            // What computes the same is no explanation.
            if (const auto model = recomputer_.predict(n_, t_, base_of(alternative));
                model && detail::look_alike(*model, *update, actual_))
                continue;
            if (detail::gives(*update, actual_))
                whole.push_back(&alternative);
            else if (gives_up_to_field(*update))
                partial.push_back(&alternative);
        }
        // What explains only part of the update is of use only where nothing explains it all.
        const bool has_whole = !whole.empty();
        std::vector<const Alternative*>& chosen = has_whole ? whole : partial;
        std::stable_sort(
            chosen.begin(), chosen.end(),
            [](const Alternative* a, const Alternative* b) { return a->prior < b->prior; });
        constexpr std::size_t kMostJudged = 96;
        if (chosen.size() > kMostJudged) {
            result_.limits.push_back(
                "only " + std::to_string(kMostJudged) + " of " + std::to_string(chosen.size()) +
                " alternatives that give the actual value were judged on other updates");
            chosen.resize(kMostJudged);
        }
        for (const Alternative* alternative : chosen) judge(*alternative, has_whole);
    }

    /// The field that differs first and those before it, in causal order.
    bool gives_up_to_field(const Update& update) const {
        for (const std::string_view field : {"i_syn", "u", "v", "refr", "spike"}) {
            if (field_of(actual_, field) && !detail::gives_field(update, actual_, field))
                return false;
            if (field == report_.place.field) return field_of(actual_, field).has_value();
        }
        return false;
    }

    /// What an alternative is held against: i_syn is as recorded unless it is about deliveries.
    static const Alternative* base_of(const Alternative& alternative) {
        return alternative.delivery ? &Recomputer::modelled() : nullptr;
    }

    void weigh(const Alternative& alternative, std::uint32_t n, std::uint64_t s,
               Hypothesis& hypothesis) {
        const auto model = recomputer_.predict(n, s, base_of(alternative));
        const auto update = recomputer_.predict(n, s, &alternative);
        if (!model || !update) return;
        const Observed shown = recomputer_.actual(n, s);
        const bool differs = !detail::look_alike(*model, *update, shown);
        const bool supports = differs && detail::gives(*update, shown);
        const bool against = differs && !supports && detail::gives(*model, shown);
        const auto add = [&](Evidence& evidence) {
            ++evidence.tested;
            evidence.supporting += static_cast<std::uint64_t>(supports);
            evidence.against += static_cast<std::uint64_t>(against);
            evidence.neither += static_cast<std::uint64_t>(differs && !supports && !against);
        };
        add(hypothesis.all);
        if (n == n_) add(hypothesis.neuron);
        if (s != t_) return;
        const bool differing = std::binary_search(differing_.begin(), differing_.end(), n);
        if (differing && detail::gives(*update, shown)) ++hypothesis.explained_neurons;
        if (!differing && against) ++hypothesis.broken_neurons;
    }

    void judge(const Alternative& alternative, bool whole) {
        Ranked ranked;
        Hypothesis& hypothesis = ranked.hypothesis;
        hypothesis.id = alternative.id;
        hypothesis.text = alternative.text;
        hypothesis.whole = whole;
        hypothesis.synapse = alternative.synapse;
        ranked.prior = alternative.prior;
        ranked.single_event = alternative.single_event;

        const trace::ExecutionTrace& trace = recomputer_.actual_trace();
        const std::uint64_t begin = trace.first_step();
        const std::uint64_t end = begin + trace.n_steps();
        const std::uint32_t neurons = network_.n_neurons();
        const bool one_target =
            alternative.delivery && alternative.delivery->which == detail::DeliveryRule::Which::One;
        // A delivery walks all synapses of its target, an update without one does not.
        const std::uint64_t cost =
            alternative.delivery
                ? 4 + network_.synapses.size() / std::max<std::uint32_t>(neurons, 1)
                : 1;
        const bool everything =
            !one_target && trace.n_steps() * neurons * cost <= options_.most_updates;
        for (std::uint64_t s = begin; s < end; ++s) {
            if (alternative.single_event && s < t_) continue;
            // Once it has shown another v, the state that the core goes on from is unknown.
            if (alternative.hides_state && s > t_) break;
            const bool near = s >= t_ && s <= t_ + 1 && !one_target;
            if (everything || near)
                for (std::uint32_t n = 0; n < neurons; ++n) weigh(alternative, n, s, hypothesis);
            else
                weigh(alternative, n_, s, hypothesis);
        }
        hypothesis.scope = scope_of(hypothesis, alternative.single_event);
        found_.push_back(std::move(ranked));
    }

    static Scope scope_of(const Hypothesis& hypothesis, bool single_event) {
        if (single_event) return Scope::ThisTime;
        if (hypothesis.all.against == 0) return Scope::Everywhere;
        if (hypothesis.neuron.against == 0) return Scope::ThisNeuron;
        return Scope::ThisTime;
    }

    /// Hypotheses about what is shown where and when; they need no model.
    void compare_windows() {
        swapped();
        shifted("late", -1);
        shifted("early", +1);
        one_bit();
    }

    void swapped() {
        for (std::uint32_t m = 0; m < network_.n_neurons(); ++m) {
            if (m == n_) continue;
            const Observed other_expected = recomputer_.expected(m, t_);
            if (!same(actual_, other_expected) || same(expected_, other_expected) ||
                !same(recomputer_.actual(m, t_), expected_))
                continue;
            Ranked ranked;
            Hypothesis& hypothesis = ranked.hypothesis;
            ranked.prior = 8;
            hypothesis.id = "shown.swapped";
            hypothesis.text =
                report_.place.neuron_name + " and " + connectivity_.neuron_name(m) + " are swapped";
            hypothesis.whole = true;
            hypothesis.explained_neurons = differing_.size() >= 2 ? 2 : 1;
            window([&](std::uint64_t s) {
                const Observed a = recomputer_.expected(n_, s);
                const Observed b = recomputer_.expected(m, s);
                if (same(a, b)) return;
                note(hypothesis,
                     same(recomputer_.actual(n_, s), b) && same(recomputer_.actual(m, s), a),
                     same(recomputer_.actual(n_, s), a));
            });
            hypothesis.scope = scope_of(hypothesis, false);
            found_.push_back(std::move(ranked));
        }
    }

    template <typename Visit>
    void window(Visit visit) {
        const trace::ExecutionTrace& a = recomputer_.actual_trace();
        const trace::ExecutionTrace& e = recomputer_.expected_trace();
        for (std::uint64_t s = a.first_step(); s < a.first_step() + a.n_steps(); ++s)
            if (a.valid(s) && e.holds(s) && e.valid(s)) visit(s);
    }

    static void note(Hypothesis& hypothesis, bool supports, bool against) {
        for (Evidence* evidence : {&hypothesis.neuron, &hypothesis.all}) {
            ++evidence->tested;
            evidence->supporting += static_cast<std::uint64_t>(supports);
            evidence->against += static_cast<std::uint64_t>(!supports && against);
            evidence->neither += static_cast<std::uint64_t>(!supports && !against);
        }
    }

    void shifted(const char* word, int by) {
        const trace::ExecutionTrace& e = recomputer_.expected_trace();
        const auto other = [by](std::uint64_t s) {
            return by < 0 ? s - 1 : s + 1;  // s = 0 wraps to a timestep that no trace holds
        };
        if (!e.holds(other(t_))) return;
        const std::string& field = report_.place.field;
        const auto shown = field_of(actual_, field);
        const auto wanted = field_of(recomputer_.expected(n_, other(t_)), field);
        if (!shown || !wanted || *shown != *wanted) return;
        const bool whole = same(actual_, recomputer_.expected(n_, other(t_)));
        Ranked ranked;
        Hypothesis& hypothesis = ranked.hypothesis;
        ranked.prior = field == "spike" ? 14 : 11;
        hypothesis.whole = whole;
        hypothesis.id = std::string("shown.") + (whole ? "" : field + "_") + word;
        hypothesis.text = (whole ? std::string("all that is observed of the neuron comes")
                                 : "the field " + field + " is shown") +
                          " one timestep " + word;
        for (const std::uint32_t n : differing_) {
            const Observed wanted_there = recomputer_.expected(n, other(t_));
            const Observed there = recomputer_.actual(n, t_);
            if (whole ? same(there, wanted_there)
                      : field_of(there, field) == field_of(wanted_there, field))
                ++hypothesis.explained_neurons;
        }
        window([&](std::uint64_t s) {
            if (!e.holds(other(s))) return;
            for (std::uint32_t n = 0; n < network_.n_neurons(); ++n) {
                const auto now = field_of(recomputer_.expected(n, s), field);
                const auto then = field_of(recomputer_.expected(n, other(s)), field);
                const auto there = field_of(recomputer_.actual(n, s), field);
                if (!now || !then || !there || *now == *then) continue;
                Evidence* both[2] = {&hypothesis.all, n == n_ ? &hypothesis.neuron : nullptr};
                for (Evidence* evidence : both) {
                    if (evidence == nullptr) continue;
                    ++evidence->tested;
                    evidence->supporting += static_cast<std::uint64_t>(*there == *then);
                    evidence->against += static_cast<std::uint64_t>(*there == *now);
                    evidence->neither +=
                        static_cast<std::uint64_t>(*there != *then && *there != *now);
                }
            }
        });
        hypothesis.scope = scope_of(hypothesis, false);
        found_.push_back(std::move(ranked));
    }

    void one_bit() {
        const std::string& field = report_.place.field;
        if (field == "spike") return;
        const auto expected = field_of(expected_, field);
        const auto actual = field_of(actual_, field);
        if (!expected || !actual) return;
        const int index = recomputer_.actual_trace().shape().field_index(field);
        if (index < 0) return;
        const int width =
            recomputer_.actual_trace().shape().fields[static_cast<std::size_t>(index)].bits;
        const std::uint64_t mask =
            width >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << width) - 1;
        const std::uint64_t changed =
            (static_cast<std::uint64_t>(*expected) ^ static_cast<std::uint64_t>(*actual)) & mask;
        if (std::popcount(changed) != 1) return;
        const int bit = std::countr_zero(changed);
        const bool set = (static_cast<std::uint64_t>(*actual) >> bit & 1) != 0;
        Ranked ranked;
        Hypothesis& hypothesis = ranked.hypothesis;
        ranked.prior = 35;
        hypothesis.id = "bit.flipped";
        hypothesis.text = "bit " + std::to_string(bit) + " of " + field + " is " +
                          (set ? "1, not 0" : "0, not 1") + ": a bit flipped, stuck or dropped";
        hypothesis.whole = gives_all_but_field();
        hypothesis.explained_neurons = 1;
        // After the divergence the two sides differ for other reasons.
        window([&](std::uint64_t s) {
            const auto e = field_of(recomputer_.expected(n_, s), field);
            const auto a = field_of(recomputer_.actual(n_, s), field);
            if (s > t_ || !e || !a) return;
            if (((static_cast<std::uint64_t>(*e) >> bit & 1) != 0) == set) return;
            note(hypothesis,
                 ((static_cast<std::uint64_t>(*e) ^ static_cast<std::uint64_t>(*a)) & mask) ==
                     changed,
                 *e == *a);
        });
        hypothesis.scope = scope_of(hypothesis, false);
        found_.push_back(std::move(ranked));
    }

    bool gives_all_but_field() const {
        for (const std::string_view field : {"i_syn", "u", "v", "refr", "spike"})
            if (field != report_.place.field && field_of(actual_, field) &&
                field_of(expected_, field) != field_of(actual_, field))
                return false;
        return true;
    }

    /// Without the input, a difference of i_syn can still be the weight of a synapse.
    void match_weights() {
        if (report_.place.field != "i_syn" || !expected_.i_syn || !actual_.i_syn) return;
        const std::int64_t difference = *actual_.i_syn - *expected_.i_syn;
        for (const Connectivity::Incoming& incoming : connectivity_.into(n_)) {
            const std::int64_t contribution = connectivity_.contribution(incoming.weight);
            if (contribution == 0 || (difference != contribution && difference != -contribution))
                continue;
            Ranked ranked;
            Hypothesis& hypothesis = ranked.hypothesis;
            const bool more = difference == contribution;
            ranked.prior = 30;
            ranked.single_event = true;
            hypothesis.id = more ? "synapse.matches_extra" : "synapse.matches_missing";
            hypothesis.text = "the difference " + signed_text(difference) + " is " +
                              (more ? "once more" : "once less") + " the contribution of " +
                              connectivity_.source_name(incoming.source) + " -> " +
                              report_.place.neuron_name +
                              " (the input is not recorded: this is not checked)";
            hypothesis.explained_neurons = 1;
            hypothesis.synapse = incoming.synapse;
            found_.push_back(std::move(ranked));
        }
    }

    const Connectivity& connectivity_;
    const golden::Network& network_;
    const DivergenceReport& report_;
    const ExplainOptions& options_;
    Recomputer recomputer_;
    std::uint32_t n_;
    std::uint64_t t_;
    Observed actual_;
    Observed expected_;
    std::optional<Update> model_;
    std::vector<std::uint32_t> differing_;  ///< neurons that differ at t_, ascending
    std::vector<Ranked> found_;
    Explanation result_;
};
}  // namespace

std::vector<Hypothesis> detail::rank(std::vector<Ranked> found, std::size_t differing,
                                     std::size_t most) {
    const auto explains_all = [differing](const Hypothesis& h) {
        return h.explained_neurons >= differing && h.broken_neurons == 0;
    };
    const auto key = [&explains_all](const Ranked& r) {
        const Hypothesis& h = r.hypothesis;
        // One lost event is a better account than a rule that held this once and never else.
        const int scope = r.single_event                 ? 2
                          : h.scope == Scope::Everywhere ? 0
                          : h.scope == Scope::ThisNeuron ? 1
                                                         : 3;
        return std::tuple(!h.whole, !explains_all(h), scope, h.all.neither > 0,
                          -static_cast<std::int64_t>(h.explained_neurons),
                          -static_cast<std::int64_t>(h.all.supporting), r.prior);
    };
    std::stable_sort(found.begin(), found.end(),
                     [&key](const Ranked& a, const Ranked& b) { return key(a) < key(b); });
    // Beside an account that fits everything, one that the core refutes elsewhere is noise.
    const bool settled = std::any_of(found.begin(), found.end(), [&](const Ranked& r) {
        const Hypothesis& h = r.hypothesis;
        return h.whole && h.scope == Scope::Everywhere && h.all.supporting > 1 &&
               h.all.neither == 0 && explains_all(h);
    });
    if (settled)
        std::erase_if(found, [](const Ranked& r) {
            return r.hypothesis.scope == Scope::ThisTime && r.hypothesis.all.against > 0;
        });
    constexpr std::size_t kMostOfOneId = 3;
    std::vector<Hypothesis> listed;
    std::map<std::string, std::vector<std::size_t>> by_id;
    for (Ranked& ranked : found) {
        std::vector<std::size_t>& same = by_id[ranked.hypothesis.id];
        if (same.size() >= kMostOfOneId || listed.size() >= most) {
            if (!same.empty()) ++listed[same.back()].alike;
            continue;
        }
        same.push_back(listed.size());
        listed.push_back(std::move(ranked.hypothesis));
    }
    return listed;
}

std::vector<detail::Ranked> detail::shown_otherwise(const Connectivity& connectivity,
                                                    const trace::Stimulus* stimulus,
                                                    const DivergenceReport& report) {
    return Explainer(connectivity, stimulus, report, ExplainOptions{}).shown();
}

Result<Explanation> explain_divergence(const Connectivity& connectivity,
                                       const trace::Stimulus* stimulus,
                                       const DivergenceReport& report,
                                       const ExplainOptions& options) {
    if (Status good = detail::check_windows(report, connectivity.network().n_neurons()); !good)
        return good.error();
    return Explainer(connectivity, stimulus, report, options).explain();
}

}  // namespace spikelock::analysis

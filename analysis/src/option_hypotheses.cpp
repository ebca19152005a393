// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/option_hypotheses.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "described_alternatives.hpp"
#include "evidence.hpp"
#include "options.hpp"
#include "spikelock/base/text.hpp"
#include "step_judge.hpp"

namespace spikelock::analysis {

namespace {
using detail::Choice;
using detail::Described;
using detail::DescribedAlternative;
using detail::DescribedUpdate;
using detail::Made;
using detail::Options;
using detail::Ranked;
using detail::StepJudge;

std::string text_of(const FitChange& change) {
    const bool parameter = change.toml.empty() && change.golden.empty();
    if (!parameter) return fmt::format("{} is {}, not {}", change.option, change.to, change.from);
    const std::string what = change.to == "-1"   ? "one less than given"
                             : change.to == "+1" ? "one more than given"
                             : change.to == "+1 where not 0"
                                 ? "one more than given where it is not 0"
                                 : change.to;
    return fmt::format("{} of every neuron is {}", change.option, what);
}

class Explainer {
public:
    Explainer(const golden::Network& network, const std::optional<golden::Setting>& description,
              const trace::Stimulus& stimulus, const DivergenceReport& report,
              const OptionHypothesesOptions& settings)
        : network_(network),
          described_by_user_(description.has_value()),
          stimulus_(stimulus),
          report_(report),
          settings_(settings),
          core_(report.actual_window),
          n_(report.place.neuron),
          t_(report.place.timestep),
          options_(network, description),
          judge_(stimulus, core_) {}

    Result<Explanation> explain() {
        Explanation result;
        result.place = report_.place;
        result.term = report_.place.field;
        result.ways = described_by_user_
                          ? "changes of network, delivery or one option of the description"
                          : "changes of one option of the description";
        const Result<Made> made = options_.make(options_.none());
        if (!made) return made.error();
        described_ = {options_.network_of(*made), made->description};
        std::vector<Choice> choices;
        for (std::size_t o = 0; o < options_.size(); ++o)
            for (std::size_t v = 1; v < options_[o].values.size(); ++v) {
                choices.push_back(options_.none());
                choices.back()[o] = static_cast<std::uint8_t>(v);
            }
        choose_stretch(choices.size());
        auto base = options_.described_source(*made);
        if (!base) return base.error();
        if (Status moved = move_to_stretch(**base, result); !moved) return moved.error();
        auto model = options_.described_source(*made);
        if (!model) return model.error();
        const auto as_modelled = predict(**model, **base);
        if (!as_modelled) {
            result.limits.push_back(
                "what the core shows does not fit the golden's state: no "
                "change of an option can be judged");
            return result;
        }
        model_ = *as_modelled;
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n)
            if (!model_[index(t_, n)].right) differing_.push_back(n);
        if (std::ranges::find(differing_, n_) == differing_.end()) {
            result.limits.push_back(
                "from the state that was observed before it the golden predicts this update as the "
                "core shows it: the cause lies in what is not shown");
            return result;
        }
        if (differing_.size() > 1)
            result.facts.push_back(
                fmt::format("{} neurons of {} are not as predicted in this "
                            "timestep",
                            with_commas(differing_.size()), with_commas(core_.n_neurons())));
        std::vector<Made> tried{*made};
        for (const Choice& choice : choices) {
            const Result<Made> changed = options_.make(choice);
            if (!changed || options_.repeats(choice, *changed)) continue;
            // Two options may say the same: one of the network and one of [golden].
            if (std::ranges::any_of(tried, [&](const Made& m) {
                    return m.neurons == changed->neurons && m.description == changed->description;
                }))
                continue;
            tried.push_back(*changed);
            auto source = options_.described_source(*changed);
            if (!source) continue;
            ++result.alternatives;
            const auto predicted = predict(**source, **base);
            if (!predicted || !(*predicted)[index(t_, n_)].right) continue;
            const FitChange change = options_.changes(choice)[0];
            Ranked found;
            found.hypothesis = weigh(*predicted);
            found.hypothesis.id = fmt::format("option.{}={}", change.option, change.to);
            found.hypothesis.text = text_of(change);
            found.prior = kPriorOfOption;
            found_.push_back(std::move(found));
        }
        if (described_by_user_) try_network(**base, result);
        result.hypotheses =
            detail::rank(std::move(found_), differing_.size(), settings_.most_hypotheses);
        return result;
    }

private:
    static constexpr int kPriorOfOption = 5;
    using Source = std::unique_ptr<golden::DescribedSource>;
    /// A neuron-update as it is predicted.
    struct Judged {
        std::uint64_t fingerprint = 0;
        bool right = false;  ///< as the core shows it
    };
    Judged judged(const StepJudge::Prediction& p, std::uint32_t n) const {
        return {judge_.fingerprint(p, n), judge_.right(p, n)};
    }

    std::size_t index(std::uint64_t t, std::uint32_t n) const {
        return static_cast<std::size_t>(t - first_) * core_.n_neurons() + n;
    }
    bool cleared_at(std::uint64_t t) const {
        return t == 0 || std::ranges::any_of(stimulus_.samples(), [t](const trace::Sample& s) {
                   return s.begin == t && s.start != trace::StartState::Keep;
               });
    }

    /// Timesteps of the window that are judged: all, or as many before the divergence as may be.
    void choose_stretch(std::size_t n_choices) {
        const std::uint64_t begin = core_.first_step();
        const std::uint64_t each =
            std::max<std::uint64_t>(1, std::uint64_t{core_.n_neurons()} * (n_choices + 1));
        const std::uint64_t before = std::max<std::uint64_t>(1, settings_.most_updates / each);
        first_ = std::max(begin, t_ - std::min(t_, before));
        // The state before the first of them must be known.
        if (first_ == begin && begin < t_ && !cleared_at(begin)) ++first_;
        count_ = begin + core_.n_steps() - first_;
    }

    /// Brings the golden to the first timestep that is judged, for the state that is not shown.
    Status move_to_stretch(golden::DescribedSource& base, Explanation& result) const {
        if (cleared_at(first_) && first_ == 0) return {};
        if (described_.description.semantics == golden::Semantics::Event)
            return {};  // needs an order
        std::uint64_t from = 0;
        if (std::ranges::all_of(described_.description.noise, &golden::Noise::seed_on_clear))
            for (const trace::Sample& s : stimulus_.samples())
                if (s.begin <= first_ && s.start != trace::StartState::Keep) from = s.begin;
        const std::uint64_t work = (first_ - from) * core_.n_neurons();
        if (work > settings_.most_before) {
            result.limits.push_back(
                "the run before the divergence is too long to have the state "
                "that the core does not show");
            return {};
        }
        for (std::uint64_t at = from; at < first_;) {
            const auto count =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(256, first_ - at));
            if (Status submitted = base.submit(stimulus_.block(at, count)); !submitted)
                return submitted;
            while (base.in_flight() > 0)
                if (const auto got = base.read(count); !got) return got.error();
            at += count;
        }
        return {};
    }

    /// Which neuron-updates a description predicts as the core shows them.
    std::optional<std::vector<Judged>> predict(golden::DescribedSource& source,
                                               const golden::DescribedSource& base) {
        if (!source.continue_from(base)) return std::nullopt;
        std::vector<Judged> list;
        const Status followed =
            judge_.follow(source, first_, count_, [&](const StepJudge::Prediction& p) {
                for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) list.push_back(judged(p, n));
                return true;
            });
        // What the core shows later may be beyond a narrower format.
        if (!followed && list.size() <= index(t_, n_)) return std::nullopt;
        list.resize(static_cast<std::size_t>(count_) * core_.n_neurons());
        return list;
    }

    /// How far what predicts these updates holds.
    Hypothesis weigh(const std::vector<Judged>& own) const {
        Hypothesis h;
        h.whole = true;
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
            const bool modelled = model_[index(t_, n)].right;
            const bool right = own[index(t_, n)].right;
            if (right && !modelled) ++h.explained_neurons;
            if (!right && modelled) ++h.broken_neurons;
        }
        for (std::uint64_t s = first_; s < first_ + count_; ++s)
            for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
                const Judged& modelled = model_[index(s, n)];
                const Judged& other = own[index(s, n)];
                if (modelled.fingerprint == other.fingerprint || (modelled.right && other.right))
                    continue;
                for (Evidence* e : {&h.all, n == n_ ? &h.neuron : nullptr}) {
                    if (e == nullptr) continue;
                    ++e->tested;
                    e->supporting += other.right ? 1 : 0;
                    e->against += modelled.right ? 1 : 0;
                    e->neither += !other.right && !modelled.right ? 1 : 0;
                }
            }
        h.scope = h.all.against == 0      ? Scope::Everywhere
                  : h.neuron.against == 0 ? Scope::ThisNeuron
                                          : Scope::ThisTime;
        return h;
    }

    static Result<Source> source_of(const Described& described) {
        return golden::DescribedSource::create(described.network, described.description);
    }

    /// Runs timesteps from..until-1, `from` being where `start` stands, as an alternative has them.
    /// @param described  with its change
    /// @returns false where the core shows what cannot be followed
    bool run(const DescribedAlternative& alternative, const Described& described,
             const golden::DescribedSource& start, std::uint64_t from, std::uint64_t until,
             const std::function<bool(const StepJudge::Prediction&)>& look) {
        struct Part {
            const Described* described;
            std::uint64_t from, until;
            bool changed;
        };
        std::vector<Part> parts{{&described, from, until, true}};
        if (const auto at = alternative.only_at) {
            if (*at < from || *at >= until) return false;
            parts = {{&described_, from, *at, false},
                     {&described, *at, *at + 1, true},
                     {&described_, *at + 1, until, false}};
        }
        const golden::DescribedSource* last = &start;
        Source kept;
        for (const Part& part : parts) {
            if (part.from == part.until) continue;
            auto source = source_of(*part.described);
            if (!source || !(*source)->continue_from(*last)) return false;
            const auto edit = part.changed ? alternative.input : nullptr;
            if (!judge_.follow(**source, part.from, part.until - part.from, look, edit))
                return false;
            kept = std::move(*source);
            last = kept.get();
        }
        return true;
    }

    /// Changes of the network and of what was delivered.
    void try_network(const golden::DescribedSource& base, Explanation& result) {
        const Connectivity connectivity(network_);
        for (Ranked& shown : detail::shown_otherwise(connectivity, &stimulus_, report_))
            found_.push_back(std::move(shown));
        // What is under way lasts no longer than the slots: only from there is all tried.
        const auto slots = static_cast<std::uint64_t>(network_.arithmetic.delay_slots);
        const std::uint64_t near_at = std::max(first_, t_ - std::min(t_, slots));
        auto near = source_of(described_);
        const auto go_on = [](const StepJudge::Prediction&) { return true; };
        if (!near || !(*near)->continue_from(base) ||
            !judge_.follow(**near, first_, near_at - first_, go_on))
            return;
        const std::optional<DescribedUpdate> update = describe_update(**near, near_at, result);
        if (!update) return;
        const std::vector<DescribedAlternative> all =
            detail::described_alternatives(described_, connectivity, stimulus_, core_, *update);
        const std::uint64_t each =
            network_.synapses.size() + (t_ + 1 - near_at) * std::uint64_t{network_.n_neurons()};
        const std::size_t most = static_cast<std::size_t>(std::max<std::uint64_t>(
            64, settings_.most_network_work / std::max<std::uint64_t>(each, 1)));
        if (all.size() > most)
            result.limits.push_back(
                fmt::format("only {} of {} changes of network and delivery "
                            "were tried",
                            most, all.size()));
        std::size_t kept = 0;
        for (std::size_t i = 0; i < std::min(all.size(), most); ++i) {
            const DescribedAlternative& alternative = all[i];
            Described changed = described_;
            if (alternative.edit) alternative.edit(changed);
            ++result.alternatives;
            bool right = false;
            const auto look = [&](const StepJudge::Prediction& p) {
                if (p.timestep == t_) right = judge_.right(p, n_);
                return true;
            };
            if (!run(alternative, changed, **near, near_at, t_ + 1, look) || !right) continue;
            if (++kept > kMostJudged) continue;
            judge_network(alternative, changed, base, **near, near_at);
        }
        if (kept > kMostJudged)
            result.limits.push_back(fmt::format(
                "only {} of {} changes that give the actual value were judged on other updates",
                kMostJudged, kept));
    }

    /// Tries a change that explains the update on the others of the window.
    void judge_network(const DescribedAlternative& alternative, const Described& changed,
                       const golden::DescribedSource& base, const golden::DescribedSource& near,
                       std::uint64_t near_at) {
        const bool single = alternative.only_at.has_value();
        // Before a single event all is as modelled.
        std::vector<Judged> own = model_;
        const auto look = [&](const StepJudge::Prediction& p) {
            for (std::uint32_t n = 0; n < core_.n_neurons(); ++n)
                own[index(p.timestep, n)] = judged(p, n);
            return true;
        };
        // What the core shows later may be beyond what can be followed: those stay as modelled.
        run(alternative, changed, single ? near : base, single ? near_at : first_, first_ + count_,
            look);
        Ranked found;
        found.hypothesis = weigh(own);
        if (single) found.hypothesis.scope = Scope::ThisTime;
        found.hypothesis.id = alternative.id;
        found.hypothesis.text = alternative.text;
        found.hypothesis.synapse = alternative.synapse;
        found.single_event = single;
        found.prior = alternative.prior;
        found_.push_back(std::move(found));
    }

    std::optional<std::int64_t> observed(const trace::ExecutionTrace& trace, std::string_view field,
                                         std::uint64_t t) const {
        const int index = trace.shape().field_index(field);
        if (index < 0 || !trace.holds(t)) return std::nullopt;
        const auto f = static_cast<std::size_t>(index);
        if (!trace.valid(f, t, n_)) return std::nullopt;
        return trace.raw(f, t, n_);
    }
    /// A field of the state before the divergence, as either side shows it.
    std::optional<std::int64_t> before(std::string_view field) const {
        if (t_ == 0) return std::nullopt;
        const auto own = observed(core_, field, t_ - 1);
        return own ? own : observed(report_.expected_window, field, t_ - 1);
    }

    /// The update as the description has it, and how what the core shows differs from it.
    /// @param near  stands at timestep `from`
    std::optional<DescribedUpdate> describe_update(const golden::DescribedSource& near,
                                                   std::uint64_t from, Explanation& result) {
        DescribedUpdate update;
        update.neuron = n_;
        update.timestep = t_;
        UpdateTerms terms;
        terms.described = true;
        const golden::Description& d = described_.description;
        const auto error = [&](const StepJudge::Prediction& p, std::string_view field) {
            const auto own = StepJudge::predicted(p, field, n_);
            const auto seen = observed(core_, field, t_);
            return own && seen ? std::optional(*seen - *own) : std::nullopt;
        };
        const auto value = [&](const StepJudge::Prediction& p, std::string_view field) {
            return StepJudge::predicted(p, field, n_).value_or(0);
        };
        const auto look = [&](const StepJudge::Prediction& p) {
            if (p.timestep != t_) return true;
            update.i_syn_error = error(p, "i_syn");
            update.u_error = error(p, "u");
            update.v_error = error(p, "v");
            update.v_seen = observed(core_, "v", t_);
            update.fires = terms.spike = StepJudge::predicted_spike(p, n_);
            update.v = terms.v = value(p, "v");
            terms.i_syn = value(p, "i_syn");
            terms.u = value(p, "u");
            terms.refr = value(p, "refr");
            return true;
        };
        const DescribedAlternative as_modelled;
        if (!run(as_modelled, described_, near, from, t_ + 1, look)) return std::nullopt;
        update.fired = core_.spike(t_, n_);
        Described probe = described_;
        detail::without_threshold(probe, n_);
        run(as_modelled, probe, near, from, t_ + 1, [&](const StepJudge::Prediction& p) {
            if (p.timestep == t_) update.v1 = StepJudge::predicted(p, "v", n_);
            return true;
        });
        // Several updates in one timestep have no single v1.
        const bool once = d.semantics == golden::Semantics::Timestep;
        const auto v_before =
            cleared_at(t_) ? std::optional(detail::values_of(d.v_init, network_,
                                                             [](const golden::NeuronParams& p) {
                                                                 return std::int64_t{p.v_init};
                                                             })[n_])
                           : before("v");
        if (!once || !update.v1 || !v_before) return update;
        terms.v_before = *v_before;
        terms.v1 = *update.v1;
        if (!cleared_at(t_)) {
            terms.u_before = before("u").value_or(0);
            terms.refr_before = before("refr").value_or(0);
        }
        terms.held = terms.refr_before > 0 && d.refractory.during == golden::During::Hold;
        terms.bias = detail::biases_of(described_)[n_];
        terms.threshold = detail::thresholds_of(described_)[n_];
        terms.moving_threshold = d.adaptation.effect == golden::Effect::Threshold ||
                                 std::ranges::any_of(d.noise, [](const golden::Noise& noise) {
                                     return noise.use == golden::NoiseUse::Threshold;
                                 });
        result.model = terms;
        result.expected_follows_model = true;
        if (!terms.held && !terms.moving_threshold && terms.v1 == terms.threshold)
            result.facts.push_back(
                fmt::format("v1 equals the threshold exactly ({}): >= and > part here", terms.v1));
        return update;
    }

    static constexpr std::size_t kMostJudged = 96;

    const golden::Network& network_;
    bool described_by_user_;
    const trace::Stimulus& stimulus_;
    const DivergenceReport& report_;
    const OptionHypothesesOptions& settings_;
    const trace::ExecutionTrace& core_;
    std::uint32_t n_;
    std::uint64_t t_;
    Options options_;
    StepJudge judge_;
    Described described_;      ///< as the manifest has it
    std::uint64_t first_ = 0;  ///< timestep that is judged
    std::uint64_t count_ = 0;
    std::vector<Judged> model_;             ///< shape (count, n_neurons)
    std::vector<std::uint32_t> differing_;  ///< at the divergence, from the state before it
    std::vector<Ranked> found_;
};
}  // namespace

Result<Explanation> explain_by_options(const golden::Network& network,
                                       const std::optional<golden::Setting>& description,
                                       const trace::Stimulus& stimulus,
                                       const DivergenceReport& report,
                                       const OptionHypothesesOptions& options) {
    if (Status good = detail::check_windows(report, network.n_neurons()); !good)
        return good.error();
    return Explainer(network, description, stimulus, report, options).explain();
}

}  // namespace spikelock::analysis

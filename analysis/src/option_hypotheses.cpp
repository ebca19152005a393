// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/option_hypotheses.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "evidence.hpp"
#include "options.hpp"
#include "spikelock/base/text.hpp"
#include "step_judge.hpp"

namespace spikelock::analysis {

namespace {
using detail::Choice;
using detail::Made;
using detail::Options;
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
        : stimulus_(stimulus),
          report_(report),
          settings_(settings),
          core_(report.actual_window),
          t_(report.place.timestep),
          options_(network, description),
          judge_(stimulus, core_) {}

    Result<Explanation> explain() {
        Explanation result;
        result.place = report_.place;
        result.term = report_.place.field;
        result.ways = "changes of one option of the description";
        const Result<Made> made = options_.make(options_.none());
        if (!made) return made.error();
        described_ = &made->description;
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
        model_right_ = *as_modelled;
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n)
            if (!model_right_[index(t_, n)]) differing_.push_back(n);
        if (std::ranges::find(differing_, report_.place.neuron) == differing_.end()) {
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
            if (auto hypothesis = judge(**source, **base))
                add(std::move(*hypothesis), options_.changes(choice)[0]);
        }
        rank();
        result.hypotheses = std::move(found_);
        return result;
    }

private:
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
        if (described_->semantics == golden::Semantics::Event) return {};  // needs an order
        std::uint64_t from = 0;
        if (std::ranges::all_of(described_->noise, &golden::Noise::seed_on_clear))
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
    std::optional<std::vector<std::uint8_t>> predict(golden::DescribedSource& source,
                                                     const golden::DescribedSource& base) {
        if (!source.continue_from(base)) return std::nullopt;
        std::vector<std::uint8_t> right;
        const Status followed =
            judge_.follow(source, first_, count_, [&](const StepJudge::Prediction& p) {
                for (std::uint32_t n = 0; n < core_.n_neurons(); ++n)
                    right.push_back(judge_.right(p, n) ? 1 : 0);
                return true;
            });
        // What the core shows later may be beyond a narrower format.
        if (!followed && right.size() <= index(t_, report_.place.neuron)) return std::nullopt;
        right.resize(static_cast<std::size_t>(count_) * core_.n_neurons(), 0);
        return right;
    }

    std::optional<Hypothesis> judge(golden::DescribedSource& source,
                                    const golden::DescribedSource& base) {
        const auto right = predict(source, base);
        if (!right || (*right)[index(t_, report_.place.neuron)] == 0) return std::nullopt;
        Hypothesis h;
        h.whole = true;
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
            const bool model = model_right_[index(t_, n)] != 0;
            const bool own = (*right)[index(t_, n)] != 0;
            if (own && !model) ++h.explained_neurons;
            if (!own && model) ++h.broken_neurons;
        }
        for (std::uint64_t s = first_; s < first_ + count_; ++s)
            for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
                const bool model = model_right_[index(s, n)] != 0;
                const bool own = (*right)[index(s, n)] != 0;
                if (model && own) continue;
                for (Evidence* e : {&h.all, n == report_.place.neuron ? &h.neuron : nullptr}) {
                    if (e == nullptr) continue;
                    ++e->tested;
                    e->supporting += own ? 1 : 0;
                    e->against += !own && model ? 1 : 0;
                    e->neither += !own && !model ? 1 : 0;
                }
            }
        h.scope = h.all.against == 0      ? Scope::Everywhere
                  : h.neuron.against == 0 ? Scope::ThisNeuron
                                          : Scope::ThisTime;
        return h;
    }

    void add(Hypothesis h, const FitChange& change) {
        h.id = fmt::format("option.{}={}", change.option, change.to);
        h.text = text_of(change);
        found_.push_back(std::move(h));
    }

    void rank() {
        const auto key = [&](const Hypothesis& h) {
            const bool all = h.explained_neurons == differing_.size() && h.broken_neurons == 0;
            return std::tuple(!all, h.scope, h.all.neither > 0,
                              -static_cast<std::int64_t>(h.all.supporting));
        };
        std::ranges::stable_sort(found_, {}, key);
        // Beside one that fits everything, what the core refutes is noise.
        if (!found_.empty() &&
            key(found_[0]) < std::tuple(false, Scope::Everywhere, true, std::int64_t{0}))
            std::erase_if(found_, [](const Hypothesis& h) { return h.scope != Scope::Everywhere; });
        if (found_.size() > settings_.most_hypotheses) {
            found_.back().alike = found_.size() - settings_.most_hypotheses;
            found_.resize(settings_.most_hypotheses);
        }
    }

    const trace::Stimulus& stimulus_;
    const DivergenceReport& report_;
    const OptionHypothesesOptions& settings_;
    const trace::ExecutionTrace& core_;
    std::uint64_t t_;
    Options options_;
    StepJudge judge_;
    const golden::Description* described_ = nullptr;  ///< as the manifest has it
    std::uint64_t first_ = 0;                         ///< timestep that is judged
    std::uint64_t count_ = 0;
    std::vector<std::uint8_t> model_right_;  ///< shape (count, n_neurons)
    std::vector<std::uint32_t> differing_;   ///< at the divergence, from the state before it
    std::vector<Hypothesis> found_;
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

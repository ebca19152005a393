// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <set>

#include "noise_fit.hpp"
#include "options.hpp"
#include "spikelock/trace/block_compare.hpp"
#include "step_judge.hpp"

namespace spikelock::analysis {

namespace {
using detail::Choice;
using detail::Made;
using detail::n_changes;
using detail::Options;
using golden::Network;

// The standard order, without the memcmp behind it: g++ 14 warns of reads beyond its ends.
struct Before {
    bool operator()(const Choice& a, const Choice& b) const noexcept {
        const std::size_t common = std::min(a.size(), b.size());
        for (std::size_t i = 0; i < common; ++i)
            if (a[i] != b[i]) return a[i] < b[i];
        return a.size() < b.size();
    }
};

/// Whether all changes of `part` are among those of `whole`.
bool within(const Choice& part, const Choice& whole) {
    for (std::size_t o = 0; o < part.size(); ++o)
        if (part[o] != 0 && part[o] != whole[o]) return false;
    return true;
}

/// Place of the first divergence, ordered as the updates are computed.
struct Score {
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
    std::uint32_t field = 0;
    bool explains = false;
    auto operator<=>(const Score& other) const {
        if (explains != other.explains) return explains <=> other.explains;
        if (timestep != other.timestep) return timestep <=> other.timestep;
        if (neuron != other.neuron) return neuron <=> other.neuron;
        return field <=> other.field;
    }
    bool operator==(const Score&) const = default;
};

class Search {
public:
    Search(const Network& start, const trace::Stimulus& stimulus, const trace::ExecutionTrace& core,
           const FitOptions& options)
        : start_(start),
          stimulus_(stimulus),
          core_(core),
          settings_(options),
          options_(start, options.description),
          judge_(stimulus, core),
          begin_(std::chrono::steady_clock::now()) {
        // Most descriptions part early, so the first blocks are short.
        std::uint32_t size = 4;
        for (std::uint64_t first = 0; first < core.n_steps();) {
            const auto count =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(size, core.n_steps() - first));
            blocks_.push_back(stimulus.block(first, count));
            first += count;
            size = std::min(size * 2, 256U);
        }
        view_ = core.view();
        plain_ = view_.valid.empty() &&
                 std::ranges::all_of(view_.masks, [](const auto& mask) { return mask.empty(); });
    }

    Result<FitReport> run();

private:
    struct State {
        Choice choice;
        Score score;
    };

    /// Runs a description until it parts from the recording; nothing where it is no description
    /// (out of bounds) or repeats another (an option that changes nothing).
    std::optional<Score> evaluate(const Choice& choice);
    Score compare(trace::StepSource& source) const;
    std::optional<Score> compare_block(const trace::BlockView& block, const trace::Shape& shape,
                                       std::span<const int> fields) const;
    std::optional<Score> compare_row(const trace::BlockView& block, const trace::Shape& shape,
                                     std::span<const int> fields, std::uint32_t row) const;

    /// @param described  with the options that docs/model.md does not have
    std::vector<Choice> neighbours(const Choice& from, bool described) const;
    bool holds_explanation(const Choice& choice) const;
    void ascend(std::size_t width, bool described, const std::string& phase);
    void try_pairs(std::span<const Choice> singles, bool described, const std::string& phase);
    void try_all(const std::vector<Choice>& choices, const std::string& phase);
    /// By predictions of single timesteps, which show what an option does also where others are
    /// wrong.
    void follow(const std::string& phase);
    std::uint64_t steps_to_judge() const;
    void find_registers();
    std::vector<Choice> with_noise(const Choice& choice, std::uint64_t steps);
    std::vector<FitCandidate> best();
    std::vector<State> ranked() const;
    std::vector<State> front(std::size_t width) const;

    Choice minimal(Choice choice);
    FitCandidate candidate(const Choice& choice, const Score& score) const;
    void find_free(FitCandidate& c, const Choice& choice);
    void finish(FitReport& report);

    bool stopped() const { return settings_.stop != nullptr && settings_.stop->load(); }
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    }
    bool out_of_time() {
        const bool over = stopped() || seconds() > settings_.limit_s * grace_;
        if (over) complete_ = false;
        return over;
    }
    std::uint64_t updates_of(const Score& s) const {
        return s.explains ? core_.n_steps() * core_.n_neurons()
                          : s.timestep * core_.n_neurons() + s.neuron;
    }

    const Network& start_;
    const trace::Stimulus& stimulus_;
    const trace::ExecutionTrace& core_;
    const FitOptions& settings_;
    Options options_;
    detail::StepJudge judge_;
    std::vector<trace::StimulusBlock> blocks_;
    trace::BlockView view_;
    bool plain_ = true;  ///< every recorded value is valid
    std::map<Choice, std::optional<Score>, Before> known_;
    std::vector<Choice> explaining_;
    std::optional<detail::Timeline> timeline_;  ///< once registers were looked for
    std::vector<FoundRegister> registers_;
    std::vector<Choice> followed_;  ///< that predict the most, first the best
    std::uint64_t tried_ = 0;
    Score best_;
    std::optional<Error> error_;  ///< of the start, which must run
    std::chrono::steady_clock::time_point begin_;
    double grace_ = 1.0;
    bool complete_ = true;
};

std::optional<Score> Search::evaluate(const Choice& choice) {
    if (const auto found = known_.find(choice); found != known_.end()) return found->second;
    std::optional<Score> score;
    const Result<Made> made = options_.make(choice);
    if (made && !options_.repeats(choice, *made)) {
        auto source = options_.source(*made);
        if (source) {
            score = compare(**source);
            ++tried_;
            if (score->explains) explaining_.push_back(choice);
            best_ = std::max(best_, *score);
        } else if (n_changes(choice) == 0) {
            error_ = source.error();
        }
    } else if (!made && n_changes(choice) == 0) {
        error_ = made.error();
    }
    return known_[choice] = score;
}

Score Search::compare(trace::StepSource& source) const {
    const trace::Shape& shape = source.shape();
    const std::vector<int> fields = detail::fields_of(shape, core_.shape());
    auto* const taker = core_.shape().order ? dynamic_cast<trace::OrderTaker*>(&source) : nullptr;
    for (const trace::StimulusBlock& block : blocks_) {
        // A current that does not fit acc_bits cannot be what the core was given.
        if (!source.submit(block)) return {block.first, 0, 0, false};
        for (std::uint32_t done = 0; done < block.n_steps;) {
            if (taker != nullptr)
                if (const auto order = detail::order_of(core_, block.first + done);
                    !taker->give_order(1, order))
                    return {block.first + done, 0, 0, false};
            auto got = source.read(taker != nullptr ? 1 : block.n_steps - done);
            const auto* view = got ? std::get_if<trace::BlockView>(&*got) : nullptr;
            if (view == nullptr) return {block.first + done, 0, 0, false};
            if (const auto parted = compare_block(*view, shape, fields)) return *parted;
            done += view->n_steps;
        }
    }
    return {core_.n_steps(), 0, 0, true};
}

std::optional<Score> Search::compare_block(const trace::BlockView& block, const trace::Shape& shape,
                                           std::span<const int> fields) const {
    std::uint32_t first = 0;  // first row that may differ
    // Stored alike, so that memory can be compared.
    bool alike = plain_ && (!core_.shape().counts || shape.counts);
    for (std::size_t f = 0; alike && f < fields.size(); ++f) {
        const trace::FieldSpec& field = core_.shape().fields[f];
        if (fields[f] < 0) alike = false;
        if (!alike) break;
        const trace::FieldSpec& other = shape.fields[static_cast<std::size_t>(fields[f])];
        alike = other.bytes == field.bytes && other.is_signed == field.is_signed;
    }
    if (alike) {
        std::optional<std::size_t> row;
        const auto take = [&](std::span<const std::byte> all, std::span<const std::byte> part,
                              std::size_t row_bytes) {
            const auto found = trace::compare_rows(
                all.subspan(block.first * row_bytes, part.size()), part, row_bytes);
            if (found && (!row || *found < *row)) row = found;
        };
        for (std::size_t f = 0; f < fields.size(); ++f)
            take(view_.fields[f], block.fields[static_cast<std::size_t>(fields[f])],
                 core_.n_neurons() * static_cast<std::size_t>(core_.shape().fields[f].bytes));
        take(std::as_bytes(view_.spikes), std::as_bytes(block.spikes),
             8 * core_.shape().spike_words());
        if (core_.shape().counts)
            take(std::as_bytes(view_.counts), std::as_bytes(block.counts),
                 core_.n_neurons() * sizeof(view_.counts[0]));
        if (!row) return std::nullopt;
        first = static_cast<std::uint32_t>(*row);
    }
    for (std::uint32_t row = first; row < block.n_steps; ++row)
        if (const auto parted = compare_row(block, shape, fields, row)) return parted;
    return std::nullopt;
}

std::optional<Score> Search::compare_row(const trace::BlockView& block, const trace::Shape& shape,
                                         std::span<const int> fields, std::uint32_t row) const {
    const std::uint64_t t = block.first + row;
    if (!plain_ && !core_.valid(t)) return std::nullopt;
    const std::size_t words = shape.spike_words();
    for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
        const std::size_t at = std::size_t{row} * core_.n_neurons() + n;
        for (std::size_t f = 0; f < fields.size(); ++f) {
            if (fields[f] == detail::kUnknown || (!plain_ && !core_.valid(f, t, n))) continue;
            std::int64_t value = 0;
            if (fields[f] >= 0) {
                const auto other = static_cast<std::size_t>(fields[f]);
                const trace::FieldSpec& spec = shape.fields[other];
                value = detail::load(
                    &block.fields[other][at * static_cast<std::size_t>(spec.bytes)], spec);
            }
            if (value != core_.raw(f, t, n))
                return Score{t, n, static_cast<std::uint32_t>(f), false};
        }
        const bool spike = (block.spikes[row * words + n / 64] >> (n % 64) & 1) != 0;
        const bool counted = core_.shape().counts && shape.counts;
        if (spike != core_.spike(t, n) ||
            (counted && block.counts[at] != view_.counts[t * core_.n_neurons() + n]))
            return Score{t, n, static_cast<std::uint32_t>(fields.size()), false};
    }
    return std::nullopt;
}

std::vector<Choice> Search::neighbours(const Choice& from, bool described) const {
    std::vector<Choice> result;
    for (std::size_t o = 0; o < from.size(); ++o) {
        if (options_[o].described && !described) continue;
        for (std::size_t v = 0; v < options_[o].values.size(); ++v) {
            if (v == from[o]) continue;
            Choice next = from;
            next[o] = static_cast<std::uint8_t>(v);
            result.push_back(std::move(next));
        }
    }
    return result;
}

bool Search::holds_explanation(const Choice& choice) const {
    return std::ranges::any_of(explaining_, [&](const Choice& e) { return within(e, choice); });
}

void Search::try_all(const std::vector<Choice>& choices, const std::string& phase) {
    for (std::size_t i = 0; i < choices.size(); ++i) {
        if (out_of_time()) return;
        // More changes to an explanation are found as its free options.
        if (!holds_explanation(choices[i])) evaluate(choices[i]);
        if (settings_.progress && (i % 16 == 0 || i + 1 == choices.size()))
            settings_.progress(
                {phase, i + 1, choices.size(), updates_of(best_), updates_of({0, 0, 0, true})});
    }
}

/// Descriptions that were run, the furthest first, then the fewest changes.
std::vector<Search::State> Search::ranked() const {
    std::vector<State> all;
    for (const auto& [choice, score] : known_)
        if (score) all.push_back({choice, *score});
    std::ranges::stable_sort(all, [](const State& a, const State& b) {
        if (a.score != b.score) return a.score > b.score;
        return n_changes(a.choice) < n_changes(b.choice);
    });
    return all;
}

/// The furthest, without those that only add changes to another that gets as far.
std::vector<Search::State> Search::front(std::size_t width) const {
    std::vector<State> kept;
    for (State& state : ranked()) {
        if (kept.size() >= width) break;
        if (std::ranges::none_of(kept, [&](const State& k) {
                return k.score >= state.score && within(k.choice, state.choice);
            }))
            kept.push_back(std::move(state));
    }
    return kept;
}

void Search::ascend(std::size_t width, bool described, const std::string& phase) {
    std::set<Choice, Before> expanded;
    for (int round = 0; round < settings_.rounds && explaining_.empty(); ++round) {
        std::vector<Choice> next;
        for (const State& state : front(width)) {
            if (!expanded.insert(state.choice).second) continue;
            for (Choice& choice : neighbours(state.choice, described))
                next.push_back(std::move(choice));
        }
        const Score before = best_;
        try_all(next, phase);
        if (out_of_time() || (best_ == before && round > 0)) return;
    }
}

/// A first stretch that is cheap to predict, where much happens in a timestep.
std::uint64_t Search::steps_to_judge() const {
    constexpr std::uint64_t kWork = 60'000;  // neuron-updates
    const double fan_out = start_.synapses.empty() ? 0.0
                                                   : static_cast<double>(start_.synapses.size()) /
                                                         (start_.n_axons() + start_.n_neurons());
    double work = 0;
    std::uint64_t steps = 0;
    for (const trace::StimulusBlock& block : blocks_)
        for (std::uint32_t s = 0; s < block.n_steps; ++s) {
            work +=
                start_.n_neurons() + 2 * fan_out * static_cast<double>(block.events_of(s).size());
            ++steps;
            if (steps >= 16 && work >= static_cast<double>(kWork)) return steps;
        }
    return steps;
}

/// Reads off the core which registers could give noise.
void Search::find_registers() {
    timeline_ = detail::Timeline::of(stimulus_, core_.n_steps(), core_.n_neurons());
    if (!settings_.registers) return;
    const auto observed = settings_.registers();
    if (!observed) {
        error_ = observed.error();
        return;
    }
    for (const ObservedRegister& one : *observed)
        for (golden::Noise& noise : detail::identify(one, *timeline_))
            registers_.push_back({one.name, std::move(noise)});
}

/// A description with the noise that explains best what it leaves unexplained.
std::vector<Choice> Search::with_noise(const Choice& choice, std::uint64_t steps) {
    constexpr std::size_t kMost = 40'000;      // residuals
    constexpr std::size_t kMostCommon = 3000;  // likewise, for each of many registers
    const Result<Made> made = options_.make(choice);
    if (!made || made->description.semantics == golden::Semantics::Event) return {};
    auto source = options_.described_source(*made);
    if (!source) return {};
    std::vector<detail::Residual> residuals;
    const auto look = [&](const detail::StepJudge::Prediction& p) {
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n)
            if (judge_.spikes_agree(p, n))
                if (const auto error = judge_.error_of_v(p, n))
                    residuals.push_back({p.timestep, n, *error});
        return residuals.size() < kMost;
    };
    if (!judge_.follow(**source, 0, steps, look) || residuals.empty()) return {};
    const golden::LeakRule& leak = made->description.leak;
    const int leak_bits =
        leak.rounding == golden::Round::Stochastic ? 0
        : leak.kind == golden::LeakKind::Multiply  ? leak.frac
        : leak.kind == golden::LeakKind::Shift && leak.amount == golden::Param::network()
            ? static_cast<int>(std::min(made->neurons[0].leak, 31U))
            : 0;
    std::vector<golden::Noise> candidates;
    for (const FoundRegister& found : registers_) candidates.push_back(found.noise);
    const bool guess = candidates.empty();
    if (guess) candidates = detail::common_registers();
    if (guess && residuals.size() > kMostCommon) residuals.resize(kMostCommon);
    std::vector<detail::NoiseParts> all;
    for (const golden::Noise& candidate : candidates) {
        if (out_of_time()) break;
        if (auto parts = detail::parts_of(residuals, candidate, *timeline_, leak_bits))
            all.push_back(std::move(*parts));
    }
    std::ranges::stable_sort(all, std::greater<>{}, &detail::NoiseParts::explained);
    std::vector<Choice> better;
    for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), 4); ++i) {
        std::vector<golden::Noise> noise = made->description.noise;
        noise.insert(noise.end(), all[i].parts.begin(), all[i].parts.end());
        Choice next = choice;
        next[options_.noise_option()] = options_.add_noise(noise);
        better.push_back(next);
        // Likewise an offset may make up for another option.
        for (golden::Noise& n : noise) n.offset = 0;
        next[options_.noise_option()] = options_.add_noise(noise);
        better.push_back(std::move(next));
    }
    return better;
}

void Search::follow(const std::string& phase) {
    struct Node {
        std::uint64_t cost;
        std::uint64_t wrong;
        Choice choice;
        bool expanded = false;
        bool operator<(const Node& other) const {
            if (cost != other.cost) return cost < other.cost;
            return n_changes(choice) < n_changes(other.choice);
        }
    };
    constexpr std::uint64_t kNoBound = ~std::uint64_t{0};
    constexpr int kPatience = 4;  // descriptions gone on from without getting better
    std::uint64_t steps = steps_to_judge();
    int noise_rounds = 3;
    std::vector<Node> nodes;
    std::set<Choice, Before> seen;
    const auto judge = [&](const Choice& choice, std::uint64_t bound) {
        if (!seen.insert(choice).second) return;
        const Result<Made> made = options_.make(choice);
        if (!made || options_.repeats(choice, *made)) return;
        auto source = options_.described_source(*made);
        if (!source) return;
        ++tried_;
        if (const auto cost = judge_.cost(**source, 0, steps, bound))
            nodes.push_back({cost->cost, cost->wrong, choice});
    };
    judge(options_.none(), kNoBound);
    for (const State& state : front(3)) judge(state.choice, kNoBound);
    for (int patience = kPatience; patience > 0 && !out_of_time();) {
        std::ranges::stable_sort(nodes, std::less<>{});
        if (nodes.size() > 64) nodes.erase(nodes.begin() + 64, nodes.end());
        if (nodes.empty()) return;
        const std::uint64_t best = nodes[0].cost;
        if (best == 0) {
            const auto score = evaluate(nodes[0].choice);
            if (!score || score->explains || score->timestep < steps) return;
            // More of the recording, up to where the best parts from it.
            steps = std::min(core_.n_steps(), std::max(2 * steps, score->timestep + 1));
            std::vector<Node> again = std::move(nodes);
            nodes.clear();
            seen.clear();
            for (std::size_t i = 0; i < std::min<std::size_t>(again.size(), 8); ++i)
                judge(again[i].choice, kNoBound);
            patience = kPatience;
            continue;
        }
        const auto better = [&] {
            return std::ranges::any_of(nodes, [&](const Node& n) { return n.cost < best; });
        };
        // Nothing has made it better. Where at least half is wrong, it may be noise, which spares
        // few updates; to look for its register the core is built once more.
        if (patience < kPatience && noise_rounds > 0 &&
            nodes[0].wrong * 2 >= steps * core_.n_neurons()) {
            --noise_rounds;
            if (!timeline_) find_registers();
            if (error_) return;
            // The start too: changes may have made up for what noise adds on average.
            std::vector<Choice> bases{options_.none()};
            for (std::size_t i = 0; i < std::min<std::size_t>(nodes.size(), 3); ++i)
                bases.push_back(nodes[i].choice);
            for (const Choice& base : bases)
                for (const Choice& choice : with_noise(base, steps)) judge(choice, kNoBound);
            if (better()) {
                patience = kPatience;
                continue;
            }
        }
        const auto next = std::ranges::find(nodes, false, &Node::expanded);
        if (next == nodes.end()) break;
        next->expanded = true;
        const Choice from = next->choice;
        const std::uint64_t bound = next->cost + next->cost / 8;
        const std::vector<Choice> all = neighbours(from, true);
        for (std::size_t i = 0; i < all.size() && !out_of_time(); ++i) {
            judge(all[i], bound);
            if (settings_.progress && (i % 16 == 0 || i + 1 == all.size()))
                settings_.progress(
                    {phase, i + 1, all.size(), updates_of(best_), updates_of({0, 0, 0, true})});
        }
        patience = better() ? kPatience : patience - 1;
    }
    // What gets far here is where the other searches go on from.
    std::ranges::stable_sort(nodes, std::less<>{});
    for (std::size_t i = 0; i < std::min(nodes.size(), settings_.most_best); ++i) {
        evaluate(nodes[i].choice);
        followed_.push_back(nodes[i].choice);
    }
}

/// Where nothing explains: what predicts the most neuron-updates, then what gets furthest.
std::vector<FitCandidate> Search::best() {
    constexpr std::uint64_t kWork = 2'000'000;  // neuron-updates
    const std::uint64_t steps =
        std::clamp<std::uint64_t>(kWork / std::max(core_.n_neurons(), 1U), 1, core_.n_steps());
    std::vector<Choice> choices = followed_;
    for (const State& state : front(settings_.most_best))
        if (std::ranges::find(choices, state.choice) == choices.end())
            choices.push_back(state.choice);
    std::vector<std::pair<Choice, FitCandidate>> all;
    for (const Choice& choice : choices) {
        const auto score = evaluate(choice);
        const Result<Made> made = options_.make(choice);
        if (!score || !made) continue;
        all.emplace_back(choice, candidate(choice, *score));
        auto source = options_.described_source(*made);
        if (!source) continue;
        if (const auto cost = judge_.cost(**source, 0, steps, ~std::uint64_t{0})) {
            all.back().second.predicted = cost->judged - cost->wrong;
            all.back().second.judged = cost->judged;
        }
    }
    std::ranges::stable_sort(all, [](const auto& a, const auto& b) {
        const FitCandidate& x = a.second;
        const FitCandidate& y = b.second;
        if (x.predicted != y.predicted) return x.predicted > y.predicted;
        if (x.changes.size() != y.changes.size()) return x.changes.size() < y.changes.size();
        return x.updates > y.updates;
    });
    std::vector<Choice> kept;
    std::vector<FitCandidate> list;
    for (auto& [choice, found] : all) {
        // More changes that predict no more are none.
        if (list.size() >= settings_.most_best ||
            std::ranges::any_of(kept, [&](const Choice& k) { return within(k, choice); }))
            continue;
        kept.push_back(choice);
        list.push_back(std::move(found));
    }
    return list;
}

/// Takes back changes that the explanation does not need.
Choice Search::minimal(Choice choice) {
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (choice[o] == 0) continue;
        Choice without = choice;
        without[o] = 0;
        const auto score = evaluate(without);
        if (score && score->explains) choice = without;
    }
    return choice;
}

FitCandidate Search::candidate(const Choice& choice, const Score& score) const {
    FitCandidate c;
    c.changes = options_.changes(choice);
    c.explains = score.explains;
    c.timestep = score.timestep;
    c.neuron = score.neuron;
    if (!score.explains)
        c.field = score.field < core_.shape().fields.size() ? core_.shape().fields[score.field].name
                                                            : "spike";
    c.updates = updates_of(score);
    return c;
}

void Search::find_free(FitCandidate& c, const Choice& choice) {
    const bool described = options_.has_lines(choice);
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (options_[o].described && !described) continue;
        FitFree free{options_[o].name, options_[o].values[choice[o]].text, {}};
        for (std::size_t v = 0; v < options_[o].values.size(); ++v) {
            if (v == choice[o]) continue;
            if (out_of_time()) return;
            Choice other = choice;
            other[o] = static_cast<std::uint8_t>(v);
            const auto score = evaluate(other);
            if (score && score->explains) free.others.push_back(options_[o].values[v].text);
        }
        if (!free.others.empty()) c.free.push_back(std::move(free));
    }
}

void Search::finish(FitReport& report) {
    grace_ = 1.5;
    std::vector<Choice> minima;
    const std::vector<Choice> found = explaining_;
    for (const Choice& choice : found) {
        Choice least = minimal(choice);
        if (std::ranges::find(minima, least) == minima.end()) minima.push_back(std::move(least));
        if (out_of_time()) break;
    }
    std::ranges::stable_sort(minima, [](const Choice& a, const Choice& b) {
        return n_changes(a) != n_changes(b) ? n_changes(a) < n_changes(b) : a < b;
    });
    for (const Choice& choice : minima) {
        if (report.explanations.size() >= settings_.most_explanations) break;
        std::vector<std::pair<std::string, std::string>> values;
        for (std::size_t o = 0; o < choice.size(); ++o)
            if (choice[o] != 0)
                values.emplace_back(options_[o].name, options_[o].values[choice[o]].text);
        if (reports(report, values)) continue;
        FitCandidate c = candidate(choice, {core_.n_steps(), 0, 0, true});
        find_free(c, choice);
        report.explanations.push_back(std::move(c));
    }
}

/// All pairs of single changes; those that get far first.
void Search::try_pairs(std::span<const Choice> singles, bool described, const std::string& phase) {
    const auto wanted = [&](const Choice& choice) {
        return described || !options_.has_lines(choice);
    };
    std::vector<Choice> order;
    for (const State& state : ranked())
        if (n_changes(state.choice) == 1 && wanted(state.choice)) order.push_back(state.choice);
    // Values that did nothing alone, or could not be run, may matter beside another.
    for (const Choice& single : singles)
        if (const auto found = known_.find(single); found == known_.end() || !found->second)
            order.push_back(single);
    std::vector<Choice> pairs;
    for (std::size_t j = 1; j < order.size(); ++j) {
        for (std::size_t i = 0; i < j; ++i) {
            Choice both = order[i];
            bool apart = true;
            for (std::size_t o = 0; o < both.size(); ++o) {
                apart = apart && (both[o] == 0 || order[j][o] == 0);
                if (order[j][o] != 0) both[o] = order[j][o];
            }
            if (apart) pairs.push_back(std::move(both));
        }
    }
    try_all(pairs, phase);
}

Result<FitReport> Search::run() {
    FitReport report;
    report.steps = core_.n_steps();
    report.updates = core_.n_steps() * core_.n_neurons();
    report.spikes = core_.spike_count();
    const Choice start = options_.none();
    const auto at_start = evaluate(start);
    if (error_) return *error_;
    if (!at_start) return Error{Errc::Internal, "the start was not run", "fit"};
    report.start = candidate(start, *at_start);
    if (const Result<Made> made = options_.make(start))
        for (std::size_t o = 0; o < options_.size(); ++o)
            if (const detail::Option& option = options_[o];
                !option.described && option.inert(start_, made->description) &&
                option.name != "leak_frac" && option.name != "v_reset")
                report.unused.push_back(option.name);

    const std::vector<Choice> plain = neighbours(start, false);
    if (!at_start->explains) {
        try_all(plain, "single changes");
        // Changes that show one after the other are found at once, the rest needs all pairs.
        const std::size_t narrow = std::min<std::size_t>(settings_.beam, 4);
        ascend(narrow, false, "further changes to the best");
        const std::vector<Choice> all = neighbours(start, true);
        if (explaining_.empty()) {
            try_all(all, "single changes beyond docs/model.md");
            ascend(narrow, true, "further changes to the best of them");
        }
        if (explaining_.empty()) {
            follow("changes judged by single timesteps");
            ascend(narrow, true, "further changes to the best of those");
        }
        try_pairs(plain, false, "pairs of changes");
        ascend(settings_.beam, false, "further changes to the best pairs");
        if (explaining_.empty()) {
            try_pairs(all, true, "pairs with changes beyond docs/model.md");
            ascend(settings_.beam, true, "further changes to the best of those pairs");
        }
    }
    if (stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
    if (error_) return *error_;
    finish(report);
    if (stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
    if (report.explanations.empty()) report.best = best();
    for (const auto& [choice, score] : known_) {
        if (!score) continue;
        report.singles += n_changes(choice) == 1;
        report.pairs += n_changes(choice) == 2;
    }
    report.registers = registers_;
    report.tried = tried_;
    report.complete = complete_;
    report.seconds = seconds();
    return report;
}
}  // namespace

Result<FitReport> fit_description(const golden::Network& start, const trace::Stimulus& stimulus,
                                  const trace::ExecutionTrace& core, const FitOptions& options) {
    if (Status good = start.check(); !good) return good.error();
    if (core.n_neurons() != start.n_neurons())
        return Error{Errc::Mismatch,
                     fmt::format("the recording has {} neurons, the network {}", core.n_neurons(),
                                 start.n_neurons()),
                     "fit"};
    if (core.first_step() != 0 || core.n_steps() > stimulus.n_steps())
        return Error{
            Errc::Mismatch,
            fmt::format("the recording holds timesteps {} to {}, expected 0 to at most {}",
                        core.first_step(), core.first_step() + core.n_steps(), stimulus.n_steps()),
            "fit"};
    for (const trace::FieldSpec& field : core.shape().fields)
        if (field.is_float)
            return Error{Errc::Unsupported, "field " + field.name + " is float64", "fit"};
    return Search(start, stimulus, core, options).run();
}

Result<std::unique_ptr<trace::StepSource>> golden_under(
    const golden::Network& start, const std::optional<golden::Setting>& description,
    std::span<const FitChange> changes) {
    Options options(start, description);
    const Result<Choice> choice = options.choice_of(changes);
    if (!choice) return choice.error();
    const Result<Made> made = options.make(*choice);
    if (!made) return made.error();
    return options.source(*made);
}

Result<golden::Network> apply_changes(const golden::Network& start,
                                      std::span<const FitChange> changes) {
    // What is said in [golden] changes nothing in the network.
    std::vector<FitChange> own;
    std::ranges::copy_if(changes, std::back_inserter(own),
                         [](const FitChange& change) { return change.golden.empty(); });
    const std::optional<golden::Setting> description;
    Options options(start, description);
    const Result<Choice> choice = options.choice_of(own);
    if (!choice) return choice.error();
    const Result<Made> made = options.make(*choice);
    if (!made) return made.error();
    Network net = options.network_of(*made);
    if (Status good = net.check(); !good) return good.error();
    return net;
}

bool reports(const FitReport& report,
             std::span<const std::pair<std::string, std::string>> option_values) {
    return std::ranges::any_of(report.explanations, [&](const FitCandidate& e) {
        const auto free = [&](const std::string& option, const std::string& value) {
            const auto found = std::ranges::find(e.free, option, &FitFree::option);
            return found != e.free.end() &&
                   std::ranges::find(found->others, value) != found->others.end();
        };
        const auto wanted = [&](const std::string& option) {
            return std::ranges::find(option_values, option,
                                     &std::pair<std::string, std::string>::first);
        };
        // Every option: equal in both, or free to take the wanted value.
        for (const auto& [option, value] : option_values) {
            const auto change = std::ranges::find(e.changes, option, &FitChange::option);
            const bool same = change != e.changes.end() && change->to == value;
            if (!same && !free(option, value)) return false;
        }
        for (const FitChange& change : e.changes)
            if (wanted(change.option) == option_values.end() && !free(change.option, change.from))
                return false;
        return true;
    });
}

}  // namespace spikelock::analysis

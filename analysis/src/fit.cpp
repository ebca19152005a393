// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <set>

#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/trace/block_compare.hpp"

namespace spikelock::analysis {

namespace {
using golden::Arithmetic;
using golden::LeakMode;
using golden::Network;
using golden::NeuronParams;

/// A value that an option can take, and what it does to a network (the starting one comes second).
struct Value {
    std::string text;
    std::string toml;
    std::string json;
    std::function<void(Network&, const Network&)> apply;  ///< empty: as given
    std::string golden = {};  ///< lines for [golden], with {v_bits} for that of the network
};

struct Option {
    std::string name;
    std::vector<Value> values;                  ///< [0] is that of the start
    std::function<bool(const Network&)> inert;  ///< whether it changes nothing in a network
    bool described = false;  ///< has no words in docs/model.md; tried where those explain nothing
};

bool any_cuba(const Network& net) {
    return std::ranges::any_of(net.neurons, [](const NeuronParams& p) { return p.cuba; });
}
bool no_cuba(const Network& net) { return !any_cuba(net); }
bool never(const Network&) { return false; }

/// An option that is a member of Arithmetic with named codes or a range of numbers.
template <typename T>
Option arithmetic_option(const Network& start, const char* key, T Arithmetic::* member,
                         const std::vector<std::pair<std::string, T>>& values, bool quoted,
                         std::function<bool(const Network&)> inert) {
    Option option{key, {}, std::move(inert)};
    const T given = start.arithmetic.*member;
    const auto add = [&](const std::string& text, T value) {
        Value v;
        v.text = text;
        v.toml = quoted ? fmt::format("{} = \"{}\"", key, text) : fmt::format("{} = {}", key, text);
        v.json = fmt::format("\"{}\": {}", key, static_cast<int>(value));
        if (value != given)
            v.apply = [member, value](Network& net, const Network&) {
                net.arithmetic.*member = value;
            };
        option.values.push_back(std::move(v));
    };
    for (const auto& [text, value] : values)
        if (value == given) add(text, value);
    for (const auto& [text, value] : values)
        if (value != given) add(text, value);
    return option;
}

Option number_option(const Network& start, const char* key, int Arithmetic::* member, int lowest,
                     int highest, std::function<bool(const Network&)> inert) {
    std::vector<std::pair<std::string, int>> values;
    for (int x = lowest; x <= highest; ++x) values.emplace_back(std::to_string(x), x);
    return arithmetic_option<int>(start, key, member, values, false, std::move(inert));
}

/// A change of one parameter in every neuron, as a core does that decodes it differently.
using Change = std::function<std::int64_t(std::int64_t, const Network&, const Network&)>;

template <typename T>
Option parameter_option(const char* name, T NeuronParams::* member,
                        const std::vector<std::pair<std::string, Change>>& changes,
                        std::function<bool(const Network&)> inert) {
    Option option{name, {{"as given", {}, {}, {}}}, std::move(inert)};
    for (const auto& [text, change] : changes)
        option.values.push_back(
            {text, {}, {}, [member, change = change](Network& net, const Network& start) {
                 for (std::size_t n = 0; n < net.neurons.size(); ++n)
                     net.neurons[n].*member =
                         static_cast<T>(change(start.neurons[n].*member, net, start));
             }});
    return option;
}

/// The same decay in the other leak mode: shift k is the factor 1 - 2^-k.
std::int64_t converted(std::int64_t x, const Network& net, const Network& start) {
    const LeakMode from = start.arithmetic.leak_mode;
    if (net.arithmetic.leak_mode == from) return x;
    if (from == LeakMode::Shift) {
        const std::int64_t one = std::int64_t{1} << net.arithmetic.leak_frac;
        return x == 0 ? one : one - (x < 40 ? one >> x : 0);
    }
    const std::int64_t one = std::int64_t{1} << start.arithmetic.leak_frac;
    std::int64_t best = 0;  // no leak
    for (std::int64_t k = 1; k < 32; ++k) {
        const auto error = [&](std::int64_t shift) {
            return std::abs(((one - x) << 20) - (shift == 0 ? 0 : (one << 20) >> shift));
        };
        if (error(k) < error(best)) best = k;
    }
    return best;
}

/// Choices of docs/golden.md for LIF neurons that a network's Arithmetic does not have.
void add_described(const Network& start, std::vector<Option>& options) {
    const auto add = [&](const char* name,
                         const std::vector<std::pair<std::string, std::string>>& values,
                         std::function<bool(const Network&)> inert) {
        Option option{name, {{"as given", {}, {}, {}}}, std::move(inert), true};
        for (const auto& [text, lines] : values) option.values.push_back({text, {}, {}, {}, lines});
        options.push_back(std::move(option));
    };
    const auto no_refractory = [](const Network& net) {
        return std::ranges::none_of(net.neurons,
                                    [](const NeuronParams& p) { return p.refractory > 0; });
    };
    const auto no_subtraction = [](const Network& net) {
        return net.arithmetic.reset_mode != golden::ResetMode::Subtract;
    };
    const auto sums_wrap = [](const Network& net) {
        return net.arithmetic.acc_overflow == golden::Overflow::Wrap;
    };
    add("leak.rounding",
        {{"up", "leak.rounding = \"up\""},
         {"half_up", "leak.rounding = \"half_up\""},
         {"half_away", "leak.rounding = \"half_away\""}},
        never);
    if (start.arithmetic.leak_mode == LeakMode::Shift)
        add("leak.form", {{"add", "leak.form = \"add\""}, {"keep", "leak.form = \"keep\""}}, never);
    else
        add("leak.form", {{"subtract", "leak.form = \"subtract\""}, {"add", "leak.form = \"add\""}},
            never);
    add("leak.input",
        {{"inside, added", "leak.input = \"inside\"\nleak.form = \"add\""},
         {"inside, subtracted", "leak.input = \"inside\"\nleak.form = \"subtract\""}},
        never);
    add("leak.kind",
        {{"constant", "leak.kind = \"constant\""},
         {"constant, past 0", "leak.kind = \"constant\"\nleak.past = \"continue\""}},
        never);
    add("leak.when", {{"without_input", "leak.when = \"without_input\""}}, never);
    add("order",
        {{"integrate, leak, threshold", "order = [\"integrate\", \"leak\", \"threshold\"]"},
         {"threshold, leak, integrate", "order = [\"threshold\", \"leak\", \"integrate\"]"}},
        never);
    add("threshold.on", {{"previous", "threshold.on = \"previous\""}}, never);
    add("threshold.unsigned", {{"true", "threshold.unsigned = true"}}, never);
    add("reset.kind", {{"none", "reset.kind = \"none\""}}, never);
    add("reset.delay", {{"true", "reset.delay = true"}}, never);
    add("reset.overflow", {{"wrap", "reset.bits = {v_bits}\nreset.overflow = \"wrap\""}},
        no_subtraction);
    add("refractory.during",
        {{"drop", "refractory.during = \"drop\""},
         {"accumulate", "refractory.during = \"accumulate\""}},
        no_refractory);
    add("v.overflow",
        {{"clamp_zero", "v.overflow = \"clamp_zero\""},
         {"only high saturates", "v.overflow = {low = \"wrap\", high = \"saturate\"}"},
         {"only low saturates", "v.overflow = {low = \"saturate\", high = \"wrap\"}"}},
        never);
    add("v.signed", {{"false", "v.signed = false"}}, never);
    if (any_cuba(start)) {
        add("input.bias_into", {{"v", "input.bias_into = \"v\""}}, no_cuba);
        add("u.drive", {{"previous", "u.drive = \"previous\""}}, no_cuba);
    }
    if (!start.synapses.empty()) {
        add("synapse.fit", {{"sum", "synapse.fit = \"sum\""}}, sums_wrap);
        add("synapse.duplicates", {{"merged", "synapse.duplicates = \"merged\""}}, never);
        add("synapse.weights_unsigned", {{"true", "synapse.weights_unsigned = true"}}, never);
    }
}

std::string with_bits(std::string lines, const Network& net) {
    static constexpr std::string_view kPlace = "{v_bits}";
    if (const std::size_t at = lines.find(kPlace); at != std::string::npos)
        lines.replace(at, kPlace.size(), std::to_string(net.arithmetic.v_bits));
    return lines;
}

/// The golden of a network, as the manifest's [golden] and the lines of changes describe it.
Result<std::unique_ptr<trace::StepSource>> source_of(
    Network net, const std::optional<golden::Setting>& description, const std::string& lines) {
    if (!description && lines.empty()) {
        auto source = golden::GoldenSource::create(std::move(net));
        if (!source) return source.error();
        return std::unique_ptr<trace::StepSource>(std::move(*source));
    }
    golden::Description d = golden::describe(net);
    if (description)
        if (Status good = golden::apply(*description, d); !good) return good.error();
    Result<golden::Setting> settings = golden::settings_from_text(with_bits(lines, net));
    if (!settings) return settings.error();
    if (Status good = golden::apply(*settings, d); !good) return good.error();
    auto source = golden::DescribedSource::create(std::move(net), std::move(d));
    if (!source) return source.error();
    return std::unique_ptr<trace::StepSource>(std::move(*source));
}

std::vector<Option> options_of(const Network& start) {
    using golden::Compare;
    using golden::Overflow;
    using golden::ResetMode;
    using golden::Rounding;
    using Plain = std::int64_t;
    const std::vector<std::pair<std::string, Overflow>> overflow = {
        {"wrap", Overflow::Wrap}, {"saturate", Overflow::Saturate}};
    const auto plus = [](Plain x, const Network&, const Network&) { return x + 1; };
    const auto minus = [](Plain x, const Network&, const Network&) { return x > 0 ? x - 1 : 0; };
    const auto plus_set = [](Plain x, const Network&, const Network&) { return x > 0 ? x + 1 : 0; };
    const auto zero = [](Plain, const Network&, const Network&) { return Plain{0}; };
    const auto no_leak = [](Plain, const Network& net, const Network&) {
        return net.arithmetic.leak_mode == LeakMode::Shift ? Plain{0}
                                                           : Plain{1} << net.arithmetic.leak_frac;
    };
    const std::vector<std::pair<std::string, Change>> decays = {{"-1", minus},
                                                                {"+1", plus},
                                                                {"+1 where not 0", plus_set},
                                                                {"converted", converted},
                                                                {"no leak", no_leak}};
    const auto shifts = [](const Network& net) {
        return net.arithmetic.leak_mode == LeakMode::Shift;
    };
    const auto subtracts = [](const Network& net) {
        return net.arithmetic.reset_mode == ResetMode::Subtract;
    };
    std::vector<Option> options;
    options.push_back(arithmetic_option<LeakMode>(
        start, "leak_mode", &Arithmetic::leak_mode,
        {{"shift", LeakMode::Shift}, {"multiply", LeakMode::Multiply}}, true, never));
    options.push_back(arithmetic_option<Rounding>(start, "rounding", &Arithmetic::rounding,
                                                  {{"floor", Rounding::Floor},
                                                   {"toward_zero", Rounding::TowardZero},
                                                   {"away_from_zero", Rounding::AwayFromZero},
                                                   {"nearest_even", Rounding::NearestEven}},
                                                  true, never));
    options.push_back(arithmetic_option<Overflow>(start, "v_overflow", &Arithmetic::v_overflow,
                                                  overflow, true, never));
    options.push_back(arithmetic_option<Overflow>(start, "acc_overflow", &Arithmetic::acc_overflow,
                                                  overflow, true, never));
    options.push_back(arithmetic_option<Compare>(
        start, "compare", &Arithmetic::compare,
        {{">=", Compare::GreaterEqual}, {">", Compare::Greater}}, true, never));
    options.push_back(arithmetic_option<ResetMode>(
        start, "reset_mode", &Arithmetic::reset_mode,
        {{"value", ResetMode::Value}, {"subtract", ResetMode::Subtract}}, true, never));
    options.push_back(
        number_option(start, "weight_shift", &Arithmetic::weight_shift, 0, 15, never));
    options.push_back(number_option(start, "u_shift", &Arithmetic::u_shift, 0, 15, no_cuba));
    options.push_back(number_option(start, "v_bits", &Arithmetic::v_bits, 2, 32, never));
    options.push_back(number_option(start, "acc_bits", &Arithmetic::acc_bits, 2, 32, never));
    options.push_back(number_option(start, "u_bits", &Arithmetic::u_bits, 2, 32, no_cuba));
    options.push_back(number_option(start, "leak_frac", &Arithmetic::leak_frac, 1, 16, shifts));
    options.push_back(parameter_option("refractory", &NeuronParams::refractory,
                                       {{"-1", minus}, {"+1", plus}, {"+1 where not 0", plus_set}},
                                       never));
    options.push_back(parameter_option("leak", &NeuronParams::leak, decays, never));
    options.push_back(parameter_option("u_decay", &NeuronParams::u_decay, decays, no_cuba));
    options.push_back(
        parameter_option("v_reset", &NeuronParams::v_reset, {{"0", zero}}, subtracts));
    options.push_back(parameter_option("bias", &NeuronParams::bias, {{"0", zero}}, never));
    add_described(start, options);
    return options;
}

/// A description: the index of the value of each option.
using Choice = std::vector<std::uint8_t>;

// The standard order, without the memcmp behind it: g++ 14 warns of reads beyond its ends.
struct Before {
    bool operator()(const Choice& a, const Choice& b) const noexcept {
        const std::size_t common = std::min(a.size(), b.size());
        for (std::size_t i = 0; i < common; ++i)
            if (a[i] != b[i]) return a[i] < b[i];
        return a.size() < b.size();
    }
};

std::size_t n_changes(const Choice& choice) {
    return choice.size() - static_cast<std::size_t>(std::ranges::count(choice, 0));
}

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

std::int64_t load(const std::byte* from, const trace::FieldSpec& field) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, from, static_cast<std::size_t>(field.bytes));  // little-endian hosts
    const int unused = 64 - 8 * field.bytes;
    if (unused == 0 || !field.is_signed) return static_cast<std::int64_t>(bits);
    return static_cast<std::int64_t>(bits << unused) >> unused;
}

class Search {
public:
    Search(const Network& start, const trace::Stimulus& stimulus, const trace::ExecutionTrace& core,
           const FitOptions& options)
        : start_(start),
          core_(core),
          settings_(options),
          options_(options_of(start)),
          begin_(std::chrono::steady_clock::now()) {
        head_.arithmetic = start.arithmetic;
        head_.neurons = start.neurons;
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

    void apply(const Choice& choice, Network& net) const {
        for (std::size_t o = 0; o < choice.size(); ++o)
            if (const Value& v = options_[o].values[choice[o]]; v.apply) v.apply(net, start_);
    }

    /// Runs a description until it parts from the recording; nothing where it is no description
    /// (out of bounds) or repeats another (an option that changes nothing).
    std::optional<Score> evaluate(const Choice& choice);
    Score compare(trace::StepSource& source) const;
    std::string lines_of(const Choice& choice) const {
        std::string lines;
        for (std::size_t o = 0; o < choice.size(); ++o)
            if (const Value& v = options_[o].values[choice[o]]; !v.golden.empty())
                lines += v.golden + "\n";
        return lines;
    }
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
    Network head_;  ///< arithmetic and neurons of the start: all that a description changes
    const trace::ExecutionTrace& core_;
    const FitOptions& settings_;
    std::vector<Option> options_;
    std::vector<trace::StimulusBlock> blocks_;
    trace::BlockView view_;
    bool plain_ = true;  ///< every recorded value is valid
    std::map<Choice, std::optional<Score>, Before> known_;
    std::vector<Choice> explaining_;
    std::uint64_t tried_ = 0;
    Score best_;
    std::optional<Error> error_;  ///< of the start, which must run
    std::chrono::steady_clock::time_point begin_;
    double grace_ = 1.0;
    bool complete_ = true;
};

std::optional<Score> Search::evaluate(const Choice& choice) {
    if (const auto found = known_.find(choice); found != known_.end()) return found->second;
    Network head = head_;
    apply(choice, head);
    std::optional<Score> score;
    bool repeats = false;
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (choice[o] == 0) continue;
        Choice without = choice;
        without[o] = 0;
        Network other = head_;
        apply(without, other);
        repeats = repeats || options_[o].inert(head) ||
                  (other.neurons == head.neurons && other.arithmetic == head.arithmetic &&
                   options_[o].values[choice[o]].golden.empty());
    }
    if (!repeats) {
        Network net = start_;
        net.arithmetic = head.arithmetic;
        net.neurons = std::move(head.neurons);
        auto source = source_of(std::move(net), settings_.description, lines_of(choice));
        if (source) {
            score = compare(**source);
            ++tried_;
            if (score->explains) explaining_.push_back(choice);
            best_ = std::max(best_, *score);
        } else if (n_changes(choice) == 0) {
            error_ = source.error();
        }
    }
    return known_[choice] = score;
}

Score Search::compare(trace::StepSource& source) const {
    const trace::Shape& shape = source.shape();
    std::vector<int> fields;  // of the candidate, by field of the recording; -1: not shown
    for (const trace::FieldSpec& field : core_.shape().fields)
        fields.push_back(shape.field_index(field.name));
    for (const trace::StimulusBlock& block : blocks_) {
        // A current that does not fit acc_bits cannot be what the core was given.
        if (!source.submit(block)) return {block.first, 0, 0, false};
        for (std::uint32_t done = 0; done < block.n_steps;) {
            auto got = source.read(block.n_steps - done);
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
    bool alike = plain_;      // stored alike, so that memory can be compared
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
        for (std::size_t f = 0; f < fields.size(); ++f) {
            if (!plain_ && !core_.valid(f, t, n)) continue;
            std::int64_t value = 0;  // u without CUBA neurons, refr without refractory periods
            if (fields[f] >= 0) {
                const auto other = static_cast<std::size_t>(fields[f]);
                const trace::FieldSpec& spec = shape.fields[other];
                const std::size_t at = std::size_t{row} * core_.n_neurons() + n;
                value = load(&block.fields[other][at * static_cast<std::size_t>(spec.bytes)], spec);
            }
            if (value != core_.raw(f, t, n))
                return Score{t, n, static_cast<std::uint32_t>(f), false};
        }
        const bool spike = (block.spikes[row * words + n / 64] >> (n % 64) & 1) != 0;
        if (spike != core_.spike(t, n))
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
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (choice[o] == 0) continue;
        const Option& option = options_[o];
        const Value& to = option.values[choice[o]];
        Network net = head_;
        apply(choice, net);
        c.changes.push_back({option.name, option.values[0].text, to.text, to.toml, to.json,
                             with_bits(to.golden, net)});
    }
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
    const bool described = !lines_of(choice).empty();
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
    const auto wanted = [&](const Choice& choice) { return described || lines_of(choice).empty(); };
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
    const Choice start(options_.size(), 0);
    const auto at_start = evaluate(start);
    if (error_) return *error_;
    if (!at_start) return Error{Errc::Internal, "the start was not run", "fit"};
    report.start = candidate(start, *at_start);
    for (const Option& option : options_)
        if (!option.described && option.inert(start_) && option.name != "leak_frac" &&
            option.name != "v_reset")
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
        try_pairs(plain, false, "pairs of changes");
        ascend(settings_.beam, false, "further changes to the best pairs");
        if (explaining_.empty()) {
            try_pairs(all, true, "pairs with changes beyond docs/model.md");
            ascend(settings_.beam, true, "further changes to the best of those pairs");
        }
    }
    if (stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
    finish(report);
    if (stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
    if (report.explanations.empty())
        for (const State& state : front(settings_.most_best))
            report.best.push_back(candidate(state.choice, state.score));
    for (const auto& [choice, score] : known_) {
        if (!score) continue;
        report.singles += n_changes(choice) == 1;
        report.pairs += n_changes(choice) == 2;
    }
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
    Result<golden::Network> net = apply_changes(start, changes);
    if (!net) return net.error();
    std::string lines;
    for (const Option& option : options_of(start))
        for (const FitChange& change : changes)
            if (change.option == option.name)
                if (const auto value = std::ranges::find(option.values, change.to, &Value::text);
                    value != option.values.end())
                    lines += value->golden + "\n";
    if (lines.find_first_not_of('\n') == std::string::npos) lines.clear();
    return source_of(std::move(*net), description, lines);
}

Result<golden::Network> apply_changes(const golden::Network& start,
                                      std::span<const FitChange> changes) {
    Network net = start;
    const std::vector<Option> options = options_of(start);
    for (const FitChange& change : changes) {
        const auto option = std::ranges::find(options, change.option, &Option::name);
        if (option == options.end())
            return Error{Errc::NotFound, "no option '" + change.option + "'", "fit"};
        if (std::ranges::find(option->values, change.to, &Value::text) == option->values.end())
            return Error{Errc::NotFound, "no value '" + change.to + "'", "fit: " + change.option};
    }
    // In the order of the options: parameters follow the changed arithmetic.
    for (const Option& option : options)
        for (const FitChange& change : changes)
            if (change.option == option.name)
                if (const auto value = std::ranges::find(option.values, change.to, &Value::text);
                    value->apply)
                    value->apply(net, start);
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

// SPDX-License-Identifier: Apache-2.0
#include "options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "spikelock/golden/golden_source.hpp"

namespace spikelock::analysis::detail {

namespace {
using golden::Arithmetic;
using golden::Description;
using golden::LeakMode;
using golden::Network;
using golden::NeuronParams;
using golden::Semantics;

std::string with_bits(std::string lines, const Network& net) {
    static constexpr std::string_view kPlace = "{v_bits}";
    if (const std::size_t at = lines.find(kPlace); at != std::string::npos)
        lines.replace(at, kPlace.size(), std::to_string(net.arithmetic.v_bits));
    return lines;
}

bool any_cuba(const Network& net) {
    return std::ranges::any_of(net.neurons, [](const NeuronParams& p) { return p.cuba; });
}
bool no_cuba(const Network& net, const Description&) { return !any_cuba(net); }
bool never(const Network&, const Description&) { return false; }
bool not_event(const Network&, const Description& d) { return d.semantics != Semantics::Event; }

/// An option that is a member of Arithmetic with named codes or a range of numbers.
template <typename T>
Option arithmetic_option(const Network& start, const char* key, T Arithmetic::* member,
                         const std::vector<std::pair<std::string, T>>& values, bool quoted,
                         Option::Inert inert) {
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
                     int highest, Option::Inert inert) {
    std::vector<std::pair<std::string, int>> values;
    for (int x = lowest; x <= highest; ++x) values.emplace_back(std::to_string(x), x);
    return arithmetic_option<int>(start, key, member, values, false, std::move(inert));
}

/// A change of one parameter in every neuron, as a core does that decodes it differently.
using Change = std::function<std::int64_t(std::int64_t, const Network&, const Network&)>;

template <typename T>
Option parameter_option(const char* name, T NeuronParams::* member,
                        const std::vector<std::pair<std::string, Change>>& changes,
                        Option::Inert inert) {
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

/// Adds options of docs/golden.md that a network's Arithmetic does not have.
class DescribedOptions {
public:
    DescribedOptions(const Network& start, const Description& base, std::vector<Option>& options)
        : start_(start), base_(base), options_(options) {}

    using Lines = std::vector<std::pair<std::string, std::string>>;
    /// @param values  text and lines of each; those that the start has already are left out
    void add(const std::string& name, const Lines& values, Option::Inert inert) {
        std::string given = golden::value_text(base_, name);
        std::erase(given, '"');
        Option option{name, {{given.empty() ? "as given" : given, {}, {}, {}}}, {}, true};
        option.inert = std::move(inert);
        for (const auto& [text, lines] : values) {
            Description changed = base_;
            const auto settings = golden::settings_from_text(with_bits(lines, start_));
            if (!settings || !golden::apply(*settings, changed) || changed == base_) continue;
            option.values.push_back({text, {}, {}, {}, lines});
        }
        options_.push_back(std::move(option));
    }
    /// The same for names that are a key's values.
    void add(const std::string& key, std::initializer_list<const char*> names,
             const Option::Inert& inert) {
        Lines values;
        for (const std::string name : names) {
            const bool bare = name == "true" || name == "false" || name[0] == '[' ||
                              std::isdigit(static_cast<unsigned char>(name[0])) != 0;
            std::string text = name;
            std::erase(text, '"');
            const char* const quote = bare ? "" : "\"";
            values.emplace_back(text, fmt::format("{0} = {1}{2}{1}", key, quote, name));
        }
        add(key, values, inert);
    }

private:
    const Network& start_;
    const Description& base_;
    std::vector<Option>& options_;
};

/// A number of every neuron as a value of TOML: one where all have the same.
std::string numbers_of(const Network& start,
                       const std::function<std::int64_t(const NeuronParams&)>& of) {
    std::string list;
    bool same = true;
    for (const NeuronParams& p : start.neurons) {
        list += (list.empty() ? "" : ", ") + std::to_string(of(p));
        same = same && of(p) == of(start.neurons.front());
    }
    return same ? std::to_string(of(start.neurons.front())) : "[" + list + "]";
}

/// What a low v does: where the description says when, the other things that it may do; else at the
/// threshold with its sign changed and, where that is not the same as another option, at 0.
void add_negative(const Network& start, const Description& base, DescribedOptions& to) {
    using golden::NegativeAction;
    if (start.neurons.empty()) return;
    if (base.threshold.negative_action != NegativeAction::None ||
        !base.threshold.negative.is_scalar(0)) {
        to.add("threshold.negative_action", {"none", "clamp", "reset", "subtract", "spike"}, never);
        to.add("threshold.negative_compare", {"<", "<="}, [](const Network&, const Description& d) {
            return d.threshold.negative_action == NegativeAction::None;
        });
        return;
    }
    const std::string mirrored =
        numbers_of(start, [](const NeuronParams& p) { return -std::int64_t{p.threshold}; });
    const std::string v_reset =
        numbers_of(start, [](const NeuronParams& p) { return std::int64_t{p.v_reset}; });
    DescribedOptions::Lines values;
    const auto add = [&](const char* text, const char* action, const std::string& negative,
                         const std::string& reset) {
        values.emplace_back(
            text,
            fmt::format("threshold.negative_action = \"{}\"\nthreshold.negative = {}{}", action,
                        negative, reset.empty() ? "" : "\nthreshold.negative_reset = " + reset));
    };
    add("clamp at -threshold", "clamp", mirrored, {});
    add("reset to 0 at -threshold", "reset", mirrored, "0");
    if (v_reset != "0") add("reset to v_reset at -threshold", "reset", mirrored, v_reset);
    add("subtract at -threshold", "subtract", mirrored, {});
    add("spike at -threshold", "spike", mirrored, {});
    if (v_reset != "0") add("reset to v_reset at 0", "reset", "0", v_reset);
    to.add("threshold.negative_action", values, never);
}

/// @param everything  also values that the network's Arithmetic has, since [golden] is stronger
void add_described(const Network& start, const Description& base, bool everything,
                   std::vector<Option>& options) {
    using Lines = DescribedOptions::Lines;
    DescribedOptions to(start, base, options);
    const auto no_refractory = [](const Network& net, const Description& d) {
        return d.refractory.steps == golden::Param::network() &&
               std::ranges::none_of(net.neurons,
                                    [](const NeuronParams& p) { return p.refractory > 0; });
    };
    const auto no_subtraction = [](const Network&, const Description& d) {
        return d.reset.kind != golden::ResetKind::Subtract;
    };
    const auto sums_wrap = [](const Network&, const Description& d) {
        return d.synapse.overflow == golden::OverflowRule::wrap();
    };
    const auto no_threshold_noise = [](const Network&, const Description& d) {
        return d.adaptation.effect != golden::Effect::Threshold &&
               std::ranges::none_of(d.noise, [](const golden::Noise& n) {
                   return n.use == golden::NoiseUse::Threshold;
               });
    };
    if (everything) {
        to.add("leak.rounding",
               {"floor", "toward_zero", "away_from_zero", "nearest_even", "up", "half_up",
                "half_away", "stochastic"},
               never);
        to.add("leak.form", {"auto", "keep", "subtract", "add"}, never);
    } else {
        to.add("leak.rounding", {"up", "half_up", "half_away"}, never);
        if (start.arithmetic.leak_mode == LeakMode::Shift)
            to.add("leak.form", {"add", "keep"}, never);
        else
            to.add("leak.form", {"subtract", "add"}, never);
    }
    to.add("leak.input",
           Lines{{"apart", "leak.input = \"apart\""},
                 {"inside, added", "leak.input = \"inside\"\nleak.form = \"add\""},
                 {"inside, subtracted", "leak.input = \"inside\"\nleak.form = \"subtract\""}},
           never);
    Lines kinds{{"constant", "leak.kind = \"constant\"\nleak.past = \"stop\""},
                {"constant, past 0", "leak.kind = \"constant\"\nleak.past = \"continue\""}};
    if (everything)
        for (const char* kind : {"none", "shift", "multiply"})
            kinds.emplace_back(kind, fmt::format("leak.kind = \"{}\"", kind));
    to.add("leak.kind", kinds, never);
    Lines whens{{"always", "leak.when = \"always\""},
                {"without_input", "leak.when = \"without_input\""},
                {"without_event", "leak.when = \"without_event\""}};
    if (base.semantics == Semantics::Event)
        whens.emplace_back("lazy",
                           "leak.when = \"lazy\"\non_event = [\"leak\", \"integrate\", "
                           "\"threshold\"]\non_tick = [\"threshold\"]");
    to.add("leak.when", whens, never);
    to.add(
        "order",
        Lines{{"leak, integrate, threshold", "order = [\"leak\", \"integrate\", \"threshold\"]"},
              {"integrate, leak, threshold", "order = [\"integrate\", \"leak\", \"threshold\"]"},
              {"threshold, leak, integrate", "order = [\"threshold\", \"leak\", \"integrate\"]"}},
        never);
    to.add("threshold.on", {"next", "previous", "pre_leak"}, never);
    to.add("threshold.unsigned", {"true", "false"}, never);
    if (everything) to.add("threshold.compare", {">=", ">"}, never);
    if (everything)
        to.add("reset.kind", {"value", "subtract", "zero", "rest", "none"}, never);
    else
        to.add("reset.kind", {"none"}, never);
    to.add("reset.by", {"effective", "base"}, no_threshold_noise);
    add_negative(start, base, to);
    to.add("reset.delay", {"true", "false"}, never);
    to.add("reset.overflow", Lines{{"wrap", "reset.bits = {v_bits}\nreset.overflow = \"wrap\""}},
           no_subtraction);
    to.add("refractory.during", {"hold", "drop", "accumulate"}, no_refractory);
    Lines overflows{{"clamp_zero", "v.overflow = \"clamp_zero\""},
                    {"only high saturates", "v.overflow = {low = \"wrap\", high = \"saturate\"}"},
                    {"only low saturates", "v.overflow = {low = \"saturate\", high = \"wrap\"}"}};
    if (everything)
        for (const char* rule : {"wrap", "saturate"})
            overflows.emplace_back(rule, fmt::format("v.overflow = \"{}\"", rule));
    to.add("v.overflow", overflows, never);
    to.add("v.signed", {"true", "false"}, never);
    if (any_cuba(start)) {
        to.add("input.bias_into", {"input", "v"}, no_cuba);
        to.add("u.drive", {"next", "previous"}, no_cuba);
    }
    if (!start.synapses.empty()) {
        to.add("synapse.fit", {"each", "sum"}, sums_wrap);
        if (everything) to.add("synapse.overflow", {"wrap", "saturate"}, never);
        to.add("synapse.duplicates", {"delivered", "merged", "counted"}, never);
        to.add("synapse.weights_unsigned", {"true", "false"}, never);
    }
}

/// Event-driven semantics, and what is chosen inside it.
void add_event(const Network& start, const Description& base, std::vector<Option>& options) {
    DescribedOptions to(start, base, options);
    if (start.synapses.empty()) return;
    to.add("semantics", {"timestep", "event"}, never);
    to.add("on_event",
           {R"(["integrate", "threshold"])", R"(["leak", "integrate", "threshold"])",
            R"(["integrate"])"},
           not_event);
    to.add("on_tick",
           {R"(["leak"])", R"(["threshold"])", R"(["leak", "threshold"])",
            R"(["integrate", "leak"])", R"(["leak", "integrate", "threshold"])"},
           not_event);
    to.add("event.updates", {"reached", "all"}, not_event);
    to.add("event.closed_loop", {"true", "false"}, not_event);
    to.add("event.fifo_depth",
           {"0",  "1",  "2",   "3",   "4",   "7",   "8",   "15",  "16",   "31",  "32",
            "63", "64", "127", "128", "255", "256", "511", "512", "1023", "1024"},
           not_event);
    to.add("event.fifo_pop", {"start", "end"}, [](const Network& net, const Description& d) {
        return not_event(net, d) || d.event.fifo_depth == 0;
    });
    to.add("event.fifo_order", {"fifo", "any"}, not_event);
    to.add("event.output", {"fired", "accepted", "taken"}, not_event);
    to.add("event.tick", {"after_drain", "after_inputs", "first"}, not_event);
    to.add("event.after_tick", {"drain", "next"}, not_event);
}

/// Lines for [golden] that give a list of noise.
std::string noise_lines(const std::vector<golden::Noise>& noise) {
    Description d;
    d.noise = noise;
    std::string lines = "noise = " + golden::value_text(d, "noise");
    // A value that rounds is drawn for the leak; without one nothing may round at random.
    if (std::ranges::any_of(
            noise, [](const golden::Noise& n) { return n.use == golden::NoiseUse::Rounding; }))
        lines += "\nleak.rounding = \"stochastic\"";
    return lines;
}

/// Changes to the noise that the description has: of a register in all its parts, or of one part.
void add_register(const Network& start, const Description& base, std::vector<Option>& options) {
    using golden::Noise;
    DescribedOptions to(start, base, options);
    const auto same_register = [](const Noise& a, const Noise& b) {
        return a.bits == b.bits && a.taps == b.taps && a.form == b.form &&
               a.direction == b.direction && a.xnor == b.xnor && a.seed == b.seed &&
               a.shifts == b.shifts && a.advance == b.advance && a.seed_on_clear == b.seed_on_clear;
    };
    using Edit = std::function<void(Noise&)>;
    for (std::size_t i = 0; i < base.noise.size(); ++i) {
        const Noise& given = base.noise[i];
        const auto lines_with = [&](const Edit& edit, bool whole) {
            Description d = base;
            for (std::size_t k = 0; k < d.noise.size(); ++k)
                if (whole ? same_register(base.noise[k], given) : k == i) edit(d.noise[k]);
            return "noise = " + golden::value_text(d, "noise");
        };
        const auto add = [&](const std::string& key, const std::string& from, bool whole,
                             const std::vector<std::pair<std::string, Edit>>& edits) {
            DescribedOptions::Lines values;
            for (const auto& [text, edit] : edits)
                values.emplace_back(text, lines_with(edit, whole));
            to.add(fmt::format("noise[{}].{}", i, key), values, never);
            options.back().values[0].text = from;
        };
        const auto numbers = [](int from, int until, int Noise::* member) {
            std::vector<std::pair<std::string, Edit>> edits;
            for (int x = from; x <= until; ++x)
                edits.emplace_back(std::to_string(x), [=](Noise& n) { n.*member = x; });
            return edits;
        };
        if (i == 0 || !std::ranges::any_of(std::span(base.noise).first(i), [&](const Noise& n) {
                return same_register(n, given);
            })) {
            std::vector<std::pair<std::string, Edit>> taps;
            for (int bit = 0; bit < given.bits; ++bit) {
                const std::int64_t other = given.taps ^ (std::int64_t{1} << bit);
                taps.emplace_back(fmt::format("{:#x}", other), [=](Noise& n) { n.taps = other; });
            }
            add("taps", fmt::format("{:#x}", given.taps), true, taps);
            using golden::Advance;
            add("advance", "as given", true,
                {{"timestep", [](Noise& n) { n.advance = Advance::Timestep; }},
                 {"event", [](Noise& n) { n.advance = Advance::Event; }},
                 {"update", [](Noise& n) { n.advance = Advance::Update; }},
                 {"neuron", [](Noise& n) { n.advance = Advance::Neuron; }}});
            add("xnor", given.xnor ? "true" : "false", true,
                {{given.xnor ? "false" : "true", [](Noise& n) { n.xnor = !n.xnor; }}});
            add("shifts", std::to_string(given.shifts), true,
                numbers(std::max(1, given.shifts - 1), given.shifts + 1, &Noise::shifts));
            add("seed_on_clear", given.seed_on_clear ? "true" : "false", true,
                {{given.seed_on_clear ? "false" : "true",
                  [](Noise& n) { n.seed_on_clear = !n.seed_on_clear; }}});
        }
        add("read", given.read == golden::Read::Before ? "before" : "after", false,
            {{"before", [](Noise& n) { n.read = golden::Read::Before; }},
             {"after", [](Noise& n) { n.read = golden::Read::After; }}});
        add("lsb", std::to_string(given.lsb), false,
            numbers(0, given.bits - given.width, &Noise::lsb));
        add("width", std::to_string(given.width), false,
            numbers(std::max(1, given.width - 2), std::min(given.bits - given.lsb, given.width + 2),
                    &Noise::width));
        add("signed", given.is_signed ? "true" : "false", false,
            {{given.is_signed ? "false" : "true", [](Noise& n) { n.is_signed = !n.is_signed; }}});
        add("shift", std::to_string(given.shift), false,
            numbers(std::max(0, given.shift - 2), given.shift + 2, &Noise::shift));
    }
    // Found by the search.
    to.add("noise", DescribedOptions::Lines{}, never);
}

std::vector<Option> options_of(const Network& start, const Description& base, bool described) {
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
    const auto shifts = [](const Network& net, const Description&) {
        return net.arithmetic.leak_mode == LeakMode::Shift;
    };
    const auto subtracts = [](const Network& net, const Description&) {
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
    add_described(start, base, described, options);
    add_event(start, base, options);
    add_register(start, base, options);
    return options;
}

}  // namespace

std::size_t n_changes(const Choice& choice) {
    return choice.size() - static_cast<std::size_t>(std::ranges::count(choice, 0));
}

Result<Description> describe_with(const Network& network,
                                  const std::optional<golden::Setting>& description,
                                  const std::string& lines) {
    Description d = golden::describe(network);
    if (description)
        if (Status good = golden::apply(*description, d); !good) return good.error();
    if (lines.empty()) return d;
    Result<golden::Setting> settings = golden::settings_from_text(lines);
    if (!settings) return settings.error();
    if (Status good = golden::apply(*settings, d); !good) return good.error();
    return d;
}

Result<std::unique_ptr<trace::StepSource>> golden_of(Network network, Description description) {
    const auto finish = [](auto source) -> Result<std::unique_ptr<trace::StepSource>> {
        if (!source) return source.error();
        return std::unique_ptr<trace::StepSource>(std::move(*source));
    };
    if (golden::is_plain(network, description))
        return finish(golden::GoldenSource::create(std::move(network)));
    return finish(golden::DescribedSource::create(std::move(network), std::move(description)));
}

Options::Options(const Network& start, const std::optional<golden::Setting>& description)
    : start_(start), description_(description) {
    head_.arithmetic = start.arithmetic;
    head_.neurons = start.neurons;
    const Result<Description> base = describe_with(start, description, {});
    all_ = options_of(start, base ? *base : golden::describe(start), description.has_value());
    noise_option_ = all_.size() - 1;
}

std::uint8_t Options::add_noise(const std::vector<golden::Noise>& noise) {
    std::vector<Value>& values = all_[noise_option_].values;
    const std::string lines = noise_lines(noise);
    for (std::size_t v = 1; v < values.size(); ++v)
        if (values[v].golden == lines) return static_cast<std::uint8_t>(v);
    std::string text;
    for (const golden::Noise& n : noise)
        text += fmt::format("{}{:#x} [{}:{}] for {}", text.empty() ? "" : ", ", n.taps,
                            n.lsb + n.width - 1, n.lsb,
                            n.use == golden::NoiseUse::Rounding    ? "rounding"
                            : n.use == golden::NoiseUse::Threshold ? "the threshold"
                                                                   : "v");
    values.push_back({text, {}, {}, {}, lines});
    return static_cast<std::uint8_t>(values.size() - 1);
}

void Options::apply(const Choice& choice, Network& head) const {
    for (std::size_t o = 0; o < choice.size(); ++o)
        if (const Value& v = all_[o].values[choice[o]]; v.apply) v.apply(head, start_);
}

bool Options::has_lines(const Choice& choice) const {
    for (std::size_t o = 0; o < choice.size(); ++o)
        if (!all_[o].values[choice[o]].golden.empty()) return true;
    return false;
}

Result<Made> Options::make(const Choice& choice) const {
    Network head = head_;
    apply(choice, head);
    std::string lines;
    for (std::size_t o = 0; o < choice.size(); ++o)
        if (const Value& v = all_[o].values[choice[o]]; !v.golden.empty())
            lines += with_bits(v.golden, head) + "\n";
    Result<Description> d = describe_with(head, description_, lines);
    if (!d) return d.error();
    return Made{head.arithmetic, std::move(head.neurons), std::move(*d)};
}

Result<Choice> Options::choice_of(std::span<const FitChange> changes) {
    Choice choice = none();
    for (const FitChange& change : changes) {
        const auto option = std::ranges::find(all_, change.option, &Option::name);
        if (option == all_.end())
            return Error{Errc::NotFound, "no option '" + change.option + "'", "fit"};
        auto value = std::ranges::find(option->values, change.to, &Value::text);
        if (value == option->values.end()) {
            if (change.golden.empty())
                return Error{Errc::NotFound, "no value '" + change.to + "'",
                             "fit: " + change.option};
            value = option->values.insert(value, {change.to, {}, {}, {}, change.golden});
        }
        choice[static_cast<std::size_t>(option - all_.begin())] =
            static_cast<std::uint8_t>(value - option->values.begin());
    }
    return choice;
}

bool Options::repeats(const Choice& choice, const Made& made) const {
    Network head = head_;
    head.arithmetic = made.arithmetic;
    head.neurons = made.neurons;
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (choice[o] == 0) continue;
        if (all_[o].inert(head, made.description)) return true;
        Choice without = choice;
        without[o] = 0;
        const Result<Made> other = make(without);
        if (other && *other == made) return true;
    }
    return false;
}

std::vector<FitChange> Options::changes(const Choice& choice) const {
    Network head = head_;
    apply(choice, head);
    std::vector<FitChange> list;
    for (std::size_t o = 0; o < choice.size(); ++o) {
        if (choice[o] == 0) continue;
        const Value& to = all_[o].values[choice[o]];
        list.push_back({all_[o].name, all_[o].values[0].text, to.text, to.toml, to.json,
                        with_bits(to.golden, head)});
    }
    return list;
}

golden::Network Options::network_of(const Made& made) const {
    Network net = start_;
    net.arithmetic = made.arithmetic;
    net.neurons = made.neurons;
    return net;
}

Result<std::unique_ptr<golden::DescribedSource>> Options::described_source(const Made& made) const {
    return golden::DescribedSource::create(network_of(made), made.description);
}

Result<std::unique_ptr<trace::StepSource>> Options::source(const Made& made) const {
    return golden_of(network_of(made), made.description);
}

}  // namespace spikelock::analysis::detail

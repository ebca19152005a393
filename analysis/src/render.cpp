// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "spikelock/base/text.hpp"

namespace spikelock::analysis {

namespace {
class Style {
public:
    explicit Style(bool colour) : colour_(colour) {}
    std::string bold(std::string_view text) const { return wrapped("1", text); }
    std::string red(std::string_view text) const { return wrapped("31;1", text); }
    std::string green(std::string_view text) const { return wrapped("32", text); }
    std::string dim(std::string_view text) const { return wrapped("2", text); }

private:
    std::string wrapped(const char* code, std::string_view text) const {
        if (!colour_) return std::string(text);
        return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
    }
    bool colour_;
};

/// Columns of UTF-8 text without escapes.
std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

/// Breaks a sentence into lines of at most `width` columns; later lines start with `indent` spaces.
std::string folded(std::string_view text, std::size_t start, std::size_t indent,
                   std::size_t width) {
    std::string result;
    std::size_t column = start;
    bool first = true;
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, space);
        const std::size_t length = columns(word);
        if (!first && column + 1 + length > width) {
            result += "\n" + std::string(indent, ' ');
            column = indent;
        } else if (!first) {
            result += ' ';
            ++column;
        }
        result += word;
        column += length;
        first = false;
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    return result;
}

std::string place_text(const Place& place) {
    std::string text;
    if (place.has_samples) {
        text = fmt::format("sample {}", place.sample);
        if (!place.sample_label.empty()) text += fmt::format(" ({})", place.sample_label);
        text += fmt::format(", timestep {} (step {} of the sample)", place.timestep,
                            place.step_in_sample);
    } else {
        text = fmt::format("timestep {}", place.timestep);
    }
    return fmt::format("{}, neuron {}, field {}", text, place.neuron_name, place.field);
}

std::string value_text(std::int64_t raw, bool in_units, double value) {
    return in_units ? fmt::format("{} ({:g})", raw, value) : fmt::format("{}", raw);
}

/// One column of the window table: a field on one side.
struct Cells {
    std::string name;
    std::vector<std::string> text;
    std::vector<bool> differs;
    std::size_t width = 0;
    void fit() {
        width = columns(name);
        for (const std::string& cell : text) width = std::max(width, columns(cell));
    }
};

std::string cell(const trace::ExecutionTrace& trace, int field, std::uint64_t t,
                 std::uint32_t neuron) {
    if (!trace.holds(t)) return "";
    if (!trace.valid(t)) return "?";
    if (field < 0) return trace.spike(t, neuron) ? "1" : ".";
    const auto f = static_cast<std::size_t>(field);
    if (!trace.valid(f, t, neuron)) return "?";
    return trace.shape().fields[f].is_float ? fmt::format("{:.4g}", trace.value(f, t, neuron))
                                            : fmt::format("{}", trace.raw(f, t, neuron));
}

std::string window_table(const DivergenceReport& report, const RenderOptions& options) {
    const Style style(options.colour);
    const trace::ExecutionTrace& e = report.expected_window;
    const trace::ExecutionTrace& a = report.actual_window;
    const std::uint64_t at = report.place.timestep;
    const std::uint32_t neuron = report.place.neuron;
    if (!e.holds(at) || !a.holds(at)) return {};
    const std::uint64_t begin = std::max(
        {e.first_step(), a.first_step(), at - std::min<std::uint64_t>(at, options.before)});
    const std::uint64_t end =
        std::min({std::max(e.first_step() + e.n_steps(), a.first_step() + a.n_steps()),
                  at + options.after + 1});

    std::vector<std::string> names;
    for (const trace::FieldSpec& field : a.shape().fields)
        if (e.shape().field_index(field.name) >= 0) names.push_back(field.name);
    names.emplace_back("spike");
    std::vector<Cells> left;
    std::vector<Cells> right;
    for (const std::string& name : names) {
        Cells expected{name, {}, {}, 0};
        Cells actual{name, {}, {}, 0};
        const int ef = name == "spike" ? -1 : e.shape().field_index(name);
        const int af = name == "spike" ? -1 : a.shape().field_index(name);
        for (std::uint64_t t = begin; t < end; ++t) {
            expected.text.push_back(cell(e, ef, t, neuron));
            actual.text.push_back(cell(a, af, t, neuron));
            const bool differs = expected.text.back() != actual.text.back();
            // The star keeps a difference visible without colour.
            if (differs) actual.text.back() += "*";
            expected.differs.push_back(differs);
            actual.differs.push_back(differs);
        }
        expected.fit();
        actual.fit();
        left.push_back(std::move(expected));
        right.push_back(std::move(actual));
    }
    const auto step_width = fmt::format("{}", end).size();
    const auto total = [&] {
        std::size_t sum = 2 + std::max<std::size_t>(step_width, 8) + 4;
        for (const Cells& cells : left) sum += cells.width + 2;
        for (const Cells& cells : right) sum += cells.width + 2;
        return sum;
    };
    // Too wide: fields that agree throughout go first, the diverging one never.
    while (total() > options.width && left.size() > 2) {
        std::size_t victim = left.size();
        for (std::size_t i = left.size(); i-- > 0;) {
            if (left[i].name == report.place.field || left[i].name == "spike") continue;
            const bool agrees = std::none_of(left[i].differs.begin(), left[i].differs.end(),
                                             [](bool d) { return d; });
            if (victim == left.size() || agrees) victim = i;
            if (agrees) break;
        }
        if (victim == left.size()) break;
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(victim));
        right.erase(right.begin() + static_cast<std::ptrdiff_t>(victim));
    }

    const std::size_t steps = std::max<std::size_t>(step_width, 8);
    const auto side_width = [](const std::vector<Cells>& side) {
        std::size_t sum = 0;
        for (const Cells& cells : side) sum += cells.width + 2;
        return sum;
    };
    std::string text =
        fmt::format("  {:>{}} {:>{}} | {}\n", "", steps, "expected", side_width(left), "  actual");
    const auto head = [](const std::vector<Cells>& side) {
        std::string line;
        for (const Cells& cells : side) line += fmt::format("  {:>{}}", cells.name, cells.width);
        return line;
    };
    text += fmt::format("  {:>{}} {} | {}\n", "timestep", steps, head(left), head(right));
    for (std::uint64_t t = begin; t < end; ++t) {
        const auto row = static_cast<std::size_t>(t - begin);
        std::string line = fmt::format("{} {:>{}} ", t == at ? ">" : " ", t, steps);
        const auto add = [&](const std::vector<Cells>& side, bool actual) {
            for (const Cells& cells : side) {
                const std::string padded = fmt::format("  {:>{}}", cells.text[row], cells.width);
                line += !cells.differs[row] ? padded
                        : actual            ? style.red(padded)
                                            : style.green(padded);
            }
        };
        add(left, false);
        line += " | ";
        add(right, true);
        text += line + "\n";
    }
    return text;
}

std::string counted(std::uint64_t count, const char* noun) {
    return with_commas(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string evidence_text(const Hypothesis& hypothesis) {
    const Evidence& all = hypothesis.all;
    std::string text;
    switch (hypothesis.scope) {
        case Scope::Everywhere:
            text = all.supporting > 1
                       ? fmt::format("fits all {} recorded updates in which it matters",
                                     with_commas(all.supporting))
                       : std::string("nothing recorded speaks against it");
            if (all.neither > 0)
                text += fmt::format(" ({} show a third value)", with_commas(all.neither));
            break;
        case Scope::ThisNeuron:
            text =
                fmt::format("fits this neuron ({} of {}), but not {} of others",
                            with_commas(hypothesis.neuron.supporting),
                            with_commas(hypothesis.neuron.supporting + hypothesis.neuron.neither),
                            counted(all.against, "update"));
            break;
        case Scope::ThisTime:
            if (all.against == 0)
                text = all.tested > 0 ? "a single event" : "not checked elsewhere";
            else
                text = "this time only: " + counted(all.against, "other update") +
                       (all.against == 1 ? " speaks" : " speak") + " against it";
            break;
    }
    return text;
}

/// "v = 1 leaks to 1; i_syn 108 + bias 2; v1 = 110 fires at threshold 99; v = 0".
std::string model_text(const UpdateTerms& terms) {
    const std::string bias =
        terms.bias != 0 ? fmt::format(" + bias {}", terms.bias) : std::string();
    if (terms.held && !terms.described)
        return fmt::format("refr = {}, so v stays {} and refr becomes {}", terms.refr_before,
                           terms.v, terms.refr);
    std::string line =
        terms.described
            ? fmt::format("v = {} before; i_syn {}{}", terms.v_before, terms.i_syn, bias)
            : fmt::format("v = {} leaks to {}; i_syn {}{}", terms.v_before, terms.leaked,
                          terms.i_syn, bias);
    if (terms.described && (terms.u_before != 0 || terms.u != 0))
        line += fmt::format(", u {} -> {}", terms.u_before, terms.u);
    else if (!terms.described && terms.drive != terms.i_syn + terms.bias)
        line += fmt::format(", u {} -> {}, drive {}", terms.u_before, terms.u, terms.drive);
    if (terms.refr_before != 0 && terms.described)
        line += fmt::format(", refr {} -> {}", terms.refr_before, terms.refr);
    line +=
        fmt::format("; v1 = {}{} {} threshold {}{}", terms.v1,
                    !terms.described && terms.sum != terms.v1 ? fmt::format(" (from {})", terms.sum)
                                                              : std::string(),
                    terms.spike ? "fires at" : "does not fire at", terms.threshold,
                    terms.moving_threshold ? " with what is added to it" : "");
    return line + fmt::format("; v = {}", terms.v);
}

std::string edge_amount(double value) {
    return std::abs(value - std::round(value)) < 0.05 ? fmt::format("{:+.0f}", value)
                                                      : fmt::format("{:+.1f}", value);
}

/// "w=-23 d=1 -> -23 (left: -11.5)".
std::string edge_text(const CausalEdge& edge, const CausalNode& cause) {
    std::string text;
    if (cause.kind == CauseKind::BeforeWindow) return fmt::format("{} synapses", edge.causes);
    if (cause.kind == CauseKind::Spike || cause.kind == CauseKind::Input)
        text = fmt::format("w={} d={}{} ", edge.weight, edge.delay,
                           edge.times > 1 ? fmt::format(" {}x", edge.times) : std::string());
    else if (cause.kind == CauseKind::Bias && edge.times > 1)
        text = fmt::format("{} timesteps ", edge.times);
    text += fmt::format("\xE2\x86\x92 {:+d}", edge.contribution);
    std::int64_t whole = edge.contribution;
    if (cause.kind == CauseKind::Bias && edge.times > 1) {
        whole *= edge.times;
        text += fmt::format(" each, {:+d} in all", whole);
    }
    if (std::abs(edge.decayed - static_cast<double>(whole)) >= 0.05)
        text += fmt::format(" (left: {})", edge_amount(edge.decayed));
    return text;
}

std::string balance_text(const CausalNode& node) {
    if (!node.expanded || !node.i_syn_recorded || !node.i_syn_complete) return {};
    const std::int64_t missing = *node.i_syn_recorded - node.i_syn_delivered;
    if (missing == 0) return {};
    if (!node.i_syn_overflow.empty())
        return fmt::format("i_syn delivered {} {}: {}", node.i_syn_delivered, node.i_syn_overflow,
                           *node.i_syn_recorded);
    return fmt::format("i_syn recorded {}, delivered {}: {:+d} unexplained", *node.i_syn_recorded,
                       node.i_syn_delivered, missing);
}

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        if (c == '\n')
            result += "\\n";
        else
            result += c;
    }
    return result + "\"";
}
}  // namespace

std::string render(const DivergenceReport& report, const RenderOptions& options) {
    const Style style(options.colour);
    const std::size_t width = options.width;
    std::string text =
        style.bold("first divergence: ") + folded(place_text(report.place), 18, 2, width) + "\n";
    if (!report.differences.empty()) {
        const ReportedDifference& first = report.differences.front();
        text += fmt::format(
            "  expected {}, actual {}",
            style.green(value_text(first.raw.expected, first.in_units, first.expected_value)),
            style.red(value_text(first.raw.actual, first.in_units, first.actual_value)));
        // Spikes and bit patterns have no difference that says anything.
        if (report.place.field != "spike" &&
            (!first.in_units || std::abs(first.expected_value) < 1e300))
            text += first.in_units
                        ? fmt::format(", off by {:+g}", first.actual_value - first.expected_value)
                        : fmt::format(", off by {:+d}", first.raw.actual - first.raw.expected);
        text += "\n";
    }
    text += report.last_agreed
                ? fmt::format("  all agreed up to and including timestep {}\n", *report.last_agreed)
                : std::string("  nothing agreed before it\n");
    if (report.first_spike)
        text +=
            folded(fmt::format("  spikes part later: {} at timestep {} ({})",
                               report.first_spike->neuron_name, report.first_spike->timestep,
                               report.spike_expected ? "expected, missing" : "not expected, there"),
                   0, 4, width) +
            "\n";
    if (report.n_differences > 1) {
        text += fmt::format("  {} values differ in this timestep:\n",
                            with_commas(report.n_differences));
        const std::size_t listed =
            std::min(report.differences.size(), std::max<std::size_t>(options.most_differences, 1));
        for (std::size_t i = 0; i < listed; ++i) {
            const ReportedDifference& difference = report.differences[i];
            text += fmt::format(
                "    {:<16} {:<6} expected {}, actual {}\n", difference.neuron,
                difference.raw.field,
                value_text(difference.raw.expected, difference.in_units, difference.expected_value),
                value_text(difference.raw.actual, difference.in_units, difference.actual_value));
        }
        if (listed < report.n_differences)
            text += fmt::format("    and {} more\n", with_commas(report.n_differences - listed));
    }
    for (const std::string& line : report.not_compared)
        text += "  " + folded("not compared: " + line, 2, 4, width) + "\n";
    for (const std::string& line : report.masked)
        text += "  " + folded("masked: " + line, 2, 4, width) + "\n";
    const std::string table = window_table(report, options);
    if (!table.empty())
        text += "\n" + style.bold(report.place.neuron_name) + " around it" +
                style.dim("  (* differs)") + "\n" + table;
    return text;
}

std::string render(const Explanation& explanation, const RenderOptions& options) {
    const Style style(options.colour);
    const std::size_t width = options.width;
    std::string text =
        style.bold("first term that parts: ") + folded(explanation.term, 23, 2, width) + "\n";
    for (const std::string& fact : explanation.facts)
        text += "  - " + folded(fact, 4, 4, width) + "\n";
    if (explanation.model)
        text += "  " + folded("model: " + model_text(*explanation.model), 2, 4, width) + "\n";
    if (explanation.actual_follows_model) {
        text += "  " +
                folded(
                    "no hypotheses: the core does what docs/model.md says, without any change; "
                    "the golden is what differs",
                    2, 4, width) +
                "\n";
    } else if (explanation.hypotheses.empty()) {
        text += "  " +
                folded(fmt::format("none of {} {} gives the actual value", explanation.alternatives,
                                   explanation.ways),
                       2, 4, width) +
                "\n";
    } else {
        text +=
            style.bold("hypotheses") + fmt::format(" ({} {} tried; these give the actual value)\n",
                                                   explanation.alternatives, explanation.ways);
        std::size_t number = 0;
        for (const Hypothesis& hypothesis : explanation.hypotheses) {
            text +=
                fmt::format("  {:>2}. ", ++number) + folded(hypothesis.text, 6, 6, width) + "\n";
            std::string note = evidence_text(hypothesis);
            if (!hypothesis.whole) note += "; explains this field, not the whole update";
            if (hypothesis.explained_neurons > 1)
                note += fmt::format("; explains {} neurons of this timestep",
                                    hypothesis.explained_neurons);
            if (hypothesis.broken_neurons > 0)
                note += fmt::format("; would change {} that agree", hypothesis.broken_neurons);
            if (hypothesis.alike > 0) note += fmt::format("; {} more alike", hypothesis.alike);
            text += "      " + style.dim(folded(note, 6, 6, width)) + "\n";
        }
    }
    for (const std::string& limit : explanation.limits)
        text += "  " + folded("limit: " + limit, 2, 4, width) + "\n";
    return text;
}

std::string render(const CausalChain& chain, const RenderOptions& options) {
    if (chain.nodes.empty()) return {};
    const Style style(options.colour);
    std::string text = style.bold(chain.nodes[0].label) + " " + chain.field +
                       (chain.connectivity ? ""
                                           : ", all earlier spikes (no network: earlier is "
                                             "not because)") +
                       "\n";
    std::vector<std::vector<const CausalEdge*>> causes(chain.nodes.size());
    for (const CausalEdge& edge : chain.edges) causes[edge.effect].push_back(&edge);
    std::vector<bool> drawn(chain.nodes.size(), false);
    drawn[0] = true;
    if (const std::string balance = balance_text(chain.nodes[0]); !balance.empty())
        text += "  " + style.red(balance) + "\n";
    struct Frame {
        std::size_t node;
        std::size_t next;
        std::string prefix;
    };
    // Depth first with an own stack: a chain may be deeper than the call stack should be.
    std::vector<Frame> stack{{0, 0, ""}};
    while (!stack.empty()) {
        Frame& frame = stack.back();
        if (frame.next == causes[frame.node].size()) {
            stack.pop_back();
            continue;
        }
        const CausalEdge& edge = *causes[frame.node][frame.next++];
        const bool last = frame.next == causes[frame.node].size();
        const CausalNode& cause = chain.nodes[edge.cause];
        text += frame.prefix + (last ? "\xE2\x94\x94 " : "\xE2\x94\x9C ") + cause.label;
        if (chain.connectivity) text += "  " + style.dim(edge_text(edge, cause));
        if (cause.kind == CauseKind::Input) text += " input";
        if (cause.before_window) text += ", reaches before the recorded window";
        if (const std::string balance = balance_text(cause); !balance.empty())
            text += ", " + style.red(balance);
        const bool again = drawn[edge.cause] && !causes[edge.cause].empty();
        if (again) text += " (above)";
        text += "\n";
        if (!again && !causes[edge.cause].empty()) {
            drawn[edge.cause] = true;
            // `frame` dies with the push.
            std::string prefix = frame.prefix + (last ? "  " : "\xE2\x94\x82 ");
            stack.push_back({edge.cause, 0, std::move(prefix)});
        }
    }
    return text;
}

std::string render(const SpikeDiff& diff, const trace::Shape& shape, const RenderOptions& options) {
    const Style style(options.colour);
    std::string text = style.bold("spikes: ") +
                       fmt::format("{} expected, {} actual, {} missing, {} extra\n",
                                   with_commas(diff.total.expected), with_commas(diff.total.actual),
                                   with_commas(diff.total.missing), with_commas(diff.total.extra));
    text += fmt::format("  {} mismatches in {} timesteps of {} neurons ({:.3g} %)\n",
                        with_commas(diff.total.mismatches()), with_commas(diff.steps_compared),
                        with_commas(diff.n_neurons), diff.rate() * 100.0);
    if (diff.steps_invalid > 0)
        text += fmt::format("  {} timesteps were not compared: invalid\n",
                            with_commas(diff.steps_invalid));
    if (diff.steps_unmatched > 0)
        text += fmt::format("  {} timesteps were not compared: only one side has them\n",
                            with_commas(diff.steps_unmatched));
    if (diff.first)
        text += fmt::format("  first: {} at timestep {} ({})\n",
                            shape.neuron_name(diff.first->neuron), diff.first->timestep,
                            diff.first_is_missing ? "expected, missing" : "not expected, there");
    if (const int lag = diff.lag(); lag != 0)
        text += "  " +
                folded(fmt::format("the actual side looks one timestep {}: moved by {:+d}, only {} "
                                   "mismatches are left",
                                   lag < 0 ? "late" : "early", lag,
                                   with_commas(diff.mismatches_at_lag[lag < 0 ? 0 : 2])),
                       2, 4, options.width) +
                "\n";
    for (const PopulationTally& population : diff.populations)
        if (population.tally.mismatches() > 0)
            text += fmt::format("  {:<16} {} missing, {} extra of {} expected\n", population.label,
                                with_commas(population.tally.missing),
                                with_commas(population.tally.extra),
                                with_commas(population.tally.expected));
    std::vector<std::uint32_t> worst;
    for (std::uint32_t n = 0; n < diff.neurons.size(); ++n)
        if (diff.neurons[n].mismatches() > 0) worst.push_back(n);
    std::stable_sort(worst.begin(), worst.end(), [&diff](std::uint32_t a, std::uint32_t b) {
        return diff.neurons[a].mismatches() > diff.neurons[b].mismatches();
    });
    const std::size_t listed = std::min(worst.size(), options.most_spikes);
    if (listed > 0) text += "  neurons that differ most:\n";
    for (std::size_t i = 0; i < listed; ++i)
        text += fmt::format("    {:<16} {} missing, {} extra\n", shape.neuron_name(worst[i]),
                            with_commas(diff.neurons[worst[i]].missing),
                            with_commas(diff.neurons[worst[i]].extra));
    if (listed < worst.size())
        text += fmt::format("    and {} more\n", with_commas(worst.size() - listed));
    return text;
}

std::string to_dot(const CausalChain& chain) {
    std::string text =
        "digraph causes {\n"
        "  rankdir=TB;\n"
        "  node [fontname=\"Helvetica\", shape=ellipse];\n"
        "  edge [fontname=\"Helvetica\", fontsize=10];\n";
    for (std::size_t i = 0; i < chain.nodes.size(); ++i) {
        const CausalNode& node = chain.nodes[i];
        std::string label = node.label;
        if (i == 0) label += " " + chain.field;
        if (const std::string balance = balance_text(node); !balance.empty())
            label += "\n" + balance;
        if (node.before_window) label += "\nreaches before the recorded window";
        std::string look;
        switch (node.kind) {
            case CauseKind::Effect:
                look = ", shape=doubleoctagon";
                break;
            case CauseKind::Input:
                look = ", shape=box";
                break;
            case CauseKind::Rest:
            case CauseKind::BeforeWindow:
                look = ", shape=plaintext";
                break;
            case CauseKind::Bias:
            case CauseKind::Current:
            case CauseKind::State:
                look = ", shape=note";
                break;
            case CauseKind::Spike:
                break;
        }
        text += fmt::format("  n{} [label={}{}];\n", i, quoted(label), look);
    }
    for (const CausalEdge& edge : chain.edges) {
        const CausalNode& cause = chain.nodes[edge.cause];
        text += fmt::format("  n{} -> n{} [label={}{}];\n", edge.cause, edge.effect,
                            quoted(chain.connectivity ? edge_text(edge, cause)
                                                      : fmt::format("{} earlier", edge.delay)),
                            edge.contribution < 0 ? ", style=dashed" : "");
    }
    return text + "}\n";
}

}  // namespace spikelock::analysis

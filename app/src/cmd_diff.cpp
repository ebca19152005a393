// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "command_line.hpp"
#include "report.hpp"
#include "spikelock/analysis/alignment.hpp"
#include "spikelock/analysis/trace_source.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/recording.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "wave_source.hpp"

namespace spikelock::app {

namespace {
struct DiffOptions {
    std::string expected;
    std::string actual;
    std::vector<std::string> fields;
    std::vector<std::string> masks;
    std::vector<std::string> tolerances;
    // Once for both sides, or once for each.
    std::vector<std::string> columns;
    std::vector<std::string> field;
    std::vector<std::string> orientation;
    std::vector<std::string> dt;
    std::uint64_t steps = 0;
    std::uint32_t neurons = 0;
    bool align = false;
    std::uint32_t max_lag = 16;
    std::uint64_t collect = 1;
    bool allow_vacuous = false;
    bool spikes = false;
    bool chain = false;
    bool json = false;
    WaveformOptions waves;
};

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        parts.push_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return parts;
}

/// Feeds the blocks of a lockstep run over two traces to a SpikeDiffer: both sides where they
/// differ, one where they agree.
Result<analysis::SpikeDiff> count_spikes(trace::RecordedTrace& expected,
                                         trace::RecordedTrace& actual) {
    Result<analysis::SpikeDiffer> differ =
        analysis::SpikeDiffer::create(expected.shape(), actual.shape());
    if (!differ) return differ.error();
    if (Status s = expected.seek(expected.first_step()); !s) return s.error();
    if (Status s = actual.seek(actual.first_step()); !s) return s.error();
    for (;;) {
        auto a = expected.read(4096);
        if (!a) return a.error();
        const auto* left = std::get_if<trace::BlockView>(&*a);
        if (!left) break;
        std::uint32_t done = 0;
        while (done < left->n_steps) {
            auto b = actual.read(left->n_steps - done);
            if (!b) return b.error();
            const auto* right = std::get_if<trace::BlockView>(&*b);
            if (!right) {
                differ->feed_unmatched(left->n_steps - done);
                return differ->result();
            }
            const std::size_t words = expected.shape().spike_words();
            trace::BlockView part;
            part.first = left->first + done;
            part.n_steps = right->n_steps;
            part.spikes = left->spikes.subspan(done * words, right->n_steps * words);
            if (!left->valid.empty()) part.valid = left->valid.subspan(done, right->n_steps);
            if (!left->counts.empty())
                part.counts = left->counts.subspan(
                    static_cast<std::size_t>(done) * expected.shape().n_neurons,
                    static_cast<std::size_t>(right->n_steps) * expected.shape().n_neurons);
            differ->feed(part, *right);
            done += right->n_steps;
        }
    }
    return differ->result();
}

/// One side in memory, with what was assumed to read it.
struct Side {
    trace::ExecutionTrace trace;
    std::string provenance;  ///< JSON; empty where the file has none
    bool dt_known = true;
    std::vector<std::string> notes;
};

std::string nth(const std::vector<std::string>& values, std::size_t side) {
    if (values.empty()) return {};
    return values[std::min(side, values.size() - 1)];
}

Result<Side> load_side(const DiffOptions& o, std::size_t number) {
    const std::string& path = number == 0 ? o.expected : o.actual;
    if (is_waveform(path)) {
        Side wave;
        Result<trace::ExecutionTrace> whole =
            load_waveform(path, o.waves, wave.notes, wave.provenance);
        if (!whole) return whole.error();
        wave.trace = std::move(*whole);
        return wave;
    }
    Result<bridge::RecordingFormat> format = bridge::recording_format(path);
    if (!format) return format.error();
    Side side;
    if (*format == bridge::RecordingFormat::Trace) {
        Result<std::unique_ptr<trace::RecordedTrace>> opened = trace::open_trace(path);
        if (!opened) return opened.error();
        const trace::RecordedTrace& t = **opened;
        const double values = static_cast<double>(t.n_steps()) * t.shape().n_neurons *
                              static_cast<double>(t.shape().fields.size() + 1);
        if (values > static_cast<double>(bridge::kMostRecordingValues))
            return Error{Errc::Limit,
                         "too long to be compared with another format, aligned or with tolerances, "
                         "which happens in memory (2^27 values)",
                         path};
        Result<trace::ExecutionTrace> whole =
            trace::load_trace(path, t.first_step(), std::max<std::uint64_t>(t.n_steps(), 1));
        if (!whole) return whole.error();
        side.trace = std::move(*whole);
        side.provenance = t.provenance();
        return side;
    }
    bridge::RecordingOptions options;
    options.columns = split(nth(o.columns, number));
    options.field = nth(o.field, number);
    options.transposed = nth(o.orientation, number) == "nt";
    options.n_steps = o.steps;
    options.n_neurons = o.neurons;
    if (const std::string dt = nth(o.dt, number); !dt.empty()) options.dt = std::stod(dt);
    Result<bridge::Recording> recording = bridge::read_recording(path, options);
    if (!recording) return recording.error();
    side.trace = std::move(recording->trace);
    side.dt_known = recording->dt_known;
    for (const std::string& note : recording->notes) side.notes.push_back(path + ": " + note);
    return side;
}

/// A file that says nothing of its timestep has that of the other.
void adopt_dt(Side& side, const Side& other) {
    if (side.dt_known) return;
    trace::Shape shape = side.trace.shape();
    shape.dt = other.trace.dt();
    trace::ExecutionTrace same(shape, side.trace.first_step());
    same.append(side.trace.view());
    side.trace = std::move(same);
}

/// What would make two traces of different shape comparable.
std::string shape_hint(const Side& expected, const Side& actual) {
    const auto& e = expected.trace;
    const auto& a = actual.trace;
    if (e.n_neurons() == a.n_neurons() || a.n_steps() != e.n_neurons()) return {};
    return fmt::format(
        "; {} timesteps of {} neurons and {} timesteps of {} neurons: the actual array looks "
        "transposed, try --align, or --orientation tn --orientation nt",
        e.n_steps(), e.n_neurons(), a.n_steps(), a.n_neurons());
}

std::string lag_sentence(const analysis::LagHint& hint, const std::string& where) {
    const std::string late =
        fmt::format("{:+} timestep{} (actual is {})", hint.lag, std::abs(hint.lag) == 1 ? "" : "s",
                    hint.lag > 0 ? "late" : "early");
    if (hint.match) return where + "would match if shifted by " + late + "; --align does so";
    return fmt::format(
        "{}a lag of {} explains more: {} instead of {} of {} spike bits differ; see --align", where,
        late, with_commas(hint.mismatches_after), with_commas(hint.mismatches_before),
        with_commas(hint.spike_bits));
}

/// Whether a lag makes more of two recorded traces match, looked for around their divergence.
std::optional<std::string> recorded_lag(trace::RecordedTrace& expected,
                                        trace::RecordedTrace& actual,
                                        const lockstep::Outcome& outcome) {
    constexpr std::uint64_t kMostValues = std::uint64_t{1} << 24;
    const std::uint64_t row =
        std::uint64_t{expected.shape().n_neurons} * (expected.shape().fields.size() + 1);
    const std::uint64_t most =
        std::max<std::uint64_t>(kMostValues / std::max<std::uint64_t>(row, 1), 64);
    const std::uint64_t before = std::min<std::uint64_t>(most / 4, 4096);
    const std::uint64_t at = outcome.first->timestep;
    const std::uint64_t first =
        std::max({at > before ? at - before : 0, expected.first_step(), actual.first_step()});
    Result<trace::ExecutionTrace> e = trace::load_trace(expected.path(), first, most);
    if (!e) return std::nullopt;
    Result<trace::ExecutionTrace> a = trace::load_trace(actual.path(), first, most);
    if (!a) return std::nullopt;
    const auto hint = analysis::find_lag(*e, *a, outcome.compared_fields);
    if (!hint) return std::nullopt;
    const bool whole = e->n_steps() == expected.n_steps() && a->n_steps() == actual.n_steps();
    return lag_sentence(*hint, whole ? std::string{}
                                     : fmt::format("timesteps {} to {}: ", with_commas(first),
                                                   with_commas(first + e->n_steps() - 1)));
}

int report(const DiffOptions& o, Console& console, const lockstep::Outcome& outcome,
           const trace::Shape& shape, const std::vector<trace::Sample>& samples,
           Findings& findings) {
    findings.outcome = &outcome;
    findings.headline = lockstep::headline(outcome, shape);
    findings.shape = shape;
    findings.n_neurons = shape.n_neurons;
    if (outcome.first) {
        findings.divergence = analysis::describe(outcome, shape, samples);
        if (o.chain) {
            // A trace holds no synapses: all that can be said is what fired before.
            const analysis::Place& place = findings.divergence->place;
            Result<analysis::CausalChain> chain = analysis::causal_chain_without_connectivity(
                outcome.actual_window, place.neuron, place.timestep);
            if (!chain) return console.fail(chain.error());
            findings.chain = std::move(*chain);
        }
    }
    findings.reproduce = console.command_line;
    o.json ? print_json(findings, console) : print_text(findings, console);
    return outcome.interrupted ? static_cast<int>(ExitCode::Interrupted)
                               : lockstep::exit_code(outcome.verdict);
}

/// Where both sides come from, as far as they say.
std::string provenance_of(const std::string& expected, const std::string& actual) {
    const auto parsed = [](const std::string& text) {
        const auto j = nlohmann::ordered_json::parse(text, nullptr, false);
        return j.is_discarded() ? nlohmann::ordered_json() : j;
    };
    nlohmann::ordered_json j;
    j["expected"] = parsed(expected);
    j["actual"] = parsed(actual);
    return j.dump();
}

/// Files of other formats, alignment and tolerances: in memory.
int diff_in_memory(const DiffOptions& o, lockstep::Options& options,
                   const std::vector<analysis::Tolerance>& tolerances, Console& console) {
    Result<Side> expected = load_side(o, 0);
    if (!expected) return console.fail(expected.error());
    Result<Side> actual = load_side(o, 1);
    if (!actual) return console.fail(actual.error());
    adopt_dt(*expected, *actual);
    adopt_dt(*actual, *expected);
    Findings findings;
    findings.provenance = provenance_of(expected->provenance, actual->provenance);
    for (const Side* side : {&*expected, &*actual})
        findings.notes.insert(findings.notes.end(), side->notes.begin(), side->notes.end());
    const std::string both = o.expected + " and " + o.actual;
    if (o.align) {
        analysis::AlignOptions align;
        align.max_lag = o.max_lag;
        Result<analysis::Alignment> alignment =
            analysis::find_alignment(expected->trace, actual->trace, align);
        if (!alignment)
            return console.fail({alignment.error().code, alignment.error().message, both});
        for (const std::string& sentence : analysis::sentences(*alignment))
            findings.notes.push_back("assumed: " + sentence);
        if (!alignment->any()) findings.notes.emplace_back("assumed: nothing");
        analysis::AlignedPair pair = analysis::apply(*alignment, expected->trace, actual->trace);
        if (pair.expected.n_steps() == 0)
            return console.fail({Errc::Mismatch, "no timestep is in both of them", both});
        expected->trace = std::move(pair.expected);
        actual->trace = std::move(pair.actual);
    }
    if (!tolerances.empty()) {
        Result<std::vector<analysis::Tolerated>> passed =
            analysis::tolerate(expected->trace, actual->trace, tolerances);
        if (!passed) return console.fail({passed.error().code, passed.error().message, both});
        for (const analysis::Tolerated& t : *passed)
            findings.notes.push_back(fmt::format(
                "tolerance of {}: {} values differ within it, {} beyond; largest difference {:.4g}",
                t.field, with_commas(t.values), with_commas(t.beyond), t.worst));
    }
    for (const std::string& name : analysis::unify_formats(expected->trace, actual->trace))
        findings.notes.push_back(name + " is stored differently: compared as float64, in units");
    options.samples = actual->trace.samples();
    const auto left = analysis::make_trace_source(expected->trace);
    const auto right = analysis::make_trace_source(actual->trace);
    Result<lockstep::Outcome> outcome = lockstep::run(*left, *right, nullptr, options);
    if (!outcome) {
        Error error = outcome.error();
        error.message += shape_hint(*expected, *actual);
        if (error.where.empty()) error.where = both;
        return console.fail(error);
    }
    if (expected->trace.n_steps() != actual->trace.n_steps())
        findings.notes.push_back(fmt::format("{} holds {} timesteps, {} holds {}", o.expected,
                                             expected->trace.n_steps(), o.actual,
                                             actual->trace.n_steps()));
    if (outcome->first && !o.align) {
        const auto hint =
            analysis::find_lag(expected->trace, actual->trace, outcome->compared_fields, o.max_lag);
        if (hint) findings.notes.push_back(lag_sentence(*hint, {}));
    }
    if (o.spikes && outcome->verdict != lockstep::Verdict::Match) {
        Result<analysis::SpikeDiffer> differ =
            analysis::SpikeDiffer::create(expected->trace.shape(), actual->trace.shape());
        if (!differ) return console.fail(differ.error());
        if (expected->trace.n_steps() == actual->trace.n_steps() &&
            expected->trace.first_step() == actual->trace.first_step())
            differ->feed(expected->trace.view(), actual->trace.view());
        findings.spikes = differ->result();
    }
    return report(o, console, *outcome, actual->trace.shape(), options.samples, findings);
}

int diff(const DiffOptions& o, Console& console) {
    lockstep::Options options;
    for (const std::string& text : o.masks) {
        Result<lockstep::Mask> mask = parse_mask(text);
        if (!mask) return console.fail(mask.error());
        options.masks.push_back(std::move(*mask));
    }
    std::vector<analysis::Tolerance> tolerances;
    for (const std::string& text : o.tolerances) {
        Result<analysis::Tolerance> tolerance = analysis::parse_tolerance(text);
        if (!tolerance) return console.fail(tolerance.error());
        tolerances.push_back(std::move(*tolerance));
    }
    options.fields = o.fields;
    options.collect = o.collect;
    options.allow_vacuous = o.allow_vacuous;
    options.stop = console.stop;
    options.max_steps = 0;
    bool streamed = !o.align && tolerances.empty();
    for (const std::string& path : {o.expected, o.actual}) {
        if (is_waveform(path)) continue;
        Result<bridge::RecordingFormat> format = bridge::recording_format(path);
        // What is no file of any known kind gets the message of the trace reader.
        streamed = streamed && (!format || *format == bridge::RecordingFormat::Trace);
        if (!format && format.error().code == Errc::Unsupported)
            return console.fail(format.error());
    }
    if (!streamed) return diff_in_memory(o, options, tolerances, console);

    std::vector<std::string> notes;
    Result<std::unique_ptr<trace::RecordedTrace>> expected =
        open_any_trace(o.expected, o.waves, notes);
    if (!expected) return console.fail(expected.error());
    Result<std::unique_ptr<trace::RecordedTrace>> actual = open_any_trace(o.actual, o.waves, notes);
    if (!actual) return console.fail(actual.error());
    options.samples.assign((*actual)->samples().begin(), (*actual)->samples().end());
    ProgressBar bar(console, "compare", "timesteps");
    const std::uint64_t total = std::max((*expected)->n_steps(), (*actual)->n_steps());
    options.progress = [&](const lockstep::Progress& p) { bar.update(p.steps_compared, total); };
    Result<lockstep::Outcome> outcome = lockstep::run(**expected, **actual, nullptr, options);
    bar.clear();
    if (!outcome) {
        Error error = outcome.error();
        if (error.where.empty()) error.where = o.expected + " and " + o.actual;
        return console.fail(error);
    }
    Findings findings;
    findings.notes = std::move(notes);
    findings.provenance = provenance_of((*expected)->provenance(), (*actual)->provenance());
    if ((*expected)->n_steps() != (*actual)->n_steps())
        findings.notes.push_back(fmt::format("{} holds {} timesteps, {} holds {}", o.expected,
                                             (*expected)->n_steps(), o.actual,
                                             (*actual)->n_steps()));
    if (outcome->first && !outcome->interrupted)
        if (auto hint = recorded_lag(**expected, **actual, *outcome))
            findings.notes.push_back(std::move(*hint));
    if (o.spikes && !outcome->interrupted && outcome->verdict != lockstep::Verdict::Match) {
        Result<analysis::SpikeDiff> spikes = count_spikes(**expected, **actual);
        if (!spikes) return console.fail(spikes.error());
        findings.spikes = std::move(*spikes);
    }
    return report(o, console, *outcome, (*actual)->shape(), options.samples, findings);
}
}  // namespace

void add_diff(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<DiffOptions>();  // shared by the parser and the callback
    auto* cmd =
        app.add_subcommand("diff",
                           "Compare two recordings (HDF5 traces, NPY, NPZ, CSV, SONATA, NIRData, "
                           "AEDAT) and report the first divergence");
    cmd->add_option("expected", o->expected, "Reference trace, or a waveform")->required();
    cmd->add_option("actual", o->actual, "Trace under test, or a waveform")->required();
    add_waveform_options(*cmd, o->waves);
    cmd->add_option("--fields", o->fields, "Compare only these fields, e.g. v,spike")
        ->delimiter(',');
    cmd->add_option("--mask", o->masks,
                    "Leave out of the comparison: FIELD[:N[-M]][@T[-U]][~BITS]");
    cmd->add_flag("--align", o->align,
                  "Find what makes the two comparable (lag, scale, time base, neuron order, "
                  "transposed arrays), say what had to be assumed, and compare then");
    cmd->add_option("--max-lag", o->max_lag, "Longest lag that is tried, timesteps")
        ->check(CLI::Range(1, 4096));
    cmd->add_option("--tol", o->tolerances,
                    "Let values differ: FIELD=abs:0.1, rel:0.01 or lsb:2, several with commas");
    const auto for_each = [cmd](const char* name, std::vector<std::string>& into,
                                const std::string& what) {
        return cmd
            ->add_option(name, into, what + " (twice: first of the reference, then of the other)")
            ->allow_extra_args(false);
    };
    for_each("--columns", o->columns,
             "Columns of a table or arrays of an NPZ file, e.g. -,v,spike, or time_us,address of "
             "address events");
    for_each("--field", o->field, "What a plain array holds: spike, v, ...");
    for_each("--orientation", o->orientation,
             "Rows and columns of an array: tn (timesteps, neurons) or nt")
        ->check(CLI::IsMember({"tn", "nt"}));
    for_each("--dt", o->dt, "Seconds per timestep")->check(CLI::PositiveNumber);
    cmd->add_option("--steps", o->steps, "Timesteps of a list of spikes");
    cmd->add_option("--neurons", o->neurons, "Neurons of a list of spikes");
    cmd->add_option("--collect", o->collect, "Collect N divergent timesteps before stopping");
    cmd->add_flag("--allow-vacuous", o->allow_vacuous,
                  "Accept traces in which nothing spiked or changed");
    cmd->add_flag(
        "--spikes", o->spikes,
        "Also count all spikes that differ, per neuron and population, over the whole traces");
    cmd->add_flag("--chain", o->chain,
                  "List the spikes before the divergence (traces hold no synapses)");
    cmd->add_flag("--json", o->json, "Print one JSON object instead of text");
    cmd->add_flag("-q,--quiet", console.quiet, "No progress");
    cmd->callback([=, &exit_code, &console] {
        o->waves.command = console.command_line;
        exit_code = diff(*o, console);
    });
}

}  // namespace spikelock::app

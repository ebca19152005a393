// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "command_line.hpp"
#include "report.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "wave_source.hpp"

namespace spikelock::app {

namespace {
struct DiffOptions {
    std::string expected;
    std::string actual;
    std::vector<std::string> fields;
    std::vector<std::string> masks;
    std::uint64_t collect = 1;
    bool allow_vacuous = false;
    bool spikes = false;
    bool chain = false;
    bool json = false;
    WaveformOptions waves;
};

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

int diff(const DiffOptions& o, Console& console) {
    lockstep::Options options;
    for (const std::string& text : o.masks) {
        Result<lockstep::Mask> mask = parse_mask(text);
        if (!mask) return console.fail(mask.error());
        options.masks.push_back(std::move(*mask));
    }
    std::vector<std::string> notes;
    Result<std::unique_ptr<trace::RecordedTrace>> expected =
        open_any_trace(o.expected, o.waves, notes);
    if (!expected) return console.fail(expected.error());
    Result<std::unique_ptr<trace::RecordedTrace>> actual = open_any_trace(o.actual, o.waves, notes);
    if (!actual) return console.fail(actual.error());
    options.fields = o.fields;
    options.collect = o.collect;
    options.allow_vacuous = o.allow_vacuous;
    options.stop = console.stop;
    options.samples.assign((*actual)->samples().begin(), (*actual)->samples().end());
    options.max_steps = 0;
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
    findings.outcome = &*outcome;
    findings.headline = lockstep::headline(*outcome, (*actual)->shape());
    findings.shape = (*actual)->shape();
    findings.n_neurons = findings.shape.n_neurons;
    if (outcome->first) {
        findings.divergence = analysis::describe(*outcome, (*actual)->shape(), options.samples);
        if (o.chain) {
            // A trace holds no synapses: all that can be said is what fired before.
            const analysis::Place& place = findings.divergence->place;
            Result<analysis::CausalChain> chain = analysis::causal_chain_without_connectivity(
                outcome->actual_window, place.neuron, place.timestep);
            if (!chain) return console.fail(chain.error());
            findings.chain = std::move(*chain);
        }
    }
    if ((*expected)->n_steps() != (*actual)->n_steps())
        findings.notes.push_back(fmt::format("{} holds {} timesteps, {} holds {}", o.expected,
                                             (*expected)->n_steps(), o.actual,
                                             (*actual)->n_steps()));
    if (o.spikes && !outcome->interrupted && outcome->verdict != lockstep::Verdict::Match) {
        Result<analysis::SpikeDiff> spikes = count_spikes(**expected, **actual);
        if (!spikes) return console.fail(spikes.error());
        findings.spikes = std::move(*spikes);
    }
    findings.reproduce = console.command_line;
    o.json ? print_json(findings, console) : print_text(findings, console);
    return outcome->interrupted ? static_cast<int>(ExitCode::Interrupted)
                                : lockstep::exit_code(outcome->verdict);
}
}  // namespace

void add_diff(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<DiffOptions>();  // shared by the parser and the callback
    auto* cmd =
        app.add_subcommand("diff", "Compare two recorded traces and report the first divergence");
    cmd->add_option("expected", o->expected, "Reference trace, or a waveform")->required();
    cmd->add_option("actual", o->actual, "Trace under test, or a waveform")->required();
    add_waveform_options(*cmd, o->waves);
    cmd->add_option("--fields", o->fields, "Compare only these fields, e.g. v,spike")
        ->delimiter(',');
    cmd->add_option("--mask", o->masks,
                    "Leave out of the comparison: FIELD[:N[-M]][@T[-U]][~BITS]");
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
    cmd->callback([=, &exit_code, &console] { exit_code = diff(*o, console); });
}

}  // namespace spikelock::app

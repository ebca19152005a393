// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "answers.hpp"
#include "command_line.hpp"
#include "core_session.hpp"
#include "experiment.hpp"
#include "golden_model.hpp"
#include "recorder.hpp"
#include "report.hpp"
#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/analysis/option_hypotheses.hpp"
#include "spikelock/analysis/render.hpp"
#include "spikelock/base/hash.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {

struct RunOptions : CoreOptions {
    std::uint64_t samples = 0;
    std::uint64_t steps = 0;
    bool list_faults = false;
    std::string record;
    bool no_record = false;
    bool record_side_bands = false;
    std::vector<std::string> fields;
    std::vector<std::string> masks;
    std::uint64_t collect = 1;
    bool allow_vacuous = false;
    std::uint32_t depth = 1;
    std::string dot;
    std::string kernel = "auto";
    std::uint32_t block_steps = 0;
};

int list_faults(const manifest::Manifest& m, const RunOptions& o, const Console& console) {
    if (o.json) {
        nlohmann::ordered_json list = nlohmann::ordered_json::array();
        for (const auto& fault : m.faults)
            list.push_back(
                {{"name", fault.name}, {"id", fault.id}, {"description", fault.description}});
        console.out << list.dump(2) << "\n";
        return 0;
    }
    if (m.faults.empty()) console.out << "this core has no injected faults (key core.faults)\n";
    for (const auto& fault : m.faults)
        fmt::print(console.out, "{:<26} {}\n", fault.name, fault.description);
    return 0;
}

std::string hash_text(const std::string& text) {
    Sha256 hash;
    hash.update(text);
    return hash.hex();
}

std::string provenance(const manifest::Manifest& m, const RunOptions& o, const Experiment& e,
                       const sim::BuiltHost& host, const Golden& golden, const Console& console) {
    nlohmann::ordered_json j;
    j["spikelock"] = SPIKELOCK_VERSION;
    j["verilator"] = host.verilator;
    j["compiler"] = host.compiler;
    j["command"] = console.command_line;
    j["core"] = m.core.name;
    j["core_key"] = host.key;
    j["network"] = hash_text(golden::to_json(e.network));
    j["golden"] = golden.name;
    j["kernel"] = golden.kernel;
    if (!golden.compiler.empty()) j["golden_compiler"] = golden.compiler;
    if (e.description) j["description"] = golden::to_toml(*e.description);
    j["fault"] = o.fault.empty() ? "none" : o.fault;
    j["seed"] = m.stimulus.seed;
    j["stimulus"] = nlohmann::ordered_json::parse(describe_stimulus(m.stimulus, *e.stimulus));
    j["power_on_seed"] = m.power_on_seed;
    std::vector<std::pair<std::string, std::string>> all = host.files;
    all.insert(all.end(), e.files.begin(), e.files.end());
    all.insert(all.end(), golden.files.begin(), golden.files.end());
    j["files"] = nlohmann::ordered_json::parse(describe_files(m, std::move(all)));
    return j.dump();
}

/// Hypotheses about the first divergence: changes to the equations of docs/model.md where those are
/// the golden's, and changes of its description where none of them says it all.
void explain(const manifest::Manifest& m, const Experiment& e,
             const analysis::Connectivity& connectivity, Findings& findings) {
    const auto failed = [&](const Error& error) {
        findings.notes.push_back("no explanation: " + error.text());
    };
    if (!e.description) {
        Result<analysis::Explanation> plain =
            analysis::explain_divergence(connectivity, e.stimulus.get(), *findings.divergence);
        if (!plain) return failed(plain.error());
        findings.explanation = std::move(*plain);
        if (m.golden.given() ||
            std::ranges::any_of(findings.explanation->hypotheses, [](const auto& h) {
                return h.whole && h.scope == analysis::Scope::Everywhere;
            }))
            return;
    }
    Result<analysis::Explanation> options = analysis::explain_by_options(
        e.network, m.golden.description, *e.stimulus, *findings.divergence);
    if (!options) return failed(options.error());
    if (!findings.explanation) {
        findings.explanation = std::move(*options);
        return;
    }
    // Those that fit everything come before those that fit this once.
    analysis::Explanation& all = *findings.explanation;
    all.alternatives += options->alternatives;
    std::erase_if(options->hypotheses,
                  [](const auto& h) { return h.scope != analysis::Scope::Everywhere; });
    all.hypotheses.insert(all.hypotheses.begin(), options->hypotheses.begin(),
                          options->hypotheses.end());
}

int run(RunOptions& o, Console& console) {
    std::vector<std::string> more;
    if (o.samples > 0) more.push_back("stimulus.max_samples=" + std::to_string(o.samples));
    Result<manifest::Manifest> loaded = load_core(o, more);
    if (!loaded) return console.fail(loaded.error());
    manifest::Manifest& m = *loaded;
    if (o.list_faults) return list_faults(m, o, console);

    const Result<std::uint32_t> asked = fault_of(m, o);
    if (!asked) return console.fail(asked.error());
    const std::uint32_t fault = *asked;
    lockstep::Options options;
    for (const std::string& text : o.masks) {
        Result<lockstep::Mask> mask = parse_mask(text);
        if (!mask) return console.fail(mask.error());
        options.masks.push_back(std::move(*mask));
    }
    Result<golden::Kernel> kernel = golden::kernel_of(o.kernel);
    if (!kernel) return console.fail(kernel.error());
    Result<Experiment> experiment = load_experiment(m);
    if (!experiment) return console.fail(experiment.error());
    Experiment& e = *experiment;

    // What [golden] and [answer] ask of the network is told before the core is built, unless the
    // core is asked for a part of it.
    const bool reads =
        std::any_of(m.maps.begin(), m.maps.end(), [](const auto& map) { return map.read; });
    if (!m.golden.given() && !reads)
        if (const Result<BuiltIn> built = make_golden(e, *kernel); !built)
            return console.fail(built.error());
    for (const trace::Sample& sample : e.stimulus->samples())
        if (o.steps == 0 || sample.begin < o.steps)
            if (Status can = sim::DutSource::can_begin(m, sample.begin, sample.start); !can)
                return console.fail(can.error());
    // Where the answers are read off, for the three models side by side.
    std::optional<trace::Population> answers;
    if (!m.answer_population.empty()) {
        Result<trace::Population> population = e.network.shape().population(m.answer_population);
        if (!population)
            return console.fail(
                {population.error().code, population.error().message, m.path + ": [answer]"});
        answers = *population;
    }
    // A place to record that cannot be written is told before anything long starts.
    std::string trace_file;
    if (!o.no_record) {
        trace_file = !o.record.empty() ? o.record
                                       : "spikelock-out/" + m.core.name +
                                             (fault != 0 ? "-" + o.fault : std::string()) + ".h5";
        std::error_code code;
        if (const fs::path folder = fs::path(trace_file).parent_path(); !folder.empty())
            fs::create_directories(folder, code);
        if (code)
            return console.fail({Errc::Io,
                                 "cannot create the folder for the trace: " + code.message() +
                                     "; choose another with --record FILE, or --no-record",
                                 trace_file});
    }
    console.step(fmt::format(
        "network: {} neurons, {} synapses, {} inputs; stimulus: {} timesteps in {} samples",
        with_commas(e.network.n_neurons()), with_commas(e.network.synapses.size()),
        with_commas(e.network.n_axons()), with_commas(e.stimulus->n_steps()),
        with_commas(e.stimulus->samples().size())));
    const Result<sim::BuiltHost> host = build_core(m, &e.network, fault, o, console);
    if (!host) return console.fail(host.error());
    console.step(fmt::format("core: {} ({}, {})", m.core.name,
                             host->cached ? "cached build" : "built in " + duration(host->seconds),
                             host->verilator));

    Result<std::unique_ptr<sim::DutSource>> dut =
        start_core(*host, m, e.network, fault, o, console);
    if (!dut) return console.fail(dut.error());
    sim::DutSource& core = **dut;
    if (core.words_loaded() > 0)
        console.step(fmt::format("loaded {} words into the core, {} read back equal",
                                 with_commas(core.words_loaded()),
                                 with_commas(core.words_compared())));

    const std::uint64_t start_clocks = core.clocks();
    // Maps may have read a part of the network from the core.
    e.network = core.network();
    Result<Golden> golden = open_golden(m, e, *kernel, {o.rebuild, o.wall_limit_s}, console);
    if (console.stopped()) return console.fail({Errc::Interrupted, "", ""});
    if (!golden) return console.fail(golden.error());

    const auto samples = e.stimulus->samples();
    const auto counter = [&] {
        return AnswerCounter(answers.value_or(trace::Population{}), e.network.n_neurons(), samples);
    };
    AnswerCounter golden_answers = counter();
    AnswerCounter core_answers = counter();
    const trace::Shape expected_shape = golden->source->shape();
    std::unique_ptr<trace::StepSource> expected = std::move(golden->source);
    std::unique_ptr<trace::StepSource> actual_counted;
    const trace::Shape actual_shape = core.shape();
    std::unique_ptr<trace::StepSource> actual = std::move(*dut);
    if (answers) {
        expected = count_answers(std::move(expected), &golden_answers);
        actual = count_answers(std::move(actual), &core_answers);
    }

    Findings findings;
    findings.provenance = provenance(m, o, e, *host, *golden, console);
    if (!golden->note.empty()) findings.notes.push_back(golden->note);
    std::unique_ptr<trace::TraceWriter> writer;
    std::unique_ptr<Recorder> recorder;
    if (!trace_file.empty()) {
        trace::WriterOptions writer_options;
        writer_options.provenance = findings.provenance;
        writer_options.side_bands = o.record_side_bands;
        Result<std::unique_ptr<trace::TraceWriter>> created =
            trace::TraceWriter::create(trace_file, actual_shape, writer_options);
        if (!created) {
            Error error = created.error();
            error.message += "; choose another place with --record FILE, or --no-record";
            return console.fail(error);
        }
        writer = std::move(*created);
        recorder = std::make_unique<Recorder>(*writer, expected_shape, actual_shape);
    }

    options.fields = o.fields;
    options.collect = o.collect;
    options.allow_vacuous = o.allow_vacuous;
    options.max_steps = o.steps;
    options.block_steps = o.block_steps;
    options.lag = core.lag();
    options.order = golden->lists_spikes;
    options.stop = console.stop;
    ProgressBar bar(console, "lockstep", "timesteps");
    options.progress = [&](const lockstep::Progress& p) {
        bar.update(p.steps_compared, p.steps_total);
    };
    Result<lockstep::Outcome> outcome =
        lockstep::run(*expected, *actual, e.stimulus.get(), options, recorder.get());
    bar.clear();
    if (!outcome) {
        if (writer) (void)writer->close(false);
        return console.fail(outcome.error());
    }

    findings.outcome = &*outcome;
    findings.headline = lockstep::headline(*outcome, expected_shape);
    findings.n_neurons = e.network.n_neurons();
    findings.shape = actual_shape;
    findings.clocks = core.clocks();
    findings.start_clocks = start_clocks;
    if (outcome->verdict == lockstep::Verdict::Match && outcome->spikes_expected == 0 &&
        std::any_of(e.network.neurons.begin(), e.network.neurons.end(),
                    [](const auto& n) { return n.spiking; }))
        findings.notes.emplace_back(
            "no neuron fired: nothing was compared of thresholds, resets and spikes' synapses");
    findings.trace_file = trace_file;
    findings.reproduce = reproduce_line(m, o, console);
    const analysis::Connectivity connectivity(e.network);
    if (outcome->first) {
        findings.divergence = analysis::describe(*outcome, actual_shape, samples);
        analysis::CausalOptions causal;
        causal.depth = o.depth;
        if (e.description) causal.description = &*e.description;
        if (findings.divergence->place.field == "i_syn") causal.field = "i_syn";
        Result<analysis::CausalChain> chain = analysis::causal_chain(
            connectivity, e.stimulus.get(), outcome->expected_window,
            findings.divergence->place.neuron, findings.divergence->place.timestep, causal);
        if (chain)
            findings.chain = std::move(*chain);
        else
            findings.notes.push_back("no causal chain: " + chain.error().text());
        explain(m, e, connectivity, findings);
        if (!o.dot.empty() && findings.chain) {
            std::ofstream file(o.dot);
            file << analysis::to_dot(*findings.chain);
            file.close();
            if (!file) return console.fail({Errc::Io, "cannot write", o.dot});
            findings.notes.push_back("causal chain as a graph: " + o.dot);
        }
    }
    if (answers && e.float_network && !outcome->first && !outcome->interrupted) {
        golden::FloatOptions float_options;
        float_options.dt = e.network.dt;
        float_options.reset_mode = e.network.arithmetic.reset_mode;
        float_options.compare = e.network.arithmetic.compare;
        Result<std::unique_ptr<trace::StepSource>> model =
            golden::make_float_source(*e.float_network, float_options);
        if (!model) return console.fail(model.error());
        AnswerCounter float_answers = counter();
        for (std::uint64_t first = 0; first < outcome->steps_compared;) {
            const auto count = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(256, outcome->steps_compared - first));
            if (Status submitted = (*model)->submit(e.stimulus->block(first, count)); !submitted)
                return console.fail(submitted.error());
            for (std::uint32_t done = 0; done < count;) {
                auto got = (*model)->read(count - done);
                if (!got) return console.fail(got.error());
                const auto* block = std::get_if<trace::BlockView>(&*got);
                if (!block) break;
                float_answers.take(*block);
                done += block->n_steps;
            }
            first += count;
        }
        findings.accuracies.emplace_back("float model", float_answers.accuracy());
    }
    // After a divergence the runs end at different places: no fair comparison.
    if (answers && !outcome->first && golden_answers.accuracy().samples > 0) {
        findings.accuracies.emplace_back("golden", golden_answers.accuracy());
        findings.accuracies.emplace_back("RTL", core_answers.accuracy());
    }
    if (core.words_loaded() > core.words_compared())
        findings.notes.push_back(fmt::format("{} loaded words could not be read back and compared",
                                             core.words_loaded() - core.words_compared()));
    if (writer) {
        std::vector<trace::Sample> recorded;
        for (const trace::Sample& sample : samples) {
            if (sample.begin >= writer->n_steps()) break;
            recorded.push_back(sample);
            recorded.back().end = std::min(sample.end, writer->n_steps());
        }
        Status closed = writer->add_samples(recorded);
        if (closed) closed = writer->set_attribute("verdict", verdict_json(findings));
        if (closed)
            closed = writer->close(outcome->verdict == lockstep::Verdict::Match ||
                                   outcome->verdict == lockstep::Verdict::Diverged);
        if (!closed) return console.fail(closed.error());
    }
    o.json ? print_json(findings, console) : print_text(findings, console);
    return outcome->interrupted ? static_cast<int>(ExitCode::Interrupted)
                                : lockstep::exit_code(outcome->verdict);
}
}  // namespace

void add_run(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<RunOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "run", "Run golden and RTL in lockstep, compare everything, explain the first divergence");
    add_core_options(*cmd, *o, console);
    cmd->add_option("--samples", o->samples, "Run only the first N samples of the stimulus")
        ->check(at_least(1));
    cmd->add_option("--steps", o->steps, "Run at most N timesteps (0: all)")->check(at_least(0));
    cmd->add_flag("--list-faults", o->list_faults,
                  "List the faults that can be injected, and exit");
    cmd->add_option("--record", o->record, "Trace file (default spikelock-out/<core>.h5)");
    cmd->add_flag("--record-side-bands", o->record_side_bands,
                  "Record currents and other side bands of the input in full, not by their seed");
    cmd->add_flag("--no-record", o->no_record, "Record no trace");
    cmd->add_option("--fields", o->fields, "Compare only these fields, e.g. v,spike")
        ->delimiter(',');
    cmd->add_option("--mask", o->masks,
                    "Leave out of the comparison: FIELD[:N[-M]][@T[-U]][~BITS]");
    cmd->add_option("--collect", o->collect, "Collect N divergent timesteps before stopping")
        ->check(at_least(1));
    cmd->add_flag("--allow-vacuous", o->allow_vacuous,
                  "Accept a run in which nothing spiked or changed");
    cmd->add_option("--depth", o->depth, "Generations of presynaptic spikes in the causal chain")
        ->check(at_least(0));
    cmd->add_option("--dot", o->dot, "Write the causal chain as a Graphviz graph");
    cmd->add_option("--coverage", o->coverage,
                    "Count executed RTL lines and branches into FILE (for verilator_coverage)");
    cmd->add_option("--plusarg", o->plusargs, "Pass +ARG to the core");
    cmd->add_option("--kernel", o->kernel,
                    "Golden arithmetic: auto, scalar, generic, avx2, avx512");
    cmd->add_option("--block-steps", o->block_steps,
                    "Timesteps per block (default: 2 to 5 ms of work)")
        ->check(at_least(0));
    cmd->callback([=, &exit_code, &console] { exit_code = run(*o, console); });
}

}  // namespace spikelock::app

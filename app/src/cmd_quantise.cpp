// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "answers.hpp"
#include "command_line.hpp"
#include "spikelock/analysis/model_comparison.hpp"
#include "spikelock/analysis/model_plot.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "subject.hpp"

namespace spikelock::app {

using nlohmann::ordered_json;

namespace {
struct QuantiseOptions {
    SubjectOptions subject;
    double tau_ms = 0.0;        // 0: 10 timesteps
    double cost_per_ms = -1.0;  // below 0: 1 / tau
    double tolerance = 0.1;
    std::string plot;
    std::vector<std::uint32_t> plot_neurons;
    std::optional<std::uint64_t> plot_first;
    std::uint64_t plot_steps = 0;
    std::optional<double> max_rmse;
    std::optional<double> max_count_error;
    std::optional<double> max_accuracy_loss;
    bool json = false;
};

constexpr std::uint64_t kMostPlotSteps = 20000;

/// What was compared, and what came out.
struct Loss {
    const Subject* subject = nullptr;
    analysis::ModelComparison comparison;
    analysis::ModelComparisonOptions parameters;
    std::optional<std::pair<Accuracy, Accuracy>> accuracy;  ///< float, golden
    std::vector<std::string> exceeded;                      ///< limits, one sentence each
    bool interrupted = false;
    std::string plot;
    std::string reproduce;
};

std::vector<double> thresholds_of(const golden::FloatNetwork& network) {
    std::vector<double> all;
    for (const golden::FloatPopulation& p : network.populations) {
        const bool fires = p.kind != golden::NeuronKind::Li && p.kind != golden::NeuronKind::CubaLi;
        for (std::uint32_t i = 0; i < p.size; ++i) all.push_back(fires ? p.v_threshold[i] : 0.0);
    }
    return all;
}

/// Mean |difference| of the spike count, relative to the spikes expected.
double relative_count_error(const analysis::PopulationComparison& p) {
    if (p.count_error == 0) return 0.0;
    return static_cast<double>(p.count_error) /
           static_cast<double>(std::max<std::uint64_t>(1, p.spikes_expected));
}

void check_limits(const QuantiseOptions& o, Loss& loss) {
    for (const analysis::PopulationComparison& p : loss.comparison.populations) {
        const auto limit = [&](const char* what, double value, const std::optional<double>& most) {
            if (most && value > *most)
                loss.exceeded.push_back(fmt::format("population '{}': {} {:.4g} exceeds {:.4g}",
                                                    p.label, what, value, *most));
        };
        if (p.v_rmse_relative)
            limit("voltage error (RMSE, in thresholds)", *p.v_rmse_relative, o.max_rmse);
        limit("spike-count error (of the float model's spikes)", relative_count_error(p),
              o.max_count_error);
    }
    if (o.max_accuracy_loss && loss.accuracy) {
        const double lost = loss.accuracy->first.percent() - loss.accuracy->second.percent();
        if (lost > *o.max_accuracy_loss)
            loss.exceeded.push_back(
                fmt::format("golden is {:.2f} points less accurate than the "
                            "float model, which exceeds {:.4g}",
                            lost, *o.max_accuracy_loss));
    }
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
    if (part == 0 || whole == 0) return "0";
    return fmt::format("{:.3g} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string signed_bits(const char* name, int bits, int frac) {
    return fmt::format("{} {} bits, one LSB = 2^{}", name, bits, -frac);
}

std::string sample_name(const Loss& loss, std::uint64_t sample, std::uint64_t timestep) {
    const auto samples = loss.subject->experiment.stimulus->samples();
    if (samples.size() < 2 || sample >= samples.size()) return {};
    return fmt::format(" (sample {}, step {})", sample, timestep - samples[sample].begin);
}

std::string place_of(const Loss& loss, const analysis::ModelDifference& d) {
    return fmt::format("timestep {}{}, neuron {}", with_commas(d.timestep),
                       sample_name(loss, d.sample, d.timestep),
                       loss.subject->experiment.network.shape().neuron_name(d.neuron));
}

void print_losses(const Loss& loss, std::ostream& out) {
    const Experiment& e = loss.subject->experiment;
    const golden::Arithmetic& a = e.network.arithmetic;
    const golden::QuantiseReport& report = *e.quantised;
    fmt::print(out, "{}: {} neurons, {} synapses, {} inputs, timestep {} ms\n", loss.subject->name,
               with_commas(e.network.n_neurons()), with_commas(e.network.synapses.size()),
               with_commas(e.network.n_axons()), e.network.dt * 1e3);
    const bool cuba = std::any_of(e.network.neurons.begin(), e.network.neurons.end(),
                                  [](const golden::NeuronParams& n) { return n.cuba; });
    const int input_frac = a.v_frac - a.weight_shift;
    fmt::print(out, "formats: {}", signed_bits("v", a.v_bits, a.v_frac));
    if (cuba) fmt::print(out, "; {}", signed_bits("u", a.u_bits, a.v_frac + a.u_shift));
    fmt::print(out, "\n         {}", signed_bits("weights", a.weight_bits, input_frac));
    if (cuba) fmt::print(out, " (2^{} into CUBA neurons)", -(input_frac + a.u_shift));
    fmt::print(out, "\n         accumulator {} bits; leak {}\n\n", a.acc_bits,
               a.leak_mode == golden::LeakMode::Shift
                   ? std::string("by shift")
                   : fmt::format("factors of {} fraction bits", a.leak_frac));
    fmt::print(out, "What quantisation lost (in units of v)\n");
    fmt::print(out, "{:<16}{:>8}{:>11}{:>11}{:>9}{:>8}{:>11}{:>9}{:>9}{:>8}\n", "population",
               "weights", "max error", "RMS error", "clipped", "zeroed", "threshold", "leak",
               "v spare", "input");
    for (const auto& row : report.rows) {
        const auto margin = [](double x) {
            return x > 0.0 ? fmt::format("{:.3g} x", x) : std::string("-");
        };
        fmt::print(out, "{:<16}{:>8}{:>11.3g}{:>11.3g}{:>9}{:>8}{:>11.3g}{:>9.2g}{:>9}{:>8}\n",
                   row.label, with_commas(row.weights), row.max_weight_error, row.rms_weight_error,
                   with_commas(row.weights_clipped), with_commas(row.weights_zeroed),
                   row.max_threshold_error, row.max_leak_error, margin(row.saturation_margin),
                   margin(row.input_margin));
    }
    fmt::print(out,
               "threshold, leak: largest error; v spare: largest v over largest threshold; input: "
               "what the\naccumulator holds over one event of every source at once\n");
    for (const std::string& note : report.notes) fmt::print(out, "note: {}\n", note);
}

void print_comparison(const Loss& loss, std::ostream& out) {
    const analysis::ModelComparison& c = loss.comparison;
    const double dt_ms = loss.subject->experiment.network.dt * 1e3;
    fmt::print(out, "\nFloat model against golden over {} timesteps in {} sample{}\n",
               with_commas(c.steps), with_commas(c.samples), c.samples == 1 ? "" : "s");
    const bool with_total = c.populations.size() > 1;
    const auto for_all = [&](const auto& line) {
        for (const auto& p : c.populations) line(p);
        if (with_total) line(c.total);
    };
    fmt::print(out, "{:<16}{:>9}{:>13}{:>15}{:>13}{:>13}{:>13}\n", "voltage", "neurons", "RMSE",
               "in thresholds", "agreeing", "largest", "saturated");
    for_all([&](const analysis::PopulationComparison& p) {
        fmt::print(out, "{:<16}{:>9}{:>13.4g}{:>15}{:>13.4g}{:>13.4g}{:>13}\n", p.label,
                   with_commas(p.neurons), p.v_rmse,
                   p.v_rmse_relative ? fmt::format("{:.3f} %", 100.0 * *p.v_rmse_relative) : "-",
                   p.v_rmse_agreeing, p.v_max_error, percent(p.v_saturated, p.voltages));
    });
    fmt::print(out, "{:<16}{:>12}{:>12}{:>13}{:>13}{:>13}{:>17}\n", "spikes", "float", "golden",
               "count error", "differing", "van Rossum", "Victor-Purpura");
    for_all([&](const analysis::PopulationComparison& p) {
        fmt::print(out, "{:<16}{:>12}{:>12}{:>13}{:>13}{:>13.4g}{:>17.4g}\n", p.label,
                   with_commas(p.spikes_expected), with_commas(p.spikes_actual),
                   with_commas(p.count_error), with_commas(p.spikes_differing), p.van_rossum,
                   p.victor_purpura);
    });
    fmt::print(out,
               "agreeing: RMSE before the first spike of a sample that differs; saturated: golden "
               "voltages at\nan end of their format; count error: summed over neurons and samples; "
               "distances: mean over\nneurons and samples, van Rossum's with tau = {:.4g} ms, "
               "Victor and Purpura's with q = {:.4g} per ms\n\n",
               loss.parameters.tau_steps * dt_ms, loss.parameters.cost_per_step / dt_ms);
    if (c.first_spike) {
        const analysis::ModelDifference& d = *c.first_spike;
        fmt::print(out, "first spike that differs: {}: only the {} fires\n", place_of(loss, d),
                   d.expected_fired ? "float model" : "golden");
        if (c.samples > 1)
            fmt::print(out, "samples with equal spikes: {} of {}\n", with_commas(c.samples_equal),
                       with_commas(c.samples));
    } else {
        fmt::print(out, "all spikes are equal\n");
    }
    if (c.first_voltage)
        fmt::print(out,
                   "first voltage off by over {:.4g} thresholds: {}: float "
                   "{:.6g}, golden {:.6g}\n",
                   loss.parameters.v_tolerance, place_of(loss, *c.first_voltage),
                   c.first_voltage->expected, c.first_voltage->actual);
    else
        fmt::print(out, "no voltage is off by over {:.4g} thresholds\n",
                   loss.parameters.v_tolerance);
    if (loss.accuracy) {
        const auto& [expected, actual] = *loss.accuracy;
        fmt::print(out, "accuracy: float model {:.2f} % ({}/{}), golden {:.2f} % ({}/{})\n",
                   expected.percent(), expected.right, expected.samples, actual.percent(),
                   actual.right, actual.samples);
    }
}

void print_text(const Loss& loss, const Console& console) {
    print_losses(loss, console.out);
    print_comparison(loss, console.out);
    if (loss.interrupted) fmt::print(console.out, "interrupted: the figures are of the part run\n");
    for (const std::string& text : loss.exceeded) fmt::print(console.out, "LIMIT: {}\n", text);
    if (!loss.plot.empty()) fmt::print(console.out, "plot: {}\n", loss.plot);
    fmt::print(console.out, "reproduce: {}\n", loss.reproduce);
}

ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : nullptr; }

ordered_json json_of(const Loss& loss, const std::optional<analysis::ModelDifference>& d) {
    if (!d) return nullptr;
    return {{"sample", d->sample},
            {"timestep", d->timestep},
            {"neuron", d->neuron},
            {"neuron_name", loss.subject->experiment.network.shape().neuron_name(d->neuron)},
            {"v_float", number(d->expected)},
            {"v_golden", number(d->actual)},
            {"float_fired", d->expected_fired}};
}

ordered_json json_of(const analysis::PopulationComparison& p) {
    ordered_json j;
    j["label"] = p.label;
    j["neurons"] = p.neurons;
    j["v_rmse"] = number(p.v_rmse);
    j["v_rmse_relative"] = p.v_rmse_relative ? number(*p.v_rmse_relative) : nullptr;
    j["v_rmse_agreeing"] = number(p.v_rmse_agreeing);
    j["v_max_error"] = number(p.v_max_error);
    j["v_saturated"] = p.v_saturated;
    j["spikes_float"] = p.spikes_expected;
    j["spikes_golden"] = p.spikes_actual;
    j["spikes_differing"] = p.spikes_differing;
    j["count_error"] = p.count_error;
    j["count_error_relative"] = number(relative_count_error(p));
    j["van_rossum"] = number(p.van_rossum);
    j["victor_purpura"] = number(p.victor_purpura);
    return j;
}

void print_json(const Loss& loss, const Console& console) {
    const Experiment& e = loss.subject->experiment;
    const analysis::ModelComparison& c = loss.comparison;
    const double dt_ms = e.network.dt * 1e3;
    ordered_json j;
    j["network"] = {{"name", loss.subject->name},
                    {"neurons", e.network.n_neurons()},
                    {"synapses", e.network.synapses.size()},
                    {"axons", e.network.n_axons()},
                    {"dt", e.network.dt}};
    const golden::Arithmetic& a = e.network.arithmetic;
    j["formats"] = {{"v_bits", a.v_bits},
                    {"u_bits", a.u_bits},
                    {"acc_bits", a.acc_bits},
                    {"weight_bits", a.weight_bits},
                    {"leak_frac", a.leak_frac},
                    {"v_frac", a.v_frac},
                    {"weight_shift", a.weight_shift},
                    {"u_shift", a.u_shift}};
    ordered_json rows = ordered_json::array();
    for (const auto& row : e.quantised->rows)
        rows.push_back({{"label", row.label},
                        {"weights", row.weights},
                        {"max_weight_error", row.max_weight_error},
                        {"rms_weight_error", row.rms_weight_error},
                        {"weights_clipped", row.weights_clipped},
                        {"weights_zeroed", row.weights_zeroed},
                        {"max_threshold_error", row.max_threshold_error},
                        {"max_leak_error", row.max_leak_error},
                        {"saturation_margin", row.saturation_margin},
                        {"input_margin", row.input_margin}});
    j["quantisation"] = rows;
    j["notes"] = e.quantised->notes;
    j["timesteps"] = c.steps;
    j["samples"] = c.samples;
    j["samples_equal"] = c.samples_equal;
    j["parameters"] = {{"van_rossum_tau_ms", loss.parameters.tau_steps * dt_ms},
                       {"victor_purpura_cost_per_ms", loss.parameters.cost_per_step / dt_ms},
                       {"v_tolerance", loss.parameters.v_tolerance}};
    ordered_json populations = ordered_json::array();
    for (const auto& p : c.populations) populations.push_back(json_of(p));
    j["populations"] = populations;
    j["total"] = json_of(c.total);
    j["first_spike"] = json_of(loss, c.first_spike);
    j["first_voltage"] = json_of(loss, c.first_voltage);
    ordered_json accuracy = ordered_json::array();
    if (loss.accuracy)
        for (const auto& [model, figure] : {std::pair{"float model", loss.accuracy->first},
                                            std::pair{"golden", loss.accuracy->second}})
            accuracy.push_back({{"model", model},
                                {"right", figure.right},
                                {"samples", figure.samples},
                                {"percent", figure.percent()}});
    j["accuracy"] = accuracy;
    j["exceeded"] = loss.exceeded;
    j["interrupted"] = loss.interrupted;
    j["plot"] = loss.plot.empty() ? ordered_json() : ordered_json(loss.plot);
    j["provenance"] =
        ordered_json::parse(provenance(*loss.subject, "float, golden", "built in", {}, console));
    j["reproduce"] = loss.reproduce;
    console.out << j.dump(2, ' ', false, ordered_json::error_handler_t::replace) << "\n";
}

/// Timesteps to draw: as asked for, else the first sample.
Result<std::pair<std::uint64_t, std::uint64_t>> plot_window(const QuantiseOptions& o,
                                                            const Subject& subject) {
    const auto samples = subject.experiment.stimulus->samples();
    const std::uint64_t first = o.plot_first.value_or(0);
    if (first >= subject.steps)
        return Error{Errc::BadConfig,
                     fmt::format("the run has {} timesteps, got {}", subject.steps, first),
                     "--plot-first"};
    std::uint64_t steps = o.plot_steps;
    if (steps == 0) steps = samples.empty() ? 500 : std::min<std::uint64_t>(500, samples[0].end);
    if (steps > kMostPlotSteps)
        return Error{Errc::Limit, fmt::format("a plot holds at most {} timesteps", kMostPlotSteps),
                     "--plot-steps"};
    return std::pair{first, std::min(steps, subject.steps - first)};
}

/// The part of a block inside first..first+steps-1 joins the trace.
void keep(trace::ExecutionTrace& trace, const trace::BlockView& block, std::uint64_t first,
          std::uint64_t steps) {
    const std::uint64_t begin = std::max(first, block.first);
    const std::uint64_t end = std::min(first + steps, block.first + block.n_steps);
    if (begin >= end) return;
    const std::size_t words = trace.shape().spike_words();
    const std::size_t skip = begin - block.first;
    trace::BlockView part;
    part.first = begin;
    part.n_steps = static_cast<std::uint32_t>(end - begin);
    part.spikes = block.spikes.subspan(skip * words, part.n_steps * words);
    for (std::size_t f = 0; f < block.fields.size(); ++f) {
        const std::size_t row =
            static_cast<std::size_t>(trace.shape().fields[f].bytes) * trace.n_neurons();
        part.fields.push_back(block.fields[f].subspan(skip * row, part.n_steps * row));
    }
    trace.append(part);
}

/// The neuron of each population whose voltage differs most, of at most four populations.
std::vector<std::uint32_t> worst_neurons(const analysis::ModelComparison& c,
                                         const std::vector<trace::Population>& populations) {
    std::vector<std::uint32_t> worst;
    for (const trace::Population& p : populations) {
        if (p.begin >= p.end || worst.size() == 4) continue;
        const auto begin = c.v_rmse.begin() + p.begin;
        worst.push_back(static_cast<std::uint32_t>(
            std::max_element(begin, c.v_rmse.begin() + p.end) - c.v_rmse.begin()));
    }
    return worst;
}

int quantise(const QuantiseOptions& o, Console& console) {
    Result<Subject> subject = load_subject(o.subject);
    if (!subject) return console.fail(subject.error());
    const Experiment& e = subject->experiment;
    Result<std::unique_ptr<trace::StepSource>> model = float_model(*subject);
    if (!model) return console.fail(model.error());
    Result<BuiltIn> golden_model = make_golden(e, golden::Kernel::Auto);
    if (!golden_model) return console.fail(golden_model.error());
    trace::StepSource* const sources[] = {model->get(), golden_model->source.get()};

    Loss loss;
    loss.subject = &*subject;
    loss.parameters.thresholds = thresholds_of(*e.float_network);
    loss.parameters.v_tolerance = o.tolerance;
    const double dt_ms = e.network.dt * 1e3;
    if (o.tau_ms != 0.0) loss.parameters.tau_steps = o.tau_ms / dt_ms;
    loss.parameters.cost_per_step =
        o.cost_per_ms >= 0.0 ? o.cost_per_ms * dt_ms : 1.0 / loss.parameters.tau_steps;
    const auto samples = e.stimulus->samples();
    Result<analysis::ModelComparer> comparer = analysis::ModelComparer::create(
        sources[0]->shape(), sources[1]->shape(), samples, loss.parameters);
    if (!comparer) return console.fail(comparer.error());
    std::optional<trace::Population> answers;
    if (!subject->manifest.answer_population.empty()) {
        auto population = e.network.shape().population(subject->manifest.answer_population);
        if (!population)
            return console.fail({population.error().code, population.error().message,
                                 subject->manifest.path + ": [answer]"});
        answers = *population;
    }
    const auto counter = [&] {
        return AnswerCounter(answers.value_or(trace::Population{}), e.network.n_neurons(), samples);
    };
    AnswerCounter counters[] = {counter(), counter()};
    std::pair<std::uint64_t, std::uint64_t> window{0, 0};
    if (!o.plot.empty()) {
        auto wanted = plot_window(o, *subject);
        if (!wanted) return console.fail(wanted.error());
        window = *wanted;
    }
    trace::ExecutionTrace kept[] = {trace::ExecutionTrace(sources[0]->shape(), window.first),
                                    trace::ExecutionTrace(sources[1]->shape(), window.first)};

    const Status ran = drive(sources, *e.stimulus, subject->steps, console, "compare",
                             [&](std::span<const trace::BlockView> blocks) {
                                 comparer->feed(blocks[0], blocks[1]);
                                 for (std::size_t i = 0; i < 2; ++i) {
                                     if (answers) counters[i].take(blocks[i]);
                                     if (window.second > 0)
                                         keep(kept[i], blocks[i], window.first, window.second);
                                 }
                                 return Status{};
                             });
    loss.interrupted = !ran && ran.error().code == Errc::Interrupted;
    if (!ran && !loss.interrupted) return console.fail(ran.error());
    loss.comparison = comparer->finish();
    if (answers && counters[0].accuracy().samples > 0)
        loss.accuracy = {counters[0].accuracy(), counters[1].accuracy()};
    check_limits(o, loss);
    loss.reproduce = console.command_line;
    if (!o.subject.seed)
        loss.reproduce += " --seed " + std::to_string(subject->manifest.stimulus.seed);

    if (!o.plot.empty() && !loss.interrupted) {
        analysis::ModelPlotOptions plot;
        plot.title =
            fmt::format("{}: float model and golden ({}-bit weights, {}-bit v)", subject->name,
                        e.network.arithmetic.weight_bits, e.network.arithmetic.v_bits);
        plot.thresholds = loss.parameters.thresholds;
        plot.neurons = !o.plot_neurons.empty()
                           ? o.plot_neurons
                           : worst_neurons(loss.comparison, e.network.populations);
        Result<std::string> svg = analysis::model_plot_svg(kept[0], kept[1], plot);
        if (!svg) return console.fail(svg.error());
        const std::string temporary = o.plot + ".part";
        std::ofstream file(temporary, std::ios::binary);
        file << *svg;
        file.close();
        std::error_code renamed;
        if (file) std::filesystem::rename(temporary, o.plot, renamed);
        if (!file || renamed) {
            std::error_code ignored;
            std::filesystem::remove(temporary, ignored);
            return console.fail({Errc::Io, "cannot write the plot", o.plot});
        }
        loss.plot = o.plot;
    }
    o.json ? print_json(loss, console) : print_text(loss, console);
    if (loss.interrupted) return static_cast<int>(ExitCode::Interrupted);
    return loss.exceeded.empty() ? 0 : 1;
}
}  // namespace

void add_quantise(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<QuantiseOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand("quantise",
                                   "Say what quantisation lost and compare float model and golden");
    add_subject_options(*cmd, o->subject);
    cmd->add_option("--van-rossum-tau-ms", o->tau_ms,
                    "Kernel of van Rossum's distance (10 timesteps)")
        ->check(CLI::PositiveNumber);
    cmd->add_option("--victor-purpura-cost-per-ms", o->cost_per_ms,
                    "Cost of moving a spike by 1 ms (1 / tau)")
        ->check(CLI::NonNegativeNumber);
    cmd->add_option("--tolerance", o->tolerance,
                    "A voltage is off when it differs by more thresholds than that (0.1)")
        ->check(CLI::PositiveNumber);
    cmd->add_option("--max-rmse", o->max_rmse,
                    "Exit with 1 where a population's RMSE of v exceeds that many thresholds");
    cmd->add_option("--max-count-error", o->max_count_error,
                    "Exit with 1 where the spike counts differ by a larger part (0.05: 5 %)");
    cmd->add_option("--max-accuracy-loss", o->max_accuracy_loss,
                    "Exit with 1 where golden is that many points less accurate");
    cmd->add_option("--plot", o->plot, "Write voltages, spikes and error over time as an SVG");
    cmd->add_option("--plot-neurons", o->plot_neurons,
                    "Neurons whose voltage is drawn (the worst of each population)")
        ->delimiter(',');
    cmd->add_option("--plot-first", o->plot_first, "First timestep that is drawn (0)");
    cmd->add_option("--plot-steps", o->plot_steps, "Timesteps that are drawn (the first sample)");
    cmd->add_flag("--json", o->json, "Print one JSON object instead of text");
    cmd->add_flag("-q,--quiet", console.quiet, "No progress");
    cmd->callback([=, &exit_code, &console] { exit_code = quantise(*o, console); });
}

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "command_line.hpp"
#include "core_session.hpp"
#include "experiment.hpp"
#include "spikelock/analysis/connectivity.hpp"
#include "spikelock/analysis/divergence.hpp"
#include "spikelock/analysis/explain.hpp"
#include "spikelock/analysis/fit.hpp"
#include "spikelock/analysis/json.hpp"
#include "spikelock/analysis/render.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/manifest/plan.hpp"

namespace spikelock::app {

namespace {
using analysis::FitCandidate;
using analysis::FitReport;
using nlohmann::ordered_json;

struct FitRunOptions : CoreOptions {
    std::string stimulus = "random";
    std::uint64_t steps = 2048;
    double limit_s = 120.0;
    std::string save;
};

constexpr std::uint64_t kSampleSteps = 128;
constexpr std::uint64_t kMostBytes = 256 << 20;  ///< of a recording

/// Input that visits quiet, ordinary and overflowing timesteps: events at several densities,
/// currents at several strengths, in turn.
class RandomStimulus : public trace::Stimulus {
public:
    /// @param side_band_bits  of the ports that take currents
    RandomStimulus(const manifest::Manifest& m, const golden::Network& net, std::uint64_t steps,
                   std::span<const std::uint32_t> side_band_bits)
        : steps_(steps), events_(steps) {
        constexpr double kDensities[] = {0.0, 0.1, 0.3, 0.7, 0.02};  // 0: see below
        constexpr double kStrengths[] = {1.0, 0.25, 4.0, 16.0};
        const bool clears = !m.clear.empty();
        const std::uint64_t each = clears ? kSampleSteps : std::max<std::uint64_t>(steps, 1);
        for (std::uint64_t begin = 0; begin < steps; begin += each)
            samples_.push_back(
                {{},
                 begin,
                 std::min(steps, begin + each),
                 begin == 0 || clears ? trace::StartState::Clear : trace::StartState::Keep});
        const CounterRandom random(m.stimulus.seed, 0x666974);
        const auto lane = [](std::size_t port, std::uint32_t address) {
            return (std::uint64_t{port} << 32) + address;
        };
        const bool takes_events = !m.inputs.empty() || m.adapter.given();
        for (std::uint64_t t = 0; t < steps && takes_events; ++t) {
            const double density = kDensities[t / kSampleSteps % std::size(kDensities)];
            for (std::size_t p = 0; p < net.ports.size(); ++p) {
                const std::uint32_t axons = net.ports[p].end - net.ports[p].begin;
                // One event now and then: what it does can be told from what others do.
                const double share = density > 0.0 ? density : std::min(0.1, 1.0 / axons);
                for (std::uint32_t a = 0; a < axons; ++a)
                    if (random.uniform(t, lane(p, a)) < share)
                        events_[t].push_back({a, static_cast<std::uint16_t>(p), 1});
            }
        }
        for (std::size_t b = 0; b < m.side_bands.size(); ++b) {
            const manifest::SideBandSpec& spec = m.side_bands[b];
            const bool given = m.stimulus.kind == manifest::StimulusSpec::Kind::Current;
            const double centre = given ? m.stimulus.current : 0;
            const double noise =
                std::max(given ? m.stimulus.noise : net.neurons[0].threshold / 2, 1);
            // What both the accumulator and the port hold, whatever is not known of that one.
            const std::uint32_t bits = std::min<std::uint32_t>(
                side_band_bits[b], static_cast<std::uint32_t>(net.arithmetic.acc_bits));
            const bool is_unsigned =
                spec.is_signed ? !*spec.is_signed : given && centre - noise >= 0;
            const double most = static_cast<double>((1LL << (bits - 1)) - 1);
            const double least = is_unsigned ? 0.0 : -most - 1;
            trace::SideBand band{spec.name, net.n_neurons(), {}};
            for (std::uint64_t t = 0; t < steps; ++t) {
                const double strength = kStrengths[t / kSampleSteps % std::size(kStrengths)];
                for (std::uint32_t n = 0; n < net.n_neurons(); ++n) {
                    const double x = centre + noise * (2 * random.uniform(t, ~lane(0, n)) - 1);
                    band.values.push_back(
                        static_cast<std::int32_t>(std::clamp(strength * x, least, most)));
                }
            }
            bands_.push_back(std::move(band));
        }
    }
    std::uint64_t n_steps() const override { return steps_; }
    std::span<const trace::Sample> samples() const override { return samples_; }
    trace::StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        trace::StimulusBlock b;
        b.first = first;
        b.n_steps = count;
        b.event_begin.push_back(0);
        for (std::uint64_t t = first; t < first + count; ++t) {
            b.events.insert(b.events.end(), events_[t].begin(), events_[t].end());
            b.event_begin.push_back(static_cast<std::uint32_t>(b.events.size()));
        }
        for (const trace::SideBand& band : bands_) {
            const auto at = [&](std::uint64_t t) {
                return band.values.begin() + static_cast<std::ptrdiff_t>(t * band.width);
            };
            b.side_bands.push_back({band.name, band.width, {at(first), at(first + count)}});
        }
        for (const trace::Sample& s : samples_)
            if (s.begin >= first && s.begin < first + count)
                b.begins.push_back({static_cast<std::uint32_t>(s.begin - first), s.start});
        return b;
    }

private:
    std::uint64_t steps_;
    std::vector<std::vector<trace::InputEvent>> events_;
    std::vector<trace::SideBand> bands_;
    std::vector<trace::Sample> samples_;
};

/// The order in which events were taken in a stretch of a recording, with steps counted from it.
std::vector<trace::TakenEvent> taken_between(const trace::ExecutionTrace& recorded,
                                             std::uint64_t first, std::uint32_t count) {
    std::vector<trace::TakenEvent> list;
    for (std::uint32_t s = 0; s < count; ++s)
        for (trace::TakenEvent event : recorded.taken_of(first + s)) {
            event.step = s;
            list.push_back(event);
        }
    return list;
}

/// Timesteps 0..steps-1 of a source, or those before it ended.
/// @param order  a recording in whose order the source takes its events, where that has one
Result<trace::ExecutionTrace> record(trace::StepSource& source, const trace::Stimulus& stimulus,
                                     std::uint64_t steps, const Console& console,
                                     const std::string& what, std::optional<trace::SourceEnd>& end,
                                     const trace::ExecutionTrace* order = nullptr) {
    ProgressBar bar(console, what, "timesteps");
    trace::ExecutionTrace result(source.shape());
    auto* const taker = order != nullptr && order->shape().order
                            ? dynamic_cast<trace::OrderTaker*>(&source)
                            : nullptr;
    for (std::uint64_t first = 0; first < steps && !end;) {
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(64, steps - first));
        if (Status submitted = source.submit(stimulus.block(first, count)); !submitted)
            return submitted.error();
        if (taker != nullptr)
            if (Status given = taker->give_order(count, taken_between(*order, first, count));
                !given)
                return given.error();
        while (result.n_steps() < first + count && !end) {
            auto got = source.read(static_cast<std::uint32_t>(first + count - result.n_steps()));
            if (!got) return got.error();
            if (const auto* block = std::get_if<trace::BlockView>(&*got))
                result.append(*block);
            else
                end = std::get<trace::SourceEnd>(*got);
        }
        if (console.stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
        first += count;
        bar.update(result.n_steps(), steps);
    }
    for (trace::Sample sample : stimulus.samples()) {
        if (sample.begin >= result.n_steps()) break;
        sample.end = std::min(sample.end, result.n_steps());
        result.samples().push_back(sample);
    }
    return result;
}

/// Registers that may be shift registers: scalars inside the core that are assigned, of 3 to 32
/// bits. Ports and counters are none.
Result<std::vector<sim::Variable>> possible_registers(const manifest::Manifest& m,
                                                      const Console& console) {
    constexpr std::size_t kMost = 64;
    const Result<sim::Design> design = elaborate_core(m, console);
    if (!design) return design.error();
    std::vector<sim::Variable> found;
    for (const sim::Variable& v : design->signals)
        if (v.kind == sim::Variable::Kind::Signal && !v.is_array && v.copies == 1 && v.bits >= 3 &&
            v.bits <= 32 && v.written && !v.counts && found.size() < kMost)
            found.push_back(v);
    return found;
}

/// What such registers hold at the end of each timestep: the core is built once more so that it
/// shows them, and runs over the same stimulus.
Result<std::vector<analysis::ObservedRegister>> observe_registers(
    const manifest::Manifest& m, const golden::Network& net, const trace::Stimulus& stimulus,
    std::uint64_t steps, std::uint32_t fault, const CoreOptions& o, const Console& console) {
    const Result<std::vector<sim::Variable>> found = possible_registers(m, console);
    if (!found) return found.error();
    std::vector<analysis::ObservedRegister> registers;
    if (found->empty()) return registers;
    manifest::Manifest wider = m;
    for (std::size_t k = 0; k < found->size(); ++k) {
        manifest::ObserveSpec spec;
        spec.field = fmt::format("register{}", k);
        Result<manifest::Expression> value = manifest::Expression::parse((*found)[k].name, "fit");
        if (!value) return value.error();
        spec.value = std::move(*value);
        spec.bits = (*found)[k].bits;
        spec.is_signed = false;
        spec.where = "fit";
        wider.observe.push_back(std::move(spec));
    }
    const Result<sim::BuiltHost> host = build_core(wider, &net, fault, o, console);
    if (!host) return host.error();
    const auto dut = start_core(*host, wider, net, fault, o, console);
    if (!dut) return dut.error();
    std::optional<trace::SourceEnd> end;
    const auto recorded = record(**dut, stimulus, steps, console, "registers", end);
    if (!recorded) return recorded.error();
    for (std::size_t k = 0; k < found->size(); ++k) {
        const int field = recorded->shape().field_index(fmt::format("register{}", k));
        if (field < 0) continue;
        analysis::ObservedRegister one{(*found)[k].name, static_cast<int>((*found)[k].bits), {}};
        for (std::uint64_t t = 0; t < recorded->n_steps(); ++t)
            one.values.push_back(
                static_cast<std::uint64_t>(recorded->raw(static_cast<std::size_t>(field), t, 0)));
        registers.push_back(std::move(one));
    }
    return registers;
}

/// "9, 12..32": numbers in a row are drawn together.
std::string listed(const std::vector<std::string>& values) {
    std::string text;
    const auto number = [&](std::size_t i) -> std::optional<int> {
        int x = 0;
        const char* last = values[i].data() + values[i].size();
        const auto [end, error] = std::from_chars(values[i].data(), last, x);
        if (error != std::errc() || end != last) return std::nullopt;
        return x;
    };
    for (std::size_t i = 0; i < values.size(); ++i) {
        std::size_t j = i;
        while (j + 1 < values.size() && number(j) && number(j + 1) &&
               *number(j + 1) == *number(j) + 1)
            ++j;
        text += (text.empty() ? "" : ", ") + values[i];
        if (j > i + 1) text += ".." + values[j];
        if (j > i + 1) i = j;
    }
    return text;
}

/// How a description is written down, and what to mind.
struct Written {
    std::vector<std::string> lines;   ///< for [network.quantise], or keys of "arithmetic"
    std::vector<std::string> golden;  ///< for [golden]
    std::vector<std::string> notes;
};

class Writer {
public:
    Writer(const manifest::Manifest& m, const Experiment& e, const manifest::SignalTable& signals)
        : manifest_(m), experiment_(e), signals_(signals) {}

    Written write(const FitCandidate& c) const {
        Written w;
        if (c.changes.empty()) return w;
        const bool nir = !manifest_.network.nir.empty();
        for (const analysis::FitChange& change : c.changes) {
            const std::string& line = nir ? change.toml : change.json;
            if (!change.golden.empty())
                w.golden.push_back(change.golden);
            else if (!line.empty())
                w.lines.push_back(line);
            else
                w.notes.push_back(
                    fmt::format("the core's {} of every neuron is not what the network says ({}): "
                                "correct it in the core, in its [[map]] value or in the network",
                                change.option, change.to));
        }
        const Result<golden::Network> net = analysis::apply_changes(experiment_.network, c.changes);
        if (!net) return w;
        if (nir && !w.lines.empty()) add_scale(w, *net);
        add_maps(w, *net);
        return w;
    }

private:
    /// Scales are chosen by the arithmetic, so a change of it would choose others.
    void add_scale(Written& w, const golden::Network& net) const {
        const golden::Arithmetic& a = net.arithmetic;
        const auto pin = [&](const char* key, int value) {
            const std::string line = fmt::format("{} = {}", key, value);
            if (std::ranges::find(w.lines, line) == w.lines.end()) w.lines.push_back(line);
        };
        pin("v_frac", a.v_frac);
        pin("weight_shift", a.weight_shift);
        pin("u_shift", a.u_shift);
        golden::QuantiseOptions options = manifest_.network.quantise;
        options.arithmetic = a;
        options.choose_scale = false;
        const auto again = golden::quantise(*experiment_.float_network, options);
        if (!again || golden::to_json(again->network) != golden::to_json(net))
            w.notes.push_back(
                "quantising anew with these lines also changes the integers that are loaded; to "
                "keep them, take the network from --save FILE (json = \"FILE\")");
    }
    /// Where a [[map]] loads what has changed, the core would change along.
    void add_maps(Written& w, const golden::Network& net) const {
        const auto words =
            [&](const golden::Network& of) -> Result<std::vector<manifest::MapWord>> {
            Result<manifest::Plan> plan = manifest::resolve(manifest_, signals_, of);
            if (!plan) return plan.error();
            return manifest::map_words(manifest_, *plan, signals_, of);
        };
        const auto before = words(experiment_.network);
        const auto after = words(net);
        if (!before) return;
        if (!after) {
            w.notes.push_back("the manifest does not fit this description: " +
                              after.error().text());
            return;
        }
        std::map<std::string, std::uint64_t> changed;
        for (std::size_t i = 0; i < std::min(before->size(), after->size()); ++i)
            if ((*before)[i].data != (*after)[i].data)
                ++changed[manifest_.maps[(*before)[i].map].where];
        for (const auto& [where, count] : changed)
            w.notes.push_back(
                fmt::format("the [[map]] at {} would load {} other {}: to leave the core as it is, "
                            "give the value loaded until now there",
                            where, with_commas(count), count == 1 ? "word" : "words"));
    }

    const manifest::Manifest& manifest_;
    const Experiment& experiment_;
    const manifest::SignalTable& signals_;
};

ordered_json to_object(const FitCandidate& c, const Written& w, const trace::Shape& shape) {
    ordered_json j;
    j["explains"] = c.explains;
    j["changes"] = ordered_json::array();
    for (const auto& change : c.changes)
        j["changes"].push_back(
            {{"option", change.option}, {"from", change.from}, {"to", change.to}});
    j["updates"] = c.updates;
    if (c.judged > 0) {
        j["predicted"] = c.predicted;
        j["judged"] = c.judged;
    }
    if (c.explains) {
        j["divergence"] = nullptr;
    } else {
        j["divergence"] = {{"timestep", c.timestep},
                           {"neuron", c.neuron},
                           {"name", shape.neuron_name(c.neuron)},
                           {"field", c.field}};
    }
    j["not_told_apart"] = ordered_json::array();
    for (const auto& free : c.free)
        j["not_told_apart"].push_back(
            {{"option", free.option}, {"value", free.value}, {"others", free.others}});
    j["lines"] = w.lines;
    j["golden"] = w.golden;
    j["notes"] = w.notes;
    return j;
}

std::string changes_text(const FitCandidate& c) {
    std::string text;
    for (const auto& change : c.changes)
        text += fmt::format("{}{}: {} -> {}", text.empty() ? "" : ", ", change.option, change.from,
                            change.to);
    return text.empty() ? "as the manifest says" : text;
}

void print_written(const Written& w, bool nir, std::ostream& out) {
    if (!w.lines.empty()) {
        fmt::print(out, "       {}\n",
                   nir ? "[network.quantise]" : "\"arithmetic\" of the network");
        for (const std::string& line : w.lines) fmt::print(out, "       {}\n", line);
    }
    if (!w.golden.empty()) {
        out << "       [golden]\n";
        for (std::string lines : w.golden) {
            for (std::size_t at = lines.find('\n'); at != std::string::npos;
                 at = lines.find('\n', at + 1))
                lines.replace(at, 1, "\n       ");
            fmt::print(out, "       {}\n", lines);
        }
    }
    for (const std::string& note : w.notes) fmt::print(out, "     note: {}\n", note);
}

/// A shift register in the words of docs/golden.md section 9.
std::string text_of(const golden::Noise& noise) {
    golden::Description d;
    d.noise = {noise};
    const std::string list = golden::value_text(d, "noise");
    return list.substr(2, list.size() - 4);
}

/// Of two decimals, never rounded up: 100 is all.
double percent(std::uint64_t part, std::uint64_t whole) {
    return whole == 0
               ? 0.0
               : std::floor(1e4 * static_cast<double>(part) / static_cast<double>(whole)) / 100.0;
}

void print_report(const FitReport& r, const Writer& writer, bool nir, const trace::Shape& shape,
                  std::ostream& out) {
    if (!r.start.explains)
        fmt::print(out,
                   "The manifest's description follows the core for {} of {} neuron-updates, to "
                   "timestep {}, {}, field {}.\n\n",
                   with_commas(r.start.updates), with_commas(r.updates), r.start.timestep,
                   shape.neuron_name(r.start.neuron), r.start.field);
    int number = 0;
    for (const FitCandidate& c : r.explanations) {
        fmt::print(out, "{:>3}. {}\n", ++number, changes_text(c));
        print_written(writer.write(c), nir, out);
        for (const auto& free : c.free)
            fmt::print(out, "     not told apart: {} ({}; as good: {})\n", free.option, free.value,
                       listed(free.others));
        out << "\n";
    }
    if (r.explanations.empty()) {
        out << "Those that predict most, each neuron-update from what was seen before it:\n";
        for (const FitCandidate& c : r.best)
            fmt::print(
                out,
                "{:>3}. {}\n     {:.2f} % of {} neuron-updates; follows the core to timestep "
                "{}, {}, field {}\n",
                ++number, changes_text(c), percent(c.predicted, c.judged), with_commas(c.judged),
                c.timestep, shape.neuron_name(c.neuron), c.field);
        out << "\n";
    }
}

/// The first divergence of the best description, as `run` would report it.
struct BestDivergence {
    std::optional<analysis::DivergenceReport> divergence;
    std::optional<analysis::Explanation> explanation;
    std::vector<std::string> notes;
};

BestDivergence look_at_best(const FitReport& r, const golden::Network& start,
                            const std::optional<golden::Setting>& description,
                            const trace::Stimulus& stimulus, const trace::ExecutionTrace& core,
                            const Console& console) {
    BestDivergence b;
    const auto failed = [&](const Error& error) {
        b.notes.push_back("no report of the first divergence: " + error.text());
        return b;
    };
    Result<golden::Network> net = analysis::apply_changes(start, r.best[0].changes);
    if (!net) return failed(net.error());
    auto source = analysis::golden_under(start, description, r.best[0].changes);
    if (!source) return failed(source.error());
    std::optional<trace::SourceEnd> end;
    const std::uint64_t steps = std::min(core.n_steps(), r.best[0].timestep + 8);
    auto expected = record(**source, stimulus, steps, console, "golden", end, &core);
    if (!expected) return failed(expected.error());
    auto found = analysis::find_divergence(*expected, core);
    if (!found) return failed(found.error());
    if (!*found) return b;
    b.divergence = std::move(**found);
    // Hypotheses are changes to the equations of docs/model.md.
    if (description ||
        std::ranges::any_of(r.best[0].changes, [](const auto& c) { return !c.golden.empty(); }))
        return b;
    auto explanation =
        analysis::explain_divergence(analysis::Connectivity(*net), &stimulus, *b.divergence);
    if (!explanation) return failed(explanation.error());
    b.explanation = std::move(*explanation);
    return b;
}

/// Whether the recording holds anything but zeros.
bool alive(const trace::ExecutionTrace& core) {
    if (core.spike_count() > 0) return true;
    for (std::size_t f = 0; f < core.shape().fields.size(); ++f)
        for (std::uint64_t t = 0; t < core.n_steps(); ++t)
            for (std::uint32_t n = 0; n < core.n_neurons(); ++n)
                if (core.raw(f, t, n) != 0) return true;
    return false;
}

int fit(const FitRunOptions& o, Console& console) {
    const Result<manifest::Manifest> loaded = load_core(o);
    if (!loaded) return console.fail(loaded.error());
    const manifest::Manifest& m = *loaded;
    const Result<std::uint32_t> fault = fault_of(m, o);
    if (!fault) return console.fail(fault.error());
    Result<Experiment> experiment = load_experiment(m);
    if (!experiment) return console.fail(experiment.error());
    const Experiment& e = *experiment;

    const Result<sim::BuiltHost> host = build_core(m, &e.network, *fault, o, console);
    if (!host) return console.fail(host.error());
    const Result<std::unique_ptr<sim::DutSource>> dut =
        start_core(*host, m, e.network, *fault, o, console);
    if (!dut) return console.fail(dut.error());
    const trace::Shape shape = (*dut)->shape();

    std::vector<std::string> notes;
    if (m.golden.given())
        notes.push_back("the golden of [golden] is not looked at: descriptions of the core are");
    std::uint64_t step_bytes = 8 * shape.spike_words();
    for (const auto& field : shape.fields)
        step_bytes += static_cast<std::uint64_t>(field.bytes) * shape.n_neurons;
    std::uint64_t steps = std::max<std::uint64_t>(
        1, std::min(o.steps, kMostBytes / std::max<std::uint64_t>(step_bytes, 1)));
    std::unique_ptr<trace::Stimulus> random;
    if (o.stimulus == "random")
        random = std::make_unique<RandomStimulus>(m, e.network, steps, (*dut)->side_band_bits());
    const trace::Stimulus& stimulus = random ? *random : *e.stimulus;
    steps = std::min(steps, stimulus.n_steps());
    std::optional<trace::SourceEnd> end;
    Result<trace::ExecutionTrace> core = record(**dut, stimulus, steps, console, "core", end);
    if (!core) return console.fail(core.error());
    if (end)
        notes.push_back(fmt::format("the core ended in timestep {}: {}", end->timestep, end->text));
    if (core->n_steps() == 0)
        return console.fail({Errc::Environment, "nothing was recorded; " + notes[0], m.path});

    analysis::FitOptions options;
    options.limit_s = o.limit_s;
    options.description = m.golden.description;
    options.stop = console.stop;
    std::string phase;
    std::unique_ptr<ProgressBar> bar;
    options.registers = [&]() -> Result<std::vector<analysis::ObservedRegister>> {
        if (bar) bar->clear();
        auto observed =
            observe_registers(m, e.network, stimulus, core->n_steps(), *fault, o, console);
        if (observed || observed.error().code == Errc::Interrupted) return observed;
        notes.push_back("the core's registers cannot be seen, those in common use were tried: " +
                        observed.error().text());
        return std::vector<analysis::ObservedRegister>{};
    };
    options.progress = [&](const analysis::FitProgress& p) {
        if (!bar || p.phase != phase) {
            if (bar) bar->clear();
            phase = p.phase;
            bar = std::make_unique<ProgressBar>(console, phase, "descriptions");
        }
        bar->update(p.done, p.total);
    };
    Result<FitReport> fitted = analysis::fit_description(e.network, stimulus, *core, options);
    if (bar) bar->clear();
    if (!fitted) return console.fail(fitted.error());
    const FitReport& r = *fitted;
    const bool explained = !r.explanations.empty();
    const bool idle = !alive(*core);
    if (idle)
        notes.push_back(
            "INCONCLUSIVE: all that the core showed was 0; nothing can be told from it");
    else if (r.spikes == 0)
        notes.push_back("the core never fired: nothing about thresholds and resets can be told");
    if (!r.complete)
        notes.push_back(fmt::format(
            "the limit of {} s ended the search before every pair was tried; --limit-s gives more",
            o.limit_s));
    BestDivergence best;
    if (!explained)
        best = look_at_best(r, e.network, m.golden.description, stimulus, *core, console);
    notes.insert(notes.end(), best.notes.begin(), best.notes.end());
    if (!o.save.empty() && explained) {
        const auto net = analysis::apply_changes(e.network, r.explanations[0].changes);
        if (!net) return console.fail(net.error());
        if (Status saved = golden::save_network(*net, o.save); !saved)
            return console.fail(saved.error());
        notes.push_back(
            "the network under description 1" +
            std::string(std::ranges::any_of(r.explanations[0].changes,
                                            [](const auto& c) { return !c.golden.empty(); })
                            ? ", without its lines for [golden]: "
                            : ": ") +
            o.save);
    }

    std::string headline;
    if (explained) {
        headline = fmt::format("EXPLAINED: {} {} every one of {} timesteps of {} neurons",
                               r.explanations.size() == 1
                                   ? "one description follows"
                                   : fmt::format("{} descriptions follow", r.explanations.size()),
                               r.start.explains ? "(the manifest's own)" : "the core in",
                               with_commas(r.steps), with_commas(shape.n_neurons));
    } else {
        headline = fmt::format(
            "NOT EXPLAINED: the best of {} descriptions predicts {} of {} neuron-updates "
            "({:.2f} %), and follows the core to timestep {} of {}",
            with_commas(r.tried), with_commas(r.best[0].predicted), with_commas(r.best[0].judged),
            percent(r.best[0].predicted, r.best[0].judged), with_commas(r.best[0].timestep),
            with_commas(r.steps));
    }
    const std::string reproduce = reproduce_line(m, o, console);
    const int code = idle ? 3 : explained ? 0 : 1;
    const Writer writer(m, e, (*dut)->signals());
    if (o.json) {
        const auto list = [&](const std::vector<FitCandidate>& all) {
            ordered_json a = ordered_json::array();
            for (const FitCandidate& c : all) a.push_back(to_object(c, writer.write(c), shape));
            return a;
        };
        ordered_json j;
        j["core"] = m.core.name;
        j["explained"] = explained;
        j["exit_code"] = code;
        j["headline"] = headline;
        j["timesteps"] = r.steps;
        j["updates"] = r.updates;
        j["spikes"] = r.spikes;
        j["start"] = to_object(r.start, {}, shape);
        j["explanations"] = list(r.explanations);
        j["best"] = list(r.best);
        j["registers"] = ordered_json::array();
        for (const analysis::FoundRegister& found : r.registers)
            j["registers"].push_back({{"name", found.name}, {"text", text_of(found.noise)}});
        j["unused"] = r.unused;
        j["tried"] = r.tried;
        j["singles"] = r.singles;
        j["pairs"] = r.pairs;
        j["complete"] = r.complete;
        j["seconds"] = r.seconds;
        j["divergence"] = best.divergence ? ordered_json::parse(analysis::to_json(*best.divergence))
                                          : ordered_json();
        j["explanation"] = best.explanation
                               ? ordered_json::parse(analysis::to_json(*best.explanation))
                               : ordered_json();
        j["notes"] = notes;
        j["reproduce"] = reproduce;
        console.out << j.dump(2) << "\n";
        return code;
    }
    print_report(r, writer, !m.network.nir.empty(), shape, console.out);
    if (best.divergence) {
        analysis::RenderOptions render;
        render.colour = console.colour;
        console.out << "The first divergence of the best\n"
                    << analysis::render(*best.divergence, render) << "\n";
        if (best.explanation) console.out << analysis::render(*best.explanation, render) << "\n";
    }
    for (const analysis::FoundRegister& found : r.registers)
        fmt::print(console.out, "shift register: {} ({})\n", found.name, text_of(found.noise));
    if (!r.unused.empty())
        fmt::print(console.out, "not used by this network: {}\n", fmt::join(r.unused, ", "));
    for (const std::string& note : notes) fmt::print(console.out, "{}\n", note);
    fmt::print(console.out, "tried {} descriptions ({} single changes, {} pairs) in {}\n",
               with_commas(r.tried), with_commas(r.singles), with_commas(r.pairs),
               duration(r.seconds));
    const char* colour = !console.colour ? "" : explained ? "\x1b[1;32m" : "\x1b[1;31m";
    fmt::print(console.out, "{}{}{}\nreproduce: {}\n", colour, headline,
               console.colour ? "\x1b[0m" : "", reproduce);
    return code;
}
}  // namespace

void add_fit(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<FitRunOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "fit", "Search the descriptions of the arithmetic that reproduce what a core does");
    add_core_options(*cmd, *o, console);
    cmd->add_option("--stimulus", o->stimulus,
                    "random (default): several densities; manifest: its [stimulus]")
        ->check(CLI::IsMember({"random", "manifest"}));
    cmd->add_option("--steps", o->steps, "Timesteps to record (default 2048)")
        ->check(CLI::PositiveNumber);
    cmd->add_option("--limit-s", o->limit_s, "Seconds to search (default 120)")
        ->check(CLI::PositiveNumber);
    cmd->add_option("--save", o->save, "Write the network under the first description, as JSON");
    cmd->callback([=, &exit_code, &console] { exit_code = fit(*o, console); });
}

}  // namespace spikelock::app

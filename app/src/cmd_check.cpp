// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "command_line.hpp"
#include "core_session.hpp"
#include "experiment.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/sim/dut_source.hpp"

namespace spikelock::app {

using nlohmann::ordered_json;

namespace {
struct CheckOptions : CoreOptions {
    std::uint64_t steps = 1;
    std::uint32_t neurons = 0;
    std::uint32_t axons = 0;
    std::uint32_t show = 8;
};

/// What `init` left open: names that start with FILL_IN, outside comments.
Status all_filled_in(const std::string& path) {
    std::ifstream file(path);
    std::string found;
    std::size_t first = 0;
    std::size_t count = 0;
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        const std::size_t at = line.find("FILL_IN");
        if (at == std::string::npos || line.find('#') < at) continue;
        const std::size_t end = line.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", at);
        if (count++ == 0) first = number;
        if (count <= 8)
            found += fmt::format("{}{} (line {})", found.empty() ? "" : ", ",
                                 line.substr(at, end - at), number);
    }
    if (count == 0) return {};
    if (count > 8) found += fmt::format(" and {} more", count - 8);
    return Error{
        Errc::BadConfig,
        fmt::format("{} to be filled in: {}; 'spikelock signals' lists what there is",
                    count == 1 ? "one name is still" : fmt::format("{} names are still", count),
                    found),
        fmt::format("{}:{}", path, first)};
}

/// A signal by the name that the manifest gives it; an index expression in braces stands for any.
const manifest::Signal* find_signal(const manifest::SignalTable& signals, const std::string& name) {
    if (const auto found = signals.find(name); found != signals.end()) return &found->second;
    const std::size_t brace = name.find('{');
    if (brace == std::string::npos) return nullptr;
    for (const auto& [candidate, signal] : signals) {
        std::size_t i = 0;
        std::size_t j = 0;
        bool same = true;
        while (same && i < name.size()) {
            if (name[i] == '{') {
                i = std::min(name.find('}', i), name.size() - 1) + 1;
                const std::size_t start = j;
                while (j < candidate.size() && candidate[j] >= '0' && candidate[j] <= '9') ++j;
                same = j > start;
            } else {
                same = j < candidate.size() && candidate[j++] == name[i++];
            }
        }
        if (same && j == candidate.size()) return &signal;
    }
    return nullptr;
}

Status check_names(const manifest::Manifest& m, const manifest::SignalTable& signals) {
    std::vector<std::string> known;
    for (const auto& [name, signal] : signals) known.push_back(name);
    for (const std::string& name : m.signal_names()) {
        if (find_signal(signals, name) || name == "s" || name == "k") continue;
        return Error{Errc::NotFound,
                     "the core has no signal '" + name + "'" + did_you_mean(name, known), m.path};
    }
    return {};
}

/// Width of what an [[observe]] entry reads, where it can be told.
std::optional<int> width_of(const manifest::Expression& expression,
                            const manifest::SignalTable& signals) {
    using Kind = manifest::Expression::Kind;
    if (expression.empty()) return std::nullopt;
    const manifest::Expression::Node& node = expression.root();
    const auto number = [](const manifest::Expression::Node& n) -> std::optional<std::int64_t> {
        if (n.kind == Kind::Number) return n.number;
        return std::nullopt;
    };
    if (node.kind == Kind::Bit) {
        // name[i] is a word of a memory, a bit of anything else.
        const std::vector<std::string> names = expression.names();
        const manifest::Signal* signal = names.empty() ? nullptr : find_signal(signals, names[0]);
        return signal && signal->words > 1 ? static_cast<int>(signal->bits) : 1;
    }
    if (node.kind == Kind::Slice && node.children.size() >= 2) {
        const auto last = number(*node.children.back());
        if (!last) return std::nullopt;
        if (node.plus_slice) return static_cast<int>(*last);
        const auto high = number(*node.children[node.children.size() - 2]);
        if (!high) return std::nullopt;
        return static_cast<int>(*high - *last + 1);
    }
    if (node.kind != Kind::Name) return std::nullopt;
    const std::vector<std::string> names = expression.names();
    const manifest::Signal* signal = names.empty() ? nullptr : find_signal(signals, names[0]);
    if (!signal) return std::nullopt;
    return static_cast<int>(signal->bits);
}

/// A network without synapses that fits what is observed, so that a core can be stepped before any
/// network exists.
golden::Network stand_in(const manifest::Manifest& m, const manifest::SignalTable& signals,
                         std::uint32_t neurons, std::uint32_t axons) {
    golden::Network network;
    network.name = "none";
    golden::NeuronParams neuron;
    for (const manifest::ObserveSpec& o : m.observe) {
        const std::optional<int> width = width_of(o.value, signals);
        if (o.field == "u") neuron.cuba = true;
        if (o.field == "refr") neuron.refractory = 1;
        if (!width) continue;
        if (o.field == "v") network.arithmetic.v_bits = *width;
        if (o.field == "u") network.arithmetic.u_bits = *width;
        if (o.field == "i_syn") network.arithmetic.acc_bits = *width;
        if (o.field == "refr") network.arithmetic.refr_bits = *width;
    }
    network.neurons.assign(neurons, neuron);
    network.populations = {{"all", 0, neurons}};
    if (axons > 0) network.ports = {{"in", 0, axons}};
    network.row_begin.assign(std::size_t{axons} + neurons + 1, 0);
    return network;
}

std::int64_t element(const trace::FieldSpec& field, std::span<const std::byte> bytes,
                     std::size_t index) {
    std::uint64_t raw = 0;
    const auto size = static_cast<std::size_t>(field.bytes);
    std::memcpy(&raw, bytes.data() + size * index, size);
    const int shift = 64 - 8 * field.bytes;
    return field.is_signed ? static_cast<std::int64_t>(raw << shift) >> shift
                           : static_cast<std::int64_t>(raw);
}

/// One timestep as it was read.
struct StepReading {
    std::uint64_t timestep = 0;
    std::uint64_t clocks = 0;
    std::uint64_t events = 0;
    std::vector<std::uint32_t> spikes;              ///< neurons
    std::vector<std::vector<std::int64_t>> fields;  ///< per field, per neuron
};

StepReading reading_of(const trace::BlockView& block, const trace::Shape& shape) {
    StepReading r;
    r.timestep = block.first;
    for (std::uint32_t n = 0; n < shape.n_neurons; ++n)
        if ((block.spikes[n / 64] >> (n % 64)) & 1) r.spikes.push_back(n);
    for (std::size_t f = 0; f < shape.fields.size(); ++f) {
        std::vector<std::int64_t> values;
        for (std::size_t n = 0; n < shape.n_neurons; ++n)
            values.push_back(element(shape.fields[f], block.fields[f], n));
        r.fields.push_back(std::move(values));
    }
    return r;
}

template <typename T>
std::string first_of(const std::vector<T>& values, std::size_t most) {
    std::string text;
    for (std::size_t k = 0; k < std::min(most, values.size()); ++k)
        text += fmt::format("{}{}", k == 0 ? "" : " ", values[k]);
    if (values.size() > most) text += " ...";
    return text;
}

std::string range_of(const std::vector<std::int64_t>& values) {
    if (values.empty()) return {};
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return fmt::format("{}..{}", *low, *high);
}

struct Ended {
    std::string verdict;
    int exit_code = 0;
    trace::SourceEnd end;
};

Ended verdict_of(const trace::SourceEnd& end) {
    switch (end.kind) {
        case trace::EndKind::Hung:
            return {"HUNG", 4, end};
        case trace::EndKind::Asserted:
            return {"ASSERTED", 4, end};
        case trace::EndKind::Crashed:
            return {"CRASHED", 4, end};
        default:
            return {"INCONCLUSIVE", 3, end};
    }
}

void print_text(const manifest::Manifest& m, const sim::DutSource& core,
                const std::vector<StepReading>& readings, const std::optional<Ended>& ended,
                bool has_network, const CheckOptions& o, std::ostream& out) {
    const trace::Shape& shape = core.shape();
    fmt::print(out, "{}: {} neurons, {} signals named\n", m.core.name, with_commas(shape.n_neurons),
               m.signal_names().size());
    fmt::print(out, "start-up: {} entries, {} words loaded, {} read back equal\n", m.startup.size(),
               with_commas(core.words_loaded()), with_commas(core.words_compared()));
    for (const StepReading& r : readings) {
        fmt::print(out, "\ntimestep {}: {} clocks{}, {} input events, {} spikes{}{}\n", r.timestep,
                   with_commas(r.clocks),
                   r.timestep == 0 ? " since power-on (start-up included)" : "",
                   with_commas(r.events), with_commas(r.spikes.size()),
                   r.spikes.empty() ? "" : ": neurons ", first_of(r.spikes, o.show));
        for (std::size_t f = 0; f < shape.fields.size(); ++f)
            fmt::print(out, "  {:<6} {:>2} bits  {:<16} {}\n", shape.fields[f].name,
                       shape.fields[f].bits, range_of(r.fields[f]), first_of(r.fields[f], o.show));
    }
    if (ended)
        fmt::print(out, "\n{} in timestep {}, clock {}: {}\n", ended->verdict, ended->end.timestep,
                   ended->end.clock, ended->end.text);
    if (!has_network)
        fmt::print(
            out,
            "\nWithout [network] nothing was loaded and no input was given: what was read is "
            "the core's own\nstate after reset. With a network, 'check' also loads it and "
            "applies the [stimulus].\n");
    if (!ended) fmt::print(out, "\nNothing was compared with a golden model: that is 'run'.\n");
}

void print_json(const manifest::Manifest& m, const sim::DutSource& core,
                const std::vector<StepReading>& readings, const std::optional<Ended>& ended,
                std::ostream& out) {
    const trace::Shape& shape = core.shape();
    ordered_json j = {{"core", m.core.name},
                      {"neurons", shape.n_neurons},
                      {"words_loaded", core.words_loaded()},
                      {"words_compared", core.words_compared()}};
    ordered_json steps = ordered_json::array();
    for (const StepReading& r : readings) {
        ordered_json fields = ordered_json::object();
        for (std::size_t f = 0; f < shape.fields.size(); ++f)
            fields[shape.fields[f].name] = r.fields[f];
        steps.push_back({{"timestep", r.timestep},
                         {"clocks", r.clocks},
                         {"events", r.events},
                         {"spikes", r.spikes},
                         {"fields", std::move(fields)}});
    }
    j["timesteps"] = std::move(steps);
    if (ended)
        j["ended"] = {{"verdict", ended->verdict},
                      {"timestep", ended->end.timestep},
                      {"clock", ended->end.clock},
                      {"text", ended->end.text}};
    out << j.dump(2) << "\n";
}

int check(const CheckOptions& o, Console& console) {
    Result<manifest::Manifest> loaded = load_core(o);
    if (!loaded) return console.fail(loaded.error());
    manifest::Manifest& m = *loaded;
    if (Status filled = all_filled_in(o.manifest); !filled) return console.fail(filled.error());
    const bool has_network = !m.network.nir.empty() || !m.network.json.empty();
    std::optional<Experiment> experiment;
    if (has_network) {
        Result<Experiment> read = load_experiment(m);
        if (!read) return console.fail(read.error());
        experiment = std::move(*read);
    }
    const Result<sim::BuiltHost> host =
        build_core(m, experiment ? &experiment->network : nullptr, 0, o, console);
    if (!host) return console.fail(host.error());
    Result<manifest::SignalTable> signals = sim::list_signals(*host, m);
    if (!signals) return console.fail(signals.error());

    golden::Network network;
    if (experiment) {
        network = experiment->network;
    } else {
        if (Status named = check_names(m, *signals); !named) return console.fail(named.error());
        if (o.neurons == 0) {
            if (o.json) {
                console.out << ordered_json{{"core", m.core.name},
                                            {"signals", m.signal_names().size()},
                                            {"timesteps", ordered_json::array()}}
                                   .dump(2)
                            << "\n";
                return 0;
            }
            fmt::print(
                console.out,
                "{}: the manifest is well-formed, the core builds and starts, and has all {} "
                "signals that are named\n\nWithout [network] the number of neurons is not "
                "known: give --neurons N (and --axons M) to run the\nstart-up list and step "
                "once with nothing loaded, or a [network] to check loading and input too.\n",
                m.core.name, m.signal_names().size());
            return 0;
        }
        network = stand_in(m, *signals, o.neurons, o.axons);
        m.maps.clear();
        std::erase_if(m.startup, [](const manifest::StartupStep& s) {
            return s.kind == manifest::StartupStep::Kind::Load;
        });
        if (Status good = network.check(); !good)
            return console.fail({good.error().code, good.error().message, o.manifest});
    }
    Result<std::unique_ptr<sim::DutSource>> dut = start_core(*host, m, network, 0, o, console);
    if (!dut) return console.fail(dut.error());
    sim::DutSource& core = **dut;

    const std::uint64_t steps =
        experiment ? std::min(o.steps, experiment->stimulus->n_steps()) : o.steps;
    std::vector<StepReading> readings;
    std::optional<Ended> ended;
    for (std::uint64_t t = 0; t < steps && !ended; ++t) {
        trace::StimulusBlock block;
        if (experiment) {
            block = experiment->stimulus->block(t, 1);
        } else {
            block.first = t;
            block.n_steps = 1;
            block.event_begin = {0, 0};
        }
        const std::uint64_t before = core.clocks();
        if (Status submitted = core.submit(block); !submitted)
            return console.fail(submitted.error());
        auto got = core.read(1);
        if (!got) return console.fail(got.error());
        if (const auto* view = std::get_if<trace::BlockView>(&*got)) {
            readings.push_back(reading_of(*view, core.shape()));
            readings.back().clocks = core.clocks() - before;
            readings.back().events = block.events.size();
        } else {
            ended = verdict_of(std::get<trace::SourceEnd>(*got));
        }
    }
    if (o.json)
        print_json(m, core, readings, ended, console.out);
    else
        print_text(m, core, readings, ended, has_network, o, console.out);
    return ended ? ended->exit_code : 0;
}
}  // namespace

void add_check(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<CheckOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "check", "Build, start, load and step a core, and show what is read; compare nothing");
    add_manifest_options(*cmd, *o, console);
    cmd->add_option("--steps", o->steps, "Timesteps of the stimulus (default 1)")
        ->check(CLI::Range(1, 100000));
    cmd->add_option("--neurons", o->neurons, "Without [network]: neurons that the core has")
        ->check(CLI::Range(1, 1 << 20));
    cmd->add_option("--axons", o->axons, "Without [network]: inputs that the core has")
        ->check(CLI::Range(0, 1 << 20));
    cmd->add_option("--show", o->show, "Neurons to show of each field (default 8)");
    cmd->callback([=, &exit_code, &console] { exit_code = check(*o, console); });
}

}  // namespace spikelock::app

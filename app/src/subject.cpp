// SPDX-License-Identifier: Apache-2.0
#include "subject.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "recorder.hpp"
#include "spikelock/base/hash.hpp"
#include "spikelock/golden/network_json.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {
/// "--v-bits" stands for the manifest key network.quantise.v_bits.
struct QuantiseKey {
    const char* option;
    const char* key;
    const char* help;
};
constexpr QuantiseKey kQuantiseKeys[] = {
    {"--dt-s,--dt", "dt", "Seconds per timestep"},
    {"--v-bits", "v_bits", "Bits of v, thresholds and biases"},
    {"--u-bits", "u_bits", "Bits of a CUBA neuron's current"},
    {"--acc-bits", "acc_bits", "Bits of the accumulator"},
    {"--weight-bits", "weight_bits", "Bits of a weight"},
    {"--leak-frac", "leak_frac", "Fraction bits of a leak factor"},
    {"--refr-bits", "refr_bits", "Bits of the refractory counter"},
    {"--delay-slots", "delay_slots", "Timesteps that a delay may span, plus one"},
    {"--leak-mode", "leak_mode", "shift or multiply"},
    {"--rounding", "rounding", "floor, toward_zero, away_from_zero or nearest_even"},
    {"--v-overflow", "v_overflow", "wrap or saturate"},
    {"--acc-overflow", "acc_overflow", "wrap or saturate"},
    {"--compare", "compare", "'>=' or '>'"},
    {"--reset-mode", "reset_mode", "value or subtract"},
    {"--headroom-bits", "headroom_bits", "Bits of v kept free above the largest threshold"},
    {"--v-frac", "v_frac", "Fraction bits of v, instead of choosing the scales"},
    {"--weight-shift", "weight_shift", "With --v-frac: left shift of a weight"},
    {"--u-shift", "u_shift", "With --v-frac: fraction bits that u has beyond v"},
};

enum class Form { Manifest, Nir, Json };

Form form_of(const std::string& path) {
    const std::string extension = fs::path(path).extension().string();
    if (extension == ".nir" || extension == ".h5" || extension == ".hdf5") return Form::Nir;
    return extension == ".json" ? Form::Json : Form::Manifest;
}

Error bad(std::string message, std::string where) {
    return {Errc::BadConfig, std::move(message), std::move(where)};
}

Result<manifest::Manifest> load_form(const SubjectOptions& o, Form form) {
    std::vector<std::string> overrides = o.set;
    overrides.insert(overrides.end(), o.quantise.begin(), o.quantise.end());
    if (o.seed) overrides.push_back("stimulus.seed=" + std::to_string(*o.seed));
    if (o.samples > 0) overrides.push_back("stimulus.max_samples=" + std::to_string(o.samples));
    if (o.sample_steps > 0)
        overrides.push_back("stimulus.sample_steps=" + std::to_string(o.sample_steps));
    if (!o.events.empty()) {
        overrides.push_back("stimulus.kind=events");
        overrides.push_back("stimulus.file=" + fs::absolute(o.events).string());
    }
    if (o.probability) overrides.push_back(fmt::format("stimulus.probability={}", *o.probability));
    if (form == Form::Manifest)
        return manifest::load_manifest(o.path, overrides, manifest::CoreNeed::IfPresent);
    if (std::error_code error; !fs::exists(o.path, error))
        return Error{Errc::NotFound, "cannot open; expected a manifest, a NIR graph or a network",
                     o.path};
    overrides.push_back((form == Form::Nir ? "network.nir=" : "network.json=") +
                        fs::absolute(o.path).string());
    return manifest::parse_manifest("", o.path, overrides, manifest::CoreNeed::IfPresent);
}
}  // namespace

void add_subject_options(CLI::App& cmd, SubjectOptions& o) {
    cmd.add_option("subject", o.path, "Manifest (cosim.toml), NIR graph (.nir) or network (.json)")
        ->required();
    cmd.add_option("--set", o.set, "Override a manifest key: --set stimulus.max_rate=0.3");
    cmd.add_option("--seed", o.seed, "Seed of the stimulus")->check(at_least(0));
    cmd.add_option("--samples", o.samples, "Run only the first N samples of the stimulus")
        ->check(at_least(1));
    cmd.add_option("--steps", o.steps, "Run N timesteps (of images: at most N)")
        ->check(at_least(0));
    cmd.add_option("--duration-s,--duration", o.duration_s,
                   "Run that many seconds of network time");
    cmd.add_option("--sample-steps", o.sample_steps,
                   "Start from a cleared state every N timesteps");
    cmd.add_option("--probability", o.probability, "Random input: spikes per axon and timestep");
    cmd.add_option("--rate-hz", o.rate_hz, "Random input: spikes per axon and second");
    cmd.add_option("--events", o.events, "Input from a CSV file of timestep and axon");
    for (const QuantiseKey& key : kQuantiseKeys)
        cmd.add_option_function<std::string>(
               key.option,
               [&o, key](const std::string& value) {
                   o.quantise.push_back("network.quantise." + std::string(key.key) + "=" + value);
               },
               key.help)
            ->group("Formats (of the manifest, else of its defaults)");
}

Result<Subject> load_subject(const SubjectOptions& o) {
    const Form form = form_of(o.path);
    if (o.probability.has_value() + o.rate_hz.has_value() + !o.events.empty() > 1)
        return bad("expected at most one of --probability, --rate-hz and --events", o.path);
    if (o.duration_s && o.steps > 0)
        return bad("expected at most one of --steps and --duration-s", o.path);
    Result<manifest::Manifest> loaded = load_form(o, form);
    if (!loaded) return loaded.error();
    Subject subject;
    subject.manifest = std::move(*loaded);
    manifest::Manifest& m = subject.manifest;
    subject.name = !m.core.name.empty() ? m.core.name : fs::path(o.path).stem().string();

    double dt = m.network.quantise.dt;
    if (!m.network.json.empty()) {
        if (!o.quantise.empty())
            return bad("this network is given as integers: formats and timestep are its own",
                       o.path);
        Result<golden::Network> network = golden::load_network(m.network.json);
        if (!network) return network.error();
        dt = network->dt;
    }
    using Kind = manifest::StimulusSpec::Kind;
    if ((o.probability || o.rate_hz) && m.stimulus.kind != Kind::Poisson)
        return bad(
            "a rate is for random input, which this manifest does not ask for; "
            "--set stimulus.kind=poisson",
            o.path);
    if (o.rate_hz) {
        m.stimulus.probability = *o.rate_hz * dt;
        if (!(m.stimulus.probability >= 0.0 && m.stimulus.probability <= 1.0))
            return bad(fmt::format("{} spikes per second are {:.4g} per timestep of {} s, expected "
                                   "0 to 1",
                                   *o.rate_hz, m.stimulus.probability, dt),
                       "--rate-hz");
    }
    std::uint64_t steps = o.steps;
    if (o.duration_s) {
        const double wanted = std::nearbyint(*o.duration_s / dt);
        if (!(wanted >= 1.0 && wanted < 0x1p53))
            return bad(fmt::format("{} s are {} timesteps of {} s, expected at least 1",
                                   *o.duration_s, wanted, dt),
                       "--duration-s");
        steps = static_cast<std::uint64_t>(wanted);
    }
    if (steps > 0 && m.stimulus.kind != Kind::Images) m.stimulus.steps = steps;
    Result<Experiment> experiment = load_experiment(m);
    if (!experiment) return experiment.error();
    subject.experiment = std::move(*experiment);
    subject.steps = subject.experiment.stimulus->n_steps();
    if (steps > 0) subject.steps = std::min(subject.steps, steps);
    return subject;
}

Result<std::unique_ptr<trace::StepSource>> float_model(const Subject& subject) {
    const Experiment& e = subject.experiment;
    if (!e.float_network)
        return bad(
            "there is no float model of a network that is given as integers; expected "
            "nir = \"net.nir\"",
            subject.manifest.network.where + ": [network]");
    golden::FloatOptions options;
    options.dt = e.network.dt;
    options.reset_mode = e.network.arithmetic.reset_mode;
    options.compare = e.network.arithmetic.compare;
    return golden::make_float_source(*e.float_network, options);
}

std::string provenance(const Subject& subject, const std::string& source, const std::string& name,
                       std::vector<std::pair<std::string, std::string>> files,
                       const Console& console) {
    const manifest::Manifest& m = subject.manifest;
    nlohmann::ordered_json j;
    j["spikelock"] = SPIKELOCK_VERSION;
    j["command"] = console.command_line;
    j["source"] = source;
    if (name != source) j["golden"] = name;
    files.insert(files.begin(), subject.experiment.files.begin(), subject.experiment.files.end());
    Sha256 hash;
    hash.update(golden::to_json(subject.experiment.network));
    j["network"] = hash.hex();
    j["seed"] = m.stimulus.seed;
    j["stimulus"] =
        nlohmann::ordered_json::parse(describe_stimulus(m.stimulus, *subject.experiment.stimulus));
    j["files"] = nlohmann::ordered_json::parse(describe_files(m, std::move(files)));
    return j.dump();
}

Status drive(std::span<trace::StepSource* const> sources, const trace::Stimulus& stimulus,
             std::uint64_t steps, const Console& console, const std::string& what,
             const std::function<Status(std::span<const trace::BlockView>)>& take) {
    ProgressBar bar(console, what, "timesteps");
    std::vector<trace::BlockView> blocks(sources.size());
    for (std::uint64_t first = 0; first < steps;) {
        if (console.stopped()) return Error{Errc::Interrupted, "stopped by the user", {}};
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(256, steps - first));
        const trace::StimulusBlock input = stimulus.block(first, count);
        for (trace::StepSource* source : sources)
            if (Status submitted = source->submit(input); !submitted) return submitted.error();
        for (std::uint32_t done = 0; done < count;) {
            std::uint32_t part = count - done;
            for (std::size_t i = 0; i < sources.size(); ++i) {
                auto got = sources[i]->read(part);
                if (!got) return got.error();
                if (const auto* end = std::get_if<trace::SourceEnd>(&*got);
                    end && end->kind != trace::EndKind::Complete)
                    return Error{Errc::BadConfig, end->text,
                                 "timestep " + std::to_string(end->timestep)};
                auto* block = std::get_if<trace::BlockView>(&*got);
                // Models compute all that they are asked for, so the parts stay equal.
                if (block == nullptr || (i > 0 && block->n_steps != part))
                    return Error{Errc::Internal, "a model gave fewer timesteps than asked for", {}};
                part = block->n_steps;
                blocks[i] = std::move(*block);
            }
            if (Status taken = take(blocks); !taken) return taken.error();
            done += part;
        }
        first += count;
        bar.update(first, steps);
    }
    return {};
}

}  // namespace spikelock::app

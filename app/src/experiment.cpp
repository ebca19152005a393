// SPDX-License-Identifier: Apache-2.0
#include "experiment.hpp"

#include <algorithm>

#include "spikelock/base/hash.hpp"
#include "spikelock/bridge/events.hpp"
#include "spikelock/bridge/images.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/golden/nir.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace spikelock::app {

namespace {
using manifest::Manifest;
using manifest::StimulusSpec;

Status add_file(Experiment& e, const std::string& path) {
    Result<std::string> hash = hash_file(path);
    if (!hash) return hash.error();
    e.files.emplace_back(path, *hash);
    return {};
}

Status load_network(const Manifest& m, Experiment& e) {
    const manifest::NetworkSpec& spec = m.network;
    if (spec.nir.empty() && spec.json.empty())
        return Error{Errc::BadConfig,
                     "missing section [network]: nir = \"net.nir\" or json = \"net.json\"", m.path};
    if (Status added = add_file(e, spec.nir.empty() ? spec.json : spec.nir); !added) return added;
    if (!spec.json.empty()) {
        Result<golden::Network> network = golden::load_network(spec.json);
        if (!network) return network.error();
        e.network = std::move(*network);
        return {};
    }
    Result<golden::FloatNetwork> network = golden::read_nir(spec.nir);
    if (!network) return network.error();
    Result<golden::Quantised> quantised = golden::quantise(*network, spec.quantise);
    if (!quantised) {
        Error error = quantised.error();
        if (error.where.empty()) error.where = spec.where + ": [network.quantise]";
        return error;
    }
    e.network = std::move(quantised->network);
    e.quantised = std::move(quantised->report);
    e.float_network = std::move(*network);
    return {};
}

/// Timesteps of the samples that are wanted.
std::uint64_t wanted_steps(const StimulusSpec& s) {
    const bool all =
        s.max_samples == 0 || s.sample_steps == 0 || s.steps / s.sample_steps < s.max_samples;
    return all ? s.steps : s.max_samples * s.sample_steps;
}

Result<std::unique_ptr<trace::Stimulus>> load_stimulus(const Manifest& m, Experiment& e) {
    const StimulusSpec& s = m.stimulus;
    const std::uint64_t steps = wanted_steps(s);
    if (!s.file.empty())
        if (Status added = add_file(e, s.file); !added) return added.error();
    switch (s.kind) {
        case StimulusSpec::Kind::Images: {
            bridge::ImageFileOptions file;
            file.pixel_max = s.full_scale;
            Result<bridge::ImageSet> set = bridge::read_images(s.file, file);
            if (!set) return set.error();
            if (set->pixels_per_image != e.network.n_axons())
                return Error{Errc::Mismatch,
                             "images have " + std::to_string(set->pixels_per_image) +
                                 " pixels, the network has " + std::to_string(e.network.n_axons()) +
                                 " inputs",
                             s.file};
            if (s.max_samples > 0 && s.max_samples < set->n_images()) {
                set->pixels.resize(s.max_samples * set->pixels_per_image);
                if (!set->labels.empty()) set->labels.resize(s.max_samples);
            }
            golden::ImageOptions options;
            options.pixels = std::move(set->pixels);
            options.pixels_per_image = set->pixels_per_image;
            options.labels = std::move(set->labels);
            options.coding = s.coding;
            options.max_rate = s.max_rate;
            options.steps_per_image = s.steps_per_image;
            options.seed = s.seed;
            return golden::make_image_stimulus(std::move(options));
        }
        case StimulusSpec::Kind::Events: {
            Result<std::vector<bridge::TimedEvent>> events = bridge::read_events(s.file);
            if (!events) return events.error();
            std::vector<golden::TimedEvent> timed;
            for (const bridge::TimedEvent& event : *events)
                if (event.timestep < steps || event.timestep >= s.steps)
                    timed.push_back({event.timestep, event.event});
            std::vector<trace::Sample> samples;
            const std::uint64_t each = s.sample_steps > 0 ? s.sample_steps : steps;
            for (std::uint64_t begin = 0; begin < steps; begin += each)
                samples.push_back({{}, begin, std::min(steps, begin + each), s.start});
            Result<std::unique_ptr<trace::Stimulus>> made =
                golden::make_event_stimulus(std::move(timed), steps, std::move(samples));
            if (!made && made.error().where.empty())
                return Error{made.error().code, made.error().message, s.file};
            return made;
        }
        case StimulusSpec::Kind::Poisson: {
            golden::PoissonOptions options;
            options.axons = e.network.n_axons();
            options.probability = s.probability;
            options.n_steps = steps;
            options.sample_steps = s.sample_steps;
            options.start = s.start;
            options.seed = s.seed;
            return golden::make_poisson_stimulus(options);
        }
        case StimulusSpec::Kind::Current: {
            golden::CurrentOptions options;
            options.current.assign(e.network.n_neurons(), s.current);
            options.noise = s.noise;
            options.n_steps = steps;
            options.sample_steps = s.sample_steps;
            options.start = s.start;
            options.seed = s.seed;
            return golden::make_current_stimulus(std::move(options));
        }
    }
    return Error{Errc::Internal, "unknown stimulus", s.where};
}
}  // namespace

Result<Experiment> load_experiment(const Manifest& manifest) {
    Experiment e;
    if (Status loaded = load_network(manifest, e); !loaded) return loaded.error();
    if (Status good = e.network.check(); !good)
        return Error{good.error().code, good.error().message, manifest.network.where};
    Result<std::unique_ptr<trace::Stimulus>> stimulus = load_stimulus(manifest, e);
    if (!stimulus) {
        Error error = stimulus.error();
        if (error.where.empty()) error.where = manifest.stimulus.where + ": [stimulus]";
        return error;
    }
    e.stimulus = std::move(*stimulus);
    if (manifest.golden.description) {
        golden::Description description = golden::describe(e.network);
        if (Status good = golden::apply(*manifest.golden.description, description); !good)
            return good.error();
        if (!golden::is_plain(e.network, description)) e.description = std::move(description);
    }
    return e;
}

Result<BuiltIn> make_golden(const Experiment& experiment, golden::Kernel kernel, bool list_spikes) {
    BuiltIn built;
    if (experiment.description) {
        auto source =
            golden::DescribedSource::create(experiment.network, *experiment.description, kernel);
        if (!source) return source.error();
        built.kernel = (*source)->kernel();
        built.lists_spikes = list_spikes && (*source)->list_spikes();
        built.source = std::move(*source);
        return built;
    }
    auto source = golden::GoldenSource::create(experiment.network, {kernel});
    if (!source) return source.error();
    built.kernel = (*source)->kernel();
    built.source = std::move(*source);
    return built;
}

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
#include "recorder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "spikelock/base/hash.hpp"

namespace spikelock::app {

namespace {
std::int64_t element(std::span<const std::byte> bytes, std::size_t index,
                     const trace::FieldSpec& spec) {
    std::uint64_t raw = 0;
    const auto width = static_cast<std::size_t>(spec.bytes);
    std::memcpy(&raw, bytes.data() + index * width, width);
    if (spec.is_float || width == 8) return static_cast<std::int64_t>(raw);
    const unsigned shift = 64 - 8 * static_cast<unsigned>(width);
    return spec.is_signed ? static_cast<std::int64_t>(raw << shift) >> shift
                          : static_cast<std::int64_t>(raw);
}
}  // namespace

Status Recorder::expected_difference(const trace::BlockView& expected,
                                     const trace::BlockView& actual) {
    std::vector<trace::ExpectedDifference> found;
    const std::size_t n = shape_.n_neurons;
    const std::size_t words = shape_.spike_words();
    for (std::uint32_t step = 0; step < actual.n_steps; ++step) {
        for (std::size_t w = 0; w < words; ++w) {
            std::uint64_t differ =
                expected.spikes[step * words + w] ^ actual.spikes[step * words + w];
            for (; differ != 0; differ &= differ - 1) {
                const auto bit = static_cast<std::uint32_t>(std::countr_zero(differ));
                found.push_back(
                    {actual.first + step, static_cast<std::uint32_t>(w * 64 + bit),
                     trace::ExpectedDifference::kSpike,
                     static_cast<std::int64_t>((expected.spikes[step * words + w] >> bit) & 1)});
            }
        }
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            const int at = expected_shape_.field_index(shape_.fields[f].name);
            if (at < 0) continue;
            const auto width = static_cast<std::size_t>(shape_.fields[f].bytes);
            const auto theirs =
                expected.fields[static_cast<std::size_t>(at)].subspan(step * n * width, n * width);
            const auto ours = actual.fields[f].subspan(step * n * width, n * width);
            if (std::memcmp(theirs.data(), ours.data(), n * width) == 0) continue;
            for (std::size_t i = 0; i < n; ++i) {
                const std::int64_t want = element(theirs, i, shape_.fields[f]);
                if (want != element(ours, i, shape_.fields[f]))
                    found.push_back({actual.first + step, static_cast<std::uint32_t>(i),
                                     static_cast<std::int32_t>(f), want});
            }
        }
    }
    return writer_.add_expected_differences(found);
}

std::string describe_stimulus(const manifest::StimulusSpec& spec, const trace::Stimulus& stimulus) {
    using Kind = manifest::StimulusSpec::Kind;
    constexpr std::uint64_t kHashed = 1024;  // timesteps
    nlohmann::ordered_json j;
    switch (spec.kind) {
        case Kind::Images:
            j["kind"] = "images";
            j["coding"] = spec.coding == golden::ImageCoding::Rate ? "rate" : "latency";
            j["max_rate"] = spec.max_rate;
            j["steps_per_image"] = spec.steps_per_image;
            break;
        case Kind::Events:
            j["kind"] = "events";
            break;
        case Kind::Poisson:
            j["kind"] = "poisson";
            j["probability"] = spec.probability;
            break;
        case Kind::Current:
            j["kind"] = "current";
            j["current"] = spec.current;
            j["noise"] = spec.noise;
            break;
    }
    j["seed"] = spec.seed;
    j["steps"] = stimulus.n_steps();
    j["samples"] = stimulus.samples().size();
    const auto steps = static_cast<std::uint32_t>(std::min(stimulus.n_steps(), kHashed));
    const trace::StimulusBlock block = stimulus.block(0, steps);
    // Number by number: structures may have padding.
    Sha256 hash;
    const auto add = [&](std::uint64_t value) { hash.update(std::as_bytes(std::span(&value, 1))); };
    for (std::uint32_t step = 0; step < steps; ++step) {
        for (const trace::InputEvent& event : block.events_of(step)) {
            add(step);
            add(event.port);
            add(event.address);
            add(static_cast<std::uint64_t>(event.payload));
        }
    }
    for (const trace::SideBand& band : block.side_bands) {
        hash.update_field(band.name);
        hash.update(std::as_bytes(std::span(band.values)));
    }
    j["hashed_steps"] = steps;
    j["sha256"] = hash.hex();
    return j.dump();
}

std::string describe_files(const manifest::Manifest& m,
                           std::vector<std::pair<std::string, std::string>> files) {
    nlohmann::ordered_json j = nlohmann::ordered_json::object();
    if (Result<std::string> own = hash_file(m.path)) files.emplace_back(m.path, *own);
    for (const auto& [file, hash] : files) {
        std::error_code error;
        const std::filesystem::path relative = std::filesystem::relative(file, m.folder, error);
        j[error ? file : relative.string()] = hash;
    }
    return j.dump();
}

}  // namespace spikelock::app

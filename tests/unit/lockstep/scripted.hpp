// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::lockstep::test {

/// Observations element by element, in the plainest form there is.
struct Script {
    trace::Shape shape;
    std::uint64_t first = 0;
    std::uint32_t n_steps = 0;
    std::vector<std::vector<std::int64_t>> values;       ///< per field (n_steps * n_neurons)
    std::vector<std::uint16_t> spikes;                   ///< (n_steps * n_neurons), counts
    std::vector<std::uint8_t> valid;                     ///< (n_steps)
    std::vector<std::vector<std::uint8_t>> value_valid;  ///< per field; empty: all valid

    std::size_t at(std::uint64_t step, std::uint32_t neuron) const {
        return (step - first) * shape.n_neurons + neuron;
    }
    /// All zero and valid.
    static Script blank(trace::Shape shape, std::uint32_t n_steps, std::uint64_t first = 0);
    void truncate(std::uint32_t steps);
};

/// A field of the test shapes.
trace::FieldSpec field(std::string name, int bytes, bool is_signed = true, bool is_float = false);

/// Plays a script in blocks of random size. Memory of a block is freed at the next read and starts
/// at an odd address, so that sanitizers see any use of old or over-read views.
class ScriptedSource : public trace::StepSource {
public:
    struct Behaviour {
        std::uint64_t seed = 1;
        bool recorded = false;            ///< ignores submit
        std::uint32_t most_block = 0;     ///< 0: as much as is asked for; else random up to that
        trace::SourceEnd end = {};        ///< how it ends; timestep is filled in
        std::optional<Error> error = {};  ///< instead of the end
    };
    ScriptedSource(const Script& script, Behaviour behaviour)
        : script_(script), behaviour_(std::move(behaviour)), random_(behaviour_.seed) {}

    const trace::Shape& shape() const override { return script_.shape; }
    Status submit(const trace::StimulusBlock& block) override;
    std::uint64_t in_flight() const override { return submitted_ - read_; }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t most) override;

    std::uint64_t most_in_flight = 0;  ///< seen at a read
    std::uint64_t most_blocks_ahead = 0;

private:
    struct Memory {
        std::vector<std::unique_ptr<std::byte[]>> fields;
        std::vector<std::uint64_t> spikes;
        std::vector<std::uint16_t> counts;
        std::vector<std::uint8_t> valid;
        std::vector<std::vector<std::uint64_t>> masks;
    };
    const Script& script_;
    Behaviour behaviour_;
    std::mt19937_64 random_;
    std::unique_ptr<Memory> memory_;
    std::uint64_t submitted_ = 0;
    std::uint64_t blocks_submitted_ = 0;
    std::uint64_t read_ = 0;
};

/// A stimulus whose events and side band tell its timestep.
class CountingStimulus : public trace::Stimulus {
public:
    CountingStimulus(std::uint64_t n_steps, std::uint64_t sample_steps);
    std::uint64_t n_steps() const override { return n_steps_; }
    std::span<const trace::Sample> samples() const override { return samples_; }
    trace::StimulusBlock block(std::uint64_t first, std::uint32_t count) const override;

private:
    std::uint64_t n_steps_;
    std::vector<trace::Sample> samples_;
};

/// Keeps all it is given as bytes, step by step.
class KeepingSink : public Sink {
public:
    explicit KeepingSink(trace::Shape expected, trace::Shape actual)
        : expected_shape_(std::move(expected)), actual_shape_(std::move(actual)) {}
    Status actual(const trace::BlockView& block) override;
    Status expected_difference(const trace::BlockView& expected,
                               const trace::BlockView& actual) override;
    Status stimulus(const trace::StimulusBlock& block) override;

    std::string actual_bytes;
    std::string expected_bytes;
    std::string stimulus_bytes;
    std::vector<std::uint64_t> steps;             ///< given to actual()
    std::vector<std::uint64_t> difference_steps;  ///< given to expected_difference()
    std::vector<std::uint64_t> stimulus_steps;
    std::optional<Error> fails;  ///< returned by actual()

private:
    trace::Shape expected_shape_;
    trace::Shape actual_shape_;
};

/// Everything in an outcome but the time it took, as text.
std::string text_of(const Outcome& outcome);

}  // namespace spikelock::lockstep::test

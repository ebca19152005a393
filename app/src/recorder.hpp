// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace spikelock::app {

/// Records the actual source, of the expected one what differs, and the input as applied.
class Recorder : public lockstep::Sink {
public:
    /// @param expected_shape  its fields are looked up by name in the shape that is recorded
    Recorder(trace::TraceWriter& writer, trace::Shape expected_shape, trace::Shape actual_shape)
        : writer_(writer),
          expected_shape_(std::move(expected_shape)),
          shape_(std::move(actual_shape)) {}
    Status actual(const trace::BlockView& block) override { return writer_.append(block); }
    Status expected_difference(const trace::BlockView& expected,
                               const trace::BlockView& actual) override;
    Status stimulus(const trace::StimulusBlock& block) override {
        return writer_.add_stimulus(block);
    }

private:
    trace::TraceWriter& writer_;
    trace::Shape expected_shape_;
    trace::Shape shape_;
};

/// What is needed to make a stimulus again, for the provenance: its keys, its seed, and the SHA-256
/// of what it applies in its first timesteps, by which a later version can tell whether it still
/// makes the same. Side bands are recorded this way unless they are asked for in full.
/// @returns JSON text
std::string describe_stimulus(const manifest::StimulusSpec& spec, const trace::Stimulus& stimulus);

/// Files with their SHA-256, and the manifest with its own, named from the manifest's folder.
/// @returns JSON text
std::string describe_files(const manifest::Manifest& m,
                           std::vector<std::pair<std::string, std::string>> files);

}  // namespace spikelock::app

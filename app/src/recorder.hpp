// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "spikelock/lockstep/lockstep.hpp"
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

}  // namespace spikelock::app

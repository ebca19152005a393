// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis {

/// A trace in memory as a recorded source: it yields its timesteps in order and then ends as
/// complete. Submitted stimuli are ignored.
/// @param trace  must outlive the source and stay unchanged; blocks are views into it
std::unique_ptr<trace::StepSource> make_trace_source(const trace::ExecutionTrace& trace);

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/csv.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::bridge {

/// An input event with its timestep.
struct TimedEvent {
    std::uint64_t timestep = 0;
    trace::InputEvent event;
    bool operator==(const TimedEvent&) const = default;
};

/// Parses one event per line, in ascending order of timesteps.
/// With a header the columns are `timestep`, `axon`, and where wanted `port` and `payload`, in any
/// order; without one they are (timestep, axon), (timestep, port, axon) or (timestep, port, axon,
/// payload). A missing port is 0, a missing payload 1. A text without events gives none.
/// @param origin  stands for the path in errors
/// @errors Errc::BadFormat with origin:line:column: no integer, out of range (port 0..65535, axon
/// 0..2^32-1, payload -32768..32767), a timestep below the one before it, an unknown, missing or
/// repeated column
Result<std::vector<TimedEvent>> parse_events_csv(std::string_view text, const std::string& origin,
                                                 const CsvOptions& options = {});
/// Reads events from CSV, or from an NPY array of integers of shape (n, 2), (n, 3) or (n, 4) with
/// the columns in the order given above; which of the two is told by the file's first bytes.
/// @errors those of parse_events_csv and read_npy; Errc::NotFound, Errc::Io
Result<std::vector<TimedEvent>> read_events(const std::string& path,
                                            const CsvOptions& options = {});

/// The events as CSV with a header; port and payload only where one differs from its default.
std::string format_events_csv(std::span<const TimedEvent> events);
/// Writes format_events_csv under a temporary name in the same folder and renames it to `path`.
/// @errors Errc::Io, Errc::Environment (disk full)
Status write_events(const std::string& path, std::span<const TimedEvent> events);

}  // namespace spikelock::bridge

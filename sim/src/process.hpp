// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

struct CommandResult {
    int status = 0;      ///< exit code, or 128 + signal
    std::string output;  ///< stdout and stderr together
};

/// Runs a command to its end with both outputs captured. It and all that it starts share a process
/// group that is killed when the caller dies, in whatever way, or `stop` is set.
/// @param arguments  the program (looked up in PATH) and its arguments
/// @param stop       looked at when a signal arrives; may be null
/// @errors Errc::NotFound when there is no such program, Errc::Environment when it cannot be
/// started, Errc::Interrupted
Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const std::string& folder = {},
                                  const std::atomic<bool>* stop = nullptr);

}  // namespace spikelock::sim::detail

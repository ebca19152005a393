// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

struct CommandResult {
    int status = 0;      ///< exit code, or 128 + signal
    std::string output;  ///< stdout and stderr together
};

/// Runs a command to its end with both outputs captured; it dies with the caller.
/// @param arguments  the program (looked up in PATH) and its arguments
/// @errors Errc::NotFound when there is no such program, Errc::Environment when it cannot be
/// started
Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const std::string& folder = {});

}  // namespace spikelock::sim::detail

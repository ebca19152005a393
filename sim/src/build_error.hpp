// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

/// The first error that Verilator or a compiler printed, with its place.
/// @param log  file that keeps the whole output; empty: none
Error build_error(const std::string& tool, const std::string& output, const std::string& log);

}  // namespace spikelock::sim::detail

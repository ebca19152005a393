// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/writer.hpp"

namespace spikelock::bridge::fst {

/// Writes an FST, as vcd::Writer::create() writes a VCD.
/// @errors Errc::Io; Errc::Unsupported in a build without the FST library
Result<std::unique_ptr<vcd::Writer>> create(const std::string& path, int time_exponent);

}  // namespace spikelock::bridge::fst

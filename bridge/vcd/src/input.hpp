// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/reader.hpp"

namespace spikelock::bridge::vcd::detail {

using Input = ByteStream;

/// A file, decompressed where it starts as gzip does.
/// @errors Errc::NotFound, Errc::Io
Result<std::unique_ptr<Input>> open_file(const std::string& path);
std::unique_ptr<Input> open_memory(std::span<const char> bytes);

}  // namespace spikelock::bridge::vcd::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/reader.hpp"

namespace spikelock::bridge::vcd::detail {

using Input = ByteStream;
using Watch = std::function<void(std::span<const char>)>;

struct InputOptions {
    bool ahead = false;  ///< what is compressed is decompressed by a thread of its own
    Watch watch;         ///< is given all bytes of the file, in order
};

/// A file, decompressed where it starts as gzip does.
/// @errors Errc::NotFound, Errc::Io; Errc::Environment without a thread
Result<std::unique_ptr<Input>> open_file(const std::string& path, const InputOptions& options = {});
std::unique_ptr<Input> open_memory(std::span<const char> bytes);

}  // namespace spikelock::bridge::vcd::detail

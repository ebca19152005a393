// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge::vcd::detail {

/// Bytes in order: of a file, a compressed file, or memory.
class Input {
public:
    Input() = default;
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;
    virtual ~Input() = default;
    /// Up to `size` bytes; 0 at the end (of a growing file: for now).
    virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
};

/// A file, decompressed where it starts as gzip does.
/// @errors Errc::NotFound, Errc::Io
Result<std::unique_ptr<Input>> open_file(const std::string& path);
std::unique_ptr<Input> open_memory(std::span<const char> bytes);

}  // namespace spikelock::bridge::vcd::detail

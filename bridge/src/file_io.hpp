// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge::detail {

/// An open file that can be read at any place; closes itself.
class InputFile {
public:
    /// @errors Errc::NotFound, Errc::Io
    static Result<InputFile> open(const std::string& path);
    InputFile(InputFile&& other) noexcept;
    InputFile& operator=(InputFile&& other) noexcept;
    ~InputFile();

    const std::string& path() const noexcept { return path_; }
    /// Bytes of a regular file. @errors Errc::Io, Errc::Unsupported for anything else
    Result<std::uint64_t> size() const;
    /// Fills `into` from `offset`. @errors Errc::Io, Errc::Truncated
    Status read_at(std::uint64_t offset, std::span<std::byte> into) const;
    /// Everything from the current position; also from pipes.
    /// @errors Errc::Io, Errc::Limit when there is more than `limit` bytes
    Result<std::string> read_to_end(std::uint64_t limit) const;

private:
    InputFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    int fd_ = -1;
    std::string path_;
};

/// Whether the file begins with the magic of an NPY file; false when it is shorter or no regular
/// file. @errors Errc::NotFound, Errc::Io
Result<bool> is_npy(const std::string& path);

/// Writes a file under a temporary name in the same folder and renames it, so that `path` holds
/// either all of it or what was there before.
/// @errors Errc::Io, Errc::Environment (disk full)
Status write_whole(const std::string& path, std::span<const std::byte> bytes);

/// Text of a file for a message: quoted, cut after 40 bytes, control and non-ASCII bytes as \xNN.
std::string quoted(std::string_view text);

}  // namespace spikelock::bridge::detail

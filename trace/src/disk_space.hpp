// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::trace::detail {

/// Keeps disk space reserved ahead of a growing file, so that a full disk is met here, between two
/// writes, and never inside HDF5, which could not bring the file to a readable state any more.
class DiskSpace {
public:
    /// @errors Errc::Io when the file cannot be opened
    static Result<DiskSpace> open(const std::string& path);
    DiskSpace() = default;
    DiskSpace(DiskSpace&& other) noexcept;
    DiskSpace& operator=(DiskSpace&& other) noexcept;
    ~DiskSpace();

    /// Makes sure that the file may grow to `size` bytes.
    /// @errors Errc::Environment when the disk, a quota or the file size limit does not allow it
    Status reserve(std::uint64_t size);
    /// Gives back what lies beyond the end of the file.
    void release() noexcept;
    int fd() const noexcept { return fd_; }

private:
    std::string path_;
    int fd_ = -1;
    std::uint64_t reserved_ = 0;
    bool supported_ = true;
};

}  // namespace spikelock::trace::detail

// SPDX-License-Identifier: Apache-2.0
#include "disk_space.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace spikelock::trace::detail {

namespace {
constexpr std::uint64_t kStride = 16ULL << 20;  // reserved at once while the disk has it
}

Result<DiskSpace> DiskSpace::open(const std::string& path) {
    DiskSpace space;
    space.path_ = path;
    space.fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (space.fd_ < 0) {
        return Error{Errc::Io, std::string("cannot open the trace: ") + std::strerror(errno), path};
    }
    return space;
}

DiskSpace::DiskSpace(DiskSpace&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      reserved_(other.reserved_),
      supported_(other.supported_) {}

DiskSpace& DiskSpace::operator=(DiskSpace&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(fd_, other.fd_);
    std::swap(reserved_, other.reserved_);
    std::swap(supported_, other.supported_);
    return *this;
}

DiskSpace::~DiskSpace() {
    if (fd_ >= 0) ::close(fd_);
}

Status DiskSpace::reserve(std::uint64_t size) {
    // fallocate() does not look at this limit when it keeps the size, and a write beyond it would
    // raise SIGXFSZ.
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur) {
        return Error{Errc::Environment,
                     "the trace would grow beyond the file size limit of " +
                         std::to_string(limit.rlim_cur) + " bytes",
                     path_};
    }
    if (size <= reserved_ || !supported_) return {};
    for (const std::uint64_t want : {size + kStride, size}) {
        const std::uint64_t from = reserved_;
        int rc = 0;
        do {
            rc = ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from),
                             static_cast<off_t>(want - from));
        } while (rc != 0 && errno == EINTR);
        if (rc == 0) {
            reserved_ = want;
            return {};
        }
        if (errno == EOPNOTSUPP || errno == ENOSYS) {
            supported_ = false;  // some network file systems: a full disk is met by the write
            return {};
        }
    }
    const bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    return Error{full ? Errc::Environment : Errc::Io,
                 full ? "disk full: the trace cannot grow beyond " + std::to_string(reserved_) +
                            " bytes; what was recorded before stays readable"
                      : std::string("cannot reserve disk space: ") + std::strerror(errno),
                 path_};
}

void DiskSpace::release() noexcept {
    struct stat info{};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0) return;
    // Truncating to the present size frees the blocks beyond it on ext4 and XFS; the hole does so
    // elsewhere.
    if (reserved_ > static_cast<std::uint64_t>(info.st_size)) {
        static_cast<void>(::fallocate(fd_, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, info.st_size,
                                      static_cast<off_t>(reserved_) - info.st_size));
    }
    if (::ftruncate(fd_, info.st_size) != 0) return;
    reserved_ = 0;
}

}  // namespace spikelock::trace::detail

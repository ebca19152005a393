// SPDX-License-Identifier: Apache-2.0
#include "file_io.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace spikelock::bridge::detail {
namespace {
Error system_error(const char* what, const std::string& path, int code) {
    const Errc errc = code == ENOENT                     ? Errc::NotFound
                      : code == ENOSPC || code == EDQUOT ? Errc::Environment
                                                         : Errc::Io;
    return {errc, fmt::format("cannot {}: {}", what, std::generic_category().message(code)), path};
}

/// Opens a new file beside `path`; a number in its name steps over those of other writers.
int open_temporary(const std::string& path, std::string& temporary) {
    for (int attempt = 0;; ++attempt) {
        temporary = fmt::format("{}.{}-{}.tmp", path, ::getpid(), attempt);
        const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST || attempt == 1000) return fd;
    }
}
}  // namespace

Result<InputFile> InputFile::open(const std::string& path) {
    // An embedded NUL would open another file than the one that errors name.
    if (path.find('\0') != std::string::npos)
        return Error{Errc::NotFound, "file name with a NUL byte", quoted(path)};
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return system_error("open", path, errno);
    InputFile file(fd, path);
    struct stat info{};
    if (::fstat(fd, &info) != 0) return system_error("open", path, errno);
    if (S_ISDIR(info.st_mode)) return system_error("open", path, EISDIR);
    return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
}

InputFile::~InputFile() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::uint64_t> InputFile::size() const {
    struct stat info{};
    if (::fstat(fd_, &info) != 0) return system_error("read", path_, errno);
    if (!S_ISREG(info.st_mode))
        return Error{Errc::Unsupported, "expected a regular file, found a pipe or device", path_};
    return static_cast<std::uint64_t>(info.st_size);
}

Status InputFile::read_at(std::uint64_t offset, std::span<std::byte> into) const {
    while (!into.empty()) {
        const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read", path_, errno);
        if (got == 0)
            return Error{Errc::Truncated, "the file became shorter while it was read",
                         fmt::format("{}: byte {}", path_, offset)};
        into = into.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
    return {};
}

Result<std::string> InputFile::read_to_end(std::uint64_t limit) const {
    std::string text;
    std::array<char, std::size_t{1} << 16> chunk;
    for (;;) {
        const ssize_t got = ::read(fd_, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error("read", path_, errno);
        if (got == 0) return text;
        if (text.size() + static_cast<std::size_t>(got) > limit)
            return Error{Errc::Limit, fmt::format("larger than {} bytes", limit), path_};
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

Result<bool> is_npy(const std::string& path) {
    auto file = InputFile::open(path);
    if (!file) return file.error();
    const auto size = file->size();
    // What cannot be read twice is taken as text.
    if (!size || *size < 6) return false;
    std::array<std::byte, 6> magic;
    if (Status status = file->read_at(0, magic); !status) return status.error();
    return std::memcmp(magic.data(), "\x93NUMPY", magic.size()) == 0;
}

Status write_whole(const std::string& path, std::span<const std::byte> bytes) {
    std::string temporary;
    const int fd = open_temporary(path, temporary);
    if (fd < 0) return system_error("write", path, errno);
    int code = 0;
    while (!bytes.empty() && code == 0) {
        const ssize_t put = ::write(fd, bytes.data(), bytes.size());
        if (put > 0) bytes = bytes.subspan(static_cast<std::size_t>(put));
        if (put < 0 && errno != EINTR) code = errno;
    }
    // Synced before the rename: after a power loss the name must not stand for an empty file.
    if (code == 0 && ::fsync(fd) != 0) code = errno;
    if (::close(fd) != 0 && code == 0) code = errno;
    if (code == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) code = errno;
    if (code == 0) return {};
    ::unlink(temporary.c_str());
    return system_error("write", path, code);
}

std::string quoted(std::string_view text) {
    constexpr std::size_t kMost = 40;
    std::string out = "'";
    for (const char c : text.substr(0, kMost)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f)
            out += c;
        else
            out += fmt::format("\\x{:02x}", byte);
    }
    out += text.size() > kMost ? "...'" : "'";
    return out;
}

}  // namespace spikelock::bridge::detail

// SPDX-License-Identifier: Apache-2.0
#include "input.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <vector>

namespace spikelock::bridge::vcd::detail {
namespace {

class FileInput : public Input {
public:
    FileInput(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    ~FileInput() override { ::close(fd_); }
    Result<std::size_t> read(char* into, std::size_t size) override {
        for (;;) {
            const ssize_t got = ::read(fd_, into, size);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR)
                return Error{Errc::Io, std::string("cannot read: ") + std::strerror(errno), path_};
        }
    }

private:
    int fd_;
    std::string path_;
};

class GzipInput : public Input {
public:
    GzipInput(std::unique_ptr<FileInput> file, std::string path)
        : file_(std::move(file)), path_(std::move(path)), packed_(std::size_t{1} << 16) {
        // 32: the format is taken from the data.
        ready_ = inflateInit2(&stream_, 32 + MAX_WBITS) == Z_OK;
    }
    ~GzipInput() override { inflateEnd(&stream_); }
    Result<std::size_t> read(char* into, std::size_t size) override {
        if (!ready_) return Error{Errc::Environment, "zlib cannot be set up", path_};
        size = std::min<std::size_t>(size, std::numeric_limits<uInt>::max());
        stream_.next_out = reinterpret_cast<Bytef*>(into);
        stream_.avail_out = static_cast<uInt>(size);
        while (stream_.avail_out == size) {
            if (stream_.avail_in == 0) {
                Result<std::size_t> got = file_->read(packed_.data(), packed_.size());
                if (!got) return got;
                if (*got == 0) {
                    if (between_) return std::size_t{0};
                    return Error{Errc::Truncated, "the compressed data end early", path_};
                }
                stream_.next_in = reinterpret_cast<Bytef*>(packed_.data());
                stream_.avail_in = static_cast<uInt>(*got);
            }
            between_ = false;
            const int state = inflate(&stream_, Z_NO_FLUSH);
            if (state == Z_STREAM_END) {
                // Another member may follow.
                between_ = true;
                if (inflateReset(&stream_) != Z_OK)
                    return Error{Errc::Internal, "zlib cannot be reset", path_};
            } else if (state != Z_OK && state != Z_BUF_ERROR) {
                return Error{Errc::BadFormat,
                             std::string("the compressed data are damaged: ") +
                                 (stream_.msg != nullptr ? stream_.msg : "no reason given"),
                             path_};
            }
        }
        return size - stream_.avail_out;
    }

private:
    std::unique_ptr<FileInput> file_;
    std::string path_;
    std::vector<char> packed_;
    z_stream stream_{};
    bool ready_ = false;
    bool between_ = false;
};

class MemoryInput : public Input {
public:
    explicit MemoryInput(std::span<const char> bytes) : bytes_(bytes) {}
    Result<std::size_t> read(char* into, std::size_t size) override {
        size = std::min(size, bytes_.size());
        if (size > 0) std::memcpy(into, bytes_.data(), size);
        bytes_ = bytes_.subspan(size);
        return size;
    }

private:
    std::span<const char> bytes_;
};

}  // namespace

Result<std::unique_ptr<Input>> open_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return Error{errno == ENOENT ? Errc::NotFound : Errc::Io,
                     std::string("cannot open: ") + std::strerror(errno), path};
    auto file = std::make_unique<FileInput>(fd, path);
    struct stat info{};
    if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        return Error{Errc::Io, "is a folder; expected a waveform", path};
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    unsigned char magic[2] = {};
    // A pipe cannot be looked into; it is taken as plain text.
    if (::pread(fd, magic, sizeof magic, 0) == sizeof magic && magic[0] == 0x1f && magic[1] == 0x8b)
        return std::unique_ptr<Input>(std::make_unique<GzipInput>(std::move(file), path));
    return std::unique_ptr<Input>(std::move(file));
}

std::unique_ptr<Input> open_memory(std::span<const char> bytes) {
    return std::make_unique<MemoryInput>(bytes);
}

}  // namespace spikelock::bridge::vcd::detail

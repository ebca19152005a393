// SPDX-License-Identifier: Apache-2.0
#include "input.hpp"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace spikelock::bridge::vcd::detail {
namespace {

class FileInput : public Input {
public:
    FileInput(int fd, std::string path, Watch watch)
        : fd_(fd), path_(std::move(path)), watch_(std::move(watch)) {}
    ~FileInput() override { ::close(fd_); }
    Result<std::size_t> read(char* into, std::size_t size) override {
        for (;;) {
            const ssize_t got = ::read(fd_, into, size);
            if (got >= 0) {
                const auto bytes = static_cast<std::size_t>(got);
                if (watch_) watch_(std::span(into, bytes));
                return bytes;
            }
            if (errno != EINTR)
                return Error{Errc::Io, std::string("cannot read: ") + std::strerror(errno), path_};
        }
    }

private:
    int fd_;
    std::string path_;
    Watch watch_;
};

/// By ISA-L, which is four times as fast as zlib.
class GzipInput : public Input {
public:
    GzipInput(std::unique_ptr<Input> file, std::string path)
        : file_(std::move(file)), path_(std::move(path)), packed_(std::size_t{1} << 16) {
        start_member();
    }
    Result<std::size_t> read(char* into, std::size_t size) override {
        size = std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max());
        state_.next_out = reinterpret_cast<std::uint8_t*>(into);
        state_.avail_out = static_cast<std::uint32_t>(size);
        while (state_.avail_out == size && size > 0) {
            if (failed_) return *failed_;
            if (state_.avail_in == 0 && !packed_ended_) {
                Result<std::size_t> got = file_->read(packed_.data(), packed_.size());
                if (!got) return got;
                packed_ended_ = *got == 0;
                state_.next_in = reinterpret_cast<std::uint8_t*>(packed_.data());
                state_.avail_in = static_cast<std::uint32_t>(*got);
            }
            const bool no_more = state_.avail_in == 0 && packed_ended_;
            if (between_) {  // another member may follow
                if (no_more) return std::size_t{0};
                start_member();
            }
            const int result = isal_inflate(&state_);
            if (result < 0)
                failed_ =
                    Error{Errc::BadFormat,
                          std::string("the compressed data are damaged: ") + reason(result), path_};
            else if (state_.block_state == ISAL_BLOCK_FINISH)
                between_ = true;
            else if (no_more && state_.avail_out == size)
                failed_ = Error{Errc::Truncated, "the compressed data end early", path_};
        }
        return size - state_.avail_out;
    }

private:
    void start_member() {
        // What is left of the input stays.
        const auto in = std::pair(state_.next_in, state_.avail_in);
        const auto out = std::pair(state_.next_out, state_.avail_out);
        isal_inflate_init(&state_);
        std::tie(state_.next_in, state_.avail_in) = in;
        std::tie(state_.next_out, state_.avail_out) = out;
        state_.crc_flag = ISAL_GZIP;
        between_ = false;
    }
    static const char* reason(int result) {
        switch (result) {
            case ISAL_INVALID_BLOCK:
                return "no such kind of block";
            case ISAL_INVALID_SYMBOL:
                return "no such symbol";
            case ISAL_INVALID_LOOKBACK:
                return "a repetition of what lies before the data";
            case ISAL_INCORRECT_CHECKSUM:
                return "the checksum differs";
            case ISAL_UNSUPPORTED_METHOD:
                return "not compressed by deflate";
            default:
                return "expected a gzip header";
        }
    }

    std::unique_ptr<Input> file_;
    std::string path_;
    std::vector<char> packed_;
    bool packed_ended_ = false;
    inflate_state state_{};
    bool between_ = false;  ///< members
    std::optional<Error> failed_;
};

/// Another input, read ahead by a thread of its own.
class AheadInput : public Input {
public:
    explicit AheadInput(std::unique_ptr<Input> input) : input_(std::move(input)) {
        thread_ = std::thread([this] { fill(); });
    }
    ~AheadInput() override {
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Result<std::size_t> read(char* into, std::size_t size) override {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return filled_ > 0; });
        Block& block = blocks_[first_];
        if (block.at == block.bytes) {  // only the last has nothing
            if (block.error) return *block.error;
            return std::size_t{0};
        }
        lock.unlock();
        const std::size_t part = std::min(size, block.bytes - block.at);
        std::memcpy(into, block.data.data() + block.at, part);
        block.at += part;
        if (block.at == block.bytes) {
            lock.lock();
            first_ = (first_ + 1) % kBlocks;
            --filled_;
            lock.unlock();
            changed_.notify_all();
        }
        return part;
    }

private:
    static constexpr std::size_t kBlocks = 4;
    static constexpr std::size_t kBlockBytes = std::size_t{1} << 18;
    struct Block {
        std::vector<char> data = std::vector<char>(kBlockBytes);
        std::size_t bytes = 0;
        std::size_t at = 0;
        std::optional<Error> error;
    };
    void fill() {
        for (std::size_t next = 0;; next = (next + 1) % kBlocks) {
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [&] { return stop_ || filled_ < kBlocks; });
                if (stop_) return;
            }
            Block& block = blocks_[next];
            block.at = 0;
            Result<std::size_t> got = input_->read(block.data.data(), kBlockBytes);
            block.bytes = got ? *got : 0;
            if (!got) block.error = got.error();
            {
                const std::lock_guard lock(mutex_);
                ++filled_;
            }
            changed_.notify_all();
            if (block.bytes == 0) return;
        }
    }

    std::unique_ptr<Input> input_;  ///< of the thread alone
    std::array<Block, kBlocks> blocks_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t first_ = 0;   ///< block that is read from
    std::size_t filled_ = 0;  ///< blocks from there on that are
    bool stop_ = false;
    std::thread thread_;
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

Result<std::unique_ptr<Input>> open_file(const std::string& path, const InputOptions& options) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return Error{errno == ENOENT ? Errc::NotFound : Errc::Io,
                     std::string("cannot open: ") + std::strerror(errno), path};
    std::unique_ptr<Input> input = std::make_unique<FileInput>(fd, path, options.watch);
    struct stat info{};
    if (::fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
        return Error{Errc::Io, "is a folder; expected a waveform", path};
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    unsigned char magic[2] = {};
    // A pipe cannot be looked into; it is taken as plain text.
    if (::pread(fd, magic, sizeof magic, 0) != sizeof magic || magic[0] != 0x1f || magic[1] != 0x8b)
        return input;
    input = std::make_unique<GzipInput>(std::move(input), path);
    if (!options.ahead) return input;
    try {
        return std::unique_ptr<Input>(std::make_unique<AheadInput>(std::move(input)));
    } catch (const std::system_error& error) {
        return Error{Errc::Environment, std::string("cannot start a thread: ") + error.what(),
                     path};
    }
}

std::unique_ptr<Input> open_memory(std::span<const char> bytes) {
    return std::make_unique<MemoryInput>(bytes);
}

}  // namespace spikelock::bridge::vcd::detail

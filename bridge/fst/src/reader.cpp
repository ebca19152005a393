// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/fst/reader.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "child.hpp"

namespace spikelock::bridge::fst {
namespace {

using vcd::Change;
using vcd::Header;

/// The child process and the text that it sends.
class Child : public vcd::ByteStream {
public:
    Child(std::string path, const Options& options) : path_(std::move(path)), options_(options) {}
    ~Child() override {
        if (out_ >= 0) ::close(out_);
        if (in_ >= 0) ::close(in_);
        reap(true);
    }

    Status start() {
        int to_child[2] = {-1, -1};
        int from_child[2] = {-1, -1};
        if (::pipe2(to_child, O_CLOEXEC) != 0) return no_child("a pipe");
        if (::pipe2(from_child, O_CLOEXEC) != 0) {
            ::close(to_child[0]);
            ::close(to_child[1]);
            return no_child("a pipe");
        }
        // Larger than the default: fewer changes between the two processes.
        ::fcntl(from_child[1], F_SETPIPE_SZ, 1 << 20);
        const pid_t parent = ::getpid();
        pid_ = ::fork();
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(0);
            try {
                detail::run_child(path_, from_child[1], to_child[0], options_.memory_limit);
            } catch (const std::exception&) {
                ::_exit(kNoMemory);
            }
        }
        ::close(to_child[0]);
        ::close(from_child[1]);
        out_ = to_child[1];
        in_ = from_child[0];
        if (pid_ < 0) return no_child("a process");
        return {};
    }
    /// Tells which handles to show; what follows are their changes.
    Status select(const std::vector<std::uint32_t>& handles) {
        std::vector<std::uint32_t> words = {static_cast<std::uint32_t>(handles.size())};
        words.insert(words.end(), handles.begin(), handles.end());
        const auto* at = reinterpret_cast<const char*>(words.data());
        std::size_t left = 4 * words.size();
        // The child may be dead; its pipe then gives EPIPE instead of a signal.
        struct sigaction ignore{};
        struct sigaction before{};
        ignore.sa_handler = SIG_IGN;
        ::sigaction(SIGPIPE, &ignore, &before);
        while (left > 0) {
            const ssize_t written = ::write(out_, at, left);
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) break;
            at += written;
            left -= static_cast<std::size_t>(written);
        }
        ::sigaction(SIGPIPE, &before, nullptr);
        return left == 0 ? Status() : Status(died());
    }

    Result<std::size_t> read(char* into, std::size_t size) override {
        if (ended_) return std::size_t{0};
        if (frame_ == 0) {
            std::uint32_t head = 0;
            if (Status s = read_all(&head, 4); !s) return s.error();
            if (head == detail::kEndFrame) {
                ended_ = true;
                return std::size_t{0};
            }
            if (head == detail::kErrorFrame) return told();
            if (head > detail::kMostFrame) return died();
            frame_ = head;
        }
        const std::size_t part = std::min<std::size_t>(size, frame_);
        Result<std::size_t> got = read_some(into, part);
        if (!got) return got;
        if (*got == 0) return died();
        frame_ -= static_cast<std::uint32_t>(*got);
        return got;
    }

private:
    static constexpr int kNoMemory = 3;

    Error no_child(const std::string& what) const {
        return {Errc::Environment, "cannot make " + what + ": " + std::strerror(errno), path_};
    }
    Result<std::size_t> read_some(void* into, std::size_t size) {
        for (;;) {
            pollfd wait = {in_, POLLIN, 0};
            const int ready = ::poll(&wait, 1, static_cast<int>(1000 * options_.time_limit_s));
            if (ready < 0 && errno == EINTR) continue;
            if (ready == 0) {
                reap(true);
                return Error{Errc::Timeout,
                             "the FST library gave nothing for " +
                                 std::to_string(static_cast<int>(options_.time_limit_s)) + " s",
                             path_};
            }
            const ssize_t got = ::read(in_, into, size);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0)
                return Error{Errc::Io, std::string("cannot read: ") + std::strerror(errno), path_};
            return static_cast<std::size_t>(got);
        }
    }
    Status read_all(void* into, std::size_t size) {
        auto* at = static_cast<char*>(into);
        while (size > 0) {
            Result<std::size_t> got = read_some(at, size);
            if (!got) return got.error();
            if (*got == 0) return died();
            at += *got;
            size -= *got;
        }
        return {};
    }
    /// What the child says is wrong.
    Error told() {
        std::uint32_t code = 0;
        if (Status s = read_all(&code, 4); !s) return s.error();
        std::string message(256, '\0');
        std::size_t size = 0;
        while (size < message.size()) {
            Result<std::size_t> got = read_some(message.data() + size, message.size() - size);
            if (!got || *got == 0) break;
            size += *got;
        }
        message.resize(size);
        const bool known = code >= 1 && code <= static_cast<std::uint32_t>(Errc::Internal);
        return {known ? static_cast<Errc>(code) : Errc::BadFormat, message, path_};
    }
    Error died() {
        const int status = reap(false);
        if (WIFSIGNALED(status))
            return {Errc::BadFormat,
                    std::string("the FST library crashed reading this file (") +
                        ::strsignal(WTERMSIG(status)) + ")",
                    path_};
        if (WIFEXITED(status) && WEXITSTATUS(status) == kNoMemory)
            return {Errc::Limit, "reading it needs more memory than allowed", path_};
        return {Errc::BadFormat, "the FST library gave up reading this file", path_};
    }
    int reap(bool kill) {
        int status = 0;
        if (pid_ <= 0) return status;
        if (kill) ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status;
    }

    std::string path_;
    Options options_;
    pid_t pid_ = -1;
    int out_ = -1;
    int in_ = -1;
    std::uint32_t frame_ = 0;  ///< bytes left of this frame
    bool ended_ = false;
};

/// The text of the child, read as a VCD.
class FstReader : public vcd::Reader {
public:
    FstReader(std::unique_ptr<vcd::Reader> text, Child& child, std::string path)
        : text_(std::move(text)), child_(child), path_(std::move(path)) {}

    const Header& header() const noexcept override { return text_->header(); }
    void select(std::span<const std::uint32_t> signals) override {
        selected_.assign(signals.begin(), signals.end());
        text_->select(signals);
    }
    Result<std::span<const Change>> next() override {
        if (!asked_) {
            asked_ = true;
            std::vector<std::uint32_t> handles;
            for (const std::uint32_t signal : selected_)
                if (signal < header().signals.size())
                    handles.push_back(detail::handle_of(header().signals[signal].id));
            if (Status s = child_.select(handles); !s) failed_ = s.error();
        }
        if (failed_) return *failed_;
        return text_->next();
    }
    std::uint64_t offset_of(const Change& change) const noexcept override {
        return text_->offset_of(change);
    }
    std::uint64_t bytes_read() const noexcept override { return text_->bytes_read(); }
    Error error_at(std::uint64_t, Errc code, const std::string& message) const override {
        return {code, message, path_};
    }

private:
    std::unique_ptr<vcd::Reader> text_;  ///< owns the child
    Child& child_;
    std::string path_;
    std::vector<std::uint32_t> selected_;
    bool asked_ = false;
    std::optional<Error> failed_;
};

}  // namespace

Result<std::unique_ptr<vcd::Reader>> open(const std::string& path, const Options& options) {
    if (!detail::has_library())
        return Error{Errc::Unsupported,
                     "this build cannot read FST: Verilator's gtkwave/fstapi.c was not found when "
                     "it was configured",
                     path};
    if (::access(path.c_str(), R_OK) != 0)
        return Error{errno == ENOENT ? Errc::NotFound : Errc::Io,
                     std::string("cannot open: ") + std::strerror(errno), path};
    auto child = std::make_unique<Child>(path, options);
    if (Status s = child->start(); !s) return s.error();
    Child& running = *child;
    Result<std::unique_ptr<vcd::Reader>> text = vcd::Reader::from_stream(std::move(child), path);
    if (!text) return text;
    return std::unique_ptr<vcd::Reader>(
        std::make_unique<FstReader>(std::move(*text), running, path));
}

}  // namespace spikelock::bridge::fst

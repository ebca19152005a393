// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/isolate.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <optional>

namespace spikelock {
namespace {

using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

/// An answer is a tag, three lengths (8 bytes each) and the three strings that they measure.
/// Value: result, "", "". Error: message, place, code in decimal.
constexpr char kValue = 'V';
constexpr char kError = 'E';
constexpr std::size_t kHeaderBytes = 1 + 3 * 8;

/// Closes a descriptor at the end of its scope.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    void close() noexcept {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }
    int get() const noexcept { return fd_; }

private:
    int fd_;
};

void put_length(char* to, std::uint64_t length) noexcept {
    std::memcpy(to, &length, sizeof length);
}

std::uint64_t get_length(const char* from) noexcept {
    std::uint64_t length = 0;
    std::memcpy(&length, from, sizeof length);
    return length;
}

bool write_all(int fd, const char* data, std::size_t size) noexcept {
    while (size > 0) {
        const ssize_t written = ::write(fd, data, size);
        if (written < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        data += written;
        size -= static_cast<std::size_t>(written);
    }
    return true;
}

bool send(int fd, char tag, const std::string& a, const std::string& b,
          const std::string& c) noexcept {
    std::array<char, kHeaderBytes> header{};
    header[0] = tag;
    put_length(&header[1], a.size());
    put_length(&header[9], b.size());
    put_length(&header[17], c.size());
    return write_all(fd, header.data(), header.size()) && write_all(fd, a.data(), a.size()) &&
           write_all(fd, b.data(), b.size()) && write_all(fd, c.data(), c.size());
}

/// Size of this process's address space, bytes; 0 if unknown.
std::uint64_t address_space() noexcept {
    const Descriptor file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
    std::array<char, 128> text{};
    if (file.get() < 0 || ::read(file.get(), text.data(), text.size() - 1) <= 0) return 0;
    std::uint64_t pages = 0;
    for (const char digit : text) {
        if (digit < '0' || digit > '9') break;
        pages = pages * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void limit_resource(__rlimit_resource resource, std::uint64_t soft, std::uint64_t hard) noexcept {
    rlimit now{};
    if (::getrlimit(resource, &now) != 0) return;
    // A limit that the caller already has may be lower; it cannot and need not be raised.
    const auto lower = [](rlim_t held, std::uint64_t wanted) {
        return held < wanted ? held : static_cast<rlim_t>(wanted);
    };
    const rlimit wanted{lower(now.rlim_cur, soft), lower(now.rlim_max, hard)};
    ::setrlimit(resource, &wanted);
}

/// Beyond what is in use already.
void limit_address_space(std::uint64_t bytes) noexcept {
    if (const std::uint64_t own = address_space(); own > 0)
        limit_resource(RLIMIT_AS, own + bytes, own + bytes);
}

/// The child of one call.
void confine(pid_t parent, const IsolationLimits& limits) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);  // it died before the line above
    ::prctl(PR_SET_DUMPABLE, 0);
    confine_child(limits.memory_bytes);
    // One call soon ends: what it takes can be told from what the sanitizer has.
    if (kSanitized) limit_address_space(limits.memory_bytes);
    limit_resource(RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + std::uint64_t{1});
}

/// Whether this process is such a child.
bool isolated = false;

[[noreturn]] void run_child(int pipe, const std::function<Result<std::string>()>& body) noexcept {
    isolated = true;
    Error error;
    try {
        const Result<std::string> result = body();
        if (result) ::_exit(send(pipe, kValue, *result, {}, {}) ? 0 : 1);
        error = result.error();
    } catch (const std::bad_alloc&) {
        ::_exit(send(pipe, kError, {}, {}, "0") ? 0 : 1);
    } catch (const std::exception& exception) {
        error = {Errc::Internal, exception.what(), {}};
    } catch (...) {
        error = {Errc::Internal, "unknown exception", {}};
    }
    const bool sent = send(pipe, kError, error.message, error.where,
                           std::to_string(static_cast<unsigned>(error.code)));
    ::_exit(sent ? 0 : 1);
}

std::string signal_text(int signal) {
    const char* name = ::sigabbrev_np(signal);
    return name == nullptr ? "signal " + std::to_string(signal) : "SIG" + std::string(name);
}

/// Bytes of an answer as they arrive.
class Answer {
public:
    explicit Answer(std::uint64_t most) : most_(most) {}

    enum class State { Partial, Complete, TooLarge, Garbled };

    State state() const noexcept {
        if (bytes_.size() < kHeaderBytes) return State::Partial;
        if (bytes_[0] != kValue && bytes_[0] != kError) return State::Garbled;
        std::uint64_t total = kHeaderBytes;
        for (const std::size_t at : {1U, 9U, 17U}) {
            const std::uint64_t length = get_length(&bytes_[at]);
            if (length > most_) return State::TooLarge;
            total += length;
        }
        if (bytes_.size() < total) return State::Partial;
        return bytes_.size() == total ? State::Complete : State::Garbled;
    }

    /// Takes what is there. @returns false at the end of the pipe
    bool read_some(int fd) {
        std::array<char, 1 << 16> chunk;  // NOLINT: filled by read
        const ssize_t count = ::read(fd, chunk.data(), chunk.size());
        if (count > 0) bytes_.append(chunk.data(), static_cast<std::size_t>(count));
        return count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN));
    }

    /// @pre state() == State::Complete
    char tag() const noexcept { return bytes_[0]; }
    std::string part(int index) const {
        std::size_t begin = kHeaderBytes;
        for (int i = 0; i < index; ++i) begin += length(i);
        return bytes_.substr(begin, length(index));
    }
    /// The result, without a copy. @pre tag() == kValue
    std::string take_value() && {
        bytes_.erase(0, kHeaderBytes);
        return std::move(bytes_);
    }

private:
    std::size_t length(int index) const noexcept {
        return static_cast<std::size_t>(get_length(&bytes_[1 + 8 * static_cast<unsigned>(index)]));
    }
    std::uint64_t most_;
    std::string bytes_;
};

int open_pidfd(pid_t child) noexcept {
    return static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
}

std::optional<int> reap(pid_t child) noexcept {
    int status = 0;
    pid_t reaped = 0;
    do {
        reaped = ::waitpid(child, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    if (reaped != child) return std::nullopt;  // SIGCHLD is ignored in this process
    return status;
}

}  // namespace

void confine_child(std::uint64_t memory_bytes) noexcept {
    // A library that calls exit() must not run the caller's handlers and destructors: those
    // registered last come first.
    std::atexit([] { ::_exit(1); });
    // Handlers of the caller (test frameworks, sanitizers, a clean end on SIGTERM) must not run
    // here.
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGPIPE, SIGHUP,
                             SIGXCPU, SIGALRM, SIGPROF, SIGQUIT, SIGTRAP, SIGSYS})
        ::signal(signal, SIG_DFL);
    // Ctrl-C reaches the whole process group: the caller decides what it means.
    ::signal(SIGINT, SIG_IGN);
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_UNBLOCK, &all, nullptr);
    const int null = ::open("/dev/null", O_RDWR);
    if (null >= 0)
        for (const int fd : {0, 1, 2})
            if (fd != 2 || !kSanitized) ::dup2(null, fd);
    if (null > 2) ::close(null);
    limit_resource(RLIMIT_CORE, 0, 0);
    if (!kSanitized) limit_address_space(memory_bytes);
}

void close_descriptors_but(std::span<const int> keep) noexcept {
    unsigned first = 3;
    const auto close_until = [&](unsigned last) {
        if (first > last || ::syscall(SYS_close_range, first, last, 0) == 0) return;
        for (unsigned fd = first; fd <= std::min(last, 4096U); ++fd) ::close(static_cast<int>(fd));
    };
    // Few: the next kept one is looked for each time, so that `keep` needs no order.
    for (;;) {
        unsigned next = ~0U;
        for (const int fd : keep)
            if (static_cast<unsigned>(fd) >= first)
                next = std::min(next, static_cast<unsigned>(fd));
        if (next == ~0U) break;
        if (next > 0) close_until(next - 1);
        first = next + 1;
    }
    close_until(~0U);
}

Result<std::string> run_isolated(const std::string& what, const std::string& where,
                                 const IsolationLimits& limits,
                                 const std::function<Result<std::string>()>& body) {
    if (isolated) return body();
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return Error{Errc::Environment, std::string("cannot make a pipe: ") + std::strerror(errno),
                     where};
    Descriptor from_child(ends[0]);
    Descriptor to_parent(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0)
        return Error{Errc::Environment,
                     std::string("cannot start a process: ") + std::strerror(errno), where};
    if (child == 0) {
        confine(parent, limits);
        run_child(to_parent.get(), body);
    }
    to_parent.close();
    // Other threads may fork between pipe2 and here and then hold the writing end: the end of the
    // child is seen through its pidfd, not only as the end of the pipe.
    const Descriptor pidfd(open_pidfd(child));
    ::fcntl(from_child.get(), F_SETFL, O_NONBLOCK);

    Answer answer(limits.result_bytes);
    const auto deadline = Clock::now() + limits.wall;
    bool late = false;
    for (bool open = true; open && answer.state() == Answer::State::Partial;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) {
            late = true;
            break;
        }
        std::array<pollfd, 2> waits{pollfd{from_child.get(), POLLIN, 0},
                                    pollfd{pidfd.get(), POLLIN, 0}};
        const auto ms = left.count() < 1'000'000 ? static_cast<int>(left.count()) : 1'000'000;
        const int ready = ::poll(waits.data(), waits.size(), ms);
        if (ready <= 0) continue;
        const bool ended = waits[1].revents != 0;
        if (waits[0].revents != 0)
            open = answer.read_some(from_child.get());
        else if (ended)
            open = false;
    }
    const Answer::State state = answer.state();
    if (state != Answer::State::Complete) ::kill(child, SIGKILL);
    const std::optional<int> status = reap(child);

    if (state == Answer::State::TooLarge)
        return Error{Errc::Limit,
                     what + " read more than " + std::to_string(limits.result_bytes) + " bytes",
                     where};
    if (state == Answer::State::Complete) {
        if (answer.tag() == kValue) return std::move(answer).take_value();
        const int code = std::atoi(answer.part(2).c_str());
        if (code == 0)
            return Error{Errc::Limit,
                         what + " needs more than " + std::to_string(limits.memory_bytes >> 20) +
                             " MiB for this file",
                         where};
        return Error{static_cast<Errc>(code), answer.part(0), answer.part(1)};
    }
    if (late)
        return Error{Errc::Timeout,
                     what + " gave no answer within " + std::to_string(limits.wall.count()) + " ms",
                     where};
    // SIGKILL is this function's own, sent after the child broke off; what it died of is lost only
    // when it died of nothing.
    if (status && WIFSIGNALED(*status)) {
        if (WTERMSIG(*status) == SIGXCPU)
            return Error{Errc::Timeout,
                         what + " used more than " + std::to_string(limits.cpu_seconds) +
                             " s of processor time",
                         where};
        return Error{Errc::BadFormat,
                     what + " crashed reading this file (" + signal_text(WTERMSIG(*status)) + ")",
                     where};
    }
    return Error{Errc::BadFormat, what + " ended without an answer", where};
}

}  // namespace spikelock

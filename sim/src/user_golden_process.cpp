// SPDX-License-Identifier: Apache-2.0
#include "user_golden_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>

namespace spikelock::sim::detail {

using SteadyClock = std::chrono::steady_clock;
using trace::EndKind;
using trace::SourceEnd;
using user::Header;
using user::Tag;

namespace {
Error system_error(const std::string& what) {
    return {Errc::Environment, what + ": " + std::strerror(errno), {}};
}
}  // namespace

GoldenProcess::~GoldenProcess() { stop(); }

Status GoldenProcess::start(std::vector<std::string> arguments, const std::string& folder,
                            const std::string& name, const UserGoldenOptions& options) {
    options_ = options;
    name_ = name;
    memory_ = Fd(memfd_create("spikelock-golden", MFD_CLOEXEC));
    if (memory_.get() < 0) return system_error("cannot create the shared memory");
    // A socket for requests: writing to a model that has ended raises no SIGPIPE.
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return system_error("cannot create a socket");
    Fd request_read(ends[0]);
    requests_ = Fd(ends[1]);
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("cannot create a pipe");
    answers_ = Fd(ends[0]);
    Fd answer_write(ends[1]);
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return system_error("cannot create a pipe");
    output_ = Fd(ends[0]);
    Fd output_write(ends[1]);
    for (const Fd* fd : {&requests_, &answers_, &output_}) fcntl(fd->get(), F_SETFL, O_NONBLOCK);

    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) return system_error("cannot start the golden's process");
    if (pid_ == 0) {
        // Its own group: what the model starts ends with it, and Ctrl-C is the tool's to handle.
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        // Away from the target numbers first, then into place (dup2 clears close-on-exec).
        const std::array<int, 3> from = {fcntl(request_read.get(), F_DUPFD, 64),
                                         fcntl(answer_write.get(), F_DUPFD, 64),
                                         fcntl(memory_.get(), F_DUPFD, 64)};
        const int text = fcntl(output_write.get(), F_DUPFD, 64);
        const std::array<int, 3> to = {user::kRequests, user::kAnswers, user::kMemory};
        for (std::size_t i = 0; i < from.size(); ++i) {
            dup2(from[i], to[i]);
            close(from[i]);
        }
        const int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(text, 1);
        dup2(text, 2);
        close(text);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        if (chdir(folder.c_str()) != 0) _exit(126);
        execvp(argv[0], argv.data());
        dprintf(2, "cannot run %s: %s\n", argv[0], std::strerror(errno));
        _exit(127);
    }
    setpgid(pid_, pid_);  // here too: whoever comes first
    pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
    return {};
}

Status GoldenProcess::map(std::uint64_t bytes) {
    if (ftruncate(memory_.get(), static_cast<off_t>(bytes)) != 0)
        return system_error("cannot size the shared memory");
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
    if (base == MAP_FAILED) return system_error("cannot map the shared memory");
    base_ = static_cast<std::byte*>(base);
    bytes_ = bytes;
    return {};
}

std::uint64_t GoldenProcess::steps_done() const {
    if (!base_) return 0;
    return reinterpret_cast<const user::Shared*>(base_)->steps_done.load(std::memory_order_acquire);
}

void GoldenProcess::send(Tag tag, const void* payload, std::size_t bytes) {
    const Header header{tag, 0, bytes};
    std::string record(reinterpret_cast<const char*>(&header), sizeof header);
    record.append(static_cast<const char*>(payload), bytes);
    queue_.push_back(std::move(record));
    pump();
}

void GoldenProcess::pump() {
    while (!queue_.empty()) {
        const std::string& record = queue_.front();
        const ssize_t put =
            ::send(requests_.get(), record.data() + sent_, record.size() - sent_, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EAGAIN) return;
        if (put < 0) {
            queue_.clear();  // the model has ended; wait() says how
            sent_ = 0;
            return;
        }
        sent_ += static_cast<std::size_t>(put);
        if (sent_ == record.size()) {
            queue_.pop_front();
            sent_ = 0;
        }
    }
}

bool GoldenProcess::take_answer(Answer& answer) {
    Header header{};
    if (received_.size() < sizeof header) return false;
    std::memcpy(&header, received_.data(), sizeof header);
    if (received_.size() < sizeof header + header.bytes) return false;
    answer.tag = header.tag;
    answer.text = received_.substr(sizeof header, header.bytes);
    received_.erase(0, sizeof header + header.bytes);
    return true;
}

void GoldenProcess::read_answers() {
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = read(answers_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return;
        received_.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

Result<std::optional<GoldenProcess::Answer>> GoldenProcess::wait(double limit_s) {
    auto last_progress = SteadyClock::now();
    std::uint64_t progress = steps_done();
    Answer answer;
    for (;;) {
        pump();
        read_answers();
        if (take_answer(answer)) return std::optional(std::move(answer));
        if (pid_ <= 0) return std::optional<Answer>{};
        if (options_.stop && options_.stop->load()) return Error{Errc::Interrupted, "stopped", {}};
        std::array<pollfd, 4> fds = {
            pollfd{answers_.get(), POLLIN, 0}, pollfd{pidfd_.get(), POLLIN, 0},
            pollfd{output_.get(), POLLIN, 0}, pollfd{requests_.get(), POLLOUT, 0}};
        poll(fds.data(), queue_.empty() ? 3 : 4, 100);
        drain_output();
        if (fds[1].revents != 0) {
            reap(false, limit_s);
            read_answers();  // its last words, if it said why
            continue;
        }
        const std::uint64_t now_done = steps_done();
        const auto now = SteadyClock::now();
        if (now_done != progress || fds[0].revents != 0) {
            progress = now_done;
            last_progress = now;
        } else if (std::chrono::duration<double>(now - last_progress).count() > limit_s) {
            reap(true, limit_s);
        }
    }
}

/// Takes leave of a process that has ended, or ends one that hangs.
void GoldenProcess::reap(bool hung, double limit_s) {
    kill(-pid_, SIGKILL);  // and what it has started
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    drain_output();
    SourceEnd end;
    std::ostringstream text;
    if (hung) {
        end.kind = EndKind::Hung;
        text << "the golden " << name_ << " took more than " << limit_s
             << " s of wall-clock time (bound: --wall-limit-s)";
    } else if (WIFSIGNALED(status)) {
        end.kind = EndKind::Crashed;
        text << "the golden " << name_ << " was killed by signal " << WTERMSIG(status) << " ("
             << strsignal(WTERMSIG(status)) << ")";
    } else {
        end.kind = EndKind::Crashed;
        text << "the golden " << name_ << " ended by itself with exit code " << WEXITSTATUS(status);
    }
    std::string last = printed_.substr(printed_.size() > 400 ? printed_.size() - 400 : 0);
    while (!last.empty() && last.back() == '\n') last.pop_back();
    std::replace(last.begin(), last.end(), '\n', ' ');
    if (!last.empty()) text << "; its last words: " << last;
    end.text = text.str();
    end_ = end;
}

void GoldenProcess::drain_output() {
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got = read(output_.get(), buffer.data(), buffer.size());
        if (got <= 0) break;
        printed_.append(buffer.data(), static_cast<std::size_t>(got));
        line_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
        if (options_.print) options_.print(line_.substr(0, end));
        line_.erase(0, end + 1);
    }
    if (printed_.size() > 65536) printed_.erase(0, printed_.size() - 32768);
}

void GoldenProcess::stop() {
    if (pid_ > 0) {
        requests_.reset();  // the model is destroyed in good order
        std::array<pollfd, 1> fds = {pollfd{pidfd_.get(), POLLIN, 0}};
        poll(fds.data(), 1, 300);
        kill(-pid_, SIGKILL);
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        drain_output();
    }
    if (base_) munmap(base_, bytes_);
    base_ = nullptr;
    pid_ = -1;
}

}  // namespace spikelock::sim::detail

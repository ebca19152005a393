// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace spikelock::sim::detail {

namespace {
struct Pipe {
    int read = -1;
    int write = -1;
    bool open() {
        std::array<int, 2> ends{};
        if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
        read = ends[0];
        write = ends[1];
        return true;
    }
    Pipe() = default;
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_end(read);
        close_end(write);
    }
    static void close_end(int& fd) {
        if (fd >= 0) close(fd);
        fd = -1;
    }
};

int exit_status(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Between the caller and the command: leads their process group, and kills it when the caller's
/// end of `alive` closes. Compilers that make has started would else go on after a kill -9 of the
/// tool.
[[noreturn]] void supervise(char** argv, const std::string& folder, int output, int failed,
                            int alive) {
    setpgid(0, 0);
    const pid_t command = fork();
    if (command == 0) {
        const int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(output, 1);
        dup2(output, 2);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
        execvp(argv[0], argv);
        const int code = errno;
        [[maybe_unused]] const auto n = write(failed, &code, sizeof code);
        _exit(127);
    }
    close(output);
    close(failed);
    if (command < 0) _exit(127);
    const auto child = static_cast<int>(syscall(SYS_pidfd_open, command, 0));
    std::array<pollfd, 2> fds = {pollfd{alive, POLLIN, 0}, pollfd{child, POLLIN, 0}};
    while (poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
    if (fds[1].revents == 0) kill(0, SIGKILL);  // the caller is gone; this process dies as well
    int status = 0;
    while (waitpid(command, &status, 0) < 0 && errno == EINTR) {
    }
    _exit(exit_status(status));
}
}  // namespace

Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const std::string& folder, const std::atomic<bool>* stop) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    Pipe out;
    Pipe failed;
    Pipe alive;
    if (!out.open() || !failed.open() || !alive.open())
        return Error{Errc::Environment, std::strerror(errno), "pipe"};
    const pid_t group = fork();
    if (group < 0) return Error{Errc::Environment, "cannot start a process", arguments[0]};
    if (group == 0) {
        Pipe::close_end(alive.write);
        supervise(argv.data(), folder, out.write, failed.write, alive.read);
    }
    setpgid(group, group);  // here too: whoever comes first
    Pipe::close_end(out.write);
    Pipe::close_end(failed.write);
    Pipe::close_end(alive.read);
    CommandResult result;
    std::array<char, 4096> buffer{};
    for (;;) {
        // A signal may come just before the call that waits: look at `stop` now and then.
        pollfd ready{out.read, POLLIN, 0};
        const int some = poll(&ready, 1, 200);
        if (stop != nullptr && stop->load()) kill(-group, SIGKILL);
        if (some <= 0) continue;
        const ssize_t got = read(out.read, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        result.output.append(buffer.data(), static_cast<std::size_t>(got));
    }
    int status = 0;
    while (waitpid(group, &status, 0) < 0 && errno == EINTR) {
    }
    result.status = exit_status(status);
    int exec_error = 0;
    const ssize_t got = read(failed.read, &exec_error, sizeof exec_error);
    if (got != static_cast<ssize_t>(sizeof exec_error)) exec_error = 0;
    if (stop != nullptr && stop->load()) return Error{Errc::Interrupted, "stopped", {}};
    if (exec_error == ENOENT) return Error{Errc::NotFound, "no such program in PATH", arguments[0]};
    if (exec_error != 0) return Error{Errc::Environment, std::strerror(exec_error), arguments[0]};
    return result;
}

}  // namespace spikelock::sim::detail

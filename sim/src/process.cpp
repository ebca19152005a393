// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace spikelock::sim::detail {

Result<CommandResult> run_command(const std::vector<std::string>& arguments,
                                  const std::string& folder) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::array<int, 2> out{};
    std::array<int, 2> failed{};
    if (pipe2(out.data(), O_CLOEXEC) != 0)
        return Error{Errc::Environment, std::strerror(errno), "pipe"};
    if (pipe2(failed.data(), O_CLOEXEC) != 0) {
        close(out[0]);
        close(out[1]);
        return Error{Errc::Environment, std::strerror(errno), "pipe"};
    }
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        const int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        signal(SIGINT, SIG_DFL);
        if (!folder.empty() && chdir(folder.c_str()) != 0) _exit(126);
        execvp(argv[0], argv.data());
        const int code = errno;
        [[maybe_unused]] const auto n = write(failed[1], &code, sizeof code);
        _exit(127);
    }
    close(out[1]);
    close(failed[1]);
    CommandResult result;
    int exec_error = 0;
    if (child > 0) {
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t got = read(out[0], buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            result.output.append(buffer.data(), static_cast<std::size_t>(got));
        }
        int status = 0;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (read(failed[0], &exec_error, sizeof exec_error) !=
            static_cast<ssize_t>(sizeof exec_error))
            exec_error = 0;
    }
    close(out[0]);
    close(failed[0]);
    if (child < 0) return Error{Errc::Environment, "cannot start a process", arguments[0]};
    if (exec_error == ENOENT) return Error{Errc::NotFound, "no such program in PATH", arguments[0]};
    if (exec_error != 0) return Error{Errc::Environment, std::strerror(exec_error), arguments[0]};
    return result;
}

}  // namespace spikelock::sim::detail

// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "command_line.hpp"

namespace {
std::atomic<bool> stop_requested{false};  // written by the signal handler, hence static
static_assert(std::atomic<bool>::is_always_lock_free);

void on_interrupt(int signal) {
    if (stop_requested.exchange(true)) _exit(128 + signal);  // the second Ctrl-C does not wait
}

std::string cache_folder() {
    if (const char* own = std::getenv("SPIKELOCK_CACHE"); own && *own) return own;
    if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg)
        return std::string(xdg) + "/spikelock";
    if (const char* home = std::getenv("HOME"); home && *home)
        return std::string(home) + "/.cache/spikelock";
    return "/tmp/spikelock-cache-" + std::to_string(getuid());
}
}  // namespace

int main(int argc, char** argv) {
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
    try {
        spikelock::app::Console console{std::cout, std::cerr};
        const bool plain = std::getenv("NO_COLOR") != nullptr;
        console.colour = isatty(1) != 0 && !plain;
        console.live = isatty(2) != 0;
        console.stop = &stop_requested;
        console.cache_dir = cache_folder();
        const int code = spikelock::app::run_command_line({argv + 1, argv + argc}, console);
        std::cout.flush();
        return code;
    } catch (const std::exception& error) {
        std::cerr << "spikelock: internal error: " << error.what() << "\n";
        return static_cast<int>(spikelock::app::ExitCode::Internal);
    }
}

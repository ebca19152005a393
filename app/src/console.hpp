// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "spikelock/base/result.hpp"

namespace spikelock::app {

/// Exit codes that are not verdicts; those of verdicts are lockstep::exit_code.
enum class ExitCode : int { Ok = 0, Usage = 2, Internal = 5, Interrupted = 130 };

/// Where a verb writes: results to `out`, diagnostics and progress to `err`.
struct Console {
    std::ostream& out;
    std::ostream& err;
    bool colour = false;   ///< results go to a terminal
    bool live = false;     ///< diagnostics go to a terminal: progress may redraw a line
    bool quiet = false;    ///< no progress, no steps
    bool verbose = false;  ///< what the core prints, how things were built
    const std::atomic<bool>* stop = nullptr;  ///< set by Ctrl-C
    std::string cache_dir{};                  ///< for built hosts
    std::string command_line{};               ///< as typed, quoted for a shell

    bool stopped() const { return stop != nullptr && stop->load(); }
    /// One line about a step under way; suppressed by quiet.
    void step(const std::string& text) const;
    /// "warning: text" to err, also where quiet.
    void warn(const std::string& text) const;
    /// "error: where: message" to err. @returns the exit code of the error
    int fail(const Error& error) const;
};

/// A bar with rate and time left on a terminal, a plain line every few seconds otherwise.
class ProgressBar {
public:
    /// @param unit  e.g. "timesteps"
    ProgressBar(const Console& console, std::string what, std::string unit);
    ~ProgressBar();
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;
    void update(std::uint64_t done, std::uint64_t total);
    /// Removes the bar from the terminal.
    void clear();

private:
    const Console& console_;
    std::string what_;
    std::string unit_;
    std::chrono::steady_clock::time_point start_;
    std::chrono::steady_clock::time_point last_;
    bool drawn_ = false;
};

/// "1.23 M", "456 k", "12".
std::string short_count(double value);
/// "3.2 s", "4 min 10 s".
std::string duration(double seconds);

}  // namespace spikelock::app

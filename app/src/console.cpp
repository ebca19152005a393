// SPDX-License-Identifier: Apache-2.0
#include "console.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include "spikelock/base/text.hpp"

namespace spikelock::app {

void Console::step(const std::string& text) const {
    if (!quiet) fmt::print(err, "{}\n", text);
    err.flush();
}

void Console::warn(const std::string& text) const {
    fmt::print(err, "warning: {}\n", text);
    err.flush();
}

int Console::fail(const Error& error) const {
    out.flush();
    if (error.code == Errc::Interrupted) {
        fmt::print(err, "interrupted\n");
        return static_cast<int>(ExitCode::Interrupted);
    }
    fmt::print(err, "error: {}\n", error.text());
    err.flush();
    return static_cast<int>(error.code == Errc::Internal ? ExitCode::Internal : ExitCode::Usage);
}

ProgressBar::ProgressBar(const Console& console, std::string what, std::string unit)
    : console_(console),
      what_(std::move(what)),
      unit_(std::move(unit)),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::update(std::uint64_t done, std::uint64_t total) {
    if (console_.quiet) return;
    const auto now = std::chrono::steady_clock::now();
    const double elapsed = std::chrono::duration<double>(now - start_).count();
    const double since = std::chrono::duration<double>(now - last_).count();
    if (since < (console_.live ? 0.1 : 5.0)) return;
    last_ = now;
    const double rate = elapsed > 0 ? static_cast<double>(done) / elapsed : 0.0;
    const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0.0;
    std::string left;
    if (total > done && rate > 0)
        left = duration(static_cast<double>(total - done) / rate) + " left";
    const std::string counts =
        total > 0 ? fmt::format("{}/{} {}", with_commas(done), with_commas(total), unit_)
                  : fmt::format("{} {}", with_commas(done), unit_);
    if (console_.live) {
        constexpr int kWidth = 20;
        const int filled = static_cast<int>(share * kWidth);
        std::string bar;
        for (int i = 0; i < kWidth; ++i) bar += i < filled ? '#' : '.';
        fmt::print(console_.err, "\r{} [{}] {:3.0f} %  {}/s  {}\x1b[K", what_, bar, share * 100,
                   short_count(rate), left);
        drawn_ = true;
    } else {
        fmt::print(console_.err, "{}: {} ({:.0f} %), {}/s, {}\n", what_, counts, share * 100,
                   short_count(rate), left);
    }
    console_.err.flush();
}

void ProgressBar::clear() {
    if (drawn_) fmt::print(console_.err, "\r\x1b[K");
    console_.err.flush();
    drawn_ = false;
}

std::string short_count(double value) {
    if (value >= 1e9) return fmt::format("{:.2f} G", value / 1e9);
    if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
    if (value >= 1e3) return fmt::format("{:.1f} k", value / 1e3);
    return fmt::format("{:.0f}", value);
}

std::string duration(double seconds) {
    if (seconds < 60) return fmt::format("{:.{}f} s", seconds, seconds < 10 ? 1 : 0);
    const auto whole = static_cast<long long>(seconds);
    if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
    return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

}  // namespace spikelock::app

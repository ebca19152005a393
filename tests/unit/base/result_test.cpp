// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/result.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <csignal>
#include <memory>
#include <set>
#include <string>

using spikelock::Errc;
using spikelock::Error;
using spikelock::Result;
using spikelock::Status;

namespace {
/// Runs `action` in a child without core file or output and returns the signal that ended it.
template <typename Action>
int signal_of(Action action) {
    const pid_t child = fork();
    if (child == 0) {
        // Catch2's own handlers would report the death of the copy as a failed test.
        std::signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        action();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
}  // namespace

TEST_CASE("base/result: a value is held and can be moved out", "[base][unit]") {
    Result<std::unique_ptr<int>> made = std::make_unique<int>(7);
    REQUIRE(made);
    CHECK(made.has_value());
    CHECK(**made == 7);
    const std::unique_ptr<int> taken = *std::move(made);
    CHECK(*taken == 7);
}

TEST_CASE("base/result: an error is held with its place", "[base][unit]") {
    const Result<int> failed = Error{Errc::BadFormat, "expected a number, got 'x'", "a.toml:3:5"};
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == Errc::BadFormat);
    CHECK(failed.error().text() == "a.toml:3:5: expected a number, got 'x'");
    CHECK(Error{Errc::Io, "no place", ""}.text() == "no place");
}

TEST_CASE("base/result: a status is good until it holds an error", "[base][unit]") {
    const Status good;
    CHECK(good);
    const Status bad = Error{Errc::Timeout, "no answer within 5 s", "tcp:board"};
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == Errc::Timeout);
}

TEST_CASE("base/result: a result of an error type tells value from error", "[base][unit]") {
    const Result<std::string> text = std::string("an ordinary value");
    CHECK(text);
    CHECK(text->size() == 17);
}

TEST_CASE("base/result: taking what is not there aborts", "[base][unit]") {
    const Result<int> failed = Error{Errc::Io, "gone", ""};
    const Result<int> good = 1;
    const Status fine;
    CHECK(signal_of([&] { static_cast<void>(failed.value()); }) == SIGABRT);
    CHECK(signal_of([&] { static_cast<void>(*failed); }) == SIGABRT);
    CHECK(signal_of([&] { static_cast<void>(good.error()); }) == SIGABRT);
    CHECK(signal_of([&] { static_cast<void>(fine.error()); }) == SIGABRT);
    CHECK(signal_of([&] { static_cast<void>(good.value()); }) == 0);
}

TEST_CASE("base/result: stored codes keep their numbers and names", "[base][unit]") {
    // Append-only: nightly results hold these numbers. Add lines at the end, change none.
    const std::pair<int, const char*> stored[] = {
        {1, "BadConfig"},   {2, "BadFormat"}, {3, "Truncated"},    {4, "Io"},       {5, "NotFound"},
        {6, "Unsupported"}, {7, "Build"},     {8, "Environment"},  {9, "Timeout"},  {10, "Closed"},
        {11, "Limit"},      {12, "Mismatch"}, {13, "Interrupted"}, {14, "Internal"}};
    std::set<std::string> names;
    for (const auto& [number, name] : stored) {
        CHECK(spikelock::name_of(static_cast<Errc>(number)) == name);
        names.emplace(name);
    }
    CHECK(names.size() == std::size(stored));
    CHECK(spikelock::name_of(static_cast<Errc>(999)) == "Unknown");
}

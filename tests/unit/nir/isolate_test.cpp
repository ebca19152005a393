// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/isolate.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using spikelock::Errc;
using spikelock::Error;
using spikelock::IsolationLimits;
using spikelock::Result;
using spikelock::run_isolated;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

Result<std::string> run(const std::function<Result<std::string>()>& body,
                        IsolationLimits limits = {}) {
    return run_isolated("the library", "a.file", limits, body);
}

/// Keeps the compiler from seeing that a loop or an allocation is without effect.
volatile std::uint64_t sink = 0;

}  // namespace

TEST_CASE("base/isolate: the result comes back byte for byte", "[base][unit]") {
    std::string big(3'000'001, '\0');
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 7 + i / 256);
    for (const std::string& want : {std::string(), std::string("a\0b", 3), big}) {
        const auto got = run([&] { return Result<std::string>(want); });
        REQUIRE(got);
        CHECK(*got == want);
    }
}

TEST_CASE("base/isolate: a body that exits runs no handler of the caller", "[base][unit]") {
    // Shared with the child, so that the caller sees what ran there.
    void* const shared =
        ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    static int* const ran = static_cast<int*>(shared);
    REQUIRE(std::atexit([] { ++*ran; }) == 0);
    const auto got = run([]() -> Result<std::string> { std::exit(0); });
    REQUIRE_FALSE(got);
    CHECK(got.error().text() == "a.file: the library ended without an answer");
    CHECK(*ran == 0);
}

TEST_CASE("base/isolate: an error of the body keeps code, text and place", "[base][unit]") {
    const auto got = run([] { return Error{Errc::Unsupported, "no such thing", "b.file: key"}; });
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::Unsupported);
    CHECK(got.error().text() == "b.file: key: no such thing");
}

TEST_CASE("base/isolate: an exception of the body is an error", "[base][unit]") {
    const auto got =
        run([]() -> Result<std::string> { throw std::runtime_error("what was thrown"); });
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::Internal);
    CHECK(got.error().message == "what was thrown");
}

TEST_CASE("base/isolate: a signal that ends the body is an error that names it", "[base][unit]") {
    for (const auto& [signal, name] : {std::pair{SIGSEGV, "SIGSEGV"},
                                       {SIGABRT, "SIGABRT"},
                                       {SIGFPE, "SIGFPE"},
                                       {SIGBUS, "SIGBUS"},
                                       {SIGTERM, "SIGTERM"}}) {
        const int number = signal;
        const auto got = run([number]() -> Result<std::string> {
            ::raise(number);
            return std::string("survived");
        });
        REQUIRE_FALSE(got);
        CHECK(got.error().code == Errc::BadFormat);
        CHECK(got.error().where == "a.file");
        CHECK(got.error().message ==
              "the library crashed reading this file (" + std::string(name) + ")");
    }
}

TEST_CASE("base/isolate: Ctrl-C does not end the body", "[base][unit]") {
    const auto got = run([]() -> Result<std::string> {
        ::raise(SIGINT);
        return std::string("survived");
    });
    REQUIRE(got);
    CHECK(*got == "survived");
}

TEST_CASE("base/isolate: a body that leaves is an error", "[base][unit]") {
    const auto got = run([]() -> Result<std::string> { ::_exit(0); });
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::BadFormat);
    CHECK_THAT(got.error().message, ContainsSubstring("without an answer"));
}

TEST_CASE("base/isolate: a body that sleeps meets the wall-clock limit", "[base][unit]") {
    const auto begin = std::chrono::steady_clock::now();
    const auto got = run(
        []() -> Result<std::string> {
            ::pause();
            return std::string();
        },
        {.wall = 50ms});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::Timeout);
    CHECK_THAT(got.error().message, ContainsSubstring("50 ms"));
    CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("base/isolate: a body that computes meets the processor limit", "[base][unit]") {
    const auto got = run(
        []() -> Result<std::string> {
            for (;;) sink = sink + 1;
        },
        {.cpu_seconds = 1, .wall = 30s});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::Timeout);
    CHECK_THAT(got.error().message, ContainsSubstring("processor time"));
}

TEST_CASE("base/isolate: a body that takes memory meets its limit", "[base][unit]") {
    const auto got = run(
        []() -> Result<std::string> {
            std::vector<char> much(std::size_t{512} << 20, 'x');
            sink = static_cast<std::uint64_t>(much[much.size() / 2]);
            return std::string("had it all");
        },
        {.memory_bytes = std::uint64_t{64} << 20});
    REQUIRE_FALSE(got);
    // A sanitizer's allocator ends the process instead of throwing.
    if (!kSanitized) {
        CHECK(got.error().code == Errc::Limit);
        CHECK_THAT(got.error().message, ContainsSubstring("64 MiB"));
    }
}

TEST_CASE("base/isolate: a result that is too large is refused", "[base][unit]") {
    const auto got =
        run([] { return Result<std::string>(std::string(1001, 'x')); }, {.result_bytes = 1000});
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Errc::Limit);
}

TEST_CASE("base/isolate: what the body prints is not seen", "[base][unit]") {
    // The child's stdout and stderr are /dev/null, so their terminal status tells nothing; the
    // device number does.
    const auto got = run([]() -> Result<std::string> {
        std::array<char, 64> name{};
        const ssize_t size = ::readlink("/proc/self/fd/1", name.data(), name.size());
        std::puts("this must not be seen");
        std::fflush(stdout);
        return std::string(name.data(), static_cast<std::size_t>(size));
    });
    REQUIRE(got);
    CHECK(*got == "/dev/null");
}

TEST_CASE("base/isolate: no child and no descriptor is left behind", "[base][unit]") {
    const int before = ::dup(0);
    ::close(before);
    for (int i = 0; i < 20; ++i) {
        CHECK(run([] { return Result<std::string>(std::string("x")); }));
        CHECK_FALSE(run([]() -> Result<std::string> { ::abort(); }));
    }
    const int after = ::dup(0);
    ::close(after);
    CHECK(after == before);
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("base/isolate: the child dies with the process that started it", "[base][unit]") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const pid_t middle = ::fork();
    REQUIRE(middle >= 0);
    if (middle == 0) {
        (void)run([&]() -> Result<std::string> {
            const pid_t self = ::getpid();
            (void)!::write(ends[1], &self, sizeof self);
            for (;;) ::pause();
        });
        ::_exit(0);
    }
    ::close(ends[1]);
    pid_t child = 0;
    REQUIRE(::read(ends[0], &child, sizeof child) == sizeof child);
    ::kill(middle, SIGKILL);
    ::waitpid(middle, nullptr, 0);
    // The last holder of the writing end is the child: the end of the pipe is its end.
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 0);
    ::close(ends[0]);
}

TEST_CASE("base/isolate: several threads may isolate at once", "[base][unit]") {
    std::array<std::string, 4> results;
    {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < results.size(); ++t)
            threads.emplace_back([&results, t] {
                for (int i = 0; i < 10; ++i) {
                    const auto got =
                        run([t] { return Result<std::string>(std::string(1000 * (t + 1), 'a')); });
                    results[t] = got ? *got : got.error().text();
                }
            });
    }
    for (std::size_t t = 0; t < results.size(); ++t)
        CHECK(results[t] == std::string(1000 * (t + 1), 'a'));
}

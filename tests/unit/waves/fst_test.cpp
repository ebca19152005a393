// SPDX-License-Identifier: Apache-2.0
// What the FST library does to a process that reads a damaged file stays in the child.
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "spikelock/bridge/fst/reader.hpp"
#include "spikelock/bridge/fst/writer.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
/// A waveform of 40 variables; the first block is its header, 330 bytes long.
std::string made(const std::string& path) {
    auto writer = fst::create(path, -9);
    if (!writer && writer.error().code == Errc::Unsupported) SKIP(writer.error().message);
    REQUIRE(writer);
    (*writer)->begin_scope("top");
    for (int i = 0; i < 40; ++i) (*writer)->add("v" + std::to_string(i), 8);
    (*writer)->end_scope();
    for (std::uint64_t t = 0; t < 20; ++t) {
        (*writer)->time(t);
        (*writer)->change(static_cast<std::uint32_t>(t), "01010101");
    }
    REQUIRE((*writer)->close());
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string message(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    // The library follows some broken files for ever.
    auto reader = fst::open(path, {.time_limit_s = 1.0});
    if (!reader) return reader.error().text();
    (*reader)->select_all();
    for (;;) {
        const auto batch = (*reader)->next();
        if (!batch) return batch.error().text();
        if (batch->empty()) return "read";
    }
}
}  // namespace

TEST_CASE("fst: a broken chain of blocks is told at once, with its byte", "[waves][unit]") {
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("spikelock-fst-" + std::to_string(::getpid()) + ".fst"))
                                 .string();
    const std::string whole = made(path);
    CHECK(message(path, whole) == "read");
    CHECK(message(path, whole.substr(0, whole.size() - 1)).find(" are left: the file is cut") !=
          std::string::npos);
    constexpr std::size_t kSecond = 330;
    CHECK(
        message(path, whole.substr(0, kSecond + 9)).starts_with(path + ": byte 330: a block of "));
    // Lengths that lead back to where they stand: the library would follow them for ever.
    std::string round = whole;
    round.replace(kSecond + 1, 8, 8, '\xff');
    const auto start = std::chrono::steady_clock::now();
    CHECK(message(path, round).starts_with(path + ": byte 330: a block of 18446744073709551615 "));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
    std::filesystem::remove(path);
}

TEST_CASE("fst: where the library exits, no handler of the reader's runs", "[waves][unit]") {
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("spikelock-exit-" + std::to_string(::getpid()) + ".fst"))
                                 .string();
    const std::string whole = made(path);
    // Shared with the child, so that this process sees what ran there.
    void* const shared =
        ::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    static int* const ran = static_cast<int*>(shared);
    REQUIRE(std::atexit([] { ++*ran; }) == 0);
    // Packed bytes that cannot be unpacked make the library exit; here each byte in turn is wrong.
    std::size_t errors = 0;
    for (std::size_t at = 330; at < whole.size(); at += 3) {
        std::string broken = whole;
        broken[at] = static_cast<char>(~broken[at]);
        if (message(path, broken) != "read") ++errors;
    }
    CHECK(errors > 10);
    CHECK(*ran == 0);
    std::filesystem::remove(path);
}

// SPDX-License-Identifier: Apache-2.0
// Moves of a DUT host against reading one value after the other. What is read ends at a page that
// cannot be read, or begins behind one.
#include "moves.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace spikelock::sim;

namespace {
/// Memory with a page before and behind it that cannot be touched.
class Fenced {
public:
    Fenced() {
        page_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        void* all = mmap(nullptr, kPages * page_, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(all != MAP_FAILED);
        all_ = static_cast<std::uint8_t*>(all);
        REQUIRE(mprotect(all_, page_, PROT_NONE) == 0);
        REQUIRE(mprotect(end(), page_, PROT_NONE) == 0);
    }
    Fenced(const Fenced&) = delete;
    Fenced& operator=(const Fenced&) = delete;
    ~Fenced() { munmap(all_, kPages * page_); }
    std::uint8_t* begin() { return all_ + page_; }
    std::uint8_t* end() { return all_ + (kPages - 1) * page_; }
    std::size_t size() const { return (kPages - 2) * page_; }

private:
    static constexpr std::size_t kPages = 8;
    std::size_t page_ = 0;
    std::uint8_t* all_ = nullptr;
};

constexpr std::size_t kMargin = 128;
constexpr std::byte kUntouched{0xa5};

/// What a move writes, with what lies before and behind it.
std::vector<std::byte> written(const Move& move, std::size_t bytes) {
    std::vector<std::byte> row(bytes + 2 * kMargin, kUntouched);
    move.go(move, row.data() + kMargin);
    return row;
}

std::vector<std::byte> expected_values(const Move& move, std::uint32_t size) {
    std::vector<std::byte> row(move.count * size + 2 * kMargin, kUntouched);
    for (std::uint32_t i = 0; i < move.count; ++i) {
        std::uint64_t value = 0;
        std::memcpy(&value, move.from + static_cast<std::ptrdiff_t>(i) * move.stride, size);
        value &= move.mask;
        if (move.sign != 0 && (value & move.sign) != 0) value |= ~(move.sign - 1);
        std::memcpy(row.data() + kMargin + std::size_t{i} * size, &value, size);
    }
    return row;
}
}  // namespace

TEST_CASE(SPIKELOCK_TEST_NAME ": values are moved as if one by one", "[moves]") {
    std::mt19937_64 random(Catch::getSeed());
    Fenced memory;
    for (std::size_t i = 0; i < memory.size(); ++i)
        memory.begin()[i] = static_cast<std::uint8_t>(random());
    for (int round = 0; round < 4000; ++round) {
        const std::uint32_t size = 1U << random() % 4;
        Move move;
        move.count = 1 + static_cast<std::uint32_t>(random() % (round % 8 == 0 ? 300 : 70));
        const std::ptrdiff_t apart[] = {1, 1, 2, 2, 3, 5, -1, -2};
        move.stride = apart[random() % 8] * static_cast<std::ptrdiff_t>(size);
        const std::uint64_t span =
            (move.count - 1) * static_cast<std::uint64_t>(std::llabs(move.stride)) + size;
        // The field has `bits`, of which the signal may have fewer.
        const unsigned bits = 1 + static_cast<unsigned>(random() % (8 * size));
        const unsigned width =
            random() % 2 == 0 ? bits : 1 + static_cast<unsigned>(random() % bits);
        move.mask = width >= 64 ? ~0ULL : (1ULL << width) - 1;
        move.sign = random() % 2 == 0 ? 1ULL << (bits - 1) : 0;
        move.row_bytes = move.count * size;
        std::uint8_t* const lowest = round % 2 == 0 ? memory.begin() : memory.end() - span;
        move.from = move.stride > 0 ? lowest : lowest + span - size;
        move.go = moves::moved_by(size, move.stride);
        INFO("size " << size << ", stride " << move.stride << ", count " << move.count << ", bits "
                     << bits << ", width " << width << ", sign " << move.sign);
        REQUIRE(written(move, std::size_t{move.count} * size) == expected_values(move, size));
    }
}

TEST_CASE(SPIKELOCK_TEST_NAME ": bits in a row fill whole words", "[moves]") {
    std::mt19937_64 random(Catch::getSeed());
    Fenced memory;
    for (std::uint32_t count = 1; count < 700; ++count) {
        const std::size_t bytes = (count + 7) / 8;
        std::uint8_t* const from = count % 2 == 0 ? memory.begin() : memory.end() - bytes;
        for (std::size_t i = 0; i < bytes; ++i) from[i] = static_cast<std::uint8_t>(random());
        Move move;
        move.go = moves::bits;
        move.from = from;
        move.count = count;
        const std::size_t words = (std::size_t{count} + 63) / 64;
        move.row_bytes = 8 * words;
        std::vector<std::byte> expected(8 * words + 2 * kMargin, kUntouched);
        std::fill_n(expected.begin() + kMargin, 8 * words, std::byte{0});
        for (std::uint32_t i = 0; i < count; ++i)
            if ((from[i / 8] >> i % 8 & 1) != 0) expected[kMargin + i / 8] |= std::byte{1} << i % 8;
        INFO("count " << count);
        REQUIRE(written(move, 8 * words) == expected);
    }
}

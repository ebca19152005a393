// SPDX-License-Identifier: Apache-2.0
#include "activity.hpp"

#include <algorithm>
#include <cstring>

namespace spikelock::lockstep::detail {

namespace {
constexpr std::uint64_t kOdd = 0x5555555555555555ULL;
constexpr std::uint64_t kPairs = 0x3333333333333333ULL;
constexpr std::uint64_t kNibbles = 0x0f0f0f0f0f0f0f0fULL;

std::uint64_t bits_of(std::uint64_t x) noexcept {
    x -= x >> 1 & kOdd;
    x = (x & kPairs) + (x >> 2 & kPairs);
    x = (x + (x >> 4)) & kNibbles;
    return x * 0x0101010101010101ULL >> 56;
}

/// Full adder on 64 columns at once: a + b + c = low + 2 * high.
struct Sum {
    std::uint64_t low;
    std::uint64_t high;
};
Sum add(std::uint64_t a, std::uint64_t b, std::uint64_t c) noexcept {
    const std::uint64_t partial = a ^ b;
    return {partial ^ c, (a & b) | (partial & c)};
}
}  // namespace

std::uint64_t count_spikes(const std::uint64_t* words, std::size_t count) noexcept {
    // Eight words go through a tree of adders for one bit count (Harley and Seal).
    std::uint64_t ones = 0;
    std::uint64_t twos = 0;
    std::uint64_t fours = 0;
    std::uint64_t eights = 0;
    std::size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const Sum a = add(ones, words[i], words[i + 1]);
        const Sum b = add(a.low, words[i + 2], words[i + 3]);
        const Sum c = add(b.low, words[i + 4], words[i + 5]);
        const Sum d = add(c.low, words[i + 6], words[i + 7]);
        const Sum e = add(twos, a.high, b.high);
        const Sum f = add(e.low, c.high, d.high);
        const Sum g = add(fours, e.high, f.high);
        ones = d.low;
        twos = f.low;
        fours = g.low;
        eights += bits_of(g.high);
    }
    std::uint64_t sum = 8 * eights + 4 * bits_of(fours) + 2 * bits_of(twos) + bits_of(ones);
    for (; i < count; ++i) sum += bits_of(words[i]);
    return sum;
}

void Activity::watch(const Comparer& comparer, std::uint32_t begin, std::uint32_t end) {
    for (std::size_t c = 0; c < comparer.channels().size() && !active_ && begin < end; ++c) {
        const Comparer::Memory& memory = comparer.memory(c);
        if (comparer.channels()[c].is_spike || memory.care->count == 0) continue;
        std::vector<std::byte>& last = last_[c];
        const bool whole = comparer.all_steps_valid() && memory.care->whole &&
                           memory.expected_mask == nullptr && memory.actual_mask == nullptr;
        const std::size_t words = memory.care->neurons.size();
        if (last.empty()) {
            last.resize(memory.row_bytes);
            seen_[c].assign(words, 0);
        }
        if (!whole || (seen_[c] != memory.care->neurons &&
                       std::any_of(seen_[c].begin(), seen_[c].end(),
                                   [](std::uint64_t word) { return word != 0; }))) {
            watch_elements(comparer, c, begin, end);
            continue;
        }
        const std::byte* rows = memory.actual + begin * memory.row_bytes;
        const std::size_t rest = (end - begin - 1) * memory.row_bytes;
        if (seen_[c] == memory.care->neurons &&
            std::memcmp(last.data(), rows, memory.row_bytes) != 0)
            active_ = true;
        if (std::memcmp(rows, rows + memory.row_bytes, rest) != 0) active_ = true;
        std::memcpy(last.data(), rows + rest, memory.row_bytes);
        seen_[c] = memory.care->neurons;
    }
    if (active_) {
        last_.clear();
        seen_.clear();
    }
}

void Activity::watch_elements(const Comparer& comparer, std::size_t c, std::uint32_t begin,
                              std::uint32_t end) {
    const Comparer::Memory& memory = comparer.memory(c);
    const int bytes = comparer.channels()[c].spec.bytes;
    const std::size_t words = memory.care->neurons.size();
    const std::size_t n_neurons = memory.row_bytes / static_cast<unsigned>(bytes);
    for (std::uint32_t row = begin; row < end; ++row) {
        if (!comparer.valid(row)) continue;
        for (std::size_t n = 0; n < n_neurons; ++n) {
            std::uint64_t here = memory.care->neurons[n / 64];
            if (memory.expected_mask != nullptr) here &= memory.expected_mask[row * words + n / 64];
            if (memory.actual_mask != nullptr) here &= memory.actual_mask[row * words + n / 64];
            if ((here >> (n % 64) & 1U) == 0) continue;
            const std::size_t at = n * static_cast<unsigned>(bytes);
            const std::byte* now = memory.actual + row * memory.row_bytes + at;
            std::uint64_t change =
                load_element(now, bytes) ^ load_element(last_[c].data() + at, bytes);
            if (!memory.care->bits.empty()) change &= memory.care->bits[n];
            if (change != 0 && (seen_[c][n / 64] >> (n % 64) & 1U) != 0) active_ = true;
            std::memcpy(last_[c].data() + at, now, static_cast<unsigned>(bytes));
            seen_[c][n / 64] |= std::uint64_t{1} << (n % 64);
        }
    }
}

}  // namespace spikelock::lockstep::detail

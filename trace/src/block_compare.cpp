// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/block_compare.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "spikelock/base/assert.hpp"

namespace spikelock::trace {

namespace {
// memcmp says only whether two stretches differ, so the place is searched inside one stretch of
// this size: large enough to amortise the call, small enough that the second look is in the cache.
constexpr std::size_t kStretch = 64 * 1024;

std::uint64_t load_word(const std::byte* at) noexcept {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}
}  // namespace

std::optional<std::size_t> first_difference(std::span<const std::byte> a,
                                            std::span<const std::byte> b) noexcept {
    SPIKELOCK_ASSERT(a.size() == b.size());
    for (std::size_t at = 0; at < a.size(); at += kStretch) {
        const std::size_t size = std::min(kStretch, a.size() - at);
        if (std::memcmp(a.data() + at, b.data() + at, size) == 0) continue;
        const std::size_t end = at + size;
        while (at + 8 <= end && load_word(a.data() + at) == load_word(b.data() + at)) at += 8;
        while (a[at] == b[at]) ++at;
        return at;
    }
    return std::nullopt;
}

std::optional<std::size_t> compare_rows(std::span<const std::byte> a, std::span<const std::byte> b,
                                        std::size_t row_bytes) noexcept {
    SPIKELOCK_ASSERT(row_bytes >= 1 && a.size() % row_bytes == 0);
    const auto at = first_difference(a, b);
    if (!at) return std::nullopt;
    return *at / row_bytes;
}

std::optional<std::uint32_t> first_element(std::span<const std::byte> a,
                                           std::span<const std::byte> b, std::size_t element_bytes,
                                           std::uint32_t from) noexcept {
    SPIKELOCK_ASSERT(element_bytes >= 1 && a.size() % element_bytes == 0);
    const std::size_t begin = std::min(from * element_bytes, a.size());
    const auto at = first_difference(a.subspan(begin), b.subspan(begin));
    if (!at) return std::nullopt;
    return static_cast<std::uint32_t>((begin + *at) / element_bytes);
}

std::optional<std::uint32_t> first_bit(std::span<const std::uint64_t> a,
                                       std::span<const std::uint64_t> b,
                                       std::uint32_t from) noexcept {
    SPIKELOCK_ASSERT(a.size() == b.size());
    std::uint64_t keep = ~std::uint64_t{0} << (from % 64);
    for (std::size_t w = from / 64; w < a.size(); ++w) {
        const std::uint64_t differ = (a[w] ^ b[w]) & keep;
        if (differ != 0) {
            return static_cast<std::uint32_t>(w * 64 +
                                              static_cast<std::size_t>(std::countr_zero(differ)));
        }
        keep = ~std::uint64_t{0};
    }
    return std::nullopt;
}

}  // namespace spikelock::trace

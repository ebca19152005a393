// SPDX-License-Identifier: Apache-2.0
// The private coder of chunks against two decoders that share no code with it, ISA-L and zlib.
#include "deflate.hpp"

#include <zlib.h>

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::trace::detail;

namespace {
// Bytes of many kinds: noise, few values, skewed, runs, ramps, repeated stretches, all equal.
std::vector<std::byte> make_bytes(const CounterRandom& draw, std::size_t size) {
    std::vector<std::byte> out(size);
    const std::uint32_t mixture = draw.below(3, 0);
    std::size_t at = 0;
    for (std::uint64_t piece = 1; at < size; ++piece) {
        const std::uint32_t kind = mixture == 0 ? draw.below(8, 1) : draw.below(8, piece);
        const std::size_t length =
            std::min<std::size_t>(size - at, mixture == 2 ? 1 + draw.below(700, piece, 1) : size);
        const std::uint64_t base = draw.bits(piece, 2);
        for (std::size_t i = 0; i < length; ++i, ++at) {
            const std::uint64_t r = draw.bits(piece, i + 10);
            std::uint64_t value = 0;
            switch (kind) {
                case 0:
                    value = r;
                    break;
                case 1:
                    value = base + r % 3;
                    break;
                case 2:
                    value = r % 50 == 0 ? r >> 8 : base;
                    break;
                case 3:
                    value = base;
                    break;
                case 4:
                    value = i / 7;
                    break;
                case 5:
                    value = at >= 100 ? static_cast<std::uint64_t>(out[at - 100]) : r;
                    break;
                // Geometric: codes as long as they get.
                case 6:
                    value = static_cast<std::uint64_t>(std::countr_zero(r | (1ULL << 40)));
                    break;
                default:
                    value = r % 2 == 0 ? 0 : 255;
                    break;
            }
            out[at] = static_cast<std::byte>(value);
        }
    }
    return out;
}
}  // namespace

TEST_CASE("trace/deflate: what is compressed comes back from zlib and from ISA-L",
          "[trace][property]") {
    const std::size_t element = GENERATE(1U, 2U, 4U, 8U);
    const auto trial = GENERATE(range(0U, 12U));
    const CounterRandom draw(Catch::getSeed(), trial * 8 + element);
    ChunkCompressor compressor(element);
    // Several chunks through one compressor: it keeps a way of coding for some.
    for (std::uint64_t k = 0; k < 20; ++k) {
        const CounterRandom mine(draw.bits(k), 0);
        const std::size_t elements = k % 5 == 0 ? 1 + mine.below(20, 5) : 1 + mine.below(60'000, 5);
        auto raw = make_bytes(mine, elements * element);
        if (element == 4 && k % 2 == 0) {  // sign extension: the upper planes are equal
            for (std::size_t i = 0; i < elements; ++i) raw[4 * i + 3] = raw[4 * i + 2];
        }
        CAPTURE(element, trial, k, raw.size());
        const auto packed = compressor.compress(raw);
        REQUIRE(packed.size() <= raw.size() + raw.size() / 1000 + 100);

        std::vector<std::byte> back(raw.size());
        REQUIRE(decompress(packed, element, back));
        REQUIRE(back == raw);

        std::vector<std::byte> planes(raw.size());
        uLongf size = planes.size();
        REQUIRE(::uncompress(reinterpret_cast<Bytef*>(planes.data()), &size,
                             reinterpret_cast<const Bytef*>(packed.data()), packed.size()) == Z_OK);
        REQUIRE(size == raw.size());
        std::vector<std::byte> unshuffled(raw.size());
        for (std::size_t i = 0; i < raw.size(); ++i) {
            unshuffled[i] = planes[i % element * elements + i / element];
        }
        REQUIRE(unshuffled == raw);

        // A damaged stream is noticed by the checksum.
        std::vector<std::byte> damaged(packed.begin(), packed.end());
        damaged[damaged.size() - 1] ^= std::byte{1};
        CHECK_FALSE(decompress(damaged, element, back));
        damaged.pop_back();
        CHECK_FALSE(decompress(damaged, element, back));
    }
}

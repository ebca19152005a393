// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace spikelock::trace::detail {

/// Codes bytes as one deflate block of literals and runs of a repeated byte, without a search for
/// other matches: what remains worth doing to the byte planes of membrane potentials and currents,
/// at several times the speed of a general compressor.
/// Use: plan(), then size_bytes(), then write().
/// @source RFC 1951, 3.2.7 (dynamic Huffman codes)
class HuffmanBlock {
public:
    /// Chooses runs and code for `plain`, which must live until write().
    /// @pre plain.size() >= 1
    void plan(std::span<const std::byte> plain);
    /// Bytes that write() makes, at most.
    std::size_t size_bytes() const noexcept { return (bits_ + 7) / 8 + 5; }
    /// Writes the block, not final, and an empty stored block that ends on a byte boundary.
    /// @pre out.size() >= size_bytes() + 16: whole words are stored
    /// @returns bytes written
    std::size_t write(std::span<std::byte> out) const;

private:
    static constexpr std::size_t kSymbols = 286;
    static constexpr std::size_t kLengthSymbols = 19;

    // Literals from the end of the last stretch, then a run of the byte before it.
    struct Stretch {
        std::uint32_t literals = 0;
        std::uint32_t run = 0;
    };
    struct Code {
        std::uint16_t bits = 0;  // reversed, as deflate sends them
        std::uint16_t length = 0;
    };
    struct HeaderSymbol {
        std::uint8_t symbol = 0;
        std::uint8_t extra = 0;
        std::uint8_t extra_bits = 0;
    };

    void find_runs();
    void plan_header();

    std::span<const std::byte> plain_;
    std::vector<Stretch> stretches_;
    std::array<std::uint32_t, kSymbols> counts_{};
    std::array<Code, kSymbols> codes_{};
    bool runs_ = false;
    std::size_t used_symbols_ = 257;  // HLIT
    std::vector<HeaderSymbol> header_;
    std::array<Code, kLengthSymbols> header_codes_{};
    std::size_t used_header_codes_ = 4;  // HCLEN
    std::size_t bits_ = 0;
};

/// Copies of `size` bytes that stand `distance` bytes before, as one deflate block of matches with
/// fixed codes, not final, ended on a byte boundary: a plane equal to the one before it.
/// @pre 3 <= size, 1 <= distance <= 32768, out.size() >= size / 64 + 64
/// @returns bytes written
std::size_t write_copy_block(std::size_t size, std::size_t distance, std::span<std::byte> out);

}  // namespace spikelock::trace::detail

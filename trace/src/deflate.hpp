// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace spikelock::trace::detail {

/// Byte k of every element to plane k, planes one after the other: HDF5's shuffle filter.
/// @pre out.size() == in.size(), a multiple of element_bytes (1, 2, 4 or 8)
void shuffle_bytes(std::span<const std::byte> in, std::size_t element_bytes,
                   std::span<std::byte> out) noexcept;
void unshuffle_bytes(std::span<const std::byte> in, std::size_t element_bytes,
                     std::span<std::byte> out) noexcept;

/// CRC-32 (IEEE) of bytes.
std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t seed = 0) noexcept;

/// Compresses the chunks of one dataset to what HDF5's shuffle and deflate filters would undo.
/// The byte planes of a chunk are coded apart, each in the way that pays: stored where it is noise
/// (the low byte of a potential), as Huffman codes with runs, by ISA-L's search for matches, or as
/// a copy of the plane before it (sign extension). Every 16th chunk compares the ways anew.
/// Output depends only on the chunks given so far, never on time.
class ChunkCompressor {
public:
    /// @param element_bytes  1, 2, 4 or 8
    explicit ChunkCompressor(std::size_t element_bytes);
    ~ChunkCompressor();
    ChunkCompressor(ChunkCompressor&&) noexcept;
    ChunkCompressor& operator=(ChunkCompressor&&) noexcept;

    /// A zlib stream (RFC 1950); valid until the next call.
    /// @pre 1 <= raw.size() < 2^31, a multiple of the element
    std::span<const std::byte> compress(std::span<const std::byte> raw);

private:
    struct State;
    std::unique_ptr<State> state_;
};

/// Undoes compress().
/// @returns false where the stream is damaged or does not give exactly raw.size() bytes
bool decompress(std::span<const std::byte> zlib, std::size_t element_bytes,
                std::span<std::byte> raw);

}  // namespace spikelock::trace::detail

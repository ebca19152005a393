// SPDX-License-Identifier: Apache-2.0
#include "deflate.hpp"

#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstring>

#include "huffman_block.hpp"
#include "spikelock/base/assert.hpp"

namespace spikelock::trace::detail {

namespace {
// Planes shorter than this are coded as one piece: each piece costs a table of codes.
constexpr std::size_t kSmallPlane = 8 * 1024;
constexpr double kWorthCoding = 0.97;       // of the plain size; else stored
constexpr double kWorthSearching = 0.95;    // of the size without a search for matches
constexpr int kChunksPerTrial = 16;         // a way of coding is kept for so many chunks
constexpr std::size_t kWindow = 32768;      // how far back a match may lie
constexpr std::size_t kMostStored = 65535;  // bytes of one stored block (RFC 1951, 3.2.4)

unsigned char* to_uchar(std::byte* bytes) noexcept {
    return reinterpret_cast<unsigned char*>(bytes);
}
// ISA-L's input pointers are not const; it does not write through them.
unsigned char* to_uchar(const std::byte* bytes) noexcept {
    return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes));
}

// Whole elements are loaded and narrowed, a form that compilers turn into vector code.
template <typename Element>
void shuffle_as(const std::byte* in, std::size_t count, std::byte* out) noexcept {
    for (std::size_t p = 0; p < sizeof(Element); ++p) {
        std::byte* plane = out + p * count;
        for (std::size_t i = 0; i < count; ++i) {
            Element element;
            std::memcpy(&element, in + i * sizeof element, sizeof element);
            plane[i] = static_cast<std::byte>(element >> (8 * p));
        }
    }
}

template <typename Element>
void unshuffle_as(const std::byte* in, std::size_t count, std::byte* out) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
        Element element = 0;
        for (std::size_t p = 0; p < sizeof(Element); ++p) {
            const auto byte = static_cast<Element>(in[p * count + i]);
            element = static_cast<Element>(element | static_cast<Element>(byte << (8 * p)));
        }
        std::memcpy(out + i * sizeof element, &element, sizeof element);
    }
}
}  // namespace

void shuffle_bytes(std::span<const std::byte> in, std::size_t element_bytes,
                   std::span<std::byte> out) noexcept {
    SPIKELOCK_ASSERT(in.size() == out.size() && in.size() % element_bytes == 0);
    const std::size_t count = in.size() / element_bytes;
    switch (element_bytes) {
        case 2:
            return shuffle_as<std::uint16_t>(in.data(), count, out.data());
        case 4:
            return shuffle_as<std::uint32_t>(in.data(), count, out.data());
        case 8:
            return shuffle_as<std::uint64_t>(in.data(), count, out.data());
        default:
            SPIKELOCK_ASSERT(element_bytes == 1);
            std::copy(in.begin(), in.end(), out.begin());
    }
}

void unshuffle_bytes(std::span<const std::byte> in, std::size_t element_bytes,
                     std::span<std::byte> out) noexcept {
    SPIKELOCK_ASSERT(in.size() == out.size() && in.size() % element_bytes == 0);
    const std::size_t count = in.size() / element_bytes;
    switch (element_bytes) {
        case 2:
            return unshuffle_as<std::uint16_t>(in.data(), count, out.data());
        case 4:
            return unshuffle_as<std::uint32_t>(in.data(), count, out.data());
        case 8:
            return unshuffle_as<std::uint64_t>(in.data(), count, out.data());
        default:
            SPIKELOCK_ASSERT(element_bytes == 1);
            std::copy(in.begin(), in.end(), out.begin());
    }
}

std::uint32_t checksum(std::span<const std::byte> bytes, std::uint32_t seed) noexcept {
    return crc32_gzip_refl(seed, to_uchar(bytes.data()), bytes.size());
}

struct ChunkCompressor::State {
    std::size_t element_bytes = 1;
    std::vector<std::byte> planes;
    std::vector<std::byte> out;
    std::size_t used = 0;
    std::vector<std::uint8_t> level_buf = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
    isal_zstream stream{};
    HuffmanBlock huffman;

    enum class Way : std::uint8_t { Store, Huffman, Search };
    struct Piece {
        Way way = Way::Store;
        int left = 0;  // chunks until the ways are compared again
    };
    std::vector<Piece> pieces;

    void put(std::initializer_list<unsigned> bytes) {
        for (const unsigned b : bytes) out[used++] = static_cast<std::byte>(b);
    }

    void store(std::span<const std::byte> plain) {
        while (!plain.empty()) {
            const std::size_t size = std::min(plain.size(), kMostStored);
            const auto len = static_cast<unsigned>(size);
            put({0, len & 0xffU, len >> 8, ~len & 0xffU, (~len >> 8) & 0xffU});
            std::memcpy(out.data() + used, plain.data(), size);
            used += size;
            plain = plain.subspan(size);
        }
    }

    // Appends a byte-aligned, not final segment.
    void search(std::span<const std::byte> plain) {
        isal_deflate_stateless_init(&stream);
        stream.level = 1;
        stream.level_buf = level_buf.data();
        stream.level_buf_size = static_cast<std::uint32_t>(level_buf.size());
        stream.flush = FULL_FLUSH;
        stream.end_of_stream = 0;
        stream.gzip_flag = IGZIP_DEFLATE;
        stream.next_in = to_uchar(plain.data());
        stream.avail_in = static_cast<std::uint32_t>(plain.size());
        stream.next_out = to_uchar(out.data() + used);
        stream.avail_out = static_cast<std::uint32_t>(out.size() - used);
        const int rc = isal_deflate_stateless(&stream);
        if (rc != COMP_OK || stream.avail_in != 0) {
            store(plain);
        } else {
            used += stream.total_out;
        }
    }

    void write_huffman() { used += huffman.write(std::span(out).subspan(used)); }

    void code(Piece& piece, std::span<const std::byte> plain) {
        const auto limit =
            static_cast<std::size_t>(kWorthCoding * static_cast<double>(plain.size()));
        if (piece.left > 0) {
            --piece.left;
            if (piece.way == Way::Search) return search(plain);
            if (piece.way == Way::Huffman) {
                huffman.plan(plain);
                if (huffman.size_bytes() < limit) return write_huffman();
            }
            return store(plain);
        }
        piece.left = kChunksPerTrial - 1;
        huffman.plan(plain);
        const std::size_t coded = huffman.size_bytes();
        const std::size_t before = used;
        search(plain);
        const std::size_t searched = used - before;
        if (searched < limit &&
            static_cast<double>(searched) < kWorthSearching * static_cast<double>(coded)) {
            piece.way = Way::Search;
            return;
        }
        used = before;
        if (coded < limit) {
            piece.way = Way::Huffman;
            write_huffman();
        } else {
            piece.way = Way::Store;
            store(plain);
        }
    }
};

ChunkCompressor::ChunkCompressor(std::size_t element_bytes) : state_(std::make_unique<State>()) {
    SPIKELOCK_ASSERT(element_bytes >= 1 && element_bytes <= 8);
    state_->element_bytes = element_bytes;
    state_->pieces.resize(element_bytes);
}
ChunkCompressor::~ChunkCompressor() = default;
ChunkCompressor::ChunkCompressor(ChunkCompressor&&) noexcept = default;
ChunkCompressor& ChunkCompressor::operator=(ChunkCompressor&&) noexcept = default;

std::span<const std::byte> ChunkCompressor::compress(std::span<const std::byte> raw) {
    State& s = *state_;
    SPIKELOCK_ASSERT(!raw.empty() && raw.size() < (std::size_t{1} << 31));
    // The worst case is every byte stored, plus one failed attempt's slack.
    s.out.resize(raw.size() + raw.size() / 16 + 64 * 1024);
    s.used = 0;
    std::span<const std::byte> planes = raw;
    if (s.element_bytes > 1) {
        s.planes.resize(raw.size());
        shuffle_bytes(raw, s.element_bytes, s.planes);
        planes = s.planes;
    }
    s.put({0x78, 0x01});
    const std::size_t plane_bytes = raw.size() / s.element_bytes;
    if (plane_bytes < kSmallPlane) {
        s.code(s.pieces[0], planes);
    } else {
        for (std::size_t p = 0; p < s.element_bytes; ++p) {
            const auto plane = planes.subspan(p * plane_bytes, plane_bytes);
            // Sign extension makes planes that are equal to the one before.
            if (p > 0 && plane_bytes <= kWindow &&
                std::memcmp(plane.data(), plane.data() - plane_bytes, plane_bytes) == 0) {
                s.used +=
                    write_copy_block(plane_bytes, plane_bytes, std::span(s.out).subspan(s.used));
            } else {
                s.code(s.pieces[p], plane);
            }
        }
    }
    s.put({1, 0, 0, 0xff, 0xff});  // a final, empty stored block
    const std::uint32_t adler = isal_adler32(1, to_uchar(planes.data()), planes.size());
    s.put({adler >> 24, (adler >> 16) & 0xffU, (adler >> 8) & 0xffU, adler & 0xffU});
    return std::span(s.out).first(s.used);
}

bool decompress(std::span<const std::byte> zlib, std::size_t element_bytes,
                std::span<std::byte> raw) {
    if (raw.size() % element_bytes != 0 || zlib.size() > UINT32_MAX || raw.size() > UINT32_MAX) {
        return false;
    }
    std::vector<std::byte> planes(element_bytes > 1 ? raw.size() : 0);
    const std::span<std::byte> out = element_bytes > 1 ? std::span(planes) : raw;
    const auto state = std::make_unique<inflate_state>();
    isal_inflate_init(state.get());
    state->crc_flag = ISAL_ZLIB;
    state->next_in = to_uchar(zlib.data());
    state->avail_in = static_cast<std::uint32_t>(zlib.size());
    state->next_out = to_uchar(out.data());
    state->avail_out = static_cast<std::uint32_t>(out.size());
    if (isal_inflate(state.get()) != ISAL_DECOMP_OK) return false;
    if (state->block_state != ISAL_BLOCK_FINISH || state->total_out != out.size()) return false;
    if (element_bytes > 1) unshuffle_bytes(planes, element_bytes, raw);
    return true;
}

}  // namespace spikelock::trace::detail

// SPDX-License-Identifier: Apache-2.0
#include "huffman_block.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "spikelock/base/assert.hpp"

namespace spikelock::trace::detail {

namespace {
// Four codes of at most this length, and what a byte may hold over, fit one 64-bit store.
constexpr int kLongestCode = 14;
constexpr int kLongestHeaderCode = 7;  // RFC 1951: three bits a length
constexpr std::uint32_t kLongestMatch = 258;
constexpr std::array<std::uint8_t, 19> kHeaderOrder = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                       11, 4,  12, 3, 13, 2, 14, 1, 15};

struct MatchLength {
    std::uint16_t symbol = 0;
    std::uint8_t extra_bits = 0;
    std::uint8_t extra = 0;
};

// RFC 1951, 3.2.5. @pre 3 <= length <= 258
MatchLength match_length(std::uint32_t length) {
    if (length == 258) return {285, 0, 0};
    if (length < 11) return {static_cast<std::uint16_t>(254 + length), 0, 0};
    // From 11 on four symbols share a number of extra bits, which grows by one.
    std::uint32_t extra_bits = 1;
    while (length >= 3 + (8U << extra_bits)) ++extra_bits;
    const std::uint32_t offset = length - 3 - (4U << extra_bits);
    return {static_cast<std::uint16_t>(261 + 4 * extra_bits + (offset >> extra_bits)),
            static_cast<std::uint8_t>(extra_bits),
            static_cast<std::uint8_t>(offset & ((1U << extra_bits) - 1))};
}

// A run is cut into matches none of which is shorter than 3.
template <typename Take>
void cut_run(std::uint32_t run, Take take) {
    while (run > kLongestMatch) {
        const std::uint32_t length = run - kLongestMatch < 3 ? run - 3 : kLongestMatch;
        const std::uint32_t bounded = std::min(length, kLongestMatch);
        take(bounded);
        run -= bounded;
    }
    if (run > 0) take(run);
}

std::uint16_t reversed(std::uint32_t bits, int length) {
    std::uint32_t out = 0;
    for (int i = 0; i < length; ++i) out |= ((bits >> i) & 1U) << (length - 1 - i);
    return static_cast<std::uint16_t>(out);
}

// Lengths of a Huffman code of at most `longest` bits; 0 for symbols that do not occur.
void code_lengths(std::span<const std::uint32_t> counts, int longest,
                  std::span<std::uint8_t> lengths) {
    struct Node {
        std::uint64_t weight;
        std::int32_t left;
        std::int32_t right;
    };
    std::fill(lengths.begin(), lengths.end(), std::uint8_t{0});
    std::vector<std::uint16_t> order;
    for (std::size_t s = 0; s < counts.size(); ++s) {
        if (counts[s] != 0) order.push_back(static_cast<std::uint16_t>(s));
    }
    if (order.empty()) return;
    if (order.size() == 1) {
        lengths[order[0]] = 1;
        return;
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return counts[a] < counts[b]; });
    // Two queues: sorted leaves, and inner nodes, which arise in ascending order.
    std::vector<Node> nodes;
    for (const std::uint16_t s : order) nodes.push_back({counts[s], -1, -1});
    const std::size_t leaves = nodes.size();
    std::size_t leaf = 0;
    std::size_t inner = leaves;
    const auto smallest = [&] {
        if (leaf < leaves && (inner >= nodes.size() || nodes[leaf].weight <= nodes[inner].weight)) {
            return leaf++;
        }
        return inner++;
    };
    for (std::size_t i = 0; i + 1 < leaves; ++i) {
        const std::size_t a = smallest();
        const std::size_t b = smallest();
        nodes.push_back({nodes[a].weight + nodes[b].weight, static_cast<std::int32_t>(a),
                         static_cast<std::int32_t>(b)});
    }
    std::vector<int> depth(nodes.size(), 0);
    std::vector<std::uint32_t> of_length(64, 0);
    for (std::size_t i = nodes.size(); i-- > 0;) {
        if (nodes[i].left < 0) {
            ++of_length[static_cast<std::size_t>(std::min(depth[i], longest))];
            continue;
        }
        depth[static_cast<std::size_t>(nodes[i].left)] = depth[i] + 1;
        depth[static_cast<std::size_t>(nodes[i].right)] = depth[i] + 1;
    }
    // Cutting long codes oversubscribes the code space; moving a leaf one level down from above the
    // longest, with a cut one beside it, gives one unit of 2^-longest back each time.
    std::uint64_t space = 0;
    for (int l = 1; l <= longest; ++l) {
        space += std::uint64_t{of_length[static_cast<std::size_t>(l)]} << (longest - l);
    }
    while (space > std::uint64_t{1} << longest) {
        auto l = static_cast<std::size_t>(longest - 1);
        while (of_length[l] == 0) --l;
        --of_length[l];
        of_length[l + 1] += 2;
        --of_length[static_cast<std::size_t>(longest)];
        --space;
    }
    // The rarest symbols get the longest codes.
    std::size_t at = 0;
    for (int l = longest; l >= 1; --l) {
        for (std::uint32_t k = 0; k < of_length[static_cast<std::size_t>(l)]; ++k) {
            lengths[order[at++]] = static_cast<std::uint8_t>(l);
        }
    }
}

// RFC 1951, 3.2.2.
template <typename Codes>
void canonical_codes(std::span<const std::uint8_t> lengths, Codes& codes) {
    std::array<std::uint32_t, 17> next{};
    std::array<std::uint32_t, 17> of_length{};
    for (const std::uint8_t l : lengths) ++of_length[l];
    of_length[0] = 0;
    std::uint32_t code = 0;
    for (std::size_t l = 1; l <= 15; ++l) {
        code = (code + of_length[l - 1]) << 1;
        next[l] = code;
    }
    for (std::size_t s = 0; s < lengths.size(); ++s) {
        codes[s].length = lengths[s];
        codes[s].bits =
            lengths[s] == 0 ? std::uint16_t{0} : reversed(next[lengths[s]]++, lengths[s]);
    }
}

class BitWriter {
public:
    explicit BitWriter(std::byte* out) : begin_(out), out_(out) {}
    // @pre fewer than 57 bits are held after it
    void put(std::uint64_t bits, unsigned count) {
        held_ |= bits << count_;
        count_ += count;
    }
    void flush() {
        std::memcpy(out_, &held_, sizeof held_);  // little-endian
        const unsigned bytes = count_ / 8;
        out_ += bytes;
        count_ -= bytes * 8;
        held_ = bytes == 8 ? 0 : held_ >> (bytes * 8);
    }
    // An empty stored block: three bits, padding, LEN and NLEN.
    std::size_t end_on_byte() {
        put(0, 3);
        count_ = (count_ + 7) / 8 * 8;
        flush();
        put(0xffff0000, 32);
        flush();
        return static_cast<std::size_t>(out_ - begin_);
    }

private:
    std::byte* begin_;
    std::byte* out_;
    std::uint64_t held_ = 0;
    unsigned count_ = 0;
};
}  // namespace

void HuffmanBlock::find_runs() {
    stretches_.clear();
    // Four tables: a byte that occurs twice in a row would otherwise wait for its own count.
    std::array<std::array<std::uint32_t, 256>, 4> seen{};
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(plain_.data());
    const std::size_t size = plain_.size();
    std::size_t at = 0;
    std::uint32_t literals = 0;
    const auto literal = [&](std::size_t end) {
        for (; at < end; ++at, ++literals) ++seen[at & 3U][bytes[at]];
    };
    literal(std::min<std::size_t>(8, size));
    while (at + 8 <= size) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes + at, sizeof word);
        const std::uint64_t repeated = bytes[at - 1] * 0x0101010101010101ULL;
        if (word != repeated) {
            for (unsigned i = 0; i < 8; ++i) ++seen[i & 3U][(word >> (8 * i)) & 0xffU];
            at += 8;
            literals += 8;
            continue;
        }
        std::size_t end = at + 8;
        while (end + 8 <= size) {
            std::memcpy(&word, bytes + end, sizeof word);
            if (word != repeated) break;
            end += 8;
        }
        stretches_.push_back({literals, static_cast<std::uint32_t>(end - at)});
        literals = 0;
        at = end;
    }
    literal(size);
    stretches_.push_back({literals, 0});
    for (std::size_t s = 0; s < 256; ++s) {
        counts_[s] = seen[0][s] + seen[1][s] + seen[2][s] + seen[3][s];
    }
}

void HuffmanBlock::plan(std::span<const std::byte> plain) {
    SPIKELOCK_ASSERT(!plain.empty() && plain.size() < (std::size_t{1} << 31));
    plain_ = plain;
    counts_.fill(0);
    find_runs();
    runs_ = stretches_.size() > 1;
    std::size_t extra = 0;
    for (const Stretch& s : stretches_) {
        cut_run(s.run, [&](std::uint32_t length) {
            const MatchLength m = match_length(length);
            ++counts_[m.symbol];
            extra += m.extra_bits + 1U;  // the only distance code has one bit
        });
    }
    counts_[256] = 1;  // end of block
    std::array<std::uint8_t, kSymbols> lengths{};
    code_lengths(counts_, kLongestCode, lengths);
    canonical_codes(std::span<const std::uint8_t>(lengths), codes_);
    used_symbols_ = kSymbols;
    while (used_symbols_ > 257 && lengths[used_symbols_ - 1] == 0) --used_symbols_;
    bits_ = extra + 3;  // and the empty stored block's header
    for (std::size_t s = 0; s < kSymbols; ++s) {
        bits_ += std::size_t{counts_[s]} * codes_[s].length;
    }
    plan_header();
}

void HuffmanBlock::plan_header() {
    // Lengths of the literal codes, then of one distance code (1 bit; also where none is used).
    std::array<std::uint8_t, kSymbols + 1> lengths{};
    for (std::size_t s = 0; s < used_symbols_; ++s) {
        lengths[s] = static_cast<std::uint8_t>(codes_[s].length);
    }
    lengths[used_symbols_] = 1;
    const std::size_t total = used_symbols_ + 1;
    header_.clear();
    std::array<std::uint32_t, kLengthSymbols> counts{};
    for (std::size_t at = 0; at < total;) {
        std::size_t run = 1;
        while (at + run < total && lengths[at + run] == lengths[at]) ++run;
        HeaderSymbol next{lengths[at], 0, 0};
        if (lengths[at] == 0 && run >= 11) {
            run = std::min<std::size_t>(run, 138);
            next = {18, static_cast<std::uint8_t>(run - 11), 7};
        } else if (lengths[at] == 0 && run >= 3) {
            run = std::min<std::size_t>(run, 10);
            next = {17, static_cast<std::uint8_t>(run - 3), 3};
        } else if (lengths[at] != 0 && run >= 4) {
            // The length itself, then a repetition of 3 to 6.
            header_.push_back(next);
            ++counts[next.symbol];
            run = std::min<std::size_t>(run - 1, 6);
            next = {16, static_cast<std::uint8_t>(run - 3), 2};
            ++at;
        } else {
            run = 1;
        }
        header_.push_back(next);
        ++counts[next.symbol];
        at += run;
    }
    std::array<std::uint8_t, kLengthSymbols> header_lengths{};
    code_lengths(counts, kLongestHeaderCode, header_lengths);
    // A code of one symbol would be incomplete, which decoders may refuse here.
    if (std::count_if(header_lengths.begin(), header_lengths.end(),
                      [](auto l) { return l != 0; }) == 1) {
        header_lengths[header_lengths[0] == 0 ? 0 : 1] = 1;
    }
    canonical_codes(std::span<const std::uint8_t>(header_lengths), header_codes_);
    used_header_codes_ = kLengthSymbols;
    while (used_header_codes_ > 4 && header_lengths[kHeaderOrder[used_header_codes_ - 1]] == 0) {
        --used_header_codes_;
    }
    bits_ += 3 + 5 + 5 + 4 + 3 * used_header_codes_;
    for (const HeaderSymbol& h : header_) {
        bits_ += header_codes_[h.symbol].length + std::size_t{h.extra_bits};
    }
}

std::size_t HuffmanBlock::write(std::span<std::byte> out) const {
    SPIKELOCK_ASSERT(out.size() >= size_bytes() + 16);
    BitWriter bits(out.data());
    bits.put(0b100, 3);  // not final, dynamic codes
    bits.put(used_symbols_ - 257, 5);
    bits.put(0, 5);  // one distance code
    bits.put(used_header_codes_ - 4, 4);
    bits.flush();
    for (std::size_t i = 0; i < used_header_codes_; ++i) {
        bits.put(header_codes_[kHeaderOrder[i]].length, 3);
        bits.flush();
    }
    for (const HeaderSymbol& h : header_) {
        bits.put(header_codes_[h.symbol].bits, header_codes_[h.symbol].length);
        bits.put(h.extra, h.extra_bits);
        bits.flush();
    }
    const auto* at = reinterpret_cast<const std::uint8_t*>(plain_.data());
    for (const Stretch& s : stretches_) {
        std::uint32_t left = s.literals;
        for (; left >= 4; left -= 4, at += 4) {
            for (std::size_t i = 0; i < 4; ++i) bits.put(codes_[at[i]].bits, codes_[at[i]].length);
            bits.flush();
        }
        for (; left > 0; --left, ++at) {
            bits.put(codes_[*at].bits, codes_[*at].length);
            bits.flush();
        }
        cut_run(s.run, [&](std::uint32_t length) {
            const MatchLength m = match_length(length);
            bits.put(codes_[m.symbol].bits, codes_[m.symbol].length);
            bits.put(m.extra, m.extra_bits);
            bits.put(0, 1);  // distance 1
            bits.flush();
        });
        at += s.run;
    }
    bits.put(codes_[256].bits, codes_[256].length);
    bits.flush();
    return bits.end_on_byte();
}

std::size_t write_copy_block(std::size_t size, std::size_t distance, std::span<std::byte> out) {
    SPIKELOCK_ASSERT(size >= 3 && distance >= 1 && distance <= 32768);
    SPIKELOCK_ASSERT(out.size() >= size / 64 + 64);
    BitWriter bits(out.data());
    bits.put(0b010, 3);  // not final, fixed codes
    // RFC 1951, 3.2.5: from 5 on two symbols share a number of extra bits, which grows by one.
    const auto offset = static_cast<std::uint32_t>(distance - 1);
    std::uint32_t symbol = offset;
    std::uint32_t extra_bits = 0;
    if (offset >= 4) {
        extra_bits = 1;
        while ((offset >> extra_bits) >= 4) ++extra_bits;
        symbol = 2 * extra_bits + (offset >> extra_bits);
    }
    const std::uint32_t extra = offset & ((1U << extra_bits) - 1);
    cut_run(static_cast<std::uint32_t>(size), [&](std::uint32_t length) {
        const MatchLength m = match_length(length);
        // Fixed codes: 256..279 have 7 bits from 0, 280..287 have 8 from 192.
        if (m.symbol < 280) {
            bits.put(reversed(m.symbol - 256U, 7), 7);
        } else {
            bits.put(reversed(m.symbol - 280U + 192U, 8), 8);
        }
        bits.put(m.extra, m.extra_bits);
        bits.put(reversed(symbol, 5), 5);
        bits.put(extra, extra_bits);
        bits.flush();
    });
    bits.put(0, 7);  // end of block
    bits.flush();
    return bits.end_on_byte();
}

}  // namespace spikelock::trace::detail

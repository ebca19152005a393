// SPDX-License-Identifier: Apache-2.0
// Body of a scanner; included once a variant, with SPIKELOCK_SCAN_TARGET (function attribute) and
// SPIKELOCK_SCAN_SET (namespace) defined, after that namespace has
//   struct Classes { newline, blank, control, bit, vector, time }  one bit a byte, of 64 bytes
//   Classes classify(const char*);  uint64_t prefix_xor(uint64_t);
//   void put_positions(uint64_t mask, uint16_t base, uint16_t* to);  may write 64 entries
#include <algorithm>
#include <bit>
#include <cstring>

namespace spikelock::bridge::vcd::detail {
namespace SPIKELOCK_SCAN_SET {

SPIKELOCK_SCAN_TARGET std::size_t scan(const char* text, std::size_t size, Marks& marks,
                                       bool* regular) {
    std::size_t starts = 0;
    std::size_t ends = 0;
    std::uint64_t line_begins = 1;  // the byte before was a line end
    std::uint64_t after_bit = 0;    // the byte before was a one-bit value at the start of a line
    std::uint64_t after_blank = 0;
    std::uint64_t inside = 0;  // all ones: an identifier has begun and its line has not ended
    *regular = true;
    for (std::size_t at = 0; at < size; at += 64) {
        const Classes c = classify(text + at);
        const std::size_t left = size - at;
        const std::uint64_t valid = left >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << left) - 1;
        const std::uint64_t newline = c.newline & valid;
        const std::uint64_t blank = c.blank & valid;
        const std::uint64_t first = ((c.newline << 1) | line_begins) & valid;
        const std::uint64_t bit = first & c.bit;
        const std::uint64_t start =
            (((bit << 1) | after_bit) | ((blank << 1) | after_blank) | (first & c.time)) & valid;
        // Every line has one start before its end.
        const std::uint64_t within = (prefix_xor(start | newline) << 1) ^ inside;
        const std::uint64_t odd = (first & ~(c.bit | c.vector | c.time)) | (c.control & valid) |
                                  (start & newline) | (newline & ~within) | (start & within);
        if (__builtin_expect(odd != 0, 0)) {
            *regular = false;
            break;
        }
        put_positions(start, static_cast<std::uint16_t>(at), marks.start + starts);
        put_positions(newline, static_cast<std::uint16_t>(at), marks.end + ends);
        starts += static_cast<std::size_t>(std::popcount(start));
        ends += static_cast<std::size_t>(std::popcount(newline));
        line_begins = c.newline >> 63;
        after_bit = bit >> 63;
        after_blank = blank >> 63;
        inside = std::uint64_t{0} - (starts - ends);
    }
    return ends;
}

SPIKELOCK_SCAN_TARGET std::size_t lookup(const char* text, const Marks& marks, std::size_t lines,
                                         const Table& table, Hit* hits) {
    const Slot* const slots = table.slots;
    std::size_t n = 0;
    std::uint16_t line = 0;
    for (std::size_t i = 0; i < lines; ++i) {
        const std::uint16_t start = marks.start[i];
        const std::uint16_t end = marks.end[i];
        const unsigned length = static_cast<unsigned>(end - start);
        std::uint64_t key = 0;
        std::memcpy(&key, text + start, 8);
        const unsigned excess = length < 8 ? 8 * (8 - length) : 0;
        key = (key << excess) >> excess;
        const std::uint64_t product = key * table.factor;
        const Slot& a = slots[first_place(table, product)];
        const Slot& b = slots[second_place(table, product)];
        std::uint32_t index = kNoId;
        index = a.key == key ? static_cast<std::uint32_t>(a.index) : index;
        index = b.key == key ? static_cast<std::uint32_t>(b.index) : index;
        index = length > 8 ? kLongId : index;
        index = start == line ? kTimeLine : index;
        hits[n] = {index, line, start, end, 0};
        n += index != kNoId;
        line = static_cast<std::uint16_t>(end + 1);
    }
    return n;
}

constexpr Scanner kScanner = {&scan, &lookup};

}  // namespace SPIKELOCK_SCAN_SET
}  // namespace spikelock::bridge::vcd::detail

// SPDX-License-Identifier: Apache-2.0
// Finding the changes of selected signals in text whose lines are regular: one change or one time
// a line, written without a blank too many. All else is left to the tokeniser in reader.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spikelock::bridge::vcd::detail {

/// A segment is scanned at once; positions in it have 16 bits.
inline constexpr std::size_t kSegment = 16384;
/// The scanner reads, and ignores, up to that many bytes behind the segment.
inline constexpr std::size_t kPadding = 64;
/// A line has at least a value, an identifier and a line end.
inline constexpr std::size_t kMarks = kSegment + 64;

/// Where the lines of a segment begin their identifiers and end. Line i is
/// [i > 0 ? end[i - 1] + 1 : 0, end[i]); its identifier is [start[i], end[i]). The identifier of a
/// line with a time begins with its '#', so at the first place of the line.
struct Marks {
    std::uint16_t start[kMarks];
    std::uint16_t end[kMarks];
};

/// Entry of the table of selected identifiers of at most 8 characters.
struct Slot {
    std::uint64_t key = 0;  ///< characters, the first lowest; 0: none
    std::uint64_t index = 0;
};

/// Cuckoo table: a key is in one of two places.
struct Table {
    const Slot* slots = nullptr;
    std::uint64_t factor = 0;
    unsigned shift = 0;  ///< 64 - log2 of the number of slots
};

inline constexpr std::uint32_t kTimeLine = 0xffffffff;
inline constexpr std::uint32_t kLongId = 0xfffffffe;  ///< more than 8 characters
inline constexpr std::uint32_t kNoId = 0xfffffffd;

inline std::uint64_t first_place(const Table& table, std::uint64_t product) noexcept {
    return product >> table.shift;
}
inline std::uint64_t second_place(const Table& table, std::uint64_t product) noexcept {
    return (product << 24) >> table.shift;
}

/// A line that is a time, may be selected, or has a long identifier.
struct Hit {
    std::uint32_t index = 0;  ///< signal, kTimeLine or kLongId
    std::uint16_t line = 0;   ///< where the line begins
    std::uint16_t start = 0;  ///< where the identifier begins
    std::uint16_t end = 0;    ///< where the line ends
    std::uint16_t unused = 0;
};

struct Scanner {
    /// Marks the leading regular lines of `size` bytes, which begin with a line.
    /// @param size  1..kSegment; kPadding bytes behind can be read
    /// @returns how many lines are marked; *regular is false where an irregular line follows
    std::size_t (*scan)(const char* text, std::size_t size, Marks& marks, bool* regular);
    /// Looks the identifiers up. @returns hits written, at most `lines`
    std::size_t (*lookup)(const char* text, const Marks& marks, std::size_t lines,
                          const Table& table, Hit* hits);
};

const Scanner* scanner_scalar() noexcept;
const Scanner* scanner_avx2() noexcept;    ///< null where the processor has it not
const Scanner* scanner_avx512() noexcept;  ///< with VBMI2; null where the processor has it not

}  // namespace spikelock::bridge::vcd::detail

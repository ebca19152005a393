// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spikelock::bridge::vcd {

/// One entry of the stream of values: a change of a selected signal, a new time, or a mark.
struct Change {
    /// `signal` of entries that are no change of a signal.
    static constexpr std::uint32_t kTime = 0xffffffff;  ///< `time` holds from here on
    static constexpr std::uint32_t kMark = 0xfffffffe;  ///< a section begins or ends: `mark`
    enum class Kind : std::uint8_t {
        Bits,    ///< text: 0 1 x z (and what VHDL adds), leftmost bit first, 1 or more
        Real,    ///< text: as printed by %g
        String,  ///< text: may be empty
        Port,    ///< text: state characters of an extended VCD
    };
    enum class Mark : std::uint8_t { DumpVars, DumpAll, DumpOn, DumpOff, End };

    union {
        const char* data = nullptr;  ///< text of the value; 8 bytes before it can be read too
        std::uint64_t time;          ///< of kTime, in units of the header
    };
    std::uint32_t length = 0;  ///< of the text
    std::uint32_t signal = 0;  ///< index in Header::signals, kTime or kMark
    Kind kind = Kind::Bits;
    Mark mark = Mark::End;

    std::string_view text() const noexcept { return {data, length}; }
};

/// How a value was understood.
enum class Decoded : std::uint8_t {
    Known,    ///< only 0 and 1
    Unknown,  ///< x or z among the bits
    Bad,      ///< a character that is no bit, more bits than the signal has, or no bits at all
};

/// Bits of a value of any length, the general case of decode().
/// @see decode
Decoded decode_words(const Change& change, std::uint32_t bits, std::uint64_t* value,
                     std::uint64_t* unknown) noexcept;

namespace detail {
inline constexpr std::uint64_t kOnes = 0x0101010101010101ULL;

inline std::uint64_t load8(const char* from) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
}
/// Eight characters, the first being the highest bit, as a number.
/// @pre all are '0' or '1'
inline std::uint64_t pack8(std::uint64_t chars) noexcept {
    return ((chars & kOnes) * 0x8040201008040201ULL) >> 56;
}
}  // namespace detail

/// Bits of a change of at most 64 bits, as in VPI: (value, unknown) is (0,0) for 0, (1,0) for 1,
/// (1,1) for x, (0,1) for z. A short text is extended on the left, with 0 or with its x or z.
/// @param bits  of the signal, 1..64
/// @pre the change is of kind Bits or Port; `data` as Change says
/// @source IEEE 1800-2017, 21.7.2.1 and table 38-9
inline Decoded decode(const Change& change, std::uint32_t bits, std::uint64_t& value,
                      std::uint64_t& unknown) noexcept {
    if (change.kind != Change::Kind::Bits || change.length > bits || change.length == 0)
        return decode_words(change, bits, &value, &unknown);
    const char* end = change.data + change.length;
    std::uint32_t left = change.length;
    std::uint64_t sum = 0;
    std::uint64_t odd = 0;
    unsigned shift = 0;
    for (; left >= 8; left -= 8, end -= 8, shift += 8) {
        const std::uint64_t chars = detail::load8(end - 8);
        odd |= (chars & ~detail::kOnes) ^ (0x30 * detail::kOnes);
        sum |= detail::pack8(chars) << shift;
    }
    if (left > 0) {
        // The characters before the text become zeros.
        const std::uint64_t keep = ~std::uint64_t{0} << (8 * (8 - left));
        const std::uint64_t chars = detail::load8(end - 8) & keep;
        odd |= (chars & ~detail::kOnes) ^ ((0x30 * detail::kOnes) & keep);
        sum |= detail::pack8(chars) << shift;
    }
    if (odd != 0) return decode_words(change, bits, &value, &unknown);
    value = sum;
    unknown = 0;
    return Decoded::Known;
}

/// A real value.
/// @returns false where the text is no number
bool decode_real(const Change& change, double& value) noexcept;

}  // namespace spikelock::bridge::vcd

// SPDX-License-Identifier: Apache-2.0
#include <bit>

#include "scan.hpp"

namespace spikelock::bridge::vcd::detail {
namespace scalar {

struct Classes {
    std::uint64_t newline = 0;
    std::uint64_t blank = 0;
    std::uint64_t control = 0;  ///< below blank, but no line end
    std::uint64_t bit = 0;      ///< 0 1 x X z Z
    std::uint64_t vector = 0;   ///< b B
    std::uint64_t time = 0;     ///< #
};

inline Classes classify(const char* text) {
    Classes c;
    for (unsigned i = 0; i < 64; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const unsigned lower = byte | 0x20U;
        c.newline |= std::uint64_t{byte == '\n'} << i;
        c.blank |= std::uint64_t{byte == ' '} << i;
        c.control |= std::uint64_t{byte < ' ' && byte != '\n'} << i;
        c.bit |= std::uint64_t{byte == '0' || byte == '1' || lower == 'x' || lower == 'z'} << i;
        c.vector |= std::uint64_t{lower == 'b'} << i;
        c.time |= std::uint64_t{byte == '#'} << i;
    }
    return c;
}

inline std::uint64_t prefix_xor(std::uint64_t bits) {
    for (unsigned shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
    return bits;
}

inline void put_positions(std::uint64_t mask, std::uint16_t base, std::uint16_t* to) {
    for (; mask != 0; mask &= mask - 1)
        *to++ = static_cast<std::uint16_t>(base + std::countr_zero(mask));
}

}  // namespace scalar
}  // namespace spikelock::bridge::vcd::detail

#define SPIKELOCK_SCAN_TARGET
#define SPIKELOCK_SCAN_SET scalar
#include "scan_body.hpp"

namespace spikelock::bridge::vcd::detail {
const Scanner* scanner_scalar() noexcept { return &scalar::kScanner; }
}  // namespace spikelock::bridge::vcd::detail

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/vcd/changes.hpp"

#include <algorithm>
#include <charconv>

namespace spikelock::bridge::vcd {
namespace {

enum Bit : std::uint8_t { Zero = 0, One = 1, HighZ = 2, X = 3, None = 4 };

/// Four-state values, and the nine of VHDL that some tools write.
Bit bit_of(char c) noexcept {
    switch (c) {
        case '0':
        case 'l':
        case 'L':
            return Zero;
        case '1':
        case 'h':
        case 'H':
            return One;
        case 'z':
        case 'Z':
            return HighZ;
        case 'x':
        case 'X':
        case 'u':
        case 'U':
        case 'w':
        case 'W':
        case '-':
            return X;
        default:
            return None;
    }
}

/// States of a port: input, output, and unknown direction.
Bit port_bit(char c) noexcept {
    switch (c) {
        case 'D':
        case 'd':
        case 'L':
        case 'l':
        case '0':
            return Zero;
        case 'U':
        case 'u':
        case 'H':
        case 'h':
        case '1':
            return One;
        case 'Z':
        case 'T':
        case 'F':
        case 'f':
            return HighZ;
        case 'N':
        case 'X':
        case '?':
        case 'A':
        case 'a':
        case 'B':
        case 'b':
        case 'C':
        case 'c':
            return X;
        default:
            return None;
    }
}

}  // namespace

Decoded decode_words(const Change& change, std::uint32_t bits, std::uint64_t* value,
                     std::uint64_t* unknown) noexcept {
    const std::size_t words = (std::size_t{bits} + 63) / 64;
    std::fill_n(value, words, 0);
    std::fill_n(unknown, words, 0);
    const bool port = change.kind == Change::Kind::Port;
    if ((change.kind != Change::Kind::Bits && !port) || change.length == 0) return Decoded::Bad;
    const char* text = change.data;
    std::uint32_t length = change.length;
    for (; length > bits; ++text, --length)
        if (*text != '0') return Decoded::Bad;
    bool any = false;
    std::uint32_t at = 0;
    Bit last = Zero;
    const auto put = [&](Bit bit) {
        const std::uint64_t mask = std::uint64_t{1} << (at % 64);
        if (bit == One || bit == X) value[at / 64] |= mask;
        if (bit == HighZ || bit == X) {
            unknown[at / 64] |= mask;
            any = true;
        }
        ++at;
    };
    const char* end = text + length;
    // Eight characters at a time where all are 0 or 1.
    while (!port && end - text >= 8) {
        const std::uint64_t chars = detail::load8(end - 8);
        if (((chars & ~detail::kOnes) ^ (0x30 * detail::kOnes)) == 0) {
            value[at / 64] |= detail::pack8(chars) << (at % 64);
            at += 8;
            end -= 8;
            last = end[0] == '1' ? One : Zero;
            continue;
        }
        for (int i = 0; i < 8; ++i) {
            last = bit_of(*--end);
            if (last == None) return Decoded::Bad;
            put(last);
        }
    }
    while (end > text) {
        --end;
        last = port ? port_bit(*end) : bit_of(*end);
        if (last == None) return Decoded::Bad;
        put(last);
    }
    if (last == X || last == HighZ)
        while (at < bits) put(last);
    return any ? Decoded::Unknown : Decoded::Known;
}

bool decode_real(const Change& change, double& value) noexcept {
    std::string_view text = change.text();
    if (!text.empty() && text[0] == '+') text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error != std::errc::invalid_argument && end == text.data() + text.size();
}

}  // namespace spikelock::bridge::vcd

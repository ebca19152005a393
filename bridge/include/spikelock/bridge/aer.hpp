// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge {

/// An address event.
struct AerEvent {
    std::int64_t time_us = 0;
    std::uint32_t address = 0;  ///< as it stands in the file
    bool operator==(const AerEvent&) const = default;
};

/// What an address means in AEDAT 3.1, by the type of its packet.
enum class AerKind : std::uint8_t {
    Raw,       ///< AEDAT 2 and text: the address as it is
    Polarity,  ///< x << 17 | y << 2 | polarity << 1
    Spike,     ///< neuron << 12 | chip << 6 | core << 1
};

struct AerFile {
    AerKind kind = AerKind::Raw;
    std::vector<AerEvent> events;  ///< in the order of the file
    std::uint64_t invalid = 0;     ///< events that are marked invalid, left out
    std::uint64_t other = 0;       ///< events of other types, left out
};

/// AEDAT 2: comment lines, then records of address and timestamp (us), 4 bytes each, big-endian.
/// @param origin  stands for the path in errors
/// @errors Errc::BadFormat, Errc::Truncated with the byte offset
Result<AerFile> parse_aedat2(std::span<const std::byte> bytes, const std::string& origin);
/// AEDAT 3.1: header lines, then packets of polarity and spike events; others are counted.
/// @errors as parse_aedat2; Errc::Unsupported where polarity and spike packets are mixed
Result<AerFile> parse_aedat3(std::span<const std::byte> bytes, const std::string& origin);
/// Lines of timestamp (us) and address; # starts a comment, blanks, commas, semicolons and tabs
/// separate.
/// @errors Errc::BadFormat with line and column
Result<AerFile> parse_aer_text(std::string_view text, const std::string& origin);

}  // namespace spikelock::bridge

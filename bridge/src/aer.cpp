// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/aer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "csv_scanner.hpp"
#include "spikelock/bridge/csv.hpp"

namespace spikelock::bridge {

namespace {
constexpr std::size_t kPacketHeader = 28;
constexpr std::uint16_t kPolarityEvent = 1;
constexpr std::uint16_t kSpikeEvent = 12;

Error error_at(std::size_t byte, std::string what, const std::string& origin,
               Errc code = Errc::BadFormat) {
    return {code, std::move(what), fmt::format("{}: byte {}", origin, byte)};
}

std::uint32_t big(std::span<const std::byte> bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | std::to_integer<unsigned>(bytes[at + i]);
    return value;
}

std::uint32_t little(std::span<const std::byte> bytes, std::size_t at, std::size_t size = 4) {
    std::uint32_t value = 0;
    for (std::size_t i = size; i-- > 0;)
        value = value << 8 | std::to_integer<unsigned>(bytes[at + i]);
    return value;
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
}  // namespace

Result<AerFile> parse_aedat2(std::span<const std::byte> bytes, const std::string& origin) {
    const std::string_view text = as_text(bytes);
    if (!text.starts_with("#!AER-DAT2")) {
        return error_at(0, "expected '#!AER-DAT2.0' at the start", origin);
    }
    // Comments go on while lines begin with '#'; an address that does so too cannot be told apart,
    // which is why the format's writers never use it first.
    std::size_t at = 0;
    while (at < text.size() && text[at] == '#') {
        const std::size_t end = text.find('\n', at);
        if (end == std::string_view::npos) {
            return error_at(at, "comment line without an end", origin, Errc::Truncated);
        }
        at = end + 1;
    }
    if ((bytes.size() - at) % 8 != 0) {
        return error_at(bytes.size() - (bytes.size() - at) % 8,
                        "the last event is cut: events have 8 bytes", origin, Errc::Truncated);
    }
    AerFile file;
    file.events.reserve((bytes.size() - at) / 8);
    for (; at < bytes.size(); at += 8) {
        file.events.push_back({static_cast<std::int32_t>(big(bytes, at + 4)), big(bytes, at)});
    }
    return file;
}

Result<AerFile> parse_aedat3(std::span<const std::byte> bytes, const std::string& origin) {
    const std::string_view text = as_text(bytes);
    if (!text.starts_with("#!AER-DAT3")) {
        return error_at(0, "expected '#!AER-DAT3.1' at the start", origin);
    }
    constexpr std::string_view kEnd = "#!END-HEADER";
    std::size_t at = 0;
    for (bool more = true; more;) {
        if (at >= text.size() || text[at] != '#') {
            return error_at(at, "expected a header line or '#!END-HEADER'", origin);
        }
        const std::size_t end = text.find('\n', at);
        if (end == std::string_view::npos) {
            return error_at(at, "header without '#!END-HEADER'", origin, Errc::Truncated);
        }
        more = !text.substr(at, end - at).starts_with(kEnd);
        at = end + 1;
    }
    AerFile file;
    while (at < bytes.size()) {
        if (bytes.size() - at < kPacketHeader) {
            return error_at(at, "packet header of 28 bytes is cut", origin, Errc::Truncated);
        }
        const std::uint32_t type = little(bytes, at, 2);
        const std::uint64_t size = little(bytes, at + 4);
        const std::uint32_t time_at = little(bytes, at + 8);
        const std::int64_t overflow = static_cast<std::int32_t>(little(bytes, at + 12));
        const std::uint64_t number = little(bytes, at + 20);
        const std::size_t packet = at;
        at += kPacketHeader;
        if (size == 0 || number > (bytes.size() - at) / size) {
            return error_at(packet,
                            fmt::format("a packet of {} events of {} bytes, but {} bytes are left",
                                        number, size, bytes.size() - at),
                            origin, Errc::Truncated);
        }
        if (type != kPolarityEvent && type != kSpikeEvent) {
            file.other += number;
            at += number * size;
            continue;
        }
        if (size < 8 || time_at != 4 || overflow < 0) {
            return error_at(packet, "expected events of 8 bytes with the timestamp at 4", origin);
        }
        const AerKind kind = type == kSpikeEvent ? AerKind::Spike : AerKind::Polarity;
        if (!file.events.empty() && kind != file.kind) {
            return error_at(packet, "polarity and spike events in one file", origin,
                            Errc::Unsupported);
        }
        file.kind = kind;
        for (std::uint64_t i = 0; i < number; ++i, at += size) {
            const std::uint32_t data = little(bytes, at);
            if ((data & 1U) == 0) {
                ++file.invalid;
                continue;
            }
            // Timestamps have 31 bits; the packet counts how often they went round.
            const std::int64_t time =
                overflow * (std::int64_t{1} << 31) + (little(bytes, at + 4) & 0x7fffffffU);
            file.events.push_back({time, data & ~1U});
        }
    }
    return file;
}

Result<AerFile> parse_aer_text(std::string_view text, const std::string& origin) {
    CsvOptions options;
    options.header = CsvHeader::Absent;
    detail::CsvScanner scanner(text, origin, options);
    std::vector<detail::CsvCell> cells;
    AerFile file;
    for (;;) {
        const auto more = scanner.next(cells);
        if (!more) return more.error();
        if (!*more) return file;
        if (Status ok = scanner.check_count(cells, 2); !ok) return ok.error();
        AerEvent event;
        for (std::size_t c = 0; c < 2; ++c) {
            const auto value = detail::to_number(cells[c].text);
            const double most = c == 0 ? 9e15 : 4294967295.0;
            if (!value || *value != std::floor(*value) || !(*value >= 0.0) || *value > most) {
                return scanner.error_at(cells[c].column,
                                        c == 0 ? "expected a timestamp in microseconds"
                                               : "expected an address, 0..4294967295");
            }
            if (c == 0) {
                event.time_us = static_cast<std::int64_t>(*value);
            } else {
                event.address = static_cast<std::uint32_t>(*value);
            }
        }
        file.events.push_back(event);
    }
}

}  // namespace spikelock::bridge

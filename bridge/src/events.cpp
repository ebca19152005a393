// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/events.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <system_error>

#include "csv_scanner.hpp"
#include "file_io.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/npy.hpp"

namespace spikelock::bridge {
namespace {
/// A quantity of an event, with its range.
struct Part {
    std::string_view name;
    std::int64_t min;
    std::int64_t max;
};
enum PartIndex : std::size_t { kTimestep, kPort, kAxon, kPayload, kParts };
// 2^62 timesteps are more than any run has, and leave room for offsets.
constexpr std::array<Part, kParts> kPart = {{
    {"timestep", 0, std::int64_t{1} << 62},
    {"port", 0, std::numeric_limits<std::uint16_t>::max()},
    {"axon", 0, std::numeric_limits<std::uint32_t>::max()},
    {"payload", std::numeric_limits<std::int16_t>::min(), std::numeric_limits<std::int16_t>::max()},
}};

/// Which part each column holds.
using Layout = std::vector<PartIndex>;

std::optional<Layout> layout_without_names(std::size_t columns) {
    if (columns == 2) return Layout{kTimestep, kAxon};
    if (columns == 3) return Layout{kTimestep, kPort, kAxon};
    if (columns == 4) return Layout{kTimestep, kPort, kAxon, kPayload};
    return std::nullopt;
}

Result<Layout> layout_from_names(const detail::CsvScanner& scanner,
                                 const std::vector<detail::CsvCell>& cells) {
    Layout layout;
    for (const detail::CsvCell& cell : cells) {
        const auto* part = std::find_if(kPart.begin(), kPart.end(),
                                        [&](const Part& p) { return p.name == cell.text; });
        if (part == kPart.end()) {
            std::vector<std::string> names;
            for (const Part& p : kPart) names.emplace_back(p.name);
            return scanner.error_at(
                cell.column,
                fmt::format("unknown column {}, expected timestep, axon, port or "
                            "payload{}",
                            detail::quoted(cell.text), did_you_mean(cell.text, names)));
        }
        const auto index = static_cast<PartIndex>(part - kPart.begin());
        if (std::find(layout.begin(), layout.end(), index) != layout.end())
            return scanner.error_at(cell.column, fmt::format("column '{}' twice", part->name));
        layout.push_back(index);
    }
    for (const PartIndex needed : {kTimestep, kAxon})
        if (std::find(layout.begin(), layout.end(), needed) == layout.end())
            return scanner.error_at(1, fmt::format("no column '{}'", kPart[needed].name));
    return layout;
}

using Values = std::array<std::int64_t, kParts>;
constexpr Values kDefaults = {0, 0, 0, 1};

TimedEvent event_of(const Values& values) {
    return {static_cast<std::uint64_t>(values[kTimestep]),
            {static_cast<std::uint32_t>(values[kAxon]), static_cast<std::uint16_t>(values[kPort]),
             static_cast<std::int16_t>(values[kPayload])}};
}

std::string expected(const Part& part) {
    const std::string range = fmt::format("{}..{}", part.min, part.max);
    return fmt::format("expected {} {} {}", part.name == "axon" ? "an" : "a", part.name, range);
}

/// The whole cell as an integer; also one that numpy.savetxt wrote as 5.000e+00.
std::optional<std::int64_t> to_integer(const std::string& cell) {
    std::int64_t value = 0;
    const char* const last = cell.data() + cell.size();
    const auto [end, code] = std::from_chars(cell.data(), last, value);
    if (code == std::errc{} && end == last) return value;
    const auto real = detail::to_number(cell);
    constexpr double kExact = 0x1p53;  // up to here a float64 holds every integer
    if (!real || !(*real >= -kExact && *real <= kExact)) return std::nullopt;
    value = static_cast<std::int64_t>(*real);
    if (static_cast<double>(value) != *real) return std::nullopt;
    return value;
}

/// Why `values` cannot follow `events`, or nothing.
std::optional<std::string> disorder(const std::vector<TimedEvent>& events, const Values& values) {
    if (events.empty() || events.back().timestep <= static_cast<std::uint64_t>(values[kTimestep]))
        return std::nullopt;
    return fmt::format("timestep {} after {}, expected ascending timesteps", values[kTimestep],
                       events.back().timestep);
}

Result<std::vector<TimedEvent>> events_from_npy(const std::string& path) {
    auto reader = NpyReader::open(path);
    if (!reader) return reader.error();
    const NpyHeader& header = reader->header();
    const auto layout =
        header.shape.size() == 2 ? layout_without_names(header.shape[1]) : std::nullopt;
    if (!layout || header.type == ElementType::Bool || header.type == ElementType::F32 ||
        header.type == ElementType::F64)
        return Error{Errc::BadFormat,
                     fmt::format("expected integers of shape (n, 2), (n, 3) or (n, 4), found {} of "
                                 "shape ({})",
                                 name_of(header.type), fmt::join(header.shape, ", ")),
                     path};
    std::vector<TimedEvent> events;
    constexpr std::size_t kRowsAtOnce = std::size_t{1} << 16;
    for (std::size_t row = 0; row < reader->rows();) {
        const std::size_t count = std::min(kRowsAtOnce, reader->rows() - row);
        const auto block = reader->read_rows(row, count);
        if (!block) return block.error();
        const auto integers = block->to_integers();
        // Only a uint64 can fail here, and no part reaches that far.
        if (!integers) return Error{Errc::BadFormat, integers.error().message, path};
        for (std::size_t i = 0; i < integers->size(); i += layout->size()) {
            Values values = kDefaults;
            const std::size_t index = row * layout->size() + i;
            for (std::size_t c = 0; c < layout->size(); ++c) {
                const Part& part = kPart[(*layout)[c]];
                const std::int64_t value = (*integers)[i + c];
                if (value < part.min || value > part.max)
                    return Error{Errc::BadFormat,
                                 fmt::format("{}, found {}", expected(part), value),
                                 reader->where_of(index + c)};
                values[(*layout)[c]] = value;
            }
            if (auto why = disorder(events, values))
                return Error{Errc::BadFormat, *std::move(why), reader->where_of(index)};
            events.push_back(event_of(values));
        }
        row += count;
    }
    return events;
}
}  // namespace

Result<std::vector<TimedEvent>> parse_events_csv(std::string_view text, const std::string& origin,
                                                 const CsvOptions& options) {
    detail::CsvScanner scanner(text, origin, options);
    std::vector<detail::CsvCell> cells;
    std::vector<TimedEvent> events;
    Layout layout;
    for (bool first = true;; first = false) {
        const auto more = scanner.next(cells);
        if (!more) return more.error();
        if (!*more) return events;
        if (first) {
            if (options.header == CsvHeader::Present ||
                (options.header == CsvHeader::Auto && detail::names_columns(cells))) {
                auto named = layout_from_names(scanner, cells);
                if (!named) return named.error();
                layout = *std::move(named);
                continue;
            }
            auto unnamed = layout_without_names(cells.size());
            if (!unnamed)
                return scanner.error_at(
                    cells.back().column,
                    fmt::format("expected 2, 3 or 4 columns, found {}", cells.size()));
            layout = *std::move(unnamed);
        }
        if (Status status = scanner.check_count(cells, layout.size()); !status)
            return status.error();
        Values values = kDefaults;
        std::size_t timestep_column = 1;
        for (std::size_t c = 0; c < cells.size(); ++c) {
            const std::string& cell = cells[c].text;
            const Part& part = kPart[layout[c]];
            const auto value = to_integer(cell);
            if (!value || *value < part.min || *value > part.max)
                return scanner.error_at(cells[c].column, fmt::format("{}, found {}", expected(part),
                                                                     detail::quoted(cell)));
            values[layout[c]] = *value;
            if (layout[c] == kTimestep) timestep_column = cells[c].column;
        }
        if (auto why = disorder(events, values))
            return scanner.error_at(timestep_column, *std::move(why));
        events.push_back(event_of(values));
    }
}

Result<std::vector<TimedEvent>> read_events(const std::string& path, const CsvOptions& options) {
    const auto npy = detail::is_npy(path);
    if (!npy) return npy.error();
    if (*npy) return events_from_npy(path);
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto text = file->read_to_end(kMaxTextBytes);
    if (!text) return text.error();
    return parse_events_csv(*text, path, options);
}

std::string format_events_csv(std::span<const TimedEvent> events) {
    const bool payload = std::any_of(events.begin(), events.end(),
                                     [](const TimedEvent& e) { return e.event.payload != 1; });
    const bool port = std::any_of(events.begin(), events.end(),
                                  [](const TimedEvent& e) { return e.event.port != 0; });
    std::string out =
        fmt::format("timestep{},axon{}\n", port ? ",port" : "", payload ? ",payload" : "");
    const auto append = std::back_inserter(out);
    for (const TimedEvent& e : events) {
        fmt::format_to(append, "{}", e.timestep);
        if (port) fmt::format_to(append, ",{}", e.event.port);
        fmt::format_to(append, ",{}", e.event.address);
        if (payload) fmt::format_to(append, ",{}", e.event.payload);
        out += '\n';
    }
    return out;
}

Status write_events(const std::string& path, std::span<const TimedEvent> events) {
    const std::string text = format_events_csv(events);
    return detail::write_whole(path, std::as_bytes(std::span(text)));
}

}  // namespace spikelock::bridge

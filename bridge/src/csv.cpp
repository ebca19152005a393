// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/csv.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "csv_scanner.hpp"
#include "file_io.hpp"
#include "spikelock/base/assert.hpp"

namespace spikelock::bridge {
namespace {
/// Whether a cell that is no number was probably meant to name its column.
bool looks_like_name(std::string_view text) {
    return !text.empty() && (text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z';
}

void append_name(std::string& out, const std::string& name) {
    // Anything but a plain word is quoted; bare, even a first byte order mark would change meaning.
    const auto plain = [](char c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
    };
    if (!name.empty() && std::all_of(name.begin(), name.end(), plain)) {
        out += name;
        return;
    }
    out += '"';
    for (const char c : name) {
        if (c == '"') out += '"';
        out += c;
    }
    out += '"';
}
}  // namespace

Result<CsvTable> parse_csv(std::string_view text, const std::string& origin,
                           const CsvOptions& options) {
    detail::CsvScanner scanner(text, origin, options);
    std::vector<detail::CsvCell> cells;
    CsvTable table;
    for (bool first = true;; first = false) {
        const auto more = scanner.next(cells);
        if (!more) return more.error();
        if (!*more) return table;
        if (first) {
            table.n_columns = cells.size();
            if (options.header == CsvHeader::Present ||
                (options.header == CsvHeader::Auto && detail::names_columns(cells))) {
                for (detail::CsvCell& cell : cells) table.columns.push_back(std::move(cell.text));
                continue;
            }
        }
        if (Status status = scanner.check_count(cells, table.n_columns); !status)
            return status.error();
        for (const detail::CsvCell& cell : cells) {
            const auto value = detail::to_number(cell.text);
            if (!value) {
                std::string why = detail::no_number(cell.text);
                if (first && options.header == CsvHeader::Auto && looks_like_name(cell.text))
                    why += "; no header either, since other cells of the line are numbers";
                return scanner.error_at(cell.column, std::move(why));
            }
            table.values.push_back(*value);
        }
        table.lines.push_back(scanner.line());
    }
}

Result<CsvTable> read_csv(const std::string& path, const CsvOptions& options) {
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto text = file->read_to_end(kMaxTextBytes);
    if (!text) return text.error();
    return parse_csv(*text, path, options);
}

std::string format_csv(const CsvTable& table) {
    SPIKELOCK_ASSERT(table.columns.empty() || table.columns.size() == table.n_columns);
    SPIKELOCK_ASSERT(table.n_columns == 0 ? table.values.empty()
                                          : table.values.size() % table.n_columns == 0);
    std::string out;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        append_name(out, table.columns[c]);
        out += c + 1 == table.n_columns ? '\n' : ',';
    }
    std::array<char, 32> buffer;  // the longest float64 has 24 characters
    for (std::size_t i = 0; i < table.values.size(); ++i) {
        const auto end =
            std::to_chars(buffer.data(), buffer.data() + buffer.size(), table.values[i]).ptr;
        out.append(buffer.data(), end);
        out += (i + 1) % table.n_columns == 0 ? '\n' : ',';
    }
    return out;
}

Status write_csv(const std::string& path, const CsvTable& table) {
    const std::string text = format_csv(table);
    return detail::write_whole(path, std::as_bytes(std::span(text)));
}

}  // namespace spikelock::bridge

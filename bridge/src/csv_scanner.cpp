// SPDX-License-Identifier: Apache-2.0
#include "csv_scanner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "file_io.hpp"

namespace spikelock::bridge::detail {

CsvScanner::CsvScanner(std::string_view text, std::string origin, const CsvOptions& options)
    : rest_(text),
      origin_(std::move(origin)),
      separator_(options.separator),
      comment_(options.comment) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
}

Error CsvScanner::error_at(std::size_t column, std::string message, Errc code) const {
    return {code, std::move(message), fmt::format("{}:{}:{}", origin_, line_, column)};
}

Status CsvScanner::check_count(const std::vector<CsvCell>& cells, std::size_t expected) const {
    if (cells.size() == expected) return {};
    const std::size_t column = cells.size() > expected ? cells[expected].column : line_size_ + 1;
    return error_at(column, fmt::format("expected {} cells, found {}", expected, cells.size()));
}

Result<bool> CsvScanner::next(std::vector<CsvCell>& cells) {
    cells.clear();
    while (cells.empty() && !rest_.empty()) {
        const std::size_t end = rest_.find('\n');
        std::string_view line = rest_.substr(0, end);
        rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
        ++line_;
        if (line.ends_with('\r')) line.remove_suffix(1);
        line_size_ = line.size();
        // These tell that a file is no text at all, or has the line ends of another age.
        const auto bad = std::find_if(line.begin(), line.end(), [](char c) {
            return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
        });
        if (bad != line.end())
            return error_at(static_cast<std::size_t>(bad - line.begin()) + 1,
                            *bad == '\r' ? "carriage return inside a line"
                                         : fmt::format("control byte {} in a text file",
                                                       quoted(std::string_view(&*bad, 1))));
        if (Status status = split(line, cells); !status) return status.error();
        // The first line that holds something has chosen the separator, and was cut without one.
        if (separator_ == 0 && !cells.empty()) {
            choose_separator(line);
            cells.clear();
            if (Status status = split(line, cells); !status) return status.error();
        }
    }
    return !cells.empty();
}

void CsvScanner::choose_separator(std::string_view line) noexcept {
    bool in_quotes = false;
    bool comma = false;
    bool tab = false;
    separator_ = ' ';
    for (const char c : line) {
        if (c == '"') in_quotes = !in_quotes;
        if (in_quotes) continue;
        if (comment_ != 0 && c == comment_) break;
        if (c == ';') {
            separator_ = ';';
            return;
        }
        comma = comma || c == ',';
        tab = tab || c == '\t';
    }
    if (comma)
        separator_ = ',';
    else if (tab)
        separator_ = '\t';
}

Status CsvScanner::split(std::string_view line, std::vector<CsvCell>& cells) const {
    const auto ends_line = [&](std::size_t at) {
        return at == line.size() || (comment_ != 0 && line[at] == comment_);
    };
    // Without a separator the line is looked at only for whether it holds anything.
    if (separator_ == 0) {
        const std::size_t first = line.find_first_not_of(" \t");
        if (first != std::string_view::npos && !ends_line(first)) cells.emplace_back();
        return {};
    }
    const bool by_blanks = separator_ == ' ';
    const auto ends_cell = [&](std::size_t at) {
        return ends_line(at) || line[at] == separator_ || (by_blanks && blank(line[at]));
    };
    std::size_t at = 0;
    const auto skip_blanks = [&] {
        while (at < line.size() && blank(line[at])) ++at;
    };
    skip_blanks();
    if (ends_line(at)) return {};
    for (;;) {
        if (cells.size() == kMaxColumns)
            return error_at(at + 1, fmt::format("more than {} cells in a line", kMaxColumns),
                            Errc::Limit);
        CsvCell& cell = cells.emplace_back();
        cell.column = at + 1;
        if (at < line.size() && line[at] == '"') {
            const std::size_t opened = at++;
            for (;;) {
                const std::size_t quote = line.find('"', at);
                if (quote == std::string_view::npos)
                    return error_at(opened + 1, "quote is not closed in its line");
                cell.text += line.substr(at, quote - at);
                at = quote + 1;
                if (at == line.size() || line[at] != '"') break;
                cell.text += '"';
                ++at;
            }
            if (!by_blanks) skip_blanks();
            if (!ends_cell(at)) return error_at(at + 1, "text after a closing quote");
        } else {
            const std::size_t begin = at;
            while (!ends_cell(at)) {
                if (line[at] == '"') return error_at(at + 1, "quote inside a cell");
                ++at;
            }
            std::size_t end = at;
            while (end > begin && blank(line[end - 1])) --end;
            cell.text = line.substr(begin, end - begin);
        }
        if (by_blanks) {
            skip_blanks();
            if (ends_line(at)) return {};
        } else {
            if (ends_line(at)) return {};
            ++at;  // the separator; another cell follows, be it empty
            skip_blanks();
        }
    }
}

std::optional<double> to_number(std::string_view text) noexcept {
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    double value = 0.0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

bool names_columns(const std::vector<CsvCell>& cells) noexcept {
    return std::none_of(cells.begin(), cells.end(), [](const CsvCell& cell) {
        // 2,5 and 0x10 are no numbers here, but nobody calls a column that.
        const std::size_t first = cell.text.find_first_not_of("+-.,");
        const bool digit =
            first != std::string::npos && cell.text[first] >= '0' && cell.text[first] <= '9';
        return digit || to_number(cell.text).has_value();
    });
}

std::string no_number(std::string_view text) {
    if (text.empty()) return "expected a number, found an empty cell";
    double value = 0.0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec ==
        std::errc::result_out_of_range)
        return fmt::format("number out of the range of float64: {}", quoted(text));
    return fmt::format("expected a number, found {}", quoted(text));
}

}  // namespace spikelock::bridge::detail

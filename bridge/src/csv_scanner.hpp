// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/csv.hpp"

namespace spikelock::bridge::detail {

/// A cell without the blanks and quotes around it.
struct CsvCell {
    std::string text;
    std::size_t column = 1;  ///< of its first byte in the line, from 1
};

/// Cuts text into lines and lines into cells; the one place that knows separators, quotes and
/// comments. The text must outlive it.
class CsvScanner {
public:
    CsvScanner(std::string_view text, std::string origin, const CsvOptions& options);

    /// The cells of the next line that holds any, which replace what is in `cells`; false at the
    /// end.
    /// @errors as parse_csv
    Result<bool> next(std::vector<CsvCell>& cells);
    /// Line that next() gave last, from 1.
    std::uint64_t line() const noexcept { return line_; }
    /// An error at a column of that line.
    Error error_at(std::size_t column, std::string message, Errc code = Errc::BadFormat) const;
    /// An error unless there are `expected` cells; placed at the first one too many, or at the end.
    Status check_count(const std::vector<CsvCell>& cells, std::size_t expected) const;

private:
    bool blank(char c) const noexcept { return c == ' ' || (c == '\t' && separator_ != '\t'); }
    void choose_separator(std::string_view line) noexcept;
    Status split(std::string_view line, std::vector<CsvCell>& cells) const;

    std::string_view rest_;
    std::string origin_;
    char separator_;
    char comment_;
    std::uint64_t line_ = 0;
    std::size_t line_size_ = 0;
};

/// The whole cell as a number; a leading plus is allowed.
std::optional<double> to_number(std::string_view text) noexcept;
/// Whether the line names columns: none of its cells is a number, or begins like one.
bool names_columns(const std::vector<CsvCell>& cells) noexcept;
/// "expected a number, found 'x'" or "empty cell, expected a number", or that it is out of range.
std::string no_number(std::string_view text);

}  // namespace spikelock::bridge::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge {

/// Whether the first line that holds something names the columns.
enum class CsvHeader : std::uint8_t {
    Auto,     ///< it does if none of its cells begins like a number
    Present,  ///< it does
    Absent,   ///< it does not
};

/// How text is cut into cells. Empty lines are skipped, blanks around cells dropped; a cell may
/// stand in double quotes ("" is a quote in it), but not go over lines. Lines end in LF or CR LF; a
/// UTF-8 byte order mark is skipped.
struct CsvOptions {
    /// ',', ';', '\t', or ' ' for any run of blanks; 0: the first of ; , tab blank that the first
    /// line holds
    char separator = 0;
    CsvHeader header = CsvHeader::Auto;
    char comment = '#';  ///< starts a comment up to the end of the line; 0: none
};

/// A table of numbers.
struct CsvTable {
    std::vector<std::string> columns;  ///< names, shape (n_columns); empty without a header
    std::size_t n_columns = 0;
    std::vector<double> values;        ///< shape (n_rows, n_columns)
    std::vector<std::uint64_t> lines;  ///< line of each row in the file, from 1; shape (n_rows)

    std::size_t n_rows() const noexcept { return n_columns == 0 ? 0 : values.size() / n_columns; }
    double at(std::size_t row, std::size_t column) const {
        return values[row * n_columns + column];
    }
};

/// Largest text file that is read, bytes.
inline constexpr std::uint64_t kMaxTextBytes = std::uint64_t{1} << 30;
/// Most cells in a line.
inline constexpr std::size_t kMaxColumns = std::size_t{1} << 20;

/// Parses a table of numbers (decimal or scientific with a point, inf, nan; any locale).
/// A text without any row gives a table without rows.
/// @param origin  stands for the path in errors
/// @errors Errc::BadFormat with origin:line:column: a cell that is no number or empty, a line with
/// more or fewer cells than the first, a quote that is not closed, a control byte; Errc::Limit
Result<CsvTable> parse_csv(std::string_view text, const std::string& origin,
                           const CsvOptions& options = {});
/// The same from a file.
/// @errors those of parse_csv; Errc::NotFound, Errc::Io
Result<CsvTable> read_csv(const std::string& path, const CsvOptions& options = {});

/// The table with commas, a header where it has column names, and the shortest numbers that read
/// back as the same value.
/// @pre values.size() is a multiple of n_columns; columns is empty or has n_columns names
std::string format_csv(const CsvTable& table);
/// Writes format_csv under a temporary name in the same folder and renames it to `path`.
/// @errors Errc::Io, Errc::Environment (disk full)
Status write_csv(const std::string& path, const CsvTable& table);

}  // namespace spikelock::bridge

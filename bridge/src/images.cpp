// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/images.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "csv_scanner.hpp"
#include "file_io.hpp"
#include "spikelock/bridge/npy.hpp"

namespace spikelock::bridge {
namespace {
using Cells = std::vector<detail::CsvCell>;

bool is_label(const detail::CsvCell& cell) { return cell.text == "label"; }

bool is_header(const Cells& cells, CsvHeader header) {
    if (header != CsvHeader::Auto) return header == CsvHeader::Present;
    // Columns are often named label, 0, 1, 2, ...
    return std::any_of(cells.begin(), cells.end(), is_label) || detail::names_columns(cells);
}

/// Which cell of a line with the cells of `first` is the label.
std::optional<std::size_t> label_cell(const Cells& first, bool header, LabelColumn where) {
    switch (where) {
        case LabelColumn::First:
            return 0;
        case LabelColumn::Last:
            return first.size() - 1;
        case LabelColumn::None:
            return std::nullopt;
        case LabelColumn::Auto:
            break;
    }
    if (!header) return 0;
    const auto found = std::find_if(first.begin(), first.end(), is_label);
    if (found == first.end()) return std::nullopt;
    return static_cast<std::size_t>(found - first.begin());
}

Status check(const ImageFileOptions& options) {
    if (!(options.pixel_max > 0.0) || options.pixel_max > std::numeric_limits<double>::max())
        return Error{Errc::BadConfig,
                     fmt::format("pixel_max must be above 0, got {}", options.pixel_max),
                     {}};
    return {};
}

std::string not_a_pixel(double pixel_max, double found) {
    return fmt::format("expected a pixel of 0..{}, found {}", pixel_max, found);
}

Result<std::vector<std::string>> read_labels(const std::string& path) {
    std::vector<std::string> labels;
    const auto npy = detail::is_npy(path);
    if (!npy) return npy.error();
    if (*npy) {
        const auto array = read_npy(path);
        if (!array) return array.error();
        if (array->shape.size() != 1)
            return Error{Errc::BadFormat,
                         fmt::format("expected labels of shape (n), found ({})",
                                     fmt::join(array->shape, ", ")),
                         path};
        const auto integers = array->to_integers();
        if (!integers) return Error{integers.error().code, integers.error().message, path};
        for (const std::int64_t label : *integers) labels.push_back(fmt::format("{}", label));
        return labels;
    }
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto text = file->read_to_end(kMaxTextBytes);
    if (!text) return text.error();
    detail::CsvScanner scanner(*text, path, {});
    Cells cells;
    for (bool first = true;; first = false) {
        const auto more = scanner.next(cells);
        if (!more) return more.error();
        if (!*more) return labels;
        if (Status status = scanner.check_count(cells, 1); !status) return status.error();
        if (first && is_label(cells[0])) continue;
        if (cells[0].text.empty()) return scanner.error_at(cells[0].column, "empty label");
        labels.push_back(std::move(cells[0].text));
    }
}

Result<ImageSet> read_image_npy(const std::string& path, const ImageFileOptions& options) {
    auto reader = NpyReader::open(path);
    if (!reader) return reader.error();
    const std::vector<std::size_t>& shape = reader->header().shape;
    if (shape.size() < 2 || reader->rows() == 0 || reader->row_size() == 0 ||
        reader->row_size() > std::numeric_limits<std::uint32_t>::max())
        return Error{
            Errc::BadFormat,
            fmt::format("expected images of shape (n, pixels), found ({})", fmt::join(shape, ", ")),
            path};
    // Pixels become float64: the limit holds for what they need then.
    if (reader->rows() > kMaxArrayBytes / sizeof(double) / reader->row_size())
        return Error{Errc::Limit,
                     fmt::format("{} images of {} pixels, expected at most {} bytes as float64",
                                 reader->rows(), reader->row_size(), kMaxArrayBytes),
                     path};
    const auto array = reader->read_all();
    if (!array) return array.error();
    ImageSet set;
    set.pixels_per_image = static_cast<std::uint32_t>(reader->row_size());
    set.pixels = array->to_doubles();
    for (std::size_t i = 0; i < set.pixels.size(); ++i) {
        double& pixel = set.pixels[i];
        if (!(pixel >= 0.0 && pixel <= options.pixel_max))
            return Error{Errc::BadFormat, not_a_pixel(options.pixel_max, pixel),
                         reader->where_of(i)};
        pixel /= options.pixel_max;
    }
    if (!options.label_path.empty()) {
        auto labels = read_labels(options.label_path);
        if (!labels) return labels.error();
        if (labels->size() != set.n_images())
            return Error{Errc::Mismatch,
                         fmt::format("{} labels for the {} images of {}", labels->size(),
                                     set.n_images(), path),
                         options.label_path};
        set.labels = *std::move(labels);
    }
    return set;
}
}  // namespace

Result<ImageSet> parse_image_csv(std::string_view text, const std::string& origin,
                                 const ImageFileOptions& options) {
    if (Status status = check(options); !status) return status.error();
    detail::CsvScanner scanner(text, origin, options.csv);
    Cells cells;
    ImageSet set;
    std::optional<std::size_t> label;
    std::size_t n_cells = 0;
    for (bool first = true;; first = false) {
        const auto more = scanner.next(cells);
        if (!more) return more.error();
        if (!*more) break;
        if (first) {
            const bool header = is_header(cells, options.csv.header);
            label = label_cell(cells, header, options.label);
            n_cells = cells.size();
            set.pixels_per_image = static_cast<std::uint32_t>(n_cells - (label ? 1 : 0));
            if (set.pixels_per_image == 0)
                return scanner.error_at(1, "expected pixels beside the label");
            if (header) continue;
        }
        if (Status status = scanner.check_count(cells, n_cells); !status) return status.error();
        for (std::size_t c = 0; c < n_cells; ++c) {
            const detail::CsvCell& cell = cells[c];
            if (c == label) {
                if (cell.text.empty()) return scanner.error_at(cell.column, "empty label");
                set.labels.push_back(cell.text);
                continue;
            }
            const auto pixel = detail::to_number(cell.text);
            if (!pixel) return scanner.error_at(cell.column, detail::no_number(cell.text));
            if (!(*pixel >= 0.0 && *pixel <= options.pixel_max))
                return scanner.error_at(cell.column, not_a_pixel(options.pixel_max, *pixel));
            set.pixels.push_back(*pixel / options.pixel_max);
        }
    }
    if (set.pixels.empty()) return Error{Errc::BadFormat, "no images in the file", origin};
    return set;
}

Result<ImageSet> read_images(const std::string& path, const ImageFileOptions& options) {
    if (Status status = check(options); !status) return status.error();
    const auto npy = detail::is_npy(path);
    if (!npy) return npy.error();
    if (*npy) return read_image_npy(path, options);
    if (!options.label_path.empty())
        return Error{Errc::BadConfig,
                     "images from CSV carry their labels in a column, a file of labels was given",
                     options.label_path};
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto text = file->read_to_end(kMaxTextBytes);
    if (!text) return text.error();
    return parse_image_csv(*text, path, options);
}

}  // namespace spikelock::bridge

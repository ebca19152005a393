// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/csv.hpp"

namespace spikelock::bridge {

/// Images with their labels.
struct ImageSet {
    std::uint32_t pixels_per_image = 0;
    std::vector<double> pixels;       ///< shape (n_images, pixels_per_image), 0..1
    std::vector<std::string> labels;  ///< shape (n_images); empty when the file holds none

    std::size_t n_images() const noexcept {
        return pixels_per_image == 0 ? 0 : pixels.size() / pixels_per_image;
    }
};

/// Where a line of a CSV file holds its label.
enum class LabelColumn : std::uint8_t {
    Auto,   ///< the column named "label" where there is a header (none if none has that name),
            ///< the first where there is no header
    First,  ///< the first cell of each line
    Last,   ///< the last cell of each line
    None,   ///< there are no labels
};

struct ImageFileOptions {
    double pixel_max = 255.0;  ///< the pixel value that becomes 1; above 0
    LabelColumn label = LabelColumn::Auto;
    /// As for tables, but the first line is also a header where one of its cells is "label".
    CsvOptions csv = {};
    /// Images from NPY: a file of one label per image, NPY (integers) or CSV (one column); empty:
    /// no labels
    std::string label_path = {};
};

/// Reads images from CSV (one line per image) or NPY (shape (n_images, ...), the rest is flattened
/// in C order); which of the two is told by the file's first bytes.
/// @errors Errc::NotFound, Errc::Io; those of read_csv and read_npy; Errc::BadFormat with the place
/// of a pixel outside 0..pixel_max or of an empty label, and for a file without images;
/// Errc::Mismatch when labels and images differ in number; Errc::BadConfig for a pixel_max that is
/// not above 0, or a label_path given together with CSV
Result<ImageSet> read_images(const std::string& path, const ImageFileOptions& options = {});
/// The CSV case from text in memory. @param origin  stands for the path in errors
Result<ImageSet> parse_image_csv(std::string_view text, const std::string& origin,
                                 const ImageFileOptions& options = {});

}  // namespace spikelock::bridge

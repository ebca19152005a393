// SPDX-License-Identifier: Apache-2.0
// Any text is a table, a list of events and a set of images, or an error with line and column. What
// is read survives being written.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "spikelock/bridge/csv.hpp"
#include "spikelock/bridge/events.hpp"
#include "spikelock/bridge/images.hpp"

using namespace spikelock::bridge;

namespace {
void require(bool condition) {
    if (!condition) std::abort();
}

/// Equal, with every NaN like every other: a sign or payload is not written.
bool same(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) ||
           std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto table = parse_csv(text, "x")) {
        require(table->lines.size() == table->n_rows());
        require(table->values.size() == table->n_rows() * table->n_columns);
        // The header is given, because a name in quotes may begin like a number.
        const CsvOptions options = {
            .separator = ',',
            .header = table->columns.empty() ? CsvHeader::Absent : CsvHeader::Present};
        const auto again = parse_csv(format_csv(*table), "y", options);
        require(again.has_value());
        require(again->columns == table->columns);
        require(again->values.size() == table->values.size());
        for (std::size_t i = 0; i < table->values.size(); ++i)
            require(same(again->values[i], table->values[i]));
    } else {
        require(table.error().where.starts_with("x:"));
    }

    if (const auto events = parse_events_csv(text, "x")) {
        const auto again = parse_events_csv(format_events_csv(*events), "y");
        require(again && *again == *events);
    } else {
        require(events.error().where.starts_with("x:"));
    }

    if (const auto images = parse_image_csv(text, "x", {.pixel_max = 16})) {
        require(images->pixels.size() == images->n_images() * images->pixels_per_image);
        require(images->labels.empty() || images->labels.size() == images->n_images());
        for (const double pixel : images->pixels) require(pixel >= 0.0 && pixel <= 1.0);
    } else {
        require(images.error().where.starts_with("x"));
    }
    return 0;
}

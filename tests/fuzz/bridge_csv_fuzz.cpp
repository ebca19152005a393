// SPDX-License-Identifier: Apache-2.0
// Any text is a table, a list of events and a set of images, or an error with line and column. What
// is read survives being written.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "fuzz_support.hpp"
#include "spikelock/bridge/csv.hpp"
#include "spikelock/bridge/events.hpp"
#include "spikelock/bridge/images.hpp"

using namespace spikelock::bridge;
using spikelock::fuzz::must;

namespace {
/// Equal, with every NaN like every other: a sign or payload is not written.
bool same(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) ||
           std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto table = parse_csv(text, "x")) {
        must(table->lines.size() == table->n_rows());
        must(table->values.size() == table->n_rows() * table->n_columns);
        // The header is given, because a name in quotes may begin like a number.
        const CsvOptions options = {
            .separator = ',',
            .header = table->columns.empty() ? CsvHeader::Absent : CsvHeader::Present};
        const auto again = parse_csv(format_csv(*table), "y", options);
        must(again.has_value());
        must(again->columns == table->columns);
        must(again->values.size() == table->values.size());
        for (std::size_t i = 0; i < table->values.size(); ++i)
            must(same(again->values[i], table->values[i]));
    } else {
        must(table.error().where.starts_with("x:"));
    }

    if (const auto events = parse_events_csv(text, "x")) {
        const auto again = parse_events_csv(format_events_csv(*events), "y");
        must(again && *again == *events);
    } else {
        must(events.error().where.starts_with("x:"));
    }

    if (const auto images = parse_image_csv(text, "x", {.pixel_max = 16})) {
        must(images->pixels.size() == images->n_images() * images->pixels_per_image);
        must(images->labels.empty() || images->labels.size() == images->n_images());
        for (const double pixel : images->pixels) must(pixel >= 0.0 && pixel <= 1.0);
    } else {
        must(images.error().where.starts_with("x"));
    }
    return 0;
}

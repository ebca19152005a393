// SPDX-License-Identifier: Apache-2.0
// Any bytes are an array that holds what they say, or an error with its place. What is read is the
// same by rows as at once, and survives being written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "fuzz_support.hpp"
#include "spikelock/bridge/npy.hpp"

using spikelock::bridge::NpyReader;
using spikelock::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = std::as_bytes(std::span(data, size));
    const auto array = spikelock::bridge::parse_npy(bytes, "x");
    if (!array) {
        must(array.error().where.starts_with("x: byte "));
        return 0;
    }
    must(array->bytes.size() <= size);
    must(array->to_doubles().size() == array->size());

    const auto written = spikelock::bridge::format_npy(*array);
    const auto again = spikelock::bridge::parse_npy(written, "y");
    must(again && again->type == array->type && again->shape == array->shape &&
         again->bytes == array->bytes);

    auto reader = NpyReader::over(bytes, "x");
    must(reader.has_value());
    if (array->bytes.empty()) return 0;
    const std::size_t half = reader->rows() / 2;
    std::vector<std::byte> pieces;
    for (const auto& [first, count] :
         {std::pair{std::size_t{0}, half}, std::pair{half, reader->rows() - half}}) {
        const auto part = reader->read_rows(first, count);
        must(part.has_value());
        pieces.insert(pieces.end(), part->bytes.begin(), part->bytes.end());
    }
    must(pieces == array->bytes);
    return 0;
}

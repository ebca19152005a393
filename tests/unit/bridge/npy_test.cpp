// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/npy.hpp"

#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "spikelock/base/random.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
const std::string kFixtures = SPIKELOCK_BRIDGE_FIXTURES;

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::string as_text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The element as numpy's side of the fixture writes it, compared by bits.
template <typename T>
bool same_element(T element, const std::string& text) {
    if constexpr (std::is_same_v<T, double>)
        return std::bit_cast<std::uint64_t>(element) ==
               std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr));
    else if constexpr (std::is_same_v<T, float>)
        return std::bit_cast<std::uint32_t>(element) ==
               std::bit_cast<std::uint32_t>(std::strtof(text.c_str(), nullptr));
    else
        return std::to_string(element) == text;
}

/// How many leading elements equal those of the list.
template <typename T>
std::size_t count_equal(std::span<const T> elements, std::istream& list) {
    std::size_t equal = 0;
    for (std::string text; equal < elements.size() && list >> text; ++equal)
        if (!same_element(elements[equal], text)) break;
    return equal;
}

std::size_t count_equal(const NdArray& array, std::istream& list) {
    switch (array.type) {
        case ElementType::F64:
            return count_equal(array.as<double>(), list);
        case ElementType::F32:
            return count_equal(array.as<float>(), list);
        case ElementType::U64:
            return count_equal(array.as<std::uint64_t>(), list);
        case ElementType::Bool:
        case ElementType::I8:
        case ElementType::I16:
        case ElementType::I32:
        case ElementType::I64:
        case ElementType::U8:
        case ElementType::U16:
        case ElementType::U32:
            break;
    }
    const auto integers = array.to_integers();
    REQUIRE(integers);
    return count_equal(std::span<const std::int64_t>(*integers), list);
}
}  // namespace

TEST_CASE("bridge/npy: what numpy wrote is read as numpy reads it", "[bridge][property]") {
    std::ifstream list(kFixtures + "/npy.txt");
    if (!list) SKIP("no files of numpy: run the test 'bridge: numpy writes fixtures' first");
    std::string name;
    std::string dtype;
    std::string shape_text;
    bool fortran = false;
    int arrays = 0;
    int fortran_arrays = 0;
    while (list >> name >> dtype >> shape_text >> fortran) {
        CAPTURE(name, dtype, shape_text, fortran);
        const std::string path = kFixtures + "/" + name + ".npy";
        const auto array = read_npy(path);
        REQUIRE(array);
        CHECK(name_of(array->type) == dtype);
        std::string shape;
        for (const std::size_t d : array->shape)
            shape += (shape.empty() ? "" : "x") + std::to_string(d);
        REQUIRE((shape.empty() ? "-" : shape) == shape_text);

        std::ifstream values(kFixtures + "/" + name + ".values");
        REQUIRE(count_equal(*array, values) == array->size());
        std::string left;
        CHECK_FALSE(values >> left);

        // Writing gives numpy's own bytes; from memory the same comes out as from the file.
        CHECK(as_text(format_npy(*array)) == slurp(kFixtures + "/" + name + ".plain.npy"));
        const std::string stored = slurp(path);
        const auto parsed = parse_npy(bytes_of(stored), name);
        REQUIRE(parsed);
        CHECK(parsed->bytes == array->bytes);

        auto reader = NpyReader::open(path);
        REQUIRE(reader);
        CHECK(reader->header().fortran_order == fortran);
        if (array->bytes.empty()) continue;
        // In uneven pieces of rows the same bytes come out.
        std::vector<std::byte> pieces;
        for (std::size_t row = 0, count = 1; row < reader->rows(); row += count, count *= 2) {
            count = std::min(count, reader->rows() - row);
            const auto part = reader->read_rows(row, count);
            REQUIRE(part);
            CHECK(part->shape.at(0) == count);
            pieces.insert(pieces.end(), part->bytes.begin(), part->bytes.end());
        }
        CHECK(pieces == array->bytes);
        // where_of finds the bytes of an element in the file.
        const std::size_t size = size_of(array->type);
        const CounterRandom random(1, 2);
        for (std::uint64_t draw = 0; draw < 4; ++draw) {
            const auto i = random.below(static_cast<std::uint32_t>(array->size()), draw);
            const std::string where = reader->where_of(i);
            const auto offset = std::stoull(where.substr(where.rfind(' ')));
            std::string element = stored.substr(offset, size);
            if (reader->header().swapped) element = {element.rbegin(), element.rend()};
            CHECK(std::memcmp(element.data(), array->bytes.data() + i * size, size) == 0);
        }
        ++arrays;
        fortran_arrays += fortran ? 1 : 0;
    }
    CHECK(arrays > 200);
    CHECK(fortran_arrays > 50);
}

TEST_CASE("bridge/npy: a file is valid at its full length only", "[bridge][property]") {
    const std::vector<std::int16_t> values = {1, -2, 3, -4, 5, -6};
    const std::string whole = as_text(format_npy(NdArray::of<std::int16_t>({2, 3}, values)));
    REQUIRE(parse_npy(bytes_of(whole), "x"));
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const std::string part = whole.substr(0, length);
        const auto result = parse_npy(bytes_of(part), "x");
        CAPTURE(length);
        REQUIRE_FALSE(result);
        CHECK(result.error().code == Errc::Truncated);
        CHECK(result.error().where == "x: byte " + std::to_string(length));
    }
    const std::string more = whole + '\0';
    const auto result = parse_npy(bytes_of(more), "x");
    REQUIRE_FALSE(result);
    CHECK(result.error().text() ==
          "x: byte " + std::to_string(whole.size()) + ": 1 byte after the array");
}

TEST_CASE("bridge/npy: a changed byte of the header never crashes", "[bridge][property]") {
    const std::vector<double> values = {1.5, -2.5};
    const std::string whole = as_text(format_npy(NdArray::of<double>({2}, values)));
    int errors = 0;
    for (std::size_t at = 0; at < whole.size() - 16; ++at)
        for (int byte = 0; byte < 256; ++byte) {
            std::string changed = whole;
            changed[at] = static_cast<char>(byte);
            const auto result = parse_npy(bytes_of(changed), "x");
            if (result) {
                CHECK(result->bytes.size() == 16);
            } else {
                CHECK(result.error().where.starts_with("x: byte "));
                ++errors;
            }
        }
    CHECK(errors > 20000);
}

TEST_CASE("bridge/npy: integers convert exactly or not at all", "[bridge][unit]") {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    const std::vector<std::uint64_t> fits = {0, std::uint64_t{kMax}};
    const auto good = NdArray::of<std::uint64_t>({2}, fits).to_integers();
    REQUIRE(good);
    CHECK(*good == std::vector<std::int64_t>{0, kMax});
    const std::vector<std::uint64_t> too_large = {0, std::uint64_t{kMax} + 1};
    const auto bad = NdArray::of<std::uint64_t>({2}, too_large).to_integers();
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == Errc::Limit);
    CHECK(bad.error().message == "element 1 is 9223372036854775808, which does not fit in int64");
    const std::vector<float> real = {1.0F};
    CHECK(NdArray::of<float>({}, real).to_integers().error().code == Errc::Unsupported);
    CHECK(NdArray::of<float>({}, real).to_doubles() == std::vector<double>{1.0});
    const std::vector<std::int8_t> small = {-128, 127};
    CHECK(NdArray::of<std::int8_t>({2}, small).to_doubles() == std::vector<double>{-128.0, 127.0});
}

TEST_CASE("bridge/npy: writing replaces the file or leaves it alone", "[bridge][unit]") {
    const TempFolder folder;
    const std::string path = folder.file("a.npy");
    spill(path, "before");
    const std::vector<float> values = {0.5F};
    const NdArray array = NdArray::of<float>({1}, values);
    REQUIRE(write_npy(path, array));
    CHECK(read_npy(path)->bytes == array.bytes);
    CHECK(folder.files() == 1);

    // A folder in the place of the target cannot be replaced: an error, and no file left behind.
    const std::string taken = folder.file("taken");
    std::filesystem::create_directories(taken + "/inside");
    const Status status = write_npy(taken, array);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::Io);
    CHECK(status.error().where == taken);
    CHECK(folder.files() == 2);
    CHECK(write_npy(folder.file("no/such/folder/a.npy"), array).error().code == Errc::NotFound);
}

TEST_CASE("bridge/npy: what cannot be opened is named", "[bridge][unit]") {
    const TempFolder folder;
    CHECK(read_npy(folder.file("")).error().code == Errc::Io);
    const auto missing = read_npy(folder.file("missing.npy"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::NotFound);
    CHECK(missing.error().where == folder.file("missing.npy"));
    CHECK(read_npy("/dev/null").error().code == Errc::Unsupported);
}

// SPDX-License-Identifier: Apache-2.0
// Malformed files of tests/data/bad/bridge, each with the code, place and words of its error.
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "spikelock/bridge/csv.hpp"
#include "spikelock/bridge/events.hpp"
#include "spikelock/bridge/images.hpp"
#include "spikelock/bridge/npy.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
template <typename T>
std::optional<Error> error_of(const Result<T>& result) {
    if (result) return std::nullopt;
    return result.error();
}

std::optional<Error> read_as(const std::string& reader, const std::string& path) {
    if (reader == "npy") return error_of(read_npy(path));
    if (reader == "csv") return error_of(read_csv(path));
    if (reader == "images") return error_of(read_images(path, {.pixel_max = 16}));
    REQUIRE(reader == "events");
    return error_of(read_events(path));
}
}  // namespace

TEST_CASE("bridge: each malformed file gives its error at its place", "[bridge][unit]") {
    const std::string folder = std::string(SPIKELOCK_SOURCE_DIR) + "/tests/data/bad/bridge/";
    std::ifstream table(folder + "expected.tsv");
    REQUIRE(table);
    std::set<std::string> listed = {"expected.tsv"};
    for (std::string line; std::getline(table, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        std::istringstream fields(line);
        std::string file;
        std::string reader;
        std::string code;
        std::string place;
        std::string message;
        std::getline(fields, file, '\t');
        std::getline(fields, reader, '\t');
        std::getline(fields, code, '\t');
        std::getline(fields, place, '\t');
        std::getline(fields, message);
        CAPTURE(file, reader);
        const auto error = read_as(reader, folder + file);
        REQUIRE(error);
        CHECK(name_of(error->code) == code);
        CHECK(error->where == folder + file + place);
        CHECK(error->message == message);
        listed.insert(file);
    }
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        CAPTURE(entry.path());
        CHECK(listed.contains(entry.path().filename().string()));
    }
    CHECK(listed.size() > 40);
}

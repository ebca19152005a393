// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/images.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <filesystem>

#include "spikelock/bridge/npy.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

TEST_CASE("bridge/images: the digits are the same from CSV and from numpy", "[bridge][property]") {
    const std::string fixtures = SPIKELOCK_BRIDGE_FIXTURES;
    if (!std::filesystem::exists(fixtures + "/digits.npy"))
        SKIP("no files of numpy: run the test 'bridge: numpy writes fixtures' first");
    const auto csv =
        read_images(std::string(SPIKELOCK_SOURCE_DIR) + "/examples/010_digits/test_images.csv",
                    {.pixel_max = 16});
    REQUIRE(csv);
    CHECK(csv->n_images() == 400);
    CHECK(csv->pixels_per_image == 64);
    CHECK(csv->labels.size() == 400);
    CHECK(std::count(csv->labels.begin(), csv->labels.end(), "7") == 40);
    CHECK(*std::max_element(csv->pixels.begin(), csv->pixels.end()) == 1.0);
    const auto npy = read_images(fixtures + "/digits.npy",
                                 {.pixel_max = 16, .label_path = fixtures + "/digit_labels.npy"});
    REQUIRE(npy);
    CHECK(npy->pixels_per_image == 64);
    CHECK(npy->pixels == csv->pixels);
    CHECK(npy->labels == csv->labels);
}

TEST_CASE("bridge/images: the label is where it was said to be", "[bridge][unit]") {
    using Labels = std::vector<std::string>;
    const auto [text, where, labels, pixels] =
        GENERATE(table<std::string, LabelColumn, Labels, std::vector<double>>({
            {"label,p0,p1\nA,0,4\n", LabelColumn::Auto, {"A"}, {0, 1}},
            {"p0,label,p1\n0,B,4\n", LabelColumn::Auto, {"B"}, {0, 1}},
            {"label,0,1\nC,0,4\n", LabelColumn::Auto, {"C"}, {0, 1}},
            {"p0,p1\n0,4\n", LabelColumn::Auto, {}, {0, 1}},
            {"7,0,4\n", LabelColumn::Auto, {"7"}, {0, 1}},
            {"seven,0,4\n", LabelColumn::First, {"seven"}, {0, 1}},
            {"0,4,7\n", LabelColumn::Last, {"7"}, {0, 1}},
            {"0,4\n", LabelColumn::None, {}, {0, 1}},
        }));
    CAPTURE(text);
    const auto set = parse_image_csv(text, "x", {.pixel_max = 4, .label = where});
    REQUIRE(set);
    CHECK(set->labels == labels);
    CHECK(set->pixels == pixels);
    CHECK(set->n_images() == 1);
}

TEST_CASE("bridge/images: labels in their own file must match the images", "[bridge][unit]") {
    const TempFolder folder;
    const std::vector<std::uint8_t> pixels = {0, 51, 102, 153, 204, 255};
    REQUIRE(write_npy(folder.file("i.npy"), NdArray::of<std::uint8_t>({3, 1, 2}, pixels)));
    spill(folder.file("l.csv"), "label\nzero\n1\ntwo words\n");
    const auto set = read_images(folder.file("i.npy"), {.label_path = folder.file("l.csv")});
    REQUIRE_FALSE(set);  // without a comma, blanks separate
    CHECK(set.error().where == folder.file("l.csv") + ":4:5");
    spill(folder.file("l.csv"), "label\nzero\n1\n\"two words\"\n");
    const auto good = read_images(folder.file("i.npy"), {.label_path = folder.file("l.csv")});
    REQUIRE(good);
    CHECK(good->labels == std::vector<std::string>{"zero", "1", "two words"});
    CHECK(good->pixels == std::vector<double>{0, 0.2, 0.4, 0.6, 0.8, 1.0});
    spill(folder.file("l.csv"), "0\n1\n");
    const auto few = read_images(folder.file("i.npy"), {.label_path = folder.file("l.csv")});
    REQUIRE_FALSE(few);
    CHECK(few.error().code == Errc::Mismatch);
    CHECK(few.error().text() ==
          folder.file("l.csv") + ": 2 labels for the 3 images of " + folder.file("i.npy"));
    // Bright pixels are found by their bytes.
    CHECK(read_images(folder.file("i.npy"), {.pixel_max = 250}).error().text() ==
          folder.file("i.npy") + ": byte 133: expected a pixel of 0..250, found 255");
    CHECK(read_images(folder.file("i.npy"), {.pixel_max = 0}).error().code == Errc::BadConfig);
    spill(folder.file("c.csv"), "1,2,3\n");
    CHECK(read_images(folder.file("c.csv"), {.label_path = folder.file("l.csv")}).error().code ==
          Errc::BadConfig);
}

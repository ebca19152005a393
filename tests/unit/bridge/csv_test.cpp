// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/csv.hpp"

#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cmath>
#include <fstream>
#include <map>

#include "spikelock/base/random.hpp"
#include "spikelock/bridge/npy.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

TEST_CASE("bridge/csv: what numpy wrote is read as numpy reads it", "[bridge][property]") {
    const std::string fixtures = SPIKELOCK_BRIDGE_FIXTURES;
    std::ifstream list(fixtures + "/csv.txt");
    if (!list) SKIP("no files of numpy: run the test 'bridge: numpy writes fixtures' first");
    const std::map<std::string, char> separators = {
        {"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"blank", ' '}};
    std::string name;
    std::string word;
    bool header = false;
    int tables = 0;
    for (; list >> name >> word >> header; ++tables) {
        CAPTURE(name, word, header);
        const auto expected = read_npy(fixtures + "/" + name + ".npy");
        REQUIRE(expected);
        // The separator is found, and may also be given.
        for (const char separator : {'\0', separators.at(word)}) {
            const auto table = read_csv(fixtures + "/" + name + ".csv", {.separator = separator});
            REQUIRE(table);
            CHECK(table->columns.size() == (header ? table->n_columns : 0));
            REQUIRE(table->n_rows() == expected->shape[0]);
            REQUIRE(table->n_columns == expected->shape[1]);
            // == on doubles is exact; the tables hold no NaN and no -0 that numpy would keep.
            CHECK(table->values == expected->to_doubles());
            CHECK(table->lines.front() == (header ? 2 : 1));
        }
    }
    CHECK(tables == 40);
}

TEST_CASE("bridge/csv: a written table reads back bit by bit", "[bridge][property]") {
    const auto seed = GENERATE(range(0U, 20U));
    const CounterRandom random(seed, 1);
    CsvTable table;
    table.n_columns = 1 + random.below(6, 0);
    if (seed % 2 == 0)
        for (std::size_t c = 0; c < table.n_columns; ++c)
            table.columns.push_back(std::vector<std::string>{"plain", "with blank", "a,b",
                                                             "say \"hi\"", "#1st", ""}[c]);
    const std::size_t rows = random.below(40, 1);
    for (std::size_t i = 0; i < rows * table.n_columns; ++i) {
        const double value = std::bit_cast<double>(random.bits(i, 2));
        table.values.push_back(std::isnan(value) ? 0.0 : value);
    }
    const auto again = parse_csv(format_csv(table), "x");
    REQUIRE(again);
    CHECK(again->columns == table.columns);
    CHECK(again->values == table.values);
    if (rows > 0) CHECK(again->n_columns == table.n_columns);

    const TempFolder folder;
    REQUIRE(write_csv(folder.file("t.csv"), table));
    CHECK(slurp(folder.file("t.csv")) == format_csv(table));
    CHECK(folder.files() == 1);
}

TEST_CASE("bridge/csv: lines, blanks, quotes and comments", "[bridge][unit]") {
    struct Case {
        std::string text;
        std::vector<std::string> columns;
        std::size_t n_columns;
        std::vector<double> values;
        std::vector<std::uint64_t> lines;
    };
    const auto c = GENERATE(values<Case>({
        {"", {}, 0, {}, {}},
        {"\n \n# nothing\n\t\n", {}, 0, {}, {}},
        {"1", {}, 1, {1}, {1}},
        {"1,2\r\n3,4\r\n", {}, 2, {1, 2, 3, 4}, {1, 2}},
        {"\xef\xbb\xbf"
         "a,b\n1,2\n",
         {"a", "b"},
         2,
         {1, 2},
         {2}},
        {"# made by hand\n\n  a ; b # names\n 1 ; 2 # values\n", {"a", "b"}, 2, {1, 2}, {4}},
        {"\"a,b\"\"c\";'d'\n1;\" 2 \"\n", {"a,b\"c", "'d'"}, 2, {}, {}},
        {"\"a;b\",c\n1,2\n", {"a;b", "c"}, 2, {1, 2}, {2}},
        {"1 2   3 \n", {}, 3, {1, 2, 3}, {1}},
        {"1\t 2\n", {}, 2, {1, 2}, {1}},
        {"+1,-1,1e3,.5,5.,inf,-inf\n", {}, 7, {1, -1, 1000, 0.5, 5, INFINITY, -INFINITY}, {1}},
    }));
    CAPTURE(c.text);
    const auto table = parse_csv(c.text, "x");
    if (c.n_columns == 2 && c.values.empty()) {
        // Blanks inside quotes belong to the cell, and " 2 " is then no number.
        REQUIRE_FALSE(table);
        CHECK(table.error().text() == "x:2:3: expected a number, found ' 2 '");
        return;
    }
    REQUIRE(table);
    CHECK(table->columns == c.columns);
    CHECK(table->n_columns == c.n_columns);
    CHECK(table->values == c.values);
    CHECK(table->lines == c.lines);
}

TEST_CASE("bridge/csv: options decide what is left open", "[bridge][unit]") {
    const auto named = parse_csv("1,2\n3,4\n", "x", {.header = CsvHeader::Present});
    REQUIRE(named);
    CHECK(named->columns == std::vector<std::string>{"1", "2"});
    CHECK(named->values == std::vector<double>{3, 4});
    CHECK(parse_csv("a,b\n", "x", {.header = CsvHeader::Absent}).error().where == "x:1:1");
    CHECK(parse_csv("1,5 2,5\n", "x", {.separator = ' '}).error().where == "x:1:1");
    CHECK(parse_csv("1%one\n", "x", {.comment = '%'})->values == std::vector<double>{1});
    CHECK_FALSE(parse_csv("1#one\n", "x", {.comment = 0}));
}

TEST_CASE("bridge/csv: a pipe is read like a file", "[bridge][unit]") {
    const TempFolder folder;
    CHECK(read_csv(folder.file("")).error().code == Errc::Io);
    CHECK(read_csv(folder.file("missing.csv")).error().code == Errc::NotFound);
    CHECK(read_csv("/dev/null")->n_rows() == 0);
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/vcd/reader.hpp"

#include <unistd.h>
#include <zlib.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::bridge::vcd;

namespace {
constexpr const char* kHeader =
    "$timescale 10 ns $end\n$scope module tb $end\n"
    "$var wire 1 ! clk $end\n$var wire 8 \" v [7:0] $end\n$var real 64 # r $end\n"
    "$var wire 70 wide_one_of_long_id w [69:0] $end\n"
    "$upscope $end\n$enddefinitions $end\n";

/// All entries as text: "#5 0=1 1=00000101 ...".
std::string stream(std::string_view text, ReaderOptions options = {}) {
    auto reader = Reader::from_memory(text, "t.vcd", options);
    if (!reader) return reader.error().text();
    (*reader)->select_all();
    std::string out;
    for (;;) {
        auto batch = (*reader)->next();
        if (!batch) return out + "| " + batch.error().text();
        if (batch->empty()) return out;
        for (const Change& c : *batch) {
            if (c.signal == Change::kTime) {
                out += "#" + std::to_string(c.time) + " ";
            } else if (c.signal != Change::kMark) {
                out += std::to_string(c.signal) + "=" + std::string(c.text()) + " ";
            }
        }
    }
}

std::string temporary(const char* name) {
    return (std::filesystem::temp_directory_path() /
            (std::string("spikelock-vcd-") + std::to_string(::getpid()) + name))
        .string();
}
}  // namespace

TEST_CASE("vcd/header: scopes, names and ranges are as written", "[vcd][unit]") {
    const std::string text =
        "$date today $end $version a\n b $end $comment one $end $comment two $end\n"
        "$timescale 100\n ps $end $timezero -3 $end\n"
        "$scope module a $end $scope begin g[0] $end $var reg 8 ! q [0:7] $end $upscope $end\n"
        "$var event 1 % e $end $upscope $end $scope module a $end $var wire 1 & b[3] $end\n"
        "$var wire 4 ' \\x.y[1] [3:0] $end $var wire 8 ! alias $end $var wire 9 ( m[7] $end\n"
        "$var port [11:0] <0 p $end $enddefinitions $end\n";
    auto reader = Reader::from_memory(text, "t.vcd");
    REQUIRE(reader);
    const Header& h = (*reader)->header();
    CHECK(h.date == "today");
    CHECK(h.version == "a b");
    CHECK(h.comment == "one\ntwo");
    CHECK(h.time_exponent == -10);
    CHECK(h.time_zero == -3);
    REQUIRE(h.vars.size() == 7);
    CHECK(h.full_name(h.vars[0]) == "a.g[0].q");
    CHECK(h.vars[0].range == "[0:7]");
    CHECK((h.vars[0].left == 0 && h.vars[0].right == 7));
    CHECK(h.signals[h.vars[1].signal].kind == Signal::Kind::Event);
    CHECK((h.vars[2].name == "b" && h.vars[2].range == "[3]"));
    CHECK(h.vars[3].name == "\\x.y[1]");
    CHECK(h.vars[4].signal == h.vars[0].signal);
    CHECK((h.vars[5].name == "m[7]" && h.vars[5].range.empty()));
    CHECK(h.vars[6].bits == 12);
    CHECK(h.scopes.size() == 2);  // `a` was opened twice
    REQUIRE(h.find("a.\\x.y[1][3:0]"));
    CHECK(*h.find("a.b[3]") == 2);
    const auto missing = h.find("a.aliass");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("a.alias") != std::string::npos);
}

TEST_CASE("vcd/values: regular and irregular text mean the same", "[vcd][unit]") {
    const std::string want = "#0 0=1 1=101 #7 0=0 2=1.5 1=x1 3=1 #9 0=z ";
    const std::string regular =
        "#0\n1!\nb101 \"\n#7\n0!\nr1.5 #\nbx1 \"\n"
        "b1 wide_one_of_long_id\n#9\nz!\n";
    CHECK(stream(kHeader + regular) == want);
    CHECK(stream(std::string(kHeader) +
                 "#0 1! b101\t\" #7 0!\r\nr1.5\n# bx1 \" $comment #8 0! $end #7 "
                 "b1 wide_one_of_long_id\n\n#9 z!") == want);
    for (const Simd simd : available_simd()) {
        ReaderOptions options;
        options.simd = simd;
        options.check_all = true;
        CHECK(stream(kHeader + regular, options) == want);
    }
}

TEST_CASE("vcd/values: bits are decoded as VPI has them", "[vcd][unit]") {
    struct Row {
        std::string text;
        std::uint32_t bits;
        Decoded how;
        std::uint64_t value;
        std::uint64_t unknown;
    };
    const auto row = GENERATE(values<Row>({
        {"1", 1, Decoded::Known, 1, 0},
        {"101", 8, Decoded::Known, 5, 0},
        {"x", 4, Decoded::Unknown, 15, 15},
        {"Z1", 4, Decoded::Unknown, 1, 14},
        {"0x1z", 4, Decoded::Unknown, 6, 5},
        {"00000000011111111", 12, Decoded::Known, 255, 0},
        {"1000000000000000000000000000000000000000000000000000000000000001", 64, Decoded::Known,
         0x8000000000000001, 0},
        {"11", 1, Decoded::Bad, 0, 0},
        {"012", 8, Decoded::Bad, 0, 0},
        {"", 8, Decoded::Bad, 0, 0},
        {"h", 1, Decoded::Known, 1, 0},
        {"-L", 2, Decoded::Unknown, 2, 2},
    }));
    const std::string padded = "        " + row.text;
    Change change;
    change.data = padded.data() + 8;
    change.length = static_cast<std::uint32_t>(row.text.size());
    std::uint64_t value = 0;
    std::uint64_t unknown = 0;
    CAPTURE(row.text, row.bits);
    CHECK(decode(change, row.bits, value, unknown) == row.how);
    if (row.how == Decoded::Bad) return;
    CHECK(value == row.value);
    CHECK(unknown == row.unknown);
    CHECK(decode_words(change, row.bits, &value, &unknown) == row.how);
    CHECK(value == row.value);
    CHECK(unknown == row.unknown);
}

TEST_CASE("vcd/errors: what is wrong is named with its place", "[vcd][unit]") {
    struct Row {
        std::string text;
        std::string error;
    };
    const std::string h = kHeader;
    const auto row = GENERATE_COPY(values<Row>({
        {"", "t.vcd:1:1: the file ends in its header; expected $enddefinitions (byte 0)"},
        {"$var wire", "t.vcd:1:10: the file ends before the size of the variable (byte 9)"},
        {"$scope module a $end 5", "t.vcd:1:22: expected a keyword of the header"},
        {"$upscope $end", "t.vcd:1:1: $upscope without an open $scope"},
        {"$timescale 3 ns $end", "t.vcd:1:17: expected a timescale such as 1ns"},
        {"$var wire 0 ! a $end", "t.vcd:1:11: expected a size of 1 to 67108864 bits"},
        {"$var wire 99999999999 ! a $end", "t.vcd:1:11: expected the size of the variable"},
        {"\x01", "t.vcd:1:1: a control character (code 1)"},
        {h + "#0\n1!\n#x\n", "t.vcd:11:1: expected '#' and a time of at most 64 bits, found '#x'"},
        {h + "#0\n#18446744073709551616\n", "t.vcd:10:1: expected '#' and a time"},
        {h + "#1\n1\n", "t.vcd:10:1: expected the identifier right behind the value '1'"},
        {h + "#1\nb101", "t.vcd:10:1: expected the identifier behind the value 'b101'; the file"},
        {h + "#1\n0!\n7!\n", "t.vcd:11:1: expected a time, a value change or a keyword"},
        {h + "#1\n $comment no end\n", "t.vcd:11:1: the file ends before the $end of $comment"},
        {h + "#1\n$var wire 1 ' late $end\n", "t.vcd:10:1: $var behind $enddefinitions"},
        {h + "#1\n0!\n0\x02\n", "t.vcd:11:1: expected the identifier"},
    }));
    CAPTURE(row.text);
    const std::string got = stream(row.text);
    CHECK(got.find(row.error) != std::string::npos);
    CHECK(got == stream(row.text, {.simd = Simd::Scalar}));
    INFO(got);
    CHECK(got.find("(byte ") != std::string::npos);
}

TEST_CASE("vcd/errors: every change is looked at where asked for", "[vcd][unit]") {
    const std::string text = std::string(kHeader) + "#1\n0!\n1undeclared\nb111111111 \"\n";
    CHECK(stream(text) == "#1 0=0 1=111111111 ");
    CHECK(stream(text, {.check_all = true}) ==
          "#1 0=0 | t.vcd:11:1: a change of 'undeclared', which no $var declares (byte " +
              std::to_string(text.find("1undeclared")) + ")");
    const std::string wide = std::string(kHeader) + "#1\nb111111111 \"\n";
    CHECK(stream(wide, {.check_all = true}).find("expected a value of 8 bits") !=
          std::string::npos);
}

TEST_CASE("vcd/growing: a file that is still written is followed", "[vcd][unit]") {
    const std::string path = temporary("growing.vcd");
    std::ofstream file(path);
    file << kHeader << "#0\n1!\n#1\n0" << std::flush;
    ReaderOptions options;
    options.growing = true;
    auto reader = Reader::open(path, options);
    REQUIRE(reader);
    (*reader)->select_all();
    const auto read = [&] {
        std::string out;
        for (;;) {
            auto batch = (*reader)->next();
            REQUIRE(batch);
            if (batch->empty()) return out;
            for (const Change& c : *batch)
                out += c.signal == Change::kTime ? "#" + std::to_string(c.time)
                                                 : std::string(c.text());
        }
    };
    CHECK(read() == "#01#1");
    CHECK(read().empty());
    file << "!\nb1010" << std::flush;
    CHECK(read() == "0");
    file << "1 \"\n#2" << std::flush;
    CHECK(read() == "10101");
    file << "0\n" << std::flush;
    CHECK(read() == "#20");
    std::filesystem::remove(path);
}

TEST_CASE("vcd/gzip: a damaged or short file is an error", "[vcd][unit]") {
    const std::string path = temporary("packed.vcd.gz");
    std::string text = std::string(kHeader) + "#0\n";
    for (int i = 0; i < 20000; ++i)
        text += "#" + std::to_string(i + 1) + "\n" + (i % 3 == 0 ? "1!\n" : "0!\n");
    gzFile packed = gzopen(path.c_str(), "wb");
    REQUIRE(gzwrite(packed, text.data(), static_cast<unsigned>(text.size())) ==
            static_cast<int>(text.size()));
    gzclose(packed);
    const auto history = read_history(path, "tb.clk");
    REQUIRE(history);
    CHECK(history->times.size() == 20000);
    CHECK(history->values[2] == "0");
    const auto size = std::filesystem::file_size(path);
    std::filesystem::resize_file(path, size - 9);
    const auto cut = read_history(path, "tb.clk");
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == Errc::Truncated);
    std::filesystem::remove(path);
    CHECK(read_history(path, "tb.clk").error().code == Errc::NotFound);
}

TEST_CASE("vcd/gzip: the same as plain, whatever the members; damage gives an error",
          "[vcd][property]") {
    const std::string path = temporary("members.vcd.gz");
    std::string text = std::string(kHeader) + "#0\n";
    for (int i = 0; i < 400000; ++i)  // more than is decompressed ahead
        text +=
            "#" + std::to_string(i + 1) + "\n" + (std::int64_t{i} * i % 7 < 3 ? "1!\n" : "0!\n");
    const std::string plain = temporary("plain.vcd");
    std::ofstream(plain) << text;
    const auto want = read_history(plain, "tb.clk");
    REQUIRE(want);
    for (const std::size_t member : {text.size(), text.size() / 3, std::size_t{50000}}) {
        std::filesystem::remove(path);
        for (std::size_t at = 0; at < text.size(); at += member) {
            gzFile packed = gzopen(path.c_str(), "ab1");
            const std::string part = text.substr(at, member);
            gzwrite(packed, part.data(), static_cast<unsigned>(part.size()));
            gzclose(packed);
        }
        std::uint64_t watched = 0;
        ReaderOptions options;
        options.watch = [&](std::span<const char> bytes) { watched += bytes.size(); };
        auto reader = Reader::open(path, options);
        REQUIRE(reader);
        for (;;) {
            auto batch = (*reader)->next();
            REQUIRE(batch);
            if (batch->empty()) break;
        }
        CHECK(watched == std::filesystem::file_size(path));
        CHECK((*reader)->bytes_read() == text.size());
        const auto got = read_history(path, "tb.clk");
        REQUIRE(got);
        CHECK(got->times == want->times);
        CHECK(got->values == want->values);
        // Left in the middle: the thread ends with the reader.
        auto left = Reader::open(path);
        REQUIRE(left);
    }
    // The last file, with a byte changed: what is wrong is told, with the file.
    std::ifstream in(path, std::ios::binary);
    const std::string good{std::istreambuf_iterator<char>(in), {}};
    const CounterRandom random(3, 0);
    int found = 0;
    for (std::uint64_t k = 0; k < 60; ++k) {
        std::string bad = good;
        char& byte = bad[random.below(static_cast<std::uint32_t>(bad.size()), k, 0)];
        byte = static_cast<char>(byte ^ (1 << random.below(8, k, 1)));
        std::ofstream(path, std::ios::binary) << bad;
        const auto got = read_history(path, "tb.clk");
        if (got) {
            CHECK(got->values == want->values);  // a bit of a header that says nothing
            continue;
        }
        ++found;
        CHECK(got.error().where.find("members.vcd.gz") != std::string::npos);
    }
    CHECK(found > 50);
    std::filesystem::remove(path);
    std::filesystem::remove(plain);
}

TEST_CASE("vcd/memory: a long value needs room for itself only", "[vcd][unit]") {
    const std::uint32_t bits = 300000;
    std::string text = "$var wire " + std::to_string(bits) +
                       " ! w $end $var wire 1 ? c $end $enddefinitions $end\n#0\n";
    text += "b" + std::string(bits, '1') + " !\n#1\nb" + std::string(bits, 'x') + " !\n1?\n";
    text += "$comment " + std::string(1000000, '.') + " $end #2 0?\n";
    const std::size_t buffer = GENERATE(4096U, 65536U);
    const std::string got = stream(text, {.buffer_bytes = buffer});
    CHECK(got ==
          "#0 0=" + std::string(bits, '1') + " #1 0=" + std::string(bits, 'x') + " 1=1 #2 1=0 ");
}

TEST_CASE("vcd/selection: what is not selected is passed over", "[vcd][unit]") {
    // Many codes, of all lengths, with look-alikes of times and values.
    std::string text = "$scope module m $end\n";
    std::vector<std::string> ids;
    for (int i = 0; i < 4000; ++i) {
        std::string id;
        for (int n = i; id.empty() || n > 0; n /= 90) id += static_cast<char>('!' + n % 90);
        if (id[0] == '$') id += "end_";
        if (i % 7 == 0) id += "_a_long_one";
        ids.push_back(id);
        text += "$var wire 4 " + id + " n" + std::to_string(i) + " $end\n";
    }
    text += "$enddefinitions $end\n";
    for (int t = 0; t < 5; ++t) {
        text += "#" + std::to_string(t) + "\n";
        for (const std::string& id : ids) text += (t % 2 ? "b10 " : "1") + id + "\n";
    }
    const std::uint32_t stride = GENERATE(1U, 2U, 3U, 17U, 1000U);
    for (const Simd simd : available_simd()) {
        auto reader = Reader::from_memory(text, "t.vcd", {.simd = simd});
        REQUIRE(reader);
        std::vector<std::uint32_t> wanted;
        for (std::uint32_t i = 0; i < ids.size(); i += stride) wanted.push_back(i);
        (*reader)->select(wanted);
        std::vector<std::uint32_t> got;
        for (;;) {
            auto batch = (*reader)->next();
            REQUIRE(batch);
            if (batch->empty()) break;
            for (const Change& c : *batch)
                if (c.signal < ids.size()) got.push_back(c.signal);
        }
        std::vector<std::uint32_t> want;
        for (int t = 0; t < 5; ++t) want.insert(want.end(), wanted.begin(), wanted.end());
        CHECK(got == want);
    }
}

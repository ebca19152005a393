// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/recording.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstring>

#include "damaged_files.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/bridge/aer.hpp"
#include "spikelock/bridge/npy.hpp"
#include "spikelock/bridge/sonata.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
/// A trace with spikes or counts, an integer and a floating-point field.
trace::ExecutionTrace random_trace(std::uint64_t seed, bool counts) {
    const CounterRandom random(seed, 3);
    trace::Shape shape;
    shape.n_neurons = 1 + random.below(70, 0);
    shape.dt = 1e-3;
    shape.counts = counts;
    shape.fields = {{"v", trace::FieldClass::State, 12, true, false, 4, 2},
                    {"x", trace::FieldClass::State, 64, true, true, 0, 8}};
    const std::uint32_t steps = 1 + random.below(40, 1);
    const std::size_t n = shape.n_neurons;
    std::vector<std::uint64_t> spikes(steps * shape.spike_words());
    std::vector<std::uint16_t> count(counts ? steps * n : 0);
    std::vector<std::int16_t> v(steps * n);
    std::vector<double> x(steps * n);
    for (std::size_t i = 0; i < steps * n; ++i) {
        const bool fires = random.below(5, i, 1) == 0;
        if (fires) spikes[i / n * shape.spike_words() + i % n / 64] |= 1ULL << (i % n % 64);
        if (counts && fires) count[i] = static_cast<std::uint16_t>(1 + random.below(3, i, 2));
        v[i] = static_cast<std::int16_t>(random.below(4096, i, 3)) - 2048;
        x[i] = random.uniform(i, 4) - 0.5;
    }
    trace::BlockView block;
    block.n_steps = steps;
    block.spikes = spikes;
    block.counts = count;
    block.fields = {std::as_bytes(std::span(v)), std::as_bytes(std::span(x))};
    trace::ExecutionTrace made(shape, 0);
    made.append(block);
    return made;
}

bool same_spikes(const trace::ExecutionTrace& a, const trace::ExecutionTrace& b) {
    if (a.n_neurons() != b.n_neurons() || a.n_steps() != b.n_steps()) return false;
    const auto x = a.view();
    const auto y = b.view();
    return std::ranges::equal(x.spikes, y.spikes) &&
           (x.counts.empty() || y.counts.empty() || std::ranges::equal(x.counts, y.counts));
}
}  // namespace

TEST_CASE("bridge/recording: what is written is read back", "[bridge][property]") {
    const auto trial = GENERATE(range(0U, 12U));
    CAPTURE(trial);
    const TempFolder folder;
    const trace::ExecutionTrace made = random_trace(Catch::getSeed() + trial, trial % 2 == 1);
    const auto n = static_cast<std::uint32_t>(made.n_neurons());
    SECTION("CSV") {
        const std::string path = folder.file("t.csv");
        REQUIRE(write_recording(path, RecordingFormat::Csv, made));
        REQUIRE(*recording_format(path) == RecordingFormat::Csv);
        const auto got = read_recording(path);
        REQUIRE(got);
        CHECK(same_spikes(got->trace, made));
        CHECK_FALSE(got->dt_known);
        for (std::uint64_t t = 0; t < made.n_steps(); ++t) {
            for (std::uint32_t i = 0; i < n; ++i) {
                REQUIRE(got->trace.value(0, t, i) == made.value(0, t, i));
                REQUIRE(got->trace.value(1, t, i) == made.value(1, t, i));
            }
        }
    }
    SECTION("NPY, each way up") {
        const bool turned = GENERATE(false, true);
        const std::string path = folder.file("t.npy");
        for (const std::string field : {"spike", "v", "x"}) {
            REQUIRE(write_recording(path, RecordingFormat::Npy, made, {field, turned}));
            RecordingOptions options;
            options.field = field;
            options.transposed = turned;
            options.dt = 1e-3;
            const auto got = read_recording(path, options);
            REQUIRE(got);
            REQUIRE(got->trace.n_neurons() == n);
            CHECK(got->dt_known);
            CHECK(got->trace.dt() == 1e-3);
            if (field == "spike") {
                CHECK(same_spikes(got->trace, made));
                continue;
            }
            const auto f = static_cast<std::size_t>(made.shape().field_index(field));
            CHECK(std::ranges::equal(got->trace.view().fields[0], made.view().fields[f]));
        }
        const auto missing = write_recording(path, RecordingFormat::Npy, made, {"w", false});
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == Errc::NotFound);
    }
    SECTION("SONATA") {
        const std::string path = folder.file("t.h5");
        REQUIRE(write_recording(path, RecordingFormat::Sonata, made));
        REQUIRE(*recording_format(path) == RecordingFormat::Sonata);
        const auto file = read_sonata(path);
        REQUIRE(file);
        REQUIRE(file->reports.size() == 2);
        CHECK(file->spikes.size() == 1);
        const SonataReport& x = file->reports[1];
        CHECK(x.variable == "x");
        CHECK(x.n_steps() == made.n_steps());
        for (std::size_t i = 0; i < x.data.size(); ++i) {
            REQUIRE(x.data[i] == made.value(1, i / n, static_cast<std::uint32_t>(i % n)));
        }
        // What the reading child answers survives the way, and nothing else does.
        const std::string packed = pack_sonata(*file);
        REQUIRE(unpack_sonata(packed));
        CHECK(pack_sonata(*unpack_sonata(packed)) == packed);
        for (std::size_t cut = 0; cut < packed.size(); cut += 1 + packed.size() / 50) {
            REQUIRE_FALSE(unpack_sonata(std::string_view(packed).substr(0, cut)));
        }
        CHECK_FALSE(unpack_sonata(packed + "x"));
    }
}

TEST_CASE("bridge/recording: tables say what is wrong with them, and where", "[bridge][unit]") {
    const auto message = [](std::string_view text, const RecordingOptions& options = {}) {
        const auto got = parse_recording_csv(text, "t.csv", options);
        return got ? std::string("read") : got.error().text();
    };
    RecordingOptions columns;
    columns.columns = {"-", "v", "spike"};
    CHECK(message("0,1.5,0\n1,2.5,1\n", columns) == "read");
    CHECK(
        message("0,1.5,0\n1,2.5,1\n") ==
        "t.csv: the table has no header: say what its 3 columns are, such as --columns -,v,spike, "
        "or what all of them are, such as --field v");
    CHECK(message("0,1\n1,0\n") == "read");  // nothing but spikes
    CHECK(message("0,1.5,0.5\n", columns) ==
          "t.csv:1: column 3: expected 0, 1 or how often it fired, found 0.5");
    CHECK(message("0,1\n", columns) == "t.csv: 3 columns are named, the table has 2");
    CHECK(message("timestep,neuron\n0,1\n3,-1\n") ==
          "t.csv:3: column 2: expected a whole number that is 0 or more");
    CHECK(message("timestep,v\n4,0\n6,0\n") == "t.csv:3: column 1: timesteps must go up by one");
    CHECK(message("v[0],v[0]\n1,2\n") == "t.csv: column 'v[0]' stands twice");
    CHECK(message("v[x]\n1\n") == "t.csv: column 'v[x]': expected NAME or NAME[neuron]");
    CHECK(message("v,spike\n") == "t.csv: a table without rows");
    CHECK(message("timestep,neuron\n1000000000,100000\n").find("more than 2^27 values") !=
          std::string::npos);
    const auto wide = parse_recording_csv("timestep,v[0],v[2],spike[1]\n5,1,2,0\n6,3,4,2\n", "t");
    REQUIRE(wide);
    CHECK(wide->trace.first_step() == 5);
    CHECK(wide->trace.n_neurons() == 3);
    CHECK(wide->trace.value(0, 6, 2) == 4.0);
    CHECK(wide->trace.valid(0, 6, 2));
    CHECK_FALSE(wide->trace.valid(0, 6, 1));  // no column shows it
    CHECK(wide->trace.view().counts[4] == 2);
}

TEST_CASE("bridge/aer: events are read, damage is told with its byte", "[bridge][unit]") {
    const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
    const std::string two = std::string("#!AER-DAT2.0\r\n# c\r\n") +
                            std::string("\x00\x00\x01\x02\x00\x00\x00\x0a", 8) +
                            std::string("\xff\x00\x00\x00\x00\x00\x00\x0b", 8);
    const auto file = parse_aedat2(bytes(two), "f");
    REQUIRE(file);
    CHECK(file->events == std::vector<AerEvent>{{10, 0x102}, {11, 0xff000000}});
    CHECK(parse_aedat2(bytes(two.substr(0, two.size() - 1)), "f").error().text() ==
          "f: byte 27: the last event is cut: events have 8 bytes");
    CHECK(parse_aedat2(bytes("#!AER-DAT2.0"), "f").error().code == Errc::Truncated);
    CHECK(parse_aedat2(bytes("#!AER-DAT1"), "f").error().code == Errc::BadFormat);

    const auto packet = [](std::uint16_t type, std::int32_t overflow,
                           std::initializer_list<std::uint32_t> data) {
        std::string out;
        const auto put = [&](std::uint32_t value, std::size_t size) {
            for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
        };
        const auto number = static_cast<std::uint32_t>(data.size() / 2);
        put(type, 2);
        put(1, 2);
        put(8, 4);
        put(4, 4);
        put(static_cast<std::uint32_t>(overflow), 4);
        for (int i = 0; i < 3; ++i) put(number, 4);
        for (const std::uint32_t word : data) put(word, 4);
        return out;
    };
    const std::string head = "#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n";
    const std::string three = head + packet(12, 0, {7U << 12 | 1, 5, 8U << 12, 6}) +
                              packet(0, 0, {1, 1}) + packet(12, 1, {9U << 12 | 1, 3});
    const auto spikes = parse_aedat3(bytes(three), "f");
    REQUIRE(spikes);
    CHECK(spikes->kind == AerKind::Spike);
    CHECK(spikes->events ==
          std::vector<AerEvent>{{5, 7U << 12}, {(std::int64_t{1} << 31) + 3, 9U << 12}});
    CHECK(spikes->invalid == 1);
    CHECK(spikes->other == 1);
    CHECK(parse_aedat3(bytes(three + packet(1, 0, {1, 1})), "f").error().code == Errc::Unsupported);
    CHECK(parse_aedat3(bytes(three.substr(0, three.size() - 1)), "f").error().message ==
          "a packet of 1 events of 8 bytes, but 7 bytes are left");
    for (std::size_t cut = 0; cut < three.size(); ++cut) {
        const auto part = parse_aedat3(bytes(three.substr(0, cut)), "f");
        if (part) CHECK(part->events.size() < 2);
    }
    const auto text = parse_aer_text("# t a\n10 3\n\n20\t4\n", "f");
    REQUIRE(text);
    CHECK(text->events == std::vector<AerEvent>{{10, 3}, {20, 4}});
    CHECK(parse_aer_text("10 3\n-1 4\n", "f").error().text() ==
          "f:2:1: expected a timestamp in microseconds");
    CHECK(parse_aer_text("10 4294967296\n", "f").error().text() ==
          "f:1:4: expected an address, 0..4294967295");
}

TEST_CASE("bridge/sonata: mutated files give values or errors that name them",
          "[bridge][property]") {
    const TempFolder folder;
    const std::string path = folder.file("t.h5");
    REQUIRE(write_recording(path, RecordingFormat::Sonata, random_trace(1, true)));
    const std::string whole = slurp(path);
    check_damaged_files(whole, 1e-3, [](const std::string& p) { return read_sonata(p); });
}

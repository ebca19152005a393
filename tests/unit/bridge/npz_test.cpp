// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/npz.hpp"

#include <zlib.h>

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>

#include "spikelock/base/random.hpp"
#include "spikelock/bridge/recording.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
std::string fixture(const std::string& name) {
    return std::string(SPIKELOCK_BRIDGE_FIXTURES) + "/" + name;
}

std::vector<std::string> lines_of(const std::string& name) {
    std::ifstream file(fixture(name));
    REQUIRE(file);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

/// A file of an archive that is made here, byte by byte.
struct Made {
    std::string name;
    std::string bytes;
    std::uint16_t method = 0;
    std::string packed = bytes;
    std::uint32_t size = static_cast<std::uint32_t>(bytes.size());
    std::uint16_t flags = 0;
    std::uint32_t crc_change = 0;
};

std::string number(std::uint64_t value, std::size_t size) {
    std::string out;
    for (; out.size() < size; value >>= 8) out += static_cast<char>(value);
    return out;
}

std::string zip_of(const std::vector<Made>& files) {
    std::string out;
    std::string directory;
    for (const Made& f : files) {
        const auto crc = static_cast<std::uint32_t>(
            crc32_z(0, reinterpret_cast<const Bytef*>(f.bytes.data()), f.bytes.size()));
        const std::string common = number(20, 2) + number(f.flags, 2) + number(f.method, 2) +
                                   number(0, 4) + number(crc ^ f.crc_change, 4) +
                                   number(f.packed.size(), 4) + number(f.size, 4) +
                                   number(f.name.size(), 2) + number(0, 2);
        directory += "PK\1\2" + number(20, 2) + common + std::string(10, '\0') +
                     number(out.size(), 4) + f.name;
        out += "PK\3\4" + common + f.name + f.packed;
    }
    const std::size_t at = out.size();
    return out + directory + "PK\5\6" + number(0, 4) + number(files.size(), 2) +
           number(files.size(), 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

std::string npy_of(std::vector<std::size_t> shape, std::vector<double> values) {
    const auto bytes = format_npy(NdArray::of<double>(std::move(shape), values));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<std::vector<NamedArray>> parse(const std::string& bytes,
                                      std::span<const std::string> wanted = {}) {
    return parse_npz(std::as_bytes(std::span(bytes)), "f.npz", wanted);
}

std::string message(const std::string& bytes) {
    const auto got = parse(bytes);
    return got ? std::string("read") : got.error().text();
}
}  // namespace

TEST_CASE("bridge/npz: arrays are those that numpy put into the archive", "[bridge][unit]") {
    const std::vector<std::string> names = lines_of("npz_arrays.txt");
    for (const std::string& archive : lines_of("npz.txt")) {
        CAPTURE(archive);
        const auto arrays = read_npz(fixture(archive + ".npz"));
        REQUIRE(arrays);
        REQUIRE(arrays->size() == names.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
            CAPTURE(names[i]);
            const NamedArray& got = (*arrays)[i];
            CHECK(got.name == names[i]);
            const auto expected = read_npy(fixture(names[i] + ".plain.npy"));
            REQUIRE(expected);
            CHECK(got.array.type == expected->type);
            CHECK(got.array.shape == expected->shape);
            CHECK(got.array.bytes == expected->bytes);
        }
    }
}

TEST_CASE("bridge/npz: a broken archive is told with file and byte", "[bridge][unit]") {
    const std::string one = npy_of({2, 1}, {1, 2});
    CHECK(message(zip_of({{"v.npy", one}})) == "read");
    CHECK(message(zip_of({{"README", "text"}})) ==
          "f.npz: a ZIP archive without an array (NAME.npy)");
    CHECK(message(zip_of({{"v.npy", one}, {"v.npy", one}})) == "f.npz: two arrays of the name 'v'");
    CHECK(message(zip_of({{"v.npy", one, 0, one, 9}})) ==
          "f.npz: byte 0: 'v.npy': stored, but of another size than the directory says");
    CHECK(message(zip_of({{"v.npy", one, 12}})) ==
          "f.npz: byte 0: 'v.npy': compression method 12, expected stored or deflated");
    CHECK(message(zip_of({{"v.npy", one, 8, "\7", 9}})) ==
          "f.npz: byte 0: 'v.npy': damaged: invalid block type");
    CHECK(message(zip_of({{"v.npy", one, 8, "\3", 9}})) ==
          "f.npz: byte 0: 'v.npy': the packed data end early");
    CHECK(message(zip_of({{"v.npy", one, 8, std::string("\3\0", 2), 9}})) ==
          "f.npz: byte 0: 'v.npy': smaller than the directory says");
    CHECK(message(zip_of({{"v.npy", one, 8, std::string("\3\0\0", 3), 0}})) ==
          "f.npz: byte 0: 'v.npy': bytes after the packed data");
    CHECK(message(zip_of({{"v.npy", one, 0, one, static_cast<std::uint32_t>(one.size()), 0, 1}})) ==
          "f.npz: byte 0: 'v.npy': its CRC-32 does not match: damaged");
    CHECK(message(zip_of({{"a", "text"},
                          {"v.npy", one, 0, one, static_cast<std::uint32_t>(one.size()), 1}}))
              .ends_with(": an encrypted file"));
    CHECK(message(zip_of({{"a", "text"}, {"v.npy", one.substr(0, 90)}})) ==
          "f.npz: v.npy: byte 90: header ends early: expected 128 bytes");
    const std::string sound = zip_of({{"a.npy", one}, {"b.npy", one}});
    CHECK(message(sound.substr(0, sound.size() - 1)) ==
          "f.npz: byte " + std::to_string(sound.size() - 1) +
              ": no directory at the end of the ZIP archive: it is cut");
    // Other names, and an array that is not read at all.
    const std::vector<std::string> names = {"-", "w"};
    const auto named = parse(zip_of({{"a.npy", "no array"}, {"b.npy", one}}), names);
    REQUIRE(named);
    REQUIRE(named->size() == 1);
    CHECK((*named)[0].name == "w");
    CHECK(parse(sound, std::vector<std::string>{"w"}).error().text() ==
          "f.npz: 1 columns are named, the file has 2 arrays");
}

TEST_CASE("bridge/npz: cut and mutated archives give arrays or errors that name them",
          "[bridge][property]") {
    const std::string name = GENERATE("stored", "deflated", "zip64");
    CAPTURE(name);
    const std::string whole = slurp(fixture(name + ".npz"));
    const auto intact = parse(whole);
    REQUIRE(intact);
    const CounterRandom draw(Catch::getSeed(), 5);
    for (std::uint64_t trial = 0; trial < 60; ++trial) {
        CAPTURE(trial);
        const auto cut = parse(whole.substr(0, draw.bits(trial) % whole.size()));
        REQUIRE_FALSE(cut);
        REQUIRE(cut.error().where.starts_with("f.npz: byte "));
    }
    for (std::uint64_t trial = 0; trial < 300; ++trial) {
        CAPTURE(trial);
        std::string bytes = whole;
        // Half of the changes hit the directory at the end.
        const std::size_t reach = trial % 2 == 0 ? bytes.size() : bytes.size() / 20;
        bytes[bytes.size() - 1 - draw.bits(trial, 1) % reach] =
            static_cast<char>(draw.bits(trial, 2));
        const auto got = parse(bytes);
        if (!got) {
            REQUIRE(got.error().where.starts_with("f.npz"));
            continue;
        }
        // The checksums let only names change, and what a directory says besides.
        REQUIRE(got->size() <= intact->size());
        for (const NamedArray& a : *got) {
            REQUIRE(std::ranges::any_of(*intact, [&](const NamedArray& other) {
                return other.array.shape == a.array.shape && other.array.bytes == a.array.bytes;
            }));
        }
    }
}

TEST_CASE("bridge/recording: the arrays of an NPZ file are spikes and fields by their names",
          "[bridge][unit]") {
    const TempFolder folder;
    const std::string path = folder.file("t.npz");
    const auto text = [&](const std::vector<Made>& files, const RecordingOptions& options = {}) {
        spill(path, zip_of(files));
        const auto got = read_recording(path, options);
        return got ? std::string("read") : got.error().text().substr(path.size() + 2);
    };
    const std::string spikes = npy_of({3, 2}, {0, 1, 2, 0, 0, 0});
    const std::string v = npy_of({3, 2}, {1, 2, 3, 4, 5, 6});
    spill(path, zip_of({{"dt.npy", npy_of({}, {1e-4})}, {"spikes.npy", spikes}, {"v.npy", v}}));
    CHECK(*recording_format(path) == RecordingFormat::Npz);
    const auto got = read_recording(path);
    REQUIRE(got);
    CHECK(got->format == RecordingFormat::Npz);
    CHECK(got->dt_known);
    CHECK(got->trace.dt() == 1e-4);
    CHECK(got->trace.n_steps() == 3);
    CHECK(got->trace.view().counts[2] == 2);
    CHECK(got->trace.value(0, 2, 1) == 6.0);
    RecordingOptions turned;
    turned.transposed = true;
    REQUIRE(read_recording(path, turned));
    CHECK(read_recording(path, turned)->trace.value(0, 1, 2) == 6.0);
    RecordingOptions dt;
    dt.dt = 1e-3;
    CHECK(read_recording(path, dt).error().text() ==
          path + ": --dt 0.001 s, but dt of the file is 0.0001 s");

    // One array without a name of its own is read as an NPY file is.
    CHECK(text({{"arr_0.npy", v}}) == "read");
    CHECK(read_recording(path)->trace.shape().field_index("v") == 0);
    CHECK(text({{"arr_0.npy", spikes}, {"arr_1.npy", v}}) ==
          "the 2 arrays have no names of their own: say what they are, such as --columns spike,v");
    RecordingOptions columns;
    columns.columns = {"spike", "v"};
    CHECK(text({{"arr_0.npy", spikes}, {"arr_1.npy", v}}, columns) == "read");
    CHECK(text({{"spike.npy", spikes}, {"v.npy", npy_of({2, 3}, {1, 2, 3, 4, 5, 6})}}) ==
          "spike is of shape (3, 2), v of (2, 3); --columns leaves out what is named '-'");
    CHECK(text({{"spike.npy", spikes}, {"w.npy", npy_of({1, 2, 1}, {1, 2})}}) ==
          "w: an array of 3 dimensions: expected (timesteps, neurons); --columns leaves out what "
          "is named '-'");
    CHECK(text({{"spikes.npy", v}, {"spike.npy", v}}) == "array 'spike' stands twice");
    CHECK(text({{"spikes.npy", npy_of({1, 1}, {0.5})}, {"v.npy", npy_of({1, 1}, {0.5})}})
              .starts_with("spikes: spikes at row 0, column 0: expected 0, 1 or how often"));
}

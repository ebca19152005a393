// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "random_trace.hpp"
#include "store_helpers.hpp"

using namespace spikelock;
using namespace spikelock::trace;
using namespace spikelock::trace::test;

namespace {
void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The child of this process, 0 where there is none: the reader's is the only one. (Not every kernel
// lists a task's children.)
pid_t only_child() {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        if (std::atol(entry.path().filename().c_str()) == 0) continue;  // no process
        const std::string stat = bytes_of((entry.path() / "stat").string());
        const std::size_t name_end = stat.rfind(") ");  // then the state and the parent
        if (name_end != std::string::npos && stat.size() > name_end + 4 &&
            std::atol(stat.c_str() + name_end + 4) == ::getpid())
            return static_cast<pid_t>(std::atol(stat.c_str()));
    }
    return 0;
}

// Reads all there is; an error is fine, but it must name the file.
bool survives(const std::string& path) {
    ReaderOptions options;
    options.time_limit_s = 0.5;  // damage can send the HDF5 library round in circles
    auto reader = open_trace(path, options);
    if (!reader) return reader.error().where == path && !reader.error().message.empty();
    for (;;) {
        auto item = (*reader)->read(1000);
        if (!item) return item.error().where == path && !item.error().message.empty();
        if (std::holds_alternative<SourceEnd>(*item)) break;
    }
    if (const RecordedStimulus* applied = (*reader)->recorded_stimulus()) {
        const auto steps =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(applied->n_steps, 1000));
        const auto input = (*reader)->stimulus(applied->first_step, steps);
        if (!input) return input.error().where == path && !input.error().message.empty();
    }
    auto differences = (*reader)->expected_differences();
    return differences || differences.error().where == path;
}
}  // namespace

TEST_CASE("trace/bad_input: what is not a trace is refused by name", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const auto error = [&] {
        const auto reader = open_trace(path);
        return reader ? Error{Errc::Internal, "opened", path} : reader.error();
    };
    CHECK(error().code == Errc::NotFound);
    CHECK(error().text() == path + ": cannot open the trace: No such file or directory");
    write_file(path, "");
    CHECK(error().code == Errc::Truncated);
    CHECK(error().message == "empty file, expected a trace (HDF5)");
    write_file(path, "$date today $end\n");
    CHECK(error().code == Errc::BadFormat);
    CHECK(error().message == "not an HDF5 file, expected a trace recorded by spikelock");
    write_file(path, "\x89HDF\r\n\x1a\n and then nothing of the kind");
    CHECK(error().code == Errc::Truncated);
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    CHECK_FALSE(open_trace(path));
}

TEST_CASE("trace/bad_input: an HDF5 file of another kind is refused by name", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const auto python = [&](const std::string& code) {
        const std::string command =
            "/usr/bin/python3 -c \"import h5py; f = h5py.File('" + path + "', 'a'); " + code + "\"";
        REQUIRE(std::system(command.c_str()) == 0);
    };
    const auto message = [&] {
        const auto reader = open_trace(path);
        return reader ? std::string("opened") : reader.error().message;
    };
    python("f['x'] = 1");
    CHECK(message() ==
          "an HDF5 file, but not a trace: expected the attribute format = 'spikelock-trace'");
    record(RandomTrace{}, path, 100, 100);
    python("f.attrs['format_version'] = 2");
    CHECK(message() == "trace format version 2; this reader knows version 1");
    python("f.attrs['format_version'] = 1; f.attrs['n_steps'] = 101");
    CHECK(message() == "the datasets hold 100 timesteps, the attribute n_steps says 101");
    python("f.attrs['n_steps'] = 100; del f['trace/fields/v']; f['trace/fields/v'] = [1, 2]");
    CHECK(message() == "/trace/fields/v: expected the shape (n_steps, 70)");
    python("del f['trace/fields/v']");
    CHECK(message() == "expected a dataset /trace/fields/v");
}

TEST_CASE("trace/bad_input: a trace rewritten by another tool is still read", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    record(random, path, 500, 500);
    // Other chunks, another filter, another byte order: read through HDF5's own pipeline.
    const std::string command =
        "/usr/bin/python3 -c \"import h5py; f = h5py.File('" + path +
        "', 'a'); v = f['trace/fields/v'][:]; del f['trace/fields/v']; "
        "f.create_dataset('trace/fields/v', data=v.astype('>i2'), chunks=(33, 7), "
        "compression='gzip', fletcher32=True)\"";
    REQUIRE(std::system(command.c_str()) == 0);
    const auto got = load_trace(path, 0, 500);
    REQUIRE_OK(got);
    CHECK(equal(*got, random.make(0, 500)));
}

TEST_CASE("trace/bad_input: a truncated trace is an error that names it", "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.invalid_steps = random.masks = random.lists = true;
    record(random, path, 500, 500, {.chunk_steps = 100});
    const std::string whole = bytes_of(path);
    for (std::size_t part = 0; part < 20; ++part) {
        write_file(path, whole.substr(0, whole.size() * part / 20));
        CAPTURE(part);
        const auto reader = open_trace(path);
        REQUIRE_FALSE(reader);
        CHECK(reader.error().where == path);
        CHECK((reader.error().code == Errc::Truncated || reader.error().code == Errc::BadFormat));
    }
}

TEST_CASE("trace/bad_input: mutated traces give values or errors, never a crash",
          "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.counts = random.invalid_steps = random.masks = true;
    random.lists = GENERATE(false, true);
    random.n_neurons = 9;
    {
        auto writer =
            TraceWriter::create(path, random.shape(), {.side_bands = true, .chunk_steps = 50});
        REQUIRE_OK(writer);
        const std::vector<Sample> samples = {{"a", 0, 200, StartState::Clear}};
        const std::vector<ExpectedDifference> differences(20);
        REQUIRE((*writer)->add_samples(samples));
        REQUIRE((*writer)->append(random.make(0, 200).view()));
        if (random.lists) REQUIRE((*writer)->add_stimulus(random.stimulus(0, 200)));
        REQUIRE((*writer)->add_expected_differences(differences));
        REQUIRE((*writer)->close());
    }
    const std::string whole = bytes_of(path);
    for (std::uint64_t trial = 0; trial < (random.lists ? 200 : 150); ++trial) {
        const CounterRandom draw(Catch::getSeed(), trial);
        std::string bytes = whole;
        const std::uint32_t changes = 1 + draw.below(8, 0);
        for (std::uint32_t i = 0; i < changes; ++i) {
            const std::uint64_t at = draw.bits(1, i) % bytes.size();
            const std::uint64_t value = draw.bits(2, i);
            if (value % 4 == 0) {
                bytes[at] = static_cast<char>(value >> 8);
            } else if (value % 4 == 1) {
                bytes[at] = static_cast<char>(bytes[at] ^ (1 << ((value >> 8) % 8)));
            } else {
                // A stretch from elsewhere: pointers and sizes that make sense in the wrong place.
                const std::uint64_t from = draw.bits(3, i) % bytes.size();
                const std::size_t size = std::min<std::size_t>(
                    1 + value / 4 % 64, bytes.size() - std::max<std::size_t>(at, from));
                bytes.replace(at, size, whole.substr(from, size));
            }
        }
        write_file(path, bytes);
        CAPTURE(trial);
        REQUIRE(survives(path));
    }
}

TEST_CASE("trace/bad_input: a dead reading process is an error that names the file",
          "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    record(RandomTrace{}, path, 50'000, 5000, {.chunk_steps = 64});
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    // The only child of this process is the reader's.
    const pid_t child = only_child();
    REQUIRE(child > 0);
    REQUIRE(::kill(child, SIGKILL) == 0);
    auto item = (*reader)->read(100);
    while (item && !std::holds_alternative<SourceEnd>(*item)) item = (*reader)->read(100'000);
    REQUIRE_FALSE(item);
    CHECK(item.error().where == path);
    CHECK(item.error().message.find("died of signal 9") != std::string::npos);
    CHECK_FALSE((*reader)->read(1));  // and it stays one
}

TEST_CASE("trace/bad_input: the reading process ends with the reader", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    record(RandomTrace{}, path, 1000, 1000);
    for (int i = 0; i < 3; ++i) {
        auto a = open_trace(path);
        auto b = open_trace(path);
        REQUIRE_OK(a);
        REQUIRE_OK(b);
        REQUIRE((*a)->read(10));
    }
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no child is left
}

TEST_CASE("trace/bad_input: the reading process ends when its parent is killed", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    record(RandomTrace{}, path, 1000, 1000);
    int pipe[2];
    REQUIRE(::pipe(pipe) == 0);
    const pid_t parent = ::fork();
    if (parent == 0) {
        auto reader = open_trace(path);
        if (!reader) ::_exit(1);
        const pid_t child = only_child();
        if (::write(pipe[1], &child, sizeof child) < 0) ::_exit(1);
        ::kill(::getpid(), SIGKILL);
    }
    ::close(pipe[1]);
    pid_t child = 0;
    REQUIRE(::read(pipe[0], &child, sizeof child) == static_cast<ssize_t>(sizeof child));
    ::waitpid(parent, nullptr, 0);
    ::close(pipe[0]);
    REQUIRE(child > 0);
    // It ends within a moment; a zombie that init has not collected yet counts as ended.
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; ++i) {
        const std::string stat = bytes_of("/proc/" + std::to_string(child) + "/stat");
        gone = stat.empty() || stat.find(") Z") != std::string::npos;
        if (!gone) ::usleep(10'000);
    }
    CHECK(gone);
}

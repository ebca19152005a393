// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <csignal>
#include <ctime>
#include <filesystem>

#include "random_trace.hpp"
#include "store_helpers.hpp"

using namespace spikelock;
using namespace spikelock::trace;
using namespace spikelock::trace::test;

namespace {

// Records without end, as fast as it can, and reports how far it came through the pipe.
[[noreturn]] void record_forever(const RandomTrace& random, const std::string& path, int progress) {
    // The stretch is made once and repeated: making random numbers would take most of the time.
    const ExecutionTrace part = random.make(0, 1000);
    const std::vector<Sample> samples = {{"a", 0, 500, StartState::Clear},
                                         {"b", 500, 1'000'000, StartState::Keep}};
    StimulusBlock applied = random.stimulus(0, random.lists ? 1000 : 0);
    auto writer = TraceWriter::create(
        path, random.shape(), {.side_bands = true, .chunk_steps = 64, .flush_seconds = 0.002});
    if (!writer || !(*writer)->add_samples(samples)) ::_exit(1);
    for (std::uint64_t t = 0; t < 1'000'000; t += 1000) {
        BlockView block = part.view();
        block.first = t;
        if (!(*writer)->append(block)) ::_exit(2);
        applied.first = t;
        if (random.lists && !(*writer)->add_stimulus(applied)) ::_exit(2);
        if (::write(progress, &t, sizeof t) != static_cast<ssize_t>(sizeof t)) ::_exit(3);
    }
    ::_exit(0);
}

// What the undisturbed recording holds at its timesteps first .. first+steps-1.
bool equals_undisturbed(const ExecutionTrace& got, const RandomTrace& random) {
    const ExecutionTrace part = random.make(0, 1000);
    ExecutionTrace want(random.shape(), 0);
    while (want.n_steps() < got.n_steps()) {
        BlockView block = part.view();
        block.first = want.n_steps();
        want.append(block);
    }
    // Only whole repetitions can be appended; the rest is compared as far as it was recorded.
    const BlockView a = got.view();
    const BlockView b = want.view();
    const auto starts = [](auto longer, auto shorter) {
        return longer.size() >= shorter.size() &&
               std::equal(shorter.begin(), shorter.end(), longer.begin());
    };
    bool same = starts(b.spikes, a.spikes) && starts(b.counts, a.counts);
    // Lists end with the last timestep, not in the middle of what it had.
    const auto listed = [&](auto longer, auto shorter) {
        const auto late = [&](const auto& event) { return event.step < got.n_steps(); };
        return starts(longer, shorter) &&
               std::ranges::count_if(longer, late) == static_cast<std::ptrdiff_t>(shorter.size());
    };
    same = same && listed(b.events, a.events) && listed(b.taken, a.taken);
    for (std::size_t f = 0; f < a.fields.size(); ++f)
        same = same && starts(b.fields[f], a.fields[f]);
    for (std::uint64_t t = 0; t < got.n_steps(); ++t) {
        same = same && got.valid(t) == random.valid(t % 1000);
        for (std::uint32_t n = 0; n < got.n_neurons() && t % 97 == 0; ++n) {
            same = same && got.valid(1, t, n) == want.valid(1, t, n);
        }
    }
    return same;
}

void kill_and_recover(std::uint64_t trial) {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const CounterRandom draw(Catch::getSeed(), trial);
    RandomTrace random;
    random.counts = random.invalid_steps = random.masks = draw.below(2, 0) != 0;
    random.lists = draw.below(2, 2) != 0;
    CAPTURE(trial, random.counts, random.lists);
    int pipe[2];
    REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) record_forever(random, path, pipe[1]);
    ::close(pipe[1]);
    // At least one block, then a random time: the kill may fall anywhere, also into a flush.
    std::uint64_t reached = 0;
    REQUIRE(::read(pipe[0], &reached, sizeof reached) == static_cast<ssize_t>(sizeof reached));
    const timespec pause = {0, static_cast<long>(draw.below(40'000'000, 1))};
    ::nanosleep(&pause, nullptr);
    REQUIRE(::kill(child, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    std::uint64_t t = 0;
    while (::read(pipe[0], &t, sizeof t) == static_cast<ssize_t>(sizeof t)) reached = t;
    ::close(pipe[0]);

    REQUIRE(has_index(path));
    const auto recovered = recover_trace(path);
    REQUIRE_OK(recovered);
    CHECK(recovered->damaged == 0);
    CHECK_FALSE(recovered->complete);
    // Every whole chunk that had been appended is there.
    CHECK(recovered->n_steps >= (reached + 1000) / 64 * 64);
    CHECK_FALSE(has_index(path));
    CHECK_FALSE(std::filesystem::exists(path + ".recovering"));

    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    CHECK((*reader)->samples().size() == 2);
    CHECK((*reader)->attributes().contains("recovered"));
    SourceEnd end;
    const ExecutionTrace got = read_all(**reader, 5000, &end);
    CHECK(end.kind == EndKind::Incomplete);
    CHECK(got.n_steps() == recovered->n_steps);
    CHECK(equals_undisturbed(got, random));
    if (!random.lists) return;
    // Input is logged with the next chunk, so that at most one block of it is behind.
    const RecordedStimulus* applied = (*reader)->recorded_stimulus();
    if (applied == nullptr) {
        CHECK(got.n_steps() <= 1064);
        return;
    }
    CHECK(applied->n_steps <= got.n_steps());
    CHECK(applied->n_steps + 1064 >= got.n_steps());
    StimulusBlock want = random.stimulus(0, 1000);
    for (std::uint64_t first = 0; first + 1000 <= applied->n_steps; first += 1000) {
        const auto input = (*reader)->stimulus(first, 1000);
        REQUIRE_OK(input);
        want.first = first;
        REQUIRE(equal(*input, want, true));
    }
}
}  // namespace

TEST_CASE("trace/kill: a killed recording is recovered up to its last chunk", "[trace][property]") {
    kill_and_recover(GENERATE(range(0U, 20U)));
}

TEST_CASE("trace/kill: a hundred killed recordings are recovered", "[.][trace][slow]") {
    kill_and_recover(GENERATE(range(100U, 200U)));
}

TEST_CASE("trace/kill: timesteps that fill no chunk are recovered from the index",
          "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.counts = random.invalid_steps = random.masks = random.lists = GENERATE(false, true);
    const pid_t child = ::fork();
    if (child == 0) {
        // As a slow board would be recorded: a flush now and then, no chunk full for long.
        auto writer =
            TraceWriter::create(path, random.shape(), {.chunk_steps = 500, .flush_seconds = 1e9});
        if (!writer) ::_exit(1);
        for (std::uint64_t t = 0; t < 970; t += 10) {
            if (!(*writer)->append(random.make(t, 10).view())) ::_exit(2);
            if (t % 100 == 0 && !(*writer)->flush()) ::_exit(3);
        }
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    const auto recovered = recover_trace(path);
    REQUIRE_OK(recovered);
    CHECK(recovered->n_steps == 910);  // the last flush came after 910 timesteps
    const auto got = load_trace(path, 0, 1000);
    REQUIRE_OK(got);
    CHECK(equal(*got, random.make(0, 910)));
}

TEST_CASE("trace/kill: a chunk that is not what the index says ends the recovered part",
          "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    const pid_t child = ::fork();
    if (child == 0) {
        auto writer = TraceWriter::create(path, random.shape(), {.chunk_steps = 100});
        if (!writer || !(*writer)->append(random.make(0, 1000).view())) ::_exit(1);
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    // Somewhere in the second half of the file lie chunks of later timesteps.
    const auto size = std::filesystem::file_size(path);
    const int fd = ::open(path.c_str(), O_WRONLY);
    REQUIRE(fd >= 0);
    const std::uint64_t noise = 0xdeadbeef;
    REQUIRE(::pwrite(fd, &noise, sizeof noise, static_cast<off_t>(size * 3 / 4)) == 8);
    ::close(fd);
    const auto recovered = recover_trace(path);
    REQUIRE_OK(recovered);
    CHECK(recovered->damaged == 1);
    CHECK(recovered->n_steps >= 500);
    CHECK(recovered->n_steps < 1000);
    CHECK(recovered->n_steps % 100 == 0);
    const auto got = load_trace(path, 0, 1000);
    REQUIRE_OK(got);
    CHECK(equal(*got, random.make(0, static_cast<std::uint32_t>(recovered->n_steps))));
}

TEST_CASE("trace/kill: a damaged record ends the index", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    const pid_t child = ::fork();
    if (child == 0) {
        auto writer = TraceWriter::create(path, random.shape(), {.chunk_steps = 500});
        for (std::uint64_t t = 0; writer && t < 300; t += 100) {
            if (!(*writer)->append(random.make(t, 100).view()) || !(*writer)->flush()) ::_exit(1);
        }
        ::kill(::getpid(), SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    // Three records of 100 timesteps as they are; one bit of the second one changes.
    std::string index = bytes_of(path + ".index");
    const std::size_t at = index.size() / 2;
    index[at] = static_cast<char>(index[at] ^ 4);
    std::ofstream(path + ".index", std::ios::binary) << index;
    const auto recovered = recover_trace(path);
    REQUIRE_OK(recovered);
    CHECK(recovered->n_steps == 100);
    const auto got = load_trace(path, 0, 1000);
    REQUIRE_OK(got);
    CHECK(equal(*got, random.make(0, 100)));
}

TEST_CASE("trace/kill: recovery refuses what is not its index and leaves the trace alone",
          "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    record(random, path, 500, 500, {.chunk_steps = 100});
    CHECK(recover_trace(path).error().code == Errc::NotFound);
    const std::string before = bytes_of(path);
    SECTION("foreign bytes") {
        std::ofstream(path + ".index") << "something else";
        CHECK(recover_trace(path).error().code == Errc::BadFormat);
    }
    SECTION("the index of another trace") {
        const std::string other = folder.file("other.h5");
        const pid_t child = ::fork();
        if (child == 0) {
            RandomTrace different = random;
            different.seed = 2;
            auto writer = TraceWriter::create(other, random.shape(), {.chunk_steps = 50});
            if (!writer || !(*writer)->append(different.make(0, 500).view())) ::_exit(1);
            ::kill(::getpid(), SIGKILL);
        }
        ::waitpid(child, nullptr, 0);
        std::filesystem::copy_file(other + ".index", path + ".index");
        const auto result = recover_trace(path);
        REQUIRE_FALSE(result);
        CHECK(result.error().message ==
              "no chunk is where the index says: the index is of another file");
    }
    CHECK(bytes_of(path) == before);
    CHECK_FALSE(std::filesystem::exists(path + ".recovering"));
    CHECK_FALSE(std::filesystem::exists(path + ".recovering.index"));
}

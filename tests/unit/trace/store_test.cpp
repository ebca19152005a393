// SPDX-License-Identifier: Apache-2.0
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>

#include "random_trace.hpp"
#include "store_helpers.hpp"

using namespace spikelock;
using namespace spikelock::trace;
using namespace spikelock::trace::test;

TEST_CASE("trace/store: a trace is read back as it was written", "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const auto trial = GENERATE(range(0U, 14U));
    const CounterRandom draw(Catch::getSeed(), trial);
    auto one_of = [&,
                   use = std::uint64_t{0}](std::initializer_list<std::uint32_t> choices) mutable {
        return *(choices.begin() + draw.below(static_cast<std::uint32_t>(choices.size()), use++));
    };
    RandomTrace random;
    random.seed = draw.bits(99);
    random.n_neurons = one_of({1, 64, 70, 200});
    random.counts = one_of({0, 1}) != 0;
    random.invalid_steps = one_of({0, 1}) != 0;
    random.masks = one_of({0, 1}) != 0;
    random.lists = one_of({0, 1}) != 0;
    const std::uint32_t chunk = one_of({16, 100, 0});
    random.first = chunk;  // a trace need not start at 0
    const std::uint32_t steps = 1234;
    const std::uint32_t piece = one_of({1, 77, 5000});
    const std::uint32_t at_once = one_of({1, 33, 100000});
    CAPTURE(trial, random.n_neurons, random.counts, random.invalid_steps, random.masks,
            random.lists, chunk, piece);

    record(random, path, steps, piece, {.first_step = random.first, .chunk_steps = chunk});
    CHECK_FALSE(has_index(path));
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    REQUIRE((*reader)->shape() == random.shape());
    CHECK((*reader)->n_steps() == steps);
    CHECK((*reader)->complete());
    CHECK((*reader)->provenance() == "{}");
    const ExecutionTrace want = random.make(random.first, steps);
    const ExecutionTrace got = read_all(**reader, at_once);
    REQUIRE(equal(got, want));

    for (const std::uint64_t from : {0U, 1U, 15U, 16U, 100U, 1233U, 1234U}) {
        REQUIRE((*reader)->seek(random.first + from));
        const ExecutionTrace rest = read_all(**reader, 500);
        REQUIRE(equal(rest,
                      random.make(random.first + from, steps - static_cast<std::uint32_t>(from))));
    }
    CHECK((*reader)->seek(random.first + 1235).error().code == Errc::NotFound);
}

TEST_CASE("trace/store: any stretch of a long trace can be read at any time", "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.n_neurons = 300;
    random.invalid_steps = random.masks = true;
    // Several stretches of what is decoded at once, so that the next one is on its way at a seek.
    const std::uint32_t steps = 4000;
    record(random, path, steps, 500, {.chunk_steps = 32});
    const ExecutionTrace want = random.make(0, steps);
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    REQUIRE(equal(read_all(**reader, 700), want));
    const CounterRandom draw(Catch::getSeed(), 5);
    for (std::uint64_t k = 0; k < 40; ++k) {
        const std::uint64_t from = draw.below(steps, k, 0);
        REQUIRE((*reader)->seek(from));
        for (std::uint32_t reads = draw.below(4, k, 1); reads > 0; --reads) {
            auto item = (*reader)->read(600);
            REQUIRE_OK(item);
            const auto* block = std::get_if<BlockView>(&*item);
            if (block == nullptr) break;
            for (std::uint64_t t = block->first; t < block->first + block->n_steps; ++t) {
                REQUIRE(std::ranges::equal(block->spikes.subspan((t - block->first) * 5, 5),
                                           want.spike_row(t)));
            }
            REQUIRE(std::ranges::equal(
                block->fields[3],
                want.view().fields[3].subspan(block->first * 300 * 8, block->fields[3].size())));
        }
        if (k % 10 == 0) REQUIRE((*reader)->expected_differences()->empty());
    }
}

TEST_CASE("trace/store: the applied stimulus is read back, any stretch of it",
          "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const bool bands = GENERATE(false, true);
    RandomTrace random;
    random.lists = true;
    random.n_neurons = 5;
    random.first = 1000;
    const std::uint32_t steps = 30'000;  // several chunks of the lists
    const std::vector<Sample> samples = {{"a", 1000, 2500, StartState::Reset},
                                         {"b", 2500, 31'000, StartState::Clear}};
    {
        auto writer =
            TraceWriter::create(path, random.shape(), {.first_step = 1000, .side_bands = bands});
        REQUIRE_OK(writer);
        REQUIRE((*writer)->add_samples(samples));
        for (std::uint32_t at = 0; at < steps; at += 2500) {
            REQUIRE((*writer)->append(random.make(1000 + at, 2500).view()));
            // The last 2500 timesteps were run with input that nobody recorded.
            if (at + 2500 == steps) break;
            REQUIRE((*writer)->add_stimulus(random.stimulus(1000 + at, 2500)));
        }
        REQUIRE((*writer)->close());
    }
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    const RecordedStimulus* applied = (*reader)->recorded_stimulus();
    REQUIRE(applied != nullptr);
    CHECK(applied->first_step == 1000);
    CHECK(applied->n_steps == steps - 2500);
    REQUIRE(applied->side_bands.size() == 2);
    CHECK(applied->side_bands[0].name == "i_in");
    CHECK(applied->side_bands[0].width == 5);
    CHECK(applied->side_bands[1].recorded == bands);
    const StimulusBlock want = random.stimulus(1000, steps - 2500);
    CHECK(applied->n_events == want.events.size());
    const auto whole = (*reader)->stimulus(1000, steps - 2500);
    REQUIRE_OK(whole);
    CHECK(equal(*whole, want, bands));
    REQUIRE(whole->begins.size() == 2);
    CHECK(whole->begins[1].step == 1500);
    CHECK(whole->begins[1].start == StartState::Clear);
    const CounterRandom draw(Catch::getSeed(), 6);
    for (std::uint64_t k = 0; k < 30; ++k) {
        const std::uint32_t from = draw.below(steps - 2500, k, 0);
        const std::uint32_t count = draw.below(std::min(3000U, steps - 2500 - from), k, 1);
        CAPTURE(from, count);
        const auto part = (*reader)->stimulus(1000 + from, count);
        REQUIRE_OK(part);
        REQUIRE(equal(*part, random.stimulus(1000 + from, count), bands));
        if (k % 7 == 0) REQUIRE((*reader)->read(100));  // leaves a prefetch under way
    }
    CHECK((*reader)->stimulus(999, 1).error().code == Errc::NotFound);
    CHECK((*reader)->stimulus(1000, steps).error().message ==
          "no input of timesteps 1000..31000: the trace holds that of 1000..28500");
    // And the observations are not disturbed by it.
    REQUIRE((*reader)->seek(1000));
    CHECK(equal(read_all(**reader, 3000), random.make(1000, steps)));
}

TEST_CASE("trace/store: more events than fit are had in shorter blocks", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    Shape shape;
    shape.n_neurons = 1;
    shape.events = true;
    // 40 timesteps in one chunk, each with 100,000 events: 64 MB, a slot holds 2.4 million.
    constexpr std::uint32_t kSteps = 40;
    constexpr std::uint32_t kEvents = 100'000;
    std::vector<std::uint64_t> spikes(kSteps, 1);
    std::vector<SpikeEvent> events;
    for (std::uint32_t i = 0; i < kSteps * kEvents; ++i) events.push_back({i / kEvents, 0, i});
    BlockView block;
    block.n_steps = kSteps;
    block.spikes = spikes;
    block.events = events;
    {
        auto writer = TraceWriter::create(path, shape);
        REQUIRE_OK(writer);
        REQUIRE((*writer)->append(block));
        REQUIRE((*writer)->close());
    }
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    std::uint64_t reads = 0;
    std::uint64_t seen = 0;
    for (;; ++reads) {
        auto item = (*reader)->read(1000);
        REQUIRE_OK(item);
        const auto* got = std::get_if<BlockView>(&*item);
        if (got == nullptr) break;
        REQUIRE(got->events.size() == got->n_steps * kEvents);
        for (const SpikeEvent& event : got->events) {
            if (event.clock != seen || (got->first + event.step) != seen / kEvents) {
                FAIL("event " << seen);
            }
            ++seen;
        }
    }
    CHECK(seen == events.size());
    CHECK(reads == 2);
}

TEST_CASE("trace/store: samples, attributes and expected differences are kept", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    std::vector<Sample> samples;
    for (std::uint64_t i = 0; i < 3000; ++i) {
        samples.push_back({i % 7 == 0 ? "" : "Ziffer " + std::to_string(i) + " \xc3\xa4", i * 2,
                           i * 2 + 2, static_cast<StartState>(i % 4)});
    }
    std::vector<ExpectedDifference> differences;
    for (std::uint32_t i = 0; i < 5000; ++i) {
        differences.push_back({i, i % 70, static_cast<std::int32_t>(i % 6) - 1, -std::int64_t{i}});
    }
    {
        auto writer = TraceWriter::create(path, random.shape(), {.provenance = R"({"seed":7})"});
        REQUIRE_OK(writer);
        REQUIRE((*writer)->add_samples(std::span(samples).first(10)));
        REQUIRE((*writer)->append(random.make(0, 200).view()));
        REQUIRE((*writer)->add_samples(std::span(samples).subspan(10)));
        REQUIRE((*writer)->add_expected_differences(std::span(differences).first(1)));
        REQUIRE((*writer)->add_expected_differences(std::span(differences).subspan(1)));
        REQUIRE((*writer)->set_attribute("verdict", "old"));
        CHECK((*writer)->set_attribute("shape", "{}").error().code == Errc::BadConfig);
        REQUIRE((*writer)->set_attribute("verdict", R"({"verdict":"DIVERGED"})"));
        REQUIRE((*writer)->set_attribute("long", std::string(200'000, 'x')));
        REQUIRE((*writer)->close());
    }
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    CHECK(std::ranges::equal((*reader)->samples(), samples));
    CHECK((*reader)->provenance() == R"({"seed":7})");
    CHECK((*reader)->attributes().at("verdict") == R"({"verdict":"DIVERGED"})");
    CHECK((*reader)->attributes().at("long").size() == 200'000);
    REQUIRE((*reader)->read(3));  // a prefetch is under way
    CHECK(*(*reader)->expected_differences() == differences);
    CHECK((*reader)->expected_differences(10)->size() == 10);
    const auto part = load_trace(path, 150, 1000);
    REQUIRE_OK(part);
    CHECK(equal(*part, random.make(150, 50)));
    CHECK(part->samples().size() == 25);
}

TEST_CASE("trace/store: equal runs give equal files, however they are cut into blocks",
          "[trace][property]") {
    TemporaryFolder folder;
    RandomTrace random;
    random.invalid_steps = random.masks = random.lists = true;
    const WriterOptions unflushed = {.chunk_steps = 128, .flush_seconds = 1e6};
    record(random, folder.file("a.h5"), 3000, 3000, unflushed);
    record(random, folder.file("b.h5"), 3000, 41, {.chunk_steps = 128, .flush_seconds = 0.0});
    // Flushing at other moments may move things inside the file; the decoded values may not differ.
    const auto a = load_trace(folder.file("a.h5"), 0, 3000);
    const auto b = load_trace(folder.file("b.h5"), 0, 3000);
    REQUIRE_OK(a);
    REQUIRE_OK(b);
    CHECK(equal(*a, *b));
    record(random, folder.file("c.h5"), 3000, 3000, unflushed);
    // HDF5 puts the second of its creation into the header of the superblock's extension, which no
    // property turns off: an object header at byte 48, its times from 54 on, its checksum from 93.
    const auto timeless = [&](const char* name) {
        std::string bytes = bytes_of(folder.file(name));
        REQUIRE(bytes.substr(48, 4) == "OHDR");
        return bytes.replace(54, 16, 16, '\0').replace(93, 4, 4, '\0');
    };
    const bool same = timeless("a.h5") == timeless("c.h5");
    CHECK(same);
}

TEST_CASE("trace/store: h5py reads the same values without plugins", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.counts = random.invalid_steps = random.masks = random.lists = true;
    const std::uint32_t steps = 300;
    record(random, path, steps, 100, {.side_bands = true, .chunk_steps = 128});
    // The script prints every value; the same lines are made here from the source of the data.
    const std::string out = folder.file("out.txt");
    const std::string command = "/usr/bin/python3 " SPIKELOCK_TRACE_PY " " + path + " > " + out;
    REQUIRE(std::system(command.c_str()) == 0);
    std::ifstream lines(out);
    const ExecutionTrace want = random.make(0, steps);
    const BlockView view = want.view();
    const std::size_t words = want.shape().spike_words();
    std::string line;
    for (std::uint64_t t = 0; t < steps; ++t) {
        std::string text = std::to_string(want.valid(t) ? 1 : 0);
        for (std::uint32_t n = 0; n < want.n_neurons(); ++n) {
            text += want.spike(t, n) ? " 1" : " 0";
            text += " " + std::to_string(view.counts[t * want.n_neurons() + n]);
            for (std::size_t f = 0; f < 5; ++f) {
                const std::int64_t raw = want.raw(f, t, n);
                text += " " + (f == 3 ? std::to_string(static_cast<std::uint64_t>(raw))
                                      : std::to_string(raw));
            }
            text += ((view.masks[1][t * words + n / 64] >> (n % 64)) & 1U) != 0 ? " 1" : " 0";
        }
        REQUIRE(std::getline(lines, line));
        REQUIRE(line == text);
    }
    for (const char* label : {"hidden", "out"}) {
        const auto spikes = want.population_spikes(label);
        const std::uint32_t begin = want.shape().population(label)->begin;
        for (const Spike& s : *spikes) {
            for (int i = 0; i < view.counts[s.timestep * want.n_neurons() + s.neuron]; ++i) {
                REQUIRE(std::getline(lines, line));
                REQUIRE(line == std::string(label) + " " + std::to_string(s.neuron - begin) + " " +
                                    std::to_string(s.timestep));
            }
        }
    }
    for (const SpikeEvent& event : want.events()) {
        REQUIRE(std::getline(lines, line));
        REQUIRE(line == "event " + std::to_string(event.step) + " " + std::to_string(event.neuron) +
                            " " + std::to_string(event.clock));
    }
    for (const TakenEvent& event : want.taken()) {
        REQUIRE(std::getline(lines, line));
        REQUIRE(line == "taken " + std::to_string(event.step) + " " + std::to_string(event.port) +
                            " " + std::to_string(event.address));
    }
    const StimulusBlock applied = random.stimulus(0, steps);
    for (std::uint32_t step = 0; step < steps; ++step) {
        for (const InputEvent& event : applied.events_of(step)) {
            REQUIRE(std::getline(lines, line));
            REQUIRE(line == "input " + std::to_string(step) + " " + std::to_string(event.port) +
                                " " + std::to_string(event.address) + " " +
                                std::to_string(event.payload));
        }
    }
    for (const SideBand& band : applied.side_bands) {
        for (std::uint32_t step = 0; step < steps; ++step) {
            std::string values = band.name;
            for (std::uint32_t i = 0; i < band.width; ++i) {
                values += " " + std::to_string(band.values[step * band.width + i]);
            }
            REQUIRE(std::getline(lines, line));
            REQUIRE(line == values);
        }
    }
    REQUIRE(std::getline(lines, line));
    CHECK(line == "end ms 1");
}

TEST_CASE("trace/store: the example script reads a trace", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.invalid_steps = random.lists = true;
    record(random, path, 1000, 100);
    const std::string out = folder.file("out.txt");
    const std::string command =
        "/usr/bin/python3 " SPIKELOCK_TRACE_EXAMPLE " " + path + " 2 > " + out;
    REQUIRE(std::system(command.c_str()) == 0);
    const ExecutionTrace want = random.make(0, 1000);
    const std::string text = bytes_of(out);
    CAPTURE(text);
    CHECK(text.starts_with("70 neurons, 1000 timesteps of 0.0001 s, complete\n"));
    for (const char* label : {"hidden", "out"}) {
        const auto spikes = want.population_spikes(label)->size();
        CHECK(text.find(std::string("  ") + label + ": " + std::to_string(spikes) + " spikes, ") !=
              std::string::npos);
    }
    std::size_t on_port_1 = 0;
    const StimulusBlock applied = random.stimulus(0, 1000);
    for (const InputEvent& event : applied.events) on_port_1 += event.port == 1 ? 1 : 0;
    CHECK(text.find("input: " + std::to_string(applied.events.size()) + " events: ") !=
          std::string::npos);
    CHECK(text.find(", " + std::to_string(on_port_1) + " on port 1") != std::string::npos);
    CHECK(text.find("\n  i_in: 5 values a timestep, not recorded, see the seed\n") !=
          std::string::npos);
    const std::string line = "\n  3 " + std::to_string(want.spike(3, 2) ? 1 : 0) + " ";
    CHECK(text.find(line) != std::string::npos);
    CHECK(text.find(" 0.0234375 ") != std::string::npos);  // v of neuron 2 in timestep 3: 6 / 256
}

TEST_CASE("trace/store: a second writer is refused while the first one lives", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    auto first = TraceWriter::create(path, random.shape());
    REQUIRE_OK(first);
    const auto second = TraceWriter::create(path, random.shape());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::Environment);
    CHECK(second.error().text().find("another process is recording") != std::string::npos);
    CHECK(recover_trace(path).error().code == Errc::Environment);
    REQUIRE((*first)->append(random.make(0, 100).view()));
    REQUIRE((*first)->close());
    CHECK(TraceWriter::create(path, random.shape()));  // now it may be replaced
}

TEST_CASE("trace/store: a growing trace can be read up to its last flush", "[trace][unit]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    const RandomTrace random;
    auto writer = TraceWriter::create(path, random.shape(), {.chunk_steps = 64});
    REQUIRE_OK(writer);
    REQUIRE((*writer)->append(random.make(0, 200).view()));
    REQUIRE((*writer)->flush());
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    CHECK_FALSE((*reader)->complete());
    CHECK((*reader)->n_steps() == 192);
    SourceEnd end;
    CHECK(equal(read_all(**reader, 50, &end), random.make(0, 192)));
    CHECK(end.kind == EndKind::Incomplete);
    CHECK(end.timestep == 192);
    REQUIRE((*writer)->append(random.make(200, 100).view()));
    REQUIRE((*writer)->close(false));
    reader = open_trace(path);
    REQUIRE_OK(reader);
    CHECK((*reader)->n_steps() == 300);
    CHECK(equal(read_all(**reader, 50, &end), random.make(0, 300)));
    CHECK(end.kind == EndKind::Incomplete);
}

TEST_CASE("trace/store: what cannot be recorded is refused with its reason", "[trace][unit]") {
    TemporaryFolder folder;
    const auto refused = [&](const std::function<void(Shape&)>& change) {
        Shape shape = RandomTrace{}.shape();
        change(shape);
        const auto writer = TraceWriter::create(folder.file("t.h5"), shape);
        return writer ? std::string("accepted") : writer.error().message;
    };
    CHECK(refused([](Shape& s) { s.n_neurons = 0; }) == "a trace holds 1..16777216 neurons, got 0");
    CHECK(refused([](Shape& s) { s.fields[1].name = "a/b"; }) ==
          "field name 'a/b' contains '/' or a control character");
    CHECK(refused([](Shape& s) { s.fields[1].name = "i_syn"; }) == "field 'i_syn' stands twice");
    CHECK(refused([](Shape& s) { s.fields[1].bytes = 3; }) ==
          "field 'v' must be stored in 1, 2, 4 or 8 bytes, got 3");
    CHECK(refused([](Shape& s) { s.populations[1].end = 71; }) ==
          "population 'out' reaches beyond the neurons");
    {
        auto writer = TraceWriter::create(folder.file("t.h5"), RandomTrace{}.shape());
        REQUIRE_OK(writer);
        StimulusBlock block = RandomTrace{}.stimulus(0, 1);
        block.side_bands[1].name = "a/b";
        CHECK((*writer)->add_stimulus(block).error().message ==
              "side band 'a/b' contains '/' or a control character");
    }
    CHECK(refused([](Shape& s) { s.dt = 0.0; }) == "dt must be a positive number of seconds");
    const auto nowhere = TraceWriter::create(folder.file("no/t.h5"), RandomTrace{}.shape());
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == Errc::Io);
    CHECK(nowhere.error().where.find("no/t.h5") != std::string::npos);
}

namespace {
// Runs `work` in a child process that gets the exit code of its value.
int in_child(const std::function<int()>& work) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(work());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Records until the writer refuses; 0 when it refused as it should.
int record_until_full(const RandomTrace& random, const std::string& path) {
    auto writer = TraceWriter::create(path, random.shape(), {.flush_seconds = 0.001});
    if (!writer) return 2;
    for (std::uint64_t t = 0; t < 1'000'000; t += 1000) {
        if (random.lists && !(*writer)->add_stimulus(random.stimulus(t, 1000))) return 0;
        if (Status ok = (*writer)->append(random.make(t, 1000).view()); !ok) {
            if (ok.error().code != Errc::Environment) return 3;
            if (ok.error().where != path) return 4;
            if ((*writer)->append(random.make(t, 1).view())) return 5;  // stays an error
            if ((*writer)->close()) return 6;
            return 0;
        }
    }
    return 7;
}

void check_readable_prefix(const RandomTrace& random, const std::string& path) {
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    CHECK_FALSE((*reader)->complete());
    CHECK((*reader)->n_steps() > 1000);
    const ExecutionTrace got = read_all(**reader, 5000);
    CHECK(equal(got, random.make(0, static_cast<std::uint32_t>(got.n_steps()))));
    CHECK_FALSE(has_index(path));
    if (!random.lists) return;
    const RecordedStimulus* applied = (*reader)->recorded_stimulus();
    REQUIRE(applied != nullptr);
    CHECK(applied->n_steps > 1000);
    const auto steps = static_cast<std::uint32_t>(applied->n_steps);
    const auto input = (*reader)->stimulus(0, steps);
    REQUIRE_OK(input);
    CHECK(equal(*input, random.stimulus(0, steps), false));
}
}  // namespace

TEST_CASE("trace/store: at a file size limit the run ends with an error and a readable trace",
          "[trace][unit]") {
    TemporaryFolder folder;
    RandomTrace random;
    random.lists = GENERATE(false, true);
    const std::string path = folder.file("t.h5");
    REQUIRE(in_child([&] {
                const rlimit limit = {6'000'000, 6'000'000};
                ::setrlimit(RLIMIT_FSIZE, &limit);
                return record_until_full(random, path);
            }) == 0);
    check_readable_prefix(random, path);
}

TEST_CASE("trace/store: on a full disk the run ends with an error and a readable trace",
          "[trace][unit]") {
    TemporaryFolder folder;
    const RandomTrace random;
    const std::string copy = folder.file("copy.h5");
    const std::string disk = folder.file("");
    // The file system exists only in the child's mount namespace; it hands out what is left.
    const int result = in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        const std::string mine = disk + "disk";
        std::filesystem::create_directory(mine);
        if (::mount("tmpfs", mine.c_str(), "tmpfs", 0, "size=6m") != 0) return 77;
        const int rc = record_until_full(random, mine + "/t.h5");
        std::error_code failed;
        std::filesystem::copy_file(mine + "/t.h5", copy, failed);
        return failed ? 8 : rc;
    });
    if (result == 77) SKIP("no right to mount a small file system");
    REQUIRE(result == 0);
    check_readable_prefix(random, copy);
}

TEST_CASE("trace/store: statistics agree with the trace in memory", "[trace][property]") {
    TemporaryFolder folder;
    const std::string path = folder.file("t.h5");
    RandomTrace random;
    random.invalid_steps = GENERATE(false, true);
    record(random, path, 2000, 100, {.chunk_steps = 64});
    auto reader = open_trace(path);
    REQUIRE_OK(reader);
    const auto stats = measure(**reader);
    REQUIRE_OK(stats);
    const ExecutionTrace want = random.make(0, 2000);
    CHECK(stats->spikes == want.spike_count());
    CHECK(stats->n_steps == 2000);
    CHECK(stats->end.kind == EndKind::Complete);
    REQUIRE(stats->rates_hz == want.firing_rates());
    CHECK(stats->populations.at(1).spikes == want.population_spikes("out")->size());
    for (std::size_t f = 0; f < want.shape().fields.size(); ++f) {
        double least = 1e300;
        double most = -1e300;
        for (std::uint64_t t = 0; t < 2000; ++t) {
            if (!want.valid(t)) continue;
            for (std::uint32_t n = 0; n < want.n_neurons(); ++n) {
                least = std::min(least, want.value(f, t, n));
                most = std::max(most, want.value(f, t, n));
            }
        }
        CHECK(stats->fields[f].least == least);
        CHECK(stats->fields[f].most == most);
    }
}

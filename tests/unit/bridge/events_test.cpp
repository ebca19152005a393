// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/events.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include "spikelock/base/random.hpp"
#include "spikelock/bridge/npy.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
std::vector<TimedEvent> random_events(std::uint64_t seed, bool ports, bool payloads) {
    const CounterRandom random(seed, 3);
    std::vector<TimedEvent> events(random.below(200, 0));
    std::uint64_t timestep = random.below(2, 1) * (std::uint64_t{1} << 61);
    for (std::uint64_t i = 0; i < events.size(); ++i) {
        timestep += random.below(3, i, 1);
        events[i].timestep = timestep;
        events[i].event.address = static_cast<std::uint32_t>(random.bits(i, 2));
        if (ports) events[i].event.port = static_cast<std::uint16_t>(random.bits(i, 3));
        if (payloads) events[i].event.payload = static_cast<std::int16_t>(random.bits(i, 4));
    }
    return events;
}
}  // namespace

TEST_CASE("bridge/events: written events read back equal", "[bridge][property]") {
    const auto seed = GENERATE(range(std::uint64_t{0}, std::uint64_t{10}));
    const bool ports = GENERATE(false, true);
    const bool payloads = GENERATE(false, true);
    const auto events = random_events(seed, ports, payloads);
    const TempFolder folder;
    const std::string path = folder.file("events.csv");
    REQUIRE(write_events(path, events));
    const auto again = read_events(path);
    REQUIRE(again);
    CHECK(*again == events);

    // The same as a table of integers.
    std::vector<std::int64_t> table;
    for (const TimedEvent& e : events)
        table.insert(table.end(), {static_cast<std::int64_t>(e.timestep), e.event.port,
                                   e.event.address, e.event.payload});
    const std::string npy = folder.file("events.npy");
    REQUIRE(write_npy(npy, NdArray::of<std::int64_t>({events.size(), 4}, table)));
    const auto from_npy = read_events(npy);
    REQUIRE(from_npy);
    CHECK(*from_npy == events);
}

TEST_CASE("bridge/events: columns go by name or by number", "[bridge][unit]") {
    const auto [text, want] = GENERATE(table<std::string, TimedEvent>({
        {"5,6\n", {5, {6, 0, 1}}},
        {"5 6\n", {5, {6, 0, 1}}},
        {"5,7,6\n", {5, {6, 7, 1}}},
        {"5,7,6,-2\n", {5, {6, 7, -2}}},
        {"axon,timestep\n6,5\n", {5, {6, 0, 1}}},
        {"payload;axon;timestep;port\n-2;6;5;7\n", {5, {6, 7, -2}}},
        {"5.000000000000000000e+00,6.0\n", {5, {6, 0, 1}}},
        {"# spikes\n\n4611686018427387904,4294967295\n", {std::uint64_t{1} << 62, {0xffffffff}}},
    }));
    CAPTURE(text);
    const auto events = parse_events_csv(text, "x");
    REQUIRE(events);
    CHECK(*events == std::vector{want});
}

TEST_CASE("bridge/events: no line means no event", "[bridge][unit]") {
    CHECK(parse_events_csv("", "x")->empty());
    CHECK(parse_events_csv("timestep,axon\n", "x")->empty());
    CHECK(format_events_csv({}) == "timestep,axon\n");
}

TEST_CASE("bridge/events: a bad value in an array is placed at its bytes", "[bridge][unit]") {
    const TempFolder folder;
    const std::string path = folder.file("e.npy");
    const std::vector<std::int32_t> negative = {0, 1, 1, -1};
    REQUIRE(write_npy(path, NdArray::of<std::int32_t>({2, 2}, negative)));
    CHECK(read_events(path).error().text() ==
          path + ": byte 140: expected an axon 0..4294967295, found -1");
    const std::vector<std::int32_t> unordered = {4, 1, 3, 1};
    REQUIRE(write_npy(path, NdArray::of<std::int32_t>({2, 2}, unordered)));
    CHECK(read_events(path).error().text() ==
          path + ": byte 136: timestep 3 after 4, expected ascending timesteps");
    const std::vector<float> real = {0, 1};
    REQUIRE(write_npy(path, NdArray::of<float>({1, 2}, real)));
    CHECK(read_events(path).error().text() ==
          path +
              ": expected integers of shape (n, 2), (n, 3) or (n, 4), found float32 of shape "
              "(1, 2)");
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/nir_data.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "damaged_files.hpp"
#include "spikelock/bridge/npy.hpp"
#include "spikelock/bridge/recording.hpp"
#include "temp_folder.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
using Kind = NirObservable::Kind;

std::string fixture(const std::string& name) {
    return std::string(SPIKELOCK_BRIDGE_FIXTURES) + "/" + name;
}

/// Spikes of two neurons in one sample of three timesteps.
NirObservable a_grid(std::string node = "n", std::string name = "spikes") {
    return {std::move(node),
            std::move(name),
            Kind::Grid,
            true,
            1,
            3,
            2,
            0.5,
            0.0,
            {0, 1, 0, 0, 1, 0},
            {},
            {}};
}
NirObservable an_event(std::int64_t index, double time) {
    return {"n", "spikes", Kind::Events, false, 1, 1, 2, 0.0, 1.5, {}, {index}, {time}};
}
}  // namespace

TEST_CASE("bridge/nir_data: files as nir writes them become the traces that numpy makes of them",
          "[bridge][unit]") {
    std::ifstream list(fixture("nir.txt"));
    REQUIRE(list);
    std::size_t files = 0;
    for (std::string line; std::getline(list, line); ++files) {
        CAPTURE(line);
        std::istringstream words(line);
        std::string name;
        double dt = 0.0;
        std::uint64_t steps = 0;
        std::size_t samples = 0;
        words >> name >> dt >> steps >> samples;
        const std::string path = fixture(name + ".h5");
        REQUIRE(*recording_format(path) == RecordingFormat::NirData);
        RecordingOptions options;
        options.dt = dt;
        const auto got = read_recording(path, options);
        REQUIRE(got);
        const trace::ExecutionTrace& trace = got->trace;
        CHECK(got->format == RecordingFormat::NirData);
        CHECK(got->dt_known);
        CHECK(trace.dt() == dt);
        CHECK(trace.n_steps() == samples * steps);
        REQUIRE(trace.samples().size() == (samples == 1 ? 0 : samples));
        for (std::size_t s = 0; s < trace.samples().size(); ++s) {
            CHECK(trace.samples()[s].begin == s * steps);
            CHECK(trace.samples()[s].end == (s + 1) * steps);
            CHECK(trace.samples()[s].start == trace::StartState::Clear);
        }
        std::size_t fields = 0;
        for (std::string key; words >> key;) {
            CAPTURE(key);
            const auto array = read_npy(fixture(name + "." + key + ".npy"));
            REQUIRE(array);
            const std::vector<double> expected = array->to_doubles();
            const std::uint32_t n = trace.n_neurons();
            REQUIRE(array->shape == std::vector<std::size_t>{trace.n_steps(), n});
            const int field = trace.shape().field_index(key);
            REQUIRE((field >= 0) == (key != "spike"));
            fields += field >= 0 ? 1 : 0;
            for (std::size_t i = 0; i < expected.size(); ++i) {
                CAPTURE(i / n, i % n);
                const auto neuron = static_cast<std::uint32_t>(i % n);
                if (field < 0) {
                    const double counted = trace.shape().counts
                                               ? trace.view().counts[i]
                                               : (trace.spike(i / n, neuron) ? 1.0 : 0.0);
                    REQUIRE(counted == expected[i]);
                    continue;
                }
                const auto f = static_cast<std::size_t>(field);
                REQUIRE(trace.valid(f, i / n, neuron) == !std::isnan(expected[i]));
                if (!std::isnan(expected[i])) REQUIRE(trace.value(f, i / n, neuron) == expected[i]);
            }
        }
        CHECK(trace.shape().fields.size() == fields);
    }
    CHECK(files == 3);
    const auto grid = read_recording(fixture("nir_grid.h5"));
    REQUIRE(grid);
    CHECK(grid->trace.shape().populations ==
          std::vector<trace::Population>{{"lif", 0, 5}, {"sub.out", 5, 7}});
    // Nothing but events: a timestep that they fit is found, or asked for.
    const auto products = read_recording(fixture("nir_products.h5"));
    REQUIRE(products);
    CHECK(products->trace.dt() == 1e-4);
    CHECK(read_recording(fixture("nir_events.h5")).error().message ==
          "the events fit no timestep of 1 ms down to 1 us: give it with --dt SECONDS");
}

TEST_CASE("bridge/nir_data: what does not go together is told by its name", "[bridge][unit]") {
    const auto message = [](std::vector<NirObservable> observables,
                            const RecordingOptions& options = {}) {
        const auto got = recording_of({std::move(observables)}, options);
        return got ? std::string("read") : got.error().text();
    };
    const auto changed = [](NirObservable o, const auto& change) {
        change(o);
        return o;
    };
    CHECK(message({a_grid()}) == "read");
    CHECK(message({}) == "holds no observables");
    CHECK(message({a_grid("a"), changed(a_grid("b"), [](auto& o) { o.dt = 0.25; })}) ==
          "a: spikes has timesteps of 0.5 s, b: spikes of 0.25 s");
    CHECK(message({a_grid("a"), changed(a_grid("b"), [](auto& o) { o.n_columns = 2; })}) ==
          "a: spikes has 3 timesteps, b: spikes has 2");
    CHECK(message({a_grid("a"), changed(a_grid("b"), [](auto& o) { o.n_samples = 2; })}) ==
          "a: spikes has 1 samples, b: spikes has 2");
    CHECK(message({a_grid(), changed(a_grid("n", "v"), [](auto& o) { o.n_neurons = 3; })}) ==
          "n: v has 3 neurons, another observable of the node 2");
    CHECK(message({a_grid("a"), a_grid("b"), a_grid("a", "v")}) == "two nodes of the name a");
    CHECK(message({a_grid("n", "spike"), a_grid("n", "spikes")}) == "n: both spike and spikes");
    CHECK(message({changed(a_grid(), [](auto& o) { o.values[3] = 0.5; })}) ==
          "n: spikes: 0.5 at sample 0, timestep 1, neuron 1: expected 0, 1 or how often it fired");
    RecordingOptions dt;
    dt.dt = 0.25;
    CHECK(message({a_grid()}, dt) == "--dt 0.25 s, but the timestep of n: spikes is 0.5 s");
    dt.dt = 0.5;
    CHECK(message({an_event(1, 1.0)}, dt) == "read");
    CHECK(message({an_event(2, 1.0)}, dt) == "n: spikes: sample 0, event 0: neuron 2 of 2");
    CHECK(message({an_event(1, -1.0)}, dt) ==
          "n: spikes: sample 0, event 0: expected a time of 0 or more");
    CHECK(message({an_event(1, std::nan(""))}, dt) ==
          "n: spikes: sample 0, event 0: expected a time of 0 or more");
    CHECK(message({changed(an_event(1, 1.0), [](auto& o) { o.t_max = 1e12; })}, dt)
              .find("more than 2^27") != std::string::npos);
    const auto late = recording_of({{an_event(1, 1.5)}}, dt);
    REQUIRE(late);
    CHECK(late->trace.spike_count() == 0);
    CHECK(late->notes ==
          std::vector<std::string>{"1 events come after the last timestep of their sample"});
    const auto padding =
        recording_of({{an_event(-1, std::numeric_limits<double>::infinity())}}, dt);
    REQUIRE(padding);
    CHECK(padding->notes.empty());
}

TEST_CASE("bridge/nir_data: cut and mutated files give values or errors that name them",
          "[bridge][property]") {
    const std::string whole = slurp(fixture("nir_events.h5"));
    const auto data = read_nir_data(fixture("nir_events.h5"));
    REQUIRE(data);
    check_damaged_files(whole, 0.005, [](const std::string& p) { return read_nir_data(p); });
    // What the reading child answers survives the way, and nothing else does.
    const std::string packed = pack_nir_data(*data);
    REQUIRE(unpack_nir_data(packed));
    CHECK(pack_nir_data(*unpack_nir_data(packed)) == packed);
    for (std::size_t cut = 0; cut < packed.size(); cut += 1 + packed.size() / 50)
        REQUIRE_FALSE(unpack_nir_data(std::string_view(packed).substr(0, cut)));
    CHECK_FALSE(unpack_nir_data(packed + "x"));
}

// SPDX-License-Identifier: Apache-2.0
// Golden against RTL, all fields of all neurons, over random networks, modes, stimuli and pacing.
// Both follow docs/model.md and share no code; the cores are built and driven as `spikelock run`
// does.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstdlib>
#include <filesystem>

#include "core_sizes.hpp"
#include "reference.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/golden/stimulus.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/sim/dut_source.hpp"

namespace {
using namespace spikelock;
using test::CoreSize;

std::string cache_folder() {
    const char* own = std::getenv("SPIKELOCK_CACHE");
    return own ? own : SPIKELOCK_TEST_CACHE;
}

/// Where scripts/rtl_coverage.sh wants coverage data; empty: none is counted.
std::string coverage_folder() {
    const char* folder = std::getenv("SPIKELOCK_RTL_COVERAGE");
    return folder ? folder : "";
}

/// Counts over all networks of a test case.
struct Tally {
    std::uint64_t networks = 0;
    std::uint64_t outside = 0;  ///< networks that matched but fired too rarely or too often
    std::uint64_t updates = 0;
    std::uint64_t values = 0;
    std::uint64_t clocks = 0;
    double least = 1.0;
    double most = 0.0;
    golden::test::Coverage coverage;
};

/// Sequence of draws of one case.
class Draw {
public:
    Draw(std::uint64_t seed, std::uint64_t stream) : random_(seed, stream) {}
    bool chance(double p) { return random_.uniform(next_++) < p; }
    std::uint32_t below(std::uint32_t bound) { return random_.below(bound, next_++); }
    template <typename T>
    T one_of(std::initializer_list<T> all) {
        return *(all.begin() + below(static_cast<std::uint32_t>(all.size())));
    }

private:
    CounterRandom random_;
    std::uint64_t next_ = 0;
};

struct Applied {
    std::vector<golden::TimedEvent> events;
    std::vector<trace::Sample> samples;
};

/// Events in any order and now and then twice; samples of random length, most of them cleared.
Applied random_input(Draw& draw, std::uint32_t axons, double density, std::uint64_t steps) {
    Applied applied;
    const bool shuffled = draw.chance(0.5);
    std::vector<std::uint32_t> now;
    for (std::uint64_t t = 0; t < steps; ++t) {
        now.clear();
        for (std::uint32_t axon = 0; axon < axons; ++axon) {
            if (!draw.chance(density)) continue;
            now.push_back(axon);
            if (draw.chance(0.03)) now.push_back(axon);
        }
        for (std::size_t i = now.size(); shuffled && i > 1; --i)
            std::swap(now[i - 1], now[draw.below(static_cast<std::uint32_t>(i))]);
        for (const std::uint32_t axon : now) applied.events.push_back({t, {axon, 0, 1}});
    }
    const std::uint32_t longest = draw.one_of({8U, 150U, 4000U});
    for (std::uint64_t begin = 0; begin < steps;) {
        const std::uint64_t end = std::min(steps, begin + 1 + draw.below(longest));
        applied.samples.push_back(
            {{},
             begin,
             end,
             draw.chance(0.8) ? trace::StartState::Clear : trace::StartState::Keep});
        begin = end;
    }
    applied.samples[0].start = trace::StartState::Clear;
    return applied;
}

/// Counts the branches of the arithmetic in the first timesteps.
void count_branches(const golden::Network& net, const Applied& applied, std::uint64_t steps,
                    golden::test::Coverage& coverage) {
    golden::test::Reference reference(net);
    std::size_t event = 0;
    std::size_t sample = 0;
    std::vector<std::uint32_t> axons;
    for (std::uint64_t t = 0; t < steps; ++t) {
        if (sample < applied.samples.size() && applied.samples[sample].begin == t)
            if (applied.samples[sample++].start == trace::StartState::Clear) reference.clear();
        axons.clear();
        for (; event < applied.events.size() && applied.events[event].timestep == t; ++event)
            axons.push_back(applied.events[event].event.address);
        reference.step(axons, {});
    }
    for (const auto& [name, count] : reference.coverage.counts) coverage.counts[name] += count;
}

/// Runs one network; false where it fired outside 1..50 % and another is to be drawn. With a fault:
/// whether it was found.
bool run_network(const CoreSize& size, const sim::BuiltHost& host, manifest::Manifest manifest,
                 std::uint64_t seed, std::uint64_t updates, Tally& tally, std::uint32_t fault = 0) {
    Draw draw(seed, 0x646966);
    golden::RandomNetworkOptions options;
    options.min_neurons = options.max_neurons = size.neurons;
    options.min_axons = options.max_axons = size.axons;
    options.max_synapses = size.synapses;
    options.arithmetic = size.arithmetic;
    options.random_widths = false;
    options.input_probability = draw.one_of({0.02, 0.08, 0.2, 0.5});
    const auto net = golden::random_network(seed, options);
    if (!net) {
        // Few axons that rarely spike cannot always drive words this wide.
        REQUIRE(net.error().code == Errc::Limit);
        return false;
    }
    manifest.pacing.drain = draw.chance(0.2);
    manifest.pacing.gap_probability = draw.one_of({0.0, 0.1, 0.6});
    manifest.pacing.gap_clocks = 1 + draw.below(12);
    manifest.pacing.stall_probability = draw.one_of({0.0, 0.3, 0.8});
    manifest.stimulus.seed = seed;
    const std::uint64_t steps = updates / size.neurons + 1;
    const Applied applied = random_input(draw, size.axons, options.input_probability, steps);

    const std::string file = fmt::format("random_differential_{}_{}.json", size.name, seed);
    INFO(
        fmt::format("core {}, network seed {} (written to {} on failure), {} timesteps, density "
                    "{}, {}gaps {} of up to {} clocks, stalls {}",
                    size.name, seed, file, steps, options.input_probability,
                    manifest.pacing.drain ? "drained, " : "", manifest.pacing.gap_probability,
                    manifest.pacing.gap_clocks, manifest.pacing.stall_probability));
    const auto stimulus = golden::make_event_stimulus(applied.events, steps, applied.samples);
    REQUIRE(stimulus);
    auto expected = golden::GoldenSource::create(*net);
    REQUIRE(expected);
    sim::DutOptions dut_options;
    dut_options.power_on_seed = 1 + seed % 1000;
    dut_options.fault = fault;
    if (!coverage_folder().empty())
        dut_options.coverage_file = fmt::format("{}/{}_{}.dat", coverage_folder(), size.name, seed);
    auto actual = sim::DutSource::create(host, manifest, *net, dut_options);
    if (!actual) {
        CAPTURE(actual.error().text());
        (void)golden::save_network(*net, file);
        REQUIRE(actual);
    }
    const auto outcome = lockstep::run(**expected, **actual, stimulus->get(), {});
    if (!outcome) {
        CAPTURE(outcome.error().text());
        REQUIRE(outcome);
    }
    if (fault != 0) return outcome->verdict == lockstep::Verdict::Diverged;
    const trace::Shape shape = net->shape();
    const std::uint64_t all = steps * size.neurons * (shape.fields.size() + 1);
    if (outcome->verdict != lockstep::Verdict::Match) (void)golden::save_network(*net, file);
    CAPTURE(lockstep::headline(*outcome, shape));
    REQUIRE(outcome->verdict == lockstep::Verdict::Match);
    REQUIRE(outcome->not_compared.empty());
    REQUIRE(outcome->values_compared == all);
    REQUIRE((*actual)->words_compared() == (*actual)->words_loaded());

    const double activity =
        static_cast<double>(outcome->spikes_expected) / static_cast<double>(steps * size.neurons);
    tally.clocks += (*actual)->clocks();
    if (activity < 0.01 || activity > 0.5) {
        ++tally.outside;
        return false;
    }
    count_branches(*net, applied, std::min<std::uint64_t>(steps, 250), tally.coverage);
    ++tally.networks;
    tally.updates += steps * size.neurons;
    tally.values += all;
    tally.least = std::min(tally.least, activity);
    tally.most = std::max(tally.most, activity);
    return true;
}

Tally run_networks(std::uint64_t networks_per_size, std::uint64_t updates) {
    Tally tally;
    const std::uint64_t seed = Catch::getSeed();
    for (const CoreSize& size : test::core_sizes()) {
        const auto manifest =
            manifest::load_manifest(SPIKELOCK_COSIM_FOLDER "/snn_core.toml", size.overrides());
        INFO((manifest ? std::string() : manifest.error().text()));
        REQUIRE(manifest);
        sim::BuildOptions options;
        options.cache_dir = cache_folder();
        options.coverage = !coverage_folder().empty();
        const auto host = sim::build_host(*manifest, options);
        REQUIRE(host);
        std::uint64_t done = 0;
        for (std::uint64_t k = 0; done < networks_per_size; ++k) {
            REQUIRE(k < 3 * networks_per_size + 10);  // most draws must be usable
            if (run_network(size, *host, *manifest, seed * 100000 + k, updates, tally)) ++done;
        }
    }
    fmt::print(
        "{} networks match over {} neuron-updates, {} values, {} clocks (seed {}); they fire "
        "in {:.1f} to {:.1f} % of neuron-timesteps; {} more match but fire outside 1..50 %\n",
        tally.networks, tally.updates, tally.values, tally.clocks, seed, 100 * tally.least,
        100 * tally.most, tally.outside);
    for (const auto& [name, count] : tally.coverage.counts)
        fmt::print("{:<40}{:>10}\n", name, count);
    return tally;
}

}  // namespace

TEST_CASE("cosim/random: golden and RTL agree on random networks", "[cosim][property]") {
    const Tally tally = run_networks(6, 60000);
    CHECK(tally.networks == 18);
    CHECK(tally.updates >= 1000000);
    CHECK(tally.least >= 0.01);
    CHECK(tally.most <= 0.5);
}

TEST_CASE("cosim/random: golden and RTL agree on 200 networks and every branch of the arithmetic",
          "[cosim][property][slow]") {
    const Tally tally = run_networks(70, 480000);
    CHECK(tally.networks >= 200);
    CHECK(tally.updates >= 100000000);
    for (const char* branch : {"v saturates high",
                               "v saturates low",
                               "v wraps high",
                               "v wraps low",
                               "u saturates high",
                               "u saturates low",
                               "u wraps high",
                               "u wraps low",
                               "acc saturates high",
                               "acc saturates low",
                               "acc wraps high",
                               "acc wraps low",
                               "equal, compare >",
                               "equal, compare >=",
                               "refractory hold",
                               "input dropped in refractory period",
                               "negative leak, shift",
                               "negative leak, multiply",
                               "inexact floor, negative",
                               "inexact floor, positive",
                               "inexact toward zero, negative",
                               "inexact toward zero, positive",
                               "inexact away from zero, negative",
                               "inexact away from zero, positive",
                               "inexact nearest even, negative",
                               "inexact nearest even, positive",
                               "reset to value",
                               "reset by subtraction",
                               "integrator above threshold",
                               "cuba filter",
                               "delivery within the sweep",
                               "delayed delivery"}) {
        CAPTURE(branch);
        const auto found = tally.coverage.counts.find(branch);
        CHECK((found != tally.coverage.counts.end() && found->second >= 100));
    }
}

// Those that depend on clocks, which no model of the network predicts, are found here as well.
TEST_CASE("cosim/random: random networks find every injected fault", "[cosim][property]") {
    const CoreSize size = test::core_sizes()[0];
    const auto manifest =
        manifest::load_manifest(SPIKELOCK_COSIM_FOLDER "/snn_core.toml", size.overrides());
    REQUIRE(manifest);
    sim::BuildOptions options;
    options.cache_dir = cache_folder();
    options.faults = true;
    const auto host = sim::build_host(*manifest, options);
    REQUIRE(host);
    REQUIRE(manifest->faults.size() >= 30);
    const std::uint64_t seed = std::uint64_t{Catch::getSeed()} * 100000;
    Tally tally;
    for (const auto& fault : manifest->faults) {
        std::uint64_t networks = 1;
        while (networks < 60 &&
               !run_network(size, *host, *manifest, seed + networks, 20000, tally, fault.id))
            ++networks;
        CAPTURE(fault.name);
        CHECK(networks < 60);
        fmt::print("{:<24} found in network {}\n", fault.name, networks);
    }
    // The same build with none of them chosen is the core.
    for (std::uint64_t k = 1; k <= 3; ++k)
        run_network(size, *host, *manifest, seed + k, 20000, tally);
}

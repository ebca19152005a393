// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/golden_source.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <iostream>

#include "reference.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/golden/random_network.hpp"
#include "spikelock/golden/stimulus.hpp"

using namespace spikelock;
using namespace spikelock::golden;
using Catch::Matchers::ContainsSubstring;
using test::Coverage;
using test::Observed;
using test::Reference;

namespace {

/// An element of a field, by its own bytes.
std::int64_t element(const trace::Shape& shape, const trace::BlockView& view, std::size_t field,
                     std::uint32_t step, std::uint32_t neuron) {
    const trace::FieldSpec& spec = shape.fields[field];
    const auto size = static_cast<std::size_t>(spec.bytes);
    const std::byte* const from =
        view.fields[field].data() + (std::size_t{step} * shape.n_neurons + neuron) * size;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= std::uint64_t(from[i]) << (8 * i);
    const int unused = 64 - 8 * spec.bytes;
    return spec.is_signed ? static_cast<std::int64_t>(value << unused) >> unused
                          : static_cast<std::int64_t>(value);
}

bool spikes(const trace::Shape& shape, const trace::BlockView& view, std::uint32_t step,
            std::uint32_t neuron) {
    return (view.spikes[shape.spike_words() * step + neuron / 64] >> (neuron % 64) & 1) != 0;
}

/// Empty if a step of a block is what the reference observed, else the first difference.
std::string difference(const trace::Shape& shape, const trace::BlockView& view, std::uint32_t step,
                       const Observed& expected) {
    for (std::uint32_t n = 0; n < shape.n_neurons; ++n) {
        for (std::size_t f = 0; f < shape.fields.size(); ++f) {
            const std::string& name = shape.fields[f].name;
            const auto& values = name == "i_syn" ? expected.i_syn
                                 : name == "u"   ? expected.u
                                 : name == "v"   ? expected.v
                                                 : expected.refr;
            const std::int64_t found = element(shape, view, f, step, n);
            if (found != values[n])
                return fmt::format("timestep {}, neuron {}: {} is {}, expected {}",
                                   view.first + step, n, name, found, values[n]);
        }
        if (spikes(shape, view, step, n) != expected.spike[n])
            return fmt::format("timestep {}, neuron {}: spike, expected {}", view.first + step, n,
                               static_cast<bool>(expected.spike[n]));
    }
    const std::uint32_t rest = shape.n_neurons % 64;
    if (rest != 0 && view.spikes[shape.spike_words() * (step + 1) - 1] >> rest != 0)
        return fmt::format("timestep {}: unused spike bits are set", view.first + step);
    return {};
}

trace::BlockView read_block(GoldenSource& golden, std::uint32_t steps) {
    auto block = golden.read(steps);
    REQUIRE(block);
    REQUIRE(std::holds_alternative<trace::BlockView>(*block));
    return std::get<trace::BlockView>(std::move(*block));
}

std::unique_ptr<GoldenSource> make(const Network& net, Kernel kernel = Kernel::Auto) {
    auto golden = GoldenSource::create(net, {kernel});
    if (!golden) FAIL(golden.error().text());
    return std::move(*golden);
}

/// Random input of a network: events (some twice), currents in some runs, sample starts.
trace::StimulusBlock random_input(const Network& net, std::uint64_t seed, std::uint64_t first,
                                  std::uint32_t steps, bool currents) {
    const CounterRandom random(seed, 0x7465);
    trace::StimulusBlock block;
    block.first = first;
    block.n_steps = steps;
    block.event_begin.push_back(0);
    trace::SideBand band{"i_in", net.n_neurons(), {}};
    const std::int64_t limit = std::int64_t{1} << (net.arithmetic.acc_bits - 1);
    const auto scaled = [&](std::uint64_t bits) {
        // Mostly small, sometimes at the bounds of the accumulator.
        const auto kind = bits % 16;
        if (kind == 0) return limit - 1;
        if (kind == 1) return -limit;
        return (static_cast<std::int64_t>(bits) >> 8) % (limit / 8 + 1);
    };
    for (std::uint64_t t = first; t < first + steps; ++t) {
        const std::uint32_t offset = static_cast<std::uint32_t>(t - first);
        if (random.below(60, t, 1) == 0)
            block.begins.push_back({offset, random.below(2, t, 2) == 0 ? trace::StartState::Clear
                                                                       : trace::StartState::Reset});
        else if (random.below(60, t, 3) == 0)
            block.begins.push_back({offset, trace::StartState::Keep});
        for (std::uint32_t axon = 0; axon < net.n_axons(); ++axon) {
            const auto draw = random.below(100, t, 1000 + axon);
            if (draw < 10) block.events.push_back({axon, 0, 1});
            if (draw < 1) block.events.push_back({axon, 0, 1});
        }
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
        if (!currents) continue;
        for (std::uint32_t n = 0; n < net.n_neurons(); ++n) {
            const bool on = random.below(8, t, 100000 + n) == 0;
            band.values.push_back(on ? static_cast<std::int32_t>(scaled(random.bits(t, 200000 + n)))
                                     : 0);
        }
    }
    if (currents) block.side_bands.push_back(std::move(band));
    return block;
}

/// What the reference shows for a block that random_input made.
std::vector<Observed> run(Reference& reference, const Network& net,
                          const trace::StimulusBlock& block) {
    std::vector<Observed> out;
    std::size_t begin = 0;
    for (std::uint32_t s = 0; s < block.n_steps; ++s) {
        for (; begin < block.begins.size() && block.begins[begin].step == s; ++begin) {
            if (block.begins[begin].start != trace::StartState::Keep) reference.clear();
        }
        std::vector<std::uint32_t> axons;
        for (const auto& event : block.events_of(s)) axons.push_back(event.address);
        std::span<const std::int32_t> i_in;
        if (!block.side_bands.empty())
            i_in = std::span(block.side_bands[0].values)
                       .subspan(std::size_t{s} * net.n_neurons(), net.n_neurons());
        out.push_back(reference.step(axons, i_in));
    }
    return out;
}

/// One LIF neuron per entry of `neurons`, one axon to each with weight 1.
Network bank(std::vector<NeuronParams> neurons, Arithmetic a = {}) {
    Network net;
    net.name = "bank";
    net.arithmetic = a;
    const auto n = static_cast<std::uint32_t>(neurons.size());
    net.ports = {{"in", 0, n}};
    net.populations = {{"p", 0, n}};
    net.neurons = std::move(neurons);
    for (std::uint32_t i = 0; i <= 2 * n; ++i) net.row_begin.push_back(std::min(i, n));
    for (std::uint32_t i = 0; i < n; ++i) net.synapses.push_back({i, 1, 0});
    return net;
}

/// Applies currents to a one-neuron bank repeated `copies` times, returns (v, spike, refr) of each
/// timestep after checking that all copies agree.
std::vector<std::array<std::int64_t, 3>> drive(const NeuronParams& p, Arithmetic a, Kernel kernel,
                                               const std::vector<std::int32_t>& currents) {
    constexpr std::uint32_t kCopies = 70;  // whole vectors, a rest, and a second spike word
    const Network net = bank(std::vector<NeuronParams>(kCopies, p), a);
    auto golden = make(net, kernel);
    trace::StimulusBlock block;
    block.n_steps = static_cast<std::uint32_t>(currents.size());
    block.event_begin.assign(currents.size() + 1, 0);
    trace::SideBand band{"i_in", kCopies, {}};
    for (const auto i : currents) band.values.insert(band.values.end(), kCopies, i);
    block.side_bands.push_back(band);
    const Status submitted = golden->submit(block);
    if (!submitted) FAIL(submitted.error().text());
    const auto view = read_block(*golden, block.n_steps);
    const auto& shape = golden->shape();
    const int v = shape.field_index("v");
    const int refr = shape.field_index("refr");
    std::vector<std::array<std::int64_t, 3>> out;
    for (std::uint32_t s = 0; s < block.n_steps; ++s) {
        const auto at = [&](std::uint32_t n) {
            return std::array<std::int64_t, 3>{
                element(shape, view, static_cast<std::size_t>(v), s, n),
                spikes(shape, view, s, n) ? 1 : 0,
                refr < 0 ? 0 : element(shape, view, static_cast<std::size_t>(refr), s, n)};
        };
        for (std::uint32_t n = 1; n < kCopies; ++n) REQUIRE(at(n) == at(0));
        out.push_back(at(0));
    }
    return out;
}

using Steps = std::vector<std::array<std::int64_t, 3>>;  // v, spike, refr

auto all_kernels() { return Catch::Generators::from_range(available_kernels()); }

}  // namespace

TEST_CASE("golden/source: every kernel computes what the reference computes on random networks",
          "[golden][property]") {
    // More with SPIKELOCK_GOLDEN_NETWORKS=5000; with fewer than by default, branches may be missed.
    constexpr std::uint64_t kNetworks = 250;
    const char* const wanted = std::getenv("SPIKELOCK_GOLDEN_NETWORKS");
    const std::uint64_t networks =
        wanted == nullptr ? kNetworks : std::strtoull(wanted, nullptr, 10);
    constexpr std::uint32_t kSteps = 240;
    Coverage coverage;
    std::map<std::string, int> kernels_seen;
    for (std::uint64_t seed = 1; seed <= networks; ++seed) {
        auto drawn = random_network(seed);
        if (!drawn) FAIL(drawn.error().text());
        const Network& net = *drawn;
        const bool currents = seed % 3 == 0;
        const auto input = random_input(net, seed, 0, kSteps, currents);
        Reference reference(net);
        const auto expected = run(reference, net, input);
        for (const auto& [name, count] : reference.coverage.counts) coverage.counts[name] += count;
        for (const Kernel kernel : available_kernels()) {
            auto golden = make(net, kernel);
            ++kernels_seen[golden->kernel()];
            const CounterRandom sizes(seed, 3);
            std::uint32_t submitted = 0;
            std::uint32_t read = 0;
            for (std::uint64_t i = 0; read < kSteps; ++i) {
                // Blocks of any size; submitting runs ahead of reading.
                if (submitted < kSteps && sizes.below(2, i) == 0) {
                    const auto size = std::min(1 + sizes.below(50, i, 1), kSteps - submitted);
                    REQUIRE(golden->submit(random_input(net, seed, submitted, size, currents)));
                    submitted += size;
                }
                if (golden->in_flight() == 0) continue;
                const auto view = read_block(*golden, 1 + sizes.below(40, i, 2));
                REQUIRE(view.first == read);
                for (std::uint32_t s = 0; s < view.n_steps; ++s) {
                    const auto text = difference(golden->shape(), view, s, expected[read + s]);
                    if (!text.empty())
                        FAIL("network " << seed << ", " << golden->kernel() << ": " << text);
                }
                read += view.n_steps;
            }
        }
    }
    const char* const branches[] = {"acc saturates high",
                                    "acc saturates low",
                                    "acc wraps high",
                                    "acc wraps low",
                                    "cuba filter",
                                    "delayed delivery",
                                    "delivery within the sweep",
                                    "equal, compare >",
                                    "equal, compare >=",
                                    "inexact away from zero, negative",
                                    "inexact away from zero, positive",
                                    "inexact floor, negative",
                                    "inexact floor, positive",
                                    "inexact nearest even, negative",
                                    "inexact nearest even, positive",
                                    "inexact toward zero, negative",
                                    "inexact toward zero, positive",
                                    "input dropped in refractory period",
                                    "integrator above threshold",
                                    "negative leak, multiply",
                                    "negative leak, shift",
                                    "negative v",
                                    "refractory hold",
                                    "reset by subtraction",
                                    "reset to value",
                                    "subtracted v saturates high",
                                    "u saturates high",
                                    "u wraps high",
                                    "v saturates high",
                                    "v saturates low",
                                    "v wraps high",
                                    "v wraps low"};
    for (const auto& [name, count] : coverage.counts)
        std::cout << fmt::format("{:>12}  {}\n", count, name);
    std::cout << fmt::format("{:>12}  different kernels\n", kernels_seen.size());
    if (networks < kNetworks) return;
    for (const char* const branch : branches) {
        INFO("branch '" << branch << "'");
        CHECK(coverage.counts[branch] >= 100);
    }
}

TEST_CASE("golden/source: a random network fires in 1 to 50 percent of neuron-timesteps",
          "[golden][property]") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        auto net = random_network(seed);
        if (!net) FAIL(net.error().text());
        auto golden = make(*net);
        auto stimulus =
            make_poisson_stimulus({.axons = net->n_axons(), .n_steps = 1000, .seed = seed + 99});
        REQUIRE(stimulus);
        REQUIRE(golden->submit((*stimulus)->block(0, 1000)));
        const auto view = read_block(*golden, 1000);
        double count = 0;
        for (const auto word : view.spikes) count += std::popcount(word);
        const double share = count / (1000.0 * net->n_neurons());
        CAPTURE(seed, share);
        CHECK(share >= 0.01);
        CHECK(share <= 0.5);
    }
    // Equal arguments, equal networks.
    const auto once = random_network(3);
    const auto again = random_network(3);
    REQUIRE(once);
    CHECK(once->synapses == again->synapses);
    CHECK(once->neurons == again->neurons);
    CHECK(once->arithmetic == again->arithmetic);
}

TEST_CASE("golden/source: a potential equal to the threshold fires with >= and not with >",
          "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const NeuronParams p{.threshold = 100};
    Arithmetic a{.v_bits = 8, .acc_bits = 9};
    // Without leak: v adds up to 99, 100, 101.
    CHECK(drive(p, a, kernel, {99, 1, 1}) == Steps{{99, 0, 0}, {0, 1, 0}, {1, 0, 0}});
    a.compare = Compare::Greater;
    CHECK(drive(p, a, kernel, {99, 1, 1}) == Steps{{99, 0, 0}, {100, 0, 0}, {0, 1, 0}});
}

TEST_CASE("golden/source: the largest threshold is never exceeded", "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const int bits = GENERATE(8, 30, 31, 32);
    CAPTURE(bits);
    const auto top = static_cast<std::int32_t>((std::int64_t{1} << (bits - 1)) - 1);
    Arithmetic a{.v_bits = bits, .acc_bits = bits, .compare = Compare::Greater};
    const NeuronParams p{.threshold = top};
    CHECK(drive(p, a, kernel, {top, top}) == Steps{{top, 0, 0}, {top, 0, 0}});
    a.compare = Compare::GreaterEqual;
    CHECK(drive(p, a, kernel, {top, -top}) == Steps{{0, 1, 0}, {-top, 0, 0}});
    const NeuronParams integrator{.threshold = -5, .spiking = false};
    CHECK(drive(integrator, a, kernel, {top, top}) == Steps{{top, 0, 0}, {top, 0, 0}});
}

TEST_CASE("golden/source: potentials wrap or saturate at their width", "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const NeuronParams p{.threshold = 127, .spiking = false};
    Arithmetic a{.v_bits = 8, .acc_bits = 9};
    CHECK(drive(p, a, kernel, {100, 100, -255, -120}) ==
          Steps{{100, 0, 0}, {127, 0, 0}, {-128, 0, 0}, {-128, 0, 0}});
    a.v_overflow = Overflow::Wrap;
    CHECK(drive(p, a, kernel, {100, 100, -255, -120}) ==
          Steps{{100, 0, 0}, {-56, 0, 0}, {-55, 0, 0}, {81, 0, 0}});
}

TEST_CASE("golden/source: a refractory neuron holds its potential and drops its input",
          "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const std::uint32_t period = GENERATE(0U, 1U, 3U);
    const NeuronParams p{.threshold = 10, .v_reset = -3, .refractory = period};
    Steps expected{{-3, 1, period}};
    for (std::uint32_t left = period; left > 0; --left) expected.push_back({-3, 0, left - 1});
    // The first input after the period counts again.
    expected.push_back({4, 0, 0});
    std::vector<std::int32_t> currents(expected.size(), 7);
    currents[0] = 12;
    CHECK(drive(p, {}, kernel, currents) == expected);
}

TEST_CASE("golden/source: a neuron starts with v_init, not with its reset value",
          "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const NeuronParams p{.threshold = 10, .v_reset = -3, .v_init = 7};
    CHECK(drive(p, {}, kernel, {1, 2, 1}) == Steps{{8, 0, 0}, {-3, 1, 0}, {-2, 0, 0}});
}

TEST_CASE("golden/source: reset sets the value or subtracts the threshold", "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const NeuronParams p{.threshold = 10, .v_reset = 2};
    Arithmetic a;
    CHECK(drive(p, a, kernel, {27, 0}) == Steps{{2, 1, 0}, {2, 0, 0}});
    a.reset_mode = ResetMode::Subtract;
    // What is left still exceeds the threshold and fires again.
    CHECK(drive(p, a, kernel, {27, 0, 0}) == Steps{{17, 1, 0}, {7, 1, 0}, {7, 0, 0}});
    // A negative threshold subtracted from a large potential overflows.
    const NeuronParams q{.threshold = -100};
    a.v_bits = 8;
    a.acc_bits = 9;
    CHECK(drive(q, a, kernel, {100}) == Steps{{127, 1, 0}});
    a.v_overflow = Overflow::Wrap;
    CHECK(drive(q, a, kernel, {100}) == Steps{{-56, 1, 0}});
}

TEST_CASE("golden/source: a negative potential leaks as its rounding says", "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    struct Row {
        Rounding mode;
        std::int64_t shift, multiply;
    };
    // v = -5 -> -5 - rnd(-5/2) with a shift of 1, rnd(-5 * 3 / 8) with a multiplier.
    const auto row =
        GENERATE(Row{Rounding::Floor, -2, -2}, Row{Rounding::TowardZero, -3, -1},
                 Row{Rounding::AwayFromZero, -2, -2}, Row{Rounding::NearestEven, -3, -2});
    Arithmetic a{.leak_frac = 3, .rounding = row.mode};
    CHECK(drive({.threshold = 99, .leak = 1}, a, kernel, {-5, 0})[1][0] == row.shift);
    a.leak_mode = LeakMode::Multiply;
    CHECK(drive({.threshold = 99, .leak = 3}, a, kernel, {-5, 0})[1][0] == row.multiply);
}

TEST_CASE("golden/source: a spike acts in its own timestep only on later neurons",
          "[golden][unit]") {
    const Kernel kernel = GENERATE(all_kernels());
    const std::uint32_t gap = GENERATE(1U, 2U, 9U, 30U);  // distance of the delay-0 target: chunks
    CAPTURE(gap);
    Network net = bank(std::vector<NeuronParams>(100, {.threshold = 1}));
    net.synapses.clear();
    net.row_begin.assign(1, 0);
    net.synapses.push_back({0, 1, 0});
    net.row_begin.insert(net.row_begin.end(), 100, 1);
    for (std::uint32_t n = 0; n < 100; ++n) {
        if (n + gap < 100) net.synapses.push_back({n + gap, 1, 0});
        if (n == 50) net.synapses.push_back({1, 1, 1});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    auto golden = make(net, kernel);
    trace::StimulusBlock block;
    block.n_steps = 2;
    block.event_begin = {0, 1, 1};
    block.events = {{0, 0, 1}};
    REQUIRE(golden->submit(block));
    const auto view = read_block(*golden, 2);
    for (std::uint32_t n = 0; n < 100; ++n) {
        CHECK(spikes(golden->shape(), view, 0, n) == (n % gap == 0));
        CHECK(spikes(golden->shape(), view, 1, n) ==
              (50 % gap == 0 && n % gap == 1 % gap && n >= 1));
    }
}

TEST_CASE("golden/source: input outside the network is an error that names it", "[golden][unit]") {
    auto golden = make(bank({2, NeuronParams{}}, {.acc_bits = 8}));
    trace::StimulusBlock good;
    good.first = 5;
    good.n_steps = 3;
    good.event_begin = {0, 0, 1, 2};
    good.events = {{0, 0, 1}, {1, 0, 1}};
    const auto refused = [&](const trace::StimulusBlock& block, Errc code, const char* text) {
        const Status status = golden->submit(block);
        REQUIRE_FALSE(status);
        CHECK(status.error().code == code);
        CHECK_THAT(status.error().text(), ContainsSubstring(text));
        CHECK(golden->in_flight() == 0);
    };
    auto bad = good;
    bad.events[1].address = 2;
    refused(bad, Errc::BadConfig, "timestep 7: event for axon 2 of port 'in', which has 2 axons");
    bad = good;
    bad.events[0].port = 1;
    refused(bad, Errc::BadConfig, "timestep 6: event for axon 0 of port 1");
    bad = good;
    bad.events[0].payload = 3;
    refused(bad, Errc::Unsupported, "payload 3");
    bad = good;
    bad.event_begin[3] = 3;
    refused(bad, Errc::BadConfig, "event_begin");
    bad = good;
    bad.side_bands = {{"i_in", 2, {0, 0, 0, 0, 0, 128}}};
    refused(bad, Errc::BadConfig, "timestep 7: i_in of neuron 1 is 128, expected -128..127");
    bad.side_bands = {{"i_in", 2, {0, 0, 0, 0, 0}}};
    refused(bad, Errc::BadConfig, "side band 'i_in' has 5 values");
    bad.side_bands = {{"mode", 2, {}}};
    refused(bad, Errc::Unsupported, "side band 'mode'");
    bad = good;
    bad.begins = {{1, trace::StartState::Snapshot}};
    refused(bad, Errc::Unsupported, "timestep 6");
    bad.begins = {{3, trace::StartState::Clear}};
    refused(bad, Errc::BadConfig, "sample starts");

    REQUIRE(golden->submit(good));
    CHECK(golden->in_flight() == 3);
    const Status gap = golden->submit(good);
    REQUIRE_FALSE(gap);
    CHECK_THAT(gap.error().text(), ContainsSubstring("before timestep 8"));
    CHECK(read_block(*golden, 2).first == 5);
    CHECK(read_block(*golden, 2).n_steps == 1);
    const auto end = golden->read(1);
    REQUIRE(end);
    REQUIRE(std::holds_alternative<trace::SourceEnd>(*end));
    CHECK(std::get<trace::SourceEnd>(*end).kind == trace::EndKind::Complete);
    CHECK(std::get<trace::SourceEnd>(*end).timestep == 8);
}

TEST_CASE("golden/source: a run continues from a state as if it had not been interrupted",
          "[golden][property]") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        const auto net = random_network(seed);
        REQUIRE(net);
        const auto kernels = available_kernels();
        auto whole = make(*net, kernels[seed % kernels.size()]);
        auto second = make(*net, kernels[(seed + 1) % kernels.size()]);
        auto first_half = random_input(*net, seed, 0, 100, false);
        auto second_half = random_input(*net, seed, 100, 100, false);
        first_half.begins.clear();
        second_half.begins.clear();
        REQUIRE(whole->submit(first_half));
        REQUIRE(whole->submit(second_half));
        read_block(*whole, 100);
        const GoldenState state = whole->get_state();
        REQUIRE(second->set_state(state));
        CHECK(second->get_state() == state);
        REQUIRE(second->submit(second_half));
        const auto a = read_block(*whole, 100);
        const auto b = read_block(*second, 100);
        CHECK(std::ranges::equal(a.spikes, b.spikes));
        for (std::size_t f = 0; f < a.fields.size(); ++f)
            CHECK(std::ranges::equal(a.fields[f], b.fields[f]));
        CHECK(whole->get_state() == second->get_state());
    }
    auto golden = make(bank({2, NeuronParams{.refractory = 2}}));
    const GoldenState good = golden->get_state();
    const auto refused = [&](auto change, const char* text) {
        GoldenState state = good;
        change(state);
        const Status status = golden->set_state(state);
        REQUIRE_FALSE(status);
        CHECK_THAT(status.error().text(), ContainsSubstring(text));
        CHECK(golden->get_state() == good);
    };
    refused([](GoldenState& s) { s.v[1] = 32768; }, "v[1] is 32768, expected 16 bits");
    refused([](GoldenState& s) { s.u.pop_back(); }, "u has 1 elements, expected 2");
    refused([](GoldenState& s) { s.u[0] = 1; }, "u[0] is 1");
    refused([](GoldenState& s) { s.refr[0] = 3; }, "refr[0] is 3, expected 0..2");
    refused([](GoldenState& s) { s.acc[7] = 1 << 19; }, "acc[7]");
    refused([](GoldenState& s) { s.slot = 4; }, "slot is 4");
}

TEST_CASE("golden/source: the kernel is named and can be chosen", "[golden][unit]") {
    const Network narrow = bank({{.threshold = 9, .leak = 3}});
    CHECK(make(narrow, Kernel::Scalar)->kernel() == "lif/shift/saturate/i64/scalar");
    CHECK(make(narrow, Kernel::Generic)->kernel() == "lif/shift/saturate/i32/generic");
    CHECK(make(bank({{.refractory = 1}}, {.v_bits = 31, .v_overflow = Overflow::Wrap}),
               Kernel::Generic)
              ->kernel() == "if/none/wrap/refractory/i64/generic");
    CHECK(make(bank({{.leak = 9, .cuba = true}, {.leak = 4096}},
                    {.leak_mode = LeakMode::Multiply, .reset_mode = ResetMode::Subtract}),
               Kernel::Generic)
              ->kernel() ==
          "cuba/multiply/saturate/subtract+if/none/saturate/subtract/i32/generic");
    for (const Kernel kernel : available_kernels()) {
        const auto named = kernel_of(name_of(kernel));
        REQUIRE(named);
        CHECK(*named == kernel);
    }
    CHECK_FALSE(kernel_of("sse"));
}

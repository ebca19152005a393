// SPDX-License-Identifier: Apache-2.0
// Each preset against an example computed by hand from the public description that it follows, and
// what no preset shows: counts, the FIFO of a closed loop, orders of events, errors.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "spikelock/golden/described_source.hpp"

using namespace spikelock;
using namespace spikelock::golden;

namespace {

/// Axons with one weight each to all neurons; neurons without synapses.
Network network_of(std::uint32_t neurons, std::vector<std::int16_t> axons, NeuronParams params) {
    Network net;
    net.arithmetic.weight_bits = 16;
    net.ports = {{"in", 0, static_cast<std::uint32_t>(axons.size())}};
    net.populations = {{"all", 0, neurons}};
    net.neurons.assign(neurons, params);
    net.row_begin.push_back(0);
    for (const std::int16_t weight : axons) {
        for (std::uint32_t n = 0; n < neurons; ++n) net.synapses.push_back({n, weight, 0});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    for (std::uint32_t n = 0; n < neurons; ++n)
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    return net;
}

Result<Description> description_of(const Network& net, std::string_view toml) {
    Result<Setting> settings = settings_from_text(toml);
    if (!settings) return settings.error();
    Description d = describe(net);
    if (Status applied = apply(*settings, d); !applied) return applied.error();
    return d;
}

std::unique_ptr<DescribedSource> source_of(const Network& net, std::string_view toml) {
    const auto description = description_of(net, toml);
    if (!description) FAIL(description.error().text());
    auto source = DescribedSource::create(net, *description);
    if (!source) FAIL(source.error().text());
    return std::move(*source);
}

trace::StimulusBlock block_of(const std::vector<std::vector<std::uint32_t>>& events) {
    trace::StimulusBlock block;
    block.n_steps = static_cast<std::uint32_t>(events.size());
    block.event_begin.push_back(0);
    for (const auto& step : events) {
        for (const std::uint32_t axon : step) block.events.push_back({axon, 0, 1});
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
    }
    return block;
}

using Row = std::vector<std::int64_t>;

/// A field of one neuron, or its spikes, timestep by timestep.
Row row_of(const DescribedSource& source, const trace::BlockView& view, std::string_view field,
           std::uint32_t neuron) {
    const trace::Shape& shape = source.shape();
    Row out;
    for (std::uint32_t s = 0; s < view.n_steps; ++s) {
        const std::size_t at = std::size_t{s} * shape.n_neurons + neuron;
        if (field == "spike") {
            const std::uint64_t word = view.spikes[shape.spike_words() * s + neuron / 64];
            const std::uint64_t bit = (word >> (neuron % 64)) & 1;
            out.push_back(static_cast<std::int64_t>(shape.counts ? view.counts[at] : bit));
            continue;
        }
        const int index = shape.field_index(field);
        REQUIRE(index >= 0);
        const auto f = static_cast<std::size_t>(index);
        const auto bytes = static_cast<std::size_t>(shape.fields[f].bytes);
        std::uint64_t raw = 0;
        std::memcpy(&raw, view.fields[f].data() + at * bytes, bytes);
        const auto unused = static_cast<int>(64 - 8 * bytes);
        out.push_back(shape.fields[f].is_signed ? static_cast<std::int64_t>(raw << unused) >> unused
                                                : static_cast<std::int64_t>(raw));
    }
    return out;
}

trace::BlockView read_all(DescribedSource& source,
                          const std::vector<std::vector<std::uint32_t>>& events) {
    const Status submitted = source.submit(block_of(events));
    if (!submitted) FAIL(submitted.error().text());
    auto got = source.read(1000);
    if (!got) FAIL(got.error().text());
    return std::get<trace::BlockView>(*got);
}

struct Example {
    std::string name;
    std::string toml;
    std::vector<std::int16_t> axons;
    NeuronParams params;
    std::vector<std::vector<std::uint32_t>> events;
    Row v, spikes;
};

const std::vector<Example>& examples() {
    static const std::vector<Example> kExamples{
        // 7 | 4 + 7 + 7 fires | 7 - 7 - 7 stops at 0 | 7 | then only the leak of 3 of each tick
        {"odin",
         "preset = \"odin\"\n",
         {7, -7},
         {.threshold = 15, .leak = 3},
         {{0}, {0, 0}, {0, 1, 1}, {0}, {}, {}},
         {4, 0, 0, 4, 1, 0},
         {0, 1, 0, 0, 0, 0}},
        // 255 is where the byte ends
        {"odin at the ends of its byte",
         "preset = \"odin\"\nleak.amount = 0\nthreshold.value = 256\n",
         {100, -7},
         {},
         {{0, 0, 0}, {1}, {1, 1}},
         {255, 248, 234},
         {0, 0, 0}},
        // -8 | -6 - 16 | -20 + 7 | leak | -9 + 21 = 12 fires
        {"tinyodin",
         "preset = \"tinyodin\"\n",
         {7, -8},
         {.threshold = 12, .leak = 2},
         {{1}, {1, 1}, {0}, {}, {0, 0, 0}},
         {-6, -20, -11, -9, 0},
         {0, 0, 0, 0, 1}},
        // leak -1; 10 - 1 | 9 + 5 - 1 fires, less 10 | 3 - 9 - 1 | -7 - 9 - 1 is below -12: plus 12
        {"ranc",
         "preset = \"ranc\"\nsynapse.types = [0, 1]\nsynapse.weights = [5, -9]\n"
         "threshold.negative = -12\n",
         {1, 1},
         {.threshold = 10, .leak = 1},
         {{0, 0}, {0}, {1}, {1}, {}},
         {9, 3, -7, -5, -6},
         {0, 1, 0, 0, 0}},
        {"truenorth",
         "preset = \"truenorth\"\nsynapse.types = [0, 1]\nsynapse.weights = [5, -9]\n"
         "threshold.negative = -12\n",
         {1, 1},
         {.threshold = 10, .v_reset = 2, .leak = 1},
         {{0, 0}, {0}, {1}, {1}, {}},
         {9, 2, -8, -12, -12},
         {0, 1, 0, 0, 0}},
        // u: 192, 96 + 192, 144, 72 - 192, -60; v takes 3/4 of itself, u and the bias 5
        {"loihi",
         "preset = \"loihi\"\n",
         {3, -3},
         {.threshold = 300, .bias = 5, .leak = 3072, .u_decay = 2048},
         {{0}, {0}, {}, {1}, {}},
         {197, 0, 149, 111 - 120 + 5, -3 - 60 + 5},
         {0, 1, 0, 0, 0}},
        // beta = 1/2: 8 | 12 fires | 6 + 8 - 10 | 2 + 8 is not above | 13 fires | 6 - 10
        {"snntorch_subtract",
         "preset = \"snntorch_subtract\"\nleak.frac = 1\n",
         {8},
         {.threshold = 10, .leak = 1},
         {{0}, {0}, {0}, {0}, {0}, {}},
         {8, 12, 4, 10, 13, -4},
         {0, 1, 0, 0, 1, 0}},
        {"snntorch_zero",
         "preset = \"snntorch_zero\"\nleak.frac = 1\n",
         {8},
         {.threshold = 10, .leak = 1},
         {{0}, {0}, {0}, {0}, {0}, {}},
         {8, 12, 0, 8, 12, 0},
         {0, 1, 0, 0, 1, 0}},
    };
    return kExamples;
}

/// One neuron that fires at each event of weight 10 and inhibits nobody; neuron n has a synapse of
/// weight 10 to neuron n + 1.
Network chain_of(std::uint32_t neurons) {
    Network net = network_of(neurons, {10}, {.threshold = 10});
    net.synapses.clear();
    net.row_begin = {0};
    net.synapses.push_back({0, 10, 0});
    net.row_begin.push_back(1);
    for (std::uint32_t n = 0; n < neurons; ++n) {
        if (n + 1 < neurons) net.synapses.push_back({n + 1, 10, 1});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    return net;
}

constexpr std::string_view kEvent =
    "semantics = \"event\"\nmodel = \"if\"\nreset.kind = \"zero\"\n";

}  // namespace

TEST_CASE("golden/presets: an example computed by hand comes out", "[golden][unit]") {
    const std::size_t i = GENERATE(range(std::size_t{0}, examples().size()));
    const Example& example = examples()[i];
    CAPTURE(example.name);
    const auto source = source_of(network_of(1, example.axons, example.params), example.toml);
    const trace::BlockView view = read_all(*source, example.events);
    CHECK(row_of(*source, view, "v", 0) == example.v);
    CHECK(row_of(*source, view, "spike", 0) == example.spikes);
}

TEST_CASE("golden/presets: each preset has an example", "[golden][unit]") {
    for (const Preset& preset : presets()) {
        CAPTURE(preset.name);
        CHECK(std::ranges::any_of(examples(), [&](const Example& e) {
            return e.toml.find("\"" + std::string(preset.name) + "\"") != std::string::npos;
        }));
    }
}

TEST_CASE("golden/described: the manual names every key", "[golden][unit]") {
    std::ifstream file(SPIKELOCK_DOCS "/golden.md");
    const std::string manual{std::istreambuf_iterator<char>(file), {}};
    REQUIRE(!manual.empty());
    for (const std::string& key : description_keys()) {
        CAPTURE(key);
        const std::size_t dot = key.rfind('.');
        const std::string name = dot == std::string::npos ? key : key.substr(dot + 1);
        CHECK((manual.find("`" + key + "`") != std::string::npos ||
               manual.find(name) != std::string::npos));
    }
    for (const Preset& preset : presets()) {
        CAPTURE(preset.name);
        CHECK(manual.find("`" + std::string(preset.name) + "`") != std::string::npos);
    }
}

TEST_CASE("golden/described: a neuron may fire several times in a timestep", "[golden][unit]") {
    const auto source = source_of(chain_of(3), kEvent);
    CHECK(source->shape().counts);
    const trace::BlockView view = read_all(*source, {{0, 0, 0}, {}, {0}});
    for (const std::uint32_t n : {0U, 1U, 2U}) {
        CAPTURE(n);
        CHECK(row_of(*source, view, "spike", n) == Row{3, 0, 1});
    }
}

TEST_CASE("golden/described: a full FIFO drops the spike but not the reset", "[golden][unit]") {
    // One event makes all four neurons fire; the FIFO holds two of the spikes, which then make
    // their successors fire again.
    Network net = chain_of(4);
    net.synapses.insert(net.synapses.begin() + 1, {{1, 10, 0}, {2, 10, 0}, {3, 10, 0}});
    for (std::size_t i = 1; i < net.row_begin.size(); ++i) net.row_begin[i] += 3;
    const std::string two = std::string(kEvent) + "event.fifo_depth = 2\n";
    const auto [output, expected] = GENERATE(table<std::string, Row>({
        // Spikes of 0 and 1 wait; 0's makes 1 fire, 1's two spikes make 2 fire twice, 2's make 3.
        {"fired", {1, 2, 3, 3}},
        {"accepted", {1, 2, 2, 2}},
        {"taken", {1, 2, 2, 2}},
    }));
    CAPTURE(output);
    const auto source = source_of(net, two + "event.output = \"" + output + "\"\n");
    const trace::BlockView view = read_all(*source, {{0}});
    Row counts;
    for (const std::uint32_t n : {0U, 1U, 2U, 3U}) {
        counts.push_back(row_of(*source, view, "spike", n)[0]);
        CHECK(row_of(*source, view, "v", n) == Row{0});
    }
    CHECK(counts == expected);
}

TEST_CASE("golden/described: an order that cannot have been is refused", "[golden][unit]") {
    using trace::TakenEvent;
    constexpr std::uint16_t kOwn = TakenEvent::kInternal;
    const auto [order, message] = GENERATE(table<std::vector<TakenEvent>, std::string>({
        {{{0, 0, 0}, {0, 0, kOwn}, {0, 1, kOwn}}, ""},
        {{{0, 0, kOwn}},
         "timestep 0: event 0 that the core took is the spike of neuron 0, "
         "expected none: no spike is waiting"},
        {{{0, 0, 0}, {0, 1, kOwn}},
         "timestep 0: event 1 that the core took is the spike of neuron 1, expected that of neuron "
         "0, which waits first"},
        {{{0, 0, 0}, {0, 0, 0}},
         "timestep 0: event 1 that the core took is axon 0 of port 0, on which nothing more was "
         "sent"},
        {std::vector<TakenEvent>{}, "timestep 0: the core took 0 of the 1 events that were sent"},
        {{{0, 0, 0}, {0, 0, kTickPort}, {0, 0, kTickPort}}, "timestep 0: event 2 is a second tick"},
    }));
    const auto source = source_of(chain_of(3), kEvent);
    REQUIRE(source->submit(block_of({{0}})));
    auto* const taker = dynamic_cast<trace::OrderTaker*>(source.get());
    REQUIRE(taker != nullptr);
    REQUIRE(taker->give_order(1, order));
    const auto got = source->read(1);
    if (message.empty()) {
        REQUIRE(got);
        const auto& view = std::get<trace::BlockView>(*got);
        CHECK(row_of(*source, view, "spike", 2) == Row{1});
    } else {
        REQUIRE(!got);
        CHECK(got.error().code == Errc::Mismatch);
        CHECK(got.error().text() == message);
    }
}

TEST_CASE("golden/described: a loop that never rests is an error", "[golden][unit]") {
    Network net = chain_of(2);
    net.synapses.push_back({0, 10, 1});  // neuron 1 to 0
    net.row_begin.back() = static_cast<std::uint32_t>(net.synapses.size());
    const auto source = source_of(net, std::string(kEvent) + "event.limit = 50\n");
    REQUIRE(source->submit(block_of({{0}})));
    const auto got = source->read(1);
    REQUIRE(!got);
    CHECK(got.error().code == Errc::Limit);
    CHECK(got.error().text() ==
          "timestep 0: more than 50 events: the closed loop does not come to "
          "rest (golden.event.limit)");
}

TEST_CASE("golden/described: what cannot be is told", "[golden][unit]") {
    const auto [toml, message] = GENERATE(table<std::string, std::string>({
        {"threshhold.value = 3\n",
         "unknown key 'threshhold.value' in [golden]; did you mean 'threshold'"},
        {"leak.rounding = \"flor\"\n", "got 'flor'; did you mean 'floor'"},
        {"v.bits = 99\n", "line 1: golden.v.bits: expected 2..48, got 99"},
        {"v.bits = \"many\"\n", "expected an integer, got a string"},
        {"preset = \"odn\"\n", "got 'odn'; did you mean 'odin'"},
        {"order = [\"leak\", \"leak\"]\n", "a stage stands here twice"},
        {"reset.kind = \"zero\"\nrefractory.steps = [1, 2]\n",
         "line 2: golden.refractory.steps: has 2 numbers, expected 1: one for each neuron"},
        {"threshold.value = {hidden = 3}\n",
         "the network has no population 'hidden', expected one of 'all'"},
        {"v.overflow = {low = -5, high = 3}\nv.bits = 3\n",
         "golden.v: the bound -5 of the overflow does not fit in 3 signed bits"},
        {"leak.rounding = \"stochastic\"\nleak.amount = 2\n",
         "golden.noise: 'stochastic' rounding needs one [[golden.noise]] with use = \"rounding\", "
         "found 0"},
        {"noise = [{bits = 4}]\n", "missing key 'taps'"},
        {"noise = [{bits = 4, taps = 12, seed = 0}]\n", "the register never leaves the value 0"},
        {"noise = [{bits = 4, taps = 12, lsb = 3, width = 2}]\n",
         "bits 3..4 are beyond the register's 4"},
        {"leak.when = \"lazy\"\n", "golden.leak.when: 'lazy' needs semantics = \"event\""},
        {"leak.input = \"inside\"\nleak.kind = \"constant\"\n",
         "golden.leak.input: 'inside' needs a leak that shifts or multiplies"},
        {"u.leak.when = \"lazy\"\n",
         "golden.u.leak: 'when' and 'input' are for the leak of v only"},
        {"semantics = \"event\"\nleak.when = \"lazy\"\non_tick = []\n",
         "golden.on_event: a lazy leak happens at events; expected 'leak' here"},
        {"leak.kind = \"multiply\"\nleak.amount = 109951162777600\nv.bits = 48\n",
         "golden.leak: the numbers may exceed 62 bits here"},
        {"synapse.types = [0, 1, 1]\nsynapse.weights = [1, 2]\n",
         "golden.synapse.types: has 3 types, expected 1 (axons) or 2"},
        {"rest = \"network\"\n", "the network has no such parameter; expected a number"},
    }));
    CAPTURE(toml);
    const Network net = network_of(1, {1}, {});
    const auto description = description_of(net, toml);
    std::string text;
    if (!description) {
        text = description.error().text();
    } else {
        const auto source = DescribedSource::create(net, *description);
        REQUIRE(!source);
        text = source.error().text();
    }
    CAPTURE(text);
    CHECK(text.find(message) != std::string::npos);
}

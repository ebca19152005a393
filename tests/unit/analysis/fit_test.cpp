// SPDX-License-Identifier: Apache-2.0
// The core is tests/unit/analysis/simulator.cpp, which follows docs/model.md on its own, under
// another description than the one that the search starts from.
#include "spikelock/analysis/fit.hpp"

#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include "simulator.hpp"
#include "spikelock/base/random.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/golden/random_network.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace {
using namespace spikelock;
using analysis::FitChange;
using analysis::FitReport;
using Values = std::vector<std::pair<std::string, std::string>>;

constexpr std::uint64_t kSteps = 256;

/// Every branch of the arithmetic is reached: little headroom, decays that leave remainders.
golden::Network busy_network(std::uint64_t seed) {
    golden::RandomNetworkOptions options;
    options.min_neurons = options.max_neurons = 24;
    options.min_axons = options.max_axons = 12;
    options.max_synapses = 600;
    options.random_widths = options.random_modes = false;
    options.arithmetic.v_bits = 9;
    options.arithmetic.u_bits = 10;
    options.arithmetic.acc_bits = 9;
    options.arithmetic.weight_bits = 6;
    options.arithmetic.leak_frac = 6;
    options.min_activity = 0.05;
    for (std::uint64_t k = 0; k < 200; ++k) {
        auto net = golden::random_network(seed * 1000 + k, options);
        if (!net) continue;
        const auto set = [&](auto predicate) {
            return std::ranges::count_if(net->neurons, predicate) > 2;
        };
        using P = golden::NeuronParams;
        // Room for one more in every parameter.
        const bool room = std::ranges::all_of(net->neurons, [](const P& p) {
            return p.refractory < 200 && p.leak < 60 && p.u_decay < 60;
        });
        if (room && set([](const P& p) { return p.cuba; }) &&
            set([](const P& p) { return !p.cuba; }) &&
            set([](const P& p) { return p.refractory > 0 && p.refractory < 6; }) &&
            set([](const P& p) { return p.leak > 0; }))
            return *net;
    }
    FAIL("no busy network");
    return {};
}

golden::Network changed(const golden::Network& net, const Values& values) {
    std::vector<FitChange> changes;
    for (const auto& [option, value] : values) changes.push_back({option, {}, value, {}, {}});
    const auto result = analysis::apply_changes(net, changes);
    REQUIRE(result);
    return *result;
}

FitReport fitted(const golden::Network& start, const golden::Network& core,
                 const trace::Stimulus& stimulus, const analysis::FitOptions& options = {}) {
    const auto report = analysis::fit_description(
        start, stimulus, analysis::test::simulate(core, stimulus), options);
    REQUIRE(report);
    return *report;
}

std::string text(const Values& values) {
    std::string all;
    for (const auto& [option, value] : values) all += option + "=" + value + " ";
    return all;
}

std::string text(const FitReport& report) {
    std::string all;
    for (const auto& list : {report.explanations, report.best}) {
        for (const auto& c : list) {
            all += c.explains ? "explains:" : "up to " + std::to_string(c.updates) + ":";
            for (const auto& change : c.changes) all += " " + change.option + "=" + change.to;
            for (const auto& free : c.free) {
                all += " [" + free.option;
                for (const auto& value : free.others) all += " " + value;
                all += "]";
            }
            all += "\n";
        }
    }
    return all;
}

/// Every explanation, and every value that is said to be as good, must reproduce the core.
void check_explanations(const FitReport& report, const golden::Network& start,
                        const golden::Network& core, const trace::Stimulus& stimulus) {
    const trace::ExecutionTrace recorded = analysis::test::simulate(core, stimulus);
    const auto same = [&](const std::vector<FitChange>& changes) {
        const auto net = analysis::apply_changes(start, changes);
        REQUIRE(net);
        const trace::ExecutionTrace own = analysis::test::simulate(*net, stimulus);
        for (std::uint64_t t = 0; t < recorded.n_steps(); ++t) {
            for (std::uint32_t n = 0; n < recorded.n_neurons(); ++n) {
                if (own.spike(t, n) != recorded.spike(t, n)) return false;
                for (std::size_t f = 0; f < recorded.shape().fields.size(); ++f) {
                    const int o = own.shape().field_index(recorded.shape().fields[f].name);
                    const auto value = o < 0 ? 0 : own.raw(static_cast<std::size_t>(o), t, n);
                    if (value != recorded.raw(f, t, n)) return false;
                }
            }
        }
        return true;
    };
    for (const auto& e : report.explanations) {
        CHECK(same(e.changes));
        for (const auto& free : e.free) {
            CAPTURE(free.option, free.others.front());
            auto changes = e.changes;
            std::erase_if(changes, [&](const FitChange& c) { return c.option == free.option; });
            changes.push_back({free.option, {}, free.others.front(), {}, {}});
            CHECK(same(changes));
        }
    }
}

const std::vector<Values>& single_changes() {
    static const std::vector<Values> all = {{{"leak_mode", "multiply"}},
                                            {{"rounding", "toward_zero"}},
                                            {{"rounding", "away_from_zero"}},
                                            {{"rounding", "nearest_even"}},
                                            {{"v_overflow", "wrap"}},
                                            {{"acc_overflow", "saturate"}},
                                            {{"compare", ">"}},
                                            {{"reset_mode", "subtract"}},
                                            {{"v_bits", "10"}},
                                            {{"acc_bits", "10"}},
                                            {{"u_bits", "9"}},
                                            {{"refractory", "-1"}},
                                            {{"refractory", "+1"}},
                                            {{"refractory", "+1 where not 0"}},
                                            {{"leak", "-1"}},
                                            {{"leak", "+1"}},
                                            {{"leak", "no leak"}},
                                            {{"u_decay", "+1"}},
                                            {{"v_reset", "0"}},
                                            {{"bias", "0"}}};
    return all;
}
}  // namespace

TEST_CASE("fit finds every single change of the arithmetic", "[analysis][property]") {
    const golden::Network start = busy_network(Catch::getSeed() % 1000);
    const auto stimulus = analysis::test::input_for(start, 5, kSteps);
    for (Values values : single_changes()) {
        const golden::Network core = changed(start, values);
        // On some networks a change is none: no neuron has a bias, or a refractory period.
        if (golden::to_json(core) == golden::to_json(start)) continue;
        CAPTURE(values.front().first, values.front().second);
        const FitReport report = fitted(start, core, *stimulus);
        INFO(text(report));
        REQUIRE(!report.explanations.empty());
        CHECK(analysis::reports(report, values));
        CHECK(report.explanations.front().changes.size() <= 1);
        check_explanations(report, start, core, *stimulus);
    }
}

TEST_CASE("fit finds weight_shift and u_shift in both directions", "[analysis][property]") {
    golden::Network start = busy_network(3);
    for (int shift : {0, 1, 4}) {
        start.arithmetic.weight_shift = 2;
        start.arithmetic.u_shift = 2;
        const auto stimulus = analysis::test::input_for(start, 6, kSteps);
        for (const char* option : {"weight_shift", "u_shift"}) {
            const Values values = {{option, std::to_string(shift)}};
            const FitReport report = fitted(start, changed(start, values), *stimulus);
            INFO(text(report));
            CHECK(analysis::reports(report, values));
        }
    }
}

namespace {
/// A network and `size` changes of it, drawn from all single ones.
struct Changed {
    golden::Network start;
    Values values;
};
Changed draw_changes(std::uint64_t seed, std::size_t size) {
    const CounterRandom random(seed, 0x666974);
    std::uint64_t draw = 0;
    Changed drawn;
    drawn.start = busy_network(seed % 1000);
    while (drawn.values.size() < size) {
        const auto& one = single_changes()[random.below(
            static_cast<std::uint32_t>(single_changes().size()), draw++)][0];
        // A change that is none, such as bias = 0 where no neuron has one, is not there to be
        // found.
        if (golden::to_json(changed(drawn.start, {one})) == golden::to_json(drawn.start)) continue;
        if (std::ranges::none_of(drawn.values, [&](const auto& v) { return v.first == one.first; }))
            drawn.values.push_back(one);
    }
    return drawn;
}
}  // namespace

TEST_CASE("fit finds every pair of changes", "[analysis][property]") {
    for (std::uint64_t k = 0; k < 5; ++k) {
        const std::uint64_t seed = Catch::getSeed() + k;
        const auto [start, values] = draw_changes(seed, 2);
        const auto stimulus = analysis::test::input_for(start, 7, kSteps);
        CAPTURE(seed, text(values));
        const golden::Network core = changed(start, values);
        const FitReport report = fitted(start, core, *stimulus);
        INFO(text(report));
        REQUIRE(!report.explanations.empty());
        CHECK(analysis::reports(report, values));
        check_explanations(report, start, core, *stimulus);
    }
}

TEST_CASE("fit finds most triples of changes by going on from the best", "[analysis][property]") {
    // Pairs are tried exhaustively; more changes that show first in one update can be missed. Fixed
    // seeds, so that the share that is found is a property of the search and not of the day.
    int found = 0;
    constexpr int kDraws = 12;
    for (std::uint64_t seed = 1; seed <= kDraws; ++seed) {
        const auto [start, values] = draw_changes(seed, 3);
        const auto stimulus = analysis::test::input_for(start, 7, kSteps);
        const golden::Network core = changed(start, values);
        const FitReport report = fitted(start, core, *stimulus);
        if (report.explanations.empty()) continue;
        CAPTURE(seed, text(values));
        check_explanations(report, start, core, *stimulus);
        if (analysis::reports(report, values)) ++found;
    }
    CAPTURE(found);
    CHECK(found >= kDraws * 3 / 4);
}

TEST_CASE("fit says that the start explains, and what the stimulus cannot tell apart",
          "[analysis]") {
    golden::Network start = busy_network(4);
    // Far from every overflow of v and u.
    start.arithmetic.v_bits = start.arithmetic.u_bits = 24;
    const auto stimulus = analysis::test::input_for(start, 8, kSteps);
    const FitReport report = fitted(start, start, *stimulus);
    INFO(text(report));
    REQUIRE(report.explanations.size() == 1);
    const auto& e = report.explanations[0];
    CHECK(e.changes.empty());
    CHECK(e.updates == kSteps * start.n_neurons());
    const auto free = std::ranges::find(e.free, "v_overflow", &analysis::FitFree::option);
    REQUIRE(free != e.free.end());
    CHECK(free->value == "saturate");
    CHECK(free->others == std::vector<std::string>{"wrap"});
    CHECK(std::ranges::none_of(e.free, [](const auto& f) { return f.option == "weight_shift"; }));
    check_explanations(report, start, start, *stimulus);
}

TEST_CASE("fit finds changes that only [golden] has words for", "[analysis][property]") {
    const golden::Network start = busy_network(8);
    const auto stimulus = analysis::test::input_for(start, 11, kSteps);
    const std::vector<Values> all = {
        {{"leak.rounding", "half_up"}},
        {{"leak.form", "add"}},
        {{"order", "integrate, leak, threshold"}},
        {{"threshold.on", "previous"}},
        {{"reset.delay", "true"}},
        {{"threshold.negative_action", "clamp at -threshold"}},
        {{"threshold.negative_action", "reset to 0 at -threshold"}},
        {{"threshold.negative_action", "subtract at -threshold"}},
        {{"threshold.negative_action", "spike at -threshold"}},
        {{"refractory.during", "accumulate"}},
        {{"v.overflow", "only high saturates"}},
        {{"u.drive", "previous"}},
        {{"synapse.weights_unsigned", "true"}},
        {{"threshold.on", "previous"}, {"compare", ">"}},
        {{"order", "integrate, leak, threshold"}, {"reset_mode", "subtract"}}};
    for (Values values : all) {
        std::vector<FitChange> changes;
        std::string named;
        for (const auto& [option, value] : values) {
            changes.push_back({option, {}, value, {}, {}});
            named += option + "=" + value + " ";
        }
        CAPTURE(named);
        auto core = analysis::golden_under(start, {}, changes);
        REQUIRE(core);
        trace::ExecutionTrace recorded((*core)->shape());
        REQUIRE((*core)->submit(stimulus->block(0, kSteps)));
        const auto read = (*core)->read(kSteps);
        REQUIRE(read);
        recorded.append(std::get<trace::BlockView>(*read));
        const auto report = analysis::fit_description(start, *stimulus, recorded);
        REQUIRE(report);
        INFO(text(*report));
        REQUIRE(!report->explanations.empty());
        CHECK(report->explanations.front().changes.size() <= values.size());
        CHECK((analysis::reports(*report, values) ||
               report->explanations.front().changes.size() < values.size()));
        for (const FitChange& change : report->explanations.front().changes) {
            const bool described =
                change.option.find('.') != std::string::npos || change.option == "order";
            CHECK(change.golden.empty() != described);
        }
    }
}

TEST_CASE("fit finds another action of the negative threshold that the manifest gives",
          "[analysis][property]") {
    const golden::Network start = busy_network(8);
    const auto stimulus = analysis::test::input_for(start, 11, kSteps);
    const std::int64_t low = -start.neurons[0].threshold / 2;
    const std::string text =
        "threshold.negative_action = \"clamp\"\nthreshold.negative = " + std::to_string(low) +
        "\nthreshold.negative_reset = 1\n";
    const auto given = golden::settings_from_text(text);
    REQUIRE(given);
    for (const char* action : {"reset", "subtract", "none", "spike"}) {
        CAPTURE(action);
        Values values = {{"threshold.negative_action", action}};
        const std::vector<FitChange> changes{{"threshold.negative_action", {}, action, {}, {}}};
        auto core = analysis::golden_under(start, *given, changes);
        REQUIRE(core);
        trace::ExecutionTrace recorded((*core)->shape());
        REQUIRE((*core)->submit(stimulus->block(0, kSteps)));
        const auto read = (*core)->read(kSteps);
        REQUIRE(read);
        recorded.append(std::get<trace::BlockView>(*read));
        analysis::FitOptions options;
        options.description = *given;
        const auto report = analysis::fit_description(start, *stimulus, recorded, options);
        REQUIRE(report);
        REQUIRE(!report->explanations.empty());
        CHECK(analysis::reports(*report, values));
    }
}

TEST_CASE("fit reports how far the best gets where nothing explains", "[analysis]") {
    const golden::Network start = busy_network(5);
    const auto stimulus = analysis::test::input_for(start, 9, kSteps);
    const auto recorded = analysis::test::simulate(start, *stimulus);
    const int v = recorded.shape().field_index("v");
    REQUIRE(v >= 0);
    const auto at = recorded.raw(static_cast<std::size_t>(v), 200, 7);
    const auto broken = analysis::test::with_value(recorded, "v", 200, 7, at == 0 ? 1 : at - 1);
    analysis::FitOptions options;
    options.rounds = 1;
    const auto report = analysis::fit_description(start, *stimulus, broken, options);
    REQUIRE(report);
    INFO(text(*report));
    CHECK(report->explanations.empty());
    REQUIRE(!report->best.empty());
    CHECK(report->best[0].changes.empty());
    CHECK(report->best[0].timestep == 200);
    CHECK(report->best[0].neuron == 7);
    CHECK(report->best[0].field == "v");
    CHECK(report->best[0].updates == 200 * start.n_neurons() + 7);
    CHECK(report->complete);
    CHECK(report->pairs > 1000);
}

TEST_CASE("fit compares only what the core shows", "[analysis]") {
    const golden::Network start = busy_network(6);
    const auto stimulus = analysis::test::input_for(start, 10, kSteps);
    const Values values = {{"reset_mode", "subtract"}};
    const auto whole = analysis::test::simulate(changed(start, values), *stimulus);
    // v and spikes alone.
    trace::Shape shape = whole.shape();
    const auto v = static_cast<std::size_t>(shape.field_index("v"));
    shape.fields = {shape.fields[v]};
    trace::ExecutionTrace part(shape);
    trace::BlockView block = whole.view();
    block.fields = {block.fields[v]};
    part.append(block);
    const auto report = analysis::fit_description(start, *stimulus, part);
    REQUIRE(report);
    INFO(text(*report));
    CHECK(analysis::reports(*report, values));
}

TEST_CASE("fit leaves out what is invalid and ends at its limit", "[analysis]") {
    const golden::Network start = busy_network(7);
    const auto stimulus = analysis::test::input_for(start, 11, kSteps);
    const auto recorded = analysis::test::simulate(start, *stimulus);
    const auto broken = analysis::test::with_value(recorded, "v", 100, 3, 99);
    std::vector<std::uint8_t> valid(kSteps, 1);
    valid[100] = 0;
    trace::BlockView block = broken.view();
    block.valid = valid;
    trace::ExecutionTrace holed(broken.shape());
    holed.append(block);
    const auto report = analysis::fit_description(start, *stimulus, holed);
    REQUIRE(report);
    CHECK(report->start.explains);

    analysis::FitOptions hurried;
    hurried.limit_s = 0.0;
    const auto cut = analysis::fit_description(start, *stimulus, broken, hurried);
    REQUIRE(cut);
    CHECK(!cut->complete);
    CHECK(cut->explanations.empty());
    CHECK(!cut->best.empty());
}

TEST_CASE("fit refuses recordings that do not belong to the network", "[analysis]") {
    const golden::Network start = busy_network(8);
    const auto stimulus = analysis::test::input_for(start, 12, kSteps);
    const auto recorded = analysis::test::simulate(start, *stimulus);
    const auto shorter = analysis::test::input_for(start, 12, kSteps - 1);
    const auto long_recording = analysis::fit_description(start, *shorter, recorded);
    REQUIRE(!long_recording);
    CHECK(long_recording.error().code == Errc::Mismatch);
    const auto late =
        analysis::fit_description(start, *stimulus, analysis::test::part_of(recorded, 10, 20));
    REQUIRE(!late);
    CHECK(late.error().code == Errc::Mismatch);
    CHECK(!analysis::apply_changes(start, std::vector<FitChange>{{"nothing", {}, "1", {}, {}}}));
    CHECK(!analysis::apply_changes(start, std::vector<FitChange>{{"rounding", {}, "up", {}, {}}}));
}

namespace {
/// A core that draws noise: what it shows of neurons, and of its register.
struct NoisyCore {
    trace::ExecutionTrace shown;
    analysis::ObservedRegister cells;
};
NoisyCore record_noisy(const golden::Network& net, const golden::Description& d,
                       const trace::Stimulus& stimulus) {
    auto source = golden::DescribedSource::create(net, d);
    REQUIRE(source);
    REQUIRE((*source)->submit(stimulus.block(0, static_cast<std::uint32_t>(stimulus.n_steps()))));
    const auto read = (*source)->read(static_cast<std::uint32_t>(stimulus.n_steps()));
    REQUIRE(read);
    trace::BlockView block = std::get<trace::BlockView>(*read);
    trace::ExecutionTrace whole((*source)->shape());
    whole.append(block);
    NoisyCore core;
    const auto f = static_cast<std::size_t>(whole.shape().field_index("cells"));
    core.cells = {"cells", whole.shape().fields[f].bits, {}};
    for (std::uint64_t t = 0; t < whole.n_steps(); ++t)
        core.cells.values.push_back(static_cast<std::uint64_t>(whole.raw(f, t, 0)));
    trace::Shape shape = whole.shape();
    shape.fields.erase(shape.fields.begin() + static_cast<std::ptrdiff_t>(f));
    block.fields.erase(block.fields.begin() + static_cast<std::ptrdiff_t>(f));
    core.shown = trace::ExecutionTrace(shape);
    core.shown.append(block);
    return core;
}

/// Some axons, little input, room for noise.
golden::Network quiet_network(std::uint32_t neurons) {
    golden::Network net;
    net.arithmetic.v_bits = 14;
    net.arithmetic.leak_frac = 6;
    net.arithmetic.leak_mode = golden::LeakMode::Multiply;
    net.ports = {{"in", 0, 4}};
    net.populations = {{"all", 0, neurons}};
    net.row_begin.push_back(0);
    for (std::uint32_t a = 0; a < 4; ++a) {
        for (std::uint32_t n = a; n < neurons; n += 2)
            net.synapses.push_back({n, static_cast<std::int16_t>(40 + 7 * a), 0});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    for (std::uint32_t n = 0; n < neurons; ++n) {
        net.neurons.push_back({.threshold = 500 + static_cast<std::int32_t>(n), .leak = 57});
        net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
    }
    return net;
}
}  // namespace

TEST_CASE("fit reads noise off a register of the core", "[analysis][property]") {
    using golden::Noise;
    const golden::LfsrForm forms[] = {golden::LfsrForm::Fibonacci, golden::LfsrForm::Galois};
    const golden::Direction directions[] = {golden::Direction::Left, golden::Direction::Right};
    // Maximal: x^16 + x^15 + x^13 + x^4 + 1, x^11 + x^9 + 1, x^24 + x^23 + x^22 + x^17 + 1.
    struct Taps {
        int bits;
        std::int64_t by_cell, by_power;
    };
    const Taps polynomials[] = {{16, 0xd008, 0xa011}, {11, 0x500, 0x201}, {24, 0xe10000, 0xc20001}};
    int draw = 0;
    for (const golden::LfsrForm form : forms)
        for (const golden::Direction direction : directions)
            for (const golden::Advance advance :
                 {golden::Advance::Update, golden::Advance::Event, golden::Advance::Timestep}) {
                const Taps& p = polynomials[draw % 2 + (draw % 5 == 3 ? 1 : 0)];
                // 48 shares a factor with the periods of 16 and 24 cells, 37 with none of them.
                const golden::Network net = quiet_network(draw % 3 == 0 ? 48 : 37);
                Noise noise;
                noise.name = "cells";
                noise.bits = advance == golden::Advance::Event ? 16 : p.bits;
                const Taps& own = advance == golden::Advance::Event ? polynomials[0] : p;
                noise.form = form;
                noise.direction = direction;
                noise.taps =
                    (form == golden::LfsrForm::Fibonacci) == (direction == golden::Direction::Left)
                        ? own.by_cell
                        : own.by_power;
                noise.xnor = draw % 4 == 1;
                noise.seed = golden::Param::scalar(0x35a + draw);
                noise.advance = advance;
                noise.read = draw % 2 == 0 ? golden::Read::Before : golden::Read::After;
                noise.lsb = draw % 4;
                noise.width = 4;
                noise.is_signed = draw % 3 != 1;
                noise.shift = draw % 3;
                CAPTURE(draw, noise.bits, noise.taps);
                golden::Description d = golden::describe(net);
                d.noise = {noise};
                ++draw;
                if (noise.bits == 24 && net.n_neurons() == 48 && advance == golden::Advance::Update)
                    continue;  // docs/fit.md: more than 16 cells need a distance without common
                               // factor
                const auto stimulus = analysis::test::input_for(net, 12, 400);
                const NoisyCore core = record_noisy(net, d, *stimulus);
                analysis::FitOptions options;
                int asked = 0;
                options.registers = [&]() -> Result<std::vector<analysis::ObservedRegister>> {
                    ++asked;
                    return std::vector{core.cells};
                };
                const auto report = analysis::fit_description(net, *stimulus, core.shown, options);
                REQUIRE(report);
                INFO(text(*report));
                CHECK(asked == 1);
                REQUIRE(!report->explanations.empty());
                // Bits after a shift are others before it: only the register is told apart.
                const std::string wanted = "taps = " + std::to_string(noise.taps);
                const auto& changes = report->explanations[0].changes;
                CHECK(changes.size() == 1);
                CHECK(changes[0].option == "noise");
                CAPTURE(changes[0].golden);
                CHECK(changes[0].golden.find(wanted) != std::string::npos);
            }
}

TEST_CASE("fit guesses a register that is in common use", "[analysis]") {
    const golden::Network net = quiet_network(40);
    golden::Noise noise;
    noise.name = "cells";
    noise.taps = 0xb400;
    noise.form = golden::LfsrForm::Galois;
    noise.direction = golden::Direction::Right;
    noise.seed = golden::Param::scalar(0xace1);
    noise.advance = golden::Advance::Update;
    noise.width = 5;
    noise.is_signed = true;
    noise.shift = 1;
    golden::Description d = golden::describe(net);
    d.noise = {noise};
    const auto stimulus = analysis::test::input_for(net, 13, 400);
    const NoisyCore core = record_noisy(net, d, *stimulus);
    const auto report = analysis::fit_description(net, *stimulus, core.shown);
    REQUIRE(report);
    INFO(text(*report));
    REQUIRE(!report->explanations.empty());
    noise.name.clear();
    d.noise = {noise};
    CHECK(report->explanations[0].changes[0].golden == "noise = " + golden::value_text(d, "noise"));
}

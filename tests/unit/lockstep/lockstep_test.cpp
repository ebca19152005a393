// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cmath>
#include <limits>

#include "scripted.hpp"

using namespace spikelock;
using namespace spikelock::lockstep;
using namespace spikelock::lockstep::test;
using Catch::Matchers::ContainsSubstring;
using Behaviour = ScriptedSource::Behaviour;
using trace::EndKind;

namespace {
constexpr std::uint32_t kSteps = 200;
constexpr std::uint32_t kNeurons = 70;

/// Two fields and spikes that move in every timestep.
Script lively(std::uint32_t steps = kSteps) {
    trace::Shape shape;
    shape.n_neurons = kNeurons;
    shape.populations = {{"hidden", 0, 60}, {"out", 60, kNeurons}};
    shape.fields = {field("i_syn", 2), field("v", 4)};
    Script script = Script::blank(shape, steps);
    for (std::uint64_t t = 0; t < steps; ++t)
        for (std::uint32_t n = 0; n < kNeurons; ++n) {
            script.values[0][script.at(t, n)] = static_cast<std::int64_t>(t % 50) - n;
            script.values[1][script.at(t, n)] = static_cast<std::int64_t>(t * n);
            script.spikes[script.at(t, n)] = (t + n) % 7 == 0 ? 1 : 0;
        }
    return script;
}

Outcome run_recorded(const Script& expected, const Script& actual, const Options& options = {},
                     Behaviour actual_behaviour = {}, Sink* sink = nullptr) {
    actual_behaviour.recorded = true;
    ScriptedSource e(expected, {.recorded = true, .most_block = 17});
    ScriptedSource a(actual, actual_behaviour);
    auto outcome = run(e, a, nullptr, options, sink);
    if (!outcome) FAIL(outcome.error().text());
    return std::move(*outcome);
}

Outcome run_live(const Script& expected, const Script& actual, const Options& options = {},
                 const Behaviour& actual_behaviour = {}, std::uint32_t steps = kSteps,
                 Sink* sink = nullptr) {
    const CountingStimulus stimulus(steps, 32);
    ScriptedSource e(expected, {});
    ScriptedSource a(actual, actual_behaviour);
    auto outcome = run(e, a, &stimulus, options, sink);
    if (!outcome) FAIL(outcome.error().text());
    return std::move(*outcome);
}

Behaviour ends(EndKind kind, const std::string& text = {}) {
    Behaviour behaviour;
    behaviour.end.kind = kind;
    behaviour.end.clock = 77;
    behaviour.end.text = text;
    return behaviour;
}
}  // namespace

TEST_CASE("lockstep: equal runs match and say how much was compared", "[lockstep][unit]") {
    const Script script = lively();
    const Outcome outcome = run_live(script, script);
    CHECK(outcome.verdict == Verdict::Match);
    CHECK(outcome.reason.empty());
    CHECK(outcome.values_compared == 3ULL * kNeurons * kSteps);
    CHECK(outcome.steps_compared == kSteps);
    CHECK(outcome.spikes_expected == 2000);
    CHECK(outcome.spikes_actual == 2000);
    CHECK_FALSE(outcome.actual_end);
    CHECK(headline(outcome, script.shape) == "MATCH: 42,000 values of 3 fields over 200 timesteps");
}

TEST_CASE("lockstep: a single voltage bit is found, and so is the spike it causes later",
          "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    actual.values[1][actual.at(132, 17)] ^= 1;
    actual.spikes[actual.at(140, 3)] ^= 1;
    const Outcome outcome = run_live(expected, actual);
    REQUIRE(outcome.verdict == Verdict::Diverged);
    CHECK(outcome.first->timestep == 132);
    CHECK(outcome.first->sample == 4);
    CHECK(outcome.first->step_in_sample == 4);
    CHECK(outcome.last_agreed == 131);
    REQUIRE(outcome.first_spike);
    CHECK(outcome.first_spike->timestep == 140);
    CHECK(outcome.first_spike->differences.at(0).field == "spike");
    CHECK(outcome.expected_window.raw(1, 132, 17) == 132 * 17);
    CHECK(outcome.actual_window.raw(1, 132, 17) == ((132 * 17) ^ 1));
    CHECK(headline(outcome, expected.shape) ==
          "DIVERGED at timestep 132 (sample 4, step 4), neuron hidden[17], field v: expected 2244, "
          "got 2245");
}

TEST_CASE("lockstep: differences of a timestep come neuron by neuron, fields in causal order",
          "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    for (const std::uint32_t n : {66U, 5U}) {
        actual.spikes[actual.at(9, n)] ^= 1;
        actual.values[0][actual.at(9, n)] += 1;
    }
    actual.values[1][actual.at(9, 5)] += 1;
    const Outcome outcome = run_recorded(expected, actual);
    REQUIRE(outcome.first);
    std::string order;
    for (const auto& d : outcome.first->differences)
        order += d.field + std::to_string(d.neuron) + " ";
    CHECK(order == "i_syn5 v5 spike5 i_syn66 spike66 ");
    CHECK(outcome.first->n_spike_differences == 2);
    CHECK_FALSE(outcome.first_spike);
}

TEST_CASE("lockstep: runs that differ only in one spike diverge there", "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    actual.spikes[actual.at(199, 69)] ^= 1;
    const Outcome outcome = run_recorded(expected, actual);
    REQUIRE(outcome.verdict == Verdict::Diverged);
    CHECK(outcome.first->timestep == 199);
    CHECK(outcome.first->differences.at(0).neuron == 69);
    CHECK(headline(outcome, expected.shape).find("neuron out[9], field spike") !=
          std::string::npos);
}

TEST_CASE("lockstep: recordings that differ only in length are inconclusive", "[lockstep][unit]") {
    const bool expected_is_shorter = GENERATE(false, true);
    const std::uint32_t length = GENERATE(1U, 199U);
    const Script whole = lively();
    Script part = whole;
    part.truncate(length);
    const Outcome outcome =
        expected_is_shorter ? run_recorded(part, whole) : run_recorded(whole, part);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK_THAT(outcome.reason, ContainsSubstring("lengths differ"));
    CHECK(outcome.steps_compared == length);
}

TEST_CASE("lockstep: a recording longer or shorter than the stimulus is inconclusive",
          "[lockstep][unit]") {
    const Script whole = lively();
    const std::uint32_t stimulus_steps = GENERATE(kSteps - 1, kSteps + 1);
    const Outcome outcome =
        run_live(lively(stimulus_steps), whole, {}, {.recorded = true}, stimulus_steps);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK_THAT(
        outcome.reason,
        ContainsSubstring(stimulus_steps < kSteps ? "goes on after" : "ended at timestep 200"));
}

TEST_CASE("lockstep: recordings that begin at different timesteps are compared where both are",
          "[lockstep][unit]") {
    const Script whole = lively();
    Script late = Script::blank(whole.shape, 120, 80);
    for (std::size_t i = 0; i < late.spikes.size(); ++i) {
        const std::size_t at = i + std::size_t{80} * kNeurons;
        late.spikes[i] = whole.spikes[at];
        late.values[0][i] = whole.values[0][at];
        late.values[1][i] = whole.values[1][at];
    }
    const Outcome outcome = run_recorded(whole, late);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK(outcome.first_loss == 0);
    CHECK(outcome.steps_invalid == 80);
    CHECK(outcome.steps_compared == 120);
    CHECK_FALSE(outcome.first);
    CHECK(run_recorded(late, late).verdict == Verdict::Match);

    // Against a stimulus from 0 the sink still gets what was compared, and nothing else.
    KeepingSink sink(whole.shape, whole.shape);
    run_live(whole, late, {}, {.recorded = true}, kSteps, &sink);
    KeepingSink tail(whole.shape, whole.shape);
    for (std::uint64_t t = 80; t < kSteps; ++t)
        REQUIRE(tail.stimulus(CountingStimulus(kSteps, 32).block(t, 1)));
    CHECK((sink.stimulus_steps == sink.steps));
    CHECK((sink.stimulus_bytes == tail.stimulus_bytes));
}

TEST_CASE("lockstep: lost timesteps and values are never a match", "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    SECTION("a timestep that is invalid on one side") {
        actual.valid[50] = 0;
        const Outcome outcome = run_recorded(expected, actual);
        CHECK(outcome.verdict == Verdict::Inconclusive);
        CHECK(outcome.steps_invalid == 1);
        CHECK_THAT(outcome.reason, ContainsSubstring("lost at timestep 50"));
    }
    SECTION("a timestep that is invalid on both sides") {
        actual.valid[50] = 0;
        CHECK(run_recorded(actual, actual).verdict == Verdict::Inconclusive);
    }
    SECTION("a value that is valid on one side only") {
        actual.value_valid[1].assign(actual.spikes.size(), 1);
        actual.value_valid[1][actual.at(50, 69)] = 0;
        const Outcome outcome = run_recorded(expected, actual);
        CHECK(outcome.verdict == Verdict::Inconclusive);
        CHECK(outcome.values_invalid == 1);
        CHECK(outcome.first_loss == 50);
    }
    SECTION("a value that is valid on neither side was not observed") {
        actual.value_valid[1].assign(actual.spikes.size(), 1);
        actual.value_valid[1][actual.at(50, 69)] = 0;
        const Outcome outcome = run_recorded(actual, actual);
        CHECK(outcome.verdict == Verdict::Match);
        CHECK(outcome.values_compared == 3ULL * kNeurons * kSteps - 1);
    }
    SECTION("a difference after the loss") {
        actual.valid[50] = 0;
        actual.values[0][actual.at(60, 1)] ^= 1;
        const Outcome outcome = run_recorded(expected, actual);
        CHECK(outcome.verdict == Verdict::Inconclusive);
        CHECK_THAT(outcome.reason,
                   ContainsSubstring("a difference at timestep 60 after data was lost"));
        CHECK(outcome.first->timestep == 60);
    }
    SECTION("a difference before the loss") {
        actual.valid[50] = 0;
        actual.values[0][actual.at(49, 1)] ^= 1;
        CHECK(run_recorded(expected, actual).verdict == Verdict::Diverged);
    }
    SECTION("a difference beside the loss") {
        actual.value_valid[1].assign(actual.spikes.size(), 1);
        actual.value_valid[1][actual.at(50, 69)] = 0;
        actual.values[0][actual.at(50, 1)] ^= 1;
        const Outcome outcome = run_recorded(expected, actual);
        CHECK(outcome.verdict == Verdict::Inconclusive);
        CHECK_THAT(outcome.reason, ContainsSubstring("a difference at timestep 50, where"));
    }
    SECTION("a loss that is masked") {
        actual.valid[50] = 0;
        Options options;
        options.masks.push_back({.field = "*", .step_begin = 50, .step_end = 51});
        const Outcome outcome = run_recorded(expected, actual, options);
        CHECK(outcome.verdict == Verdict::Match);
        CHECK(outcome.values_compared == 3ULL * kNeurons * (kSteps - 1));
        CHECK_THAT(headline(outcome, expected.shape),
                   ContainsSubstring("masked: all fields, timestep 50 not compared"));
    }
}

TEST_CASE("lockstep: how the actual source ends is the verdict", "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    actual.truncate(120);
    const auto [kind, verdict, words] = GENERATE(table<EndKind, Verdict, std::string>({
        {EndKind::Finished, Verdict::Inconclusive, "$finish"},
        {EndKind::Complete, Verdict::Inconclusive, "before the 200"},
        {EndKind::Incomplete, Verdict::Inconclusive, "incomplete"},
        {EndKind::Asserted, Verdict::Asserted, "assertion at timestep 120 (clock 77): its words"},
        {EndKind::Hung, Verdict::Hung, "hung at timestep 120"},
        {EndKind::Crashed, Verdict::Crashed, "crashed at timestep 120"},
    }));
    Outcome outcome = run_live(expected, actual, {}, ends(kind, "its words"));
    CHECK(name_of(outcome.verdict) == name_of(verdict));
    CHECK_THAT(outcome.reason, ContainsSubstring(words));
    CHECK(outcome.steps_compared == 120);
    CHECK(outcome.actual_end.has_value() == (kind != EndKind::Complete));

    actual.values[0][actual.at(100, 0)] ^= 1;
    outcome = run_live(expected, actual, {}, ends(kind, "its words"));
    CHECK(outcome.verdict == Verdict::Diverged);
}

TEST_CASE("lockstep: a crash after the last timestep still is one, an early end mark is not",
          "[lockstep][unit]") {
    const Script script = lively();
    CHECK(run_live(script, script, {}, ends(EndKind::Crashed)).verdict == Verdict::Crashed);
    CHECK(run_live(script, script, {}, ends(EndKind::Finished)).verdict == Verdict::Match);
    // Without a stimulus nothing tells that an unclosed recording holds all there was.
    CHECK(run_recorded(script, script, {}, ends(EndKind::Incomplete)).verdict ==
          Verdict::Inconclusive);
}

TEST_CASE("lockstep: a run in which nothing moves is vacuous", "[lockstep][unit]") {
    Script still = lively();
    std::fill(still.spikes.begin(), still.spikes.end(), std::uint16_t{0});
    for (auto& values : still.values) std::fill(values.begin(), values.end(), 5);
    Options options;
    CHECK_THAT(run_recorded(still, still).reason, ContainsSubstring("vacuous"));
    options.allow_vacuous = true;
    CHECK(run_recorded(still, still, options).verdict == Verdict::Match);
    options.allow_vacuous = false;
    still.values[1][still.at(kSteps - 1, 69)] = 6;
    CHECK(run_recorded(still, still).verdict == Verdict::Match);
    // The only change is masked away.
    options.masks.push_back({.field = "v", .low_bits = 2});
    CHECK(run_recorded(still, still, options).verdict == Verdict::Inconclusive);
}

TEST_CASE("lockstep: nothing in common or everything masked compares nothing", "[lockstep][unit]") {
    const Script script = lively();
    Script other = script;
    other.shape.fields[1].name = "u";
    Options options;
    options.fields = {"v"};
    Outcome outcome = run_recorded(script, other, options);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK_THAT(outcome.reason, ContainsSubstring("nothing to compare"));
    options = {};
    options.masks.push_back({.field = "*"});
    outcome = run_recorded(script, script, options);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK_THAT(outcome.reason, ContainsSubstring("nothing was compared"));
}

TEST_CASE("lockstep: fields of one side only are named and left out", "[lockstep][unit]") {
    const Script script = lively();
    Script other = script;
    other.shape.fields[1].name = "u";
    const Outcome outcome = run_recorded(script, other);
    CHECK(outcome.verdict == Verdict::Match);
    CHECK(outcome.compared_fields == std::vector<std::string>{"i_syn", "spike"});
    CHECK(outcome.not_compared == std::vector<std::string>{"v (only expected)", "u (only actual)"});
    CHECK_THAT(headline(outcome, script.shape),
               ContainsSubstring("not compared: v (only expected)"));
}

TEST_CASE("lockstep: a field may stand at different places on the two sides", "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    std::swap(actual.shape.fields[0], actual.shape.fields[1]);
    std::swap(actual.values[0], actual.values[1]);
    CHECK(run_recorded(expected, actual).verdict == Verdict::Match);
    actual.values[0][actual.at(3, 2)] = -9;
    const Outcome outcome = run_recorded(expected, actual);
    REQUIRE(outcome.first);
    CHECK(outcome.first->differences.at(0).field == "v");
    CHECK(outcome.first->differences.at(0).actual == -9);
}

TEST_CASE("lockstep: shapes and options that make no sense are errors", "[lockstep][unit]") {
    const Script script = lively();
    Script other = script;
    Options options;
    Errc code = Errc::Mismatch;
    std::string words;
    SECTION("neurons") {
        other.shape.n_neurons = 69;
        words = "expected 70, actual 69";
    }
    SECTION("storage") {
        other.shape.fields[1].bytes = 8;
        words = "field 'v' is stored differently: expected signed in 4 bytes, actual signed in 8";
    }
    SECTION("sign") {
        other.shape.fields[0].is_signed = false;
        words = "actual unsigned";
    }
    SECTION("float") {
        other.shape.fields[1] = field("v", 8, true, true);
        words = "actual float64";
    }
    SECTION("mask of an unknown field") {
        options.masks.push_back({.field = "i_sym"});
        code = Errc::NotFound;
        words = "did you mean 'i_syn'";
    }
    SECTION("unknown field") {
        options.fields = {"w"};
        code = Errc::NotFound;
        words = "neither source shows a field 'w'";
    }
    SECTION("mask beyond the neurons") {
        options.masks.push_back({.field = "v", .neuron_begin = 60, .neuron_end = 71});
        code = Errc::BadConfig;
        words = "0..70";
    }
    SECTION("mask that ends before it begins") {
        options.masks.push_back({.field = "v", .step_begin = 5, .step_end = 5});
        code = Errc::BadConfig;
        words = "begin before";
    }
    SECTION("bits of spikes") {
        options.masks.push_back({.field = "spike", .low_bits = 1});
        code = Errc::BadConfig;
        words = "spikes";
    }
    SECTION("resynchronising") {
        options.on_divergence = OnDivergence::Resynchronise;
        code = Errc::Unsupported;
        words = "state";
    }
    ScriptedSource e(script, {.recorded = true});
    ScriptedSource a(other, {.recorded = true});
    const auto outcome = run(e, a, nullptr, options);
    REQUIRE_FALSE(outcome);
    CHECK(name_of(outcome.error().code) == name_of(code));
    CHECK_THAT(outcome.error().message, ContainsSubstring(words));
}

TEST_CASE("lockstep: floats are compared by their bits", "[lockstep][unit]") {
    trace::Shape shape;
    shape.n_neurons = 1;
    shape.fields = {field("v", 8, true, true)};
    Script expected = Script::blank(shape, 3);
    expected.values[0] = {std::bit_cast<std::int64_t>(1.0),
                          std::bit_cast<std::int64_t>(std::numeric_limits<double>::quiet_NaN()),
                          std::bit_cast<std::int64_t>(0.0)};
    CHECK(run_recorded(expected, expected).verdict == Verdict::Match);
    Script actual = expected;
    actual.values[0][2] = std::bit_cast<std::int64_t>(-0.0);
    const Outcome outcome = run_recorded(expected, actual);
    CHECK(outcome.verdict == Verdict::Diverged);
    CHECK_THAT(headline(outcome, shape),
               ContainsSubstring("neuron 0, field v: expected 0, got -0"));
}

TEST_CASE("lockstep: spike counts are compared; a side without them fires at most once",
          "[lockstep][unit]") {
    Script expected = lively();
    expected.shape.counts = true;
    Script actual = expected;
    const std::size_t at = actual.at(70, 0);
    REQUIRE(actual.spikes[at] == 1);
    CHECK(run_recorded(expected, actual).verdict == Verdict::Match);
    actual.spikes[at] = 2;
    const Outcome outcome = run_recorded(expected, actual);
    REQUIRE(outcome.verdict == Verdict::Diverged);
    CHECK(outcome.first->differences.at(0).actual == 2);
    // The bits are equal; what one side does not count, it promises not to do.
    const auto without_counts = [](Script script) {
        script.shape.counts = false;
        return script;
    };
    const Outcome bits = run_recorded(without_counts(expected), actual);
    REQUIRE(bits.verdict == Verdict::Diverged);
    CHECK(bits.first->timestep == 70);
    CHECK(bits.first->differences.at(0).expected == 1);
    CHECK(bits.first->differences.at(0).actual == 2);
    CHECK(bits.not_compared.empty());
    CHECK(run_recorded(without_counts(expected), expected).verdict == Verdict::Match);
    CHECK(run_recorded(actual, without_counts(expected)).verdict == Verdict::Diverged);
}

TEST_CASE("lockstep: collecting goes on to the wanted number of divergent timesteps",
          "[lockstep][unit]") {
    const Script expected = lively();
    Script actual = expected;
    for (std::uint64_t t = 20; t < kSteps; t += 20) actual.spikes[actual.at(t, 1)] ^= 1;
    Options options;
    options.collect = 4;
    Outcome outcome = run_recorded(expected, actual, options);
    REQUIRE(outcome.collected.size() == 4);
    CHECK(outcome.collected.back().timestep == 80);
    CHECK(outcome.steps_compared == 81);
    options.on_divergence = OnDivergence::Stop;
    outcome = run_recorded(expected, actual, options);
    CHECK(outcome.collected.size() == 1);
    CHECK(outcome.steps_compared == 20 + 1 + options.window_after);
}

TEST_CASE("lockstep: stimulus is submitted ahead, but no further than asked", "[lockstep][unit]") {
    const Script script = lively();
    const std::uint32_t ahead = GENERATE(1U, 3U, 5U);
    const CountingStimulus stimulus(kSteps, 50);
    Options options;
    options.block_steps = 8;
    options.blocks_ahead = ahead;
    ScriptedSource e(script, {});
    ScriptedSource a(script, {});
    REQUIRE(run(e, a, &stimulus, options));
    CHECK(a.most_in_flight == 8ULL * ahead);
}

TEST_CASE("lockstep: a stop flag ends the run and keeps what was compared", "[lockstep][unit]") {
    const Script script = lively();
    std::atomic<bool> stop{false};
    Options options;
    options.block_steps = 10;
    options.stop = &stop;
    KeepingSink sink(script.shape, script.shape);
    SECTION("set before the run") { stop = true; }
    SECTION("set by a source that is told to stop") {
        Script part = script;
        part.truncate(50);
        Behaviour behaviour;
        behaviour.error = Error{Errc::Interrupted, "stopped", {}};
        const Outcome outcome = run_live(script, part, options, behaviour, kSteps, &sink);
        CHECK(outcome.interrupted);
        CHECK(outcome.verdict == Verdict::Inconclusive);
        CHECK_THAT(outcome.reason, ContainsSubstring("interrupted at timestep 50"));
        CHECK(sink.steps.size() == 50);
        CHECK(sink.stimulus_steps.size() == 50);
        return;
    }
    const Outcome outcome = run_live(script, script, options, {}, kSteps, &sink);
    CHECK(outcome.interrupted);
    CHECK(outcome.verdict == Verdict::Inconclusive);
    CHECK(outcome.steps_compared == sink.steps.size());
}

TEST_CASE("lockstep: errors of a source and of the sink end the run", "[lockstep][unit]") {
    const Script script = lively();
    const CountingStimulus stimulus(kSteps, 50);
    Script part = script;
    part.truncate(50);
    ScriptedSource e(script, {});
    KeepingSink sink(script.shape, script.shape);
    Behaviour behaviour;
    SECTION("source") { behaviour.error = Error{Errc::Io, "cable pulled", {}}; }
    SECTION("sink") { sink.fails = Error{Errc::Io, "disk full", {}}; }
    ScriptedSource a(part, behaviour);
    const auto outcome = run(e, a, &stimulus, {}, &sink);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::Io);
}

TEST_CASE("lockstep: a block that breaks the contract is an internal error", "[lockstep][unit]") {
    class Faulty : public trace::StepSource {
    public:
        Faulty(trace::Shape shape, int fault) : shape_(std::move(shape)), fault_(fault) {}
        const trace::Shape& shape() const override { return shape_; }
        Status submit(const trace::StimulusBlock&) override { return {}; }
        std::uint64_t in_flight() const override { return 0; }
        Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t) override {
            trace::BlockView view;
            view.first = next_;
            view.n_steps = fault_ == 0 ? 0 : 1;
            view.spikes = std::span(words_).first(fault_ == 1 ? 1 : 2);
            if (fault_ != 2) view.fields.emplace_back(std::span(bytes_).first(140));
            view.fields.emplace_back(std::span(bytes_).first(fault_ == 3 ? 279 : 280));
            view.valid = std::span(flags_).first(fault_ == 4 ? 2 : 1);
            view.masks.resize(2);
            view.masks[1] = std::span(words_).first(fault_ == 5 ? 1 : 2);
            next_ += fault_ == 6 ? 2 : 1;
            return std::variant<trace::BlockView, trace::SourceEnd>{view};
        }

    private:
        trace::Shape shape_;
        int fault_;
        std::uint64_t next_ = 0;
        std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(2);
        std::vector<std::byte> bytes_ = std::vector<std::byte>(280);
        std::vector<std::uint8_t> flags_ = std::vector<std::uint8_t>(2, 1);
    };
    const Script script = lively();
    const int fault = GENERATE(0, 1, 2, 3, 4, 5, 6);
    CAPTURE(fault);
    ScriptedSource e(script, {.recorded = true});
    Faulty a(script.shape, fault);
    const auto outcome = run(e, a, nullptr, {});
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().code == Errc::Internal);
    CHECK_THAT(outcome.error().message, ContainsSubstring("the actual source broke its contract"));
}

TEST_CASE("lockstep: progress is reported rarely and ends at the end", "[lockstep][unit]") {
    const Script script = lively();
    Options options;
    options.block_steps = 1;
    int calls = 0;
    Progress last;
    options.progress = [&](const Progress& progress) {
        ++calls;
        last = progress;
    };
    run_live(script, script, options);
    CHECK(calls < 20);
    CHECK(last.steps_compared == kSteps);
    CHECK(last.steps_total == kSteps);
}

TEST_CASE("lockstep: verdicts have the names and exit codes of the manual", "[lockstep][unit]") {
    const auto [verdict, name, code] = GENERATE(table<Verdict, std::string, int>({
        {Verdict::Match, "MATCH", 0},
        {Verdict::Diverged, "DIVERGED", 1},
        {Verdict::Inconclusive, "INCONCLUSIVE", 3},
        {Verdict::Asserted, "ASSERTED", 4},
        {Verdict::Hung, "HUNG", 4},
        {Verdict::Crashed, "CRASHED", 4},
    }));
    CHECK(name_of(verdict) == name);
    CHECK(exit_code(verdict) == code);
}

namespace {
/// Lists spikes, timestep by timestep, and gives them in blocks of a size.
class Listed final : public trace::StepSource {
public:
    using Steps = std::vector<std::vector<std::uint32_t>>;
    Listed(Steps steps, std::uint32_t block) : steps_(std::move(steps)), block_(block) {
        shape_.n_neurons = 70;
        shape_.counts = true;
        shape_.events = true;
    }
    const trace::Shape& shape() const override { return shape_; }
    Status submit(const trace::StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return steps_.size() - read_; }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t most) override {
        using Answer = std::variant<trace::BlockView, trace::SourceEnd>;
        const auto count = static_cast<std::uint32_t>(
            std::min<std::size_t>({most, block_, steps_.size() - read_}));
        if (count == 0) return Answer(trace::SourceEnd{trace::EndKind::Complete, read_, 0, {}});
        bits_.assign(std::size_t{2} * count, 0);
        counts_.assign(std::size_t{70} * count, 0);
        events_.clear();
        for (std::uint32_t s = 0; s < count; ++s)
            for (const std::uint32_t n : steps_[read_ + s]) {
                bits_[2 * s + n / 64] |= std::uint64_t{1} << (n % 64);
                ++counts_[70 * s + n];
                events_.push_back({s, n, 0});
            }
        trace::BlockView view;
        view.first = read_;
        view.n_steps = count;
        view.spikes = bits_;
        view.counts = counts_;
        view.events = events_;
        read_ += count;
        return Answer(std::move(view));
    }

private:
    trace::Shape shape_;
    Steps steps_;
    std::uint32_t block_;
    std::uint64_t read_ = 0;
    std::vector<std::uint64_t> bits_;
    std::vector<std::uint16_t> counts_;
    std::vector<trace::SpikeEvent> events_;
};
}  // namespace

TEST_CASE("lockstep: equal spikes in another order diverge where the order is compared",
          "[lockstep][unit]") {
    const Listed::Steps steps = {{}, {5, 66, 5}, {1}, {}, {2, 3, 5, 3}, {9, 8}};
    Listed::Steps other = steps;
    other[4] = {2, 5, 3, 3};
    const std::uint32_t block = GENERATE(1U, 2U, 5U, 100U);
    const auto compare = [&](const Listed::Steps& actual, bool order, std::vector<Mask> masks) {
        Listed expected_source(steps, 100);
        Listed actual_source(actual, block);
        Options options;
        options.order = order;
        options.masks = std::move(masks);
        auto outcome = run(expected_source, actual_source, nullptr, options);
        REQUIRE(outcome);
        return *outcome;
    };
    CHECK(compare(steps, true, {}).verdict == Verdict::Match);
    CHECK(compare(other, false, {}).verdict == Verdict::Match);
    const Outcome found = compare(other, true, {});
    REQUIRE(found.verdict == Verdict::Diverged);
    CHECK(found.first->timestep == 4);
    CHECK(found.first->n_differences == 1);
    CHECK(found.divergent_steps == 1);
    REQUIRE(found.first->differences.size() == 1);
    const Difference& part = found.first->differences.front();
    CHECK(part.field == "spike_order");
    CHECK(part.neuron == 5);
    CHECK(part.expected == 3);
    CHECK(part.actual == 5);
    CHECK(found.first->expected_order == steps[4]);
    CHECK(found.first->actual_order == other[4]);
    // The windows tell the order of the timesteps before it too.
    for (std::uint64_t t = 0; t < 6; ++t) {
        std::vector<std::uint32_t> expected_order, actual_order;
        for (const auto& e : found.expected_window.events_of(t)) expected_order.push_back(e.neuron);
        for (const auto& e : found.actual_window.events_of(t)) actual_order.push_back(e.neuron);
        CAPTURE(t, block);
        CHECK(expected_order == steps[t]);
        CHECK(actual_order == other[t]);
    }
    trace::Shape shape;
    shape.n_neurons = 70;
    CHECK_THAT(
        headline(found, shape),
        ContainsSubstring("DIVERGED at timestep 4, order of spikes: expected neurons ..., 3, "
                          "5, 3, got ..., 5, 3, 3"));
    // A neuron that is not compared has no place in the order either.
    CHECK(compare(other, true, {{"spike", 5, 6, 0, 0, 0}}).verdict == Verdict::Match);
    // Other spikes are told as such.
    other[4] = {2, 3, 5};
    CHECK(compare(other, true, {}).first->differences.front().field == "spike");
}

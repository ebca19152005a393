// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/waves/wave_source.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstring>
#include <functional>
#include <string>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using namespace spikelock::bridge;
using trace::plan::Code;
using trace::plan::Op;
using waves::ObservationMap;
using waves::WaveSource;

namespace {

Code load(std::uint32_t signal, std::uint32_t width = 1) {
    return {Op::Load, 0, {signal, 0, 0, width}};
}

/// Everything that a source yields, and how it ends.
struct Seen {
    std::uint64_t steps = 0;
    std::vector<std::uint64_t> spikes;
    std::vector<std::uint8_t> valid;
    std::vector<std::vector<std::int64_t>> fields;  ///< per field: (steps, neurons)
    std::vector<std::vector<bool>> masked;          ///< the same: the value is not valid
    trace::SourceEnd end;
    std::unique_ptr<WaveSource> source;
};

Seen read(const std::string& text, ObservationMap map, waves::WaveOptions options = {},
          std::uint32_t most = 7) {
    auto reader = vcd::Reader::from_memory(text, "t.vcd");
    REQUIRE(reader);
    Seen seen;
    seen.source = WaveSource::create(std::move(*reader), std::move(map), options);
    const trace::Shape& shape = seen.source->shape();
    seen.fields.resize(shape.fields.size());
    seen.masked.resize(shape.fields.size());
    for (;;) {
        auto got = seen.source->read(most);
        REQUIRE(got);
        if (const auto* end = std::get_if<trace::SourceEnd>(&*got)) {
            seen.end = *end;
            return seen;
        }
        const auto& block = std::get<trace::BlockView>(*got);
        REQUIRE(block.first == seen.steps);
        REQUIRE(block.n_steps <= most);
        seen.spikes.insert(seen.spikes.end(), block.spikes.begin(), block.spikes.end());
        for (std::uint32_t s = 0; s < block.n_steps; ++s)
            seen.valid.push_back(block.valid.empty() ? 1 : block.valid[s]);
        for (std::size_t f = 0; f < shape.fields.size(); ++f)
            for (std::size_t i = 0; i < std::size_t{block.n_steps} * shape.n_neurons; ++i) {
                std::int16_t value = 0;
                std::memcpy(&value, block.fields[f].data() + 2 * i, 2);
                seen.fields[f].push_back(value);
                const std::size_t step = i / shape.n_neurons;
                const std::size_t n = i % shape.n_neurons;
                const bool good =
                    block.masks.empty() || block.masks[f].empty() ||
                    (block.masks[f][step * shape.spike_words() + n / 64] >> (n % 64) & 1) != 0;
                seen.masked[f].push_back(!good);
            }
        seen.steps += block.n_steps;
    }
}

trace::Shape shape_of(std::uint32_t neurons, int bits) {
    trace::Shape shape;
    shape.n_neurons = neurons;
    shape.populations = {{"all", 0, neurons}};
    shape.fields = {{"v", trace::FieldClass::State, bits, true, false, 0, 2}};
    return shape;
}

std::string binary(std::uint64_t value, unsigned bits) {
    std::string text;
    for (unsigned i = bits; i-- > 0;) text += (value >> i & 1) != 0 ? '1' : '0';
    return text;
}
std::string line(const std::string& value, const char* code) {
    return (value.size() == 1 ? value + code : "b" + value + " " + code) + "\n";
}

/// Two neurons, 12 bits each, in a port of 70 bits with 33 idle ones below; spikes bit by bit.
/// Signals: 0 clk, 1 rst_n, 2 enable, 3 wide, 4 spikes.
struct ClockedCore {
    static constexpr const char* kHeader =
        "$timescale 1ns $end $scope module tb $end\n$var wire 1 c clk $end\n"
        "$var wire 1 r rst_n $end\n$var wire 1 e enable $end\n$var wire 70 w wide [69:0] $end\n"
        "$var wire 1 s0 spike [0] $end\n$var wire 1 s1 spike [1] $end\n"
        "$upscope $end $enddefinitions $end\n";
    static ObservationMap map(std::uint32_t clocks, bool after_edge) {
        ObservationMap m;
        m.shape = shape_of(2, 12);
        m.signals = {{"tb.clk", 1, 1, {{0, 0, 1}}},
                     {"tb.rst_n", 1, 1, {{1, 0, 1}}},
                     {"tb.enable", 1, 1, {{2, 0, 1}}},
                     {"tb.wide", 70, 1, {{3, 0, 70}}},
                     {"tb.spike", 2, 1, {{4, 0, 1}, {5, 1, 1}}}};
        const std::string phase = after_edge ? "1" : "0";
        m.plan = trace::plan::Parser::parse(
            "sig clk\nsig rst_n\nsig enable\nsig wide\nsig spike\nneurons 2 0\nclock 0 0 0 1\n"
            "timestep clocked 1000 " +
            std::to_string(clocks) +
            "\nprogram startup0\nreset 1 0 0 1 0 1\nprogram startup1\nset 2 0 0 1 1\n"
            "field v 2 12 1\n"
            // The second potential lies across two words of 64 bits.
            "part 0 " +
            phase + " 0 0 2 -1 0 table 3 0 33 12 3 0 54 12\npart -1 " + phase +
            " 0 0 2 -1 0 table 4 0 0 1 4 0 1 1\n");
        return m;
    }
};

}  // namespace

TEST_CASE("waves/clocked: each timestep is sampled at its edge", "[waves][property]") {
    const std::uint32_t clocks = GENERATE(1U, 3U);
    const bool after_edge = GENERATE(false, true);
    const std::uint64_t seed = GENERATE(range<std::uint64_t>(0, 8));
    const CounterRandom random(seed, clocks);
    std::string text = ClockedCore::kHeader;
    std::uint64_t time = 0;
    std::vector<std::int64_t> want_v;
    std::vector<std::uint64_t> want_spikes;
    // What the registers hold; they change at the rising edge, in the same instant.
    std::int64_t v[2] = {0, 0};
    std::uint64_t spikes = 0;
    const auto dump_state = [&] {
        std::string wide(70, '0');
        for (int n = 0; n < 2; ++n)
            wide.replace(static_cast<std::size_t>(70 - (n == 0 ? 45 : 66)), 12,
                         binary(static_cast<std::uint64_t>(v[n]) & 0xfff, 12));
        return line(wide, "w") + line(std::to_string(spikes & 1), "s0") +
               line(std::to_string(spikes >> 1), "s1");
    };
    text += "#0\n0c\n1r\n0e\n" + dump_state();
    std::uint64_t counter = 0;
    const auto cycle = [&](const std::string& inputs, bool runs) {
        time += 5;
        text += "#" + std::to_string(time) + "\n0c\n" + inputs;
        time += 5;
        // The clock comes first or last of its instant: both must do.
        const bool first = random.below(2, counter, 9) != 0;
        text += "#" + std::to_string(time) + "\n" + (first ? "1c\n" : "");
        if (runs) {
            for (int n = 0; n < 2; ++n)
                v[n] = static_cast<std::int64_t>(
                           random.below(4096, counter, static_cast<std::uint64_t>(n))) -
                       2048;
            spikes = random.below(4, counter, 5);
            text += dump_state();
        }
        ++counter;
        text += first ? "" : "1c\n";
    };
    cycle("0r\n", false);
    cycle("", false);
    cycle("1r\n", false);  // one clock after the reset
    cycle("", false);
    const std::uint32_t steps = 20;
    for (std::uint32_t step = 0; step < steps; ++step)
        for (std::uint32_t c = 0; c < clocks; ++c) {
            const std::int64_t before[2] = {v[0], v[1]};
            const std::uint64_t spikes_before = spikes;
            cycle(step == 0 && c == 0 ? "1e\n" : "", true);
            if (c + 1 < clocks) continue;
            for (int n = 0; n < 2; ++n) want_v.push_back(after_edge ? v[n] : before[n]);
            want_spikes.push_back(after_edge ? spikes : spikes_before);
        }
    text += "#" + std::to_string(time + 5) + "\n0c\n";
    const Seen seen = read(text, ClockedCore::map(clocks, after_edge));
    CAPTURE(seed, clocks, after_edge);
    CHECK(seen.end.kind == trace::EndKind::Complete);
    CHECK(seen.steps == steps);
    CHECK(seen.fields[0] == want_v);
    CHECK(seen.spikes == want_spikes);
    CHECK(seen.source->n_unknowns() == 0);
    CHECK(seen.source->clocks() == 4 + steps * clocks);
    // The same, with the beginning given instead of recognised.
    ObservationMap late = ClockedCore::map(clocks, after_edge);
    late.plan.programs.clear();
    waves::WaveOptions given;
    given.first_time = 46;
    CHECK(read(text, late, given).fields[0] == want_v);
    // A start-up that never comes is said so.
    ObservationMap never = ClockedCore::map(clocks, after_edge);
    auto& lists = never.plan.programs;
    lists["startup0"][0].value = 1;
    lists["startup1"][0].value = 0;
    lists["startup2"] = lists["startup0"];
    const Seen nothing = read(text, never);
    CHECK(nothing.steps == 0);
    CHECK(nothing.end.kind == trace::EndKind::Incomplete);
}

TEST_CASE("waves/unknown: x and z are listed with time and signal, never 0", "[waves][unit]") {
    std::string text = ClockedCore::kHeader;
    text += "#0\n0c\n1r\n1e\n" + line(std::string(70, '0'), "w") + "0s0\n0s1\n";
    text += "#5\n0r\n#10\n1c\n#15\n0c\n1r\n#20\n1c\n#25\n0c\n";
    std::string wide(70, '0');
    wide[static_cast<std::size_t>(70 - 1 - 60)] = 'x';
    text += "#30\n1c\n" + line(wide, "w") + "#35\n0c\n#40\n1c\n" + line(std::string(70, '0'), "w") +
            "zs1\n#45\n0c\n#50\n1c\n1s1\n#55\n0c\n";
    const Seen seen = read(text, ClockedCore::map(1, true));
    // The edge at 20 is the first one after the reset.
    REQUIRE(seen.steps == 4);
    CHECK(seen.end.kind == trace::EndKind::Complete);
    CHECK(seen.masked[0] ==
          std::vector<bool>{false, false, false, true, false, false, false, false});
    CHECK(seen.valid == std::vector<std::uint8_t>{1, 1, 0, 1});
    CHECK(seen.spikes == std::vector<std::uint64_t>{0, 0, 0, 2});
    REQUIRE(seen.source->unknowns().size() == 2);
    const waves::Unknown& v = seen.source->unknowns()[0];
    CHECK(v.time == 30);
    CHECK(v.timestep == 1);
    CHECK(v.signal == "tb.wide[65:54]");
    CHECK(v.value == "00000x000000");
    CHECK(v.meaning == "v of all[1]");
    const waves::Unknown& spike = seen.source->unknowns()[1];
    CHECK(spike.time == 40);
    CHECK(spike.signal == "tb.spike[1]");
    CHECK(spike.value == "z");
    // Only so many are kept, but all are counted.
    waves::WaveOptions few;
    few.most_unknowns = 1;
    CHECK(read(text, ClockedCore::map(1, true), few).source->n_unknowns() == 2);
}

namespace {
/// Signals 0 clk, 1 tick, 2 done, 3 clear, 4 valid, 5 index (2 bits), 6 value (12 bits),
/// 7 spike valid.
constexpr const char* kStreamHeader =
    "$scope module d $end $var wire 1 c clk $end $var wire 1 t tick $end $var wire 1 d done $end\n"
    "$var wire 1 k clear $end $var wire 1 v valid $end $var wire 2 i index $end\n"
    "$var wire 12 a value $end $var wire 1 s spike $end $upscope $end $enddefinitions $end\n"
    "#0\n0c\n0t\n0d\n0k\n0v\n0s\nb0 i\nb0 a\n";

ObservationMap stream_map() {
    ObservationMap m;
    m.shape = shape_of(2, 12);
    const char* names[] = {"clk", "tick", "done", "clear", "valid", "index", "value", "spike"};
    const std::uint32_t bits[] = {1, 1, 1, 1, 1, 2, 12, 1};
    std::string text;
    for (std::uint32_t s = 0; s < 8; ++s) {
        m.signals.push_back({std::string("d.") + names[s], bits[s], 1, {{s, 0, bits[s]}}});
        text += std::string("sig ") + names[s] + "\n";
    }
    const std::string clear = "pulse 3 0 0 1 1 1000 1 @ 2 0 0 1 done\n";
    m.plan = trace::plan::Parser::parse(
        text + "neurons 2 0\nclock 0 0 0 1\ntimestep handshake 1000 1\nstart 1 0 0 1\n" +
        "done 1 @ 2 0 0 1\nprogram startup0\n" + clear + "program clear\n" + clear +
        "field v 2 12 1\ncover 0 1 0 2 1 0\n" +
        "strobe 0 0 0 0 2 0 0 1 @ 4 0 0 1 1 @ 5 0 0 2\nvalue 0 1 @ 6 0 0 12\n" +
        "strobe 1 0 0 0 2 -1 0 1 @ 7 0 0 1 1 @ 5 0 0 2\n");
    return m;
}

/// A waveform clock by clock: what is set holds before the rising edge.
class Bench {
public:
    Bench& clock(const std::string& changes) {
        text += "#" + std::to_string(time_ + 1) + "\n0c\n" + changes;
        time_ += 2;
        text += "#" + std::to_string(time_) + "\n1c\n";
        return *this;
    }
    /// A timestep that shows v of both neurons.
    Bench& step(int v0, int v1, const std::string& spike = "0") {
        clock("1t\n");
        clock("0t\n1v\nb0 i\nb" + binary(static_cast<std::uint64_t>(v0) & 0xfff, 12) + " a\n");
        clock("b1 i\n" + spike + "s\nb" + binary(static_cast<std::uint64_t>(v1) & 0xfff, 12) +
              " a\n");
        clock("0v\n0s\n1d\n");
        return clock("0d\n");
    }
    std::string text = kStreamHeader;

private:
    int time_ = 0;
};
}  // namespace

TEST_CASE("waves/handshake: streams between start and end, cleared samples", "[waves][unit]") {
    Bench b;
    b.clock("1d\n").clock("0d\n");  // no timestep without its start
    b.clock("1k\n").clock("0k\n1v\n1s\n").clock("0v\n0s\n1d\n").clock("0d\n");
    b.step(5, -7).step(-2048, 2047, "1");
    // What is shown before a clear belongs to no timestep, nor does what is shown in it.
    b.clock("1v\n1s\nb1 i\n").clock("0v\n0s\n1k\n");
    b.clock("0k\n1v\nb0 i\n").clock("0v\n1d\n").clock("0d\n");
    b.step(1, 2);
    Seen seen = read(b.text, stream_map());
    CHECK(seen.end.kind == trace::EndKind::Complete);
    CHECK(seen.fields[0] == std::vector<std::int64_t>{5, -7, -2048, 2047, 1, 2});
    CHECK(seen.spikes == std::vector<std::uint64_t>{0, 2, 0});
    const auto samples = seen.source->samples();
    REQUIRE(samples.size() == 2);
    CHECK((samples[0].begin == 0 && samples[0].end == 2));
    CHECK((samples[1].begin == 2 && samples[1].end == 3));
    CHECK(samples[1].start == trace::StartState::Clear);

    // What the DUT host calls a violation ends this source alike.
    Bench twice;
    twice.step(1, 2, "1").clock("1t\n").clock("0t\n1s\nb0 i\n").clock("").clock("0s\n1d\n");
    seen = read(twice.text, stream_map());
    CHECK(seen.steps == 1);
    CHECK(seen.end.kind == trace::EndKind::Asserted);
    CHECK(seen.end.text.find("fired twice") != std::string::npos);
    Bench few;
    few.clock("1t\n").clock("0t\n1v\nb0 i\n").clock("0v\n1d\n").clock("");
    CHECK(read(few.text, stream_map()).end.text ==
          "the core showed v of 1 neurons in this timestep, expected 2; neuron 1 is missing");
    Bench far;
    far.clock("1t\n").clock("0t\n1v\nb10 i\n").clock("0v\n1d\n").clock("");
    CHECK(read(far.text, stream_map()).end.text == "the core gave neuron 2, but there are 2");

    // A waveform that ends early.
    Bench cut;
    cut.step(1, 2).clock("1t\n").clock("0t\n");
    seen = read(cut.text, stream_map());
    CHECK(seen.steps == 1);
    CHECK(seen.end.kind == trace::EndKind::Incomplete);

    // Handshakes that are unknown.
    Bench x;
    x.step(1, 2).clock("1t\n").clock("0t\n1v\nb0 i\n").clock("bx i\n").clock("0v\nxs\n");
    x.clock("0s\n1d\n").clock("0d\n").step(3, 4);
    seen = read(x.text, stream_map());
    CHECK(seen.steps == 3);
    CHECK(seen.valid == std::vector<std::uint8_t>{1, 0, 1});
    REQUIRE(seen.source->n_unknowns() == 2);
    CHECK(seen.source->unknowns()[0].meaning == "index of values");
    CHECK(seen.source->unknowns()[0].value == "xx");
    CHECK(seen.source->unknowns()[1].meaning == "valid of spikes");
}

TEST_CASE("waves/custom: a timestep ends with each edge before which done holds", "[waves][unit]") {
    ObservationMap m = stream_map();
    m.plan.kind = trace::plan::Kind::Custom;
    Bench b;
    b.clock("1v\nb0 i\nb101 a\n").clock("b1 i\nb11 a\n1s\n").clock("0v\n0s\n1d\n");
    b.clock("1v\nb1 i\nb1 a\n0d\n").clock("b0 i\nb10 a\n1d\n").clock("0v\n0d\n");
    const Seen seen = read(b.text, m);
    CHECK(seen.end.kind == trace::EndKind::Complete);
    CHECK(seen.fields[0] == std::vector<std::int64_t>{5, 3, 2, 1});
    CHECK(seen.spikes == std::vector<std::uint64_t>{2, 0});
}

TEST_CASE("waves/aer: a tick before the core has settled ends the trace", "[waves][unit]") {
    ObservationMap m = stream_map();
    m.plan.kind = trace::plan::Kind::Aer;
    m.plan.has_tick = true;
    m.plan.tick = m.plan.start;
    m.plan.idle = {load(2)};
    m.plan.streams.erase(m.plan.streams.begin());
    m.plan.covers.clear();
    m.plan.fields.clear();
    m.shape.fields.clear();
    for (const bool first : {false, true}) {
        m.plan.tick_first = first;
        Bench b;
        b.clock("1t\n").clock("0t\n1s\nb1 i\n").clock("0s\n").clock("1d\n");
        b.clock("1t\n0d\n").clock("0t\n").clock("1d\n");
        Seen seen = read(b.text, m);
        CAPTURE(first);
        CHECK(seen.steps == 2);
        CHECK(seen.spikes == std::vector<std::uint64_t>{2, 0});
        CHECK(seen.end.kind == trace::EndKind::Complete);
        b.clock("1t\n0d\n").clock("0t\n").clock("1t\n").clock("0t\n1d\n");
        seen = read(b.text, m);
        CHECK(seen.steps == 2);
        CHECK(seen.end.kind == trace::EndKind::Incomplete);
        CHECK(seen.end.text.find("before the core has settled") != std::string::npos);
        // Whether it is idle is not known: it is not taken to be.
        Bench x;
        x.clock("1t\n").clock("0t\nxd\n").clock("1d\n").clock("0d\n");
        seen = read(x.text, m);
        CHECK(seen.steps == 1);
        REQUIRE(seen.source->n_unknowns() == 1);
        CHECK(seen.source->unknowns()[0].meaning == "idle");
    }
}

TEST_CASE("waves/keep: a value that is kept is as unknown as it was", "[waves][unit]") {
    ObservationMap m = stream_map();
    m.plan.covers[0].keep = true;
    m.plan.covers[0].once = false;
    Bench b;
    const auto step = [&](const std::string& shown) {
        b.clock("1t\n").clock("0t\n" + shown).clock("0v\n1d\n").clock("0d\n");
    };
    step("1v\nb0 i\nb1 a\n");
    step("1v\nb1 i\nbx a\n");
    step("");
    step("1v\nb1 i\nb11 a\n");
    step("");
    const Seen seen = read(b.text, m);
    CHECK(seen.end.kind == trace::EndKind::Complete);
    CHECK(seen.fields[0] == std::vector<std::int64_t>{1, 0, 1, 0, 1, 0, 1, 3, 1, 3});
    CHECK(seen.masked[0] ==
          std::vector<bool>{false, false, false, true, false, true, false, false, false, false});
    CHECK(seen.source->n_unknowns() == 1);
}

TEST_CASE("waves/dumpoff: timesteps that are not in the file are not passed over",
          "[waves][unit]") {
    const std::string off = "$dumpoff\nxc\nxt\nxd\nxv\nbx i\nbx a\nxs\n$end\n";
    Bench b;
    b.step(1, 2);
    const std::string before = b.text;
    const Seen whole = read(before + off, stream_map());
    CHECK(whole.steps == 1);
    CHECK(whole.end.kind == trace::EndKind::Complete);
    const Seen gap = read(
        before + off + "#100\n$dumpon\n1c\n0t\n0d\n0v\n0s\nb0 i\nb0 a\n$end\n#101\n0c\n#102\n1c\n",
        stream_map());
    CHECK(gap.steps == 1);
    CHECK(gap.end.kind == trace::EndKind::Incomplete);
    CHECK(gap.end.text.find("dumping was off until time 100") != std::string::npos);
    CHECK(gap.source->n_unknowns() == 0);
    // Off before anything began: nothing is lost.
    Bench late;
    late.text += off + "$dumpon\n0c\n0t\n0d\n0k\n0v\n0s\nb0 i\nb0 a\n$end\n";
    late.step(3, 4);
    CHECK(read(late.text, stream_map()).fields[0] == std::vector<std::int64_t>{3, 4});
}

TEST_CASE("waves/expressions: unknown bits matter only where they can", "[waves][unit]") {
    // done = expression of index (2 bits) and value (12 bits), sampled in one timestep.
    const auto constant = [](std::uint64_t value) { return Code{Op::Const, value, {}}; };
    const Code index = load(5, 2);
    const Code value = load(6, 12);
    struct Row {
        std::vector<Code> code;
        std::string index;
        std::string value;
        char want;  ///< '0', '1' or 'x'
    };
    const auto op = [](Op o) { return Code{o, 0, {}}; };
    const auto row = GENERATE_COPY(values<Row>({
        {{index, constant(3), op(Op::Eq)}, "11", "0", '1'},
        {{index, constant(3), op(Op::Eq)}, "0x", "0", '0'},
        {{index, constant(3), op(Op::Eq)}, "1x", "0", 'x'},
        {{index, constant(3), op(Op::Ne)}, "0x", "0", '1'},
        {{index, value, op(Op::LogicAnd)}, "xx", "0", '0'},
        {{index, value, op(Op::LogicAnd)}, "xx", "1", 'x'},
        {{index, value, op(Op::LogicOr)}, "x1", "0", '1'},
        {{index, value, op(Op::LogicOr)}, "x0", "0", 'x'},
        {{index, op(Op::LogicNot)}, "x1", "0", '0'},
        {{index, op(Op::LogicNot)}, "0z", "0", 'x'},
        {{index, constant(2), op(Op::And)}, "1x", "0", '1'},
        {{index, constant(2), op(Op::And)}, "0x", "0", '0'},
        {{index, constant(1), op(Op::Or)}, "xx", "0", '1'},
        {{index, constant(1), op(Op::Add), constant(4), op(Op::Eq)}, "11", "0", '1'},
        {{index, constant(1), op(Op::Add)}, "1x", "0", 'x'},
        {{value, constant(10), op(Op::Lt)}, "0", "1001", '1'},
        {{value, constant(10), op(Op::Ge)}, "0", "1x01", 'x'},
        {{value, constant(2), op(Op::Shr), constant(1), op(Op::And)}, "0", "10x", '1'},
        {{value, constant(64), op(Op::Shl)}, "0", "111", '0'},
        {{value, constant(0), op(Op::Div)}, "0", "111", '0'},
        {{value, constant(4), op(Op::Mod)}, "0", "111", '1'},
        {{index, constant(1), constant(1), op(Op::Select)}, "xx", "0", '1'},
        {{index, constant(1), constant(0), op(Op::Select)}, "xx", "0", 'x'},
        {{index, constant(0), constant(1), op(Op::Select)}, "10", "0", '0'},
        {{index, op(Op::Neg), constant(~std::uint64_t{0}), op(Op::Eq)}, "01", "0", '1'},
        {{index, op(Op::Not), constant(~std::uint64_t{0}), op(Op::Eq)}, "00", "0", '1'},
        {{index, index, op(Op::Xor)}, "11", "0", '0'},
        {{constant(6), constant(2), op(Op::Mul), constant(12), op(Op::Eq)}, "0", "0", '1'},
        {{constant(6), constant(8), op(Op::Sub), constant(5), op(Op::Gt)}, "0", "0", '1'},
        {{constant(6), constant(6), op(Op::Le)}, "0", "0", '1'},
        // A sign that is unknown is so in all bits that it is copied to.
        {{index, {Op::Extend, 2, {}}, constant(~std::uint64_t{0}), op(Op::Eq)}, "11", "0", '1'},
        {{index, {Op::Extend, 2, {}}, constant(62), op(Op::Shr)}, "x1", "0", 'x'},
        {{index, {Op::Extend, 2, {}}, constant(1), op(Op::And)}, "x1", "0", '1'},
        {{value, {Op::Reverse, 12, {}}, constant(1), op(Op::Eq)}, "0", "100000000000", '1'},
        {{value, {Op::Reverse, 12, {}}, constant(1), op(Op::And)}, "0", "x00000000000", 'x'},
    }));
    ObservationMap m = stream_map();
    m.plan.streams.clear();
    m.plan.covers.clear();
    m.plan.fields.clear();
    m.shape.fields.clear();
    trace::plan::Part spikes;
    spikes.end = 2;
    spikes.table = {{7, 0, 0, 1}, {7, 0, 0, 1}};
    m.plan.parts = {spikes};
    m.plan.done = row.code;
    Bench b;
    b.clock("1t\n").clock("0t\nb" + row.index + " i\nb" + row.value + " a\n");
    const Seen seen = read(b.text, m);
    CAPTURE(row.index, row.value, row.code.size());
    CHECK(seen.steps == (row.want == '1' ? 1 : 0));
    CHECK(seen.source->n_unknowns() == (row.want == 'x' ? 1 : 0));
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/observation_plan.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <string>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using trace::plan::Op;
using trace::plan::Parser;
using trace::plan::Plan;

namespace {
const std::string kPlan =
    "sig clk\nsig v\nneurons 2 4\nclock 0 0 0 1\ntimestep aer 1000 1\nidle 2 @ 1 0 0 1 !\n"
    "aer 1 0 2 16\ntick 3 0 0 0 1\nquiet 1 0 0 16\nprogram startup0\nreset 0 0 0 1 0 4\n"
    "field v 2 16 1\ncover 1 0 0 2 1 0\nlists 1 1 0 0 3\npart 0 1 0 0 2 0 1 1 @ 1 0 3 1 table"
    " 1 0 0 16 1 1 0 16\nstrobe 2 0 1 0 2 -1 2 0 0 0 1 1 @ 0 0 0 1 3 # 1 @w 1 0 4 rev 4\n"
    "attribute number 3 4 9 1 1 @ 1 0 0 4\n";
}

TEST_CASE("trace/plan: what is written is read", "[trace][unit]") {
    const Plan p = Parser::parse(kPlan);
    CHECK(p.signals == std::vector<std::string>{"clk", "v"});
    CHECK(p.kind == trace::plan::Kind::Aer);
    CHECK((p.tick_first && !p.settle && p.idle_clocks == 2 && p.quiet_clocks == 16));
    CHECK((p.has_tick && p.tick_clocks == 3 && !p.has_tick_event));
    REQUIRE(p.idle.size() == 2);
    CHECK(p.idle[1].op == Op::LogicNot);
    const trace::plan::Step& reset = p.programs.at("startup0").at(0);
    CHECK((reset.kind == trace::plan::Step::Kind::Reset && reset.clocks == 4 && reset.value == 0));
    REQUIRE(p.parts.size() == 1);
    CHECK((p.parts[0].table[1].word == 1 && p.parts[0].trigger.size() == 1));
    REQUIRE(p.streams.size() == 1);
    const trace::plan::Stream& s = p.streams[0];
    CHECK((s.is_spike && s.counts && s.latency == 1 && s.late == 3 && s.timestep_first == 9));
    CHECK(s.protocol == trace::plan::Stream::Protocol::FourPhase);
    CHECK((s.index[1].op == Op::LoadWord && s.index[1].field.lsb == 0 && s.index[2].value == 4));
    CHECK((p.counts && p.events && !p.order && p.lag == 3));
}

TEST_CASE("trace/plan: what is no plan is an error", "[trace][unit]") {
    const auto more = GENERATE(values<std::string>(
        {"what 1\n", "clock 2 0 0 1\n", "idle 2 @ 1 0 0 1 &&\n", "idle 1 ext 3\n", "idle 0\n",
         "idle 61\n", "idle 1 @\n", "idle 2 @ 1 0 0 1 rev 65\n", "idle 1 ?\n",
         "part 1 1 0 0 2 -1 0 table 1 0 0 1 1 0 0 1\n", "part 0 1 0 0 3 -1 0 table 1 0 0 1\n",
         "part 0 1 0 0 2 7 0 table 1 0 0 1 1 0 0 1\n", "strobe 1 0 0 0 9 -1 0 1 # 1 1 # 0\n",
         "lists 0 0 0 0 5000\n", "tick_event 4 1\n"}));
    CAPTURE(more);
    CHECK_THROWS_AS(Parser::parse(kPlan + more), std::runtime_error);
}

TEST_CASE("trace/plan: damaged text gives a plan or an error", "[trace][property]") {
    const CounterRandom random(GENERATE(range<std::uint64_t>(0, 200)), 1);
    std::string text = kPlan;
    for (std::uint64_t k = 0; k <= random.below(4, 0, 0); ++k)
        text[random.below(static_cast<std::uint32_t>(text.size()), k, 1)] =
            " 0129-@#\nxs"[random.below(11, k, 2)];
    try {
        (void)Parser::parse(text);
    } catch (const std::runtime_error& error) {
        CHECK_THAT(error.what(), Catch::Matchers::ContainsSubstring("plan"));
    }
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/tracer.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "spikelock/golden/random_network.hpp"

using namespace spikelock;
using namespace spikelock::golden;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("golden/tracer: a run is recorded whole and depends on its seed alone",
          "[golden][unit]") {
    const auto net = random_network(2);
    REQUIRE(net);
    const SpikeTracer tracer(*net);
    const auto trace = tracer.run(3.0, 1e-3, 7);
    if (!trace) FAIL(trace.error().text());
    CHECK(trace->n_steps() == 3000);
    CHECK(trace->shape() == net->shape());
    CHECK(trace->spike_count() > 0);
    REQUIRE(trace->samples().size() == 1);
    const auto same = tracer.run(3.0, 1e-3, 7);
    const auto other = tracer.run(3.0, 1e-3, 8);
    const auto first_second = tracer.run(1.0, 1e-3, 7);
    CHECK(std::ranges::equal(same->view().spikes, trace->view().spikes));
    CHECK_FALSE(std::ranges::equal(other->view().spikes, trace->view().spikes));
    CHECK(std::ranges::equal(first_second->view().spikes,
                             trace->view().spikes.first(first_second->view().spikes.size())));
    CHECK(tracer.run(0.0, 1e-3, 7)->n_steps() == 0);
    // The input reaches axons of all ports: two ports give what one gave.
    Network split = *net;
    const std::uint32_t axons = split.n_axons();
    split.ports = {{"a", 0, 2}, {"empty", 2, 2}, {"b", 2, axons}};
    const auto ported = SpikeTracer(split).run(1.0, 1e-3, 7);
    REQUIRE(ported);
    CHECK(std::ranges::equal(ported->view().spikes, first_second->view().spikes));
}

TEST_CASE("golden/tracer: bad arguments are errors", "[golden][unit]") {
    const auto net = random_network(2);
    REQUIRE(net);
    const auto refused = [](const Result<trace::ExecutionTrace>& trace, const char* text) {
        REQUIRE_FALSE(trace);
        CHECK_THAT(trace.error().text(), ContainsSubstring(text));
    };
    refused(SpikeTracer(*net).run(-1.0, 1e-3, 1), "duration is -1 s");
    refused(SpikeTracer(*net).run(1.0, 2e-3, 1), "quantised for 0.001 s");
    refused(SpikeTracer(*net).run(1e9, 1e-3, 1), "fewer than 2^32");
    refused(SpikeTracer(*net, 2000.0).run(1.0, 1e-3, 1), "input rate is 2000/s");
    Network bad = *net;
    bad.neurons[0].threshold = 1 << 30;
    bad.arithmetic.v_bits = 8;
    CHECK_FALSE(SpikeTracer(bad).run(1.0, 1e-3, 1));
}

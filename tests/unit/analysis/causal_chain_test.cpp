// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/causal_chain.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <set>

#include "simulator.hpp"
#include "spikelock/analysis/render.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/stimulus.hpp"

using namespace spikelock;
using namespace spikelock::analysis;
using namespace spikelock::analysis::test;

namespace {
/// One input onto a, a onto b: weights 5 and 7, delays 0 and 2; perfect integrators.
golden::Network line() {
    golden::Network network;
    network.arithmetic.weight_shift = 1;
    network.ports = {{"pixels", 0, 1}};
    network.populations = {{"a", 0, 1}, {"b", 1, 2}};
    network.neurons.resize(2);
    network.neurons[0].threshold = 20;
    network.neurons[1].threshold = 1000;
    network.row_begin = {0, 1, 2, 2};
    network.synapses = {{0, 5, 0}, {1, 7, 2}};
    return network;
}
}  // namespace

TEST_CASE("analysis/causal_chain: what is delivered sums to i_syn", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{16}));
    golden::Network network = small_network(seed);
    network.arithmetic.acc_bits = 32;  // wide: sums never overflow
    network.arithmetic.weight_shift = static_cast<int>(seed % 4);
    const auto stimulus = input_for(network, seed, 128);
    const trace::ExecutionTrace trace = simulate(network, *stimulus);
    const Connectivity connectivity(network);
    const auto field = static_cast<std::size_t>(trace.shape().field_index("i_syn"));
    CausalOptions options;
    options.depth = 1;
    options.max_causes = 1'000'000;
    options.field = "i_syn";
    std::uint64_t deliveries = 0;
    for (std::uint64_t t = 0; t < 128; t += 3)
        for (std::uint32_t n = 0; n < network.n_neurons(); ++n) {
            const auto chain = causal_chain(connectivity, stimulus.get(), trace, n, t, options);
            REQUIRE(chain);
            std::int64_t sum = 0;
            for (const CausalEdge& edge : chain->edges) {
                sum += edge.contribution;
                const CausalNode& cause = chain->nodes[edge.cause];
                REQUIRE(cause.timestep + edge.delay == t);
                if (cause.kind == CauseKind::Spike)
                    REQUIRE(trace.spike(cause.timestep, cause.neuron));
                ++deliveries;
            }
            CAPTURE(seed, t, n);
            REQUIRE(sum == trace.raw(field, t, n));
            REQUIRE(chain->nodes[0].i_syn_delivered == sum);
            REQUIRE(chain->nodes[0].i_syn_recorded == sum);
            REQUIRE(chain->nodes[0].i_syn_complete);
        }
    CHECK(deliveries > 20);
}

TEST_CASE("analysis/causal_chain: a perfect integrator is the sum of its causes",
          "[analysis][property]") {
    // Without leak and rounding the estimate is no estimate: carried state, bias and deliveries
    // must give v exactly, also with causes that were summed up.
    const auto seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{9}));
    golden::Network network = small_network(seed, false);
    network.arithmetic.leak_mode = golden::LeakMode::Shift;
    network.arithmetic.v_bits = 32;
    network.arithmetic.acc_bits = 32;
    network.arithmetic.v_overflow = golden::Overflow::Saturate;
    for (golden::NeuronParams& neuron : network.neurons) neuron.leak = 0;
    const auto stimulus = input_for(network, seed, 128);
    const trace::ExecutionTrace trace = simulate(network, *stimulus);
    const Connectivity connectivity(network);
    const auto v = static_cast<std::size_t>(trace.shape().field_index("v"));
    CausalOptions options;
    options.depth = 1;
    options.look_back = 20;
    options.max_causes = 3;
    std::uint64_t checked = 0;
    for (std::uint64_t t = 0; t < 128; t += 5)
        for (std::uint32_t n = 0; n < network.n_neurons(); ++n) {
            if (trace.spike(t, n)) continue;  // v is after the reset there
            const auto chain = causal_chain(connectivity, stimulus.get(), trace, n, t, options);
            REQUIRE(chain);
            if (chain->nodes[0].in_refractory) continue;
            double sum = 0.0;
            for (const CausalEdge& edge : chain->edges) sum += edge.decayed;
            CAPTURE(seed, t, n);
            REQUIRE(sum == Catch::Approx(static_cast<double>(trace.raw(v, t, n))));
            REQUIRE(chain->nodes[0].v_estimate == Catch::Approx(sum));
            REQUIRE(chain->edges.size() <= 4);
            ++checked;
        }
    CHECK(checked > 50);
}

TEST_CASE("analysis/causal_chain: a spike is followed back to the input", "[analysis][unit]") {
    const golden::Network network = line();
    REQUIRE(network.check());
    // a reaches 20 with two events of 5 << 1 and fires at t=4; b sees 7 << 1 at t=6.
    auto stimulus = golden::make_event_stimulus({{1, {}}, {4, {}}}, 10, {});
    REQUIRE(stimulus);
    const trace::ExecutionTrace trace = simulate(network, **stimulus);
    REQUIRE(trace.spike(4, 0));
    const Connectivity connectivity(network);
    const auto chain = causal_chain(connectivity, stimulus->get(), trace, 1, 8);
    REQUIRE(chain);
    REQUIRE(chain->nodes.size() == 4);
    CHECK(chain->nodes[0].label == "b[0] t=8");
    CHECK(chain->nodes[1].label == "a[0] t=4");
    CHECK(chain->nodes[1].kind == CauseKind::Spike);
    CHECK(chain->nodes[2].label == "pixels[0] t=4");
    CHECK(chain->nodes[2].kind == CauseKind::Input);
    CHECK(chain->nodes[3].label == "pixels[0] t=1");
    REQUIRE(chain->edges.size() == 3);
    CHECK(chain->edges[0].weight == 7);
    CHECK(chain->edges[0].delay == 2);
    CHECK(chain->edges[0].arrives == 6);
    CHECK(chain->edges[0].contribution == 14);
    CHECK(chain->edges[1].contribution == 10);
    CHECK(chain->nodes[1].v_estimate == 20.0);

    CausalOptions shallow;
    shallow.depth = 1;
    const auto cut = causal_chain(connectivity, stimulus->get(), trace, 1, 8, shallow);
    REQUIRE(cut);
    CHECK(cut->nodes.size() == 2);
    CHECK_FALSE(cut->nodes[1].expanded);
}

TEST_CASE("analysis/causal_chain: events that stand twice are one cause", "[analysis][unit]") {
    const golden::Network network = line();
    auto stimulus = golden::make_event_stimulus({{1, {}}, {1, {}}}, 3, {});
    REQUIRE(stimulus);
    const trace::ExecutionTrace trace = simulate(network, **stimulus);
    const auto chain = causal_chain(Connectivity(network), stimulus->get(), trace, 0, 1);
    REQUIRE(chain);
    REQUIRE(chain->edges.size() == 1);
    CHECK(chain->edges[0].times == 2);
    CHECK(chain->edges[0].contribution == 20);
}

TEST_CASE("analysis/causal_chain: an accumulator that overflows is named", "[analysis][unit]") {
    golden::Network network = line();
    network.arithmetic.acc_bits = 5;
    auto stimulus = golden::make_event_stimulus({{1, {}}, {1, {}}}, 3, {});
    REQUIRE(stimulus);
    const bool wraps = GENERATE(true, false);
    network.arithmetic.acc_overflow = wraps ? golden::Overflow::Wrap : golden::Overflow::Saturate;
    const trace::ExecutionTrace trace = simulate(network, **stimulus);
    const auto chain = causal_chain(Connectivity(network), stimulus->get(), trace, 0, 1);
    REQUIRE(chain);
    CHECK(chain->nodes[0].i_syn_delivered == 20);
    CHECK(chain->nodes[0].i_syn_recorded == (wraps ? -12 : 15));
    CHECK(chain->nodes[0].i_syn_overflow == (wraps ? "wraps in 5 bits" : "saturates in 5 bits"));
    const std::string text = render(*chain);
    CAPTURE(text);
    CHECK(text.find(wraps ? "i_syn delivered 20 wraps in 5 bits: -12"
                          : "i_syn delivered 20 saturates in 5 bits: 15") != std::string::npos);
    CHECK(text.find("unexplained") == std::string::npos);
    // What no overflow gives stays unexplained.
    const auto odd = causal_chain(Connectivity(network), stimulus->get(),
                                  with_value(trace, "i_syn", 1, 0, 7), 0, 1);
    REQUIRE(odd);
    CHECK(render(*odd).find("i_syn recorded 7, delivered 20: -13 unexplained") !=
          std::string::npos);
    // The bits are those of a description where there is one.
    golden::Description description = golden::describe(network);
    description.synapse.bits = 4;
    CausalOptions options;
    options.description = &description;
    const auto described = causal_chain(Connectivity(network), stimulus->get(),
                                        with_value(trace, "i_syn", 1, 0, 4), 0, 1, options);
    REQUIRE(described);
    CHECK(described->nodes[0].i_syn_overflow == "wraps in 4 bits");
}

TEST_CASE("analysis/causal_chain: what came before a low v set the state is no cause",
          "[analysis][unit]") {
    golden::Network network = line();
    network.synapses[0].weight = -5;
    const auto stimulus = golden::make_event_stimulus({{1, {}}, {2, {}}, {3, {}}}, 5, {});
    REQUIRE(stimulus);
    const auto action = GENERATE(golden::NegativeAction::Reset, golden::NegativeAction::Clamp,
                                 golden::NegativeAction::Subtract);
    golden::Description description = golden::describe(network);
    description.threshold.negative_action = action;
    description.threshold.negative = golden::Param::scalar(-15);
    description.threshold.negative_reset = golden::Param::scalar(3);
    auto source = golden::DescribedSource::create(network, description);
    REQUIRE(source);
    REQUIRE((*source)->submit((*stimulus)->block(0, 5)));
    const auto read = (*source)->read(5);
    REQUIRE(read);
    trace::ExecutionTrace trace((*source)->shape());
    trace.append(std::get<trace::BlockView>(*read));
    CausalOptions options;
    options.description = &description;
    // v is -10 at t=1, and would be -20 at t=2.
    const auto chain = causal_chain(Connectivity(network), stimulus->get(), trace, 0, 3, options);
    REQUIRE(chain);
    std::vector<std::string> labels;
    for (const CausalNode& node : chain->nodes) labels.push_back(node.label);
    if (action == golden::NegativeAction::Subtract)
        CHECK(labels == std::vector<std::string>{"a[0] t=3", "pixels[0] t=3", "pixels[0] t=2",
                                                 "pixels[0] t=1"});
    else if (action == golden::NegativeAction::Reset)
        CHECK(labels == std::vector<std::string>{"a[0] t=3", "pixels[0] t=3",
                                                 "v=3 of a[0] after its negative threshold, t=2"});
    else
        CHECK(labels == std::vector<std::string>{"a[0] t=3",
                                                 "v=-15 of a[0] after its negative threshold, t=2",
                                                 "pixels[0] t=3"});
    CHECK(chain->nodes[0].v_estimate ==
          (action == golden::NegativeAction::Subtract
               ? -30.0
               : static_cast<double>(
                     trace.raw(static_cast<std::size_t>(trace.shape().field_index("v")), 3, 0)) +
                     (action == golden::NegativeAction::Clamp ? -10.0 : 0.0)));
}

TEST_CASE("analysis/causal_chain: the bias is told for each timestep and in all",
          "[analysis][unit]") {
    golden::Network network = line();
    network.neurons[1].bias = -6;
    const auto stimulus = golden::make_event_stimulus({{1, {}}}, 5, {});
    REQUIRE(stimulus);
    const auto text = [&] {
        const trace::ExecutionTrace trace = simulate(network, **stimulus);
        const auto chain = causal_chain(Connectivity(network), stimulus->get(), trace, 1, 2);
        REQUIRE(chain);
        return render(*chain);
    };
    CHECK(text().find("bias of b[0]  3 timesteps \xE2\x86\x92 -6 each, -18 in all\n") !=
          std::string::npos);
    network.neurons[1].leak = 1;  // half is left of each timestep before: 6 + 3 + 1.5
    CHECK(text().find("-6 each, -18 in all (left: -10.5)\n") != std::string::npos);
}

TEST_CASE("analysis/causal_chain: what lies before the window is marked", "[analysis][unit]") {
    const golden::Network network = line();
    auto stimulus = golden::make_event_stimulus({{1, {}}, {4, {}}}, 10, {});
    REQUIRE(stimulus);
    const trace::ExecutionTrace trace = part_of(simulate(network, **stimulus), 5, 5);
    const auto chain = causal_chain(Connectivity(network), stimulus->get(), trace, 1, 6);
    REQUIRE(chain);
    // The spike of a at t=4 is not recorded, so its delivery at t=6 is unknown.
    CHECK(chain->nodes[0].before_window);
    CHECK_FALSE(chain->nodes[0].i_syn_complete);
    bool marked = false;
    for (const CausalNode& node : chain->nodes)
        marked = marked || node.label == "before the recorded window";
    CHECK(marked);
}

TEST_CASE("analysis/causal_chain: nodes stand once and edges point back", "[analysis][property]") {
    const auto seed = GENERATE(range(std::uint64_t{20}, std::uint64_t{30}));
    const golden::Network network = small_network(seed);
    const auto stimulus = input_for(network, seed, 128);
    const trace::ExecutionTrace trace = simulate(network, *stimulus);
    CausalOptions options;
    options.depth = 4;
    const auto chain = causal_chain(Connectivity(network), stimulus.get(), trace,
                                    network.n_neurons() - 1, 100, options);
    REQUIRE(chain);
    std::set<std::tuple<CauseKind, std::uint32_t, std::uint64_t>> seen;
    for (const CausalNode& node : chain->nodes) {
        if (node.kind == CauseKind::Spike)
            REQUIRE(seen.emplace(node.kind, node.neuron, node.timestep).second);
        if (node.kind == CauseKind::Input)
            REQUIRE(seen.emplace(node.kind, node.axon, node.timestep).second);
        REQUIRE(node.depth <= 4);
        REQUIRE_FALSE((node.expanded && node.depth >= 4));
    }
    for (const CausalEdge& edge : chain->edges) {
        REQUIRE(edge.cause < chain->nodes.size());
        REQUIRE(edge.effect < chain->nodes.size());
        const CausalNode& cause = chain->nodes[edge.cause];
        const CausalNode& effect = chain->nodes[edge.effect];
        REQUIRE(cause.timestep <= effect.timestep);
        if (cause.kind == CauseKind::Spike && cause.timestep == effect.timestep)
            REQUIRE(cause.neuron < effect.neuron);
        REQUIRE(edge.arrives <= effect.timestep);
    }
}

TEST_CASE("analysis/causal_chain: without a network all earlier spikers are listed",
          "[analysis][unit]") {
    const golden::Network network = small_network(8);
    const auto stimulus = input_for(network, 8, 64);
    const trace::ExecutionTrace trace = simulate(network, *stimulus);
    CausalOptions options;
    options.look_back = 10;
    const auto chain = causal_chain_without_connectivity(trace, 0, 40, options);
    REQUIRE(chain);
    CHECK_FALSE(chain->connectivity);
    std::uint64_t spikes = 0;
    for (std::uint64_t t = 30; t < 40; ++t)
        for (std::uint32_t n = 0; n < trace.n_neurons(); ++n) spikes += trace.spike(t, n) ? 1U : 0U;
    CHECK(spikes > 0);
    CHECK(chain->nodes.size() == spikes + 1);
}

TEST_CASE("analysis/causal_chain: a place that is not recorded is an error", "[analysis][unit]") {
    const golden::Network network = line();
    auto stimulus = golden::make_event_stimulus({}, 10, {});
    REQUIRE(stimulus);
    const trace::ExecutionTrace trace = simulate(network, **stimulus);
    const Connectivity connectivity(network);
    const auto late = causal_chain(connectivity, stimulus->get(), trace, 0, 10);
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Errc::NotFound);
    const auto nobody = causal_chain(connectivity, stimulus->get(), trace, 2, 1);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code == Errc::NotFound);
    const golden::Network other = small_network(1);
    const auto foreign = causal_chain(Connectivity(other), stimulus->get(), trace, 0, 1);
    REQUIRE_FALSE(foreign);
    CHECK(foreign.error().code == Errc::Mismatch);
}

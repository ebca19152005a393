// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/network.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "spikelock/golden/network_json.hpp"
#include "spikelock/golden/random_network.hpp"

using namespace spikelock;
using namespace spikelock::golden;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Two axons, neurons 0..1 in one population and 2 in another; passes check().
Network small() {
    Network net;
    net.name = "small";
    net.ports = {{"a", 0, 1}, {"b", 1, 2}};
    net.populations = {{"hidden", 0, 2}, {"out", 2, 3}};
    net.neurons.assign(3, {.threshold = 100});
    net.row_begin = {0, 2, 3, 4, 5, 5};
    net.synapses = {{0, 5, 0}, {1, -6, 3}, {1, 7, 0}, {2, 8, 0}, {0, -128, 1}};
    return net;
}

bool equal(const Network& a, const Network& b) {
    return a.name == b.name && a.dt == b.dt && a.arithmetic == b.arithmetic && a.ports == b.ports &&
           a.populations == b.populations && a.neurons == b.neurons && a.row_begin == b.row_begin &&
           a.synapses == b.synapses;
}

}  // namespace

TEST_CASE("golden/network: check names the element, its value and the bound", "[golden][unit]") {
    REQUIRE(small().check());
    const struct {
        std::function<void(Network&)> change;
        const char* text;
    } rows[] = {
        {[](Network& n) { n.arithmetic.v_bits = 33; }, "arithmetic: v_bits is 33, expected 2..32"},
        {[](Network& n) { n.arithmetic.u_bits = 1; }, "u_bits is 1, expected 2..32"},
        {[](Network& n) { n.arithmetic.weight_bits = 17; }, "weight_bits is 17, expected 2..16"},
        {[](Network& n) { n.arithmetic.leak_frac = 0; }, "leak_frac is 0, expected 1..16"},
        {[](Network& n) { n.arithmetic.refr_bits = 9; }, "refr_bits is 9, expected 1..8"},
        {[](Network& n) { n.arithmetic.delay_slots = 6; }, "delay_slots is 6, expected a power"},
        {[](Network& n) { n.arithmetic.delay_slots = 128; }, "delay_slots is 128, expected 2..64"},
        {[](Network& n) { n.arithmetic.weight_shift = 16; }, "weight_shift is 16, expected 0..15"},
        {[](Network& n) { n.arithmetic.u_shift = -1; }, "u_shift is -1, expected 0..15"},
        {[](Network& n) { n.arithmetic.rounding = static_cast<Rounding>(4); },
         "rounding is 4, expected 0..3"},
        {[](Network& n) { n.dt = 0.0; }, "dt: is 0, expected a finite number above 0"},
        {[](Network& n) { n.neurons.clear(); }, "neurons: there are none"},
        {[](Network& n) { n.ports[1].begin = 2; }, "port 1 'b': begins at 2, expected 1"},
        {[](Network& n) { n.ports[0].label = "b"; }, "port 1 'b': label is used twice"},
        {[](Network& n) { n.populations[0].end = 1; },
         "population 1 'out': begins at 2, expected 1"},
        {[](Network& n) { n.populations[1].end = 4; }, "populations: cover 0..3, expected 0..2"},
        {[](Network& n) { n.neurons[1].threshold = 32768; },
         "neuron 1: threshold is 32768, expected -32768..32767"},
        {[](Network& n) { n.neurons[2].v_reset = -32769; },
         "neuron 2: v_reset is -32769, expected -32768..32767"},
        {[](Network& n) { n.neurons[2].bias = 40000; }, "neuron 2: bias is 40000"},
        {[](Network& n) { n.neurons[0].leak = 8192; }, "neuron 0: leak is 8192, expected 0..8191"},
        {[](Network& n) { n.neurons[0].u_decay = 9999; }, "u_decay is 9999, expected 0..8191"},
        {[](Network& n) { n.neurons[0].refractory = 256; }, "refractory is 256, expected 0..255"},
        {[](Network& n) { n.row_begin.pop_back(); }, "row_begin: has 5 elements, expected 6"},
        {[](Network& n) { n.row_begin[0] = 1; }, "row_begin[0]: is 1, expected 0"},
        {[](Network& n) { n.row_begin[2] = 1; }, "row_begin[2]: is 1, below 2"},
        {[](Network& n) { n.row_begin[5] = 6; }, "row_begin[5]: is 6, expected the number of"},
        {[](Network& n) { n.synapses[1].target = 3; },
         "synapse 1 of axon 0: target is 3, expected 0..2"},
        {[](Network& n) { n.synapses[4].weight = -129; },
         "synapse 4 of neuron 1: weight is -129, expected -128..127"},
        {[](Network& n) { n.synapses[2].delay = 4; }, "synapse 2 of axon 1: delay is 4, expected "},
        {[](Network& n) { n.synapses[4].delay = 0; },
         "synapse 4 of neuron 1: delay 0 to neuron 0, expected a later target"},
        {[](Network& n) { n.synapses[3].target = 0; },
         "synapse 3 of neuron 0: delay 0 to neuron 0, expected a later target"},
    };
    for (const auto& row : rows) {
        Network net = small();
        row.change(net);
        const Status status = net.check();
        CAPTURE(row.text);
        REQUIRE_FALSE(status);
        CHECK(status.error().code == Errc::BadConfig);
        CHECK_THAT(status.error().text(), ContainsSubstring(row.text));
    }
}

TEST_CASE("golden/network: the shape has the fields that the neurons have", "[golden][unit]") {
    Network net = small();
    net.arithmetic.v_frac = 6;
    net.arithmetic.u_shift = 3;
    net.arithmetic.u_bits = 20;
    const auto names = [&] {
        std::string out;
        for (const auto& f : net.shape().fields)
            out += f.name + ":" + std::to_string(f.bits) + "/" + std::to_string(f.bytes) + "q" +
                   std::to_string(f.frac_bits) + (f.is_signed ? "s " : "u ");
        return out;
    };
    CHECK(names() == "i_syn:20/4q6s v:16/2q6s ");
    net.neurons[1].refractory = 2;
    CHECK(names() == "i_syn:20/4q6s v:16/2q6s refr:8/1q0u ");
    net.neurons[1].cuba = true;
    CHECK(names() == "i_syn:20/4q6s u:20/4q9s v:16/2q6s refr:8/1q0u ");
    for (auto& p : net.neurons) p.cuba = true;
    CHECK(names() == "i_syn:20/4q9s u:20/4q9s v:16/2q6s refr:8/1q0u ");
    CHECK(net.shape().fields[0].cls == trace::FieldClass::Input);
    CHECK(net.shape().fields[1].cls == trace::FieldClass::State);
    CHECK(net.shape().n_neurons == 3);
    CHECK(net.shape().populations == net.populations);
    CHECK(net.shape().dt == net.dt);
}

TEST_CASE("golden/network_json: a network is what it was before it was written",
          "[golden][property]") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        auto net = random_network(seed);
        REQUIRE(net);
        net->dt = 1.0 / 3.0;
        net->name = "quote \" and \xc3\xbc";
        const std::string text = to_json(*net);
        const auto back = network_from_json(text);
        if (!back) FAIL(back.error().text());
        CHECK(equal(*net, *back));
        CHECK(to_json(*back) == text);
    }
}

TEST_CASE("golden/network_json: the text uses the names of the members", "[golden][unit]") {
    const std::string text = to_json(small());
    for (const char* const part :
         {R"("name": "small")", R"("dt": 0.001)", R"("arithmetic": {"v_bits":16,"u_bits":16,)",
          R"("ports": [)", R"({"label":"b","begin":1,"end":2})",
          R"({"threshold":100,"v_reset":0,"bias":0,"leak":0,"u_decay":0,"refractory":0,)"
          R"("spiking":true,"cuba":false})",
          R"("row_begin": [0,2,3,4,5,5])", R"([1,-6,3])"})
        CHECK_THAT(text, ContainsSubstring(part));
}

TEST_CASE("golden/network_json: bad text is an error that names the key", "[golden][unit]") {
    const std::string good = to_json(small());
    const struct {
        const char* from;
        const char* to;
        Errc code;
        const char* text;
    } rows[] = {
        {"{", "", Errc::BadFormat, "net.json: not JSON at byte"},
        {"\"v_bits\":16", "\"v_bits\":\"x\"", Errc::BadFormat,
         "net.json: arithmetic.v_bits: is \"x\", expected an integer"},
        {"\"v_bits\":16", "\"v_bits\":16.5", Errc::BadFormat, "expected an integer"},
        {"\"v_bits\":16", "\"v_bitz\":16", Errc::BadFormat, "arithmetic: key 'v_bits' is missing"},
        {"\"v_bits\":16", "\"v_bits\":16,\"v_bitz\":1", Errc::BadFormat,
         "key 'v_bitz' is unknown; did you mean 'v_bits'"},
        {"\"rounding\":0", "\"rounding\":300", Errc::BadFormat, "an enumeration code"},
        {"\"rounding\":0", "\"rounding\":4", Errc::BadConfig,
         "net.json: arithmetic: rounding is 4"},
        {"\"threshold\":100", "\"threshold\":2147483648", Errc::BadFormat,
         "neurons[0].threshold: is 2147483648, expected an integer in -2147483648..2147483647"},
        {"\"threshold\":100", "\"threshold\":18446744073709551615", Errc::BadFormat,
         "neurons[0].threshold: is 18446744073709551615"},
        {"\"leak\":0", "\"leak\":-1", Errc::BadFormat, "neurons[0].leak: is -1"},
        {"\"spiking\":true", "\"spiking\":1", Errc::BadFormat, "expected true or false"},
        {"[1,-6,3]", "[1,-6]", Errc::BadFormat, "synapses[1]: is [1,-6], expected [target, weight"},
        {"[1,-6,3]", "[1,-60000,3]", Errc::BadFormat, "synapses[1]: is -60000"},
        {"[1,-6,3]", "[7,-6,3]", Errc::BadConfig, "net.json: synapse 1 of axon 0: target is 7"},
        {"\"dt\": 0.001", "\"dt\": null", Errc::BadFormat, "dt: is null, expected a number"},
    };
    for (const auto& row : rows) {
        std::string text = good;
        const auto at = text.find(row.from);
        CAPTURE(row.from, row.to);
        REQUIRE(at != std::string::npos);
        text.replace(at, std::string(row.from).size(), row.to);
        const auto net = network_from_json(text, "net.json");
        REQUIRE_FALSE(net);
        CHECK(net.error().code == row.code);
        CHECK_THAT(net.error().text(), ContainsSubstring(row.text));
    }
    for (const char* const text : {"", "[]", "3", "null", "{\"name\":[[[[", "\xff\xfe"})
        CHECK_FALSE(network_from_json(text));
}

TEST_CASE("golden/network_json: files are written whole and read back", "[golden][unit]") {
    const auto folder =
        std::filesystem::temp_directory_path() / ("spikelock-json-" + std::to_string(getpid()));
    std::filesystem::create_directory(folder);
    const std::string path = folder / "net.json";
    REQUIRE(save_network(small(), path));
    const auto back = load_network(path);
    REQUIRE(back);
    CHECK(equal(small(), *back));
    CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
    const auto missing = load_network(folder / "none.json");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Errc::NotFound);
    const Status unwritable = save_network(small(), folder / "none" / "net.json");
    REQUIRE_FALSE(unwritable);
    CHECK(unwritable.error().code == Errc::Io);
    std::filesystem::remove_all(folder);
}

// SPDX-License-Identifier: Apache-2.0
// What the HDF5 child hands over is judged by code in the calling process: any bytes give a tree
// or an error, any tree a network or an error, any network integers or an error. (Whole files go
// through the library and are mutated in tests/unit/nir.)
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../../golden/src/nir_graph.hpp"
#include "fuzz_support.hpp"
#include "spikelock/golden/quantise.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace spikelock::golden;
    using spikelock::fuzz::must;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto tree = detail::deserialise(bytes);
    if (!tree) {
        must(!tree.error().message.empty());
        return 0;
    }
    // Names that stand twice are merged, so only the second round must give the same bytes.
    const std::string once = detail::serialise(*tree);
    const auto again = detail::deserialise(once);
    must(again.has_value() && detail::serialise(*again) == once);

    const auto network = detail::build_network(*tree, "fuzz.nir");
    if (!network) {
        must(network.error().where.starts_with("fuzz.nir") && !network.error().message.empty());
        return 0;
    }
    std::uint64_t neurons = 0;
    for (const FloatPopulation& population : network->populations) {
        must(population.size > 0 && population.bias.size() == population.size);
        neurons += population.size;
    }
    must(network->row_begin.size() == network->n_axons() + neurons + 1);
    must(network->row_begin.back() == network->synapses.size());
    for (const FloatSynapse& synapse : network->synapses)
        must(synapse.target < neurons && std::isfinite(synapse.weight) && synapse.weight != 0.0 &&
             synapse.delay >= 0.0);
    for (const auto mode : {LeakMode::Shift, LeakMode::Multiply}) {
        QuantiseOptions options;
        options.arithmetic.leak_mode = mode;
        const auto quantised = quantise(*network, options);
        must(quantised.has_value() ? quantised->network.check().has_value()
                                   : !quantised.error().message.empty());
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The parameter sets of rtl/core/snn_core that the co-simulation tests run; each is verilated once.
#pragma once

#include <string>
#include <vector>

#include "spikelock/golden/random_network.hpp"
#include "spikelock/manifest/manifest.hpp"

namespace spikelock::test {

struct CoreSize {
    std::string name;
    std::uint32_t neurons;
    std::uint32_t axons;
    std::uint32_t synapses;
    golden::Arithmetic arithmetic;

    /// Overrides of tests/cosim/snn_core.toml. sizes.py gives the same to the Python tests.
    std::vector<std::string> overrides() const {
        const golden::Arithmetic& a = arithmetic;
        const std::vector<std::pair<const char*, std::int64_t>> all = {
            {"Neurons", neurons},         {"Axons", axons},          {"Synapses", synapses},
            {"VWidth", a.v_bits},         {"UWidth", a.u_bits},      {"AccWidth", a.acc_bits},
            {"WWidth", a.weight_bits},    {"LeakFrac", a.leak_frac}, {"RefrWidth", a.refr_bits},
            {"DelaySlots", a.delay_slots}};
        std::vector<std::string> texts;
        for (const auto& [key, value] : all)
            texts.push_back("core.parameters." + std::string(key) + "=" + std::to_string(value));
        return texts;
    }
};

inline CoreSize make_size(std::string name, std::uint32_t neurons, std::uint32_t axons,
                          std::uint32_t synapses, int v, int u, int acc, int weight, int leak_frac,
                          int refr, int slots) {
    golden::Arithmetic a;
    a.v_bits = v;
    a.u_bits = u;
    a.acc_bits = acc;
    a.weight_bits = weight;
    a.leak_frac = leak_frac;
    a.refr_bits = refr;
    a.delay_slots = slots;
    return {std::move(name), neurons, axons, synapses, a};
}

inline std::vector<CoreSize> core_sizes() {
    return {make_size("standard", 64, 24, 4096, 16, 18, 18, 8, 12, 8, 4),
            // Not a power of two of anything, and words so narrow that all of them overflow.
            make_size("narrow", 33, 7, 1024, 8, 10, 9, 4, 5, 3, 2),
            // Every word as wide as docs/model.md allows.
            make_size("wide", 48, 16, 4096, 32, 32, 32, 16, 16, 8, 16)};
}

}  // namespace spikelock::test

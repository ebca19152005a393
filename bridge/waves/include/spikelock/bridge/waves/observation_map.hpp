// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spikelock/trace/observation_plan.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::bridge::waves {

/// A signal of the core as a plan names it, put together from what the waveform shows.
struct WaveSignal {
    /// `bits` bits of word `word` from bit `lsb` up are a whole signal of the waveform.
    struct Part {
        std::uint32_t source = 0;  ///< index in vcd::Header::signals
        std::uint32_t lsb = 0;
        std::uint32_t bits = 1;
        std::uint32_t word = 0;
    };
    std::string name;         ///< of the waveform, for messages: "tb.dut.v_q"
    std::uint32_t bits = 1;   ///< of a word
    std::uint32_t words = 1;  ///< of an unpacked array
    std::vector<Part> parts;  ///< one a word, or one for each bit where bits are dumped apart
};

/// Which signals of a core are spikes and fields, and when a timestep is sampled: the plan that the
/// DUT host would get, without what it drives.
struct ObservationMap {
    trace::Shape shape;
    std::vector<WaveSignal> signals;  ///< by their index in the plan
    trace::plan::Plan plan;
};

}  // namespace spikelock::bridge::waves

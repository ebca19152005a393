// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/reader.hpp"
#include "spikelock/bridge/waves/observation_map.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::bridge::waves {

/// An observed signal that was neither 0 nor 1 where it was sampled.
struct Unknown {
    std::uint64_t time = 0;      ///< units of the waveform: of the clock edge
    std::uint64_t timestep = 0;  ///< in which it was sampled
    std::string signal;          ///< "tb.dut.v_q[31:16]"
    std::string value;           ///< "00x1zz01"
    std::string meaning;         ///< "v of neuron 3", "valid of spikes", "done"
};

struct WaveOptions {
    /// Clocked cores: timestep 0 begins with the first rising edge at or behind this time, whatever
    /// the start-up list says.
    std::optional<std::uint64_t> first_time;
    std::size_t most_unknowns = 64;  ///< that many are kept, all are counted
};

/// A waveform as a source of observations. Streams: memory does not depend on the file's length.
/// An unknown value is masked, an unknown spike makes its timestep invalid, and each is listed.
class WaveSource : public trace::StepSource {
public:
    /// @param reader  at the beginning of its values; its selection is made here
    /// @pre all indices of the map are in range
    static std::unique_ptr<WaveSource> create(std::unique_ptr<vcd::Reader> reader,
                                              ObservationMap map, const WaveOptions& options = {});

    /// Samples seen so far: a new one begins where the core was cleared.
    virtual std::span<const trace::Sample> samples() const = 0;
    virtual std::span<const Unknown> unknowns() const = 0;
    virtual std::uint64_t n_unknowns() const = 0;
    virtual std::uint64_t clocks() const = 0;  ///< rising edges so far
    virtual const vcd::Reader& reader() const = 0;
};

}  // namespace spikelock::bridge::waves

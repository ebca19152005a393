// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/manifest/plan.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::sim {

struct DutOptions {
    std::uint64_t power_on_seed = 1;    ///< of everything that no reset touches
    std::uint32_t fault = 0;            ///< injected fault, 0: none
    std::string coverage_file;          ///< of a host built with coverage: written when it ends
    std::vector<std::string> plusargs;  ///< passed to the core, each with its '+'
    double wall_limit_s = 20.0;         ///< without a clock going by, then HUNG
    const std::atomic<bool>* stop = nullptr;  ///< set by Ctrl-C: calls then give Errc::Interrupted
    /// Per direction, at least. Small: what one side has written, the other finds in a cache.
    std::uint64_t ring_bytes = 4 << 20;
    std::function<void(const std::string&)>
        log;  ///< what the core prints, line by line; may be empty
};

/// The Verilated core as a source: a process of its own, driven over a shared-memory ring. What the
/// core does wrong becomes a SourceEnd; the process ends with this object, and with the tool in
/// whatever way it ends.
class DutSource : public trace::StepSource {
public:
    /// Starts the host, resolves the manifest, runs the start-up list, loads the maps and compares
    /// them with the core.
    /// @errors as manifest::resolve and map_words; Errc::Mismatch when a loaded word reads back
    /// differently;
    ///         Errc::Environment when the process or the shared memory cannot be had
    /// Whether the core can be brought to the state in which a sample begins.
    /// @errors Errc::BadConfig with what the manifest lacks
    static Status can_begin(const manifest::Manifest& manifest, std::uint64_t timestep,
                            trace::StartState state);
    static Result<std::unique_ptr<DutSource>> create(const BuiltHost& host,
                                                     const manifest::Manifest& manifest,
                                                     const golden::Network& network,
                                                     const DutOptions& options);

    virtual const manifest::SignalTable& signals() const = 0;
    virtual std::uint64_t clocks()
        const = 0;  ///< since power-on, at the end of the last block read
    virtual std::uint64_t words_loaded() const = 0;    ///< by [[map]]
    virtual std::uint64_t words_compared() const = 0;  ///< read back and found equal
    /// Timesteps that must be submitted beyond the one that is read, since the core shows some of
    /// it later ([[observe]] latency, late). Reading without them runs the core to its end, without
    /// input, and nothing can be submitted after that.
    virtual std::uint32_t lag() const = 0;
    /// Bits of the narrowest port of each [[side_band]], in their order.
    virtual std::span<const std::uint32_t> side_band_bits() const = 0;
    /// The network, with what [[map]] entries with direction = "read" found in the core: what the
    /// golden must compute.
    virtual const golden::Network& network() const = 0;
    virtual int pid() const = 0;  ///< of the host, for tests and debuggers
};

/// Starts a host only to list what it shows.
/// @errors as DutSource::create
Result<manifest::SignalTable> list_signals(const BuiltHost& host,
                                           const manifest::Manifest& manifest);

}  // namespace spikelock::sim

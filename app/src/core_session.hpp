// SPDX-License-Identifier: Apache-2.0
// What the verbs that work on a core from a manifest share: their options, and how the core is
// found, built and started.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "console.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/sim/dut_source.hpp"
#include "spikelock/sim/elaborate.hpp"

namespace CLI {
class App;
}

namespace spikelock::app {

struct CoreOptions {
    std::string manifest;
    std::vector<std::string> set;  ///< manifest keys, "key.path=value"
    std::optional<std::uint64_t> seed;
    std::optional<std::uint64_t> power_on_seed;
    std::string fault;  ///< name of an injected fault; empty or "none": none
    double wall_limit_s = 20.0;
    bool rebuild = false;
    bool json = false;
    std::string coverage;               ///< file; empty: not counted
    std::vector<std::string> plusargs;  ///< each with or without its '+'
};

/// Adds manifest, --set, --rebuild, --json, --quiet and --verbose to a verb.
void add_manifest_options(CLI::App& cmd, CoreOptions& options, Console& console);
/// Adds --seed, --power-on-seed, --fault and --wall-limit-s too.
void add_core_options(CLI::App& cmd, CoreOptions& options, Console& console);

/// The manifest with what the options override.
/// @param more  further overrides
/// @errors as manifest::load_manifest()
Result<manifest::Manifest> load_core(const CoreOptions& options,
                                     const std::vector<std::string>& more = {});

/// The number of the fault that is asked for, 0 for none.
/// @errors Errc::NotFound with the nearest names
Result<std::uint32_t> fault_of(const manifest::Manifest& manifest, const CoreOptions& options);

/// Verilates and compiles the core, or finds it in the cache.
/// @param network  null: memories that maps fill are not checked before the build
/// @errors as sim::build_host(); Errc::Interrupted
Result<sim::BuiltHost> build_core(const manifest::Manifest& manifest,
                                  const golden::Network* network, std::uint32_t fault,
                                  const CoreOptions& options, const Console& console);

/// Starts a built core and loads it. @errors as sim::DutSource::create()
Result<std::unique_ptr<sim::DutSource>> start_core(const sim::BuiltHost& host,
                                                   const manifest::Manifest& manifest,
                                                   const golden::Network& network,
                                                   std::uint32_t fault, const CoreOptions& options,
                                                   const Console& console);

/// The elaborated core. @errors as sim::elaborate()
Result<sim::Design> elaborate_core(const manifest::Manifest& manifest, const Console& console);

/// The command as typed, with what it left to defaults that decide the run.
std::string reproduce_line(const manifest::Manifest& manifest, const CoreOptions& options,
                           const Console& console);

}  // namespace spikelock::app

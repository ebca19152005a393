// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"

namespace spikelock::sim {

struct BuildOptions {
    std::string cache_dir;  ///< hosts are kept in <cache_dir>/hosts
    bool faults = false;    ///< define FAULTS: a build that holds every injected fault, none active
    bool force = false;     ///< build even where a valid host is cached
    bool coverage = false;  ///< count executed lines and branches of the RTL; slower
    bool debug = false;     ///< -O0 -g, kept apart
    int jobs = 2;
    /// Where it is known, mapped memories are checked against it before anything is built.
    const golden::Network* network = nullptr;
    const std::atomic<bool>* stop = nullptr;      ///< set by Ctrl-C: ends with Errc::Interrupted
    std::function<void(const std::string&)> log;  ///< one line about each step; may be empty
};

/// A built DUT host.
struct BuiltHost {
    std::string path;       ///< executable
    std::string key;        ///< hash of all that can change it
    std::string verilator;  ///< version
    std::string compiler;   ///< version
    bool cached = false;    ///< nothing was built
    double seconds = 0.0;
    std::vector<std::string> warnings;                       ///< Verilator's, one line each
    std::vector<std::pair<std::string, std::string>> files;  ///< every file read, with its SHA-256
};

/// Verilates the core together with the fixed host shim and compiles it, or finds it in the cache.
/// Safe against concurrent builds of the same core (file lock, atomic rename); an entry that was
/// cut short is rebuilt.
/// @errors Errc::Environment when Verilator or a compiler is missing or a disk is full, naming the
/// package to install;
///         Errc::Build with the place of the first error in the sources or the adapter;
///         Errc::NotFound for a signal that the design does not have, Errc::Mismatch for a mapped
///         memory that is too small, both before anything is compiled, where that can be told
Result<BuiltHost> build_host(const manifest::Manifest& manifest, const BuildOptions& options);

}  // namespace spikelock::sim

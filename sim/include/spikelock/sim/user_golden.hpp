// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::sim {

struct UserGoldenOptions {
    std::string network_json;    ///< the network as golden::to_json gives it, passed to the model
    std::string cache_dir;       ///< programs are kept in <cache_dir>/goldens
    bool force = false;          ///< build even where a valid program is cached
    double wall_limit_s = 20.0;  ///< for one timestep, then HUNG; for loading at least 20 s
    const std::atomic<bool>* stop = nullptr;  ///< set by Ctrl-C: calls then give Errc::Interrupted
    std::function<void(const std::string&)> log;    ///< one line about each step; may be empty
    std::function<void(const std::string&)> print;  ///< what the model prints; may be empty
};

/// A user's own golden model as a source of observations: a C or C++ file against
/// spikelock_golden.h, or a Python module, in a process of its own. A model that dies or takes too
/// long becomes a SourceEnd; one that throws or returns what it must not, an Error that names its
/// file. The process ends with this object, and with the tool in whatever way it ends.
class UserGolden : public trace::StepSource {
public:
    /// Builds a model in C or C++ (or finds it in the cache, as build_host() does), starts it and
    /// asks what it shows. Its shape is that of the network with the fields that the model shows.
    /// @errors Errc::Build with the place of the first error in the file; Errc::Environment where a
    /// compiler or interpreter is missing; Errc::BadConfig for a model that fails before its first
    /// timestep; Errc::Mismatch for a field whose width is not the network's
    static Result<std::unique_ptr<UserGolden>> create(const manifest::Manifest& manifest,
                                                      const golden::Network& network,
                                                      const UserGoldenOptions& options);

    /// For reports, e.g. "model.cpp".
    virtual const std::string& name() const = 0;
    /// Version of the compiler; empty for Python.
    virtual const std::string& compiler() const = 0;
    /// Files of the model that were read, with their SHA-256.
    virtual const std::vector<std::pair<std::string, std::string>>& files() const = 0;
    virtual bool cached() const = 0;  ///< nothing was built
    virtual int pid() const = 0;      ///< of the model's process, for tests and debuggers
};

}  // namespace spikelock::sim

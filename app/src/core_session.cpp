// SPDX-License-Identifier: Apache-2.0
#include "core_session.hpp"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

void add_manifest_options(CLI::App& cmd, CoreOptions& o, Console& console) {
    cmd.add_option("manifest", o.manifest, "Core manifest (cosim.toml)")->required();
    cmd.add_option("--set", o.set, "Override a manifest key: --set core.parameters.Neurons=64");
    cmd.add_flag("--rebuild", o.rebuild, "Build the core even if it is cached");
    cmd.add_flag("--json", o.json, "Print one JSON object instead of text");
    cmd.add_flag("-q,--quiet", console.quiet, "No progress");
    cmd.add_flag("-v,--verbose", console.verbose, "Show warnings and what the core prints");
}

void add_core_options(CLI::App& cmd, CoreOptions& o, Console& console) {
    add_manifest_options(cmd, o, console);
    cmd.add_option("--seed", o.seed, "Seed of stimulus and pacing")->check(at_least(0));
    cmd.add_option("--power-on-seed", o.power_on_seed, "Seed of what no reset touches in the core")
        ->check(at_least(0));
    cmd.add_option("--fault", o.fault, "Inject a fault into the core (build with FAULTS)");
    cmd.add_option("--wall-limit-s", o.wall_limit_s,
                   "Seconds without a clock before the core counts as hung")
        ->check(at_least(0.001));
}

Result<manifest::Manifest> load_core(const CoreOptions& o, const std::vector<std::string>& more) {
    std::vector<std::string> overrides = o.set;
    if (o.seed) overrides.push_back("stimulus.seed=" + std::to_string(*o.seed));
    if (o.power_on_seed) overrides.push_back("power_on_seed=" + std::to_string(*o.power_on_seed));
    overrides.insert(overrides.end(), more.begin(), more.end());
    return manifest::load_manifest(o.manifest, overrides);
}

Result<std::uint32_t> fault_of(const manifest::Manifest& m, const CoreOptions& o) {
    if (o.fault.empty() || o.fault == "none") return std::uint32_t{0};
    std::vector<std::string> names;
    for (const auto& fault : m.faults) {
        if (fault.name == o.fault) return fault.id;
        names.push_back(fault.name);
    }
    if (names.empty())
        return Error{Errc::NotFound, "this core has no injected faults (key core.faults)", m.path};
    return Error{
        Errc::NotFound,
        "no fault '" + o.fault + "'" + did_you_mean(o.fault, names) + " See run --list-faults.",
        m.core.faults};
}

Result<sim::BuiltHost> build_core(const manifest::Manifest& m, const golden::Network* network,
                                  std::uint32_t fault, const CoreOptions& o,
                                  const Console& console) {
    sim::BuildOptions build;
    build.cache_dir = console.cache_dir;
    build.faults = fault != 0;
    build.coverage = !o.coverage.empty();
    build.force = o.rebuild;
    build.network = network;
    build.stop = console.stop;
    build.log = [&console](const std::string& line) { console.step(line); };
    Result<sim::BuiltHost> host = sim::build_host(m, build);
    if (console.stopped()) return Error{Errc::Interrupted, "", ""};
    if (host && console.verbose)
        for (const std::string& warning : host->warnings) console.step(warning);
    return host;
}

Result<std::unique_ptr<sim::DutSource>> start_core(const sim::BuiltHost& host,
                                                   const manifest::Manifest& m,
                                                   const golden::Network& network,
                                                   std::uint32_t fault, const CoreOptions& o,
                                                   const Console& console) {
    sim::DutOptions options;
    options.power_on_seed = m.power_on_seed;
    options.fault = fault;
    if (!o.coverage.empty()) options.coverage_file = fs::absolute(o.coverage).string();
    for (const std::string& argument : o.plusargs)
        options.plusargs.push_back((argument.starts_with('+') ? "" : "+") + argument);
    options.wall_limit_s = o.wall_limit_s;
    options.stop = console.stop;
    // A memory file that is missing makes a core that does nothing, for which any other reason
    // would be looked for.
    options.log = [&console, warnings = 0](const std::string& line) mutable {
        constexpr int kMost = 5;
        if (console.verbose)
            console.step("core prints: " + line);
        else if (line.starts_with("%Warning") && warnings < kMost)
            console.warn("the core: " + line +
                         (++warnings == kMost ? "; more are shown with -v" : ""));
    };
    return sim::DutSource::create(host, m, network, options);
}

Result<sim::Design> elaborate_core(const manifest::Manifest& m, const Console& console) {
    sim::ElaborateOptions options = sim::elaborate_options(m);
    options.temp_folder = fs::temp_directory_path().string();
    options.stop = console.stop;
    Result<sim::Design> design = sim::elaborate(options);
    if (design || !design.error().where.empty()) return design;
    Error error = design.error();  // about top, parameters or options
    error.where = m.path + ": [core]";
    return error;
}

std::string reproduce_line(const manifest::Manifest& m, const CoreOptions& o,
                           const Console& console) {
    std::string line = console.command_line;
    if (!o.seed) line += " --seed " + std::to_string(m.stimulus.seed);
    if (!o.power_on_seed) line += " --power-on-seed " + std::to_string(m.power_on_seed);
    return line;
}

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/sim/builder.hpp"

namespace spikelock::app {

namespace {
struct BuildVerbOptions {
    std::string manifest;
    std::vector<std::string> set;
    bool faults = false;
    bool rebuild = false;
    bool json = false;
};

int build(const BuildVerbOptions& o, Console& console) {
    Result<manifest::Manifest> m = manifest::load_manifest(o.manifest, o.set);
    if (!m) return console.fail(m.error());
    sim::BuildOptions options;
    options.cache_dir = console.cache_dir;
    options.faults = o.faults;
    options.force = o.rebuild;
    options.stop = console.stop;
    options.log = [&](const std::string& line) { console.step(line); };
    Result<sim::BuiltHost> host = sim::build_host(*m, options);
    if (console.stopped()) return console.fail({Errc::Interrupted, "", ""});
    if (!host) return console.fail(host.error());
    if (o.json) {
        nlohmann::ordered_json j = {{"host", host->path},           {"key", host->key},
                                    {"cached", host->cached},       {"seconds", host->seconds},
                                    {"verilator", host->verilator}, {"compiler", host->compiler},
                                    {"warnings", host->warnings}};
        console.out << j.dump(2) << "\n";
        return 0;
    }
    for (const std::string& warning : host->warnings) fmt::print(console.err, "{}\n", warning);
    fmt::print(console.out, "{}: {} ({}, {})\n{}\n", m->core.name,
               host->cached ? "cached" : "built in " + duration(host->seconds), host->verilator,
               host->compiler, host->path);
    return 0;
}
}  // namespace

void add_build(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<BuildVerbOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand("build", "Verilate and compile a core into its cached DUT host");
    cmd->add_option("manifest", o->manifest, "Core manifest (cosim.toml)")->required();
    cmd->add_option("--set", o->set, "Override a manifest key");
    cmd->add_flag("--faults", o->faults, "Build with the injected faults (FAULTS)");
    cmd->add_flag("--rebuild", o->rebuild, "Build even if cached");
    cmd->add_flag("--json", o->json, "Print JSON");
    cmd->add_flag("-q,--quiet", console.quiet, "No progress");
    cmd->callback([=, &exit_code, &console] { exit_code = build(*o, console); });
}

}  // namespace spikelock::app

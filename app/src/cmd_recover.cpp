// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/trace/trace_reader.hpp"

namespace spikelock::app {

namespace {
int recover(const std::string& path, bool json, Console& console) {
    Result<trace::Recovery> found = trace::recover_trace(path);
    if (!found) return console.fail(found.error());
    if (json) {
        const nlohmann::ordered_json j = {{"trace", path},
                                          {"n_steps", found->n_steps},
                                          {"chunks", found->chunks},
                                          {"damaged", found->damaged},
                                          {"complete", found->complete}};
        console.out << j.dump(2) << "\n";
        return 0;
    }
    const std::string damaged =
        found->damaged > 0 ? fmt::format(", {} damaged stretches left out", found->damaged) : "";
    fmt::print(console.out, "{}: {} timesteps recovered from {} chunks{}\n", path,
               with_commas(found->n_steps), with_commas(found->chunks), damaged);
    return 0;
}
}  // namespace

void add_recover(CLI::App& app, int& exit_code, Console& console) {
    struct Options {
        std::string path;
        bool json = false;
    };
    auto o = std::make_shared<Options>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "recover", "Rebuild a trace whose recording was killed, from the index beside it");
    cmd->add_option("trace", o->path, "Trace file (HDF5)")->required();
    cmd->add_flag("--json", o->json, "Print one JSON object instead of text");
    cmd->callback([o, &exit_code, &console] { exit_code = recover(o->path, o->json, console); });
}

}  // namespace spikelock::app

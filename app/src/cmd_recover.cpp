// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/trace/trace_reader.hpp"

namespace spikelock::app {

void add_recover(CLI::App& app, int& exit_code, Console& console) {
    auto path = std::make_shared<std::string>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "recover", "Rebuild a trace whose recording was killed, from the index beside it");
    cmd->add_option("trace", *path, "Trace file (HDF5)")->required();
    cmd->callback([path, &exit_code, &console] {
        Result<trace::Recovery> recovery = trace::recover_trace(*path);
        if (!recovery) {
            exit_code = console.fail(recovery.error());
            return;
        }
        fmt::print(console.out, "{}: {} timesteps recovered from {} chunks{}\n", *path,
                   with_commas(recovery->n_steps), with_commas(recovery->chunks),
                   recovery->damaged > 0
                       ? fmt::format(", {} damaged stretches left out", recovery->damaged)
                       : "");
        exit_code = 0;
    });
}

}  // namespace spikelock::app

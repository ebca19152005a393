// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "console.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace spikelock::app {

/// Parses "FIELD[:N[-M]][@T[-U]][~BITS]": field ("*" for all), neurons N..M, timesteps T..U, low
/// bits to ignore.
/// @errors Errc::BadConfig saying which part is wrong
Result<lockstep::Mask> parse_mask(const std::string& text);

/// A word quoted for a POSIX shell where it needs it.
std::string shell_quoted(const std::string& word);

/// Of an option that is a number: it is not below `low`.
CLI::Validator at_least(double low);

/// Runs a whole command line (without the program's name).
/// @returns the exit code
int run_command_line(const std::vector<std::string>& arguments, Console& console);

// One function a verb: adds its options to the parser; `exit_code` is set when it ran.
void add_run(CLI::App& app, int& exit_code, Console& console);
void add_build(CLI::App& app, int& exit_code, Console& console);
void add_convert(CLI::App& app, int& exit_code, Console& console);
void add_diff(CLI::App& app, int& exit_code, Console& console);
void add_fit(CLI::App& app, int& exit_code, Console& console);
void add_show(CLI::App& app, int& exit_code, Console& console);
void add_quantise(CLI::App& app, int& exit_code, Console& console);
void add_record(CLI::App& app, int& exit_code, Console& console);
void add_recover(CLI::App& app, int& exit_code, Console& console);
void add_signals(CLI::App& app, int& exit_code, Console& console);
void add_check(CLI::App& app, int& exit_code, Console& console);
void add_cache(CLI::App& app, int& exit_code, Console& console);
void add_waves(CLI::App& app, int& exit_code, Console& console);
void add_init(CLI::App& app, int& exit_code, Console& console);

}  // namespace spikelock::app

// SPDX-License-Identifier: Apache-2.0
// VHDL sources become Verilog through `ghdl synth`, which is trusted only as far as it was checked.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "build_cache.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/sim/elaborate.hpp"

namespace spikelock::sim::detail {

/// Whether a source is VHDL, by its ending: .vhd or .vhdl.
bool is_vhdl(const std::string& file);
bool any_vhdl(const std::vector<std::string>& sources);
/// Whether ghdl made up a name: n12_o.
bool is_generated(const std::string& name);

/// The installed ghdl.
struct Ghdl {
    std::string version;             ///< its first line, "GHDL 5.0.1 (Debian 5.0.1+dfsg-1+b1) ..."
    std::vector<std::string> files;  ///< its programs, for their hashes
};
/// @errors Errc::Environment naming the package to install
Result<Ghdl> find_ghdl();

struct CheckTools {
    std::string verilator_version;
    Compiler compiler;
    int jobs = 2;
    const std::atomic<bool>* stop = nullptr;
    std::function<void(const std::string&)> log;  ///< may be empty
};
/// Holds what ghdl makes of sim/check/vhdl_check.vhd against what VHDL means, once for each ghdl:
/// the result is kept in <cache_dir>/vhdl_checks.
/// @returns what differs only where a number does not fit, a line each; such a core can be run
/// @errors Errc::Environment where ghdl translates wrongly, with an operation and what to do
Result<std::string> check_ghdl(const Ghdl& ghdl, const std::string& cache_dir,
                               const CheckTools& tools);

/// Sources as Verilator takes them.
struct Translation {
    std::vector<std::string> sources;  ///< the VHDL ones replaced by the file that was written
    bool parameters_used = false;      ///< the top is VHDL, and its generics are set
    std::string warnings;              ///< of ghdl, one line each
    std::vector<std::string> cuts;     ///< file:line:column where numbers are cut to fewer bits
};
/// Translates the top, where it is VHDL, and every entity that the Verilog sources name, with all
/// below them, into one file <folder>/vhdl.v. Its lines carry the places of the VHDL.
/// @errors Errc::Environment without ghdl; Errc::Build with the place of the first error
Result<Translation> translate_vhdl(const ElaborateOptions& options, const std::string& folder);

}  // namespace spikelock::sim::detail

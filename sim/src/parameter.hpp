// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <regex>
#include <string>

namespace spikelock::sim::detail {

/// Verilator's -G for a parameter of the top module. Text that is no number of Verilog's is a
/// string, and gets the quotes that the manifest's own do not count for.
inline std::string parameter_argument(const std::string& name, const std::string& value) {
    static const std::regex kNumber(
        R"([-+]?[0-9][0-9_]*|[-+]?[0-9]*\s*'[sS]?[bodhBODH][0-9a-fA-FxXzZ_?]+|'[01xz])"
        R"(|[-+]?[0-9][0-9_]*(\.[0-9_]+)?([eE][-+]?[0-9]+)?)");
    const bool plain = value.starts_with('"') || std::regex_match(value, kNumber);
    return "-G" + name + "=" + (plain ? value : "\"" + value + "\"");
}

}  // namespace spikelock::sim::detail

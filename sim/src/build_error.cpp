// SPDX-License-Identifier: Apache-2.0
#include "build_error.hpp"

#include <sstream>

namespace spikelock::sim::detail {

Error build_error(const std::string& tool, const std::string& output, const std::string& log) {
    const std::string kept = log.empty() ? std::string() : " (log: " + log + ")";
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        const bool verilator = line.rfind("%Error", 0) == 0;
        const std::size_t at = verilator ? line.find(": ") : line.find(": error: ");
        if (at == std::string::npos && !verilator) continue;
        if (output.find("No space left on device") != std::string::npos)
            return {Errc::Environment, "no space left on the device that holds the build cache",
                    log};
        if (!verilator)
            return {Errc::Build, tool + ": " + line.substr(at + 9) + kept, line.substr(0, at)};
        // "%Error-KIND: file:line:column: text", or without a place.
        std::string rest = line.substr(at + 2);
        // What a waiver has to name.
        const std::string kind =
            line.starts_with("%Error-") ? " [" + line.substr(7, at - 7) + "]" : "";
        std::size_t cut = std::string::npos;
        int colons = 0;
        for (std::size_t i = 0; i < rest.size() && colons < 3; ++i)
            if (rest[i] == ':' && ++colons >= 2 && i + 1 < rest.size() && rest[i + 1] == ' ') {
                cut = i;
                break;
            }
        if (cut == std::string::npos || rest.find_first_of("0123456789") == std::string::npos)
            return {Errc::Build, "verilator: " + rest + kind + kept, {}};
        std::string message = rest.substr(cut + 2);
        return {Errc::Build, "verilator: " + message + kind + kept, rest.substr(0, cut)};
    }
    if (output.find("No space left on device") != std::string::npos)
        return {Errc::Environment, "no space left on the device that holds the build cache", log};
    return {Errc::Build, tool + " failed: " + output.substr(0, output.find('\n')), log};
}

}  // namespace spikelock::sim::detail

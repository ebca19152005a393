// SPDX-License-Identifier: Apache-2.0
// nearest_names is fed what users type: any bytes give known names, each at most once.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_support.hpp"
#include "spikelock/base/text.hpp"

using spikelock::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 4096) return 0;  // quadratic on purpose; names are short
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    // Lines: the first is what was typed, the others are the known names.
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin <= text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        lines.emplace_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    const std::string wanted = lines.front();
    lines.erase(lines.begin());
    const std::vector<std::string> near = spikelock::nearest_names(wanted, lines, 3);
    must(near.size() <= 3);
    for (const std::string& name : near) {
        must(std::find(lines.begin(), lines.end(), name) != lines.end());
        must(std::count(near.begin(), near.end(), name) == 1);
    }
    // A known name is always its own nearest.
    must(std::find(lines.begin(), lines.end(), wanted) == lines.end() || near.front() == wanted);
    must(spikelock::did_you_mean(wanted, lines).empty() == near.empty());
    return 0;
}

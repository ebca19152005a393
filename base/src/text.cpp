// SPDX-License-Identifier: Apache-2.0
#include "spikelock/base/text.hpp"

#include <algorithm>
#include <numeric>

namespace spikelock {

namespace {
/// Letters left out, added, changed, or two neighbours in the wrong order.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> two_above(b.size() + 1);
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        two_above.swap(above);
        above.swap(row);
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({change, above[j] + 1, row[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], two_above[j - 2] + 1);
        }
    }
    return row[b.size()];
}
}  // namespace

std::vector<std::string> nearest_names(std::string_view wanted, std::span<const std::string> known,
                                       std::size_t most) {
    std::vector<std::pair<std::size_t, std::string>> ranked;
    for (const std::string& name : known) {
        const std::size_t distance = edit_distance(wanted, name);
        if (distance * 2 <= std::max(wanted.size(), name.size()))
            ranked.emplace_back(distance, name);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::string> names;
    for (const auto& [distance, name] : ranked) {
        if (names.size() == most) break;
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    return names;
}

std::string did_you_mean(std::string_view wanted, std::span<const std::string> known) {
    const std::vector<std::string> names = nearest_names(wanted, known);
    if (names.empty()) return {};
    std::string text = "; did you mean '" + names[0] + "'";
    for (std::size_t i = 1; i < names.size(); ++i) text += " or '" + names[i] + "'";
    return text + "?";
}

std::string with_commas(unsigned long long value) {
    std::string digits = std::to_string(value);
    for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
    return digits;
}

}  // namespace spikelock

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spikelock {

/// Names closest to `wanted` by edit distance, best first, for "did you mean" in messages. An edit
/// leaves out, adds or changes a letter, or swaps two neighbours, which are then not edited again.
/// @param most  at most that many; names farther than half their length are left out
std::vector<std::string> nearest_names(std::string_view wanted, std::span<const std::string> known,
                                       std::size_t most = 3);

/// "; did you mean 'a' or 'b'?" from nearest_names, or an empty string.
std::string did_you_mean(std::string_view wanted, std::span<const std::string> known);

/// A count with thousands separated by commas, e.g. "1,234,567".
std::string with_commas(unsigned long long value);

}  // namespace spikelock

// SPDX-License-Identifier: Apache-2.0
// Lists of 32-bit numbers, each after its length, as bench/examples_ratio.py writes them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <vector>

inline std::vector<std::uint32_t> read_list(std::FILE* file) {
    std::uint64_t count = 0;
    if (std::fread(&count, sizeof count, 1, file) != 1) return {};
    std::vector<std::uint32_t> list(count);
    if (std::fread(list.data(), 4, count, file) != count) return {};
    return list;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace spikelock::trace {

/// First row in which two arrays of equal layout differ, or nothing where they are equal.
/// Runs at the speed of memcmp.
/// @param row_bytes  bytes of one row (one timestep)
/// @pre a.size() == b.size(), row_bytes >= 1 divides a.size()
std::optional<std::size_t> compare_rows(std::span<const std::byte> a, std::span<const std::byte> b,
                                        std::size_t row_bytes) noexcept;

/// First byte in which two arrays differ, or nothing.
/// @pre a.size() == b.size()
std::optional<std::size_t> first_difference(std::span<const std::byte> a,
                                            std::span<const std::byte> b) noexcept;

/// First element at or after `from` in which two rows differ, or nothing.
/// @param element_bytes  storage of one element: 1, 2, 4 or 8
/// @pre a.size() == b.size(), a multiple of element_bytes
std::optional<std::uint32_t> first_element(std::span<const std::byte> a,
                                           std::span<const std::byte> b, std::size_t element_bytes,
                                           std::uint32_t from = 0) noexcept;

/// First neuron at or after `from` whose bit differs in two rows of spike or validity words.
/// @pre a.size() == b.size()
std::optional<std::uint32_t> first_bit(std::span<const std::uint64_t> a,
                                       std::span<const std::uint64_t> b,
                                       std::uint32_t from = 0) noexcept;

}  // namespace spikelock::trace

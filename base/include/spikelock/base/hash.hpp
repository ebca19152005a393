// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"

namespace spikelock {

/// Incremental SHA-256, for provenance and cache keys.
/// @source FIPS 180-4
class Sha256 {
public:
    Sha256() noexcept;
    void update(std::span<const std::byte> bytes) noexcept;
    void update(std::string_view text) noexcept;
    /// Adds a string with its length, so that ("ab","c") and ("a","bc") differ.
    void update_field(std::string_view text) noexcept;
    /// Digest as 64 hexadecimal digits; the object must not be used afterwards.
    std::string hex() noexcept;

private:
    void block(const std::uint8_t* data) noexcept;
    std::array<std::uint32_t, 8> state_;
    std::array<std::uint8_t, 64> buffer_;
    std::uint64_t length_ = 0;
};

/// SHA-256 of a file's bytes as hexadecimal digits.
/// @errors Errc::Io when the file cannot be read
Result<std::string> hash_file(const std::string& path);

}  // namespace spikelock

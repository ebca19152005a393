// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "spikelock/trace/shape.hpp"

namespace spikelock::lockstep::detail {

/// One thing that is compared: a field that both sides show, or the spikes.
struct Channel {
    std::string name;
    bool is_spike = false;
    bool counts = false;         ///< spikes only: both sides carry counts
    std::size_t expected = 0;    ///< index of the field in the expected shape
    std::size_t actual = 0;      ///< index of the field in the actual shape
    trace::FieldSpec spec = {};  ///< of the expected side; unused for spikes
};

/// What is compared of one channel over a stretch of timesteps.
struct Care {
    bool whole = true;                   ///< every neuron, every bit
    std::uint64_t count = 0;             ///< neurons compared
    std::vector<std::uint64_t> neurons;  ///< one bit a neuron: compared
    std::vector<std::uint64_t> bits;     ///< per neuron the bits compared; empty: all
};

/// An element of 1, 2, 4 or 8 bytes, zero-extended.
inline std::uint64_t load_element(const std::byte* at, int bytes) noexcept {
    std::uint64_t value = 0;
    switch (bytes) {
        case 1:
            return static_cast<std::uint64_t>(*at);
        case 2: {
            std::uint16_t v = 0;
            std::memcpy(&v, at, sizeof v);
            return v;
        }
        case 4: {
            std::uint32_t v = 0;
            std::memcpy(&v, at, sizeof v);
            return v;
        }
        default:
            std::memcpy(&value, at, sizeof value);
            return value;
    }
}

/// An element as the raw value of its format.
inline std::int64_t raw_value(const std::byte* at, const trace::FieldSpec& spec) noexcept {
    const std::uint64_t value = load_element(at, spec.bytes);
    if (!spec.is_signed || spec.bytes == 8) return static_cast<std::int64_t>(value);
    const int unused = 64 - 8 * spec.bytes;
    return static_cast<std::int64_t>(value << unused) >> unused;
}

}  // namespace spikelock::lockstep::detail

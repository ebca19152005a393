// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::trace {

/// Where a field stands in the chain of cause and effect inside one timestep.
enum class FieldClass : std::uint8_t {
    Input,  ///< what arrives: i_syn
    State,  ///< what it changes: u, v, refr, adaptation, LFSR
};

/// A named observed quantity other than spikes (`spike` is always there and is kept bit-packed,
/// apart).
struct FieldSpec {
    std::string name;  ///< "i_syn", "u", "v", "refr", ...
    FieldClass cls = FieldClass::State;
    int bits = 16;  ///< width of the raw integer, 1..64; 64 for float64
    bool is_signed = true;
    bool is_float = false;  ///< float64 (float model) instead of raw integers
    int frac_bits = 0;      ///< value = raw * 2^-frac_bits
    int bytes = 2;          ///< storage of one element: 1, 2, 4 or 8; sign- or zero-extended

    bool operator==(const FieldSpec&) const = default;
};

/// Smallest storage for a width: 1, 2, 4 or 8 bytes.
/// @pre 1 <= bits <= 64
int storage_bytes(int bits) noexcept;

/// Neurons begin..end-1 under one label.
struct Population {
    std::string label;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    bool operator==(const Population&) const = default;
};

/// Declared state at the start of a sample.
enum class StartState : std::uint8_t { Keep = 0, Clear = 1, Reset = 2, Snapshot = 3 };
std::string_view name_of(StartState state) noexcept;  ///< "keep", "clear", "reset", "snapshot"

/// A labelled stretch of timesteps begin..end-1.
struct Sample {
    std::string label;  ///< what it shows, e.g. the digit; empty where unlabelled
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    StartState start = StartState::Keep;
    bool operator==(const Sample&) const = default;
};

/// What a source yields at each timestep. Fields are in causal order; each holds n_neurons
/// elements.
struct Shape {
    std::uint32_t n_neurons = 0;
    double dt = 1.0;  ///< seconds per timestep
    std::vector<Population> populations;
    std::vector<FieldSpec> fields;
    bool counts = false;  ///< a neuron may fire more than once a timestep; spike counts are carried
                          ///< beside the bits
    bool events = false;  ///< spikes come as an ordered list too
    bool order = false;   ///< the order in which events were taken comes too

    /// 64-bit words that hold the spikes of one timestep; neuron n is bit n%64 of word n/64.
    std::size_t spike_words() const noexcept { return (n_neurons + 63) / 64; }
    /// Index of a field, or -1.
    int field_index(std::string_view name) const noexcept;
    /// @errors Errc::NotFound with the nearest labels
    Result<Population> population(std::string_view label) const;
    /// "hidden[3]", or "neuron 3" where no population holds it.
    std::string neuron_name(std::uint32_t neuron) const;
    bool operator==(const Shape&) const = default;
};

}  // namespace spikelock::trace

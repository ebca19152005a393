// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::golden {

// The enumerators carry the codes of docs/model.md sections 1 and 2.
enum class Rounding : std::uint8_t { Floor = 0, TowardZero = 1, AwayFromZero = 2, NearestEven = 3 };
enum class Overflow : std::uint8_t { Wrap = 0, Saturate = 1 };
enum class LeakMode : std::uint8_t { Shift = 0, Multiply = 1 };
enum class Compare : std::uint8_t { GreaterEqual = 0, Greater = 1 };
enum class ResetMode : std::uint8_t { Value = 0, Subtract = 1 };

/// How the numbers of a network are computed; the same for all of its neurons.
/// @source docs/model.md sections 1 to 3
struct Arithmetic {
    int v_bits = 16;      ///< VWidth, 2..32
    int u_bits = 16;      ///< UWidth, 2..32
    int acc_bits = 20;    ///< AccWidth, 2..32
    int weight_bits = 8;  ///< WWidth, 2..16
    int leak_frac = 12;   ///< LeakFrac, 1..16
    int refr_bits = 8;    ///< RefrWidth, 1..8
    int delay_slots = 4;  ///< D, a power of two, 2..64
    int v_frac = 0;       ///< one LSB of v is 2^-v_frac
    LeakMode leak_mode = LeakMode::Shift;
    Rounding rounding = Rounding::Floor;
    Overflow v_overflow = Overflow::Saturate;
    Overflow acc_overflow = Overflow::Wrap;
    Compare compare = Compare::GreaterEqual;
    ResetMode reset_mode = ResetMode::Value;
    int weight_shift = 0;  ///< 0..15
    int u_shift = 0;       ///< 0..15
    bool operator==(const Arithmetic&) const = default;
};

/// Parameters of one neuron; raw integers of docs/model.md section 2.
struct NeuronParams {
    std::int32_t threshold = 1;
    std::int32_t v_reset = 0;
    std::int32_t bias = 0;
    std::uint32_t leak = 0;        ///< shift k, or multiplier m in units of 2^-leak_frac
    std::uint32_t u_decay = 0;     ///< as leak, for u
    std::uint32_t refractory = 0;  ///< timesteps
    bool spiking = true;
    bool cuba = false;
    std::int32_t v_init = 0;  ///< potential at the start and after a clear
    bool operator==(const NeuronParams&) const = default;
};

struct Synapse {
    std::uint32_t target = 0;
    std::int16_t weight = 0;  ///< LSB, weight_bits wide
    std::uint16_t delay = 0;  ///< timesteps, 0..delay_slots-1; 0 from a neuron only to a later one
    bool operator==(const Synapse&) const = default;
};

/// A bundle of axons through which events enter.
struct InputPort {
    std::string label;
    std::uint32_t begin = 0;  ///< first axon
    std::uint32_t end = 0;
    bool operator==(const InputPort&) const = default;
};

/// A quantised network: what the golden computes and what is loaded into a core.
struct Network {
    std::string name;
    double dt = 1e-3;  ///< seconds per timestep
    Arithmetic arithmetic;
    std::vector<InputPort> ports;  ///< cover axons 0..n_axons-1
    std::vector<trace::Population>
        populations;                    ///< cover neurons 0..n_neurons-1 in processing order
    std::vector<NeuronParams> neurons;  ///< shape (n_neurons)
    std::vector<std::uint32_t>
        row_begin;  ///< shape (n_axons + n_neurons + 1); sources: axons, then neurons
    std::vector<Synapse> synapses;  ///< row by row; the order inside a row is part of the network

    std::uint32_t n_axons() const noexcept { return ports.empty() ? 0 : ports.back().end; }
    std::uint32_t n_neurons() const noexcept { return static_cast<std::uint32_t>(neurons.size()); }
    std::span<const Synapse> row(std::uint32_t source) const {
        return std::span(synapses).subspan(row_begin[source],
                                           row_begin[source + 1] - row_begin[source]);
    }
    std::span<const Synapse> row_of_axon(std::uint32_t axon) const { return row(axon); }
    std::span<const Synapse> row_of_neuron(std::uint32_t neuron) const {
        return row(n_axons() + neuron);
    }

    /// Checks every bound that docs/model.md states.
    /// @errors Errc::BadConfig naming the element, its value and the bound
    Status check() const;
    /// Fields that golden and core show, in causal order: i_syn, u (only if any neuron is CUBA), v,
    /// refr (only if any neuron has a refractory period), each in its natural storage width.
    trace::Shape shape() const;
};

}  // namespace spikelock::golden

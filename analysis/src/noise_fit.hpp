// SPDX-License-Identifier: Apache-2.0
// Finds out which shift register a core draws noise from, and where the noise enters.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "spikelock/analysis/fit.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::detail {

/// What makes registers advance, by timestep.
struct Timeline {
    std::uint32_t neurons = 0;
    std::vector<std::uint32_t> events;  ///< shape (n_steps), input events
    std::vector<std::uint8_t> clears;   ///< shape (n_steps), 1 where a clear comes before it

    static Timeline of(const trace::Stimulus& stimulus, std::uint64_t n_steps,
                       std::uint32_t neurons);
    std::uint64_t n_steps() const { return events.size(); }
};

/// The registers of docs/golden.md section 9 whose states are the observed ones at the end of each
/// timestep: polynomial, form, direction, seed, and when they advance. What they do is left open.
/// Empty where the values follow none.
/// @source J. Massey, Shift-register synthesis and BCH decoding, IEEE T-IT 15(1), 1969
std::vector<golden::Noise> identify(const ObservedRegister& observed, const Timeline& timeline);

/// Registers that are in common use, for cores that do not show theirs.
const std::vector<golden::Noise>& common_registers();

/// What a description leaves unexplained of one neuron-update.
struct Residual {
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
    std::int64_t error = 0;  ///< observed less predicted v
};

/// The parts of a register that explain residuals, and how well.
struct NoiseParts {
    std::vector<golden::Noise> parts;
    double explained = 0.0;  ///< share of the variance of the residuals
};
/// Reads the bits that enter v, and those that round the leak, off a regression of the residuals on
/// the bits of the register when it was drawn.
/// @param leak_bits  bits that the leak drops, 0: none
/// @returns nothing where the register explains little
std::optional<NoiseParts> parts_of(std::span<const Residual> residuals,
                                   const golden::Noise& register_of, const Timeline& timeline,
                                   int leak_bits);

}  // namespace spikelock::analysis::detail

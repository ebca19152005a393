// SPDX-License-Identifier: Apache-2.0
#include "mask_plan.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "spikelock/base/text.hpp"

namespace spikelock::lockstep::detail {

namespace {
constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

bool all_steps(const Mask& mask) { return mask.step_begin == 0 && mask.step_end == 0; }
bool all_neurons(const Mask& mask) { return mask.neuron_begin == 0 && mask.neuron_end == 0; }

/// "3..7", or "3" for a single one.
std::string range(std::uint64_t begin, std::uint64_t end) {
    std::string text = std::to_string(begin);
    if (end - begin > 1) text += ".." + std::to_string(end - 1);
    return text;
}

Error bad(std::size_t index, const std::string& message) {
    return Error{Errc::BadConfig, "mask " + std::to_string(index + 1) + ": " + message, {}};
}
}  // namespace

Result<MaskPlan> MaskPlan::create(std::vector<Mask> masks, std::vector<Channel> channels,
                                  std::span<const std::string> known, std::uint32_t n_neurons) {
    for (std::size_t i = 0; i < masks.size(); ++i) {
        const Mask& mask = masks[i];
        if (mask.field != "*" && std::find(known.begin(), known.end(), mask.field) == known.end())
            return Error{Errc::NotFound,
                         "mask " + std::to_string(i + 1) + ": no field '" + mask.field + "'" +
                             did_you_mean(mask.field, known),
                         {}};
        if (!all_neurons(mask) &&
            (mask.neuron_begin >= mask.neuron_end || mask.neuron_end > n_neurons))
            return bad(i, "neurons must be a range within 0.." + std::to_string(n_neurons) +
                              " (end excluded), got " + std::to_string(mask.neuron_begin) + ".." +
                              std::to_string(mask.neuron_end));
        if (!all_steps(mask) && mask.step_begin >= mask.step_end)
            return bad(i, "timesteps must begin before they end, got " +
                              std::to_string(mask.step_begin) + ".." +
                              std::to_string(mask.step_end));
        if (mask.low_bits < 0 || mask.low_bits > 63)
            return bad(i, "low_bits must be 0..63, got " + std::to_string(mask.low_bits));
        if (mask.low_bits > 0 && mask.field == "spike")
            return bad(i, "low_bits does not apply to spikes");
    }
    MaskPlan plan;
    plan.masks_ = std::move(masks);
    plan.channels_ = std::move(channels);
    plan.n_neurons_ = n_neurons;
    plan.care_.resize(plan.channels_.size());
    return plan;
}

void MaskPlan::apply(const Mask& mask) {
    const std::uint32_t begin = mask.neuron_begin;
    const std::uint32_t end = all_neurons(mask) ? n_neurons_ : mask.neuron_end;
    for (std::size_t c = 0; c < channels_.size(); ++c) {
        const Channel& channel = channels_[c];
        if (mask.field != "*" && mask.field != channel.name) continue;
        if (mask.low_bits > 0 && channel.is_spike) continue;
        Care& care = care_[c];
        care.whole = false;
        if (mask.low_bits > 0 && mask.low_bits < channel.spec.bits) {
            if (care.bits.empty()) care.bits.assign(n_neurons_, ~std::uint64_t{0});
            for (std::uint32_t n = begin; n < end; ++n)
                care.bits[n] &= ~std::uint64_t{0} << mask.low_bits;
        } else {
            // All bits of the format are masked, the copies of its sign in the storage included.
            for (std::uint32_t n = begin; n < end; ++n)
                care.neurons[n / 64] &= ~(std::uint64_t{1} << (n % 64));
        }
    }
}

std::uint64_t MaskPlan::enter(std::uint64_t t) {
    if (entered_ && t < until_) return until_;
    entered_ = true;
    until_ = kForever;
    const std::size_t words = (n_neurons_ + 63) / 64;
    for (Care& care : care_) {
        care.whole = true;
        care.bits.clear();
        care.neurons.assign(words, ~std::uint64_t{0});
        if (n_neurons_ % 64 != 0) care.neurons.back() = (std::uint64_t{1} << (n_neurons_ % 64)) - 1;
    }
    for (const Mask& mask : masks_) {
        const std::uint64_t begin = mask.step_begin;
        const std::uint64_t end = all_steps(mask) ? kForever : mask.step_end;
        if (begin > t) {
            until_ = std::min(until_, begin);
        } else if (end > t) {
            until_ = std::min(until_, end);
            apply(mask);
        }
    }
    values_per_step_ = 0;
    for (Care& care : care_) {
        care.count = 0;
        for (const std::uint64_t word : care.neurons)
            care.count += static_cast<std::uint64_t>(std::popcount(word));
        values_per_step_ += care.count;
    }
    return until_;
}

std::vector<std::string> MaskPlan::sentences() const {
    std::vector<std::string> sentences;
    for (const Mask& mask : masks_) {
        std::string text = mask.field == "*" ? "all fields" : "field " + mask.field;
        if (!all_neurons(mask)) text += ", neuron " + range(mask.neuron_begin, mask.neuron_end);
        if (!all_steps(mask)) text += ", timestep " + range(mask.step_begin, mask.step_end);
        if (mask.low_bits == 1) text += ": lowest bit";
        if (mask.low_bits > 1) text += ": lowest " + std::to_string(mask.low_bits) + " bits";
        sentences.push_back(text + " not compared");
    }
    return sentences;
}

}  // namespace spikelock::lockstep::detail

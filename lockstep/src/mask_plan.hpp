// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "channel.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace spikelock::lockstep::detail {

/// The masks of a run, turned into what is compared of each channel at a timestep.
/// Between two mask boundaries nothing changes, so that blocks are cut there and nowhere else.
class MaskPlan {
public:
    /// @param known  all fields that one side or the other shows, and "spike"
    /// @errors Errc::NotFound for an unknown field, Errc::BadConfig for a range or low_bits that
    /// make no sense
    static Result<MaskPlan> create(std::vector<Mask> masks, std::vector<Channel> channels,
                                   std::span<const std::string> known, std::uint32_t n_neurons);

    /// Makes care() hold from timestep t on.
    /// @returns the first later timestep at which it may differ
    /// @pre t does not decrease from call to call
    std::uint64_t enter(std::uint64_t t);

    const Care& care(std::size_t channel) const { return care_[channel]; }
    /// Values compared in one timestep in which all are valid.
    std::uint64_t values_per_step() const noexcept { return values_per_step_; }
    /// One sentence for each mask.
    std::vector<std::string> sentences() const;

private:
    void apply(const Mask& mask);

    std::vector<Mask> masks_;
    std::vector<Channel> channels_;
    std::uint32_t n_neurons_ = 0;
    std::vector<Care> care_;
    std::uint64_t values_per_step_ = 0;
    std::uint64_t until_ = 0;
    bool entered_ = false;
};

}  // namespace spikelock::lockstep::detail

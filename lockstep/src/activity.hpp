// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "comparer.hpp"

namespace spikelock::lockstep::detail {

/// Spikes in rows of words. A bit count that any CPU does fast, without its popcount instruction.
std::uint64_t count_spikes(const std::uint64_t* words, std::size_t count) noexcept;

/// Watches whether any compared field ever changes; costs nothing once one has.
/// Looks at the actual side only: where the sides differ the run is not vacuous anyway.
class Activity {
public:
    explicit Activity(std::size_t channels) : last_(channels), seen_(channels) {}
    /// Rows begin..end-1 of what `comparer` is bound to, in order of time.
    void watch(const Comparer& comparer, std::uint32_t begin, std::uint32_t end);
    /// Something changed, or a spike was seen.
    bool seen() const noexcept { return active_; }
    void set() noexcept { active_ = true; }

private:
    void watch_elements(const Comparer& comparer, std::size_t c, std::uint32_t begin,
                        std::uint32_t end);

    bool active_ = false;
    std::vector<std::vector<std::byte>> last_;      ///< per channel: last valid value of each
    std::vector<std::vector<std::uint64_t>> seen_;  ///< per channel: neurons that `last_` holds
};

}  // namespace spikelock::lockstep::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace spikelock {

/// Counter-based random numbers: draw i of a stream can be had without those before it.
/// Value type without state; equal arguments give equal numbers on every machine.
/// @source the finaliser of SplitMix64 (Steele, Lea, Flood 2014), applied to seed, stream and
/// counter in turn
class CounterRandom {
public:
    /// @param seed    the run's seed
    /// @param stream  separates independent uses of one seed
    constexpr CounterRandom(std::uint64_t seed, std::uint64_t stream) noexcept
        : key_(mix(mix(seed + kGolden) ^ (stream * kGolden + 0x632be59bd9b4e019ULL))) {}

    /// 64 uniform bits for (counter, lane).
    constexpr std::uint64_t bits(std::uint64_t counter, std::uint64_t lane = 0) const noexcept {
        return lane_bits(row(counter), lane);
    }
    /// What all lanes of a counter share: bits(counter, lane) == lane_bits(row(counter), lane).
    constexpr std::uint64_t row(std::uint64_t counter) const noexcept {
        return mix(key_ + counter * kGolden);
    }
    static constexpr std::uint64_t lane_bits(std::uint64_t row, std::uint64_t lane) noexcept {
        return mix(row ^ (lane * 0xd1342543de82ef95ULL + kGolden));
    }
    /// Uniform in [0, 1) with 53 bits.
    constexpr double uniform(std::uint64_t counter, std::uint64_t lane = 0) const noexcept {
        return static_cast<double>(bits(counter, lane) >> 11) * 0x1.0p-53;
    }
    /// Uniform in 0..bound-1 (multiply-shift; bias below 2^-32 for bounds under 2^32).
    /// @pre bound >= 1
    constexpr std::uint32_t below(std::uint32_t bound, std::uint64_t counter,
                                  std::uint64_t lane = 0) const noexcept {
        return static_cast<std::uint32_t>(((bits(counter, lane) >> 32) * bound) >> 32);
    }

private:
    static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ULL;
    static constexpr std::uint64_t mix(std::uint64_t z) noexcept {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    std::uint64_t key_;
};

}  // namespace spikelock

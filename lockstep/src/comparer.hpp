// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "channel.hpp"
#include "mask_plan.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::lockstep::detail {

/// What a stretch of timesteps added to the comparison.
struct Tally {
    std::uint64_t steps = 0;           ///< valid on both sides
    std::uint64_t values = 0;          ///< compared
    std::uint64_t steps_invalid = 0;   ///< invalid on either side, not masked
    std::uint64_t values_invalid = 0;  ///< valid on one side only, in valid timesteps
    /// First row with a loss, and last row compared without one; -1 where there is none.
    std::int64_t first_loss = -1;
    std::int64_t last_whole = -1;
};

/// Compares the same timesteps of two blocks.
/// Whole stretches are compared as memory; only where that differs are elements looked at.
class Comparer {
public:
    /// @param order  spikes of a timestep are compared in their order too; both sides list them
    Comparer(std::vector<Channel> channels, std::uint32_t n_neurons, bool order);

    /// Takes two views of the same timesteps; they must outlive what follows.
    /// @pre the plan has entered the first of them and holds for all
    void bind(const trace::BlockView& expected, const trace::BlockView& actual,
              const MaskPlan& plan);

    /// First row at or after `from` in which something compared differs, or the number of rows.
    std::uint32_t next_difference(std::uint32_t from);
    /// Counts what rows begin..end-1 compare and lose.
    Tally tally(std::uint32_t begin, std::uint32_t end) const;
    /// Everything that differs in a row; timestep and samples are left to the caller.
    Divergence describe(std::uint32_t row, std::uint32_t most, bool spikes_only);

    /// Whether both sides hold data in a row.
    bool valid(std::uint32_t row) const {
        return (expected_valid_ == nullptr || expected_valid_[row] != 0) &&
               (actual_valid_ == nullptr || actual_valid_[row] != 0);
    }

    const std::vector<Channel>& channels() const noexcept { return channels_; }
    /// Memory of one channel on both sides, from row 0; masks are null where all is valid.
    struct Memory {
        const std::byte* expected = nullptr;
        const std::byte* actual = nullptr;
        const std::uint64_t* expected_mask = nullptr;
        const std::uint64_t* actual_mask = nullptr;
        std::size_t row_bytes = 0;
        const Care* care = nullptr;
    };
    const Memory& memory(std::size_t channel) const { return memory_[channel]; }
    bool all_steps_valid() const { return expected_valid_ == nullptr && actual_valid_ == nullptr; }
    std::uint32_t n_rows() const noexcept { return n_rows_; }

private:
    /// Counts of a block; of one without them, its bits.
    const std::uint16_t* counts_of(const trace::BlockView& block,
                                   std::vector<std::uint16_t>& from_bits) const;
    std::uint32_t first_unequal_row(std::size_t c, std::uint32_t from) const;
    std::uint32_t search(std::size_t c, std::uint32_t from);
    bool difference_words(std::size_t c, std::uint32_t row, std::vector<std::uint64_t>& words);
    Divergence describe_values(std::uint32_t row, std::uint32_t most, bool spikes_only);
    /// Rows with the same spikes in another order.
    void find_orders(std::span<const trace::SpikeEvent> expected,
                     std::span<const trace::SpikeEvent> actual, const Care& care);

    std::vector<Channel> channels_;
    std::uint32_t n_neurons_ = 0;
    std::size_t words_ = 0;
    std::uint32_t n_rows_ = 0;
    std::vector<Memory> memory_;
    std::vector<std::uint32_t> next_;  ///< per channel: first differing row not yet passed
    const std::uint16_t* expected_counts_ = nullptr;
    const std::uint16_t* actual_counts_ = nullptr;
    std::vector<std::uint16_t> expected_bits_;
    std::vector<std::uint16_t> actual_bits_;
    const std::uint8_t* expected_valid_ = nullptr;
    const std::uint8_t* actual_valid_ = nullptr;
    std::uint64_t values_per_step_ = 0;
    std::vector<std::uint64_t> scratch_;
    bool order_ = false;
    struct Orders {
        std::uint32_t row = 0;
        std::vector<std::uint32_t> expected;
        std::vector<std::uint32_t> actual;
    };
    std::vector<Orders> orders_;  ///< by row
};

}  // namespace spikelock::lockstep::detail

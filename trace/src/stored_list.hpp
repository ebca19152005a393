// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hdf5_output.hpp"
#include "spikelock/trace/step_source.hpp"
#include "trace_index.hpp"

namespace spikelock::trace::detail {

/// Numbers of the lists in the index. What has no row per timestep is stored as a list: columns of
/// equal length, ascending by timestep, with chunks of their own.
constexpr std::uint32_t kSpikeList = 0;     ///< ordered spikes
constexpr std::uint32_t kTakenList = 1;     ///< events in the order in which they were taken
constexpr std::uint32_t kStimulusList = 2;  ///< input events as applied
constexpr std::uint32_t kFirstSideBandList = 3;

struct ListColumn {
    std::string path;
    std::size_t bytes = 8;
    bool is_signed = false;
    std::size_t width = 0;  ///< elements per entry; 0: one, of a one-dimensional dataset
    std::size_t entry_bytes() const { return bytes * (width == 0 ? 1 : width); }
};

/// The columns of a list; the first one is the timestep, but for a side band, which has one entry
/// for each timestep.
struct ListSpec {
    std::uint32_t number = 0;
    std::string group;
    std::vector<ListColumn> columns;
    std::size_t chunk_entries = 8192;
};
ListSpec spike_list();
ListSpec taken_list();
ListSpec stimulus_list();
/// @param index  of the band, in the order of the stimulus
ListSpec side_band_list(std::uint32_t index, const std::string& name, std::uint32_t width);

/// Writes one list: chunks to the file, and to the index what is in no chunk yet.
class ListWriter {
public:
    ListWriter(Hdf5Output& out, IndexWriter& index, ListSpec spec);
    /// Creates the datasets in a group that exists.
    Status start();

    /// Sets a column of the next entry. @pre T has the size of the column
    template <typename T>
    void set(std::size_t column, T value) {
        std::memcpy(pending_[column].data() + count_ * sizeof value, &value, sizeof value);
    }
    /// The entry is set. Writes a chunk when it was the last of one.
    Status next();
    /// Appends whole entries of a list with a single column.
    Status add(std::span<const std::byte> entries);
    /// Everything before this timestep has been given.
    void complete_until(std::uint64_t timestep) noexcept { until_ = timestep; }
    std::uint64_t until() const noexcept { return until_; }
    /// Everything before this timestep is in chunks.
    /// @pre the list has a timestep column
    std::uint64_t stored_until() const noexcept;
    std::uint64_t stored() const noexcept { return stored_; }
    bool any_pending() const noexcept { return count_ > 0; }

    /// Puts what is in no chunk and not in the index yet into the index.
    Status log();
    /// Writes the last, partial chunk.
    Status finish();
    void close() noexcept;

private:
    Status write_chunk();

    Hdf5Output& out_;
    IndexWriter& index_;
    ListSpec spec_;
    std::vector<Series> series_;
    std::vector<ChunkCompressor> loggers_;
    std::vector<std::vector<std::byte>> pending_;  ///< per column, chunk_entries entries
    std::size_t count_ = 0;                        ///< entries pending
    std::size_t logged_ = 0;                       ///< of them, in the index
    std::uint64_t logged_until_ = 0;
    std::uint64_t stored_ = 0;  ///< entries in chunks
    std::uint64_t until_ = 0;
};

/// Front of the records ListChunk and ListEntries. Of the first, a ChunkPlace per column follows;
/// of the second, per column the size (u32) and the bytes of its entries as a zlib stream.
struct ListRecord {
    std::uint32_t list = 0;
    std::uint32_t columns = 0;
    std::uint64_t first = 0;  ///< entry
    std::uint64_t count = 0;
    std::uint64_t until = 0;  ///< every entry before this timestep is known
};
static_assert(sizeof(ListRecord) == 32);

/// Puts the entries of a list together again from the records of an index.
class ListJoiner {
public:
    explicit ListJoiner(ListSpec spec) : spec_(std::move(spec)), columns_(spec_.columns.size()) {}
    const ListSpec& spec() const noexcept { return spec_; }
    /// Entries first .. of every column; those that are known already are skipped.
    /// @returns false where entries before them are missing, or theirs are not ascending
    bool add(const ListRecord& record, std::span<const std::vector<std::byte>> columns);
    std::uint64_t until() const noexcept { return until_; }
    /// Entries at hand.
    std::size_t count() const noexcept { return count_; }
    template <typename T>
    T get(std::size_t column, std::size_t entry) const {
        T value;
        std::memcpy(&value, columns_[column].data() + entry * sizeof value, sizeof value);
        return value;
    }
    std::span<const std::byte> bytes(std::size_t column, std::size_t entry,
                                     std::size_t count) const {
        const std::size_t size = spec_.columns[column].entry_bytes();
        return std::span(columns_[column]).subspan(entry * size, count * size);
    }
    /// Entries at the front whose timestep is before this one.
    std::size_t before(std::uint64_t timestep) const;
    void drop(std::size_t entries);

private:
    ListSpec spec_;
    std::vector<std::vector<std::byte>> columns_;
    std::uint64_t first_ = 0;  ///< number of the entry at the front
    std::size_t count_ = 0;
    std::uint64_t until_ = 0;
    std::uint64_t last_ = 0;  ///< timestep of the last entry
};

}  // namespace spikelock::trace::detail

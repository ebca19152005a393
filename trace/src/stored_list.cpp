// SPDX-License-Identifier: Apache-2.0
#include "stored_list.hpp"

#include <algorithm>

#include "spikelock/base/assert.hpp"

namespace spikelock::trace::detail {

namespace {
constexpr std::size_t kSideBandChunk = 256 * 1024;  // bytes
}  // namespace

ListSpec spike_list() {
    return {
        kSpikeList,
        "/trace/events",
        {{"/trace/events/timestep", 8}, {"/trace/events/neuron", 4}, {"/trace/events/clock", 8}}};
}

ListSpec taken_list() {
    return {kTakenList,
            "/trace/taken",
            {{"/trace/taken/timestep", 8}, {"/trace/taken/port", 2}, {"/trace/taken/address", 4}}};
}

ListSpec stimulus_list() {
    return {kStimulusList,
            "/stimulus/events",
            {{"/stimulus/events/timestep", 8},
             {"/stimulus/events/port", 2},
             {"/stimulus/events/address", 4},
             {"/stimulus/events/payload", 2, true}}};
}

ListSpec side_band_list(std::uint32_t index, const std::string& name, std::uint32_t width) {
    ListSpec spec{kFirstSideBandList + index,
                  "/stimulus/side_bands",
                  {{"/stimulus/side_bands/" + name, 4, true, width}}};
    spec.chunk_entries =
        std::clamp<std::size_t>(kSideBandChunk / (std::size_t{4} * width), 1, spec.chunk_entries);
    return spec;
}

ListWriter::ListWriter(Hdf5Output& out, IndexWriter& index, ListSpec spec)
    : out_(out), index_(index), spec_(std::move(spec)) {}

Status ListWriter::start() {
    for (const ListColumn& column : spec_.columns) {
        Series series;
        series.path = column.path;
        series.type = integer_type(column.bytes, column.is_signed);
        series.element_bytes = column.bytes;
        series.columns = column.width;
        SPIKELOCK_TRY(out_.make_series(series, spec_.chunk_entries));
        series_.push_back(std::move(series));
        loggers_.emplace_back(column.bytes);
        pending_.emplace_back(spec_.chunk_entries * column.entry_bytes());
    }
    return {};
}

Status ListWriter::next() {
    if (++count_ < spec_.chunk_entries) return {};
    return write_chunk();
}

Status ListWriter::add(std::span<const std::byte> entries) {
    const std::size_t size = spec_.columns[0].entry_bytes();
    while (!entries.empty()) {
        const std::size_t take = std::min(spec_.chunk_entries - count_, entries.size() / size);
        std::memcpy(pending_[0].data() + count_ * size, entries.data(), take * size);
        entries = entries.subspan(take * size);
        count_ += take;
        if (count_ == spec_.chunk_entries) SPIKELOCK_TRY(write_chunk());
    }
    return {};
}

std::uint64_t ListWriter::stored_until() const noexcept {
    if (count_ == 0) return until_;
    std::uint64_t first = 0;
    std::memcpy(&first, pending_[0].data(), sizeof first);
    return std::min(first, until_);
}

Status ListWriter::write_chunk() {
    std::vector<ChunkPlace> places;
    for (std::size_t c = 0; c < series_.size(); ++c) {
        // Of a partial last chunk HDF5 wants the rest too; it lies beyond the extent.
        const std::size_t used = count_ * spec_.columns[c].entry_bytes();
        std::fill(pending_[c].begin() + static_cast<std::ptrdiff_t>(used), pending_[c].end(),
                  std::byte{0});
        SPIKELOCK_TRY(out_.put_chunk(series_[c], stored_, stored_ + count_, pending_[c], &places,
                                     static_cast<std::uint32_t>(c)));
    }
    const ListRecord head{spec_.number, static_cast<std::uint32_t>(series_.size()), stored_, count_,
                          until_};
    std::vector<std::byte> record(sizeof head + places.size() * sizeof(ChunkPlace));
    std::memcpy(record.data(), &head, sizeof head);
    std::memcpy(record.data() + sizeof head, places.data(), places.size() * sizeof(ChunkPlace));
    SPIKELOCK_TRY(index_.add(IndexRecord::ListChunk, record));
    stored_ += count_;
    count_ = 0;
    logged_ = 0;
    logged_until_ = until_;
    return {};
}

Status ListWriter::log() {
    if (logged_ == count_ && logged_until_ == until_) return {};
    const ListRecord head{spec_.number, static_cast<std::uint32_t>(series_.size()),
                          stored_ + logged_, count_ - logged_, until_};
    std::vector<std::byte> record(sizeof head);
    std::memcpy(record.data(), &head, sizeof head);
    for (std::size_t c = 0; c < series_.size() && count_ > logged_; ++c) {
        const std::size_t size = spec_.columns[c].entry_bytes();
        const auto packed = loggers_[c].compress(
            std::span(pending_[c]).subspan(logged_ * size, (count_ - logged_) * size));
        const auto bytes = static_cast<std::uint32_t>(packed.size());
        const auto as_bytes = std::as_bytes(std::span(&bytes, 1));
        record.insert(record.end(), as_bytes.begin(), as_bytes.end());
        record.insert(record.end(), packed.begin(), packed.end());
    }
    SPIKELOCK_TRY(index_.add(IndexRecord::ListEntries, record));
    logged_ = count_;
    logged_until_ = until_;
    return {};
}

Status ListWriter::finish() {
    if (count_ == 0) return {};
    return write_chunk();
}

void ListWriter::close() noexcept {
    for (Series& series : series_) series.dataset.reset();
}

bool ListJoiner::add(const ListRecord& record, std::span<const std::vector<std::byte>> columns) {
    const std::uint64_t known = first_ + count_;
    if (record.first > known) return false;
    const std::uint64_t end = record.first + record.count;
    if (end > known) {
        const std::uint64_t skip = known - record.first;
        if (spec_.number < kFirstSideBandList) {
            std::uint64_t last = last_;
            for (std::uint64_t i = skip; i < record.count; ++i) {
                std::uint64_t timestep = 0;
                std::memcpy(&timestep, columns[0].data() + i * sizeof timestep, sizeof timestep);
                if (timestep < last) return false;
                last = timestep;
            }
            last_ = last;
        }
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            const std::size_t at = skip * spec_.columns[c].entry_bytes();
            columns_[c].insert(columns_[c].end(),
                               columns[c].begin() + static_cast<std::ptrdiff_t>(at),
                               columns[c].end());
        }
        count_ += end - known;
    }
    until_ = std::max(until_, record.until);
    return true;
}

std::size_t ListJoiner::before(std::uint64_t timestep) const {
    std::size_t low = 0;
    std::size_t high = count_;
    while (low < high) {
        const std::size_t middle = low + (high - low) / 2;
        if (get<std::uint64_t>(0, middle) < timestep) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void ListJoiner::drop(std::size_t entries) {
    SPIKELOCK_ASSERT(entries <= count_);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        const std::size_t bytes = entries * spec_.columns[c].entry_bytes();
        columns_[c].erase(columns_[c].begin(),
                          columns_[c].begin() + static_cast<std::ptrdiff_t>(bytes));
    }
    first_ += entries;
    count_ -= entries;
}

}  // namespace spikelock::trace::detail

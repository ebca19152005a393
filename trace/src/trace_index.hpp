// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::trace::detail {

/// Records of the index beside a growing trace, docs/trace-format.md.
enum class IndexRecord : std::uint32_t {
    Header = 1,       ///< JSON: shape, first step, chunk steps, provenance
    ChunkRow = 2,     ///< where the chunks of one stretch of timesteps lie
    Rows = 3,         ///< timesteps that are in no chunk yet, as they are
    Samples = 4,      ///< JSON array
    Attribute = 5,    ///< JSON: name, text
    Difference = 6,   ///< expected differences
    Closed = 7,       ///< JSON: complete
    ListChunk = 8,    ///< where a chunk of each column of a list lies (stored_list.hpp)
    ListEntries = 9,  ///< entries of a list that are in no chunk yet
    Stimulus = 10,    ///< JSON: first timestep and side bands of the stimulus that is recorded
};

/// One chunk of a ChunkRow record; little-endian, as it lies in the file.
struct ChunkPlace {
    std::uint32_t dataset = 0;  ///< see dataset_count()
    std::uint32_t crc = 0;      ///< of the stored bytes
    std::uint64_t address = 0;
    std::uint64_t size = 0;
};
static_assert(sizeof(ChunkPlace) == 24);

/// Appends to the index. The lock is held while the object lives; fork without exec shares it.
class IndexWriter {
public:
    /// Opens, locks and empties `<path>.index`.
    /// @errors Errc::Environment when another process records to `path`; Errc::Io
    static Result<std::unique_ptr<IndexWriter>> create(const std::string& path);
    IndexWriter(const IndexWriter&) = delete;
    IndexWriter& operator=(const IndexWriter&) = delete;
    ~IndexWriter();

    /// One write call, so that a kill leaves whole records and at most one torn at the end.
    /// @errors Errc::Environment when the disk is full, Errc::Io
    Status add(IndexRecord type, std::span<const std::byte> payload);
    Status add(IndexRecord type, std::string_view payload);
    /// Removes the index: the trace is closed.
    void remove() noexcept;

private:
    IndexWriter(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
    std::string path_;
    int fd_ = -1;
    std::vector<std::byte> buffer_;
};

/// Reads an index record by record until its end or the first damaged one.
class IndexReader {
public:
    /// @errors Errc::NotFound when there is no index, Errc::BadFormat when the file is another's,
    /// Errc::Environment when a living process records to the trace
    static Result<std::unique_ptr<IndexReader>> open(const std::string& path);
    IndexReader(const IndexReader&) = delete;
    IndexReader& operator=(const IndexReader&) = delete;
    ~IndexReader();
    /// @returns false at the end; `payload` is valid until the next call
    bool next(IndexRecord& type, std::span<const std::byte>& payload);
    void rewind() noexcept;

private:
    explicit IndexReader(int fd) : fd_(fd) {}
    int fd_ = -1;
    std::uint64_t at_ = 0;
    std::uint64_t size_ = 0;
    std::vector<std::byte> buffer_;
};

std::string index_path(const std::string& trace_path);

/// Numbers of the datasets in ChunkPlace: spike words, counts, valid, then the fields, then their
/// masks.
constexpr std::uint32_t kSpikesDataset = 0;
constexpr std::uint32_t kCountsDataset = 1;
constexpr std::uint32_t kValidDataset = 2;
constexpr std::uint32_t kFirstFieldDataset = 3;

}  // namespace spikelock::trace::detail

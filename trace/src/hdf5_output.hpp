// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deflate.hpp"
#include "disk_space.hpp"
#include "hdf5_handle.hpp"
#include "spikelock/base/result.hpp"
#include "trace_index.hpp"

/// Stops at the first failing step of a fixed sequence.
#define SPIKELOCK_TRY(expression)                                           \
    do {                                                                    \
        if (::spikelock::Status tried = (expression); !tried) return tried; \
    } while (false)

namespace spikelock::trace::detail {

/// What HDF5 may allocate between two checks of the disk.
constexpr std::uint64_t kMetadataSlack = 512 * 1024;

/// The type in the file of an integer.
hid_t integer_type(std::size_t bytes, bool is_signed);

/// A dataset whose chunks are compressed here and handed to HDF5 as they go to the file.
struct Series {
    std::string path;
    hid_t type = H5I_INVALID_HID;  ///< predefined, not owned
    std::size_t element_bytes = 1;
    std::size_t columns = 0;  ///< elements per row; 0: one-dimensional
    bool ones_where_absent = false;
    Handle dataset;
    ChunkCompressor compressor{1};
    std::uint64_t rows = 0;  ///< extent

    std::size_t row_bytes() const { return element_bytes * std::max<std::size_t>(columns, 1); }
};

/// An HDF5 file that grows in place: groups, attributes, plain datasets, and series whose chunks
/// are placed so that the index knows their addresses. Not thread safe.
class Hdf5Output {
public:
    explicit Hdf5Output(std::string path) : path_(std::move(path)) {}

    /// @errors Errc::Io
    Status create();
    /// Flushes nothing by itself; what lies beyond the end of the file is given back.
    /// @returns false where HDF5 could not close the file
    bool close() noexcept;
    bool is_open() const noexcept { return static_cast<bool>(file_); }
    hid_t root() const noexcept { return file_.get(); }
    const std::string& path() const noexcept { return path_; }

    Error error(const std::string& doing) const;
    /// @errors Errc::Environment when the disk cannot take `more` bytes
    Status reserve(std::uint64_t more);
    Status make_group(const std::string& name);
    Status make_series(Series& series, std::uint64_t chunk_rows);
    /// A one-dimensional dataset that HDF5 itself writes.
    /// @param packed  through its filters; for what is appended to rarely, since a chunk that grows
    /// is written anew
    Status make_plain(const char* name, hid_t type, Handle& dataset, bool packed = false);
    Status append_plain(const Handle& dataset, hid_t memory_type, std::uint64_t at,
                        std::size_t count, const void* data);
    Status put_text(hid_t object, const std::string& name, std::string_view text);
    Status put_number(hid_t object, const std::string& name, std::int64_t value);
    Status put_number(hid_t object, const std::string& name, double value);
    /// Writes one chunk and, where `places` is given, notes where it lies.
    Status put_chunk(Series& series, std::uint64_t row, std::uint64_t rows_after,
                     std::span<const std::byte> raw, std::vector<ChunkPlace>* places,
                     std::uint32_t number);
    Status flush();

    /// Compressed and raw bytes of the chunks that were noted.
    std::uint64_t stored_bytes() const noexcept { return stored_bytes_; }
    std::uint64_t raw_bytes() const noexcept { return raw_bytes_; }

private:
    Status put_scalar(hid_t object, const std::string& name, hid_t type, hid_t native,
                      const void* value);

    std::string path_;
    Handle file_;
    DiskSpace space_;
    std::uint64_t stored_bytes_ = 0;
    std::uint64_t raw_bytes_ = 0;
};

}  // namespace spikelock::trace::detail

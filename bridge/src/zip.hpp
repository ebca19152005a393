// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge::detail {

/// A file of an archive, as the archive's directory describes it.
struct ZipEntry {
    std::string name;
    std::uint16_t method = 0;  ///< 0 stored, 8 deflated
    std::uint32_t crc = 0;
    std::uint64_t packed_bytes = 0;
    std::uint64_t bytes = 0;   ///< unpacked
    std::uint64_t offset = 0;  ///< of its local header in the archive
};

/// The directory of a ZIP archive, with 64-bit sizes where it has them.
/// @param origin  stands for the path in errors
/// @errors Errc::BadFormat and Errc::Truncated with the byte; Errc::Unsupported for encrypted files
/// and archives in several parts; Errc::Limit for more than 65536 files
/// @source PKWARE APPNOTE.TXT 6.3, sections 4.3 and 4.5.3
Result<std::vector<ZipEntry>> list_zip(std::span<const std::byte> archive,
                                       const std::string& origin);

/// The bytes of one file, checked against its size and CRC-32. Memory grows with what is unpacked,
/// not with what the directory announces.
/// @errors Errc::BadFormat and Errc::Truncated with the byte; Errc::Unsupported for a method other
/// than stored and deflated; Errc::Limit for more than `limit` bytes
Result<std::vector<std::byte>> unpack_zip(std::span<const std::byte> archive, const ZipEntry& entry,
                                          std::uint64_t limit, const std::string& origin);

}  // namespace spikelock::bridge::detail

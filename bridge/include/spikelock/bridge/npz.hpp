// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/npy.hpp"

namespace spikelock::bridge {

/// An array of an NPZ file.
struct NamedArray {
    std::string name;  ///< without ".npy"
    NdArray array;
};

/// Reads the arrays of an NPZ file, as numpy.savez and numpy.savez_compressed write it, in the
/// order of its directory. Other files of the archive are left out.
/// @param wanted  other names for the arrays, in order; "-" leaves one out unread. Empty: all
/// @errors Errc::BadConfig where there are not as many arrays as names; those of read_npy, with the
/// array's name before the byte; for the archive itself Errc::BadFormat and Errc::Truncated with
/// the byte, Errc::Unsupported for encryption and compression other than deflate, Errc::Limit for
/// more than kMaxArrayBytes in all
/// @source numpy.lib.format ("npz"), PKWARE APPNOTE.TXT 6.3
Result<std::vector<NamedArray>> read_npz(const std::string& path,
                                         std::span<const std::string> wanted = {});
/// The same from bytes in memory. @param origin  stands for the path in errors
Result<std::vector<NamedArray>> parse_npz(std::span<const std::byte> bytes,
                                          const std::string& origin,
                                          std::span<const std::string> wanted = {});

}  // namespace spikelock::bridge

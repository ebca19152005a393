// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/reader.hpp"

namespace spikelock::bridge::fst {

struct Options {
    std::uint64_t memory_limit = std::uint64_t{2} << 30;  ///< bytes that the child may add
    double time_limit_s = 60.0;                           ///< without a sign of life from the child
};

/// Opens an FST as the stream that a VCD of the same run gives. The FST library, which damaged
/// files crash, runs in a child process: its death is an Error. The child ends with the reader, or
/// with the process that owns it. The selection must be made before the first next().
/// @errors Errc::NotFound; Errc::BadFormat for what is no FST, or crashes the library; Errc::Limit,
/// Errc::Timeout where a limit is met; Errc::Environment; Errc::Unsupported in a build without the
/// library
/// @source gtkwave/fstapi.h as Verilator ships it
Result<std::unique_ptr<vcd::Reader>> open(const std::string& path, const Options& options = {});

}  // namespace spikelock::bridge::fst

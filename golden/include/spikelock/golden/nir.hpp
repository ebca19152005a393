// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/float_network.hpp"

namespace spikelock::golden {

/// Reads a NIR graph (HDF5) in the calling process.
/// @errors Errc::NotFound, Errc::BadFormat naming file and node or edge, Errc::Unsupported naming
/// file, node and type
/// @source the NIR specification, versions 0.1 to 1.0
Result<FloatNetwork> read_nir(const std::string& path);

}  // namespace spikelock::golden

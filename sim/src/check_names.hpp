// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "spikelock/base/result.hpp"
#include "spikelock/sim/builder.hpp"

namespace spikelock::sim::detail {

/// Looks for what would only be found wrong after the build: names of signals that the design does
/// not have, memories too small for the network. Says nothing where it cannot tell.
/// @errors Errc::NotFound with place and the nearest names; as manifest::check_map_sizes;
/// Errc::Interrupted
Status check_before_build(const manifest::Manifest& manifest, const BuildOptions& options);

}  // namespace spikelock::sim::detail

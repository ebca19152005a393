// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace spikelock::sim::detail {
extern const char* const kHostSource;      ///< sim/host/host.cpp
extern const char* const kProtocolHeader;  ///< sim/host/protocol.hpp
}  // namespace spikelock::sim::detail

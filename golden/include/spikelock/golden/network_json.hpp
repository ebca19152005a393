// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"

namespace spikelock::golden {

/// A network as JSON text; keys are named as the members of the structs, enumerations are their
/// codes, a synapse is [target, weight, delay]. Equal networks give equal text.
std::string to_json(const Network& network);

/// Reads what to_json writes. The result has passed Network::check().
/// @param origin  file name for messages
/// @errors Errc::BadFormat for text that is not JSON, a missing or unknown key, a value of the
/// wrong type or beyond the member's range, naming origin and key; Errc::BadConfig from
/// Network::check()
Result<Network> network_from_json(std::string_view text, const std::string& origin = "network");

/// Reads a file.
/// @errors Errc::NotFound, Errc::Io, and those of network_from_json
Result<Network> load_network(const std::string& path);

/// Writes a file under a temporary name and renames it.
/// @errors Errc::Io
Status save_network(const Network& network, const std::string& path);

}  // namespace spikelock::golden

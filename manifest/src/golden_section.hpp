// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <toml++/toml.h>

#include <string>

#include "spikelock/manifest/manifest.hpp"

namespace spikelock::manifest::detail {

/// Reads [golden]: a model of the user's own, or the description of the built-in one, whose keys
/// are those of docs/golden.md.
/// @param node  nullptr where the manifest has no such section
/// @throws Bad
GoldenSpec read_golden(const toml::node* node, const std::string& file, const std::string& folder);

}  // namespace spikelock::manifest::detail

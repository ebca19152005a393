// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/header.hpp"

namespace spikelock::bridge::vcd::detail {

struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
    }
};
/// Identifier code to signal.
using IdMap = std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>>;

/// Where the parser gets its words from.
class Words {
public:
    Words() = default;
    Words(const Words&) = delete;
    Words& operator=(const Words&) = delete;
    virtual ~Words() = default;
    /// The next word, valid until the next call; none at the end of the file.
    virtual Result<std::optional<std::string_view>> next() = 0;
    /// An error at the word that next() gave last.
    virtual Error error(Errc code, const std::string& message) const = 0;
};

/// Reads up to and with $enddefinitions $end.
Status parse_header(Words& words, Header& header, IdMap& ids);

/// For messages: quoted, cut to a bearable length, control characters replaced.
std::string quoted(std::string_view text);

}  // namespace spikelock::bridge::vcd::detail

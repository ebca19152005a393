// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "spikelock/base/assert.hpp"

namespace spikelock {

/// What went wrong, for programs. Append-only: nightly results store the numbers.
enum class Errc : std::uint16_t {
    BadConfig = 1,    ///< a manifest, option or parameter is wrong
    BadFormat = 2,    ///< a file or frame does not follow its format
    Truncated = 3,    ///< a file or frame ends early
    Io = 4,           ///< reading or writing failed
    NotFound = 5,     ///< a file, signal, population, neuron or field does not exist
    Unsupported = 6,  ///< valid, but not handled here
    Build = 7,        ///< a core, adapter or golden did not build
    Environment = 8,  ///< a tool is missing, a disk is full, a limit of the machine is met
    Timeout = 9,      ///< no answer within the bound
    Closed = 10,      ///< the peer is gone
    Limit = 11,       ///< an input is larger than what is allowed
    Mismatch = 12,  ///< two things that must agree do not (shapes, widths, memories after start-up)
    Interrupted = 13,  ///< stopped by the user
    Internal = 14,     ///< a defect of Spikelock
};

/// Stable name of a code, e.g. "BadConfig".
std::string_view name_of(Errc code) noexcept;

/// An error with its place and, where one is known, what to do about it.
struct Error {
    Errc code = Errc::Internal;
    std::string message;  ///< lower case; what was expected and what was found
    std::string where;    ///< "file", "file:line", "file:line:column", "file: key" or empty

    /// "where: message", or the message alone where there is no place.
    std::string text() const { return where.empty() ? message : where + ": " + message; }
};

/// A value or an Error; the operations of std::expected that are used here.
template <typename T>
class [[nodiscard]] Result {
public:
    using value_type = T;
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const noexcept { return state_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(value()); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    T& value() {
        SPIKELOCK_ASSERT(has_value());
        return *std::get_if<0>(&state_);
    }
    const T& value() const {
        SPIKELOCK_ASSERT(has_value());
        return *std::get_if<0>(&state_);
    }
    Error& error() {
        SPIKELOCK_ASSERT(!has_value());
        return *std::get_if<1>(&state_);
    }
    const Error& error() const {
        SPIKELOCK_ASSERT(!has_value());
        return *std::get_if<1>(&state_);
    }

private:
    std::variant<T, Error> state_;
};

/// Success or an Error.
class [[nodiscard]] Status {
public:
    Status() = default;
    Status(Error error) : error_(std::move(error)) {}
    bool has_value() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    const Error& error() const {
        SPIKELOCK_ASSERT(error_.has_value());
        return *error_;
    }
    Error& error() {
        SPIKELOCK_ASSERT(error_.has_value());
        return *error_;
    }

private:
    std::optional<Error> error_;
};

}  // namespace spikelock

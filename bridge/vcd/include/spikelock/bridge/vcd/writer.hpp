// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge::vcd {

/// Writes a waveform: scopes and variables, then times and changes. The file is written under a
/// temporary name, which close() renames; without it nothing stays. Faults are kept until close().
class Writer {
public:
    /// @param path           of the file
    /// @param time_exponent  one unit of time is 10^time_exponent seconds, -15..2
    /// @errors Errc::Io
    static Result<std::unique_ptr<Writer>> create(const std::string& path, int time_exponent);

    Writer() = default;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    virtual ~Writer() = default;

    virtual void begin_scope(std::string_view name) = 0;
    virtual void end_scope() = 0;
    /// @param bits  of a vector; 0: a real
    /// @returns its number, for what follows
    virtual std::uint32_t add(std::string_view name, std::uint32_t bits) = 0;
    /// Values from here on. @pre ascending
    virtual void time(std::uint64_t time) = 0;
    /// @param text  as many of 0, 1, x and z as the variable has bits
    virtual void change(std::uint32_t var, std::string_view text) = 0;
    virtual void change(std::uint32_t var, double value) = 0;
    /// @errors Errc::Io, Errc::Environment where the disk is full
    virtual Status close() = 0;
};

}  // namespace spikelock::bridge::vcd

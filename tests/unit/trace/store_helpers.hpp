// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <variant>

#include "random_trace.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "spikelock/trace/trace_writer.hpp"

#define REQUIRE_OK(result)                            \
    do {                                              \
        if (!(result)) FAIL((result).error().text()); \
    } while (false)

namespace spikelock::trace::test {

inline void record(const RandomTrace& random, const std::string& path, std::uint32_t steps,
                   std::uint32_t piece, WriterOptions options = {}) {
    auto writer = TraceWriter::create(path, random.shape(), options);
    REQUIRE_OK(writer);
    for (std::uint32_t at = 0; at < steps; at += piece) {
        const std::uint32_t take = std::min(piece, steps - at);
        const ExecutionTrace part = random.make(random.first + at, take);
        const Status ok = (*writer)->append(part.view());
        REQUIRE_OK(ok);
        if (!random.lists) continue;
        const Status applied = (*writer)->add_stimulus(random.stimulus(random.first + at, take));
        REQUIRE_OK(applied);
    }
    const Status closed = (*writer)->close();
    REQUIRE_OK(closed);
}

/// Bits beyond the last neuron must be 0: blocks are compared as memory.
inline bool unused_bits_are_zero(const Shape& shape, std::span<const std::uint64_t> rows) {
    const std::size_t words = shape.spike_words();
    for (std::size_t i = words - 1; i < rows.size() && shape.n_neurons % 64 != 0; i += words) {
        if (rows[i] >> (shape.n_neurons % 64) != 0) return false;
    }
    return true;
}

inline ExecutionTrace read_all(RecordedTrace& reader, std::uint32_t at_once,
                               SourceEnd* end = nullptr) {
    std::optional<ExecutionTrace> trace;
    for (;;) {
        auto item = reader.read(at_once);
        REQUIRE_OK(item);
        if (const auto* last = std::get_if<SourceEnd>(&*item)) {
            if (end != nullptr) *end = *last;
            if (!trace) trace.emplace(reader.shape(), last->timestep);
            return *trace;
        }
        const BlockView& block = std::get<BlockView>(*item);
        REQUIRE(block.n_steps >= 1);
        REQUIRE(block.n_steps <= at_once);
        REQUIRE(unused_bits_are_zero(reader.shape(), block.spikes));
        for (const auto& mask : block.masks) {
            REQUIRE(unused_bits_are_zero(reader.shape(), mask));
        }
        if (!trace) trace.emplace(reader.shape(), block.first);
        trace->append(block);
    }
}

/// Equal values, spikes, counts and validity; whether all-valid is stored or implied does not
/// matter.
inline bool equal(const ExecutionTrace& a, const ExecutionTrace& b) {
    if (!(a.shape() == b.shape()) || a.first_step() != b.first_step() ||
        a.n_steps() != b.n_steps()) {
        return false;
    }
    const BlockView x = a.view();
    const BlockView y = b.view();
    if (!std::ranges::equal(x.spikes, y.spikes) || !std::ranges::equal(x.counts, y.counts)) {
        return false;
    }
    if (!std::ranges::equal(x.events, y.events) || !std::ranges::equal(x.taken, y.taken)) {
        return false;
    }
    for (std::size_t f = 0; f < x.fields.size(); ++f) {
        if (!std::ranges::equal(x.fields[f], y.fields[f])) return false;
        for (std::uint64_t t = a.first_step(); t < a.first_step() + a.n_steps(); ++t) {
            if (a.valid(t) != b.valid(t)) return false;
            for (std::uint32_t n = 0; n < a.n_neurons(); ++n) {
                if (a.valid(f, t, n) != b.valid(f, t, n)) return false;
            }
        }
    }
    return true;
}

/// Equal events in each timestep; equal side bands, where `bands` says that they are recorded.
inline bool equal(const StimulusBlock& a, const StimulusBlock& b, bool bands) {
    if (a.first != b.first || a.n_steps != b.n_steps || a.event_begin != b.event_begin ||
        a.events != b.events || a.side_bands.size() != (bands ? b.side_bands.size() : 0)) {
        return false;
    }
    for (std::size_t i = 0; i < a.side_bands.size(); ++i) {
        if (a.side_bands[i].name != b.side_bands[i].name ||
            a.side_bands[i].width != b.side_bands[i].width ||
            a.side_bands[i].values != b.side_bands[i].values) {
            return false;
        }
    }
    return true;
}

inline std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace spikelock::trace::test

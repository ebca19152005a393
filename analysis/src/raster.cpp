// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/raster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

namespace spikelock::analysis {

namespace {
constexpr std::uint32_t kDotsAcross = 2;
constexpr std::uint32_t kDotsDown = 4;

/// Bit of a dot in a braille cell. @source Unicode, block Braille Patterns (U+2800)
constexpr std::array<std::array<unsigned, kDotsAcross>, kDotsDown> kDot{
    {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};

/// U+2800 + dots in UTF-8.
std::string braille(unsigned dots) {
    if (dots == 0) return " ";
    std::string text("\xE2");
    text += static_cast<char>(0xA0 + (dots >> 6));
    text += static_cast<char>(0x80 + (dots & 0x3F));
    return text;
}

/// How many of `count` items share a dot so that they fit into `dots`.
std::uint64_t per_dot(std::uint64_t count, std::uint64_t dots) {
    return std::max<std::uint64_t>(1, (count + dots - 1) / dots);
}
}  // namespace

std::string raster(const trace::ExecutionTrace& trace, std::uint64_t first, std::uint64_t count,
                   std::uint32_t width, std::uint32_t height) {
    const std::uint64_t end_held = trace.first_step() + trace.n_steps();
    const std::uint64_t begin = std::max(first, trace.first_step());
    // A count near the largest number must not wrap.
    const std::uint64_t end =
        count == 0 || count > end_held - std::min(first, end_held) ? end_held : first + count;
    if (begin >= end || trace.n_neurons() == 0) return "no timesteps to show\n";
    width = std::max(width, 1U);
    height = std::max(height, 1U);

    const std::uint64_t steps = end - begin;
    const std::uint64_t steps_per_dot = per_dot(steps, std::uint64_t{width} * kDotsAcross);
    const std::uint64_t neurons_per_dot =
        per_dot(trace.n_neurons(), std::uint64_t{height} * kDotsDown);
    const auto columns = static_cast<std::size_t>(per_dot(steps, steps_per_dot * kDotsAcross));
    const auto rows =
        static_cast<std::size_t>(per_dot(trace.n_neurons(), neurons_per_dot * kDotsDown));
    std::vector<unsigned> cells(rows * columns, 0);
    std::vector<bool> any_valid(columns, false);
    for (std::uint64_t t = begin; t < end; ++t) {
        if (!trace.valid(t)) continue;
        const std::uint64_t x = (t - begin) / steps_per_dot;
        const auto column = static_cast<std::size_t>(x / kDotsAcross);
        any_valid[column] = true;
        const auto words = trace.spike_row(t);
        for (std::size_t w = 0; w < words.size(); ++w)
            for (std::uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
                const std::uint64_t n = w * 64 + static_cast<unsigned>(std::countr_zero(bits));
                const std::uint64_t y = n / neurons_per_dot;
                cells[static_cast<std::size_t>(y / kDotsDown) * columns + column] |=
                    kDot[y % kDotsDown][x % kDotsAcross];
            }
    }

    std::vector<std::string> names;
    std::size_t margin = 0;
    for (std::size_t row = 0; row < rows; ++row) {
        const auto n = static_cast<std::uint32_t>(row * neurons_per_dot * kDotsDown);
        names.push_back(trace.shape().neuron_name(n));
        margin = std::max(margin, names.back().size());
    }
    std::string text;
    for (std::size_t row = 0; row < rows; ++row) {
        std::string line = fmt::format("{:>{}} \xE2\x94\x82", names[row], margin);
        for (std::size_t column = 0; column < columns; ++column)
            line += any_valid[column] ? braille(cells[row * columns + column]) : "?";
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    const std::string left = fmt::format("t={}", begin);
    const std::string right = fmt::format("{}", end - 1);
    const std::size_t gap = columns > left.size() + right.size()
                                ? columns - left.size() - right.size()
                                : std::size_t{1};
    text += fmt::format("{:>{}}  {}{:>{}}{}\n", "", margin, left, "", gap, right);
    return text;
}

std::string rate_bars(const trace::ExecutionTrace& trace, std::uint32_t width) {
    const std::vector<double> rates = trace.firing_rates();
    std::vector<trace::Population> populations = trace.shape().populations;
    if (populations.empty()) populations.push_back({"all", 0, trace.n_neurons()});
    struct Row {
        std::string label;
        double rate = 0.0;
    };
    std::vector<Row> rows;
    std::size_t margin = 0;
    double highest = 0.0;
    for (const trace::Population& population : populations) {
        Row row{population.label, 0.0};
        for (std::uint32_t n = population.begin; n < population.end && n < rates.size(); ++n)
            row.rate += rates[n];
        if (population.end > population.begin)
            row.rate /= static_cast<double>(population.end - population.begin);
        margin = std::max(margin, row.label.size());
        highest = std::max(highest, row.rate);
        rows.push_back(std::move(row));
    }
    constexpr std::size_t kNumbers = 26;  // the two numbers with their units
    const std::size_t room =
        width > margin + kNumbers + 8 ? width - margin - kNumbers : std::size_t{8};
    std::string text;
    for (const Row& row : rows) {
        // Eighths of a cell: U+2588 (full) to U+258F (one eighth).
        const auto eighths =
            highest > 0.0
                ? static_cast<std::size_t>(row.rate / highest * static_cast<double>(room * 8) + 0.5)
                : std::size_t{0};
        std::string bar;
        for (std::size_t i = 0; i < eighths / 8; ++i) bar += "\xE2\x96\x88";
        std::size_t cells = eighths / 8;
        if (eighths % 8 != 0) {
            bar += "\xE2\x96";
            bar += static_cast<char>(0x90 - static_cast<int>(eighths % 8));
            ++cells;
        }
        text += fmt::format("{:<{}} {}{:>{}} {:>10.2f} Hz {:>7.3f} %\n", row.label, margin, bar, "",
                            room - std::min(room, cells), row.rate, row.rate * trace.dt() * 100.0);
    }
    return text;
}

}  // namespace spikelock::analysis

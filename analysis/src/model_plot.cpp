// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/model_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <string_view>

namespace spikelock::analysis {

namespace {
constexpr double kLeft = 84.0;
constexpr double kWidth = 880.0;  // of the panels
constexpr const char* kExpected = "#1f6fb4";
constexpr const char* kActual = "#d9480f";
constexpr const char* kBoth = "#8a8f98";

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '&')
            out += "&amp;";
        else if (static_cast<unsigned char>(c) >= 0x20)
            out += c;  // XML has no control characters
    }
    return out;
}

/// Distance of about `count` ticks over a range: 1, 2 or 5 times a power of ten.
double tick_step(double range, int count) {
    const double raw = range / count;
    const double power = std::pow(10.0, std::floor(std::log10(raw)));
    for (const double step : {1.0, 2.0, 5.0})
        if (step * power >= raw) return step * power;
    return 10.0 * power;
}

class Svg {
public:
    Svg(std::uint64_t first, std::uint64_t steps) : first_(first), steps_(steps) {}

    double x(double step) const { return kLeft + kWidth * step / static_cast<double>(steps_); }
    void text(double x, double y, const char* attributes, std::string_view content) {
        add("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes, escaped(content));
    }
    template <typename... Values>
    void add(fmt::format_string<Values...> format, Values&&... values) {
        fmt::format_to(std::back_inserter(body_), format, std::forward<Values>(values)...);
    }
    /// Opens a panel below the last one: frame, name, vertical ticks.
    void panel(double height, std::string_view name, double low, double high, bool ticks) {
        top_ = bottom_ + 30.0;
        bottom_ = top_ + height;
        low_ = low;
        high_ = high > low ? high : low + 1.0;
        text(kLeft, top_ - 6.0, "font-weight=\"600\"", name);
        const double step = tick_step(high_ - low_, 4);
        for (double v = std::ceil(low_ / step) * step; ticks && v <= high_ + step * 1e-9;
             v += step) {
            add("<path d=\"M{:.1f} {:.1f}h{:.0f}\" stroke=\"#e4e6ea\"/>\n", kLeft, y(v), kWidth);
            text(kLeft - 6.0, y(v) + 4.0, "text-anchor=\"end\"",
                 fmt::format("{:.4g}", std::abs(v) < step * 1e-9 ? 0.0 : v));
        }
        add("<path d=\"M{:.1f} {:.1f}v{:.1f}h{:.0f}\" fill=\"none\" stroke=\"#4a4f57\"/>\n", kLeft,
            top_, height, kWidth);
    }
    double y(double v) const { return bottom_ - (bottom_ - top_) * (v - low_) / (high_ - low_); }
    /// A line through value(i) at the end of each timestep.
    void line(const char* colour, const char* more,
              const std::function<double(std::uint64_t)>& value) {
        add("<path fill=\"none\" stroke=\"{}\" {} d=\"", colour, more);
        for (std::uint64_t i = 0; i < steps_; ++i)
            add("{}{:.1f} {:.1f}", i == 0 ? 'M' : 'L', x(static_cast<double>(i) + 0.5),
                y(value(i)));
        body_ += "\"/>\n";
    }
    double top() const { return top_; }
    std::string finish(const std::string& title, const ModelPlotOptions& o) {
        const double step = std::max(1.0, tick_step(static_cast<double>(steps_), 10));
        for (double i = 0.0; i <= static_cast<double>(steps_); i += step)
            text(x(i), bottom_ + 16.0, "text-anchor=\"middle\"",
                 fmt::format("{:.0f}", static_cast<double>(first_) + i));
        text(kLeft + kWidth / 2.0, bottom_ + 34.0, "text-anchor=\"middle\"", "timestep");
        const std::string drawn = std::move(body_);
        body_ = fmt::format(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
            "width=\"{0:.0f}\" height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\" "
            "fill=\"#22262c\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            kLeft + kWidth + 24.0, bottom_ + 46.0);
        text(kLeft, 24.0, "font-size=\"16\" font-weight=\"600\"", title);
        double at = kLeft + kWidth - 330.0;
        for (const auto& [colour, name] : {std::pair{kExpected, o.expected_name},
                                           {kActual, o.actual_name},
                                           {kBoth, std::string("spikes on both sides")}}) {
            add("<path d=\"M{:.1f} 44h18\" stroke=\"{}\" stroke-width=\"3\"/>\n", at, colour);
            text(at + 24.0, 48.0, "", name);
            at += 95.0;
        }
        return body_ + drawn + "</svg>\n";
    }

private:
    std::uint64_t first_;
    std::uint64_t steps_;
    double top_ = 0.0;
    double bottom_ = 44.0;
    double low_ = 0.0;
    double high_ = 1.0;
    std::string body_;
};
}  // namespace

Result<std::string> model_plot_svg(const trace::ExecutionTrace& expected,
                                   const trace::ExecutionTrace& actual, const ModelPlotOptions& o) {
    const int here = expected.shape().field_index("v");
    const int there = actual.shape().field_index("v");
    const std::uint64_t first = expected.first_step();
    const std::uint64_t steps = expected.n_steps();
    const std::uint32_t neurons = expected.n_neurons();
    if (here < 0 || there < 0 || neurons != actual.n_neurons() || first != actual.first_step() ||
        steps != actual.n_steps() || steps == 0)
        return Error{
            Errc::Mismatch, "expected traces of the same timesteps and neurons with v", {}};
    const auto v = [&](const trace::ExecutionTrace& t, std::uint64_t i, std::uint32_t n) {
        return t.value(static_cast<std::size_t>(&t == &expected ? here : there), first + i, n);
    };
    const auto threshold = [&](std::uint32_t n) {
        return n < o.thresholds.size() ? o.thresholds[n] : 0.0;
    };
    Svg svg(first, steps);
    for (const std::uint32_t n : o.neurons) {
        if (n >= neurons)
            return Error{Errc::NotFound, fmt::format("no neuron {}, there are {}", n, neurons), {}};
        double low = std::min(0.0, threshold(n));
        double high = std::max(0.0, threshold(n));
        for (std::uint64_t i = 0; i < steps; ++i)
            for (const trace::ExecutionTrace* t : {&expected, &actual}) {
                low = std::min(low, v(*t, i, n));
                high = std::max(high, v(*t, i, n));
            }
        svg.panel(130.0, "v of " + expected.shape().neuron_name(n), low, high + 0.14 * (high - low),
                  true);
        if (threshold(n) > 0.0)
            svg.add(
                "<path d=\"M{:.1f} {:.1f}h{:.0f}\" stroke=\"#4a4f57\" stroke-dasharray=\"5 4\"/>\n",
                kLeft, svg.y(threshold(n)), kWidth);
        svg.line(kExpected, "stroke-width=\"2.4\" opacity=\"0.75\"",
                 [&](std::uint64_t i) { return v(expected, i, n); });
        svg.line(kActual, "stroke-width=\"1.2\"", [&](std::uint64_t i) { return v(actual, i, n); });
        for (std::uint64_t i = 0; i < steps; ++i)
            for (const trace::ExecutionTrace* t : {&expected, &actual})
                if (t->spike(first + i, n))
                    svg.add("<path d=\"M{:.1f} {:.1f}v6\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                            svg.x(static_cast<double>(i) + 0.5),
                            svg.top() + (t == &expected ? 0.0 : 7.0),
                            t == &expected ? kExpected : kActual);
    }
    const double height = std::clamp(4.0 * neurons, 40.0, 260.0);
    svg.panel(height, fmt::format("spikes of neurons 0 to {}", neurons - 1), 0.0, neurons, false);
    for (const trace::Population& p : expected.shape().populations)
        svg.text(kLeft - 6.0, svg.top() + height * (p.begin + p.end) / 2.0 / neurons + 4.0,
                 "text-anchor=\"end\"", p.label);
    // One path a colour: 1 draws what both fired, 2 and 3 what one side fired alone, above it.
    const double mark = std::max(1.2, 0.8 * height / neurons);
    for (const auto& [colour, side] : {std::pair{kBoth, 0}, {kExpected, 1}, {kActual, 2}}) {
        svg.add("<path stroke=\"{}\" stroke-width=\"1.6\" d=\"", colour);
        for (std::uint64_t i = 0; i < steps; ++i)
            for (std::uint32_t n = 0; n < neurons; ++n) {
                const bool a = expected.spike(first + i, n);
                const bool b = actual.spike(first + i, n);
                if (side == 0 ? a && b : side == 1 ? a && !b : b && !a)
                    svg.add("M{:.1f} {:.1f}v{:.1f}", svg.x(static_cast<double>(i) + 0.5),
                            svg.top() + height * n / neurons, mark);
            }
        svg.add("\"/>\n");
    }
    std::vector<double> rmse(steps);
    for (std::uint64_t i = 0; i < steps; ++i) {
        for (std::uint32_t n = 0; n < neurons; ++n) {
            const double error = v(actual, i, n) - v(expected, i, n);
            rmse[i] += error * error;
        }
        rmse[i] = std::sqrt(rmse[i] / neurons);
    }
    svg.panel(100.0, "root mean square error of v over all neurons", 0.0,
              *std::max_element(rmse.begin(), rmse.end()), true);
    svg.line("#22262c", "stroke-width=\"1.2\"", [&](std::uint64_t i) { return rmse[i]; });
    return svg.finish(o.title, o);
}

}  // namespace spikelock::analysis

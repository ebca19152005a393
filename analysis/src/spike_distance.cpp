// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/spike_distance.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace spikelock::analysis {

double van_rossum(std::span<const double> a, std::span<const double> b, double tau) {
    // d = f - g jumps by 1 at each spike and decays between them, so that the integral of d^2 over
    // a gap is d^2 * tau / 2 * (1 - exp(-2 gap / tau)); after the last spike the gap is endless.
    double sum = 0.0;
    double d = 0.0;
    double now = 0.0;
    for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
        const bool from_a = j == b.size() || (i < a.size() && a[i] <= b[j]);
        const double t = from_a ? a[i++] : b[j++];
        const double kept = std::exp(-(t - now) / tau);
        if (d != 0.0) sum += d * d * (1.0 - kept * kept);
        d = d * (d != 0.0 ? kept : 0.0) + (from_a ? 1.0 : -1.0);
        now = t;
    }
    return std::sqrt((sum + d * d) / 2.0);
}

double victor_purpura(std::span<const double> a, std::span<const double> b, double q) {
    // A spike that is moved instead of removed and added saves 2 - q |dt|, so the distance is
    // n + m less the most that pairs can save which do not cross; only pairs in reach save
    // anything. saved[j] is the most that the spikes of `a` so far and the first j of `b` save. For
    // a new spike of `a` it changes only where b[j - 1] is in reach, and beyond the reach it is
    // flat.
    const auto in_reach = [&](double x, double y) { return q * std::abs(x - y) < 2.0; };
    std::vector<double> saved(b.size() + 1, 0.0);
    std::size_t low = 0;   // first of b in reach of the current spike, or after it
    std::size_t high = 0;  // end of those in reach so far
    for (const double t : a) {
        while (low < b.size() && b[low] < t && !in_reach(t, b[low])) ++low;
        std::size_t end = std::max(low, high);
        for (std::size_t j = high; j < end; ++j) saved[j + 1] = saved[high];
        while (end < b.size() && in_reach(t, b[end])) {
            saved[end + 1] = saved[high];
            ++end;
        }
        high = end;
        double diagonal = saved[low];  // of the spikes of `a` before this one
        for (std::size_t j = low; j < high; ++j) {
            const double above = saved[j + 1];
            const double pair = diagonal + std::max(0.0, 2.0 - q * std::abs(t - b[j]));
            saved[j + 1] = std::max({above, saved[j], pair});
            diagonal = above;
        }
    }
    return static_cast<double>(a.size() + b.size()) - saved[high];
}

}  // namespace spikelock::analysis

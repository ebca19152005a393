// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

namespace spikelock::analysis {

/// Distances between two spike trains. Times ascend (equal ones may repeat) and have any one unit;
/// the parameter has the same unit, or its inverse. Both are metrics: 0 only for equal trains,
/// symmetric, and the way over a third train is never shorter.

/// Van Rossum's distance: sqrt(1/tau * integral of (f - g)^2 dt), where f and g are the trains with
/// each spike replaced by exp(-(t - t_spike) / tau) from its time on. One spike against none gives
/// sqrt(1/2), a spike against one far from it 1. Takes time in proportion to the number of spikes.
/// @param tau  time constant of the kernel, > 0
/// @source van Rossum, Neural Computation 13 (2001)
double van_rossum(std::span<const double> a, std::span<const double> b, double tau);

/// Victor and Purpura's distance: the least cost of turning one train into the other, where adding
/// or removing a spike costs 1 and moving one by dt costs q * |dt|. q = 0 counts spikes only.
/// Takes time in proportion to the number of pairs that are at most 2 / q apart.
/// @param q  cost of moving a spike by one unit of time, >= 0
/// @source Victor and Purpura, Journal of Neurophysiology 76 (1996)
double victor_purpura(std::span<const double> a, std::span<const double> b, double q);

}  // namespace spikelock::analysis

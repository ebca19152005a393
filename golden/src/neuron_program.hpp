// SPDX-License-Identifier: Apache-2.0
// The update of a neuron, from a description to a program.
#pragma once

#include <cstdint>
#include <vector>

#include "program.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"

namespace spikelock::golden::detail {

using Values = std::vector<std::int64_t>;

/// The parameters of a description for each neuron.
struct Resolved {
    struct Leak {
        Values amount, second;
    };
    Values rest, v_init, bias, threshold, rearm, negative, negative_reset, reset, refractory;
    Values spiking, masked, cuba, w_init, w_jump, w_coupling;
    Leak leak, u_leak, w_leak;
    Values izh_init, izh_quadratic, izh_linear, izh_constant, izh_a, izh_b, izh_d;
    std::vector<Values> weights;  ///< by type
    std::vector<Values> seeds;    ///< by noise
    bool any_cuba = false;
    bool any_refractory = false;
};

/// @errors Errc::BadConfig naming the key, the neuron and what does not fit
Result<Resolved> resolve(const Network& network, const Description& description);

/// State of all neurons; arrays have the network's neurons rounded up to whole spike words.
struct State {
    Values v, u, w, refr, armed, pending, i_syn, seen, fired, active;
};

/// Range of the values that a noise gives.
std::pair<std::int64_t, std::int64_t> range_of(const Noise& noise);

enum class Update : std::uint8_t {
    Tick,   ///< a neuron's turn at a timestep
    Event,  ///< an event reaches it
    Lazy,   ///< one timestep of leak that is made up for, where `active`
};

/// Run inputs are, in this order: of Update::Event the weight, then one column for each noise.
/// @param stages  of this update, in order
/// @param weight_low, weight_high  range of the weights
Result<Program> build_update(const Description& description, const Resolved& resolved,
                             Update update, const std::vector<Stage>& stages, State& state,
                             std::int64_t weight_low, std::int64_t weight_high,
                             const ColumnOps& ops);

}  // namespace spikelock::golden::detail

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/tracer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace spikelock::golden {
namespace {

/// Spikes on all ports: the Poisson stimulus numbers axons from 0 through port 0.
void spread_over_ports(trace::StimulusBlock& block, const std::vector<InputPort>& ports) {
    if (ports.size() < 2) return;
    for (trace::InputEvent& event : block.events) {
        const auto port = std::ranges::upper_bound(ports, event.address, {}, &InputPort::end);
        event.port = static_cast<std::uint16_t>(port - ports.begin());
        event.address -= port->begin;
    }
}

}  // namespace

Result<trace::ExecutionTrace> SpikeTracer::run(double duration, double dt,
                                               std::uint64_t seed) const {
    constexpr std::uint32_t kBlock = 1024;
    const auto bad = [](Errc code, std::string message) {
        return Error{code, std::move(message), "spike tracer"};
    };
    if (!(std::isfinite(duration) && duration >= 0.0))
        return bad(Errc::BadConfig, fmt::format("duration is {} s, expected 0 or more", duration));
    if (!(std::abs(dt - network_.dt) <= 1e-9 * network_.dt))
        return bad(
            Errc::BadConfig,
            fmt::format("dt is {} s, but the network was quantised for {} s", dt, network_.dt));
    const double probability = input_rate_ * dt;
    if (!(probability >= 0.0 && probability <= 1.0))
        return bad(Errc::BadConfig, fmt::format("input rate is {}/s, expected 0..{}/s (one spike a "
                                                "timestep)",
                                                input_rate_, 1.0 / dt));
    const double steps = std::round(duration / dt);
    if (steps >= 0x1p32)
        return bad(Errc::Limit, fmt::format("{} timesteps, expected fewer than 2^32", steps));

    auto golden = GoldenSource::create(network_);
    if (!golden) return golden.error();
    auto stimulus = make_poisson_stimulus({.axons = network_.n_axons(),
                                           .probability = probability,
                                           .n_steps = static_cast<std::uint64_t>(steps),
                                           .seed = seed});
    if (!stimulus) return stimulus.error();
    trace::ExecutionTrace trace((*golden)->shape());
    const std::uint64_t n_steps = (*stimulus)->n_steps();
    for (std::uint64_t t = 0; t < n_steps;) {
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlock, n_steps - t));
        trace::StimulusBlock block = (*stimulus)->block(t, count);
        spread_over_ports(block, network_.ports);
        if (Status status = (*golden)->submit(block); !status) return status.error();
        auto read = (*golden)->read(count);
        if (!read) return read.error();
        trace.append(std::get<trace::BlockView>(*read));
        t += count;
    }
    const auto samples = (*stimulus)->samples();
    trace.samples().assign(samples.begin(), samples.end());
    return trace;
}

}  // namespace spikelock::golden

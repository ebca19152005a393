// SPDX-License-Identifier: Apache-2.0
#include "activity.hpp"

#include <algorithm>
#include <tuple>

namespace spikelock::analysis::detail {

Activity::Activity(const Connectivity& connectivity, const trace::Stimulus* stimulus,
                   const trace::ExecutionTrace& trace)
    : connectivity_(connectivity), stimulus_(stimulus), trace_(trace) {}

namespace {
const trace::Sample* last_start(std::span<const trace::Sample> samples, std::uint64_t t) {
    const trace::Sample* last = nullptr;
    for (const trace::Sample& sample : samples) {
        if (sample.begin > t) break;
        if (sample.start != trace::StartState::Keep) last = &sample;
    }
    return last;
}
std::span<const trace::Sample> samples_of(const trace::Stimulus* stimulus,
                                          const trace::ExecutionTrace& trace) {
    return stimulus != nullptr ? stimulus->samples() : std::span(trace.samples());
}
}  // namespace

std::uint64_t Activity::clear_at(std::uint64_t t) const {
    const trace::Sample* start = last_start(samples_of(stimulus_, trace_), t);
    return start != nullptr ? start->begin : 0;
}

bool Activity::clear_is_zero(std::uint64_t t) const {
    const trace::Sample* start = last_start(samples_of(stimulus_, trace_), t);
    return start == nullptr || start->start != trace::StartState::Snapshot;
}

const Activity::Step& Activity::step(std::uint64_t t) {
    if (stimulus_ == nullptr || t >= stimulus_->n_steps()) return nothing_;
    if (const auto found = steps_.find(t); found != steps_.end()) return found->second;
    // Whole chunks: one block call serves the neighbouring timesteps that are asked for next.
    constexpr std::uint64_t kChunk = 64;
    const std::uint64_t first = t - t % kChunk;
    const auto count = static_cast<std::uint32_t>(std::min(kChunk, stimulus_->n_steps() - first));
    const trace::StimulusBlock block = stimulus_->block(first, count);
    const golden::Network& network = connectivity_.network();
    for (std::uint32_t s = 0; s < count; ++s) {
        Step& entry = steps_[first + s];
        std::uint32_t position = 0;
        for (const trace::InputEvent& event : block.events_of(s)) {
            if (event.port < network.ports.size())
                entry.events.emplace_back(network.ports[event.port].begin + event.address,
                                          position);
            ++position;
        }
        std::sort(entry.events.begin(), entry.events.end());
        for (const trace::SideBand& band : block.side_bands)
            if (band.name == "i_in")
                entry.current.assign(
                    band.values.begin() + static_cast<std::ptrdiff_t>(s) * band.width,
                    band.values.begin() + static_cast<std::ptrdiff_t>(s + 1) * band.width);
    }
    return steps_[t];
}

std::span<const std::pair<std::uint32_t, std::uint32_t>> Activity::events(std::uint64_t t) {
    return step(t).events;
}

std::int64_t Activity::current(std::uint64_t t, std::uint32_t neuron) {
    const std::vector<std::int32_t>& current = step(t).current;
    return neuron < current.size() ? current[neuron] : 0;
}

bool Activity::applies(const DeliveryRule& rule, const Connectivity::Incoming& incoming) const {
    const golden::Network& network = connectivity_.network();
    switch (rule.which) {
        case DeliveryRule::Which::None:
            return false;
        case DeliveryRule::Which::One:
            return incoming.synapse == rule.index;
        case DeliveryRule::Which::Source:
            return incoming.source == rule.index;
        case DeliveryRule::Which::LastOfRows:
            return incoming.synapse + 1 == network.row_begin[incoming.source + 1];
        case DeliveryRule::Which::FirstOfRows:
            return incoming.synapse == network.row_begin[incoming.source];
        case DeliveryRule::Which::Axons:
            return connectivity_.is_axon(incoming.source);
        case DeliveryRule::Which::Neurons:
            return !connectivity_.is_axon(incoming.source);
        case DeliveryRule::Which::All:
            return true;
    }
    return false;
}

Activity::Arrivals Activity::arrivals(std::uint32_t neuron, std::uint64_t t,
                                      const DeliveryRule& rule) {
    const golden::Network& network = connectivity_.network();
    // At the ends of the network there is no neighbour: a neuron there gets its own input.
    const std::int64_t neighbour = std::int64_t{neuron} + rule.target_offset;
    const std::uint32_t target = neighbour < 0 || neighbour >= network.n_neurons()
                                     ? neuron
                                     : static_cast<std::uint32_t>(neighbour);
    Arrivals result;
    if (!rule.no_current) result.current = current(t, neuron);
    const std::uint64_t clear = rule.ignore_clear ? 0 : clear_at(t);
    const auto slots = static_cast<std::uint64_t>(network.arithmetic.delay_slots);

    const auto deliver = [&](const Connectivity::Incoming& incoming, std::uint64_t fired_at,
                             std::uint32_t order, std::uint16_t delay, bool changed) {
        if (changed && rule.only_fired_at && *rule.only_fired_at != fired_at) changed = false;
        if (changed && rule.only_order && *rule.only_order != order) changed = false;
        Arrival arrival{incoming.source, incoming.synapse,
                        fired_at,        order,
                        delay,           connectivity_.contribution(incoming.weight)};
        int times = 1;
        if (changed) {
            switch (rule.act) {
                case DeliveryRule::Act::Drop:
                    times = 0;
                    break;
                case DeliveryRule::Act::Double:
                    times = 2;
                    break;
                case DeliveryRule::Act::Negate:
                    arrival.contribution = -arrival.contribution;
                    break;
                case DeliveryRule::Act::Unsigned:
                    if (incoming.weight < 0)
                        arrival.contribution +=
                            std::int64_t{1}
                            << (network.arithmetic.weight_bits + network.arithmetic.weight_shift);
                    break;
                case DeliveryRule::Act::Weight:
                    arrival.contribution =
                        connectivity_.contribution(static_cast<std::int16_t>(rule.value));
                    break;
                case DeliveryRule::Act::Delay:
                    break;  // settled by the caller
                case DeliveryRule::Act::Shift: {
                    const int shift = network.arithmetic.weight_shift + rule.value;
                    arrival.contribution = shift >= 0 ? incoming.weight * (std::int64_t{1} << shift)
                                                      : std::int64_t{incoming.weight} >> -shift;
                    break;
                }
            }
        }
        for (int i = 0; i < times; ++i) result.list.push_back(arrival);
    };

    const auto collect = [&](std::uint64_t when) {
        for (const Connectivity::Incoming& incoming : connectivity_.into(target)) {
            const bool changed = applies(rule, incoming);
            std::int64_t delay = incoming.delay;
            if (changed && rule.act == DeliveryRule::Act::Delay) delay += rule.value;
            if (delay < 0) continue;
            const auto lag = static_cast<std::uint64_t>(delay);
            if (lag > when || when - lag < clear) continue;
            const std::uint64_t fired_at = when - lag;
            if (connectivity_.is_axon(incoming.source)) {
                if (!has_stimulus()) {
                    result.complete = false;
                    ++result.unknown_synapses;
                    continue;
                }
                const auto all = events(fired_at);
                const auto from = std::lower_bound(all.begin(), all.end(),
                                                   std::pair{incoming.source, std::uint32_t{0}});
                for (auto event = from; event != all.end() && event->first == incoming.source;
                     ++event)
                    deliver(incoming, fired_at, event->second, static_cast<std::uint16_t>(lag),
                            changed);
            } else {
                if (!trace_.holds(fired_at) || !trace_.valid(fired_at)) {
                    result.complete = false;
                    ++result.unknown_synapses;
                    continue;
                }
                const std::uint32_t source = incoming.source - network.n_axons();
                // Delay 0 reaches only what the sweep has not passed: a changed delay, or the slot
                // of a neighbour that is read too early, does not get it.
                if (lag == 0 && source >= std::min(target, neuron)) continue;
                if (trace_.spike(fired_at, source))
                    deliver(incoming, fired_at, source, static_cast<std::uint16_t>(lag), changed);
            }
        }
    };
    collect(t);
    if (rule.stale_slot)
        for (std::uint64_t when = t; when >= slots && when - slots >= clear; when -= slots)
            collect(when - slots);

    // Order of delivery: by timestep; in it the events (phase A), then the sweep (phase B); in each
    // the row order. Rows that stand twice in a list keep their order (stable).
    std::stable_sort(
        result.list.begin(), result.list.end(), [this](const Arrival& a, const Arrival& b) {
            return std::tuple(a.fired_at, !connectivity_.is_axon(a.source), a.order, a.synapse) <
                   std::tuple(b.fired_at, !connectivity_.is_axon(b.source), b.order, b.synapse);
        });
    return result;
}

}  // namespace spikelock::analysis::detail

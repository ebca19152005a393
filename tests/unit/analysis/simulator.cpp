// SPDX-License-Identifier: Apache-2.0
#include "simulator.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "spikelock/golden/random_network.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace spikelock::analysis::test {

namespace {
using golden::NeuronParams;
using golden::Rounding;

/// Whole traces as arrays that can be changed.
struct Recording {
    trace::Shape shape;
    std::uint64_t first = 0;
    std::uint32_t n_steps = 0;
    std::vector<std::uint64_t> spikes;
    std::vector<std::vector<std::byte>> fields;

    explicit Recording(const trace::Shape& of) : shape(of), fields(of.fields.size()) {}

    void grow() {
        ++n_steps;
        spikes.resize(spikes.size() + shape.spike_words());
        for (std::size_t f = 0; f < fields.size(); ++f)
            fields[f].resize(fields[f].size() +
                             shape.n_neurons * static_cast<std::size_t>(shape.fields[f].bytes));
    }
    void set(const std::string& name, std::uint64_t t, std::uint32_t n, std::int64_t value) {
        if (name == "spike") {
            std::uint64_t& word = spikes[(t - first) * shape.spike_words() + n / 64];
            word = value != 0 ? word | std::uint64_t{1} << n % 64
                              : word & ~(std::uint64_t{1} << n % 64);
            return;
        }
        const int f = shape.field_index(name);
        if (f < 0) return;
        const auto field = static_cast<std::size_t>(f);
        const auto bytes = static_cast<std::size_t>(shape.fields[field].bytes);
        std::memcpy(&fields[field][((t - first) * shape.n_neurons + n) * bytes], &value, bytes);
    }
    trace::ExecutionTrace trace() const {
        trace::ExecutionTrace result(shape, first);
        trace::BlockView block;
        block.first = first;
        block.n_steps = n_steps;
        block.spikes = spikes;
        for (const auto& field : fields) block.fields.emplace_back(field);
        result.append(block);
        return result;
    }
};

Recording recording_of(const trace::ExecutionTrace& trace) {
    Recording recording(trace.shape());
    recording.first = trace.first_step();
    recording.n_steps = static_cast<std::uint32_t>(trace.n_steps());
    const trace::BlockView view = trace.view();
    recording.spikes.assign(view.spikes.begin(), view.spikes.end());
    for (std::size_t f = 0; f < recording.fields.size(); ++f)
        recording.fields[f].assign(view.fields[f].begin(), view.fields[f].end());
    return recording;
}

std::int64_t divided(std::int64_t x, std::uint32_t shift, Rounding mode) {
    // Exact in long double: |x| < 2^50 and the shift only moves the exponent.
    const long double y =
        std::ldexp(static_cast<long double>(x), -static_cast<int>(std::min(shift, 70U)));
    switch (mode) {
        case Rounding::Floor:
            return static_cast<std::int64_t>(std::floor(y));
        case Rounding::TowardZero:
            return static_cast<std::int64_t>(std::trunc(y));
        case Rounding::AwayFromZero:
            return static_cast<std::int64_t>(y < 0 ? std::floor(y) : std::ceil(y));
        case Rounding::NearestEven:
            return static_cast<std::int64_t>(std::nearbyint(y));
    }
    return 0;
}

std::int64_t fitted(std::int64_t x, int bits, bool wraps) {
    const std::int64_t modulus = std::int64_t{1} << bits;
    const std::int64_t half = modulus / 2;
    if (!wraps) return std::min(std::max(x, -half), half - 1);
    std::int64_t rest = (x + half) % modulus;
    if (rest < 0) rest += modulus;
    return rest - half;
}

Rounding rounding_called(const std::string& id, Rounding otherwise) {
    if (id == "rounding.floor") return Rounding::Floor;
    if (id == "rounding.toward_zero") return Rounding::TowardZero;
    if (id == "rounding.away_from_zero") return Rounding::AwayFromZero;
    if (id == "rounding.nearest_even") return Rounding::NearestEven;
    return otherwise;
}
}  // namespace

trace::ExecutionTrace simulate(const golden::Network& network, const trace::Stimulus& stimulus,
                               const Fault& fault) {
    const golden::Arithmetic& a = network.arithmetic;
    const std::string& id = fault.id;
    const std::uint32_t neurons = network.n_neurons();
    const std::uint32_t axons = network.n_axons();
    const bool shift_leak = a.leak_mode == golden::LeakMode::Shift;
    const bool v_wraps = id == "overflow.wrap" ||
                         (a.v_overflow == golden::Overflow::Wrap && id != "overflow.saturate");
    const bool acc_wraps = id == "accumulator.wrap" || (a.acc_overflow == golden::Overflow::Wrap &&
                                                        id != "accumulator.saturate");
    const bool greater = id == "compare.greater" ||
                         (a.compare == golden::Compare::Greater && id != "compare.greater_equal");
    const bool subtracts = id == "reset.subtract" ||
                           (a.reset_mode == golden::ResetMode::Subtract && id != "reset.value");
    const Rounding rounding = rounding_called(id, a.rounding);

    std::vector<std::int64_t> v(neurons), u(neurons), refr(neurons);
    std::map<std::uint64_t, std::vector<std::int64_t>> acc;  // by timestep of arrival
    const auto slot = [&](std::uint64_t t) -> std::vector<std::int64_t>& {
        // Slots that are never zeroed come round again.
        const bool stale = id == "accumulator.not_cleared";
        std::vector<std::int64_t>& sums =
            acc[stale ? t % static_cast<std::uint64_t>(a.delay_slots) : t];
        sums.resize(neurons);
        return sums;
    };

    const auto decayed = [&](std::int64_t x, std::uint32_t amount) {
        if (!shift_leak)
            return divided(x * amount, static_cast<std::uint32_t>(a.leak_frac), rounding);
        return amount == 0 ? x : x - divided(x, amount, rounding);
    };
    std::uint64_t now = 0;
    const auto deliver = [&](std::uint32_t source) {
        int times = 1;
        const bool here = now == fault.timestep && source == fault.index;
        if (here && (id == "event.dropped" || id == "spike.not_routed")) times = 0;
        if (here && (id == "event.doubled" || id == "spike.routed_twice")) times = 2;
        const bool axon = source < axons;
        for (int i = 0; i < times; ++i)
            for (std::uint32_t s = network.row_begin[source]; s < network.row_begin[source + 1];
                 ++s) {
                const golden::Synapse& synapse = network.synapses[s];
                std::int64_t weight = synapse.weight;
                std::uint64_t delay = synapse.delay;
                int count = 1;
                if (id == "weights.unsigned" && weight < 0)
                    weight += std::int64_t{1} << a.weight_bits;
                if (id == "rows.last_missing" && s + 1 == network.row_begin[source + 1]) count = 0;
                if (id == "axon.dead" && source == fault.index) count = 0;
                if (id == "inputs.late" && axon) ++delay;
                if (id == "recurrent.late" && !axon) ++delay;
                if (s == fault.index) {
                    if (id == "synapse.dropped") count = 0;
                    if (id == "synapse.doubled") count = 2;
                    if (id == "synapse.negated") weight = -weight;
                    if (id == "synapse.late") ++delay;
                    // Delay 0 onto an earlier neuron would be no delivery at all.
                    if (id == "synapse.early" &&
                        (delay > 1 || (delay == 1 && (axon || source - axons < synapse.target))))
                        --delay;
                }
                for (int j = 0; j < count; ++j) {
                    std::int64_t& sum = slot(now + delay)[synapse.target];
                    sum = fitted(sum + weight * (std::int64_t{1} << a.weight_shift), a.acc_bits,
                                 acc_wraps);
                }
            }
    };

    Recording recording(network.shape());
    std::vector<std::int64_t> late_v(neurons);
    for (now = 0; now < stimulus.n_steps(); ++now) {
        const trace::StimulusBlock block = stimulus.block(now, 1);
        recording.grow();
        if (!block.begins.empty() && block.begins[0].start != trace::StartState::Keep) {
            if (id != "clear.missing") {
                v.assign(neurons, 0);
                u = refr = v;
            }
            if (id != "clear.pending") acc.clear();
        }
        for (const trace::InputEvent& event : block.events_of(0))
            deliver(network.ports[event.port].begin + event.address);
        for (std::uint32_t n = 0; n < neurons; ++n) {
            const bool here = now == fault.timestep && n == fault.index;
            NeuronParams p = network.neurons[n];
            if (id == "parameters.of_neighbour.after" && n + 1 < neurons)
                p = network.neurons[n + 1];
            if (id == "threshold.plus_one" && n == fault.index) ++p.threshold;
            if (id == "threshold.minus_one" && n == fault.index) --p.threshold;
            if (id == "bias.other" && n == fault.index) p.bias += 3;
            if (id == "v_reset.other" && n == fault.index) p.v_reset += 2;
            if (id == "bias.missing") p.bias = 0;
            if (id == "bias.doubled") p.bias *= 2;
            if (id == "leak.missing") p.leak = shift_leak ? 0 : 1U << a.leak_frac;
            if (id == "leak.plus_one" && p.leak + 1 < 2U << a.leak_frac) ++p.leak;
            if (id == "leak.minus_one" && p.leak > 0) --p.leak;
            if (id == "refractory.plus_one" && p.refractory + 1 < 1U << a.refr_bits) ++p.refractory;
            if (id == "refractory.minus_one" && p.refractory > 0) --p.refractory;
            if (id == "filter.no_decay") p.u_decay = shift_leak ? 0 : 1U << a.leak_frac;
            if (id == "filter.bypass") p.cuba = false;

            std::uint32_t reads = n;
            if (id == "i_syn.of_neighbour.after" && n + 1 < neurons) reads = n + 1;
            const std::int64_t arrived = slot(now)[reads];
            const std::int64_t i_syn = fitted(arrived, a.acc_bits, acc_wraps);
            recording.set("i_syn", now, n, i_syn);
            if (here && id == "update.skipped") {
                recording.set("u", now, n, u[n]);
                recording.set("v", now, n, v[n]);
                recording.set("refr", now, n, refr[n]);
                continue;
            }
            std::int64_t drive = i_syn + p.bias;
            if (p.cuba) {
                const std::int64_t old = u[n];
                u[n] = fitted(decayed(u[n], p.u_decay) + drive, a.u_bits, v_wraps);
                drive = divided(id == "filter.old_u" ? old : u[n],
                                static_cast<std::uint32_t>(a.u_shift), rounding);
            }
            std::int64_t sum = decayed(v[n], p.leak) + drive;
            if (id == "leak.after_input") sum = decayed(v[n] + drive, p.leak);
            if (id == "leak.logical_shift" && shift_leak && p.leak > 0 && v[n] < 0)
                sum = v[n] + drive -
                      ((v[n] + (std::int64_t{1} << a.v_bits)) >> std::min(p.leak, 62U));
            const std::int64_t v1 = fitted(sum, a.v_bits, v_wraps);
            const std::int64_t tested = id == "compare.previous_v" ? v[n] : v1;
            bool held = refr[n] > (id == "refractory.ends_at_one" ? 1 : 0);
            if (id == "refractory.ignored") held = false;
            if (refr[n] > 0) --refr[n];
            bool fires =
                !held && p.spiking && (greater ? tested > p.threshold : tested >= p.threshold);
            if (here && id == "spike.suppressed") fires = false;
            if (here && id == "spike.phantom" && !held) fires = true;
            bool seen = fires;
            std::int64_t shown = 0;
            if (fires) {
                if (id == "reset.missing")
                    v[n] = v1;
                else if (id == "reset.zero")
                    v[n] = 0;
                else if (subtracts)
                    v[n] = fitted(v1 - p.threshold, a.v_bits, v_wraps);
                else
                    v[n] = p.v_reset;
                refr[n] = p.refractory;
                shown = id == "shown.before_reset" ? v1 : v[n];
                if (here && id == "spike.lost") seen = false;
            } else {
                if (!held) v[n] = v1;
                if (held && id == "refractory.leaks")
                    v[n] = fitted(decayed(v[n], p.leak), a.v_bits, v_wraps);
                if (held && id == "refractory.integrates") v[n] = v1;
                shown = v[n];
            }
            if (here && id == "bit.flipped") shown ^= 4;
            if (id == "shown.v_late") std::swap(shown, late_v[n]);
            recording.set("u", now, n, u[n]);
            recording.set("v", now, n, shown);
            recording.set("refr", now, n, refr[n]);
            recording.set("spike", now, n, seen ? 1 : 0);
            if (seen) deliver(axons + n);
        }
        if (id == "shown.swapped" && fault.index + 1 < neurons) {
            const trace::ExecutionTrace shown = recording.trace();
            for (const std::uint32_t n : {fault.index, fault.index + 1}) {
                const std::uint32_t m = n == fault.index ? n + 1 : fault.index;
                for (std::size_t f = 0; f < shown.shape().fields.size(); ++f)
                    recording.set(shown.shape().fields[f].name, now, n, shown.raw(f, now, m));
                recording.set("spike", now, n, shown.spike(now, m) ? 1 : 0);
            }
        }
        while (!acc.empty() && acc.begin()->first + 64 < now && id != "accumulator.not_cleared")
            acc.erase(acc.begin());
    }
    trace::ExecutionTrace result = recording.trace();
    result.samples().assign(stimulus.samples().begin(), stimulus.samples().end());
    return result;
}

trace::ExecutionTrace with_value(const trace::ExecutionTrace& trace, const std::string& field,
                                 std::uint64_t timestep, std::uint32_t neuron, std::int64_t value) {
    Recording recording = recording_of(trace);
    recording.set(field, timestep, neuron, value);
    trace::ExecutionTrace result = recording.trace();
    result.samples() = trace.samples();
    return result;
}

trace::ExecutionTrace part_of(const trace::ExecutionTrace& trace, std::uint64_t first,
                              std::uint64_t count) {
    const Recording all = recording_of(trace);
    Recording part(trace.shape());
    part.first = first;
    part.n_steps = static_cast<std::uint32_t>(count);
    const auto skipped = static_cast<std::ptrdiff_t>(first - all.first);
    const auto kept = static_cast<std::ptrdiff_t>(count);
    const auto words = static_cast<std::ptrdiff_t>(all.shape.spike_words());
    part.spikes.assign(all.spikes.begin() + skipped * words,
                       all.spikes.begin() + (skipped + kept) * words);
    for (std::size_t f = 0; f < all.fields.size(); ++f) {
        const auto row =
            static_cast<std::ptrdiff_t>(all.shape.n_neurons) * all.shape.fields[f].bytes;
        part.fields[f].assign(all.fields[f].begin() + skipped * row,
                              all.fields[f].begin() + (skipped + kept) * row);
    }
    trace::ExecutionTrace result = part.trace();
    result.samples() = trace.samples();
    return result;
}

golden::Network small_network(std::uint64_t seed, bool cuba) {
    golden::RandomNetworkOptions options;
    options.max_neurons = 24;
    options.max_axons = 12;
    options.max_synapses = 600;
    options.allow_cuba = cuba;
    auto network = golden::random_network(seed, options);
    REQUIRE(network);
    return *network;
}

std::unique_ptr<trace::Stimulus> input_for(const golden::Network& network, std::uint64_t seed,
                                           std::uint64_t n_steps) {
    golden::PoissonOptions options;
    options.axons = network.n_axons();
    options.probability = 0.1;
    options.n_steps = n_steps;
    options.sample_steps = 64;
    options.seed = seed;
    auto stimulus = golden::make_poisson_stimulus(options);
    REQUIRE(stimulus);
    return std::move(*stimulus);
}

}  // namespace spikelock::analysis::test

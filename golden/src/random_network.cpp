// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/random_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "spikelock/base/random.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/stimulus.hpp"

namespace spikelock::golden {
namespace {

/// Successive draws of one stream.
class Draw {
public:
    explicit Draw(CounterRandom random) : random_(random) {}
    /// Uniform in lowest..highest.
    std::int64_t range(std::int64_t lowest, std::int64_t highest) {
        const auto span = static_cast<std::uint64_t>(highest - lowest) + 1;
        return lowest + static_cast<std::int64_t>(random_.bits(next_++) % span);
    }
    template <typename T>
    T pick(T lowest, T highest) {
        return static_cast<T>(
            range(static_cast<std::int64_t>(lowest), static_cast<std::int64_t>(highest)));
    }
    bool chance(double probability) { return random_.uniform(next_++) < probability; }
    double uniform(double lowest, double highest) {
        return lowest + (highest - lowest) * random_.uniform(next_++);
    }

private:
    CounterRandom random_;
    std::uint64_t next_ = 0;
};

std::int64_t highest_of(int bits) { return (std::int64_t{1} << (bits - 1)) - 1; }

template <typename T>
T clamp_to(double x, int bits) {
    const auto limit = static_cast<double>(highest_of(bits));
    return static_cast<T>(std::clamp(std::round(x), -limit - 1.0, limit));
}

Arithmetic draw_arithmetic(Draw& draw, const RandomNetworkOptions& options) {
    Arithmetic a = options.arithmetic;
    if (options.random_widths) {
        a.v_bits = draw.chance(0.15) ? draw.pick(27, 32) : draw.pick(6, 26);
        a.weight_bits = std::min(draw.pick(3, 16), a.v_bits);
        a.leak_frac = draw.pick(1, 16);
        a.refr_bits = draw.pick(1, 8);
        a.delay_slots = 1 << draw.pick(1, 6);
    }
    if (options.random_modes) {
        a.leak_mode = draw.pick(LeakMode::Shift, LeakMode::Multiply);
        a.rounding = draw.pick(Rounding::Floor, Rounding::NearestEven);
        a.v_overflow = draw.pick(Overflow::Wrap, Overflow::Saturate);
        a.acc_overflow = draw.pick(Overflow::Wrap, Overflow::Saturate);
        a.compare = draw.pick(Compare::GreaterEqual, Compare::Greater);
        a.reset_mode = draw.pick(ResetMode::Value, ResetMode::Subtract);
    }
    // Weights reach between a 64th and all of the range of v.
    a.weight_shift = std::clamp(a.v_bits - a.weight_bits - draw.pick(0, 6), 0, 15);
    const int scaled_bits = a.weight_bits + a.weight_shift;
    a.u_shift = draw.chance(0.3) ? 0 : draw.pick(1, 6);
    if (options.random_widths) {
        // From one weight that just fits to sums that never overflow.
        a.acc_bits = std::clamp(scaled_bits + draw.pick(-1, 8), 2, 32);
        a.u_bits = std::clamp(a.v_bits + a.u_shift - draw.pick(0, 3), 2, 32);
    }
    return a;
}

struct Builder {
    Draw draw;
    const RandomNetworkOptions& options;
    Network net;
    std::vector<std::vector<Synapse>> rows;

    void make_populations(std::uint32_t neurons) {
        const auto count = std::min(draw.pick(1U, std::max(options.max_populations, 1U)), neurons);
        std::uint32_t begin = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint32_t left = count - i;
            const std::uint32_t room = neurons - begin;
            const std::uint32_t size =
                left == 1 ? room : draw.pick(1U, std::max(1U, 2 * room / left - 1));
            const std::uint32_t end = begin + std::min(size, room - (left - 1));
            net.populations.push_back({fmt::format("p{}", i), begin, end});
            begin = end;
        }
    }

    std::uint32_t draw_factor() {
        const Arithmetic& a = net.arithmetic;
        const std::int64_t one = std::int64_t{1} << a.leak_frac;
        if (a.leak_mode == LeakMode::Multiply) {
            if (draw.chance(0.15)) return static_cast<std::uint32_t>(one);
            if (draw.chance(0.03)) return static_cast<std::uint32_t>(draw.range(0, 2 * one - 1));
            return static_cast<std::uint32_t>(draw.range((one + 1) / 2, one));
        }
        const std::int64_t largest = 2 * one - 1;
        if (draw.chance(0.15)) return 0;
        if (draw.chance(0.03)) return static_cast<std::uint32_t>(draw.range(0, largest));
        return static_cast<std::uint32_t>(draw.range(1, std::min<std::int64_t>(8, largest)));
    }

    NeuronParams draw_neuron(bool cuba, bool spiking) {
        const Arithmetic& a = net.arithmetic;
        const auto top = static_cast<double>(highest_of(a.v_bits));
        NeuronParams p;
        p.spiking = spiking;
        p.cuba = cuba;
        p.threshold = clamp_to<std::int32_t>(top * draw.uniform(0.1, 0.6), a.v_bits);
        p.threshold = std::max(p.threshold, 1);
        if (draw.chance(0.5))
            p.v_reset = clamp_to<std::int32_t>(top * draw.uniform(-0.4, 0.05), a.v_bits);
        if (draw.chance(0.4))
            p.bias = clamp_to<std::int32_t>(top * draw.uniform(-0.03, 0.06), a.v_bits);
        p.leak = draw_factor();
        if (cuba) p.u_decay = draw_factor();
        if (draw.chance(0.5)) {
            const std::int64_t longest = (std::int64_t{1} << a.refr_bits) - 1;
            p.refractory = static_cast<std::uint32_t>(
                draw.chance(0.1) ? longest : draw.range(0, std::min<std::int64_t>(longest, 5)));
        }
        return p;
    }

    void make_neurons() {
        const Arithmetic& a = net.arithmetic;
        const bool any_cuba = options.allow_cuba && draw.chance(0.5);
        for (std::size_t i = 0; i < net.populations.size(); ++i) {
            const auto& population = net.populations[i];
            const bool cuba = any_cuba && draw.chance(0.7);
            const bool spiking = i == 0 || draw.chance(0.85);
            const bool alike = draw.chance(0.4);
            const bool mixed = any_cuba && draw.chance(0.15);
            const NeuronParams common = draw_neuron(cuba, spiking);
            for (std::uint32_t n = population.begin; n < population.end; ++n) {
                NeuronParams p =
                    alike ? common : draw_neuron(mixed ? draw.chance(0.5) : cuba, spiking);
                if (!alike && draw.chance(0.02)) {
                    const auto top = static_cast<std::int32_t>(highest_of(a.v_bits));
                    const std::int32_t extremes[] = {-top - 1, -top, -1, 0, top - 1, top};
                    p.v_reset = extremes[draw.pick(0, 5)];
                    if (draw.chance(0.3)) p.bias = extremes[draw.pick(0, 5)];
                    if (draw.chance(0.3)) p.threshold = extremes[draw.pick(0, 5)];
                }
                net.neurons.push_back(p);
            }
        }
    }

    std::int16_t draw_weight(double excitatory) {
        const int bits = net.arithmetic.weight_bits;
        if (draw.chance(0.02))
            return static_cast<std::int16_t>(draw.chance(0.5) ? highest_of(bits)
                                                              : -highest_of(bits) - 1);
        const std::int64_t magnitude = draw.range(0, highest_of(bits));
        return static_cast<std::int16_t>(draw.chance(excitatory) ? magnitude : -magnitude);
    }

    /// Synapses from source rows first..last-1 to a population. `neuron0` is the first source as a
    /// neuron, or -1 for axons: a delay of 0 then needs a later target.
    void project(std::uint32_t first, std::uint32_t last, std::int64_t neuron0,
                 const trace::Population& to, std::uint16_t least_delay) {
        const double density = draw.chance(0.4) ? 1.0 : draw.uniform(0.05, 0.6);
        const double excitatory = draw.uniform(0.55, 0.9);
        const auto longest = static_cast<std::uint16_t>(net.arithmetic.delay_slots - 1);
        const bool one_delay = draw.chance(0.6);
        const std::uint16_t common =
            std::max(least_delay, draw.chance(0.7) ? least_delay : draw.pick(least_delay, longest));
        for (std::uint32_t row = first; row < last; ++row) {
            for (std::uint32_t n = to.begin; n < to.end; ++n) {
                if (!draw.chance(density)) continue;
                std::uint16_t delay = one_delay ? common : draw.pick(least_delay, longest);
                if (neuron0 >= 0 && n <= neuron0 + (row - first))
                    delay = std::max<std::uint16_t>(delay, 1);
                rows[row].push_back({n, draw_weight(excitatory), delay});
                if (draw.chance(0.01)) rows[row].push_back({n, draw_weight(excitatory), delay});
            }
        }
    }

    void make_synapses(std::uint32_t axons) {
        const std::uint32_t neurons = net.n_neurons();
        rows.assign(std::size_t{axons} + neurons, {});
        const auto& pops = net.populations;
        for (std::size_t i = 0; i < pops.size(); ++i) {
            if (i == 0 || draw.chance(0.3)) project(0, axons, -1, pops[i], 0);
            const auto from = [&](std::size_t j, std::uint16_t least) {
                project(axons + pops[j].begin, axons + pops[j].end, pops[j].begin, pops[i], least);
            };
            if (i > 0) from(i - 1, 0);
            if (i > 1 && draw.chance(0.3)) from(draw.pick(std::size_t{0}, i - 2), 0);
            if (draw.chance(0.4)) from(i, options.allow_delay_0_inside && draw.chance(0.4) ? 0 : 1);
            if (i + 1 < pops.size() && draw.chance(0.3)) from(i + 1, 1);
        }
        const bool shuffled = draw.chance(0.5);
        net.row_begin.assign(1, 0);
        for (auto& row : rows) {
            if (shuffled) {
                for (std::size_t i = row.size(); i > 1; --i)
                    std::swap(row[i - 1], row[draw.pick(std::size_t{0}, i - 1)]);
            }
            const std::size_t room = options.max_synapses - net.synapses.size();
            if (row.size() > room) row.resize(room);
            net.synapses.insert(net.synapses.end(), row.begin(), row.end());
            net.row_begin.push_back(static_cast<std::uint32_t>(net.synapses.size()));
        }
    }
};

/// Share of timesteps in which each population fires.
Result<std::vector<double>> activity(const Network& net, const RandomNetworkOptions& options,
                                     std::uint64_t seed) {
    auto golden = GoldenSource::create(net);
    if (!golden) return golden.error();
    auto stimulus = make_poisson_stimulus({.axons = net.n_axons(),
                                           .probability = options.input_probability,
                                           .n_steps = options.calibration_steps,
                                           .seed = seed});
    if (!stimulus) return stimulus.error();
    if (Status s = (*golden)->submit((*stimulus)->block(0, options.calibration_steps)); !s)
        return s.error();
    auto block = (*golden)->read(options.calibration_steps);
    if (!block) return block.error();
    const auto& view = std::get<trace::BlockView>(*block);
    const std::size_t words = (*golden)->shape().spike_words();
    std::vector<double> rates;
    for (const auto& population : net.populations) {
        std::uint64_t count = 0;
        for (std::uint32_t t = 0; t < view.n_steps; ++t) {
            for (std::uint32_t n = population.begin; n < population.end; ++n)
                count += (view.spikes[words * t + n / 64] >> (n % 64)) & 1;
        }
        rates.push_back(static_cast<double>(count) /
                        (static_cast<double>(view.n_steps) * (population.end - population.begin)));
    }
    return rates;
}

/// Scales thresholds (and, where they are at their bounds, biases) of populations that fire too
/// rarely or too often. @returns whether the whole network ends inside the bounds
Result<bool> calibrate(Network& net, const RandomNetworkOptions& options, std::uint64_t seed) {
    constexpr int kRounds = 14;
    const double low = options.min_activity * 2.0;  // room for other seeds than the calibration's
    const double high = options.max_activity * 0.8;
    const int bits = net.arithmetic.v_bits;
    const auto top = static_cast<double>(highest_of(bits));
    for (int round = 0; round < kRounds; ++round) {
        auto rates = activity(net, options, seed);
        if (!rates) return rates.error();
        double spikes = 0.0;
        for (std::size_t i = 0; i < rates->size(); ++i)
            spikes += (*rates)[i] * (net.populations[i].end - net.populations[i].begin);
        const double whole = spikes / net.n_neurons();
        if (whole >= low && whole <= high) return true;
        for (std::size_t i = 0; i < rates->size(); ++i) {
            const double rate = (*rates)[i];
            if (rate >= low && rate <= high) continue;
            const double scale = rate > high ? 1.7 : 0.6;
            for (std::uint32_t n = net.populations[i].begin; n < net.populations[i].end; ++n) {
                NeuronParams& p = net.neurons[n];
                if (p.threshold <= 0) continue;  // an extreme, drawn on purpose
                const double wanted = p.threshold * scale;
                p.threshold = std::max(clamp_to<std::int32_t>(wanted, bits), 1);
                if (wanted > top || wanted < 1.0)
                    p.bias = clamp_to<std::int32_t>(
                        p.bias + (rate > high ? -1.0 : 1.0) * std::max(1.0, top / 50.0), bits);
            }
        }
    }
    return false;
}

Status check_options(const RandomNetworkOptions& o) {
    const auto bad = [](std::string message) {
        return Error{Errc::BadConfig, std::move(message), "random network"};
    };
    if (o.min_neurons < 1 || o.min_neurons > o.max_neurons)
        return bad(fmt::format("neurons are {}..{}", o.min_neurons, o.max_neurons));
    if (o.min_axons < 1 || o.min_axons > o.max_axons)
        return bad(fmt::format("axons are {}..{}", o.min_axons, o.max_axons));
    if (!(o.min_activity >= 0.0 && o.min_activity * 2.0 < o.max_activity * 0.8))
        return bad(fmt::format("activity is {}..{}", o.min_activity, o.max_activity));
    if (o.calibration_steps < 1) return bad("calibration_steps is 0");
    return {};
}

}  // namespace

Result<Network> random_network(std::uint64_t seed, const RandomNetworkOptions& options) {
    constexpr std::uint64_t kStream = 0x726e;
    constexpr std::uint64_t kAttempts = 40;
    if (Status status = check_options(options); !status) return status.error();
    for (std::uint64_t attempt = 0; attempt < kAttempts; ++attempt) {
        Builder builder{Draw(CounterRandom(seed, kStream + (attempt << 16))), options, {}, {}};
        Network& net = builder.net;
        net.name = fmt::format("random-{}", seed);
        net.arithmetic = draw_arithmetic(builder.draw, options);
        const auto axons = builder.draw.pick(options.min_axons, options.max_axons);
        net.ports.push_back({"in", 0, axons});
        builder.make_populations(builder.draw.pick(options.min_neurons, options.max_neurons));
        builder.make_neurons();
        builder.make_synapses(axons);
        if (Status status = net.check(); !status) return status.error();
        auto usable = calibrate(net, options, seed);
        if (!usable) return usable.error();
        if (*usable) return std::move(net);
    }
    return Error{Errc::Limit,
                 fmt::format("no draw of {} fires in {}..{} of neuron-timesteps", kAttempts,
                             options.min_activity, options.max_activity),
                 fmt::format("random network {}", seed)};
}

}  // namespace spikelock::golden

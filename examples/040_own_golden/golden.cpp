// SPDX-License-Identifier: Apache-2.0
// docs/model.md once more, written from that page alone: what a golden of your own looks like.
#include <spikelock_golden.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

std::int64_t fit(std::int64_t x, int bits, bool saturate) {
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    if (saturate) return std::clamp(x, -half, half - 1);
    return ((x + half) & (2 * half - 1)) - half;
}

std::int64_t rounded(std::int64_t x, int shift, int mode) {
    if (shift == 0) return x;
    const std::int64_t up = (std::int64_t{1} << shift) - 1;
    switch (mode) {
        case 0:  // floor
            return x >> shift;
        case 1:  // toward zero
            return x < 0 ? -(-x >> shift) : x >> shift;
        case 2:  // away from zero
            return x < 0 ? -((-x + up) >> shift) : (x + up) >> shift;
        default:  // nearest, ties to even
            return (x + (up >> 1) + ((x >> shift) & 1)) >> shift;
    }
}

struct Neuron {
    std::int64_t v = 0;
    std::int64_t u = 0;
    std::int64_t refr = 0;
};

class Model {
public:
    explicit Model(const spikelock_network& network) : net_(network) { clear(); }

    void clear() {
        neurons_.assign(net_.n_neurons, {});
        for (std::uint32_t n = 0; n < net_.n_neurons; ++n) neurons_[n].v = net_.v_init[n];
        acc_.assign(static_cast<std::size_t>(net_.delay_slots) * net_.n_neurons, 0);
        slot_ = 0;
    }

    void step(const std::uint32_t* axons, std::size_t n_events, const std::int32_t* i_in,
              std::uint64_t* spikes, std::int64_t* const* fields) {
        for (std::size_t e = 0; e < n_events; ++e) deliver(axons[e]);
        for (std::uint32_t n = 0; n < net_.n_neurons; ++n) {
            std::int64_t& acc = arriving(0, n);
            const std::int64_t i_syn =
                fit(acc + (i_in ? i_in[n] : 0), net_.acc_bits, net_.acc_overflow);
            acc = 0;
            if (update(n, i_syn)) {
                spikes[n / 64] |= std::uint64_t{1} << (n % 64);
                deliver(net_.n_axons + n);
            }
            fields[0][n] = i_syn;
            fields[1][n] = neurons_[n].u;
            fields[2][n] = neurons_[n].v;
            fields[3][n] = neurons_[n].refr;
        }
        slot_ = (slot_ + 1) % static_cast<std::uint32_t>(net_.delay_slots);
    }

private:
    std::int64_t& arriving(std::int32_t delay, std::uint32_t neuron) {
        const auto slots = static_cast<std::uint32_t>(net_.delay_slots);
        const std::size_t slot = (slot_ + static_cast<std::uint32_t>(delay)) % slots;
        return acc_[slot * net_.n_neurons + neuron];
    }

    void deliver(std::uint32_t source) {  // eq. 1
        for (std::int32_t k = net_.row_begin[source]; k < net_.row_begin[source + 1]; ++k) {
            std::int64_t& acc = arriving(net_.delay[k], static_cast<std::uint32_t>(net_.target[k]));
            acc = fit(acc + (std::int64_t{net_.weight[k]} << net_.weight_shift), net_.acc_bits,
                      net_.acc_overflow);
        }
    }

    std::int64_t decay(std::int64_t x, std::int32_t k) const {
        if (net_.leak_mode == 1) return rounded(x * k, net_.leak_frac, net_.rounding);
        return k == 0 ? x : x - rounded(x, k, net_.rounding);
    }

    bool update(std::uint32_t n, std::int64_t i_syn) {  // eqs. 3 to 6
        Neuron& s = neurons_[n];
        const bool saturate = net_.v_overflow;
        std::int64_t drive = i_syn + net_.bias[n];
        if (net_.cuba[n]) {
            s.u = fit(decay(s.u, net_.u_decay[n]) + drive, net_.u_bits, saturate);
            drive = rounded(s.u, net_.u_shift, net_.rounding);
        }
        const std::int64_t v = fit(decay(s.v, net_.leak[n]) + drive, net_.v_bits, saturate);
        const std::int64_t threshold = net_.threshold[n];
        if (s.refr > 0) {
            --s.refr;
            return false;
        }
        if (!net_.spiking[n] || (net_.compare == 0 ? v < threshold : v <= threshold)) {
            s.v = v;
            return false;
        }
        s.refr = net_.refractory[n];
        s.v = net_.reset_mode == 0 ? net_.v_reset[n] : fit(v - threshold, net_.v_bits, saturate);
        return true;
    }

    const spikelock_network& net_;
    std::vector<Neuron> neurons_;
    std::vector<std::int64_t> acc_;  // shape (delay_slots, n_neurons)
    std::uint32_t slot_ = 0;
};

constexpr spikelock_field kFields[] = {{"i_syn", 0, 0}, {"u", 0, 0}, {"v", 0, 0}, {"refr", 0, 0}};
}  // namespace

void* spikelock_golden_create(const spikelock_network* network) { return new Model(*network); }
void spikelock_golden_destroy(void* model) { delete static_cast<Model*>(model); }
const spikelock_field* spikelock_golden_describe(void*, std::size_t* n_fields) {
    *n_fields = std::size(kFields);
    return kFields;
}
void spikelock_golden_reset(void* model, std::int32_t) { static_cast<Model*>(model)->clear(); }
void spikelock_golden_step(void* model, const std::uint32_t* axons, std::size_t n_events,
                           const std::int32_t* i_in, std::uint64_t* spikes,
                           std::int64_t* const* fields) {
    static_cast<Model*>(model)->step(axons, n_events, i_in, spikes, fields);
}

// SPDX-License-Identifier: Apache-2.0
// The equations of docs/model.md a second time, for tests only: rationals instead of shifts, 128
// bits instead of proven bounds, absolute timesteps instead of slots, nothing from golden/src.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden::test {

__extension__ typedef __int128 Wide;

inline Wide power_of_two(int exponent) {
    Wide x = 1;
    for (int i = 0; i < exponent; ++i) x *= 2;
    return x;
}

/// How often each branch of the arithmetic was taken.
struct Coverage {
    std::map<std::string, std::uint64_t> counts;
    void hit(const std::string& name) { ++counts[name]; }
};

/// x modulo 2^bits, in -2^(bits-1) .. 2^(bits-1)-1; or the nearest number in that range.
inline Wide reference_fit(Wide x, int bits, Overflow mode) {
    const Wide half = power_of_two(bits - 1);
    if (x >= -half && x <= half - 1) return x;
    if (mode == Overflow::Saturate) return x < 0 ? -half : half - 1;
    Wide rest = x % (2 * half);
    if (rest < 0) rest += 2 * half;
    return rest >= half ? rest - 2 * half : rest;
}

/// The rational x / 2^s rounded: q <= x / 2^s < q + 1, and which of the two depends on the mode.
inline Wide reference_rnd(Wide x, int s, Rounding mode) {
    const Wide d = power_of_two(s);
    Wide q = x / d;
    if (q * d > x) q -= 1;
    const Wide rest = x - q * d;  // 0 <= rest < d
    if (rest == 0) return q;
    switch (mode) {
        case Rounding::Floor:
            return q;
        case Rounding::TowardZero:
            return x < 0 ? q + 1 : q;
        case Rounding::AwayFromZero:
            return x < 0 ? q : q + 1;
        case Rounding::NearestEven:
            if (2 * rest != d) return 2 * rest < d ? q : q + 1;
            return q % 2 == 0 ? q : q + 1;
    }
    return 0;
}

/// What one timestep shows.
struct Observed {
    std::vector<std::int64_t> i_syn, u, v, refr;
    std::vector<bool> spike;
};

class Reference {
public:
    explicit Reference(const Network& net) : net_(net), v_(net.n_neurons()), u_(v_), refr_(v_) {
        clear();
    }

    Coverage coverage;

    void clear() {
        u_.assign(v_.size(), 0);
        refr_ = u_;
        for (std::uint32_t n = 0; n < net_.n_neurons(); ++n) v_[n] = net_.neurons[n].v_init;
        arriving_.clear();
    }

    /// @param axons  input events in order
    /// @param i_in   empty or one value per neuron
    Observed step(std::span<const std::uint32_t> axons, std::span<const std::int32_t> i_in) {
        const Arithmetic& a = net_.arithmetic;
        for (const std::uint32_t axon : axons) deliver(axon);
        Observed out;
        for (std::uint32_t n = 0; n < net_.n_neurons(); ++n) {
            const NeuronParams& p = net_.neurons[n];
            Wide arrived = arriving(now_, n);
            const Wide i_syn =
                fitted("acc", arrived + (i_in.empty() ? 0 : i_in[n]), a.acc_bits, a.acc_overflow);
            const Wide input = i_syn + p.bias;
            Wide drive = input;
            if (p.cuba) {
                u_[n] = fitted("u", decayed(u_[n], p.u_decay) + input, a.u_bits, a.v_overflow);
                drive = rounded(u_[n], a.u_shift);
                coverage.hit("cuba filter");
            }
            const Wide v1 = fitted("v", decayed(v_[n], p.leak) + drive, a.v_bits, a.v_overflow);
            bool spike = false;
            if (refr_[n] > 0) {
                coverage.hit("refractory hold");
                if (arrived != 0) coverage.hit("input dropped in refractory period");
                refr_[n] = refr_[n] - 1;
            } else {
                const bool reached =
                    a.compare == Compare::Greater ? v1 > p.threshold : v1 >= p.threshold;
                if (p.spiking && v1 == p.threshold)
                    coverage.hit(a.compare == Compare::Greater ? "equal, compare >"
                                                               : "equal, compare >=");
                if (p.spiking && reached) {
                    spike = true;
                    refr_[n] = p.refractory;
                    if (a.reset_mode == ResetMode::Value) {
                        v_[n] = p.v_reset;
                        coverage.hit("reset to value");
                    } else {
                        v_[n] = fitted("subtracted v", v1 - p.threshold, a.v_bits, a.v_overflow);
                        coverage.hit("reset by subtraction");
                    }
                } else {
                    if (!p.spiking && reached) coverage.hit("integrator above threshold");
                    v_[n] = v1;
                }
            }
            if (v_[n] < 0) coverage.hit("negative v");
            out.i_syn.push_back(static_cast<std::int64_t>(i_syn));
            out.u.push_back(static_cast<std::int64_t>(u_[n]));
            out.v.push_back(static_cast<std::int64_t>(v_[n]));
            out.refr.push_back(static_cast<std::int64_t>(refr_[n]));
            out.spike.push_back(spike);
            if (spike) deliver(net_.n_axons() + n);
        }
        arriving_.erase(now_);
        ++now_;
        return out;
    }

private:
    Wide& arriving(std::uint64_t timestep, std::uint32_t n) {
        auto& all = arriving_[timestep];
        all.resize(net_.n_neurons());
        return all[n];
    }

    void deliver(std::uint32_t source) {
        const Arithmetic& a = net_.arithmetic;
        for (std::uint32_t i = net_.row_begin[source]; i < net_.row_begin[source + 1]; ++i) {
            const Synapse& s = net_.synapses[i];
            Wide& acc = arriving(now_ + s.delay, s.target);
            acc = fitted("acc", acc + s.weight * power_of_two(a.weight_shift), a.acc_bits,
                         a.acc_overflow);
            if (source >= net_.n_axons())
                coverage.hit(s.delay == 0 ? "delivery within the sweep" : "delayed delivery");
        }
    }

    Wide decayed(Wide x, std::uint32_t factor) {
        const Arithmetic& a = net_.arithmetic;
        if (a.leak_mode == LeakMode::Multiply) {
            if (x < 0 && factor != (1U << a.leak_frac)) coverage.hit("negative leak, multiply");
            return rounded(x * factor, a.leak_frac);
        }
        if (factor == 0) return x;
        if (x < 0) coverage.hit("negative leak, shift");
        // 2^100 exceeds twice any x as much as larger powers do, and fits.
        return x - rounded(x, factor < 100 ? static_cast<int>(factor) : 100);
    }

    Wide rounded(Wide x, int s) {
        const Wide y = reference_rnd(x, s, net_.arithmetic.rounding);
        if (y * power_of_two(s < 60 ? s : 60) != x) {
            static const char* const kNames[] = {"floor", "toward zero", "away from zero",
                                                 "nearest even"};
            coverage.hit(std::string("inexact ") +
                         kNames[static_cast<int>(net_.arithmetic.rounding)] +
                         (x < 0 ? ", negative" : ", positive"));
        }
        return y;
    }

    Wide fitted(const char* what, Wide x, int bits, Overflow mode) {
        const Wide y = reference_fit(x, bits, mode);
        if (x != y)
            coverage.hit(std::string(what) + (mode == Overflow::Wrap ? " wraps" : " saturates") +
                         (x < 0 ? " low" : " high"));
        return y;
    }

    const Network& net_;
    std::vector<Wide> v_, u_, refr_;
    std::map<std::uint64_t, std::vector<Wide>> arriving_;  ///< by timestep
    std::uint64_t now_ = 0;
};

}  // namespace spikelock::golden::test

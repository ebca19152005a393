// SPDX-License-Identifier: Apache-2.0
#include "neuron_program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace spikelock::golden::detail {
namespace {

Error bad(std::string where, std::string message) {
    return Error{Errc::BadConfig, std::move(message), std::move(where)};
}

/// Gives each Param a value per neuron and keeps the first error.
class Resolver {
public:
    explicit Resolver(const Network& net) : net_(net), n_(net.n_neurons()) {}
    Status status;

    /// @param of_network  what Param::From::Network means; none: the network has no such number
    template <typename F>
    Values get(const Param& p, const char* key, std::int64_t low, std::int64_t high, F of_network) {
        Values values(n_);
        switch (p.from) {
            case Param::From::Network:
                for (std::uint32_t n = 0; n < n_; ++n) values[n] = of_network(net_.neurons[n]);
                break;
            case Param::From::Scalar:
                std::ranges::fill(values, p.values.front());
                break;
            case Param::From::Neurons:
                if (p.values.size() != n_) {
                    fail(p, key,
                         fmt::format("has {} numbers, expected {}: one for each neuron",
                                     p.values.size(), n_));
                    return values;
                }
                values = p.values;
                break;
            case Param::From::Populations:
                if (!by_population(p, key, values)) return values;
                break;
        }
        for (std::uint32_t n = 0; n < n_; ++n) {
            if (values[n] >= low && values[n] <= high) continue;
            fail(p, key,
                 fmt::format("is {} for neuron {}, expected {}..{}", values[n], n, low, high));
            break;
        }
        return values;
    }
    Values get(const Param& p, const char* key, std::int64_t low, std::int64_t high) {
        if (p.from == Param::From::Network) {
            fail(p, key, "the network has no such parameter; expected a number");
            return Values(n_);
        }
        return get(p, key, low, high, [](const NeuronParams&) { return 0; });
    }
    template <typename... OfNetwork>
    Values get(const Param& p, const char* key, const Signal& format, OfNetwork... of_network) {
        const auto [low, high] = range(format);
        return get(p, key, low, high, of_network...);
    }
    static std::pair<std::int64_t, std::int64_t> range(const Signal& s) {
        const std::int64_t half = std::int64_t{1} << (s.bits - 1);
        return s.is_signed ? std::pair(-half, half - 1) : std::pair(std::int64_t{0}, 2 * half - 1);
    }

private:
    bool by_population(const Param& p, const char* key, Values& values) {
        std::vector<bool> given(n_);
        for (const auto& [label, value] : p.by_population) {
            const auto found =
                std::ranges::find(net_.populations, label, &trace::Population::label);
            if (found == net_.populations.end()) {
                std::vector<std::string> labels;
                for (const auto& population : net_.populations) labels.push_back(population.label);
                fail(p, key,
                     fmt::format("the network has no population '{}', expected one of '{}'", label,
                                 fmt::join(labels, "', '")));
                return false;
            }
            for (std::uint32_t n = found->begin; n < found->end; ++n) {
                values[n] = value;
                given[n] = true;
            }
        }
        const auto missing = std::ranges::find(given, false);
        if (missing == given.end()) return true;
        fail(p, key,
             fmt::format("neuron {} is in none of the populations given", missing - given.begin()));
        return false;
    }
    void fail(const Param& p, const char* key, std::string message) {
        if (status)
            status =
                bad(p.where.empty() ? fmt::format("golden.{}", key) : p.where, std::move(message));
    }

    const Network& net_;
    std::uint32_t n_;
};

constexpr std::int64_t kAny = std::int64_t{1} << 48;

}  // namespace

Result<Resolved> resolve(const Network& network, const Description& d) {
    Resolver r(network);
    Resolved out;
    const auto amount = [](const LeakRule& rule) {
        // A shift of nothing is no leak; a negative constant moves away.
        return rule.kind == LeakKind::Constant ? std::pair(-kAny, kAny)
                                               : std::pair(std::int64_t{0}, kAny);
    };
    const auto leak = [&](const LeakRule& rule, const char* key, const char* second, auto of_net) {
        const auto [low, high] = amount(rule);
        Resolved::Leak values;
        values.amount = r.get(rule.amount, key, low, high, of_net);
        values.second = r.get(rule.second, second, 0, kAny);
        return values;
    };
    out.rest = r.get(d.rest, "rest", d.v);
    out.v_init = r.get(d.v_init, "v.init", d.v,
                       [](const NeuronParams& p) { return std::int64_t{p.v_init}; });
    out.bias = r.get(d.bias, "input.bias", -kAny, kAny,
                     [](const NeuronParams& p) { return std::int64_t{p.bias}; });
    out.threshold = r.get(d.threshold.value, "threshold.value", -kAny, kAny,
                          [](const NeuronParams& p) { return std::int64_t{p.threshold}; });
    out.rearm = r.get(d.threshold.rearm, "threshold.rearm", -kAny, kAny);
    out.negative = r.get(d.threshold.negative, "threshold.negative", -kAny, kAny);
    out.negative_reset = r.get(d.threshold.negative_reset, "threshold.negative_reset", -kAny, kAny);
    {
        const auto [low, high] = Resolver::range(d.v);
        const bool used = d.reset.kind == ResetKind::Value;
        out.reset = r.get(d.reset.value, "reset.value", used ? low : -kAny, used ? high : kAny,
                          [](const NeuronParams& p) { return std::int64_t{p.v_reset}; });
    }
    out.refractory =
        r.get(d.refractory.steps, "refractory.steps", 0, (std::int64_t{1} << d.refractory.bits) - 1,
              [](const NeuronParams& p) { return std::int64_t{p.refractory}; });
    out.spiking = r.get(d.output.spiking, "output.spiking", 0, 1,
                        [](const NeuronParams& p) { return std::int64_t{p.spiking ? 1 : 0}; });
    out.masked = r.get(d.output.masked, "output.masked", 0, 1);
    out.leak = leak(d.leak, "leak.amount", "leak.second",
                    [](const NeuronParams& p) { return std::int64_t{p.leak}; });
    out.u_leak = leak(d.u_leak, "u.leak.amount", "u.leak.second",
                      [](const NeuronParams& p) { return std::int64_t{p.u_decay}; });
    if (d.adaptation.effect != Effect::None) {
        const LeakRule& rule = d.adaptation.leak;
        const auto [low, high] = amount(rule);
        out.w_leak.amount = r.get(rule.amount, "adaptation.leak.amount", low, high);
        out.w_leak.second = r.get(rule.second, "adaptation.leak.second", 0, kAny);
        out.w_init = r.get(d.adaptation.init, "adaptation.init", d.adaptation.w);
        out.w_jump = r.get(d.adaptation.jump, "adaptation.jump", -kAny, kAny);
        out.w_coupling = r.get(d.adaptation.coupling, "adaptation.coupling", -kAny, kAny);
    }
    if (d.model == Model::Izhikevich) {
        const auto& z = d.izhikevich;
        out.izh_init = r.get(z.u_init, "izhikevich.init", z.u);
        out.izh_quadratic = r.get(z.quadratic.factor, "izhikevich.quadratic.factor", -kAny, kAny);
        out.izh_linear = r.get(z.linear.factor, "izhikevich.linear.factor", -kAny, kAny);
        out.izh_constant = r.get(z.constant, "izhikevich.constant", -kAny, kAny);
        out.izh_a = r.get(z.a.factor, "izhikevich.a.factor", -kAny, kAny);
        out.izh_b = r.get(z.b.factor, "izhikevich.b.factor", -kAny, kAny);
        out.izh_d = r.get(z.d, "izhikevich.d", -kAny, kAny);
    }
    for (const Param& weight : d.synapse.weights)
        out.weights.push_back(r.get(weight, "synapse.weights", -0xffffff, 0xffffff));
    for (const Noise& noise : d.noise)
        out.seeds.push_back(
            r.get(noise.seed, "noise.seed", 0, (std::int64_t{1} << noise.bits) - 1));
    if (!r.status) return r.status.error();

    for (const NeuronParams& p : network.neurons) {
        const bool cuba = d.filter == Filter::All || (d.filter == Filter::Network && p.cuba);
        out.cuba.push_back(cuba ? -1 : 0);
        out.any_cuba |= cuba;
    }
    out.any_refractory = std::ranges::any_of(out.refractory, [](auto x) { return x > 0; });
    for (std::size_t i = 0; i < d.noise.size(); ++i) {
        const Noise& noise = d.noise[i];
        const std::int64_t stuck = noise.xnor ? (std::int64_t{1} << noise.bits) - 1 : 0;
        for (std::size_t n = 0; n < out.seeds[i].size(); ++n) {
            if (out.seeds[i][n] == stuck)
                return bad(noise.seed.where.empty() ? "golden.noise.seed" : noise.seed.where,
                           fmt::format("the register never leaves the value {}", stuck));
            if (noise.advance != Advance::Neuron && out.seeds[i][n] != out.seeds[i][0])
                return bad(noise.seed.where.empty() ? "golden.noise.seed" : noise.seed.where,
                           "one register has one seed; expected a number, or advance = "
                           "\"neuron\"");
        }
    }
    return out;
}

std::pair<std::int64_t, std::int64_t> range_of(const Noise& noise) {
    const std::int64_t size = std::int64_t{1} << noise.width;
    const std::int64_t low = noise.is_signed ? -size / 2 : 0;
    const std::int64_t high = noise.is_signed ? size / 2 - 1 : size - 1;
    const std::int64_t scale = std::int64_t{1} << noise.shift;
    return {(low + noise.offset) * scale, (high + noise.offset) * scale};
}

namespace {

/// Builds one update; members are the values that the equations of docs/golden.md name.
class Builder {
public:
    Builder(const Description& d, const Resolved& r, Update update, State& state,
            const ColumnOps& ops)
        : d_(d), r_(r), update_(update), state_(state), b_(ops) {}

    Result<Program> build(const std::vector<Stage>& stages, std::int64_t weight_low,
                          std::int64_t weight_high) {
        zero_ = b_.constant(0);
        y_ = v0_ = ranged(state_.v, d_.v);
        rest_ = b_.per_neuron(r_.rest);
        izhikevich_ = d_.model == Model::Izhikevich;
        if (update_ == Update::Lazy) {
            const Reg active = b_.state(state_.active.data(), -1, 0);
            b_.part("golden.leak");
            const Reg leaked = b_.fit(leak(v0_, d_.leak, r_.leak, zero_, d_.v.is_signed), d_.v);
            b_.store(b_.select(active, leaked, v0_), v0_);
            return b_.finish();
        }
        if (update_ == Update::Event) weight_ = b_.run_input(weight_low, weight_high);
        take_noise();
        resting_ = zero_;
        if (r_.any_refractory) {
            refr_ = b_.state(state_.refr.data(), 0, (std::int64_t{1} << d_.refractory.bits) - 1);
            resting_ = b_.positive(refr_);
        }
        if (izhikevich_) {
            u0_ = ranged(state_.u, d_.izhikevich.u);
            recovery_ = u0_;
        }
        if (d_.adaptation.effect != Effect::None) w0_ = w1_ = ranged(state_.w, d_.adaptation.w);
        find_input();
        adapt();
        pre_leak_ = v0_;
        fires_ = zero_;
        bool moved = false;
        for (const Stage stage : stages) {
            if (stage == Stage::Threshold) {
                threshold();
            } else if (izhikevich_) {
                if (!moved) izhikevich();
                moved = true;
            } else if (stage == Stage::Leak) {
                leak_v();
            } else {
                integrate();
            }
        }
        finish_state();
        return b_.finish();
    }

private:
    Reg ranged(Values& values, const Signal& s) {
        const std::int64_t half = std::int64_t{1} << (s.bits - 1);
        return s.is_signed ? b_.state(values.data(), -half, half - 1)
                           : b_.state(values.data(), 0, 2 * half - 1);
    }

    void take_noise() {
        noise_v_ = noise_input_ = noise_threshold_ = noise_rounding_ = zero_;
        for (const Noise& noise : d_.noise) {
            const auto [low, high] = range_of(noise);
            const Reg value = b_.run_input(low, high);
            switch (noise.use) {
                case NoiseUse::V:
                    noise_v_ = b_.add(noise_v_, value);
                    break;
                case NoiseUse::Input:
                    noise_input_ = b_.add(noise_input_, value);
                    break;
                case NoiseUse::Threshold:
                    noise_threshold_ = b_.add(noise_threshold_, value);
                    break;
                case NoiseUse::Rounding:
                    noise_rounding_ = value;
                    break;
            }
        }
    }

    /// `rule` applied to x, relative to its target. `input` enters where it is inside.
    Reg leak(Reg x, const LeakRule& rule, const Resolved::Leak& values, Reg input, bool is_signed) {
        const Reg target = rule.toward_rest ? rest_ : zero_;
        const Reg from = b_.sub(x, target);
        Reg out = from;
        const LeakForm form = rule.form != LeakForm::Auto       ? rule.form
                              : rule.kind == LeakKind::Multiply ? LeakForm::Keep
                                                                : LeakForm::Subtract;
        // What is shifted or multiplied: x - target, negated for `add`, with the input if inside.
        const bool inside = rule.input == LeakInput::Inside;
        Reg operand = form == LeakForm::Add ? b_.sub(zero_, from) : from;
        if (inside)
            operand = form == LeakForm::Subtract ? b_.sub(operand, input) : b_.add(operand, input);
        const auto combine = [&](Reg part) {
            return form == LeakForm::Keep  ? part
                   : form == LeakForm::Add ? b_.add(from, part)
                                           : b_.sub(from, part);
        };
        switch (rule.kind) {
            case LeakKind::None:
                break;
            case LeakKind::Constant:
                out = rule.past == LeakPast::Stop
                          ? b_.toward_zero(from, b_.per_neuron(values.amount))
                          : b_.sub(from, b_.per_neuron(values.amount));
                break;
            case LeakKind::Shift:
                out = combine(form == LeakForm::Keep ? shifted_keep(operand, values.amount, rule)
                                                     : shifted(operand, values.amount, rule));
                break;
            case LeakKind::TwoShifts: {
                Reg part = shifted(operand, values.amount, rule);
                const Reg second = shifted(operand, values.second, rule);
                part = rule.second_sign == SecondSign::Subtract ? b_.add(part, second)
                                                                : b_.sub(part, second);
                out = combine(part);
                break;
            }
            case LeakKind::Multiply: {
                const Reg product =
                    b_.fit(b_.mul(operand, b_.per_neuron(values.amount)), rule.product);
                out = combine(b_.round(product, rule.frac, rule.rounding, noise_rounding_));
                break;
            }
        }
        return b_.fit(b_.add(out, target), rule.result, is_signed);
    }

    static Values clamped_shifts(const Values& shifts) {
        Values out = shifts;
        for (std::int64_t& s : out) s = std::min<std::int64_t>(s, 60);
        return out;
    }
    Reg shifted_keep(Reg x, const Values& shifts, const LeakRule& rule) {
        return b_.round(x, b_.per_neuron(clamped_shifts(shifts)), rule.rounding, noise_rounding_);
    }
    /// rnd(x, k), and 0 for k = 0, which stands for no leak.
    Reg shifted(Reg x, const Values& shifts, const LeakRule& rule) {
        Values leaks(shifts.size());
        std::ranges::transform(shifts, leaks.begin(),
                               [](std::int64_t k) { return k == 0 ? 0 : -1; });
        const Reg mask = b_.per_neuron(leaks);
        if (mask.is_constant() && mask.low == 0) return zero_;
        return b_.select(mask, shifted_keep(x, shifts, rule), zero_);
    }

    /// i_syn, the CUBA filter and what drives v.
    void find_input() {
        const bool tick = update_ == Update::Tick;
        Reg x = zero_;
        Reg bias = zero_;
        b_.part("golden.input");
        if (tick) {
            const int bits = d_.synapse.bits;
            i_syn_ = b_.state(state_.i_syn.data(), -(std::int64_t{1} << (bits - 1)),
                              (std::int64_t{1} << (bits - 1)) - 1);
            x = i_syn_;
            bias = b_.per_neuron(r_.bias);
            if (d_.bias_into == BiasInto::Input) x = b_.add(x, bias);
        } else {
            x = weight_;
        }
        const Reg input = b_.fit(b_.add(x, noise_input_), d_.input);
        drive_ = input;
        if (r_.any_cuba) {
            b_.part("golden.u");
            const Reg cuba = b_.per_neuron(r_.cuba);
            const Reg u0 = ranged(state_.u, d_.u);
            Reg u1 = u0;
            if (tick) {
                u1 = b_.fit(b_.add(leak(u0, d_.u_leak, r_.u_leak, zero_, d_.u.is_signed), input),
                            d_.u);
            } else {
                u1 = b_.fit(b_.add(u0, input), d_.u);
            }
            u1 = b_.select(cuba, u1, u0);
            const Reg shown = d_.u_drive == When::Next ? u1 : u0;
            const Reg filtered =
                tick ? b_.round(shown, d_.u_shift, d_.u_rounding, noise_rounding_) : zero_;
            drive_ = b_.select(cuba, filtered, drive_);
            stores_.emplace_back(u1, u0);
        }
        b_.part("golden.input");
        if (tick && d_.bias_into == BiasInto::V) drive_ = b_.add(drive_, bias);
        drive_ = b_.add(drive_, noise_v_);
    }

    void adapt() {
        threshold_ = b_.add(b_.per_neuron(r_.threshold), noise_threshold_);
        base_threshold_ = b_.per_neuron(r_.threshold);
        const auto& a = d_.adaptation;
        if (a.effect == Effect::None) return;
        b_.part("golden.adaptation");
        if (update_ == Update::Tick) {
            const Reg coupled = b_.round(b_.mul(b_.sub(v0_, rest_), b_.per_neuron(r_.w_coupling)),
                                         a.coupling_frac, a.rounding, noise_rounding_);
            w1_ = b_.fit(b_.add(leak(w0_, a.leak, r_.w_leak, zero_, a.w.is_signed), coupled), a.w);
        }
        const Reg used = a.use == When::Next ? w1_ : w0_;
        const Reg effect = b_.round(used, a.shift, a.rounding, noise_rounding_);
        if (a.effect == Effect::Threshold)
            threshold_ = b_.add(threshold_, effect);
        else if (update_ == Update::Tick)
            drive_ = b_.sub(drive_, effect);
    }

    bool drops() const { return r_.any_refractory && d_.refractory.during == During::Drop; }
    Reg driven() { return drops() ? b_.select(resting_, zero_, drive_) : drive_; }

    void leak_v() {
        if (d_.leak.when == LeakWhen::Lazy) return;
        b_.part("golden.leak");
        pre_leak_ = y_;
        const Reg leaked = leak(y_, d_.leak, r_.leak, driven(), d_.v.is_signed);
        if (d_.leak.when == LeakWhen::Always) {
            y_ = leaked;
            return;
        }
        Reg quiet = zero_;
        if (d_.leak.when == LeakWhen::WithoutEvent)
            quiet = b_.is_zero(b_.state(state_.seen.data(), 0, std::int64_t{1} << 32));
        else
            quiet = b_.is_zero(update_ == Update::Tick ? i_syn_ : weight_);
        y_ = b_.select(quiet, leaked, y_);
    }

    void integrate() {
        if (d_.leak.input == LeakInput::Inside) return;
        if (update_ == Update::Event && r_.any_cuba) return;  // it went into u
        b_.part("golden.integrate");
        y_ = b_.fit(b_.add(y_, driven()), d_.integrate, d_.v.is_signed);
    }

    Reg product(Reg x, const Product& p, const Values& factors, const char* part) {
        b_.part(fmt::format("golden.izhikevich.{}", part));
        return b_.fit(
            b_.round(b_.mul(x, b_.per_neuron(factors)), p.frac, p.rounding, noise_rounding_),
            p.width);
    }

    /// One step of v's equation.
    Reg izhikevich_v(Reg v) {
        const auto& z = d_.izhikevich;
        Reg sum = zero_;
        if (z.form == IzhForm::Expanded) {
            b_.part("golden.izhikevich.square");
            const Reg square =
                b_.fit(b_.round(b_.mul(v, v), z.square_shift, z.square_rounding, noise_rounding_),
                       z.square);
            sum = b_.add(product(square, z.quadratic, r_.izh_quadratic, "quadratic"),
                         product(v, z.linear, r_.izh_linear, "linear"));
        } else {
            const Reg inner = b_.add(product(v, z.quadratic, r_.izh_quadratic, "quadratic"),
                                     b_.per_neuron(r_.izh_linear));
            b_.part("golden.izhikevich.linear");
            sum = b_.fit(
                b_.round(b_.mul(v, inner), z.linear.frac, z.linear.rounding, noise_rounding_),
                z.linear.width);
        }
        b_.part("golden.izhikevich.sum");
        sum = b_.add(sum, b_.per_neuron(r_.izh_constant));
        sum = b_.fit(b_.add(b_.sub(sum, recovery_), driven()), z.sum);
        b_.part("golden.v");
        return b_.fit(b_.add(v, b_.round(sum, z.dt_shift, z.dt_rounding, noise_rounding_)), d_.v);
    }

    void izhikevich() {
        const auto& z = d_.izhikevich;
        pre_leak_ = y_;
        const Reg before = y_;
        for (int i = 0; i < z.substeps; ++i) y_ = izhikevich_v(y_);
        const Reg bv = product(z.u_from == When::Previous ? before : y_, z.b, r_.izh_b, "b");
        b_.part("golden.izhikevich.difference");
        const Reg difference = b_.fit(b_.sub(bv, recovery_), z.difference);
        const Reg du = product(difference, z.a, r_.izh_a, "a");
        b_.part("golden.izhikevich");
        recovery_ = b_.fit(
            b_.add(recovery_, b_.round(du, z.u_dt_shift, z.dt_rounding, noise_rounding_)), z.u);
    }

    /// v after a spike, from v or from a bound below it.
    Reg reset_of(Reg v, Reg threshold) {
        switch (d_.reset.kind) {
            case ResetKind::Value:
                return b_.per_neuron(r_.reset);
            case ResetKind::Zero:
                return zero_;
            case ResetKind::Rest:
                return rest_;
            case ResetKind::None:
                return v;
            case ResetKind::Subtract:
                break;
        }
        const Reg less = b_.sub(v, threshold);
        const Width& width = d_.reset.result;
        return b_.fit(width.bits == 0 ? less : b_.fit(less, width, d_.v.is_signed), d_.v);
    }

    void threshold() {
        b_.part("golden.v");
        y_ = b_.fit(y_, d_.v);
        b_.part("golden.threshold");
        const auto& t = d_.threshold;
        const Reg reset_by = d_.reset.by == ResetBy::Base ? base_threshold_ : threshold_;
        Reg pending = zero_;
        if (d_.reset.delay) {
            pending = b_.state(state_.pending.data(), -1, 0);
            y_ = b_.select(pending, reset_of(y_, reset_by), y_);
        }
        Reg subject = t.on == ThresholdOn::Next       ? y_
                      : t.on == ThresholdOn::Previous ? v0_
                                                      : b_.fit(pre_leak_, d_.v);
        Reg limit = threshold_;
        if (t.is_unsigned) {
            subject = b_.low_bits(subject, d_.v.bits);
            limit = b_.low_bits(limit, d_.v.bits);
        }
        Reg can = b_.except(spiking(), resting_);
        Reg armed = zero_;
        if (t.hysteresis) {
            armed = b_.state(state_.armed.data(), -1, 0);
            can = b_.both(can, armed);
        }
        fires_ = b_.both(can, t.compare == CompareOp::GreaterEqual ? b_.ge(subject, limit)
                                                                   : b_.gt(subject, limit));
        Reg below = zero_;
        if (t.negative_action != NegativeAction::None) {
            const Reg bound = b_.per_neuron(r_.negative);
            below = t.negative_compare == NegativeCompare::Less ? b_.gt(bound, subject)
                                                                : b_.ge(bound, subject);
            below = b_.except(below, fires_);
        }
        const Reg before = y_;
        if (!d_.reset.delay) y_ = b_.select(fires_, reset_of(before, reset_by), y_);
        switch (t.negative_action) {
            case NegativeAction::None:
                break;
            case NegativeAction::Clamp:
                y_ = b_.select(below, b_.per_neuron(r_.negative), y_);
                break;
            case NegativeAction::Reset:
                y_ = b_.select(below, b_.per_neuron(r_.negative_reset), y_);
                break;
            case NegativeAction::Subtract:
                y_ = b_.select(below, less_negative(before), y_);
                break;
            case NegativeAction::Spike:
                below = b_.both(below, can);
                y_ = b_.select(below,
                               d_.reset.kind == ResetKind::Subtract ? less_negative(before)
                                                                    : reset_of(before, zero_),
                               y_);
                fires_ = b_.either(fires_, below);
                break;
        }
        b_.part("golden.v");
        y_ = b_.fit(y_, d_.v);
        if (d_.reset.delay) {
            // A neuron that is held keeps what it still has to do.
            stores_.emplace_back(b_.either(fires_, held() ? b_.both(resting_, pending) : zero_),
                                 pending);
        }
        if (t.hysteresis) {
            const Reg rearmed = b_.gt(b_.per_neuron(r_.rearm), subject);
            stores_.emplace_back(b_.except(b_.either(armed, rearmed), fires_), armed);
        }
        if (izhikevich_) {
            b_.part("golden.izhikevich.d");
            const Reg from = d_.izhikevich.jump_from == When::Next ? recovery_ : u0_;
            const Reg jumped = b_.fit(b_.add(from, b_.per_neuron(r_.izh_d)), d_.izhikevich.u);
            recovery_ = b_.select(fires_, jumped, recovery_);
        }
        if (d_.adaptation.effect != Effect::None) {
            b_.part("golden.adaptation.jump");
            w1_ = b_.select(fires_, b_.fit(b_.add(w1_, b_.per_neuron(r_.w_jump)), d_.adaptation.w),
                            w1_);
        }
    }

    Reg less_negative(Reg v) {
        const Reg less = b_.sub(v, b_.per_neuron(r_.negative));
        const Width& width = d_.reset.result;
        return b_.fit(width.bits == 0 ? less : b_.fit(less, width, d_.v.is_signed), d_.v);
    }

    bool held() const { return r_.any_refractory && d_.refractory.during == During::Hold; }

    Reg spiking() {
        Values mask(r_.spiking.size());
        std::ranges::transform(r_.spiking, mask.begin(), [](std::int64_t s) { return -s; });
        return b_.per_neuron(mask);
    }

    void finish_state() {
        b_.part("golden.v");
        y_ = b_.fit(y_, d_.v);
        if (held()) {
            y_ = b_.select(resting_, v0_, y_);
            if (izhikevich_) recovery_ = b_.select(resting_, u0_, recovery_);
        }
        if (r_.any_refractory) {
            Reg left = refr_;
            if (update_ == Update::Tick) left = b_.add(refr_, resting_);  // one less, not below 0
            left = b_.select(fires_, b_.per_neuron(r_.refractory), left);
            stores_.emplace_back(left, refr_);
        }
        stores_.emplace_back(y_, v0_);
        if (izhikevich_) stores_.emplace_back(recovery_, u0_);
        if (d_.adaptation.effect != Effect::None) stores_.emplace_back(w1_, w0_);
        stores_.emplace_back(fires_, b_.state(state_.fired.data(), -1, 0));
        for (const auto& [value, to] : stores_) b_.store(value, to);
    }

    const Description& d_;
    const Resolved& r_;
    Update update_;
    State& state_;
    ProgramBuilder b_;
    bool izhikevich_ = false;
    Reg zero_, rest_, v0_, y_, u0_, recovery_, w0_, w1_, refr_, resting_, weight_, i_syn_, drive_;
    Reg noise_v_, noise_input_, noise_threshold_, noise_rounding_;
    Reg threshold_, base_threshold_, pre_leak_, fires_;
    std::vector<std::pair<Reg, Reg>> stores_;  ///< what, where; at the end
};

}  // namespace

Result<Program> build_update(const Description& description, const Resolved& resolved,
                             Update update, const std::vector<Stage>& stages, State& state,
                             std::int64_t weight_low, std::int64_t weight_high,
                             const ColumnOps& ops) {
    Builder builder(description, resolved, update, state, ops);
    return builder.build(stages, weight_low, weight_high);
}

}  // namespace spikelock::golden::detail

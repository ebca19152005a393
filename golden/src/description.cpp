// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/description.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>
#include <type_traits>

#include "spikelock/base/text.hpp"

namespace spikelock::golden {
namespace {

constexpr std::int64_t kLargest = std::int64_t{1} << 48;  ///< of any number in a description
constexpr std::size_t kMostNoise = 8;

// The names of each enumeration, in the order of its enumerators.
template <typename E>
constexpr std::string_view kNames = {};
#define SPIKELOCK_NAMES(Enum, ...) \
    template <>                    \
    constexpr std::string_view kNames<Enum>[] = {__VA_ARGS__}
SPIKELOCK_NAMES(Round, "floor", "toward_zero", "away_from_zero", "nearest_even", "up", "half_up",
                "half_away", "stochastic");
SPIKELOCK_NAMES(LeakKind, "none", "constant", "shift", "two_shifts", "multiply");
SPIKELOCK_NAMES(LeakForm, "auto", "keep", "subtract", "add");
SPIKELOCK_NAMES(LeakPast, "stop", "continue");
SPIKELOCK_NAMES(LeakWhen, "always", "without_input", "without_event", "lazy");
SPIKELOCK_NAMES(LeakInput, "apart", "inside");
SPIKELOCK_NAMES(SecondSign, "subtract", "add");
SPIKELOCK_NAMES(Semantics, "timestep", "event");
SPIKELOCK_NAMES(Model, "network", "if", "lif", "cuba_lif", "li", "adaptive_lif", "izhikevich");
SPIKELOCK_NAMES(Stage, "leak", "integrate", "threshold");
SPIKELOCK_NAMES(Filter, "network", "none", "all");
SPIKELOCK_NAMES(When, "next", "previous");
SPIKELOCK_NAMES(BiasInto, "input", "v");
SPIKELOCK_NAMES(CompareOp, ">=", ">");
SPIKELOCK_NAMES(NegativeCompare, "<", "<=");
SPIKELOCK_NAMES(ThresholdOn, "next", "previous", "pre_leak");
SPIKELOCK_NAMES(NegativeAction, "none", "clamp", "reset", "subtract", "spike");
SPIKELOCK_NAMES(ResetKind, "value", "subtract", "zero", "rest", "none");
SPIKELOCK_NAMES(ResetBy, "effective", "base");
SPIKELOCK_NAMES(During, "hold", "drop", "accumulate");
SPIKELOCK_NAMES(FitWhen, "each", "sum");
SPIKELOCK_NAMES(Duplicates, "delivered", "merged", "counted");
SPIKELOCK_NAMES(Effect, "none", "current", "threshold");
SPIKELOCK_NAMES(IzhForm, "expanded", "horner");
SPIKELOCK_NAMES(LfsrForm, "fibonacci", "galois");
SPIKELOCK_NAMES(Direction, "left", "right");
SPIKELOCK_NAMES(Advance, "event", "update", "neuron", "timestep");
SPIKELOCK_NAMES(Read, "before", "after");
SPIKELOCK_NAMES(NoiseUse, "v", "input", "threshold", "rounding");
SPIKELOCK_NAMES(TickAt, "after_drain", "after_inputs", "first");
SPIKELOCK_NAMES(AfterTick, "drain", "next");
SPIKELOCK_NAMES(Updates, "reached", "all");
SPIKELOCK_NAMES(FifoPop, "start", "end");
SPIKELOCK_NAMES(FifoOrder, "fifo", "any");
SPIKELOCK_NAMES(Shown, "fired", "accepted", "taken");
#undef SPIKELOCK_NAMES

/// Joins a table's name and a key's.
std::string key_of(const std::string& table, std::string_view key) {
    return table.empty() ? std::string(key) : table + "." + std::string(key);
}

// Each part of a description is told once, as a visit of its members with their keys (and, for
// integers, bounds); setting, listing and printing follow it.

template <typename S, typename F>
void visit_signal(S& s, const std::string& t, const F& f) {
    f(key_of(t, "bits"), s.bits, 2, 48);
    f(key_of(t, "signed"), s.is_signed);
    f(key_of(t, "frac"), s.frac, -64, 64);
    f(key_of(t, "overflow"), s.overflow);
}

template <typename W, typename F>
void visit_width(W& w, const std::string& bits, const std::string& overflow, const F& f) {
    f(bits, w.bits, 0, 62);
    f(overflow, w.overflow);
}

template <typename L, typename F>
void visit_leak(L& l, const std::string& t, const F& f) {
    f(key_of(t, "kind"), l.kind);
    f(key_of(t, "form"), l.form);
    f(key_of(t, "amount"), l.amount);
    f(key_of(t, "second"), l.second);
    f(key_of(t, "second_sign"), l.second_sign);
    f(key_of(t, "frac"), l.frac, 0, 31);
    f(key_of(t, "rounding"), l.rounding);
    f(key_of(t, "toward_rest"), l.toward_rest);
    f(key_of(t, "past"), l.past);
    f(key_of(t, "when"), l.when);
    f(key_of(t, "input"), l.input);
    visit_width(l.product, key_of(t, "product_bits"), key_of(t, "product_overflow"), f);
    visit_width(l.result, key_of(t, "bits"), key_of(t, "overflow"), f);
    f(key_of(t, "dt_bits"), l.dt_bits, 1, 10);
}

template <typename P, typename F>
void visit_product(P& p, const std::string& t, const F& f) {
    f(key_of(t, "factor"), p.factor);
    f(key_of(t, "frac"), p.frac, 0, 40);
    f(key_of(t, "rounding"), p.rounding);
    visit_width(p.width, key_of(t, "bits"), key_of(t, "overflow"), f);
}

template <typename N, typename F>
void visit_noise(N& n, const std::string& t, const F& f) {
    f(key_of(t, "name"), n.name);
    f(key_of(t, "bits"), n.bits, 2, 32);
    f(key_of(t, "taps"), n.taps, 1, 0xffffffff);
    f(key_of(t, "form"), n.form);
    f(key_of(t, "direction"), n.direction);
    f(key_of(t, "xnor"), n.xnor);
    f(key_of(t, "seed"), n.seed);
    f(key_of(t, "shifts"), n.shifts, 1, 64);
    f(key_of(t, "advance"), n.advance);
    f(key_of(t, "read"), n.read);
    f(key_of(t, "lsb"), n.lsb, 0, 31);
    f(key_of(t, "width"), n.width, 1, 32);
    f(key_of(t, "signed"), n.is_signed);
    f(key_of(t, "offset"), n.offset, -0x7fffffff, 0x7fffffff);
    f(key_of(t, "shift"), n.shift, 0, 31);
    f(key_of(t, "use"), n.use);
    f(key_of(t, "seed_on_clear"), n.seed_on_clear);
}

template <typename D, typename F>
void visit(D& d, const F& f) {
    f("semantics", d.semantics);
    f("order", d.order);
    f("on_event", d.on_event);
    f("on_tick", d.on_tick);
    f("rest", d.rest);
    visit_signal(d.v, "v", f);
    f("v.init", d.v_init);
    visit_leak(d.leak, "leak", f);
    visit_width(d.integrate, "integrate.bits", "integrate.overflow", f);
    visit_width(d.input, "input.bits", "input.overflow", f);
    f("input.bias", d.bias);
    f("input.bias_into", d.bias_into);
    f("u.filter", d.filter);
    visit_signal(d.u, "u", f);
    visit_leak(d.u_leak, "u.leak", f);
    f("u.shift", d.u_shift, 0, 31);
    f("u.rounding", d.u_rounding);
    f("u.drive", d.u_drive);
    auto& th = d.threshold;
    f("threshold.value", th.value);
    f("threshold.compare", th.compare);
    f("threshold.unsigned", th.is_unsigned);
    f("threshold.on", th.on);
    f("threshold.hysteresis", th.hysteresis);
    f("threshold.rearm", th.rearm);
    f("threshold.negative_action", th.negative_action);
    f("threshold.negative_compare", th.negative_compare);
    f("threshold.negative", th.negative);
    f("threshold.negative_reset", th.negative_reset);
    f("reset.kind", d.reset.kind);
    f("reset.value", d.reset.value);
    f("reset.by", d.reset.by);
    f("reset.delay", d.reset.delay);
    visit_width(d.reset.result, "reset.bits", "reset.overflow", f);
    f("refractory.steps", d.refractory.steps);
    f("refractory.bits", d.refractory.bits, 1, 16);
    f("refractory.during", d.refractory.during);
    auto& s = d.synapse;
    f("synapse.bits", s.bits, 2, 48);
    f("synapse.overflow", s.overflow);
    f("synapse.fit", s.fit);
    f("synapse.weight_shift", s.weight_shift, -15, 15);
    f("synapse.rounding", s.rounding);
    f("synapse.duplicates", s.duplicates);
    f("synapse.graded", s.graded);
    f("synapse.weights_unsigned", s.weights_unsigned);
    f("synapse.types", s.types);
    f("synapse.weights", s.weights);
    f("output.spiking", d.output.spiking);
    f("output.masked", d.output.masked);
    f("output.masked_delivers", d.output.masked_delivers);
    auto& w = d.adaptation;
    f("adaptation.effect", w.effect);
    visit_signal(w.w, "adaptation", f);
    f("adaptation.init", w.init);
    visit_leak(w.leak, "adaptation.leak", f);
    f("adaptation.jump", w.jump);
    f("adaptation.coupling", w.coupling);
    f("adaptation.coupling_frac", w.coupling_frac, 0, 31);
    f("adaptation.shift", w.shift, 0, 31);
    f("adaptation.rounding", w.rounding);
    f("adaptation.use", w.use);
    auto& z = d.izhikevich;
    f("izhikevich.form", z.form);
    visit_signal(z.u, "izhikevich", f);
    f("izhikevich.init", z.u_init);
    f("izhikevich.square_shift", z.square_shift, 0, 40);
    f("izhikevich.square_rounding", z.square_rounding);
    visit_width(z.square, "izhikevich.square_bits", "izhikevich.square_overflow", f);
    visit_product(z.quadratic, "izhikevich.quadratic", f);
    visit_product(z.linear, "izhikevich.linear", f);
    f("izhikevich.constant", z.constant);
    visit_width(z.sum, "izhikevich.sum_bits", "izhikevich.sum_overflow", f);
    f("izhikevich.dt_shift", z.dt_shift, 0, 40);
    f("izhikevich.dt_rounding", z.dt_rounding);
    f("izhikevich.u_dt_shift", z.u_dt_shift, 0, 40);
    f("izhikevich.substeps", z.substeps, 1, 8);
    visit_product(z.a, "izhikevich.a", f);
    visit_product(z.b, "izhikevich.b", f);
    visit_width(z.difference, "izhikevich.difference_bits", "izhikevich.difference_overflow", f);
    f("izhikevich.d", z.d);
    f("izhikevich.u_from", z.u_from);
    f("izhikevich.jump_from", z.jump_from);
    auto& e = d.event;
    f("event.closed_loop", e.closed_loop);
    f("event.fifo_depth", e.fifo_depth, 0, 1000000);
    f("event.fifo_pop", e.fifo_pop);
    f("event.fifo_order", e.fifo_order);
    f("event.output", e.output);
    f("event.tick", e.tick);
    f("event.after_tick", e.after_tick);
    f("event.updates", e.updates);
    f("event.limit", e.limit, 1, kLargest);
}

Error bad(const Setting& at, const std::string& key, std::string message) {
    return Error{Errc::BadConfig, std::move(message),
                 at.where.empty() ? key : at.where + ": golden." + key};
}

std::string kind_of(const Setting& s) {
    static constexpr std::string_view kKinds[] = {"nothing",  "true or false", "an integer",
                                                  "a string", "a list",        "a table"};
    return std::string(kKinds[s.value.index()]);
}

/// Puts a Setting into a member of any of the types that a description has.
struct Put {
    const Setting& s;
    const std::string& key;

    Status wrong(std::string_view expected) const {
        return bad(s, key, fmt::format("expected {}, got {}", expected, kind_of(s)));
    }
    Status operator()(bool& to) const {
        const bool* const value = std::get_if<bool>(&s.value);
        if (value == nullptr) return wrong("true or false");
        to = *value;
        return {};
    }
    Status operator()(std::string& to) const {
        const std::string* const value = std::get_if<std::string>(&s.value);
        if (value == nullptr) return wrong("a string");
        to = *value;
        return {};
    }
    template <typename T>
    Status integer(T& to, std::int64_t low, std::int64_t high) const {
        const std::int64_t* const value = std::get_if<std::int64_t>(&s.value);
        if (value == nullptr) return wrong("an integer");
        if (*value < low || *value > high)
            return bad(s, key, fmt::format("expected {}..{}, got {}", low, high, *value));
        to = static_cast<T>(*value);
        return {};
    }
    template <typename E>
    Status operator()(E& to) const
        requires std::is_enum_v<E>
    {
        const std::string* const value = std::get_if<std::string>(&s.value);
        std::vector<std::string> names(std::begin(kNames<E>), std::end(kNames<E>));
        if (value == nullptr) return wrong(fmt::format("one of '{}'", fmt::join(names, "', '")));
        const auto found = std::ranges::find(names, *value);
        if (found == names.end())
            return bad(s, key,
                       fmt::format("expected one of '{}', got '{}'{}", fmt::join(names, "', '"),
                                   *value, did_you_mean(*value, names)));
        to = static_cast<E>(found - names.begin());
        return {};
    }
    Status operator()(std::vector<Stage>& to) const {
        const auto* const list = std::get_if<std::vector<Setting>>(&s.value);
        if (list == nullptr) return wrong("a list of 'leak', 'integrate', 'threshold'");
        to.clear();
        for (const Setting& item : *list) {
            Stage stage = Stage::Leak;
            if (Status put = Put{item, key}(stage); !put) return put;
            if (std::ranges::find(to, stage) != to.end())
                return bad(item, key, "a stage stands here twice");
            to.push_back(stage);
        }
        return {};
    }
    Status operator()(OverflowRule& to) const {
        if (const auto* const name = std::get_if<std::string>(&s.value)) {
            static const std::vector<std::string> kRules{"wrap", "saturate", "clamp_zero"};
            if (*name == "wrap") {
                to = OverflowRule::wrap();
            } else if (*name == "saturate") {
                to = OverflowRule{};
            } else if (*name == "clamp_zero") {
                to = {Edge::At, Edge::Saturate, 0, 0};
            } else {
                return bad(s, key,
                           fmt::format("expected 'wrap', 'saturate', 'clamp_zero' or {{low = ..., "
                                       "high = ...}}, got '{}'{}",
                                       *name, did_you_mean(*name, kRules)));
            }
            return {};
        }
        const auto* const table = std::get_if<Setting::Table>(&s.value);
        if (table == nullptr)
            return wrong("'wrap', 'saturate', 'clamp_zero' or {low = ..., high = ...}");
        to = OverflowRule{};
        for (const auto& [side, value] : *table) {
            if (side != "low" && side != "high")
                return bad(value, key, fmt::format("expected 'low' and 'high', got '{}'", side));
            Edge& edge = side == "low" ? to.low : to.high;
            std::int64_t& at = side == "low" ? to.low_at : to.high_at;
            const auto* const name = std::get_if<std::string>(&value.value);
            if (name != nullptr && *name == "wrap") {
                edge = Edge::Wrap;
            } else if (name != nullptr && *name == "saturate") {
                edge = Edge::Saturate;
            } else if (name != nullptr) {
                return bad(value, key,
                           fmt::format("expected 'wrap', 'saturate' or a bound, got '{}'", *name));
            } else {
                edge = Edge::At;
                if (Status put = Put{value, key}.integer(at, -kLargest, kLargest); !put) return put;
            }
        }
        return {};
    }
    Status operator()(Param& to) const {
        Param param;
        param.where = s.where.empty() ? key : s.where + ": golden." + key;
        const auto* const name = std::get_if<std::string>(&s.value);
        if (name != nullptr && *name == "network") {
            param.from = Param::From::Network;
            param.values.clear();
        } else if (const auto* const list = std::get_if<std::vector<Setting>>(&s.value)) {
            param.from = Param::From::Neurons;
            param.values.clear();
            for (const Setting& item : *list) {
                std::int64_t value = 0;
                if (Status put = Put{item, key}.integer(value, -kLargest, kLargest); !put)
                    return put;
                param.values.push_back(value);
            }
            if (param.values.empty()) return bad(s, key, "expected a number for each neuron");
        } else if (const auto* const table = std::get_if<Setting::Table>(&s.value)) {
            param.from = Param::From::Populations;
            param.values.clear();
            for (const auto& [label, item] : *table) {
                std::int64_t value = 0;
                if (Status put = Put{item, key}.integer(value, -kLargest, kLargest); !put)
                    return put;
                param.by_population.emplace_back(label, value);
            }
        } else if (std::holds_alternative<std::int64_t>(s.value)) {
            if (Status put = integer(param.values.front(), -kLargest, kLargest); !put) return put;
        } else {
            return wrong(
                "an integer, a list with one for each neuron, a table with one for each "
                "population, or \"network\"");
        }
        to = std::move(param);
        return {};
    }
    Status operator()(std::vector<std::int64_t>& to) const {
        const auto* const list = std::get_if<std::vector<Setting>>(&s.value);
        if (list == nullptr) return wrong("a list of integers");
        to.clear();
        for (const Setting& item : *list) {
            std::int64_t value = 0;
            if (Status put = Put{item, key}.integer(value, 0, 255); !put) return put;
            to.push_back(value);
        }
        return {};
    }
    Status operator()(std::vector<Param>& to) const {
        const auto* const list = std::get_if<std::vector<Setting>>(&s.value);
        if (list == nullptr) return wrong("a list with a weight for each type");
        to.clear();
        for (const Setting& item : *list) {
            Param param;
            if (Status put = Put{item, key}(param); !put) return put;
            if (param.from == Param::From::Network)
                return bad(item, key, "the network has no weights by type");
            to.push_back(std::move(param));
        }
        if (to.size() > 256) return bad(s, key, "expected at most 256 types");
        return {};
    }
    Status operator()(std::vector<Noise>& to) const;
};

/// A key with how a value gets behind it.
struct Entry {
    std::string key;
    std::function<Status(const Setting&)> put;
};

/// Collects entries from a visit.
struct Collect {
    std::vector<Entry>* entries;

    template <typename T>
    void operator()(const std::string& key, T& member, std::int64_t low, std::int64_t high) const {
        entries->push_back({key, [key, &member, low, high](const Setting& s) {
                                return Put{s, key}.integer(member, low, high);
                            }});
    }
    template <typename T>
    void operator()(const std::string& key, T& member) const {
        entries->push_back({key, [key, &member](const Setting& s) { return Put{s, key}(member); }});
    }
};

bool is_group(const std::vector<Entry>& entries, const std::string& key) {
    return std::ranges::any_of(entries,
                               [&](const Entry& e) { return e.key.starts_with(key + "."); });
}

/// Puts all of a table whose keys stand below `prefix`.
Status put_all(const Setting& table, const std::string& prefix, const std::vector<Entry>& entries,
               std::span<const std::string_view> done) {
    for (const auto& [name, value] : std::get<Setting::Table>(table.value)) {
        const std::string key = key_of(prefix, name);
        if (std::ranges::find(done, key) != done.end()) continue;
        const auto found = std::ranges::find(entries, key, &Entry::key);
        if (found != entries.end()) {
            if (Status put = found->put(value); !put) return put;
            continue;
        }
        if (is_group(entries, key)) {
            if (!std::holds_alternative<Setting::Table>(value.value))
                return bad(value, key, "expected a table, got " + kind_of(value));
            if (Status put = put_all(value, key, entries, done); !put) return put;
            continue;
        }
        std::vector<std::string> known(done.begin(), done.end());
        for (const Entry& e : entries) {
            if (!e.key.starts_with(prefix)) continue;
            std::string rest = e.key.substr(prefix.empty() ? 0 : prefix.size() + 1);
            rest = rest.substr(0, rest.find('.'));
            if (std::ranges::find(known, rest) == known.end()) known.push_back(std::move(rest));
        }
        Error error =
            bad(value, key,
                fmt::format("unknown key '{}' in [golden{}{}]{}", name, prefix.empty() ? "" : ".",
                            prefix, did_you_mean(name, known)));
        return error;
    }
    return {};
}

Status Put::operator()(std::vector<Noise>& to) const {
    std::vector<Setting> one;
    const auto* list = std::get_if<std::vector<Setting>>(&s.value);
    if (std::holds_alternative<Setting::Table>(s.value)) {
        one.push_back(s);
        list = &one;
    }
    if (list == nullptr) return wrong("[[golden.noise]] entries");
    if (list->size() > kMostNoise)
        return bad(s, key, fmt::format("expected at most {} entries", kMostNoise));
    to.clear();
    for (const Setting& item : *list) {
        if (!std::holds_alternative<Setting::Table>(item.value))
            return bad(item, key, "expected [[golden.noise]] entries, got " + kind_of(item));
        Noise noise;
        std::vector<Entry> entries;
        visit_noise(noise, "noise", Collect{&entries});
        if (Status put = put_all(item, "noise", entries, {}); !put) return put;
        if (noise.taps == 0)
            return bad(item, key, "missing key 'taps', e.g. taps = 0xb400: bit i is cell i");
        if (noise.bits < 64 && (noise.taps >> noise.bits) != 0)
            return bad(item, key, fmt::format("'taps' has cells beyond the {} bits", noise.bits));
        if (noise.lsb + noise.width > noise.bits)
            return bad(item, key,
                       fmt::format("bits {}..{} are beyond the register's {}", noise.lsb,
                                   noise.lsb + noise.width - 1, noise.bits));
        to.push_back(std::move(noise));
    }
    return {};
}

/// What `model` says, before the other keys.
void apply_model(Model model, Description& d) {
    d.model = model;
    d.filter = model == Model::CubaLif ? Filter::All : Filter::None;
    d.output.spiking = model == Model::Li ? Param::scalar(0) : Param::network();
    switch (model) {
        case Model::Network:
            d.filter = Filter::Network;
            break;
        case Model::If:
            d.leak.kind = LeakKind::None;
            break;
        case Model::AdaptiveLif:
            if (d.adaptation.effect == Effect::None) d.adaptation.effect = Effect::Threshold;
            break;
        case Model::Lif:
        case Model::CubaLif:
        case Model::Li:
        case Model::Izhikevich:
            break;
    }
}

const Setting* find(const Setting& table, std::string_view key) {
    for (const auto& [name, value] : std::get<Setting::Table>(table.value))
        if (name == key) return &value;
    return nullptr;
}

std::string quoted(std::string_view text) { return fmt::format("\"{}\"", text); }

// Values as TOML.
std::string print(bool value) { return value ? "true" : "false"; }
std::string print(const std::string& value) { return quoted(value); }
template <typename T>
std::string print(T value)
    requires std::is_integral_v<T>
{
    return std::to_string(value);
}
template <typename E>
std::string print(E value)
    requires std::is_enum_v<E>
{
    return quoted(kNames<E>[static_cast<std::size_t>(value)]);
}
std::string print(const OverflowRule& rule) {
    if (rule == OverflowRule::wrap()) return quoted("wrap");
    if (rule == OverflowRule{}) return quoted("saturate");
    const auto side = [](Edge edge, std::int64_t at) {
        return edge == Edge::At ? std::to_string(at)
                                : quoted(edge == Edge::Wrap ? "wrap" : "saturate");
    };
    return fmt::format("{{low = {}, high = {}}}", side(rule.low, rule.low_at),
                       side(rule.high, rule.high_at));
}
std::string print(const Param& param) {
    switch (param.from) {
        case Param::From::Network:
            return quoted("network");
        case Param::From::Scalar:
            return std::to_string(param.values.front());
        case Param::From::Neurons:
            return fmt::format("[{}]", fmt::join(param.values, ", "));
        case Param::From::Populations: {
            std::vector<std::string> items;
            for (const auto& [label, value] : param.by_population)
                items.push_back(fmt::format("{} = {}", quoted(label), value));
            return fmt::format("{{{}}}", fmt::join(items, ", "));
        }
    }
    return {};
}
template <typename T>
std::string print(const std::vector<T>& values) {
    std::vector<std::string> items;
    for (const T& value : values) items.push_back(print(value));
    return fmt::format("[{}]", fmt::join(items, ", "));
}

/// Prints what a visit meets as "key = value" pairs.
struct Print {
    std::vector<std::pair<std::string, std::string>>* lines;
    template <typename T, typename... Bounds>
    void operator()(const std::string& key, const T& member, Bounds... /*bounds*/) const {
        lines->emplace_back(key, print(member));
    }
};

std::vector<std::pair<std::string, std::string>> print_all(const Description& d) {
    std::vector<std::pair<std::string, std::string>> lines;
    lines.emplace_back("model", print(d.model));
    visit(d, Print{&lines});
    return lines;
}

std::string print_noise(const Noise& noise) {
    std::vector<std::pair<std::string, std::string>> lines;
    std::vector<std::pair<std::string, std::string>> defaults;
    visit_noise(noise, "", Print{&lines});
    const Noise plain;
    visit_noise(plain, "", Print{&defaults});
    std::vector<std::string> items;
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (lines[i] != defaults[i])
            items.push_back(fmt::format("{} = {}", lines[i].first, lines[i].second));
    return fmt::format("{{{}}}", fmt::join(items, ", "));
}

std::string print_list(const std::vector<Noise>& noise) {
    std::vector<std::string> items;
    for (const Noise& n : noise) items.push_back(print_noise(n));
    return fmt::format("[{}]", fmt::join(items, ", "));
}

Round round_of(Rounding rounding) {
    switch (rounding) {
        case Rounding::Floor:
            return Round::Floor;
        case Rounding::TowardZero:
            return Round::TowardZero;
        case Rounding::AwayFromZero:
            return Round::AwayFromZero;
        case Rounding::NearestEven:
            return Round::NearestEven;
    }
    return Round::Floor;
}

OverflowRule rule_of(Overflow overflow) {
    return overflow == Overflow::Wrap ? OverflowRule::wrap() : OverflowRule{};
}

}  // namespace

Description describe(const Network& network) {
    const Arithmetic& a = network.arithmetic;
    Description d;
    d.v = {a.v_bits, true, a.v_frac, rule_of(a.v_overflow)};
    d.leak.kind = a.leak_mode == LeakMode::Shift ? LeakKind::Shift : LeakKind::Multiply;
    d.leak.frac = a.leak_frac;
    d.leak.rounding = round_of(a.rounding);
    d.u = {a.u_bits, true, a.v_frac + a.u_shift, rule_of(a.v_overflow)};
    d.u_leak = d.leak;
    d.u_shift = a.u_shift;
    d.u_rounding = round_of(a.rounding);
    d.threshold.compare =
        a.compare == Compare::Greater ? CompareOp::Greater : CompareOp::GreaterEqual;
    d.reset.kind = a.reset_mode == ResetMode::Value ? ResetKind::Value : ResetKind::Subtract;
    d.refractory.bits = a.refr_bits;
    d.synapse.bits = a.acc_bits;
    d.synapse.overflow = rule_of(a.acc_overflow);
    d.synapse.weight_shift = a.weight_shift;
    // Parts that a network's Arithmetic does not have.
    d.adaptation.leak.amount = Param::scalar(0);
    return d;
}

Status apply(const Setting& table, Description& description) {
    if (!std::holds_alternative<Setting::Table>(table.value))
        return bad(table, "", "expected a table, got " + kind_of(table));
    Description d = description;
    if (const Setting* const preset = find(table, "preset")) {
        std::string name;
        if (Status put = Put{*preset, "preset"}(name); !put) return put;
        std::vector<std::string> names;
        const Preset* found = nullptr;
        for (const Preset& p : presets()) {
            names.emplace_back(p.name);
            if (p.name == name) found = &p;
        }
        if (found == nullptr)
            return bad(*preset, "preset",
                       fmt::format("expected one of '{}', got '{}'{}", fmt::join(names, "', '"),
                                   name, did_you_mean(name, names)));
        Result<Setting> settings = settings_from_text(found->toml);
        if (!settings) return settings.error();
        if (Status put = apply(*settings, d); !put) return put;
        d.preset = name;
    }
    if (const Setting* const model = find(table, "model")) {
        Model value = Model::Network;
        if (Status put = Put{*model, "model"}(value); !put) return put;
        apply_model(value, d);
    }
    std::vector<Entry> entries;
    visit(d, Collect{&entries});
    entries.push_back({"noise", [&](const Setting& s) { return Put{s, "noise"}(d.noise); }});
    static constexpr std::string_view kDone[] = {"preset", "model"};
    if (Status put = put_all(table, "", entries, kDone); !put) return put;
    description = std::move(d);
    return {};
}

std::vector<std::string> description_keys() {
    Description d;
    std::vector<Entry> entries;
    visit(d, Collect{&entries});
    std::vector<std::string> keys{"preset", "model"};
    for (const Entry& e : entries) keys.push_back(e.key);
    Noise noise;
    entries.clear();
    visit_noise(noise, "noise", Collect{&entries});
    for (const Entry& e : entries) keys.push_back(e.key);
    return keys;
}

std::string to_toml(const Description& description) {
    const auto lines = print_all(description);
    const auto defaults = print_all(describe(Network{}));
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (lines[i] != defaults[i])
            out += fmt::format("{} = {}\n", lines[i].first, lines[i].second);
    if (!description.noise.empty())
        out += fmt::format("noise = {}\n", print_list(description.noise));
    return out;
}

std::string value_text(const Description& description, std::string_view key) {
    if (key == "noise") return print_list(description.noise);
    for (auto& [name, value] : print_all(description))
        if (name == key) return value;
    return {};
}

}  // namespace spikelock::golden

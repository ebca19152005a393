// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

namespace spikelock::golden {
namespace {

Error bad(std::string where, std::string message) {
    return Error{Errc::BadConfig, std::move(message), std::move(where)};
}

/// Error for a value outside lowest..highest.
template <typename Value>
Error outside(std::string where, std::string_view name, Value value, std::int64_t lowest,
              std::int64_t highest) {
    return bad(std::move(where),
               fmt::format("{} is {}, expected {}..{}", name, value, lowest, highest));
}

struct Bound {
    const char* name;
    int value;
    int lowest;
    int highest;
};

Status check_arithmetic(const Arithmetic& a) {
    const Bound bounds[] = {
        {"v_bits", a.v_bits, 2, 32},
        {"u_bits", a.u_bits, 2, 32},
        {"acc_bits", a.acc_bits, 2, 32},
        {"weight_bits", a.weight_bits, 2, 16},
        {"leak_frac", a.leak_frac, 1, 16},
        {"refr_bits", a.refr_bits, 1, 8},
        {"delay_slots", a.delay_slots, 2, 64},
        {"v_frac", a.v_frac, -1000, 1000},
        {"weight_shift", a.weight_shift, 0, 15},
        {"u_shift", a.u_shift, 0, 15},
        {"leak_mode", static_cast<int>(a.leak_mode), 0, 1},
        {"rounding", static_cast<int>(a.rounding), 0, 3},
        {"v_overflow", static_cast<int>(a.v_overflow), 0, 1},
        {"acc_overflow", static_cast<int>(a.acc_overflow), 0, 1},
        {"compare", static_cast<int>(a.compare), 0, 1},
        {"reset_mode", static_cast<int>(a.reset_mode), 0, 1},
    };
    for (const Bound& b : bounds) {
        if (b.value < b.lowest || b.value > b.highest)
            return outside("arithmetic", b.name, b.value, b.lowest, b.highest);
    }
    if (!std::has_single_bit(static_cast<unsigned>(a.delay_slots)))
        return bad("arithmetic",
                   fmt::format("delay_slots is {}, expected a power of two", a.delay_slots));
    return {};
}

/// Ports and populations: labelled ranges that follow each other from 0 to `end`.
template <typename Range>
Status check_cover(std::string_view what, const std::vector<Range>& ranges, std::uint32_t end) {
    std::set<std::string_view> labels;
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const Range& range = ranges[i];
        const std::string where = fmt::format("{} {} '{}'", what, i, range.label);
        if (range.begin != next)
            return bad(where, fmt::format("begins at {}, expected {}", range.begin, next));
        if (range.end < range.begin)
            return bad(where,
                       fmt::format("ends at {}, before its begin {}", range.end, range.begin));
        if (!labels.insert(range.label).second) return bad(where, "label is used twice");
        next = range.end;
    }
    if (next != end)
        return bad(std::string(what) + "s",
                   fmt::format("cover 0..{}, expected 0..{}", static_cast<std::int64_t>(next) - 1,
                               static_cast<std::int64_t>(end) - 1));
    return {};
}

Status check_neuron(const NeuronParams& p, const Arithmetic& a, std::size_t index) {
    const std::int64_t v_limit = std::int64_t{1} << (a.v_bits - 1);
    const std::int64_t leak_limit = (std::int64_t{1} << (a.leak_frac + 1)) - 1;
    const std::int64_t refr_limit = (std::int64_t{1} << a.refr_bits) - 1;
    const struct {
        const char* name;
        std::int64_t value, lowest, highest;
    } bounds[] = {
        {"threshold", p.threshold, -v_limit, v_limit - 1},
        {"v_reset", p.v_reset, -v_limit, v_limit - 1},
        {"v_init", p.v_init, -v_limit, v_limit - 1},
        {"bias", p.bias, -v_limit, v_limit - 1},
        {"leak", p.leak, 0, leak_limit},
        {"u_decay", p.u_decay, 0, leak_limit},
        {"refractory", p.refractory, 0, refr_limit},
    };
    for (const auto& b : bounds) {
        if (b.value < b.lowest || b.value > b.highest)
            return outside(fmt::format("neuron {}", index), b.name, b.value, b.lowest, b.highest);
    }
    return {};
}

Status check_rows(const Network& net) {
    const std::uint32_t axons = net.n_axons();
    const std::uint32_t neurons = net.n_neurons();
    const std::size_t rows = std::size_t{axons} + neurons;
    if (net.row_begin.size() != rows + 1)
        return bad("row_begin", fmt::format("has {} elements, expected {} (axons + neurons + 1)",
                                            net.row_begin.size(), rows + 1));
    if (net.row_begin.front() != 0)
        return bad("row_begin[0]", fmt::format("is {}, expected 0", net.row_begin.front()));
    for (std::size_t row = 0; row < rows; ++row) {
        if (net.row_begin[row + 1] < net.row_begin[row])
            return bad(fmt::format("row_begin[{}]", row + 1),
                       fmt::format("is {}, below {} before it", net.row_begin[row + 1],
                                   net.row_begin[row]));
    }
    if (net.row_begin.back() != net.synapses.size())
        return bad(fmt::format("row_begin[{}]", rows),
                   fmt::format("is {}, expected the number of synapses {}", net.row_begin.back(),
                               net.synapses.size()));
    const std::int32_t weight_limit = 1 << (net.arithmetic.weight_bits - 1);
    for (std::size_t row = 0; row < rows; ++row) {
        for (std::uint32_t i = net.row_begin[row]; i < net.row_begin[row + 1]; ++i) {
            const Synapse& s = net.synapses[i];
            const auto where = [&] {
                return row < axons ? fmt::format("synapse {} of axon {}", i, row)
                                   : fmt::format("synapse {} of neuron {}", i, row - axons);
            };
            if (s.target >= neurons)
                return outside(where(), "target", s.target, 0, std::int64_t{neurons} - 1);
            if (s.weight < -weight_limit || s.weight >= weight_limit)
                return outside(where(), "weight", s.weight, -weight_limit, weight_limit - 1);
            if (s.delay >= net.arithmetic.delay_slots)
                return outside(where(), "delay", s.delay, 0, net.arithmetic.delay_slots - 1);
            if (s.delay == 0 && row >= axons && s.target <= row - axons)
                return bad(where(), fmt::format("delay 0 to neuron {}, expected a later target or "
                                                "a delay of at least 1",
                                                s.target));
        }
    }
    return {};
}

}  // namespace

Status Network::check() const {
    if (Status status = check_arithmetic(arithmetic); !status) return status;
    if (!(std::isfinite(dt) && dt > 0.0))
        return bad("dt", fmt::format("is {}, expected a finite number above 0", dt));
    if (neurons.empty()) return bad("neurons", "there are none");
    if (Status status = check_cover("port", ports, n_axons()); !status) return status;
    if (Status status = check_cover("population", populations, n_neurons()); !status) return status;
    for (std::size_t n = 0; n < neurons.size(); ++n) {
        if (Status status = check_neuron(neurons[n], arithmetic, n); !status) return status;
    }
    return check_rows(*this);
}

trace::Shape Network::shape() const {
    const Arithmetic& a = arithmetic;
    const auto is_cuba = [](const NeuronParams& p) { return p.cuba; };
    const bool any_cuba = std::ranges::any_of(neurons, is_cuba);
    const bool all_cuba = any_cuba && std::ranges::all_of(neurons, is_cuba);
    const bool any_refractory =
        std::ranges::any_of(neurons, [](const NeuronParams& p) { return p.refractory > 0; });

    const auto field = [](const char* label, trace::FieldClass cls, int bits, bool is_signed,
                          int frac_bits) {
        return trace::FieldSpec{.name = label,
                                .cls = cls,
                                .bits = bits,
                                .is_signed = is_signed,
                                .is_float = false,
                                .frac_bits = frac_bits,
                                .bytes = trace::storage_bytes(bits)};
    };
    using enum trace::FieldClass;
    trace::Shape shape;
    shape.n_neurons = n_neurons();
    shape.dt = dt;
    shape.populations = populations;
    // Input to a CUBA neuron is on the finer scale of u (model.md section 5). A field has one
    // scale, so a network that mixes both kinds is shown on that of v.
    shape.fields.push_back(
        field("i_syn", Input, a.acc_bits, true, a.v_frac + (all_cuba ? a.u_shift : 0)));
    if (any_cuba) shape.fields.push_back(field("u", State, a.u_bits, true, a.v_frac + a.u_shift));
    shape.fields.push_back(field("v", State, a.v_bits, true, a.v_frac));
    if (any_refractory) shape.fields.push_back(field("refr", State, a.refr_bits, false, 0));
    return shape;
}

}  // namespace spikelock::golden

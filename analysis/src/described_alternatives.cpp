// SPDX-License-Identifier: Apache-2.0
#include "described_alternatives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "activity.hpp"
#include "neuron_update.hpp"
#include "step_judge.hpp"

namespace spikelock::analysis::detail {

namespace {
using golden::Description;
using golden::Network;
using golden::NeuronParams;
using golden::Param;
using golden::Synapse;
using Plain = std::int64_t;
using OfNetwork = std::function<Plain(const NeuronParams&)>;

/// A parameter that a description takes for each neuron.
struct Parameter {
    const char* id;
    const char* text;
    std::function<Param&(Description&)> param;
    OfNetwork of_network;
    std::function<bool(const Description&)> used;
};

const std::vector<Parameter>& parameters() {
    static const std::vector<Parameter> kAll{
        {"threshold", "threshold", [](Description& d) -> Param& { return d.threshold.value; },
         [](const NeuronParams& p) { return Plain{p.threshold}; },
         [](const Description&) { return true; }},
        {"v_reset", "v_reset", [](Description& d) -> Param& { return d.reset.value; },
         [](const NeuronParams& p) { return Plain{p.v_reset}; },
         [](const Description& d) { return d.reset.kind == golden::ResetKind::Value; }},
        {"bias", "bias", [](Description& d) -> Param& { return d.bias; },
         [](const NeuronParams& p) { return Plain{p.bias}; },
         [](const Description&) { return true; }},
        {"leak", "leak amount", [](Description& d) -> Param& { return d.leak.amount; },
         [](const NeuronParams& p) { return Plain{p.leak}; },
         [](const Description& d) { return d.leak.kind != golden::LeakKind::None; }},
        {"refractory", "refractory period",
         [](Description& d) -> Param& { return d.refractory.steps; },
         [](const NeuronParams& p) { return Plain{p.refractory}; },
         [](const Description&) { return true; }},
        {"threshold.negative", "negative threshold",
         [](Description& d) -> Param& { return d.threshold.negative; },
         [](const NeuronParams&) { return Plain{0}; },
         [](const Description& d) {
             return d.threshold.negative_action != golden::NegativeAction::None;
         }},
        {"threshold.negative_reset", "value after the negative threshold",
         [](Description& d) -> Param& { return d.threshold.negative_reset; },
         [](const NeuronParams&) { return Plain{0}; },
         [](const Description& d) {
             return d.threshold.negative_action == golden::NegativeAction::Reset;
         }},
    };
    return kAll;
}

const Parameter& parameter(std::string_view id) {
    return *std::ranges::find(parameters(), id, [](const Parameter& p) { return p.id; });
}

std::vector<Plain> given(const Parameter& p, const Described& d) {
    Description copy = d.description;
    return values_of(p.param(copy), d.network, p.of_network);
}

void set_values(const Parameter& p, Described& d, std::vector<Plain> values) {
    Param& param = p.param(d.description);
    std::string where = param.where;
    param = {Param::From::Neurons, std::move(values), {}, std::move(where)};
}

void set_value(const Parameter& p, Described& d, std::uint32_t neuron, Plain value) {
    std::vector<Plain> values = given(p, d);
    values[neuron] = value;
    set_values(p, d, std::move(values));
}

void set_one(Param& param, const Network& network, std::uint32_t neuron, Plain value,
             const OfNetwork& of_network) {
    std::vector<Plain> values = values_of(param, network, of_network);
    values[neuron] = value;
    param = {Param::From::Neurons, std::move(values), {}, {}};
}

/// Each synapse of a row `times` over.
void repeat_row(Network& net, std::uint32_t source, int times) {
    const auto row = net.row(source);
    std::vector<Synapse> changed;
    for (const Synapse& s : row)
        for (int i = 0; i < times; ++i) changed.push_back(s);
    const auto begin = net.synapses.begin() + net.row_begin[source];
    const auto at = net.synapses.erase(begin, begin + static_cast<std::ptrdiff_t>(row.size()));
    const auto more = static_cast<std::uint32_t>(changed.size() - row.size());  // modulo 2^32
    net.synapses.insert(at, changed.begin(), changed.end());
    for (std::size_t s = source + 1; s < net.row_begin.size(); ++s) net.row_begin[s] += more;
}

void repeat_synapse(Network& net, std::uint32_t synapse, int times) {
    const auto at = net.synapses.begin() + synapse;
    const Synapse one = *at;
    net.synapses.insert(net.synapses.erase(at), static_cast<std::size_t>(times), one);
    for (std::uint32_t& begin : net.row_begin)
        if (begin > synapse) begin += static_cast<std::uint32_t>(times - 1);
}

class Builder {
public:
    Builder(const Described& described, const Connectivity& connectivity,
            const trace::Stimulus& stimulus, const trace::ExecutionTrace& core,
            const DescribedUpdate& update)
        : described_(described),
          network_(described.network),
          d_(described.description),
          connectivity_(connectivity),
          core_(core),
          update_(update),
          n_(update.neuron),
          t_(update.timestep),
          name_(connectivity.neuron_name(update.neuron)),
          activity_(connectivity, &stimulus, core) {}

    std::vector<DescribedAlternative> build() {
        add_threshold();
        add_values();
        add_spikes();
        find_arrivals();
        add_events();
        add_rows();
        add_synapses();
        add_types();
        // Long lists, of which most will not be: last, so that they are cut first.
        add_neighbours();
        add_bits();
        return std::move(all_);
    }

private:
    using Edit = std::function<void(Described&)>;

    DescribedAlternative& add(int prior, std::string id, std::string text, Edit edit) {
        DescribedAlternative one;
        one.prior = prior;
        one.id = std::move(id);
        one.text = std::move(text);
        one.edit = std::move(edit);
        all_.push_back(std::move(one));
        return all_.back();
    }

    /// A parameter of this neuron alone; each value once.
    void value(int prior, const Parameter& p, const char* what, Plain to, const char* more = "") {
        const Plain own = given(p, described_)[n_];
        if (to == own || !tried_.insert({p.id, to}).second) return;
        add(prior, fmt::format("{}.{}", p.id, what),
            fmt::format("{} of {} is {}{}, not {}", p.text, name_, to, more, own),
            [&p, n = n_, to](Described& d) { set_value(p, d, n, to); });
    }

    void add_threshold() {
        const Parameter& p = parameter("threshold");
        const Plain own = given(p, described_)[n_];
        for (const int delta : {-1, 1}) {
            add(14, delta < 0 ? "thresholds.minus_one" : "thresholds.plus_one",
                fmt::format("threshold of every neuron is one {} than given ({}, not {}, of {})",
                            delta < 0 ? "less" : "more", own + delta, own, name_),
                [&p, delta](Described& d) {
                    std::vector<Plain> values = given(p, d);
                    for (Plain& v : values) v += delta;
                    set_values(p, d, std::move(values));
                });
            value(15, p, delta < 0 ? "minus_one" : "plus_one", own + delta);
        }
        const bool greater = d_.threshold.compare == golden::CompareOp::Greater;
        if (update_.fired && !update_.fires && update_.v1)
            value(17, p, "other", *update_.v1 - (greater ? 1 : 0), " or less");
        if (!update_.fired && update_.fires && update_.v1)
            value(17, p, "other", *update_.v1 + (greater ? 0 : 1), " or more");
        if (update_.fired && update_.v_error) value(17, p, "other", own - *update_.v_error);
    }

    void add_values() {
        const Parameter& bias = parameter("bias");
        const Plain own = given(bias, described_)[n_];
        value(8, bias, "missing", 0);
        if (own != 0) {
            value(10, bias, "doubled", 2 * own);
            value(10, bias, "negated", -own);
        }
        for (const auto& error : {update_.u_error, update_.v_error})
            if (error) value(16, bias, "other", own + *error);
        for (const char* id : {"v_reset", "threshold.negative_reset"})
            if (const Parameter& p = parameter(id); p.used(d_) && update_.v_seen)
                value(16, p, "other", *update_.v_seen);
        if (d_.leak.kind == golden::LeakKind::Constant || d_.leak.kind == golden::LeakKind::Shift)
            value(10, parameter("leak"), "missing", 0);
        for (const char* id : {"leak", "refractory", "threshold.negative"}) {
            const Parameter& p = parameter(id);
            if (!p.used(d_)) continue;
            const Plain own_value = given(p, described_)[n_];
            value(15, p, "minus_one", own_value - 1);
            value(15, p, "plus_one", own_value + 1);
        }
    }

    void add_spikes() {
        const OfNetwork spiking = [](const NeuronParams& p) { return Plain{p.spiking ? 1 : 0}; };
        const OfNetwork zero = [](const NeuronParams&) { return Plain{0}; };
        const auto single = [&](int prior, const char* id, const char* text, Edit edit) {
            add(prior, id, fmt::format("{} {}", name_, text), std::move(edit)).only_at = t_;
        };
        if (update_.fires && !update_.fired) {
            single(20, "spike.lost", "fires and resets, but its spike is lost",
                   [n = n_, zero](Described& d) {
                       set_one(d.description.output.masked, d.network, n, 1, zero);
                       d.description.output.masked_delivers = false;
                   });
            single(30, "spike.suppressed", "neither fires nor resets",
                   [n = n_, spiking](Described& d) {
                       set_one(d.description.output.spiking, d.network, n, 0, spiking);
                   });
        }
        if (update_.fires)
            single(20, "spike.without_reset", "fires, but v is not reset",
                   [](Described& d) { d.description.reset.kind = golden::ResetKind::None; });
    }

    struct Source {
        std::uint32_t source = 0;
        std::uint64_t fired_at = 0;
        std::size_t events = 0;  ///< of this timestep
        bool operator<(const Source& other) const {
            return std::pair(source, fired_at) < std::pair(other.source, other.fired_at);
        }
    };

    /// What arrived in the timestep, by source and by synapse.
    void find_arrivals() {
        if (d_.semantics == golden::Semantics::Event) {
            // In such a core a delay means nothing: what was taken in the timestep has arrived.
            std::map<std::uint32_t, std::size_t> events;
            for (const trace::TakenEvent& e : order_of(core_, t_))
                if (e.port == trace::TakenEvent::kInternal) {
                    if (e.address < network_.n_neurons()) ++events[network_.n_axons() + e.address];
                } else if (e.port < network_.ports.size()) {
                    ++events[network_.ports[e.port].begin + e.address];
                }
            if (events.empty()) {
                for (const auto& event : activity_.events(t_)) ++events[event.first];
                for (std::uint32_t n = 0; n < network_.n_neurons(); ++n)
                    if (core_.valid(t_) && core_.spike(t_, n)) ++events[network_.n_axons() + n];
            }
            for (const Connectivity::Incoming& in : connectivity_.into(n_))
                if (const auto found = events.find(in.source); found != events.end())
                    arrived(in.source, in.synapse, t_, found->second);
            return;
        }
        for (const Arrival& a : activity_.arrivals(n_, t_).list)
            arrived(a.source, a.synapse, a.fired_at,
                    connectivity_.is_axon(a.source) ? events_of(a.source, a.fired_at) : 1);
    }
    void arrived(std::uint32_t source, std::uint32_t synapse, std::uint64_t at,
                 std::size_t events) {
        sources_.insert({source, at, events});
        // Merged events are one delivery, whatever else is listed.
        if (d_.synapse.duplicates == golden::Duplicates::Merged)
            synapses_[synapse] = {source, 1};
        else
            synapses_.try_emplace(synapse, source, 0).first->second.second += 1;
    }
    std::size_t events_of(std::uint32_t axon, std::uint64_t at) {
        const auto events = activity_.events(at);
        return static_cast<std::size_t>(
            std::ranges::count(events, axon, [](const auto& event) { return event.first; }));
    }

    std::string what(const Source& s) const {
        return fmt::format("{} {} at t={}",
                           connectivity_.is_axon(s.source) ? "input event" : "spike",
                           connectivity_.source_name(s.source), s.fired_at);
    }

    /// Single events: their row is another one in the timestep in which they come.
    void add_events() {
        for (const Source& s : sources_) {
            const bool axon = connectivity_.is_axon(s.source);
            const auto repeated = [&](int prior, const char* id, std::string text, int times) {
                add(prior, id, std::move(text), [source = s.source, times](Described& d) {
                    repeat_row(d.network, source, times);
                }).only_at = s.fired_at;
            };
            if (s.events > 1) {
                repeated(11, axon ? "event.all_dropped" : "spike.all_dropped",
                         fmt::format("all {} deliveries of {} were lost", s.events, what(s)), 0);
                if (axon && d_.semantics == golden::Semantics::Timestep) add_one_of_many(s);
                continue;
            }
            repeated(7, axon ? "event.dropped" : "spike.not_routed",
                     fmt::format("the {} was not delivered to any target", what(s)), 0);
            repeated(9, axon ? "event.doubled" : "spike.routed_twice",
                     fmt::format("the {} was delivered twice to all targets", what(s)), 2);
        }
    }

    /// One of several events of an axon in a timestep.
    void add_one_of_many(const Source& s) {
        const auto port = std::ranges::find_if(network_.ports, [&](const golden::InputPort& p) {
            return s.source >= p.begin && s.source < p.end;
        });
        const auto index = static_cast<std::uint16_t>(port - network_.ports.begin());
        const std::uint32_t address = s.source - port->begin;
        DescribedAlternative& one =
            add(7, "event.dropped",
                fmt::format("the {} (one of {} alike) was not delivered to any target", what(s),
                            s.events),
                {});
        one.only_at = s.fired_at;
        one.input = [index, address](trace::StimulusBlock& block) {
            const auto found =
                std::ranges::find_if(block.events, [&](const trace::InputEvent& event) {
                    return event.port == index && event.address == address;
                });
            if (found == block.events.end()) return;
            block.events.erase(found);
            --block.event_begin.back();
        };
    }

    void add_rows() {
        std::set<std::uint32_t> rows;
        for (const Source& s : sources_)
            if (rows.insert(s.source).second) add_row(s.source);
        if (d_.semantics == golden::Semantics::Event) return;
        DeliveryRule early;
        early.which = DeliveryRule::Which::All;
        early.act = DeliveryRule::Act::Delay;
        early.value = -1;
        std::set<std::uint32_t> coming;
        for (const Arrival& a : activity_.arrivals(n_, t_, early).list)
            if (coming.insert(a.source).second) delay_row(12, a.source, -1);
    }
    void add_row(std::uint32_t source) {
        const bool axon = connectivity_.is_axon(source);
        const std::string from = connectivity_.source_name(source);
        add(9, axon ? "axon.dead" : "row.dead",
            fmt::format("the row of {} is never delivered", from),
            [source](Described& d) { repeat_row(d.network, source, 0); });
        add(9, axon ? "axon.doubled" : "row.doubled",
            fmt::format("the row of {} is always delivered twice", from),
            [source](Described& d) { repeat_row(d.network, source, 2); });
        if (d_.semantics == golden::Semantics::Timestep) delay_row(11, source, 1);
    }
    void delay_row(int prior, std::uint32_t source, int by) {
        const bool axon = connectivity_.is_axon(source);
        add(prior, fmt::format("{}.{}", axon ? "axon" : "row", by < 0 ? "early" : "late"),
            fmt::format("{} acts one timestep {}", connectivity_.source_name(source),
                        by < 0 ? "early" : "late"),
            [source, by](Described& d) {
                const auto row = d.network.row(source);
                for (std::size_t s = 0; s < row.size(); ++s) {
                    Synapse& synapse = d.network.synapses[d.network.row_begin[source] + s];
                    synapse.delay = static_cast<std::uint16_t>(synapse.delay + by);
                }
            });
    }

    /// The factor between a synapse's weight and what one delivery adds, where it is an integer.
    Plain scale(std::uint32_t source) const {
        const auto& s = d_.synapse;
        if (s.weight_shift < 0) return 0;
        Plain factor = Plain{1} << s.weight_shift;
        if (source < s.types.size()) {
            const auto type = static_cast<std::size_t>(s.types[source]);
            factor *= values_of(s.weights[type], network_,
                                [](const NeuronParams&) { return Plain{0}; })[n_];
        }
        return factor;
    }
    /// By how much what arrived is off, as far as it can be told.
    std::vector<Plain> input_errors() const {
        if (update_.i_syn_error) return {*update_.i_syn_error};
        std::vector<Plain> errors;
        for (const auto& error : {update_.u_error, update_.v_error})
            if (error && *error != 0) errors.push_back(*error);
        return errors;
    }

    std::string text_of(std::uint32_t synapse, std::uint32_t source) const {
        const Synapse& s = network_.synapses[synapse];
        return fmt::format("{} -> {} (w={}, d={})", connectivity_.source_name(source), name_,
                           s.weight, s.delay);
    }
    void weight(int prior, const char* id, std::uint32_t synapse, std::uint32_t source, Plain to,
                const std::string& how) {
        const Plain own = network_.synapses[synapse].weight;
        const Plain half = Plain{1} << (network_.arithmetic.weight_bits - 1);
        if (to == 0 || to == own || to < -half || to >= half) return;
        if (!weights_.insert({synapse, to}).second) return;
        add(prior, id,
            fmt::format("the weight of {} {}", text_of(synapse, source),
                        how.empty() ? fmt::format("is {}", to) : how),
            [synapse, to](Described& d) {
                d.network.synapses[synapse].weight = static_cast<std::int16_t>(to);
            })
            .synapse = synapse;
    }

    void add_synapses() {
        for (const auto& [synapse, arrival] : synapses_) {
            const auto [source, times] = arrival;
            const Plain own = network_.synapses[synapse].weight;
            const std::string text = text_of(synapse, source);
            const auto repeated = [&, synapse = synapse](const char* id, const char* how,
                                                         int count) {
                add(10, id, fmt::format("the synapse {} was {}", text, how),
                    [synapse, count](Described& d) { repeat_synapse(d.network, synapse, count); })
                    .synapse = synapse;
            };
            repeated("synapse.dropped", "not delivered", 0);
            repeated("synapse.doubled", "delivered twice", 2);
            weight(12, "synapse.negated", synapse, source, -own, "has the wrong sign");
            if (const Plain step = scale(source) * static_cast<Plain>(times); step != 0)
                for (const Plain error : input_errors())
                    if (error % step == 0)
                        weight(13, "synapse.weight", synapse, source, own + error / step, {});
            if (d_.semantics == golden::Semantics::Event) continue;
            add(12, "synapse.late", fmt::format("the synapse {} acts one timestep late", text),
                [synapse = synapse](Described& d) { ++d.network.synapses[synapse].delay; })
                .synapse = synapse;
        }
    }

    /// Where weights come from a table by type: another type, another entry.
    void add_types() {
        const auto& s = d_.synapse;
        if (s.types.empty()) return;
        std::map<std::size_t, Plain> of_type;
        for (const auto& [synapse, arrival] : synapses_)
            if (arrival.first < s.types.size())
                of_type[static_cast<std::size_t>(s.types[arrival.first])] +=
                    Plain{network_.synapses[synapse].weight} * static_cast<Plain>(arrival.second);
        const OfNetwork zero = [](const NeuronParams&) { return Plain{0}; };
        for (const auto& [type, times] : of_type) {
            const Plain step = s.weight_shift < 0 ? 0 : times * (Plain{1} << s.weight_shift);
            if (step == 0) continue;
            const Plain own = values_of(s.weights[type], network_, zero)[n_];
            for (const Plain error : input_errors())
                if (error % step == 0)
                    add(13, "type.weight",
                        fmt::format("the weight of type {} at {} is {}, not {}", type, name_,
                                    own + error / step, own),
                        [type = type, n = n_, to = own + error / step, zero](Described& d) {
                            set_one(d.description.synapse.weights[type], d.network, n, to, zero);
                        });
        }
        std::set<std::uint32_t> seen;
        for (const Source& source : sources_) {
            if (source.source >= s.types.size() || !seen.insert(source.source).second) continue;
            for (std::size_t type = 0; type < s.weights.size(); ++type)
                if (const Plain own = s.types[source.source]; own != static_cast<Plain>(type))
                    add(14, "source.type",
                        fmt::format("{} is of type {}, not {}",
                                    connectivity_.source_name(source.source), type, own),
                        [from = source.source, type](Described& d) {
                            d.description.synapse.types[from] = static_cast<Plain>(type);
                        });
        }
    }

    void add_neighbours() {
        for (const int offset : {-1, 1}) {
            const Plain index = Plain{n_} + offset;
            if (index < 0 || index >= network_.n_neurons()) continue;
            for (const Parameter& p : parameters()) {
                if (!p.used(d_)) continue;
                const std::vector<Plain> values = given(p, described_);
                const Plain to = values[static_cast<std::size_t>(index)];
                if (to == values[n_] || tried_.contains({p.id, to})) continue;
                add(16, fmt::format("{}.of_neighbour.{}", p.id, offset < 0 ? "before" : "after"),
                    fmt::format("{} of {} is {}, that of {}, not {}", p.text, name_, to,
                                connectivity_.neuron_name(static_cast<std::uint32_t>(index)),
                                values[n_]),
                    [&p, n = n_, to](Described& d) { set_value(p, d, n, to); });
            }
        }
        const Plain last = static_cast<Plain>(network_.synapses.size()) - 1;
        for (const auto& [synapse, arrival] : synapses_)
            for (const int offset : {-1, 1})
                if (const Plain other = Plain{synapse} + offset; other >= 0 && other <= last) {
                    const Plain read = network_.synapses[static_cast<std::size_t>(other)].weight;
                    weight(16, offset < 0 ? "synapse.weight_before" : "synapse.weight_after",
                           synapse, arrival.first, read,
                           fmt::format("was read as {}, that of the synapse {} it", read,
                                       offset < 0 ? "before" : "after"));
                }
    }

    void add_bits() {
        const int width = network_.arithmetic.weight_bits;
        for (const auto& [synapse, arrival] : synapses_)
            for (int bit = 0; bit < width; ++bit) {
                const Plain flipped = fit(
                    Plain{network_.synapses[synapse].weight} ^ (Plain{1} << bit), width, Fit::Wrap);
                weight(40, "synapse.weight_bit", synapse, arrival.first, flipped,
                       fmt::format("was {} (bit {} flipped)", flipped, bit));
            }
    }

    const Described& described_;
    const Network& network_;
    const Description& d_;
    const Connectivity& connectivity_;
    const trace::ExecutionTrace& core_;
    const DescribedUpdate& update_;
    std::uint32_t n_;
    std::uint64_t t_;
    std::string name_;
    Activity activity_;
    std::set<Source> sources_;
    /// By synapse: its source, and how often it was delivered.
    std::map<std::uint32_t, std::pair<std::uint32_t, std::size_t>> synapses_;
    std::set<std::pair<std::string, Plain>> tried_;      ///< values of parameters
    std::set<std::pair<std::uint32_t, Plain>> weights_;  ///< of synapses
    std::vector<DescribedAlternative> all_;
};
}  // namespace

std::vector<std::int64_t> values_of(const Param& param, const Network& network,
                                    const OfNetwork& of_network) {
    std::vector<Plain> values(network.n_neurons());
    switch (param.from) {
        case Param::From::Network:
            std::ranges::transform(network.neurons, values.begin(), of_network);
            break;
        case Param::From::Scalar:
            std::ranges::fill(values, param.values.front());
            break;
        case Param::From::Neurons:
            std::ranges::copy(param.values, values.begin());
            break;
        case Param::From::Populations:
            for (const auto& [label, value] : param.by_population)
                for (const trace::Population& population : network.populations)
                    if (population.label == label)
                        std::fill(values.begin() + population.begin,
                                  values.begin() + population.end, value);
            break;
    }
    return values;
}

std::vector<std::int64_t> thresholds_of(const Described& described) {
    return given(parameter("threshold"), described);
}
std::vector<std::int64_t> biases_of(const Described& described) {
    return given(parameter("bias"), described);
}

void without_threshold(Described& d, std::uint32_t neuron) {
    set_one(d.description.output.spiking, d.network, neuron, 0,
            [](const NeuronParams& p) { return Plain{p.spiking ? 1 : 0}; });
    d.description.threshold.negative_action = golden::NegativeAction::None;
}

std::vector<DescribedAlternative> described_alternatives(const Described& described,
                                                         const Connectivity& connectivity,
                                                         const trace::Stimulus& stimulus,
                                                         const trace::ExecutionTrace& core,
                                                         const DescribedUpdate& update) {
    return Builder(described, connectivity, stimulus, core, update).build();
}

}  // namespace spikelock::analysis::detail

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/plan.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <span>
#include <sstream>

#include "spikelock/base/text.hpp"

namespace spikelock::manifest {

namespace {
using Node = Expression::Node;
using Kind = Expression::Kind;

struct Bad {
    Error error;
};
[[noreturn]] void bad(Errc code, std::string message, std::string where) {
    throw Bad{{code, std::move(message), std::move(where)}};
}

/// A bit field of a signal.
struct FieldRef {
    std::uint32_t signal = 0;
    std::uint32_t word = 0;
    std::uint32_t lsb = 0;
    std::uint32_t width = 0;
};

class Resolver {
public:
    Resolver(const Manifest& manifest, const SignalTable& table, Plan& plan)
        : manifest_(manifest), table_(table), plan_(plan) {}

    const Signal& signal(const std::string& name, const std::string& where) const {
        const auto found = table_.find(name);
        if (found != table_.end()) return found->second;
        std::vector<std::string> names;
        for (const auto& [known, s] : table_) names.push_back(known);
        bad(Errc::NotFound, "the core has no signal '" + name + "'" + did_you_mean(name, names),
            where);
    }
    std::uint32_t index(const std::string& name, const std::string& where) {
        signal(name, where);
        const auto found = std::find(plan_.signals.begin(), plan_.signals.end(), name);
        if (found != plan_.signals.end())
            return static_cast<std::uint32_t>(found - plan_.signals.begin());
        plan_.signals.push_back(name);
        return static_cast<std::uint32_t>(plan_.signals.size() - 1);
    }
    FieldRef whole(const std::string& name, const std::string& where) {
        const Signal& s = signal(name, where);
        return {index(name, where), 0, 0, s.bits};
    }
    /// A port that is driven, at most 64 bits.
    FieldRef input(const std::string& name, const std::string& where) {
        const Signal& s = signal(name, where);
        if (s.kind != "in")
            bad(Errc::BadConfig,
                "'" + name + "' is not an input port of the core (it is " + s.kind + ")", where);
        if (s.bits > 64)
            bad(Errc::BadConfig,
                "'" + name + "' has " + std::to_string(s.bits) +
                    " bits, at most 64 can be driven at once",
                where);
        return whole(name, where);
    }
    /// The bit field that a name, bit select or slice means; `i` stands for the neuron.
    FieldRef field(const Node& node, const std::string& where, std::optional<std::int64_t> i) {
        const auto lookup = [&](const std::string& name) -> Result<std::int64_t> {
            if ((name == "i" || name == "n") && i) return *i;
            return Error{Errc::BadConfig,
                         "'" + name + "' cannot be used in an index here; only i is known", where};
        };
        const auto number = [&](const Node& n) {
            Result<std::int64_t> value = evaluate(n, where, lookup);
            if (!value) throw Bad{value.error()};
            return *value;
        };
        if (node.kind == Kind::Name) {
            Result<std::string> name = resolved_name(node, where, lookup);
            if (!name) throw Bad{name.error()};
            return whole(*name, where);
        }
        if (node.kind != Kind::Bit && node.kind != Kind::Slice)
            bad(Errc::BadConfig, "expected a signal, a bit or a slice of one", where);
        FieldRef base = field(*node.children[0], where, i);
        const Signal& s = table_.at(plan_.signals[base.signal]);
        const bool word_select =
            node.kind == Kind::Bit && s.words > 1 && node.children[0]->kind == Kind::Name;
        std::int64_t low = number(*node.children[1]);
        std::int64_t width = 1;
        if (word_select) {
            if (low < 0 || low >= s.words)
                bad(Errc::BadConfig,
                    "word " + std::to_string(low) + " of " + plan_.signals[base.signal] +
                        ", which has " + std::to_string(s.words),
                    where);
            base.word = static_cast<std::uint32_t>(low);
            return base;
        }
        if (node.kind == Kind::Slice) {
            const std::int64_t second = number(*node.children[2]);
            width = node.plus_slice ? second : low - second + 1;
            if (!node.plus_slice) low = second;
        }
        if (low < 0 || width < 1 || low + width > base.width)
            bad(Errc::Mismatch,
                "bits " + std::to_string(low) + "+:" + std::to_string(width) + " of " +
                    plan_.signals[base.signal] + ", which has " + std::to_string(base.width) +
                    " bits",
                where);
        base.lsb += static_cast<std::uint32_t>(low);
        base.width = static_cast<std::uint32_t>(width);
        return base;
    }
    static void put(std::ostream& out, const FieldRef& f) {
        out << ' ' << f.signal << ' ' << f.word << ' ' << f.lsb << ' ' << f.width;
    }
    FieldRef checked(FieldRef f, const std::string& where) const {
        if (f.width > 64)
            bad(Errc::BadConfig,
                plan_.signals[f.signal] + " has " + std::to_string(f.width) +
                    " bits; take a slice of at most 64",
                where);
        return f;
    }
    /// " <count> <postfix tokens>"
    void put(std::ostream& out, const Expression& e) {
        std::vector<std::string> tokens;
        emit(e.root(), e.where(), tokens);
        if (tokens.size() > 30) bad(Errc::Limit, "the expression is too long", e.where());
        out << ' ' << tokens.size();
        for (const std::string& token : tokens) out << ' ' << token;
    }
    bool plain(const Expression& e) const {
        return e.root().kind == Kind::Name || e.root().kind == Kind::Bit ||
               e.root().kind == Kind::Slice;
    }

private:
    void emit(const Node& node, const std::string& where, std::vector<std::string>& tokens) {
        switch (node.kind) {
            case Kind::Number:
                tokens.push_back("# " + std::to_string(static_cast<std::uint64_t>(node.number)));
                return;
            case Kind::Name:
            case Kind::Bit:
            case Kind::Slice: {
                std::ostringstream out;
                out << '@';
                put(out, checked(field(node, where, std::nullopt), where));
                tokens.push_back(out.str());
                return;
            }
            case Kind::Unary:
                emit(*node.children[0], where, tokens);
                tokens.push_back(node.text == "-" ? "neg" : node.text);
                return;
            case Kind::Binary:
            case Kind::Select:
                for (const auto& child : node.children) emit(*child, where, tokens);
                tokens.push_back(node.kind == Kind::Select ? "?:" : node.text);
                return;
        }
    }
    const Manifest& manifest_;
    const SignalTable& table_;
    Plan& plan_;
};

void put_steps(std::ostream& out, Resolver& r, const std::vector<StartupStep>& steps,
               const std::string& name, bool one_each) {
    if (!one_each) out << "program " << name << '\n';
    std::size_t k = 0;
    for (const StartupStep& step : steps) {
        if (one_each) out << "program " << name << k++ << '\n';
        switch (step.kind) {
            case StartupStep::Kind::Load:
                if (!one_each)
                    bad(Errc::BadConfig, "'load' is only possible in [[startup]]", step.where);
                break;
            case StartupStep::Kind::Reset: {
                const FieldRef f = r.input(step.signal, step.where);
                const int active = step.active_low ? 0 : 1;
                const auto set = [&](int value) {
                    out << "set";
                    Resolver::put(out, f);
                    out << ' ' << value << '\n';
                };
                // An edge in any case, but no clock before it: what is on the registers at power-on
                // must not be acted on, or checked.
                set(1 - active);
                set(active);
                out << "clocks " << step.clocks << '\n';
                set(1 - active);
                out << "clocks 1\n";
                break;
            }
            case StartupStep::Kind::Set:
                out << "set";
                Resolver::put(out, r.input(step.signal, step.where));
                out << ' ' << step.value << '\n';
                break;
            case StartupStep::Kind::Clocks:
                out << "clocks " << step.clocks << '\n';
                break;
            case StartupStep::Kind::Pulse:
                out << "pulse";
                Resolver::put(out, r.input(step.signal, step.where));
                out << " 1 " << step.limit_clocks;
                r.put(out, step.until);
                out << " '" << step.until.text() << "' after " << step.signal << '\n';
                break;
        }
    }
}

std::string width_message(const std::string& what, std::uint32_t bits, const std::string& field,
                          int wanted) {
    return what + " is " + std::to_string(bits) + " bits wide, but the network's " + field +
           " has " + std::to_string(wanted) +
           " bits; give the core and [network.quantise] the same width";
}

Plan make_plan(const Manifest& m, const SignalTable& table, const golden::Network& network) {
    Plan plan;
    Resolver r(m, table, plan);
    const trace::Shape golden_shape = network.shape();
    plan.shape = golden_shape;
    plan.shape.fields.clear();
    std::ostringstream body;
    const std::string file = m.path;

    body << "neurons " << network.n_neurons() << '\n';
    body << "clock";
    Resolver::put(body, r.input(m.clock, file + ": clock"));
    body << '\n';
    if (m.config) {
        body << "config " << m.config->read_latency;
        for (const std::string* name : {&m.config->write, &m.config->address, &m.config->data})
            Resolver::put(body, r.input(*name, file + ": [config]"));
        body << '\n';
        if (!m.config->read_data.empty()) {
            body << "config_read";
            Resolver::put(body, r.checked(r.whole(m.config->read_data, file + ": [config]"),
                                          file + ": [config]"));
            body << '\n';
        }
    }
    const TimestepSpec& t = m.timestep;
    const bool handshake = t.kind == TimestepSpec::Kind::Handshake;
    body << "timestep " << (handshake ? "handshake" : "clocked") << ' ' << t.limit_clocks << ' '
         << t.clocks << '\n';
    if (handshake) {
        body << "start";
        Resolver::put(body, r.input(t.start, t.where + ": timestep.start"));
        body << "\ndone";
        r.put(body, t.done);
        body << '\n';
        if (!t.idle.empty()) {
            body << "idle";
            r.put(body, t.idle);
            body << '\n';
        }
    }
    // Input ports, in the order of the network's.
    if (handshake) {
        for (std::size_t p = 0; p < network.ports.size(); ++p) {
            const auto& label = network.ports[p].label;
            const auto found =
                std::find_if(m.inputs.begin(), m.inputs.end(), [&](const InputSpec& i) {
                    return i.port == label || (i.port.empty() && network.ports.size() == 1);
                });
            if (found == m.inputs.end())
                bad(Errc::BadConfig, "no [[input]] for the network's input port '" + label + "'",
                    file);
            const FieldRef address = r.input(found->address, found->where);
            const std::uint32_t last = network.ports[p].end == 0 ? 0 : network.ports[p].end - 1;
            if (address.width < 32 && (last >> address.width) != 0)
                bad(Errc::Mismatch,
                    "'" + found->address + "' has " + std::to_string(address.width) +
                        " bits, but the network has axons up to " + std::to_string(last),
                    found->where);
            body << "input " << p;
            Resolver::put(body, r.input(found->valid, found->where));
            Resolver::put(body, address);
            r.put(body, found->ready);
            body << '\n';
        }
        for (const InputSpec& input : m.inputs) {
            if (input.port.empty()) continue;
            std::vector<std::string> labels;
            for (const auto& port : network.ports) labels.push_back(port.label);
            if (std::find(labels.begin(), labels.end(), input.port) == labels.end())
                bad(Errc::NotFound,
                    "the network has no input port '" + input.port + "'" +
                        did_you_mean(input.port, labels),
                    input.where);
        }
    }
    const std::uint32_t n = network.n_neurons();
    for (const SideBandSpec& band : m.side_bands) {
        std::ostringstream cells;
        std::uint32_t width = 0;
        for (std::uint32_t i = 0; i < n; ++i) {
            const FieldRef f = r.checked(r.field(band.target.root(), band.where, i), band.where);
            if (table.at(plan.signals[f.signal]).kind != "in")
                bad(Errc::BadConfig,
                    "'" + plan.signals[f.signal] + "' is not an input port of the core",
                    band.where);
            width = std::max(width, f.width);
            Resolver::put(cells, f);
        }
        const auto bytes = static_cast<std::uint32_t>(width <= 8 ? 1 : width <= 16 ? 2 : 4);
        plan.side_bands.push_back(band.name);
        plan.side_band_bytes.push_back(bytes);
        body << "sideband " << n << ' ' << bytes << " at" << cells.str() << '\n';
    }

    // Observed fields in the golden's causal order; strobes that share valid and index are one.
    struct Stream {
        std::string valid;
        std::string index;
        std::string ready;
        std::ostringstream text;
    };
    std::vector<Stream> streams;
    const auto stream_for = [&](const ObserveSpec& o) -> Stream& {
        for (Stream& s : streams)
            if (s.valid == o.valid.text() && s.index == o.index.text() && s.ready == o.ready &&
                o.field != "spike")
                return s;
        Stream& s = streams.emplace_back();
        s.valid = o.valid.text();
        s.index = o.index.text();
        s.ready = o.ready;
        s.text << "strobe " << (o.field == "spike" ? 1 : 0) << ' ' << (o.ready.empty() ? 0 : 1);
        if (!o.ready.empty()) Resolver::put(s.text, r.input(o.ready, o.where));
        r.put(s.text, o.valid);
        r.put(s.text, o.index);
        s.text << '\n';
        return s;
    };
    std::vector<std::string> known = {"spike"};
    for (const auto& field : golden_shape.fields) known.push_back(field.name);
    std::optional<bool> after_edge;
    std::ostringstream fields;
    bool spike_seen = false;
    for (const ObserveSpec& o : m.observe)
        if (std::find(known.begin(), known.end(), o.field) == known.end() && o.field != "u" &&
            o.field != "refr")
            bad(Errc::NotFound, "unknown field '" + o.field + "'" + did_you_mean(o.field, known),
                o.where + ": [[observe]]");
    const auto phase = [&](const ObserveSpec& o) {
        if (after_edge && *after_edge != o.after_edge)
            bad(Errc::Unsupported, "all values sampled once a timestep must have the same phase",
                o.where);
        after_edge = o.after_edge;
    };
    for (const auto& spec : golden_shape.fields) {
        const auto found = std::find_if(m.observe.begin(), m.observe.end(),
                                        [&](const ObserveSpec& o) { return o.field == spec.name; });
        if (found == m.observe.end()) continue;
        const auto field_index = plan.shape.fields.size();
        plan.shape.fields.push_back(spec);
        fields << "field " << spec.name << ' ' << spec.bytes << ' ' << spec.bits << ' '
               << (spec.is_signed ? 1 : 0) << '\n';
        if (!found->valid.empty()) {
            Stream& s = stream_for(*found);
            if (r.plain(found->value)) {
                const FieldRef f = r.field(found->value.root(), found->where, std::nullopt);
                if (f.width != static_cast<std::uint32_t>(spec.bits))
                    bad(Errc::Mismatch,
                        width_message("'" + found->value.text() + "'", f.width, spec.name,
                                      spec.bits),
                        found->where);
            }
            s.text << "value " << field_index;
            r.put(s.text, found->value);
            s.text << '\n';
        } else {
            phase(*found);
            fields << "gather " << field_index;
            for (std::uint32_t i = 0; i < n; ++i) {
                const FieldRef f =
                    r.checked(r.field(found->value.root(), found->where, i), found->where);
                if (f.width != static_cast<std::uint32_t>(spec.bits))
                    bad(Errc::Mismatch,
                        width_message("'" + found->value.text() + "'", f.width, spec.name,
                                      spec.bits),
                        found->where);
                Resolver::put(fields, f);
            }
            fields << '\n';
        }
    }
    for (const ObserveSpec& o : m.observe) {
        if (o.field != "spike") continue;
        spike_seen = true;
        if (!o.valid.empty()) {
            stream_for(o);
        } else {
            phase(o);
            fields << "spikes";
            for (std::uint32_t i = 0; i < n; ++i) {
                const FieldRef f = r.field(o.value.root(), o.where, i);
                if (f.width != 1)
                    bad(Errc::Mismatch,
                        "'" + o.value.text() + "' is " + std::to_string(f.width) +
                            " bits wide; a spike has 1, e.g. spike_o[i]",
                        o.where);
                Resolver::put(fields, f);
            }
            fields << '\n';
        }
    }
    if (!spike_seen)
        bad(Errc::BadConfig,
            "spikes are not observed: expected an [[observe]] with field = \"spike\"", file);
    fields << "phase " << (after_edge.value_or(true) ? "after_edge" : "before_edge") << '\n';
    for (const Stream& s : streams) fields << s.text.str();

    put_steps(body, r, m.startup, "startup", true);
    if (!m.clear.empty()) put_steps(body, r, m.clear, "clear", false);
    plan.startup = m.startup;

    const auto share = [](double p) {
        return static_cast<std::uint32_t>(std::lround(p * 65536.0));
    };
    fields << "pacing " << (m.pacing.drain ? "drain" : "burst") << ' '
           << share(m.pacing.gap_probability) << ' ' << m.pacing.gap_clocks << ' '
           << share(m.pacing.stall_probability) << ' ' << m.stimulus.seed << '\n';

    for (const MapSpec& map : m.maps)
        if (!map.memory.empty()) r.index(map.memory, map.where);

    std::ostringstream text;
    for (const std::string& name : plan.signals) text << "sig " << name << '\n';
    text << body.str() << fields.str();
    plan.text = text.str();
    return plan;
}

/// Names and values of one element of a map.
using Values = std::vector<std::pair<const char*, std::int64_t>>;

std::uint64_t value_of(const Expression& e, const Values& values) {
    Result<std::int64_t> result = e.evaluate([&](const std::string& name) -> Result<std::int64_t> {
        for (const auto& [known, value] : values)
            if (name == known) return value;
        std::vector<std::string> names;
        for (const auto& [known, value] : values) names.emplace_back(known);
        return Error{
            Errc::NotFound,
            "unknown name '" + name + "' in a [[map]] expression" + did_you_mean(name, names),
            e.where()};
    });
    if (!result) throw Bad{result.error()};
    return static_cast<std::uint64_t>(*result);
}

/// Whether a row's synapses go to consecutive targets with one delay, which some cores store
/// densely.
struct RowShape {
    bool dense = false;
    std::uint32_t base = 0;  ///< first target; 0 for an empty row, as is the delay
    std::uint32_t delay = 0;
};

RowShape shape_of(std::span<const golden::Synapse> row) {
    if (row.empty()) return {};
    RowShape shape{true, row[0].target, row[0].delay};
    for (std::size_t i = 1; i < row.size(); ++i)
        shape.dense = shape.dense && row[i].target == shape.base + i && row[i].delay == shape.delay;
    return shape;
}

std::vector<MapWord> make_words(const Manifest& m, const Plan& plan, const SignalTable& table,
                                const golden::Network& net) {
    std::vector<MapWord> words;
    const auto add = [&](std::uint32_t map_index, const Values& values, const std::string& what) {
        const MapSpec& map = m.maps[map_index];
        MapWord word;
        word.map = map_index;
        word.width = map.width;
        word.what = what;
        const auto value = static_cast<std::int64_t>(value_of(map.value, values));
        const std::uint64_t mask = map.width == 64 ? ~0ULL : (1ULL << map.width) - 1;
        const bool fits = map.width == 64 || (value >= -(1LL << (map.width - 1)) &&
                                              value <= static_cast<std::int64_t>(mask));
        if (!fits)
            bad(Errc::BadConfig,
                "value " + std::to_string(value) + " of " + what + " does not fit in " +
                    std::to_string(map.width) + " bits",
                map.where + ": [[map]]");
        word.data = static_cast<std::uint64_t>(value) & mask;
        if (!map.address.empty()) {
            word.address = value_of(map.address, values);
        } else {
            word.back_door = true;
            word.signal = static_cast<std::uint32_t>(
                std::find(plan.signals.begin(), plan.signals.end(), map.memory) -
                plan.signals.begin());
            const std::uint64_t at = map.word.empty() ? 0 : value_of(map.word, values);
            const std::uint64_t lsb = map.lsb.empty() ? 0 : value_of(map.lsb, values);
            const Signal& s = table.at(map.memory);
            if (at >= s.words)
                bad(Errc::Mismatch,
                    "word " + std::to_string(at) + " of '" + map.memory + "' for " + what +
                        ", which has " + std::to_string(s.words) + " words",
                    map.where + ": [[map]]");
            if (lsb + map.width > s.bits)
                bad(Errc::Mismatch,
                    "bits " + std::to_string(lsb) + "+:" + std::to_string(map.width) + " of '" +
                        map.memory + "', which has " + std::to_string(s.bits),
                    map.where + ": [[map]]");
            word.word = static_cast<std::uint32_t>(at);
            word.lsb = static_cast<std::uint32_t>(lsb);
        }
        words.push_back(std::move(word));
    };
    const golden::Arithmetic& a = net.arithmetic;
    for (std::uint32_t index = 0; index < m.maps.size(); ++index) {
        switch (m.maps[index].array) {
            case MapSpec::Array::Global:
                add(index,
                    {{"leak_mode", static_cast<int>(a.leak_mode)},
                     {"rounding", static_cast<int>(a.rounding)},
                     {"v_overflow", static_cast<int>(a.v_overflow)},
                     {"acc_overflow", static_cast<int>(a.acc_overflow)},
                     {"compare", static_cast<int>(a.compare)},
                     {"reset_mode", static_cast<int>(a.reset_mode)},
                     {"weight_shift", a.weight_shift},
                     {"u_shift", a.u_shift},
                     {"n_neurons", net.n_neurons()},
                     {"n_axons", net.n_axons()},
                     {"n_synapses", static_cast<std::int64_t>(net.synapses.size())},
                     {"threshold", net.neurons.empty() ? 0 : net.neurons[0].threshold},
                     {"leak", net.neurons.empty() ? 0 : net.neurons[0].leak}},
                    "the globals");
                break;
            case MapSpec::Array::Neuron:
                for (std::uint32_t n = 0; n < net.n_neurons(); ++n) {
                    const golden::NeuronParams& p = net.neurons[n];
                    add(index,
                        {{"n", n},
                         {"threshold", p.threshold},
                         {"v_reset", p.v_reset},
                         {"bias", p.bias},
                         {"leak", p.leak},
                         {"u_decay", p.u_decay},
                         {"refractory", p.refractory},
                         {"spiking", p.spiking},
                         {"cuba", p.cuba}},
                        "neuron " + std::to_string(n));
                }
                break;
            case MapSpec::Array::Row:
                for (std::uint32_t s = 0; s + 1 < net.row_begin.size(); ++s) {
                    const RowShape row = shape_of(net.row(s));
                    add(index,
                        {{"s", s},
                         {"first", net.row_begin[s]},
                         {"length", net.row_begin[s + 1] - net.row_begin[s]},
                         {"dense", row.dense},
                         {"base", row.base},
                         {"delay", row.delay},
                         {"is_neuron", s >= net.n_axons()},
                         {"n", static_cast<std::int64_t>(s) - net.n_axons()},
                         {"n_axons", net.n_axons()}},
                        "row " + std::to_string(s));
                }
                break;
            case MapSpec::Array::Synapse:
                for (std::uint32_t s = 0; s + 1 < net.row_begin.size(); ++s)
                    for (std::uint32_t k = net.row_begin[s]; k < net.row_begin[s + 1]; ++k) {
                        const golden::Synapse& y = net.synapses[k];
                        add(index,
                            {{"k", k},
                             {"source", s},
                             {"target", y.target},
                             {"weight", y.weight},
                             {"delay", y.delay}},
                            "synapse " + std::to_string(k));
                    }
                break;
            case MapSpec::Array::Dense: {
                std::vector<std::int64_t> row(net.n_neurons());
                for (std::uint32_t s = 0; s + 1 < net.row_begin.size(); ++s) {
                    std::fill(row.begin(), row.end(), 0);
                    for (const golden::Synapse& y : net.row(s)) row[y.target] += y.weight;
                    for (std::uint32_t n = 0; n < net.n_neurons(); ++n)
                        add(index,
                            {{"pre", s},
                             {"post", n},
                             {"weight", row[n]},
                             {"n_axons", net.n_axons()},
                             {"n_neurons", net.n_neurons()}},
                            "weight[" + std::to_string(s) + ", " + std::to_string(n) + "]");
                }
                break;
            }
        }
    }
    if (!m.config)
        for (const MapWord& word : words)
            if (!word.back_door)
                bad(Errc::BadConfig,
                    "'address' needs a section [config] that names the configuration port",
                    m.maps[word.map].where + ": [[map]]");
    return words;
}
}  // namespace

Result<Plan> resolve(const Manifest& manifest, const SignalTable& signals,
                     const golden::Network& network) {
    try {
        return make_plan(manifest, signals, network);
    } catch (const Bad& caught) {
        return caught.error;
    }
}

Result<std::vector<MapWord>> map_words(const Manifest& manifest, Plan& plan,
                                       const SignalTable& signals, const golden::Network& network) {
    try {
        return make_words(manifest, plan, signals, network);
    } catch (const Bad& caught) {
        return caught.error;
    }
}

}  // namespace spikelock::manifest

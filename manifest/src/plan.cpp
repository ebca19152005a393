// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/plan.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include "resolver.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::manifest {

namespace {
using detail::FieldRef;
using detail::plan_error;
using detail::PlanError;
using detail::Resolver;
using detail::Sized;

/// The value of a step in the bits of its port.
std::uint64_t fitting(const StartupStep& step, std::uint32_t width) {
    if (width >= 64) return step.value;
    const auto value = static_cast<std::int64_t>(step.value);
    if (value >= std::int64_t{1} << width || value < -(std::int64_t{1} << (width - 1)))
        plan_error(Errc::BadConfig,
                   "value = " + std::to_string(value) + " does not fit in the " +
                       std::to_string(width) + " bits of '" + step.signal + "'",
                   step.where);
    return step.value & ((std::uint64_t{1} << width) - 1);
}

void put_steps(std::ostream& out, Resolver& r, const std::vector<StartupStep>& steps,
               const std::string& name, bool one_each) {
    if (!one_each) out << "program " << name << '\n';
    std::size_t k = 0;
    for (const StartupStep& step : steps) {
        if (one_each) out << "program " << name << k++ << '\n';
        switch (step.kind) {
            case StartupStep::Kind::Load:
                if (!one_each)
                    plan_error(Errc::BadConfig, "'load' is only possible in [[startup]]",
                               step.where);
                break;
            case StartupStep::Kind::Reset: {
                const FieldRef f = r.input(step.signal, step.where);
                const std::uint64_t all = f.width >= 64 ? ~0ULL : (1ULL << f.width) - 1;
                const std::uint64_t active = step.active_low ? 0 : all;
                out << "reset";
                Resolver::put(out, f);
                out << ' ' << active << ' ' << step.clocks << '\n';
                break;
            }
            case StartupStep::Kind::Set: {
                const FieldRef f = r.input(step.signal, step.where);
                out << "set";
                Resolver::put(out, f);
                out << ' ' << fitting(step, f.width) << '\n';
                break;
            }
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
            case StartupStep::Kind::Call:
                out << "call " << step.limit_clocks << ' ' << step.signal << '\n';
                break;
        }
    }
}

std::string width_message(const std::string& what, std::uint32_t bits, const std::string& field,
                          int wanted) {
    return what + " is " + std::to_string(bits) + " bits wide, but the golden's " + field +
           " has " + std::to_string(wanted) +
           " bits; give both the same width: in [network.quantise], the network's JSON or [golden]";
}

bool converts(const ObserveSpec& o) {
    return o.inverted || o.reversed || o.encoding != ObserveSpec::Encoding::TwosComplement;
}

/// Appends what turns `w` bits as they stand into a number, as an entry says.
void convert(std::vector<std::string>& tokens, const ObserveSpec& o, std::uint32_t w) {
    using Encoding = ObserveSpec::Encoding;
    const auto constant = [](std::uint64_t value) { return "# " + std::to_string(value); };
    const std::uint64_t all = w >= 64 ? ~0ULL : (1ULL << w) - 1;
    const std::uint64_t magnitude = all >> 1;
    const auto add = [&tokens](std::initializer_list<std::string> more) {
        tokens.insert(tokens.end(), more);
    };
    if (o.reversed) add({"rev " + std::to_string(w)});
    if (o.inverted) add({constant(all), "^"});
    if (o.encoding == Encoding::TwosComplement) return;
    if (o.encoding == Encoding::Offset) {
        add({constant(magnitude + 1), "-"});
        return;
    }
    const std::vector<std::string> raw = tokens;  // sign ? -magnitude : magnitude
    add({constant(w - 1), ">>"});
    tokens.insert(tokens.end(), raw.begin(), raw.end());
    if (o.encoding == Encoding::OnesComplement) add({"~"});
    add({constant(magnitude), "&", "neg"});
    tokens.insert(tokens.end(), raw.begin(), raw.end());
    add({constant(magnitude), "&", "?:"});
}

/// Neurons begin..end-1 of an [[observe]] entry.
struct Range {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
};

/// Turns manifest, signals and network into the text for the host. Throws PlanError.
class Planner {
public:
    /// @param drives  false: what is shown elsewhere is only observed
    Planner(const Manifest& m, const SignalTable& table, const golden::Network& network,
            bool drives)
        : m_(m),
          network_(network),
          drives_(drives),
          r_(m, table, plan_, drives ? "the core" : "the waveform") {}

    Plan make() {
        plan_.shape = network_.shape();
        golden_fields_ = fields_of_golden();
        plan_.shape.fields.clear();
        body_ << "neurons " << network_.n_neurons() << ' ' << network_.n_axons() << '\n';
        put_clocks();
        put_config();
        put_timestep();
        if (drives_) {
            put_inputs();
            put_side_bands();
        } else if (ticks_by_event()) {
            put_tick_event();
        }
        put_observations();
        put_taken();
        put_steps(body_, r_, m_.startup, "startup", true);
        if (!m_.clear.empty()) put_steps(body_, r_, m_.clear, "clear", false);
        plan_.startup = m_.startup;
        if (drives_) {
            put_pacing();
            for (const auto& [name, value] : m_.adapter.options)
                fields_ << "option " << name << ' ' << value << '\n';
            for (const std::string& name : m_.adapter.writes)
                fields_ << "adapter_writes " << name << '\n';
            for (const MapSpec& map : m_.maps)
                if (!map.memory.empty()) r_.index(map.memory, map.where);
        }

        std::ostringstream text;
        for (const std::string& name : plan_.signals) text << "sig " << name << '\n';
        // Fields and what they cover come before the parts and streams that refer to them.
        text << body_.str() << declarations_.str() << fields_.str();
        for (const Stream& s : streams_) text << s.text.str();
        plan_.text = text.str();
        return std::move(plan_);
    }

private:
    /// What the golden of this manifest shows: as [golden] describes it, else as the network says.
    std::vector<trace::FieldSpec> fields_of_golden() const {
        if (m_.golden.description) {
            golden::Description description = golden::describe(network_);
            if (golden::apply(*m_.golden.description, description) &&
                !golden::is_plain(network_, description))
                // One that cannot be computed is told where it is wanted.
                if (const auto source = golden::DescribedSource::create(
                        network_, std::move(description), golden::Kernel::Scalar))
                    return (*source)->shape().fields;
        }
        return network_.shape().fields;
    }
    /// Values that share valid, index and all else are one stream.
    struct Stream {
        std::string key;
        std::size_t cover = 0;
        std::ostringstream text;
    };
    struct Cover {
        bool keep = false;
        bool once = false;
        Range range;
        std::vector<std::size_t> fields;
    };

    void put_clocks() {
        body_ << "clock";
        Resolver::put(body_, r_.input(m_.clock, m_.path + ": clock"));
        body_ << '\n';
        for (const ExtraClockSpec& x : m_.extra_clocks) {
            body_ << "xclock";
            Resolver::put(body_, r_.input(x.port, x.where));
            body_ << ' ' << x.ratio_num << ' ' << x.ratio_den << ' ' << x.phase_num << ' '
                  << x.phase_den << '\n';
        }
    }
    void put_config() {
        if (!m_.config) return;
        const std::string where = m_.path + ": [config]";
        body_ << "config " << m_.config->read_latency;
        for (const std::string* name : {&m_.config->write, &m_.config->address, &m_.config->data})
            Resolver::put(body_, r_.input(*name, where));
        body_ << '\n';
        if (m_.config->read_data.empty()) return;
        body_ << "config_read";
        Resolver::put(body_, r_.checked(r_.output(m_.config->read_data, where), where));
        body_ << '\n';
    }
    void put_expression(const char* key, const Expression& e) {
        if (e.empty()) return;
        body_ << key;
        r_.put(body_, e);
        body_ << '\n';
    }
    void put_timestep() {
        using Mode = TimestepSpec::Kind;
        const TimestepSpec& t = m_.timestep;
        body_ << "timestep "
              << (t.kind == Mode::Handshake ? "handshake"
                  : t.kind == Mode::Clocked ? "clocked"
                  : t.kind == Mode::Aer     ? "aer"
                                            : "custom")
              << ' ' << t.limit_clocks << ' ' << t.clocks << '\n';
        if (t.kind == Mode::Handshake) {
            body_ << "start";
            Resolver::put(body_, r_.input(t.start, t.where + ": timestep.start"));
            body_ << '\n';
            put_expression("done", t.done);
        }
        // An adapter's step() returns when it likes; elsewhere this says when.
        if (t.kind == Mode::Custom && !drives_) put_expression("done", t.done);
        put_expression("idle", t.idle);
        if (t.kind != Mode::Aer) return;
        body_ << "aer " << t.tick_first << ' ' << t.settle << ' ' << t.idle_clocks << ' '
              << t.quiet_clocks << '\n';
        if (!t.tick.empty()) {
            body_ << "tick " << t.tick_clocks;
            Resolver::put(body_, r_.input(t.tick, t.where + ": timestep.tick"));
            body_ << '\n';
        }
        for (const std::string& text : t.quiet) {
            FieldRef f = r_.output(text, t.where + ": timestep.quiet");
            const std::uint32_t end = f.lsb + f.width;
            for (; f.lsb < end; f.lsb += 64) {
                f.width = std::min(64U, end - f.lsb);
                body_ << "quiet";
                Resolver::put(body_, f);
                body_ << '\n';
            }
        }
    }

    // ---- inputs
    std::size_t port_index(const std::string& label, const std::string& where) const {
        if (label.empty() && network_.ports.size() == 1) return 0;
        std::vector<std::string> labels;
        for (std::size_t p = 0; p < network_.ports.size(); ++p) {
            if (network_.ports[p].label == label) return p;
            labels.push_back(network_.ports[p].label);
        }
        plan_error(Errc::NotFound,
                   label.empty() ? "expected the label of one of the network's " +
                                       std::to_string(labels.size()) + " input ports"
                                 : "the network has no input port '" + label + "'" +
                                       did_you_mean(label, labels),
                   where);
    }
    const InputSpec* input_of(std::size_t p) const {
        for (const InputSpec& i : m_.inputs)
            if (i.port == network_.ports[p].label || (i.port.empty() && network_.ports.size() == 1))
                return &i;
        return nullptr;
    }
    /// Input ports, in the order of the network's.
    void put_inputs() {
        using Mode = TimestepSpec::Kind;
        const Mode kind = m_.timestep.kind;
        plan_.takes_events = kind == Mode::Custom || !m_.inputs.empty();
        if (kind == Mode::Custom || (kind == Mode::Clocked && m_.inputs.empty())) return;
        for (std::size_t p = 0; p < network_.ports.size(); ++p) put_input(p);
        for (const InputSpec& input : m_.inputs)
            if (!input.port.empty()) (void)port_index(input.port, input.where);
        if (ticks_by_event()) put_tick_event();
    }
    bool ticks_by_event() const {
        return m_.timestep.kind == TimestepSpec::Kind::Aer && !m_.timestep.tick_address.empty();
    }
    void put_tick_event() {
        const TimestepSpec& t = m_.timestep;
        const std::string& where = t.tick_address.where();
        const std::size_t port =
            t.tick_port.empty() ? 0 : port_index(t.tick_port, t.where + ": timestep.tick_port");
        const InputSpec* input = port < network_.ports.size() ? input_of(port) : nullptr;
        if (!input || !input->bits.empty())
            plan_error(Errc::BadConfig, "'tick_address' needs an [[input]] with an address", where);
        if (!drives_) put_input(port);
        const std::int64_t code = r_.number(t.tick_address.root(), where, std::nullopt);
        const FieldRef address = r_.input(input->address, input->where);
        if (code < 0 || (address.width < 63 && (code >> address.width) != 0))
            plan_error(Errc::Mismatch,
                       "tick_address " + std::to_string(code) + " does not fit in the " +
                           std::to_string(address.width) + " bits of '" + input->address + "'",
                       where);
        body_ << "tick_event " << port << ' ' << code << '\n';
    }
    void put_input(std::size_t p) {
        const golden::InputPort& port = network_.ports[p];
        const InputSpec* const found = input_of(p);
        if (!found)
            plan_error(Errc::BadConfig,
                       "no [[input]] for the network's input port '" + port.label + "'", m_.path);
        const InputSpec& input = *found;
        const std::uint32_t count = port.end - port.begin;
        if (!input.bits.empty()) {
            body_ << "input " << p << " bits " << input.pulse << ' ' << count;
            for (std::uint32_t i = 0; i < count; ++i) {
                const FieldRef f = r_.driven(input.bits.root(), input.bits.where(), i);
                if (f.width != 1)
                    plan_error(Errc::Mismatch,
                               "'" + input.bits.text() + "' is " + std::to_string(f.width) +
                                   " bits wide; an axon has 1, e.g. in_i[i]",
                               input.bits.where());
                Resolver::put(body_, f);
            }
            body_ << '\n';
            return;
        }
        const FieldRef address = r_.input(input.address, input.where);
        body_ << "input " << p << (input.four_phase ? " four" : " two");
        Resolver::put(body_, r_.input(input.valid, input.where));
        Resolver::put(body_, address);
        r_.put(body_, input.ready);
        if (input.encode.empty()) {
            if (count > 0 && address.width < 32 && ((count - 1) >> address.width) != 0)
                plan_error(Errc::Mismatch,
                           "'" + input.address + "' has " + std::to_string(address.width) +
                               " bits, but the network has axons up to " +
                               std::to_string(count - 1),
                           input.where);
            body_ << " 0\n";
            return;
        }
        body_ << ' ' << count;
        for (std::uint32_t axon = 0; axon < count; ++axon) {
            const std::uint64_t code = code_of(input, axon);
            if (address.width < 64 && (code >> address.width) != 0)
                plan_error(Errc::Mismatch,
                           "axon " + std::to_string(axon) + " has the address " +
                               std::to_string(code) + ", but '" + input.address + "' has " +
                               std::to_string(address.width) + " bits",
                           input.encode.where());
            body_ << ' ' << code;
        }
        body_ << '\n';
    }
    std::uint64_t code_of(const InputSpec& input, std::uint32_t axon) const {
        const auto look_up = [&](const std::string& name) -> Result<std::int64_t> {
            if (name == "axon" || name == "i") return std::int64_t{axon};
            if (auto value = r_.look_up(name, input.encode.where(), std::nullopt)) return value;
            return Error{
                Errc::NotFound,
                "unknown name '" + name + "'; only axon and core.parameters are known in 'encode'",
                input.encode.where()};
        };
        Result<std::int64_t> code = input.encode.evaluate(look_up);
        if (!code) throw PlanError{code.error()};
        return static_cast<std::uint64_t>(*code);
    }
    void put_side_bands() {
        const std::uint32_t n = network_.n_neurons();
        for (const SideBandSpec& band : m_.side_bands) {
            std::ostringstream cells;
            std::uint32_t width = 0;
            std::uint32_t narrowest = 64;
            for (std::uint32_t i = 0; i < n; ++i) {
                const FieldRef f = r_.driven(band.target.root(), band.where, i);
                width = std::max(width, f.width);
                narrowest = std::min(narrowest, f.width);
                Resolver::put(cells, f);
            }
            const auto bytes = static_cast<std::uint32_t>(width <= 8 ? 1 : width <= 16 ? 2 : 4);
            plan_.side_bands.push_back(band.name);
            plan_.side_band_bytes.push_back(bytes);
            plan_.side_band_bits.push_back(narrowest);
            body_ << "sideband " << band.name << ' ' << n << ' ' << bytes << " at" << cells.str()
                  << '\n';
        }
    }

    // ---- observations
    Range range_of(const ObserveSpec& o) const {
        if (o.population.empty()) return {0, network_.n_neurons()};
        Result<trace::Population> found = plan_.shape.population(o.population);
        if (!found) plan_error(Errc::NotFound, found.error().message, o.where + ": [[observe]]");
        return {found->begin, found->end};
    }
    /// Entries of a field, in the order of the manifest; each neuron must be observed exactly once.
    std::vector<const ObserveSpec*> entries_of(const std::string& field) const {
        std::vector<const ObserveSpec*> entries;
        for (const ObserveSpec& o : m_.observe)
            if (o.field == field) entries.push_back(&o);
        if (entries.empty()) return entries;
        std::vector<const ObserveSpec*> by(network_.n_neurons(), nullptr);
        for (const ObserveSpec* o : entries) {
            const Range range = range_of(*o);
            for (std::uint32_t n = range.begin; n < range.end; ++n) {
                if (by[n])
                    plan_error(Errc::BadConfig,
                               "'" + field + "' of " + plan_.shape.neuron_name(n) +
                                   " is observed here and at " + by[n]->where,
                               o->where + ": [[observe]]");
                by[n] = o;
            }
        }
        for (std::uint32_t n = 0; n < by.size(); ++n)
            if (!by[n])
                plan_error(Errc::BadConfig,
                           "'" + field + "' of " + plan_.shape.neuron_name(n) +
                               " is not observed; expected [[observe]] entries for all populations",
                           entries.front()->where + ": [[observe]]");
        return entries;
    }
    std::size_t add_cover(bool keep, bool once, Range range) {
        covers_.push_back({keep, once, range, {}});
        return covers_.size() - 1;
    }
    Stream& stream_for(const ObserveSpec& o) {
        const bool spike = o.field == "spike";
        const Range range = range_of(o);
        std::ostringstream key;
        key << o.valid.text() << '\n' << o.index.text() << '\n' << o.ready << '\n';
        key << o.four_phase << o.after_edge << o.keep << ' ' << o.latency << ' ' << range.begin;
        key << ' ' << o.timestep.text() << '\n' << o.marker.text() << '\n';
        key << o.late << ' ' << o.timestep_first << ' ' << o.timestep_restarts;
        if (!spike)
            for (Stream& s : streams_)
                if (s.key == key.str()) return s;
        Stream& s = streams_.emplace_back();
        if (!spike) {
            s.key = key.str();
            s.cover = add_cover(o.keep, !o.keep, range);
        }
        s.text << "strobe " << (spike ? (o.counts ? 2 : 1) : 0) << ' ' << o.after_edge << ' '
               << o.latency << ' ' << range.begin << ' ' << range.end << ' '
               << (spike ? "-1" : std::to_string(s.cover)) << ' '
               << (o.ready.empty() ? 0
                   : o.four_phase  ? 2
                                   : 1);
        if (!o.ready.empty()) Resolver::put(s.text, r_.input(o.ready, o.where));
        r_.put(s.text, o.valid);
        r_.put(s.text, o.index);
        s.text << '\n';
        if (!o.timestep.empty() || !o.marker.empty()) put_attribute(s.text, o);
        return s;
    }
    void put_attribute(std::ostream& out, const ObserveSpec& o) {
        const Expression& e = o.marker.empty() ? o.timestep : o.marker;
        std::vector<std::string> tokens;
        const Sized sized = r_.emit(e.root(), e.where(), std::nullopt, tokens);
        out << "attribute " << (o.marker.empty() ? "number " : "marker ") << o.late << ' '
            << (sized.width > 0 ? sized.width : 64) << ' ' << o.timestep_first << ' '
            << o.timestep_restarts;
        Resolver::put(out, tokens, e.where());
        out << '\n';
    }
    /// Postfix code of a value, its bits taken as the entry says.
    void put_value(std::ostream& out, const ObserveSpec& o, const trace::FieldSpec& spec,
                   std::optional<std::int64_t> i) {
        std::vector<std::string> tokens;
        const Sized sized = r_.emit(o.value.root(), o.where, i, tokens);
        const std::uint32_t w = sized.width;
        if (w == 0 && converts(o))
            plan_error(Errc::BadConfig,
                       "'inverted', 'reversed' and 'encoding' need a value of known width: a "
                       "signal, or a bit or slice of one",
                       o.where);
        const auto wanted = static_cast<std::uint32_t>(spec.bits);
        const bool extended =
            sized.is_signed || o.encoding != ObserveSpec::Encoding::TwosComplement;
        if (w != 0 && (extended ? w > wanted : w != wanted))
            plan_error(Errc::Mismatch,
                       width_message("'" + o.value.text() + "'", w, spec.name, spec.bits) +
                           (w < wanted ? ", or write $signed(...) for a narrower number" : ""),
                       o.where);
        if (converts(o)) convert(tokens, o, w);
        Resolver::put(out, tokens, o.where);
    }
    /// Whether a value is one bit field, at a place that no signal selects.
    bool one_field(const ObserveSpec& o) {
        if (converts(o)) return false;
        std::vector<std::string> tokens;
        r_.emit(o.value.root(), o.where, 0, tokens);
        return tokens.size() == 1 && tokens[0].rfind("@ ", 0) == 0;
    }
    /// A value of every neuron. @param spec  null: spikes
    void put_part(const ObserveSpec& o, int field, const trace::FieldSpec* spec) {
        const Range range = range_of(o);
        int shown = -1;
        if (!o.trigger.empty() && spec) {
            shown = static_cast<int>(add_cover(o.keep, false, range));
            covers_.back().fields.push_back(static_cast<std::size_t>(field));
        }
        fields_ << "part " << field << ' ' << o.after_edge << ' ' << o.latency << ' ' << range.begin
                << ' ' << range.end << ' ' << shown << ' ' << !o.trigger.empty();
        if (!o.trigger.empty()) r_.put(fields_, o.trigger);
        const bool table = one_field(o);
        if (table && o.bits == 0 && range.end - range.begin > 1 &&
            r_.field(o.value.root(), o.where, 0) == r_.field(o.value.root(), o.where, 1))
            plan_error(Errc::BadConfig,
                       "'" + o.value.text() + "' is the same for each of " +
                           std::to_string(range.end - range.begin) +
                           " neurons; 'i' in it stands for the neuron, e.g. v_o[i]",
                       o.where);
        fields_ << (table ? " table" : " expressions");
        for (std::uint32_t n = range.begin; n < range.end; ++n) {
            const std::int64_t i = n - range.begin;
            if (!spec) {
                put_spike(o, i, table);
            } else if (table) {
                const FieldRef f = r_.checked(r_.field(o.value.root(), o.where, i), o.where);
                if (f.width != static_cast<std::uint32_t>(spec->bits))
                    plan_error(
                        Errc::Mismatch,
                        width_message("'" + o.value.text() + "'", f.width, spec->name, spec->bits),
                        o.where);
                Resolver::put(fields_, f);
            } else {
                put_value(fields_, o, *spec, i);
            }
        }
        fields_ << '\n';
    }
    void put_spike(const ObserveSpec& o, std::int64_t i, bool table) {
        if (table) {
            const FieldRef f = r_.field(o.value.root(), o.where, i);
            if (f.width != 1)
                plan_error(Errc::Mismatch,
                           "'" + o.value.text() + "' is " + std::to_string(f.width) +
                               " bits wide; a spike has 1, e.g. spike_o[i]",
                           o.where);
            Resolver::put(fields_, f);
            return;
        }
        std::vector<std::string> tokens;
        const Sized sized = r_.emit(o.value.root(), o.where, i, tokens);
        if (o.inverted) {
            if (sized.width != 1)
                plan_error(Errc::Mismatch, "an inverted spike needs one bit, e.g. spike_no[i]",
                           o.where);
            tokens.insert(tokens.end(), {"# 1", "^"});
        }
        Resolver::put(fields_, tokens, o.where);
    }
    void put_observations() {
        std::vector<std::string> known = {"spike"};
        for (const auto& field : golden_fields_) known.push_back(field.name);
        for (const ObserveSpec& o : m_.observe) {
            if (std::find(known.begin(), known.end(), o.field) != known.end()) continue;
            // This network has none. A golden of the user's may have it all the same.
            const bool of_others = o.field == "u" || o.field == "refr";
            if (of_others && o.bits == 0 && !m_.golden.given()) continue;
            if (o.bits == 0 && !of_others)
                plan_error(Errc::NotFound,
                           "unknown field '" + o.field + "'" + did_you_mean(o.field, known) +
                               " (a field of your own needs 'bits')",
                           o.where + ": [[observe]]");
            trace::FieldSpec own;
            own.name = o.field;
            own.bits = static_cast<int>(o.bits);
            own.is_signed = o.is_signed;
            if (o.bits == 0) {
                own.bits =
                    o.field == "u" ? network_.arithmetic.u_bits : network_.arithmetic.refr_bits;
                own.is_signed = o.field == "u";
            }
            own.bytes = trace::storage_bytes(own.bits);
            golden_fields_.push_back(own);
            known.push_back(o.field);
        }
        for (const trace::FieldSpec& spec : golden_fields_) {
            const std::vector<const ObserveSpec*> entries = entries_of(spec.name);
            if (entries.empty()) continue;
            const std::size_t index = plan_.shape.fields.size();
            plan_.shape.fields.push_back(spec);
            declarations_ << "field " << spec.name << ' ' << spec.bytes << ' ' << spec.bits << ' '
                          << spec.is_signed << '\n';
            for (const ObserveSpec* o : entries) put_field(*o, index, spec);
        }
        put_spikes();
        for (const Cover& c : covers_) {
            declarations_ << "cover " << c.keep << ' ' << c.once << ' ' << c.range.begin << ' '
                          << c.range.end << ' ' << c.fields.size();
            for (const std::size_t f : c.fields) declarations_ << ' ' << f;
            declarations_ << '\n';
        }
        for (const ObserveSpec& o : m_.observe)
            plan_.lag = std::max({plan_.lag, o.latency, o.late});
        plan_.shape.order = !m_.taken.empty() || m_.adapter.order;
        declarations_ << "lists " << plan_.shape.counts << ' ' << plan_.shape.events << ' '
                      << plan_.shape.order << ' ' << adapter_counts_ << ' ' << plan_.lag << '\n';
    }
    void put_field(const ObserveSpec& o, std::size_t index, const trace::FieldSpec& spec) {
        if (o.signed_given && o.is_signed != spec.is_signed)
            plan_error(Errc::Mismatch,
                       std::string("signed = ") + (o.is_signed ? "true" : "false") +
                           ", but the golden's " + spec.name + " is " +
                           (spec.is_signed ? "signed" : "unsigned") +
                           (spec.name == "v" ? "; [golden] says which, by v.signed" : ""),
                       o.where);
        if (o.bits != 0 && o.bits != static_cast<std::uint32_t>(spec.bits))
            plan_error(Errc::Mismatch,
                       "bits = " + std::to_string(o.bits) + ", but the network's " + spec.name +
                           " has " + std::to_string(spec.bits),
                       o.where);
        if (o.adapter) {
            if (o.latency > 0 || !o.population.empty())
                plan_error(Errc::Unsupported,
                           "a field from the adapter is of the timestep that runs, and of all "
                           "neurons: expected neither 'latency' nor 'population'",
                           o.where);
            const std::size_t c = add_cover(o.keep, false, range_of(o));
            covers_[c].fields.push_back(index);
            fields_ << "given " << index << ' ' << c << '\n';
        } else if (o.strobed()) {
            Stream& s = stream_for(o);
            covers_[s.cover].fields.push_back(index);
            s.text << "value " << index;
            put_value(s.text, o, spec, std::nullopt);
            s.text << '\n';
        } else {
            put_part(o, static_cast<int>(index), &spec);
        }
    }
    void put_spikes() {
        const std::vector<const ObserveSpec*> entries = entries_of("spike");
        if (entries.empty())
            plan_error(Errc::BadConfig,
                       "spikes are not observed: expected an [[observe]] with field = \"spike\"",
                       m_.path);
        for (const ObserveSpec* o : entries) {
            plan_.shape.counts = plan_.shape.counts || o->counts;
            plan_.shape.events = plan_.shape.events || o->events;
            if (o->adapter)
                adapter_counts_ = adapter_counts_ || o->counts;
            else if (o->strobed())
                stream_for(*o);
            else
                put_part(*o, -1, nullptr);
        }
    }
    void put_taken() {
        for (const TakenSpec& t : m_.taken) {
            std::size_t port = trace::TakenEvent::kInternal;
            std::uint32_t count = network_.n_neurons();
            if (t.kind == TakenSpec::Kind::Tick) {
                port = golden::kTickPort;
                count = 1;
            } else if (t.kind == TakenSpec::Kind::External) {
                port = port_index(t.port, t.where + ": [[taken]]");
                count = network_.ports[port].end - network_.ports[port].begin;
            }
            fields_ << "taken " << (t.kind == TakenSpec::Kind::Internal) << ' ' << port << ' '
                    << count;
            r_.put(fields_, t.valid);
            if (t.index.empty())
                fields_ << " 1 # 0";
            else
                r_.put(fields_, t.index);
            fields_ << '\n';
        }
    }
    void put_pacing() {
        const auto share = [](double p) {
            return static_cast<std::uint32_t>(std::lround(p * 65536.0));
        };
        fields_ << "pacing " << (m_.pacing.drain ? "drain" : "burst") << ' '
                << share(m_.pacing.gap_probability) << ' ' << m_.pacing.gap_clocks << ' '
                << share(m_.pacing.stall_probability) << ' ' << m_.stimulus.seed << '\n';
    }

    const Manifest& m_;
    const golden::Network& network_;
    bool drives_;
    Plan plan_;
    Resolver r_;
    std::vector<trace::FieldSpec> golden_fields_;
    std::ostringstream body_;
    std::ostringstream declarations_;
    std::ostringstream fields_;
    std::vector<Stream> streams_;
    std::vector<Cover> covers_;
    bool adapter_counts_ = false;
};
}  // namespace

namespace {
Result<Plan> planned(const Manifest& manifest, const SignalTable& signals,
                     const golden::Network& network, bool drives) {
    try {
        return Planner(manifest, signals, network, drives).make();
    } catch (const PlanError& caught) {
        return caught.error;
    }
}
}  // namespace

Result<Plan> resolve(const Manifest& manifest, const SignalTable& signals,
                     const golden::Network& network) {
    return planned(manifest, signals, network, true);
}

Result<Plan> resolve_observations(const Manifest& manifest, const SignalTable& signals,
                                  const golden::Network& network) {
    return planned(manifest, signals, network, false);
}

}  // namespace spikelock::manifest

// SPDX-License-Identifier: Apache-2.0
#include "wave_source.hpp"

#include <fmt/format.h>
#include <isa-l/crc64.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "experiment.hpp"
#include "recorder.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/fst/reader.hpp"
#include "spikelock/bridge/fst/writer.hpp"
#include "spikelock/bridge/waves/trace_waves.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;
using bridge::vcd::Header;
using bridge::vcd::Var;
using bridge::waves::BitField;
using bridge::waves::Expr;
using bridge::waves::ObservationMap;
using bridge::waves::ProgramStep;
using bridge::waves::WaveSignal;

namespace {
using manifest::Expression;
using manifest::ObserveSpec;
using Node = Expression::Node;
using Kind = Expression::Kind;

/// Thrown inside the resolver only.
struct Bad {
    Error error;
};
[[noreturn]] void bad(Errc code, std::string message, std::string where) {
    throw Bad{{code, std::move(message), std::move(where)}};
}

/// The key of an [[observe]] that no waveform is read by; empty: none.
std::string unsupported_key(const ObserveSpec& o) {
    const std::pair<const char*, bool> keys[] = {
        {"trigger", !o.trigger.empty()},
        {"four_phase", o.four_phase},
        {"phase = \"after_edge\" of a stream", o.strobed() && o.after_edge},
        {"source = \"adapter\"", o.adapter},
        {"latency", o.latency != 0},
        {"bits", o.bits != 0},
        {"keep", o.keep},
        {"counts", o.counts},
        {"events", o.events},
        {"encoding", o.encoding != ObserveSpec::Encoding::TwosComplement},
        {"inverted", o.inverted},
        {"reversed", o.reversed},
        {"timestep", !o.timestep.empty()},
        {"marker", !o.marker.empty()},
        {"late", o.late != 0},
    };
    for (const auto& [key, given] : keys)
        if (given) return key;
    return {};
}

/// The names of a waveform below one scope.
class Names {
public:
    explicit Names(const Header& header) : header_(header) {
        std::vector<std::string> paths;
        for (std::uint32_t i = 0; i < header.scopes.size(); ++i)
            paths.push_back(plain(header.path(i)));
        for (std::uint32_t i = 0; i < header.vars.size(); ++i) {
            const Var& var = header.vars[i];
            const bool inside = var.scope < paths.size();
            vars_[(inside ? paths[var.scope] + "." : std::string()) + plain(var.name)].push_back(i);
        }
        scopes_ = std::move(paths);
    }
    const std::vector<std::string>& scopes() const { return scopes_; }
    void choose(std::string scope) { prefix_ = scope.empty() ? scope : scope + "."; }
    bool has(const std::string& name) const { return vars_.contains(prefix_ + plain(name)); }
    std::string full(const std::string& name) const { return prefix_ + name; }

    /// A signal, put together from its bits where they are dumped apart.
    WaveSignal signal(const std::string& name, const std::string& where) const {
        const auto found = vars_.find(prefix_ + plain(name));
        if (found == vars_.end()) {
            std::vector<std::string> known;
            for (const auto& [full, vars] : vars_)
                if (full.starts_with(prefix_)) known.push_back(full.substr(prefix_.size()));
            std::sort(known.begin(), known.end());
            bad(Errc::NotFound,
                "the waveform has no signal '" + full(name) + "'" + did_you_mean(name, known),
                where);
        }
        const std::vector<std::uint32_t>& vars = found->second;
        WaveSignal signal;
        signal.name = full(name);
        const auto is_bit = [&](const Var& v) {
            return v.bits == 1 && !v.range.empty() && v.left == v.right;
        };
        const Var& first = header_.vars[vars[0]];
        if (vars.size() == 1 || !is_bit(first)) {
            signal.bits = first.bits;
            signal.parts = {{first.signal, 0, first.bits}};
            return signal;
        }
        std::int64_t lowest = first.left;
        std::int64_t highest = first.left;
        for (const std::uint32_t v : vars) {
            lowest = std::min(lowest, header_.vars[v].left);
            highest = std::max(highest, header_.vars[v].left);
        }
        if (highest - lowest >= std::int64_t{1} << 24)
            bad(Errc::Limit, "the bits of '" + signal.name + "' are too far apart", where);
        signal.bits = static_cast<std::uint32_t>(highest - lowest + 1);
        std::vector<bool> seen(signal.bits);
        for (const std::uint32_t v : vars) {
            const Var& var = header_.vars[v];
            const auto bit = static_cast<std::uint32_t>(var.left - lowest);
            if (!is_bit(var) || seen[bit]) continue;
            seen[bit] = true;
            signal.parts.push_back({var.signal, bit, 1});
        }
        if (signal.parts.size() != signal.bits)
            bad(Errc::Mismatch,
                fmt::format("of the {} bits of '{}' the waveform shows {}", signal.bits,
                            signal.name, signal.parts.size()),
                where);
        return signal;
    }

private:
    /// Without the backslashes of escaped names, which tools write or leave out.
    static std::string plain(std::string_view name) {
        std::string text(name);
        std::erase(text, '\\');
        return text;
    }
    const Header& header_;
    std::unordered_map<std::string, std::vector<std::uint32_t>> vars_;
    std::vector<std::string> scopes_;
    std::string prefix_;
};

/// Resolves a manifest against a waveform, as manifest::resolve() does against a built core.
class Mapper {
public:
    Mapper(const manifest::Manifest& m, const golden::Network& network, const Header& header,
           std::vector<std::string>& notes)
        : m_(m), network_(network), names_(header), notes_(notes) {}

    ObservationMap map(const std::string& scope) {
        choose_scope(scope);
        using Mode = manifest::TimestepSpec::Kind;
        const manifest::TimestepSpec& t = m_.timestep;
        if (t.kind != Mode::Handshake && t.kind != Mode::Clocked)
            bad(Errc::Unsupported,
                "a waveform is read by timesteps of kind \"handshake\" or \"clocked\"", t.where);
        out_.clock = whole(m_.clock, m_.path + ": clock");
        out_.handshake = t.kind == Mode::Handshake;
        if (out_.handshake) {
            out_.start = whole(t.start, t.where + ": timestep.start");
            out_.done = expression(t.done);
        } else {
            out_.clocks_per_step = t.clocks;
        }
        out_.startup = steps(m_.startup, true);
        out_.clear = steps(m_.clear, false);
        observe();
        return std::move(out_);
    }

private:
    // ---- scope
    /// Names that must be there, with the neuron's number 0.
    std::vector<std::string> needed() {
        std::vector<std::string> all = {m_.clock};
        const auto add = [&](const Expression& e) {
            if (!e.empty()) collect(e.root(), e.where(), all);
        };
        if (!m_.timestep.start.empty()) all.push_back(m_.timestep.start);
        add(m_.timestep.done);
        for (const ObserveSpec& o : m_.observe) {
            if (o.field != "spike") continue;
            add(o.value);
            add(o.valid);
            add(o.index);
        }
        return all;
    }
    void collect(const Node& node, const std::string& where, std::vector<std::string>& into) {
        if (node.kind == Kind::Name) {
            if (node.text == "i" || node.text == "n") return;
            Result<std::string> name =
                manifest::resolved_name(node, where, [](const std::string&) { return 0; });
            if (name) into.push_back(*name);
            return;
        }
        for (const auto& child : node.children) collect(*child, where, into);
    }
    void choose_scope(const std::string& wanted) {
        const std::vector<std::string> names = needed();
        const auto missing = [&](const std::string& scope) {
            names_.choose(scope);
            std::vector<std::string> all;
            for (const std::string& name : names)
                if (!names_.has(name) && !names_.has(name + "[0]")) all.push_back(name);
            return all;
        };
        if (!wanted.empty()) {
            if (std::find(names_.scopes().begin(), names_.scopes().end(), wanted) ==
                names_.scopes().end())
                bad(Errc::NotFound,
                    "the waveform has no scope '" + wanted + "'" +
                        did_you_mean(wanted, names_.scopes()),
                    "--scope");
            names_.choose(wanted);
            return;
        }
        std::vector<std::string> scopes = names_.scopes();
        scopes.emplace_back();
        std::vector<std::string> complete;
        std::string best;
        std::size_t fewest = names.size() + 1;
        for (const std::string& scope : scopes) {
            const std::size_t count = missing(scope).size();
            if (count == 0) complete.push_back(scope);
            if (count < fewest) {
                fewest = count;
                best = scope;
            }
        }
        if (complete.empty()) {
            std::string list;
            for (const std::string& name : missing(best))
                list += (list.empty() ? "'" : ", '") + name + "'";
            bad(Errc::NotFound,
                fmt::format("no scope of the waveform shows all signals that the manifest reads; "
                            "'{}' comes nearest and lacks {}; another is chosen with --scope",
                            best, list),
                m_.path);
        }
        // Of several, the one that is called like the core: others repeat its ports.
        const auto named = [&](const std::string& scope) {
            return scope.substr(scope.rfind('.') + 1) == m_.core.top;
        };
        auto chosen = std::find_if(complete.begin(), complete.end(), named);
        if (chosen == complete.end()) chosen = complete.begin();
        names_.choose(*chosen);
        notes_.push_back("core: scope " + (chosen->empty() ? "(top)" : *chosen));
    }

    // ---- signals
    std::uint32_t add(const std::string& name, const std::string& where) {
        const auto [at, fresh] =
            index_.try_emplace(name, static_cast<std::uint32_t>(out_.signals.size()));
        if (fresh) out_.signals.push_back(names_.signal(name, where));
        return at->second;
    }
    BitField whole(const std::string& name, const std::string& where) {
        // A port may be written as a slice.
        Result<Expression> e = Expression::parse(name, where);
        if (!e) throw Bad{e.error()};
        return checked(field(e->root(), where, {}), where);
    }
    BitField checked(const BitField& f, const std::string& where) const {
        if (f.width > 64)
            bad(Errc::BadConfig,
                fmt::format("{} has {} bits; take a slice of at most 64",
                            out_.signals[f.signal].name, f.width),
                where);
        return f;
    }
    BitField field(const Node& node, const std::string& where, std::optional<std::int64_t> i) {
        const auto lookup = [&](const std::string& name) -> Result<std::int64_t> {
            if ((name == "i" || name == "n") && i) return *i;
            return Error{Errc::BadConfig,
                         "'" + name + "' cannot be used in an index here; only i is known", where};
        };
        const auto number = [&](const Node& n) {
            Result<std::int64_t> value = manifest::evaluate(n, where, lookup);
            if (!value) throw Bad{value.error()};
            return *value;
        };
        const auto resolved = [&](const Node& n) {
            Result<std::string> name = manifest::resolved_name(n, where, lookup);
            if (!name) throw Bad{name.error()};
            return *name;
        };
        if (node.kind == Kind::Name) {
            const std::uint32_t signal = add(resolved(node), where);
            return {signal, 0, out_.signals[signal].bits};
        }
        if (node.kind != Kind::Bit && node.kind != Kind::Slice)
            bad(Errc::BadConfig, "expected a signal, a bit or a slice of one", where);
        if (node.kind == Kind::Bit && node.children[0]->kind == Kind::Name) {
            // A word of an array has a name of its own in a waveform.
            const std::string word =
                resolved(*node.children[0]) + "[" + std::to_string(number(*node.children[1])) + "]";
            if (names_.has(word)) {
                const std::uint32_t signal = add(word, where);
                return {signal, 0, out_.signals[signal].bits};
            }
        }
        BitField base = field(*node.children[0], where, i);
        std::int64_t low = number(*node.children[1]);
        std::int64_t width = 1;
        if (node.kind == Kind::Slice) {
            const std::int64_t second = number(*node.children[2]);
            width = node.plus_slice ? second : low - second + 1;
            if (!node.plus_slice) low = second;
        }
        if (low < 0 || width < 1 || width > base.width || low > base.width - width)
            bad(Errc::Mismatch,
                fmt::format("bits {}+:{} of {}, which has {} bits in the waveform", low, width,
                            out_.signals[base.signal].name, base.width),
                where);
        base.lsb += static_cast<std::uint32_t>(low);
        base.width = static_cast<std::uint32_t>(width);
        return base;
    }
    static bool plain(const Node& node) {
        return node.kind == Kind::Name || node.kind == Kind::Bit || node.kind == Kind::Slice;
    }
    Expr expression(const Expression& e, std::optional<std::int64_t> i = std::nullopt) {
        Expr out;
        emit(e.root(), e.where(), i, out);
        if (out.code.size() > Expr::kMostCodes)
            bad(Errc::Limit, "the expression is too long", e.where());
        return out;
    }
    void emit(const Node& node, const std::string& where, std::optional<std::int64_t> i,
              Expr& out) {
        using Op = Expr::Op;
        static constexpr std::pair<std::string_view, Op> kBinary[] = {
            {"+", Op::Add},       {"-", Op::Sub},     {"*", Op::Mul}, {"/", Op::Div},
            {"%", Op::Mod},       {"&", Op::And},     {"|", Op::Or},  {"^", Op::Xor},
            {"<<", Op::Shl},      {">>", Op::Shr},    {"==", Op::Eq}, {"!=", Op::Ne},
            {"<", Op::Lt},        {"<=", Op::Le},     {">", Op::Gt},  {">=", Op::Ge},
            {"&&", Op::LogicAnd}, {"||", Op::LogicOr}};
        if (i && node.kind == Kind::Name && (node.text == "i" || node.text == "n")) {
            out.code.push_back({Op::Const, static_cast<std::uint64_t>(*i), {}});
        } else if (plain(node)) {
            out.code.push_back({Op::Load, 0, checked(field(node, where, i), where)});
        } else if (node.kind == Kind::Number) {
            out.code.push_back({Op::Const, static_cast<std::uint64_t>(node.number), {}});
        } else if (node.kind == Kind::Unary) {
            emit(*node.children[0], where, i, out);
            const Op op = node.text == "!" ? Op::LogicNot : node.text == "~" ? Op::Not : Op::Neg;
            out.code.push_back({op, 0, {}});
        } else if (node.kind == Kind::Binary || node.kind == Kind::Select) {
            for (const auto& child : node.children) emit(*child, where, i, out);
            Op op = Op::Select;
            for (const auto& [text, known] : kBinary)
                if (node.kind == Kind::Binary && node.text == text) op = known;
            out.code.push_back({op, 0, {}});
        } else {
            bad(Errc::Unsupported, "'" + node.text + "' is not evaluated on waveforms yet", where);
        }
    }

    // ---- lists
    std::vector<ProgramStep> steps(const std::vector<manifest::StartupStep>& list, bool startup) {
        using From = manifest::StartupStep::Kind;
        std::vector<ProgramStep> out;
        bool loads = false;
        for (const manifest::StartupStep& step : list) {
            ProgramStep to;
            to.clocks = step.clocks;
            if (step.kind == From::Load) {
                // Through the back door it takes no clock.
                loads = std::any_of(m_.maps.begin(), m_.maps.end(),
                                    [](const auto& map) { return !map.address.empty(); });
                continue;
            }
            if (step.kind == From::Clocks) {
                to.kind = ProgramStep::Kind::Clocks;
                out.push_back(to);
                continue;
            }
            if (step.kind != From::Reset && step.kind != From::Set && step.kind != From::Pulse)
                bad(Errc::Unsupported, "this step cannot be seen in a waveform", step.where);
            if (!names_.has(step.signal.substr(0, step.signal.find('[')))) {
                notes_.push_back("not in the waveform: " + names_.full(step.signal) + " of " +
                                 (startup ? "[[startup]]" : "[[state.clear]]"));
                continue;
            }
            to.field = whole(step.signal, step.where);
            to.value = step.value;
            if (step.kind == From::Reset) {
                to.kind = ProgramStep::Kind::Reset;
                to.value = step.active_low ? 0 : 1;
            } else if (step.kind == From::Set) {
                to.kind = ProgramStep::Kind::Set;
            } else {
                to.kind = ProgramStep::Kind::Pulse;
                to.until = expression(step.until);
            }
            // What comes behind the words shows where their writing ends.
            loads = false;
            out.push_back(std::move(to));
        }
        if (startup && loads && !out_.handshake)
            notes_.push_back(
                "the start-up ends with the loading of the maps, whose end a waveform "
                "does not show; --first-time TIME says where timestep 0 begins");
        return out;
    }

    // ---- fields
    bool shown(const ObserveSpec& o) {
        std::vector<std::string> names;
        for (const Expression* e : {&o.value, &o.valid, &o.index})
            if (!e->empty()) collect(e->root(), o.where, names);
        for (const std::string& name : names) {
            if (names_.has(name) || names_.has(name + "[0]")) continue;
            notes_.push_back("not in the waveform: " + names_.full(name) + ", so " + o.field +
                             " is not read");
            return false;
        }
        return true;
    }
    void check_width(const Expr& e, int bits, const std::string& name, const ObserveSpec& o) const {
        const bool one = e.code.size() == 1 && e.code[0].op == Expr::Op::Load;
        if (!one || e.code[0].field.width == static_cast<std::uint32_t>(bits)) return;
        bad(Errc::Mismatch,
            fmt::format("'{}' is {} bits wide in the waveform, but {} has {}", o.value.text(),
                        e.code[0].field.width, name, bits),
            o.where);
    }
    trace::Population range_of(const ObserveSpec& o) const {
        if (o.population.empty()) return {{}, 0, out_.shape.n_neurons};
        Result<trace::Population> range = out_.shape.population(o.population);
        if (!range) bad(range.error().code, range.error().message, o.where);
        return *range;
    }
    bridge::waves::Stream& stream_for(const ObserveSpec& o) {
        const bool spike = o.field == "spike";
        const std::string key = o.population + "\n" + o.valid.text() + "\n" + o.index.text() +
                                "\n" + o.ready + (spike ? "\nspike" : "");
        const auto [at, fresh] = stream_index_.try_emplace(key, out_.streams.size());
        if (fresh) {
            bridge::waves::Stream& s = out_.streams.emplace_back();
            const trace::Population range = range_of(o);
            s.is_spike = spike;
            s.begin = range.begin;
            s.end = range.end;
            s.valid = expression(o.valid);
            s.index = expression(o.index);
            if (!o.ready.empty() && names_.has(o.ready)) {
                s.has_ready = true;
                s.ready = whole(o.ready, o.where);
            }
        }
        return out_.streams[at->second];
    }
    /// One element a neuron of its range; i counts from the first of them.
    void gather(const ObserveSpec& o, int bits, const std::string& name, std::vector<Expr>& table) {
        if (after_edge_ && *after_edge_ != o.after_edge)
            bad(Errc::Unsupported, "all values sampled once a timestep must have the same phase",
                o.where);
        after_edge_ = o.after_edge;
        const trace::Population range = range_of(o);
        table.resize(out_.shape.n_neurons);
        for (std::uint32_t n = range.begin; n < range.end; ++n) {
            table[n] = expression(o.value, n - range.begin);
            check_width(table[n], bits, name, o);
        }
    }
    void observe() {
        const trace::Shape all = network_.shape();
        out_.shape = all;
        out_.shape.fields.clear();
        for (const ObserveSpec& o : m_.observe)
            if (const std::string key = unsupported_key(o); !key.empty())
                bad(Errc::Unsupported, "'" + key + "' is not evaluated on waveforms yet", o.where);
        for (const trace::FieldSpec& spec : all.fields) {
            std::vector<const ObserveSpec*> parts;
            bool complete = true;
            for (const ObserveSpec& o : m_.observe) {
                if (o.field != spec.name) continue;
                parts.push_back(&o);
                complete = complete && shown(o);
            }
            if (parts.empty() || !complete) continue;
            const auto index = static_cast<std::uint32_t>(out_.shape.fields.size());
            const std::string name = "the network's " + spec.name;
            out_.shape.fields.push_back(spec);
            out_.gather.emplace_back();
            for (const ObserveSpec* o : parts) {
                if (!o->strobed()) {
                    gather(*o, spec.bits, name, out_.gather[index]);
                    continue;
                }
                Expr value = expression(o->value);
                check_width(value, spec.bits, name, *o);
                stream_for(*o).values.push_back({index, std::move(value)});
            }
        }
        bool spikes = false;
        for (const ObserveSpec& o : m_.observe) {
            if (o.field != "spike") continue;
            spikes = true;
            if (o.strobed()) {
                stream_for(o);
            } else {
                gather(o, 1, "a spike", out_.spikes);
            }
        }
        if (!spikes)
            bad(Errc::BadConfig,
                "spikes are not observed: expected an [[observe]] with field = \"spike\"", m_.path);
        out_.after_edge = after_edge_.value_or(true);
    }

    const manifest::Manifest& m_;
    const golden::Network& network_;
    Names names_;
    std::vector<std::string>& notes_;
    ObservationMap out_;
    std::unordered_map<std::string, std::uint32_t> index_;
    std::unordered_map<std::string, std::size_t> stream_index_;
    std::optional<bool> after_edge_;
};

bool ends_with(const std::string& path, std::string_view end) { return path.ends_with(end); }

std::string time_text(const Header& header, std::uint64_t time) {
    if (!header.time_exponent) return fmt::format("time {}", time);
    static constexpr const char* kUnits[] = {"s", "ms", "us", "ns", "ps", "fs", "as"};
    const int down = (-*header.time_exponent + 2) / 3;
    if (down < 0 || down > 6) return fmt::format("time {} (1e{} s)", time, *header.time_exponent);
    const std::uint64_t factor = down * 3 + *header.time_exponent == 2   ? 100
                                 : down * 3 + *header.time_exponent == 1 ? 10
                                                                         : 1;
    return fmt::format("{} {}", time * factor, kUnits[down]);
}

/// Labels of the stimulus, where its samples begin as those of the waveform do.
std::vector<trace::Sample> labelled_samples(std::span<const trace::Sample> seen,
                                            std::span<const trace::Sample> known,
                                            std::uint64_t n_steps) {
    std::vector<trace::Sample> out;
    std::size_t at = 0;
    for (trace::Sample sample : seen) {
        sample.end = std::min(sample.end, n_steps);
        if (sample.begin >= sample.end) continue;
        while (at < known.size() && known[at].begin < sample.begin) ++at;
        if (at < known.size() && known[at].begin == sample.begin) sample.label = known[at].label;
        out.push_back(std::move(sample));
    }
    return out;
}
/// The provenance with the file that was read. A source that ended early, and the process that
/// reads an FST, leave the whole file to be read for it.
std::string with_waveform(const std::string& provenance, const std::string& path,
                          FileDigest digest) {
    std::error_code error;
    if (const std::uintmax_t size = fs::file_size(path, error); !error && size != digest.bytes) {
        digest = {};
        std::ifstream file(path, std::ios::binary);
        std::vector<char> part(1 << 16);
        while (file) {
            file.read(part.data(), static_cast<std::streamsize>(part.size()));
            digest.add(std::span(part).first(static_cast<std::size_t>(file.gcount())));
        }
    }
    auto j = nlohmann::ordered_json::parse(provenance);
    j["waveform"] = {
        {"name", path}, {"bytes", digest.bytes}, {"crc64", fmt::format("{:016x}", digest.crc)}};
    return j.dump();
}
}  // namespace

void FileDigest::add(std::span<const char> part) {
    crc = crc64_ecma_refl(crc, reinterpret_cast<const unsigned char*>(part.data()), part.size());
    bytes += part.size();
}

bool is_waveform(const std::string& path) {
    for (const char* end : {".vcd", ".evcd", ".fst", ".vcd.gz", ".evcd.gz"})
        if (ends_with(path, end)) return true;
    return false;
}

Result<ObservationMap> map_observations(const manifest::Manifest& m, const golden::Network& network,
                                        const Header& header, const std::string& scope,
                                        std::vector<std::string>& notes) {
    try {
        return Mapper(m, network, header, notes).map(scope);
    } catch (Bad& found) {
        return std::move(found.error);
    }
}

Result<Waveform> open_waveform(const std::string& path, const WaveformOptions& options) {
    if (options.manifest.empty())
        return Error{Errc::BadConfig,
                     "a waveform does not say which of its signals are spikes; expected the "
                     "manifest of its core: --manifest cosim.toml",
                     path};
    Result<manifest::Manifest> m = manifest::load_manifest(options.manifest, options.set);
    if (!m) return m.error();
    Result<Experiment> e = load_experiment(*m);
    if (!e) return e.error();
    Waveform wave;
    wave.digest = std::make_unique<FileDigest>();
    bridge::vcd::ReaderOptions reading;
    reading.watch = [digest = wave.digest.get()](std::span<const char> part) { digest->add(part); };
    Result<std::unique_ptr<bridge::vcd::Reader>> reader =
        ends_with(path, ".fst") ? bridge::fst::open(path)
                                : bridge::vcd::Reader::open(path, reading);
    if (!reader) return reader.error();
    Result<ObservationMap> map =
        map_observations(*m, e->network, (*reader)->header(), options.scope, wave.notes);
    if (!map) return map.error();
    bridge::waves::WaveOptions how;
    how.first_time = options.first_time;
    wave.source = bridge::waves::WaveSource::create(std::move(*reader), std::move(*map), how);
    wave.labelled.assign(e->stimulus->samples().begin(), e->stimulus->samples().end());
    nlohmann::ordered_json provenance;
    provenance["spikelock"] = SPIKELOCK_VERSION;
    provenance["command"] = options.command;
    provenance["source"] = "waveform";
    provenance["core"] = m->core.name;
    provenance["files"] = nlohmann::ordered_json::parse(describe_files(*m, e->files));
    wave.provenance = provenance.dump();
    return wave;
}

Result<WaveformSummary> record_waveform(const std::string& path, const std::string& trace_file,
                                        const WaveformOptions& options) {
    Result<Waveform> wave = open_waveform(path, options);
    if (!wave) return wave.error();
    bridge::waves::WaveSource& source = *wave->source;
    trace::WriterOptions how;
    how.provenance = wave->provenance;
    Result<std::unique_ptr<trace::TraceWriter>> writer =
        trace::TraceWriter::create(trace_file, source.shape(), how);
    if (!writer) return writer.error();
    WaveformSummary summary;
    summary.notes = std::move(wave->notes);
    for (;;) {
        auto got = source.read(1024);
        if (!got) {
            (void)(*writer)->close(false);
            return got.error();
        }
        if (const auto* end = std::get_if<trace::SourceEnd>(&*got)) {
            summary.end = *end;
            break;
        }
        const auto& block = std::get<trace::BlockView>(*got);
        for (const std::uint64_t word : block.spikes)
            summary.spikes += static_cast<std::uint64_t>(std::popcount(word));
        if (Status appended = (*writer)->append(block); !appended) return appended.error();
    }
    summary.n_steps = (*writer)->n_steps();
    summary.clocks = source.clocks();
    summary.bytes = source.reader().bytes_read();
    summary.n_unknowns = source.n_unknowns();
    summary.unknowns.assign(source.unknowns().begin(), source.unknowns().end());
    for (const bridge::waves::Unknown& u : summary.unknowns)
        summary.notes.push_back(fmt::format("x or z: {} was {} at {} (timestep {}, {})", u.signal,
                                            u.value, time_text(source.reader().header(), u.time),
                                            u.timestep, u.meaning));
    if (summary.n_unknowns > summary.unknowns.size())
        summary.notes.push_back(
            fmt::format("x or z: {} more", summary.n_unknowns - summary.unknowns.size()));
    if (!summary.end.text.empty()) summary.notes.push_back(path + ": " + summary.end.text);
    const auto samples = labelled_samples(source.samples(), wave->labelled, summary.n_steps);
    Status closed = (*writer)->add_samples(samples);
    wave->source.reset();  // and with it whoever adds to the digest
    if (closed)
        closed = (*writer)->set_attribute("provenance",
                                          with_waveform(wave->provenance, path, *wave->digest));
    if (closed) closed = (*writer)->close(summary.end.kind == trace::EndKind::Complete);
    if (!closed) return closed.error();
    return summary;
}

Result<std::unique_ptr<trace::RecordedTrace>> open_any_trace(const std::string& path,
                                                             const WaveformOptions& options,
                                                             std::vector<std::string>& notes) {
    if (!is_waveform(path)) return trace::open_trace(path);
    std::error_code error;
    const fs::path folder = !options.temp_folder.empty() ? fs::path(options.temp_folder)
                                                         : fs::temp_directory_path(error);
    if (error)
        return Error{Errc::Environment, "no folder for temporary files: " + error.message(), path};
    std::string name = (folder / "spikelock-waves-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        return Error{Errc::Environment, "cannot create a temporary folder", name};
    const std::string file = name + "/trace.h5";
    Result<WaveformSummary> summary = record_waveform(path, file, options);
    Result<std::unique_ptr<trace::RecordedTrace>> opened =
        summary ? trace::open_trace(file)
                : Result<std::unique_ptr<trace::RecordedTrace>>(summary.error());
    // The reader holds the file open.
    fs::remove_all(name, error);
    if (summary) notes.insert(notes.end(), summary->notes.begin(), summary->notes.end());
    return opened;
}

Result<trace::ExecutionTrace> load_waveform(const std::string& path, const WaveformOptions& options,
                                            std::vector<std::string>& notes,
                                            std::string& provenance) {
    Result<std::unique_ptr<trace::RecordedTrace>> opened = open_any_trace(path, options, notes);
    if (!opened) return opened.error();
    provenance = (*opened)->provenance();
    trace::ExecutionTrace whole((*opened)->shape(), (*opened)->first_step());
    for (;;) {
        auto got = (*opened)->read(4096);
        if (!got) return got.error();
        const auto* block = std::get_if<trace::BlockView>(&*got);
        if (block == nullptr) break;
        whole.append(*block);
    }
    whole.samples().assign((*opened)->samples().begin(), (*opened)->samples().end());
    return whole;
}

Status write_waveform(trace::StepSource& source, const std::string& path) {
    const bridge::waves::TimeBase base = bridge::waves::time_base(source.shape().dt);
    Result<std::unique_ptr<bridge::vcd::Writer>> writer =
        ends_with(path, ".fst") ? bridge::fst::create(path, base.exponent)
                                : bridge::vcd::Writer::create(path, base.exponent);
    if (!writer) return writer.error();
    Result<std::uint64_t> steps = bridge::waves::write_waves(source, **writer);
    if (!steps) return steps.error();
    return (*writer)->close();
}

}  // namespace spikelock::app

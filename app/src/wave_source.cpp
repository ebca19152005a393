// SPDX-License-Identifier: Apache-2.0
#include "wave_source.hpp"

#include <fmt/format.h>
#include <isa-l/crc64.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_map>

#include "experiment.hpp"
#include "recorder.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/fst/reader.hpp"
#include "spikelock/bridge/fst/writer.hpp"
#include "spikelock/bridge/waves/trace_waves.hpp"
#include "spikelock/manifest/plan.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;
using bridge::vcd::Header;
using bridge::vcd::Var;
using bridge::waves::ObservationMap;
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

/// The signals of a waveform below one scope, by the names that a manifest has for them.
class Names {
public:
    explicit Names(const Header& header) : header_(header) {
        for (std::uint32_t i = 0; i < header.scopes.size(); ++i)
            scopes_.push_back(plain(header.path(i)));
        for (std::uint32_t i = 0; i < header.vars.size(); ++i) {
            const Var& var = header.vars[i];
            const bool inside = var.scope < scopes_.size();
            const std::string name =
                (inside ? scopes_[var.scope] + "." : std::string()) + plain(var.name);
            vars_[name].push_back(i);
            std::vector<std::int64_t> indices;
            if (std::string array = without_indices(name, indices); !indices.empty())
                words_[std::move(array)].push_back({std::move(indices), i});
        }
        for (auto& [name, words] : words_) std::sort(words.begin(), words.end());
    }
    const std::vector<std::string>& scopes() const { return scopes_; }
    void choose(const std::string& scope) { prefix_ = scope.empty() ? scope : scope + "."; }
    bool has(const std::string& name) const {
        const std::string full = prefix_ + plain(name);
        return vars_.contains(full) || words_.contains(full);
    }
    std::string full(const std::string& name) const { return prefix_ + name; }

    /// All of the scope. Which way a port goes, a waveform does not say.
    manifest::SignalTable table() const {
        manifest::SignalTable out;
        for (const auto& [name, vars] : vars_)
            if (name.starts_with(prefix_))
                out[name.substr(prefix_.size())] = {"in", bits_of(vars), 1};
        for (const auto& [name, words] : words_)
            if (name.starts_with(prefix_))
                out.try_emplace(name.substr(prefix_.size()),
                                manifest::Signal{"in", header_.vars[words[0].var].bits,
                                                 static_cast<std::uint32_t>(words.size())});
        return out;
    }
    /// A signal, put together from its words or bits where they are dumped apart.
    /// @pre it is in the table
    WaveSignal signal(const std::string& name) const {
        WaveSignal signal;
        signal.name = full(name);
        const auto found = vars_.find(prefix_ + plain(name));
        if (found == vars_.end()) {
            add_words(words_.at(prefix_ + plain(name)), signal);
            return signal;
        }
        const std::vector<std::uint32_t>& vars = found->second;
        signal.bits = bits_of(vars);
        const Var& first = header_.vars[vars[0]];
        if (!in_bits(vars)) {
            signal.parts = {{first.signal, 0, first.bits, 0}};
            return signal;
        }
        const std::int64_t lowest = lowest_of(vars);
        std::vector<bool> seen(signal.bits);
        for (const std::uint32_t v : vars) {
            const Var& var = header_.vars[v];
            const auto bit = static_cast<std::uint32_t>(var.left - lowest);
            if (!is_bit(var) || seen[bit]) continue;
            seen[bit] = true;
            signal.parts.push_back({var.signal, bit, 1, 0});
        }
        if (signal.parts.size() != signal.bits)
            bad(Errc::Mismatch,
                fmt::format("of the {} bits of '{}' the waveform shows {}", signal.bits,
                            signal.name, signal.parts.size()),
                {});
        return signal;
    }

private:
    /// A word of an array has a name of its own, with its indices.
    struct Word {
        std::vector<std::int64_t> indices;
        std::uint32_t var = 0;
        auto operator<=>(const Word&) const = default;
    };
    /// Without the backslashes of escaped names, which tools write or leave out.
    static std::string plain(std::string_view name) {
        std::string text(name);
        std::erase(text, '\\');
        return text;
    }
    /// "a.mem" of "a.mem[1][2]".
    static std::string without_indices(const std::string& name,
                                       std::vector<std::int64_t>& indices) {
        std::string_view rest = name;
        while (rest.ends_with(']')) {
            const std::size_t open = rest.rfind('[');
            if (open == std::string_view::npos || open == 0) break;
            const std::string_view digits = rest.substr(open + 1, rest.size() - open - 2);
            std::int64_t index = 0;
            const auto [end, error] =
                std::from_chars(digits.data(), digits.data() + digits.size(), index);
            if (error != std::errc{} || end != digits.data() + digits.size()) break;
            indices.insert(indices.begin(), index);
            rest = rest.substr(0, open);
        }
        return std::string(rest);
    }
    static bool is_bit(const Var& v) {
        return v.bits == 1 && !v.range.empty() && v.left == v.right;
    }
    bool in_bits(const std::vector<std::uint32_t>& vars) const {
        return vars.size() > 1 && is_bit(header_.vars[vars[0]]);
    }
    std::int64_t lowest_of(const std::vector<std::uint32_t>& vars) const {
        std::int64_t lowest = header_.vars[vars[0]].left;
        for (const std::uint32_t v : vars) lowest = std::min(lowest, header_.vars[v].left);
        return lowest;
    }
    std::uint32_t bits_of(const std::vector<std::uint32_t>& vars) const {
        if (!in_bits(vars)) return header_.vars[vars[0]].bits;
        const std::int64_t lowest = lowest_of(vars);
        std::int64_t highest = lowest;
        for (const std::uint32_t v : vars) highest = std::max(highest, header_.vars[v].left);
        if (highest - lowest >= std::int64_t{1} << 24)
            bad(Errc::Limit, "the bits of '" + header_.vars[vars[0]].name + "' are too far apart",
                {});
        return static_cast<std::uint32_t>(highest - lowest + 1);
    }
    void add_words(const std::vector<Word>& words, WaveSignal& signal) const {
        signal.bits = header_.vars[words[0].var].bits;
        signal.words = static_cast<std::uint32_t>(words.size());
        std::uint64_t all = 1;
        for (std::size_t d = 0; d < words[0].indices.size(); ++d)
            all *= static_cast<std::uint64_t>(words.back().indices[d] - words[0].indices[d] + 1);
        for (std::uint32_t w = 0; w < words.size(); ++w) {
            const Var& var = header_.vars[words[w].var];
            if (var.bits != signal.bits || words[w].indices.size() != words[0].indices.size() ||
                (w > 0 && words[w].indices == words[w - 1].indices) || all != words.size())
                bad(Errc::Mismatch,
                    "the waveform does not show all words of '" + signal.name +
                        "'; Verilator leaves out those of arrays above --trace-max-array",
                    {});
            signal.parts.push_back({var.signal, 0, var.bits, w});
        }
    }

    const Header& header_;
    std::unordered_map<std::string, std::vector<std::uint32_t>> vars_;
    std::unordered_map<std::string, std::vector<Word>> words_;
    std::vector<std::string> scopes_;
    std::string prefix_;
};

/// Resolves what a manifest observes against a waveform, as manifest::resolve() does all of it
/// against a built core.
class Mapper {
public:
    Mapper(manifest::Manifest m, const golden::Network& network, const Header& header,
           std::vector<std::string>& notes)
        : m_(std::move(m)), network_(network), names_(header), notes_(notes) {}

    ObservationMap map(const std::string& scope) {
        check_timestep();
        choose_scope(scope);
        leave_out_what_is_not_shown();
        Result<manifest::Plan> plan = manifest::resolve_observations(m_, names_.table(), network_);
        if (!plan) throw Bad{plan.error()};
        ObservationMap out;
        out.shape = plan->shape;
        out.plan = trace::plan::Parser::parse(plan->text);
        for (const std::string& name : out.plan.signals) out.signals.push_back(names_.signal(name));
        return out;
    }

private:
    using Mode = manifest::TimestepSpec::Kind;

    void check_timestep() const {
        const manifest::TimestepSpec& t = m_.timestep;
        if (t.kind == Mode::Custom && t.done.empty())
            bad(Errc::Unsupported,
                "when an adapter's step() returns, no waveform shows; done = \"expression\" in "
                "[timestep], which holds before the last clock edge of a timestep, says it for "
                "waveforms",
                t.where + ": [timestep]");
        if (t.kind == Mode::Aer && t.tick.empty() && t.tick_address.empty())
            bad(Errc::Unsupported,
                "without 'tick' or 'tick_address' a waveform does not show where a timestep ends",
                t.where + ": [timestep]");
        for (const ObserveSpec& o : m_.observe)
            if (o.adapter && o.field == "spike")
                bad(Errc::Unsupported,
                    "the adapter's C++ gives the spikes, which no waveform can show; expected an "
                    "[[observe]] with 'valid' and 'index', or 'req' and 'ack', in the manifest "
                    "that "
                    "waveforms are read by",
                    o.where + ": [[observe]]");
    }

    // ---- scope
    /// Names that must be there, with the neuron's number 0.
    std::vector<std::string> needed() const {
        std::vector<std::string> all = {base_of(m_.clock)};
        const manifest::TimestepSpec& t = m_.timestep;
        for (const std::string* driven : {&t.start, &t.tick})
            if (!driven->empty()) all.push_back(base_of(*driven));
        for (const std::string& quiet : t.quiet) all.push_back(base_of(quiet));
        for (const Expression* e : {&t.done, &t.idle}) collect(*e, all);
        for (const ObserveSpec& o : m_.observe) {
            if (o.field != "spike") continue;
            for (const Expression* e : expressions_of(o)) collect(*e, all);
        }
        return all;
    }
    static std::vector<const Expression*> expressions_of(const ObserveSpec& o) {
        return {&o.value, &o.trigger, &o.valid, &o.index, &o.timestep, &o.marker};
    }
    /// "cfg" of "cfg[95:64]".
    static std::string base_of(const std::string& driven) {
        return driven.substr(0, driven.find('['));
    }
    void collect(const Expression& e, std::vector<std::string>& into) const {
        if (!e.empty()) collect(e.root(), e.where(), into);
    }
    void collect(const Node& node, const std::string& where, std::vector<std::string>& into) const {
        if (node.kind == Kind::Name) {
            if (node.text == "i" || node.text == "n" || m_.core.parameters.contains(node.text))
                return;
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
                if (!names_.has(name)) all.push_back(name);
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

    // ---- what the waveform lacks
    /// Whether a name is shown; if not, a note says what goes without it.
    bool shown(const std::string& name, const std::string& so) const {
        if (names_.has(name)) return true;
        notes_.push_back("not in the waveform: " + names_.full(name) + so);
        return false;
    }
    bool shown(const ObserveSpec& o, const std::string& so) const {
        std::vector<std::string> names;
        for (const Expression* e : expressions_of(o)) collect(*e, names);
        return std::all_of(names.begin(), names.end(),
                           [&](const std::string& name) { return shown(name, so); });
    }
    void leave_out_what_is_not_shown() {
        m_.extra_clocks.clear();
        if (m_.config) {
            m_.config->read_data.clear();
            for (const std::string* name :
                 {&m_.config->write, &m_.config->address, &m_.config->data})
                if (m_.config && !names_.has(base_of(*name))) m_.config.reset();
        }
        leave_out_steps(m_.startup, "[[startup]]");
        leave_out_steps(m_.clear, "[[state.clear]]");
        leave_out_fields();
        const auto seen = [&](const manifest::TakenSpec& t) {
            std::vector<std::string> names;
            collect(t.valid, names);
            collect(t.index, names);
            return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
                return shown(name, ", so the order of events is not read");
            });
        };
        if (!std::all_of(m_.taken.begin(), m_.taken.end(), seen)) m_.taken.clear();
        if (m_.adapter.order && m_.taken.empty())
            notes_.emplace_back(
                "the order in which the core takes events comes from the adapter: not read");
        m_.adapter.order = false;
    }
    void leave_out_steps(std::vector<manifest::StartupStep>& list, const std::string& section) {
        using From = manifest::StartupStep::Kind;
        // Words through the back door take no clock; of others, what comes behind them shows where
        // their writing ends.
        const bool loads = !list.empty() && list.back().kind == From::Load &&
                           std::any_of(m_.maps.begin(), m_.maps.end(),
                                       [](const auto& map) { return !map.address.empty(); });
        if (loads && m_.timestep.kind == Mode::Clocked)
            notes_.emplace_back(
                "the start-up ends with the loading of the maps, whose end a waveform does not "
                "show; --first-time TIME says where timestep 0 begins");
        std::erase_if(list, [&](const manifest::StartupStep& step) {
            if (step.kind == From::Call)
                notes_.push_back(section + ": adapter = \"" + step.signal +
                                 "\" is not seen in a waveform");
            if (step.kind == From::Call || step.kind == From::Load) return true;
            return step.kind != From::Clocks && !shown(base_of(step.signal), " of " + section);
        });
    }
    /// A field is read where all of its entries can be.
    void leave_out_fields() {
        std::vector<std::string> without;
        for (ObserveSpec& o : m_.observe) {
            if (!o.four_phase && !o.ready.empty() && !names_.has(base_of(o.ready))) o.ready.clear();
            if (o.field == "spike" || std::count(without.begin(), without.end(), o.field) > 0)
                continue;
            if (o.adapter)
                notes_.push_back(o.field + " comes from the adapter's C++, so it is not read");
            if (o.adapter || !shown(o, ", so " + o.field + " is not read"))
                without.push_back(o.field);
        }
        std::erase_if(m_.observe, [&](const ObserveSpec& o) {
            return std::count(without.begin(), without.end(), o.field) > 0;
        });
    }

    manifest::Manifest m_;
    const golden::Network& network_;
    Names names_;
    std::vector<std::string>& notes_;
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
    } catch (const std::runtime_error& found) {
        return Error{Errc::Internal, found.what(), m.path};
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
    if (!map) {
        Error error = map.error();
        if (error.where.empty()) error.where = path;
        return error;
    }
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

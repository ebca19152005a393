// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/sim/elaborate.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;
using sim::Design;
using sim::Variable;

namespace {
struct InitOptions {
    std::vector<std::string> sources;
    std::string top;
    std::string output = "cosim.toml";
    std::vector<std::string> include_dirs;
    std::vector<std::string> defines;
    std::string language;
    bool force = false;
};

using Words = std::vector<std::string>;

/// The words of a name in lower case: "spkValid_o" gives spk, valid, o.
Words words_of(const std::string& name) {
    Words words;
    std::string word;
    for (std::size_t i = 0; i < name.size(); ++i) {
        const auto c = static_cast<unsigned char>(name[i]);
        const bool hump = i > 0 && std::isupper(c) != 0 &&
                          std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
        if ((c == '_' || c == '.' || hump) && !word.empty()) {
            words.push_back(word);
            word.clear();
        }
        if (std::isalnum(c) != 0) word += static_cast<char>(std::tolower(c));
    }
    if (!word.empty()) words.push_back(word);
    return words;
}

/// The same without the direction at the end.
Words stem_of(const std::string& name) {
    Words words = words_of(name);
    if (words.size() > 1 &&
        (words.back() == "i" || words.back() == "o" || words.back() == "ni" || words.back() == "q"))
        words.pop_back();
    return words;
}

bool has(const Words& words, std::initializer_list<const char*> any) {
    return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return std::any_of(any.begin(), any.end(), [&](const char* one) { return word == one; });
    });
}

/// Words before the first that is one of `roles`; nothing where none is.
std::optional<Words> before(const Words& words, std::initializer_list<const char*> roles) {
    for (std::size_t k = 0; k < words.size(); ++k)
        if (has({words[k]}, roles))
            return Words(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(k));
    return std::nullopt;
}

/// A name without the instances and blocks that it lies in.
std::string last_part(const std::string& name) {
    const std::size_t dot = name.rfind('.');
    return dot == std::string::npos ? name : name.substr(dot + 1);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

bool begins_with(const Words& words, const Words& prefix) {
    return words.size() > prefix.size() && std::equal(prefix.begin(), prefix.end(), words.begin());
}

/// Field of the golden that a name speaks of; empty: none.
std::string field_of(const Words& words) {
    if (has(words, {"th", "thr", "vth", "threshold", "reset", "rst", "leak", "next", "d", "max",
                    "min", "valid", "ready", "addr", "sum", "decayed", "sat", "weight"}))
        return {};
    if (has(words, {"refr", "refractory", "refrac"})) return "refr";
    if (has(words, {"syn", "isyn", "acc", "psc", "synaptic"})) return "i_syn";
    if (has(words, {"v", "vm", "vmem", "membrane", "potential", "pot", "voltage"})) return "v";
    if (words.size() <= 2 && has(words, {"u"})) return "u";
    return {};
}

bool is_spike(const Words& words) {
    return has(words, {"spike", "spikes", "spk", "fire", "fired", "spiking"}) &&
           !has(words, {"count", "counter", "ready", "valid", "addr"});
}

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::optional<std::uint64_t> value_of(const std::string& literal) {
    const std::size_t quote = literal.find('\'');
    if (quote == std::string::npos) return std::nullopt;
    std::size_t at = quote + 1;
    if (at < literal.size() && literal[at] == 's') ++at;
    if (at >= literal.size() || literal[at] != 'h') return std::nullopt;
    const std::string digits = literal.substr(at + 1);
    if (digits.empty() || digits.size() > 15 ||
        digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
        return std::nullopt;
    return std::stoull(digits, nullptr, 16);
}

/// A parameter's value as a manifest gives it: a negative one with its sign.
std::string parameter_text(const std::string& literal) {
    const auto value = value_of(literal);
    if (!value) return quoted(literal);
    const std::size_t quote = literal.find('\'');
    const unsigned long bits = quote == 0 ? 32 : std::stoul(literal.substr(0, quote));
    if (literal[quote + 1] == 's' && bits > 0 && bits < 64 && (*value >> (bits - 1) & 1) != 0)
        return std::to_string(static_cast<std::int64_t>(*value) - (std::int64_t{1} << bits));
    return std::to_string(*value);
}

/// One [[observe]] entry.
struct Observed {
    std::string field;
    std::string value;
    std::string valid;
    std::string index;
    std::string ready;
    std::string why;
    bool four_phase = false;  ///< valid and ready are request and acknowledge
};

struct Input {
    std::string valid;
    std::string ready;
    std::string address;
    bool four_phase = false;
};

/// One [[map]] entry of a memory that nothing in the core writes.
struct Mapped {
    std::string memory;
    std::string array;
    std::string word;
    std::string lsb;
    std::string value;
    std::uint64_t width = 0;
    std::string why;
    std::string when;
};

/// What was made of a design. An empty name was not found.
struct Guess {
    std::string clock;
    std::string clock_why;
    std::vector<std::string> extra_clocks;  ///< named as such
    std::vector<std::string> maybe_clocks;  ///< inputs whose edges are waited for
    std::string reset;
    bool reset_low = true;
    std::string reset_why;
    std::string start;
    std::string done;
    std::string idle;
    bool parallel = false;     ///< all neurons side by side: a timestep may be a clock
    std::uint64_t clocks = 1;  ///< of a timestep, where nothing starts or ends it
    std::string phase;         ///< the counter that tells
    std::uint64_t neurons = 0;
    std::uint64_t axons = 0;           ///< by the rows of a memory of weights
    std::vector<std::string> enables;  ///< inputs to hold at 1
    std::vector<Input> inputs;
    std::vector<Observed> observed;
    std::string side_band;
    std::string config_write, config_address, config_data, config_read;
    const Variable* state = nullptr;     ///< a memory of neurons' state that no name tells
    std::uint64_t pairs = 0;             ///< neurons on each side of `synapses`
    const Variable* synapses = nullptr;  ///< a memory that has place for all synapses
    std::string clear;
    std::string threshold;
    std::uint32_t threshold_bits = 0;
    std::vector<Mapped> maps;
    std::vector<std::string> working;  ///< registers of a serial port that serve its frames
    std::set<std::string> used;        ///< ports that have a role
    std::string serial_clock;          ///< of a serial configuration port
    std::string tick_hint;             ///< what speaks for a tick by an address
    std::vector<std::string> quiet;    ///< of events by handshake: what does not change when idle
    std::string empty_queue;           ///< of events by handshake: what names say is idle
    std::vector<std::string> perhaps_empty;
    std::vector<std::string> unknown;  ///< what could not be guessed, one sentence each
};

/// Events by request and acknowledge, and nothing that starts a timestep.
bool is_aer(const Guess& g) {
    return g.start.empty() && !g.inputs.empty() &&
           std::all_of(g.inputs.begin(), g.inputs.end(),
                       [](const Input& input) { return input.four_phase; });
}

class Guesser {
    static constexpr std::initializer_list<const char*> kValid = {"valid", "vld", "strobe", "stb"};

public:
    explicit Guesser(const Design& design) : d_(design) {}

    Guess guess() {
        clock_and_reset();
        size();
        serial();
        other_clocks();
        config();
        streams();
        input_events();
        values();
        inside();
        unnamed_spikes();
        maps();
        timestep();
        side_band();
        handshakes();
        unnamed_memories();
        what_is_missing();
        return std::move(g_);
    }

private:
    bool is_free(const Variable& v) const { return !g_.used.contains(v.name); }
    const Variable* port(const std::string& direction, bool one_bit,
                         const std::function<bool(const Words&)>& fits) const {
        for (const Variable& v : d_.ports)
            if (v.direction == direction && is_free(v) && !v.is_array && (v.bits == 1) == one_bit &&
                fits(stem_of(v.name)))
                return &v;
        return nullptr;
    }
    std::string take(const Variable* v) {
        if (!v) return {};
        g_.used.insert(v->name);
        return v->name;
    }

    /// Clocked blocks that wait for an edge of it, not counting asynchronous resets.
    std::uint32_t edges_of(const std::string& port) const {
        const auto use = d_.clock_uses.find(port);
        return use == d_.clock_uses.end() ? 0
                                          : use->second.posedge_first + use->second.negedge_first;
    }
    /// Bits of memories of state that only an edge of it changes.
    std::uint64_t state_of(const std::string& port) const {
        std::uint64_t bits = 0;
        for (const Variable& v : d_.signals)
            if (v.fed_back && v.clock == port) bits += std::uint64_t{v.bits} * v.words * v.copies;
        return bits;
    }
    /// What clocks registers beside the main clock and a serial port's.
    void other_clocks() {
        for (const Variable& v : d_.ports) {
            if (v.direction != "input" || v.bits != 1 || !is_free(v) || edges_of(v.name) == 0)
                continue;
            const sim::ClockUse& use = d_.clock_uses.at(v.name);
            if (use.async_low + use.async_high > 0) continue;
            const bool named = has(words_of(v.name), {"clk", "clock", "ck"});
            if (named) take(&v);
            (named ? g_.extra_clocks : g_.maybe_clocks).push_back(v.name);
            g_.unknown.push_back(
                fmt::format("how fast clock {} is: {} clocked blocks wait for it ([[extra_clock]])",
                            v.name, edges_of(v.name)));
        }
    }
    void clock_and_reset() {
        std::pair<std::uint64_t, std::uint32_t> most = {0, 0};
        const auto [serial, data] = serial_port();
        const bool is_serial = serial && data;
        for (const Variable& v : d_.ports) {
            const std::uint32_t blocks = v.bits == 1 ? edges_of(v.name) : 0;
            const std::pair<std::uint64_t, std::uint32_t> use = {state_of(v.name), blocks};
            if (blocks == 0 || use <= most || (is_serial && &v == serial)) continue;
            most = use;
            g_.clock = v.name;
            g_.clock_why = fmt::format("its edge is waited for in {} of {} clocked blocks", blocks,
                                       d_.clocked_blocks);
            if (blocks * 2 < d_.clocked_blocks && use.first > 0)
                g_.clock_why += fmt::format(", with which {} bits of state change", use.first);
        }
        if (g_.clock.empty() && is_serial && edges_of(serial->name) > 0) {
            g_.clock = serial->name;
            g_.clock_why = "nothing else has an edge that is waited for";
        }
        if (g_.clock.empty()) {
            g_.clock = take(
                port("input", true, [](const Words& w) { return has(w, {"clk", "clock", "ck"}); }));
            if (!g_.clock.empty()) g_.clock_why = "by its name";
        }
        if (!g_.clock.empty()) g_.used.insert(g_.clock);

        std::uint32_t best = 0;
        for (const Variable& v : d_.ports) {
            const auto use = d_.clock_uses.find(v.name);
            if (v.bits != 1 || v.name == g_.clock || use == d_.clock_uses.end()) continue;
            const Words words = words_of(v.name);
            const std::string all = v.name;
            std::string lower;
            for (const char c : all)
                lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
            const bool named =
                lower.find("rst") != std::string::npos || lower.find("reset") != std::string::npos;
            const sim::ClockUse& u = use->second;
            const std::uint32_t async = u.async_low + u.async_high;
            const std::uint32_t sync = u.sync_low + u.sync_high;
            const std::uint32_t score =
                (async > 0 ? 10000 + async : 0) + (named ? 5000 : 0) + std::min(sync, 4000U);
            if (score <= best) continue;
            best = score;
            g_.reset = v.name;
            if (async > 0) {
                g_.reset_low = u.async_low >= u.async_high;
                g_.reset_why = fmt::format("asynchronous, {} in {} clocked blocks",
                                           g_.reset_low ? "negedge" : "posedge", async);
            } else if (sync > 0) {
                g_.reset_low = u.sync_low >= u.sync_high;
                g_.reset_why =
                    fmt::format("synchronous, sets constants in {} clocked blocks", sync);
            } else {
                const std::string& last = words.back();
                g_.reset_low =
                    last == "n" || last == "ni" || last == "b" || last == "l" ||
                    (lower.size() > 3 && (lower.ends_with("rstn") || lower.ends_with("resetn") ||
                                          lower.starts_with("nrst")));
                g_.reset_why = "by its name alone";
            }
        }
        if (!g_.reset.empty()) g_.used.insert(g_.reset);
    }

    void size() {
        for (const Variable& v : d_.ports)
            if (v.direction == "output" && is_spike(stem_of(v.name)) && v.bits * v.words > 1 &&
                !is_packet(v) && !has(words_of(v.name), {"neuron", "id", "idx", "index"}))
                g_.neurons = v.is_array ? v.words : v.bits;
        if (g_.neurons == 0 && !d_.slices.empty()) g_.neurons = d_.slices.front().count;
        if (g_.neurons > 1) g_.parallel = true;
        for (const Variable& v : d_.parameters) {
            const Words words = words_of(v.name);
            if (g_.neurons == 0 && v.kind == Variable::Kind::Parameter &&
                has(words, {"neurons", "neuron", "nneurons", "numneurons"}) &&
                !has(words, {"width", "bits", "w", "addr"}))
                g_.neurons = value_of(v.value).value_or(0);
        }
        // A memory of potentials has a word for each neuron.
        for (const Variable& v : d_.signals)
            if (g_.neurons == 0 && v.is_array && v.copies == 1 && v.words > 1 && v.bits > 1 &&
                v.written && field_of(stem_of(last_part(v.name))) == "v")
                g_.neurons = v.words;
    }

    /// Clock and data of a serial configuration port.
    std::pair<const Variable*, const Variable*> serial_port() const {
        return {
            port("input", true,
                 [](const Words& w) {
                     return has(w, {"sck", "sclk"}) ||
                            (has(w, {"spi"}) && has(w, {"clk", "clock"}));
                 }),
            port("input", true, [](const Words& w) { return has(w, {"mosi", "sdi", "sdata"}); })};
    }

    /// Configuration bit by bit is more than a manifest's entry can say; what it writes can be
    /// written through the back door.
    void serial() {
        const auto [clock, data] = serial_port();
        if (!clock || !data) return;
        g_.serial_clock = take(clock);
        take(data);
        g_.unknown.push_back(
            fmt::format("{} and {}: they look like a serial configuration port; what it writes is "
                        "loaded by [[map]] as far as found, else by an adapter",
                        clock->name, data->name));
    }

    void config() {
        for (const Variable& v : d_.ports) {
            const Words words = stem_of(v.name);
            if (v.direction != "input" || v.bits != 1 || !is_free(v)) continue;
            const auto prefix = before(words, {"we", "wen", "wr", "write", "wvalid"});
            if (!prefix || prefix->empty()) continue;
            const Variable* address = nullptr;
            const Variable* data = nullptr;
            const Variable* read = nullptr;
            for (const Variable& other : d_.ports) {
                const Words w = stem_of(other.name);
                if (!begins_with(w, *prefix) || other.bits < 2 || other.is_array) continue;
                if (other.direction == "input" && has(w, {"addr", "address", "waddr", "adr"}))
                    address = &other;
                if (other.direction == "input" && has(w, {"data", "wdata", "din", "wd"}))
                    data = &other;
                if (other.direction == "output" && has(w, {"data", "rdata", "dout", "rd", "q"}))
                    read = &other;
            }
            if (!address || !data) continue;
            g_.config_write = take(&v);
            g_.config_address = take(address);
            g_.config_data = take(data);
            g_.config_read = take(read);
            return;
        }
    }

    /// A word of several fields.
    static bool is_packet(const Variable& v) {
        return has(words_of(v.name), {"packet", "pkt", "flit"});
    }

    void streams() {
        for (const Variable& v : d_.ports) {
            if (v.direction != "output" || v.bits != 1 || !is_free(v)) continue;
            const auto prefix = before(stem_of(v.name), kValid);
            if (!prefix) continue;
            const Variable* index = nullptr;
            const Variable* packet = nullptr;
            const Variable* ready = nullptr;
            std::vector<std::pair<std::string, const Variable*>> fields;
            for (const Variable& other : d_.ports) {
                const Words w = stem_of(other.name);
                if (&other == &v || other.is_array || !begins_with(w, *prefix)) continue;
                const Words rest(w.begin() + static_cast<std::ptrdiff_t>(prefix->size()), w.end());
                if (other.direction == "input" && has(rest, {"ready", "rdy"})) ready = &other;
                if (other.direction != "output") continue;
                if (has(rest, {"neuron", "id", "idx", "index", "addr", "address", "nid"}))
                    index = &other;
                else if (is_packet(other) && other.bits > 1)
                    packet = &other;
                else if (const std::string field = field_of(rest); !field.empty())
                    fields.emplace_back(field, &other);
                else if (has(rest, {"drive", "input", "current"}))
                    fields.emplace_back("i_syn", &other);
            }
            const bool packed = !index && packet;
            if (packed) index = packet;
            if (!index) continue;
            const bool spikes =
                fields.empty() && has(*prefix, {"spk", "spike", "spikes", "fire", "aer", "event",
                                                "ev", "out", "aerout"});
            if (!spikes && fields.empty()) continue;
            take(&v);
            take(index);
            take(ready);
            if (packed)
                g_.unknown.push_back(fmt::format(
                    "which of the {} bits of {} are the neuron ([[observe]] index), if they are "
                    "not all",
                    index->bits, index->name));
            if (spikes && !seen("spike"))
                g_.observed.push_back(
                    {"spike",
                     {},
                     v.name,
                     index->name,
                     ready ? ready->name : "",
                     packed ? "a stream: valid and a packet, by their names; the index is the "
                              "packet's bits that name the\n# neuron, or an inner signal"
                            : "a stream: valid and the neuron's number, by their names"});
            for (const auto& [field, from] : fields)
                if (!seen(field))
                    g_.observed.push_back(
                        {field, take(from), v.name, index->name, ready ? ready->name : "",
                         "a stream: valid and the neuron's number, by their names"});
        }
    }
    bool seen(const std::string& field) const {
        return std::any_of(g_.observed.begin(), g_.observed.end(),
                           [&](const Observed& o) { return o.field == field; });
    }

    /// Events as a word that is called as its valid: packet and packet_valid.
    void packet_input() {
        std::vector<std::pair<const Variable*, const Variable*>> found;
        std::string names;
        for (const Variable& v : d_.ports) {
            if (v.direction != "input" || v.bits != 1 || !is_free(v)) continue;
            const auto prefix = before(stem_of(v.name), kValid);
            for (const Variable& other : d_.ports)
                if (prefix && !prefix->empty() && other.direction == "input" && other.bits > 1 &&
                    !other.is_array && is_free(other) &&
                    (stem_of(other.name) == *prefix || words_of(other.name) == *prefix)) {
                    found.emplace_back(&v, &other);
                    names += (names.empty() ? "" : ", ") + v.name + " with " + other.name;
                }
        }
        if (found.size() > 1)
            g_.unknown.push_back("which of these is the input of events: " + names);
        if (found.size() != 1) return;
        g_.inputs.push_back({take(found[0].first), {}, take(found[0].second)});
        g_.unknown.push_back(fmt::format(
            "which of the {} bits of {} are the axon ([[input]] encode), if they are not all",
            found[0].second->bits, found[0].second->name));
    }

    void input_events() {
        for (const Variable& v : d_.ports) {
            if (v.direction != "input" || v.bits != 1 || !is_free(v)) continue;
            const auto prefix = before(stem_of(v.name), kValid);
            if (!prefix) continue;
            const Variable* ready = nullptr;
            const Variable* address = nullptr;
            for (const Variable& other : d_.ports) {
                const Words w = stem_of(other.name);
                if (!begins_with(w, *prefix) || !is_free(other)) continue;
                if (other.direction == "output" && other.bits == 1 && has(w, {"ready", "rdy"}))
                    ready = &other;
                if (other.direction == "input" && other.bits > 1 && !other.is_array &&
                    (!address || has(w, {"addr", "address", "axon", "id"})))
                    address = &other;
            }
            if (!address) continue;
            take(&v);
            g_.inputs.push_back({v.name, take(ready), take(address)});
        }
        if (g_.inputs.empty()) packet_input();
    }

    /// A port that shows all neurons at once, as an expression for neuron i.
    std::string per_neuron(const Variable& v, std::uint32_t least_bits) const {
        if (g_.neurons == 0) return {};
        if (v.is_array) return v.words == g_.neurons ? v.name + "[i]" : std::string();
        if (v.bits % g_.neurons != 0) return {};
        const std::uint64_t width = v.bits / g_.neurons;
        if (width < least_bits || width > 64) return {};
        if (g_.neurons == 1) return v.name;
        return width == 1 ? v.name + "[i]" : fmt::format("{}[{}*i +: {}]", v.name, width, width);
    }
    void values() {
        // A module with one spike output and no copies is a single neuron.
        if (g_.neurons == 0 && d_.loops.empty() && g_.observed.empty() && g_.inputs.empty())
            for (const Variable& v : d_.ports)
                if (v.direction == "output" && v.bits == 1 && is_spike(stem_of(v.name))) {
                    g_.neurons = 1;
                    g_.parallel = true;
                }
        for (const Variable& v : d_.ports) {
            if (v.direction != "output" || !is_free(v) || is_packet(v)) continue;
            const Words words = stem_of(v.name);
            if (is_spike(words) && !seen("spike")) {
                if (const std::string value = per_neuron(v, 1);
                    !value.empty() && (v.is_array ? v.bits : v.bits / g_.neurons) == 1)
                    g_.observed.push_back({"spike", value, {}, {}, {}, "by its name and width"});
                else
                    continue;
                take(&v);
            } else if (const std::string field = field_of(words); !field.empty() && !seen(field)) {
                const std::string value = per_neuron(v, 2);
                if (value.empty()) continue;
                g_.observed.push_back({field, value, {}, {}, {}, "by its name and width"});
                take(&v);
            }
        }
        // Without telling names, what a loop of neurons drives: one bit each is a spike, if there
        // is one such port; a number each the potential, again if there is one.
        for (const bool wide : {false, true}) {
            const sim::SlicedPort* only = nullptr;
            std::size_t count = 0;
            for (const sim::SlicedPort& s : d_.slices) {
                const Variable* v = find(s.port);
                if (!v || v->direction != "output" || !is_free(*v) || (s.width > 1) != wide)
                    continue;
                only = &s;
                ++count;
            }
            const std::string field = wide ? "v" : "spike";
            if (count != 1 || seen(field)) continue;
            const std::string value = per_neuron(*find(only->port), 1);
            if (value.empty()) continue;
            g_.observed.push_back(
                {field, value, {}, {}, {}, "by its width alone: one slice for each of the copies"});
            g_.used.insert(only->port);
        }
    }
    const Variable* find(const std::string& name) const {
        for (const Variable& v : d_.ports)
            if (v.name == name) return &v;
        return nullptr;
    }

    /// State inside the core, for fields that no port shows.
    void inside() {
        for (const char* wanted : {"v", "u", "refr"}) {
            if (seen(wanted)) continue;
            const Variable* best = nullptr;
            for (const Variable& v : d_.signals) {
                const std::string last = last_part(v.name);
                if (field_of(stem_of(last)) != wanted || v.bits < 2 || v.bits > 32) continue;
                const bool memory = v.is_array && v.words > 1 && v.copies == 1 &&
                                    (g_.neurons < 2 || v.words == g_.neurons);
                const bool copied = !v.is_array && v.copies > 1 && v.copies == g_.neurons &&
                                    v.name.find("{i}") != std::string::npos;
                if (!memory && !copied) continue;
                // A register is meant, not what is computed for it.
                if (!best || last.ends_with("_q") || last.ends_with("_r")) best = &v;
            }
            if (!best) {
                banked(wanted);
                continue;
            }
            g_.observed.push_back({wanted,
                                   best->is_array ? best->name + "[i]" : best->name,
                                   {},
                                   {},
                                   {},
                                   best->is_array ? "a memory, by its name"
                                                  : "a register in each copy, by its name"});
        }
    }

    /// State in several memories, one a copy of an instance, as a net reads it out of them.
    void banked(const std::string& wanted) {
        for (const Variable& v : d_.signals) {
            if (v.reads.empty() || v.copies < 2 || field_of(stem_of(last_part(v.name))) != wanted ||
                v.name.find("{i}") == std::string::npos || v.name.find("{j}") != std::string::npos)
                continue;
            const Variable* memory = nullptr;
            for (const Variable& other : d_.signals)
                if (other.is_array && other.copies == v.copies &&
                    v.reads.find(other.name + "[@]") != std::string::npos)
                    memory = &other;
            if (!memory || g_.neurons != std::uint64_t{memory->words} * v.copies) continue;
            const std::string copies = std::to_string(v.copies);
            g_.observed.push_back(
                {wanted,
                 replaced(replaced(v.reads, "{i}", "{i % " + copies + "}"), "[@]",
                          "[i / " + copies + "]"),
                 {},
                 {},
                 {},
                 fmt::format("what '{}' reads; neuron i could also be word i % {} of copy i / {}",
                             v.name, memory->words, memory->words)});
            return;
        }
    }

    /// Without telling names, the only output with a bit for each neuron.
    void unnamed_spikes() {
        if (seen("spike") || g_.neurons < 4) return;
        const Variable* only = nullptr;
        std::size_t count = 0;
        for (const Variable& v : d_.ports) {
            if (v.direction != "output" || !is_free(v)) continue;
            if (v.is_array ? v.bits != 1 || v.words != g_.neurons : v.bits != g_.neurons) continue;
            only = &v;
            ++count;
        }
        if (count != 1) return;
        g_.observed.push_back({"spike",
                               only->name + "[i]",
                               {},
                               {},
                               {},
                               "the only output with a bit for each neuron"});
        take(only);
    }

    /// Whether nothing in the core changes it, but for a serial configuration port.
    bool holds(const Variable& v) const {
        return !v.written || (!g_.serial_clock.empty() && v.clock == g_.serial_clock);
    }

    /// A memory of weights with several of a row in a word, as the core reads it.
    std::optional<Mapped> weights_by_columns(const Variable& v) {
        const std::uint64_t each = std::uint64_t{1} << v.shared_bits;
        const std::uint64_t words = std::uint64_t{1} << v.column_bits;
        const std::uint64_t rows = v.words / words;
        if (v.column_bits == 0 || each * words != g_.neurons || rows * words != v.words ||
            v.bits % each != 0)
            return std::nullopt;
        const std::uint64_t width = v.bits / each;
        Mapped m{v.name,
                 "dense",
                 fmt::format("{}*pre + post/{}", words, each),
                 fmt::format("{}*(post%{})", width, each),
                 "weight",
                 width,
                 {},
                 {}};
        m.why = fmt::format("read by row and group of {} neurons, {} bits each", each, width);
        if (rows <= g_.neurons) {
            m.when = "pre < n_axons";
            m.why += ", with no rows for spikes of neurons";
            return m;
        }
        const std::uint64_t axons = rows - g_.neurons;
        m.why += fmt::format("; rows taken as {} axons, then {} neurons", axons, g_.neurons);
        g_.axons = axons;
        return m;
    }

    /// Registers of a serial configuration port that the core looks at.
    void serial_registers() {
        if (g_.serial_clock.empty()) return;
        for (const Variable& v : d_.signals) {
            if (v.is_array || v.copies != 1 || v.bits < 1 || v.bits > 64 ||
                v.direction != "output" || v.clock != g_.serial_clock)
                continue;
            const std::string last = last_part(v.name);
            const bool leak = has(stem_of(last), {"leak"}) && v.bits > 1;
            if (v.working && !leak) {
                g_.working.push_back(
                    fmt::format("{} ({} bit{})", v.name, v.bits, v.bits == 1 ? "" : "s"));
                continue;
            }
            g_.maps.push_back({v.name,
                               "global",
                               {},
                               {},
                               leak ? "leak" : "FILL_IN_" + last,
                               v.bits,
                               "only " + g_.serial_clock + " writes it" +
                                   (leak ? ", by its name" : "; the value is not guessed"),
                               {}});
            if (!leak) g_.unknown.push_back("what " + v.name + " must be ([[map]])");
        }
    }

    /// Memories that no name tells, by their sizes: one that is fed back, with a word for each
    /// neuron, and one with a few bits for each pair of neurons.
    void unnamed_memories() {
        std::uint64_t n = g_.neurons;
        // Without a number of neurons, what the address of a spike can tell apart.
        for (const Observed& o : g_.observed)
            for (const Variable& v : d_.ports)
                if (n == 0 && o.field == "spike" && v.name == o.index && v.bits > 1 && v.bits < 16)
                    n = std::uint64_t{1} << v.bits;
        const auto queue = [](const Variable& v) {
            return has(words_of(v.name), {"fifo", "queue", "buffer", "buf"});
        };
        const Variable* only = nullptr;
        std::size_t count = 0;
        for (const Variable& v : d_.signals) {
            if (!v.is_array || v.copies != 1 || v.words < 2 || !v.fed_back || v.bits < 4) continue;
            ++count;
            only = &v;
            if (v.words == n && !g_.state && !queue(v)) g_.state = &v;
        }
        if (!g_.state && n < 2 && count == 1 && !queue(*only)) g_.state = only;
        if (g_.state && n < 2) n = g_.state->words;
        for (const Variable& v : d_.signals) {
            const std::uint64_t bits = std::uint64_t{v.bits} * v.words;
            if (n < 2 || !v.is_array || v.copies != 1 || &v == g_.state || bits % (n * n) != 0 ||
                bits / (n * n) > 32 || (v.bits % (bits / (n * n))) != 0 || queue(v))
                continue;
            const bool known = std::any_of(g_.maps.begin(), g_.maps.end(),
                                           [&](const Mapped& m) { return m.memory == v.name; });
            if (!known && !g_.synapses) {
                g_.synapses = &v;
                g_.pairs = n;
            }
        }
        if (seen("v")) g_.state = nullptr;
    }

    /// Memories that nothing in the core writes hold the network: they are loaded.
    void maps() {
        serial_registers();
        if (g_.neurons < 2) return;
        const std::uint64_t n = g_.neurons;
        std::uint64_t axons = 0;
        for (const Variable& v : d_.parameters)
            if (axons == 0 && v.kind == Variable::Kind::Parameter &&
                has(words_of(v.name), {"axons", "axon", "inputs", "naxons", "pre"}) &&
                !has(words_of(v.name), {"width", "bits", "w", "addr"}))
                axons = value_of(v.value).value_or(0);
        for (const Input& input : g_.inputs)
            for (const Variable& v : d_.ports)
                if (axons == 0 && v.name == input.address && v.bits < 16)
                    axons = std::uint64_t{1} << v.bits;
        for (const Variable& v : d_.signals) {
            if (!v.is_array || !holds(v) || v.copies != 1 || v.words < 2 || v.bits < 2) continue;
            const std::string writer = v.written ? "only " + v.clock : "nothing";
            const Words words = stem_of(last_part(v.name));
            if (v.words == n && v.bits <= 64 &&
                has(words, {"th", "thr", "vth", "threshold", "thresholds", "limit", "limits"})) {
                g_.maps.push_back({v.name,
                                   "neuron",
                                   "n",
                                   {},
                                   "threshold",
                                   v.bits,
                                   writer + " writes it, by its name and size",
                                   {}});
                continue;
            }
            if (!has(words, {"weight", "weights", "wmem", "synapse", "synapses", "syn", "row",
                             "rows", "crossbar"}))
                continue;
            if (std::optional<Mapped> m = weights_by_columns(v)) {
                m->why = writer + " writes it; " + m->why;
                g_.maps.push_back(std::move(*m));
                continue;
            }
            const std::uint64_t total = std::uint64_t{v.bits} * v.words;
            // Rows for axons alone, or for spikes of the core's own too.
            for (const std::uint64_t sources : {axons, axons + n}) {
                if (sources == 0 || total % (sources * n) != 0) continue;
                const std::uint64_t width = total / (sources * n);
                if (width < 1 || width > 32 || v.bits % width != 0) continue;
                const std::uint64_t each = v.bits / width;
                Mapped m{v.name, "dense", {}, {}, "weight", width, {}, {}};
                m.why = fmt::format("{} writes it; {} bits for {} sources and {} neurons", writer,
                                    total, sources, n);
                if (each > n || n % each != 0) continue;
                m.word = each == n   ? "pre"
                         : each == 1 ? fmt::format("{}*pre + post", n)
                                     : fmt::format("{}*pre + post/{}", n / each, each);
                if (each == n)
                    m.lsb = fmt::format("{}*post", width);
                else if (each > 1)
                    m.lsb = fmt::format("{}*(post%{})", width, each);
                if (sources == axons) {
                    m.when = "pre < n_axons";
                    m.why += ", none of them for spikes of neurons";
                }
                g_.maps.push_back(std::move(m));
                break;
            }
        }
    }

    void timestep() {
        g_.start = take(port("input", true, [](const Words& w) {
            return has(w, {"start", "tick", "go", "trigger", "do"});
        }));
        g_.done = take(port("output", true, [](const Words& w) {
            return has(w, {"done", "finished", "finish", "eot", "final", "return"});
        }));
        if (const Variable* busy =
                port("output", true, [](const Words& w) { return has(w, {"busy"}); }))
            g_.idle = "!" + take(busy);
        else if (const Variable* idle =
                     port("output", true, [](const Words& w) { return has(w, {"idle"}); }))
            g_.idle = take(idle);
        // Where nothing but 'busy' says that a timestep is over, it is over when that falls.
        if (!g_.start.empty() && g_.done.empty()) std::swap(g_.done, g_.idle);
        g_.clear =
            take(port("input", true, [](const Words& w) { return has(w, {"clear", "clr"}); }));
        // A short counter that never stops counts the clocks of a timestep.
        for (const Variable& v : d_.signals)
            if (v.counts && (v.clock.empty() || v.clock == g_.clock) && !v.is_array &&
                v.copies == 1 && v.bits <= 6 && g_.phase.empty()) {
                g_.phase = v.name;
                g_.clocks = std::uint64_t{1} << v.bits;
            }
        if (g_.parallel && g_.start.empty() && g_.done.empty())
            while (const Variable* enable = port("input", true, [](const Words& w) {
                       return has(w, {"step", "en", "enable", "ena", "ce", "run"});
                   }))
                g_.enables.push_back(take(enable));
        if (g_.enables.empty() && g_.start.empty() && !g_.parallel)
            g_.start = take(port("input", true, [](const Words& w) { return has(w, {"step"}); }));
        for (const Variable& v : d_.ports)
            if (v.direction == "input" && v.bits > 1 && v.bits <= 32 && !v.is_array && is_free(v) &&
                has(stem_of(v.name), {"th", "thr", "vth", "threshold"})) {
                g_.threshold_bits = v.bits;
                g_.threshold = take(&v);
                break;
            }
    }

    void side_band() {
        for (const Variable& v : d_.ports) {
            if (v.direction != "input" || !is_free(v)) continue;
            const Words w = stem_of(v.name);
            const bool named =
                has(w, {"current", "curr", "isyn", "syn", "stim", "stimulus", "iin"}) ||
                (w.size() == 2 && w[0] == "i" && w[1] == "in") || (w.size() == 1 && w[0] == "i");
            const bool sliced = std::any_of(
                d_.slices.begin(), d_.slices.end(),
                [&](const sim::SlicedPort& s) { return s.port == v.name && s.width > 1; });
            if (!named && !sliced) continue;
            const std::string value = per_neuron(v, 2);
            if (value.empty()) continue;
            g_.side_band = value;
            take(&v);
            return;
        }
    }

    /// Events by request and acknowledge.
    void handshakes() {
        for (const Variable& v : d_.ports) {
            const auto prefix = before(words_of(v.name), {"req", "request"});
            if (!prefix || v.bits != 1 || !is_free(v)) continue;
            const Variable* acknowledge = nullptr;
            const Variable* address = nullptr;
            for (const Variable& other : d_.ports) {
                const Words w = words_of(other.name);
                if (!is_free(other) || !(prefix->empty() || begins_with(w, *prefix))) continue;
                if (other.bits == 1 && other.direction != v.direction && has(w, {"ack"}))
                    acknowledge = &other;
                if (other.bits > 1 && !other.is_array && other.direction == v.direction &&
                    has(w, {"addr", "address", "data", "event"}))
                    address = &other;
            }
            if (!acknowledge) continue;
            if (!address || (v.direction == "output" && seen("spike"))) {
                g_.unknown.push_back(fmt::format(
                    "{} and {}: they look like request and acknowledge of {} events", v.name,
                    acknowledge->name, v.direction == "input" ? "input" : "output"));
                continue;
            }
            take(&v);
            take(acknowledge);
            take(address);
            if (v.direction == "input")
                g_.inputs.push_back({v.name, acknowledge->name, address->name, true});
            else
                g_.observed.push_back({"spike",
                                       {},
                                       v.name,
                                       address->name,
                                       acknowledge->name,
                                       "events by request and acknowledge, by their names",
                                       true});
        }
    }

    /// Inner signals whose names speak of an empty queue or an idle state, the outermost of them:
    /// what lies deeper is mostly the same net under another name.
    void find_empty() {
        std::vector<const Variable*> found;
        const auto depth = [](const Variable& v) {
            return std::count(v.name.begin(), v.name.end(), '.');
        };
        for (const Variable& v : d_.signals) {
            if (v.bits != 1 || v.is_array || v.copies != 1 || v.direction == "input") continue;
            const Words words = words_of(last_part(v.name));
            std::string all;
            for (const std::string& word : words) all += word;
            if (all.find("empty") == std::string::npos && all.find("idle") == std::string::npos)
                continue;
            // A whole word that nothing turns round says it clearly.
            if (!has(words, {"empty", "idle"}) ||
                has(words, {"not", "non", "n", "b", "l", "almost", "nearly", "next", "nxt", "set",
                            "clr", "clear"}))
                g_.perhaps_empty.push_back(v.name);
            else
                found.push_back(&v);
        }
        std::stable_sort(found.begin(), found.end(), [&](const Variable* a, const Variable* b) {
            return depth(*a) < depth(*b);
        });
        for (const Variable* v : found)
            if (depth(*v) == depth(*found.front()))
                g_.empty_queue += (g_.empty_queue.empty() ? "" : " && ") + v->name;
            else
                g_.perhaps_empty.push_back(v->name);
    }

    void what_is_missing() {
        if (g_.clock.empty())
            g_.unknown.emplace_back("the clock: no input's edge is waited for anywhere");
        if (g_.reset.empty()) g_.unknown.emplace_back("the reset, if there is one");
        const bool aer = is_aer(g_);
        if (aer) {
            for (const Input& input : g_.inputs) g_.quiet.push_back(input.ready);
            for (const Observed& o : g_.observed)
                if (o.four_phase) g_.quiet.push_back(o.valid);
            g_.unknown.emplace_back("what ends a timestep (a tick, by a port or as an event)");
            for (const Input& input : g_.inputs)
                if (const Variable* address = find(input.address);
                    g_.axons > 0 && address->bits < 32 &&
                    std::uint64_t{1} << address->bits > g_.axons)
                    g_.tick_hint =
                        fmt::format("{} can be more than the {} axons: a tick may be 0x{:x}",
                                    input.address, g_.axons, g_.axons);
            if (g_.idle.empty()) find_empty();
            if (g_.idle.empty() && g_.empty_queue.empty())
                g_.unknown.emplace_back(
                    "what says that the core is idle: taken as idle once "
                    "nothing has happened for a while");
        } else if (!g_.parallel && (g_.start.empty() || g_.done.empty())) {
            g_.unknown.emplace_back("how a timestep begins and ends ([timestep])");
        }
        if (!seen("spike")) g_.unknown.emplace_back("where spikes are seen ([[observe]] spike)");
        if (!seen("v"))
            g_.unknown.push_back("where potentials are seen ([[observe]] v)" +
                                 (g_.state ? "; perhaps in " + g_.state->name : std::string()));
        if (g_.inputs.empty() && g_.side_band.empty())
            g_.unknown.emplace_back("how input enters ([[input]] or [[side_band]])");
        for (const Input& input : g_.inputs)
            if (input.ready.empty())
                g_.unknown.push_back("what says that input '" + input.valid +
                                     "' is taken (taken as always ready)");
    }

    const Design& d_;
    Guess g_;
};

std::string shown(const Variable& v) {
    std::string text = v.name + " (" + (v.is_array ? fmt::format("{} x ", v.words) : "") +
                       fmt::format("{} bit{}", v.bits, v.bits == 1 ? "" : "s");
    if (v.copies > 1) text += fmt::format(", {} copies", v.copies);
    return text + ")";
}

/// A comment that names things, wrapped.
void comment_list(std::string& out, const std::string& title, const std::vector<std::string>& names,
                  std::size_t most = 24) {
    if (names.empty()) return;
    out += "# " + title + "\n";
    std::string line = "#  ";
    for (std::size_t k = 0; k < std::min(most, names.size()); ++k) {
        const std::string word = " " + names[k] + (k + 1 < names.size() ? "," : "");
        if (line.size() + word.size() > 100) {
            out += line + "\n";
            line = "#  ";
        }
        line += word;
    }
    if (names.size() > most) line += fmt::format(" and {} more", names.size() - most);
    out += line + "\n";
}

std::string toml_list(const std::vector<std::string>& items) {
    std::string out = "[";
    for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + quoted(item);
    return out + "]";
}

/// Entries for memories that sizes alone tell, as comments.
std::string memory_skeletons(const Guess& g) {
    std::string out;
    if (g.state) {
        const std::string name = g.state->name;
        out += fmt::format(
            "\n# {} ({} words of {} bits)\n# is read, changed and written back: the neurons' "
            "state,\n# perhaps with their parameters. FILL_IN_...: the bits of each.\n"
            "# [[observe]]\n# field = \"v\"\n"
            "# value = \"{}[i][FILL_IN_high:FILL_IN_low]\"\n#\n"
            "# [[map]]\n# array = \"neuron\"\n# memory = \"{}\"\n# word = \"n\"\n"
            "# lsb = \"FILL_IN_low\"\n# width = FILL_IN_bits\n"
            "# value = \"threshold\"  # and one entry each for v_init, leak, ...\n",
            name, g.state->words, g.state->bits, name, name);
    }
    if (g.synapses) {
        const sim::Variable& v = *g.synapses;
        const std::uint64_t width = std::uint64_t{v.bits} * v.words / (g.pairs * g.pairs);
        const std::uint64_t each = v.bits / width;
        const std::uint64_t row = g.pairs / std::max<std::uint64_t>(each, 1);
        out += fmt::format(
            "\n# {} ({} words of {} bits)\n# has {} bit{} for each of {} x {} pairs: synapses?\n"
            "# [[map]]\n# array = \"dense\"\n# memory = \"{}\"\n",
            v.name, v.words, v.bits, width, width == 1 ? "" : "s", g.pairs, g.pairs, v.name);
        out += "# word = " +
               quoted(row <= 1    ? "pre"
                      : each == 1 ? fmt::format("{}*pre + post", row)
                                  : fmt::format("{}*pre + post/{}", row, each)) +
               "\n";
        if (each > 1)
            out += "# lsb = " +
                   quoted(row <= 1 ? fmt::format("{}*post", width)
                                   : fmt::format("{}*(post%{})", width, each)) +
                   "\n";
        out +=
            fmt::format("# width = {}\n# value = \"weight\"\n# when = \"pre < n_axons\"\n", width);
    }
    return out;
}

std::string seen_from(const std::string& folder, const std::string& path) {
    const fs::path full = fs::absolute(path).lexically_normal();
    std::string relative = full.lexically_proximate(folder).string();
    // Far away, the path from the root is the clearer one.
    return relative.starts_with("../../../../") ? full.string() : relative;
}

struct Build {
    std::string folder;  ///< of the manifest
    std::vector<std::string> sources;
    std::vector<std::string> include_dirs;
    std::vector<std::string> defines;
    std::string language;
};

std::string manifest_text(const Design& d, const Guess& g, const Build& b) {
    const auto or_open = [](const std::string& name, const char* open) {
        return quoted(name.empty() ? std::string("FILL_IN_") + open : name);
    };
    std::string out = "# First manifest of " + d.top +
                      ", as guessed by 'spikelock init': check every line against the core.\n";
    if (g.unknown.empty()) {
        out += "# Everything that a run needs but the network was guessed.\n";
    } else {
        out += "# Not guessed; where a name is needed it is FILL_IN_...:\n";
        for (const std::string& what : g.unknown) out += "# - " + what + "\n";
    }
    out +=
        "# 'spikelock signals' lists the names that can be used, 'spikelock check' tries them.\n\n";
    out += "clock = " + or_open(g.clock, "clock");
    if (!g.clock_why.empty()) out += "  # " + g.clock_why;
    for (const auto* list : {&g.extra_clocks, &g.maybe_clocks})
        for (const std::string& clock : *list) {
            const std::string off = list == &g.maybe_clocks ? "# " : "";
            out += "\n\n# Guess: " + clock + " clocks registers too; its ratio is to be set.\n" +
                   off + "[[extra_clock]]\n" + off + "port = " + quoted(clock) + "\n" + off +
                   "ratio = \"1\"";
        }
    out += "\n\n[core]\ntop = " + quoted(d.top) + "\n";
    if (!d.other_tops.empty())
        comment_list(out, "Also not instantiated by anything (--top chooses):", d.other_tops);
    std::vector<std::string> files;
    for (const std::string& s : b.sources) files.push_back(seen_from(b.folder, s));
    out += "sources = " + toml_list(files) + "\n";
    std::vector<std::string> dirs;
    for (const std::string& s : b.include_dirs) dirs.push_back(seen_from(b.folder, s));
    if (!dirs.empty()) out += "include_dirs = " + toml_list(dirs) + "\n";
    if (!b.defines.empty()) out += "defines = " + toml_list(b.defines) + "\n";
    if (b.language != "1800-2017") out += "language = " + quoted(b.language) + "\n";

    std::string parameters;
    for (const Variable& v : d.parameters) {
        if (v.kind != Variable::Kind::Parameter || v.value.empty()) continue;
        parameters += "# " + v.name + " = " + parameter_text(v.value) + "\n";
    }
    if (!parameters.empty())
        out +=
            "\n# Parameters with their defaults; take off the # to change "
            "one.\n[core.parameters]\n" +
            parameters;

    out +=
        "\n# The network that the core holds, and what it is given (docs/manifest.md).\n"
        "# [network]\n# json = \"net.json\"  # or nir = \"net.nir\" and [network.quantise]\n#\n"
        "# [stimulus]\n";
    out += g.side_band.empty() ? "# kind = \"poisson\"\n# probability = 0.1\n"
                               : "# kind = \"current\"\n# current = 100\n# noise = 50\n";
    out += "# steps = 1000\n";

    if (!g.config_write.empty()) {
        out +=
            "\n# Guess, by names: one write a clock. [[map]] entries say what stands where:\n"
            "# [[map]]\n# array = \"neuron\"\n# address = \"0x1000 + n\"\n# value = "
            "\"threshold\"\n[config]\nwrite = " +
            quoted(g.config_write) + "\naddress = " + quoted(g.config_address) +
            "\ndata = " + quoted(g.config_data) + "\n";
        if (!g.config_read.empty())
            out += "read_data = " + quoted(g.config_read) +
                   "\nread_latency = 1  # clock edges from address to data: not guessed\n";
    }
    if (g.reset.empty()) {
        out += "\n# [[startup]]\n# reset = \"FILL_IN_reset\"\n# active = \"low\"\n";
    } else {
        out += "\n# " + g.reset_why + "\n[[startup]]\nreset = " + quoted(g.reset) +
               "\nactive = " + (g.reset_low ? "\"low\"" : "\"high\"") + "\nclocks = 4\n";
    }
    if (g.maps.empty() && (g.threshold.empty() || g.neurons < 2)) {
        out +=
            "\n# Once there are [[map]] entries (weights, thresholds, ...):\n# [[startup]]\n"
            "# load = \"maps\"\n";
    } else {
        out +=
            "\n# Writes all [[map]] entries and compares them with the network.\n"
            "[[startup]]\nload = \"maps\"\n";
    }
    for (const Mapped& m : g.maps) {
        out += "\n# Guess: " + m.why + ".\n[[map]]\narray = " + quoted(m.array) +
               "\nmemory = " + quoted(m.memory) + "\n";
        if (!m.word.empty()) out += "word = " + quoted(m.word) + "\n";
        if (!m.lsb.empty()) out += "lsb = " + quoted(m.lsb) + "\n";
        out += fmt::format("width = {}\nvalue = {}\n", m.width, quoted(m.value));
        if (!m.when.empty()) out += "when = " + quoted(m.when) + "\n";
    }
    if (!g.working.empty()) out += "\n";
    comment_list(out, "Written by the serial port too, but to decode its frames; no configuration:",
                 g.working);
    // The neurons side by side share such a port, so it may be held; of a single neuron it is an
    // operand, which something outside gives with the rest.
    if (!g.threshold.empty() && g.neurons > 1)
        out +=
            "\n# Guess, by its name: an input that holds the threshold of all neurons.\n"
            "[[map]]\narray = \"global\"\nmemory = " +
            quoted(g.threshold) +
            fmt::format("\nwidth = {}\nvalue = \"threshold\"\n", g.threshold_bits);
    else if (!g.threshold.empty())
        out += "\n# " + g.threshold +
               " may be the threshold: an input, which no memory holds. To hold it at a number:\n"
               "# [[startup]]\n# set = " +
               quoted(g.threshold) + "\n# value = FILL_IN_threshold\n";
    for (const std::string& enable : g.enables)
        out +=
            "\n# Guess, by its name: held at 1, so that every clock is a "
            "timestep.\n[[startup]]\nset = " +
            quoted(enable) + "\nvalue = 1\n";
    if (!g.clear.empty() && !g.done.empty())
        out += "\n# Guess, by names.\n[[state.clear]]\npulse = " + quoted(g.clear) +
               "\nuntil = " + quoted(g.done) + "\n";
    else if (!g.clear.empty())
        out += "\n# " + g.clear +
               " may clear the state between samples:\n# [[state.clear]]\n# pulse = " +
               quoted(g.clear) + "\n# until = " + "\"FILL_IN_done\"\n";

    if (is_aer(g)) {
        out +=
            "\n# Guess: events by request and acknowledge. A tick that ends the timestep is a port "
            "(tick)\n# or a special address (tick_address).\n";
        if (!g.tick_hint.empty()) out += "# " + g.tick_hint + ".\n";
        out += "[timestep]\nkind = \"aer\"\n# tick_address = \"FILL_IN_tick\"\n";
        if (!g.idle.empty()) {
            out += "idle = " + quoted(g.idle) + "\n";
        } else {
            if (!g.empty_queue.empty())
                out +=
                    "# Guess, by names: all queues are empty. What is under way then is left to "
                    "'quiet'.\nidle = " +
                    quoted(g.empty_queue) + "\n";
            else
                out += "# idle = \"FILL_IN_queue_is_empty && FILL_IN_state_is_idle\"\n";
            comment_list(out, "Names that may say so too:", g.perhaps_empty, 8);
            if (g.empty_queue.empty())
                out +=
                    "# Without 'idle' this is only safe where no event waits inside: queued events "
                    "that fire nothing\n# look idle, a tick overtakes them, and the run diverges "
                    "where the core is right.\n";
            else
                out +=
                    "# Without 'idle' this would not be safe: queued events that fire nothing look "
                    "idle.\n";
            out += "# quiet_clocks: more than an event takes to go through all neurons.\n";
            // A sweep over all neurons shows nothing outside, whatever their number.
            out += "quiet = " + toml_list(g.quiet) +
                   fmt::format("\nquiet_clocks = {}\n",
                               std::clamp<std::uint64_t>(4 * g.neurons, 1024, 65536));
        }
        out +=
            "\n# One event at a time: their order is then known. For bursts, [[taken]] entries "
            "must "
            "say which\n# event the core takes, where that changes the result.\n[pacing]\ninput = "
            "\"drain\"\n";
    } else if (g.parallel && g.start.empty() && g.done.empty()) {
        out += fmt::format(
            "\n# Guess: {} neuron{} side by side and nothing that starts or ends a timestep{}.\n"
            "[timestep]\nkind = \"clocked\"\nclocks = {}\n",
            g.neurons, g.neurons == 1 ? "" : "s",
            g.phase.empty()
                ? std::string()
                : fmt::format(";\n# '{}' counts {} clocks over and over", g.phase, g.clocks),
            g.clocks);
    } else {
        out += "\n";
        if (g.start.empty() || g.done.empty())
            out +=
                "# If a timestep is a fixed number of clocks: kind = \"clocked\", clocks = N, "
                "without start and done.\n";
        else
            out += "# Guess, by names.\n";
        out += "[timestep]\nkind = \"handshake\"\nstart = " + or_open(g.start, "start") +
               "\ndone = " + or_open(g.done, "done") + "\n";
        if (!g.idle.empty()) out += "idle = " + quoted(g.idle) + "\n";
    }

    for (const Input& input : g.inputs)
        out += "\n# Guess, by names.\n[[input]]\n" +
               std::string(input.four_phase ? "req = " : "valid = ") + quoted(input.valid) +
               (input.four_phase ? "\nack = " : "\nready = ") +
               quoted(input.ready.empty() ? "1" : input.ready) +
               "\naddress = " + quoted(input.address) + "\n";
    if (!g.side_band.empty())
        out +=
            "\n# Guess, by name and width: the current of each neuron.\n[[side_band]]\nname = "
            "\"i_in\"\ntarget = " +
            quoted(g.side_band) + "\n";
    if (g.inputs.empty() && g.side_band.empty())
        out +=
            "\n# [[input]]\n# valid = \"FILL_IN_valid\"\n# ready = \"FILL_IN_ready\"\n"
            "# address = \"FILL_IN_address\"\n";

    bool spikes = false;
    for (const Observed& o : g.observed) {
        spikes = spikes || o.field == "spike";
        out += "\n# Guess: " + o.why + ".\n[[observe]]\nfield = " + quoted(o.field) + "\n";
        if (!o.valid.empty())
            out += (o.four_phase ? "req = " : "valid = ") + quoted(o.valid) +
                   "\nindex = " + quoted(o.index) + "\n";
        if (!o.ready.empty())
            out += (o.four_phase ? "ack = " : "ready = ") + quoted(o.ready) + "\n";
        if (o.four_phase) out += "counts = true  # a neuron may fire more often than once\n";
        if (!o.value.empty()) out += "value = " + quoted(o.value) + "\n";
    }
    if (!spikes)
        out +=
            "\n# Either a value for neuron i, e.g. spike_o[i], or a stream: valid and index.\n"
            "[[observe]]\nfield = \"spike\"\nvalue = \"FILL_IN_spike\"\n";
    const bool potentials = std::any_of(g.observed.begin(), g.observed.end(),
                                        [](const Observed& o) { return o.field == "v"; });
    out += memory_skeletons(g);
    if (!potentials && !g.state)
        out +=
            "\n# [[observe]]\n# field = \"v\"\n# value = \"FILL_IN_v\"  # e.g. v_o[16*i +: 16], "
            "or u_state.v_q[i] for a memory\n";

    std::vector<std::string> inputs;
    std::vector<std::string> outputs;
    for (const Variable& v : d.ports) {
        if (g.used.contains(v.name)) continue;
        (v.direction == "output" ? outputs : inputs).push_back(shown(v));
    }
    std::vector<std::string> memories;
    for (const Variable& v : d.signals)
        if (v.is_array && v.words > 1 && v.bits > 0) memories.push_back(shown(v));
    if (!inputs.empty() || !outputs.empty() || !memories.empty()) out += "\n";
    comment_list(
        out, "Inputs without a role; they stay 0 unless a [[startup]] entry sets them:", inputs);
    comment_list(out, "Outputs without a role:", outputs);
    comment_list(
        out, "Memories inside, for [[observe]] (name[i]) and [[map]] (memory = name):", memories);
    return out;
}

/// Where a missing include file is: beside the sources, one folder up, or in a folder beside them.
std::string folder_of_include(const std::string& file, const std::vector<std::string>& sources) {
    for (const std::string& source : sources) {
        const fs::path here = fs::absolute(source).parent_path().lexically_normal();
        for (const fs::path& base : {here, here.parent_path()}) {
            std::error_code code;
            if (fs::exists(base / file, code)) return base.string();
            std::vector<fs::path> folders;
            for (auto it = fs::directory_iterator(base, code);
                 !code && it != fs::directory_iterator(); it.increment(code)) {
                std::error_code own;
                if (it->is_directory(own) && fs::exists(it->path() / file, own))
                    folders.push_back(it->path());
            }
            if (!folders.empty()) return std::min_element(folders.begin(), folders.end())->string();
        }
    }
    return {};
}

/// Elaborates, and helps itself to include folders and an older language where that is needed.
Result<Design> elaborate(const InitOptions& o, Build& build, const Console& console) {
    sim::ElaborateOptions options;
    options.sources = build.sources;
    options.top = o.top;
    options.defines = o.defines;
    options.temp_folder = fs::temp_directory_path().string();
    options.stop = console.stop;
    static const std::string missing = "Cannot find include file: ";
    const bool plain_verilog =
        std::all_of(build.sources.begin(), build.sources.end(),
                    [](const std::string& s) { return fs::path(s).extension() == ".v"; });
    for (int attempt = 0;; ++attempt) {
        options.include_dirs = build.include_dirs;
        options.language = build.language;
        Result<Design> design = sim::elaborate(options);
        if (design || attempt >= 16) return design;
        const std::string& message = design.error().message;
        if (const std::size_t at = message.find(missing); at != std::string::npos) {
            std::string file = message.substr(at + missing.size());
            file = file.substr(0, file.find_last_not_of(" '\n") + 1);
            if (!file.empty() && file.front() == '\'') file.erase(0, 1);
            const std::string folder = folder_of_include(file, build.sources);
            if (folder.empty()) {
                design.error().message += "; name its folder with -I FOLDER";
                return design;
            }
            console.step("include folder found: " + folder);
            build.include_dirs.push_back(folder);
            continue;
        }
        if (plain_verilog && o.language.empty() && build.language == "1800-2017" &&
            message.find("syntax error") != std::string::npos) {
            build.language = "1364-2005";  // newer keywords may be names here
            if (Result<Design> older =
                    [&] {
                        options.language = build.language;
                        return sim::elaborate(options);
                    }();
                older) {
                console.step("not SystemVerilog: language = \"1364-2005\"");
                return older;
            }
            build.language = "1800-2017";
        }
        return design;
    }
}

/// A design whose top has no ports is a test bench: what it instantiates, if that is one module, is
/// taken in its place, and its file is left out where the rest does without.
/// @errors Errc::BadConfig: which module is meant is not clear
Result<Design> core_of_bench(const InitOptions& o, Design bench, Build& build,
                             const Console& console, std::string& note) {
    std::vector<std::string> modules;
    std::string file;
    for (const sim::Instance& i : bench.instances) {
        if (i.name.find('.') != std::string::npos) continue;
        if (std::find(modules.begin(), modules.end(), i.module) == modules.end())
            modules.push_back(i.module);
        file = i.where.substr(0, i.where.rfind(':'));
    }
    if (modules.empty()) modules = bench.other_tops;
    std::string named;
    for (std::size_t k = 0; k < modules.size(); ++k)
        named += (k == 0 ? "--top " : " or --top ") + modules[k];
    const Error error{Errc::BadConfig,
                      "a top without ports is a test bench and no core: " +
                          (named.empty() ? "it instantiates nothing; name the core's top with --top"
                                         : named + "?"),
                      bench.top};
    if (modules.size() != 1 || !o.top.empty()) return error;
    InitOptions with_top = o;
    with_top.top = modules.front();
    Build without = build;
    std::erase(without.sources, file);
    Result<Design> core = Design{};
    if (!without.sources.empty()) core = elaborate(with_top, without, console);
    if (core && !core->ports.empty()) {
        build = std::move(without);
    } else {
        core = elaborate(with_top, build, console);
        if (!core) return core;
        if (core->ports.empty()) return error;
    }
    note = fmt::format("{} has no ports: a test bench; taken as top: {}, which it instantiates",
                       bench.top, modules.front());
    std::erase(bench.other_tops, modules.front());
    core->other_tops = std::move(bench.other_tops);
    return core;
}

/// What in a design speaks of neurons; empty: nothing.
std::string evidence_of(const Design& d) {
    const auto speaks = [](const std::string& name) {
        return has(
            words_of(name),
            {"neuron", "neurons",  "spike",    "spikes",  "spk",        "lif",   "izhikevich",
             "izh",    "membrane", "vmem",     "synapse", "synapses",   "axon",  "axons",
             "aer",    "snn",      "dendrite", "soma",    "refractory", "fired", "neuro"});
    };
    if (speaks(d.top)) return d.top;
    for (const auto* list : {&d.ports, &d.parameters, &d.signals})
        for (const Variable& v : *list)
            if (speaks(v.name)) return v.name;
    for (const sim::Instance& i : d.instances)
        if (speaks(i.module)) return i.module;
    return {};
}

/// The sources in a folder itself, by name, but files that declare a package first.
std::vector<std::string> sources_in(const std::string& folder) {
    std::vector<std::string> packages;
    std::vector<std::string> others;
    std::error_code code;
    for (auto it = fs::directory_iterator(folder, code); !code && it != fs::directory_iterator();
         it.increment(code)) {
        const std::string ending = it->path().extension().string();
        std::error_code own;
        if (!it->is_regular_file(own) ||
            (ending != ".v" && ending != ".sv" && ending != ".vhd" && ending != ".vhdl"))
            continue;
        std::ifstream text(it->path());
        bool package = false;
        for (std::string line; !package && std::getline(text, line);)
            package = line.find_first_not_of(" \t") == line.find("package ") &&
                      line.find("package ") != std::string::npos;
        (package ? packages : others).push_back(it->path().string());
    }
    std::sort(packages.begin(), packages.end());
    std::sort(others.begin(), others.end());
    packages.insert(packages.end(), others.begin(), others.end());
    return packages;
}

int init(const InitOptions& o, Console& console) {
    const bool to_stdout = o.output == "-";
    std::error_code code;
    if (!to_stdout && !o.force && fs::exists(o.output, code))
        return console.fail({Errc::BadConfig,
                             "exists already; --force overwrites it, -o FILE writes another",
                             o.output});
    Build build;
    build.folder = (to_stdout ? fs::current_path() : fs::absolute(o.output).parent_path())
                       .lexically_normal()
                       .string();
    build.defines = o.defines;
    build.language = o.language.empty() ? "1800-2017" : o.language;
    for (const std::string& s : o.sources) {
        if (fs::is_directory(s, code)) {
            const std::vector<std::string> found = sources_in(s);
            if (found.empty())
                return console.fail({Errc::NotFound,
                                     "a folder without Verilog or VHDL files of its own; name the "
                                     "files, e.g. " +
                                         (fs::path(s) / "rtl/*.v").string(),
                                     s});
            console.step(fmt::format("{}: {} source files", s, found.size()));
            for (const std::string& file : found)
                build.sources.push_back(fs::absolute(file).lexically_normal().string());
            continue;
        }
        if (!fs::is_regular_file(s, code))
            return console.fail({Errc::NotFound, "no such source file", s});
        build.sources.push_back(fs::absolute(s).lexically_normal().string());
    }
    for (const std::string& s : o.include_dirs)
        build.include_dirs.push_back(fs::absolute(s).lexically_normal().string());
    Result<Design> design = elaborate(o, build, console);
    if (console.stopped()) return console.fail({Errc::Interrupted, "", ""});
    if (!design) return console.fail(design.error());
    std::string note;
    if (design->ports.empty()) {
        design = core_of_bench(o, std::move(*design), build, console, note);
        if (console.stopped()) return console.fail({Errc::Interrupted, "", ""});
        if (!design) return console.fail(design.error());
    }

    const std::string evidence = evidence_of(*design);
    const bool arithmetic =
        !design->sum_at.empty() && !design->compare_at.empty() && design->clocked_blocks > 0;
    if (evidence.empty() && !arithmetic && !o.force)
        return console.fail(
            {Errc::NotFound,
             fmt::format("nothing here looks like a spiking neuron: no name speaks of one, and {}; "
                         "found {} ports, {} signals and {} clocked blocks. Is it the right file, "
                         "or --top? --force writes a manifest all the same",
                         design->clocked_blocks == 0 ? "nothing is clocked"
                         : design->sum_at.empty()    ? "no two values are added"
                                                     : "no value is compared with a threshold",
                         design->ports.size(), design->signals.size(), design->clocked_blocks),
             design->top});
    std::erase_if(design->signals, [](const Variable& v) { return v.generated; });
    const Guess guess = Guesser(*design).guess();
    const std::string text = manifest_text(*design, guess, build);
    const std::string path = to_stdout ? build.folder + "/cosim.toml" : o.output;
    if (Result<manifest::Manifest> loads = manifest::parse_manifest(text, path); !loads)
        return console.fail({Errc::Internal,
                             "the manifest that was made does not load: " + loads.error().text(),
                             path});
    if (to_stdout) {
        console.out << text;
    } else {
        const std::string temporary = o.output + ".new";
        std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
        file << text;
        file.close();
        if (file) fs::rename(temporary, o.output, code);
        if (!file || code) {
            fs::remove(temporary, code);
            return console.fail({Errc::Io, "cannot write", o.output});
        }
        fmt::print(console.out, "{}: top {}, {} ports, {} signals inside\n", o.output, design->top,
                   design->ports.size(), design->signals.size());
    }
    std::ostream& out = to_stdout ? console.err : console.out;
    if (!note.empty()) fmt::print(out, "{}\n", note);
    if (evidence.empty())
        fmt::print(out, "no name speaks of neurons; taken for one because of {} and {}\n",
                   design->sum_at, design->compare_at);
    if (guess.unknown.empty()) fmt::print(out, "everything but the network was guessed\n");
    for (const std::string& what : guess.unknown) fmt::print(out, "not guessed: {}\n", what);
    if (!to_stdout)
        fmt::print(out, "next: spikelock signals {0}, edit it, spikelock check {0}\n",
                   shell_quoted(o.output));
    return 0;
}
}  // namespace

void add_init(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<InitOptions>();  // shared by the parser and the callback
    auto* cmd = app.add_subcommand(
        "init",
        "Write a first manifest for a core from its Verilog sources, as far as it can guess");
    cmd->add_option("sources", o->sources,
                    "Verilog, SystemVerilog or VHDL files, in order, or a folder of them")
        ->required();
    cmd->add_option("--top", o->top, "Top module (default: what nothing instantiates)");
    cmd->add_option("-o,--output", o->output,
                    "Manifest to write; - is stdout (default cosim.toml)");
    cmd->add_option("-I,--include", o->include_dirs, "Folder of include files")
        ->allow_extra_args(false);
    cmd->add_option("-D,--define", o->defines, "NAME or NAME=value")->allow_extra_args(false);
    cmd->add_option("--language", o->language, "Language version, e.g. 1364-2001");
    cmd->add_flag("--force", o->force, "Overwrite; write even if nothing looks like a neuron");
    cmd->add_flag("-q,--quiet", console.quiet, "No progress");
    cmd->callback([=, &exit_code, &console] { exit_code = init(*o, console); });
}

}  // namespace spikelock::app

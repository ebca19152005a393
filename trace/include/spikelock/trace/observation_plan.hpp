// SPDX-License-Identifier: Apache-2.0
// How a core is driven and how its signals become observations, as spikelock::manifest::resolve()
// writes it: the text that the DUT host gets, read here into plain data. Whoever observes a core,
// the host of a Verilated one or the reader of a waveform, looks its signals up by their index.
// Compiled into the host too: standard library and C++17 only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace spikelock::trace::plan {

/// At most 64 bits of a word of a signal.
struct BitField {
    std::uint32_t signal = 0;  ///< index in Plan::signals
    std::uint32_t word = 0;    ///< of an unpacked array, else 0
    std::uint32_t lsb = 0;
    std::uint32_t width = 1;
};

/// Postfix operations on unsigned 64-bit numbers.
enum class Op : std::uint8_t {
    Const,
    Load,
    Add,
    Sub,
    Mul,
    Div,  ///< by 0: 0
    Mod,  ///< by 0: 0
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    LogicAnd,
    LogicOr,
    LogicNot,
    Not,
    Neg,
    Select,
    Extend,    ///< a, sign-extended from `value` bits
    Reverse,   ///< the low `value` bits of a in reverse order
    LoadWord,  ///< the field in word a of an array; 0 outside of it
};

/// An operation with two operands.
inline std::uint64_t apply(Op op, std::uint64_t a, std::uint64_t b) noexcept {
    switch (op) {
        case Op::Add:
            return a + b;
        case Op::Sub:
            return a - b;
        case Op::Mul:
            return a * b;
        case Op::Div:
            return b ? a / b : 0;
        case Op::Mod:
            return b ? a % b : 0;
        case Op::And:
            return a & b;
        case Op::Or:
            return a | b;
        case Op::Xor:
            return a ^ b;
        case Op::Shl:
            return b < 64 ? a << b : 0;
        case Op::Shr:
            return b < 64 ? a >> b : 0;
        case Op::Eq:
            return a == b;
        case Op::Ne:
            return a != b;
        case Op::Lt:
            return a < b;
        case Op::Le:
            return a <= b;
        case Op::Gt:
            return a > b;
        case Op::Ge:
            return a >= b;
        case Op::LogicAnd:
            return a && b;
        case Op::LogicOr:
            return a || b;
        default:
            return a;
    }
}
/// @pre 1 <= bits <= 64
inline std::uint64_t extended(std::uint64_t a, std::uint64_t bits) noexcept {
    const auto unused = static_cast<unsigned>(64 - bits);
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(a << unused) >> unused);
}
inline std::uint64_t reversed(std::uint64_t a, std::uint64_t bits) noexcept {
    std::uint64_t to = 0;
    for (std::uint64_t i = 0; i < bits; ++i, a >>= 1) to = to << 1 | (a & 1);
    return to;
}

struct Code {
    Op op = Op::Const;
    std::uint64_t value = 0;
    BitField field;  ///< Load; LoadWord: in any word
};
constexpr std::size_t kMostCodes = 60;
/// At most kMostCodes operations; empty: there is none.
using Expr = std::vector<Code>;

/// One entry of a start-up list, or of how a sample begins.
struct Step {
    enum class Kind : std::uint8_t {
        Set,     ///< `target` = `value`
        Clocks,  ///< `clocks` clocks
        Pulse,   ///< `target` = `value` in one clock; then clocks until `until`, at most `limit`
        Call,    ///< the adapter's, with `text`
        Reset,   ///< `target` = `value` for `clocks` clocks, then all bits inverted for one
    };
    Kind kind = Kind::Set;
    BitField target;
    std::uint64_t value = 0;
    std::uint64_t clocks = 0;
    Expr until;
    std::uint64_t limit = 0;
    std::string text;
};

struct ExtraClock {
    BitField pin;
    std::uint32_t ratio_num = 1;
    std::uint32_t ratio_den = 1;
    std::uint32_t phase_num = 0;
    std::uint32_t phase_den = 1;
};

struct Input {
    bool four_phase = false;
    BitField valid;  ///< or the request
    BitField address;
    Expr ready;                        ///< or the acknowledge
    std::vector<std::uint64_t> codes;  ///< by axon; empty: the axon itself
    std::vector<BitField> bits;        ///< one an axon, instead of all above
    bool pulse = false;
};

struct SideBand {
    std::string name;
    std::uint32_t element_bytes = 4;
    std::vector<BitField> targets;
};

/// An observed field.
struct Observed {
    std::string name;
    std::uint32_t bytes = 2;
    std::uint32_t bits = 16;
    bool is_signed = true;
};

/// Neurons begin..end-1 of a field, or of the spikes, that are read at once: at the end of a
/// timestep, or where the trigger holds.
struct Part {
    std::int32_t field = -1;  ///< -1: spikes
    bool after_edge = true;
    std::uint32_t latency = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::int32_t shown = -1;  ///< index of the Cover; -1: always shows all
    Expr trigger;
    std::vector<BitField> table;    ///< one a neuron, or
    std::vector<Expr> expressions;  ///< one a neuron
};

/// Values or spikes that come with an index while a timestep runs.
struct Stream {
    struct Value {
        std::uint32_t field = 0;
        Expr value;
    };
    enum class Protocol : std::uint8_t { None, Ready, FourPhase };
    /// Which timestep an event belongs to, where that is shown.
    enum class Attribute : std::uint8_t { None, Number, Marker };

    bool is_spike = false;
    bool counts = false;  ///< a neuron may fire several times
    bool after_edge = false;
    std::uint32_t latency = 0;
    std::uint32_t begin = 0;  ///< the index counts from here
    std::uint32_t end = 0;
    std::int32_t shown = -1;  ///< index of the Cover
    Protocol protocol = Protocol::None;
    BitField ready;  ///< or the acknowledge
    Expr valid;      ///< or the request
    Expr index;
    std::vector<Value> values;
    Attribute attribute = Attribute::None;
    Expr timestep;  ///< Number: its value; Marker: that a timestep ends
    std::uint32_t timestep_bits = 64;
    std::uint64_t timestep_first = 0;
    bool timestep_restarts = false;
    std::uint32_t late = 0;
};

/// Neurons of fields that must be shown in every timestep, or else keep their values.
struct Cover {
    bool keep = false;
    bool once = false;  ///< showing one twice is wrong
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::vector<std::uint32_t> fields;
};

/// An event that the core takes, of the stimulus or of its own.
struct Taken {
    bool internal = false;
    std::uint16_t port = 0;
    std::uint32_t count = 0;  ///< addresses below this
    Expr valid;
    Expr index;
};

enum class Kind : std::uint8_t { Handshake, Clocked, Aer, Custom };

struct Plan {
    std::vector<std::string> signals;
    std::uint32_t neurons = 0;
    std::uint32_t axons = 0;
    BitField clock;
    std::vector<ExtraClock> extra_clocks;
    std::map<std::string, std::vector<Step>> programs;  ///< "startup0", ..., "clear"
    bool has_config = false;
    BitField config_write;
    BitField config_address;
    BitField config_data;
    bool has_config_read = false;
    BitField config_rdata;
    std::uint32_t config_read_latency = 1;
    // how a timestep goes
    Kind kind = Kind::Handshake;
    std::uint64_t limit_clocks = 1000000;
    std::uint32_t clocks_per_step = 1;
    BitField start;
    Expr done;
    Expr idle;
    bool tick_first = false;
    bool settle = true;
    std::uint32_t idle_clocks = 1;
    std::uint32_t quiet_clocks = 0;
    bool has_tick = false;
    BitField tick;
    std::uint32_t tick_clocks = 1;
    bool has_tick_event = false;
    std::uint32_t tick_input = 0;
    std::uint64_t tick_code = 0;
    std::vector<BitField> quiet;
    std::vector<Input> inputs;  ///< by port of the network
    std::vector<SideBand> side_bands;
    // what is observed
    std::vector<Observed> fields;
    std::vector<Part> parts;
    std::vector<Stream> streams;
    std::vector<Cover> covers;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> given;  ///< by an adapter: field, cover
    std::vector<Taken> taken;
    bool counts = false;
    bool events = false;
    bool order = false;
    bool adapter_counts = false;
    std::uint32_t lag = 0;  ///< timesteps that the latest observation comes late
    // pacing
    bool drain = false;
    std::uint32_t gap_per_65536 = 0;
    std::uint32_t gap_max = 0;
    std::uint32_t stall_per_65536 = 0;
    std::uint64_t pacing_seed = 0;
    std::map<std::string, std::string> options;  ///< of the adapter
    std::vector<std::string> adapter_writes;     ///< signals that it may write
};

/// Reads the text of a plan. Throws std::runtime_error, naming the line.
class Parser {
public:
    static Plan parse(const std::string& text) {
        Parser parser;
        std::istringstream lines(text);
        std::string line;
        while (std::getline(lines, line)) {
            std::istringstream in(line);
            std::string key;
            in >> key;
            if (key.empty()) continue;
            parser.line(key, in);
            if (in.fail()) throw std::runtime_error("bad line in plan: " + line.substr(0, 200));
        }
        parser.check();
        return std::move(parser.plan_);
    }

private:
    [[noreturn]] static void bad(const std::string& what) {
        throw std::runtime_error("bad " + what + " in plan");
    }
    BitField field(std::istream& in) const {
        BitField f;
        if (!(in >> f.signal >> f.word >> f.lsb >> f.width) || f.signal >= plan_.signals.size())
            bad("field");
        return f;
    }
    static bool flag(std::istream& in) {
        int value = 0;
        in >> value;
        return value != 0;
    }
    Code code(const std::string& token, std::istream& in) const {
        static const std::map<std::string, Op> ops = {
            {"+", Op::Add},       {"-", Op::Sub},      {"*", Op::Mul},      {"/", Op::Div},
            {"%", Op::Mod},       {"&", Op::And},      {"|", Op::Or},       {"^", Op::Xor},
            {"<<", Op::Shl},      {">>", Op::Shr},     {"==", Op::Eq},      {"!=", Op::Ne},
            {"<", Op::Lt},        {"<=", Op::Le},      {">", Op::Gt},       {">=", Op::Ge},
            {"&&", Op::LogicAnd}, {"||", Op::LogicOr}, {"!", Op::LogicNot}, {"~", Op::Not},
            {"neg", Op::Neg},     {"?:", Op::Select},  {"ext", Op::Extend}, {"rev", Op::Reverse},
            {"#", Op::Const},     {"@", Op::Load},     {"@w", Op::LoadWord}};
        const auto found = ops.find(token);
        if (found == ops.end()) bad("expression (" + token + ")");
        Code c;
        c.op = found->second;
        if (c.op == Op::Const) in >> c.value;
        if (c.op == Op::Load) c.field = field(in);
        if (c.op == Op::LoadWord) {
            in >> c.field.signal >> c.field.lsb >> c.field.width;
            if (!in || c.field.signal >= plan_.signals.size()) bad("array");
        }
        if (c.op == Op::Extend || c.op == Op::Reverse) {
            in >> c.value;
            if (c.value < 1 || c.value > 64) bad("width");
        }
        return c;
    }
    Expr expr(std::istream& in) const {
        std::size_t count = 0;
        in >> count;
        if (count < 1 || count > kMostCodes) bad("length of an expression");
        Expr e;
        std::size_t depth = 0;
        for (std::size_t i = 0; i < count && in; ++i) {
            std::string token;
            in >> token;
            e.push_back(code(token, in));
            const Op op = e.back().op;
            const bool none = op == Op::Const || op == Op::Load;
            const bool one = op == Op::LogicNot || op == Op::Not || op == Op::Neg ||
                             op == Op::Extend || op == Op::Reverse || op == Op::LoadWord;
            const std::size_t operands = none ? 0 : one ? 1 : op == Op::Select ? 3 : 2;
            if (depth < operands) bad("expression");
            depth += 1 - operands;
        }
        if (depth != 1) bad("expression");
        return e;
    }
    Step step(const std::string& kind, std::istream& in) const {
        Step s;
        if (kind == "clocks") {
            s.kind = Step::Kind::Clocks;
            in >> s.clocks;
        } else if (kind == "call") {
            s.kind = Step::Kind::Call;
            in >> s.limit;
            std::getline(in >> std::ws, s.text);
        } else {
            s.target = field(in);
            in >> s.value;
            if (kind == "reset") {
                s.kind = Step::Kind::Reset;
                in >> s.clocks;
            } else if (kind == "pulse") {
                s.kind = Step::Kind::Pulse;
                in >> s.limit;
                s.until = expr(in);
                std::getline(in >> std::ws, s.text);
            }
        }
        return s;
    }
    Part part(std::istream& in) const {
        Part p;
        std::string how;
        in >> p.field;
        p.after_edge = flag(in);
        in >> p.latency >> p.begin >> p.end >> p.shown;
        if (flag(in)) p.trigger = expr(in);
        in >> how;
        if (!in || p.begin >= p.end || p.end > plan_.neurons) bad("part");
        for (std::uint32_t n = p.begin; n < p.end; ++n) {
            if (how == "table")
                p.table.push_back(field(in));
            else
                p.expressions.push_back(expr(in));
        }
        return p;
    }
    Stream stream(std::istream& in) const {
        Stream s;
        int kind = 0;
        int protocol = 0;
        in >> kind;
        s.is_spike = kind > 0;
        s.counts = kind > 1;
        s.after_edge = flag(in);
        in >> s.latency >> s.begin >> s.end >> s.shown >> protocol;
        s.protocol = static_cast<Stream::Protocol>(protocol);
        if (protocol < 0 || protocol > 2 || s.begin >= s.end || s.end > plan_.neurons)
            bad("stream");
        if (protocol) s.ready = field(in);
        s.valid = expr(in);
        s.index = expr(in);
        return s;
    }
    Stream& last_stream() {
        if (plan_.streams.empty()) bad("order of streams");
        return plan_.streams.back();
    }
    Input input(std::istream& in) const {
        Input i;
        std::string how;
        in >> how;
        std::size_t count = 0;
        if (how == "bits") {
            i.pulse = flag(in);
            in >> count;
            for (std::size_t k = 0; k < count && in; ++k) i.bits.push_back(field(in));
            return i;
        }
        i.four_phase = how == "four";
        i.valid = field(in);
        i.address = field(in);
        i.ready = expr(in);
        in >> count;
        for (std::size_t k = 0; k < count && in; ++k) {
            i.codes.push_back(0);
            in >> i.codes.back();
        }
        return i;
    }
    void timestep_line(const std::string& key, std::istream& in) {
        if (key == "timestep") {
            std::string kind;
            in >> kind >> plan_.limit_clocks >> plan_.clocks_per_step;
            plan_.kind = kind == "handshake" ? Kind::Handshake
                         : kind == "clocked" ? Kind::Clocked
                         : kind == "aer"     ? Kind::Aer
                                             : Kind::Custom;
        } else if (key == "start") {
            plan_.start = field(in);
        } else if (key == "done") {
            plan_.done = expr(in);
        } else if (key == "idle") {
            plan_.idle = expr(in);
        } else if (key == "aer") {
            plan_.tick_first = flag(in);
            plan_.settle = flag(in);
            in >> plan_.idle_clocks >> plan_.quiet_clocks;
        } else if (key == "tick") {
            plan_.has_tick = true;
            in >> plan_.tick_clocks;
            plan_.tick = field(in);
        } else if (key == "tick_event") {
            plan_.has_tick_event = true;
            in >> plan_.tick_input >> plan_.tick_code;
        } else if (key == "quiet") {
            plan_.quiet.push_back(field(in));
        } else {
            throw std::runtime_error("unknown line in plan: " + key);
        }
    }
    void driving_line(const std::string& key, std::istream& in) {
        if (key == "clock") {
            plan_.clock = field(in);
        } else if (key == "xclock") {
            ExtraClock x;
            x.pin = field(in);
            in >> x.ratio_num >> x.ratio_den >> x.phase_num >> x.phase_den;
            plan_.extra_clocks.push_back(x);
        } else if (key == "program") {
            std::string name;
            in >> name;
            program_ = &plan_.programs[name];
        } else if (key == "set" || key == "clocks" || key == "pulse" || key == "call" ||
                   key == "reset") {
            if (!program_) bad("order of programs");
            program_->push_back(step(key, in));
        } else if (key == "config") {
            plan_.has_config = true;
            in >> plan_.config_read_latency;
            plan_.config_write = field(in);
            plan_.config_address = field(in);
            plan_.config_data = field(in);
        } else if (key == "config_read") {
            plan_.has_config_read = true;
            plan_.config_rdata = field(in);
        } else if (key == "input") {
            std::uint32_t port = 0;
            in >> port;
            if (port > 0xffff) bad("input");
            if (plan_.inputs.size() <= port) plan_.inputs.resize(port + 1);
            plan_.inputs[port] = input(in);
        } else if (key == "sideband") {
            SideBand band;
            std::uint32_t width = 0;
            std::string at;
            in >> band.name >> width >> band.element_bytes >> at;
            for (std::uint32_t i = 0; i < width && in; ++i) band.targets.push_back(field(in));
            plan_.side_bands.push_back(std::move(band));
        } else if (key == "pacing") {
            std::string how;
            in >> how >> plan_.gap_per_65536 >> plan_.gap_max >> plan_.stall_per_65536 >>
                plan_.pacing_seed;
            plan_.drain = how == "drain";
        } else if (key == "option") {
            std::string name;
            in >> name;
            std::getline(in >> std::ws, plan_.options[name]);
            in.clear();  // an empty value is one
        } else if (key == "adapter_writes") {
            in >> plan_.adapter_writes.emplace_back();
        } else {
            timestep_line(key, in);
        }
    }
    void line(const std::string& key, std::istream& in) {
        if (key == "sig") {
            plan_.signals.emplace_back();
            in >> plan_.signals.back();
        } else if (key == "neurons") {
            in >> plan_.neurons >> plan_.axons;
        } else if (key == "field") {
            Observed o;
            in >> o.name >> o.bytes >> o.bits;
            o.is_signed = flag(in);
            plan_.fields.push_back(std::move(o));
        } else if (key == "part") {
            plan_.parts.push_back(part(in));
        } else if (key == "strobe") {
            plan_.streams.push_back(stream(in));
        } else if (key == "value") {
            Stream::Value v;
            in >> v.field;
            v.value = expr(in);
            last_stream().values.push_back(std::move(v));
        } else if (key == "attribute") {
            Stream& s = last_stream();
            std::string how;
            in >> how >> s.late >> s.timestep_bits >> s.timestep_first;
            s.timestep_restarts = flag(in);
            s.attribute = how == "number" ? Stream::Attribute::Number : Stream::Attribute::Marker;
            s.timestep = expr(in);
        } else if (key == "cover") {
            Cover c;
            c.keep = flag(in);
            c.once = flag(in);
            std::size_t count = 0;
            in >> c.begin >> c.end >> count;
            for (std::size_t i = 0; i < count && in; ++i) {
                c.fields.push_back(0);
                in >> c.fields.back();
            }
            plan_.covers.push_back(std::move(c));
        } else if (key == "given") {
            std::pair<std::uint32_t, std::uint32_t> g;
            in >> g.first >> g.second;
            plan_.given.push_back(g);
        } else if (key == "taken") {
            Taken t;
            t.internal = flag(in);
            in >> t.port >> t.count;
            t.valid = expr(in);
            t.index = expr(in);
            plan_.taken.push_back(std::move(t));
        } else if (key == "lists") {
            plan_.counts = flag(in);
            plan_.events = flag(in);
            plan_.order = flag(in);
            plan_.adapter_counts = flag(in);
            in >> plan_.lag;
        } else {
            driving_line(key, in);
        }
    }
    /// That all indices are in range.
    void check() const {
        const auto field_index = [&](std::int64_t f) {
            if (f >= static_cast<std::int64_t>(plan_.fields.size())) bad("index of a field");
        };
        const auto cover_index = [&](std::int64_t c) {
            if (c >= static_cast<std::int64_t>(plan_.covers.size())) bad("index of a cover");
        };
        for (const Part& p : plan_.parts) {
            field_index(p.field);
            cover_index(p.shown);
        }
        for (const Stream& s : plan_.streams) {
            cover_index(s.shown);
            for (const Stream::Value& v : s.values) field_index(v.field);
        }
        for (const Cover& c : plan_.covers)
            for (const std::uint32_t f : c.fields) field_index(f);
        for (const auto& [f, c] : plan_.given) {
            field_index(f);
            cover_index(c);
        }
        if (plan_.has_tick_event && plan_.tick_input >= plan_.inputs.size()) bad("input");
        if (plan_.lag > 4096) bad("latency");
    }

    Plan plan_;
    std::vector<Step>* program_ = nullptr;
};

}  // namespace spikelock::trace::plan

// SPDX-License-Identifier: Apache-2.0
// The DUT host: a Verilated core (prefix Vdut) driven and observed as a plan says. One fixed source
// for every core. Single-threaded. Speaks sim/host/protocol.hpp over the file descriptors given on
// its command line:
//   host <shared memory fd> <eventfd to host> <eventfd to tool> <alive pipe fd> [plusargs...]
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "Vdut.h"
#include "protocol.hpp"
#include "verilated.h"
#include "verilated_syms.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace spikelock::sim;

namespace {

[[noreturn]] void leave(int code) {
    std::fflush(stdout);
    _exit(code);
}

/// A signal of the model: ports under scope TOP.TOP, others by their hierarchical name.
struct Signal {
    std::string name;
    std::uint8_t* data = nullptr;
    std::uint32_t bits = 1;        // of one element
    std::uint32_t word_bytes = 1;  // storage of one element
    std::uint32_t words = 1;       // elements of the unpacked array
    bool wide = false;             // stored as 32-bit words
};

/// A bit field of a signal, at most 64 bits wide.
struct Field {
    std::uint8_t* data = nullptr;
    std::uint8_t bytes = 1;  // 1, 2, 4, 8; 12: three 32-bit words
    std::uint8_t lsb = 0;
    std::uint8_t width = 1;

    std::uint64_t mask() const { return width >= 64 ? ~0ULL : (1ULL << width) - 1; }
    std::uint64_t load() const {
        switch (bytes) {
            case 1:
                return (*data >> lsb) & mask();
            case 2:
                return (raw<std::uint16_t>() >> lsb) & mask();
            case 4:
                return (raw<std::uint32_t>() >> lsb) & mask();
            case 8:
                return (raw<std::uint64_t>() >> lsb) & mask();
            default: {
                const unsigned __int128 all =
                    raw<std::uint64_t>() | static_cast<unsigned __int128>(high()) << 64;
                return static_cast<std::uint64_t>(all >> lsb) & mask();
            }
        }
    }
    void store(std::uint64_t value) const {
        const std::uint64_t m = mask();
        switch (bytes) {
            case 1:
                put(static_cast<std::uint8_t>((*data & ~(m << lsb)) | (value & m) << lsb));
                return;
            case 2:
                put(static_cast<std::uint16_t>((raw<std::uint16_t>() & ~(m << lsb)) | (value & m)
                                                                                          << lsb));
                return;
            case 4:
                put(static_cast<std::uint32_t>((raw<std::uint32_t>() & ~(m << lsb)) | (value & m)
                                                                                          << lsb));
                return;
            case 8:
                put((raw<std::uint64_t>() & ~(m << lsb)) | (value & m) << lsb);
                return;
            default: {
                unsigned __int128 all =
                    raw<std::uint64_t>() | static_cast<unsigned __int128>(high()) << 64;
                all = (all & ~(static_cast<unsigned __int128>(m) << lsb)) |
                      static_cast<unsigned __int128>(value & m) << lsb;
                put(static_cast<std::uint64_t>(all));
                const auto top = static_cast<std::uint32_t>(all >> 64);
                std::memcpy(data + 8, &top, 4);
            }
        }
    }

private:
    template <typename T>
    T raw() const {
        T value;
        std::memcpy(&value, data, sizeof value);
        return value;
    }
    std::uint32_t high() const {
        std::uint32_t value;
        std::memcpy(&value, data + 8, 4);
        return value;
    }
    template <typename T>
    void put(T value) const {
        std::memcpy(data, &value, sizeof value);
    }
};

/// A condition or value over signals: usually one field, else postfix code.
struct Expr {
    enum class Op : std::uint8_t {
        Const,
        Load,
        Add,
        Sub,
        Mul,
        Div,
        Mod,
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
        Select
    };
    struct Code {
        Op op;
        std::uint64_t value = 0;
        Field field;
    };
    bool present = false;
    bool simple = false;  // exactly one field
    Field field;
    // A one-bit signal in a byte of its own, or its negation: what handshakes mostly are.
    const std::uint8_t* bit = nullptr;
    std::uint8_t invert = 0;
    std::vector<Code> code;

    std::uint64_t eval() const { return __builtin_expect(simple, 1) ? field.load() : run(); }
    bool test() const {
        return __builtin_expect(bit != nullptr, 1) ? ((*bit ^ invert) & 1) != 0 : eval() != 0;
    }

private:
    __attribute__((noinline)) std::uint64_t run() const {
        std::uint64_t stack[32];
        int top = 0;
        for (const Code& c : code) {
            if (c.op == Op::Const) {
                stack[top++] = c.value;
                continue;
            }
            if (c.op == Op::Load) {
                stack[top++] = c.field.load();
                continue;
            }
            if (c.op == Op::LogicNot) {
                stack[top - 1] = !stack[top - 1];
                continue;
            }
            if (c.op == Op::Not) {
                stack[top - 1] = ~stack[top - 1];
                continue;
            }
            if (c.op == Op::Neg) {
                stack[top - 1] = 0 - stack[top - 1];
                continue;
            }
            if (c.op == Op::Select) {
                top -= 2;
                stack[top - 1] = stack[top - 1] ? stack[top] : stack[top + 1];
                continue;
            }
            const std::uint64_t b = stack[--top];
            std::uint64_t& a = stack[top - 1];
            switch (c.op) {
                case Op::Add:
                    a += b;
                    break;
                case Op::Sub:
                    a -= b;
                    break;
                case Op::Mul:
                    a *= b;
                    break;
                case Op::Div:
                    a = b ? a / b : 0;
                    break;
                case Op::Mod:
                    a = b ? a % b : 0;
                    break;
                case Op::And:
                    a &= b;
                    break;
                case Op::Or:
                    a |= b;
                    break;
                case Op::Xor:
                    a ^= b;
                    break;
                case Op::Shl:
                    a = b < 64 ? a << b : 0;
                    break;
                case Op::Shr:
                    a = b < 64 ? a >> b : 0;
                    break;
                case Op::Eq:
                    a = a == b;
                    break;
                case Op::Ne:
                    a = a != b;
                    break;
                case Op::Lt:
                    a = a < b;
                    break;
                case Op::Le:
                    a = a <= b;
                    break;
                case Op::Gt:
                    a = a > b;
                    break;
                case Op::Ge:
                    a = a >= b;
                    break;
                case Op::LogicAnd:
                    a = a && b;
                    break;
                case Op::LogicOr:
                    a = a || b;
                    break;
                default:
                    break;
            }
        }
        return stack[0];
    }
};

/// One observed field: how its element of a neuron is found and stored.
struct Observed {
    std::string name;
    std::uint32_t bytes = 2;
    std::uint32_t bits = 16;
    bool is_signed = true;
    std::uint64_t row_bytes = 0;
    // gathered at the end of a timestep
    enum class Gather : std::uint8_t { None, Copy, Strided, Table } gather = Gather::None;
    const std::uint8_t* base = nullptr;
    std::uint32_t stride = 0;
    std::vector<Field> table;
    std::byte* row = nullptr;  // of the timestep being run
};

/// Values that come with an index while a timestep runs (probe, output spikes).
struct Strobe {
    Expr valid;
    Expr index;
    bool is_spike = false;
    Field ready;  // data null: none
    struct Value {
        std::uint32_t field;
        Expr value;
    };
    std::vector<Value> values;
    std::uint64_t seen = 0;  // in this timestep
};

struct SideBandTarget {
    std::uint32_t width = 0;          // elements per timestep
    std::uint32_t element_bytes = 4;  // in the ring
    std::uint8_t* copy_to = nullptr;  // contiguous elements of exactly this size
    std::vector<Field> table;
};

struct Step {
    enum class Kind : std::uint8_t { Set, Clocks, Pulse } kind = Kind::Set;
    Field target;
    std::uint64_t value = 0;
    std::uint64_t clocks = 0;
    Expr until;
    std::uint64_t limit = 0;
    std::string text;
};

struct Stop {
    HostEnd kind;
    std::string text;
};

class Host {
public:
    Host(SharedHeader* shared, std::byte* base, int wake_host, int wake_tool, int alive)
        : shared_(shared),
          in_(&shared->to_host, base),
          out_(&shared->to_tool, base),
          wake_host_(wake_host),
          wake_tool_(wake_tool),
          alive_(alive) {}

    void start(int argc, char** argv) {
        context_.commandArgs(argc, argv);
        context_.fatalOnError(false);
        context_.randReset(2);
        model_ = std::make_unique<Vdut>(&context_, "TOP");
        reply(Msg::Hello, "");
        for (;;) {
            const RecordHeader* record = next();
            handle(*record, Ring::payload(record));
            in_.release(record);
            notify_writer(in_);
        }
    }

private:
    // ---- transport
    void poke() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = write(wake_tool_, &one, sizeof one);
    }
    void notify_writer(Ring& ring) {
        if (ring.control()->writer_sleeps.load(std::memory_order_seq_cst)) poke();
    }
    void notify_reader(Ring& ring) {
        if (ring.control()->reader_sleeps.load(std::memory_order_seq_cst)) poke();
    }
    /// Waits on the eventfd or the tool's end.
    void doze() {
        pollfd fds[2] = {{wake_host_, POLLIN, 0}, {alive_, POLLIN, 0}};
        std::fflush(stdout);
        if (poll(fds, 2, 1000) > 0) {
            if (fds[1].revents) leave(0);  // the tool is gone
            std::uint64_t count = 0;
            if (fds[0].revents & POLLIN) [[maybe_unused]]
                const auto n = read(wake_host_, &count, sizeof count);
        }
    }
    template <typename Try>
    auto wait_for(std::atomic<std::uint32_t>& sleeps, Try&& attempt) {
        for (;;) {
            for (int i = 0; i < 2000; ++i) {
                if (auto got = attempt()) return got;
#if defined(__x86_64__)
                _mm_pause();
#endif
            }
            sleeps.store(1, std::memory_order_seq_cst);
            if (auto got = attempt()) {
                sleeps.store(0, std::memory_order_seq_cst);
                return got;
            }
            doze();
            sleeps.store(0, std::memory_order_seq_cst);
        }
    }
    const RecordHeader* next() {
        return wait_for(in_.control()->reader_sleeps, [&] { return in_.front(); });
    }
    std::byte* reserve(Msg type, std::uint64_t bytes) {
        return wait_for(out_.control()->writer_sleeps, [&] { return out_.reserve(type, bytes); });
    }
    void publish() {
        out_.publish();
        notify_reader(out_);
    }
    void reply(Msg type, const std::string& text) {
        std::byte* to = reserve(type, text.size());
        std::memcpy(to, text.data(), text.size());
        publish();
    }
    void end(const Stop& stop) {
        std::fflush(stdout);
        std::byte* to = reserve(Msg::End, sizeof(EndHeader) + stop.text.size());
        const EndHeader header{stop.kind, 0, timestep_, clocks_};
        std::memcpy(to, &header, sizeof header);
        std::memcpy(to + sizeof header, stop.text.data(), stop.text.size());
        publish();
    }

    // ---- signals
    static Signal from_var(const VerilatedVar& var, std::string name) {
        Signal s;
        s.name = std::move(name);
        s.data = static_cast<std::uint8_t*>(var.datap());
        s.bits = var.dims() > var.udims() ? static_cast<std::uint32_t>(var.packed().elements()) : 1;
        for (int dim = 1; dim <= var.udims(); ++dim)
            s.words *= static_cast<std::uint32_t>(var.elements(dim));
        s.word_bytes = var.entSize();
        s.wide = var.vltype() == VLVT_WDATA;
        return s;
    }
    template <typename T>
    static Signal from_port(const char* name, T& port, std::uint32_t bits) {
        Signal s;
        s.name = name;
        s.bits = bits;
        if constexpr (std::is_array_v<T>) {
            s = from_port(name, port[0], bits);
            s.words *= static_cast<std::uint32_t>(std::extent_v<T>);
        } else if constexpr (std::is_class_v<T>) {  // VlWide
            s.data = reinterpret_cast<std::uint8_t*>(&port[0]);
            s.word_bytes = sizeof(T);
            s.wide = true;
        } else {
            s.data = reinterpret_cast<std::uint8_t*>(&port);
            s.word_bytes = sizeof(T);
        }
        return s;
    }
    /// Ports by their plain name, from the table that the builder reads off the model's header;
    /// others by their name below the top module ("u_mem.word_q"), as far as they were made public.
    /// Ports are not made public: Verilator would then keep, and copy in each eval, a second
    /// variable for each of them.
    void collect_signals() {
        if (!known_.empty()) return;
#define SPIKELOCK_PORT(kind, name, member, bits) \
    known_[name] = {from_port(name, model_->member, bits), kind};
#include "ports.inc"
#undef SPIKELOCK_PORT
        const auto* scopes = context_.scopeNameMap();
        if (!scopes) return;
        for (const auto& [scope_name, scope] : *scopes) {
            if (!scope->varsp()) continue;
            const std::string path = scope_name;  // "TOP.top", "TOP.top.u_mem"
            if (path == "TOP.TOP") continue;
            const std::size_t dot = path.find('.');
            const std::size_t below = dot == std::string::npos ? dot : path.find('.', dot + 1);
            const std::string prefix =
                below == std::string::npos ? "" : path.substr(below + 1) + ".";
            for (const auto& [var_name, var] : *scope->varsp()) {
                if (var.vltype() == VLVT_STRING || var.vltype() == VLVT_PTR ||
                    var.vltype() == VLVT_UNKNOWN)
                    continue;
                const std::string name = prefix + var_name;
                known_.try_emplace(name, from_var(var, name), var.isParam() ? "param" : "internal");
            }
        }
    }
    Signal find(const std::string& name) {
        collect_signals();
        const auto found = known_.find(name);
        if (found == known_.end()) throw std::string("no such signal: " + name);
        return found->second.first;
    }
    Field field_of(const Signal& s, std::uint32_t word, std::uint32_t lsb,
                   std::uint32_t width) const {
        if (word >= s.words || width < 1 || width > 64 || lsb + width > s.bits)
            throw std::string("bits " + std::to_string(lsb) + "+:" + std::to_string(width) +
                              " of word " + std::to_string(word) + " are outside of " + s.name);
        Field f;
        f.width = static_cast<std::uint8_t>(width);
        std::uint8_t* element = s.data + static_cast<std::size_t>(word) * s.word_bytes;
        if (!s.wide) {
            f.data = element;
            f.bytes = static_cast<std::uint8_t>(s.word_bytes);
            f.lsb = static_cast<std::uint8_t>(lsb);
        } else {
            f.data = element + lsb / 32 * 4;
            f.lsb = static_cast<std::uint8_t>(lsb % 32);
            f.bytes = f.lsb + width <= 32 ? 4 : f.lsb + width <= 64 ? 8 : 12;
        }
        return f;
    }

    // ---- plan
    Field parse_field(std::istream& in) {
        std::uint32_t signal = 0, word = 0, lsb = 0, width = 0;
        if (!(in >> signal >> word >> lsb >> width) || signal >= signals_.size())
            throw std::string("bad field in plan");
        return field_of(signals_[signal], word, lsb, width);
    }
    Expr parse_expr(std::istream& in) {
        static const std::map<std::string, Expr::Op> ops = {
            {"+", Expr::Op::Add},      {"-", Expr::Op::Sub},       {"*", Expr::Op::Mul},
            {"/", Expr::Op::Div},      {"%", Expr::Op::Mod},       {"&", Expr::Op::And},
            {"|", Expr::Op::Or},       {"^", Expr::Op::Xor},       {"<<", Expr::Op::Shl},
            {">>", Expr::Op::Shr},     {"==", Expr::Op::Eq},       {"!=", Expr::Op::Ne},
            {"<", Expr::Op::Lt},       {"<=", Expr::Op::Le},       {">", Expr::Op::Gt},
            {">=", Expr::Op::Ge},      {"&&", Expr::Op::LogicAnd}, {"||", Expr::Op::LogicOr},
            {"!", Expr::Op::LogicNot}, {"~", Expr::Op::Not},       {"neg", Expr::Op::Neg},
            {"?:", Expr::Op::Select}};
        std::size_t count = 0;
        in >> count;
        Expr e;
        e.present = true;
        for (std::size_t i = 0; i < count; ++i) {
            std::string token;
            in >> token;
            Expr::Code code{};
            if (token == "#") {
                code.op = Expr::Op::Const;
                in >> code.value;
            } else if (token == "@") {
                code.op = Expr::Op::Load;
                code.field = parse_field(in);
            } else if (const auto found = ops.find(token); found != ops.end()) {
                code.op = found->second;
            } else {
                throw std::string("bad expression in plan: " + token);
            }
            e.code.push_back(code);
        }
        if (e.code.empty() || e.code.size() > 30) throw std::string("expression too long");
        const Field& first = e.code[0].field;
        const bool one_bit = e.code[0].op == Expr::Op::Load && first.width == 1 &&
                             first.bytes == 1 && first.lsb == 0;
        if (e.code.size() == 1 && e.code[0].op == Expr::Op::Load) {
            e.simple = true;
            e.field = first;
            if (one_bit) e.bit = first.data;
        } else if (e.code.size() == 2 && one_bit && e.code[1].op == Expr::Op::LogicNot) {
            e.bit = first.data;
            e.invert = 1;
        }
        return e;
    }
    Step parse_step(const std::string& kind, std::istream& in) {
        Step step;
        if (kind == "set") {
            step.kind = Step::Kind::Set;
            step.target = parse_field(in);
            in >> step.value;
        } else if (kind == "clocks") {
            step.kind = Step::Kind::Clocks;
            in >> step.clocks;
        } else {
            step.kind = Step::Kind::Pulse;
            step.target = parse_field(in);
            in >> step.value >> step.limit;
            step.until = parse_expr(in);
            std::getline(in >> std::ws, step.text);
        }
        return step;
    }
    void plan(const std::string& text) {
        std::istringstream lines(text);
        std::string line;
        std::vector<Step>* program = nullptr;
        while (std::getline(lines, line)) {
            std::istringstream in(line);
            std::string key;
            in >> key;
            if (key == "sig") {
                std::string name;
                in >> name;
                signals_.push_back(find(name));
            } else if (key == "neurons") {
                in >> neurons_;
                spike_words_ = (neurons_ + 63) / 64;
            } else if (key == "clock") {
                const Field field = parse_field(in);
                if (field.width != 1 || field.bytes != 1 || field.lsb != 0)
                    throw std::string("the clock must be a port of one bit");
                clock_ = field.data;
            } else if (key == "program") {
                std::string name;
                in >> name;
                program = &programs_[name];
            } else if (key == "set" || key == "clocks" || key == "pulse") {
                program->push_back(parse_step(key, in));
            } else if (key == "config") {
                in >> config_read_latency_;
                config_write_ = parse_field(in);
                config_address_ = parse_field(in);
                config_data_ = parse_field(in);
            } else if (key == "config_read") {
                config_rdata_ = parse_field(in);
            } else if (key == "timestep") {
                std::string kind;
                in >> kind >> limit_clocks_ >> clocks_per_step_;
                handshake_ = kind == "handshake";
            } else if (key == "start") {
                start_ = parse_field(in);
            } else if (key == "done") {
                done_ = parse_expr(in);
            } else if (key == "idle") {
                idle_ = parse_expr(in);
            } else if (key == "input") {
                std::uint32_t port = 0;
                in >> port;
                if (inputs_.size() <= port) inputs_.resize(port + 1);
                inputs_[port].valid = parse_field(in);
                inputs_[port].address = parse_field(in);
                inputs_[port].ready = parse_expr(in);
            } else if (key == "sideband") {
                SideBandTarget target;
                std::string how;
                in >> target.width >> target.element_bytes >> how;
                for (std::uint32_t i = 0; i < target.width; ++i)
                    target.table.push_back(parse_field(in));
                target.copy_to =
                    contiguous(target.table, target.element_bytes) ? target.table[0].data : nullptr;
                side_bands_.push_back(std::move(target));
            } else if (key == "field") {
                Observed o;
                int is_signed = 0;
                in >> o.name >> o.bytes >> o.bits >> is_signed;
                o.is_signed = is_signed != 0;
                o.row_bytes = static_cast<std::uint64_t>(o.bytes) * neurons_;
                fields_.push_back(std::move(o));
            } else if (key == "gather") {
                std::uint32_t index = 0;
                in >> index;
                Observed& o = fields_.at(index);
                for (std::uint32_t n = 0; n < neurons_; ++n) o.table.push_back(parse_field(in));
                choose_gather(o);
            } else if (key == "spikes") {
                for (std::uint32_t n = 0; n < neurons_; ++n)
                    spike_table_.push_back(parse_field(in));
                spike_copy_ = bits_in_a_row(spike_table_) ? spike_table_[0].data : nullptr;
            } else if (key == "phase") {
                std::string phase;
                in >> phase;
                gather_after_edge_ = phase == "after_edge";
            } else if (key == "strobe") {
                Strobe s;
                int spike = 0;
                int ready = 0;
                in >> spike >> ready;
                s.is_spike = spike != 0;
                if (ready) s.ready = parse_field(in);
                s.valid = parse_expr(in);
                s.index = parse_expr(in);
                strobes_.push_back(std::move(s));
            } else if (key == "value") {
                Strobe::Value v;
                in >> v.field;
                v.value = parse_expr(in);
                strobes_.back().values.push_back(std::move(v));
            } else if (key == "pacing") {
                std::string how;
                in >> how >> gap_per_65536_ >> gap_max_ >> stall_per_65536_ >> pacing_seed_;
                drain_ = how == "drain";
            } else if (!key.empty()) {
                throw std::string("unknown line in plan: " + key);
            }
            if (in.fail()) throw std::string("bad line in plan: " + line.substr(0, 200));
        }
        n_strobes_ = strobes_.size();
        for (const Strobe& s : strobes_)
            valid_bits_.push_back(s.valid.invert ? nullptr : s.valid.bit);
        for (const std::uint8_t* bit : valid_bits_) all_valid_plain_ = all_valid_plain_ && bit;
        random_pins_ = gap_per_65536_ > 0 || stall_per_65536_ > 0;
        row_bytes_ = 0;
        for (const Observed& o : fields_) row_bytes_ += o.row_bytes;
        // Power-on may leave anything on the pins; a test bench drives all that it knows.
        for (auto& [name, entry] : known_)
            if (std::strcmp(entry.second, "in") == 0)
                std::memset(entry.first.data, 0,
                            static_cast<std::size_t>(entry.first.word_bytes) * entry.first.words);
        for (Strobe& s : strobes_)
            if (s.ready.data) s.ready.store(1);
        model_->eval();
    }
    static bool contiguous(const std::vector<Field>& table, std::uint32_t bytes) {
        for (std::size_t i = 0; i < table.size(); ++i)
            if (table[i].width != bytes * 8 || table[i].lsb % 8 != 0 ||
                table[i].data + table[i].lsb / 8 != table[0].data + table[0].lsb / 8 + i * bytes)
                return false;
        return !table.empty() && table[0].lsb == 0;
    }
    static bool bits_in_a_row(const std::vector<Field>& table) {
        for (std::size_t i = 0; i < table.size(); ++i)
            if (table[i].width != 1 || table[i].data == nullptr ||
                static_cast<std::size_t>(table[i].data - table[0].data) * 8 + table[i].lsb != i)
                return false;
        return !table.empty();
    }
    static void choose_gather(Observed& o) {
        o.gather = Observed::Gather::Table;
        o.base = o.table[0].data;
        if (contiguous(o.table, o.bytes) && o.bits == o.bytes * 8) {
            o.gather = Observed::Gather::Copy;
            return;
        }
        if (o.table.size() < 2) return;
        const auto stride = o.table[1].data - o.table[0].data;
        for (std::size_t i = 0; i < o.table.size(); ++i)
            if (o.table[i].lsb != 0 || o.table[i].bytes != o.bytes ||
                o.table[i].width != o.table[0].width ||
                o.table[i].data != o.table[0].data + static_cast<std::ptrdiff_t>(i) * stride)
                return;
        if (stride > 0) {
            o.gather = Observed::Gather::Strided;
            o.stride = static_cast<std::uint32_t>(stride);
        }
    }

    // ---- clocks
    std::uint32_t random16(std::uint64_t lane) const {
        std::uint64_t z = pacing_seed_ + timestep_ * 0x9e3779b97f4a7c15ULL +
                          (clocks_ - step_clock_) * 0xd1342543de82ef95ULL +
                          lane * 0x632be59bd9b4e019ULL;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return static_cast<std::uint32_t>(z >> 40) & 0xffff;
    }
    static void put_value(const Observed& o, std::uint32_t neuron, std::uint64_t value) {
        if (o.is_signed && o.bits < 64) {
            const unsigned shift = 64 - o.bits;
            value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
        }
        std::byte* to = o.row + static_cast<std::size_t>(neuron) * o.bytes;
        switch (o.bytes) {
            case 1:
                *to = static_cast<std::byte>(value);
                break;
            case 2: {
                const auto v = static_cast<std::uint16_t>(value);
                std::memcpy(to, &v, 2);
                break;
            }
            case 4: {
                const auto v = static_cast<std::uint32_t>(value);
                std::memcpy(to, &v, 4);
                break;
            }
            default:
                std::memcpy(to, &value, 8);
                break;
        }
    }
    __attribute__((noinline)) void violation(const std::string& text) {
        if (!stop_) stop_ = std::make_unique<Stop>(Stop{HostEnd::Violation, text});
    }
    void take(Strobe& s) {
        const auto neuron = static_cast<std::uint32_t>(s.index.eval());
        if (__builtin_expect(neuron >= neurons_, 0)) {
            violation("the core gave neuron " + std::to_string(neuron) + ", but there are " +
                      std::to_string(neurons_));
            return;
        }
        ++s.seen;
        if (s.is_spike) {
            std::uint64_t& word = spikes_row_[neuron / 64];
            const std::uint64_t bit = 1ULL << (neuron % 64);
            if (__builtin_expect((word & bit) != 0, 0))
                violation("neuron " + std::to_string(neuron) +
                          " fired twice in one timestep, but the core is declared to fire once");
            word |= bit;
        }
        for (const Strobe::Value& v : s.values) put_value(fields_[v.field], neuron, v.value.eval());
    }
    void tick_low() {
        *clock_ = 0;
        model_->eval();
        context_.timeInc(1);
    }
    void tick_high() {
        *clock_ = 1;
        model_->eval();
        context_.timeInc(1);
        ++clocks_;
    }
    /// One clock; before its rising edge strobes are sampled, and `watch` is left in sampled_.
    template <bool kRandom>
    void clock_step(const Expr* watch) {
        if constexpr (kRandom)
            for (Strobe& s : strobes_)
                if (s.ready.data) s.ready.store(random16(7) >= stall_per_65536_);
        tick_low();
        for (std::size_t i = 0; i < n_strobes_; ++i)
            if (__builtin_expect(valid_bits_[i] ? *valid_bits_[i] & 1 : strobes_[i].valid.test(),
                                 0))
                if (!kRandom || !strobes_[i].ready.data || strobes_[i].ready.load())
                    take(strobes_[i]);
        sampled_ = watch && watch->test();
        tick_high();
        if ((clocks_ & 0x3ff) == 0) {
            shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
            check_simulator();
        }
    }
    void idle_clock() {
        tick_low();
        tick_high();
        if ((clocks_ & 0x3ff) == 0) shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
    }
    void check_simulator() {
        if (__builtin_expect(context_.gotError() || context_.gotFinish(), 0) && !stop_) {
            const bool error = context_.gotError();
            stop_ = std::make_unique<Stop>(Stop{error ? HostEnd::Asserted : HostEnd::Finished,
                                                error ? "" : "the core called $finish"});
        }
    }
    std::unique_ptr<Stop> run_program(const std::vector<Step>& program) {
        for (const Step& step : program) {
            if (step.kind == Step::Kind::Set) {
                step.target.store(step.value);
                model_->eval();
            } else if (step.kind == Step::Kind::Clocks) {
                for (std::uint64_t i = 0; i < step.clocks; ++i) idle_clock();
            } else {
                step.target.store(step.value);
                idle_clock();
                step.target.store(step.value ? 0 : 1);
                for (std::uint64_t i = 0;; ++i) {
                    if (i >= step.limit)
                        return std::make_unique<Stop>(
                            Stop{HostEnd::Hung, step.text + " did not come within " +
                                                    std::to_string(step.limit) + " clocks"});
                    tick_low();
                    const bool done = step.until.test();
                    tick_high();
                    if ((clocks_ & 0x3ff) == 0)
                        shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
                    if (done) break;
                }
            }
            check_simulator();
            if (stop_) return std::move(stop_);
        }
        return nullptr;
    }

    // ---- a timestep
    __attribute__((always_inline)) bool over_limit() {
        return __builtin_expect(clocks_ >= deadline_ || stop_, 0) && give_up();
    }
    __attribute__((noinline)) bool give_up() {
        if (!stop_)
            stop_ = std::make_unique<Stop>(
                Stop{HostEnd::Hung, waiting_for_ + std::string(" within ") +
                                        std::to_string(limit_clocks_) + " clocks"});
        return true;
    }
    /// Clocks until `watch` holds before a rising edge; false where the core gave up or was given
    /// up. Most of a run is spent here: what a clock needs is in locals, which no store to a signal
    /// can alias.
    template <bool kRandom>
    bool clock_until(const Expr& watch) {
        if (kRandom || !watch.bit || n_strobes_ > kFastStrobes || !all_valid_plain_) {
            do {
                clock_step<kRandom>(&watch);
                if (over_limit()) return false;
            } while (!sampled_);
            return true;
        }
        std::uint8_t* const clock = clock_;
        Vdut* const model = model_.get();
        VerilatedContext* const context = &context_;
        const std::uint8_t* const bit = watch.bit;
        const std::uint8_t invert = watch.invert;
        const std::size_t strobes = n_strobes_;
        const std::uint8_t* valid[kFastStrobes];
        for (std::size_t i = 0; i < strobes; ++i) valid[i] = valid_bits_[i];
        std::uint64_t clocks = clocks_;
        std::uint64_t check = std::min(deadline_, clocks + 4096);
        for (;;) {
            *clock = 0;
            model->eval();
            context->timeInc(1);
            for (std::size_t i = 0; i < strobes; ++i)
                if (__builtin_expect(*valid[i] & 1, 0)) take(strobes_[i]);
            const bool done = ((*bit ^ invert) & 1) != 0;
            *clock = 1;
            model->eval();
            context->timeInc(1);
            ++clocks;
            if (done) break;
            if (__builtin_expect(clocks >= check, 0)) {
                clocks_ = clocks;
                shared_->heartbeat.store(clocks, std::memory_order_relaxed);
                check_simulator();
                if (over_limit()) return false;
                check = std::min(deadline_, clocks + 4096);
            }
        }
        clocks_ = clocks;
        return !stop_ || !over_limit();
    }
    template <bool kRandom>
    void run_handshake(const RunEvent* events, std::uint32_t count) {
        deadline_ = clocks_ + limit_clocks_;
        waiting_for_ = "the core did not take an input event";
        for (std::uint32_t i = 0; i < count; ++i) {
            const RunEvent& event = events[i];
            if (event.port >= inputs_.size()) {
                violation("no input port " + std::to_string(event.port));
                return;
            }
            InputStream& input = inputs_[event.port];
            if constexpr (kRandom) {
                if (random16(11) < gap_per_65536_) {
                    const std::uint32_t gap = 1 + random16(13) % (gap_max_ ? gap_max_ : 1);
                    for (std::uint32_t g = 0; g < gap; ++g) clock_step<kRandom>(nullptr);
                }
            }
            input.address.store(event.address);
            input.valid.store(1);
            if (!clock_until<kRandom>(input.ready)) return;
            if (kRandom || drain_) input.valid.store(0);
            if (drain_ && idle_.present) {
                if (!clock_until<kRandom>(idle_)) return;
            }
        }
        for (InputStream& input : inputs_) input.valid.store(0);
        if (idle_.present && count > 0) {
            waiting_for_ = "the core did not become idle";
            if (!clock_until<kRandom>(idle_)) return;
        }
        waiting_for_ = "done did not come";
        start_.store(1);
        clock_step<kRandom>(nullptr);
        start_.store(0);
        if (!clock_until<kRandom>(done_)) return;
    }
    void gather() {
        for (Observed& o : fields_) {
            if (o.gather == Observed::Gather::None) continue;
            if (o.gather == Observed::Gather::Copy) {
                std::memcpy(o.row, o.base, o.row_bytes);
            } else if (o.gather == Observed::Gather::Strided && o.table[0].width == o.bytes * 8) {
                gather_strided(o);
            } else {
                for (std::uint32_t n = 0; n < neurons_; ++n) put_value(o, n, o.table[n].load());
            }
        }
        if (spike_copy_) {
            std::memcpy(spikes_row_, spike_copy_, (neurons_ + 7) / 8);
            if (neurons_ % 64) spikes_row_[spike_words_ - 1] &= (1ULL << (neurons_ % 64)) - 1;
        } else if (!spike_table_.empty()) {
            for (std::uint32_t n = 0; n < neurons_; ++n)
                spikes_row_[n / 64] |= spike_table_[n].load() << (n % 64);
        }
    }
    static void gather_strided(const Observed& o) {
        const std::uint8_t* from = o.base;
        std::byte* to = o.row;
        const std::size_t n = o.row_bytes / o.bytes;
        for (std::size_t i = 0; i < n; ++i, from += o.stride, to += o.bytes)
            std::memcpy(to, from, o.bytes);
    }
    /// Rows that the next timestep reads and writes come into the cache while the core computes
    /// this one: the tool used their lines last, on another processor.
    static void prefetch_row(const std::byte* row, std::uint64_t bytes, bool to_write) {
        constexpr std::uint64_t kLine = 64;
        constexpr std::uint64_t kMost = 64 * kLine;  // the rest, the processor sees coming
        for (std::uint64_t at = 0; at < std::min(bytes, kMost); at += kLine)
            to_write ? __builtin_prefetch(row + at, 1) : __builtin_prefetch(row + at, 0);
    }
    void prefetch_next(const std::byte* side_bands, std::uint32_t step, std::uint32_t n_steps) {
        const std::byte* at = side_bands;
        for (const SideBandTarget& band : side_bands_) {
            const std::uint64_t row = static_cast<std::uint64_t>(band.width) * band.element_bytes;
            prefetch_row(at + row * (step + 1), row, false);
            at += align_up(row * n_steps, 8);
        }
        for (const Observed& o : fields_) prefetch_row(o.row + o.row_bytes, o.row_bytes, true);
    }
    void run_clocked() {
        for (std::uint32_t i = 0; i + 1 < clocks_per_step_; ++i) clock_step<false>(nullptr);
        if (gather_after_edge_) {
            clock_step<false>(nullptr);
            gather();
        } else {
            tick_low();
            gather();
            tick_high();
        }
        if ((clocks_ & 0x3ff) == 0) shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
    }
    const std::byte* apply_side_bands(const std::byte* rows, std::uint32_t step,
                                      std::uint32_t n_steps) {
        const std::byte* at = rows;
        for (const SideBandTarget& band : side_bands_) {
            const std::uint64_t row = static_cast<std::uint64_t>(band.width) * band.element_bytes;
            const std::byte* from = at + row * step;
            if (band.copy_to) {
                std::memcpy(band.copy_to, from, row);
            } else {
                for (std::uint32_t i = 0; i < band.width; ++i) {
                    std::uint64_t value = 0;
                    std::memcpy(&value, from + static_cast<std::size_t>(i) * band.element_bytes,
                                band.element_bytes);
                    band.table[i].store(value);
                }
            }
            at += align_up(row * n_steps, 8);
        }
        return at;
    }
    void check_strobes() {
        for (Strobe& s : strobes_) {
            if (!s.is_spike && s.seen != neurons_)
                violation("the core showed " + std::to_string(s.seen) +
                          " neuron updates in this timestep, expected " + std::to_string(neurons_));
            s.seen = 0;
        }
    }
    void run(const std::byte* payload) {
        RunHeader header;
        std::memcpy(&header, payload, sizeof header);
        const std::byte* at = payload + sizeof header;
        const auto* event_begin = reinterpret_cast<const std::uint32_t*>(at);
        at += align_up(4ULL * (header.n_steps + 1), 8);
        const auto* begins = reinterpret_cast<const std::uint32_t*>(at);
        at += 8ULL * header.n_begins;
        const auto* events = reinterpret_cast<const RunEvent*>(at);
        at += align_up(sizeof(RunEvent) * header.n_events, 8);

        const std::uint64_t spike_bytes = align_up(8 * spike_words_ * header.n_steps);
        std::uint64_t bytes = sizeof(BlockHeader) + spike_bytes;
        for (const Observed& o : fields_) bytes += align_up(o.row_bytes * header.n_steps);
        std::byte* to = reserve(Msg::Block, bytes);
        auto* block = reinterpret_cast<BlockHeader*>(to);
        *block = {header.first, 0, header.n_steps, 0, {}};
        shared_->open_block.store(out_.reserved_at() + 1, std::memory_order_release);
        spikes_row_ = reinterpret_cast<std::uint64_t*>(to + sizeof(BlockHeader));
        std::byte* column = to + sizeof(BlockHeader) + spike_bytes;
        for (Observed& o : fields_) {
            o.row = column;
            column += align_up(o.row_bytes * header.n_steps);
        }
        std::uint32_t begin = 0;
        for (std::uint32_t step = 0; step < header.n_steps; ++step) {
            timestep_ = header.first + step;
            shared_->timestep.store(timestep_, std::memory_order_relaxed);
            step_clock_ = clocks_;
            std::memset(spikes_row_, 0, 8 * spike_words_);
            if (begin < header.n_begins && begins[2 * begin] == step) {
                const std::uint32_t state = begins[2 * begin + 1];
                ++begin;
                if (state != 0) {
                    const auto program = programs_.find(state == 1 ? "clear" : "state_reset");
                    if (program == programs_.end()) {
                        violation(
                            "the manifest does not say how to bring the core to this start state");
                    } else {
                        stop_ = run_program(program->second);
                    }
                    step_clock_ = clocks_;
                }
            }
            if (!stop_) {
                if (!side_bands_.empty()) apply_side_bands(at, step, header.n_steps);
                if (handshake_) {
                    const RunEvent* first = events + event_begin[step];
                    const std::uint32_t count = event_begin[step + 1] - event_begin[step];
                    random_pins_ ? run_handshake<true>(first, count)
                                 : run_handshake<false>(first, count);
                    gather();
                } else {
                    if (step + 1 < header.n_steps) prefetch_next(at, step, header.n_steps);
                    run_clocked();
                }
            }
            check_simulator();
            if (!stop_) check_strobes();
            if (stop_) break;
            block->n_steps = step + 1;
            spikes_row_ += spike_words_;
            for (Observed& o : fields_) o.row += o.row_bytes;
        }
        block->clock = clocks_;
        shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
        publish();
        shared_->open_block.store(0, std::memory_order_release);
        if (stop_) {
            end(*stop_);
            dead_ = true;
        }
    }

    // ---- requests
    std::string describe() {
        collect_signals();
        std::ostringstream out;
        for (const auto& [name, entry] : known_)
            out << name << ' ' << entry.second << ' ' << entry.first.bits << ' '
                << entry.first.words << '\n';
        return out.str();
    }
    void done_or_end() {
        check_simulator();
        if (stop_) {
            end(*stop_);
            dead_ = true;
        } else {
            reply(Msg::Ok, "");
        }
    }
    void handle(const RecordHeader& record, const std::byte* payload) {
        if (record.type == Msg::Quit) {
            model_->final();
#if VM_COVERAGE
            const std::string prefix = "spikelock+coverage+";
            const std::string file = context_.commandArgsPlusMatch(prefix.c_str());
            if (file.size() > prefix.size() + 1)
                context_.coveragep()->write(file.substr(prefix.size() + 1).c_str());
#endif
            leave(0);
        }
        if (dead_) return;  // after an End the tool only quits
        const std::string text(reinterpret_cast<const char*>(payload), record.bytes);
        try {
            switch (record.type) {
                case Msg::Describe:
                    reply(Msg::Text, describe());
                    break;
                case Msg::Plan:
                    plan(text);
                    reply(Msg::Ok, "");
                    break;
                case Msg::Program: {
                    const auto found = programs_.find(text);
                    if (found == programs_.end()) throw std::string("no program " + text);
                    stop_ = run_program(found->second);
                    done_or_end();
                    break;
                }
                case Msg::PortWrites: {
                    const auto* words = reinterpret_cast<const Word*>(payload);
                    for (std::size_t i = 0; i < record.bytes / sizeof(Word); ++i) {
                        config_address_.store(words[i].address);
                        config_data_.store(words[i].data);
                        config_write_.store(1);
                        idle_clock();
                    }
                    config_write_.store(0);
                    idle_clock();
                    done_or_end();
                    break;
                }
                case Msg::PortReads: {
                    const auto* addresses = reinterpret_cast<const std::uint64_t*>(payload);
                    const std::size_t count = record.bytes / 8;
                    std::vector<std::uint64_t> values(count);
                    for (std::size_t i = 0; i < count; ++i) {
                        config_address_.store(addresses[i]);
                        for (std::uint32_t c = 0; c < config_read_latency_; ++c) idle_clock();
                        tick_low();
                        values[i] = config_rdata_.load();
                        tick_high();
                    }
                    data(values);
                    break;
                }
                case Msg::BackdoorWrites: {
                    const auto* cells = reinterpret_cast<const Cell*>(payload);
                    for (std::size_t i = 0; i < record.bytes / sizeof(Cell); ++i)
                        field_of(signals_.at(cells[i].signal), cells[i].word, cells[i].lsb,
                                 cells[i].width)
                            .store(cells[i].data);
                    reply(Msg::Ok, "");
                    break;
                }
                case Msg::BackdoorReads: {
                    const auto* cells = reinterpret_cast<const Cell*>(payload);
                    std::vector<std::uint64_t> values;
                    for (std::size_t i = 0; i < record.bytes / sizeof(Cell); ++i)
                        values.push_back(field_of(signals_.at(cells[i].signal), cells[i].word,
                                                  cells[i].lsb, cells[i].width)
                                             .load());
                    data(values);
                    break;
                }
                case Msg::Run:
                    run(payload);
                    break;
                default:
                    throw std::string("this host does not implement request " +
                                      std::to_string(static_cast<int>(record.type)));
            }
        } catch (const std::string& what) {
            reply(Msg::Error, what);
        } catch (const std::exception& what) {
            reply(Msg::Error, what.what());
        }
    }
    void data(const std::vector<std::uint64_t>& values) {
        std::byte* to = reserve(Msg::Data, values.size() * 8);
        std::memcpy(to, values.data(), values.size() * 8);
        publish();
    }

    struct InputStream {
        Field valid;
        Field address;
        Expr ready;
    };

    SharedHeader* shared_;
    Ring in_;
    Ring out_;
    int wake_host_;
    int wake_tool_;
    int alive_;
    VerilatedContext context_;
    std::unique_ptr<Vdut> model_;
    std::map<std::string, std::pair<Signal, const char*>> known_;
    std::vector<Signal> signals_;
    std::map<std::string, std::vector<Step>> programs_;
    std::uint8_t* clock_ = nullptr;
    Field config_write_;
    Field config_address_;
    Field config_data_;
    Field config_rdata_;
    std::uint32_t config_read_latency_ = 1;
    bool handshake_ = true;
    std::uint64_t limit_clocks_ = 1000000;
    std::uint32_t clocks_per_step_ = 1;
    Field start_;
    Expr done_;
    Expr idle_;
    std::vector<InputStream> inputs_;
    std::vector<SideBandTarget> side_bands_;
    std::vector<Observed> fields_;
    std::vector<Field> spike_table_;
    const std::uint8_t* spike_copy_ = nullptr;
    bool gather_after_edge_ = true;
    std::vector<Strobe> strobes_;
    std::size_t n_strobes_ = 0;
    static constexpr std::size_t kFastStrobes = 4;
    bool all_valid_plain_ = true;
    std::vector<const std::uint8_t*>
        valid_bits_;  // of strobes whose valid is a plain bit, else null
    std::uint64_t deadline_ = 0;
    bool drain_ = false;
    bool random_pins_ = false;
    std::uint32_t gap_per_65536_ = 0;
    std::uint32_t gap_max_ = 0;
    std::uint32_t stall_per_65536_ = 0;
    std::uint64_t pacing_seed_ = 0;
    std::uint32_t neurons_ = 0;
    std::uint64_t spike_words_ = 0;
    std::uint64_t row_bytes_ = 0;
    std::uint64_t* spikes_row_ = nullptr;
    std::uint64_t clocks_ = 0;
    std::uint64_t timestep_ = 0;
    std::uint64_t step_clock_ = 0;
    bool sampled_ = false;
    bool dead_ = false;
    const char* waiting_for_ = "";
    std::unique_ptr<Stop> stop_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5) {
        std::fprintf(stderr,
                     "this is a Spikelock DUT host; it is started by spikelock, not by hand\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);  // Ctrl-C is the tool's business
    const int memory = std::atoi(argv[1]);
    struct stat info = {};
    if (fstat(memory, &info) != 0) return 2;
    void* base = mmap(nullptr, static_cast<std::size_t>(info.st_size), PROT_READ | PROT_WRITE,
                      MAP_SHARED, memory, 0);
    if (base == MAP_FAILED) return 2;
    auto* shared = static_cast<SharedHeader*>(base);
    if (shared->magic != kProtocolMagic || shared->version != kProtocolVersion) {
        std::fprintf(stderr,
                     "protocol version %u, this host speaks %u: rebuild with 'spikelock build'\n",
                     shared->version, kProtocolVersion);
        return 2;
    }
    // Verilator's command line: the program name, then plusargs.
    std::vector<char*> args = {argv[0]};
    for (int i = 5; i < argc; ++i) args.push_back(argv[i]);
    Host(shared, static_cast<std::byte*>(base), std::atoi(argv[2]), std::atoi(argv[3]),
         std::atoi(argv[4]))
        .start(static_cast<int>(args.size()), args.data());
}

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
#include <numeric>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "Vdut.h"
#include "Vdut___024root.h"
#include "moves.hpp"
#include "protocol.hpp"
#include "shortcuts.inc"
#include "signals.hpp"
#include "spikelock/trace/observation_plan.hpp"
#include "spikelock/trace/observation_rows.hpp"
#include "verilated.h"
#include "verilated_syms.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

#ifdef SPIKELOCK_WITH_ADAPTER
#include "spikelock_adapter.hpp"
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#endif

using namespace spikelock::sim;
namespace plan = spikelock::trace::plan;
using plan::Row;

/// No input but the clock has changed since the last eval: what follows the inputs alone need not
/// be computed again. The model's code asks for it (sim/src/eval_shortcuts.hpp).
extern bool spikelock_inputs_settled;
bool spikelock_inputs_settled = false;

// Verilator generates them with the model; its header does not name them.
void Vdut___024root___eval_settle(Vdut___024root* root);
void Vdut___024root___eval(Vdut___024root* root);

namespace {

[[noreturn]] void leave(int code) {
    std::fflush(stdout);
    _exit(code);
}

/// Neurons of a field, or of the spikes, that are read at once: at the end of a timestep, or where
/// the trigger holds.
struct Part {
    std::int32_t field = -1;  // -1: spikes
    bool after_edge = true;
    std::uint32_t latency = 0;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    Expr trigger;
    std::int32_t shown = -1;  // index of what it must show; -1: always shows all
    // How it is read.
    enum class Gather : std::uint8_t { Table, Moves, Choices, Expressions };
    Gather gather = {};
    // Moves: whole signals of the field's storage, in few runs of equally distant ones (Verilator
    // cuts a module's members into groups, each with an alignment), or bits in a row.
    std::vector<Move> moves;
    // Choices: values behind valid or dirty bits, all stored and cut out alike.
    struct Choice {
        const std::uint8_t* condition = nullptr;  // the byte
        const std::uint8_t* value = nullptr;      // `stored` bytes
        std::uint64_t otherwise = 0;
        std::uint8_t condition_bit = 0;
        std::uint8_t lsb = 0;
    };
    std::uint8_t stored = 0;
    std::vector<Choice> choices;
    // Choices: of what is cut out.
    std::uint64_t mask = 0;
    std::uint64_t sign = 0;  // the sign bit; 0 where unsigned
    std::vector<Field> table;
    std::vector<Expr> expressions;
};

/// Values or spikes that come with an index while a timestep runs.
struct Strobe : plan::StreamRule {
    using Protocol = plan::Stream::Protocol;
    using Attribute = plan::Stream::Attribute;
    struct Value {
        std::uint32_t field;
        Expr value;
    };
    explicit Strobe(const plan::Stream& s) : StreamRule(s) {}
    Expr index;
    std::vector<Value> values;
    Expr valid;     // FourPhase: the request
    Field ready;    // or the acknowledge
    Expr timestep;  // Number: its value; Marker: that a timestep ends
};

/// An event that the core takes, of the stimulus or of its own.
struct Taken {
    plan::Taken rule;
    Expr valid;
    Expr index;
};

/// The block that is being filled.
struct OpenBlock {
    BlockHeader* header = nullptr;
    std::uint64_t* spikes = nullptr;
    std::vector<std::byte*> fields;
    std::uint16_t* counts = nullptr;
    ListedSpike* listed = nullptr;
    ListedTaken* taken = nullptr;
};

struct SideBandTarget {
    std::uint32_t width = 0;          // elements per timestep
    std::uint32_t element_bytes = 4;  // in the ring
    std::uint64_t row_bytes = 0;
    const std::byte* next = nullptr;  // row in the ring
    Move copy;                        // to contiguous elements of exactly this size
    std::byte* copy_to = nullptr;
    std::vector<Field> table;
    std::string name;
};

struct Input {
    bool four_phase = false;
    Field valid;  // or the request
    Field address;
    Expr ready;                        // or the acknowledge
    std::vector<std::uint64_t> codes;  // by axon; empty: the axon itself
    std::vector<Field> bits;           // one an axon, instead of all above
    bool pulse = false;
};

/// A clock beside the main one.
struct ExtraClock {
    std::uint8_t* pin = nullptr;
    plan::ExtraClock rule;
};

/// Pins that change at one moment.
struct Edges {
    std::vector<std::pair<std::uint8_t*, std::uint8_t>> pins;
};

struct Step {
    using Kind = plan::Step::Kind;
    plan::Step rule;
    Field target;
    Expr until;
};

struct Stop {
    HostEnd kind;
    std::string text;
};

/// Takes an adapter out of whatever it does when the run has ended.
struct Stopped {};

class Host final : private plan::Gatherer {
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
        const EndHeader header{stop.kind, 0, next_row_, clocks_};
        std::memcpy(to, &header, sizeof header);
        std::memcpy(to + sizeof header, stop.text.data(), stop.text.size());
        publish();
    }

    using Kind = plan::Kind;
    Kind kind() const { return plan_.kind; }

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
    Field bind(const plan::BitField& f) const {
        return field_of(signals_.at(f.signal), f.word, f.lsb, f.width);
    }
    Expr bind(const plan::Expr& from) const {
        using Op = plan::Op;
        Expr e;
        if (from.empty()) return e;
        e.present = true;
        for (const plan::Code& c : from) {
            Expr::Code code{};
            code.op = c.op;
            code.value = c.value;
            if (c.op == Op::Load || c.op == Op::LoadWord) code.field = bind(c.field);
            if (c.op == Op::LoadWord) {
                code.stride = signals_[c.field.signal].word_bytes;
                code.words = signals_[c.field.signal].words;
            }
            e.code.push_back(code);
        }
        e.prepare();
        return e;
    }
    std::vector<Step> bind(const std::vector<plan::Step>& list) const {
        std::vector<Step> out;
        const auto clocks = [&](std::uint64_t count) {
            Step step;
            step.rule.kind = Step::Kind::Clocks;
            step.rule.clocks = count;
            out.push_back(step);
        };
        for (const plan::Step& s : list) {
            Step step;
            step.rule = s;
            if (s.kind == Step::Kind::Set || s.kind == Step::Kind::Pulse ||
                s.kind == Step::Kind::Reset)
                step.target = bind(s.target);
            step.until = bind(s.until);
            if (s.kind != Step::Kind::Reset) {
                out.push_back(step);
                continue;
            }
            // An edge in any case, but no clock before it: what is on the registers at power-on
            // must not be acted on, or checked.
            step.rule.kind = Step::Kind::Set;
            Step inactive = step;
            inactive.rule.value = ~s.value & step.target.mask();
            out.push_back(inactive);
            out.push_back(step);
            clocks(s.clocks);
            out.push_back(inactive);
            // Each clock of a clocked core is a timestep: the first one after the reset is what
            // the caller wants next.
            if (kind() != Kind::Clocked) clocks(1);
        }
        return out;
    }
    std::uint8_t* clock_pin(const plan::BitField& f) const {
        const Field field = bind(f);
        if (field.width != 1 || field.bytes != 1 || field.lsb != 0)
            throw std::string("a clock must be a port of one bit");
        return field.data;
    }
    void bind_driving() {
        clock_ = clock_pin(plan_.clock);
        for (const plan::ExtraClock& x : plan_.extra_clocks)
            extra_clocks_.push_back({clock_pin(x.pin), x});
        for (const auto& [name, steps] : plan_.programs) programs_[name] = bind(steps);
        if (plan_.has_config) {
            config_write_ = bind(plan_.config_write);
            config_address_ = bind(plan_.config_address);
            config_data_ = bind(plan_.config_data);
        }
        if (plan_.has_config_read) config_rdata_ = bind(plan_.config_rdata);
        if (kind() == Kind::Handshake) start_ = bind(plan_.start);
        done_ = bind(plan_.done);
        idle_ = bind(plan_.idle);
        settling_.idle_clocks = plan_.idle_clocks;
        settling_.quiet_clocks = plan_.quiet_clocks;
        if (plan_.has_tick) tick_ = bind(plan_.tick);
        for (const plan::BitField& f : plan_.quiet) quiet_.push_back(bind(f));
        quiet_before_.resize(quiet_.size());
        for (const plan::Input& from : plan_.inputs) {
            Input& input = inputs_.emplace_back();
            input.four_phase = from.four_phase;
            input.pulse = from.pulse;
            input.codes = from.codes;
            for (const plan::BitField& bit : from.bits) input.bits.push_back(bind(bit));
            if (from.ready.empty()) continue;
            input.valid = bind(from.valid);
            input.address = bind(from.address);
            input.ready = bind(from.ready);
        }
        for (const plan::SideBand& band : plan_.side_bands) {
            SideBandTarget target;
            target.name = band.name;
            target.width = static_cast<std::uint32_t>(band.targets.size());
            target.element_bytes = band.element_bytes;
            target.row_bytes = std::uint64_t{target.width} * target.element_bytes;
            for (const plan::BitField& f : band.targets) target.table.push_back(bind(f));
            if (contiguous(target.table, target.element_bytes)) {
                target.copy_to = reinterpret_cast<std::byte*>(target.table[0].data);
                target.copy.go = moves::moved_by(1, 1);
                target.copy.count = static_cast<std::uint32_t>(target.row_bytes);
                target.copy.mask = ~0ULL;
            }
            side_bands_.push_back(std::move(target));
        }
    }
    void bind_observations() {
        for (const plan::Part& from : plan_.parts) {
            Part& p = parts_.emplace_back();
            p.field = from.field;
            p.after_edge = from.after_edge;
            p.latency = from.latency;
            p.begin = from.begin;
            p.end = from.end;
            p.shown = from.shown;
            p.trigger = bind(from.trigger);
            for (const plan::BitField& f : from.table) p.table.push_back(bind(f));
            for (const plan::Expr& e : from.expressions) p.expressions.push_back(bind(e));
            choose_gather(p);
        }
        for (const plan::Stream& from : plan_.streams) {
            Strobe& s = strobes_.emplace_back(from);
            if (s.protocol != Strobe::Protocol::None) s.ready = bind(from.ready);
            s.valid = bind(from.valid);
            s.index = bind(from.index);
            s.timestep = bind(from.timestep);
            for (const plan::Stream::Value& v : from.values)
                s.values.push_back({v.field, bind(v.value)});
        }
        for (const auto& [field, cover] : plan_.given)
            given_[fields_.at(field).name] = {field, cover};
        for (const plan::Taken& t : plan_.taken)
            taken_.push_back({t, bind(t.valid), bind(t.index)});
    }
    void plan(const std::string& text) {
        plan_ = plan::Parser::parse(text);
        for (const std::string& name : plan_.signals) signals_.push_back(find(name));
        set_up(plan_, plan_.lag > 0);
        bind_driving();
        bind_observations();
        n_strobes_ = strobes_.size();
        for (Strobe& s : strobes_) {
            attach(s);
            valid_bits_.push_back(s.valid.invert ? nullptr : s.valid.bit);
        }
        for (const std::uint8_t* bit : valid_bits_) all_valid_plain_ = all_valid_plain_ && bit;
        schedule_clocks();
        block_.fields.resize(fields_.size());
        const bool random_pins = plan_.gap_per_65536 > 0 || plan_.stall_per_65536 > 0;
        full_ = random_pins || kind() == Kind::Aer || kind() == Kind::Custom ||
                !extra_clocks_.empty() || !taken_.empty() || lag_ > 0 || events_;
        for (const Strobe& s : strobes_) {
            full_ =
                full_ || s.after_edge || s.protocol == Strobe::Protocol::FourPhase || !s.simple_row;
            four_phase_out_ = four_phase_out_ || s.protocol == Strobe::Protocol::FourPhase;
            marker_streams_ = marker_streams_ || s.attribute == Strobe::Attribute::Marker;
        }
        bool before = false;
        bool after = false;
        for (const Part& p : parts_) {
            full_ = full_ || p.trigger.present;
            (p.after_edge ? after : before) = true;
        }
        gather_after_edge_ = !before;
        full_ = full_ || (before && (after || kind() == Kind::Handshake));
        for (const Input& input : inputs_) {
            full_ = full_ || input.four_phase || !input.bits.empty() || kind() == Kind::Clocked;
            any_bits_ = any_bits_ || !input.bits.empty();
            any_pulse_ = any_pulse_ || input.pulse;
        }
        find_plain_rows();
        // Power-on may leave anything on the pins; a test bench drives all that it knows.
        for (auto& [name, entry] : known_)
            if (std::strcmp(entry.second, "in") == 0)
                std::memset(entry.first.data, 0,
                            static_cast<std::size_t>(entry.first.word_bytes) * entry.first.words);
        for (Strobe& s : strobes_)
            if (s.protocol == Strobe::Protocol::Ready) s.ready.store(1);
        model_->eval();
        make_adapter();
        plan_.parts = {};  // large, and bound by now
        plan_.side_bands = {};
        plan_.inputs = {};
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
    /// Whether all expressions are choices of the kind that read_choices() reads; notes them.
    bool find_choices(Part& p) const {
        const Gathered& o = fields_[static_cast<std::size_t>(p.field)];
        for (const Expr& e : p.expressions) {
            if (!e.is_choice()) return false;
            const Field& condition = e.code[0].field;
            const Field& value = e.code[1].field;
            const Field& first = p.expressions[0].code[1].field;
            if (condition.width != 1 || value.bytes > 8 || value.bytes != first.bytes ||
                value.width != first.width || value.width > o.bits)
                return false;
            // Bits above the field's own would not survive the sign's extension.
            const std::uint64_t kept = o.bits < 64 ? (1ULL << o.bits) - 1 : ~0ULL;
            p.choices.push_back({condition.data + condition.lsb / 8, value.data,
                                 o.is_signed ? e.code[2].value & kept : e.code[2].value,
                                 static_cast<std::uint8_t>(condition.lsb % 8), value.lsb});
        }
        p.stored = p.expressions[0].code[1].field.bytes;
        p.mask = p.expressions[0].code[1].field.mask();
        p.sign = o.is_signed ? 1ULL << (o.bits - 1) : 0;
        return true;
    }
    void choose_gather(Part& p) const {
        if (!p.expressions.empty()) {
            p.gather =
                p.field >= 0 && find_choices(p) ? Part::Gather::Choices : Part::Gather::Expressions;
            return;
        }
        p.moves = p.field < 0 ? moves_of_spikes(p) : moves_of_field(p);
        if (!p.moves.empty()) p.gather = Part::Gather::Moves;
    }
    std::vector<Move> moves_of_spikes(const Part& p) const {
        if (p.begin != 0 || p.end != neurons_ || counts_ || events_ || p.trigger.present ||
            !bits_in_a_row(p.table))
            return {};
        Move move;
        move.go = moves::bits;
        move.from = p.table[0].data;
        move.count = neurons_;
        move.row_bytes = 8 * spike_words_;
        return {move};
    }
    std::vector<Move> moves_of_field(const Part& p) const {
        const Gathered& o = fields_[static_cast<std::size_t>(p.field)];
        Move first;
        first.from = p.table[0].data;
        first.stride = o.bytes;
        first.offset = p.begin * o.bytes;
        first.row_bytes = o.row_bytes;
        std::vector<Move> found;
        if (contiguous(p.table, o.bytes) && o.bits == o.bytes * 8) {
            first.count = p.end - p.begin;
            first.mask = ~0ULL;
            found = {first};
        } else {
            if (o.bits < p.table[0].width) return {};
            first.mask = p.table[0].mask();
            first.sign = o.is_signed ? 1ULL << (o.bits - 1) : 0;
            for (std::size_t i = 0; i < p.table.size(); ++i) {
                const Field& field = p.table[i];
                if (field.lsb != 0 || field.bytes != o.bytes || field.width != p.table[0].width)
                    return {};
                Move* const run = found.empty() ? nullptr : &found.back();
                if (run && run->count == 1) run->stride = field.data - run->from;
                if (run && field.data ==
                               run->from + static_cast<std::ptrdiff_t>(run->count) * run->stride) {
                    ++run->count;
                    continue;
                }
                Move& next = found.emplace_back(first);
                next.from = field.data;
                next.offset += static_cast<std::uint32_t>(i) * o.bytes;
                next.count = 1;
            }
            if (found.size() * 8 > p.table.size() + 8) return {};
        }
        for (Move& move : found) move.go = moves::moved_by(o.bytes, move.stride);
        return found;
    }
    /// Whether nothing but moves fills a row, the spikes too: then it needs no preparation.
    void find_plain_rows() {
        plain_rows_ = kind() == Kind::Clocked && !full_ && n_strobes_ == 0 && gather_after_edge_ &&
                      coverage_.empty() && !counts_;
        bool spikes = false;
        for (const Part& p : parts_) {
            plain_rows_ = plain_rows_ && p.gather == Part::Gather::Moves && !p.trigger.present;
            spikes = spikes || p.field < 0;
        }
        plain_rows_ = plain_rows_ && spikes;
        if (!plain_rows_) return;
        for (const Part& p : parts_)
            for (const Move& move : p.moves) plain_moves_.push_back({move, p.field, nullptr});
    }

    // ---- clocks
    /// Moments at which pins change, for each period of the main clock until all clocks are in step
    /// again: those before its rising edge, and those at it. Time 0 is a rising edge of the main
    /// clock, for which nothing has changed yet.
    void schedule_clocks() {
        if (extra_clocks_.empty()) return;
        std::uint64_t ticks = 2;    // in a period of the main clock
        std::uint64_t periods = 1;  // until all are in step
        const auto lcm = [](std::uint64_t a, std::uint64_t b) { return a / std::gcd(a, b) * b; };
        for (const ExtraClock& x : extra_clocks_) {
            ticks = lcm(ticks, 2ULL * x.rule.ratio_num);
            ticks = lcm(ticks, x.rule.phase_den);
            periods = lcm(periods, x.rule.ratio_den);
        }
        if (ticks * periods > 4000000)
            throw std::string("the clocks' ratios and phases have no short common period");
        const std::uint64_t all = ticks * periods;
        std::map<std::uint64_t, Edges> moments;
        for (std::uint64_t p = 0; p < periods; ++p)
            moments[p * ticks + ticks / 2].pins.emplace_back(clock_, std::uint8_t{0});
        for (const ExtraClock& x : extra_clocks_) {
            const std::uint64_t period = ticks * x.rule.ratio_den / x.rule.ratio_num;
            const std::uint64_t first = ticks * x.rule.phase_num / x.rule.phase_den;
            for (std::uint64_t at = 0; at < all; at += period) {
                moments[(at + first) % all].pins.emplace_back(x.pin, std::uint8_t{1});
                moments[(at + first + period / 2) % all].pins.emplace_back(x.pin, std::uint8_t{0});
            }
        }
        before_rise_.resize(periods);
        at_rise_.resize(periods);
        for (auto& [at, edges] : moments) {
            // The rising edge that ends period p is at (p + 1) * ticks.
            if (at % ticks == 0)
                at_rise_[(at / ticks + periods - 1) % periods] = edges;
            else
                before_rise_[at / ticks].push_back(edges);
        }
    }
    std::uint32_t random16(std::uint64_t lane) const {
        std::uint64_t z = plan_.pacing_seed + timestep_ * 0x9e3779b97f4a7c15ULL +
                          (clocks_ - step_clock_) * 0xd1342543de82ef95ULL +
                          lane * 0x632be59bd9b4e019ULL;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return static_cast<std::uint32_t>(z >> 40) & 0xffff;
    }
    __attribute__((noinline)) void violation(const std::string& text) override {
        if (!stop_) stop_ = std::make_unique<Stop>(Stop{HostEnd::Violation, text});
    }
    SPIKELOCK_HOT void take(Strobe& s) {
        const std::uint64_t index = s.index.eval();
        Row* const row = accept(s, index, [&] { return s.timestep.eval(); });
        if (__builtin_expect(!row, 0)) return;
        for (const Strobe::Value& v : s.values)
            put_value(fields_[v.field], row->fields[v.field],
                      s.begin + static_cast<std::uint32_t>(index), v.value.eval());
    }
    /// An eval but the first.
    __attribute__((always_inline)) void evaluate() {
#ifdef SPIKELOCK_EVAL_ALONE
        Vdut___024root___eval(model_->rootp);
#else
        model_->eval();
#endif
    }
    /// What follows from state that was written by the back door: the model looks only at changes
    /// of its inputs and at edges.
    void settle() { Vdut___024root___eval_settle(model_->rootp); }
    void tick_low() {
        if (__builtin_expect(!extra_clocks_.empty(), 0)) {
            for (const Edges& edges : before_rise_[clocks_ % before_rise_.size()]) {
                for (const auto& [pin, value] : edges.pins) *pin = value;
                evaluate();
                context_.timeInc(1);
            }
            return;
        }
        *clock_ = 0;
        evaluate();
        context_.timeInc(1);
    }
    void tick_high() {
        if (__builtin_expect(!extra_clocks_.empty(), 0))
            for (const auto& [pin, value] : at_rise_[clocks_ % at_rise_.size()].pins) *pin = value;
        *clock_ = 1;
        evaluate();
        context_.timeInc(1);
        ++clocks_;
    }
    void beat() {
        if ((clocks_ & 0x3ff) == 0) {
            shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
            check_simulator();
        }
    }
    /// Output handshakes before a rising edge. What comes before the end of start-up is
    /// acknowledged and forgotten.
    void serve_four_phase(bool forget) {
        for (Strobe& s : strobes_) {
            if (s.protocol != Strobe::Protocol::FourPhase) continue;
            if (s.serve(s.valid.test()) && !forget) take(s);
            outputs_busy_ = outputs_busy_ || s.phase != Strobe::Phase::Idle;
        }
    }
    /// The same after it: our side of the handshake moves.
    void answer_four_phase() {
        using Phase = Strobe::Phase;
        std::uint64_t lane = 17;
        for (Strobe& s : strobes_) {
            if (s.protocol != Strobe::Protocol::FourPhase) continue;
            if (s.phase == Phase::Requested && random16(lane++) >= plan_.stall_per_65536) {
                s.ready.store(1);
                s.phase = Phase::Acknowledged;
            } else if (s.phase == Phase::Released) {
                s.ready.store(0);
                s.phase = Phase::Idle;
            }
        }
    }
    void watch_quiet() {
        bool same = true;
        for (std::size_t i = 0; i < quiet_.size(); ++i) {
            const std::uint64_t value = quiet_[i].load();
            same = same && value == quiet_before_[i];
            quiet_before_[i] = value;
        }
        settling_.watch(same);
    }
    /// What is sampled before or after a rising edge.
    void sample(bool after) {
        for (Strobe& s : strobes_) {
            if (s.after_edge != after) continue;
            if (s.protocol == Strobe::Protocol::None) {
                if (s.valid.test()) take(s);
            } else if (s.protocol == Strobe::Protocol::Ready && s.valid.test()) {
                if (s.ready.load())
                    take(s);
                else
                    outputs_busy_ = true;
            }
            if (s.attribute == Strobe::Attribute::Marker && s.timestep.test()) ++s.marked;
        }
        for (const Part& p : parts_)
            if (p.trigger.present && p.after_edge == after && p.trigger.test()) read_part(p);
    }
    /// One clock with everything that a plan may ask for. `ends` is asked before the rising edge;
    /// where it holds and the timestep ends with it, what is read before the edge is read.
    /// @returns what `ends` said
    template <typename Ends>
    bool full_clock(Ends&& ends, bool last) {
        if (plan_.stall_per_65536 > 0)
            for (Strobe& s : strobes_)
                if (s.protocol == Strobe::Protocol::Ready)
                    s.ready.store(random16(7) >= plan_.stall_per_65536);
        tick_low();
        outputs_busy_ = false;
        before_edge_hook();
        sample(false);
        if (four_phase_out_) serve_four_phase(false);
        for (const Taken& t : taken_)
            if (t.valid.test()) note_taken(t.rule, t.index.eval());
        if (!quiet_.empty()) watch_quiet();
        const bool ended = ends();
        if (ended && last)
            for (const Part& p : parts_)
                if (!p.trigger.present && !p.after_edge) read_part(p);
        tick_high();
        sample(true);
        if (four_phase_out_) answer_four_phase();
        after_edge_hook();
        beat();
        return ended;
    }
    template <typename Ends>
    bool full_until(Ends&& ends, bool last = false) {
        for (;;) {
            const bool ended = full_clock(ends, last);
            if (over_limit()) return false;
            if (ended) return true;
        }
    }
    /// An eval before which no input but the clock was written.
    void eval_settled() {
        spikelock_inputs_settled = true;
        evaluate();
        spikelock_inputs_settled = false;
    }
#ifdef SPIKELOCK_CLOCK_BEFORE
    static constexpr bool kFallUnseen = true;  ///< the model does not look at falling edges
    void forget_clock() {
        *clock_ = 0;  // for expressions of the manifest
        model_->rootp->SPIKELOCK_CLOCK_BEFORE = 0;
    }
#else
    static constexpr bool kFallUnseen = false;
    void forget_clock() {}
#endif
#ifdef SPIKELOCK_CLOCK_ALONE
    static constexpr bool kClockAlone = true;  ///< nor at edges of other signals
#else
    static constexpr bool kClockAlone = false;
#endif
    /// A falling edge after a rising one since which no input was written: the model has nothing to
    /// compute, and where it does not look for this edge, it need not see it.
    __attribute__((always_inline)) void fall_settled() {
        if constexpr (kFallUnseen) {
            forget_clock();
        } else {
            *clock_ = 0;
            eval_settled();
        }
        context_.timeInc(1);
    }
    /// A rising edge after a falling one since which no input was written.
    __attribute__((always_inline)) void rise_settled() {
        *clock_ = 1;
        eval_settled();
        context_.timeInc(1);
        ++clocks_;
    }
    /// A clock in which nothing but plain strobes is looked at.
    void fast_clock() {
        tick_low();
        for (std::size_t i = 0; i < n_strobes_; ++i)
            if (__builtin_expect(valid_bits_[i] ? *valid_bits_[i] & 1 : strobes_[i].valid.test(),
                                 0))
                take(strobes_[i]);
        rise_settled();
        beat();
    }
    /// A clock of start-up: nothing is observed.
    void idle_clock() {
        tick_low();
        if (four_phase_out_) serve_four_phase(true);
        tick_high();
        if (four_phase_out_) answer_four_phase();
        if ((clocks_ & 0x3ff) == 0) shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
    }
    __attribute__((always_inline)) void check_simulator() {
        if (__builtin_expect(context_.gotError() || context_.gotFinish(), 0)) simulator_ended();
    }
    __attribute__((noinline, cold)) void simulator_ended() {
        if (stop_) return;
        const bool error = context_.gotError();
        stop_ = std::make_unique<Stop>(Stop{error ? HostEnd::Asserted : HostEnd::Finished,
                                            error ? "" : "the core called $finish"});
    }
    std::unique_ptr<Stop> run_program(const std::vector<Step>& program) {
        for (const Step& step : program) {
            if (step.rule.kind == Step::Kind::Set) {
                step.target.store(step.rule.value);
                evaluate();
            } else if (step.rule.kind == Step::Kind::Clocks) {
                for (std::uint64_t i = 0; i < step.rule.clocks; ++i) idle_clock();
            } else if (step.rule.kind == Step::Kind::Call) {
                call_adapter(step);
            } else {
                step.target.store(step.rule.value);
                idle_clock();
                step.target.store(step.rule.value ? 0 : 1);
                for (std::uint64_t i = 0;; ++i) {
                    if (i >= step.rule.limit)
                        return std::make_unique<Stop>(
                            Stop{HostEnd::Hung, step.rule.text + " did not come within " +
                                                    std::to_string(step.rule.limit) + " clocks"});
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
            stop_ = std::make_unique<Stop>(Stop{
                HostEnd::Hung,
                waiting_for_ + std::string(" within ") + std::to_string(limit_now_) + " clocks"});
        return true;
    }
    void start_limit(std::uint64_t clocks) {
        limit_now_ = clocks;
        deadline_ = clocks > ~0ULL - clocks_ ? ~0ULL : clocks_ + clocks;
    }
    /// Clocks until `watch` holds before a rising edge; false where the core gave up or was given
    /// up. Most of a run is spent here: what a clock needs is in locals, which no store to a signal
    /// can alias.
    bool clock_until(const Expr& watch, bool last) {
        if (full_) return full_until([&] { return watch.test(); }, last);
        if (!watch.bit || n_strobes_ > kFastStrobes || !all_valid_plain_) {
            for (tick_low();; fall_settled()) {
                for (Strobe& s : strobes_)
                    if (s.valid.test()) take(s);
                const bool done = watch.test();
                rise_settled();
                beat();
                if (over_limit()) return false;
                if (done) return true;
            }
        }
        std::uint8_t* const clock = clock_;
        VerilatedContext* const context = &context_;
        const std::uint8_t* const bit = watch.bit;
        const std::uint8_t invert = watch.invert;
        const std::size_t strobes = n_strobes_;
        const std::uint8_t* valid[kFastStrobes];
        for (std::size_t i = 0; i < strobes; ++i) valid[i] = valid_bits_[i];
        std::uint64_t clocks = clocks_;
        std::uint64_t check = std::min(deadline_, clocks + 4096);
        *clock = 0;
        evaluate();
        spikelock_inputs_settled = true;  // until the loop ends: nothing here writes an input
        for (;;) {
            context->timeInc(1);
            for (std::size_t i = 0; i < strobes; ++i)
                if (__builtin_expect(*valid[i] & 1, 0)) take(strobes_[i]);
            const bool done = ((*bit ^ invert) & 1) != 0;
            *clock = 1;
            evaluate();
            context->timeInc(1);
            ++clocks;
            if (done) break;
            if (__builtin_expect(clocks >= check, 0)) {
                clocks_ = clocks;
                shared_->heartbeat.store(clocks, std::memory_order_relaxed);
                check_simulator();
                if (over_limit()) {
                    spikelock_inputs_settled = false;
                    return false;
                }
                check = std::min(deadline_, clocks + 4096);
            }
            if constexpr (kFallUnseen) {
                forget_clock();
            } else {
                *clock = 0;
                evaluate();
            }
        }
        spikelock_inputs_settled = false;
        clocks_ = clocks;
        return !stop_ || !over_limit();
    }
    void clock_once() {
        if (full_)
            full_clock([] { return false; }, false);
        else
            fast_clock();
    }
    /// Whether the core has nothing more to do; asked before each rising edge.
    bool settled() { return settling_.done((!idle_.present || idle_.test()) && !outputs_busy_); }
    bool wait_settled(bool last) {
        waiting_for_ = idle_.present ? "the core did not become idle"
                                     : "the core's signals did not become quiet";
        settling_.begin();
        return full_until([&] { return settled(); }, last);
    }
    bool gap() {
        if (plan_.gap_per_65536 == 0 || random16(11) >= plan_.gap_per_65536) return true;
        const std::uint32_t clocks = 1 + random16(13) % (plan_.gap_max ? plan_.gap_max : 1);
        for (std::uint32_t g = 0; g < clocks; ++g) {
            clock_once();
            if (over_limit()) return false;
        }
        return true;
    }
    bool offer_code(Input& input, std::uint64_t code) {
        waiting_for_ = input.four_phase ? "the core did not acknowledge an input event"
                                        : "the core did not take an input event";
        input.address.store(code);
        input.valid.store(1);
        if (!clock_until(input.ready, false)) return false;
        input.valid.store(0);
        if (!input.four_phase) return true;
        waiting_for_ = "the core did not take back the acknowledge of an input event";
        return full_until([&] { return !input.ready.test(); });
    }
    bool offer(const RunEvent& event) {
        if (event.port >= inputs_.size()) {
            violation("no input port " + std::to_string(event.port));
            return false;
        }
        Input& input = inputs_[event.port];
        if (!input.bits.empty()) return true;  // set at the start
        if (!gap()) return false;
        const std::uint64_t code =
            event.address < input.codes.size() ? input.codes[event.address] : event.address;
        return offer_code(input, code);
    }
    /// Inputs with one bit an axon.
    void set_bits(const RunEvent* events, std::uint32_t count) {
        clear_bits();
        for (std::uint32_t i = 0; i < count; ++i) {
            if (events[i].port >= inputs_.size()) continue;
            const Input& input = inputs_[events[i].port];
            if (input.bits.empty()) continue;
            const Field& bit = input.bits.at(events[i].address);
            if (bit.load() != 0) {
                violation("axon " + std::to_string(events[i].address) +
                          " has two events in one timestep, but only one bit to show them");
                return;
            }
            bit.store(1);
            bits_set_.push_back(&bit);
        }
    }
    void clear_bits() {
        for (const Field* bit : bits_set_) bit->store(0);
        bits_set_.clear();
    }
    void clear_pulses() {
        for (const Input& input : inputs_)
            if (input.pulse)
                for (const Field& bit : input.bits) bit.store(0);
    }
    void run_handshake(const RunEvent* events, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) {
            if (!offer(events[i])) return;
            if (plan_.drain && idle_.present) {
                waiting_for_ = "the core did not become idle";
                if (!clock_until(idle_, false)) return;
            }
        }
        if (idle_.present && count > 0) {
            waiting_for_ = "the core did not become idle";
            if (!clock_until(idle_, false)) return;
        }
        waiting_for_ = "done did not come";
        start_.store(1);
        clock_once();
        start_.store(0);
        if (__builtin_expect(any_pulse_, 0)) clear_pulses();
        if (!clock_until(done_, !four_phase_out_)) return;
        if (__builtin_expect(four_phase_out_, 0)) {
            waiting_for_ = "an output handshake did not end";
            if (!full_until([&] { return !outputs_busy_; }, true)) return;
        }
        read_parts_after();
    }
    bool give_tick() {
        if (plan_.has_tick_event) return offer_code(inputs_.at(plan_.tick_input), plan_.tick_code);
        if (!tick_.data) return true;
        tick_.store(1);
        for (std::uint32_t i = 0; i < plan_.tick_clocks; ++i) {
            clock_once();
            if (over_limit()) return false;
        }
        tick_.store(0);
        return true;
    }
    void run_aer(const RunEvent* events, std::uint32_t count) {
        if (plan_.tick_first && !give_tick()) return;
        if (plan_.tick_first && plan_.settle && count > 0 && !wait_settled(false)) return;
        for (std::uint32_t i = 0; i < count; ++i) {
            if (!offer(events[i])) return;
            if (plan_.drain && !wait_settled(false)) return;
        }
        if (!plan_.tick_first) {
            if (plan_.settle && count > 0 && !plan_.drain && !wait_settled(false)) return;
            if (!give_tick()) return;
        }
        if (!wait_settled(true)) return;
        read_parts_after();
    }
    /// Parts without a trigger that are read after the last edge of a timestep.
    void read_parts_after() {
        for (const Part& p : parts_)
            if (!p.trigger.present && p.after_edge) read_part(p);
    }
    SPIKELOCK_HOT void read_part(const Part& p) {
        Row* const row = row_behind(p.latency);
        if (__builtin_expect(!row, 0)) return;
        if (p.gather == Part::Gather::Moves) {
            for (const Move& move : p.moves) move.go(move, place_of(*row, p.field) + move.offset);
        } else {
            read_irregular(p, *row);
        }
        if (p.shown >= 0) mark_all_shown(*row, static_cast<std::size_t>(p.shown));
    }
    static std::byte* place_of(const Row& row, std::int32_t field) {
        return field < 0 ? reinterpret_cast<std::byte*>(row.spikes)
                         : row.fields[static_cast<std::size_t>(field)];
    }
    SPIKELOCK_HOT void read_irregular(const Part& p, Row& row) {
        const std::uint32_t n = p.end - p.begin;
        if (p.field < 0) {
            for (std::uint32_t i = 0; i < n; ++i) {
                const std::uint64_t fired =
                    p.expressions.empty() ? p.table[i].load() : p.expressions[i].eval();
                if (fired != 0) mark_spike(row, p.begin + i, false);
            }
            return;
        }
        const auto f = static_cast<std::size_t>(p.field);
        const Gathered& o = fields_[f];
        std::byte* const to = row.fields[f];
        switch (p.gather) {
            case Part::Gather::Choices:
                with_word(o.bytes, [&](auto word) {
                    with_word(p.stored, [&](auto stored) {
                        read_choices<decltype(word), decltype(stored)>(p, to);
                    });
                });
                break;
            case Part::Gather::Expressions:
                for (std::uint32_t i = 0; i < n; ++i)
                    put_value(o, to, p.begin + i, p.expressions[i].eval());
                break;
            default:
                for (std::uint32_t i = 0; i < n; ++i)
                    put_value(o, to, p.begin + i, p.table[i].load());
                break;
        }
    }
    /// Calls `with` an unsigned number of that many bytes, for its type.
    template <typename With>
    static void with_word(std::uint32_t bytes, With&& with) {
        switch (bytes) {
            case 1:
                return with(std::uint8_t{});
            case 2:
                return with(std::uint16_t{});
            case 4:
                return with(std::uint32_t{});
            default:
                return with(std::uint64_t{});
        }
    }
    template <typename Word, typename Stored>
    static void read_choices(const Part& p, std::byte* row) {
        std::byte* to = row + p.begin * sizeof(Word);
        for (const Part::Choice& c : p.choices) {
            Stored stored;
            std::memcpy(&stored, c.value, sizeof stored);
            const std::uint64_t value =
                (*c.condition >> c.condition_bit & 1) != 0 ? stored >> c.lsb & p.mask : c.otherwise;
            const auto word = static_cast<Word>((value ^ p.sign) - p.sign);
            std::memcpy(to, &word, sizeof word);
            to += sizeof word;
        }
    }
    /// Rows that the next timestep writes come into the cache while the core computes this one: the
    /// tool used their lines last, on another processor. (What is read comes in order, which the
    /// processor sees by itself.)
    void prefetch_next() {
        constexpr std::uint64_t kLine = 64;
        constexpr std::uint64_t kMost = 64 * kLine;  // the rest, the processor sees coming
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            const std::byte* const row = now_->fields[f] + fields_[f].row_bytes;
            const std::uint64_t bytes = std::min(fields_[f].row_bytes, kMost);
            for (std::uint64_t at = 0; at < bytes; at += kLine) __builtin_prefetch(row + at, 1);
        }
    }
    /// A falling edge of a clocked core.
    /// @param settled    no input was written since the last rising edge
    /// @param rise_only  nobody looks between falling and rising edge, and no input changes there
    __attribute__((always_inline)) void fall(bool& settled, bool rise_only) {
        if (settled) {
            fall_settled();
        } else if (kClockAlone && rise_only) {
            forget_clock();
            context_.timeInc(1);
        } else {
            tick_low();
            settled = true;
        }
    }
    __attribute__((always_inline)) void rise(bool& settled) {
        spikelock_inputs_settled = settled;
        settled = true;
        *clock_ = 1;
        evaluate();
        spikelock_inputs_settled = false;
        context_.timeInc(1);
        ++clocks_;
        if (__builtin_expect((clocks_ & 0x3ff) == 0, 0))
            shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
    }
    /// Timesteps of a clocked core whose rows are plain. Such a core may take so little time that
    /// what surrounds it counts, down to the room that its code takes in the processor's caches:
    /// this is all of it, and it must stay as little as it is.
    SPIKELOCK_HOT void run_plain(std::uint32_t steps) {
        point_row(rows_[0]);
        for (PlainMove& p : plain_moves_) p.to = place_of(rows_[0], p.field) + p.move.offset;
        const bool has_bands = !side_bands_.empty();
        bool settled = false;
        for (; steps > 0; --steps, ++timestep_) {
            shared_->timestep.store(next_row_, std::memory_order_relaxed);
            if (has_bands) {
                apply_side_bands();
                settled = false;
            }
            for (std::uint32_t left = plan_.clocks_per_step; left > 0; --left) {
                fall(settled, true);
                rise(settled);
            }
            for (PlainMove& p : plain_moves_) {
                p.move.go(p.move, p.to);
                p.to += p.move.row_bytes;
            }
            ++ran_;
            check_simulator();
            if (__builtin_expect(stop_ != nullptr, 0)) return;
            block_.header->n_steps += 1;
            ++next_row_;
            --rows_left_;
        }
    }
    /// Timesteps of a clocked core that needs nothing of full_clock().
    SPIKELOCK_HOT void run_clocked(std::uint32_t step, std::uint32_t end) {
        Row& row = rows_[0];
        now_ = &row;
        // Whether nobody looks between falling and rising edge, and no input changes there.
        const bool rise_only = n_strobes_ == 0 && gather_after_edge_;
        bool settled = false;
        const auto read_parts = [&] {
            for (const Part& p : parts_) read_part(p);
        };
        for (; step < end; ++step, ++timestep_) {
            point_row(row);
            reset_row(row);
            prefetch_next();
            shared_->timestep.store(next_row_, std::memory_order_relaxed);
            if (!side_bands_.empty()) {
                apply_side_bands();
                settled = false;
            }
            for (std::uint32_t left = plan_.clocks_per_step; left > 0; --left) {
                fall(settled, rise_only);
                for (std::size_t i = 0; i < n_strobes_; ++i)
                    if (strobes_[i].valid.test()) take(strobes_[i]);
                if (left == 1 && !gather_after_edge_) read_parts();
                rise(settled);
            }
            if (gather_after_edge_) read_parts();
            ++ran_;
            check_simulator();
            if (!stop_ && (!coverage_.empty() || marker_streams_)) finish_row(row);
            if (__builtin_expect(stop_ != nullptr, 0)) return;
            block_.header->n_steps += 1;
            ++next_row_;
            --rows_left_;
        }
    }
    /// Clocks go on whatever the core does, so events have to be taken in time.
    void run_clocked_full(const RunEvent* events, std::uint32_t count) {
        std::uint32_t next = 0;
        Input* waiting = nullptr;
        const auto offer_next = [&] {
            while (!waiting && next < count) {
                Input& input = inputs_.at(events[next].port);
                if (!input.bits.empty()) {
                    ++next;
                    continue;
                }
                if (plan_.gap_per_65536 > 0 && random16(11) < plan_.gap_per_65536) return;
                const std::uint32_t axon = events[next].address;
                input.address.store(axon < input.codes.size() ? input.codes[axon] : axon);
                input.valid.store(1);
                waiting = &input;
            }
        };
        bool releasing = false;
        for (std::uint32_t i = 0; i < plan_.clocks_per_step; ++i) {
            offer_next();
            const bool last = i + 1 == plan_.clocks_per_step;
            bool taken = false;
            full_clock(
                [&] {
                    if (waiting) taken = waiting->ready.test() != releasing;
                    return last;
                },
                true);
            if (i == 0 && any_pulse_) clear_pulses();
            if (waiting && taken) {
                if (!releasing) waiting->valid.store(0);
                releasing = waiting->four_phase && !releasing;
                if (!releasing) {
                    waiting = nullptr;
                    ++next;
                }
            }
            if (stop_) return;
        }
        offer_next();  // skips what needs no handshake
        if (next < count)
            violation("the core took " + std::to_string(next) + " of " + std::to_string(count) +
                      " input events in the " + std::to_string(plan_.clocks_per_step) +
                      " clocks of the timestep");
        read_parts_after();
    }
    static SPIKELOCK_HOT void scatter_row(const SideBandTarget& band, const std::byte* from) {
        for (std::uint32_t i = 0; i < band.width; ++i) {
            std::uint64_t value = 0;
            std::memcpy(&value, from + static_cast<std::size_t>(i) * band.element_bytes,
                        band.element_bytes);
            band.table[i].store(value);
        }
    }
    /// From here on apply_side_bands() takes one row after the other.
    /// @param rows  of the side bands, of `n_steps` timesteps
    void point_side_bands(const std::byte* rows, std::uint32_t n_steps) {
        for (SideBandTarget& band : side_bands_) {
            band.next = rows;
            rows += align_up(band.row_bytes * n_steps, 8);
        }
    }
    static constexpr std::uint64_t kPrefetchRows = 4;
    void apply_side_bands() {
        for (SideBandTarget& band : side_bands_) {
            // A later one, since the tool has just written it, on another processor.
            const std::byte* const later = band.next + kPrefetchRows * band.row_bytes;
            SPIKELOCK_SMALL_LOOP
            for (std::uint64_t at = 0; at < band.row_bytes; at += 64)
                __builtin_prefetch(later + at);
            if (band.copy_to) {
                band.copy.from = reinterpret_cast<const std::uint8_t*>(band.next);
                band.copy.go(band.copy, band.copy_to);
            } else {
                scatter_row(band, band.next);
            }
            band.next += band.row_bytes;
        }
    }

    // ---- rows and blocks
    bool open_block(std::uint32_t capacity, std::uint64_t spikes_listed,
                    std::uint64_t taken_listed) {
        const std::uint64_t spike_bytes = align_up(8 * spike_words_ * capacity);
        std::uint64_t bytes = sizeof(BlockHeader) + spike_bytes;
        for (const Gathered& o : fields_) bytes += align_up(o.row_bytes * capacity);
        if (counts_) bytes += align_up(2ULL * neurons_ * capacity);
        if (events_) bytes += align_up(sizeof(ListedSpike) * spikes_listed);
        if (plan_.order) bytes += align_up(sizeof(ListedTaken) * taken_listed);
        if (align_up(kAlign + bytes) > out_.size() / 2) return false;
        std::byte* to = reserve(Msg::Block, bytes);
        block_.header = reinterpret_cast<BlockHeader*>(to);
        *block_.header = {};
        block_.header->first = next_row_;
        block_.header->capacity = capacity;
        block_.header->spike_capacity = events_ ? static_cast<std::uint32_t>(spikes_listed) : 0;
        block_.header->taken_capacity = plan_.order ? static_cast<std::uint32_t>(taken_listed) : 0;
        shared_->open_block.store(out_.reserved_at() + 1, std::memory_order_release);
        block_.spikes = reinterpret_cast<std::uint64_t*>(to + sizeof(BlockHeader));
        to += sizeof(BlockHeader) + spike_bytes;
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            block_.fields[f] = to;
            to += align_up(fields_[f].row_bytes * capacity);
        }
        if (counts_) {
            block_.counts = reinterpret_cast<std::uint16_t*>(to);
            to += align_up(2ULL * neurons_ * capacity);
        }
        if (events_) {
            block_.listed = reinterpret_cast<ListedSpike*>(to);
            to += align_up(sizeof(ListedSpike) * spikes_listed);
        }
        if (plan_.order) block_.taken = reinterpret_cast<ListedTaken*>(to);
        return true;
    }
    /// A block for what is left of the request; fewer timesteps where it would not fit in the ring.
    /// @returns false where not even one does
    bool open_block_for(std::uint64_t spikes_listed, std::uint64_t taken_listed) {
        for (std::uint32_t steps = rows_left_;; steps = (steps + 1) / 2) {
            const std::uint64_t more = kListedPerStep * steps + kListedPerBlock;
            if (open_block(steps, spikes_listed + more, taken_listed + more)) return true;
            if (steps <= 1) return false;
        }
    }
    void open_request(std::uint32_t rows) {
        rows_left_ = rows;
        if (!open_block_for(0, 0)) throw std::string("one timestep does not fit in the ring");
    }
    void close_block() {
        block_.header->clock = clocks_;
        shared_->heartbeat.store(clocks_, std::memory_order_relaxed);
        publish();
        shared_->open_block.store(0, std::memory_order_release);
    }
    /// The row follows the next free one of the block.
    void point_row(Row& row) const {
        const std::uint64_t at = block_.header->n_steps;
        row.spikes = block_.spikes + at * spike_words_;
        for (std::size_t f = 0; f < fields_.size(); ++f)
            row.fields[f] = block_.fields[f] + at * fields_[f].row_bytes;
        if (counts_) row.counts = block_.counts + at * neurons_;
    }
    void copy_row(const Row& row) const {
        const std::uint64_t at = block_.header->n_steps;
        std::memcpy(block_.spikes + at * spike_words_, row.spikes, 8 * spike_words_);
        for (std::size_t f = 0; f < fields_.size(); ++f)
            std::memcpy(block_.fields[f] + at * fields_[f].row_bytes, row.fields[f],
                        fields_[f].row_bytes);
        if (counts_) std::memcpy(block_.counts + at * neurons_, row.counts, 2ULL * neurons_);
    }
    /// A timestep with more events than the block has room for begins a block of its own.
    void move_to_new_block(Row& row) {
        Row kept;
        if (lag_ == 0) {  // the row's memory is the block's
            give_storage(kept);
            std::memcpy(kept.spikes, row.spikes, 8 * spike_words_);
            for (std::size_t f = 0; f < fields_.size(); ++f)
                std::memcpy(kept.fields[f], row.fields[f], fields_[f].row_bytes);
            if (counts_) std::memcpy(kept.counts, row.counts, 2ULL * neurons_);
        }
        close_block();
        if (!open_block_for(row.listed.size(), row.taken.size())) {
            (void)open_block_for(0, 0);
            violation("one timestep has " + std::to_string(row.listed.size()) + " spikes and " +
                      std::to_string(row.taken.size()) +
                      " taken events, which do not fit in the ring between tool and core");
            return;
        }
        if (lag_ == 0) {
            copy_row(kept);
            point_row(row);
        }
    }
    void emit_row(Row& row) {
        if (lag_ > 0) make_room();
        if (events_ || plan_.order) {
            if (block_.header->n_spikes + row.listed.size() > block_.header->spike_capacity ||
                block_.header->n_taken + row.taken.size() > block_.header->taken_capacity)
                move_to_new_block(row);
            if (stop_) return;
            BlockHeader* const header = block_.header;
            for (const Row::Spike& spike : row.listed)
                block_.listed[header->n_spikes++] = {header->n_steps, spike.neuron, spike.clock};
            for (const Row::Event& taken : row.taken)
                block_.taken[header->n_taken++] = {header->n_steps, taken.address, taken.port};
        }
        if (lag_ > 0) copy_row(row);
        block_.header->n_steps += 1;
        ++next_row_;
        --rows_left_;
    }
    /// Long lists make blocks shorter than was asked for: the next row may need a new one.
    void make_room() {
        if (block_.header->n_steps < block_.header->capacity) return;
        close_block();
        (void)open_block_for(0, 0);
    }
    /// Runs one timestep of the core; with latencies this is a later one than the row that gets
    /// complete by it.
    void run_timestep(const RunEvent* events, std::uint32_t count) {
        Row& row = row_at(timestep_);
        now_ = &row;
        start_limit(plan_.limit_clocks);
        if (any_bits_) set_bits(events, count);
        if (!stop_) {
            switch (kind()) {
                case Kind::Handshake:
                    run_handshake(events, count);
                    break;
                case Kind::Clocked:
                    run_clocked_full(events, count);
                    break;
                case Kind::Aer:
                    run_aer(events, count);
                    break;
                case Kind::Custom:
                    run_custom(events, count);
                    break;
            }
        }
        ++ran_;
        check_simulator();
    }
    void begin_timestep() {
        Row& row = row_at(timestep_);
        if (lag_ == 0) {
            make_room();
            point_row(row);
        }
        reset_row(row);
        now_ = &row;
        shared_->timestep.store(next_row_, std::memory_order_relaxed);
        step_clock_ = clocks_;
    }
    void end_timestep() {
        if (stop_ || timestep_ < epoch_ + lag_) return;
        Row& row = row_at(timestep_ - lag_);
        if (!coverage_.empty() || marker_streams_) finish_row(row);
        if (!stop_) emit_row(row);
    }
    /// Timesteps without input, so that what is shown late can be seen.
    void drain_rows() {
        for (const SideBandTarget& band : side_bands_)
            for (const Field& f : band.table) f.store(0);
        const std::uint64_t from = timestep_;
        for (std::uint32_t k = 0; k < lag_ && !stop_; ++k) {
            timestep_ = from + k;
            begin_timestep();
            run_timestep(nullptr, 0);
            end_timestep();
        }
        timestep_ = from;
    }
    /// Brings the core to the start state of a sample; what it shows late belongs to the one
    /// before.
    void begin_sample(std::uint32_t state) {
        if (lag_ > 0 && timestep_ > epoch_) drain_rows();
        const auto program = programs_.find(state == 1 ? "clear" : "state_reset");
        if (stop_) return;
        if (program == programs_.end()) {
            violation("the manifest does not say how to bring the core to this start state");
            return;
        }
        start_epoch();
        stop_ = run_program(program->second);
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

        timestep_ = header.first;
        if (!running_) {
            running_ = true;
            next_row_ = header.first;
            start_epoch();
        }
        open_request(header.n_steps + lag_);
        point_side_bands(at, header.n_steps);
        std::uint32_t begin = 0;
        for (std::uint32_t step = 0; step < header.n_steps; ++step) {
            timestep_ = header.first + step;
            if (begin < header.n_begins && begins[2 * begin] == step) {
                const std::uint32_t state = begins[2 * begin + 1];
                ++begin;
                if (state != 0) begin_sample(state);
            }
            if (stop_) break;
            if (kind() == Kind::Clocked && !full_) {
                const std::uint32_t end =
                    begin < header.n_begins ? begins[2 * begin] : header.n_steps;
                if (plain_rows_)
                    run_plain(end - step);
                else
                    run_clocked(step, end);
                if (stop_) break;
                step = end - 1;
                continue;
            }
            begin_timestep();
            if (!stop_) {
                apply_side_bands();
                bands_at_ = at;
                bands_step_ = step;
                bands_steps_ = header.n_steps;
                run_timestep(events + event_begin[step], event_begin[step + 1] - event_begin[step]);
            }
            end_timestep();
            if (stop_) break;
        }
        close_block();
        if (stop_) {
            end(*stop_);
            dead_ = true;
        }
    }
    void drain() {
        ++timestep_;
        open_request(lag_ + 1);
        bands_steps_ = 0;
        drain_rows();
        close_block();
        if (stop_) {
            end(*stop_);
            dead_ = true;
        }
    }

#ifdef SPIKELOCK_WITH_ADAPTER
    // ---- the adapter
    class AdapterBench final : public spikelock::adapter::Bench {
    public:
        explicit AdapterBench(Host& host) : Bench(*host.model_), host_(host) {}
        void clock(std::uint64_t clocks) override {
            for (std::uint64_t i = 0; i < clocks; ++i) {
                if (host_.in_timestep_)
                    host_.full_clock([] { return false; }, false);
                else
                    host_.adapter_idle_clock();
                if (host_.over_limit()) throw Stopped();
            }
        }
        void eval() override {
            dut.eval();
            host_.context_.timeInc(1);
        }
        std::uint64_t clocks() const override { return host_.clocks_; }
        void spike(std::uint32_t neuron) override {
            if (!host_.in_timestep_) return;
            check(neuron);
            host_.mark_spike(*host_.now_, neuron, host_.plan_.adapter_counts);
            stop();
        }
        spikelock::adapter::Field field(std::string_view name) override {
            const auto found = host_.given_.find(std::string(name));
            if (found == host_.given_.end())
                fail("the adapter gives field '" + std::string(name) +
                     "', but no [[observe]] has that field with source = \"adapter\"");
            handles_.push_back(found->second);
            return static_cast<spikelock::adapter::Field>(handles_.size() - 1);
        }
        void value(spikelock::adapter::Field field, std::uint32_t neuron,
                   std::int64_t value) override {
            if (!host_.in_timestep_) return;
            check(neuron);
            const auto [f, shown] = handles_.at(static_cast<std::size_t>(field));
            const Gathered& o = host_.fields_[f];
            const std::int64_t low = o.is_signed ? -(std::int64_t{1} << (o.bits - 1)) : 0;
            const std::int64_t high =
                o.is_signed ? -(low + 1) : static_cast<std::int64_t>((1ULL << o.bits) - 1);
            if (o.bits < 63 && (value < low || value > high))
                fail("the adapter gives " + std::to_string(value) + " for " + o.name +
                     " of neuron " + std::to_string(neuron) + ", which has " +
                     std::to_string(o.bits) + " bits");
            host_.mark_shown(*host_.now_, shown, neuron);
            host_.put_value(o, host_.now_->fields[f], neuron, static_cast<std::uint64_t>(value));
            stop();
        }
        void took(std::uint32_t axon, std::uint16_t port) override {
            if (host_.in_timestep_ && host_.plan_.order) host_.now_->taken.push_back({axon, port});
        }
        void took_internal(std::uint32_t neuron) override {
            if (host_.in_timestep_ && host_.plan_.order)
                host_.now_->taken.push_back({neuron, 0xffff});
        }
        void took_tick() override {
            if (host_.in_timestep_ && host_.plan_.order) host_.now_->taken.push_back({0, 0xfffe});
        }
        spikelock::adapter::Signal signal(std::string_view name) override {
            try {
                signals_.push_back(host_.find(std::string(name)));
            } catch (const std::string& what) {
                fail(what + "; is it in [adapter] signals or writes?");
            }
            const auto& writes = host_.plan_.adapter_writes;
            writable_.push_back(std::find(writes.begin(), writes.end(), name) != writes.end());
            const Signal& s = signals_.back();
            if (s.words == 1) set_place(signals_.size() - 1, s.data, std::min(s.word_bytes, 8U));
            return static_cast<spikelock::adapter::Signal>(signals_.size() - 1);
        }
        std::uint64_t bits(spikelock::adapter::Signal signal, std::uint32_t word, std::uint32_t lsb,
                           std::uint32_t width) const override {
            return bits_of(signal, word, lsb, width).load();
        }
        void set(spikelock::adapter::Signal signal, std::uint64_t value, std::uint32_t word,
                 std::uint32_t lsb, std::uint32_t width) override {
            if (!writable_.at(static_cast<std::size_t>(signal)))
                fail("the adapter sets " + signals_[static_cast<std::size_t>(signal)].name +
                     ", which is not in [adapter] writes");
            bits_of(signal, word, lsb, width).store(value);
        }
        bool drain() const override { return host_.plan_.drain; }
        void gap() override {
            if (!host_.gap()) throw Stopped();
        }
        bool stall() override {
            return host_.random16(19 + ++drawn_ * 64) < host_.plan_.stall_per_65536;
        }
        std::uint32_t random(std::uint32_t below) override {
            const std::uint64_t lane = 23 + ++drawn_ * 64;
            return static_cast<std::uint32_t>(
                (std::uint64_t{host_.random16(lane)} << 16 | host_.random16(lane + 1)) %
                (below ? below : 1));
        }
        std::uint32_t neurons() const override { return host_.neurons_; }
        std::uint32_t axons() const override { return host_.plan_.axons; }
        std::string option(std::string_view name, std::string fallback) const override {
            const auto found = host_.plan_.options.find(std::string(name));
            return found == host_.plan_.options.end() ? std::move(fallback) : found->second;
        }
        [[noreturn]] void fail(const std::string& text) override {
            host_.violation(text);
            throw Stopped();
        }
        void begin_timestep() { drawn_ = 0; }

    protected:
        const char* wait_text(const char* text) override {
            const char* const before = host_.waiting_for_;
            host_.waiting_for_ = text;
            return before;
        }

    private:
        void stop() const {
            if (host_.stop_) throw Stopped();
        }
        void check(std::uint32_t neuron) {
            if (neuron >= host_.neurons_)
                fail("the adapter gives neuron " + std::to_string(neuron) + ", but there are " +
                     std::to_string(host_.neurons_));
        }
        Field bits_of(spikelock::adapter::Signal signal, std::uint32_t word, std::uint32_t lsb,
                      std::uint32_t width) const {
            const Signal& s = signals_.at(static_cast<std::size_t>(signal));
            return host_.field_of(s, word, lsb, width ? width : std::min(64U, s.bits - lsb));
        }
        Host& host_;
        std::vector<std::pair<std::uint32_t, std::uint32_t>> handles_;
        std::vector<Signal> signals_;
        std::vector<bool> writable_;  // by place in signals_
        std::uint64_t drawn_ = 0;
    };

    void make_adapter() {
        adapter_.reset(spikelock_make_adapter());
        bench_ = std::make_unique<AdapterBench>(*this);
    }
    void before_edge_hook() {
        if (hooks_) adapter_->before_edge(*bench_);
    }
    void after_edge_hook() {
        if (hooks_) adapter_->after_edge(*bench_);
    }
    /// A clock of a start-up hook: nothing is observed, but the adapter may serve its handshakes.
    void adapter_idle_clock() {
        tick_low();
        before_edge_hook();
        if (four_phase_out_) serve_four_phase(true);
        tick_high();
        if (four_phase_out_) answer_four_phase();
        after_edge_hook();
        beat();
    }
    /// Calls into the adapter; what it throws ends the run.
    template <typename Call>
    void guarded(const std::string& what, Call&& call) {
        hooks_ = true;
        try {
            call();
        } catch (const Stopped&) {
            if (!stop_) violation("the adapter's " + what + " was left without a reason");
        } catch (const std::string& error) {
            violation("the adapter's " + what + ": " + error);
        } catch (const std::exception& error) {
            violation("the adapter's " + what + " threw: " + error.what());
        }
        hooks_ = false;
    }
    void call_adapter(const Step& step) {
        start_limit(step.rule.limit);
        waiting_for_ = "the adapter's call() did not end";
        guarded("call(\"" + step.rule.text + "\")",
                [&] { adapter_->call(*bench_, step.rule.text); });
    }
    void run_custom(const RunEvent* events, std::uint32_t count) {
        spikelock::adapter::Timestep t;
        t.number = timestep_;
        for (std::uint32_t i = 0; i < count; ++i)
            t.events.push_back({events[i].address, events[i].port, events[i].payload});
        const std::byte* at = bands_at_;
        for (const SideBandTarget& band : side_bands_) {
            const std::uint64_t row = band.row_bytes;
            spikelock::adapter::Band b{band.name, std::vector<std::int32_t>(band.width)};
            for (std::uint32_t i = 0; i < band.width && bands_steps_ > 0; ++i) {
                std::uint64_t value = 0;
                std::memcpy(&value, at + row * bands_step_ + std::uint64_t{i} * band.element_bytes,
                            band.element_bytes);
                const unsigned unused = 64 - 8 * band.element_bytes;
                b.values[i] =
                    static_cast<std::int32_t>(static_cast<std::int64_t>(value << unused) >> unused);
            }
            at += align_up(row * bands_steps_, 8);
            t.bands.push_back(std::move(b));
        }
        in_timestep_ = true;
        bench_->begin_timestep();
        waiting_for_ = "the adapter's step() did not end";
        guarded("step()", [&] { adapter_->step(*bench_, t); });
        in_timestep_ = false;
        if (!stop_)
            for (const Part& p : parts_)
                if (!p.trigger.present) read_part(p);
    }
    bool adapter_writes(const Word* words, std::size_t count) {
        for (std::size_t i = 0; i < count && !stop_; ++i) {
            start_limit(plan_.limit_clocks);
            waiting_for_ = "the adapter's write() did not end";
            guarded("write()", [&] { adapter_->write(*bench_, words[i].address, words[i].data); });
        }
        return true;
    }
    bool adapter_reads(const std::uint64_t* addresses, std::vector<std::uint64_t>& values) {
        for (std::size_t i = 0; i < values.size() && !stop_; ++i) {
            start_limit(plan_.limit_clocks);
            waiting_for_ = "the adapter's read() did not end";
            guarded("read()", [&] { values[i] = adapter_->read(*bench_, addresses[i]); });
        }
        return true;
    }
    bool adapter_can_read() const { return adapter_ && adapter_->can_read(); }
    std::unique_ptr<spikelock::adapter::Adapter> adapter_;
    std::unique_ptr<AdapterBench> bench_;
    bool hooks_ = false;
#else
    void make_adapter() {}
    void before_edge_hook() {}
    void after_edge_hook() {}
    void call_adapter(const Step&) { violation("this host was built without an adapter"); }
    void run_custom(const RunEvent*, std::uint32_t) {
        violation("this host was built without an adapter");
    }
    bool adapter_writes(const Word*, std::size_t) { return false; }
    bool adapter_reads(const std::uint64_t*, std::vector<std::uint64_t>&) { return false; }
    bool adapter_can_read() const { return false; }
#endif

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
                    std::fflush(stdout);  // what initial blocks printed
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
                    if (!config_write_.data) {
                        adapter_writes(words, record.bytes / sizeof(Word));
                        done_or_end();
                        break;
                    }
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
                    if (!config_write_.data) {
                        if (!adapter_can_read()) values.clear();  // "I cannot"
                        adapter_reads(addresses, values);
                        if (stop_)
                            done_or_end();
                        else
                            data(values);
                        break;
                    }
                    for (std::size_t i = 0; i < count; ++i) {
                        config_address_.store(addresses[i]);
                        for (std::uint32_t c = 0; c < plan_.config_read_latency; ++c) idle_clock();
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
                    settle();
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
                case Msg::Drain:
                    drain();
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
    plan::Plan plan_;
    std::uint8_t* clock_ = nullptr;
    std::vector<ExtraClock> extra_clocks_;
    std::vector<std::vector<Edges>> before_rise_;  // per period of the main clock
    std::vector<Edges> at_rise_;
    Field config_write_;
    Field config_address_;
    Field config_data_;
    Field config_rdata_;
    // how a timestep goes
    plan::Settling settling_;
    Field start_;
    Expr done_;
    Expr idle_;
    Field tick_;
    std::vector<Field> quiet_;
    std::vector<std::uint64_t> quiet_before_;
    std::vector<Input> inputs_;
    bool any_bits_ = false;
    bool any_pulse_ = false;
    std::vector<const Field*> bits_set_;
    std::vector<SideBandTarget> side_bands_;
    // what is observed
    std::vector<Part> parts_;
    std::vector<Strobe> strobes_;
    std::vector<Taken> taken_;
    std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> given_;  // field, coverage
    // of all that, whether the plain paths will do
    bool full_ = false;
    bool four_phase_out_ = false;
    bool marker_streams_ = false;
    bool gather_after_edge_ = true;
    struct PlainMove {
        Move move;
        std::int32_t field;
        std::byte* to;  // in the row that is filled next
    };
    bool plain_rows_ = false;
    std::vector<PlainMove> plain_moves_;  // of all parts
    std::size_t n_strobes_ = 0;
    static constexpr std::size_t kFastStrobes = 4;
    bool all_valid_plain_ = true;
    std::vector<const std::uint8_t*>
        valid_bits_;  // of strobes whose valid is a plain bit, else null
    // state of the run
    OpenBlock block_;
    std::uint32_t rows_left_ = 0;
    static constexpr std::uint64_t kListedPerStep = 4;
    static constexpr std::uint64_t kListedPerBlock = 64;
    bool running_ = false;
    std::uint64_t step_clock_ = 0;
    std::uint64_t deadline_ = 0;
    std::uint64_t limit_now_ = 0;
    const char* waiting_for_ = "";
    bool outputs_busy_ = false;
    bool in_timestep_ = false;
    const std::byte* bands_at_ = nullptr;
    std::uint32_t bands_step_ = 0;
    std::uint32_t bands_steps_ = 0;
    bool dead_ = false;
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

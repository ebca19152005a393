// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/waves/wave_source.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

namespace spikelock::bridge::waves {
namespace {

using trace::BlockView;
using trace::EndKind;
using trace::SourceEnd;
using vcd::Change;
using vcd::Decoded;

constexpr std::uint64_t kAll = ~std::uint64_t{0};

/// A four-state number as in VPI: a bit is unknown (x or z) where `unknown` has it.
struct Four {
    std::uint64_t value = 0;
    std::uint64_t unknown = 0;

    bool known() const noexcept { return unknown == 0; }
    bool is_true() const noexcept { return (value & ~unknown) != 0; }
    bool is_false() const noexcept { return value == 0 && unknown == 0; }
};

std::uint64_t low_mask(std::uint32_t bits) noexcept {
    return bits >= 64 ? kAll : (std::uint64_t{1} << bits) - 1;
}

/// A field brought down to words of the state.
struct Place {
    std::uint32_t word = 0;
    std::uint8_t shift = 0;
    bool two_words = false;
    std::uint64_t mask = 1;
};

/// What is in force: every selected signal, in words of its own.
class State {
public:
    /// @returns first word of a signal of that many bits
    std::uint32_t add(std::uint32_t bits) {
        const auto first = static_cast<std::uint32_t>(value_.size());
        value_.resize(value_.size() + (std::size_t{bits} + 63) / 64, 0);
        // Nothing is known before the first change.
        unknown_.resize(value_.size(), kAll);
        return first;
    }
    Four load(const Place& p) const noexcept {
        std::uint64_t value = value_[p.word] >> p.shift;
        std::uint64_t unknown = unknown_[p.word] >> p.shift;
        if (p.two_words) {
            value |= value_[p.word + 1] << (64 - p.shift);
            unknown |= unknown_[p.word + 1] << (64 - p.shift);
        }
        return {value & p.mask, unknown & p.mask};
    }
    void store(const Place& p, std::uint64_t value, std::uint64_t unknown) noexcept {
        const std::uint64_t mask = p.mask << p.shift;
        value_[p.word] = (value_[p.word] & ~mask) | (value << p.shift);
        unknown_[p.word] = (unknown_[p.word] & ~mask) | (unknown << p.shift);
        if (!p.two_words) return;
        const std::uint64_t high = p.mask >> (64 - p.shift);
        value_[p.word + 1] = (value_[p.word + 1] & ~high) | (value >> (64 - p.shift));
        unknown_[p.word + 1] = (unknown_[p.word + 1] & ~high) | (unknown >> (64 - p.shift));
    }

private:
    std::vector<std::uint64_t> value_;
    std::vector<std::uint64_t> unknown_;
};

/// An expression over the state; mostly one field.
class Program {
public:
    Program() = default;
    Program(const Expr& e, const std::vector<Place>& places) {
        for (std::size_t i = 0; i < e.code.size(); ++i)
            code_.push_back({e.code[i].op, e.code[i].value, places[i]});
    }
    bool empty() const noexcept { return code_.empty(); }
    bool simple() const noexcept { return code_.size() == 1 && code_[0].op == Expr::Op::Load; }
    Four eval(const State& state) const noexcept {
        if (__builtin_expect(simple(), 1)) return state.load(code_[0].place);
        return run(state);
    }

private:
    struct Code {
        Expr::Op op;
        std::uint64_t value;
        Place place;
    };
    static Four truth(bool sure, bool value) noexcept {
        return {static_cast<std::uint64_t>(value), sure ? std::uint64_t{0} : std::uint64_t{1}};
    }
    static Four number(Four a, Four b, std::uint64_t result) noexcept {
        return a.known() && b.known() ? Four{result, 0} : Four{0, kAll};
    }
    static Four compare(Four a, Four b, bool result) noexcept {
        return truth(a.known() && b.known(), result && a.known() && b.known());
    }
    static Four binary(Expr::Op op, Four a, Four b) noexcept {
        using Op = Expr::Op;
        const std::uint64_t x = a.value;
        const std::uint64_t y = b.value;
        switch (op) {
            case Op::Add:
                return number(a, b, x + y);
            case Op::Sub:
                return number(a, b, x - y);
            case Op::Mul:
                return number(a, b, x * y);
            case Op::Div:
                return number(a, b, y != 0 ? x / y : 0);
            case Op::Mod:
                return number(a, b, y != 0 ? x % y : 0);
            case Op::And: {
                const std::uint64_t zero = (~x & ~a.unknown) | (~y & ~b.unknown);
                return {x & y & ~zero, (a.unknown | b.unknown) & ~zero};
            }
            case Op::Or: {
                const std::uint64_t one = (x & ~a.unknown) | (y & ~b.unknown);
                return {x | y, (a.unknown | b.unknown) & ~one};
            }
            case Op::Xor:
                return {x ^ y, a.unknown | b.unknown};
            case Op::Shl:
                if (!b.known()) return {0, kAll};
                return y > 63 ? Four{} : Four{x << y, a.unknown << y};
            case Op::Shr:
                if (!b.known()) return {0, kAll};
                return y > 63 ? Four{} : Four{x >> y, a.unknown >> y};
            case Op::Eq:
            case Op::Ne: {
                // One pair of known bits that differ decides.
                const bool differ = ((x ^ y) & ~a.unknown & ~b.unknown) != 0;
                const bool sure = differ || (a.known() && b.known());
                return truth(sure, sure && (differ == (op == Op::Ne)));
            }
            case Op::Lt:
                return compare(a, b, x < y);
            case Op::Le:
                return compare(a, b, x <= y);
            case Op::Gt:
                return compare(a, b, x > y);
            case Op::Ge:
                return compare(a, b, x >= y);
            case Op::LogicAnd:
                if (a.is_false() || b.is_false()) return {};
                return truth(a.is_true() && b.is_true(), true);
            case Op::LogicOr:
                if (a.is_true() || b.is_true()) return {1, 0};
                return truth(a.is_false() && b.is_false(), false);
            default:
                return {0, kAll};
        }
    }
    __attribute__((noinline)) Four run(const State& state) const noexcept {
        using Op = Expr::Op;
        Four stack[Expr::kMostCodes];
        std::size_t top = 0;
        for (const Code& c : code_) {
            switch (c.op) {
                case Op::Const:
                    stack[top++] = {c.value, 0};
                    break;
                case Op::Load:
                    stack[top++] = state.load(c.place);
                    break;
                case Op::LogicNot: {
                    Four& a = stack[top - 1];
                    a = truth(a.is_true() || a.is_false(), a.is_false());
                    break;
                }
                case Op::Not:
                    stack[top - 1].value = ~stack[top - 1].value;
                    break;
                case Op::Neg: {
                    Four& a = stack[top - 1];
                    a = number(a, a, 0 - a.value);
                    break;
                }
                case Op::Select: {
                    top -= 2;
                    Four& a = stack[top - 1];
                    const Four yes = stack[top];
                    const Four no = stack[top + 1];
                    if (a.is_true()) {
                        a = yes;
                    } else if (a.is_false()) {
                        a = no;
                    } else {
                        a = {yes.value & no.value,
                             yes.unknown | no.unknown | (yes.value ^ no.value)};
                    }
                    break;
                }
                default: {
                    const Four b = stack[--top];
                    stack[top - 1] = binary(c.op, stack[top - 1], b);
                    break;
                }
            }
        }
        return stack[0];
    }

    std::vector<Code> code_;
};

std::string bits_text(Four value, std::uint32_t width) {
    std::string text;
    for (std::uint32_t i = std::min(width, 64U); i-- > 0;) {
        const bool v = (value.value >> i & 1) != 0;
        text += (value.unknown >> i & 1) != 0 ? (v ? 'x' : 'z') : (v ? '1' : '0');
    }
    return text;
}

class Source : public WaveSource {
public:
    Source(std::unique_ptr<vcd::Reader> reader, ObservationMap map, const WaveOptions& options)
        : reader_(std::move(reader)), map_(std::move(map)), options_(options) {
        std::vector<std::uint32_t> selected;
        targets_.resize(reader_->header().signals.size());
        for (const WaveSignal& signal : map_.signals) {
            const std::uint32_t word = state_.add(signal.bits);
            first_word_.push_back(word);
            for (const WaveSignal::Part& part : signal.parts) {
                targets_[part.source].push_back({word, part.lsb, part.bits});
                selected.push_back(part.source);
            }
        }
        reader_->select(selected);
        clock_ = place(map_.clock);
        clock_signal_ = map_.signals[map_.clock.signal].parts[0].source;
        if (map_.handshake) {
            start_ = place(map_.start);
            done_ = program(map_.done);
        }
        for (const std::vector<Expr>& field : map_.gather) gather_.push_back(programs(field));
        spikes_ = programs(map_.spikes);
        for (const Stream& s : map_.streams) {
            StreamState& to = streams_.emplace_back();
            to.valid = program(s.valid);
            to.index = program(s.index);
            if (s.has_ready) to.ready = place(s.ready);
            for (const Stream::Value& value : s.values) to.values.push_back(program(value.value));
        }
        for (std::size_t list = 0; list < 2; ++list) {
            for (const ProgramStep& step : list == 0 ? map_.startup : map_.clear) {
                StepState& to = lists_[list].emplace_back();
                to.step = &step;
                if (step.kind != ProgramStep::Kind::Clocks) to.place = place(step.field);
                if (!step.until.empty()) to.until = program(step.until);
            }
        }
        const trace::Shape& shape = map_.shape;
        words_ = shape.spike_words();
        row_spikes_.assign(words_, 0);
        row_fields_.resize(shape.fields.size());
        row_masks_.resize(shape.fields.size());
        for (std::size_t f = 0; f < shape.fields.size(); ++f)
            row_fields_[f].resize(static_cast<std::size_t>(shape.fields[f].bytes) *
                                  shape.n_neurons);
        out_.fields.resize(shape.fields.size());
        out_.masks.resize(shape.fields.size());
        clear_row();
        if (map_.handshake || options_.first_time) started_ = map_.handshake;
        if (!map_.handshake && map_.startup.empty() && !options_.first_time) started_ = true;
    }

    const trace::Shape& shape() const override { return map_.shape; }
    Status submit(const trace::StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return 0; }
    std::span<const trace::Sample> samples() const override { return samples_; }
    std::span<const Unknown> unknowns() const override { return unknowns_; }
    std::uint64_t n_unknowns() const override { return n_unknowns_; }
    std::uint64_t clocks() const override { return clocks_; }
    const vcd::Reader& reader() const override { return *reader_; }

    Result<std::variant<BlockView, SourceEnd>> read(std::uint32_t max_steps) override {
        out_.spikes.clear();
        out_.valid.clear();
        for (std::vector<std::byte>& field : out_.fields) field.clear();
        for (std::vector<std::uint64_t>& mask : out_.masks) mask.clear();
        out_.steps = 0;
        out_.first = timestep_;
        // Small blocks keep the rows in the cache of whoever compares them.
        wanted_ = std::min(max_steps, 1024U);
        if (failed_) return *failed_;
        while (out_.steps < wanted_ && !end_) {
            if (at_ == batch_.size()) {
                if (Status s = refill(); !s) {
                    failed_ = s.error();
                    break;
                }
                continue;
            }
            if (Status s = consume(); !s) {
                failed_ = s.error();
                break;
            }
        }
        if (out_.steps == 0) {
            if (failed_) return *failed_;
            return std::variant<BlockView, SourceEnd>(*end_);
        }
        return std::variant<BlockView, SourceEnd>(view());
    }

private:
    struct Target {
        std::uint32_t word = 0;
        std::uint32_t lsb = 0;
        std::uint32_t bits = 0;
    };
    struct StreamState {
        Program valid;
        Program index;
        Place ready;
        std::vector<Program> values;
        std::uint32_t seen = 0;
    };
    struct StepState {
        const ProgramStep* step = nullptr;
        Place place{};
        Program until;
    };
    /// A change that comes into force when its time is over.
    struct Pending {
        Place place;
        std::uint64_t value = 0;
        std::uint64_t unknown = 0;
    };
    struct Rows {
        std::uint64_t first = 0;
        std::uint32_t steps = 0;
        std::vector<std::uint64_t> spikes;
        std::vector<std::uint8_t> valid;
        std::vector<std::vector<std::byte>> fields;
        std::vector<std::vector<std::uint64_t>> masks;
    };

    // ---- places
    static Place place_at(std::uint32_t word, std::uint32_t lsb, std::uint32_t width) {
        Place p;
        p.word = word + lsb / 64;
        p.shift = static_cast<std::uint8_t>(lsb % 64);
        p.two_words = lsb % 64 + width > 64;
        p.mask = low_mask(width);
        return p;
    }
    Place place(const BitField& f) const { return place_at(first_word_[f.signal], f.lsb, f.width); }
    Program program(const Expr& e) const {
        std::vector<Place> all;
        for (const Expr::Code& c : e.code)
            all.push_back(c.op == Expr::Op::Load ? place(c.field) : Place{});
        return {e, all};
    }
    std::vector<Program> programs(const std::vector<Expr>& list) const {
        std::vector<Program> all;
        all.reserve(list.size());
        for (const Expr& e : list) all.push_back(program(e));
        return all;
    }
    std::string field_name(const BitField& f) const {
        const WaveSignal& s = map_.signals[f.signal];
        if (f.width == s.bits) return s.name;
        if (f.width == 1) return s.name + "[" + std::to_string(f.lsb) + "]";
        return s.name + "[" + std::to_string(f.lsb + f.width - 1) + ":" + std::to_string(f.lsb) +
               "]";
    }
    /// The signals of an expression, for messages.
    std::string names_of(const Expr& e) const {
        std::string text;
        for (const Expr::Code& c : e.code) {
            if (c.op != Expr::Op::Load) continue;
            if (!text.empty()) text += ", ";
            text += field_name(c.field);
        }
        return text;
    }

    // ---- the stream of changes
    Status refill() {
        at_ = 0;
        Result<std::span<const Change>> batch = reader_->next();
        if (!batch) {
            batch_ = {};
            return batch.error();
        }
        batch_ = *batch;
        if (batch_.empty()) {
            commit();
            finish_file();
        }
        return {};
    }
    void finish_file() {
        if (end_) return;
        SourceEnd end;
        end.timestep = timestep_;
        end.clock = clocks_;
        if (!started_) {
            end.kind = EndKind::Incomplete;
            end.text =
                options_.first_time
                    ? "the waveform ends before the time given for timestep 0"
                    : "the waveform does not show the start-up list of the manifest to its end; "
                      "give the time at which timestep 0 begins";
        } else if (in_step_ || count_ > 0) {
            end.kind = EndKind::Incomplete;
            end.text = "the waveform ends within timestep " + std::to_string(timestep_);
        }
        close_sample();
        end_ = end;
    }
    /// Entries up to the next time, which then brings them into force.
    Status consume() {
        while (at_ < batch_.size()) {
            const Change& c = batch_[at_++];
            if (c.signal == Change::kTime) {
                const std::uint64_t next = c.time;
                commit();
                time_ = next;
                if (end_ || out_.steps >= wanted_) return {};
                continue;
            }
            if (c.signal == Change::kMark) {
                if (c.mark == Change::Mark::DumpOff) off_ = true;
                if (c.mark == Change::Mark::DumpOn) restarted_ = off_;
                continue;
            }
            if (Status s = take(c); !s) return s;
        }
        return {};
    }
    Status take(const Change& c) {
        for (const Target& t : targets_[c.signal]) {
            if (t.bits <= 64) {
                Pending& p = pending_.emplace_back();
                p.place = place_at(t.word, t.lsb, t.bits);
                if (decode(c, t.bits, p.value, p.unknown) == Decoded::Bad) return bad(c, t.bits);
            } else {
                const std::size_t words = (std::size_t{t.bits} + 63) / 64;
                wide_.resize(2 * words);
                if (decode_words(c, t.bits, wide_.data(), wide_.data() + words) == Decoded::Bad)
                    return bad(c, t.bits);
                for (std::size_t i = 0; i < words; ++i) {
                    const auto lsb = static_cast<std::uint32_t>(64 * i);
                    pending_.push_back({place_at(t.word, t.lsb + lsb, std::min(64U, t.bits - lsb)),
                                        wide_[i], wide_[words + i]});
                }
            }
        }
        clock_changes_ |= c.signal == clock_signal_;
        return {};
    }
    Error bad(const Change& c, std::uint32_t bits) const {
        return reader_->error_at(reader_->offset_of(c), Errc::BadFormat,
                                 "expected a value of " + std::to_string(bits) + " bits, found '" +
                                     std::string(c.text().substr(0, 80)) + "'");
    }
    /// The changes of a time come into force; if they make the clock rise, the core is looked at
    /// before and after.
    void commit() {
        if (!clock_changes_) {
            for (const Pending& p : pending_) state_.store(p.place, p.value, p.unknown);
            pending_.clear();
            if (off_ && restarted_) restart();
            return;
        }
        clock_changes_ = false;
        const Four before = state_.load(clock_);
        Four after = before;
        for (const Pending& p : pending_)
            if (p.place.word == clock_.word && p.place.shift <= clock_.shift &&
                (p.place.mask >> (clock_.shift - p.place.shift) & 1) != 0)
                after = {p.value >> (clock_.shift - p.place.shift) & 1,
                         p.unknown >> (clock_.shift - p.place.shift) & 1};
        // The first value of a waveform is no edge; one from x is, as in Verilog.
        const bool rises = after.is_true() && !before.is_true() && clock_seen_ && !off_;
        clock_seen_ = true;
        const bool finishes = rises && before_edge();
        for (const Pending& p : pending_) state_.store(p.place, p.value, p.unknown);
        pending_.clear();
        if (finishes) finish_step();
        if (off_ && restarted_) restart();
    }
    /// Values are dumped again: what happened meanwhile is not in the file.
    void restart() {
        off_ = false;
        restarted_ = false;
        const bool nothing_lost = timestep_ == 0 && !in_step_ && count_ == 0;
        if (nothing_lost) return;
        close_sample();
        end_ = SourceEnd{EndKind::Incomplete, timestep_, clocks_,
                         "dumping was off until time " + std::to_string(time_) +
                             ": the timesteps meanwhile are not in the waveform"};
    }

    // ---- a rising edge
    /// @returns whether a timestep ends with this edge
    bool before_edge() {
        ++clocks_;
        if (!started_ && !begins()) return false;
        if (list_ != nullptr) {  // a sample is being cleared
            follow();
            return false;
        }
        if (watch()) return false;
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            const Four valid = streams_[i].valid.eval(state_);
            if (__builtin_expect(valid.is_false(), 1)) continue;
            sample(i, valid);
        }
        if (!map_.handshake) {
            if (++count_ < map_.clocks_per_step) return false;
            if (!map_.after_edge) gather();
            return true;
        }
        if (!in_step_) {
            const Four start = state_.load(start_);
            if (!start.known() && timestep_ > 0)
                report(field_name(map_.start), start, 1, "start of a timestep");
            in_step_ = start.is_true();
            return false;
        }
        const Four done = done_.eval(state_);
        if (__builtin_expect(!done.known() && !done.is_true(), 0))
            report(names_of(map_.done), done, 1, "end of the timestep");
        if (!done.is_true()) return false;
        if (!map_.after_edge) gather();
        return true;
    }
    /// Whether this edge belongs to timestep 0 of a clocked core.
    bool begins() {
        if (options_.first_time) {
            started_ = time_ >= *options_.first_time;
        } else {
            if (list_ == nullptr) {
                list_ = &lists_[0];
                at_step_ = 0;
                phase_ = 0;
            }
            started_ = !follow();
        }
        return started_;
    }
    /// A pulse or reset that clears the core: what it showed before is void.
    bool watch() {
        for (int list = 0; list < 2; ++list) {
            if (list == 0 && !map_.handshake) continue;
            for (std::size_t k = 0; k < lists_[list].size(); ++k) {
                const StepState& s = lists_[list][k];
                const bool pulse = s.step->kind == ProgramStep::Kind::Pulse;
                if (!pulse && s.step->kind != ProgramStep::Kind::Reset) continue;
                const Four now = state_.load(s.place);
                if (!now.known() || now.value != (pulse ? 1 : s.step->value)) continue;
                list_ = &lists_[list];
                at_step_ = k;
                phase_ = 0;
                // A handshake finds its own beginning; clocks can only be counted.
                single_ = map_.handshake;
                in_step_ = false;
                count_ = 0;
                clear_row();
                begin_sample();
                follow();
                return true;
            }
        }
        return false;
    }
    /// One edge of a start-up or clear list. @returns false once the list is over and the edge is
    /// not part of it
    bool follow() {
        for (; at_step_ < list_->size(); ++at_step_, phase_ = 0) {
            const StepState& s = (*list_)[at_step_];
            switch (s.step->kind) {
                case ProgramStep::Kind::Reset: {
                    const bool active =
                        state_.load(s.place).value == s.step->value && state_.load(s.place).known();
                    if (phase_ == 0) phase_ = active ? 1 : 0;
                    if (phase_ == 0 || active) return true;
                    return done_with_edge();
                }
                case ProgramStep::Kind::Set: {
                    const Four now = state_.load(s.place);
                    if (!now.known() || now.value != s.step->value) return true;
                    break;
                }
                case ProgramStep::Kind::Clocks:
                    if (phase_ >= s.step->clocks) break;
                    if (++phase_ < s.step->clocks) return true;
                    return done_with_edge();
                case ProgramStep::Kind::Pulse:
                    if (phase_ == 0) {
                        if (state_.load(s.place).is_true()) phase_ = 1;
                        return true;
                    }
                    if (!s.until.eval(state_).is_true()) return true;
                    return done_with_edge();
            }
        }
        list_ = nullptr;
        return false;
    }
    bool done_with_edge() {
        ++at_step_;
        phase_ = 0;
        if (single_ || (at_step_ == list_->size() && started_)) list_ = nullptr;
        return true;
    }

    // ---- rows
    void sample(std::size_t at, Four valid) {
        StreamState& s = streams_[at];
        const Stream& spec = map_.streams[at];
        const char* what = spec.is_spike ? "spikes" : "values";
        if (!valid.is_true()) {
            if (timestep_ == 0 && !in_step_) return;  // before anything was driven
            report(names_of(spec.valid), valid, 1, std::string("valid of ") + what);
            row_valid_ = false;
            return;
        }
        if (spec.has_ready) {
            const Four ready = state_.load(s.ready);
            if (!ready.known()) {
                report(field_name(spec.ready), ready, 1, std::string("ready of ") + what);
                row_valid_ = false;
            }
            if (!ready.is_true()) return;
        }
        const Four index = s.index.eval(state_);
        if (!index.known()) {
            report(names_of(spec.index), index, width_of(spec.index),
                   std::string("index of ") + what);
            row_valid_ = false;
            ++s.seen;
            return;
        }
        if (index.value >= spec.end - spec.begin) {
            violation("the core gave neuron " + std::to_string(index.value) + ", but there are " +
                      std::to_string(spec.end - spec.begin));
            return;
        }
        const auto neuron = spec.begin + static_cast<std::uint32_t>(index.value);
        ++s.seen;
        if (spec.is_spike) {
            std::uint64_t& word = row_spikes_[neuron / 64];
            const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
            if ((word & bit) != 0)
                violation("neuron " + std::to_string(neuron) +
                          " fired twice in one timestep, but the core is declared to fire once");
            word |= bit;
        }
        for (std::size_t i = 0; i < s.values.size(); ++i)
            put(spec.values[i].field, neuron, s.values[i].eval(state_), spec.values[i].value);
    }
    static std::uint32_t width_of(const Expr& e) {
        return e.code.size() == 1 ? e.code[0].field.width : 64;
    }
    void put(std::uint32_t field, std::uint32_t neuron, Four value, const Expr& from) {
        if (__builtin_expect(!value.known(), 0)) {
            unknown_value(field, neuron, names_of(from), value, width_of(from));
            return;
        }
        store(field, neuron, value.value);
    }
    void store(std::uint32_t field, std::uint32_t neuron, std::uint64_t value) {
        const trace::FieldSpec& spec = map_.shape.fields[field];
        if (spec.is_signed && spec.bits < 64) {
            const int shift = 64 - spec.bits;
            value = static_cast<std::uint64_t>(static_cast<std::int64_t>(value << shift) >> shift);
        }
        const auto bytes = static_cast<std::size_t>(spec.bytes);
        std::byte* to = row_fields_[field].data() + neuron * bytes;
        switch (bytes) {  // little-endian machines only, as the whole of the trace store
            case 1:
                std::memcpy(to, &value, 1);
                break;
            case 2:
                std::memcpy(to, &value, 2);
                break;
            case 4:
                std::memcpy(to, &value, 4);
                break;
            default:
                std::memcpy(to, &value, 8);
                break;
        }
    }
    void unknown_value(std::uint32_t field, std::uint32_t neuron, const std::string& signal,
                       Four value, std::uint32_t width) {
        report(signal, value, width,
               map_.shape.fields[field].name + " of " + map_.shape.neuron_name(neuron));
        store(field, neuron, 0);
        std::vector<std::uint64_t>& mask = row_masks_[field];
        if (mask.empty()) mask.assign(words_, kAll);
        mask[neuron / 64] &= ~(std::uint64_t{1} << (neuron % 64));
    }
    /// Values that are sampled once a timestep.
    void gather() {
        for (std::uint32_t f = 0; f < gather_.size(); ++f) {
            const std::vector<Program>& table = gather_[f];
            for (std::uint32_t n = 0; n < table.size(); ++n) {
                if (table[n].empty()) continue;
                const Four value = table[n].eval(state_);
                if (__builtin_expect(!value.known(), 0)) {
                    const Expr& from = map_.gather[f][n];
                    unknown_value(f, n, names_of(from), value, width_of(from));
                } else {
                    store(f, n, value.value);
                }
            }
        }
        for (std::uint32_t n = 0; n < spikes_.size(); ++n) {
            if (spikes_[n].empty()) continue;
            const Four bit = spikes_[n].eval(state_);
            if (__builtin_expect(!bit.known(), 0)) {
                report(names_of(map_.spikes[n]), bit, 1, "spike of " + map_.shape.neuron_name(n));
                row_valid_ = false;
                continue;
            }
            row_spikes_[n / 64] |= (bit.value & 1) << (n % 64);
        }
    }
    void finish_step() {
        if (map_.after_edge) gather();
        in_step_ = false;
        count_ = 0;
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            const Stream& spec = map_.streams[i];
            if (!spec.is_spike && streams_[i].seen != spec.end - spec.begin)
                violation("the core showed " + std::to_string(streams_[i].seen) +
                          " neuron updates in this timestep, expected " +
                          std::to_string(spec.end - spec.begin));
        }
        if (violation_) {
            close_sample();
            end_ = SourceEnd{EndKind::Asserted, timestep_, clocks_, *violation_};
            return;
        }
        if (samples_.empty()) begin_sample();
        out_.spikes.insert(out_.spikes.end(), row_spikes_.begin(), row_spikes_.end());
        for (std::size_t f = 0; f < row_fields_.size(); ++f) {
            out_.fields[f].insert(out_.fields[f].end(), row_fields_[f].begin(),
                                  row_fields_[f].end());
            std::vector<std::uint64_t>& masks = out_.masks[f];
            if (row_masks_[f].empty() && masks.empty()) continue;
            // Rows before the first one with a mask are all valid.
            for (std::size_t have = masks.size() / words_; have < out_.steps; ++have)
                add_mask(masks, {});
            add_mask(masks, row_masks_[f]);
        }
        if (!row_valid_ || !out_.valid.empty()) {
            out_.valid.resize(out_.steps, 1);
            out_.valid.push_back(row_valid_ ? 1 : 0);
        }
        ++out_.steps;
        ++timestep_;
        clear_row();
    }
    void add_mask(std::vector<std::uint64_t>& masks, const std::vector<std::uint64_t>& row) const {
        for (std::size_t w = 0; w < words_; ++w) {
            std::uint64_t bits = row.empty() ? kAll : row[w];
            if (w + 1 == words_ && map_.shape.n_neurons % 64 != 0)
                bits &= low_mask(map_.shape.n_neurons % 64);
            masks.push_back(bits);
        }
    }
    void clear_row() {
        std::fill(row_spikes_.begin(), row_spikes_.end(), 0);
        for (std::vector<std::uint64_t>& mask : row_masks_) mask.clear();
        for (StreamState& s : streams_) s.seen = 0;
        row_valid_ = true;
        violation_.reset();
    }
    void violation(std::string text) {
        if (!violation_) violation_ = std::move(text);
    }
    void report(std::string signal, Four value, std::uint32_t width, std::string meaning) {
        ++n_unknowns_;
        if (unknowns_.size() >= options_.most_unknowns) return;
        unknowns_.push_back(
            {time_, timestep_, std::move(signal), bits_text(value, width), std::move(meaning)});
    }
    void begin_sample() {
        close_sample();
        if (!samples_.empty() && samples_.back().begin == timestep_) {
            samples_.back().start = trace::StartState::Clear;
            return;
        }
        trace::Sample sample;
        sample.begin = timestep_;
        sample.end = timestep_;
        sample.start = list_ != nullptr ? trace::StartState::Clear : trace::StartState::Keep;
        samples_.push_back(sample);
    }
    void close_sample() {
        if (!samples_.empty()) samples_.back().end = timestep_;
    }
    BlockView view() const {
        BlockView block;
        block.first = out_.first;
        block.n_steps = out_.steps;
        block.spikes = out_.spikes;
        block.valid = out_.valid;
        for (const std::vector<std::byte>& field : out_.fields) block.fields.emplace_back(field);
        bool any = false;
        for (const std::vector<std::uint64_t>& mask : out_.masks) any = any || !mask.empty();
        if (any)
            for (const std::vector<std::uint64_t>& mask : out_.masks)
                block.masks.emplace_back(mask);
        return block;
    }

    std::unique_ptr<vcd::Reader> reader_;
    ObservationMap map_;
    WaveOptions options_;
    State state_;
    std::vector<std::uint32_t> first_word_;     ///< per signal of the map
    std::vector<std::vector<Target>> targets_;  ///< per signal of the waveform
    Place clock_;
    std::uint32_t clock_signal_ = 0;
    Place start_;
    Program done_;
    std::vector<std::vector<Program>> gather_;
    std::vector<Program> spikes_;
    std::vector<StreamState> streams_;
    std::vector<StepState> lists_[2];  ///< start-up, clear
    std::size_t words_ = 0;

    std::span<const Change> batch_;
    std::size_t at_ = 0;
    std::vector<Pending> pending_;
    std::vector<std::uint64_t> wide_;
    std::uint64_t time_ = 0;
    bool clock_changes_ = false;
    bool clock_seen_ = false;
    bool off_ = false;        ///< $dumpoff
    bool restarted_ = false;  ///< $dumpon behind it

    bool started_ = false;  ///< timestep 0 has begun, or may begin (handshake)
    bool in_step_ = false;
    std::uint32_t count_ = 0;                 ///< clocks of this timestep so far
    std::vector<StepState>* list_ = nullptr;  ///< being followed
    bool single_ = false;                     ///< only one step of it
    std::size_t at_step_ = 0;
    std::uint64_t phase_ = 0;
    std::uint64_t clocks_ = 0;
    std::uint64_t timestep_ = 0;

    std::vector<std::uint64_t> row_spikes_;
    std::vector<std::vector<std::byte>> row_fields_;
    std::vector<std::vector<std::uint64_t>> row_masks_;  ///< empty: all valid
    bool row_valid_ = true;
    std::optional<std::string> violation_;
    Rows out_;
    std::uint32_t wanted_ = 0;
    std::vector<trace::Sample> samples_;
    std::vector<Unknown> unknowns_;
    std::uint64_t n_unknowns_ = 0;
    std::optional<SourceEnd> end_;
    std::optional<Error> failed_;
};

}  // namespace

std::unique_ptr<WaveSource> WaveSource::create(std::unique_ptr<vcd::Reader> reader,
                                               ObservationMap map, const WaveOptions& options) {
    return std::make_unique<Source>(std::move(reader), std::move(map), options);
}

}  // namespace spikelock::bridge::waves

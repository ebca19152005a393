// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/waves/wave_source.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "four_state.hpp"
#include "spikelock/trace/observation_rows.hpp"

namespace spikelock::bridge::waves {
namespace {

using trace::BlockView;
using trace::EndKind;
using trace::SourceEnd;
using vcd::Change;
using vcd::Decoded;
namespace plan = trace::plan;
using detail::bits_text;
using detail::Four;
using detail::kAll;
using detail::low_mask;
using detail::Place;
using detail::Program;
using detail::State;
using plan::Op;
using plan::Row;

class Source final : public WaveSource, private plan::Gatherer {
public:
    Source(std::unique_ptr<vcd::Reader> reader, ObservationMap map, const WaveOptions& options)
        : reader_(std::move(reader)), map_(std::move(map)), options_(options) {
        std::vector<std::uint32_t> selected;
        targets_.resize(reader_->header().signals.size());
        for (const WaveSignal& signal : map_.signals) {
            const std::uint32_t stride = (signal.bits + 63) / 64;
            first_word_.push_back(state_.add(std::size_t{stride} * signal.words));
            for (const WaveSignal::Part& part : signal.parts) {
                targets_[part.source].push_back(
                    {first_word_.back() + part.word * stride, part.lsb, part.bits});
                selected.push_back(part.source);
            }
        }
        reader_->select(selected);
        const plan::Plan& p = map_.plan;
        clock_ = place(p.clock);
        clock_signal_ = map_.signals[p.clock.signal].parts[0].source;
        if (p.kind == Kind::Handshake) start_ = place(p.start);
        done_ = program(p.done);
        idle_ = program(p.idle);
        if (p.has_tick) tick_ = place(p.tick);
        if (p.has_tick_event) {
            const plan::Input& input = p.inputs[p.tick_input];
            tick_ = place(input.valid);
            tick_address_ = place(input.address);
            tick_ready_ = program(input.ready);
        }
        settling_.idle_clocks = p.idle_clocks;
        settling_.quiet_clocks = p.quiet_clocks;
        for (const plan::BitField& f : p.quiet) quiet_.push_back({place(f), {}});
        if (p.has_config) config_write_ = place(p.config_write);
        set_up(p, true);
        observe();
        for (std::size_t k = 0; add_program("startup" + std::to_string(k), lists_[0]); ++k) {
        }
        add_program("clear", lists_[1]);
        extra_.resize(rows_.size());
        for (Extra& extra : extra_) extra.masks.resize(fields_.size());
        kept_.resize(fields_.size());
        out_.fields.resize(fields_.size());
        out_.masks.resize(fields_.size());
        for (Row& row : rows_) clear(row);
        started_ = !options_.first_time && (p.kind != Kind::Clocked || lists_[0].empty());
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
        out_.counts.clear();
        out_.events.clear();
        out_.taken.clear();
        out_.steps = 0;
        out_.first = next_row_;
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
    using Kind = plan::Kind;
    using Step = plan::Step;
    struct Target {
        std::uint32_t word = 0;
        std::uint32_t lsb = 0;
        std::uint32_t bits = 0;
    };
    struct StreamState : plan::StreamRule {
        explicit StreamState(const plan::Stream& s) : StreamRule(s), spec(s) {}
        const plan::Stream& spec;
        Program valid;
        Program index;
        Program timestep;
        Place ready{};
        std::vector<Program> values;
    };
    struct PartState {
        const plan::Part& spec;
        Program trigger;
        std::vector<Program> values;  ///< of its neurons
    };
    struct TakenState {
        const plan::Taken& spec;
        Program valid;
        Program index;
    };
    struct StepState {
        const Step* step = nullptr;
        Place place{};
        Program until;
    };
    /// A signal that must not change, with what it was.
    struct Quiet {
        Place place;
        Four before;
    };
    /// A change that comes into force when its time is over.
    struct Pending {
        Place place;
        std::uint64_t value = 0;
        std::uint64_t unknown = 0;
    };
    /// What a row of a waveform has beside its values.
    struct Extra {
        bool valid = true;
        std::vector<std::vector<std::uint64_t>> masks;  ///< per field; empty: all valid
    };
    struct Rows {
        std::uint64_t first = 0;
        std::uint32_t steps = 0;
        std::vector<std::uint64_t> spikes;
        std::vector<std::uint8_t> valid;
        std::vector<std::vector<std::byte>> fields;
        std::vector<std::vector<std::uint64_t>> masks;
        std::vector<std::uint16_t> counts;
        std::vector<trace::SpikeEvent> events;
        std::vector<trace::TakenEvent> taken;
    };

    /// @returns whether there is one of that name
    bool add_program(const std::string& name, std::vector<StepState>& list) {
        const auto found = map_.plan.programs.find(name);
        if (found == map_.plan.programs.end()) return false;
        for (const Step& step : found->second) {
            StepState& to = list.emplace_back();
            to.step = &step;
            if (step.kind != Step::Kind::Clocks) to.place = place(step.target);
            to.until = program(step.until);
        }
        return true;
    }
    void observe() {
        const plan::Plan& p = map_.plan;
        for (const plan::Part& part : p.parts) {
            PartState& to = parts_.emplace_back(PartState{part, program(part.trigger), {}});
            for (const plan::BitField& f : part.table) {
                Program& one = to.values.emplace_back();
                one.add({Op::Load, 0, place(f)});
            }
            for (const plan::Expr& e : part.expressions) to.values.push_back(program(e));
            any_trigger_ = any_trigger_ || !part.trigger.empty();
        }
        streams_state_.reserve(p.streams.size());
        for (const plan::Stream& s : p.streams) {
            StreamState& to = streams_state_.emplace_back(s);
            to.valid = program(s.valid);
            to.index = program(s.index);
            to.timestep = program(s.timestep);
            if (s.protocol != plan::Stream::Protocol::None) to.ready = place(s.ready);
            for (const plan::Stream::Value& v : s.values) to.values.push_back(program(v.value));
            four_phase_out_ = four_phase_out_ || s.protocol == plan::Stream::Protocol::FourPhase;
            any_after_ = any_after_ || s.after_edge;
        }
        for (StreamState& s : streams_state_) attach(s);
        for (const plan::Taken& t : p.taken)
            taken_.push_back({t, program(t.valid), program(t.index)});
    }

    // ---- places
    Place place(const plan::BitField& f) const {
        const std::uint32_t stride = (map_.signals[f.signal].bits + 63) / 64;
        return Place::at(first_word_[f.signal] + f.word * stride, f.lsb, f.width);
    }
    Program program(const plan::Expr& e) const {
        Program out;
        for (const plan::Code& c : e) {
            Program::Code code{c.op, c.value, {}};
            if (c.op == Op::Load || c.op == Op::LoadWord) code.place = place(c.field);
            if (c.op == Op::LoadWord) {
                code.stride = (map_.signals[c.field.signal].bits + 63) / 64;
                code.words = map_.signals[c.field.signal].words;
            }
            out.add(code);
        }
        return out;
    }
    std::string field_name(const plan::BitField& f) const {
        const WaveSignal& s = map_.signals[f.signal];
        const std::string name = s.words > 1 ? s.name + "[" + std::to_string(f.word) + "]" : s.name;
        if (f.width == s.bits) return name;
        if (f.width == 1) return name + "[" + std::to_string(f.lsb) + "]";
        return name + "[" + std::to_string(f.lsb + f.width - 1) + ":" + std::to_string(f.lsb) + "]";
    }
    /// The signals of an expression, for messages.
    std::string names_of(const plan::Expr& e) const {
        std::string text;
        for (const plan::Code& c : e) {
            if (c.op != Op::Load && c.op != Op::LoadWord) continue;
            if (!text.empty()) text += ", ";
            text += c.op == Op::Load ? field_name(c.field) : map_.signals[c.field.signal].name;
        }
        return text;
    }
    static std::uint32_t width_of(const plan::Expr& e) {
        return e.size() == 1 ? e[0].field.width : 64;
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
        // A timestep that begins with its tick ends where no other one comes.
        if (open_ && complete_) end_timestep();
        if (end_) return;
        SourceEnd end;
        end.timestep = next_row_;
        end.clock = clocks_;
        if (!started_) {
            end.kind = EndKind::Incomplete;
            end.text =
                options_.first_time
                    ? "the waveform ends before the time given for timestep 0"
                    : "the waveform does not show the start-up list of the manifest to its end; "
                      "give the time at which timestep 0 begins";
        } else if (in_step_ || count_ > 0 || open_) {
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
                p.place = Place::at(t.word, t.lsb, t.bits);
                if (decode(c, t.bits, p.value, p.unknown) == Decoded::Bad) return bad(c, t.bits);
            } else {
                const std::size_t words = (std::size_t{t.bits} + 63) / 64;
                wide_.resize(2 * words);
                if (decode_words(c, t.bits, wide_.data(), wide_.data() + words) == Decoded::Bad)
                    return bad(c, t.bits);
                for (std::size_t i = 0; i < words; ++i) {
                    const auto lsb = static_cast<std::uint32_t>(64 * i);
                    pending_.push_back({Place::at(t.word, t.lsb + lsb, std::min(64U, t.bits - lsb)),
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
        const bool ends = rises && before_edge();
        for (const Pending& p : pending_) state_.store(p.place, p.value, p.unknown);
        pending_.clear();
        if (rises) after_edge(ends);
        if (off_ && restarted_) restart();
    }
    /// Values are dumped again: what happened meanwhile is not in the file.
    void restart() {
        off_ = false;
        restarted_ = false;
        const bool nothing_lost = next_row_ == 0 && !in_step_ && count_ == 0 && !open_;
        if (nothing_lost) return;
        close_sample();
        end_ = SourceEnd{EndKind::Incomplete, next_row_, clocks_,
                         "dumping was off until time " + std::to_string(time_) +
                             ": the timesteps meanwhile are not in the waveform"};
    }

    // ---- a rising edge
    /// @returns whether a timestep ends with this edge
    bool before_edge() {
        sampled_ = false;
        settled_ = false;
        outputs_busy_ = false;
        if (!started_ && !begins()) return pass_over();
        // Whether a sample is being cleared.
        if (list_ != nullptr && follow()) return pass_over();
        if (watch()) return pass_over();
        if (map_.plan.tick_first && tick_begins()) begin_with_tick();
        if (end_) return false;
        sampled_ = true;
        sample(false);
        if (four_phase_out_) serve_four_phase(false);
        for (const TakenState& t : taken_) take(t);
        if (!quiet_.empty()) watch_quiet();
        const bool ends = ends_here();
        if (ends || settled_) read_parts(false);
        return ends;
    }
    void after_edge(bool ends) {
        ++clocks_;
        if (!sampled_) return;
        if (any_after_ || any_trigger_) sample(true);
        if (ends || settled_) read_parts(true);
        if (ends) end_timestep();
    }
    /// An edge that belongs to no timestep.
    bool pass_over() {
        if (four_phase_out_) serve_four_phase(true);
        return false;
    }
    /// Whether this edge belongs to timestep 0, which a list or time says the beginning of.
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
    bool ends_here() {
        switch (map_.plan.kind) {
            case Kind::Clocked:
                if (++count_ < map_.plan.clocks_per_step) return false;
                count_ = 0;
                return true;
            case Kind::Handshake:
                return handshake_ends();
            case Kind::Aer:
                return map_.plan.tick_first ? tick_settles() : tick_ends();
            case Kind::Custom:
                break;
        }
        return holds(done_, map_.plan.done, "end of the timestep");
    }
    /// Whether a condition holds; that it is unknown is listed.
    bool holds(const Program& condition, const plan::Expr& spec, const char* meaning) {
        const Four value = condition.eval(state_);
        if (__builtin_expect(!value.known() && !value.is_true(), 0))
            report(names_of(spec), value, 1, meaning);
        return value.is_true();
    }
    bool handshake_ends() {
        if (waits_for_outputs_) {
            waits_for_outputs_ = outputs_busy_;
            in_step_ = outputs_busy_;
            return !outputs_busy_;
        }
        if (!in_step_) {
            const Four start = state_.load(start_);
            if (!start.known() && timestep_ > 0)
                report(field_name(map_.plan.start), start, 1, "start of a timestep");
            in_step_ = start.is_true();
            return false;
        }
        if (!holds(done_, map_.plan.done, "end of the timestep")) return false;
        waits_for_outputs_ = four_phase_out_;
        in_step_ = four_phase_out_;
        return !four_phase_out_;
    }
    /// Whether a tick is given at this edge, by its port or as an event.
    bool ticking() {
        const Four tick = state_.load(tick_);
        if (!tick.known() && next_row_ > 0)
            report(field_name(map_.plan.has_tick ? map_.plan.tick
                                                 : map_.plan.inputs[map_.plan.tick_input].valid),
                   tick, 1, "tick");
        if (!tick.is_true() || map_.plan.has_tick) return tick.is_true();
        const Four address = state_.load(tick_address_);
        return address.known() && address.value == map_.plan.tick_code;
    }
    /// Whether the tick is over before this edge: events and clocks that follow are behind it.
    bool tick_over() {
        if (map_.plan.has_tick) return !ticking();
        const bool ready = tick_ready_.eval(state_).is_true();
        switch (tick_phase_) {
            case TickPhase::Offered:
                if (ready && ticking())
                    tick_phase_ = map_.plan.inputs[map_.plan.tick_input].four_phase
                                      ? TickPhase::Taken
                                      : TickPhase::Over;
                return false;
            case TickPhase::Taken:  // until the acknowledge is taken back
                if (!ready) tick_phase_ = TickPhase::Over;
                return false;
            case TickPhase::Over:
                break;
        }
        return true;
    }
    bool settles() {
        const bool idle = idle_.empty() || holds(idle_, map_.plan.idle, "idle");
        return settling_.done(idle && !outputs_busy_);
    }
    /// A timestep that ends once the core has settled after its tick.
    bool tick_ends() {
        if (!in_step_) {
            in_step_ = ticking();
            if (!in_step_) return false;
            settling_.begin();
            tick_phase_ = TickPhase::Offered;
            (void)tick_over();
            return false;
        }
        if (!behind_tick_) {
            if (!tick_over()) {
                settling_.begin();
                return false;
            }
            behind_tick_ = true;
        } else if (map_.plan.has_tick && ticking()) {
            end_early(
                "a tick comes before the core has settled after the one before, as [timestep] "
                "of the manifest says");
            return false;
        }
        if (!settles()) return false;
        in_step_ = false;
        behind_tick_ = false;
        return true;
    }
    /// Whether a timestep begins with a tick at this edge.
    bool tick_begins() {
        const bool was = ticks_;
        ticks_ = ticking();
        return ticks_ && !was;
    }
    void begin_with_tick() {
        if (open_ && !complete_) {
            end_early(
                "a tick comes before the core has settled after the one before, as [timestep] "
                "of the manifest says");
            return;
        }
        if (open_) end_timestep();
        open_ = true;
        complete_ = false;
        behind_tick_ = false;
        tick_phase_ = TickPhase::Offered;
        settling_.begin();
    }
    /// A timestep that begins with its tick: it may end wherever the core has settled, and does
    /// so before the next tick. @returns false; values are read at each such edge, the last counts
    bool tick_settles() {
        if (!open_) return false;
        if (!behind_tick_) {
            behind_tick_ = tick_over();
            if (!behind_tick_) {
                settling_.begin();
                return false;
            }
        }
        settled_ = settles();
        complete_ = complete_ || settled_;
        return false;
    }
    void end_early(std::string text) {
        close_sample();
        end_ = SourceEnd{EndKind::Incomplete, next_row_, clocks_, std::move(text)};
    }
    void watch_quiet() {
        bool same = true;
        for (Quiet& q : quiet_) {
            const Four now = state_.load(q.place);
            same = same && now.value == q.before.value && now.unknown == q.before.unknown;
            q.before = now;
        }
        settling_.watch(same);
    }
    /// A pulse or reset that clears the core: what it showed before is void.
    bool watch() {
        if (map_.plan.has_config && next_row_ == 0 && !in_step_ && !open_ &&
            map_.plan.kind != Kind::Clocked && state_.load(config_write_).is_true()) {
            discard();
            return true;
        }
        for (std::size_t list = 0; list < 2; ++list) {
            if (list == 0 && map_.plan.kind == Kind::Clocked) continue;
            for (std::size_t k = 0; k < lists_[list].size(); ++k) {
                const StepState& s = lists_[list][k];
                const bool pulse = s.step->kind == Step::Kind::Pulse;
                if (!pulse && s.step->kind != Step::Kind::Reset) continue;
                const Four now = state_.load(s.place);
                if (!now.known() || now.value != s.step->value) continue;
                if (open_ && complete_) end_timestep();
                list_ = &lists_[list];
                at_step_ = k;
                phase_ = 0;
                // Where a start or tick shows where a timestep is, waits alone may follow; clocks
                // can only be counted.
                single_ = map_.plan.kind != Kind::Clocked;
                discard();
                begin_sample();
                follow();
                return true;
            }
        }
        return false;
    }
    /// Forgets the timesteps that are not complete.
    void discard() {
        in_step_ = waits_for_outputs_ = behind_tick_ = open_ = complete_ = ticks_ = false;
        count_ = 0;
        timestep_ = next_row_;
        now_ = &row_at(timestep_);
        for (Row& row : rows_) clear(row);
        violation_.reset();
        start_epoch();
    }
    /// One edge of a start-up or clear list. @returns false once the list is over and the edge is
    /// not part of it
    bool follow() {
        for (; at_step_ < list_->size(); ++at_step_, phase_ = 0) {
            const StepState& s = (*list_)[at_step_];
            switch (s.step->kind) {
                case Step::Kind::Reset: {
                    const bool active =
                        state_.load(s.place).value == s.step->value && state_.load(s.place).known();
                    if (active) ++phase_;
                    if (phase_ == 0 || active) return true;
                    if (map_.plan.kind != Kind::Clocked) return done_with_edge();
                    // The edge is of a timestep, or another step. A clear that follows the start-up
                    // list at once, with the same reset, only makes it longer.
                    cleared_ = list_ == &lists_[0] && !lists_[1].empty() &&
                               lists_[1][0].step->kind == Step::Kind::Reset &&
                               same_place(lists_[1][0].place, s.place) && phase_ > s.step->clocks;
                    break;
                }
                case Step::Kind::Set: {
                    const Four now = state_.load(s.place);
                    if (!now.known() || now.value != s.step->value) return true;
                    break;
                }
                case Step::Kind::Clocks:
                    if (phase_ >= s.step->clocks) break;
                    if (++phase_ < s.step->clocks) return true;
                    return done_with_edge();
                case Step::Kind::Call:
                    break;
                case Step::Kind::Pulse:
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
    static bool same_place(const Place& a, const Place& b) {
        return a.word == b.word && a.shift == b.shift && a.mask == b.mask;
    }
    bool done_with_edge() {
        ++at_step_;
        phase_ = 0;
        const bool waits =
            at_step_ < list_->size() && (*list_)[at_step_].step->kind == Step::Kind::Clocks;
        if ((single_ && !waits) || (at_step_ == list_->size() && started_)) list_ = nullptr;
        return true;
    }

    // ---- what is shown
    Extra& extra_of(const Row& row) {
        return extra_[static_cast<std::size_t>(&row - rows_.data())];
    }
    static std::string kind_of(const StreamState& s) { return s.is_spike ? "spikes" : "values"; }
    /// A handshake, index or trigger that is unknown: what it would have shown is not known.
    void unknown_control(const plan::Expr& e, Four value, std::uint32_t width,
                         const std::string& meaning, std::uint32_t latency) {
        report(names_of(e), value, width, meaning);
        if (const Row* row = row_behind(latency)) extra_of(*row).valid = false;
    }
    void sample(bool after) {
        using Protocol = plan::Stream::Protocol;
        for (StreamState& s : streams_state_) {
            if (s.after_edge != after) continue;
            const Four valid = s.protocol == Protocol::FourPhase ? Four{} : s.valid.eval(state_);
            if (__builtin_expect(!valid.is_false(), 0)) shown(s, valid);
            if (s.attribute != plan::Stream::Attribute::Marker) continue;
            const Four marker = s.timestep.eval(state_);
            if (marker.is_true()) ++s.marked;
            if (!marker.is_true() && !marker.is_false() && !before_all())
                unknown_control(s.spec.timestep, marker, 1, "end of a timestep's spikes", 0);
        }
        if (!any_trigger_) return;
        for (const PartState& p : parts_) {
            if (p.trigger.empty() || p.spec.after_edge != after) continue;
            const Four trigger = p.trigger.eval(state_);
            if (trigger.is_true()) read_part(p);
            if (!trigger.is_true() && !trigger.is_false() && !before_all())
                unknown_control(p.spec.trigger, trigger, 1, "trigger", p.spec.latency);
        }
    }
    /// Before anything was driven, everything may be unknown.
    bool before_all() const { return next_row_ == 0 && !in_step_ && !open_; }
    void shown(StreamState& s, Four valid) {
        if (!valid.is_true()) {
            if (!before_all())
                unknown_control(s.spec.valid, valid, 1, "valid of " + kind_of(s), s.latency);
            return;
        }
        if (s.protocol == plan::Stream::Protocol::Ready) {
            const Four ready = state_.load(s.ready);
            if (!ready.known()) {
                report(field_name(s.spec.ready), ready, 1, "ready of " + kind_of(s));
                if (const Row* row = row_behind(s.latency)) extra_of(*row).valid = false;
            }
            if (!ready.is_true()) {
                outputs_busy_ = true;
                return;
            }
        }
        take(s);
    }
    /// Output handshakes before a rising edge. @param forget  nothing is shown yet
    void serve_four_phase(bool forget) {
        using Phase = plan::StreamRule::Phase;
        for (StreamState& s : streams_state_) {
            if (s.protocol != plan::Stream::Protocol::FourPhase) continue;
            // The other side of the handshake, which moved after the edge before.
            const bool acknowledged = state_.load(s.ready).is_true();
            if (s.phase == Phase::Requested && acknowledged) s.phase = Phase::Acknowledged;
            if (s.phase == Phase::Released && !acknowledged) s.phase = Phase::Idle;
            const Four request = s.valid.eval(state_);
            if (!request.known() && !request.is_true() && !forget && !before_all())
                unknown_control(s.spec.valid, request, 1, "request of " + kind_of(s), s.latency);
            if (s.serve(request.is_true()) && !forget) take(s);
            outputs_busy_ = outputs_busy_ || s.phase != Phase::Idle;
        }
    }
    void take(StreamState& s) {
        const Four index = s.index.eval(state_);
        if (!index.known()) {
            unknown_control(s.spec.index, index, width_of(s.spec.index), "index of " + kind_of(s),
                            s.latency);
            return;
        }
        Four number;
        if (s.attribute == plan::Stream::Attribute::Number) number = s.timestep.eval(state_);
        if (!number.known()) {
            unknown_control(s.spec.timestep, number, s.timestep_bits, "timestep of " + kind_of(s),
                            0);
            return;
        }
        Row* const row = accept(s, index.value, [&] { return number.value; });
        if (row == nullptr) return;
        const auto neuron = s.begin + static_cast<std::uint32_t>(index.value);
        for (std::size_t i = 0; i < s.values.size(); ++i)
            put(*row, s.spec.values[i].field, neuron, s.values[i].eval(state_),
                s.spec.values[i].value);
    }
    void take(const TakenState& t) {
        const Four valid = t.valid.eval(state_);
        if (valid.is_false()) return;
        const Four index = t.index.eval(state_);
        if (valid.is_true() && index.known()) {
            note_taken(t.spec, index.value);
        } else if (!before_all()) {
            const bool which = valid.is_true();
            unknown_control(which ? t.spec.index : t.spec.valid, which ? index : valid,
                            which ? width_of(t.spec.index) : 1, "an event that is taken", 0);
        }
    }
    /// Values without a trigger that are read before or after the last edge of a timestep.
    void read_parts(bool after) {
        for (const PartState& p : parts_)
            if (p.trigger.empty() && p.spec.after_edge == after) read_part(p);
    }
    void read_part(const PartState& p) {
        Row* const row = row_behind(p.spec.latency);
        if (row == nullptr) return;
        if (p.spec.field < 0) {
            read_spikes(p, *row);
            return;
        }
        const auto field = static_cast<std::uint32_t>(p.spec.field);
        const Gathered& o = fields_[field];
        std::byte* const to = row->fields[field];
        const bool masked = !extra_of(*row).masks[field].empty();
        for (std::uint32_t n = p.spec.begin; n < p.spec.end; ++n) {
            const Four value = p.values[n - p.spec.begin].eval(state_);
            if (__builtin_expect(value.known() && !masked, 1))
                put_value(o, to, n, value.value);
            else
                put(*row, field, n, value, p.spec);
        }
        if (p.spec.shown >= 0) mark_all_shown(*row, static_cast<std::size_t>(p.spec.shown));
    }
    void read_spikes(const PartState& p, Row& row) {
        const plan::Part& spec = p.spec;
        if (open_ && p.trigger.empty()) {
            // Read again, at a later edge of the same timestep.
            for (std::uint32_t n = spec.begin; n < spec.end; ++n) {
                row.spikes[n / 64] &= ~(std::uint64_t{1} << (n % 64));
                if (counts_) row.counts[n] = 0;
            }
            std::erase_if(row.listed, [&](const Row::Spike& s) {
                return s.neuron >= spec.begin && s.neuron < spec.end;
            });
        }
        for (std::uint32_t n = spec.begin; n < spec.end; ++n) {
            const Four fired = p.values[n - spec.begin].eval(state_);
            if (__builtin_expect(!fired.known() && !fired.is_true(), 0)) {
                report(names_of(expression_of(spec, n)), fired, 1,
                       "spike of " + map_.shape.neuron_name(n));
                extra_of(row).valid = false;
            } else if (fired.is_true()) {
                mark_spike(row, n, false);
            }
        }
    }
    static plan::Expr expression_of(const plan::Part& p, std::uint32_t neuron) {
        if (!p.expressions.empty()) return p.expressions[neuron - p.begin];
        return {{Op::Load, 0, p.table[neuron - p.begin]}};
    }
    void put(Row& row, std::uint32_t field, std::uint32_t neuron, Four value,
             const plan::Part& from) {
        put(row, field, neuron, value, value.known() ? plan::Expr() : expression_of(from, neuron));
    }
    void put(Row& row, std::uint32_t field, std::uint32_t neuron, Four value,
             const plan::Expr& from) {
        std::vector<std::uint64_t>& mask = extra_of(row).masks[field];
        const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
        put_value(fields_[field], row.fields[field], neuron, value.known() ? value.value : 0);
        if (__builtin_expect(!value.known(), 0)) {
            report(names_of(from), value, width_of(from),
                   fields_[field].name + " of " + map_.shape.neuron_name(neuron));
            if (mask.empty()) mask.assign(spike_words_, kAll);
            mask[neuron / 64] &= ~bit;
        } else if (!mask.empty()) {
            mask[neuron / 64] |= bit;  // the last one counts
        }
    }

    // ---- timesteps
    void end_timestep() {
        ++ran_;
        count_ = 0;
        open_ = false;
        if (!violation_ && timestep_ >= epoch_ + lag_) {
            Row& row = row_at(timestep_ - lag_);
            Extra& extra = extra_of(row);
            keep_masks(row, extra);
            // What an unknown handshake may have shown is not missed.
            forgiven_ = !extra.valid;
            finish_row(row);
            forgiven_ = false;
            if (!violation_) emit(row, extra);
        }
        if (violation_) {
            close_sample();
            end_ = SourceEnd{EndKind::Asserted, next_row_, clocks_, *violation_};
            return;
        }
        ++timestep_;
        now_ = &row_at(timestep_);
        clear(*now_);
    }
    /// A value that a neuron keeps is as unknown as it was.
    void keep_masks(const Row& row, Extra& extra) {
        for (std::size_t c = 0; c < coverage_.size(); ++c) {
            if (!coverage_[c].keep) continue;
            for (const std::uint32_t f : coverage_[c].fields) {
                std::vector<std::uint64_t>& mask = extra.masks[f];
                if (mask.empty() && kept_[f].empty()) continue;
                mask.resize(spike_words_, kAll);
                kept_[f].resize(spike_words_, kAll);
                for (std::size_t w = 0; w < spike_words_; ++w) {
                    const std::uint64_t kept = coverage_[c].neurons[w] & ~row.shown[c][w];
                    mask[w] = (mask[w] & ~kept) | (kept_[f][w] & kept);
                    kept_[f][w] = (kept_[f][w] & ~coverage_[c].neurons[w]) |
                                  (mask[w] & coverage_[c].neurons[w]);
                }
            }
        }
    }
    void emit(const Row& row, const Extra& extra) {
        if (samples_.empty()) begin_sample();
        out_.spikes.insert(out_.spikes.end(), row.spikes, row.spikes + spike_words_);
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            out_.fields[f].insert(out_.fields[f].end(), row.fields[f],
                                  row.fields[f] + fields_[f].row_bytes);
            std::vector<std::uint64_t>& masks = out_.masks[f];
            if (extra.masks[f].empty() && masks.empty()) continue;
            // Rows before the first one with a mask are all valid.
            for (std::size_t have = masks.size() / spike_words_; have < out_.steps; ++have)
                add_mask(masks, {});
            add_mask(masks, extra.masks[f]);
        }
        if (!extra.valid || !out_.valid.empty()) {
            out_.valid.resize(out_.steps, 1);
            out_.valid.push_back(extra.valid ? 1 : 0);
        }
        if (counts_) out_.counts.insert(out_.counts.end(), row.counts, row.counts + neurons_);
        for (const Row::Spike& s : row.listed)
            out_.events.push_back({out_.steps, s.neuron, s.clock});
        for (const Row::Event& e : row.taken) out_.taken.push_back({out_.steps, e.address, e.port});
        ++out_.steps;
        ++next_row_;
    }
    void add_mask(std::vector<std::uint64_t>& masks, const std::vector<std::uint64_t>& row) const {
        for (std::size_t w = 0; w < spike_words_; ++w) {
            std::uint64_t bits = row.empty() ? kAll : row[w];
            if (w + 1 == spike_words_ && neurons_ % 64 != 0) bits &= low_mask(neurons_ % 64);
            masks.push_back(bits);
        }
    }
    void clear(Row& row) {
        reset_row(row);
        Extra& extra = extra_of(row);
        extra.valid = true;
        for (std::vector<std::uint64_t>& mask : extra.masks) mask.clear();
    }
    void violation(const std::string& text) override {
        if (!violation_ && !forgiven_) violation_ = text;
    }
    void report(std::string signal, Four value, std::uint32_t width, std::string meaning) {
        ++n_unknowns_;
        if (unknowns_.size() >= options_.most_unknowns) return;
        unknowns_.push_back(
            {time_, timestep_, std::move(signal), bits_text(value, width), std::move(meaning)});
    }
    void begin_sample() {
        close_sample();
        if (!samples_.empty() && samples_.back().begin == next_row_) {
            samples_.back().start = trace::StartState::Clear;
            return;
        }
        trace::Sample sample;
        sample.begin = next_row_;
        sample.end = next_row_;
        sample.start = list_ != nullptr || (cleared_ && samples_.empty()) ? trace::StartState::Clear
                                                                          : trace::StartState::Keep;
        samples_.push_back(sample);
    }
    void close_sample() {
        if (!samples_.empty()) samples_.back().end = next_row_;
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
        block.counts = out_.counts;
        block.events = out_.events;
        block.taken = out_.taken;
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
    Place tick_;
    Place tick_address_;
    Program tick_ready_;
    Place config_write_;
    Program done_;
    Program idle_;
    std::vector<Quiet> quiet_;
    std::vector<PartState> parts_;
    std::vector<StreamState> streams_state_;
    std::vector<TakenState> taken_;
    std::vector<StepState> lists_[2];  ///< start-up, clear
    bool any_trigger_ = false;
    bool any_after_ = false;
    bool four_phase_out_ = false;

    std::span<const Change> batch_;
    std::size_t at_ = 0;
    std::vector<Pending> pending_;
    std::vector<std::uint64_t> wide_;
    std::uint64_t time_ = 0;
    bool clock_changes_ = false;
    bool clock_seen_ = false;
    bool off_ = false;        ///< $dumpoff
    bool restarted_ = false;  ///< $dumpon behind it

    bool started_ = false;                    ///< timestep 0 has begun, or may begin
    std::vector<StepState>* list_ = nullptr;  ///< being followed
    bool single_ = false;                     ///< only one step of it
    std::size_t at_step_ = 0;
    std::uint64_t phase_ = 0;
    // Where in a timestep the core is.
    bool in_step_ = false;            ///< behind its start, or tick at the end
    std::uint32_t count_ = 0;         ///< Clocked: clocks so far
    bool waits_for_outputs_ = false;  ///< Handshake: done
    bool open_ = false;               ///< tick at the start: behind the first one
    bool complete_ = false;           ///< the same: it may end here
    bool ticks_ = false;              ///< the same: at the edge before
    bool behind_tick_ = false;
    /// A tick that is sent as an event.
    enum class TickPhase : std::uint8_t { Offered, Taken, Over } tick_phase_ = TickPhase::Offered;
    plan::Settling settling_;
    // This edge.
    bool sampled_ = false;  ///< it belongs to a timestep
    bool settled_ = false;  ///< values are read, but the timestep may go on
    bool outputs_busy_ = false;

    std::vector<Extra> extra_;                      ///< per row
    std::vector<std::vector<std::uint64_t>> kept_;  ///< per field: valid bits of kept values
    std::optional<std::string> violation_;
    bool forgiven_ = false;
    Rows out_;
    std::uint32_t wanted_ = 0;
    std::vector<trace::Sample> samples_;
    bool cleared_ = false;  ///< at the end of the start-up list
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

// SPDX-License-Identifier: Apache-2.0
// Which timestep an observation belongs to, and what makes a timestep complete: the rules that the
// DUT host and the reader of a waveform share. Compiled into the host too: standard library and
// C++17 only, and nothing that would slow its clock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "spikelock/trace/observation_plan.hpp"

namespace spikelock::trace::plan {

/// What is gathered for one timestep.
struct Row {
    struct Spike {
        std::uint32_t neuron;
        std::uint64_t clock;
    };
    struct Event {  // of those taken
        std::uint32_t address;
        std::uint16_t port;
    };
    std::uint64_t* spikes = nullptr;
    std::uint16_t* counts = nullptr;
    std::vector<std::byte*> fields;
    std::vector<std::vector<std::uint64_t>> shown;  ///< per Cover, a bit a neuron
    std::vector<Spike> listed;
    std::vector<Event> taken;
    std::vector<std::uint64_t> storage;  ///< of the above, where it has one of its own
};

/// A stream, as far as where its events belong.
struct StreamRule {
    // What every event needs comes first.
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    bool simple_row = true;  ///< belongs to the timestep that runs
    bool is_spike = false;
    bool counts = false;
    bool once = false;  ///< a neuron must not be shown twice
    std::int32_t shown = -1;
    std::uint64_t* shown_bits = nullptr;  ///< of the one row, where there is one
    std::uint32_t latency = 0;
    Stream::Protocol protocol = Stream::Protocol::None;
    Stream::Attribute attribute = Stream::Attribute::None;
    bool timestep_restarts = false;
    bool after_edge = false;
    std::uint32_t timestep_bits = 64;
    std::uint64_t timestep_first = 0;
    std::uint32_t late = 0;
    std::uint64_t marked = 0;  ///< Marker: timestep that the stream is in
    /// Of a handshake in four phases.
    enum class Phase : std::uint8_t { Idle, Requested, Acknowledged, Released } phase = {};

    explicit StreamRule(const Stream& s)
        : begin(s.begin),
          end(s.end),
          simple_row(s.latency == 0 && s.attribute == Stream::Attribute::None),
          is_spike(s.is_spike),
          counts(s.counts),
          shown(s.shown),
          latency(s.latency),
          protocol(s.protocol),
          attribute(s.attribute),
          timestep_restarts(s.timestep_restarts),
          after_edge(s.after_edge),
          timestep_bits(s.timestep_bits),
          timestep_first(s.timestep_first),
          late(s.late) {}
    /// The request of a handshake before a rising edge. @returns whether it is a new one
    bool serve(bool request) {
        if (phase == Phase::Idle && request) {
            phase = Phase::Requested;
            return true;
        }
        if (phase == Phase::Acknowledged && !request) phase = Phase::Released;
        return false;
    }
};

/// Whether a core has nothing more to do: counts clocks on end.
struct Settling {
    std::uint32_t idle_clocks = 1;
    std::uint32_t quiet_clocks = 0;
    std::uint32_t idle = 0;
    std::uint32_t quiet = 0;

    void begin() { idle = quiet = 0; }
    void watch(bool same) { quiet = same ? quiet + 1 : 0; }
    bool done(bool is_idle) {
        idle = is_idle ? idle + 1 : 0;
        return idle >= idle_clocks && quiet >= quiet_clocks;
    }
};

/// Base of whoever observes a core: its timesteps, and the rows that are not yet complete. With a
/// lag of L timesteps there are L + 1 of them.
class Gatherer {
protected:
    struct Gathered : Observed {
        std::uint64_t row_bytes = 0;
        std::vector<std::byte>
            last;  ///< row of the timestep before, where a neuron may keep its value
    };
    struct Coverage {
        std::string name;
        bool keep = false;
        bool once = false;
        std::vector<std::uint64_t> neurons;
        std::vector<std::uint32_t> fields;
    };

    Gatherer() = default;
    Gatherer(const Gatherer&) = delete;
    Gatherer& operator=(const Gatherer&) = delete;
    ~Gatherer() = default;

    /// What the core must not do; the first one counts.
    virtual void violation(const std::string& text) = 0;

    /// @param own_storage  each row has its own memory, else the caller points it somewhere
    void set_up(const Plan& plan, bool own_storage) {
        neurons_ = plan.neurons;
        spike_words_ = (std::size_t{neurons_} + 63) / 64;
        counts_ = plan.counts;
        events_ = plan.events;
        lag_ = plan.lag;
        for (const Observed& o : plan.fields) {
            Gathered& f = fields_.emplace_back();
            static_cast<Observed&>(f) = o;
            f.row_bytes = std::uint64_t{o.bytes} * neurons_;
        }
        for (const Cover& c : plan.covers) {
            Coverage& to = coverage_.emplace_back();
            to.keep = c.keep;
            to.once = c.once;
            to.neurons.resize(spike_words_);
            for (std::uint32_t n = c.begin; n < c.end && n < neurons_; ++n)
                to.neurons[n / 64] |= std::uint64_t{1} << (n % 64);
            to.fields = c.fields;
            for (const std::uint32_t f : c.fields) {
                Gathered& o = fields_.at(f);
                if (c.keep) o.last.resize(o.row_bytes);
                to.name += (to.name.empty() ? "" : ", ") + o.name;
            }
        }
        rows_.resize(std::size_t{lag_} + 1);
        for (Row& row : rows_) {
            row.fields.resize(fields_.size());
            row.shown.assign(coverage_.size(), std::vector<std::uint64_t>(spike_words_));
            if (own_storage) give_storage(row);
        }
        now_ = &rows_[0];
    }
    /// Streams stay where they are from here on.
    void attach(StreamRule& s) {
        streams_.push_back(&s);
        if (s.shown < 0) return;
        const auto cover = static_cast<std::size_t>(s.shown);
        s.once = coverage_[cover].once;
        if (lag_ == 0) s.shown_bits = rows_[0].shown[cover].data();
    }
    void give_storage(Row& row) const {
        std::uint64_t words = spike_words_;
        for (const Gathered& f : fields_) words += (f.row_bytes + 7) / 8;
        if (counts_) words += (2ULL * neurons_ + 7) / 8;
        row.storage.resize(words);
        std::uint64_t* at = row.storage.data();
        row.spikes = at;
        at += spike_words_;
        row.fields.resize(fields_.size());
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            row.fields[f] = reinterpret_cast<std::byte*>(at);
            at += (fields_[f].row_bytes + 7) / 8;
        }
        if (counts_) row.counts = reinterpret_cast<std::uint16_t*>(at);
    }

    // ---- which row
    Row& row_at(std::uint64_t timestep) { return rows_[lag_ == 0 ? 0 : timestep % rows_.size()]; }
    /// Row of what is seen now and belongs to `latency` timesteps ago; null before the first.
    Row* row_behind(std::uint64_t latency) {
        if (__builtin_expect(lag_ == 0, 1)) return now_;
        if (timestep_ < epoch_ + latency) return nullptr;
        return &rows_[(timestep_ - latency) % rows_.size()];
    }
    /// Row that an event belongs to by what the core says; null where it is not to be kept.
    /// @param number  of the timestep, where the core shows it
    Row* row_of(StreamRule& s, std::uint64_t number) {
        using Attribute = Stream::Attribute;
        if (s.attribute == Attribute::None) return row_behind(s.latency);
        std::uint64_t belongs = s.marked;
        if (s.attribute == Attribute::Number) {
            const std::uint64_t mask =
                s.timestep_bits >= 64 ? ~0ULL : (1ULL << s.timestep_bits) - 1;
            const std::uint64_t base = s.timestep_restarts ? epoch_ran_ : 0;
            const std::uint64_t expected = s.timestep_first + (ran_ - base);
            const std::uint64_t behind = (expected - number) & mask;
            if (behind > s.late) {
                violation("an output event of timestep number " + std::to_string(number & mask) +
                          " came in timestep " + std::to_string(timestep_) + " (number " +
                          std::to_string(expected & mask) + "), expected at most " +
                          std::to_string(s.late) + " late");
                return nullptr;
            }
            if (timestep_ < epoch_ + behind) return nullptr;
            belongs = timestep_ - behind;
        }
        if (belongs > timestep_) {
            violation("an output event came after the marker that ends timestep " +
                      std::to_string(timestep_));
            return nullptr;
        }
        if (belongs + s.late < timestep_) {
            violation("an output event of timestep " + std::to_string(belongs) +
                      " came in timestep " + std::to_string(timestep_) + ", expected at most " +
                      std::to_string(s.late) + " late");
            return nullptr;
        }
        return &rows_[belongs % rows_.size()];
    }

    // ---- what is shown
    void put_value(const Gathered& o, std::byte* row, std::uint32_t neuron,
                   std::uint64_t value) const {
        if (o.is_signed) value = extended(value, o.bits);
        std::byte* const to = row + static_cast<std::size_t>(neuron) * o.bytes;
        switch (o.bytes) {  // little-endian machines only, as the whole of the trace store
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
    void mark_spike(Row& row, std::uint32_t neuron, bool several) {
        std::uint64_t& word = row.spikes[neuron / 64];
        const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
        if (__builtin_expect(!several && (word & bit) != 0, 0))
            violation("neuron " + std::to_string(neuron) +
                      " fired twice in one timestep, but the core is declared to fire once");
        word |= bit;
        if (counts_) {
            if (row.counts[neuron] == 0xffff)
                violation("neuron " + std::to_string(neuron) +
                          " fired more than 65535 times in one timestep, which no count can hold");
            else
                ++row.counts[neuron];
        }
        if (events_) row.listed.push_back({neuron, clocks_});
    }
    /// Notes that a neuron was shown; false where that is once too often.
    __attribute__((noinline)) bool mark_shown(Row& row, std::size_t cover, std::uint32_t neuron) {
        std::uint64_t& word = row.shown[cover][neuron / 64];
        const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
        if (__builtin_expect((word & bit) != 0, 0) && coverage_[cover].once) {
            violation("the core showed " + coverage_[cover].name + " of neuron " +
                      std::to_string(neuron) + " twice in one timestep");
            return false;
        }
        word |= bit;
        return true;
    }
    /// That all neurons of a part were shown.
    void mark_all_shown(Row& row, std::size_t cover) const {
        for (std::size_t w = 0; w < spike_words_; ++w)
            row.shown[cover][w] |= coverage_[cover].neurons[w];
    }
    /// An event of a stream: all but its values.
    /// @param number  gives the number of the timestep, where the core shows it
    /// @returns the row for its values; null where it is not to be kept
    template <typename Number>
    __attribute__((always_inline)) Row* accept(StreamRule& s, std::uint64_t index,
                                               Number&& number) {
        if (__builtin_expect(index >= s.end - s.begin, 0)) {
            violation("the core gave neuron " + std::to_string(index) + ", but there are " +
                      std::to_string(s.end - s.begin));
            return nullptr;
        }
        Row* const row = __builtin_expect(s.simple_row, 1)
                             ? now_
                             : row_of(s, s.attribute == Stream::Attribute::Number ? number() : 0);
        if (__builtin_expect(!row, 0)) return nullptr;
        const std::uint32_t neuron = s.begin + static_cast<std::uint32_t>(index);
        if (s.shown_bits) {
            std::uint64_t& word = s.shown_bits[neuron / 64];
            const std::uint64_t bit = std::uint64_t{1} << (neuron % 64);
            if (__builtin_expect((word & bit) != 0 && s.once, 0))
                mark_shown(*row, static_cast<std::size_t>(s.shown), neuron);
            word |= bit;
        } else if (s.shown >= 0) {
            mark_shown(*row, static_cast<std::size_t>(s.shown), neuron);
        }
        if (s.is_spike) mark_spike(*row, neuron, s.counts);
        return row;
    }
    void note_taken(const Taken& t, std::uint64_t address) {
        if (address >= t.count) {
            violation(std::string("the core took ") +
                      (t.internal ? "a spike of neuron " : "axon ") + std::to_string(address) +
                      ", but there are " + std::to_string(t.count));
            return;
        }
        now_->taken.push_back({static_cast<std::uint32_t>(address), t.port});
    }

    // ---- timesteps
    void reset_row(Row& row) const {
        for (std::size_t w = 0; w < spike_words_; ++w) row.spikes[w] = 0;
        if (counts_) std::memset(row.counts, 0, 2ULL * neurons_);
        for (auto& shown : row.shown) std::fill(shown.begin(), shown.end(), 0);
        row.listed.clear();
        row.taken.clear();
    }
    /// Every neuron must have been shown, or keeps its value.
    __attribute__((noinline)) void finish_row(Row& row) {
        for (std::size_t c = 0; c < coverage_.size(); ++c) {
            const Coverage& cover = coverage_[c];
            for (std::size_t w = 0; w < spike_words_; ++w) {
                std::uint64_t missing = cover.neurons[w] & ~row.shown[c][w];
                if (__builtin_expect(missing == 0, 1)) continue;
                if (!cover.keep) {
                    report_missing(row, c, w * 64 + lowest(missing));
                    return;
                }
                for (; missing != 0; missing &= missing - 1) {
                    const std::size_t n = w * 64 + lowest(missing);
                    for (const std::uint32_t f : cover.fields)
                        std::memcpy(row.fields[f] + n * fields_[f].bytes,
                                    fields_[f].last.data() + n * fields_[f].bytes,
                                    fields_[f].bytes);
                }
            }
        }
        for (std::size_t f = 0; f < fields_.size(); ++f)
            if (!fields_[f].last.empty())
                std::memcpy(fields_[f].last.data(), row.fields[f], fields_[f].row_bytes);
        for (const StreamRule* s : streams_)
            if (s->attribute == Stream::Attribute::Marker && s->marked <= next_row_)
                violation("the marker that ends timestep " + std::to_string(next_row_) +
                          " did not come within " + std::to_string(s->late) + " timesteps");
    }
    /// From here on the core is in the start state of a sample.
    void start_epoch() {
        epoch_ = timestep_;
        epoch_ran_ = ran_;
        for (StreamRule* s : streams_) s->marked = timestep_;
        for (Gathered& f : fields_) std::fill(f.last.begin(), f.last.end(), std::byte{0});
    }

    std::uint32_t neurons_ = 0;
    std::size_t spike_words_ = 0;
    bool counts_ = false;
    bool events_ = false;
    std::uint32_t lag_ = 0;
    std::vector<Gathered> fields_;
    std::vector<Coverage> coverage_;
    std::vector<StreamRule*> streams_;
    std::vector<Row> rows_;
    Row* now_ = nullptr;
    std::uint64_t clocks_ = 0;
    std::uint64_t timestep_ = 0;  ///< that the core runs
    std::uint64_t next_row_ = 0;  ///< timestep of the next complete row
    std::uint64_t epoch_ = 0;     ///< first timestep since the last clear
    std::uint64_t ran_ = 0;       ///< timesteps that the core has run, those without input too
    std::uint64_t epoch_ran_ = 0;

private:
    static unsigned lowest(std::uint64_t bits) {
        return static_cast<unsigned>(__builtin_ctzll(bits));
    }
    void report_missing(const Row& row, std::size_t c, std::size_t neuron) {
        std::uint64_t shown = 0;
        std::uint64_t wanted = 0;
        for (std::size_t k = 0; k < spike_words_; ++k) {
            const std::uint64_t all = coverage_[c].neurons[k];
            shown += static_cast<std::uint64_t>(__builtin_popcountll(all & row.shown[c][k]));
            wanted += static_cast<std::uint64_t>(__builtin_popcountll(all));
        }
        violation("the core showed " + coverage_[c].name + " of " + std::to_string(shown) +
                  " neurons in this timestep, expected " + std::to_string(wanted) + "; neuron " +
                  std::to_string(neuron) + " is missing");
    }
};

}  // namespace spikelock::trace::plan

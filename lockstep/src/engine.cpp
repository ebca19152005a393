// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>
#include <numeric>
#include <utility>

#include "activity.hpp"
#include "channel.hpp"
#include "comparer.hpp"
#include "feed.hpp"
#include "history.hpp"
#include "mask_plan.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace spikelock::lockstep {

namespace {
using Clock = std::chrono::steady_clock;
using detail::Channel;
using trace::EndKind;

constexpr std::uint64_t kForever = std::numeric_limits<std::uint64_t>::max();

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
    return a > kForever - b ? kForever : a + b;
}

double seconds_between(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

/// Chooses how many timesteps go into a block, from how long those before took.
class Pacer {
public:
    Pacer(std::uint32_t fixed, const trace::Shape& a, const trace::Shape& b) : fixed_(fixed) {
        const std::size_t bytes = std::max<std::size_t>(1, std::max(step_bytes(a), step_bytes(b)));
        most_ = std::clamp<std::uint64_t>(kMostBlockBytes / bytes, 1, kMostSteps);
        steps_ = fixed_ > 0
                     ? fixed_
                     : static_cast<std::uint32_t>(std::min<std::uint64_t>(kFirstSteps, most_));
    }
    std::uint32_t steps() const noexcept { return steps_; }

    /// A stimulus with many events a timestep gets shorter blocks.
    void stimulus_block(const trace::StimulusBlock& block) {
        std::size_t bytes = block.events.size() * sizeof(trace::InputEvent);
        for (const trace::SideBand& band : block.side_bands)
            bytes += band.values.size() * sizeof(band.values[0]);
        if (block.n_steps == 0 || bytes == 0) return;
        const std::size_t fit =
            kMostStimulusBytes / std::max<std::size_t>(1, bytes / block.n_steps);
        stimulus_most_ = std::clamp<std::uint64_t>(fit, 1, kMostSteps);
        if (fixed_ == 0) steps_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(steps_, fit));
        steps_ = std::max(steps_, 1U);
    }

    void compared(std::uint32_t steps, Clock::time_point now) {
        since_ += steps;
        if (fixed_ > 0 || since_ < steps_) return;
        const double per_step = seconds_between(mark_, now) / static_cast<double>(since_);
        const double want = per_step > 0 ? kTargetSeconds / per_step : kMostSteps;
        const double low = std::max(1.0, steps_ / 4.0);
        const double high = std::min(
            {steps_ * 4.0, static_cast<double>(most_), static_cast<double>(stimulus_most_)});
        steps_ =
            static_cast<std::uint32_t>(std::max(1.0, std::clamp(want, std::min(low, high), high)));
        since_ = 0;
        mark_ = now;
    }

private:
    static constexpr std::uint32_t kFirstSteps = 64;
    static constexpr std::uint64_t kMostSteps = 65536;
    static constexpr std::size_t kMostBlockBytes = std::size_t{16} << 20U;
    static constexpr std::size_t kMostStimulusBytes = std::size_t{4} << 20U;
    static constexpr double kTargetSeconds = 3e-3;

    static std::size_t step_bytes(const trace::Shape& shape) {
        std::size_t bytes = shape.spike_words() * 8;
        for (const trace::FieldSpec& field : shape.fields)
            bytes += std::size_t{shape.n_neurons} * static_cast<unsigned>(field.bytes);
        return bytes;
    }

    std::uint32_t fixed_;
    std::uint64_t most_ = kMostSteps;
    std::uint64_t stimulus_most_ = kMostSteps;
    std::uint32_t steps_ = kFirstSteps;
    std::uint64_t since_ = 0;
    Clock::time_point mark_ = Clock::now();
};

/// Timesteps from..to-1 of a stimulus block.
trace::StimulusBlock part_of(const trace::StimulusBlock& block, std::uint64_t from,
                             std::uint64_t to) {
    const auto begin = static_cast<std::uint32_t>(from - block.first);
    const auto end = static_cast<std::uint32_t>(to - block.first);
    trace::StimulusBlock part;
    part.first = from;
    part.n_steps = end - begin;
    const std::uint32_t first_event = block.event_begin[begin];
    for (std::uint32_t s = begin; s <= end; ++s)
        part.event_begin.push_back(block.event_begin[s] - first_event);
    part.events.assign(block.events.begin() + first_event,
                       block.events.begin() + block.event_begin[end]);
    for (const trace::SideBand& band : block.side_bands) {
        const auto at = [&](std::uint32_t step) {
            return band.values.begin() +
                   static_cast<std::ptrdiff_t>(std::size_t{step} * band.width);
        };
        part.side_bands.push_back({band.name, band.width, {at(begin), at(end)}});
    }
    for (const auto& start : block.begins)
        if (start.step >= begin && start.step < end)
            part.begins.push_back({start.step - begin, start.start});
    return part;
}

/// Pairs what both sides show, in the causal order of the expected side, spikes last.
/// Says in the outcome what is compared and what is not.
Result<std::vector<Channel>> pair_channels(const trace::Shape& expected, const trace::Shape& actual,
                                           const std::vector<std::string>& wanted,
                                           std::vector<std::string>& known, Outcome& outcome) {
    if (expected.n_neurons != actual.n_neurons)
        return Error{Errc::Mismatch,
                     "the sources have different numbers of neurons: expected " +
                         std::to_string(expected.n_neurons) + ", actual " +
                         std::to_string(actual.n_neurons),
                     {}};
    for (const trace::FieldSpec& field : expected.fields) known.push_back(field.name);
    for (const trace::FieldSpec& field : actual.fields)
        if (expected.field_index(field.name) < 0) known.push_back(field.name);
    known.emplace_back("spike");
    for (const std::string& name : wanted)
        if (std::find(known.begin(), known.end(), name) == known.end())
            return Error{Errc::NotFound,
                         "neither source shows a field '" + name + "'" + did_you_mean(name, known),
                         {}};
    const auto selected = [&wanted](const std::string& name) {
        return wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end();
    };
    std::vector<Channel> channels;
    for (std::size_t e = 0; e < expected.fields.size(); ++e) {
        const trace::FieldSpec& field = expected.fields[e];
        const int a = actual.field_index(field.name);
        if (!selected(field.name)) {
            outcome.not_compared.push_back(field.name + " (not selected)");
            continue;
        }
        if (a < 0) {
            outcome.not_compared.push_back(field.name + " (only expected)");
            continue;
        }
        const trace::FieldSpec& other = actual.fields[static_cast<std::size_t>(a)];
        const auto format = [](const trace::FieldSpec& spec) {
            return spec.is_float ? std::string("float64")
                                 : (spec.is_signed ? "signed in " : "unsigned in ") +
                                       std::to_string(spec.bytes) + " bytes";
        };
        if (field.bytes != other.bytes || format(field) != format(other))
            return Error{Errc::Mismatch,
                         "field '" + field.name + "' is stored differently: expected " +
                             format(field) + ", actual " + format(other),
                         {}};
        Channel channel{field.name, false, false, e, static_cast<std::size_t>(a), field};
        channel.spec.bits = std::max(field.bits, other.bits);
        channels.push_back(std::move(channel));
    }
    for (const trace::FieldSpec& field : actual.fields)
        if (expected.field_index(field.name) < 0)
            outcome.not_compared.push_back(
                field.name + (selected(field.name) ? " (only actual)" : " (not selected)"));
    if (selected("spike")) {
        // A side without counts fires at most once: its bits are its counts.
        Channel spikes{"spike", true, expected.counts || actual.counts, 0, 0, {}};
        channels.push_back(std::move(spikes));
    } else {
        outcome.not_compared.emplace_back("spike (not selected)");
    }
    for (const Channel& channel : channels) outcome.compared_fields.push_back(channel.name);
    return channels;
}

class Engine {
public:
    Engine(trace::StepSource& expected, trace::StepSource& actual, const trace::Stimulus* stimulus,
           const Options& options, Sink* sink, std::vector<Channel> channels, detail::MaskPlan plan,
           Outcome outcome)
        : expected_(expected, "expected"),
          actual_(actual, "actual"),
          stimulus_(stimulus),
          options_(options),
          sink_(sink),
          plan_(std::move(plan)),
          comparer_(channels, expected.shape().n_neurons,
                    options.order && expected.shape().events && actual.shape().events),
          activity_(channels.size()),
          expected_history_(expected.shape(), options.window_before),
          actual_history_(actual.shape(), options.window_before),
          pacer_(options.block_steps, expected.shape(), actual.shape()),
          outcome_(std::move(outcome)) {
        spikes_compared_ = !channels.empty() && channels.back().is_spike;
        if (stimulus_ != nullptr) {
            limit_ = stimulus_->n_steps();
            if (options_.max_steps > 0) limit_ = std::min(limit_, options_.max_steps);
            samples_ = stimulus_->samples();
        } else {
            if (options_.max_steps > 0) limit_ = options_.max_steps;
            samples_ = options_.samples;
        }
        outcome_.n_samples = samples_.size();
        if (actual.shape().order) taker_ = dynamic_cast<trace::OrderTaker*>(&expected);
    }

    Result<Outcome> run() {
        const Clock::time_point begin = Clock::now();
        if (Status status = compare_all(); !status) {
            if (status.error().code != Errc::Interrupted) return std::move(status.error());
            outcome_.interrupted = true;
        }
        if (Status status = pass_stimulus(true); !status) return std::move(status.error());
        report_progress(true);
        conclude();
        outcome_.seconds = seconds_between(begin, Clock::now());
        return std::move(outcome_);
    }

private:
    Status compare_all() {
        while (position_ < limit_) {
            if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) {
                outcome_.interrupted = true;
                return {};
            }
            if (Status status = submit_ahead(); !status) return status;
            if (Status status = taker_ ? fill_in_order() : fill_both(); !status) return status;
            if (expected_.left() == 0 || actual_.left() == 0) {
                ended_early_ = true;
                return {};
            }
            if (skip_to_common_start()) continue;
            std::uint64_t count = std::min(expected_.left(), actual_.left());
            count = std::min({count, limit_ - position_, plan_.enter(position_) - position_});
            if (Status status = compare(static_cast<std::uint32_t>(count)); !status) return status;
            if (Status status = pass_stimulus(false); !status) return status;
            if (position_ > stop_after()) return {};
            pacer_.compared(static_cast<std::uint32_t>(count), Clock::now());
            report_progress(false);
        }
        // A limit set by the user says nothing about how the sources end.
        if (limited()) return {};
        if (Status status = expected_.fill(1); !status) return status;
        return actual_.fill(1);
    }

    Status fill_both() {
        // The golden computes in here, while the DUT works on what was submitted.
        if (Status status = expected_.fill(read_size()); !status) return status;
        return actual_.fill(read_size());
    }

    /// The actual source first: the expected one computes in the order in which events were taken.
    /// It is read one timestep at a time, so that an order which cannot be is found at its place.
    Status fill_in_order() {
        const bool fresh = actual_.left() == 0;
        if (Status status = actual_.fill(read_size()); !status) return status;
        if (actual_.left() == 0) return {};
        Status status{};
        if (fresh) status = taker_->give_order(actual_.left(), actual_.block().taken);
        if (status) status = expected_.fill(1);
        if (status || status.error().code != Errc::Mismatch) return status;
        const Error& error = status.error();
        actual_.end_with({EndKind::Asserted, position_, 0,
                          "the core did not take the events that it was sent and that fired: " +
                              (error.where.empty() ? "" : error.where + ": ") + error.message});
        return {};
    }

    std::uint32_t read_size() const {
        return static_cast<std::uint32_t>(std::max<std::uint64_t>(
            1, std::min<std::uint64_t>(pacer_.steps(), limit_ - position_)));
    }

    Status submit_ahead() {
        if (stimulus_ == nullptr) return {};
        while (!block_ends_.empty() && block_ends_.front() <= position_) block_ends_.pop_front();
        const std::size_t ahead = std::max(1U, options_.blocks_ahead);
        const std::uint64_t needed = saturating_add(position_, std::uint64_t{options_.lag} + 1);
        while ((block_ends_.size() < ahead || submitted_ < needed) && submitted_ < limit_) {
            const auto count = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(pacer_.steps(), limit_ - submitted_));
            trace::StimulusBlock block = stimulus_->block(submitted_, count);
            if (Status status = actual_.source().submit(block); !status) return status;
            if (Status status = expected_.source().submit(block); !status) return status;
            submitted_ += count;
            block_ends_.push_back(submitted_);
            pacer_.stimulus_block(block);
            if (sink_ != nullptr) pending_.push_back(std::move(block));
        }
        return {};
    }

    /// Recorded windows may begin at different timesteps. What only one side has is lost.
    /// @returns whether something was skipped, so that a source must be read again
    bool skip_to_common_start() {
        const std::uint64_t expected = expected_.position();
        const std::uint64_t actual = actual_.position();
        if (!started_ && expected == actual) {
            started_ = true;
            position_ = start_ = expected;
            if (stimulus_ == nullptr) limit_ = saturating_add(start_, limit_);
        }
        if (expected == actual) return false;
        SPIKELOCK_ASSERT(!started_);
        detail::Feed& behind = expected < actual ? expected_ : actual_;
        const std::uint64_t gap = std::max(expected, actual) - behind.position();
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(gap, behind.left()));
        note_loss(behind.position());
        outcome_.steps_invalid += count;
        behind.advance(count);
        if (stimulus_ != nullptr) position_ = std::min(expected, actual) + count;
        return true;
    }

    void note_loss(std::uint64_t timestep) {
        if (!outcome_.first_loss) outcome_.first_loss = timestep;
    }

    /// Compares the next `count` timesteps, or as many as are wanted after a divergence.
    Status compare(std::uint32_t count) {
        expected_.peek(count, expected_block_);
        actual_.peek(count, actual_block_);
        comparer_.bind(expected_block_.view, actual_block_.view, plan_);
        differing_rows_.clear();
        std::uint32_t row = 0;
        while (row < count) {
            // Never before this row: what was found so far was wanted.
            const std::uint64_t wanted = stop_after() - position_;
            const std::uint32_t end =
                wanted < count ? static_cast<std::uint32_t>(wanted) + 1 : count;
            const std::uint32_t next = std::min(comparer_.next_difference(row), end);
            account(row, next, true);
            row = next;
            if (row == end) break;
            account(row, row + 1, false);
            diverged(row);
            ++row;
        }
        if (row < count) {
            expected_.peek(row, expected_block_);
            actual_.peek(row, actual_block_);
        }
        if (Status status = record(); !status) return status;
        keep_window();
        expected_.advance(row);
        actual_.advance(row);
        position_ += row;
        return {};
    }

    void account(std::uint32_t begin, std::uint32_t end, bool equal) {
        if (begin == end) return;
        const detail::Tally tally = comparer_.tally(begin, end);
        outcome_.steps_compared += tally.steps;
        outcome_.values_compared += tally.values;
        outcome_.steps_invalid += tally.steps_invalid;
        outcome_.values_invalid += tally.values_invalid;
        if (tally.first_loss >= 0)
            note_loss(position_ + static_cast<std::uint64_t>(tally.first_loss));
        if (equal && !outcome_.first && tally.last_whole >= 0)
            outcome_.last_agreed = position_ + static_cast<std::uint64_t>(tally.last_whole);
        count_spikes(begin, end);
        if (!activity_.seen()) activity_.watch(comparer_, begin, end);
    }

    void count_spikes(std::uint32_t begin, std::uint32_t end) {
        const trace::Shape& e_shape = expected_.source().shape();
        const trace::Shape& a_shape = actual_.source().shape();
        const std::size_t words = e_shape.spike_words();
        const auto rows = [&](const trace::BlockView& block) {
            return block.spikes.subspan(begin * words, (end - begin) * words);
        };
        const auto e = rows(expected_block_.view);
        const auto a = rows(actual_block_.view);
        std::uint64_t in_expected = 0;
        std::uint64_t in_actual = 0;
        if (comparer_.all_steps_valid() && !e_shape.counts && !a_shape.counts) {
            in_expected = detail::count_spikes(e.data(), e.size());
            in_actual = e.empty() || std::memcmp(e.data(), a.data(), e.size_bytes()) == 0
                            ? in_expected
                            : detail::count_spikes(a.data(), a.size());
        } else {
            const auto count = [&](const trace::BlockView& block, const trace::Shape& shape) {
                std::uint64_t sum = 0;
                const std::size_t neurons = shape.n_neurons;
                for (std::size_t row = begin; row < end; ++row) {
                    if (!block.valid.empty() && block.valid[row] == 0) continue;
                    if (shape.counts) {
                        const auto counts = block.counts.subspan(row * neurons, neurons);
                        sum = std::accumulate(counts.begin(), counts.end(), sum);
                    } else {
                        sum += detail::count_spikes(block.spikes.data() + row * words, words);
                    }
                }
                return sum;
            };
            in_expected = count(expected_block_.view, e_shape);
            in_actual = count(actual_block_.view, a_shape);
        }
        outcome_.spikes_expected += in_expected;
        outcome_.spikes_actual += in_actual;
        if (in_expected + in_actual > 0) activity_.set();
    }

    Divergence describe(std::uint32_t row, bool spikes_only) {
        Divergence divergence = comparer_.describe(row, options_.most_differences, spikes_only);
        divergence.timestep = position_ + row;
        divergence.step_in_sample = divergence.timestep;
        const auto after = std::partition_point(
            samples_.begin(), samples_.end(),
            [&](const trace::Sample& sample) { return sample.begin <= divergence.timestep; });
        if (after != samples_.begin()) {
            divergence.sample = static_cast<std::uint64_t>(after - samples_.begin()) - 1;
            divergence.step_in_sample = divergence.timestep - samples_[divergence.sample].begin;
        }
        return divergence;
    }

    void diverged(std::uint32_t row) {
        differing_rows_.push_back(row);
        ++outcome_.divergent_steps;
        const bool collects = outcome_.collected.size() < collect_target();
        const bool searches = outcome_.first && !first_has_spike_ && !outcome_.first_spike;
        if (!collects && !searches) return;
        Divergence divergence = describe(row, false);
        const bool in_spikes = divergence.n_spike_differences > 0;
        if (!outcome_.first) {
            outcome_.first = divergence;
            first_has_spike_ = in_spikes;
        } else if (searches && in_spikes) {
            outcome_.first_spike = describe(row, true);
        }
        if (collects) outcome_.collected.push_back(std::move(divergence));
    }

    std::uint64_t collect_target() const {
        return options_.on_divergence == OnDivergence::Stop
                   ? 1
                   : std::max<std::uint64_t>(1, options_.collect);
    }

    /// Last timestep that is of interest. Depends on what was found, never on the cut of blocks.
    std::uint64_t stop_after() const {
        if (!outcome_.first || outcome_.collected.size() < collect_target()) return kForever;
        const std::uint64_t first = outcome_.first->timestep;
        std::uint64_t last = std::max(saturating_add(first, options_.window_after),
                                      outcome_.collected.back().timestep);
        if (outcome_.first_spike) return std::max(last, outcome_.first_spike->timestep);
        if (spikes_compared_ && !first_has_spike_)
            last = std::max(last, saturating_add(first, options_.spike_search_steps));
        return last;
    }

    Status record() {
        if (sink_ == nullptr || actual_block_.view.n_steps == 0) return {};
        for (std::size_t i = 0; i < differing_rows_.size();) {
            std::size_t j = i + 1;
            while (j < differing_rows_.size() && differing_rows_[j] == differing_rows_[j - 1] + 1)
                ++j;
            const auto count = static_cast<std::uint32_t>(j - i);
            detail::slice(expected_block_.view, expected_.source().shape(), differing_rows_[i],
                          count, expected_part_);
            detail::slice(actual_block_.view, actual_.source().shape(), differing_rows_[i], count,
                          actual_part_);
            if (Status status = sink_->expected_difference(expected_part_.view, actual_part_.view);
                !status)
                return status;
            i = j;
        }
        return sink_->actual(actual_block_.view);
    }

    void keep_window() {
        if (!outcome_.first) {
            expected_history_.push(expected_block_.view);
            actual_history_.push(actual_block_.view);
            return;
        }
        keep_window(expected_history_, expected_block_.view, expected_.source().shape(),
                    outcome_.expected_window);
        keep_window(actual_history_, actual_block_.view, actual_.source().shape(),
                    outcome_.actual_window);
        window_open_ = true;
    }

    void keep_window(const detail::History& history, const trace::BlockView& block,
                     const trace::Shape& shape, trace::ExecutionTrace& window) {
        const std::uint64_t first = outcome_.first->timestep;
        const std::uint64_t begin = std::max(start_, first - std::min(first, history.capacity()));
        const std::uint64_t end = saturating_add(saturating_add(first, options_.window_after), 1);
        if (!window_open_) {
            window = begin < block.first ? history.trace_from(begin)
                                         : trace::ExecutionTrace(shape, begin);
            for (const trace::Sample& sample : samples_)
                if (sample.begin < end && sample.end > begin) window.samples().push_back(sample);
        }
        const std::uint64_t from = std::max(begin, block.first);
        const std::uint64_t to = std::min(end, block.first + block.n_steps);
        if (from >= to) return;
        detail::slice(block, shape, static_cast<std::uint32_t>(from - block.first),
                      static_cast<std::uint32_t>(to - from), expected_part_);
        window.append(expected_part_.view);
    }

    /// Hands the sink the stimulus of what was compared; at the end also a part of a block.
    Status pass_stimulus(bool last) {
        while (!pending_.empty()) {
            const trace::StimulusBlock& block = pending_.front();
            const std::uint64_t block_end = block.first + block.n_steps;
            if (block_end > position_ && !last) return {};
            const std::uint64_t from = std::max(block.first, start_);
            const std::uint64_t to = std::min(block_end, position_);
            if (started_ && from < to) {
                const bool all = from == block.first && to == block_end;
                Status status = sink_->stimulus(all ? block : part_of(block, from, to));
                if (!status) return status;
            }
            pending_.pop_front();
        }
        return {};
    }

    void report_progress(bool last) {
        if (!options_.progress) return;
        const Clock::time_point now = Clock::now();
        if (!last && now - last_progress_ < std::chrono::milliseconds(100)) return;
        last_progress_ = now;
        const std::uint64_t total = limit_ == kForever ? 0 : limit_ - start_;
        options_.progress({position_ - std::min(position_, start_), total});
    }

    static bool is_fatal(const detail::Feed& feed) {
        return feed.end() &&
               (feed.end()->kind == EndKind::Asserted || feed.end()->kind == EndKind::Hung ||
                feed.end()->kind == EndKind::Crashed);
    }

    /// "the actual source ended ... at timestep 12 (clock 340): text".
    static std::string end_text(const char* side, const trace::SourceEnd& end) {
        std::string text = std::string("the ") + side + " source ";
        switch (end.kind) {
            case EndKind::Complete:
                text += "ended";
                break;
            case EndKind::Finished:
                text += "called $finish";
                break;
            case EndKind::Asserted:
                text += "failed an assertion";
                break;
            case EndKind::Hung:
                text += "hung";
                break;
            case EndKind::Crashed:
                text += "crashed";
                break;
            case EndKind::Incomplete:
                text += "is an incomplete recording that ends";
                break;
        }
        text += " at timestep " + std::to_string(end.timestep);
        if (end.clock > 0) text += " (clock " + std::to_string(end.clock) + ")";
        if (!end.text.empty()) text += ": " + end.text;
        return text;
    }

    void conclude() {
        const auto remember = [](const detail::Feed& feed, std::optional<trace::SourceEnd>& into) {
            if (feed.end() && feed.end()->kind != EndKind::Complete) into = feed.end();
        };
        remember(expected_, outcome_.expected_end);
        remember(actual_, outcome_.actual_end);

        const auto& first = outcome_.first;
        const auto& loss = outcome_.first_loss;
        if (first && (!loss || first->timestep < *loss)) {
            outcome_.verdict = Verdict::Diverged;
            return;
        }
        std::vector<std::string> reasons;
        // The source that stopped earlier is the one to name; with equal places, the actual one.
        const detail::Feed* fatal = is_fatal(actual_) ? &actual_ : nullptr;
        if (is_fatal(expected_) &&
            (fatal == nullptr || expected_.end()->timestep < fatal->end()->timestep))
            fatal = &expected_;
        outcome_.verdict = Verdict::Match;
        if (fatal != nullptr) {
            const EndKind kind = fatal->end()->kind;
            outcome_.verdict = kind == EndKind::Asserted ? Verdict::Asserted
                               : kind == EndKind::Hung   ? Verdict::Hung
                                                         : Verdict::Crashed;
            reasons.push_back(end_text(fatal == &actual_ ? "actual" : "expected", *fatal->end()));
        } else {
            if (outcome_.interrupted)
                reasons.push_back("interrupted at timestep " + std::to_string(position_));
            add_end_reasons(reasons);
        }
        if (loss) reasons.push_back(loss_text());
        if (reasons.empty() && outcome_.values_compared == 0)
            reasons.emplace_back("nothing was compared");
        if (reasons.empty() && !activity_.seen() && !options_.allow_vacuous)
            reasons.emplace_back("vacuous: no neuron fired and no compared value ever changed");
        for (const std::string& reason : reasons)
            outcome_.reason += (outcome_.reason.empty() ? "" : "; ") + reason;
        if (!reasons.empty() && fatal == nullptr) outcome_.verdict = Verdict::Inconclusive;
    }

    /// Ends that leave timesteps uncompared.
    void add_end_reasons(std::vector<std::string>& reasons) const {
        const std::string steps = with_commas(position_ - std::min(position_, start_));
        const auto add = [&](const char* side, const detail::Feed& feed) {
            if (!feed.end()) return;
            const EndKind kind = feed.end()->kind;
            // With a stimulus it is known that nothing is missing, whatever the recording says.
            const bool missing = stimulus_ != nullptr
                                     ? position_ < limit_
                                     : kind == EndKind::Incomplete || kind == EndKind::Finished;
            if (!missing) return;
            std::string text = end_text(side, *feed.end());
            if (stimulus_ != nullptr) text += ", before the " + with_commas(limit_) + " of the run";
            reasons.push_back(std::move(text));
        };
        add("expected", expected_);
        add("actual", actual_);
        if (outcome_.interrupted) return;
        const bool more_expected = expected_.left() > 0;
        const bool more_actual = actual_.left() > 0;
        if (stimulus_ == nullptr && ended_early_ && more_expected != more_actual) {
            reasons.push_back("the lengths differ: after " + steps + " timesteps the " +
                              (more_expected ? "actual" : "expected") +
                              " source ends and the other goes on");
        } else if (position_ >= limit_ && !limited() && (more_expected || more_actual)) {
            reasons.push_back(std::string("the lengths differ: the ") +
                              (more_expected ? "expected" : "actual") +
                              " source goes on after the " + steps + " timesteps of the stimulus");
        }
    }

    /// Whether the user's limit, not the data, ends the run.
    bool limited() const {
        return options_.max_steps > 0 && (stimulus_ == nullptr || limit_ < stimulus_->n_steps());
    }

    std::string loss_text() const {
        std::string text;
        if (outcome_.first)
            text = "a difference at timestep " + std::to_string(outcome_.first->timestep) +
                   (outcome_.first->timestep == *outcome_.first_loss ? ", where" : " after") + " ";
        text += "data was lost at timestep " + std::to_string(*outcome_.first_loss) + " (";
        if (outcome_.steps_invalid > 0)
            text += with_commas(outcome_.steps_invalid) + " timesteps not valid on both sides";
        if (outcome_.values_invalid > 0)
            text += (outcome_.steps_invalid > 0 ? ", " : "") +
                    with_commas(outcome_.values_invalid) + " values valid on one side only";
        return text + ")";
    }

    detail::Feed expected_;
    detail::Feed actual_;
    const trace::Stimulus* stimulus_;
    const Options& options_;
    Sink* sink_;
    detail::MaskPlan plan_;
    detail::Comparer comparer_;
    detail::Activity activity_;
    detail::History expected_history_;
    detail::History actual_history_;
    Pacer pacer_;
    Outcome outcome_;
    std::span<const trace::Sample> samples_;

    std::uint64_t limit_ =
        kForever;                 ///< end of the run; counted from the start until that is known
    std::uint64_t start_ = 0;     ///< first timestep that both sides have
    std::uint64_t position_ = 0;  ///< next timestep to compare
    bool started_ = false;
    bool ended_early_ = false;  ///< a source ended before the limit
    bool spikes_compared_ = false;
    bool first_has_spike_ = false;
    bool window_open_ = false;
    std::uint64_t submitted_ = 0;
    std::deque<std::uint64_t> block_ends_;       ///< of submitted blocks not yet compared
    std::deque<trace::StimulusBlock> pending_;   ///< the same blocks, for the sink
    std::vector<std::uint32_t> differing_rows_;  ///< of the block in hand
    detail::Part expected_block_;
    detail::Part actual_block_;
    detail::Part expected_part_;
    detail::Part actual_part_;
    trace::OrderTaker* taker_ = nullptr;  ///< the expected source, where order decides its results
    Clock::time_point last_progress_ = Clock::now();
};
}  // namespace

Result<Outcome> run(trace::StepSource& expected, trace::StepSource& actual,
                    const trace::Stimulus* stimulus, const Options& options, Sink* sink) {
    if (options.on_divergence == OnDivergence::Resynchronise)
        return Error{
            Errc::Unsupported,
            "resynchronising after a divergence needs access to the state of both sources, "
            "which they do not offer",
            {}};
    Outcome outcome;
    std::vector<std::string> known;
    auto channels = pair_channels(expected.shape(), actual.shape(), options.fields, known, outcome);
    if (!channels) return std::move(channels.error());
    auto plan =
        detail::MaskPlan::create(options.masks, *channels, known, expected.shape().n_neurons);
    if (!plan) return std::move(plan.error());
    outcome.masked = plan->sentences();
    if (channels->empty()) {
        outcome.reason = "nothing to compare: no selected field is shown by both sources";
        return outcome;
    }
    Engine engine(expected, actual, stimulus, options, sink, std::move(*channels), std::move(*plan),
                  std::move(outcome));
    return engine.run();
}

}  // namespace spikelock::lockstep

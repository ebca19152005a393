// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/stimulus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "column_ops.hpp"
#include "spikelock/base/assert.hpp"
#include "spikelock/base/random.hpp"

namespace spikelock::golden {
namespace {

using trace::InputEvent;
using trace::Sample;
using trace::StartState;
using trace::StimulusBlock;

/// Streams of one seed, so that equal seeds of two stimuli give unrelated numbers.
enum Stream : std::uint64_t { kPoisson = 0x706f, kImages = 0x696d, kCurrent = 0x6375 };

Error bad(std::string where, std::string message) {
    return Error{Errc::BadConfig, std::move(message), std::move(where)};
}

/// A probability as a 64-bit fraction: an event has it where uniform bits are below.
/// @pre 0 <= probability < 1
std::uint64_t fraction_of(double probability) {
    return static_cast<std::uint64_t>(std::ldexp(probability, 64));
}

/// Samples of equal length, the last one cut short. `length` 0: one sample.
std::vector<Sample> equal_samples(std::uint64_t n_steps, std::uint64_t length, StartState start) {
    std::vector<Sample> samples;
    if (length == 0) length = n_steps;
    for (std::uint64_t begin = 0; begin < n_steps;) {
        const std::uint64_t end = n_steps - begin > length ? begin + length : n_steps;
        samples.push_back({"", begin, end, start});
        begin = end;
    }
    return samples;
}

/// What all stimuli share: their length and the samples.
class SampledStimulus : public trace::Stimulus {
public:
    SampledStimulus(std::uint64_t n_steps, std::vector<Sample> samples)
        : n_steps_(n_steps), samples_(std::move(samples)) {}
    std::uint64_t n_steps() const override { return n_steps_; }
    std::span<const Sample> samples() const override { return samples_; }

protected:
    /// A block without events, with the sample starts that lie in it.
    StimulusBlock empty_block(std::uint64_t first, std::uint32_t count) const {
        SPIKELOCK_ASSERT(first <= n_steps_ && count <= n_steps_ - first);
        StimulusBlock block;
        block.first = first;
        block.n_steps = count;
        block.event_begin.reserve(std::size_t{count} + 1);
        block.event_begin.push_back(0);
        for (auto sample = std::ranges::lower_bound(samples_, first, {}, &Sample::begin);
             sample != samples_.end() && sample->begin < first + count; ++sample)
            block.begins.push_back(
                {static_cast<std::uint32_t>(sample->begin - first), sample->start});
        return block;
    }
    static void end_step(StimulusBlock& block) {
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
    }

private:
    std::uint64_t n_steps_;
    std::vector<Sample> samples_;
};

class EventStimulus final : public SampledStimulus {
public:
    EventStimulus(std::vector<TimedEvent> events, std::uint64_t n_steps,
                  std::vector<Sample> samples)
        : SampledStimulus(n_steps, std::move(samples)), events_(std::move(events)) {}

    StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        StimulusBlock out = empty_block(first, count);
        auto event = std::ranges::lower_bound(events_, first, {}, &TimedEvent::timestep);
        for (std::uint64_t t = first; t < first + count; ++t) {
            for (; event != events_.end() && event->timestep == t; ++event)
                out.events.push_back(event->event);
            end_step(out);
        }
        return out;
    }

private:
    std::vector<TimedEvent> events_;
};

class PoissonStimulus final : public SampledStimulus {
public:
    explicit PoissonStimulus(const PoissonOptions& options)
        : SampledStimulus(options.n_steps,
                          equal_samples(options.n_steps, options.sample_steps, options.start)),
          axons_(options.axons),
          always_(options.probability >= 1.0),
          fraction_(always_ ? 0 : fraction_of(options.probability)),
          random_(options.seed, kPoisson) {}

    StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        StimulusBlock out = empty_block(first, count);
        for (std::uint64_t t = first; t < first + count; ++t) {
            for (std::uint32_t base = 0; base < axons_; base += 64) {
                std::uint64_t word = spikes(t, base / 64);
                if (axons_ - base < 64) word &= ~(~std::uint64_t{0} << (axons_ - base));
                for (; word != 0; word &= word - 1)
                    out.events.push_back(
                        {base + static_cast<std::uint32_t>(std::countr_zero(word)), 0, 1});
            }
            end_step(out);
        }
        return out;
    }

private:
    /// 64 independent draws at once. Bit i of draw k is bit k of the i-th random word; the draws
    /// are compared with the probability's binary digits from the highest on, until all are
    /// decided. That takes about log2(64) + 2 words whatever the probability, and is exact.
    std::uint64_t spikes(std::uint64_t timestep, std::uint64_t group) const {
        if (always_) return ~std::uint64_t{0};
        std::uint64_t open = ~std::uint64_t{0};
        std::uint64_t below = 0;
        std::uint64_t lane = group * 64;
        for (std::uint64_t digits = fraction_; open != 0 && digits != 0; digits <<= 1) {
            const std::uint64_t draw = random_.bits(timestep, lane++);
            if ((digits >> 63) != 0) {
                below |= open & ~draw;
                open &= draw;
            } else {
                open &= ~draw;
            }
        }
        return below;  // what is still open equals the probability: not below it
    }

    std::uint32_t axons_;
    bool always_;
    std::uint64_t fraction_;
    CounterRandom random_;
};

class ImageStimulus final : public SampledStimulus {
public:
    ImageStimulus(const ImageOptions& options, std::vector<Sample> samples)
        : SampledStimulus(samples.empty() ? 0 : samples.back().end, samples),
          coding_(options.coding),
          pixels_(options.pixels_per_image),
          steps_(options.steps_per_image),
          random_(options.seed, kImages) {
        codes_.reserve(options.pixels.size());
        for (const double x : options.pixels) codes_.push_back(code_of(x, options));
    }

    StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        StimulusBlock out = empty_block(first, count);
        for (std::uint64_t t = first; t < first + count; ++t) {
            const std::uint64_t* const codes = codes_.data() + t / steps_ * pixels_;
            for (std::uint32_t p = 0; p < pixels_; ++p) {
                if (fires(codes[p], t, p)) out.events.push_back({p, 0, 1});
            }
            end_step(out);
        }
        return out;
    }

private:
    static constexpr std::uint64_t kNever = 0;
    static constexpr std::uint64_t kAlways = ~std::uint64_t{0};

    /// Rate: the probability as a fraction. Latency: one more than the step in which it fires.
    static std::uint64_t code_of(double x, const ImageOptions& options) {
        if (options.coding == ImageCoding::Rate) {
            const double probability = x * options.max_rate;
            return probability >= 1.0 ? kAlways : fraction_of(probability);
        }
        if (x <= 0.0) return kNever;
        // Intensity 1 fires in the first step, one just above 0 in the last.
        const double last = static_cast<double>(options.steps_per_image) - 1.0;
        return static_cast<std::uint64_t>(std::floor((1.0 - x) * last + 0.5)) + 1;
    }

    bool fires(std::uint64_t code, std::uint64_t timestep, std::uint32_t pixel) const {
        if (code == kNever) return false;
        if (coding_ == ImageCoding::Latency) return timestep % steps_ == code - 1;
        return code == kAlways || random_.bits(timestep, pixel) < code;
    }

    ImageCoding coding_;
    std::uint32_t pixels_;
    std::uint64_t steps_;
    std::vector<std::uint64_t> codes_;  ///< shape (n_images, pixels_)
    CounterRandom random_;
};

class CurrentStimulus final : public SampledStimulus {
public:
    explicit CurrentStimulus(CurrentOptions options)
        : SampledStimulus(options.n_steps,
                          equal_samples(options.n_steps, options.sample_steps, options.start)),
          current_(std::move(options.current)),
          noise_(options.noise),
          random_(options.seed, kCurrent) {}

    StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        StimulusBlock out = empty_block(first, count);
        out.event_begin.resize(std::size_t{count} + 1, 0);
        trace::SideBand band{"i_in", static_cast<std::uint32_t>(current_.size()), {}};
        band.values.resize(current_.size() * count);
        std::int32_t* row = band.values.data();
        for (std::uint64_t t = first; t < first + count; ++t, row += current_.size()) {
            if (noise_ == 0) {
                std::copy(current_.begin(), current_.end(), row);
                continue;
            }
            detail::column_ops_best().spread(row, current_.data(), current_.size(), random_.row(t),
                                             noise_);
        }
        out.side_bands.push_back(std::move(band));
        return out;
    }

private:
    std::vector<std::int32_t> current_;
    std::int32_t noise_;
    CounterRandom random_;
};

bool is_probability(double x) { return x >= 0.0 && x <= 1.0; }  // false for NaN

}  // namespace

Result<std::unique_ptr<trace::Stimulus>> make_event_stimulus(std::vector<TimedEvent> events,
                                                             std::uint64_t n_steps,
                                                             std::vector<Sample> samples) {
    for (std::size_t i = 0; i < events.size(); ++i) {
        const std::string where = fmt::format("event {}", i);
        if (i > 0 && events[i].timestep < events[i - 1].timestep)
            return bad(where, fmt::format("is at timestep {}, before {} of the event before it",
                                          events[i].timestep, events[i - 1].timestep));
        if (events[i].timestep >= n_steps)
            return bad(where, fmt::format("is at timestep {}, expected one below {}",
                                          events[i].timestep, n_steps));
    }
    if (samples.empty()) samples = equal_samples(n_steps, 0, StartState::Keep);
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < samples.size(); ++i) {
        if (samples[i].begin != next || samples[i].end <= samples[i].begin)
            return bad(fmt::format("sample {}", i),
                       fmt::format("covers timesteps {}..{}, expected a stretch from {} on",
                                   samples[i].begin, samples[i].end, next));
        next = samples[i].end;
    }
    if (next != n_steps)
        return bad("samples", fmt::format("end before timestep {}, expected {}", next, n_steps));
    return std::unique_ptr<trace::Stimulus>(
        std::make_unique<EventStimulus>(std::move(events), n_steps, std::move(samples)));
}

Result<std::unique_ptr<trace::Stimulus>> make_poisson_stimulus(PoissonOptions options) {
    if (!is_probability(options.probability))
        return bad("probability", fmt::format("is {}, expected 0..1", options.probability));
    return std::unique_ptr<trace::Stimulus>(std::make_unique<PoissonStimulus>(options));
}

Result<std::unique_ptr<trace::Stimulus>> make_image_stimulus(ImageOptions options) {
    if (options.pixels_per_image == 0) return bad("pixels_per_image", "is 0, expected at least 1");
    if (options.steps_per_image == 0) return bad("steps_per_image", "is 0, expected at least 1");
    if (!is_probability(options.max_rate))
        return bad("max_rate", fmt::format("is {}, expected 0..1", options.max_rate));
    const std::size_t images = options.labels.size();
    if (options.pixels.size() != images * options.pixels_per_image)
        return bad("pixels", fmt::format("has {} values, expected {} (images {} x pixels {})",
                                         options.pixels.size(), images * options.pixels_per_image,
                                         images, options.pixels_per_image));
    for (std::size_t i = 0; i < options.pixels.size(); ++i) {
        if (!is_probability(options.pixels[i]))
            return bad(fmt::format("pixel {} of image {}", i % options.pixels_per_image,
                                   i / options.pixels_per_image),
                       fmt::format("is {}, expected 0..1", options.pixels[i]));
    }
    std::vector<Sample> samples;
    for (std::size_t i = 0; i < images; ++i) {
        const std::uint64_t begin = i * std::uint64_t{options.steps_per_image};
        samples.push_back({std::move(options.labels[i]), begin, begin + options.steps_per_image,
                           StartState::Clear});
    }
    return std::unique_ptr<trace::Stimulus>(
        std::make_unique<ImageStimulus>(options, std::move(samples)));
}

Result<std::unique_ptr<trace::Stimulus>> make_current_stimulus(CurrentOptions options) {
    if (options.current.empty()) return bad("current", "has no neurons");
    if (options.noise < 0 || options.noise > (1 << 30))
        return bad("noise", fmt::format("is {}, expected 0..{}", options.noise, 1 << 30));
    for (std::size_t n = 0; n < options.current.size(); ++n) {
        const std::int64_t highest = std::abs(std::int64_t{options.current[n]}) + options.noise;
        if (highest > std::numeric_limits<std::int32_t>::max())
            return bad(fmt::format("current {}", n),
                       fmt::format("is {}, which with a noise of {} exceeds 32 bits",
                                   options.current[n], options.noise));
    }
    return std::unique_ptr<trace::Stimulus>(std::make_unique<CurrentStimulus>(std::move(options)));
}

}  // namespace spikelock::golden

// SPDX-License-Identifier: Apache-2.0
#include "scripted.hpp"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace spikelock::lockstep::test {

Script Script::blank(trace::Shape shape, std::uint32_t n_steps, std::uint64_t first) {
    Script script;
    const std::size_t elements = std::size_t{n_steps} * shape.n_neurons;
    script.first = first;
    script.n_steps = n_steps;
    script.values.assign(shape.fields.size(), std::vector<std::int64_t>(elements));
    script.value_valid.resize(shape.fields.size());
    script.spikes.resize(elements);
    script.valid.assign(n_steps, 1);
    script.shape = std::move(shape);
    return script;
}

void Script::truncate(std::uint32_t steps) {
    n_steps = steps;
    const std::size_t elements = std::size_t{steps} * shape.n_neurons;
    for (auto& field : values) field.resize(elements);
    for (auto& mask : value_valid)
        if (!mask.empty()) mask.resize(elements);
    spikes.resize(elements);
    valid.resize(steps);
}

trace::FieldSpec field(std::string name, int bytes, bool is_signed, bool is_float) {
    trace::FieldSpec spec;
    spec.name = std::move(name);
    spec.bytes = bytes;
    spec.bits = bytes * 8;
    spec.is_signed = is_signed;
    spec.is_float = is_float;
    return spec;
}

Status ScriptedSource::submit(const trace::StimulusBlock& block) {
    if (behaviour_.recorded) return {};
    if (block.first != submitted_ || block.n_steps == 0)
        return Error{Errc::Internal, "stimulus blocks must follow each other", {}};
    submitted_ += block.n_steps;
    ++blocks_submitted_;
    most_in_flight = std::max(most_in_flight, submitted_ - read_);
    return {};
}

Result<std::variant<trace::BlockView, trace::SourceEnd>> ScriptedSource::read(std::uint32_t most) {
    using Reply = std::variant<trace::BlockView, trace::SourceEnd>;
    memory_.reset();
    std::uint64_t left = script_.n_steps - read_;
    if (!behaviour_.recorded) left = std::min(left, submitted_ - read_);
    if (left == 0) {
        const bool done = read_ == script_.n_steps;
        if (done && behaviour_.error) return *behaviour_.error;
        trace::SourceEnd end = done ? behaviour_.end : trace::SourceEnd{};
        end.timestep = script_.first + read_;
        return Reply{end};
    }
    std::uint64_t count = std::min<std::uint64_t>(left, most);
    if (behaviour_.most_block > 0)
        count = std::min<std::uint64_t>(count, 1 + random_() % behaviour_.most_block);

    const trace::Shape& shape = script_.shape;
    const std::size_t words = shape.spike_words();
    const std::uint32_t neurons = shape.n_neurons;
    memory_ = std::make_unique<Memory>();
    trace::BlockView view;
    view.first = script_.first + read_;
    view.n_steps = static_cast<std::uint32_t>(count);
    memory_->spikes.resize(count * words);
    memory_->masks.resize(shape.fields.size());
    for (std::uint64_t s = 0; s < count; ++s)
        for (std::uint32_t n = 0; n < neurons; ++n) {
            const std::uint16_t fired = script_.spikes[(read_ + s) * neurons + n];
            if (fired > 0) memory_->spikes[s * words + n / 64] |= std::uint64_t{1} << (n % 64);
            if (shape.counts) memory_->counts.push_back(fired);
        }
    view.spikes = memory_->spikes;
    view.counts = memory_->counts;
    // Whether validity is spelled out where all is valid is up to a source: leave it to chance.
    for (std::uint64_t s = 0; s < count; ++s) memory_->valid.push_back(script_.valid[read_ + s]);
    const bool all_valid =
        std::find(memory_->valid.begin(), memory_->valid.end(), 0) == memory_->valid.end();
    if (!all_valid || random_() % 2 == 0) view.valid = memory_->valid;
    for (std::size_t f = 0; f < shape.fields.size(); ++f) {
        const auto bytes = static_cast<std::size_t>(shape.fields[f].bytes);
        const std::size_t size = count * neurons * bytes;
        memory_->fields.push_back(std::make_unique<std::byte[]>(size + 1));
        std::byte* into = memory_->fields.back().get() + 1;
        for (std::size_t i = 0; i < count * neurons; ++i) {
            const std::int64_t value = script_.values[f][read_ * neurons + i];
            std::memcpy(into + i * bytes, &value, bytes);  // little endian: the low bytes
        }
        view.fields.emplace_back(into, size);
        if (!script_.value_valid[f].empty()) {
            auto& mask = memory_->masks[f];
            mask.resize(count * words);
            for (std::uint64_t s = 0; s < count; ++s)
                for (std::uint32_t n = 0; n < neurons; ++n)
                    if (script_.value_valid[f][(read_ + s) * neurons + n] != 0)
                        mask[s * words + n / 64] |= std::uint64_t{1} << (n % 64);
        }
    }
    for (std::size_t f = 0; f < shape.fields.size(); ++f) {
        // A mask may be left out of a block in which all is valid.
        const auto& flags = script_.value_valid[f];
        bool whole = true;
        for (std::uint64_t i = read_ * neurons; !flags.empty() && i < (read_ + count) * neurons;
             ++i)
            whole = whole && flags[i] != 0;
        view.masks.emplace_back();
        if (!whole || random_() % 4 == 0) view.masks.back() = memory_->masks[f];
    }
    read_ += count;
    return Reply{view};
}

CountingStimulus::CountingStimulus(std::uint64_t n_steps, std::uint64_t sample_steps)
    : n_steps_(n_steps) {
    for (std::uint64_t begin = 0; begin < n_steps; begin += sample_steps)
        samples_.push_back(
            {"s", begin, std::min(n_steps, begin + sample_steps), trace::StartState::Clear});
}

trace::StimulusBlock CountingStimulus::block(std::uint64_t first, std::uint32_t count) const {
    trace::StimulusBlock block;
    block.first = first;
    block.n_steps = count;
    block.side_bands.push_back({"i_in", 2, {}});
    block.event_begin.push_back(0);
    for (std::uint64_t t = first; t < first + count; ++t) {
        for (std::uint64_t e = 0; e < t % 3; ++e)
            block.events.push_back({static_cast<std::uint32_t>(t), 0, 1});
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
        block.side_bands[0].values.push_back(static_cast<std::int32_t>(t));
        block.side_bands[0].values.push_back(-static_cast<std::int32_t>(t));
        for (const trace::Sample& sample : samples_)
            if (sample.begin == t)
                block.begins.push_back({static_cast<std::uint32_t>(t - first), sample.start});
    }
    return block;
}

namespace {
template <typename T>
void put(std::string& into, std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    into.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

/// Step by step, with validity spelled out, so that the cut of blocks does not show.
void put_block(std::string& into, std::vector<std::uint64_t>& steps, const trace::BlockView& block,
               const trace::Shape& shape) {
    const std::size_t words = shape.spike_words();
    for (std::size_t s = 0; s < block.n_steps; ++s) {
        steps.push_back(block.first + s);
        put(into, block.spikes.subspan(s * words, words));
        if (shape.counts) put(into, block.counts.subspan(s * shape.n_neurons, shape.n_neurons));
        into += block.valid.empty() || block.valid[s] != 0 ? 'v' : '-';
        for (std::size_t f = 0; f < shape.fields.size(); ++f) {
            const std::size_t row =
                std::size_t{shape.n_neurons} * static_cast<unsigned>(shape.fields[f].bytes);
            put(into, block.fields[f].subspan(s * row, row));
            const bool masked = f < block.masks.size() && !block.masks[f].empty();
            for (std::uint32_t n = 0; n < shape.n_neurons; ++n)
                into +=
                    !masked || (block.masks[f][s * words + n / 64] >> (n % 64) & 1U) ? 'v' : '-';
        }
    }
}
}  // namespace

Status KeepingSink::actual(const trace::BlockView& block) {
    if (fails) return *fails;
    put_block(actual_bytes, steps, block, actual_shape_);
    return {};
}

Status KeepingSink::expected_difference(const trace::BlockView& expected,
                                        const trace::BlockView& actual) {
    if (expected.first != actual.first || expected.n_steps != actual.n_steps)
        return Error{Errc::Internal, "the two sides of a difference are not aligned", {}};
    if (!steps.empty() && expected.first <= steps.back())
        return Error{Errc::Internal, "a difference must come before its actual block", {}};
    put_block(expected_bytes, difference_steps, expected, expected_shape_);
    return {};
}

Status KeepingSink::stimulus(const trace::StimulusBlock& block) {
    for (std::uint32_t s = 0; s < block.n_steps; ++s) {
        stimulus_steps.push_back(block.first + s);
        put(stimulus_bytes, block.events_of(s));
        for (const auto& band : block.side_bands)
            put(stimulus_bytes, std::span(band.values).subspan(s * band.width, band.width));
        for (const auto& begin : block.begins)
            if (begin.step == s) stimulus_bytes += 'b';
        stimulus_bytes += ';';
    }
    return {};
}

namespace {
void put_trace(std::ostringstream& out, const char* name, const trace::ExecutionTrace& window) {
    out << name << " " << window.first_step() << "+" << window.n_steps() << "\n";
    for (std::uint64_t t = window.first_step(); window.holds(t); ++t) {
        out << t << (window.valid(t) ? "v" : "-");
        for (std::uint32_t n = 0; n < window.n_neurons(); ++n) {
            out << " " << window.spike(t, n);
            for (std::size_t f = 0; f < window.shape().fields.size(); ++f)
                out << "," << window.raw(f, t, n) << (window.valid(f, t, n) ? "v" : "-");
        }
        out << "\n";
    }
    for (const auto& sample : window.samples()) out << sample.begin << ".." << sample.end << "\n";
}

void put_divergence(std::ostringstream& out, const char* name, const Divergence& d) {
    out << name << " t" << d.timestep << " s" << d.sample << "+" << d.step_in_sample << " n"
        << d.n_differences << "/" << d.n_spike_differences;
    for (const auto& x : d.differences)
        out << " " << x.field << "[" << x.neuron << "]" << x.expected << "!" << x.actual;
    out << "\n";
}

template <typename T>
std::string text(const std::optional<T>& value) {
    return value ? std::to_string(*value) : "none";
}
}  // namespace

std::string text_of(const Outcome& o) {
    std::ostringstream out;
    out << name_of(o.verdict) << " " << o.reason << "\n";
    if (o.first) put_divergence(out, "first", *o.first);
    if (o.first_spike) put_divergence(out, "first_spike", *o.first_spike);
    for (const auto& d : o.collected) put_divergence(out, "collected", d);
    out << "divergent " << o.divergent_steps << " steps " << o.steps_compared << " values "
        << o.values_compared << " invalid " << o.steps_invalid << "/" << o.values_invalid
        << " loss " << text(o.first_loss) << " spikes " << o.spikes_expected << "/"
        << o.spikes_actual << " agreed " << text(o.last_agreed) << " interrupted " << o.interrupted
        << " samples " << o.n_samples << "\n";
    for (const auto& name : o.compared_fields) out << name << " ";
    for (const auto& name : o.not_compared) out << "not " << name << " ";
    for (const auto& name : o.masked) out << "masked " << name << " ";
    if (o.actual_end) out << "end " << static_cast<int>(o.actual_end->kind);
    if (o.expected_end) out << "expected end " << static_cast<int>(o.expected_end->kind);
    out << "\n";
    put_trace(out, "expected", o.expected_window);
    put_trace(out, "actual", o.actual_window);
    return out.str();
}

}  // namespace spikelock::lockstep::test

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/trace_source.hpp"

#include <algorithm>

namespace spikelock::analysis {

namespace {
class TraceSource final : public trace::StepSource {
public:
    explicit TraceSource(const trace::ExecutionTrace& trace) : trace_(trace), all_(trace.view()) {}

    const trace::Shape& shape() const override { return trace_.shape(); }
    Status submit(const trace::StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return 0; }

    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(
        std::uint32_t max_steps) override {
        using Read = std::variant<trace::BlockView, trace::SourceEnd>;
        const std::uint64_t left = trace_.n_steps() - next_;
        if (left == 0) {
            trace::SourceEnd end;
            end.timestep = trace_.first_step() + next_;
            return Read{end};
        }
        const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, max_steps));
        const auto at = static_cast<std::size_t>(next_);
        const std::size_t words = shape().spike_words();
        const std::size_t neurons = shape().n_neurons;

        trace::BlockView block;
        block.first = trace_.first_step() + next_;
        block.n_steps = static_cast<std::uint32_t>(count);
        block.spikes = all_.spikes.subspan(at * words, count * words);
        for (std::size_t f = 0; f < all_.fields.size(); ++f) {
            const std::size_t row = neurons * static_cast<std::size_t>(shape().fields[f].bytes);
            block.fields.push_back(all_.fields[f].subspan(at * row, count * row));
        }
        if (!all_.valid.empty()) block.valid = all_.valid.subspan(at, count);
        for (const auto& mask : all_.masks)
            block.masks.push_back(mask.empty() ? mask : mask.subspan(at * words, count * words));
        if (!all_.counts.empty()) block.counts = all_.counts.subspan(at * neurons, count * neurons);
        next_ += count;
        return Read{std::move(block)};
    }

private:
    const trace::ExecutionTrace& trace_;
    trace::BlockView all_;
    std::uint64_t next_ = 0;  ///< timesteps already read
};
}  // namespace

std::unique_ptr<trace::StepSource> make_trace_source(const trace::ExecutionTrace& trace) {
    return std::make_unique<TraceSource>(trace);
}

}  // namespace spikelock::analysis

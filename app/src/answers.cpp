// SPDX-License-Identifier: Apache-2.0
#include "answers.hpp"

#include <algorithm>

namespace spikelock::app {

AnswerCounter::AnswerCounter(trace::Population population, std::uint32_t n_neurons,
                             std::span<const trace::Sample> samples)
    : population_(std::move(population)),
      words_((n_neurons + 63) / 64),
      samples_(samples),
      counts_(population_.end - population_.begin) {}

void AnswerCounter::take(const trace::BlockView& block) {
    for (std::uint32_t step = 0; step < block.n_steps && sample_ < samples_.size(); ++step) {
        const std::uint64_t t = block.first + step;
        const std::uint64_t* row = block.spikes.data() + step * words_;
        for (std::uint32_t n = population_.begin; n < population_.end; ++n)
            counts_[n - population_.begin] +=
                block.counts.empty()
                    ? (row[n / 64] >> (n % 64)) & 1
                    : block.counts[step * (block.counts.size() / block.n_steps) + n];
        if (t + 1 != samples_[sample_].end) continue;
        const auto best = std::max_element(counts_.begin(), counts_.end()) - counts_.begin();
        if (!samples_[sample_].label.empty()) {
            ++accuracy_.samples;
            if (std::to_string(best) == samples_[sample_].label) ++accuracy_.right;
        }
        std::fill(counts_.begin(), counts_.end(), 0);
        ++sample_;
    }
}

namespace {
class CountingSource : public trace::StepSource {
public:
    CountingSource(std::unique_ptr<trace::StepSource> source, AnswerCounter* counter)
        : source_(std::move(source)), counter_(counter) {}
    const trace::Shape& shape() const override { return source_->shape(); }
    Status submit(const trace::StimulusBlock& block) override { return source_->submit(block); }
    std::uint64_t in_flight() const override { return source_->in_flight(); }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(
        std::uint32_t max_steps) override {
        auto got = source_->read(max_steps);
        if (got)
            if (const auto* block = std::get_if<trace::BlockView>(&*got)) counter_->take(*block);
        return got;
    }

private:
    std::unique_ptr<trace::StepSource> source_;
    AnswerCounter* counter_;
};
}  // namespace

namespace {
/// The same of a source that follows the order of another.
class OrderedCountingSource final : public CountingSource, public trace::OrderTaker {
public:
    OrderedCountingSource(std::unique_ptr<trace::StepSource> source, AnswerCounter* counter,
                          trace::OrderTaker* taker)
        : CountingSource(std::move(source), counter), taker_(taker) {}
    Status give_order(std::uint32_t n_steps, std::span<const trace::TakenEvent> taken) override {
        return taker_->give_order(n_steps, taken);
    }

private:
    trace::OrderTaker* taker_;
};
}  // namespace

std::unique_ptr<trace::StepSource> count_answers(std::unique_ptr<trace::StepSource> source,
                                                 AnswerCounter* counter) {
    if (auto* taker = dynamic_cast<trace::OrderTaker*>(source.get()))
        return std::make_unique<OrderedCountingSource>(std::move(source), counter, taker);
    return std::make_unique<CountingSource>(std::move(source), counter);
}

}  // namespace spikelock::app

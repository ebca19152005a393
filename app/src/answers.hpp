// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spikelock/trace/step_source.hpp"

namespace spikelock::app {

/// Right answers among the labelled samples that were run to their end.
struct Accuracy {
    std::uint64_t right = 0;
    std::uint64_t samples = 0;
    double percent() const {
        return samples == 0 ? 0.0
                            : 100.0 * static_cast<double>(right) / static_cast<double>(samples);
    }
};

/// Reads each sample's answer off the spikes: the neuron of a population that fired most, the
/// lowest on a tie; its index in the population is compared with the sample's label.
class AnswerCounter {
public:
    /// @param population  neurons that stand for answers 0, 1, ...
    AnswerCounter(trace::Population population, std::uint32_t n_neurons,
                  std::span<const trace::Sample> samples);
    void take(const trace::BlockView& block);
    const Accuracy& accuracy() const { return accuracy_; }

private:
    trace::Population population_;
    std::size_t words_;
    std::span<const trace::Sample> samples_;
    std::size_t sample_ = 0;
    std::vector<std::uint64_t> counts_;
    Accuracy accuracy_;
};

/// Passes a source through and counts its answers on the way.
std::unique_ptr<trace::StepSource> count_answers(std::unique_ptr<trace::StepSource> source,
                                                 AnswerCounter* counter);

}  // namespace spikelock::app

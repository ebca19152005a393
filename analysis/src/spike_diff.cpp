// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/spike_diff.hpp"

#include <algorithm>
#include <bit>

#include "spikelock/base/assert.hpp"

namespace spikelock::analysis {

namespace {
trace::BlockView steps_of(const trace::BlockView& all, const trace::Shape& shape, std::size_t at,
                          std::size_t count) {
    trace::BlockView block;
    block.first = all.first + at;
    block.n_steps = static_cast<std::uint32_t>(count);
    const std::size_t words = shape.spike_words();
    block.spikes = all.spikes.subspan(at * words, count * words);
    if (!all.valid.empty()) block.valid = all.valid.subspan(at, count);
    if (!all.counts.empty())
        block.counts = all.counts.subspan(at * shape.n_neurons, count * shape.n_neurons);
    return block;
}
}  // namespace

double SpikeDiff::rate() const noexcept {
    const double places = static_cast<double>(steps_compared) * static_cast<double>(n_neurons);
    return places > 0 ? static_cast<double>(total.mismatches()) / places : 0.0;
}

int SpikeDiff::lag() const noexcept {
    const auto best = mismatches_at_lag[0] < mismatches_at_lag[2] ? std::size_t{0} : std::size_t{2};
    if (mismatches_at_lag[best] * 2 >= mismatches_at_lag[1]) return 0;
    return static_cast<int>(best) - 1;
}

SpikeDiffer::SpikeDiffer(const trace::Shape& shape, SpikeDiffOptions options)
    : options_(options), populations_(shape.populations) {
    diff_.n_neurons = shape.n_neurons;
    diff_.neurons.resize(shape.n_neurons);
    previous_expected_.resize(shape.spike_words());
    previous_actual_.resize(shape.spike_words());
}

Result<SpikeDiffer> SpikeDiffer::create(const trace::Shape& expected, const trace::Shape& actual,
                                        SpikeDiffOptions options) {
    if (expected.n_neurons != actual.n_neurons)
        return Error{Errc::Mismatch,
                     "both sides must have the same number of neurons, expected " +
                         std::to_string(expected.n_neurons) + ", actual " +
                         std::to_string(actual.n_neurons),
                     {}};
    return SpikeDiffer(expected.populations.empty() ? actual : expected, options);
}

void SpikeDiffer::note(std::uint64_t timestep, std::uint32_t neuron, std::uint64_t expected,
                       std::uint64_t actual) {
    SpikeTally& tally = diff_.neurons[neuron];
    const bool missing = expected > actual;
    (missing ? tally.missing : tally.extra) += missing ? expected - actual : actual - expected;
    if (!diff_.first) {
        diff_.first = trace::Spike{timestep, neuron};
        diff_.first_is_missing = missing;
    }
    std::vector<trace::Spike>& list = missing ? diff_.missing : diff_.extra;
    if (list.size() < options_.most_listed) list.push_back({timestep, neuron});
}

void SpikeDiffer::feed(const trace::BlockView& expected, const trace::BlockView& actual) {
    SPIKELOCK_ASSERT(expected.first == actual.first && expected.n_steps == actual.n_steps);
    const std::size_t words = previous_expected_.size();
    const std::size_t neurons = diff_.n_neurons;
    const bool counted = !expected.counts.empty() && !actual.counts.empty();
    for (std::size_t s = 0; s < expected.n_steps; ++s) {
        const std::uint64_t t = expected.first + s;
        if ((!expected.valid.empty() && expected.valid[s] == 0) ||
            (!actual.valid.empty() && actual.valid[s] == 0)) {
            ++diff_.steps_invalid;
            has_previous_ = false;
            continue;
        }
        ++diff_.steps_compared;
        const auto e = expected.spikes.subspan(s * words, words);
        const auto a = actual.spikes.subspan(s * words, words);
        if (counted) {
            for (std::size_t n = 0; n < neurons; ++n) {
                const std::uint64_t ec = expected.counts[s * neurons + n];
                const std::uint64_t ac = actual.counts[s * neurons + n];
                diff_.neurons[n].expected += ec;
                diff_.neurons[n].actual += ac;
                if (ec != ac) note(t, static_cast<std::uint32_t>(n), ec, ac);
            }
        }
        const bool lagged = has_previous_ && previous_step_ + 1 == t;
        for (std::size_t w = 0; w < words; ++w) {
            diff_.mismatches_at_lag[1] += static_cast<std::uint64_t>(std::popcount(e[w] ^ a[w]));
            if (lagged) {
                diff_.mismatches_at_lag[0] +=
                    static_cast<std::uint64_t>(std::popcount(previous_expected_[w] ^ a[w]));
                diff_.mismatches_at_lag[2] +=
                    static_cast<std::uint64_t>(std::popcount(e[w] ^ previous_actual_[w]));
            }
            previous_expected_[w] = e[w];
            previous_actual_[w] = a[w];
            if (counted) continue;
            for (std::uint64_t any = e[w] | a[w]; any != 0; any &= any - 1) {
                const auto bit = static_cast<std::uint32_t>(std::countr_zero(any));
                const auto n = static_cast<std::uint32_t>(w * 64) + bit;
                const std::uint64_t eb = e[w] >> bit & 1;
                const std::uint64_t ab = a[w] >> bit & 1;
                diff_.neurons[n].expected += eb;
                diff_.neurons[n].actual += ab;
                if (eb != ab) note(t, n, eb, ab);
            }
        }
        has_previous_ = true;
        previous_step_ = t;
    }
}

SpikeDiff SpikeDiffer::result() const {
    SpikeDiff diff = diff_;
    const auto sum = [&diff](std::uint32_t begin, std::uint32_t end) {
        SpikeTally total;
        for (std::uint32_t n = begin; n < std::min(end, diff.n_neurons); ++n) {
            total.expected += diff.neurons[n].expected;
            total.actual += diff.neurons[n].actual;
            total.missing += diff.neurons[n].missing;
            total.extra += diff.neurons[n].extra;
        }
        return total;
    };
    diff.total = sum(0, diff.n_neurons);
    for (const trace::Population& population : populations_)
        diff.populations.push_back({population.label, sum(population.begin, population.end)});
    return diff;
}

Result<SpikeDiff> spike_diff(const trace::ExecutionTrace& expected,
                             const trace::ExecutionTrace& actual, SpikeDiffOptions options) {
    Result<SpikeDiffer> differ = SpikeDiffer::create(expected.shape(), actual.shape(), options);
    if (!differ) return std::move(differ.error());
    const std::uint64_t begin = std::max(expected.first_step(), actual.first_step());
    const std::uint64_t end = std::min(expected.first_step() + expected.n_steps(),
                                       actual.first_step() + actual.n_steps());
    const std::uint64_t common = end > begin ? end - begin : 0;
    // Blocks carry their length in 32 bits; traces may be longer.
    constexpr std::uint64_t kBlock = std::uint64_t{1} << 20;
    const trace::BlockView e = expected.view();
    const trace::BlockView a = actual.view();
    for (std::uint64_t done = 0; done < common; done += kBlock) {
        const auto count = static_cast<std::size_t>(std::min(kBlock, common - done));
        const auto e_at = static_cast<std::size_t>(begin + done - expected.first_step());
        const auto a_at = static_cast<std::size_t>(begin + done - actual.first_step());
        differ->feed(steps_of(e, expected.shape(), e_at, count),
                     steps_of(a, actual.shape(), a_at, count));
    }
    differ->feed_unmatched(expected.n_steps() + actual.n_steps() - 2 * common);
    return differ->result();
}

}  // namespace spikelock::analysis

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "spikelock/base/random.hpp"
#include "spikelock/trace/execution_trace.hpp"

namespace spikelock::trace::test {

/// A fresh folder that is removed at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "spikelock-trace-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::string file(const std::string& name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

/// What a random trace contains; every value is a function of seed and timestep, so that two
/// processes make the same.
struct RandomTrace {
    std::uint64_t seed = 1;
    std::uint32_t n_neurons = 70;
    bool counts = false;
    bool invalid_steps = false;
    bool masks = false;
    bool lists = false;  ///< ordered spikes, taken events
    std::uint64_t first = 0;

    Shape shape() const {
        Shape s;
        s.n_neurons = n_neurons;
        s.dt = 1e-4;
        s.counts = counts;
        s.events = s.order = lists;
        const std::uint32_t half = n_neurons / 2;
        s.populations = {{"hidden", 0, half}, {"out", half, n_neurons}};
        s.fields = {
            {"i_syn", FieldClass::Input, 24, true, false, 4, 4},
            {"v", FieldClass::State, 16, true, false, 8, 2},
            {"refr", FieldClass::State, 4, false, false, 0, 1},
            {"lfsr", FieldClass::State, 64, false, false, 0, 8},
            {"x", FieldClass::State, 64, true, true, 0, 8},
        };
        return s;
    }

    bool valid(std::uint64_t t) const {
        // Long valid stretches, so that some chunks hold no invalid timestep.
        return !invalid_steps || (t / 100) % 5 != 2 || CounterRandom(seed, 7).below(4, t) != 0;
    }

    ExecutionTrace make(std::uint64_t from, std::uint32_t steps) const {
        const Shape s = shape();
        const std::size_t words = s.spike_words();
        std::vector<std::uint64_t> spikes(steps * words, 0);
        std::vector<std::uint16_t> count(counts ? std::size_t{steps} * n_neurons : 0);
        std::vector<std::uint8_t> ok;
        std::vector<std::vector<std::byte>> fields(s.fields.size());
        std::vector<std::vector<std::uint64_t>> bits(s.fields.size());
        const CounterRandom random(seed, 1);
        for (std::size_t f = 0; f < fields.size(); ++f) {
            fields[f].resize(std::size_t{steps} * n_neurons *
                             static_cast<std::size_t>(s.fields[f].bytes));
        }
        if (masks) bits[1].assign(steps * words, 0);
        for (std::uint32_t i = 0; i < steps; ++i) {
            const std::uint64_t t = from + i;
            if (invalid_steps) ok.push_back(valid(t) ? 1 : 0);
            for (std::uint32_t n = 0; n < n_neurons; ++n) {
                const std::uint64_t r = random.bits(t, n);
                if (r % 10 == 0) spikes[i * words + n / 64] |= std::uint64_t{1} << (n % 64);
                if (counts && r % 10 == 0) {
                    count[std::size_t{i} * n_neurons + n] =
                        static_cast<std::uint16_t>(1 + r / 10 % 3);
                }
                if (masks && (t % 200 < 140 || r % 3 != 0)) {
                    bits[1][i * words + n / 64] |= std::uint64_t{1} << (n % 64);
                }
                const std::int64_t values[] = {
                    static_cast<std::int32_t>(r >> 40) - (1 << 23),
                    static_cast<std::int16_t>(static_cast<std::int64_t>(t % 64) * n),
                    static_cast<std::int64_t>(r & 15U), static_cast<std::int64_t>(r),
                    std::bit_cast<std::int64_t>(static_cast<double>(r >> 12) * 1e-9)};
                for (std::size_t f = 0; f < fields.size(); ++f) {
                    const auto bytes = static_cast<std::size_t>(s.fields[f].bytes);
                    std::memcpy(fields[f].data() + (std::size_t{i} * n_neurons + n) * bytes,
                                &values[f], bytes);  // little-endian: the low bytes
                }
            }
        }
        std::vector<SpikeEvent> events;
        std::vector<TakenEvent> taken;
        for (std::uint32_t i = 0; i < steps && lists; ++i) {
            const std::uint64_t t = from + i;
            // Bursts and silence; neither order nor number follows from the spike bits.
            const std::uint32_t many = t % 50 == 7 ? 300 : random.below(4, t, 1000);
            for (std::uint32_t k = 0; k < many; ++k) {
                const std::uint64_t r = random.bits(t, 2000 + k);
                events.push_back({i, static_cast<std::uint32_t>(r % n_neurons), t * 1000 + k});
                if (r % 3 != 0) continue;
                taken.push_back({i, static_cast<std::uint32_t>(r >> 32),
                                 r % 2 == 0 ? TakenEvent::kInternal : std::uint16_t{3}});
            }
        }
        BlockView block;
        block.first = from;
        block.n_steps = steps;
        block.events = events;
        block.taken = taken;
        block.spikes = spikes;
        block.fields.assign(fields.begin(), fields.end());
        block.valid = ok;
        if (masks) block.masks.assign(bits.begin(), bits.end());
        block.counts = count;
        ExecutionTrace trace(s, from);
        trace.append(block);
        return trace;
    }

    /// Input of timesteps, with two side bands.
    StimulusBlock stimulus(std::uint64_t from, std::uint32_t steps) const {
        const CounterRandom random(seed, 2);
        StimulusBlock block;
        block.first = from;
        block.n_steps = steps;
        block.side_bands = {{"i_in", 5, {}}, {"mode", 1, {}}};
        for (std::uint64_t t = from; t < from + steps; ++t) {
            block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
            const std::uint32_t many = t % 40 == 3 ? 200 : random.below(6, t, 0);
            for (std::uint32_t k = 1; k <= many; ++k) {
                const std::uint64_t r = random.bits(t, k);
                block.events.push_back({static_cast<std::uint32_t>(r % 100'000),
                                        static_cast<std::uint16_t>(r >> 62),
                                        static_cast<std::int16_t>(r >> 40)});
            }
            for (std::uint32_t k = 0; k < 5; ++k) {
                block.side_bands[0].values.push_back(
                    static_cast<std::int32_t>(random.bits(t, 5000 + k)));
            }
            block.side_bands[1].values.push_back(static_cast<std::int32_t>(t % 3));
        }
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
        return block;
    }
};

}  // namespace spikelock::trace::test

// SPDX-License-Identifier: Apache-2.0
// The engine against a comparer that looks at one element after the other, on random runs.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <random>

#include "scripted.hpp"

using namespace spikelock;
using namespace spikelock::lockstep;
using namespace spikelock::lockstep::test;

namespace {
struct Case {
    Script expected;
    Script actual;
    Options options;
    std::uint64_t sample_steps = 1;
    bool recorded = false;
};

std::int64_t stored(std::int64_t value, const trace::FieldSpec& spec) {
    if (spec.bytes == 8) return value;
    const int unused = 64 - 8 * spec.bytes;
    const auto high = static_cast<std::uint64_t>(value) << unused;
    return spec.is_signed ? static_cast<std::int64_t>(high) >> unused
                          : static_cast<std::int64_t>(high >> unused);
}

Case random_case(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    const auto chance = [&](std::uint64_t one_in) { return below(one_in) == 0; };
    const std::uint64_t sizes[] = {1, 2, 63, 64, 65, 128, 1 + below(300)};

    trace::Shape shape;
    shape.n_neurons = static_cast<std::uint32_t>(sizes[below(7)]);
    shape.counts = chance(4);
    const int widths[] = {1, 2, 4, 8};
    const char* names[] = {"i_syn", "u", "v", "refr"};
    for (std::size_t f = 0, count = below(5); f < count; ++f) {
        const bool is_float = chance(5);
        const int bytes = is_float ? 8 : widths[below(4)];
        shape.fields.push_back(field(names[f], bytes, is_float || !chance(3), is_float));
    }
    const auto steps = static_cast<std::uint32_t>(1 + below(shape.n_neurons > 100 ? 60 : 300));

    Case c;
    c.expected = Script::blank(shape, steps);
    // Some runs never move, so that vacuous ones occur.
    const bool still = chance(8);
    const std::uint64_t rate = 1 + below(40);
    for (auto& s : c.expected.spikes)
        s = !still && chance(rate) ? static_cast<std::uint16_t>(shape.counts ? 1 + below(3) : 1)
                                   : std::uint16_t{0};
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        for (auto& v : c.expected.values[f])
            v = still ? 7 : stored(static_cast<std::int64_t>(random()), shape.fields[f]);
    const bool loses = chance(4);
    if (loses)
        for (auto& flag : c.expected.valid) flag = chance(steps) ? 0 : 1;
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        if (chance(6)) {
            auto& mask = c.expected.value_valid[f];
            mask.resize(c.expected.values[f].size());
            const std::uint64_t one_in = chance(2) ? 5 : mask.size();
            for (auto& flag : mask) flag = chance(one_in) ? 0 : 1;
        }
    c.actual = c.expected;
    if (chance(5))  // validity that differs
        for (auto& flag : c.actual.valid) flag = chance(steps) ? 0 : flag;
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        if (!c.actual.value_valid[f].empty() && chance(3))
            c.actual.value_valid[f][below(c.actual.value_valid[f].size())] ^= 1;

    // Faults: single bits, single spikes, or a stretch of many.
    const std::uint64_t faults = chance(4) ? 0 : 1 + below(4);
    for (std::uint64_t i = 0; i < faults; ++i) {
        const std::size_t at = below(c.actual.spikes.size());
        const std::size_t many = chance(3) ? 1 + below(3 * shape.n_neurons) : 1;
        const std::size_t f = below(shape.fields.size() + 1);
        for (std::size_t e = at; e < std::min(at + many, c.actual.spikes.size()); ++e) {
            if (f == shape.fields.size()) {
                c.actual.spikes[e] =
                    shape.counts ? static_cast<std::uint16_t>(below(4)) : c.actual.spikes[e] ^ 1U;
            } else {
                const auto& spec = shape.fields[f];
                const std::uint64_t bit = std::uint64_t{1}
                                          << below(static_cast<std::uint64_t>(spec.bytes) * 8);
                auto& value = c.actual.values[f][e];
                value = stored(static_cast<std::int64_t>(static_cast<std::uint64_t>(value) ^ bit),
                               spec);
            }
        }
    }
    c.recorded = chance(3);
    if (c.recorded && chance(3)) {
        Script& shorter = chance(2) ? c.actual : c.expected;
        shorter.truncate(static_cast<std::uint32_t>(1 + below(steps)));
    }
    c.sample_steps = 1 + below(steps);

    Options& o = c.options;
    o.collect = chance(2) ? 1 : 1 + below(5);
    o.window_before = static_cast<std::uint32_t>(below(20));
    o.window_after = static_cast<std::uint32_t>(below(10));
    o.most_differences = static_cast<std::uint32_t>(1 + below(40));
    o.spike_search_steps = chance(2) ? 4096 : below(50);
    o.allow_vacuous = chance(3);
    o.blocks_ahead = static_cast<std::uint32_t>(below(5));
    if (chance(4)) o.max_steps = 1 + below(steps + 10);
    for (std::uint64_t i = 0, count = chance(2) ? 0 : below(4); i < count; ++i) {
        Mask mask;
        const std::size_t f = below(shape.fields.size() + 2);
        mask.field = f < shape.fields.size()    ? shape.fields[f].name
                     : f == shape.fields.size() ? "spike"
                                                : "*";
        if (chance(2)) {
            mask.neuron_begin = static_cast<std::uint32_t>(below(shape.n_neurons));
            mask.neuron_end = static_cast<std::uint32_t>(
                mask.neuron_begin + 1 + below(shape.n_neurons - mask.neuron_begin));
        }
        if (chance(2)) {
            mask.step_begin = below(steps);
            mask.step_end = mask.step_begin + 1 + below(steps);
        }
        if (mask.field != "spike" && chance(2)) mask.low_bits = static_cast<int>(1 + below(20));
        o.masks.push_back(mask);
    }
    if (chance(5)) {
        o.fields = {"spike"};
        if (!shape.fields.empty()) o.fields = {shape.fields[below(shape.fields.size())].name};
        if (chance(2)) o.fields.emplace_back("spike");
    }
    return c;
}

/// What the engine must find, found the slow way.
Outcome reference(const Case& c, const std::vector<trace::Sample>& samples) {
    const Script& e = c.expected;
    const Script& a = c.actual;
    const Options& o = c.options;
    const trace::Shape& shape = e.shape;
    Outcome out;
    std::vector<int> channels;  // field, or -1 for spikes
    const auto selected = [&](const std::string& name) {
        return o.fields.empty() ||
               std::find(o.fields.begin(), o.fields.end(), name) != o.fields.end();
    };
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        if (selected(shape.fields[f].name)) channels.push_back(static_cast<int>(f));
    if (selected("spike")) channels.push_back(-1);

    std::uint64_t total = std::min(e.n_steps, a.n_steps);
    const bool cut = o.max_steps > 0 && o.max_steps <= total;
    if (cut) total = o.max_steps;
    bool active = false;
    bool spikes_in_first = false;
    std::vector<std::vector<std::optional<std::int64_t>>> last(
        shape.fields.size(), std::vector<std::optional<std::int64_t>>(shape.n_neurons));
    for (std::uint64_t t = 0; t < total; ++t) {
        if (out.first && out.collected.size() >= o.collect) {
            const std::uint64_t f = out.first->timestep;
            const bool searching = !out.first_spike && !spikes_in_first && channels.back() == -1;
            if (t > f + o.window_after && !(searching && t <= f + o.spike_search_steps)) break;
        }
        const bool valid = e.valid[t] != 0 && a.valid[t] != 0;
        bool anything = false;
        bool lost = false;
        Divergence d;
        d.timestep = t;
        Divergence only_spikes;
        for (std::uint32_t n = 0; n < shape.n_neurons; ++n) {
            const std::size_t at = e.at(t, n);
            if (e.valid[t] != 0) out.spikes_expected += e.spikes[at];
            if (a.valid[t] != 0) out.spikes_actual += a.spikes[at];
            for (const int channel : channels) {
                const auto f = static_cast<std::size_t>(std::max(channel, 0));
                const std::string name = channel < 0 ? "spike" : shape.fields[f].name;
                std::uint64_t bits = ~std::uint64_t{0};
                for (const Mask& m : o.masks) {
                    const bool whole_run = m.step_begin == 0 && m.step_end == 0;
                    const bool whole_bank = m.neuron_begin == 0 && m.neuron_end == 0;
                    if (m.field != "*" && m.field != name) continue;
                    if (!whole_run && (t < m.step_begin || t >= m.step_end)) continue;
                    if (!whole_bank && (n < m.neuron_begin || n >= m.neuron_end)) continue;
                    if (m.low_bits == 0) bits = 0;
                    if (m.low_bits == 0 || channel < 0) continue;
                    bits =
                        m.low_bits >= shape.fields[f].bits ? 0 : bits >> m.low_bits << m.low_bits;
                }
                if (bits == 0) continue;
                anything = true;
                if (!valid) continue;
                if (channel >= 0) {
                    const bool ev = e.value_valid[f].empty() || e.value_valid[f][at] != 0;
                    const bool av = a.value_valid[f].empty() || a.value_valid[f][at] != 0;
                    if (ev != av) {
                        ++out.values_invalid;
                        lost = true;
                    }
                    if (!ev || !av) continue;
                }
                ++out.values_compared;
                const std::int64_t x = channel < 0 ? e.spikes[at] : e.values[f][at];
                const std::int64_t y = channel < 0 ? a.spikes[at] : a.values[f][at];
                if (channel >= 0) {
                    auto& before = last[f][n];
                    if (before && (static_cast<std::uint64_t>(*before ^ y) & bits) != 0)
                        active = true;
                    before = y;
                }
                if ((static_cast<std::uint64_t>(x ^ y) & bits) == 0) continue;
                ++d.n_differences;
                if (d.differences.size() < o.most_differences)
                    d.differences.push_back({name, n, x, y});
                if (channel >= 0) continue;
                ++d.n_spike_differences;
                if (only_spikes.differences.size() < o.most_differences)
                    only_spikes.differences.push_back({name, n, x, y});
            }
        }
        if (valid) ++out.steps_compared;
        if (!valid && anything) {
            ++out.steps_invalid;
            lost = true;
        }
        if (lost && !out.first_loss) out.first_loss = t;
        if (d.n_differences == 0) {
            if (!out.first && !lost && anything) out.last_agreed = t;
            continue;
        }
        for (std::size_t s = 0; s < samples.size(); ++s)
            if (t >= samples[s].begin && t < samples[s].end) {
                d.sample = s;
                d.step_in_sample = t - samples[s].begin;
            }
        ++out.divergent_steps;
        if (!out.first) {
            out.first = d;
            spikes_in_first = d.n_spike_differences > 0;
        } else if (!spikes_in_first && !out.first_spike && d.n_spike_differences > 0) {
            only_spikes.timestep = t;
            only_spikes.sample = d.sample;
            only_spikes.step_in_sample = d.step_in_sample;
            only_spikes.n_differences = only_spikes.n_spike_differences = d.n_spike_differences;
            out.first_spike = only_spikes;
        }
        if (out.collected.size() < o.collect) out.collected.push_back(d);
    }
    if (out.spikes_expected + out.spikes_actual > 0) active = true;
    if (out.first && (!out.first_loss || out.first->timestep < *out.first_loss))
        out.verdict = Verdict::Diverged;
    else if (out.first_loss || (e.n_steps != a.n_steps && !cut) || out.values_compared == 0 ||
             (!active && !o.allow_vacuous))
        out.verdict = Verdict::Inconclusive;
    else
        out.verdict = Verdict::Match;
    return out;
}

void check_same(const std::optional<Divergence>& got, const std::optional<Divergence>& want) {
    REQUIRE(got.has_value() == want.has_value());
    if (!got) return;
    CHECK(got->timestep == want->timestep);
    CHECK(got->sample == want->sample);
    CHECK(got->step_in_sample == want->step_in_sample);
    CHECK(got->n_differences == want->n_differences);
    CHECK(got->n_spike_differences == want->n_spike_differences);
    REQUIRE(got->differences.size() == want->differences.size());
    for (std::size_t i = 0; i < got->differences.size(); ++i) {
        CHECK(got->differences[i].field == want->differences[i].field);
        CHECK(got->differences[i].neuron == want->differences[i].neuron);
        CHECK(got->differences[i].expected == want->differences[i].expected);
        CHECK(got->differences[i].actual == want->differences[i].actual);
    }
}

/// A window must show the script it was cut from.
void check_window(const trace::ExecutionTrace& window, const Script& script, const Outcome& outcome,
                  const Options& o) {
    if (!outcome.first) {
        CHECK(window.n_steps() == 0);
        return;
    }
    const std::uint64_t t = outcome.first->timestep;
    CHECK(window.first_step() == t - std::min<std::uint64_t>(t, o.window_before));
    for (std::uint64_t s = window.first_step(); window.holds(s); ++s) {
        REQUIRE(window.valid(s) == (script.valid[s] != 0));
        for (std::uint32_t n = 0; n < script.shape.n_neurons; ++n) {
            REQUIRE(window.spike(s, n) == (script.spikes[script.at(s, n)] != 0));
            for (std::size_t f = 0; f < script.values.size(); ++f) {
                REQUIRE(window.raw(f, s, n) == script.values[f][script.at(s, n)]);
                REQUIRE(window.valid(f, s, n) ==
                        (script.valid[s] != 0 && (script.value_valid[f].empty() ||
                                                  script.value_valid[f][script.at(s, n)] != 0)));
            }
        }
    }
}
}  // namespace

TEST_CASE(
    "lockstep: random runs end as an element by element comparison does, in blocks of any size",
    "[lockstep][property]") {
    const int index = GENERATE(range(0, 400));
    const std::uint64_t seed =
        std::uint64_t{Catch::getSeed()} * 1000 + static_cast<std::uint64_t>(index);
    CAPTURE(seed);
    Case c = random_case(seed);
    const CountingStimulus stimulus(std::max(c.expected.n_steps, c.actual.n_steps), c.sample_steps);
    const std::vector<trace::Sample> samples(stimulus.samples().begin(), stimulus.samples().end());
    if (c.recorded) c.options.samples = samples;
    const Outcome want = reference(c, samples);

    std::string first_text;
    std::string first_bytes;
    for (const std::uint32_t block : {1U, 3U, 64U, 1000U, 0U}) {
        CAPTURE(block);
        c.options.block_steps = block;
        ScriptedSource expected(
            c.expected,
            {.seed = seed + block, .recorded = c.recorded, .most_block = block == 64 ? 9U : 0U});
        ScriptedSource actual(c.actual, {.seed = seed * 7 + block,
                                         .recorded = c.recorded,
                                         .most_block = block == 1000 ? 30U : 0U});
        KeepingSink sink(c.expected.shape, c.actual.shape);
        const auto got = run(expected, actual, c.recorded ? nullptr : &stimulus, c.options, &sink);
        if (!got) FAIL(got.error().text());
        const std::string text = text_of(*got);
        const std::string bytes =
            sink.actual_bytes + "|" + sink.expected_bytes + "|" + sink.stimulus_bytes;
        if (!first_text.empty()) {
            REQUIRE(text == first_text);
            REQUIRE((bytes == first_bytes));
            continue;
        }
        first_text = text;
        first_bytes = bytes;
        INFO(got->reason);
        REQUIRE(name_of(got->verdict) == name_of(want.verdict));
        CHECK((got->reason.empty() ==
               (want.verdict == Verdict::Match || want.verdict == Verdict::Diverged)));
        check_same(got->first, want.first);
        check_same(got->first_spike, want.first_spike);
        REQUIRE(got->collected.size() == want.collected.size());
        for (std::size_t i = 0; i < want.collected.size(); ++i)
            check_same(got->collected[i], want.collected[i]);
        CHECK(got->divergent_steps == want.divergent_steps);
        CHECK(got->steps_compared == want.steps_compared);
        CHECK(got->values_compared == want.values_compared);
        CHECK(got->steps_invalid == want.steps_invalid);
        CHECK(got->values_invalid == want.values_invalid);
        CHECK(got->first_loss == want.first_loss);
        CHECK(got->last_agreed == want.last_agreed);
        CHECK(got->spikes_expected == want.spikes_expected);
        CHECK(got->spikes_actual == want.spikes_actual);
        check_window(got->expected_window, c.expected, *got, c.options);
        check_window(got->actual_window, c.actual, *got, c.options);
        CHECK(sink.difference_steps.size() == want.divergent_steps);
        for (std::size_t i = 0; i < sink.steps.size(); ++i) REQUIRE(sink.steps[i] == i);
        if (!c.recorded) CHECK((sink.stimulus_steps == sink.steps));
    }
}

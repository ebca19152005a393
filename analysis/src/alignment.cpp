// SPDX-License-Identifier: Apache-2.0
#include "spikelock/analysis/alignment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numeric>

#include "spikelock/base/text.hpp"

namespace spikelock::analysis {

namespace {
using trace::BlockView;
using trace::ExecutionTrace;
using trace::FieldSpec;
using trace::Shape;

constexpr std::uint32_t kMostOrdered = 2048;  // neurons whose order is looked for
constexpr double kMostOrderWork = 4e9;        // word operations for it
constexpr double kWorthAssuming = 0.9;        // of the mismatches that are left otherwise
constexpr double kWorthScaling = 0.8;         // of the rms that is left otherwise
constexpr double kRelated = 0.5;              // rms over deviation; beyond: another quantity

/// Where a value of a rebuilt trace comes from.
struct Place {
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
};

void put(std::vector<std::byte>& bytes, std::size_t index, std::size_t size, std::int64_t raw) {
    std::memcpy(bytes.data() + index * size, &raw, size);  // little-endian: the low bytes
}

FieldSpec as_float(const FieldSpec& spec) { return {spec.name, spec.cls, 64, true, true, 0, 8}; }

/// A trace of `steps` timesteps from `first` on, of which each value stands at place(t, n, field)
/// of the old one (field -1: spikes). A field that `shape` makes float64 goes through
/// value(field, number).
template <typename At, typename Value>
ExecutionTrace rebuild(const ExecutionTrace& old, const Shape& shape, std::uint64_t first,
                       std::uint32_t steps, At&& place, Value&& value) {
    const std::size_t n = shape.n_neurons;
    const std::size_t words = shape.spike_words();
    std::vector<std::uint64_t> spikes(steps * words, 0);
    std::vector<std::uint16_t> counts(shape.counts ? steps * n : 0);
    std::vector<std::uint8_t> valid(steps, 1);
    std::vector<std::vector<std::byte>> fields;
    std::vector<std::vector<std::uint64_t>> masks(shape.fields.size());
    const BlockView from = old.view();
    for (const FieldSpec& f : shape.fields) {
        fields.emplace_back(steps * n * static_cast<std::size_t>(f.bytes));
    }
    for (std::uint32_t i = 0; i < steps; ++i) {
        const std::uint64_t t = first + i;
        for (std::uint32_t m = 0; m < n; ++m) {
            const Place at = place(t, m, -1);
            if (!old.valid(at.timestep)) valid[i] = 0;
            if (old.spike(at.timestep, at.neuron)) {
                spikes[i * words + m / 64] |= std::uint64_t{1} << (m % 64);
            }
            if (shape.counts) {
                counts[i * n + m] =
                    from.counts[(at.timestep - old.first_step()) * old.n_neurons() + at.neuron];
            }
            for (std::size_t f = 0; f < shape.fields.size(); ++f) {
                const Place there = place(t, m, static_cast<int>(f));
                const FieldSpec& spec = shape.fields[f];
                std::int64_t raw = old.raw(f, there.timestep, there.neuron);
                if (spec.is_float) {
                    raw = std::bit_cast<std::int64_t>(
                        value(f, old.value(f, there.timestep, there.neuron)));
                }
                put(fields[f], i * n + m, static_cast<std::size_t>(spec.bytes), raw);
                if (old.valid(f, there.timestep, there.neuron)) continue;
                if (masks[f].empty()) masks[f].assign(steps * words, ~std::uint64_t{0});
                masks[f][i * words + m / 64] &= ~(std::uint64_t{1} << (m % 64));
            }
        }
    }
    BlockView block;
    block.first = first;
    block.n_steps = steps;
    block.spikes = spikes;
    block.counts = counts;
    block.valid = valid;
    block.fields.assign(fields.begin(), fields.end());
    block.masks.assign(masks.begin(), masks.end());
    Shape plain = shape;
    plain.events = plain.order = false;
    ExecutionTrace made(plain, first);
    if (steps > 0) made.append(block);
    for (trace::Sample sample : old.samples()) {
        sample.begin = std::max(sample.begin, first);
        sample.end = std::min(sample.end, first + steps);
        if (sample.begin < sample.end) made.samples().push_back(sample);
    }
    return made;
}

double same_value(std::size_t, double number) { return number; }

ExecutionTrace transpose(const ExecutionTrace& old) {
    Shape shape = old.shape();
    shape.n_neurons = static_cast<std::uint32_t>(old.n_steps());
    shape.populations.clear();
    ExecutionTrace plain = rebuild(
        old, shape, old.first_step(), old.n_neurons(),
        [&](std::uint64_t t, std::uint32_t n, int) {
            return Place{old.first_step() + n, static_cast<std::uint32_t>(t - old.first_step())};
        },
        same_value);
    plain.samples().clear();
    return plain;
}

/// `factor` timesteps become one: a neuron fired if it fired in any of them, and shows what it
/// showed in the last.
ExecutionTrace coarsen(const ExecutionTrace& old, std::uint32_t factor) {
    Shape shape = old.shape();
    shape.dt *= factor;
    shape.counts = false;
    const std::uint64_t first = old.first_step() / factor;
    const auto steps = static_cast<std::uint32_t>(old.n_steps() / factor);
    const auto last = [&](std::uint64_t t) {
        return old.first_step() + (t - first + 1) * factor - 1;
    };
    return rebuild(
        old, shape, first, steps,
        [&](std::uint64_t t, std::uint32_t n, int field) {
            if (field < 0) {
                for (std::uint64_t i = last(t) + 1 - factor; i < last(t); ++i) {
                    if (old.spike(i, n)) return Place{i, n};
                }
            }
            return Place{last(t), n};
        },
        same_value);
}

/// Spike words of a timestep, or none where it lies beyond either end.
std::uint64_t word_at(const ExecutionTrace& trace, std::uint64_t timestep, std::int64_t lag,
                      std::size_t word) {
    const std::int64_t at = static_cast<std::int64_t>(timestep) + lag;
    if (at < 0 || !trace.holds(static_cast<std::uint64_t>(at))) return 0;
    return trace.spike_row(static_cast<std::uint64_t>(at))[word];
}

/// Spike bits that differ at a lag, of neurons begin..end-1.
std::uint64_t mismatches(const ExecutionTrace& expected, const ExecutionTrace& actual,
                         std::int64_t lag, std::uint32_t begin, std::uint32_t end) {
    std::uint64_t count = 0;
    if (begin >= end) return 0;
    const std::size_t first_word = begin / 64;
    const std::size_t last_word = (end - 1) / 64;
    for (std::uint64_t t = expected.first_step(); t < expected.first_step() + expected.n_steps();
         ++t) {
        for (std::size_t w = first_word; w <= last_word; ++w) {
            std::uint64_t differ = expected.spike_row(t)[w] ^ word_at(actual, t, lag, w);
            if (w == first_word) differ &= ~std::uint64_t{0} << (begin % 64);
            if (w == last_word && end % 64 != 0) differ &= (std::uint64_t{1} << (end % 64)) - 1;
            count += static_cast<std::uint64_t>(std::popcount(differ));
        }
    }
    return count;
}

std::uint64_t spikes_of(const ExecutionTrace& trace) {
    std::uint64_t count = 0;
    for (const std::uint64_t word : trace.view().spikes) {
        count += static_cast<std::uint64_t>(std::popcount(word));
    }
    return count;
}

std::vector<LagScore> score_lags(const ExecutionTrace& expected, const ExecutionTrace& actual,
                                 std::uint32_t begin, std::uint32_t end, std::uint32_t most) {
    std::vector<LagScore> scores;
    const auto limit = static_cast<std::int32_t>(most);
    for (std::int32_t lag = -limit; lag <= limit; ++lag) {
        scores.push_back({lag, mismatches(expected, actual, lag, begin, end)});
    }
    return scores;
}

/// The lag with the fewest mismatches, the smallest among equals; 0 unless that is worth it.
LagScore best_of(const std::vector<LagScore>& scores) {
    const auto none =
        std::find_if(scores.begin(), scores.end(), [](const LagScore& s) { return s.lag == 0; });
    LagScore best = *none;
    for (const LagScore& s : scores) {
        const bool nearer = s.mismatches == best.mismatches && std::abs(s.lag) < std::abs(best.lag);
        if (s.mismatches < best.mismatches || nearer) best = s;
    }
    // Some lag is always the best. It is worth assuming where it explains everything, or half of
    // the mismatches, or more than chance would: four deviations of as many independent ones.
    const auto before = static_cast<double>(none->mismatches);
    const auto after = static_cast<double>(best.mismatches);
    const bool most = best.mismatches == 0 || (after <= 0.5 * before && before - after >= 4);
    const bool beyond_chance =
        after <= kWorthAssuming * before && before - after > 4 * std::sqrt(before);
    if (!most && !beyond_chance) return *none;
    return best;
}

/// The lag at which as many neurons fire on both sides, whichever they are.
std::int32_t lag_of_totals(const ExecutionTrace& expected, const ExecutionTrace& actual,
                           std::uint32_t most) {
    const auto total = [](const ExecutionTrace& trace, std::uint64_t t, std::int64_t lag) {
        std::int64_t count = 0;
        for (std::size_t w = 0; w < trace.shape().spike_words(); ++w) {
            count += std::popcount(word_at(trace, t, lag, w));
        }
        return count;
    };
    std::vector<LagScore> scores;
    const auto limit = static_cast<std::int32_t>(most);
    for (std::int32_t lag = -limit; lag <= limit; ++lag) {
        std::uint64_t apart = 0;
        for (std::uint64_t t = expected.first_step();
             t < expected.first_step() + expected.n_steps(); ++t) {
            apart +=
                static_cast<std::uint64_t>(std::abs(total(expected, t, 0) - total(actual, t, lag)));
        }
        scores.push_back({lag, apart});
    }
    return best_of(scores).lag;
}

/// Spikes of one neuron after the other, 64 timesteps a word, as expected counts timesteps.
std::vector<std::vector<std::uint64_t>> trains(const ExecutionTrace& trace, std::uint64_t first,
                                               std::uint64_t steps, std::int64_t lag) {
    std::vector<std::vector<std::uint64_t>> all(trace.n_neurons(),
                                                std::vector<std::uint64_t>((steps + 63) / 64, 0));
    for (std::uint64_t i = 0; i < steps; ++i) {
        for (std::size_t w = 0; w < trace.shape().spike_words(); ++w) {
            for (std::uint64_t bits = word_at(trace, first + i, lag, w); bits != 0;
                 bits &= bits - 1) {
                const std::size_t n = w * 64 + static_cast<std::size_t>(std::countr_zero(bits));
                if (n < all.size()) all[n][i / 64] |= std::uint64_t{1} << (i % 64);
            }
        }
    }
    return all;
}

std::uint32_t bit_reversed(std::uint32_t value, unsigned bits) {
    std::uint32_t out = 0;
    for (unsigned b = 0; b < bits; ++b) out |= (value >> b & 1U) << (bits - 1 - b);
    return out;
}

struct Order {
    std::vector<std::uint32_t> order;
    std::string name;
    std::uint64_t mismatches = 0;
};

/// An order of the actual neurons in which they are like the expected ones. Usual ones go first:
/// neurons that never fire fit any order.
std::optional<Order> find_order(const ExecutionTrace& expected, const ExecutionTrace& actual,
                                std::int32_t lag) {
    const std::uint32_t n = expected.n_neurons();
    const std::uint64_t steps = expected.n_steps();
    if (n < 2 || n > kMostOrdered ||
        static_cast<double>(n) * n * static_cast<double>(steps) / 64 > kMostOrderWork) {
        return std::nullopt;
    }
    const auto wanted = trains(expected, expected.first_step(), steps, 0);
    const auto found = trains(actual, expected.first_step(), steps, lag);
    const auto apart = [&](std::uint32_t a, std::uint32_t b) {
        std::uint64_t count = 0;
        for (std::size_t w = 0; w < wanted[a].size(); ++w) {
            count += static_cast<std::uint64_t>(std::popcount(wanted[a][w] ^ found[b][w]));
        }
        return count;
    };
    const auto total = [&](const std::vector<std::uint32_t>& order) {
        std::uint64_t sum = 0;
        for (std::uint32_t i = 0; i < n; ++i) sum += apart(i, order[i]);
        return sum;
    };
    std::vector<Order> named(2);
    named[0].name = "reversed";
    for (std::uint32_t i = 0; i < n; ++i) named[0].order.push_back(n - 1 - i);
    if (std::has_single_bit(n)) {
        named[1].name = "bit-reversed";
        const auto bits = static_cast<unsigned>(std::countr_zero(n));
        for (std::uint32_t i = 0; i < n; ++i) named[1].order.push_back(bit_reversed(i, bits));
    } else {
        named.pop_back();
    }
    for (const std::uint32_t by : {1U, n - 1}) {
        Order rotated;
        rotated.name = by == 1 ? "rotated by one" : "rotated by one, downwards";
        for (std::uint32_t i = 0; i < n; ++i) rotated.order.push_back((i + by) % n);
        named.push_back(std::move(rotated));
    }
    // The nearest pairs first, a neuron with itself before others that are as near.
    struct Pair {
        std::uint64_t apart;
        bool other;
        std::uint32_t a, b;
    };
    std::vector<Pair> pairs;
    for (std::uint32_t a = 0; a < n; ++a) {
        for (std::uint32_t b = 0; b < n; ++b) pairs.push_back({apart(a, b), a != b, a, b});
    }
    std::sort(pairs.begin(), pairs.end(), [](const Pair& x, const Pair& y) {
        return std::tie(x.apart, x.other, x.a, x.b) < std::tie(y.apart, y.other, y.a, y.b);
    });
    Order listed;
    listed.order.assign(n, n);
    std::vector<std::uint8_t> used(n, 0);
    for (const Pair& p : pairs) {
        if (listed.order[p.a] != n || used[p.b] != 0) continue;
        listed.order[p.a] = p.b;
        used[p.b] = 1;
    }
    listed.mismatches = total(listed.order);
    for (Order& order : named) {
        order.mismatches = total(order.order);
        if (order.mismatches <= listed.mismatches) return order;
    }
    std::uint32_t moved = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
        if (listed.order[i] == i) continue;
        if (++moved > 6) continue;
        listed.name += fmt::format("{}{} is {}", moved == 1 ? "" : ", ", i, listed.order[i]);
    }
    if (moved == 0) return std::nullopt;
    if (moved > 6) listed.name += fmt::format(" and {} more", moved - 6);
    return listed;
}

/// Pairs of values of a field that both sides hold, through `use`.
template <typename Use>
void each_pair(const ExecutionTrace& expected, const ExecutionTrace& actual, std::size_t e,
               std::size_t a, const std::vector<std::int32_t>& lags,
               const std::vector<std::uint32_t>& order, std::int32_t extra, Use&& use) {
    for (std::uint64_t t = expected.first_step(); t < expected.first_step() + expected.n_steps();
         ++t) {
        for (std::uint32_t n = 0; n < expected.n_neurons(); ++n) {
            const std::int64_t at = static_cast<std::int64_t>(t) + lags[n] + extra;
            const std::uint32_t m = order.empty() ? n : order[n];
            if (at < 0 || !actual.holds(static_cast<std::uint64_t>(at))) continue;
            if (!expected.valid(e, t, n) || !actual.valid(a, static_cast<std::uint64_t>(at), m)) {
                continue;
            }
            use(expected.value(e, t, n), actual.value(a, static_cast<std::uint64_t>(at), m));
        }
    }
}

struct Sums {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    void add(double a, double b) {
        n += 1;
        x += a;
        y += b;
        xx += a * a;
        xy += a * b;
        yy += b * b;
    }
    std::pair<double, double> line() const {
        const double spread = n * xx - x * x;
        if (n < 2 || spread <= 1e-12 * n * xx) return {1.0, n > 0 ? (y - x) / n : 0.0};
        const double scale = (n * xy - x * y) / spread;
        return {scale, (y - scale * x) / n};
    }
};

FieldFit fit_field(const ExecutionTrace& expected, const ExecutionTrace& actual, std::size_t e,
                   std::size_t a, const std::vector<std::int32_t>& lags,
                   const std::vector<std::uint32_t>& order, std::int32_t extra) {
    FieldFit fit;
    fit.field = expected.shape().fields[e].name;
    fit.lag = extra;
    const auto each = [&](auto&& use) {
        each_pair(expected, actual, e, a, lags, order, extra, [&](double x, double y) {
            if (std::isfinite(x) && std::isfinite(y)) use(x, y);
        });
    };
    Sums all;
    double least = std::numeric_limits<double>::infinity();
    double most = -least;
    each([&](double x, double y) {
        all.add(x, y);
        least = std::min(least, y);
        most = std::max(most, y);
    });
    if (all.n < 1) return fit;
    fit.range = most - least;
    const auto rms_of = [&](double scale, double offset, double* worst = nullptr) {
        double sum = 0.0;
        double largest = 0.0;
        each([&](double x, double y) {
            const double rest = y - scale * x - offset;
            sum += rest * rest;
            largest = std::max(largest, std::abs(rest));
        });
        if (worst != nullptr) *worst = largest;
        return std::sqrt(sum / all.n);
    };
    const double identity = rms_of(1.0, 0.0, &fit.worst);
    fit.rms = identity;
    if (identity == 0.0) return fit;
    auto [scale, offset] = all.line();
    // Once more without the few values that are far off: resets that one side has earlier.
    const double first_rms = rms_of(scale, offset);
    Sums near;
    each([&](double x, double y) {
        if (std::abs(y - scale * x - offset) <= 3 * first_rms) near.add(x, y);
    });
    std::tie(scale, offset) = near.line();
    const double through_zero = near.xx > 0 ? near.xy / near.xx : 1.0;
    if (rms_of(through_zero, 0.0) <= 1.05 * rms_of(scale, offset)) {
        scale = through_zero;
        offset = 0.0;
    }
    double worst = 0.0;
    const double rms = rms_of(scale, offset, &worst);
    const double deviation =
        std::sqrt(std::max(0.0, all.yy / all.n - all.y / all.n * all.y / all.n));
    if (rms > kWorthScaling * identity || rms > kRelated * deviation || scale == 0.0) return fit;
    fit.scale = scale;
    fit.offset = offset;
    fit.rms = rms;
    fit.worst = worst;
    fit.assumed = true;
    return fit;
}

std::vector<std::int32_t> lag_of_each(const Alignment& alignment, std::uint32_t n) {
    std::vector<std::int32_t> lags(n, alignment.lag);
    for (const auto& p : alignment.population_lags) {
        std::fill(lags.begin() + p.begin, lags.begin() + std::min(p.end, n), p.lag);
    }
    return lags;
}

Error cannot_match(const ExecutionTrace& expected, const ExecutionTrace& actual) {
    return Error{
        Errc::Mismatch,
        fmt::format("the neurons cannot be matched: expected {} timesteps of {} neurons, "
                    "actual {} timesteps of {}",
                    expected.n_steps(), expected.n_neurons(), actual.n_steps(), actual.n_neurons()),
        {}};
}
}  // namespace

Result<Tolerance> parse_tolerance(const std::string& text) {
    const auto bad = [&](const std::string& what) {
        return Error{Errc::BadConfig,
                     "tolerance '" + text + "': " + what +
                         "; expected FIELD=abs:0.1, FIELD=rel:0.01 or FIELD=lsb:2, or several with "
                         "commas",
                     {}};
    };
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return bad("no field");
    Tolerance tolerance;
    tolerance.field = text.substr(0, equals);
    std::string_view rest = std::string_view(text).substr(equals + 1);
    if (rest.empty()) return bad("no limit");
    while (!rest.empty()) {
        const std::size_t comma = rest.find(',');
        const std::string_view part = rest.substr(0, comma);
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        const std::size_t colon = part.find(':');
        const std::string_view kind = part.substr(0, colon);
        const std::string_view number =
            colon == std::string_view::npos ? std::string_view{} : part.substr(colon + 1);
        double value = 0.0;
        const auto [end, code] =
            std::from_chars(number.data(), number.data() + number.size(), value);
        if (code != std::errc{} || end != number.data() + number.size() || !(value >= 0.0) ||
            !std::isfinite(value)) {
            return bad("'" + std::string(part) + "' has no number that is 0 or more");
        }
        if (kind == "abs") {
            tolerance.absolute = value;
        } else if (kind == "rel") {
            tolerance.relative = value;
        } else if (kind == "lsb") {
            if (value != std::floor(value) || value > 1e15) return bad("lsb takes whole numbers");
            tolerance.lsb = static_cast<std::int64_t>(value);
        } else {
            return bad("no kind of limit '" + std::string(kind) + "'");
        }
    }
    return tolerance;
}

bool Alignment::any() const noexcept {
    return transposed || time_base > 1 || time_base_expected > 1 || lag != 0 ||
           !population_lags.empty() || !order.empty() ||
           std::any_of(fits.begin(), fits.end(),
                       [](const FieldFit& fit) { return fit.assumed || fit.lag != 0; });
}

Result<Alignment> find_alignment(const ExecutionTrace& expected_in, const ExecutionTrace& actual_in,
                                 const AlignOptions& options) {
    Alignment found;
    ExecutionTrace turned;
    ExecutionTrace coarse_expected;
    ExecutionTrace coarse_actual;
    const ExecutionTrace* expected = &expected_in;
    const ExecutionTrace* actual = &actual_in;
    if (expected->n_neurons() != actual->n_neurons()) {
        // Who holds as many timesteps as the other has neurons stands on its side.
        if (actual->n_steps() != expected->n_neurons() || actual->n_steps() > UINT32_MAX) {
            return cannot_match(*expected, *actual);
        }
        turned = transpose(*actual);
        actual = &turned;
        found.transposed = true;
    }
    const double ratio = expected->dt() / actual->dt();
    const auto whole = [](double r) {
        const double k = std::round(r);
        return k >= 2 && k <= 1e6 && std::abs(r - k) < 1e-6 * k ? static_cast<std::uint32_t>(k) : 1;
    };
    found.time_base = whole(ratio);
    found.time_base_expected = whole(1 / ratio);
    if (found.time_base > 1) {
        coarse_actual = coarsen(*actual, found.time_base);
        actual = &coarse_actual;
    }
    if (found.time_base_expected > 1) {
        coarse_expected = coarsen(*expected, found.time_base_expected);
        expected = &coarse_expected;
    }
    const std::uint32_t n = expected->n_neurons();
    found.spike_bits = expected->n_steps() * n;
    found.lags = score_lags(*expected, *actual, 0, n, options.max_lag);
    found.mismatches_before = found.lags[options.max_lag].mismatches;
    const LagScore best = best_of(found.lags);
    found.lag = best.lag;
    found.mismatches_after = best.mismatches;
    const bool spikes = spikes_of(*expected) > 0 && spikes_of(*actual) > 0;

    if (spikes && options.order && found.mismatches_after > 0) {
        // Of neurons in another order, only how many fire tells the lag.
        const std::int32_t by_totals = lag_of_totals(*expected, *actual, options.max_lag);
        std::optional<Order> chosen;
        std::int32_t chosen_lag = 0;
        for (const std::int32_t lag : {found.lag, by_totals}) {
            auto order = find_order(*expected, *actual, lag);
            if (!order || (chosen && order->mismatches >= chosen->mismatches)) continue;
            chosen = std::move(order);
            chosen_lag = lag;
        }
        if (chosen && 2 * chosen->mismatches <= found.mismatches_after &&
            found.mismatches_after - chosen->mismatches >= 2) {
            found.order = std::move(chosen->order);
            found.order_name = std::move(chosen->name);
            found.mismatches_after = chosen->mismatches;
            found.lag = chosen_lag;
        }
    }
    if (spikes && found.order.empty() && expected->shape().populations.size() > 1) {
        std::uint64_t sum = 0;
        std::vector<Alignment::PopulationLag> lags;
        bool differ = false;
        std::uint32_t covered = 0;
        for (const trace::Population& p : expected->shape().populations) {
            const auto scores = score_lags(*expected, *actual, p.begin, p.end, options.max_lag);
            const LagScore own = best_of(scores);
            lags.push_back({p.label, p.begin, p.end, own.lag});
            differ = differ || own.lag != found.lag;
            sum += own.mismatches;
            covered += p.end - p.begin;
        }
        if (differ && covered == n &&
            static_cast<double>(sum) <=
                kWorthAssuming * static_cast<double>(found.mismatches_after)) {
            found.population_lags = std::move(lags);
            found.mismatches_after = sum;
        }
    }
    for (std::size_t e = 0; e < expected->shape().fields.size(); ++e) {
        const int a = actual->shape().field_index(expected->shape().fields[e].name);
        if (a < 0) continue;
        const auto fitted = [&](std::int32_t extra) {
            return fit_field(*expected, *actual, e, static_cast<std::size_t>(a),
                             lag_of_each(found, n), found.order, extra);
        };
        FieldFit fit = fitted(0);
        if (fit.rms > 0.0) {
            // Voltages may be shown later or earlier than spikes. Without spikes they tell the lag.
            const auto reach =
                static_cast<std::int32_t>(spikes ? std::min(2U, options.max_lag) : options.max_lag);
            FieldFit other = fit;
            for (std::int32_t extra = -reach; extra <= reach; ++extra) {
                const FieldFit tried = fitted(extra);
                if (tried.rms < other.rms) other = tried;
            }
            if (other.rms < 0.7 * fit.rms) fit = other;
        }
        found.fits.push_back(std::move(fit));
    }
    // Without spikes, a lag that the fields share is that of the whole.
    if (!spikes && !found.fits.empty()) {
        const std::int32_t shared = found.fits[0].lag;
        if (shared != 0 && std::all_of(found.fits.begin(), found.fits.end(),
                                       [&](const FieldFit& f) { return f.lag == shared; })) {
            found.lag = shared;
            for (FieldFit& fit : found.fits) fit.lag = 0;
        }
    }
    return found;
}

std::vector<std::string> sentences(const Alignment& a) {
    std::vector<std::string> list;
    const auto timesteps = [](std::int32_t lag) {
        return fmt::format("{} timestep{} {}", std::abs(lag), std::abs(lag) == 1 ? "" : "s",
                           lag > 0 ? "late" : "early");
    };
    if (a.transposed) {
        list.emplace_back(
            "the actual array is transposed: its rows are neurons, its columns timesteps");
    }
    if (a.time_base > 1) {
        list.push_back(fmt::format("{} timesteps of actual make one of expected", a.time_base));
    }
    if (a.time_base_expected > 1) {
        list.push_back(
            fmt::format("{} timesteps of expected make one of actual", a.time_base_expected));
    }
    const std::string change =
        a.mismatches_before == a.mismatches_after
            ? std::string{}
            : fmt::format(" ({} of {} spike bits differ, {} without)",
                          with_commas(a.mismatches_after), with_commas(a.spike_bits),
                          with_commas(a.mismatches_before));
    if (a.population_lags.empty()) {
        if (a.lag != 0) list.push_back("actual is " + timesteps(a.lag) + change);
    } else {
        std::string text = "lags differ by population: ";
        for (std::size_t i = 0; i < a.population_lags.size(); ++i) {
            const auto& p = a.population_lags[i];
            text +=
                (i == 0 ? "" : ", ") + p.label + " " + (p.lag == 0 ? "in time" : timesteps(p.lag));
        }
        list.push_back(text + change);
    }
    if (!a.order.empty()) {
        list.push_back("neurons are in another order: " + a.order_name +
                       (a.lag == 0 ? change : std::string{}));
    }
    for (const FieldFit& fit : a.fits) {
        if (fit.lag != 0) {
            list.push_back(fit.field + " is shown " + timesteps(fit.lag) + " beside the spikes");
        }
        if (!fit.assumed) continue;
        std::string text = fmt::format("{}: actual = {:.6g} * expected", fit.field, fit.scale);
        if (fit.offset != 0.0) {
            text += fmt::format(" {} {:.4g}", fit.offset < 0 ? '-' : '+', std::abs(fit.offset));
        }
        text += fmt::format("; what is left has an rms of {:.3g}", fit.rms);
        if (fit.range > 0)
            text += fmt::format(" ({:.2g} % of its range)", 100 * fit.rms / fit.range);
        list.push_back(text + fmt::format(", at most {:.3g}", fit.worst));
    }
    return list;
}

AlignedPair apply(const Alignment& alignment, const ExecutionTrace& expected_in,
                  const ExecutionTrace& actual_in) {
    ExecutionTrace turned;
    const ExecutionTrace* old = &actual_in;
    if (alignment.transposed) {
        turned = transpose(actual_in);
        old = &turned;
    }
    ExecutionTrace coarse_actual;
    if (alignment.time_base > 1) {
        coarse_actual = coarsen(*old, alignment.time_base);
        old = &coarse_actual;
    }
    ExecutionTrace expected = alignment.time_base_expected > 1
                                  ? coarsen(expected_in, alignment.time_base_expected)
                                  : expected_in;
    const std::uint32_t n = expected.n_neurons();
    const std::vector<std::int32_t> lags = lag_of_each(alignment, n);
    // By field of the actual side.
    std::vector<std::int32_t> extra(old->shape().fields.size(), 0);
    std::vector<FieldFit> scale(old->shape().fields.size());
    Shape shape = old->shape();
    Shape wanted = expected.shape();
    std::int32_t least = *std::min_element(lags.begin(), lags.end());
    std::int32_t most = *std::max_element(lags.begin(), lags.end());
    const std::int32_t low = least;
    const std::int32_t high = most;
    for (const FieldFit& fit : alignment.fits) {
        const auto f = static_cast<std::size_t>(shape.field_index(fit.field));
        extra[f] = fit.lag;
        least = std::min(least, low + fit.lag);
        most = std::max(most, high + fit.lag);
        if (!fit.assumed) continue;
        scale[f] = fit;
        shape.fields[f] = as_float(shape.fields[f]);
        FieldSpec& own = wanted.fields[static_cast<std::size_t>(wanted.field_index(fit.field))];
        own = as_float(own);
    }
    shape.populations = wanted.populations;
    shape.dt = wanted.dt;
    const auto signed_step = [](std::uint64_t t) { return static_cast<std::int64_t>(t); };
    const std::int64_t begin =
        std::max(signed_step(expected.first_step()), signed_step(old->first_step()) - least);
    const std::int64_t end = std::min(signed_step(expected.first_step() + expected.n_steps()),
                                      signed_step(old->first_step() + old->n_steps()) - most);
    const std::uint64_t first = static_cast<std::uint64_t>(std::max<std::int64_t>(begin, 0));
    const auto steps = static_cast<std::uint32_t>(
        std::max<std::int64_t>(end - static_cast<std::int64_t>(first), 0));
    AlignedPair pair;
    pair.actual = rebuild(
        *old, shape, first, steps,
        [&](std::uint64_t t, std::uint32_t m, int field) {
            const std::int32_t lag =
                lags[m] + (field < 0 ? 0 : extra[static_cast<std::size_t>(field)]);
            return Place{static_cast<std::uint64_t>(signed_step(t) + lag),
                         alignment.order.empty() ? m : alignment.order[m]};
        },
        [&](std::size_t f, double number) {
            return scale[f].assumed ? (number - scale[f].offset) / scale[f].scale : number;
        });
    pair.expected = rebuild(
        expected, wanted, first, steps,
        [](std::uint64_t t, std::uint32_t m, int) { return Place{t, m}; }, same_value);
    return pair;
}

std::vector<std::string> unify_formats(ExecutionTrace& expected, ExecutionTrace& actual) {
    Shape a = expected.shape();
    Shape b = actual.shape();
    std::vector<std::string> names;
    for (FieldSpec& spec : a.fields) {
        const int other = b.field_index(spec.name);
        if (other < 0) continue;
        FieldSpec& theirs = b.fields[static_cast<std::size_t>(other)];
        if (spec.bytes == theirs.bytes && spec.is_signed == theirs.is_signed &&
            spec.is_float == theirs.is_float && spec.frac_bits == theirs.frac_bits) {
            continue;
        }
        names.push_back(spec.name);
        spec = as_float(spec);
        theirs = as_float(theirs);
    }
    if (names.empty()) return names;
    const auto again = [](const ExecutionTrace& old, const Shape& shape) {
        return rebuild(
            old, shape, old.first_step(), static_cast<std::uint32_t>(old.n_steps()),
            [](std::uint64_t t, std::uint32_t m, int) { return Place{t, m}; }, same_value);
    };
    expected = again(expected, a);
    actual = again(actual, b);
    return names;
}

Result<std::vector<Tolerated>> tolerate(ExecutionTrace& expected, ExecutionTrace& actual,
                                        const std::vector<Tolerance>& tolerances) {
    std::vector<Tolerated> result;
    const Shape a_before = expected.shape();
    const Shape b_before = actual.shape();
    for (const Tolerance& t : tolerances) {
        std::vector<std::string> names;
        for (const FieldSpec& f : a_before.fields) names.push_back(f.name);
        if (t.field == "spike") {
            return Error{Errc::BadConfig, "a spike is there or not: it takes no tolerance", {}};
        }
        if (a_before.field_index(t.field) < 0 || b_before.field_index(t.field) < 0) {
            return Error{Errc::NotFound,
                         "tolerance: no field '" + t.field + "' on both sides" +
                             did_you_mean(t.field, names),
                         {}};
        }
    }
    unify_formats(expected, actual);
    for (const Tolerance& t : tolerances) {
        const auto e = static_cast<std::size_t>(expected.shape().field_index(t.field));
        const auto a = static_cast<std::size_t>(actual.shape().field_index(t.field));
        const FieldSpec& left = a_before.fields[e];
        const FieldSpec& right = b_before.fields[a];
        if (t.lsb > 0 && left.is_float && right.is_float) {
            return Error{Errc::BadConfig,
                         "tolerance '" + t.field + "=lsb': both sides are floating-point; use abs",
                         {}};
        }
        double step = 0.0;
        for (const FieldSpec* spec : {&left, &right}) {
            if (!spec->is_float) step = std::max(step, std::ldexp(1.0, -spec->frac_bits));
        }
        Tolerated passed{t.field, 0, 0, 0.0};
        const double limit = std::max(t.absolute, step * static_cast<double>(t.lsb));
        const std::uint64_t first = std::max(expected.first_step(), actual.first_step());
        const std::uint64_t end = std::min(expected.first_step() + expected.n_steps(),
                                           actual.first_step() + actual.n_steps());
        const std::uint32_t n = std::min(expected.n_neurons(), actual.n_neurons());
        const auto bytes = static_cast<std::size_t>(actual.shape().fields[a].bytes);
        // Both formats are the same by now, so that raw values can be put across.
        BlockView view = actual.view();
        std::vector<std::byte> values(view.fields[a].begin(), view.fields[a].end());
        for (std::uint64_t s = first; s < end; ++s) {
            for (std::uint32_t m = 0; m < n; ++m) {
                if (!expected.valid(e, s, m) || !actual.valid(a, s, m)) continue;
                if (expected.raw(e, s, m) == actual.raw(a, s, m)) continue;
                const double x = expected.value(e, s, m);
                const double y = actual.value(a, s, m);
                const double apart = std::abs(x - y);
                const double relative = t.relative * std::max(std::abs(x), std::abs(y));
                if (apart > passed.worst) passed.worst = apart;
                // Not-a-number passes nothing.
                if (!(apart <= std::max(limit, relative))) {
                    ++passed.beyond;
                    continue;
                }
                ++passed.values;
                put(values, (s - actual.first_step()) * actual.n_neurons() + m, bytes,
                    expected.raw(e, s, m));
            }
        }
        if (passed.values > 0) {
            view.fields[a] = values;
            ExecutionTrace changed(actual.shape(), actual.first_step());
            changed.append(view);
            changed.samples() = actual.samples();
            actual = std::move(changed);
        }
        result.push_back(std::move(passed));
    }
    return result;
}

std::optional<LagHint> find_lag(const ExecutionTrace& expected, const ExecutionTrace& actual,
                                const std::vector<std::string>& fields, std::uint32_t max_lag) {
    if (expected.n_neurons() != actual.n_neurons() || expected.n_steps() == 0 ||
        actual.n_steps() == 0) {
        return std::nullopt;
    }
    const std::uint32_t n = expected.n_neurons();
    const BlockView left = expected.view();
    const BlockView right = actual.view();
    const auto rows_equal = [&](std::span<const std::byte> a, std::span<const std::byte> b) {
        return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
    };
    const auto equal_at = [&](std::int64_t lag) {
        const auto e_first = static_cast<std::int64_t>(expected.first_step());
        const auto a_first = static_cast<std::int64_t>(actual.first_step());
        const std::int64_t begin = std::max(e_first, a_first - lag);
        const std::int64_t end =
            std::min(e_first + static_cast<std::int64_t>(expected.n_steps()),
                     a_first + static_cast<std::int64_t>(actual.n_steps()) - lag);
        // What hardly overlaps, or never changes, is equal at any lag.
        if (2 * (end - begin) < static_cast<std::int64_t>(expected.n_steps())) return false;
        bool lively = false;
        const auto part = [&](std::span<const std::byte> all, std::size_t row, std::int64_t from) {
            return all.subspan(static_cast<std::size_t>(from) * row,
                               static_cast<std::size_t>(end - begin) * row);
        };
        for (const std::string& name : fields) {
            std::span<const std::byte> a = std::as_bytes(left.spikes);
            std::span<const std::byte> b = std::as_bytes(right.spikes);
            std::size_t row = expected.shape().spike_words() * 8;
            if (name != "spike") {
                const int e = expected.shape().field_index(name);
                const int o = actual.shape().field_index(name);
                if (e < 0 || o < 0) continue;
                a = left.fields[static_cast<std::size_t>(e)];
                b = right.fields[static_cast<std::size_t>(o)];
                const FieldSpec& spec = expected.shape().fields[static_cast<std::size_t>(e)];
                const FieldSpec& other = actual.shape().fields[static_cast<std::size_t>(o)];
                if (spec.bytes != other.bytes) return false;
                row = n * static_cast<std::size_t>(spec.bytes);
            }
            const auto ours = part(a, row, begin - e_first);
            if (!rows_equal(ours, part(b, row, begin + lag - a_first))) return false;
            lively = lively || !rows_equal(ours.first(ours.size() - row), ours.subspan(row));
        }
        return lively;
    };
    LagHint hint;
    hint.spike_bits = expected.n_steps() * n;
    for (std::int32_t size = 1; size <= static_cast<std::int32_t>(max_lag); ++size) {
        for (const std::int32_t lag : {size, -size}) {
            if (!equal_at(lag)) continue;
            hint.lag = lag;
            hint.match = true;
            return hint;
        }
    }
    if (std::find(fields.begin(), fields.end(), "spike") == fields.end()) return std::nullopt;
    const auto scores = score_lags(expected, actual, 0, n, max_lag);
    const LagScore best = best_of(scores);
    if (best.lag == 0) return std::nullopt;
    hint.lag = best.lag;
    hint.mismatches_before = scores[max_lag].mismatches;
    hint.mismatches_after = best.mismatches;
    return hint;
}

}  // namespace spikelock::analysis

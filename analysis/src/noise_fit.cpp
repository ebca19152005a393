// SPDX-License-Identifier: Apache-2.0
#include "noise_fit.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>

#include "spikelock/golden/lfsr.hpp"

namespace spikelock::analysis::detail {

namespace {
using golden::Advance;
using golden::Direction;
using golden::LfsrForm;
using golden::Noise;
using golden::NoiseUse;
using golden::Read;

/// A register's state at the ends of two timesteps in a row, and the shifts between them.
struct Move {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t advances = 0;
};

std::uint64_t advances_in(Advance advance, std::uint64_t step, const Timeline& timeline) {
    return advance == Advance::Event    ? timeline.events[step]
           : advance == Advance::Update ? timeline.neurons
                                        : 1;
}

std::vector<Move> moves_of(const ObservedRegister& observed, Advance advance,
                           const Timeline& timeline) {
    std::vector<Move> moves;
    for (std::uint64_t t = 1; t < std::min(timeline.n_steps(), observed.values.size()); ++t)
        if (timeline.clears[t] == 0)
            moves.push_back(
                {observed.values[t - 1], observed.values[t], advances_in(advance, t, timeline)});
    // First what is cheap to check and tells something.
    std::ranges::stable_sort(moves, {}, [](const Move& m) { return m.advances - 1; });
    return moves;
}

std::uint64_t moved(std::uint64_t state, const Noise& n, std::uint64_t shifts) {
    for (std::uint64_t i = 0; i < shifts; ++i) state = golden::shifted_once(state, n);
    return state;
}

bool follows(const Noise& n, std::span<const Move> moves) {
    const auto shifts = static_cast<std::uint64_t>(n.shifts);
    return std::ranges::all_of(
        moves, [&](const Move& m) { return moved(m.from, n, m.advances * shifts) == m.to; });
}

/// x with x * k = 1 modulo m, or 0 where there is none.
std::uint64_t inverse(std::uint64_t k, std::uint64_t m) {
    std::int64_t a = static_cast<std::int64_t>(k % m), b = static_cast<std::int64_t>(m);
    std::int64_t x = 1, y = 0;
    while (b != 0) {
        const std::int64_t q = a / b;
        a = std::exchange(b, a - q * b);
        x = std::exchange(y, x - q * y);
    }
    if (a != 1) return 0;
    return static_cast<std::uint64_t>(x < 0 ? x + static_cast<std::int64_t>(m) : x);
}

/// The shortest linear recurrence of a sequence of bits (Berlekamp and Massey).
struct Recurrence {
    int length = 0;
    std::uint64_t low = 0;  ///< of the characteristic polynomial x^length + ...
};
std::optional<Recurrence> recurrence_of(const std::vector<std::uint8_t>& bits, int longest) {
    std::vector<std::uint8_t> c{1}, b{1};
    int length = 0;
    std::size_t since = 1;
    for (std::size_t n = 0; n < bits.size(); ++n) {
        std::uint8_t off = bits[n];
        for (std::size_t i = 1; i < c.size() && i <= n; ++i)
            off = static_cast<std::uint8_t>(off ^ (c[i] & bits[n - i]));
        if (off == 0) {
            ++since;
            continue;
        }
        const std::vector<std::uint8_t> before = c;
        c.resize(std::max(c.size(), b.size() + since), 0);
        for (std::size_t i = 0; i < b.size(); ++i)
            c[i + since] = static_cast<std::uint8_t>(c[i + since] ^ b[i]);
        if (2 * length <= static_cast<int>(n)) {
            length = static_cast<int>(n) + 1 - length;
            if (length > longest) return std::nullopt;
            b = before;
            since = 1;
        } else {
            ++since;
        }
    }
    Recurrence r{length, 0};
    for (int i = 1; i <= length && i < static_cast<int>(c.size()); ++i)
        if (c[static_cast<std::size_t>(i)] != 0) r.low |= std::uint64_t{1} << (length - i);
    return r;
}

/// Polynomials over GF(2) of less than `bits` terms, modulo x^bits + low.
struct Field {
    int bits;
    std::uint64_t low;
    std::uint64_t times_x(std::uint64_t a) const {
        const bool over = (a >> (bits - 1) & 1) != 0;
        return ((a << 1) & ((std::uint64_t{1} << bits) - 1)) ^ (over ? low : 0);
    }
    std::uint64_t times(std::uint64_t a, std::uint64_t b) const {
        std::uint64_t product = 0;
        for (; b != 0; b >>= 1, a = times_x(a))
            if ((b & 1) != 0) product ^= a;
        return product;
    }
    std::uint64_t power(std::uint64_t a, std::uint64_t exponent) const {
        std::uint64_t result = 1;
        for (; exponent != 0; exponent >>= 1, a = times(a, a))
            if ((exponent & 1) != 0) result = times(result, a);
        return result;
    }
};

/// The polynomial of a register of which every k-th state is seen.
/// @param bits_seen  its first states' worth of one cell, shape (bits)
std::optional<std::uint64_t> undecimated(const Recurrence& seen,
                                         const std::vector<std::uint8_t>& bits_seen,
                                         std::uint64_t k) {
    const int bits = seen.length;
    const std::uint64_t order = (std::uint64_t{1} << bits) - 1;
    const std::uint64_t back = inverse(k, order);
    if (back == 0) return std::nullopt;
    const Field field{bits, seen.low};
    std::uint64_t start = 0;
    for (int i = 0; i < bits; ++i)
        start |= std::uint64_t{bits_seen[static_cast<std::size_t>(i)]} << i;
    const std::uint64_t step = field.power(2, back);
    std::vector<std::uint8_t> sequence;
    std::uint64_t at = 1;
    for (int j = 0; j < 2 * bits; ++j, at = field.times(at, step))
        sequence.push_back(static_cast<std::uint8_t>(std::popcount(at & start) & 1));
    const auto own = recurrence_of(sequence, bits);
    if (!own || own->length != bits) return std::nullopt;
    return own->low;
}

/// All registers of a width with these taps.
void try_taps(std::uint64_t taps, Noise n, std::span<const Move> moves, std::vector<Noise>& found) {
    n.taps = static_cast<std::int64_t>(taps);
    if (taps == 0) return;
    for (const LfsrForm form : {LfsrForm::Fibonacci, LfsrForm::Galois})
        for (const Direction direction : {Direction::Left, Direction::Right})
            for (const bool xnor : {false, true}) {
                n.form = form;
                n.direction = direction;
                n.xnor = xnor;
                if (follows(n, moves) && std::ranges::find(found, n) == found.end())
                    found.push_back(n);
            }
}

std::uint64_t mirrored(std::uint64_t x, int bits) {
    std::uint64_t y = 0;
    for (int i = 0; i < bits; ++i) y |= (x >> i & 1) << (bits - 1 - i);
    return y;
}

void try_polynomial(std::uint64_t low, const Noise& n, std::span<const Move> moves,
                    std::vector<Noise>& found) {
    const std::uint64_t all = (std::uint64_t{1} << n.bits) - 1;
    const std::uint64_t whole = low | std::uint64_t{1} << n.bits;
    const std::uint64_t turned = mirrored(whole, n.bits + 1);
    for (const std::uint64_t p : {whole, turned}) {
        try_taps(p >> 1, n, moves, found);
        try_taps(p & all, n, moves, found);
    }
}

constexpr int kMostShifts = 64;
constexpr int kBruteBits = 16;

/// Taps by trial, where no formula gives them: states are seen at irregular distances, or at one
/// that shares a factor with the period.
void try_all_taps(const Noise& n, std::span<const Move> moves, std::vector<Noise>& found) {
    if (n.bits > kBruteBits || moves.empty()) return;
    const std::uint64_t all = (std::uint64_t{1} << n.bits) - 1;
    for (std::uint64_t taps = 1; taps <= all; ++taps) try_taps(taps, n, moves, found);
}

/// The state before one shift.
std::optional<std::uint64_t> shifted_back(std::uint64_t state, const Noise& n) {
    const std::uint64_t all = (std::uint64_t{1} << n.bits) - 1;
    for (const std::uint64_t flipped : {state, state ^ static_cast<std::uint64_t>(n.taps)})
        for (const std::uint64_t end : {0U, 1U}) {
            const std::uint64_t before = n.direction == Direction::Left
                                             ? flipped >> 1 | end << (n.bits - 1)
                                             : ((flipped << 1) & all) | end;
            if (golden::shifted_once(before, n) == state) return before;
        }
    return std::nullopt;
}

/// Start value, and whether a clear brings it back.
bool find_seed(const ObservedRegister& observed, const Timeline& timeline, Noise& n) {
    const auto shifts_in = [&](std::uint64_t t) {
        return advances_in(n.advance, t, timeline) * static_cast<std::uint64_t>(n.shifts);
    };
    std::uint64_t state = observed.values[0];
    for (std::uint64_t i = 0; i < shifts_in(0); ++i) {
        const auto before = shifted_back(state, n);
        if (!before) return false;
        state = *before;
    }
    n.seed = golden::Param::scalar(static_cast<std::int64_t>(state));
    bool again = true;
    bool on = true;
    bool any = false;
    for (std::uint64_t t = 1; t < observed.values.size(); ++t) {
        if (timeline.clears[t] == 0) continue;
        any = true;
        again = again && moved(state, n, shifts_in(t)) == observed.values[t];
        on = on && moved(observed.values[t - 1], n, shifts_in(t)) == observed.values[t];
    }
    n.seed_on_clear = any && again;
    return !any || again || on;
}
}  // namespace

Timeline Timeline::of(const trace::Stimulus& stimulus, std::uint64_t n_steps,
                      std::uint32_t neurons) {
    Timeline timeline;
    timeline.neurons = neurons;
    constexpr std::uint64_t kBlock = 256;
    for (std::uint64_t first = 0; first < n_steps; first += kBlock) {
        const auto count = static_cast<std::uint32_t>(std::min(kBlock, n_steps - first));
        const trace::StimulusBlock block = stimulus.block(first, count);
        timeline.clears.resize(first + count, 0);
        for (std::uint32_t s = 0; s < count; ++s)
            timeline.events.push_back(static_cast<std::uint32_t>(block.events_of(s).size()));
        for (const auto& begin : block.begins)
            if (begin.start != trace::StartState::Keep) timeline.clears[first + begin.step] = 1;
    }
    return timeline;
}

std::vector<Noise> identify(const ObservedRegister& observed, const Timeline& timeline) {
    std::vector<Noise> found;
    if (observed.bits < 3 || observed.bits > 32 || observed.values.empty()) return found;
    Noise n;
    n.bits = observed.bits;
    // A stretch of states without a clear; their differences have no constant part (xnor).
    const auto needed = static_cast<std::size_t>(3 * n.bits + 9);
    std::size_t longest = 0, begin = 0;
    for (std::size_t t = 0, from = 0; t <= observed.values.size(); ++t)
        if (t == observed.values.size() || timeline.clears[t] != 0) {
            if (t - from > longest) {
                longest = t - from;
                begin = from;
            }
            from = t;
        }
    if (longest < needed) {  // right where clears leave the register alone
        begin = 0;
        longest = observed.values.size();
    }
    const auto differences = [&](int cell) {
        std::vector<std::uint8_t> bits;
        for (std::size_t t = begin + 1; t < begin + longest; ++t)
            bits.push_back(static_cast<std::uint8_t>(
                (observed.values[t] ^ observed.values[t - 1]) >> cell & 1));
        return bits;
    };
    const std::vector<std::uint8_t> seen = differences(0);
    if (std::ranges::count(seen, 1) < 3) return found;
    const auto low = longest >= needed ? recurrence_of(seen, n.bits) : std::nullopt;
    const auto high = low ? recurrence_of(differences(n.bits - 1), n.bits) : std::nullopt;
    if (low && high && low->length == n.bits && high->length == n.bits && low->low == high->low) {
        for (const Advance advance : {Advance::Update, Advance::Timestep}) {
            n.advance = advance;
            const std::vector<Move> moves = moves_of(observed, advance, timeline);
            for (n.shifts = 1; n.shifts <= kMostShifts; ++n.shifts) {
                const std::uint64_t k =
                    advances_in(advance, 0, timeline) * static_cast<std::uint64_t>(n.shifts);
                if (const auto own = undecimated(*low, seen, k))
                    try_polynomial(*own, n, moves, found);
                else if (n.shifts == 1)
                    try_all_taps(n, moves, found);
            }
        }
    } else if (!low) {
        n.advance = Advance::Event;
        n.shifts = 1;
        try_all_taps(n, moves_of(observed, Advance::Event, timeline), found);
    }
    std::erase_if(found, [&](Noise& one) { return !find_seed(observed, timeline, one); });
    return found;
}

const std::vector<Noise>& common_registers() {
    // Exponents of maximal polynomials x^bits + ... + 1, as application notes list them.
    static constexpr std::array<std::array<int, 5>, 24> kPolynomials = {
        {{8, 6, 5, 4, 0},    {9, 5, 0, 0, 0},     {10, 7, 0, 0, 0},    {11, 9, 0, 0, 0},
         {12, 6, 4, 1, 0},   {13, 4, 3, 1, 0},    {14, 5, 3, 1, 0},    {15, 14, 0, 0, 0},
         {16, 15, 13, 4, 0}, {16, 14, 13, 11, 0}, {17, 14, 0, 0, 0},   {18, 11, 0, 0, 0},
         {19, 6, 2, 1, 0},   {20, 17, 0, 0, 0},   {21, 19, 0, 0, 0},   {22, 21, 0, 0, 0},
         {23, 18, 0, 0, 0},  {24, 23, 22, 17, 0}, {25, 22, 0, 0, 0},   {28, 25, 0, 0, 0},
         {31, 28, 0, 0, 0},  {32, 22, 2, 1, 0},   {32, 30, 26, 25, 0}, {7, 6, 0, 0, 0}}};
    static const std::vector<Noise> all = [] {
        std::vector<Noise> list;
        for (const auto& exponents : kPolynomials) {
            Noise n;
            n.bits = exponents[0];
            std::uint64_t whole = 1;
            for (const int e : exponents)
                if (e > 0) whole |= std::uint64_t{1} << e;
            const std::uint64_t mask = (std::uint64_t{1} << n.bits) - 1;
            const std::uint64_t turned = mirrored(whole, n.bits + 1);
            std::vector<std::int64_t> seeds;
            for (const std::uint64_t seed : {std::uint64_t{1}, ~std::uint64_t{0},
                                             std::uint64_t{0xACE1}, std::uint64_t{0xDEADBEEF}})
                if (const auto cut = static_cast<std::int64_t>(seed & mask);
                    std::ranges::find(seeds, cut) == seeds.end())
                    seeds.push_back(cut);
            for (const LfsrForm form : {LfsrForm::Fibonacci, LfsrForm::Galois})
                for (const Direction direction : {Direction::Left, Direction::Right})
                    for (const std::uint64_t p : {whole, turned})
                        for (const Advance advance :
                             {Advance::Update, Advance::Timestep, Advance::Event})
                            for (const std::int64_t seed : seeds)
                                for (const bool again : {true, false}) {
                                    n.form = form;
                                    n.direction = direction;
                                    // As published: the cell that leaves takes part.
                                    n.taps = static_cast<std::int64_t>(
                                        (form == LfsrForm::Fibonacci) ==
                                                (direction == Direction::Left)
                                            ? p >> 1
                                            : p & mask);
                                    n.advance = advance;
                                    n.seed = golden::Param::scalar(seed);
                                    n.seed_on_clear = again;
                                    list.push_back(n);
                                }
        }
        return list;
    }();
    return all;
}

namespace {
/// The register at the draws of every residual, before and after the advance.
struct Draws {
    std::vector<std::uint64_t> before, after;
};
Draws draws_of(std::span<const Residual> residuals, const Noise& n, const Timeline& timeline) {
    Draws draws;
    const auto seed = static_cast<std::uint64_t>(n.seed.values.front());
    const auto shifts = static_cast<std::uint64_t>(n.shifts);
    std::uint64_t state = seed, before = seed;
    const auto advance = [&] {
        before = state;
        state = moved(state, n, shifts);
    };
    auto next = residuals.begin();
    for (std::uint64_t t = 0; t < timeline.n_steps() && next != residuals.end(); ++t) {
        if (timeline.clears[t] != 0 && n.seed_on_clear) state = before = seed;
        if (n.advance == Advance::Timestep) advance();
        if (n.advance == Advance::Event)
            for (std::uint32_t e = 0; e < timeline.events[t]; ++e) advance();
        for (std::uint32_t i = 0; i < timeline.neurons; ++i) {
            if (n.advance == Advance::Update) advance();
            for (; next != residuals.end() && next->timestep == t && next->neuron == i; ++next) {
                draws.before.push_back(before);
                draws.after.push_back(state);
            }
        }
    }
    return draws;
}

/// Least squares of y on a constant and the bits of x.
struct Fitted {
    std::vector<double> of_bit;
    double constant = 0.0;
    double explained = 0.0;
    double doubt = 0.0;  ///< standard error of a bit's weight
    double at(std::uint64_t x) const {
        double y = constant;
        for (std::size_t i = 0; i < of_bit.size(); ++i)
            if ((x >> i & 1) != 0) y += of_bit[i];
        return y;
    }
};
std::optional<Fitted> regress(std::span<const Residual> y, std::span<const std::uint64_t> x,
                              int bits, const std::vector<std::uint8_t>& used) {
    const auto size = static_cast<std::size_t>(bits) + 1;
    std::vector<std::vector<double>> a(size, std::vector<double>(size + 1, 0.0));
    double count = 0, sum = 0, squares = 0;
    std::vector<std::size_t> ones;
    for (std::size_t k = 0; k < y.size(); ++k) {
        if (used[k] == 0) continue;
        const auto e = static_cast<double>(y[k].error);
        ones.assign(1, 0);
        for (std::size_t i = 1; i < size; ++i)
            if ((x[k] >> (i - 1) & 1) != 0) ones.push_back(i);
        for (const std::size_t i : ones) {
            for (const std::size_t j : ones) a[i][j] += 1.0;
            a[i][size] += e;
        }
        count += 1;
        sum += e;
        squares += e * e;
    }
    if (count < 8.0 * static_cast<double>(size)) return std::nullopt;
    std::vector<double> right(size);
    for (std::size_t i = 0; i < size; ++i) right[i] = a[i][size];
    for (std::size_t i = 0; i < size; ++i) {
        std::size_t pivot = i;
        for (std::size_t r = i + 1; r < size; ++r)
            if (std::abs(a[r][i]) > std::abs(a[pivot][i])) pivot = r;
        if (std::abs(a[pivot][i]) < 1e-6) return std::nullopt;
        std::swap(a[i], a[pivot]);
        for (std::size_t r = 0; r < size; ++r) {
            if (r == i) continue;
            const double factor = a[r][i] / a[i][i];
            for (std::size_t c = i; c <= size; ++c) a[r][c] -= factor * a[i][c];
        }
    }
    Fitted f;
    double model = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const double value = a[i][size] / a[i][i];
        model += value * right[i];
        if (i == 0)
            f.constant = value;
        else
            f.of_bit.push_back(value);
    }
    const double mean = sum / count;
    const double variance = squares - count * mean * mean;
    f.explained = variance <= 0 ? 0.0 : (model - count * mean * mean) / variance;
    // Bits are set half of the time.
    f.doubt = 2.0 * std::sqrt(std::max(0.0, squares - model) / count / count);
    return f;
}

/// Weights that double from cell to cell: a number that the cells hold.
std::vector<Noise> read_off(const Fitted& f, const Noise& n, int leak_bits) {
    std::vector<Noise> parts;
    const auto weight = [&](int i) { return f.of_bit[static_cast<std::size_t>(i)]; };
    const auto near = [](double value, double wanted) {
        return std::abs(value - wanted) <= 0.3 * std::abs(wanted);
    };
    const double offset = f.constant;
    const double least = 5.0 * f.doubt;  // that is no chance
    for (int i = 0; i < n.bits; ++i) {
        if (weight(i) < std::max(0.7, least)) continue;
        const int shift = static_cast<int>(std::lround(std::log2(weight(i))));
        const double unit = std::ldexp(1.0, shift);
        if (shift < 0 || !near(weight(i), unit)) continue;
        int last = i;
        while (last + 1 < n.bits && near(weight(last + 1), std::ldexp(unit, last + 1 - i))) ++last;
        Noise part = n;
        part.use = NoiseUse::V;
        part.lsb = i;
        part.shift = shift;
        part.is_signed =
            last + 1 < n.bits && near(weight(last + 1), -std::ldexp(unit, last + 1 - i));
        last += part.is_signed ? 1 : 0;
        part.width = last - i + 1;
        parts.push_back(part);
        i = last;
    }
    if (!parts.empty()) {
        // What is added throughout belongs to a part; a leak that rounds adds less than one.
        const double unit = std::ldexp(1.0, parts[0].shift);
        parts[0].offset = std::lround(offset / unit);
        if (std::abs(offset) < 0.75) parts[0].offset = 0;
    }
    if (leak_bits > 0)
        for (int top = n.bits - 1; top > 0; --top) {
            if (!near(weight(top), 0.5) || !near(weight(top - 1), 0.25) || least > 0.25) continue;
            Noise part = n;
            part.use = NoiseUse::Rounding;
            part.width = std::min(leak_bits, top + 1);
            part.lsb = top + 1 - part.width;
            parts.insert(parts.begin(), part);
            break;
        }
    return parts;
}
}  // namespace

std::optional<NoiseParts> parts_of(std::span<const Residual> residuals, const Noise& register_of,
                                   const Timeline& timeline, int leak_bits) {
    constexpr double kLittle = 0.1;
    std::optional<NoiseParts> best;
    const Draws draws = draws_of(residuals, register_of, timeline);
    for (const Read read : {Read::Before, Read::After}) {
        const auto& x = read == Read::Before ? draws.before : draws.after;
        if (x.size() != residuals.size()) return std::nullopt;
        std::vector<std::uint8_t> used(residuals.size(), 1);
        auto fitted = regress(residuals, x, register_of.bits, used);
        if (!fitted) continue;
        // Updates that are off for another reason weigh too much: once more without them.
        std::vector<double> off(residuals.size());
        for (std::size_t k = 0; k < off.size(); ++k)
            off[k] = std::abs(static_cast<double>(residuals[k].error) - fitted->at(x[k]));
        std::vector<double> sorted = off;
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
        std::ranges::nth_element(sorted, middle);
        for (std::size_t k = 0; k < off.size(); ++k) used[k] = off[k] <= 4.0 * *middle + 1.0;
        if (const auto again = regress(residuals, x, register_of.bits, used)) fitted = again;
        if (fitted->explained < kLittle || (best && best->explained >= fitted->explained)) continue;
        Noise n = register_of;
        n.read = read;
        std::vector<Noise> parts = read_off(*fitted, n, leak_bits);
        if (!parts.empty()) best = NoiseParts{std::move(parts), fitted->explained};
    }
    return best;
}

}  // namespace spikelock::analysis::detail

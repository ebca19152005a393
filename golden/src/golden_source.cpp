// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/golden_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "input_queue.hpp"
#include "kernels.hpp"
#include "spikelock/golden/arithmetic.hpp"

namespace spikelock::golden {
namespace {

constexpr std::string_view kKernelNames[] = {"auto", "scalar", "generic", "avx2", "avx512"};

/// nullptr where this CPU does not run it.
const detail::KernelTable* table_of(Kernel kernel) noexcept {
    switch (kernel) {
        case Kernel::Avx512:
            return detail::kernels_avx512();
        case Kernel::Avx2:
            return detail::kernels_avx2();
        case Kernel::Scalar:  // for packing and storing; its arithmetic is in update_neuron()
        case Kernel::Generic:
            return &detail::kernels_generic();
        case Kernel::Auto:
            break;
    }
    return table_of(available_kernels().back());
}

/// Whether every intermediate of a sweep fits in 32 bits.
///
/// With V = 2^(v_bits-1), U = 2^(u_bits-1), A = 2^(acc_bits-1) and m the largest multiplier:
///  - the accumulator is only wrapped, which unsigned arithmetic does for any width;
///  - |drive| <= A + V, for CUBA neurons |rnd(u)| <= U after it;
///  - shift: rnd(x, k) adds at most 2^k - 1 with k <= bits (larger shifts are clamped), so that
///    |x| + 2^bits <= 3/2 * 2^bits < 2^31 for bits <= 30, and |x - rnd(x, k)| <= |x|;
///  - multiply: |x * m| + 2^leak_frac must fit; the result is at most |x| * m / 2^leak_frac + 1;
///  - rnd(u, u_shift) adds less than 2^u_shift <= 2^15 to |u| <= 2^29;
///  - subtraction: |v1 - threshold| <= 2 V.
bool fits_in_32_bits(const Network& net) noexcept {
    const Arithmetic& a = net.arithmetic;
    if (a.v_bits > 30 || a.u_bits > 30) return false;
    const std::int64_t word = std::numeric_limits<std::int32_t>::max();
    const std::int64_t v = std::int64_t{1} << (a.v_bits - 1);
    const std::int64_t u = std::int64_t{1} << (a.u_bits - 1);
    const std::int64_t drive = (std::int64_t{1} << (a.acc_bits - 1)) + v;
    std::int64_t decayed_v = v;
    std::int64_t decayed_u = u;
    if (a.leak_mode == LeakMode::Multiply) {
        std::int64_t m = 0;
        for (const NeuronParams& p : net.neurons)
            m = std::max<std::int64_t>({m, p.leak, p.cuba ? p.u_decay : 0});
        const std::int64_t one = std::int64_t{1} << a.leak_frac;
        if (std::max(v, u) * m + one > word) return false;
        decayed_v = v * m / one + 1;
        decayed_u = u * m / one + 1;
    }
    return decayed_v + std::max(drive, u) <= word && decayed_u + drive <= word;
}

/// A stretch of neurons, none of which reaches another of them in the same timestep: they may be
/// updated together before any of their spikes is delivered.
struct Chunk {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    detail::SweepKey key;
};

/// The chunks of a sweep, as long as possible, each with or without the CUBA filter.
std::vector<Chunk> split_sweep(const Network& net) {
    const std::uint32_t neurons = net.n_neurons();
    std::vector<Chunk> chunks;
    Chunk chunk;
    std::uint32_t limit = neurons;  // least delay-0 target of the chunk so far
    for (std::uint32_t n = 0; n < neurons; ++n) {
        const bool new_model = n > 0 && net.neurons[n].cuba != net.neurons[n - 1].cuba;
        if (n == limit || new_model) {
            chunk.end = n;
            chunks.push_back(chunk);
            chunk.begin = n;
            limit = neurons;
        }
        for (const Synapse& s : net.row_of_neuron(n)) {
            if (s.delay == 0) limit = std::min(limit, s.target);
        }
    }
    chunk.end = neurons;
    chunks.push_back(chunk);
    return chunks;
}

detail::SweepKey choose_kernel(const Network& net, const Chunk& chunk) {
    const Arithmetic& a = net.arithmetic;
    const auto neurons = std::span(net.neurons).subspan(chunk.begin, chunk.end - chunk.begin);
    const std::uint32_t no_leak =
        a.leak_mode == LeakMode::Multiply ? std::uint32_t{1} << a.leak_frac : 0;
    detail::SweepKey key;
    key.cuba = neurons.front().cuba;
    key.saturate = a.v_overflow == Overflow::Saturate;
    key.subtract = a.reset_mode == ResetMode::Subtract;
    key.refractory = std::ranges::any_of(neurons, [](auto& p) { return p.refractory > 0; });
    const bool leaks = std::ranges::any_of(neurons, [&](auto& p) { return p.leak != no_leak; });
    if (leaks || key.cuba) {
        key.leak =
            (a.leak_mode == LeakMode::Multiply ? detail::kLeakMultiply : detail::kLeakShift) +
            static_cast<std::size_t>(a.rounding);
    }
    return key;
}

/// Synapses of a source, ordered so that they can be delivered as vectors. Order matters only
/// between synapses to one target and slot, and there it is kept.
struct Row {
    std::uint32_t run_begin = 0, run_end = 0;
    std::uint32_t single_begin = 0, single_end = 0;
};
/// Consecutive targets with one delay.
struct Run {
    std::uint32_t delay, target, count, weight;
};
struct Single {
    std::uint32_t target, delay;
    std::int32_t weight;
};

struct Rows {
    static constexpr std::uint32_t kShortestRun = 8;
    std::vector<Row> rows;
    std::vector<Run> runs;
    std::vector<Single> singles;
    std::vector<std::int32_t> weights;  ///< of the runs, shifted

    explicit Rows(const Network& net) {
        const std::uint32_t sources = net.n_axons() + net.n_neurons();
        const std::int32_t scale = 1 << net.arithmetic.weight_shift;
        rows.reserve(sources);
        std::vector<Synapse> sorted;
        for (std::uint32_t source = 0; source < sources; ++source) {
            const auto row = net.row(source);
            sorted.assign(row.begin(), row.end());
            const auto key = [](const Synapse& s) { return std::pair(s.delay, s.target); };
            std::ranges::stable_sort(sorted, {}, key);
            // A duplicate split between a run and a single would change places with its twin, which
            // saturation could show.
            const bool duplicates = std::ranges::adjacent_find(sorted, {}, key) != sorted.end();
            Row out{size(runs), 0, size(singles), 0};
            for (std::size_t i = 0; i < sorted.size();) {
                std::size_t end = i + 1;
                while (!duplicates && end < sorted.size() && sorted[end].delay == sorted[i].delay &&
                       sorted[end].target == sorted[end - 1].target + 1)
                    ++end;
                if (end - i >= kShortestRun) {
                    runs.push_back({sorted[i].delay, sorted[i].target,
                                    static_cast<std::uint32_t>(end - i), size(weights)});
                    for (; i < end; ++i) weights.push_back(sorted[i].weight * scale);
                } else {
                    for (; i < end; ++i)
                        singles.push_back(
                            {sorted[i].target, sorted[i].delay, sorted[i].weight * scale});
                }
            }
            out.run_end = size(runs);
            out.single_end = size(singles);
            rows.push_back(out);
        }
    }

private:
    template <typename V>
    static std::uint32_t size(const V& v) {
        return static_cast<std::uint32_t>(v.size());
    }
};

/// T holds state, parameters and intermediates.
template <typename T>
class Engine final : public GoldenSource {
public:
    Engine(Network network, const detail::KernelTable& table, bool scalar)
        : net_(std::move(network)),
          shape_(net_.shape()),
          table_(table),
          scalar_(scalar),
          neurons_(net_.n_neurons()),
          words_(shape_.spike_words()),
          stride_(words_ * 64),
          slot_mask_(static_cast<std::uint32_t>(net_.arithmetic.delay_slots) - 1),
          rows_(net_),
          chunks_(split_sweep(net_)),
          acc_(stride_ * (slot_mask_ + 1)),
          v_(stride_),
          u_(stride_),
          refr_(stride_),
          i_syn_(stride_),
          fired_(stride_),
          input_(net_.ports, net_.n_neurons(), net_.arithmetic.acc_bits) {
        for (Chunk& chunk : chunks_) chunk.key = choose_kernel(net_, chunk);
        load_parameters();
        clear();
        for (const trace::FieldSpec& spec : shape_.fields) {
            fields_.push_back(
                {spec.name == "i_syn" ? i_syn_.data()
                 : spec.name == "u"   ? u_.data()
                 : spec.name == "v"   ? v_.data()
                                      : refr_.data(),
                 static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(spec.bytes))),
                 neurons_ * static_cast<std::size_t>(spec.bytes),
                 {}});
        }
    }

    const trace::Shape& shape() const override { return shape_; }
    const Network& network() const override { return net_; }
    std::uint64_t in_flight() const override { return input_.in_flight(); }

    std::string kernel() const override;
    GoldenState get_state() const override;
    Status set_state(const GoldenState& state) override;

    Status submit(const trace::StimulusBlock& block) override { return input_.submit(block); }

    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(
        std::uint32_t max_steps) override {
        const auto steps =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(max_steps, in_flight()));
        if (steps == 0) {
            return std::variant<trace::BlockView, trace::SourceEnd>(trace::SourceEnd{
                trace::EndKind::Complete, input_.next(), 0, "everything submitted has been read"});
        }
        spikes_.resize(words_ * steps);
        for (Field& field : fields_) field.buffer.resize(field.row_bytes * steps);
        for (std::uint32_t s = 0; s < steps; ++s) {
            step(input_.take(), spikes_.data() + words_ * s);
            for (Field& field : fields_) {
                std::byte* const to = field.buffer.data() + field.row_bytes * s;
                if constexpr (sizeof(T) == 4)
                    table_.store32[field.store](to, field.from, neurons_);
                else
                    table_.store64[field.store](to, field.from, neurons_);
            }
        }
        trace::BlockView view;
        view.first = input_.next() - steps;
        view.n_steps = steps;
        view.spikes = spikes_;
        for (const Field& field : fields_) view.fields.emplace_back(field.buffer);
        return std::variant<trace::BlockView, trace::SourceEnd>(std::move(view));
    }

private:
    struct Field {
        const T* from;
        std::size_t store;  ///< index in KernelTable::store32 and store64
        std::size_t row_bytes;
        std::vector<std::byte> buffer;
    };

    std::int32_t* acc_of(std::uint32_t slot) { return acc_.data() + stride_ * slot; }
    std::uint32_t slot_after(std::uint32_t delay) const { return (slot_ + delay) & slot_mask_; }

    void load_parameters();
    void clear();
    void step(const detail::InputQueue::Step& input, std::uint64_t* spikes);
    void add_current(const std::int32_t* i_in, std::size_t begin, std::size_t end);
    void deliver(std::uint32_t source);
    void deliver_scalar(std::uint32_t source);
    void update_neuron(std::uint32_t n);
    void sweep_scalar(const std::int32_t* i_in, std::uint64_t* spikes);
    void sweep_chunks(const std::int32_t* i_in, std::uint64_t* spikes);

    Network net_;
    trace::Shape shape_;
    const detail::KernelTable& table_;
    bool scalar_;
    std::size_t neurons_;
    std::size_t words_;
    std::size_t stride_;  ///< neurons rounded up to whole spike words
    std::uint32_t slot_mask_;
    Rows rows_;
    std::vector<Chunk> chunks_;

    std::vector<std::int32_t> acc_;  ///< shape (delay_slots, stride)
    std::vector<T> v_, u_, refr_, i_syn_, fired_;
    std::vector<T> fires_at_, threshold_, v_reset_, bias_, leak_, u_decay_, refractory_;
    std::uint32_t slot_ = 0;

    detail::InputQueue input_;
    std::vector<std::uint64_t> spikes_;
    std::vector<Field> fields_;
};

template <typename T>
void Engine<T>::load_parameters() {
    const Arithmetic& a = net_.arithmetic;
    // A shift at least as wide as its operand gives what the width gives, in each rounding mode.
    const auto factor = [&](std::uint32_t value, int bits) {
        return static_cast<T>(a.leak_mode == LeakMode::Shift
                                  ? std::min(value, static_cast<std::uint32_t>(bits))
                                  : value);
    };
    for (auto* array :
         {&fires_at_, &threshold_, &v_reset_, &bias_, &leak_, &u_decay_, &refractory_})
        array->resize(stride_);
    for (std::size_t n = 0; n < neurons_; ++n) {
        const NeuronParams& p = net_.neurons[n];
        threshold_[n] = p.threshold;
        // In 32 bits v_bits is at most 30, so that the largest T is above any v1.
        fires_at_[n] = p.spiking ? static_cast<T>(static_cast<T>(p.threshold) +
                                                  (a.compare == Compare::Greater ? 1 : 0))
                                 : std::numeric_limits<T>::max();
        v_reset_[n] = p.v_reset;
        bias_[n] = p.bias;
        leak_[n] = factor(p.leak, a.v_bits);
        u_decay_[n] = factor(p.u_decay, a.u_bits);
        refractory_[n] = static_cast<T>(p.refractory);
    }
}

template <typename T>
void Engine<T>::clear() {
    std::ranges::fill(acc_, 0);
    for (std::size_t n = 0; n < neurons_; ++n) v_[n] = static_cast<T>(net_.neurons[n].v_init);
    std::ranges::fill(u_, T{0});
    std::ranges::fill(refr_, T{0});
    slot_ = 0;
}

template <typename T>
void Engine<T>::step(const detail::InputQueue::Step& input, std::uint64_t* spikes) {
    if (input.clear) clear();
    for (const std::uint32_t axon : input.axons) {
        if (scalar_)
            deliver_scalar(axon);
        else
            deliver(axon);
    }
    std::fill_n(spikes, words_, 0);
    if (scalar_)
        sweep_scalar(input.i_in, spikes);
    else
        sweep_chunks(input.i_in, spikes);
    slot_ = slot_after(1);
}

/// Equations 3 to 6 as docs/model.md writes them.
template <typename T>
void Engine<T>::update_neuron(std::uint32_t n) {
    const Arithmetic& a = net_.arithmetic;
    const NeuronParams& p = net_.neurons[n];
    std::int32_t& acc = acc_of(slot_)[n];
    const std::int64_t i_syn = fit(acc, a.acc_bits, Overflow::Wrap);
    acc = 0;
    i_syn_[n] = static_cast<T>(i_syn);
    std::int64_t drive = i_syn + p.bias;
    if (p.cuba) {
        u_[n] = static_cast<T>(fit(decay(u_[n], p.u_decay, a) + drive, a.u_bits, a.v_overflow));
        drive = rnd(u_[n], a.u_shift, a.rounding);
    }
    const std::int64_t v1 = fit(decay(v_[n], p.leak, a) + drive, a.v_bits, a.v_overflow);
    fired_[n] = 0;
    if (refr_[n] > 0) {
        --refr_[n];
    } else if (p.spiking &&
               (a.compare == Compare::Greater ? v1 > p.threshold : v1 >= p.threshold)) {
        fired_[n] = -1;
        refr_[n] = static_cast<T>(p.refractory);
        v_[n] = static_cast<T>(a.reset_mode == ResetMode::Value
                                   ? p.v_reset
                                   : fit(v1 - p.threshold, a.v_bits, a.v_overflow));
    } else {
        v_[n] = static_cast<T>(v1);
    }
}

/// Equation 1, synapse by synapse in row order.
template <typename T>
void Engine<T>::deliver_scalar(std::uint32_t source) {
    const Arithmetic& a = net_.arithmetic;
    for (const Synapse& s : net_.row(source)) {
        std::int32_t& acc = acc_of(slot_after(s.delay))[s.target];
        const std::int64_t weight = std::int64_t{s.weight} * (std::int64_t{1} << a.weight_shift);
        acc = static_cast<std::int32_t>(fit(acc + weight, a.acc_bits, a.acc_overflow));
    }
}

template <typename T>
void Engine<T>::sweep_scalar(const std::int32_t* i_in, std::uint64_t* spikes) {
    const Arithmetic& a = net_.arithmetic;
    for (std::uint32_t n = 0; n < neurons_; ++n) {
        if (i_in != nullptr) {
            std::int32_t& acc = acc_of(slot_)[n];
            acc = static_cast<std::int32_t>(
                fit(std::int64_t{acc} + i_in[n], a.acc_bits, a.acc_overflow));
        }
        update_neuron(n);
        if (fired_[n] != 0) {
            spikes[n / 64] |= std::uint64_t{1} << (n % 64);
            deliver_scalar(net_.n_axons() + n);
        }
    }
}

/// The sum of equation 2. Where sums wrap, the accumulator holds any representative modulo
/// 2^acc_bits and the kernel brings it into acc_bits.
template <typename T>
void Engine<T>::add_current(const std::int32_t* i_in, std::size_t begin, std::size_t end) {
    const Arithmetic& a = net_.arithmetic;
    std::int32_t* const acc = acc_of(slot_);
    if (a.acc_overflow == Overflow::Wrap) {
        table_.add_wrap(acc + begin, i_in + begin, end - begin);
    } else if (a.acc_bits < 32) {
        table_.add_saturate(acc + begin, i_in + begin, end - begin, a.acc_bits);
    } else {
        for (std::size_t n = begin; n < end; ++n)
            acc[n] = static_cast<std::int32_t>(
                fit(std::int64_t{acc[n]} + i_in[n], 32, Overflow::Saturate));
    }
}

/// Equation 1 for all synapses of a source. With at most 31 bits a saturated accumulator and a
/// weight (below 2^30) add up within 32 bits.
template <typename T>
void Engine<T>::deliver(std::uint32_t source) {
    const Row& row = rows_.rows[source];
    const Arithmetic& a = net_.arithmetic;
    const Run* const runs = rows_.runs.data();
    const Single* const singles = rows_.singles.data();
    if (a.acc_overflow == Overflow::Wrap) {
        for (std::uint32_t r = row.run_begin; r < row.run_end; ++r)
            table_.add_wrap(acc_of(slot_after(runs[r].delay)) + runs[r].target,
                            rows_.weights.data() + runs[r].weight, runs[r].count);
        for (std::uint32_t i = row.single_begin; i < row.single_end; ++i) {
            std::int32_t& acc = acc_of(slot_after(singles[i].delay))[singles[i].target];
            acc = static_cast<std::int32_t>(static_cast<std::uint32_t>(acc) +
                                            static_cast<std::uint32_t>(singles[i].weight));
        }
        return;
    }
    const auto add = [&](std::int32_t& acc, std::int32_t weight) {
        acc = static_cast<std::int32_t>(
            fit(std::int64_t{acc} + weight, a.acc_bits, Overflow::Saturate));
    };
    for (std::uint32_t r = row.run_begin; r < row.run_end; ++r) {
        std::int32_t* const acc = acc_of(slot_after(runs[r].delay)) + runs[r].target;
        const std::int32_t* const weights = rows_.weights.data() + runs[r].weight;
        if (a.acc_bits < 32) {
            table_.add_saturate(acc, weights, runs[r].count, a.acc_bits);
        } else {
            for (std::uint32_t i = 0; i < runs[r].count; ++i) add(acc[i], weights[i]);
        }
    }
    for (std::uint32_t i = row.single_begin; i < row.single_end; ++i)
        add(acc_of(slot_after(singles[i].delay))[singles[i].target], singles[i].weight);
}

template <typename T>
void Engine<T>::sweep_chunks(const std::int32_t* i_in, std::uint64_t* spikes) {
    constexpr std::uint32_t kShortestVector = 8;
    const Arithmetic& a = net_.arithmetic;
    const detail::SweepArgs<T> args{.acc = acc_of(slot_),
                                    .v = v_.data(),
                                    .u = u_.data(),
                                    .refr = refr_.data(),
                                    .i_syn = i_syn_.data(),
                                    .fired = fired_.data(),
                                    .fires_at = fires_at_.data(),
                                    .threshold = threshold_.data(),
                                    .v_reset = v_reset_.data(),
                                    .bias = bias_.data(),
                                    .leak = leak_.data(),
                                    .u_decay = u_decay_.data(),
                                    .refractory = refractory_.data(),
                                    .acc_bits = a.acc_bits,
                                    .v_bits = a.v_bits,
                                    .u_bits = a.u_bits,
                                    .leak_frac = a.leak_frac,
                                    .u_shift = a.u_shift};
    for (const Chunk& chunk : chunks_) {
        if (i_in != nullptr) add_current(i_in, chunk.begin, chunk.end);
        if (chunk.end - chunk.begin < kShortestVector) {
            for (std::uint32_t n = chunk.begin; n < chunk.end; ++n) update_neuron(n);
        } else if constexpr (sizeof(T) == 4) {
            table_.sweep32[chunk.key.index()](args, chunk.begin, chunk.end);
        } else {
            table_.sweep64[chunk.key.index()](args, chunk.begin, chunk.end);
        }
        for (std::uint32_t w = chunk.begin / 64; w * 64 < chunk.end; ++w) {
            std::uint64_t word = 0;
            if constexpr (sizeof(T) == 4)
                word = table_.pack32(fired_.data() + std::size_t{w} * 64);
            else
                word = table_.pack64(fired_.data() + std::size_t{w} * 64);
            // A word may hold neurons of other chunks: those before are in `spikes` already, those
            // after still show the last timestep.
            if (chunk.begin > w * 64) word &= ~std::uint64_t{0} << (chunk.begin % 64);
            if (chunk.end < (w + 1) * 64) word &= ~(~std::uint64_t{0} << (chunk.end % 64));
            spikes[w] |= word;
            for (; word != 0; word &= word - 1)
                deliver(net_.n_axons() + w * 64 +
                        static_cast<std::uint32_t>(std::countr_zero(word)));
        }
    }
}

template <typename T>
std::string Engine<T>::kernel() const {
    const std::string tail = fmt::format("i{}/{}", 8 * sizeof(T), scalar_ ? "scalar" : table_.name);
    std::vector<std::string> parts;
    for (const Chunk& chunk : chunks_) {
        const detail::SweepKey& key = chunk.key;
        std::string part = fmt::format("{}/{}/{}",
                                       key.cuba                        ? "cuba"
                                       : key.leak == detail::kLeakNone ? "if"
                                                                       : "lif",
                                       key.leak == detail::kLeakNone      ? "none"
                                       : key.leak < detail::kLeakMultiply ? "shift"
                                                                          : "multiply",
                                       key.saturate ? "saturate" : "wrap");
        if (key.subtract) part += "/subtract";
        if (key.refractory) part += "/refractory";
        if (std::ranges::find(parts, part) == parts.end()) parts.push_back(std::move(part));
    }
    return fmt::format("{}/{}", fmt::join(parts, "+"), tail);
}

template <typename T>
GoldenState Engine<T>::get_state() const {
    GoldenState state;
    state.slot = slot_;
    for (std::size_t n = 0; n < neurons_; ++n) {
        state.v.push_back(static_cast<std::int32_t>(v_[n]));
        state.u.push_back(static_cast<std::int32_t>(u_[n]));
        state.refr.push_back(static_cast<std::uint32_t>(refr_[n]));
    }
    state.acc.reserve(neurons_ * (slot_mask_ + 1));
    for (std::uint32_t slot = 0; slot <= slot_mask_; ++slot) {
        for (std::size_t n = 0; n < neurons_; ++n)
            state.acc.push_back(static_cast<std::int32_t>(
                fit(acc_[stride_ * slot + n], net_.arithmetic.acc_bits, Overflow::Wrap)));
    }
    return state;
}

template <typename T>
Status Engine<T>::set_state(const GoldenState& state) {
    const Arithmetic& a = net_.arithmetic;
    const auto bad = [](std::string message) {
        return Error{Errc::BadConfig, std::move(message), "state"};
    };
    const auto check = [&](const char* name, std::span<const std::int32_t> values, int bits,
                           std::size_t size) -> Status {
        if (values.size() != size)
            return bad(fmt::format("{} has {} elements, expected {}", name, values.size(), size));
        for (std::size_t i = 0; i < size; ++i) {
            if (fit(values[i], bits, Overflow::Wrap) != values[i])
                return bad(fmt::format("{}[{}] is {}, expected {} bits", name, i, values[i], bits));
        }
        return {};
    };
    if (Status s = check("v", state.v, a.v_bits, neurons_); !s) return s;
    if (Status s = check("u", state.u, a.u_bits, neurons_); !s) return s;
    if (Status s = check("acc", state.acc, a.acc_bits, neurons_ * (slot_mask_ + 1)); !s) return s;
    if (state.refr.size() != neurons_)
        return bad(fmt::format("refr has {} elements, expected {}", state.refr.size(), neurons_));
    for (std::size_t n = 0; n < neurons_; ++n) {
        // A period that the neuron cannot enter would meet kernels without a refractory period.
        if (state.refr[n] > net_.neurons[n].refractory)
            return bad(fmt::format("refr[{}] is {}, expected 0..{}", n, state.refr[n],
                                   net_.neurons[n].refractory));
        if (!net_.neurons[n].cuba && state.u[n] != 0)
            return bad(fmt::format("u[{}] is {}, expected 0 without a filter", n, state.u[n]));
    }
    if (state.slot > slot_mask_)
        return bad(fmt::format("slot is {}, expected 0..{}", state.slot, slot_mask_));
    for (std::size_t n = 0; n < neurons_; ++n) {
        v_[n] = state.v[n];
        u_[n] = state.u[n];
        refr_[n] = static_cast<T>(state.refr[n]);
        for (std::size_t slot = 0; slot <= slot_mask_; ++slot)
            acc_[stride_ * slot + n] = state.acc[neurons_ * slot + n];
    }
    slot_ = state.slot;
    return {};
}

}  // namespace

std::string_view name_of(Kernel kernel) noexcept {
    return kKernelNames[static_cast<std::size_t>(kernel)];
}

Result<Kernel> kernel_of(std::string_view name) {
    const auto* const found = std::ranges::find(kKernelNames, name);
    if (found == std::end(kKernelNames))
        return Error{Errc::BadConfig,
                     fmt::format("unknown kernel '{}', expected one of {}", name,
                                 fmt::join(kKernelNames, ", ")),
                     {}};
    return static_cast<Kernel>(found - std::begin(kKernelNames));
}

std::vector<Kernel> available_kernels() {
    std::vector<Kernel> kernels{Kernel::Scalar, Kernel::Generic};
    if (detail::kernels_avx2() != nullptr) kernels.push_back(Kernel::Avx2);
    if (detail::kernels_avx512() != nullptr) kernels.push_back(Kernel::Avx512);
    return kernels;
}

Result<std::unique_ptr<GoldenSource>> GoldenSource::create(Network network, GoldenOptions options) {
    if (Status status = network.check(); !status) return status.error();
    const detail::KernelTable* const table = table_of(options.kernel);
    if (table == nullptr)
        return Error{Errc::Unsupported,
                     fmt::format("this CPU does not run the kernel '{}'", name_of(options.kernel)),
                     {}};
    if (options.kernel == Kernel::Scalar)
        return std::unique_ptr<GoldenSource>(
            std::make_unique<Engine<std::int64_t>>(std::move(network), *table, true));
    if (fits_in_32_bits(network))
        return std::unique_ptr<GoldenSource>(
            std::make_unique<Engine<std::int32_t>>(std::move(network), *table, false));
    return std::unique_ptr<GoldenSource>(
        std::make_unique<Engine<std::int64_t>>(std::move(network), *table, false));
}

}  // namespace spikelock::golden

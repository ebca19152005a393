// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/waves/trace_waves.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <variant>
#include <vector>

namespace spikelock::bridge::waves {
namespace {

/// Names of a waveform hold no blanks.
std::string word(std::string_view text) {
    std::string out;
    for (const char c : text) out += static_cast<unsigned char>(c) > ' ' && c != '$' ? c : '_';
    return out.empty() ? "_" : out;
}

std::string bits_text(std::uint64_t value, int bits) {
    std::string text(static_cast<std::size_t>(bits), '0');
    for (int i = 0; i < bits; ++i)
        if ((value >> i & 1) != 0) text[static_cast<std::size_t>(bits - 1 - i)] = '1';
    return text;
}

/// One row of a field, or the spikes, as it was last written.
struct Column {
    std::vector<std::uint32_t> vars;  ///< per neuron
    std::vector<std::uint64_t> last;
    std::vector<std::uint8_t> state;  ///< 0: nothing written yet, 1: a value, 2: x
};

class Out {
public:
    Out(const trace::Shape& shape, vcd::Writer& writer) : shape_(shape), writer_(writer) {
        columns_.resize(shape.fields.size() + 1);
        for (Column& c : columns_) {
            c.vars.resize(shape.n_neurons);
            c.last.resize(shape.n_neurons);
            c.state.resize(shape.n_neurons);
        }
        std::vector<bool> named(shape.n_neurons);
        for (const trace::Population& p : shape.populations) {
            writer_.begin_scope(word(p.label));
            for (std::uint32_t n = p.begin; n < p.end; ++n) {
                if (named[n]) continue;
                named[n] = true;
                declare(n, n - p.begin);
            }
            writer_.end_scope();
        }
        writer_.begin_scope("neurons");
        for (std::uint32_t n = 0; n < shape.n_neurons; ++n)
            if (!named[n]) declare(n, n);
        writer_.end_scope();
    }
    void row(const trace::BlockView& block, std::uint32_t step) {
        const std::size_t words = shape_.spike_words();
        const bool valid = block.valid.empty() || block.valid[step] != 0;
        for (std::uint32_t n = 0; n < shape_.n_neurons; ++n) {
            const std::uint64_t bit = block.spikes[step * words + n / 64] >> (n % 64) & 1;
            put(0, n, bit, 1, valid);
        }
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            const trace::FieldSpec& spec = shape_.fields[f];
            const auto bytes = static_cast<std::size_t>(spec.bytes);
            const std::byte* at = block.fields[f].data() + step * shape_.n_neurons * bytes;
            const bool masked = !block.masks.empty() && !block.masks[f].empty();
            for (std::uint32_t n = 0; n < shape_.n_neurons; ++n, at += bytes) {
                std::uint64_t value = 0;
                std::memcpy(&value, at, bytes);
                if (!spec.is_float && spec.bits < 64) value &= (std::uint64_t{1} << spec.bits) - 1;
                const bool good =
                    valid &&
                    (!masked || (block.masks[f][step * words + n / 64] >> (n % 64) & 1) != 0);
                put(f + 1, n, value, spec.is_float ? 0 : spec.bits, good);
            }
        }
    }

private:
    void declare(std::uint32_t neuron, std::uint32_t number) {
        const std::string end = "_" + std::to_string(number);
        columns_[0].vars[neuron] = writer_.add("spike" + end, 1);
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            const trace::FieldSpec& spec = shape_.fields[f];
            columns_[f + 1].vars[neuron] = writer_.add(
                word(spec.name) + end, spec.is_float ? 0 : static_cast<std::uint32_t>(spec.bits));
        }
    }
    /// @param bits  0: a real
    void put(std::size_t column, std::uint32_t neuron, std::uint64_t value, int bits, bool good) {
        Column& c = columns_[column];
        const std::uint8_t state = good ? 1 : 2;
        if (c.state[neuron] == state && (!good || c.last[neuron] == value)) return;
        c.state[neuron] = state;
        c.last[neuron] = value;
        if (bits == 0) {
            writer_.change(c.vars[neuron], good ? std::bit_cast<double>(value) : std::nan(""));
        } else {
            writer_.change(c.vars[neuron], good ? bits_text(value, bits)
                                                : std::string(static_cast<std::size_t>(bits), 'x'));
        }
    }

    const trace::Shape& shape_;
    vcd::Writer& writer_;
    std::vector<Column> columns_;
};

}  // namespace

TimeBase time_base(double dt) {
    for (int exponent = 2; exponent >= -15; --exponent) {
        const double units = dt / std::pow(10.0, exponent);
        const double whole = std::nearbyint(units);
        if (whole >= 1.0 && whole <= 1e9 && std::abs(units - whole) <= 1e-12 * whole)
            return {exponent, static_cast<std::uint64_t>(whole), true};
    }
    return {0, 1, false};
}

Result<std::uint64_t> write_waves(trace::StepSource& source, vcd::Writer& writer) {
    const trace::Shape& shape = source.shape();
    const TimeBase base = time_base(shape.dt);
    Out out(shape, writer);
    std::uint64_t end = 0;
    std::uint64_t steps = 0;
    for (;;) {
        auto got = source.read(256);
        if (!got) return got.error();
        const auto* block = std::get_if<trace::BlockView>(&*got);
        if (block == nullptr) break;
        for (std::uint32_t step = 0; step < block->n_steps; ++step) {
            writer.time((block->first + step) * base.units);
            out.row(*block, step);
        }
        end = block->first + block->n_steps;
        steps += block->n_steps;
    }
    // The last timestep has a length, too.
    if (steps > 0) writer.time(end * base.units);
    return steps;
}

}  // namespace spikelock::bridge::waves

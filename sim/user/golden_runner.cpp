// SPDX-License-Identifier: Apache-2.0
// Compiled together with the user's golden: reads requests, calls the model, writes its results.
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include "golden_protocol.hpp"
#include "spikelock_golden.h"

namespace {
using namespace spikelock::sim::user;

bool read_all(void* to, std::size_t bytes) {
    auto* at = static_cast<char*>(to);
    while (bytes > 0) {
        const ssize_t got = read(kRequests, at, bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        bytes -= static_cast<std::size_t>(got);
    }
    return true;
}

void answer(Tag tag, const std::string& text) {
    const Header header{tag, 0, text.size()};
    std::string all(reinterpret_cast<const char*>(&header), sizeof header);
    all += text;
    for (std::size_t at = 0; at < all.size();) {
        const ssize_t put = write(kAnswers, all.data() + at, all.size() - at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) _exit(0);  // the tool is gone
        at += static_cast<std::size_t>(put);
    }
}

[[noreturn]] void fail(const std::string& message) {
    std::fflush(nullptr);
    answer(Tag::Error, "\n" + message);
    _exit(1);
}

/// Calls into the model; what it throws ends the process with an Error.
template <typename F>
auto guarded(const std::string& when, F call) -> decltype(call()) {
    try {
        return call();
    } catch (const std::exception& caught) {
        fail(when + " threw: " + caught.what());
    } catch (...) {
        fail(when + " threw something that is no std::exception");
    }
}

struct Field {
    std::string name;
    std::uint32_t bytes = 0, is_signed = 0, bits = 0;
};

/// Values of a timestep in the field's storage. @returns the first neuron whose value does not fit
template <typename T>
std::size_t store(const std::int64_t* from, std::size_t n, std::int64_t low, std::int64_t high,
                  std::byte* to) {
    bool fits = true;
    for (std::size_t i = 0; i < n; ++i) {
        const T value = static_cast<T>(from[i]);
        std::memcpy(to + i * sizeof(T), &value, sizeof(T));
        fits &= from[i] >= low && from[i] <= high;
    }
    if (fits) return n;
    for (std::size_t i = 0; i < n; ++i)
        if (from[i] < low || from[i] > high) return i;
    return n;
}

class Runner {
public:
    void network(const std::vector<char>& payload) {
        for (std::size_t at = 0; at < payload.size();) {
            Array array;
            std::memcpy(&array, payload.data() + at, sizeof array);
            at += sizeof array;
            if (std::string(array.name) == "json") {
                json_.assign(payload.data() + at, array.count);
                at += padded(array.count, 8);
            } else {
                auto& values = arrays_[array.name];
                values.resize(array.count + 1);  // never null
                std::memcpy(values.data(), payload.data() + at, array.count * 4);
                at += padded(array.count * 4, 8);
            }
        }
        const auto one = [&](const char* name) { return arrays_.at(name)[0]; };
        const auto many = [&](const char* name) { return arrays_.at(name).data(); };
        net_.n_neurons = static_cast<std::uint32_t>(one("n_neurons"));
        net_.n_axons = static_cast<std::uint32_t>(one("n_axons"));
        net_.n_synapses = static_cast<std::uint32_t>(one("n_synapses"));
        net_.v_bits = one("v_bits");
        net_.u_bits = one("u_bits");
        net_.acc_bits = one("acc_bits");
        net_.weight_bits = one("weight_bits");
        net_.leak_frac = one("leak_frac");
        net_.refr_bits = one("refr_bits");
        net_.delay_slots = one("delay_slots");
        net_.v_frac = one("v_frac");
        net_.leak_mode = one("leak_mode");
        net_.rounding = one("rounding");
        net_.v_overflow = one("v_overflow");
        net_.acc_overflow = one("acc_overflow");
        net_.compare = one("compare");
        net_.reset_mode = one("reset_mode");
        net_.weight_shift = one("weight_shift");
        net_.u_shift = one("u_shift");
        net_.threshold = many("threshold");
        net_.v_reset = many("v_reset");
        net_.bias = many("bias");
        net_.leak = many("leak");
        net_.u_decay = many("u_decay");
        net_.refractory = many("refractory");
        net_.spiking = many("spiking");
        net_.cuba = many("cuba");
        net_.v_init = many("v_init");
        net_.row_begin = many("row_begin");
        net_.target = many("target");
        net_.weight = many("weight");
        net_.delay = many("delay");
        net_.json = json_.c_str();
        model_ =
            guarded("spikelock_golden_create()", [&] { return spikelock_golden_create(&net_); });
        if (!model_) fail("spikelock_golden_create() gave NULL: it cannot compute this network");
        std::size_t n = 0;
        const spikelock_field* fields = guarded(
            "spikelock_golden_describe()", [&] { return spikelock_golden_describe(model_, &n); });
        std::string text;
        for (std::size_t k = 0; k < n; ++k) {
            text += std::string("field ") + fields[k].name + " " + std::to_string(fields[k].bits) +
                    " " + std::to_string(fields[k].is_signed != 0) + "\n";
            fields_.push_back({fields[k].name});
        }
        answer(Tag::Shape, text);
    }

    void memory(const std::vector<char>& payload) {
        std::memcpy(&layout_, payload.data(), sizeof layout_);
        const char* at = payload.data() + sizeof layout_;
        for (Field& field : fields_) {
            std::memcpy(&field.bytes, at, 4);
            std::memcpy(&field.is_signed, at + 4, 4);
            std::memcpy(&field.bits, at + 8, 4);
            at += 12;
        }
        void* base = mmap(nullptr, layout_.total, PROT_READ | PROT_WRITE, MAP_SHARED, kMemory, 0);
        if (base == MAP_FAILED) fail("cannot map the shared memory");
        base_ = static_cast<std::byte*>(base);
        words_ = (net_.n_neurons + 63) / 64;
        values_.resize(fields_.size() * net_.n_neurons);
        for (std::size_t k = 0; k < fields_.size(); ++k)
            pointers_.push_back(values_.data() + k * net_.n_neurons);
        guarded("spikelock_golden_reset()",
                [&] { spikelock_golden_reset(model_, SPIKELOCK_RESET_POWER_ON); });
    }

    void run(const std::vector<char>& payload) {
        RunHeader header;
        std::memcpy(&header, payload.data(), sizeof header);
        const char* at = payload.data() + sizeof header;
        const auto* event_begin = reinterpret_cast<const std::uint32_t*>(at);
        at += 4ULL * (header.n_steps + 1);
        const auto* begins = reinterpret_cast<const std::uint8_t*>(at);
        at += padded(header.n_steps, 4);
        const auto* axons = reinterpret_cast<const std::uint32_t*>(at);
        at += 4ULL * event_begin[header.n_steps];
        const auto* i_in = header.has_i_in ? reinterpret_cast<const std::int32_t*>(at) : nullptr;
        std::byte* slot = base_ + kSharedBytes + header.slot * layout_.slot_bytes;
        auto* shared = reinterpret_cast<Shared*>(base_);
        const std::size_t n = net_.n_neurons;
        for (std::uint32_t s = 0; s < header.n_steps; ++s) {
            if (begins[s])
                guarded(
                    "spikelock_golden_reset() before timestep " + std::to_string(header.first + s),
                    [&] { spikelock_golden_reset(model_, SPIKELOCK_RESET_CLEAR); });
            std::memset(values_.data(), 0, values_.size() * sizeof(std::int64_t));
            auto* spikes = reinterpret_cast<std::uint64_t*>(slot) + s * words_;
            std::memset(spikes, 0, words_ * 8);
            try {
                spikelock_golden_step(model_, axons + event_begin[s],
                                      event_begin[s + 1] - event_begin[s],
                                      i_in ? i_in + s * n : nullptr, spikes, pointers_.data());
            } catch (...) {
                guarded(at_step(header.first + s), [] { throw; });
            }
            if (n % 64 != 0 && (spikes[words_ - 1] >> (n % 64)) != 0)
                fail(at_step(header.first + s) + " set the spike of a neuron above " +
                     std::to_string(n - 1));
            std::byte* to = slot + padded(8 * words_ * layout_.capacity);
            for (std::size_t k = 0; k < fields_.size(); ++k) {
                keep(k, to + s * n * fields_[k].bytes, header.first + s);
                to += padded(n * fields_[k].bytes * layout_.capacity);
            }
            shared->steps_done.fetch_add(1, std::memory_order_release);
        }
        answer(Tag::Done, "");
    }
    void destroy() {
        if (model_) spikelock_golden_destroy(model_);
    }

private:
    static std::string at_step(std::uint64_t t) {
        return "spikelock_golden_step() in timestep " + std::to_string(t);
    }
    void keep(std::size_t k, std::byte* to, std::uint64_t t) {
        const Field& f = fields_[k];
        const std::size_t n = net_.n_neurons;
        std::int64_t low = INT64_MIN;
        std::int64_t high = INT64_MAX;
        if (f.bits < 64) {
            low = f.is_signed ? -(std::int64_t{1} << (f.bits - 1)) : 0;
            high = (std::int64_t{1} << (f.bits - f.is_signed)) - 1;
        }
        const std::int64_t* from = pointers_[k];
        std::size_t bad = n;
        if (f.bytes == 1) bad = store<std::int8_t>(from, n, low, high, to);
        if (f.bytes == 2) bad = store<std::int16_t>(from, n, low, high, to);
        if (f.bytes == 4) bad = store<std::int32_t>(from, n, low, high, to);
        if (f.bytes == 8) bad = store<std::int64_t>(from, n, low, high, to);
        if (bad < n)
            fail(at_step(t) + " gave " + std::to_string(from[bad]) + " for field '" + f.name +
                 "' of neuron " + std::to_string(bad) + ", expected " + std::to_string(low) + ".." +
                 std::to_string(high) + " (" + std::to_string(f.bits) + " bits)");
    }

    std::map<std::string, std::vector<std::int32_t>> arrays_;
    std::string json_;
    spikelock_network net_{};
    void* model_ = nullptr;
    std::vector<Field> fields_;
    MemoryLayout layout_{};
    std::byte* base_ = nullptr;
    std::size_t words_ = 0;
    std::vector<std::int64_t> values_;
    std::vector<std::int64_t*> pointers_;
};
}  // namespace

int main() {
    Runner runner;
    std::vector<char> payload;
    for (Header header{}; read_all(&header, sizeof header);) {
        payload.resize(header.bytes);
        if (!read_all(payload.data(), payload.size())) break;
        if (header.tag == Tag::Network) runner.network(payload);
        if (header.tag == Tag::Memory) runner.memory(payload);
        if (header.tag == Tag::Run) runner.run(payload);
    }
    runner.destroy();
    return 0;
}

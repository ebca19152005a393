// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/shape.hpp"

#include "spikelock/base/assert.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::trace {

int storage_bytes(int bits) noexcept {
    SPIKELOCK_ASSERT(bits >= 1 && bits <= 64);
    return bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
}

std::string_view name_of(StartState state) noexcept {
    switch (state) {
        case StartState::Keep:
            return "keep";
        case StartState::Clear:
            return "clear";
        case StartState::Reset:
            return "reset";
        case StartState::Snapshot:
            return "snapshot";
    }
    return "unknown";
}

int Shape::field_index(std::string_view name) const noexcept {
    for (std::size_t f = 0; f < fields.size(); ++f) {
        if (fields[f].name == name) return static_cast<int>(f);
    }
    return -1;
}

Result<Population> Shape::population(std::string_view label) const {
    std::vector<std::string> labels;
    for (const Population& p : populations) {
        if (p.label == label) return p;
        labels.push_back(p.label);
    }
    return Error{Errc::NotFound,
                 "no population '" + std::string(label) + "'" + did_you_mean(label, labels),
                 {}};
}

std::string Shape::neuron_name(std::uint32_t neuron) const {
    for (const Population& p : populations) {
        if (neuron >= p.begin && neuron < p.end) {
            return p.label + "[" + std::to_string(neuron - p.begin) + "]";
        }
    }
    return "neuron " + std::to_string(neuron);
}

}  // namespace spikelock::trace

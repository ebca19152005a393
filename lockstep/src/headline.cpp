// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>
#include <cstdio>

#include "spikelock/base/text.hpp"
#include "spikelock/lockstep/lockstep.hpp"

namespace spikelock::lockstep {

std::string_view name_of(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::Match:
            return "MATCH";
        case Verdict::Diverged:
            return "DIVERGED";
        case Verdict::Inconclusive:
            return "INCONCLUSIVE";
        case Verdict::Asserted:
            return "ASSERTED";
        case Verdict::Hung:
            return "HUNG";
        case Verdict::Crashed:
            return "CRASHED";
    }
    return "?";
}

int exit_code(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::Match:
            return 0;
        case Verdict::Diverged:
            return 1;
        case Verdict::Inconclusive:
            return 3;
        case Verdict::Asserted:
        case Verdict::Hung:
        case Verdict::Crashed:
            return 4;
    }
    return 5;
}

namespace {
std::string counted(std::uint64_t count, const char* noun) {
    return with_commas(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string value_text(const trace::Shape& shape, const std::string& field, std::int64_t raw) {
    const int index = shape.field_index(field);
    if (index < 0) return std::to_string(raw);
    const trace::FieldSpec& spec = shape.fields[static_cast<std::size_t>(index)];
    if (spec.is_float) {
        char text[32];
        std::snprintf(text, sizeof text, "%.17g", std::bit_cast<double>(raw));
        return text;
    }
    return spec.is_signed ? std::to_string(raw) : std::to_string(static_cast<std::uint64_t>(raw));
}

std::string compared(const Outcome& outcome) {
    return counted(outcome.values_compared, "value") + " of " +
           counted(outcome.compared_fields.size(), "field") + " over " +
           counted(outcome.steps_compared, "timestep");
}

std::string left_out(const Outcome& outcome) {
    std::string text;
    const auto list = [&text](const char* label, const std::vector<std::string>& items) {
        for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? label : ", ") + items[i];
    };
    list("; not compared: ", outcome.not_compared);
    list("; masked: ", outcome.masked);
    return text;
}

/// "3, 5, 3": as many as fit a line, from where they part.
std::string order_text(const std::vector<std::uint32_t>& neurons, std::size_t from) {
    constexpr std::size_t kMost = 8;
    std::string text = from > 0 ? "..., " : "";
    for (std::size_t i = from; i < std::min(neurons.size(), from + kMost); ++i)
        text += (i > from ? ", " : "") + std::to_string(neurons[i]);
    return text + (neurons.size() > from + kMost ? ", ..." : "");
}

std::string place(const Outcome& outcome, const trace::Shape& shape) {
    const Divergence& at = *outcome.first;
    std::string text = "timestep " + std::to_string(at.timestep);
    if (outcome.n_samples > 0)
        text += " (sample " + std::to_string(at.sample) + ", step " +
                std::to_string(at.step_in_sample) + ")";
    if (at.differences.empty()) return text;
    const Difference& part = at.differences.front();
    if (part.field == "spike_order") {
        const auto first = std::mismatch(at.expected_order.begin(), at.expected_order.end(),
                                         at.actual_order.begin())
                               .first;
        const auto from = static_cast<std::size_t>(first - at.expected_order.begin());
        return text + ", order of spikes: expected neurons " + order_text(at.expected_order, from) +
               ", got " + order_text(at.actual_order, from);
    }
    const std::string name = shape.neuron_name(part.neuron);  // "hidden[3]" or "neuron 3"
    return text + (name.starts_with("neuron ") ? ", " : ", neuron ") + name + ", field " +
           part.field + ": expected " + value_text(shape, part.field, part.expected) + ", got " +
           value_text(shape, part.field, part.actual);
}
}  // namespace

std::string headline(const Outcome& outcome, const trace::Shape& shape) {
    std::string text{name_of(outcome.verdict)};
    switch (outcome.verdict) {
        case Verdict::Match:
            text += ": " + compared(outcome);
            break;
        case Verdict::Diverged:
            text += outcome.first ? " at " + place(outcome, shape) : std::string{};
            break;
        default:
            text += ": " + outcome.reason + "; compared " + compared(outcome);
            break;
    }
    return text + left_out(outcome);
}

}  // namespace spikelock::lockstep

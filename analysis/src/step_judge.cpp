// SPDX-License-Identifier: Apache-2.0
#include "step_judge.hpp"

#include <bit>
#include <cstring>

namespace spikelock::analysis::detail {

std::int64_t load(const std::byte* from, const trace::FieldSpec& field) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, from, static_cast<std::size_t>(field.bytes));  // little-endian hosts
    const int unused = 64 - 8 * field.bytes;
    if (unused == 0 || !field.is_signed) return static_cast<std::int64_t>(bits);
    return static_cast<std::int64_t>(bits << unused) >> unused;
}

std::vector<trace::TakenEvent> order_of(const trace::ExecutionTrace& core, std::uint64_t timestep) {
    const auto list = core.taken_of(timestep);
    std::vector<trace::TakenEvent> taken(list.begin(), list.end());
    for (trace::TakenEvent& event : taken) event.step = 0;
    return taken;
}

std::vector<int> fields_of(const trace::Shape& golden, const trace::Shape& recording) {
    std::vector<int> fields;
    for (const trace::FieldSpec& field : recording.fields) {
        const int found = golden.field_index(field.name);
        const bool zero = field.name == "u" || field.name == "refr";
        fields.push_back(found >= 0 ? found : zero ? kAlwaysZero : kUnknown);
    }
    return fields;
}

StepJudge::StepJudge(const trace::Stimulus& stimulus, const trace::ExecutionTrace& core)
    : stimulus_(stimulus),
      core_(core),
      view_(core.view()),
      v_field_(core.shape().field_index("v")) {}

const trace::StimulusBlock& StepJudge::input(std::uint64_t timestep) {
    if (inputs_.empty() || timestep < first_input_) {
        inputs_.clear();
        first_input_ = timestep;
    }
    while (first_input_ + inputs_.size() <= timestep)
        inputs_.push_back(stimulus_.block(first_input_ + inputs_.size(), 1));
    return inputs_[timestep - first_input_];
}

std::int64_t StepJudge::predicted(const Prediction& p, std::size_t field,
                                  std::uint32_t neuron) const {
    if (fields_[field] < 0) return 0;
    const auto f = static_cast<std::size_t>(fields_[field]);
    const trace::FieldSpec& spec = p.shape->fields[f];
    return load(&p.block->fields[f][std::size_t{neuron} * static_cast<std::size_t>(spec.bytes)],
                spec);
}

std::optional<std::int64_t> StepJudge::predicted(const Prediction& p, std::string_view field,
                                                 std::uint32_t neuron) {
    const int index = p.shape->field_index(field);
    if (index < 0) return std::nullopt;
    const auto f = static_cast<std::size_t>(index);
    const trace::FieldSpec& spec = p.shape->fields[f];
    return load(&p.block->fields[f][std::size_t{neuron} * static_cast<std::size_t>(spec.bytes)],
                spec);
}

bool StepJudge::predicted_spike(const Prediction& p, std::uint32_t n) {
    return (p.block->spikes[n / 64] >> (n % 64) & 1) != 0;
}

bool StepJudge::spikes_agree(const Prediction& p, std::uint32_t n) const {
    if (core_.shape().counts && p.shape->counts) {
        const std::uint64_t row = p.timestep - core_.first_step();
        return p.block->counts[n] == view_.counts[row * core_.n_neurons() + n];
    }
    return predicted_spike(p, n) == core_.spike(p.timestep, n);
}

std::optional<std::int64_t> StepJudge::error_of_v(const Prediction& p, std::uint32_t n) const {
    if (v_field_ < 0) return std::nullopt;
    const auto f = static_cast<std::size_t>(v_field_);
    if (!core_.valid(f, p.timestep, n)) return std::nullopt;
    return core_.raw(f, p.timestep, n) - predicted(p, f, n);
}

bool StepJudge::right(const Prediction& p, std::uint32_t n) const {
    if (!core_.valid(p.timestep)) return true;
    for (std::size_t f = 0; f < core_.shape().fields.size(); ++f)
        if (fields_[f] != kUnknown && core_.valid(f, p.timestep, n) &&
            core_.raw(f, p.timestep, n) != predicted(p, f, n))
            return false;
    return spikes_agree(p, n);
}

std::uint64_t StepJudge::fingerprint(const Prediction& p, std::uint32_t n) const {
    const bool counts = core_.shape().counts && p.shape->counts;
    std::uint64_t mixed = counts ? p.block->counts[n] : predicted_spike(p, n) ? 1 : 0;
    for (std::size_t f = 0; f < core_.shape().fields.size(); ++f)
        if (fields_[f] != kUnknown)
            mixed = (mixed ^ static_cast<std::uint64_t>(predicted(p, f, n))) *
                    std::uint64_t{0x9e3779b97f4a7c15};
    return mixed;
}

Status StepJudge::correct(golden::DescribedSource& source, std::uint64_t timestep,
                          const trace::BlockView* block) {
    if (!core_.valid(timestep)) return {};
    const trace::Shape& shape = source.shape();
    for (std::size_t f = 0; f < core_.shape().fields.size(); ++f) {
        const trace::FieldSpec& field = core_.shape().fields[f];
        if (field.cls != trace::FieldClass::State || fields_[f] < 0) continue;
        if (field.name != "v" && field.name != "u" && field.name != "w" && field.name != "refr")
            continue;  // a named register advances by itself
        const Prediction p{timestep, block, &shape};
        values_.resize(core_.n_neurons());
        bool differs = block == nullptr;
        bool known = true;
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
            const bool valid = core_.valid(f, timestep, n);
            known = known && (valid || block != nullptr);
            const std::int64_t own = block == nullptr ? 0 : predicted(p, f, n);
            values_[n] = valid ? core_.raw(f, timestep, n) : own;
            differs = differs || values_[n] != own;
        }
        if (!differs || !known) continue;
        if (Status set = source.set_state(field.name, values_); !set) return set;
    }
    return {};
}

Status StepJudge::follow(golden::DescribedSource& source, std::uint64_t first, std::uint64_t count,
                         const std::function<bool(const Prediction&)>& look,
                         const std::function<void(trace::StimulusBlock&)>& edit) {
    source.trust_order();
    fields_ = fields_of(source.shape(), core_.shape());
    if (first > core_.first_step())
        if (Status set = correct(source, first - 1, nullptr); !set) return set;
    auto* const taker = core_.shape().order ? dynamic_cast<trace::OrderTaker*>(&source) : nullptr;
    for (std::uint64_t t = first; t < first + count; ++t) {
        if (taker != nullptr)
            if (Status given = taker->give_order(1, order_of(core_, t)); !given) return given;
        if (edit) {
            trace::StimulusBlock block = input(t);
            edit(block);
            if (Status submitted = source.submit(block); !submitted) return submitted;
        } else if (Status submitted = source.submit(input(t)); !submitted) {
            return submitted;
        }
        const auto got = source.read(1);
        if (!got) return got.error();
        const auto* block = std::get_if<trace::BlockView>(&*got);
        if (block == nullptr) return Error{Errc::Internal, "a model gave no timestep", {}};
        if (!look({t, block, &source.shape()})) return {};
        if (Status set = correct(source, t, block); !set) return set;
    }
    return {};
}

std::optional<StepJudge::Cost> StepJudge::cost(golden::DescribedSource& source, std::uint64_t first,
                                               std::uint64_t count, std::uint64_t bound) {
    constexpr std::uint64_t kWrong = 64;
    Cost total;
    const auto look = [&](const Prediction& p) {
        for (std::uint32_t n = 0; n < core_.n_neurons(); ++n) {
            ++total.judged;
            if (right(p, n)) continue;
            ++total.wrong;
            const std::int64_t off = error_of_v(p, n).value_or(0);
            const auto size = static_cast<std::uint64_t>(off < 0 ? -off : off);
            // Eight times the binary logarithm, with the bits below the highest as its fraction.
            const auto width = static_cast<std::uint64_t>(std::bit_width(size + 1)) - 1;
            total.cost += kWrong + 8 * width + (((size + 1) << 3 >> width) & 7);
        }
        return total.cost <= bound;
    };
    if (!follow(source, first, count, look) || total.cost > bound) return std::nullopt;
    return total;
}

}  // namespace spikelock::analysis::detail

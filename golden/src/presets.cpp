// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <charconv>
#include <string>

#include "spikelock/golden/description.hpp"

namespace spikelock::golden {
namespace {

/// The values of TOML that a description needs: integers, strings, true and false, lists and inline
/// tables, each on one line.
class LineParser {
public:
    LineParser(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

    bool key(std::string& out) {
        skip();
        if (at_ < text_.size() && text_[at_] == '"') return string(out);
        const std::size_t begin = at_;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 ||
                                      text_[at_] == '_' || text_[at_] == '.' || text_[at_] == '-'))
            ++at_;
        out = std::string(text_.substr(begin, at_ - begin));
        return !out.empty();
    }
    bool take(char c) {
        skip();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool done() {
        skip();
        return at_ == text_.size();
    }
    bool value(Setting& out, int depth = 0) {
        skip();
        out.where = where_;
        if (at_ >= text_.size() || depth > 4) return false;
        const char c = text_[at_];
        if (c == '"') {
            std::string text;
            if (!string(text)) return false;
            out.value = std::move(text);
            return true;
        }
        if (c == '[') return list(out, depth);
        if (c == '{') return table(out, depth);
        if (word("true")) {
            out.value = true;
            return true;
        }
        if (word("false")) {
            out.value = false;
            return true;
        }
        std::int64_t number = 0;
        const bool hex = text_.substr(at_).starts_with("0x");
        if (hex) at_ += 2;
        const char* const begin = text_.data() + at_;
        const auto [end, error] =
            std::from_chars(begin, text_.data() + text_.size(), number, hex ? 16 : 10);
        if (error != std::errc{}) return false;
        at_ += static_cast<std::size_t>(end - begin);
        out.value = number;
        return true;
    }

private:
    void skip() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }
    bool word(std::string_view w) {
        if (!text_.substr(at_).starts_with(w)) return false;
        at_ += w.size();
        return true;
    }
    bool string(std::string& out) {
        const std::size_t end = text_.find('"', at_ + 1);
        if (end == std::string_view::npos) return false;
        out = std::string(text_.substr(at_ + 1, end - at_ - 1));
        at_ = end + 1;
        return true;
    }
    bool list(Setting& out, int depth) {
        std::vector<Setting> items;
        take('[');
        while (!take(']')) {
            if (!items.empty() && !take(',')) return false;
            if (!value(items.emplace_back(), depth + 1)) return false;
        }
        out.value = std::move(items);
        return true;
    }
    bool table(Setting& out, int depth) {
        Setting::Table items;
        take('{');
        while (!take('}')) {
            if (!items.empty() && !take(',')) return false;
            auto& [name, item] = items.emplace_back();
            if (!key(name) || !take('=') || !value(item, depth + 1)) return false;
        }
        out.value = std::move(items);
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::string where_;
};

}  // namespace

Result<Setting> settings_from_text(std::string_view text) {
    Setting::Table table;
    int line = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view now = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++line;
        if (const std::size_t comment = now.find('#'); comment != std::string_view::npos)
            now = now.substr(0, comment);
        const std::string where = "line " + std::to_string(line);
        LineParser parser(now, where);
        if (parser.done()) continue;
        auto& [name, value] = table.emplace_back();
        if (!parser.key(name) || !parser.take('=') || !parser.value(value) || !parser.done())
            return Error{Errc::BadFormat, "expected key = value", where};
    }
    Setting all;
    all.value = std::move(table);
    return all;
}

const std::vector<Preset>& presets() {
    static const std::vector<Preset> kPresets{
        {"odin", "ODIN, LIF neurons: 8-bit unsigned v, each event updates and may fire",
         "C. Frenkel et al., IEEE TBioCAS 13(1), 2019; github.com/ChFrenkel/ODIN, "
         "src/LIF_neuron_blocks/lif_neuron_state.v",
         R"(semantics = "event"
model = "lif"
v.bits = 8
v.signed = false
v.overflow = "saturate"
leak.kind = "constant"
leak.past = "stop"
on_event = ["integrate", "threshold"]
on_tick = ["leak", "threshold"]
threshold.compare = ">="
reset.kind = "zero"
)"},
        {"tinyodin", "tinyODIN: 12-bit signed v, leak toward 0, each event updates and may fire",
         "github.com/ChFrenkel/tinyODIN, lif_neuron.v, scheduler.v and README.md (2022)",
         R"(semantics = "event"
model = "lif"
v.bits = 12
v.overflow = "saturate"
leak.kind = "constant"
leak.past = "stop"
on_event = ["integrate", "threshold"]
on_tick = ["leak", "threshold"]
threshold.compare = ">="
reset.kind = "zero"
)"},
        {"ranc", "RANC, a TrueNorth-like core: signed leak, axon types, lower threshold",
         "J. Mack et al., IEEE TCAD 40(11), 2021; github.com/UA-RCL/RANC, NeuronBlock.v and "
         "ThresholdResetUnit.v",
         R"(model = "lif"
v.bits = 9
v.overflow = "wrap"
synapse.bits = 48
synapse.fit = "sum"
synapse.overflow = "wrap"
leak.kind = "constant"
leak.past = "continue"
order = ["integrate", "leak", "threshold"]
threshold.compare = ">="
threshold.negative_compare = "<"
threshold.negative_action = "subtract"
reset.kind = "subtract"
reset.bits = 9
reset.overflow = "wrap"
)"},
        {"truenorth", "TrueNorth, deterministic: signed leak, four axon types, lower threshold",
         "A. Cassidy et al., Cognitive Computing Building Block, IJCNN 2013, equations 1 to 5",
         R"(model = "lif"
v.bits = 20
v.overflow = "saturate"
synapse.bits = 48
synapse.fit = "sum"
leak.kind = "constant"
leak.past = "continue"
order = ["integrate", "leak", "threshold"]
threshold.compare = ">="
threshold.negative_compare = "<"
threshold.negative_action = "clamp"
reset.kind = "value"
)"},
        {"loihi", "Loihi-like CUBA neuron as in Lava's bit-accurate LIF",
         "Lava, src/lava/proc/lif/models.py, PyLifModelBitAcc; M. Davies et al., IEEE Micro "
         "38(1), 2018",
         R"(model = "cuba_lif"
u.bits = 24
u.overflow = "wrap"
u.shift = 0
u.drive = "next"
u.leak.kind = "multiply"
u.leak.form = "keep"
u.leak.frac = 12
u.leak.rounding = "toward_zero"
v.bits = 24
v.overflow = {low = -8388607, high = 8388607}
leak.kind = "multiply"
leak.form = "keep"
leak.frac = 12
leak.rounding = "toward_zero"
input.bias_into = "v"
synapse.bits = 32
synapse.weight_shift = 6
synapse.overflow = "wrap"
threshold.compare = ">"
reset.kind = "zero"
)"},
        {"snntorch_subtract", "snnTorch Leaky, reset by subtraction one timestep later",
         "J. Eshraghian et al., Proc. IEEE 111(9), 2023; snntorch.Leaky, reset_mechanism="
         "\"subtract\", reset_delay=True",
         R"(model = "lif"
leak.kind = "multiply"
leak.form = "keep"
threshold.compare = ">"
reset.kind = "subtract"
reset.delay = true
)"},
        {"snntorch_zero", "snnTorch Leaky, reset to zero one timestep later",
         "J. Eshraghian et al., Proc. IEEE 111(9), 2023; snntorch.Leaky, reset_mechanism="
         "\"zero\", reset_delay=True",
         R"(model = "lif"
leak.kind = "multiply"
leak.form = "keep"
threshold.compare = ">"
reset.kind = "zero"
reset.delay = true
)"},
    };
    return kPresets;
}

}  // namespace spikelock::golden

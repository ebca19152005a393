// SPDX-License-Identifier: Apache-2.0
#include "shape_json.hpp"

#include <cmath>
#include <set>
#include <span>

namespace spikelock::trace::detail {

namespace {
using nlohmann::json;

// Upper bounds keep a damaged file from asking for absurd amounts of memory.
constexpr std::uint32_t kMostNeurons = 1U << 24;
constexpr std::size_t kMostFields = 64;
constexpr std::size_t kMostName = 200;

Error bad(const std::string& what) { return Error{Errc::BadFormat, what, {}}; }

// Reads members of one JSON object and remembers the first that is missing or of another type.
class Members {
public:
    explicit Members(const json& object) : object_(object) {
        if (!object.is_object()) fault_ = "an object";
    }
    template <typename T>
    T integer(const char* key) {
        const json* member = find(key);
        if (member == nullptr) return {};
        if (member->is_number_unsigned()) {
            const auto value = member->template get<std::uint64_t>();
            if (std::in_range<T>(value)) return static_cast<T>(value);
        } else if (member->is_number_integer()) {
            const auto value = member->template get<std::int64_t>();
            if (std::in_range<T>(value)) return static_cast<T>(value);
        }
        note(std::string("an integer in range for '") + key + "'");
        return {};
    }
    bool boolean(const char* key) {
        const json* member = find(key);
        if (member != nullptr && member->is_boolean()) return member->get<bool>();
        note(std::string("true or false for '") + key + "'");
        return false;
    }
    /// False where there is none.
    bool optional_boolean(const char* key) {
        return object_.is_object() && object_.contains(key) && boolean(key);
    }
    double number(const char* key) {
        const json* member = find(key);
        if (member != nullptr && member->is_number()) return member->get<double>();
        note(std::string("a number for '") + key + "'");
        return 0.0;
    }
    std::string text(const char* key) {
        const json* member = find(key);
        if (member != nullptr && member->is_string()) return member->get<std::string>();
        note(std::string("a string for '") + key + "'");
        return {};
    }
    const json& array(const char* key) {
        static const json kEmpty = json::array();
        const json* member = find(key);
        if (member != nullptr && member->is_array()) return *member;
        note(std::string("an array for '") + key + "'");
        return kEmpty;
    }
    const std::string& fault() const { return fault_; }

private:
    const json* find(const char* key) {
        if (!object_.is_object()) return nullptr;
        const auto at = object_.find(key);
        if (at == object_.end()) {
            note(std::string("a member '") + key + "'");
            return nullptr;
        }
        return &*at;
    }
    void note(std::string what) {
        if (fault_.empty()) fault_ = std::move(what);
    }
    const json& object_;
    std::string fault_;
};

std::string name_fault(const std::string& name) {
    if (name.empty()) return "is empty";
    if (name.size() > kMostName) return "is longer than 200 bytes";
    if (name == "." || name == "..") return "is not usable as a name";
    for (const char c : name) {
        if (c == '/' || static_cast<unsigned char>(c) < 0x20) {
            return "contains '/' or a control character";
        }
    }
    return {};
}
}  // namespace

json fields_to_json(const Shape& shape) {
    json list = json::array();
    for (const FieldSpec& f : shape.fields) {
        list.push_back({{"name", f.name},
                        {"class", f.cls == FieldClass::Input ? "input" : "state"},
                        {"bits", f.bits},
                        {"signed", f.is_signed},
                        {"float", f.is_float},
                        {"frac_bits", f.frac_bits},
                        {"bytes", f.bytes}});
    }
    return list;
}

json populations_to_json(const Shape& shape) {
    json list = json::array();
    for (const Population& p : shape.populations) {
        list.push_back({{"label", p.label}, {"begin", p.begin}, {"end", p.end}});
    }
    return list;
}

json shape_to_json(const Shape& shape) {
    json object = {{"n_neurons", shape.n_neurons},
                   {"dt", shape.dt},
                   {"counts", shape.counts},
                   {"fields", fields_to_json(shape)},
                   {"populations", populations_to_json(shape)}};
    if (shape.events) object["events"] = true;
    if (shape.order) object["order"] = true;
    return object;
}

json samples_to_json(std::span<const Sample> samples) {
    json list = json::array();
    for (const Sample& s : samples) {
        list.push_back({{"label", s.label},
                        {"begin", s.begin},
                        {"end", s.end},
                        {"start", static_cast<int>(s.start)}});
    }
    return list;
}

Result<Shape> shape_from_json(const json& object) {
    Shape shape;
    Members top(object);
    shape.n_neurons = top.integer<std::uint32_t>("n_neurons");
    shape.dt = top.number("dt");
    shape.counts = top.boolean("counts");
    shape.events = top.optional_boolean("events");
    shape.order = top.optional_boolean("order");
    for (const json& item : top.array("fields")) {
        Members m(item);
        FieldSpec f;
        f.name = m.text("name");
        f.cls = m.text("class") == "input" ? FieldClass::Input : FieldClass::State;
        f.bits = m.integer<std::int32_t>("bits");
        f.is_signed = m.boolean("signed");
        f.is_float = m.boolean("float");
        f.frac_bits = m.integer<std::int32_t>("frac_bits");
        f.bytes = m.integer<std::int32_t>("bytes");
        if (!m.fault().empty()) return bad("fields: expected " + m.fault());
        shape.fields.push_back(std::move(f));
        if (shape.fields.size() > kMostFields) return bad("fields: more than 64");
    }
    for (const json& item : top.array("populations")) {
        Members m(item);
        Population p;
        p.label = m.text("label");
        p.begin = m.integer<std::uint32_t>("begin");
        p.end = m.integer<std::uint32_t>("end");
        if (!m.fault().empty()) return bad("populations: expected " + m.fault());
        shape.populations.push_back(std::move(p));
    }
    if (!top.fault().empty()) return bad("shape: expected " + top.fault());
    if (Status ok = check_shape(shape); !ok) return bad(ok.error().message);
    return shape;
}

Result<std::vector<Sample>> samples_from_json(const json& list) {
    if (!list.is_array()) return bad("samples: expected an array");
    std::vector<Sample> samples;
    for (const json& item : list) {
        Members m(item);
        Sample s;
        s.label = m.text("label");
        s.begin = m.integer<std::uint64_t>("begin");
        s.end = m.integer<std::uint64_t>("end");
        const auto start = m.integer<std::uint8_t>("start");
        if (!m.fault().empty()) return bad("samples: expected " + m.fault());
        if (start > 3 || s.end < s.begin) return bad("samples: start or range out of bounds");
        s.start = static_cast<StartState>(start);
        samples.push_back(std::move(s));
    }
    return samples;
}

Status check_name(const std::string& name) {
    std::string fault = name_fault(name);
    if (!fault.empty()) return Error{Errc::BadConfig, std::move(fault), {}};
    return {};
}

Status check_shape(const Shape& shape) {
    const auto wrong = [](std::string what) { return Error{Errc::BadConfig, std::move(what), {}}; };
    if (shape.n_neurons < 1 || shape.n_neurons > kMostNeurons) {
        return wrong("a trace holds 1..16777216 neurons, got " + std::to_string(shape.n_neurons));
    }
    if (!std::isfinite(shape.dt) || shape.dt <= 0.0) {
        return wrong("dt must be a positive number of seconds");
    }
    if (shape.fields.size() > kMostFields) return wrong("a trace holds at most 64 fields");
    std::set<std::string> names;
    for (const FieldSpec& f : shape.fields) {
        const std::string fault = name_fault(f.name);
        if (!fault.empty()) return wrong("field name '" + f.name + "' " + fault);
        if (!names.insert(f.name).second) return wrong("field '" + f.name + "' stands twice");
        if (f.bytes != 1 && f.bytes != 2 && f.bytes != 4 && f.bytes != 8) {
            return wrong("field '" + f.name + "' must be stored in 1, 2, 4 or 8 bytes, got " +
                         std::to_string(f.bytes));
        }
        if (f.is_float ? f.bytes != 8 : (f.bits < 1 || f.bits > 8 * f.bytes)) {
            return wrong("field '" + f.name + "' has " + std::to_string(f.bits) + " bits in " +
                         std::to_string(f.bytes) + " bytes");
        }
        if (f.frac_bits < -1024 || f.frac_bits > 1024) {
            return wrong("field '" + f.name + "': frac_bits out of -1024..1024");
        }
    }
    std::set<std::string> labels;
    for (const Population& p : shape.populations) {
        const std::string fault = name_fault(p.label);
        if (!fault.empty()) return wrong("population label '" + p.label + "' " + fault);
        if (!labels.insert(p.label).second) {
            return wrong("population '" + p.label + "' stands twice");
        }
        if (p.begin > p.end || p.end > shape.n_neurons) {
            return wrong("population '" + p.label + "' reaches beyond the neurons");
        }
    }
    return {};
}

}  // namespace spikelock::trace::detail

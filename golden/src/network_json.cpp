// SPDX-License-Identifier: Apache-2.0
#include "spikelock/golden/network_json.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "spikelock/base/text.hpp"

namespace spikelock::golden {
namespace {

using Json = nlohmann::ordered_json;

// Each struct is described once, as a visit of its members with their names, and both directions
// follow it.
template <typename Struct, typename Visit>
void visit_members(Struct& a, Visit visit)
    requires std::is_same_v<std::remove_const_t<Struct>, Arithmetic>
{
    visit("v_bits", a.v_bits);
    visit("u_bits", a.u_bits);
    visit("acc_bits", a.acc_bits);
    visit("weight_bits", a.weight_bits);
    visit("leak_frac", a.leak_frac);
    visit("refr_bits", a.refr_bits);
    visit("delay_slots", a.delay_slots);
    visit("v_frac", a.v_frac);
    visit("leak_mode", a.leak_mode);
    visit("rounding", a.rounding);
    visit("v_overflow", a.v_overflow);
    visit("acc_overflow", a.acc_overflow);
    visit("compare", a.compare);
    visit("reset_mode", a.reset_mode);
    visit("weight_shift", a.weight_shift);
    visit("u_shift", a.u_shift);
}

template <typename Struct, typename Visit>
void visit_members(Struct& p, Visit visit)
    requires std::is_same_v<std::remove_const_t<Struct>, NeuronParams>
{
    visit("threshold", p.threshold);
    visit("v_reset", p.v_reset);
    visit("bias", p.bias);
    visit("leak", p.leak);
    visit("u_decay", p.u_decay);
    visit("refractory", p.refractory);
    visit("spiking", p.spiking);
    visit("cuba", p.cuba);
    visit("v_init", p.v_init);
}

template <typename Struct, typename Visit>
void visit_members(Struct& range, Visit visit)
    requires(std::is_same_v<std::remove_const_t<Struct>, InputPort> ||
             std::is_same_v<std::remove_const_t<Struct>, trace::Population>)
{
    visit("label", range.label);
    visit("begin", range.begin);
    visit("end", range.end);
}

template <typename Struct, typename Visit>
void visit_members(Struct& net, Visit visit)
    requires std::is_same_v<std::remove_const_t<Struct>, Network>
{
    visit("name", net.name);
    visit("dt", net.dt);
    visit("arithmetic", net.arithmetic);
    visit("ports", net.ports);
    visit("populations", net.populations);
    visit("neurons", net.neurons);
    visit("row_begin", net.row_begin);
    visit("synapses", net.synapses);
}

/// A key that may be left out, and is where its value is 0.
bool is_optional(std::string_view key) { return key == "v_init"; }

template <typename T>
Json write(const T& value) {
    if constexpr (std::is_enum_v<T>) {
        return static_cast<int>(value);
    } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
        return value;
    } else if constexpr (std::is_same_v<T, Synapse>) {
        return Json::array({value.target, value.weight, value.delay});
    } else if constexpr (requires { value.begin() == value.end(); }) {
        Json out = Json::array();
        for (const auto& element : value) out.push_back(write(element));
        return out;
    } else {
        Json out = Json::object();
        visit_members(value, [&](const char* key, const auto& member) {
            Json json = write(member);
            if (!is_optional(key) || json != 0) out[key] = std::move(json);
        });
        return out;
    }
}

/// Text of a value. Labels may come from files with any bytes, which JSON cannot hold.
std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Reads with the path of keys to where it is, and keeps the first error.
class Reader {
public:
    explicit Reader(std::string origin) : origin_(std::move(origin)) {}
    const Status& status() const { return status_; }

    template <typename T>
    void read(const Json& json, T& value) {
        if (!status_) return;
        if constexpr (std::is_same_v<T, bool>) {
            if (!json.is_boolean()) return wrong("true or false", json);
            value = json.get<bool>();
        } else if constexpr (std::is_enum_v<T>) {
            int code = 0;
            read(json, code);
            if (code < 0 || code > 255) return wrong("an enumeration code", json);
            value = static_cast<T>(code);  // Network::check() knows which codes there are
        } else if constexpr (std::is_integral_v<T>) {
            read_integer(json, value);
        } else if constexpr (std::is_floating_point_v<T>) {
            if (!json.is_number()) return wrong("a number", json);
            value = json.get<double>();
        } else if constexpr (std::is_same_v<T, std::string>) {
            if (!json.is_string()) return wrong("a string", json);
            value = json.get<std::string>();
        } else if constexpr (std::is_same_v<T, Synapse>) {
            if (!json.is_array() || json.size() != 3) return wrong("[target, weight, delay]", json);
            read(json[0], value.target);
            read(json[1], value.weight);
            read(json[2], value.delay);
        } else if constexpr (requires { value.push_back({}); }) {
            read_array(json, value);
        } else {
            read_object(json, value);
        }
    }

private:
    template <typename T>
    void read_integer(const Json& json, T& value) {
        if (!json.is_number_integer()) return wrong("an integer", json);
        // Beyond int64 the parser gives an unsigned number, which no member can hold.
        const bool huge = json.is_number_unsigned() &&
                          json.get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max();
        const std::int64_t wide =
            huge ? std::numeric_limits<std::int64_t>::max() : json.get<std::int64_t>();
        if (wide < std::int64_t{std::numeric_limits<T>::min()} ||
            wide > std::int64_t{std::numeric_limits<T>::max()})
            return wrong(fmt::format("an integer in {}..{}", std::numeric_limits<T>::min(),
                                     std::numeric_limits<T>::max()),
                         json);
        value = static_cast<T>(wide);
    }

    template <typename T>
    void read_array(const Json& json, std::vector<T>& values) {
        if (!json.is_array()) return wrong("an array", json);
        values.resize(json.size());
        const std::size_t length = path_.size();
        for (std::size_t i = 0; i < values.size() && status_; ++i) {
            path_ += fmt::format("[{}]", i);
            read(json[i], values[i]);
            path_.resize(length);
        }
    }

    template <typename T>
    void read_object(const Json& json, T& value) {
        if (!json.is_object()) return wrong("an object", json);
        std::vector<std::string> known;
        visit_members(value, [&](const char* key, auto& member) {
            known.emplace_back(key);
            if (!status_) return;
            const auto found = json.find(key);
            if (found == json.end()) {
                if (!is_optional(key)) fail(fmt::format("key '{}' is missing", key));
                return;
            }
            const std::size_t length = path_.size();
            if (!path_.empty()) path_ += '.';
            path_ += key;
            read(*found, member);
            path_.resize(length);
        });
        for (auto it = json.begin(); it != json.end() && status_; ++it) {
            if (std::find(known.begin(), known.end(), it.key()) == known.end())
                fail(fmt::format("key '{}' is unknown{}", it.key(), did_you_mean(it.key(), known)));
        }
    }

    void wrong(const std::string& expected, const Json& found) {
        std::string text = dump(found);
        if (text.size() > 40) text = text.substr(0, 40) + "...";
        fail(fmt::format("is {}, expected {}", text, expected));
    }

    void fail(std::string message) {
        if (!status_) return;
        status_ = Error{Errc::BadFormat, std::move(message),
                        path_.empty() ? origin_ : origin_ + ": " + path_};
    }

    std::string origin_;
    std::string path_;
    Status status_;
};

}  // namespace

std::string to_json(const Network& network) {
    // One line a neuron and a row index would make files of a large network hard to compare and
    // one line in all hard to read: arrays of the top level get a line for each element.
    Json json = write(network);
    std::string out = "{";
    for (auto it = json.begin(); it != json.end(); ++it) {
        out += it == json.begin() ? "\n" : ",\n";
        out += fmt::format(" {}: ", dump(it.key()));
        const bool lines = it->is_array() && it.key() != "row_begin" && !it->empty();
        if (!lines) {
            out += dump(*it);
            continue;
        }
        for (std::size_t i = 0; i < it->size(); ++i)
            out += (i == 0 ? "[\n  " : ",\n  ") + dump((*it)[i]);
        out += "]";
    }
    return out + "\n}\n";
}

Result<Network> network_from_json(std::string_view text, const std::string& origin) {
    Json json;
    try {
        json = Json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        return Error{Errc::BadFormat, fmt::format("not JSON at byte {}", error.byte), origin};
    } catch (const std::exception& error) {
        return Error{Errc::BadFormat, error.what(), origin};
    }
    Reader reader(origin);
    Network network;
    reader.read(json, network);
    if (!reader.status()) return reader.status().error();
    if (Status status = network.check(); !status) {
        Error error = status.error();
        error.where = origin + ": " + error.where;
        return error;
    }
    return network;
}

Result<Network> load_network(const std::string& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file)
        return Error{errno == ENOENT ? Errc::NotFound : Errc::Io, std::strerror(errno), path};
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    if (file.bad()) return Error{Errc::Io, "reading failed", path};
    return network_from_json(text, path);
}

Status save_network(const Network& network, const std::string& path) {
    const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
    {
        std::ofstream file(temporary, std::ios::binary);
        file << to_json(network);
        if (!file.flush()) {
            const int cause = errno;
            std::remove(temporary.c_str());
            return Error{Errc::Io, std::strerror(cause), path};
        }
    }
    if (std::rename(temporary.c_str(), path.c_str()) != 0) {
        const int cause = errno;
        std::remove(temporary.c_str());
        return Error{Errc::Io, std::strerror(cause), path};
    }
    return {};
}

}  // namespace spikelock::golden

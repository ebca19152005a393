// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/nir_data.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "byte_pack.hpp"
#include "hdf5_input.hpp"

namespace spikelock::bridge {

namespace {
using namespace detail;
using Kind = NirObservable::Kind;

constexpr int kMaxDepth = 16;
constexpr std::size_t kMostObservables = 1024;
constexpr std::uint64_t kMostNeurons = std::uint64_t{1} << 24;

Error bad(std::string what) { return Error{Errc::BadFormat, std::move(what), {}}; }

/// Reads the groups of a file.
class Walker {
public:
    explicit Walker(hid_t file) : file_(file) {}

    /// @param group  path in the file, "" for the root
    /// @param prefix  of the names of its nodes
    Status graph(const std::string& group, const std::string& prefix, int depth = 0) {
        if (depth > kMaxDepth)
            return Error{
                Errc::Limit, fmt::format("{}: graphs more than {} deep", group, kMaxDepth), {}};
        const std::string nodes = group + "/nodes";
        if (!is_group(file_, nodes)) return bad("expected a group " + nodes);
        for (const std::string& name : members(file_, nodes)) {
            const std::string at = nodes + "/" + name;
            if (++groups_ > kMostObservables) return too_many();
            const std::string type = text_attribute(file_, at, "__type__");
            Status ok;
            if (type == "NIRGraphData") {
                ok = graph(at, prefix + name + ".", depth + 1);
            } else if (type == "NIRNodeData") {
                ok = node(at, prefix + name);
            } else {
                ok = bad(at + ": __type__ is '" + type + "', expected NIRNodeData or NIRGraphData");
            }
            if (!ok) return ok;
        }
        return {};
    }
    NirData take() { return std::move(data_); }

private:
    Error too_many() const {
        return {
            Errc::Limit, fmt::format("more than {} nodes or observables", kMostObservables), {}};
    }

    Status node(const std::string& group, const std::string& name) {
        const std::string folder = group + "/observables";
        if (!is_group(file_, folder)) return bad("expected a group " + folder);
        for (const std::string& member : members(file_, folder)) {
            if (data_.observables.size() == kMostObservables) return too_many();
            NirObservable o;
            o.node = name;
            o.name = member;
            if (Status ok = observable(folder + "/" + member, o); !ok) return ok;
            data_.observables.push_back(std::move(o));
        }
        return {};
    }

    Status observable(const std::string& group, NirObservable& o) {
        const std::string type = text_attribute(file_, group, "__type__");
        if (type == "TimeGriddedData") return grid(group, o);
        if (type == "EventData" || type == "ValuedEventData") {
            o.kind = type == "EventData" ? Kind::Events : Kind::ValuedEvents;
            return events(group, o);
        }
        return bad(group + ": __type__ is '" + type +
                   "', expected TimeGriddedData, EventData or ValuedEventData");
    }

    /// A positive, finite number.
    Status attribute(const std::string& group, const char* name, double& value) {
        if (number_attribute(file_, group, name, value) && std::isfinite(value) && value > 0.0)
            return {};
        return bad(fmt::format("{}: expected an attribute {} above 0", group, name));
    }

    template <typename T>
    Result<Numbers<T>> numbers(const std::string& dataset, int rank) {
        auto found = read_numbers<T>(file_, dataset, rank, left_);
        if (found) left_ -= found->values.size();
        return found;
    }

    Status grid(const std::string& group, NirObservable& o) {
        auto data = numbers<double>(group + "/data", 3);
        if (!data) return data.error();
        if (data->extent[2] > kMostNeurons)
            return Error{Errc::Limit, group + ": more than 2^24 neurons", {}};
        if (Status ok = attribute(group, "dt", o.dt); !ok) return ok;
        o.boolean = data->boolean;
        o.n_samples = data->extent[0];
        o.n_columns = data->extent[1];
        o.n_neurons = data->extent[2];
        o.values = std::move(data->values);
        return {};
    }

    Status events(const std::string& group, NirObservable& o) {
        auto index = numbers<std::int64_t>(group + "/idx", 2);
        if (!index) return index.error();
        auto time = numbers<double>(group + "/time", 2);
        if (!time) return time.error();
        if (time->extent != index->extent) return bad(group + "/time: another shape than idx");
        if (o.kind == Kind::ValuedEvents) {
            auto value = numbers<double>(group + "/value", 2);
            if (!value) return value.error();
            if (value->extent != index->extent)
                return bad(group + "/value: another shape than idx");
            o.values = std::move(value->values);
        }
        double neurons = 0.0;
        if (Status ok = attribute(group, "n_neurons", neurons); !ok) return ok;
        if (Status ok = attribute(group, "t_max", o.t_max); !ok) return ok;
        if (neurons != std::floor(neurons) || neurons > static_cast<double>(kMostNeurons))
            return bad(group + ": n_neurons is no whole number up to 2^24");
        o.n_neurons = static_cast<std::uint64_t>(neurons);
        o.n_samples = index->extent[0];
        o.n_columns = index->extent[1];
        o.index = std::move(index->values);
        o.time = std::move(time->values);
        return {};
    }

    hid_t file_;
    NirData data_;
    std::size_t groups_ = 0;
    std::uint64_t left_ = kMostElements;
};

/// Whether the arrays are as long as the numbers beside them say.
bool sound(const NirObservable& o) {
    const double span = o.kind == Kind::Grid ? o.dt : o.t_max;
    if (o.n_neurons > kMostNeurons || !std::isfinite(span) || span <= 0.0) return false;
    std::uint64_t places = 0;
    std::uint64_t values = 0;
    if (__builtin_mul_overflow(o.n_samples, o.n_columns, &places) ||
        __builtin_mul_overflow(places, o.n_neurons, &values))
        return false;
    if (o.kind == Kind::Grid) return o.values.size() == values && o.index.empty() && o.time.empty();
    return o.index.size() == places && o.time.size() == places &&
           o.values.size() == (o.kind == Kind::Events ? 0 : places);
}
}  // namespace

std::string pack_nir_data(const NirData& data) {
    Packer out;
    out.number(data.observables.size());
    for (const NirObservable& o : data.observables) {
        out.text(o.node);
        out.text(o.name);
        out.number(static_cast<std::uint64_t>(o.kind));
        for (const std::uint64_t number :
             {std::uint64_t{o.boolean}, o.n_samples, o.n_columns, o.n_neurons})
            out.number(number);
        out.real(o.dt);
        out.real(o.t_max);
        out.array(o.values);
        out.array(o.index);
        out.array(o.time);
    }
    return std::move(out.bytes);
}

Result<NirData> unpack_nir_data(std::string_view bytes) {
    Unpacker in(bytes);
    NirData data;
    const auto broken = [&](const char* what) {
        return Error{Errc::BadFormat, fmt::format("{} at byte {}", what, in.position()), {}};
    };
    std::uint64_t count = 0;
    if (!in.number(count) || count > kMostObservables) return broken("no number of observables");
    for (std::uint64_t i = 0; i < count; ++i) {
        NirObservable o;
        std::uint64_t kind = 0;
        std::uint64_t boolean = 0;
        if (!in.text(o.node) || !in.text(o.name) || !in.number(kind) || kind > 2 ||
            !in.number(boolean) || boolean > 1 || !in.number(o.n_samples) ||
            !in.number(o.n_columns) || !in.number(o.n_neurons) || !in.real(o.dt) ||
            !in.real(o.t_max) || !in.array(o.values) || !in.array(o.index) || !in.array(o.time)) {
            return broken("broken observable");
        }
        o.kind = static_cast<Kind>(kind);
        o.boolean = boolean == 1;
        if (!sound(o)) return broken("an observable whose sizes do not fit");
        data.observables.push_back(std::move(o));
    }
    if (!in.at_end()) return broken("bytes left");
    return data;
}

Result<NirData> read_nir_data(const std::string& path) {
    const auto bytes = read_hdf5(path, [](hid_t file) -> Result<std::string> {
        if (text_attribute(file, "/", "__type__") != "NIRGraphData")
            return bad("/: __type__ is not NIRGraphData");
        Walker walker(file);
        if (Status ok = walker.graph("", ""); !ok) return ok.error();
        return pack_nir_data(walker.take());
    });
    if (!bytes) return bytes.error();
    auto data = unpack_nir_data(*bytes);
    if (!data) return Error{data.error().code, data.error().message, path};
    return data;
}

}  // namespace spikelock::bridge

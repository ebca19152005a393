// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/sonata.hpp"

#include <fmt/format.h>
#include <hdf5.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "byte_pack.hpp"
#include "hdf5_input.hpp"

namespace spikelock::bridge {

namespace {
using namespace detail;
constexpr std::int32_t kMagic = 0x0a7a;

Error bad(const std::string& what) { return Error{Errc::BadFormat, what, {}}; }

Status add_spikes(SonataFile& file, hid_t at, const std::string& population, const std::string& ids,
                  const std::string& times) {
    SonataSpikes spikes;
    spikes.population = population;
    auto node_ids = read_numbers<std::uint64_t>(at, ids, 1);
    if (!node_ids) return node_ids.error();
    auto timestamps = read_numbers<double>(at, times, 1);
    if (!timestamps) return timestamps.error();
    if (node_ids->values.size() != timestamps->values.size()) {
        return bad(fmt::format("{} has {} elements, {} has {}", ids, node_ids->values.size(), times,
                               timestamps->values.size()));
    }
    const std::string units = text_attribute(at, times, "units");
    if (!units.empty()) spikes.units = units;
    spikes.node_ids = std::move(node_ids->values);
    spikes.timestamps = std::move(timestamps->values);
    file.spikes.push_back(std::move(spikes));
    return {};
}

Status add_report(SonataFile& file, hid_t at, const std::string& population,
                  const std::string& folder) {
    SonataReport report;
    report.population = population;
    const std::string mapping = folder + "/mapping";
    const std::string dataset = folder + "/data";
    auto data = read_numbers<double>(at, dataset, 2);
    if (!data) return data.error();
    const hsize_t elements = data->extent[1];
    report.units = text_attribute(at, dataset, "units");
    const std::string variable = text_attribute(at, dataset, "variable");
    if (!variable.empty()) report.variable = variable;
    const auto times = read_numbers<double>(at, mapping + "/time", 1);
    if (!times) return times.error();
    const std::vector<double>& time = times->values;
    if (time.size() != 3 || !(time[2] > 0.0)) {
        return bad(mapping + "/time: expected start, stop and a step above 0");
    }
    const auto ids = read_numbers<std::uint64_t>(
        at, mapping + (exists(at, mapping + "/gids") ? "/gids" : "/node_ids"), 1);
    if (!ids) return ids.error();
    const std::vector<std::uint64_t>& nodes = ids->values;
    auto pointers = read_numbers<std::uint64_t>(at, mapping + "/index_pointer", 1);
    if (!pointers) return pointers.error();
    std::vector<std::uint64_t>& pointer = pointers->values;
    // The older files have one pointer a node, without the end of the last.
    if (pointer.size() == nodes.size()) pointer.push_back(elements);
    if (pointer.size() != nodes.size() + 1 || pointer.back() != elements) {
        return bad(fmt::format("{}/index_pointer: expected {} values, the last {}", mapping,
                               nodes.size() + 1, elements));
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (pointer[i + 1] < pointer[i] || pointer[i + 1] > elements ||
            pointer[i] != report.node_ids.size()) {
            return bad(fmt::format("{}/index_pointer: not ascending from 0 at {}", mapping, i));
        }
        report.node_ids.insert(report.node_ids.end(), pointer[i + 1] - pointer[i], nodes[i]);
    }
    report.start_ms = time[0];
    report.stop_ms = time[1];
    report.step_ms = time[2];
    report.data = std::move(data->values);
    file.reports.push_back(std::move(report));
    return {};
}

Result<SonataFile> read_here(hid_t at) {
    SonataFile found;
    Status ok;
    if (is_group(at, "/spikes")) {
        if (exists(at, "/spikes/timestamps")) {
            const bool older = exists(at, "/spikes/gids");
            ok = add_spikes(found, at, {}, older ? "/spikes/gids" : "/spikes/node_ids",
                            "/spikes/timestamps");
        } else {
            for (const std::string& name : members(at, "/spikes")) {
                const std::string group = "/spikes/" + name;
                if (ok)
                    ok = add_spikes(found, at, name, group + "/node_ids", group + "/timestamps");
            }
        }
    }
    if (ok && is_group(at, "/report")) {
        for (const std::string& name : members(at, "/report")) {
            if (ok) ok = add_report(found, at, name, "/report/" + name);
        }
    } else if (ok && exists(at, "/data") && is_group(at, "/mapping")) {
        ok = add_report(found, at, {}, "");
    }
    if (!ok) return ok.error();
    if (found.spikes.empty() && found.reports.empty()) {
        return bad("an HDF5 file without /spikes or /report: neither a trace nor SONATA");
    }
    return found;
}
}  // namespace

std::string pack_sonata(const SonataFile& file) {
    Packer out;
    out.number(file.spikes.size());
    for (const SonataSpikes& s : file.spikes) {
        out.text(s.population);
        out.text(s.units);
        out.array(s.node_ids);
        out.array(s.timestamps);
    }
    out.number(file.reports.size());
    for (const SonataReport& r : file.reports) {
        out.text(r.population);
        out.text(r.variable);
        out.text(r.units);
        out.array(r.node_ids);
        for (const double value : {r.start_ms, r.stop_ms, r.step_ms}) out.real(value);
        out.array(r.data);
    }
    return std::move(out.bytes);
}

Result<SonataFile> unpack_sonata(std::string_view bytes) {
    Unpacker in(bytes);
    SonataFile file;
    const auto broken = [&](const char* what) {
        return Error{Errc::BadFormat, fmt::format("{} at byte {}", what, in.position()), {}};
    };
    std::uint64_t count = 0;
    if (!in.number(count) || count > kMostGroups) return broken("no number of populations");
    for (std::uint64_t i = 0; i < count; ++i) {
        SonataSpikes s;
        if (!in.text(s.population) || !in.text(s.units) || !in.array(s.node_ids) ||
            !in.array(s.timestamps) || s.node_ids.size() != s.timestamps.size()) {
            return broken("broken spikes");
        }
        file.spikes.push_back(std::move(s));
    }
    if (!in.number(count) || count > kMostGroups) return broken("no number of reports");
    for (std::uint64_t i = 0; i < count; ++i) {
        SonataReport r;
        if (!in.text(r.population) || !in.text(r.variable) || !in.text(r.units) ||
            !in.array(r.node_ids) || !in.real(r.start_ms) || !in.real(r.stop_ms) ||
            !in.real(r.step_ms) || !in.array(r.data) ||
            (r.node_ids.empty() ? !r.data.empty() : r.data.size() % r.node_ids.size() != 0)) {
            return broken("broken report");
        }
        file.reports.push_back(std::move(r));
    }
    if (!in.at_end()) return broken("bytes left");
    return file;
}

Result<SonataFile> read_sonata(const std::string& path) {
    const auto bytes = read_hdf5(path, [](hid_t at) -> Result<std::string> {
        const auto file = read_here(at);
        if (!file) return file.error();
        return pack_sonata(*file);
    });
    if (!bytes) return bytes.error();
    auto file = unpack_sonata(*bytes);
    if (!file) return Error{file.error().code, file.error().message, path};
    return file;
}

namespace {
void put_text(hid_t object, const char* name, const std::string& text) {
    const Hid type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type.get(), std::max<std::size_t>(text.size(), 1));
    const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
    const Hid attribute(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                        H5Aclose);
    H5Awrite(attribute.get(), type.get(), text.empty() ? "" : text.c_str());
}

/// @returns false where HDF5 refuses
bool put_array(hid_t at, const std::string& name, hid_t type, hid_t native,
               std::vector<hsize_t> shape, const void* data, const char* attribute = nullptr,
               const std::string& text = {}) {
    const Hid space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                    H5Sclose);
    const Hid properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_obj_track_times(properties.get(), false);
    const Hid dataset(
        H5Dcreate2(at, name.c_str(), type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
        H5Dclose);
    if (!dataset) return false;
    hsize_t elements = 1;
    for (const hsize_t extent : shape) elements *= extent;
    if (elements > 0 && H5Dwrite(dataset.get(), native, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        return false;
    }
    if (attribute != nullptr) put_text(dataset.get(), attribute, text);
    return true;
}

bool put_group(hid_t at, const std::string& name) {
    const Hid properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    H5Pset_obj_track_times(properties.get(), false);
    const Hid group(H5Gcreate2(at, name.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                    H5Gclose);
    return static_cast<bool>(group);
}

bool write_here(hid_t at, const SonataFile& file) {
    {
        const Hid space(H5Screate(H5S_SCALAR), H5Sclose);
        const Hid magic(
            H5Acreate2(at, "magic", H5T_STD_U32LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
            H5Aclose);
        H5Awrite(magic.get(), H5T_NATIVE_INT32, &kMagic);
        const hsize_t two = 2;
        const std::array<std::uint32_t, 2> numbers = {0, 1};
        const Hid pair(H5Screate_simple(1, &two, nullptr), H5Sclose);
        const Hid version(
            H5Acreate2(at, "version", H5T_STD_U32LE, pair.get(), H5P_DEFAULT, H5P_DEFAULT),
            H5Aclose);
        H5Awrite(version.get(), H5T_NATIVE_UINT32, numbers.data());
    }
    bool good = true;
    if (!file.spikes.empty()) good = put_group(at, "/spikes");
    for (const SonataSpikes& s : file.spikes) {
        const std::string group = "/spikes/" + s.population;
        const hsize_t n = s.node_ids.size();
        good = good && put_group(at, group) &&
               put_array(at, group + "/node_ids", H5T_STD_U64LE, H5T_NATIVE_UINT64, {n},
                         s.node_ids.data()) &&
               put_array(at, group + "/timestamps", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {n},
                         s.timestamps.data(), "units", s.units);
    }
    if (!file.reports.empty()) good = good && put_group(at, "/report");
    for (const SonataReport& r : file.reports) {
        const std::string group = "/report/" + r.population;
        std::vector<std::uint64_t> nodes;
        std::vector<std::uint64_t> pointer;
        for (std::size_t i = 0; i < r.node_ids.size(); ++i) {
            if (i > 0 && r.node_ids[i] == r.node_ids[i - 1]) continue;
            nodes.push_back(r.node_ids[i]);
            pointer.push_back(i);
        }
        pointer.push_back(r.node_ids.size());
        const std::vector<std::uint32_t> elements(r.node_ids.size(), 0);
        const std::array<double, 3> time = {r.start_ms, r.stop_ms, r.step_ms};
        const std::string mapping = group + "/mapping";
        good = good && put_group(at, group) && put_group(at, mapping) &&
               put_array(at, group + "/data", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
                         {r.n_steps(), r.node_ids.size()}, r.data.data(), "variable", r.variable) &&
               put_array(at, mapping + "/node_ids", H5T_STD_U64LE, H5T_NATIVE_UINT64,
                         {nodes.size()}, nodes.data()) &&
               put_array(at, mapping + "/index_pointer", H5T_STD_U64LE, H5T_NATIVE_UINT64,
                         {pointer.size()}, pointer.data()) &&
               put_array(at, mapping + "/element_ids", H5T_STD_U32LE, H5T_NATIVE_UINT32,
                         {elements.size()}, elements.data()) &&
               put_array(at, mapping + "/time", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {3}, time.data(),
                         "units", "ms");
    }
    return good;
}
}  // namespace

Status write_sonata(const std::string& path, const SonataFile& file) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const std::string temporary = path + ".writing-" + std::to_string(::getpid());
    const Hid creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
    H5Pset_obj_track_times(creation.get(), false);
    const hid_t made = H5Fcreate(temporary.c_str(), H5F_ACC_TRUNC, creation.get(), H5P_DEFAULT);
    if (made < 0) return Error{Errc::Io, "cannot create the file", path};
    bool good = write_here(made, file);
    good = H5Fclose(made) >= 0 && good;
    if (good && std::rename(temporary.c_str(), path.c_str()) == 0) return {};
    std::remove(temporary.c_str());
    return Error{Errc::Io, "writing the file failed; is the disk full?", path};
}

}  // namespace spikelock::bridge

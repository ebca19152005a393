// SPDX-License-Identifier: Apache-2.0
#include "hdf5_input.hpp"

#include <fmt/format.h>

#include <cstring>
#include <type_traits>

#include "file_io.hpp"
#include "spikelock/base/isolate.hpp"

namespace spikelock::bridge::detail {

Result<std::string> read_hdf5(const std::string& path,
                              const std::function<Result<std::string>(hid_t)>& body) {
    const auto opened = InputFile::open(path);
    if (!opened) return opened.error();
    auto answer = run_isolated("the HDF5 library", path, {}, [&]() -> Result<std::string> {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        const Hid access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
        H5Pset_fapl_stdio(access.get());
        const Hid file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
        if (!file) return Error{Errc::Truncated, "a truncated or damaged HDF5 file", {}};
        return body(file.get());
    });
    if (!answer && answer.error().where.empty()) answer.error().where = path;
    return answer;
}

bool exists(hid_t at, const std::string& name) {
    return H5Lexists(at, name.c_str(), H5P_DEFAULT) > 0;
}

bool is_group(hid_t at, const std::string& name) {
    const Hid group(exists(at, name) ? H5Gopen2(at, name.c_str(), H5P_DEFAULT) : -1, H5Gclose);
    return static_cast<bool>(group);
}

std::vector<std::string> members(hid_t at, const std::string& name) {
    std::vector<std::string> names;
    const Hid group(H5Gopen2(at, name.c_str(), H5P_DEFAULT), H5Gclose);
    if (!group) return names;
    const auto collect = [](hid_t, const char* member, const H5L_info_t*, void* data) -> herr_t {
        auto* into = static_cast<std::vector<std::string>*>(data);
        into->emplace_back(member);
        return into->size() > kMostGroups ? 1 : 0;
    };
    H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names);
    return names;
}

namespace {
bool holds_one(hid_t attribute) {
    const Hid space(H5Aget_space(attribute), H5Sclose);
    return space && H5Sget_simple_extent_npoints(space.get()) == 1;
}

/// @returns a negative number where there is none
hid_t open_attribute(hid_t at, const std::string& object, const char* name) {
    const char* const path = object.c_str();
    if (H5Aexists_by_name(at, path, name, H5P_DEFAULT) <= 0) return -1;
    return H5Aopen_by_name(at, path, name, H5P_DEFAULT, H5P_DEFAULT);
}

/// numpy's bool is an enumeration of FALSE and TRUE to h5py.
bool is_boolean(hid_t type) { return H5Tget_class(type) == H5T_ENUM && H5Tget_size(type) == 1; }

template <typename T>
hid_t native() {
    if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
    return std::is_signed_v<T> ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64;
}
}  // namespace

std::string text_attribute(hid_t at, const std::string& object, const char* name) {
    const Hid attribute(open_attribute(at, object, name), H5Aclose);
    const Hid type(attribute ? H5Aget_type(attribute.get()) : -1, H5Tclose);
    if (!type || H5Tget_class(type.get()) != H5T_STRING || !holds_one(attribute.get())) return {};
    const Hid memory(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_cset(memory.get(), H5Tget_cset(type.get()));
    if (H5Tis_variable_str(type.get()) > 0) {
        H5Tset_size(memory.get(), H5T_VARIABLE);
        char* text = nullptr;
        if (H5Aread(attribute.get(), memory.get(), &text) < 0) return {};
        std::string value = text == nullptr ? "" : text;
        H5free_memory(text);
        return value;
    }
    std::string value(H5Tget_size(type.get()) + 1, '\0');
    H5Tset_size(memory.get(), value.size());
    if (H5Aread(attribute.get(), memory.get(), value.data()) < 0) return {};
    value.resize(std::strlen(value.c_str()));
    return value;
}

bool number_attribute(hid_t at, const std::string& object, const char* name, double& value) {
    const Hid attribute(open_attribute(at, object, name), H5Aclose);
    const Hid type(attribute ? H5Aget_type(attribute.get()) : -1, H5Tclose);
    const H5T_class_t cls = type ? H5Tget_class(type.get()) : H5T_NO_CLASS;
    return (cls == H5T_INTEGER || cls == H5T_FLOAT) && holds_one(attribute.get()) &&
           H5Aread(attribute.get(), H5T_NATIVE_DOUBLE, &value) >= 0;
}

template <typename T>
Result<Numbers<T>> read_numbers(hid_t at, const std::string& name, int rank, std::uint64_t most) {
    const auto bad = [&](const std::string& what) {
        return Error{Errc::BadFormat, name + ": " + what, {}};
    };
    const Hid dataset(exists(at, name) ? H5Dopen2(at, name.c_str(), H5P_DEFAULT) : -1, H5Dclose);
    if (!dataset) return Error{Errc::BadFormat, "expected a dataset " + name, {}};
    const Hid space(H5Dget_space(dataset.get()), H5Sclose);
    const Hid stored(H5Dget_type(dataset.get()), H5Tclose);
    const H5T_class_t cls = stored ? H5Tget_class(stored.get()) : H5T_NO_CLASS;
    Numbers<T> numbers;
    numbers.boolean = stored && is_boolean(stored.get());
    if (cls != H5T_INTEGER && !numbers.boolean && (cls != H5T_FLOAT || std::is_integral_v<T>)) {
        return bad(std::is_integral_v<T> ? "expected integers" : "expected numbers");
    }
    numbers.extent.resize(static_cast<std::size_t>(rank));
    if (!space || H5Sget_simple_extent_ndims(space.get()) != rank ||
        H5Sget_simple_extent_dims(space.get(), numbers.extent.data(), nullptr) != rank) {
        return bad(fmt::format("expected {} dimension{}", rank, rank == 1 ? "" : "s"));
    }
    std::uint64_t elements = 1;
    for (const hsize_t extent : numbers.extent) {
        if (extent > 0 && elements > most / extent) {
            return Error{Errc::Limit, fmt::format("{}: more than {} elements", name, most), {}};
        }
        elements *= extent;
    }
    numbers.values.resize(elements);
    if (elements > 0 && H5Dread(dataset.get(), native<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                numbers.values.data()) < 0) {
        return bad("unreadable");
    }
    return numbers;
}
template Result<Numbers<double>> read_numbers(hid_t, const std::string&, int, std::uint64_t);
template Result<Numbers<std::int64_t>> read_numbers(hid_t, const std::string&, int, std::uint64_t);
template Result<Numbers<std::uint64_t>> read_numbers(hid_t, const std::string&, int, std::uint64_t);

Result<Hdf5Content> hdf5_content(const std::string& path) {
    const auto answer = read_hdf5(path, [](hid_t file) -> Result<std::string> {
        auto content = Hdf5Content::Other;
        if (text_attribute(file, "/", "format") == "spikelock-trace") {
            content = Hdf5Content::OwnTrace;
        } else if (text_attribute(file, "/", "__type__") == "NIRGraphData") {
            content = Hdf5Content::NirData;
        } else if (is_group(file, "/node") && exists(file, "/node/type")) {
            content = Hdf5Content::NirGraph;
        }
        return std::string(1, static_cast<char>(content));
    });
    if (!answer) return answer.error();
    if (answer->size() != 1 || (*answer)[0] > static_cast<char>(Hdf5Content::NirGraph))
        return Error{Errc::Internal, "no answer of one byte", path};
    return static_cast<Hdf5Content>((*answer)[0]);
}

}  // namespace spikelock::bridge::detail

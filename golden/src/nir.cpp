// SPDX-License-Identifier: Apache-2.0
// Reads NIR files: the HDF5 library runs in a child process and only collects nodes, parameters
// and edges; what they mean is decided in nir_build.cpp, by code that never sees the library.
#include "spikelock/golden/nir.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "nir_graph.hpp"

namespace spikelock::golden {
namespace detail {
namespace {

constexpr int kMaxRank = 8;

/// An HDF5 identifier of any kind, given back at the end of the scope.
class Handle {
public:
    explicit Handle(hid_t id) noexcept : id_(id) {}
    Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
        if (id_ >= 0) H5Idec_ref(id_);
    }
    operator hid_t() const noexcept { return id_; }  // NOLINT: stands for the id everywhere
    bool ok() const noexcept { return id_ >= 0; }

private:
    hid_t id_;
};

/// What HDF5 says was wrong at the innermost level, e.g. "truncated file: eof = 96".
std::string library_text() {
    std::string text;
    const auto first = [](unsigned, const H5E_error2_t* error, void* into) -> herr_t {
        auto& found = *static_cast<std::string*>(into);
        if (found.empty() && error->desc != nullptr) found = error->desc;
        return 0;
    };
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first, &text);
    return text.empty() ? "unknown cause" : text;
}

/// Walks the groups of one file.
class Parser {
public:
    explicit Parser(const std::string& path) : path_(path) {}

    Result<NirNode> parse() {
        const Handle access(H5Pcreate(H5P_FILE_ACCESS));
        // A NIR file may lie on a read-only or network file system, where locks fail.
        H5Pset_file_locking(access, false, true);
        const htri_t is_hdf5 = H5Fis_hdf5(path_.c_str());
        if (is_hdf5 <= 0) return bad("not an HDF5 file, so not a NIR graph");
        const Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, access));
        if (!file.ok()) return bad("cannot be opened as HDF5: " + library_text());
        if (H5Lexists(file, "node", H5P_DEFAULT) <= 0)
            return bad("no group '/node': HDF5, but not a NIR graph");
        const Handle group(H5Gopen2(file, "node", H5P_DEFAULT));
        if (!group.ok()) return bad("'/node' is not a readable group: " + library_text());
        NirNode root;
        if (Status status = node(group, root, 0); !status) return status.error();
        return root;
    }

private:
    Error bad(const std::string& message) const { return {Errc::BadFormat, message, path_}; }
    Error limit(const std::string& message) const { return {Errc::Limit, message, path_}; }

    /// Place of the thing being read, e.g. "/node/nodes/lif/tau".
    std::string place(const std::string& name) const {
        std::string text = "'/node";
        for (const std::string& part : groups_) text += "/" + part;
        return text + (name.empty() ? "'" : "/" + name + "'");
    }

    /// Names of a group's links, in the order of their bytes.
    Result<std::vector<std::string>> names_of(hid_t group) {
        std::vector<std::string> names;
        const auto add = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
            auto& list = *static_cast<std::vector<std::string>*>(into);
            list.emplace_back(name);
            return list.size() > kMaxNodes ? 1 : 0;
        };
        const herr_t end = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names);
        if (end < 0) return bad("cannot list " + place({}) + ": " + library_text());
        if (end > 0)
            return limit("more than " + std::to_string(kMaxNodes) + " entries in " + place({}));
        return names;
    }

    /// Reads a group that is a node: parameters, and for a graph its nodes and edges.
    Status node(hid_t group, NirNode& into, int depth) {
        if (depth > kMaxDepth)
            return limit("graphs nested more than " + std::to_string(kMaxDepth) + " deep at " +
                         place({}));
        if (++nodes_ > kMaxNodes) return limit("more than " + std::to_string(kMaxNodes) + " nodes");
        auto names = names_of(group);
        if (!names) return names.error();
        for (const std::string& name : *names) {
            // Free notes; NIR forbids that anything depends on them. The types follow from the
            // parameters (and some writers store them as groups).
            if (name == "metadata") continue;
            if (Status status = entry(group, name, into, depth); !status) return status;
        }
        if (into.type.empty())
            if (Status status = type_attribute(group, into); !status) return status;
        return {};
    }

    Status entry(hid_t group, const std::string& name, NirNode& into, int depth) {
        H5L_info_t link{};
        if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0)
            return bad("cannot read " + place(name) + ": " + library_text());
        // Soft and external links could lead round in circles or into other files.
        if (link.type != H5L_TYPE_HARD)
            return bad(place(name) + " is a soft or external link, which NIR does not have");
        const Handle object(H5Oopen(group, name.c_str(), H5P_DEFAULT));
        if (!object.ok()) return bad("cannot open " + place(name) + ": " + library_text());
        const H5I_type_t kind = H5Iget_type(object);
        if (kind == H5I_GROUP) {
            if (name == "nodes") return children(object, into, depth);
            if (name == "input_type" || name == "output_type") return {};
            return bad(place(name) + " is a group, expected a parameter of the node");
        }
        if (kind != H5I_DATASET) return bad(place(name) + " is neither a group nor a dataset");
        if (name == "edges") return edges(object, into);
        return parameter(object, name, into);
    }

    Status children(hid_t group, NirNode& into, int depth) {
        groups_.emplace_back("nodes");
        auto names = names_of(group);
        if (!names) return names.error();
        for (const std::string& name : *names) {
            H5L_info_t link{};
            if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0 ||
                link.type != H5L_TYPE_HARD)
                return bad(place(name) + " is a soft or external link, which NIR does not have");
            const Handle child(H5Gopen2(group, name.c_str(), H5P_DEFAULT));
            if (!child.ok()) return bad(place(name) + " is not a readable group");
            groups_.push_back(name);
            NirNode& made = into.nodes.emplace_back();
            made.name = name;
            if (Status status = node(child, made, depth + 1); !status) return status;
            groups_.pop_back();
        }
        groups_.pop_back();
        return {};
    }

    Status type_attribute(hid_t group, NirNode& into) {
        if (H5Aexists(group, "type") <= 0) return {};
        const Handle attribute(H5Aopen(group, "type", H5P_DEFAULT));
        const Handle space(H5Aget_space(attribute));
        const Handle type(H5Aget_type(attribute));
        if (!attribute.ok() || !space.ok() || !type.ok() || H5Tget_class(type) != H5T_STRING ||
            H5Sget_simple_extent_npoints(space) != 1)
            return bad("attribute 'type' of " + place({}) + " is not one string");
        auto text = strings(type, space, 1, [&](hid_t memory, void* buffer) {
            return H5Aread(attribute, memory, buffer);
        });
        if (!text) return bad("attribute 'type' of " + place({}) + ": " + text.error().message);
        into.type = (*text)[0];
        return {};
    }

    /// Shape of a dataspace, its size counted against the limit of the file.
    Result<std::vector<std::uint64_t>> shape_of(hid_t space, const std::string& name) {
        std::vector<std::uint64_t> shape;
        const H5S_class_t kind = H5Sget_simple_extent_type(space);
        if (kind == H5S_NULL) return std::vector<std::uint64_t>{0};
        const int rank = H5Sget_simple_extent_ndims(space);
        if (rank < 0) return bad("broken shape of " + place(name));
        if (rank > kMaxRank)
            return limit(place(name) + " has " + std::to_string(rank) + " dimensions, at most " +
                         std::to_string(kMaxRank) + " are read");
        std::array<hsize_t, kMaxRank> extents{};
        if (rank > 0 && H5Sget_simple_extent_dims(space, extents.data(), nullptr) < 0)
            return bad("broken shape of " + place(name));
        std::uint64_t count = 1;
        for (int i = 0; i < rank; ++i) {
            const std::uint64_t extent = extents[static_cast<std::size_t>(i)];
            if (extent > kMaxElements || count * extent > kMaxElements)
                return limit(place(name) + " has more than " + std::to_string(kMaxElements) +
                             " elements");
            count *= extent;
            shape.push_back(extent);
        }
        elements_ += count;
        if (elements_ > kMaxElements)
            return limit("more than " + std::to_string(kMaxElements) +
                         " numbers in all, reached at " + place(name));
        return shape;
    }

    /// Fixed- and variable-length strings alike. @param read  (memory type, buffer)
    template <typename Read>
    Result<std::vector<std::string>> strings(hid_t type, hid_t space, std::size_t count,
                                             const Read& read) {
        std::vector<std::string> texts(count);
        const htri_t variable = H5Tis_variable_str(type);
        if (variable < 0) return bad("broken string type");
        if (variable > 0) {
            const Handle memory(H5Tcopy(H5T_C_S1));
            H5Tset_size(memory, H5T_VARIABLE);
            H5Tset_cset(memory, H5Tget_cset(type));
            std::vector<char*> raw(count, nullptr);
            if (read(memory, raw.data()) < 0) return bad("cannot be read: " + library_text());
            for (std::size_t i = 0; i < count; ++i)
                if (raw[i] != nullptr) texts[i] = raw[i];
            H5Dvlen_reclaim(memory, space, H5P_DEFAULT, raw.data());
            return texts;
        }
        const std::size_t size = H5Tget_size(type);
        if (size == 0 || size > kMaxElements || size * count > kMaxElements)
            return limit("strings of " + std::to_string(size) + " bytes");
        std::vector<char> raw(size * count);
        if (read(type, raw.data()) < 0) return bad("cannot be read: " + library_text());
        const bool spaces = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
        for (std::size_t i = 0; i < count; ++i) {
            std::string text(raw.data() + i * size, size);
            text.resize(std::min(text.find('\0'), text.size()));
            if (spaces) text.erase(text.find_last_not_of(' ') + 1);
            texts[i] = std::move(text);
        }
        return texts;
    }

    Status edges(hid_t dataset, NirNode& into) {
        const Handle space(H5Dget_space(dataset));
        const Handle type(H5Dget_type(dataset));
        auto shape = shape_of(space, "edges");
        if (!shape) return shape.error();
        std::uint64_t count = 1;
        for (const std::uint64_t extent : *shape) count *= extent;
        if (count == 0) return {};  // h5py writes an empty list as numbers
        if (shape->size() != 2 || (*shape)[1] != 2 || H5Tget_class(type) != H5T_STRING)
            return bad(place("edges") + " must be pairs of strings, shape (edges, 2)");
        edges_ += count / 2;
        if (edges_ > kMaxEdges) return limit("more than " + std::to_string(kMaxEdges) + " edges");
        auto texts =
            strings(type, space, static_cast<std::size_t>(count), [&](hid_t memory, void* buffer) {
                return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
            });
        if (!texts) return bad(place("edges") + ": " + texts.error().message);
        for (std::size_t i = 0; i + 1 < texts->size(); i += 2)
            into.edges.emplace_back((*texts)[i], (*texts)[i + 1]);
        return {};
    }

    Status parameter(hid_t dataset, const std::string& name, NirNode& into) {
        const Handle space(H5Dget_space(dataset));
        const Handle type(H5Dget_type(dataset));
        auto shape = shape_of(space, name);
        if (!shape) return shape.error();
        std::uint64_t count = 1;
        for (const std::uint64_t extent : *shape) count *= extent;
        switch (H5Tget_class(type)) {
            case H5T_STRING: {
                if (count != 1) return bad(place(name) + " must be one string");
                auto text = strings(type, space, 1, [&](hid_t memory, void* buffer) {
                    return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer);
                });
                if (!text) return bad(place(name) + ": " + text.error().message);
                (name == "type" ? into.type : into.texts[name]) = (*text)[0];
                return {};
            }
            case H5T_INTEGER:
            case H5T_FLOAT: {
                NirArray array{std::move(*shape), {}};
                array.values.resize(static_cast<std::size_t>(count));
                if (count > 0 && H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                         array.values.data()) < 0)
                    return bad(place(name) + " cannot be read: " + library_text());
                into.arrays[name] = std::move(array);
                return {};
            }
            default:
                return bad(place(name) + " is neither a string nor numbers");
        }
    }

    const std::string& path_;
    std::vector<std::string> groups_;
    std::uint64_t nodes_ = 0;
    std::uint64_t edges_ = 0;
    std::uint64_t elements_ = 0;
};

}  // namespace

Result<NirNode> parse_nir_file(const std::string& path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);  // a file must not make the library load code
    return Parser(path).parse();
}

Result<FloatNetwork> read_nir_within(const std::string& path, const IsolationLimits& limits) {
    auto bytes = run_isolated("the HDF5 library", path, limits, [&]() -> Result<std::string> {
        auto tree = parse_nir_file(path);
        if (!tree) return tree.error();
        return serialise(*tree);
    });
    if (!bytes) return bytes.error();
    auto tree = deserialise(*bytes);
    if (!tree) return Error{tree.error().code, tree.error().message, path};
    *bytes = {};
    return build_network(*tree, path);
}

}  // namespace detail

Result<FloatNetwork> read_nir(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) {
        const bool missing = errno == ENOENT || errno == ENOTDIR;
        return Error{missing ? Errc::NotFound : Errc::Io,
                     missing ? "no such file" : std::strerror(errno), path};
    }
    if (!S_ISREG(info.st_mode)) return Error{Errc::BadFormat, "not a regular file", path};
    if (::access(path.c_str(), R_OK) != 0) return Error{Errc::Io, std::strerror(errno), path};

    // One broken file in a hundred sends the library round in circles, so the bound must follow
    // what sound files need: some milliseconds, and less than a second for 100 MB.
    IsolationLimits limits;
    limits.cpu_seconds = 2 + static_cast<std::uint32_t>(std::min<off_t>(info.st_size >> 23, 600));
    limits.wall = std::chrono::seconds(15 * limits.cpu_seconds);
    return detail::read_nir_within(path, limits);
}

}  // namespace spikelock::golden

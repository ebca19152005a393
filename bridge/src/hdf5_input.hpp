// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"

// Reading HDF5 files of others. All but read_hdf5() runs in the child that it starts.
namespace spikelock::bridge::detail {

/// Largest dataset that is read, elements.
inline constexpr std::uint64_t kMostElements = std::uint64_t{1} << 27;
/// Most members of a group.
inline constexpr std::size_t kMostGroups = 1024;

/// Owns an HDF5 identifier.
class Hid {
public:
    Hid(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    Hid(const Hid&) = delete;
    Hid& operator=(const Hid&) = delete;
    ~Hid() {
        if (id_ >= 0) close_(id_);
    }
    hid_t get() const noexcept { return id_; }
    explicit operator bool() const noexcept { return id_ >= 0; }

private:
    hid_t id_;
    herr_t (*close_)(hid_t);
};

/// Opens a file in a child process with limits and returns what `body` makes of it there.
/// @param body  gets the identifier of the file
/// @errors those of `body`, with the path where they name no place; Errc::Truncated for what is no
/// HDF5 file; those of run_isolated; Errc::NotFound, Errc::Io
Result<std::string> read_hdf5(const std::string& path,
                              const std::function<Result<std::string>(hid_t)>& body);

bool exists(hid_t at, const std::string& name);
bool is_group(hid_t at, const std::string& name);
/// Names of the members of a group, in the order of the names; at most kMostGroups + 1.
std::vector<std::string> members(hid_t at, const std::string& name);
/// A text attribute of a group or dataset; empty where there is none.
std::string text_attribute(hid_t at, const std::string& object, const char* name);
/// An attribute that is one number. @returns false where there is none
bool number_attribute(hid_t at, const std::string& object, const char* name, double& value);

/// The numbers of a dataset and what belongs to them.
template <typename T>
struct Numbers {
    std::vector<T> values;        ///< row by row
    std::vector<hsize_t> extent;  ///< `rank` of them
    bool boolean = false;         ///< stored as numpy's bool
};
/// Reads a dataset of `rank` dimensions.
/// @errors Errc::BadFormat naming the dataset; Errc::Limit for more than `most` elements
template <typename T>
Result<Numbers<T>> read_numbers(hid_t at, const std::string& name, int rank,
                                std::uint64_t most = kMostElements);
extern template Result<Numbers<double>> read_numbers(hid_t, const std::string&, int, std::uint64_t);
extern template Result<Numbers<std::int64_t>> read_numbers(hid_t, const std::string&, int,
                                                           std::uint64_t);
extern template Result<Numbers<std::uint64_t>> read_numbers(hid_t, const std::string&, int,
                                                            std::uint64_t);

/// What an HDF5 file holds.
enum class Hdf5Content : std::uint8_t { Other, OwnTrace, NirData, NirGraph };
/// @errors as read_hdf5
Result<Hdf5Content> hdf5_content(const std::string& path);

}  // namespace spikelock::bridge::detail

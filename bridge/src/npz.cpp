// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/npz.hpp"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "file_io.hpp"
#include "zip.hpp"

namespace spikelock::bridge {

Result<std::vector<NamedArray>> parse_npz(std::span<const std::byte> bytes,
                                          const std::string& origin,
                                          std::span<const std::string> wanted) {
    constexpr std::string_view kSuffix = ".npy";
    auto entries = detail::list_zip(bytes, origin);
    if (!entries) return entries.error();
    std::erase_if(*entries, [&](const auto& entry) { return !entry.name.ends_with(kSuffix); });
    if (entries->empty())
        return Error{Errc::BadFormat, "a ZIP archive without an array (NAME.npy)", origin};
    if (!wanted.empty() && wanted.size() != entries->size())
        return Error{Errc::BadConfig,
                     fmt::format("{} columns are named, the file has {} arrays", wanted.size(),
                                 entries->size()),
                     origin};
    std::vector<NamedArray> arrays;
    std::set<std::string> names;
    // Entries may share packed bytes, so that what they unpack to is limited together.
    std::uint64_t left = kMaxArrayBytes;
    for (std::size_t i = 0; i < entries->size(); ++i) {
        const detail::ZipEntry& entry = (*entries)[i];
        std::string name =
            wanted.empty() ? entry.name.substr(0, entry.name.size() - kSuffix.size()) : wanted[i];
        if (name == "-") continue;
        if (!names.insert(name).second)
            return Error{Errc::BadFormat, "two arrays of the name " + detail::quoted(name), origin};
        const auto unpacked = detail::unpack_zip(bytes, entry, left, origin);
        if (!unpacked) return unpacked.error();
        left -= unpacked->size();
        auto array = parse_npy(*unpacked, origin + ": " + entry.name);
        if (!array) return array.error();
        arrays.push_back({std::move(name), std::move(*array)});
    }
    return arrays;
}

Result<std::vector<NamedArray>> read_npz(const std::string& path,
                                         std::span<const std::string> wanted) {
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto bytes = file->read_to_end(kMaxArrayBytes);
    if (!bytes) return bytes.error();
    return parse_npz(std::as_bytes(std::span(*bytes)), path, wanted);
}

}  // namespace spikelock::bridge

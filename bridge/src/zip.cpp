// SPDX-License-Identifier: Apache-2.0
#include "zip.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "file_io.hpp"

namespace spikelock::bridge::detail {
namespace {
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kDirectoryBytes = 46;
constexpr std::size_t kLocalBytes = 30;
constexpr std::uint64_t kMostEntries = 1U << 16;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;
constexpr std::uint32_t kIn64 = 0xffffffff;                // the value stands in the 64-bit part
constexpr std::size_t kFirstBytes = std::size_t{1} << 14;  // room for unpacked bytes at first

/// Bytes of the archive, read as little-endian numbers.
class Bytes {
public:
    Bytes(std::span<const std::byte> all, const std::string& origin) : all_(all), origin_(origin) {}
    std::uint64_t size() const { return all_.size(); }
    bool holds(std::uint64_t at, std::uint64_t size) const {
        return at <= all_.size() && size <= all_.size() - at;
    }
    /// @pre holds(at, size of T)
    template <typename T>
    T number(std::uint64_t at) const {
        std::uint64_t value = 0;
        for (std::size_t i = sizeof(T); i-- > 0;)
            value = value << 8 | std::to_integer<unsigned>(all_[at + i]);
        return static_cast<T>(value);
    }
    std::uint16_t u16(std::uint64_t at) const { return number<std::uint16_t>(at); }
    std::uint32_t u32(std::uint64_t at) const { return number<std::uint32_t>(at); }
    std::uint64_t u64(std::uint64_t at) const { return number<std::uint64_t>(at); }
    bool has(std::uint64_t at, const char* signature) const {
        return holds(at, 4) && std::memcmp(all_.data() + at, signature, 4) == 0;
    }
    std::string text(std::uint64_t at, std::size_t size) const {
        return {reinterpret_cast<const char*>(all_.data()) + at, size};
    }
    Error error(std::uint64_t at, std::string what, Errc code = Errc::BadFormat) const {
        return {code, std::move(what), fmt::format("{}: byte {}", origin_, at)};
    }

private:
    std::span<const std::byte> all_;
    const std::string& origin_;
};

/// Where the directory lies.
struct Directory {
    std::uint64_t at = 0;
    std::uint64_t size = 0;
    std::uint64_t entries = 0;
};

Result<Directory> find_directory(const Bytes& in) {
    // The end record is the last one whose comment reaches to the end of the archive.
    std::optional<std::uint64_t> found;
    const std::uint64_t comment = std::min<std::uint64_t>(in.size(), 0xffff + kEndBytes);
    for (std::uint64_t back = kEndBytes; back <= comment && !found; ++back) {
        const std::uint64_t at = in.size() - back;
        if (in.has(at, "PK\5\6") && in.u16(at + 20) == back - kEndBytes) found = at;
    }
    if (!found)
        return in.error(in.size(), "no directory at the end of the ZIP archive: it is cut",
                        Errc::Truncated);
    std::uint64_t end = *found;
    Directory directory{in.u32(end + 16), in.u32(end + 12), in.u16(end + 10)};
    bool parts = in.u16(end + 4) != 0 || in.u16(end + 6) != 0;
    if (end >= kLocatorBytes && in.has(end - kLocatorBytes, "PK\6\7")) {
        const std::uint64_t at = in.u64(end - kLocatorBytes + 8);
        if (!in.holds(at, kEnd64Bytes) || !in.has(at, "PK\6\6") || at > end - kLocatorBytes)
            return in.error(end - kLocatorBytes, "expected the place of the 64-bit end record");
        parts = in.u32(at + 16) != 0 || in.u32(at + 20) != 0;
        directory = {in.u64(at + 48), in.u64(at + 40), in.u64(at + 32)};
        end = at;
    }
    if (parts) return in.error(end, "an archive in several parts", Errc::Unsupported);
    if (!in.holds(directory.at, directory.size) || directory.at + directory.size > end)
        return in.error(end, fmt::format("a directory of {} bytes at byte {}, which the archive "
                                         "does not hold",
                                         directory.size, directory.at));
    if (directory.entries > kMostEntries)
        return in.error(end, fmt::format("more than {} files", kMostEntries), Errc::Limit);
    return directory;
}

/// Takes from the 64-bit part of an entry what did not fit into 32 bits.
Status take_64(const Bytes& in, std::uint64_t at, std::uint64_t end, ZipEntry& entry) {
    const std::uint64_t begin = at;
    std::uint64_t* const wanted[] = {&entry.bytes, &entry.packed_bytes, &entry.offset};
    while (end - at >= 4) {
        const std::uint64_t size = in.u16(at + 2);
        const bool here = in.u16(at) == 1;
        at += 4;
        if (size > end - at) return in.error(at, "an extra field beyond its entry");
        std::uint64_t place = at;
        for (std::uint64_t* value : wanted) {
            if (!here || *value != kIn64 || at + size - place < 8) continue;
            *value = in.u64(place);
            place += 8;
        }
        if (here) return {};
        at += size;
    }
    for (const std::uint64_t* value : wanted)
        if (*value == kIn64) return in.error(begin, "no 64-bit sizes, where they are announced");
    return {};
}

/// Inflates raw deflate data, which must give `size` bytes. Memory grows with what comes out.
/// @returns what is wrong, empty: nothing
std::string inflate_into(std::span<const std::byte> packed, std::uint64_t size,
                         std::vector<std::byte>& out) {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return "zlib cannot be set up";
    // zlib's pointer is not const, but it does not write there.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    std::size_t in_left = packed.size();
    std::size_t done = 0;
    int state = Z_OK;
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    while (state == Z_OK) {
        // A byte more than there should be shows what is too large.
        if (done == out.size())
            out.resize(std::min<std::uint64_t>(size + 1, std::max(2 * done, kFirstBytes)));
        const auto in_now = static_cast<uInt>(std::min(in_left, kMost));
        const auto out_now = static_cast<uInt>(std::min(out.size() - done, kMost));
        stream.avail_in = in_now;
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + done);
        stream.avail_out = out_now;
        state = inflate(&stream, Z_NO_FLUSH);
        in_left -= in_now - stream.avail_in;
        done += out_now - stream.avail_out;
        if (done > size) break;
    }
    const std::string reason = stream.msg == nullptr ? "" : stream.msg;
    inflateEnd(&stream);
    out.resize(done);
    if (done > size) return "larger than the directory says";
    if (state == Z_DATA_ERROR || state == Z_NEED_DICT) return "damaged: " + reason;
    if (state != Z_STREAM_END) return "the packed data end early";
    if (done < size) return "smaller than the directory says";
    if (in_left > 0) return "bytes after the packed data";
    return {};
}
}  // namespace

Result<std::vector<ZipEntry>> list_zip(std::span<const std::byte> archive,
                                       const std::string& origin) {
    const Bytes in(archive, origin);
    const auto directory = find_directory(in);
    if (!directory) return directory.error();
    std::vector<ZipEntry> entries;
    const std::uint64_t end = directory->at + directory->size;
    std::uint64_t at = directory->at;
    for (std::uint64_t i = 0; i < directory->entries; ++i) {
        if (end - at < kDirectoryBytes || !in.has(at, "PK\1\2"))
            return in.error(at, fmt::format("expected entry {} of the archive's directory", i));
        ZipEntry entry;
        if ((in.u16(at + 8) & 1U) != 0) return in.error(at, "an encrypted file", Errc::Unsupported);
        entry.method = in.u16(at + 10);
        entry.crc = in.u32(at + 16);
        entry.packed_bytes = in.u32(at + 20);
        entry.bytes = in.u32(at + 24);
        entry.offset = in.u32(at + 42);
        const std::size_t name = in.u16(at + 28);
        const std::uint64_t extra = in.u16(at + 30);
        const std::uint64_t rest = name + extra + in.u16(at + 32);
        if (end - at - kDirectoryBytes < rest)
            return in.error(at, "an entry beyond the archive's directory");
        at += kDirectoryBytes;
        entry.name = in.text(at, name);
        if (Status ok = take_64(in, at + name, at + name + extra, entry); !ok) return ok.error();
        at += rest;
        entries.push_back(std::move(entry));
    }
    return entries;
}

Result<std::vector<std::byte>> unpack_zip(std::span<const std::byte> archive, const ZipEntry& entry,
                                          std::uint64_t limit, const std::string& origin) {
    const Bytes in(archive, origin);
    const auto wrong = [&](std::string what, Errc code = Errc::BadFormat) {
        return in.error(entry.offset, quoted(entry.name) + ": " + what, code);
    };
    if (!in.holds(entry.offset, kLocalBytes) || !in.has(entry.offset, "PK\3\4"))
        return wrong("expected the header of this file");
    const std::uint64_t at =
        entry.offset + kLocalBytes + in.u16(entry.offset + 26) + in.u16(entry.offset + 28);
    if (!in.holds(at, entry.packed_bytes))
        return wrong(fmt::format("{} bytes from byte {} on, which the archive does not hold",
                                 entry.packed_bytes, at),
                     Errc::Truncated);
    if (entry.bytes > limit) return wrong(fmt::format("more than {} bytes", limit), Errc::Limit);
    const auto packed = archive.subspan(at, entry.packed_bytes);
    std::vector<std::byte> bytes;
    if (entry.method == kStored) {
        if (entry.bytes != entry.packed_bytes)
            return wrong("stored, but of another size than the directory says");
        bytes.assign(packed.begin(), packed.end());
    } else if (entry.method == kDeflated) {
        if (const std::string fault = inflate_into(packed, entry.bytes, bytes); !fault.empty())
            return wrong(fault);
    } else {
        return wrong(
            fmt::format("compression method {}, expected stored or deflated", entry.method),
            Errc::Unsupported);
    }
    const uLong crc =
        crc32_z(crc32_z(0, nullptr, 0), reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    if (!bytes.empty() && crc != entry.crc) return wrong("its CRC-32 does not match: damaged");
    return bytes;
}

}  // namespace spikelock::bridge::detail

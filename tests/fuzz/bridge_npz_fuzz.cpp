// SPDX-License-Identifier: Apache-2.0
// Any bytes are arrays with names, or an error with its place. As few bytes get past the checksums
// of an archive, an input that does not begin as one is a list of files, which is made into a sound
// archive here: then what each holds must come out, and be what reading it alone gives.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz_support.hpp"
#include "spikelock/bridge/npz.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge;
using fuzz::must;

std::string number(std::uint64_t value, std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
}

/// Raw deflate data.
std::string deflated(std::string_view bytes) {
    z_stream stream{};
    must(deflateInit2(&stream, 1, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, bytes.size()), '\0');
    std::string in(bytes);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    must(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

struct File {
    std::string name;
    std::string bytes;
};

/// The files that an input lists: 16 bits of length, whose lowest one says how they are packed.
std::string archive_of(std::string_view list, std::vector<File>& files) {
    std::string out;
    std::string directory;
    while (list.size() >= 2 && files.size() < 8) {
        const std::size_t low = static_cast<unsigned char>(list[0]);
        const std::size_t high = static_cast<unsigned char>(list[1]);
        const std::size_t length = std::min<std::size_t>((low | high << 8) >> 1, list.size() - 2);
        const bool pack = low % 2 == 1;
        File file{"a" + std::to_string(files.size()), std::string(list.substr(2, length))};
        list.remove_prefix(2 + length);
        const std::string packed = pack ? deflated(file.bytes) : file.bytes;
        const std::string name = file.name + ".npy";
        const std::string common =
            number(20, 4) + number(pack ? 8 : 0, 2) + number(0, 4) +
            number(crc32_z(0, reinterpret_cast<const Bytef*>(file.bytes.data()), file.bytes.size()),
                   4) +
            number(packed.size(), 4) + number(file.bytes.size(), 4) + number(name.size(), 4);
        directory +=
            "PK\1\2" + number(20, 2) + common + std::string(10, '\0') + number(out.size(), 4);
        directory += name;
        out += "PK\3\4" + common + name + packed;
        files.push_back(std::move(file));
    }
    const std::size_t at = out.size();
    return out + directory + "PK\5\6" + number(0, 4) + number(files.size(), 2) +
           number(files.size(), 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

std::span<const std::byte> span_of(std::string_view text) { return std::as_bytes(std::span(text)); }
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = fuzz::text_of(data, size);
    if (bytes.starts_with("PK")) {
        const auto arrays = parse_npz(span_of(bytes), "f");
        if (!arrays) {
            fuzz::must_name(arrays.error(), "f");
            return 0;
        }
        for (const NamedArray& a : *arrays)
            must(a.array.bytes.size() == a.array.size() * size_of(a.array.type));
        return 0;
    }
    std::vector<File> files;
    const std::string archive = archive_of(bytes, files);
    const auto arrays = parse_npz(span_of(archive), "f");
    bool sound = !files.empty();
    for (std::size_t i = 0; i < files.size(); ++i) {
        const auto alone = parse_npy(span_of(files[i].bytes), "f: " + files[i].name + ".npy");
        sound = sound && alone.has_value();
        if (!alone && i == 0) must(!arrays && arrays.error().text() == alone.error().text());
        if (!arrays || !alone) continue;
        must((*arrays)[i].name == files[i].name && (*arrays)[i].array.type == alone->type &&
             (*arrays)[i].array.shape == alone->shape && (*arrays)[i].array.bytes == alone->bytes);
    }
    must(arrays.has_value() == sound);
    return 0;
}

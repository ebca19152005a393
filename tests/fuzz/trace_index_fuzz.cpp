// SPDX-License-Identifier: Apache-2.0
// Recovery from any index gives a trace or an error. The input is a list of records (type,
// payload); their checksums are made here, else nothing would get past them. The file that the
// index speaks of is the input itself. (Whole HDF5 files are mutated in tests/unit/trace.)
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../../trace/src/deflate.hpp"
#include "../../trace/src/reader_child.hpp"
#include "../../trace/src/trace_index.hpp"
#include "fuzz_support.hpp"
#include "spikelock/trace/trace_reader.hpp"

namespace {

constexpr const char* kHeader =
    R"({"chunk_steps":4,"first_step":0,"provenance":"{}","sonata":true,"side_bands":true,)"
    R"("shape":{"counts":true,"events":true,"order":true,)"
    R"("dt":0.001,"fields":[{"name":"v","class":"state","bits":16,"signed":true,"float":false,)"
    R"("frac_bits":0,"bytes":2}],"n_neurons":3,"populations":[{"label":"p","begin":0,"end":3}]}})";

}  // namespace

// Disk space that a recorder reserves is written where files lie in memory, which takes most of the
// time. There are file systems without this call.
extern "C" int fallocate(int, int, off_t, off_t) {
    errno = EOPNOTSUPP;
    return -1;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace spikelock::trace;
    using spikelock::fuzz::must;
    const auto bytes = std::as_bytes(std::span(data, size));

    // Any bytes as a compressed chunk.
    std::vector<std::byte> plain(64);
    static_cast<void>(detail::decompress(bytes, 2, plain));

    static const std::string path = spikelock::fuzz::scratch_path(".h5");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    {
        auto index = detail::IndexWriter::create(path);
        must(index.has_value());
        std::size_t at = 0;
        // Mostly the header above, for what follows it; sometimes one of the input's own.
        if (size > 0 && data[0] % 8 != 0) {
            must((*index)->add(detail::IndexRecord::Header, kHeader).has_value());
        }
        while (at + 2 < size) {
            const auto type = static_cast<detail::IndexRecord>(data[at] % 12);
            const std::size_t length = std::min<std::size_t>(data[at + 1], size - at - 2);
            must((*index)->add(type, bytes.subspan(at + 2, length)).has_value());
            at += 2 + length;
        }
    }
    const auto found = recover_trace(path);
    if (found) {
        // What recovery writes is sound, so it is read here: a fork takes ten times as long.
        static std::vector<std::byte> memory(1U << 20);
        const std::span<std::byte> slots[] = {memory};
        const auto file = detail::make_trace_file(path, slots);
        auto reply = file->serve({detail::ChildRequest::Open, 0, 0, 0, 0});
        must(reply.errc == 0 || reply.errc == static_cast<int>(spikelock::Errc::Limit));
        if (reply.errc == 0) {
            const auto* text = reinterpret_cast<const char*>(memory.data());
            const auto meta = nlohmann::json::parse(text, text + reply.size);
            must(meta.at("n_steps").get<std::uint64_t>() == found->n_steps);
            if (found->n_steps > 0) {
                reply = file->serve({detail::ChildRequest::Rows, 0, 0, 1, 0});
                must(reply.errc == 0 || reply.errc == static_cast<int>(spikelock::Errc::Internal));
            }
        }
        must(!has_index(path));
    } else {
        must(!found.error().message.empty());
        must(!std::filesystem::exists(path + ".recovering"));
        must(!std::filesystem::exists(path + ".recovering.index"));
    }
    std::filesystem::remove(path);
    std::filesystem::remove(path + ".index");
    return 0;
}

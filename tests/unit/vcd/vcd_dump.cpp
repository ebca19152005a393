// SPDX-License-Identifier: Apache-2.0
// Prints what the reader makes of waveform files, one after the other, in the form that
// vcd_reader.py prints: differential_test.py compares the two.
//   vcd_dump [--simd scalar|avx2|avx512] [--buffer BYTES] [--check] [--every N] FILE...
// --every N selects each N-th signal, --check looks at every change.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "spikelock/bridge/vcd/reader.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge::vcd;

const char* name_of(Change::Mark mark) {
    switch (mark) {
        case Change::Mark::DumpVars:
            return "vars";
        case Change::Mark::DumpAll:
            return "all";
        case Change::Mark::DumpOn:
            return "on";
        case Change::Mark::DumpOff:
            return "off";
        case Change::Mark::End:
            break;
    }
    return "end";
}

/// Bits as text, all of them.
std::string bits_text(const Change& change, std::uint32_t bits) {
    const std::size_t words = (bits + 63) / 64;
    std::vector<std::uint64_t> value(words);
    std::vector<std::uint64_t> unknown(words);
    const Decoded decoded = bits <= 64 ? decode(change, bits, value[0], unknown[0])
                                       : decode_words(change, bits, value.data(), unknown.data());
    if (decoded == Decoded::Bad) return "bad";
    std::string text;
    for (std::uint32_t i = bits; i-- > 0;) {
        const bool v = (value[i / 64] >> (i % 64) & 1) != 0;
        const bool u = (unknown[i / 64] >> (i % 64) & 1) != 0;
        text += u ? (v ? 'x' : 'z') : (v ? '1' : '0');
    }
    return text;
}

Status dump(const std::string& path, const ReaderOptions& options, std::uint32_t every) {
    Result<std::unique_ptr<Reader>> opened = Reader::open(path, options);
    if (!opened) return opened.error();
    Reader& reader = **opened;
    const Header& header = reader.header();
    if (header.time_exponent) std::printf("timescale 1e%d\n", *header.time_exponent);
    for (const Var& var : header.vars)
        std::printf("var %s %u %s %s%s\n", var.kind.c_str(), var.bits,
                    header.signals[var.signal].id.c_str(), header.full_name(var).c_str(),
                    var.range.c_str());
    std::vector<std::uint32_t> selected;
    for (std::uint32_t i = 0; i < header.signals.size(); i += every) selected.push_back(i);
    reader.select(selected);
    for (;;) {
        Result<std::span<const Change>> batch = reader.next();
        if (!batch) return batch.error();
        if (batch->empty()) return {};
        for (const Change& c : *batch) {
            if (c.signal == Change::kTime) {
                std::printf("#%llu\n", static_cast<unsigned long long>(c.time));
            } else if (c.signal == Change::kMark) {
                std::printf("$%s\n", name_of(c.mark));
            } else if (c.kind == Change::Kind::Real) {
                double value = 0;
                const bool good = decode_real(c, value);
                std::printf("%s r%s\n", header.signals[c.signal].id.c_str(),
                            good ? std::to_string(value).c_str() : "bad");
            } else if (c.kind == Change::Kind::String) {
                std::printf("%s s%.*s\n", header.signals[c.signal].id.c_str(),
                            static_cast<int>(c.length), c.data);
            } else {
                std::printf("%s b%s\n", header.signals[c.signal].id.c_str(),
                            bits_text(c, header.signals[c.signal].bits).c_str());
            }
        }
    }
}
}  // namespace

int main(int argc, char** argv) {
    ReaderOptions options;
    std::uint32_t every = 1;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--simd") {
            const std::string name = argv[++i];
            options.simd = name == "scalar" ? Simd::Scalar
                           : name == "avx2" ? Simd::Avx2
                                            : Simd::Avx512;
        } else if (word == "--buffer") {
            options.buffer_bytes = static_cast<std::size_t>(std::atol(argv[++i]));
        } else if (word == "--check") {
            options.check_all = true;
        } else if (word == "--every") {
            every = static_cast<std::uint32_t>(std::atol(argv[++i]));
        } else {
            std::printf("file\n");
            const Status done = dump(word, options, every);
            if (!done) {
                const Error& e = done.error();
                std::printf("error %s\n", e.where.substr(e.where.find(':') + 1).c_str());
                std::fprintf(stderr, "%s\n", e.text().c_str());
            }
        }
    }
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Any bytes are a waveform or an error that names the place. One input in 32 is read in every way:
// whichever instructions find the lines, whatever the size of the buffer, the same comes out, and
// selecting less gives a part of it.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "fuzz_support.hpp"
#include "spikelock/bridge/vcd/reader.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge::vcd;
using fuzz::must;

/// What was read: entries as numbers and text, and the error.
struct Seen {
    std::vector<std::uint64_t> numbers;
    std::string text;
    std::string error;
    bool operator==(const Seen&) const = default;
};

Seen read(std::span<const char> bytes, const ReaderOptions& options, std::uint32_t every) {
    Seen seen;
    auto reader = Reader::from_memory(bytes, "f.vcd", options);
    if (!reader) {
        seen.error = reader.error().text();
        must(reader.error().where.starts_with("f.vcd:"));
        return seen;
    }
    const Header& header = (*reader)->header();
    std::vector<std::uint32_t> wanted;
    for (std::uint32_t i = 0; i < header.signals.size(); i += every) wanted.push_back(i);
    (*reader)->select(wanted);
    std::vector<std::uint64_t> words;
    for (;;) {
        auto batch = (*reader)->next();
        if (!batch) {
            seen.error = batch.error().text();
            must(batch.error().where.starts_with("f.vcd:"));
            return seen;
        }
        if (batch->empty()) return seen;
        for (const Change& c : *batch) {
            seen.numbers.push_back(c.signal);
            if (c.signal == Change::kTime) {
                seen.numbers.push_back(c.time);
            } else if (c.signal == Change::kMark) {
                seen.numbers.push_back(static_cast<std::uint64_t>(c.mark));
            } else {
                must(c.signal % every == 0 && c.signal < header.signals.size());
                must((*reader)->offset_of(c) + c.length <= bytes.size());
                seen.text += c.text();
                seen.text += ' ';
                const std::uint32_t bits = header.signals[c.signal].bits;
                if (bits > 4096) continue;  // for speed
                words.resize(2 * ((std::size_t{bits} + 63) / 64));
                const Decoded decoded = bits <= 64 ? decode(c, bits, words[0], words[1])
                                                   : decode_words(c, bits, words.data(),
                                                                  words.data() + words.size() / 2);
                seen.numbers.push_back(static_cast<std::uint64_t>(decoded));
                if (decoded != Decoded::Bad && words.size() < 64)
                    seen.numbers.insert(seen.numbers.end(), words.begin(), words.end());
                double real = 0;
                (void)decode_real(c, real);
            }
        }
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span<const char> bytes(reinterpret_cast<const char*>(data), size);
    const std::size_t small = 256;  // so that most inputs are read in several pieces
    static const auto simds = available_simd();
    const Seen first = read(bytes, {.simd = simds.back(), .buffer_bytes = small}, 1);
    if (!fuzz::one_in(32, data, size)) return 0;
    must(read(bytes, {.simd = Simd::Scalar, .buffer_bytes = small}, 1) == first);
    must(read(bytes, {.simd = simds.back(), .buffer_bytes = 16384}, 1) == first);
    must(read(bytes, {.simd = simds[simds.size() / 2], .buffer_bytes = small}, 1) == first);
    (void)read(bytes, {.check_all = true, .buffer_bytes = small}, 1);
    (void)read(bytes, {.buffer_bytes = small}, 2);
    // Followed, the end is never reached, but what was there is delivered.
    (void)read(bytes, {.growing = true, .buffer_bytes = small}, 1);
    return 0;
}

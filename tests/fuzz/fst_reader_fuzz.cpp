// SPDX-License-Identifier: Apache-2.0
// Any file is a waveform or an error that names it. The FST library, which damaged files crash,
// reads in a child, as for users: what counts is that this process survives and has an answer.
#include <cstdint>
#include <numeric>
#include <vector>

#include "fuzz_support.hpp"
#include "spikelock/bridge/fst/reader.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace spikelock;
    static const fuzz::ScratchFile file(".fst");
    // The library follows some damaged files for ever; that ends as an error, too.
    file.write(fuzz::text_of(data, size));
    auto reader = bridge::fst::open(file.path(),
                                    {.memory_limit = std::uint64_t{64} << 20, .time_limit_s = 0.1});
    if (!reader) {
        fuzz::must_name(reader.error(), file.path());
        return 0;
    }
    const std::size_t signals = (*reader)->header().signals.size();
    std::vector<std::uint32_t> all(signals);
    std::iota(all.begin(), all.end(), 0U);
    (*reader)->select(all);
    // A damaged file may unfold into more than anyone waits for; breaking off is part of the use.
    for (int batches = 0; batches < 64; ++batches) {
        const auto batch = (*reader)->next();
        if (!batch) fuzz::must_name(batch.error(), file.path());
        if (!batch || batch->empty()) break;
        for (const auto& change : *batch)
            fuzz::must(change.signal < signals || change.signal == bridge::vcd::Change::kTime ||
                       change.signal == bridge::vcd::Change::kMark);
    }
    return 0;
}

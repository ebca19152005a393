// SPDX-License-Identifier: Apache-2.0
// Any bytes as a table, as address events or as what the child that reads SONATA answers give a
// recording or an error. The first byte chooses which; options follow it.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fuzz_support.hpp"
#include "spikelock/bridge/aer.hpp"
#include "spikelock/bridge/recording.hpp"
#include "spikelock/bridge/sonata.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge;
using fuzz::must;

template <typename T>
void check(const Result<T>& result) {
    if (!result) must(!result.error().message.empty());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::uint8_t what = data[0];
    const std::uint8_t choice = data[1];
    const auto bytes = std::as_bytes(std::span(data + 2, size - 2));
    const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
    if (what % 4 == 0) {
        const auto file = parse_aedat2(bytes, "f");
        check(file);
        if (file) must(file->events.size() <= bytes.size() / 8);
    } else if (what % 4 == 1) {
        const auto file = parse_aedat3(bytes, "f");
        check(file);
        if (file) must(file->events.size() <= bytes.size() / 8);
    } else if (what % 4 == 2) {
        const auto file = unpack_sonata(text);
        check(file);
        if (file) must(pack_sonata(*file) == text);
    } else {
        RecordingOptions options;
        if ((choice & 1U) != 0) options.columns = {"timestep", "neuron", "v"};
        if ((choice & 2U) != 0) options.columns = {"-", "v[3]", "spike[1]"};
        if ((choice & 4U) != 0) options.columns = {"time_us", "address"};
        if ((choice & 8U) != 0) options.field = "v";
        options.transposed = (choice & 16U) != 0;
        if ((choice & 32U) != 0) options.n_steps = 5;
        if ((choice & 64U) != 0) options.n_neurons = 3;
        if ((choice & 128U) != 0) options.dt = 1e-4;
        // A few bytes may ask for 2^29 values, which is allowed and slow.
        if (text.size() < 64 && text.find_first_of("eE") != std::string_view::npos) return 0;
        const auto recording = parse_recording_csv(text, "f", options);
        check(recording);
        if (recording) {
            const auto& trace = recording->trace;
            must(trace.n_steps() > 0 && trace.n_neurons() > 0);
            static_cast<void>(trace.spike_count());
        }
    }
    return 0;
}

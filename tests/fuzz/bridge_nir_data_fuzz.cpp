// SPDX-License-Identifier: Apache-2.0
// What the child that reads NIRData answers is judged in the calling process: any bytes give
// observables or an error, any observables a recording or an error. The first byte holds options.
#include <algorithm>
#include <cstdint>

#include "fuzz_support.hpp"
#include "spikelock/bridge/nir_data.hpp"
#include "spikelock/bridge/recording.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace spikelock::bridge;
    using spikelock::fuzz::must;
    if (size < 1) return 0;
    const std::string_view bytes = spikelock::fuzz::text_of(data + 1, size - 1);
    const auto found = unpack_nir_data(bytes);
    if (!found) {
        must(!found.error().message.empty());
        return 0;
    }
    must(pack_nir_data(*found) == bytes);
    // A few bytes may ask for 2^27 values, which is allowed and slow.
    std::uint64_t neurons = 0;
    double seconds = 0.0;
    for (const NirObservable& o : found->observables) {
        neurons += o.n_neurons;
        seconds = std::max(seconds, o.t_max * static_cast<double>(o.n_samples));
    }
    RecordingOptions options;
    if ((data[0] & 1U) != 0) options.dt = 1e-3;
    if ((data[0] & 2U) != 0) options.n_steps = 5;
    if (neurons > 4096 || static_cast<double>(neurons) * seconds > 4.0) return 0;
    const auto recording = recording_of(*found, options);
    if (!recording) {
        must(!recording.error().message.empty());
        return 0;
    }
    const auto& trace = recording->trace;
    must(trace.n_steps() > 0 && trace.n_neurons() > 0);
    must(trace.shape().populations.back().end == trace.n_neurons());
    static_cast<void>(trace.spike_count());
    return 0;
}

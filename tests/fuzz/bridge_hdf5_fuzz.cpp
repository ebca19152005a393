// SPDX-License-Identifier: Apache-2.0
// Any file gives the spikes, reports or observables of SONATA and NIRData, or an error that names
// it. The HDF5 library, which not every file leaves alive, reads in a child of this process, as it
// does for users: what counts is that this process survives and has an answer.
#include <hdf5.h>

#include <cstdint>

#include "fuzz_support.hpp"
#include "spikelock/bridge/recording.hpp"

namespace {
using namespace spikelock;
using namespace spikelock::bridge;

const fuzz::ScratchFile file(".h5");

void read(std::string_view bytes) {
    file.write(bytes);
    RecordingOptions options;
    options.dt = 1e-3;
    const auto recording = read_recording(file.path(), options);
    if (!recording) fuzz::must_name(recording.error(), file.path());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // What the library does once, each child would do again.
    static const bool ready = H5open() >= 0;
    fuzz::must(ready);
    const std::string_view bytes = fuzz::text_of(data, size);
    // Any other is told by its first bytes, and its reader is fuzzed by itself.
    if (!bytes.starts_with("\x89HDF\r\n\x1a\n")) return -1;
    static fuzz::IsolatedBatch batch(read);
    return batch.add(bytes);
}

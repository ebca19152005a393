// SPDX-License-Identifier: Apache-2.0
// Any file gives a network or an error that names it. The HDF5 library reads in a child, as for
// users; what it hands over is the business of golden_nir_graph.
#include <hdf5.h>

#include <cstdint>

#include "fuzz_support.hpp"
#include "spikelock/golden/nir.hpp"

namespace {
using namespace spikelock;

const fuzz::ScratchFile file(".nir");

void read(std::string_view bytes) {
    file.write(bytes);
    const auto network = golden::read_nir(file.path());
    if (!network) fuzz::must_name(network.error(), file.path());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // What the library does once, each child would do again.
    static const bool ready = H5open() >= 0;
    fuzz::must(ready);
    static fuzz::IsolatedBatch batch(read);
    return batch.add(fuzz::text_of(data, size));
}

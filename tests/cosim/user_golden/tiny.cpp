// SPDX-License-Identifier: Apache-2.0
// A golden of cores/tiny_core.sv that misbehaves as -DDO=... says, in timestep AT.
#include <spikelock_golden.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "tiny_weight.h"

#ifndef AT
#define AT 100
#endif
enum { NOTHING, WRONG_V, CRASH, THROW, HANG, TOO_WIDE, GHOST_SPIKE, EXIT, NO_MODEL, BAD_FIELD };
#ifndef DO
#define DO NOTHING
#endif

namespace {
struct Model {
    std::vector<std::int64_t> v;
    std::uint64_t t = 0;
};
constexpr spikelock_field kFields[] = {{"v", DO == BAD_FIELD ? 12 : 0, 1}};
}  // namespace

void* spikelock_golden_create(const spikelock_network* n) {
    return DO == NO_MODEL ? nullptr : new Model{std::vector<std::int64_t>(n->n_neurons)};
}
void spikelock_golden_destroy(void* model) { delete static_cast<Model*>(model); }
const spikelock_field* spikelock_golden_describe(void*, std::size_t* n_fields) {
    *n_fields = 1;
    return kFields;
}
void spikelock_golden_reset(void* model, std::int32_t) {
    for (auto& v : static_cast<Model*>(model)->v) v = 0;
}
void spikelock_golden_step(void* model, const std::uint32_t* axons, std::size_t n_events,
                           const std::int32_t*, std::uint64_t* spikes,
                           std::int64_t* const* fields) {
    Model& m = *static_cast<Model*>(model);
    const bool now = m.t++ == AT;
    if (now && DO == CRASH) std::abort();
    if (now && DO == THROW) throw std::runtime_error("planted");
    if (now && DO == EXIT) std::exit(7);
    for (volatile int forever = now && DO == HANG; forever;) {
    }
    for (std::size_t e = 0; e < n_events; ++e) m.v[axons[e]] += kTinyWeight;
    for (std::size_t n = 0; n < m.v.size(); ++n) {
        if (m.v[n] >= 64) {
            spikes[0] |= 1ULL << n;
            m.v[n] = 0;
        }
        fields[0][n] = m.v[n];
    }
    if (now && DO == WRONG_V) ++fields[0][2];
    if (now && DO == TOO_WIDE) fields[0][1] = 32768;
    if (now && DO == GHOST_SPIKE) spikes[0] |= 1ULL << 4;
}

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden {

/// Which implementation of the arithmetic computes. All give equal results; Scalar is the
/// specification that the others are tested against.
enum class Kernel : std::uint8_t {
    Auto,     ///< the fastest that this CPU runs
    Scalar,   ///< one neuron after the other, 64-bit, the equations as written
    Generic,  ///< loops over neurons for the compiler to vectorise, any CPU
    Avx2,     ///< the same for AVX2
    Avx512,   ///< the same for AVX-512 (F, BW, DQ, VL)
};

/// Stable lower-case name, e.g. "avx2".
std::string_view name_of(Kernel kernel) noexcept;
/// @errors Errc::BadConfig when no kernel has that name
Result<Kernel> kernel_of(std::string_view name);
/// Kernels that this CPU runs, slowest first, without Auto.
std::vector<Kernel> available_kernels();

struct GoldenOptions {
    Kernel kernel = Kernel::Auto;
};

/// Everything that the next timestep depends on.
struct GoldenState {
    std::vector<std::int32_t> v;      ///< shape (n_neurons)
    std::vector<std::int32_t> u;      ///< shape (n_neurons)
    std::vector<std::uint32_t> refr;  ///< shape (n_neurons)
    std::vector<std::int32_t> acc;    ///< shape (delay_slots, n_neurons), slots as in eq. 1
    std::uint32_t slot = 0;           ///< slot of the next timestep
    bool operator==(const GoldenState&) const = default;
};

/// The bit-exact model of a network as a source of observations. Computes in read(), on the
/// caller's thread.
/// submit() fails with Errc::BadConfig naming timestep and axon for an event outside its port or a
/// current outside acc_bits, with Errc::Unsupported for a graded event or an unknown side band, and
/// then takes nothing of the block.
/// @source docs/model.md section 3
class GoldenSource : public trace::StepSource {
public:
    /// @errors Errc::BadConfig when the network fails Network::check(), Errc::Unsupported when this
    /// CPU does not run the kernel
    static Result<std::unique_ptr<GoldenSource>> create(Network network,
                                                        GoldenOptions options = {});
    /// The network that is computed.
    virtual const Network& network() const = 0;
    /// Name of the arithmetic kernel in use, e.g. "lif/multiply/saturate/i32/avx2"; for reports.
    virtual std::string kernel() const = 0;
    /// State after the timesteps that were read.
    virtual GoldenState get_state() const = 0;
    /// Replaces the state before the next timestep that read() computes.
    /// @errors Errc::BadConfig when a shape differs or a value does not fit its width; the state is
    /// then unchanged
    virtual Status set_state(const GoldenState& state) = 0;
};

}  // namespace spikelock::golden

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden {

/// Port of a trace::TakenEvent that stands for the tick of an event-driven core, where the order of
/// events tells when it came; without it the description's `event.tick` says when.
inline constexpr std::uint16_t kTickPort = 0xfffe;

/// A network under any description as a source of observations. Computes in read(), on the caller's
/// thread. submit() has the errors of GoldenSource; graded events are taken where
/// `synapse.graded` is set.
///
/// With event-driven semantics the shape has counts, and the source is also a trace::OrderTaker:
/// once an order was given, read() yields only timesteps whose order is known.
/// @source docs/golden.md
class DescribedSource : public trace::StepSource {
public:
    /// Builds the program of the description, once for the run.
    /// @param kernel  instruction set; Scalar is the same as Generic here
    /// @errors Errc::BadConfig when the network fails Network::check(), a parameter does not fit
    /// network or format, keys contradict each other, or intermediate values may exceed 62 bits;
    /// Errc::Unsupported for a kernel that this CPU does not run
    static Result<std::unique_ptr<DescribedSource>> create(Network network, Description description,
                                                           Kernel kernel = Kernel::Auto);
    virtual const Network& network() const = 0;
    virtual const Description& description() const = 0;
    /// For reports, e.g. "described/timestep/lif/23 operations/avx2".
    virtual std::string kernel() const = 0;

    /// Replaces a part of the state before the next timestep that read() computes.
    /// @param field   "v", "u", "w" or "refr", where the shape has it
    /// @param values  raw, shape (n_neurons)
    /// @errors Errc::NotFound for a field that is no state of this description; Errc::BadConfig
    /// naming the neuron where a value does not fit the field; the state is then unchanged
    virtual Status set_state(std::string_view field, std::span<const std::int64_t> values) = 0;
    /// Takes over the state of a source of the same network under another description. Registers
    /// and waiting input are taken over where both have them alike, else they stay as they are.
    /// @errors Errc::Mismatch where the semantics differ; as set_state(); the state is then
    /// unchanged
    virtual Status continue_from(const DescribedSource& other) = 0;
    /// From now on any order that give_order() tells is followed, also where no spike waits for the
    /// event that was taken: for judging one timestep after the other, each from observed state.
    virtual void trust_order() = 0;
    /// Lists spikes in the order in which they leave, from the next read() on.
    /// @returns false where this description has no such order: its semantics are not event-driven,
    /// or its FIFO keeps none. Nothing is listed then.
    virtual bool list_spikes() = 0;
};

/// Whether GoldenSource computes exactly this description of the network.
bool is_plain(const Network& network, const Description& description);

}  // namespace spikelock::golden

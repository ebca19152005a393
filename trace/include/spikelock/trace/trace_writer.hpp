// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/shape.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::trace {

/// One value of the expected side that differs from what is recorded.
struct ExpectedDifference {
    /// `field` of a spike: the spike bit (or count) differs, `value` is the expected one.
    static constexpr std::int32_t kSpike = -1;
    std::uint64_t timestep = 0;
    std::uint32_t neuron = 0;
    std::int32_t field = kSpike;  ///< index in Shape::fields, or kSpike
    std::int64_t value = 0;       ///< raw; the bit pattern of a float64
    bool operator==(const ExpectedDifference&) const = default;
};

struct WriterOptions {
    std::string provenance = "{}";  ///< JSON text
    std::uint64_t first_step = 0;   ///< timestep of the first row
    /// Also write /spikes/<population>/{node_ids,timestamps}: about 1.2 bytes a spike on disk, and
    /// a fifth of the time where 5 % of the neurons fire.
    bool sonata = true;
    /// Also write the side bands given to add_stimulus(): 4 bytes a value before compression. What
    /// a seed makes again needs only the seed, in the provenance.
    bool side_bands = false;
    std::uint32_t chunk_steps = 0;  ///< timesteps per chunk; 0: chosen for about 256 KiB a field
    double flush_seconds = 1.0;     ///< how often the file is brought to a readable state
};

/// Records observation blocks to an HDF5 file that grows in place (docs/trace-format.md).
/// Beside it `<path>.index` tells where every chunk lies, so that recover_trace() can rebuild the
/// file after a kill; closing removes it. Memory use does not grow with the number of timesteps.
/// One thread uses a writer at a time; HDF5 allows one thread in the library per process.
class TraceWriter {
public:
    /// Creates the file, replacing one that nobody is recording to.
    /// @errors Errc::Io when it cannot be created; Errc::Environment when another writer holds it
    /// or the disk is full; Errc::BadConfig when the shape cannot be stored
    static Result<std::unique_ptr<TraceWriter>> create(const std::string& path, const Shape& shape,
                                                       const WriterOptions& options = {});
    TraceWriter() = default;
    TraceWriter(const TraceWriter&) = delete;
    TraceWriter& operator=(const TraceWriter&) = delete;
    /// Closes as close(false) does where close() has not been called.
    virtual ~TraceWriter() = default;

    /// Appends timesteps. @pre block.first follows the last one, sizes as the shape says, ordered
    /// events ascend by step
    /// @errors Errc::Environment when the disk is full, Errc::Io; what was written stays readable,
    /// and every later call gives the same error
    virtual Status append(const BlockView& block) = 0;
    /// Records what was applied: input events, and side bands where WriterOptions asks for them.
    /// Independent of append(): it may come before, after, or cover fewer timesteps.
    /// @pre blocks follow each other without gap from WriterOptions::first_step on, all with the
    /// same side bands
    /// @errors as append(); Errc::BadConfig for a side band that cannot be stored
    virtual Status add_stimulus(const StimulusBlock& block) = 0;
    /// Adds samples, in order.
    virtual Status add_samples(std::span<const Sample> samples) = 0;
    virtual Status add_expected_differences(std::span<const ExpectedDifference> differences) = 0;
    /// Sets a string attribute of the file (verdict, divergence as JSON); replaces an earlier one,
    /// as "provenance" does what the options gave.
    /// @errors Errc::BadConfig for a name that the format uses itself
    virtual Status set_attribute(const std::string& name, std::string_view text) = 0;
    /// Brings the file to a readable state now. append() does so about once a second.
    virtual Status flush() = 0;
    /// Writes what is buffered, marks the file and removes the index; later calls do nothing.
    /// @param complete  false: the run ended early
    virtual Status close(bool complete = true) = 0;

    /// Timesteps appended.
    virtual std::uint64_t n_steps() const noexcept = 0;
    /// Compressed and raw bytes of the observations written so far, without the SONATA view.
    virtual std::uint64_t stored_bytes() const noexcept = 0;
    virtual std::uint64_t raw_bytes() const noexcept = 0;
};

}  // namespace spikelock::trace

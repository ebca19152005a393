// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge {

/// Spikes of one population.
struct SonataSpikes {
    std::string population;  ///< empty in the older layout, which has none
    std::string units = "ms";
    std::vector<std::uint64_t> node_ids;  ///< shape (n_spikes)
    std::vector<double> timestamps;       ///< shape (n_spikes), in `units`
};

/// Values of compartments over time.
struct SonataReport {
    std::string population;
    std::string variable = "v";
    std::string units;
    std::vector<std::uint64_t> node_ids;  ///< node of each element, shape (n_elements)
    double start_ms = 0.0;
    double stop_ms = 0.0;
    double step_ms = 0.0;
    std::vector<double> data;  ///< shape (n_steps, n_elements)
    std::size_t n_steps() const noexcept {
        return node_ids.empty() ? 0 : data.size() / node_ids.size();
    }
};

struct SonataFile {
    std::vector<SonataSpikes> spikes;
    std::vector<SonataReport> reports;
};

/// Reads the spikes and reports of a SONATA file: /spikes/<population>/{node_ids,timestamps} and
/// /report/<population>/{data,mapping}, or the older /spikes/{gids,timestamps} and /{data,mapping}.
/// The HDF5 library runs in a child process with limits.
/// @errors Errc::BadFormat naming the dataset; Errc::Limit; Errc::Timeout; Errc::NotFound, Errc::Io
/// @source SONATA developer guide, "Output files"
Result<SonataFile> read_sonata(const std::string& path);

/// Writes the newer layout under a temporary name and renames it.
/// @pre no other thread of the process is inside the HDF5 library
/// @errors Errc::Io, Errc::Environment (disk full)
Status write_sonata(const std::string& path, const SonataFile& file);

/// What the child that reads a file answers, as bytes, and back; checked like a file.
/// @errors Errc::BadFormat, Errc::Truncated with the byte
std::string pack_sonata(const SonataFile& file);
Result<SonataFile> unpack_sonata(std::string_view bytes);

}  // namespace spikelock::bridge

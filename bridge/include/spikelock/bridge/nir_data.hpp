// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::bridge {

/// One observable of one node: what its neurons did in each sample of a batch. A grid has a value
/// for each timestep and neuron; events stand in lists that are filled up with index -1 or an
/// infinite time.
struct NirObservable {
    enum class Kind : std::uint8_t { Grid, Events, ValuedEvents };
    std::string node;  ///< "lif1", of a graph inside the graph "inner.lif1"
    std::string name;  ///< "spikes", "v", ...
    Kind kind = Kind::Grid;
    bool boolean = false;  ///< a grid of numpy's bool: something happened or did not
    std::uint64_t n_samples = 0;
    std::uint64_t n_columns = 0;      ///< of a sample: timesteps of a grid, places for events
    std::uint64_t n_neurons = 0;      ///< at most 2^24
    double dt = 0.0;                  ///< seconds per timestep of a grid
    double t_max = 0.0;               ///< seconds that events were recorded for
    std::vector<double> values;       ///< a grid: (n_samples, n_columns, n_neurons); else of events
                                      ///< with values: (n_samples, n_columns)
    std::vector<std::int64_t> index;  ///< neurons of events, (n_samples, n_columns)
    std::vector<double> time;         ///< seconds of events, (n_samples, n_columns)
};

/// Data of a NIR graph, nodes and observables in the order of their names.
struct NirData {
    std::vector<NirObservable> observables;
};

/// Reads a NIRData file as nir.write_data() writes it: a NIRGraphData with nodes and graphs of
/// nodes, each observable a TimeGriddedData, EventData or ValuedEventData. The HDF5 library runs in
/// a child process with limits.
/// @errors Errc::BadFormat naming the group or dataset; Errc::Limit; Errc::Timeout; Errc::NotFound,
/// Errc::Io
/// @source the nir package, nir.data_ir and nir.read_data, version 1.0.8
Result<NirData> read_nir_data(const std::string& path);

/// What the child that reads a file answers, as bytes, and back; checked like a file.
/// @errors Errc::BadFormat with the byte
std::string pack_nir_data(const NirData& data);
Result<NirData> unpack_nir_data(std::string_view bytes);

}  // namespace spikelock::bridge

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/golden/quantise.hpp"
#include "spikelock/golden/stimulus.hpp"
#include "spikelock/manifest/expression.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::manifest {

/// How the core is built. Paths are absolute after loading.
struct CoreSpec {
    std::string name;
    std::string top;
    std::vector<std::string> sources;
    std::vector<std::string> include_dirs;
    std::vector<std::string> defines;               ///< NAME or NAME=value
    std::map<std::string, std::string> parameters;  ///< of the top module, Verilog literals
    std::vector<std::string> waivers;  ///< Verilator configuration files, put before the sources
    std::string language = "1800-2017";
    bool assertions = true;
    bool lint = false;  ///< true: lint warnings fail the build
    std::string cxx;    ///< empty: the newest clang, else g++
    std::string optimise = "-O3 -march=native";
    std::string faults;  ///< list of injected faults; empty: none
};

/// A bug that can be injected (list in CoreSpec::faults); the build then defines FAULTS.
struct FaultSpec {
    std::string name;
    std::uint32_t id = 0;
    std::string description;
};

/// One write a clock through a port; read data some clocks after the address.
struct ConfigPort {
    std::string write;  ///< write enable
    std::string address;
    std::string data;
    std::string read_data;  ///< empty: the core cannot be read back through this port
    std::uint32_t read_latency = 1;
};

/// One entry of a start-up or state list.
struct StartupStep {
    enum class Kind : std::uint8_t {
        Reset,   ///< signal driven inactive, active for `clocks`, inactive: an edge in any case
        Set,     ///< signal = value
        Clocks,  ///< wait
        Pulse,   ///< signal = 1 for one clock, then wait until `until` holds
        Load,    ///< all [[map]] entries, then compared with what the core holds
    };
    Kind kind = Kind::Load;
    std::string signal;
    bool active_low = true;
    std::uint64_t value = 0;
    std::uint64_t clocks = 1;
    Expression until;
    std::uint64_t limit_clocks = 1000000;
    std::string where;
};

/// Relates the network to words of the core. For each element of `array` one word, whose address
/// and value are expressions over the names given here:
/// - global: once; leak_mode, rounding, v_overflow, acc_overflow, compare, reset_mode,
/// weight_shift,
///   u_shift, n_neurons, n_axons, n_synapses
/// - neuron: n = 0..n_neurons-1; n, threshold, v_reset, bias, leak, u_decay, refractory, spiking,
///   cuba
/// - row: s = 0..n_axons+n_neurons-1; s, first, length, is_neuron, n, n_axons; dense is 1 where the
///   targets are base, base + 1, ... and the delay is the same for all; base, delay: of the first
///   synapse
/// - synapse: k = 0..n_synapses-1; k, source, target, weight, delay
/// - dense: pre, post over all sources and neurons, with the summed weight; pre, post, weight
struct MapSpec {
    enum class Array : std::uint8_t { Global, Neuron, Row, Synapse, Dense } array = Array::Neuron;
    Expression address;        ///< through the configuration port; or:
    std::string memory;        ///< back door: name of a memory or register
    Expression word;           ///< its word, default 0
    Expression lsb;            ///< first bit in the word, default 0
    std::uint32_t width = 32;  ///< bits written and compared, 1..64
    Expression value;
    std::string where;
};

struct TimestepSpec {
    enum class Kind : std::uint8_t { Handshake, Clocked } kind = Kind::Handshake;
    std::string start;
    Expression done;
    Expression idle;
    std::uint32_t clocks = 1;              ///< clocked: clocks per timestep
    std::uint64_t limit_clocks = 1000000;  ///< per timestep, then HUNG
    std::string where;
};

/// Input events by valid/ready.
struct InputSpec {
    std::string port;  ///< label of the network's input port; empty: the only one
    std::string valid;
    Expression ready;
    std::string address;
    std::string where;
};

/// A side band (current) written to the core at each timestep: element i to `target` with i put in.
struct SideBandSpec {
    std::string name;
    Expression target;
    std::string where;
};

/// Where a field, or `spike`, is seen. Either `value` with i put in, sampled once a timestep, or a
/// strobed stream.
struct ObserveSpec {
    std::string field;
    Expression value;   ///< absent for spikes given as an index stream
    Expression valid;   ///< strobed: sampled before each rising clock edge
    Expression index;   ///< strobed: neuron
    std::string ready;  ///< strobed: ready driven back, if any
    bool after_edge = true;
    std::string where;
};

struct PacingSpec {
    bool drain = false;              ///< wait for idle after each event
    double gap_probability = 0.0;    ///< of a gap before an event
    std::uint32_t gap_clocks = 8;    ///< longest gap
    double stall_probability = 0.0;  ///< of output ready being low in a clock
};

struct NetworkSpec {
    std::string nir;  ///< one of nir, json
    std::string json;
    golden::QuantiseOptions quantise;  ///< for nir
    std::string where;
};

/// [golden]: a model of the user's own, used instead of the built-in one, or the description of the
/// built-in one. Neither: what docs/model.md says of the network.
struct GoldenSpec {
    std::string cpp;                 ///< C or C++ file; one of cpp, python; empty: built in
    std::string python;              ///< module
    std::vector<std::string> flags;  ///< for the compiler
    std::string interpreter = "/usr/bin/python3";
    std::optional<golden::Setting> description;  ///< keys of docs/golden.md, checked on their own
    std::string where;
    bool given() const { return !cpp.empty() || !python.empty(); }
};

struct StimulusSpec {
    enum class Kind : std::uint8_t { Images, Events, Poisson, Current } kind = Kind::Poisson;
    std::string file;
    golden::ImageCoding coding = golden::ImageCoding::Rate;
    double full_scale = 1.0;  ///< pixel value that is intensity 1
    double max_rate = 0.5;
    std::uint32_t steps_per_image = 32;
    double probability = 0.1;
    std::uint64_t steps = 1000;
    std::uint64_t sample_steps = 0;
    std::int32_t current = 0;
    std::int32_t noise = 0;
    trace::StartState start = trace::StartState::Clear;
    std::uint64_t seed = 1;
    std::uint64_t max_samples = 0;  ///< 0: all
    std::string where;
};

/// A core manifest, checked on its own (not yet against signals or network).
struct Manifest {
    std::string path;
    std::string folder;
    CoreSpec core;
    std::string clock;
    std::optional<ConfigPort> config;
    std::vector<StartupStep> startup;
    std::vector<StartupStep> clear;  ///< [state] clear: how a sample with start state clear begins
    std::vector<MapSpec> maps;
    TimestepSpec timestep;
    std::vector<InputSpec> inputs;
    std::vector<SideBandSpec> side_bands;
    std::vector<ObserveSpec> observe;
    PacingSpec pacing;
    NetworkSpec network;
    StimulusSpec stimulus;
    GoldenSpec golden;
    std::string
        answer_population;   ///< population whose most active neuron is the answer; empty: none
    std::string trace_file;  ///< where `run` records; empty: not recorded
    std::uint64_t power_on_seed = 1;
    std::vector<FaultSpec> faults;

    /// Names of signals inside the core, or ports, that the plan needs; generate indices as "[{}]".
    std::vector<std::string> signal_names() const;
};

/// Whether a manifest without [core] will do: some verbs run no core.
enum class CoreNeed : std::uint8_t { Always, IfPresent };

/// Reads cosim.toml. `overrides` are "key.path=value" with TOML values, put in before checking.
/// @errors Errc::NotFound, Errc::BadConfig with file, line, key and what was expected; a misspelt
/// key gets the nearest ones
Result<Manifest> load_manifest(const std::string& path,
                               const std::vector<std::string>& overrides = {},
                               CoreNeed need = CoreNeed::Always);

/// The same for text that is at hand.
/// @param path  for messages; relative paths in the text are resolved against its folder
Result<Manifest> parse_manifest(std::string_view text, const std::string& path,
                                const std::vector<std::string>& overrides = {},
                                CoreNeed need = CoreNeed::Always);

}  // namespace spikelock::manifest

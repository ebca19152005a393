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
    std::vector<std::string> waivers;     ///< Verilator configuration files, put before the sources
    std::string language = "1800-2017";   ///< of the Verilog
    std::string vhdl_std = "08";          ///< as ghdl's --std takes it
    std::vector<std::string> vhdl_flags;  ///< for ghdl synth
    bool assertions = true;
    bool plain_eval = false;  ///< each eval computes all that follows the inputs, changed or not
    bool lint = false;        ///< true: lint warnings fail the build
    std::string cxx;          ///< empty: the newest clang, else g++
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

/// A further clock of the core, tied to the main one.
struct ExtraClockSpec {
    std::string port;
    std::uint32_t ratio_num = 1;  ///< frequency over the main clock's
    std::uint32_t ratio_den = 1;
    std::uint32_t phase_num = 0;  ///< first rising edge after one of the main clock, in its periods
    std::uint32_t phase_den = 1;
    std::string where;
};

/// One entry of a start-up or state list.
struct StartupStep {
    enum class Kind : std::uint8_t {
        Reset,   ///< signal driven inactive, active for `clocks`, inactive: an edge in any case
        Set,     ///< signal = value
        Clocks,  ///< wait
        Pulse,   ///< signal = 1 for one clock, then wait until `until` holds
        Load,    ///< all [[map]] entries, then compared with what the core holds
        Call,    ///< the adapter's call() with the text `signal`
    };
    Kind kind = Kind::Load;
    std::string signal;  ///< an input port, or a slice of one; of Call: what the adapter is told
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
///   cuba, v_init
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
    Expression when;         ///< elements for which it is 0 are left out; empty: none is
    bool read = false;       ///< the core's words are the network's, instead of the other way round
    bool is_signed = false;  ///< read: the word is a signed number
    std::string where;
};

struct TimestepSpec {
    enum class Kind : std::uint8_t { Handshake, Clocked, Aer, Custom } kind = Kind::Handshake;
    std::string start;
    Expression done;
    Expression idle;
    std::uint32_t clocks = 1;              ///< clocked: clocks per timestep
    std::uint64_t limit_clocks = 1000000;  ///< per timestep, then HUNG
    // aer
    std::string tick;                ///< port that is pulsed once a timestep; or:
    Expression tick_address;         ///< number that is sent as an event once a timestep
    std::string tick_port;           ///< input that takes tick_address; empty: the first
    std::uint32_t tick_clocks = 1;   ///< length of the pulse
    bool tick_first = false;         ///< the tick comes before the events, else after them
    bool settle = true;              ///< idle is awaited between events and tick
    std::uint32_t idle_clocks = 1;   ///< for so many clocks on end `idle` must hold
    std::vector<std::string> quiet;  ///< signals, or slices, that must not change ...
    std::uint32_t quiet_clocks = 0;  ///< ... for so many clocks on end
    std::string where;
};

/// Input events: by valid and ready, by 4-phase request and acknowledge, or as one bit an axon.
struct InputSpec {
    std::string port;   ///< label of the network's input port; empty: the only one
    std::string valid;  ///< valid, or the request of a 4-phase handshake
    Expression ready;   ///< ready, or the acknowledge of a 4-phase handshake
    bool four_phase = false;
    std::string address;
    Expression encode;   ///< what is put on `address` for an `axon`; empty: the axon
    Expression bits;     ///< one bit an axon, with i put in; high for the whole timestep
    bool pulse = false;  ///< bits: high in the first clock only
    std::string where;
};

/// A signal that shows which event the core takes, where the order changes the result.
struct TakenSpec {
    Expression valid;  ///< sampled before each rising clock edge
    Expression index;  ///< axon within the port; of an internal event: neuron; of the tick none
    enum class Kind : std::uint8_t { External, Internal, Tick } kind = Kind::External;
    std::string port;  ///< label; empty: the only one
    std::string where;
};

/// A side band (current) written to the core at each timestep: element i to `target` with i put in.
struct SideBandSpec {
    std::string name;
    Expression target;
    std::optional<bool> is_signed;  ///< what the ports take; none: not said
    std::string where;
};

/// Where a field, or `spike`, is seen: `value` with i put in, sampled at the end of each timestep
/// or where `trigger` holds; a strobed stream; or the adapter.
struct ObserveSpec {
    /// How the bits of a value are to be read.
    enum class Encoding : std::uint8_t { TwosComplement, SignMagnitude, OnesComplement, Offset };

    std::string field;
    std::string population;  ///< only these neurons, and i, index count from the first of them
    Expression value;        ///< absent for spikes given as an index stream
    Expression trigger;      ///< value is sampled in each clock where this holds; the last counts
    Expression valid;        ///< strobed: that there is one, or the request of a 4-phase handshake
    Expression index;        ///< strobed: neuron
    std::string ready;       ///< strobed: ready, or the acknowledge, driven back, if any
    bool four_phase = false;
    bool after_edge = true;     ///< of streams and inputs of handshakes false by default
    bool adapter = false;       ///< the adapter gives it
    std::uint32_t latency = 0;  ///< what is seen in timestep t belongs to t - latency
    std::uint32_t bits = 0;     ///< of a field that the network does not have; 0: as the network
    bool is_signed = true;      ///< the same
    bool signed_given = false;
    bool keep = false;    ///< a neuron that is not shown in a timestep has the value that it had
    bool counts = false;  ///< spikes: a neuron may fire more than once a timestep
    bool events = false;  ///< spikes: an ordered list is kept too
    Encoding encoding = Encoding::TwosComplement;
    bool inverted = false;  ///< all bits of the value
    bool reversed = false;  ///< bits of the value, highest first
    // Streams whose events may come after their timestep:
    Expression timestep;               ///< number of the timestep that the event belongs to
    std::uint64_t timestep_first = 0;  ///< its value in the first timestep
    bool timestep_restarts = false;    ///< it starts again with each cleared sample
    Expression marker;                 ///< events after the k-th one belong to timestep k
    std::uint32_t late = 0;            ///< timesteps that an event may come late
    std::string where;
    bool strobed() const { return !valid.empty(); }
};

/// A C++ file that drives the core and delivers what it shows.
struct AdapterSpec {
    std::string file;
    std::vector<std::string> flags;    ///< for the compiler
    std::vector<std::string> signals;  ///< inner signals that it reads
    std::vector<std::string> writes;   ///< inner signals that it also writes
    bool order = false;                ///< it says which events the core takes
    std::map<std::string, std::string> options;
    std::string where;
    bool given() const { return !file.empty(); }
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
    std::uint64_t max_samples = 0;  ///< the first ones; 0: all
    std::string where;
};

/// A core manifest, checked on its own (not yet against signals or network).
struct Manifest {
    std::string path;
    std::string folder;
    CoreSpec core;
    std::string clock;
    std::vector<ExtraClockSpec> extra_clocks;
    std::optional<ConfigPort> config;
    std::vector<StartupStep> startup;
    std::vector<StartupStep> clear;  ///< [state] clear: how a sample with start state clear begins
    std::vector<MapSpec> maps;
    TimestepSpec timestep;
    std::vector<InputSpec> inputs;
    std::vector<SideBandSpec> side_bands;
    std::vector<ObserveSpec> observe;
    std::vector<TakenSpec> taken;
    AdapterSpec adapter;
    PacingSpec pacing;
    NetworkSpec network;
    StimulusSpec stimulus;
    GoldenSpec golden;
    std::string
        answer_population;   ///< population whose most active neuron is the answer; empty: none
    std::string trace_file;  ///< where `run` records; empty: not recorded
    std::uint64_t power_on_seed = 1;
    std::vector<FaultSpec> faults;

    /// Names of signals inside the core, or ports, that the plan needs; generate indices as "{}".
    std::vector<std::string> signal_names() const;
    /// Those of them that the host drives; memories that it only loads are not among them.
    std::vector<std::string> driven_names() const;
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

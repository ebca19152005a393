// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/shape.hpp"

namespace spikelock::manifest {

/// A signal that the built core shows.
struct Signal {
    std::string kind;         ///< "in", "out", "internal" or "param"
    std::uint32_t bits = 1;   ///< of one element
    std::uint32_t words = 1;  ///< elements of an unpacked array
};
using SignalTable = std::map<std::string, Signal>;

/// Manifest, network and signals brought together: what the DUT host is told to drive and observe.
struct Plan {
    std::string text;                  ///< for the host: trace/observation_plan.hpp reads it
    std::vector<std::string> signals;  ///< by index, as the text and cells name them
    trace::Shape shape;  ///< fields that are observed, in the golden's order and storage
    std::vector<std::uint32_t> side_band_bytes;  ///< per side band: bytes of an element in the ring
    std::vector<std::uint32_t> side_band_bits;   ///< of the narrowest port that takes one
    std::vector<std::string> side_bands;         ///< names, in ring order
    std::vector<StartupStep> startup;  ///< in order; all but Load are programs "startup<k>"
    std::uint32_t lag = 0;             ///< timesteps that the core must be ahead of what is read
    bool takes_events = true;          ///< input events reach the core
};

/// One word of the core that follows from the network.
struct MapWord {
    bool back_door = false;
    std::uint64_t address = 0;  ///< configuration address
    std::uint32_t signal = 0;   ///< back door: index in Plan::signals, word and first bit
    std::uint32_t word = 0;
    std::uint32_t lsb = 0;
    std::uint32_t width = 32;
    std::uint64_t data = 0;     ///< already cut to `width`
    std::string what;           ///< "neuron 3", for messages
    std::uint32_t map = 0;      ///< index in Manifest::maps
    bool read = false;          ///< the network's element is what the core holds
    std::uint32_t element = 0;  ///< index in the array; of dense: pre
    std::uint32_t target = 0;   ///< of dense: post
};

/// Resolves every name of the manifest against the core's signals and the network's shape.
/// @param signals  of the built core
/// @errors Errc::NotFound for a signal, with the nearest names; Errc::Mismatch for widths that
/// differ, naming both;
///         Errc::BadConfig otherwise; all with file and line
Result<Plan> resolve(const Manifest& manifest, const SignalTable& signals,
                     const golden::Network& network);

/// The same for a core that something else drives and a waveform shows: without inputs, side bands
/// and maps.
/// @param signals  of the waveform, each of kind "in"
Result<Plan> resolve_observations(const Manifest& manifest, const SignalTable& signals,
                                  const golden::Network& network);

/// All words that the [[map]] entries give for this network, in order.
/// @errors Errc::BadConfig with file and line when an expression fails or a value does not fit its
/// width; Errc::Mismatch naming map, needed and available words where a memory is too small
Result<std::vector<MapWord>> map_words(const Manifest& manifest, Plan& plan,
                                       const SignalTable& signals, const golden::Network& network);

/// The network with the elements that [[map]] entries with direction = "read" found in the core.
/// @param values  one per word, in their order; those of words that are not read are not looked at
/// @errors Errc::BadConfig where the result is no valid network
Result<golden::Network> network_from_core(const Manifest& manifest,
                                          const std::vector<MapWord>& words,
                                          const std::vector<std::uint64_t>& values,
                                          golden::Network network);

/// Whether mapped memories are large enough, as far as their sizes are known before the build.
/// @param signals  memories by name; a map of another memory is not looked at
/// @errors as map_words()
Status check_map_sizes(const Manifest& manifest, const SignalTable& signals,
                       const golden::Network& network);

}  // namespace spikelock::manifest

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <string>

#include "spikelock/base/random.hpp"
#include "spikelock/bridge/recording.hpp"
#include "temp_folder.hpp"

/// Reads 60 damaged copies of an HDF5 file, alone and as a recording: each gives a value or an
/// error that names the file. Some of either must come.
/// @param whole      bytes of the sound file
/// @param dt         of the recording, s
/// @param read_file  path to Result<anything>
template <typename Read>
void check_damaged_files(const std::string& whole, double dt, Read&& read_file) {
    using namespace spikelock;
    constexpr std::uint64_t kTrials = 60;
    const TempFolder folder;
    const std::string path = folder.file("t.h5");
    std::size_t read = 0;
    for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
        CAPTURE(trial);
        const CounterRandom draw(Catch::getSeed(), trial);
        std::string bytes = whole;
        if (trial % 4 == 0) {
            bytes.resize(draw.bits(0) % bytes.size());
        } else {
            for (std::uint32_t i = 0; i <= draw.below(6, 1); ++i)
                bytes[draw.bits(2, i) % bytes.size()] = static_cast<char>(draw.bits(3, i));
        }
        spill(path, bytes);
        const auto file = read_file(path);
        if (file) {
            ++read;
            bridge::RecordingOptions options;
            options.dt = dt;
            const auto recording = bridge::read_recording(path, options);
            if (!recording) REQUIRE(recording.error().where.starts_with(path));
        } else {
            REQUIRE(file.error().where.starts_with(path));
            REQUIRE_FALSE(file.error().message.empty());
        }
    }
    CHECK(read > 0);
    CHECK(read < kTrials);
}

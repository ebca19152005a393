// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden {

/// An input event with its timestep, as files list them.
struct TimedEvent {
    std::uint64_t timestep = 0;
    trace::InputEvent event;
};

/// A recorded list of events. @pre events ascend by timestep; samples cover the run (empty: one
/// unlabelled, kept state)
/// @errors Errc::BadConfig naming the first event that breaks the order or the run's length
Result<std::unique_ptr<trace::Stimulus>> make_event_stimulus(std::vector<TimedEvent> events,
                                                             std::uint64_t n_steps,
                                                             std::vector<trace::Sample> samples);

/// Independent Poisson (Bernoulli per timestep) spikes on every axon of port 0.
struct PoissonOptions {
    std::uint32_t axons = 0;
    double probability = 0.1;  ///< of a spike per axon and timestep, 0..1
    std::uint64_t n_steps = 0;
    std::uint64_t sample_steps = 0;  ///< timesteps per sample; 0: one sample
    trace::StartState start = trace::StartState::Clear;
    std::uint64_t seed = 1;
};
Result<std::unique_ptr<trace::Stimulus>> make_poisson_stimulus(PoissonOptions options);

/// Images turned into spikes: one image is one sample.
enum class ImageCoding : std::uint8_t {
    Rate,  ///< each pixel fires with probability intensity * max_rate per timestep, from the seed
    Latency,  ///< each pixel above 0 fires once, brighter ones earlier
};
struct ImageOptions {
    std::vector<double> pixels;  ///< shape (n_images, pixels_per_image), intensities 0..1
    std::uint32_t pixels_per_image = 0;
    std::vector<std::string> labels;  ///< shape (n_images)
    ImageCoding coding = ImageCoding::Rate;
    double max_rate = 0.5;  ///< spikes per timestep of a pixel at 1
    std::uint32_t steps_per_image = 32;
    std::uint64_t seed = 1;
};
Result<std::unique_ptr<trace::Stimulus>> make_image_stimulus(ImageOptions options);

/// Constant current on every neuron through the side band `i_in` (for cores that take currents),
/// width n.
struct CurrentOptions {
    std::vector<std::int32_t> current;  ///< shape (n), LSB of i_syn
    std::int32_t noise =
        0;  ///< adds a uniform integer in -noise..noise per neuron and timestep, from the seed
    std::uint64_t n_steps = 0;
    std::uint64_t sample_steps = 0;
    trace::StartState start = trace::StartState::Clear;
    std::uint64_t seed = 1;
};
Result<std::unique_ptr<trace::Stimulus>> make_current_stimulus(CurrentOptions options);

}  // namespace spikelock::golden

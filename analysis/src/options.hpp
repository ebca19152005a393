// SPDX-License-Identifier: Apache-2.0
// The ways in which a description can be changed, one option at a time: what `fit` searches and
// what the explanation of a divergence tries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "spikelock/analysis/fit.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/description.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::analysis::detail {

/// A value that an option can take, and what it does to a network (the starting one comes second).
struct Value {
    std::string text;
    std::string toml;  ///< line for [network.quantise]
    std::string json;  ///< key of "arithmetic" in a network file
    std::function<void(golden::Network&, const golden::Network&)> apply;  ///< empty: as given
    std::string golden = {};  ///< lines for [golden], with {v_bits} for that of the network
};

struct Option {
    /// Whether it changes nothing in a network under a description.
    using Inert = std::function<bool(const golden::Network&, const golden::Description&)>;
    std::string name;
    std::vector<Value> values;  ///< [0] is that of the start
    Inert inert;
    bool described = false;  ///< has no words in docs/model.md; tried where those explain nothing
};

/// A description: the index of the value of each option.
using Choice = std::vector<std::uint8_t>;

std::size_t n_changes(const Choice& choice);

/// What a choice makes of the network; its synapses stay as they are.
struct Made {
    golden::Arithmetic arithmetic;
    std::vector<golden::NeuronParams> neurons;
    golden::Description description;
    bool operator==(const Made&) const = default;
};

/// All descriptions that differ from a starting one by values of options.
class Options {
public:
    /// @param start        must outlive this object, as `description` must
    /// @param description  [golden] of the manifest, kept in each
    Options(const golden::Network& start, const std::optional<golden::Setting>& description);

    std::size_t size() const { return all_.size(); }
    const Option& operator[](std::size_t option) const { return all_[option]; }
    Choice none() const { return Choice(all_.size(), 0); }

    /// Adds a list of noise to the values of the option "noise".
    /// @returns the index of the value, which is not a new one where the list is known
    std::uint8_t add_noise(const std::vector<golden::Noise>& noise);
    std::size_t noise_option() const { return noise_option_; }

    /// @errors Errc::BadConfig where the lines contradict each other
    Result<Made> make(const Choice& choice) const;
    /// Whether one of the changes of a choice changes nothing beside the others.
    bool repeats(const Choice& choice, const Made& made) const;
    /// The changes that a choice stands for.
    std::vector<FitChange> changes(const Choice& choice) const;
    bool has_lines(const Choice& choice) const;

    /// The golden of what was made, by the program of its description.
    /// @errors of DescribedSource::create()
    Result<std::unique_ptr<golden::DescribedSource>> described_source(const Made& made) const;
    /// The same by the kernels of docs/model.md where those compute it.
    /// @errors as golden_of()
    Result<std::unique_ptr<trace::StepSource>> source(const Made& made) const;

    golden::Network network_of(const Made& made) const;
    /// The choice that changes stand for; what a search has found is added to the values.
    /// @errors Errc::NotFound for an unknown option or value
    Result<Choice> choice_of(std::span<const FitChange> changes);

private:
    void apply(const Choice& choice, golden::Network& head) const;

    const golden::Network& start_;
    const std::optional<golden::Setting>& description_;
    golden::Network head_;  ///< arithmetic and neurons of the start: all that a choice changes
    std::vector<Option> all_;
    std::size_t noise_option_ = 0;
};

/// GoldenSource where it computes the description, else DescribedSource.
/// @errors of their create()
Result<std::unique_ptr<trace::StepSource>> golden_of(golden::Network network,
                                                     golden::Description description);

/// The description of a network under [golden] of a manifest and further lines.
/// @errors Errc::BadConfig, Errc::BadFormat
Result<golden::Description> describe_with(const golden::Network& network,
                                          const std::optional<golden::Setting>& description,
                                          const std::string& lines);

}  // namespace spikelock::analysis::detail

// SPDX-License-Identifier: Apache-2.0
// The data of a NIR graph as a trace: nodes side by side, samples one after the other.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "recording_parts.hpp"
#include "spikelock/bridge/nir_data.hpp"

namespace spikelock::bridge {

namespace {
using namespace detail;
using Kind = NirObservable::Kind;

std::string full_name(const NirObservable& o) { return o.node + ": " + o.name; }
Error bad(std::string what) { return Error{Errc::BadFormat, std::move(what), {}}; }

/// What is nearly whole is taken as whole, since times are products of a timestep.
std::optional<double> whole(double value) {
    const double nearest = std::round(value);
    if (std::abs(value - nearest) < 1e-6) return nearest;
    return std::nullopt;
}

/// Observables of the whole graph: what they have in common, and where each goes.
class Layout {
public:
    Layout(const NirData& data, const RecordingOptions& options) : data_(data), options_(options) {}

    Status find() {
        if (data_.observables.empty()) return bad("holds no observables");
        Status ok = find_populations();
        if (ok) ok = find_dt();
        if (ok) ok = find_steps();
        if (ok) ok = find_roles();
        return ok;
    }

    Result<Recording> fill() {
        Collector collector;
        if (Status ok = collector.size(steps_ * samples_, neurons_, fields_.size()); !ok)
            return ok.error();
        collector.shape.dt = dt_;
        collector.shape.populations = populations_;
        for (const std::string& field : fields_)
            collector.mask(collector.add_field(float_field(field)));
        for (std::size_t i = 0; i < data_.observables.size(); ++i) {
            if (roles_[i] == kLeftOut) continue;
            const NirObservable& o = data_.observables[i];
            const Status ok = o.kind == Kind::Grid ? put_grid(collector, o, roles_[i])
                                                   : put_events(collector, o, roles_[i]);
            if (!ok) return ok.error();
        }
        if (outside_ > 0)
            notes_.push_back(
                fmt::format("{} events come after the last timestep of their sample", outside_));
        Recording recording;
        recording.format = RecordingFormat::NirData;
        recording.dt_known = true;
        recording.trace = collector.make(0);
        if (samples_ > 1) {
            notes_.push_back(
                fmt::format("{} samples of {} timesteps follow one another", samples_, steps_));
            for (std::uint64_t s = 0; s < samples_; ++s)
                recording.trace.samples().push_back(
                    {{}, s * steps_, (s + 1) * steps_, trace::StartState::Clear});
        }
        recording.notes = std::move(notes_);
        return recording;
    }

private:
    static constexpr int kSpikes = -1;
    static constexpr int kLeftOut = -2;

    /// Observables of a node stand together: the nodes are read one by one.
    Status find_populations() {
        std::set<std::string> labels;
        for (const NirObservable& o : data_.observables) {
            if (o.n_samples != data_.observables[0].n_samples)
                return bad(fmt::format("{} has {} samples, {} has {}",
                                       full_name(data_.observables[0]),
                                       data_.observables[0].n_samples, full_name(o), o.n_samples));
            if (!populations_.empty() && populations_.back().label == o.node) {
                const auto held = populations_.back().end - populations_.back().begin;
                if (held != o.n_neurons)
                    return bad(fmt::format("{} has {} neurons, another observable of the node {}",
                                           full_name(o), o.n_neurons, held));
                begins_.push_back(populations_.back().begin);
                continue;
            }
            if (!labels.insert(o.node).second) return bad("two nodes of the name " + o.node);
            if (o.n_neurons > (std::uint64_t{1} << 24) - neurons_)
                return Error{Errc::Limit, "more than 2^24 neurons", {}};
            const auto begin = static_cast<std::uint32_t>(neurons_);
            neurons_ += o.n_neurons;
            populations_.push_back({o.node, begin, static_cast<std::uint32_t>(neurons_)});
            begins_.push_back(begin);
        }
        samples_ = data_.observables[0].n_samples;
        return {};
    }

    Status find_dt() {
        const NirObservable* first = nullptr;
        for (const NirObservable& o : data_.observables) {
            if (o.kind != Kind::Grid) continue;
            if (Status ok = check_dt(options_, o.dt, "the timestep of " + full_name(o)); !ok)
                return ok;
            if (first == nullptr) first = &o;
            if (std::abs(o.dt / first->dt - 1) > 1e-6)
                return bad(fmt::format("{} has timesteps of {} s, {} of {} s", full_name(*first),
                                       first->dt, full_name(o), o.dt));
        }
        dt_ = first != nullptr ? first->dt : options_.dt;
        if (dt_ > 0.0) return {};
        std::vector<double> times_ms;
        for (const NirObservable& o : data_.observables)
            for (std::size_t i = 0; i < o.time.size(); ++i)
                if (happens(o, i)) times_ms.push_back(o.time[i] * 1000.0);
        dt_ = fitting_step(times_ms) / 1000.0;
        if (dt_ == 0.0) return no_step("the events");
        notes_.push_back(fmt::format(
            "a timestep of {} s, the longest that all events fit; --dt gives another", dt_));
        return {};
    }

    Status find_steps() {
        const NirObservable* first = nullptr;
        double most = 0.0;
        for (const NirObservable& o : data_.observables) {
            if (o.kind != Kind::Grid) {
                const double steps = o.t_max / dt_;
                most = std::max(most, whole(steps).value_or(std::ceil(steps)));
                continue;
            }
            if (first == nullptr) first = &o;
            if (o.n_columns != first->n_columns)
                return bad(fmt::format("{} has {} timesteps, {} has {}", full_name(*first),
                                       first->n_columns, full_name(o), o.n_columns));
        }
        steps_ = options_.n_steps;
        if (first != nullptr) {
            steps_ = first->n_columns;
        } else if (steps_ == 0) {
            if (most > static_cast<double>(kMostRecordingValues))
                return Error{Errc::Limit,
                             fmt::format("t_max is {} timesteps of {} s, more than 2^27; --dt "
                                         "gives a longer one",
                                         most, dt_),
                             {}};
            steps_ = static_cast<std::uint64_t>(most);
        }
        // The collector multiplies them.
        if (samples_ > kMostRecordingValues || steps_ > kMostRecordingValues)
            return Error{Errc::Limit, "more than 2^27 timesteps", {}};
        return {};
    }

    /// An observable called spikes is that; else the only one of its node that has no values.
    Status find_roles() {
        const std::vector<NirObservable>& all = data_.observables;
        for (std::size_t begin = 0; begin < all.size();) {
            std::size_t end = begin;
            std::vector<std::size_t> named;
            std::vector<std::size_t> valueless;
            for (; end < all.size() && all[end].node == all[begin].node; ++end) {
                if (is_spikes(all[end].name)) named.push_back(end);
                if (all[end].kind == Kind::Events || all[end].boolean) valueless.push_back(end);
            }
            if (named.size() > 1) return bad(all[begin].node + ": both spike and spikes");
            std::optional<std::size_t> spikes;
            if (!named.empty()) spikes = named[0];
            if (named.empty() && valueless.size() == 1) {
                spikes = valueless[0];
                notes_.push_back(full_name(all[*spikes]) + " are taken as the spikes");
            }
            for (; begin < end; ++begin) {
                const NirObservable& o = all[begin];
                if (spikes == begin) {
                    roles_.push_back(kSpikes);
                } else if (o.kind == Kind::Events) {
                    roles_.push_back(kLeftOut);
                    notes_.push_back(full_name(o) +
                                     " is left out: events without values are "
                                     "spikes, and it is not called so");
                } else if (o.name.empty()) {
                    return bad(o.node + ": an observable without a name");
                } else {
                    auto at = std::find(fields_.begin(), fields_.end(), o.name);
                    if (at == fields_.end()) at = fields_.insert(at, o.name);
                    roles_.push_back(static_cast<int>(at - fields_.begin()));
                }
            }
        }
        return {};
    }

    static bool happens(const NirObservable& o, std::size_t place) {
        return o.index[place] != -1 && o.time[place] != HUGE_VAL;
    }

    std::uint32_t begin_of(const NirObservable& o) const {
        return begins_[static_cast<std::size_t>(&o - data_.observables.data())];
    }

    Status put_grid(Collector& collector, const NirObservable& o, int role) {
        const std::uint32_t begin = begin_of(o);
        for (std::size_t i = 0; i < o.values.size(); ++i) {
            // The samples of a grid follow one another as those of the trace do.
            const std::uint64_t step = i / o.n_neurons;
            const std::uint64_t neuron = begin + i % o.n_neurons;
            if (role != kSpikes) {
                collector.set(static_cast<std::size_t>(role), step, neuron, &o.values[i]);
                continue;
            }
            const auto count = as_count(o.values[i]);
            if (!count)
                return bad(fmt::format(
                    "{}: {} at sample {}, timestep {}, neuron {}: expected 0, 1 "
                    "or how often it fired",
                    full_name(o), o.values[i], step / steps_, step % steps_, i % o.n_neurons));
            collector.spike(step, neuron, *count);
        }
        return {};
    }

    Status put_events(Collector& collector, const NirObservable& o, int role) {
        for (std::size_t i = 0; i < o.index.size(); ++i) {
            if (!happens(o, i)) continue;
            const auto place = [&] {
                return fmt::format("{}: sample {}, event {}: ", full_name(o), i / o.n_columns,
                                   i % o.n_columns);
            };
            if (o.index[i] < 0 || static_cast<std::uint64_t>(o.index[i]) >= o.n_neurons)
                return bad(fmt::format("{}neuron {} of {}", place(), o.index[i], o.n_neurons));
            if (!(o.time[i] >= 0.0)) return bad(place() + "expected a time of 0 or more");
            const double at = o.time[i] / dt_;
            const double step = whole(at).value_or(std::floor(at));
            if (step >= static_cast<double>(steps_)) {
                ++outside_;
                continue;
            }
            const std::uint64_t when = i / o.n_columns * steps_ + static_cast<std::uint64_t>(step);
            const std::uint64_t neuron = begin_of(o) + static_cast<std::uint64_t>(o.index[i]);
            if (role == kSpikes) {
                collector.spike(when, neuron);
            } else {
                collector.set(static_cast<std::size_t>(role), when, neuron, &o.values[i]);
            }
        }
        return {};
    }

    const NirData& data_;
    const RecordingOptions& options_;
    std::vector<trace::Population> populations_;
    std::vector<std::uint32_t> begins_;  ///< first neuron of each observable
    std::vector<std::string> fields_;
    std::vector<int> roles_;  ///< of each observable: a field, kSpikes or kLeftOut
    std::vector<std::string> notes_;
    std::uint64_t neurons_ = 0;
    std::uint64_t samples_ = 0;
    std::uint64_t steps_ = 0;  ///< of a sample
    std::uint64_t outside_ = 0;
    double dt_ = 0.0;
};
}  // namespace

Result<Recording> recording_of(const NirData& data, const RecordingOptions& options) {
    Layout layout(data, options);
    if (Status ok = layout.find(); !ok) return ok.error();
    return layout.fill();
}

}  // namespace spikelock::bridge

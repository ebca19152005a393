// SPDX-License-Identifier: Apache-2.0
// What [[map]] entries relate: words of the core and elements of the network.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "resolver.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/manifest/plan.hpp"

namespace spikelock::manifest {

namespace {
using detail::plan_error;
using detail::PlanError;

/// Names and values of one element of a map.
using Values = std::vector<std::pair<const char*, std::int64_t>>;

std::uint64_t value_of(const Expression& e, const Values& values) {
    Result<std::int64_t> result = e.evaluate([&](const std::string& name) -> Result<std::int64_t> {
        for (const auto& [known, value] : values)
            if (name == known) return value;
        std::vector<std::string> names;
        for (const auto& [known, value] : values) names.emplace_back(known);
        return Error{
            Errc::NotFound,
            "unknown name '" + name + "' in a [[map]] expression" + did_you_mean(name, names),
            e.where()};
    });
    if (!result) throw PlanError{result.error()};
    return static_cast<std::uint64_t>(*result);
}

/// Whether a row's synapses go to consecutive targets with one delay, which some cores store
/// densely.
struct RowShape {
    bool dense = false;
    std::uint32_t base = 0;  ///< first target; 0 for an empty row, as is the delay
    std::uint32_t delay = 0;
};

RowShape shape_of(std::span<const golden::Synapse> row) {
    if (row.empty()) return {};
    RowShape shape{true, row[0].target, row[0].delay};
    for (std::size_t i = 1; i < row.size(); ++i)
        shape.dense = shape.dense && row[i].target == shape.base + i && row[i].delay == shape.delay;
    return shape;
}

/// Elements that can be read back from a core; of the row-wise arrays none can.
const std::vector<std::string>& readable(MapSpec::Array array) {
    static const std::vector<std::string> none;
    static const std::vector<std::string> global = {"leak_mode",    "rounding", "v_overflow",
                                                    "acc_overflow", "compare",  "reset_mode",
                                                    "weight_shift", "u_shift"};
    static const std::vector<std::string> neuron = {"threshold", "v_reset", "bias",
                                                    "leak",      "u_decay", "refractory",
                                                    "spiking",   "cuba",    "v_init"};
    static const std::vector<std::string> synapse = {"weight", "delay", "target"};
    static const std::vector<std::string> dense = {"weight"};
    switch (array) {
        case MapSpec::Array::Global:
            return global;
        case MapSpec::Array::Neuron:
            return neuron;
        case MapSpec::Array::Synapse:
            return synapse;
        case MapSpec::Array::Dense:
            return dense;
        case MapSpec::Array::Row:
            break;
    }
    return none;
}

/// Makes the words of all maps. Throws PlanError.
class WordMaker {
public:
    /// @param only_sizes  look only at maps whose memory is in the table, and at nothing but their
    /// words
    WordMaker(const Manifest& m, const std::vector<std::string>& signals, const SignalTable& table,
              const golden::Network& net, bool only_sizes)
        : m_(m), signals_(signals), table_(table), net_(net), only_sizes_(only_sizes) {}

    std::vector<MapWord> make() {
        check_maps();
        make_words();
        for (std::uint32_t index = 0; index < m_.maps.size(); ++index) check_size(index);
        return std::move(words_);
    }

private:
    std::string place(const MapSpec& map) const { return map.where + ": [[map]]"; }

    void check_maps() {
        most_.resize(m_.maps.size());
        for (std::size_t index = 0; index < m_.maps.size(); ++index) {
            const MapSpec& map = m_.maps[index];
            if (!map.address.empty()) {
                if (!m_.config && !m_.adapter.given())
                    plan_error(Errc::BadConfig,
                               "'address' needs a section [config] that names the configuration "
                               "port, or an [adapter] that writes it",
                               place(map));
                if (m_.config && table_.contains(m_.config->address))
                    most_[index].address_bits = table_.at(m_.config->address).bits;
            }
            if (!map.read) continue;
            const std::vector<std::string>& names = readable(map.array);
            const std::string& name = map.value.root().text;
            if (std::find(names.begin(), names.end(), name) == names.end())
                plan_error(Errc::BadConfig,
                           names.empty()
                               ? "this array cannot be read back; expected global, neuron, synapse "
                                 "or dense"
                               : "'" + name + "' cannot be read back" + did_you_mean(name, names),
                           place(map));
            if (!map.address.empty() && m_.config && m_.config->read_data.empty())
                plan_error(Errc::BadConfig,
                           "direction = \"read\" needs read_data in [config], or a 'memory'",
                           place(map));
        }
    }
    void add(std::uint32_t index, const Values& values, const std::string& what,
             std::uint32_t element, std::uint32_t target = 0) {
        const MapSpec& map = m_.maps[index];
        const bool known = map.memory.empty() || table_.contains(map.memory);
        if (only_sizes_ && !known) return;
        if (!map.when.empty() && value_of(map.when, values) == 0) return;
        MapWord word;
        word.map = index;
        word.width = map.width;
        word.what = what;
        word.read = map.read;
        word.element = element;
        word.target = target;
        if (!map.read && !only_sizes_) word.data = data_of(map, values, what);
        if (!map.address.empty()) {
            word.address = value_of(map.address, values);
            if (!note(index, word.address, what, needed(map, values))) return;
        } else {
            word.back_door = true;
            word.signal = static_cast<std::uint32_t>(
                std::find(signals_.begin(), signals_.end(), map.memory) - signals_.begin());
            const std::uint64_t at = map.word.empty() ? 0 : value_of(map.word, values);
            const std::uint64_t lsb = map.lsb.empty() ? 0 : value_of(map.lsb, values);
            const Signal& s = table_.at(map.memory);
            if (!note(index, at, what, needed(map, values))) return;
            if (lsb > s.bits || map.width > s.bits - lsb)
                plan_error(Errc::Mismatch,
                           "bits " + std::to_string(lsb) + "+:" + std::to_string(map.width) +
                               " of '" + map.memory + "', which has " + std::to_string(s.bits) +
                               " (for " + what + ")",
                           place(map));
            word.word = static_cast<std::uint32_t>(at);
            word.lsb = static_cast<std::uint32_t>(lsb);
        }
        if (!only_sizes_) words_.push_back(std::move(word));
    }
    std::uint64_t data_of(const MapSpec& map, const Values& values, const std::string& what) const {
        const auto value = static_cast<std::int64_t>(value_of(map.value, values));
        const std::uint64_t mask = map.width == 64 ? ~0ULL : (1ULL << map.width) - 1;
        const bool fits = map.width == 64 || (value >= -(1LL << (map.width - 1)) &&
                                              value <= static_cast<std::int64_t>(mask));
        if (!fits)
            plan_error(Errc::BadConfig,
                       "value " + std::to_string(value) + " of " + what + " does not fit in " +
                           std::to_string(map.width) + " bits",
                       place(map));
        return static_cast<std::uint64_t>(value) & mask;
    }
    /// A pair without a synapse needs no word: a core may have no memory for such sources at all.
    static bool needed(const MapSpec& map, const Values& values) {
        if (map.array != MapSpec::Array::Dense) return true;
        for (const auto& [name, value] : values)
            if (std::string_view(name) == "weight") return value != 0;
        return true;
    }
    /// @returns false for a word that the core has not and that it does not need
    bool note(std::uint32_t index, std::uint64_t at, const std::string& what, bool is_needed) {
        const MapSpec& map = m_.maps[index];
        Most& most = most_[index];
        const bool there = map.memory.empty()
                               ? most.address_bits >= 64 || (at >> most.address_bits) == 0
                               : at < table_.at(map.memory).words;
        if (!there && !is_needed) return false;
        if (most.seen && at <= most.at) return true;
        most.seen = true;
        most.at = at;
        most.what = what;
        return true;
    }
    /// All words of a map must exist; the message says how many are needed.
    void check_size(std::uint32_t index) const {
        const MapSpec& map = m_.maps[index];
        const Most& most = most_[index];
        if (!most.seen) return;
        const std::string array = name_of(map.array);
        if (map.memory.empty()) {
            if (most.address_bits < 64 && (most.at >> most.address_bits) != 0)
                plan_error(Errc::Mismatch,
                           "the map of '" + array + "' needs address " + std::to_string(most.at) +
                               " (for " + most.what + "), but '" + m_.config->address + "' has " +
                               std::to_string(most.address_bits) + " bits",
                           place(map));
            return;
        }
        const std::uint64_t words = table_.at(map.memory).words;
        if (most.at < words) return;
        // A negative index shows as a huge one.
        const bool negative = static_cast<std::int64_t>(most.at) < 0;
        plan_error(Errc::Mismatch,
                   "the map of '" + array + "' needs " +
                       (negative ? "word " + std::to_string(static_cast<std::int64_t>(most.at))
                                 : std::to_string(most.at + 1) + " words") +
                       " of '" + map.memory + "' (" + most.what + "), which has " +
                       std::to_string(words) +
                       "; a smaller network, or a core built with a larger memory?" +
                       (map.array == MapSpec::Array::Dense && map.when.empty()
                            ? " Where it has no rows for neurons: when = \"pre < n_axons\""
                            : ""),
                   place(map));
    }
    static std::string name_of(MapSpec::Array array) {
        switch (array) {
            case MapSpec::Array::Global:
                return "global";
            case MapSpec::Array::Neuron:
                return "neuron";
            case MapSpec::Array::Row:
                return "row";
            case MapSpec::Array::Synapse:
                return "synapse";
            case MapSpec::Array::Dense:
                break;
        }
        return "dense";
    }
    void make_words() {
        const golden::Arithmetic& a = net_.arithmetic;
        for (std::uint32_t index = 0; index < m_.maps.size(); ++index) {
            switch (m_.maps[index].array) {
                case MapSpec::Array::Global:
                    add(index,
                        {{"leak_mode", static_cast<int>(a.leak_mode)},
                         {"rounding", static_cast<int>(a.rounding)},
                         {"v_overflow", static_cast<int>(a.v_overflow)},
                         {"acc_overflow", static_cast<int>(a.acc_overflow)},
                         {"compare", static_cast<int>(a.compare)},
                         {"reset_mode", static_cast<int>(a.reset_mode)},
                         {"weight_shift", a.weight_shift},
                         {"u_shift", a.u_shift},
                         {"n_neurons", net_.n_neurons()},
                         {"n_axons", net_.n_axons()},
                         {"n_synapses", static_cast<std::int64_t>(net_.synapses.size())},
                         {"threshold", net_.neurons.empty() ? 0 : net_.neurons[0].threshold},
                         {"leak", net_.neurons.empty() ? 0 : net_.neurons[0].leak}},
                        "the globals", 0);
                    break;
                case MapSpec::Array::Neuron:
                    for (std::uint32_t n = 0; n < net_.n_neurons(); ++n) {
                        const golden::NeuronParams& p = net_.neurons[n];
                        add(index,
                            {{"n", n},
                             {"threshold", p.threshold},
                             {"v_reset", p.v_reset},
                             {"bias", p.bias},
                             {"leak", p.leak},
                             {"u_decay", p.u_decay},
                             {"refractory", p.refractory},
                             {"spiking", p.spiking},
                             {"cuba", p.cuba},
                             {"v_init", p.v_init}},
                            "neuron " + std::to_string(n), n);
                    }
                    break;
                case MapSpec::Array::Row:
                    for (std::uint32_t s = 0; s + 1 < net_.row_begin.size(); ++s) {
                        const RowShape row = shape_of(net_.row(s));
                        add(index,
                            {{"s", s},
                             {"first", net_.row_begin[s]},
                             {"length", net_.row_begin[s + 1] - net_.row_begin[s]},
                             {"dense", row.dense},
                             {"base", row.base},
                             {"delay", row.delay},
                             {"is_neuron", s >= net_.n_axons()},
                             {"n", static_cast<std::int64_t>(s) - net_.n_axons()},
                             {"n_axons", net_.n_axons()}},
                            "row " + std::to_string(s), s);
                    }
                    break;
                case MapSpec::Array::Synapse:
                    for (std::uint32_t s = 0; s + 1 < net_.row_begin.size(); ++s)
                        for (std::uint32_t k = net_.row_begin[s]; k < net_.row_begin[s + 1]; ++k) {
                            const golden::Synapse& y = net_.synapses[k];
                            add(index,
                                {{"k", k},
                                 {"source", s},
                                 {"target", y.target},
                                 {"weight", y.weight},
                                 {"delay", y.delay}},
                                "synapse " + std::to_string(k), k);
                        }
                    break;
                case MapSpec::Array::Dense: {
                    std::vector<std::int64_t> row(net_.n_neurons());
                    for (std::uint32_t s = 0; s + 1 < net_.row_begin.size(); ++s) {
                        std::fill(row.begin(), row.end(), 0);
                        for (const golden::Synapse& y : net_.row(s)) row[y.target] += y.weight;
                        for (std::uint32_t n = 0; n < net_.n_neurons(); ++n)
                            add(index,
                                {{"pre", s},
                                 {"post", n},
                                 {"weight", row[n]},
                                 {"n_axons", net_.n_axons()},
                                 {"n_neurons", net_.n_neurons()}},
                                "weight[" + std::to_string(s) + ", " + std::to_string(n) + "]", s,
                                n);
                    }
                    break;
                }
            }
        }
    }

    struct Most {
        bool seen = false;
        std::uint64_t at = 0;
        std::string what;
        std::uint32_t address_bits = 64;
    };
    const Manifest& m_;
    const std::vector<std::string>& signals_;
    const SignalTable& table_;
    const golden::Network& net_;
    bool only_sizes_;
    std::vector<Most> most_;  ///< per map the largest word or address
    std::vector<MapWord> words_;
};

/// Puts what cores hold into a network. Throws PlanError.
class NetworkReader {
public:
    NetworkReader(const Manifest& m, golden::Network net) : m_(m), net_(std::move(net)) {}

    void take(const MapWord& word, std::uint64_t raw) {
        const MapSpec& map = m_.maps[word.map];
        const unsigned unused = 64 - word.width;
        const std::int64_t value = map.is_signed
                                       ? static_cast<std::int64_t>(raw << unused) >> unused
                                       : static_cast<std::int64_t>(raw << unused >> unused);
        const std::string& name = map.value.root().text;
        const std::string where = map.where + ": [[map]]";
        switch (map.array) {
            case MapSpec::Array::Global:
                take_global(name, value, where);
                break;
            case MapSpec::Array::Neuron:
                take_neuron(net_.neurons[word.element], name, value, word.what, where);
                break;
            case MapSpec::Array::Synapse: {
                golden::Synapse& y = net_.synapses[word.element];
                if (name == "weight") y.weight = within<std::int16_t>(value, word.what, where);
                if (name == "delay") y.delay = within<std::uint16_t>(value, word.what, where);
                if (name == "target") y.target = within<std::uint32_t>(value, word.what, where);
                break;
            }
            case MapSpec::Array::Dense:
                weights_[{word.element, word.target}] =
                    within<std::int16_t>(value, word.what, where);
                dense_where_ = where;
                break;
            case MapSpec::Array::Row:
                break;
        }
    }
    golden::Network finish() {
        if (!weights_.empty()) put_weights();
        return std::move(net_);
    }

private:
    template <typename T>
    static T within(std::int64_t value, const std::string& what, const std::string& where) {
        if (value < std::int64_t{std::numeric_limits<T>::min()} ||
            value > std::int64_t{std::numeric_limits<T>::max()})
            plan_error(Errc::BadConfig,
                       "the core holds " + std::to_string(value) + " for " + what +
                           ", which no network can have; is 'signed' right?",
                       where);
        return static_cast<T>(value);
    }
    void take_neuron(golden::NeuronParams& p, const std::string& name, std::int64_t value,
                     const std::string& what, const std::string& where) {
        if (name == "threshold") p.threshold = within<std::int32_t>(value, what, where);
        if (name == "v_reset") p.v_reset = within<std::int32_t>(value, what, where);
        if (name == "bias") p.bias = within<std::int32_t>(value, what, where);
        if (name == "leak") p.leak = within<std::uint32_t>(value, what, where);
        if (name == "u_decay") p.u_decay = within<std::uint32_t>(value, what, where);
        if (name == "refractory") p.refractory = within<std::uint32_t>(value, what, where);
        if (name == "spiking") p.spiking = value != 0;
        if (name == "cuba") p.cuba = value != 0;
        if (name == "v_init") p.v_init = within<std::int32_t>(value, what, where);
    }
    void take_global(const std::string& name, std::int64_t value, const std::string& where) {
        golden::Arithmetic& a = net_.arithmetic;
        const auto code = [&](std::int64_t most) {
            if (value < 0 || value > most)
                plan_error(Errc::BadConfig,
                           "the core holds " + std::to_string(value) + " for " + name +
                               ", expected 0.." + std::to_string(most),
                           where);
            return static_cast<std::uint8_t>(value);
        };
        if (name == "leak_mode") a.leak_mode = static_cast<golden::LeakMode>(code(1));
        if (name == "rounding") a.rounding = static_cast<golden::Rounding>(code(3));
        if (name == "v_overflow") a.v_overflow = static_cast<golden::Overflow>(code(1));
        if (name == "acc_overflow") a.acc_overflow = static_cast<golden::Overflow>(code(1));
        if (name == "compare") a.compare = static_cast<golden::Compare>(code(1));
        if (name == "reset_mode") a.reset_mode = static_cast<golden::ResetMode>(code(1));
        if (name == "weight_shift") a.weight_shift = code(15);
        if (name == "u_shift") a.u_shift = code(15);
    }
    /// Synapses that are there keep order and delay; new ones come after them, in order of target,
    /// without delay where that is possible.
    void put_weights() {
        std::vector<golden::Synapse> synapses;
        std::vector<std::uint32_t> row_begin = {0};
        auto next = weights_.begin();
        for (std::uint32_t s = 0; s + 1 < net_.row_begin.size(); ++s) {
            std::vector<std::uint32_t> seen(net_.n_neurons(), 0);
            for (golden::Synapse y : net_.row(s)) {
                if (++seen[y.target] > 1)
                    plan_error(Errc::Unsupported,
                               "source " + std::to_string(s) + " has several synapses to neuron " +
                                   std::to_string(y.target) +
                                   ": their weights cannot be told from the core's one",
                               dense_where_);
                const auto found = weights_.find({s, y.target});
                if (found != weights_.end()) y.weight = found->second;
                synapses.push_back(y);
            }
            for (; next != weights_.end() && next->first.first == s; ++next) {
                const std::uint32_t target = next->first.second;
                if (next->second == 0 || seen[target] > 0) continue;
                const bool now = s < net_.n_axons() || target > s - net_.n_axons();
                synapses.push_back({target, next->second, static_cast<std::uint16_t>(now ? 0 : 1)});
            }
            row_begin.push_back(static_cast<std::uint32_t>(synapses.size()));
        }
        net_.synapses = std::move(synapses);
        net_.row_begin = std::move(row_begin);
    }

    const Manifest& m_;
    golden::Network net_;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::int16_t> weights_;
    std::string dense_where_;
};
}  // namespace

Result<std::vector<MapWord>> map_words(const Manifest& manifest, Plan& plan,
                                       const SignalTable& signals, const golden::Network& network) {
    try {
        return WordMaker(manifest, plan.signals, signals, network, false).make();
    } catch (const PlanError& caught) {
        return caught.error;
    }
}

Status check_map_sizes(const Manifest& manifest, const SignalTable& signals,
                       const golden::Network& network) {
    try {
        (void)WordMaker(manifest, {}, signals, network, true).make();
        return {};
    } catch (const PlanError& caught) {
        return caught.error;
    }
}

Result<golden::Network> network_from_core(const Manifest& manifest,
                                          const std::vector<MapWord>& words,
                                          const std::vector<std::uint64_t>& values,
                                          golden::Network network) {
    try {
        NetworkReader reader(manifest, std::move(network));
        for (std::size_t k = 0; k < words.size(); ++k)
            if (words[k].read) reader.take(words[k], values[k]);
        golden::Network read = reader.finish();
        if (Status good = read.check(); !good)
            return Error{good.error().code,
                         "the network that the core holds: " + good.error().message, manifest.path};
        return read;
    } catch (const PlanError& caught) {
        return caught.error;
    }
}

}  // namespace spikelock::manifest

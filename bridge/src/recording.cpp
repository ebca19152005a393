// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/recording.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <unordered_map>

#include "file_io.hpp"
#include "hdf5_input.hpp"
#include "recording_parts.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/bridge/aer.hpp"
#include "spikelock/bridge/csv.hpp"
#include "spikelock/bridge/nir_data.hpp"
#include "spikelock/bridge/npy.hpp"
#include "spikelock/bridge/npz.hpp"
#include "spikelock/bridge/sonata.hpp"

namespace spikelock::bridge {

namespace {
using namespace detail;
using trace::BlockView;
using trace::ExecutionTrace;
using trace::FieldSpec;

/// "v[3]" is field v of neuron 3; "v" of neuron 0.
struct Column {
    std::string field;
    std::uint32_t neuron = 0;
    bool indexed = false;
};

Result<Column> parse_column(const std::string& name) {
    Column column;
    const std::size_t open = name.find('[');
    column.field = name.substr(0, open);
    if (open != std::string::npos) {
        column.indexed = true;
        const std::size_t close = name.find(']', open);
        const std::string digits = name.substr(open + 1, close - open - 1);
        const auto [end, code] =
            std::from_chars(digits.data(), digits.data() + digits.size(), column.neuron);
        if (close == std::string::npos || close + 1 != name.size() || code != std::errc{} ||
            end != digits.data() + digits.size() || column.neuron >= (1U << 24)) {
            return config("column '" + name + "': expected NAME or NAME[neuron]");
        }
    }
    if (column.field.empty()) return config("a column without a name");
    return column;
}

bool means_step(const std::string& name) {
    return name == "timestep" || name == "step" || name == "t";
}

/// Rows are (timestep, neuron) and what was then.
Result<Recording> long_table(const CsvTable& table, const std::vector<std::string>& names,
                             const RecordingOptions& options, const std::string& origin) {
    std::size_t step_at = names.size();
    std::size_t neuron_at = names.size();
    std::size_t spike_at = names.size();
    std::vector<std::size_t> fields;
    for (std::size_t c = 0; c < names.size(); ++c) {
        if (means_step(names[c])) {
            step_at = c;
        } else if (names[c] == "neuron") {
            neuron_at = c;
        } else if (names[c] == "spike") {
            spike_at = c;
        } else if (names[c] != "-") {
            fields.push_back(c);
        }
    }
    const auto at = [&](std::size_t row, std::size_t column) {
        return fmt::format("{}:{}: column {}", origin, table.lines[row], column + 1);
    };
    double most_step = 0.0;
    double most_neuron = 0.0;
    for (std::size_t r = 0; r < table.n_rows(); ++r) {
        for (const std::size_t c : {step_at, neuron_at}) {
            const double value = table.at(r, c);
            if (!(value >= 0.0) || value != std::floor(value) || value > 1e15) {
                return Error{Errc::BadFormat, "expected a whole number that is 0 or more",
                             at(r, c)};
            }
            (c == step_at ? most_step : most_neuron) =
                std::max(c == step_at ? most_step : most_neuron, value);
        }
    }
    Collector collector;
    const std::uint64_t steps =
        options.n_steps > 0 ? options.n_steps : static_cast<std::uint64_t>(most_step) + 1;
    const std::uint64_t neurons =
        options.n_neurons > 0 ? options.n_neurons : static_cast<std::uint64_t>(most_neuron) + 1;
    if (Status ok = collector.size(steps, neurons, fields.size()); !ok) return ok.error();
    for (const std::size_t c : fields) collector.mask(collector.add_field(float_field(names[c])));
    for (std::size_t r = 0; r < table.n_rows(); ++r) {
        const auto step = static_cast<std::uint64_t>(table.at(r, step_at));
        const auto neuron = static_cast<std::uint64_t>(table.at(r, neuron_at));
        if (step >= steps || neuron >= neurons) {
            return Error{Errc::BadConfig,
                         fmt::format("timestep {}, neuron {} lie beyond the {} timesteps of {} "
                                     "neurons that were asked for",
                                     step, neuron, steps, neurons),
                         at(r, step_at)};
        }
        const double spike =
            spike_at < names.size() ? table.at(r, spike_at) : (fields.empty() ? 1.0 : 0.0);
        const auto count = as_count(spike);
        if (!count) {
            return Error{Errc::BadFormat, "expected how often the neuron fired", at(r, spike_at)};
        }
        collector.spike(step, neuron, *count);
        for (std::size_t f = 0; f < fields.size(); ++f) {
            const double value = table.at(r, fields[f]);
            collector.set(f, step, neuron, &value);
        }
    }
    Recording recording;
    recording.trace = collector.make(0);
    return recording;
}

/// Each row is a timestep.
Result<Recording> wide_table(const CsvTable& table, const std::vector<std::string>& names,
                             const std::string& origin) {
    std::vector<std::string> fields;
    std::vector<Column> columns;
    std::uint32_t neurons = 0;
    std::size_t step_at = names.size();
    for (std::size_t c = 0; c < names.size(); ++c) {
        columns.emplace_back();
        if (names[c] == "-") continue;
        if (means_step(names[c])) {
            step_at = c;
            continue;
        }
        auto column = parse_column(names[c]);
        if (!column) return column.error();
        neurons = std::max(neurons, column->neuron + 1);
        for (std::size_t other = 0; other < c; ++other) {
            if (columns[other].field == column->field && columns[other].neuron == column->neuron) {
                return config("column '" + names[c] + "' stands twice");
            }
        }
        if (column->field != "spike" &&
            std::find(fields.begin(), fields.end(), column->field) == fields.end()) {
            fields.push_back(column->field);
        }
        columns[c] = std::move(*column);
    }
    if (neurons == 0) return config("no column is a spike or a field");
    Collector collector;
    if (Status ok = collector.size(table.n_rows(), neurons, fields.size()); !ok) return ok.error();
    for (const std::string& field : fields) collector.mask(collector.add_field(float_field(field)));
    for (std::size_t r = 0; r < table.n_rows(); ++r) {
        if (step_at < names.size() &&
            table.at(r, step_at) != static_cast<double>(r) + table.at(0, step_at)) {
            return Error{Errc::BadFormat, "timesteps must go up by one",
                         fmt::format("{}:{}: column {}", origin, table.lines[r], step_at + 1)};
        }
        for (std::size_t c = 0; c < columns.size(); ++c) {
            if (columns[c].field.empty()) continue;
            const double value = table.at(r, c);
            if (columns[c].field == "spike") {
                const auto count = as_count(value);
                if (!count) {
                    return Error{
                        Errc::BadFormat,
                        fmt::format("expected 0, 1 or how often it fired, found {}", value),
                        fmt::format("{}:{}: column {}", origin, table.lines[r], c + 1)};
                }
                collector.spike(r, columns[c].neuron, *count);
                continue;
            }
            const auto f = static_cast<std::size_t>(
                std::find(fields.begin(), fields.end(), columns[c].field) - fields.begin());
            collector.set(f, r, columns[c].neuron, &value);
        }
    }
    const double first = step_at < names.size() ? table.at(0, step_at) : 0.0;
    if (!(first >= 0.0) || first != std::floor(first) || first > 1e15) {
        return Error{Errc::BadFormat, "the first timestep is no whole number",
                     fmt::format("{}:{}: column {}", origin, table.lines[0], step_at + 1)};
    }
    Recording recording;
    recording.trace = collector.make(static_cast<std::uint64_t>(first));
    return recording;
}

/// Values of neurons, a row a timestep; of any element type.
template <typename T>
Result<Recording> matrix(std::span<const T> values, std::uint64_t rows, std::uint64_t columns,
                         const RecordingOptions& options) {
    Recording recording;
    std::string field = options.field;
    if (field.empty()) {
        const bool bits =
            std::all_of(values.begin(), values.end(), [](T v) { return v == T{0} || v == T{1}; });
        field = bits ? "spike" : "v";
        recording.notes.push_back(
            bits ? "the array holds spikes: all its values are 0 or 1"
                 : "the array holds v: its values are not only 0 and 1; --field names another");
    }
    const bool turned = options.transposed;
    Collector collector;
    if (Status ok = collector.size(turned ? columns : rows, turned ? rows : columns,
                                   field == "spike" ? 0 : 1);
        !ok)
        return ok.error();
    if (Status ok = put_matrix(collector, field, values, rows, columns, turned); !ok)
        return ok.error();
    recording.trace = collector.make(0);
    return recording;
}

/// Calls f with the elements of an array, as a span of their own type.
template <typename F>
auto with_elements(const NdArray& array, F&& f) {
    switch (array.type) {
        case ElementType::Bool:
        case ElementType::U8:
            return f(array.as<std::uint8_t>());
        case ElementType::I8:
            return f(array.as<std::int8_t>());
        case ElementType::I16:
            return f(array.as<std::int16_t>());
        case ElementType::I32:
            return f(array.as<std::int32_t>());
        case ElementType::I64:
            return f(array.as<std::int64_t>());
        case ElementType::U16:
            return f(array.as<std::uint16_t>());
        case ElementType::U32:
            return f(array.as<std::uint32_t>());
        case ElementType::U64:
            return f(array.as<std::uint64_t>());
        case ElementType::F32:
            return f(array.as<float>());
        case ElementType::F64:
            break;
    }
    return f(array.as<double>());
}

/// Rows and columns of an array.
struct Extent {
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    bool operator==(const Extent&) const = default;
};
Result<Extent> extent_of(const NdArray& array) {
    if (array.shape.empty() || array.shape.size() > 2) {
        return Error{Errc::BadFormat,
                     fmt::format("an array of {} dimensions: expected (timesteps, neurons)",
                                 array.shape.size()),
                     {}};
    }
    return Extent{array.shape[0], array.shape.size() == 2 ? array.shape[1] : 1};
}

Result<Recording> from_array(const NdArray& array, const RecordingOptions& options) {
    const auto extent = extent_of(array);
    if (!extent) return extent.error();
    return with_elements(
        array, [&](auto values) { return matrix(values, extent->rows, extent->columns, options); });
}

/// Arrays of one shape, each the spikes or a field by its name; a scalar `dt` is the timestep.
Result<Recording> from_named(std::vector<NamedArray> arrays, const RecordingOptions& options) {
    double dt = 0.0;
    std::erase_if(arrays, [&](const NamedArray& a) {
        const bool is_dt = a.name == "dt" && a.array.size() == 1;
        if (is_dt) dt = a.array.to_doubles()[0];
        return is_dt;
    });
    if (dt != 0.0 && (!std::isfinite(dt) || dt < 0.0)) {
        return Error{Errc::BadFormat, "dt is no positive number", {}};
    }
    if (arrays.empty()) return Error{Errc::BadFormat, "holds no array but dt", {}};
    const auto nameless = [](const NamedArray& a) { return a.name.starts_with("arr_"); };
    Result<Recording> recording = Recording{};
    if (arrays.size() == 1 && (nameless(arrays[0]) || !options.field.empty())) {
        recording = from_array(arrays[0].array, options);
        if (!recording) return recording;
    } else {
        Collector collector;
        std::optional<Extent> common;
        for (const NamedArray& a : arrays) {
            if (nameless(a)) {
                return config(
                    fmt::format("the {} arrays have no names of their own: say what they "
                                "are, such as --columns spike,v",
                                arrays.size()));
            }
            const auto extent = extent_of(a.array);
            if (!extent) {
                return Error{extent.error().code,
                             a.name + ": " + extent.error().message +
                                 "; --columns leaves out what is named '-'",
                             {}};
            }
            if (common && *common != *extent) {
                return Error{Errc::BadFormat,
                             fmt::format("{} is of shape ({}, {}), {} of ({}, {}); --columns "
                                         "leaves out what is named '-'",
                                         arrays[0].name, common->rows, common->columns, a.name,
                                         extent->rows, extent->columns),
                             {}};
            }
            common = *extent;
        }
        const bool turned = options.transposed;
        if (Status ok = collector.size(turned ? common->columns : common->rows,
                                       turned ? common->rows : common->columns, arrays.size());
            !ok)
            return ok.error();
        std::set<std::string> names;
        for (const NamedArray& a : arrays) {
            const std::string name = is_spikes(a.name) ? "spike" : a.name;
            if (!names.insert(name).second) return config("array '" + name + "' stands twice");
            const Status ok = with_elements(a.array, [&](auto values) {
                return put_matrix(collector, name, values, common->rows, common->columns, turned);
            });
            if (!ok) return Error{ok.error().code, a.name + ": " + ok.error().message, {}};
        }
        recording->trace = collector.make(0);
    }
    if (dt > 0.0) {
        if (Status ok = check_dt(options, dt, "dt of the file"); !ok) return ok.error();
        set_dt(recording->trace, dt);
        recording->dt_known = true;
    }
    return recording;
}

Result<Recording> from_report(const SonataFile& file, const RecordingOptions& options) {
    const SonataReport& report = file.reports[0];
    Recording recording;
    recording.dt_known = true;
    Collector collector;
    if (Status ok = collector.size(report.n_steps(), report.node_ids.size(), 1); !ok) {
        return ok.error();
    }
    collector.shape.dt = report.step_ms / 1000.0;
    if (!std::isfinite(collector.shape.dt) || collector.shape.dt <= 0.0) {
        return Error{Errc::BadFormat, "mapping/time: the step is no positive number", {}};
    }
    if (Status ok = check_dt(options, collector.shape.dt, "the report's step"); !ok)
        return ok.error();
    const std::string label = report.population.empty() ? "all" : report.population;
    collector.shape.populations = {{label, 0, static_cast<std::uint32_t>(report.node_ids.size())}};
    const std::string name =
        options.field.empty() || options.field == "spike" ? report.variable : options.field;
    if (name.empty() || name.find('/') != std::string::npos) {
        return Error{Errc::BadFormat, "the report's variable cannot name a field", {}};
    }
    const std::size_t f = collector.add_field(float_field(name));
    const std::size_t n = report.node_ids.size();
    for (std::size_t i = 0; i < report.data.size(); ++i) {
        collector.set(f, i / n, i % n, &report.data[i]);
    }
    const auto first = step_of(report.start_ms, report.step_ms);
    if (!first) return Error{Errc::BadFormat, "mapping/time: the start is before 0", {}};
    std::unordered_map<std::uint64_t, std::size_t> element;
    bool compartments = false;
    for (std::size_t i = 0; i < n; ++i) {
        compartments = !element.emplace(report.node_ids[i], i).second || compartments;
    }
    if (compartments) {
        recording.notes.emplace_back("nodes have several compartments: each is a neuron here");
    }
    std::uint64_t outside = 0;
    for (const SonataSpikes& spikes : file.spikes) {
        if (spikes.population != report.population) continue;
        for (std::size_t i = 0; i < spikes.node_ids.size(); ++i) {
            const auto at = element.find(spikes.node_ids[i]);
            const auto step = step_of(spikes.timestamps[i], report.step_ms);
            if (at == element.end() || !step || *step < *first ||
                *step - *first >= report.n_steps()) {
                ++outside;
                continue;
            }
            collector.spike(*step - *first, at->second);
        }
    }
    if (outside > 0) {
        recording.notes.push_back(
            fmt::format("{} spikes are of nodes or times that the report does not hold", outside));
    }
    if (file.reports.size() > 1) {
        recording.notes.push_back(
            fmt::format("only '{}' of {} reports is read", report.population, file.reports.size()));
    }
    recording.trace = collector.make(*first);
    return recording;
}

Result<Recording> from_sonata(const SonataFile& file, const RecordingOptions& options) {
    if (!file.reports.empty()) return from_report(file, options);
    Recording recording;
    std::vector<double> times;
    for (const SonataSpikes& s : file.spikes) {
        const double to_ms = s.units == "s" ? 1000.0 : 1.0;
        if (s.units != "ms" && s.units != "s") {
            return Error{Errc::BadFormat, "timestamps in '" + s.units + "': expected ms or s", {}};
        }
        for (const double t : s.timestamps) {
            if (!std::isfinite(t) || t < 0.0) {
                return Error{Errc::BadFormat, "timestamps: a time below 0 or none at all", {}};
            }
            times.push_back(t * to_ms);
        }
    }
    double step_ms = options.dt * 1000.0;
    recording.dt_known = true;
    if (options.dt <= 0.0) {
        step_ms = fitting_step(times);
        if (step_ms == 0.0) return no_step("the timestamps");
        recording.notes.push_back(fmt::format(
            "a timestep of {} ms, the longest that all timestamps fit; --dt gives another",
            step_ms));
    }
    std::uint64_t steps = options.n_steps;
    std::uint64_t neurons = 0;
    std::vector<trace::Population> populations;
    for (const SonataSpikes& s : file.spikes) {
        std::uint64_t n =
            s.node_ids.empty() ? 1 : *std::max_element(s.node_ids.begin(), s.node_ids.end()) + 1;
        if (file.spikes.size() == 1 && options.n_neurons > 0) {
            if (n > options.n_neurons) {
                return config(fmt::format("node {} fires, but {} neurons were asked for", n - 1,
                                          options.n_neurons));
            }
            n = options.n_neurons;
        }
        if (n == 0 || n > (1U << 24) - neurons) {
            return Error{Errc::Limit, "node ids beyond 2^24", {}};
        }
        populations.push_back({s.population.empty() ? "all" : s.population,
                               static_cast<std::uint32_t>(neurons),
                               static_cast<std::uint32_t>(neurons + n)});
        neurons += n;
    }
    for (const double t : times) {
        const auto step = step_of(t, step_ms);
        if (!step) return Error{Errc::Limit, "a timestamp beyond 1e15 timesteps", {}};
        if (options.n_steps == 0) steps = std::max(steps, *step + 1);
    }
    if (options.n_steps == 0) {
        recording.notes.emplace_back("the recording ends with its last spike; --steps gives more");
    }
    Collector collector;
    if (Status ok = collector.size(std::max<std::uint64_t>(steps, 1), neurons, 0); !ok) {
        return ok.error();
    }
    collector.shape.dt = step_ms / 1000.0;
    collector.shape.populations = populations;
    std::size_t i = 0;
    std::uint64_t late = 0;
    for (std::size_t p = 0; p < file.spikes.size(); ++p) {
        for (const std::uint64_t node : file.spikes[p].node_ids) {
            const std::uint64_t step = *step_of(times[i++], step_ms);
            if (step >= std::max<std::uint64_t>(steps, 1)) {
                ++late;
                continue;
            }
            collector.spike(step, populations[p].begin + node);
        }
    }
    if (late > 0) {
        recording.notes.push_back(fmt::format("{} spikes come after timestep {}", late, steps));
    }
    recording.trace = collector.make(0);
    return recording;
}

Result<Recording> from_aer(const AerFile& file, const RecordingOptions& options) {
    Recording recording;
    std::vector<double> times;
    for (const AerEvent& event : file.events) {
        times.push_back(static_cast<double>(event.time_us) / 1000.0);
    }
    double step_ms = options.dt * 1000.0;
    if (options.dt <= 0.0) {
        step_ms = fitting_step(times);
        if (step_ms == 0.0) return no_step("the timestamps");
        recording.notes.push_back(fmt::format(
            "a timestep of {} ms, the longest that all timestamps fit; --dt gives another",
            step_ms));
    }
    recording.dt_known = true;
    const unsigned shift = file.kind == AerKind::Spike ? 12U : 0U;
    if (file.kind == AerKind::Spike) {
        recording.notes.emplace_back(
            "neurons are numbered by their id; chip and core are left out");
    } else if (file.kind == AerKind::Polarity) {
        return Error{Errc::Unsupported, "polarity events of a camera are no spikes of neurons", {}};
    }
    std::uint64_t steps = options.n_steps;
    std::uint64_t neurons = options.n_neurons;
    for (std::size_t i = 0; i < times.size(); ++i) {
        const auto step = step_of(times[i], step_ms);
        if (!step) return Error{Errc::BadFormat, "an event before time 0", {}};
        if (options.n_steps == 0) steps = std::max(steps, *step + 1);
        const std::uint64_t neuron = file.events[i].address >> shift;
        if (options.n_neurons == 0) neurons = std::max(neurons, neuron + 1);
    }
    Collector collector;
    if (Status ok = collector.size(steps, neurons, 0); !ok) return ok.error();
    collector.shape.dt = step_ms / 1000.0;
    std::uint64_t outside = 0;
    for (std::size_t i = 0; i < times.size(); ++i) {
        const std::uint64_t step = *step_of(times[i], step_ms);
        const std::uint64_t neuron = file.events[i].address >> shift;
        if (step >= steps || neuron >= neurons) {
            ++outside;
        } else {
            collector.spike(step, neuron);
        }
    }
    if (outside > 0) {
        recording.notes.push_back(
            fmt::format("{} events lie beyond the timesteps or neurons asked for", outside));
    }
    if (file.invalid > 0) {
        recording.notes.push_back(fmt::format("{} events are marked invalid", file.invalid));
    }
    if (file.other > 0) {
        recording.notes.push_back(fmt::format("{} events of other types are left out", file.other));
    }
    recording.trace = collector.make(0);
    return recording;
}

Result<std::string> whole_file(const std::string& path) {
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    return file->read_to_end(kMaxTextBytes);
}
}  // namespace

std::string_view name_of(RecordingFormat format) noexcept {
    constexpr std::array<std::string_view, 9> kNames = {
        "HDF5 trace", "NPY", "CSV", "SONATA", "AEDAT 2", "AEDAT 3.1", "AER text", "NPZ", "NIRData"};
    return kNames[static_cast<std::size_t>(format)];
}

Result<RecordingFormat> recording_format(const std::string& path) {
    const auto file = detail::InputFile::open(path);
    if (!file) return file.error();
    const auto size = file->size();
    if (!size) return size.error();
    std::array<char, 16> head{};
    const std::size_t got = std::min<std::uint64_t>(*size, head.size());
    if (got == 0) return Error{Errc::Truncated, "empty file", path};
    if (Status ok = file->read_at(0, std::as_writable_bytes(std::span(head).first(got))); !ok) {
        return ok.error();
    }
    const std::string_view begin(head.data(), got);
    if (begin.starts_with("\x93NUMPY")) return RecordingFormat::Npy;
    if (begin.starts_with("#!AER-DAT2")) return RecordingFormat::Aedat2;
    if (begin.starts_with("#!AER-DAT3")) return RecordingFormat::Aedat3;
    // An archive with files, and one without.
    if (begin.starts_with("PK\3\4") || begin.starts_with("PK\5\6")) return RecordingFormat::Npz;
    if (begin.starts_with("\x89HDF\r\n\x1a\n")) {
        const auto content = detail::hdf5_content(path);
        if (!content) return content.error();
        switch (*content) {
            case detail::Hdf5Content::OwnTrace:
                return RecordingFormat::Trace;
            case detail::Hdf5Content::NirData:
                return RecordingFormat::NirData;
            case detail::Hdf5Content::NirGraph:
                return Error{Errc::Unsupported,
                             "a NIR graph, which holds a network and no recording: `spikelock "
                             "trace` runs it",
                             path};
            case detail::Hdf5Content::Other:
                break;
        }
        return RecordingFormat::Sonata;
    }
    const bool text = std::all_of(begin.begin(), begin.end(), [](char c) {
        const auto u = static_cast<unsigned char>(c);
        return u >= 0x20 || u == '\t' || u == '\r' || u == '\n';
    });
    if (text) return RecordingFormat::Csv;
    return Error{Errc::Unsupported,
                 "no format that is known here: expected an HDF5 trace, SONATA, NIRData, NPY, NPZ, "
                 "CSV or AEDAT",
                 path};
}

Result<Recording> parse_recording_csv(std::string_view text, const std::string& origin,
                                      const RecordingOptions& options) {
    const auto within = [&](Result<Recording> result) -> Result<Recording> {
        if (!result && result.error().where.empty()) {
            return Error{result.error().code, result.error().message, origin};
        }
        if (result) {
            result->format = RecordingFormat::Csv;
            if (options.dt > 0.0) result->dt_known = true;
        }
        return result;
    };
    if (options.columns == std::vector<std::string>{"time_us", "address"}) {
        auto file = parse_aer_text(text, origin);
        if (!file) return file.error();
        auto recording = within(from_aer(*file, options));
        if (recording) recording->format = RecordingFormat::AerText;
        return recording;
    }
    auto table = parse_csv(text, origin);
    if (!table) return table.error();
    if (table->n_rows() == 0) return Error{Errc::BadFormat, "a table without rows", origin};
    std::vector<std::string> names = table->columns;
    if (!options.columns.empty()) names = options.columns;
    if (names.empty()) {
        const bool bits = std::all_of(table->values.begin(), table->values.end(),
                                      [](double v) { return v == 0.0 || v == 1.0; });
        if (bits || !options.field.empty()) {
            return within(matrix(std::span<const double>(table->values), table->n_rows(),
                                 table->n_columns, options));
        }
        return Error{Errc::BadConfig,
                     fmt::format("the table has no header: say what its {} columns are, such as "
                                 "--columns -,v,spike, or what all of them are, such as --field v",
                                 table->n_columns),
                     origin};
    }
    if (names.size() != table->n_columns) {
        return Error{
            Errc::BadConfig,
            fmt::format("{} columns are named, the table has {}", names.size(), table->n_columns),
            origin};
    }
    const bool has_step = std::any_of(names.begin(), names.end(), means_step);
    const bool has_neuron = std::find(names.begin(), names.end(), "neuron") != names.end();
    if (has_step && has_neuron) return within(long_table(*table, names, options, origin));
    return within(wide_table(*table, names, origin));
}

Result<Recording> read_recording(const std::string& path, const RecordingOptions& options) {
    const auto format = recording_format(path);
    if (!format) return format.error();
    const auto finish = [&](Result<Recording> result) -> Result<Recording> {
        if (!result) {
            Error error = result.error();
            if (error.where.empty()) error.where = path;
            return error;
        }
        if (result->format != RecordingFormat::AerText) result->format = *format;
        if (options.dt > 0.0 && !result->dt_known) result->dt_known = true;
        if (options.dt > 0.0) set_dt(result->trace, options.dt);
        return result;
    };
    switch (*format) {
        case RecordingFormat::Trace:
            return Error{Errc::Unsupported, "a trace of Spikelock's own is opened as such", path};
        case RecordingFormat::Npy: {
            const auto array = read_npy(path);
            if (!array) return array.error();
            return finish(from_array(*array, options));
        }
        case RecordingFormat::Npz: {
            auto arrays = read_npz(path, options.columns);
            if (!arrays) return arrays.error();
            return finish(from_named(std::move(*arrays), options));
        }
        case RecordingFormat::NirData: {
            const auto data = read_nir_data(path);
            if (!data) return data.error();
            return finish(recording_of(*data, options));
        }
        case RecordingFormat::Sonata: {
            const auto file = read_sonata(path);
            if (!file) return file.error();
            return finish(from_sonata(*file, options));
        }
        case RecordingFormat::Aedat2:
        case RecordingFormat::Aedat3: {
            const auto text = whole_file(path);
            if (!text) return text.error();
            const auto bytes = std::as_bytes(std::span(*text));
            const auto file = *format == RecordingFormat::Aedat2 ? parse_aedat2(bytes, path)
                                                                 : parse_aedat3(bytes, path);
            if (!file) return file.error();
            return finish(from_aer(*file, options));
        }
        case RecordingFormat::Csv:
        case RecordingFormat::AerText:
            break;
    }
    const auto text = whole_file(path);
    if (!text) return text.error();
    return finish(parse_recording_csv(*text, path, options));
}

namespace {
Result<NdArray> to_array(const ExecutionTrace& trace, const WriteRecordingOptions& options) {
    const std::size_t n = trace.n_neurons();
    const std::size_t steps = trace.n_steps();
    const BlockView view = trace.view();
    NdArray array;
    array.shape = {steps, n};
    std::size_t size = 1;
    if (options.field == "spike") {
        array.type = trace.shape().counts ? ElementType::U16 : ElementType::U8;
        size = trace.shape().counts ? 2 : 1;
        array.bytes.resize(steps * n * size);
        for (std::size_t i = 0; i < steps * n; ++i) {
            const std::size_t word = i / n * trace.shape().spike_words() + i % n / 64;
            std::uint16_t value = view.spikes[word] >> (i % n % 64) & 1U;
            if (trace.shape().counts) value = view.counts[i];
            std::memcpy(array.bytes.data() + i * size, &value, size);
        }
    } else {
        const int at = trace.shape().field_index(options.field);
        if (at < 0) {
            std::vector<std::string> names = {"spike"};
            for (const FieldSpec& f : trace.shape().fields) names.push_back(f.name);
            return Error{Errc::NotFound,
                         "no field '" + options.field + "'" + did_you_mean(options.field, names),
                         {}};
        }
        const FieldSpec& spec = trace.shape().fields[static_cast<std::size_t>(at)];
        size = static_cast<std::size_t>(spec.bytes);
        const int log2 = std::countr_zero(static_cast<unsigned>(spec.bytes));
        const auto base = spec.is_signed ? ElementType::I8 : ElementType::U8;
        array.type = spec.is_float ? ElementType::F64
                                   : static_cast<ElementType>(static_cast<int>(base) + log2);
        const auto bytes = view.fields[static_cast<std::size_t>(at)];
        array.bytes.assign(bytes.begin(), bytes.end());
    }
    if (!options.transposed) return array;
    NdArray turned = array;
    turned.shape = {n, steps};
    for (std::size_t i = 0; i < steps * n; ++i) {
        std::memcpy(turned.bytes.data() + (i % n * steps + i / n) * size,
                    array.bytes.data() + i * size, size);
    }
    return turned;
}

CsvTable to_table(const ExecutionTrace& trace) {
    CsvTable table;
    table.columns = {"timestep", "neuron", "spike"};
    for (const FieldSpec& f : trace.shape().fields) table.columns.push_back(f.name);
    table.n_columns = table.columns.size();
    const BlockView view = trace.view();
    for (std::uint64_t t = trace.first_step(); t < trace.first_step() + trace.n_steps(); ++t) {
        for (std::uint32_t n = 0; n < trace.n_neurons(); ++n) {
            table.values.push_back(static_cast<double>(t));
            table.values.push_back(n);
            double times = trace.spike(t, n) ? 1.0 : 0.0;
            if (trace.shape().counts) {
                times = view.counts[(t - trace.first_step()) * trace.n_neurons() + n];
            }
            table.values.push_back(times);
            for (std::size_t f = 0; f < trace.shape().fields.size(); ++f) {
                table.values.push_back(trace.value(f, t, n));
            }
        }
    }
    return table;
}

SonataFile to_sonata(const ExecutionTrace& trace) {
    SonataFile file;
    std::vector<trace::Population> populations = trace.shape().populations;
    if (populations.empty()) populations.push_back({"all", 0, trace.n_neurons()});
    const double step_ms = trace.dt() * 1000.0;
    const BlockView view = trace.view();
    for (const trace::Population& p : populations) {
        SonataSpikes spikes;
        spikes.population = p.label;
        for (std::uint64_t t = trace.first_step(); t < trace.first_step() + trace.n_steps(); ++t) {
            for (std::uint32_t n = p.begin; n < p.end; ++n) {
                unsigned times = trace.spike(t, n) ? 1 : 0;
                if (trace.shape().counts) {
                    times = view.counts[(t - trace.first_step()) * trace.n_neurons() + n];
                }
                for (unsigned i = 0; i < times; ++i) {
                    spikes.node_ids.push_back(n - p.begin);
                    spikes.timestamps.push_back(static_cast<double>(t) * step_ms);
                }
            }
        }
        file.spikes.push_back(std::move(spikes));
    }
    // A report has one variable; where there are more, its population is named after it too.
    for (std::size_t f = 0; f < trace.shape().fields.size(); ++f) {
        for (const trace::Population& p : populations) {
            SonataReport report;
            const std::string& name = trace.shape().fields[f].name;
            report.population = trace.shape().fields.size() == 1 ? p.label : p.label + "_" + name;
            report.variable = name;
            report.start_ms = static_cast<double>(trace.first_step()) * step_ms;
            report.step_ms = step_ms;
            report.stop_ms = static_cast<double>(trace.first_step() + trace.n_steps()) * step_ms;
            for (std::uint32_t n = p.begin; n < p.end; ++n) report.node_ids.push_back(n - p.begin);
            for (std::uint64_t t = trace.first_step(); t < trace.first_step() + trace.n_steps();
                 ++t) {
                for (std::uint32_t n = p.begin; n < p.end; ++n) {
                    report.data.push_back(trace.value(f, t, n));
                }
            }
            file.reports.push_back(std::move(report));
        }
    }
    return file;
}
}  // namespace

Status write_recording(const std::string& path, RecordingFormat format, const ExecutionTrace& trace,
                       const WriteRecordingOptions& options) {
    switch (format) {
        case RecordingFormat::Npy: {
            const auto array = to_array(trace, options);
            if (!array) return Error{array.error().code, array.error().message, path};
            return write_npy(path, *array);
        }
        case RecordingFormat::Csv:
            return write_csv(path, to_table(trace));
        case RecordingFormat::Sonata:
            return write_sonata(path, to_sonata(trace));
        default:
            return Error{Errc::Unsupported,
                         std::string(name_of(format)) + " is not written: NPY, CSV and SONATA are",
                         path};
    }
}

}  // namespace spikelock::bridge

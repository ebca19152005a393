// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/trace_writer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "hdf5_output.hpp"
#include "shape_json.hpp"
#include "spikelock/base/assert.hpp"
#include "stored_list.hpp"
#include "trace_index.hpp"

namespace spikelock::trace {

namespace {
using namespace detail;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunkBytes = 256 * 1024;  // of the widest field, raw
constexpr std::uint32_t kFewestSteps = 16;       // per chunk, for very wide networks
constexpr std::uint32_t kMostSteps = 16384;      // per chunk, for very narrow ones
constexpr std::uint64_t kMostBuffered = 2ULL << 30;
constexpr std::size_t kSpikesPerChunk = 8192;  // of the SONATA view

constexpr std::array<std::string_view, 9> kOwnAttributes = {
    "format", "format_version", "complete", "n_neurons", "n_steps", "first_step",
    "dt",     "shape",          "n_samples"};

// Spikes of one population for the SONATA view.
struct SonataPopulation {
    Series node_ids;
    Series timestamps;
    std::vector<std::uint64_t> pending_ids;
    std::vector<double> pending_times;
    std::uint32_t begin = 0;
};

class Hdf5Writer final : public TraceWriter {
public:
    Hdf5Writer(std::string path, const Shape& shape, const WriterOptions& options)
        : path_(std::move(path)),
          out_(path_),
          shape_(shape),
          options_(options),
          first_(options.first_step) {}
    ~Hdf5Writer() override { static_cast<void>(close(false)); }

    Status start();
    Status append(const BlockView& block) override;
    Status add_stimulus(const StimulusBlock& block) override;
    Status add_samples(std::span<const Sample> samples) override;
    Status add_expected_differences(std::span<const ExpectedDifference> differences) override;
    Status set_attribute(const std::string& name, std::string_view text) override;
    Status flush() override;
    Status close(bool complete) override;
    std::uint64_t n_steps() const noexcept override { return written_ + rows_; }
    std::uint64_t stored_bytes() const noexcept override { return out_.stored_bytes(); }
    std::uint64_t raw_bytes() const noexcept override { return out_.raw_bytes(); }

private:
    Status fail(Error error);
    Status write_chunk_row();
    bool all_valid(std::span<const std::uint64_t> mask) const;
    Status log_rows();
    Status start_list(std::unique_ptr<ListWriter>& list, ListSpec spec);
    Status start_stimulus(const StimulusBlock& block);
    Status append_events(const BlockView& block);
    Status append_stimulus(const StimulusBlock& block);
    template <typename Do>
    Status each_list(Do&& what);
    std::uint64_t rows_to_show() const;
    Status write_sonata(std::uint32_t rows);
    Status write_sonata_chunk(SonataPopulation& population);
    Status mark(bool complete);
    Status finish(bool complete);

    std::string path_;
    Hdf5Output out_;
    Shape shape_;
    WriterOptions options_;
    std::uint64_t first_ = 0;
    std::uint32_t chunk_steps_ = 0;

    std::unique_ptr<IndexWriter> index_;
    Series spikes_;
    Series counts_;
    Series valid_;
    std::vector<Series> fields_;
    std::vector<Series> masks_;
    std::vector<SonataPopulation> sonata_;
    std::vector<std::int32_t> sonata_of_;  // per neuron, -1: in no population
    // Lists; null where there is none.
    std::unique_ptr<ListWriter> events_;
    std::unique_ptr<ListWriter> taken_;
    std::unique_ptr<ListWriter> stimulus_;
    std::vector<std::unique_ptr<ListWriter>> side_bands_;
    std::vector<std::pair<std::string, std::uint32_t>> band_shapes_;  // name, width
    Handle stimulus_group_;
    std::uint64_t stimulus_until_ = 0;
    Handle sample_begin_, sample_end_, sample_start_, sample_label_;
    Handle diff_step_, diff_neuron_, diff_field_, diff_value_;
    std::uint64_t n_samples_ = 0;
    std::uint64_t n_differences_ = 0;

    // Timesteps that do not fill a chunk yet.
    std::vector<std::uint64_t> spike_rows_;
    std::vector<std::uint16_t> count_rows_;
    std::vector<std::uint8_t> valid_rows_;
    std::vector<std::vector<std::byte>> field_rows_;
    std::vector<std::vector<std::uint64_t>> mask_rows_;
    bool any_invalid_ = false;
    std::vector<std::uint8_t> any_masked_;
    std::uint32_t rows_ = 0;     // in the buffers
    std::uint32_t logged_ = 0;   // of them, in the index
    std::uint64_t written_ = 0;  // timesteps in chunks

    Clock::time_point last_flush_;
    std::uint64_t written_at_flush_ = 0;
    bool closed_ = false;
    std::optional<Error> failed_;
};

Status Hdf5Writer::start() {
    SPIKELOCK_TRY(check_shape(shape_));
    const std::size_t n = shape_.n_neurons;
    const std::size_t words = shape_.spike_words();
    std::size_t widest = std::max<std::size_t>(words * 8, shape_.counts ? n * 2 : 0);
    for (const FieldSpec& f : shape_.fields) {
        widest = std::max(widest, n * static_cast<std::size_t>(f.bytes));
    }
    // Where a field has bytes of nothing but sign, a plane of a chunk should fit the window of
    // deflate: such a byte plane is then a copy of the one before it and costs next to nothing.
    const bool sign_planes =
        std::any_of(shape_.fields.begin(), shape_.fields.end(),
                    [](const FieldSpec& f) { return !f.is_float && f.bits < 8 * (f.bytes - 1); });
    const std::size_t most_elements = sign_planes ? 32768 : kChunkBytes;
    chunk_steps_ = options_.chunk_steps;
    if (chunk_steps_ == 0) {
        chunk_steps_ = kMostSteps;
        while (chunk_steps_ > kFewestSteps &&
               (chunk_steps_ * widest > kChunkBytes || chunk_steps_ * n > most_elements)) {
            chunk_steps_ /= 2;
        }
    }
    std::size_t row = words * 8 + (shape_.counts ? n * 2 : 0);
    for (const FieldSpec& f : shape_.fields) row += n * static_cast<std::size_t>(f.bytes);
    if (chunk_steps_ > (1U << 24) || chunk_steps_ * row > kMostBuffered) {
        return Error{Errc::BadConfig,
                     "chunks of " + std::to_string(chunk_steps_) +
                         " timesteps would need more than 2 GiB of memory",
                     path_};
    }

    auto index = IndexWriter::create(path_);
    if (!index) return index.error();
    index_ = std::move(*index);
    SPIKELOCK_TRY(out_.create());
    SPIKELOCK_TRY(out_.reserve(kMetadataSlack + options_.provenance.size()));

    const json header = {{"shape", shape_to_json(shape_)},    {"first_step", first_},
                         {"chunk_steps", chunk_steps_},       {"sonata", options_.sonata},
                         {"side_bands", options_.side_bands}, {"provenance", options_.provenance}};
    SPIKELOCK_TRY(index_->add(IndexRecord::Header, header.dump()));

    const hid_t root = out_.root();
    SPIKELOCK_TRY(out_.put_text(root, "format", "spikelock-trace"));
    SPIKELOCK_TRY(out_.put_number(root, "format_version", std::int64_t{1}));
    SPIKELOCK_TRY(out_.put_number(root, "complete", std::int64_t{0}));
    SPIKELOCK_TRY(out_.put_number(root, "n_neurons", static_cast<std::int64_t>(shape_.n_neurons)));
    SPIKELOCK_TRY(out_.put_number(root, "n_steps", std::int64_t{0}));
    SPIKELOCK_TRY(out_.put_number(root, "first_step", static_cast<std::int64_t>(first_)));
    SPIKELOCK_TRY(out_.put_number(root, "dt", shape_.dt));
    SPIKELOCK_TRY(out_.put_text(root, "shape", shape_to_json(shape_).dump()));
    SPIKELOCK_TRY(out_.put_text(root, "provenance", options_.provenance));
    SPIKELOCK_TRY(out_.put_number(root, "n_samples", std::int64_t{0}));

    for (const char* name : {"/trace", "/trace/fields", "/trace/masks", "/spikes", "/samples"}) {
        SPIKELOCK_TRY(out_.make_group(name));
    }
    const auto series = [](std::string path, hid_t type, std::size_t element, std::size_t columns) {
        Series s;
        s.path = std::move(path);
        s.type = type;
        s.element_bytes = element;
        s.columns = columns;
        return s;
    };
    spikes_ = series("/trace/spike_bits", H5T_STD_U64LE, 8, words);
    SPIKELOCK_TRY(out_.make_series(spikes_, chunk_steps_));
    SPIKELOCK_TRY(out_.put_text(spikes_.dataset.get(), "meaning",
                                "neuron n of a timestep is bit n%64 of word n/64"));
    spike_rows_.resize(chunk_steps_ * words);
    if (shape_.counts) {
        counts_ = series("/trace/counts", H5T_STD_U16LE, 2, n);
        SPIKELOCK_TRY(out_.make_series(counts_, chunk_steps_));
        count_rows_.resize(chunk_steps_ * n);
    }
    if (shape_.events) SPIKELOCK_TRY(start_list(events_, spike_list()));
    if (shape_.order) SPIKELOCK_TRY(start_list(taken_, taken_list()));
    valid_ = series("/trace/valid", H5T_STD_U8LE, 1, 0);
    valid_.ones_where_absent = true;
    valid_rows_.assign(chunk_steps_, 1);
    any_masked_.assign(shape_.fields.size(), 0);
    mask_rows_.resize(shape_.fields.size());
    for (const FieldSpec& f : shape_.fields) {
        const auto bytes = static_cast<std::size_t>(f.bytes);
        Series field =
            series("/trace/fields/" + f.name,
                   f.is_float ? H5T_IEEE_F64LE : integer_type(bytes, f.is_signed), bytes, n);
        SPIKELOCK_TRY(out_.make_series(field, chunk_steps_));
        const hid_t object = field.dataset.get();
        SPIKELOCK_TRY(out_.put_number(object, "bits", static_cast<std::int64_t>(f.bits)));
        SPIKELOCK_TRY(out_.put_number(object, "frac_bits", static_cast<std::int64_t>(f.frac_bits)));
        SPIKELOCK_TRY(
            out_.put_number(object, "scale", f.is_float ? 1.0 : std::ldexp(1.0, -f.frac_bits)));
        fields_.push_back(std::move(field));
        field_rows_.emplace_back(chunk_steps_ * n * bytes);
        Series mask = series("/trace/masks/" + f.name, H5T_STD_U64LE, 8, words);
        mask.ones_where_absent = true;
        masks_.push_back(std::move(mask));
    }
    SPIKELOCK_TRY(out_.make_plain("/samples/begin", H5T_STD_U64LE, sample_begin_, true));
    SPIKELOCK_TRY(out_.make_plain("/samples/end", H5T_STD_U64LE, sample_end_, true));
    SPIKELOCK_TRY(out_.make_plain("/samples/start", H5T_STD_U8LE, sample_start_, true));
    SPIKELOCK_TRY(out_.put_text(sample_start_.get(), "meaning",
                                "state at the start: 0 keep, 1 clear, 2 reset, 3 snapshot"));
    const Handle text = type_handle(H5Tcopy(H5T_C_S1));
    H5Tset_size(text.get(), H5T_VARIABLE);
    H5Tset_cset(text.get(), H5T_CSET_UTF8);
    SPIKELOCK_TRY(out_.make_plain("/samples/label", text.get(), sample_label_, true));

    if (options_.sonata) {
        std::vector<Population> populations = shape_.populations;
        if (populations.empty()) populations.push_back({"all", 0, shape_.n_neurons});
        sonata_of_.assign(n, -1);
        for (const Population& p : populations) {
            const auto number = static_cast<std::int32_t>(sonata_.size());
            std::fill(sonata_of_.begin() + p.begin, sonata_of_.begin() + p.end, number);
            const std::string group = "/spikes/" + p.label;
            SPIKELOCK_TRY(out_.make_group(group.c_str()));
            SonataPopulation view;
            view.begin = p.begin;
            view.node_ids = series(group + "/node_ids", H5T_STD_U64LE, 8, 0);
            view.timestamps = series(group + "/timestamps", H5T_IEEE_F64LE, 8, 0);
            SPIKELOCK_TRY(out_.make_series(view.node_ids, kSpikesPerChunk));
            SPIKELOCK_TRY(out_.make_series(view.timestamps, kSpikesPerChunk));
            SPIKELOCK_TRY(out_.put_text(view.timestamps.dataset.get(), "units", "ms"));
            const Handle object = group_handle(H5Gopen2(root, group.c_str(), H5P_DEFAULT));
            SPIKELOCK_TRY(out_.put_text(object.get(), "sorting", "by_time"));
            sonata_.push_back(std::move(view));
        }
    }
    last_flush_ = Clock::now();
    return out_.flush();
}

// Whether a mask has a bit for every neuron in each of the buffered timesteps.
bool Hdf5Writer::all_valid(std::span<const std::uint64_t> mask) const {
    const std::size_t words = shape_.spike_words();
    const std::uint32_t used = shape_.n_neurons % 64;
    const std::uint64_t last = used == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
    for (std::size_t i = 0; i < rows_ * words; ++i) {
        const std::uint64_t wanted = i % words == words - 1 ? last : ~std::uint64_t{0};
        if ((mask[i] & wanted) != wanted) return false;
    }
    return true;
}

Status Hdf5Writer::write_chunk_row() {
    const std::size_t words = shape_.spike_words();
    const std::uint64_t row = written_;
    const std::uint64_t after = written_ + rows_;
    if (rows_ < chunk_steps_) {
        // Only the last row is not full; what lies beyond the extent is 0 and never read.
        std::fill(spike_rows_.begin() + static_cast<std::ptrdiff_t>(rows_ * words),
                  spike_rows_.end(), 0);
        if (shape_.counts) {
            std::fill(count_rows_.begin() +
                          static_cast<std::ptrdiff_t>(std::size_t{rows_} * shape_.n_neurons),
                      count_rows_.end(), std::uint16_t{0});
        }
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            std::fill(field_rows_[f].begin() +
                          static_cast<std::ptrdiff_t>(rows_ * fields_[f].row_bytes()),
                      field_rows_[f].end(), std::byte{0});
        }
    }
    std::vector<ChunkPlace> places;
    const auto bytes = [](const auto& values) { return std::as_bytes(std::span(values)); };
    SPIKELOCK_TRY(out_.put_chunk(spikes_, row, after, bytes(spike_rows_), &places, kSpikesDataset));
    if (shape_.counts) {
        SPIKELOCK_TRY(
            out_.put_chunk(counts_, row, after, bytes(count_rows_), &places, kCountsDataset));
    }
    if (any_invalid_) {
        std::fill(valid_rows_.begin() + rows_, valid_rows_.end(), std::uint8_t{0});
        if (!valid_.dataset) SPIKELOCK_TRY(out_.make_series(valid_, chunk_steps_));
        SPIKELOCK_TRY(
            out_.put_chunk(valid_, row, after, bytes(valid_rows_), &places, kValidDataset));
    }
    const auto n_fields = static_cast<std::uint32_t>(fields_.size());
    for (std::uint32_t f = 0; f < n_fields; ++f) {
        SPIKELOCK_TRY(out_.put_chunk(fields_[f], row, after, bytes(field_rows_[f]), &places,
                                     kFirstFieldDataset + f));
        if (any_masked_[f] == 0 || all_valid(mask_rows_[f])) continue;
        std::fill(mask_rows_[f].begin() + static_cast<std::ptrdiff_t>(rows_ * words),
                  mask_rows_[f].end(), 0);
        if (!masks_[f].dataset) SPIKELOCK_TRY(out_.make_series(masks_[f], chunk_steps_));
        SPIKELOCK_TRY(out_.put_chunk(masks_[f], row, after, bytes(mask_rows_[f]), &places,
                                     kFirstFieldDataset + n_fields + f));
    }
    struct {
        std::uint64_t first;
        std::uint32_t steps;
        std::uint32_t chunks;
    } const head = {row, rows_, static_cast<std::uint32_t>(places.size())};
    std::vector<std::byte> record(sizeof head + places.size() * sizeof(ChunkPlace));
    std::memcpy(record.data(), &head, sizeof head);
    std::memcpy(record.data() + sizeof head, places.data(), places.size() * sizeof(ChunkPlace));
    // What the rows need from lists must be in the index before them.
    SPIKELOCK_TRY(each_list([](ListWriter& list) { return list.log(); }));
    SPIKELOCK_TRY(index_->add(IndexRecord::ChunkRow, record));
    const std::uint32_t rows = rows_;
    written_ = after;
    rows_ = 0;
    logged_ = 0;
    if (options_.sonata) SPIKELOCK_TRY(write_sonata(rows));
    std::fill(valid_rows_.begin(), valid_rows_.end(), std::uint8_t{1});
    any_invalid_ = false;
    std::fill(any_masked_.begin(), any_masked_.end(), std::uint8_t{0});
    return {};
}

Status Hdf5Writer::write_sonata(std::uint32_t rows) {
    const std::size_t words = shape_.spike_words();
    const std::uint64_t first = first_ + written_ - rows;
    for (std::uint32_t r = 0; r < rows; ++r) {
        if (any_invalid_ && valid_rows_[r] == 0) continue;
        const double time_ms = static_cast<double>(first + r) * shape_.dt * 1000.0;
        for (std::size_t w = 0; w < words; ++w) {
            for (std::uint64_t word = spike_rows_[r * words + w]; word != 0; word &= word - 1) {
                const std::size_t n = w * 64 + static_cast<std::size_t>(std::countr_zero(word));
                if (n >= shape_.n_neurons || sonata_of_[n] < 0) continue;
                SonataPopulation& p = sonata_[static_cast<std::size_t>(sonata_of_[n])];
                const std::uint32_t times =
                    shape_.counts ? count_rows_[std::size_t{r} * shape_.n_neurons + n] : 1U;
                for (std::uint32_t i = 0; i < times; ++i) {
                    p.pending_ids.push_back(n - p.begin);
                    p.pending_times.push_back(time_ms);
                    if (p.pending_ids.size() == kSpikesPerChunk) {
                        SPIKELOCK_TRY(write_sonata_chunk(p));
                    }
                }
            }
        }
    }
    return {};
}

Status Hdf5Writer::write_sonata_chunk(SonataPopulation& p) {
    const std::uint64_t row = p.node_ids.rows;
    const std::uint64_t after = row + p.pending_ids.size();
    p.pending_ids.resize(kSpikesPerChunk, 0);
    p.pending_times.resize(kSpikesPerChunk, 0.0);
    SPIKELOCK_TRY(out_.put_chunk(p.node_ids, row, after, std::as_bytes(std::span(p.pending_ids)),
                                 nullptr, 0));
    SPIKELOCK_TRY(out_.put_chunk(p.timestamps, row, after,
                                 std::as_bytes(std::span(p.pending_times)), nullptr, 0));
    p.pending_ids.clear();
    p.pending_times.clear();
    return {};
}

Status Hdf5Writer::start_list(std::unique_ptr<ListWriter>& list, ListSpec spec) {
    SPIKELOCK_TRY(out_.make_group(spec.group));
    list = std::make_unique<ListWriter>(out_, *index_, std::move(spec));
    list->complete_until(first_);
    return list->start();
}

template <typename Do>
Status Hdf5Writer::each_list(Do&& what) {
    for (ListWriter* list : {events_.get(), taken_.get(), stimulus_.get()}) {
        if (list != nullptr) SPIKELOCK_TRY(what(*list));
    }
    for (auto& list : side_bands_) {
        if (list) SPIKELOCK_TRY(what(*list));
    }
    return {};
}

Status Hdf5Writer::append_events(const BlockView& block) {
    std::uint32_t last = 0;
    for (const SpikeEvent& event : block.events) {
        SPIKELOCK_ASSERT(event.step >= last && event.step < block.n_steps);
        last = event.step;
        events_->set(0, block.first + event.step);
        events_->set(1, event.neuron);
        events_->set(2, event.clock);
        SPIKELOCK_TRY(events_->next());
    }
    last = 0;
    for (const TakenEvent& event : block.taken) {
        SPIKELOCK_ASSERT(event.step >= last && event.step < block.n_steps);
        last = event.step;
        taken_->set(0, block.first + event.step);
        taken_->set(1, event.port);
        taken_->set(2, event.address);
        SPIKELOCK_TRY(taken_->next());
    }
    if (events_) events_->complete_until(block.first + block.n_steps);
    if (taken_) taken_->complete_until(block.first + block.n_steps);
    return {};
}

Status Hdf5Writer::start_stimulus(const StimulusBlock& block) {
    json bands = json::array();
    for (const SideBand& band : block.side_bands) {
        if (Status ok = check_name(band.name); !ok || band.width < 1 || band.width > (1U << 24)) {
            return Error{Errc::BadConfig,
                         "side band '" + band.name + "' " +
                             (ok ? "must have 1..16777216 values" : ok.error().message),
                         path_};
        }
        band_shapes_.emplace_back(band.name, band.width);
        bands.push_back(
            {{"name", band.name}, {"width", band.width}, {"recorded", options_.side_bands}});
    }
    SPIKELOCK_ASSERT(block.first == first_);
    stimulus_until_ = first_;
    const json info = {{"first_step", block.first}, {"side_bands", bands}};
    SPIKELOCK_TRY(index_->add(IndexRecord::Stimulus, info.dump()));
    SPIKELOCK_TRY(out_.make_group("/stimulus"));
    stimulus_group_ = group_handle(H5Gopen2(out_.root(), "/stimulus", H5P_DEFAULT));
    if (!stimulus_group_) return out_.error("opening /stimulus");
    const hid_t group = stimulus_group_.get();
    SPIKELOCK_TRY(out_.put_number(group, "first_step", static_cast<std::int64_t>(block.first)));
    SPIKELOCK_TRY(out_.put_number(group, "n_steps", std::int64_t{0}));
    SPIKELOCK_TRY(out_.put_text(group, "side_bands", bands.dump()));
    SPIKELOCK_TRY(start_list(stimulus_, stimulus_list()));
    stimulus_->complete_until(block.first);
    if (!options_.side_bands || band_shapes_.empty()) return {};
    SPIKELOCK_TRY(out_.make_group("/stimulus/side_bands"));
    for (std::uint32_t b = 0; b < band_shapes_.size(); ++b) {
        side_bands_.push_back(std::make_unique<ListWriter>(
            out_, *index_, side_band_list(b, band_shapes_[b].first, band_shapes_[b].second)));
        SPIKELOCK_TRY(side_bands_.back()->start());
    }
    return {};
}

Status Hdf5Writer::append_stimulus(const StimulusBlock& block) {
    if (!stimulus_) SPIKELOCK_TRY(start_stimulus(block));
    SPIKELOCK_ASSERT(block.first == stimulus_until_);
    SPIKELOCK_ASSERT(block.side_bands.size() == band_shapes_.size());
    for (std::uint32_t step = 0; step < block.n_steps; ++step) {
        for (const InputEvent& event : block.events_of(step)) {
            stimulus_->set(0, block.first + step);
            stimulus_->set(1, event.port);
            stimulus_->set(2, event.address);
            stimulus_->set(3, event.payload);
            SPIKELOCK_TRY(stimulus_->next());
        }
    }
    stimulus_until_ = block.first + block.n_steps;
    for (std::size_t b = 0; b < side_bands_.size(); ++b) {
        const SideBand& band = block.side_bands[b];
        SPIKELOCK_ASSERT(band.name == band_shapes_[b].first);
        SPIKELOCK_ASSERT(band.values.size() == std::size_t{block.n_steps} * band_shapes_[b].second);
        SPIKELOCK_TRY(side_bands_[b]->add(std::as_bytes(std::span(band.values))));
        side_bands_[b]->complete_until(stimulus_until_);
    }
    stimulus_->complete_until(stimulus_until_);
    return {};
}

Status Hdf5Writer::add_stimulus(const StimulusBlock& block) {
    if (failed_) return *failed_;
    SPIKELOCK_ASSERT(!closed_);
    if (Status ok = append_stimulus(block); !ok) return fail(std::move(ok.error()));
    return {};
}

// Rows that a reader gets: those whose lists are in the file too.
std::uint64_t Hdf5Writer::rows_to_show() const {
    std::uint64_t rows = written_;
    for (const ListWriter* list : {events_.get(), taken_.get()}) {
        if (list != nullptr) rows = std::min(rows, list->stored_until() - first_);
    }
    return rows;
}

Status Hdf5Writer::append(const BlockView& block) {
    if (failed_) return *failed_;
    SPIKELOCK_ASSERT(!closed_);
    SPIKELOCK_ASSERT(block.first == first_ + n_steps());
    const std::size_t n = shape_.n_neurons;
    const std::size_t words = shape_.spike_words();
    SPIKELOCK_ASSERT(block.spikes.size() == block.n_steps * words);
    SPIKELOCK_ASSERT(block.fields.size() == fields_.size());
    SPIKELOCK_ASSERT(!shape_.counts || block.counts.size() == block.n_steps * n);
    SPIKELOCK_ASSERT(block.valid.empty() || block.valid.size() == block.n_steps);
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        SPIKELOCK_ASSERT(block.fields[f].size() == block.n_steps * fields_[f].row_bytes());
    }
    SPIKELOCK_ASSERT(shape_.events || block.events.empty());
    SPIKELOCK_ASSERT(shape_.order || block.taken.empty());
    // Before the rows, which say when a chunk is due.
    if (shape_.events || shape_.order) {
        if (Status ok = append_events(block); !ok) return fail(std::move(ok.error()));
    }
    const auto copy = [](const auto& from, std::size_t at, std::size_t count, auto& to,
                         std::size_t to_at) {
        if (count == 0) return;
        std::memcpy(to.data() + to_at, from.data() + at, count * sizeof(*to.data()));
    };
    for (std::size_t done = 0; done < block.n_steps;) {
        const std::size_t take = std::min<std::size_t>(chunk_steps_ - rows_, block.n_steps - done);
        copy(block.spikes, done * words, take * words, spike_rows_, rows_ * words);
        if (shape_.counts) copy(block.counts, done * n, take * n, count_rows_, rows_ * n);
        if (!block.valid.empty()) {
            for (std::size_t i = 0; i < take; ++i) {
                valid_rows_[rows_ + i] = block.valid[done + i] != 0 ? 1 : 0;
                any_invalid_ = any_invalid_ || block.valid[done + i] == 0;
            }
        }
        for (std::size_t f = 0; f < fields_.size(); ++f) {
            const std::size_t row = fields_[f].row_bytes();
            copy(block.fields[f], done * row, take * row, field_rows_[f], rows_ * row);
            const bool masked = f < block.masks.size() && !block.masks[f].empty();
            if (masked && any_masked_[f] == 0) {
                any_masked_[f] = 1;
                mask_rows_[f].assign(chunk_steps_ * words, ~std::uint64_t{0});
            }
            if (masked)
                copy(block.masks[f], done * words, take * words, mask_rows_[f], rows_ * words);
        }
        rows_ += static_cast<std::uint32_t>(take);
        done += take;
        if (rows_ == chunk_steps_) {
            if (Status ok = write_chunk_row(); !ok) return fail(std::move(ok.error()));
        }
    }
    const auto now = Clock::now();
    if (std::chrono::duration<double>(now - last_flush_).count() >= options_.flush_seconds) {
        return flush();
    }
    return {};
}

Status Hdf5Writer::add_samples(std::span<const Sample> samples) {
    if (failed_) return *failed_;
    SPIKELOCK_ASSERT(!closed_);
    if (samples.empty()) return {};
    std::vector<std::uint64_t> begin, end;
    std::vector<std::uint8_t> start;
    std::vector<const char*> label;
    std::uint64_t bytes = 0;
    for (const Sample& s : samples) {
        begin.push_back(s.begin);
        end.push_back(s.end);
        start.push_back(static_cast<std::uint8_t>(s.start));
        label.push_back(s.label.c_str());
        bytes += 64 + s.label.size();
    }
    const auto write = [&]() -> Status {
        SPIKELOCK_TRY(out_.reserve(2 * bytes + kMetadataSlack));
        SPIKELOCK_TRY(index_->add(
            IndexRecord::Samples,
            samples_to_json(samples).dump(-1, ' ', false, json::error_handler_t::replace)));
        const std::size_t count = samples.size();
        const Handle text = type_handle(H5Tcopy(H5T_C_S1));
        H5Tset_size(text.get(), H5T_VARIABLE);
        H5Tset_cset(text.get(), H5T_CSET_UTF8);
        SPIKELOCK_TRY(
            out_.append_plain(sample_begin_, H5T_NATIVE_UINT64, n_samples_, count, begin.data()));
        SPIKELOCK_TRY(
            out_.append_plain(sample_end_, H5T_NATIVE_UINT64, n_samples_, count, end.data()));
        SPIKELOCK_TRY(
            out_.append_plain(sample_start_, H5T_NATIVE_UINT8, n_samples_, count, start.data()));
        return out_.append_plain(sample_label_, text.get(), n_samples_, count, label.data());
    };
    if (Status ok = write(); !ok) return fail(std::move(ok.error()));
    n_samples_ += samples.size();
    return {};
}

Status Hdf5Writer::add_expected_differences(std::span<const ExpectedDifference> differences) {
    if (failed_) return *failed_;
    SPIKELOCK_ASSERT(!closed_);
    if (differences.empty()) return {};
    std::vector<std::uint64_t> step;
    std::vector<std::uint32_t> neuron;
    std::vector<std::int32_t> field;
    std::vector<std::int64_t> value;
    for (const ExpectedDifference& d : differences) {
        step.push_back(d.timestep);
        neuron.push_back(d.neuron);
        field.push_back(d.field);
        value.push_back(d.value);
    }
    const auto write = [&]() -> Status {
        SPIKELOCK_TRY(out_.reserve(48 * differences.size() + kMetadataSlack));
        SPIKELOCK_TRY(index_->add(IndexRecord::Difference, std::as_bytes(differences)));
        if (!diff_step_) {
            SPIKELOCK_TRY(out_.make_group("/expected_differences"));
            SPIKELOCK_TRY(
                out_.make_plain("/expected_differences/timestep", H5T_STD_U64LE, diff_step_));
            SPIKELOCK_TRY(
                out_.make_plain("/expected_differences/neuron", H5T_STD_U32LE, diff_neuron_));
            SPIKELOCK_TRY(
                out_.make_plain("/expected_differences/field", H5T_STD_I32LE, diff_field_));
            SPIKELOCK_TRY(
                out_.make_plain("/expected_differences/value", H5T_STD_I64LE, diff_value_));
            SPIKELOCK_TRY(out_.put_text(diff_field_.get(), "meaning",
                                        "index in the shape's fields, -1 for spike"));
        }
        const std::uint64_t at = n_differences_;
        const std::size_t count = differences.size();
        SPIKELOCK_TRY(out_.append_plain(diff_step_, H5T_NATIVE_UINT64, at, count, step.data()));
        SPIKELOCK_TRY(out_.append_plain(diff_neuron_, H5T_NATIVE_UINT32, at, count, neuron.data()));
        SPIKELOCK_TRY(out_.append_plain(diff_field_, H5T_NATIVE_INT32, at, count, field.data()));
        return out_.append_plain(diff_value_, H5T_NATIVE_INT64, at, count, value.data());
    };
    if (Status ok = write(); !ok) return fail(std::move(ok.error()));
    n_differences_ += differences.size();
    return {};
}

Status Hdf5Writer::set_attribute(const std::string& name, std::string_view text) {
    if (failed_) return *failed_;
    SPIKELOCK_ASSERT(!closed_);
    if (name.empty() ||
        std::find(kOwnAttributes.begin(), kOwnAttributes.end(), name) != kOwnAttributes.end()) {
        return Error{Errc::BadConfig, "the attribute name '" + name + "' is the format's own",
                     path_};
    }
    const auto write = [&]() -> Status {
        SPIKELOCK_TRY(out_.reserve(2 * text.size() + kMetadataSlack));
        const json record = {{"name", name}, {"text", std::string(text)}};
        SPIKELOCK_TRY(index_->add(IndexRecord::Attribute,
                                  record.dump(-1, ' ', false, json::error_handler_t::replace)));
        return out_.put_text(out_.root(), name, text);
    };
    if (Status ok = write(); !ok) return fail(std::move(ok.error()));
    return {};
}

Status Hdf5Writer::mark(bool complete) {
    SPIKELOCK_TRY(
        out_.put_number(out_.root(), "n_steps", static_cast<std::int64_t>(rows_to_show())));
    if (stimulus_) {
        std::uint64_t until = stimulus_->stored_until();
        for (std::size_t b = 0; b < side_bands_.size(); ++b) {
            until = std::min(until, first_ + side_bands_[b]->stored());
        }
        SPIKELOCK_TRY(out_.put_number(stimulus_group_.get(), "n_steps",
                                      static_cast<std::int64_t>(until - first_)));
    }
    SPIKELOCK_TRY(out_.put_number(out_.root(), "n_samples", static_cast<std::int64_t>(n_samples_)));
    SPIKELOCK_TRY(out_.put_number(out_.root(), "complete", std::int64_t{complete ? 1 : 0}));
    // Chunks that are all valid are not stored; the extent says that they were recorded.
    const std::array<hsize_t, 2> extent = {written_, shape_.spike_words()};
    if (valid_.dataset) H5Dset_extent(valid_.dataset.get(), extent.data());
    for (Series& mask : masks_) {
        if (mask.dataset) H5Dset_extent(mask.dataset.get(), extent.data());
    }
    return {};
}

// Timesteps that a kill would lose go to the index as they are, each once.
Status Hdf5Writer::log_rows() {
    SPIKELOCK_TRY(each_list([](ListWriter& list) { return list.log(); }));
    if (logged_ == rows_) return {};
    const std::size_t words = shape_.spike_words();
    const std::size_t n = shape_.n_neurons;
    std::uint64_t masked = 0;
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        if (any_masked_[f] != 0) masked |= std::uint64_t{1} << f;
    }
    struct {
        std::uint64_t first;
        std::uint32_t steps;
        std::uint32_t has_valid;
        std::uint64_t masked;
    } const head = {written_ + logged_, rows_ - logged_, any_invalid_ ? 1U : 0U, masked};
    std::vector<std::byte> record(sizeof head);
    std::memcpy(record.data(), &head, sizeof head);
    const auto put = [&](std::span<const std::byte> all, std::size_t row) {
        const auto rows = all.subspan(logged_ * row, head.steps * row);
        record.insert(record.end(), rows.begin(), rows.end());
    };
    put(std::as_bytes(std::span(spike_rows_)), words * 8);
    if (shape_.counts) put(std::as_bytes(std::span(count_rows_)), n * 2);
    if (any_invalid_) put(std::as_bytes(std::span(valid_rows_)), 1);
    for (std::size_t f = 0; f < fields_.size(); ++f) put(field_rows_[f], fields_[f].row_bytes());
    for (std::size_t f = 0; f < fields_.size(); ++f) {
        if (any_masked_[f] != 0) put(std::as_bytes(std::span(mask_rows_[f])), words * 8);
    }
    SPIKELOCK_TRY(index_->add(IndexRecord::Rows, record));
    logged_ = rows_;
    return {};
}

Status Hdf5Writer::flush() {
    if (failed_) return *failed_;
    if (closed_) return {};
    const auto work = [&]() -> Status {
        // A fast recording fills chunks all the time; a slow one must not lose many seconds.
        if (written_ == written_at_flush_) SPIKELOCK_TRY(log_rows());
        written_at_flush_ = written_;
        SPIKELOCK_TRY(mark(false));
        return out_.flush();
    };
    if (Status ok = work(); !ok) return fail(std::move(ok.error()));
    last_flush_ = Clock::now();
    return {};
}

Status Hdf5Writer::finish(bool complete) {
    SPIKELOCK_TRY(each_list([](ListWriter& list) { return list.finish(); }));
    if (rows_ > 0) SPIKELOCK_TRY(write_chunk_row());
    for (SonataPopulation& p : sonata_) {
        if (!p.pending_ids.empty()) SPIKELOCK_TRY(write_sonata_chunk(p));
    }
    SPIKELOCK_TRY(index_->add(IndexRecord::Closed, json({{"complete", complete}}).dump()));
    return mark(complete);
}

// The file is brought to the last state that fits on the disk and closed.
Status Hdf5Writer::fail(Error error) {
    if (error.where.empty()) error.where = path_;
    failed_ = std::move(error);
    if (out_.is_open()) {
        static_cast<void>(mark(false));
        for (SonataPopulation& p : sonata_) {
            p.node_ids.dataset.reset();
            p.timestamps.dataset.reset();
        }
    }
    static_cast<void>(close(false));
    return *failed_;
}

Status Hdf5Writer::close(bool complete) {
    if (closed_) return failed_ ? Status(*failed_) : Status{};
    if (out_.is_open() && !failed_) {
        if (Status ok = finish(complete); !ok) return fail(std::move(ok.error()));
    }
    closed_ = true;
    for (Series* s : {&spikes_, &counts_, &valid_}) s->dataset.reset();
    for (Series& s : fields_) s.dataset.reset();
    for (Series& s : masks_) s.dataset.reset();
    for (SonataPopulation& p : sonata_) {
        p.node_ids.dataset.reset();
        p.timestamps.dataset.reset();
    }
    for (Handle* h : {&sample_begin_, &sample_end_, &sample_start_, &sample_label_, &diff_step_,
                      &diff_neuron_, &diff_field_, &diff_value_}) {
        h->reset();
    }
    static_cast<void>(each_list([](ListWriter& list) {
        list.close();
        return Status{};
    }));
    stimulus_group_.reset();
    const bool had_file = out_.is_open();
    const bool ok = out_.close();
    if (!ok && !failed_) {
        failed_ = Error{Errc::Io, "closing the trace failed: " + hdf5_reason(), path_};
    }
    // Without a readable file the index is what recovery needs.
    if (index_ && (ok || !had_file)) index_->remove();
    index_.reset();
    return failed_ ? Status(*failed_) : Status{};
}

}  // namespace

Result<std::unique_ptr<TraceWriter>> TraceWriter::create(const std::string& path,
                                                         const Shape& shape,
                                                         const WriterOptions& options) {
    auto writer = std::make_unique<Hdf5Writer>(path, shape, options);
    if (Status ok = writer->start(); !ok) {
        Error error = ok.error();
        if (error.where.empty()) error.where = path;
        return error;
    }
    return std::unique_ptr<TraceWriter>(std::move(writer));
}

}  // namespace spikelock::trace

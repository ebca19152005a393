// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/trace_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <vector>

#include "deflate.hpp"
#include "disk_space.hpp"
#include "hdf5_handle.hpp"
#include "shape_json.hpp"
#include "spikelock/base/assert.hpp"
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
constexpr std::size_t kSpikesPerChunk = 8192;         // of the SONATA view
constexpr std::uint64_t kMetadataSlack = 512 * 1024;  // what HDF5 may allocate between two checks

constexpr std::array<std::string_view, 10> kOwnAttributes = {
    "format", "format_version", "complete",   "n_neurons", "n_steps", "first_step",
    "dt",     "shape",          "provenance", "n_samples"};

// A dataset whose chunks are compressed here and handed to HDF5 as they go to the file.
struct Series {
    std::string path;
    hid_t type = H5I_INVALID_HID;  // predefined, not owned
    std::size_t element_bytes = 1;
    std::size_t columns = 0;  // elements per row; 0: one-dimensional
    bool ones_where_absent = false;
    Handle dataset;
    ChunkCompressor compressor{1};
    std::uint64_t rows = 0;  // extent

    std::size_t row_bytes() const { return element_bytes * std::max<std::size_t>(columns, 1); }
};

// Spikes of one population for the SONATA view.
struct SonataPopulation {
    Series node_ids;
    Series timestamps;
    std::vector<std::uint64_t> pending_ids;
    std::vector<double> pending_times;
    std::uint32_t begin = 0;
};

hid_t integer_type(int bytes, bool is_signed) {
    switch (bytes) {
        case 1:
            return is_signed ? H5T_STD_I8LE : H5T_STD_U8LE;
        case 2:
            return is_signed ? H5T_STD_I16LE : H5T_STD_U16LE;
        case 4:
            return is_signed ? H5T_STD_I32LE : H5T_STD_U32LE;
        default:
            return is_signed ? H5T_STD_I64LE : H5T_STD_U64LE;
    }
}

class Hdf5Writer final : public TraceWriter {
public:
    Hdf5Writer(std::string path, const Shape& shape, const WriterOptions& options)
        : path_(std::move(path)), shape_(shape), options_(options), first_(options.first_step) {}
    ~Hdf5Writer() override { static_cast<void>(close(false)); }

    Status start();
    Status append(const BlockView& block) override;
    Status add_samples(std::span<const Sample> samples) override;
    Status add_expected_differences(std::span<const ExpectedDifference> differences) override;
    Status set_attribute(const std::string& name, std::string_view text) override;
    Status flush() override;
    Status close(bool complete) override;
    std::uint64_t n_steps() const noexcept override { return written_ + rows_; }
    std::uint64_t stored_bytes() const noexcept override { return stored_bytes_; }
    std::uint64_t raw_bytes() const noexcept override { return raw_bytes_; }

private:
    Status fail(Error error);
    Status hdf5_error(const std::string& doing) {
        return Error{Errc::Io, doing + " failed: " + hdf5_reason(), path_};
    }
    Status make_group(const char* name);
    Status make_series(Series& series, std::uint64_t chunk_rows);
    Status make_plain(const char* name, hid_t type, Handle& dataset);
    Status append_plain(const Handle& dataset, hid_t memory_type, std::uint64_t at,
                        std::size_t count, const void* data);
    Status put_text(hid_t object, const std::string& name, std::string_view text);
    template <typename T>
    Status put_number(hid_t object, const std::string& name, T value);
    Status put_chunk(Series& series, std::uint64_t row, std::uint64_t rows_after,
                     std::span<const std::byte> raw, std::vector<ChunkPlace>* places,
                     std::uint32_t number);
    Status write_chunk_row();
    bool all_valid(std::span<const std::uint64_t> mask) const;
    Status log_rows();
    Status write_sonata(std::uint32_t rows);
    Status write_sonata_chunk(SonataPopulation& population);
    Status mark(bool complete);
    Status bring_to_disk();
    Status finish(bool complete);

    std::string path_;
    Shape shape_;
    WriterOptions options_;
    std::uint64_t first_ = 0;
    std::uint32_t chunk_steps_ = 0;

    std::unique_ptr<IndexWriter> index_;
    Handle file_;
    DiskSpace space_;
    Series spikes_;
    Series counts_;
    Series valid_;
    std::vector<Series> fields_;
    std::vector<Series> masks_;
    std::vector<SonataPopulation> sonata_;
    std::vector<std::int32_t> sonata_of_;  // per neuron, -1: in no population
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

    std::uint64_t stored_bytes_ = 0;
    std::uint64_t raw_bytes_ = 0;
    Clock::time_point last_flush_;
    std::uint64_t written_at_flush_ = 0;
    bool closed_ = false;
    std::optional<Error> failed_;
};

Status Hdf5Writer::make_group(const char* name) {
    const Handle properties = list_handle(H5Pcreate(H5P_GROUP_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    const Handle group =
        group_handle(H5Gcreate2(file_.get(), name, H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    return group ? Status{} : hdf5_error(std::string("creating ") + name);
}

Status Hdf5Writer::make_series(Series& series, std::uint64_t chunk_rows) {
    const int rank = series.columns == 0 ? 1 : 2;
    const std::array<hsize_t, 2> none = {0, series.columns};
    const std::array<hsize_t, 2> most = {H5S_UNLIMITED, series.columns};
    const std::array<hsize_t, 2> chunk = {chunk_rows, series.columns};
    const Handle space = space_handle(H5Screate_simple(rank, none.data(), most.data()));
    const Handle properties = list_handle(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    H5Pset_chunk(properties.get(), rank, chunk.data());
    if (series.element_bytes > 1) H5Pset_shuffle(properties.get());
    H5Pset_deflate(properties.get(), 1);
    H5Pset_fill_time(properties.get(), H5D_FILL_TIME_IFSET);
    if (series.ones_where_absent) {
        const std::uint8_t one = 1;
        const std::uint64_t ones = ~std::uint64_t{0};
        if (series.element_bytes == 1) {
            H5Pset_fill_value(properties.get(), H5T_NATIVE_UINT8, &one);
        } else {
            H5Pset_fill_value(properties.get(), H5T_NATIVE_UINT64, &ones);
        }
    }
    series.dataset =
        dataset_handle(H5Dcreate2(file_.get(), series.path.c_str(), series.type, space.get(),
                                  H5P_DEFAULT, properties.get(), H5P_DEFAULT));
    if (!series.dataset) return hdf5_error("creating " + series.path);
    series.compressor = ChunkCompressor(series.element_bytes);
    return {};
}

// A one-dimensional dataset that HDF5 itself writes: samples and expected differences.
Status Hdf5Writer::make_plain(const char* name, hid_t type, Handle& dataset) {
    const hsize_t none = 0;
    const hsize_t most = H5S_UNLIMITED;
    const hsize_t chunk = 1024;
    const Handle space = space_handle(H5Screate_simple(1, &none, &most));
    const Handle properties = list_handle(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_obj_track_times(properties.get(), false);
    H5Pset_chunk(properties.get(), 1, &chunk);
    dataset = dataset_handle(H5Dcreate2(file_.get(), name, type, space.get(), H5P_DEFAULT,
                                        properties.get(), H5P_DEFAULT));
    return dataset ? Status{} : hdf5_error(std::string("creating ") + name);
}

Status Hdf5Writer::append_plain(const Handle& dataset, hid_t memory_type, std::uint64_t at,
                                std::size_t count, const void* data) {
    const hsize_t start = at;
    const hsize_t size = count;
    const hsize_t extent = at + count;
    const Handle memory = space_handle(H5Screate_simple(1, &size, nullptr));
    if (H5Dset_extent(dataset.get(), &extent) < 0) return hdf5_error("growing a dataset");
    const Handle space = space_handle(H5Dget_space(dataset.get()));
    if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &size, nullptr) < 0 ||
        H5Dwrite(dataset.get(), memory_type, memory.get(), space.get(), H5P_DEFAULT, data) < 0) {
        return hdf5_error("writing a dataset");
    }
    return {};
}

Status Hdf5Writer::put_text(hid_t object, const std::string& name, std::string_view text) {
    if (H5Aexists(object, name.c_str()) > 0) H5Adelete(object, name.c_str());
    // Variable length: h5py then gives a str. A text with a zero byte would end there.
    const Handle type = type_handle(H5Tcopy(H5T_C_S1));
    H5Tset_size(type.get(), H5T_VARIABLE);
    H5Tset_cset(type.get(), H5T_CSET_UTF8);
    const std::string terminated(text);
    const char* const characters = terminated.c_str();
    const Handle space = space_handle(H5Screate(H5S_SCALAR));
    const Handle attribute = attribute_handle(
        H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute || H5Awrite(attribute.get(), type.get(), &characters) < 0) {
        return hdf5_error("writing attribute '" + name + "'");
    }
    return {};
}

template <typename T>
Status Hdf5Writer::put_number(hid_t object, const std::string& name, T value) {
    const hid_t type = std::is_floating_point_v<T> ? H5T_IEEE_F64LE : H5T_STD_I64LE;
    const hid_t native = std::is_floating_point_v<T> ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
    const Handle space = space_handle(H5Screate(H5S_SCALAR));
    const bool there = H5Aexists(object, name.c_str()) > 0;
    const Handle attribute = attribute_handle(
        there ? H5Aopen(object, name.c_str(), H5P_DEFAULT)
              : H5Acreate2(object, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT));
    if (!attribute || H5Awrite(attribute.get(), native, &value) < 0) {
        return hdf5_error("writing attribute '" + name + "'");
    }
    return {};
}

// Stops at the first failing step of a fixed sequence.
#define SPIKELOCK_TRY(expression)                              \
    do {                                                       \
        if (Status tried = (expression); !tried) return tried; \
    } while (false)

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
    // HDF5 would print its error stack; every failure is reported by value instead.
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    const Handle creation = list_handle(H5Pcreate(H5P_FILE_CREATE));
    H5Pset_obj_track_times(creation.get(), false);
    const Handle access = list_handle(H5Pcreate(H5P_FILE_ACCESS));
    // The 1.8 format: newer ones mark a file as open for writing, and stock readers then refuse it
    // after a kill.
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V18);
    // Without its aggregators HDF5 places each chunk at the end of the file, so that the index
    // knows the address without a search (put_chunk checks it).
    H5Pset_small_data_block_size(access.get(), 0);
    H5Pset_meta_block_size(access.get(), 0);
    // Readers may look at a growing trace; a second writer is kept out by the index.
    H5Pset_file_locking(access.get(), false, true);
    file_ = file_handle(H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
    if (!file_) {
        index_->remove();
        return Error{Errc::Io, "cannot create the trace: " + hdf5_reason(), path_};
    }
    void* descriptor = nullptr;
    if (H5Fget_vfd_handle(file_.get(), access.get(), &descriptor) >= 0 && descriptor != nullptr) {
        ::fcntl(*static_cast<int*>(descriptor), F_SETFD, FD_CLOEXEC);
    }
    auto space = DiskSpace::open(path_);
    if (!space) return space.error();
    space_ = std::move(*space);
    SPIKELOCK_TRY(space_.reserve(kMetadataSlack + options_.provenance.size()));

    const json header = {{"shape", shape_to_json(shape_)},
                         {"first_step", first_},
                         {"chunk_steps", chunk_steps_},
                         {"sonata", options_.sonata},
                         {"provenance", options_.provenance}};
    SPIKELOCK_TRY(index_->add(IndexRecord::Header, header.dump()));

    const hid_t root = file_.get();
    SPIKELOCK_TRY(put_text(root, "format", "spikelock-trace"));
    SPIKELOCK_TRY(put_number(root, "format_version", std::int64_t{1}));
    SPIKELOCK_TRY(put_number(root, "complete", std::int64_t{0}));
    SPIKELOCK_TRY(put_number(root, "n_neurons", static_cast<std::int64_t>(shape_.n_neurons)));
    SPIKELOCK_TRY(put_number(root, "n_steps", std::int64_t{0}));
    SPIKELOCK_TRY(put_number(root, "first_step", static_cast<std::int64_t>(first_)));
    SPIKELOCK_TRY(put_number(root, "dt", shape_.dt));
    SPIKELOCK_TRY(put_text(root, "shape", shape_to_json(shape_).dump()));
    SPIKELOCK_TRY(put_text(root, "provenance", options_.provenance));
    SPIKELOCK_TRY(put_number(root, "n_samples", std::int64_t{0}));

    for (const char* name : {"/trace", "/trace/fields", "/trace/masks", "/spikes", "/samples"}) {
        SPIKELOCK_TRY(make_group(name));
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
    SPIKELOCK_TRY(make_series(spikes_, chunk_steps_));
    SPIKELOCK_TRY(put_text(spikes_.dataset.get(), "meaning",
                           "neuron n of a timestep is bit n%64 of word n/64"));
    spike_rows_.resize(chunk_steps_ * words);
    if (shape_.counts) {
        counts_ = series("/trace/counts", H5T_STD_U16LE, 2, n);
        SPIKELOCK_TRY(make_series(counts_, chunk_steps_));
        count_rows_.resize(chunk_steps_ * n);
    }
    valid_ = series("/trace/valid", H5T_STD_U8LE, 1, 0);
    valid_.ones_where_absent = true;
    valid_rows_.assign(chunk_steps_, 1);
    any_masked_.assign(shape_.fields.size(), 0);
    mask_rows_.resize(shape_.fields.size());
    for (const FieldSpec& f : shape_.fields) {
        const auto bytes = static_cast<std::size_t>(f.bytes);
        Series field =
            series("/trace/fields/" + f.name,
                   f.is_float ? H5T_IEEE_F64LE : integer_type(f.bytes, f.is_signed), bytes, n);
        SPIKELOCK_TRY(make_series(field, chunk_steps_));
        const hid_t object = field.dataset.get();
        SPIKELOCK_TRY(put_number(object, "bits", static_cast<std::int64_t>(f.bits)));
        SPIKELOCK_TRY(put_number(object, "frac_bits", static_cast<std::int64_t>(f.frac_bits)));
        SPIKELOCK_TRY(
            put_number(object, "scale", f.is_float ? 1.0 : std::ldexp(1.0, -f.frac_bits)));
        fields_.push_back(std::move(field));
        field_rows_.emplace_back(chunk_steps_ * n * bytes);
        Series mask = series("/trace/masks/" + f.name, H5T_STD_U64LE, 8, words);
        mask.ones_where_absent = true;
        masks_.push_back(std::move(mask));
    }
    SPIKELOCK_TRY(make_plain("/samples/begin", H5T_STD_U64LE, sample_begin_));
    SPIKELOCK_TRY(make_plain("/samples/end", H5T_STD_U64LE, sample_end_));
    SPIKELOCK_TRY(make_plain("/samples/start", H5T_STD_U8LE, sample_start_));
    SPIKELOCK_TRY(put_text(sample_start_.get(), "meaning",
                           "state at the start: 0 keep, 1 clear, 2 reset, 3 snapshot"));
    const Handle text = type_handle(H5Tcopy(H5T_C_S1));
    H5Tset_size(text.get(), H5T_VARIABLE);
    H5Tset_cset(text.get(), H5T_CSET_UTF8);
    SPIKELOCK_TRY(make_plain("/samples/label", text.get(), sample_label_));

    if (options_.sonata) {
        std::vector<Population> populations = shape_.populations;
        if (populations.empty()) populations.push_back({"all", 0, shape_.n_neurons});
        sonata_of_.assign(n, -1);
        for (const Population& p : populations) {
            const auto number = static_cast<std::int32_t>(sonata_.size());
            std::fill(sonata_of_.begin() + p.begin, sonata_of_.begin() + p.end, number);
            const std::string group = "/spikes/" + p.label;
            SPIKELOCK_TRY(make_group(group.c_str()));
            SonataPopulation view;
            view.begin = p.begin;
            view.node_ids = series(group + "/node_ids", H5T_STD_U64LE, 8, 0);
            view.timestamps = series(group + "/timestamps", H5T_IEEE_F64LE, 8, 0);
            SPIKELOCK_TRY(make_series(view.node_ids, kSpikesPerChunk));
            SPIKELOCK_TRY(make_series(view.timestamps, kSpikesPerChunk));
            SPIKELOCK_TRY(put_text(view.timestamps.dataset.get(), "units", "ms"));
            const Handle object = group_handle(H5Gopen2(root, group.c_str(), H5P_DEFAULT));
            SPIKELOCK_TRY(put_text(object.get(), "sorting", "by_time"));
            sonata_.push_back(std::move(view));
        }
    }
    last_flush_ = Clock::now();
    return bring_to_disk();
}

Status Hdf5Writer::put_chunk(Series& series, std::uint64_t row, std::uint64_t rows_after,
                             std::span<const std::byte> raw, std::vector<ChunkPlace>* places,
                             std::uint32_t number) {
    const std::span<const std::byte> packed = series.compressor.compress(raw);
    hsize_t before = 0;
    H5Fget_filesize(file_.get(), &before);
    SPIKELOCK_TRY(space_.reserve(before + packed.size() + kMetadataSlack));
    const std::array<hsize_t, 2> extent = {rows_after, series.columns};
    const std::array<hsize_t, 2> offset = {row, 0};
    if (H5Dset_extent(series.dataset.get(), extent.data()) < 0 ||
        H5Dwrite_chunk(series.dataset.get(), H5P_DEFAULT, 0, offset.data(), packed.size(),
                       packed.data()) < 0) {
        return hdf5_error("writing " + series.path);
    }
    series.rows = rows_after;
    if (places == nullptr) return {};
    stored_bytes_ += packed.size();
    raw_bytes_ += raw.size();
    // The chunk is where the file ended, but for the first one of a dataset, before which HDF5
    // places the chunk index. Its last bytes are the checksum of its contents.
    std::uint64_t address = before;
    std::array<std::byte, 16> there{};
    const std::size_t tail = std::min(there.size(), packed.size());
    const auto last = packed.subspan(packed.size() - tail);
    const ssize_t got = ::pread(space_.fd(), there.data(), tail,
                                static_cast<off_t>(address + packed.size() - tail));
    if (got != static_cast<ssize_t>(tail) || std::memcmp(there.data(), last.data(), tail) != 0) {
        unsigned mask = 0;
        haddr_t found = HADDR_UNDEF;
        hsize_t size = 0;
        if (H5Dget_chunk_info_by_coord(series.dataset.get(), offset.data(), &mask, &found, &size) <
                0 ||
            found == HADDR_UNDEF) {
            return hdf5_error("locating a chunk of " + series.path);
        }
        address = found;
    }
    places->push_back({number, checksum(packed), address, packed.size()});
    return {};
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
    SPIKELOCK_TRY(put_chunk(spikes_, row, after, bytes(spike_rows_), &places, kSpikesDataset));
    if (shape_.counts) {
        SPIKELOCK_TRY(put_chunk(counts_, row, after, bytes(count_rows_), &places, kCountsDataset));
    }
    if (any_invalid_) {
        std::fill(valid_rows_.begin() + rows_, valid_rows_.end(), std::uint8_t{0});
        if (!valid_.dataset) SPIKELOCK_TRY(make_series(valid_, chunk_steps_));
        SPIKELOCK_TRY(put_chunk(valid_, row, after, bytes(valid_rows_), &places, kValidDataset));
    }
    const auto n_fields = static_cast<std::uint32_t>(fields_.size());
    for (std::uint32_t f = 0; f < n_fields; ++f) {
        SPIKELOCK_TRY(put_chunk(fields_[f], row, after, bytes(field_rows_[f]), &places,
                                kFirstFieldDataset + f));
        if (any_masked_[f] == 0 || all_valid(mask_rows_[f])) continue;
        std::fill(mask_rows_[f].begin() + static_cast<std::ptrdiff_t>(rows_ * words),
                  mask_rows_[f].end(), 0);
        if (!masks_[f].dataset) SPIKELOCK_TRY(make_series(masks_[f], chunk_steps_));
        SPIKELOCK_TRY(put_chunk(masks_[f], row, after, bytes(mask_rows_[f]), &places,
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
    SPIKELOCK_TRY(
        put_chunk(p.node_ids, row, after, std::as_bytes(std::span(p.pending_ids)), nullptr, 0));
    SPIKELOCK_TRY(
        put_chunk(p.timestamps, row, after, std::as_bytes(std::span(p.pending_times)), nullptr, 0));
    p.pending_ids.clear();
    p.pending_times.clear();
    return {};
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
        hsize_t size = 0;
        H5Fget_filesize(file_.get(), &size);
        SPIKELOCK_TRY(space_.reserve(size + 2 * bytes + kMetadataSlack));
        SPIKELOCK_TRY(index_->add(
            IndexRecord::Samples,
            samples_to_json(samples).dump(-1, ' ', false, json::error_handler_t::replace)));
        const std::size_t count = samples.size();
        const Handle text = type_handle(H5Tcopy(H5T_C_S1));
        H5Tset_size(text.get(), H5T_VARIABLE);
        H5Tset_cset(text.get(), H5T_CSET_UTF8);
        SPIKELOCK_TRY(
            append_plain(sample_begin_, H5T_NATIVE_UINT64, n_samples_, count, begin.data()));
        SPIKELOCK_TRY(append_plain(sample_end_, H5T_NATIVE_UINT64, n_samples_, count, end.data()));
        SPIKELOCK_TRY(
            append_plain(sample_start_, H5T_NATIVE_UINT8, n_samples_, count, start.data()));
        return append_plain(sample_label_, text.get(), n_samples_, count, label.data());
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
        hsize_t size = 0;
        H5Fget_filesize(file_.get(), &size);
        SPIKELOCK_TRY(space_.reserve(size + 48 * differences.size() + kMetadataSlack));
        SPIKELOCK_TRY(index_->add(IndexRecord::Difference, std::as_bytes(differences)));
        if (!diff_step_) {
            SPIKELOCK_TRY(make_group("/expected_differences"));
            SPIKELOCK_TRY(make_plain("/expected_differences/timestep", H5T_STD_U64LE, diff_step_));
            SPIKELOCK_TRY(make_plain("/expected_differences/neuron", H5T_STD_U32LE, diff_neuron_));
            SPIKELOCK_TRY(make_plain("/expected_differences/field", H5T_STD_I32LE, diff_field_));
            SPIKELOCK_TRY(make_plain("/expected_differences/value", H5T_STD_I64LE, diff_value_));
            SPIKELOCK_TRY(put_text(diff_field_.get(), "meaning",
                                   "index in the shape's fields, -1 for spike"));
        }
        const std::uint64_t at = n_differences_;
        const std::size_t count = differences.size();
        SPIKELOCK_TRY(append_plain(diff_step_, H5T_NATIVE_UINT64, at, count, step.data()));
        SPIKELOCK_TRY(append_plain(diff_neuron_, H5T_NATIVE_UINT32, at, count, neuron.data()));
        SPIKELOCK_TRY(append_plain(diff_field_, H5T_NATIVE_INT32, at, count, field.data()));
        return append_plain(diff_value_, H5T_NATIVE_INT64, at, count, value.data());
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
        hsize_t size = 0;
        H5Fget_filesize(file_.get(), &size);
        SPIKELOCK_TRY(space_.reserve(size + 2 * text.size() + kMetadataSlack));
        const json record = {{"name", name}, {"text", std::string(text)}};
        SPIKELOCK_TRY(index_->add(IndexRecord::Attribute,
                                  record.dump(-1, ' ', false, json::error_handler_t::replace)));
        return put_text(file_.get(), name, text);
    };
    if (Status ok = write(); !ok) return fail(std::move(ok.error()));
    return {};
}

Status Hdf5Writer::mark(bool complete) {
    SPIKELOCK_TRY(put_number(file_.get(), "n_steps", static_cast<std::int64_t>(written_)));
    SPIKELOCK_TRY(put_number(file_.get(), "n_samples", static_cast<std::int64_t>(n_samples_)));
    SPIKELOCK_TRY(put_number(file_.get(), "complete", std::int64_t{complete ? 1 : 0}));
    // Chunks that are all valid are not stored; the extent says that they were recorded.
    const std::array<hsize_t, 2> extent = {written_, shape_.spike_words()};
    if (valid_.dataset) H5Dset_extent(valid_.dataset.get(), extent.data());
    for (Series& mask : masks_) {
        if (mask.dataset) H5Dset_extent(mask.dataset.get(), extent.data());
    }
    return {};
}

Status Hdf5Writer::bring_to_disk() {
    if (H5Fflush(file_.get(), H5F_SCOPE_GLOBAL) < 0) return hdf5_error("flushing the trace");
    return {};
}

// Timesteps that a kill would lose go to the index as they are, each once.
Status Hdf5Writer::log_rows() {
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
        return bring_to_disk();
    };
    if (Status ok = work(); !ok) return fail(std::move(ok.error()));
    last_flush_ = Clock::now();
    return {};
}

Status Hdf5Writer::finish(bool complete) {
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
    if (file_) {
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
    if (file_ && !failed_) {
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
    const bool had_file = static_cast<bool>(file_);
    const bool ok = file_.reset();
    space_.release();
    if (!ok && !failed_) {
        failed_ = Error{Errc::Io, "closing the trace failed: " + hdf5_reason(), path_};
    }
    // Without a readable file the index is what recovery needs.
    if (index_ && (ok || !had_file)) index_->remove();
    index_.reset();
    return failed_ ? Status(*failed_) : Status{};
}

#undef SPIKELOCK_TRY
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

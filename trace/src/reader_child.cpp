// SPDX-License-Identifier: Apache-2.0
#include "reader_child.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <tuple>

#include "deflate.hpp"
#include "hdf5_handle.hpp"
#include "hdf5_output.hpp"
#include "shape_json.hpp"
#include "spikelock/base/isolate.hpp"
#include "spikelock/trace/trace_writer.hpp"
#include "stored_list.hpp"

namespace spikelock::trace::detail {

SlotLayout::SlotLayout(const Shape& shape, std::uint64_t rows) {
    const std::size_t n = shape.n_neurons;
    const std::size_t words = rows * shape.spike_words() * 8;
    const auto place = [this](std::size_t bytes) {
        const std::size_t at = size;
        size += (bytes + 63) / 64 * 64;
        return at;
    };
    spikes = place(words);
    counts = place(shape.counts ? rows * n * 2 : 0);
    valid = place(rows);
    for (const FieldSpec& f : shape.fields) {
        fields.push_back(place(rows * n * static_cast<std::size_t>(f.bytes)));
    }
    for (std::size_t f = 0; f < shape.fields.size(); ++f) masks.push_back(place(words));
}

namespace {
using nlohmann::json;

constexpr std::uint64_t kMostRows = 1ULL << 48;
constexpr std::uint64_t kMostSamples = 1ULL << 22;
constexpr std::size_t kMostBands = 64;
constexpr std::uint64_t kMostBandWidth = 1ULL << 24;

// One stored array, with what is needed to decode its chunks without HDF5's filter pipeline.
struct Stored {
    std::string path;
    Handle dataset;
    hid_t memory_type = H5I_INVALID_HID;
    std::size_t element_bytes = 1;
    std::size_t columns = 0;       // 0: one-dimensional
    std::uint64_t rows = 0;        // extent
    std::uint64_t chunk_rows = 0;  // 0: chunks of another make, read through HDF5
    std::size_t row_bytes() const { return element_bytes * std::max<std::size_t>(columns, 1); }
};

Reply refusal(std::span<std::byte> slot, Errc code, std::string_view text) {
    Reply reply;
    reply.errc = static_cast<std::uint16_t>(code);
    reply.size = std::min(text.size(), slot.size());
    std::memcpy(slot.data(), text.data(), reply.size);
    return reply;
}

// A list with what is needed to find entries by their timestep.
struct StoredEntries {
    std::vector<Stored> columns;
    std::uint64_t count = 0;  // entries
    // Where the last request ended: reading goes on from there.
    std::uint64_t next_entry = 0;
    std::uint64_t next_step = 0;
};

class Child final : public TraceFile {
public:
    Child(std::string path, std::span<const std::span<std::byte>> slots)
        : path_(std::move(path)), slots_(slots.begin(), slots.end()) {}

    Reply serve(const Request& request) override {
        const std::uint32_t slot = request.slot < slots_.size() ? request.slot : 0;
        try {
            return answer(request);
        } catch (const std::bad_alloc&) {
            return refusal(slots_[slot], Errc::Limit, "reading it needs more memory than allowed");
        } catch (const std::exception& e) {
            return refusal(slots_[slot], Errc::BadFormat, e.what());
        }
    }

private:
    Reply answer(const Request& request) {
        if (request.slot >= slots_.size()) return refuse(0, Errc::Internal, "no such slot");
        slot_ = request.slot;
        switch (request.what) {
            case ChildRequest::Open:
                return open();
            case ChildRequest::Rows:
                return rows(request.first, request.count);
            case ChildRequest::Differences:
                return differences(request.first, request.count);
            case ChildRequest::Stimulus:
                return stimulus(request.first, request.count, request.skip);
            case ChildRequest::SideBand:
                return side_band(request.first, request.count, request.skip);
        }
        return refuse(slot_, Errc::Internal, "no such request");
    }

    Reply refuse(std::uint32_t slot, Errc code, std::string_view text) {
        return refusal(slots_[slot], code, text);
    }
    Reply bad(const std::string& text) { return refuse(slot_, Errc::BadFormat, text); }

    std::optional<std::int64_t> number(const char* name) { return number(file_.get(), name); }

    static std::optional<std::int64_t> number(hid_t object, const char* name) {
        const Handle attribute = attribute_handle(H5Aopen(object, name, H5P_DEFAULT));
        if (!attribute) return std::nullopt;
        const Handle space = space_handle(H5Aget_space(attribute.get()));
        const Handle type = type_handle(H5Aget_type(attribute.get()));
        std::int64_t value = 0;
        if (H5Sget_simple_extent_npoints(space.get()) != 1 ||
            H5Tget_class(type.get()) != H5T_INTEGER ||
            H5Aread(attribute.get(), H5T_NATIVE_INT64, &value) < 0) {
            return std::nullopt;
        }
        return value;
    }

    std::optional<std::string> text(const char* name) { return text(file_.get(), name); }

    static std::optional<std::string> text(hid_t object, const char* name) {
        const Handle attribute = attribute_handle(H5Aopen(object, name, H5P_DEFAULT));
        if (!attribute) return std::nullopt;
        const Handle space = space_handle(H5Aget_space(attribute.get()));
        const Handle type = type_handle(H5Aget_type(attribute.get()));
        if (H5Sget_simple_extent_npoints(space.get()) != 1 ||
            H5Tget_class(type.get()) != H5T_STRING) {
            return std::nullopt;
        }
        const Handle memory = type_handle(H5Tcopy(H5T_C_S1));
        H5Tset_cset(memory.get(), H5Tget_cset(type.get()));
        if (H5Tis_variable_str(type.get()) > 0) {
            H5Tset_size(memory.get(), H5T_VARIABLE);
            char* characters = nullptr;
            if (H5Aread(attribute.get(), memory.get(), &characters) < 0) return std::nullopt;
            std::string value = characters == nullptr ? "" : characters;
            H5free_memory(characters);
            return value;
        }
        std::string value(H5Tget_size(type.get()) + 1, '\0');
        H5Tset_size(memory.get(), value.size());
        if (H5Aread(attribute.get(), memory.get(), value.data()) < 0) return std::nullopt;
        value.resize(std::strlen(value.c_str()));
        return value;
    }

    // Opens a dataset and checks its class and shape; an empty text is success.
    std::string open_stored(Stored& s, H5T_class_t cls) {
        s.dataset = dataset_handle(H5Dopen2(file_.get(), s.path.c_str(), H5P_DEFAULT));
        if (!s.dataset) return "expected a dataset " + s.path;
        const Handle space = space_handle(H5Dget_space(s.dataset.get()));
        const Handle type = type_handle(H5Dget_type(s.dataset.get()));
        const int rank = s.columns == 0 ? 1 : 2;
        std::array<hsize_t, 2> extent = {0, 0};
        if (H5Sget_simple_extent_ndims(space.get()) != rank ||
            H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr) != rank ||
            (rank == 2 && extent[1] != s.columns)) {
            return s.path + ": expected the shape (n_steps" +
                   (rank == 2 ? ", " + std::to_string(s.columns) + ")" : ")");
        }
        if (H5Tget_class(type.get()) != cls || H5Tget_size(type.get()) != s.element_bytes) {
            return s.path + ": expected elements of " + std::to_string(s.element_bytes) + " bytes";
        }
        s.rows = extent[0];
        if (s.rows > kMostRows) return s.path + ": absurdly long";
        // Chunks as the writer makes them can be decoded directly.
        const Handle list = list_handle(H5Dget_create_plist(s.dataset.get()));
        std::array<hsize_t, 2> chunk = {0, 0};
        const int filters = H5Pget_nfilters(list.get());
        const bool shuffled = s.element_bytes > 1;
        if (H5Pget_layout(list.get()) == H5D_CHUNKED &&
            H5Pget_chunk(list.get(), rank, chunk.data()) == rank &&
            (rank == 1 || chunk[1] == s.columns) && filters == (shuffled ? 2 : 1) &&
            filter(list, 0) == (shuffled ? H5Z_FILTER_SHUFFLE : H5Z_FILTER_DEFLATE) &&
            filter(list, filters - 1) == H5Z_FILTER_DEFLATE &&
            H5Tequal(type.get(), s.memory_type) > 0 &&
            chunk[0] * s.row_bytes() <= (std::uint64_t{1} << 30)) {
            s.chunk_rows = chunk[0];
        }
        return {};
    }

    static H5Z_filter_t filter(const Handle& list, int index) {
        unsigned flags = 0;
        size_t values = 0;
        return H5Pget_filter2(list.get(), static_cast<unsigned>(index), &flags, &values, nullptr, 0,
                              nullptr, nullptr);
    }

    // Rows first .. first+count-1 of a dataset into memory. Where a chunk may be absent (validity,
    // masks), absent means all ones. An empty text is success.
    std::string read_rows(Stored& s, std::uint64_t first, std::uint64_t count,
                          std::span<std::byte> into, bool ones_where_absent) {
        if (s.chunk_rows == 0) {
            const std::array<hsize_t, 2> start = {first, 0};
            const std::array<hsize_t, 2> size = {count, s.columns};
            const int rank = s.columns == 0 ? 1 : 2;
            const Handle memory = space_handle(H5Screate_simple(rank, size.data(), nullptr));
            const Handle space = space_handle(H5Dget_space(s.dataset.get()));
            if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(),
                                    nullptr) < 0 ||
                H5Dread(s.dataset.get(), s.memory_type, memory.get(), space.get(), H5P_DEFAULT,
                        into.data()) < 0) {
                return s.path + ": " + hdf5_reason();
            }
            return {};
        }
        const std::size_t row = s.row_bytes();
        const std::size_t chunk_bytes = s.chunk_rows * row;
        for (std::uint64_t at = first; at < first + count;) {
            const std::uint64_t chunk = at / s.chunk_rows * s.chunk_rows;
            const std::uint64_t end = std::min(chunk + s.chunk_rows, first + count);
            const auto target = into.subspan((at - first) * row, (end - at) * row);
            const std::array<hsize_t, 2> offset = {chunk, 0};
            hsize_t stored = 0;
            if (H5Dget_chunk_storage_size(s.dataset.get(), offset.data(), &stored) < 0) stored = 0;
            if (stored == 0) {
                if (!ones_where_absent) {
                    return s.path + ": the chunk at row " + std::to_string(chunk) + " is missing";
                }
                const bool words = s.element_bytes == 8;
                std::fill(target.begin(), target.end(), words ? std::byte{0xff} : std::byte{1});
                at = end;
                continue;
            }
            if (stored > 2 * chunk_bytes + (1U << 20)) {
                return s.path + ": the chunk at row " + std::to_string(chunk) + " is too large";
            }
            packed_.resize(stored);
            std::uint32_t mask = 0;
            if (H5Dread_chunk(s.dataset.get(), H5P_DEFAULT, offset.data(), &mask, packed_.data()) <
                    0 ||
                mask != 0) {
                return s.path + ": the chunk at row " + std::to_string(chunk) + " is unreadable";
            }
            const bool whole = target.size() == chunk_bytes;
            if (!whole) plain_.resize(chunk_bytes);
            const std::span<std::byte> plain = whole ? target : std::span(plain_);
            if (!decompress(packed_, s.element_bytes, plain)) {
                return s.path + ": the chunk at row " + std::to_string(chunk) + " is damaged";
            }
            if (!whole) {
                std::memcpy(target.data(), plain.data() + (at - chunk) * row, target.size());
            }
            at = end;
        }
        return {};
    }

    Reply open() {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return refuse(slot_, errno == ENOENT ? Errc::NotFound : Errc::Io,
                          std::string("cannot open the trace: ") + std::strerror(errno));
        }
        std::array<unsigned char, 8> head{};
        const ssize_t got = ::read(fd, head.data(), head.size());
        ::close(fd);
        constexpr std::array<unsigned char, 8> kSignature = {0x89, 'H',  'D',  'F',
                                                             '\r', '\n', 0x1a, '\n'};
        if (got == 0) {
            return refuse(slot_, Errc::Truncated, "empty file, expected a trace (HDF5)");
        }
        if (got < 0 || head != kSignature) {
            return bad("not an HDF5 file, expected a trace recorded by spikelock");
        }
        const Handle access = list_handle(H5Pcreate(H5P_FILE_ACCESS));
        // Another driver than the writer's: where this process was forked from one that is
        // recording the same file, HDF5 would otherwise hand out the inherited, half-written state
        // of it.
        H5Pset_fapl_stdio(access.get());
        H5Pset_file_locking(access.get(), false, true);
        file_ = file_handle(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, access.get()));
        if (!file_) {
            return refuse(slot_, Errc::Truncated,
                          "a truncated or damaged HDF5 file: " + hdf5_reason());
        }
        if (text("format").value_or("") != "spikelock-trace") {
            return bad(
                "an HDF5 file, but not a trace: expected the attribute format = "
                "'spikelock-trace'");
        }
        const auto version = number("format_version");
        if (!version) return bad("expected an integer attribute 'format_version'");
        if (*version != 1) {
            return refuse(slot_, Errc::Unsupported,
                          "trace format version " + std::to_string(*version) +
                              "; this reader knows version 1");
        }
        const auto n_steps = number("n_steps");
        const auto first = number("first_step");
        const auto complete = number("complete");
        const auto shape_text = text("shape");
        if (!n_steps || !first || !complete || !shape_text || *n_steps < 0 || *first < 0 ||
            static_cast<std::uint64_t>(*n_steps) > kMostRows ||
            static_cast<std::uint64_t>(*first) > kMostRows) {
            return bad("expected the attributes 'n_steps', 'first_step', 'complete' and 'shape'");
        }
        n_steps_ = static_cast<std::uint64_t>(*n_steps);
        first_step_ = static_cast<std::uint64_t>(*first);
        const json shape_json = json::parse(*shape_text, nullptr, false);
        auto shape = shape_from_json(shape_json);
        if (!shape) return bad("attribute 'shape': " + shape.error().message);
        shape_ = std::move(*shape);

        const std::size_t n = shape_.n_neurons;
        const std::size_t words = shape_.spike_words();
        const auto make = [](std::string path, hid_t type, std::size_t element,
                             std::size_t columns) {
            Stored s;
            s.path = std::move(path);
            s.memory_type = type;
            s.element_bytes = element;
            s.columns = columns;
            return s;
        };
        const auto exists = [this](const std::string& path) {
            return H5Lexists(file_.get(), path.c_str(), H5P_DEFAULT) > 0;
        };
        spikes_ = make("/trace/spike_bits", H5T_STD_U64LE, 8, words);
        if (auto fault = open_stored(spikes_, H5T_INTEGER); !fault.empty()) return bad(fault);
        std::uint64_t shortest = spikes_.rows;
        if (shape_.counts) {
            counts_ = make("/trace/counts", H5T_STD_U16LE, 2, n);
            if (auto fault = open_stored(counts_, H5T_INTEGER); !fault.empty()) return bad(fault);
            shortest = std::min(shortest, counts_.rows);
        }
        fields_.clear();
        masks_.clear();
        for (const FieldSpec& f : shape_.fields) {
            const hid_t type = f.is_float     ? H5T_IEEE_F64LE
                               : f.bytes == 1 ? (f.is_signed ? H5T_STD_I8LE : H5T_STD_U8LE)
                               : f.bytes == 2 ? (f.is_signed ? H5T_STD_I16LE : H5T_STD_U16LE)
                               : f.bytes == 4 ? (f.is_signed ? H5T_STD_I32LE : H5T_STD_U32LE)
                                              : (f.is_signed ? H5T_STD_I64LE : H5T_STD_U64LE);
            Stored s = make("/trace/fields/" + f.name, type, static_cast<std::size_t>(f.bytes), n);
            const H5T_class_t cls = f.is_float ? H5T_FLOAT : H5T_INTEGER;
            if (auto fault = open_stored(s, cls); !fault.empty()) return bad(fault);
            shortest = std::min(shortest, s.rows);
            fields_.push_back(std::move(s));
            Stored mask = make("/trace/masks/" + f.name, H5T_STD_U64LE, 8, words);
            if (exists("/trace/masks") && exists(mask.path)) {
                if (auto fault = open_stored(mask, H5T_INTEGER); !fault.empty()) return bad(fault);
            }
            masks_.push_back(std::move(mask));
        }
        valid_ = make("/trace/valid", H5T_STD_U8LE, 1, 0);
        if (exists(valid_.path)) {
            if (auto fault = open_stored(valid_, H5T_INTEGER); !fault.empty()) return bad(fault);
        }
        for (auto& [list, spec, wanted] : {std::tuple(&events_, spike_list(), shape_.events),
                                           std::tuple(&taken_, taken_list(), shape_.order)}) {
            *list = {};
            if (!wanted) continue;
            if (auto fault = open_list(*list, spec); !fault.empty()) return bad(fault);
        }
        json applied = nullptr;
        if (exists("/stimulus")) {
            if (auto fault = open_stimulus(applied); !fault.empty()) return bad(fault);
        }
        if (shortest < n_steps_) {
            return refuse(slot_, Errc::Truncated,
                          "the datasets hold " + std::to_string(shortest) +
                              " timesteps, the attribute n_steps says " + std::to_string(n_steps_));
        }

        json samples = json::array();
        if (auto fault = read_samples(samples); !fault.empty()) return bad(fault);
        json attributes = json::object();
        const auto collect = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
            static_cast<std::vector<std::string>*>(data)->emplace_back(name);
            return 0;
        };
        std::vector<std::string> names;
        H5Aiterate2(file_.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect, &names);
        for (const std::string& name : names) {
            if (auto value = text(name.c_str())) attributes[name] = *value;
        }
        const json answer = {{"shape", shape_json},
                             {"n_steps", n_steps_},
                             {"first_step", *first},
                             {"complete", *complete != 0},
                             {"chunk_steps", spikes_.chunk_rows},
                             {"samples", samples},
                             {"stimulus", applied},
                             {"attributes", attributes}};
        const std::string dumped = answer.dump(-1, ' ', false, json::error_handler_t::replace);
        if (dumped.size() > slots_[slot_].size()) {
            return refuse(slot_, Errc::Limit, "more samples and attributes than 64 MiB");
        }
        std::memcpy(slots_[slot_].data(), dumped.data(), dumped.size());
        Reply reply;
        reply.size = dumped.size();
        return reply;
    }

    template <typename T>
    std::string read_column(const char* name, hid_t type, std::uint64_t first, std::uint64_t count,
                            std::vector<T>& into) {
        const Handle dataset = dataset_handle(H5Dopen2(file_.get(), name, H5P_DEFAULT));
        const Handle space = space_handle(dataset ? H5Dget_space(dataset.get()) : H5I_INVALID_HID);
        hsize_t extent = 0;
        if (!dataset || H5Sget_simple_extent_ndims(space.get()) != 1 ||
            H5Sget_simple_extent_dims(space.get(), &extent, nullptr) != 1 ||
            extent < first + count) {
            return std::string("expected ") + name + " with at least " +
                   std::to_string(first + count) + " elements";
        }
        into.resize(count);
        if (count == 0) return {};
        const hsize_t start = first;
        const hsize_t size = count;
        const Handle memory = space_handle(H5Screate_simple(1, &size, nullptr));
        H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &size, nullptr);
        if (H5Dread(dataset.get(), type, memory.get(), space.get(), H5P_DEFAULT, into.data()) < 0) {
            return std::string(name) + ": " + hdf5_reason();
        }
        return {};
    }

    std::string read_samples(json& into) {
        const std::int64_t count = number("n_samples").value_or(0);
        if (count < 0 || static_cast<std::uint64_t>(count) > kMostSamples) {
            return "attribute n_samples out of range";
        }
        const auto n = static_cast<std::uint64_t>(count);
        std::vector<std::uint64_t> begin, end;
        std::vector<std::uint8_t> start;
        std::vector<char*> label;
        const Handle text = type_handle(H5Tcopy(H5T_C_S1));
        H5Tset_size(text.get(), H5T_VARIABLE);
        H5Tset_cset(text.get(), H5T_CSET_UTF8);
        if (n == 0) return {};
        std::string fault = read_column("/samples/begin", H5T_NATIVE_UINT64, 0, n, begin);
        if (fault.empty()) fault = read_column("/samples/end", H5T_NATIVE_UINT64, 0, n, end);
        if (fault.empty()) fault = read_column("/samples/start", H5T_NATIVE_UINT8, 0, n, start);
        if (fault.empty()) fault = read_column("/samples/label", text.get(), 0, n, label);
        if (!fault.empty()) return fault;
        for (std::size_t i = 0; i < n; ++i) {
            into.push_back({{"label", label[i] == nullptr ? "" : label[i]},
                            {"begin", begin[i]},
                            {"end", end[i]},
                            {"start", start[i]}});
            H5free_memory(label[i]);
        }
        return {};
    }

    // Opens the columns of a list; an empty text is success.
    std::string open_list(StoredEntries& list, const ListSpec& spec) {
        list.count = kMostRows;
        for (const ListColumn& column : spec.columns) {
            Stored s;
            s.path = column.path;
            s.memory_type = integer_type(column.bytes, column.is_signed);
            s.element_bytes = column.bytes;
            s.columns = column.width;
            if (auto fault = open_stored(s, H5T_INTEGER); !fault.empty()) return fault;
            list.count = std::min(list.count, s.rows);
            list.columns.push_back(std::move(s));
        }
        return {};
    }

    std::string open_stimulus(json& info) {
        const Handle group = group_handle(H5Gopen2(file_.get(), "/stimulus", H5P_DEFAULT));
        if (!group) return "/stimulus: expected a group";
        const auto first = number(group.get(), "first_step");
        const auto steps = number(group.get(), "n_steps");
        const json bands =
            json::parse(text(group.get(), "side_bands").value_or(""), nullptr, false);
        if (!first || !steps || *first < 0 || *steps < 0 ||
            static_cast<std::uint64_t>(*first) > kMostRows ||
            static_cast<std::uint64_t>(*steps) > kMostRows || !bands.is_array() ||
            bands.size() > kMostBands) {
            return "/stimulus: expected the attributes 'first_step', 'n_steps' and 'side_bands'";
        }
        stimulus_first_ = static_cast<std::uint64_t>(*first);
        stimulus_steps_ = static_cast<std::uint64_t>(*steps);
        stimulus_ = {};
        bands_.clear();
        if (auto fault = open_list(stimulus_, stimulus_list()); !fault.empty()) return fault;
        for (const json& band : bands) {
            const bool good = band.is_object() && band.contains("name") &&
                              band["name"].is_string() && band.contains("width") &&
                              band["width"].is_number_unsigned() && band.contains("recorded") &&
                              band["recorded"].is_boolean();
            const std::uint64_t width = good ? band["width"].get<std::uint64_t>() : 0;
            if (!good || width < 1 || width > kMostBandWidth ||
                !check_name(band["name"].get<std::string>())) {
                return "/stimulus: attribute 'side_bands' names a band that cannot be";
            }
            StoredEntries list;
            if (band["recorded"].get<bool>()) {
                const ListSpec spec = side_band_list(static_cast<std::uint32_t>(bands_.size()),
                                                     band["name"].get<std::string>(),
                                                     static_cast<std::uint32_t>(width));
                if (auto fault = open_list(list, spec); !fault.empty()) return fault;
                if (list.count < stimulus_steps_) {
                    return spec.columns[0].path + ": holds " + std::to_string(list.count) +
                           " timesteps, the attribute n_steps says " +
                           std::to_string(stimulus_steps_);
                }
            }
            bands_.push_back(std::move(list));
        }
        info = {{"first_step", stimulus_first_},
                {"n_steps", stimulus_steps_},
                {"events", stimulus_.count},
                {"side_bands", bands}};
        return {};
    }

    // First entry at or after a timestep. An empty text is success.
    std::string find_entry(StoredEntries& list, std::uint64_t timestep, std::uint64_t& entry) {
        if (list.next_step == timestep) {
            entry = list.next_entry;
            return {};
        }
        std::uint64_t low = 0;
        std::uint64_t high = list.count;
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            std::uint64_t found = 0;
            if (auto fault = read_rows(list.columns[0], middle, 1,
                                       std::as_writable_bytes(std::span(&found, 1)), false);
                !fault.empty()) {
                return fault;
            }
            if (found < timestep) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        entry = low;
        return {};
    }

    // Calls use(timestep, entry in columns_) for the entries of timesteps from..to-1 from `entry`
    // on, until it says no more. An empty text is success.
    template <typename Use>
    std::string each_entry(StoredEntries& list, std::uint64_t entry, std::uint64_t from,
                           std::uint64_t to, Use&& use) {
        constexpr std::uint64_t kPiece = 8192;
        std::uint64_t last = from;
        columns_.resize(list.columns.size());
        while (entry < list.count) {
            // Up to the next multiple, so that a chunk is decoded once.
            const std::uint64_t count = std::min((entry / kPiece + 1) * kPiece, list.count) - entry;
            for (std::size_t c = 0; c < columns_.size(); ++c) {
                columns_[c].resize(count * list.columns[c].row_bytes());
                if (auto fault = read_rows(list.columns[c], entry, count, columns_[c], false);
                    !fault.empty()) {
                    return fault;
                }
            }
            for (std::uint64_t i = 0; i < count; ++i) {
                const auto timestep = column<std::uint64_t>(0, i);
                if (timestep < last) {
                    return list.columns[0].path + ": entry " + std::to_string(entry + i) +
                           " is before the one before it";
                }
                last = timestep;
                if (timestep >= to || !use(timestep, i)) {
                    list.next_step = timestep >= to ? to : ~std::uint64_t{0};
                    list.next_entry = entry + i;
                    return {};
                }
            }
            entry += count;
        }
        list.next_step = to;
        list.next_entry = list.count;
        return {};
    }

    template <typename T>
    T column(std::size_t number, std::uint64_t entry) const {
        T value;
        std::memcpy(&value, columns_[number].data() + entry * sizeof value, sizeof value);
        return value;
    }

    // Ordered spikes and taken events of rows; where they do not fit the slot, of fewer rows.
    std::string lists_of_rows(std::uint64_t first_row, std::uint64_t count, std::size_t at,
                              Reply& reply) {
        const std::span<std::byte> slot = slots_[slot_];
        const std::uint64_t first = first_step_ + first_row;
        std::uint64_t rows = count;
        found_events_.clear();
        found_taken_.clear();
        const auto room = [&] {
            return (slot.size() - at) / (sizeof(SpikeEvent) + sizeof(TakenEvent));
        };
        const auto cut = [&](auto& found) {
            // The last timestep may not be whole.
            rows = found.back().step;
            while (!found.empty() && found.back().step >= rows) found.pop_back();
        };
        const auto read = [&](StoredEntries& list, auto& found, auto&& make) -> std::string {
            std::uint64_t entry = 0;
            if (auto fault = find_entry(list, first, entry); !fault.empty()) return fault;
            auto fault = each_entry(
                list, entry, first, first + rows, [&](std::uint64_t timestep, std::uint64_t i) {
                    found.push_back(make(static_cast<std::uint32_t>(timestep - first), i));
                    return found.size() <= room();
                });
            if (!fault.empty()) return fault;
            if (found.size() > room()) cut(found);
            return {};
        };
        if (shape_.events) {
            auto fault = read(events_, found_events_, [&](std::uint32_t step, std::uint64_t i) {
                return SpikeEvent{step, column<std::uint32_t>(1, i), column<std::uint64_t>(2, i)};
            });
            if (!fault.empty()) return fault;
            for (const SpikeEvent& event : found_events_) {
                if (event.neuron >= shape_.n_neurons) {
                    return events_.columns[1].path + ": no neuron " + std::to_string(event.neuron) +
                           " in " + std::to_string(shape_.n_neurons);
                }
            }
        }
        if (shape_.order) {
            auto fault = read(taken_, found_taken_, [&](std::uint32_t step, std::uint64_t i) {
                return TakenEvent{step, column<std::uint32_t>(2, i), column<std::uint16_t>(1, i)};
            });
            if (!fault.empty()) return fault;
        }
        if (rows == 0) {
            return "timestep " + std::to_string(first) + " has more events than 64 MiB hold";
        }
        while (!found_events_.empty() && found_events_.back().step >= rows) {
            found_events_.pop_back();
        }
        reply.rows = rows;
        reply.events = found_events_.size();
        reply.taken = found_taken_.size();
        const auto put = [&](const auto& values) {
            const auto bytes = std::as_bytes(std::span(values));
            if (!bytes.empty()) std::memcpy(slot.data() + at, bytes.data(), bytes.size());
            at += bytes.size();
        };
        put(found_events_);
        put(found_taken_);
        return {};
    }

    Reply stimulus(std::uint64_t first, std::uint64_t count, std::uint64_t skip) {
        const std::span<std::byte> slot = slots_[slot_];
        if (first < stimulus_first_ || first - stimulus_first_ > stimulus_steps_ ||
            count > stimulus_steps_ - (first - stimulus_first_)) {
            return refuse(slot_, Errc::Internal, "timesteps beyond the stimulus");
        }
        std::uint64_t entry = 0;
        if (auto fault = find_entry(stimulus_, first, entry); !fault.empty()) return bad(fault);
        if (skip > stimulus_.count - entry) {
            return refuse(slot_, Errc::Internal, "entries beyond the stimulus");
        }
        const std::size_t most = slot.size() / sizeof(StimulusEntry);
        std::size_t found = 0;
        const auto fault = each_entry(
            stimulus_, entry + skip, first, first + count,
            [&](std::uint64_t timestep, std::uint64_t i) {
                if (found == most) return false;
                const StimulusEntry e{timestep,
                                      {column<std::uint32_t>(2, i), column<std::uint16_t>(1, i),
                                       column<std::int16_t>(3, i)}};
                std::memcpy(slot.data() + found * sizeof e, &e, sizeof e);
                ++found;
                return true;
            });
        if (!fault.empty()) return bad(fault);
        Reply reply;
        reply.size = found * sizeof(StimulusEntry);
        return reply;
    }

    Reply side_band(std::uint64_t first, std::uint64_t count, std::uint64_t band) {
        if (band >= bands_.size() || bands_[band].columns.empty() || first < stimulus_first_ ||
            first - stimulus_first_ > stimulus_steps_ ||
            count > stimulus_steps_ - (first - stimulus_first_)) {
            return refuse(slot_, Errc::Internal, "no such side band or timesteps");
        }
        Stored& s = bands_[band].columns[0];
        const std::uint64_t rows =
            std::min<std::uint64_t>(count, slots_[slot_].size() / s.row_bytes());
        const auto into = slots_[slot_].first(rows * s.row_bytes());
        const auto fault = read_rows(s, first - stimulus_first_, rows, into, false);
        if (!fault.empty()) return bad(fault);
        Reply reply;
        reply.size = into.size();
        return reply;
    }

    Reply rows(std::uint64_t first, std::uint64_t count) {
        if (first > n_steps_ || count > n_steps_ - first) {
            return refuse(slot_, Errc::Internal, "rows beyond the trace");
        }
        const std::span<std::byte> slot = slots_[slot_];
        const SlotLayout asked(shape_, count);
        if (asked.size > slot.size()) return refuse(slot_, Errc::Internal, "rows beyond the slot");
        Reply reply;
        reply.rows = count;
        if (shape_.events || shape_.order) {
            if (auto wrong = lists_of_rows(first, count, asked.size, reply); !wrong.empty()) {
                return bad(wrong);
            }
            count = reply.rows;
        }
        const SlotLayout layout(shape_, count);
        const std::size_t words = shape_.spike_words();
        const auto part = [&](std::size_t at, const Stored& s) {
            return slot.subspan(at, count * s.row_bytes());
        };
        std::string fault = read_rows(spikes_, first, count, part(layout.spikes, spikes_), false);
        if (fault.empty() && shape_.counts) {
            fault = read_rows(counts_, first, count, part(layout.counts, counts_), false);
        }
        if (fault.empty() && valid_.dataset && valid_.rows >= first + count) {
            const auto into = part(layout.valid, valid_);
            fault = read_rows(valid_, first, count, into, true);
            reply.has_valid = std::any_of(into.begin(), into.end(),
                                          [](std::byte b) { return b != std::byte{1}; });
        }
        for (std::size_t f = 0; f < fields_.size() && fault.empty(); ++f) {
            fault = read_rows(fields_[f], first, count, part(layout.fields[f], fields_[f]), false);
            if (!fault.empty() || !masks_[f].dataset || masks_[f].rows < first + count) continue;
            const auto into = part(layout.masks[f], masks_[f]);
            fault = read_rows(masks_[f], first, count, into, true);
            if (clear_unused(into, words)) reply.masked |= std::uint64_t{1} << f;
        }
        if (fault.empty()) clear_unused(part(layout.spikes, spikes_), words);
        if (!fault.empty()) return bad(fault);
        return reply;
    }

    // Zeroes the bits beyond the last neuron; returns whether any used bit is 0.
    bool clear_unused(std::span<std::byte> rows, std::size_t words) const {
        const std::uint32_t used = shape_.n_neurons % 64;
        const std::uint64_t keep = used == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << used) - 1;
        bool any_zero = false;
        for (std::size_t at = 0; at + 8 <= rows.size(); at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, rows.data() + at, sizeof word);
            const std::uint64_t mask = (at / 8) % words == words - 1 ? keep : ~std::uint64_t{0};
            any_zero = any_zero || (word & mask) != mask;
            if ((word & ~mask) == 0) continue;
            word &= mask;
            std::memcpy(rows.data() + at, &word, sizeof word);
        }
        return any_zero;
    }

    Reply differences(std::uint64_t first, std::uint64_t count) {
        Reply reply;
        if (H5Lexists(file_.get(), "/expected_differences", H5P_DEFAULT) <= 0) return reply;
        const Handle dataset =
            dataset_handle(H5Dopen2(file_.get(), "/expected_differences/timestep", H5P_DEFAULT));
        const Handle space = space_handle(dataset ? H5Dget_space(dataset.get()) : H5I_INVALID_HID);
        const hssize_t stored = space ? H5Sget_simple_extent_npoints(space.get()) : -1;
        if (stored < 0) return bad("expected /expected_differences/timestep");
        const auto all = static_cast<std::uint64_t>(stored);
        if (first >= all) return reply;
        const std::uint64_t most = slots_[slot_].size() / sizeof(ExpectedDifference);
        const std::uint64_t n = std::min({count, all - first, most});
        std::vector<std::uint64_t> step;
        std::vector<std::uint32_t> neuron;
        std::vector<std::int32_t> field;
        std::vector<std::int64_t> value;
        std::string fault =
            read_column("/expected_differences/timestep", H5T_NATIVE_UINT64, first, n, step);
        if (fault.empty()) {
            fault =
                read_column("/expected_differences/neuron", H5T_NATIVE_UINT32, first, n, neuron);
        }
        if (fault.empty()) {
            fault = read_column("/expected_differences/field", H5T_NATIVE_INT32, first, n, field);
        }
        if (fault.empty()) {
            fault = read_column("/expected_differences/value", H5T_NATIVE_INT64, first, n, value);
        }
        if (!fault.empty()) return bad(fault);
        for (std::size_t i = 0; i < n; ++i) {
            const ExpectedDifference d{step[i], neuron[i], field[i], value[i]};
            std::memcpy(slots_[slot_].data() + i * sizeof d, &d, sizeof d);
        }
        reply.size = n * sizeof(ExpectedDifference);
        return reply;
    }

    std::string path_;
    std::vector<std::span<std::byte>> slots_;
    std::uint32_t slot_ = 0;
    Handle file_;
    Shape shape_;
    std::uint64_t n_steps_ = 0;
    std::uint64_t first_step_ = 0;
    Stored spikes_, counts_, valid_;
    std::vector<Stored> fields_, masks_;
    StoredEntries events_, taken_, stimulus_;
    std::vector<StoredEntries> bands_;  // without columns: not recorded
    std::uint64_t stimulus_first_ = 0;
    std::uint64_t stimulus_steps_ = 0;
    std::vector<std::vector<std::byte>> columns_;  // entries being looked at
    std::vector<SpikeEvent> found_events_;
    std::vector<TakenEvent> found_taken_;
    std::vector<std::byte> packed_, plain_;
};

// The parent waits no longer than this either; the limit is for the case that it is gone.
void allow_cpu(double seconds) {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto now = static_cast<rlim_t>(used.ru_utime.tv_sec + used.ru_stime.tv_sec);
    rlimit limit{};
    ::getrlimit(RLIMIT_CPU, &limit);
    limit.rlim_cur = std::min(limit.rlim_max, now + static_cast<rlim_t>(seconds) + 2);
    ::setrlimit(RLIMIT_CPU, &limit);
}
}  // namespace

std::unique_ptr<TraceFile> make_trace_file(std::string path,
                                           std::span<const std::span<std::byte>> slots) {
    return std::make_unique<Child>(std::move(path), slots);
}

void run_reader_child(const std::string& path, int socket,
                      std::span<const std::span<std::byte>> slots, std::uint64_t memory_limit,
                      double time_limit_s) {
    // Copies of other readers' sockets must not outlive the parent.
    close_descriptors_but(std::array{socket});
    confine_child(memory_limit);
    Child file(path, slots);
    for (;;) {
        Request request;
        const ssize_t got = ::recv(socket, &request, sizeof request, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got != static_cast<ssize_t>(sizeof request)) ::_exit(0);
        allow_cpu(time_limit_s);
        const Reply reply = file.serve(request);
        if (::send(socket, &reply, sizeof reply, MSG_NOSIGNAL) !=
            static_cast<ssize_t>(sizeof reply)) {
            ::_exit(0);
        }
    }
}

}  // namespace spikelock::trace::detail

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "deflate.hpp"
#include "shape_json.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "trace_index.hpp"

namespace spikelock::trace {

namespace {
using namespace detail;
using nlohmann::json;

// Owned memory behind a BlockView.
struct Rows {
    std::uint64_t first = 0;  // row, counted from 0
    std::uint32_t steps = 0;
    std::vector<std::uint64_t> spikes;
    std::vector<std::uint16_t> counts;
    std::vector<std::uint8_t> valid;
    std::vector<std::vector<std::byte>> fields;
    std::vector<std::vector<std::uint64_t>> masks;

    BlockView view(std::uint64_t first_step) const {
        BlockView block;
        block.first = first_step + first;
        block.n_steps = steps;
        block.spikes = spikes;
        block.counts = counts;
        block.valid = valid;
        block.fields.assign(fields.begin(), fields.end());
        for (const auto& mask : masks) {
            if (mask.empty()) continue;
            block.masks.assign(masks.begin(), masks.end());
            break;
        }
        return block;
    }
};

// Takes plain values from the front of a record.
class Cursor {
public:
    explicit Cursor(std::span<const std::byte> bytes) : left_(bytes) {}
    template <typename T>
    bool take(T& value) {
        return take_bytes(std::as_writable_bytes(std::span(&value, 1)));
    }
    template <typename T>
    bool take(std::vector<T>& values, std::size_t count) {
        if (count * sizeof(T) > left_.size()) return false;
        values.resize(count);
        return take_bytes(std::as_writable_bytes(std::span(values)));
    }
    std::size_t left() const { return left_.size(); }

private:
    bool take_bytes(std::span<std::byte> into) {
        if (into.size() > left_.size()) return false;
        if (!into.empty()) std::memcpy(into.data(), left_.data(), into.size());
        left_ = left_.subspan(into.size());
        return true;
    }
    std::span<const std::byte> left_;
};

struct Descriptor {
    int fd = -1;
    ~Descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

class Recoverer {
public:
    Recoverer(std::string path, std::string target)
        : path_(std::move(path)), target_(std::move(target)) {}

    Result<Recovery> run(IndexReader& index) {
        file_.fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        if (file_.fd < 0) {
            return Error{Errc::Io, std::string("cannot open the trace: ") + std::strerror(errno),
                         path_};
        }
        IndexRecord type{};
        std::span<const std::byte> payload;
        if (!index.next(type, payload) || type != IndexRecord::Header) {
            return bad("the index holds no header: the recorder was killed before it began");
        }
        if (Status ok = begin(payload); !ok) return ok.error();
        bool more = true;
        bool any_row = false;
        while (more && index.next(type, payload)) {
            Status ok;
            switch (type) {
                case IndexRecord::ChunkRow: {
                    any_row = true;
                    auto kept = chunk_row(payload);
                    if (!kept) return kept.error();
                    more = *kept;
                    break;
                }
                case IndexRecord::Rows:
                    if (auto rows = plain_rows(payload)) pending_.push_back(std::move(*rows));
                    break;
                case IndexRecord::Samples:
                    if (auto samples =
                            samples_from_json(json::parse(text(payload), nullptr, false))) {
                        ok = writer_->add_samples(*samples);
                    }
                    break;
                case IndexRecord::Attribute: {
                    const json a = json::parse(text(payload), nullptr, false);
                    if (a.is_object() && a.contains("name") && a["name"].is_string() &&
                        a.contains("text") && a["text"].is_string()) {
                        ok = writer_->set_attribute(a["name"].get<std::string>(),
                                                    a["text"].get<std::string>());
                    }
                    break;
                }
                case IndexRecord::Difference: {
                    std::vector<ExpectedDifference> differences;
                    Cursor cursor(payload);
                    if (cursor.take(differences, payload.size() / sizeof(ExpectedDifference))) {
                        ok = writer_->add_expected_differences(differences);
                    }
                    break;
                }
                case IndexRecord::Closed: {
                    const json c = json::parse(text(payload), nullptr, false);
                    closed_ = true;
                    found_.complete =
                        c.is_object() && c.contains("complete") && c["complete"] == true;
                    break;
                }
                case IndexRecord::Header:
                    break;
            }
            if (!ok) return ok.error();
        }
        if (any_row && found_.chunks == 0) {
            return bad("no chunk is where the index says: the index is of another file");
        }
        // Timesteps that had not filled a chunk, as far as they follow without gap.
        for (const Rows& rows : pending_) {
            if (rows.first != writer_->n_steps()) continue;
            if (Status ok = writer_->append(rows.view(first_step_)); !ok) return ok.error();
        }
        found_.n_steps = writer_->n_steps();
        if (found_.damaged > 0) closed_ = found_.complete = false;
        if (!closed_) {
            const json note = {{"n_steps", found_.n_steps}, {"damaged", found_.damaged}};
            if (Status ok = writer_->set_attribute("recovered", note.dump()); !ok) {
                return ok.error();
            }
        }
        if (Status ok = writer_->close(found_.complete); !ok) return ok.error();
        return found_;
    }

private:
    static std::string_view text(std::span<const std::byte> bytes) {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    Error bad(const std::string& what) const {
        return Error{Errc::BadFormat, what, index_path(path_)};
    }

    Status begin(std::span<const std::byte> payload) {
        const json header = json::parse(text(payload), nullptr, false);
        const auto number = [&](const char* key) {
            return header.is_object() && header.contains(key) && header[key].is_number_unsigned()
                       ? header[key].get<std::uint64_t>()
                       : 0;
        };
        if (!header.is_object() || !header.contains("shape")) return bad("unreadable header");
        auto shape = shape_from_json(header["shape"]);
        if (!shape) return bad(shape.error().message);
        shape_ = std::move(*shape);
        first_step_ = number("first_step");
        WriterOptions options;
        options.first_step = first_step_;
        options.chunk_steps =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(number("chunk_steps"), UINT32_MAX));
        chunk_steps_ = options.chunk_steps;
        options.flush_seconds = 1e9;
        if (header.contains("sonata") && header["sonata"].is_boolean()) {
            options.sonata = header["sonata"].get<bool>();
        }
        if (header.contains("provenance") && header["provenance"].is_string()) {
            options.provenance = header["provenance"].get<std::string>();
        }
        if (chunk_steps_ == 0) return bad("header without chunk_steps");
        auto writer = TraceWriter::create(target_, shape_, options);
        if (!writer) return writer.error();
        writer_ = std::move(*writer);
        return {};
    }

    // @returns false where a chunk is damaged: what follows cannot be joined on
    Result<bool> chunk_row(std::span<const std::byte> payload) {
        Cursor cursor(payload);
        std::uint64_t first = 0;
        std::uint32_t steps = 0;
        std::uint32_t count = 0;
        std::vector<ChunkPlace> places;
        if (!cursor.take(first) || !cursor.take(steps) || !cursor.take(count) ||
            !cursor.take(places, count) || first != joined_ || steps == 0 || steps > chunk_steps_) {
            ++found_.damaged;
            return false;
        }
        const std::size_t n = shape_.n_neurons;
        const std::size_t words = shape_.spike_words();
        const std::size_t n_fields = shape_.fields.size();
        Rows rows;
        rows.first = first;
        rows.steps = steps;
        rows.fields.resize(n_fields);
        rows.masks.resize(n_fields);
        std::size_t needed = 1 + n_fields + (shape_.counts ? 1 : 0);
        for (const ChunkPlace& place : places) {
            bool ok = false;
            if (place.dataset == kSpikesDataset) {
                ok = load(place, words, rows.spikes, steps);
                --needed;
            } else if (place.dataset == kCountsDataset && shape_.counts) {
                ok = load(place, n, rows.counts, steps);
                --needed;
            } else if (place.dataset == kValidDataset) {
                ok = load(place, 1, rows.valid, steps);
            } else if (place.dataset < kFirstFieldDataset + n_fields) {
                const std::size_t f = place.dataset - kFirstFieldDataset;
                const auto bytes = static_cast<std::size_t>(shape_.fields[f].bytes);
                ok = load(place, n * bytes, rows.fields[f], steps, bytes);
                --needed;
            } else if (place.dataset < kFirstFieldDataset + 2 * n_fields) {
                ok = load(place, words, rows.masks[place.dataset - kFirstFieldDataset - n_fields],
                          steps);
            }
            if (!ok) {
                ++found_.damaged;
                return false;
            }
        }
        if (needed != 0) {
            ++found_.damaged;
            return false;
        }
        if (Status done = writer_->append(rows.view(first_step_)); !done) return done.error();
        joined_ += steps;
        found_.chunks += places.size();
        std::erase_if(pending_, [this](const Rows& r) { return r.first < joined_; });
        return true;
    }

    template <typename T>
    bool load(const ChunkPlace& place, std::size_t columns, std::vector<T>& into,
              std::uint32_t steps, std::size_t element = sizeof(T)) {
        into.resize(chunk_steps_ * columns);
        const auto raw = std::as_writable_bytes(std::span(into));
        if (place.size > 2 * raw.size() + (1U << 20)) return false;
        packed_.resize(place.size);
        std::size_t got = 0;
        while (got < place.size) {
            const ssize_t part = ::pread(file_.fd, packed_.data() + got, place.size - got,
                                         static_cast<off_t>(place.address + got));
            if (part <= 0) return false;
            got += static_cast<std::size_t>(part);
        }
        if (checksum(packed_) != place.crc || !decompress(packed_, element, raw)) return false;
        into.resize(steps * columns);
        return true;
    }

    std::optional<Rows> plain_rows(std::span<const std::byte> payload) {
        Cursor cursor(payload);
        Rows rows;
        std::uint32_t has_valid = 0;
        std::uint64_t masked = 0;
        if (!cursor.take(rows.first) || !cursor.take(rows.steps) || !cursor.take(has_valid) ||
            !cursor.take(masked) || rows.steps == 0 || rows.steps > chunk_steps_) {
            return std::nullopt;
        }
        const std::size_t n = shape_.n_neurons;
        const std::size_t words = rows.steps * shape_.spike_words();
        rows.fields.resize(shape_.fields.size());
        rows.masks.resize(shape_.fields.size());
        bool ok = cursor.take(rows.spikes, words) &&
                  (!shape_.counts || cursor.take(rows.counts, rows.steps * n)) &&
                  (has_valid == 0 || cursor.take(rows.valid, rows.steps));
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            ok = ok &&
                 cursor.take(rows.fields[f],
                             rows.steps * n * static_cast<std::size_t>(shape_.fields[f].bytes));
        }
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            if (((masked >> f) & 1U) != 0) ok = ok && cursor.take(rows.masks[f], words);
        }
        if (!ok || cursor.left() != 0) return std::nullopt;
        return rows;
    }

    std::string path_;
    std::string target_;
    Descriptor file_;
    Shape shape_;
    std::uint64_t first_step_ = 0;
    std::uint32_t chunk_steps_ = 0;
    std::unique_ptr<TraceWriter> writer_;
    std::uint64_t joined_ = 0;  // rows taken from chunks
    std::vector<Rows> pending_;
    std::vector<std::byte> packed_;
    Recovery found_;
    bool closed_ = false;
};
}  // namespace

Result<Recovery> recover_trace(const std::string& path) {
    auto index = IndexReader::open(path);
    if (!index) return index.error();
    const std::string target = path + ".recovering";
    std::error_code ignored;
    auto found = Recoverer(path, target).run(**index);
    if (!found) {
        std::filesystem::remove(target, ignored);
        return found.error();
    }
    // The index goes last: until the new file has its name, recovery can be done again.
    if (std::rename(target.c_str(), path.c_str()) != 0) {
        return Error{Errc::Io, std::string("cannot replace the trace: ") + std::strerror(errno),
                     path};
    }
    std::filesystem::remove(index_path(path), ignored);
    return found;
}

}  // namespace spikelock::trace

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "deflate.hpp"
#include "shape_json.hpp"
#include "spikelock/trace/execution_trace.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "stored_list.hpp"
#include "trace_index.hpp"

namespace spikelock::trace {

namespace {
using namespace detail;
using nlohmann::json;

constexpr std::uint64_t kMostBandWidth = 1U << 24;
constexpr std::size_t kMostBands = 64;
constexpr std::uint64_t kMostStimulusSteps = 65536;  // handed on at once

// Owned memory behind a BlockView.
struct Rows {
    std::uint64_t first = 0;  // row, counted from 0
    std::uint32_t steps = 0;
    std::vector<std::uint64_t> spikes;
    std::vector<std::uint16_t> counts;
    std::vector<std::uint8_t> valid;
    std::vector<std::vector<std::byte>> fields;
    std::vector<std::vector<std::uint64_t>> masks;
    std::vector<SpikeEvent> events;
    std::vector<TakenEvent> taken;

    BlockView view(std::uint64_t first_step) const {
        BlockView block;
        block.first = first_step + first;
        block.n_steps = steps;
        block.spikes = spikes;
        block.counts = counts;
        block.events = events;
        block.taken = taken;
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
                    ok = add_stimulus(kMostStimulusSteps);
                    break;
                }
                case IndexRecord::Rows:
                    if (auto rows = plain_rows(payload)) pending_.push_back(std::move(*rows));
                    break;
                case IndexRecord::ListChunk:
                case IndexRecord::ListEntries:
                    more = list_entries(type, payload);
                    break;
                case IndexRecord::Stimulus:
                    begin_stimulus(payload);
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
        for (Rows& rows : pending_) {
            if (rows.first != writer_->n_steps()) continue;
            take_events(rows);
            if (Status ok = writer_->append(rows.view(first_step_)); !ok) return ok.error();
        }
        if (Status ok = add_stimulus(1); !ok) return ok.error();
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
        if (header.contains("side_bands") && header["side_bands"].is_boolean()) {
            options.side_bands = header["side_bands"].get<bool>();
        }
        if (header.contains("provenance") && header["provenance"].is_string()) {
            options.provenance = header["provenance"].get<std::string>();
        }
        if (chunk_steps_ == 0) return bad("header without chunk_steps");
        side_bands_ = options.side_bands;
        auto writer = TraceWriter::create(target_, shape_, options);
        if (!writer) return writer.error();
        writer_ = std::move(*writer);
        if (shape_.events) lists_.emplace(kSpikeList, spike_list());
        if (shape_.order) lists_.emplace(kTakenList, taken_list());
        return {};
    }

    void begin_stimulus(std::span<const std::byte> payload) {
        const json info = json::parse(text(payload), nullptr, false);
        if (lists_.contains(kStimulusList) || !info.is_object() || !info.contains("first_step") ||
            info["first_step"] != first_step_ || !info.contains("side_bands") ||
            !info["side_bands"].is_array()) {
            return;
        }
        std::vector<SideBand> bands;
        for (const json& band : info["side_bands"]) {
            if (!band.is_object() || !band.contains("name") || !band["name"].is_string() ||
                !band.contains("width") || !band["width"].is_number_unsigned() ||
                band["width"].get<std::uint64_t>() < 1 ||
                band["width"].get<std::uint64_t>() > kMostBandWidth || bands.size() >= kMostBands) {
                return;
            }
            bands.push_back(
                {band["name"].get<std::string>(), band["width"].get<std::uint32_t>(), {}});
            if (!check_name(bands.back().name)) return;
            for (std::size_t i = 0; i + 1 < bands.size(); ++i) {
                if (bands[i].name == bands.back().name) return;
            }
        }
        bands_ = std::move(bands);
        stimulus_next_ = first_step_;
        lists_.emplace(kStimulusList, stimulus_list());
        if (!side_bands_) return;
        for (std::uint32_t b = 0; b < bands_.size(); ++b) {
            lists_.emplace(kFirstSideBandList + b,
                           side_band_list(b, bands_[b].name, bands_[b].width));
        }
    }

    // @returns false where entries are damaged: rows that need them cannot be joined on
    bool list_entries(IndexRecord type, std::span<const std::byte> payload) {
        Cursor cursor(payload);
        ListRecord head;
        if (!cursor.take(head)) return lost(kSpikeList);
        const auto at = lists_.find(head.list);
        // Of a stimulus whose description was damaged nothing is kept.
        if (at == lists_.end()) return true;
        ListJoiner& list = at->second;
        const ListSpec& spec = list.spec();
        if (head.columns != spec.columns.size() || head.count > spec.chunk_entries) {
            return lost(head.list);
        }
        std::vector<std::vector<std::byte>> columns(spec.columns.size());
        if (type == IndexRecord::ListChunk) {
            std::vector<ChunkPlace> places;
            if (!cursor.take(places, head.columns)) return lost(head.list);
            for (std::size_t c = 0; c < columns.size(); ++c) {
                const std::size_t entry = spec.columns[c].entry_bytes();
                if (!load_bytes(places[c], spec.chunk_entries * entry, spec.columns[c].bytes,
                                columns[c])) {
                    return lost(head.list);
                }
                columns[c].resize(head.count * entry);
                ++found_.chunks;
            }
        } else {
            for (std::size_t c = 0; c < columns.size() && head.count > 0; ++c) {
                std::uint32_t size = 0;
                if (!cursor.take(size) || !cursor.take(packed_, size)) return lost(head.list);
                columns[c].resize(head.count * spec.columns[c].entry_bytes());
                if (!decompress(packed_, spec.columns[c].bytes, columns[c])) return lost(head.list);
            }
        }
        // Neurons must exist; what follows relies on it.
        for (std::size_t i = 0; i < head.count && head.list == kSpikeList; ++i) {
            std::uint32_t neuron = 0;
            std::memcpy(&neuron, columns[1].data() + i * sizeof neuron, sizeof neuron);
            if (neuron >= shape_.n_neurons) return lost(head.list);
        }
        if (!list.add(head, columns)) return lost(head.list);
        return true;
    }

    // Entries of a list are damaged.
    // @returns whether rows can still be joined on: they do not need the stimulus
    bool lost(std::uint32_t number) {
        ++found_.damaged;
        if (number < kStimulusList) return false;
        std::erase_if(lists_, [](const auto& item) { return item.first >= kStimulusList; });
        return true;
    }

    // Gives the rows their entries of the lists.
    void take_events(Rows& rows) {
        const std::uint64_t first = first_step_ + rows.first;
        const auto each = [&](std::uint32_t number, auto&& use) {
            const auto at = lists_.find(number);
            if (at == lists_.end()) return;
            ListJoiner& list = at->second;
            list.drop(list.before(first));
            const std::size_t count = list.before(first + rows.steps);
            for (std::size_t i = 0; i < count; ++i) {
                use(list, i, static_cast<std::uint32_t>(list.get<std::uint64_t>(0, i) - first));
            }
            list.drop(count);
        };
        each(kSpikeList, [&](const ListJoiner& list, std::size_t i, std::uint32_t step) {
            rows.events.push_back(
                {step, list.get<std::uint32_t>(1, i), list.get<std::uint64_t>(2, i)});
        });
        each(kTakenList, [&](const ListJoiner& list, std::size_t i, std::uint32_t step) {
            rows.taken.push_back(
                {step, list.get<std::uint32_t>(2, i), list.get<std::uint16_t>(1, i)});
        });
    }

    // Hands on the stimulus of the timesteps that are recovered.
    // @param least  only where it is that of so many timesteps
    Status add_stimulus(std::uint64_t least) {
        const auto at = lists_.find(kStimulusList);
        if (at == lists_.end()) return {};
        ListJoiner& list = at->second;
        std::uint64_t until = std::min(list.until(), first_step_ + writer_->n_steps());
        for (std::uint32_t b = 0; b < bands_.size() && side_bands_; ++b) {
            until = std::min(until, stimulus_next_ + lists_.at(kFirstSideBandList + b).count());
        }
        if (until < stimulus_next_ + least) return {};
        while (stimulus_next_ < until) {
            StimulusBlock block;
            block.first = stimulus_next_;
            block.n_steps = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(until - stimulus_next_, kMostStimulusSteps));
            list.drop(list.before(block.first));
            const std::size_t count = list.before(block.first + block.n_steps);
            std::size_t taken = 0;
            for (std::uint32_t step = 0; step < block.n_steps; ++step) {
                block.event_begin.push_back(static_cast<std::uint32_t>(taken));
                for (; taken < count && list.get<std::uint64_t>(0, taken) == block.first + step;
                     ++taken) {
                    block.events.push_back({list.get<std::uint32_t>(2, taken),
                                            list.get<std::uint16_t>(1, taken),
                                            list.get<std::int16_t>(3, taken)});
                }
            }
            block.event_begin.push_back(static_cast<std::uint32_t>(taken));
            list.drop(count);
            block.side_bands = bands_;
            for (std::uint32_t b = 0; b < bands_.size() && side_bands_; ++b) {
                ListJoiner& band = lists_.at(kFirstSideBandList + b);
                const auto bytes = band.bytes(0, 0, block.n_steps);
                block.side_bands[b].values.resize(bytes.size() / sizeof(std::int32_t));
                std::memcpy(block.side_bands[b].values.data(), bytes.data(), bytes.size());
                band.drop(block.n_steps);
            }
            if (Status ok = writer_->add_stimulus(block); !ok) return ok;
            stimulus_next_ += block.n_steps;
        }
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
        take_events(rows);
        if (Status done = writer_->append(rows.view(first_step_)); !done) return done.error();
        joined_ += steps;
        found_.chunks += places.size();
        std::erase_if(pending_, [this](const Rows& r) { return r.first < joined_; });
        return true;
    }

    template <typename T>
    bool load(const ChunkPlace& place, std::size_t columns, std::vector<T>& into,
              std::uint32_t steps, std::size_t element = sizeof(T)) {
        std::vector<std::byte> raw;
        if (!load_bytes(place, chunk_steps_ * columns * sizeof(T), element, raw)) return false;
        into.resize(steps * columns);
        std::memcpy(into.data(), raw.data(), into.size() * sizeof(T));
        return true;
    }

    // A whole chunk of `bytes` bytes, as its checksum says.
    bool load_bytes(const ChunkPlace& place, std::size_t bytes, std::size_t element,
                    std::vector<std::byte>& raw) {
        if (place.size > 2 * bytes + (1U << 20)) return false;
        packed_.resize(place.size);
        std::size_t got = 0;
        while (got < place.size) {
            const ssize_t part = ::pread(file_.fd, packed_.data() + got, place.size - got,
                                         static_cast<off_t>(place.address + got));
            if (part <= 0) return false;
            got += static_cast<std::size_t>(part);
        }
        raw.resize(bytes);
        return checksum(packed_) == place.crc && decompress(packed_, element, raw);
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
    std::map<std::uint32_t, ListJoiner> lists_;  // by number in the index
    bool side_bands_ = false;                    // recorded
    std::vector<SideBand> bands_;                // names and widths
    std::uint64_t stimulus_next_ = 0;            // timestep
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

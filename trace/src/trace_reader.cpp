// SPDX-License-Identifier: Apache-2.0
#include "spikelock/trace/trace_reader.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <optional>

#include "reader_child.hpp"
#include "shape_json.hpp"
#include "spikelock/base/assert.hpp"
#include "trace_index.hpp"

namespace spikelock::trace {

namespace {
using namespace detail;
using nlohmann::json;

constexpr std::size_t kSlotBytes = 64ULL << 20;  // address space; only touched pages cost memory
constexpr std::size_t kGroupBytes = 4ULL << 20;  // decoded at once, where the chunks are smaller

class Hdf5Reader final : public RecordedTrace {
public:
    Hdf5Reader(std::string path, const ReaderOptions& options)
        : path_(std::move(path)), options_(options) {}
    ~Hdf5Reader() override;

    Status start();

    const Shape& shape() const override { return shape_; }
    Status submit(const StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return 0; }
    Result<std::variant<BlockView, SourceEnd>> read(std::uint32_t max_steps) override;

    const std::string& path() const noexcept override { return path_; }
    std::uint64_t first_step() const noexcept override { return first_step_; }
    std::uint64_t n_steps() const noexcept override { return n_steps_; }
    bool complete() const noexcept override { return complete_; }
    std::span<const Sample> samples() const noexcept override { return samples_; }
    const std::string& provenance() const noexcept override { return provenance_; }
    const std::map<std::string, std::string>& attributes() const noexcept override {
        return attributes_;
    }
    Result<std::vector<ExpectedDifference>> expected_differences(std::uint64_t most) override;
    const RecordedStimulus* recorded_stimulus() const noexcept override {
        return applied_ ? &*applied_ : nullptr;
    }
    Result<StimulusBlock> stimulus(std::uint64_t first, std::uint32_t count) override;
    Status seek(std::uint64_t timestep) override;

private:
    // Rows first .. first+rows-1 in a slot, or on their way into it.
    struct Group {
        std::uint64_t first = 0;
        std::uint64_t rows = 0;
        std::uint64_t asked = 0;  // rows; with many events, not all of them came
        Reply reply;
    };
    std::span<std::byte> slot(std::uint32_t number) const {
        return {memory_ + number * kSlotBytes, kSlotBytes};
    }
    Status describe(const json& meta);
    Status send(const Request& request);
    Result<Reply> receive(std::uint32_t in_slot);
    Result<Reply> ask(const Request& request);
    Error child_is_gone(bool timed_out);
    void end_child() noexcept;
    Status request_group(std::uint32_t in_slot, std::uint64_t row);
    Status drop_prefetch();
    Status load(std::uint64_t row);
    Status take_lists(Group& group, std::uint32_t in_slot);

    std::string path_;
    ReaderOptions options_;
    Shape shape_;
    std::uint64_t first_step_ = 0;
    std::uint64_t n_steps_ = 0;
    bool complete_ = false;
    std::vector<Sample> samples_;
    std::string provenance_;
    std::map<std::string, std::string> attributes_;
    std::optional<RecordedStimulus> applied_;

    pid_t child_ = -1;
    int socket_ = -1;
    std::byte* memory_ = nullptr;
    std::uint64_t group_rows_ = 1;
    std::uint64_t at_ = 0;  // row that the next read starts at
    std::uint32_t current_slot_ = 0;
    std::optional<Group> current_;
    std::optional<Group> coming_;  // asked for, into the other slot
    // Lists of the current group, steps counted from its first row, and of the last block.
    std::vector<SpikeEvent> events_, block_events_;
    std::vector<TakenEvent> taken_, block_taken_;
    std::optional<Error> failed_;
};

Hdf5Reader::~Hdf5Reader() {
    end_child();
    if (memory_ != nullptr) ::munmap(memory_, 2 * kSlotBytes);
}

void Hdf5Reader::end_child() noexcept {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
    if (child_ > 0) {
        ::kill(child_, SIGKILL);
        while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    child_ = -1;
}

Status Hdf5Reader::start() {
    void* memory = ::mmap(nullptr, 2 * kSlotBytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return Error{Errc::Environment, "no memory to read the trace into", path_};
    }
    memory_ = static_cast<std::byte*>(memory);
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return Error{Errc::Environment, std::string("no socket: ") + std::strerror(errno), path_};
    }
    child_ = ::fork();
    if (child_ == 0) {
        const std::array<std::span<std::byte>, 2> slots = {slot(0), slot(1)};
        run_reader_child(path_, ends[1], slots, options_.memory_limit, options_.time_limit_s);
    }
    const int why = errno;
    ::close(ends[1]);
    socket_ = ends[0];
    if (child_ < 0) {
        return Error{Errc::Environment, std::string("cannot fork: ") + std::strerror(why), path_};
    }
    auto reply = ask({ChildRequest::Open, 0, 0, 0, 0});
    if (!reply) return reply.error();
    if (reply->size > kSlotBytes) return Error{Errc::Internal, "reply beyond the slot", path_};
    const auto* text = reinterpret_cast<const char*>(memory_);
    const json meta = json::parse(text, text + reply->size, nullptr, false);
    const auto wrong = [this](const std::string& what) {
        return Error{Errc::BadFormat, what, path_};
    };
    // The child may have been led astray by a damaged file, so its answer is checked like a file.
    try {
        if (Status ok = describe(meta); !ok) return ok;
    } catch (const json::exception&) {
        return wrong("unreadable description");
    }
    return {};
}

Status Hdf5Reader::describe(const json& meta) {
    const auto wrong = [this](const std::string& what) {
        return Error{Errc::BadFormat, what, path_};
    };
    if (!meta.is_object()) return wrong("unreadable description");
    auto shape = shape_from_json(meta.at("shape"));
    if (!shape) return wrong(shape.error().message);
    shape_ = std::move(*shape);
    auto samples = samples_from_json(meta.at("samples"));
    if (!samples) return wrong(samples.error().message);
    samples_ = std::move(*samples);
    first_step_ = meta.at("first_step").get<std::uint64_t>();
    n_steps_ = meta.at("n_steps").get<std::uint64_t>();
    complete_ = meta.at("complete").get<bool>();
    for (const auto& [name, value] : meta.at("attributes").items()) {
        if (name == "provenance") {
            provenance_ = value.get<std::string>();
        } else if (name != "format" && name != "shape") {
            attributes_[name] = value.get<std::string>();
        }
    }
    if (const json& applied = meta.at("stimulus"); applied.is_object()) {
        applied_.emplace();
        applied_->first_step = applied.at("first_step").get<std::uint64_t>();
        applied_->n_steps = applied.at("n_steps").get<std::uint64_t>();
        applied_->n_events = applied.at("events").get<std::uint64_t>();
        for (const json& band : applied.at("side_bands")) {
            applied_->side_bands.push_back({band.at("name").get<std::string>(),
                                            band.at("width").get<std::uint32_t>(),
                                            band.at("recorded").get<bool>()});
            if (applied_->side_bands.back().width == 0) return wrong("a side band without values");
        }
    }
    // Whole chunks at a time, as many as make a few MiB.
    const std::size_t row = std::max<std::size_t>(SlotLayout(shape_, 64).size / 64, 1);
    const std::uint64_t chunk =
        std::max<std::uint64_t>(meta.at("chunk_steps").get<std::uint64_t>(), 1);
    group_rows_ = chunk * std::max<std::uint64_t>(kGroupBytes / std::max(row, row * chunk), 1);
    while (group_rows_ > 1 && SlotLayout(shape_, group_rows_).size > kSlotBytes) group_rows_ /= 2;
    if (SlotLayout(shape_, group_rows_).size > kSlotBytes) {
        return Error{Errc::Limit, "one timestep takes more than 64 MiB", path_};
    }
    return {};
}

Status Hdf5Reader::send(const Request& request) {
    if (failed_) return *failed_;
    if (::send(socket_, &request, sizeof request, MSG_NOSIGNAL) ==
        static_cast<ssize_t>(sizeof request)) {
        return {};
    }
    return child_is_gone(false);
}

Result<Reply> Hdf5Reader::receive(std::uint32_t in_slot) {
    if (failed_) return *failed_;
    using Clock = std::chrono::steady_clock;
    const auto limit = Clock::now() + std::chrono::duration<double>(options_.time_limit_s);
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(limit - Clock::now());
        pollfd wait = {socket_, POLLIN, 0};
        const int ready =
            ::poll(&wait, 1, static_cast<int>(std::clamp<long>(left.count(), 0, 1'000'000)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return child_is_gone(true);
        Reply reply;
        const ssize_t got = ::recv(socket_, &reply, sizeof reply, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got != static_cast<ssize_t>(sizeof reply)) return child_is_gone(false);
        if (reply.errc == 0) return reply;
        const auto* text = reinterpret_cast<const char*>(slot(in_slot).data());
        std::string message(text, std::min<std::size_t>(reply.size, 4096));
        if (has_index(path_)) {
            message +=
                "; the index beside it says that it is being recorded or that its recorder "
                "was killed, in which case it can be recovered";
        }
        return Error{static_cast<Errc>(reply.errc), message, path_};
    }
}

Result<Reply> Hdf5Reader::ask(const Request& request) {
    if (Status ok = send(request); !ok) return ok.error();
    return receive(request.slot);
}

Error Hdf5Reader::child_is_gone(bool timed_out) {
    if (timed_out) {
        failed_ = Error{Errc::Timeout,
                        "reading takes longer than " +
                            std::to_string(static_cast<int>(options_.time_limit_s)) +
                            " s: the file is damaged or the disk stuck",
                        path_};
        end_child();
        return *failed_;
    }
    int status = 0;
    pid_t done = 0;
    while ((done = ::waitpid(child_, &status, 0)) < 0 && errno == EINTR) {
    }
    child_ = -1;
    std::string how = "ended";
    if (done > 0 && WIFSIGNALED(status)) {
        how = "died of signal " + std::to_string(WTERMSIG(status)) + " (" +
              ::strsignal(WTERMSIG(status)) + ")";
    }
    failed_ = Error{Errc::BadFormat,
                    "the process that reads this file " + how + ": the file is damaged", path_};
    end_child();
    return *failed_;
}

Status Hdf5Reader::request_group(std::uint32_t in_slot, std::uint64_t row) {
    Group group;
    group.first = row;
    // Groups start at multiples, so that chunks are decoded once.
    const std::uint64_t end = (row / group_rows_ + 1) * group_rows_;
    group.rows = group.asked = std::min(end, n_steps_) - row;
    if (Status ok = send({ChildRequest::Rows, in_slot, group.first, group.rows, 0}); !ok) return ok;
    coming_ = group;
    return {};
}

Status Hdf5Reader::drop_prefetch() {
    if (!coming_) return {};
    coming_.reset();
    auto reply = receive(1 - current_slot_);
    // What was asked for ahead is not wanted any more, so neither is its error; a dead child is.
    return failed_ ? Status(*failed_) : Status{};
}

Status Hdf5Reader::load(std::uint64_t row) {
    const std::uint32_t other = 1 - current_slot_;
    if (coming_ && coming_->first != row) {
        if (Status ok = drop_prefetch(); !ok) return ok;
    }
    if (!coming_) {
        if (Status ok = request_group(other, row); !ok) return ok;
    }
    Group group = *coming_;
    coming_.reset();
    current_.reset();
    auto reply = receive(other);
    if (!reply) return reply.error();
    group.reply = *reply;
    if (Status ok = take_lists(group, other); !ok) return ok;
    current_ = group;
    current_slot_ = other;
    const std::uint64_t next = group.first + group.rows;
    if (next < n_steps_) return request_group(1 - current_slot_, next);
    return {};
}

// The child may have been led astray, so what it says is checked before it is used.
Status Hdf5Reader::take_lists(Group& group, std::uint32_t in_slot) {
    if (!shape_.events && !shape_.order) return {};
    const Reply& reply = group.reply;
    const std::size_t at = SlotLayout(shape_, group.asked).size;
    const std::size_t room = kSlotBytes - at;
    const auto wrong = [this] { return Error{Errc::BadFormat, "unreadable event list", path_}; };
    if (reply.rows < 1 || reply.rows > group.asked || reply.events > room / sizeof(SpikeEvent) ||
        reply.taken > room / sizeof(TakenEvent) ||
        reply.events * sizeof(SpikeEvent) + reply.taken * sizeof(TakenEvent) > room) {
        return wrong();
    }
    group.rows = reply.rows;
    events_.resize(reply.events);
    taken_.resize(reply.taken);
    const std::byte* from = slot(in_slot).data() + at;
    if (!events_.empty()) {
        std::memcpy(static_cast<void*>(events_.data()), from, events_.size() * sizeof(SpikeEvent));
    }
    if (!taken_.empty()) {
        std::memcpy(static_cast<void*>(taken_.data()), from + events_.size() * sizeof(SpikeEvent),
                    taken_.size() * sizeof(TakenEvent));
    }
    std::uint64_t last = 0;
    for (const SpikeEvent& event : events_) {
        if (event.step < last || event.step >= group.rows || event.neuron >= shape_.n_neurons) {
            return wrong();
        }
        last = event.step;
    }
    last = 0;
    for (const TakenEvent& event : taken_) {
        if (event.step < last || event.step >= group.rows) return wrong();
        last = event.step;
    }
    return {};
}

namespace {
// The entries of steps begin..end-1, counted from begin.
template <typename Event>
void cut_list(const std::vector<Event>& all, std::uint64_t begin, std::uint64_t end,
              std::vector<Event>& into) {
    const auto before = [](const Event& event, std::uint64_t step) { return event.step < step; };
    const auto from = std::lower_bound(all.begin(), all.end(), begin, before);
    into.assign(from, std::lower_bound(from, all.end(), end, before));
    for (Event& event : into) event.step -= static_cast<std::uint32_t>(begin);
}
}  // namespace

Result<std::variant<BlockView, SourceEnd>> Hdf5Reader::read(std::uint32_t max_steps) {
    using Item = std::variant<BlockView, SourceEnd>;
    SPIKELOCK_ASSERT(max_steps >= 1);
    if (failed_) return *failed_;
    if (at_ >= n_steps_) {
        SourceEnd end;
        end.timestep = first_step_ + n_steps_;
        if (!complete_) {
            end.kind = EndKind::Incomplete;
            end.text = attributes_.contains("recovered") ? "recovered after the recorder was killed"
                                                         : "the recording was not closed";
        }
        return Item(end);
    }
    if (!current_ || at_ < current_->first || at_ >= current_->first + current_->rows) {
        if (Status ok = load(at_); !ok) return ok.error();
    }
    const Group& group = *current_;
    const SlotLayout layout(shape_, group.rows);
    const std::byte* base = slot(current_slot_).data();
    const std::size_t skip = at_ - group.first;
    const std::size_t steps = std::min<std::uint64_t>({max_steps, group.rows - skip, UINT32_MAX});
    const std::size_t n = shape_.n_neurons;
    const std::size_t words = shape_.spike_words();
    // The slots are page-aligned and every array in them starts at a multiple of 64 bytes.
    const auto as_words = [&](std::size_t at) {
        return std::span(reinterpret_cast<const std::uint64_t*>(base + at) + skip * words,
                         steps * words);
    };
    BlockView block;
    block.first = first_step_ + at_;
    block.n_steps = static_cast<std::uint32_t>(steps);
    block.spikes = as_words(layout.spikes);
    if (shape_.counts) {
        block.counts = std::span(
            reinterpret_cast<const std::uint16_t*>(base + layout.counts) + skip * n, steps * n);
    }
    if (group.reply.has_valid != 0) {
        block.valid =
            std::span(reinterpret_cast<const std::uint8_t*>(base + layout.valid) + skip, steps);
    }
    for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
        const std::size_t row = n * static_cast<std::size_t>(shape_.fields[f].bytes);
        block.fields.emplace_back(base + layout.fields[f] + skip * row, steps * row);
    }
    if (group.reply.masked != 0) {
        block.masks.resize(shape_.fields.size());
        for (std::size_t f = 0; f < shape_.fields.size(); ++f) {
            if (((group.reply.masked >> f) & 1U) != 0) block.masks[f] = as_words(layout.masks[f]);
        }
    }
    if (shape_.events) {
        cut_list(events_, skip, skip + steps, block_events_);
        block.events = block_events_;
    }
    if (shape_.order) {
        cut_list(taken_, skip, skip + steps, block_taken_);
        block.taken = block_taken_;
    }
    at_ += steps;
    return Item(std::move(block));
}

Result<std::vector<ExpectedDifference>> Hdf5Reader::expected_differences(std::uint64_t most) {
    // The answers use a slot that no view lies in.
    if (Status ok = drop_prefetch(); !ok) return ok.error();
    const std::uint32_t free_slot = 1 - current_slot_;
    std::vector<ExpectedDifference> all;
    while (all.size() < most) {
        auto reply = ask({ChildRequest::Differences, free_slot, all.size(), most - all.size(), 0});
        if (!reply) return reply.error();
        const std::size_t count =
            std::min<std::size_t>(reply->size, kSlotBytes) / sizeof(ExpectedDifference);
        if (count == 0) break;
        const std::size_t before = all.size();
        all.resize(before + count);
        std::memcpy(all.data() + before, slot(free_slot).data(),
                    count * sizeof(ExpectedDifference));
    }
    return all;
}

Result<StimulusBlock> Hdf5Reader::stimulus(std::uint64_t first, std::uint32_t count) {
    if (!applied_) {
        return Error{Errc::NotFound, "the trace does not hold the input that was applied", path_};
    }
    const RecordedStimulus& applied = *applied_;
    if (first < applied.first_step || first - applied.first_step > applied.n_steps ||
        count > applied.n_steps - (first - applied.first_step)) {
        return Error{Errc::NotFound,
                     "no input of timesteps " + std::to_string(first) + ".." +
                         std::to_string(first + count) + ": the trace holds that of " +
                         std::to_string(applied.first_step) + ".." +
                         std::to_string(applied.first_step + applied.n_steps),
                     path_};
    }
    // The answers use a slot that no view lies in.
    if (Status ok = drop_prefetch(); !ok) return ok.error();
    const std::uint32_t free_slot = 1 - current_slot_;
    const auto wrong = [this] { return Error{Errc::BadFormat, "unreadable stimulus", path_}; };
    StimulusBlock block;
    block.first = first;
    block.n_steps = count;
    std::uint64_t next = first;
    for (std::uint64_t had = 0; count > 0;) {
        auto reply = ask({ChildRequest::Stimulus, free_slot, first, count, had});
        if (!reply) return reply.error();
        const std::size_t entries =
            std::min<std::size_t>(reply->size, kSlotBytes) / sizeof(StimulusEntry);
        if (entries == 0) break;
        had += entries;
        if (had > UINT32_MAX) {
            return Error{Errc::Limit, "more than 2^32 input events at once", path_};
        }
        for (std::size_t i = 0; i < entries; ++i) {
            StimulusEntry entry;
            std::memcpy(&entry, slot(free_slot).data() + i * sizeof entry, sizeof entry);
            if (entry.timestep + 1 < next || entry.timestep >= first + count) return wrong();
            for (; next <= entry.timestep; ++next) {
                block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
            }
            block.events.push_back(entry.event);
        }
    }
    block.event_begin.resize(std::size_t{count} + 1,
                             static_cast<std::uint32_t>(block.events.size()));
    for (std::size_t b = 0; b < applied.side_bands.size(); ++b) {
        const RecordedStimulus::Band& band = applied.side_bands[b];
        if (!band.recorded) continue;
        SideBand values{band.name, band.width, {}};
        const std::size_t row = std::size_t{band.width} * sizeof(std::int32_t);
        for (std::uint64_t had = 0; had < count;) {
            auto reply = ask({ChildRequest::SideBand, free_slot, first + had, count - had, b});
            if (!reply) return reply.error();
            const std::size_t rows = std::min<std::size_t>(reply->size, kSlotBytes) / row;
            if (rows == 0 || rows > count - had) return wrong();
            const std::size_t before = values.values.size();
            values.values.resize(before + rows * band.width);
            std::memcpy(values.values.data() + before, slot(free_slot).data(), rows * row);
            had += rows;
        }
        block.side_bands.push_back(std::move(values));
    }
    for (const Sample& sample : samples_) {
        if (sample.begin < first || sample.begin - first >= count) continue;
        block.begins.push_back({static_cast<std::uint32_t>(sample.begin - first), sample.start});
    }
    return block;
}

Status Hdf5Reader::seek(std::uint64_t timestep) {
    if (timestep < first_step_ || timestep - first_step_ > n_steps_) {
        return Error{Errc::NotFound,
                     "no timestep " + std::to_string(timestep) + ": the trace holds " +
                         std::to_string(first_step_) + ".." +
                         std::to_string(first_step_ + n_steps_),
                     path_};
    }
    at_ = timestep - first_step_;
    return {};
}

}  // namespace

bool has_index(const std::string& path) {
    struct stat info{};
    return ::stat(index_path(path).c_str(), &info) == 0;
}

Result<std::unique_ptr<RecordedTrace>> open_trace(const std::string& path,
                                                  const ReaderOptions& options) {
    auto reader = std::make_unique<Hdf5Reader>(path, options);
    if (Status ok = reader->start(); !ok) return ok.error();
    return std::unique_ptr<RecordedTrace>(std::move(reader));
}

Result<ExecutionTrace> load_trace(const std::string& path, std::uint64_t first,
                                  std::uint64_t count) {
    auto reader = open_trace(path);
    if (!reader) return reader.error();
    if (Status ok = (*reader)->seek(first); !ok) return ok.error();
    ExecutionTrace trace((*reader)->shape(), first);
    while (trace.n_steps() < count) {
        const std::uint64_t left = count - trace.n_steps();
        auto item = (*reader)->read(static_cast<std::uint32_t>(
            std::min<std::uint64_t>(left, std::numeric_limits<std::uint32_t>::max())));
        if (!item) return item.error();
        const auto* block = std::get_if<BlockView>(&*item);
        if (block == nullptr) break;
        trace.append(*block);
    }
    for (const Sample& s : (*reader)->samples()) {
        if (s.end > first && s.begin < first + trace.n_steps()) trace.samples().push_back(s);
    }
    return trace;
}

namespace {
// Least and most of one field over the valid values of a block.
template <typename T>
void widen(const FieldSpec& spec, std::span<const std::byte> bytes, double& least, double& most,
           bool& any) {
    T low = std::numeric_limits<T>::max();
    T high = std::numeric_limits<T>::lowest();
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
        T value;
        std::memcpy(&value, bytes.data() + at, sizeof value);
        low = value < low ? value : low;
        high = value > high ? value : high;
    }
    if (low > high) return;
    const double scale = std::ldexp(1.0, spec.is_float ? 0 : -spec.frac_bits);
    const double from = static_cast<double>(low) * scale;
    const double to = static_cast<double>(high) * scale;
    least = any ? std::min(least, from) : from;
    most = any ? std::max(most, to) : to;
    any = true;
}

void widen(const FieldSpec& spec, std::span<const std::byte> bytes, double& least, double& most,
           bool& any) {
    if (spec.is_float) return widen<double>(spec, bytes, least, most, any);
    switch (spec.bytes) {
        case 1:
            return spec.is_signed ? widen<std::int8_t>(spec, bytes, least, most, any)
                                  : widen<std::uint8_t>(spec, bytes, least, most, any);
        case 2:
            return spec.is_signed ? widen<std::int16_t>(spec, bytes, least, most, any)
                                  : widen<std::uint16_t>(spec, bytes, least, most, any);
        case 4:
            return spec.is_signed ? widen<std::int32_t>(spec, bytes, least, most, any)
                                  : widen<std::uint32_t>(spec, bytes, least, most, any);
        default:
            return spec.is_signed ? widen<std::int64_t>(spec, bytes, least, most, any)
                                  : widen<std::uint64_t>(spec, bytes, least, most, any);
    }
}
}  // namespace

Result<TraceStatistics> measure(StepSource& source) {
    const Shape& shape = source.shape();
    const std::size_t n = shape.n_neurons;
    const std::size_t words = shape.spike_words();
    TraceStatistics out;
    out.spike_counts.assign(n, 0);
    for (const FieldSpec& f : shape.fields) out.fields.push_back({f.name, 0.0, 0.0});
    std::vector<std::uint8_t> any(shape.fields.size(), 0);
    for (;;) {
        auto item = source.read(1U << 16);
        if (!item) return item.error();
        if (const auto* end = std::get_if<SourceEnd>(&*item)) {
            out.end = *end;
            break;
        }
        const BlockView& block = std::get<BlockView>(*item);
        out.n_steps += block.n_steps;
        out.events += block.events.size();
        out.taken += block.taken.size();
        for (std::size_t t = 0; t < block.n_steps; ++t) {
            if (!block.valid.empty() && block.valid[t] == 0) continue;
            ++out.valid_steps;
            for (std::size_t w = 0; w < words; ++w) {
                for (std::uint64_t bits = block.spikes[t * words + w]; bits != 0;
                     bits &= bits - 1) {
                    const std::size_t neuron =
                        w * 64 + static_cast<std::size_t>(std::countr_zero(bits));
                    if (neuron >= n) break;
                    out.spike_counts[neuron] +=
                        shape.counts ? block.counts[t * n + neuron] : std::uint64_t{1};
                }
            }
        }
        for (std::size_t f = 0; f < shape.fields.size(); ++f) {
            const FieldSpec& spec = shape.fields[f];
            const auto element = static_cast<std::size_t>(spec.bytes);
            auto& range = out.fields[f];
            bool seen = any[f] != 0;
            const bool masked = f < block.masks.size() && !block.masks[f].empty();
            if (block.valid.empty() && !masked) {
                widen(spec, block.fields[f], range.least, range.most, seen);
            } else {
                for (std::size_t i = 0; i < block.n_steps * n; ++i) {
                    const std::size_t t = i / n;
                    const std::size_t neuron = i % n;
                    if (!block.valid.empty() && block.valid[t] == 0) continue;
                    if (masked &&
                        ((block.masks[f][t * words + neuron / 64] >> (neuron % 64)) & 1U) == 0) {
                        continue;
                    }
                    widen(spec, block.fields[f].subspan(i * element, element), range.least,
                          range.most, seen);
                }
            }
            any[f] = seen ? 1 : 0;
        }
    }
    out.seconds = static_cast<double>(out.n_steps) * shape.dt;
    const double valid_seconds = static_cast<double>(out.valid_steps) * shape.dt;
    const auto rate = [&](std::uint64_t spikes, std::uint64_t neurons) {
        if (out.valid_steps == 0 || neurons == 0) return 0.0;
        return static_cast<double>(spikes) / valid_seconds / static_cast<double>(neurons);
    };
    for (const std::uint64_t count : out.spike_counts) {
        out.spikes += count;
        out.rates_hz.push_back(rate(count, 1));
    }
    for (const Population& p : shape.populations) {
        TraceStatistics::Group group{p.label, p.end - p.begin, 0, 0.0};
        for (std::uint32_t i = p.begin; i < std::min(p.end, shape.n_neurons); ++i) {
            group.spikes += out.spike_counts[i];
        }
        group.rate_hz = rate(group.spikes, group.n_neurons);
        out.populations.push_back(std::move(group));
    }
    return out;
}

}  // namespace spikelock::trace

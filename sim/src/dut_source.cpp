// SPDX-License-Identifier: Apache-2.0
#include "spikelock/sim/dut_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <deque>
#include <optional>
#include <sstream>

#include "fd.hpp"
#include "protocol.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace spikelock::sim {

using detail::Fd;
using trace::BlockView;
using trace::EndKind;
using trace::SourceEnd;

namespace {

using SteadyClock = std::chrono::steady_clock;

// Lists of the host are handed on as they are.
static_assert(sizeof(ListedSpike) == sizeof(trace::SpikeEvent) &&
              offsetof(ListedSpike, clock) == offsetof(trace::SpikeEvent, clock));
static_assert(sizeof(ListedTaken) == sizeof(trace::TakenEvent) &&
              offsetof(ListedTaken, port) == offsetof(trace::TakenEvent, port));

Error system_error(const std::string& what) {
    return {Errc::Environment, what + ": " + std::strerror(errno), {}};
}

/// The host process with its rings.
/// By its program, or since it is fresh from the start-up list.
Status can_begin_in(const std::string& manifest_path, bool can_clear, std::uint64_t timestep,
                    trace::StartState state) {
    if (state == trace::StartState::Keep ||
        (state == trace::StartState::Clear && (can_clear || timestep == 0)))
        return {};
    return Error{Errc::BadConfig,
                 "the sample at timestep " + std::to_string(timestep) + " starts with state '" +
                     std::string(name_of(state)) +
                     "', but the manifest does not say how to bring the core there; give "
                     "[[state.clear]] entries, or start = \"keep\" in [stimulus]",
                 manifest_path};
}

class HostProcess {
public:
    HostProcess() = default;
    HostProcess(const HostProcess&) = delete;
    HostProcess& operator=(const HostProcess&) = delete;
    ~HostProcess() { stop(); }

    Status start(const BuiltHost& host, const manifest::Manifest& m, const DutOptions& options) {
        log_ = options.log;
        wall_limit_s_ = options.wall_limit_s;
        adapter_ = m.adapter.given();
        stop_flag_ = options.stop;
        const std::uint64_t header = align_up(sizeof(SharedHeader), 4096);
        const std::uint64_t ring =
            align_up(std::max<std::uint64_t>(options.ring_bytes, 1 << 16), 4096);
        bytes_ = header + 2 * ring;
        memory_ = Fd(memfd_create("spikelock-ring", MFD_CLOEXEC));
        if (memory_.get() < 0) return system_error("cannot create the shared memory");
        if (ftruncate(memory_.get(), static_cast<off_t>(bytes_)) != 0)
            return system_error("cannot size the shared memory");
        void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
        if (base == MAP_FAILED) return system_error("cannot map the shared memory");
        base_ = static_cast<std::byte*>(base);
        shared_ = new (base_) SharedHeader{};
        shared_->magic = kProtocolMagic;
        shared_->version = kProtocolVersion;
        shared_->to_host.offset = header;
        shared_->to_host.size = ring;
        shared_->to_tool.offset = header + ring;
        shared_->to_tool.size = ring;
        to_host_ = Ring(&shared_->to_host, base_);
        from_host_ = Ring(&shared_->to_tool, base_);
        wake_host_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        wake_tool_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        std::array<int, 2> alive{};
        std::array<int, 2> out{};
        if (wake_host_.get() < 0 || wake_tool_.get() < 0 || pipe2(alive.data(), O_CLOEXEC) != 0)
            return system_error("cannot create an eventfd or pipe");
        Fd alive_read(alive[0]);
        alive_write_ = Fd(alive[1]);
        if (pipe2(out.data(), O_CLOEXEC) != 0) return system_error("cannot create a pipe");
        output_ = Fd(out[0]);
        Fd output_write(out[1]);
        fcntl(output_.get(), F_SETFL, O_NONBLOCK);

        std::vector<std::string> arguments = {
            host.path,
            "10",
            "11",
            "12",
            "13",
            "+verilator+seed+" + std::to_string(std::max<std::uint64_t>(options.power_on_seed, 1)),
            "+verilator+rand+reset+2"};
        if (options.fault != 0) arguments.push_back("+fault=" + std::to_string(options.fault));
        if (!options.coverage_file.empty())
            arguments.push_back("+spikelock+coverage+" + options.coverage_file);
        arguments.insert(arguments.end(), options.plusargs.begin(), options.plusargs.end());
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);

        const pid_t parent = getpid();
        pid_ = fork();
        if (pid_ < 0) return system_error("cannot start the DUT host");
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) _exit(127);
            // Move all away from the target numbers first, then into place (dup2 clears
            // close-on-exec).
            std::array<int, 4> from = {
                fcntl(memory_.get(), F_DUPFD, 64), fcntl(wake_host_.get(), F_DUPFD, 64),
                fcntl(wake_tool_.get(), F_DUPFD, 64), fcntl(alive_read.get(), F_DUPFD, 64)};
            const int text = fcntl(output_write.get(), F_DUPFD, 64);
            for (std::size_t i = 0; i < from.size(); ++i) {
                dup2(from[i], 10 + static_cast<int>(i));
                close(from[i]);
            }
            const int null = open("/dev/null", O_RDONLY);
            dup2(null, 0);
            dup2(text, 1);
            dup2(text, 2);
            close(text);
            if (chdir(m.folder.c_str()) != 0) _exit(126);
            execv(argv[0], argv.data());
            _exit(127);
        }
        pidfd_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
        started_ = true;
        Result<const RecordHeader*> hello = wait();
        if (!hello) return hello.error();
        if (!*hello)
            return Error{Errc::Build,
                         "the DUT host did not start: " + (end_ ? end_->text : std::string()),
                         host.path};
        release(*hello);
        return {};
    }

    /// Next record from the host; null when it has ended (end() says how).
    Result<const RecordHeader*> wait() {
        auto last_progress = SteadyClock::now();
        std::uint64_t heartbeat = shared_->heartbeat.load(std::memory_order_relaxed);
        for (;;) {
            for (int i = 0; i < 4000; ++i) {
                if (const RecordHeader* record = from_host_.front()) return record;
                pause();
            }
            if (end_) return nullptr;
            if (stop_flag_ && stop_flag_->load()) return Error{Errc::Interrupted, "stopped", {}};
            shared_->to_tool.reader_sleeps.store(1, std::memory_order_seq_cst);
            const RecordHeader* record = from_host_.front();
            if (!record) doze(100);
            shared_->to_tool.reader_sleeps.store(0, std::memory_order_seq_cst);
            if (record) return record;
            drain_output();
            if (!end_ && died()) {
                if (const RecordHeader* late = from_host_.front())
                    return late;  // written before it died
                return nullptr;
            }
            const std::uint64_t beat = shared_->heartbeat.load(std::memory_order_relaxed);
            const auto now = SteadyClock::now();
            if (beat != heartbeat) {
                heartbeat = beat;
                last_progress = now;
            } else if (std::chrono::duration<double>(now - last_progress).count() > wall_limit_s_) {
                kill(pid_, SIGKILL);
                int status = 0;
                while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
                }
                pid_ = -1;
                adopt_open_block();
                std::ostringstream text;
                text << "no clock went by for " << wall_limit_s_
                     << " s of wall-clock time: a loop inside one evaluation of the model"
                     << (adapter_ ? ", or in the adapter" : "");
                end_ = SourceEnd{EndKind::Hung, shared_->timestep.load(), beat, text.str()};
                return from_host_.front();
            }
        }
    }
    /// Whether a record waits, be it of a host that has ended since.
    bool pending() { return from_host_.front() != nullptr; }
    void release(const RecordHeader* record) {
        from_host_.release(record);
        if (shared_->to_tool.writer_sleeps.load(std::memory_order_seq_cst) != 0) poke();
    }
    /// Space for a record to the host; null while the ring is full.
    std::byte* reserve(Msg type, std::uint64_t bytes) { return to_host_.reserve(type, bytes); }
    void publish() {
        to_host_.publish();
        if (shared_->to_host.reader_sleeps.load(std::memory_order_seq_cst) != 0) poke();
    }
    std::uint64_t largest_record() const { return to_host_.size() / 4; }

    /// Sends a request and returns its answer's payload. @errors what the host answered; ended:
    /// nullopt
    Result<std::optional<std::string>> request(Msg type, const void* data, std::size_t bytes) {
        std::byte* to = nullptr;
        while (!(to = reserve(type, bytes))) {
            if (died()) return std::optional<std::string>{};
            usleep(100);
        }
        if (bytes > 0) std::memcpy(to, data, bytes);
        publish();
        Result<const RecordHeader*> record = wait();
        if (!record) return record.error();
        if (!*record) return std::optional<std::string>{};
        const RecordHeader header = **record;
        std::string payload(reinterpret_cast<const char*>(Ring::payload(*record)), header.bytes);
        release(*record);
        drain_output();
        if (header.type == Msg::Error) return Error{Errc::BadConfig, payload, {}};
        if (header.type == Msg::End) {
            take_end(payload);
            return std::optional<std::string>{};
        }
        return std::optional<std::string>(std::move(payload));
    }
    void take_end(const std::string& payload) {
        EndHeader header{};
        std::memcpy(&header, payload.data(), std::min(payload.size(), sizeof header));
        SourceEnd end;
        end.timestep = header.timestep;
        end.clock = header.clock;
        end.text = payload.substr(std::min(payload.size(), sizeof header));
        switch (header.kind) {
            case HostEnd::Finished:
                end.kind = EndKind::Finished;
                break;
            case HostEnd::Hung:
                end.kind = EndKind::Hung;
                break;
            case HostEnd::Violation:
                end.kind = EndKind::Asserted;
                break;
            case HostEnd::Asserted:
                end.kind = EndKind::Asserted;
                usleep(2000);
                drain_output();
                end.text = assertion_text();
                break;
        }
        end_ = end;
    }
    const std::optional<SourceEnd>& end() const { return end_; }
    /// Says in which part of the start-up the core ended.
    void explain_end(const std::string& text) {
        if (end_) end_->text = text + ": " + end_->text;
    }
    int pid() const { return pid_; }

private:
    static void pause() {
#if defined(__x86_64__)
        _mm_pause();
#endif
    }
    void poke() {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto n = write(wake_host_.get(), &one, sizeof one);
    }
    void doze(int ms) {
        std::array<pollfd, 3> fds = {pollfd{wake_tool_.get(), POLLIN, 0},
                                     pollfd{output_.get(), POLLIN, 0},
                                     pollfd{pidfd_.get(), POLLIN, 0}};
        poll(fds.data(), fds.size(), ms);
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = read(wake_tool_.get(), &count, sizeof count);
    }
    bool died() {
        if (pid_ <= 0) return true;
        int status = 0;
        const pid_t got = waitpid(pid_, &status, WNOHANG);
        if (got == 0) return false;
        drain_output();
        pid_ = -1;
        adopt_open_block();
        SourceEnd end;
        end.kind = EndKind::Crashed;
        end.timestep = shared_->timestep.load();
        end.clock = shared_->heartbeat.load();
        if (got > 0 && WIFSIGNALED(status)) {
            end.text = std::string("the core's process was killed by signal ") +
                       std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
        } else {
            end.text = "the core's process ended by itself with exit code " +
                       std::to_string(WEXITSTATUS(status));
        }
        const std::string last = last_lines();
        if (!last.empty()) end.text += "; its last words: " + last;
        if (!end_) end_ = end;
        return true;
    }
    /// Timesteps that the host had finished before it ended in the middle of a block.
    void adopt_open_block() {
        if (const std::uint64_t at = shared_->open_block.load(); at != 0) from_host_.adopt(at - 1);
    }
    void drain_output() {
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t got = read(output_.get(), buffer.data(), buffer.size());
            if (got <= 0) break;
            printed_.append(buffer.data(), static_cast<std::size_t>(got));
            line_.append(buffer.data(), static_cast<std::size_t>(got));
        }
        for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
            if (log_) log_(line_.substr(0, end));
            line_.erase(0, end + 1);
        }
        if (printed_.size() > 65536) printed_.erase(0, printed_.size() - 32768);
    }
    std::string last_lines() const {
        std::string text = printed_.substr(printed_.size() > 400 ? printed_.size() - 400 : 0);
        while (!text.empty() && text.back() == '\n') text.pop_back();
        std::replace(text.begin(), text.end(), '\n', ' ');
        return text;
    }
    /// The simulator's first line about the failure: "[time] %Error: file:line: Assertion failed in
    /// scope: text", and how many follow it.
    std::string assertion_text() const {
        std::istringstream lines(printed_);
        std::string found;
        std::uint64_t more = 0;
        for (std::string line; std::getline(lines, line);) {
            if (line.find("%Error") == std::string::npos &&
                line.find("%Fatal") == std::string::npos)
                continue;
            if (line.find("Verilog $stop") != std::string::npos && !found.empty()) continue;
            if (found.empty())
                found = line;
            else
                ++more;
        }
        if (found.empty()) return "a check in the RTL failed: " + last_lines();
        if (more > 0) found += " (and " + std::to_string(more) + " more)";
        return found;
    }
    void stop() {
        if (started_ && pid_ > 0) {
            if (!end_ || end_->kind != EndKind::Hung) {
                if (reserve(Msg::Quit, 0)) {
                    publish();
                    std::array<pollfd, 1> fds = {pollfd{pidfd_.get(), POLLIN, 0}};
                    poll(fds.data(), 1, 300);
                }
            }
            kill(pid_, SIGKILL);
            int status = 0;
            while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
            }
            drain_output();
        }
        if (base_) munmap(base_, bytes_);
        base_ = nullptr;
    }

    std::function<void(const std::string&)> log_;
    double wall_limit_s_ = 20.0;
    bool adapter_ = false;
    const std::atomic<bool>* stop_flag_ = nullptr;
    Fd memory_;
    Fd wake_host_;
    Fd wake_tool_;
    Fd alive_write_;  // the host ends when this is closed
    Fd output_;
    Fd pidfd_;
    std::byte* base_ = nullptr;
    std::uint64_t bytes_ = 0;
    SharedHeader* shared_ = nullptr;
    Ring to_host_;
    Ring from_host_;
    pid_t pid_ = -1;
    bool started_ = false;
    std::optional<SourceEnd> end_;
    std::string printed_;
    std::string line_;
};

manifest::SignalTable parse_signals(const std::string& text) {
    manifest::SignalTable table;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream in(line);
        std::string name;
        manifest::Signal signal;
        if (in >> name >> signal.kind >> signal.bits >> signal.words) table[name] = signal;
    }
    return table;
}

class DutSourceImpl final : public DutSource {
public:
    Status open(const BuiltHost& host, const manifest::Manifest& m, const golden::Network& network,
                const DutOptions& options) {
        manifest_path_ = m.path;
        can_clear_ = !m.clear.empty();
        side_band_specs_ = m.side_bands;
        currents_.resize(m.side_bands.size());
        network_ = network;
        if (Status started = process_.start(host, m, options); !started) return started.error();
        Result<std::optional<std::string>> text = process_.request(Msg::Describe, nullptr, 0);
        if (!text) return text.error();
        if (!*text)
            return Error{Errc::Build, "the DUT host ended while it described itself", host.path};
        signals_ = parse_signals(**text);
        Result<manifest::Plan> plan = manifest::resolve(m, signals_, network);
        if (!plan) return plan.error();
        plan_ = std::move(*plan);
        Result<std::optional<std::string>> planned =
            process_.request(Msg::Plan, plan_.text.data(), plan_.text.size());
        if (!planned) return Error{planned.error().code, planned.error().message, m.path};
        Result<std::vector<manifest::MapWord>> words =
            manifest::map_words(m, plan_, signals_, network);
        if (!words) return words.error();
        for (std::size_t k = 0; k < plan_.startup.size() && !process_.end(); ++k) {
            if (plan_.startup[k].kind == manifest::StartupStep::Kind::Load) {
                if (Status loaded = load(*words); !loaded) return loaded.error();
                process_.explain_end(
                    "while the network was loaded (is a memory of the core too small, or its "
                    "address map another one?)");
                loaded_ = true;
                continue;
            }
            const std::string name = "startup" + std::to_string(k);
            Result<std::optional<std::string>> done =
                process_.request(Msg::Program, name.data(), name.size());
            if (!done)
                return Error{done.error().code, done.error().message, plan_.startup[k].where};
        }
        const bool to_load = std::any_of(words->begin(), words->end(),
                                         [](const manifest::MapWord& word) { return !word.read; });
        if (to_load && !loaded_ && !process_.end())
            return Error{Errc::BadConfig,
                         "[[map]] entries are given, but [[startup]] has no load = \"maps\"",
                         m.path};
        if (!process_.end())
            if (Status same = compare(m, *words); !same) return same.error();
        row_bytes_ = 8 * plan_.shape.spike_words();
        if (plan_.shape.counts) row_bytes_ += 2ULL * plan_.shape.n_neurons;
        if (plan_.shape.events) row_bytes_ += kListedPerStep * sizeof(ListedSpike);
        if (plan_.shape.order) row_bytes_ += kListedPerStep * sizeof(ListedTaken);
        for (const auto& field : plan_.shape.fields)
            row_bytes_ += static_cast<std::uint64_t>(field.bytes) * plan_.shape.n_neurons;
        return {};
    }

    const trace::Shape& shape() const override { return plan_.shape; }
    const manifest::SignalTable& signals() const override { return signals_; }
    std::uint64_t clocks() const override { return clocks_; }
    std::uint64_t words_loaded() const override { return words_loaded_; }
    std::uint64_t words_compared() const override { return words_compared_; }
    std::uint32_t lag() const override { return plan_.lag; }
    std::span<const std::uint32_t> side_band_bits() const override { return plan_.side_band_bits; }
    const golden::Network& network() const override { return network_; }
    int pid() const override { return process_.pid(); }
    std::uint64_t in_flight() const override { return in_flight_; }

    Status submit(const trace::StimulusBlock& block) override {
        for (const trace::SideBand& band : block.side_bands)
            if (std::find(plan_.side_bands.begin(), plan_.side_bands.end(), band.name) ==
                plan_.side_bands.end())
                return Error{Errc::BadConfig,
                             "the stimulus drives '" + band.name +
                                 "', but the manifest has no [[side_band]] with that name",
                             {}};
        if (!block.events.empty() && !plan_.takes_events)
            return Error{Errc::BadConfig,
                         "the stimulus has input events, but the manifest has no [[input]]",
                         manifest_path_};
        if (drained_)
            return Error{Errc::Unsupported,
                         "this core shows values up to " + std::to_string(plan_.lag) +
                             " timesteps late; submit that many timesteps ahead of reading",
                         manifest_path_};
        for (const auto& begin : block.begins)
            if (Status can =
                    can_begin_in(manifest_path_, can_clear_, block.first + begin.step, begin.start);
                !can)
                return can.error();
        if (Status fit = currents_fit(block); !fit) return fit;
        const std::uint64_t most = process_.largest_record() / (row_bytes_ + 1);
        const std::uint64_t steps_per_record =
            most > plan_.lag ? std::max<std::uint64_t>(1, most - plan_.lag) : 1;
        std::uint32_t step = 0;
        while (step < block.n_steps) {
            auto count = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(block.n_steps - step, steps_per_record));
            // The stimulus must fit as well.
            while (count > 1 && record_bytes(block, step, count) > process_.largest_record())
                count /= 2;
            if (record_bytes(block, step, count) > process_.largest_record())
                return Error{Errc::Limit,
                             "one timestep has more input events than the ring can hold",
                             "timestep " + std::to_string(block.first + step)};
            std::vector<std::byte> record(record_bytes(block, step, count));
            encode(block, step, count, record.data());
            pending_.emplace_back(Msg::Run, std::move(record));
            step += count;
        }
        in_flight_ += block.n_steps;
        flush();
        return {};
    }

    Result<std::variant<BlockView, SourceEnd>> read(std::uint32_t max_steps) override {
        SPIKELOCK_ASSERT(max_steps >= 1);
        for (;;) {
            if (record_ && row_ < rows_) return slice(max_steps);
            if (record_) process_.release(record_);
            record_ = nullptr;
            flush();
            if (process_.end() && !process_.pending()) return finish();
            if (in_flight_ == 0)
                return std::variant<BlockView, SourceEnd>(
                    SourceEnd{EndKind::Complete, next_, clocks_, {}});
            // What is left comes only after timesteps that nobody has submitted.
            if (plan_.lag > 0 && !drained_ && in_flight_ <= plan_.lag) {
                drained_ = true;
                pending_.emplace_back(Msg::Drain, std::vector<std::byte>{});
                flush();
            }
            Result<const RecordHeader*> got = process_.wait();
            if (!got) return got.error();
            if (!*got) return finish();
            const RecordHeader* record = *got;
            if (record->type == Msg::Block) {
                record_ = record;
                std::memcpy(&block_, Ring::payload(record), sizeof block_);
                row_ = 0;
                rows_ = block_.n_steps;
                clocks_ = block_.clock;
            } else {
                const std::string payload(reinterpret_cast<const char*>(Ring::payload(record)),
                                          record->bytes);
                const Msg type = record->type;
                process_.release(record);
                if (type == Msg::Error) return Error{Errc::Internal, "DUT host: " + payload, {}};
                if (type == Msg::End) process_.take_end(payload);
            }
        }
    }

private:
    Result<std::variant<BlockView, SourceEnd>> finish() {
        return std::variant<BlockView, SourceEnd>(*process_.end());
    }
    Result<std::variant<BlockView, SourceEnd>> slice(std::uint32_t max_steps) {
        const std::uint32_t count = std::min(max_steps, rows_ - row_);
        const std::byte* at = Ring::payload(record_) + sizeof(BlockHeader);
        const std::size_t words = plan_.shape.spike_words();
        BlockView view;
        view.first = block_.first + row_;
        view.n_steps = count;
        view.spikes =
            std::span(reinterpret_cast<const std::uint64_t*>(at) + words * row_, words * count);
        at += align_up(8 * words * block_.capacity);
        for (const auto& field : plan_.shape.fields) {
            const std::uint64_t row =
                static_cast<std::uint64_t>(field.bytes) * plan_.shape.n_neurons;
            view.fields.emplace_back(at + row * row_, row * count);
            at += align_up(row * block_.capacity);
        }
        if (plan_.shape.counts) {
            const std::uint64_t n = plan_.shape.n_neurons;
            view.counts =
                std::span(reinterpret_cast<const std::uint16_t*>(at) + n * row_, n * count);
            at += align_up(2 * n * block_.capacity);
        }
        if (plan_.shape.events) {
            take_list<ListedSpike>(at, block_.n_spikes, count, spikes_);
            view.events = spikes_;
            at += align_up(sizeof(ListedSpike) * block_.spike_capacity);
        }
        if (plan_.shape.order) {
            take_list<ListedTaken>(at, block_.n_taken, count, taken_);
            view.taken = taken_;
        }
        row_ += count;
        in_flight_ -= count;
        next_ = view.first + count;
        return std::variant<BlockView, SourceEnd>(std::move(view));
    }
    /// Entries of rows row_..row_+count-1, with their steps counted from the first of them.
    template <typename Listed, typename Event>
    void take_list(const std::byte* at, std::uint32_t size, std::uint32_t count,
                   std::vector<Event>& into) const {
        const std::span entries(reinterpret_cast<const Listed*>(at), size);
        const auto from = std::partition_point(entries.begin(), entries.end(),
                                               [&](const Listed& e) { return e.step < row_; });
        const auto to = std::partition_point(
            from, entries.end(), [&](const Listed& e) { return e.step < row_ + count; });
        into.resize(static_cast<std::size_t>(to - from));
        if (into.empty()) return;
        std::memcpy(static_cast<void*>(into.data()), &*from, into.size() * sizeof(Event));
        for (Event& event : into) event.step -= row_;
    }
    void flush() {
        while (!pending_.empty()) {
            const auto& [type, record] = pending_.front();
            std::byte* to = process_.reserve(type, record.size());
            if (!to) return;
            if (!record.empty()) std::memcpy(to, record.data(), record.size());
            process_.publish();
            pending_.pop_front();
        }
    }
    const trace::SideBand* band_of(const trace::StimulusBlock& block, std::size_t index) const {
        for (const trace::SideBand& band : block.side_bands)
            if (band.name == plan_.side_bands[index]) return &band;
        return nullptr;
    }
    std::uint64_t record_bytes(const trace::StimulusBlock& block, std::uint32_t step,
                               std::uint32_t count) const {
        const std::uint64_t events = block.event_begin[step + count] - block.event_begin[step];
        std::uint64_t begins = 0;
        for (const auto& begin : block.begins)
            begins += begin.step >= step && begin.step < step + count ? 1 : 0;
        std::uint64_t bytes = sizeof(RunHeader) + align_up(4ULL * (count + 1), 8) + 8 * begins +
                              align_up(sizeof(RunEvent) * events, 8);
        for (const std::uint32_t element : plan_.side_band_bytes)
            bytes +=
                align_up(static_cast<std::uint64_t>(plan_.shape.n_neurons) * element * count, 8);
        return bytes;
    }
    void encode(const trace::StimulusBlock& block, std::uint32_t step, std::uint32_t count,
                std::byte* to) const {
        RunHeader header{};
        header.first = block.first + step;
        header.n_steps = count;
        header.n_events = block.event_begin[step + count] - block.event_begin[step];
        std::byte* const start = to;
        to += sizeof header;
        auto* event_begin = reinterpret_cast<std::uint32_t*>(to);
        for (std::uint32_t s = 0; s <= count; ++s)
            event_begin[s] = block.event_begin[step + s] - block.event_begin[step];
        to += align_up(4ULL * (count + 1), 8);
        for (const auto& begin : block.begins) {
            if (begin.step < step || begin.step >= step + count) continue;
            if (!can_clear_) continue;  // the start-up list has just done it
            const std::array<std::uint32_t, 2> pair = {begin.step - step,
                                                       static_cast<std::uint32_t>(begin.start)};
            std::memcpy(to, pair.data(), sizeof pair);
            to += sizeof pair;
            ++header.n_begins;
        }
        std::memcpy(start, &header, sizeof header);
        auto* events = reinterpret_cast<RunEvent*>(to);
        for (std::uint32_t e = 0; e < header.n_events; ++e) {
            const trace::InputEvent& event = block.events[block.event_begin[step] + e];
            events[e] = {event.address, event.port, event.payload};
        }
        to += align_up(sizeof(RunEvent) * header.n_events, 8);
        for (std::size_t b = 0; b < plan_.side_bands.size(); ++b) {
            const std::uint32_t width = plan_.shape.n_neurons;
            const std::uint32_t element = plan_.side_band_bytes[b];
            const trace::SideBand* band = band_of(block, b);
            if (band && band->width == width) {
                const std::int32_t* from =
                    band->values.data() + static_cast<std::size_t>(step) * width;
                const std::size_t n = static_cast<std::size_t>(count) * width;
                if (element == 1)
                    for (std::size_t i = 0; i < n; ++i)
                        reinterpret_cast<std::uint8_t*>(to)[i] = static_cast<std::uint8_t>(from[i]);
                if (element == 2)
                    for (std::size_t i = 0; i < n; ++i)
                        reinterpret_cast<std::uint16_t*>(to)[i] =
                            static_cast<std::uint16_t>(from[i]);
                if (element == 4) std::memcpy(to, from, n * 4);
            }
            to += align_up(static_cast<std::uint64_t>(width) * element * count, 8);
        }
    }
    /// Currents are cut to the width of their port: what that would change is an error. Whether the
    /// port is signed only the manifest says; where it does not, the run's own currents must leave
    /// one of both.
    Status currents_fit(const trace::StimulusBlock& block) {
        for (std::size_t b = 0; b < plan_.side_bands.size(); ++b) {
            const std::uint32_t bits = plan_.side_band_bits[b];
            const trace::SideBand* band = band_of(block, b);
            if (!band || band->values.empty() || bits >= 32) continue;
            CurrentRange seen = currents_[b];  // of its own, so that this becomes vector code
            for (const std::int32_t value : band->values) {
                seen.low = std::min(seen.low, value);
                seen.high = std::max(seen.high, value);
            }
            currents_[b] = seen;
            const std::optional<bool>& is_signed = side_band_specs_[b].is_signed;
            const std::int64_t half = std::int64_t{1} << (bits - 1);
            const bool as_signed = seen.low >= -half && seen.high < half;
            const bool as_unsigned = seen.low >= 0 && seen.high < 2 * half;
            if (is_signed ? (*is_signed ? as_signed : as_unsigned) : as_signed || as_unsigned)
                continue;
            return Error{Errc::Mismatch,
                         "the currents go from " + std::to_string(seen.low) + " to " +
                             std::to_string(seen.high) + ", which the " + std::to_string(bits) +
                             (!is_signed   ? " bits of the port hold neither signed nor unsigned"
                              : *is_signed ? " signed bits of the port do not hold"
                                           : " unsigned bits of the port do not hold"),
                         side_band_specs_[b].where + ": [[side_band]]"};
        }
        return {};
    }
    Status load(const std::vector<manifest::MapWord>& words) {
        std::vector<Word> writes;
        std::vector<Cell> cells;
        const auto send = [&]() -> Status {
            if (!writes.empty()) {
                Result<std::optional<std::string>> done =
                    process_.request(Msg::PortWrites, writes.data(), writes.size() * sizeof(Word));
                if (!done) return done.error();
            }
            if (!cells.empty()) {
                Result<std::optional<std::string>> done = process_.request(
                    Msg::BackdoorWrites, cells.data(), cells.size() * sizeof(Cell));
                if (!done) return done.error();
            }
            writes.clear();
            cells.clear();
            return {};
        };
        for (const manifest::MapWord& word : words) {
            if (word.read) continue;
            ++words_loaded_;
            if (word.back_door)
                cells.push_back({word.signal, word.word, word.lsb, word.width, word.data});
            else
                writes.push_back({word.address, word.data});
            if (writes.size() + cells.size() >= kWordsPerRequest)
                if (Status sent = send(); !sent) return sent;
        }
        return send();
    }
    /// What the core holds after start-up must be what the network says, or the two files disagree;
    /// where the core has the word, the network follows it.
    Status compare(const manifest::Manifest& m, const std::vector<manifest::MapWord>& words) {
        bool port_readable = m.config ? !m.config->read_data.empty() : m.adapter.given();
        std::vector<std::uint64_t> held(words.size());
        bool any_read = false;
        for (std::size_t first = 0; first < words.size(); first += kWordsPerRequest) {
            const std::size_t last = std::min(words.size(), first + kWordsPerRequest);
            std::vector<std::uint64_t> addresses;
            std::vector<Cell> cells;
            for (std::size_t i = first; i < last; ++i) {
                if (words[i].back_door)
                    cells.push_back(
                        {words[i].signal, words[i].word, words[i].lsb, words[i].width, 0});
                else if (port_readable)
                    addresses.push_back(words[i].address);
            }
            std::string port_values;
            std::string cell_values;
            if (!addresses.empty()) {
                Result<std::optional<std::string>> got =
                    process_.request(Msg::PortReads, addresses.data(), addresses.size() * 8);
                if (!got) return got.error();
                if (!*got) return {};
                port_values = **got;
                port_readable = !port_values.empty();  // an adapter may say that it cannot
            }
            if (!cells.empty()) {
                Result<std::optional<std::string>> got =
                    process_.request(Msg::BackdoorReads, cells.data(), cells.size() * sizeof(Cell));
                if (!got) return got.error();
                if (!*got) return {};
                cell_values = **got;
            }
            std::size_t port = 0;
            std::size_t cell = 0;
            for (std::size_t i = first; i < last; ++i) {
                const std::string where = m.maps[words[i].map].where + ": [[map]]";
                if (!words[i].back_door && !port_readable) {
                    if (words[i].read)
                        return Error{Errc::BadConfig,
                                     "direction = \"read\", but the adapter's can_read() says no",
                                     where};
                    continue;
                }
                const std::string& values = words[i].back_door ? cell_values : port_values;
                std::size_t& at = words[i].back_door ? cell : port;
                std::uint64_t value = 0;
                std::memcpy(&value, values.data() + 8 * at++, 8);
                const std::uint64_t mask =
                    words[i].width == 64 ? ~0ULL : (1ULL << words[i].width) - 1;
                held[i] = value & mask;
                any_read = any_read || words[i].read;
                if (!words[i].read && held[i] != words[i].data) {
                    std::ostringstream text;
                    text << "after start-up the core holds 0x" << std::hex << held[i] << " for "
                         << words[i].what << ", the network says 0x" << words[i].data;
                    if (!words[i].back_door)
                        text << " (configuration address 0x" << words[i].address << ")";
                    text << "; is the memory too small, the address map another one, do two "
                            "[[map]]s write the same bits, or can it not be read in the state in "
                            "which the start-up leaves the core?";
                    return Error{Errc::Mismatch, text.str(), where};
                }
                if (!words[i].read) ++words_compared_;
            }
        }
        if (!any_read) return {};
        Result<golden::Network> network = manifest::network_from_core(m, words, held, network_);
        if (!network) return network.error();
        network_ = std::move(*network);
        return {};
    }

    static constexpr std::size_t kWordsPerRequest = 8192;
    HostProcess process_;
    manifest::SignalTable signals_;
    manifest::Plan plan_;
    std::string manifest_path_;
    bool can_clear_ = false;
    struct CurrentRange {
        std::int32_t low = 0;
        std::int32_t high = 0;
    };
    std::vector<manifest::SideBandSpec> side_band_specs_;
    std::vector<CurrentRange> currents_;  ///< that were submitted, by side band
    bool loaded_ = false;
    std::uint64_t row_bytes_ = 0;
    std::deque<std::pair<Msg, std::vector<std::byte>>> pending_;
    const RecordHeader* record_ = nullptr;
    BlockHeader block_{};
    std::uint32_t row_ = 0;
    std::uint32_t rows_ = 0;
    std::uint64_t in_flight_ = 0;
    std::uint64_t next_ = 0;
    std::uint64_t clocks_ = 0;
    std::uint64_t words_loaded_ = 0;
    std::uint64_t words_compared_ = 0;
    golden::Network network_;
    bool drained_ = false;  // the host was told to run on without input
    std::vector<trace::SpikeEvent> spikes_;
    std::vector<trace::TakenEvent> taken_;
    static constexpr std::uint64_t kListedPerStep = 4;  // as in the host
};
}  // namespace

Status DutSource::can_begin(const manifest::Manifest& manifest, std::uint64_t timestep,
                            trace::StartState state) {
    return can_begin_in(manifest.path, !manifest.clear.empty(), timestep, state);
}

Result<std::unique_ptr<DutSource>> DutSource::create(const BuiltHost& host,
                                                     const manifest::Manifest& manifest,
                                                     const golden::Network& network,
                                                     const DutOptions& options) {
    auto source = std::make_unique<DutSourceImpl>();
    // A record, a quarter of the ring at most, must hold a timestep of every field.
    DutOptions sized = options;
    constexpr std::uint64_t kBytesPerNeuron = 64;
    sized.ring_bytes = std::max(options.ring_bytes, 4 * kBytesPerNeuron * network.n_neurons());
    if (Status opened = source->open(host, manifest, network, sized); !opened)
        return opened.error();
    return std::unique_ptr<DutSource>(std::move(source));
}

Result<manifest::SignalTable> list_signals(const BuiltHost& host,
                                           const manifest::Manifest& manifest) {
    HostProcess process;
    if (Status started = process.start(host, manifest, {}); !started) return started.error();
    Result<std::optional<std::string>> text = process.request(Msg::Describe, nullptr, 0);
    if (!text) return text.error();
    if (!*text)
        return Error{Errc::Build, "the DUT host ended while it described itself", host.path};
    return parse_signals(**text);
}

}  // namespace spikelock::sim

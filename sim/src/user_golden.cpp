// SPDX-License-Identifier: Apache-2.0
#include "spikelock/sim/user_golden.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <optional>
#include <sstream>

#include "build_cache.hpp"
#include "host_sources.hpp"
#include "process.hpp"
#include "spikelock/base/hash.hpp"
#include "spikelock/base/text.hpp"
#include "user_golden_process.hpp"

namespace spikelock::sim {

namespace fs = std::filesystem;
using manifest::GoldenSpec;
using trace::BlockView;
using trace::EndKind;
using trace::SourceEnd;
using user::padded;
using user::Tag;

namespace {

constexpr std::uint64_t kSlotBytes = 1 << 20;
constexpr std::uint32_t kMostSteps = 4096;  ///< of a Run
constexpr double kLoadLimitS = 20.0;        ///< importing NumPy takes a while on a busy machine

struct Program {
    std::string path;
    std::string compiler;
    detail::FileHashes files;
    bool cached = false;
};

/// Compiles the model with the runner, or finds it in the cache.
Result<Program> build(const GoldenSpec& spec, const UserGoldenOptions& options) {
    std::error_code code;
    if (!fs::is_regular_file(spec.cpp, code))
        return Error{Errc::NotFound, "no such file: " + spec.cpp, spec.where + ": golden.cpp"};
    Result<detail::Compiler> compiler = detail::find_compiler({}, "the golden");
    if (!compiler) return compiler.error();
    const bool is_c = fs::path(spec.cpp).extension() == ".c";
    std::vector<std::string> flags = {"-O3", "-march=native"};
    flags.insert(flags.begin(), is_c ? "-std=c17" : "-std=c++20");
    flags.insert(flags.end(), spec.flags.begin(), spec.flags.end());

    Sha256 first;
    for (const std::string& part :
         {compiler->program, compiler->version, detail::cpu_features(), spec.cpp,
          std::string(detail::kGoldenHeader), std::string(detail::kGoldenProtocol),
          std::string(detail::kGoldenRunner)})
        first.update_field(part);
    for (const std::string& flag : flags) first.update_field(flag);
    const std::string key1 = first.hex().substr(0, 32);
    const detail::BuildCache cache((fs::path(options.cache_dir) / "goldens" / key1).string(), key1,
                                   "golden");
    if (Status created = cache.create(); !created) return created.error();
    const auto finish = [&](detail::CacheEntry entry, bool cached) {
        return Program{std::move(entry.program), compiler->version, std::move(entry.files), cached};
    };
    if (!options.force)
        if (auto entry = cache.find()) return finish(std::move(*entry), true);
    detail::FileLock lock;
    if (Status locked = cache.lock(lock, "golden", options.log); !locked) return locked.error();
    if (!options.force)
        if (auto entry = cache.find())
            return finish(std::move(*entry), true);  // built while we waited

    if (options.log)
        options.log("compiling " + fs::path(spec.cpp).filename().string() + " (" +
                    compiler->version + ")");
    const std::string log_file = cache.folder() + "/build.log";
    for (int attempt = 0; attempt < 3; ++attempt) {
        Result<std::string> folder = cache.begin();
        if (!folder) return folder.error();
        for (const auto& [name, text] : {std::pair{"spikelock_golden.h", detail::kGoldenHeader},
                                         std::pair{"golden_protocol.hpp", detail::kGoldenProtocol},
                                         std::pair{"golden_runner.cpp", detail::kGoldenRunner}})
            if (Status written = detail::write_file(*folder + "/" + name, text); !written)
                return written.error();
        const std::string rule = *folder + "/model.d";
        const auto run = [&](std::vector<std::string> arguments) -> Status {
            arguments.insert(arguments.begin(), compiler->program);
            Result<detail::CommandResult> done =
                detail::run_command(arguments, fs::path(spec.cpp).parent_path(), options.stop);
            if (!done) return done.error();
            (void)detail::write_file(log_file, done->output);
            if (done->status != 0)
                return detail::compile_error(compiler->program, done->output, log_file);
            return {};
        };
        std::vector<std::string> model = flags;
        for (const std::string& word : {std::string("-I" + *folder), std::string("-x"),
                                        std::string(is_c ? "c" : "c++"), spec.cpp})
            model.push_back(word);
        // What it includes is known, and hashed, before it is compiled: an edit meanwhile shows.
        std::vector<std::string> command = model;
        command.insert(command.end(), {"-MM", "-MF", rule});
        if (Status done = run(std::move(command)); !done) return done.error();
        std::vector<std::string> read = detail::dependencies(rule);
        std::erase_if(read, [&](const std::string& file) { return file.rfind(*folder, 0) == 0; });
        const std::optional<detail::FileHashes> before = detail::hash_files(read);
        command = model;
        command.insert(command.end(), {"-c", "-o", *folder + "/model.o"});
        if (Status done = run(std::move(command)); !done) return done.error();
        command = {"-std=c++20",         "-O2", *folder + "/golden_runner.cpp",
                   *folder + "/model.o", "-o",  *folder + "/golden"};
        command.insert(command.end(), spec.flags.begin(), spec.flags.end());
        if (Status done = run(std::move(command)); !done) return done.error();
        std::optional<detail::FileHashes> after = detail::hash_files(read);
        if (!before || !after || *before != *after) {
            if (options.log) options.log("the golden changed while it was built; building again");
            continue;
        }
        Result<detail::CacheEntry> kept =
            cache.keep(*folder + "/golden", std::move(*after), detail::read_file(log_file),
                       "name " + fs::path(spec.cpp).filename().string() + "\n");
        if (!kept) return kept.error();
        return finish(std::move(*kept), false);
    }
    return Error{Errc::Build, "the file keeps changing while it is being built", spec.cpp};
}

/// The network as the runners take it.
std::string encode(const golden::Network& net, const std::string& json) {
    std::string out;
    const auto add = [&](const char* name, const void* data, std::size_t count, std::size_t size) {
        user::Array array{};
        std::strncpy(array.name, name, sizeof array.name - 1);
        array.count = count;
        out.append(reinterpret_cast<const char*>(&array), sizeof array);
        out.append(static_cast<const char*>(data), count * size);
        out.resize(padded(out.size(), 8));
    };
    const auto one = [&](const char* name, auto value) {
        const auto number = static_cast<std::int32_t>(value);
        add(name, &number, 1, 4);
    };
    const auto many = [&](const char* name, const auto& from, auto member) {
        std::vector<std::int32_t> values;
        values.reserve(from.size());
        for (const auto& item : from) values.push_back(static_cast<std::int32_t>(member(item)));
        add(name, values.data(), values.size(), 4);
    };
    const golden::Arithmetic& a = net.arithmetic;
    one("n_neurons", net.n_neurons());
    one("n_axons", net.n_axons());
    one("n_synapses", net.synapses.size());
    one("v_bits", a.v_bits);
    one("u_bits", a.u_bits);
    one("acc_bits", a.acc_bits);
    one("weight_bits", a.weight_bits);
    one("leak_frac", a.leak_frac);
    one("refr_bits", a.refr_bits);
    one("delay_slots", a.delay_slots);
    one("v_frac", a.v_frac);
    one("leak_mode", a.leak_mode);
    one("rounding", a.rounding);
    one("v_overflow", a.v_overflow);
    one("acc_overflow", a.acc_overflow);
    one("compare", a.compare);
    one("reset_mode", a.reset_mode);
    one("weight_shift", a.weight_shift);
    one("u_shift", a.u_shift);
    using golden::NeuronParams;
    using golden::Synapse;
    many("threshold", net.neurons, [](const NeuronParams& p) { return p.threshold; });
    many("v_reset", net.neurons, [](const NeuronParams& p) { return p.v_reset; });
    many("bias", net.neurons, [](const NeuronParams& p) { return p.bias; });
    many("leak", net.neurons, [](const NeuronParams& p) { return p.leak; });
    many("u_decay", net.neurons, [](const NeuronParams& p) { return p.u_decay; });
    many("refractory", net.neurons, [](const NeuronParams& p) { return p.refractory; });
    many("spiking", net.neurons, [](const NeuronParams& p) { return p.spiking; });
    many("cuba", net.neurons, [](const NeuronParams& p) { return p.cuba; });
    many("v_init", net.neurons, [](const NeuronParams& p) { return p.v_init; });
    many("row_begin", net.row_begin, [](std::uint32_t value) { return value; });
    many("target", net.synapses, [](const Synapse& s) { return s.target; });
    many("weight", net.synapses, [](const Synapse& s) { return s.weight; });
    many("delay", net.synapses, [](const Synapse& s) { return s.delay; });
    add("json", json.data(), json.size(), 1);
    return out;
}

/// A field as it stands in the shared memory.
struct Field {
    trace::FieldSpec spec;
    std::uint64_t offset = 0;  ///< of its part in a slot
};

class UserGoldenImpl final : public UserGolden {
public:
    Status open(const manifest::Manifest& m, const golden::Network& network,
                const UserGoldenOptions& options) {
        options_ = options;
        net_ = network;
        path_ = m.golden.cpp.empty() ? m.golden.python : m.golden.cpp;
        name_ = fs::path(path_).filename().string();
        std::vector<std::string> arguments;
        if (!m.golden.cpp.empty()) {
            Result<Program> program = build(m.golden, options);
            if (!program) return program.error();
            compiler_ = program->compiler;
            files_ = program->files;
            cached_ = program->cached;
            arguments = {program->path};
        } else {
            Result<std::string> hash = hash_file(path_);
            if (!hash)
                return Error{Errc::NotFound, "no such file: " + path_,
                             m.golden.where + ": golden.python"};
            files_ = {{path_, *hash}};
            cached_ = true;
            arguments = {m.golden.interpreter, "-B", "-c", detail::kPythonRunner, path_};
        }
        if (Status started = process_.start(arguments, m.folder, name_, options); !started)
            return started.error();
        const std::string arrays = encode(network, options.network_json);
        process_.send(Tag::Network, arrays.data(), arrays.size());
        Result<std::optional<Answer>> shape =
            process_.wait(std::max(options.wall_limit_s, kLoadLimitS));
        if (!shape) return shape.error();
        if (!*shape)
            return Error{Errc::BadConfig, process_.end()->text + ", while it was loaded", path_};
        if ((*shape)->tag == Tag::Error) return error_of((*shape)->text);
        if (Status good = read_shape((*shape)->text); !good) return good;
        return map();
    }

    const trace::Shape& shape() const override { return shape_; }
    const std::string& name() const override { return name_; }
    const std::string& compiler() const override { return compiler_; }
    const detail::FileHashes& files() const override { return files_; }
    bool cached() const override { return cached_; }
    int pid() const override { return process_.pid(); }
    std::uint64_t in_flight() const override { return in_flight_; }

    Status submit(const trace::StimulusBlock& block) override {
        std::vector<std::uint32_t> axons;
        axons.reserve(block.events.size());
        for (std::uint32_t s = 0; s < block.n_steps; ++s)
            for (const trace::InputEvent& e : block.events_of(s)) {
                if (e.port >= net_.ports.size() ||
                    e.address >= net_.ports[e.port].end - net_.ports[e.port].begin ||
                    e.payload != 1)
                    return Error{Errc::BadConfig,
                                 "the network has no axon " + std::to_string(e.address) +
                                     " in port " + std::to_string(e.port) +
                                     ", or the event is graded",
                                 "timestep " + std::to_string(block.first + s)};
                axons.push_back(net_.ports[e.port].begin + e.address);
            }
        std::vector<std::uint8_t> begins(block.n_steps);
        for (const auto& begin : block.begins) {
            if (begin.start == trace::StartState::Snapshot)
                return Error{Errc::Unsupported, "the model cannot start a sample from a snapshot",
                             path_};
            begins[begin.step] |= begin.start != trace::StartState::Keep;
        }
        const trace::SideBand* current = nullptr;
        for (const trace::SideBand& band : block.side_bands) {
            if (band.name != "i_in" || band.width != shape_.n_neurons)
                return Error{Errc::Unsupported, "side band '" + band.name + "' is not taken",
                             path_};
            current = &band;
        }
        for (std::uint32_t s = 0; s < block.n_steps; s += capacity_)
            queue(block, s, std::min(capacity_, block.n_steps - s), axons, begins, current);
        in_flight_ += block.n_steps;
        feed();
        return {};
    }

    Result<std::variant<BlockView, SourceEnd>> read(std::uint32_t max_steps) override {
        SPIKELOCK_ASSERT(max_steps >= 1);
        for (;;) {
            if (!runs_.empty() && row_ < ready_) return slice(max_steps);
            if (!runs_.empty() && row_ == runs_.front().n_steps) {
                steps_before_ += row_;
                runs_.pop_front();
                row_ = ready_ = 0;
                feed();
                continue;
            }
            if (error_) return *error_;
            if (end_) return std::variant<BlockView, SourceEnd>(*end_);
            if (runs_.empty())
                return std::variant<BlockView, SourceEnd>(
                    SourceEnd{EndKind::Complete, next_, 0, {}});
            Result<std::optional<Answer>> got = process_.wait(options_.wall_limit_s);
            if (!got) return got.error();
            if (*got && (*got)->tag == Tag::Done) {
                ready_ = runs_.front().n_steps;
                continue;
            }
            // What was finished before counts, whatever ended the model.
            ready_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(
                runs_.front().n_steps, process_.steps_done() - steps_before_));
            if (*got) {
                error_ = error_of((*got)->text);
            } else {
                end_ = process_.end();
                end_->timestep = runs_.front().first + ready_;
            }
        }
    }

private:
    using Answer = detail::GoldenProcess::Answer;
    struct Run {
        std::uint64_t first = 0;
        std::uint32_t n_steps = 0;
        std::uint32_t slot = 0;
    };

    /// "<where>\n<message>" of a runner.
    Error error_of(const std::string& text) const {
        const std::size_t cut = text.find('\n');
        const std::string where = text.substr(0, cut);
        return {Errc::BadConfig,
                "the golden: " + (cut == std::string::npos ? text : text.substr(cut + 1)),
                where.empty() || cut == std::string::npos ? path_ : where};
    }

    Status read_shape(const std::string& text) {
        const trace::Shape natural = net_.shape();
        shape_ = natural;
        shape_.fields.clear();
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            std::istringstream in(line);
            std::string kind;
            in >> kind;
            if (kind == "file") {
                const std::string file = line.substr(5);
                Result<std::string> hash = hash_file(file);
                if (hash && std::none_of(files_.begin(), files_.end(),
                                         [&](const auto& f) { return f.first == file; }))
                    files_.emplace_back(file, *hash);
                continue;
            }
            std::string name;
            int bits = 0;
            int is_signed = 0;
            in >> name >> bits >> is_signed;
            Field field;
            field.spec.name = name;
            const int index = natural.field_index(name);
            const std::optional<int> width = network_bits(name);
            for (const Field& other : fields_)
                if (other.spec.name == name) return bad("shows field '" + name + "' twice");
            if (width) {
                if (bits != 0 && (bits != *width || (is_signed != 0) != (name != "refr")))
                    return Error{Errc::Mismatch,
                                 "the golden shows field '" + name + "' with " +
                                     std::to_string(bits) + " bits, the network has " +
                                     std::to_string(*width) + (name == "refr" ? " unsigned" : "") +
                                     " (0: as the network)",
                                 path_};
                field.spec.bits = *width;
                field.spec.is_signed = name != "refr";
                if (index >= 0) field.spec = natural.fields[static_cast<std::size_t>(index)];
            } else {
                if (bits < 1 || bits > 64)
                    return bad("shows field '" + name + "' with " + std::to_string(bits) +
                               " bits, expected 1..64, or a name that the network has (i_syn, u, "
                               "v, refr)");
                field.spec.bits = bits;
                field.spec.is_signed = is_signed != 0;
            }
            field.spec.bytes = trace::storage_bytes(field.spec.bits);
            fields_.push_back(std::move(field));
        }
        // The shape is in causal order, whatever order the model has.
        for (std::size_t k = 0; k < fields_.size(); ++k) order_.push_back(k);
        const auto rank = [&](std::size_t k) {
            const int index = natural.field_index(fields_[k].spec.name);
            return index < 0 ? static_cast<int>(natural.fields.size()) : index;
        };
        std::stable_sort(order_.begin(), order_.end(),
                         [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
        for (const std::size_t k : order_) shape_.fields.push_back(fields_[k].spec);
        return {};
    }
    Error bad(const std::string& what) const {
        return {Errc::BadConfig, "the golden " + what, path_};
    }
    std::optional<int> network_bits(const std::string& field) const {
        const golden::Arithmetic& a = net_.arithmetic;
        if (field == "i_syn") return a.acc_bits;
        if (field == "u") return a.u_bits;
        if (field == "v") return a.v_bits;
        if (field == "refr") return a.refr_bits;
        return std::nullopt;
    }

    Status map() {
        const std::uint64_t n = shape_.n_neurons;
        std::uint64_t row = 8 * shape_.spike_words();
        for (const Field& field : fields_) row += static_cast<std::uint64_t>(field.spec.bytes) * n;
        capacity_ =
            static_cast<std::uint32_t>(std::clamp<std::uint64_t>(kSlotBytes / row, 1, kMostSteps));
        std::uint64_t at = padded(8 * shape_.spike_words() * capacity_);
        for (Field& field : fields_) {
            field.offset = at;
            at += padded(static_cast<std::uint64_t>(field.spec.bytes) * n * capacity_);
        }
        user::MemoryLayout layout{};
        layout.slot_bytes = padded(at, 4096);
        layout.total = user::kSharedBytes + user::kSlots * layout.slot_bytes;
        layout.capacity = capacity_;
        layout.n_fields = static_cast<std::uint32_t>(fields_.size());
        slot_bytes_ = layout.slot_bytes;
        if (Status mapped = process_.map(layout.total); !mapped) return mapped;
        std::string request(reinterpret_cast<const char*>(&layout), sizeof layout);
        for (const Field& field : fields_)
            for (const int value :
                 {field.spec.bytes, field.spec.is_signed ? 1 : 0, field.spec.bits})
                request.append(reinterpret_cast<const char*>(&value), sizeof value);
        process_.send(Tag::Memory, request.data(), request.size());
        return {};
    }

    void queue(const trace::StimulusBlock& block, std::uint32_t step, std::uint32_t count,
               const std::vector<std::uint32_t>& axons, const std::vector<std::uint8_t>& begins,
               const trace::SideBand* current) {
        user::RunHeader header{};
        header.first = block.first + step;
        header.n_steps = count;
        header.has_i_in = current ? 1 : 0;
        const std::uint32_t base = block.event_begin[step];
        std::string request(sizeof header, '\0');
        const auto add = [&](const void* data, std::size_t bytes) {
            request.append(static_cast<const char*>(data), bytes);
        };
        for (std::uint32_t s = 0; s <= count; ++s) {
            const std::uint32_t begin = block.event_begin[step + s] - base;
            add(&begin, sizeof begin);
        }
        add(begins.data() + step, count);
        request.resize(padded(request.size(), 4));
        add(axons.data() + base, 4ULL * (block.event_begin[step + count] - base));
        const std::size_t n = shape_.n_neurons;
        if (current) add(current->values.data() + step * n, 4 * n * count);
        pending_.emplace_back(header, std::move(request));
    }
    /// Sends as many runs as there are slots.
    void feed() {
        while (!pending_.empty() && runs_.size() < user::kSlots) {
            auto& [header, request] = pending_.front();
            header.slot = next_slot_;
            std::memcpy(request.data(), &header, sizeof header);
            next_slot_ = (next_slot_ + 1) % user::kSlots;
            runs_.push_back({header.first, header.n_steps, header.slot});
            process_.send(Tag::Run, request.data(), request.size());
            pending_.pop_front();
        }
    }
    Result<std::variant<BlockView, SourceEnd>> slice(std::uint32_t max_steps) {
        const Run& run = runs_.front();
        const std::uint32_t count = std::min(max_steps, ready_ - row_);
        const std::byte* slot = process_.memory() + user::kSharedBytes + run.slot * slot_bytes_;
        const std::size_t words = shape_.spike_words();
        BlockView view;
        view.first = run.first + row_;
        view.n_steps = count;
        view.spikes =
            std::span(reinterpret_cast<const std::uint64_t*>(slot) + words * row_, words * count);
        for (const std::size_t k : order_) {
            const std::uint64_t row =
                static_cast<std::uint64_t>(fields_[k].spec.bytes) * shape_.n_neurons;
            view.fields.emplace_back(slot + fields_[k].offset + row * row_, row * count);
        }
        row_ += count;
        in_flight_ -= count;
        next_ = view.first + count;
        return std::variant<BlockView, SourceEnd>(std::move(view));
    }

    UserGoldenOptions options_;
    golden::Network net_;
    std::string path_;
    std::string name_;
    std::string compiler_;
    detail::FileHashes files_;
    bool cached_ = false;
    trace::Shape shape_;
    std::vector<Field> fields_;       ///< as the model has them
    std::vector<std::size_t> order_;  ///< of them in the shape
    std::uint32_t capacity_ = 1;
    std::uint64_t slot_bytes_ = 0;
    std::deque<std::pair<user::RunHeader, std::string>> pending_;
    std::deque<Run> runs_;  ///< sent, not yet read to their end
    std::uint32_t next_slot_ = 0;
    std::uint32_t row_ = 0;           ///< of the first run: read
    std::uint32_t ready_ = 0;         ///< of the first run: there to be read
    std::uint64_t steps_before_ = 0;  ///< in the runs before the first
    std::uint64_t in_flight_ = 0;
    std::uint64_t next_ = 0;
    std::optional<Error> error_;
    std::optional<SourceEnd> end_;
    detail::GoldenProcess process_;
};
}  // namespace

Result<std::unique_ptr<UserGolden>> UserGolden::create(const manifest::Manifest& manifest,
                                                       const golden::Network& network,
                                                       const UserGoldenOptions& options) {
    auto source = std::make_unique<UserGoldenImpl>();
    if (Status opened = source->open(manifest, network, options); !opened) return opened.error();
    return std::unique_ptr<UserGolden>(std::move(source));
}

}  // namespace spikelock::sim

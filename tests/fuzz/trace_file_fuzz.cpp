// SPDX-License-Identifier: Apache-2.0
// Any trace file gives values or an error. An input that begins as an HDF5 file is one, and is read
// as users read: by the child process, since the HDF5 library does not survive every file. Any
// other input is a list of changes to a small trace that leave it a sound HDF5 file, which is then
// read in this process: what the library hands on must not lead our own code astray.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../../trace/src/hdf5_output.hpp"
#include "../../trace/src/reader_child.hpp"
#include "../../trace/src/shape_json.hpp"
#include "fuzz_support.hpp"
#include "spikelock/trace/trace_reader.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace {

using namespace spikelock;
using namespace spikelock::trace;
using namespace spikelock::trace::detail;
using fuzz::must;

constexpr std::size_t kSlot = 64 * 1024;  // small, so that its limits are met
constexpr std::uint32_t kChunk = 8;

/// A trace with everything that a trace can have, 20 timesteps of 3 neurons.
const std::string& sound_trace() {
    static const std::string bytes = [] {
        Shape shape;
        shape.n_neurons = 3;
        shape.dt = 1e-3;
        shape.counts = shape.events = shape.order = true;
        shape.populations = {{"p", 0, 3}};
        shape.fields = {{"v", FieldClass::State, 16, true, false, 8, 2},
                        {"x", FieldClass::State, 64, true, true, 0, 8}};
        constexpr std::uint32_t kSteps = 20;
        std::vector<std::uint64_t> spikes, mask;
        std::vector<std::uint16_t> counts;
        std::vector<std::uint8_t> valid;
        std::vector<std::byte> v(kSteps * 3 * 2), x(kSteps * 3 * 8);
        std::vector<SpikeEvent> events;
        std::vector<TakenEvent> taken;
        StimulusBlock applied;
        applied.n_steps = kSteps;
        applied.side_bands = {{"i_in", 2, std::vector<std::int32_t>(kSteps * 2, 5)},
                              {"mode", 1, std::vector<std::int32_t>(kSteps, -1)}};
        for (std::uint32_t t = 0; t < kSteps; ++t) {
            spikes.push_back(t % 8);
            mask.push_back(t % 5);
            valid.push_back(t == 7 ? 0 : 1);
            for (std::uint16_t n = 0; n < 3; ++n) {
                counts.push_back((t % 8 >> n & 1U) != 0 ? n + 1 : 0);
                v[(t * 3 + n) * 2] = static_cast<std::byte>(t * n);
                if (counts.back() > 0) events.push_back({t, n, 100 * t + n});
            }
            taken.push_back({t, t % 3, t % 2 == 0 ? TakenEvent::kInternal : std::uint16_t{0}});
            applied.event_begin.push_back(t);
            applied.events.push_back({t, 0, static_cast<std::int16_t>(t)});
        }
        applied.event_begin.push_back(kSteps);
        BlockView block;
        block.n_steps = kSteps;
        block.spikes = spikes;
        block.fields = {v, x};
        block.valid = valid;
        block.masks = {{}, mask};
        block.counts = counts;
        block.events = events;
        block.taken = taken;
        const std::vector<Sample> samples = {{"a", 0, 10, StartState::Clear},
                                             {"", 10, 20, StartState::Keep}};
        const std::vector<ExpectedDifference> differences = {{3, 1, -1, 1}, {4, 2, 0, -7}};
        const std::string path = fuzz::scratch_path("-sound.h5");
        auto writer = TraceWriter::create(path, shape, {.side_bands = true, .chunk_steps = kChunk});
        must(writer.has_value());
        must((*writer)->append(block).has_value());
        must((*writer)->add_stimulus(applied).has_value());
        must((*writer)->add_samples(samples).has_value());
        must((*writer)->add_expected_differences(differences).has_value());
        must((*writer)->close().has_value());
        std::ifstream file(path, std::ios::binary);
        std::string all{std::istreambuf_iterator<char>(file), {}};
        std::filesystem::remove(path);
        return all;
    }();
    return bytes;
}

/// Takes what it needs from the front of the input; zeros where nothing is left.
struct Input {
    std::span<const std::byte> left;
    template <typename T>
    T take() {
        T value{};
        const std::size_t size = std::min(sizeof value, left.size());
        if (size > 0) std::memcpy(&value, left.data(), size);
        left = left.subspan(size);
        return value;
    }
    std::span<const std::byte> bytes(std::size_t most) {
        const auto part = left.first(std::min(most, left.size()));
        left = left.subspan(part.size());
        return part;
    }
    std::string text(std::size_t most) {
        const auto part = bytes(most);
        return {reinterpret_cast<const char*>(part.data()), part.size()};
    }
};

constexpr const char* kDatasets[] = {"/trace/spike_bits",
                                     "/trace/counts",
                                     "/trace/valid",
                                     "/trace/fields/v",
                                     "/trace/fields/x",
                                     "/trace/masks/x",
                                     "/trace/events/timestep",
                                     "/trace/events/neuron",
                                     "/trace/events/clock",
                                     "/trace/taken/timestep",
                                     "/trace/taken/port",
                                     "/trace/taken/address",
                                     "/stimulus/events/timestep",
                                     "/stimulus/events/port",
                                     "/stimulus/events/address",
                                     "/stimulus/events/payload",
                                     "/stimulus/side_bands/i_in",
                                     "/stimulus/side_bands/mode",
                                     "/samples/begin",
                                     "/samples/end",
                                     "/samples/start",
                                     "/samples/label",
                                     "/expected_differences/timestep",
                                     "/expected_differences/neuron",
                                     "/expected_differences/field",
                                     "/expected_differences/value"};
constexpr const char* kNumbers[] = {"n_steps", "first_step", "complete", "n_samples",
                                    "format_version"};

void put_number(hid_t object, const char* name, std::int64_t value) {
    const Handle attribute = attribute_handle(H5Aopen(object, name, H5P_DEFAULT));
    if (attribute) H5Awrite(attribute.get(), H5T_NATIVE_INT64, &value);
}

std::string get_text(hid_t object, const char* name) {
    const Handle attribute = attribute_handle(H5Aopen(object, name, H5P_DEFAULT));
    const Handle type = type_handle(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
    char* text = nullptr;
    if (!attribute || H5Aread(attribute.get(), type.get(), &text) < 0) return {};
    std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
}

void put_text(hid_t object, const char* name, const std::string& value) {
    const Handle attribute = attribute_handle(H5Aopen(object, name, H5P_DEFAULT));
    const Handle type = type_handle(attribute ? H5Aget_type(attribute.get()) : H5I_INVALID_HID);
    const char* const text = value.c_str();
    if (attribute) H5Awrite(attribute.get(), type.get(), &text);
}

/// One change that leaves a sound HDF5 file.
void change(hid_t file, Input& in) {
    const auto what = in.take<std::uint8_t>();
    const std::string path = kDatasets[in.take<std::uint8_t>() % std::size(kDatasets)];
    const Handle dataset = dataset_handle(H5Dopen2(file, path.c_str(), H5P_DEFAULT));
    const Handle space = space_handle(dataset ? H5Dget_space(dataset.get()) : H5I_INVALID_HID);
    const Handle list = list_handle(dataset ? H5Dget_create_plist(dataset.get()) : H5I_INVALID_HID);
    const Handle type = type_handle(dataset ? H5Dget_type(dataset.get()) : H5I_INVALID_HID);
    hsize_t extent[2] = {0, 0};
    hsize_t chunk[2] = {0, 0};
    const int rank = dataset ? H5Sget_simple_extent_dims(space.get(), extent, nullptr) : 0;
    if (rank > 0) H5Pget_chunk(list.get(), rank, chunk);
    const Handle group = group_handle(H5Gopen2(file, "/stimulus", H5P_DEFAULT));
    const bool sample = path.starts_with("/samples");
    switch (what % 9) {
        case 0:
            return put_number(file, kNumbers[in.take<std::uint8_t>() % std::size(kNumbers)],
                              in.take<std::int64_t>());
        case 1:
            return put_text(file, "shape", in.text(in.take<std::uint16_t>() % 512));
        case 2: {  // a stretch of the description
            const bool bands = in.take<std::uint8_t>() % 4 == 0 && group;
            const hid_t object = bands ? group.get() : file;
            const char* name = bands ? "side_bands" : "shape";
            std::string text = get_text(object, name);
            if (text.empty()) return;
            const std::size_t at = in.take<std::uint16_t>() % text.size();
            const std::size_t drop = in.take<std::uint8_t>() % 16;
            text.replace(at, drop, in.text(in.take<std::uint8_t>() % 24));
            return put_text(object, name, text);
        }
        case 3: {  // a chunk of any bytes
            if (rank <= 0 || chunk[0] == 0 || sample) return;
            const hsize_t at[2] = {in.take<std::uint8_t>() % 4 * chunk[0], 0};
            const auto bytes = in.bytes(in.take<std::uint16_t>() % 1024);
            if (at[0] >= extent[0] || bytes.empty()) return;
            H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, 0, at, bytes.size(), bytes.data());
            return;
        }
        case 4: {  // a chunk of any values
            if (rank <= 0 || chunk[0] == 0 || sample || H5Pget_nfilters(list.get()) == 0) return;
            const std::size_t element = H5Tget_size(type.get());
            std::vector<std::byte> raw(chunk[0] * (rank == 2 ? chunk[1] : 1) * element);
            const auto bytes = in.bytes(in.take<std::uint16_t>() % 1024);
            std::copy_n(bytes.begin(), std::min(bytes.size(), raw.size()), raw.begin());
            ChunkCompressor compressor(element);
            const auto packed = compressor.compress(raw);
            const hsize_t at[2] = {in.take<std::uint8_t>() % 4 * chunk[0], 0};
            if (at[0] >= extent[0]) return;
            H5Dwrite_chunk(dataset.get(), H5P_DEFAULT, 0, at, packed.size(), packed.data());
            return;
        }
        case 5: {
            if (rank <= 0 || !dataset) return;
            // Not more: HDF5 visits every chunk that there could be when it shrinks again.
            extent[0] = in.take<std::uint64_t>() % (sample ? 4096 : 65536);
            H5Dset_extent(dataset.get(), extent);
            return;
        }
        case 6:
            H5Ldelete(file, path.c_str(), H5P_DEFAULT);
            return;
        case 7: {  // a dataset of another make
            H5Ldelete(file, path.c_str(), H5P_DEFAULT);
            const hid_t types[] = {H5T_STD_U8LE,  H5T_STD_I16BE, H5T_STD_U32LE,
                                   H5T_STD_U64BE, H5T_STD_I64LE, H5T_IEEE_F32LE};
            const hid_t made = types[in.take<std::uint8_t>() % std::size(types)];
            const int ranks = 1 + in.take<std::uint8_t>() % 2;
            const hsize_t size[2] = {in.take<std::uint8_t>(), in.take<std::uint8_t>() % 8U};
            const Handle shape = space_handle(H5Screate_simple(ranks, size, nullptr));
            const Handle created = dataset_handle(H5Dcreate2(
                file, path.c_str(), made, shape.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
            return;
        }
        default:
            if (group) {
                put_number(group.get(), in.take<std::uint8_t>() % 2 == 0 ? "n_steps" : "first_step",
                           in.take<std::int64_t>());
            }
    }
}

/// Reads everything through what the child does, and checks what it says.
void read_here(const std::string& path) {
    std::vector<std::byte> memory(kSlot);
    const std::span<std::byte> slots[] = {memory};
    const auto file = make_trace_file(path, slots);
    const auto good = [&](const Reply& reply) {
        must(reply.size <= kSlot);
        if (reply.errc == 0) return true;
        must(static_cast<Errc>(reply.errc) != Errc::Internal && reply.size > 0);
        return false;
    };
    Reply reply = file->serve({ChildRequest::Open, 0, 0, 0, 0});
    if (!good(reply)) return;
    const auto* text = reinterpret_cast<const char*>(memory.data());
    const auto meta = nlohmann::json::parse(text, text + reply.size);
    const auto shape = shape_from_json(meta.at("shape"));
    must(shape.has_value());
    const auto steps = meta.at("n_steps").get<std::uint64_t>();
    for (std::uint64_t first = 0, reads = 0; first < steps && reads < 40; ++reads) {
        std::uint64_t count = std::min<std::uint64_t>(steps - first, 1 + reads % 11);
        if (SlotLayout(*shape, count).size > kSlot) count = 1;
        const SlotLayout asked(*shape, count);
        if (asked.size > kSlot) break;
        reply = file->serve({ChildRequest::Rows, 0, first, count, 0});
        if (!good(reply)) break;
        must(reply.rows >= 1 && reply.rows <= count);
        must(asked.size + reply.events * sizeof(SpikeEvent) + reply.taken * sizeof(TakenEvent) <=
             kSlot);
        for (std::uint64_t i = 0; i < reply.events; ++i) {
            SpikeEvent event;
            std::memcpy(&event, memory.data() + asked.size + i * sizeof event, sizeof event);
            must(event.step < reply.rows && event.neuron < shape->n_neurons);
        }
        first += reply.rows;
    }
    good(file->serve({ChildRequest::Differences, 0, 0, 100, 0}));
    const auto& applied = meta.at("stimulus");
    if (!applied.is_object()) return;
    const auto first = applied.at("first_step").get<std::uint64_t>();
    const auto count = std::min<std::uint64_t>(applied.at("n_steps").get<std::uint64_t>(), 100);
    reply = file->serve({ChildRequest::Stimulus, 0, first, count, 0});
    if (good(reply)) must(reply.size % sizeof(StimulusEntry) == 0);
    for (std::uint64_t band = 0; band < applied.at("side_bands").size(); ++band) {
        if (!applied.at("side_bands")[band].at("recorded").get<bool>()) continue;
        good(file->serve({ChildRequest::SideBand, 0, first, count, band}));
    }
}

/// Reads everything as users do.
void read_in_child(const std::string& path) {
    auto reader = open_trace(path, {.time_limit_s = 1.0});
    if (!reader) {
        must(!reader.error().message.empty() && reader.error().where == path);
        return;
    }
    for (int reads = 0; reads < 100; ++reads) {
        auto item = (*reader)->read(1000);
        if (!item || std::holds_alternative<SourceEnd>(*item)) break;
    }
    static_cast<void>((*reader)->expected_differences(1000));
    if (const RecordedStimulus* applied = (*reader)->recorded_stimulus()) {
        static_cast<void>((*reader)->stimulus(
            applied->first_step,
            static_cast<std::uint32_t>(std::min<std::uint64_t>(applied->n_steps, 1000))));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const fuzz::ScratchFile scratch(".h5");
    const std::string& path = scratch.path();
    const std::string_view bytes = fuzz::text_of(data, size);
    if (bytes.starts_with("\x89HDF")) {
        scratch.write(bytes);
        read_in_child(path);
    } else {
        scratch.write(sound_trace());
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        {
            const Handle access = list_handle(H5Pcreate(H5P_FILE_ACCESS));
            H5Pset_file_locking(access.get(), false, true);
            const Handle file =
                trace::detail::file_handle(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()));
            must(static_cast<bool>(file));
            Input in{std::as_bytes(std::span(data, size))};
            while (!in.left.empty()) change(file.get(), in);
        }
        read_here(path);
    }
    return 0;
}

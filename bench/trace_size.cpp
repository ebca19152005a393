// SPDX-License-Identifier: Apache-2.0
// Size on disk of the digits run's trace, the whole file with its SONATA view, against 17 bytes (an
// int8 and two float64) a neuron and timestep, which hold no input; with --input the input events
// are in the file too. The golden stands for the core, which it matches.
//   trace_size v|v,i_syn [--input]      the last line is {"value": how many times smaller}
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "experiment.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace {
using namespace spikelock;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "trace_size: %s\n", what.c_str());
    std::exit(1);
}
template <typename T>
T need(Result<T> result) {
    if (!result) fail(result.error().text());
    return std::move(*result);
}
void need(const Status& status) {
    if (!status) fail(status.error().text());
}
}  // namespace

int main(int argc, char** argv) {
    const std::string wanted = argc > 1 ? argv[1] : "";
    if (wanted != "v" && wanted != "v,i_syn") fail("usage: trace_size v|v,i_syn [--input]");
    const bool input = argc > 2 && std::string(argv[2]) == "--input";
    const manifest::Manifest m = need(manifest::load_manifest("examples/010_digits/cosim.toml"));
    app::Experiment e = need(app::load_experiment(m));
    auto golden = need(golden::GoldenSource::create(e.network));
    trace::Shape shape = golden->shape();
    std::vector<std::size_t> kept;
    std::vector<trace::FieldSpec> fields;
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        if (wanted.find(shape.fields[f].name) != std::string::npos) {
            kept.push_back(f);
            fields.push_back(shape.fields[f]);
        }
    shape.fields = fields;
    std::filesystem::create_directories("build/bench");
    const std::string path = "build/bench/size.h5";
    auto writer = need(trace::TraceWriter::create(path, shape));
    const std::uint64_t steps = e.stimulus->n_steps();
    for (std::uint64_t first = 0; first < steps;) {
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(256, steps - first));
        const trace::StimulusBlock applied = e.stimulus->block(first, count);
        need(golden->submit(applied));
        auto got = need(golden->read(count));
        auto block = std::get<trace::BlockView>(got);
        std::vector<std::span<const std::byte>> some;
        for (const std::size_t f : kept) some.push_back(block.fields[f]);
        block.fields = some;
        need(writer->append(block));
        if (input) need(writer->add_stimulus(applied));
        first += block.n_steps;
    }
    need(writer->add_samples(e.stimulus->samples()));
    need(writer->close());
    const auto bytes = static_cast<double>(std::filesystem::file_size(path));
    const double plain = 17.0 * static_cast<double>(steps) * shape.n_neurons;
    std::printf("%.0f bytes, %.0f at 17 a neuron and timestep\n", bytes, plain);
    std::printf("{\"value\": %.3f}\n", plain / bytes);
}

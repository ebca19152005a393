// SPDX-License-Identifier: Apache-2.0
// Measures lockstep against a bare hand-written driver of the same core: same stimulus, compiler
// and flags, no public signals, nothing read. Pairs are run in turn; the last line is {"value":
// median ratio, "spread": ...} for bench.py.
//   lockstep_ratio digits|lif256 [--against bare|default] [--record]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <sstream>

#include "experiment.hpp"
#include "recorder.hpp"
#include "spikelock/golden/golden_source.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/manifest/plan.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/sim/dut_source.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace {
namespace fs = std::filesystem;
using namespace spikelock;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "lockstep_ratio: %s\n", what.c_str());
    std::exit(1);
}
template <typename T>
T need(Result<T> result) {
    if (!result) fail(result.error().text());
    return std::move(*result);
}

std::string output_of(const std::string& command) {
    std::FILE* pipe = popen(command.c_str(), "r");
    if (!pipe) fail("cannot run " + command);
    std::string text;
    char buffer[4096];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        text.append(buffer, n);
    if (pclose(pipe) != 0) fail("failed: " + command + "\n" + text);
    return text;
}

/// Builds the bare driver, once: with the flags of the DUT host, or as `verilator --cc --exe
/// --build` does by default.
std::string build_bare(const manifest::Manifest& m, const std::string& driver, bool by_default,
                       const std::string& cxx, const fs::path& root) {
    const fs::path folder = root / (m.core.name + (by_default ? "-default" : "-bare"));
    const fs::path program = folder / "Vdut";
    if (fs::exists(program) && fs::last_write_time(program) > fs::last_write_time(driver))
        return program.string();
    fs::create_directories(folder);
    std::ostringstream command;
    command << "verilator --cc --exe --prefix Vdut --top-module " << m.core.top << " -Mdir "
            << folder.string();
    if (by_default)
        command << " --build";
    else
        command << " --x-assign unique --x-initial unique --no-timing -O3"
                << (m.core.assertions ? " --assert" : "");
    command << " -Wno-fatal --language " << m.core.language;
    for (const auto& dir : m.core.include_dirs) command << " -I" << dir;
    for (const auto& [name, value] : m.core.parameters) command << " -G" << name << "=" << value;
    for (const auto& file : m.core.waivers) command << ' ' << file;
    for (const auto& file : m.core.sources) command << ' ' << file;
    command << ' ' << driver << " >/dev/null 2>&1";
    output_of(command.str());
    if (!by_default)
        output_of("make -s -C " + folder.string() + " -f Vdut.mk CXX=" + cxx + " LINK=" + cxx +
                  " OPT_FAST='" + m.core.optimise +
                  "' OPT_SLOW=-O1 OPT_GLOBAL=-O2 Vdut >/dev/null 2>&1");
    return program.string();
}

template <typename T>
void put(std::ofstream& file, const std::vector<T>& all) {
    const std::uint64_t count = all.size();
    file.write(reinterpret_cast<const char*>(&count), sizeof count);
    file.write(reinterpret_cast<const char*>(all.data()),
               static_cast<std::streamsize>(count * sizeof(T)));
}

void write_stimulus(const manifest::Manifest& m, const app::Experiment& e,
                    const manifest::SignalTable& signals, const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    if (m.timestep.kind == manifest::TimestepSpec::Kind::Clocked) {
        const std::uint64_t steps = std::min<std::uint64_t>(e.stimulus->n_steps(), 4096);
        const std::uint64_t head[4] = {e.network.n_neurons(), steps, e.stimulus->n_steps(),
                                       static_cast<std::uint64_t>(e.network.neurons[0].threshold)};
        file.write(reinterpret_cast<const char*>(head), sizeof head);
        const trace::StimulusBlock block = e.stimulus->block(0, static_cast<std::uint32_t>(steps));
        for (const std::int32_t value : block.side_bands.at(0).values) {
            const auto narrow = static_cast<std::int16_t>(value);
            file.write(reinterpret_cast<const char*>(&narrow), 2);
        }
        return;
    }
    manifest::Plan plan = need(manifest::resolve(m, signals, e.network));
    std::vector<std::uint64_t> writes;
    for (const auto& word : need(manifest::map_words(m, plan, signals, e.network))) {
        writes.push_back(word.address);
        writes.push_back(word.data);
    }
    const trace::StimulusBlock block =
        e.stimulus->block(0, static_cast<std::uint32_t>(e.stimulus->n_steps()));
    std::vector<std::uint32_t> counts(block.n_steps);
    std::vector<std::uint32_t> axons;
    for (std::uint32_t s = 0; s < block.n_steps; ++s)
        counts[s] = block.event_begin[s + 1] - block.event_begin[s];
    for (const auto& begin : block.begins)
        if (begin.start == trace::StartState::Clear) counts[begin.step] |= 0x80000000U;
    for (const auto& event : block.events) axons.push_back(event.address);
    put(file, writes);
    put(file, counts);
    put(file, axons);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
}  // namespace

int main(int argc, char** argv) {
    const std::string subject = argc > 1 ? argv[1] : "";
    bool by_default = false;
    bool record = false;
    for (int i = 2; i < argc; ++i) {
        by_default = by_default || std::strcmp(argv[i], "default") == 0;
        record = record || std::strcmp(argv[i], "--record") == 0;
    }
    if (subject != "digits" && subject != "lif256")
        fail("usage: lockstep_ratio digits|lif256 [--against bare|default] [--record]");
    const char* repetitions_text = std::getenv("SPIKELOCK_BENCH_REPETITIONS");
    const int repetitions = repetitions_text ? std::atoi(repetitions_text) : 9;
    const bool digits = subject == "digits";
    const std::string example = digits ? "examples/010_digits" : "examples/030_parallel_lif";
    // The array is measured without its assertions, as the default build has none.
    const std::vector<std::string> overrides =
        digits ? std::vector<std::string>{}
               : std::vector<std::string>{"core.assertions=false", "stimulus.steps=600000",
                                          "stimulus.sample_steps=600000"};
    const manifest::Manifest m = need(manifest::load_manifest(example + "/cosim.toml", overrides));
    app::Experiment e = need(app::load_experiment(m));
    const fs::path cache = fs::absolute("build/bench");
    sim::BuildOptions build;
    build.cache_dir = cache.string();
    build.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
    const sim::BuiltHost host = need(sim::build_host(m, build));
    const manifest::SignalTable signals = need(sim::list_signals(host, m));
    const std::string cxx = output_of(
        "for v in 22 21 20 19 18 17 16 15 14; do command -v clang++-$v && exit 0; done; command -v "
        "clang++ || command -v g++");
    const std::string driver =
        fs::absolute(std::string("bench/bare/") + (digits ? "snn_core" : "lif_array") + "_main.cpp")
            .string();
    const std::string bare =
        build_bare(m, driver, by_default, cxx.substr(0, cxx.find('\n')), cache);
    const std::string stimulus = (cache / (subject + ".stimulus")).string();
    write_stimulus(m, e, signals, stimulus);

    std::vector<double> ratios;
    for (int r = 0; r < repetitions; ++r) {
        std::istringstream printed(output_of(bare + " " + stimulus));
        std::uint64_t bare_clocks = 0;
        double bare_seconds = 0.0;
        printed >> bare_clocks >> bare_seconds;

        auto golden = need(golden::GoldenSource::create(e.network));
        auto dut = need(sim::DutSource::create(host, m, e.network, {}));
        std::unique_ptr<trace::TraceWriter> writer;
        std::unique_ptr<app::Recorder> recorder;
        const std::string trace_file = (cache / (subject + ".h5")).string();
        if (record) {
            writer = need(trace::TraceWriter::create(trace_file, dut->shape()));
            recorder = std::make_unique<app::Recorder>(*writer, golden->shape(), dut->shape());
        }
        const std::uint64_t clocks_before = dut->clocks();
        const lockstep::Outcome outcome =
            need(lockstep::run(*golden, *dut, e.stimulus.get(), {}, recorder.get()));
        if (outcome.verdict != lockstep::Verdict::Match) fail("not a MATCH: " + outcome.reason);
        if (writer)
            if (Status closed = writer->close(); !closed) fail(closed.error().text());
        // Both did the same work: clocks of the core are equal but for start-up.
        const std::uint64_t clocks = dut->clocks() - clocks_before;
        if (std::llabs(static_cast<long long>(clocks) - static_cast<long long>(bare_clocks)) >
            static_cast<long long>(clocks / 50 + 20000))
            fail("the bare driver ran " + std::to_string(bare_clocks) + " clocks, lockstep " +
                 std::to_string(clocks));
        ratios.push_back(bare_seconds / outcome.seconds);
        std::fprintf(
            stderr,
            "%s: bare %.3f s (%.0f timesteps/s), lockstep %.3f s (%.0f timesteps/s), ratio %.3f\n",
            subject.c_str(), bare_seconds,
            static_cast<double>(e.stimulus->n_steps()) / bare_seconds, outcome.seconds,
            static_cast<double>(e.stimulus->n_steps()) / outcome.seconds, ratios.back());
    }
    std::vector<double> sorted = ratios;
    std::sort(sorted.begin(), sorted.end());
    const double spread =
        sorted.size() > 1
            ? (sorted[sorted.size() * 3 / 4] - sorted[sorted.size() / 4]) / median(ratios)
            : 0.0;
    std::printf("{\"value\": %.4f, \"spread\": %.4f}\n", median(ratios), spread);
}

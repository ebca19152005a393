// SPDX-License-Identifier: Apache-2.0
// Runs a core on its own stimulus in a host that was built with a waveform (traced_host.py) and
// records what the host observed: the direct trace that traces from the waveform are held against.
//   record_waves MANIFEST HOST TRACE.h5 [STEPS [EVENTS.txt [KEY=VALUE...]]]
// EVENTS.txt gets what was applied, for a test bench in another language: lines "clear", "event
// AXON" and "tick".
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "spikelock/manifest/plan.hpp"
#include "spikelock/sim/dut_source.hpp"
#include "spikelock/trace/trace_writer.hpp"

namespace {
using namespace spikelock;

int fail(const Error& error) {
    std::cerr << error.text() << "\n";
    return 2;
}

void write_events(std::ostream& out, const trace::StimulusBlock& block) {
    std::size_t begin = 0;
    for (std::uint32_t step = 0; step < block.n_steps; ++step) {
        if (begin < block.begins.size() && block.begins[begin].step == step)
            if (block.begins[begin++].start == trace::StartState::Clear) out << "clear\n";
        for (const trace::InputEvent& event : block.events_of(step))
            out << "event " << event.address << "\n";
        out << "tick\n";
    }
}

Status run(const std::vector<std::string>& a) {
    const std::vector<std::string> overrides(a.begin() + std::min<std::ptrdiff_t>(6, std::ssize(a)),
                                             a.end());
    Result<manifest::Manifest> m = manifest::load_manifest(a[1], overrides);
    if (!m) return m.error();
    Result<app::Experiment> e = app::load_experiment(*m);
    if (!e) return e.error();
    sim::BuiltHost host;
    host.path = a[2];
    sim::DutOptions options;
    options.log = [](const std::string& line) { std::cerr << line << "\n"; };
    auto source = sim::DutSource::create(host, *m, e->network, options);
    if (!source) return source.error();
    auto writer = trace::TraceWriter::create(a[3], (*source)->shape());
    if (!writer) return writer.error();
    std::uint64_t steps = e->stimulus->n_steps();
    if (a.size() > 4) steps = std::min<std::uint64_t>(steps, std::stoull(a[4]));
    std::ofstream events;
    if (a.size() > 5 && !a[5].empty()) events.open(a[5]);
    constexpr std::uint64_t kBlock = 128;
    std::uint64_t submitted = 0;
    for (std::uint64_t done = 0; done < steps;) {
        // Ahead of what is read: a core that shows some things late must not be drained early.
        while (submitted < std::min(steps, done + 2 * kBlock)) {
            const auto count = static_cast<std::uint32_t>(std::min(kBlock, steps - submitted));
            const trace::StimulusBlock block = e->stimulus->block(submitted, count);
            if (events.is_open()) write_events(events, block);
            if (Status s = (*source)->submit(block); !s) return s;
            submitted += count;
        }
        auto got = (*source)->read(kBlock);
        if (!got) return got.error();
        const auto* view = std::get_if<trace::BlockView>(&*got);
        if (!view) return Error{Errc::Internal, std::get<trace::SourceEnd>(*got).text, a[2]};
        if (Status s = (*writer)->append(*view); !s) return s;
        done += view->n_steps;
    }
    std::vector<trace::Sample> samples;
    for (trace::Sample sample : e->stimulus->samples()) {
        if (sample.begin >= steps) break;
        sample.end = std::min(sample.end, steps);
        samples.push_back(sample);
    }
    if (Status s = (*writer)->add_samples(samples); !s) return s;
    if (events.is_open()) {
        // The words that load the network, for a test bench that has no host to do it.
        auto table = (*source)->signals();
        auto plan = manifest::resolve(*m, table, e->network);
        if (!plan) return plan.error();
        auto words = manifest::map_words(*m, *plan, table, e->network);
        if (!words) return words.error();
        std::ofstream config(a[5] + ".config");
        for (const manifest::MapWord& word : *words)
            if (!word.back_door) config << word.address << " " << word.data << "\n";
    }
    return (*writer)->close();
}
}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv, argv + argc);
    if (arguments.size() < 4) {
        std::cerr << "usage: record_waves MANIFEST HOST TRACE.h5 [STEPS [EVENTS [KEY=VALUE...]]]\n";
        return 2;
    }
    // The host leaves a process that finishes the waveform (traced_model.hpp).
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const Status done = run(arguments);
    while (wait(nullptr) > 0) {
    }
    return done ? 0 : fail(done.error());
}

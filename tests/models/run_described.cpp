// SPDX-License-Identifier: Apache-2.0
// Runs networks under descriptions and prints what they show, for check_described.py. Each argument
// is a folder with cosim.toml and input.txt:
//   T n          run n timesteps (at the end)
//   C t          state cleared before timestep t
//   E t p a w    event in timestep t on port p for axon a with payload w
//   I t x0 x1 .. currents of timestep t
//   F 0          the order of events is given:
//   O t p a      the core took this in timestep t: port (-1: own spike, -2: tick) and address
#include <fmt/format.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "spikelock/golden/described_source.hpp"
#include "spikelock/golden/network_json.hpp"
#include "spikelock/manifest/manifest.hpp"

namespace {

using namespace spikelock;

struct Input {
    std::uint32_t steps = 0;
    bool ordered = false;
    std::map<std::uint32_t, std::vector<trace::InputEvent>> events;
    std::map<std::uint32_t, std::vector<std::int32_t>> currents;
    std::map<std::uint32_t, std::vector<trace::TakenEvent>> orders;
    std::vector<std::uint32_t> clears;
};

Input read_input(const std::string& path) {
    Input input;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string kind;
        std::uint32_t t = 0;
        words >> kind >> t;
        if (kind == "T") input.steps = t;
        if (kind == "F") input.ordered = true;
        if (kind == "C") input.clears.push_back(t);
        int port = 0;
        if (kind == "E") {
            trace::InputEvent e;
            words >> port >> e.address >> e.payload;
            e.port = static_cast<std::uint16_t>(port);
            input.events[t].push_back(e);
        }
        if (kind == "O") {
            trace::TakenEvent e;
            words >> port >> e.address;
            e.port = port == -1   ? trace::TakenEvent::kInternal
                     : port == -2 ? golden::kTickPort
                                  : static_cast<std::uint16_t>(port);
            input.orders[t].push_back(e);
        }
        if (kind == "I") {
            std::int32_t x = 0;
            while (words >> x) input.currents[t].push_back(x);
        }
    }
    return input;
}

trace::StimulusBlock block_of(const Input& input, std::uint32_t first, std::uint32_t count,
                              std::uint32_t neurons) {
    trace::StimulusBlock block;
    block.first = first;
    block.n_steps = count;
    block.event_begin.push_back(0);
    trace::SideBand band{"i_in", neurons, {}};
    for (std::uint32_t t = first; t < first + count; ++t) {
        if (const auto found = input.events.find(t); found != input.events.end())
            block.events.insert(block.events.end(), found->second.begin(), found->second.end());
        block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
        if (const auto found = input.currents.find(t); found != input.currents.end())
            band.values.insert(band.values.end(), found->second.begin(), found->second.end());
        for (const std::uint32_t clear : input.clears)
            if (clear == t) block.begins.push_back({t - first, trace::StartState::Clear});
    }
    if (!band.values.empty()) block.side_bands.push_back(std::move(band));
    return block;
}

std::int64_t element(const trace::FieldSpec& spec, std::span<const std::byte> from,
                     std::size_t index) {
    const auto bytes = static_cast<std::size_t>(spec.bytes);
    std::uint64_t raw = 0;
    std::memcpy(&raw, from.data() + index * bytes, bytes);
    const int unused = static_cast<int>(64 - 8 * bytes);
    return spec.is_signed ? static_cast<std::int64_t>(raw << unused) >> unused
                          : static_cast<std::int64_t>(raw);
}

Status run(const std::string& folder, std::ostream& out) {
    const auto m =
        manifest::load_manifest(folder + "/cosim.toml", {}, manifest::CoreNeed::IfPresent);
    if (!m) return m.error();
    auto network = golden::load_network(m->network.json);
    if (!network) return network.error();
    golden::Description description = golden::describe(*network);
    if (m->golden.description)
        if (Status good = golden::apply(*m->golden.description, description); !good) return good;
    auto source = golden::DescribedSource::create(*network, description);
    if (!source) return source.error();
    const Input input = read_input(folder + "/input.txt");
    const std::uint32_t neurons = network->n_neurons();
    const trace::Shape& shape = (*source)->shape();
    auto* const taker = dynamic_cast<trace::OrderTaker*>(source->get());
    // Blocks of changing sizes: no value may depend on them.
    for (std::uint32_t first = 0, size = 7; first < input.steps;
         first += size, size = size * 2 % 11 + 1) {
        const std::uint32_t count = std::min(size, input.steps - first);
        if (Status sent = (*source)->submit(block_of(input, first, count, neurons)); !sent)
            return sent;
        if (input.ordered) {
            std::vector<trace::TakenEvent> taken;
            for (std::uint32_t t = first; t < first + count; ++t)
                if (const auto found = input.orders.find(t); found != input.orders.end())
                    for (trace::TakenEvent e : found->second) {
                        e.step = t - first;
                        taken.push_back(e);
                    }
            if (Status given = taker->give_order(count, taken); !given) return given;
        }
        for (std::uint32_t done = 0; done < count;) {
            auto got = (*source)->read(count - done);
            if (!got) return got.error();
            const auto& view = std::get<trace::BlockView>(*got);
            for (std::uint32_t s = 0; s < view.n_steps; ++s) {
                for (std::size_t f = 0; f < shape.fields.size(); ++f) {
                    out << shape.fields[f].name;
                    for (std::uint32_t n = 0; n < neurons; ++n)
                        out << ' '
                            << element(shape.fields[f], view.fields[f],
                                       std::size_t{s} * neurons + n);
                    out << '\n';
                }
                out << "spike";
                for (std::uint32_t n = 0; n < neurons; ++n) {
                    const std::uint64_t word = view.spikes[shape.spike_words() * s + n / 64];
                    const std::uint64_t bit = (word >> (n % 64)) & 1;
                    const std::uint64_t count_of =
                        shape.counts ? view.counts[std::size_t{s} * neurons + n] : bit;
                    if ((count_of > 0) != (bit == 1))
                        return Error{Errc::Internal, "counts and bits differ", folder};
                    out << ' ' << count_of;
                }
                out << '\n';
            }
            done += view.n_steps;
        }
    }
    out << "kernel " << (*source)->kernel() << '\n';
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        std::cout << "case " << argv[i] << '\n';
        const Status done = run(argv[i], std::cout);
        if (!done) std::cout << "error " << done.error().text() << '\n';
    }
    return 0;
}

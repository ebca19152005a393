// SPDX-License-Identifier: Apache-2.0
#include "golden_model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "spikelock/golden/network_json.hpp"
#include "spikelock/sim/user_golden.hpp"

namespace spikelock::app {

Result<Golden> open_golden(const manifest::Manifest& m, const Experiment& e, golden::Kernel kernel,
                           const OwnGoldenOptions& o, const Console& console) {
    Golden golden;
    if (!m.golden.given()) {
        const bool order = std::any_of(m.observe.begin(), m.observe.end(),
                                       [](const auto& observed) { return observed.events; });
        Result<BuiltIn> built = make_golden(e, kernel, order);
        if (!built) return built.error();
        golden.name = "built in";
        golden.lists_spikes = built->lists_spikes;
        golden.kernel = std::move(built->kernel);
        golden.source = std::move(built->source);
        if (e.description) {
            golden.name += ", as [golden] describes it";
            if (console.verbose) console.step("golden: " + golden.kernel);
        }
        return golden;
    }
    sim::UserGoldenOptions options;
    options.network_json = golden::to_json(e.network);
    options.cache_dir = console.cache_dir;
    options.force = o.rebuild;
    options.wall_limit_s = o.wall_limit_s;
    options.stop = console.stop;
    options.log = [&](const std::string& line) { console.step(line); };
    if (console.verbose)
        options.print = [&](const std::string& line) { console.step("golden prints: " + line); };
    Result<std::unique_ptr<sim::UserGolden>> source =
        sim::UserGolden::create(m, e.network, options);
    if (!source) return source.error();
    golden.name = (*source)->name();
    golden.kernel = "user";
    golden.compiler = (*source)->compiler();
    golden.files = (*source)->files();
    std::string fields;
    for (const auto& field : (*source)->shape().fields) fields += field.name + ", ";
    golden.note = fmt::format("golden: {} (your own, shows {}spike), not the built-in model",
                              golden.name, fields);
    console.step(fmt::format("golden: {} ({})", golden.name,
                             golden.compiler.empty()
                                 ? m.golden.interpreter
                                 : ((*source)->cached() ? "cached build" : "built") +
                                       std::string(", ") + golden.compiler));
    golden.source = std::move(*source);
    return golden;
}

}  // namespace spikelock::app

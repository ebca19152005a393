// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/manifest.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "golden_section.hpp"
#include "section.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::manifest {

namespace fs = std::filesystem;

using detail::absolute;
using detail::Bad;
using detail::bad;
using detail::expand;
using detail::kMax32;
using detail::kMax63;
using detail::kMaxText;
using detail::needed_file;
using detail::Section;

namespace {

CoreSpec read_core(Section s, const std::string& folder) {
    CoreSpec core;
    core.top = s.needed_text("top", "top = \"my_core\"");
    core.name = s.text("name", core.top);
    if (!s.has("sources")) s.missing_key("sources", "sources = [\"rtl/*.sv\"]");
    core.sources = expand(folder, s.list("sources"), s.where("sources"));
    if (s.has("sources") && core.sources.empty())
        bad("expected at least one source file", s.where("sources"));
    for (const std::string& dir : s.list("include_dirs"))
        core.include_dirs.push_back(needed_file(folder, dir, s.where("include_dirs")));
    core.defines = s.list("defines");
    core.waivers = s.has("waivers") ? expand(folder, s.list("waivers"), s.where("waivers"))
                                    : s.list("waivers");
    core.language = s.text("language", core.language);
    core.assertions = s.flag("assertions", core.assertions);
    core.lint = s.flag("lint", core.lint);
    core.cxx = s.text("cxx");
    core.optimise = s.text("optimise", core.optimise);
    if (s.has("faults")) core.faults = needed_file(folder, s.text("faults"), s.where("faults"));
    s.know({"faults"});
    for (const auto& [name, value] : s.scalars("parameters")) core.parameters[name] = value;
    s.close();
    return core;
}

std::vector<FaultSpec> read_faults(const std::string& path) {
    std::vector<FaultSpec> faults;
    toml::table root;
    try {
        root = toml::parse_file(path);
    } catch (const toml::parse_error& error) {
        bad(std::string(error.description()),
            path + ":" + std::to_string(error.source().begin.line));
    }
    Section top(&root, "", path);
    for (Section& s : top.tables("fault")) {
        FaultSpec fault;
        fault.name = s.needed_text("name", "name = \"threshold-compare\"");
        fault.id = s.integer<std::uint32_t>("id", 0, 1, 255);
        fault.description = s.text("description");
        s.know({"needs", "modelled", "file", "line"});  // for the models and scripts of a core
        if (!s.has("id")) s.missing("missing key 'id' (1..255)", s.where() + ": [fault]");
        s.close();
        faults.push_back(std::move(fault));
    }
    top.close();
    return faults;
}

StartupStep read_step(Section& s) {
    StartupStep step;
    step.where = s.where();
    s.know({"reset", "set", "wait_clocks", "pulse", "load"});
    int kinds = 0;
    if (s.has("reset")) {
        step.kind = StartupStep::Kind::Reset;
        step.signal = s.text("reset");
        step.active_low = s.choice<bool>("active", true, {{"low", true}, {"high", false}});
        step.clocks = s.integer<std::uint64_t>("clocks", 4, 1, kMax32);
        ++kinds;
    }
    if (s.has("set")) {
        step.kind = StartupStep::Kind::Set;
        step.signal = s.text("set");
        step.value = s.integer<std::uint64_t>("value", 1, 0, kMax63);
        ++kinds;
    }
    if (s.has("wait_clocks")) {
        step.kind = StartupStep::Kind::Clocks;
        step.clocks = s.integer<std::uint64_t>("wait_clocks", 1, 1, kMax32);
        ++kinds;
    }
    if (s.has("pulse")) {
        step.kind = StartupStep::Kind::Pulse;
        step.signal = s.text("pulse");
        step.until = s.needed_expression("until", "until = \"done_o\"");
        step.limit_clocks = s.integer<std::uint64_t>("limit_clocks", step.limit_clocks, 1, kMax63);
        ++kinds;
    }
    if (s.has("load")) {
        step.kind = StartupStep::Kind::Load;
        if (s.text("load") != "maps") bad("expected load = \"maps\"", s.where("load"));
        ++kinds;
    }
    if (kinds != 1) {
        s.know({"active", "clocks", "value", "until", "limit_clocks"});
        s.find_misspelt();  // the better message
        bad("expected exactly one of reset, set, wait_clocks, pulse, load",
            step.where + ": [" + s.name() + "]");
    }
    s.close();
    return step;
}

MapSpec read_map(Section& s) {
    MapSpec map;
    map.where = s.where();
    if (!s.has("array"))
        s.missing("missing key 'array': global, neuron, row, synapse or dense",
                  map.where + ": [[map]]");
    map.array = s.choice<MapSpec::Array>("array", map.array,
                                         {{"global", MapSpec::Array::Global},
                                          {"neuron", MapSpec::Array::Neuron},
                                          {"row", MapSpec::Array::Row},
                                          {"synapse", MapSpec::Array::Synapse},
                                          {"dense", MapSpec::Array::Dense}});
    map.address = s.expression("address");
    map.memory = s.text("memory");
    map.word = s.expression("word");
    map.lsb = s.expression("lsb");
    map.width = s.integer<std::uint32_t>("width", map.width, 1, 64);
    map.value = s.needed_expression("value", "value = \"threshold\"");
    s.close();
    if (map.address.empty() == map.memory.empty())
        bad("expected either 'address' (through the configuration port) or 'memory' (back door)",
            map.where + ": [[map]]");
    return map;
}

NetworkSpec read_network(Section s, const std::string& folder) {
    using golden::Compare;
    using golden::LeakMode;
    using golden::Overflow;
    using golden::ResetMode;
    using golden::Rounding;
    NetworkSpec network;
    network.where = s.where();
    if (!s.present()) return network;
    if (s.has("nir")) network.nir = needed_file(folder, s.text("nir"), s.where("nir"));
    s.know({"nir"});
    if (s.has("json")) network.json = needed_file(folder, s.text("json"), s.where("json"));
    s.know({"json"});
    if (network.nir.empty() == network.json.empty()) {
        s.table("quantise");
        s.close();
        bad("expected either nir = \"net.nir\" or json = \"net.json\"", s.where() + ": [network]");
    }
    Section q = s.table("quantise");
    golden::QuantiseOptions& o = network.quantise;
    golden::Arithmetic& a = o.arithmetic;
    o.dt = q.number("dt", o.dt, 1e-12, 1e3);
    a.v_bits = q.integer("v_bits", a.v_bits, 2, 32);
    a.u_bits = q.integer("u_bits", a.u_bits, 2, 32);
    a.acc_bits = q.integer("acc_bits", a.acc_bits, 2, 32);
    a.weight_bits = q.integer("weight_bits", a.weight_bits, 2, 16);
    a.leak_frac = q.integer("leak_frac", a.leak_frac, 1, 16);
    a.refr_bits = q.integer("refr_bits", a.refr_bits, 1, 8);
    a.delay_slots = q.integer("delay_slots", a.delay_slots, 2, 64);
    a.leak_mode = q.choice("leak_mode", LeakMode::Multiply,
                           {{"shift", LeakMode::Shift}, {"multiply", LeakMode::Multiply}});
    a.rounding = q.choice("rounding", Rounding::Floor,
                          {{"floor", Rounding::Floor},
                           {"toward_zero", Rounding::TowardZero},
                           {"away_from_zero", Rounding::AwayFromZero},
                           {"nearest_even", Rounding::NearestEven}});
    a.v_overflow = q.choice("v_overflow", Overflow::Saturate,
                            {{"wrap", Overflow::Wrap}, {"saturate", Overflow::Saturate}});
    a.acc_overflow = q.choice("acc_overflow", Overflow::Wrap,
                              {{"wrap", Overflow::Wrap}, {"saturate", Overflow::Saturate}});
    a.compare = q.choice("compare", Compare::GreaterEqual,
                         {{">=", Compare::GreaterEqual}, {">", Compare::Greater}});
    a.reset_mode = q.choice("reset_mode", ResetMode::Value,
                            {{"value", ResetMode::Value}, {"subtract", ResetMode::Subtract}});
    o.choose_scale = !q.has("v_frac");
    a.v_frac = q.integer("v_frac", a.v_frac, -64, 64);
    a.weight_shift = q.integer("weight_shift", a.weight_shift, 0, 15);
    a.u_shift = q.integer("u_shift", a.u_shift, 0, 15);
    o.headroom_bits = q.integer("headroom_bits", o.headroom_bits, 0, 16);
    q.close();
    s.close();
    return network;
}

StimulusSpec read_stimulus(Section s, const std::string& folder) {
    StimulusSpec stimulus;
    stimulus.where = s.where();
    if (!s.present()) return stimulus;
    using Kind = StimulusSpec::Kind;
    stimulus.kind = s.choice("kind", stimulus.kind,
                             {{"images", Kind::Images},
                              {"events", Kind::Events},
                              {"poisson", Kind::Poisson},
                              {"current", Kind::Current}});
    if (s.has("file")) stimulus.file = needed_file(folder, s.text("file"), s.where("file"));
    s.know({"file"});
    if (stimulus.file.empty() && (stimulus.kind == Kind::Images || stimulus.kind == Kind::Events))
        s.missing("missing key 'file'", s.where() + ": [stimulus]");
    stimulus.coding =
        s.choice("coding", stimulus.coding,
                 {{"rate", golden::ImageCoding::Rate}, {"latency", golden::ImageCoding::Latency}});
    stimulus.full_scale = s.number("full_scale", stimulus.full_scale, 1e-30, 1e30);
    stimulus.max_rate = s.number("max_rate", stimulus.max_rate, 0.0, 1.0);
    stimulus.steps_per_image = s.integer("steps_per_image", stimulus.steps_per_image, 1, 1000000);
    stimulus.probability = s.number("probability", stimulus.probability, 0.0, 1.0);
    stimulus.steps = s.integer("steps", stimulus.steps, 1, kMax63);
    stimulus.sample_steps = s.integer("sample_steps", stimulus.sample_steps, 0, kMax63);
    stimulus.current = s.integer("current", stimulus.current, -2147483647, 2147483647);
    stimulus.noise = s.integer("noise", stimulus.noise, 0, 2147483647);
    stimulus.start =
        s.choice("start", stimulus.start,
                 {{"keep", trace::StartState::Keep}, {"clear", trace::StartState::Clear}});
    stimulus.seed = s.integer("seed", stimulus.seed, 0, kMax63);
    stimulus.max_samples = s.integer("max_samples", stimulus.max_samples, 0, kMax63);
    s.close();
    return stimulus;
}

/// Puts "a.b.c=value" into the table.
void apply_override(toml::table& root, const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string where = "--set " + text;
    if (equals == std::string::npos || equals == 0) bad("expected key.path=value", where);
    toml::table value;
    try {
        value = toml::parse("value = " + text.substr(equals + 1));
    } catch (const toml::parse_error&) {
        std::string quoted;
        for (const char c : text.substr(equals + 1)) {
            if (c == '"' || c == '\\') quoted += '\\';
            quoted += c;
        }
        try {
            value = toml::parse("value = \"" + quoted + "\"");
        } catch (const toml::parse_error& error) {
            bad("expected a TOML value: " + std::string(error.description()), where);
        }
    }
    toml::table* at = &root;
    std::string rest = text.substr(0, equals);
    for (std::size_t dot = rest.find('.'); dot != std::string::npos; dot = rest.find('.')) {
        const std::string key = rest.substr(0, dot);
        rest.erase(0, dot + 1);
        if (!at->contains(key)) at->insert(key, toml::table{});
        at = at->get(key)->as_table();
        if (!at) bad("'" + key + "' is not a table", where);
    }
    at->insert_or_assign(rest, *value.get("value"));
}

TimestepSpec read_timestep(Section t) {
    TimestepSpec timestep;
    timestep.where = t.where();
    timestep.kind = t.choice(
        "kind", TimestepSpec::Kind::Handshake,
        {{"handshake", TimestepSpec::Kind::Handshake}, {"clocked", TimestepSpec::Kind::Clocked}});
    timestep.limit_clocks =
        t.integer<std::uint64_t>("limit_clocks", timestep.limit_clocks, 1, kMax63);
    timestep.clocks = t.integer<std::uint32_t>("clocks", 1, 1, 1000000);
    if (timestep.kind == TimestepSpec::Kind::Handshake) {
        timestep.start = t.needed_text("start", "start = \"tick_i\"");
        timestep.done = t.needed_expression("done", "done = \"done_o\"");
        timestep.idle = t.expression("idle");
    }
    t.close();
    return timestep;
}

/// Everything that is about the core: how it is built, driven and observed.
void read_core_sections(Section& top, Manifest& m) {
    const std::string& path = m.path;
    if (Section core = top.table("core"); core.present())
        m.core = read_core(std::move(core), m.folder);
    else
        top.missing("missing section [core]: sources, top and how to build", path);
    if (!m.core.faults.empty()) m.faults = read_faults(m.core.faults);
    if (!top.has("clock"))
        top.missing("missing key 'clock', e.g. clock = \"clk_i\" before the first section", path);
    m.clock = top.text("clock");

    if (Section s = top.table("config"); s.present()) {
        ConfigPort port;
        port.write = s.needed_text("write", "write = \"cfg_we_i\"");
        port.address = s.needed_text("address", "address = \"cfg_addr_i\"");
        port.data = s.needed_text("data", "data = \"cfg_wdata_i\"");
        port.read_data = s.text("read_data");
        port.read_latency = s.integer<std::uint32_t>("read_latency", 1, 0, 1000);
        s.close();
        m.config = port;
    }
    for (Section& s : top.tables("startup")) m.startup.push_back(read_step(s));
    Section state = top.table("state");
    for (Section& s : state.tables("clear")) m.clear.push_back(read_step(s));
    state.close();
    for (Section& s : top.tables("map")) m.maps.push_back(read_map(s));

    if (Section t = top.table("timestep"); t.present())
        m.timestep = read_timestep(std::move(t));
    else
        top.missing("missing section [timestep]: kind = \"handshake\" or \"clocked\"", path);

    for (Section& s : top.tables("input")) {
        InputSpec input;
        input.where = s.where();
        input.port = s.text("port");
        input.valid = s.needed_text("valid", "valid = \"ev_valid_i\"");
        input.ready = s.needed_expression("ready", "ready = \"ev_ready_o\"");
        input.address = s.needed_text("address", "address = \"ev_addr_i\"");
        s.close();
        m.inputs.push_back(std::move(input));
    }
    for (Section& s : top.tables("side_band")) {
        SideBandSpec band;
        band.where = s.where();
        band.name = s.text("name", "i_in");
        band.target = s.needed_expression("target", "target = \"i_in_i[16*i +: 16]\"");
        s.close();
        m.side_bands.push_back(std::move(band));
    }
    for (Section& s : top.tables("observe")) {
        ObserveSpec o;
        o.where = s.where();
        o.field = s.needed_text("field", "field = \"v\"");
        o.value = s.expression("value");
        o.valid = s.expression("valid");
        o.index = s.expression("index");
        o.ready = s.text("ready");
        o.after_edge =
            s.choice<bool>("phase", true, {{"after_edge", true}, {"before_edge", false}});
        s.close();
        if (!o.valid.empty() && o.index.empty())
            bad("'valid' needs 'index' (the neuron)", o.where + ": [[observe]]");
        if (o.valid.empty() && o.value.empty())
            bad("expected 'value' (sampled each timestep) or 'valid' and 'index' (a stream)",
                o.where + ": [[observe]]");
        if (!o.valid.empty() && o.value.empty() && o.field != "spike")
            bad("missing key 'value' of the stream", o.where + ": [[observe]]");
        m.observe.push_back(std::move(o));
    }
    if (m.observe.empty())
        top.missing("nothing is observed: expected [[observe]] entries, e.g. field = \"spike\"",
                    path);

    if (Section s = top.table("pacing"); s.present()) {
        m.pacing.drain = s.choice<bool>("input", false, {{"burst", false}, {"drain", true}});
        m.pacing.gap_probability = s.number("gap_probability", 0.0, 0.0, 1.0);
        m.pacing.gap_clocks = s.integer<std::uint32_t>("gap_clocks", m.pacing.gap_clocks, 1, 65536);
        m.pacing.stall_probability = s.number("stall_probability", 0.0, 0.0, 0.99);
        s.close();
    }
}

std::string content_of(const std::string& path) {
    std::error_code error;
    if (fs::is_directory(path, error))
        throw Bad{
            {Errc::NotFound, "is a folder; expected a core manifest, e.g. cosim.toml in it", path}};
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw Bad{{Errc::NotFound, "cannot open; expected a core manifest (cosim.toml)", path}};
    std::string content;
    while (file && content.size() <= kMaxText) {
        const std::size_t size = content.size();
        content.resize(size + 65536);
        file.read(content.data() + size, 65536);
        content.resize(size + static_cast<std::size_t>(file.gcount()));
    }
    if (file.bad())
        throw Bad{{Errc::Io, "cannot read; expected a core manifest (cosim.toml)", path}};
    if (content.size() > kMaxText)
        throw Bad{{Errc::Limit, "expected a core manifest (cosim.toml) of at most 4 MiB", path}};
    return content;
}

Manifest read(std::string_view text, const std::string& path,
              const std::vector<std::string>& overrides, CoreNeed need) {
    toml::table root;
    try {
        root = toml::parse(text, path);
    } catch (const toml::parse_error& error) {
        bad(std::string(error.description()), path + ":" +
                                                  std::to_string(error.source().begin.line) + ":" +
                                                  std::to_string(error.source().begin.column));
    }
    for (const std::string& key : overrides) apply_override(root, key);

    Manifest m;
    m.path = path;
    m.folder = fs::absolute(path).parent_path().lexically_normal().string();
    Section top(&root, "", path);
    m.power_on_seed = top.integer<std::uint64_t>("power_on_seed", 1, 0, 2147483647);
    if (need == CoreNeed::Always || top.has("core")) read_core_sections(top, m);
    m.network = read_network(top.table("network"), m.folder);
    m.stimulus = read_stimulus(top.table("stimulus"), m.folder);
    top.know({"golden"});
    m.golden = detail::read_golden(root.get("golden"), path, m.folder);
    if (Section s = top.table("answer"); s.present()) {
        m.answer_population = s.needed_text("population", "population = \"output\"");
        s.close();
    }
    top.close();
    return m;
}

void add_names(std::vector<std::string>& names, const Expression& expression) {
    for (const std::string& name : expression.names()) names.push_back(name);
}
}  // namespace

Result<Manifest> parse_manifest(std::string_view text, const std::string& path,
                                const std::vector<std::string>& overrides, CoreNeed need) {
    try {
        return read(text, path, overrides, need);
    } catch (const Bad& caught) {
        return caught.error;
    } catch (const std::exception& caught) {
        return Error{Errc::BadConfig, caught.what(), path};
    }
}

Result<Manifest> load_manifest(const std::string& path, const std::vector<std::string>& overrides,
                               CoreNeed need) {
    try {
        return parse_manifest(content_of(path), path, overrides, need);
    } catch (const Bad& caught) {
        return caught.error;
    }
}

std::vector<std::string> Manifest::signal_names() const {
    std::vector<std::string> names = {clock};
    if (config) {
        for (const std::string* name :
             {&config->write, &config->address, &config->data, &config->read_data})
            names.push_back(*name);
    }
    for (const auto* list : {&startup, &clear})
        for (const StartupStep& step : *list) {
            names.push_back(step.signal);
            add_names(names, step.until);
        }
    for (const MapSpec& map : maps) names.push_back(map.memory);
    names.push_back(timestep.start);
    add_names(names, timestep.done);
    add_names(names, timestep.idle);
    for (const InputSpec& input : inputs) {
        names.push_back(input.valid);
        names.push_back(input.address);
        add_names(names, input.ready);
    }
    for (const SideBandSpec& band : side_bands) add_names(names, band.target);
    for (const ObserveSpec& o : observe) {
        add_names(names, o.value);
        add_names(names, o.valid);
        add_names(names, o.index);
        names.push_back(o.ready);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    names.erase(std::remove_if(names.begin(), names.end(),
                               [](const std::string& name) {
                                   return name.empty() || name == "i" || name == "n";
                               }),
                names.end());
    return names;
}

}  // namespace spikelock::manifest

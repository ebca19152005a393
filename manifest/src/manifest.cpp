// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/manifest.hpp"

#include <algorithm>
#include <array>
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
        core.include_dirs.push_back(detail::needed_folder(folder, dir, s.where("include_dirs")));
    core.defines = s.list("defines");
    core.waivers = s.has("waivers") ? expand(folder, s.list("waivers"), s.where("waivers"))
                                    : s.list("waivers");
    core.language = s.text("language", core.language);
    core.vhdl_std = s.choice<std::string>("vhdl_std", core.vhdl_std,
                                          {{"87", "87"},
                                           {"93", "93"},
                                           {"93c", "93c"},
                                           {"00", "00"},
                                           {"02", "02"},
                                           {"08", "08"},
                                           {"19", "19"}});
    core.vhdl_flags = s.list("vhdl_flags");
    core.assertions = s.flag("assertions", core.assertions);
    core.plain_eval = s.flag("plain_eval", core.plain_eval);
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
    s.know({"reset", "set", "wait_clocks", "pulse", "load", "adapter"});
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
        step.value =
            static_cast<std::uint64_t>(s.integer<std::int64_t>("value", 1, -kMax63 - 1, kMax63));
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
    if (s.has("adapter")) {
        step.kind = StartupStep::Kind::Call;
        step.signal = s.text("adapter");
        step.limit_clocks = s.integer<std::uint64_t>("limit_clocks", 100000000, 1, kMax63);
        ++kinds;
    }
    if (kinds != 1) {
        s.know({"active", "clocks", "value", "until", "limit_clocks"});
        s.find_misspelt();  // the better message
        bad("expected exactly one of reset, set, wait_clocks, pulse, load, adapter",
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
    map.when = s.expression("when");
    map.read = s.choice<bool>("direction", false, {{"write", false}, {"read", true}});
    map.is_signed = s.flag("signed", false);
    s.close();
    if (map.read && !map.value.empty() && map.value.root().kind != Expression::Kind::Name)
        bad("expected the name of a network array, e.g. value = \"weight\", since direction is "
            "\"read\"",
            s.where("value"));
    if (map.is_signed && !map.read)
        bad("'signed' says how a word that is read is to be taken: expected direction = \"read\"",
            s.where("signed"));
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

/// A key that does nothing for the kind of stimulus is a mistake, but for those of a manifest whose
/// kind the command line changed.
void refuse_idle_keys(const Section& s, StimulusSpec::Kind kind) {
    using Kind = StimulusSpec::Kind;
    struct Key {
        std::string_view name;
        std::vector<Kind> kinds;
    };
    static const std::vector<Key> kKeys = {
        {"file", {Kind::Images, Kind::Events}},
        {"coding", {Kind::Images}},
        {"full_scale", {Kind::Images}},
        {"max_rate", {Kind::Images}},
        {"steps_per_image", {Kind::Images}},
        {"probability", {Kind::Poisson}},
        {"steps", {Kind::Events, Kind::Poisson, Kind::Current}},
        {"sample_steps", {Kind::Events, Kind::Poisson, Kind::Current}},
        {"current", {Kind::Current}},
        {"noise", {Kind::Current}},
        {"start", {Kind::Events, Kind::Poisson, Kind::Current}}};
    static constexpr std::array<std::string_view, 4> kNames = {"images", "events", "poisson",
                                                               "current"};
    const bool kind_of_command_line = s.of_command_line("kind");
    for (const Key& key : kKeys) {
        if (!s.has(key.name) || (kind_of_command_line && !s.of_command_line(key.name)) ||
            std::find(key.kinds.begin(), key.kinds.end(), kind) != key.kinds.end())
            continue;
        std::string others;
        for (const Kind k : key.kinds)
            others +=
                (others.empty() ? "" : ", ") + std::string(kNames[static_cast<std::size_t>(k)]);
        bad("does nothing with kind = '" + std::string(kNames[static_cast<std::size_t>(kind)]) +
                "', it belongs to: " + others,
            s.where(key.name));
    }
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
    refuse_idle_keys(s, stimulus.kind);
    return stimulus;
}

/// Puts "a.b.c=value" into the table.
void apply_override(toml::table& root, const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string where = "--set " + text;
    if (equals == std::string::npos || equals == 0) bad("expected key.path=value", where);
    toml::table value;
    try {
        value = toml::parse("value = " + text.substr(equals + 1), where);
    } catch (const toml::parse_error&) {
        std::string quoted;
        for (const char c : text.substr(equals + 1)) {
            if (c == '"' || c == '\\') quoted += '\\';
            quoted += c;
        }
        try {
            value = toml::parse("value = \"" + quoted + "\"", where);
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
        const toml::node* node = at->get(key);
        if (node->is_array())
            bad("'" + key + "' has several entries, which --set cannot reach; edit the manifest",
                where);
        at = at->get(key)->as_table();
        if (!at) bad("'" + key + "' is not a table", where);
    }
    at->insert_or_assign(rest, std::move(*value.get("value")));
}

TimestepSpec read_timestep(Section t) {
    using Kind = TimestepSpec::Kind;
    TimestepSpec timestep;
    timestep.where = t.where();
    timestep.kind = t.choice("kind", Kind::Handshake,
                             {{"handshake", Kind::Handshake},
                              {"clocked", Kind::Clocked},
                              {"aer", Kind::Aer},
                              {"custom", Kind::Custom}});
    // A misspelt 'kind' is told before what another kind would need.
    const std::vector<std::string_view> aer = {"tick",        "tick_address", "tick_port",
                                               "tick_clocks", "tick_at",      "settle",
                                               "idle_clocks", "quiet",        "quiet_clocks"};
    t.know({"limit_clocks", "clocks", "start", "done", "idle"});
    for (const std::string_view key : aer) t.know({key});
    t.find_misspelt();
    for (const std::string_view key : aer)
        if (timestep.kind != Kind::Aer && t.has(key))
            bad("this is a key of kind = \"aer\"", t.where(key));
    if (timestep.kind != Kind::Handshake && t.has("start"))
        bad("this is a key of kind = \"handshake\"", t.where("start"));
    if (timestep.kind != Kind::Handshake && timestep.kind != Kind::Custom && t.has("done"))
        bad("this is a key of kind = \"handshake\" or \"custom\"", t.where("done"));
    if (timestep.kind != Kind::Handshake && timestep.kind != Kind::Aer && t.has("idle"))
        bad("this is a key of kind = \"handshake\" or \"aer\"", t.where("idle"));
    timestep.limit_clocks =
        t.integer<std::uint64_t>("limit_clocks", timestep.limit_clocks, 1, kMax63);
    timestep.clocks = t.integer<std::uint32_t>("clocks", 1, 1, 1000000);
    if (timestep.kind == Kind::Handshake) {
        timestep.start = t.needed_text("start", "start = \"tick_i\"");
        timestep.done = t.needed_expression("done", "done = \"done_o\"");
    }
    if (timestep.kind == Kind::Custom) timestep.done = t.expression("done");
    if (timestep.kind == Kind::Handshake || timestep.kind == Kind::Aer)
        timestep.idle = t.expression("idle");
    if (timestep.kind == Kind::Aer) {
        timestep.tick = t.text("tick");
        timestep.tick_address = t.expression("tick_address");
        timestep.tick_port = t.text("tick_port");
        timestep.tick_clocks = t.integer<std::uint32_t>("tick_clocks", 1, 1, 1000000);
        timestep.tick_first = t.choice<bool>("tick_at", false, {{"end", false}, {"start", true}});
        timestep.settle = t.flag("settle", !timestep.tick.empty());
        timestep.idle_clocks = t.integer<std::uint32_t>("idle_clocks", 1, 1, 1000000);
        timestep.quiet = t.list("quiet");
        timestep.quiet_clocks =
            t.integer<std::uint32_t>("quiet_clocks", timestep.quiet.empty() ? 0 : 16, 1, 1000000);
        t.find_misspelt();
        if (!timestep.tick.empty() && !timestep.tick_address.empty())
            bad("expected at most one of 'tick' (a port) and 'tick_address'", t.where("tick"));
        if (timestep.idle.empty() && timestep.quiet.empty())
            t.missing(
                "nothing says when a timestep has ended: expected idle = \"expression\", or "
                "quiet = [signals] with quiet_clocks",
                timestep.where + ": [timestep]");
        if (timestep.quiet.empty() && t.has("quiet_clocks"))
            bad("'quiet_clocks' needs quiet = [signals]", t.where("quiet_clocks"));
    }
    t.close();
    return timestep;
}

/// "3/4", or a whole number.
void read_ratio(Section& s, std::string_view key, std::uint32_t low, std::uint32_t& num,
                std::uint32_t& den) {
    if (!s.has(key)) {
        s.know({key});
        return;
    }
    const std::string text = s.text(key);
    std::istringstream in(text);
    char slash = '/';
    std::uint32_t d = 1;
    std::uint32_t n = 0;
    const bool whole = text.find('/') == std::string::npos;
    const bool digits = text.find_first_not_of("0123456789/ ") == std::string::npos;
    if (!digits || !(in >> n) || (!whole && !(in >> slash >> d)) || slash != '/' || n < low ||
        n > 64 || d < 1 || d > 64 || !(in >> std::ws).eof())
        bad("expected a ratio of integers up to 64, e.g. \"1/4\", got '" + text + "'",
            s.where(key));
    num = n;
    den = d;
}

InputSpec read_input(Section& s) {
    InputSpec input;
    input.where = s.where();
    input.port = s.text("port");
    s.know({"valid", "ready", "req", "ack", "bits"});
    if (s.has("bits")) {
        input.bits = s.expression("bits");
        input.pulse = s.choice<bool>("hold", false, {{"timestep", false}, {"clock", true}});
        s.close();
        return input;
    }
    input.four_phase = s.has("req") || s.has("ack");
    if (input.four_phase) {
        input.valid = s.needed_text("req", "req = \"aer_req_i\"");
        input.ready = s.needed_expression("ack", "ack = \"aer_ack_o\"");
    } else {
        input.valid = s.needed_text("valid", "valid = \"ev_valid_i\"");
        input.ready = s.needed_expression("ready", "ready = \"ev_ready_o\"");
    }
    input.address = s.needed_text("address", "address = \"ev_addr_i\"");
    input.encode = s.expression("encode");
    s.find_misspelt();
    if (input.four_phase && (s.has("valid") || s.has("ready")))
        bad("expected either valid and ready, or req and ack", input.where + ": [[input]]");
    s.close();
    return input;
}

ObserveSpec read_observe(Section& s) {
    using Encoding = ObserveSpec::Encoding;
    ObserveSpec o;
    o.where = s.where();
    const std::string place = o.where + ": [[observe]]";
    o.field = s.needed_text("field", "field = \"v\"");
    o.population = s.text("population");
    o.adapter = s.has("source");
    if (o.adapter) (void)s.choice<int>("source", 0, {{"adapter", 0}});
    s.know({"source"});
    o.counts = s.flag("counts", false);
    o.events = s.flag("events", false);
    o.latency = s.integer<std::uint32_t>("latency", 0, 0, 64);
    o.bits = s.integer<std::uint32_t>("bits", 0, 1, 64);
    o.signed_given = s.has("signed");
    o.is_signed = s.flag("signed", true);
    o.keep = s.choice<bool>("missing", false, {{"error", false}, {"keep", true}});
    s.know({"value", "trigger", "valid", "index", "ready", "req", "ack", "phase", "encoding",
            "inverted", "reversed", "timestep", "timestep_first", "timestep_restarts", "step_end",
            "late"});
    s.find_misspelt();
    if ((o.counts || o.events) && o.field != "spike")
        bad("expected field = \"spike\" with 'counts' or 'events'", place);
    if (o.adapter) {
        for (const char* key : {"value", "valid", "index", "req", "trigger"})
            if (s.has(key)) bad("the adapter gives this field: unexpected key", s.where(key));
        s.close();
        return o;
    }
    o.value = s.expression("value");
    o.trigger = s.expression("trigger");
    o.four_phase = s.has("req") || s.has("ack");
    if (o.four_phase && (s.has("valid") || s.has("ready")))
        bad("expected either valid and ready, or req and ack", place);
    o.valid = s.expression(o.four_phase ? "req" : "valid");
    o.index = s.expression("index");
    o.ready = s.text(o.four_phase ? "ack" : "ready");
    o.after_edge =
        s.choice<bool>("phase", o.valid.empty(), {{"after_edge", true}, {"before_edge", false}});
    o.encoding = s.choice<Encoding>("encoding", o.encoding,
                                    {{"twos_complement", Encoding::TwosComplement},
                                     {"sign_magnitude", Encoding::SignMagnitude},
                                     {"ones_complement", Encoding::OnesComplement},
                                     {"offset", Encoding::Offset}});
    o.inverted = s.flag("inverted", false);
    o.reversed = s.flag("reversed", false);
    o.timestep = s.expression("timestep");
    o.timestep_first = s.integer<std::uint64_t>("timestep_first", 0, 0, kMax63);
    o.timestep_restarts = s.flag("timestep_restarts", false);
    o.marker = s.expression("step_end");
    o.late = s.integer<std::uint32_t>("late", 0, 0, 64);
    s.find_misspelt();
    if (o.four_phase && (o.valid.empty() || o.ready.empty()))
        bad("a 4-phase handshake needs both 'req' and 'ack'", place);
    if (!o.valid.empty() && o.index.empty()) bad("'valid' needs 'index' (the neuron)", place);
    if (o.valid.empty() && !o.index.empty()) bad("'index' needs 'valid'", place);
    if (o.valid.empty() && o.value.empty())
        s.missing("expected 'value' (sampled each timestep) or 'valid' and 'index' (a stream)",
                  place);
    if (!o.valid.empty() && o.value.empty() && o.field != "spike")
        s.missing("missing key 'value' of the stream", place);
    if (!o.valid.empty() && !o.trigger.empty())
        bad("'trigger' is for a value of every neuron; a stream has 'valid'", s.where("trigger"));
    if (o.strobed() && !o.ready.empty() && o.after_edge)
        bad("a handshake is sampled before the edge: expected phase = \"before_edge\"",
            s.where("phase"));
    if (o.counts && !o.strobed())
        bad("only a stream can show several spikes of a neuron: 'counts' needs 'valid' and 'index'",
            s.where("counts"));
    if (o.events && !o.strobed())
        bad("only a stream has an order: 'events' needs 'valid' and 'index'", s.where("events"));
    if (!o.timestep.empty() && !o.marker.empty())
        bad("expected at most one of 'timestep' and 'step_end'", place);
    if ((!o.timestep.empty() || !o.marker.empty()) && !o.strobed())
        bad("'timestep' and 'step_end' say where the events of a stream belong", place);
    if (o.late > 0 && o.timestep.empty() && o.marker.empty())
        bad("'late' needs 'timestep' or 'step_end', which say where an event belongs",
            s.where("late"));
    if (o.latency > 0 && (!o.timestep.empty() || !o.marker.empty()))
        bad("expected at most one of 'latency' and 'timestep' or 'step_end'", s.where("latency"));
    s.close();
    return o;
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
    for (Section& s : top.tables("extra_clock")) {
        ExtraClockSpec clock;
        clock.where = s.where();
        clock.port = s.needed_text("port", "port = \"clk_slow_i\"");
        read_ratio(s, "ratio", 1, clock.ratio_num, clock.ratio_den);
        read_ratio(s, "phase", 0, clock.phase_num, clock.phase_den);
        s.close();
        m.extra_clocks.push_back(std::move(clock));
    }

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
        top.missing(
            "missing section [timestep]: kind = \"handshake\", \"clocked\", \"aer\" or \"custom\"",
            path);

    for (Section& s : top.tables("input")) m.inputs.push_back(read_input(s));
    for (Section& s : top.tables("taken")) {
        TakenSpec taken;
        taken.where = s.where();
        taken.valid = s.needed_expression("valid", "valid = \"u_core.pop\"");
        using Kind = TakenSpec::Kind;
        taken.kind = s.choice<Kind>(
            "kind", Kind::External,
            {{"external", Kind::External}, {"internal", Kind::Internal}, {"tick", Kind::Tick}});
        if (taken.kind != Kind::Tick)
            taken.index = s.needed_expression("index", "index = \"u_core.pop_addr\"");
        taken.port = s.text("port");
        s.close();
        m.taken.push_back(std::move(taken));
    }
    if (Section s = top.table("adapter"); s.present()) {
        m.adapter.where = s.where();
        if (s.has("file"))
            m.adapter.file = needed_file(m.folder, s.text("file"), s.where("file"));
        else
            s.missing_key("file", "file = \"adapter.cpp\"");
        s.know({"file"});
        m.adapter.flags = s.list("flags");
        m.adapter.signals = s.list("signals");
        m.adapter.writes = s.list("writes");
        m.adapter.order = s.flag("order", false);
        for (const auto& [name, value] : s.scalars("options")) m.adapter.options[name] = value;
        s.close();
    }
    for (Section& s : top.tables("side_band")) {
        SideBandSpec band;
        band.where = s.where();
        band.name = s.text("name", "i_in");
        band.target = s.needed_expression("target", "target = \"i_in_i[16*i +: 16]\"");
        if (s.has("signed")) band.is_signed = s.flag("signed", true);
        s.know({"signed"});
        s.close();
        m.side_bands.push_back(std::move(band));
    }
    for (Section& s : top.tables("observe")) m.observe.push_back(read_observe(s));
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
        throw Bad{{Errc::NotFound,
                   std::string("cannot open: ") + std::strerror(errno) +
                       "; expected a core manifest (cosim.toml)",
                   path}};
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

/// What must fit together across sections.
void check_together(const Manifest& m) {
    using Kind = TimestepSpec::Kind;
    if (m.timestep.kind == Kind::Custom && !m.adapter.given())
        bad("kind = \"custom\" needs a section [adapter] with file = \"adapter.cpp\"",
            m.timestep.where + ": [timestep]");
    const auto only_with_adapter = [&](bool used, const std::string& what, const std::string& at) {
        if (used && !m.adapter.given())
            bad(what + " needs a section [adapter] with file = \"adapter.cpp\"", at);
    };
    for (const auto* list : {&m.startup, &m.clear})
        for (const StartupStep& step : *list)
            only_with_adapter(step.kind == StartupStep::Kind::Call, "adapter = \"...\"",
                              step.where);
    for (const ObserveSpec& o : m.observe)
        only_with_adapter(o.adapter, "source = \"adapter\"", o.where);
    const auto not_the_clock = [&](const std::string& port, const std::string& what,
                                   const std::string& at) {
        if (!port.empty() && port == m.clock)
            bad(what + " = \"" + port + "\" is the clock already", at);
    };
    not_the_clock(m.timestep.start, "start", m.timestep.where + ": [timestep]");
    not_the_clock(m.timestep.tick, "tick", m.timestep.where + ": [timestep]");
    for (const StartupStep& step : m.startup)
        if (step.kind != StartupStep::Kind::Call)
            not_the_clock(step.signal, "the driven port", step.where);
    for (std::size_t i = 0; i < m.extra_clocks.size(); ++i) {
        const ExtraClockSpec& extra = m.extra_clocks[i];
        not_the_clock(extra.port, "port", extra.where + ": [[extra_clock]]");
        for (std::size_t k = 0; k < i; ++k)
            if (m.extra_clocks[k].port == extra.port)
                bad("port = \"" + extra.port + "\" is an [[extra_clock]] already",
                    extra.where + ": [[extra_clock]]");
    }
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
    check_together(m);
    return m;
}

void add_names(std::vector<std::string>& names, const Expression& expression) {
    for (const std::string& name : expression.names()) names.push_back(name);
}

/// A port or a slice of one, as a driven signal is given; what is no expression is told later.
void add_driven(std::vector<std::string>& names, const std::string& text) {
    if (text.empty()) return;
    if (Result<Expression> parsed = Expression::parse(text, {}))
        add_names(names, *parsed);
    else
        names.push_back(text);
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

namespace {
/// Sorted, each once, without those that are no signals.
std::vector<std::string> signals_only(std::vector<std::string> names, const Manifest& m) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::erase_if(names, [&](const std::string& name) {
        return name.empty() || name == "i" || name == "n" || m.core.parameters.contains(name);
    });
    return names;
}
}  // namespace

std::vector<std::string> Manifest::driven_names() const {
    std::vector<std::string> names = {clock};
    for (const ExtraClockSpec& extra : extra_clocks) names.push_back(extra.port);
    if (config)
        for (const std::string* name : {&config->write, &config->address, &config->data})
            add_driven(names, *name);
    for (const auto* list : {&startup, &clear})
        for (const StartupStep& step : *list)
            if (step.kind != StartupStep::Kind::Call) add_driven(names, step.signal);
    add_driven(names, timestep.start);
    add_driven(names, timestep.tick);
    for (const InputSpec& input : inputs) {
        add_driven(names, input.valid);
        add_driven(names, input.address);
        add_names(names, input.bits);
    }
    for (const SideBandSpec& band : side_bands) add_names(names, band.target);
    for (const ObserveSpec& o : observe) add_driven(names, o.ready);
    // A register that a map writes; of one that only reads are announced, the model may hold
    // copies.
    for (const MapSpec& map : maps)
        if (!map.read && map.word.empty()) names.push_back(map.memory);
    names.insert(names.end(), adapter.writes.begin(), adapter.writes.end());
    return signals_only(std::move(names), *this);
}

std::vector<std::string> Manifest::signal_names() const {
    std::vector<std::string> names = driven_names();
    if (config) add_driven(names, config->read_data);
    for (const auto* list : {&startup, &clear})
        for (const StartupStep& step : *list) add_names(names, step.until);
    for (const MapSpec& map : maps) names.push_back(map.memory);
    for (const std::string& text : timestep.quiet) add_driven(names, text);
    add_names(names, timestep.done);
    add_names(names, timestep.idle);
    for (const InputSpec& input : inputs) add_names(names, input.ready);
    for (const TakenSpec& t : taken) {
        add_names(names, t.valid);
        add_names(names, t.index);
    }
    for (const std::string& name : adapter.signals) names.push_back(name);
    for (const ObserveSpec& o : observe)
        for (const Expression* e :
             {&o.value, &o.trigger, &o.valid, &o.index, &o.timestep, &o.marker})
            add_names(names, *e);
    return signals_only(std::move(names), *this);
}

}  // namespace spikelock::manifest

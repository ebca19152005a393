// SPDX-License-Identifier: Apache-2.0
// Every way in which a manifest may drive and observe a core, on cores/aer_core.sv against a model
// of it that is written here: events in and out by each kind of handshake, ticks and ends of
// timesteps, values by phase, trigger, stream, encoding and place, and what is shown late.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "spikelock/golden/network_json.hpp"
#include "spikelock/lockstep/lockstep.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/sim/builder.hpp"
#include "spikelock/sim/dut_source.hpp"
#include "spikelock/trace/step_source.hpp"

using namespace spikelock;
using Catch::Matchers::ContainsSubstring;
using lockstep::Verdict;

namespace {

constexpr std::uint32_t kNeurons = 8;
constexpr std::uint64_t kSteps = 300;

golden::Network network() {
    golden::Network net;
    net.name = "aer";
    net.arithmetic.v_bits = 16;
    net.ports = {{"in", 0, kNeurons}};
    net.populations = {{"a", 0, 3}, {"b", 3, kNeurons}};
    net.neurons.resize(kNeurons);
    net.row_begin.assign(2 * kNeurons + 1, 0);
    return net;
}

/// Up to `most` events a timestep on random axons; samples that start cleared.
class Events final : public trace::Stimulus {
public:
    explicit Events(std::uint32_t most, std::uint64_t sample_steps = 0, bool once = false)
        : most_(most), once_(once) {
        const std::uint64_t length = sample_steps ? sample_steps : kSteps;
        for (std::uint64_t t = 0; t < kSteps; t += length)
            samples_.push_back({"", t, std::min(t + length, kSteps), trace::StartState::Clear});
    }
    std::uint64_t n_steps() const override { return kSteps; }
    std::span<const trace::Sample> samples() const override { return samples_; }
    trace::StimulusBlock block(std::uint64_t first, std::uint32_t count) const override {
        trace::StimulusBlock block;
        block.first = first;
        block.n_steps = count;
        block.event_begin = {0};
        for (std::uint32_t s = 0; s < count; ++s) {
            for (const trace::Sample& sample : samples_)
                if (sample.begin == first + s) block.begins.push_back({s, sample.start});
            std::uint64_t z = (first + s + 1) * 0x9e3779b97f4a7c15ULL;
            const auto random = [&] {
                z ^= z >> 29;
                z *= 0xbf58476d1ce4e5b9ULL;
                return static_cast<std::uint32_t>(z >> 40);
            };
            std::array<bool, kNeurons> used{};
            for (std::uint32_t left = random() % (most_ + 1); left > 0; --left) {
                const std::uint32_t r = random();
                // More of the even axons, which excite.
                const std::uint32_t axon = (r & 3) ? (r >> 4) % 4 * 2 : (r >> 4) % kNeurons;
                if (once_ && used[axon]) continue;
                used[axon] = true;
                block.events.push_back({axon, 0, 1});
            }
            if (once_)  // the core takes the bits of a word from the lowest on
                std::sort(block.events.begin() + block.event_begin.back(), block.events.end(),
                          [](const auto& a, const auto& b) { return a.address < b.address; });
            block.event_begin.push_back(static_cast<std::uint32_t>(block.events.size()));
        }
        return block;
    }

private:
    std::uint32_t most_;
    bool once_;
    std::vector<trace::Sample> samples_;
};

/// The neurons of aer_core.sv.
class Model : public trace::StepSource {
public:
    explicit Model(bool loop, bool counts = true, bool tick_first = false)
        : loop_(loop), tick_first_(tick_first) {
        shape_ = network().shape();
        std::erase_if(shape_.fields, [](const auto& f) { return f.name != "v"; });
        shape_.counts = counts;
    }
    const trace::Shape& shape() const override { return shape_; }
    Status submit(const trace::StimulusBlock& block) override {
        for (std::uint32_t s = 0; s < block.n_steps; ++s) {
            Step step;
            for (const auto& e : block.events_of(s)) step.axons.push_back(e.address);
            for (const auto& begin : block.begins)
                if (begin.step == s) step.clear = begin.start == trace::StartState::Clear;
            steps_.push_back(std::move(step));
        }
        return {};
    }
    std::uint64_t in_flight() const override { return steps_.size(); }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t most) override {
        const std::size_t count = std::min<std::size_t>(most, steps_.size());
        if (count == 0)
            return std::variant<trace::BlockView, trace::SourceEnd>(
                trace::SourceEnd{trace::EndKind::Complete, next_, 0, {}});
        spikes_.assign(count, 0);
        counts_.assign(count * kNeurons, 0);
        shown_.clear();
        for (std::size_t s = 0; s < count; ++s) {
            row_ = s;
            if (steps_.front().clear) v_.fill(0);
            if (tick_first_) tick();
            if (Status done = step(steps_.front()); !done) return done.error();
            if (!tick_first_) tick();
            shown_.insert(shown_.end(), v_.begin(), v_.end());
            steps_.pop_front();
        }
        trace::BlockView view;
        view.first = next_;
        view.n_steps = static_cast<std::uint32_t>(count);
        next_ += count;
        view.spikes = spikes_;
        view.fields.push_back(std::as_bytes(std::span(shown_)));
        if (shape_.counts) view.counts = counts_;
        return std::variant<trace::BlockView, trace::SourceEnd>(std::move(view));
    }

protected:
    struct Step {
        std::vector<std::uint32_t> axons;
        bool clear = false;
    };
    void tick() {
        for (std::int16_t& v : v_) v = static_cast<std::int16_t>(v - (v >> 3));
    }
    virtual Status step(const Step& step) {
        for (const std::uint32_t axon : step.axons) {
            event(axon, axon % 2 ? -20 : 24);
            while (!waiting_.empty()) come_back();
        }
        return {};
    }
    void event(std::uint32_t n, int weight) {
        v_[n] = static_cast<std::int16_t>(v_[n] + weight);
        if (v_[n] < 64) return;
        v_[n] = 0;
        spikes_[row_] |= 1ULL << n;
        ++counts_[row_ * kNeurons + n];
        if (loop_) waiting_.push_back(n);
    }
    void come_back() {
        const std::uint32_t n = waiting_.front();
        waiting_.pop_front();
        event((n + 3) % kNeurons, 16);
    }
    std::uint64_t next_ = 0;
    std::deque<std::uint32_t> waiting_;

private:
    bool loop_;
    bool tick_first_;
    trace::Shape shape_;
    std::deque<Step> steps_;
    std::size_t row_ = 0;
    std::array<std::int16_t, kNeurons> v_{};
    std::vector<std::uint64_t> spikes_;
    std::vector<std::uint16_t> counts_;
    std::vector<std::int16_t> shown_;
};

/// The same in the order in which the core took its events.
class OrderedModel final : public Model, public trace::OrderTaker {
public:
    OrderedModel() : Model(true) {}
    Status give_order(std::uint32_t n_steps, std::span<const trace::TakenEvent> taken) override {
        for (std::uint32_t s = 0; s < n_steps; ++s) {
            orders_.emplace_back();
            for (const auto& e : taken)
                if (e.step == s) orders_.back().push_back(e);
        }
        return {};
    }
    std::uint64_t internal() const { return internal_; }

private:
    Status step(const Step& step) override {
        const Error wrong{Errc::Mismatch, "not what was sent", "timestep " + std::to_string(next_)};
        if (orders_.empty()) return wrong;
        std::size_t sent = 0;
        for (const trace::TakenEvent& e : orders_.front()) {
            if (e.port == trace::TakenEvent::kInternal) {
                if (waiting_.empty() || waiting_.front() != e.address) return wrong;
                come_back();
                ++internal_;
            } else {
                if (sent >= step.axons.size() || step.axons[sent] != e.address) return wrong;
                event(e.address, e.address % 2 ? -20 : 24);
                ++sent;
            }
        }
        orders_.pop_front();
        if (sent != step.axons.size() || !waiting_.empty()) return wrong;
        return {};
    }
    std::deque<std::vector<trace::TakenEvent>> orders_;
    std::uint64_t internal_ = 0;
};

const std::string kCore = R"(clock = "clk_i"
[core]
top = "aer_core"
sources = ["cores/aer_core.sv"]
optimise = "-O1"
[[startup]]
reset = "rst_ni"
[[startup]]
reset = "soft_rst_i"
active = "high"
clocks = 2
[[state.clear]]
reset = "soft_rst_i"
active = "high"
clocks = 1
)";
std::string set(const std::string& pin, int value = 1) {
    return "[[startup]]\nset = \"" + pin + "\"\nvalue = " + std::to_string(value) + "\n";
}
const std::string kFourPhase = R"([[input]]
req = "in_req_i"
ack = "in_ack_o"
address = "in_addr_i"
encode = "0x10 + axon"
)";
const std::string kValidReady = R"([[input]]
valid = "in_valid_i"
ready = "in_ready_o"
address = "in_addr_i[3:0]"
)";
const std::string kTick = "[timestep]\nkind = \"aer\"\ntick = \"tick_i\"\nlimit_clocks = 20000\n";
const std::string kIdle = "idle = \"idle_o\"\n";
const std::string kSpikes = R"([[observe]]
field = "spike"
valid = "out_valid_o && !out_last_o"
index = "out_neuron_o"
ready = "out_ready_i"
counts = true
)";
const std::string kSpikesFourPhase = R"([[observe]]
field = "spike"
req = "out_req_o"
ack = "out_ack_i"
index = "out_neuron_o"
counts = true
events = true
)";
std::string v(const std::string& value, const std::string& more = {}) {
    return "[[observe]]\nfield = \"v\"\nvalue = \"" + value + "\"\n" + more;
}
const std::string kV = v("v_o[16*i +: 16]");

manifest::Manifest parse(const std::string& text) {
    const std::string path = std::string(SPIKELOCK_COSIM_FOLDER) + "/styles.toml";
    auto parsed = manifest::parse_manifest(kCore + text, path);
    if (!parsed) FAIL(parsed.error().text() << "\n" << text);
    return *parsed;
}

/// One host for all manifests: built from one that names every inner signal.
const sim::BuiltHost& host() {
    static const sim::BuiltHost built = [] {
        std::string text = kTick + kIdle + kValidReady + kSpikes + kV;
        for (const char* signal :
             {"word_q", "state_q", "step_q", "take_axon", "take_loop", "take_index",
              "gen_copy[{i}].copy_q", "loop_any", "out_head", "out_mem", "out_rd_q"})
            text += "[[observe]]\nfield = \"f" + std::to_string(text.size()) + "\"\nvalue = \"" +
                    signal + "\"\nbits = 1\n";
        sim::BuildOptions options;
        options.cache_dir = SPIKELOCK_TEST_CACHE;
        auto host = sim::build_host(parse(text), options);
        if (!host) FAIL(host.error().text());
        return *host;
    }();
    return built;
}

std::unique_ptr<sim::DutSource> start(const std::string& text) {
    auto source = sim::DutSource::create(host(), parse(text), network(), {});
    if (!source) FAIL(source.error().text() << "\n" << text);
    return std::move(*source);
}

Error start_error(const std::string& text) {
    const auto source = sim::DutSource::create(host(), parse(text), network(), {});
    if (source) FAIL("accepted:\n" << text);
    return source.error();
}

lockstep::Outcome run(trace::StepSource& model, const std::string& text, const Events& events,
                      std::uint32_t block_steps = 0) {
    const auto core = start(text);
    lockstep::Options options;
    options.lag = core->lag();
    options.block_steps = block_steps;
    auto outcome = lockstep::run(model, *core, &events, options);
    if (!outcome) FAIL(outcome.error().text());
    INFO(lockstep::headline(*outcome, core->shape()));
    return *outcome;
}

void check_match(const lockstep::Outcome& outcome) {
    INFO(outcome.reason);
    CHECK(outcome.verdict == Verdict::Match);
    CHECK(outcome.steps_compared == kSteps);
    CHECK(outcome.spikes_actual > 50);
    CHECK(outcome.spikes_actual == outcome.spikes_expected);
}

struct Style {
    std::string name;
    std::string text;
};

/// Ways to drive, each with v and counted spikes.
std::vector<Style> driving() {
    const std::string four = set("four_phase_i") + kFourPhase + kSpikesFourPhase;
    const std::string two = kValidReady + kSpikes;
    const std::string tick_event = "[timestep]\nkind = \"aer\"\ntick_address = 0x1f\n";
    const std::string encoded =
        "[[input]]\nvalid = \"in_valid_i\"\nready = \"in_ready_o\"\naddress = \"in_addr_i\"\n"
        "encode = \"0x10 + axon\"\n";
    return {
        {"valid and ready, tick by port", kTick + kIdle + two},
        {"4-phase, tick by port", kTick + kIdle + four},
        {"valid and ready, tick by address", tick_event + kIdle + encoded + kSpikes},
        {"4-phase, tick by address", tick_event + kIdle + four},
        {"end by an inner signal",
         kTick + "idle = \"state_q == 0 && !loop_any && idle_o\"\nidle_clocks = 3\n" + two},
        {"end by quiet clocks",
         kTick +
             "quiet = [\"v_o\", \"idle_o\", \"in_ack_o\", \"out_req_o\", \"out_valid_o\"]\n"
             "quiet_clocks = 16\n" +
             four},
        {"a long tick and other clocks",
         "[timestep]\nkind = \"aer\"\ntick = \"tick_i\"\ntick_clocks = 1\nsettle = true\n" + kIdle +
             two},
    };
}

const std::string kOrder = R"([[taken]]
valid = "take_axon"
index = "take_index"
[[taken]]
kind = "internal"
valid = "take_loop"
index = "take_index"
)";

/// Ways to show v, of a core that is driven so.
const std::string kValuesDriven =
    set("loop_i") + kTick + kIdle + "idle_clocks = 2\n" + kValidReady + kSpikes;
std::vector<Style> values_shown() {
    return {
        {"inverted", v("v_no[16*i +: 16]", "inverted = true\n")},
        {"lowest bit first", v("v_rev_o[16*i +: 16]", "reversed = true\n")},
        {"lowest bit first, by a function", v("$reverse(v_rev_o[16*i +: 16])")},
        {"sign and magnitude", v("v_sm_o[16*i +: 16]", "encoding = \"sign_magnitude\"\n")},
        {"ones' complement", v("v_ones_o[16*i +: 16]", "encoding = \"ones_complement\"\n")},
        {"offset", v("v_off_o[16*i +: 16]", "encoding = \"offset\"\n")},
        {"halves put together", v("{v_o[16*i + 8 +: 8], v_o[16*i +: 8]}")},
        {"conditional", v("i < 4 ? v_o[16*i +: 16] : ~v_no[16*i +: 16]")},
        {"fields of words of a memory", v("word_q[i/4][16*(i%4) +: 16]")},
        {"generate loop", v("gen_copy[{i}].copy_q")},
        {"a word that another signal selects, signed",
         v("$signed(word_q[step_q & 0 | i / 4][16*(i%4) +: 16])")},
        {"by populations", v("v_o[16*i +: 16]", "population = \"a\"\n") +
                               v("v_o[16*(i + 3) +: 16]", "population = \"b\"\n")},
        {"where a trigger holds", v("v_o[16*i +: 16]", "trigger = \"v_late_valid_o\"\n")},
        {"where a trigger holds, before the edge",
         v("v_o[16*i +: 16]", "trigger = \"v_late_valid_o\"\nphase = \"before_edge\"\n")},
        {"before the last edge", v("v_o[16*i +: 16]", "phase = \"before_edge\"\n")},
        {"a stream of every neuron",
         "[[observe]]\nfield = \"v\"\nvalid = \"sweep_valid_o\"\nindex = \"sweep_neuron_o\"\n"
         "value = \"sweep_v_o\"\n"},
        {"a stream of those that changed",
         "[[observe]]\nfield = \"v\"\nvalid = \"sweep_changed_o\"\nindex = \"sweep_neuron_o\"\n"
         "value = \"sweep_v_o\"\nmissing = \"keep\"\n"},
        {"a stream after the edge",
         "[[observe]]\nfield = \"v\"\nvalid = \"sweep_valid_o\"\nindex = \"sweep_neuron_o\"\n"
         "value = \"sweep_v_o\"\nphase = \"after_edge\"\n"},
        {"a timestep late", v("v_late_o[16*i +: 16]", "latency = 1\n")},
        {"late in one population", v("v_late_o[16*i +: 16]", "population = \"a\"\nlatency = 1\n") +
                                       v("v_o[16*(i + 3) +: 16]", "population = \"b\"\n")},
    };
}

/// Ways to tell which timestep a late spike belongs to.
const std::string kLateDriven = set("loop_i") + set("late_i") + kTick + kIdle + kValidReady + kV;
std::vector<Style> late_rules() {
    const std::string late = "late = 3\n";
    return {
        {"number of the core", kSpikes + "timestep = \"out_step_o\"\n" + late},
        {"end of a timestep",
         kSpikes + "step_end = \"out_valid_o && out_last_o && out_ready_i\"\n" + late},
        {"number by a signal inside", kSpikes + "timestep = \"out_head[6:3]\"\n" + late},
    };
}

std::vector<Style> pacings() {
    return {{"burst", ""},
            {"drain", "[pacing]\ninput = \"drain\"\n"},
            {"gaps and stalls",
             "[pacing]\ngap_probability = 0.4\ngap_clocks = 5\nstall_probability = 0.6\n"}};
}
}  // namespace

// For waveform_styles_test.py, which reads waveforms of each: what is above, as files.
TEST_CASE("styles: written as manifests", "[.][files]") {
    const char* const folder = std::getenv("SPIKELOCK_STYLES");
    if (folder == nullptr) SKIP("SPIKELOCK_STYLES names no folder");
    std::vector<Style> all;
    for (const Style& style : driving()) {
        for (const Style& pacing : pacings())
            all.push_back(
                {style.name + ", " + pacing.name, set("loop_i") + style.text + kV + pacing.text});
        all.push_back({style.name + ", at the start",
                       set("loop_i") + style.text.substr(0, style.text.find('\n') + 1) +
                           "tick_at = \"start\"\n" + style.text.substr(style.text.find('\n') + 1) +
                           kV});
    }
    for (const Style& style : values_shown())
        all.push_back({style.name, kValuesDriven + style.text});
    for (const Style& rule : late_rules()) all.push_back({rule.name, kLateDriven + rule.text});
    all.push_back({"order of events", set("loop_i") + set("four_phase_i") + kTick + kIdle +
                                          kFourPhase + kSpikesFourPhase + kV + kOrder});
    all.push_back({"bits and clocks", "[timestep]\nkind = \"clocked\"\nclocks = 40\n" +
                                          kValidReady + kSpikes +
                                          v("v_o[16*i +: 16]", "phase = \"before_edge\"\n")});
    std::ofstream(std::string(folder) + "/network.json") << golden::to_json(network());
    const std::string core = std::string(SPIKELOCK_COSIM_FOLDER) + "/cores/";
    std::string text = kCore;
    text.replace(text.find("cores/"), 6, core);
    for (std::size_t k = 0; k < all.size(); ++k)
        std::ofstream(std::string(folder) + "/" + std::to_string(k) + ".toml")
            << "# " << all[k].name << "\n"
            << text << all[k].text << "[network]\njson = \"network.json\"\n"
            << "[stimulus]\nkind = \"poisson\"\nprobability = 0.5\nsteps = 90\n"
            << "sample_steps = 37\n";
}

TEST_CASE("styles: an event-driven core matches under every interface and pacing",
          "[sim][styles][cosim]") {
    const std::vector<Style> styles = driving();
    const std::size_t k = GENERATE_COPY(range(std::size_t{0}, styles.size()));
    for (const Style& pacing : pacings()) {
        CAPTURE(styles[k].name, pacing.name);
        Model model(true);
        const Events events(7, 60);
        check_match(run(model, set("loop_i") + styles[k].text + kV + pacing.text, events));
    }
}

TEST_CASE("styles: spikes that a neuron fires in one timestep are counted and listed in order",
          "[sim][styles][cosim]") {
    const auto core = start(set("loop_i") + set("four_phase_i") + kTick + kIdle + kFourPhase +
                            kSpikesFourPhase + kV);
    REQUIRE(core->shape().counts);
    REQUIRE(core->shape().events);
    const Events events(40);
    REQUIRE(core->submit(events.block(0, 100)));
    std::uint64_t several = 0;
    std::uint64_t clock = 0;
    for (std::uint64_t seen = 0; seen < 100;) {
        auto got = core->read(7);
        REQUIRE(got);
        const auto* block = std::get_if<trace::BlockView>(&*got);
        REQUIRE(block != nullptr);
        std::vector<std::uint16_t> counted(block->n_steps * kNeurons, 0);
        for (const trace::SpikeEvent& e : block->events) {
            CHECK(e.clock > clock);
            clock = e.clock;
            ++counted[e.step * kNeurons + e.neuron];
        }
        for (std::size_t i = 0; i < counted.size(); ++i) {
            CHECK(counted[i] == block->counts[i]);
            several += counted[i] > 1;
            CHECK((counted[i] > 0) == ((block->spikes[i / kNeurons] >> (i % kNeurons) & 1) != 0));
        }
        seen += block->n_steps;
    }
    CHECK(several > 20);
}

TEST_CASE("styles: a second spike of a neuron that is declared to fire once ends the run",
          "[sim][styles][cosim]") {
    std::string once = kSpikes;
    once.erase(once.find("counts = true"));
    Model model(true);
    const lockstep::Outcome outcome =
        run(model, set("loop_i") + kTick + kIdle + kValidReady + once + kV, Events(40));
    CHECK(outcome.verdict == Verdict::Asserted);
    CHECK_THAT(outcome.reason, ContainsSubstring("fired twice in one timestep"));
}

TEST_CASE("styles: counts diverge where only how often a neuron fired differs",
          "[sim][styles][cosim][lockstep]") {
    // A model that fires at most once has equal bits and other counts.
    class Once final : public Model {
    public:
        Once() : Model(true, false) {}
    } model;
    const lockstep::Outcome outcome =
        run(model, set("loop_i") + kTick + kIdle + kValidReady + kSpikes + kV, Events(40));
    REQUIRE(outcome.verdict == Verdict::Diverged);
    CHECK(outcome.first->differences.front().field == "spike");
    CHECK(outcome.first->differences.front().expected == 1);
    CHECK(outcome.first->differences.front().actual > 1);
}

TEST_CASE("styles: the golden follows the order in which the core took its events",
          "[sim][styles][cosim]") {
    const std::string text = set("loop_i") + set("four_phase_i") + kTick + kIdle + kFourPhase +
                             kSpikesFourPhase + kV + kOrder + pacings()[2].text;
    OrderedModel model;
    const std::uint32_t block_steps = GENERATE(0U, 1U, 13U);
    check_match(run(model, text, Events(9, 50), block_steps));
    CHECK(model.internal() > 50);

    // The core loses one event: no order of what it took is that of what was sent.
    OrderedModel other;
    const lockstep::Outcome lost = run(other, set("drop_i", 100) + text, Events(9), block_steps);
    CHECK(lost.verdict == Verdict::Asserted);
    CHECK_THAT(lost.reason, ContainsSubstring("not what was sent"));
    CHECK(lost.steps_compared > 5);
    CHECK(lost.steps_compared < 60);
    CHECK_THAT(lost.reason,
               ContainsSubstring("timestep " + std::to_string(lost.steps_compared) + ":"));
}

TEST_CASE("styles: v is the same wherever and however it is shown", "[sim][styles][cosim]") {
    for (const Style& style : values_shown()) {
        CAPTURE(style.name);
        Model model(true);
        check_match(run(model, kValuesDriven + style.text, Events(7, 37)));
    }
}

TEST_CASE("styles: a stream that leaves neurons out, or shows one twice, ends the run",
          "[sim][styles][cosim]") {
    const std::string drive = kTick + kIdle + kValidReady + kSpikes;
    const std::string stream =
        "[[observe]]\nfield = \"v\"\nindex = \"sweep_neuron_o\"\nvalue = \"sweep_v_o\"\n";
    Model model(false);
    const lockstep::Outcome missing =
        run(model, drive + stream + "valid = \"sweep_changed_o\"\n", Events(7));
    CHECK(missing.verdict == Verdict::Asserted);
    CHECK_THAT(missing.reason,
               ContainsSubstring("the core showed v of ") && ContainsSubstring("is missing"));
    Model other(false);
    const lockstep::Outcome twice =
        run(other, drive + stream + "valid = \"sweep_valid_o || sweep_neuron_o == 0 && idle_o\"\n",
            Events(7));
    CHECK(twice.verdict == Verdict::Asserted);
    CHECK_THAT(twice.reason, ContainsSubstring("v of neuron 0 twice"));
}

TEST_CASE("styles: spikes that leave late belong to the timestep that fired them",
          "[sim][styles][cosim]") {
    const std::string drive = kLateDriven;
    for (const Style& rule : late_rules()) {
        CAPTURE(rule.name);
        for (const std::uint32_t block_steps : {0U, 1U, 17U}) {
            Model model(true);
            check_match(run(model, drive + rule.text, Events(6, 45), block_steps));
        }
    }
    // One timestep is not enough for that many spikes, and without a rule they are one late.
    Model model(true);
    const lockstep::Outcome later =
        run(model, drive + kSpikes + "timestep = \"out_step_o\"\ntimestep_first = 9\nlate = 3\n",
            Events(6));
    CHECK(later.verdict == Verdict::Asserted);
    CHECK_THAT(later.reason, ContainsSubstring("late"));
    Model plain(true);
    CHECK(run(plain, drive + kSpikes, Events(6)).verdict == Verdict::Diverged);
}

TEST_CASE("styles: an event that comes later than the manifest allows ends the run",
          "[sim][styles][cosim]") {
    // The core shows each spike in the timestep after its own.
    const std::string drive = set("late_i") + kTick + kIdle + kValidReady;
    const std::string by_number = kSpikes + "timestep = \"out_step_o\"\n";
    const std::string by_marker =
        kSpikes + "step_end = \"out_valid_o && out_last_o && out_ready_i\"\n";
    Model allowed(false);
    check_match(run(allowed, drive + kV + by_number + "late = 1\n", Events(4)));
    struct Case {
        std::string text;
        const char* message;
    };
    // v is a timestep late in two of them: the run waits for it, but no spike may use that.
    for (const Case& c :
         {Case{kV + by_marker, "did not come within 0 timesteps"},
          Case{by_number + v("v_late_o[16*i +: 16]", "latency = 1\n"), "expected at most 0 late"},
          Case{by_marker + v("v_late_o[16*i +: 16]", "latency = 1\n"),
               "expected at most 0 late"}}) {
        CAPTURE(c.text);
        Model model(false);
        const lockstep::Outcome outcome = run(model, drive + c.text, Events(4));
        CHECK(outcome.verdict == Verdict::Asserted);
        CHECK_THAT(outcome.reason, ContainsSubstring(c.message));
        CHECK(outcome.steps_compared < 20);
    }
}

TEST_CASE("styles: a tick before the events of a timestep", "[sim][styles][cosim]") {
    const std::string before = kTick + "tick_at = \"start\"\n" + kIdle;
    for (const Style& pacing : pacings()) {
        CAPTURE(pacing.name);
        const std::string text = set("loop_i") + before + kValidReady + kSpikes + kV + pacing.text;
        Model model(true, true, true);
        check_match(run(model, text, Events(7, 60)));
        Model after(true);
        CHECK(run(after, text, Events(7, 60)).verdict == Verdict::Diverged);
    }
}

TEST_CASE("styles: memory words by a pointer of the core, and comparisons of signed numbers",
          "[sim][styles][cosim]") {
    const auto field = [](const std::string& name, int bits, const std::string& value) {
        return "[[observe]]\nfield = \"" + name +
               "\"\nsigned = false\nbits = " + std::to_string(bits) + "\nvalue = \"" + value +
               "\"\n";
    };
    const auto core =
        start(kTick + kIdle + kValidReady + kSpikes + kV + field("head", 8, "out_head") +
              field("pointed", 8, "out_mem[out_rd_q[5:0]]") +
              field("less", 1, "$signed(v_o[16*i +: 16]) < $signed(v_o[31:16])"));
    const Events events(9);
    REQUIRE(core->submit(events.block(0, 200)));
    const trace::Shape& shape = core->shape();
    std::size_t at[4] = {};  // v, head, pointed, less
    for (std::size_t f = 0; f < shape.fields.size(); ++f)
        for (std::size_t k = 0; k < 4; ++k)
            if (shape.fields[f].name == std::array{"v", "head", "pointed", "less"}[k]) at[k] = f;
    std::size_t heads = 0;
    std::size_t less = 0;
    std::uint8_t last = 0;
    for (std::uint64_t seen = 0; seen < 200;) {
        auto got = core->read(200);
        REQUIRE(got);
        const auto& block = std::get<trace::BlockView>(*got);
        const auto* v_of = reinterpret_cast<const std::int16_t*>(block.fields[at[0]].data());
        const auto* head = reinterpret_cast<const std::uint8_t*>(block.fields[at[1]].data());
        const auto* pointed = reinterpret_cast<const std::uint8_t*>(block.fields[at[2]].data());
        const auto* is_less = reinterpret_cast<const std::uint8_t*>(block.fields[at[3]].data());
        for (std::size_t i = 0; i < block.n_steps * kNeurons; ++i) {
            CHECK(pointed[i] == head[i]);
            CHECK(is_less[i] == (v_of[i] < v_of[i / kNeurons * kNeurons + 1] ? 1 : 0));
            heads += head[i] != last;
            last = head[i];
            less += is_less[i];
        }
        seen += block.n_steps;
    }
    CHECK(heads > 50);
    CHECK(less > 50);
}

TEST_CASE("styles: a neuron is counted up to 65535 times in a timestep, then the run ends",
          "[sim][styles][cosim]") {
    // A stream that is always valid: one spike of neuron 2 a clock.
    const auto clocked = [](int clocks) {
        return "[timestep]\nkind = \"clocked\"\nclocks = " + std::to_string(clocks) +
               "\n[[observe]]\nfield = \"spike\"\nvalid = \"1\"\nindex = \"2\"\n"
               "counts = true\n";
    };
    trace::StimulusBlock silent;
    silent.n_steps = 2;
    silent.event_begin.assign(3, 0);
    {
        const auto core = start(clocked(65535));
        REQUIRE(core->submit(silent));
        auto got = core->read(2);
        REQUIRE(got);
        const auto& block = std::get<trace::BlockView>(*got);
        REQUIRE(block.n_steps == 2);
        for (std::size_t s = 0; s < 2; ++s)
            for (std::size_t n = 0; n < kNeurons; ++n)
                CHECK(block.counts[s * kNeurons + n] == (n == 2 ? 65535 : 0));
    }
    const auto core = start(clocked(65536));
    REQUIRE(core->submit(silent));
    auto got = core->read(2);
    REQUIRE(got);
    const auto* end = std::get_if<trace::SourceEnd>(&*got);
    REQUIRE(end != nullptr);
    CHECK(end->kind == trace::EndKind::Asserted);
    CHECK_THAT(end->text, ContainsSubstring("fired more than 65535 times in one timestep"));
}

TEST_CASE("styles: a core with latency must be fed ahead, and runs out without input",
          "[sim][styles][cosim]") {
    const auto core =
        start(kTick + kIdle + kValidReady + kSpikes + v("v_late_o[16*i +: 16]", "latency = 1\n"));
    CHECK(core->lag() == 1);
    const Events events(5);
    REQUIRE(core->submit(events.block(0, 10)));
    std::uint64_t steps = 0;
    while (core->in_flight() > 0) {
        auto got = core->read(100);
        REQUIRE(got);
        const auto* block = std::get_if<trace::BlockView>(&*got);
        REQUIRE(block != nullptr);
        CHECK(block->first == steps);
        steps += block->n_steps;
    }
    CHECK(steps == 10);
    const Status more = core->submit(events.block(10, 1));
    REQUIRE(!more);
    CHECK(more.error().code == Errc::Unsupported);
}

TEST_CASE("styles: one bit an axon", "[sim][styles][cosim]") {
    const std::string bits = "[[input]]\nbits = \"in_bits_i[i]\"\n";
    Model model(true);
    check_match(
        run(model, set("loop_i") + kTick + kIdle + bits + kSpikes + kV, Events(12, 60, true)));
    Model other(true);
    const lockstep::Outcome outcome = run(other, kTick + kIdle + bits + kSpikes + kV, Events(12));
    CHECK(outcome.verdict == Verdict::Asserted);
    CHECK_THAT(outcome.reason, ContainsSubstring("has two events in one timestep"));
}

TEST_CASE("styles: events of a clocked core must be taken within its clocks",
          "[sim][styles][cosim]") {
    const auto clocked = [](int clocks) {
        return "[timestep]\nkind = \"clocked\"\nclocks = " + std::to_string(clocks) + "\n";
    };
    // Without a tick nothing leaks, so only that all events arrive is looked at.
    for (const auto& [clocks, enough] : {std::pair{64, true}, std::pair{3, false}}) {
        const auto core = start(clocked(clocks) + kValidReady + kSpikes + kV);
        const Events events(7);
        REQUIRE(core->submit(events.block(0, 50)));
        std::uint64_t steps = 0;
        std::string text;
        while (steps < 50 && text.empty()) {
            auto got = core->read(50);
            REQUIRE(got);
            if (const auto* block = std::get_if<trace::BlockView>(&*got))
                steps += block->n_steps;
            else
                text = std::get<trace::SourceEnd>(*got).text;
        }
        CHECK((steps == 50) == enough);
        if (!enough) CHECK_THAT(text, ContainsSubstring("input events in the 3 clocks"));
    }
}

TEST_CASE("styles: further clocks have their ratio and phase", "[sim][styles][cosim]") {
    struct Case {
        const char* ratio;
        const char* phase;
        int clocks;
        int edges;  // in each timestep but perhaps the first
    };
    const auto count = [](const Case& c, const char* sampled) {
        const auto core =
            start("[[extra_clock]]\nport = \"clk_slow_i\"\nratio = \"" + std::string(c.ratio) +
                  "\"\nphase = \"" + c.phase + "\"\n[timestep]\nkind = \"clocked\"\nclocks = " +
                  std::to_string(c.clocks) + "\n" + kSpikes +
                  "[[observe]]\nfield = \"slow\"\nbits = 16\nsigned = false\nvalue = "
                  "\"slow_o\"\nphase = \"" +
                  sampled + "\"\n");
        trace::StimulusBlock silent;
        silent.n_steps = 40;
        silent.event_begin.assign(41, 0);
        REQUIRE(core->submit(silent));
        auto got = core->read(40);
        REQUIRE(got);
        const auto& block = std::get<trace::BlockView>(*got);
        REQUIRE(block.n_steps == 40);
        const auto* values = reinterpret_cast<const std::uint16_t*>(block.fields[0].data());
        std::vector<int> seen;
        for (int t = 0; t < 40; ++t) seen.push_back(values[t * static_cast<int>(kNeurons)]);
        return seen;
    };
    for (const Case& c : {Case{"1/3", "0", 3, 1}, Case{"3/2", "0", 2, 3}, Case{"1/4", "1/3", 8, 2},
                          Case{"5/1", "1/7", 1, 5}}) {
        CAPTURE(c.ratio, c.phase);
        const std::vector<int> seen = count(c, "after_edge");
        for (int t = 1; t < 40; ++t)
            CHECK(seen[static_cast<std::size_t>(t)] - seen[static_cast<std::size_t>(t) - 1] ==
                  c.edges);
    }
    // An edge together with the main clock's is not seen before it; half a period later it is.
    const Case together{"1", "0", 1, 1};
    const Case apart{"1", "1/2", 1, 1};
    CHECK(count(together, "after_edge")[5] == count(together, "before_edge")[5] + 1);
    CHECK(count(apart, "after_edge")[5] == count(apart, "before_edge")[5]);
}

TEST_CASE("styles: what does not fit together is told with its place", "[sim][styles][cosim]") {
    const std::string drive = kTick + kIdle + kValidReady;
    struct Case {
        std::string text;
        Errc code;
        const char* message;
    };
    for (const Case& c : {
             Case{drive + kSpikes + v("v_o[16*i +: 12]"), Errc::Mismatch, "12 bits wide"},
             Case{drive + kSpikes + v("v_ox[16*i +: 16]"), Errc::NotFound, "did you mean 'v_o'"},
             Case{drive + kSpikes + v("v_o[16*i +: 16]", "population = \"a\"\n"), Errc::BadConfig,
                  "b[0] is not observed"},
             Case{drive + kSpikes + kV + kV, Errc::BadConfig, "is observed here and at"},
             Case{drive + kSpikes + kSpikes + kV, Errc::BadConfig, "is observed here and at"},
             Case{kTick + kIdle + kSpikes + kV +
                      "[[input]]\nvalid = \"in_valid_i\"\nready = \"in_ready_o\"\naddress = "
                      "\"in_addr_i\"\nencode = \"30 + axon\"\n",
                  Errc::Mismatch, "axon 2 has the address 32"},
             Case{"[timestep]\nkind = \"aer\"\ntick_address = 40\n" + kIdle + kValidReady +
                      kSpikes + kV,
                  Errc::Mismatch, "tick_address 40 does not fit"},
             Case{drive + kSpikes + kV +
                      "[[taken]]\nvalid = \"take_axon\"\nindex = 0\nport = "
                      "\"inn\"\n",
                  Errc::NotFound, "no input port 'inn'"},
             Case{drive + kSpikes + v("$signed(v_o[16*i +: 16] + 1)"), Errc::BadConfig,
                  "$signed needs"},
             Case{drive + kSpikes + v("v_o[16*i +: 16]") +
                      "[[observe]]\nfield = \"w\"\nvalue = \"v_o[i]\"\n",
                  Errc::NotFound, "unknown field 'w'"},
         }) {
        const Error error = start_error(c.text);
        CAPTURE(c.text, error.text());
        CHECK(error.code == c.code);
        CHECK_THAT(error.text(), ContainsSubstring(c.message));
    }
}

namespace {
const std::string kCustom = R"([adapter]
file = "adapters/aer.cpp"
signals = ["v_q"]
[[startup]]
adapter = "four phase"
[timestep]
kind = "custom"
limit_clocks = 20000
[[observe]]
field = "v"
source = "adapter"
[[observe]]
field = "spike"
source = "adapter"
counts = true
)";

Result<std::unique_ptr<sim::DutSource>> custom(const std::string& options, bool writes = false) {
    std::string text = kCustom + options;
    if (writes) text.replace(text.find("signals = "), 7, "writes");
    const manifest::Manifest m = parse(text);
    sim::BuildOptions build;
    build.cache_dir = SPIKELOCK_TEST_CACHE;
    auto host = sim::build_host(m, build);
    if (!host) return host.error();
    sim::DutOptions dut;
    dut.wall_limit_s = 1.0;
    return sim::DutSource::create(*host, m, network(), dut);
}
}  // namespace

TEST_CASE("adapter: a core that an adapter drives matches under every pacing",
          "[sim][adapter][cosim]") {
    for (const Style& pacing : pacings()) {
        CAPTURE(pacing.name);
        auto core = custom("[adapter.options]\nloop = 1\n" + pacing.text);
        if (!core) FAIL(core.error().text());
        Model model(true);
        const Events events(7, 60);
        auto outcome = lockstep::run(model, **core, &events, {});
        REQUIRE(outcome);
        check_match(*outcome);
    }
}

TEST_CASE("adapter: what it sets is in the core", "[sim][adapter][cosim]") {
    auto core = custom("[adapter.options]\ndo = \"set\"\n", true);
    if (!core) FAIL(core.error().text());
    Model model(false);
    const Events events(7);
    auto outcome = lockstep::run(model, **core, &events, {});
    REQUIRE(outcome);
    REQUIRE(outcome->verdict == Verdict::Diverged);
    CHECK(outcome->first->timestep == 10);
    CHECK(outcome->first->differences[0].neuron == 5);
}

TEST_CASE("adapter: whatever goes wrong in it is told in its own words", "[sim][adapter][cosim]") {
    struct Case {
        const char* what;
        Verdict verdict;
        const char* text;
    };
    for (const Case& c :
         {Case{"throw", Verdict::Asserted, "the adapter's step() threw: planted"},
          Case{"fail", Verdict::Asserted, "planted words"},
          Case{"clock for ever", Verdict::Hung,
               "what never comes did not come within 20000 clocks"},
          Case{"no such neuron", Verdict::Asserted, "neuron 8, but there are 8"},
          Case{"too wide", Verdict::Asserted, "gives 40000 for v of neuron 0, which has 16 bits"},
          Case{"set", Verdict::Asserted, "sets v_q, which is not in [adapter] writes"},
          Case{"hang", Verdict::Hung, "or in the adapter"}}) {
        CAPTURE(c.what);
        auto core = custom("[adapter.options]\ndo = \"" + std::string(c.what) + "\"\n");
        if (!core) FAIL(core.error().text());
        Model model(false);
        const Events events(7);
        auto outcome = lockstep::run(model, **core, &events, {});
        REQUIRE(outcome);
        CHECK(outcome->verdict == c.verdict);
        CHECK(outcome->steps_compared == 10);
        CHECK_THAT(outcome->reason, ContainsSubstring(c.text));
    }
}

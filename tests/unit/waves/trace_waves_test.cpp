// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/waves/trace_waves.hpp"

#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <filesystem>

#include "spikelock/bridge/vcd/reader.hpp"

using namespace spikelock;
using namespace spikelock::bridge;

namespace {
/// Four timesteps of three neurons, in two blocks.
class Recorded : public trace::StepSource {
public:
    Recorded() {
        shape_.n_neurons = 3;
        shape_.dt = 2e-3;
        shape_.populations = {{"in put", 0, 1}, {"out", 1, 3}};
        shape_.fields = {{"v", trace::FieldClass::State, 5, true, false, 0, 1},
                         {"f", trace::FieldClass::State, 64, true, true, 0, 8}};
        for (std::size_t i = 0; i < 12; ++i) {
            v_.push_back(static_cast<std::byte>(i % 2 == 0 ? 3 : -3));
            real_.push_back(i < 6 ? 0.1 : -1e300);
        }
    }
    const trace::Shape& shape() const override { return shape_; }
    Status submit(const trace::StimulusBlock&) override { return {}; }
    std::uint64_t in_flight() const override { return 0; }
    Result<std::variant<trace::BlockView, trace::SourceEnd>> read(std::uint32_t) override {
        if (block_ == 2)
            return std::variant<trace::BlockView, trace::SourceEnd>(trace::SourceEnd{});
        trace::BlockView view;
        view.first = 10 + 2 * block_;
        view.n_steps = 2;
        view.spikes = std::span(spikes_).subspan(2 * block_, 2);
        view.fields = {std::span(v_).subspan(6 * block_, 6),
                       std::as_bytes(std::span(real_).subspan(6 * block_, 6))};
        if (block_ == 1) {
            view.masks = {std::span(mask_), {}};
            view.valid = valid_;
        }
        ++block_;
        return std::variant<trace::BlockView, trace::SourceEnd>(view);
    }

private:
    trace::Shape shape_;
    std::size_t block_ = 0;
    std::vector<std::uint64_t> spikes_ = {0b001, 0b101, 0b100, 0b111};
    std::vector<std::byte> v_;
    std::vector<double> real_;
    std::vector<std::uint64_t> mask_ = {0b110, 0b111};
    std::vector<std::uint8_t> valid_ = {1, 0};
};
}  // namespace

TEST_CASE("waves/out: a trace as a waveform shows its values and what is not valid",
          "[waves][unit]") {
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("spikelock-out-" + std::to_string(::getpid()) + ".vcd"))
                                 .string();
    Recorded source;
    const waves::TimeBase base = waves::time_base(source.shape().dt);
    CHECK(base.exponent == -3);
    CHECK(base.units == 2);
    auto writer = vcd::Writer::create(path, base.exponent);
    REQUIRE(writer);
    CHECK_FALSE(std::filesystem::exists(path));
    REQUIRE(waves::write_waves(source, **writer));
    REQUIRE((*writer)->close());
    const auto history = [&](const char* name) {
        const auto got = vcd::read_history(path, name);
        REQUIRE(got);
        std::string text;
        for (std::size_t i = 0; i < got->times.size(); ++i)
            text += std::to_string(got->times[i]) + "=" + got->values[i] + " ";
        return text;
    };
    CHECK(history("in_put.spike_0") == "20=1 24=0 26=x ");
    CHECK(history("out.spike_1") == "20=0 22=1 26=x ");
    CHECK(history("out.spike_0") == "20=0 26=x ");
    CHECK(history("in_put.v_0") == "20=00011 22=11101 24=xxxxx ");
    CHECK(history("out.v_1") == "20=00011 22=11101 24=00011 26=xxxxx ");
    CHECK(history("out.f_0") == "20=0.10000000000000001 24=-1.0000000000000001e+300 26=nan ");
    vcd::ReaderOptions all;
    all.check_all = true;
    auto reader = vcd::Reader::open(path, all);
    REQUIRE(reader);
    CHECK((*reader)->header().time_exponent == -3);
    (*reader)->select_all();
    std::uint64_t last = 0;
    for (;;) {
        const auto batch = (*reader)->next();
        REQUIRE(batch);
        if (batch->empty()) break;
        for (const vcd::Change& c : *batch)
            if (c.signal == vcd::Change::kTime) last = c.time;
    }
    CHECK(last == 28);  // the last timestep has a length
    std::filesystem::remove(path);
}

TEST_CASE("waves/out: a writer that is not closed leaves nothing", "[waves][unit]") {
    const auto folder =
        std::filesystem::temp_directory_path() / ("spikelock-left-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    {
        auto writer = vcd::Writer::create((folder / "a.vcd").string(), 0);
        REQUIRE(writer);
        (*writer)->add("a", 1);
    }
    CHECK(std::filesystem::is_empty(folder));
    std::filesystem::remove_all(folder);
    CHECK(vcd::Writer::create((folder / "a.vcd").string(), 0).error().code == Errc::Io);
}

TEST_CASE("waves/out: the time base is a whole number of units", "[waves][unit]") {
    CHECK((waves::time_base(1e-3).exponent == -3 && waves::time_base(1e-3).units == 1));
    CHECK((waves::time_base(2.5e-4).exponent == -5 && waves::time_base(2.5e-4).units == 25));
    CHECK((waves::time_base(100.0).exponent == 2 && waves::time_base(100.0).units == 1));
    CHECK((waves::time_base(1.0 / 3).units == 1 && !waves::time_base(1.0 / 3).exact));
}

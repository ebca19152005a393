// SPDX-License-Identifier: Apache-2.0
// What of a model's evals the host may leave out, by what Verilator makes of small cores. That
// leaving it out changes nothing is for tests/cosim/settled_test.py.
#include "eval_shortcuts.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "build_cache.hpp"
#include "process.hpp"

using namespace spikelock;
using namespace spikelock::sim::detail;
namespace fs = std::filesystem;

namespace {
/// A folder that is gone with the test.
class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "spikelock-shortcuts-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// Verilates a core: `next` is how the register's next value follows from input `a` and itself,
/// `more` is put after it.
EvalShortcuts shortcuts_of(const std::string& next, const std::string& more,
                           const std::string& clock = "clk") {
    const Folder folder;
    const std::string core =
        "module top(input logic clk, input logic strobe, input logic [7:0] a,\n"
        "           output logic [7:0] q, output logic [7:0] other);\n"
        "  logic [7:0] n;\n  always_comb n = " +
        next + ";\n  always @(posedge clk) q <= n;\n" + more + "\nendmodule\n";
    REQUIRE(write_file(folder / "top.sv", core));
    const std::vector<std::string> command = {
        "verilator",   "--cc",           "--prefix",       "Vdut",       "--top-module",
        "top",         "-Mdir",          folder / "model", "--x-assign", "unique",
        "--x-initial", "unique",         "--no-timing",    "-O3",        "--assert",
        "-Wno-fatal",  folder / "top.sv"};
    auto verilated = run_command(command, folder.path(), nullptr);
    REQUIRE(verilated);
    INFO(verilated->output);
    REQUIRE(verilated->status == 0);
    auto made = make_eval_shortcuts(folder / "model", clock);
    REQUIRE(made);
    const std::string written = read_file(folder / "model/shortcuts.inc");
    CHECK((written.find("SPIKELOCK_CLOCK_BEFORE") != std::string::npos) ==
          !made->clock_before.empty());
    CHECK((written.find("SPIKELOCK_CLOCK_ALONE") != std::string::npos) == made->clock_alone);
    CHECK((written.find("SPIKELOCK_EVAL_ALONE") != std::string::npos) == made->eval_alone);
    return *made;
}
}  // namespace

TEST_CASE("eval shortcuts: a plain core takes them all", "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of("a + q", "assign other = q ^ a;");
    CHECK(s.settled_inputs);
    CHECK_FALSE(s.clock_before.empty());
    CHECK(s.clock_alone);
    CHECK(s.eval_alone);
}

TEST_CASE("eval shortcuts: none are taken that were not asked for", "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of("a + q", "assign other = q;", "");
    CHECK_FALSE(s.settled_inputs);
    CHECK(s.clock_before.empty());
    CHECK_FALSE(s.clock_alone);
    CHECK_FALSE(s.eval_alone);
}

TEST_CASE("eval shortcuts: falling edges that are looked at are evaluated", "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of("a + q", "always @(negedge clk) other <= a;");
    CHECK(s.settled_inputs);
    CHECK(s.clock_before.empty());
}

TEST_CASE("eval shortcuts: a gated clock, and one that is read, are evaluated", "[shortcuts]") {
    for (const std::string more : {"wire gated = clk & strobe; always @(posedge gated) other <= a;",
                                   "assign other = clk ? a : q;"}) {
        INFO(more);
        const EvalShortcuts s = shortcuts_of("a + q", more);
        CHECK_FALSE(s.settled_inputs);
        CHECK(s.clock_before.empty());
    }
}

TEST_CASE("eval shortcuts: edges of other inputs keep evals before which one was written",
          "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of("a + q", "always @(posedge strobe) other <= a;");
    CHECK(s.settled_inputs);
    CHECK_FALSE(s.clock_before.empty());
    CHECK_FALSE(s.clock_alone);
}

TEST_CASE("eval shortcuts: so do assertions that sample", "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of(
        "a + q", "assign other = q; assert property (@(posedge clk) strobe |=> $past(a) == q);");
    CHECK_FALSE(s.clock_alone);
}

TEST_CASE("eval shortcuts: what is not a function of inputs and state is evaluated",
          "[shortcuts]") {
    for (const std::string next : {"a + q + 8'($urandom)", "a + q + 8'($random)",
                                   "a + q + 8'($time)", "a + q + 8'(ask(32'(a)))"}) {
        INFO(next);
        const EvalShortcuts s =
            shortcuts_of(next, "assign other = q; import \"DPI-C\" function int ask(input int x);");
        CHECK_FALSE(s.settled_inputs);
        CHECK(s.clock_before.empty());
    }
}

TEST_CASE("eval shortcuts: events of the core's own keep falling edges with new inputs",
          "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of(
        "a + q",
        "event seen; always @(posedge clk) if (strobe) -> seen; always @(seen) other <= a;");
    CHECK_FALSE(s.clock_alone);
}

TEST_CASE("eval shortcuts: objects are cleared away by the model's public eval", "[shortcuts]") {
    const EvalShortcuts s = shortcuts_of(
        "a + q",
        "class Box; int x; endclass\n"
        "always @(posedge clk) begin Box b; b = new; b.x = 32'(a); other <= b.x[7:0]; end");
    CHECK_FALSE(s.eval_alone);
}

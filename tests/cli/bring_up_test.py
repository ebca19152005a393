#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a new core meets first: init, signals and check; and the cache of builds."""

import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402

CORE = sorted((tool.ROOT / "rtl/core").glob("*.sv"))
NEURON = sorted((tool.ROOT / "rtl/neuron").glob("*.sv"))
TINY = tool.COSIM / "cores/tiny_core.sv"

UART = """module uart_tx(input clk, input rst, input [7:0] data, input send, output reg tx);
  reg [3:0] n; reg [9:0] shift;
  always @(posedge clk)
    if (rst) begin n <= 0; tx <= 1; end
    else if (n == 0) begin if (send) begin shift <= {1'b1, data, 1'b0}; n <= 10; end end
    else begin tx <= shift[0]; shift <= shift >> 1; n <= n - 1; end
endmodule
"""

KEYWORDS = set("""always always_comb always_ff and assert assign automatic begin bit case default
disable edge else end endcase endfunction endgenerate endmodule endpackage enum error fatal for
foreach function generate genvar if iff import initial inout input int integer localparam logic
longint module negedge or output package packed parameter posedge property reg return shortint
signed stable struct task type typedef union unique unsigned void while wire endproperty byte past
rose fell inside endtask string static const cover assume final clocking endclocking sequence xor
not
nand nor bind""".split())


def write(folder, name, text):
    path = pathlib.Path(folder) / name
    path.write_text(text)
    return path


def manifest_of(path):
    return tomllib.loads(pathlib.Path(path).read_text())


def scrambled(files, folder, seed):
    """Copies sources with each identifier replaced by a random one, the same everywhere; names of
    macros, files and system functions stay. Returns the files and the replacements."""
    rng = random.Random(seed)
    texts = {f: pathlib.Path(f).read_text() for f in files}
    kept = set(KEYWORDS)
    for text in texts.values():
        kept |= set(re.findall(r"`\s*(?:define|ifdef|ifndef|undef)\s+(\w+)", text))
    names = {}

    def replaced(match):
        text = match.group(0)
        if not re.fullmatch(r"[A-Za-z_]\w*", text) or text in kept:
            return text
        if text not in names:
            while (new := "k" + "".join(rng.choices("bdfghjkmpqz0123456789", k=9))) in \
                    names.values():
                pass
            names[text] = new
        return names[text]

    token = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"|`\w+|\$\w+|\d*\'s?[bdhoBDHO]?\w+|\d\w*|'
                       r"[A-Za-z_]\w*", re.DOTALL)
    made = []
    for f, text in texts.items():
        # Comments go: an include file keeps its name.
        body = re.sub(r"//[^\n]*", "", text)
        made.append(write(folder, pathlib.Path(f).name, token.sub(replaced, body)))
    return made, names


def init(checks, folder, *arguments, status=0):
    done = tool.run("init", *arguments, "-o", folder / "cosim.toml", cwd=folder)
    checks.equal(done.status, status, f"init {arguments[0]}: exit code; {done.err}{done.out}")
    return done


def test_init_own_cores(checks, folder):
    (folder / "a").mkdir()
    done = init(checks, folder / "a", *CORE)
    checks.matches(done.err, r"include folder found: \S*rtl/include", "the include folder")
    m = manifest_of(folder / "a/cosim.toml")
    checks.equal(m["clock"], "clk_i", "clock")
    checks.equal(m["core"]["top"], "snn_core", "top")
    checks.equal(m["startup"][0], {"reset": "rst_ni", "active": "low", "clocks": 4}, "reset")
    checks.equal(m["timestep"], {"kind": "handshake", "start": "tick_i", "done": "done_o",
                                 "idle": "!busy_o"}, "timestep")
    checks.equal(m["input"], [{"valid": "ev_valid_i", "ready": "ev_ready_o",
                               "address": "ev_axon_i"}], "input")
    checks.equal(m["config"]["write"], "cfg_we_i", "configuration port")
    checks.equal(m["config"]["read_data"], "cfg_rdata_o", "read-back")
    wanted = manifest_of(tool.SNN_CORE)["observe"]
    checks.equal(sorted(m["observe"], key=lambda o: o["field"]),
                 sorted(wanted, key=lambda o: o["field"]), "observed as in the core's own manifest")
    checks.that("FILL_IN" not in re.sub(r"#.*", "", (folder / "a/cosim.toml").read_text()),
                "nothing is left open")

    (folder / "b").mkdir()
    init(checks, folder / "b", *NEURON)
    m = manifest_of(folder / "b/cosim.toml")
    checks.equal(m["core"]["top"], "lif_array", "top of the array")
    checks.equal(m["timestep"], {"kind": "clocked", "clocks": 1}, "timestep of the array")
    checks.equal({o["field"]: o["value"] for o in m["observe"]},
                 {"spike": "spike_o[i]", "v": "v_o[16*i +: 16]"}, "observed in the array")
    checks.equal(m["side_band"], [{"name": "i_in", "target": "i_in_i[16*i +: 16]"}], "current")
    checks.that({"set": "step_i", "value": 1} in m["startup"], "the enable is held")
    checks.equal(m["map"][0]["memory"], "th_i", "threshold")

    (folder / "c").mkdir()
    init(checks, folder / "c", *NEURON, "--top", "lif_neuron")
    m = manifest_of(folder / "c/cosim.toml")
    checks.equal({o["field"]: o["value"] for o in m["observe"]}, {"spike": "spike_o", "v": "v_o"},
                 "one neuron")


def test_init_without_names(checks, folder):
    include = list((tool.ROOT / "rtl/include").glob("*.svh"))
    for what, files, seed in (("core", CORE, 1), ("array", NEURON, 2)):
        place = folder / what
        place.mkdir()
        made, names = scrambled(files + include, place, seed)
        sources = [f for f in made if f.suffix == ".sv"]
        done = init(checks, place, *sources)
        if done.status != 0:
            continue
        m = manifest_of(place / "cosim.toml")
        checks.equal(m["clock"], names["clk_i"], f"{what}: clock by its use")
        checks.equal(m["startup"][0], {"reset": names["rst_ni"], "active": "low", "clocks": 4},
                     f"{what}: reset by its use")
        checks.matches(done.out, "no name speaks of neurons", what)
        # What is there must be right; the rest is open.
        right = {names["spike_o"] + "[i]": "spike", names["v_o"] + "[16*i +: 16]": "v"} \
            if what == "array" else {}
        for o in m["observe"]:
            if not o["value"].startswith("FILL_IN"):
                checks.equal(right.get(o["value"]), o["field"], f"{what}: {o}")
        checks.equal(len([o for o in m["observe"] if o["value"] in right]), len(right),
                     f"{what}: what its structure tells is found")
        for kind in ("input", "config", "map"):
            checks.that(kind not in m, f"{what}: no {kind} is made up")
        if what == "core":
            checks.equal(m["timestep"]["start"], "FILL_IN_start", "no start is made up")
            done = tool.run("check", place / "cosim.toml")
            checks.equal(done.status, 2, "check of an open manifest")
            checks.matches(done.err, r"cosim\.toml:\d+: 3 names are still to be filled in: "
                           r"FILL_IN_start \(line \d+\), FILL_IN_done .*FILL_IN_spike",
                           "what is open")
        else:
            checks.equal(m["side_band"][0]["target"], names["i_in_i"] + "[16*i +: 16]", "current")


def test_init_styles(checks, folder):
    """Resets and clocks of each kind, by use alone."""
    for k, (edge, condition, wanted) in enumerate((
            ("posedge a", "b", ("a", "b", "high")),
            ("posedge a", "!b", ("a", "b", "low")),
            ("posedge a or posedge b", "b", ("a", "b", "high")),
            ("posedge b or negedge a", "~a", ("b", "a", "low")),
            ("negedge b", "a", ("b", "a", "high")))):
        place = folder / f"style{k}"
        place.mkdir()
        source = write(place, "spiking.v",
                       f"""module spiking(input a, input b, input signed [7:0] x,
  output reg y); reg signed [7:0] v;
  always @({edge}) if ({condition}) begin v <= 0; y <= 0; end
    else begin v <= v + x; y <= v > x; end
endmodule
""")
        init(checks, place, source)
        m = manifest_of(place / "cosim.toml")
        checks.equal((m["clock"], m["startup"][0]["reset"], m["startup"][0]["active"]), wanted,
                     f"{edge}, {condition}")
    source = write(folder, "old.v", "module lif(input clk, input x, output reg bit);\n"
                   "always @(posedge clk) bit <= x; endmodule\n")
    (folder / "old").mkdir()
    init(checks, folder / "old", source)
    checks.equal(manifest_of(folder / "old/cosim.toml")["core"].get("language"), "1364-2005",
                 "keywords as names")


ARRAY = """module snn_layer #(parameter int NUM_NEURONS = 16, parameter int W = 12)(
  input logic clk, input logic resetn, input logic enable,
  input logic signed [W-1:0] current_in [NUM_NEURONS], input logic signed [W-1:0] threshold,
  output logic [NUM_NEURONS-1:0] spikes,
  output logic signed [W-1:0] membrane_potential [NUM_NEURONS]);
  always_ff @(posedge clk)
    if (!resetn) for (int i = 0; i < NUM_NEURONS; i++) begin
      membrane_potential[i] <= '0; spikes[i] <= 0;
    end else if (enable) for (int i = 0; i < NUM_NEURONS; i++) begin
      spikes[i] <= membrane_potential[i] + current_in[i] >= threshold;
      membrane_potential[i] <= membrane_potential[i] + 12'(i);
    end
endmodule
"""

AER = """module crossbar(input CLK, input RST, input SCK, input MOSI, input [7:0] AERIN_ADDR,
  input AERIN_REQ, output reg AERIN_ACK, output reg [7:0] AEROUT_ADDR, output reg AEROUT_REQ,
  input AEROUT_ACK);
  reg signed [15:0] mem [0:255];
  reg [7:0] sh;
  always @(posedge SCK) sh <= {sh[6:0], MOSI};
  always @(posedge CLK, posedge RST)
    if (RST) begin AERIN_ACK <= 0; AEROUT_REQ <= 0; end
    else begin AERIN_ACK <= AERIN_REQ; mem[AERIN_ADDR] <= mem[AERIN_ADDR] + sh;
      AEROUT_REQ <= mem[AERIN_ADDR] > 100 && !AEROUT_ACK; AEROUT_ADDR <= AERIN_ADDR; end
endmodule
"""


def test_init_found_in_the_wild(checks, folder):
    """An array with unpacked ports steps as guessed; a crossbar with AER and SPI is left open."""
    # A fixed place lets the cache serve the next run.
    kept = pathlib.Path(tool.CACHE).parent / "cli-bring-up"
    kept.mkdir(parents=True, exist_ok=True)
    init(checks, kept, write(kept, "array.sv", ARRAY), "--force")
    done = tool.run("check", kept / "cosim.toml", "--neurons", 16, "--steps", 3, "--json", "--set",
                    "core.optimise=-O0")
    if checks.equal(done.status, 0, f"the guess steps: {done.err}"):
        # Each timestep is one clock, in which neuron i counts up by i.
        v = [s["fields"]["v"] for s in done.json()["timesteps"]]
        checks.equal([[b - a for a, b in zip(*pair)] for pair in zip(v, v[1:])],
                     [list(range(16))] * 2, "potentials")
        entries = tool.run("cache", "list", "--json").json()["entries"]
        checks.that(any(e["name"] == e["top"] == "snn_layer" for e in entries),
                    "the cache knows the core's name")
    (folder / "aer").mkdir()
    done = init(checks, folder / "aer", write(folder, "aer.v", AER))
    m = manifest_of(folder / "aer/cosim.toml")
    checks.equal((m["clock"], m["startup"][0]["reset"], m["startup"][0]["active"]),
                 ("CLK", "RST", "high"), "clock and reset beside a serial clock")
    checks.equal((m["timestep"]["kind"], m["timestep"]["quiet"]),
                 ("aer", ["AERIN_ACK", "AEROUT_REQ"]), "events without a start")
    checks.equal(m["input"], [{"req": "AERIN_REQ", "ack": "AERIN_ACK", "address": "AERIN_ADDR"}],
                 "events in, by request and acknowledge")
    checks.that({"field": "spike", "req": "AEROUT_REQ", "ack": "AEROUT_ACK", "counts": True,
                 "index": "AEROUT_ADDR"} in m["observe"], f"events out: {m['observe']}")
    for what in ("SCK and MOSI: .*serial", "what ends a timestep", "what says .* is idle"):
        checks.matches(done.out, f"^not guessed: {what}", "what is seen but cannot be said")
    checks.matches((folder / "aer/cosim.toml").read_text(), r"mem \(256 x 16 bits\)", "memories")


def test_init_errors(checks, folder):
    uart = write(folder, "uart.v", UART)
    done = tool.run("init", uart, "-o", folder / "u.toml")
    checks.equal(done.status, 2, "no neuron: exit code")
    checks.matches(done.err, "^error: uart_tx: nothing here looks like a spiking neuron: .*ports.*"
                   "--top.*--force", "no neuron")
    checks.that(not (folder / "u.toml").exists(), "no neuron: nothing is written")
    done = tool.run("init", uart, "-o", folder / "u.toml", "--force")
    checks.equal(done.status, 0, f"no neuron, forced: {done.err}")
    before = (folder / "u.toml").read_text()
    done = tool.run("init", TINY, "-o", folder / "u.toml")
    checks.equal(done.status, 2, "an existing manifest")
    checks.matches(done.err, "u.toml: exists already; --force overwrites it",
                   "an existing manifest")
    checks.equal((folder / "u.toml").read_text(), before, "an existing manifest is kept")
    done = tool.run("init", folder / "none.v")
    checks.matches(done.err, r"none\.v: no such source file", "no source")
    broken = write(folder, "broken.v", "module m(input a;\nendmodule\n")
    done = tool.run("init", broken, "-o", folder / "x.toml")
    checks.equal(done.status, 2, "a syntax error: exit code")
    checks.matches(done.err, r"^error: \S*broken\.v:1:\d+: verilator: syntax error",
                   "a syntax error")
    lost = write(folder, "lost.v", '`include "nowhere.vh"\nmodule m(input a); endmodule\n')
    done = tool.run("init", lost, "-o", folder / "x.toml")
    checks.matches(done.err, r"lost\.v:1:\d+: .*nowhere\.vh.*-I FOLDER", "a missing include file")
    done = tool.run("init", TINY, "-o", "-")
    checks.equal(done.status, 0, "to stdout")
    checks.equal(tomllib.loads(done.out)["clock"], "clk_i", "to stdout")


def test_signals(checks, folder):
    done = tool.run("signals", tool.TINY_CORE, "--json")
    checks.equal(done.status, 0, done.err)
    j = done.json()
    ports = {p["name"]: p for p in j["ports"]}
    checks.equal((ports["v_o"]["bits"], ports["v_o"]["kind"]), (64, "output"), "a port")
    inner = {p["name"]: p for p in j["signals"]}
    checks.equal((inner["v_q"]["bits"], inner["v_q"]["words"], inner["v_q"]["kind"],
                  inner["v_q"]["signed"]), (16, 4, "memory", True), "a memory")
    checks.matches(inner["v_q"]["where"], r"tiny_core\.sv:\d+$", "its place")
    line = int(inner["v_q"]["where"].rsplit(":", 1)[1])
    checks.that("v_q [4]" in TINY.read_text().splitlines()[line - 1], "its line")
    checks.equal([p["value"] for p in j["parameters"]], ["32'sh10"], "the parameter")
    wide = tool.run("signals", tool.TINY_CORE, "--json", "--set",
                    "core.parameters.VWidth=20").json()
    checks.equal([p["bits"] for p in wide["ports"] if p["name"] == "v_o"], [80],
                 "parameters are put in")
    checks.equal(len(tool.run("signals", tool.TINY_CORE, "v_*", "--json").json()["signals"]), 2,
                 "a pattern for whole names")
    text = tool.run("signals", tool.TINY_CORE, "SPK").out
    checks.matches(text, r"^spk_neuron_o +output +4 ", "a part of a name, in any case")
    checks.that("v_q" not in text, "others are left out")
    done = tool.run("signals", tool.TINY_CORE, "v_p")
    checks.equal(done.status, 2, "nothing matches: exit code")
    checks.matches(done.err, "none of the .* signals matches 'v_p'; did you mean",
                   "nothing matches")
    array = tool.run("signals", tool.ROOT / "examples/030_parallel_lif/cosim.toml", "v_q",
                     "--json").json()
    checks.equal([(s["name"], s["copies"]) for s in array["signals"]],
                 [("gen_neuron[{i}].u_neuron.v_q", 256)], "copies in a loop")
    checks.equal([(loop["name"], loop["first"], loop["count"]) for loop in array["loops"]],
                 [("gen_neuron", 0, 256)], "the loop")
    done = tool.run("signals", tool.TINY_CORE, "--set", "core.top=tinny")
    checks.equal(done.status, 2, "a wrong top: exit code")
    checks.matches(done.err, "verilator: .*tinny", "a wrong top")


def test_check(checks, folder):
    done = tool.run("check", tool.TINY_CORE, "--steps", 60, "--json")
    checks.equal(done.status, 0, done.err)
    steps = done.json()["timesteps"]
    checks.equal([s["timestep"] for s in steps], list(range(60)), "timesteps")
    # What check shows is what run records.
    record = folder / "t.h5"
    tool.run("run", tool.TINY_CORE, "--record", record, "--steps", 60)
    with h5py.File(record) as file:
        checks.equal([s["fields"]["v"] for s in steps], file["trace/fields/v"][:60].tolist(), "v")
        bits = file["trace/spike_bits"][:60, 0].tolist()
    checks.equal([sum(1 << n for n in s["spikes"]) for s in steps], bits, "spikes")
    checks.that(any(bits), "some fire")
    checks.that(all(s["clocks"] > 4 for s in steps), "clocks of a timestep")
    text = tool.run("check", tool.TINY_CORE)
    checks.matches(text.out, r"timestep 0: \d+ clocks since power-on.*v +16 bits", "text")
    checks.that("MATCH" not in text.out, "no verdict")

    manifest = (tool.COSIM / "cores/tiny_core.toml").read_text()
    manifest = re.sub(r"\[network\]\n(?:[^\n\[]+\n)*", "", manifest).replace(
        '"tiny_core.sv"', json.dumps(str(TINY)))
    bare = write(folder, "bare.toml", manifest)
    done = tool.run("check", bare)
    checks.equal(done.status, 0, done.err)
    checks.matches(done.out, "has all .* signals that are named.*--neurons N", "without network")
    done = tool.run("check", bare, "--neurons", 4, "--json")
    checks.equal(done.status, 0, done.err)
    checks.equal(done.json()["timesteps"][0]["fields"]["v"], [0, 0, 0, 0], "state after reset")
    checks.equal(done.json()["timesteps"][0]["spikes"], [], "nothing fires")
    wrong = write(folder, "wrong.toml", manifest.replace('"v_o[16*i +: 16]"', '"v_p[16*i +: 16]"'))
    done = tool.run("check", wrong, "--neurons", 4)
    checks.equal(done.status, 2, "a wrong signal: exit code")
    checks.matches(done.err, r"no signal 'v_p'; did you mean", "a wrong signal")


def test_cache(checks, folder):
    env = {"SPIKELOCK_CACHE": str(folder / "cache")}
    done = tool.run("cache", "list", env=env)
    checks.equal(done.status, 0, "an empty cache")
    checks.matches(done.out, "0 entries", "an empty cache")
    # Entries as a build leaves them.
    keys = ["0123456789abcdef" * 2, "fedcba9876543210" * 2]
    for key in keys:
        entry = folder / "cache/hosts" / key / ("ab" * 16)
        entry.mkdir(parents=True)
        (entry / "host").write_bytes(b"x" * 5000)
        (entry / "digest").write_text("0\n")
        (entry / "about").write_text("name my core\ntop the_top\n")
        (folder / "cache/hosts" / key / "lock").write_text("")
    foreign = folder / "cache/hosts/notes"
    foreign.mkdir()
    (foreign / "lock").write_text("keep me")
    os.utime(folder / "cache/hosts" / keys[1] / ("ab" * 16) / "digest", (0, 0))
    os.utime(folder / "cache/hosts" / keys[1], (0, 0))
    j = tool.run("cache", "list", "--json", env=env).json()
    checks.equal([e["key"] for e in j["entries"]], keys, "the newest first")
    checks.equal([(e["name"], e["top"], e["builds"]) for e in j["entries"]],
                 [("my core", "the_top", 1)] * 2, "what they hold")
    checks.that(all(5000 < e["bytes"] < 5100 for e in j["entries"]), "sizes")
    checks.matches(tool.run("cache", "list", env=env).out, r"my core \(the_top\) +5\.0 kB", "text")
    done = tool.run("cache", "clear", "--older-than", 30, "--json", env=env).json()
    checks.equal((done["removed"], done["kept_younger"]), (1, 1), "only old ones")
    checks.that((folder / "cache/hosts" / keys[0]).exists(), "the young one stays")
    with open(folder / "cache/hosts" / keys[0] / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        checks.equal(tool.run("cache", "list", "--json", env=env).json()["entries"][0]["building"],
                     True, "a build under way is told")
        done = tool.run("cache", "clear", "--json", env=env).json()
        checks.equal((done["removed"], done["kept_under_way"]), (0, 1), "a build under way stays")
    done = tool.run("cache", "clear", env=env)
    checks.matches(done.out, "removed 1 entries", "cleared")
    checks.equal(os.listdir(folder / "cache/hosts" / keys[0]), ["lock"],
                 "only the lock stays, for builds that wait for it")
    checks.matches(tool.run("cache", "list", env=env).out, "0 entries", "nothing is listed then")
    checks.equal((foreign / "lock").read_text(), "keep me", "what no build made stays")
    done = tool.run("cache", "clear", "--older-than", -1, env=env)
    checks.equal(done.status, 2, "a negative age")


def test_documented(checks, folder):
    text = (tool.ROOT / "docs/cli.md").read_text()
    verbs = re.findall(r"^  ([a-z]+) {2,}", tool.run("--help").out.split("Subcommands:", 1)[1]
                       .split("Exit codes", 1)[0], re.MULTILINE | re.IGNORECASE)
    checks.that(len(verbs) >= 11, f"the verbs are found in --help: {verbs}")
    for verb in verbs:
        checks.matches(text, rf"^## {verb}\b", f"'{verb}' has its section in docs/cli.md")
        options = set(re.findall(r"(--[a-z][a-z-]+)", tool.run(verb, "--help").out)) - {"--help"}
        section = re.split(rf"^## {verb}\b", text, flags=re.MULTILINE)
        if len(section) == 2:
            own = section[1].split("\n## ", 1)[0]
            for option in re.findall(r"`(--[a-z][a-z-]+)", own):
                checks.that(option in options or verb == "cache",
                            f"docs/cli.md names {option} of '{verb}', which has no such option")


def main():
    checks = tool.Checks()
    for test in (test_init_own_cores, test_init_without_names, test_init_styles,
                 test_init_found_in_the_wild, test_init_errors,
                 test_signals, test_check, test_cache, test_documented):
        folder = pathlib.Path(tempfile.mkdtemp())
        try:
            test(checks, folder)
        finally:
            shutil.rmtree(folder)
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mistakes that a new user makes. Each must end with exit code 2 and one line that starts with
`error: `, names the file and the position in it, and says what to do."""

import json
import os
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402

DIGITS = tool.ROOT / "examples/010_digits"


def tiny_folder(name):
    """A copy of the tiny core that a test may spoil."""
    folder = pathlib.Path(name)
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("tiny_core.sv", "tiny_core.toml", "tiny_core.json"):
        shutil.copy(tool.COSIM / "cores" / file, folder / file)
    return folder


def line_of(file, text):
    lines = pathlib.Path(file).read_text().splitlines()
    return next(k for k, line in enumerate(lines, 1) if text in line)


def spoil(folder, old, new, file="tiny_core.toml"):
    """Replaces a text once; returns the line where it stands."""
    text = (folder / file).read_text()
    assert text.count(old) >= 1, old
    (folder / file).write_text(text.replace(old, new, 1))
    return line_of(folder / file, new.splitlines()[0])


class Errors:
    def __init__(self, checks):
        self.checks = checks

    def expect(self, what, pattern, *arguments, env=None, cwd=None):
        """One error line that a pattern matches; {f} stands for any folder."""
        done = tool.run(*arguments, env=env, cwd=cwd)
        self.checks.equal(done.status, 2, f"{what}: exit code; {done.err}{done.out}")
        self.checks.equal(done.out, "", f"{what}: results")
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        if self.checks.equal(len(errors), 1, f"{what}: lines with an error in\n{done.err}"):
            self.checks.matches(errors[0], "^error: " + pattern.replace("{f}", r"\S*?") + "$", what)
        self.checks.that("terminate" not in done.err and "Traceback" not in done.err, what)


def manifests(e):
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_folder(name)
        e.expect("no manifest", r"{f}none\.toml: cannot open: No such file or directory; expected "
                 r"a core manifest \(cosim\.toml\)", "run", folder / "none.toml")
        e.expect("a folder",
                 r"{f}: is a folder; expected a core manifest, e\.g\. cosim\.toml in it",
                 "run", folder)
        (folder / "broken.toml").write_text("clock = \"clk_i\"\n[core\ntop = 1\n")
        e.expect("no TOML", r"{f}broken\.toml:2:\d+: .+", "run", folder / "broken.toml")

    for old, new, pattern in (
            ("limit_clocks =", "limit_clock =",
             r"unknown key 'limit_clock' in \[timestep\]; did you mean 'limit_clocks' or .*\?"),
            ("[timestep]", "[timesteps]",
             r"missing section \[timestep\].*|unknown key 'timesteps'; did you mean 'timestep'\?"),
            ("limit_clocks = 1000", "limit_clocks = \"many\"",
             r"timestep\.limit_clocks: expected an integer, got string"),
            ("limit_clocks = 1000", "limit_clocks = -3",
             r"timestep\.limit_clocks: expected 1\.\.\d+, got -3"),
            ("kind = \"handshake\"", "kind = \"handshak\"",
             r"timestep\.kind: expected one of 'handshake', 'clocked', 'aer', 'custom', got "
             r"'handshak'; did you mean 'handshake'\?"),
            ("done = \"done_o\"", "done = \"done_o &&\"",
             r"timestep\.done: .*column 1?\d.*|timestep\.done:\d+: .*"),
            ("sources = [\"tiny_core.sv\"]", "sources = [\"tiny_cor.sv\"]",
             r"core\.sources: no such file: {f}tiny_cor\.sv"),
            ("json = \"tiny_core.json\"", "json = \"none.json\"",
             r"network\.json: no such file: {f}none\.json"),
            ("kind = \"poisson\"", "kind = \"events\"\nfile = \"none.csv\"",
             r"stimulus\.file: no such file: {f}none\.csv"),
            ("json = \"tiny_core.json\"", "json = \".\"",
             r"network\.json: expected a file, this is a folder: {f}"),
            ("field = \"v\"", "field = \"w\"", None),
    ):
        with tempfile.TemporaryDirectory() as name:
            folder = tiny_folder(name)
            line = spoil(folder, old, new)
            if pattern is None:
                e.expect("unknown field", r"{f}tiny_core\.toml:\d+: \[\[observe\]\]: unknown field "
                         r"'w'.*", "run", folder / "tiny_core.toml", "--no-record")
                continue
            if "kind = \"events\"" in new:
                line += 1
            where = rf"{{f}}tiny_core\.toml(:{line}(:\d+)?)?: "
            e.expect(new.splitlines()[-1], where + f"({pattern})", "run",
                     folder / "tiny_core.toml", "--no-record")


def network_and_stimulus(e):
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_folder(name)
        manifest = folder / "tiny_core.toml"
        net = json.loads((folder / "tiny_core.json").read_text())

        net["arithmetic"]["v_bits"] = 12
        (folder / "narrow.json").write_text(json.dumps(net))
        line = line_of(manifest, "value = \"v_o[16*i +: 16]\"") - 2
        e.expect("width of v", rf"{{f}}tiny_core\.toml:{line}(: \S+)?: 'v_o\[16\*i \+: 16\]' is 16 "
                 r"bits wide, but the golden's v has 12 bits; give both the same width: in "
                 r"\[network\.quantise\], the network's JSON or \[golden\]",
                 "run", manifest, "--no-record", "--set", "network.json=narrow.json")

        net["arithmetic"]["v_bits"] = 16
        net["synapses"][2][0] = 77
        (folder / "target.json").write_text(json.dumps(net))
        e.expect("a synapse to nowhere", r"{f}target\.json(: |:).*77.*", "run", manifest,
                 "--no-record", "--set", "network.json=target.json")
        (folder / "cut.json").write_text(json.dumps(net)[:200])
        e.expect("half a network", r"{f}cut\.json.*", "run", manifest, "--no-record",
                 "--set", "network.json=cut.json")

        (folder / "events.csv").write_text("timestep,axon\n0,1\n1,4\n")
        e.expect("an axon that is not there", r".*axon.*4.*", "run", manifest, "--no-record",
                 "--set", "stimulus.kind=events", "--set", "stimulus.file=events.csv")
        (folder / "events.csv").write_text("timestep,axon\n0,1\n1,two\n")
        e.expect("an axon that is no number", r"{f}events\.csv:3:3: .*'two'.*", "run", manifest,
                 "--no-record", "--set", "stimulus.kind=events", "--set",
                 "stimulus.file=events.csv")
        e.expect("a second sample that nothing clears",
                 r"{f}tiny_core\.toml: the sample at timestep 200 starts with state 'clear', but "
                 r"the manifest does not say how to bring the core there; give "
                 r"\[\[state\.clear\]\] "
                 r"entries, or start = \"keep\" in \[stimulus\]",
                 "run", manifest, "--no-record", "--set", "stimulus.sample_steps=200")

        # A node of a type that nothing here computes.
        shutil.copy(DIGITS / "digits.nir", folder / "odd.nir")
        with h5py.File(folder / "odd.nir", "r+") as file:
            node = file["node/nodes/hidden"]
            del node["type"]
            node["type"] = "HodgkinHuxley"
        spoil(folder, "json = \"tiny_core.json\"", "nir = \"odd.nir\"")
        e.expect("an unsupported NIR node", r"{f}odd\.nir:.*hidden.*HodgkinHuxley.*", "run",
                 manifest, "--no-record")
        (folder / "odd.nir").write_text("no HDF5")
        e.expect("no NIR file", r"{f}odd\.nir: .*", "run", manifest, "--no-record")


def sources_and_signals(e):
    with tempfile.TemporaryDirectory() as cache:
        sources(e, {"SPIKELOCK_CACHE": cache})
    signals(e)


def sources(e, env):
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_folder(name)
        line = spoil(folder, "assign last       = n_q == 3'd3;", "assign last       = n_q == 3'd3",
                     "tiny_core.sv") + 1
        e.expect("a syntax error",
                 rf"{{f}}tiny_core\.sv:{line}:\d+: verilator: syntax error, .* \(log: \S+\)",
                 "build", folder / "tiny_core.toml", env=env)
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_folder(name)
        line = spoil(folder, "assign last       = n_q", "assign last       = m_q", "tiny_core.sv")
        e.expect("an undeclared name",
                 rf"{{f}}tiny_core\.sv:{line}:\d+: verilator: .*'m_q'.*", "build",
                 folder / "tiny_core.toml", env=env)
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_folder(name)
        spoil(folder, "top = \"tiny_core\"", "top = \"tinny_core\"")
        e.expect("a wrong top", r"{f}tiny_core\.toml: \[core\]: verilator: .*tinny_core.*", "build",
                 folder / "tiny_core.toml", env=env)
        e.expect("a parameter that the top lacks",
                 r"{f}tiny_core\.toml: \[core\]: verilator: .*Width.*", "build",
                 folder / "tiny_core.toml", "--set", "core.top=tiny_core", "--set",
                 "core.parameters.Width=16", env=env)


def signals(e):
    # These are found only in the built core. A fixed place lets the cache serve the next run.
    kept = pathlib.Path(tool.CACHE).parent / "cli-errors"
    folder = tiny_folder(kept / "signal")
    line = spoil(folder, "start = \"tick_i\"", "start = \"tick\"")
    e.expect("a wrong signal",
             rf"{{f}}tiny_core\.toml:{line}: start: the core has no signal "
             r"'tick'; did you mean 'tick_i'\?", "run", folder / "tiny_core.toml",
             "--no-record", "--set", "core.optimise=-O0")
    folder = tiny_folder(kept / "map")
    line = spoil(folder, "[timestep]", """[[map]]
array = "neuron"
memory = "v_q"
word = "n + 1"
width = 16
value = "0"

[[startup]]
load = "maps"

[timestep]""")
    e.expect("a map beyond the memory", rf"{{f}}tiny_core\.toml:{line}: \[\[map\]\]: the map of "
             r"'neuron' needs 5 words of 'v_q' \(neuron 3\), which has 4; a smaller network, or a "
             r"core built with a larger memory\?", "run", folder / "tiny_core.toml",
             "--no-record", "--set", "core.optimise=-O0")
    # Loaded through a port, what lies beyond reads back as something else.
    neurons, axons, synapses = tool.SIZES["narrow"][:3]
    words = dict(zip(("v_bits", "u_bits", "acc_bits", "weight_bits", "leak_frac", "refr_bits",
                      "delay_slots"), tool.SIZES["narrow"][3:]))
    rows = [[] for _ in range(axons + neurons)]
    for k in range(synapses + 60):
        rows[k % axons].append([k % neurons, 1 + k % 7, 0])
    begin = [0]
    for row in rows:
        begin.append(begin[-1] + len(row))
    net = {"name": "large", "dt": 0.001, "arithmetic": words | {
        "v_frac": 0, "leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 0,
        "compare": 0, "reset_mode": 0, "weight_shift": 0, "u_shift": 0},
           "ports": [{"label": "in", "begin": 0, "end": axons}],
           "populations": [{"label": "all", "begin": 0, "end": neurons}],
           "neurons": [{"threshold": 100, "v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0,
                        "refractory": 0, "spiking": True, "cuba": False}] * neurons,
           "row_begin": begin, "synapses": [s for row in rows for s in row]}
    with tempfile.TemporaryDirectory() as name:
        file = pathlib.Path(name) / "large.json"
        file.write_text(json.dumps(net))
        # An assertion of the core's own speaks first; what it means for the user is said.
        done = tool.run("run", tool.SNN_CORE, *tool.size_options("narrow"), "--no-record", "--set",
                        f"network.json={file}", "--set", "stimulus.steps=10")
        e.checks.equal(done.status, 4, "more synapses than the core holds: exit code")
        e.checks.matches(done.out,
                         r"^ASSERTED: .*while the network was loaded \(is a memory of the "
                         r"core too small, or its address map another one\?\): \[\d+\] %Error: "
                         r"config_port\.sv:\d+: Assertion failed in \S+ConfigWriteInMap[^\n]* "
                         r"\(and "
                         r"\d+ more\)", "more synapses than the core holds")


def environment(e):
    with tempfile.TemporaryDirectory() as name:
        e.expect("no Verilator",
                 r"verilator: cannot run 'verilator --version'; Verilator 5\.006 or "
                 r"newer is needed: apt-get install verilator", "run", tool.TINY_CORE,
                 "--no-record", env={"PATH": name})
        for program in ("verilator",):
            os.symlink(shutil.which(program), f"{name}/{program}")
        os.symlink("/usr/bin/perl", f"{name}/perl")
        e.expect("no C++ compiler", r"clang\+\+: no C\+\+ compiler for the core: apt-get install "
                 r"clang \(or g\+\+\)", "run", tool.TINY_CORE, "--no-record", env={"PATH": name})
        blocked = pathlib.Path(name) / "file"
        blocked.write_text("")
        e.expect("a trace that cannot be written", r"{f}file/t\.h5: .*; choose another.* --record "
                 r"FILE, or --no-record", "run", tool.TINY_CORE, "--record", blocked / "t.h5")
        e.expect("a trace in a folder that takes none",
                 r"/proc/t\.h5\S*: .*; choose another.* --record "
                 r"FILE, or --no-record", "run", tool.TINY_CORE, "--record", "/proc/t.h5")
        e.expect("a cache that cannot be written",
                 r"{f}file/\S+: cannot create the build cache: .+",
                 "run", tool.TINY_CORE, "--no-record", env={"SPIKELOCK_CACHE": str(blocked)})


def arguments(e):
    e.expect("an unknown verb", r"unknown verb 'rnu'; did you mean 'run'\?", "rnu", "x.toml")
    e.expect("an unknown option", r"unknown option '--stpes'; did you mean '--steps' or .*",
             "run", "x.toml", "--stpes=3")
    e.expect("an override of an entry",
             r"--set observe\.field=u: 'observe' has several entries, .*", "run",
             tool.TINY_CORE, "--set", "observe.field=u")
    e.expect("an override of the wrong type", r"--set stimulus\.steps=abc: stimulus\.steps: "
             r"expected an integer, got string", "run", tool.TINY_CORE, "--set",
             "stimulus.steps=abc")
    # Before anything is built: there is no Verilator.
    nothing = {"PATH": "/nowhere"}
    e.expect("an unknown population of answers",
             r"{f}tiny_core\.toml: \[answer\]: no population 'nobody'", "run", tool.TINY_CORE,
             "--set", "answer.population=nobody", "--no-record", env=nothing)
    e.expect("a list of the wrong length", r"{f}tiny_core\.toml:\d+: golden\.leak\.amount: has 2 "
             r"numbers, expected \d+: one for each neuron", "run", tool.TINY_CORE, "--set",
             "golden.leak.amount=[1,2]", "--no-record", env=nothing)
    e.expect("a negative number of timesteps",
             r"--steps: expected a number from 0, got '-5'", "run", "x.toml", "--steps", "-5")
    e.expect("a seed below 0", r"--seed: expected a number from 0, got '-1'", "run",
             "x.toml", "--seed", "-1")
    e.expect("an unknown fault", r"{f}faults\.toml: no fault 'threshold-compar'; did you mean "
             r"'threshold-compare'.*", "run", tool.SNN_CORE, "--fault", "threshold-compar")
    e.expect("a core without faults", r"{f}tiny_core\.toml: this core has no injected faults \(key "
             r"core\.faults\)", "run", tool.TINY_CORE, "--fault", "threshold-compare")
    e.expect("an unknown kernel", r".*'sse9'.*", "run", tool.TINY_CORE, "--kernel", "sse9",
             "--no-record")
    e.expect("an unknown field", r".*'w'.*", "run", tool.TINY_CORE, "--fields", "w",
             "--no-record")
    e.expect("a mask without field", r"--mask :3: no field named; expected .*", "run",
             tool.TINY_CORE, "--mask", ":3", "--no-record")
    e.expect("an override without value", r"--set nothing: expected key\.path=value", "run",
             tool.TINY_CORE, "--set", "nothing")
    e.expect("a misspelt override", r"{f}tiny_core\.toml: unknown key 'stpes' in \[stimulus\]; did "
             r"you mean 'steps'.*", "run", tool.TINY_CORE, "--set", "stimulus.stpes=3")
    e.expect("no manifest named", r".*manifest.*", "run")
    e.expect("no trace", r"{f}none\.h5: .*", "diff", "none.h5", "none.h5")
    e.expect("nothing to show", r"{f}none\.h5: .*", "show", "none.h5")
    e.expect("what is no trace", r"{f}tiny_core\.toml: .*", "show", tool.TINY_CORE)


def main():
    checks = tool.Checks()
    e = Errors(checks)
    for group in (arguments, manifests, network_and_stimulus, environment, sources_and_signals):
        group(e)
    checks.finish()


if __name__ == "__main__":
    main()

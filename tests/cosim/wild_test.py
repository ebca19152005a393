#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What cores of other people taught: an unsigned potential, a reset state that is not at rest,
values wider than their port, memory files that are missing, text parameters. The core is
cores/unsigned_core.sv."""

import json
import pathlib
import tempfile

import tool

MANIFEST = """clock = "clk"
[core]
top = "unsigned_core"
sources = ["{core}"]
lint = false
optimise = "-O0"
{parameters}
[network]
json = "net.json"
[golden]
v.signed = false
v.overflow = "saturate"
v.init = 7
leak.kind = "none"
threshold.value = 200
[stimulus]
kind = "current"
current = 20
noise = 20
steps = 5000
sample_steps = 1000
[[startup]]
set = "thresh"
value = 200
[[startup]]
set = "offset"
value = {offset}
[[startup]]
reset = "rst_n"
[[state.clear]]
reset = "rst_n"
clocks = 1
[timestep]
kind = "clocked"
[[side_band]]
name = "i_in"
target = "current"
{side_band}
[[observe]]
field = "v"
value = "v"
{observe}
[[observe]]
field = "spike"
value = "spike"
"""


def network(bias):
    neuron = {"threshold": 100, "v_reset": 0, "bias": bias, "leak": 0, "u_decay": 0,
              "refractory": 0, "spiking": True, "cuba": False}
    return {"name": "unsigned", "dt": 0.001,
            "arithmetic": {"v_bits": 8, "u_bits": 8, "acc_bits": 10, "weight_bits": 8,
                           "leak_frac": 8, "refr_bits": 3, "delay_slots": 2, "v_frac": 0,
                           "leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 1,
                           "compare": 0, "reset_mode": 0, "weight_shift": 0, "u_shift": 0},
            "ports": [], "populations": [{"label": "all", "begin": 0, "end": 1}],
            "neurons": [neuron], "row_begin": [0, 0], "synapses": []}


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        core = tool.COSIM / "cores/unsigned_core.sv"
        (folder / "net.json").write_text(json.dumps(network(3)))
        (folder / "less.json").write_text(json.dumps(network(1)))
        two = network(3)
        two["populations"][0]["end"] = 2
        two["neurons"] *= 2
        two["row_begin"] = [0, 0, 0]
        (folder / "two.json").write_text(json.dumps(two))

        def manifest(parameters="", offset=0, side_band="", observe=""):
            text = MANIFEST.format(core=core, parameters=parameters, offset=offset,
                                   side_band=side_band, observe=observe)
            (folder / "m.toml").write_text(text)
            return folder / "m.toml"

        def run(path, *arguments):
            return tool.run("run", path, "--no-record", "--json", *arguments)

        # Unsigned, from the first clock after the reset on, in each sample.
        for side_band in ("", "signed = false"):
            done = run(manifest(side_band=side_band))
            if checks.equal(done.status, 0, f"unsigned: {done.out} {done.err}"):
                told = done.json()
                checks.equal(told["values_compared"], 2 * 5000, "values")
                checks.that(told["spikes_expected"] > 300, "spikes")
        # A negative number for a signed port; the bias is then 1.
        done = run(manifest(offset=-2), "--set", "network.json=less.json")
        checks.equal(done.status, 0, f"a negative start-up value: {done.out} {done.err}")
        done = tool.run("fit", manifest(), "--steps", 1000)
        checks.equal(done.status, 0, f"fit: {done.out} {done.err}")
        checks.matches(done.out, r"^EXPLAINED: .*the manifest's own", "fit")

        for what, changes, arguments, pattern in (
                ("a value wider than its port", {"offset": 8}, (), None),
                ("one more", {"offset": 16}, (),
                 r"m\.toml:\d+: value = 16 does not fit in the 4 bits of 'offset'"),
                ("one less", {"offset": -9}, (),
                 r"m\.toml:\d+: value = -9 does not fit in the 4 bits of 'offset'"),
                ("negative currents", {"side_band": "signed = false"},
                 ("--set", "stimulus.noise=30"),
                 r"m\.toml:\d+: \[\[side_band\]\]: the currents go from -\d+ to \d+, which the 8 "
                 r"unsigned bits of the port do not hold"),
                ("large currents", {"side_band": "signed = true"},
                 ("--set", "stimulus.current=120"), r"8 signed bits of the port do not hold"),
                ("currents of both kinds", {},
                 ("--set", "stimulus.current=60", "--set", "stimulus.noise=80"),
                 r"8 bits of the port hold neither signed nor unsigned"),
                ("one signal for two neurons", {},
                 ("--set", "network.json=two.json"),
                 r"m\.toml:\d+: 'v' is the same for each of 2 neurons; 'i' in it stands for the "
                 r"neuron"),
                ("the other sign", {"observe": "signed = true"}, (),
                 r"m\.toml:\d+: signed = true, but the golden's v is unsigned; \[golden\] says "
                 r"which, by v\.signed")):
            done = run(manifest(**changes), *arguments)
            if pattern is None:
                checks.that(done.status != 2, f"{what}: {done.err}")
                continue
            checks.equal(done.status, 2, f"{what}: {done.out}")
            checks.matches(done.err, pattern, what)

        # Text needs no quotes within quotes, and a file that is not there is told at once.
        path = manifest(parameters='[core.parameters]\nTABLE = "nowhere.hex"')
        for verb in (("run", "--no-record", "-q"), ("check", "-q")):
            done = tool.run(verb[0], path, *verb[1:])
            checks.equal(done.status, 0, f"{verb[0]}: {done.err}")
            checks.matches(done.err, r"^warning: the core: %Warning: nowhere\.hex:0: \$readmem "
                           "file not found", verb[0])
        (folder / "there.hex").write_text("1\n2\n3\n4\n")
        path = manifest(parameters=f'[core.parameters]\nTABLE = "{folder}/there.hex"')
        done = tool.run("check", path, "-q")
        checks.equal((done.status, done.err), (0, ""), "a file that is there")

        # A run without a spike says so.
        done = tool.run("run", manifest(), "--no-record", "--steps", 2)
        checks.matches(done.out, "^no neuron fired: nothing was compared of thresholds", "no spike")
    checks.finish()


if __name__ == "__main__":
    main()

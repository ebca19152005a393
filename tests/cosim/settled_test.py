#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the host does not compute again, and what it must: the logic behind inputs that have not
changed, falling edges, latches, a clock in that logic, edges of inputs, and what follows from a
memory that was loaded by the back door. The core is cores/settled_core.sv."""

import json
import pathlib
import re
import tempfile

import tool

MANIFEST = """
clock = "clk"
[core]
top = "settled_core"
sources = ["{sources}"]
lint = false
optimise = "-O0"
[network]
json = "net.json"
[stimulus]
kind = "current"
current = 40
noise = 60
steps = 4000
start = "keep"
[[startup]]
set = "enable"
value = 1
[[startup]]
reset = "rst"
active = "high"
[[startup]]
load = "maps"
[[map]]
array = "neuron"
memory = "threshold"
word = "n"
width = 16
value = "threshold"
[timestep]
kind = "clocked"
clocks = 1
[[side_band]]
name = "i_in"
target = "current[16*i +: 16]"
[[observe]]
field = "v"
value = "v[i]"
[[observe]]
field = "spike"
value = "spikes[i]"
"""


def network():
    neuron = {"v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0, "refractory": 0, "spiking": True,
              "cuba": False}
    return {"name": "settled", "dt": 0.001,
            "arithmetic": {"v_bits": 16, "u_bits": 16, "acc_bits": 16, "weight_bits": 8,
                           "leak_frac": 8, "refr_bits": 3, "delay_slots": 2, "v_frac": 0,
                           "leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 1,
                           "compare": 0, "reset_mode": 0, "weight_shift": 0, "u_shift": 0},
            "ports": [], "populations": [{"label": "all", "begin": 0, "end": 4}],
            "neurons": [{**neuron, "threshold": t} for t in (300, 411, 522, 733)],
            "row_begin": [0] * 5, "synapses": []}


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/net.json", "w", encoding="utf-8") as out:
            json.dump(network(), out)
        core = tool.COSIM / "cores/settled_core.sv"
        manifest = MANIFEST.format(sources=core)
        pathlib.Path(f"{folder}/clk.toml").write_text(manifest, encoding="utf-8")
        # A clock whose name the model's class has for itself.
        text = re.sub(r"\bclk\b", "step", core.read_text(encoding="utf-8"))
        pathlib.Path(f"{folder}/step.sv").write_text(text, encoding="utf-8")
        manifest = MANIFEST.format(sources="step.sv").replace('"clk"', '"step"')
        pathlib.Path(f"{folder}/step.toml").write_text(manifest, encoding="utf-8")
        # With all evals the first need only be shown to be right.
        runs = [("clk", 0, "true"), ("clk", 0, "false"), ("clk", 1, "false"), ("clk", 2, "false"),
                ("clk", 3, "false"), ("clk", 4, "false"), ("step", 0, "false"),
                ("step", 1, "false")]
        for clock, kind, plain in runs:
            what = f"{clock}, KIND {kind}, plain_eval {plain}"
            done = tool.run("run", f"{folder}/{clock}.toml", "--no-record", "--json", "--set",
                            f"core.parameters.KIND={kind}", "--set",
                            f"core.plain_eval={plain}")
            if not checks.equal(done.status, 0, f"{what}: exit code; {done.out} {done.err}"):
                continue
            told = done.json()
            checks.equal(told["verdict"], "MATCH", what)
            checks.equal(told["values_compared"], 4000 * 4 * 2, f"{what}: values")
            checks.that(told["spikes_actual"] > 500, f"{what}: spikes")
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock fit` finds out what each LIF core under examples/ computes, from the arithmetic that
is the default and without [golden]: what it reports contains the description that the core was
written from. A core that no description fits is said to be one.

    fit_test.py [NAME...]
"""

import json
import pathlib
import re
import shutil
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

NAMES = ("030_parallel_lif", "050_parallel_q88", "060_event_crossbar", "070_banked_serial",
         "090_lfsr_lif", "100_verilog_2001")
LIMIT_S = 120
CODES = {"leak_mode": ("shift", "multiply"),
         "rounding": ("floor", "toward_zero", "away_from_zero", "nearest_even"),
         "v_overflow": ("wrap", "saturate"), "acc_overflow": ("wrap", "saturate"),
         "compare": (">=", ">"), "reset_mode": ("value", "subtract")}
DEFAULT = {"leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 0, "compare": 0,
           "reset_mode": 0, "weight_shift": 0, "u_shift": 0}
# What a key of [golden] is without a line for it, of those that the examples' manifests set.
GOLDEN = {"semantics": "timestep", "leak.kind": "shift", "leak.past": "stop",
          "leak.rounding": "floor", "event.fifo_depth": 0, "event.output": "fired"}
NOISE = {"bits": 16, "form": "fibonacci", "direction": "left", "xnor": False, "seed": 1,
         "shifts": 1, "advance": "timestep", "read": "after", "lsb": 0, "width": 1,
         "signed": False, "offset": 0, "shift": 0, "use": "v", "seed_on_clear": False}


def shown(option, value):
    return CODES[option][value] if option in CODES else str(value)


def flat(table, prefix=""):
    """A table with dotted keys; of noise, a list that can be compared."""
    keys = {}
    for key, value in table.items():
        if key == "noise":
            keys[key] = sorted(repr(sorted({**NOISE, **n}.items())) for n in value)
        elif isinstance(value, dict):
            keys.update(flat(value, f"{prefix}{key}."))
        else:
            keys[prefix + key] = value
    return keys


def without_description(name, folder):
    """The example with arithmetic that is the default and no [golden]; what it was."""
    source = ROOT / "examples" / name
    text = (source / "cosim.toml").read_text().replace("../../", f"{ROOT}/")
    golden = flat(tomllib.loads(text).get("golden", {}))
    sections = [s for s in re.split(r"\n(?=\[)", text) if not re.match(r"\[\[?golden\b", s)]
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    (folder / "cosim.toml").write_text("\n".join(sections))
    network = json.loads((source / "network.json").read_text())
    true = dict(network["arithmetic"])
    network["arithmetic"].update(DEFAULT)  # widths stay: the observed signals have them
    (folder / "network.json").write_text(json.dumps(network))
    return true, golden


def missing(explanation, unused, true, golden):
    """Options whose true value an explanation does not have."""
    values = {o: {shown(o, DEFAULT[o])} for o in DEFAULT}
    values.update({c["option"]: {c["to"]} for c in explanation["changes"]})
    for apart in explanation["not_told_apart"]:
        values.setdefault(apart["option"], set()).update([apart["value"], *apart["others"]])
    lacks = [o for o in DEFAULT if shown(o, true[o]) not in values[o] and o not in unused]
    lines = {}
    for text in explanation["golden"]:
        lines.update(flat(tomllib.loads(text)))
    for key in {*golden, *lines}:
        want = golden.get(key, GOLDEN.get(key))
        if lines.get(key, GOLDEN.get(key)) != want and str(want) not in values.get(key, ()):
            lacks.append(key)
    return lacks


def test(checks, name, folder):
    true, golden = without_description(name, folder)
    manifest = folder / "cosim.toml"
    faults = ["--set", 'core.defines=["FAULTS"]'] if (folder / "faults.toml").exists() else []
    # Builds the core, unless another test has.
    tool.run("fit", manifest, *faults, "--steps", 16, "--limit-s", 1, "--json")
    began = time.monotonic()
    done = tool.run("fit", manifest, *faults, "--json")
    seconds = time.monotonic() - began
    if not checks.equal(done.status, 0, f"{name}: {done.err} {done.out[:2000]}"):
        return
    j = done.json()
    checks.that(seconds < LIMIT_S and j["complete"], f"{name}: {seconds:.1f} s")
    lacks = [missing(e, j["unused"], true, golden) for e in j["explanations"]]
    checks.that([] in lacks, f"{name}: no explanation has the true value of {lacks}")
    changed = [f"{o} {shown(o, true[o])}" for o in DEFAULT if true[o] != DEFAULT[o]]
    print(f"{name:<20} {', '.join([*changed, *golden])}: found in {seconds:.1f} s, "
          f"{len(j['explanations'])} explanations, {j['tried']} descriptions tried")


def test_none(checks, folder):
    """One neuron of 100 clips its potential at 0, the others do not: no description is that."""
    without_description("100_verilog_2001", folder)
    done = tool.run("fit", folder / "cosim.toml", "--fault", "negative-clipped", "--limit-s", 4,
                    "--json")
    if not checks.equal(done.status, 1, f"no description: {done.err} {done.out[:2000]}"):
        return
    j = done.json()
    checks.equal(j["explanations"], [], "no description")
    best = j["best"][0]
    checks.that(0 < best["updates"] < j["updates"], "how far the best gets")
    checks.equal(best["divergence"]["neuron"], 13, "where the best parts")
    checks.equal(j["divergence"]["neuron"], 13, "the report of it")
    checks.that({"option": "compare", "from": ">=", "to": ">"} in best["changes"],
                f"the best has what the other neurons do: {best['changes']}")
    checks.that(0.99 < best["predicted"] / best["judged"] < 1, "how much the best predicts")
    print(j["headline"])


def main():
    checks = tool.Checks()
    for name in sys.argv[1:] or (*NAMES, "none"):
        with tempfile.TemporaryDirectory() as folder:
            if name == "none":
                test_none(checks, pathlib.Path(folder))
            else:
                test(checks, name, pathlib.Path(folder))
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock fit` finds out what each LIF core under examples/ computes, from the arithmetic that
is the default: what it reports contains the description that the core was written from.

    fit_test.py [NAME...]
"""

import json
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

NAMES = ("050_parallel_q88", "070_banked_serial", "100_verilog_2001")
LIMIT_S = 120
CODES = {"leak_mode": ("shift", "multiply"),
         "rounding": ("floor", "toward_zero", "away_from_zero", "nearest_even"),
         "v_overflow": ("wrap", "saturate"), "acc_overflow": ("wrap", "saturate"),
         "compare": (">=", ">"), "reset_mode": ("value", "subtract")}
DEFAULT = {"leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 0, "compare": 0,
           "reset_mode": 0, "weight_shift": 0, "u_shift": 0}


def shown(option, value):
    return CODES[option][value] if option in CODES else str(value)


def test(checks, name, folder):
    network = json.loads((ROOT / "examples" / name / "network.json").read_text())
    true = network["arithmetic"]
    network["arithmetic"] = {**true, **DEFAULT}  # widths stay: the observed signals have them
    changed = [option for option in DEFAULT if true[option] != DEFAULT[option]]
    checks.that(changed, f"{name}: computes otherwise than by default")
    file = folder / "network.json"
    file.write_text(json.dumps(network))
    manifest = ROOT / "examples" / name / "cosim.toml"
    options = ["--set", f"network.json={file}", "--set", 'core.defines=["FAULTS"]', "--json"]
    done = tool.run("fit", manifest, *options)  # builds the core, unless another test has
    began = time.monotonic()
    done = tool.run("fit", manifest, *options)
    seconds = time.monotonic() - began
    if not checks.equal(done.status, 0, f"{name}: {done.err}"):
        return
    j = done.json()
    checks.that(seconds < LIMIT_S and j["complete"], f"{name}: {seconds:.1f} s")

    def missing(explanation):
        """Options whose true value the explanation does not have."""
        values = {o: {shown(o, DEFAULT[o])} for o in DEFAULT}
        values.update({c["option"]: {c["to"]} for c in explanation["changes"]})
        for apart in explanation["not_told_apart"]:
            values.setdefault(apart["option"], set()).update([apart["value"], *apart["others"]])
        return [o for o in DEFAULT if shown(o, true[o]) not in values[o] and o not in j["unused"]]

    lacks = [missing(e) for e in j["explanations"]]
    checks.that([] in lacks, f"{name}: no explanation has the true value of {lacks}")
    print(f"{name:<20} {', '.join(changed)}: found in {seconds:.1f} s, "
          f"{len(j['explanations'])} explanations, {j['tried']} descriptions tried")


def main():
    checks = tool.Checks()
    for name in sys.argv[1:] or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            test(checks, name, pathlib.Path(folder))
    checks.finish()


if __name__ == "__main__":
    main()

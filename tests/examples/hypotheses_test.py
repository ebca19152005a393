#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock run` on injected faults of the cores under examples/ that are another value of an
option or of a parameter: among the first hypotheses about the divergence is that value.

    hypotheses_test.py [NAME...]
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

FIRST = 3
# Fault: what the id of one of the first hypotheses looks like, settings.
FAULTS = {
    "050_parallel_q88": {
        "leak-rounds-down": (r"rounding.*floor",),
        "threshold-equal": (r"compare.*(greater_equal|>=)",),
        "reset-to-zero": (r"reset.*(value|zero)",),
        "sum-wraps": (r"overflow.*wrap", "stimulus.current=0", "stimulus.noise=32000"),
        "refractory-short": (r"refractory.*(minus_one|=-1)",),
        "refractory-leaks": (r"refractory.*(leaks|=drop)",),
    },
    "060_event_crossbar": {
        "threshold-above": (r"compare=>$",),
        "leak-misses-last": (r"^leak\.missing$",),
    },
    "070_banked_serial": {
        "threshold-above": (r"compare.*(greater|>)$",),
        "leak-toward-zero": (r"rounding.*toward_zero",),
        "refractory-long": (r"refractory.*(plus_one|\+1)",),
    },
    "090_lfsr_lif": {
        "polynomial": (r"noise\[0\]\.taps=0xb401",),
        "noise-unsigned": (r"noise\[1\]\.signed=false",),
        "chance-bits": (r"noise\[0\]\.lsb=0",),
        "chance-missing": (r"leak\.rounding=floor",),
        "threshold-above": (r"compare=>$",),
    },
    "100_verilog_2001": {
        "leak-toward-zero": (r"rounding.*toward_zero",),
        "reset-to-zero": (r"reset.*(zero|=0)",),
    },
}


def main():
    checks = tool.Checks()
    for name in sys.argv[1:] or FAULTS:
        for fault, (wanted, *settings) in FAULTS[name].items():
            done = tool.run("run", ROOT / "examples" / name / "cosim.toml", "--fault", fault,
                            *(word for s in settings for word in ("--set", s)), "--no-record",
                            "--json")
            if not checks.equal(done.status, 1, f"{name}: {fault}: exit code; {done.err}"):
                continue
            hypotheses = json.loads(done.out)["explanation"]["hypotheses"]
            ids = [h["id"] for h in hypotheses[:FIRST]]
            checks.that(any(re.search(wanted, i) for i in ids),
                        f"{name}: {fault}: none of {ids} is {wanted}")
            print(f"{name}: {fault}: {hypotheses[0]['text'] if hypotheses else 'none'}")
    checks.finish()


if __name__ == "__main__":
    main()

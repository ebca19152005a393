#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the examples promise about their files: RTL without lint warnings (but for the one that has
them on purpose), networks as the script draws them, manifests and the adapter short, models that
know the faults that are listed."""

import importlib
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path[:0] = [str(ROOT / "tests/cosim"), str(ROOT / "tests/models")]

import tool  # noqa: E402

MODELS = {"050_parallel_q88": "q88_array_model", "060_event_crossbar": "crossbar_model",
          "070_banked_serial": "banked_core_model", "080_izhikevich": "izhikevich_model",
          "090_lfsr_lif": "noisy_lif_model", "100_verilog_2001": "verilog_2001_model"}
# Lines without comments and empty ones.
MANIFEST_LINES = {"050_parallel_q88": 60, "060_event_crossbar": 60, "070_banked_serial": 60}
ADAPTER_LINES = 150


def lint(folder, *options):
    core = tomllib.loads((folder / "cosim.toml").read_text())["core"]
    files = [folder / f for f in core.get("waivers", []) + core["sources"]]
    return subprocess.run(["verilator", "--lint-only", "-Wall", "--default-language",
                           core.get("language", "1800-2017"), "--top-module", core["top"],
                           *options, *map(str, files)], capture_output=True, text=True)


def code_lines(path):
    return [line for line in path.read_text().splitlines()
            if line.strip() and not re.match(r"\s*(#|//)", line)]


def main():
    checks = tool.Checks()
    for name, model in MODELS.items():
        folder = EXAMPLES / name
        done = subprocess.run([sys.executable, EXAMPLES / "make_networks.py", "--check"],
                              capture_output=True, text=True)
        checks.equal((done.returncode, done.stdout), (0, ""), "make_networks.py --check")
        faults = tomllib.loads((folder / "faults.toml").read_text())["fault"]
        checks.equal([(f["id"], f["name"]) for f in faults],
                     list(enumerate(importlib.import_module(model).FAULTS, 1)),
                     f"{name}: faults.toml and {model}.FAULTS")
        checks.that(len(faults) >= 6, f"{name}: at least 6 faults")
        for define in ((), ("-DFAULTS",)):
            done = lint(folder, *define)
            if name == "100_verilog_2001":
                warnings = len(re.findall("^%Warning", done.stderr, re.MULTILINE))
                checks.that(warnings >= 10, f"{name}: {warnings} warnings, as in the wild")
            else:
                checks.equal((done.returncode, done.stderr), (0, ""), f"{name}: lint {define}")
        lines = len(code_lines(folder / "cosim.toml"))
        print(f"{name:<20} {len(faults)} faults, manifest {lines} lines")
        if name in MANIFEST_LINES:
            checks.that(lines <= MANIFEST_LINES[name], f"{name}: manifest of {lines} lines")
    lines = len((EXAMPLES / "060_event_crossbar/adapter.cpp").read_text().splitlines())
    print(f"adapter {lines} lines with comments")
    checks.that(lines <= ADAPTER_LINES, f"the adapter has {lines} lines")
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps rtl/faults.toml, the RTL and snn_model.py in step.

Checks that names and ids agree everywhere, that each entry's file and line are where the RTL uses
the fault, and that the RTL without FAULTS holds none (where Verilator is there to preprocess it).
--fix rewrites the places in faults.toml.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import snn_model  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "rtl/core").glob("*.sv"))


def pascal(name):
    return "".join(part.capitalize() for part in name.split("-"))


def uses(name):
    """(file, line) of each use of a fault in the RTL."""
    use = re.compile(rf"fault_pkg::{name}\b|`FAULT\(\w+, {name},")
    return [(str(path.relative_to(ROOT)), number)
            for path in SOURCES
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if use.search(line)]


def problems(faults, package):
    names = tuple(f["name"] for f in faults)
    if names != snn_model.FAULTS:
        yield f"faults.toml and snn_model.FAULTS differ: {set(names) ^ set(snn_model.FAULTS)}"
    ids = dict(re.findall(r"localparam logic \[7:0\] (\w+) *= 8'd(\d+);", package))
    extra = set(ids) - {pascal(name) for name in names}
    if extra:
        yield f"fault_pkg.svh: {sorted(extra)} not in faults.toml"
    for place, fault in enumerate(faults, 1):
        name = fault["name"]
        if fault["id"] != place:
            yield f"{name}: id is {fault['id']}, expected {place}"
        if ids.get(pascal(name)) != str(fault["id"]):
            yield f"{name}: id of {pascal(name)} in fault_pkg.svh is {ids.get(pascal(name))}"
        if fault["modelled"] == (name in snn_model.UNMODELLED):
            yield f"{name}: 'modelled' does not agree with snn_model.UNMODELLED"
        found = uses(pascal(name))
        if (fault["file"], fault["line"]) not in found:
            yield f"{name}: used at {found}, but faults.toml says {fault['file']}:{fault['line']}"
    verilator = shutil.which("verilator")
    if verilator:
        text = subprocess.run([verilator, "-E", "-P", f"-I{ROOT}/rtl/include", *map(str, SOURCES)],
                              check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            if re.search(r"(?<!de)fault", line, re.IGNORECASE):
                yield f"without FAULTS the RTL still holds: {line.strip()}"
    else:
        print("verilator is missing: what a build without FAULTS holds was not checked")


def fix(text, faults):
    for fault in faults:
        file, line = uses(pascal(fault["name"]))[0]
        text = re.sub(rf'(name = "{fault["name"]}"\n(?:(?!\n\n).)*?)file = "[^"]*"\nline = \d+',
                      rf'\g<1>file = "{file}"\nline = {line}', text, flags=re.DOTALL)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fix", action="store_true", help="rewrite places in faults.toml")
    args = parser.parse_args()
    toml = ROOT / "rtl/faults.toml"
    text = toml.read_text(encoding="utf-8")
    if args.fix:
        text = fix(text, tomllib.loads(text)["fault"])
        toml.write_text(text, encoding="utf-8")
    package = (ROOT / "rtl/include/fault_pkg.svh").read_text(encoding="utf-8")
    faults = tomllib.loads(text)["fault"]
    found = list(problems(faults, package))
    for problem in found:
        print(problem)
    print(f"{len(faults)} faults, {len(found)} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

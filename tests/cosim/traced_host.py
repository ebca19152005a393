#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the DUT host of a core so that it writes a waveform of everything (traced_model.hpp).

    traced_host.py MANIFEST FOLDER [vcd|fst] [NAME=VALUE parameters...]   prints the program's path
"""
import os
import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORT = re.compile(r"VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(\(?&(\w+)\)?(?:\[\d+\])*,\s*(\d+),\s*(\d+)")


def build(manifest, folder, form="vcd", parameters=None):
    """The path of a host that writes its waveform to the file in SPIKELOCK_WAVES."""
    manifest = pathlib.Path(manifest).resolve()
    core = tomllib.loads(manifest.read_text())["core"]
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    inside = manifest.parent
    sources = [str(f) for pattern in core["sources"] for f in sorted(inside.glob(pattern))]
    sources += [str(inside / pattern) for pattern in core["sources"] if "*" not in pattern
                and not any(pathlib.Path(s) == inside / pattern for s in sources)]
    program = folder / "traced_host.cpp"
    program.write_text(f"#define SPIKELOCK_TRACE_FST {int(form == 'fst')}\n"
                       '#include "traced_model.hpp"\n#include "host.cpp"\n')
    generics = {**core.get("parameters", {}), **(parameters or {})}
    subprocess.run(
        ["verilator", "--cc", "--exe", "--prefix", "Vdut", "--top-module", core["top"], "-Mdir",
         str(folder), "--x-assign", "unique", "--x-initial", "unique", "--no-timing", "-O3",
         "--assert", "-Wno-fatal", "--trace-fst" if form == "fst" else "--trace",
         "--trace-structs",
         *(f"-I{inside / d}" for d in core.get("include_dirs", [])),
         *(f"-G{name}={value}" for name, value in generics.items()),
         *(str(inside / w) for w in core.get("waivers", [])), *sources,
         "-CFLAGS", f"-I{ROOT}/sim/host -I{ROOT}/tests/cosim -I{folder}", str(program)],
        check=True, stdout=subprocess.DEVNULL)
    ports = [f'SPIKELOCK_PORT("{"in" if kind == "IN" else "out"}", "{name}", {name}, '
             f"{abs(int(left) - int(right)) + 1})\n"
             for kind, name, left, right in PORT.findall((folder / "Vdut.h").read_text())]
    (folder / "ports.inc").write_text("".join(ports))
    subprocess.run(["make", "-s", "-C", str(folder), "-f", "Vdut.mk",
                    "OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "Vdut"], check=True,
                   env={**os.environ, "MAKEFLAGS": ""})
    return folder / "Vdut"


if __name__ == "__main__":
    chosen = dict(word.split("=", 1) for word in sys.argv[4:])
    print(build(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "vcd", chosen))

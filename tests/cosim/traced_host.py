#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the DUT host of a core so that it writes a waveform of everything (traced_model.hpp).

    traced_host.py MANIFEST FOLDER [vcd|fst] [NAME=VALUE parameters...]   prints the program's path
"""
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import tool

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARGEST = "4096"  # of what is dumped: bits of a signal, words of an array
PORT = re.compile(r"VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(\(?&(\w+)\)?(?:\[\d+\])*,\s*(\d+),\s*(\d+)")


def build(manifest, folder, form="vcd", parameters=None, public=False):
    """The path of a host that writes its waveform to the file in SPIKELOCK_WAVES. Where `public`,
    the manifest may name inner signals."""
    manifest = pathlib.Path(manifest).resolve()
    core = tomllib.loads(manifest.read_text())["core"]
    folder = pathlib.Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    inside = manifest.parent
    sources = [found for pattern in core["sources"]
               for found in sorted(glob.glob(str(inside / pattern))) or [str(inside / pattern)]]
    program = folder / "traced_host.cpp"
    program.write_text(f"#define SPIKELOCK_TRACE_FST {int(form == 'fst')}\n"
                       '#include "traced_model.hpp"\n#include "host.cpp"\n')
    generics = {**core.get("parameters", {}), **(parameters or {})}
    subprocess.run(
        ["verilator", "--cc", "--exe", "--prefix", "Vdut", "--top-module", core["top"], "-Mdir",
         str(folder), "--x-assign", "unique", "--x-initial", "unique", "--no-timing", "-O3",
         "--assert", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-SYMRSVDWORD",
         "--trace-fst" if form == "fst" else "--trace",
         "--trace-structs", "--trace-max-array", LARGEST, "--trace-max-width", LARGEST,
         *(["--public-flat-rw"] if public else []),
         "--language", core.get("language", "1800-2017"),
         *(f"-I{inside / d}" for d in core.get("include_dirs", [])),
         *(f"-G{name}={value}" for name, value in generics.items()),
         *(str(inside / w) for w in core.get("waivers", [])), *sources,
         "-CFLAGS", f"-I{ROOT}/sim/host -I{ROOT}/trace/include -I{ROOT}/tests/cosim -I{folder}",
         str(program)],
        check=True, stdout=subprocess.DEVNULL)
    ports = [f'SPIKELOCK_PORT("{"in" if kind == "IN" else "out"}", '
             f'"{name.removeprefix("__SYM__")}", {name}, {abs(int(left) - int(right)) + 1})\n'
             for kind, name, left, right in PORT.findall((folder / "Vdut.h").read_text())]
    (folder / "ports.inc").write_text("".join(ports))
    (folder / "shortcuts.inc").write_text("")  # a waveform has the falling edges too
    fast = "-O0" if public else "-O1"  # few timesteps, or many
    subprocess.run(["make", "-s", "-C", str(folder), "-f", "Vdut.mk", f"OPT_FAST={fast}",
                    "OPT_SLOW=-O0", f"OPT_GLOBAL={fast}", "Vdut"], check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "MAKEFLAGS": ""})
    return folder / "Vdut"


def kept(manifest, form="vcd", public=False):
    """The path of such a host, kept beside those of other tests; built anew for other sources."""
    manifest = pathlib.Path(manifest)
    top = tomllib.loads(manifest.read_text())["core"]["top"]
    sources = [*ROOT.glob("rtl/**/*.*v*"), *ROOT.glob("sim/host/*"), *tool.COSIM.glob("traced_*"),
               *ROOT.glob("trace/include/spikelock/trace/observation_*"),
               *tool.COSIM.glob("cores/*.sv"), *manifest.parent.glob("*.*v*")]
    digest = hashlib.sha256(b"".join(s.read_bytes() for s in sorted(set(sources)))).hexdigest()
    name = f"{top}-{form}{'-public' * public}-{digest[:16]}"
    folder = pathlib.Path(tool.CACHE).parent / "traced-hosts" / name
    if not (folder / "Vdut").exists():
        pathlib.Path(tool.CACHE).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tool.CACHE) as building:
            build(manifest, pathlib.Path(building) / "host", form, public=public)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(pathlib.Path(building) / "host/Vdut", folder / "Vdut")
    return folder / "Vdut"


if __name__ == "__main__":
    chosen = dict(word.split("=", 1) for word in sys.argv[4:])
    print(build(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "vcd", chosen))

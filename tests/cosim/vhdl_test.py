#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Cores with VHDL: translated by ghdl where that passes its check, else an error that says why.
Which of the two this machine's ghdl must do is found out here by a comparison of its own."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib

import tool

FOLDER = tool.COSIM / "vhdl"
VHDL_TOP = FOLDER / "vhdl_core.toml"
VERILOG_TOP = FOLDER / "verilog_top.toml"

# A signed shift to the right by a constant is all that tells Debian 12's ghdl from a right one.
SHIFT = """library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
entity shift is port (a : in signed(7 downto 0); y : out signed(7 downto 0)); end entity;
architecture rtl of shift is begin y <= shift_right(a, 2); end architecture;
"""


def shifts_right(folder):
    """Whether ghdl writes an arithmetic shift for a signed shift_right."""
    (folder / "shift.vhd").write_text(SHIFT)
    done = subprocess.run(["ghdl", "synth", "--std=08", "--out=verilog", "shift.vhd", "-e",
                           "shift"], cwd=folder, capture_output=True, text=True, check=True)
    return ">>>" in done.stdout


def path_without_ghdl(folder):
    """A folder with every program of this machine but ghdl."""
    programs = folder / "bin"
    programs.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        if not os.path.isdir(place):
            continue
        for entry in os.scandir(place):
            link = programs / entry.name
            if not entry.name.startswith("ghdl") and not os.path.lexists(link):
                link.symlink_to(entry.path)
    return str(programs)


def missing(checks, folder):
    env = {"PATH": path_without_ghdl(folder), "SPIKELOCK_CACHE": str(folder / "none")}
    for verb in (("run", VHDL_TOP, "--no-record"), ("signals", VHDL_TOP)):
        done = tool.run(*verb, env=env)
        checks.equal(done.status, 2, f"no ghdl, {verb[0]}: exit code")
        checks.matches(done.err, r"ghdl: cannot run 'ghdl --version'.*apt-get install ghdl",
                       f"no ghdl, {verb[0]}")


def wrong_ghdl(checks, folder):
    """The check is done once; every build after it is refused at once, with the same words."""
    env = {"SPIKELOCK_CACHE": str(folder / "cache")}
    first = tool.run("run", VHDL_TOP, "--no-record", env=env)
    checks.equal(first.status, 2, "a ghdl that fails: exit code")
    checks.matches(first.err, r"checking what GHDL .* makes of VHDL, once", "the check")
    error = (r"error: \S*ghdl: ghdl [\d.]+ translates VHDL wrongly: signed shift_right by a "
             r"constant of -128 and 3 gave 16, expected -16 \(and \d+ more\)\..*"
             r"Use a newer ghdl \(Debian 13's 5\.0\.1 passes this check\)")
    checks.matches(first.err, error, "a ghdl that fails")
    again = tool.run("build", VERILOG_TOP, env=env)
    checks.equal(again.status, 2, "the same again: exit code")
    checks.matches(again.err, error, "the same again")
    checks.that("checking" not in again.err, f"the check is done once: {again.err}")
    listed = tool.run("cache", "list", "--json", env=env)
    checks.matches(listed.out, r'"vhdl_checks"', "the cache lists the check")


def right_ghdl(checks, folder):
    """Golden and translated VHDL agree, with the top in VHDL and in Verilog; faults are found."""
    for manifest in (VHDL_TOP, VERILOG_TOP):
        done = tool.run("run", manifest, "--no-record", "--json", timeout=600)
        if checks.equal(done.status, 0, f"{manifest.name}: exit code; {done.err}"):
            verdict = done.json()
            checks.equal(verdict["verdict"], "MATCH", manifest.name)
    # A generic that is not what the golden has.
    done = tool.run("run", VHDL_TOP, "--no-record", "--set", "core.parameters.LEAK_SHIFT=3")
    checks.equal(done.status, 1, f"another LEAK_SHIFT: exit code; {done.err}")
    # An edit builds again, and is seen.
    for file in FOLDER.iterdir():
        shutil.copy(file, folder)
    copy = folder / VHDL_TOP.name
    first = tool.run("build", copy, "--json").json()
    checks.that(tool.run("build", copy, "--json").json()["cached"], "built once")
    cell = folder / "lif_cell.vhd"
    text = cell.read_text()
    cell.write_text(text.replace("signed(clipped) >= THRESHOLD", "signed(clipped) > THRESHOLD"))
    done = tool.run("build", copy, "--json").json()
    checks.that(not done["cached"] and done["key"] != first["key"], "an edit builds again")
    done = tool.run("run", copy, "--no-record", "--set", "stimulus.noise=0", "--set",
                    "stimulus.current=4096", "--set", "stimulus.steps=50")
    checks.equal(done.status, 1, f"threshold compare: exit code; {done.err}")


def names(checks):
    """Names survive as docs/manifest.md says, whatever ghdl makes of the arithmetic."""
    for manifest in (VHDL_TOP, VERILOG_TOP):
        listed = tool.run("signals", manifest, "--json").json()
        known = {v["name"]: v for group in ("ports", "signals") for v in listed[group]}
        observed = tomllib.loads(manifest.read_text())["observe"][0]["value"]
        name = observed.replace("{i+1}", "3")
        if checks.that(name in known, f"{manifest.name}: {name} is listed"):
            v = known[name]
            checks.equal(v["bits"], 16, f"{name}: bits")
            line = (FOLDER / "lif_cell.vhd").read_text().splitlines().index(
                "  signal V_q     : v_t;") + 1
            checks.matches(v["where"], rf"lif_cell\.vhd:{line}$", f"{name}: place")
    done = tool.run("signals", VHDL_TOP)
    checks.that(not re.search(r"\bn\d+_o\b", done.out), "names that ghdl made up are left out")
    checks.matches(tool.run("signals", VHDL_TOP, "n1*_o").out, r"^n1\d*_o ", "but found")


def mistakes(checks, folder):
    """What is wrong in VHDL sources and with generics is told with its place."""
    for file in FOLDER.iterdir():
        shutil.copy(file, folder)
    copy = folder / VHDL_TOP.name
    cell = folder / "lif_cell.vhd"
    text = cell.read_text()
    cell.write_text(text.replace("spike <= spike_q;", "spike <= spik_q;"))
    line = text[:text.index("spike <= spike_q;")].count("\n") + 1
    done = tool.run("signals", copy)
    checks.equal(done.status, 2, "a wrong name in VHDL: exit code")
    checks.matches(done.err, rf"lif_cell\.vhd:{line}:\d+: ghdl: .*spik_q", "a wrong name in VHDL")
    cell.write_text(text)
    done = tool.run("signals", copy, "--set", "core.parameters.NOPE=3")
    checks.equal(done.status, 2, "no such generic: exit code")
    checks.matches(done.err, r"ghdl: no generic \"nope\"", "no such generic")
    done = tool.run("signals", copy, "--set", "core.top=nope")
    checks.equal(done.status, 2, "no such top: exit code")
    checks.matches(done.err, r"no entity of the VHDL sources is the top module.*Lif_Array.*"
                   r"lif_cell", "no such top")
    done = tool.run("signals", copy, "--set", 'core.vhdl_std="2008"')
    checks.matches(done.err, r"core\.vhdl_std: expected one of '87', '93'", "no such standard")


def init(checks, folder):
    """A first manifest of VHDL sources, from names as they survive the translation."""
    done = tool.run("init", *sorted(FOLDER.glob("lif_*.vhd")), FOLDER / "clip.v", "-o",
                    folder / "cosim.toml")
    if not checks.equal(done.status, 0, f"init: {done.err}"):
        return
    m = tomllib.loads((folder / "cosim.toml").read_text())
    checks.equal((m["core"]["top"], m["clock"], m["startup"][0]["reset"]),
                 ("Lif_Array", "CLK", "RST_N"), "init: top, clock, reset")
    checks.equal(m["observe"], [{"field": "spike", "value": "SPIKES[i]"}], "init: spikes")


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for part in ("missing", "shift", "judged", "mistakes", "init"):
            (root / part).mkdir()
        missing(checks, root / "missing")
        names(checks)
        mistakes(checks, root / "mistakes")
        init(checks, root / "init")
        (right_ghdl if shifts_right(root / "shift") else wrong_ghdl)(checks, root / "judged")
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Traces from waveforms against the direct one: the digits run dumped by Verilator as VCD and as
FST, and by Icarus Verilog from a test bench of its own, must give what the host itself observed.

    waveforms_test.py RECORD_WAVES VCD_DUMP [--all]      --all: the whole digits run
"""
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import h5py
import tool
import traced_host

sys.path.insert(0, str(tool.ROOT / "tests/unit/vcd"))
import vcd_reader  # noqa: E402

RECORD_WAVES, VCD_DUMP = sys.argv[1:3]
WHOLE = "--all" in sys.argv
STEPS = 1_000_000 if WHOLE else 40
MANIFEST = tool.ROOT / "examples/010_digits/cosim.toml"
checks = tool.Checks()


def dumped(folder, form):
    """Runs the core in a traced host: waveform and direct trace."""
    wave, trace = folder / f"run.{form}", folder / f"{form}.h5"
    subprocess.run([RECORD_WAVES, MANIFEST, traced_host.kept(MANIFEST, form), trace, str(STEPS),
                    folder / "events"], check=True, stderr=subprocess.DEVNULL,
                   env={**os.environ, "SPIKELOCK_WAVES": str(wave)})
    return wave, trace


def icarus(folder):
    """The same run under another simulator, through Yosys: Icarus 11 lacks some SystemVerilog."""
    missing = [t for t in ("iverilog", "vvp", "yosys") if not shutil.which(t)]
    if missing:
        print(f"not run under Icarus: {', '.join(missing)} not installed (scripts/setup.sh test)")
        return None
    parameters = tomllib.loads(MANIFEST.read_text())["core"]["parameters"]
    chosen = " ".join(f"-set {k} {v}" for k, v in parameters.items())
    rtl = tool.ROOT / "rtl"
    subprocess.run(
        ["yosys", "-q", "-p", f"read_verilog -sv -DSYNTHESIS -I{rtl}/include {rtl}/core/*.sv; "
         f"chparam {chosen} snn_core; hierarchy -top snn_core; rename -top snn_core; proc; flatten;"
         f" opt_clean; write_verilog -noattr {folder}/core.v"], check=True)
    subprocess.run(["iverilog", "-g2012", "-o", folder / "tb", "-s", "tb",
                    tool.COSIM / "replay_tb.v", folder / "core.v"], check=True)
    wave = folder / "icarus.vcd"
    subprocess.run(["vvp", folder / "tb", f"+events={folder}/events", f"+dump={wave}"], check=True,
                   stdout=subprocess.DEVNULL)
    return wave


def same(wave, trace, *options):
    """That a waveform gives a trace."""
    got = tool.run("diff", trace, wave, "--manifest", MANIFEST, *options, timeout=3000)
    checks.equal(got.status, 0, f"{wave.name} gives the direct trace: {got.out}{got.err}")
    checks.matches(got.out, r"MATCH: [\d,]+ values of 3 fields over [\d,]+ timesteps",
                   f"{wave.name}: all fields are compared")


def read(wave, folder, *options):
    got = tool.run("waves", wave, "--manifest", MANIFEST, "--record", folder / "out.h5", *options)
    return got


def crc64(path):
    """The CRC-64 of a file as xz has it: behind the one block of its compressed form."""
    packed = lzma.compress(path.read_bytes(), check=lzma.CHECK_CRC64, preset=0)
    index = 4 * (int.from_bytes(packed[-8:-4], "little") + 1)
    return packed[-12 - index - 8:-12 - index][::-1].hex()


def edited(wave, folder, name, change):
    """A copy of a VCD in which one line is changed: the value of the potential shown last."""
    text = wave.read_bytes()
    code = re.search(rb"\$var wire +10 (\S+) probe_v_o", text).group(1)
    line = list(re.finditer(rb"\nb([01]+) " + re.escape(code) + rb"\n", text))[-1]
    out = folder / name
    out.write_bytes(text[: line.start(1)] + change(line.group(1)) + text[line.end(1):])
    return out


def fired(lines):
    """(timestep, population, neuron) of a trace written as a waveform, with timesteps of 1 ms."""
    names, seen, high, time = {}, set(), set(), None
    unit = 10 ** (-3 - int(lines[0].split("1e")[1]))
    for line in lines:
        if line.startswith("var "):
            code, full = line.split(" ")[3:5]
            label, variable = full.split(".")
            if variable.startswith("spike_"):
                names[code] = label, int(variable[6:])
        elif " " not in line:
            if time is not None and line[0] == "#":
                seen |= {(t, *n) for t in range(time // unit, int(line[1:]) // unit) for n in high}
            time = int(line[1:]) if line[0] == "#" else time
        elif line.split(" ")[0] in names:
            code, value = line.split(" ")
            (high.add if value == "b1" else high.discard)(names[code])
    return seen


def recorded(trace):
    """The same of a trace file, by its SONATA view."""
    with h5py.File(trace) as file:
        return {(round(t), label, int(n)) for label, group in file["spikes"].items()
                for n, t in zip(group["node_ids"][:], group["timestamps"][:])}


def start(wave, size):
    """The whole lines among the first bytes of a file."""
    return wave.read_bytes()[:size].rsplit(b"\n", 1)[0] + b"\n"


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["TMPDIR"] = name
        wave, trace = dumped(folder, "vcd")
        same(wave, trace)
        fst, fst_trace = dumped(folder, "fst")
        same(fst, fst_trace)
        same(fst, trace)
        if WHOLE:
            other = icarus(folder)
            if other:
                same(other, trace)
            return
        other = icarus(folder)
        if other:
            same(other, trace)
            same(other, trace, "--scope", "tb.dut")
        packed = folder / "run.vcd.gz"
        packed.write_bytes(gzip.compress(wave.read_bytes(), 1))
        same(packed, trace)

        got = read(wave, folder, "--json")
        checks.equal(got.status, 0, f"waves reads it: {got.err}")
        facts = got.json()
        checks.equal((facts["timesteps"], facts["n_unknowns"], facts["end"]),
                     (STEPS, 0, "complete"), "waves says what it read")

        # Where it comes from, with hashes that other tools make too.
        with h5py.File(folder / "out.h5") as file:
            about = json.loads(file.attrs["provenance"])
        checks.equal(about["waveform"], {"name": str(wave), "bytes": wave.stat().st_size,
                                         "crc64": crc64(wave)}, "the waveform's checksum")
        checks.equal(about["files"]["cosim.toml"],
                     hashlib.sha256(MANIFEST.read_bytes()).hexdigest(), "the manifest's hash")
        checks.that("digits.nir" in about["files"], "the network is named too")
        got = tool.run("diff", trace, fst, "--manifest", MANIFEST, "--json").json()["provenance"]
        checks.equal(got["actual"]["waveform"]["crc64"], crc64(fst), "diff tells of an FST's")

        # The other way round: a trace written as a waveform shows what the trace holds.
        shown = folder / "shown.vcd"
        checks.equal(tool.run("convert", trace, shown).status, 0, "a trace as VCD")
        spikes = recorded(trace)
        checks.that(len(spikes) > 100, "the trace has spikes")
        checks.equal(fired(vcd_reader.canonical(shown.read_bytes())), spikes,
                     "spikes of a trace written as VCD")
        shown_fst = folder / "shown.fst"
        checks.equal(tool.run("convert", trace, shown_fst).status, 0, "a trace as FST")
        if shutil.which("fst2vcd"):
            back = subprocess.run(["fst2vcd", shown_fst], capture_output=True, check=True).stdout
            checks.equal(fired(vcd_reader.canonical(back)), spikes,
                         "spikes of a trace written as FST")
        checks.equal(list(folder.glob("*.part*")), [], "no unfinished file stays")

        # A bit that differs, or is unknown, is found where it is.
        flipped = edited(wave, folder, "flipped.vcd", lambda v: v[:-1] + (b"10"[v[-1] & 1:][:1]))
        got = tool.run("diff", trace, flipped, "--manifest", MANIFEST)
        checks.equal(got.status, 1, f"one bit of one potential differs: {got.out}{got.err}")
        checks.matches(got.out, rf"timestep {STEPS - 1}\b", "it is named with its timestep")
        for letter, signal in ((b"x", "x"), (b"z", "z")):
            unknown = edited(wave, folder, "unknown.vcd", lambda v, c=letter: v[:-1] + c)
            got = read(unknown, folder, "--json")
            checks.equal(got.status, 3, f"a bit is {signal}: {got.err}")
            found = got.json()["unknowns"]
            checks.equal(len(found), 1, "it is found once")
            checks.equal((found[0]["timestep"], found[0]["value"][-1], found[0]["signal"]),
                         (STEPS - 1, signal, "TOP.snn_core.probe_v_o"), "with place and value")
            checks.matches(found[0]["meaning"], r"^v of \w+", "with field and neuron")
            got = tool.run("diff", trace, unknown, "--manifest", MANIFEST)
            checks.that(got.status != 1, "an unknown value is no difference")
            checks.matches(got.out, "x or z: TOP.snn_core.probe_v_o", "diff tells of it")

        # A file that ends early gives what it holds and says so: here in the last timestep, between
        # its start and its end. Elsewhere the core may be taking events for the next one.
        cut = folder / "cut.vcd"
        cut.write_bytes(start(wave, wave.stat().st_size - 5000))
        got = read(cut, folder)
        checks.equal(got.status, 3, "a cut file is incomplete")
        checks.matches(got.out, rf"the waveform ends within timestep {STEPS - 1}\b",
                       "it says where")
        got = tool.run("diff", trace, cut, "--manifest", MANIFEST)
        checks.equal(got.status, 3, "and the comparison inconclusive")

        # Errors.
        got = tool.run("diff", trace, wave)
        checks.equal(got.status, 2, "without a manifest")
        checks.matches(got.err, "--manifest", "the remedy is named")
        got = read(wave, folder, "--scope", "TOP.snn_cor")
        checks.equal(got.status, 2, "no such scope")
        checks.matches(got.err, r"TOP\.snn_core", "the nearest is named")
        lif = tool.ROOT / "examples/030_parallel_lif/cosim.toml"
        got = tool.run("waves", wave, "--manifest", lif, "--record", folder / "no.h5")
        checks.equal(got.status, 2, "a waveform of another core")
        checks.matches(got.err, r"lacks '", "what is missing is named")
        broken = edited(wave, folder, "broken.vcd", lambda v: b"2" * len(v))
        got = read(broken, folder)
        checks.equal(got.status, 2, "a value that is none")
        checks.matches(got.err, r"broken\.vcd:\d+:\d+: expected a value of 10 bits",
                       "with its line")

        # The reader of its own makes the same of what Verilator wrote.
        head = folder / "head.vcd"
        head.write_bytes(start(wave, 3_000_000))
        want = vcd_reader.canonical(head.read_bytes())
        lines = subprocess.run([VCD_DUMP, "--check", head], capture_output=True, check=True,
                               text=True).stdout.split("\n")[1:-1]
        checks.equal(len(lines), len(want), "as many entries")
        checks.that(lines == want, "the readers agree on a file of Verilator's")

        # The library of the FST crashes on damaged files; the command does not.
        random_ = random.Random(5)
        data = fst.read_bytes()
        kinds = {}
        for n in range(24):
            damaged = bytearray(data)
            for _ in range(random_.choice([1, 4, 40])):
                # The length of a section, its header, or anything.
                at = random_.randrange(random_.choice([400, 4000, len(data)]))
                damaged[at] = random_.randrange(256)
            if n % 6 == 5:
                del damaged[random_.randrange(len(data)):]
            (folder / "damaged.fst").write_bytes(damaged)
            got = read(folder / "damaged.fst", folder)
            kinds[got.status] = kinds.get(got.status, 0) + 1
            checks.that(got.status in (0, 2, 3), f"damaged FST {n}: {got.status} {got.err}")
            if got.status == 2:
                checks.matches(got.err, r"damaged\.fst", f"damaged FST {n} is named: {got.err}")
        checks.that(kinds.get(2, 0) >= 5, f"damage is noticed: {kinds}")
        checks.equal(list(folder.glob("spikelock-waves-*")), [],
                     "no temporary trace stays")


if __name__ == "__main__":
    main()
    checks.finish()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A full dump of the digits run to a trace, against what the tools of GTKWave take for that file.

    bench/vcd_ratio.py vcd       `spikelock waves` on a VCD of 500 MB and more against vcd2fst
    bench/vcd_ratio.py few       the reader alone with two signals selected, against vcd2fst
    bench/vcd_ratio.py fst       `spikelock waves` on an FST against fst2vcd to /dev/null
    bench/vcd_ratio.py gz        `spikelock waves` on a gzipped VCD against gunzip to /dev/null

Whole processes, pinned to one CPU, in turn; processor time, so that what else runs counts less.
What is decompressed has a thread of its own: there it is the time that passes, on all CPUs.
All spikes, potentials and inputs are selected, and the trace is compared with the direct one first.
Prints {"value": median ratio, "spread": ...} as its last line.
"""
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("SPIKELOCK_BIN", ROOT / "build/release/bin"))
MANIFEST = ROOT / "examples/010_digits/cosim.toml"
STEPS = 1500
REPETITIONS = 9

sys.path.insert(0, str(ROOT / "tests/cosim"))
import traced_host  # noqa: E402


def cpu_seconds(*command):
    """User and system time of a command and its children, on one CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   preexec_fn=lambda: os.sched_setaffinity(0, {max(os.sched_getaffinity(0))}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds(*command):
    """Time that passes until a command ends."""
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def main(what):
    form = "fst" if what == "fst" else "vcd"
    other = {"fst": "fst2vcd", "gz": "gunzip"}.get(what, "vcd2fst")
    measured = seconds if what == "gz" else cpu_seconds
    if not shutil.which(other):
        sys.exit(f"{other} is not installed: apt-get install gtkwave")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        folder = pathlib.Path(name)
        wave, direct, trace = folder / f"digits.{form}", folder / "direct.h5", folder / "trace.h5"
        host = traced_host.build(MANIFEST, folder / "host", form)
        subprocess.run([BIN / "record_waves", MANIFEST, host, direct, str(STEPS)], check=True,
                       env={**os.environ, "SPIKELOCK_WAVES": str(wave)}, stderr=subprocess.DEVNULL)
        size = wave.stat().st_size
        if what == "gz":
            subprocess.run(["gzip", "-1", wave], check=True)
            wave = folder / "digits.vcd.gz"
        ours = [BIN / "spikelock", "waves", wave, "--manifest", MANIFEST, "--record", trace]
        if what == "few":
            ours = [BIN / "bench_vcd", "--few", wave]
        theirs = {"fst": [other, wave], "gz": [other, "-c", wave]}.get(
            what, [other, wave, folder / "out.fst"])
        measured(*ours)
        if what != "few":
            subprocess.run([BIN / "spikelock", "diff", direct, trace], check=True,
                           stdout=subprocess.DEVNULL)
        ratios, times = [], []
        for _ in range(REPETITIONS):
            a = measured(*ours)
            b = measured(*theirs)
            ratios.append(b / a)
            times.append(a)
        if form == "vcd" and size < 500_000_000:
            sys.exit(f"the dump has {size} bytes, expected 500 MB: raise STEPS")
    ratios.sort()
    median = statistics.median(ratios)
    print(f"{what}: {size / 1e6:.0f} MB in {statistics.median(times):.3f} s, "
          f"{size / statistics.median(times) / 1e9:.2f} GB/s", file=sys.stderr)
    print(json.dumps({"value": round(median, 2),
                      "spread": round((ratios[-2] - ratios[1]) / median, 3)}))


if __name__ == "__main__":
    main(sys.argv[1])

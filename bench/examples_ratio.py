#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lockstep of an example against a bare, hand-written driver of the same core: same stimulus,
compiler and flags, no public signals, nothing read. Pairs are run in turn; the last line is
{"value": median ratio, "spread": ...} for bench.py.

    bench/examples_ratio.py 050_parallel_q88|070_banked_serial|060_event_crossbar
"""

import array
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/models"))

import example_common  # noqa: E402
import pairs  # noqa: E402

SPIKELOCK = os.environ.get("SPIKELOCK", str(ROOT / "build/release/bin/spikelock"))
FOLDER = ROOT / "build/bench"


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def compiler():
    """As the builder chooses it: the newest clang, else g++."""
    names = [f"clang++-{v}" for v in range(22, 13, -1)] + ["clang++", "g++"]
    return next(filter(None, map(shutil.which, names)))


def bare_driver(example, driver):
    """Builds it, with the flags of the DUT host."""
    folder = FOLDER / f"{example.name}-bare"
    program = folder / "Vdut"
    core = tomllib.loads((example / "cosim.toml").read_text())["core"]
    files = [example / f for f in core.get("waivers", []) + core["sources"]] + [driver]
    if program.exists() and all(f.stat().st_mtime < program.stat().st_mtime for f in files):
        return program
    folder.mkdir(parents=True, exist_ok=True)
    run("verilator", "--cc", "--exe", "--prefix", "Vdut", "--top-module", core["top"], "-Mdir",
        folder, "--x-assign", "unique", "--x-initial", "unique", "--no-timing", "-O3", "--assert",
        "-Wno-fatal", "--language", core.get("language", "1800-2017"), *files)
    cxx = compiler()
    run("make", "-s", "-C", folder, "-f", "Vdut.mk", f"CXX={cxx}", f"LINK={cxx}",
        "OPT_FAST=-O3 -march=native", "OPT_SLOW=-O1", "OPT_GLOBAL=-O2", "Vdut")
    return program


def put(file, numbers, kind="I"):
    data = array.array(kind, numbers)
    array.array("Q", [len(data)]).tofile(file)
    data.tofile(file)


def random_events(axons, steps, probability):
    r = random.Random(5)
    return [[a for a in range(axons) if r.random() < probability] for _ in range(steps)]


def events_file(events):
    path = FOLDER / "events.csv"
    path.write_text("timestep,axon\n" + "".join(f"{t},{a}\n" for t, row in enumerate(events)
                                                for a in row))
    return ["stimulus.kind=events", f"stimulus.file={path}", f"stimulus.steps={len(events)}"]


def parallel_q88(path, network):
    stimulus = example_common.CurrentStimulus(64, 100, 900)
    steps = 2000000
    with open(path, "wb") as file:
        array.array("Q", [64, steps, 100, 900, stimulus.key]).tofile(file)
    return [f"stimulus.steps={steps}"]


def banked_serial(path, network):
    steps, sample = 30000, 250
    events = random_events(64, steps, 0.12)
    words = [0] * 2048
    for axon in range(64):
        first, end = network["row_begin"][axon:axon + 2]
        for target, weight, _ in network["synapses"][first:end]:
            words[32 * axon + target // 4] |= (weight & 0xff) << 8 * (target % 4)
    with open(path, "wb") as file:
        put(file, words)
        put(file, [n["threshold"] & 0xffff for n in network["neurons"]])
        put(file, [len(row) | (t % sample == 0 and t > 0) << 31 for t, row in enumerate(events)])
        put(file, [axon for row in events for axon in row])
    return [*events_file(events), f"stimulus.sample_steps={sample}", "stimulus.start=clear"]


def event_crossbar(path, network):
    steps = 2500
    events = random_events(256, steps, 0.012)
    words = [0] * 16384
    for source in range(512):
        first, end = network["row_begin"][source:source + 2]
        for target, weight, _ in network["synapses"][first:end]:
            words[32 * source + target // 8] |= (weight & 15) << 4 * (target % 8)
    with open(path, "wb") as file:
        put(file, words)
        put(file, [n["threshold"] & 0x3ff for n in network["neurons"]])
        put(file, [len(row) for row in events])
        put(file, [axon for row in events for axon in row])
    return [*events_file(events), f"stimulus.sample_steps={steps}", "stimulus.start=keep"]


SUBJECTS = {"050_parallel_q88": (parallel_q88, "q88_array"),
            "060_event_crossbar": (event_crossbar, "crossbar"),
            "070_banked_serial": (banked_serial, "banked_core")}


def main():
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in SUBJECTS:
        sys.exit(__doc__.split("\n\n")[1])
    example = ROOT / "examples" / name
    write, driver = SUBJECTS[name]
    FOLDER.mkdir(parents=True, exist_ok=True)
    stimulus = FOLDER / f"{name}.stimulus"
    settings = write(stimulus, json.loads((example / "network.json").read_text()))
    program = bare_driver(example, ROOT / "bench/bare" / f"{driver}_main.cpp")
    lockstep = [SPIKELOCK, "run", example / "cosim.toml", "--no-record", "--json", "-q",
                *(word for s in settings for word in ("--set", s))]
    run(*lockstep)  # builds

    def pair():
        clocks, seconds = run(program, stimulus).split()
        told = json.loads(run(*lockstep))
        if abs(told["clocks"] - int(clocks)) > told["clocks"] / 50 + 20000:
            sys.exit(f"the bare driver ran {clocks} clocks, lockstep {told['clocks']}")
        return float(seconds), told["seconds"]

    pairs.measure(name, ("bare", "lockstep"), pair, 9)


if __name__ == "__main__":
    main()

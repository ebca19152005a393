# SPDX-License-Identifier: Apache-2.0
"""What the Python tests of cores and of the command share: the command, its output, the cores."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COSIM = ROOT / "tests/cosim"
SPIKELOCK = os.environ.get("SPIKELOCK", str(ROOT / "build/release/bin/spikelock"))
CACHE = os.environ.setdefault(
    "SPIKELOCK_CACHE", str(pathlib.Path(SPIKELOCK).parents[1] / "tests/host-cache"))

# As in core_sizes.hpp: Neurons, Axons, Synapses, VWidth, UWidth, AccWidth, WWidth, LeakFrac,
# RefrWidth, DelaySlots.
PARAMETERS = ("Neurons", "Axons", "Synapses", "VWidth", "UWidth", "AccWidth", "WWidth", "LeakFrac",
              "RefrWidth", "DelaySlots")
SIZES = {
    "standard": (64, 24, 4096, 16, 18, 18, 8, 12, 8, 4),
    "narrow": (33, 7, 1024, 8, 10, 9, 4, 5, 3, 2),
    "wide": (48, 16, 4096, 32, 32, 32, 16, 16, 8, 16),
}
SNN_CORE = COSIM / "snn_core.toml"
TINY_CORE = COSIM / "cores/tiny_core.toml"
# Of cores/tiny_core.sv.
MISBEHAVE = {"no-done": 1, "endless-loop": 2, "assertion": 3, "fatal": 4, "finish": 5,
             "fires-twice": 6, "no-such-neuron": 7, "wrong-v": 8, "never-ready": 9, "unsettled": 10}


def size_options(size):
    """--set options of a parameter set."""
    return [word for name, value in zip(PARAMETERS, SIZES[size])
            for word in ("--set", f"core.parameters.{name}={value}")]


class Run:
    """A finished run of the command."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def json(self):
        return json.loads(self.out)


def command(*arguments):
    return [SPIKELOCK, *map(str, arguments)]


def run(*arguments, env=None, cwd=None, timeout=240):
    """Runs the command to its end."""
    done = subprocess.run(command(*arguments), capture_output=True, text=True, cwd=cwd,
                          timeout=timeout, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    return Run(done.returncode, done.stdout, done.stderr)


def start(*arguments, env=None, cwd=None):
    """Starts the command; its output is thrown away."""
    return subprocess.Popen(command(*arguments), stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=cwd,
                            env={**os.environ, **(env or {})})


def processes(folder):
    """Ids of processes whose program lies in a folder, that work there, or that were told of it."""
    folder = os.path.realpath(folder)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            places = [os.readlink(f"/proc/{entry}/exe"), os.readlink(f"/proc/{entry}/cwd")]
            told = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            state = pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue  # ended meanwhile, or another user's
        near = any(p == folder or p.startswith(folder + "/") for p in places)
        if state != "Z" and (near or folder.encode() in told):
            found.append(int(entry))
    return found


def hosts_of(tool_pid):
    """Ids of the DUT hosts that a running command has started."""
    try:
        children = pathlib.Path(f"/proc/{tool_pid}/task/{tool_pid}/children").read_text().split()
        return [int(c) for c in children
                if os.path.basename(os.readlink(f"/proc/{c}/exe")) == "host"]
    except OSError:
        return []


def wait_until(condition, seconds, what):
    """Polls a condition; returns its value once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"after {seconds} s: {what}")


def shared_memory():
    return sorted(os.listdir("/dev/shm"))


class Checks:
    """Counts checks and prints those that fail; exit code for the test."""

    def __init__(self):
        self.done = 0
        self.failed = 0

    def that(self, good, text):
        self.done += 1
        if not good:
            self.failed += 1
            print(f"FAILED: {text}")
        return good

    def equal(self, got, wanted, text):
        return self.that(got == wanted, f"{text}: got {got!r}, wanted {wanted!r}")

    def matches(self, text, pattern, what):
        return self.that(re.search(pattern, text, re.MULTILINE | re.DOTALL),
                         f"{what}: nothing matches {pattern!r} in\n{text}")

    def finish(self):
        print(f"{self.done} checks, {self.failed} failed")
        sys.exit(1 if self.failed else 0)

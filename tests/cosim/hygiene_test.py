#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever ends the tool, nothing of it stays: no process, no shared memory, no lock, and what was
recorded is readable."""

import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import time

import tool

ENDLESS = ("--set", "stimulus.steps=1000000000")


def long_run(folder):
    """A run that does not end by itself, once its core works."""
    process = tool.start("run", tool.TINY_CORE, "--record", f"{folder}/t.h5", *ENDLESS)
    tool.wait_until(lambda: tool.hosts_of(process.pid), 60, "no host was started")
    tool.wait_until(lambda: os.path.exists(f"{folder}/t.h5"), 60, "no trace was begun")
    return process


def check_clean(checks, what, hosts, memory):
    """No host of this tool is left, and /dev/shm is as it was."""
    try:
        tool.wait_until(lambda: not any(os.path.exists(f"/proc/{h}/exe") for h in hosts), 5,
                        f"hosts {hosts} still run")
        checks.that(True, what)
    except AssertionError as error:
        checks.that(False, f"{what}: {error}")
    left = [name for name in tool.shared_memory() if name not in memory and "spikelock" in name]
    checks.equal(left, [], f"{what}: shared memory")


def interrupted(checks, to_group):
    """SIGINT of the tool alone, and of the whole group as a terminal sends it."""
    what = f"Ctrl-C {'from a terminal' if to_group else 'of the tool'}"
    memory = tool.shared_memory()
    with tempfile.TemporaryDirectory() as folder:
        process = tool.subprocess.Popen(
            tool.command("run", tool.TINY_CORE, "--record", f"{folder}/t.h5", *ENDLESS),
            stdout=tool.subprocess.PIPE, stderr=tool.subprocess.PIPE, text=True,
            start_new_session=True)
        hosts = tool.wait_until(lambda: tool.hosts_of(process.pid), 60, "no host was started")
        tool.wait_until(lambda: os.path.exists(f"{folder}/t.h5"), 60, "no trace was begun")
        time.sleep(0.7)
        started = time.monotonic()
        (os.killpg if to_group else os.kill)(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        checks.equal(process.returncode, 130, f"{what}: exit code; {err}")
        checks.that(time.monotonic() - started < 10, f"{what}: took too long")
        check_clean(checks, what, hosts, memory)
        shown = tool.run("show", f"{folder}/t.h5", "--json")
        if checks.equal(shown.status, 0, f"{what}: the trace is readable; {shown.err}"):
            checks.that(shown.json()["n_steps"] > 0, f"{what}: timesteps were recorded")
        checks.equal([f for f in os.listdir(folder) if f != "t.h5"], [], f"{what}: files beside it")


def killed_in_run(checks, times, r):
    memory = tool.shared_memory()
    for k in range(times):
        what = f"kill -9 in a run, {k}"
        with tempfile.TemporaryDirectory() as folder:
            process = long_run(folder)
            hosts = tool.hosts_of(process.pid)
            time.sleep(r.uniform(0.0, 1.5))
            process.kill()
            process.wait()
            check_clean(checks, what, hosts, memory)
            # What its index holds can be had back; nothing to recover is said plainly.
            recovered = tool.run("recover", f"{folder}/t.h5")
            checks.that(recovered.status in (0, 2), f"{what}: recover gives {recovered.status}")
            if recovered.status == 0:
                shown = tool.run("show", f"{folder}/t.h5", "--json")
                checks.equal(shown.status, 0, f"{what}: show after recover; {shown.err}")
            else:
                checks.matches(recovered.err, r"^error: .*t\.h5", f"{what}: why not recovered")
    after = tool.run("run", tool.TINY_CORE, "--no-record", "-q")
    checks.equal(after.status, 0, f"a run after kill -9; {after.err}")


def killed_in_build(checks, times, r):
    """The moments are drawn over the time that a whole build takes here."""
    memory = tool.shared_memory()
    with tempfile.TemporaryDirectory() as cache:
        env = {"SPIKELOCK_CACHE": cache}
        started = time.monotonic()
        checks.equal(tool.run("build", tool.TINY_CORE, env=env).status, 0, "a build")
        whole = time.monotonic() - started
        for k in range(times):
            moment = r.uniform(0.02, 1.0) * whole
            what = f"kill -9 in a build after {moment:.2f} of {whole:.2f} s"
            process = tool.start("build", tool.TINY_CORE, "--rebuild", env=env)
            time.sleep(moment)
            process.kill()
            process.wait()
            try:
                tool.wait_until(lambda: not tool.processes(cache), 5, "processes are left")
                checks.that(True, what)
            except AssertionError:
                left = [pathlib.Path(f"/proc/{p}/cmdline").read_bytes()[:200]
                        for p in tool.processes(cache)]
                checks.that(False, f"{what}: left {left}")
        checks.equal([n for n in tool.shared_memory() if n not in memory and "spikelock" in n], [],
                     "kill -9 in a build: shared memory")
        # Neither lock nor half a build is in the way. The last word is a real run.
        done = tool.run("run", tool.TINY_CORE, "--no-record", "--rebuild", env=env)
        checks.equal(done.status, 0, f"a run after kill -9 in a build; {done.err}")
        left = [str(p.relative_to(cache)) for p in pathlib.Path(cache).rglob("*")
                if p.name == "build" or p.name.endswith(".new")]
        checks.equal(left, [], "half-built folders in the cache")


def interrupted_build(checks):
    with tempfile.TemporaryDirectory() as cache:
        process = tool.subprocess.Popen(
            tool.command("build", tool.TINY_CORE), stdout=tool.subprocess.DEVNULL,
            stderr=tool.subprocess.PIPE, text=True, env={**os.environ, "SPIKELOCK_CACHE": cache})
        tool.wait_until(lambda: tool.processes(cache), 60, "no compiler was started")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        checks.equal(process.returncode, 130, f"Ctrl-C in a build: exit code; {err}")
        checks.that(time.monotonic() - started < 5,
                    f"Ctrl-C in a build: took {time.monotonic() - started:.1f} s")
        checks.equal(tool.processes(cache), [], "Ctrl-C in a build: processes")


def concurrent_builds(checks):
    """Two builds of one core at once: one builds, the other waits for it, both have a host."""
    with tempfile.TemporaryDirectory() as cache:
        both = [tool.subprocess.Popen(tool.command("build", tool.TINY_CORE, "--json"),
                                      stdout=tool.subprocess.PIPE, stderr=tool.subprocess.PIPE,
                                      text=True, env={**os.environ, "SPIKELOCK_CACHE": cache})
                for _ in range(2)]
        done = [(*p.communicate(timeout=200), p.returncode) for p in both]
        if checks.equal([d[2] for d in done], [0, 0], f"two builds at once: {done}"):
            hosts = [json.loads(d[0]) for d in done]
            checks.equal(sorted(h["cached"] for h in hosts), [False, True], "two builds at once")
            checks.equal(hosts[0]["host"], hosts[1]["host"], "two builds at once")


def main():
    checks = tool.Checks()
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.randrange(1 << 32)
    print(f"seed {seed}")
    r = random.Random(seed)
    interrupted(checks, False)
    interrupted(checks, True)
    killed_in_run(checks, 6, r)
    interrupted_build(checks)
    killed_in_build(checks, 3, r)
    concurrent_builds(checks)
    checks.finish()


if __name__ == "__main__":
    main()

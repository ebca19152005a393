#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each way in which a core can go wrong ends in its own verdict, exit code and words. The core is
cores/tiny_core.sv, which misbehaves in a chosen way from a chosen timestep on."""

import json
import os
import signal
import subprocess
import tempfile
import time

import tool

AT = 37  # timestep of the misbehaviour
COMPARED = AT * 4 * 2  # values of v and spike in the timesteps before it

# Misbehaviour, verdict, exit code, how the core ended, what its text says.
CASES = (
    ("no-done", "HUNG", 4, "hung", r"^done did not come within 1000 clocks$"),
    ("endless-loop", "HUNG", 4, "hung", r"no clock went by for 2 s of wall-clock time"),
    ("assertion", "ASSERTED", 4, "asserted",
     r"\[\d+\] %Error: tiny_core\.sv:\d+: Assertion failed in \S*tiny_core\.TickOnlyWhenIdle: "
     r"TickOnlyWhenIdle failed on purpose"),
    ("fatal", "ASSERTED", 4, "asserted",
     r"\[\d+\] %(Error|Fatal): tiny_core\.sv:\d+: .*the tiny core gave up"),
    ("finish", "INCONCLUSIVE", 3, "finished", r"called \$finish"),
    ("fires-twice", "ASSERTED", 4, "asserted", r"neuron 0 fired twice in one timestep"),
    ("no-such-neuron", "ASSERTED", 4, "asserted", r"neuron 9, but there are 4"),
    ("unsettled", "CRASHED", 4, "crashed", r"signal 6 .*tiny_core\.sv.*did not converge"),
    ("never-ready", "HUNG", 4, "hung", r"did not take an input event within 1000 clocks"),
)


def run_tiny(*arguments, **keywords):
    return tool.run("run", tool.TINY_CORE, "--no-record", *arguments, **keywords)


def misbehave(name):
    return ("--plusarg", f"misbehave={tool.MISBEHAVE[name]}", "--plusarg", f"at={AT}")


def endings(checks):
    for name, verdict, code, kind, text in CASES:
        started = time.monotonic()
        done = run_tiny(*misbehave(name), "--wall-limit-s", 2, "--json")
        seconds = time.monotonic() - started
        if not checks.equal(done.status, code, f"{name}: exit code; {done.err}"):
            continue
        j = done.json()
        checks.equal(j["verdict"], verdict, name)
        checks.equal(j["exit_code"], code, f"{name}: exit code in the JSON")
        if not checks.that(j["end"], f"{name}: no word of how the core ended"):
            continue
        checks.equal(j["end"]["kind"], kind, f"{name}: end")
        checks.equal(j["end"]["timestep"], AT, f"{name}: timestep of the end")
        checks.equal(j["steps_compared"], AT, f"{name}: timesteps compared")
        checks.equal(j["values_compared"], COMPARED, f"{name}: values compared")
        checks.matches(j["end"]["text"], text, name)
        checks.matches(j["reason"] + " " + j["headline"], rf"timestep {AT}", f"{name}: place")
        checks.equal(j["divergence"], None, f"{name}: divergence")
        checks.that(seconds < 60, f"{name}: took {seconds:.1f} s")
        # Where no clock goes by, none can be counted exactly.
        if name not in ("endless-loop", "unsettled"):
            checks.that(j["end"]["clock"] > 4 * AT, f"{name}: clock {j['end']['clock']}")

        again = run_tiny(*misbehave(name), "--wall-limit-s", 2)
        checks.equal(again.status, code, f"{name}: exit code, as text")
        checks.matches(again.out, rf"^{verdict}\b", f"{name}: headline")
        checks.matches(again.out, r"^reproduce: spikelock run \S*tiny_core\.toml .*--seed 1\b",
                       f"{name}: line to reproduce")


def good(checks):
    done = run_tiny("--json")
    checks.equal(done.status, 0, f"a core that behaves: exit code; {done.err}")
    j = done.json()
    checks.equal(j["verdict"], "MATCH", "a core that behaves")
    checks.equal(j["values_compared"], 400 * 4 * 2, "a core that behaves: values")
    checks.equal(j["compared_fields"], ["v", "spike"], "a core that behaves: fields")
    checks.matches(" ".join(j["not_compared"]), r"i_syn", "a field that the core does not show")
    checks.that(j["spikes_actual"] > 100, "a core that behaves: spikes")
    checks.matches(run_tiny().out, r"^MATCH: .*not compared: i_syn",
                   "headline says what is left out")


def diverges(checks):
    done = run_tiny(*misbehave("wrong-v"), "--json")
    checks.equal(done.status, 1, f"wrong-v: exit code; {done.err}")
    j = done.json()
    checks.equal(j["verdict"], "DIVERGED", "wrong-v")
    d = j["divergence"]
    checks.equal((d["timestep"], d["neuron"], d["field"]), (AT, 2, "v"), "wrong-v: place")
    checks.equal(d["last_agreed"], AT - 1, "wrong-v: last agreed")


def diverges_before_it_ends(checks):
    """A difference before the core's end is the verdict, however the run is cut into blocks."""
    net = json.loads(tool.TINY_CORE.with_suffix(".json").read_text())
    net["neurons"][1]["threshold"] += 1  # one more than the core has
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/net.json"
        with open(file, "w", encoding="utf-8") as out:
            json.dump(net, out)
        places = set()
        for name in ("endless-loop", "unsettled", "no-done", "fatal", "finish"):
            for block in (0, 1, 300):
                done = run_tiny(*misbehave(name), "--wall-limit-s", 1, "--json", "--block-steps",
                                block, "--set", f"network.json={file}")
                what = f"diverges, then {name}, blocks of {block}"
                if checks.equal(done.status, 1, f"{what}: exit code; {done.err}"):
                    d = done.json()["divergence"]
                    places.add((d["timestep"], d["neuron"], d["field"]))
        checks.equal(len(places), 1, f"one place for all of them: {places}")
        checks.that(all(0 < place[0] < AT and place[1] == 1 for place in places), str(places))


def vacuous(checks):
    silent = ("--set", "stimulus.probability=0.0", "--json")
    done = run_tiny(*silent)
    checks.equal(done.status, 3, f"nothing happens: exit code; {done.err}")
    checks.equal(done.json()["verdict"], "INCONCLUSIVE", "nothing happens")
    checks.matches(done.json()["reason"], r"vacuous|nothing (spiked|changed|happened)",
                   "nothing happens")
    checks.equal(run_tiny(*silent, "--allow-vacuous").status, 0, "nothing happens, and may")


def killed(checks):
    """kill -9 of the core's process in mid-run."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            tool.command("run", tool.TINY_CORE, "--json", "--record", f"{folder}/t.h5", "--set",
                         "stimulus.steps=1000000000"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        host = tool.wait_until(lambda: tool.hosts_of(process.pid), 60, "no host was started")[0]
        time.sleep(0.7)
        os.kill(host, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        if not checks.equal(process.returncode, 4, f"killed host: exit code; {err}"):
            return
        j = json.loads(out)
        checks.equal(j["verdict"], "CRASHED", "killed host")
        checks.equal(j["end"]["kind"], "crashed", "killed host: end")
        checks.matches(j["end"]["text"], r"killed by signal 9", "killed host")
        checks.that(j["steps_compared"] > 0, "killed host: nothing was compared before")
        shown = tool.run("show", f"{folder}/t.h5", "--json")
        checks.equal(shown.status, 0, f"killed host: the trace is readable; {shown.err}")
        checks.equal(shown.json()["n_steps"], j["steps_compared"],
                     "killed host: recorded timesteps")


def main():
    checks = tool.Checks()
    good(checks)
    endings(checks)
    diverges(checks)
    diverges_before_it_ends(checks)
    vacuous(checks)
    killed(checks)
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the command prints and where: help of each verb, JSON, streams, colours, equal runs."""

import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

VERBS = ("run", "build", "diff", "show", "recover")
# Lines that may differ between equal runs: they tell how long it took.
TIMES = r"^ran .*$"


def helps(checks):
    top = tool.run("--help")
    checks.equal(top.status, 0, "--help")
    for verb in VERBS:
        checks.matches(top.out, rf"^  {verb}\b", f"--help names {verb}")
        done = tool.run(verb, "--help")
        checks.equal((done.status, done.err), (0, ""), f"{verb} --help")
        checks.matches(done.out, r"-h,\s*--help", f"{verb} --help")
        for line in done.out.splitlines():
            checks.that("\x1b" not in line, f"{verb} --help has escapes")
    checks.matches(top.out, r"Exit codes: 0 MATCH.*1 DIVERGED.*3 INCONCLUSIVE.*130", "--help")
    version = tool.run("--version")
    checks.equal(version.status, 0, "--version")
    checks.matches(version.out, r"^spikelock \d+\.\d+\.\d+$", "--version")
    nothing = tool.run()
    checks.equal((nothing.status, nothing.out), (2, ""), "no verb")
    checks.matches(nothing.err, r"^error: .*\nRun 'spikelock --help'", "no verb")


def run_tiny(*arguments, **keywords):
    return tool.run("run", tool.TINY_CORE, *arguments, **keywords)


def streams(checks):
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (("--no-record",), ("--no-record", "--json"),
                          ("--record", f"{folder}/t.h5"),
                          ("--no-record", "--plusarg", "misbehave=8", "--plusarg", "at=5")):
            done = run_tiny(*arguments)
            checks.that("\x1b" not in done.out + done.err, f"{arguments}: escapes in a pipe")
            checks.that("\r" not in done.out + done.err, f"{arguments}: a redrawn line in a pipe")
            # Steps under way are told beside the results, and not where they are not wanted.
            checks.matches(done.err, r"^core: tiny_core \(cached build", f"{arguments}: steps")
            checks.equal(run_tiny(*arguments, "-q").err, "", f"{arguments} -q")
            checks.that("core: " not in done.out, f"{arguments}: steps among the results")
            checks.equal(done.out.count("\n\n\n"), 0, f"{arguments}: blank lines")
        shown = tool.run("show", f"{folder}/t.h5")
        checks.equal((shown.status, shown.err), (0, ""), "show")
        checks.that("\x1b" not in shown.out, "show: escapes in a pipe")

        # A reader that goes away early ends the command without a crash.
        process = subprocess.Popen(tool.command("show", f"{folder}/t.h5"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stdout.close()
        err = process.stderr.read().decode()
        process.stderr.close()
        checks.that(process.wait() >= 0, "show | head: killed by a signal")
        checks.that("terminate" not in err, f"show | head: {err}")


def jsons(checks):
    """The same facts in text and JSON, for each verdict that can be had quickly."""
    wrong = ("--plusarg", "misbehave=8", "--plusarg", "at=5")
    for arguments in ((), wrong, ("--plusarg", "misbehave=5", "--plusarg", "at=5"),
                      ("--plusarg", "misbehave=1", "--plusarg", "at=5")):
        text = run_tiny("--no-record", *arguments)
        done = run_tiny("--no-record", "--json", *arguments)
        j = done.json()
        checks.equal(text.status, done.status, f"{arguments}: exit codes")
        checks.equal(j["exit_code"], done.status, f"{arguments}: exit code in the JSON")
        checks.that(j["headline"] in text.out, f"{arguments}: headline in both")
        checks.that(j["headline"].startswith(j["verdict"]), f"{arguments}: headline and verdict")
        for key in ("values_compared", "compared_fields", "not_compared", "masked", "provenance",
                    "reproduce", "end", "divergence", "seconds", "clocks"):
            checks.that(key in j, f"{arguments}: no {key} in the JSON")
        checks.that(j["reproduce"].split(" --seed")[0].replace(" --json", "") in
                    text.out.replace("\n", " "), f"{arguments}: line to reproduce")
    build = tool.run("build", tool.TINY_CORE, "--json")
    checks.equal(build.status, 0, f"build --json; {build.err}")
    checks.that(build.json()["cached"] and os.path.exists(build.json()["host"]), "build --json")
    faults = tool.run("run", tool.SNN_CORE, "--list-faults", "--json")
    checks.equal(len(faults.json()), 30, "--list-faults --json")
    listed = tool.run("run", tool.SNN_CORE, "--list-faults").out.splitlines()
    checks.equal([line.split()[0] for line in listed], [f["name"] for f in faults.json()],
                 "--list-faults")


def masks(checks):
    """Masks of a run, from which the divergence is left out, or not."""
    wrong = ("--no-record", "--json", "--allow-vacuous", "--steps", "6", "--plusarg",
             "misbehave=8", "--plusarg",
             "at=5")
    # The core is wrong in timestep 5, neuron 2, by less than 128.
    for mask, status in (("v", 0), ("v:2", 0), ("v:0-2", 0), ("v@5", 0), ("v:2@5", 0),
                         ("v:2@0-9~15", 0), ("v~63", 0), ("*", 3), ("v:3", 1), ("v@4", 1),
                         ("spike", 1),
                         ("v:0-1", 1)):
        done = run_tiny(*wrong, "--mask", mask)
        checks.equal(done.status, status, f"--mask {mask}: {done.err}")
        if done.out:
            j = done.json()
            checks.equal(len(j["masked"]), 1, f"--mask {mask}: told in the JSON")
            checks.matches(j["headline"], r"masked", f"--mask {mask}: told in the headline")
    for mask in ("", "v:", "v:x", "v:3-1", "v~0", "v~64", "v:1:", "v@@", "v:4294967296"):
        done = run_tiny(*wrong, "--mask", mask)
        checks.equal(done.status, 2, f"--mask '{mask}'")
        checks.matches(done.err,
                       r"^error: .*expected FIELD\[:N\[-M\]\]\[@T\[-U\]\]\[~BITS\]|^error:",
                       f"--mask '{mask}'")


def decoded(file):
    """Everything in a trace, by name."""
    all_of = {}

    def visit(name, item):
        all_of[name, "attributes"] = {k: str(v) for k, v in item.attrs.items()}
        if isinstance(item, h5py.Dataset):
            all_of[name, "data"] = (item.dtype.str, np.asarray(item[()]).tolist())

    with h5py.File(file) as h5:
        h5.visititems(visit)
        all_of["", "attributes"] = {k: str(v) for k, v in h5.attrs.items()}
    return all_of


def equal_runs(checks):
    """Equal command lines give equal output (but for times) and equal traces; another seed other
    ones."""
    with tempfile.TemporaryDirectory() as folder:
        def record(seed):
            done = run_tiny("--record", "t.h5", "-q", "--seed", seed, cwd=folder)
            checks.equal(done.status, 0, f"seed {seed}: {done.err}")
            file = pathlib.Path(folder) / "t.h5"
            return tool.re.sub(TIMES, "", done.out, flags=tool.re.MULTILINE), decoded(file)

        one, again, other = record(3), record(3), record(4)
        checks.equal(one[0], again[0], "output of equal runs")
        checks.that(one[1] == again[1], "traces of equal runs: " + str(
            [key for key in one[1] if one[1][key] != again[1].get(key)]))
        checks.that(one[1]["trace/fields/v", "data"] != other[1]["trace/fields/v", "data"],
                    "another seed gives the same voltages")


def reproduces(checks):
    """The line that the report ends with gives the same report."""
    with tempfile.TemporaryDirectory() as folder:
        first = run_tiny("--no-record", "--plusarg", "misbehave=8", "--plusarg", "at=77", "--seed",
                         "9")
        line = first.out.rstrip().splitlines()[-1]
        checks.matches(line, r"^reproduce: spikelock run ", "last line of a report")
        words = tool.re.sub(r"^reproduce: spikelock ", "", line)
        done = subprocess.run([f"{tool.SPIKELOCK} {words}"], shell=True, capture_output=True,
                              text=True, cwd=folder)
        strip = lambda text: tool.re.sub(TIMES, "", text, flags=tool.re.MULTILINE)  # noqa: E731
        checks.equal(done.returncode, first.status, "exit code of the reproduced run")
        checks.equal(strip(done.stdout), strip(first.out), "report of the reproduced run")


def main():
    checks = tool.Checks()
    helps(checks)
    streams(checks)
    jsons(checks)
    masks(checks)
    equal_runs(checks)
    reproduces(checks)
    checks.finish()


if __name__ == "__main__":
    main()

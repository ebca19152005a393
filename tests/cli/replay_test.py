#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A trace holds the input that was applied: read with h5py it is what the seed makes, and from it
alone the run is replayed."""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

STEPS = 400


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        first, again = folder / "first.h5", folder / "again.h5"
        done = tool.run("run", tool.TINY_CORE, "--seed", "5", "--record", first, "-q")
        checks.equal(done.status, 0, f"run: {done.err}")
        with h5py.File(first) as trace:
            events = {key: trace["stimulus/events"][key][:]
                      for key in ("timestep", "port", "address", "payload")}
            checks.equal(trace["stimulus"].attrs["n_steps"], STEPS, "timesteps of the input")
            about = json.loads(trace.attrs["provenance"])["stimulus"]
        checks.that(np.all(np.diff(events["timestep"].astype(np.int64)) >= 0), "not ascending")
        checks.that(100 < len(events["timestep"]) < 2 * STEPS * 8, "number of events")
        checks.equal(set(events["payload"]), {1}, "payloads")
        checks.equal((about["kind"], about["seed"], about["steps"]), ("poisson", 5, STEPS),
                     "provenance")
        checks.matches(about["sha256"], r"^[0-9a-f]{64}$", "hash of the first timesteps")

        shown = tool.run("show", first)
        checks.matches(shown.out, rf"^input: {len(events['timestep']):,} events$", "show")
        checks.equal(tool.run("show", first, "--json").json()["stimulus"],
                     {"first_step": 0, "n_steps": STEPS, "events": len(events["timestep"]),
                      "side_bands": []}, "show --json")

        # The golden alone is given the same.
        alone = folder / "golden.h5"
        done = tool.run("trace", tool.TINY_CORE, "--seed", "5", "--record", alone, "-q")
        checks.equal(done.status, 0, f"trace: {done.err}")
        with h5py.File(alone) as trace:
            checks.that(all(np.array_equal(trace["stimulus/events"][key][:], events[key])
                            for key in events), "input of the golden alone")
            checks.equal(json.loads(trace.attrs["provenance"])["stimulus"], about,
                         "provenance of the golden alone")

        done = tool.run("convert", first, folder / "applied.csv", "--to", "input")
        checks.equal(done.status, 0, f"convert: {done.err}")
        replay = ("--set", "stimulus.kind=events", "--set",
                  f"stimulus.file={folder / 'applied.csv'}", "-q")
        done = tool.run("run", tool.TINY_CORE, *replay, "--record", again)
        checks.equal(done.status, 0, f"replay: {done.err}")
        j = tool.run("diff", first, again, "--json").json()
        checks.equal((j["verdict"], j["steps_compared"]), ("MATCH", STEPS), "replay")
        # Another seed is another run, so that this can tell.
        other = folder / "other.h5"
        tool.run("run", tool.TINY_CORE, "--seed", "6", "--record", other, "-q")
        checks.equal(tool.run("diff", first, other, "--json").json()["verdict"], "DIVERGED",
                     "another seed")
        with h5py.File(other) as trace:
            theirs = json.loads(trace.attrs["provenance"])["stimulus"]["sha256"]
        checks.that(theirs != about["sha256"], "the hash does not depend on the seed")
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock diff` on pairs of traces that differ in exactly one thing. The variants are made with
stock h5py, so that nothing of Spikelock's writer has a say in them."""

import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

STEPS, NEURONS = 400, 4
ALL = STEPS * NEURONS * 2  # v and spike
T, N = 123, 2              # where the variants differ


def replaced(file, name, data):
    """Puts other contents into a dataset, keeping its attributes."""
    old = dict(file[name].attrs)
    del file[name]
    file[name] = data
    file[name].attrs.update(old)


def flip_voltage(file):
    v = file["trace/fields/v"][:]
    v[T, N] ^= 1
    replaced(file, "trace/fields/v", v)


def flip_spike(file):
    bits = file["trace/spike_bits"][:]
    bits[T, 0] ^= np.uint64(1 << N)
    replaced(file, "trace/spike_bits", bits)


def invalid_step(file):
    valid = np.ones(STEPS, np.uint8)
    valid[T] = 0
    file["trace/valid"] = valid


def invalid_value(file):
    mask = np.full((STEPS, 1), (1 << NEURONS) - 1, np.uint64)
    mask[T, 0] ^= np.uint64(1 << N)
    file["trace/masks/v"] = mask


def same(_):
    pass


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)

        def record(file, *arguments):
            done = tool.run("run", tool.TINY_CORE, "--record", folder / file, "-q", *arguments)
            checks.equal(done.status, 0, f"recording {file}: {done.err}")

        def variant(file, change):
            shutil.copy(folder / "full.h5", folder / file)
            with h5py.File(folder / file, "r+") as h5:
                change(h5)

        def diff(a, b, *arguments):
            done = tool.run("diff", folder / a, folder / b, "--json", *arguments)
            what = f"diff {a} {b} {' '.join(arguments)}"
            if not checks.that(done.out, f"{what}: {done.err}"):
                return None, what
            j = done.json()
            checks.equal(j["exit_code"], done.status, f"{what}: exit code in the JSON")
            text = tool.run("diff", folder / a, folder / b, *arguments)
            checks.equal(text.status, done.status, f"{what}: exit code as text")
            checks.matches(text.out, rf"^{j['verdict']}\b", f"{what}: verdict as text")
            return j, what

        def expect(a, b, verdict, place, *arguments):
            j, what = diff(a, b, *arguments)
            if j is None:
                return {}
            checks.equal(j["verdict"], verdict, what)
            checks.equal(j["exit_code"], {"MATCH": 0, "DIVERGED": 1, "INCONCLUSIVE": 3}[verdict],
                         what)
            d = j["divergence"]
            checks.equal(d and (d["timestep"], d["neuron"], d["field"]), place, f"{what}: place")
            return j

        record("full.h5")
        record("short.h5", "--steps", "300")
        for file, change in (("same.h5", same), ("voltage.h5", flip_voltage),
                             ("spike.h5", flip_spike), ("step.h5", invalid_step),
                             ("value.h5", invalid_value)):
            variant(file, change)

        j = expect("full.h5", "same.h5", "MATCH", None)
        checks.equal(j.get("values_compared"), ALL, "values of equal traces")

        for a, b in (("full.h5", "short.h5"), ("short.h5", "full.h5")):
            j = expect(a, b, "INCONCLUSIVE", None)
            checks.equal(j.get("steps_compared"), 300, f"{a} {b}: timesteps compared")
            checks.matches(str(j.get("reason")), r"300", f"{a} {b}: reason")
            checks.matches(" ".join(j.get("notes", [])), r"holds \d+ timesteps.*holds \d+",
                           f"{a} {b}: lengths")

        for a, b in (("full.h5", "voltage.h5"), ("voltage.h5", "full.h5")):
            j = expect(a, b, "DIVERGED", (T, N, "v"))
            d = j["divergence"]
            checks.equal((d["n_differences"], d["last_agreed"]), (1, T - 1), f"{a} {b}")
            values = (d["differences"][0]["expected"], d["differences"][0]["actual"])
            checks.equal(values[0] ^ values[1], 1, f"{a} {b}: both values {values}")
            expect(a, b, "MATCH", None, "--mask", "v~1")
            expect(a, b, "MATCH", None, "--mask", f"v:{N}")
            expect(a, b, "MATCH", None, "--mask", f"v@{T}")
            expect(a, b, "MATCH", None, "--mask", f"*:{N}-{N}@{T}-{T}")
            expect(a, b, "MATCH", None, "--fields", "spike")
            # Masks beside the place, and of another field, change nothing.
            expect(a, b, "DIVERGED", (T, N, "v"), "--mask", f"v:{N + 1}", "--mask", f"v@{T + 1}",
                   "--mask", f"v@0-{T - 1}", "--mask", "spike")

        for a, b in (("full.h5", "spike.h5"), ("spike.h5", "full.h5")):
            j = expect(a, b, "DIVERGED", (T, N, "spike"))
            checks.equal(abs(j["spikes_expected"] - j["spikes_actual"]), 1, f"{a} {b}: spikes")
            j = expect(a, b, "DIVERGED", (T, N, "spike"), "--spikes")
            total = j["spike_diff"]["total"] if "spike_diff" in j else {}
            checks.equal(sorted((total.get("missing"), total.get("extra"))), [0, 1],
                         f"{a} {b}: spike_diff")
            expect(a, b, "MATCH", None, "--mask", "spike")
            # Without a network the chain lists what fired before, and nothing of other times.
            chain = expect(a, b, "DIVERGED", (T, N, "spike"), "--chain").get("causal_chain", {})
            earlier = [node for node in chain.get("nodes", []) if node["kind"] == "spike"]
            checks.equal(chain.get("connectivity"), False, f"{a} {b}: connectivity of the chain")
            checks.equal(all(node["timestep"] < T for node in earlier), True, f"{a} {b}: chain")

        for a, b in (("full.h5", "step.h5"), ("step.h5", "full.h5")):
            j = expect(a, b, "INCONCLUSIVE", None)
            checks.equal((j.get("steps_invalid"), j.get("steps_compared")), (1, STEPS - 1),
                         f"{a} {b}: invalid timesteps")
            checks.matches(str(j.get("reason")), str(T), f"{a} {b}: reason")
        for a, b in (("full.h5", "value.h5"), ("value.h5", "full.h5")):
            j = expect(a, b, "INCONCLUSIVE", None)
            checks.equal((j.get("values_invalid"), j.get("values_compared")), (1, ALL - 1),
                         f"{a} {b}: invalid values")
        # Not observed on both sides alike: there is nothing that one side lost.
        expect("value.h5", "value.h5", "MATCH", None)

        # A difference before the loss counts, one after it does too: it is no MATCH either way.
        expect("voltage.h5", "short.h5", "DIVERGED", (T, N, "v"))
    checks.finish()


if __name__ == "__main__":
    main()

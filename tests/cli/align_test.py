#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock diff` on files of other tools, aligned or not, and `spikelock convert` between them.
The arrays are made and read here with numpy and h5py. What the real recordings hold was counted
with numpy too; those tests are skipped where the data is not there."""

import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

STEPS, NEURONS = 300, 12


def diff(checks, a, b, *arguments, status=None):
    """The JSON of a diff, and its notes as one text."""
    done = tool.run("diff", a, b, "--json", *arguments)
    what = f"diff {a} {b} {' '.join(arguments)}"
    if status is not None:
        checks.equal(done.status, status, f"{what}: {done.err}")
    if not done.out:
        return {}, done.err
    j = done.json()
    return j, "\n".join(j["notes"])


def late(array, lag):
    """The array `lag` timesteps later, zeros before."""
    out = np.zeros_like(array)
    out[lag:] = array[: len(array) - lag]
    return out


def made_up(checks, folder):
    random = np.random.default_rng(1)
    spikes = (random.random((STEPS, NEURONS)) < 0.1).astype(np.uint8)
    v = random.integers(-500, 500, (STEPS, NEURONS)).astype(np.int16)

    def save(name, array):
        np.save(folder / name, array)
        return folder / name

    s, same = save("s.npy", spikes), save("same.npy", spikes.astype(np.float32))
    j, _ = diff(checks, s, same, status=0)
    checks.equal(j.get("values_compared"), STEPS * NEURONS, "values of equal arrays")

    # One timestep late: told without --align, and undone by it.
    shifted = save("late.npy", late(spikes, 1))
    j, notes = diff(checks, s, shifted, status=1)
    checks.equal(j["divergence"]["timestep"], int(np.argwhere(spikes)[0][0]), "first divergence")
    checks.matches(notes, r"^would match if shifted by \+1 timestep \(actual is late\)",
                   "hint of a lag")
    j, notes = diff(checks, s, shifted, "--align", status=0)
    checks.matches(notes, r"^assumed: actual is 1 timestep late", "lag that was assumed")
    checks.equal(j["steps_compared"], STEPS - 1, "timesteps that both have")
    j, notes = diff(checks, shifted, s, "--align", status=0)
    checks.matches(notes, r"^assumed: actual is 1 timestep early", "the other way round")

    # Nothing to assume: nothing is.
    other = (random.random((STEPS, NEURONS)) < 0.1).astype(np.uint8)
    j, notes = diff(checks, s, save("other.npy", other), "--align", status=1)
    checks.matches(notes, r"^assumed: nothing$", "unrelated arrays")
    j, notes = diff(checks, s, folder / "other.npy", status=1)
    checks.that("shifted" not in notes, f"hint for unrelated arrays: {notes}")

    # Order of neurons, transposition, both with a lag.
    for name, order, words in (("reversed", np.arange(NEURONS)[::-1], "reversed"),
                               ("swapped", [0, 1, 5, 3, 4, 2, *range(6, NEURONS)],
                                "2 is 5, 5 is 2$")):
        turned = save(f"{name}.npy", late(spikes[:, order], 2))
        _, notes = diff(checks, s, turned, "--align", status=0)
        checks.matches(notes, rf"^assumed: neurons are in another order: {words}", name)
        checks.matches(notes, r"^assumed: actual is 2 timesteps late", name)
    flat = save("transposed.npy", spikes.T)
    _, said = diff(checks, s, flat, status=2)
    checks.matches(said, r"looks transposed, try --align", "transposed without --align")
    _, notes = diff(checks, s, flat, "--align", status=0)
    checks.matches(notes, r"^assumed: the actual array is transposed", "transposed")
    diff(checks, s, flat, "--orientation", "tn", "--orientation", "nt", status=0)

    # Voltages: scale, offset, tolerances, formats.
    a = save("v.npy", v)
    j, notes = diff(checks, a, save("scaled.npy", v * 0.25 + 3.0), "--align", "--tol",
                    "v=abs:1e-9", status=0)
    checks.matches(notes, r"^assumed: v: actual = 0\.25 \* expected \+ 3;", "scale and offset")
    off = v.astype(np.float64)
    off[200, 3] += 0.4
    off[250, 4] += 2.0
    b = save("off.npy", off)
    j, notes = diff(checks, a, b, status=1)
    checks.equal((j["divergence"]["timestep"], j["divergence"]["neuron"]), (200, 3), "exact")
    checks.matches(notes, r"^v is stored differently", "int16 against float64")
    j, notes = diff(checks, a, b, "--tol", "v=abs:0.5", status=1)
    checks.equal((j["divergence"]["timestep"], j["divergence"]["neuron"]), (250, 4), "abs:0.5")
    checks.matches(notes, r"1 values differ within it, 1 beyond; largest difference 2$", "abs:0.5")
    diff(checks, a, b, "--tol", "v=lsb:2", status=0)
    diff(checks, a, b, "--tol", "v=lsb:1", status=1)
    for wrong in ("v", "v=abs", "v=abs:-1", "v=far:1", "spike=abs:1", "w=abs:1"):
        diff(checks, a, b, "--tol", wrong, status=2)
    return s, a, spikes, v


def converted(checks, folder, s, a, spikes, v):
    """Every way round gives back what went in."""
    def convert(*arguments, status=0):
        done = tool.run("convert", *arguments)
        checks.equal(done.status, status, f"convert {arguments}: {done.err}")
        return done

    convert(a, folder / "v.h5", "--dt", "1e-3")
    with h5py.File(folder / "v.h5") as file:
        checks.that(np.array_equal(file["trace/fields/v"][:], v), "v.h5 differs from v.npy")
        checks.equal(file.attrs["dt"], 1e-3, "dt of v.h5")
    convert(folder / "v.h5", folder / "back.npy", "--field", "v")
    checks.that(np.array_equal(np.load(folder / "back.npy"), v), "back.npy differs")
    checks.equal(np.load(folder / "back.npy").dtype, np.int16, "type of back.npy")
    convert(folder / "v.h5", folder / "t.npy", "--field", "v", "--to-orientation", "nt")
    checks.that(np.array_equal(np.load(folder / "t.npy"), v.T), "t.npy differs")
    convert(folder / "v.h5", folder / "v.csv")
    diff(checks, folder / "v.h5", folder / "v.csv", status=0)
    convert(folder / "v.h5", folder / "v.sonata.h5", "--to", "sonata")
    with h5py.File(folder / "v.sonata.h5") as file:
        checks.that(np.array_equal(file["report/all/data"][:], v), "report differs")
        checks.equal(list(file["report/all/mapping/time"][:]), [0.0, float(STEPS), 1.0], "time")
    diff(checks, folder / "v.h5", folder / "v.sonata.h5", status=0)

    convert(s, folder / "s.sonata.h5", "--to", "sonata", "--dt", "1e-4")
    with h5py.File(folder / "s.sonata.h5") as file:
        steps, nodes = np.nonzero(spikes)
        checks.that(np.array_equal(file["spikes/all/node_ids"][:], nodes), "node_ids differ")
        checks.that(np.allclose(file["spikes/all/timestamps"][:], steps * 0.1), "times differ")
    diff(checks, s, folder / "s.sonata.h5", "--steps", str(STEPS), status=0)
    convert(s, folder / "events.csv", "--to", "events")
    events = np.loadtxt(folder / "events.csv", delimiter=",", skiprows=1)
    checks.that(np.array_equal(events, np.argwhere(spikes)), "events differ")

    # AEDAT 2 and AEDAT 3.1 of the same spikes, made here byte by byte.
    steps, nodes = np.nonzero(spikes)
    pairs = np.stack([nodes, steps * 100], axis=1)
    (folder / "s2.aedat").write_bytes(b"#!AER-DAT2.0\r\n# made up\r\n" +
                                      pairs.astype(">u4").tobytes())
    head = np.array([12 | 1 << 16, 8, 4, 0, len(steps), len(steps), len(steps)], "<u4").tobytes()
    data = np.stack([nodes << 12 | 1, steps * 100], axis=1).astype("<u4").tobytes()
    (folder / "s3.aedat").write_bytes(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + head +
                                      data)
    np.savetxt(folder / "aer.txt", np.stack([steps * 100, nodes], axis=1), fmt="%d")
    for name, more in (("s2.aedat", ()), ("s3.aedat", ()),
                       ("aer.txt", ("--columns", "time_us,address"))):
        diff(checks, folder / "s.sonata.h5", folder / name, "--steps", str(STEPS), "--dt", "1e-4",
             *more, status=0)

    # NPZ by numpy, and NIRData with the groups and attributes of nir.write_data.
    np.savez_compressed(folder / "both.npz", spikes=spikes, v=v, dt=1e-3)
    diff(checks, folder / "both.npz", folder / "v.h5", "--fields", "v", status=0)
    diff(checks, folder / "both.npz", s, "--fields", "spike", status=0)
    with h5py.File(folder / "nir.h5", "w") as file:
        file.attrs["__type__"] = "NIRGraphData"
        node = file.create_group("nodes/lif")
        node.attrs["__type__"] = "NIRNodeData"
        for name, array in (("spikes", spikes.astype(bool)), ("v", v.astype(np.float32))):
            group = node.create_group(f"observables/{name}")
            group.attrs["__type__"] = "TimeGriddedData"
            group.create_dataset("data", data=array[None], compression="gzip")
            group.attrs["dt"] = 1e-3
    diff(checks, folder / "both.npz", folder / "nir.h5", status=0)
    convert(folder / "nir.h5", folder / "nir.npy", "--field", "v")
    checks.that(np.array_equal(np.load(folder / "nir.npy"), v), "nir.npy differs")
    file = folder / "broken.h5"
    file.write_bytes((folder / "nir.h5").read_bytes()[:-100])
    done = convert(file, folder / "x.npy", status=2)
    checks.matches(done.err, r"broken\.h5: a truncated or damaged HDF5 file", "cut NIRData")

    for arguments, words in (((s, folder / "x.what"), "choose one with --to"),
                             ((s, s), "into itself"),
                             ((folder / "v.h5", folder / "x.npy", "--field", "w"), "no field 'w'"),
                             ((folder / "none.npy", folder / "x.npy"), "none.npy")):
        done = convert(*arguments, status=2)
        checks.that(words in done.err, f"convert {arguments}: {done.err}")
    checks.equal(sorted(p.name for p in folder.glob("x.*")), [], "what failed left a file")


def real(checks, data):
    """Recordings that nobody here made; figures counted with numpy."""
    paper = data / "nir_paper"
    columns = ("--columns", "-,v,spike")
    norse, exact, loihi = (paper / f"lif_{name}.csv"
                           for name in ("norse", "exact", "lava_loihi_fixed"))
    j, notes = diff(checks, norse, loihi, *columns, "--fields", "spike", status=1)
    checks.equal(j["divergence"]["timestep"], 460, "Norse and Loihi: first spike")
    checks.matches(notes, r"^would match if shifted by \+1 timestep", "Norse and Loihi: hint")
    j, notes = diff(checks, norse, loihi, *columns, "--align", "--fields", "spike", status=0)
    checks.equal((j["spikes_expected"], j["spikes_actual"]), (4, 4), "Norse and Loihi: spikes")
    checks.matches(notes, r"^assumed: actual is 1 timestep late \(0 of 1,000 spike bits differ, "
                   "8 without", "Norse and Loihi: lag")
    scale = float(notes.split("v: actual = ")[1].split(" ")[0])
    checks.that(15800 < scale < 16200, f"Norse and Loihi: scale {scale}")
    # In Loihi's own units the voltage is then within 2 % of its range, but for the reset.
    j, notes = diff(checks, norse, loihi, *columns, "--align", "--tol", "v=abs:0.01", status=0)
    j, notes = diff(checks, norse, exact, *columns, "--fields", "spike", status=0)

    snn, spinnaker = (paper / f"rnn_{name}_activity_noDelay_noBias_subtract.npy"
                      for name in ("snntorch", "s2"))
    j, notes = diff(checks, snn, spinnaker, status=1)
    checks.equal((j["divergence"]["timestep"], j["divergence"]["neuron"]), (8, 5),
                 "Braille: first divergence")
    checks.matches(notes, r"^a lag of \+1 timestep \(actual is late\) explains more: 75 instead of "
                   r"123 of 10,240", "Braille: hint")
    j, notes = diff(checks, snn, spinnaker, "--align", status=1)
    checks.matches(notes, r"^assumed: actual is 1 timestep late \(75 of 10,240 spike bits differ, "
                   "123 without", "Braille: lag")

    snn, lava = (paper / f"rnn_{name}_activity_noDelay_bias_zero.npy"
                 for name in ("snntorch", "lava"))
    _, said = diff(checks, snn, lava, status=2)
    checks.matches(said, r"looks transposed", "Lava: transposed")
    j, notes = diff(checks, snn, lava, "--align", status=1)
    checks.matches(notes, r"^assumed: the actual array is transposed", "Lava: transposed")

    # SONATA, both layouts, spikes and a report.
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, spikes in (("300_intfire_inputs_lgn_spikes.h5", 2738),
                             ("9_cells_output_spikes.h5", 78)):
            done = tool.run("convert", data / "sonata" / file, folder / "s.h5", "--dt", "1e-5")
            checks.equal(done.status, 0, f"{file}: {done.err}")
            shown = tool.run("show", folder / "s.h5", "--json").json()
            checks.equal(shown["spikes"], spikes, f"{file}: spikes")
        report = data / "sonata/5_cells_iclamp_output_membrane_potential.h5"
        done = tool.run("convert", report, folder / "v.npy", "--field", "v")
        checks.equal(done.status, 0, f"report: {done.err}")
        with h5py.File(report) as file:
            checks.that(np.array_equal(np.load(folder / "v.npy"),
                                       file["report/biophysical/data"][:]), "report: values")


def main():
    checks = tool.Checks()
    if "--real" in sys.argv[1:]:
        data = pathlib.Path(os.environ.get("SPIKELOCK_DATA", tool.ROOT.parent / "shared/data"))
        if not (data / "nir_paper").is_dir():
            print(f"SKIPPED: no recordings in {data} (set SPIKELOCK_DATA)")
            sys.exit(77)
        real(checks, data)
    else:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            converted(checks, folder, *made_up(checks, folder))
    checks.finish()


if __name__ == "__main__":
    main()

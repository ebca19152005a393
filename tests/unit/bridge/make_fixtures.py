# SPDX-License-Identifier: Apache-2.0
"""Writes NPY and CSV files with numpy, and beside each what numpy itself reads from it.

npy.txt lists: name, dtype, shape (as 2x3, - for a scalar), fortran order. Per name:
  name.npy       the file to read
  name.plain.npy the same array as numpy.save writes it in C order and native byte order
  name.values    the elements in C order, one a line; floats in hexadecimal
csv.txt lists: name, separator, header. Per name: name.csv and name.npy, what numpy.loadtxt gives.
npz.txt lists archives; each holds the arrays that npz_arrays.txt names.
nir.txt lists files of NIRData and what their names go on with: name, timestep, timesteps of a
sample, samples, arrays. Per array: name.array.npy, (timesteps, neurons), NaN where nothing is.
"""
import os
import sys
import zipfile

import h5py
import numpy as np
from numpy.lib import format as npy_format


def text_of(value):
    return float(value).hex() if isinstance(value, float) else str(int(value))


def write_npy_fixtures(out):
    rng = np.random.default_rng(7)
    shapes = [(), (1,), (0,), (7,), (3, 4), (4, 0, 3), (5, 1), (2, 3, 4), (3, 2, 2, 3),
              (200, 70), (123456789012, 0)]
    lines = []
    for dtype in ("?", "i1", "<i2", ">i2", "<i4", ">i4", "<i8", ">i8", "u1", "<u2", ">u2", "<u4",
                  ">u4", "<u8", ">u8", "<f4", ">f4", "<f8", ">f8"):
        kind = np.dtype(dtype)
        for shape in shapes:
            for fortran in (False, True):
                version = [(1, 0), (2, 0), (3, 0)][len(lines) % 3]
                n = int(np.prod(shape))
                if kind.kind == "b":
                    flat = rng.integers(0, 2, n).astype(kind)
                else:  # any bit pattern, NaN and infinity apart
                    flat = np.frombuffer(rng.bytes(n * kind.itemsize), kind)
                    if kind.kind == "f":
                        flat = np.where(np.isfinite(flat), flat, 0).astype(kind)
                array = np.array(flat.reshape(shape), dtype=kind,
                                 order="F" if fortran else "C")
                name = f"a{len(lines)}"
                with open(f"{out}/{name}.npy", "wb") as file:
                    npy_format.write_array(file, array, version=version)
                stored = open(f"{out}/{name}.npy", "rb").read()
                plain = np.ascontiguousarray(array, dtype=kind.newbyteorder("=")).reshape(shape)
                np.save(f"{out}/{name}.plain.npy", plain)
                with open(f"{out}/{name}.values", "w") as file:
                    file.writelines(text_of(v) + "\n" for v in plain.reshape(-1).tolist())
                lines.append(f"{name} {kind.name} {'x'.join(map(str, shape)) or '-'} "
                             f"{int(b'True' in stored[:128])}\n")
    # Headers of every length: their padding has a corner every 64 bytes.
    for shape in [(1,) * ones + (10**zeros,) for ones in range(20) for zeros in range(3)]:
        name, array = f"a{len(lines)}", np.zeros(shape, "i1")
        for path in (f"{out}/{name}.npy", f"{out}/{name}.plain.npy"):
            np.save(path, array)
        with open(f"{out}/{name}.values", "w") as file:
            file.write("0\n" * array.size)
        lines.append(f"{name} int8 {'x'.join(map(str, shape))} 0\n")
    with open(f"{out}/npy.txt", "w") as file:
        file.writelines(lines)


def write_csv_fixtures(out):
    rng = np.random.default_rng(8)
    lines = []
    for separator, word in ((",", "comma"), (";", "semicolon"), ("\t", "tab"), (" ", "blank")):
        for style in ("%.18e", "%.17g", "%d", "%.3f", "shortest"):
            for header in (False, True):
                table = rng.normal(0, 10.0 ** rng.integers(-12, 12), (17, rng.integers(1, 9)))
                name = f"c{len(lines)}"
                path = f"{out}/{name}.csv"
                if style == "shortest":  # numpy 2 would write its own type's name for %r
                    style, table = "%s", np.array([[repr(float(x)) for x in row] for row in table])
                np.savetxt(path, table, fmt=style, delimiter=separator,
                           header=separator.join("abcdefghi"[:table.shape[1]]) if header else "",
                           comments="")
                read = np.loadtxt(path, delimiter=separator, skiprows=int(header), ndmin=2)
                np.save(f"{out}/{name}.npy", read)
                lines.append(f"{name} {word} {int(header)}\n")
    with open(f"{out}/csv.txt", "w") as file:
        file.writelines(lines)


def write_npz_fixtures(out):
    arrays = {f"a{i}": np.load(f"{out}/a{i}.plain.npy") for i in range(0, 400, 7)}
    arrays["a name of words"] = np.arange(6.0).reshape(2, 3)
    np.save(f"{out}/a name of words.plain.npy", arrays["a name of words"])
    np.savez(f"{out}/stored.npz", **arrays)
    np.savez_compressed(f"{out}/deflated.npz", **arrays)
    # Sizes and offsets of 64 bits in the directory, as for archives beyond 4 GiB.
    limits = zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT
    zipfile.ZIP64_LIMIT = zipfile.ZIP_FILECOUNT_LIMIT = 10
    np.savez_compressed(f"{out}/zip64.npz", **arrays)
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = limits
    # Made by hand: other files between, a comment at the end.
    with zipfile.ZipFile(f"{out}/mixed.npz", "w") as archive:
        archive.writestr("README", "arrays follow")
        archive.comment = b"PK\5\6, which begins no record here " * 3
        for number, name in enumerate(arrays):
            archive.write(f"{out}/{name}.plain.npy", f"{name}.npy",
                          (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[number % 2])
    with open(f"{out}/npz.txt", "w") as file:
        file.write("stored\ndeflated\nzip64\nmixed\n")
    with open(f"{out}/npz_arrays.txt", "w") as file:
        file.writelines(f"{name}\n" for name in arrays)


class NirFile:
    """Groups, datasets and attributes as nir.write_data of nir 1.0.8 makes them."""

    def __init__(self, path):
        self.file = h5py.File(path, "w")
        self.file.attrs["__type__"] = "NIRGraphData"
        self.file.create_group("nodes")

    def graph(self, name):
        group = self.file["nodes"].create_group(name)
        group.attrs["__type__"] = "NIRGraphData"
        return group.create_group("nodes")

    def observable(self, node, name, kind, parent=None):
        nodes = parent if parent is not None else self.file["nodes"]
        if node not in nodes:
            nodes.create_group(node).attrs["__type__"] = "NIRNodeData"
            nodes[node].create_group("observables")
        group = nodes[node]["observables"].create_group(name)
        group.attrs["__type__"] = kind
        return group

    def grid(self, node, name, data, dt, parent=None):
        group = self.observable(node, name, "TimeGriddedData", parent)
        group.create_dataset("data", data=data, dtype=data.dtype, compression="gzip")
        group.attrs["dt"] = dt

    def events(self, node, name, idx, time, n_neurons, t_max, value=None):
        kind = "EventData" if value is None else "ValuedEventData"
        group = self.observable(node, name, kind)
        group.create_dataset("idx", data=idx, dtype=idx.dtype, compression="gzip")
        group.create_dataset("time", data=time, dtype=time.dtype, compression="gzip")
        group.attrs["n_neurons"] = n_neurons
        group.attrs["t_max"] = t_max
        if value is not None:
            group.create_dataset("value", data=value, dtype=value.dtype, compression="gzip")


def write_nir_fixtures(out):
    rng = np.random.default_rng(9)
    lines = []

    def done(name, nir, dt, steps, samples, **arrays):
        nir.file.close()
        for key, array in arrays.items():
            np.save(f"{out}/nir_{name}.{key}.npy", array.astype(float))
        lines.append(f"nir_{name} {dt} {steps} {samples} {' '.join(arrays)}\n")

    # Two nodes on a grid, one of them inside a graph and without voltages.
    nir = NirFile(f"{out}/nir_grid.h5")
    spikes = rng.random((3, 20, 5)) < 0.2
    v = rng.normal(size=(3, 20, 5)).astype(np.float32)
    inner = rng.random((3, 20, 2)) < 0.3
    nir.grid("lif", "spikes", spikes, 0.001)
    nir.grid("lif", "membrane", v, 0.001)
    nir.grid("out", "spike", inner.astype(np.int64), 0.001, nir.graph("sub"))
    done("grid", nir, 0.001, 20, 3,
         spike=np.concatenate([spikes, inner], axis=2).reshape(60, 7),
         membrane=np.concatenate([v, np.full((3, 20, 2), np.nan)], axis=2).reshape(60, 7))

    # Events in two samples, filled up, with values beside them: nir puts them on a grid by
    # floor(time / dt).
    nir = NirFile(f"{out}/nir_events.h5")
    steps, dt, places = 40, 0.005, 30
    idx = rng.integers(0, 6, (2, places))
    time = np.sort(rng.random((2, places)) * steps * dt, axis=1)
    idx[:, -5:], time[:, -5:] = -1, np.inf
    value = rng.normal(size=(2, places))
    grid, values = np.zeros((2, steps, 6)), np.full((2, steps, 6), np.nan)
    for sample, place in np.ndindex(2, places - 5):
        at = sample, int(np.floor(time[sample, place] / dt)), idx[sample, place]
        grid[at] += 1
        values[at] = value[sample, place]
    nir.events("lif", "spikes", idx, time, 6, steps * dt)
    nir.events("lif", "current", idx, time, np.int64(6), steps * dt, value)
    done("events", nir, dt, steps, 2, spike=grid.reshape(-1, 6), current=values.reshape(-1, 6))

    # The only observable without values is the spikes whatever it is called; times are products.
    nir = NirFile(f"{out}/nir_products.h5")
    step = np.arange(99)
    nir.events("n", "events", (step % 4)[None], (step * 0.0001)[None], 4, 0.0099)
    done("products", nir, 0.0001, 99, 1, spike=np.eye(4)[step % 4])
    with open(f"{out}/nir.txt", "w") as file:
        file.writelines(lines)


def main():
    source, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    write_npy_fixtures(out)
    write_csv_fixtures(out)
    write_npz_fixtures(out)
    write_nir_fixtures(out)
    # The digits of the example, for images read both ways.
    table = np.loadtxt(f"{source}/examples/010_digits/test_images.csv", np.int64, delimiter=",",
                       skiprows=1)
    np.save(f"{out}/digits.npy", np.asfortranarray(table[:, 1:].reshape(-1, 8, 8).astype(">u2")))
    np.save(f"{out}/digit_labels.npy", table[:, 0])


main()

# SPDX-License-Identifier: Apache-2.0
"""Writes NPY and CSV files with numpy, and beside each what numpy itself reads from it.

npy.txt lists: name, dtype, shape (as 2x3, - for a scalar), fortran order. Per name:
  name.npy       the file to read
  name.plain.npy the same array as numpy.save writes it in C order and native byte order
  name.values    the elements in C order, one a line; floats in hexadecimal
csv.txt lists: name, separator, header. Per name: name.csv and name.npy, what numpy.loadtxt gives.
"""
import os
import sys

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


def main():
    source, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    write_npy_fixtures(out)
    write_csv_fixtures(out)
    # The digits of the example, for images read both ways.
    table = np.loadtxt(f"{source}/examples/010_digits/test_images.csv", np.int64, delimiter=",",
                       skiprows=1)
    np.save(f"{out}/digits.npy", np.asfortranarray(table[:, 1:].reshape(-1, 8, 8).astype(">u2")))
    np.save(f"{out}/digit_labels.npy", table[:, 0])


main()

# SPDX-License-Identifier: Apache-2.0
"""Prints every value of a trace, read with nothing but h5py and numpy."""
import json
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as f:
    shape = json.loads(f.attrs["shape"])
    steps, neurons = f.attrs["n_steps"], f.attrs["n_neurons"]
    bits = np.unpackbits(f["trace/spike_bits"][:].view(np.uint8), axis=1, bitorder="little")
    mask = np.unpackbits(f["trace/masks/v"][:].view(np.uint8), axis=1, bitorder="little")
    columns = [bits[:, :neurons], f["trace/counts"][:]]
    for field in shape["fields"]:
        values = f["trace/fields/" + field["name"]][:]
        columns.append(values.view(np.int64) if field["float"] else values)
    columns.append(mask[:, :neurons])
    valid = f["trace/valid"][:]
    assert len(valid) == steps
    for t in range(steps):
        rows = [c[t].tolist() for c in columns]
        print(valid[t], *(v for n in range(neurons) for v in (row[n] for row in rows)))
    for population in shape["populations"]:
        spikes = f["spikes"][population["label"]]
        times = np.rint(spikes["timestamps"][:] / 1000.0 / f.attrs["dt"]).astype(int)
        for node, time in zip(spikes["node_ids"][:], times):
            print(population["label"], node, time)
    events, taken, inputs = f["trace/events"], f["trace/taken"], f["stimulus/events"]
    for row in zip(*(events[c][:] for c in ("timestep", "neuron", "clock"))):
        print("event", *row)
    for row in zip(*(taken[c][:] for c in ("timestep", "port", "address"))):
        print("taken", *row)
    for row in zip(*(inputs[c][:] for c in ("timestep", "port", "address", "payload"))):
        print("input", *row)
    assert f["stimulus"].attrs["n_steps"] == steps
    for band in json.loads(f["stimulus"].attrs["side_bands"]):
        assert band["recorded"]
        for row in f["stimulus/side_bands"][band["name"]][:]:
            print(band["name"], *row)
    print("end", f["spikes/out/timestamps"].attrs["units"], f.attrs["complete"])

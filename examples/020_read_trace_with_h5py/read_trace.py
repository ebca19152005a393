#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a trace recorded by spikelock with nothing but h5py and numpy.

    read_trace.py TRACE.h5 [NEURON]

Prints what the trace holds, firing rates per population, what was applied, and the first
timesteps of one neuron.
"""
import json
import sys

import h5py
import numpy as np


def spike_matrix(trace, first=0, count=None):
    """Spikes of timesteps first..first+count-1 as a bool array, shape (timesteps, neurons)."""
    words = trace["trace/spike_bits"][first : None if count is None else first + count]
    bits = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
    return bits[:, : trace.attrs["n_neurons"]].astype(bool)


def field(trace, name, rows=slice(None)):
    """A field in its units (raw integers times the scale), shape (timesteps, neurons)."""
    dataset = trace["trace/fields"][name]
    return dataset[rows] * dataset.attrs["scale"]


def valid_steps(trace):
    """Whether each timestep holds data; the dataset is there only where not all do."""
    if "valid" in trace["trace"]:
        return trace["trace/valid"][:].astype(bool)
    return np.ones(trace.attrs["n_steps"], bool)


def input_events(trace):
    """The input as applied: arrays timestep, port, address and payload of equal length."""
    events = trace["stimulus/events"]
    return {name: events[name][:] for name in ("timestep", "port", "address", "payload")}


def main():
    neuron = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with h5py.File(sys.argv[1], "r") as trace:
        if trace.attrs["format"] != "spikelock-trace":
            sys.exit(f"{sys.argv[1]}: not a trace of spikelock")
        shape = json.loads(trace.attrs["shape"])
        steps, dt = trace.attrs["n_steps"], trace.attrs["dt"]
        print(f"{trace.attrs['n_neurons']} neurons, {steps} timesteps of {dt:g} s, "
              f"{'complete' if trace.attrs['complete'] else 'ends early'}")
        for f in shape["fields"]:
            integer = f"{f['bits']} bits, {f['frac_bits']} of them fraction"
            kind = "float64" if f["float"] else integer
            print(f"  {f['name']}: {kind}")

        spikes = spike_matrix(trace)
        seconds = valid_steps(trace).sum() * dt
        for p in shape["populations"]:
            fired = int(spikes[valid_steps(trace), p["begin"] : p["end"]].sum())
            rate = fired / seconds / max(p["end"] - p["begin"], 1)
            print(f"  {p['label']}: {fired} spikes, {rate:.3f} Hz a neuron")

        labels = trace["samples/label"].asstr()[:]
        if len(labels):
            print(f"{len(labels)} samples, the first '{labels[0]}' over timesteps "
                  f"{trace['samples/begin'][0]}..{trace['samples/end'][0] - 1}")
        if "stimulus" in trace:
            events = input_events(trace)
            ports = ", ".join(f"{np.sum(events['port'] == p)} on port {p}"
                              for p in np.unique(events["port"]))
            print(f"input: {len(events['timestep'])} events{': ' + ports if ports else ''}")
            for band in json.loads(trace["stimulus"].attrs["side_bands"]):
                where = "recorded" if band["recorded"] else "not recorded, see the seed"
                print(f"  {band['name']}: {band['width']} values a timestep, {where}")
        names = [f["name"] for f in shape["fields"]]
        print(f"neuron {neuron}: timestep, spike, " + ", ".join(names))
        for t in range(min(steps, 5)):
            values = (f"{field(trace, n, t)[neuron]:g}" for n in names)
            print(f"  {t} {int(spikes[t, neuron])}", *values)


if __name__ == "__main__":
    main()

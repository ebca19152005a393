#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reference of docs/model.md in plain Python, with every injected fault of rtl/faults.toml.

It is the third, independent reading of the model: it never calls Spikelock. Its use is to say,
before any RTL runs, in which (sample, timestep, neuron, field) a fault must first show.

A network is a dict (or a JSON file) whose keys are the members of golden::Network:

    {"name": "...", "dt": 1e-3,
     "arithmetic": {"v_bits": 16, ..., "leak_mode": 0, "rounding": 0, ...},   (codes or names)
     "ports": [{"label": "in", "begin": 0, "end": 2}],
     "populations": [...],                                                    (ignored)
     "neurons": [{"threshold": 100, "leak": 4, ...}, ...],
     "row_begin": [0, 2, ...],
     "synapses": {"target": [...], "weight": [...], "delay": [...]}}

`synapses` may also be a list of {"target", "weight", "delay"}. Missing members have the defaults of
the C++ header. Stimulus is a list of samples, {"steps": T, "start": "clear" or "keep",
"events": [[timestep, axon], ...]}, timesteps counted inside the sample, events in the order in
which the core accepts them.
"""

import argparse
import json
from collections import namedtuple

import numpy as np

FIELDS = ("i_syn", "u", "v", "refr", "spike")  # causal order
CODES = {
    "leak_mode": ("shift", "multiply"),
    "rounding": ("floor", "toward_zero", "away_from_zero", "nearest_even"),
    "v_overflow": ("wrap", "saturate"),
    "acc_overflow": ("wrap", "saturate"),
    "compare": ("greater_equal", "greater"),
    "reset_mode": ("value", "subtract"),
}
ARITHMETIC = {
    "v_bits": 16, "u_bits": 16, "acc_bits": 20, "weight_bits": 8, "leak_frac": 12, "refr_bits": 8,
    "delay_slots": 4, "v_frac": 0, "leak_mode": 0, "rounding": 0, "v_overflow": 1,
    "acc_overflow": 0, "compare": 0, "reset_mode": 0, "weight_shift": 0, "u_shift": 0,
}
NEURON = {
    "threshold": 1, "v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0, "refractory": 0,
    "spiking": True, "cuba": False,
}
FLOOR, TOWARD_ZERO, AWAY_FROM_ZERO, NEAREST_EVEN = range(4)

Difference = namedtuple("Difference", "sample timestep neuron field expected actual")


def fit(x, width, saturate):
    """`fit` of model.md section 1."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    if saturate:
        return min(max(x, low), high)
    return ((x - low) & ((1 << width) - 1)) + low


def rnd(x, s, mode):
    """`rnd` of model.md section 1."""
    if s == 0:
        return x
    if mode == FLOOR:
        return x >> s
    if mode == TOWARD_ZERO:
        return -((-x) >> s) if x < 0 else x >> s
    if mode == AWAY_FROM_ZERO:
        up = (1 << s) - 1
        return -((-x + up) >> s) if x < 0 else (x + up) >> s
    return (x + (1 << (s - 1)) - 1 + ((x >> s) & 1)) >> s


class Network:
    """A network with every default filled in."""

    def __init__(self, description):
        arithmetic = dict(ARITHMETIC)
        for key, value in description.get("arithmetic", {}).items():
            if key not in ARITHMETIC:
                raise ValueError(f"arithmetic: unknown member '{key}'")
            if isinstance(value, str):
                value = CODES[key].index(value)
            arithmetic[key] = int(value)
        self.arithmetic = arithmetic
        self.neurons = []
        for given in description["neurons"]:
            unknown = set(given) - set(NEURON)
            if unknown:
                raise ValueError(f"neurons: unknown member '{sorted(unknown)[0]}'")
            self.neurons.append(namedtuple("NeuronParams", NEURON)(**{**NEURON, **given}))
        self.n_neurons = len(self.neurons)
        self.n_axons = max((p["end"] for p in description.get("ports", [])), default=0)
        synapses = description.get("synapses", [])
        if isinstance(synapses, dict):
            synapses = list(zip(synapses["target"], synapses["weight"],
                                synapses.get("delay", [0] * len(synapses["target"]))))
        else:
            synapses = [(s["target"], s["weight"], s.get("delay", 0)) for s in synapses]
        begin = description["row_begin"]
        if len(begin) != self.n_axons + self.n_neurons + 1:
            raise ValueError(f"row_begin: expected {self.n_axons + self.n_neurons + 1} numbers, "
                             f"found {len(begin)}")
        self.rows = [synapses[begin[s]:begin[s + 1]] for s in range(len(begin) - 1)]
        for source, row in enumerate(self.rows):
            for target, _, delay in row:
                neuron = source - self.n_axons
                if delay == 0 and neuron >= 0 and target <= neuron:
                    raise ValueError(f"synapse {neuron} -> {target}: delay 0 to an earlier neuron")
                if not (0 <= target < self.n_neurons and delay < arithmetic["delay_slots"]):
                    raise ValueError(f"source {source}: synapse out of range")


class Core:
    """State of the network and one timestep of it; `fault` is None or a name of faults.toml."""

    def __init__(self, network, fault=None):
        self.net = network
        self.fault = fault
        self.v = [0] * network.n_neurons
        self.u = [0] * network.n_neurons
        self.refr = [0] * network.n_neurons
        self.acc = [[0] * network.n_neurons for _ in range(network.arithmetic["delay_slots"])]
        self.slot = 0

    def clear(self):
        n = self.net.n_neurons
        self.v, self.u, self.refr = [0] * n, [0] * n, [0] * n
        self.acc = [[0] * n for _ in self.acc]
        self.slot = 0

    def decay(self, x, k):
        a = self.net.arithmetic
        if a["leak_mode"] == 1:
            return rnd(x * k, a["leak_frac"], a["rounding"])
        return x if k == 0 else x - rnd(x, k, a["rounding"])

    def deliver_row(self, source):
        a = self.net.arithmetic
        for target, weight, delay in self.net.rows[source]:
            slot = self.acc[(self.slot + delay) % len(self.acc)]
            slot[target] = fit(slot[target] + (weight << a["weight_shift"]), a["acc_bits"],
                               a["acc_overflow"])

    def step(self, axons):
        """One timestep.

        @returns {field: list of N integers}
        """
        a = self.net.arithmetic
        for axon in axons:
            self.deliver_row(axon)
        seen = {field: [0] * self.net.n_neurons for field in FIELDS}
        arriving = self.acc[self.slot]
        for n, p in enumerate(self.net.neurons):
            i_syn = arriving[n]
            arriving[n] = 0
            drive = i_syn + p.bias
            if p.cuba:
                self.u[n] = fit(self.decay(self.u[n], p.u_decay) + drive, a["u_bits"],
                                a["v_overflow"])
                drive = rnd(self.u[n], a["u_shift"], a["rounding"])
            v1 = fit(self.decay(self.v[n], p.leak) + drive, a["v_bits"], a["v_overflow"])
            spike = False
            if self.refr[n] > 0:
                self.refr[n] -= 1
            else:
                above = v1 > p.threshold if a["compare"] else v1 >= p.threshold
                spike = bool(p.spiking) and above
                if spike:
                    self.refr[n] = p.refractory
                    if a["reset_mode"] == 0:
                        v1 = p.v_reset
                    else:
                        v1 = fit(v1 - p.threshold, a["v_bits"], a["v_overflow"])
                self.v[n] = v1
            for field, value in zip(FIELDS, (i_syn, self.u[n], self.v[n], self.refr[n], spike)):
                seen[field][n] = int(value)
            if spike:
                self.deliver_row(self.net.n_axons + n)
        self.slot = (self.slot + 1) % len(self.acc)
        return seen

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


FAULTS = (  # names of rtl/faults.toml in the order of their ids, from 1
    "threshold-compare", "reset-to-zero", "leak-rounding", "wrap-for-saturate", "refractory-short",
    "refractory-long", "fan-out-late", "event-overflow", "event-merged", "spike-swapped",
    "probe-swapped", "stale-weight", "last-synapse-missing", "weight-unsigned", "delay-short",
    "bias-ignored", "acc-not-cleared", "v-truncated", "threshold-previous-v", "refractory-leaks",
    "cuba-frozen", "acc-overflow-mode", "u-shift-floor", "clear-keeps-refr", "clear-misses-slot",
    "leak-skipped", "saturates-positive", "threshold-stale", "spike-overwritten",
    "event-back-to-back",
)
# What these two do depends on clocks, which this model does not know.
UNMODELLED = ("spike-overwritten", "event-back-to-back")


class Core:
    """State of a network and one timestep of it; `fault` is None or one of FAULTS.

    Each fault is a change to a line of the equations, marked by self.has(name), and none to the
    others. The power-on state is all zeros.
    """

    def __init__(self, network, fault=None):
        if fault in UNMODELLED:
            raise ValueError(f"fault '{fault}' depends on clocks and is not modelled")
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"unknown fault '{fault}'")
        self.net = network
        self.fault = fault
        n = network.n_neurons
        self.v, self.u, self.refr = [0] * n, [0] * n, [0] * n
        self.acc = [[0] * n for _ in range(network.arithmetic["delay_slots"])]
        self.slot = 0
        self.clears = 0
        self.timestep = 0  # since the last clear

    def has(self, fault):
        return self.fault == fault

    def clear(self):
        n = self.net.n_neurons
        again = self.clears > 0
        self.clears += 1
        self.v, self.u = [0] * n, [0] * n
        if not (again and self.has("clear-keeps-refr")):
            self.refr = [0] * n
        kept = self.acc[-1]
        self.acc = [[0] * n for _ in self.acc]
        if again and self.has("clear-misses-slot"):
            self.acc[-1] = kept
        self.slot = 0
        self.timestep = 0

    def decay(self, x, k, rounding):
        a = self.net.arithmetic
        if a["leak_mode"] == 1:
            return rnd(x * k, a["leak_frac"], rounding)
        return x if k == 0 else x - rnd(x, k, rounding)

    def decay_v(self, v, k):
        rounding = self.net.arithmetic["rounding"]
        if self.has("leak-rounding") and v < 0:
            rounding ^= 1
        if self.has("leak-skipped") and self.timestep % 128 == 127:
            return v
        return self.decay(v, k, rounding)

    def fit_v1(self, x):
        a = self.net.arithmetic
        saturate = a["v_overflow"] and not self.has("wrap-for-saturate")
        v1 = fit(x, a["v_bits"], saturate)
        if self.has("v-truncated"):
            v1 = fit(v1, a["v_bits"] - 1, False)
        if self.has("saturates-positive") and a["v_overflow"] and x < -(1 << (a["v_bits"] - 1)):
            v1 = (1 << (a["v_bits"] - 1)) - 1
        return v1

    def deliver_row(self, source):
        a = self.net.arithmetic
        row = self.net.rows[source]
        saturate = bool(a["acc_overflow"]) != self.has("acc-overflow-mode")
        if self.has("last-synapse-missing"):
            row = row[:-1]
        before = 0
        for k, (target, weight, delay) in enumerate(row):
            used = weight
            if self.has("stale-weight") and k % 16 == 15:
                used = before
            before = weight
            if self.has("weight-unsigned"):
                used %= 1 << a["weight_bits"]
            if self.has("delay-short") and delay > 0:
                delay -= 1
            if self.has("fan-out-late") and source >= self.net.n_axons:
                delay += 1
            slot = self.acc[(self.slot + delay) % len(self.acc)]
            slot[target] = fit(slot[target] + (used << a["weight_shift"]), a["acc_bits"], saturate)

    def accepted(self, axons):
        """The events of a timestep that are not lost on their way in."""
        for k, axon in enumerate(axons):
            if self.has("event-overflow") and k >= 16:
                continue
            if self.has("event-merged") and k > 0 and axon == axons[k - 1]:
                continue
            yield axon

    def step(self, axons):
        """One timestep: `axons` are its events in the order of acceptance.

        @returns {field: list of N integers}, as observed: `spike` on the stream of output spikes,
                 all others on the probe
        """
        a = self.net.arithmetic
        n_neurons = self.net.n_neurons
        for axon in self.accepted(axons):
            self.deliver_row(axon)
        seen = {field: [0] * n_neurons for field in FIELDS}
        arriving = self.acc[self.slot]
        stale_threshold = None
        for n, p in enumerate(self.net.neurons):
            i_syn = arriving[n]
            arriving[n] = 0
            resting = self.refr[n] > 0
            drive = i_syn
            if not (self.has("bias-ignored") and n >= 32):
                drive += p.bias
            if p.cuba:
                if not (self.has("cuba-frozen") and resting):
                    self.u[n] = fit(self.decay(self.u[n], p.u_decay, a["rounding"]) + drive,
                                    a["u_bits"], a["v_overflow"])
                drive = rnd(self.u[n], a["u_shift"],
                            FLOOR if self.has("u-shift-floor") else a["rounding"])
            v1 = self.fit_v1(self.decay_v(self.v[n], p.leak) + drive)
            threshold = p.threshold
            if self.has("threshold-stale") and stale_threshold is not None:
                threshold = stale_threshold
            stale_threshold = None
            compared = self.v[n] if self.has("threshold-previous-v") else v1
            spike = False
            if resting:
                self.refr[n] -= 1
                if self.has("refractory-leaks"):
                    self.v[n] = v1
            else:
                greater = bool(a["compare"]) != self.has("threshold-compare")
                above = compared > threshold if greater else compared >= threshold
                spike = bool(p.spiking) and above
                if spike:
                    self.refr[n] = p.refractory
                    if self.has("refractory-short") and p.refractory > 0:
                        self.refr[n] -= 1
                    if self.has("refractory-long") and 0 < p.refractory < (1 << a["refr_bits"]) - 1:
                        self.refr[n] += 1
                    if self.has("reset-to-zero"):
                        v1 = 0
                    elif a["reset_mode"] == 0:
                        v1 = p.v_reset
                    else:
                        v1 = fit(v1 - threshold, a["v_bits"], a["v_overflow"])
                self.v[n] = v1
            if spike and self.has("acc-not-cleared"):
                arriving[n] = i_syn
            pair = n ^ 1 if n ^ 1 < n_neurons else n
            shown = pair if self.has("probe-swapped") else n
            for field, value in zip(FIELDS, (i_syn, self.u[n], self.v[n], self.refr[n])):
                seen[field][shown] = value
            if spike:
                seen["spike"][pair if self.has("spike-swapped") else n] = 1
                self.deliver_row(self.net.n_axons + n)
                fanned_out = len(self.net.rows[self.net.n_axons + n]) > 0
                stale_threshold = threshold if fanned_out else None
        self.slot = (self.slot + 1) % len(self.acc)
        self.timestep += 1
        return seen


def timesteps(core, samples):
    """Runs the samples; yields (sample, timestep in the sample, seen)."""
    for s, sample in enumerate(samples):
        if sample.get("start", "clear") == "clear":
            core.clear()
        events = [[] for _ in range(sample["steps"])]
        for t, axon in sample["events"]:
            events[t].append(axon)
        for t, axons in enumerate(events):
            yield s, t, core.step(axons)


def record(network, samples, fault=None):
    """All observations of a run.

    @returns {field: array of int64, shape (timesteps of all samples, N)}
    """
    seen = [row for _, _, row in timesteps(Core(network, fault), samples)]
    return {field: np.array([row[field] for row in seen], dtype=np.int64) for field in FIELDS}


def simulate(network, samples, fault=None):
    """Where the network with `fault` first differs from the network without.

    @returns Difference, or None where the stimulus does not reach the fault. In one timestep the
             lowest neuron comes first, and of its fields the first in causal order.
    """
    right = timesteps(Core(network), samples)
    wrong = timesteps(Core(network, fault), samples)
    for (s, t, expected), (_, _, actual) in zip(right, wrong):
        if expected == actual:
            continue
        for n in range(network.n_neurons):
            for field in FIELDS:
                if expected[field][n] != actual[field][n]:
                    return Difference(s, t, n, field, expected[field][n], actual[field][n])
    return None


def main():
    parser = argparse.ArgumentParser(description="first difference that each fault must show")
    parser.add_argument("network", help="JSON, as described at the head of this file")
    parser.add_argument("samples", help="JSON, as described at the head of this file")
    parser.add_argument("--fault", action="append", help="a name; default: every modelled one")
    args = parser.parse_args()
    with open(args.network, encoding="utf-8") as file:
        network = Network(json.load(file))
    with open(args.samples, encoding="utf-8") as file:
        samples = json.load(file)
    result = {}
    for fault in args.fault or [f for f in FAULTS if f not in UNMODELLED]:
        difference = simulate(network, samples, fault)
        result[fault] = difference._asdict() if difference else None
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

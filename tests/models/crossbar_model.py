# SPDX-License-Identifier: Apache-2.0
"""Model of examples/060_event_crossbar, from its README."""

from collections import deque

from example_common import saturate, wrap

FAULTS = ("fifo-short", "sum-wraps", "row-stuck", "leak-passes-zero", "threshold-above",
          "weight-unsigned", "full-keeps-v", "leak-misses-last")
DEPTH = 16
OWN = 256  # added to the number of a neuron whose spike is the event


class Model:
    """`drain`: each event from outside waits until the core is idle; else own spikes wait until
    all events from outside are taken, as when they come without gaps."""

    FIELDS = ("v", "spike")

    def __init__(self, weights, threshold, leak, fault=None, drain=True):
        self.weights, self.threshold, self.leak = weights, threshold, leak
        self.fault = fault
        self.drain = drain
        self.lost = 0
        self.clear()

    def clear(self):
        self.v = [0] * 256
        self.fifo = deque()

    def event(self, source):
        row = source ^ 1 if self.fault == "row-stuck" and source == OWN + 7 else source
        depth = DEPTH - (self.fault == "fifo-short")
        for n, weight in enumerate(self.weights[row]):
            if self.fault == "weight-unsigned" and n == 255:
                weight &= 15
            total = self.v[n] + 8 * weight
            v = wrap(total, 10) if self.fault == "sum-wraps" else saturate(total, 10)
            fires = v >= self.threshold[n]
            if self.fault == "threshold-above":
                fires = v > self.threshold[n]
            if fires:
                full = len(self.fifo) >= depth
                self.lost += full
                if not full:
                    self.fifo.append(n)
                if not (full and self.fault == "full-keeps-v"):
                    v = 0
            self.v[n] = v

    def own_spikes(self, spikes):
        while self.fifo:
            n = self.fifo.popleft()
            spikes[n] += 1
            self.event(OWN + n)

    def step(self, axons):
        spikes = [0] * 256
        for axon in axons:
            self.event(axon)
            if self.drain:
                self.own_spikes(spikes)
        self.own_spikes(spikes)
        for n, v in enumerate(self.v):
            if self.fault == "leak-misses-last" and n == 255:
                continue
            if v > self.leak:
                v -= self.leak
            elif v < -self.leak:
                v += self.leak
            else:
                v = v - self.leak if self.fault == "leak-passes-zero" and v > 0 else 0
            self.v[n] = v
        return {"v": self.v[:], "spike": spikes}

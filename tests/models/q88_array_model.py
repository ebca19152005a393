# SPDX-License-Identifier: Apache-2.0
"""Model of examples/050_parallel_q88, from its README."""

from example_common import saturate, toward_zero, wrap

FAULTS = ("leak-rounds-down", "threshold-equal", "reset-to-zero", "sum-wraps", "refractory-short",
          "decay-bit", "refractory-leaks", "spikes-swapped")


class Model:
    FIELDS = ("v", "refr", "spike")

    def __init__(self, fault=None, neurons=64, decay=243, threshold=2560, refractory=2):
        self.fault = fault
        self.neurons, self.decay, self.threshold = neurons, decay, threshold
        self.refractory = refractory
        self.clear()

    def clear(self):
        self.v = [0] * self.neurons
        self.pause = [0] * self.neurons

    def step(self, currents):
        spikes = [0] * self.neurons
        for n, current in enumerate(currents):
            decay = self.decay ^ 1 if self.fault == "decay-bit" and n == 50 else self.decay
            product = self.v[n] * decay
            kept = product >> 8 if self.fault == "leak-rounds-down" else toward_zero(product, 256)
            total = kept + current
            clipped = wrap(total, 16) if self.fault == "sum-wraps" else saturate(total, 16)
            if self.pause[n]:
                self.pause[n] -= 1
                if self.fault == "refractory-leaks":
                    self.v[n] = toward_zero(product, 256)
                continue
            above = clipped > self.threshold
            if self.fault == "threshold-equal":
                above = clipped >= self.threshold
            if above:
                spikes[n] = 1
                clipped = 0 if self.fault == "reset-to-zero" else clipped - self.threshold
                self.pause[n] = self.refractory - (self.fault == "refractory-short")
            self.v[n] = clipped
        if self.fault == "spikes-swapped":
            spikes[0], spikes[1] = spikes[1], spikes[0]
        return {"v": self.v[:], "refr": self.pause[:], "spike": spikes}

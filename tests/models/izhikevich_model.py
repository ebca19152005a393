# SPDX-License-Identifier: Apache-2.0
"""Model of examples/080_izhikevich, from its README."""

from example_common import wrap

FAULTS = ("constant-off", "u-not-raised", "peak-above", "u-takes-new-v", "sum-cut",
          "current-negated", "slope-short", "spikes-rotated")
PEAK = 19661
#        a     b      c       d       regular, chattering, fast spiking, low threshold
TYPES = ((1311, 13107, -42598, 5243), (1311, 13107, -32768, 1311), (6554, 13107, -42598, 1311),
         (1311, 16384, -42598, 1311))


def times(x, y):
    return wrap(x * y >> 16, 18)


class Model:
    FIELDS = ("u", "v", "spike")

    def __init__(self, fault=None, neurons=32):
        self.fault = fault
        self.neurons = neurons
        self.types = [TYPES[n * 4 // neurons] for n in range(neurons)]
        self.clear()

    def clear(self):
        self.v = [c for _, _, c, _ in self.types]
        self.u = [times(b, c) for _, b, c, _ in self.types]

    def step(self, currents):
        spikes = [0] * self.neurons
        for n, current in enumerate(currents):
            a, b, c, d = self.types[n]
            v, u = self.v[n], self.u[n]
            if self.fault == "current-negated" and n == 21:
                current = -current
            slope = 4 * v + (v >> 1) if self.fault == "slope-short" else 5 * v
            constant = 91750 + (64 if self.fault == "constant-off" else 0)
            dv = 4 * times(v, v) + slope + constant - u + current
            if self.fault == "sum-cut":
                dv = wrap(dv, 18)
            v1 = wrap(v + (dv >> 4), 18)
            du = times(a, wrap(times(b, v1 if self.fault == "u-takes-new-v" else v) - u, 18))
            u1 = wrap(u + (du >> 4), 18)
            if v1 > PEAK or (v1 == PEAK and self.fault != "peak-above"):
                spikes[n] = 1
                v1 = c
                if self.fault != "u-not-raised":
                    u1 = wrap(u1 + d, 18)
            self.v[n], self.u[n] = v1, u1
        if self.fault == "spikes-rotated":
            spikes = spikes[1:] + spikes[:1]
        return {"u": self.u[:], "v": self.v[:], "spike": spikes}

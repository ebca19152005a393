# SPDX-License-Identifier: Apache-2.0
"""Model of examples/090_lfsr_lif, from its README."""

from example_common import saturate, wrap

FAULTS = ("polynomial", "lfsr-stalls", "noise-unsigned", "chance-bits", "chance-missing",
          "input-stays", "threshold-above", "sum-wraps")


class Model:
    FIELDS = ("v", "spike")

    def __init__(self, network, fault=None):
        self.fault = fault
        self.threshold = [n["threshold"] for n in network["neurons"]]
        begin = network["row_begin"]
        self.rows = [network["synapses"][begin[a]:begin[a + 1]] for a in range(32)]
        self.clear()

    def clear(self):
        self.v = [0] * 64
        self.acc = [0] * 64
        self.lfsr = 0xACE1

    def step(self, axons):
        for axon in axons:
            for n, weight, _ in self.rows[axon]:
                self.acc[n] = wrap(self.acc[n] + weight, 12)
        spikes = [0] * 64
        for n in range(64):
            r = self.lfsr
            chance = {"chance-bits": r & 0xff, "chance-missing": 0}.get(self.fault, r >> 8)
            noise = r & 0x1f if self.fault == "noise-unsigned" else wrap(r, 5)
            total = (self.v[n] * 240 + chance >> 8) + self.acc[n] + 4 * noise
            v = wrap(total, 14) if self.fault == "sum-wraps" else saturate(total, 14)
            limit = self.threshold[n]
            if v > limit or (v == limit and self.fault != "threshold-above"):
                spikes[n] = 1
                v = wrap(v - limit, 14)
            self.v[n] = v
            if not (self.fault == "input-stays" and n == 63):
                self.acc[n] = 0
            if not (self.fault == "lfsr-stalls" and spikes[n]):
                taps = 0xB401 if self.fault == "polynomial" else 0xB400
                self.lfsr = r >> 1 ^ (taps if r & 1 else 0)
        return {"v": self.v[:], "spike": spikes}

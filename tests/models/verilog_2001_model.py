# SPDX-License-Identifier: Apache-2.0
"""Model of examples/100_verilog_2001, from its README."""

from example_common import toward_zero, wrap

FAULTS = ("weight-sign-lost", "leak-toward-zero", "threshold-equal", "reset-to-zero",
          "input-stays", "negative-clipped", "busy-spike-lost")


class Model:
    FIELDS = ("v", "spike")

    def __init__(self, network, fault=None):
        self.fault = fault
        begin = network["row_begin"]
        self.rows = [network["synapses"][begin[a]:begin[a + 1]] for a in range(32)]
        self.clear()

    def clear(self):
        self.v = [0] * 32
        self.acc = [0] * 32

    def step(self, axons):
        for axon in axons:
            for target, weight, _ in self.rows[axon]:
                if self.fault == "weight-sign-lost":
                    weight &= 0x7f
                self.acc[target] = wrap(self.acc[target] + weight, 12)
        spikes = [0] * 32
        for n in range(32):
            v = self.v[n]
            leak = toward_zero(v, 8) if self.fault == "leak-toward-zero" else v >> 3
            v = wrap(v - leak + self.acc[n], 12)
            if self.fault == "negative-clipped" and n == 13:
                v = max(v, 0)
            spikes[n] = int(v > 300 or (self.fault == "threshold-equal" and v == 300))
            if v > 300:
                v = 0 if self.fault == "reset-to-zero" else -64
            self.v[n] = v
            if not (self.fault == "input-stays" and n == 31):
                self.acc[n] = 0
        if self.fault == "busy-spike-lost" and all(spikes[:4]):
            spikes[0] = 0
        return {"v": self.v[:], "spike": spikes}

# SPDX-License-Identifier: Apache-2.0
"""Model of examples/070_banked_serial, from its README."""

from example_common import saturate, toward_zero, wrap

FAULTS = ("clear-misses-bank", "input-wraps", "word-aliased", "threshold-above",
          "leak-toward-zero", "refractory-long", "spike-bank-swapped", "first-event-twice",
          "weight-unsigned")


class Model:
    FIELDS = ("i_syn", "v", "refr", "spike")

    def __init__(self, network, fault=None):
        self.fault = fault
        begin = network["row_begin"]
        self.rows = [network["synapses"][begin[a]:begin[a + 1]] for a in range(64)]
        self.threshold = [n["threshold"] for n in network["neurons"]]
        self.v_reset = network["neurons"][0]["v_reset"]
        self.v = [0] * 128
        self.refr = [0] * 128
        self.acc = [0] * 128

    def clear(self):
        for n in range(128):
            if self.fault == "clear-misses-bank" and n % 4 == 2:
                continue
            self.v[n] = self.refr[n] = self.acc[n] = 0

    def deliver(self, axon):
        for target, weight, _ in self.rows[axon]:
            if self.fault == "weight-unsigned" and target % 4 == 2:
                weight &= 0xff
            total = self.acc[target] + 4 * weight
            self.acc[target] = wrap(total, 14) if self.fault == "input-wraps" \
                else saturate(total, 14)

    def step(self, axons):
        for k, axon in enumerate(axons):
            self.deliver(axon)
            if k == 0 and self.fault == "first-event-twice":
                self.deliver(axon)
        drives, spikes = [0] * 128, [0] * 128
        for n in range(128):
            # The fault: neuron 37 lives in the word of neuron 33.
            word = 33 if self.fault == "word-aliased" and n == 37 else n
            drives[n] = self.acc[word]
            self.acc[word] = 0
            if self.refr[word]:
                self.refr[word] -= 1
                continue
            v = self.v[word]
            leak = toward_zero(v, 32) if self.fault == "leak-toward-zero" else v >> 5
            v = saturate(v - leak + drives[n], 16)
            if v > self.threshold[n] or (v == self.threshold[n]
                                         and self.fault != "threshold-above"):
                shown = (n & ~3) | (n & 1) << 1 | (n >> 1) & 1
                spikes[shown if self.fault == "spike-bank-swapped" else n] = 1
                v = self.v_reset
                self.refr[word] = 3 + (self.fault == "refractory-long")
            self.v[word] = v
        return {"i_syn": drives, "v": self.v[:], "refr": self.refr[:], "spike": spikes}

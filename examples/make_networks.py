#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes network.json of the examples whose networks are drawn at random, and the weights that a
core reads from a file. `--check` compares instead: exit code 1 where a file differs."""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
ARITHMETIC = {"v_bits": 16, "u_bits": 16, "acc_bits": 16, "weight_bits": 8, "leak_frac": 8,
              "refr_bits": 3, "delay_slots": 2, "v_frac": 0, "leak_mode": 0, "rounding": 0,
              "v_overflow": 1, "acc_overflow": 1, "compare": 0, "reset_mode": 0, "weight_shift": 0,
              "u_shift": 0}
NEURON = {"threshold": 1, "v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0, "refractory": 0,
          "spiking": True, "cuba": False}


def network(name, arithmetic, axons, neurons, rows, populations=("all",)):
    """As golden::network_from_json reads it; rows of (target, weight) of axons, then neurons."""
    rows = rows + [[]] * (axons + len(neurons) - len(rows))
    begin = [0]
    for row in rows:
        begin.append(begin[-1] + len(row))
    return {"name": name, "dt": 0.001, "arithmetic": {**ARITHMETIC, **arithmetic},
            "ports": [{"label": "in", "begin": 0, "end": axons}] if axons else [],
            "populations": [{"label": label, "begin": k * len(neurons) // len(populations),
                             "end": (k + 1) * len(neurons) // len(populations)}
                            for k, label in enumerate(populations)],
            "neurons": [{**NEURON, **n} for n in neurons], "row_begin": begin,
            "synapses": [[target, weight, int(source >= axons)]
                         for source, row in enumerate(rows) for target, weight in row]}


def text_of(net):
    """JSON with a line for each key, and for each neuron where they differ."""
    lines = []
    for key, value in net.items():
        lines.append(f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}")
    return "{" + ",\n ".join(lines) + "}\n"


def parallel_q88():
    return network("parallel_q88", {"leak_mode": 1, "rounding": 1, "compare": 1, "reset_mode": 1},
                   0, [{"threshold": 2560, "leak": 243, "refractory": 2}] * 64, [])


def event_crossbar():
    """Neurons 0 to 47 are eager: a strong event or two make them fire. Axons 0 to 7 reach all of
    them, which fills the spike FIFO. Own spikes mostly inhibit, so that the loop dies out."""
    r = random.Random(60)
    neurons = [{"threshold": r.randint(40, 110) if n < 48 else r.randint(90, 300), "leak": 3}
               for n in range(256)]
    rows = []
    for axon in range(256):
        eager = range(48) if axon < 8 else sorted(r.sample(range(48), 6))
        others = sorted(r.sample(range(48, 256), 16))
        rows.append([(n, r.randint(3, 7)) for n in eager] +
                    [(n, r.choice((-8, -3, 2, 5, 7, 7))) for n in others])
    for _ in range(256):
        rows.append([(n, r.choice((-8, -6, -3, -2, 3, 6)))
                     for n in sorted(r.sample(range(256), 8))])
    return network("event_crossbar", {"v_bits": 10, "acc_bits": 10, "weight_bits": 4,
                                      "weight_shift": 3}, 256, neurons, rows)


def banked_serial():
    r = random.Random(70)
    neurons = [{"threshold": r.randint(1500, 5000), "v_reset": -300, "leak": 5, "refractory": 3}
               for _ in range(128)]
    rows = [[(n, r.choice((-128, -90, 40, 80, 100, 127))) for n in range(128)
             if r.random() < 0.25] for _ in range(64)]
    return network("banked_serial", {"acc_bits": 14, "weight_shift": 2}, 64, neurons, rows)


def izhikevich():
    resets = {"regular": -42598, "chattering": -32768, "fast": -42598, "low": -42598}
    neurons = [{"threshold": 19661, "v_reset": c} for c in resets.values() for _ in range(8)]
    return network("izhikevich", {"v_bits": 18, "u_bits": 18, "acc_bits": 18, "v_frac": 16,
                                  "v_overflow": 0, "acc_overflow": 0}, 0, neurons, [], resets)


def lfsr_lif():
    r = random.Random(90)
    neurons = [{"threshold": r.randint(300, 1200), "leak": 240} for _ in range(64)]
    rows = [[(n, r.randint(-24, 31)) for n in range(64)] for _ in range(32)]
    return network("lfsr_lif", {"v_bits": 14, "acc_bits": 12, "weight_bits": 6, "leak_mode": 1,
                                "acc_overflow": 0, "reset_mode": 1}, 32, neurons, rows)


def verilog_2001():
    r = random.Random(100)
    neurons = [{"threshold": 300, "v_reset": -64, "leak": 3}] * 32
    rows = [[(n, r.randint(-60, 100)) for n in range(32)] for _ in range(32)]
    return network("verilog_2001", {"v_bits": 12, "acc_bits": 12, "v_overflow": 0,
                                    "acc_overflow": 0, "compare": 1}, 32, neurons, rows)


def weights_hex(net):
    """Word 32 * axon + neuron, as $readmemh reads it."""
    words = [0] * 1024
    for axon in range(32):
        for target, weight, _ in net["synapses"][net["row_begin"][axon]:net["row_begin"][axon + 1]]:
            words[32 * axon + target] = weight & 0xff
    return "\n".join(" ".join(f"{w:02x}" for w in words[i:i + 16])
                     for i in range(0, 1024, 16)) + "\n"


def files():
    wild = verilog_2001()
    return {
        "050_parallel_q88/network.json": text_of(parallel_q88()),
        "060_event_crossbar/network.json": text_of(event_crossbar()),
        "070_banked_serial/network.json": text_of(banked_serial()),
        "080_izhikevich/network.json": text_of(izhikevich()),
        "090_lfsr_lif/network.json": text_of(lfsr_lif()),
        "100_verilog_2001/network.json": text_of(wild),
        "100_verilog_2001/weights.hex": weights_hex(wild),
    }


def main():
    differing = []
    for name, text in files().items():
        path = HERE / name
        if "--check" in sys.argv[1:]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                differing.append(name)
        else:
            path.write_text(text, encoding="utf-8")
    for name in differing:
        print(f"{name}: differs from what make_networks.py writes")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())

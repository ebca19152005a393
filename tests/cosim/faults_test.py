#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each injected fault must be found exactly where tests/models/snn_model.py, which never calls
Spikelock, says that it first shows: sample, timestep, neuron, field, both values. Where the model
says that a stimulus does not reach a fault, the run must end in MATCH.

Networks: `busy` and `shift` are random and show most faults early. `corners` is quiet, and each of
its corners is one event or two in one timestep, without which its fault never shows.
"""

import json
import pathlib
import random
import subprocess
import tempfile
import tomllib

import tool

MODEL = tool.ROOT / "tests/models/snn_model.py"
NEURONS, AXONS = tool.SIZES["standard"][:2]
ARITHMETIC = dict(zip(("v_bits", "u_bits", "acc_bits", "weight_bits", "leak_frac", "refr_bits",
                       "delay_slots"), tool.SIZES["standard"][3:]), v_frac=0)
SHIFT, MULTIPLY = 0, 1
WRAP, SATURATE = 0, 1
CORNER_SAMPLE = 201


def neuron(**changes):
    return {"threshold": 32767, "v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0, "refractory": 0,
            "spiking": True, "cuba": False, **changes}


def network(name, arithmetic, neurons, rows):
    """A network as golden::network_from_json reads it; rows of (target, weight, delay)."""
    begin = [0]
    for row in rows:
        begin.append(begin[-1] + len(row))
    return {"name": name, "dt": 0.001, "arithmetic": {**ARITHMETIC, **arithmetic},
            "ports": [{"label": "in", "begin": 0, "end": AXONS}],
            "populations": [{"label": "all", "begin": 0, "end": NEURONS}],
            "neurons": neurons, "row_begin": begin, "synapses": [s for row in rows for s in row]}


def random_network(seed, arithmetic, leaks, threshold):
    r = random.Random(seed)
    neurons = [neuron(threshold=r.randint(*threshold), v_reset=r.choice((-700, 0, 300)),
                      bias=r.choice((0, 0, 90, -60)), leak=r.choice(leaks),
                      u_decay=r.choice(leaks), refractory=r.choice((0, 1, 3, 7)),
                      spiking=n % 16 != 15, cuba=n >= 40) for n in range(NEURONS)]
    rows = []
    for source in range(AXONS + NEURONS):
        n = source - AXONS
        row = []
        for target in sorted(r.sample(range(NEURONS), r.choice((0, 3, 20)))):
            delay = r.choice((0, 1, 2, 3))
            if n >= 0 and target <= n:
                delay = max(delay, 1)
            row.append((target, r.randint(-70, 127), delay))
        rows.append(row)
    return network(f"random {seed}", arithmetic, neurons, rows)


def random_samples(seed, steps, density):
    r = random.Random(seed)
    samples = []
    for length in steps:
        events = []
        for t in range(length):
            axons = [a for a in range(AXONS) if r.random() < density]
            axons += [a for a in axons if r.random() < 0.05]
            r.shuffle(axons)
            events += [[t, a] for a in axons]
        samples.append({"steps": length, "start": "clear", "events": events})
    return samples


def corner_network():
    """Weights count 256 (weight_shift 8); background in neurons 0 to 7, one neuron a corner."""
    neurons = [neuron(threshold=3 * 256 + 1) for _ in range(8)]
    neurons += [neuron() for _ in range(NEURONS - 8)]
    neurons[20]["threshold"] = 5 * 256
    neurons[24].update(threshold=256, refractory=5)
    neurons[25]["leak"] = 3
    neurons[33]["bias"] = 0
    rows = [[] for _ in range(AXONS + NEURONS)]
    for axon in range(4):
        rows[axon] = [(n, 1, 0) for n in range(8)]
    rows[8] = [(20, 5, 0)]
    rows[9] = rows[10] = [(21, 1, 0)]
    rows[11] = [(26, 1, 0)]
    rows[12] = [(22, -128, 0), (22, -128, 0)]
    rows[14] = [(23, 127, 0)] * 8
    rows[15] = [(24, 2, 0)]
    rows[16] = [(27, 1, 3)]
    rows[17] = [(25, 8, 0)]
    rows[18] = [(25, -1, 0)]
    return network("corners", {"leak_mode": SHIFT, "rounding": 0, "v_overflow": SATURATE,
                               "acc_overflow": WRAP, "compare": 0, "reset_mode": 0,
                               "weight_shift": 8, "u_shift": 0}, neurons, rows)


# Corner, the timestep and axons that make it, the faults that show only there.
CORNERS = (
    ("a potential equal to the threshold", 110, [8], ["threshold-compare"]),
    ("eighteen events in a timestep", 115, [9, 10] * 9, ["event-overflow"]),
    ("a potential left in the 128th timestep", 125, [17], ["leak-skipped"]),
    ("one axon twice in a row", 130, [11, 11], ["event-merged"]),
    ("v below its lowest value", 140, [12], ["saturates-positive", "wrap-for-saturate"]),
    ("acc above its highest value", 150, [14], ["acc-overflow-mode"]),
    ("the leak of a negative v leaves a remainder", 160, [18], ["leak-rounding"]),
    ("refractory at the start of the second sample", CORNER_SAMPLE - 2, [15],
     ["clear-keeps-refr"]),
    ("input under way in the last slot at the start of the second sample", CORNER_SAMPLE - 1, [16],
     ["clear-misses-slot"]),
)


def corner_samples(with_corners):
    """Background input in both samples; the corners in the first."""
    r = random.Random(7)
    samples = []
    for sample in range(2):
        events = []
        for t in range(CORNER_SAMPLE):
            if r.random() < 0.4:
                events.append([t, r.randrange(4)])
            if with_corners and sample == 0:
                events += [[t, axon] for _, at, axons, _ in CORNERS if at == t for axon in axons]
        samples.append({"steps": CORNER_SAMPLE, "start": "clear", "events": events})
    return samples


class Scenario:
    def __init__(self, folder, name, net, samples, pacing=()):
        self.name = name
        self.net = folder / f"{name}.json"
        self.net.write_text(json.dumps(net))
        self.samples = samples
        lengths = {s["steps"] for s in samples}
        assert len(lengths) == 1
        self.length = lengths.pop()
        self.events = folder / f"{name}.csv"
        lines = [f"{s * self.length + t},{axon}"
                 for s, sample in enumerate(samples) for t, axon in sample["events"]]
        self.events.write_text("timestep,axon\n" + "\n".join(lines) + "\n")
        # The model takes synapses by column, and samples beside the network.
        columns = dict(zip(("target", "weight", "delay"), map(list, zip(*net["synapses"]))))
        self.model_net = folder / f"{name}.model.json"
        self.model_net.write_text(json.dumps({**net, "synapses": columns}))
        self.model_samples = folder / f"{name}.samples.json"
        self.model_samples.write_text(json.dumps(samples))
        self.settings = [f"network.json={self.net}", "stimulus.kind=events",
                         f"stimulus.file={self.events}",
                         f"stimulus.steps={self.length * len(samples)}",
                         f"stimulus.sample_steps={self.length}", *pacing]

    def predicted(self, faults):
        """{fault: first difference or None}, of the Python model."""
        chosen = [word for fault in faults for word in ("--fault", fault)]
        done = subprocess.run(["/usr/bin/python3", MODEL, self.model_net, self.model_samples,
                               *chosen], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def run(self, fault):
        return tool.run("run", tool.SNN_CORE, *tool.size_options("standard"),
                        *(w for s in self.settings for w in ("--set", s)),
                        "--fault", fault, "--no-record", "--json")


def check(checks, scenario, fault, predicted):
    """Runs the fault and compares what is reported with what was predicted."""
    what = f"{scenario.name}, {fault}"
    done = scenario.run(fault)
    if predicted is None:
        if checks.equal(done.status, 0, f"{what}: exit code; {done.err}"):
            checks.equal(done.json()["verdict"], "MATCH", what)
        return
    if not checks.equal(done.status, 1, f"{what}: exit code, predicted {predicted}; {done.err}"):
        return
    d = done.json()["divergence"]
    reported = {"sample": d["sample"], "timestep": d["step_in_sample"], "neuron": d["neuron"],
                "field": d["field"], "expected": d["differences"][0]["expected"],
                "actual": d["differences"][0]["actual"]}
    checks.equal(reported, predicted, what)
    checks.equal(d["timestep"], d["sample"] * scenario.length + d["step_in_sample"],
                 f"{what}: timestep of the run")
    print(f"{scenario.name:<8} {fault:<22} sample {d['sample']} step {d['step_in_sample']:>3} "
          f"neuron {d['neuron']:>2} {d['field']}")


def main():
    checks = tool.Checks()
    faults = [f["name"] for f in tomllib.loads((tool.ROOT / "rtl/faults.toml").read_text())["fault"]
              if f["modelled"]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        busy = Scenario(
            folder, "busy",
            random_network(11, {"leak_mode": MULTIPLY, "rounding": 3, "v_overflow": SATURATE,
                                "acc_overflow": WRAP, "compare": 0, "reset_mode": 0,
                                "weight_shift": 5, "u_shift": 2},
                           (4096, 3900, 3301, 2047), (3000, 9000)),
            random_samples(12, (150, 150), 0.25),
            ("pacing.gap_probability=0.2", "pacing.stall_probability=0.4"))
        shift = Scenario(
            folder, "shift",
            random_network(21, {"leak_mode": SHIFT, "rounding": 1, "v_overflow": SATURATE,
                                "acc_overflow": SATURATE, "compare": 1, "reset_mode": 1,
                                "weight_shift": 8, "u_shift": 3},
                           (0, 1, 3, 5), (9000, 30000)),
            random_samples(22, (140, 140), 0.3))
        corners = Scenario(folder, "corners", corner_network(), corner_samples(True))
        quiet = Scenario(folder, "quiet", corner_network(), corner_samples(False))

        found, late = set(), set()
        left = faults
        for scenario in (busy, shift):
            predicted = scenario.predicted(left)
            for fault in left:
                # A fault that shows in neither random network is run in the second all the same.
                if predicted[fault] is None and scenario is busy:
                    continue
                check(checks, scenario, fault, predicted[fault])
                if predicted[fault]:
                    found.add(fault)
            left = [f for f in left if predicted[f] is None]

        special = [fault for corner in CORNERS for fault in corner[3]]
        predicted = corners.predicted(special)
        unreached = quiet.predicted(special)
        for text, at, _, revealed in CORNERS:
            for fault in revealed:
                place = predicted[fault]
                if not checks.that(place, f"{fault} does not show although there is {text}"):
                    continue
                checks.equal(unreached[fault], None, f"{fault} without: {text}")
                where = place["sample"] * corners.length + place["timestep"]
                checks.that(at <= where <= at + 4, f"{fault} first shows at {where}, not soon "
                            f"after {at}: {text}")
                check(checks, corners, fault, place)
                found.add(fault)
                if where >= 100:
                    late.add(fault)
        for fault in ("event-overflow", "saturates-positive", "clear-keeps-refr"):
            check(checks, quiet, fault, unreached[fault])

    missing = sorted(set(faults) - found)
    print(f"{len(found)} faults found where predicted, {len(late)} of them after 100 timesteps, "
          f"{len(special)} only in a corner; not reached: {missing}")
    checks.equal(missing, [], "modelled faults that no network of this test shows")
    checks.that(len(found) >= 16, "at least 16 faults")
    checks.that(len(late) >= 6, "at least 6 after 100 timesteps")
    checks.that(len(special) >= 4, "at least 4 only in a corner")
    checks.finish()


if __name__ == "__main__":
    main()

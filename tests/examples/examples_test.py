#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The cores under examples/, each in lockstep with its golden, and each injected fault found
exactly where the core's model in tests/models, which never calls Spikelock, says that it first
shows: sample, timestep, neuron, field, both values.

    examples_test.py [--long] [NAME...]     NAME: beginning of an example's folder, e.g. 070
"""

import json
import pathlib
import random
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/cosim"), str(ROOT / "tests/models")]

import banked_core_model  # noqa: E402
import example_common as common  # noqa: E402
import q88_array_model  # noqa: E402
import tool  # noqa: E402
import verilog_2001_model  # noqa: E402

UPDATES, LONG_UPDATES = 200_000, 10_000_000


class Scenario:
    """A stimulus that a model can replay, and the settings that give it to the command."""

    def __init__(self, settings, stimulus, steps, sample_steps):
        self.settings = [*settings, f"stimulus.steps={steps}",
                         f"stimulus.sample_steps={sample_steps}"]
        self.stimulus, self.steps, self.sample_steps = stimulus, steps, sample_steps


def currents(neurons, current, noise, steps, seed=1):
    """The stimulus of kind "current", in one sample."""
    return Scenario([f"stimulus.current={current}", f"stimulus.noise={noise}",
                     f"stimulus.seed={seed}"],
                    common.CurrentStimulus(neurons, current, noise, seed), steps, steps)


def events(folder, name, given, steps, sample_steps):
    """Events from a file: a list of (timestep, axon)."""
    file = folder / f"{name}.csv"
    file.write_text("timestep,axon\n" + "".join(f"{t},{a}\n" for t, a in given))
    return Scenario(["stimulus.kind=events", f"stimulus.file={file}", "stimulus.start=clear"],
                    common.EventStimulus(given), steps, sample_steps)


def random_events(seed, axons, steps, density):
    r = random.Random(seed)
    return [(t, a) for t in range(steps) for a in range(axons) if r.random() < density]


def network_of(name):
    return json.loads((ROOT / "examples" / name / "network.json").read_text())


class ParallelQ88:
    NAME, NEURONS = "050_parallel_q88", 64
    FAULTS = q88_array_model.FAULTS

    def model(self, fault):
        return q88_array_model.Model(fault)

    def scenarios(self, folder):
        yield currents(64, 100, 900, 400)
        yield currents(64, 0, 32000, 100)        # reaches both ends of Q8.8
        yield currents(64, 100, 900, 5000, 2)    # meets the threshold exactly


class BankedSerial:
    NAME, NEURONS = "070_banked_serial", 128
    FAULTS = banked_core_model.FAULTS

    def __init__(self):
        self.network = network_of(self.NAME)

    def model(self, fault):
        return banked_core_model.Model(self.network, fault)

    def scenarios(self, folder):
        yield events(folder, "busy", random_events(71, 64, 300, 0.12), 300, 60)
        yield events(folder, "heavy", random_events(72, 64, 40, 0.8) * 1, 40, 40)
        yield events(folder, "long", random_events(73, 64, 1500, 0.12), 1500, 1500)


class Verilog2001:
    NAME, NEURONS = "100_verilog_2001", 32
    FAULTS = verilog_2001_model.FAULTS

    def __init__(self):
        self.network = network_of(self.NAME)

    def model(self, fault):
        return verilog_2001_model.Model(self.network, fault)

    def scenarios(self, folder):
        yield events(folder, "busy", random_events(101, 32, 300, 0.25), 300, 100)
        yield events(folder, "long", random_events(102, 32, 3000, 0.3), 3000, 3000)


EXAMPLES = (ParallelQ88, BankedSerial, Verilog2001)


def options(settings):
    return [word for s in settings for word in ("--set", s)]


def test_match(checks, example, long):
    """The committed manifest. The short run takes the build that the faults need anyway."""
    manifest = ROOT / "examples" / example.NAME / "cosim.toml"
    updates = LONG_UPDATES if long else UPDATES
    settings = [] if long else [f"stimulus.steps={-(-updates // example.NEURONS)}",
                                'core.defines=["FAULTS"]']
    done = tool.run("run", manifest, "--no-record", "--json", *options(settings), timeout=1800)
    if not checks.equal(done.status, 0, f"{example.NAME}: exit code; {done.err}"):
        return
    j = done.json()
    got = j["steps_compared"] * example.NEURONS
    checks.equal(j["verdict"], "MATCH", example.NAME)
    checks.that(got >= updates, f"{example.NAME}: {got} neuron-updates")
    spikes = j["spikes_expected"] / got
    checks.that(0.005 < spikes < 0.2, f"{example.NAME}: {spikes:.4f} spikes an update")
    print(f"{example.NAME:<20} MATCH over {got:,} neuron-updates, {j['values_compared']:,} values")


def test_faults(checks, example, folder):
    manifest = ROOT / "examples" / example.NAME / "cosim.toml"
    listed = tomllib.loads((manifest.parent / "faults.toml").read_text())["fault"]
    checks.equal([(f["name"], f["id"]) for f in listed],
                 [(name, k) for k, name in enumerate(example.FAULTS, 1)],
                 f"{example.NAME}: faults.toml and the model list the same faults")
    checks.that(len(listed) >= 6, f"{example.NAME}: at least 6 faults")
    left = list(example.FAULTS)
    for scenario in example.scenarios(folder):
        for fault in list(left):
            place = common.first_difference(example.model, scenario.stimulus, scenario.steps,
                                            scenario.sample_steps, fault)
            if place is None:
                continue
            left.remove(fault)
            what = f"{example.NAME}, {fault}"
            done = tool.run("run", manifest, *options(scenario.settings), "--fault", fault,
                            "--no-record", "--json")
            if not checks.equal(done.status, 1, f"{what}: exit code, predicted {place}; "
                                f"{done.err}"):
                continue
            d = done.json()["divergence"]
            checks.equal({"sample": d["sample"], "timestep": d["step_in_sample"],
                          "neuron": d["neuron"], "field": d["field"],
                          "expected": d["differences"][0]["expected"],
                          "actual": d["differences"][0]["actual"]}, place, what)
            print(f"{example.NAME:<20} {fault:<20} sample {place['sample']} step "
                  f"{place['timestep']:>3} neuron {place['neuron']:>3} {place['field']}")
    checks.equal(left, [], f"{example.NAME}: faults that no stimulus shows")


def main():
    long = "--long" in sys.argv[1:]
    names = [a for a in sys.argv[1:] if not a.startswith("--")]
    checks = tool.Checks()
    for kind in EXAMPLES:
        if names and not any(kind.NAME.startswith(name) for name in names):
            continue
        example = kind()
        with tempfile.TemporaryDirectory() as name:
            test_match(checks, example, long)
            if not long:
                test_faults(checks, example, pathlib.Path(name))
    checks.finish()


if __name__ == "__main__":
    main()

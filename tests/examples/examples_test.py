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
import crossbar_model  # noqa: E402
import example_common as common  # noqa: E402
import izhikevich_model  # noqa: E402
import noisy_lif_model  # noqa: E402
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
        # One axon so often that inputs reach both ends of their 14 bits.
        yield events(folder, "heavy", [(t, t) for t in range(40) for _ in range(24)], 40, 40)


class EventCrossbar:
    NAME, NEURONS = "060_event_crossbar", 256
    FAULTS = crossbar_model.FAULTS
    PACINGS = {"drain": ["pacing.input=drain"], "burst": ["pacing.input=burst"],
               "gaps": ["pacing.gap_probability=0.5", "pacing.gap_clocks=1500",
                        "pacing.stall_probability=0.5"]}

    def __init__(self):
        network = network_of(self.NAME)
        begin = network["row_begin"]
        self.weights = [[0] * 256 for _ in range(512)]
        for source, row in enumerate(self.weights):
            for target, weight, _ in network["synapses"][begin[source]:begin[source + 1]]:
                row[target] = weight
        self.threshold = [n["threshold"] for n in network["neurons"]]
        self.leak = network["neurons"][0]["leak"]
        self.drain = True

    def model(self, fault):
        return crossbar_model.Model(self.weights, self.threshold, self.leak, fault, self.drain)

    def scenarios(self, folder):
        """Where the core drains after each event, the golden needs no word from it on the order in
        which it takes events."""
        self.drain = True
        scenario = events(folder, "drain", random_events(61, 256, 120, 0.03), 120, 60)
        scenario.settings += [*self.PACINGS["drain"], "adapter.order=false"]
        yield scenario

    def check_order(self, checks, folder):
        """Where events come as fast as the core takes them, the golden follows its order. A fault
        that makes other neurons fire shows as an order that may not be, in the timestep in which
        the model says that it first shows."""
        self.drain = False
        scenario = events(folder, "burst", random_events(61, 256, 120, 0.03), 120, 60)
        illegal = 0
        for fault in self.FAULTS:
            place = common.first_difference(self.model, scenario.stimulus, 120, 60, fault)
            what = f"{self.NAME}, burst, {fault}"
            if not checks.that(place, f"{what}: the model shows nothing"):
                continue
            done = tool.run("run", ROOT / "examples" / self.NAME / "cosim.toml",
                            *options([*scenario.settings, *self.PACINGS["burst"]]), "--fault",
                            fault, "--no-record", "--json")
            checks.that(done.status in (1, 4), f"{what}: exit code {done.status}; {done.err}")
            j = done.json()
            if done.status == 1:
                d = j["divergence"]
                checks.equal((d["sample"], d["step_in_sample"], d["neuron"], d["field"]),
                             tuple(place[k] for k in ("sample", "timestep", "neuron", "field")),
                             what)
            else:
                illegal += 1
                checks.equal(j["end"]["timestep"], 60 * place["sample"] + place["timestep"], what)
        print(f"{self.NAME:<20} burst: {len(self.FAULTS)} faults in their timesteps, {illegal} of "
              "them by an order that may not be")

    def check_more(self, checks, folder):
        """Spikes of a run under each pacing; with events that make neurons fire several times."""
        self.check_order(checks, folder)
        given = random_events(62, 256, 60, 0.04)
        for name, pacing in self.PACINGS.items():
            scenario = events(folder, f"more-{name}", given, 60, 60)
            self.drain = name == "drain"
            model, counts = self.model(None), []
            for t in range(60):
                counts += model.step(scenario.stimulus.at(t))["spike"]
            done = tool.run("run", ROOT / "examples" / self.NAME / "cosim.toml",
                            *options([*scenario.settings, *pacing, *FAULTS_BUILD]), "--no-record",
                            "--json")
            what = f"{self.NAME}, {name}"
            if not checks.equal(done.status, 0, f"{what}: exit code; {done.err}"):
                continue
            j = done.json()
            checks.equal(j["verdict"], "MATCH", what)
            if name == "gaps":  # which event comes first is the core's choice
                checks.that(j["spikes_expected"] > 0, what)
            else:
                checks.equal(j["spikes_expected"], sum(counts), f"{what}: spikes")
                checks.that(max(counts) > 2, f"{what}: a neuron fires {max(counts)} times")
                checks.that(model.lost > 0, f"{what}: no spike was lost")
            print(f"{self.NAME:<20} {name}: MATCH, {j['spikes_expected']} spikes"
                  + ("" if name == "gaps" else f", up to {max(counts)} of a neuron in a timestep, "
                     f"{model.lost} lost"))


class Izhikevich:
    NAME, NEURONS = "080_izhikevich", 32
    FAULTS = izhikevich_model.FAULTS

    def model(self, fault):
        return izhikevich_model.Model(fault)

    def scenarios(self, folder):
        yield currents(32, 10000, 20000, 1000)
        yield currents(32, 10000, 20000, 60000, 2)


class LfsrLif:
    NAME, NEURONS = "090_lfsr_lif", 64
    FAULTS = noisy_lif_model.FAULTS

    def __init__(self):
        self.network = network_of(self.NAME)

    def model(self, fault):
        return noisy_lif_model.Model(self.network, fault)

    def scenarios(self, folder):
        yield events(folder, "busy", random_events(91, 32, 400, 0.15), 400, 200)
        # Only the axon that inhibits most, until v is at its lowest.
        lowest = min(range(32), key=lambda a: min(w for _, w, _ in self.network["synapses"][
            self.network["row_begin"][a]:self.network["row_begin"][a + 1]]))
        yield events(folder, "low", [(t, lowest) for t in range(60) for _ in range(64)], 60, 60)


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


EXAMPLES = (ParallelQ88, EventCrossbar, BankedSerial, Izhikevich, LfsrLif, Verilog2001)
# What --fault adds to the build, so that all short runs of an example share one.
FAULTS_BUILD = ['core.defines=["FAULTS"]']


def options(settings):
    return [word for s in settings for word in ("--set", s)]


def test_match(checks, example, long):
    """The committed manifest. The short run takes the build that the faults need anyway."""
    manifest = ROOT / "examples" / example.NAME / "cosim.toml"
    updates = LONG_UPDATES if long else UPDATES
    settings = [] if long else [f"stimulus.steps={-(-updates // example.NEURONS)}", *FAULTS_BUILD]
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
                if hasattr(example, "check_more"):
                    example.check_more(checks, pathlib.Path(name))
    checks.finish()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock fit` against snn_core whose registers are loaded with other values than the manifest
describes: the maps write constants instead of the network's arithmetic. What the search reports
must contain what the core was really given. A core with a fault that no description covers must be
reported as such.

Options alone, then pairs and triples drawn from SEED."""

import json
import os
import pathlib
import random
import tempfile

import faults_test
import tool

SEED = int(os.environ.get("SPIKELOCK_FIT_SEED", "1"))
DRAWS = int(os.environ.get("SPIKELOCK_FIT_DRAWS", "5"))
STEPS = 512

# Option: name of each value, by its code.
CODES = {
    "leak_mode": ("shift", "multiply"),
    "rounding": ("floor", "toward_zero", "away_from_zero", "nearest_even"),
    "v_overflow": ("wrap", "saturate"),
    "acc_overflow": ("wrap", "saturate"),
    "compare": (">=", ">"),
    "reset_mode": ("value", "subtract"),
    "weight_shift": tuple(map(str, range(16))),
    "u_shift": tuple(map(str, range(16))),
}
START = {"leak_mode": 0, "rounding": 0, "v_overflow": 1, "acc_overflow": 1, "compare": 0,
         "reset_mode": 0, "weight_shift": 8, "u_shift": 3}
# Changes of neuron words: option, value, the expression that the map gets instead.
WORDS = {
    ("refractory", "+1 where not 0"): ("refractory << 8", "(refractory ? refractory + 1 : 0) << 8"),
    ("refractory", "-1"): ("refractory << 8", "(refractory ? refractory - 1 : 0) << 8"),
    ("leak", "+1 where not 0"): ('value = "leak"', 'value = "leak ? leak + 1 : 0"'),
    ("v_reset", "0"): ('value = "v_reset"', 'value = "0"'),
    ("bias", "0"): ('value = "bias"', 'value = "0"'),
}
SINGLES = ([(option, name) for option in ("leak_mode", "rounding", "v_overflow", "acc_overflow",
                                          "compare", "reset_mode")
            for code, name in enumerate(CODES[option]) if code != START[option]]
           + [("weight_shift", "7"), ("weight_shift", "9"), ("u_shift", "2"), ("u_shift", "4")]
           + list(WORDS))


def manifest(folder, changes):
    """snn_core.toml that loads `changes` (option: value) in place of what the network says."""
    text = tool.SNN_CORE.read_text().replace("../../", f"{tool.ROOT}/")
    for option, value in changes.items():
        if (option, value) in WORDS:
            old, new = WORDS[option, value]
        else:
            old, new = f'value = "{option}"', f'value = "{CODES[option].index(value)}"'
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "cosim.toml"
    path.write_text(text)
    return path


def fit(path, network, *arguments):
    return tool.run("fit", path, *tool.size_options("standard"), "--set", f"network.json={network}",
                    "--steps", STEPS, "--json", *arguments)


def reported(report, wanted):
    """Whether an explanation has the wanted changes, up to what it says cannot be told apart."""
    for e in report["explanations"]:
        has = {c["option"]: c["to"] for c in e["changes"]}
        given = {c["option"]: c["from"] for c in e["changes"]}
        free = {f["option"]: f["others"] for f in e["not_told_apart"]}
        good = True
        for option in {*has, *wanted}:
            value = wanted.get(option, given.get(option))
            good &= has.get(option) == value or value in free.get(option, ())
        if good:
            return True
    return False


def check(checks, folder, network, changes):
    done = fit(manifest(folder, changes), network)
    if not checks.equal(done.status, 0, f"{changes}: exit code; {done.err} {done.out[:2000]}"):
        return
    j = done.json()
    checks.that(j["spikes"] > 1000, f"{changes}: only {j['spikes']} spikes")
    explanations = [({c["option"]: c["to"] for c in e["changes"]},
                     {f["option"]: len(f["others"]) for f in e["not_told_apart"]})
                    for e in j["explanations"]]
    checks.that(reported(j, changes), f"{changes} is not among {explanations}")
    checks.equal(reported(j, {"compare": ">", "weight_shift": "3"}), False,
                 f"{changes}: something else is reported too")
    print(f"{changes}: {j['tried']} tried in {j['seconds']:.2f} s, {len(explanations)} reported")


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        net = faults_test.random_network(21, START, (0, 1, 3, 5), (9000, 30000))
        for n in (1, 9, 17, 25):  # these meet their threshold exactly
            net["neurons"][n].update(threshold=40 * 256, leak=0, bias=0, v_reset=0)
        network = folder / "net.json"
        network.write_text(json.dumps(net))
        check(checks, folder, network, {})
        for option, value in SINGLES:
            check(checks, folder, network, {option: value})
        draw = random.Random(SEED)
        for k in range(DRAWS):
            changes = {}
            while len(changes) < 2 + k % 2:
                changes.update([draw.choice(SINGLES)])
            check(checks, folder, network, changes)

        done = fit(manifest(folder, {}), network, "--fault", "last-synapse-missing")
        if checks.equal(done.status, 1, f"a fault: exit code; {done.err}"):
            j = done.json()
            checks.equal((j["explained"], j["explanations"]), (False, []), "a fault")
            checks.that(0 < j["best"][0]["updates"] < j["updates"], "a fault: how far")
            checks.equal(j["complete"], True, "a fault: all pairs tried")
            checks.that(j["pairs"] > 1000, f"a fault: {j['pairs']} pairs")
            best, d = j["best"][0]["divergence"], j["divergence"]
            checks.equal((d["timestep"], d["neuron"], d["field"]),
                         (best["timestep"], best["neuron"], best["field"]), "a fault: place")
            checks.that(j["explanation"], "a fault: no explanation of the first divergence")
            print(f"last-synapse-missing: {j['headline']}")

        # As text, with the network to go on with.
        path = manifest(folder, {"compare": ">", "rounding": "nearest_even"})
        saved = folder / "fitted.json"
        text = tool.run("fit", path, *tool.size_options("standard"), "--set",
                        f"network.json={network}", "--steps", STEPS, "--save", saved)
        checks.equal(text.status, 0, f"text: {text.err}")
        checks.matches(text.out, r'"rounding": 3\n\s+"compare": 1', "lines to write")
        checks.matches(text.out, r"^EXPLAINED: one description", "headline")
        checks.matches(text.out, r"^reproduce: spikelock fit .*--seed 1\b", "line to reproduce")
        matched = tool.run("run", path, *tool.size_options("standard"), "--set",
                           f"network.json={saved}", "--set", "stimulus.steps=300", "--no-record")
        checks.matches(matched.out, r"^MATCH", "a run with the fitted network")
        wrong = tool.run("run", path, *tool.size_options("standard"), "--set",
                         f"network.json={network}", "--set", "stimulus.steps=300", "--no-record")
        checks.matches(wrong.out, r"^DIVERGED", "a run with the network as it was")
        checks.equal(tool.run("fit", folder / "none.toml").status, 2, "no manifest")
        checks.equal(tool.run("fit", path, "--stimulus", "none").status, 2, "a wrong option")
    checks.finish()


if __name__ == "__main__":
    main()

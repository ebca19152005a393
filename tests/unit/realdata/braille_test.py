#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The trained Braille networks of the NIR paper: they load, quantise to 8-bit weights and run in
lockstep with the Verilated core under random input, every field of every neuron compared. The
nested variant is refused with the edge that is broken.

Both networks run on the core that tests/cosim verilates as "standard". It is larger than they are,
so the manifest fits it to them: rows of neurons lie behind the core's axons, spare neurons are told
not to fire, and their probes are left out."""

import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "cosim"))
import tool  # noqa: E402

DATA = pathlib.Path(os.environ.get("SPIKELOCK_DATA") or tool.ROOT.parent / "shared/data")
SKIPPED = 4
CORE = dict(zip(tool.PARAMETERS, tool.SIZES["standard"]))
STEPS, SAMPLE_STEPS = 5120, 256
# name, neurons (hidden and output), reset, injected faults and the field in which they show first
NETWORKS = (
    ("braille_noDelay_bias_zero", 38, 7, "value", (("bias-ignored", "u"), ("delay-short",
                                                                           "i_syn"))),
    ("braille_noDelay_noBias_subtract", 40, 7, "subtract", (("reset-to-zero", "v"),
                                                            ("stale-weight", "i_syn"))),
)
AXONS = 12


def swapped(text, old, new):
    assert old in text, f"tests/cosim/snn_core.toml has no {old!r}"
    return text.replace(old, new)


def manifest(nir, neurons, reset):
    """tests/cosim/snn_core.toml, fitted to a network that is smaller than the core."""
    text = tool.SNN_CORE.read_text()
    text = swapped(text, "../../rtl", str(tool.ROOT / "rtl"))
    text = swapped(text, "0x200000 + 4*s",
                   f"0x200000 + 4*(s < {AXONS} ? s : s + {CORE['Axons'] - AXONS})")
    text = swapped(text, '"probe_valid_o"', f'"probe_valid_o && probe_neuron_o < {neurons}"')
    parameters = "\n".join(f"{key} = {value}" for key, value in CORE.items())
    spare = "\n".join(f'[[map]]\narray = "global"\naddress = "0x100000 + 8*{n} + 5"\nvalue = "0"\n'
                      for n in range(neurons, CORE["Neurons"]))
    return f"""{text}
{spare}
[core.parameters]
{parameters}

[network]
nir = "{nir}"

[network.quantise]
dt = 1e-4
v_bits = {CORE['VWidth']}
u_bits = {CORE['UWidth']}
acc_bits = {CORE['AccWidth']}
weight_bits = {CORE['WWidth']}
leak_frac = {CORE['LeakFrac']}
refr_bits = {CORE['RefrWidth']}
delay_slots = {CORE['DelaySlots']}
reset_mode = "{reset}"

[stimulus]
kind = "poisson"
probability = 0.1
steps = {STEPS}
sample_steps = {SAMPLE_STEPS}

[pacing]
gap_probability = 0.1
stall_probability = 0.2
"""


def check_network(checks, folder, name, hidden, outputs, reset, faults):
    neurons = hidden + outputs
    path = folder / f"{name}.toml"
    path.write_text(manifest(DATA / "nir" / f"{name}.nir", neurons, reset))

    done = tool.run("quantise", path, "--json", "--plot", folder / "plot.svg")
    if checks.equal(done.status, 0, f"{name}: quantise: {done.err}"):
        said = done.json()
        checks.equal((said["network"]["neurons"], said["network"]["axons"]), (neurons, AXONS), name)
        checks.equal([row["label"] for row in said["quantisation"]], ["lif1.lif", "lif2"], name)
        for row in said["quantisation"]:
            # Half an LSB of the weights, none of which is clipped; sums of one event of every
            # source fit into the accumulator, which wraps.
            shift = said["formats"]["v_frac"] + said["formats"]["u_shift"]
            lsb = 2.0 ** (said["formats"]["weight_shift"] - shift)
            checks.that(0 < row["max_weight_error"] <= lsb / 2, f"{name}: {row}")
            checks.equal(row["weights_clipped"], 0, f"{name}: {row['label']}")
            checks.that(row["input_margin"] >= 1, f"{name}: {row}")
        checks.that(said["total"]["spikes_float"] > 0.01 * STEPS * neurons, f"{name}: too quiet")
        checks.that((folder / "plot.svg").read_text().endswith("</svg>\n"), f"{name}: plot")

    done = tool.run("run", path, "--json", "--record", folder / "rtl.h5")
    said = done.json() if done.out else {}
    if checks.equal((done.status, said.get("verdict")), (0, "MATCH"),
                    f"{name}: {done.err}{said.get('headline')}"):
        print(f"{name}: {said['headline']}")
        checks.equal(said["compared_fields"], ["i_syn", "u", "v", "spike"], name)
        checks.equal(said["values_compared"], STEPS * neurons * 4, name)
        share = said["spikes_expected"] / (STEPS * neurons)
        checks.that(0.01 <= share <= 0.5, f"{name}: {share:.4f} of neuron-timesteps fire")

    # The golden recorded alone is what the core did.
    done = tool.run("trace", path, "--record", folder / "golden.h5")
    checks.equal(done.status, 0, f"{name}: trace: {done.err}")
    done = tool.run("diff", folder / "golden.h5", folder / "rtl.h5", "--json")
    checks.equal((done.status, done.json()["verdict"]), (0, "MATCH"), f"{name}: golden and RTL")

    for fault, field in faults:  # the comparison can fail
        done = tool.run("run", path, "--json", "--no-record", "--fault", fault)
        said = done.json() if done.out else {}
        if checks.equal((done.status, said.get("verdict")), (1, "DIVERGED"),
                        f"{name}: {fault}: {done.err}"):
            checks.equal(said["divergence"]["field"], field, f"{name}: {fault}")


def main():
    if not (DATA / "nir").is_dir():
        print(f"skipped: no {DATA / 'nir'}; set SPIKELOCK_DATA")
        sys.exit(SKIPPED)
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for network in NETWORKS:
            check_network(checks, folder, *network)
        for verb in ("quantise", "trace"):
            nested = DATA / "nir/braille_noDelay_bias_zero_subgraph.nir"
            done = tool.run(verb, nested, "--dt", "1e-4", cwd=folder)
            checks.equal((done.status, done.out), (2, ""), f"{verb}: nested graph")
            checks.matches(done.err, r"braille_noDelay_bias_zero_subgraph\.nir.*edge "
                           r"\('input', 'lif'\) of graph 'lif1'.*did you mean 'lif1'", verb)
    checks.finish()


if __name__ == "__main__":
    main()

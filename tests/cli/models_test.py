#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`spikelock trace` and `spikelock quantise`: the golden recorded alone is what a core did beside
it, and every figure of quantise is computed again from the two recorded models, by definition."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cosim"))
import tool  # noqa: E402

import h5py  # noqa: E402
import numpy as np  # noqa: E402

AXONS, HIDDEN, OUTPUTS = 9, 13, 4
STEPS, SAMPLE = 300, 60
TAU_MS, COST_PER_MS, DT = 2.5, 0.25, 5e-4


def write_nir(path):
    """A random recurrent network: affine, CUBA-LIF with feedback, linear, LIF."""
    random = np.random.default_rng(3)
    ones = np.ones
    with h5py.File(path, "w") as file:
        file["version"] = "0.2.0"
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        nodes = graph.create_group("nodes")

        def node(name, kind, **values):
            group = nodes.create_group(name)
            group["type"] = kind
            for key, value in values.items():
                group[key] = value

        def cuba(size):
            return {"tau_mem": 8e-3 * ones(size), "tau_syn": 3e-3 * ones(size),
                    "r": 9 * ones(size), "v_leak": 0 * ones(size), "v_threshold": ones(size),
                    "w_in": 4 * ones(size)}

        node("input", "Input", shape=np.array([AXONS]))
        node("in", "Affine", weight=random.normal(0.4, 1, (HIDDEN, AXONS)),
             bias=random.normal(0, 0.05, HIDDEN))
        node("hidden", "CubaLIF", **cuba(HIDDEN))
        node("back", "Linear", weight=random.normal(0, 0.4, (HIDDEN, HIDDEN)))
        node("out", "Linear", weight=random.normal(0.5, 1, (OUTPUTS, HIDDEN)))
        node("answer", "LIF", tau=5e-3 * ones(OUTPUTS), r=10 * ones(OUTPUTS),
             v_leak=0 * ones(OUTPUTS), v_threshold=random.uniform(0.5, 1.5, OUTPUTS))
        node("output", "Output", shape=np.array([OUTPUTS]))
        graph["edges"] = np.array(
            [[b"input", b"in"], [b"in", b"hidden"], [b"hidden", b"back"], [b"back", b"hidden"],
             [b"hidden", b"out"], [b"out", b"answer"], [b"answer", b"output"]], dtype=object)
        return np.concatenate([ones(HIDDEN), nodes["answer/v_threshold"][:]])


def recorded(path):
    """Voltages in units and spikes, shape (steps, neurons)."""
    with h5py.File(path) as file:
        v = file["trace/fields/v"]
        values = v[:].astype(float) * v.attrs.get("scale", 1.0)
        bits = np.unpackbits(file["trace/spike_bits"][:].view(np.uint8), axis=1, bitorder="little")
        return values, bits[:, :values.shape[1]].astype(bool)


def victor_purpura(a, b, cost):
    table = np.zeros((len(a) + 1, len(b) + 1))
    table[:, 0] = range(len(a) + 1)
    table[0, :] = range(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1,
                              table[i - 1, j - 1] + cost * abs(a[i - 1] - b[j - 1]))
    return table[-1, -1]


def van_rossum(a, b, tau):
    def pairs(x, y):
        return np.exp(-np.abs(np.subtract.outer(x, y)) / tau).sum()
    return np.sqrt(max(0.0, (pairs(a, a) + pairs(b, b)) / 2 - pairs(a, b)))


def check_figures(checks, folder, nir, thresholds):
    common = ("--dt-s", DT, "--seed", 5, "--steps", STEPS, "--sample-steps", SAMPLE,
              "--probability", 0.2, "--weight-bits", 6)
    models = {}
    for source in ("float", "golden"):
        path = folder / f"{source}.h5"
        done = tool.run("trace", nir, "--source", source, "--record", path, "--json", *common)
        if not checks.equal(done.status, 0, f"trace {source}: {done.err}"):
            return
        models[source] = recorded(path)
        checks.equal(done.json()["spikes"], int(models[source][1].sum()), f"{source}: spikes")
        checks.equal(done.json()["timesteps"], STEPS, f"{source}: timesteps")
    done = tool.run("quantise", nir, "--json", "--van-rossum-tau-ms", TAU_MS,
                    "--victor-purpura-cost-per-ms", COST_PER_MS, *common)
    if not checks.equal(done.status, 0, f"quantise: {done.err}"):
        return
    said = done.json()
    (v_float, s_float), (v_golden, s_golden) = models["float"], models["golden"]
    error = v_golden - v_float
    samples = [slice(t, t + SAMPLE) for t in range(0, STEPS, SAMPLE)]
    differ = (s_float != s_golden)
    agreeing = np.concatenate([np.cumsum(differ[s].any(axis=1)) == 0 for s in samples])
    ms = DT * 1e3
    for population, neurons in zip(said["populations"] + [said["total"]],
                                   (slice(0, HIDDEN), slice(HIDDEN, None), slice(0, None))):
        what = population["label"]
        e = error[:, neurons]
        count = [[int(x[s, neurons][:, n].sum()) for s in samples for n in range(e.shape[1])]
                 for x in (s_float, s_golden)]
        trains = [[np.flatnonzero(x[s, neurons][:, n]) * ms
                   for s in samples for n in range(e.shape[1])] for x in (s_float, s_golden)]
        wanted = {
            "neurons": e.shape[1],
            "v_rmse": np.sqrt((e ** 2).mean()),
            "v_rmse_relative": np.sqrt(((e / thresholds[neurons]) ** 2).mean()),
            "v_rmse_agreeing": np.sqrt((e[agreeing] ** 2).mean()),
            "v_max_error": np.abs(e).max(),
            "spikes_float": sum(count[0]),
            "spikes_golden": sum(count[1]),
            "spikes_differing": int(differ[:, neurons].sum()),
            "count_error": int(np.abs(np.subtract(*count)).sum()),
            "van_rossum": np.mean([van_rossum(a, b, TAU_MS) for a, b in zip(*trains)]),
            "victor_purpura": np.mean([victor_purpura(a, b, COST_PER_MS)
                                       for a, b in zip(*trains)]),
        }
        for key, value in wanted.items():
            close = np.isclose(population[key], value, rtol=1e-9, atol=1e-12)
            checks.that(close, f"{what}: {key} is {population[key]}, wanted {value}")
        checks.that(sum(count[0]) > 20, f"{what} hardly fires: {count[0]}")
        checks.that(population["van_rossum"] > 0, f"{what}: no difference to measure")
    step, neuron = np.argwhere(differ)[0]
    first = said["first_spike"]
    checks.equal((first["timestep"], first["neuron"], first["sample"], first["float_fired"]),
                 (step, neuron, step // SAMPLE, bool(s_float[step, neuron])), "first spike")
    step, neuron = np.argwhere(np.abs(error) > 0.1 * thresholds)[0]
    first = said["first_voltage"]
    checks.equal((first["timestep"], first["neuron"]), (step, neuron), "first voltage")
    checks.equal(said["samples"], len(samples), "samples")
    checks.equal(said["samples_equal"], sum(not differ[s].any() for s in samples), "samples equal")


def check_core(checks, folder):
    """A core's trace and the golden's of the same manifest are one."""
    for steps in (400, 123):
        done = tool.run("run", tool.TINY_CORE, "--record", folder / "rtl.h5", "--steps", steps)
        checks.equal(done.status, 0, f"run: {done.err}")
        done = tool.run("trace", tool.TINY_CORE, "--source", "golden", "--record",
                        folder / "golden.h5", "--steps", steps)
        checks.equal(done.status, 0, f"trace: {done.err}")
        done = tool.run("diff", folder / "golden.h5", folder / "rtl.h5", "--json")
        if checks.equal(done.status, 0, f"diff: {done.err}"):
            said = done.json()
            checks.equal((said["verdict"], said["steps_compared"]), ("MATCH", steps), "diff")
            checks.equal(said["compared_fields"], ["v", "spike"], "fields")
    # Another seed is another stimulus.
    tool.run("trace", tool.TINY_CORE, "--record", folder / "golden.h5", "--seed", 2, "--steps", 123)
    done = tool.run("diff", folder / "golden.h5", folder / "rtl.h5")
    checks.equal(done.status, 1, "another seed")


def check_options(checks, folder, nir):
    base = ("--dt-s", DT, "--steps", STEPS, "--weight-bits", 4)
    done = tool.run("quantise", nir, *base)
    checks.equal(done.status, 0, f"text: {done.err}")
    checks.that(max(map(len, done.out.splitlines()[:-1])) <= 100,
                f"lines are too long enough: {done.out}")
    checks.matches(done.out, r"^reproduce: spikelock quantise .*--seed 1$", "reproduce")
    for limit in (("--max-rmse", 1e-6), ("--max-count-error", 1e-6)):
        done = tool.run("quantise", nir, *base, *limit)
        checks.equal(done.status, 1, f"{limit}")
        checks.matches(done.out, "^LIMIT: population 'hidden': .* exceeds 1e-06$", f"{limit}")
    done = tool.run("quantise", nir, *base, "--max-rmse", 100, "--max-count-error", 100)
    checks.equal(done.status, 0, "limits that hold")

    plot = folder / "plot.svg"
    done = tool.run("quantise", nir, *base, "--plot", plot, "--plot-neurons", "0,14",
                    "--plot-first", 20, "--plot-steps", 50)
    checks.equal(done.status, 0, f"plot: {done.err}")
    text = plot.read_text()
    checks.that("v of hidden[0]" in text and "v of answer[1]" in text, "plotted neurons")
    checks.that(">20<" in text and ">70<" in text and ">75<" not in text, "plotted timesteps")

    # A manifest needs no core for this, and keys of it can be put over by options.
    manifest = folder / "models.toml"
    manifest.write_text(f'[network]\nnir = "{nir.name}"\n[network.quantise]\ndt = {DT}\n'
                        'weight_bits = 6\n[stimulus]\nprobability = 0.2\nsteps = 300\n'
                        'sample_steps = 60\nseed = 5\n')
    by_manifest = tool.run("quantise", manifest, "--json").json()
    by_options = tool.run("quantise", nir, "--json", "--dt-s", DT, "--seed", 5, "--duration-s",
                          300 * DT, "--sample-steps", 60, "--rate-hz", 0.2 / DT,
                          "--weight-bits", 6).json()
    checks.equal(by_manifest["populations"], by_options["populations"], "manifest and options")

    events = folder / "events.csv"
    events.write_text("timestep,axon\n" + "".join(f"{t},{t % AXONS}\n" for t in range(0, 300, 2)))
    done = tool.run("trace", nir, "--dt-s", DT, "--events", events, "--steps", 300, "--json",
                    "--record", folder / "events.h5")
    checks.that(done.status == 0 and done.json()["spikes"] > 0, f"events: {done.err}")

    for kind in (("--probability", 0.2), ("--events", events),
                 ("--set", "stimulus.kind=current", "--set", "stimulus.current=40")):
        spikes = []
        for few in ((), ("--samples", 2), ("--samples", 5), ("--samples", 9)):
            done = tool.run("trace", nir, "--dt-s", DT, *kind, "--steps", 300, "--sample-steps",
                            60, *few, "--record", folder / "samples.h5")
            checks.equal(done.status, 0, f"{kind} {few}: {done.err}")
            spikes.append(recorded(folder / "samples.h5")[1])
        checks.that(spikes[0][:120].any(), f"{kind}: nothing fires")
        checks.that(np.array_equal(spikes[1], spikes[0][:120]), f"{kind}: the first two samples")
        checks.that(np.array_equal(spikes[2], spikes[0]), f"{kind}: all five samples")
        checks.that(np.array_equal(spikes[3], spikes[0]), f"{kind}: no more samples than there are")

    for arguments, pattern in (
            (("quantise", nir), r"tau_syn|tau_mem|hidden"),  # a second is longer than any tau
            (("quantise", nir, "--dt-s", DT, "--v-bits", 99), r"v_bits: expected 2\.\.32, got 99"),
            (("quantise", folder / "nowhere.nir"), r"nowhere\.nir: cannot open"),
            (("quantise", tool.TINY_CORE), r"tiny_core\.toml:\d+: \[network\]: there is no float"),
            (("trace", tool.TINY_CORE, "--source", "float"), "there is no float model"),
            (("trace", tool.TINY_CORE, "--source", "flaot"), r"--source: flaot not in"),
            (("trace", tool.COSIM / "cores/tiny_core.json", "--v-bits", 8), "given as integers"),
            (("trace", nir, "--dt-s", DT, "--record", "/proc/x.h5"), "/proc/x.h5"),
            (("quantise", nir, "--dt-s", DT, "--plot", folder / "no/x.svg"), r"cannot write"),
            (("quantise", nir, "--dt-s", DT, "--plot", plot, "--plot-neurons", 99), "no neuron 99"),
            (("trace", nir, "--steps", 5, "--duration-s", 1), "at most one of --steps"),
            (("trace", nir, "--probability", 1, "--rate-hz", 1), "at most one of --probability"),
            (("trace", nir, "--dt-s", DT, "--rate-hz", 1e9), r"--rate-hz: .* expected\s+0 to 1"),
            (("trace", nir, "--dt-s", DT, "--duration-s", 1e-9), "--duration-s: .* at least 1")):
        extra = () if arguments[0] == "quantise" or "--record" in arguments else (
            "--record", folder / "unwanted.h5")
        if arguments == ("quantise", nir):
            extra = ("--dt-s", 1)
        done = tool.run(*arguments, *extra, cwd=folder)
        checks.equal((done.status, done.out), (2, ""), f"{arguments}: status")
        checks.matches(done.err, pattern, f"{arguments}")
    checks.that(not (folder / "unwanted.h5").exists(), "a trace of nothing")
    checks.that(not list(folder.glob("*.part")), "temporary files")


def check_documented_network(checks, folder):
    """The example of docs/network.md is a network."""
    page = (tool.ROOT / "docs/network.md").read_text(encoding="utf-8")
    (folder / "pair.json").write_text(page.split("```json")[1].split("```")[0], encoding="utf-8")
    done = tool.run("trace", folder / "pair.json", "--steps", "200", "--probability", "0.5",
                    "--record", folder / "pair.h5", "--json")
    if checks.equal(done.status, 0, f"documented network: {done.err}"):
        with h5py.File(folder / "pair.h5") as trace:
            checks.equal(trace["trace/fields/v"].shape, (200, 2), "documented network: shape")


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        nir = folder / "random.nir"
        thresholds = write_nir(nir)
        check_figures(checks, folder, nir, thresholds)
        check_options(checks, folder, nir)
        check_core(checks, folder)
        check_documented_network(checks, folder)
    checks.finish()


if __name__ == "__main__":
    main()

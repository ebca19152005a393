#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A golden of the user's own, in C++ and in Python: it matches where it is right, is found where it
is wrong, and whatever it does to itself ends in an error or verdict that names it."""

import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

import tool
from faults_test import MULTIPLY, SATURATE, WRAP, random_network

MODELS = tool.COSIM / "user_golden"
EXAMPLE = tool.ROOT / "examples/040_own_golden"
DIGITS = tool.ROOT / "examples/010_digits/cosim.toml"


def tiny(golden, *arguments, **env):
    """A run of the tiny core against a golden."""
    kind = "python" if str(golden).endswith(".py") else "cpp"
    return tool.run("run", tool.TINY_CORE, "--no-record", "--json", "--set",
                    f"golden.{kind}={golden}", *arguments, env=env)


def planted(what, *arguments):
    """The tiny golden in C++ with a fault."""
    return tiny(MODELS / "tiny.cpp", "--set", f'golden.flags=["-DDO={what}", "-O1"]', *arguments)


def cpp(checks):
    good = tiny(MODELS / "tiny.cpp")
    if not checks.equal(good.status, 0, f"the tiny golden in C++ matches: {good.err}"):
        return
    report = good.json()
    checks.equal(report["compared_fields"], ["v", "spike"], "compared with C++")
    checks.equal(report["steps_compared"], 400, "timesteps compared")
    checks.equal(report["provenance"]["golden"], "tiny.cpp", "provenance names the golden")
    files = " ".join(report["provenance"]["files"])
    for file in ("tiny.cpp", "tiny_weight.h"):
        checks.that(f"user_golden/{file}" in files, f"provenance hashes {file}: {files}")
    checks.matches(" ".join(report["notes"]), r"golden: tiny\.cpp \(your own, shows v, spike\)",
                   "the report says which golden")

    wrong = planted("WRONG_V")
    checks.equal(wrong.status, 1, f"a wrong v in C++ diverges: {wrong.err}")
    place = wrong.json()["divergence"]
    checks.matches(wrong.json()["headline"],
                   r"^DIVERGED at timestep 100 .*neuron all\[2\], field v: expected (\d+), got",
                   f"the wrong v is found at its place: {place}")
    explanation = wrong.json()["explanation"]
    checks.that(explanation["actual_follows_model"], f"the core is right: {explanation}")
    checks.equal(explanation["hypotheses"], [], "a core that is right needs no hypothesis")
    wrong = tool.run("run", tool.TINY_CORE, "--no-record", "--set",
                     f"golden.cpp={MODELS / 'tiny.cpp'}", "--set",
                     'golden.flags=["-DDO=WRONG_V", "-O1"]')
    checks.matches(wrong.out, r"the core does what docs/model\.md says.*the\s+golden is what",
                   "the report says which side is wrong")

    crash = planted("CRASH")
    checks.equal(crash.status, 4, f"a golden that crashes: {crash.err}")
    checks.matches(crash.json()["headline"],
                   r"expected .*crashed at timestep 100: the golden tiny\.cpp was killed by signal "
                   r"6", "crash")
    checks.equal(crash.json()["steps_compared"], 100, "timesteps before the crash are compared")
    left = planted("EXIT")
    checks.equal(left.status, 4, f"a golden that ends by itself: {left.err}")
    checks.matches(left.json()["headline"], r"timestep 100: .*exit code 7", "exit")
    hang = planted("HANG", "--wall-limit-s", "1.5")
    checks.equal(hang.status, 4, f"a golden that hangs: {hang.err}")
    checks.matches(hang.json()["headline"],
                   r"^HUNG.*timestep 100: the golden tiny\.cpp took more than 1\.5 s", "hang")

    for what, pattern in {
            "THROW": r"tiny\.cpp: the golden: spikelock_golden_step\(\) in timestep 100 threw: "
                     r"planted",
            "TOO_WIDE": r"tiny\.cpp.*timestep 100 gave 32768 for field 'v' of neuron 1, expected "
                        r"-32768\.\.32767",
            "GHOST_SPIKE": r"tiny\.cpp.*timestep 100 set the spike of a neuron above 3",
            "NO_MODEL": r"tiny\.cpp.*gave NULL",
            "BAD_FIELD": r"tiny\.cpp: the golden shows field 'v' with 12 bits, the network has 16",
            "NO_SUCH_NAME": r"(tiny\.cpp:\d+:\d+|<command-line>): .*NO_SUCH_NAME"}.items():
        done = planted(what)
        checks.equal(done.status, 2, f"{what} is an error: {done.out[-300:]}")
        checks.matches(done.err, pattern, what)
    done = tiny(MODELS / "none.cpp")
    checks.equal(done.status, 2, "a golden that is not there")
    checks.matches(done.err, r"none\.cpp", "a golden that is not there is named")


def python(checks):
    model = MODELS / "tiny.py"
    good = tiny(model)
    if not checks.equal(good.status, 0, f"the tiny golden in Python matches: {good.err}"):
        return
    checks.equal(good.json()["compared_fields"], ["v", "spike"], "compared with Python")
    checks.equal(good.json()["provenance"]["golden"], "tiny.py", "provenance")
    spikes = tiny(model, DO="only-spikes")
    checks.equal(spikes.status, 0, f"a golden that shows spikes only: {spikes.err}")
    checks.equal(spikes.json()["compared_fields"], ["spike"], "only spikes are compared")
    checks.matches(spikes.json()["headline"], r"not compared: v \(only actual\)",
                   "the verdict says what is not compared")

    wrong = tiny(model, DO="wrong-v")
    checks.equal(wrong.status, 1, f"a wrong v in Python diverges: {wrong.err}")
    checks.matches(wrong.json()["headline"],
                   r"^DIVERGED at timestep 100 .*neuron all\[2\], field v", "wrong v in Python")
    crash = tiny(model, DO="crash")
    checks.equal(crash.status, 4, f"a Python golden that crashes: {crash.err}")
    checks.matches(crash.json()["headline"], r"timestep 100: the golden tiny\.py was killed",
                   "Python crash")
    hang = tiny(model, "--wall-limit-s", "1.5", DO="hang")
    checks.equal(hang.status, 4, f"a Python golden that hangs: {hang.err}")
    checks.matches(hang.json()["headline"], r"^HUNG.*timestep 100: the golden tiny\.py",
                   "Python hang")
    line = 1 + model.read_text().splitlines().index('        raise ValueError("planted")')
    for what, pattern in {
            "raise": rf"tiny\.py:{line}: the golden: step\(\) in timestep 100 raised ValueError: "
                     r"planted",
            "no-module": r"tiny\.py:\d+: .*ModuleNotFoundError: No module named 'no_such_module'",
            "shape": r"tiny\.py: .*timestep 100 gave 'v' with shape \(3,\), expected \(4,\)",
            "float": r"tiny\.py: .*timestep 100 gave 'v' as float64, expected integers",
            "wide": r"tiny\.py: .*timestep 100 gave 40000 for 'v' of neuron 1, expected "
                    r"-32768\.\.32767",
            "list": r"tiny\.py: .*timestep 100 gave list, expected a dict",
            "missing": r"tiny\.py: .*timestep 100 gave no 'v', which it gave before",
            "unknown": r"tiny\.py: .*gave a field 'voltage', expected some of spike, "
            r"i_syn"}.items():
        done = tiny(model, DO=what)
        checks.equal(done.status, 2, f"{what} is an error: {done.out[-300:]}")
        checks.matches(done.err, pattern, what)
    done = tiny(model, "--set", "golden.interpreter=no-such-python")
    checks.equal(done.status, 2, "an interpreter that is not there")
    checks.matches(done.err, r"no-such-python", "an interpreter that is not there is named")


def builds(checks):
    """A second run builds nothing; a changed file, or one that it includes, is built again."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("tiny.cpp", "tiny_weight.h"):
            shutil.copy(MODELS / name, folder)
        model = f"{folder}/tiny.cpp"
        built = re.compile("compiling tiny.cpp")
        runs = [tool.run("run", tool.TINY_CORE, "--no-record", "--set", f"golden.cpp={model}")
                for _ in range(2)]
        checks.equal([bool(built.search(r.err)) for r in runs], [True, False], "builds of two runs")
        weight = pathlib.Path(folder, "tiny_weight.h")
        weight.write_text(weight.read_text().replace("16", "17"))
        changed = tool.run("run", tool.TINY_CORE, "--no-record", "--set", f"golden.cpp={model}")
        checks.that(built.search(changed.err), "a changed include is built again")
        checks.equal(changed.status, 1, "with another weight it diverges")
        weight.write_text(weight.read_text().replace("17", "16"))
        for program in pathlib.Path(tool.CACHE, "goldens").glob("*/*/golden"):
            os.truncate(program, 1000)
        again = tool.run("run", tool.TINY_CORE, "--no-record", "--set", f"golden.cpp={model}")
        checks.equal(again.status, 0, f"a truncated program is built again: {again.err}")
        checks.equal(sorted(os.listdir(folder)), ["tiny.cpp", "tiny_weight.h"], "the folder")


def killed(checks):
    """kill -9 of the tool ends the model, be it in an endless loop."""
    for golden, kind in ((MODELS / "tiny.cpp", "cpp"), (MODELS / "tiny.py", "python")):
        arguments = ["--set", f"golden.{kind}={golden}", "--wall-limit-s", "1000"]
        if kind == "cpp":
            arguments += ["--set", 'golden.flags=["-DDO=HANG", "-DAT=0", "-O1"]']
        process = tool.start("run", tool.TINY_CORE, "--no-record", *arguments,
                             env={"DO": "hang", "AT": "0"})

        def models():
            path = f"/proc/{process.pid}/task/{process.pid}/children"
            try:
                return [p for p in pathlib.Path(path).read_text().split()
                        if os.path.basename(os.readlink(f"/proc/{p}/exe")).startswith(
                            ("golden", "python3"))]
            except OSError:
                return []
        children = tool.wait_until(models, 60, "no golden was started")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        try:
            tool.wait_until(lambda: not any(os.path.exists(f"/proc/{p}/exe") for p in children), 5,
                            f"goldens {children} still run")
            checks.that(True, kind)
        except AssertionError as error:
            checks.that(False, f"{kind} golden after kill -9 of the tool: {error}")


def examples(checks):
    """The example in C++ against the core on random networks of all kinds, both on the digits."""
    with tempfile.TemporaryDirectory() as folder:
        networks = {
            "shift": random_network(11, {"leak_mode": 0, "rounding": 3, "v_overflow": WRAP,
                                         "acc_overflow": SATURATE, "compare": 1, "reset_mode": 1,
                                         "weight_shift": 2, "u_shift": 3}, range(9), (300, 3000)),
            "multiply": random_network(12, {"leak_mode": MULTIPLY, "rounding": 1,
                                            "v_overflow": SATURATE, "acc_overflow": WRAP,
                                            "compare": 0, "reset_mode": 0, "weight_shift": 1,
                                            "u_shift": 2}, (0, 900, 3000, 4000, 4096), (60, 600))}
        for name, network in networks.items():
            path = pathlib.Path(folder, f"{name}.json")
            path.write_text(tool.json.dumps(network))
            done = tool.run("run", tool.SNN_CORE, *tool.size_options("standard"), "--no-record",
                            "--json", "--set", f"network.json={path}", "--set",
                            f"golden.cpp={EXAMPLE}/golden.cpp", "--set", "stimulus.probability=0.2",
                            "--set", "stimulus.steps=600", "--set", "stimulus.sample_steps=100")
            checks.equal(done.status, 0, f"golden.cpp on {name}: {done.err}{done.out[-600:]}")
            if done.status == 0:
                checks.that(done.json()["spikes_expected"] > 1000, f"{name}: too few spikes")
    for language, samples in (("cpp", 40), ("python", 3)):
        model = EXAMPLE / ("golden.py" if language == "python" else "golden.cpp")
        done = tool.run("run", DIGITS, "--no-record", "--json", "--set",
                        f"golden.{language}={model}", "--samples", samples, timeout=900)
        checks.equal(done.status, 0, f"the digits against {model.name}: {done.err}")
        if done.status == 0:
            # What the core is asked for and the model shows is compared, though the network has no
            # u and no refr.
            checks.equal(sorted(done.json()["compared_fields"]),
                         ["i_syn", "refr", "spike", "u", "v"] if language == "cpp" else
                         ["i_syn", "spike", "v"], model.name)
            checks.equal(done.json()["steps_compared"], 32 * samples, model.name)


def recorded(checks):
    """`trace` records the user's model, not the built-in one; both know where v begins."""
    network = random_network(13, {"leak_mode": MULTIPLY, "rounding": 0, "v_overflow": SATURATE,
                                  "acc_overflow": WRAP, "compare": 0, "reset_mode": 0,
                                  "weight_shift": 1, "u_shift": 2}, (0, 900, 3000, 4000, 4096),
                             (60, 600))
    for n, neuron in enumerate(network["neurons"]):
        neuron.update(cuba=False, refractory=0, v_init=37 * n % 101 - 50)
    network["synapses"] = [(target, weight, 1) for target, weight, _ in network["synapses"]]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "net.json").write_text(tool.json.dumps(network))
        options = ("--steps", 300, "--sample-steps", 60, "--probability", 0.2, "--json")
        done = tool.run("trace", folder / "net.json", *options, "--record", folder / "built-in.h5")
        checks.equal((done.status, done.json()["golden"]), (0, "built in"), f"{done.err}")
        for language, model in (("cpp", "golden.cpp"), ("python", "golden.py")):
            done = tool.run("trace", folder / "net.json", *options, "--record", folder / "own.h5",
                            "--set", f"golden.{language}={EXAMPLE / model}")
            if not checks.equal(done.status, 0, f"{model}: {done.err}"):
                continue
            checks.equal(done.json()["golden"], model, "the name of the model")
            checks.that(done.json()["spikes"] > 100, f"{model}: too few spikes")
            files = list(done.json()["provenance"]["files"])
            checks.that(any(file.endswith(model) for file in files), f"{model} in {files}")
            done = tool.run("diff", folder / "built-in.h5", folder / "own.h5", "--json")
            checks.equal((done.status, done.json()["compared_fields"]),
                         (0, ["i_syn", "v", "spike"]), f"{model}: {done.out[:600]}")
        (folder / "bad.py").write_text("def reset():\n    pass\n\n\ndef step(inputs):\n"
                                       "    raise ValueError('planted')\n")
        done = tool.run("trace", folder / "net.json", *options, "--record", folder / "bad.h5",
                        "--set", f"golden.python={folder}/bad.py")
        checks.equal(done.status, 2, "a model that fails")
        checks.matches(done.err, r"bad\.py:6: .*ValueError: planted", "a model that fails")
        checks.that(not (folder / "bad.h5").exists(), "a trace of a model that fails")


def main():
    checks = tool.Checks()
    parts = {"cpp": cpp, "python": python, "builds": builds, "killed": killed,
             "examples": examples, "recorded": recorded}
    for name in sys.argv[1:] or parts:
        parts[name](checks)
    checks.finish()


if __name__ == "__main__":
    main()

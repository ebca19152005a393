#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a manifest or an adapter is told before the core is compiled where that is
possible, with file and line; and a build is kept wherever the user says."""

import os
import pathlib
import shutil
import tempfile

import tool

CORES = tool.COSIM / "cores"
ADAPTER = tool.COSIM / "adapters/aer.cpp"


def write(folder, name, text):
    file = pathlib.Path(folder) / name
    file.write_text(text, encoding="utf-8")
    return file


def tiny(folder, **changes):
    """The manifest of the tiny core with words replaced."""
    text = tool.TINY_CORE.read_text(encoding="utf-8")
    for before, after in changes.get("words", {}).items():
        assert before in text, before
        text = text.replace(before, after)
    for name in ("tiny_core.sv", "tiny_core.json"):
        shutil.copy(CORES / name, folder)
    return write(folder, "cosim.toml", text + changes.get("more", ""))


def names(checks):
    """A misspelt signal costs no build: neither Verilator's nor the compiler's."""
    with tempfile.TemporaryDirectory() as folder:
        env = {"SPIKELOCK_CACHE": f"{folder}/cache"}
        for word, wrong, near in (("done_o", "done", "done_o"), ("rst_ni", "rst_n", "rst_ni"),
                                  ("ev_axon_i", "ev_axn_i", "ev_axon_i"),
                                  ("v_o[16*i", "v_out[16*i", "v_o")):
            manifest = tiny(folder, words={word: wrong})
            number = next(k for k, line in enumerate(manifest.read_text().splitlines(), 1)
                          if wrong in line)
            done = tool.run("run", manifest, "--no-record", env=env)
            checks.equal(done.status, 2, f"{wrong}: exit code")
            name = wrong.split("[")[0]
            checks.matches(done.err, rf"toml:{number}: \w+: the core has no signal '{name}'"
                           rf".*{near}", wrong)
            checks.that("verilating" not in done.err, f"{wrong}: told before the build; {done.err}")
        more = ('\n[[startup]]\nload = "maps"\n[[map]]\narray = "neuron"\nmemory = "v_q"\n'
                'word = "2*n"\nwidth = 16\nvalue = "threshold"\n')
        done = tool.run("run", tiny(folder, more=more), "--no-record", env=env)
        checks.equal(done.status, 2, "a memory that is too small: exit code")
        checks.matches(done.err, r"the map of 'neuron' needs 7 words of 'v_q' \(neuron 3\), which "
                       r"has 4", "a memory that is too small")
        checks.that("verilating" not in done.err, f"told before the build; {done.err}")


def adapter_manifest(folder, adapter):
    shutil.copy(CORES / "aer_core.sv", folder)
    return write(folder, "cosim.toml", f"""clock = "clk_i"
[core]
top = "aer_core"
sources = ["aer_core.sv"]
optimise = "-O0"
[adapter]
file = "{adapter}"
signals = ["v_q"]
[timestep]
kind = "custom"
[[observe]]
field = "spike"
source = "adapter"
counts = true
""")


def adapters(checks):
    with tempfile.TemporaryDirectory() as folder:
        env = {"SPIKELOCK_CACHE": f"{folder}/cache"}
        done = tool.run("build", adapter_manifest(folder, "none.cpp"), env=env)
        checks.equal(done.status, 2, "no adapter: exit code")
        checks.matches(done.err, r"cosim\.toml:7: adapter\.file: no such file: .*none\.cpp",
                       "no adapter")

        manifest = adapter_manifest(folder, "adapter.cpp")
        text = ADAPTER.read_text(encoding="utf-8")
        write(folder, "adapter.cpp", text.replace("b.clock(2);", "b.clck(2);"))
        number = text[:text.index("b.clock(2);")].count("\n") + 1
        done = tool.run("build", manifest, env=env)
        checks.equal(done.status, 2, "an adapter that does not compile: exit code")
        checks.matches(done.err, rf"{folder}/adapter\.cpp:{number}:\d+: .*clck", "compile error")

        write(folder, "adapter.cpp", text.replace("SPIKELOCK_ADAPTER(AerAdapter)", ""))
        done = tool.run("build", manifest, env=env)
        checks.equal(done.status, 2, "an adapter without a name: exit code")
        checks.matches(done.err, r"adapter\.cpp: .*expected SPIKELOCK_ADAPTER\(YourClass\)",
                       "an adapter without a name")

        # What the adapter includes is part of the build's key.
        write(folder, "adapter.cpp", '#include "extra.hpp"\n' + text)
        write(folder, "extra.hpp", "// one\n")
        first = tool.run("build", manifest, "--json", env=env)
        if not checks.equal(first.status, 0, f"an adapter that compiles; {first.err}"):
            return
        again = tool.run("build", manifest, "--json", env=env).json()
        checks.equal((again["cached"], again["key"]), (True, first.json()["key"]), "built once")
        write(folder, "extra.hpp", "// two\n")
        other = tool.run("build", manifest, "--json", env=env).json()
        checks.that(not other["cached"] and other["key"] != again["key"],
                    "a changed include builds again")


def relative_cache(checks):
    """The host runs in the manifest's folder, wherever its cache was said to be."""
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.relpath(tool.CACHE, os.path.realpath(folder))
        done = tool.run("run", tool.TINY_CORE, "--no-record", env={"SPIKELOCK_CACHE": cache},
                        cwd=folder)
        checks.equal(done.status, 0, f"a relative cache folder: exit code; {done.err}")


def main():
    checks = tool.Checks()
    names(checks)
    adapters(checks)
    relative_cache(checks)
    checks.finish()


if __name__ == "__main__":
    main()

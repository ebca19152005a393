#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""[[map]] in whole runs, in both directions: a core that holds its network gives it to the golden,
or is given another one. Its ports are called as functions of the model's class, which must not
matter."""

import pathlib
import shutil
import tempfile

import tool

CORES = tool.COSIM / "cores"
NAME = "stored_core"


def manifest(folder, *changes):
    """A copy of the core with its manifest changed: (before, after) each."""
    for suffix in (".sv", ".json"):
        shutil.copy(CORES / (NAME + suffix), folder)
    text = (CORES / (NAME + ".toml")).read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    (folder / "cosim.toml").write_text(text)
    return folder / "cosim.toml"


def spikes(run):
    return run.json()["spikes_actual"]


def main():
    checks = tool.Checks()
    write = (('direction = "read"\nsigned = true\n', ""), ('direction = "read"\n', ""))
    text = (CORES / (NAME + ".toml")).read_text()
    no_maps = ((text[text.index("[[map]]"):text.index("[timestep]")], ""),
               ('[[startup]]\nload = "maps"\n', ""))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        read = tool.run("run", manifest(folder), "--no-record", "--json", timeout=600)
        if not checks.equal(read.status, 0, f"read from the core: exit code; {read.err}"):
            checks.finish()
        written = tool.run("run", manifest(folder, *write), "--no-record", "--json", timeout=600)
        checks.equal(written.status, 0, f"written into the core: exit code; {written.err}")
        for done, what in ((read, "read"), (written, "written")):
            checks.equal(done.json()["verdict"], "MATCH", what)
        # The two are not the same network.
        checks.that(spikes(read) != spikes(written), f"spikes: {spikes(read)}, {spikes(written)}")
        # Without the maps the golden computes the file's network, the core its own.
        done = tool.run("run", manifest(folder, *no_maps), "--no-record", "--json")
        checks.equal(done.status, 1, f"neither read nor written: exit code; {done.err}")
        # A word that no network can have.
        wrong = manifest(folder, ('word = "n"\nwidth = 4', 'word = "n"\nlsb = "0"\nwidth = 4'),
                         ('array = "neuron"\nmemory = "leak"', 'array = "row"\nmemory = "leak"'))
        done = tool.run("run", wrong, "--no-record")
        checks.equal(done.status, 2, "rows cannot be read: exit code")
        checks.matches(done.err, r"this array cannot be read back; expected global, neuron",
                       "rows cannot be read")
    checks.finish()


if __name__ == "__main__":
    main()

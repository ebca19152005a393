#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a manifest may say, read from waveforms: of every style of styles_test.cpp and of the
examples' cores, the trace from the waveform must equal the one that the DUT host observed, dataset
by dataset, with counts, events and their clocks.

    waveform_styles_test.py RECORD_WAVES TEST_COSIM
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy
import tool
import traced_host

RECORD_WAVES, TEST_COSIM = sys.argv[1:3]
EXAMPLES = {"050_parallel_q88": 300, "070_banked_serial": 300, "080_izhikevich": 300,
            "090_lfsr_lif": 120, "100_verilog_2001": 300}
checks = tool.Checks()


def datasets(path):
    """All arrays of a trace by name."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]})
                        if isinstance(item, h5py.Dataset) else None)
        found["shape"] = file.attrs["shape"]
    return found


def same_traces(got, wanted, what):
    """That two traces hold the same."""
    got, wanted = datasets(got), datasets(wanted)
    checks.equal(sorted(got), sorted(wanted), f"{what}: what is recorded")
    for name in wanted:
        if name in got and not numpy.array_equal(got[name], wanted[name]):
            checks.that(False, f"{what}: {name} differs:\n{got[name]}\n{wanted[name]}")
    checks.that(wanted["trace/spike_bits"].any(), f"{what}: something fired")


def compare(manifest, host, folder, what, steps=None, other_form=False):
    """Records a core and its waveform and holds them against each other."""
    wave, direct = folder / "run.vcd", folder / "direct.h5"
    subprocess.run([RECORD_WAVES, manifest, host, direct, *([str(steps)] if steps else [])],
                   check=True, env={**os.environ, "SPIKELOCK_WAVES": str(wave)},
                   stderr=subprocess.DEVNULL)
    waves = [wave]
    if other_form and shutil.which("vcd2fst"):
        waves.append(folder / "run.fst")
        subprocess.run(["vcd2fst", wave, waves[-1]], check=True, stdout=subprocess.DEVNULL)
    for file in waves:
        got = tool.run("waves", file, "--manifest", manifest, "--record", folder / "read.h5")
        if checks.equal(got.status, 0, f"{what}, {file.name}: {got.out}{got.err}"):
            same_traces(folder / "read.h5", direct, f"{what}, {file.name}")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([TEST_COSIM, "styles: written as manifests"], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "SPIKELOCK_STYLES": name})
        manifests = sorted(folder.glob("*.toml"), key=lambda path: int(path.stem))
        checks.that(len(manifests) > 50, "all styles are there")
        host = traced_host.kept(manifests[0], public=True)
        for manifest in manifests:
            what = manifest.read_text().split("\n")[0]
            compare(manifest, host, folder, what, other_form=manifest.stem == "0")
        for example, steps in EXAMPLES.items():
            manifest = tool.ROOT / "examples" / example / "cosim.toml"
            compare(manifest, traced_host.kept(manifest, public=True), folder, example, steps,
                    other_form=True)

        # What no waveform shows is told, with a way out.
        manifest = tool.ROOT / "examples/060_event_crossbar/cosim.toml"
        got = tool.run("waves", folder / "run.vcd", "--manifest", manifest, "--record",
                       folder / "no.h5")
        checks.equal(got.status, 2, "a core that an adapter drives")
        checks.matches(got.err, r"cosim\.toml:\d+: \[timestep\]: .*done = ", "the key is named")
        got = tool.run("waves", folder / "run.vcd", "--manifest", manifest, "--set",
                       "timestep.done=idle", "--record", folder / "no.h5")
        checks.matches(got.err, r"\[\[observe\]\]: .*the adapter's C\+\+ gives the spikes",
                       "so are its deliveries")


if __name__ == "__main__":
    main()
    checks.finish()

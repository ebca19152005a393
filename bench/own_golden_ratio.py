#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a golden model of one's own costs: lockstep of the digits with examples/040_own_golden's
model against lockstep with the built-in one, run in turn. The last line is {"value": ratio of the
speeds, "spread": ...} for bench.py.

    bench/own_golden_ratio.py cpp|python
"""

import json
import os
import pathlib
import subprocess
import sys

import pairs

ROOT = pathlib.Path(__file__).resolve().parents[1]
SPIKELOCK = os.environ.get("SPIKELOCK", str(ROOT / "build/release/bin/spikelock"))
FILES = {"cpp": "golden.cpp", "python": "golden.py"}


def seconds(*settings):
    words = [word for s in settings for word in ("--set", s)]
    done = subprocess.run([SPIKELOCK, "run", ROOT / "examples/010_digits/cosim.toml", "--samples",
                           "200", "--no-record", "--json", "-q", *words],
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"lockstep with {settings or 'the built-in golden'} failed:\n{done.stderr}")
    return json.loads(done.stdout)["seconds"]


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in FILES:
        sys.exit(__doc__.split("\n\n")[1])
    kind = sys.argv[1]
    own = f"golden.{kind}={ROOT / 'examples/040_own_golden' / FILES[kind]}"
    seconds(), seconds(own)  # build
    pairs.measure(kind, ("built in", "own"), lambda: (seconds(), seconds(own)), 5)


if __name__ == "__main__":
    main()

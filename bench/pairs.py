# SPDX-License-Identifier: Apache-2.0
"""Two things timed in turn, for the ratios of bench.py."""

import json
import os
import statistics
import sys


def measure(what, names, pair, repetitions):
    """Prints each pair of seconds and, last, {"value": median ratio, "spread": ...}; the ratio is
    that of the speeds, second against first.

    what:        said with each pair
    names:       of the two
    pair:        called without arguments, gives the seconds of both
    repetitions: pairs, unless SPIKELOCK_BENCH_REPETITIONS says otherwise
    """
    ratios = []
    for k in range(int(os.environ.get("SPIKELOCK_BENCH_REPETITIONS", repetitions))):
        first, second = pair()
        ratios.append(first / second)
        print(f"{what} pair {k}: {names[0]} {first:.3f} s, {names[1]} {second:.3f} s, "
              f"ratio {ratios[-1]:.3f}", file=sys.stderr)
    value = statistics.median(ratios)
    spread = statistics.median(abs(r - value) for r in ratios) / value
    print(json.dumps({"value": round(value, 4), "spread": round(spread, 4)}))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the entries of bench/entries.toml and prints them as a table (see that file's head)."""
import argparse
import fnmatch
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEYS = {"name", "what", "program", "measure", "against", "counter", "scale", "unit", "bar",
        "command", "needs", "timeout_s"}  # fmt: skip


class BenchError(Exception):
    """A bench that could not be measured; the text says why."""


def read_entries(path):
    """Returns the entries, refusing what would else be measured wrongly without a word."""
    with open(path, "rb") as file:
        entries = tomllib.load(file).get("entry", [])
    names = set()
    for number, entry in enumerate(entries, start=1):
        where = f"{path}: entry {number} ({entry.get('name', 'without a name')})"
        if unknown := set(entry) - KEYS:
            raise BenchError(f"{where}: unknown key '{sorted(unknown)[0]}'")
        if "name" not in entry or entry["name"] in names:
            raise BenchError(f"{where}: expected a name of its own")
        names.add(entry["name"])
        if ("program" in entry) == ("command" in entry):
            raise BenchError(f"{where}: expected either program or command")
        if "program" in entry and not {"measure", "counter"} <= set(entry):
            raise BenchError(f"{where}: a program needs measure and counter")
        if "bar" in entry:
            parse_bar(entry["bar"], where)
            if "program" in entry and "against" not in entry:
                raise BenchError(f"{where}: only a ratio may have a bar")
    return entries


def parse_bar(text, where="bar"):
    match = re.fullmatch(r"(>=|<=) ([0-9.]+(?:/[0-9.]+)?)", text)
    if not match:
        raise BenchError(f"{where}: expected '>= number' or '<= number', got '{text}'")
    above, _, below = match.group(2).partition("/")
    return match.group(1), float(above) / float(below or 1)


def holds(value, bar):
    """Whether the bar holds; None for an entry without one."""
    if bar is None:
        return None
    relation, number = parse_bar(bar)
    return value >= number if relation == ">=" else value <= number


def spread_of(values):
    """Distance between the quartiles, relative to the median."""
    if len(values) < 4:
        return None
    low, _, high = statistics.quantiles(values, n=4)
    middle = statistics.median(values)
    return abs((high - low) / middle) if middle else None


def run_program(build, program, wanted, repetitions):
    """Runs the wanted benchmarks of one program, interleaved, and returns name -> repetitions."""
    pattern = "^(" + "|".join(re.escape(name) for name in sorted(wanted)) + ")$"
    raw = build / "bench" / f"{program}.json"
    raw.parent.mkdir(parents=True, exist_ok=True)
    command = [
        str(build / "bin" / program), f"--benchmark_filter={pattern}",
        f"--benchmark_repetitions={repetitions}", "--benchmark_enable_random_interleaving=true",
        f"--benchmark_out={raw}", "--benchmark_out_format=json",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"{program}: {error.strerror}") from error
    if done.returncode != 0:
        raise BenchError(f"{program}: exit code {done.returncode}: {done.stderr.strip()[-400:]}")
    results = {}
    for run in json.loads(raw.read_text(encoding="utf-8"))["benchmarks"]:
        if run.get("error_occurred"):
            raise BenchError(f"{program}: {run['name']}: {run.get('error_message', 'failed')}")
        if run.get("run_type") == "iteration":
            results.setdefault(run["run_name"], []).append(run)
    return results


def counters(results, program, name, counter):
    # Google Benchmark appends options such as /real_time to the name.
    runs = results.get(name) or next(
        (runs for full, runs in results.items() if full.startswith(name + "/")), None
    )
    if not runs:
        raise BenchError(f"{program}: has no benchmark '{name}'")
    if counter not in runs[0]:
        raise BenchError(f"{program}: '{name}' has no counter '{counter}'")
    return [run[counter] for run in runs]


def measure_program(entry, results):
    values = counters(results, entry["program"], entry["measure"], entry["counter"])
    spread = spread_of(values)
    value = statistics.median(values)
    if "against" not in entry:
        return value * entry.get("scale", 1), spread
    base = counters(results, entry["program"], entry["against"], entry["counter"])
    if statistics.median(base) == 0:
        raise BenchError(f"{entry['program']}: '{entry['against']}' measured 0")
    spreads = [part for part in (spread, spread_of(base)) if part is not None]
    return value / statistics.median(base), max(spreads, default=None)


def measure_command(entry, repetitions):
    environment = dict(os.environ, SPIKELOCK_BENCH_REPETITIONS=str(repetitions))
    limit = entry.get("timeout_s", 1800)
    try:
        done = subprocess.run(
            entry["command"], cwd=ROOT, env=environment, capture_output=True, text=True,
            check=False, timeout=limit,
        )  # fmt: skip
    except OSError as error:
        raise BenchError(f"{entry['command'][0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"no result within {limit} s") from error
    if done.returncode != 0:
        raise BenchError(f"exit code {done.returncode}: {(done.stderr or done.stdout)[-400:]}")
    try:
        result = json.loads(done.stdout.strip().splitlines()[-1])
        return float(result["value"]), result.get("spread")
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BenchError('the last line should be {"value": number}') from error


def context(build):
    """One line about what was measured on what."""
    def first(command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[0] if done.stdout else "unknown"

    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    def cached(key):
        match = re.search(rf"^{key}:[A-Z]+=(.*)$", cache, re.MULTILINE)
        return match.group(1) if match else ""

    cpu = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    commit = first(["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"])
    flags = " ".join((cached("CMAKE_CXX_FLAGS"), cached("CMAKE_CXX_FLAGS_RELEASE"))).strip()
    return (f"commit {commit}; {first([cached('CMAKE_CXX_COMPILER') or 'c++', '--version'])}; "
            f"flags {flags}; {os.cpu_count()} x {cpu}; load {os.getloadavg()[0]:.1f}")  # fmt: skip


def measure_all(entries, build, repetitions):
    """Yields (entry, value or None, spread, error text or None) in the order of the entries."""
    results = {}
    for entry in entries:
        try:
            if "command" in entry:
                yield entry, *measure_command(entry, repetitions), None
                continue
            program = entry["program"]
            if program not in results:
                wanted = set()
                for other in entries:
                    if other.get("program") == program:
                        wanted |= {other[key] for key in ("measure", "against") if key in other}
                try:
                    results[program] = run_program(build, program, wanted, repetitions)
                except BenchError as error:
                    results[program] = error
            if isinstance(results[program], BenchError):
                raise results[program]
            yield entry, *measure_program(entry, results[program]), None
        except BenchError as error:
            yield entry, None, None, str(error)


def row(name, value, unit, bar, verdict, spread):
    return f"{name:<44} {value:>10} {unit:<8} {bar:<9} {verdict:<7} {spread}".rstrip()


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--entries", type=pathlib.Path, default=ROOT / "bench/entries.toml")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(arguments)
    try:
        entries = read_entries(options.entries)
    except (OSError, tomllib.TOMLDecodeError, BenchError) as error:
        print(f"bench.py: {error}", file=sys.stderr)
        return 2
    if options.only:
        entries = [entry for entry in entries if any(
            part in entry["name"] or fnmatch.fnmatch(entry["name"], part) for part in options.only)]
    if not entries:
        print("bench.py: no entry has such a name; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        for entry in entries:
            print(f"{entry['name']:<44} {entry.get('bar', 'informs'):<9} {entry.get('what', '')}")
        return 0

    build = options.build.resolve()
    print(context(build))
    print(row("name", "value", "unit", "bar", "holds", "spread"), flush=True)
    report, missed = [], 0
    for entry, value, spread, error in measure_all(entries, build, 3 if options.quick else 9):
        name, bar = entry["name"], entry.get("bar")
        unit = entry.get("unit", "ratio" if "against" in entry else "")
        verdict = False if error else holds(value, bar)
        missed += verdict is False
        report.append({
            "name": name, "value": value, "unit": unit, "bar": bar, "holds": verdict,
            "command": f"scripts/bench.sh --only {shlex.quote(name)}",
        })  # fmt: skip
        print(row(
            name, "failed" if error else f"{value:.4g}", unit, bar or "informs",
            {True: "yes", False: "NO", None: ""}[verdict],
            "" if spread is None else f"{100 * spread:.1f} %",
        ), flush=True)  # fmt: skip
        if error:
            print(f"    {error}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

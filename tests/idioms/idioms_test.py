#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Each idiom of docs/idioms.md against the golden under the keys that stand beside it.

    idioms_test.py RUN_DESCRIBED WORK_FOLDER

The page is the list: each block of Verilog must stand in idioms.sv, and where a block of TOML
follows, its keys must make the golden give what Verilator makes of the Verilog, for all 256 states
and 256 inputs (or 16 weights, or 256 clocks of a shift register).
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "idioms.md"
STEPS = 256
MAIN = """// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include "Vidioms.h"
#include "verilated.h"
int main() {{
    VerilatedContext context;
    Vidioms top(&context);
    const auto clock = [&] {{
        top.clk = 0;
        top.eval();
        top.clk = 1;
        top.eval();
    }};
    top.rst = 1;
    clock();
    top.rst = 0;
    for (int t = 0; t < {steps}; ++t) {{
        clock();
        top.b = static_cast<unsigned char>(t);
        top.w = t % 16;
        for (int a = 0; a < 256; ++a) {{
            top.a = static_cast<unsigned char>(a);
            top.eval();
            std::printf("{formats}\\n", {values});
        }}
    }}
}}
"""


def idioms_of(page):
    """@returns [(name, verilog, toml or None)] in the order of the page"""
    blocks = re.findall(r"```(verilog|toml)\n(.*?)```", page, re.S)
    out = []
    for kind, text in blocks:
        if kind == "toml":
            assert out and out[-1][2] is None, f"keys without an idiom: {text}"
            out[-1][2] = text
            continue
        for line in text.strip().splitlines():
            name = re.match(r"(?:assign|always_ff @\(posedge clk\)) (\w+)", line).group(1)
            out.append([name, line, None])
    return out


def squeezed(text):
    return re.sub(r"\s+", "", text)


def verilated(names, work):
    """@returns {name: [STEPS][256] values}"""
    work.mkdir(parents=True, exist_ok=True)
    main = work / "main.cpp"
    text = MAIN.format(steps=STEPS, formats=" ".join(["%d"] * len(names)),
                       values=", ".join(f"static_cast<int>(top.{name})" for name in names))
    if not main.exists() or main.read_text() != text:
        main.write_text(text)
    subprocess.run(["verilator", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint",
                    "-Wno-style", "--Mdir", str(work / "obj"), "--top-module", "idioms",
                    str(HERE / "idioms.sv"), str(main)], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "OBJCACHE": os.environ.get("OBJCACHE", "")})
    out = subprocess.run([str(work / "obj" / "Vidioms")], check=True, capture_output=True,
                         text=True).stdout.splitlines()
    rows = [[int(x) for x in line.split()] for line in out]
    assert len(rows) == STEPS * 256
    return {name: [[rows[t * 256 + a][i] for a in range(256)] for t in range(STEPS)]
            for i, name in enumerate(names)}


def network():
    """256 neurons; axon k has weight k - 8 (as four bits: k with its upper half negative)."""
    weights = [k - 16 if k >= 8 else k for k in range(16)]
    return {
        "name": "idioms", "dt": 0.001,
        "arithmetic": {"v_bits": 8, "u_bits": 8, "acc_bits": 16, "weight_bits": 4, "leak_frac": 8,
                       "refr_bits": 1, "delay_slots": 2, "v_frac": 0, "leak_mode": 0,
                       "rounding": 0, "v_overflow": 0, "acc_overflow": 0, "compare": 0,
                       "reset_mode": 0, "weight_shift": 0, "u_shift": 0},
        "ports": [{"label": "in", "begin": 0, "end": 16}],
        "populations": [{"label": "all", "begin": 0, "end": 256}],
        "neurons": [{"threshold": 1, "v_reset": 0, "bias": 0, "leak": 0, "u_decay": 0,
                     "refractory": 0, "spiking": True, "cuba": False}] * 256,
        "row_begin": [256 * k for k in range(17)] + [4096] * 256,
        "synapses": [[n, w, 0] for w in weights for n in range(256)]}


def write_case(folder, name, toml):
    folder.mkdir(parents=True, exist_ok=True)
    signed = "v.signed = false" not in toml
    init = [a - 256 if signed and a >= 128 else a for a in range(256)]
    given = {line.split("=")[0].strip() for line in toml.splitlines() if "=" in line}
    base = {"model": '"lif"', "v.bits": "8", "v.init": str(init)}
    if "v.overflow" not in given:
        base["v.overflow"] = '"wrap"'
    if "leak" not in given:
        base["leak.kind"] = '"none"'
    if "reset" not in given:
        base["reset.kind"] = '"none"'
    if "threshold" not in given:
        base["threshold.value"] = "1000"
    (folder / "network.json").write_text(json.dumps(network()))
    (folder / "cosim.toml").write_text(
        '[network]\njson = "network.json"\n[golden]\n'
        + "".join(f"{key} = {value}\n" for key, value in base.items()) + toml)
    # Only the registers go on from a timestep to the next; the state starts anew.
    lines = [f"T {STEPS}"] + [f"C {t}" for t in range(STEPS)]
    for t in range(STEPS):
        if name.startswith("weight_"):
            lines.append(f"E {t} 0 {t % 16} 1")
        elif uses_input(name):
            b = t - 256 if t >= 128 else t
            lines.append(f"I {t} " + " ".join([str(b)] * 256))
    (folder / "input.txt").write_text("\n".join(lines) + "\n")


LINES = {}


def uses_input(name):
    """Whether the idiom's value depends on b, by itself or through another's."""
    line = LINES[name]
    if re.search(r"\bb\b", line):
        return True
    return any(uses_input(other) for other in LINES
               if other != name and re.search(rf"\b{other}\b", line.split("=", 1)[1])
               and not other.startswith("lfsr"))


def main():
    run_described, work = sys.argv[1], pathlib.Path(sys.argv[2])
    module = squeezed((HERE / "idioms.sv").read_text())
    idioms = idioms_of(PAGE.read_text())
    LINES.update({name: line for name, line, _ in idioms})
    failed = 0
    for name, line, _ in idioms:
        if squeezed(line) not in module:
            print(f"{name}: the line of the page is not in idioms.sv: {line}")
            failed += 1
    tested = [(name, toml) for name, _, toml in idioms if toml is not None]
    expected = verilated([name for name, _ in tested], work)
    for name, toml in tested:
        write_case(work / "cases" / name, name, toml)
    out = subprocess.run([run_described, *[str(work / "cases" / name) for name, _ in tested]],
                         check=True, capture_output=True, text=True).stdout
    seen, errors = {}, {}
    for line in out.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "case":
            name = pathlib.Path(rest).name
        elif kind == "error":
            errors[name] = rest
        else:
            seen.setdefault((name, kind), []).append(rest)
    for name, _ in tested:
        field = "spike" if name.startswith("fires") else "lfsr" if name.startswith("lfsr") else "v"
        mask = 0xffff if field == "lfsr" else 0xff
        rows = seen.get((name, field), [])
        if name in errors or len(rows) != STEPS:
            print(f"{name}: {errors.get(name, 'no output')}")
            failed += 1
            continue
        for t, row in enumerate(rows):
            values = [int(x) & mask for x in row.split()]
            wanted = [x & mask for x in expected[name][t]]
            if values != wanted:
                a = next(i for i in range(256) if values[i] != wanted[i])
                print(f"{name}: timestep {t} (b = {t - 256 if t > 127 else t}), a = "
                      f"{a - 256 if a > 127 else a}: Verilog {wanted[a]}, golden {values[a]}")
                failed += 1
                break
        if len({tuple(row) for row in expected[name]}) == 1 and len(set(expected[name][0])) == 1:
            print(f"{name}: is always {expected[name][0][0]}: it shows nothing")
            failed += 1
    print(f"{len(tested)} idioms, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libvcd against the reader in vcd_reader.py, and against what vcd2fst and fst2vcd make of a file:
generated files with every construct, damaged ones, and files that tools write here and now.

    differential_test.py VCD_DUMP [FILES]
"""
import gzip
import pathlib
import shutil
import subprocess
import sys
import tempfile

import generate
import vcd_reader

DUMP = sys.argv[1]
FILES = int(sys.argv[2]) if len(sys.argv) > 2 else 200

DESIGN = """
`timescale 1ns/10ps
module leaf #(parameter W = 4)(input clk, input [W-1:0] d, output reg [W-1:0] q);
  real level; event hit; integer count; time when;
  always @(posedge clk) begin q <= d; level = level + 0.125; -> hit; count = count + 1; end
  initial begin level = -1.5; count = 0; when = 64'd5; end
endmodule
module \\top.esc (input clk);
endmodule
module tb;
  reg clk = 0; reg [3:0] d = 4'bx01z; wire [3:0] q; reg [99:0] wide = 100'bz; tri1 pulled;
  genvar i;
  generate for (i = 0; i < 3; i = i + 1) begin : g
    wire [i+1:0] y; leaf #(i+2) u(.clk(clk), .d(d[i+1:0]), .q(y)); end endgenerate
  leaf u(.clk(clk), .d(d), .q(q));
  \\top.esc \\odd.name[1] (.clk(clk));
  always #5 clk = ~clk;
  initial begin
    $dumpfile("OUT"); $dumpvars(0, tb);
    #12 d = 3; #10 wide = {25{4'b10xz}}; #11 $dumpoff; #20 d = 4'hf; $dumpon;
    #10 $dumpall; wide[7:0] = 8'hz; #17 $finish;
  end
endmodule
"""
SYNTH = """
module counter(input clk, input rst, output reg [7:0] q, output odd);
  assign odd = q[0];
  always @(posedge clk) if (rst) q <= 0; else q <= q + 3;
endmodule
"""

failures = 0
checks = 0


def check(holds, what):
    global failures, checks
    checks += 1
    if not holds:
        failures += 1
        print(f"FAILED: {what}")


def dump(files, *options):
    """What vcd_dump prints, a list of lines per file."""
    done = subprocess.run([DUMP, *options, *map(str, files)], capture_output=True, timeout=280,
                          check=True)
    text = done.stdout.decode("latin-1")
    return [part.split("\n")[:-1] for part in text.split("file\n")[1:]]


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return f"line {n}: {x[:100]!r} and {y[:100]!r}"
    return f"{len(a)} and {len(b)} lines, then {(a + b)[min(len(a), len(b))][:100]!r}"


def compare(files, wanted, *options):
    for file, got, want in zip(files, dump(files, *options), wanted, strict=True):
        check(got == want, f"{file} {options}: {first_difference(got, want)}")


def simds():
    with open("/proc/cpuinfo", encoding="ascii") as info:
        flags = info.read().split()
    return ["scalar", *(["avx2"] if "avx2" in flags and "bmi2" in flags else []),
            *(["avx512"] if "avx512_vbmi2" in flags else [])]


def waves(lines):
    """Per name: its value at each time at which it changes."""
    time = 0
    names, values, seen = {}, {}, {}
    for line in lines:
        if line.startswith("var "):
            _, _, _, code, name = line.split(" ", 4)
            names.setdefault(code, []).append(name.split("[")[0].split(" ")[0])
        elif " " not in line:  # a code may begin with # or $, too
            time = int(line[1:]) if line[0] == "#" else time
        elif not line.startswith("timescale "):
            code, value = line.split(" ", 1)
            values.setdefault(code, {})[time] = value
    for code, changes in values.items():
        kept, last = [], None
        for when, value in changes.items():
            if value != last:
                kept.append((when, value))
            last = value
        for name in names[code]:
            seen[name] = kept
    return seen


def against_gtkwave(folder, files, wanted):
    """The same values after a round through the FST tools."""
    if not shutil.which("vcd2fst") or not shutil.which("fst2vcd"):
        print("vcd2fst and fst2vcd are not installed (package gtkwave): not compared with them")
        return
    back = []
    for file in files:
        fst = folder / (file.stem + ".fst")
        subprocess.run(["vcd2fst", file, fst], check=True, capture_output=True)
        text = subprocess.run(["fst2vcd", fst], check=True, capture_output=True).stdout
        back.append(folder / (file.stem + "-back.vcd"))
        back[-1].write_bytes(text)
    # The writer of these files is GTKWave's: both readers read them, too.
    lines = dump(back)
    for file, got in zip(back, lines):
        want = vcd_reader.canonical(file.read_bytes())
        check(got == want, f"{file}: {first_difference(got, want)}")
    for file, got, want in zip(files, lines, wanted):
        a, b = waves(got), waves(want)
        bad = [n for n in sorted({*a, *b}) if a.get(n) != b.get(n)]
        check(not bad, f"{file}: {bad[:3]} differ after vcd2fst | fst2vcd: "
              f"{a.get(bad[0], [])[:4] if bad else ''} {b.get(bad[0], [])[:4] if bad else ''}")


def from_tools(folder):
    """Files that simulators write."""
    files = []
    if shutil.which("iverilog"):
        out = folder / "icarus.vcd"
        (folder / "tb.v").write_text(DESIGN.replace("OUT", str(out)))
        subprocess.run(["iverilog", "-g2012", "-o", folder / "tb", folder / "tb.v"], check=True)
        subprocess.run(["vvp", folder / "tb"], check=True, capture_output=True)
        files.append(out)
    if shutil.which("yosys"):
        (folder / "c.v").write_text(SYNTH)
        out = folder / "yosys.vcd"
        subprocess.run(["yosys", "-q", "-p", f"read_verilog {folder}/c.v; prep -top counter; "
                        f"sim -clock clk -reset rst -n 20 -vcd {out}"], check=True)
        files.append(out)
    if shutil.which("ghdl"):
        (folder / "t.vhdl").write_text(
            "entity t is end; architecture a of t is type s is (idle, busy); signal c : bit;"
            " signal n : integer := 3; signal st : s; begin process begin for i in 1 to 99 loop"
            " c <= not c; n <= n + i; st <= busy; wait for 3 ns; end loop; wait; end process;"
            " end;\n")
        out = folder / "ghdl.vcd"
        for step in (["-a", "t.vhdl"], ["-e", "t"], ["-r", "t", f"--vcd={out}"]):
            subprocess.run(["ghdl", *step], cwd=folder, check=True, capture_output=True)
        files.append(out)
    wanted = [vcd_reader.canonical(f.read_bytes()) for f in files]
    for file, lines in zip(files, wanted):
        check(len(lines) > 50 and "error" not in lines[-1], f"{file}: {lines[-1]}")
    for simd in simds():
        compare(files, wanted, "--simd", simd, "--check")
    against_gtkwave(folder, [f for f in files if f.stem != "icarus"],
                    [w for f, w in zip(files, wanted) if f.stem != "icarus"])
    return [f.stem for f in files]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        files, plain = [], []
        for seed in range(FILES):
            style = {"plain": seed % 4 == 0, "extended": seed % 10 == 9}
            files.append(folder / f"f{seed}.vcd")
            files[-1].write_bytes(generate.generate(seed, **style))
            if style["plain"]:
                plain.append(seed)
        wanted = [vcd_reader.canonical(f.read_bytes()) for f in files]
        for file, lines in zip(files, wanted):
            check(not lines[-1].startswith("error") and "bad" not in lines[-1],
                  f"{file}: {lines[-1]}")
        for simd in simds():
            compare(files, wanted, "--simd", simd)
            compare(files, wanted, "--simd", simd, "--buffer", "4096", "--check")
        third = [vcd_reader.canonical(f.read_bytes(), 3) for f in files]
        compare(files, third, "--every", "3")
        packed = []
        for file in files[:20]:
            packed.append(file.with_suffix(".gz"))
            data = file.read_bytes()  # in two members
            packed[-1].write_bytes(gzip.compress(data[:777]) + gzip.compress(data[777:]))
        compare(packed, wanted[:20])
        against_gtkwave(folder, [files[s] for s in plain], [wanted[s] for s in plain])
        damaged = []
        for seed, file in enumerate(files):
            damaged.append(folder / f"d{seed}.vcd")
            damaged[-1].write_bytes(generate.damage(file.read_bytes(), seed))
        broken = [vcd_reader.canonical(f.read_bytes()) for f in damaged]
        for simd in simds():
            compare(damaged, broken, "--simd", simd)
        found = sum(lines[-1].startswith("error") for lines in broken)
        check(found > FILES // 8, f"only {found} of the damaged files are wrong")
        tools = from_tools(folder)
    print(f"{checks} comparisons, {failures} failed; {FILES} files, {found} damaged ones in error, "
          f"tools: {', '.join(tools)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How far `spikelock init` gets on the examples' sources: how many lines of its manifest have to
change until it says what the committed one says, and whether anything that it says is wrong after
every identifier in the sources has been replaced by a random one.

Lines are compared by what they mean: sections that no source tells (network, stimulus, golden) are
left out, keys that are not given have their default, and order does not count.
"""

import pathlib
import random
import re
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

MOST_LINES = 10
CROSSBAR = "060_event_crossbar"
NAMES = ("050_parallel_q88", CROSSBAR, "070_banked_serial", "080_izhikevich", "090_lfsr_lif",
         "100_verilog_2001")
# No source tells an adapter; the same core has a manifest that needs none.
WANTED = {CROSSBAR: "without_adapter.toml"}
# What means the same in another way: the port shows what the memory holds.
SAME = {("100_verilog_2001", "observe v", "value", "v[i]"),
        ("100_verilog_2001", "core", "language", "1364-2005")}
# Not told by a source, or for reports and tests only.
APART = ("network", "stimulus", "golden", "pacing", "answer")
APART_IN_CORE = ("faults", "waivers", "lint", "name")
DEFAULTS = {"startup": {"clocks": 4, "active": "low", "value": 1}, "input": {"ready": "1"},
            "map": {"width": 32}, "timestep": {"clocks": 1}, "side_band": {"name": "i_in"}}

KEYWORDS_2001 = """always and assign begin buf case casex casez default defparam disable edge else
end endcase endfunction endgenerate endmodule endtask event for forever function generate genvar if
initial inout input integer localparam module negedge not or output parameter posedge real reg
repeat signed supply0 supply1 task time tri wait wand while wire wor xor unsigned""".split()
KEYWORDS = KEYWORDS_2001 + """always_comb always_ff always_latch automatic bit break byte const
continue do endinterface endpackage endproperty enum export final foreach import inside int
interface iff logic longint package packed priority property return shortint static string struct
typedef union unique unique0 void""".split()


def meaning(manifest):
    """{(section, key): value}; sections of lists are told apart by what they are about."""
    lines = {}

    def add(section, table, kind):
        table = dict(table)
        for key, value in DEFAULTS.get(kind, {}).items():
            table.setdefault(key, value)
        if kind == "startup":  # keys of other kinds of steps have no meaning
            own = {"reset": ("active", "clocks"), "set": ("value",), "pulse": ("until",)}
            step = next(k for k in ("reset", "set", "load", "pulse", "adapter", "wait_clocks")
                        if k in table)
            table = {k: v for k, v in table.items() if k == step or k in own.get(step, ())}
        if kind == "timestep" and table.get("kind") != "clocked":
            table.pop("clocks")
        for key, value in table.items():
            lines[section, key] = value

    for key, value in manifest.items():
        if key in APART:
            continue
        if key == "core":
            core = {k: v for k, v in value.items() if k not in APART_IN_CORE and k != "parameters"}
            core["sources"] = sorted(pathlib.Path(s).name for s in core["sources"])
            add("core", core, "core")
        elif key == "state":
            for step in value["clear"]:
                add("clear", step, "startup")
        elif isinstance(value, list):
            for k, table in enumerate(value):
                about = {"observe": table.get("field"),
                         "map": table.get("memory", table.get("address")),
                         "startup": next(iter(table))}.get(key, k)
                add(f"{key} {about}", table, key)
        elif isinstance(value, dict):
            add(key, value, key)
        else:
            lines["", key] = value
    return lines


def changed_lines(guessed, wanted):
    """Lines to change, add or take away, headers of sections included."""
    keys = {k for k in guessed.keys() | wanted.keys() if guessed.get(k) != wanted.get(k)}
    headers = {s for s, _ in guessed} ^ {s for s, _ in wanted}
    return sorted(keys, key=str), len(keys) + len(headers)


def wanted_of(name):
    """The committed manifest, as meaning() gives it."""
    file = EXAMPLES / name / WANTED.get(name, "cosim.toml")
    return meaning(tomllib.loads(file.read_text()))


def sources_of(folder):
    core = tomllib.loads((folder / "cosim.toml").read_text())["core"]
    return [folder / s for s in core["sources"]]


def init(checks, place, sources, *options):
    done = tool.run("init", *sources, "-o", place / "cosim.toml", *options)
    checks.equal(done.status, 0, f"init of {sources[0]}: {done.err}")
    return (place / "cosim.toml").read_text()


def shuffled_names(text, names, r, keywords):
    """The source with every identifier replaced; `names` keeps who is who."""
    macros = set(re.findall(r"`(?:define|ifdef|ifndef|undef)\s+(\w+)", text))
    token = re.compile(r"//[^\n]*|/\*.*?\*/|\"[^\"]*\"|`\w+|\$\w+"
                       r"|(?:\d+\s*)?'[sS]?[bodhBODH]\s*[0-9a-fA-F_xzXZ?]+|'[01]|\d[\d_.]*"
                       r"|[A-Za-z_][\w$]*", re.DOTALL)

    def replace(match):
        word = match.group()
        if word.startswith(("//", "/*")):
            return ""
        if not re.match(r"[A-Za-z_]", word) or word in keywords or word in macros:
            return word
        if word not in names:
            names[word] = "q" + "".join(r.choice("bcdfghjkmnpqrstvwxz") for _ in range(7))
        return names[word]

    return token.sub(replace, text)


def test_lines(checks, name, folder):
    wanted = wanted_of(name)
    guessed = meaning(tomllib.loads(init(checks, folder, sources_of(EXAMPLES / name))))
    keys, lines = changed_lines(guessed, wanted)
    checks.that(lines <= MOST_LINES, f"{name}: {lines} lines to change: {keys}")
    print(f"{name:<20} {lines:>2} of {len(wanted)} lines to change: "
          f"{', '.join(f'{s}.{k}'.strip('.') for s, k in keys)}")


def test_random_names(checks, name, folder):
    r = random.Random(name)
    names, files = {}, []
    plain = name == "100_verilog_2001"
    for source in sources_of(EXAMPLES / name):
        file = folder / source.name
        file.write_text(shuffled_names(source.read_text(), names, r,
                                       KEYWORDS_2001 if plain else KEYWORDS))
        files.append(file)
    text = init(checks, folder, files)
    back = {new: old for old, new in names.items()}
    text = re.sub(r"\b" + "|".join(back) + r"\b", lambda m: back[m.group()], text)
    wanted = wanted_of(name)
    guessed = meaning(tomllib.loads(text))
    right = 0
    for (section, key), value in guessed.items():
        if "FILL_IN" in str(value) or section == "timestep" and guessed.get(
                ("timestep", "start")) == "FILL_IN_start":
            continue  # left open
        good = wanted.get((section, key)) == value or (name, section, key, value) in SAME
        right += good
        checks.that(good, f"{name}, random names: {section} {key} = {value!r}, "
                    f"wanted {wanted.get((section, key))!r}")
    checks.that(right >= 4, f"{name}, random names: only {right} lines")
    print(f"{name:<20} random names: {right} lines right, none wrong")


def test_filled(checks, folder):
    """The crossbar's first manifest with what init leaves open filled in: MATCH."""
    text = init(checks, folder, sources_of(EXAMPLES / CROSSBAR), "--force")
    for before, after in (('# tick_address = "FILL_IN_tick"', 'tick_address = "0x100"'),
                          ('"FILL_IN_gate"', '"0"'),
                          ("counts = true", "counts = true\nevents = true")):
        checks.that(text.count(before) == 1, f"filled in: one line with {before}")
        text = text.replace(before, after)
    wanted = (EXAMPLES / CROSSBAR / WANTED[CROSSBAR]).read_text()
    told = wanted[wanted.index("[network]"):wanted.index("[pacing]")]
    told = told.replace("network.json", str(EXAMPLES / CROSSBAR / "network.json"))
    (folder / "cosim.toml").write_text(text + told)
    done = tool.run("run", folder / "cosim.toml", "--no-record", "--set", "core.optimise=-O1",
                    "--set", "stimulus.steps=300")
    checks.equal(done.status, 0, f"{CROSSBAR} as guessed and filled in: {done.err}")
    checks.matches(done.out, "MATCH", f"{CROSSBAR} as guessed and filled in")


def main():
    checks = tool.Checks()
    with tempfile.TemporaryDirectory() as folder:
        test_filled(checks, pathlib.Path(folder))
    for name in NAMES:
        with tempfile.TemporaryDirectory() as folder:
            test_lines(checks, name, pathlib.Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            test_random_names(checks, name, pathlib.Path(folder))
    checks.finish()


if __name__ == "__main__":
    main()

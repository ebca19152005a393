#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Random descriptions: what the golden shows against described_model.py.

    check_described.py RUN_DESCRIBED [--cases N] [--seed S] [--keep]

Each case is a random network, a random [golden] section over all keys of docs/golden.md, random
events and currents and, where the semantics are event-driven, at times an order in which the core
took its events. Every field of every neuron and timestep must be equal.
"""

import argparse
import copy
import json
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import described_model  # noqa: E402

ROUNDINGS = ["floor", "toward_zero", "away_from_zero", "nearest_even", "up", "half_up",
             "half_away"]


class Draw:
    """Random choices; `maybe` leaves a key out as often as not."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def maybe(self, keys, name, make, probability=0.5):
        if self.r.random() < probability:
            keys[name] = make()

    def pick(self, *items):
        return self.r.choice(items)

    def int(self, low, high):
        return self.r.randint(low, high)

    def chance(self, probability):
        return self.r.random() < probability


def random_network(d):
    n, axons = d.int(2, 90) if d.chance(0.2) else d.int(2, 14), d.int(1, 6)
    event_like = d.chance(0.4)
    slots = 2 if event_like else d.pick(2, 4)
    v_bits = d.int(5, 14)
    half = 1 << (v_bits - 1)
    frac = d.int(2, 8)
    arithmetic = {
        "v_bits": v_bits, "u_bits": d.int(5, 14), "acc_bits": d.int(4, 14), "weight_bits": 5,
        "leak_frac": frac, "refr_bits": 3, "delay_slots": slots, "v_frac": 0,
        "leak_mode": d.int(0, 1), "rounding": d.int(0, 3), "v_overflow": d.int(0, 1),
        "acc_overflow": d.int(0, 1), "compare": d.int(0, 1), "reset_mode": d.int(0, 1),
        "weight_shift": d.int(0, 2), "u_shift": d.int(0, 2)}

    def factor():
        if arithmetic["leak_mode"] == 0:
            return d.int(0, min(5, (2 << frac) - 1))
        return d.int((1 << frac) // 2, 1 << frac)

    refractory = d.chance(0.5)
    cuba = d.chance(0.4)
    neurons = [{
        "threshold": d.int(1, half // 3 + 1), "v_reset": d.int(-half // 4, half // 8),
        "bias": d.int(-1, 2), "leak": factor(), "u_decay": factor(),
        "refractory": d.int(0, 3) if refractory else 0, "spiking": d.chance(0.9),
        "cuba": cuba and d.chance(0.8), "v_init": d.int(0, 3)} for _ in range(n)]
    cut = d.int(1, n)
    populations = [{"label": "a", "begin": 0, "end": cut}]
    if cut < n:
        populations.append({"label": "b", "begin": cut, "end": n})
    port = d.int(1, axons)
    ports = [{"label": "p", "begin": 0, "end": port}]
    if port < axons:
        ports.append({"label": "q", "begin": port, "end": axons})
    begin, synapses = [0], []
    for source in range(axons + n):
        dense = d.chance(0.4)
        targets = range(n) if dense else [d.int(0, n - 1) for _ in range(d.int(0, 4))]
        for target in targets:
            delay = d.int(0, slots - 1)
            if source >= axons and target <= source - axons:
                delay = max(delay, 1)
            if dense:
                delay = 1 if source >= axons else 0
            synapses.append([target, d.int(-9, 15), delay])
        begin.append(len(synapses))
    return {"name": "fuzz", "dt": 0.001, "arithmetic": arithmetic, "ports": ports,
            "populations": populations, "neurons": neurons, "row_begin": begin,
            "synapses": synapses}


def param(d, net, low, high):
    """A number once, by neuron, or by population."""
    if d.chance(0.5):
        return d.int(low, high)
    if d.chance(0.5):
        return [d.int(low, high) for _ in net["neurons"]]
    return {p["label"]: d.int(low, high) for p in net["populations"]}


def overflow(d, bits, signed=True):
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits) - 1
    if d.chance(0.7):
        return d.pick("wrap", "saturate", "saturate", "clamp_zero")
    return {"low": d.pick("wrap", "saturate", low // 2), "high": d.pick("wrap", "saturate",
                                                                        high // 2)}


def rounding(d, state):
    if state["stochastic"] and d.chance(0.5):
        return "stochastic"
    return d.pick(*ROUNDINGS)


def random_leak(d, net, state, bits, lazy_allowed=False, main=False):
    keys = {}
    kind = d.pick("none", "constant", "shift", "two_shifts", "multiply")
    keys["kind"] = kind
    frac = d.int(1, 8)
    if kind == "constant":
        keys["amount"] = param(d, net, -2, 9)
        d.maybe(keys, "past", lambda: d.pick("stop", "continue"))
    elif kind == "multiply":
        keys["frac"] = frac
        keys["amount"] = param(d, net, 0, 1 << frac)
        if d.chance(0.3):
            keys["product_bits"] = bits + frac - 1
            keys["product_overflow"] = overflow(d, bits + frac - 1)
    else:
        keys["amount"] = param(d, net, 0, 6)
        d.maybe(keys, "second", lambda: param(d, net, 0, 6))
        d.maybe(keys, "second_sign", lambda: d.pick("subtract", "add"))
    if kind in ("shift", "two_shifts", "multiply"):
        d.maybe(keys, "form", lambda: d.pick("auto", "keep", "subtract", "add"))
    keys["rounding"] = rounding(d, state)
    d.maybe(keys, "toward_rest", lambda: d.chance(0.5))
    if d.chance(0.2):
        keys["bits"] = bits
        keys["overflow"] = d.pick("wrap", "saturate")
    if main:
        d.maybe(keys, "when", lambda: d.pick("always", "without_input", "without_event"))
        if lazy_allowed and d.chance(0.3):
            keys["when"] = "lazy"
            d.maybe(keys, "dt_bits", lambda: d.int(1, 3))
            if keys["rounding"] == "stochastic":
                keys["rounding"] = "floor"
        elif kind in ("shift", "multiply") and d.chance(0.2):
            keys["input"] = "inside"
    return keys


def random_noise(d, net, use):
    bits = d.int(4, 16)
    width = d.int(1, min(bits, 6))
    keys = {"bits": bits, "taps": d.int(1, (1 << bits) - 1), "width": width,
            "lsb": d.int(0, bits - width), "use": use,
            "advance": d.pick("event", "update", "neuron", "timestep")}
    d.maybe(keys, "form", lambda: d.pick("fibonacci", "galois"))
    d.maybe(keys, "direction", lambda: d.pick("left", "right"))
    d.maybe(keys, "xnor", lambda: d.chance(0.5))
    d.maybe(keys, "shifts", lambda: d.int(1, 5))
    d.maybe(keys, "read", lambda: d.pick("before", "after"))
    d.maybe(keys, "seed_on_clear", lambda: d.chance(0.5))
    d.maybe(keys, "name", lambda: "lfsr_" + use)
    if use != "rounding":
        d.maybe(keys, "signed", lambda: d.chance(0.5))
        d.maybe(keys, "offset", lambda: d.int(-4, 4))
        d.maybe(keys, "shift", lambda: d.int(0, 2))
    if keys["advance"] == "neuron" and d.chance(0.7):
        keys["seed"] = [d.int(1, (1 << bits) - 2) for _ in net["neurons"]]
    else:
        keys["seed"] = d.int(1, (1 << bits) - 2)
    return keys


def product(d, net, state, low, high, frac):
    keys = {"factor": param(d, net, low, high), "frac": frac, "rounding": rounding(d, state)}
    if d.chance(0.5):
        keys["bits"] = d.int(12, 20)
        keys["overflow"] = d.pick("wrap", "saturate")
    return keys


def random_izhikevich(d, net, state):
    """Near the published values, with 6 fraction bits: v of -65 is -4160."""
    keys = {"bits": 16, "init": param(d, net, -900, -700), "square_shift": d.int(5, 7),
            "square_rounding": rounding(d, state), "form": d.pick("expanded", "horner"),
            "constant": 140 << 6, "dt_shift": d.int(0, 2), "u_dt_shift": d.int(0, 2),
            "dt_rounding": rounding(d, state), "d": param(d, net, 100, 600),
            "quadratic": product(d, net, state, 38, 44, 10),
            "linear": product(d, net, state, 4, 6, 0), "a": product(d, net, state, 10, 30, 10),
            "b": product(d, net, state, 180, 230, 10)}
    if keys["form"] == "horner":
        keys["linear"]["frac"] = 6
        keys["linear"]["factor"] = d.int(280, 340)
    d.maybe(keys, "square_bits", lambda: d.int(14, 20))
    d.maybe(keys, "sum_bits", lambda: d.int(14, 20))
    d.maybe(keys, "difference_bits", lambda: d.int(14, 20))
    d.maybe(keys, "sum_overflow", lambda: d.pick("wrap", "saturate"))
    d.maybe(keys, "substeps", lambda: d.int(1, 3), 0.3)
    d.maybe(keys, "u_from", lambda: d.pick("next", "previous"))
    d.maybe(keys, "jump_from", lambda: d.pick("next", "previous"))
    d.maybe(keys, "overflow", lambda: overflow(d, 16))
    return keys


def random_description(d, net):
    g = {}
    a = net["arithmetic"]
    event = d.chance(0.4)
    if event:
        # Event-driven cores have no delays, and a closed loop must come to rest.
        for source in range(len(net["row_begin"]) - 1):
            for k in range(net["row_begin"][source], net["row_begin"][source + 1]):
                net["synapses"][k][2] = min(net["synapses"][k][2], 1)
                if source >= net["ports"][-1]["end"]:
                    net["synapses"][k][1] = -abs(net["synapses"][k][1]) // (1 if d.chance(0.9)
                                                                          else -2)
        g["semantics"] = "event"
    models = ["network", "if", "lif", "cuba_lif", "li", "adaptive_lif"]
    if not event:
        models.append("izhikevich")
    d.maybe(g, "model", lambda: d.pick(*models), 0.8)
    model = g.get("model", "network")
    state = {"stochastic": d.chance(0.3)}
    filtered = model == "cuba_lif" or (model == "network"
                                       and any(p["cuba"] for p in net["neurons"]))
    v_bits = 16 if model == "izhikevich" else d.int(30, 44) if d.chance(0.05) else d.int(5, 14)
    signed = model == "izhikevich" or d.chance(0.8)
    half = 1 << (v_bits - 1)
    g["v"] = {"bits": v_bits, "signed": signed}
    d.maybe(g["v"], "overflow", lambda: overflow(d, v_bits, signed))
    low = -half if signed else 0
    if model == "izhikevich":
        g["v"]["init"] = -4160
        g["izhikevich"] = random_izhikevich(d, net, state)
        g["u"] = {"filter": "none"}
        for p in net["neurons"]:
            p["cuba"] = False
    else:
        d.maybe(g["v"], "init", lambda: param(d, net, low // 4, half // 4))
        d.maybe(g, "rest", lambda: param(d, net, low // 4, half // 4))
        if d.chance(0.8):
            g["leak"] = random_leak(d, net, state, v_bits, lazy_allowed=event, main=True)
    stages = ["leak", "integrate", "threshold"]
    if event:
        lazy = g.get("leak", {}).get("when") == "lazy"
        first = ["integrate"] if filtered else ["integrate", "threshold"]
        if lazy:
            first.insert(0, "leak")
            if filtered:
                del first[0]
                g["leak"]["when"] = "always"
                lazy = False
        g["on_event"] = first
        if not filtered and d.chance(0.2):
            g["on_event"] = ["leak", "integrate", "threshold"]
        tick = [s for s in stages if d.chance(0.6) and not (lazy and s == "leak")]
        d.r.shuffle(tick)
        g["on_tick"] = tick
    elif d.chance(0.5):
        d.r.shuffle(stages)
        g["order"] = stages
    if d.chance(0.5):
        g["input"] = {}
        d.maybe(g["input"], "bits", lambda: d.int(4, 12))
        d.maybe(g["input"], "overflow", lambda: d.pick("wrap", "saturate"))
        d.maybe(g["input"], "bias", lambda: param(d, net, -2, 3))
        d.maybe(g["input"], "bias_into", lambda: d.pick("input", "v"))
    if d.chance(0.3):
        g["integrate"] = {"bits": v_bits, "overflow": d.pick("wrap", "saturate")}
    if filtered and d.chance(0.7):
        u_bits = d.int(6, 12)
        g["u"] = {"bits": u_bits}
        d.maybe(g["u"], "signed", lambda: d.chance(0.8))
        d.maybe(g["u"], "overflow", lambda: overflow(d, u_bits, g["u"].get("signed", True)))
        d.maybe(g["u"], "shift", lambda: d.int(0, 3))
        d.maybe(g["u"], "rounding", lambda: rounding(d, state))
        d.maybe(g["u"], "drive", lambda: d.pick("next", "previous"))
        d.maybe(g["u"], "leak", lambda: random_leak(d, net, state, u_bits))
    t = g["threshold"] = {}
    if model == "izhikevich":
        t["value"] = param(d, net, 1500, 2200)
    else:
        t["value"] = param(d, net, 1, min(half // 3, 60))
    d.maybe(t, "compare", lambda: d.pick(">", ">="))
    d.maybe(t, "on", lambda: d.pick("next", "previous", "pre_leak"))
    d.maybe(t, "unsigned", lambda: d.chance(0.3) and model != "izhikevich")
    if d.chance(0.3):
        t["hysteresis"] = True
        t["rearm"] = param(d, net, 0, half // 3)
    if d.chance(0.4):
        t["negative_action"] = d.pick("clamp", "reset", "subtract", "spike")
        t["negative_compare"] = d.pick("<", "<=")
        t["negative"] = param(d, net, low // 3, 0)
        t["negative_reset"] = param(d, net, low // 4, 0)
    r = g["reset"] = {}
    if model == "izhikevich":
        r["kind"] = "value"
        r["value"] = param(d, net, -4300, -3200)
    else:
        d.maybe(r, "kind", lambda: d.pick("value", "subtract", "zero", "rest", "none"))
        d.maybe(r, "value", lambda: param(d, net, low // 4, half // 4))
        if not signed and r.get("kind", ("value", "subtract")[a["reset_mode"]]) == "value":
            r["value"] = param(d, net, 0, half // 4)
        if r.get("kind") == "none" and event:
            del r["kind"]
            r["value"] = param(d, net, max(low // 4, 0), 1)
    if "value" not in r:
        # v_reset of the network may not fit narrower words.
        r["value"] = param(d, net, max(low // 4, 0), half // 4)
    d.maybe(r, "by", lambda: d.pick("effective", "base"))
    d.maybe(r, "delay", lambda: d.chance(0.5), 0.4)
    if d.chance(0.3):
        r["bits"] = v_bits
        r["overflow"] = d.pick("wrap", "saturate")
    f = g["refractory"] = {}
    d.maybe(f, "steps", lambda: param(d, net, 0, 3))
    d.maybe(f, "during", lambda: d.pick("hold", "drop", "accumulate"))
    s = g["synapse"] = {}
    d.maybe(s, "bits", lambda: d.int(31, 48) if d.chance(0.1) else d.int(4, 14))
    d.maybe(s, "overflow", lambda: overflow(d, s.get("bits", a["acc_bits"])))
    d.maybe(s, "fit", lambda: d.pick("each", "sum"))
    d.maybe(s, "weight_shift", lambda: d.int(-2, 2))
    d.maybe(s, "rounding", lambda: d.pick(*ROUNDINGS))
    d.maybe(s, "duplicates", lambda: d.pick("delivered", "merged", "counted"))
    d.maybe(s, "graded", lambda: d.chance(0.4))
    d.maybe(s, "weights_unsigned", lambda: not event and d.chance(0.4))
    if d.chance(0.2):
        count = d.int(1, 4)
        sources = net["ports"][-1]["end"] + (len(net["neurons"]) if d.chance(0.5) else 0)
        s["types"] = [d.int(0, count - 1) for _ in range(sources)]
        s["weights"] = [param(d, net, -2, 2) for _ in range(count)]
    if model == "adaptive_lif":
        w = g["adaptation"] = {"bits": d.int(6, 12), "jump": param(d, net, 0, half // 4)}
        d.maybe(w, "effect", lambda: d.pick("current", "threshold"))
        d.maybe(w, "signed", lambda: d.chance(0.7))
        d.maybe(w, "overflow", lambda: overflow(d, w["bits"], w.get("signed", True)))
        d.maybe(w, "init", lambda: param(d, net, 0, 5))
        d.maybe(w, "shift", lambda: d.int(0, 3))
        d.maybe(w, "rounding", lambda: rounding(d, state))
        d.maybe(w, "use", lambda: d.pick("next", "previous"))
        d.maybe(w, "leak", lambda: random_leak(d, net, state, w["bits"]))
        if d.chance(0.5):
            w["coupling"] = param(d, net, -4, 8)
            w["coupling_frac"] = d.int(0, 4)
    o = g["output"] = {}
    if d.chance(0.3):
        o["masked"] = param(d, net, 0, 1)
        d.maybe(o, "masked_delivers", lambda: d.chance(0.5))
    d.maybe(o, "spiking", lambda: param(d, net, 0, 1), 0.2)
    g["noise"] = [random_noise(d, net, "rounding")] if state["stochastic"] else []
    while d.chance(0.3) and len(g["noise"]) < 4:
        use = d.pick("v", "input", "threshold")
        if all(noise["use"] != use for noise in g["noise"]):
            g["noise"].append(random_noise(d, net, use))
    if event:
        e = g["event"] = {}
        d.maybe(e, "closed_loop", lambda: d.chance(0.8))
        d.maybe(e, "fifo_depth", lambda: d.int(1, 6))
        d.maybe(e, "fifo_pop", lambda: d.pick("start", "end"))
        d.maybe(e, "fifo_order", lambda: d.pick("fifo", "any"))
        d.maybe(e, "output", lambda: d.pick("fired", "accepted", "taken"))
        d.maybe(e, "tick", lambda: d.pick("after_drain", "after_inputs", "first"))
        d.maybe(e, "after_tick", lambda: d.pick("drain", "next"))
        d.maybe(e, "updates", lambda: d.pick("reached", "all"))
        e["limit"] = 3000
    return g


def toml(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    return json.dumps(value)


class Unrest(Exception):
    """The closed loop does not come to rest."""


def make_case(seed):
    """A random case with what the model shows, or None where its loop never ends."""
    d = Draw(seed)
    net = random_network(d)
    g = random_description(d, net)
    steps = 24
    graded = g["synapse"].get("graded", False)
    ports = net["ports"]
    events = {t: [] for t in range(steps)}
    for t in range(steps):
        while d.chance(0.6) and len(events[t]) < 6:
            port = d.int(0, len(ports) - 1)
            address = d.int(0, ports[port]["end"] - ports[port]["begin"] - 1)
            events[t].append((port, address, d.int(-3, 4) if graded else 1))
    bits = min(g["synapse"].get("bits", net["arithmetic"]["acc_bits"]), 32)
    limit = (1 << (bits - 1)) - 1
    scale = 40 << 6 if g.get("model") == "izhikevich" else 40
    currents = None
    if d.chance(0.5) or g.get("model") == "izhikevich":
        currents = {t: [max(-limit, min(limit, d.int(-scale // 3, scale)))
                        for _ in net["neurons"]] for t in range(steps)}
    clears = [0] + ([d.int(1, steps - 1)] if d.chance(0.5) else [])
    ordered = g.get("semantics") == "event" and d.chance(0.5)
    orders = {t: [] for t in range(steps)}
    core = described_model.Core(net, copy.deepcopy(g))
    seen = []
    for t in range(steps):
        if t in clears:
            core.clear()
        order = None
        if ordered:
            marked = d.chance(0.3) and g["event"].get("tick") != "first"
            order = (marked, draw_order(d, core, g, events[t], ports, orders[t], marked))
        begin = lambda port: ports[port]["begin"]
        budget = {"left": 3000}
        process = described_model.Core.process

        def bounded(self, *args, **kwargs):
            budget["left"] -= 1
            if budget["left"] < 0:
                raise Unrest
            process(self, *args, **kwargs)

        core.process = bounded.__get__(core)
        try:
            seen.append(core.step([(begin(p) + a, w) for p, a, w in events[t]],
                                  currents[t] if currents else None, order))
        except Unrest:
            return None
    return {"net": net, "golden": g, "events": events, "currents": currents, "clears": clears,
            "orders": orders if ordered else None, "steps": steps, "seen": seen}


def draw_order(d, core, g, events, ports, record, marked):
    """An order in which a core might take the events: each next one is drawn from what waits at
    that moment, while the model runs."""
    left = {p: [a for q, a, _ in events if q == p] for p in range(len(ports))}
    any_order = g["event"].get("fifo_order", "fifo") == "any"
    internal = 0
    ticked = not marked
    while True:
        choices = [("x", p) for p in left if left[p]]
        if core.fifo and internal < 40:
            choices += [("i", 0)] * 2
        if not ticked and (not choices or d.chance(0.1)):
            ticked = True
            record.append((described_model.TICK, 0))
        elif ticked and (not choices or (not any(left.values()) and d.chance(0.1))):
            return
        else:
            kind, port = d.pick(*choices)
            if kind == "x":
                record.append((port, left[port].pop(0)))
            else:
                internal += 1
                record.append((described_model.INTERNAL,
                               d.pick(*core.fifo) if any_order else core.fifo[0]))
        yield record[-1]


def write_case(folder, case):
    folder.mkdir()
    (folder / "network.json").write_text(json.dumps(case["net"]))
    lines = ["[network]", 'json = "network.json"', "[golden]"]
    lines += [f"{k} = {toml(v)}" for k, v in case["golden"].items()]
    (folder / "cosim.toml").write_text("\n".join(lines) + "\n")
    lines = [f"T {case['steps']}"] + [f"C {t}" for t in case["clears"]]
    for t in range(case["steps"]):
        lines += [f"E {t} {p} {a} {w}" for p, a, w in case["events"][t]]
        if case["currents"]:
            lines.append(f"I {t} " + " ".join(map(str, case["currents"][t])))
        if case["orders"] is not None:
            lines += [f"O {t} {p} {a}" for p, a in case["orders"][t]]
    if case["orders"] is not None:
        lines.append("F 0")
    (folder / "input.txt").write_text("\n".join(lines) + "\n")


def compare(case, lines):
    """@returns what differs first, or None"""
    t, fields, done = 0, set(), None
    for line in lines:
        name, *values = line.split()
        if name == "error":
            return line
        if name == "kernel":
            done = line
            continue
        values = [int(x) for x in values]
        expected = case["seen"][t][name]
        fields.add(name)
        if values != expected:
            n = next(i for i, (x, y) in enumerate(zip(values, expected)) if x != y)
            return (f"timestep {t}, neuron {n}, {name}: model {expected[n]}, golden {values[n]}")
        if name == "spike":
            t += 1
    if done is None or t != case["steps"]:
        return f"only {t} timesteps"
    if not {"v", "i_syn", "spike"} <= fields:
        return f"fields are missing: {fields}"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run_described")
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder of cases")
    args = parser.parse_args()
    root = pathlib.Path(tempfile.mkdtemp(prefix="described."))
    cases = {}
    for i in range(args.cases):
        case = make_case(args.seed * 1000003 + i)
        if case is not None:
            cases[str(i)] = case
            write_case(root / str(i), case)
    out = subprocess.run([args.run_described, *[str(root / name) for name in cases]], text=True,
                         capture_output=True, check=False)
    results = {}
    for line in out.stdout.splitlines():
        if line.startswith("case "):
            now = results.setdefault(pathlib.Path(line[5:]).name, [])
        else:
            now.append(line)
    failed = 0
    spikes = moving = 0
    for name, case in cases.items():
        problem = compare(case, results.get(name, ["error no output"]))
        spikes += any(sum(seen["spike"]) for seen in case["seen"])
        moving += any(seen["v"] != case["seen"][0]["v"] for seen in case["seen"])
        if problem:
            failed += 1
            if failed <= 5:
                print(f"case {name} (seed {args.seed}): {problem}\n  {root / name}")
    print(f"{len(cases)} cases ({args.cases - len(cases)} without rest), {spikes} with spikes, "
          f"{moving} with a v that moves, {failed} differ; {out.stderr.strip()}")
    if not args.keep and not failed:
        subprocess.run(["rm", "-r", str(root)], check=True)
    # A run in which little happens would show nothing.
    return 1 if failed or out.returncode or spikes < 0.5 * len(cases) else 0


if __name__ == "__main__":
    sys.exit(main())

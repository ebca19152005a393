#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/golden.md in plain Python, neuron by neuron: the independent reading of a description.

It never calls Spikelock. A description is what a manifest's [golden] section holds, as nested
dicts; a network is a dict as in a network's JSON file. Keys that a description does not give have
the value that docs/golden.md states, which for some is what the network's arithmetic says.
"""

ROUNDINGS = ("floor", "toward_zero", "away_from_zero", "nearest_even")
INTERNAL, TICK = -1, -2  # ports of an order of events


def fit(x, bits, signed, rule):
    """Section 2: bounds first, then the low bits."""
    low = -(1 << (bits - 1)) if signed else 0
    high = low + (1 << bits) - 1
    if rule == "wrap":
        at_low = at_high = None
    elif rule == "saturate":
        at_low, at_high = low, high
    elif rule == "clamp_zero":
        at_low, at_high = 0, high
    else:
        at_low = {"wrap": None, "saturate": low}.get(rule.get("low", "saturate"), rule.get("low"))
        at_high = {"wrap": None, "saturate": high}.get(rule.get("high", "saturate"),
                                                       rule.get("high"))
    if at_low is not None and x < at_low:
        x = at_low
    elif at_high is not None and x > at_high:
        x = at_high
    return (x - low) % (1 << bits) + low


def divided(x, s, mode, noise=0):
    """Section 3: x / 2^s as an integer."""
    if s == 0:
        return x
    one = 1 << s
    below, rest = divmod(x, one)
    if mode == "stochastic":
        return (x + noise % one) // one
    if rest == 0 or mode == "floor":
        return below
    if mode == "up":
        return below + 1
    if mode == "toward_zero":
        return below + 1 if x < 0 else below
    if mode == "away_from_zero":
        return below if x < 0 else below + 1
    if 2 * rest != one:
        return below + 1 if 2 * rest > one else below
    return {"nearest_even": below + below % 2, "half_up": below + 1,
            "half_away": below if x < 0 else below + 1}[mode]


class Lfsr:
    """Section 9."""

    def __init__(self, keys, seed):
        self.keys = {"bits": 16, "form": "fibonacci", "direction": "left", "xnor": False,
                     "shifts": 1, "read": "after", "lsb": 0, "width": 1, "signed": False,
                     "offset": 0, "shift": 0, **keys}
        self.seed = seed
        self.state = seed

    def value(self):
        k = self.keys
        bits = format(self.state, f"0{k['bits']}b")[::-1]
        used = bits[k["lsb"]:k["lsb"] + k["width"]]
        x = sum(1 << i for i, bit in enumerate(used) if bit == "1")
        if k["signed"] and used[-1] == "1":
            x -= 1 << k["width"]
        return (x + k["offset"]) << k["shift"]

    def shift_once(self):
        k = self.keys
        bits = [(self.state >> i) & 1 for i in range(k["bits"])]
        taps = [(k["taps"] >> i) & 1 for i in range(k["bits"])]
        left = k["direction"] == "left"
        if k["form"] == "fibonacci":
            new = (sum(b & t for b, t in zip(bits, taps)) + int(k["xnor"])) % 2
            bits = [new] + bits[:-1] if left else bits[1:] + [new]
        else:
            out = bits[-1] if left else bits[0]
            bits = [0] + bits[:-1] if left else bits[1:] + [0]
            if out != int(k["xnor"]):
                bits = [b ^ t for b, t in zip(bits, taps)]
        self.state = sum(b << i for i, b in enumerate(bits))

    def draw(self):
        before = self.value()
        for _ in range(self.keys["shifts"]):
            self.shift_once()
        return before if self.keys["read"] == "before" else self.value()


class Core:
    """A network under a description. `step` computes one timestep."""

    def __init__(self, network, golden):
        self.net = network
        self.g = golden
        a = network["arithmetic"]
        self.a = a
        self.n = len(network["neurons"])
        self.axons = max((p["end"] for p in network["ports"]), default=0)
        begin = network["row_begin"]
        self.rows = [network["synapses"][begin[s]:begin[s + 1]] for s in range(len(begin) - 1)]
        self.model = golden.get("model", "network")
        self.event = golden.get("semantics", "timestep") == "event"
        rule = ("wrap", "saturate")
        rounding = ROUNDINGS[a["rounding"]]
        leak = {"kind": ("shift", "multiply")[a["leak_mode"]], "frac": a["leak_frac"],
                "rounding": rounding}
        if self.model == "if":
            leak["kind"] = "none"
        self.v_leak = {**leak, **golden.get("leak", {})}
        u = golden.get("u", {})
        self.u_leak = {**leak, "kind": ("shift", "multiply")[a["leak_mode"]], **u.get("leak", {})}
        self.vf = {"bits": a["v_bits"], "signed": True, "overflow": rule[a["v_overflow"]],
                   **golden.get("v", {})}
        self.uf = {"bits": a["u_bits"], "signed": True, "overflow": rule[a["v_overflow"]],
                   "shift": a["u_shift"], "rounding": rounding, "drive": "next", **u}
        self.th = {"compare": (">=", ">")[a["compare"]], "on": "next", "unsigned": False,
                   "hysteresis": False, "negative_action": "none", "negative_compare": "<",
                   **golden.get("threshold", {})}
        self.reset = {"kind": ("value", "subtract")[a["reset_mode"]], "by": "effective",
                      "delay": False, "bits": 0, "overflow": "wrap", **golden.get("reset", {})}
        self.refractory = {"during": "hold", **golden.get("refractory", {})}
        self.syn = {"bits": a["acc_bits"], "overflow": rule[a["acc_overflow"]], "fit": "each",
                    "weight_shift": a["weight_shift"], "rounding": "floor",
                    "duplicates": "delivered", "types": [], **golden.get("synapse", {})}
        self.inp = {"bits": 0, "overflow": "wrap", "bias_into": "input", **golden.get("input", {})}
        self.integ = {"bits": 0, "overflow": "wrap", **golden.get("integrate", {})}
        self.ad = {"effect": "threshold" if self.model == "adaptive_lif" else "none", "bits": 16,
                   "signed": True, "overflow": "saturate", "coupling_frac": 0, "shift": 0,
                   "rounding": "floor", "use": "next", **golden.get("adaptation", {})}
        self.ev = {"closed_loop": True, "fifo_depth": 0, "fifo_pop": "start", "fifo_order": "fifo",
                   "output": "fired", "tick": "after_drain", "after_tick": "drain",
                   "updates": "reached", **golden.get("event", {})}
        self.order = golden.get("order", ["leak", "integrate", "threshold"])
        self.on_event = golden.get("on_event", ["integrate", "threshold"])
        self.on_tick = golden.get("on_tick", ["leak"])
        self.izh = golden.get("izhikevich", {}) if self.model == "izhikevich" else None

        own = lambda name: (lambda i: int(network["neurons"][i][name]))
        self.threshold = self.param(self.th.get("value"), own("threshold"))
        self.bias = self.param(self.inp.get("bias"), own("bias"))
        self.v_reset = self.param(self.reset.get("value"), own("v_reset"))
        self.steps = self.param(self.refractory.get("steps"), own("refractory"))
        spiking = (lambda i: 0) if self.model == "li" else own("spiking")
        self.spiking = self.param(golden.get("output", {}).get("spiking"), spiking)
        self.masked = self.param(golden.get("output", {}).get("masked"), lambda i: 0)
        self.masked_delivers = golden.get("output", {}).get("masked_delivers", False)
        self.leak_amount = self.param(self.v_leak.get("amount"), own("leak"))
        self.leak_second = self.param(self.v_leak.get("second"), lambda i: 0)
        self.u_amount = self.param(self.u_leak.get("amount"), own("u_decay"))
        self.u_second = self.param(self.u_leak.get("second"), lambda i: 0)
        zero = lambda i: 0
        self.rest = self.param(golden.get("rest"), zero)
        self.v_init = self.param(self.vf.get("init"),
                                 lambda i: int(network["neurons"][i].get("v_init", 0)))
        self.rearm = self.param(self.th.get("rearm"), zero)
        self.negative = self.param(self.th.get("negative"), zero)
        self.negative_reset = self.param(self.th.get("negative_reset"), zero)
        self.w_init = self.param(self.ad.get("init"), zero)
        self.jump = self.param(self.ad.get("jump"), zero)
        self.coupling = self.param(self.ad.get("coupling"), zero)
        self.w_leak = {"kind": "none", "frac": 12, "rounding": "floor",
                       **self.ad.get("leak", {})}
        self.w_amount = self.param(self.w_leak.get("amount"), zero)
        self.w_second = self.param(self.w_leak.get("second"), zero)
        default = {"network": "network", "cuba_lif": "all"}.get(self.model, "none")
        filtered = u.get("filter", default)
        self.cuba = [filtered == "all" or (filtered == "network" and bool(p["cuba"]))
                     for p in network["neurons"]]
        self.noise = []
        for keys in golden.get("noise", []):
            seeds = self.param(keys.get("seed", 1), zero)
            count = self.n if keys.get("advance", "timestep") == "neuron" else 1
            self.noise.append({"keys": keys, "use": keys.get("use", "v"),
                               "advance": keys.get("advance", "timestep"),
                               "registers": [Lfsr(keys, seeds[i]) for i in range(count)]})
        for source in self.noise:
            source["now"] = [source["registers"][0].value()] * self.n
        types = self.syn["types"]
        tables = [self.param(p, zero) for p in self.syn.get("weights", [])]
        self.synapses = []
        for s, row in enumerate(self.rows):
            out = []
            for target, weight, delay in row:
                if self.syn.get("weights_unsigned", False):
                    weight %= 1 << a["weight_bits"]
                if s < len(types):
                    weight *= tables[types[s]][target]
                shift = self.syn["weight_shift"]
                weight = (weight << shift if shift >= 0
                          else divided(weight, -shift, self.syn["rounding"]))
                out.append((target, weight, delay))
            self.synapses.append(out)
        self.any_refractory = any(self.steps)
        self.time = 0
        self.clear()

    def param(self, given, default):
        """A number for each neuron."""
        if given is None or given == "network":
            return [default(i) for i in range(self.n)]
        if isinstance(given, dict):
            out = [None] * self.n
            for p in self.net["populations"]:
                for i in range(p["begin"], p["end"]):
                    out[i] = given[p["label"]]
            return out
        return list(given) if isinstance(given, list) else [given] * self.n

    def clear(self):
        self.v = list(self.v_init)
        self.u = [0] * self.n
        if self.izh is not None:
            self.u = self.param(self.izh.get("init"), lambda i: 0)
        self.w = list(self.w_init)
        self.refr = [0] * self.n
        self.armed = [True] * self.n
        self.pending = [False] * self.n
        self.arriving = {}
        self.met = {}
        self.fifo = []
        self.last = [self.time] * self.n
        for source in self.noise:
            if source["keys"].get("seed_on_clear", False):
                for register in source["registers"]:
                    register.state = register.seed
                source["now"] = [source["registers"][0].value()] * self.n

    # ---- noise

    def advance(self, when):
        for source in self.noise:
            if source["advance"] == when:
                source["now"] = [source["registers"][0].draw()] * self.n

    def draw_for(self, i):
        for source in self.noise:
            if source["advance"] == "update":
                source["now"][i] = source["registers"][0].draw()
            elif source["advance"] == "neuron":
                source["now"][i] = source["registers"][i].draw()

    def noise_of(self, use, i):
        return sum(s["now"][i] for s in self.noise if s["use"] == use)

    # ---- parts of an update

    def rounded(self, i, x, s, mode):
        return divided(x, s, mode, self.noise_of("rounding", i) if mode == "stochastic" else 0)

    def leaked(self, i, x, rule, amount, second, signed, entering=0):
        """Section 4."""
        target = self.rest[i] if rule.get("toward_rest", False) else 0
        d = x - target
        kind = rule["kind"]
        form = rule.get("form", "auto")
        if form == "auto":
            form = "keep" if kind == "multiply" else "subtract"
        inside = entering if rule.get("input", "apart") == "inside" else 0
        operand = {"add": -d + inside, "keep": d + inside, "subtract": d - inside}[form]
        mode = rule["rounding"]

        def shifted(k):
            return 0 if k == 0 else self.rounded(i, operand, k, mode)

        if kind == "none":
            out = d
        elif kind == "constant":
            if rule.get("past", "stop") == "continue":
                out = d - amount
            elif d > 0:
                out = max(d - amount, 0)
            elif d < 0:
                out = min(d + amount, 0)
            else:
                out = 0
        else:
            if kind == "multiply":
                product = operand * amount
                if rule.get("product_bits", 0):
                    product = fit(product, rule["product_bits"], True,
                                  rule.get("product_overflow", "wrap"))
                part = self.rounded(i, product, rule["frac"], mode)
            elif kind == "shift":
                part = (self.rounded(i, operand, amount, mode) if form == "keep"
                        else shifted(amount))
            else:
                sign = -1 if rule.get("second_sign", "subtract") == "add" else 1
                part = shifted(amount) + sign * shifted(second)
            out = {"keep": part, "add": d + part, "subtract": d - part}[form]
        out += target
        if rule.get("bits", 0):
            out = fit(out, rule["bits"], signed, rule.get("overflow", "wrap"))
        return out

    def fit_v(self, x):
        return fit(x, self.vf["bits"], self.vf["signed"], self.vf["overflow"])

    def after_spike(self, i, v, threshold):
        kind = self.reset["kind"]
        if kind == "subtract":
            v -= threshold
            if self.reset["bits"]:
                v = fit(v, self.reset["bits"], self.vf["signed"], self.reset["overflow"])
            return self.fit_v(v)
        return {"value": self.v_reset[i], "zero": 0, "rest": self.rest[i], "none": v}[kind]

    def izh_product(self, i, x, keys):
        out = self.rounded(i, x, keys.get("frac", 0), keys.get("rounding", "floor"))
        if keys.get("bits", 0):
            out = fit(out, keys["bits"], True, keys.get("overflow", "wrap"))
        return out

    def izh_width(self, x, name):
        bits = self.izh.get(name + "_bits", 0)
        return fit(x, bits, True, self.izh.get(name + "_overflow", "wrap")) if bits else x

    def izh_v(self, i, v, u, drive):
        z = self.izh
        factor = lambda name: self.param(z.get(name, {}).get("factor"), lambda k: 0)[i]
        constant = self.param(z.get("constant"), lambda k: 0)[i]
        if z.get("form", "expanded") == "expanded":
            square = self.rounded(i, v * v, z.get("square_shift", 0),
                                  z.get("square_rounding", "floor"))
            square = self.izh_width(square, "square")
            total = self.izh_product(i, square * factor("quadratic"), z.get("quadratic", {}))
            total += self.izh_product(i, v * factor("linear"), z.get("linear", {}))
        else:
            inner = self.izh_product(i, v * factor("quadratic"), z.get("quadratic", {}))
            total = self.izh_product(i, v * (inner + factor("linear")), z.get("linear", {}))
        total = self.izh_width(total + constant - u + drive, "sum")
        return self.fit_v(v + self.rounded(i, total, z.get("dt_shift", 0),
                                           z.get("dt_rounding", "floor")))

    def update(self, i, stages, tick, x):
        """One update of neuron i; `x` is i_syn at a tick, else the weight of an event.

        @returns whether it fired
        """
        self.draw_for(i)
        v0, u0, w0 = self.v[i], self.u[i], self.w[i]
        resting = self.refr[i] > 0
        during = self.refractory["during"]
        entering = x + self.noise_of("input", i)
        if tick and self.inp["bias_into"] == "input":
            entering += self.bias[i]
        if self.inp["bits"]:
            entering = fit(entering, self.inp["bits"], True, self.inp["overflow"])
        drive = entering
        u1 = u0
        if self.cuba[i]:
            f = self.uf
            base = (self.leaked(i, u0, self.u_leak, self.u_amount[i], self.u_second[i],
                                f["signed"]) if tick else u0)
            u1 = fit(base + entering, f["bits"], f["signed"], f["overflow"])
            drive = (self.rounded(i, u1 if f["drive"] == "next" else u0, f["shift"], f["rounding"])
                     if tick else 0)
        if tick and self.inp["bias_into"] == "v":
            drive += self.bias[i]
        drive += self.noise_of("v", i)
        base_threshold = self.threshold[i]
        threshold = base_threshold + self.noise_of("threshold", i)
        w1 = w0
        if self.ad["effect"] != "none":
            d = self.ad
            if tick:
                coupled = self.rounded(i, (v0 - self.rest[i]) * self.coupling[i],
                                       d["coupling_frac"], d["rounding"])
                w1 = fit(self.leaked(i, w0, self.w_leak, self.w_amount[i], self.w_second[i],
                                     d["signed"]) + coupled, d["bits"], d["signed"], d["overflow"])
            effect = self.rounded(i, w1 if d["use"] == "next" else w0, d["shift"], d["rounding"])
            if d["effect"] == "threshold":
                threshold += effect
            elif tick:
                drive -= effect
        if resting and during == "drop":
            drive = 0

        y, pre_leak, fires, moved = v0, v0, False, False
        recovery = u0
        for stage in stages:
            if stage == "threshold":
                y = self.fit_v(y)
                by = base_threshold if self.reset["by"] == "base" else threshold
                was_pending = self.pending[i]
                if self.reset["delay"] and was_pending:
                    y = self.after_spike(i, y, by)
                c = {"next": y, "previous": v0, "pre_leak": self.fit_v(pre_leak)}[self.th["on"]]
                limit = threshold
                if self.th["unsigned"]:
                    c %= 1 << self.vf["bits"]
                    limit %= 1 << self.vf["bits"]
                can = self.spiking[i] == 1 and not resting
                if self.th["hysteresis"]:
                    can = can and self.armed[i]
                fires = can and (c >= limit if self.th["compare"] == ">=" else c > limit)
                before = y
                if fires and not self.reset["delay"]:
                    y = self.after_spike(i, before, by)
                action = self.th["negative_action"]
                low = self.negative[i]
                below = (action != "none" and not fires
                         and (c < low if self.th["negative_compare"] == "<" else c <= low))
                if below:
                    less = self.fit_v(fit(before - low, self.reset["bits"], self.vf["signed"],
                                          self.reset["overflow"])
                                      if self.reset["bits"] else before - low)
                    if action == "clamp":
                        y = low
                    elif action == "reset":
                        y = self.negative_reset[i]
                    elif action == "subtract":
                        y = less
                    elif can:
                        fires = True
                        y = less if self.reset["kind"] == "subtract" else self.after_spike(
                            i, before, 0)
                y = self.fit_v(y)
                if self.reset["delay"]:
                    held = resting and during == "hold"
                    self.pending[i] = fires or (held and was_pending)
                if self.th["hysteresis"]:
                    if fires:
                        self.armed[i] = False
                    elif c < self.rearm[i]:
                        self.armed[i] = True
                if fires:
                    if self.izh is not None:
                        z = self.izh
                        jumped = recovery if z.get("jump_from", "next") == "next" else u0
                        recovery = self.fit_izh_u(jumped + self.param(z.get("d"), lambda k: 0)[i])
                    if self.ad["effect"] != "none":
                        w1 = fit(w1 + self.jump[i], self.ad["bits"], self.ad["signed"],
                                 self.ad["overflow"])
            elif self.izh is not None:
                if not moved:
                    z = self.izh
                    pre_leak = start = y
                    for _ in range(z.get("substeps", 1)):
                        y = self.izh_v(i, y, recovery, drive)
                    factor = lambda name: self.param(z.get(name, {}).get("factor"),
                                                     lambda k: 0)[i]
                    seen = start if z.get("u_from", "previous") == "previous" else y
                    bv = self.izh_product(i, seen * factor("b"), z.get("b", {}))
                    difference = self.izh_width(bv - recovery, "difference")
                    du = self.izh_product(i, difference * factor("a"), z.get("a", {}))
                    recovery = self.fit_izh_u(
                        recovery + self.rounded(i, du, z.get("u_dt_shift", 0),
                                                z.get("dt_rounding", "floor")))
                    moved = True
            elif stage == "leak":
                when = self.v_leak.get("when", "always")
                if when == "lazy":
                    continue
                pre_leak = y
                quiet = {"always": True, "without_input": x == 0,
                         "without_event": self.seen[i] == 0}[when]
                if quiet:
                    y = self.leaked(i, y, self.v_leak, self.leak_amount[i], self.leak_second[i],
                                    self.vf["signed"], drive)
            elif self.v_leak.get("input", "apart") != "inside":
                if not tick and any(self.cuba):
                    continue
                y += drive
                if self.integ["bits"]:
                    y = fit(y, self.integ["bits"], self.vf["signed"], self.integ["overflow"])
        y = self.fit_v(y)
        if resting and during == "hold":
            y = v0
            recovery = u0
        if self.any_refractory:
            if fires:
                self.refr[i] = self.steps[i]
            elif tick and resting:
                self.refr[i] -= 1
        self.v[i], self.w[i] = y, w1
        self.u[i] = recovery if self.izh is not None else u1
        return fires

    def fit_izh_u(self, x):
        z = self.izh
        return fit(x, z.get("bits", 16), z.get("signed", True), z.get("overflow", "saturate"))

    # ---- a timestep

    def step(self, events, currents=None, order=None):
        """One timestep.

        @param events    (axon, payload) in order
        @param currents  one for each neuron, or None
        @param order     None, or how an event-driven core took its events: whether the tick is
                         among them, and an iterable of (port, address)
        @returns {field: list}
        """
        self.seen = [0] * self.n
        self.counts = [0] * self.n
        self.i_syn = [0] * self.n
        self.advance("timestep")
        if self.event:
            self.event_step(events, currents, order)
        else:
            self.timestep_step(events, currents)
        self.time += 1
        out = {"i_syn": self.i_syn, "u": list(self.u), "w": list(self.w), "v": list(self.v),
               "refr": list(self.refr), "spike": self.counts}
        for source in self.noise:
            name = source["keys"].get("name")
            if name:
                states = [r.state for r in source["registers"]]
                out[name] = states if len(states) == self.n else states * self.n
        return out

    def fit_acc(self, x):
        return fit(x, self.syn["bits"], True, self.syn["overflow"])

    def deliver(self, source, times):
        for target, weight, delay in self.synapses[source]:
            slot = self.arriving.setdefault(self.time + delay, [0] * self.n)
            slot[target] += weight * times
            if self.syn["fit"] == "each":
                slot[target] = self.fit_acc(slot[target])
            self.met.setdefault(self.time + delay, [0] * self.n)[target] += 1

    def timestep_step(self, events, currents):
        mode = self.syn["duplicates"]
        merged = {}
        for axon, payload in events:
            self.advance("event")
            if mode == "delivered":
                self.deliver(axon, payload)
            elif axon not in merged:
                merged[axon] = payload
            elif mode == "counted":
                merged[axon] += payload
        for axon, times in merged.items():
            self.deliver(axon, times)
        for i in range(self.n):
            arrived = self.arriving.get(self.time, [0] * self.n)[i]
            x = self.fit_acc(arrived + (currents[i] if currents else 0))
            self.i_syn[i] = x
            self.seen[i] = self.met.get(self.time, [0] * self.n)[i]
            if self.update(i, self.order, True, x):
                if not self.masked[i]:
                    self.counts[i] = 1
                if not self.masked[i] or self.masked_delivers:
                    self.deliver(self.axons + i, 1)
        self.arriving.pop(self.time, None)
        self.met.pop(self.time, None)

    def event_step(self, events, currents, order):
        self.ticked = False
        for i in range(self.n):
            self.i_syn[i] = currents[i] if currents else 0
        if self.ev["tick"] == "first":
            self.tick()
        if order is None:
            self.drain()
            for axon, payload in events:
                self.process(axon, payload)
                self.drain()
            if not self.ticked:
                self.tick()
            if self.ev["after_tick"] == "drain":
                self.drain()
            return
        left = list(events)
        marked, taken = order
        for port, address in taken:
            if not self.ticked and not marked and not left:
                if self.ev["tick"] == "after_inputs" or not self.fifo:
                    self.tick()
            if port == TICK:
                self.tick()
            elif port == INTERNAL:
                self.take(self.fifo.index(address))
            else:
                axon = self.net["ports"][port]["begin"] + address
                at = next(k for k, (sent, _) in enumerate(left) if sent == axon)
                self.process(*left.pop(at))
        if not self.ticked:
            self.tick()

    def tick(self):
        fired = [i for i in range(self.n) if self.update(i, self.on_tick, True, self.i_syn[i])]
        for i in fired:
            self.leave(i, 0)
        self.ticked = True

    def drain(self):
        while self.fifo:
            self.take(0)

    def take(self, at):
        i = self.fifo.pop(at)
        if self.ev["output"] == "taken" and not self.masked[i]:
            self.counts[i] += 1
        self.process(self.axons + i, 1, self.ev["fifo_pop"] == "end")

    def process(self, source, times, holds_place=False):
        self.advance("event")
        reached = [(target, weight * times) for target, weight, _ in self.synapses[source]]
        if self.ev["updates"] == "all":
            sums = [0] * self.n
            for target, weight in reached:
                sums[target] += weight
            reached = list(enumerate(sums))
        for i, weight in reached:
            if self.v_leak.get("when", "always") == "lazy":
                most = (1 << self.v_leak.get("dt_bits", 8)) - 1
                for _ in range(min(self.time - self.last[i], most)):
                    self.v[i] = self.fit_v(self.leaked(i, self.v[i], self.v_leak,
                                                       self.leak_amount[i], self.leak_second[i],
                                                       self.vf["signed"]))
                self.last[i] = self.time
            self.i_syn[i] = fit(self.i_syn[i] + weight, self.syn["bits"], True, "wrap")
            self.seen[i] += 1
            if self.update(i, self.on_event, False, weight):
                self.leave(i, 1 if holds_place else 0)

    def leave(self, i, held):
        room = self.ev["fifo_depth"] == 0 or len(self.fifo) + held < self.ev["fifo_depth"]
        delivers = not self.masked[i] or self.masked_delivers
        accepted = self.ev["closed_loop"] and delivers and room
        shown = self.ev["output"] == "fired" or (
            self.ev["output"] == "accepted" and (accepted or not self.ev["closed_loop"]))
        if shown and not self.masked[i]:
            self.counts[i] += 1
        if accepted:
            self.fifo.append(i)

# SPDX-License-Identifier: Apache-2.0
"""Value change dumps with every construct that the standard has and tools write, from a seed."""

import random

KINDS = ["wire", "reg", "integer", "parameter", "time", "tri", "triand", "trior", "trireg", "tri0",
         "tri1", "wand", "wor", "supply0", "supply1", "logic", "bit", "int", "byte"]
SCOPES = ["module", "task", "function", "begin", "fork", "interface", "program", "package",
          "class", "struct", "union", "vhdl_architecture", "generate"]
TIMESCALES = ["1ns", "10 ps", "100fs", "1 s", "10us", "100\n ms"]
PRINTABLE = [chr(c) for c in range(33, 127)]


class Writer:
    """One file. `plain`: only what every reader takes, one change a line."""

    def __init__(self, seed, plain=False, extended=False):
        self.random = random.Random(f"vcd-{seed}-{plain}-{extended}")
        self.plain = plain
        self.extended = extended
        self.end = "\r\n" if not plain and self.random.random() < 0.15 else "\n"
        self.vars = []  # (code, kind, bits)
        self.codes = set()
        self.tried = 0
        self.out = []

    def chance(self, share):
        return not self.plain and self.random.random() < share

    def code(self):
        """A new identifier code: short ones in order as tools do, or anything printable."""
        if self.plain or self.random.random() < 0.7:
            n, code = self.tried, ""
            self.tried += 1
            while True:
                code += PRINTABLE[n % 94]
                n //= 94
                if not n:
                    break
        else:
            code = "".join(self.random.choices(PRINTABLE, k=self.random.randint(1, 13)))
        if code in self.codes or code.startswith("$"):
            return self.code()
        self.codes.add(code)
        return code

    def declare(self, name):
        r = self.random
        style = r.random()
        if style < 0.07:
            kind, bits = r.choice(["real", "realtime"]), 64
        elif style < 0.10 and not self.plain:
            kind, bits = "string", 1
        elif style < 0.13 and not self.plain:
            kind, bits = "event", 1
        else:
            kind = r.choice(KINDS[:2] if self.plain else KINDS)
            bits = r.choice([1, 1, 1, 2, 7, 8, 10, 16, 31, 32, 33, 63, 64, 65, 100, 128, 300])
        same = [v for v in self.vars if v[1] == kind and v[2] == bits]
        alias = bool(same) and r.random() < 0.1
        code = r.choice(same)[0] if alias else self.code()
        if kind in ("real", "realtime", "event", "string"):
            text = name
        elif bits > 1:
            low = r.choice([0, 0, 0, 3, -2])
            bounds = (bits - 1 + low, low) if r.random() < 0.8 else (low, bits - 1 + low)
            if self.plain:
                bounds = (bits - 1, 0)
            blank = "" if self.chance(0.3) else " "
            text = f"{name}{blank}[{bounds[0]}:{bounds[1]}]"
        else:
            text = name + (r.choice(["", " [0]", "[3]", " [ 2 ]".replace(" ", "")])
                           if not self.plain else "")
        if self.chance(0.1) and bits > 1:
            text = f"mem[{r.randint(0, 9)}] [{bits - 1}:0]"
        if not alias:
            self.vars.append((code, kind, bits))
        self.out.append(self.line(f"$var {kind} {bits} {code} {text} $end"))

    def line(self, text):
        """The words of a line, at times with other blanks between them."""
        if not self.chance(0.1):
            return text + self.end
        return "".join(w + self.random.choice([" ", "  ", "\t", self.end]) for w in
                       text.split(" ")) + self.end

    def comment(self):
        if self.chance(0.05):
            words = ["1!", "#99", "$var", "b0101", "$dumpvars", "ümläut", "x" * 300]
            self.out.append(self.line("$comment " + " ".join(
                self.random.choices(words, k=self.random.randint(0, 40))) + " $end"))

    def header(self):
        r = self.random
        self.out.append(self.line("$date a day $end"))
        if r.random() < 0.7:
            self.out.append(self.line("$version a tool, 1.0 $end"))
        self.out.append(self.line(f"$timescale {r.choice(TIMESCALES[:4])} $end"))
        depth = 0
        names = 0
        for _ in range(r.randint(3, 60)):
            self.comment()
            what = r.random()
            if what < 0.2 or depth == 0:
                names += 1
                kind = r.choice(SCOPES[:1] if self.plain else SCOPES)
                name = f"s{names}" if self.plain or r.random() < 0.8 else f"g[{names}]"
                self.out.append(self.line(f"$scope {kind} {name} $end"))
                depth += 1
            elif what < 0.3:
                self.out.append(self.line("$upscope $end"))
                depth -= 1
            else:
                names += 1
                name = f"n{names}"
                if self.chance(0.1):
                    name = f"\\esc.{names}$[1]"
                self.declare(name)
        while depth:
            self.out.append(self.line("$upscope $end"))
            depth -= 1
        if not self.vars:
            self.out.append(self.line("$scope module late $end"))
            self.declare("one")
            self.out.append(self.line("$upscope $end"))
        if self.chance(0.2):
            self.out.append(self.line("$attrbegin misc 02 something 1030 $end"))
        self.out.append(self.line("$enddefinitions $end"))

    def value(self, var, form=None):
        """The words of a change of a variable."""
        r = self.random
        code, kind, bits = var
        if kind in ("real", "realtime"):
            number = r.choice([0.0, 1.5, -2.25, 1e10, 3.0, r.uniform(-1, 1)])
            return [("R" if self.chance(0.1) else "r") + f"{number:.16g}", code]
        if kind == "string":
            return [r.choice(["s", "s", "S"]) + r.choice(["", "idle", "a\\x20b", "#1", "$end"]),
                    code]
        if kind == "event":
            return ["1" + code]
        letters = "01" if r.random() < 0.6 else "01xz"
        if self.chance(0.1):
            letters = "01xXzZuUwWlLhH-"
        if form:
            letters = form
        if bits == 1 and not (self.chance(0.1)):
            return [r.choice(letters) + code]
        text = "".join(r.choices(letters, k=bits))
        if r.random() < 0.3:
            text = text[r.randint(0, bits - 1):]
        if self.plain and bits > 1 and text[0] == "1" and len(text) < bits:
            text = "0" + text[1:]
        return [("B" if self.chance(0.05) else "b") + text, code]

    def emit(self, words):
        """A change: mostly a line of its own."""
        if len(words) == 1 or not self.chance(0.03):
            text = " ".join(words)
        else:
            text = self.random.choice(["\n", "  ", "\t", " \n "]).join(words)
        self.out.append(text + (self.random.choice([" ", "\t", "\n\n", " \n"])
                                if self.chance(0.03) else self.end))

    def body(self):
        r = self.random
        time = r.choice([0, 0, 0, 5])
        early = r.random() < 0.2 and not self.plain
        if not early:
            self.out.append(f"#{time}{self.end}")
        section = r.random() < 0.7
        if section:
            self.out.append(self.line("$dumpvars"))
        for var in self.vars:
            if var[1] != "event":
                self.emit(self.value(var))
        if section:
            self.out.append(self.line("$end"))
        for _ in range(r.randint(0, 400)):
            self.comment()
            step = r.choice([1, 1, 1, 10, 1000])
            if self.chance(0.01):
                step = 2**40
            if self.chance(0.02):
                step = 0
            time += step
            self.out.append(f"#{time}{self.end}")
            for var in r.choices(self.vars, k=r.randint(0, 8)):
                self.emit(self.value(var))
            if self.chance(0.02):
                name, form = r.choice([("$dumpall", None), ("$dumpoff", "x"), ("$dumpon", None)])
                self.out.append(self.line(name))
                for var in self.vars:
                    if var[1] not in ("event", "string"):
                        self.emit(self.value(var, form))
                self.out.append(self.line("$end"))
        if self.chance(0.2):
            self.out.append(f"#{2**64 - 1}{self.end}")
        if self.chance(0.1):
            self.out.append(f"$vcdclose #{time} $end")
        if self.chance(0.1) and self.out[-1].endswith(self.end):
            self.out[-1] = self.out[-1][: -len(self.end)]

    def extended_file(self):
        """Ports with states and strengths, as $dumpports writes them."""
        r = self.random
        self.out += ["$date a day $end\n", "$timescale 1ns $end\n", "$scope module dut $end\n"]
        ports = []
        for n in range(r.randint(1, 30)):
            bits = r.choice([1, 1, 8, 12, 70])
            size = "1" if bits == 1 else f"[{bits - 1}:0]"
            self.out.append(f"$var port {size} <{n} p{n} $end\n")
            ports.append((f"<{n}", bits))
        self.out += ["$upscope $end\n", "$enddefinitions $end\n", "#0\n", "$dumpports\n"]

        def change(port):
            states = "".join(r.choices("DUNZduLHXTlh01?FAaBbCcf", k=port[1]))
            self.out.append(f"p{states} {'6' * port[1]} {'0' * port[1]} {port[0]}\n")

        for port in ports:
            change(port)
        self.out.append("$end\n")
        for time in range(1, r.randint(2, 100)):
            self.out.append(f"#{time}\n")
            for port in r.choices(ports, k=r.randint(0, 5)):
                change(port)
        self.out.append("$vcdclose #100 $end\n")

    def bytes(self):
        if self.extended:
            self.extended_file()
        else:
            self.header()
            self.body()
        return "".join(self.out).encode()


def generate(seed, plain=False, extended=False):
    """The bytes of one file."""
    return Writer(seed, plain, extended).bytes()


def damage(data, seed):
    """The same with a few bytes of its values changed."""
    r = random.Random(f"damage-{seed}")
    begin = data.index(b"$enddefinitions") + 20
    data = bytearray(data)
    for _ in range(r.choice([1, 1, 3])):
        at = r.randrange(begin, len(data))
        how = r.random()
        if how < 0.4:
            data[at] = r.choice(b"\n #$b01!x\x00\x7f\xffrs\r\t")
        elif how < 0.7:
            del data[at: at + r.choice([1, 1, 2, 20])]
        else:
            data[at:at] = r.choice([b" ", b"\n", b"#", b"$end ", b"$comment ", b"b1 ", b"1", b"\0"])
        if at >= len(data) - 1:
            break
    return bytes(data)

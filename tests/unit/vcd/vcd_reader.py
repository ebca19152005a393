# SPDX-License-Identifier: Apache-2.0
"""A reader of value change dumps that shares nothing with libvcd: slow, whole file in memory, word
by word as IEEE 1800 defines the format. It prints what vcd_dump prints."""

import re

WORD = re.compile(rb"[^\x00-\x20]+|[\x00-\x08\x0e-\x1f]")
BITS = {**dict.fromkeys("0lL", "0"), **dict.fromkeys("1hH", "1"), **dict.fromkeys("zZ", "z"),
        **dict.fromkeys("xXuUwW-", "x")}
PORT = {**dict.fromkeys("DdLl0", "0"), **dict.fromkeys("UuHh1", "1"), **dict.fromkeys("ZTFf", "z"),
        **dict.fromkeys("NX?AaBbCc", "x")}
UNITS = {"s": 0, "ms": -3, "us": -6, "ns": -9, "ps": -12, "fs": -15, "as": -18}
SECTIONS = {"$end": "end", "$dumpvars": "vars", "$dumpall": "all", "$dumpon": "on",
            "$dumpoff": "off", "$dumpports": "vars", "$dumpportsall": "all",
            "$dumpportson": "on", "$dumpportsoff": "off"}


class Bad(Exception):
    """The file is wrong at a byte."""


def split_reference(text, bits):
    """Name and range of a reference."""
    found = re.fullmatch(r"(.+?)(\s*)(\[(-?\d+)(:-?\d+)?\])", text, re.S)
    if not found:
        return text, ""
    name, apart, span, _, second = found.groups()
    if not apart and name.startswith("\\") and " " not in text:
        return text, ""
    if not apart and not second and bits != 1:
        return text, ""
    return name.rstrip(" "), span


def bits_text(text, bits, table):
    """All bits of a value as 0, 1, x and z; "bad" where it cannot be one."""
    if not text:
        return "bad"
    if len(text) > bits:
        if text[: len(text) - bits].strip("0"):
            return "bad"
        text = text[len(text) - bits:]
    if any(c not in table for c in text):
        return "bad"
    values = "".join(table[c] for c in text)
    return values.rjust(bits, values[0] if values[0] in "xz" else "0")


class Reader:
    """Iterating gives the lines of the canonical form."""

    def __init__(self, data):
        self.data = data
        self.words = ((m.start(), m.group().decode("latin-1")) for m in WORD.finditer(data))
        self.at = 0
        self.ids = {}
        self.bits = {}

    def word(self, what=None):
        for self.at, text in self.words:
            return text
        if what:
            raise Bad(len(self.data))
        return None

    def until_end(self):
        parts = []
        while (word := self.word("$end")) != "$end":
            parts.append(word)
        return parts

    def header(self):
        scopes = []
        while True:
            word = self.word("$enddefinitions")
            if word == "$scope":
                kind, *name = self.until_end()
                scopes.append(" ".join(name))
            elif word == "$upscope":
                scopes.pop()
                self.until_end()
            elif word == "$timescale":
                text = "".join(self.until_end())
                digits, unit = re.fullmatch(r"(10{0,2})([a-z]+)", text).groups()
                yield f"timescale 1e{len(digits) - 1 + UNITS[unit]}"
            elif word == "$var":
                kind, size, code, *name = self.until_end()
                if size.startswith("["):
                    left, right = (int(n) for n in size[1:-1].split(":"))
                    size = abs(left - right) + 1
                size = int(size) or 1
                name, span = split_reference(" ".join(name), size)
                path = ".".join([*scopes, name])
                self.ids.setdefault(code, len(self.ids))
                self.bits[code] = max(self.bits.get(code, 0), size)
                yield f"var {kind} {size} {code} {path}{span}"
            elif word == "$enddefinitions":
                self.until_end()
                return
            elif word.startswith("$"):
                self.until_end()
            else:
                raise Bad(self.at)

    def values(self, every):
        time = None
        while (word := self.word()) is not None:
            first, rest, begin = word[0], word[1:], self.at
            if first < " ":
                raise Bad(begin)
            if first == "#":
                if not re.fullmatch(r"\d{1,20}", rest) or int(rest) >= 2**64:
                    raise Bad(begin)
                if time != int(rest):
                    time = int(rest)
                    yield f"#{time}"
                continue
            if first == "$":
                if word in SECTIONS:
                    yield f"${SECTIONS[word]}"
                elif word in ("$var", "$scope", "$upscope", "$enddefinitions", "$timescale"):
                    raise Bad(begin)
                else:
                    while (skipped := self.word()) != "$end":
                        if skipped is None:
                            raise Bad(len(self.data))
                continue
            if first in "bBrRsSpP":
                for _ in range(3 if first in "pP" else 1):
                    code = self.word()
                    if code is None or code < " ":
                        raise Bad(begin)
            elif first in BITS and rest:
                code = rest
            else:
                raise Bad(begin)
            if code not in self.ids or self.ids[code] % every:
                continue
            if first in "rR":
                yield f"{code} r{float(rest):f}"
            elif first in "sS":
                yield f"{code} s{rest}"
            elif first in "pP":
                yield f"{code} b{bits_text(rest, self.bits[code], PORT)}"
            else:
                text = rest if first in "bB" else first
                yield f"{code} b{bits_text(text, self.bits[code], BITS)}"

    def place(self, byte):
        """line:column of a byte"""
        before = self.data[:byte]
        column = byte - before.rfind(b"\n")
        return f"{before.count(10) + 1}:{column}"


def canonical(data, every=1):
    """Lines of the canonical form."""
    reader = Reader(data)
    lines = []
    try:
        for line in reader.header():
            lines.append(line)
        for line in reader.values(every):
            lines.append(line)
    except Bad as bad:
        lines.append(f"error {reader.place(bad.args[0])}")
    return lines

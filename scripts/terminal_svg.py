# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a terminal and draws what it leaves on the screen as an SVG.

    /usr/bin/python3 scripts/terminal_svg.py OUT.svg [--lines A:B] -- COMMAND...

README's picture is made by
    scripts/terminal_svg.py docs/run.svg -- build/release/bin/spikelock run \\
        examples/010_digits/cosim.toml --fault threshold-compare
"""

import argparse
import html
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl

COLUMNS, ROWS = 92, 200
CHAR_WIDTH, LINE_HEIGHT, MARGIN = 7.8, 17, 14
COLOURS = {31: "#f47067", 32: "#57ab5a", 33: "#c69026", 34: "#539bf5", 35: "#b083f0", 36: "#39c5cf",
           90: "#768390"}
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def run_in_terminal(command):
    """Bytes that `command` writes to a terminal of COLUMNS x ROWS."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    out = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        out += part
    process.wait()
    return out.decode("utf-8", "replace")


def cells(line):
    """[(character, style)] that remain of a line after its carriage returns and erasures."""
    row, at, style, index = [], 0, (None, False, False), 0
    while index < len(line):
        match = ESCAPE.match(line, index)
        if match:
            index = match.end()
            if match[2] == "m":
                style = apply(style, match[1])
            elif match[2] == "K":
                row = row[:at] if match[1] in ("", "0") else []
            continue
        char = line[index]
        index += 1
        if char == "\r":
            at = 0
        elif char >= " ":
            row += [(" ", (None, False, False))] * (at - len(row))
            row[at:at + 1] = [(char, style)]
            at += 1
    return row


def apply(style, codes):
    colour, bold, dim = style
    for code in (int(c or 0) for c in codes.split(";")):
        if code == 0:
            colour, bold, dim = None, False, False
        elif code == 1:
            bold = True
        elif code == 2:
            dim = True
        elif code == 22:
            bold = dim = False
        elif code == 39:
            colour = None
        elif code in COLOURS:
            colour = COLOURS[code]
    return colour, bold, dim


def spans(row):
    """One SVG text span for each stretch of equal style."""
    at = 0
    while at < len(row):
        end = at
        while end < len(row) and row[end][1] == row[at][1]:
            end += 1
        text = html.escape("".join(c for c, _ in row[at:end]))
        colour, bold, dim = row[at][1]
        attributes = f' x="{MARGIN + at * CHAR_WIDTH:.1f}"'
        attributes += f' fill="{colour}"' if colour else ""
        attributes += ' font-weight="bold"' if bold else ""
        attributes += ' opacity="0.65"' if dim else ""
        yield f"<tspan{attributes}>{text}</tspan>"
        at = end


def draw(rows):
    width = round(COLUMNS * CHAR_WIDTH + 2 * MARGIN)
    height = len(rows) * LINE_HEIGHT + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#22272e"/>',
        '<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" '
        'fill="#d4dbe2" xml:space="preserve">',
    ]
    for number, row in enumerate(rows):
        y = MARGIN + (number + 0.8) * LINE_HEIGHT
        lines.append(f'<text y="{y:.1f}">{"".join(spans(row))}</text>')
    return "\n".join(lines + ["</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--lines", default=":", help="first:last line to show, counted from 1")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    text = f"\x1b[2m$\x1b[0m \x1b[1m{' '.join(args.command)}\x1b[0m\n"
    text += run_in_terminal(args.command)
    rows = [cells(line) for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]
    rows = [row[at:at + COLUMNS] for row in rows for at in range(0, max(len(row), 1), COLUMNS)]
    first, last = (int(n) if n else None for n in args.lines.split(":"))
    rows = rows[(first or 1) - 1:last]
    with open(args.out, "w", encoding="utf-8") as file:
        file.write(draw(rows))


if __name__ == "__main__":
    sys.exit(main())

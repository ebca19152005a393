#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what bench/lockstep_growth.cpp printed (CSV on stdin) as an SVG on stdout: microseconds per
timestep on logarithmic axes, golden alone and lockstep, over neurons, synapses and activity."""
import csv
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 300, 240, 46, 30, 40
COLOURS = {"golden_us": "#2a6fb0", "lockstep_us": "#c2452d"}
LABELS = {"golden_us": "golden alone", "lockstep_us": "lockstep (Verilated core)"}
AXES = [("neurons", "neurons", "neurons"), ("synapses", "synapses", "synapses"),
        ("activity", "activity", "spikes per neuron and timestep")]  # fmt: skip


def ticks(low, high):
    return [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def main():
    rows = list(csv.DictReader(sys.stdin))
    if not rows:
        sys.exit("no rows on standard input")
    values = [float(row[key]) for row in rows for key in COLOURS]
    y_ticks = ticks(min(values), max(values))
    y0, y1 = math.log10(y_ticks[0]), math.log10(y_ticks[-1])
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{3 * WIDTH}" height="{HEIGHT + 30}" '
           'font-family="sans-serif" font-size="11">'
           '<rect width="100%" height="100%" fill="white"/>']  # fmt: skip
    for panel, (series, key, title) in enumerate(AXES):
        points = sorted((r for r in rows if r["series"] == series), key=lambda r: float(r[key]))
        xs = [float(r[key]) for r in points]
        x0, x1 = math.log10(min(xs)) - 0.15, math.log10(max(xs)) + 0.15
        left, right = panel * WIDTH + LEFT, (panel + 1) * WIDTH - 14
        def px(x, left=left, right=right, x0=x0, x1=x1):
            return left + (math.log10(x) - x0) / (x1 - x0) * (right - left)
        def py(y):
            return HEIGHT - BOTTOM - (math.log10(y) - y0) / (y1 - y0) * (HEIGHT - BOTTOM - TOP)
        for y in y_ticks:
            at = f"{py(y):.1f}"
            out.append(f'<line x1="{left}" x2="{right}" y1="{at}" y2="{at}" stroke="#ddd"/>')
            out.append(f'<text x="{left - 5}" y="{at}" dy="4" text-anchor="end">{y:g}</text>')
        for x in xs:
            text = f"{x:.2g}" if x < 1 else f"{x:,.0f}"
            out.append(f'<text x="{px(x):.1f}" y="{HEIGHT - BOTTOM + 14}" '
                       f'text-anchor="middle">{text}</text>')  # fmt: skip
        out.append(f'<text x="{(left + right) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle" '
                   f'font-weight="bold">{title}</text>')  # fmt: skip
        for field, colour in COLOURS.items():
            dots = [(px(float(r[key])), py(float(r[field]))) for r in points]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                       'stroke-width="2"/>')  # fmt: skip
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots]
    out.append('<text x="8" y="18">microseconds per timestep</text>')
    for i, (field, label) in enumerate(LABELS.items()):
        x = WIDTH + 60 + 170 * i
        out.append(f'<circle cx="{x}" cy="14" r="4" fill="{COLOURS[field]}"/>')
        out.append(f'<text x="{x + 9}" y="18">{label}</text>')
    out.append("</svg>")
    print("\n".join(out))


main()

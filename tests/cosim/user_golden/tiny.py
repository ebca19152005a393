# SPDX-License-Identifier: Apache-2.0
"""A golden of cores/tiny_core.sv that misbehaves as the variable DO says, in timestep AT."""

import os
import time

import numpy as np

DO, AT = os.environ.get("DO", ""), int(os.environ.get("AT", "100"))
t = -2  # the first step() only asks what is shown; the next one is timestep 0
if DO == "no-module":
    import no_such_module


def reset():
    global v
    v = np.zeros(4, np.int64)


def step(inputs):
    global t
    t += 1
    now = t == AT
    v[:] += 16 * inputs
    spike = v >= 64
    v[spike] = 0
    shown = {"spike": spike, "v": v.copy()}
    if now and DO == "raise":
        raise ValueError("planted")
    if now and DO == "crash":
        os.abort()
    if now and DO == "hang":
        time.sleep(1000)
    if now and DO == "shape":
        shown["v"] = v[:3]
    if now and DO == "float":
        shown["v"] = v * 0.5
    if now and DO == "wide":
        shown["v"][1] = 40000
    if now and DO == "list":
        return [spike, v]
    if now and DO == "missing":
        del shown["v"]
    if now and DO == "wrong-v":
        shown["v"][2] += 1
    if DO == "only-spikes":
        del shown["v"]
    if DO == "unknown":
        shown["voltage"] = v
    return shown

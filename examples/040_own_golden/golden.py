# SPDX-License-Identifier: Apache-2.0
"""The digits network as a team would have it in Python already: dense matrices, one line an
equation. Delays, filters, currents and refractory periods, which that network does not use, are
left out; setup() says so where another one needs them."""

import numpy as np


def setup(network):
    """Called once, with the network of the manifest: NumPy arrays, names as in docs/model.md."""
    global net, weights, recurrent
    net = network
    axons, n = net["n_axons"], net["n_neurons"]
    if net["cuba"].any() or net["refractory"].any() or net["leak_mode"] != 1:
        raise NotImplementedError("only LIF neurons with a multiplied leak, without refractory "
                                  "period")
    if net["acc_overflow"] != 0 or net["v_overflow"] != 1 or net["rounding"] != 0:
        raise NotImplementedError("only wrapped sums, saturated voltages and floor")
    dense = np.zeros((2, axons + n, n), np.int64)  # by delay, source and target
    source = np.repeat(np.arange(axons + n), np.diff(net["row_begin"]))
    np.add.at(dense, (net["delay"], source, net["target"]), net["weight"] << net["weight_shift"])
    weights, recurrent = dense[:, :axons], dense[:, axons:]


def reset():
    """State at the start; called before the first timestep and where a sample begins cleared."""
    global v, arriving
    v = net["v_init"].astype(np.int64)
    arriving = np.zeros(net["n_neurons"], np.int64)  # in the next timestep


def fit(x, bits):
    half = 1 << bits - 1
    return (x + half) % (2 * half) - half


def step(inputs):
    """One timestep.

    inputs: shape (n_axons), int32, events of each axon.
    Returns what the model shows: `spike`, and any of i_syn, u, v, refr, each of shape (n_neurons).
    """
    global v, arriving
    acc = arriving + inputs @ weights[0]
    later = inputs @ weights[1]
    i_syn = np.zeros_like(v)
    spike = np.zeros(len(v), bool)
    # A spike reaches neurons later in the sweep in the same timestep: population by population.
    for population in net["populations"]:
        p = slice(population["begin"], population["end"])
        i_syn[p] = fit(acc[p], net["acc_bits"])
        v1 = (v[p] * net["leak"][p] >> net["leak_frac"]) + i_syn[p] + net["bias"][p]
        half = 1 << net["v_bits"] - 1
        v1 = np.clip(v1, -half, half - 1)
        above = v1 > net["threshold"][p] if net["compare"] else v1 >= net["threshold"][p]
        spike[p] = above & (net["spiking"][p] != 0)
        after = (np.clip(v1 - net["threshold"][p], -half, half - 1) if net["reset_mode"]
                 else net["v_reset"][p])
        v[p] = np.where(spike[p], after, v1)
        acc += spike[p] @ recurrent[0][p]
        later += spike[p] @ recurrent[1][p]
    arriving = later
    return {"spike": spike, "i_syn": i_syn, "v": v}

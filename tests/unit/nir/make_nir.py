#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes NIR files and, beside each, what reading it must give.

usage: make_nir.py FOLDER [DATA]

NAME.nir with NAME.expect (what the network must hold) or NAME.error (the code of the error, then
lines that its text must contain). What is expected is computed here with dense numpy, by sending
unit vectors through a plain reading of NIR's definitions; nothing of Spikelock is called.
DATA is the folder with networks from elsewhere; one of them is repaired for a test, if it is there.
"""
import os
import pathlib
import sys

import h5py
import numpy as np

OUT = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(20240901)


# --- writing -----------------------------------------------------------------------------------
def write_node(group, node, fixed):
    for key, value in node.items():
        if key == "nodes":
            nodes = group.create_group("nodes")
            for name, child in value.items():
                write_node(nodes.create_group(name), child, fixed)
        elif key == "edges":
            if fixed:
                pairs = np.array([[a.encode(), b.encode()] for a, b in value], dtype="S24")
                group.create_dataset(key, data=pairs)
            else:
                group.create_dataset(key, data=value, dtype=h5py.string_dtype() if value else None)
        elif isinstance(value, dict):
            write_node(group.create_group(key), value, fixed)
        elif isinstance(value, str):
            if fixed:
                group.create_dataset(key, data=np.bytes_(value))
            else:
                group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        elif isinstance(value, np.ndarray) and value.ndim > 0 and value.size > 0:
            group.create_dataset(key, data=value, compression="gzip")
        else:
            group.create_dataset(key, data=value)


def write(name, nodes, edges, fixed=False, version="1.0", **extra):
    path = OUT / f"{name}.nir"
    with h5py.File(path, "w") as file:
        if version:
            file.create_dataset("version", data=version, dtype=h5py.string_dtype())
        graph = {"type": "NIRGraph", "nodes": nodes, "edges": edges, **extra}
        write_node(file.create_group("node"), graph, fixed)
    return path


def number(value):
    return float(value).hex()


def expect(name, axons, populations, synapses):
    """populations: (label, kind, size, {parameter: values}); synapses: (source, target, weight,
    delay, recurrent) with sources counted from the first axon on."""
    lines = [f"ports {' '.join(f'{label}:{size}' for label, size in axons)}"]
    for label, kind, size, parameters in populations:
        lines.append(f"population {label} {kind} {size}")
        for key, values in parameters.items():
            values = np.broadcast_to(np.asarray(values, dtype=float), (size,))
            lines.append(f"{key} {' '.join(number(v) for v in values)}")
    for source, target, weight, delay, recurrent in sorted(synapses):
        if weight != 0:
            lines.append(f"synapse {source} {target} {number(weight)} {number(delay)} "
                         f"{int(recurrent)}")
    (OUT / f"{name}.expect").write_text("\n".join(lines) + "\n")


def fails(name, code, *texts):
    (OUT / f"{name}.error").write_text("\n".join([code, *texts]) + "\n")


# --- nodes -------------------------------------------------------------------------------------
def inp(*shape):
    return {"type": "Input", "shape": np.array(shape)}


def outp(*shape):
    return {"type": "Output", "shape": np.array(shape)}


def linear(weight):
    return {"type": "Linear", "weight": weight}


def affine(weight, bias):
    return {"type": "Affine", "weight": weight, "bias": bias}


def lif(*shape, **other):
    node = {"type": "LIF", "tau": np.full(shape, 0.01), "r": np.full(shape, 2.0),
            "v_leak": np.full(shape, 0.0), "v_threshold": np.full(shape, 1.0)}
    node.update(other)
    return node


LIF = {"tau_mem": 0.01, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}


def matrix_of(function, size):
    """Weights (outputs, inputs) and offset of an affine function, by unit vectors."""
    zero = np.asarray(function(np.zeros(size)), dtype=float).ravel()
    columns = [np.asarray(function(row), dtype=float).ravel() - zero for row in np.eye(size)]
    return np.array(columns).T, zero


def rows(weights, first_source=0, first_target=0, delay=0.0, recurrent=False):
    weights = np.asarray(weights, dtype=float)
    delays = np.broadcast_to(np.asarray(delay, dtype=float), weights.shape)
    return [(first_source + j, first_target + i, weights[i, j], delays[i, j], recurrent)
            for i in range(weights.shape[0]) for j in range(weights.shape[1])]


def feed_forward(name, shape, chain, function, exact=False, **options):
    """Input -> chain -> LIF -> Output, compared with `function` of the flat input."""
    size = int(np.prod(shape))
    weights, bias = matrix_of(function, size)
    n = len(bias)
    names = ["input", *[f"step{i}" for i in range(len(chain))], "lif", "output"]
    nodes = dict(zip(names, [inp(*shape), *chain, lif(n), outp(n)]))
    write(name, nodes, list(zip(names, names[1:])), **options)
    expect(name, [("input", size)], [("lif", "Lif", n, {**LIF, "bias": bias})], rows(weights))


# --- convolution and pooling, from their definitions ------------------------------------------
def convolve(x, weight, bias, stride, padding, dilation, groups):
    """x (C, H, W), weight (O, C/groups, KH, KW); loops over every output and tap."""
    n_out, per_group, kernel_h, kernel_w = weight.shape
    (top, bottom), (left, right) = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)))
    height = (padded.shape[1] - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    width = (padded.shape[2] - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    y = np.zeros((n_out, height, width))
    for o in range(n_out):
        group = o // (n_out // groups)
        for i in range(height):
            for j in range(width):
                total = bias[o]
                for c in range(per_group):
                    for a in range(kernel_h):
                        for b in range(kernel_w):
                            total += weight[o, c, a, b] * padded[
                                group * per_group + c, i * stride[0] + a * dilation[0],
                                j * stride[1] + b * dilation[1]]
                y[o, i, j] = total
    return y


def pool(x, kernel, stride, padding, mean=False):
    padded = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    height = (padded.shape[1] - kernel[0]) // stride[0] + 1
    width = (padded.shape[2] - kernel[1]) // stride[1] + 1
    y = np.zeros((x.shape[0], height, width))
    for i in range(height):
        for j in range(width):
            window = padded[:, i * stride[0]:i * stride[0] + kernel[0],
                            j * stride[1]:j * stride[1] + kernel[1]]
            y[:, i, j] = window.mean(axis=(1, 2)) if mean else window.sum(axis=(1, 2))
    return y


def conv_node(kind, weight, bias, stride=1, padding=0, dilation=1, groups=1, **other):
    return {"type": kind, "weight": weight, "bias": bias, "stride": stride, "padding": padding,
            "dilation": dilation, "groups": groups, **other}


def quarters(*shape):
    """Random multiples of 1/4: sums of products are exact in any order."""
    return rng.integers(-8, 9, shape) / 4.0


# --- networks that load ------------------------------------------------------------------------
def good():
    w = quarters(4, 3)
    feed_forward("linear", (3,), [linear(w)], lambda x: w @ x)
    b = quarters(4)
    feed_forward("affine_float32", (3,), [affine(w.astype(np.float32), b.astype(">f4"))],
                 lambda x: w @ x + b)
    wi = rng.integers(-5, 6, (4, 3))
    feed_forward("integers_fixed_strings", (3,), [linear(wi.astype(np.int8))], lambda x: wi @ x,
                 fixed=True)
    feed_forward("no_version_with_metadata", (3,), [{**linear(w), "metadata": {"dt": 0.5}}],
                 lambda x: w @ x, version=None, metadata={"note": "text", "deep": {"x": 1}})
    feed_forward("types_as_groups", (3,), [{**linear(w), "input_type": {"input": np.array([3])},
                                            "output_type": {"output": np.array([4])}}],
                 lambda x: w @ x)

    # Chains collapse into the dense product.
    w1, w2, w3, s, b2 = quarters(5, 3), quarters(6, 5), quarters(2, 6), quarters(5), quarters(6)
    feed_forward("chain", (3,), [linear(w1), {"type": "Scale", "scale": s}, affine(w2, b2),
                                 linear(w3)],
                 lambda x: w3 @ (w2 @ (s * (w1 @ x)) + b2))
    feed_forward("scale_scalar", (3,), [{"type": "Scale", "scale": 0.5}, linear(w)],
                 lambda x: w @ (0.5 * x))
    batch = quarters(2, 3, 4)
    feed_forward("linear_of_three_dimensions", (2, 4),
                 [linear(batch), {"type": "Flatten", "start_dim": 0, "end_dim": -1}],
                 lambda x: np.stack([batch[i] @ x.reshape(2, 4)[i] for i in range(2)]))
    feed_forward("flatten_that_counts_a_batch", (2, 3),
                 [{"type": "Flatten", "start_dim": 1, "end_dim": -1,
                   "input_type": np.array([2, 3])}, linear(quarters(2, 6) * 0 + 1)],
                 lambda x: np.ones((2, 6)) @ x)

    # Convolutions.
    wc, bc = quarters(4, 2, 3), quarters(4)
    feed_forward("conv1d", (2, 9), [conv_node("Conv1d", wc, bc, 2, 1, 2, 1, input_shape=9),
                                    {"type": "Flatten", "start_dim": 0, "end_dim": -1}],
                 lambda x: convolve(x.reshape(2, 1, 9), wc[:, :, None, :], bc, (1, 2),
                                    ((0, 0), (1, 1)), (1, 2), 1))
    wg = quarters(4, 1, 3)
    feed_forward("conv1d_groups_same", (2, 7),
                 [conv_node("Conv1d", wg, np.zeros(4), 1, "same", 1, 2, input_shape=7)],
                 lambda x: convolve(x.reshape(2, 1, 7), wg[:, :, None, :], np.zeros(4), (1, 1),
                                    ((0, 0), (1, 1)), (1, 1), 2))
    wd, bd = quarters(4, 1, 3, 2), quarters(4)
    feed_forward("conv2d", (2, 7, 6),
                 [conv_node("Conv2d", wd, bd, np.array([2, 1]), np.array([1, 2]),
                            np.array([1, 2]), 2, input_shape=np.array([7, 6]))],
                 lambda x: convolve(x.reshape(2, 7, 6), wd, bd, (2, 1), ((1, 1), (2, 2)), (1, 2),
                                    2))
    we = quarters(2, 1, 4, 2)  # even kernel: one more of padding at the end
    feed_forward("conv2d_same_even_kernel", (1, 5, 4),
                 [conv_node("Conv2d", we, np.zeros(2), 1, "same")],
                 lambda x: convolve(x.reshape(1, 5, 4), we, np.zeros(2), (1, 1),
                                    ((1, 2), (0, 1)), (1, 1), 1))
    feed_forward("conv2d_valid_shape_from_input", (1, 1, 5, 4),
                 [conv_node("Conv2d", we, np.array([1.0, -1.0]), 1, "valid")],
                 lambda x: convolve(x.reshape(1, 5, 4), we, [1, -1], (1, 1), ((0, 0), (0, 0)),
                                    (1, 1), 1))
    sum_pool = {"type": "SumPool2d", "kernel_size": np.array([2, 3]), "stride": np.array([2, 1]),
                "padding": np.array([1, 0])}
    feed_forward("sum_pool", (2, 5, 4), [sum_pool],
                 lambda x: pool(x.reshape(2, 5, 4), (2, 3), (2, 1), (1, 0)))
    feed_forward("average_pool", (2, 4, 4),
                 [{"type": "AvgPool2d", "kernel_size": np.array([2, 2]),
                   "stride": np.array([2, 2]), "padding": np.array([0, 0])}],
                 lambda x: pool(x.reshape(2, 4, 4), (2, 2), (2, 2), (0, 0), mean=True))
    w5, b5, w6 = quarters(3, 2, 3, 3), quarters(3), quarters(2, 3, 2, 2)
    w7 = quarters(5, 8)

    def convolutional(x):
        x = convolve(x.reshape(2, 8, 8), w5, b5, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
        x = pool(x, (2, 2), (2, 2), (0, 0))
        x = convolve(x, w6, np.zeros(2), (2, 2), ((0, 0), (0, 0)), (1, 1), 1)
        return w7 @ x.ravel()

    feed_forward("convolutional_chain", (2, 8, 8),
                 [conv_node("Conv2d", w5, b5, 1, 1, input_shape=np.array([8, 8])),
                  {"type": "SumPool2d", "kernel_size": np.array([2, 2]),
                   "stride": np.array([2, 2]), "padding": np.array([0, 0])},
                  conv_node("Conv2d", w6, np.zeros(2), 2, 0, input_shape=np.array([4, 4])),
                  {"type": "Flatten", "start_dim": 0, "end_dim": -1,
                   "input_type": np.array([2, 2, 2])}, linear(w7)], convolutional)

    # Delays add along a chain and differ per element.
    d1, d2 = np.array([0.001, 0.0, 0.004]), 0.002
    write("delays", {"input": inp(3), "d1": {"type": "Delay", "delay": d1}, "w": linear(w),
                     "d2": {"type": "Delay", "delay": d2}, "lif": lif(4), "output": outp(4)},
          [("input", "d1"), ("d1", "w"), ("w", "d2"), ("d2", "lif"), ("lif", "output")])
    expect("delays", [("input", 3)], [("lif", "Lif", 4, LIF)], rows(w, delay=d1[None, :] + d2))

    # Every kind of neuron.
    one = {"bias": 0.0}
    def single(name, node, kind, parameters, n=3):
        weights = np.eye(n)
        write(name, {"input": inp(n), "n": node, "output": outp(n)},
              [("input", "n"), ("n", "output")])
        expect(name, [("input", n)], [("n", kind, n, {**one, **parameters})], rows(weights))
    a = {k: quarters(3) ** 2 + 0.5 for k in "abcdef"}
    single("if", {"type": "IF", "r": a["a"], "v_threshold": a["b"], "v_reset": a["c"]}, "If",
           {"r": a["a"], "v_threshold": a["b"], "v_reset": a["c"]})
    single("if_without_reset", {"type": "IF", "r": a["a"], "v_threshold": a["b"]}, "If",
           {"r": a["a"], "v_threshold": a["b"], "v_reset": 0.0})
    single("lif", {"type": "LIF", "tau": a["a"], "r": a["b"], "v_leak": a["c"],
                   "v_threshold": a["d"], "v_reset": a["e"]}, "Lif",
           {"tau_mem": a["a"], "r": a["b"], "v_leak": a["c"], "v_threshold": a["d"],
            "v_reset": a["e"]})
    single("cuba_lif", {"type": "CubaLIF", "tau_syn": a["a"], "tau_mem": a["b"], "r": a["c"],
                        "v_leak": a["d"], "v_threshold": a["e"], "v_reset": a["f"],
                        "w_in": a["a"]}, "CubaLif",
           {"tau_syn": a["a"], "tau_mem": a["b"], "r": a["c"], "v_leak": a["d"],
            "v_threshold": a["e"], "v_reset": a["f"], "w_in": a["a"]})
    single("cuba_lif_defaults", {"type": "CubaLIF", "tau_syn": a["a"], "tau_mem": a["b"],
                                 "r": a["c"], "v_leak": a["d"], "v_threshold": a["e"]}, "CubaLif",
           {"v_reset": 0.0, "w_in": 1.0, "tau_syn": a["a"]})
    single("li", {"type": "LI", "tau": a["a"], "r": a["b"], "v_leak": a["c"]}, "Li",
           {"tau_mem": a["a"], "r": a["b"], "v_leak": a["c"]})
    single("cuba_li", {"type": "CubaLI", "tau_syn": a["a"], "tau_mem": a["b"], "r": a["c"],
                       "v_leak": a["d"], "w_in": 2.5}, "CubaLi",
           {"tau_syn": a["a"], "tau_mem": a["b"], "r": a["c"], "v_leak": a["d"], "w_in": 2.5})
    single("threshold", {"type": "Threshold", "threshold": a["a"]}, "Lif",
           {"v_threshold": a["a"], "tau_mem": 0.0, "r": 1.0, "v_reset": 0.0})
    single("scalar_parameters", lif(), "Lif", LIF)
    single("broadcast_parameters", lif(3, v_threshold=np.array([2.0])), "Lif",
           {**LIF, "v_threshold": 2.0})
    write("neurons_in_two_dimensions",
          {"input": inp(2, 3), "n": lif(2, 3, v_threshold=np.array([[1.0], [2.0]])),
           "output": outp(2, 3)}, [("input", "n"), ("n", "output")])
    expect("neurons_in_two_dimensions", [("input", 6)],
           [("n", "Lif", 6, {**LIF, "v_threshold": [1, 1, 1, 2, 2, 2]})], rows(np.eye(6)))

    # Several ways lead to one neuron: all are summed, and an edge may stand twice.
    wa, wb, ba = quarters(2, 3), quarters(2, 3), quarters(2)
    write("parallel", {"in": inp(3), "a": affine(wa, ba), "b": linear(wb), "lif": lif(2),
                       "output": outp(2)},
          [("in", "a"), ("in", "b"), ("a", "lif"), ("b", "lif"), ("a", "lif"), ("lif", "output")])
    expect("parallel", [("in", 3)], [("lif", "Lif", 2, {**LIF, "bias": 2 * ba})],
           rows(2 * wa + wb))

    # Order: axons by Input node, populations by depth, numbers in names as numbers.
    x, y = quarters(2, 3), quarters(2, 2)
    write("two_inputs", {"in10": inp(2), "in9": inp(3), "x": linear(x), "y": linear(y),
                         "10": lif(2), "9": lif(2), "output": outp(2), "skip": linear(y)},
          [("in9", "x"), ("in10", "y"), ("x", "9"), ("y", "10"), ("9", "output"),
           ("10", "output"), ("in10", "skip"), ("skip", "9")])
    expect("two_inputs", [("in9", 3), ("in10", 2)],
           [("9", "Lif", 2, LIF), ("10", "Lif", 2, LIF)],
           rows(x) + rows(y, 3) + rows(y, 3, 2))
    z, back, own = quarters(3, 2), quarters(2, 3), quarters(2, 2)
    write("recurrent", {"in": inp(2), "zz": lif(2), "aa": lif(3), "z": linear(z),
                        "back": linear(back), "own": linear(own), "last": lif(3),
                        "output": outp(3)},
          [("in", "zz"), ("zz", "z"), ("z", "aa"), ("aa", "back"), ("back", "zz"), ("zz", "own"),
           ("own", "zz"), ("aa", "last"), ("last", "output")])
    expect("recurrent", [("in", 2)], [("zz", "Lif", 2, LIF), ("aa", "Lif", 3, LIF),
                                      ("last", "Lif", 3, LIF)],
           rows(np.eye(2)) + rows(z, 2, 2) + rows(own, 2, 0, recurrent=True)
           + rows(back, 4, 0, recurrent=True) + rows(np.eye(3), 4, 5))
    write("delayed_recurrence", {"in": inp(2), "n": lif(2), "own": linear(own),
                                 "d": {"type": "Delay", "delay": np.array([0.002, 0.003])},
                                 "output": outp(2)},
          [("in", "n"), ("n", "own"), ("own", "d"), ("d", "n"), ("n", "output")])
    expect("delayed_recurrence", [("in", 2)], [("n", "Lif", 2, LIF)],
           rows(np.eye(2)) + rows(own, 2, 0, np.array([[0.002], [0.003]]), True))
    write("no_edges", {"n": lif(2)}, [])
    expect("no_edges", [], [("n", "Lif", 2, LIF)], [])

    # Nested graphs.
    inner = {"type": "NIRGraph", "nodes": {"input": inp(3), "w": linear(w), "output": outp(4)},
             "edges": [("input", "w"), ("w", "output")]}
    middle = {"type": "NIRGraph",
              "nodes": {"input": inp(3), "inner": inner, "lif": lif(4), "rec": linear(np.eye(4)),
                        "output": outp(4)},
              "edges": [("input", "inner"), ("inner", "lif"), ("lif", "rec"), ("rec", "lif"),
                        ("lif", "output")]}
    write("nested", {"input": inp(3), "middle": middle, "w2": linear(quarters(2, 4) * 0 + 0.5),
                     "last": lif(2), "output": outp(2)},
          [("input", "middle"), ("middle", "w2"), ("w2", "last"), ("last", "output")])
    expect("nested", [("input", 3)], [("middle.lif", "Lif", 4, LIF), ("last", "Lif", 2, LIF)],
           rows(w) + rows(np.eye(4), 3, 0, recurrent=True) + rows(np.full((2, 4), 0.5), 3, 4))

    path = write("type_as_attribute", {"input": inp(2), "n": lif(2), "output": outp(2)},
                 [("input", "n"), ("n", "output")])
    with h5py.File(path, "r+") as file:
        node = file["node/nodes/n"]
        del node["type"]
        node.attrs["type"] = "LIF"
    expect("type_as_attribute", [("input", 2)], [("n", "Lif", 2, LIF)], rows(np.eye(2)))


# --- networks that are refused -----------------------------------------------------------------
def bad():
    w = np.ones((2, 3))

    def chain(name, code, texts, **nodes):
        """input -> ... -> output in the order of the nodes"""
        names = ["input", *nodes, "output"]
        first = nodes.pop("input_", inp(3))
        names = [n for n in names if n != "input_"]
        write(name, {"input": first, **nodes, "output": outp(2)}, list(zip(names, names[1:])))
        fails(name, code, *texts)

    def graph(name, code, texts, nodes, edges, **options):
        write(name, nodes, edges, **options)
        fails(name, code, *texts)

    plain = {"input": inp(3), "w": linear(w), "n": lif(2), "output": outp(2)}
    edges = [("input", "w"), ("w", "n"), ("n", "output")]

    chain("unknown_type", "Unsupported", ["node 'gru'", "'GRU' is not supported"],
          gru={"type": "GRU"}, n=lif(2))
    chain("misspelt_type", "Unsupported", ["node 'w'", "'Linaer'", "CubaLIF",
                                           "did you mean 'Linear'"],
          w={"type": "Linaer", "weight": w}, n=lif(2))
    chain("integrator", "Unsupported", ["node 'i'", "'I' is not supported"],
          i={"type": "I", "r": np.ones(3)}, n=lif(3))
    chain("without_type", "BadFormat", ["node 'w'", "has no type"], w={"weight": w}, n=lif(2))
    chain("without_weight", "BadFormat", ["node 'w'", "'weight'"], w={"type": "Linear"}, n=lif(2))
    chain("unknown_parameter", "Unsupported", ["node 'n'", "'v_treshold'", "'v_threshold'"],
          w=linear(w), n=lif(2, v_treshold=np.ones(2)))
    chain("text_for_numbers", "BadFormat", ["node 'n'", "'tau' is text"], w=linear(w),
          n=lif(2, tau="fast"))
    chain("not_a_number", "BadFormat", ["node 'w'", "'weight' holds nan"],
          w=linear(np.array([[1, np.nan, 3], [1, 2, 3]])), n=lif(2))
    chain("tau_zero", "BadFormat", ["node 'n'", "tau must be positive"], w=linear(w),
          n=lif(2, tau=np.array([0.0, 1.0])))
    chain("negative_delay", "BadFormat", ["node 'd'", "negative"], w=linear(w),
          d={"type": "Delay", "delay": -0.5}, n=lif(2))
    chain("weight_of_one_dimension", "BadFormat", ["node 'w'", "(3)"], w=linear(np.ones(3)),
          n=lif(2))
    chain("bias_of_wrong_shape", "BadFormat", ["node 'w'", "bias of shape (5)"],
          w=affine(w, np.ones(5)), n=lif(2))
    chain("shapes_disagree", "BadFormat", ["edge ('w', 'n')", "gives (2)", "takes (5)"],
          w=linear(w), n=lif(5))
    chain("one_is_not_many", "BadFormat", ["edge ('w', 'n')", "gives (2)", "takes (1)"],
          w=linear(w), n=lif(1))
    chain("transposed", "BadFormat", ["edge ('input', 'n')", "(2, 3)", "(3, 2)"],
          input_=inp(2, 3), n=lif(3, 2))
    chain("parameters_disagree", "BadFormat", ["node 'n'", "disagree"], w=linear(w),
          n=lif(2, r=np.ones(3)))
    chain("no_neurons_in_node", "BadFormat", ["node 'n'", "no neurons"], n=lif(0))
    chain("conv_channels", "BadFormat", ["node 'c'", "takes 4 channels"], input_=inp(2, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 4, 3, 3)), np.zeros(1)), n=lif(1, 3, 3))
    chain("conv_kernel_too_large", "BadFormat", ["node 'c'", "kernel reaches over 7"],
          input_=inp(1, 5, 5), c=conv_node("Conv2d", np.ones((1, 1, 7, 7)), np.zeros(1)), n=lif(1))
    chain("conv_groups", "BadFormat", ["node 'c'", "3 output channels"], input_=inp(2, 5, 5),
          c=conv_node("Conv2d", np.ones((3, 1, 3, 3)), np.zeros(3), groups=2), n=lif(1))
    chain("conv_padding_text", "BadFormat", ["node 'c'", "'full'"], input_=inp(1, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 1, 3, 3)), np.zeros(1), padding="full"), n=lif(1))
    chain("conv_same_with_stride", "BadFormat", ["node 'c'", "stride of 1"], input_=inp(1, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 1, 3, 3)), np.zeros(1), 2, "same"), n=lif(1))
    chain("conv_rank", "BadFormat", ["node 'c'", "4 dimensions"], input_=inp(1, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 1, 3)), np.zeros(1)), n=lif(1))
    chain("conv_stride_fraction", "BadFormat", ["node 'c'", "whole numbers"], input_=inp(1, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 1, 3, 3)), np.zeros(1), 1.5), n=lif(1))
    chain("conv_stride_zero", "BadFormat", ["node 'c'", "stride", "from 1"], input_=inp(1, 5, 5),
          c=conv_node("Conv2d", np.ones((1, 1, 3, 3)), np.zeros(1), 0), n=lif(1))
    chain("pool_of_one_dimension", "BadFormat", ["node 'p'", "(channels, height, width)"],
          p={"type": "SumPool2d", "kernel_size": np.array([2, 2])}, n=lif(1))
    chain("linear_readout", "Unsupported", ["node 'readout'", "Output 'output'"], n=lif(3),
          readout=linear(w))
    chain("voltage_as_input", "Unsupported", ["node 'n'", "LI 'li'", "only spikes"],
          li={"type": "LI", "tau": np.ones(3), "r": np.ones(3), "v_leak": np.zeros(3)},
          w=linear(w), n=lif(2))
    chain("no_neurons", "BadFormat", ["no neurons"], input_=inp(2))

    graph("broken_edge", "BadFormat", ["edge ('w', 'nn')", "'nn' that does not exist",
                                       "did you mean 'n'"],
          plain, [("input", "w"), ("w", "nn"), ("n", "output")])
    graph("edge_into_input", "BadFormat", ["edge ('n', 'input')", "Input"], plain,
          edges + [("n", "input")])
    graph("edge_out_of_output", "BadFormat", ["edge ('output', 'w')", "Output"], plain,
          edges + [("output", "w")])
    graph("cycle_without_neuron", "BadFormat", ["cycle without a neuron", "'a' -> 'b'"],
          {**plain, "a": linear(np.eye(2)), "b": linear(np.eye(2)), "c": linear(np.eye(2))},
          edges + [("w", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "n")])
    graph("flatten_from_nowhere", "BadFormat", ["node 'f'", "no shape"],
          {**plain, "f": {"type": "Flatten", "start_dim": 0, "end_dim": -1}}, edges)
    graph("too_wide", "Limit", ["node 'input'", "(1000000, 1000000)"],
          {**plain, "input": inp(10**6, 10**6)}, edges)
    graph("too_many_synapses", "Limit", ["node 'w'"],
          {"input": inp(2**17), "w": conv_node("Conv1d", np.ones((4, 1, 129)), np.zeros(4), 1,
                                               "same", input_shape=2**17),
           "n": lif(), "output": outp(4, 2**17)}, edges)
    two = {"type": "NIRGraph", "nodes": {"a": inp(3), "b": inp(3), "output": outp(3)},
           "edges": [("a", "output"), ("b", "output")]}
    graph("nested_with_two_inputs", "Unsupported", ["edge ('input', 'sub')", "2 Input nodes"],
          {"input": inp(3), "sub": two, "n": lif(3), "output": outp(3)},
          [("input", "sub"), ("sub", "n"), ("n", "output")])
    broken = {"type": "NIRGraph", "nodes": {"input": inp(3), "output": outp(3)},
              "edges": [("input", "outptu")]}
    graph("nested_broken_edge", "BadFormat", ["edge ('input', 'outptu') of graph 'sub'"],
          {"input": inp(3), "sub": broken, "n": lif(3), "output": outp(3)},
          [("input", "sub"), ("sub", "n"), ("n", "output")])
    graph("same_name_when_joined", "BadFormat", ["node 'sub.n'", "two nodes"],
          {"input": inp(3), "sub.n": lif(3),
           "sub": {"type": "NIRGraph", "nodes": {"n": lif(3)}, "edges": []}}, [("input", "sub.n")])
    deep = {"type": "NIRGraph", "nodes": {}, "edges": []}
    for _ in range(20):
        deep = {"type": "NIRGraph", "nodes": {"g": deep}, "edges": []}
    graph("nested_too_deep", "Limit", ["nested more than"], {"g": deep}, [])

    # Files that are HDF5 but not NIR, or hardly HDF5.
    def broken_file(name, code, texts, change):
        path = write(name, plain, edges)
        with h5py.File(path, "r+") as file:
            change(file)
        fails(name, code, *texts)

    def replace(file, name, **how):
        del file[name]
        file.create_dataset(name, **how)

    broken_file("without_node", "BadFormat", ["no group '/node'"], lambda f: f.__delitem__("node"))
    broken_file("node_is_a_dataset", "BadFormat", ["'/node'"], lambda f: replace(f, "node", data=1))
    broken_file("root_is_a_neuron", "Unsupported", ["'LIF'", "NIRGraph"],
                lambda f: replace(f, "node/type", data="LIF"))
    broken_file("edges_of_three", "BadFormat", ["/node/edges", "pairs"],
                lambda f: replace(f, "node/edges", data=[["a", "b", "c"]],
                                  dtype=h5py.string_dtype()))
    broken_file("edges_of_numbers", "BadFormat", ["/node/edges", "pairs"],
                lambda f: replace(f, "node/edges", data=np.ones((2, 2))))
    broken_file("compound_parameter", "BadFormat", ["/node/nodes/w/weight", "neither"],
                lambda f: replace(f, "node/nodes/w/weight",
                                  data=np.zeros(3, dtype=[("a", "f4"), ("b", "i4")])))
    broken_file("huge_parameter", "Limit", ["/node/nodes/w/weight", "elements"],
                lambda f: replace(f, "node/nodes/w/weight", shape=(2**20, 2**20), dtype="f4",
                                  chunks=(1024, 1024)))
    broken_file("group_as_parameter", "BadFormat", ["/node/nodes/w/bias", "group"],
                lambda f: f.create_group("node/nodes/w/bias"))

    def soft(f):
        f["node/nodes/soft"] = h5py.SoftLink("/node/nodes/n")

    def external(f):
        f["node/nodes/n/v_reset"] = h5py.ExternalLink("lif.nir", "/node/nodes/n/v_reset")

    def soft_parameter(f):
        f["node/nodes/n/v_reset"] = h5py.SoftLink("/node/nodes/n/v_leak")

    # Each would load if the link were followed.
    link = "is a soft or external link"
    broken_file("soft_link", "BadFormat", ["'/node/nodes/soft' " + link], soft)
    broken_file("soft_parameter", "BadFormat", ["/node/nodes/n/v_reset' " + link], soft_parameter)
    broken_file("external_link", "BadFormat", ["/node/nodes/n/v_reset' " + link], external)

    def loop(f):
        f["node/nodes/n/nodes"] = f["node/nodes"]

    broken_file("hard_link_loop", "Limit", ["nested more than"], loop)
    (OUT / "empty.nir").write_bytes(b"")
    fails("empty", "BadFormat", "not an HDF5 file")
    (OUT / "text.nir").write_text("a text\n" * 500)
    fails("text", "BadFormat", "not an HDF5 file")
    whole = (OUT / "chain.nir").read_bytes()
    (OUT / "truncated.nir").write_bytes(whole[: len(whole) // 2])
    fails("truncated", "BadFormat", "cannot be opened as HDF5", "truncated")


def real(data):
    """The Braille network whose nested graph names its neurons wrongly, put right."""
    source = data / "nir" / "braille_noDelay_bias_zero_subgraph.nir"
    if not source.exists():
        return
    path = OUT / "braille_subgraph_repaired.nir"
    path.write_bytes(source.read_bytes())
    with h5py.File(path, "r+") as file:
        nodes = file["node/nodes/lif1/nodes"]
        nodes.move("lif1", "lif")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    good()
    bad()
    real(pathlib.Path(os.environ.get("SPIKELOCK_DATA") or (sys.argv[2:] or ["."])[0]))

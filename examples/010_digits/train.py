#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the spiking network of this example and writes digits.nir and test_images.csv.

64 pixels -> 48 recurrent LIF neurons -> 10 LIF neurons, the class with most spikes wins. The
network is trained with surrogate gradients through time, in numpy alone, on the equations of
docs/model.md section 5; it is then scored as it was trained (float) and by the integer equations of
sections 1 to 3 after rounding to 8-bit weights and 16-bit voltages.

Needs numpy, h5py and scikit-learn (for its copy of the data). Equal seeds give equal files on one
machine and numpy.
"""
import argparse
import os
import sys
import time

# One thread: sums are then added in one order, so that a seed fixes the result.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import h5py  # noqa: E402
import numpy as np  # noqa: E402

# The coding and the neurons; cosim.toml and README.md state the same numbers.
PIXELS, HIDDEN, CLASSES = 64, 48, 10
PIXEL_MAX = 16
STEPS = 32  # timesteps per image
MAX_RATE = 0.5  # spikes per timestep of a pixel at PIXEL_MAX
DT, TAU, R, THRESHOLD = 1e-3, 16e-3, 1.0, 1.0
ALPHA = DT / TAU  # Euler: v += ALPHA * (R * I - v)
TEST_IMAGES = 400
# Weights are trained in units of voltage per spike (ALPHA * R * weight). All layers share one scale
# in the integer model, and 8 bits at 2^-7 reach 127/128, so nothing is clipped later.
WEIGHT_MAX = 127 / 128


def load(seed):
    """Pixels 0..16 and labels, split into train and test by `seed`, equally many of each class."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    images = data.data.astype(np.int64)
    assert images.min() >= 0 and images.max() == PIXEL_MAX and images.shape[1] == PIXELS
    return train_test_split(images, data.target, test_size=TEST_IMAGES, random_state=seed,
                            stratify=data.target)


def encode(images, rng):
    """Rate coding: spikes of shape (STEPS, images, PIXELS), each drawn on its own."""
    rate = images / PIXEL_MAX * MAX_RATE
    return (rng.random((STEPS,) + images.shape) < rate).astype(np.float32)


def forward(weights, spikes_in):
    """Float model. Returns for both layers v before reset and spikes, shape (STEPS, images, n)."""
    w_in, w_rec, w_out = weights
    n_images = spikes_in.shape[1]
    dtype = w_in.dtype
    decay = dtype.type(1 - ALPHA)
    current = (spikes_in.reshape(-1, PIXELS) @ w_in).reshape(STEPS, n_images, HIDDEN)
    v_h, s_h = np.zeros((2, STEPS, n_images, HIDDEN), dtype)
    v_o, s_o = np.zeros((2, STEPS, n_images, CLASSES), dtype)
    h = np.zeros((n_images, HIDDEN), dtype)
    o = np.zeros((n_images, CLASSES), dtype)
    for t in range(STEPS):
        h = decay * h + current[t]
        if t > 0:
            h += s_h[t - 1] @ w_rec  # recurrent spikes act one timestep later
        v_h[t], s_h[t] = h, h >= THRESHOLD
        h = h * (1 - s_h[t])
        o = decay * o + s_h[t] @ w_out  # feed-forward spikes act in the same timestep
        v_o[t], s_o[t] = o, o >= THRESHOLD
        o = o * (1 - s_o[t])
    return v_h, s_h, v_o, s_o


def surrogate(v):
    """Stands in for the derivative of the step at the threshold."""
    return (1 + 4 * np.abs(v - THRESHOLD)) ** np.float32(-2)


def loss_and_gradients(weights, spikes_in, labels):
    """Cross-entropy of the output spike counts, with a pull towards moderate activity."""
    w_in, w_rec, w_out = weights
    v_h, s_h, v_o, s_o = forward(weights, spikes_in)
    n_images = len(labels)
    counts = s_o.sum(0)
    logits = counts - counts.max(1, keepdims=True)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    rows = np.arange(n_images)
    loss = -np.log(p[rows, labels] + 1e-9).mean()
    d_count = p.copy()
    d_count[rows, labels] -= 1
    # Outputs stay readable: the right one near 10 spikes, all others quiet.
    wanted = np.zeros_like(counts)
    wanted[rows, labels] = 10
    d_count += 0.02 * (counts - wanted)
    d_count = (d_count / n_images).astype(np.float32)
    # Hidden neurons that fire in less than 5 % or more than 25 % of timesteps are pushed back.
    rate = s_h.mean((0, 1))
    outside = np.minimum(rate - 0.05, 0) + np.maximum(rate - 0.25, 0)
    d_rate = (0.5 * outside / n_images).astype(np.float32)

    g_h, g_o = surrogate(v_h), surrogate(v_o)
    decay = np.float32(1 - ALPHA)
    d_v_h, d_v_o = np.zeros_like(v_h), np.zeros_like(v_o)
    d_h = np.zeros((n_images, HIDDEN), np.float32)  # with respect to v before the reset of t + 1
    d_o = np.zeros((n_images, CLASSES), np.float32)
    for t in reversed(range(STEPS)):
        # The reset itself is held constant, as usual for surrogate gradients.
        d_o = d_count * g_o[t] + decay * d_o * (1 - s_o[t])
        d_s_h = d_o @ w_out.T + d_rate
        if t + 1 < STEPS:
            d_s_h += d_v_h[t + 1] @ w_rec.T
        d_h = d_s_h * g_h[t] + decay * d_h * (1 - s_h[t])
        d_v_h[t], d_v_o[t] = d_h, d_o

    def flat(a):
        return a.reshape(-1, a.shape[-1])

    gradients = (flat(spikes_in).T @ flat(d_v_h), flat(s_h[:-1]).T @ flat(d_v_h[1:]),
                 flat(s_h).T @ flat(d_v_o))
    return loss, gradients


def train(images, labels, epochs, seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0.02, 0.10, (PIXELS, HIDDEN)), rng.normal(0, 0.04, (HIDDEN, HIDDEN)),
               rng.normal(0, 0.20, (HIDDEN, CLASSES))]
    weights = [w.astype(np.float32) for w in weights]
    mean = [np.zeros_like(w) for w in weights]
    square = [np.zeros_like(w) for w in weights]
    batch, step, start = 64, 0, time.monotonic()
    for epoch in range(epochs):
        rate = 4e-3 * 0.5 * (1 + np.cos(np.pi * epoch / epochs)) + 5e-5
        order, total = rng.permutation(len(labels)), 0.0
        for begin in range(0, len(order), batch):
            chosen = order[begin:begin + batch]
            loss, gradients = loss_and_gradients(weights, encode(images[chosen], rng),
                                                 labels[chosen])
            total += loss * len(chosen)
            step += 1
            for w, m, s, g in zip(weights, mean, square, gradients):  # Adam
                m += 0.1 * (g - m)
                s += 0.001 * (g * g - s)
                w -= rate * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)
                np.clip(w, -WEIGHT_MAX, WEIGHT_MAX, out=w)
        print(f"epoch {epoch + 1:3d}/{epochs}  loss {total / len(order):.4f}  "
              f"{time.monotonic() - start:5.1f} s", flush=True)
    return weights


def predict(counts):
    return counts.argmax(1)  # ties: the lowest index


def quantise(weights, v_frac, weight_shift):
    """8-bit weights whose LSB is 2^-(v_frac - weight_shift), rounded to nearest even."""
    scale = 2.0 ** (v_frac - weight_shift)
    return [np.clip(np.rint(w.astype(np.float64) * scale), -128, 127).astype(np.int64)
            for w in weights]


def integer_forward(weights, spikes_in, v_frac, rounding, leak_frac=12):
    """docs/model.md sections 1 to 3: multiply leak, saturating 16-bit v, reset to 0, `>=`.

    Returns hidden and output spikes, shape (STEPS, images, n), and the largest magnitudes of v
    before saturation and of i_syn.
    """
    weight_shift = v_frac - 7  # one LSB of a weight is 2^-7, whatever v_frac is
    w_in, w_rec, w_out = [w << weight_shift for w in quantise(weights, v_frac, weight_shift)]
    leak = int(round((1 - ALPHA) * 2**leak_frac))
    threshold = int(round(THRESHOLD * 2**v_frac))
    extremes = [0, 0]

    def decay(v):
        x = v * leak
        if rounding == "floor":
            return x >> leak_frac
        if rounding == "toward_zero":
            return np.where(x < 0, -((-x) >> leak_frac), x >> leak_frac)
        return (x + (1 << (leak_frac - 1)) - 1 + ((x >> leak_frac) & 1)) >> leak_frac

    def update(v, i_syn):
        v1 = decay(v) + i_syn
        extremes[0] = max(extremes[0], int(np.abs(v1).max()))
        extremes[1] = max(extremes[1], int(np.abs(i_syn).max()))
        v1 = np.clip(v1, -(1 << 15), (1 << 15) - 1)
        spike = (v1 >= threshold).astype(np.int64)
        return np.where(spike, 0, v1), spike

    n_images = spikes_in.shape[1]
    x = spikes_in.astype(np.int64)
    v_h = np.zeros((n_images, HIDDEN), np.int64)
    v_o = np.zeros((n_images, CLASSES), np.int64)
    s_h = np.zeros((STEPS, n_images, HIDDEN), np.int64)
    s_o = np.zeros((STEPS, n_images, CLASSES), np.int64)
    for t in range(STEPS):
        before = s_h[t - 1] if t else np.zeros((n_images, HIDDEN), np.int64)
        v_h, s_h[t] = update(v_h, x[t] @ w_in + before @ w_rec)
        v_o, s_o[t] = update(v_o, s_h[t] @ w_out)
    return s_h, s_o, extremes


def evaluate(weights, images, labels, draws=10):
    """Prints accuracies over independent draws of the input spikes; returns float and integer."""
    exact = [w.astype(np.float64) for w in weights]
    kinds = [(v_frac, mode) for v_frac in (12, 13) for mode in ("floor", "toward_zero",
                                                                "nearest_even")]
    correct = {kind: [] for kind in ["float"] + kinds}
    same, extremes = {kind: [] for kind in kinds}, {12: [0, 0], 13: [0, 0]}
    rates, out_counts = [], []
    for draw in range(draws):
        spikes_in = encode(images, np.random.default_rng([1000, draw]))
        _, s_h, _, s_o = forward(exact, spikes_in.astype(np.float64))
        guess = predict(s_o.sum(0))
        correct["float"].append((guess == labels).mean())
        rates.append(s_h.mean((0, 1)))
        out_counts.append(s_o.sum(0))
        for v_frac, mode in kinds:
            _, i_o, most = integer_forward(weights, spikes_in, v_frac, mode)
            integer_guess = predict(i_o.sum(0))
            correct[v_frac, mode].append((integer_guess == labels).mean())
            same[v_frac, mode].append((integer_guess == guess).mean())
            extremes[v_frac] = [max(a, b) for a, b in zip(extremes[v_frac], most)]
    print(f"accuracy over {len(labels)} images, mean of {draws} draws of the input spikes")
    for kind, values in correct.items():
        name = "float model" if kind == "float" else f"integer, v_frac {kind[0]}, {kind[1]}"
        line = f"  {name:34s} {100 * np.mean(values):6.2f} %  " \
               f"(draws {100 * min(values):.2f} .. {100 * max(values):.2f})"
        if kind != "float":
            line += f"  same class as float {100 * np.mean(same[kind]):.2f} %"
        print(line)
    rate, counts = np.mean(rates, 0), np.concatenate(out_counts)
    right = counts[np.arange(len(counts)), np.tile(labels, draws)]
    print(f"hidden firing: mean {100 * rate.mean():.1f} % of timesteps, per neuron "
          f"{100 * rate.min():.1f} .. {100 * rate.max():.1f} %")
    print(f"output spikes per image: right class {right.mean():.1f}, all ten "
          f"{counts.sum(1).mean():.1f}, none at all in {100 * (counts.sum(1) == 0).mean():.2f} %")
    for v_frac, (v, i_syn) in extremes.items():
        print(f"largest magnitudes at v_frac {v_frac}: v before saturation {v}, i_syn {i_syn}")
    return np.mean(correct["float"]), min(np.mean(correct[kind]) for kind in kinds)


def write_nir(path, weights):
    """The network as a NIR graph (HDF5). NIR weights are (target, source) and multiply R."""
    text = h5py.string_dtype()
    w_in, w_rec, w_out = [(w.T / (ALPHA * R)).astype(np.float32) for w in weights]

    def lif(n):
        values = {"tau": TAU, "r": R, "v_leak": 0.0, "v_threshold": THRESHOLD, "v_reset": 0.0}
        return {"type": "LIF"} | {key: np.full(n, value) for key, value in values.items()}

    nodes = {
        "input": {"type": "Input", "shape": np.array([PIXELS], np.int64)},
        "fc_in": {"type": "Linear", "weight": w_in},
        "hidden": lif(HIDDEN),
        "fc_rec": {"type": "Linear", "weight": w_rec},
        "fc_out": {"type": "Linear", "weight": w_out},
        "digit": lif(CLASSES),
        "output": {"type": "Output", "shape": np.array([CLASSES], np.int64)},
    }
    edges = [("input", "fc_in"), ("fc_in", "hidden"), ("hidden", "fc_rec"), ("fc_rec", "hidden"),
             ("hidden", "fc_out"), ("fc_out", "digit"), ("digit", "output")]
    with h5py.File(path, "w", track_order=False) as file:
        file.create_dataset("version", data="1.0", dtype=text)
        graph = file.create_group("node")
        graph.create_dataset("type", data="NIRGraph", dtype=text)
        graph.create_dataset("edges", data=np.array(edges, dtype=object), dtype=text)
        for name, fields in nodes.items():
            group = graph.create_group(f"nodes/{name}")
            for key, value in fields.items():
                group.create_dataset(key, data=value, dtype=text if key == "type" else value.dtype)


def write_images(path, images, labels):
    with open(path, "w", newline="\n") as file:
        file.write("label," + ",".join(f"p{i}" for i in range(PIXELS)) + "\n")
        for image, label in zip(images, labels):
            file.write(f"{label}," + ",".join(str(p) for p in image) + "\n")


def good_enough(as_float, as_integer):
    return as_float >= 0.93 and as_integer >= as_float - 0.01


def read_back(folder):
    """Weights, images and labels from the two written files; checks the constants on the way."""
    with h5py.File(os.path.join(folder, "digits.nir"), "r") as file:
        nodes = file["node/nodes"]
        for name in ("hidden", "digit"):
            for key, value in (("tau", TAU), ("r", R), ("v_threshold", THRESHOLD), ("v_leak", 0.0),
                               ("v_reset", 0.0)):
                assert np.all(nodes[name][key][()] == value), f"{name}/{key}"
        weights = [nodes[name]["weight"][()].astype(np.float64).T * (ALPHA * R)
                   for name in ("fc_in", "fc_rec", "fc_out")]
    table = np.loadtxt(os.path.join(folder, "test_images.csv"), np.int64, delimiter=",", skiprows=1)
    return weights, table[:, 1:], table[:, 0]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=here, help="folder to write to (default: this one)")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validate", action="store_true",
                        help="score on 200 of the training images instead of the held-out ones and "
                             "write nothing; for choosing sizes and rates")
    parser.add_argument("--check", action="store_true",
                        help="only score the files that are there (needs no scikit-learn)")
    options = parser.parse_args()
    if options.check:
        as_float, as_integer = evaluate(*read_back(options.out))
        return 0 if good_enough(as_float, as_integer) else 1
    images, test_images, labels, test_labels = load(options.seed)
    if options.validate:
        images, test_images = images[:-200], images[-200:]
        labels, test_labels = labels[:-200], labels[-200:]
    print(f"{len(labels)} training and {len(test_labels)} other images", flush=True)
    weights = train(images, labels, options.epochs, options.seed)
    print("largest weights (limit %.3f): " % WEIGHT_MAX
          + ", ".join(f"{np.abs(w).max():.3f}" for w in weights))
    as_float, as_integer = evaluate(weights, test_images, test_labels)
    if options.validate:
        return 0
    if not good_enough(as_float, as_integer):
        print("not good enough, nothing written", file=sys.stderr)
        return 1
    write_nir(os.path.join(options.out, "digits.nir"), weights)
    write_images(os.path.join(options.out, "test_images.csv"), test_images, test_labels)
    print(f"wrote digits.nir and test_images.csv to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""What the models of the cores under examples/ share. They are written from the READMEs there, with
plain integers, and never call Spikelock.

A model has FIELDS in causal order, FAULTS (names as in the core's faults.toml), `clear()`, and
`step(given)` -> {field: list of integers}, where `given` is a list of axons in the order in which
the core takes them, or of one current for each neuron.
"""

MASK64 = (1 << 64) - 1
GOLDEN = 0x9e3779b97f4a7c15


def wrap(x, bits):
    """The low bits of x, as a signed number."""
    low = 1 << (bits - 1)
    return ((x + low) & ((1 << bits) - 1)) - low


def saturate(x, bits):
    """x held between the least and the greatest signed number."""
    low = 1 << (bits - 1)
    return max(-low, min(low - 1, x))


def toward_zero(x, divisor):
    """x / divisor without its fraction."""
    return -(-x // divisor) if x < 0 else x // divisor


def mix(z):
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9 & MASK64
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb & MASK64
    return z ^ (z >> 31)


class CurrentStimulus:
    """The manifest's stimulus of kind "current": counter-based, so that timestep t can be had
    without those before it (base/include/spikelock/base/random.hpp)."""

    def __init__(self, neurons, current, noise, seed=1, stream=0x6375):
        self.neurons, self.current, self.noise = neurons, current, noise
        self.key = mix(mix((seed + GOLDEN) & MASK64)
                       ^ ((stream * GOLDEN + 0x632be59bd9b4e019) & MASK64))

    def at(self, timestep):
        if not self.noise:
            return [self.current] * self.neurons
        row = mix((self.key + timestep * GOLDEN) & MASK64)
        span = 2 * self.noise + 1
        return [self.current - self.noise +
                ((mix(row ^ ((n * 0xd1342543de82ef95 + GOLDEN) & MASK64)) >> 32) * span >> 32)
                for n in range(self.neurons)]


class EventStimulus:
    """Lists of axons by timestep."""

    def __init__(self, events):
        self.by_step = {}
        for timestep, axon in events:
            self.by_step.setdefault(timestep, []).append(axon)

    def at(self, timestep):
        return self.by_step.get(timestep, [])


def first_difference(make, stimulus, steps, sample_steps, fault):
    """Where a model with a fault first shows another value than one without.

    @param make  makes a model, given a fault's name or None
    @param sample_steps  each sample starts cleared
    @returns {"sample", "timestep" in it, "neuron", "field", "expected", "actual"} or None
    """
    good, bad = make(None), make(fault)
    for t in range(steps):
        if t and t % sample_steps == 0:
            good.clear()
            bad.clear()
        given = stimulus.at(t)
        wanted, got = good.step(given), bad.step(given)
        if wanted == got:
            continue
        fields = good.FIELDS
        for n in range(len(wanted[fields[0]])):
            for field in fields:
                if wanted[field][n] != got[field][n]:
                    return {"sample": t // sample_steps, "timestep": t % sample_steps,
                            "neuron": n, "field": field, "expected": wanted[field][n],
                            "actual": got[field][n]}
    return None

# SPDX-License-Identifier: Apache-2.0
"""Runs a user's golden model in Python; speaks sim/user/golden_protocol.hpp. Started by the tool
as `python3 -c <this text> model.py`."""

import importlib.util
import inspect
import json
import mmap
import os
import struct
import sys
import traceback

REQUESTS, ANSWERS, MEMORY = 10, 11, 12
NETWORK, MEMORY_LAYOUT, RUN, SHAPE, DONE, ERROR = 1, 2, 3, 16, 17, 18
SHARED_BYTES = 4096
FIELDS = ("i_syn", "u", "v", "refr")
PATH = sys.argv[1]


def read_all(count):
    parts = []
    while count > 0:
        part = os.read(REQUESTS, min(count, 1 << 20))
        if not part:
            os._exit(0)  # the tool has ended, or needs nothing more
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def answer(tag, text=""):
    data = text.encode()
    data = struct.pack("=IIQ", tag, 0, len(data)) + data
    while data:
        data = data[os.write(ANSWERS, data):]


def fail(message, where=""):
    sys.stdout.flush()
    answer(ERROR, f"{where}\n{message}")
    os._exit(1)


def guarded(when, call, *arguments):
    """Calls the model; what it raises is told with the deepest line of the user's own files."""
    try:
        return call(*arguments)
    except SystemExit as error:
        fail(f"{when} called sys.exit({error.code!r})", PATH)
    except BaseException as error:  # pylint: disable=broad-except
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename}:{error.lineno}"
        else:
            folder = os.path.dirname(os.path.abspath(PATH)) + os.sep
            own = [f for f in traceback.extract_tb(error.__traceback__)
                   if os.path.abspath(f.filename).startswith(folder)]
            where = f"{own[-1].filename}:{own[-1].lineno}" if own else PATH
        text = " ".join(str(error).split())
        fail(f"{when} raised {type(error).__name__}{': ' + text if text else ''}", where)


try:
    import numpy as np
except ImportError:
    fail("a golden in Python needs NumPy: apt-get install python3-numpy, or name another "
         "interpreter ([golden] interpreter)", sys.executable)


class Runner:
    def __init__(self):
        self.module = self.memory = None
        self.network = {}

    def load(self, payload):
        at = 0
        while at < len(payload):
            name, count = struct.unpack_from("=24sQ", payload, at)
            name = name.rstrip(b"\0").decode()
            at += 32
            size = count if name == "json" else 4 * count
            data = payload[at:at + size]
            if name == "json":
                # What the text has beside the arrays: name, dt, ports, populations.
                self.network = {**json.loads(data), **self.network}
            else:
                values = np.frombuffer(data, np.int32)
                scalar = count == 1 and name in SCALARS
                self.network[name] = int(values[0]) if scalar else values
            at += (size + 7) // 8 * 8
        self.n, self.axons = self.network["n_neurons"], self.network["n_axons"]
        folder = os.path.dirname(os.path.abspath(PATH))
        sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location("golden_model", PATH)
        self.module = importlib.util.module_from_spec(spec)
        sys.modules["golden_model"] = self.module
        guarded("loading the model", spec.loader.exec_module, self.module)
        for name in ("reset", "step"):
            if not callable(getattr(self.module, name, None)):
                fail(f"the model has no function {name}(), expected "
                     f"{'reset()' if name == 'reset' else 'step(inputs)'}", PATH)
        if hasattr(self.module, "setup"):
            guarded("setup()", self.module.setup, dict(self.network))
        parameters = guarded("step()", inspect.signature, self.module.step).parameters
        self.takes_current = len(parameters) >= 2
        # Which fields it shows is seen in a timestep without input, that a reset undoes.
        guarded("reset()", self.module.reset)
        shown = self.call("step() without input", np.zeros(self.axons, np.int32),
                          np.zeros(self.n, np.int32))
        if not isinstance(shown, dict) or "spike" not in shown:
            fail(f"step() gave {type(shown).__name__}"
                 f"{' without the key spike' if isinstance(shown, dict) else ''}, expected a dict "
                 "{'spike': array, 'v': array, ...}", PATH)
        for name in shown:
            if name != "spike" and name not in FIELDS:
                fail(f"step() gave a field {name!r}, expected some of spike, "
                     f"{', '.join(FIELDS)}", PATH)
        self.names = [name for name in FIELDS if name in shown]
        files = sorted({os.path.abspath(m.__file__) for m in list(sys.modules.values())
                        if getattr(m, "__file__", None)
                        and os.path.abspath(m.__file__).startswith(folder + os.sep)})
        answer(SHAPE, "".join(f"field {name} 0 0\n" for name in self.names) +
               "".join(f"file {file}\n" for file in files))

    def call(self, when, inputs, current):
        arguments = (inputs, current) if self.takes_current else (inputs,)
        return guarded(when, self.module.step, *arguments)

    def map(self, payload):
        total, self.slot_bytes, self.capacity, n_fields = struct.unpack_from("=QQII", payload)
        self.memory = np.frombuffer(mmap.mmap(MEMORY, total), np.uint8)
        self.done = self.memory[:8].view(np.uint64)
        self.words = (self.n + 63) // 64
        self.fields = []
        for k in range(n_fields):
            size, signed, bits = struct.unpack_from("=III", payload, 24 + 12 * k)
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            self.fields.append((self.names[k], np.dtype(f"{'i' if signed else 'u'}{size}"), low,
                                high))
        self.slots = [self.views(SHARED_BYTES + k * self.slot_bytes) for k in range(2)]
        guarded("reset()", self.module.reset)

    def views(self, at):
        """Spikes as bytes of 8 neurons, and the fields, of a slot: (timesteps, ...)."""
        def part(dtype, width):
            nonlocal at
            size = self.capacity * width * np.dtype(dtype).itemsize
            view = self.memory[at:at + size].view(dtype).reshape(self.capacity, width)
            at += (size + 63) // 64 * 64
            return view
        return part(np.uint8, 8 * self.words), [part(f[1], self.n) for f in self.fields]

    def array(self, shown, name, when, low, high):
        if name not in shown:
            fail(f"{when} gave no {name!r}, which it gave before", PATH)
        values = np.asarray(shown[name])
        if values.shape != (self.n,):
            fail(f"{when} gave {name!r} with shape {values.shape}, expected ({self.n},)", PATH)
        if values.dtype.kind not in "biu":
            fail(f"{when} gave {name!r} as {values.dtype}, expected integers", PATH)
        outside = None
        if self.n and (int(values.min()) < low or int(values.max()) > high):
            outside = int(np.flatnonzero((values < low) | (values > high))[0])
            fail(f"{when} gave {int(values[outside])} for {name!r} of neuron {outside}, expected "
                 f"{low}..{high}", PATH)
        return values

    def run(self, payload):
        first, steps, slot, has_current, _ = struct.unpack_from("=QIIII", payload)
        at = 24
        events = np.frombuffer(payload, np.uint32, steps + 1, at)
        at += 4 * (steps + 1)
        begins = payload[at:at + steps]
        at += (steps + 3) // 4 * 4
        axons = np.frombuffer(payload, np.uint32, int(events[-1]), at)
        at += 4 * len(axons)
        current = np.zeros((steps, self.n), np.int32)
        if has_current:
            current = np.frombuffer(payload, np.int32, steps * self.n, at).reshape(steps, self.n)
            if not self.takes_current:
                fail("the stimulus applies currents, expected step(inputs, i_in)", PATH)
        spikes, fields = self.slots[slot]
        for s in range(steps):
            when = f"step() in timestep {first + s}"
            if begins[s]:
                guarded(f"reset() before timestep {first + s}", self.module.reset)
            counts = np.bincount(axons[events[s]:events[s + 1]],
                                 minlength=self.axons).astype(np.int32)
            shown = self.call(when, counts, current[s])
            if not isinstance(shown, dict):
                fail(f"{when} gave {type(shown).__name__}, expected a dict", PATH)
            bits = np.packbits(self.array(shown, "spike", when, 0, 1).astype(bool),
                               bitorder="little")
            spikes[s] = 0
            spikes[s, :len(bits)] = bits
            for view, (name, _, low, high) in zip(fields, self.fields):
                view[s] = self.array(shown, name, when, low, high)
            self.done[0] += np.uint64(1)
        answer(DONE)


SCALARS = ("n_neurons", "n_axons", "n_synapses", "v_bits", "u_bits", "acc_bits", "weight_bits",
           "leak_frac", "refr_bits", "delay_slots", "v_frac", "leak_mode", "rounding",
           "v_overflow", "acc_overflow", "compare", "reset_mode", "weight_shift", "u_shift")


def main():
    runner = Runner()
    while True:
        tag, _, size = struct.unpack("=IIQ", read_all(16))
        payload = read_all(size)
        {NETWORK: runner.load, MEMORY_LAYOUT: runner.map, RUN: runner.run}[tag](payload)
        sys.stdout.flush()


main()

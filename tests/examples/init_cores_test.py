#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `spikelock init` makes of small cores with traits that the examples lack: test benches among
the sources, several clocks, folders, queues, state in a memory, packets.
"""

import pathlib
import re
import sys
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cosim"))

import tool  # noqa: E402

# One neuron: what every other text here is made of.
NEURON = """
module lif_cell (input clk, input rst, input [7:0] cell_in, output reg fired);
  reg [7:0] v;
  wire [7:0] sum = v + cell_in;
  always @(posedge clk)
    if (rst) begin v <= 0; fired <= 0; end
    else begin v <= sum > 8'd100 ? 8'd0 : sum; fired <= sum > 8'd100; end
endmodule
"""

BENCH = """
module bench;
  reg clk = 0, rst = 1;
  wire fired;
  always #5 clk = ~clk;
  initial begin #20 rst = 0; #100 $finish; end
  lif_cell dut (.clk(clk), .rst(rst), .cell_in(8'd9), .fired(fired));
endmodule
"""


def init(folder, texts, *options):
    """Runs init on sources; gives the run and the manifest's text, if there is one."""
    files = []
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        files.append(file)
    return init_of(folder, files, *options)


def init_of(folder, sources, *options):
    manifest = folder / "cosim.toml"
    done = tool.run("init", *sources, "-o", manifest, "--force", *options)
    return done, manifest.read_text() if done.status == 0 else ""


def test_bench(checks, folder):
    """A top without ports is no core."""
    done, text = init(folder, {"cell.v": NEURON, "bench.v": BENCH})
    checks.equal(done.status, 0, f"the only module below a test bench: {done.err}")
    if text:
        core = tomllib.loads(text)["core"]
        checks.equal(core["top"], "lif_cell", "what the test bench instantiates is the top")
        checks.equal(core["sources"], ["cell.v"], "the test bench is left out of the sources")
    checks.matches(done.out, "bench has no ports: a test bench; taken as top: lif_cell",
                   "init says so")
    done, text = init(folder, {"one.v": NEURON + BENCH})
    checks.equal(text and tomllib.loads(text)["core"]["sources"], ["one.v"],
                 "a test bench in the core's own file")
    done, _ = init(folder, {"cell.v": NEURON, "bench.v": BENCH}, "--top", "bench")
    checks.equal(done.status, 2, "a test bench by its name")
    checks.matches(done.err, "a top without ports is a test bench and no core: --top lif_cell",
                   "a test bench by its name")
    other = NEURON.replace("lif_cell", "other_cell")
    both = BENCH.replace("endmodule", "other_cell more (clk, rst, 8'd3, );\nendmodule")
    done, _ = init(folder, {"cell.v": NEURON, "other.v": other, "bench.v": both})
    checks.equal(done.status, 2, "two modules below a test bench")
    checks.matches(done.err, "--top lif_cell or --top other_cell", "both are named")
    done, _ = init(folder, {"bench.v": "module bench; reg clk_spike = 0; endmodule\n"})
    checks.equal(done.status, 2, "a test bench of nothing")


OPERANDS = """
module lif_body (input clk, input [7:0] threshold, input [7:0] potential_in, output reg spike_out);
  always @(posedge clk) spike_out <= potential_in + 8'd3 > threshold;
endmodule
"""


def test_operand(checks, folder):
    """The threshold that comes into a neuron by a port is in no memory."""
    done, text = init(folder, {"body.v": OPERANDS})
    checks.equal(done.status, 0, f"a neuron's arithmetic: {done.err}")
    if text:
        manifest = tomllib.loads(text)
        checks.equal(manifest.get("map", []), [], "an input port is no memory")
        checks.that({"load": "maps"} not in manifest.get("startup", []), "nothing is loaded")
        checks.matches(text, '# set = "threshold"', "how the input is held")


TWO_CLOCKS = """
module two_clocks (input clk, input route_clk, input rst, input hop_valid, input [3:0] hop,
                   output reg [3:0] out_a, output reg [3:0] out_b, output reg fired);
  reg [15:0] potential [0:63];
  reg [5:0] n;
  reg [3:0] queued, older;
  reg has_one, had_one;
  wire [15:0] sum = potential[n] + {12'd0, older};
  always @(posedge clk) if (rst) n <= 0; else n <= n + 1;
  always @(posedge clk) begin
    potential[n] <= sum > 16'd900 ? 16'd0 : sum;
    fired <= sum > 16'd900;
  end
  always @(posedge route_clk) if (rst) queued <= 0; else if (hop_valid) queued <= hop;
  always @(posedge route_clk) if (rst) older <= 0; else older <= queued;
  always @(posedge route_clk) if (rst) {has_one, had_one} <= 0; else has_one <= had_one;
  always @(posedge route_clk) {out_a, out_b} <= {queued, older};
endmodule
"""


def test_two_clocks(checks, folder):
    """Every input that clocks registers is a clock; the main one clocks the neurons' state."""
    done, text = init(folder, {"core.v": TWO_CLOCKS})
    checks.equal(done.status, 0, f"two clocks: {done.err}")
    if text:
        manifest = tomllib.loads(text)
        checks.equal(manifest["clock"], "clk", "the clock of the neurons' state is the main one")
        checks.equal(manifest.get("extra_clock"), [{"port": "route_clk", "ratio": "1"}],
                     "the other clock")
        checks.that(not re.search(r"Inputs without a role.*\n#.*_clk", text), "clocks have a role")
    done, text = init(folder, {"core.v": TWO_CLOCKS.replace("route_clk", "hop_edge")})
    checks.matches(text, r'# \[\[extra_clock\]\]\n# port = "hop_edge"', "by no name a comment")


def test_folder(checks, folder):
    """A folder stands for the sources in it, packages first."""
    package = "package zz_levels;\n  localparam logic [7:0] Level = 8'd100;\nendpackage\n"
    for name, text in (("rtl/cell.sv", NEURON.replace("8'd100", "zz_levels::Level")),
                       ("rtl/zz_levels.sv", package), ("rtl/notes.txt", "x"),
                       ("none/notes.txt", "x")):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    done, text = init_of(folder, [folder / "rtl"])
    checks.equal(done.status, 0, f"a folder: {done.err}")
    checks.equal(text and tomllib.loads(text)["core"]["sources"],
                 ["rtl/zz_levels.sv", "rtl/cell.sv"], "the sources of a folder")
    done, _ = init_of(folder, [folder / "none"])
    checks.equal(done.status, 2, "a folder without sources")
    checks.matches(done.err, r"a folder without Verilog or VHDL files .* e\.g\. .*none/rtl/\*\.v",
                   "a folder without sources")


# Events by request and acknowledge that wait in a queue.
QUEUED = """
module event_queue (input clk, input rst, input push, input pop, input [4:0] in, output none_left,
                    output [4:0] out);
  reg [4:0] words [0:7];
  reg [2:0] first, last;
  always @(posedge clk or posedge rst)
    if (rst) begin first <= 0; last <= 0; end
    else begin
      if (push) begin words[last] <= in; last <= last + 1; end
      if (pop) first <= first + 1;
    end
  assign none_left = first == last;
  assign out = words[first];
endmodule

module queued_core (input clk, input rst, input [4:0] ev_addr, input ev_req, output reg ev_ack,
                    output reg [3:0] out_addr, output reg out_req, input out_ack);
  wire FIFO_NAME;
  wire [4:0] now;
  reg [3:0] n;
  reg [7:0] potential [0:15];
  wire [7:0] sum = potential[n] + {3'd0, now};
  wire last_one = &n && !out_req;
  event_queue queue (clk, rst, ev_req && !ev_ack, !FIFO_NAME && last_one, ev_addr, FIFO_NAME, now);
  always @(posedge clk or posedge rst)
    if (rst) begin n <= 0; ev_ack <= 0; out_req <= 0; out_addr <= 0; end
    else begin
      ev_ack <= ev_req;
      if (out_req) out_req <= !out_ack;
      else if (!FIFO_NAME) begin
        n <= n + 1; out_addr <= n; out_req <= sum > 8'd99; potential[n] <= sum;
      end
    end
endmodule
"""


def test_idle(checks, folder):
    """Quiet outputs alone do not say that a queue is empty."""
    for name, idle in (("fifo_empty", "fifo_empty"), ("fifo_none", None), ("fifo_empty_n", None)):
        done, text = init(folder, {"core.v": QUEUED.replace("FIFO_NAME", name)})
        checks.equal(done.status, 0, f"a queue, {name}: {done.err}")
        if not text:
            continue
        step = tomllib.loads(text)["timestep"]
        checks.equal(step.get("idle"), idle, f"idle with a signal {name}")
        checks.equal(step.get("quiet"), ["ev_ack", "out_req"], f"quiet with a signal {name}")
        checks.matches(text, "queued events that fire nothing", f"what is not safe, with {name}")
        if idle is None:
            checks.matches(text, '# idle = "FILL_IN', "what is to be filled in")
    checks.matches(text, "# Names that may say so too:\n#   fifo_empty_n", "no clear name")


# A serial port with registers of its own: what the frame says, a pulse when it is complete.
SERIAL = """
module frames (input rst, input sck, input mosi, output reg [1:0] op, output reg [3:0] where,
               output reg done_pulse, output reg [3:0] got, output reg gain, output reg [3:0] most);
  reg [3:0] count;
  reg [7:0] bits;
  always @(posedge sck or posedge rst)
    if (rst) begin count <= 0; bits <= 0; end
    else begin count <= count + 1; bits <= {bits[6:0], mosi}; end
  always @(posedge sck or posedge rst)
    if (rst) begin op <= 0; where <= 0; done_pulse <= 0; got <= 0; end
    else if (count == 4'd5) begin op <= bits[5:4]; where <= bits[3:0]; done_pulse <= 0; end
    else if (count == 4'd15) begin done_pulse <= op != 0; got <= bits[3:0]; end
    else if (count == 4'd7) got <= 4'd0;
    else done_pulse <= 1'b0;
  always @(posedge sck or posedge rst)
    if (rst) gain <= 1'b1;
    else if (where == 4'd1 && count == 4'd15) gain <= bits[0];
  always @(posedge sck) if (where == 4'd2 && count == 4'd15) most <= bits[3:0];
endmodule

module serial_core (input clk, input rst, input sck, input mosi, output reg fired);
  wire [1:0] op;
  wire [3:0] where, got, most;
  wire done_pulse, gain;
  reg [7:0] v;
  frames port (rst, sck, mosi, op, where, done_pulse, got, gain, most);
  always @(posedge clk)
    if (rst) v <= 0;
    else begin
      v <= v + (gain ? {4'd0, most} : 8'd1) + (done_pulse ? {2'd0, op, where ^ got} : 8'd0);
      fired <= v > 8'd99;
    end
endmodule
"""


def test_serial(checks, folder):
    """Registers with which a serial port decodes its frames are no configuration."""
    done, text = init(folder, {"core.v": SERIAL})
    checks.equal(done.status, 0, f"a serial port: {done.err}")
    if text:
        checks.equal({m["memory"] for m in tomllib.loads(text).get("map", [])},
                     {"port.gain", "port.most"}, "registers that hold a configuration")
        checks.matches(text, r"decode its frames; .*\n#   port.op \(2 bits\), "
                       r"port.where \(4 bits\), "
                       r"port.done_pulse \(1 bit\), port.got \(4 bits\)",
                       "registers of the frames")


# State and thresholds in one word of a memory, weights in another.
MEMORIES = """
module one_memory (input clk, input we, input [7:0] at, input [31:0] data, output reg [31:0] out);
  reg [31:0] kept [0:WORDS-1];
  parameter WORDS = 16;
  always @(posedge clk) begin out <= kept[at]; if (we) kept[at] <= data; end
endmodule

module memory_core (input clk, input rst, input go, input ev_valid, input [3:0] ev_id, input load,
                    output ended, output spike_valid, output [3:0] spike_id);
  reg [3:0] n, source;
  reg write;
  wire [31:0] state, row;
  wire [3:0] weight = row >> {n[2:0], 2'b00};
  wire [11:0] sum = state[11:0] + {8'd0, weight};
  wire fires = sum >= state[23:12];
  one_memory #(.WORDS(16)) bodies (clk, write, {4'd0, n},
                                   {state[31:12], fires ? 12'd0 : sum}, state);
  one_memory #(.WORDS(32)) rows (clk, load, {3'd0, source, n[3]}, {28'd0, ev_id}, row);
  assign spike_valid = fires && write;
  assign spike_id = n;
  assign ended = &n && write;
  always @(posedge clk)
    if (rst) begin n <= 0; write <= 0; source <= 0; end
    else begin write <= !write; if (write) n <= n + 1; if (ev_valid) source <= ev_id; end
endmodule
"""


def test_memories(checks, folder):
    """State and synapses in memories that only their sizes tell."""
    done, text = init(folder, {"core.v": MEMORIES})
    checks.equal(done.status, 0, f"memories: {done.err}")
    checks.matches(text, r'# field = "v"\n# value = "bodies.kept\[i\]\[FILL_IN_high:',
                   "where the potentials may be")
    checks.matches(text, r'# array = "neuron"\n# memory = "bodies.kept"\n# word = "n"',
                   "parameters")
    checks.matches(text, r'# array = "dense"\n# memory = "rows.kept"\n'
                   r'# word = "2\*pre \+ post/8"\n# lsb = "4\*\(post%8\)"\n# width = 4', "synapses")


LOOPS = """
module loops (input clk, input [7:0] in, output reg [7:0] spikes);
  genvar g;
  integer k, total;
  reg [7:0] v [0:7];
  generate for (g = 0; g < 8; g = g + 1) begin : each
    always @(posedge clk) spikes[g] <= v[g] > 8'd99;
  end endgenerate
  always @(posedge clk) begin
    total <= total + 1;
    for (k = 0; k < 8; k = k + 1) v[k] <= v[k] + in;
  end
endmodule
"""


def test_loops(checks, folder):
    """Variables of loops are no signals: not listed, and refused in words."""
    done, text = init(folder, {"core.v": LOOPS})
    checks.equal(done.status, 0, f"loops: {done.err}")
    manifest = folder / "cosim.toml"
    manifest.write_text('clock = "clk"\n[core]\ntop = "loops"\nsources = ["core.v"]\n[timestep]\n'
                        'kind = "clocked"\nclocks = 1\n[[observe]]\nfield = "spike"\n'
                        'value = "spikes[i]"\n[[observe]]\nfield = "v"\nvalue = "g"\n')
    done = tool.run("signals", manifest, "--json")
    names = {s["name"] for s in done.json()["signals"]}
    checks.that("total" in names and "v" in names, f"registers are listed: {names}")
    checks.that(not names & {"g", "k"}, f"variables of loops are not: {names}")
    for name in ("g", "k"):
        manifest.write_text(re.sub(r'value = "[gk]"', f'value = "{name}"', manifest.read_text()))
        done = tool.run("check", manifest)
        checks.equal(done.status, 2, f"observing {name}")
        checks.matches(done.err, f"'{name}' is the variable of a loop, which the built core does",
                       f"observing {name}")


def test_open_names(checks, folder):
    """As many names to be filled in are listed as are counted."""
    (folder / "core.v").write_text(LOOPS)
    manifest = folder / "cosim.toml"
    manifest.write_text('clock = "clk"\n[core]\ntop = "loops"\nsources = ["core.v"]\n[timestep]\n'
                        'kind = "clocked"\nclocks = 1\n'
                        '[[observe]]\nfield = "spike"\nvalue = "spikes[i]"\n' +
                        "".join(f'[[startup]]\nset = "FILL_IN_{k}"\nvalue = 1\n'
                                for k in range(9)))
    done = tool.run("check", manifest)
    checks.matches(done.err, r"9 names are still .*FILL_IN_7 \(line \d+\) and 1 more", "nine names")


PACKETS = """
module packet_core (input clk, input rst, input tick, input packet_valid, input [5:0] packet,
                    output reg ready_again, output reg spike_valid, output [11:0] spike_packet);
  parameter NUM_NEURONS = 8;
  reg [7:0] potential [0:NUM_NEURONS-1];
  reg [2:0] n;
  reg [5:0] held;
  wire [7:0] sum = potential[n] + {2'd0, held};
  assign spike_packet = {9'd5, n};
  always @(posedge clk)
    if (rst) begin n <= 0; held <= 0; spike_valid <= 0; ready_again <= 0; end
    else begin
      if (packet_valid) held <= packet;
      n <= tick ? 3'd0 : n + 3'd1;
      potential[n] <= sum;
      spike_valid <= sum > 8'd99;
      ready_again <= &n;
    end
endmodule
"""


def test_packets(checks, folder):
    """A packet beside its valid is a stream, not a bit for each neuron."""
    done, text = init(folder, {"core.v": PACKETS})
    checks.equal(done.status, 0, f"packets: {done.err}")
    if not text:
        return
    manifest = tomllib.loads(text)
    spikes = [o for o in manifest["observe"] if o["field"] == "spike"]
    checks.equal(spikes, [{"field": "spike", "valid": "spike_valid", "index": "spike_packet"}],
                 "spikes in packets")
    checks.equal(manifest.get("input"),
                 [{"valid": "packet_valid", "ready": "1", "address": "packet"}], "input in packets")
    checks.matches(text, "which of the 12 bits of spike_packet", "what the packet holds is open")


TESTS = [test_bench, test_operand, test_two_clocks, test_folder, test_idle, test_serial,
         test_memories, test_loops, test_open_names, test_packets]


def main():
    checks = tool.Checks()
    for test in TESTS:
        with tempfile.TemporaryDirectory() as folder:
            test(checks, pathlib.Path(folder))
    checks.finish()


if __name__ == "__main__":
    main()

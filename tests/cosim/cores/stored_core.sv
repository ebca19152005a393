// SPDX-License-Identifier: Apache-2.0
// Four LIF neurons that bring their network with them, in memories that are initialised and never
// written, behind ports called as functions of the model that Verilator writes.
// Latency : one clock a timestep, in which `eval` is high.
// Equation: docs/model.md with leak by shift, floor, wrap, >=, reset to 0.
module stored_core (
  input  logic       clk,
  input  logic       rst_n,
  input  logic       eval,      // enable
  input  logic [2:0] name,      // one bit an axon
  output logic [3:0] contextp,  // spikes
  output logic       threads,   // any of them
  output logic       rootp      // the same
);
  logic signed [15:0] threshold [4];
  logic        [3:0]  leak [4];
  logic signed [7:0]  weight [12];  // 4 * axon + neuron
  logic signed [15:0] v [4];

  initial begin
    for (int n = 0; n < 4; ++n) begin
      threshold[n] = 16'(40 + 11 * n);
      leak[n]      = 4'(n);  // 0: none
    end
    for (int k = 0; k < 12; ++k) weight[k] = 8'((k * 7) % 31 - 4);
  end

  for (genvar n = 0; n < 4; ++n) begin : gen_neuron
    logic signed [15:0] i_syn, v_next;
    always_comb begin
      i_syn = '0;
      for (int a = 0; a < 3; ++a) if (name[a]) i_syn += 16'(weight[4*a + n]);
    end
    assign v_next = v[n] - (leak[n] == 0 ? 16'sd0 : v[n] >>> leak[n]) + i_syn;
    always_ff @(posedge clk or negedge rst_n) begin
      if (!rst_n) begin
        v[n]        <= '0;
        contextp[n] <= 1'b0;
      end else if (eval) begin
        v[n]        <= v_next >= threshold[n] ? '0 : v_next;
        contextp[n] <= v_next >= threshold[n];
      end
    end
  end
  assign threads = |contextp;
  assign rootp   = threads;
endmodule

// SPDX-License-Identifier: Apache-2.0
// Four integrate-and-fire neurons that go wrong in a chosen way, for tests of what the harness then
// says. An event adds 16 to the neuron of its axon; from 64 on a neuron fires and starts at 0.
// Latency : done_o four clocks after tick_i; one neuron a clock.
// Choice  : +misbehave=<n> +at=<timestep>; 0 is none. The numbers are those of tests/cosim/tool.py.
module tiny_core #(
  parameter int unsigned VWidth = 16
) (
  input  logic              clk_i,
  input  logic              rst_ni,
  input  logic              ev_valid_i,
  output logic              ev_ready_o,
  input  logic [1:0]        ev_axon_i,
  input  logic              tick_i,
  output logic              busy_o,
  output logic              done_o,
  output logic              spk_valid_o,
  output logic [3:0]        spk_neuron_o,
  output logic [4*VWidth-1:0] v_o
);
  int unsigned misbehave, at, timestep_q, stall_q;
  logic [2:0]        n_q;  // neuron to update; 4: none
  logic              last;
  logic signed [VWidth-1:0] v_q [4];
  logic [VWidth-1:0] acc_q [4];
  logic signed [VWidth-1:0] v_next;
  logic              now, fires, unsettled;

  initial begin
    if (!$value$plusargs("misbehave=%d", misbehave)) misbehave = 0;
    if (!$value$plusargs("at=%d", at)) at = 0;
  end

  assign now        = timestep_q == at;
  assign ev_ready_o = n_q == 3'd4 && !(misbehave == 9 && now);
  assign busy_o     = n_q != 3'd4;
  assign last       = n_q == 3'd3;
  assign v_next     = v_q[n_q[1:0]] + acc_q[n_q[1:0]];
  // The last two terms, always true, keep what only misbehaves from being optimised away.
  assign fires      = v_next >= 64 && !unsettled && stall_q != 7;

  for (genvar i = 0; i < 4; ++i) begin : gen_v
    assign v_o[VWidth*i +: VWidth] = v_q[i];
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      n_q          <= 3'd4;
      done_o       <= 1'b0;
      spk_valid_o  <= 1'b0;
      spk_neuron_o <= '0;
      timestep_q   <= 0;
      for (int i = 0; i < 4; ++i) begin
        v_q[i]   <= '0;
        acc_q[i] <= '0;
      end
    end else begin
      done_o      <= 1'b0;
      spk_valid_o <= 1'b0;
      if (ev_valid_i && ev_ready_o) acc_q[ev_axon_i] <= acc_q[ev_axon_i] + VWidth'(16);
      if (tick_i) n_q <= 3'd0;
      if (busy_o) begin
        spk_valid_o       <= fires;
        spk_neuron_o      <= {2'b00, n_q[1:0]};
        v_q[n_q[1:0]]     <= fires ? '0 : v_next;
        acc_q[n_q[1:0]]   <= '0;
        n_q               <= n_q + 3'd1;
        if (last) begin
          done_o     <= !(misbehave == 1 && now);
          timestep_q <= timestep_q + 1;
        end
        if (now && last) begin
          if (misbehave == 4) $fatal(1, "the tiny core gave up");
          if (misbehave == 5) $finish;
        end
        // Neuron 0 fires, and once more in the place of neuron 1.
        if (now && misbehave == 6 && n_q[2:1] == 2'd0) begin
          spk_valid_o  <= 1'b1;
          spk_neuron_o <= 4'd0;
        end
        if (now && misbehave == 7 && last) begin
          spk_valid_o  <= 1'b1;
          spk_neuron_o <= 4'd9;
        end
        if (now && last && misbehave == 8) v_q[2] <= v_next + VWidth'(1);
      end
    end
  end

  // Never ends. The random number keeps a C++ compiler from leaving out a loop without effects.
  always_ff @(posedge clk_i) begin
    stall_q <= 0;
    if (rst_ni && misbehave == 2 && now && busy_o) begin
      while (($random | 1) != 0) stall_q <= $random;
    end
  end

  // A combinational loop that does not settle.
  assign unsettled = (misbehave == 10 && now && busy_o) ? !unsettled : 1'b0;

  TickOnlyWhenIdle: assert property (@(posedge clk_i) disable iff (!rst_ni)
    !(misbehave == 3 && now && last))
    else $error("TickOnlyWhenIdle failed on purpose");
endmodule

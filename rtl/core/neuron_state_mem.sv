// SPDX-License-Identifier: Apache-2.0
// State of the neurons that lasts from timestep to timestep: v, u and refr.
// Latency : read data one clk_i edge after re_i, then held until the next read.
// Number  : docs/model.md section 2.
module neuron_state_mem #(
  parameter int unsigned Neurons   = 1024,
  parameter int unsigned IdxWidth  = 10,
  parameter int unsigned VWidth    = 16,
  parameter int unsigned UWidth    = 16,
  parameter int unsigned RefrWidth = 8
) (
  input  logic                        clk_i,
`ifdef FAULTS
  input  logic                        keep_refr_i,  // a write leaves refr as it is
`endif
  input  logic                        we_i,
  input  logic [IdxWidth-1:0]         waddr_i,
  input  logic signed [VWidth-1:0]    v_i,
  input  logic signed [UWidth-1:0]    u_i,
  input  logic        [RefrWidth-1:0] refr_i,
  input  logic                        re_i,
  input  logic [IdxWidth-1:0]         raddr_i,
  output logic signed [VWidth-1:0]    v_o,
  output logic signed [UWidth-1:0]    u_o,
  output logic        [RefrWidth-1:0] refr_o
);
  logic [VWidth-1:0]    v_q    [Neurons];
  logic [UWidth-1:0]    u_q    [Neurons];
  logic [RefrWidth-1:0] refr_q [Neurons];

  always_ff @(posedge clk_i) begin
    if (we_i) begin
      v_q[waddr_i]    <= v_i;
      u_q[waddr_i]    <= u_i;
`ifdef FAULTS
      if (!keep_refr_i)
`endif
      refr_q[waddr_i] <= refr_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (re_i) begin
      v_o    <= v_q[raddr_i];
      u_o    <= u_q[raddr_i];
      refr_o <= refr_q[raddr_i];
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// The synapses, row by row.
// Latency : read data one clk_i edge after re_i, then held until the next read.
// Number  : word {target, delay, weight}, weight signed with WWidth bits.
module synapse_mem #(
  parameter int unsigned Synapses    = 65536,
  parameter int unsigned SynIdxWidth = 16,
  parameter int unsigned IdxWidth    = 10,
  parameter int unsigned DelayWidth  = 2,
  parameter int unsigned WWidth      = 8
) (
  input  logic                     clk_i,
  input  logic                     we_i,
  input  logic [SynIdxWidth-1:0]   waddr_i,
  input  logic [31:0]              wdata_i,
  input  logic                     re_i,
  input  logic [SynIdxWidth-1:0]   raddr_i,
  output logic [IdxWidth-1:0]      target_o,
  output logic [DelayWidth-1:0]    delay_o,
  output logic signed [WWidth-1:0] weight_o
);
  logic [IdxWidth+DelayWidth+WWidth-1:0] synapse_q [Synapses];

  always_ff @(posedge clk_i) begin
    if (we_i) begin
      synapse_q[waddr_i] <= {wdata_i[20 +: IdxWidth], wdata_i[16 +: DelayWidth],
                             wdata_i[WWidth-1:0]};
    end
  end

  always_ff @(posedge clk_i) begin
    if (re_i) {target_o, delay_o, weight_o} <= synapse_q[raddr_i];
  end
endmodule

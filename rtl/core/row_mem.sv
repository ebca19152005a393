// SPDX-License-Identifier: Apache-2.0
// Where the synapses of each source are: first synapse, length, and for dense rows the target of
// the first one and the delay of all.
// Latency : read data one clk_i edge after re_i, then held until the next read.
// Sources : axons 0..Axons-1, then neurons (docs/model.md section 2).
module row_mem #(
  parameter int unsigned Sources     = 1280,
  parameter int unsigned SourceWidth = 11,
  parameter int unsigned SynIdxWidth = 16,
  parameter int unsigned IdxWidth    = 10,
  parameter int unsigned DelayWidth  = 2
) (
  input  logic                   clk_i,
  input  logic [2:0]             we_i,  // one bit per word of the address map
  input  logic [SourceWidth-1:0] waddr_i,
  input  logic [31:0]            wdata_i,
  input  logic                   re_i,
  input  logic [SourceWidth-1:0] raddr_i,
  output logic [SynIdxWidth-1:0] first_o,
  output logic [SynIdxWidth:0]   length_o,
  output logic                   dense_o,
  output logic [DelayWidth-1:0]  delay_o,
  output logic [IdxWidth-1:0]    base_o
);
  logic [SynIdxWidth-1:0]           row_first_q  [Sources];
  logic [SynIdxWidth:0]             row_length_q [Sources];
  logic [1+DelayWidth+IdxWidth-1:0] row_dense_q  [Sources];  // {dense, delay, base target}

  always_ff @(posedge clk_i) begin
    if (we_i[0]) row_first_q[waddr_i]  <= wdata_i[SynIdxWidth-1:0];
    if (we_i[1]) row_length_q[waddr_i] <= wdata_i[SynIdxWidth:0];
    if (we_i[2]) begin
      row_dense_q[waddr_i] <= {wdata_i[31], wdata_i[16 +: DelayWidth], wdata_i[IdxWidth-1:0]};
    end
  end

  always_ff @(posedge clk_i) begin
    if (re_i) begin
      first_o                    <= row_first_q[raddr_i];
      length_o                   <= row_length_q[raddr_i];
      {dense_o, delay_o, base_o} <= row_dense_q[raddr_i];
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// Input accumulators acc[slot][neuron], read and written in the same clock.
// Latency : read data one clk_i edge after re_i, then held until the next read. A write to the
//           address that is being read is seen by that read.
// Number  : docs/model.md section 2; word address {slot, neuron}.
module acc_mem #(
  parameter int unsigned AddrWidth = 12,
  parameter int unsigned AccWidth  = 20
) (
  input  logic                       clk_i,
  input  logic                       we_i,
  input  logic [AddrWidth-1:0]       waddr_i,
  input  logic signed [AccWidth-1:0] wdata_i,
  input  logic                       re_i,
  input  logic [AddrWidth-1:0]       raddr_i,
  output logic signed [AccWidth-1:0] rdata_o
);
  logic [AccWidth-1:0] acc_q [2**AddrWidth];
  logic [AccWidth-1:0] rdata_q, bypass_q;
  logic                bypassed_q;

  always_ff @(posedge clk_i) begin
    if (we_i) acc_q[waddr_i] <= wdata_i;
  end

  // The bypass is outside the array, so that the array remains an ordinary block memory.
  always_ff @(posedge clk_i) begin
    if (re_i) begin
      rdata_q    <= acc_q[raddr_i];
      bypass_q   <= wdata_i;
      bypassed_q <= we_i && (waddr_i == raddr_i);
    end
  end

  assign rdata_o = bypassed_q ? bypass_q : rdata_q;
endmodule

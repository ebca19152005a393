// SPDX-License-Identifier: Apache-2.0
// A neuron as many write it: unsigned, free running, never at rest (a bias moves it from its reset
// value on), with its threshold on a port and a table that nothing needs.
module unsigned_core #(
    parameter TABLE = "none"
) (
    input  wire       clk,
    input  wire       rst_n,
    input  wire [7:0] thresh,
    input  wire signed [3:0] offset,
    input  wire [7:0] current,
    output reg  [7:0] v,
    output reg        spike
);
  reg [7:0] scratch[0:3];
  initial if (TABLE != "none") $readmemh(TABLE, scratch);
  wire [9:0] sum = {2'b0, v} + {2'b0, current} + 10'd3;
  wire [9:0] moved = sum + {{6{offset[3]}}, offset};
  wire [7:0] clipped = moved > 10'd255 ? 8'd255 : moved[7:0];
  always @(posedge clk or negedge rst_n)
    if (!rst_n) begin
      v <= 8'd7;
      spike <= 1'b0;
    end else if (clipped >= thresh) begin
      v <= 8'd0;
      spike <= 1'b1;
    end else begin
      v <= clipped;
      spike <= 1'b0;
    end
endmodule

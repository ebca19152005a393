// SPDX-License-Identifier: Apache-2.0
// Four integrate-and-fire neurons, one update a clock, with what makes it hard to skip logic of the
// inputs, or to load memories by the back door: a clock that is gated in combinational logic, and
// bounds that follow from a memory alone, which nothing in the core writes.
module settled_core #(
  parameter bit GATED = 1'b0
) (
  input  logic        clk,
  input  logic        rst,
  input  logic        enable,
  input  logic [63:0] current,
  output logic [3:0]  spikes
);
  logic        [15:0] threshold[4];
  logic        [17:0] total;
  logic signed [15:0] v[4];
  logic               gated;

  assign total = 18'(threshold[0]) + 18'(threshold[1]) + 18'(threshold[2]) + 18'(threshold[3]);
  assign gated = GATED ? clk & enable : clk;

  for (genvar k = 0; k < 4; k++) begin : cells
    logic signed [15:0] bound;
    logic signed [15:0] sum;
    assign bound = 16'(total - 18'(threshold[(k + 1) % 4]) - 18'(threshold[(k + 2) % 4])
                       - 18'(threshold[(k + 3) % 4]));
    assign sum   = v[k] + $signed(current[16*k +: 16]);
    always_ff @(posedge gated) begin
      if (rst) begin
        v[k]      <= '0;
        spikes[k] <= 1'b0;
      end else begin
        v[k]      <= sum >= bound ? '0 : sum;
        spikes[k] <= sum >= bound;
      end
    end
  end
endmodule

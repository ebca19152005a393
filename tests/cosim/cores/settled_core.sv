// SPDX-License-Identifier: Apache-2.0
// Four integrate-and-fire neurons, one update a clock, with bounds that follow from a memory alone,
// which nothing in the core writes; and by KIND, with what makes it hard to leave out evals:
//   0  nothing
//   1  a clock that is gated in combinational logic
//   2  inputs that are taken at the falling edge
//   3  a register that an input sets at once, before the clock's edge asks for it
//   4  inputs that pass a latch while the clock is low
module settled_core #(
  parameter int KIND = 0
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
  assign gated = KIND == 1 ? clk & enable : clk;

  logic [63:0] fallen;
  logic [63:0] latched;
  logic [63:0] taken;
  logic        seen;
  wire         negative = current[63];
  always_ff @(negedge clk) if (KIND == 2) fallen <= current;
  if (KIND == 4) begin : while_low
    always_latch if (!clk) latched = current;
  end else begin : always_open
    assign latched = current;
  end
  if (KIND == 3) begin : at_once
    always_ff @(posedge clk or posedge negative) seen <= negative;
  end else begin : never
    assign seen = 1'b1;
  end
  always_comb begin
    taken = KIND == 2 ? fallen : latched;
    if (negative && !seen) taken[63:48] = '0;  // never: it has been set
  end

  for (genvar k = 0; k < 4; k++) begin : cells
    logic signed [15:0] bound;
    logic signed [15:0] sum;
    assign bound = 16'(total - 18'(threshold[(k + 1) % 4]) - 18'(threshold[(k + 2) % 4])
                       - 18'(threshold[(k + 3) % 4]));
    assign sum   = v[k] + $signed(taken[16*k +: 16]);
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

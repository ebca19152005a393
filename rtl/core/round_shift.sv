// SPDX-License-Identifier: Apache-2.0
// Divides a signed integer by a power of two, rounded to an integer in one of four ways.
// Latency : combinational.
// Number  : two's complement, Width bits; no mode leaves that range.
// Equation: rnd(x, s, mode) of docs/model.md section 1. The quotient is the floor plus a carry from
//           the bits shifted out: half is the first of them, sticky the or of the others.
module round_shift #(
  parameter int unsigned Width      = 16,
  parameter int unsigned ShiftWidth = 5
) (
  input  logic [1:0]              mode_i,   // 0 floor, 1 toward zero, 2 away from zero, 3 even
  input  logic [ShiftWidth-1:0]   shift_i,  // at most Width
  input  logic signed [Width-1:0] x_i,
  output logic signed [Width-1:0] y_o
);
  localparam logic [1:0] ROUND_FLOOR        = 2'd0;
  localparam logic [1:0] ROUND_TOWARD_ZERO  = 2'd1;
  localparam logic [1:0] ROUND_AWAY_ZERO    = 2'd2;

  logic signed [Width-1:0] quotient;
  logic        [Width-1:0] lost_mask, lost;
  logic                    half, sticky, carry;

  assign quotient  = x_i >>> shift_i;
  assign lost_mask = ~({Width{1'b1}} << shift_i);
  assign lost      = x_i & lost_mask;
  assign half      = |(lost & ~(lost_mask >> 1));
  assign sticky    = |(lost & (lost_mask >> 1));

  always_comb begin
    case (mode_i)
      ROUND_FLOOR:       carry = 1'b0;
      ROUND_TOWARD_ZERO: carry = x_i[Width-1] && (half || sticky);
      ROUND_AWAY_ZERO:   carry = !x_i[Width-1] && (half || sticky);
      default:           carry = half && (sticky || quotient[0]);
    endcase
  end

  assign y_o = quotient + Width'({1'b0, carry});
endmodule

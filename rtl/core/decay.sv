// SPDX-License-Identifier: Apache-2.0
// Leak of a state variable, by a shift or by a multiplier.
// Latency : combinational.
// Number  : x_i is Width bits, y_o one more (a multiplier may be nearly 2).
// Equation: decay(x, k) of docs/model.md section 3. One rounder serves both modes.
module decay #(
  parameter int unsigned Width    = 16,
  parameter int unsigned LeakFrac = 12
) (
  input  logic                    multiply_i,  // 0 shift, 1 multiply
  input  logic [1:0]              rounding_i,
  input  logic [LeakFrac:0]       leak_i,      // shift k, or multiplier in units of 2^-LeakFrac
  input  logic signed [Width-1:0] x_i,
  output logic signed [Width:0]   y_o
);
  localparam int unsigned ProductWidth = Width + LeakFrac + 2;
  localparam int unsigned MaxShift     = (Width > LeakFrac) ? Width : LeakFrac;
  localparam int unsigned ShiftWidth   = $clog2(MaxShift + 1);

  logic signed [ProductWidth-1:0] operand, rounded;
  logic        [ShiftWidth-1:0]   shift;
  logic signed [Width:0]          x_wide;

  assign x_wide = {x_i[Width-1], x_i};

  // A shift by Width already leaves only the sign, whatever the rounding: more is the same.
  always_comb begin
    if (multiply_i) begin
      operand = ProductWidth'(x_i) * ProductWidth'($signed({1'b0, leak_i}));
      shift   = ShiftWidth'(LeakFrac);
    end else begin
      operand = ProductWidth'(x_i);
      shift   = (32'(leak_i) > Width) ? ShiftWidth'(Width) : ShiftWidth'(leak_i);
    end
  end

  round_shift #(
    .Width      (ProductWidth),
    .ShiftWidth (ShiftWidth)
  ) u_round (
    .mode_i  (rounding_i),
    .shift_i (shift),
    .x_i     (operand),
    .y_o     (rounded)
  );

  assign y_o = multiply_i      ? rounded[Width:0] :
               (leak_i == '0)  ? x_wide           : x_wide - rounded[Width:0];
endmodule

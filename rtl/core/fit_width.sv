// SPDX-License-Identifier: Apache-2.0
// Brings a signed integer into a narrower width by wrapping or by saturation.
// Latency : combinational.
// Number  : two's complement, InWidth in, OutWidth out.
// Equation: fit(x, W, mode) of docs/model.md section 1.
module fit_width #(
  parameter int unsigned InWidth  = 20,
  parameter int unsigned OutWidth = 16   // below InWidth
) (
  input  logic                       saturate_i,  // 0 wrap, 1 saturate
  input  logic signed [InWidth-1:0]  x_i,
  output logic signed [OutWidth-1:0] y_o
);
  logic negative, overflow;

  // The value fits if all bits above the new magnitude repeat the sign.
  assign negative = x_i[InWidth-1];
  assign overflow = x_i[InWidth-2:OutWidth-1] != {(InWidth - OutWidth){negative}};
  assign y_o = (saturate_i && overflow) ? {negative, {(OutWidth - 1){!negative}}}
                                        : x_i[OutWidth-1:0];
endmodule

// SPDX-License-Identifier: Apache-2.0
// Saturates a signed number to fewer bits.
module clip #(
  parameter IN_WIDTH  = 4,
  parameter OUT_WIDTH = 2
) (
  input  wire [IN_WIDTH-1:0]  x,
  output wire [OUT_WIDTH-1:0] y
);
  wire [IN_WIDTH-OUT_WIDTH:0] high = x[IN_WIDTH-1:OUT_WIDTH-1];
  wire fits = &high || !(|high);

  assign y = fits ? x[OUT_WIDTH-1:0] : {x[IN_WIDTH-1], {(OUT_WIDTH - 1){!x[IN_WIDTH-1]}}};
endmodule

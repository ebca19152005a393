// SPDX-License-Identifier: Apache-2.0
// The array again, with its top in Verilog: lif_cell is VHDL, which instantiates Verilog.
module verilog_top #(
  parameter NEURONS = 2
) (
  input  wire                  clk,
  input  wire                  rst_n,
  input  wire [16*NEURONS-1:0] current,
  output wire [NEURONS-1:0]    spikes
);
  genvar i;
  generate
    for (i = 0; i < NEURONS; i = i + 1) begin : gen_neuron
      lif_cell u_cell (
        .clk(clk),
        .rst_n(rst_n),
        .current(current[16*i +: 16]),
        .spike(spikes[i])
      );
    end
  endgenerate
endmodule

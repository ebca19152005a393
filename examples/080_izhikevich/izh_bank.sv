// SPDX-License-Identifier: Apache-2.0
// Izhikevich neurons, a quarter each of four types: regular spiking, chattering, fast spiking, low
// threshold.
// A timestep is four clocks; the first clock after reset is the first of a timestep. Spikes stay
// for the four clocks that follow it.
module izh_bank #(
  parameter int unsigned NEURONS = 32
) (
  input  logic                   clk,
  input  logic                   rst,
  input  logic [18*NEURONS-1:0]  drive,
  output logic [NEURONS-1:0]     spike
);
  localparam logic signed [17:0] TYPE_A [4] = '{18'sd1311, 18'sd1311, 18'sd6554, 18'sd1311};
  localparam logic signed [17:0] TYPE_B [4] = '{18'sd13107, 18'sd13107, 18'sd13107, 18'sd16384};
  localparam logic signed [17:0] TYPE_C [4] = '{-18'sd42598, -18'sd32768, -18'sd42598,
                                                -18'sd42598};
  localparam logic signed [17:0] TYPE_D [4] = '{18'sd5243, 18'sd1311, 18'sd1311, 18'sd1311};

  logic [1:0] phase;
  always_ff @(posedge clk) phase <= rst ? 2'd0 : phase + 2'd1;

`ifdef FAULTS
  logic [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 8'd0;
  logic [NEURONS-1:0] raw;
  assign spike = (fault == 8'd8) ? {raw[0], raw[NEURONS-1:1]} : raw;
`endif

  for (genvar n = 0; n < NEURONS; n++) begin : neurons
    localparam int unsigned KIND = n * 4 / NEURONS;
    izh_cell #(.A(TYPE_A[KIND]), .B(TYPE_B[KIND]), .C(TYPE_C[KIND]), .D(TYPE_D[KIND])) cell_i (
      .clk,
      .rst,
      .phase,
`ifdef FAULTS
      .fault,
      .drive (fault == 8'd6 && n == 21 ? 18'sd0 - $signed(drive[18*n +: 18]) : drive[18*n +: 18]),
      .spike (raw[n])
`else
      .drive (drive[18*n +: 18]),
      .spike (spike[n])
`endif
    );
  end
endmodule

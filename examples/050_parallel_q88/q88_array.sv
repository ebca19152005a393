// SPDX-License-Identifier: Apache-2.0
// Parallel array of leaky neurons in Q8.8: every neuron takes its current and is updated on every
// clock. There is no enable and no handshake.
// Latency: one clock from `current` to `spikes`; v is not brought out.
module q88_array #(
  parameter int unsigned        COUNT   = 64,
  parameter logic        [8:0]  DECAY   = 9'd243,
  parameter logic signed [15:0] THRESH  = 16'sd2560,
  parameter logic        [2:0]  REFRACT = 3'd2
) (
  input  logic                clk,
  input  logic                rst,
  input  logic [16*COUNT-1:0] current,
  output logic [COUNT-1:0]    spikes
);
`ifdef FAULTS
  logic [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 8'd0;
`endif
  logic [COUNT-1:0] fire;

  for (genvar k = 0; k < COUNT; k++) begin : cells
    q88_cell #(.DECAY(DECAY), .THRESH(THRESH), .REFRACT(REFRACT)) c (
      .clk,
      .rst,
`ifdef FAULTS
      // Fault 6 is in one neuron only.
      .fault   (fault == 8'd6 && k != 50 ? 8'd0 : fault),
`endif
      .current (current[16*k +: 16]),
      .fire    (fire[k])
    );
  end

`ifdef FAULTS
  assign spikes = (fault == 8'd8) ? {fire[COUNT-1:2], fire[0], fire[1]} : fire;
`else
  assign spikes = fire;
`endif
endmodule

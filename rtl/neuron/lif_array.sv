// SPDX-License-Identifier: Apache-2.0
// Parallel array of leaky integrate-and-fire neurons: all are updated in each clock with step_i.
// Latency : one clk_i edge from step_i and i_in_i to spike_o and v_o.
// Number  : signed integers of VWidth bits; neuron n is v_o[VWidth*n +: VWidth].
// Equation: as lif_neuron. A stimulus gives i_in of docs/model.md eq. 2; there are no synapses.
`include "spikelock_assert.svh"

module lif_array #(
  parameter int unsigned Neurons   = 256,
  parameter int unsigned VWidth    = 16,
  parameter int unsigned LeakShift = 4
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      step_i,
  input  logic signed [VWidth-1:0]  th_i,     // one for all
  input  logic [Neurons*VWidth-1:0] i_in_i,
  output logic [Neurons-1:0]        spike_o,
  output logic [Neurons*VWidth-1:0] v_o
);
  for (genvar n = 0; n < Neurons; n++) begin : gen_neuron
    lif_neuron #(
      .VWidth    (VWidth),
      .LeakShift (LeakShift)
    ) u_neuron (
      .clk_i   (clk_i),
      .rst_ni  (rst_ni),
      .step_i  (step_i),
      .i_in_i  (i_in_i[VWidth*n +: VWidth]),
      .th_i    (th_i),
      .spike_o (spike_o[n]),
      .v_o     (v_o[VWidth*n +: VWidth])
    );
  end

  `ASSERT_INIT(HasNeurons, Neurons >= 1)
endmodule

// SPDX-License-Identifier: Apache-2.0
// Leaky integrate-and-fire neuron, one update per clock with step_i high.
// Latency : v_o and spike_o change one clk_i edge after step_i; spike_o is 0 after a clock without.
// Number  : signed integers of VWidth bits; the sum saturates, the shift rounds to minus infinity.
// Equation: docs/model.md eq. 2, 4 and 6 with leak by shift, floor, saturate, >=, reset to 0, no
//           refractory period.
`include "spikelock_assert.svh"

module lif_neuron #(
  parameter  int unsigned VWidth    = 16,
  parameter  int unsigned LeakShift = 4,          // 0: no leak
  localparam int unsigned SumWidth  = VWidth + 2  // three terms of VWidth
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     step_i,
  input  logic signed [VWidth-1:0] i_in_i,
  input  logic signed [VWidth-1:0] th_i,
  output logic                     spike_o,
  output logic signed [VWidth-1:0] v_o
);
  localparam logic signed [VWidth-1:0] VMax = {1'b0, {(VWidth - 1){1'b1}}};
  localparam logic signed [VWidth-1:0] VMin = {1'b1, {(VWidth - 1){1'b0}}};

  logic signed [SumWidth-1:0] sum;
  logic signed [VWidth-1:0]   leak, v_sat, v_d, v_q;
  logic                       spike_d, spike_q;

  // A signed zero: with '0 the whole expression, and so the shift, would be unsigned.
  assign leak    = (LeakShift == 0) ? VWidth'(signed'(1'b0)) : v_q >>> LeakShift;
  assign sum     = SumWidth'(v_q) - SumWidth'(leak) + SumWidth'(i_in_i);
  assign v_sat   = (sum > SumWidth'(VMax)) ? VMax :
                   (sum < SumWidth'(VMin)) ? VMin : sum[VWidth-1:0];
  assign spike_d = step_i && (v_sat >= th_i);
  assign v_d     = !step_i ? v_q : (spike_d ? '0 : v_sat);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      v_q     <= '0;
      spike_q <= 1'b0;
    end else begin
      v_q     <= v_d;
      spike_q <= spike_d;
    end
  end

  assign v_o     = v_q;
  assign spike_o = spike_q;

  `ASSERT_INIT(ShiftBelowWidth, LeakShift < VWidth && VWidth >= 2 && VWidth <= 32)
  `ASSERT(SpikeClearsPotential, spike_o |-> v_o == '0)
  `ASSERT(IdleHoldsPotential, !step_i |=> $stable(v_o) && !spike_o)
endmodule

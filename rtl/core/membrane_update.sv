// SPDX-License-Identifier: Apache-2.0
// Second half of a neuron's update: integrate, refractory period, compare, reset.
// Latency : combinational.
// Number  : integers; no sum can overflow before its fit.
// Equation: docs/model.md eq. 4, 5 and 6.
`include "fault_pkg.svh"

module membrane_update #(
  parameter  int unsigned VWidth     = 16,
  parameter  int unsigned UWidth     = 16,
  parameter  int unsigned AccWidth   = 20,
  parameter  int unsigned RefrWidth  = 8,
  localparam int unsigned InputWidth = ((AccWidth > VWidth) ? AccWidth : VWidth) + 1
) (
`ifdef FAULTS
  input  logic [7:0]                   fault_i,
`endif
  input  logic [1:0]                   rounding_i,
  input  logic                         saturate_i,
  input  logic                         greater_i,    // 0 for >=, 1 for >
  input  logic                         subtract_i,   // 0 reset to value, 1 by subtraction
  input  logic [3:0]                   u_shift_i,
  input  logic                         cuba_i,
  input  logic                         spiking_i,
  input  logic signed [InputWidth-1:0] input_i,
  input  logic signed [UWidth-1:0]     u_i,          // after eq. 3
  input  logic signed [VWidth-1:0]     v_i,          // before the update
  input  logic signed [VWidth:0]       v_decayed_i,  // decay(v, leak)
  input  logic        [RefrWidth-1:0]  refr_i,
  input  logic signed [VWidth-1:0]     threshold_i,
  input  logic signed [VWidth-1:0]     v_reset_i,
  input  logic        [RefrWidth-1:0]  refractory_i,
  output logic signed [VWidth-1:0]     v_o,
  output logic        [RefrWidth-1:0]  refr_o,
  output logic                         spike_o
);
  localparam int unsigned DriveWidth = (InputWidth > UWidth) ? InputWidth : UWidth;
  localparam int unsigned SumWidth   = ((DriveWidth > VWidth + 1) ? DriveWidth : VWidth + 1) + 1;
  localparam int unsigned UShiftMax  = (UWidth < 15) ? UWidth : 15;

  logic signed [UWidth-1:0]     u_rounded;
  logic        [3:0]            u_shift;
  logic signed [DriveWidth-1:0] drive;
  logic signed [SumWidth-1:0]   v_sum;
  logic signed [VWidth-1:0]     v_fit, v_next, v_subtracted;
  logic                         resting, fires;

  assign u_shift = (32'(u_shift_i) > UShiftMax) ? 4'(UShiftMax) : u_shift_i;

  round_shift #(
    .Width      (UWidth),
    .ShiftWidth (4)
  ) u_round (
    .mode_i  (`FAULT(fault_i, UShiftFloor, 2'd0, rounding_i)),
    .shift_i (u_shift),
    .x_i     (u_i),
    .y_o     (u_rounded)
  );

  assign drive = cuba_i ? DriveWidth'(u_rounded) : DriveWidth'(input_i);
  assign v_sum = SumWidth'(v_decayed_i) + SumWidth'(drive);

  fit_width #(
    .InWidth  (SumWidth),
    .OutWidth (VWidth)
  ) u_fit_v (
    .saturate_i (`FAULT(fault_i, WrapForSaturate, 1'b0, saturate_i)),
    .x_i        (v_sum),
    .y_o        (v_fit)
  );

`ifdef FAULTS
  always_comb begin
    v_next = v_fit;
    if (fault_i == fault_pkg::VTruncated) begin
      v_next[VWidth-1] = v_fit[VWidth-2];
    end
    if (fault_i == fault_pkg::SaturatesPositive && saturate_i && v_sum[SumWidth-1] &&
        SumWidth'(v_fit) != v_sum) begin
      v_next = {1'b0, {(VWidth - 1){1'b1}}};
    end
  end
`else
  assign v_next = v_fit;
`endif

  fit_width #(
    .InWidth  (VWidth + 1),
    .OutWidth (VWidth)
  ) u_fit_reset (
    .saturate_i (saturate_i),
    .x_i        ((VWidth + 1)'(v_next) - (VWidth + 1)'(threshold_i)),
    .y_o        (v_subtracted)
  );

  assign resting = refr_i != '0;
`ifdef FAULTS
  logic                     greater;
  logic signed [VWidth-1:0] v_compared;
  assign greater    = `FAULT(fault_i, ThresholdCompare, !greater_i, greater_i);
  assign v_compared = `FAULT(fault_i, ThresholdPreviousV, v_i, v_next);
  assign fires      = greater ? (v_compared > threshold_i) : (v_compared >= threshold_i);
`else
  assign fires   = greater_i ? (v_next > threshold_i) : (v_next >= threshold_i);
`endif
  assign spike_o = spiking_i && fires && !resting;

  always_comb begin
    v_o    = v_next;
    refr_o = refr_i;
    if (resting) begin
      v_o    = `FAULT(fault_i, RefractoryLeaks, v_next, v_i);
      refr_o = refr_i - RefrWidth'(1);
    end else if (spike_o) begin
      v_o    = subtract_i ? v_subtracted : v_reset_i;
      refr_o = refractory_i;
`ifdef FAULTS
      if (fault_i == fault_pkg::ResetToZero) v_o = '0;
      if (fault_i == fault_pkg::RefractoryShort && refractory_i != '0) begin
        refr_o = refractory_i - RefrWidth'(1);
      end
      if (fault_i == fault_pkg::RefractoryLong && refractory_i != '0 && refractory_i != '1) begin
        refr_o = refractory_i + RefrWidth'(1);
      end
`endif
    end
  end
endmodule

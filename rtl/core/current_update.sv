// SPDX-License-Identifier: Apache-2.0
// First half of a neuron's update: the input of the timestep and the CUBA filter.
// Latency : combinational.
// Number  : integers; no sum can overflow before its fit.
// Equation: docs/model.md eq. 3 and the line above it.
module current_update #(
  parameter  int unsigned VWidth     = 16,
  parameter  int unsigned UWidth     = 16,
  parameter  int unsigned AccWidth   = 20,
  parameter  int unsigned LeakFrac   = 12,
  localparam int unsigned InputWidth = ((AccWidth > VWidth) ? AccWidth : VWidth) + 1
) (
  input  logic                         multiply_i,
  input  logic [1:0]                   rounding_i,
  input  logic                         saturate_i,
  input  logic                         cuba_i,
  input  logic [LeakFrac:0]            u_decay_i,
  input  logic signed [VWidth-1:0]     bias_i,
  input  logic signed [AccWidth-1:0]   i_syn_i,
  input  logic signed [UWidth-1:0]     u_i,
  output logic signed [InputWidth-1:0] input_o,
  output logic signed [UWidth-1:0]     u_o
);
  localparam int unsigned SumWidth = ((InputWidth > UWidth + 1) ? InputWidth : UWidth + 1) + 1;

  logic signed [UWidth:0]     u_decayed;
  logic signed [SumWidth-1:0] u_sum;
  logic signed [UWidth-1:0]   u_fit;

  assign input_o = InputWidth'(i_syn_i) + InputWidth'(bias_i);

  decay #(
    .Width    (UWidth),
    .LeakFrac (LeakFrac)
  ) u_decay (
    .multiply_i (multiply_i),
    .rounding_i (rounding_i),
    .leak_i     (u_decay_i),
    .x_i        (u_i),
    .y_o        (u_decayed)
  );

  assign u_sum = SumWidth'(u_decayed) + SumWidth'(input_o);

  fit_width #(
    .InWidth  (SumWidth),
    .OutWidth (UWidth)
  ) u_fit_u (
    .saturate_i (saturate_i),
    .x_i        (u_sum),
    .y_o        (u_fit)
  );

  assign u_o = cuba_i ? u_fit : u_i;
endmodule

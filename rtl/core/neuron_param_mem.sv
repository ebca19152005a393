// SPDX-License-Identifier: Apache-2.0
// Parameters of the neurons: one read port, one write port, one array per parameter.
// Latency : read data one clk_i edge after re_i, then held until the next read.
// Number  : docs/model.md section 2.
module neuron_param_mem #(
  parameter int unsigned Neurons   = 1024,
  parameter int unsigned IdxWidth  = 10,
  parameter int unsigned VWidth    = 16,
  parameter int unsigned LeakFrac  = 12,
  parameter int unsigned RefrWidth = 8
) (
  input  logic                        clk_i,
  input  logic [5:0]                  we_i,  // one bit per word of the address map
  input  logic [IdxWidth-1:0]         waddr_i,
  input  logic [31:0]                 wdata_i,
  input  logic                        re_i,
  input  logic [IdxWidth-1:0]         raddr_i,
  output logic signed [VWidth-1:0]    threshold_o,
  output logic signed [VWidth-1:0]    bias_o,
  output logic        [LeakFrac:0]    leak_o,
  output logic signed [VWidth-1:0]    v_reset_o,
  output logic        [LeakFrac:0]    u_decay_o,
  output logic        [RefrWidth-1:0] refractory_o,
  output logic                        spiking_o,
  output logic                        cuba_o
);
  logic [VWidth-1:0]    threshold_q  [Neurons];
  logic [VWidth-1:0]    bias_q       [Neurons];
  logic [LeakFrac:0]    leak_q       [Neurons];
  logic [VWidth-1:0]    v_reset_q    [Neurons];
  logic [LeakFrac:0]    u_decay_q    [Neurons];
  logic [RefrWidth-1:0] refractory_q [Neurons];
  logic [1:0]           kind_q       [Neurons];  // {spiking, cuba}

  always_ff @(posedge clk_i) begin
    if (we_i[0]) threshold_q[waddr_i] <= wdata_i[VWidth-1:0];
    if (we_i[1]) bias_q[waddr_i]      <= wdata_i[VWidth-1:0];
    if (we_i[2]) leak_q[waddr_i]      <= wdata_i[LeakFrac:0];
    if (we_i[3]) v_reset_q[waddr_i]   <= wdata_i[VWidth-1:0];
    if (we_i[4]) u_decay_q[waddr_i]   <= wdata_i[LeakFrac:0];
    if (we_i[5]) begin
      refractory_q[waddr_i] <= wdata_i[8 +: RefrWidth];
      kind_q[waddr_i]       <= wdata_i[1:0];
    end
  end

  always_ff @(posedge clk_i) begin
    if (re_i) begin
      threshold_o         <= threshold_q[raddr_i];
      bias_o              <= bias_q[raddr_i];
      leak_o              <= leak_q[raddr_i];
      v_reset_o           <= v_reset_q[raddr_i];
      u_decay_o           <= u_decay_q[raddr_i];
      refractory_o        <= refractory_q[raddr_i];
      {spiking_o, cuba_o} <= kind_q[raddr_i];
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// Checks the whole boundary of snn_core; add this file and snn_core_bind.sv to the sources of any
// simulation. It holds state of its own and drives nothing.
// Checks : handshakes of both streams, commands only when idle, each neuron probed exactly once a
//          timestep and in order, output spikes equal to probed spikes, one done a command.
`include "spikelock_assert.svh"

module snn_core_checker #(
  parameter  int unsigned Neurons     = 1024,
  parameter  int unsigned Axons       = 256,
  localparam int unsigned NeuronWidth = (Neurons > 1) ? $clog2(Neurons) : 1,
  localparam int unsigned AxonWidth   = (Axons > 1) ? $clog2(Axons) : 1
) (
  input logic                   clk_i,
  input logic                   rst_ni,
  input logic                   clear_i,
  input logic                   tick_i,
  input logic                   busy_o,
  input logic                   done_o,
  input logic                   ev_valid_i,
  input logic                   ev_ready_o,
  input logic [AxonWidth-1:0]   ev_axon_i,
  input logic                   spk_valid_o,
  input logic                   spk_ready_i,
  input logic [NeuronWidth-1:0] spk_neuron_o,
  input logic                   probe_valid_o,
  input logic [NeuronWidth-1:0] probe_neuron_o,
  input logic                   probe_spike_o
);
  typedef enum logic [1:0] {CmdNone, CmdTick, CmdClear} command_e;

  localparam int unsigned Places = 4;  // more than the core holds

  command_e               command_q;        // the command whose done is still to come
  logic [NeuronWidth:0]   probes_q;         // probes seen since the tick
  logic [NeuronWidth-1:0] queue_q [Places]; // spikes probed and not yet taken
  logic [1:0]             head_q;
  logic [2:0]             count_q;
  logic                   probed, took;
  logic [NeuronWidth-1:0] expected;

  assign probed   = probe_valid_o && probe_spike_o;
  assign took     = spk_valid_o && spk_ready_i;
  assign expected = (count_q != '0) ? queue_q[head_q] : probe_neuron_o;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      command_q <= CmdNone;
      probes_q  <= '0;
      head_q    <= '0;
      count_q   <= '0;
    end else begin
      if (tick_i)       command_q <= CmdTick;
      else if (clear_i) command_q <= CmdClear;
      else if (done_o)  command_q <= CmdNone;
      if (tick_i)             probes_q <= '0;
      else if (probe_valid_o) probes_q <= probes_q + (NeuronWidth + 1)'(1);
      head_q  <= head_q + 2'(took);
      count_q <= count_q + 3'(probed) - 3'(took);
    end
  end

  always_ff @(posedge clk_i) begin
    if (probed) queue_q[head_q + 2'(count_q)] <= probe_neuron_o;
  end

  `ASSERT(EventStableUntilTaken,
          ev_valid_i && !ev_ready_o |=> ev_valid_i && $stable(ev_axon_i))
  `ASSERT(SpikeStableUntilTaken,
          spk_valid_o && !spk_ready_i |=> spk_valid_o && $stable(spk_neuron_o))
  `ASSERT(EventInRange, ev_valid_i |-> 32'(ev_axon_i) < Axons)
  `ASSERT(SpikesAreProbedSpikesInOrder,
          spk_valid_o |-> (count_q != '0 || probed) && spk_neuron_o == expected)
  `ASSERT(FewSpikesWait, 32'(count_q) < Places)
  `ASSERT(NoSpikeIsLost, done_o |-> count_q == '0)
  `ASSERT(ProbesInOrder, probe_valid_o |-> command_q == CmdTick &&
          probe_neuron_o == probes_q[NeuronWidth-1:0] && 32'(probes_q) < Neurons)
  `ASSERT(CommandOnlyWhenIdle, tick_i || clear_i |-> !busy_o && (tick_i ^ clear_i))
  `ASSERT(DoneAnswersCommand, done_o |-> command_q != CmdNone && !busy_o && !spk_valid_o)
  `ASSERT(DoneAfterAllNeurons, done_o && command_q == CmdTick |-> 32'(probes_q) == Neurons)
  `ASSERT(NoEventInSweep, ev_ready_o |-> command_q == CmdNone || done_o)
endmodule

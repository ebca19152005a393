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

  command_e               command_q;     // the command whose done is still to come
  logic [NeuronWidth:0]   probes_q;      // probes seen since the tick
  logic                   waiting_q;     // a probed spike waits to be taken
  logic [NeuronWidth-1:0] waiting_n_q;   // its neuron
  logic                   took;

  assign took = spk_valid_o && spk_ready_i;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      command_q   <= CmdNone;
      probes_q    <= '0;
      waiting_q   <= 1'b0;
      waiting_n_q <= '0;
    end else begin
      if (tick_i)       command_q <= CmdTick;
      else if (clear_i) command_q <= CmdClear;
      else if (done_o)  command_q <= CmdNone;
      if (tick_i)             probes_q <= '0;
      else if (probe_valid_o) probes_q <= probes_q + (NeuronWidth + 1)'(1);
      // The core shows a spike on both ports in the same clock; it may then wait on one of them.
      waiting_q   <= spk_valid_o && !took;
      waiting_n_q <= spk_neuron_o;
    end
  end

  `ASSERT(EventStableUntilTaken,
          ev_valid_i && !ev_ready_o |=> ev_valid_i && $stable(ev_axon_i))
  `ASSERT(SpikeStableUntilTaken, waiting_q |-> spk_valid_o && spk_neuron_o == waiting_n_q)
  `ASSERT(SpikeInRange, spk_valid_o |-> 32'(spk_neuron_o) < Neurons)
  `ASSERT(EventInRange, ev_valid_i |-> 32'(ev_axon_i) < Axons)
  `ASSERT(NewSpikeIsProbedSpike,
          spk_valid_o && !waiting_q |-> probe_valid_o && probe_spike_o &&
          spk_neuron_o == probe_neuron_o)
  `ASSERT(ProbedSpikeIsSent, probe_valid_o && probe_spike_o |-> spk_valid_o && !waiting_q)
  `ASSERT(ProbesInOrder, probe_valid_o |-> command_q == CmdTick &&
          probe_neuron_o == probes_q[NeuronWidth-1:0] && 32'(probes_q) < Neurons)
  `ASSERT(CommandOnlyWhenIdle, tick_i || clear_i |-> !busy_o && (tick_i ^ clear_i))
  `ASSERT(DoneAnswersCommand, done_o |-> command_q != CmdNone && !busy_o && !spk_valid_o)
  `ASSERT(DoneAfterAllNeurons, done_o && command_q == CmdTick |-> 32'(probes_q) == Neurons)
  `ASSERT(NoEventInSweep, ev_ready_o |-> command_q == CmdNone || done_o)
endmodule

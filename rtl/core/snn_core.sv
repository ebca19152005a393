// SPDX-License-Identifier: Apache-2.0
// Time-multiplexed spiking-neuron core: input events, one neuron update per clock, recurrent
// routing inside, probe of every update.
// Latency : done_o Neurons + 4 clocks after tick_i, for each spike with synapses their number + 3
//           later; an input event takes its number of synapses (at least 1), the last one 3 more.
// Number  : two's complement integers, docs/model.md sections 1 and 2.
// Equation: docs/model.md eq. 1 to 7.
//
// The sweep is a pipeline: R issues the reads of neuron n, U adds the input and filters it, V
// integrates and compares, W writes back and shows the probe. A spike whose row is not empty kills
// the younger neurons in R and U (nothing of them has been written), walks its row and starts
// again at the next neuron, so that synapses of delay 0 act on it.
// The walk is a pipeline too: D reads a synapse, E reads the accumulator, F adds and writes.
`include "spikelock_assert.svh"
`include "fault_pkg.svh"

module snn_core #(
  parameter  int unsigned Neurons     = 1024,
  parameter  int unsigned Axons       = 256,
  parameter  int unsigned Synapses    = 65536,
  parameter  int unsigned VWidth      = 16,
  parameter  int unsigned UWidth      = 16,
  parameter  int unsigned AccWidth    = 20,
  parameter  int unsigned WWidth      = 8,
  parameter  int unsigned LeakFrac    = 12,
  parameter  int unsigned RefrWidth   = 8,
  parameter  int unsigned DelaySlots  = 4,     // a power of two
  localparam int unsigned NeuronWidth = (Neurons > 1) ? $clog2(Neurons) : 1,
  localparam int unsigned AxonWidth   = (Axons > 1) ? $clog2(Axons) : 1
) (
  input  logic                       clk_i,
  input  logic                       rst_ni,
  // Configuration
  input  logic                       cfg_we_i,
  input  logic [23:0]                cfg_addr_i,
  input  logic [31:0]                cfg_wdata_i,
  output logic [31:0]                cfg_rdata_o,
  // Commands
  input  logic                       clear_i,
  input  logic                       tick_i,
  output logic                       busy_o,
  output logic                       done_o,
  // Input events
  input  logic                       ev_valid_i,
  output logic                       ev_ready_o,
  input  logic [AxonWidth-1:0]       ev_axon_i,
  // Output spikes, in sweep order
  output logic                       spk_valid_o,
  input  logic                       spk_ready_i,
  output logic [NeuronWidth-1:0]     spk_neuron_o,
  // Probe: every neuron's fields, one clock each, as they are written back
  output logic                       probe_valid_o,
  output logic [NeuronWidth-1:0]     probe_neuron_o,
  output logic signed [AccWidth-1:0] probe_i_syn_o,
  output logic signed [UWidth-1:0]   probe_u_o,
  output logic signed [VWidth-1:0]   probe_v_o,
  output logic [RefrWidth-1:0]       probe_refr_o,
  output logic                       probe_spike_o
);
  localparam int unsigned Sources     = Axons + Neurons;
  localparam int unsigned SourceWidth = $clog2(Sources);
  localparam int unsigned SynIdxWidth = (Synapses > 1) ? $clog2(Synapses) : 1;
  localparam int unsigned DelayWidth  = $clog2(DelaySlots);
  localparam int unsigned AccAddrW    = DelayWidth + NeuronWidth;
  localparam int unsigned InputWidth  = ((AccWidth > VWidth) ? AccWidth : VWidth) + 1;
`ifdef FAULTS
  localparam int unsigned AddWidth    = WWidth + 16;  // one fault takes a weight as unsigned
`else
  localparam int unsigned AddWidth    = WWidth + 15;  // a weight shifted by at most 15
`endif
  localparam int unsigned AccSumWidth = ((AccWidth > AddWidth) ? AccWidth : AddWidth) + 1;
  localparam logic [NeuronWidth-1:0] LastNeuron = NeuronWidth'(Neurons - 1);
  localparam logic [DelayWidth-1:0]  LastSlot   = {DelayWidth{1'b1}};

  typedef enum logic [2:0] {StIdle, StEvent, StSweep, StFanOut, StClear} state_e;

  state_e state_d, state_q;

  // Control of the sweep and of the clear
  logic                    ev_accept, tick_accept, clear_accept;
  logic                    issue, stall, fan_out, sweep_end, clear_end;
  logic                    left_q;          // neurons are left to issue
  logic [NeuronWidth-1:0]  n_q;             // next neuron to issue, or to clear
  logic [DelayWidth-1:0]   slot_q;          // slot(t)
  logic [DelayWidth-1:0]   clear_slot_q;
  logic                    done_q;
  // Stage U
  logic                    u_valid_q;
  logic [NeuronWidth-1:0]  u_n_q;
  // Stage V
  logic                    v_valid_q;
  logic [NeuronWidth-1:0]  v_n_q;
  logic                    v_cuba_q, v_spiking_q;
  logic signed [AccWidth-1:0]   v_i_syn_q;
  logic signed [InputWidth-1:0] v_input_q;
  logic signed [UWidth-1:0]     v_u_q;
  logic signed [VWidth-1:0]     v_v_q, v_threshold_q, v_v_reset_q;
  logic signed [VWidth:0]       v_decayed_q;
  logic        [RefrWidth-1:0]  v_refr_q, v_refractory_q;
  // Stage W, which is also the probe
  logic                         w_valid_q, w_spike_q;
  logic [NeuronWidth-1:0]       w_n_q;
  logic signed [AccWidth-1:0]   w_i_syn_q;
  logic signed [UWidth-1:0]     w_u_q;
  logic signed [VWidth-1:0]     w_v_q;
  logic        [RefrWidth-1:0]  w_refr_q;
  // Output spikes: the one that is offered and the one behind it. The second place keeps the
  // sweep independent of spk_ready_i within a clock.
  logic                         spk_valid_q, spk_behind_q, spk_push, spk_free;
  logic [NeuronWidth-1:0]       spk_neuron_q, spk_behind_neuron_q, spk_neuron;
  // Walk
  logic                         walk_issue, walk_last;
  logic [SynIdxWidth:0]         walk_k_q, walk_length;
  logic                         e_valid_q, e_dense_q;
  logic [NeuronWidth-1:0]       e_target_q, e_target;
  logic [DelayWidth-1:0]        e_delay_q, e_delay, e_slot;
  logic                         f_valid_q;
  logic [AccAddrW-1:0]          f_addr_q;
  logic signed [AddWidth-1:0]   e_weight, e_add, f_add_q;
  logic signed [AccSumWidth-1:0] f_sum;
  logic signed [AccWidth-1:0]   f_acc;

`ifdef FAULTS
  // ---------------------------------------------------------------- choice of the injected fault
  // 0: none. Set by +fault=N, or through a simulator's back door after the first evaluation.
  logic [7:0] fault_q;
  initial begin
    if (!$value$plusargs("fault=%d", fault_q)) fault_q = 8'd0;
  end

  logic                     fault_drop_q;      // the event just accepted is lost
  logic                     fault_cleared_q;   // a clear has been done since reset
  logic                     fault_resumed_q;   // the next neuron is the first after a fan-out
  logic [4:0]               fault_events_q;    // events accepted in this timestep, to 16
  logic [6:0]               fault_timestep_q;  // timesteps since clear, modulo 128
  logic [AxonWidth-1:0]     fault_axon_q;      // axon of the last event
  logic signed [VWidth-1:0] fault_threshold_q; // of the neuron that fanned out
  logic signed [WWidth-1:0] fault_weight_q;    // of the synapse before
  logic [3:0]               fault_e_k_q;       // low bits of the synapse's place in its row

  // The other neuron of a pair, where there is one.
  function automatic logic [NeuronWidth-1:0] fault_neighbour(input logic [NeuronWidth-1:0] n);
    fault_neighbour = n ^ NeuronWidth'(1);
    if (32'(fault_neighbour) >= Neurons) fault_neighbour = n;
  endfunction

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      fault_drop_q     <= 1'b0;
      fault_cleared_q  <= 1'b0;
      fault_resumed_q  <= 1'b0;
      fault_events_q   <= '0;
      fault_timestep_q <= '0;
    end else begin
      if (ev_accept) begin
        fault_drop_q <=
            (fault_q == fault_pkg::EventOverflow && fault_events_q[4]) ||
            (fault_q == fault_pkg::EventMerged && fault_events_q != '0 &&
             ev_axon_i == fault_axon_q) ||
            (fault_q == fault_pkg::EventBackToBack && state_q == StEvent);
        if (!fault_events_q[4]) fault_events_q <= fault_events_q + 5'd1;
      end else if (tick_accept || clear_accept) begin
        fault_drop_q   <= 1'b0;
        fault_events_q <= '0;
      end
      if (state_q == StClear) begin
        fault_timestep_q <= '0;
        if (clear_end) fault_cleared_q <= 1'b1;
      end else if (sweep_end) begin
        fault_timestep_q <= fault_timestep_q + 7'd1;
      end
      if (tick_accept)                fault_resumed_q <= 1'b0;
      else if (fan_out)               fault_resumed_q <= 1'b1;
      else if (u_valid_q && !stall)   fault_resumed_q <= 1'b0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ev_accept)  fault_axon_q      <= ev_axon_i;
    if (fan_out)    fault_threshold_q <= v_threshold_q;
    if (walk_issue) fault_e_k_q       <= 4'(walk_k_q);
    if (e_valid_q)  fault_weight_q    <= syn_weight;
  end
`endif

  // ---------------------------------------------------------------- configuration and memories
  logic                     leak_mode, v_overflow, acc_overflow, compare, reset_mode;
  logic [1:0]               rounding;
  logic [3:0]               weight_shift, u_shift;
  logic [5:0]               cfg_param_we;
  logic [2:0]               cfg_row_we;
  logic                     cfg_syn_we, cfg_pending;
  logic [31:0]              cfg_wdata;
  logic [NeuronWidth-1:0]   cfg_param_addr;
  logic [SourceWidth-1:0]   cfg_row_addr;
  logic [SynIdxWidth-1:0]   cfg_syn_addr;

  logic signed [VWidth-1:0] threshold, bias, v_reset;
  logic [LeakFrac:0]        leak, u_decay;
  logic [RefrWidth-1:0]     refractory;
  logic                     spiking, cuba;
  logic [SynIdxWidth-1:0]   row_first;
  logic [SynIdxWidth:0]     row_length;
  logic                     row_dense;
  logic [DelayWidth-1:0]    row_delay;
  logic [NeuronWidth-1:0]   row_base;
  logic [NeuronWidth-1:0]   syn_target;
  logic [DelayWidth-1:0]    syn_delay;
  logic signed [WWidth-1:0] syn_weight;
  logic signed [VWidth-1:0] v_read;
  logic signed [UWidth-1:0] u_read;
  logic [RefrWidth-1:0]     refr_read;
  logic signed [AccWidth-1:0] acc_read;

  logic                     row_re;
  logic [SourceWidth-1:0]   row_raddr;
  logic                     acc_we, acc_re;
  logic [AccAddrW-1:0]      acc_waddr, acc_raddr;
  logic signed [AccWidth-1:0] acc_wdata;

  config_port #(
    .Neurons     (Neurons),
    .Sources     (Sources),
    .Synapses    (Synapses),
    .IdxWidth    (NeuronWidth),
    .SourceWidth (SourceWidth),
    .SynIdxWidth (SynIdxWidth),
    .DelayWidth  (DelayWidth),
    .VWidth      (VWidth),
    .WWidth      (WWidth),
    .LeakFrac    (LeakFrac),
    .RefrWidth   (RefrWidth)
  ) u_config (
    .clk_i          (clk_i),
    .rst_ni         (rst_ni),
    .busy_i         (busy_o),
    .tick_i         (tick_i),
    .cfg_we_i       (cfg_we_i),
    .cfg_addr_i     (cfg_addr_i),
    .cfg_wdata_i    (cfg_wdata_i),
    .cfg_rdata_o    (cfg_rdata_o),
    .pending_o      (cfg_pending),
    .leak_mode_o    (leak_mode),
    .rounding_o     (rounding),
    .v_overflow_o   (v_overflow),
    .acc_overflow_o (acc_overflow),
    .compare_o      (compare),
    .reset_mode_o   (reset_mode),
    .weight_shift_o (weight_shift),
    .u_shift_o      (u_shift),
    .param_we_o     (cfg_param_we),
    .param_addr_o   (cfg_param_addr),
    .row_we_o       (cfg_row_we),
    .row_addr_o     (cfg_row_addr),
    .syn_we_o       (cfg_syn_we),
    .wdata_o        (cfg_wdata),
    .syn_addr_o     (cfg_syn_addr),
    .threshold_i    (threshold),
    .bias_i         (bias),
    .leak_i         (leak),
    .v_reset_i      (v_reset),
    .u_decay_i      (u_decay),
    .refractory_i   (refractory),
    .spiking_i      (spiking),
    .cuba_i         (cuba),
    .row_first_i    (row_first),
    .row_length_i   (row_length),
    .row_dense_i    (row_dense),
    .row_delay_i    (row_delay),
    .row_base_i     (row_base),
    .syn_target_i   (syn_target),
    .syn_delay_i    (syn_delay),
    .syn_weight_i   (syn_weight)
  );

  neuron_param_mem #(
    .Neurons   (Neurons),
    .IdxWidth  (NeuronWidth),
    .VWidth    (VWidth),
    .LeakFrac  (LeakFrac),
    .RefrWidth (RefrWidth)
  ) u_params (
    .clk_i        (clk_i),
    .we_i         (cfg_param_we),
    .waddr_i      (cfg_param_addr),
    .wdata_i      (cfg_wdata),
    .re_i         (issue || !busy_o),
    .raddr_i      (busy_o ? n_q : cfg_param_addr),
    .threshold_o  (threshold),
    .bias_o       (bias),
    .leak_o       (leak),
    .v_reset_o    (v_reset),
    .u_decay_o    (u_decay),
    .refractory_o (refractory),
    .spiking_o    (spiking),
    .cuba_o       (cuba)
  );

  neuron_state_mem #(
    .Neurons   (Neurons),
    .IdxWidth  (NeuronWidth),
    .VWidth    (VWidth),
    .UWidth    (UWidth),
    .RefrWidth (RefrWidth)
  ) u_state (
    .clk_i   (clk_i),
`ifdef FAULTS
    .keep_refr_i (fault_q == fault_pkg::ClearKeepsRefr && fault_cleared_q && !w_valid_q),
`endif
    .we_i    (w_valid_q || state_q == StClear),
    .waddr_i (w_valid_q ? w_n_q : n_q),
    .v_i     (w_valid_q ? w_v_q : '0),
    .u_i     (w_valid_q ? w_u_q : '0),
    .refr_i  (w_valid_q ? w_refr_q : '0),
    .re_i    (issue),
    .raddr_i (n_q),
    .v_o     (v_read),
    .u_o     (u_read),
    .refr_o  (refr_read)
  );

  acc_mem #(
    .AddrWidth (AccAddrW),
    .AccWidth  (AccWidth)
  ) u_acc (
    .clk_i   (clk_i),
    .we_i    (acc_we),
    .waddr_i (acc_waddr),
    .wdata_i (acc_wdata),
    .re_i    (acc_re),
    .raddr_i (acc_raddr),
    .rdata_o (acc_read)
  );

  row_mem #(
    .Sources     (Sources),
    .SourceWidth (SourceWidth),
    .SynIdxWidth (SynIdxWidth),
    .IdxWidth    (NeuronWidth),
    .DelayWidth  (DelayWidth)
  ) u_rows (
    .clk_i    (clk_i),
    .we_i     (cfg_row_we),
    .waddr_i  (cfg_row_addr),
    .wdata_i  (cfg_wdata),
    .re_i     (row_re),
    .raddr_i  (row_raddr),
    .first_o  (row_first),
    .length_o (row_length),
    .dense_o  (row_dense),
    .delay_o  (row_delay),
    .base_o   (row_base)
  );

  synapse_mem #(
    .Synapses    (Synapses),
    .SynIdxWidth (SynIdxWidth),
    .IdxWidth    (NeuronWidth),
    .DelayWidth  (DelayWidth),
    .WWidth      (WWidth)
  ) u_synapses (
    .clk_i    (clk_i),
    .we_i     (cfg_syn_we),
    .waddr_i  (cfg_syn_addr),
    .wdata_i  (cfg_wdata),
    .re_i     (walk_issue || !busy_o),
    .raddr_i  (walk_issue ? row_first + walk_k_q[SynIdxWidth-1:0] : cfg_syn_addr),
    .target_o (syn_target),
    .delay_o  (syn_delay),
    .weight_o (syn_weight)
  );

  // ---------------------------------------------------------------- state machine
  assign busy_o       = state_q != StIdle || e_valid_q || f_valid_q;
  assign clear_accept = clear_i && !busy_o;
  assign tick_accept  = tick_i && !clear_i && !busy_o;
  // The next event may enter in the clock in which the row before it issues its last synapse. A
  // write of configuration that is under way goes first.
  assign ev_ready_o   = (state_q == StIdle || (state_q == StEvent && walk_last)) &&
                        !tick_i && !clear_i && !cfg_pending;
  assign ev_accept    = ev_valid_i && ev_ready_o;

  assign walk_issue   = (state_q == StEvent || state_q == StFanOut) && walk_length != '0;
  assign walk_last    = walk_k_q + (SynIdxWidth + 1)'(1) >= walk_length;
`ifdef FAULTS
  always_comb begin
    walk_length = row_length;
    if (fault_q == fault_pkg::LastSynapseMissing && row_length != '0) begin
      walk_length = row_length - (SynIdxWidth + 1)'(1);
    end
    if (fault_drop_q && state_q == StEvent) walk_length = '0;
  end
`else
  assign walk_length  = row_length;
`endif

  assign clear_end    = n_q == LastNeuron && clear_slot_q == LastSlot;
  // Stages W and F may still write in this clock.
  assign sweep_end    = state_q == StSweep && !left_q && !u_valid_q && !v_valid_q && !e_valid_q &&
                        !spk_valid_q;

  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle: begin
        if (clear_accept)     state_d = StClear;
        else if (tick_accept) state_d = StSweep;
        else if (ev_accept)   state_d = StEvent;
      end
      StEvent:  if (walk_last && !ev_accept) state_d = StIdle;
      StSweep: begin
        if (fan_out)        state_d = StFanOut;
        else if (sweep_end) state_d = StIdle;
      end
      StFanOut: if (walk_last) state_d = StSweep;
      default:  if (clear_end) state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q      <= StIdle;
      slot_q       <= '0;
      clear_slot_q <= '0;
      done_q       <= 1'b0;
      n_q          <= '0;
      left_q       <= 1'b0;
      walk_k_q     <= '0;
    end else begin
      state_q <= state_d;
      done_q  <= sweep_end || (state_q == StClear && clear_end);
      if (clear_accept || tick_accept) begin
        n_q          <= '0;
        clear_slot_q <= '0;
        left_q       <= tick_accept;
      end else if (state_q == StClear) begin
        clear_slot_q <= clear_slot_q + DelayWidth'(1);
        if (clear_slot_q == LastSlot) n_q <= n_q + NeuronWidth'(1);
      end else if (fan_out) begin
        n_q    <= v_n_q + NeuronWidth'(1);
        left_q <= v_n_q != LastNeuron;
      end else if (issue) begin
        n_q    <= n_q + NeuronWidth'(1);
        left_q <= n_q != LastNeuron;
      end
      if (state_q == StClear) slot_q <= '0;
      else if (sweep_end)     slot_q <= slot_q + DelayWidth'(1);
      if (walk_issue) walk_k_q <= walk_last ? '0 : walk_k_q + (SynIdxWidth + 1)'(1);
    end
  end
  assign done_o = done_q;

  // ---------------------------------------------------------------- sweep
  logic signed [UWidth-1:0]     u_u_next;
  logic signed [InputWidth-1:0] u_input;
  logic signed [VWidth:0]       u_v_decayed;
  logic signed [VWidth-1:0]     v_v_next;
  logic [RefrWidth-1:0]         v_refr_next;
  logic                         v_spike;

  // The accumulator's read port serves stage E first; that also keeps the sweep behind the walk.
  assign issue   = state_q == StSweep && left_q && !e_valid_q && !stall && !fan_out;
  assign stall   = `FAULT(fault_q, SpikeOverwritten, 1'b0,
                          v_valid_q && v_spike && spk_behind_q);
  assign fan_out = v_valid_q && v_spike && !stall && walk_length != '0;

  assign spk_push   = v_valid_q && v_spike && !stall;
  assign spk_free   = !spk_valid_q || spk_ready_i;
  assign spk_neuron = `FAULT(fault_q, SpikeSwapped, fault_neighbour(v_n_q), v_n_q);

  assign row_re    = ev_accept || (u_valid_q && !stall && !fan_out) || !busy_o;
  assign row_raddr = ev_accept ? SourceWidth'(ev_axon_i) :
                     u_valid_q ? SourceWidth'(u_n_q) + SourceWidth'(Axons) : cfg_row_addr;

  current_update #(
    .VWidth   (VWidth),
    .UWidth   (UWidth),
    .AccWidth (AccWidth),
    .LeakFrac (LeakFrac)
  ) u_current (
    .multiply_i (leak_mode),
    .rounding_i (rounding),
    .saturate_i (v_overflow),
    .cuba_i     (cuba),
    .u_decay_i  (u_decay),
    .bias_i     (`FAULT(fault_q, BiasIgnored, 32'(u_n_q) >= 32 ? '0 : bias, bias)),
    .i_syn_i    (acc_read),
    .u_i        (u_read),
    .input_o    (u_input),
    .u_o        (u_u_next)
  );

  decay #(
    .Width    (VWidth),
    .LeakFrac (LeakFrac)
  ) u_v_decay (
    .multiply_i (leak_mode),
    .rounding_i (`FAULT(fault_q, LeakRounding, rounding ^ {1'b0, v_read[VWidth-1]}, rounding)),
    .leak_i     (leak),
    .x_i        (v_read),
    .y_o        (u_v_decayed)
  );

  membrane_update #(
    .VWidth    (VWidth),
    .UWidth    (UWidth),
    .AccWidth  (AccWidth),
    .RefrWidth (RefrWidth)
  ) u_membrane (
`ifdef FAULTS
    .fault_i      (fault_q),
`endif
    .rounding_i   (rounding),
    .saturate_i   (v_overflow),
    .greater_i    (compare),
    .subtract_i   (reset_mode),
    .u_shift_i    (u_shift),
    .cuba_i       (v_cuba_q),
    .spiking_i    (v_spiking_q),
    .input_i      (v_input_q),
    .u_i          (v_u_q),
    .v_i          (v_v_q),
    .v_decayed_i  (v_decayed_q),
    .refr_i       (v_refr_q),
    .threshold_i  (v_threshold_q),
    .v_reset_i    (v_v_reset_q),
    .refractory_i (v_refractory_q),
    .v_o          (v_v_next),
    .refr_o       (v_refr_next),
    .spike_o      (v_spike)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      u_valid_q    <= 1'b0;
      v_valid_q    <= 1'b0;
      w_valid_q    <= 1'b0;
      spk_valid_q  <= 1'b0;
      spk_behind_q <= 1'b0;
    end else begin
      w_valid_q <= v_valid_q && !stall;
      if (!stall) begin
        u_valid_q <= issue;
        v_valid_q <= u_valid_q && !fan_out;
      end
      if (spk_free) begin
        spk_valid_q  <= spk_behind_q || spk_push;
        spk_behind_q <= spk_behind_q && spk_push;
      end else if (spk_push) begin
        spk_behind_q <= 1'b1;
      end
    end
  end

  // Payloads need no reset: their valid bits guard them.
  always_ff @(posedge clk_i) begin
    if (issue) u_n_q <= n_q;
    if (u_valid_q && !stall) begin
      v_n_q          <= u_n_q;
      v_cuba_q       <= cuba;
      v_spiking_q    <= spiking;
      v_i_syn_q      <= acc_read;
      v_input_q      <= u_input;
      v_u_q          <= `FAULT(fault_q, CubaFrozen, refr_read != '0 ? u_read : u_u_next,
                               u_u_next);
      v_v_q          <= v_read;
      v_decayed_q    <= `FAULT(fault_q, LeakSkipped,
                               &fault_timestep_q ? {v_read[VWidth-1], v_read} : u_v_decayed,
                               u_v_decayed);
      v_refr_q       <= refr_read;
      v_threshold_q  <= `FAULT(fault_q, ThresholdStale,
                               fault_resumed_q ? fault_threshold_q : threshold, threshold);
      v_v_reset_q    <= v_reset;
      v_refractory_q <= refractory;
    end
    if (v_valid_q && !stall) begin
      w_n_q     <= v_n_q;
      w_i_syn_q <= v_i_syn_q;
      w_u_q     <= v_u_q;
      w_v_q     <= v_v_next;
      w_refr_q  <= v_refr_next;
      w_spike_q <= v_spike;
    end
    if (spk_free) spk_neuron_q        <= spk_behind_q ? spk_behind_neuron_q : spk_neuron;
    if (spk_push) spk_behind_neuron_q <= spk_neuron;
  end

  assign spk_valid_o    = spk_valid_q;
  assign spk_neuron_o   = spk_neuron_q;
  assign probe_valid_o  = w_valid_q;
  assign probe_neuron_o = `FAULT(fault_q, ProbeSwapped, fault_neighbour(w_n_q), w_n_q);
  assign probe_i_syn_o  = w_i_syn_q;
  assign probe_u_o      = w_u_q;
  assign probe_v_o      = w_v_q;
  assign probe_refr_o   = w_refr_q;
  assign probe_spike_o  = w_spike_q;

  // ---------------------------------------------------------------- walk of a row (eq. 1)
  assign e_target = e_dense_q ? e_target_q : syn_target;
  assign e_delay  = e_dense_q ? e_delay_q : syn_delay;
  assign e_add    = e_weight <<< weight_shift;
`ifdef FAULTS
  always_comb begin
    e_weight = AddWidth'(syn_weight);
    e_slot   = slot_q + e_delay;
    if (fault_q == fault_pkg::StaleWeight && fault_e_k_q == 4'd15) begin
      e_weight = AddWidth'(fault_weight_q);
    end
    if (fault_q == fault_pkg::WeightUnsigned) e_weight = AddWidth'($unsigned(syn_weight));
    if (fault_q == fault_pkg::FanOutLate && (state_q == StFanOut || state_q == StSweep)) begin
      e_slot = slot_q + e_delay + DelayWidth'(1);
    end
    if (fault_q == fault_pkg::DelayShort && e_delay != '0) begin
      e_slot = slot_q + e_delay - DelayWidth'(1);
    end
  end
`else
  assign e_weight = AddWidth'(syn_weight);
  assign e_slot   = slot_q + e_delay;
`endif
  assign f_sum    = AccSumWidth'(acc_read) + AccSumWidth'(f_add_q);

  fit_width #(
    .InWidth  (AccSumWidth),
    .OutWidth (AccWidth)
  ) u_fit_acc (
    .saturate_i (`FAULT(fault_q, AccOverflowMode, !acc_overflow, acc_overflow)),
    .x_i        (f_sum),
    .y_o        (f_acc)
  );

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      e_valid_q <= 1'b0;
      f_valid_q <= 1'b0;
    end else begin
      e_valid_q <= walk_issue;
      f_valid_q <= e_valid_q;
    end
  end

  always_ff @(posedge clk_i) begin
    if (walk_issue) begin
      e_dense_q  <= row_dense;
      e_target_q <= row_base + NeuronWidth'(walk_k_q);
      e_delay_q  <= row_delay;
    end
    if (e_valid_q) begin
      f_addr_q <= acc_raddr;
      f_add_q  <= e_add;
    end
  end

  assign acc_re    = e_valid_q || issue;
  assign acc_raddr = e_valid_q ? {e_slot, e_target} : {slot_q, n_q};
  always_comb begin
    acc_we    = f_valid_q || w_valid_q || state_q == StClear;
    acc_waddr = {clear_slot_q, n_q};
    acc_wdata = '0;
    if (f_valid_q) begin
      acc_waddr = f_addr_q;
      acc_wdata = f_acc;
    end else if (w_valid_q) begin
      acc_waddr = {slot_q, w_n_q};
    end
`ifdef FAULTS
    if (fault_q == fault_pkg::AccNotCleared && w_valid_q && w_spike_q) acc_we = f_valid_q;
    if (fault_q == fault_pkg::ClearMissesSlot && fault_cleared_q && state_q == StClear &&
        clear_slot_q == LastSlot) begin
      acc_we = 1'b0;
    end
`endif
  end

  // ---------------------------------------------------------------- assertions
  `ASSERT_INIT(SizesInRange, Neurons >= 1 && Axons >= 1 && Synapses >= 1)
  `ASSERT_INIT(DelaySlotsIsPowerOfTwo,
               DelaySlots >= 2 && DelaySlots <= 16 && DelaySlots == (1 << DelayWidth))
  `ASSERT_INIT(WidthsInRange,
               VWidth >= 2 && VWidth <= 32 && UWidth >= 2 && UWidth <= 32 && AccWidth >= 2 &&
               AccWidth <= 32 && WWidth >= 2 && WWidth <= 16 && LeakFrac >= 1 && LeakFrac <= 16 &&
               RefrWidth >= 1 && RefrWidth <= 8)

  `ASSERT(TickOnlyWhenIdle, tick_i |-> !busy_o)
  `ASSERT(ClearOnlyWhenIdle, clear_i |-> !busy_o && !tick_i)
  `ASSERT(EventAxonInRange, ev_valid_i |-> 32'(ev_axon_i) < Axons)
  `ASSERT(RowInsideSynapses,
          walk_issue |-> 32'(row_first) + 32'(row_length) <= Synapses)
  `ASSERT(TargetInRange, e_valid_q |-> 32'(e_target) < Neurons)
  `ASSERT(DelayZeroOnlyToLater,
          e_valid_q && state_q inside {StFanOut, StSweep} && e_delay == '0 |-> e_target >= n_q &&
          left_q)
  `ASSERT(OneAccumulatorWriter, !(f_valid_q && w_valid_q))
  `ASSERT(SweepSeesWrittenAccumulators, issue |-> !e_valid_q && !walk_issue)
endmodule

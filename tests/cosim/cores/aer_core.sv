// SPDX-License-Identifier: Apache-2.0
// Eight event-driven neurons behind every kind of event interface, for tests of how a manifest
// drives and observes. An event of axon a adds 24 (a even) or -20 (a odd) to neuron a; a neuron at
// 64 or more fires, starts at 0 and, with loop_i, adds 16 to neuron (n + 3) % 8 by an event of its
// own, which goes before those from outside. A tick takes v / 8 away from every v, rounded down.
// Golden twin: tests/cosim/styles_test.cpp
module aer_core #(
  parameter int unsigned Fifo = 64
) (
  input  logic        clk_i,
  input  logic        clk_slow_i,
  input  logic        rst_ni,
  input  logic        soft_rst_i,     // a second reset, synchronous, of the neurons
  // what the test chooses
  input  logic        four_phase_i,   // both interfaces: else valid and ready
  input  logic        loop_i,
  input  logic        late_i,         // spikes leave in the timestep after their own
  input  logic [7:0]  drop_i,         // the n-th event from outside is lost; 0: none
  // events in
  input  logic        in_valid_i,
  output logic        in_ready_o,
  input  logic        in_req_i,
  output logic        in_ack_o,
  input  logic [4:0]  in_addr_i,      // 0x10 + axon; 0x1f is a tick
  input  logic [7:0]  in_bits_i,      // one bit an axon, taken with the tick
  input  logic        tick_i,
  output logic        idle_o,
  // spikes out
  output logic        out_valid_o,
  input  logic        out_ready_i,
  output logic        out_req_o,
  input  logic        out_ack_i,
  output logic [2:0]  out_neuron_o,
  output logic [3:0]  out_step_o,     // of the timestep in which it fired
  output logic        out_last_o,     // with valid: no spike, but the end of a timestep
  // state
  output logic [127:0] v_o,
  output logic [127:0] v_no,          // inverted
  output logic [127:0] v_rev_o,       // lowest bit first
  output logic [127:0] v_sm_o,        // sign and magnitude
  output logic [127:0] v_ones_o,      // ones' complement
  output logic [127:0] v_off_o,       // plus 2^15
  output logic [127:0] v_late_o,      // of the timestep before
  output logic         v_late_valid_o,
  output logic         upd_valid_o,   // one neuron was updated
  output logic [2:0]   upd_neuron_o,
  output logic [15:0]  upd_v_o,
  output logic         sweep_valid_o, // the tick shows one neuron a clock
  output logic [2:0]   sweep_neuron_o,
  output logic [15:0]  sweep_v_o,
  output logic         sweep_changed_o, // v is another than at the end of the timestep before
  output logic [15:0]  slow_o
);
  typedef enum logic [1:0] {StIdle, StEvent, StTick, StFire} state_e;
  state_e state_q;
  logic signed [15:0] v_q [8];
  logic [2:0]  target_q, count_q;
  logic        internal_q, tick_q;
  logic [7:0]  bits_q, taken_q;
  logic [3:0]  step_q;
  logic        lost;

  // Spikes that come back.
  logic [2:0]  loop_mem [64];
  logic [5:0]  loop_rd_q, loop_wr_q;
  logic        loop_any;
  assign loop_any = loop_rd_q != loop_wr_q;

  // Events from outside: those of the handshakes, then one for each set bit.
  logic [1:0]  req_q;
  logic        ack_q, offered, is_tick, accept, take_axon, take_loop, bits_any;
  logic [2:0]  take_index;
  logic [2:0]  bit_index;
  assign bits_any   = bits_q != 0;
  assign offered    = four_phase_i ? (req_q[1] && !ack_q) : in_valid_i;
  assign is_tick    = in_addr_i == 5'h1f;
  assign accept     = state_q == StIdle && !loop_any && !bits_any && !tick_q && !tick_i;
  assign in_ready_o = accept && !four_phase_i;
  assign in_ack_o   = ack_q;
  assign lost       = drop_i != 0 && taken_q == drop_i;
  assign take_axon  = state_q == StIdle && !loop_any &&
                      (bits_any || (accept && offered && !is_tick && !lost));
  assign take_loop  = state_q == StIdle && loop_any;
  assign take_index = loop_any ? loop_mem[loop_rd_q] : bits_any ? bit_index : in_addr_i[2:0];
  always_comb begin
    bit_index = '0;
    for (int i = 7; i >= 0; --i) if (bits_q[i]) bit_index = 3'(i);
  end

  logic signed [15:0] sum;
  assign sum = v_q[target_q] + (internal_q ? 16'sd16 : target_q[0] ? -16'sd20 : 16'sd24);

  // Spikes and ends of timesteps on their way out.
  logic [7:0]  out_mem [Fifo];
  logic [31:0] out_rd_q, out_wr_q;
  logic        out_any, out_req_q, out_room;
  logic [7:0]  out_head;
  assign out_head     = out_mem[out_rd_q % Fifo];
  assign out_any      = out_rd_q != out_wr_q && !(late_i && out_head[6:3] == step_q);
  assign out_room     = out_wr_q - out_rd_q < Fifo;
  assign out_valid_o  = out_any && !four_phase_i;
  assign out_req_o    = out_req_q;
  assign out_neuron_o = out_head[2:0];
  assign out_step_o   = out_head[6:3];
  assign out_last_o   = out_head[7];
  assign idle_o       = state_q == StIdle && !loop_any && !bits_any && !tick_q &&
                        req_q == 0 && !ack_q && (out_rd_q == out_wr_q || late_i);

  logic [127:0] shown_q;
  assign sweep_valid_o  = state_q == StTick;
  assign sweep_neuron_o = count_q;
  logic signed [15:0] leaked;
  assign leaked = v_q[count_q] - (v_q[count_q] >>> 3);
  assign sweep_v_o       = leaked;
  assign sweep_changed_o = sweep_valid_o && leaked != shown_q[16*count_q +: 16];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StIdle;
      {target_q, count_q, internal_q, tick_q, bits_q, taken_q, step_q} <= '0;
      {loop_rd_q, loop_wr_q, req_q, ack_q, out_rd_q, out_wr_q} <= '0;
      {upd_valid_o, upd_neuron_o, upd_v_o, v_late_o, v_late_valid_o} <= '0;
      out_req_q <= 1'b0;
      for (int i = 0; i < 8; ++i) v_q[i] <= '0;
    end else begin
      upd_valid_o    <= 1'b0;
      v_late_valid_o <= 1'b0;
      req_q <= {req_q[0], in_req_i};
      if (!req_q[1]) ack_q <= 1'b0;
      if (tick_i) begin
        tick_q <= 1'b1;
        bits_q <= in_bits_i;
      end
      if (four_phase_i) begin
        if (out_any && !out_req_q && !out_ack_i && !out_head[7]) out_req_q <= 1'b1;
        if (out_any && out_head[7]) out_rd_q <= out_rd_q + 1;
        if (out_req_q && out_ack_i) begin
          out_req_q <= 1'b0;
          out_rd_q  <= out_rd_q + 1;
        end
      end else if (out_valid_o && out_ready_i) begin
        out_rd_q <= out_rd_q + 1;
      end
      unique case (state_q)
        StIdle: begin
          if (take_loop) begin
            loop_rd_q  <= loop_rd_q + 1;
            internal_q <= 1'b1;
            target_q   <= take_index + 3'd3;
            state_q    <= StEvent;
          end else if (bits_any) begin
            bits_q[bit_index] <= 1'b0;
            internal_q <= 1'b0;
            target_q   <= bit_index;
            state_q    <= StEvent;
          end else if (tick_q) begin
            count_q <= '0;
            state_q <= StTick;
          end else if (accept && offered) begin
            if (four_phase_i) ack_q <= 1'b1;
            taken_q    <= taken_q == 8'hff ? 8'h1 : taken_q + 1;
            internal_q <= 1'b0;
            target_q   <= in_addr_i[2:0];
            if (is_tick) begin
              count_q <= '0;
              state_q <= StTick;
            end else if (!lost) begin
              state_q <= StEvent;
            end
          end
        end
        StEvent: begin
          upd_valid_o   <= 1'b1;
          upd_neuron_o  <= target_q;
          upd_v_o       <= sum >= 64 ? '0 : sum;
          v_q[target_q] <= sum >= 64 ? '0 : sum;
          state_q       <= sum >= 64 ? StFire : StIdle;
        end
        StFire: if (out_room) begin
          out_mem[out_wr_q % Fifo] <= {1'b0, step_q, target_q};
          out_wr_q <= out_wr_q + 1;
          if (loop_i) begin
            loop_mem[loop_wr_q] <= target_q;
            loop_wr_q <= loop_wr_q + 1;
          end
          state_q <= StIdle;
        end
        default: begin
          v_q[count_q] <= leaked;
          count_q      <= count_q + 1;
          if (count_q == 7 && out_room) begin
            out_mem[out_wr_q % Fifo] <= {1'b1, step_q, 3'd0};
            out_wr_q       <= out_wr_q + 1;
            tick_q         <= 1'b0;
            step_q         <= step_q + 1;
            v_late_valid_o <= 1'b1;
            v_late_o       <= shown_q;
            state_q        <= StIdle;
          end
        end
      endcase
      if (soft_rst_i) for (int i = 0; i < 8; ++i) v_q[i] <= '0;
    end
  end

  // v as it was at the end of the timestep before.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) shown_q <= '0;
    else if (soft_rst_i) shown_q <= '0;
    else if (v_late_valid_o) shown_q <= v_o;
  end

  // The same numbers in words of several neurons, and in a generate loop.
  logic [63:0] word_q [2];
  for (genvar i = 0; i < 8; ++i) begin : gen_copy
    logic signed [15:0] copy_q;
    always_ff @(posedge clk_i) copy_q <= v_q[i];
    assign v_o[16*i +: 16]     = v_q[i];
    assign v_no[16*i +: 16]    = ~v_q[i];
    assign v_sm_o[16*i +: 16]  = v_q[i] < 0 ? {1'b1, 15'(-v_q[i])} : v_q[i];
    assign v_ones_o[16*i +: 16] = v_q[i] < 0 ? v_q[i] - 16'sd1 : v_q[i];
    assign v_off_o[16*i +: 16] = {!v_q[i][15], v_q[i][14:0]};
    for (genvar b = 0; b < 16; ++b) begin : gen_bit
      assign v_rev_o[16*i + b] = v_q[i][15 - b];
    end
    always_ff @(posedge clk_i) word_q[i/4][16*(i%4) +: 16] <= v_q[i];
  end

  always_ff @(posedge clk_slow_i) slow_o <= slow_o + 1;
  initial slow_o = 0;
endmodule

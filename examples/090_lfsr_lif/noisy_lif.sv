// SPDX-License-Identifier: Apache-2.0
// 64 LIF neurons with noise and a leak that rounds at random, both from one LFSR; one neuron a
// clock. Events are always taken, one a clock: a row of 64 weights is one word. Equations in
// README.md.
`ifdef FAULTS
  `define NOISY_FAULT(Id, Faulty, Normal) ((fault == Id) ? (Faulty) : (Normal))
`else
  `define NOISY_FAULT(Id, Faulty, Normal) (Normal)
`endif

module noisy_lif #(
  parameter  int unsigned N    = 64,
  parameter  int unsigned A    = 32,
  parameter  logic [8:0]  KEEP = 9'd240,        // of v, in 1/256
  parameter  logic [15:0] SEED = 16'hACE1,
  localparam int unsigned NW   = $clog2(N),
  localparam int unsigned AW   = $clog2(A)
) (
  input  logic          clock,
  input  logic          resetn,                 // asynchronous
  input  logic          ev_strobe,
  input  logic [AW-1:0] ev_axon,
  input  logic          tick,
  output logic          busy,
  output logic          fire_strobe,            // a clock after the neuron's update
  output logic [NW-1:0] fire_neuron
);
`ifdef FAULTS
  logic [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 8'd0;
`endif

  logic [6*N-1:0]     row [A];                  // weights, loaded through the back door
  logic signed [13:0] limit [N];                // thresholds, likewise
  logic signed [13:0] v [N];
  logic signed [11:0] acc [N];
  logic [15:0]        lfsr;
  logic [NW-1:0]      n;

  // Galois LFSR of x^16 + x^14 + x^13 + x^11 + 1.
  logic [15:0] lfsr_next;
  assign lfsr_next = {1'b0, lfsr[15:1]} ^
                     (lfsr[0] ? `NOISY_FAULT(8'd1, 16'hB401, 16'hB400) : 16'h0000);

  logic signed [23:0] product;
  logic signed [15:0] kept, noise, sum;
  logic signed [13:0] v_next, v_reset;
  logic [7:0]         chance;
  logic               fires;
  assign product = 24'(v[n]) * $signed({15'd0, KEEP});
  assign chance  = `NOISY_FAULT(8'd4, lfsr[7:0], `NOISY_FAULT(8'd5, 8'd0, lfsr[15:8]));
  assign kept    = 16'((product + $signed({16'd0, chance})) >>> 8);
  assign noise   = `NOISY_FAULT(8'd3, $signed({11'd0, lfsr[4:0]}), 16'($signed(lfsr[4:0]))) <<< 2;
  assign sum     = kept + 16'(acc[n]) + noise;
  assign v_next  = `NOISY_FAULT(8'd8, sum[13:0], (sum > 16'sd8191)  ? 14'sh1fff :
                                                 (sum < -16'sd8192) ? 14'sh2000 : sum[13:0]);
  assign fires   = `NOISY_FAULT(8'd7, v_next > limit[n], v_next >= limit[n]);
  assign v_reset = v_next - limit[n];

  always_ff @(posedge clock or negedge resetn) begin
    if (!resetn) begin
      busy        <= 1'b0;
      n           <= '0;
      lfsr        <= SEED;
      fire_strobe <= 1'b0;
      fire_neuron <= '0;
      for (int k = 0; k < N; k++) begin
        v[k]   <= '0;
        acc[k] <= '0;
      end
    end else begin
      fire_strobe <= 1'b0;
      if (busy) begin
        v[n]        <= fires ? v_reset : v_next;
        acc[n]      <= `NOISY_FAULT(8'd6, n == NW'(N - 1) ? acc[n] : 12'sd0, 12'sd0);
        fire_strobe <= fires;
        fire_neuron <= n;
        if (!`NOISY_FAULT(8'd2, fires, 1'b0)) lfsr <= lfsr_next;
        n           <= n + NW'(1);
        busy        <= (n != NW'(N - 1));
      end else begin
        busy <= tick;
        if (ev_strobe)
          for (int k = 0; k < N; k++) acc[k] <= acc[k] + 12'($signed(row[ev_axon][6*k +: 6]));
      end
    end
  end
endmodule

// SPDX-License-Identifier: Apache-2.0
// Start/done core of 128 neurons in four banks. Spikes come and go as serial identifiers; neuron n
// is word n / 4 of bank n % 4. Equations in README.md.
// Latency: 33 clocks an input spike (four synapses a clock); 129 a timestep, and those in which
//          `spk_ready` is low.
`ifdef FAULTS
  `define BANKED_FAULT(Id, Faulty, Normal) ((fault == Id) ? (Faulty) : (Normal))
`else
  `define BANKED_FAULT(Id, Faulty, Normal) (Normal)
`endif

module banked_core #(
  parameter  int unsigned NEURONS = 128,
  parameter  int unsigned AXONS   = 64,
  parameter  int unsigned LEAK    = 5,
  parameter  logic [2:0]  REFRACT = 3'd3,
  parameter  logic signed [15:0] V_RESET = -16'sd300,
  localparam int unsigned WORDS   = NEURONS / 4,
  localparam int unsigned NW      = $clog2(NEURONS),
  localparam int unsigned CW      = $clog2(WORDS),
  localparam int unsigned IW      = $clog2(AXONS)
) (
  input  logic               clk,
  input  logic               rst_n,
  input  logic               clear,       // forgets all state; done follows in the next clock
  input  logic               start,
  output logic               done,        // one clock
  input  logic               in_valid,
  output logic               in_ready,
  input  logic [IW-1:0]      in_id,
  output logic               spk_valid,
  input  logic               spk_ready,
  output logic [NW-1:0]      spk_id,
  output logic               probe_valid, // each neuron once a timestep, before its update
  output logic [NW-1:0]      probe_id,
  output logic signed [13:0] probe_drive
);
`ifdef FAULTS
  logic [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 8'd0;
`endif

  // Loaded through the back door: four weights a word, neuron 4 * column + bank in byte `bank`.
  logic [31:0]        weight [AXONS*WORDS];
  logic signed [15:0] threshold [NEURONS];

  typedef enum logic [1:0] { Idle, Add, Sweep, Finish } state_t;
  state_t          state;
  logic [IW-1:0]   axon;
  logic [CW-1:0]   column;
  logic [NW-1:0]   neuron;
`ifdef FAULTS
  logic            first, twice;          // of fault 8: the first event after a sweep
`endif

  assign in_ready = (state == Idle) && !start && !clear;
  assign done     = (state == Finish);

  // ------------------------------------------------------------------ four synapses a clock
  logic [31:0]        weights;
  logic signed [13:0] old [4];
  logic signed [13:0] sum [4];
  assign weights = weight[{axon, column}];

  for (genvar b = 0; b < 4; b++) begin : lane
    logic signed [15:0] wide;
    logic signed [7:0]  w;
    assign w      = weights[8*b +: 8];
    assign wide   = 16'(old[b]) + (`BANKED_FAULT(8'd9, b == 2 ? $signed({8'd0, w}) : 16'(w),
                                                 16'(w)) <<< 2);
    assign sum[b] = `BANKED_FAULT(8'd2, wide[13:0],
                                  (wide > 16'sd8191)  ? 14'sh1fff :
                                  (wide < -16'sd8192) ? 14'sh2000 : wide[13:0]);
  end

  // ------------------------------------------------------------------ one neuron a clock
  logic signed [15:0] v [4];
  logic [2:0]         refr [4];
  logic signed [13:0] drive [4];
  logic [1:0]         bank;
  logic [CW-1:0]      at;
  logic signed [15:0] v_old, v_next, v_put, leak, limit;
  logic [2:0]         refr_old, refr_put;
  logic signed [13:0] input_sum;
  logic signed [17:0] v_sum;
  logic               fires, step, touched;

  assign bank = neuron[1:0];
`ifdef FAULTS
  // Fault 3: word 9 of bank 1 cannot be addressed, word 8 answers.
  assign at   = (fault == 8'd3 && bank == 2'd1 && neuron[NW-1:2] == CW'(9)) ? CW'(8)
                                                                            : neuron[NW-1:2];
`else
  assign at   = neuron[NW-1:2];
`endif

  assign v_old     = v[bank];
  assign refr_old  = refr[bank];
  assign input_sum = drive[bank];
  assign leak      = `BANKED_FAULT(8'd5, v_old / (16'sd1 <<< LEAK), v_old >>> LEAK);
  assign v_sum     = 18'(v_old) - 18'(leak) + 18'(input_sum);
  assign v_next    = (v_sum > 18'sd32767)  ? 16'sh7fff :
                     (v_sum < -18'sd32768) ? 16'sh8000 : v_sum[15:0];
  assign limit     = threshold[neuron];
  assign fires     = (refr_old == 3'd0) && `BANKED_FAULT(8'd4, v_next > limit, v_next >= limit);
  assign v_put     = (refr_old != 3'd0) ? v_old : fires ? V_RESET : v_next;
  assign refr_put  = (refr_old != 3'd0) ? refr_old - 3'd1 :
                     fires ? `BANKED_FAULT(8'd6, REFRACT + 3'd1, REFRACT) : 3'd0;
  assign step      = (state == Sweep) && (!spk_valid || spk_ready);
  // A neuron at rest without input stays at rest: its word stays clean.
  assign touched   = (v_old != 16'sd0) || (refr_old != 3'd0) || (input_sum != 14'sd0);

  assign spk_valid   = (state == Sweep) && fires;
  assign spk_id      = `BANKED_FAULT(8'd7, {neuron[NW-1:2], neuron[0], neuron[1]}, neuron);
  assign probe_valid = step;
  assign probe_id    = neuron;
  assign probe_drive = input_sum;

  for (genvar b = 0; b < 4; b++) begin : banks
    state_bank #(.WORDS(WORDS)) m (
      .clk,
`ifdef FAULTS
      .forget  (!rst_n || (state == Idle && clear && !(fault == 8'd1 && b == 2))),
`else
      .forget  (!rst_n || (state == Idle && clear)),
`endif
      .add      (state == Add),
      .add_at   (column),
      .add_sum  (sum[b]),
      .add_old  (old[b]),
      .at       (at),
      .v        (v[b]),
      .refr     (refr[b]),
      .drive    (drive[b]),
      .write    (step && touched && bank == 2'(b)),
      .v_new    (v_put),
      .refr_new (refr_put)
    );
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state  <= Idle;
      axon   <= '0;
      column <= '0;
      neuron <= '0;
`ifdef FAULTS
      first  <= 1'b1;
      twice  <= 1'b0;
`endif
    end else begin
      unique case (state)
        Idle: begin
          column <= '0;
          neuron <= '0;
          axon   <= in_id;
`ifdef FAULTS
          twice  <= first && fault == 8'd8;
`endif
          if (clear) state <= Finish;
          else if (start) state <= Sweep;
          else if (in_valid) state <= Add;
        end
        Add: begin
          column <= column + CW'(1);
          if (column == CW'(WORDS - 1)) state <= Idle;
`ifdef FAULTS
          first  <= 1'b0;
          if (column == CW'(WORDS - 1)) begin
            twice <= 1'b0;
            if (twice) state <= Add;
          end
`endif
        end
        Sweep: if (step) begin
          neuron <= neuron + NW'(1);
          if (neuron == NW'(NEURONS - 1)) state <= Finish;
        end
        Finish: begin
          state <= Idle;
`ifdef FAULTS
          first <= 1'b1;
`endif
        end
      endcase
    end
  end
endmodule

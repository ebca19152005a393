// SPDX-License-Identifier: Apache-2.0
// Event-driven crossbar of 256 neurons: each event updates all of them one after the other, and a
// neuron that fires becomes an event itself. Equations in README.md.
// Events enter and leave by four-phase handshakes. There is no pin that says that the core is idle.
// Until the reset AEROUT_REQ is high with an address that means nothing.
`ifdef FAULTS
  `define XBAR_FAULT(Id, Faulty, Normal) ((fault == Id) ? (Faulty) : (Normal))
`else
  `define XBAR_FAULT(Id, Faulty, Normal) (Normal)
`endif

module crossbar #(
  parameter int unsigned DEPTH      = 16,  // of the spike FIFO, a power of two
  parameter bit          LOOP_FIRST = 1'b0 // own spikes go before events that wait at the input
) (
  input  logic       CLK,
  input  logic       RST,
  input  logic       SCK,
  input  logic       MOSI,
  output logic       MISO,
  input  logic [9:0] AERIN_ADDR,           // {0, axon}, {1, any}: tick, {2, any}: clear
  input  logic       AERIN_REQ,
  output logic       AERIN_ACK,
  output logic [7:0] AEROUT_ADDR,
  output logic       AEROUT_REQ,
  input  logic       AEROUT_ACK
);
  localparam int unsigned PW = $clog2(DEPTH);

`ifdef FAULTS
  logic [7:0] fault;
  initial if (!$value$plusargs("fault=%d", fault)) fault = 8'd0;
`endif

  typedef enum logic [2:0] { Idle, Event, Leak, Clear, Request, Release } state_t;
  state_t state;

  logic              gate;
  logic        [9:0] leak;
  logic        [7:0] neuron;
  logic        [8:0] source, row;
  logic signed [9:0] threshold;
  logic signed [3:0] weight;

  spi_config config_i (
    .rst (RST), .sck (SCK), .mosi (MOSI), .miso (MISO), .gate, .leak, .neuron,
    .threshold_of_neuron (threshold), .source (row), .weight_of_neuron (weight)
  );
`ifdef FAULTS
  assign row = (fault == 8'd3 && source == {1'b1, 8'd7}) ? source ^ 9'd1 : source;
`else
  assign row = source;
`endif

  // ------------------------------------------------------------------ handshakes
  logic [1:0] req_sync, ack_sync;
  always_ff @(posedge CLK or posedge RST) begin
    if (RST) {req_sync, ack_sync} <= '0;
    else begin
      req_sync <= {req_sync[0], AERIN_REQ};
      ack_sync <= {ack_sync[0], AEROUT_ACK};
    end
  end

  // ------------------------------------------------------------------ spike FIFO
  logic [7:0]  fifo [DEPTH];
  logic [PW:0] written, taken;           // one bit more than an address needs
  logic        empty, full, push, pop;
  assign empty = written == taken;
  assign full  = (written - taken) == (PW + 1)'(`XBAR_FAULT(8'd1, DEPTH - 1, DEPTH));

  // ------------------------------------------------------------------ which event is next
  logic       waiting, take_axon, take_spike;  // an event is taken in this clock
  logic [8:0] take_source;                     // {own spike, address}
  assign waiting     = req_sync[1] && !AERIN_ACK;
  assign take_spike  = state == Idle && !gate && !empty && (LOOP_FIRST || !waiting);
  assign take_axon   = state == Idle && !gate && waiting && !take_spike;
  assign take_source = take_spike ? {1'b1, fifo[taken[PW-1:0]]} : {1'b0, AERIN_ADDR[7:0]};
  assign pop         = take_spike;

  // ------------------------------------------------------------------ one neuron a clock
  logic signed [9:0]  vmem [256];
  logic signed [9:0]  v, v_event, v_leak, v_new, step;
  logic signed [10:0] sum;
  logic               fires;
  assign v       = vmem[neuron];
`ifdef FAULTS
  assign sum     = 11'(v) + (fault == 8'd6 && neuron == 8'd255 ? $signed({4'd0, weight, 3'd0})
                                                               : 11'(weight) * 11'sd8);
`else
  assign sum     = 11'(v) + 11'(weight) * 11'sd8;
`endif
  assign v_event = `XBAR_FAULT(8'd2, sum[9:0], (sum > 11'sd511)  ? 10'sh1ff :
                                               (sum < -11'sd512) ? 10'sh200 : sum[9:0]);
  assign fires   = (state == Event) && `XBAR_FAULT(8'd5, v_event > threshold,
                                                   v_event >= threshold);
  assign step    = $signed(leak);
  assign v_leak  = (v > step)  ? v - step :
                   (v < -step) ? v + step : `XBAR_FAULT(8'd4, v > 10'sd0 ? v - step : 10'sd0,
                                                        10'sd0);
  assign push    = fires && !full;

  always_comb begin
    unique case (state)
      Event:   v_new = (fires && !`XBAR_FAULT(8'd7, full, 1'b0)) ? 10'sd0 : v_event;
      Leak:    v_new = `XBAR_FAULT(8'd8, neuron == 8'd255 ? v : v_leak, v_leak);
      Clear:   v_new = 10'sd0;
      default: v_new = v;
    endcase
  end

  always_ff @(posedge CLK) begin
    vmem[neuron] <= v_new;
    if (push) fifo[written[PW-1:0]] <= neuron;
  end

  initial AEROUT_REQ = 1'b1;

  always_ff @(posedge CLK or posedge RST) begin
    if (RST) begin
      state       <= Clear;
      neuron      <= '0;
      source      <= '0;
      written     <= '0;
      taken       <= '0;
      AERIN_ACK   <= 1'b0;
      AEROUT_REQ  <= 1'b0;
      AEROUT_ADDR <= '0;
    end else begin
      if (take_axon) AERIN_ACK <= 1'b1;
      else if (!req_sync[1]) AERIN_ACK <= 1'b0;
      if (push) written <= written + (PW + 1)'(1);
      if (pop) taken <= taken + (PW + 1)'(1);
      unique case (state)
        Idle: begin
          source <= take_source;
          if (take_spike) begin
            AEROUT_ADDR <= take_source[7:0];
            AEROUT_REQ  <= 1'b1;
            state       <= Request;
          end else if (take_axon) begin
            unique case (AERIN_ADDR[9:8])
              2'd0:    state <= Event;
              2'd1:    state <= Leak;
              2'd2:    state <= Clear;
              default: state <= Idle;
            endcase
          end
        end
        Request: if (ack_sync[1]) begin
          AEROUT_REQ <= 1'b0;
          state      <= Release;
        end
        Release: if (!ack_sync[1]) state <= Event;
        default: begin
          neuron <= neuron + 8'd1;
          if (neuron == 8'd255) state <= Idle;
        end
      endcase
    end
  end
endmodule

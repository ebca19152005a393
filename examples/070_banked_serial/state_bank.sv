// SPDX-License-Identifier: Apache-2.0
// A quarter of the neurons' state: words {refr[2:0], v[15:0]} in a memory that nothing resets, and
// inputs under way. A word counts only while its dirty bit is set; a clean one stands for a neuron
// at rest. So all state is forgotten in one clock.
module state_bank #(
  parameter  int unsigned WORDS = 32,
  localparam int unsigned AW    = $clog2(WORDS)
) (
  input  logic               clk,
  input  logic               forget,      // all words and inputs count as 0 from the next clock
  // inputs under way
  input  logic               add,
  input  logic [AW-1:0]      add_at,
  input  logic signed [13:0] add_sum,
  output logic signed [13:0] add_old,
  // state
  input  logic [AW-1:0]      at,
  output logic signed [15:0] v,
  output logic [2:0]         refr,
  output logic signed [13:0] drive,
  input  logic               write,       // also takes the input: drive is 0 from the next clock
  input  logic signed [15:0] v_new,
  input  logic [2:0]         refr_new
);
  logic [18:0]      word [WORDS];
  logic [13:0]      acc [WORDS];
  logic [WORDS-1:0] dirty;
  logic [WORDS-1:0] pending;

  assign v       = dirty[at] ? $signed(word[at][15:0]) : 16'sd0;
  assign refr    = dirty[at] ? word[at][18:16] : 3'd0;
  assign drive   = pending[at] ? $signed(acc[at]) : 14'sd0;
  assign add_old = pending[add_at] ? $signed(acc[add_at]) : 14'sd0;

  always_ff @(posedge clk) begin
    if (add) acc[add_at] <= add_sum;
    if (write) word[at] <= {refr_new, v_new};
  end
  always_ff @(posedge clk) begin
    if (forget) begin
      dirty   <= '0;
      pending <= '0;
    end else begin
      if (add) pending[add_at] <= 1'b1;
      if (write) begin
        dirty[at]   <= 1'b1;
        pending[at] <= 1'b0;
      end
    end
  end
endmodule

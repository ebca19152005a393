// SPDX-License-Identifier: Apache-2.0
// One neuron of the array: multiply, add, compare, in one clock. Equations in README.md.
`ifdef FAULTS
  `define Q88_FAULT(Id, Faulty, Normal) ((fault == Id) ? (Faulty) : (Normal))
`else
  `define Q88_FAULT(Id, Faulty, Normal) (Normal)
`endif

module q88_cell #(
  parameter logic        [8:0]  DECAY   = 9'd243,     // Q1.8: 0.949 of v is kept
  parameter logic signed [15:0] THRESH  = 16'sd2560,  // Q8.8: 10.0
  parameter logic        [2:0]  REFRACT = 3'd2        // clocks without update after a spike
) (
  input  logic               clk,
  input  logic               rst,                     // synchronous
`ifdef FAULTS
  input  logic        [7:0]  fault,
`endif
  input  logic signed [15:0] current,                 // Q8.8
  output logic               fire
);
  logic signed [15:0] v;
  logic        [2:0]  pause;

  logic signed [25:0] product;
  logic signed [18:0] sum;
  logic signed [15:0] clipped;
  logic               above;

  // Division of signed operands rounds toward zero; a shift would round down.
  assign product = v * $signed({1'b0, `Q88_FAULT(8'd6, DECAY ^ 9'd1, DECAY)});
  assign sum     = 19'(`Q88_FAULT(8'd1, product >>> 8, product / 26'sd256)) + 19'(current);
  assign clipped = `Q88_FAULT(8'd4, sum[15:0],
                              (sum > 19'sd32767)  ? 16'sh7fff :
                              (sum < -19'sd32768) ? 16'sh8000 : sum[15:0]);
  assign above   = `Q88_FAULT(8'd2, clipped >= THRESH, clipped > THRESH);

  always_ff @(posedge clk) begin
    if (rst) begin
      v     <= '0;
      pause <= '0;
      fire  <= 1'b0;
    end else if (pause != '0) begin
      v     <= `Q88_FAULT(8'd7, 16'(product / 26'sd256), v);
      pause <= pause - 3'd1;
      fire  <= 1'b0;
    end else begin
      v     <= above ? `Q88_FAULT(8'd3, 16'sd0, clipped - THRESH) : clipped;
      pause <= above ? `Q88_FAULT(8'd5, REFRACT - 3'd1, REFRACT) : '0;
      fire  <= above;
    end
  end
endmodule

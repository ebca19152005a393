// SPDX-License-Identifier: Apache-2.0
// 32 neurons as found in the wild: Verilog-2001, SystemVerilog's keywords as names, widths that do
// not fit each other, blocking assignments in a clocked block, weights from a file.
`ifdef FAULTS
`define ALT(id, faulty, normal) ((fault == id) ? (faulty) : (normal))
`else
`define ALT(id, faulty, normal) (normal)
`endif

module snn(clk, reset, byte, strobe, do, return, bit, int);
parameter thresh = 300;
parameter shift = 3;
input clk, reset;
input [4:0] byte;       // address of the event
input strobe;           // there is one
input do;               // start
output return;           // done
output [31:0] bit;      // spikes of the timestep
output [383:0] int;     // potentials, 12 bits each
reg return;
reg [31:0] bit;

`ifdef FAULTS
integer fault;
initial begin
  fault = 0;
  if ($value$plusargs("fault=%d", fault)) ;
end
`endif

reg signed [7:0] weight [0:1023];
initial $readmemh("weights.hex", weight);

reg signed [11:0] v [0:31];
reg signed [11:0] static [0:31];      // input under way
reg [5:0] priority;
reg [1:0] new;                      // state
reg signed [11:0] next;
integer i;

always @(posedge clk) begin
  return = 0;
  if (reset) begin
    new = 0;
    priority = 0;
    bit = 0;
    for (i = 0; i < 32; i = i + 1) begin
      v[i] = 0;
      static[i] = 0;
    end
  end
  else case (new)
    0: begin
      if (strobe)
        for (i = 0; i < 32; i = i + 1)
          static[i] = static[i] + `ALT(1, $signed(weight[{byte, i[4:0]}] & 8'sh7f), weight[{byte, i[4:0]}]);
      if (do) begin
        new = 1;
        priority = 0;
      end
    end
    1: begin
      next = v[priority] - `ALT(2, v[priority] / 8, v[priority] >>> shift) + static[priority];
      if (`ALT(6, priority == 13 && next[11], 0)) next = 0;
      bit[priority] = `ALT(3, next >= thresh, next > thresh);
      if (next > thresh) v[priority] = `ALT(4, 0, -64);
      else v[priority] = next;
      if (`ALT(5, priority != 31, 1)) static[priority] = 0;
      priority = priority + 1;
      if (priority == 32) new = 2;
    end
    2: begin
      return = 1;
      if (`ALT(7, bit[3:0] == 4'hf, 0)) bit[0] = 0;
      new = 0;
    end
  endcase
end

genvar g;
generate
  for (g = 0; g < 32; g = g + 1) begin : packed
    assign int[12*g+11:12*g] = v[g];
  end
endgenerate
endmodule

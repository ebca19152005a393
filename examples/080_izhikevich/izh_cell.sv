// SPDX-License-Identifier: Apache-2.0
// One Izhikevich neuron in 2.16 fixed point, one timestep in four clocks. Equations in README.md.
`ifdef FAULTS
  `define IZH_FAULT(Id, Faulty, Normal) ((fault == Id) ? (Faulty) : (Normal))
`else
  `define IZH_FAULT(Id, Faulty, Normal) (Normal)
`endif

module izh_cell #(
  parameter logic signed [17:0] A = 18'sd1311,    // 0.02
  parameter logic signed [17:0] B = 18'sd13107,   // 0.2
  parameter logic signed [17:0] C = -18'sd42598,  // -0.65: v after a spike
  parameter logic signed [17:0] D = 18'sd5243     // 0.08: added to u by a spike
) (
  input  logic               clk,
  input  logic               rst,
  input  logic [1:0]         phase,
`ifdef FAULTS
  input  logic [7:0]         fault,
`endif
  input  logic signed [17:0] drive,
  output logic               spike
);
  localparam logic signed [17:0] PEAK  = 18'sd19661;  // 0.30
  localparam logic signed [21:0] CONST = 22'sd91750;  // 1.40

  // Products have 2 * 16 fraction bits; 16 of them are cut off, which rounds down.
  function automatic logic signed [17:0] times(input logic signed [17:0] x,
                                               input logic signed [17:0] y);
    times = 18'((36'(x) * 36'(y)) >>> 16);
  endfunction

  logic signed [17:0] v, u;            // state
  logic signed [17:0] square, bv;      // after phase 0
  logic signed [17:0] v_next, du;      // after phase 1
  logic signed [17:0] u_next;          // after phase 2
  logic signed [21:0] dv;
  logic               fires;

  assign dv = (22'(square) <<< 2)
            + `IZH_FAULT(8'd7, (22'(v) <<< 2) + (22'(v) >>> 1), 22'(v) * 22'sd5)
            + `IZH_FAULT(8'd1, CONST + 22'sd64, CONST) - 22'(u) + 22'(drive);
  assign fires = `IZH_FAULT(8'd3, v_next > PEAK, v_next >= PEAK);

  always_ff @(posedge clk) begin
    if (rst) begin
      v      <= C;
      u      <= times(B, C);
      square <= '0;
      bv     <= '0;
      v_next <= '0;
      du     <= '0;
      u_next <= '0;
      spike  <= 1'b0;
    end else begin
      unique case (phase)
        2'd0: begin
          square <= times(v, v);
          bv     <= times(B, v);
        end
        2'd1: begin
          v_next <= 18'(`IZH_FAULT(8'd5, 22'($signed(dv[17:0])), dv) >>> 4) + v;
          du     <= times(A, bv - u);
        end
        2'd2: begin
          u_next <= (`IZH_FAULT(8'd4, times(A, times(B, v_next) - u), du) >>> 4) + u;
        end
        2'd3: begin
          spike  <= fires;
          v      <= fires ? C : v_next;
          u      <= fires ? `IZH_FAULT(8'd2, u_next, u_next + D) : u_next;
        end
      endcase
    end
  end
endmodule

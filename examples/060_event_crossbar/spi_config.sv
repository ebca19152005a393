// SPDX-License-Identifier: Apache-2.0
// Serial configuration, in the clock domain of the serial clock. A frame has 52 bits, the highest
// first: read, three bits that say what, 16 of the address, 32 of data. Of a read frame the data
// comes out of `miso`, which changes with the falling edge of `sck`.
//   what 0: register 0 gate (1: the core takes no events), register 1 leak
//   what 1: threshold of neuron `address`
//   what 2: synapses, word {source, group}: eight weights of 4 bits, neuron 8 * group in the lowest
// Written while the gate is shut.
module spi_config (
  input  logic              rst,
  input  logic              sck,
  input  logic              mosi,
  output logic              miso,
  output logic              gate,
  output logic        [9:0] leak,
  input  logic        [7:0] neuron,
  output logic signed [9:0] threshold_of_neuron,
  input  logic        [8:0] source,
  output logic        [3:0] weight_of_neuron
);
  logic [31:0]       synapses [16384];
  logic signed [9:0] threshold [256];

  logic [50:0] frame;                    // what has come in; the newest bit is the lowest
  logic [5:0]  received;
  logic [31:0] answer;
  // In the clock of the last bit of a frame:
  logic        write;
  logic [2:0]  what;
  logic [15:0] address;
  logic [31:0] data;
  assign write   = received == 6'd51 && !frame[50];
  assign what    = frame[49:47];
  assign address = frame[46:31];
  assign data    = {frame[30:0], mosi};

  always_ff @(posedge sck or posedge rst) begin
    if (rst) begin
      frame    <= '0;
      received <= '0;
      gate     <= 1'b1;
      leak     <= '0;
    end else begin
      frame    <= {frame[49:0], mosi};
      received <= (received == 6'd51) ? '0 : received + 6'd1;
      if (write && what == 3'd0) begin
        if (address == 16'd0) gate <= data[0];
        if (address == 16'd1) leak <= data[9:0];
      end
    end
  end
  always_ff @(posedge sck) begin
    if (write) begin
      if (what == 3'd1) threshold[address[7:0]] <= data[9:0];
      if (what == 3'd2) synapses[address[13:0]] <= data;
    end
  end

  // The answer is taken with the last bit of the address and shifted out with falling edges.
  always_ff @(negedge sck or posedge rst) begin
    if (rst) answer <= '0;
    else if (received == 6'd20)
      answer <= frame[18:16] == 3'd2 ? synapses[frame[13:0]] :
                frame[18:16] == 3'd1 ? 32'(threshold[frame[7:0]]) :
                frame[0]             ? 32'(leak) : 32'(gate);
    else answer <= {answer[30:0], 1'b0};
  end
  assign miso = answer[31];

  logic [31:0] group;
  assign group               = synapses[{source, neuron[7:3]}];
  assign weight_of_neuron    = group[{neuron[2:0], 2'b00} +: 4];
  assign threshold_of_neuron = threshold[neuron];
endmodule

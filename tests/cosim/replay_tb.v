// SPDX-License-Identifier: Apache-2.0
// Drives snn_core with what record_waves applied, under any Verilog simulator, and dumps a waveform:
//   +events=FILE (its words: "clear", "event AXON", "tick"), FILE.config, +dump=FILE
`timescale 1ns/1ps
module tb;
  reg clk = 1'b0;
  reg rst_n = 1'b1;
  reg cfg_we = 1'b0;
  reg [23:0] cfg_addr = 24'd0;
  reg [31:0] cfg_wdata = 32'd0;
  reg clear = 1'b0;
  reg tick = 1'b0;
  reg ev_valid = 1'b0;
  reg [5:0] ev_axon = 6'd0;
  wire [31:0] cfg_rdata;
  wire busy, done, ev_ready, spk_valid, probe_valid, probe_spike;
  wire [5:0] spk_neuron, probe_neuron;
  wire [13:0] probe_i_syn;
  wire [15:0] probe_u;
  wire [9:0] probe_v;
  wire [7:0] probe_refr;

  snn_core dut (
    .clk_i(clk), .rst_ni(rst_n), .cfg_we_i(cfg_we), .cfg_addr_i(cfg_addr),
    .cfg_wdata_i(cfg_wdata), .cfg_rdata_o(cfg_rdata), .clear_i(clear), .tick_i(tick),
    .busy_o(busy), .done_o(done), .ev_valid_i(ev_valid), .ev_ready_o(ev_ready),
    .ev_axon_i(ev_axon), .spk_valid_o(spk_valid), .spk_ready_i(1'b1), .spk_neuron_o(spk_neuron),
    .probe_valid_o(probe_valid), .probe_neuron_o(probe_neuron), .probe_i_syn_o(probe_i_syn),
    .probe_u_o(probe_u), .probe_v_o(probe_v), .probe_refr_o(probe_refr),
    .probe_spike_o(probe_spike));

  reg was_ready, was_done, was_busy, pending;
  integer file, got, address, data;
  reg [8*1024-1:0] events, dump;
  reg [8*16-1:0] word;

  // One clock; outputs are taken before its rising edge.
  task cycle;
    begin
      clk = 1'b0;
      #5;
      was_ready = ev_ready;
      was_done = done;
      was_busy = busy;
      clk = 1'b1;
      #5;
    end
  endtask
  task until_done;
    begin
      cycle;
      while (was_done !== 1'b1) cycle;
    end
  endtask
  task clear_core;
    begin
      clear = 1'b1;
      cycle;
      clear = 1'b0;
      until_done;
    end
  endtask

  initial begin
    if (!$value$plusargs("events=%s", events) || !$value$plusargs("dump=%s", dump)) $finish;
    $dumpfile(dump);
    $dumpvars(0, tb);
    #1 rst_n = 1'b0;
    repeat (4) cycle;
    rst_n = 1'b1;
    cycle;
    file = $fopen({events, ".config"}, "r");
    got = $fscanf(file, "%d %d", address, data);
    while (got == 2) begin
      cfg_we = 1'b1;
      cfg_addr = address[23:0];
      cfg_wdata = data;
      cycle;
      got = $fscanf(file, "%d %d", address, data);
    end
    $fclose(file);
    cfg_we = 1'b0;
    cycle;
    clear_core;
    pending = 1'b0;
    file = $fopen(events, "r");
    got = $fscanf(file, "%s", word);
    while (got == 1) begin
      if (word == "clear") clear_core;
      if (word == "event") begin
        got = $fscanf(file, "%d", data);
        ev_axon = data[5:0];
        ev_valid = 1'b1;
        cycle;
        while (was_ready !== 1'b1) cycle;
        ev_valid = 1'b0;
        pending = 1'b1;
      end
      if (word == "tick") begin
        if (pending) begin
          cycle;
          while (was_busy !== 1'b0) cycle;
        end
        pending = 1'b0;
        tick = 1'b1;
        cycle;
        tick = 1'b0;
        until_done;
      end
      got = $fscanf(file, "%s", word);
    end
    $finish;
  end
endmodule

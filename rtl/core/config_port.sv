// SPDX-License-Identifier: Apache-2.0
// Decodes the configuration port, holds the global registers and muxes the read-back.
// Latency : the port is registered: a write reaches its register or memory two clk_i edges after
//           cfg_we_i, cfg_rdata_o is valid two edges after cfg_addr_i.
// Format  : address map in rtl/README.md; signed fields are read back sign-extended.
`include "spikelock_assert.svh"

module config_port #(
  parameter int unsigned Neurons     = 1024,
  parameter int unsigned Sources     = 1280,
  parameter int unsigned Synapses    = 65536,
  parameter int unsigned IdxWidth    = 10,
  parameter int unsigned SourceWidth = 11,
  parameter int unsigned SynIdxWidth = 16,
  parameter int unsigned DelayWidth  = 2,
  parameter int unsigned VWidth      = 16,
  parameter int unsigned WWidth      = 8,
  parameter int unsigned LeakFrac    = 12,
  parameter int unsigned RefrWidth   = 8
) (
  input  logic                     clk_i,
  input  logic                     rst_ni,
  input  logic                     busy_i,
  input  logic                     tick_i,
  input  logic                     cfg_we_i,
  input  logic [23:0]              cfg_addr_i,
  input  logic [31:0]              cfg_wdata_i,
  output logic [31:0]              cfg_rdata_o,
  output logic                     pending_o,  // a write is under way
  // Global registers
  output logic                     leak_mode_o,
  output logic [1:0]               rounding_o,
  output logic                     v_overflow_o,
  output logic                     acc_overflow_o,
  output logic                     compare_o,
  output logic                     reset_mode_o,
  output logic [3:0]               weight_shift_o,
  output logic [3:0]               u_shift_o,
  // Memories: which word to write, and the address for writing and reading back
  output logic [5:0]               param_we_o,
  output logic [IdxWidth-1:0]      param_addr_o,
  output logic [2:0]               row_we_o,
  output logic [SourceWidth-1:0]   row_addr_o,
  output logic                     syn_we_o,
  output logic [31:0]              wdata_o,
  output logic [SynIdxWidth-1:0]   syn_addr_o,
  // Words read at these addresses, one clock later
  input  logic signed [VWidth-1:0] threshold_i,
  input  logic signed [VWidth-1:0] bias_i,
  input  logic [LeakFrac:0]        leak_i,
  input  logic signed [VWidth-1:0] v_reset_i,
  input  logic [LeakFrac:0]        u_decay_i,
  input  logic [RefrWidth-1:0]     refractory_i,
  input  logic                     spiking_i,
  input  logic                     cuba_i,
  input  logic [SynIdxWidth-1:0]   row_first_i,
  input  logic [SynIdxWidth:0]     row_length_i,
  input  logic                     row_dense_i,
  input  logic [DelayWidth-1:0]    row_delay_i,
  input  logic [IdxWidth-1:0]      row_base_i,
  input  logic [IdxWidth-1:0]      syn_target_i,
  input  logic [DelayWidth-1:0]    syn_delay_i,
  input  logic signed [WWidth-1:0] syn_weight_i
);
  typedef enum logic [2:0] {SelNone, SelGlobal, SelParam, SelRow, SelSynapse} sel_e;

  sel_e        sel, sel_q;
  logic        we_q;
  logic [23:0] addr_q;
  logic [31:0] wdata_q;
  logic [2:0]  word_q;
  logic [16:0] param_index;
  logic [18:0] row_index;
  logic [23:0] syn_index;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) we_q <= 1'b0;
    else         we_q <= cfg_we_i;
  end

  always_ff @(posedge clk_i) begin
    addr_q  <= cfg_addr_i;
    wdata_q <= cfg_wdata_i;
  end

  assign pending_o   = we_q;
  assign wdata_o     = wdata_q;
  assign param_index = addr_q[19:3];
  assign row_index   = addr_q[20:2];
  assign syn_index   = addr_q - 24'h400000;

  always_comb begin
    sel = SelNone;
    if (addr_q < 24'h000008) begin
      sel = SelGlobal;
    end else if (addr_q[23:20] == 4'h1) begin
      if (32'(param_index) < Neurons && addr_q[2:0] < 3'd6) sel = SelParam;
    end else if (addr_q[23:21] == 3'b001) begin
      if (32'(row_index) < Sources && addr_q[1:0] != 2'd3) sel = SelRow;
    end else if (addr_q[23:22] != 2'b00) begin
      if (32'(syn_index) < Synapses) sel = SelSynapse;
    end
  end

  assign param_addr_o = param_index[IdxWidth-1:0];
  assign row_addr_o   = row_index[SourceWidth-1:0];
  assign syn_addr_o   = syn_index[SynIdxWidth-1:0];
  assign param_we_o   = (we_q && sel == SelParam) ? 6'b1 << addr_q[2:0] : '0;
  assign row_we_o     = (we_q && sel == SelRow) ? 3'b1 << addr_q[1:0] : '0;
  assign syn_we_o     = we_q && sel == SelSynapse;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      leak_mode_o    <= 1'b0;
      rounding_o     <= 2'd0;
      v_overflow_o   <= 1'b0;
      acc_overflow_o <= 1'b0;
      compare_o      <= 1'b0;
      reset_mode_o   <= 1'b0;
      weight_shift_o <= 4'd0;
      u_shift_o      <= 4'd0;
    end else if (we_q && sel == SelGlobal) begin
      case (addr_q[2:0])
        3'd0:    leak_mode_o    <= wdata_q[0];
        3'd1:    rounding_o     <= wdata_q[1:0];
        3'd2:    v_overflow_o   <= wdata_q[0];
        3'd3:    acc_overflow_o <= wdata_q[0];
        3'd4:    compare_o      <= wdata_q[0];
        3'd5:    reset_mode_o   <= wdata_q[0];
        3'd6:    weight_shift_o <= wdata_q[3:0];
        default: u_shift_o      <= wdata_q[3:0];
      endcase
    end
  end

  // Read-back: the address is decoded while the memories read, the mux works a clock later.
  always_comb begin
    cfg_rdata_o = '0;
    case (sel_q)
      SelGlobal: begin
        case (word_q)
          3'd0:    cfg_rdata_o = 32'(leak_mode_o);
          3'd1:    cfg_rdata_o = 32'(rounding_o);
          3'd2:    cfg_rdata_o = 32'(v_overflow_o);
          3'd3:    cfg_rdata_o = 32'(acc_overflow_o);
          3'd4:    cfg_rdata_o = 32'(compare_o);
          3'd5:    cfg_rdata_o = 32'(reset_mode_o);
          3'd6:    cfg_rdata_o = 32'(weight_shift_o);
          default: cfg_rdata_o = 32'(u_shift_o);
        endcase
      end
      SelParam: begin
        case (word_q)
          3'd0:    cfg_rdata_o = 32'(threshold_i);
          3'd1:    cfg_rdata_o = 32'(bias_i);
          3'd2:    cfg_rdata_o = 32'(leak_i);
          3'd3:    cfg_rdata_o = 32'(v_reset_i);
          3'd4:    cfg_rdata_o = 32'(u_decay_i);
          default: cfg_rdata_o = {16'd0, 8'(refractory_i), 6'd0, spiking_i, cuba_i};
        endcase
      end
      SelRow: begin
        case (word_q[1:0])
          2'd0:    cfg_rdata_o = 32'(row_first_i);
          2'd1:    cfg_rdata_o = 32'(row_length_i);
          default: cfg_rdata_o = {row_dense_i, 11'd0, 4'(row_delay_i), 4'd0, 12'(row_base_i)};
        endcase
      end
      SelSynapse: cfg_rdata_o = {12'(syn_target_i), 4'(syn_delay_i), 16'(syn_weight_i)};
      default:    cfg_rdata_o = '0;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      sel_q  <= SelNone;
      word_q <= 3'd0;
    end else begin
      sel_q  <= busy_i ? SelNone : sel;
      word_q <= addr_q[2:0];
    end
  end

  `ASSERT(ConfigWriteOnlyWhenIdle, cfg_we_i |-> !busy_i && !tick_i)
  `ASSERT(ConfigWriteInMap, we_q |-> sel != SelNone)
  `ASSERT(SynapseTargetInRange, syn_we_o |-> 32'(wdata_q[31:20]) < Neurons)
  `ASSERT(SynapseDelayInRange, syn_we_o |-> 32'(wdata_q[19:16]) < (1 << DelayWidth))
  `ASSERT_INIT(AddressMapHoldsNeurons, Neurons <= 4096 && Sources <= 524288)
  `ASSERT_INIT(AddressMapHoldsSynapses, Synapses <= 24'hC00000)
endmodule

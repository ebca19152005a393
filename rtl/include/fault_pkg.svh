// SPDX-License-Identifier: Apache-2.0
// Injected faults: bugs put into a core on purpose, listed in rtl/faults.toml. Without FAULTS
// nothing of them is compiled: `FAULT yields its last argument and all else is under `ifdef.
`ifndef FAULT_PKG_SVH
`define FAULT_PKG_SVH

`ifdef FAULTS
  `define FAULT(Select, Name, Faulty, Normal) \
    ((Select == fault_pkg::Name) ? (Faulty) : (Normal))

package fault_pkg;
  localparam logic [7:0] ThresholdCompare   = 8'd1;
  localparam logic [7:0] ResetToZero        = 8'd2;
  localparam logic [7:0] LeakRounding       = 8'd3;
  localparam logic [7:0] WrapForSaturate    = 8'd4;
  localparam logic [7:0] RefractoryShort    = 8'd5;
  localparam logic [7:0] RefractoryLong     = 8'd6;
  localparam logic [7:0] FanOutLate         = 8'd7;
  localparam logic [7:0] EventOverflow      = 8'd8;
  localparam logic [7:0] EventMerged        = 8'd9;
  localparam logic [7:0] SpikeSwapped       = 8'd10;
  localparam logic [7:0] ProbeSwapped       = 8'd11;
  localparam logic [7:0] StaleWeight        = 8'd12;
  localparam logic [7:0] LastSynapseMissing = 8'd13;
  localparam logic [7:0] WeightUnsigned     = 8'd14;
  localparam logic [7:0] DelayShort         = 8'd15;
  localparam logic [7:0] BiasIgnored        = 8'd16;
  localparam logic [7:0] AccNotCleared      = 8'd17;
  localparam logic [7:0] VTruncated         = 8'd18;
  localparam logic [7:0] ThresholdPreviousV = 8'd19;
  localparam logic [7:0] RefractoryLeaks    = 8'd20;
  localparam logic [7:0] CubaFrozen         = 8'd21;
  localparam logic [7:0] AccOverflowMode    = 8'd22;
  localparam logic [7:0] UShiftFloor        = 8'd23;
  localparam logic [7:0] ClearKeepsRefr     = 8'd24;
  localparam logic [7:0] ClearMissesSlot    = 8'd25;
  localparam logic [7:0] LeakSkipped        = 8'd26;
  localparam logic [7:0] SaturatesPositive  = 8'd27;
  localparam logic [7:0] ThresholdStale     = 8'd28;
  localparam logic [7:0] SpikeOverwritten   = 8'd29;
  localparam logic [7:0] EventBackToBack    = 8'd30;
endpackage
`else
  `define FAULT(Select, Name, Faulty, Normal) Normal
`endif

`endif  // FAULT_PKG_SVH

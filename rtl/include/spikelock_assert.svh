// SPDX-License-Identifier: Apache-2.0
// Assertion macros. `ASSERT is clocked by clk_i and disabled by !rst_ni of the module that uses it;
// `ASSERT_INIT checks parameters once, when a simulation starts. Both vanish in synthesis and in
// tools without concurrent assertions.
`ifndef SPIKELOCK_ASSERT_SVH
`define SPIKELOCK_ASSERT_SVH

`ifdef SYNTHESIS
  `define ASSERT(Name, Property)
  `define ASSERT_INIT(Name, Condition)
`elsif __ICARUS__
  `define ASSERT(Name, Property)
  `define ASSERT_INIT(Name, Condition)
`else
  `define ASSERT(Name, Property) \
    Name: assert property (@(posedge clk_i) disable iff (!rst_ni) (Property)) \
      else $error("%s does not hold", `"Name`");
  `define ASSERT_INIT(Name, Condition) \
    initial begin \
      Name: assert (Condition) else $fatal(1, "parameters: %s does not hold", `"Name`"); \
    end
`endif

`endif  // SPIKELOCK_ASSERT_SVH

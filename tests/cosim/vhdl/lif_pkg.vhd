-- SPDX-License-Identifier: Apache-2.0
-- Number formats of the array.
library ieee;
use ieee.numeric_std.all;

package lif_pkg is
  constant V_WIDTH   : positive := 16;
  constant SUM_WIDTH : positive := V_WIDTH + 2;

  subtype v_t is signed(V_WIDTH - 1 downto 0);
  subtype sum_t is signed(SUM_WIDTH - 1 downto 0);
end package;

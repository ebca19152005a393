-- SPDX-License-Identifier: Apache-2.0
-- Independent neurons, all updated in every clock.
library ieee;
use ieee.std_logic_1164.all;
use work.lif_pkg.all;

entity Lif_Array is
  generic (
    NEURONS    : positive := 2;
    LEAK_SHIFT : natural  := 1
  );
  port (
    CLK     : in  std_logic;
    RST_N   : in  std_logic;
    CURRENT : in  std_logic_vector(V_WIDTH * NEURONS - 1 downto 0);
    SPIKES  : out std_logic_vector(NEURONS - 1 downto 0)
  );
end entity;

architecture rtl of Lif_Array is
begin
  gen_neuron : for i in 0 to NEURONS - 1 generate
    u_cell : entity work.lif_cell
      generic map (LEAK_SHIFT => LEAK_SHIFT)
      port map (
        clk     => CLK,
        rst_n   => RST_N,
        current => CURRENT(V_WIDTH * i + V_WIDTH - 1 downto V_WIDTH * i),
        spike   => SPIKES(i)
      );
  end generate;
end architecture;

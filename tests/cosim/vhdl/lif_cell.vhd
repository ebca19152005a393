-- SPDX-License-Identifier: Apache-2.0
-- Leaky integrate-and-fire neuron, one update a clock: v' = sat(v - (v >>> LEAK_SHIFT) + current);
-- at THRESHOLD or above it fires and v is 0. Saturation is done by clip.v.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
use work.lif_pkg.all;

entity lif_cell is
  generic (
    LEAK_SHIFT : natural := 4;
    THRESHOLD  : integer := 4096
  );
  port (
    clk     : in  std_logic;
    rst_n   : in  std_logic;
    current : in  std_logic_vector(V_WIDTH - 1 downto 0);
    spike   : out std_logic
  );
end entity;

architecture rtl of lif_cell is
  component clip is
    generic (IN_WIDTH : positive; OUT_WIDTH : positive);
    port (
      x : in  std_logic_vector(SUM_WIDTH - 1 downto 0);
      y : out std_logic_vector(V_WIDTH - 1 downto 0)
    );
  end component;

  signal V_q     : v_t;
  signal spike_q : std_logic;
  signal sum     : sum_t;
  signal clipped : std_logic_vector(V_WIDTH - 1 downto 0);
begin
  sum <= resize(V_q, SUM_WIDTH) - shift_right(V_q, LEAK_SHIFT) + signed(current);

  u_clip : clip
    generic map (IN_WIDTH => SUM_WIDTH, OUT_WIDTH => V_WIDTH)
    port map (x => std_logic_vector(sum), y => clipped);

  process (clk, rst_n)
  begin
    if rst_n = '0' then
      V_q     <= (others => '0');
      spike_q <= '0';
    elsif rising_edge(clk) then
      if signed(clipped) >= THRESHOLD then
        V_q     <= (others => '0');
        spike_q <= '1';
      else
        V_q     <= signed(clipped);
        spike_q <= '0';
      end if;
    end if;
  end process;

  spike <= spike_q;
end architecture;

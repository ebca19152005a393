-- SPDX-License-Identifier: Apache-2.0
-- What arithmetic of spiking cores is made of, for vhdl_check.cpp to hold a translation against.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity vhdl_check is
  generic (Shift : natural := 3);
  port (
    clk_i  : in  std_logic;
    rst_ni : in  std_logic;
    a_i    : in  std_logic_vector(7 downto 0);
    b_i    : in  std_logic_vector(7 downto 0);
    -- Shifts of signed numbers, by a constant and by b, and of unsigned ones; rotations.
    signed_right_constant_o : out std_logic_vector(7 downto 0);
    signed_right_o          : out std_logic_vector(7 downto 0);
    signed_left_o           : out std_logic_vector(7 downto 0);
    unsigned_right_o        : out std_logic_vector(7 downto 0);
    unsigned_left_o         : out std_logic_vector(7 downto 0);
    shifted_sum_o           : out std_logic_vector(9 downto 0);
    rotate_left_o           : out std_logic_vector(7 downto 0);
    rotate_right_o          : out std_logic_vector(7 downto 0);
    -- < <= > >= = /= of signed numbers, the same of unsigned ones; with constants < 0, > -5.
    signed_compare_o   : out std_logic_vector(5 downto 0);
    unsigned_compare_o : out std_logic_vector(5 downto 0);
    constant_compare_o : out std_logic_vector(1 downto 0);
    widths_compare_o   : out std_logic_vector(1 downto 0);
    -- Changes of width: wider, narrower (numeric_std keeps the sign), and the plain cut.
    signed_wider_o      : out std_logic_vector(11 downto 0);
    signed_narrower_o   : out std_logic_vector(3 downto 0);
    unsigned_wider_o    : out std_logic_vector(11 downto 0);
    unsigned_narrower_o : out std_logic_vector(3 downto 0);
    cut_o               : out std_logic_vector(3 downto 0);
    -- Products, sums, negation.
    signed_product_o   : out std_logic_vector(15 downto 0);
    unsigned_product_o : out std_logic_vector(15 downto 0);
    mixed_product_o    : out std_logic_vector(15 downto 0);
    scaled_product_o   : out std_logic_vector(7 downto 0);
    sum_o              : out std_logic_vector(8 downto 0);
    difference_o       : out std_logic_vector(8 downto 0);
    negated_o          : out std_logic_vector(7 downto 0);
    saturated_o        : out std_logic_vector(7 downto 0);
    integer_o          : out std_logic_vector(15 downto 0);
    -- Registers: sum is cleared by an asynchronous reset, and leaks; a memory of 16 words.
    leaky_o  : out std_logic_vector(15 downto 0);
    memory_o : out std_logic_vector(7 downto 0)
  );
end entity;

architecture rtl of vhdl_check is
  type words_t is array (0 to 15) of signed(7 downto 0);
  signal a, b    : signed(7 downto 0);
  signal ua, ub  : unsigned(7 downto 0);
  signal amount  : natural range 0 to 15;
  signal sum     : signed(9 downto 0);
  signal product : signed(15 downto 0);
  signal leaky   : signed(15 downto 0);
  signal words   : words_t;
begin
  a      <= signed(a_i);
  b      <= signed(b_i);
  ua     <= unsigned(a_i);
  ub     <= unsigned(b_i);
  amount <= to_integer(ub(3 downto 0));

  signed_right_constant_o <= std_logic_vector(shift_right(a, Shift));
  signed_right_o          <= std_logic_vector(shift_right(a, amount));
  signed_left_o           <= std_logic_vector(shift_left(a, amount));
  unsigned_right_o        <= std_logic_vector(shift_right(ua, amount));
  unsigned_left_o         <= std_logic_vector(shift_left(ua, amount));
  shifted_sum_o           <= std_logic_vector(resize(a, 10) - shift_right(resize(b, 10), 2));
  rotate_left_o           <= std_logic_vector(rotate_left(ua, Shift));
  rotate_right_o          <= std_logic_vector(rotate_right(ua, Shift));

  signed_compare_o(0)   <= '1' when a < b else '0';
  signed_compare_o(1)   <= '1' when a <= b else '0';
  signed_compare_o(2)   <= '1' when a > b else '0';
  signed_compare_o(3)   <= '1' when a >= b else '0';
  signed_compare_o(4)   <= '1' when a = b else '0';
  signed_compare_o(5)   <= '1' when a /= b else '0';
  unsigned_compare_o(0) <= '1' when ua < ub else '0';
  unsigned_compare_o(1) <= '1' when ua <= ub else '0';
  unsigned_compare_o(2) <= '1' when ua > ub else '0';
  unsigned_compare_o(3) <= '1' when ua >= ub else '0';
  unsigned_compare_o(4) <= '1' when ua = ub else '0';
  unsigned_compare_o(5) <= '1' when ua /= ub else '0';
  constant_compare_o(0) <= '1' when a < 0 else '0';
  constant_compare_o(1) <= '1' when a > -5 else '0';
  widths_compare_o(0)   <= '1' when a < b(3 downto 0) else '0';
  widths_compare_o(1)   <= '1' when ua < ub(3 downto 0) else '0';

  signed_wider_o      <= std_logic_vector(resize(a, 12));
  signed_narrower_o   <= std_logic_vector(resize(a, 4));
  unsigned_wider_o    <= std_logic_vector(resize(ua, 12));
  unsigned_narrower_o <= std_logic_vector(resize(ua, 4));
  cut_o               <= std_logic_vector(a(4 downto 1));

  signed_product_o   <= std_logic_vector(a * b);
  unsigned_product_o <= std_logic_vector(ua * ub);
  mixed_product_o    <= std_logic_vector(resize(a * b(3 downto 0), 16));
  product            <= shift_right(a * b, 4);
  scaled_product_o   <= std_logic_vector(product(7 downto 0));
  sum                <= resize(a, 10) + resize(b, 10) + resize(a, 10);
  sum_o              <= std_logic_vector(resize(a, 9) + b);
  difference_o       <= std_logic_vector(resize(a, 9) - b);
  negated_o          <= std_logic_vector(-a);
  saturated_o        <= std_logic_vector(to_signed(127, 8)) when sum > 127 else
                        std_logic_vector(to_signed(-128, 8)) when sum < -128 else
                        std_logic_vector(sum(7 downto 0));
  integer_o          <= std_logic_vector(to_signed(3 * to_integer(a) - to_integer(b) + 7, 16));

  process (clk_i, rst_ni)
  begin
    if rst_ni = '0' then
      leaky <= (others => '0');
    elsif rising_edge(clk_i) then
      if leaky >= 1000 then
        leaky <= to_signed(-500, 16);
      else
        leaky <= leaky - shift_right(leaky, Shift) + a;
      end if;
    end if;
  end process;
  leaky_o <= std_logic_vector(leaky);

  process (clk_i)
  begin
    if rising_edge(clk_i) then
      words(to_integer(ua(3 downto 0))) <= b;
    end if;
  end process;
  memory_o <= std_logic_vector(words(amount));
end architecture;

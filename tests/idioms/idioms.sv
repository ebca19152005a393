// SPDX-License-Identifier: Apache-2.0
// The idioms of docs/idioms.md, each as it is written there. Widths and signs that do not fit each
// other are the point: this file is not lint-clean.
module idioms (
  input  logic              clk,
  input  logic              rst,
  input  logic signed [7:0] a,
  input  logic signed [7:0] b,
  input  logic        [3:0] w,
  output logic signed [7:0] shift_signed, shift_unsigned, divided, leak_shift, leak_divided,
  output logic signed [7:0] leak_added, leak_two, leak_two_back, half_added, toward_rest,
  output logic signed [7:0] constant_stop, constant_wraps, only_without_input,
  output logic signed [7:0] multiply_floor, multiply_part, multiply_narrow, multiply_divided,
  output logic signed [7:0] multiply_half_up, multiply_half_away, multiply_even, multiply_up,
  output logic signed [7:0] multiply_away, multiply_chance, multiply_unsigned,
  output logic signed [7:0] sum_wraps, sum_saturates, sum_saturates_bits, sum_not_negative,
  output logic signed [7:0] sum_upper_only, sum_bounded, sum_unsigned, saturates_first,
  output logic signed [7:0] saturates_last, extended_by_hand, weight_extended,
  output logic signed [7:0] weight_zero_extended, reset_subtract, reset_value, noise_added,
  output logic              fires_signed, fires_unsigned, fires_part_select, fires_concatenation,
  output logic              fires_sign_bit, fires_next,
  output logic        [7:0] lfsr_fibonacci, lfsr_right, lfsr_xnor, lfsr_galois_left,
  output logic       [15:0] lfsr_galois
);
  logic        [7:0]  ua;
  logic signed [15:0] product;
  logic signed [8:0]  sum;
  logic signed [9:0]  unsigned_sum;
  assign ua = a;

  // ------------------------------------------------------------------ 1. shifts and divisions
  assign shift_signed = a >>> 3;
  assign shift_unsigned = ua >>> 3;
  assign divided = a / 8'sd8;
  assign leak_shift = a - (a >>> 3);
  assign leak_divided = a - a / 8'sd8;
  assign leak_added = a + 8'((9'sd0 - 9'(a)) >>> 3);
  assign leak_two = a - (a >>> 2) - (a >>> 4);
  assign leak_two_back = a - (a >>> 2) + (a >>> 5);
  assign half_added = 8'((9'(a) + 9'sd4) >>> 3);
  assign toward_rest = a + 8'((10'sd20 - 10'(a) + 10'(b)) >>> 2);
  assign constant_stop = (a > 8'sd3) ? a - 8'sd3 : (a < -8'sd3) ? a + 8'sd3 : 8'sd0;
  assign constant_wraps = a - 8'sd3;
  assign only_without_input = (b != 8'sd0) ? a + b : a - (a >>> 2);

  // ------------------------------------------------------------------ 2. products
  assign product = 16'(a) * 16'sd27;
  assign multiply_floor = 8'(product >>> 5);
  assign multiply_part = product[11:4];
  assign multiply_narrow = 8'($signed(product[10:0]) >>> 5);
  assign multiply_divided = 8'(product / 16'sd32);
  assign multiply_half_up = 8'((product + 16'sd16) >>> 5);
  assign multiply_half_away = 8'((product + (product[15] ? 16'sd15 : 16'sd16)) >>> 5);
  assign multiply_even = 8'((product + 16'sd15 + $signed({15'd0, product[5]})) >>> 5);
  assign multiply_up = 8'(-((-product) >>> 5));
  assign multiply_away = 8'((product + (product[15] ? 16'sd0 : 16'sd31)) >>> 5);
  assign multiply_chance = 8'((product + $signed({11'd0, lfsr_galois[4:0]})) >>> 5);
  assign multiply_unsigned = 8'((a * 16'd27) >> 5);

  // ------------------------------------------------------------------ 3. sums and overflow
  assign sum = 9'(a) + 9'(b);
  assign sum_wraps = a + b;
  assign sum_saturates = (sum > 9'sd127) ? 8'sh7f : (sum < -9'sd128) ? 8'sh80 : sum[7:0];
  assign sum_saturates_bits = (sum[8] != sum[7]) ? {sum[8], {7{~sum[8]}}} : sum[7:0];
  assign sum_not_negative = sum[8] ? 8'sd0 : (sum > 9'sd127) ? 8'sh7f : sum[7:0];
  assign sum_upper_only = (sum > 9'sd127) ? 8'sh7f : sum[7:0];
  assign sum_bounded = (sum > 9'sd100) ? 8'sd100 : (sum < -9'sd20) ? -8'sd20 : sum[7:0];
  assign unsigned_sum = $signed({2'b00, ua}) + 10'(b);
  assign sum_unsigned = unsigned_sum[9] ? 8'd0 : unsigned_sum[8] ? 8'hff : unsigned_sum[7:0];
  assign saturates_first = sum_saturates - (sum_saturates >>> 2);
  assign saturates_last = 8'(sum - (sum >>> 2));
  assign extended_by_hand = a + {{4{b[3]}}, b[3:0]};
  assign weight_extended = a + {{4{w[3]}}, w};
  assign weight_zero_extended = a + {4'b0000, w};

  // ------------------------------------------------------------------ 4. comparisons
  assign fires_signed = a >= 8'sd100;
  assign fires_unsigned = a > 8'd100;
  assign fires_part_select = a[7:0] > 8'sd100;
  assign fires_concatenation = {a} >= 8'sd100;
  assign fires_sign_bit = ~a[7] & (ua >= 8'd100);
  assign fires_next = sum_wraps > 8'sd20;

  // ------------------------------------------------------------------ 5. resets
  assign reset_subtract = (sum_saturates >= -8'sd20) ? sum_saturates - (-8'sd20) : sum_saturates;
  assign reset_value = (sum_wraps > 8'sd50) ? -8'sd5
                     : (sum_wraps < -8'sd60) ? -8'sd60 : sum_wraps;

  // ------------------------------------------------------------------ 6. shift registers
  always_ff @(posedge clk)
    lfsr_fibonacci <= rst ? 8'h01 : {lfsr_fibonacci[6:0], ^(lfsr_fibonacci & 8'hb8)};
  always_ff @(posedge clk) lfsr_right <= rst ? 8'h01 : {^(lfsr_right & 8'h1d), lfsr_right[7:1]};
  always_ff @(posedge clk) lfsr_xnor <= rst ? 8'h00 : {lfsr_xnor[6:0], ~^(lfsr_xnor & 8'hb8)};
  always_ff @(posedge clk)
    lfsr_galois <= rst ? 16'hace1 : (lfsr_galois >> 1) ^ (lfsr_galois[0] ? 16'hb400 : 16'h0);
  always_ff @(posedge clk)
    lfsr_galois_left <= rst ? 8'h01 : {lfsr_galois_left[6:0], 1'b0}
                                      ^ (lfsr_galois_left[7] ? 8'h1d : 8'h0);
  assign noise_added = a + 8'($signed(lfsr_galois[4:0])) * 8'sd2;
endmodule

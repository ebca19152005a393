// SPDX-License-Identifier: Apache-2.0
// Holds the translation of vhdl_check.vhd against what VHDL means, for all pairs of 8-bit operands.
// Prints "wrong: ..." about each operation that differs, and "limit: ..." where that is so only for
// numbers that do not fit.
#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

#include "Vcheck.h"
#include "verilated.h"

namespace {
constexpr int kShift = 3;

std::set<std::string> told;

/// The low bits of a number, as a signed one.
int narrowed(int value, int bits) {
    const int low = value & ((1 << bits) - 1);
    return low >> (bits - 1) != 0 ? low - (1 << bits) : low;
}

/// @param got  as the port gives it; `bits` of it, a signed number or not
/// @param kind "wrong", or "limit"
void expect(const std::string& what, int a, int b, unsigned got, int expected, int bits,
            bool is_signed = true, const char* kind = "wrong") {
    const int mask = (1 << bits) - 1;
    const int value = is_signed ? narrowed(static_cast<int>(got), bits) : static_cast<int>(got);
    const int want = is_signed ? narrowed(expected, bits) : expected & mask;
    if (value == want || !told.insert(kind + what).second) return;
    std::printf("%s: %s of %d and %d gave %d, expected %d\n", kind, what.c_str(), a, b, value,
                want);
}

void compare(const Vcheck& top, int a, int b) {
    const int ua = a & 255;
    const int ub = b & 255;
    const int amount = ub & 15;
    const int nibble = narrowed(b, 4);
    expect("signed shift_right by a constant", a, kShift, top.signed_right_constant_o, a >> kShift,
           8);
    expect("signed shift_right", a, amount, top.signed_right_o, a >> amount, 8);
    expect("signed shift_left", a, amount, top.signed_left_o, a * (1 << amount), 8);
    expect("unsigned shift_right", ua, amount, top.unsigned_right_o, ua >> amount, 8, false);
    expect("unsigned shift_left", ua, amount, top.unsigned_left_o, ua << amount, 8, false);
    expect("a sum with a signed shift_right", a, b, top.shifted_sum_o, a - (b >> 2), 10);
    expect("rotate_left", ua, kShift, top.rotate_left_o, ua << kShift | ua >> (8 - kShift), 8,
           false);
    expect("rotate_right", ua, kShift, top.rotate_right_o, ua >> kShift | ua << (8 - kShift), 8,
           false);

    const std::array<const char*, 6> operators = {"<", "<=", ">", ">=", "=", "/="};
    const std::array<bool, 6> as_signed = {a<b, a <= b, a> b, a >= b, a == b, a != b};
    const std::array<bool, 6> as_unsigned = {ua<ub, ua <= ub, ua> ub, ua >= ub, ua == ub, ua != ub};
    for (unsigned k = 0; k < operators.size(); ++k) {
        const std::string op = operators[k];
        expect("signed " + op, a, b, top.signed_compare_o >> k & 1U, as_signed[k], 1, false);
        expect("unsigned " + op, ua, ub, top.unsigned_compare_o >> k & 1U, as_unsigned[k], 1,
               false);
    }
    expect("signed < with a constant", a, 0, top.constant_compare_o & 1U, a < 0, 1, false);
    expect("signed > with a constant", a, -5, top.constant_compare_o >> 1 & 1U, a > -5, 1, false);
    expect("signed < of two widths", a, nibble, top.widths_compare_o & 1U, a < nibble, 1, false);
    expect("unsigned < of two widths", ua, ub & 15, top.widths_compare_o >> 1 & 1U, ua < (ub & 15),
           1, false);

    expect("signed resize to more bits", a, 0, top.signed_wider_o, a, 12);
    // numeric_std keeps the sign and the lowest bits.
    expect("signed resize", a, 4, top.signed_narrower_o, (a < 0 ? 8 : 0) | (a & 7), 4, true,
           a == narrowed(a, 4) ? "wrong" : "limit");
    expect("unsigned resize to more bits", ua, 0, top.unsigned_wider_o, ua, 12, false);
    expect("unsigned resize to fewer bits", ua, 0, top.unsigned_narrower_o, ua, 4, false);
    expect("a slice", a, 0, top.cut_o, ua >> 1, 4, false);

    expect("signed *", a, b, top.signed_product_o, a * b, 16);
    expect("unsigned *", ua, ub, top.unsigned_product_o, ua * ub, 16, false);
    expect("signed * of two widths", a, nibble, top.mixed_product_o, a * nibble, 16);
    expect("a shifted product", a, b, top.scaled_product_o, a * b >> 4, 8);
    expect("signed +", a, b, top.sum_o, a + b, 9);
    expect("signed -", a, b, top.difference_o, a - b, 9);
    expect("signed negation", a, 0, top.negated_o, -a, 8);
    const int sum = 2 * a + b;
    expect("saturation", a, b, top.saturated_o, sum > 127 ? 127 : sum < -128 ? -128 : sum, 8);
    expect("integer arithmetic", a, b, top.integer_o, 3 * a - b + 7, 16);
}
}  // namespace

int main() {
    VerilatedContext context;
    const auto top = std::make_unique<Vcheck>(&context);
    std::array<int, 16> words{};
    std::array<bool, 16> known{};
    int leaky = 0;
    top->clk_i = 0;
    for (const int level : {1, 0, 1}) {
        top->rst_ni = level & 1U;
        top->eval();
    }
    for (int a = -128; a < 128; ++a)
        for (int b = -128; b < 128; ++b) {
            top->a_i = static_cast<std::uint8_t>(a);
            top->b_i = static_cast<std::uint8_t>(b);
            top->clk_i = 0;
            top->eval();
            compare(*top, a, b);
            const unsigned word = static_cast<unsigned>(b) & 15U;
            if (known[word]) expect("a memory", a, b, top->memory_o, words[word], 8);
            top->clk_i = 1;
            top->eval();
            leaky = leaky >= 1000 ? -500 : narrowed(leaky - (leaky >> kShift) + a, 16);
            expect("a register that leaks", a, b, top->leaky_o, leaky, 16);
            words[static_cast<unsigned>(a) & 15U] = b;
            known[static_cast<unsigned>(a) & 15U] = true;
        }
    top->final();
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/expression.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "spikelock/base/random.hpp"

using namespace spikelock;
using Catch::Matchers::ContainsSubstring;
using manifest::Expression;

namespace {
__extension__ using Int128 = __int128;  // no sum or product of two values overflows it
constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();

const std::map<std::string, std::int64_t> kNames = {
    {"n", 5},       {"weight", -37},   {"u_core.v_q", 0xfedcba},   {"zero", 0}, {"lowest", kLowest},
    {"g[3].x", 11}, {"minus_one", -1}, {"big", 0x7ffffffffffffffe}};

Result<std::int64_t> lookup(const std::string& name) {
    const auto found = kNames.find(name);
    if (found == kNames.end()) return Error{Errc::NotFound, "unknown name '" + name + "'", "here"};
    return found->second;
}

Result<std::int64_t> value_of(const std::string& text) {
    const auto parsed = Expression::parse(text, "m.toml:7: key");
    if (!parsed) return parsed.error();
    return parsed->evaluate(lookup);
}

std::string repeated(const std::string& part, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
}

/// A value, or that there is none (division by 0, a select outside of the word).
struct Value {
    std::int64_t number = 0;
    bool good = true;
};

Value apply(const std::string& op, Value a, Value b) {
    if (!a.good) return a;
    if (op == "&&" && a.number == 0) return {0};
    if (op == "||" && a.number != 0) return {1};
    if (!b.good) return b;
    const auto wide = [](Int128 x) {
        return Value{static_cast<std::int64_t>(static_cast<std::uint64_t>(x))};
    };
    const Int128 x = a.number;
    const Int128 y = b.number;
    if (op == "+") return wide(x + y);
    if (op == "-") return wide(x - y);
    if (op == "*") return wide(x * y);
    if (op == "/") return y == 0 ? Value{0, false} : wide(x / y);
    if (op == "%") return y == 0 ? Value{0, false} : wide(x % y);
    if (op == "<<") return y < 0 || y > 63 ? Value{0} : wide(x << static_cast<int>(y));
    if (op == ">>") return wide(x >> (y < 0 || y > 63 ? 100 : static_cast<int>(y)));
    if (op == "&") return wide(x & y);
    if (op == "|") return wide(x | y);
    if (op == "^") return wide(x ^ y);
    if (op == "==") return {x == y};
    if (op == "!=") return {x != y};
    if (op == "<") return {x < y};
    if (op == "<=") return {x <= y};
    if (op == ">") return {x > y};
    if (op == ">=") return {x >= y};
    return {y != 0};  // && and || that the first operand left open
}

/// Writes an expression at random and knows its value: operators and operands are kept in two
/// stacks (Dijkstra's shunting yard), where the parser goes down by levels of precedence.
class Writer {
public:
    explicit Writer(std::uint64_t seed) : random_(seed, 5) {}

    std::string text;

    Value expression(int depth) {
        const Value first = flat(depth);
        if (depth > 2 || pick(6) != 0) return first;
        text += " ? ";
        const Value yes = expression(depth + 1);
        text += ":";
        const Value no = expression(depth + 1);
        return !first.good ? first : first.number != 0 ? yes : no;
    }

private:
    std::uint32_t pick(std::uint32_t bound) { return random_.below(bound, count_++); }

    Value flat(int depth) {
        static const std::vector<std::pair<std::string, int>> kOperators = {
            {"||", 1}, {"&&", 2}, {"|", 3},  {"^", 4},  {"&", 5},  {"==", 6},
            {"!=", 6}, {"<", 7},  {"<=", 7}, {">", 7},  {">=", 7}, {"<<", 8},
            {">>", 8}, {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};
        std::vector<Value> values = {operand(depth)};
        std::vector<std::pair<std::string, int>> operators;
        const auto reduce = [&] {
            const Value b = values.back();
            values.pop_back();
            values.back() = apply(operators.back().first, values.back(), b);
            operators.pop_back();
        };
        for (std::uint32_t left = pick(5); left > 0; --left) {
            const auto& op = kOperators[pick(static_cast<std::uint32_t>(kOperators.size()))];
            while (!operators.empty() && operators.back().second >= op.second) reduce();
            operators.push_back(op);
            text += std::string(pick(2), ' ') + op.first + " ";
            values.push_back(operand(depth));
        }
        while (!operators.empty()) reduce();
        return values.back();
    }

    Value operand(int depth) {
        switch (pick(depth > 3 ? 3 : 7)) {
            case 0: {
                const std::uint32_t number = pick(4) == 0 ? pick(0xffffffff) : pick(9);
                switch (pick(4)) {
                    case 0:
                        text += std::to_string(number);
                        break;
                    case 1:
                        text += "0x" + based(number, 16);
                        break;
                    case 2:
                        text += "33'd" + based(number, 10);
                        break;
                    default:
                        text += "40'sb" + based(number, 2);
                        break;
                }
                return {number};
            }
            case 1:
            case 2: {
                auto name = kNames.begin();
                std::advance(name, pick(static_cast<std::uint32_t>(kNames.size())));
                text += name->first == "g[3].x" && pick(2) == 0 ? "g[{n - 2}].x" : name->first;
                return {name->second};
            }
            case 3: {
                text += "(";
                const Value inner = expression(depth + 1);
                text += ")";
                return inner;
            }
            case 4: {
                const std::string op(1, "!~-"[pick(3)]);
                text += op;
                const Value v = operand(depth + 1);
                if (!v.good) return v;
                if (op == "!") return {v.number == 0};
                if (op == "~") return {~v.number};
                return apply("-", {0}, v);
            }
            case 5: {
                const std::uint32_t bit = pick(70);
                text += "weight[" + std::to_string(bit) + "]";
                return bit > 63 ? Value{0, false} : Value{(std::int64_t{-37} >> bit) & 1};
            }
            default: {
                const std::uint32_t low = pick(66);
                const std::uint32_t width = pick(66);
                if (pick(2) == 0)
                    text += "big[" + std::to_string(low) + " +: " + std::to_string(width) + "]";
                else
                    text += "big[" + std::to_string(low) + " + " + std::to_string(width) +
                            " - 1 : " + std::to_string(low) + "]";
                if (width < 1 || low + width > 64) return {0, false};
                const Int128 mask = (Int128{1} << width) - 1;
                return {static_cast<std::int64_t>((0x7ffffffffffffffeULL >> low) & mask)};
            }
        }
    }

    static std::string based(std::uint32_t number, std::uint32_t radix) {
        std::string digits;
        do {
            digits.insert(digits.begin(), "0123456789abcdef"[number % radix]);
            number /= radix;
        } while (number != 0);
        if (digits.size() > 2) digits.insert(1, "_");
        return digits;
    }

    CounterRandom random_;
    std::uint64_t count_ = 0;
};
}  // namespace

TEST_CASE("manifest/expression: values equal those of another evaluator", "[manifest][property]") {
    int good = 0;
    int bad = 0;
    for (std::uint64_t seed = 1; seed <= 20000; ++seed) {
        Writer writer(seed);
        const Value wanted = writer.expression(0);
        CAPTURE(seed, writer.text);
        const auto parsed = Expression::parse(writer.text, "here");
        REQUIRE(parsed);
        const auto got = parsed->evaluate(lookup);
        REQUIRE(got.has_value() == wanted.good);
        if (wanted.good) REQUIRE(*got == wanted.number);
        (wanted.good ? good : bad) += 1;
    }
    CHECK(good > 10000);
    CHECK(bad > 1000);
}

TEST_CASE("manifest/expression: numbers", "[manifest][unit]") {
    const auto [text, value] = GENERATE(table<std::string, std::int64_t>(
        {{"0", 0},
         {"010", 10},  // Verilog and TOML know no octal by a leading 0
         {"08", 8},
         {"0x1f", 31},
         {"0XfF", 255},
         {"8'hff", 255},
         {"8'shff", 255},
         {"3'b101", 5},
         {"6'o77", 63},
         {"10'd1_000", 1000},
         {"18446744073709551615", -1},
         {"0xffff_ffff_ffff_ffff", -1},
         {"64'b1111111111111111111111111111111111111111111111111111111111111111", -1},
         {"64'h8000000000000000", kLowest}}));
    CAPTURE(text);
    const auto got = value_of(text);
    REQUIRE(got);
    CHECK(*got == value);
}

TEST_CASE("manifest/expression: what is no expression is told with its column",
          "[manifest][unit]") {
    const auto [text, message] = GENERATE(table<std::string, std::string>(
        {{"", "expected a number, a name or '(' at column 1"},
         {"1 +", "expected a number, a name or '(' at column 4"},
         {"a b", "expected an operator or the end at column 3"},
         {"(a", "expected ')' at column 3"},
         {"a)", "expected an operator or the end at column 2"},
         {"a ? b", "expected ':' at column 6"},
         {"v[3", "expected ']' at column 4"},
         {"v[]", "expected a number, a name or '(' at column 3"},
         {"g[{1]", "expected '}]' at column 5"},
         {"3x", "expected an operator after the number at column 2"},
         {"0x", "expected digits at column 3"},
         {"0b1", "expected an operator after the number at column 2"},
         {"8'q0", "expected a base (h, d, b or o) at column 3"},
         {"8'", "expected a base (h, d, b or o) at column 3"},
         {"8'h", "expected digits at column 4"},
         {"8'h-1", "expected digits at column 4"},
         {"2'b2", "expected digits at column 4"},
         {"2'b12", "expected an operator after the number at column 5"},
         {"4'hff", "expected a number of 4 bits at column 6"},
         {"0'h0", "expected a width of 1 to 64 bits at column 2"},
         {"65'h0", "expected a width of 1 to 64 bits at column 3"},
         {"18446744073709551616", "expected a number of at most 64 bits at column 20"},
         {"0x10000000000000000", "expected a number of at most 64 bits at column 19"},
         {"a = 1", "expected an operator or the end at column 3"},
         {"a === b",
          "expected a number, a name or '(' ('>>>', '===' and '!==' are not known) at column 5"},
         {"a >>> 1",
          "expected a number, a name or '(' ('>>>', '===' and '!==' are not known) at column 5"},
         {"\xc3\xa4", "expected a number, a name or '(' at column 1"}}));
    CAPTURE(text);
    const auto parsed = Expression::parse(text, "m.toml:7: key");
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == Errc::BadConfig);
    CHECK(parsed.error().where == "m.toml:7: key");
    CHECK(parsed.error().message == message + " of '" + text + "'");
}

TEST_CASE("manifest/expression: what has no value is told", "[manifest][unit]") {
    const auto [text, message] = GENERATE(
        table<std::string, std::string>({{"1 / zero", "division by 0"},
                                         {"1 % (n - 5)", "division by 0"},
                                         {"weight[64]", "bit select outside of 64 bits"},
                                         {"weight[-1]", "bit select outside of 64 bits"},
                                         {"weight[0:1]", "bit select outside of 64 bits"},
                                         {"weight[big:lowest]", "bit select outside of 64 bits"},
                                         {"weight[lowest:big]", "bit select outside of 64 bits"},
                                         {"weight[1 +: 64]", "bit select outside of 64 bits"},
                                         {"nobody", "unknown name 'nobody'"},
                                         {"g[{n}].x", "unknown name 'g[5].x'"},
                                         {"g_n{n+1}_u.x", "unknown name 'g_n6_u.x'"},
                                         {"g_n{n}", "unknown name 'g_n5'"}}));
    CAPTURE(text);
    const auto got = value_of(text);
    REQUIRE_FALSE(got);
    CHECK(got.error().message == message);
}

TEST_CASE("manifest/expression: only what is needed is looked up", "[manifest][unit]") {
    CHECK(*value_of("zero && 1 / zero") == 0);
    CHECK(*value_of("n || nobody") == 1);
    CHECK(*value_of("zero ? nobody : n") == 5);
    CHECK(*value_of("n != 0 && 10 / n == 2") == 1);
    CHECK_FALSE(value_of("n && nobody"));
}

TEST_CASE("manifest/expression: names in order of appearance", "[manifest][unit]") {
    const auto parsed =
        Expression::parse("b[a] + g[{i + a}].u.v_q[3:0] * b ? mem[2].x : g_n{i+1}_u.c", "here");
    REQUIRE(parsed);
    CHECK(parsed->names() ==
          std::vector<std::string>{"b", "a", "g[{}].u.v_q", "i", "mem[2].x", "g_n{}_u.c"});
}

TEST_CASE("manifest/expression: long and deep text is refused, not run into the ground",
          "[manifest][unit]") {
    const auto [text, what] = GENERATE(table<std::string, std::string>(
        {{"1" + repeated("+1", 100000), "expected at most 1000 operators and operands"},
         {repeated("(", 100000), "nested too deeply"},
         {repeated("!", 100000), "nested too deeply"},
         {repeated("v[", 100000), "nested too deeply"},
         {repeated("1?", 100000), "nested too deeply"},
         {"v" + repeated("[0]", 100000), "expected at most 1000 operators and operands"}}));
    const auto parsed = Expression::parse(text, "here");
    REQUIRE_FALSE(parsed);
    CHECK_THAT(parsed.error().message, ContainsSubstring(what));
    CHECK(parsed.error().message.size() < 300);
}

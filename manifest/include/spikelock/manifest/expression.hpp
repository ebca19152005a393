// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::manifest {

/// An integer expression of a manifest, in Verilog's manner: numbers of at most 64 bits (10, 0x1f,
/// 8'hff, 16'hab_cd; a leading 0 is no octal), names with dots and generate indices (u_mem.word_q,
/// g[{i}].u.v_q), bit selects and slices (v[3], v[16*i +: 16], v[7:0]), and
/// ?: || && | ^ & == != < <= > >= << >> + - * / % ! ~ - with C's precedence. Of signals also
/// concatenations {a, b}, $signed(x) (sign-extended; two such operands compare as signed numbers)
/// and $reverse(x) (bits in reverse order). evaluate() works on signed 64-bit integers, which wrap;
/// the DUT host on unsigned ones, as signals are in Verilog.
/// Immutable; copies share the tree (shared by copies of one manifest).
class Expression {
public:
    enum class Kind : std::uint8_t {
        Number,
        Name,
        Bit,
        Slice,
        Unary,
        Binary,
        Select,
        Call,
        Concat
    };

    struct Node {
        Kind kind = Kind::Number;
        std::int64_t number = 0;
        std::string text;  ///< name; operator; function with its $; for names with generate indices
                           ///< the text with {} in place
        std::vector<std::shared_ptr<const Node>>
            children;             ///< operands; Name: word index if any; index expressions of {}
        bool plus_slice = false;  ///< Slice: base +: width instead of high:low
    };

    Expression() = default;

    /// @param where  put before the column in errors, e.g. "cosim.toml:12: idle"
    /// @errors Errc::BadConfig saying what was expected and at which column
    static Result<Expression> parse(std::string_view text, const std::string& where);

    bool empty() const noexcept { return root_ == nullptr; }
    const Node& root() const { return *root_; }
    const std::string& text() const noexcept { return text_; }
    const std::string& where() const noexcept { return where_; }

    /// Value with every name looked up; && || ?: look up only what they need. Division by 0 and a
    /// select outside of 64 bits give an error.
    /// @param lookup  value of a name, or an error
    Result<std::int64_t> evaluate(
        const std::function<Result<std::int64_t>(const std::string&)>& lookup) const;

    /// Every name in the expression, once each, in order of appearance; generate indices left as
    /// "[{}]", or "{}" where one is a part of a name.
    std::vector<std::string> names() const;

private:
    std::shared_ptr<const Node> root_;  // shared by copies of the expression
    std::string text_;
    std::string where_;
};

/// Value of a node; see Expression::evaluate.
Result<std::int64_t> evaluate(
    const Expression::Node& node, const std::string& where,
    const std::function<Result<std::int64_t>(const std::string&)>& lookup);

/// A name with its generate indices put in: "g[{i}].u" and i = 3 give "g[3].u", "g_n{i+1}_u" gives
/// "g_n4_u".
Result<std::string> resolved_name(
    const Expression::Node& node, const std::string& where,
    const std::function<Result<std::int64_t>(const std::string&)>& lookup);

}  // namespace spikelock::manifest

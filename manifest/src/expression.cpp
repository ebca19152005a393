// SPDX-License-Identifier: Apache-2.0
#include "spikelock/manifest/expression.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace spikelock::manifest {

namespace {
using Node = Expression::Node;
using NodePtr = std::shared_ptr<const Node>;
using Kind = Expression::Kind;

constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 1000;  // trees are walked and freed by recursion

// Binary operators by rising precedence; longer spellings first inside a level.
const std::array<std::vector<std::string_view>, 10> kLevels = {{{"||"},
                                                                {"&&"},
                                                                {"|"},
                                                                {"^"},
                                                                {"&"},
                                                                {"==", "!="},
                                                                {"<=", ">=", "<", ">"},
                                                                {"<<", ">>"},
                                                                {"+", "-"},
                                                                {"*", "/", "%"}}};

class Parser {
public:
    Parser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

    Result<NodePtr> whole() {
        Result<NodePtr> node = select();
        if (!node) return node;
        skip();
        if (at_ != text_.size()) return fail("expected an operator or the end");
        return node;
    }

private:
    Result<NodePtr> made(Node node) {
        if (++nodes_ > kMaxNodes)
            return fail("expected at most " + std::to_string(kMaxNodes) +
                        " operators and operands");
        return NodePtr(std::make_shared<const Node>(std::move(node)));
    }
    Error fail(const std::string& message) const {
        constexpr std::size_t kShown = 80;
        std::string shown(text_);
        if (shown.size() > 2 * kShown) {
            const std::size_t begin = at_ > kShown ? at_ - kShown : 0;
            shown = (begin > 0 ? "..." : "") + shown.substr(begin, 2 * kShown) + "...";
        }
        return {Errc::BadConfig,
                message + " at column " + std::to_string(at_ + 1) + " of '" + shown + "'", where_};
    }
    void skip() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
            ++at_;
    }
    bool take(std::string_view token) {
        skip();
        if (text_.substr(at_, token.size()) != token) return false;
        at_ += token.size();
        return true;
    }
    /// True where `op` stands here and is not the start of a longer operator of another level.
    bool take_operator(std::string_view op) {
        skip();
        if (text_.substr(at_, op.size()) != op) return false;
        const char next = at_ + op.size() < text_.size() ? text_[at_ + op.size()] : ' ';
        if (op == "|" && next == '|') return false;
        if (op == "&" && next == '&') return false;
        if ((op == "<" && next == '<') || (op == ">" && next == '>')) return false;
        if (op == "+" && next == ':') return false;
        at_ += op.size();
        return true;
    }
    Result<NodePtr> select() {
        if (++depth_ > kMaxDepth) return fail("nested too deeply");
        Result<NodePtr> condition = binary(0);
        if (condition && take("?")) {
            Result<NodePtr> yes = select();
            if (!yes) return yes;
            if (!take(":")) return fail("expected ':'");
            Result<NodePtr> no = select();
            if (!no) return no;
            Node node;
            node.kind = Kind::Select;
            node.children = {*condition, *yes, *no};
            --depth_;
            return made(std::move(node));
        }
        --depth_;
        return condition;
    }
    Result<NodePtr> binary(std::size_t level) {
        if (level == kLevels.size()) return unary();
        Result<NodePtr> left = binary(level + 1);
        while (left) {
            const auto op = std::find_if(kLevels[level].begin(), kLevels[level].end(),
                                         [&](std::string_view o) { return take_operator(o); });
            if (op == kLevels[level].end()) break;
            Result<NodePtr> right = binary(level + 1);
            if (!right) return right;
            Node node;
            node.kind = Kind::Binary;
            node.text = std::string(*op);
            node.children = {*left, *right};
            left = made(std::move(node));
        }
        return left;
    }
    Result<NodePtr> unary() {
        skip();
        for (const std::string_view op : {"!", "~", "-"})
            if (at_ < text_.size() && text_[at_] == op[0]) {
                ++at_;
                if (++depth_ > kMaxDepth) return fail("nested too deeply");
                Result<NodePtr> operand = unary();
                --depth_;
                if (!operand) return operand;
                Node node;
                node.kind = Kind::Unary;
                node.text = std::string(op);
                node.children = {*operand};
                return made(std::move(node));
            }
        if (take("(")) {
            Result<NodePtr> inner = select();
            if (inner && !take(")")) return fail("expected ')'");
            return inner;
        }
        if (at_ >= text_.size()) return fail("expected a number, a name or '('");
        if (text_[at_] == '$') return call();
        if (take("{")) {
            Node node;
            node.kind = Kind::Concat;
            do {
                if (++depth_ > kMaxDepth) return fail("nested too deeply");
                Result<NodePtr> part = select();
                --depth_;
                if (!part) return part;
                node.children.push_back(*part);
            } while (take(","));
            if (!take("}")) return fail("expected ',' or '}'");
            return made(std::move(node));
        }
        if (std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) return number();
        if (name_start(text_[at_])) return name();
        if (text_[at_] == '>' || text_[at_] == '=')
            return fail("expected a number, a name or '(' ('>>>', '===' and '!==' are not known)");
        return fail("expected a number, a name or '('");
    }
    Result<NodePtr> call() {
        for (const std::string_view function : {"$signed", "$unsigned", "$reverse"})
            if (take(function)) {
                if (!take("(")) return fail("expected '('");
                Result<NodePtr> operand = select();
                if (!operand) return operand;
                if (!take(")")) return fail("expected ')'");
                Node node;
                node.kind = Kind::Call;
                node.text = std::string(function);
                node.children = {*operand};
                return made(std::move(node));
            }
        return fail("expected $signed, $unsigned or $reverse");
    }
    static bool name_start(char c) {
        return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '\\';
    }
    static bool name_part(char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '.';
    }
    /// Digits with Verilog's underscores between them.
    Result<std::uint64_t> digits(std::uint64_t radix, const std::string& expected) {
        const std::size_t begin = at_;
        std::uint64_t value = 0;
        for (; at_ < text_.size(); ++at_) {
            const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(text_[at_])));
            if (c == '_' && at_ > begin) continue;
            const bool letter = c >= 'a' && c <= 'f';
            if (!letter && (c < '0' || c > '9')) break;
            const auto digit = static_cast<std::uint64_t>(letter ? c - 'a' + 10 : c - '0');
            if (digit >= radix) break;
            if (value > (~std::uint64_t{0} - digit) / radix)
                return fail("expected a number of at most 64 bits");
            value = value * radix + digit;
        }
        if (at_ == begin) return fail(expected);
        return value;
    }
    Result<NodePtr> number() {
        const bool hex = text_.substr(at_, 2) == "0x" || text_.substr(at_, 2) == "0X";
        if (hex) at_ += 2;
        Result<std::uint64_t> value = digits(hex ? 16 : 10, "expected digits");
        if (!value) return value.error();
        if (!hex && at_ < text_.size() && text_[at_] == '\'') {  // 8'hff, 8'shff
            const std::uint64_t width = *value;
            if (width < 1 || width > 64) return fail("expected a width of 1 to 64 bits");
            ++at_;
            if (at_ < text_.size() && text_[at_] == 's') ++at_;
            const char base = at_ < text_.size() ? text_[at_] : '\0';
            const std::uint64_t radix = base == 'h' ? 16 : base == 'd' ? 10 : base == 'o' ? 8 : 2;
            if (radix == 2 && base != 'b') return fail("expected a base (h, d, b or o)");
            ++at_;
            value = digits(radix, "expected digits");
            if (!value) return value.error();
            if (width < 64 && *value >> width != 0)
                return fail("expected a number of " + std::to_string(width) + " bits");
        }
        if (at_ < text_.size() && (name_start(text_[at_]) || name_part(text_[at_])))
            return fail("expected an operator after the number");
        Node node;
        node.number = static_cast<std::int64_t>(*value);
        return made(std::move(node));
    }
    Result<NodePtr> name() {
        Node node;
        node.kind = Kind::Name;
        for (;;) {
            while (at_ < text_.size() && (name_part(text_[at_]) || text_[at_] == '\\'))
                node.text += text_[at_++];
            // A generate index: [{expression}], or [number] followed by a dot; or {expression},
            // where it is a part of the name, as in what ghdl writes: gen_n_n{i+1}_u_cell.v_q.
            const bool bracket = text_.substr(at_, 2) == "[{";
            if (bracket || (!node.text.empty() && text_.substr(at_, 1) == "{")) {
                at_ += bracket ? 2 : 1;
                Result<NodePtr> index = select();
                if (!index) return index;
                if (!take("}") || (bracket && !take("]")))
                    return fail(bracket ? "expected '}]'" : "expected '}'");
                node.text += bracket ? "[{}]" : "{}";
                node.children.push_back(*index);
                continue;
            }
            std::size_t look = at_;
            if (look < text_.size() && text_[look] == '[') {
                ++look;
                while (look < text_.size() &&
                       std::isdigit(static_cast<unsigned char>(text_[look])) != 0)
                    ++look;
                if (text_.substr(look, 2) == "].") {
                    node.text += text_.substr(at_, look + 1 - at_);
                    at_ = look + 1;
                    continue;
                }
            }
            break;
        }
        Result<NodePtr> at = made(std::move(node));
        while (at && take("[")) {
            Result<NodePtr> first = select();
            if (!first) return first;
            Node select_node;
            if (take("+:")) {
                Result<NodePtr> width = select();
                if (!width) return width;
                select_node.kind = Kind::Slice;
                select_node.plus_slice = true;
                select_node.children = {*at, *first, *width};
            } else if (take(":")) {
                Result<NodePtr> low = select();
                if (!low) return low;
                select_node.kind = Kind::Slice;
                select_node.children = {*at, *first, *low};
            } else {
                select_node.kind = Kind::Bit;
                select_node.children = {*at, *first};
            }
            if (!take("]")) return fail("expected ']'");
            at = made(std::move(select_node));
        }
        return at;
    }

    std::string_view text_;
    const std::string& where_;
    std::size_t at_ = 0;
    int depth_ = 0;
    int nodes_ = 0;
};

void collect(const Node& node, std::vector<std::string>& names) {
    if (node.kind == Kind::Name && std::find(names.begin(), names.end(), node.text) == names.end())
        names.push_back(node.text);
    for (const auto& child : node.children) collect(*child, names);
}
}  // namespace

Result<Expression> Expression::parse(std::string_view text, const std::string& where) {
    Result<NodePtr> root = Parser(text, where).whole();
    if (!root) return root.error();
    Expression expression;
    expression.root_ = *root;
    expression.text_ = std::string(text);
    expression.where_ = where;
    return expression;
}

Result<std::string> resolved_name(
    const Node& node, const std::string& where,
    const std::function<Result<std::int64_t>(const std::string&)>& lookup) {
    std::string name;
    std::size_t child = 0;
    for (std::size_t i = 0; i < node.text.size(); ++i) {
        if (node.text.compare(i, 2, "{}") == 0) {
            Result<std::int64_t> index = evaluate(*node.children[child++], where, lookup);
            if (!index) return index.error();
            name += std::to_string(*index);
            i += 1;
        } else {
            name += node.text[i];
        }
    }
    return name;
}

Result<std::int64_t> evaluate(
    const Node& node, const std::string& where,
    const std::function<Result<std::int64_t>(const std::string&)>& lookup) {
    const auto operand = [&](std::size_t i) { return evaluate(*node.children[i], where, lookup); };
    switch (node.kind) {
        case Kind::Number:
            return node.number;
        case Kind::Name: {
            Result<std::string> name = resolved_name(node, where, lookup);
            if (!name) return name.error();
            return lookup(*name);
        }
        case Kind::Bit:
        case Kind::Slice: {
            Result<std::int64_t> value = operand(0);
            if (!value) return value;
            Result<std::int64_t> first = operand(1);
            if (!first) return first;
            // Unsigned, so that no difference of far-off bounds overflows.
            auto low = static_cast<std::uint64_t>(*first);
            std::uint64_t width = 1;
            if (node.kind == Kind::Slice) {
                Result<std::int64_t> second = operand(2);
                if (!second) return second;
                const auto bound = static_cast<std::uint64_t>(*second);
                width = node.plus_slice ? bound : low - bound + 1;
                if (!node.plus_slice) low = bound;
            }
            if (low > 63 || width < 1 || width > 64 - low)
                return Error{Errc::BadConfig, "bit select outside of 64 bits", where};
            const std::uint64_t mask = width == 64 ? ~0ULL : (1ULL << width) - 1;
            return static_cast<std::int64_t>((static_cast<std::uint64_t>(*value) >> low) & mask);
        }
        case Kind::Unary: {
            Result<std::int64_t> value = operand(0);
            if (!value) return value;
            if (node.text == "!") return std::int64_t{*value == 0};
            if (node.text == "~") return ~*value;
            return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(*value));
        }
        case Kind::Select: {
            Result<std::int64_t> value = operand(0);
            if (!value) return value;
            return operand(*value != 0 ? 1 : 2);
        }
        case Kind::Call:
        case Kind::Concat:
            return Error{Errc::BadConfig,
                         (node.kind == Kind::Call ? node.text : "a concatenation") +
                             " is for signals, and cannot be used here",
                         where};
        case Kind::Binary:
            break;
    }
    Result<std::int64_t> left = operand(0);
    if (!left) return left;
    // As in C, what a first operand decides leaves the second alone: "n != 0 && 8 / n > 1".
    if (node.text == "&&" && *left == 0) return std::int64_t{0};
    if (node.text == "||" && *left != 0) return std::int64_t{1};
    Result<std::int64_t> right = operand(1);
    if (!right) return right;
    const std::int64_t a = *left;
    const std::int64_t b = *right;
    const auto ua = static_cast<std::uint64_t>(a);
    const auto ub = static_cast<std::uint64_t>(b);
    const std::string& op = node.text;
    if (op == "+") return static_cast<std::int64_t>(ua + ub);
    if (op == "-") return static_cast<std::int64_t>(ua - ub);
    if (op == "*") return static_cast<std::int64_t>(ua * ub);
    if (op == "/" || op == "%") {
        if (b == 0) return Error{Errc::BadConfig, "division by 0", where};
        if (b == -1) return op == "/" ? static_cast<std::int64_t>(0 - ua) : std::int64_t{0};
        return op == "/" ? a / b : a % b;
    }
    if (op == "&") return a & b;
    if (op == "|") return a | b;
    if (op == "^") return a ^ b;
    if (op == "<<") return b < 0 || b > 63 ? 0 : static_cast<std::int64_t>(ua << b);
    if (op == ">>") return a >> (b < 0 || b > 63 ? 63 : b);
    if (op == "==") return std::int64_t{a == b};
    if (op == "!=") return std::int64_t{a != b};
    if (op == "<") return std::int64_t{a < b};
    if (op == "<=") return std::int64_t{a <= b};
    if (op == ">") return std::int64_t{a > b};
    if (op == ">=") return std::int64_t{a >= b};
    if (op == "&&") return std::int64_t{a != 0 && b != 0};
    return std::int64_t{a != 0 || b != 0};
}

Result<std::int64_t> Expression::evaluate(
    const std::function<Result<std::int64_t>(const std::string&)>& lookup) const {
    return manifest::evaluate(*root_, where_, lookup);
}

std::vector<std::string> Expression::names() const {
    std::vector<std::string> names;
    if (root_) collect(*root_, names);
    return names;
}

}  // namespace spikelock::manifest

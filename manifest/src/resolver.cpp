// SPDX-License-Identifier: Apache-2.0
#include "resolver.hpp"

#include <algorithm>
#include <sstream>

#include "spikelock/base/text.hpp"
#include "spikelock/trace/observation_plan.hpp"

namespace spikelock::manifest::detail {

namespace {
using Node = Expression::Node;
using Kind = Expression::Kind;

std::string constant(std::uint64_t value) { return "# " + std::to_string(value); }

bool is_word_select(const Node& node, const Signal& s) {
    return node.kind == Kind::Bit && s.words > 1 && node.children[0]->kind == Kind::Name;
}

bool signed_number(const Node& node) {
    return (node.kind == Kind::Call && node.text == "$signed") || node.kind == Kind::Number ||
           (node.kind == Kind::Unary && node.text == "-" && node.children[0]->kind == Kind::Number);
}

Expression parsed(const std::string& text, const std::string& where) {
    Result<Expression> expression = Expression::parse(text, where);
    if (!expression) throw PlanError{expression.error()};
    return *expression;
}
}  // namespace

void plan_error(Errc code, std::string message, std::string where) {
    throw PlanError{{code, std::move(message), std::move(where)}};
}

const Signal& Resolver::signal(const std::string& name, const std::string& where) const {
    const auto found = table_.find(name);
    if (found != table_.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [known, s] : table_) names.push_back(known);
    plan_error(Errc::NotFound,
               std::string(shown_by_) + " has no signal '" + name + "'" + did_you_mean(name, names),
               where);
}

std::uint32_t Resolver::index(const std::string& name, const std::string& where) {
    signal(name, where);
    const auto [found, added] =
        indices_.try_emplace(name, static_cast<std::uint32_t>(plan_.signals.size()));
    if (added) plan_.signals.push_back(name);
    return found->second;
}

FieldRef Resolver::whole(const std::string& name, const std::string& where) {
    const Signal& s = signal(name, where);
    return {index(name, where), 0, 0, s.bits};
}

FieldRef Resolver::driven(const Node& node, const std::string& where,
                          std::optional<std::int64_t> i) {
    const FieldRef f = field(node, where, i);
    const std::string& name = plan_.signals[f.signal];
    const Signal& s = table_.at(name);
    if (s.kind != "in")
        plan_error(Errc::BadConfig,
                   "'" + name + "' is not an input port of the core (it is " + s.kind + ")", where);
    if (f.width > 64)
        plan_error(Errc::BadConfig,
                   "'" + name + "' has " + std::to_string(f.width) +
                       " bits, at most 64 can be driven at once; take a slice, e.g. " + name +
                       "[63:0]",
                   where);
    return f;
}

FieldRef Resolver::input(const std::string& text, const std::string& where) {
    return driven(parsed(text, where).root(), where, std::nullopt);
}

FieldRef Resolver::output(const std::string& text, const std::string& where) {
    return field(parsed(text, where).root(), where, std::nullopt);
}

Result<std::int64_t> Resolver::look_up(const std::string& name, const std::string& where,
                                       std::optional<std::int64_t> i) const {
    if ((name == "i" || name == "n") && i) return *i;
    const auto found = manifest_.core.parameters.find(name);
    if (found != manifest_.core.parameters.end())
        if (Result<Expression> value = Expression::parse(found->second, where))
            if (value->root().kind == Kind::Number) return value->root().number;
    return Error{
        Errc::BadConfig,
        "'" + name + "' cannot be used in an index here; only i and core.parameters are known",
        where};
}

std::int64_t Resolver::number(const Node& node, const std::string& where,
                              std::optional<std::int64_t> i) const {
    Result<std::int64_t> value =
        evaluate(node, where, [&](const std::string& name) { return look_up(name, where, i); });
    if (!value) throw PlanError{value.error()};
    return *value;
}

std::pair<std::uint32_t, std::uint32_t> Resolver::slice(const Node& node, const std::string& name,
                                                        std::uint32_t bits,
                                                        const std::string& where,
                                                        std::optional<std::int64_t> i) const {
    std::int64_t low = number(*node.children[1], where, i);
    std::int64_t width = 1;
    if (node.kind == Kind::Slice) {
        const std::int64_t second = number(*node.children[2], where, i);
        width = node.plus_slice ? second : low - second + 1;
        if (!node.plus_slice) low = second;
    }
    if (low < 0 || width < 1 || low > bits || width > bits || low + width > bits)
        plan_error(Errc::Mismatch,
                   "bits " + std::to_string(low) + "+:" + std::to_string(width) + " of " + name +
                       ", which has " + std::to_string(bits) + " bits",
                   where);
    return {static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(width)};
}

FieldRef Resolver::field(const Node& node, const std::string& where,
                         std::optional<std::int64_t> i) {
    if (node.kind == Kind::Name) {
        Result<std::string> name =
            resolved_name(node, where, [&](const std::string& n) { return look_up(n, where, i); });
        if (!name) throw PlanError{name.error()};
        return whole(*name, where);
    }
    if (node.kind != Kind::Bit && node.kind != Kind::Slice)
        plan_error(Errc::BadConfig, "expected a signal, a bit or a slice of one", where);
    FieldRef base = field(*node.children[0], where, i);
    const std::string& name = plan_.signals[base.signal];
    const Signal& s = table_.at(name);
    if (is_word_select(node, s)) {
        const std::int64_t word = number(*node.children[1], where, i);
        if (word < 0 || word >= s.words)
            plan_error(Errc::BadConfig,
                       "word " + std::to_string(word) + " of " + name + ", which has " +
                           std::to_string(s.words),
                       where);
        base.word = static_cast<std::uint32_t>(word);
        return base;
    }
    const auto [low, width] = slice(node, name, base.width, where, i);
    base.lsb += low;
    base.width = width;
    return base;
}

FieldRef Resolver::checked(FieldRef f, const std::string& where) const {
    if (f.width > 64)
        plan_error(Errc::BadConfig,
                   plan_.signals[f.signal] + " has " + std::to_string(f.width) +
                       " bits; take a slice of at most 64",
                   where);
    return f;
}

bool Resolver::constant_index(const Node& node, const std::string& where,
                              std::optional<std::int64_t> i) const {
    const auto known = [&](const std::string& name) { return look_up(name, where, i); };
    return static_cast<bool>(evaluate(node, where, known));
}

Sized Resolver::emit_field(const Node& node, const std::string& where,
                           std::optional<std::int64_t> i, std::vector<std::string>& tokens) {
    std::ostringstream out;
    // A word, or a slice of one, that a signal selects: mem[ptr_q], mem[ptr_q][7:0].
    const bool sliced = node.kind != Kind::Name && node.children[0]->kind == Kind::Bit;
    const Node& select = sliced ? *node.children[0] : node;
    if (select.kind == Kind::Bit && select.children[0]->kind == Kind::Name) {
        FieldRef f = field(*select.children[0], where, i);
        const std::string& name = plan_.signals[f.signal];
        const Signal& s = table_.at(name);
        if (is_word_select(select, s) && !constant_index(*select.children[1], where, i)) {
            if (sliced) std::tie(f.lsb, f.width) = slice(node, name, s.bits, where, i);
            checked(f, where);
            emit(*select.children[1], where, i, tokens);
            out << "@w " << f.signal << ' ' << f.lsb << ' ' << f.width;
            tokens.push_back(out.str());
            return {f.width, false};
        }
    }
    const FieldRef f = checked(field(node, where, i), where);
    out << '@';
    put(out, f);
    tokens.push_back(out.str());
    return {f.width, false};
}

Sized Resolver::emit_concat(const Node& node, const std::string& where,
                            std::optional<std::int64_t> i, std::vector<std::string>& tokens) {
    std::uint32_t width = 0;
    for (std::size_t k = 0; k < node.children.size(); ++k) {
        std::vector<std::string> part;
        const Sized sized = emit(*node.children[k], where, i, part);
        if (sized.width == 0 || sized.is_signed || width + sized.width > 64)
            plan_error(Errc::BadConfig,
                       "the parts of a concatenation must be signals, or bits and slices of them, "
                       "of at most 64 bits together",
                       where);
        width += sized.width;
        if (k > 0) tokens.insert(tokens.end(), {constant(sized.width), "<<"});
        tokens.insert(tokens.end(), part.begin(), part.end());
        if (k > 0) tokens.emplace_back("|");
    }
    return {width, false};
}

Sized Resolver::emit_binary(const Node& node, const std::string& where,
                            std::optional<std::int64_t> i, std::vector<std::string>& tokens) {
    // As in Verilog, two signed operands compare as signed numbers.
    const std::string& op = node.text;
    const bool compares = op == "<" || op == "<=" || op == ">" || op == ">=";
    const bool as_signed =
        compares && signed_number(*node.children[0]) && signed_number(*node.children[1]);
    for (const auto& child : node.children) {
        emit(*child, where, i, tokens);
        if (as_signed) tokens.insert(tokens.end(), {constant(1ULL << 63), "^"});
    }
    tokens.push_back(op);
    const bool one_bit = compares || op == "==" || op == "!=" || op == "&&" || op == "||";
    return {one_bit ? 1U : 0U, false};
}

Sized Resolver::emit(const Node& node, const std::string& where, std::optional<std::int64_t> i,
                     std::vector<std::string>& tokens) {
    switch (node.kind) {
        case Kind::Number:
            tokens.push_back(constant(static_cast<std::uint64_t>(node.number)));
            return {};
        case Kind::Name:
            if (node.children.empty() && !table_.contains(node.text))
                if (Result<std::int64_t> value = look_up(node.text, where, i)) {
                    tokens.push_back(constant(static_cast<std::uint64_t>(*value)));
                    return {};
                }
            return emit_field(node, where, i, tokens);
        case Kind::Bit:
        case Kind::Slice:
            return emit_field(node, where, i, tokens);
        case Kind::Unary: {
            const Sized operand = emit(*node.children[0], where, i, tokens);
            tokens.push_back(node.text == "-" ? "neg" : node.text);
            if (node.text == "!") return {1, false};
            if (node.text != "~" || operand.width == 0 || operand.is_signed)
                return {0, operand.is_signed};
            if (operand.width < 64)
                tokens.insert(tokens.end(), {constant((1ULL << operand.width) - 1), "&"});
            return operand;
        }
        case Kind::Call: {
            const Sized operand = emit(*node.children[0], where, i, tokens);
            if (node.text == "$unsigned") return {operand.width, false};
            if (operand.width == 0)
                plan_error(Errc::BadConfig,
                           node.text + " needs a signal, a bit or slice of one, or a concatenation",
                           where);
            const bool extends = node.text == "$signed";
            tokens.push_back((extends ? "ext " : "rev ") + std::to_string(operand.width));
            return {operand.width, extends};
        }
        case Kind::Concat:
            return emit_concat(node, where, i, tokens);
        case Kind::Select: {
            emit(*node.children[0], where, i, tokens);
            const Sized yes = emit(*node.children[1], where, i, tokens);
            const Sized no = emit(*node.children[2], where, i, tokens);
            tokens.emplace_back("?:");
            return {std::max(yes.width, no.width), yes.is_signed || no.is_signed};
        }
        case Kind::Binary:
            break;
    }
    return emit_binary(node, where, i, tokens);
}

void Resolver::put(std::ostream& out, const FieldRef& f) {
    out << ' ' << f.signal << ' ' << f.word << ' ' << f.lsb << ' ' << f.width;
}

void Resolver::put(std::ostream& out, const std::vector<std::string>& tokens,
                   const std::string& where) {
    if (tokens.size() > trace::plan::kMostCodes)
        plan_error(Errc::Limit, "the expression is too long", where);
    out << ' ' << tokens.size();
    for (const std::string& token : tokens) out << ' ' << token;
}

void Resolver::put(std::ostream& out, const Expression& e) {
    std::vector<std::string> tokens;
    emit(e.root(), e.where(), std::nullopt, tokens);
    put(out, tokens, e.where());
}

}  // namespace spikelock::manifest::detail

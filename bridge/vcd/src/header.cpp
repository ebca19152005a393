// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/vcd/header.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "header_parser.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::bridge::vcd {
namespace {

constexpr std::size_t kMostText = 65536;  ///< of $date, $version and $comment that is kept
constexpr std::uint32_t kMostBits = 1U << 26;

struct Range {
    std::int64_t left = 0;
    std::int64_t right = 0;
    bool single = false;
};

/// "[7:0]" or "[3]", with no blanks.
std::optional<Range> range_of(std::string_view text) {
    if (text.size() < 3 || text.front() != '[' || text.back() != ']') return std::nullopt;
    const char* at = text.data() + 1;
    const char* const end = text.data() + text.size() - 1;
    Range range;
    auto [after, error] = std::from_chars(at, end, range.left);
    if (error != std::errc{}) return std::nullopt;
    if (after == end) {
        range.right = range.left;
        range.single = true;
        return range;
    }
    if (*after != ':') return std::nullopt;
    const auto [last, fault] = std::from_chars(after + 1, end, range.right);
    if (fault != std::errc{} || last != end) return std::nullopt;
    return range;
}

/// Bits of a range; 0 where they are too many.
std::uint32_t bits_of(const Range& range) {
    const auto left = static_cast<std::uint64_t>(range.left);
    const auto right = static_cast<std::uint64_t>(range.right);
    const std::uint64_t apart = range.left > range.right ? left - right : right - left;
    return apart < kMostBits ? static_cast<std::uint32_t>(apart + 1) : 0;
}

Signal::Kind kind_of(std::string_view var_kind) {
    if (var_kind == "real" || var_kind == "realtime" || var_kind == "shortreal" ||
        var_kind == "real_parameter")
        return Signal::Kind::Real;
    if (var_kind == "string") return Signal::Kind::String;
    if (var_kind == "event") return Signal::Kind::Event;
    return Signal::Kind::Bits;
}

}  // namespace

void split_reference(std::string_view reference, Var& var) {
    var.name = reference;
    var.range.clear();
    var.left = 0;
    var.right = 0;
    const auto take = [&](std::size_t at, const Range& range) {
        var.range = reference.substr(at);
        var.left = range.left;
        var.right = range.right;
        while (at > 0 && reference[at - 1] == ' ') --at;
        var.name = reference.substr(0, at);
    };
    const std::size_t open = reference.rfind('[');
    if (open == std::string_view::npos || open == 0) return;
    const std::optional<Range> range = range_of(reference.substr(open));
    if (!range) return;
    const bool apart = reference[open - 1] == ' ';
    // An escaped name goes on to its blank: brackets in it are no range.
    if (!apart && reference.front() == '\\' && reference.find(' ') == std::string_view::npos)
        return;
    if (!apart && range->single && var.bits != 1) return;
    take(open, *range);
}

std::string Header::path(std::uint32_t scope) const {
    std::vector<std::uint32_t> chain;
    for (; scope < scopes.size(); scope = scopes[scope].parent) chain.push_back(scope);
    std::string text;
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
        if (!text.empty()) text += '.';
        text += scopes[*it].name;
    }
    return text;
}

std::string Header::full_name(const Var& var) const {
    std::string text = path(var.scope);
    if (!text.empty()) text += '.';
    return text + var.name;
}

Result<std::uint32_t> Header::find(std::string_view name) const {
    // The scope's part is compared first, so that no names are built for the others.
    for (std::uint32_t i = 0; i < vars.size(); ++i) {
        const Var& var = vars[i];
        std::string_view rest = name;
        if (rest.ends_with(var.range)) {
            const std::string_view without = rest.substr(0, rest.size() - var.range.size());
            if (without.ends_with(var.name) && full_name(var) == without) return i;
        }
        if (rest.ends_with(var.name) && full_name(var) == rest) return i;
    }
    std::vector<std::string> known;
    for (const Var& var : vars) known.push_back(full_name(var));
    return Error{
        Errc::NotFound, "no variable '" + std::string(name) + "'" + did_you_mean(name, known), {}};
}

namespace detail {

std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text.substr(0, 40)) out += c >= ' ' && c != '\x7f' ? c : '?';
    if (text.size() > 40) out += "...";
    return out + "'";
}

namespace {

class Parser {
public:
    Parser(Words& words, Header& header, IdMap& ids) : words_(words), header_(header), ids_(ids) {}

    Status run() {
        for (;;) {
            if (Status s = word(); !s) return s;
            if (!more_)
                return words_.error(Errc::Truncated,
                                    "the file ends in its header; expected $enddefinitions");
            if (word_ == "$scope") {
                if (Status s = scope(); !s) return s;
            } else if (word_ == "$upscope") {
                if (scope_ == Scope::kNone)
                    return words_.error(Errc::BadFormat, "$upscope without an open $scope");
                scope_ = header_.scopes[scope_].parent;
                if (Status s = end("$upscope"); !s) return s;
            } else if (word_ == "$var") {
                if (Status s = var(); !s) return s;
            } else if (word_ == "$timescale") {
                if (Status s = timescale(); !s) return s;
            } else if (word_ == "$timezero") {
                if (Status s = timezero(); !s) return s;
            } else if (word_ == "$date") {
                if (Status s = text("$date", header_.date); !s) return s;
            } else if (word_ == "$version") {
                if (Status s = text("$version", header_.version); !s) return s;
            } else if (word_ == "$comment") {
                if (!header_.comment.empty()) header_.comment += '\n';
                if (Status s = text("$comment", header_.comment); !s) return s;
            } else if (word_ == "$enddefinitions") {
                return end("$enddefinitions");
            } else if (word_.size() > 1 && word_[0] == '$') {
                // Extensions of tools: $attrbegin and others.
                std::string ignored;
                if (Status s = text(std::string(word_), ignored); !s) return s;
            } else {
                return words_.error(
                    Errc::BadFormat,
                    "expected a keyword of the header ($scope, $var, ...), found " + quoted(word_));
            }
        }
    }

private:
    Status word() {
        Result<std::optional<std::string_view>> got = words_.next();
        if (!got) return got.error();
        more_ = got->has_value();
        word_ = more_ ? **got : std::string_view{};
        return {};
    }
    /// The next word, which must be there and not be $end.
    Status need(const char* what) {
        if (Status s = word(); !s) return s;
        if (!more_)
            return words_.error(Errc::Truncated, std::string("the file ends before ") + what);
        if (word_ == "$end")
            return words_.error(Errc::BadFormat, std::string("expected ") + what + ", found $end");
        return {};
    }
    Status end(const std::string& of) {
        if (Status s = word(); !s) return s;
        if (!more_) return words_.error(Errc::Truncated, "the file ends before the $end of " + of);
        if (word_ != "$end")
            return words_.error(Errc::BadFormat,
                                "expected the $end of " + of + ", found " + quoted(word_));
        return {};
    }
    /// Words up to $end, with single blanks.
    Status text(const std::string& of, std::string& into) {
        const std::size_t begin = into.size();
        for (;;) {
            if (Status s = word(); !s) return s;
            if (!more_)
                return words_.error(Errc::Truncated, "the file ends before the $end of " + of);
            if (word_ == "$end") return {};
            if (into.size() - begin > kMostText) continue;
            if (into.size() > begin) into += ' ';
            into += word_.substr(0, kMostText);
        }
    }
    Status scope() {
        Scope s;
        if (Status got = need("the kind of the scope"); !got) return got;
        s.kind = word_;
        // Generate blocks of some tools have no name.
        std::string name;
        if (Status got = text("$scope", name); !got) return got;
        s.name = std::move(name);
        s.parent = scope_;
        // A scope may be opened again: it is the same one.
        const auto [at, fresh] =
            open_.try_emplace(std::to_string(scope_) + '.' + s.name,
                              static_cast<std::uint32_t>(header_.scopes.size()));
        if (fresh) header_.scopes.push_back(std::move(s));
        scope_ = at->second;
        return {};
    }
    Status var() {
        Var v;
        if (Status s = need("the kind of the variable"); !s) return s;
        v.kind = word_;
        if (Status s = need("the size of the variable"); !s) return s;
        if (word_[0] == '[') {  // a port of an extended VCD
            const std::optional<Range> range = range_of(word_);
            v.bits = range ? bits_of(*range) : 0;
        } else {
            const auto [after, error] =
                std::from_chars(word_.data(), word_.data() + word_.size(), v.bits);
            if (error != std::errc{} || after != word_.data() + word_.size() || v.bits > kMostBits)
                return words_.error(
                    Errc::BadFormat,
                    "expected the size of the variable, 1 to 67108864 bits, found " +
                        quoted(word_));
        }
        const Signal::Kind kind = kind_of(v.kind);
        if (v.bits == 0) {
            // Events and strings of some tools have no bits.
            if (kind == Signal::Kind::Bits)
                return words_.error(
                    Errc::BadFormat,
                    "expected a size of 1 to 67108864 bits, found " + quoted(word_));
            v.bits = 1;
        }
        if (Status s = need("the identifier code of the variable"); !s) return s;
        const std::string id(word_);
        std::string reference;
        if (Status s = need("the name of the variable"); !s) return s;
        reference = word_;
        for (;;) {
            if (Status s = word(); !s) return s;
            if (!more_)
                return words_.error(Errc::Truncated, "the file ends before the $end of $var");
            if (word_ == "$end") break;
            reference += ' ';
            reference += word_;
        }
        split_reference(reference, v);
        v.scope = scope_;
        const auto [at, fresh] =
            ids_.try_emplace(id, static_cast<std::uint32_t>(header_.signals.size()));
        v.signal = at->second;
        if (fresh) {
            header_.signals.push_back({kind, v.bits, id});
        } else {
            Signal& signal = header_.signals[v.signal];
            signal.bits = std::max(signal.bits, v.bits);
        }
        header_.vars.push_back(std::move(v));
        return {};
    }
    Status timescale() {
        std::string given;
        if (Status s = text("$timescale", given); !s) return s;
        std::erase(given, ' ');
        int exponent = 0;
        std::size_t at = 0;
        if (at < given.size() && given[at] == '1') {
            ++at;
            while (at < given.size() && given[at] == '0') {
                ++at;
                ++exponent;
            }
        }
        static constexpr std::array<std::pair<std::string_view, int>, 7> kUnits = {
            {{"s", 0}, {"ms", -3}, {"us", -6}, {"ns", -9}, {"ps", -12}, {"fs", -15}, {"as", -18}}};
        const std::string_view unit = std::string_view(given).substr(at);
        const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                        [&](const auto& known) { return known.first == unit; });
        if (at == 0 || exponent > 2 || found == kUnits.end())
            return words_.error(
                Errc::BadFormat,
                "expected a timescale such as 1ns, 10 ps or 100 us, found " + quoted(given));
        header_.time_exponent = exponent + found->second;
        return {};
    }
    Status timezero() {
        if (Status s = need("a number"); !s) return s;
        const auto [after, error] =
            std::from_chars(word_.data(), word_.data() + word_.size(), header_.time_zero);
        if (error != std::errc{} || after != word_.data() + word_.size())
            return words_.error(Errc::BadFormat,
                                "expected a whole number in $timezero, found " + quoted(word_));
        return end("$timezero");
    }

    Words& words_;
    Header& header_;
    IdMap& ids_;
    std::unordered_map<std::string, std::uint32_t> open_;
    std::uint32_t scope_ = Scope::kNone;
    std::string_view word_;
    bool more_ = true;
};

}  // namespace

Status parse_header(Words& words, Header& header, IdMap& ids) {
    return Parser(words, header, ids).run();
}

}  // namespace detail
}  // namespace spikelock::bridge::vcd

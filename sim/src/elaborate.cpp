// SPDX-License-Identifier: Apache-2.0
#include "spikelock/sim/elaborate.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <tuple>

#include "build_error.hpp"
#include "parameter.hpp"
#include "process.hpp"
#include "vhdl.hpp"

namespace spikelock::sim {

namespace fs = std::filesystem;

namespace {

/// An element of Verilator's XML; it has no text that matters here.
struct Node {
    std::string tag;
    std::map<std::string, std::string> attributes;
    std::vector<std::unique_ptr<Node>> children;

    const std::string& attribute(const char* key) const {
        static const std::string none;
        const auto found = attributes.find(key);
        return found == attributes.end() ? none : found->second;
    }
    const Node* child(const char* wanted) const {
        for (const auto& c : children)
            if (c->tag == wanted) return c.get();
        return nullptr;
    }
};

std::string unescaped(std::string_view text) {
    static const std::pair<std::string_view, char> names[] = {
        {"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&quot;", '"'}};
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
        bool found = false;
        for (const auto& [name, c] : names)
            if (text.substr(i, name.size()) == name) {
                out += c;
                i += name.size();
                found = true;
                break;
            }
        if (!found) out += text[i++];
    }
    return out;
}

/// A tolerant reader of the subset that Verilator writes. Null when the text is cut short.
std::unique_ptr<Node> parse_xml(std::string_view text) {
    auto root = std::make_unique<Node>();
    std::vector<Node*> open = {root.get()};
    std::size_t at = 0;
    while ((at = text.find('<', at)) != std::string_view::npos) {
        if (text.substr(at, 4) == "<!--") {
            at = text.find("-->", at);
            if (at == std::string_view::npos) return nullptr;
            continue;
        }
        // A value may hold '>' only inside its quotes.
        std::size_t end = at + 1;
        for (bool quoted = false; end < text.size() && (quoted || text[end] != '>'); ++end)
            if (text[end] == '"') quoted = !quoted;
        if (end >= text.size()) return nullptr;
        std::string_view body = text.substr(at + 1, end - at - 1);
        at = end + 1;
        if (body.empty() || body[0] == '?' || body[0] == '!') continue;
        if (body[0] == '/') {
            if (open.size() < 2) return nullptr;
            open.pop_back();
            continue;
        }
        const bool closed = body.back() == '/';
        if (closed) body.remove_suffix(1);
        auto node = std::make_unique<Node>();
        std::size_t i = std::min(body.size(), body.find_first_of(" \t\r\n"));
        node->tag = body.substr(0, i);
        while (i < body.size()) {
            i = body.find_first_not_of(" \t\r\n", i);
            const std::size_t equals = i < body.size() ? body.find("=\"", i) : body.npos;
            if (equals == std::string_view::npos) break;
            const std::size_t quote = body.find('"', equals + 2);
            if (quote == std::string_view::npos) break;
            node->attributes[std::string(body.substr(i, equals - i))] =
                unescaped(body.substr(equals + 2, quote - equals - 2));
            i = quote + 1;
        }
        Node* added = node.get();
        open.back()->children.push_back(std::move(node));
        if (!closed) open.push_back(added);
    }
    return open.size() == 1 ? std::move(root) : nullptr;
}

bool starts_with(std::string_view text, std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
}

/// "32'sh1f", "4'b1010", "12": the number, where it has at most 64 bits.
std::optional<std::int64_t> number_of(const std::string& literal) {
    std::size_t at = literal.find('\'');
    int base = 10;
    std::string digits = literal;
    if (at != std::string::npos) {
        ++at;
        if (at < literal.size() && (literal[at] == 's' || literal[at] == 'S')) ++at;
        if (at >= literal.size()) return std::nullopt;
        base = literal[at] == 'h' ? 16 : literal[at] == 'b' ? 2 : literal[at] == 'o' ? 8 : 10;
        digits = literal.substr(at + 1);
    }
    std::erase(digits, '_');
    if (digits.empty() || digits.size() > 16) return std::nullopt;
    char* end = nullptr;
    const long long value = std::strtoll(digits.c_str(), &end, base);
    if (end == digits.c_str() || *end != '\0') return std::nullopt;
    return value;
}

struct Type {
    std::uint32_t bits = 1;
    std::uint32_t words = 1;
    bool is_array = false;
    bool is_signed = false;
};

/// What the names of a module stand for: its variables as Variable::name.
using Paths = std::map<std::string, std::string>;

/// The top's port that a variable of a module stands for, by name of the variable.
using Aliases = std::map<std::string, std::string>;

class Reader {
public:
    explicit Reader(const Node& root) {
        const Node* xml = root.child("verilator_xml");
        if (!xml) return;
        if (const Node* files = xml->child("files"))
            for (const auto& file : files->children)
                files_[file->attribute("id")] = file->attribute("filename");
        netlist_ = xml->child("netlist");
        if (!netlist_) return;
        for (const auto& child : netlist_->children) {
            if (child->tag == "module") modules_[child->attribute("name")] = child.get();
            if (child->tag == "typetable")
                for (const auto& type : child->children) types_[type->attribute("id")] = type.get();
        }
        for (const auto& [name, module] : modules_) note_instances(*module);
    }

    bool good() const { return netlist_ != nullptr && !modules_.empty(); }

    /// Modules that nothing instantiates, the one with most below it first.
    std::vector<std::string> tops() const {
        std::vector<std::pair<std::size_t, std::string>> found;
        for (const auto& [name, module] : modules_)
            if (!instantiated_.contains(name) && !starts_with(name, "$"))
                found.emplace_back(size_of(*module, 0), name);
        std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
            return a.first != b.first ? a.first > b.first : a.second < b.second;
        });
        std::vector<std::string> names;
        for (auto& [size, name] : found) {
            const std::string& original = modules_.at(name)->attribute("origName");
            names.push_back(original.empty() ? name : original);
        }
        return names;
    }

    Design read(const std::string& top) {
        const Node* module = nullptr;
        for (const auto& [name, candidate] : modules_)
            if (!instantiated_.contains(name) &&
                (name == top || candidate->attribute("origName") == top))
                module = candidate;
        if (!module && modules_.contains(top)) module = modules_.at(top);
        if (!module) return {};
        design_.top = top;
        Aliases aliases;
        for (const auto& child : module->children)
            if (child->tag == "var" && !child->attribute("dir").empty()) {
                const std::string& name = child->attribute("name");
                aliases[name] = name;
                if (child->attribute("dir") != "output") design_.clock_uses[name];
                top_ports_.insert(name);
            }
        walk(*module, module->attribute("origName"), "", 0, aliases, {}, true);
        finish_slices();
        for (Variable& v : design_.signals) {
            if (const auto clocks = written_.find(v.name); clocks != written_.end()) {
                v.written = true;
                if (clocks->second.size() == 1) v.clock = *clocks->second.begin();
            }
            if (const auto columns = columns_.find(v.name); columns != columns_.end())
                std::tie(v.shared_bits, v.column_bits) = columns->second;
            v.working = v.written && working_.contains(v.name);
            v.counts = counters_.contains(v.name);
            v.fed_back = v.is_array && v.written && fed_back(v.name);
            v.generated = detail::is_vhdl(v.where.substr(0, v.where.rfind(':'))) &&
                          detail::is_generated(v.name);
            if (const auto found = readings_.find(v.name); found != readings_.end())
                v.reads = found->second;
        }
        return std::move(design_);
    }

private:
    std::string place(const Node& node) const {
        // "c,12,3,12,9"; older releases wrote fl="c12".
        std::istringstream in(node.attribute("loc"));
        std::string id;
        std::string line;
        if (!std::getline(in, id, ',') || !std::getline(in, line, ',')) return {};
        const auto file = files_.find(id);
        return file == files_.end() ? std::string() : file->second + ":" + line;
    }
    void note_instances(const Node& node) {
        for (const auto& child : node.children) {
            if (child->tag == "instance") instantiated_.insert(child->attribute("defName"));
            note_instances(*child);
        }
    }
    /// Variables and instances below a module, itself counted.
    std::size_t size_of(const Node& node, int depth) const {
        std::size_t size = 1;
        for (const auto& child : node.children) {
            size += size_of(*child, depth);
            if (child->tag != "instance" || depth > 40) continue;
            const auto module = modules_.find(child->attribute("defName"));
            if (module != modules_.end()) size += size_of(*module->second, depth + 1);
        }
        return size;
    }
    Type type_of(const std::string& id, int depth = 0) const {
        Type type;
        const auto found = types_.find(id);
        if (found == types_.end() || depth > 32) return type;
        const Node& node = *found->second;
        const auto sub = [&] { return type_of(node.attribute("sub_dtype_id"), depth + 1); };
        if (node.tag == "basicdtype") {
            const std::string& name = node.attribute("name");
            if (name == "string" || name == "real" || name == "double" || name == "realtime" ||
                name == "chandle" || name == "event")
                type.bits = 0;
            if (const auto left = number_of(node.attribute("left")))
                if (const auto right = number_of(node.attribute("right")))
                    type.bits = static_cast<std::uint32_t>(std::llabs(*left - *right)) + 1;
            type.is_signed = node.attribute("signed") == "true";
            return type;
        }
        if (node.tag == "structdtype" || node.tag == "uniondtype") {
            std::uint32_t bits = 0;
            for (const auto& member : node.children) {
                const Type t = type_of(member->attribute("sub_dtype_id"), depth + 1);
                bits = node.tag == "uniondtype" ? std::max(bits, t.bits) : bits + t.bits;
            }
            type.bits = bits;
            return type;
        }
        if (node.tag == "unpackarraydtype" || node.tag == "packarraydtype") {
            type = sub();
            std::uint32_t count = 1;
            if (const Node* range = node.child("range"); range && range->children.size() == 2) {
                const auto a = number_of(range->children[0]->attribute("name"));
                const auto b = number_of(range->children[1]->attribute("name"));
                if (a && b) count = static_cast<std::uint32_t>(std::llabs(*a - *b)) + 1;
            }
            if (node.tag == "unpackarraydtype") {
                type.words *= count;
                type.is_array = true;
            } else {
                type.bits *= count;
            }
            return type;
        }
        if (!node.attribute("sub_dtype_id").empty()) return sub();
        type.bits = 0;  // queues, classes and the like
        return type;
    }

    struct Path {
        std::string shown;    ///< with {i} in place of indices
        std::string indices;  ///< which ones, to count copies
    };

    /// Genvars, which nothing reads once loops are unrolled, and what loops in procedures count
    /// with: the built core has neither.
    void find_loop_variables(const Node& scope) {
        std::set<std::string> read;
        std::set<std::string> counted;
        note_uses(scope, read, counted);
        loop_variables_ = std::move(counted);
        for (const auto& child : scope.children)
            if (child->tag == "var" && child->attribute("vartype") == "integer" &&
                !read.contains(child->attribute("name")))
                loop_variables_.insert(child->attribute("name"));
    }
    static void note_uses(const Node& node, std::set<std::string>& read,
                          std::set<std::string>& counted) {
        if (node.tag == "varref") read.insert(node.attribute("name"));
        if (node.tag == "while" && node.children.size() > 1) {
            std::set<std::string> tested;
            std::set<std::string> changed;
            // What comes before the condition, the condition, the body, the step.
            note_uses(*node.children[node.children.size() > 2 ? 1 : 0], tested, changed);
            for (const auto& child : node.children) note_targets(*child, changed);
            for (const std::string& name : tested)
                if (changed.contains(name)) counted.insert(name);
        }
        for (const auto& child : node.children) note_uses(*child, read, counted);
    }

    static void note_targets(const Node& node, std::set<std::string>& changed) {
        if (starts_with(node.tag, "assign") && !node.children.empty())
            if (const Node* net = first_varref(*node.children.back()))
                changed.insert(net->attribute("name"));
        for (const auto& child : node.children) note_targets(*child, changed);
    }

    /// A variable, once for all copies that a loop makes of it.
    void add_variable(const Node& node, const std::string& module, const std::string& prefix,
                      bool top) {
        const std::string& raw = node.attribute("name");
        if (raw.empty() || starts_with(raw, "__V")) return;
        Variable v;
        const Type type = type_of(node.attribute("dtype_id"));
        v.name = prefix + (node.attribute("origName").empty() ? raw : node.attribute("origName"));
        v.bits = type.bits;
        v.words = type.words;
        v.is_array = type.is_array;
        v.is_signed = type.is_signed;
        v.where = place(node);
        v.module = module;
        if (const Node* value = node.child("const")) v.value = value->attribute("name");
        v.direction = node.attribute("dir");
        const bool direct = top && prefix.empty();
        if (node.attribute("vartype") != "logic" && v.direction.empty() &&
            node.attribute("param") != "true" && node.attribute("localparam") != "true" &&
            loop_variables_.contains(raw)) {
            design_.loop_variables.push_back(v.name);
            return;
        }
        if (node.attribute("param") == "true") {
            v.kind = Variable::Kind::Parameter;
        } else if (node.attribute("localparam") == "true") {
            v.kind = Variable::Kind::LocalParameter;
        } else if (direct && !node.attribute("dir").empty()) {
            v.kind = Variable::Kind::Port;
        }
        if (v.kind == Variable::Kind::Port) {
            design_.ports.push_back(std::move(v));
        } else if (v.kind != Variable::Kind::Signal) {
            if (direct) design_.parameters.push_back(std::move(v));
        } else if (const auto seen = seen_.find(v.name); seen != seen_.end()) {
            ++design_.signals[seen->second].copies;
        } else {
            seen_[v.name] = design_.signals.size();
            design_.signals.push_back(std::move(v));
        }
    }

    /// A generate block: its name with the index replaced, and loops counted.
    std::string block_name(const Node& node, const std::string& prefix, int& depth) {
        const std::string& name = node.attribute("name");
        const std::size_t bracket = name.find('[');
        if (bracket == std::string::npos || name.back() != ']') return name;
        const std::string base = name.substr(0, bracket);
        const auto index = number_of(name.substr(bracket + 1, name.size() - bracket - 2));
        const std::string full = prefix + base;
        const auto seen = loops_.find(full);
        if (seen == loops_.end()) {
            loops_[full] = design_.loops.size();
            design_.loops.push_back({full, index.value_or(0), 1, place(node)});
        } else {
            GenerateLoop& loop = design_.loops[seen->second];
            const std::int64_t i = index.value_or(0);
            loop.first = std::min(loop.first, i);
            loop.count = std::max(loop.count, static_cast<std::uint32_t>(i - loop.first + 1));
        }
        const std::string letter(1, static_cast<char>('i' + std::min(depth++, 8)));
        return base + "[{" + letter + "}]";
    }

    void walk(const Node& node, const std::string& module, const std::string& prefix, int depth,
              const Aliases& outer, const Paths& outer_paths, bool top) {
        Aliases aliases = outer;
        Paths paths = outer_paths;
        std::set<std::string> around = loop_variables_;
        find_loop_variables(node);
        for (const auto& child : node.children)
            if (child->tag == "var")
                paths[child->attribute("name")] =
                    prefix + (child->attribute("origName").empty() ? child->attribute("name")
                                                                   : child->attribute("origName"));
        // Clocks and resets are often passed on by a plain assignment.
        for (int pass = 0; pass < 2; ++pass)
            for (const auto& child : node.children)
                if (child->tag == "contassign" && child->children.size() == 2 &&
                    child->children[0]->tag == "varref" && child->children[1]->tag == "varref")
                    if (const auto from = aliases.find(child->children[0]->attribute("name"));
                        from != aliases.end())
                        aliases.emplace(child->children[1]->attribute("name"), from->second);
        for (const auto& child : node.children) {
            const std::string& tag = child->tag;
            if (tag == "var") {
                add_variable(*child, module, prefix, top);
            } else if (tag == "begin" || tag == "genblock" || tag == "generate") {
                if (child->attribute("name").empty()) {
                    walk(*child, module, prefix, depth, aliases, paths, top);
                    continue;
                }
                // Verilator leaves the loop's variable in a block without index.
                bool only_index = true;
                for (const auto& inner : child->children)
                    only_index = only_index && inner->tag == "var" &&
                                 inner->attribute("vartype") == "integer";
                if (only_index) continue;
                int inner_depth = depth;
                const std::string name = block_name(*child, prefix, inner_depth);
                walk(*child, module, prefix + name + ".", inner_depth, aliases, paths, top);
            } else if (tag == "instance") {
                enter(*child, prefix, depth, aliases, paths, top);
            } else if (starts_with(tag, "always")) {
                const std::string clock = read_always(*child, aliases);
                read_arithmetic(*child, true);
                note_written(*child, paths, clock);
                note_columns(*child, paths);
                note_flow(*child, paths, prefix);
                note_working(*child, paths);
                if (child->child("sentree")) note_counters(*child, paths, 0);
            } else if (tag == "contassign") {
                read_arithmetic(*child, true);
                note_written(*child, paths, {});
                note_columns(*child, paths);
                note_flow(*child, paths, prefix);
                note_decisions(*child, paths, false, {});
                note_reading(*child, paths);
            } else if (tag == "func" || tag == "task") {
                read_arithmetic(*child, false);
            }
        }
        loop_variables_ = std::move(around);
    }

    /// Assignments: the target is the last operand.
    /// @param clock  port whose edge they wait for; empty: none
    void note_written(const Node& node, const Paths& paths, const std::string& clock) {
        if ((node.tag == "contassign" || starts_with(node.tag, "assign")) && !node.children.empty())
            note_target(*node.children.back(), paths, clock);
        for (const auto& child : node.children) note_written(*child, paths, clock);
    }
    void note_target(const Node& target, const Paths& paths, const std::string& clock) {
        if (target.tag == "concat") {
            for (const auto& part : target.children) note_target(*part, paths, clock);
        } else if (const Node* net = first_varref(target)) {
            const auto path = paths.find(net->attribute("name"));
            if (path != paths.end()) written_[path->second].insert(clock);
        }
    }

    /// What a value is made of: no conditions, indices and widths of shifts.
    template <typename Use>
    static void data_of(const Node& node, const Use& use) {
        const bool chosen = node.tag == "cond" && node.children.size() == 3;
        const bool placed =
            node.tag == "arraysel" || node.tag == "sel" || starts_with(node.tag, "shift");
        if (node.tag == "varref") use(node.attribute("name"));
        for (std::size_t k = chosen ? 1 : 0; k < (placed ? 1 : node.children.size()); ++k)
            if (k < node.children.size()) data_of(*node.children[k], use);
    }
    static std::string path_of(const std::string& name, const Paths& paths,
                               const std::string& prefix) {
        const auto path = paths.find(name);
        return path == paths.end() ? prefix + name : path->second;
    }
    /// Registers that their module decides with, or sets to constants other than in a reset: they
    /// work for it, and hold nothing that was configured.
    void note_working(const Node& block, const Paths& paths) {
        note_decisions(block, paths, false, {});
        if (block.child("sentree")) note_constants(block, paths, true);
    }
    /// @param outer  no choice has been met yet: one by a plain net may be that of a reset
    void note_constants(const Node& node, const Paths& paths, bool outer) {
        if (starts_with(node.tag, "assign") && node.children.size() == 2) {
            const Node* target = first_varref(*node.children.back());
            const auto path = target ? paths.find(target->attribute("name")) : paths.end();
            if (path != paths.end() && may_be_constant(*node.children.front(), outer))
                working_.insert(path->second);
            return;
        }
        const bool choice = node.tag == "if" && node.children.size() > 1;
        const bool reset = choice && outer && is_plain(*node.children[0]);
        for (std::size_t k = 0; k < node.children.size(); ++k) {
            bool any = false;
            if (reset && k > 0 && sets_constants(*node.children[k], any)) continue;
            note_constants(*node.children[k], paths, outer && !choice);
        }
    }
    /// A net or its opposite.
    static bool is_plain(const Node& condition) {
        return condition.tag == "varref" ||
               ((condition.tag == "not" || condition.tag == "lognot") &&
                condition.children.size() == 1 && is_plain(*condition.children[0]));
    }
    static bool may_be_constant(const Node& value, bool outer) {
        if (value.tag == "const") return true;
        if (value.tag != "cond" || value.children.size() != 3) return false;
        const bool reset = outer && is_plain(*value.children[0]);
        for (std::size_t k = 1; k < 3; ++k)
            if (!(reset && value.children[k]->tag == "const") &&
                may_be_constant(*value.children[k], false))
                return true;
        return false;
    }
    /// What conditions, comparisons, indices and widths of shifts read.
    /// @param target  what the value is assigned to, which may look at itself
    void note_decisions(const Node& node, const Paths& paths, bool decides,
                        const std::string& target) {
        static const std::set<std::string> comparisons = {
            "eq",  "neq", "eqcase", "neqcase", "eqwild", "neqwild", "gt",     "gts",  "lt",
            "lts", "gte", "gtes",   "lte",     "ltes",   "lognot",  "logand", "logor"};
        if (node.tag == "sentree") return;
        if (node.tag == "varref") {
            const auto path = paths.find(node.attribute("name"));
            if (decides && path != paths.end() && node.attribute("name") != target)
                working_.insert(path->second);
            return;
        }
        const bool assigns = node.tag == "contassign" || starts_with(node.tag, "assign");
        std::string into = target;
        if (const Node* net =
                assigns && !node.children.empty() ? first_varref(*node.children.back()) : nullptr)
            into = net->attribute("name");
        const bool first = node.tag == "if" || node.tag == "cond" || node.tag == "case";
        const bool rest =
            node.tag == "arraysel" || node.tag == "sel" || starts_with(node.tag, "shift");
        for (std::size_t k = 0; k < node.children.size(); ++k)
            note_decisions(
                *node.children[k], paths,
                decides || (first && k == 0) || (rest && k > 0) || comparisons.contains(node.tag),
                into);
    }

    /// Which values go into which.
    void note_flow(const Node& node, const Paths& paths, const std::string& prefix) {
        for (const auto& child : node.children) note_flow(*child, paths, prefix);
        if ((node.tag != "contassign" && !starts_with(node.tag, "assign")) ||
            node.children.size() < 2)
            return;
        data_of(*node.children.back(), [&](const std::string& target) {
            data_of(*node.children.front(), [&](const std::string& source) {
                flow_[path_of(source, paths, prefix)].insert(path_of(target, paths, prefix));
            });
        });
    }
    /// Whether what a memory holds comes back to it.
    bool fed_back(const std::string& name) const {
        std::set<std::string> seen;
        std::vector<std::string> open = {name};
        while (!open.empty()) {
            const auto next = flow_.find(open.back());
            open.pop_back();
            if (next == flow_.end()) continue;
            for (const std::string& target : next->second) {
                if (target == name) return true;
                if (seen.insert(target).second) open.push_back(target);
            }
        }
        return false;
    }

    /// Words of a memory that hold several columns of a row: mem[{row, column[high:low]}].
    void note_columns(const Node& node, const Paths& paths) {
        for (const auto& child : node.children) note_columns(*child, paths);
        if (node.tag != "arraysel" || node.children.size() != 2 ||
            node.children[0]->tag != "varref" || node.children[1]->tag != "concat" ||
            node.children[1]->children.size() != 2)
            return;
        const Node& column = *node.children[1]->children[1];
        const auto path = paths.find(node.children[0]->attribute("name"));
        if (column.tag != "sel" || column.children.size() != 3 || path == paths.end()) return;
        const auto low = number_of(column.children[1]->attribute("name"));
        const auto bits = number_of(column.children[2]->attribute("name"));
        if (low && bits && *low > 0 && *low < 16 && *bits > 0 && *bits < 32)
            columns_[path->second] = {static_cast<std::uint32_t>(*low),
                                      static_cast<std::uint32_t>(*bits)};
    }

    /// Registers that count every clock: q <= q + 1, alone, as the other branch of a reset, or as
    /// the other value of one.
    void note_counters(const Node& node, const Paths& paths, int choices) {
        for (const auto& child : node.children) {
            if (child->tag == "begin") note_counters(*child, paths, choices);
            if (child->tag == "if" && choices == 0 && child->children.size() > 2)
                for (std::size_t k = 1; k < child->children.size(); ++k)
                    note_counters(*child->children[k], paths, 1);
            if (child->tag != "assigndly" || child->children.size() != 2 ||
                child->children[1]->tag != "varref")
                continue;
            const std::string& name = child->children[1]->attribute("name");
            const Node* value = child->children[0].get();
            if (value->tag == "cond" && value->children.size() == 3)
                value = value->children[value->children[1]->tag == "const" ? 2 : 1].get();
            if (value->tag != "add" || value->children.size() != 2) continue;
            bool one = false;
            bool itself = false;
            for (const auto& part : value->children) {
                one = one || (part->tag == "const" && number_of(part->attribute("name")) == 1);
                itself = itself || (part->tag == "varref" && part->attribute("name") == name);
            }
            const auto path = paths.find(name);
            if (one && itself && path != paths.end()) counters_.insert(path->second);
        }
    }

    /// Keeps what a net is assigned where that is a manifest's expression that reads a memory.
    void note_reading(const Node& assign, const Paths& paths) {
        if (assign.children.size() != 2 || assign.children[1]->tag != "varref") return;
        const auto path = paths.find(assign.children[1]->attribute("name"));
        if (path == paths.end()) return;
        std::string index;
        bool memory = false;
        const std::string text = expression_of(*assign.children[0], paths, index, memory, 0);
        if (!text.empty() && memory) readings_[path->second] = text;
    }
    /// Empty where the manifest has no words for it, or where two indices occur.
    static std::string expression_of(const Node& node, const Paths& paths, std::string& index,
                                     bool& memory, int depth) {
        const auto& c = node.children;
        const auto of = [&](std::size_t k) {
            return k < c.size() ? expression_of(*c[k], paths, index, memory, depth + 1)
                                : std::string();
        };
        // The index of a word or bit; all that are no constants must be the same net.
        const auto place_of = [&](const Node& at) -> std::string {
            if (at.tag == "const") {
                const auto number = number_of(at.attribute("name"));
                return number ? std::to_string(*number) : std::string();
            }
            if (at.tag != "varref") return {};
            if (index.empty()) index = at.attribute("name");
            return index == at.attribute("name") ? "@" : std::string();
        };
        if (depth > 16) return {};
        if (node.tag == "varref") {
            const auto path = paths.find(node.attribute("name"));
            return path == paths.end() ? std::string() : path->second;
        }
        if (node.tag == "const") {
            const auto number = number_of(node.attribute("name"));
            return number ? std::to_string(*number) : std::string();
        }
        if ((node.tag == "signed" || node.tag == "unsigned" || starts_with(node.tag, "extend")) &&
            c.size() == 1)
            return of(0);
        if (node.tag == "arraysel" && c.size() == 2) {
            const std::string array = of(0);
            const std::string at = place_of(*c[1]);
            if (array.empty() || at.empty()) return {};
            memory = memory || at == "@";
            return array + "[" + at + "]";
        }
        if (node.tag == "sel" && c.size() == 3) {
            const std::string from = of(0);
            const auto width = number_of(c[2]->attribute("name"));
            const std::string at = place_of(*c[1]);
            if (from.empty() || at.empty() || !width) return {};
            if (*width == 1) return from + "[" + at + "]";
            const auto low = number_of(c[1]->attribute("name"));
            if (!low) return {};
            return from + "[" + std::to_string(*low + *width - 1) + ":" + std::to_string(*low) +
                   "]";
        }
        if (node.tag == "cond" && c.size() == 3) {
            const std::string condition = of(0);
            const std::string yes = of(1);
            const std::string no = of(2);
            if (condition.empty() || yes.empty() || no.empty()) return {};
            return condition + " ? " + yes + " : " + no;
        }
        return {};
    }

    void enter(const Node& instance, const std::string& prefix, int depth, const Aliases& aliases,
               const Paths& paths, bool top) {
        const auto module = modules_.find(instance.attribute("defName"));
        if (module == modules_.end() || depth_ > 64) return;
        const std::string original = module->second->attribute("origName").empty()
                                         ? module->first
                                         : module->second->attribute("origName");
        std::string name = prefix + instance.attribute("name");
        if (const auto seen = seen_instances_.find(name); seen != seen_instances_.end()) {
            ++design_.instances[seen->second].copies;
        } else {
            seen_instances_[name] = design_.instances.size();
            design_.instances.push_back({name, original, 1, place(instance)});
        }
        Aliases inner;
        for (const auto& port : instance.children) {
            if (port->tag != "port" || port->children.empty()) continue;
            const Node& net = *port->children[0];
            const std::string port_name = port_of(*port, *module->second);
            const auto alias =
                net.tag == "varref" ? aliases.find(net.attribute("name")) : aliases.end();
            if (alias != aliases.end()) inner[port_name] = alias->second;
            if (port->attribute("direction") != "in") note_target(net, paths, {});
            const std::string within = name + "." + port_name;
            data_of(net, [&](const std::string& net_name) {
                const std::string outside = path_of(net_name, paths, prefix);
                if (port->attribute("direction") != "in") flow_[within].insert(outside);
                if (port->attribute("direction") != "out") flow_[outside].insert(within);
            });
            if (top) note_slice(net, prefix);
        }
        ++depth_;
        walk(*module->second, original, name + ".", depth, inner, {}, false);
        --depth_;
    }

    /// The port's name in the module; a connection by its place has only a number.
    static std::string port_of(const Node& port, const Node& module) {
        const std::string& name = port.attribute("name");
        if (starts_with(name, "__pinNumber"))
            for (const auto& child : module.children)
                if (child->tag == "var" && !child->attribute("dir").empty() &&
                    child->attribute("pinIndex") == port.attribute("portIndex"))
                    return child->attribute("name");
        return name;
    }

    /// A slice of a port of the top that goes to one copy of a loop.
    void note_slice(const Node& net, const std::string& prefix) {
        if (net.children.empty() || net.children[0]->tag != "varref") return;
        const std::string& port = net.children[0]->attribute("name");
        if (!top_ports_.contains(port) || prefix.find("[{") == std::string::npos) return;
        const auto index =
            net.children.size() > 1 ? number_of(net.children[1]->attribute("name")) : std::nullopt;
        if (!index) return;
        if (net.tag == "arraysel") {
            slices_[port].push_back({*index, 1, true});
        } else if (net.tag == "sel" && net.children.size() > 2) {
            const auto width = number_of(net.children[2]->attribute("name"));
            if (width && *width > 0) slices_[port].push_back({*index, *width, false});
        }
    }
    void finish_slices() {
        for (auto& [port, all] : slices_) {
            std::sort(all.begin(), all.end());
            all.erase(std::unique(all.begin(), all.end()), all.end());
            const std::int64_t width = std::get<1>(all.front());
            bool regular = true;
            for (std::size_t k = 0; k < all.size(); ++k)
                regular = regular && std::get<1>(all[k]) == width &&
                          std::get<0>(all[k]) == static_cast<std::int64_t>(k) * width;
            for (const Variable& v : design_.ports)
                if (v.name == port && regular) {
                    const bool array = std::get<2>(all.front());
                    const auto count = static_cast<std::uint32_t>(all.size());
                    if ((array ? v.words : v.bits) != count * static_cast<std::uint32_t>(width))
                        continue;  // a part of it only
                    design_.slices.push_back(
                        {port, array ? v.bits : static_cast<std::uint32_t>(width), count, array});
                }
        }
    }

    static const Node* first_varref(const Node& node) {
        if (node.tag == "varref") return &node;
        for (const auto& child : node.children)
            if (const Node* found = first_varref(*child)) return found;
        return nullptr;
    }
    /// Whether all that a branch sets are constants, and it sets something.
    static bool sets_constants(const Node& node, bool& any) {
        if (node.tag == "assigndly") {
            any = true;
            return !node.children.empty() && !first_varref(*node.children[0]);
        }
        for (const auto& child : node.children)
            if (!sets_constants(*child, any)) return false;
        return true;
    }
    /// @returns the port that is the block's clock; empty: none
    std::string read_always(const Node& block, const Aliases& aliases) {
        const Node* tree = block.child("sentree");
        if (!tree) return {};
        struct Edge {
            std::string port;
            bool falling = false;
        };
        std::vector<Edge> edges;
        for (const auto& item : tree->children) {
            const std::string& kind = item->attribute("edgeType");
            if (kind.empty() || (kind[0] != 'P' && kind[0] != 'N')) continue;
            const Node* net = first_varref(*item);
            const auto alias = net ? aliases.find(net->attribute("name")) : aliases.end();
            edges.push_back({alias == aliases.end() ? "" : alias->second, kind[0] == 'N'});
        }
        if (edges.empty()) return {};
        ++design_.clocked_blocks;
        // The condition of the outermost if tells a reset: one of its branches sets constants only.
        std::string reset;
        bool low = false;
        if (const Node* choice = outer_if(block); choice && choice->children.size() >= 2) {
            const Node* condition = choice->children[0].get();
            bool inverted = false;
            while ((condition->tag == "not" || condition->tag == "lognot") &&
                   !condition->children.empty()) {
                inverted = !inverted;
                condition = condition->children[0].get();
            }
            bool any = false;
            const bool then_constant = sets_constants(*choice->children[1], any) && any;
            any = false;
            const bool else_constant =
                choice->children.size() > 2 && sets_constants(*choice->children[2], any) && any;
            const auto alias = condition->tag == "varref"
                                   ? aliases.find(condition->attribute("name"))
                                   : aliases.end();
            if (alias != aliases.end() && then_constant != else_constant) {
                reset = alias->second;
                low = else_constant != inverted;
            }
        }
        std::string clock;
        bool clock_falling = false;
        for (const Edge& edge : edges)
            if (edges.size() == 1 || (edge.port != reset || edge.port.empty())) {
                clock = edge.port;
                clock_falling = edge.falling;
                break;
            }
        if (const auto use = design_.clock_uses.find(clock); use != design_.clock_uses.end())
            ++(clock_falling ? use->second.negedge_first : use->second.posedge_first);
        bool async = false;
        for (const Edge& edge : edges) {
            const auto use = design_.clock_uses.find(edge.port);
            if (edge.port == clock || use == design_.clock_uses.end()) continue;
            ++(edge.falling ? use->second.async_low : use->second.async_high);
            async = async || edge.port == reset;
        }
        if (const auto use = design_.clock_uses.find(reset);
            use != design_.clock_uses.end() && !async)
            ++(low ? use->second.sync_low : use->second.sync_high);
        return clock;
    }
    static const Node* outer_if(const Node& node) {
        for (const auto& child : node.children) {
            if (child->tag == "if") return child.get();
            if (child->tag == "begin") return outer_if(*child);
        }
        return nullptr;
    }

    /// Looks for what every neuron has: a sum of two values, and a comparison of size.
    void read_arithmetic(const Node& node, bool loops) {
        static const std::set<std::string> sums = {"add", "sub"};
        static const std::set<std::string> comparisons = {"gt",  "gts",  "lt",  "lts",
                                                          "gte", "gtes", "lte", "ltes"};
        if (node.tag == "while" || node.tag == "for") {
            // Bound and increment of a loop are no arithmetic of the design.
            for (const auto& child : node.children)
                for (const auto& inner : child->children)
                    if (!comparisons.contains(inner->tag)) read_arithmetic(*inner, loops);
            return;
        }
        if (node.children.size() == 2) {
            const bool values = first_varref(*node.children[0]) && first_varref(*node.children[1]);
            if (values && sums.contains(node.tag) && design_.sum_at.empty())
                design_.sum_at = place(node);
            // A comparison with a constant is that of any counter; but thresholds can be constants,
            // so a sum or a signed comparison counts too.
            const bool is_signed = comparisons.contains(node.tag) && node.tag.back() == 's';
            if (comparisons.contains(node.tag) && (values || is_signed) &&
                design_.compare_at.empty())
                design_.compare_at = place(node);
        }
        for (const auto& child : node.children) read_arithmetic(*child, loops);
    }

    std::map<std::string, std::string> files_;
    std::map<std::string, const Node*> modules_;
    std::map<std::string, const Node*> types_;
    std::set<std::string> instantiated_;
    std::set<std::string> top_ports_;
    std::map<std::string, std::size_t> seen_;
    std::map<std::string, std::size_t> seen_instances_;
    std::map<std::string, std::size_t> loops_;
    std::map<std::string, std::vector<std::tuple<std::int64_t, std::int64_t, bool>>> slices_;
    std::map<std::string, std::set<std::string>> written_;  ///< by Variable::name: Variable::clock
    std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> columns_;  ///< the same
    std::map<std::string, std::string> readings_;  ///< the same, of Variable::reads
    std::set<std::string> loop_variables_;         ///< of the scope that is being read
    std::set<std::string> counters_;
    std::set<std::string> working_;                      ///< by Variable::name: Variable::working
    std::map<std::string, std::set<std::string>> flow_;  ///< by source: what it goes into
    int depth_ = 0;
    const Node* netlist_ = nullptr;
    Design design_;
};

/// A folder that goes with its owner.
class TemporaryFolder {
public:
    explicit TemporaryFolder(const std::string& parent) {
        std::string pattern = parent + "/spikelock-elaborate-XXXXXX";
        if (mkdtemp(pattern.data())) path_ = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code code;
        if (!path_.empty()) fs::remove_all(path_, code);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};
}  // namespace

ElaborateOptions elaborate_options(const manifest::Manifest& m) {
    ElaborateOptions options;
    options.sources = m.core.sources;
    options.top = m.core.top;
    options.include_dirs = m.core.include_dirs;
    options.defines = m.core.defines;
    options.parameters = m.core.parameters;
    options.waivers = m.core.waivers;
    options.language = m.core.language;
    options.vhdl_std = m.core.vhdl_std;
    options.vhdl_flags = m.core.vhdl_flags;
    options.assertions = m.core.assertions;
    options.folder = m.folder;
    return options;
}

Result<Design> elaborate(const ElaborateOptions& given) {
    const TemporaryFolder folder(given.temp_folder);
    if (folder.path().empty())
        return Error{Errc::Environment,
                     std::string("cannot create a folder: ") + std::strerror(errno),
                     given.temp_folder};
    ElaborateOptions options = given;
    if (detail::any_vhdl(given.sources)) {
        Result<detail::Translation> translated = detail::translate_vhdl(given, folder.path());
        if (!translated) return translated.error();
        options.sources = std::move(translated->sources);
        if (translated->parameters_used) options.parameters.clear();
    }
    const std::string file = folder.path() + "/design.xml";
    std::vector<std::string> arguments = {
        "verilator",  "--xml-only",  "--xml-output", file,         "-Mdir",         folder.path(),
        "-Wno-fatal", "--no-timing", "-fno-dfg",     "--language", options.language};
    if (!options.top.empty()) {
        arguments.emplace_back("--top-module");
        arguments.push_back(options.top);
    }
    for (const std::string& dir : options.include_dirs) arguments.push_back("-I" + dir);
    for (const std::string& define : options.defines) arguments.push_back("-D" + define);
    for (const auto& [name, value] : options.parameters)
        arguments.push_back(detail::parameter_argument(name, value));
    arguments.insert(arguments.end(), options.waivers.begin(), options.waivers.end());
    arguments.insert(arguments.end(), options.sources.begin(), options.sources.end());
    Result<detail::CommandResult> done =
        detail::run_command(arguments, options.folder, options.stop);
    if (!done)
        return done.error().code == Errc::NotFound
                   ? Error{Errc::Environment,
                           "cannot run verilator; 5.006 or newer is needed: apt-get install "
                           "verilator",
                           "verilator"}
                   : done.error();
    if (done->status != 0) {
        if (done->output.find("Invalid option: --xml") != std::string::npos)
            return Error{Errc::Unsupported,
                         "this Verilator has no --xml-only; 5.006 to 5.032 have it", "verilator"};
        return detail::build_error("verilator", done->output, {});
    }
    std::ifstream stream(file, std::ios::binary);
    std::stringstream text;
    text << stream.rdbuf();
    const std::string xml = text.str();
    const std::unique_ptr<Node> root = parse_xml(xml);
    if (!root)
        return Error{Errc::Unsupported, "Verilator's XML ends early or cannot be read",
                     "verilator --xml-only"};
    Reader reader(*root);
    if (!reader.good())
        return Error{Errc::Build, "Verilator found no module in the sources",
                     options.sources.empty() ? std::string() : options.sources.front()};
    if (!options.top.empty()) return reader.read(options.top);
    std::vector<std::string> tops = reader.tops();
    if (tops.empty())
        return Error{Errc::Build, "no module that could be the top; name it",
                     options.sources.empty() ? std::string() : options.sources.front()};
    const std::string top = tops.front();
    tops.erase(tops.begin());
    if (tops.empty()) return reader.read(top);
    // With several tops Verilator keeps all of them; once more with the one.
    ElaborateOptions again = given;
    again.top = top;
    Result<Design> design = elaborate(again);
    if (design) design->other_tops = std::move(tops);
    return design;
}

}  // namespace spikelock::sim

// SPDX-License-Identifier: Apache-2.0
// From a tree of NIR nodes to populations and synapses. Total: any tree gives a network or an
// error, within the bounds of nir_graph.hpp.
//
// Every node but neurons, Input and Output is a linear map with an offset. Maps between neurons
// are composed into one sparse matrix, whose elements become the synapses; offsets become biases.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

#include "nir_graph.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::golden::detail {
namespace {

using Shape = std::vector<std::uint64_t>;

enum class Op : std::uint8_t {
    Input,   ///< of the whole graph
    Output,  ///< of the whole graph
    Port,    ///< Input or Output of a nested graph: passes its signal on
    Matrix,  ///< Linear, Affine
    Scale,
    Delay,
    Flatten,
    Conv,
    Pool,
    Neuron,
};

/// What NIR's node types take. Shapes of nodes may also be stored under input_type, output_type.
struct TypeInfo {
    std::string_view name;
    Op op;
    std::vector<std::string_view> required;
    std::vector<std::string_view> optional;
    NeuronKind kind = NeuronKind::If;
};

const std::vector<TypeInfo>& types() {
    static const std::vector<TypeInfo> table = {
        {"Input", Op::Input, {}, {"shape"}},
        {"Output", Op::Output, {}, {"shape"}},
        {"Linear", Op::Matrix, {"weight"}, {}},
        {"Affine", Op::Matrix, {"weight", "bias"}, {}},
        {"Scale", Op::Scale, {"scale"}, {}},
        {"Delay", Op::Delay, {"delay"}, {}},
        {"Flatten", Op::Flatten, {}, {"start_dim", "end_dim"}},
        {"Conv1d",
         Op::Conv,
         {"weight"},
         {"bias", "input_shape", "stride", "padding", "dilation", "groups"}},
        {"Conv2d",
         Op::Conv,
         {"weight"},
         {"bias", "input_shape", "stride", "padding", "dilation", "groups"}},
        {"SumPool2d", Op::Pool, {"kernel_size"}, {"stride", "padding"}},
        {"AvgPool2d", Op::Pool, {"kernel_size"}, {"stride", "padding"}},
        {"IF", Op::Neuron, {"r", "v_threshold"}, {"v_reset"}, NeuronKind::If},
        {"LIF", Op::Neuron, {"tau", "r", "v_leak", "v_threshold"}, {"v_reset"}, NeuronKind::Lif},
        {"CubaLIF",
         Op::Neuron,
         {"tau_syn", "tau_mem", "r", "v_leak", "v_threshold"},
         {"v_reset", "w_in"},
         NeuronKind::CubaLif},
        {"LI", Op::Neuron, {"tau", "r", "v_leak"}, {}, NeuronKind::Li},
        {"CubaLI", Op::Neuron, {"tau_syn", "tau_mem", "r", "v_leak"}, {"w_in"}, NeuronKind::CubaLi},
        {"Threshold", Op::Neuron, {"threshold"}, {}, NeuronKind::Lif},
    };
    return table;
}

/// "12" < "2" as text, but 2 < 12 as a person numbers layers.
bool natural_less(std::string_view a, std::string_view b) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < a.size() && j < b.size()) {
        if (!digit(a[i]) || !digit(b[j])) {
            if (a[i] != b[j]) return a[i] < b[j];
            ++i, ++j;
            continue;
        }
        const auto number = [&](std::string_view text, std::size_t& at) {
            while (at < text.size() && text[at] == '0') ++at;
            const std::size_t begin = at;
            while (at < text.size() && digit(text[at])) ++at;
            return text.substr(begin, at - begin);
        };
        const std::string_view x = number(a, i);
        const std::string_view y = number(b, j);
        if (x.size() != y.size()) return x.size() < y.size();
        if (x != y) return x < y;
    }
    if (a.size() - i != b.size() - j) return a.size() - i < b.size() - j;
    return a < b;
}

std::string text_of(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

/// Elements of a shape, or nothing where it is wider than any signal may be.
std::optional<std::uint64_t> count_of(const Shape& shape) {
    std::uint64_t count = 1;
    for (const std::uint64_t extent : shape) {
        if (extent > kMaxWidth) return std::nullopt;
        count *= extent;
        if (count > kMaxWidth) return std::nullopt;
    }
    return count;
}

Shape without_ones(Shape shape) {
    std::erase(shape, std::uint64_t{1});
    return shape;
}

/// NIR's rule is equality; writers differ in extents of 1 and leave out Flatten, neither of which
/// changes the order of the elements.
bool compatible(const Shape& from, const Shape& to) {
    if (count_of(from) != count_of(to)) return false;
    const Shape a = without_ones(from);
    const Shape b = without_ones(to);
    return a == b || a.size() <= 1 || b.size() <= 1;
}

/// Shape that both broadcast to, by NumPy's rule.
std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
    Shape out(std::max(a.size(), b.size()), 1);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const std::uint64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
        const std::uint64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (x != y && x != 1 && y != 1) return std::nullopt;
        out[out.size() - 1 - i] = x == 1 ? y : x;
    }
    return out;
}

/// The array's values at each element of `shape`. @pre it broadcasts to `shape`
std::vector<double> spread(const NirArray& array, const Shape& shape, std::uint64_t count) {
    std::vector<double> values(static_cast<std::size_t>(count));
    if (array.values.size() == 1) {
        std::fill(values.begin(), values.end(), array.values[0]);
        return values;
    }
    for (std::uint64_t element = 0; element < count; ++element) {
        std::uint64_t rest = element;
        std::uint64_t index = 0;
        std::uint64_t stride = 1;
        for (std::size_t i = 0; i < shape.size(); ++i) {
            const std::uint64_t extent = shape[shape.size() - 1 - i];
            const std::uint64_t at = rest % extent;
            rest /= extent;
            if (i < array.shape.size()) {
                const std::uint64_t own = array.shape[array.shape.size() - 1 - i];
                index += stride * (own == 1 ? 0 : at);
                stride *= own;
            }
        }
        values[static_cast<std::size_t>(element)] = array.values[static_cast<std::size_t>(index)];
    }
    return values;
}

/// A node after nested graphs are dissolved.
struct Flat {
    std::string label;  ///< names from the outermost graph inwards, joined by dots
    const NirNode* node = nullptr;
    const TypeInfo* type = nullptr;
    Op op = Op::Port;
    std::vector<std::uint32_t> from;  ///< sources of its edges, in the order of the file
    std::vector<std::uint32_t> to;
    std::optional<Shape> in;
    std::optional<Shape> out;
};

/// Windows of a convolution or pooling; one dimension is two with a height of 1.
struct Window {
    std::array<std::uint64_t, 2> in{1, 1};
    std::array<std::uint64_t, 2> out{1, 1};
    std::array<std::uint64_t, 2> kernel{1, 1};
    std::array<std::uint64_t, 2> stride{1, 1};
    std::array<std::uint64_t, 2> before{0, 0};  ///< padding
    std::array<std::uint64_t, 2> dilation{1, 1};
};

/// One source's part in one element of a signal.
struct Term {
    std::uint32_t source = 0;  ///< axon, or number of axons + neuron
    double delay = 0.0;        ///< seconds
    double weight = 0.0;
};

/// What an edge carries: for each element a weighted sum of spikes, plus a constant.
struct Signal {
    std::vector<std::size_t> begin{0};  ///< shape (elements + 1)
    std::vector<Term> terms;            ///< of each element by source, then delay
    std::vector<double> bias;           ///< shape (elements)
    std::span<const Term> terms_of(std::size_t element) const {
        return std::span(terms).subspan(begin[element], begin[element + 1] - begin[element]);
    }
};

/// A population on the way.
struct Neurons {
    std::uint32_t node = 0;
    std::uint32_t begin = 0;  ///< first neuron
    std::uint32_t size = 0;
};

class Builder {
public:
    Builder(const NirNode& root, const std::string& path) : root_(root), path_(path) {}

    Result<FloatNetwork> build() {
        if (root_.type != "NIRGraph")
            return at_file(root_.type.empty() ? Errc::BadFormat : Errc::Unsupported,
                           fmt::format("'/node' is of type '{}', expected a NIRGraph", root_.type));
        for (const auto step :
             {&Builder::flatten_root, &Builder::check_parameters, &Builder::infer_shapes,
              &Builder::check_edges, &Builder::order_linear_nodes, &Builder::check_outputs,
              &Builder::order_populations, &Builder::number_sources, &Builder::compose_all})
            if (Status status = (this->*step)(); !status) return status.error();
        return network();
    }

private:
    // --- errors -------------------------------------------------------------------------------
    Error at_file(Errc code, std::string message) const {
        return {code, std::move(message), path_};
    }
    Error at_node(const std::string& label, Errc code, std::string message) const {
        return {code, std::move(message), fmt::format("{}: node '{}'", path_, label)};
    }
    Error at_node(const Flat& flat, Errc code, std::string message) const {
        return at_node(flat.label, code, std::move(message));
    }
    Error at_edge(std::string_view from, std::string_view to, std::string_view graph, Errc code,
                  std::string message) const {
        return {code, std::move(message),
                fmt::format("{}: edge ('{}', '{}'){}", path_, from, to,
                            graph.empty() ? "" : fmt::format(" of graph '{}'", graph))};
    }

    // --- nested graphs ------------------------------------------------------------------------
    /// Where edges to and from a name of a graph end.
    struct Ends {
        std::vector<std::uint32_t> enter;
        std::vector<std::uint32_t> leave;
        bool nested = false;
    };

    Status flatten_root() {
        Ends unused;
        if (Status status = flatten(root_, {}, unused); !status) return status;
        std::set<std::string_view> labels;
        for (const Flat& flat : flats_)
            if (!labels.insert(flat.label).second)
                return at_node(flat, Errc::BadFormat,
                               "two nodes have this name once nested graphs are joined by dots");
        return {};
    }

    Status flatten(const NirNode& graph, const std::string& prefix, Ends& ends) {
        std::map<std::string, Ends, std::less<>> names;
        std::vector<std::string> known;
        for (const NirNode& node : graph.nodes) {
            const std::string label = prefix.empty() ? node.name : prefix + "." + node.name;
            known.push_back(node.name);
            Ends& own = names[node.name];
            if (node.type == "NIRGraph") {
                own.nested = true;
                if (Status status = flatten(node, label, own); !status) return status;
                continue;
            }
            const auto index = static_cast<std::uint32_t>(flats_.size());
            const TypeInfo* type = find_type(node.type);
            if (type == nullptr) return unknown_type(label, node.type);
            const bool port = !prefix.empty() && (type->op == Op::Input || type->op == Op::Output);
            if (type->op == Op::Input) ends.enter.push_back(index);
            if (type->op == Op::Output) ends.leave.push_back(index);
            own.enter.push_back(index);
            own.leave.push_back(index);
            Flat& flat = flats_.emplace_back();
            flat.label = label;
            flat.node = &node;
            flat.type = type;
            flat.op = port ? Op::Port : type->op;
        }
        for (const auto& [from, to] : graph.edges) {
            for (const std::string& name : {from, to})
                if (!names.contains(name))
                    return at_edge(from, to, prefix, Errc::BadFormat,
                                   fmt::format("names a node '{}' that does not exist{}", name,
                                               did_you_mean(name, known)));
            const Ends& source = names.find(from)->second;
            const Ends& target = names.find(to)->second;
            if (source.leave.size() != 1)
                return at_edge(from, to, prefix, Errc::Unsupported,
                               fmt::format("leaves graph '{}', which has {} Output nodes; exactly "
                                           "one is needed to know where the edge starts",
                                           from, source.leave.size()));
            if (target.enter.size() != 1)
                return at_edge(from, to, prefix, Errc::Unsupported,
                               fmt::format("enters graph '{}', which has {} Input nodes; exactly "
                                           "one is needed to know where the edge ends",
                                           to, target.enter.size()));
            const std::uint32_t a = source.leave[0];
            const std::uint32_t b = target.enter[0];
            // The outer side of a nested graph's port is fed from outside, its inner side is not.
            if (!target.nested && find_type(flats_[b].node->type)->op == Op::Input)
                return at_edge(from, to, prefix, Errc::BadFormat, "leads into an Input node");
            if (!source.nested && find_type(flats_[a].node->type)->op == Op::Output)
                return at_edge(from, to, prefix, Errc::BadFormat, "starts at an Output node");
            flats_[a].to.push_back(b);
            flats_[b].from.push_back(a);
        }
        return {};
    }

    static const TypeInfo* find_type(std::string_view name) {
        for (const TypeInfo& type : types())
            if (type.name == name) return &type;
        return nullptr;
    }

    Error unknown_type(const std::string& label, const std::string& type) const {
        if (type.empty()) return at_node(label, Errc::BadFormat, "has no type");
        std::vector<std::string> known{"NIRGraph"};
        for (const TypeInfo& info : types()) known.emplace_back(info.name);
        return at_node(label, Errc::Unsupported,
                       fmt::format("type '{}' is not supported (only {}){}", type,
                                   fmt::join(known, ", "), did_you_mean(type, known)));
    }

    // --- parameters ---------------------------------------------------------------------------
    Status check_parameters() {
        for (const Flat& flat : flats_) {
            const auto known = [&](std::string_view name) {
                const auto in = [&](const auto& list) {
                    return std::find(list.begin(), list.end(), name) != list.end();
                };
                return in(flat.type->required) || in(flat.type->optional) || name == "input_type" ||
                       name == "output_type";
            };
            std::vector<std::string> names;
            for (const auto* list : {&flat.type->required, &flat.type->optional})
                names.insert(names.end(), list->begin(), list->end());
            // A parameter that is passed over would be a network that is not the file's.
            const auto unknown = [&](const std::string& name) {
                return at_node(flat, Errc::Unsupported,
                               fmt::format("parameter '{}' is not one of NIR's {}{}", name,
                                           flat.type->name, did_you_mean(name, names)));
            };
            for (const auto& [name, array] : flat.node->arrays) {
                if (!known(name)) return unknown(name);
                for (const double value : array.values)
                    if (!std::isfinite(value))
                        return at_node(flat, Errc::BadFormat,
                                       fmt::format("parameter '{}' holds {}", name, value));
            }
            for (const auto& [name, value] : flat.node->texts) {
                if (!known(name)) return unknown(name);
                if (name != "padding" && name != "input_type" && name != "output_type")
                    return at_node(flat, Errc::BadFormat,
                                   fmt::format("parameter '{}' is text ('{}'), expected numbers",
                                               name, value));
            }
            for (const std::string_view name : flat.type->required)
                if (array(flat, name) == nullptr)
                    return at_node(
                        flat, Errc::BadFormat,
                        fmt::format("a {} needs the parameter '{}'", flat.type->name, name));
            for (const std::string_view name : {"tau", "tau_mem", "tau_syn"})
                if (const NirArray* values = array(flat, name); values != nullptr)
                    for (const double value : values->values)
                        if (value <= 0.0)
                            return at_node(flat, Errc::BadFormat,
                                           fmt::format("{} must be positive, got {}", name, value));
            if (flat.op == Op::Delay)
                for (const double value : array(flat, "delay")->values)
                    if (value < 0.0)
                        return at_node(flat, Errc::BadFormat,
                                       fmt::format("delay must not be negative, got {}", value));
        }
        return {};
    }

    static const NirArray* array(const Flat& flat, std::string_view name) {
        const auto found = flat.node->arrays.find(std::string(name));
        return found == flat.node->arrays.end() ? nullptr : &found->second;
    }

    /// A list of whole numbers; a single one stands for `size` equal ones.
    /// @param size  0: any number of them
    Result<std::vector<std::int64_t>> integers(const Flat& flat, std::string_view name,
                                               std::size_t size, std::int64_t fallback,
                                               std::int64_t least) const {
        const NirArray* values = array(flat, name);
        if (values == nullptr) return std::vector<std::int64_t>(size, fallback);
        std::vector<std::int64_t> out;
        for (const double value : values->values) {
            if (value != std::floor(value) || value < static_cast<double>(least) ||
                value > static_cast<double>(kMaxWidth))
                return at_node(flat, Errc::BadFormat,
                               fmt::format("{} must be whole numbers from {} to {}, got {}", name,
                                           least, kMaxWidth, value));
            out.push_back(static_cast<std::int64_t>(value));
        }
        if (size > 0 && out.size() == 1) out.assign(size, out[0]);
        if (values->shape.size() > 1 || (size > 0 && out.size() != size))
            return at_node(flat, Errc::BadFormat,
                           fmt::format("{} must have {} elements, has the shape {}", name, size,
                                       text_of(values->shape)));
        return out;
    }

    /// The shape that an Input, Output or Flatten declares, if it does.
    Result<std::optional<Shape>> declared(const Flat& flat, std::string_view name) const {
        if (array(flat, name) == nullptr) return std::optional<Shape>{};
        auto extents = integers(flat, name, 0, 0, 0);
        if (!extents) return extents.error();
        Shape shape;
        for (const std::int64_t extent : *extents)
            shape.push_back(static_cast<std::uint64_t>(extent));
        return std::optional<Shape>(shape);
    }

    // --- shapes -------------------------------------------------------------------------------
    /// Gives every node its shapes: first those that state them, then outwards along the edges.
    Status infer_shapes() {
        std::vector<std::uint32_t> work;
        const auto visit = [&](std::uint32_t index, const Shape* incoming) -> Status {
            Flat& flat = flats_[index];
            if (flat.out) return {};
            if (Status status = infer(flat, incoming); !status) return status;
            if (!flat.out) return {};
            for (const Shape* shape : {&*flat.in, &*flat.out})
                if (!count_of(*shape))
                    return at_node(flat, Errc::Limit,
                                   fmt::format("has a signal of shape {}; at most {} elements are "
                                               "supported",
                                               text_of(*shape), kMaxWidth));
            work.push_back(index);
            return {};
        };
        const auto spread_out = [&]() -> Status {
            for (std::size_t next = 0; next < work.size(); ++next)
                for (const std::uint32_t target : flats_[work[next]].to)
                    if (Status status = visit(target, &*flats_[work[next]].out); !status)
                        return status;
            work.clear();
            return {};
        };
        for (std::uint32_t i = 0; i < flats_.size(); ++i)
            if (Status status = visit(i, nullptr); !status) return status;
        if (Status status = spread_out(); !status) return status;
        // Scalar parameters and nothing known that leads in: one neuron.
        const Shape one{1};
        for (std::uint32_t i = 0; i < flats_.size(); ++i)
            if (flats_[i].op == Op::Neuron && !flats_[i].out) {
                if (Status status = visit(i, &one); !status) return status;
                if (Status status = spread_out(); !status) return status;
            }
        for (const Flat& flat : flats_)
            if (!flat.out)
                return at_node(flat, Errc::BadFormat,
                               "has no shape of its own and no edge that would give it one");
        return {};
    }

    /// Sets both shapes, or leaves them where they depend on an input not known yet.
    Status infer(Flat& flat, const Shape* incoming) {
        const auto same = [&](Shape shape) {
            flat.in = shape;
            flat.out = std::move(shape);
        };
        switch (flat.op) {
            case Op::Input:
            case Op::Output:
            case Op::Port: {
                auto shape = declared(flat, "shape");
                if (!shape) return shape.error();
                if (*shape)
                    same(**shape);
                else if (incoming != nullptr)
                    same(*incoming);
                return {};
            }
            case Op::Flatten:
                return infer_flatten(flat, incoming);
            case Op::Matrix:
                return infer_matrix(flat);
            case Op::Conv:
                return infer_conv(flat, incoming);
            case Op::Pool:
                return infer_pool(flat, incoming);
            case Op::Scale:
            case Op::Delay:
            case Op::Neuron:
                return infer_elementwise(flat, incoming);
        }
        return {};
    }

    Status infer_flatten(Flat& flat, const Shape* incoming) {
        auto shape = declared(flat, "input_type");
        if (!shape) return shape.error();
        if (incoming != nullptr) *shape = *incoming;
        if (!*shape) return {};
        auto first = integers(flat, "start_dim", 1, 1, -8);
        auto last = integers(flat, "end_dim", 1, -1, -8);
        if (!first) return first.error();
        if (!last) return last.error();
        if (first->empty() || last->empty())
            return at_node(flat, Errc::BadFormat, "start_dim and end_dim must be one number each");
        flat.in = **shape;
        const auto rank = static_cast<std::int64_t>((*shape)->size());
        const std::int64_t begin = (*first)[0] < 0 ? (*first)[0] + rank : (*first)[0];
        const std::int64_t end = (*last)[0] < 0 ? (*last)[0] + rank : (*last)[0];
        // Dimensions that count a batch, which NIR's shapes do not have: flatten what is there.
        // The order of the elements is the same.
        const auto count = count_of(**shape);
        if (!count || begin < 0 || end >= rank || begin > end) {
            flat.out = Shape{count.value_or(kMaxWidth + 1)};
            return {};
        }
        Shape out((*shape)->begin(), (*shape)->begin() + begin);
        std::uint64_t middle = 1;
        for (std::int64_t i = begin; i <= end; ++i)
            middle *= (**shape)[static_cast<std::size_t>(i)];
        out.push_back(middle);
        out.insert(out.end(), (*shape)->begin() + end + 1, (*shape)->end());
        flat.out = std::move(out);
        return {};
    }

    Status infer_matrix(Flat& flat) {
        const Shape& weight = array(flat, "weight")->shape;
        if (weight.size() < 2)
            return at_node(flat, Errc::BadFormat,
                           fmt::format("weight must have the shape (outputs, inputs), has {}",
                                       text_of(weight)));
        Shape out = weight;
        out.pop_back();
        Shape in = weight;
        in.erase(in.end() - 2);
        if (const NirArray* bias = array(flat, "bias"); bias != nullptr) {
            const auto shape = broadcast(bias->shape, out);
            if (!shape || *shape != out)
                return at_node(flat, Errc::BadFormat,
                               fmt::format("bias of shape {} does not go with weight of shape {}",
                                           text_of(bias->shape), text_of(weight)));
        }
        flat.in = std::move(in);
        flat.out = std::move(out);
        return {};
    }

    /// Trailing `rank` extents where all before them are 1.
    static std::optional<Shape> trailing(const Shape& shape, std::size_t rank) {
        if (shape.size() < rank) return std::nullopt;
        for (std::size_t i = 0; i + rank < shape.size(); ++i)
            if (shape[i] != 1) return std::nullopt;
        return Shape(shape.end() - static_cast<std::ptrdiff_t>(rank), shape.end());
    }

    Status infer_conv(Flat& flat, const Shape* incoming) {
        const std::size_t dims = flat.type->name == "Conv1d" ? 1 : 2;
        const Shape& weight = array(flat, "weight")->shape;
        if (weight.size() != dims + 2)
            return at_node(flat, Errc::BadFormat,
                           fmt::format("weight of a {} must have {} dimensions, has the shape {}",
                                       flat.type->name, dims + 2, text_of(weight)));
        auto groups = integers(flat, "groups", 1, 1, 1);
        if (!groups) return groups.error();
        const auto n_groups = static_cast<std::uint64_t>((*groups)[0]);
        if (weight[0] % n_groups != 0)
            return at_node(flat, Errc::BadFormat,
                           fmt::format("{} output channels do not divide into {} groups", weight[0],
                                       n_groups));
        if (const NirArray* bias = array(flat, "bias");
            bias != nullptr && bias->values.size() != weight[0] && bias->values.size() != 1)
            return at_node(flat, Errc::BadFormat,
                           fmt::format("bias of shape {} for {} output channels",
                                       text_of(bias->shape), weight[0]));
        Shape in{weight[1] * n_groups};
        if (array(flat, "input_shape") != nullptr) {
            auto extents = integers(flat, "input_shape", dims, 1, 1);
            if (!extents) return extents.error();
            for (const std::int64_t extent : *extents)
                in.push_back(static_cast<std::uint64_t>(extent));
        } else {
            if (incoming == nullptr) return {};
            const auto shape = trailing(*incoming, dims + 1);
            if (!shape || (*shape)[0] != in[0])
                return at_node(flat, Errc::BadFormat,
                               fmt::format("takes {} channels and {} spatial dimensions, but gets "
                                           "a signal of shape {}",
                                           in[0], dims, text_of(*incoming)));
            in = *shape;
        }
        Shape kernel(weight.begin() + 2, weight.end());
        return infer_window(flat, std::move(in), kernel, weight[0]);
    }

    Status infer_pool(Flat& flat, const Shape* incoming) {
        if (incoming == nullptr) return {};
        const auto in = trailing(*incoming, 3);
        if (!in)
            return at_node(flat, Errc::BadFormat,
                           fmt::format("takes a signal of shape (channels, height, width), gets {}",
                                       text_of(*incoming)));
        auto size = integers(flat, "kernel_size", 2, 1, 1);
        if (!size) return size.error();
        const Shape kernel{static_cast<std::uint64_t>((*size)[0]),
                           static_cast<std::uint64_t>((*size)[1])};
        return infer_window(flat, *in, kernel, (*in)[0]);
    }

    Status infer_window(Flat& flat, Shape in, const Shape& kernel, std::uint64_t channels) {
        const std::size_t dims = kernel.size();
        const std::size_t skip = 2 - dims;  // a missing height stays 1
        Window window;
        // A pool moves by its own size unless told otherwise, a convolution by one.
        const bool pool = flat.op == Op::Pool;
        auto stride = integers(flat, "stride", dims, 1, 1);
        auto dilation = integers(flat, "dilation", dims, 1, 1);
        if (!stride) return stride.error();
        if (!dilation) return dilation.error();
        if (pool && array(flat, "stride") == nullptr)
            for (std::size_t i = 0; i < dims; ++i)
                (*stride)[i] = static_cast<std::int64_t>(kernel[i]);
        const auto text = flat.node->texts.find("padding");
        const bool same = text != flat.node->texts.end() && text->second == "same";
        if (text != flat.node->texts.end() && !same && text->second != "valid")
            return at_node(
                flat, Errc::BadFormat,
                fmt::format("padding must be 'same', 'valid' or numbers, got '{}'", text->second));
        auto padding = integers(flat, "padding", dims, 0, 0);
        if (!padding) return padding.error();
        Shape out{channels};
        for (std::size_t i = 0; i < dims; ++i) {
            const auto step = static_cast<std::uint64_t>((*stride)[i]);
            const auto gap = static_cast<std::uint64_t>((*dilation)[i]);
            if (kernel[i] < 1) return at_node(flat, Errc::BadFormat, "kernel has no elements");
            const std::uint64_t reach = gap * (kernel[i] - 1);  // bounded: both below 2^26
            auto before = static_cast<std::uint64_t>((*padding)[i]);
            std::uint64_t all = 2 * before;
            if (same) {
                if (step != 1)
                    return at_node(flat, Errc::BadFormat, "padding 'same' needs a stride of 1");
                all = reach;
                before = reach / 2;
            }
            const std::uint64_t extent = in[1 + i] + all;
            if (extent < reach + 1)
                return at_node(flat, Errc::BadFormat,
                               fmt::format("kernel reaches over {} elements, the padded input of "
                                           "shape {} has only {}",
                                           reach + 1, text_of(in), extent));
            out.push_back((extent - reach - 1) / step + 1);
            window.in[skip + i] = in[1 + i];
            window.out[skip + i] = out.back();
            window.kernel[skip + i] = kernel[i];
            window.stride[skip + i] = step;
            window.before[skip + i] = before;
            window.dilation[skip + i] = gap;
        }
        windows_[flat.label] = window;
        flat.in = std::move(in);
        flat.out = std::move(out);
        return {};
    }

    Status infer_elementwise(Flat& flat, const Shape* incoming) {
        Shape shape;
        for (const auto* list : {&flat.type->required, &flat.type->optional})
            for (const std::string_view name : *list) {
                const NirArray* values = array(flat, name);
                if (values == nullptr) continue;
                const auto both = broadcast(shape, values->shape);
                if (!both)
                    return at_node(flat, Errc::BadFormat,
                                   fmt::format("shapes of its parameters disagree: {} is {}, those "
                                               "before it are {}",
                                               name, text_of(values->shape), text_of(shape)));
                shape = *both;
            }
        // Only true scalars take the width of what leads in: (1) is a shape that must match.
        if (shape.empty()) {
            if (incoming == nullptr) return {};
            shape = *incoming;
        }
        if (flat.op == Op::Neuron && count_of(shape) == 0U)
            return at_node(flat, Errc::BadFormat, "has no neurons");
        flat.in = shape;
        flat.out = std::move(shape);
        return {};
    }

    Status check_edges() {
        for (const Flat& flat : flats_)
            for (const std::uint32_t source : flat.from)
                if (!compatible(*flats_[source].out, *flat.in))
                    return at_edge(flats_[source].label, flat.label, {}, Errc::BadFormat,
                                   fmt::format("shapes do not match: '{}' gives {}, '{}' takes {}",
                                               flats_[source].label, text_of(*flats_[source].out),
                                               flat.label, text_of(*flat.in)));
        return {};
    }

    // --- order --------------------------------------------------------------------------------
    bool is_linear(std::uint32_t index) const {
        const Op op = flats_[index].op;
        return op != Op::Neuron && op != Op::Input && op != Op::Output;
    }

    /// Topological order of the linear nodes. What is left over lies on or behind a cycle.
    Status order_linear_nodes() {
        std::vector<std::uint32_t> missing(flats_.size(), 0);
        std::vector<std::uint32_t> ready;
        std::size_t n_linear = 0;
        for (std::uint32_t i = 0; i < flats_.size(); ++i) {
            if (!is_linear(i)) continue;
            ++n_linear;
            for (const std::uint32_t source : flats_[i].from) missing[i] += is_linear(source);
            if (missing[i] == 0) ready.push_back(i);
        }
        for (std::size_t next = 0; next < ready.size(); ++next) {
            linear_order_.push_back(ready[next]);
            for (const std::uint32_t target : flats_[ready[next]].to)
                if (is_linear(target) && --missing[target] == 0) ready.push_back(target);
        }
        if (linear_order_.size() == n_linear) return {};
        // Going backwards among the left-over nodes must come round.
        std::uint32_t at = 0;
        while (!is_linear(at) || missing[at] == 0) ++at;
        std::vector<std::uint32_t> seen;
        while (std::find(seen.begin(), seen.end(), at) == seen.end()) {
            seen.push_back(at);
            for (const std::uint32_t source : flats_[at].from)
                if (is_linear(source) && missing[source] > 0) at = source;
        }
        std::string cycle = "'" + flats_[at].label + "'";
        for (std::size_t i = seen.size(); i-- > 0;) {
            cycle += " -> '" + flats_[seen[i]].label + "'";
            if (seen[i] == at) break;
        }
        return at_node(flats_[at], Errc::BadFormat, "lies on a cycle without a neuron: " + cycle);
    }

    /// An Output shows neurons (or inputs) as they are; what would compute on the way is refused.
    Status check_outputs() {
        std::vector<bool> seen(flats_.size(), false);
        for (const Flat& output : flats_) {
            if (output.op != Op::Output) continue;
            std::vector<std::uint32_t> work = output.from;
            for (std::size_t next = 0; next < work.size(); ++next) {
                const Flat& flat = flats_[work[next]];
                if (flat.op == Op::Neuron || flat.op == Op::Input) continue;
                if (flat.op != Op::Port && flat.op != Op::Flatten)
                    return at_node(flat, Errc::Unsupported,
                                   fmt::format("a {} leads to Output '{}' without a neuron in "
                                               "between; end the network in a spiking neuron or "
                                               "an integrator (LI, CubaLI)",
                                               flat.type->name, output.label));
                if (seen[work[next]]) continue;
                seen[work[next]] = true;
                work.insert(work.end(), flat.from.begin(), flat.from.end());
            }
        }
        return {};
    }

    /// Strongly connected components (Tarjan, without recursion), numbered against the edges.
    std::vector<std::uint32_t> components() const {
        constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
        const auto n = static_cast<std::uint32_t>(flats_.size());
        std::vector<std::uint32_t> component(n, kNone);
        std::vector<std::uint32_t> order(n, kNone);
        std::vector<std::uint32_t> low(n, 0);
        std::vector<std::uint32_t> open;
        std::vector<std::pair<std::uint32_t, std::size_t>> path;
        std::uint32_t visited = 0;
        std::uint32_t found = 0;
        for (std::uint32_t root = 0; root < n; ++root) {
            if (order[root] != kNone) continue;
            path.emplace_back(root, 0);
            while (!path.empty()) {
                auto& [node, edge] = path.back();
                if (edge == 0) {
                    order[node] = low[node] = visited++;
                    open.push_back(node);
                }
                if (edge < flats_[node].to.size()) {
                    const std::uint32_t target = flats_[node].to[edge++];
                    if (order[target] == kNone)
                        path.emplace_back(target, 0);
                    else if (component[target] == kNone)
                        low[node] = std::min(low[node], order[target]);
                    continue;
                }
                const std::uint32_t done = node;
                path.pop_back();
                if (!path.empty()) {
                    std::uint32_t& above = low[path.back().first];
                    above = std::min(above, low[done]);
                }
                if (low[done] != order[done]) continue;
                for (std::uint32_t member = kNone; member != done;) {
                    member = open.back();
                    open.pop_back();
                    component[member] = found;
                }
                ++found;
            }
        }
        return component;
    }

    /// Populations so that as few projections as possible run backwards: by depth of their
    /// strongly connected component, inside it by distance from where signals enter it.
    Status order_populations() {
        const auto n = static_cast<std::uint32_t>(flats_.size());
        const std::vector<std::uint32_t> component = components();
        const std::uint32_t n_components =
            n == 0 ? 0 : *std::max_element(component.begin(), component.end()) + 1;
        std::vector<std::vector<std::uint32_t>> members(n_components);
        for (std::uint32_t i = 0; i < n; ++i) members[component[i]].push_back(i);
        // Tarjan finds a component after all that it leads to: sources have the largest numbers.
        std::vector<std::uint32_t> depth(n_components, 0);
        for (std::uint32_t c = n_components; c-- > 0;)
            for (const std::uint32_t node : members[c])
                for (const std::uint32_t target : flats_[node].to)
                    if (component[target] != c)
                        depth[component[target]] = std::max(depth[component[target]], depth[c] + 1);

        const auto by_label = [&](std::uint32_t a, std::uint32_t b) {
            return natural_less(flats_[a].label, flats_[b].label);
        };
        std::vector<std::uint32_t> distance(n, 0);
        std::vector<std::uint32_t> leader(n_components, 0);
        for (std::uint32_t c = 0; c < n_components; ++c) {
            leader[c] = *std::min_element(members[c].begin(), members[c].end(), by_label);
            if (members[c].size() == 1) continue;
            std::vector<std::uint32_t> work;
            for (const std::uint32_t node : members[c])
                if (std::any_of(flats_[node].from.begin(), flats_[node].from.end(),
                                [&](std::uint32_t source) { return component[source] != c; }))
                    work.push_back(node);
            if (work.empty()) work.push_back(leader[c]);
            std::set<std::uint32_t> seen(work.begin(), work.end());
            for (std::size_t next = 0; next < work.size(); ++next)
                for (const std::uint32_t target : flats_[work[next]].to)
                    if (component[target] == c && seen.insert(target).second) {
                        distance[target] = distance[work[next]] + 1;
                        work.push_back(target);
                    }
        }
        std::vector<std::uint32_t> neurons;
        for (std::uint32_t i = 0; i < n; ++i)
            if (flats_[i].op == Op::Neuron) neurons.push_back(i);
        if (neurons.empty()) return at_file(Errc::BadFormat, "the graph has no neurons");
        std::sort(neurons.begin(), neurons.end(), [&](std::uint32_t a, std::uint32_t b) {
            const std::uint32_t x = component[a];
            const std::uint32_t y = component[b];
            if (depth[x] != depth[y]) return depth[x] < depth[y];
            if (x != y) return by_label(leader[x], leader[y]);
            if (distance[a] != distance[b]) return distance[a] < distance[b];
            return by_label(a, b);
        });
        for (const std::uint32_t node : neurons) populations_.push_back({node, 0, 0});
        return {};
    }

    /// Numbers axons by Input node and neurons by population.
    Status number_sources() {
        source_begin_.assign(flats_.size(), 0);
        std::vector<std::uint32_t> inputs;
        for (std::uint32_t i = 0; i < flats_.size(); ++i)
            if (flats_[i].op == Op::Input) inputs.push_back(i);
        std::sort(inputs.begin(), inputs.end(), [&](std::uint32_t a, std::uint32_t b) {
            return natural_less(flats_[a].label, flats_[b].label);
        });
        std::uint64_t total = 0;
        const auto take = [&](std::uint32_t node) {
            source_begin_[node] = static_cast<std::uint32_t>(total);
            total += *count_of(*flats_[node].out);
        };
        for (const std::uint32_t node : inputs) {
            take(node);
            if (total > kMaxWidth) break;
            ports_.push_back(
                {flats_[node].label, source_begin_[node], static_cast<std::uint32_t>(total)});
        }
        n_axons_ = static_cast<std::uint32_t>(total);
        for (Neurons& neurons : populations_) {
            if (total > kMaxWidth) break;
            take(neurons.node);
            neurons.begin = source_begin_[neurons.node] - n_axons_;
            neurons.size = static_cast<std::uint32_t>(total) - source_begin_[neurons.node];
        }
        if (total > kMaxWidth)
            return at_file(Errc::Limit, fmt::format("more than {} inputs and neurons", kMaxWidth));
        return {};
    }

    // --- composition --------------------------------------------------------------------------
    Status spend(const Flat& flat, std::uint64_t work) {
        work_ += work;
        if (work_ <= kMaxWork) return {};
        return at_node(flat, Errc::Limit, "the linear nodes up to here take too much to compose");
    }

    /// Sorts the terms of one element, merges equal ones and drops those without effect.
    static void tidy(std::vector<Term>& terms) {
        const auto key = [](const Term& term) { return std::tie(term.source, term.delay); };
        // Stable, so that sums do not depend on the library's sort.
        std::stable_sort(terms.begin(), terms.end(),
                         [&](const Term& a, const Term& b) { return key(a) < key(b); });
        std::size_t kept = 0;
        for (std::size_t i = 0; i < terms.size(); ++i) {
            if (kept > 0 && key(terms[kept - 1]) == key(terms[i]))
                terms[kept - 1].weight += terms[i].weight;
            else
                terms[kept++] = terms[i];
        }
        terms.resize(kept);
        std::erase_if(terms, [](const Term& term) { return term.weight == 0.0; });
    }

    /// The sum of all that leads into a node.
    Result<Signal> incoming(const Flat& flat) {
        const auto count = static_cast<std::size_t>(*count_of(*flat.in));
        Signal sum;
        sum.bias.assign(count, 0.0);
        std::vector<Term> terms;
        for (std::size_t element = 0; element < count; ++element) {
            terms.clear();
            for (const std::uint32_t source : flat.from) {
                if (!is_linear(source)) {
                    const auto at = source_begin_[source] + static_cast<std::uint32_t>(element);
                    terms.push_back({at, 0.0, 1.0});
                    continue;
                }
                const Signal& signal = signals_[source];
                sum.bias[element] += signal.bias[element];
                const auto own = signal.terms_of(element);
                terms.insert(terms.end(), own.begin(), own.end());
            }
            if (Status status = spend(flat, 1 + terms.size()); !status) return status.error();
            if (flat.from.size() > 1) tidy(terms);
            if (Status status = close(flat, sum, terms); !status) return status.error();
        }
        return sum;
    }

    /// Appends the terms of the next element.
    Status close(const Flat& flat, Signal& signal, const std::vector<Term>& terms) const {
        signal.terms.insert(signal.terms.end(), terms.begin(), terms.end());
        signal.begin.push_back(signal.terms.size());
        if (signal.terms.size() > kMaxSynapses)
            return at_node(flat, Errc::Limit,
                           fmt::format("more than {} synapses lead into one node", kMaxSynapses));
        if (held_ + signal.terms.size() + signal.begin.size() > kMaxHeld)
            return at_node(flat, Errc::Limit, "the linear nodes up to here take too much memory");
        return {};
    }

    using Row = std::vector<std::pair<std::uint64_t, double>>;

    /// Applies a matrix that is given row by row.
    /// @param row  fills in (column, factor) of an output element, ascending columns
    template <typename RowOf>
    Result<Signal> apply(const Flat& flat, const Signal& in, std::vector<double> bias,
                         RowOf row_of) {
        Signal out;
        out.bias = std::move(bias);
        const auto count = static_cast<std::size_t>(*count_of(*flat.out));
        out.bias.resize(count, 0.0);
        Row row;
        std::vector<Term> terms;
        for (std::size_t element = 0; element < count; ++element) {
            row.clear();
            terms.clear();
            row_of(element, row);
            for (const auto& [column, factor] : row) {
                const auto at = static_cast<std::size_t>(column);
                out.bias[element] += factor * in.bias[at];
                for (const Term& term : in.terms_of(at))
                    terms.push_back({term.source, term.delay, factor * term.weight});
                if (terms.size() > 2 * kMaxSynapses) tidy(terms);
            }
            if (Status status = spend(flat, 1 + row.size() + terms.size()); !status)
                return status.error();
            tidy(terms);
            if (Status status = close(flat, out, terms); !status) return status.error();
        }
        return out;
    }

    Status compose_all() {
        signals_.resize(flats_.size());
        for (const std::uint32_t index : linear_order_) {
            const Flat& flat = flats_[index];
            auto in = incoming(flat);
            if (!in) return in.error();
            auto out = compose(flat, std::move(*in));
            if (!out) return out.error();
            held_ += out->terms.size() + out->begin.size();
            signals_[index] = std::move(*out);
        }
        return {};
    }

    Result<Signal> compose(const Flat& flat, Signal in) {
        const auto values = [&](std::string_view name) -> const std::vector<double>& {
            return array(flat, name)->values;
        };
        const std::uint64_t n_out = *count_of(*flat.out);
        switch (flat.op) {
            case Op::Matrix: {
                const Shape& shape = array(flat, "weight")->shape;
                const std::uint64_t rows = shape[shape.size() - 2];
                const std::uint64_t columns = shape[shape.size() - 1];
                const std::vector<double>& weight = values("weight");
                if (Status status = spend(flat, weight.size()); !status) return status.error();
                std::vector<double> bias;
                if (const NirArray* own = array(flat, "bias"); own != nullptr)
                    bias = spread(*own, *flat.out, n_out);
                return apply(flat, in, std::move(bias), [&](std::uint64_t element, Row& row) {
                    // Leading extents are independent matrices side by side.
                    const std::uint64_t first = element / rows * columns;
                    for (std::uint64_t j = 0; j < columns; ++j) {
                        const double factor =
                            weight[static_cast<std::size_t>(element * columns + j)];
                        if (factor != 0.0) row.emplace_back(first + j, factor);
                    }
                });
            }
            case Op::Scale: {
                const std::vector<double> scale = spread(*array(flat, "scale"), *flat.out, n_out);
                return apply(flat, in, {}, [&](std::uint64_t element, Row& row) {
                    row.emplace_back(element, scale[static_cast<std::size_t>(element)]);
                });
            }
            case Op::Delay: {
                const std::vector<double> delay = spread(*array(flat, "delay"), *flat.out, n_out);
                // A constant is as constant later.
                for (std::size_t element = 0; element < delay.size(); ++element)
                    for (std::size_t i = in.begin[element]; i < in.begin[element + 1]; ++i)
                        in.terms[i].delay += delay[element];
                return in;
            }
            case Op::Conv:
            case Op::Pool:
                return compose_window(flat, in);
            default:
                return in;  // ports and Flatten keep the order of the elements
        }
    }

    Result<Signal> compose_window(const Flat& flat, const Signal& in) {
        const Window& w = windows_.at(flat.label);
        const bool conv = flat.op == Op::Conv;
        const std::uint64_t per_plane = w.out[0] * w.out[1];
        std::uint64_t per_group_in = 1;   // input channels that an output channel sees
        std::uint64_t per_group_out = 1;  // output channels of a group
        std::vector<double> bias;
        const std::vector<double>* weight = nullptr;
        double factor = 1.0;
        if (conv) {
            const NirArray& array_of_weights = *array(flat, "weight");
            weight = &array_of_weights.values;
            per_group_in = array_of_weights.shape[1];
            const std::uint64_t groups = per_group_in == 0 ? 1 : (*flat.in)[0] / per_group_in;
            per_group_out = std::max<std::uint64_t>(array_of_weights.shape[0] / groups, 1);
            if (const NirArray* own = array(flat, "bias"); own != nullptr)
                for (std::uint64_t i = 0; i < *count_of(*flat.out); ++i) {
                    const std::size_t channel =
                        own->values.size() == 1 ? 0 : static_cast<std::size_t>(i / per_plane);
                    bias.push_back(own->values[channel]);
                }
        } else if (flat.type->name == "AvgPool2d") {
            factor = 1.0 / static_cast<double>(w.kernel[0] * w.kernel[1]);
        }
        // Taps that fall on padding cost time too.
        const std::uint64_t taps = per_group_in * w.kernel[0] * w.kernel[1];
        const std::uint64_t elements = *count_of(*flat.out);
        if (taps > kMaxWork || elements * taps > kMaxWork)
            return at_node(flat, Errc::Limit, "takes too much to unroll into synapses");
        if (Status status = spend(flat, elements * taps); !status) return status.error();
        return apply(flat, in, std::move(bias), [&](std::uint64_t element, Row& row) {
            const std::uint64_t channel = element / per_plane;
            const std::uint64_t y = element % per_plane / w.out[1];
            const std::uint64_t x = element % w.out[1];
            const std::uint64_t first = channel / per_group_out * per_group_in;
            for (std::uint64_t c = 0; c < per_group_in; ++c)
                for (std::uint64_t ky = 0; ky < w.kernel[0]; ++ky)
                    for (std::uint64_t kx = 0; kx < w.kernel[1]; ++kx) {
                        const std::uint64_t iy = y * w.stride[0] + ky * w.dilation[0];
                        const std::uint64_t ix = x * w.stride[1] + kx * w.dilation[1];
                        if (iy < w.before[0] || iy - w.before[0] >= w.in[0] || ix < w.before[1] ||
                            ix - w.before[1] >= w.in[1])
                            continue;  // padding
                        const std::uint64_t column =
                            ((first + c) * w.in[0] + iy - w.before[0]) * w.in[1] + ix - w.before[1];
                        const std::uint64_t tap =
                            ((channel * per_group_in + c) * w.kernel[0] + ky) * w.kernel[1] + kx;
                        const double value =
                            conv ? (*weight)[static_cast<std::size_t>(tap)] : factor;
                        if (value != 0.0) row.emplace_back(column, value);
                    }
        });
    }

    // --- result -------------------------------------------------------------------------------
    FloatPopulation population(const Neurons& neurons) const {
        const Flat& flat = flats_[neurons.node];
        FloatPopulation out;
        out.label = flat.label;
        out.kind = flat.type->kind;
        out.size = neurons.size;
        const auto fill = [&](std::string_view name, double fallback) {
            const NirArray* values = array(flat, name);
            if (values == nullptr) return std::vector<double>(neurons.size, fallback);
            return spread(*values, *flat.out, neurons.size);
        };
        const bool cuba = out.kind == NeuronKind::CubaLif || out.kind == NeuronKind::CubaLi;
        out.tau_mem = fill(cuba ? "tau_mem" : "tau", 0.0);
        out.tau_syn = fill("tau_syn", 0.0);
        out.w_in = fill("w_in", 1.0);
        out.r = fill("r", 1.0);
        out.v_leak = fill("v_leak", 0.0);
        out.v_threshold = fill(flat.type->name == "Threshold" ? "threshold" : "v_threshold", 0.0);
        out.v_reset = fill("v_reset", 0.0);
        return out;
    }

    Result<FloatNetwork> network() {
        FloatNetwork out;
        const std::size_t slash = path_.find_last_of('/');
        out.name = slash == std::string::npos ? path_ : path_.substr(slash + 1);
        if (out.name.ends_with(".nir")) out.name.resize(out.name.size() - 4);
        out.ports = ports_;
        const Neurons& last = populations_.back();
        const std::uint32_t n_sources = n_axons_ + last.begin + last.size;

        // Counted first, so that each row is filled in place in the order of its targets.
        std::vector<Signal> inputs;
        std::vector<std::uint64_t> row_begin(n_sources + std::size_t{1}, 0);
        std::uint64_t total = 0;
        for (const Neurons& neurons : populations_) {
            const Flat& flat = flats_[neurons.node];
            auto signal = incoming(flat);
            if (!signal) return signal.error();
            total += signal->terms.size();
            if (total > kMaxSynapses)
                return at_node(flat, Errc::Limit,
                               fmt::format("more than {} synapses in all", kMaxSynapses));
            for (const Term& term : signal->terms) {
                if (term.source >= n_axons_)
                    if (const Flat* silent = integrator(term.source - n_axons_); silent != nullptr)
                        return at_node(flat, Errc::Unsupported,
                                       fmt::format("gets the voltage of {} '{}'; only spikes "
                                                   "travel between neurons here",
                                                   silent->type->name, silent->label));
                if (!std::isfinite(term.weight) || !std::isfinite(term.delay))
                    return at_node(flat, Errc::BadFormat, "a weight or delay overflows");
                ++row_begin[term.source + std::size_t{1}];
            }
            for (const double bias : signal->bias)
                if (!std::isfinite(bias)) return at_node(flat, Errc::BadFormat, "a bias overflows");
            out.populations.push_back(population(neurons));
            out.populations.back().bias = signal->bias;
            inputs.push_back(std::move(*signal));
        }
        for (std::size_t i = 1; i < row_begin.size(); ++i) row_begin[i] += row_begin[i - 1];
        for (const std::uint64_t begin : row_begin)
            out.row_begin.push_back(static_cast<std::uint32_t>(begin));
        out.synapses.resize(static_cast<std::size_t>(total));
        for (std::size_t p = 0; p < populations_.size(); ++p)
            for (std::uint32_t n = 0; n < populations_[p].size; ++n)
                for (const Term& term : inputs[p].terms_of(n)) {
                    const bool recurrent =
                        term.source >= n_axons_ && term.source - n_axons_ >= populations_[p].begin;
                    out.synapses[static_cast<std::size_t>(row_begin[term.source]++)] = {
                        populations_[p].begin + n, term.weight, term.delay, recurrent};
                }
        return out;
    }

    /// The node of a neuron that never fires, else null.
    const Flat* integrator(std::uint32_t neuron) const {
        const auto after =
            std::upper_bound(populations_.begin(), populations_.end(), neuron,
                             [](std::uint32_t n, const Neurons& p) { return n < p.begin; });
        const Flat& flat = flats_[std::prev(after)->node];
        const bool silent =
            flat.type->kind == NeuronKind::Li || flat.type->kind == NeuronKind::CubaLi;
        return silent ? &flat : nullptr;
    }

    const NirNode& root_;
    const std::string& path_;
    std::vector<Flat> flats_;
    std::map<std::string, Window> windows_;
    std::vector<std::uint32_t> linear_order_;
    std::vector<Neurons> populations_;  ///< in processing order
    std::vector<InputPort> ports_;
    std::vector<std::uint32_t> source_begin_;  ///< of Input and neuron nodes
    std::uint32_t n_axons_ = 0;
    std::vector<Signal> signals_;
    std::uint64_t work_ = 0;
    std::uint64_t held_ = 0;  ///< terms and elements in signals_
};

}  // namespace

Result<FloatNetwork> build_network(const NirNode& graph, const std::string& path) {
    return Builder(graph, path).build();
}

}  // namespace spikelock::golden::detail

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spikelock/base/isolate.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/golden/float_network.hpp"

namespace spikelock::golden::detail {

/// A numeric parameter of a node; row-major, a scalar has an empty shape.
struct NirArray {
    std::vector<std::uint64_t> shape;
    std::vector<double> values;
    bool operator==(const NirArray&) const = default;
};

/// A node as it stands in the file; a graph is a node with nodes and edges of its own.
struct NirNode {
    std::string name;
    std::string type;
    std::map<std::string, NirArray> arrays;
    std::map<std::string, std::string> texts;
    std::vector<NirNode> nodes;
    std::vector<std::pair<std::string, std::string>> edges;
    bool operator==(const NirNode&) const = default;
};

/// What a file may hold; more is Errc::Limit. The largest public networks stay well below.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 26;  ///< numbers in a file
constexpr std::uint64_t kMaxNodes = 1 << 16;
constexpr std::uint64_t kMaxEdges = 1 << 20;
constexpr int kMaxDepth = 16;                                ///< of nested graphs
constexpr std::uint64_t kMaxWidth = std::uint64_t{1} << 22;  ///< elements of a signal
constexpr std::uint64_t kMaxSynapses = std::uint64_t{1} << 23;
/// Terms and elements of all composed signals together.
constexpr std::uint64_t kMaxHeld = std::uint64_t{1} << 24;
/// Multiply-accumulates spent on composing linear nodes.
constexpr std::uint64_t kMaxWork = std::uint64_t{1} << 28;

/// Reads the tree of nodes with the HDF5 library, in this process, without judging it.
/// @errors Errc::BadFormat, Errc::Limit
Result<NirNode> parse_nir_file(const std::string& path);

/// read_nir with other limits on the child than those that the size of the file asks for.
Result<FloatNetwork> read_nir_within(const std::string& path, const IsolationLimits& limits);

/// Bytes of a tree, for the pipe between the reading child and its parent.
std::string serialise(const NirNode& node);

/// Inverse of serialise; total: any bytes give a tree or an error.
/// @errors Errc::Truncated, Errc::BadFormat, Errc::Limit
Result<NirNode> deserialise(std::string_view bytes);

/// Turns a tree into populations and synapses.
/// @param path  file, for messages
/// @errors as read_nir
Result<FloatNetwork> build_network(const NirNode& graph, const std::string& path);

}  // namespace spikelock::golden::detail

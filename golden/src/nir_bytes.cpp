// SPDX-License-Identifier: Apache-2.0
// The tree of a NIR file as bytes: lengths and numbers in the machine's own order, since both ends
// of the pipe are one program.
#include <cstring>

#include "nir_graph.hpp"

namespace spikelock::golden::detail {
namespace {

class Writer {
public:
    void number(std::uint64_t value) { raw(&value, sizeof value); }
    void text(std::string_view value) {
        number(value.size());
        raw(value.data(), value.size());
    }
    void node(const NirNode& node) {
        text(node.name);
        text(node.type);
        number(node.arrays.size());
        for (const auto& [name, array] : node.arrays) {
            text(name);
            number(array.shape.size());
            for (const std::uint64_t extent : array.shape) number(extent);
            raw(array.values.data(), array.values.size() * sizeof(double));
        }
        number(node.texts.size());
        for (const auto& [name, value] : node.texts) {
            text(name);
            text(value);
        }
        number(node.edges.size());
        for (const auto& [from, to] : node.edges) {
            text(from);
            text(to);
        }
        number(node.nodes.size());
        for (const NirNode& child : node.nodes) this->node(child);
    }
    std::string take() && { return std::move(bytes_); }

private:
    void raw(const void* data, std::size_t size) {
        if (size > 0) bytes_.append(static_cast<const char*>(data), size);
    }
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}

    bool node(NirNode& node, int depth) {
        std::uint64_t count = 0;
        if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return fail(Errc::Limit);
        if (!text(node.name) || !text(node.type) || !number(count)) return false;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string name;
            NirArray array;
            if (!text(name) || !this->array(array)) return false;
            node.arrays.insert_or_assign(std::move(name), std::move(array));
        }
        if (!number(count)) return false;
        for (std::uint64_t i = 0; i < count; ++i) {
            std::string name;
            std::string value;
            if (!text(name) || !text(value)) return false;
            node.texts.insert_or_assign(std::move(name), std::move(value));
        }
        if (!number(count)) return false;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (++edges_ > kMaxEdges) return fail(Errc::Limit);
            auto& [from, to] = node.edges.emplace_back();
            if (!text(from) || !text(to)) return false;
        }
        if (!number(count)) return false;
        // Each child takes bytes, so a large count ends at the end of the input.
        for (std::uint64_t i = 0; i < count; ++i)
            if (!this->node(node.nodes.emplace_back(), depth + 1)) return false;
        return true;
    }
    bool at_end() const noexcept { return at_ == bytes_.size(); }
    Errc error() const noexcept { return error_; }
    std::size_t position() const noexcept { return at_; }

private:
    bool fail(Errc code) noexcept {
        error_ = code;
        return false;
    }
    bool number(std::uint64_t& value) noexcept {
        if (bytes_.size() - at_ < sizeof value) return fail(Errc::Truncated);
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return true;
    }
    bool text(std::string& value) {
        std::uint64_t size = 0;
        if (!number(size)) return false;
        if (size > bytes_.size() - at_) return fail(Errc::Truncated);
        value = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += static_cast<std::size_t>(size);
        return true;
    }
    bool array(NirArray& array) {
        std::uint64_t rank = 0;
        std::uint64_t count = 1;
        if (!number(rank)) return false;
        if (rank > 32) return fail(Errc::BadFormat);
        for (std::uint64_t i = 0; i < rank; ++i) {
            std::uint64_t extent = 0;
            if (!number(extent)) return false;
            if (extent > kMaxElements || count * extent > kMaxElements) return fail(Errc::Limit);
            count *= extent;
            array.shape.push_back(extent);
        }
        if (count > (bytes_.size() - at_) / sizeof(double)) return fail(Errc::Truncated);
        array.values.resize(static_cast<std::size_t>(count));
        const std::size_t size = array.values.size() * sizeof(double);
        if (size > 0) std::memcpy(array.values.data(), bytes_.data() + at_, size);
        at_ += size;
        return true;
    }

    std::string_view bytes_;
    std::size_t at_ = 0;
    std::uint64_t nodes_ = 0;
    std::uint64_t edges_ = 0;
    Errc error_ = Errc::BadFormat;
};

}  // namespace

std::string serialise(const NirNode& node) {
    Writer writer;
    writer.node(node);
    return std::move(writer).take();
}

Result<NirNode> deserialise(std::string_view bytes) {
    Reader reader(bytes);
    NirNode node;
    if (!reader.node(node, 0))
        return Error{
            reader.error(), "node tree broken at byte " + std::to_string(reader.position()), {}};
    if (!reader.at_end())
        return Error{Errc::BadFormat,
                     "bytes left after the node tree at byte " + std::to_string(reader.position()),
                     {}};
    return node;
}

}  // namespace spikelock::golden::detail

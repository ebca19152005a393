// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace spikelock::bridge::detail {

/// Puts the answer of a reading child into bytes: lengths and numbers in the machine's own order,
/// since both ends are one program.
class Packer {
public:
    void number(std::uint64_t value) { raw(&value, sizeof value); }
    void real(double value) { raw(&value, sizeof value); }
    void text(const std::string& value) {
        number(value.size());
        raw(value.data(), value.size());
    }
    template <typename T>
    void array(const std::vector<T>& values) {
        number(values.size());
        raw(values.data(), values.size() * sizeof(T));
    }
    std::string bytes;

private:
    void raw(const void* data, std::size_t size) {
        if (size > 0) bytes.append(static_cast<const char*>(data), size);
    }
};

/// The inverse; each call returns false where the bytes do not hold what is asked for.
class Unpacker {
public:
    explicit Unpacker(std::string_view bytes) : left_(bytes), all_(bytes.size()) {}
    bool number(std::uint64_t& value) { return raw(&value, sizeof value); }
    bool real(double& value) { return raw(&value, sizeof value); }
    bool text(std::string& value) {
        std::uint64_t size = 0;
        if (!number(size) || size > left_.size()) return false;
        value = left_.substr(0, size);
        left_.remove_prefix(size);
        return true;
    }
    template <typename T>
    bool array(std::vector<T>& values) {
        std::uint64_t size = 0;
        if (!number(size) || size > left_.size() / sizeof(T)) return false;
        values.resize(size);
        return raw(values.data(), size * sizeof(T));
    }
    bool at_end() const { return left_.empty(); }
    std::size_t position() const { return all_ - left_.size(); }

private:
    bool raw(void* into, std::size_t size) {
        if (size > left_.size()) return false;
        if (size > 0) std::memcpy(into, left_.data(), size);
        left_.remove_prefix(size);
        return true;
    }
    std::string_view left_;
    std::size_t all_;
};

}  // namespace spikelock::bridge::detail

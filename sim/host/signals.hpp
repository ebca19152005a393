// SPDX-License-Identifier: Apache-2.0
// Signals of the model as the host reads and writes them: resolved once, to pointers and bit
// fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "spikelock/trace/observation_plan.hpp"

namespace spikelock::sim {

/// A signal of the model: ports under scope TOP.TOP, others by their hierarchical name.
struct Signal {
    std::string name;
    std::uint8_t* data = nullptr;
    std::uint32_t bits = 1;        // of one element
    std::uint32_t word_bytes = 1;  // storage of one element
    std::uint32_t words = 1;       // elements of the unpacked array
    bool wide = false;             // stored as 32-bit words
};

/// A bit field of a signal, at most 64 bits wide.
struct Field {
    std::uint8_t* data = nullptr;
    std::uint8_t bytes = 1;  // 1, 2, 4, 8; 12: three 32-bit words
    std::uint8_t lsb = 0;
    std::uint8_t width = 1;

    std::uint64_t mask() const { return width >= 64 ? ~0ULL : (1ULL << width) - 1; }
    std::uint64_t load() const {
        switch (bytes) {
            case 1:
                return (*data >> lsb) & mask();
            case 2:
                return (raw<std::uint16_t>() >> lsb) & mask();
            case 4:
                return (raw<std::uint32_t>() >> lsb) & mask();
            case 8:
                return (raw<std::uint64_t>() >> lsb) & mask();
            default: {
                const unsigned __int128 all =
                    raw<std::uint64_t>() | static_cast<unsigned __int128>(high()) << 64;
                return static_cast<std::uint64_t>(all >> lsb) & mask();
            }
        }
    }
    void store(std::uint64_t value) const {
        const std::uint64_t m = mask();
        switch (bytes) {
            case 1:
                put(static_cast<std::uint8_t>((*data & ~(m << lsb)) | (value & m) << lsb));
                return;
            case 2:
                put(static_cast<std::uint16_t>((raw<std::uint16_t>() & ~(m << lsb)) | (value & m)
                                                                                          << lsb));
                return;
            case 4:
                put(static_cast<std::uint32_t>((raw<std::uint32_t>() & ~(m << lsb)) | (value & m)
                                                                                          << lsb));
                return;
            case 8:
                put((raw<std::uint64_t>() & ~(m << lsb)) | (value & m) << lsb);
                return;
            default: {
                unsigned __int128 all =
                    raw<std::uint64_t>() | static_cast<unsigned __int128>(high()) << 64;
                all = (all & ~(static_cast<unsigned __int128>(m) << lsb)) |
                      static_cast<unsigned __int128>(value & m) << lsb;
                put(static_cast<std::uint64_t>(all));
                const auto top = static_cast<std::uint32_t>(all >> 64);
                std::memcpy(data + 8, &top, 4);
            }
        }
    }

private:
    template <typename T>
    T raw() const {
        T value;
        std::memcpy(&value, data, sizeof value);
        return value;
    }
    std::uint32_t high() const {
        std::uint32_t value;
        std::memcpy(&value, data + 8, 4);
        return value;
    }
    template <typename T>
    void put(T value) const {
        std::memcpy(data, &value, sizeof value);
    }
};

/// A condition or value over signals: usually one field, else postfix code.
struct Expr {
    using Op = trace::plan::Op;
    struct Code {
        Op op;
        std::uint64_t value = 0;
        Field field;
        std::uint32_t stride = 0;  // LoadWord: bytes from word to word, and how many there are
        std::uint32_t words = 0;
    };
    bool present = false;
    bool simple = false;  // exactly one field
    Field field;
    // A one-bit signal in a byte of its own, or its negation: what handshakes mostly are.
    const std::uint8_t* bit = nullptr;
    std::uint8_t invert = 0;
    std::vector<Code> code;

    std::uint64_t eval() const { return __builtin_expect(simple, 1) ? field.load() : run(); }
    bool test() const {
        return __builtin_expect(bit != nullptr, 1) ? ((*bit ^ invert) & 1) != 0 : eval() != 0;
    }

    /// Finds the quick ways; to be called when `code` is complete.
    void prepare() {
        const bool loads = code[0].op == Op::Load;
        const bool one_bit =
            loads && code[0].field.width == 1 && code[0].field.bytes == 1 && code[0].field.lsb == 0;
        if (code.size() == 1 && loads) {
            simple = true;
            field = code[0].field;
            if (one_bit) bit = field.data;
        } else if (code.size() == 2 && one_bit && code[1].op == Op::LogicNot) {
            bit = code[0].field.data;
            invert = 1;
        }
    }
    /// Whether this is `field ? field : constant`.
    bool is_choice() const {
        return code.size() == 4 && code[0].op == Op::Load && code[1].op == Op::Load &&
               code[2].op == Op::Const && code[3].op == Op::Select;
    }

private:
    __attribute__((noinline)) std::uint64_t run() const {
        std::uint64_t stack[64];
        int top = 0;
        for (const Code& c : code) {
            if (c.op == Op::Const) {
                stack[top++] = c.value;
                continue;
            }
            if (c.op == Op::Load) {
                stack[top++] = c.field.load();
                continue;
            }
            if (c.op == Op::LogicNot) {
                stack[top - 1] = !stack[top - 1];
                continue;
            }
            if (c.op == Op::Not) {
                stack[top - 1] = ~stack[top - 1];
                continue;
            }
            if (c.op == Op::Neg) {
                stack[top - 1] = 0 - stack[top - 1];
                continue;
            }
            if (c.op == Op::Extend) {
                stack[top - 1] = trace::plan::extended(stack[top - 1], c.value);
                continue;
            }
            if (c.op == Op::Reverse) {
                stack[top - 1] = trace::plan::reversed(stack[top - 1], c.value);
                continue;
            }
            if (c.op == Op::LoadWord) {
                Field f = c.field;
                const std::uint64_t word = stack[top - 1];
                f.data += word < c.words ? word * c.stride : 0;
                stack[top - 1] = word < c.words ? f.load() : 0;
                continue;
            }
            if (c.op == Op::Select) {
                top -= 2;
                stack[top - 1] = stack[top - 1] ? stack[top] : stack[top + 1];
                continue;
            }
            const std::uint64_t b = stack[--top];
            stack[top - 1] = trace::plan::apply(c.op, stack[top - 1], b);
        }
        return stack[0];
    }
};

}  // namespace spikelock::sim

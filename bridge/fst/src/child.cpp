// SPDX-License-Identifier: Apache-2.0
#include "child.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "spikelock/base/isolate.hpp"
#include "spikelock/base/result.hpp"

#ifdef SPIKELOCK_FSTAPI
#include <fstapi.h>
#endif

namespace spikelock::bridge::fst::detail {

std::string code_of(std::uint32_t handle) {
    std::string code;
    for (std::uint32_t n = handle - 1;; n = n / 94 - 1) {
        code += static_cast<char>('!' + n % 94);
        if (n < 94) return code;
    }
}

std::uint32_t handle_of(const std::string& code) {
    std::uint32_t n = 0;
    for (std::size_t i = code.size(); i-- > 0;)
        n = n * 94 + static_cast<std::uint32_t>(code[i] - '!') + (i + 1 < code.size() ? 94 : 0);
    return n + 1;
}

#ifdef SPIKELOCK_FSTAPI

bool has_library() noexcept { return true; }

namespace {

void write_all(int fd, const char* data, std::size_t size) {
    while (size > 0) {
        const ssize_t written = ::write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) ::_exit(0);  // nobody reads any more
        data += written;
        size -= static_cast<std::size_t>(written);
    }
}

bool read_all(int fd, void* into, std::size_t size) {
    auto* at = static_cast<char*>(into);
    while (size > 0) {
        const ssize_t got = ::read(fd, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

std::uint64_t big_endian(const std::array<unsigned char, 8>& bytes) {
    std::uint64_t value = 0;
    for (const unsigned char byte : bytes) value = value << 8 | byte;
    return value;
}

/// Where the chain of blocks breaks, the library may look for its end for ever.
/// @returns what is wrong, empty: nothing, or what the library finds out by itself
std::string broken_block(const std::string& path) {
    std::FILE* const file = std::fopen(path.c_str(), "rbe");
    if (file == nullptr) return {};
    std::string fault;
    std::fseek(file, 0, SEEK_END);
    const auto size = static_cast<std::uint64_t>(std::max(std::ftell(file), 0L));
    std::array<unsigned char, 8> bytes{};
    for (std::uint64_t at = 0; at < size;) {
        std::fseek(file, static_cast<long>(at), SEEK_SET);
        const int type = std::fgetc(file);
        // The header is the first; a file packed as a whole has nothing but its wrapper.
        if (at == 0 && type != FST_BL_HDR) break;
        const std::uint64_t length =
            std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size() ? big_endian(bytes) : 0;
        // A block that is still being written.
        if (length == 0) break;
        if (length < bytes.size() || length > size - at - 1) {
            fault = "byte " + std::to_string(at) + ": a block of " + std::to_string(length) +
                    " bytes, but " + std::to_string(size - at - 1) +
                    " are left: the file is cut or damaged";
            break;
        }
        at += 1 + length;
    }
    std::fclose(file);
    return fault;
}

/// Frames of text.
class Writer {
public:
    explicit Writer(int fd) : fd_(fd), buffer_(kRoom + 8) {}
    void put(char c) {
        if (used_ == kRoom) flush();
        text()[used_++] = c;
    }
    void put(std::string_view s) {
        while (s.size() > kRoom - used_) {
            const std::size_t part = kRoom - used_;
            std::memcpy(text() + used_, s.data(), part);
            used_ = kRoom;
            s.remove_prefix(part);
            flush();
        }
        std::memcpy(text() + used_, s.data(), s.size());
        used_ += s.size();
    }
    void put(std::uint64_t number) {
        std::array<char, 24> digits{};
        const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
        put(std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data())));
    }
    void flush() {
        if (used_ == 0) return;
        const auto size = static_cast<std::uint32_t>(used_);
        std::memcpy(buffer_.data() + 4, &size, 4);
        write_all(fd_, buffer_.data() + 4, used_ + 4);
        used_ = 0;
    }
    [[noreturn]] void end() {
        flush();
        const std::uint32_t mark = kEndFrame;
        write_all(fd_, reinterpret_cast<const char*>(&mark), 4);
        ::_exit(0);
    }
    [[noreturn]] void fail(Errc code, const std::string& message) {
        const std::uint32_t head[2] = {kErrorFrame, static_cast<std::uint32_t>(code)};
        write_all(fd_, reinterpret_cast<const char*>(head), sizeof head);
        write_all(fd_, message.data(), message.size());
        ::_exit(0);
    }

private:
    static constexpr std::size_t kRoom = 128 << 10;
    char* text() { return buffer_.data() + 8; }
    int fd_;
    std::vector<char> buffer_;
    std::size_t used_ = 0;
};

constexpr std::string_view kScopes[] = {"module",
                                        "task",
                                        "function",
                                        "begin",
                                        "fork",
                                        "generate",
                                        "struct",
                                        "union",
                                        "class",
                                        "interface",
                                        "package",
                                        "program",
                                        "vhdl_architecture",
                                        "vhdl_procedure",
                                        "vhdl_function",
                                        "vhdl_record",
                                        "vhdl_process",
                                        "vhdl_block",
                                        "vhdl_for_generate",
                                        "vhdl_if_generate",
                                        "vhdl_generate",
                                        "vhdl_package"};
constexpr std::string_view kVars[] = {
    "event", "integer",  "parameter", "real",    "real_parameter", "reg",      "supply0", "supply1",
    "time",  "tri",      "triand",    "trior",   "trireg",         "tri0",     "tri1",    "wand",
    "wire",  "wor",      "port",      "sparray", "realtime",       "string",   "bit",     "logic",
    "int",   "shortint", "longint",   "byte",    "enum",           "shortreal"};

/// A text of the file as words of a header: what could end it is replaced.
void put_words(Writer& out, const char* text, std::size_t length) {
    bool any = false;
    for (std::size_t i = 0; i < length && text[i] != '\0'; ++i) {
        const bool plain = static_cast<unsigned char>(text[i]) > ' ' && text[i] != '$';
        out.put(plain || text[i] == '$' ? text[i] : ' ');
        any = any || plain;
    }
    if (!any) out.put('_');
}

struct Shown {
    Writer* out = nullptr;
    std::vector<std::string> codes;  ///< per handle: " " and the code and a line end
    std::vector<std::uint32_t> bits;
    std::uint64_t time = 0;
    bool timed = false;
    struct Activity {
        std::uint64_t time;
        bool on;
    };
    std::vector<Activity> activity;
    std::size_t next_activity = 0;

    void at(std::uint64_t now) {
        if (timed && now == time) return;
        while (next_activity < activity.size() && activity[next_activity].time <= now) {
            const Activity& a = activity[next_activity++];
            out->put('#');
            out->put(a.time);
            out->put(a.on ? "\n$dumpon\n$end\n" : "\n$dumpoff\n$end\n");
        }
        time = now;
        timed = true;
        out->put('#');
        out->put(now);
        out->put('\n');
    }
};

void on_change(void* user, std::uint64_t time, fstHandle handle, const unsigned char* value) {
    Shown& s = *static_cast<Shown*>(user);
    if (handle == 0 || handle >= s.codes.size() || value == nullptr) return;
    s.at(time);
    const auto* text = reinterpret_cast<const char*>(value);
    const std::string& code = s.codes[handle];
    if (s.bits[handle] == 1 && text[0] != 'r') {
        s.out->put(text[0]);
        s.out->put(std::string_view(code).substr(1));
        return;
    }
    if (text[0] != 'r') s.out->put('b');
    s.out->put(std::string_view(text));
    s.out->put(code);
}

void on_text(void* user, std::uint64_t time, fstHandle handle, const unsigned char* value,
             std::uint32_t length) {
    Shown& s = *static_cast<Shown*>(user);
    if (handle == 0 || handle >= s.codes.size() || value == nullptr) return;
    s.at(time);
    s.out->put('s');
    for (std::uint32_t i = 0; i < length; ++i) {
        const unsigned char c = value[i];
        if (c > ' ' && c < 0x7f && c != '\\') {
            s.out->put(static_cast<char>(c));
            continue;
        }
        s.out->put('\\');
        for (int shift = 6; shift >= 0; shift -= 3)
            s.out->put(static_cast<char>('0' + (c >> shift & 7)));
    }
    s.out->put(s.codes[handle]);
}

}  // namespace

void run_child(const std::string& path, int out_fd, int in_fd, std::uint64_t memory_limit) {
    // Other files of the owner must not live longer than it does.
    close_descriptors_but(std::array{out_fd, in_fd});
    confine_child(memory_limit);
    Writer out(out_fd);
    if (const std::string fault = broken_block(path); !fault.empty())
        out.fail(Errc::BadFormat, fault);
    void* file = fstReaderOpen(path.c_str());
    if (file == nullptr) out.fail(Errc::BadFormat, "expected an FST waveform");
    const fstHandle last = fstReaderGetMaxHandle(file);
    if (last > 1U << 28) out.fail(Errc::Limit, "more than 268435456 signals");

    Shown shown;
    shown.out = &out;
    shown.codes.resize(std::size_t{last} + 1);
    shown.bits.assign(std::size_t{last} + 1, 0);
    const int exponent = fstReaderGetTimescale(file);
    out.put("$timescale ");
    const int down = exponent < 0 ? (-exponent + 2) / 3 : 0;
    static constexpr std::string_view kUnits[] = {"s", "ms", "us", "ns", "ps", "fs", "as"};
    out.put(std::string_view("100").substr(
        0, static_cast<std::size_t>(std::clamp(1 + 3 * down + exponent, 1, 3))));
    out.put(kUnits[std::min(down, 6)]);
    out.put(" $end\n$timezero ");
    const std::int64_t zero = fstReaderGetTimezero(file);
    if (zero < 0) out.put('-');
    out.put(zero < 0 ? 0 - static_cast<std::uint64_t>(zero) : static_cast<std::uint64_t>(zero));
    out.put(" $end\n");
    std::uint64_t depth = 0;
    fstReaderIterateHierRewind(file);
    while (const fstHier* h = fstReaderIterateHier(file)) {
        if (h->htyp == FST_HT_SCOPE) {
            const auto kind = std::min<std::size_t>(h->u.scope.typ, std::size(kScopes) - 1);
            out.put("$scope ");
            out.put(kScopes[kind]);
            out.put(' ');
            put_words(out, h->u.scope.name, h->u.scope.name_length);
            out.put(" $end\n");
            ++depth;
        } else if (h->htyp == FST_HT_UPSCOPE && depth > 0) {
            out.put("$upscope $end\n");
            --depth;
        } else if (h->htyp == FST_HT_VAR) {
            const fstHandle handle = h->u.var.handle;
            if (handle == 0 || handle > last)
                out.fail(Errc::BadFormat, "a variable without signal");
            const auto kind = std::min<std::size_t>(h->u.var.typ, std::size(kVars) - 1);
            const std::uint32_t bits = h->u.var.length;
            shown.codes[handle] = " " + code_of(handle) + "\n";
            shown.bits[handle] = std::max(shown.bits[handle], bits);
            out.put("$var ");
            out.put(kVars[kind]);
            out.put(' ');
            out.put(std::uint64_t{std::max(bits, 1U)});
            out.put(' ');
            out.put(code_of(handle));
            out.put(' ');
            put_words(out, h->u.var.name, h->u.var.name_length);
            out.put(" $end\n");
        }
    }
    out.put("$enddefinitions $end\n");
    out.flush();

    std::uint32_t count = 0;
    if (!read_all(in_fd, &count, 4)) ::_exit(0);
    std::vector<std::uint32_t> handles(count);
    if (!read_all(in_fd, handles.data(), std::size_t{count} * 4)) ::_exit(0);
    fstReaderClrFacProcessMaskAll(file);
    for (const std::uint32_t handle : handles)
        if (handle >= 1 && handle <= last) fstReaderSetFacProcessMask(file, handle);
    const std::uint32_t changes = fstReaderGetNumberDumpActivityChanges(file);
    for (std::uint32_t i = 0; i < changes; ++i)
        shown.activity.push_back({fstReaderGetDumpActivityChangeTime(file, i),
                                  fstReaderGetDumpActivityChangeValue(file, i) != 0});
    if (fstReaderIterBlocks2(file, on_change, on_text, &shown, nullptr) == 0)
        out.fail(Errc::BadFormat, "the FST library cannot read the values");
    out.end();
}

#else

bool has_library() noexcept { return false; }
void run_child(const std::string&, int, int, std::uint64_t) { ::_exit(0); }

#endif

}  // namespace spikelock::bridge::fst::detail

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/vcd/writer.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace spikelock::bridge::vcd {
namespace {

class TextWriter : public Writer {
public:
    TextWriter(std::FILE* file, std::string path, std::string temporary, int exponent)
        : file_(file), path_(std::move(path)), temporary_(std::move(temporary)) {
        static constexpr const char* kUnits[] = {"s", "ms", "us", "ns", "ps", "fs"};
        const int down = exponent < 0 ? std::min((-exponent + 2) / 3, 5) : 0;
        const int up = std::clamp(exponent + 3 * down, 0, 2);
        put("$version Spikelock $end\n$timescale ");
        put(std::string_view("100").substr(0, static_cast<std::size_t>(up) + 1));
        put(kUnits[down]);
        put(" $end\n");
    }
    ~TextWriter() override {
        if (file_ == nullptr) return;
        std::fclose(file_);
        ::unlink(temporary_.c_str());
    }

    void begin_scope(std::string_view name) override {
        put("$scope module ");
        put(name);
        put(" $end\n");
    }
    void end_scope() override { put("$upscope $end\n"); }
    std::uint32_t add(std::string_view name, std::uint32_t bits) override {
        const auto var = static_cast<std::uint32_t>(codes_.size());
        std::string code;
        for (std::uint32_t n = var;; n = n / 94 - 1) {
            code += static_cast<char>('!' + n % 94);
            if (n < 94) break;
        }
        codes_.push_back(code);
        put(bits == 0 ? "$var real 64 " : "$var wire " + std::to_string(bits) + " ");
        put(code + " ");
        put(name);
        if (bits > 1) put(" [" + std::to_string(bits - 1) + ":0]");
        put(" $end\n");
        return var;
    }
    void time(std::uint64_t time) override {
        if (!started_) put("$enddefinitions $end\n");
        started_ = true;
        put("#" + std::to_string(time) + "\n");
    }
    void change(std::uint32_t var, std::string_view text) override {
        if (text.size() > 1) put("b");
        put(text);
        if (text.size() > 1) put(" ");
        put(codes_[var] + "\n");
    }
    void change(std::uint32_t var, double value) override {
        char text[40];
        std::snprintf(text, sizeof text, "r%.17g ", value);
        put(text);
        put(codes_[var] + "\n");
    }
    Status close() override {
        if (file_ == nullptr) return {};
        if (!started_) put("$enddefinitions $end\n");
        if (std::fflush(file_) != 0) failed_ = failed_ != 0 ? failed_ : errno;
        std::fclose(file_);
        file_ = nullptr;
        if (failed_ == 0 && std::rename(temporary_.c_str(), path_.c_str()) != 0) failed_ = errno;
        if (failed_ == 0) return {};
        ::unlink(temporary_.c_str());
        return Error{failed_ == ENOSPC ? Errc::Environment : Errc::Io,
                     std::string("cannot write: ") + std::strerror(failed_), path_};
    }

private:
    void put(std::string_view text) {
        if (std::fwrite(text.data(), 1, text.size(), file_) != text.size() && failed_ == 0)
            failed_ = errno;
    }
    std::FILE* file_;
    std::string path_;
    std::string temporary_;
    std::vector<std::string> codes_;
    bool started_ = false;
    int failed_ = 0;
};

}  // namespace

Result<std::unique_ptr<Writer>> Writer::create(const std::string& path, int time_exponent) {
    std::string temporary = path + ".part" + std::to_string(::getpid());
    std::FILE* file = std::fopen(temporary.c_str(), "we");
    if (file == nullptr)
        return Error{Errc::Io, std::string("cannot create: ") + std::strerror(errno), path};
    return std::unique_ptr<Writer>(
        std::make_unique<TextWriter>(file, path, std::move(temporary), time_exponent));
}

}  // namespace spikelock::bridge::vcd

// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/fst/writer.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#ifdef SPIKELOCK_FSTAPI
#include <fstapi.h>
#endif

namespace spikelock::bridge::fst {

#ifdef SPIKELOCK_FSTAPI
namespace {

class FstWriter : public vcd::Writer {
public:
    FstWriter(void* file, std::string path, std::string temporary, int exponent)
        : file_(file), path_(std::move(path)), temporary_(std::move(temporary)) {
        fstWriterSetTimescale(file_, exponent);
        fstWriterSetVersion(file_, "Spikelock");
        // Equal traces give equal files: no time of day.
        fstWriterSetDate(file_, "");
        fstWriterSetPackType(file_, FST_WR_PT_LZ4);
    }
    ~FstWriter() override {
        if (file_ == nullptr) return;
        fstWriterClose(file_);
        ::unlink(temporary_.c_str());
    }
    void begin_scope(std::string_view name) override {
        fstWriterSetScope(file_, FST_ST_VCD_MODULE, std::string(name).c_str(), nullptr);
    }
    void end_scope() override { fstWriterSetUpscope(file_); }
    std::uint32_t add(std::string_view name, std::uint32_t bits) override {
        std::string full(name);
        if (bits > 1) full += " [" + std::to_string(bits - 1) + ":0]";
        handles_.push_back(bits == 0 ? fstWriterCreateVar(file_, FST_VT_VCD_REAL, FST_VD_IMPLICIT,
                                                          64, full.c_str(), 0)
                                     : fstWriterCreateVar(file_, FST_VT_VCD_WIRE, FST_VD_IMPLICIT,
                                                          bits, full.c_str(), 0));
        return static_cast<std::uint32_t>(handles_.size() - 1);
    }
    void time(std::uint64_t time) override { fstWriterEmitTimeChange(file_, time); }
    void change(std::uint32_t var, std::string_view text) override {
        fstWriterEmitValueChange(file_, handles_[var], text.data());
    }
    void change(std::uint32_t var, double value) override {
        fstWriterEmitValueChange(file_, handles_[var], &value);
    }
    Status close() override {
        if (file_ == nullptr) return {};
        const bool failed = fstWriterGetFseekFailed(file_) != 0;
        fstWriterClose(file_);
        file_ = nullptr;
        if (!failed && std::rename(temporary_.c_str(), path_.c_str()) == 0) return {};
        const int code = errno;
        ::unlink(temporary_.c_str());
        return Error{Errc::Io, std::string("cannot write: ") + std::strerror(code), path_};
    }

private:
    void* file_;
    std::string path_;
    std::string temporary_;
    std::vector<fstHandle> handles_;
};

}  // namespace

Result<std::unique_ptr<vcd::Writer>> create(const std::string& path, int time_exponent) {
    std::string temporary = path + ".part" + std::to_string(::getpid());
    errno = 0;
    void* file = fstWriterCreate(temporary.c_str(), 1);
    if (file == nullptr)
        return Error{Errc::Io, std::string("cannot create: ") + std::strerror(errno), path};
    return std::unique_ptr<vcd::Writer>(
        std::make_unique<FstWriter>(file, path, std::move(temporary), time_exponent));
}

#else

Result<std::unique_ptr<vcd::Writer>> create(const std::string& path, int) {
    return Error{Errc::Unsupported,
                 "this build cannot write FST: Verilator's gtkwave/fstapi.c was not found when it "
                 "was configured",
                 path};
}

#endif

}  // namespace spikelock::bridge::fst

// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/isolate.hpp"
#include "spikelock/base/result.hpp"

namespace spikelock::fuzz {

inline void must(bool holds) {
    if (!holds) std::abort();
}

/// An Error says what is wrong, and where.
inline void must_name(const Error& error, std::string_view origin) {
    must(!error.message.empty() && error.where.starts_with(origin));
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

/// Whether an input is one of those, 1 in `n`, that get a check which costs much; in a replay all
/// are. The same input always is or is not.
inline bool one_in(std::uint64_t n, const std::uint8_t* data, std::size_t size) {
#ifdef SPIKELOCK_FUZZ_REPLAY
    static_cast<void>(n);
    static_cast<void>(data);
    static_cast<void>(size);
    return true;
#else
    std::uint64_t hash = 14695981039346656037U;  // FNV-1a
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 1099511628211U;
    return (hash >> 32) % n == 0;
#endif
}

/// A path of this process alone; in memory where the system has a place for that.
inline std::string scratch_path(const char* suffix) {
    std::error_code error;
    const std::filesystem::path memory = "/dev/shm";
    const bool there = std::filesystem::is_directory(memory, error);
    return ((there ? memory : std::filesystem::temp_directory_path()) /
            ("spikelock-fuzz-" + std::to_string(::getpid()) + suffix))
        .string();
}

/// A file that is written again and again, for what reads nothing but files. To be made before a
/// child is, which leaves it behind.
class ScratchFile {
public:
    explicit ScratchFile(const char* suffix) : path_(scratch_path(suffix)) {
        file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        must(file_ >= 0);
    }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;
    ~ScratchFile() {
        ::close(file_);
        ::unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }
    void write(std::string_view bytes) const {
        must(::ftruncate(file_, static_cast<off_t>(bytes.size())) == 0);
        must(::pwrite(file_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }

private:
    std::string path_;
    int file_ = -1;
};

/// Runs what reads with a library that not every input leaves alive. Starting a child costs more
/// than reading, so many inputs share one, in which run_isolated() starts no other. Where it dies,
/// this process reads the input that it died of as users do, in a child for it alone, and goes on
/// with the next. An input that this process itself does not survive lies in
/// scratch_path("-fatal").
class IsolatedBatch {
public:
    /// @param read  aborts where an answer is wrong
    explicit IsolatedBatch(void (*read)(std::string_view)) : read_(read) {
        void* const shared = ::mmap(nullptr, sizeof(std::size_t), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        must(shared != MAP_FAILED);
        begun_ = static_cast<std::size_t*>(shared);
    }
    /// @returns what LLVMFuzzerTestOneInput returns: -1, which keeps an input out of the corpus,
    /// for those of a batch, since what it covers says nothing of them
    int add(std::string_view input) {
        if (alone_ < kAlone) {
            ++alone_;
            read_(input);
            return 0;
        }
        inputs_.emplace_back(input);
        if (inputs_.size() < kMost) return -1;
        for (std::size_t next = 0; next < inputs_.size(); next = *begun_ + 1) {
            *begun_ = next;
            const auto all = run_isolated("", "", {}, [&]() -> Result<std::string> {
                for (std::size_t i = next; i < inputs_.size(); ++i) {
                    *begun_ = i;
                    // The libraries follow one damaged file in a hundred for ever.
                    const itimerval most = {{}, {0, 50'000}};
                    ::setitimer(ITIMER_PROF, &most, nullptr);
                    read_(inputs_[i]);
                }
                return std::string();
            });
            if (all) break;
            // Alone it would only take longer until a limit is met.
            if (all.error().message.find("SIGPROF") != std::string::npos) continue;
            const std::string& last = inputs_[*begun_];
            const std::string fatal = scratch_path("-fatal");
            std::ofstream(fatal, std::ios::binary) << last;
            read_(last);
            ::unlink(fatal.c_str());
        }
        inputs_.clear();
        return -1;
    }

private:
#ifdef SPIKELOCK_FUZZ_REPLAY
    static constexpr std::size_t kAlone = SIZE_MAX;
#else
    static constexpr std::size_t kAlone =
        64;  // the corpus comes first, and is kept for its answers
#endif
    static constexpr std::size_t kMost = 256;
    void (*read_)(std::string_view);
    std::size_t* begun_ = nullptr;
    std::size_t alone_ = 0;
    std::vector<std::string> inputs_;
};

}  // namespace spikelock::fuzz

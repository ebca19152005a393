// SPDX-License-Identifier: Apache-2.0
// What every build that is kept has in common: cores and user goldens.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"

namespace spikelock::sim::detail {

std::string first_line(const std::string& text);
/// Lines that are not empty.
std::vector<std::string> lines_of(const std::string& text);
/// @errors Errc::Environment
Status write_file(const std::string& path, const std::string& text);
/// Empty where the file cannot be read.
std::string read_file(const std::string& path);
/// The first rule of a Make dependency file, its prerequisites made absolute.
/// @param folder  that relative ones are taken from; empty: the working folder
std::vector<std::string> dependencies(const std::string& file, const std::string& folder = {});

struct Compiler {
    std::string program;
    std::string version;
};
/// The wanted compiler, else the newest clang, else g++.
/// @param wanted  empty: any
/// @param purpose "the core", for the message
/// @errors Errc::Environment naming the package to install
Result<Compiler> find_compiler(const std::string& wanted, const std::string& purpose);
/// Command line that compiles what Verilator wrote.
/// @param prefix  that Verilator was given, "Vdut"
/// @param target  of the makefile
std::vector<std::string> make_command(const std::string& folder, const std::string& prefix,
                                      const std::string& cxx, const std::string& optimise, int jobs,
                                      const std::string& target);
/// Model and features of this CPU: what -march=native depends on.
std::string cpu_features();
/// The first error that a compiler printed, with its place.
Error compile_error(const std::string& tool, const std::string& output, const std::string& log);

using FileHashes = std::vector<std::pair<std::string, std::string>>;
/// Files with their SHA-256; nothing where one cannot be read.
std::optional<FileHashes> hash_files(const std::vector<std::string>& files);

/// An exclusive lock on a file, released when the process ends in whatever way.
class FileLock {
public:
    FileLock() = default;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock();
    /// @param what  "core", for the line that says what is waited for
    Status lock(const std::string& path, const std::string& what,
                const std::function<void(const std::string&)>& log);

private:
    int fd_ = -1;
};

/// A kept build.
struct CacheEntry {
    std::string program;  ///< path
    std::string key;      ///< of its sources
    FileHashes files;     ///< every file read
    std::string warnings;
};

/// Programs built from one command line, by the content of the files that it read. An entry becomes
/// visible by a rename, is trusted only while its program has the hash that was written with it,
/// and is never changed.
class BuildCache {
public:
    /// @param folder   <cache>/<kind>/<key1>
    /// @param key1     hash of all that is known before the sources are read
    /// @param program  file name of what is built
    BuildCache(std::string folder, std::string key1, std::string program)
        : folder_(std::move(folder)), key1_(std::move(key1)), program_(std::move(program)) {}

    const std::string& folder() const { return folder_; }
    /// @errors Errc::Environment
    Status create() const;
    /// The entry for the sources as they are now.
    std::optional<CacheEntry> find() const;
    /// Waits until nobody else builds this; held until the lock is destroyed.
    Status lock(FileLock& lock, const std::string& what,
                const std::function<void(const std::string&)>& log) const;
    /// An empty folder to build in. @pre the lock is held
    Result<std::string> begin() const;
    /// Keeps what was built. @pre the lock is held
    /// @param built  path of the program, moved away from there
    /// @param about  "name ...", "top ..." a line, for whoever lists the cache
    Result<CacheEntry> keep(const std::string& built, FileHashes files, const std::string& warnings,
                            const std::string& about = {}) const;

private:
    std::string key_of(const FileHashes& hashes) const;
    std::string folder_;
    std::string key1_;
    std::string program_;
};

}  // namespace spikelock::sim::detail

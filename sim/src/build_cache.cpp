// SPDX-License-Identifier: Apache-2.0
#include "build_cache.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "process.hpp"
#include "spikelock/base/hash.hpp"

namespace spikelock::sim::detail {

namespace fs = std::filesystem;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) lines.push_back(line);
    return lines;
}

Status write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file)
        return Error{Errc::Environment, std::string("cannot write: ") + std::strerror(errno), path};
    return {};
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> dependencies(const std::string& file, const std::string& folder) {
    const std::string text = read_file(file);
    std::vector<std::string> files;
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) return files;
    std::string word;
    const auto finish = [&] {
        if (!word.empty())
            files.push_back(fs::absolute(folder / fs::path(word)).lexically_normal().string());
        word.clear();
    };
    for (std::size_t i = colon + 1; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\n') {
            finish();
            ++i;
        } else if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ' ') {
            word += text[++i];
        } else if (text[i] == '\n') {
            break;
        } else if (text[i] == ' ') {
            finish();
        } else {
            word += text[i];
        }
    }
    finish();
    std::sort(files.begin(), files.end());
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
}

Result<Compiler> find_compiler(const std::string& wanted, const std::string& purpose) {
    std::vector<std::string> candidates;
    if (!wanted.empty()) {
        candidates.push_back(wanted);
    } else {
        for (int version = 22; version >= 14; --version)
            candidates.push_back("clang++-" + std::to_string(version));
        candidates.insert(candidates.end(), {"clang++", "g++"});
    }
    for (const std::string& candidate : candidates) {
        Result<CommandResult> found = run_command({candidate, "--version"});
        if (found && found->status == 0) return Compiler{candidate, first_line(found->output)};
    }
    return Error{Errc::Environment,
                 "no C++ compiler for " + purpose + ": apt-get install clang (or g++)",
                 wanted.empty() ? "clang++" : wanted};
}

std::vector<std::string> make_command(const std::string& folder, const std::string& prefix,
                                      const std::string& cxx, const std::string& optimise, int jobs,
                                      const std::string& target) {
    return {"make",
            "-s",
            "-C",
            folder,
            "-f",
            prefix + ".mk",
            "-j" + std::to_string(jobs),
            "CXX=" + cxx,
            "LINK=" + cxx,
            "OPT_FAST=" + optimise,
            "OPT_SLOW=-O1",
            "OPT_GLOBAL=-O2",
            "CFG_CXXFLAGS_PCH_I=-include",
            target};
}

std::string cpu_features() {
    std::string cpu;
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line) && !line.empty();)
        if (line.rfind("model name", 0) == 0 || line.rfind("flags", 0) == 0) cpu += line + "\n";
    return cpu;
}

Error compile_error(const std::string& tool, const std::string& output, const std::string& log) {
    if (output.find("No space left on device") != std::string::npos)
        return {Errc::Environment, "no space left on the device that holds the build cache", log};
    for (const std::string& line : lines_of(output))
        for (const std::string mark : {": error: ", ": fatal error: "})
            if (const std::size_t at = line.find(mark); at != std::string::npos)
                return {Errc::Build,
                        tool + ": " + line.substr(at + mark.size()) + " (log: " + log + ")",
                        line.substr(0, at)};
    return {Errc::Build, tool + " failed: " + first_line(output), log};
}

std::optional<FileHashes> hash_files(const std::vector<std::string>& files) {
    FileHashes hashes;
    for (const std::string& file : files) {
        Result<std::string> hash = hash_file(file);
        if (!hash) return std::nullopt;
        hashes.emplace_back(file, *hash);
    }
    return hashes;
}

FileLock::~FileLock() {
    if (fd_ >= 0) close(fd_);
}

Status FileLock::lock(const std::string& path, const std::string& what,
                      const std::function<void(const std::string&)>& log) {
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0)
        return Error{
            Errc::Environment,
            std::string("cannot create the lock of the build cache: ") + std::strerror(errno),
            path};
    if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return {};
    if (log) log("another build of this " + what + " is under way; waiting for it");
    while (flock(fd_, LOCK_EX) != 0)
        if (errno != EINTR) return Error{Errc::Environment, std::strerror(errno), path};
    return {};
}

std::string BuildCache::key_of(const FileHashes& hashes) const {
    Sha256 hash;
    hash.update_field(key1_);
    for (const auto& [file, digest] : hashes) {
        hash.update_field(file);
        hash.update_field(digest);
    }
    return hash.hex().substr(0, 32);
}

Status BuildCache::create() const {
    std::error_code code;
    fs::create_directories(folder_, code);
    if (code)
        return Error{Errc::Environment, "cannot create the build cache: " + code.message(),
                     folder_};
    return {};
}

std::optional<CacheEntry> BuildCache::find() const {
    const std::optional<FileHashes> hashes = hash_files(lines_of(read_file(folder_ + "/files")));
    if (!hashes || hashes->empty()) return std::nullopt;
    CacheEntry entry;
    entry.key = key_of(*hashes);
    entry.files = *hashes;
    const std::string folder = folder_ + "/" + entry.key;
    entry.program = folder + "/" + program_;
    Result<std::string> actual = hash_file(entry.program);
    if (!actual || *actual != first_line(read_file(folder + "/digest"))) return std::nullopt;
    entry.warnings = read_file(folder + "/warnings");
    return entry;
}

Status BuildCache::lock(FileLock& lock, const std::string& what,
                        const std::function<void(const std::string&)>& log) const {
    return lock.lock(folder_ + "/lock", what, log);
}

Result<std::string> BuildCache::begin() const {
    // A build cut short leaves its folder; nobody else can be in it while we hold the lock.
    std::string folder = folder_ + "/build";
    std::error_code code;
    fs::remove_all(folder, code);
    fs::create_directories(folder, code);
    if (code)
        return Error{Errc::Environment, "cannot create the build folder: " + code.message(),
                     folder};
    return folder;
}

Result<CacheEntry> BuildCache::keep(const std::string& built, FileHashes files,
                                    const std::string& warnings, const std::string& about) const {
    Result<std::string> digest = hash_file(built);
    if (!digest) return digest.error();
    CacheEntry entry;
    entry.key = key_of(files);
    entry.warnings = warnings;
    const fs::path root = folder_;
    const fs::path done = root / (entry.key + ".new");
    const auto failed = [](const fs::path& path, const std::error_code& code) {
        return Error{Errc::Environment, "cannot keep what was built: " + code.message(),
                     path.string()};
    };
    std::error_code code;
    fs::remove_all(done, code);
    fs::create_directories(done, code);
    fs::rename(built, done / program_, code);
    if (code) return failed(done, code);
    std::string names;
    for (const auto& [file, hash] : files) names += file + "\n";
    for (const auto& [name, text] : {std::pair{"warnings", warnings}, std::pair{"about", about},
                                     std::pair{"digest", *digest + "\n"}})
        if (Status written = write_file((done / name).string(), text); !written)
            return written.error();
    fs::remove_all(root / entry.key, code);
    fs::rename(done, root / entry.key, code);
    if (code) return failed(root / entry.key, code);
    if (Status written = write_file((root / "files.new").string(), names); !written)
        return written.error();
    fs::rename(root / "files.new", root / "files", code);
    if (code) return failed(root / "files", code);
    fs::remove_all(root / "build", code);
    entry.program = (root / entry.key / program_).string();
    entry.files = std::move(files);
    return entry;
}

}  // namespace spikelock::sim::detail

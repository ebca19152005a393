// SPDX-License-Identifier: Apache-2.0
#include "spikelock/sim/builder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>

#include "host_sources.hpp"
#include "process.hpp"
#include "spikelock/base/hash.hpp"

namespace spikelock::sim {

namespace fs = std::filesystem;
using manifest::CoreSpec;
using manifest::Manifest;

namespace {

struct Tools {
    std::string verilator_version;
    std::string cxx;
    std::string cxx_version;
    std::string cpu;
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Result<Tools> find_tools(const CoreSpec& core) {
    Tools tools;
    Result<detail::CommandResult> verilator = detail::run_command({"verilator", "--version"});
    if (!verilator || verilator->status != 0)
        return Error{Errc::Environment,
                     "cannot run 'verilator --version'; Verilator 5.006 or newer is needed: "
                     "apt-get install verilator",
                     "verilator"};
    tools.verilator_version = first_line(verilator->output);
    std::vector<std::string> candidates;
    if (!core.cxx.empty()) {
        candidates.push_back(core.cxx);
    } else {
        for (int version = 22; version >= 14; --version)
            candidates.push_back("clang++-" + std::to_string(version));
        candidates.insert(candidates.end(), {"clang++", "g++"});
    }
    for (const std::string& candidate : candidates) {
        Result<detail::CommandResult> found = detail::run_command({candidate, "--version"});
        if (!found || found->status != 0) continue;
        tools.cxx = candidate;
        tools.cxx_version = first_line(found->output);
        break;
    }
    if (tools.cxx.empty())
        return Error{Errc::Environment,
                     "no C++ compiler for the core: apt-get install clang (or g++)",
                     core.cxx.empty() ? "clang++" : core.cxx};
    std::ifstream cpuinfo("/proc/cpuinfo");
    for (std::string line; std::getline(cpuinfo, line) && !line.empty();)
        if (line.rfind("model name", 0) == 0 || line.rfind("flags", 0) == 0)
            tools.cpu += line + "\n";
    return tools;
}

/// A port as the model's header declares it.
struct Port {
    std::string kind;    ///< "in" or "out"
    std::string member;  ///< C++ name
    std::string name;    ///< Verilog name
    std::uint32_t bits = 1;
};

/// The ports in Vdut.h: VL_IN16(&name,15,0); with words for wide ones and ((&name)[4],7,0) for
/// arrays.
std::vector<Port> read_ports(const std::string& header) {
    static const std::regex pattern(
        R"(VL_(IN|OUT|INOUT)(?:8|16|64|W)?\(\(?&(\w+)\)?((?:\[\d+\])*),\s*(\d+),\s*(\d+))");
    std::vector<Port> ports;
    for (auto it = std::sregex_iterator(header.begin(), header.end(), pattern);
         it != std::sregex_iterator(); ++it) {
        const std::smatch& m = *it;
        Port port;
        port.kind = m[1] == "IN" ? "in" : "out";
        port.member = m[2];
        port.name = port.member.rfind("__SYM__", 0) == 0 ? port.member.substr(7) : port.member;
        const long left = std::stol(m[4]);
        const long right = std::stol(m[5]);
        port.bits = static_cast<std::uint32_t>(std::labs(left - right)) + 1;
        ports.push_back(std::move(port));
    }
    return ports;
}

std::string port_table(const std::vector<Port>& ports) {
    std::string text;
    for (const Port& p : ports)
        text += "SPIKELOCK_PORT(\"" + p.kind + "\", \"" + p.name + "\", " + p.member + ", " +
                std::to_string(p.bits) + ")\n";
    return text;
}

/// Verilator configuration that makes the manifest's inner signals visible: those with a dot in any
/// module, others in the top module, where they are no ports.
std::string control_file(const Manifest& m, const std::vector<Port>* ports) {
    std::ostringstream out;
    out << "`verilator_config\n";
    for (const std::string& name : m.signal_names()) {
        const std::size_t dot = name.rfind('.');
        const bool top = dot == std::string::npos;
        if (top && (!ports || std::any_of(ports->begin(), ports->end(),
                                          [&](const Port& p) { return p.name == name; })))
            continue;
        out << "public_flat_rw -module \"" << (top ? m.core.top : "*") << "\" -var \""
            << (top ? name : name.substr(dot + 1)) << "\"\n";
    }
    return out.str();
}

std::vector<std::string> verilator_arguments(const Manifest& m, const BuildOptions& options,
                                             const std::string& folder) {
    const CoreSpec& core = m.core;
    std::vector<std::string> a = {
        "verilator", "--cc",        "--exe", "--prefix",   "Vdut",       "--top-module",
        core.top,    "-Mdir",       folder,  "--x-assign", "unique",     "--x-initial",
        "unique",    "--no-timing", "-O3",   "--language", core.language};
    if (core.assertions) a.emplace_back("--assert");
    if (options.coverage) a.emplace_back("--coverage-line");
    if (!core.lint) a.insert(a.end(), {"-Wno-fatal"});
    if (core.lint) a.emplace_back("-Wall");
    for (const std::string& dir : core.include_dirs) a.push_back("-I" + dir);
    for (const std::string& define : core.defines) a.push_back("-D" + define);
    if (options.faults) a.emplace_back("-DFAULTS");
    for (const auto& [name, value] : core.parameters) a.push_back("-G" + name + "=" + value);
    a.push_back(folder + "/control.vlt");
    a.insert(a.end(), core.waivers.begin(), core.waivers.end());
    a.insert(a.end(), core.sources.begin(), core.sources.end());
    a.push_back(folder + "/host.cpp");
    return a;
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

/// Files that a Verilator run read, from its dependency file; its own program and the control file
/// left out.
std::vector<std::string> dependencies(const std::string& folder) {
    const std::string text = read_file(folder + "/Vdut__ver.d");
    std::vector<std::string> files;
    const std::size_t colon = text.find(" : ");
    if (colon == std::string::npos) return files;
    std::istringstream words(text.substr(colon + 3, text.find('\n', colon) - colon - 3));
    for (std::string word; words >> word;) {
        if (word == "\\" || word.rfind(folder, 0) == 0) continue;
        if (word.find("verilator_bin") != std::string::npos) continue;
        files.push_back(fs::absolute(word).lexically_normal().string());
    }
    std::sort(files.begin(), files.end());
    files.erase(std::unique(files.begin(), files.end()), files.end());
    return files;
}

/// The first error that Verilator or the compiler printed, with its place.
Error build_error(const std::string& tool, const std::string& output, const std::string& log) {
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);) {
        const bool verilator = line.rfind("%Error", 0) == 0;
        const std::size_t at = verilator ? line.find(": ") : line.find(": error: ");
        if (at == std::string::npos && !verilator) continue;
        if (output.find("No space left on device") != std::string::npos)
            return {Errc::Environment, "no space left on the device that holds the build cache",
                    log};
        if (!verilator)
            return {Errc::Build, tool + ": " + line.substr(at + 9) + " (log: " + log + ")",
                    line.substr(0, at)};
        // "%Error-KIND: file:line:column: text", or without a place.
        std::string rest = line.substr(at + 2);
        std::size_t cut = std::string::npos;
        int colons = 0;
        for (std::size_t i = 0; i < rest.size() && colons < 3; ++i)
            if (rest[i] == ':' && ++colons >= 2 && i + 1 < rest.size() && rest[i + 1] == ' ') {
                cut = i;
                break;
            }
        if (cut == std::string::npos || rest.find_first_of("0123456789") == std::string::npos)
            return {Errc::Build, "verilator: " + rest + " (log: " + log + ")", {}};
        std::string message = rest.substr(cut + 2);
        return {Errc::Build, "verilator: " + message + " (log: " + log + ")", rest.substr(0, cut)};
    }
    if (output.find("No space left on device") != std::string::npos)
        return {Errc::Environment, "no space left on the device that holds the build cache", log};
    return {Errc::Build, tool + " failed: " + first_line(output), log};
}

/// An exclusive lock on a file, released when the process ends in whatever way.
class FileLock {
public:
    FileLock() = default;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock() {
        if (fd_ >= 0) close(fd_);
    }
    Status lock(const std::string& path, const std::function<void(const std::string&)>& log) {
        fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd_ < 0)
            return Error{
                Errc::Environment,
                std::string("cannot create the lock of the build cache: ") + std::strerror(errno),
                path};
        if (flock(fd_, LOCK_EX | LOCK_NB) == 0) return {};
        if (log) log("another build of this core is under way; waiting for it");
        while (flock(fd_, LOCK_EX) != 0)
            if (errno != EINTR) return Error{Errc::Environment, std::strerror(errno), path};
        return {};
    }

private:
    int fd_ = -1;
};

using FileHashes = std::vector<std::pair<std::string, std::string>>;

std::optional<FileHashes> hash_files(const std::vector<std::string>& files) {
    FileHashes hashes;
    for (const std::string& file : files) {
        Result<std::string> hash = hash_file(file);
        if (!hash) return std::nullopt;
        hashes.emplace_back(file, *hash);
    }
    return hashes;
}

std::string second_key(const std::string& first, const FileHashes& hashes) {
    Sha256 hash;
    hash.update_field(first);
    for (const auto& [file, digest] : hashes) {
        hash.update_field(file);
        hash.update_field(digest);
    }
    return hash.hex().substr(0, 32);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        if (!line.empty()) lines.push_back(line);
    return lines;
}
}  // namespace

Result<BuiltHost> build_host(const Manifest& m, const BuildOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    const auto log = [&](const std::string& line) {
        if (options.log) options.log(line);
    };
    Result<Tools> tools = find_tools(m.core);
    if (!tools) return tools.error();
    const std::string optimise = options.debug ? "-O0 -g" : m.core.optimise;
    std::string signals;
    for (const std::string& name : m.signal_names()) signals += name + "\n";

    Sha256 first;
    for (const std::string& part :
         {tools->verilator_version, tools->cxx, tools->cxx_version, tools->cpu, optimise, signals,
          std::string(detail::kHostSource), std::string(detail::kProtocolHeader)})
        first.update_field(part);
    for (const std::string& argument : verilator_arguments(m, options, "-"))
        first.update_field(argument);
    const std::string key1 = first.hex().substr(0, 32);

    const fs::path root = fs::path(options.cache_dir) / "hosts" / key1;
    std::error_code code;
    fs::create_directories(root, code);
    if (code)
        return Error{Errc::Environment, "cannot create the build cache: " + code.message(),
                     root.string()};

    BuiltHost host;
    host.verilator = tools->verilator_version;
    host.compiler = tools->cxx_version;
    const auto finish = [&](const std::string& key, FileHashes files, bool cached) {
        const fs::path folder = root / key;
        host.path = (folder / "host").string();
        host.key = key1.substr(0, 16) + key.substr(0, 16);
        host.cached = cached;
        host.files = std::move(files);
        host.warnings = lines_of(read_file((folder / "warnings").string()));
        host.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return host;
    };
    const auto cached_key = [&](FileHashes& files) -> std::optional<std::string> {
        const std::optional<FileHashes> hashes =
            hash_files(lines_of(read_file((root / "files").string())));
        if (!hashes || hashes->empty()) return std::nullopt;
        const std::string key = second_key(key1, *hashes);
        const std::string digest = first_line(read_file((root / key / "digest").string()));
        Result<std::string> actual = hash_file((root / key / "host").string());
        if (!actual || *actual != digest) return std::nullopt;
        files = *hashes;
        return key;
    };
    FileHashes files;
    if (!options.force)
        if (const auto key = cached_key(files)) return finish(*key, files, true);

    FileLock lock;
    if (Status locked = lock.lock((root / "lock").string(), options.log); !locked)
        return locked.error();
    if (!options.force)
        if (const auto key = cached_key(files))
            return finish(*key, files, true);  // built while we waited

    // A build cut short leaves its folder; nobody else can be in it while we hold the lock.
    const fs::path folder = root / "build";
    for (int attempt = 0; attempt < 3; ++attempt) {
        fs::remove_all(folder, code);
        fs::create_directories(folder, code);
        if (code)
            return Error{Errc::Environment, "cannot create the build folder: " + code.message(),
                         folder.string()};
        for (const auto& [name, text] :
             {std::pair{"control.vlt", control_file(m, nullptr)},
              std::pair{"host.cpp", std::string(detail::kHostSource)},
              std::pair{"protocol.hpp", std::string(detail::kProtocolHeader)}})
            if (Status written = write_file((folder / name).string(), text); !written)
                return written.error();

        log("verilating " + m.core.name + " (" + tools->verilator_version + ")");
        const std::string log_file = (root / "build.log").string();
        Result<detail::CommandResult> verilated{detail::CommandResult{}};
        std::vector<Port> ports;
        // Which names are ports is known after the first pass; only a manifest that names inner
        // signals of the top module needs a second.
        for (int pass = 0; pass < 2; ++pass) {
            verilated = detail::run_command(verilator_arguments(m, options, folder.string()),
                                            m.folder, options.stop);
            if (!verilated) return verilated.error();
            (void)write_file(log_file, verilated->output);
            if (verilated->status != 0)
                return build_error("verilator", verilated->output, log_file);
            ports = read_ports(read_file((folder / "Vdut.h").string()));
            const std::string control = control_file(m, &ports);
            if (pass == 1 || control == control_file(m, nullptr)) break;
            if (Status written = write_file((folder / "control.vlt").string(), control); !written)
                return written.error();
        }
        if (Status written = write_file((folder / "ports.inc").string(), port_table(ports));
            !written)
            return written.error();
        const std::vector<std::string> read = dependencies(folder.string());
        const std::optional<FileHashes> before = hash_files(read);

        log("compiling " + m.core.name + " (" + tools->cxx_version + ", " + optimise + ")");
        Result<detail::CommandResult> made =
            detail::run_command({"make", "-s", "-C", folder.string(), "-f", "Vdut.mk",
                                 "-j" + std::to_string(options.jobs), "CXX=" + tools->cxx,
                                 "LINK=" + tools->cxx, "OPT_FAST=" + optimise, "OPT_SLOW=-O1",
                                 "OPT_GLOBAL=-O2", "CFG_CXXFLAGS_PCH_I=-include", "Vdut"},
                                {}, options.stop);
        if (!made)
            return made.error().code == Errc::NotFound
                       ? Error{Errc::Environment, "make is missing: apt-get install make", "make"}
                       : made.error();
        (void)write_file(log_file, verilated->output + made->output);
        if (made->status != 0) return build_error(tools->cxx, made->output, log_file);

        const std::optional<FileHashes> after = hash_files(read);
        if (!before || !after || *before != *after) {
            log("a source changed while it was being built; building again");
            continue;
        }
        Result<std::string> digest = hash_file((folder / "Vdut").string());
        if (!digest) return digest.error();
        std::string warnings;
        for (const std::string& line : lines_of(verilated->output))
            if (line.rfind("%Warning", 0) == 0) warnings += line + "\n";
        const std::string key = second_key(key1, *after);
        const fs::path done = root / (key + ".new");
        fs::remove_all(done, code);
        fs::create_directories(done, code);
        fs::rename(folder / "Vdut", done / "host", code);
        if (code)
            return Error{Errc::Environment, "cannot keep the built host: " + code.message(),
                         done.string()};
        std::string names;
        for (const auto& [file, hash] : *after) names += file + "\n";
        for (const auto& [name, text] :
             {std::pair{"digest", *digest + "\n"}, std::pair{"warnings", warnings}})
            if (Status written = write_file((done / name).string(), text); !written)
                return written.error();
        fs::remove_all(root / key, code);
        fs::rename(done, root / key, code);
        if (code)
            return Error{Errc::Environment, "cannot keep the built host: " + code.message(),
                         (root / key).string()};
        if (Status written = write_file((root / "files.new").string(), names); !written)
            return written.error();
        fs::rename(root / "files.new", root / "files", code);
        fs::remove_all(folder, code);
        return finish(key, *after, false);
    }
    return Error{Errc::Build, "the sources keep changing while they are being built",
                 m.core.sources.front()};
}

}  // namespace spikelock::sim

// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ostream.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "spikelock/base/text.hpp"

namespace spikelock::app {

namespace fs = std::filesystem;

namespace {
struct CacheOptions {
    double older_than_days = 0.0;
    bool json = false;
};

/// All builds of one command line: <cache>/<kind>/<key>, with a lock and an entry for each state of
/// the sources.
struct Entry {
    fs::path folder;
    std::string kind;
    std::string name;
    std::string top;
    std::uintmax_t bytes = 0;
    std::size_t builds = 0;  ///< kept programs
    double age_s = 0.0;      ///< since the last build
    bool locked = false;
};

/// The lock of a build, taken without waiting.
class TryLock {
public:
    explicit TryLock(const fs::path& file) : fd_(open(file.c_str(), O_RDWR | O_CLOEXEC)) {
        taken_ = fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0;
    }
    TryLock(const TryLock&) = delete;
    TryLock& operator=(const TryLock&) = delete;
    ~TryLock() {
        if (fd_ >= 0) close(fd_);
    }
    bool taken() const { return taken_; }

private:
    int fd_;
    bool taken_ = false;
};

/// Only folders that a build has made are touched: those named by a hash, with a lock and more.
bool is_entry(const fs::path& folder) {
    const std::string name = folder.filename().string();
    if (name.size() != 32 || name.find_first_not_of("0123456789abcdef") != std::string::npos)
        return false;
    bool lock = false;
    bool more = false;
    std::error_code code;
    for (auto it = fs::directory_iterator(folder, code); !code && it != fs::directory_iterator();
         it.increment(code))
        (it->path().filename() == "lock" ? lock : more) = true;
    return lock && more;
}

/// What was built, by the sources that it was built from.
std::string name_by_sources(const fs::path& list) {
    std::ifstream file(list);
    std::vector<fs::path> sources;
    for (std::string line; std::getline(file, line);) {
        const std::string extension = fs::path(line).extension().string();
        if (extension == ".v" || extension == ".sv" || extension == ".vhd" || extension == ".vhdl")
            sources.emplace_back(line);
    }
    if (sources.empty()) return {};
    if (sources.size() == 1) return sources[0].filename().string();
    return fmt::format("{}/ ({} files)", sources[0].parent_path().filename().string(),
                       sources.size());
}

Entry describe(const fs::path& folder, const std::string& kind) {
    Entry e;
    e.folder = folder;
    e.kind = kind;
    std::error_code code;
    fs::file_time_type newest = fs::last_write_time(folder, code);
    for (auto it = fs::recursive_directory_iterator(folder, code);
         !code && it != fs::recursive_directory_iterator(); it.increment(code)) {
        std::error_code own;  // a file may vanish while a build is under way
        if (it->is_regular_file(own)) {
            const auto size = it->file_size(own);
            if (!own) e.bytes += size;
        }
        const std::string name = it->path().filename().string();
        if (name == "digest") ++e.builds;
        if (name == "digest") {
            const auto time = it->last_write_time(own);
            if (!own) newest = std::max(newest, time);
        }
        if (name != "about") continue;
        std::ifstream about(it->path());
        for (std::string line; std::getline(about, line);) {
            if (line.rfind("name ", 0) == 0) e.name = line.substr(5);
            if (line.rfind("top ", 0) == 0) e.top = line.substr(4);
        }
    }
    if (e.name.empty()) e.name = name_by_sources(folder / "files");
    e.age_s = std::chrono::duration<double>(fs::file_time_type::clock::now() - newest).count();
    e.locked = !TryLock(folder / "lock").taken();
    return e;
}

Result<std::vector<Entry>> entries(const Console& console) {
    std::vector<Entry> found;
    std::error_code code;
    if (!fs::exists(console.cache_dir, code)) return found;
    for (auto kind = fs::directory_iterator(console.cache_dir, code);
         !code && kind != fs::directory_iterator(); kind.increment(code)) {
        std::error_code own;
        if (!kind->is_directory(own)) continue;
        for (auto it = fs::directory_iterator(kind->path(), own);
             !own && it != fs::directory_iterator(); it.increment(own))
            if (is_entry(it->path()))
                found.push_back(describe(it->path(), kind->path().filename().string()));
    }
    if (code)
        return Error{Errc::Environment, "cannot read the build cache: " + code.message(),
                     console.cache_dir};
    std::sort(found.begin(), found.end(), [](const Entry& a, const Entry& b) {
        return a.age_s != b.age_s ? a.age_s < b.age_s : a.folder < b.folder;
    });
    return found;
}

std::string size_text(std::uintmax_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (value >= 1e9) return fmt::format("{:.2f} GB", value / 1e9);
    if (value >= 1e6) return fmt::format("{:.1f} MB", value / 1e6);
    if (value >= 1e3) return fmt::format("{:.1f} kB", value / 1e3);
    return fmt::format("{} B", bytes);
}

std::string age_text(double seconds) {
    return seconds >= 2 * 86400.0 ? fmt::format("{:.0f} days", seconds / 86400.0)
                                  : duration(std::max(0.0, seconds));
}

int list(const CacheOptions& o, const Console& console) {
    Result<std::vector<Entry>> found = entries(console);
    if (!found) return console.fail(found.error());
    std::uintmax_t total = 0;
    nlohmann::ordered_json all = nlohmann::ordered_json::array();
    for (const Entry& e : *found) {
        total += e.bytes;
        all.push_back({{"key", e.folder.filename().string()},
                       {"kind", e.kind},
                       {"name", e.name},
                       {"top", e.top},
                       {"bytes", e.bytes},
                       {"builds", e.builds},
                       {"age_s", e.age_s},
                       {"building", e.locked}});
    }
    if (o.json) {
        console.out << nlohmann::ordered_json{{"folder", console.cache_dir},
                                              {"bytes", total},
                                              {"entries", std::move(all)}}
                           .dump(2)
                    << "\n";
        return 0;
    }
    if (!found->empty())
        fmt::print(console.out, "{:<32}  {:<8} {:<20} {:>9} {:>6}  {}\n", "key", "kind", "core",
                   "size", "builds", "age");
    for (const Entry& e : *found) {
        std::string core = e.name.empty() ? "-" : e.name;
        if (!e.top.empty() && e.top != e.name) core += " (" + e.top + ")";
        fmt::print(console.out, "{:<32}  {:<8} {:<20} {:>9} {:>6}  {}{}\n",
                   e.folder.filename().string(), e.kind, core, size_text(e.bytes), e.builds,
                   age_text(e.age_s),
                   e.locked        ? "  (a build is under way)"
                   : e.builds == 0 ? "  (no build was finished)"
                                   : "");
    }
    fmt::print(console.out, "{}: {} entries, {}\n", console.cache_dir, found->size(),
               size_text(total));
    return 0;
}

int clear(const CacheOptions& o, const Console& console) {
    Result<std::vector<Entry>> found = entries(console);
    if (!found) return console.fail(found.error());
    std::size_t removed = 0;
    std::size_t kept_busy = 0;
    std::size_t kept_young = 0;
    std::uintmax_t bytes = 0;
    for (const Entry& e : *found) {
        if (e.age_s < o.older_than_days * 86400.0) {
            ++kept_young;
            continue;
        }
        // Held until all is gone, so that no build starts in a folder that is half removed. The
        // lock itself stays: a build may already wait for it, and must not wait for another file
        // than the next one.
        const TryLock lock(e.folder / "lock");
        if (!lock.taken()) {
            ++kept_busy;
            continue;
        }
        std::error_code code;
        std::vector<fs::path> all;
        for (auto it = fs::directory_iterator(e.folder, code);
             !code && it != fs::directory_iterator(); it.increment(code))
            if (it->path().filename() != "lock") all.push_back(it->path());
        for (const fs::path& path : all)
            if (!code) fs::remove_all(path, code);
        if (code)
            return console.fail(
                {Errc::Environment, "cannot remove a build: " + code.message(), e.folder.string()});
        ++removed;
        bytes += e.bytes;
    }
    if (o.json) {
        console.out << nlohmann::ordered_json{{"folder", console.cache_dir},
                                              {"removed", removed},
                                              {"bytes", bytes},
                                              {"kept_under_way", kept_busy},
                                              {"kept_younger", kept_young}}
                           .dump(2)
                    << "\n";
        return 0;
    }
    fmt::print(console.out, "{}: removed {} entries, {}\n", console.cache_dir, removed,
               size_text(bytes));
    if (kept_young > 0)
        fmt::print(console.out, "kept {} younger than {} days\n", kept_young, o.older_than_days);
    if (kept_busy > 0) fmt::print(console.out, "kept {} that are being built\n", kept_busy);
    return 0;
}
}  // namespace

void add_cache(CLI::App& app, int& exit_code, Console& console) {
    auto o = std::make_shared<CacheOptions>();  // shared by the parser and the callbacks
    auto* cmd = app.add_subcommand("cache", "List or clear what was built and kept");
    cmd->require_subcommand(1);
    auto* list_cmd = cmd->add_subcommand("list", "Keys, cores, sizes and ages, the newest first");
    list_cmd->add_flag("--json", o->json, "Print JSON");
    list_cmd->callback([=, &exit_code, &console] { exit_code = list(*o, console); });
    auto* clear_cmd =
        cmd->add_subcommand("clear", "Remove all builds but those that are under way");
    clear_cmd
        ->add_option("--older-than", o->older_than_days, "Only what was built more than DAYS ago")
        ->check(CLI::NonNegativeNumber);
    clear_cmd->add_flag("--json", o->json, "Print JSON");
    clear_cmd->callback([=, &exit_code, &console] { exit_code = clear(*o, console); });
}

}  // namespace spikelock::app

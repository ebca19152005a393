// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <glob.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/base/text.hpp"
#include "spikelock/manifest/expression.hpp"

namespace spikelock::manifest::detail {

/// Carries an Error out of nested reading; never leaves the module.
struct Bad {
    Error error;
};

[[noreturn]] inline void bad(std::string message, std::string where) {
    throw Bad{{Errc::BadConfig, std::move(message), std::move(where)}};
}

/// A TOML table whose keys are taken one by one; what is left over is an error.
class Section {
public:
    Section(const toml::table* table, std::string name, const std::string& file)
        : table_(table), name_(std::move(name)), file_(file) {}

    bool present() const { return table_ != nullptr; }
    const std::string& name() const { return name_; }
    std::string where() const { return place(table_ ? table_->source() : toml::source_region{}); }
    std::string where(std::string_view key) const {
        const toml::node* node = table_ ? table_->get(key) : nullptr;
        return place(node ? node->source() : toml::source_region{}) + ": " + full(key);
    }
    bool of_command_line(std::string_view key) const {
        const toml::node* node = table_ ? table_->get(key) : nullptr;
        return node && node->source().path && *node->source().path != file_;
    }
    bool has(std::string_view key) const { return table_ != nullptr && table_->contains(key); }

    std::string text(std::string_view key, std::string fallback = {}) {
        const toml::node* node = take(key);
        if (!node) return fallback;
        if (!node->is_string()) bad("expected a string, got " + kind(*node), where(key));
        return node->as_string()->get();
    }
    std::string needed_text(std::string_view key, const std::string& example) {
        if (!has(key)) missing_key(key, example);
        return text(key);
    }
    bool flag(std::string_view key, bool fallback) {
        const toml::node* node = take(key);
        if (!node) return fallback;
        if (!node->is_boolean()) bad("expected true or false, got " + kind(*node), where(key));
        return node->as_boolean()->get();
    }
    template <typename T>
    T integer(std::string_view key, T fallback, std::int64_t low, std::int64_t high) {
        const toml::node* node = take(key);
        if (!node) return fallback;
        if (!node->is_integer()) bad("expected an integer, got " + kind(*node), where(key));
        const std::int64_t value = node->as_integer()->get();
        if (value < low || value > high)
            bad("expected " + std::to_string(low) + ".." + std::to_string(high) + ", got " +
                    std::to_string(value),
                where(key));
        return static_cast<T>(value);
    }
    double number(std::string_view key, double fallback, double low, double high) {
        const toml::node* node = take(key);
        if (!node) return fallback;
        double value = 0.0;
        if (node->is_floating_point())
            value = node->as_floating_point()->get();
        else if (node->is_integer())
            value = static_cast<double>(node->as_integer()->get());
        else
            bad("expected a number, got " + kind(*node), where(key));
        if (!(value >= low && value <= high)) {
            std::ostringstream message;
            message << "expected " << low << " to " << high << ", got " << value;
            bad(message.str(), where(key));
        }
        return value;
    }
    template <typename T>
    T choice(std::string_view key, T fallback,
             const std::vector<std::pair<std::string, T>>& known) {
        if (!has(key)) {
            know({key});
            return fallback;
        }
        std::vector<std::string> names;
        for (const auto& [name, result] : known) names.push_back(name);
        std::string all;
        for (const std::string& name : names) all += (all.empty() ? "'" : ", '") + name + "'";
        const toml::node* node = take(key);
        if (!node->is_string()) bad("expected one of " + all + ", got " + kind(*node), where(key));
        const std::string value = node->as_string()->get();
        for (const auto& [name, result] : known)
            if (name == value) return result;
        bad("expected one of " + all + ", got '" + value + "'" + did_you_mean(value, names),
            where(key));
    }
    std::vector<std::string> list(std::string_view key) {
        const toml::node* node = take(key);
        std::vector<std::string> values;
        if (!node) return values;
        if (node->is_string()) return {node->as_string()->get()};
        if (!node->is_array()) bad("expected a list of strings, got " + kind(*node), where(key));
        for (const toml::node& item : *node->as_array()) {
            if (!item.is_string())
                bad("expected a list of strings, found " + kind(item),
                    place(item.source()) + ": " + full(key));
            values.push_back(item.as_string()->get());
        }
        return values;
    }
    Expression expression(std::string_view key) {
        const toml::node* node = take(key);
        if (!node) return {};
        std::string source;
        if (node->is_string())
            source = node->as_string()->get();
        else if (node->is_integer())
            source = std::to_string(node->as_integer()->get());
        else
            bad("expected an expression (a string), got " + kind(*node), where(key));
        Result<Expression> parsed = Expression::parse(source, where(key));
        if (!parsed) throw Bad{parsed.error()};
        return *parsed;
    }
    Expression needed_expression(std::string_view key, const std::string& example) {
        if (!has(key)) missing_key(key, example);
        return expression(key);
    }
    Section table(std::string_view key) {
        const toml::node* node = take(key);
        if (node && !node->is_table()) bad("expected a table, got " + kind(*node), where(key));
        return {node ? node->as_table() : nullptr, full(key), file_};
    }
    std::vector<Section> tables(std::string_view key) {
        const toml::node* node = take(key);
        std::vector<Section> all;
        if (!node) return all;
        if (!node->is_array())
            bad("expected [[" + full(key) + "]] entries, got " + kind(*node), where(key));
        for (const toml::node& item : *node->as_array()) {
            if (!item.is_table())
                bad("expected [[" + full(key) + "]] entries", place(item.source()));
            all.emplace_back(item.as_table(), full(key), file_);
        }
        return all;
    }
    std::vector<std::pair<std::string, std::string>> scalars(std::string_view key) {
        Section section = table(key);
        std::vector<std::pair<std::string, std::string>> all;
        if (!section.present()) return all;
        for (const auto& [name, node] : *section.table_) {
            std::string value;
            if (node.is_string())
                value = node.as_string()->get();
            else if (node.is_integer())
                value = std::to_string(node.as_integer()->get());
            else
                bad("expected an integer or a string, got " + kind(node),
                    section.where(name.str()));
            all.emplace_back(std::string(name.str()), value);
        }
        return all;
    }
    /// Names keys that may stand here, read or not.
    void know(std::initializer_list<std::string_view> keys) {
        taken_.insert(taken_.end(), keys.begin(), keys.end());
    }
    /// Something that must be there is not. Told by close(), where no misspelt key explains it.
    void missing(std::string message, std::string where) {
        if (!missing_) missing_ = Error{Errc::BadConfig, std::move(message), std::move(where)};
    }
    void missing_key(std::string_view key, const std::string& example) {
        missing("missing key '" + std::string(key) + "', e.g. " + example,
                where() + ": [" + name_ + "]");
        taken_.emplace_back(key);
    }
    /// Whatever is not known is a misspelt key.
    void find_misspelt() const {
        if (!table_) return;
        for (const auto& [key, node] : *table_) {
            const std::string name(key.str());
            if (std::find(taken_.begin(), taken_.end(), name) == taken_.end())
                bad("unknown key '" + name + "'" + (name_.empty() ? "" : " in [" + name_ + "]") +
                        did_you_mean(name, taken_),
                    place(key.source()));
        }
    }
    /// Everything has been taken.
    void close() const {
        find_misspelt();
        if (missing_) throw Bad{*missing_};
    }

private:
    const toml::node* take(std::string_view key) {
        taken_.emplace_back(key);
        return table_ ? table_->get(key) : nullptr;
    }
    std::string full(std::string_view key) const {
        return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
    }
    std::string place(const toml::source_region& region) const {
        // A value that was given on the command line has that for a path.
        if (region.path && *region.path != file_) return *region.path;
        return region.begin ? file_ + ":" + std::to_string(region.begin.line) : file_;
    }
    static std::string kind(const toml::node& node) {
        std::ostringstream out;
        out << node.type();
        return out.str();
    }

    const toml::table* table_;
    std::string name_;
    std::string file_;
    std::vector<std::string> taken_;
    std::optional<Error> missing_;
};

inline std::string absolute(const std::string& folder, const std::string& path) {
    return (std::filesystem::path(path).is_absolute() ? std::filesystem::path(path)
                                                      : std::filesystem::path(folder) / path)
        .lexically_normal()
        .string();
}

inline std::string needed_folder(const std::string& folder, const std::string& path,
                                 const std::string& where) {
    const std::string full = absolute(folder, path);
    std::error_code error;
    if (!std::filesystem::is_directory(full, error)) bad("no such folder: " + full, where);
    return full;
}

inline std::string needed_file(const std::string& folder, const std::string& path,
                               const std::string& where) {
    const std::string full = absolute(folder, path);
    std::error_code error;
    if (!std::filesystem::exists(full, error)) bad("no such file: " + full, where);
    if (std::filesystem::is_directory(full, error))
        bad("expected a file, this is a folder: " + full, where);
    if (access(full.c_str(), R_OK) != 0)
        bad("cannot read " + full + ": " + std::strerror(errno), where);
    return full;
}

inline std::vector<std::string> expand(const std::string& folder,
                                       const std::vector<std::string>& patterns,
                                       const std::string& where) {
    std::vector<std::string> files;
    for (const std::string& pattern : patterns) {
        const std::string full = absolute(folder, pattern);
        if (pattern.find_first_of("*?[") == std::string::npos) {
            files.push_back(needed_file(folder, pattern, where));
            continue;
        }
        glob_t found = {};
        if (glob(full.c_str(), 0, nullptr, &found) != 0 || found.gl_pathc == 0) {
            globfree(&found);
            bad("no file matches: " + full, where);
        }
        for (std::size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
        globfree(&found);
    }
    return files;
}

inline constexpr std::int64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
inline constexpr std::size_t kMaxText = std::size_t{4} << 20;
inline constexpr std::int64_t kMax63 = std::numeric_limits<std::int64_t>::max();

}  // namespace spikelock::manifest::detail

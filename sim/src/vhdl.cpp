// SPDX-License-Identifier: Apache-2.0
#include "vhdl.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "build_error.hpp"
#include "host_sources.hpp"
#include "process.hpp"
#include "spikelock/base/hash.hpp"

namespace spikelock::sim::detail {

namespace fs = std::filesystem;

namespace {
std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

bool word_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

struct Word {
    std::string text;
    std::size_t line = 1;
};

/// Names and keywords of a source, without comments and strings; every other character is a word of
/// its own.
std::vector<Word> words_of(const std::string& text, bool vhdl) {
    std::vector<Word> words;
    std::size_t line = 1;
    const auto skip_to = [&](std::size_t at, const std::string& end) {
        const std::size_t found = std::min(text.find(end, at), text.size());
        line += static_cast<std::size_t>(
            std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                       text.begin() + static_cast<std::ptrdiff_t>(found), '\n'));
        return found;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n') ++line;
        if (std::isspace(static_cast<unsigned char>(text[i])) != 0) continue;
        if (text.compare(i, 2, vhdl ? "--" : "//") == 0) {
            i = skip_to(i, "\n") - 1;
        } else if (text.compare(i, 2, "/*") == 0) {
            i = skip_to(i + 2, "*/") + 1;
        } else if (text[i] == '"') {
            i = skip_to(i + 1, "\"");
        } else if (word_part(text[i])) {
            const std::size_t begin = i;
            while (i + 1 < text.size() && word_part(text[i + 1])) ++i;
            words.push_back({text.substr(begin, i + 1 - begin), line});
        } else {
            words.push_back({std::string(1, text[i]), line});
        }
    }
    return words;
}

struct Entity {
    std::string name;  ///< as declared
    std::string file;
    std::size_t line = 1;
    bool used = false;  ///< named by something other than its own declaration and architectures
};

/// By name in lower case: VHDL does not tell the cases apart.
using Entities = std::map<std::string, Entity>;

Entities entities_of(const std::vector<std::string>& files) {
    Entities entities;
    std::vector<std::vector<Word>> all;
    for (const std::string& file : files) {
        all.push_back(words_of(read_file(file), true));
        const std::vector<Word>& words = all.back();
        for (std::size_t i = 0; i + 2 < words.size(); ++i)
            if (lower(words[i].text) == "entity" && lower(words[i + 2].text) == "is")
                entities[lower(words[i + 1].text)] = {words[i + 1].text, file, words[i].line,
                                                      false};
    }
    for (const std::vector<Word>& words : all)
        for (std::size_t i = 1; i < words.size(); ++i) {
            const auto found = entities.find(lower(words[i].text));
            const std::string before = lower(words[i - 1].text);
            if (found != entities.end() && before != "entity" && before != "of" && before != "end")
                found->second.used = true;
        }
    return entities;
}

/// What has to be translated on its own, by the name that its module is to have.
std::vector<std::string> units_of(const Entities& entities, const ElaborateOptions& o,
                                  const std::vector<std::string>& verilog) {
    std::vector<std::string> units;
    const auto add = [&](const std::string& name) {
        if (std::find(units.begin(), units.end(), name) == units.end()) units.push_back(name);
    };
    if (entities.contains(lower(o.top))) add(o.top);
    for (const std::string& file : verilog)
        for (const Word& word : words_of(read_file(file), false))
            if (entities.contains(lower(word.text))) add(word.text);
    if (o.top.empty() && units.empty())
        for (const auto& [name, entity] : entities)
            if (!entity.used) add(entity.name);
    return units;
}

/// "file:line:column:error: text" of newer releases, "file:line:column: text" of 2.0; the same with
/// the program instead of a place.
Error ghdl_error(const std::string& output, const std::string& file) {
    if (output.find("No space left on device") != std::string::npos)
        return {Errc::Environment, "no space left on the device that holds the build cache", file};
    if (output.find("GHDL Bug occurred") != std::string::npos)
        return {Errc::Build,
                "ghdl: fails with an internal error on these sources, or on a value in "
                "[core.parameters]; a newer ghdl may take them",
                file};
    static const std::regex pattern(R"(^(.*?:\d+:\d+|\S*ghdl\S*?):(?:error:)? (.*)$)");
    for (const std::string& line : lines_of(output)) {
        std::smatch m;
        if (line.find(":warning: ") != std::string::npos ||
            line.find(":note: ") != std::string::npos || !std::regex_match(line, m, pattern))
            continue;
        const bool placed = m[1].str().find("ghdl") == std::string::npos;
        return {Errc::Build, "ghdl: " + m[2].str(), placed ? m[1].str() : file};
    }
    return {Errc::Build, "ghdl failed: " + first_line(output), file};
}

/// Runs `ghdl synth` and gives what it printed beside the Verilog, which goes to a file.
Result<CommandResult> run_ghdl(const std::vector<std::string>& arguments, const std::string& file,
                               const std::string& folder, const std::atomic<bool>* stop) {
    std::vector<std::string> command = {
        "sh", "-c", "out=$1; shift; exec ghdl synth --out=verilog \"$@\" >\"$out\"", "sh", file};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_command(command, folder, stop);
}

/// Puts modules together, each once, without the empty ones that ghdl 2.0 writes for components
/// that something else defines, and with the places of the VHDL as line directives.
class Assembler {
public:
    Assembler(const Entities& entities, std::set<std::string> unbound)
        : entities_(entities), unbound_(std::move(unbound)) {}

    void add(const std::string& text) {
        std::vector<std::string> module;
        std::istringstream in(text);
        for (std::string line; std::getline(in, line);) {
            module.push_back(line);
            if (line != "endmodule") continue;
            add_module(module);
            module.clear();
        }
    }
    const std::string& text() const { return text_; }
    const std::vector<std::string>& cuts() const { return cuts_; }

private:
    static std::string directive(const std::string& file, const std::string& line) {
        return "`line " + line + " \"" + file + "\" 0\n";
    }
    void add_module(const std::vector<std::string>& lines) {
        static const std::regex head(R"(module\s+(\S+)\s*)");
        static const std::regex place(R"(^\s*/\* (.*):(\d+):(\d+)\s*\*/\s*$)");
        static const std::regex kept(R"(^\s*(?:assign\s+)?(\S+) = .*// \(i?signal\)\s*$)");
        static const std::regex declared(R"(^\s*(?:wire|reg)\s.*?(\S+)\s*;\s*$)");
        std::string name;
        std::map<std::string, std::string> places;  // of signals, by name
        std::string last;
        std::smatch m;
        for (const std::string& line : lines) {
            if (name.empty() && std::regex_match(line, m, head)) name = m[1];
            if (std::regex_match(line, m, place))
                last = directive(m[1], m[2]);
            else if (std::regex_match(line, m, kept))
                places[m[1]] = last;
        }
        if (!names_.insert(name).second || unbound_.contains(lower(name))) return;
        // The entity that it was made of: its name, then the values of generics.
        const Entity* entity = nullptr;
        for (const auto& [own, candidate] : entities_)
            if (lower(name).rfind(own, 0) == 0 && (!entity || own.size() > entity->name.size()) &&
                (name.size() == own.size() || name[own.size()] == '_'))
                entity = &candidate;
        const std::string own =
            entity ? directive(entity->file, std::to_string(entity->line)) : std::string();
        bool inside = false;  // after the declarations
        std::string cut;
        for (const std::string& line : lines) {
            if (std::regex_match(line, m, place)) {
                inside = true;
                text_ += directive(m[1], m[2]);
                cut = m[1].str() + ":" + m[2].str() + ":" + m[3].str();
                continue;
            }
            if (!inside) {
                const bool is_signal = std::regex_match(line, m, declared) && places.contains(m[1]);
                text_ += is_signal ? places.at(m[1]) : own;
            }
            if (line.find("// trunc") != std::string::npos && !cut.empty() &&
                std::find(cuts_.begin(), cuts_.end(), cut) == cuts_.end())
                cuts_.push_back(cut);
            text_ += line + "\n";
        }
    }

    const Entities& entities_;
    std::set<std::string> unbound_;  ///< components, in lower case
    std::set<std::string> names_;
    std::string text_;
    std::vector<std::string> cuts_;
};

/// Components that no VHDL defines, from ghdl's warnings.
std::set<std::string> unbound_of(const std::string& output) {
    static const std::regex pattern("of component \"([^\"]*)\" is not bound");
    std::set<std::string> names;
    for (auto it = std::sregex_iterator(output.begin(), output.end(), pattern);
         it != std::sregex_iterator(); ++it)
        names.insert(lower((*it)[1]));
    return names;
}

/// "2.0.0" of "GHDL 2.0.0 (Debian ...) ...".
std::string number_of(const Ghdl& ghdl) {
    std::istringstream in(ghdl.version);
    std::string word;
    in >> word >> word;
    return word;
}
}  // namespace

bool is_vhdl(const std::string& file) {
    const std::string extension = lower(fs::path(file).extension().string());
    return extension == ".vhd" || extension == ".vhdl";
}

bool any_vhdl(const std::vector<std::string>& sources) {
    return std::any_of(sources.begin(), sources.end(), is_vhdl);
}

bool is_generated(const std::string& name) {
    static const std::regex pattern(R"(n\d+_(o|q|data|oport))");
    return std::regex_match(name.substr(name.rfind('.') + 1), pattern);
}

Result<Ghdl> find_ghdl() {
    Result<CommandResult> done = run_command({"ghdl", "--version"});
    if (!done || done->status != 0)
        return Error{Errc::Environment,
                     "cannot run 'ghdl --version'; VHDL sources are translated by ghdl, of which "
                     "Debian 13's 5.0.1 will do and Debian 12's 2.0.0 will not: apt-get install "
                     "ghdl",
                     "ghdl"};
    Ghdl ghdl;
    ghdl.version = first_line(done->output);
    // The command may be a script that chooses one of several programs beside it.
    done = run_command({"sh", "-c", "command -v ghdl"});
    if (!done) return done.error();
    std::error_code code;
    const fs::path program = fs::canonical(first_line(done->output), code);
    for (const char* backend : {"", "-mcode", "-llvm", "-gcc"})
        if (const std::string file = program.string() + backend; fs::is_regular_file(file, code))
            ghdl.files.push_back(file);
    return ghdl;
}

Result<std::string> check_ghdl(const Ghdl& ghdl, const std::string& cache_dir,
                               const CheckTools& tools) {
    Sha256 hash;
    for (const std::string& part :
         {ghdl.version, tools.verilator_version, tools.compiler.program, tools.compiler.version,
          std::string(kVhdlCheckSource), std::string(kVhdlCheckProgram)})
        hash.update_field(part);
    const std::string key1 = hash.hex().substr(0, 32);
    const BuildCache cache((fs::path(cache_dir) / "vhdl_checks" / key1).string(), key1, "check");
    // What differs, then that the check has ended: one cut short says nothing.
    const auto judge = [&](const std::string& report) -> Result<std::string> {
        std::vector<std::string> wrong;
        std::string limits;
        for (const std::string& line : lines_of(report)) {
            if (line.rfind("limit: ", 0) == 0)
                limits += line.substr(7) + "\n";
            else if (line.rfind("wrong: ", 0) == 0)
                wrong.push_back(line.substr(7));
        }
        if (wrong.empty()) return limits;
        const std::string more =
            wrong.size() == 1 ? "" : " (and " + std::to_string(wrong.size() - 1) + " more)";
        return Error{Errc::Environment,
                     "ghdl " + number_of(ghdl) + " translates VHDL wrongly: " + wrong.front() +
                         more +
                         ". The core would not compute what its VHDL says. Use a newer ghdl "
                         "(Debian 13's 5.0.1 passes this check), first in PATH, or give Verilog "
                         "that another tool has made of it",
                     ghdl.files.empty() ? "ghdl" : ghdl.files.front()};
    };
    if (Status created = cache.create(); !created) return created.error();
    if (auto entry = cache.find()) return judge(entry->warnings);
    FileLock lock;
    if (Status locked = cache.lock(lock, "check of ghdl", tools.log); !locked)
        return locked.error();
    if (auto entry = cache.find()) return judge(entry->warnings);

    if (tools.log) tools.log("checking what " + ghdl.version + " makes of VHDL, once");
    Result<std::string> folder = cache.begin();
    if (!folder) return folder.error();
    const std::string source = *folder + "/vhdl_check.vhd";
    const std::string program = *folder + "/vhdl_check.cpp";
    const std::string verilog = *folder + "/check.v";
    for (const auto& [file, text] :
         {std::pair{source, kVhdlCheckSource}, std::pair{program, kVhdlCheckProgram}})
        if (Status written = write_file(file, text); !written) return written.error();
    const std::string log_file = cache.folder() + "/build.log";
    const auto failed = [&](const std::string& tool, const std::string& output) {
        (void)write_file(log_file, output);
        Error error = build_error(tool, output, log_file);
        error.message = "the check of ghdl " + number_of(ghdl) + " failed: " + error.message;
        return error;
    };
    Result<CommandResult> done =
        run_ghdl({"--std=08", source, "-e", "vhdl_check"}, verilog, *folder, tools.stop);
    if (done && done->status != 0) return failed("ghdl", done->output);
    const auto run = [&](const std::vector<std::string>& command) {
        if (done && done->status == 0) done = run_command(command, *folder, tools.stop);
    };
    run({"verilator", "--cc", "--exe", "--prefix", "Vcheck", "--top-module", "vhdl_check", "-Mdir",
         *folder, "--x-initial", "unique", "-Wno-fatal", "-Wno-lint", verilog, program});
    if (done && done->status != 0) return failed("verilator", done->output);
    run(make_command(*folder, "Vcheck", tools.compiler.program, "-O1", tools.jobs, "Vcheck"));
    if (done && done->status != 0) return failed(tools.compiler.program, done->output);
    if (done) done = run_command({*folder + "/Vcheck"}, *folder, tools.stop);
    if (!done) return done.error();
    if (done->status != 0) return failed("the comparison", done->output);

    const std::optional<FileHashes> files = hash_files(ghdl.files);
    if (!files || files->empty())
        return Error{Errc::Environment, "cannot read the program", "ghdl"};
    Result<CacheEntry> kept = cache.keep(*folder + "/Vcheck", *files, done->output,
                                         "name ghdl " + number_of(ghdl) + "\n");
    if (!kept) return kept.error();
    return judge(kept->warnings);
}

Result<Translation> translate_vhdl(const ElaborateOptions& o, const std::string& folder) {
    std::vector<std::string> vhdl;
    std::vector<std::string> verilog;
    for (const std::string& file : o.sources) (is_vhdl(file) ? vhdl : verilog).push_back(file);
    Translation translation;
    const Entities entities = entities_of(vhdl);
    translation.parameters_used = entities.contains(lower(o.top));
    const std::vector<std::string> units = units_of(entities, o, verilog);
    if (units.empty()) {
        std::string all;
        for (const auto& [name, entity] : entities) all += (all.empty() ? "" : ", ") + entity.name;
        return Error{Errc::Build,
                     all.empty()
                         ? "no entity in the VHDL sources"
                         : "no entity of the VHDL sources is the top module, and the Verilog "
                           "sources name none of them: " +
                               all,
                     vhdl.front()};
    }
    std::string output;
    std::vector<std::string> texts;
    for (const std::string& unit : units) {
        std::vector<std::string> arguments = {"--std=" + o.vhdl_std};
        if (!o.assertions) arguments.emplace_back("--no-formal");
        arguments.insert(arguments.end(), o.vhdl_flags.begin(), o.vhdl_flags.end());
        if (unit == o.top)
            for (const auto& [name, value] : o.parameters)
                arguments.push_back("-g" + name + "=" + value);
        arguments.insert(arguments.end(), vhdl.begin(), vhdl.end());
        arguments.insert(arguments.end(), {"-e", unit});
        const std::string file = folder + "/vhdl.v";
        Result<CommandResult> done = run_ghdl(arguments, file, o.folder, o.stop);
        if (!done) return done.error();
        if (done->status != 0) {
            if (Result<Ghdl> ghdl = find_ghdl(); !ghdl) return ghdl.error();
            return ghdl_error(done->output, entities.at(lower(unit)).file);
        }
        output += done->output;
        texts.push_back(read_file(file));
    }
    Assembler assembler(entities, unbound_of(output));
    for (const std::string& text : texts) assembler.add(text);
    translation.cuts = assembler.cuts();
    for (const std::string& line : lines_of(output))
        if (line.find(":warning: ") != std::string::npos &&
            line.find("is not bound") == std::string::npos &&
            line.find("(in default configuration") == std::string::npos)
            translation.warnings += line + "\n";
    const std::string file = folder + "/vhdl.v";
    if (Status written = write_file(file, assembler.text()); !written) return written.error();
    bool placed = false;
    for (const std::string& source : o.sources) {
        if (!is_vhdl(source))
            translation.sources.push_back(source);
        else if (!std::exchange(placed, true))
            translation.sources.push_back(file);
    }
    return translation;
}

}  // namespace spikelock::sim::detail

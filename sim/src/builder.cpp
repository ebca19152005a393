// SPDX-License-Identifier: Apache-2.0
#include "spikelock/sim/builder.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>

#include "build_cache.hpp"
#include "build_error.hpp"
#include "check_names.hpp"
#include "eval_shortcuts.hpp"
#include "host_sources.hpp"
#include "parameter.hpp"
#include "process.hpp"
#include "spikelock/base/hash.hpp"
#include "vhdl.hpp"

namespace spikelock::sim {

namespace fs = std::filesystem;
using detail::BuildCache;
using detail::CacheEntry;
using detail::FileHashes;
using detail::first_line;
using detail::hash_files;
using detail::lines_of;
using detail::read_file;
using detail::write_file;
using manifest::CoreSpec;
using manifest::Manifest;

namespace {

struct Tools {
    std::string verilator_version;
    std::string cxx;
    std::string cxx_version;
    std::string cpu;
    detail::Ghdl ghdl;  ///< for VHDL sources
};

Result<Tools> find_tools(const CoreSpec& core) {
    Tools tools;
    Result<detail::CommandResult> verilator = detail::run_command({"verilator", "--version"});
    if (!verilator || verilator->status != 0)
        return Error{Errc::Environment,
                     "cannot run 'verilator --version'; Verilator 5.006 or newer is needed: "
                     "apt-get install verilator",
                     "verilator"};
    tools.verilator_version = first_line(verilator->output);
    Result<detail::Compiler> compiler = detail::find_compiler(core.cxx, "the core");
    if (!compiler) return compiler.error();
    tools.cxx = compiler->program;
    tools.cxx_version = compiler->version;
    tools.cpu = detail::cpu_features();
    if (detail::any_vhdl(core.sources)) {
        Result<detail::Ghdl> ghdl = detail::find_ghdl();
        if (!ghdl) return ghdl.error();
        tools.ghdl = std::move(*ghdl);
    }
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

/// Ports called as something that the model's class has itself (eval, name, final, ...) become
/// port_eval and so on in its C++ code, which would not compile otherwise.
Status free_port_names(const fs::path& folder, std::vector<Port>& ports) {
    const auto patched = [](std::string text, const std::regex& pattern, const std::string& by) {
        return std::regex_replace(text, pattern, by);
    };
    const std::string header_file = (folder / "Vdut.h").string();
    const std::string model_file = (folder / "Vdut.cpp").string();
    const std::string symbols_file = (folder / "Vdut__Syms.h").string();
    std::string header = read_file(header_file);
    std::string model = read_file(model_file);
    bool changed = false;
    for (Port& port : ports) {
        // Its declaration is the one place where a port's name stands in the class.
        const std::regex word("\\b" + port.member + "\\b");
        const auto first = std::sregex_iterator(header.begin(), header.end(), word);
        if (std::distance(first, std::sregex_iterator()) < 2) continue;
        const std::string own = "port_" + port.member;
        header =
            patched(header, std::regex("(VL_(?:IN|OUT|INOUT)\\w*\\(\\(?&)" + port.member + "\\b"),
                    "$1" + own);
        model =
            patched(model, std::regex("(, )" + port.member + "(\\{vlSymsp->)"), "$1" + own + "$2");
        port.member = own;
        changed = true;
    }
    if (!changed) return {};
    // A port 'name' hides what the root module inherits.
    const std::string symbols = patched(read_file(symbols_file), std::regex("TOP\\.name\\(\\)"),
                                        "TOP.VerilatedModule::name()");
    for (const auto& [file, text] : {std::pair{header_file, header}, std::pair{model_file, model},
                                     std::pair{symbols_file, symbols}})
        if (Status written = write_file(file, text); !written) return written;
    return {};
}

std::string port_table(const std::vector<Port>& ports) {
    std::string text;
    for (const Port& p : ports)
        text += "SPIKELOCK_PORT(\"" + p.kind + "\", \"" + p.name + "\", " + p.member + ", " +
                std::to_string(p.bits) + ")\n";
    return text;
}

/// Verilator configuration that makes the manifest's inner signals visible: those with a dot in any
/// module, others in the top module, where they are no ports. Only signals that the host drives are
/// writable, since all that depends on such a one is computed anew in every eval: a third of the
/// speed of a core with its state in memories. After a back-door write the host settles the model.
std::string control_file(const Manifest& m, const std::vector<Port>* ports) {
    std::ostringstream out;
    out << "`verilator_config\n";
    const std::vector<std::string> driven = m.driven_names();
    for (const std::string& name : m.signal_names()) {
        const std::size_t dot = name.rfind('.');
        const bool top = dot == std::string::npos;
        std::string variable = top ? name : name.substr(dot + 1);
        if (const std::size_t index = variable.find("{}"); index != std::string::npos)
            variable.replace(index, 2, "*");
        if (top && (!ports || std::any_of(ports->begin(), ports->end(),
                                          [&](const Port& p) { return p.name == name; })))
            continue;
        const bool writable = std::binary_search(driven.begin(), driven.end(), name);
        out << (writable ? "public_flat_rw" : "public_flat_rd") << " -module \""
            << (top ? m.core.top : "*") << "\" -var \"" << variable << "\"\n";
    }
    return out.str();
}

/// @param core  as Verilator is to see it
std::vector<std::string> verilator_arguments(const Manifest& m, const CoreSpec& core,
                                             const BuildOptions& options,
                                             const std::string& folder) {
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
    for (const auto& [name, value] : core.parameters)
        a.push_back(detail::parameter_argument(name, value));
    a.push_back(folder + "/control.vlt");
    a.insert(a.end(), core.waivers.begin(), core.waivers.end());
    a.insert(a.end(), core.sources.begin(), core.sources.end());
    a.push_back(folder + "/host.cpp");
    if (m.adapter.given()) {
        a.push_back(folder + "/user_adapter.cpp");
        a.insert(a.end(), {"-CFLAGS", "-DSPIKELOCK_WITH_ADAPTER"});
        for (const std::string& flag : m.adapter.flags) a.insert(a.end(), {"-CFLAGS", flag});
    }
    return a;
}

/// The adapter's translation unit: a file of ours, so that no name of the user's can clash with it.
std::string adapter_unit(const Manifest& m) {
    return m.adapter.given() ? "#include \"" + m.adapter.file + "\"\n" : std::string();
}

/// Files that a Verilator run read, from its dependency file; its own program and the control file
/// left out.
std::vector<std::string> dependencies(const std::string& folder) {
    std::vector<std::string> files = detail::dependencies(folder + "/Vdut__ver.d");
    std::erase_if(files, [&](const std::string& file) {
        return file.rfind(folder, 0) == 0 || file.find("verilator_bin") != std::string::npos;
    });
    return files;
}

/// What the adapter includes of the user's own: neither the system's headers nor those that were
/// written for the build.
std::vector<std::string> adapter_includes(const Manifest& m, const fs::path& folder) {
    std::vector<std::string> files =
        detail::dependencies((folder / "user_adapter.d").string(), folder.string());
    std::erase_if(files, [&](const std::string& file) {
        return file.rfind(folder.string(), 0) == 0 || file.rfind("/usr/", 0) == 0 ||
               file == m.adapter.file;
    });
    return files;
}
/// The clock whose evals the host may leave out; empty: of none. With coverage each counts.
std::string shortcut_clock(const Manifest& m, const BuildOptions& options) {
    return m.core.plain_eval || !m.extra_clocks.empty() || options.coverage ? "" : m.clock;
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
    // A relative path would be taken from the folder in which the host runs.
    const std::string cache_dir = fs::absolute(options.cache_dir).lexically_normal().string();
    std::string signals;
    for (const std::string& name : m.signal_names()) signals += name + "\n";

    Sha256 first;
    for (const std::string& part :
         {tools->verilator_version, tools->cxx, tools->cxx_version, tools->cpu, optimise, signals,
          std::string(detail::kGenerator), std::string(detail::kHostSource),
          std::string(detail::kProtocolHeader), std::string(detail::kSignalsHeader),
          std::string(detail::kMovesHeader), std::string(detail::kObservationPlan),
          std::string(detail::kObservationRows)})
        first.update_field(part);
    first.update_field(shortcut_clock(m, options));
    first.update_field(control_file(m, nullptr));
    if (m.adapter.given()) {
        first.update_field(m.adapter.file);
        first.update_field(detail::kAdapterHeader);
    }
    for (const std::string& argument : verilator_arguments(m, m.core, options, "-"))
        first.update_field(argument);
    std::vector<std::string> vhdl;
    std::copy_if(m.core.sources.begin(), m.core.sources.end(), std::back_inserter(vhdl),
                 detail::is_vhdl);
    if (!vhdl.empty()) {
        first.update_field(tools->ghdl.version);
        first.update_field(m.core.vhdl_std);
        for (const std::string& flag : m.core.vhdl_flags) first.update_field(flag);
    }
    const std::string key1 = first.hex().substr(0, 32);

    const BuildCache cache((fs::path(cache_dir) / "hosts" / key1).string(), key1, "host");
    if (Status created = cache.create(); !created) return created.error();

    BuiltHost host;
    host.verilator = tools->verilator_version;
    host.compiler = tools->cxx_version;
    const auto finish = [&](CacheEntry entry, bool cached) {
        host.path = std::move(entry.program);
        host.key = key1.substr(0, 16) + entry.key.substr(0, 16);
        host.cached = cached;
        host.files = std::move(entry.files);
        host.warnings = lines_of(entry.warnings);
        host.seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return host;
    };
    if (!options.force)
        if (auto entry = cache.find()) return finish(std::move(*entry), true);
    detail::FileLock lock;
    if (Status locked = cache.lock(lock, "core", options.log); !locked) return locked.error();
    if (!options.force)
        if (auto entry = cache.find())
            return finish(std::move(*entry), true);  // built while we waited
    std::string limits;
    if (!vhdl.empty()) {
        Result<std::string> checked = detail::check_ghdl(tools->ghdl, cache_dir,
                                                         {tools->verilator_version,
                                                          {tools->cxx, tools->cxx_version},
                                                          options.jobs,
                                                          options.stop,
                                                          options.log});
        if (!checked) return checked.error();
        limits = *checked;
    }
    if (Status good = detail::check_before_build(m, options); !good) return good.error();

    for (int attempt = 0; attempt < 3; ++attempt) {
        Result<std::string> begun = cache.begin();
        if (!begun) return begun.error();
        const fs::path folder = *begun;
        std::error_code failed;
        fs::create_directories(folder / "spikelock/trace", failed);
        if (failed)
            return Error{Errc::Environment, "cannot create a folder: " + failed.message(),
                         folder.string()};
        for (const auto& [name, text] :
             {std::pair{"control.vlt", control_file(m, nullptr)},
              std::pair{"host.cpp", std::string(detail::kHostSource)},
              std::pair{"protocol.hpp", std::string(detail::kProtocolHeader)},
              std::pair{"signals.hpp", std::string(detail::kSignalsHeader)},
              std::pair{"moves.hpp", std::string(detail::kMovesHeader)},
              std::pair{"spikelock/trace/observation_plan.hpp",
                        std::string(detail::kObservationPlan)},
              std::pair{"spikelock/trace/observation_rows.hpp",
                        std::string(detail::kObservationRows)},
              std::pair{"spikelock_adapter.hpp", std::string(detail::kAdapterHeader)},
              std::pair{"user_adapter.cpp", adapter_unit(m)}})
            if (Status written = write_file((folder / name).string(), text); !written)
                return written.error();

        CoreSpec core = m.core;
        std::string warnings;
        // Hashed before they are read, since what is built from them comes later.
        const std::optional<FileHashes> vhdl_before = hash_files(vhdl);
        if (!vhdl.empty()) {
            log("translating " + m.core.name + " (" + tools->ghdl.version + ")");
            ElaborateOptions translation = elaborate_options(m);
            translation.stop = options.stop;
            Result<detail::Translation> done = detail::translate_vhdl(translation, folder.string());
            if (!done) return done.error();
            core.sources = done->sources;
            if (done->parameters_used) core.parameters.clear();
            warnings = done->warnings;
            if (!limits.empty() && !done->cuts.empty()) {
                const std::size_t more = done->cuts.size() - 1;
                warnings += done->cuts.front() + ": warning: a number is cut to fewer bits here" +
                            (more > 0 ? " and in " + std::to_string(more) + " more places" : "") +
                            "; where that is a resize of a signed one that does not fit, this ghdl "
                            "drops the sign that numeric_std keeps\n";
            }
        }
        log("verilating " + m.core.name + " (" + tools->verilator_version + ")");
        const std::string log_file = cache.folder() + "/build.log";
        Result<detail::CommandResult> verilated{detail::CommandResult{}};
        std::vector<Port> ports;
        // Which names are ports is known after the first pass; only a manifest that names inner
        // signals of the top module needs a second.
        for (int pass = 0; pass < 2; ++pass) {
            verilated = detail::run_command(verilator_arguments(m, core, options, folder.string()),
                                            m.folder, options.stop);
            if (!verilated) return verilated.error();
            (void)write_file(log_file, verilated->output);
            if (verilated->status != 0) {
                // What has no place in a source is about top, parameters or options.
                Error error = detail::build_error("verilator", verilated->output, log_file);
                if (error.where.empty()) error.where = m.path + ": [core]";
                return error;
            }
            ports = read_ports(read_file((folder / "Vdut.h").string()));
            const std::string control = control_file(m, &ports);
            if (pass == 1 || control == control_file(m, nullptr)) break;
            if (Status written = write_file((folder / "control.vlt").string(), control); !written)
                return written.error();
        }
        // By the name that it has in the model's own code.
        std::string clock;
        for (const Port& port : ports)
            if (port.name == shortcut_clock(m, options)) clock = port.member;
        if (Status freed = free_port_names(folder, ports); !freed) return freed.error();
        if (Status written = write_file((folder / "ports.inc").string(), port_table(ports));
            !written)
            return written.error();
        if (auto made = detail::make_eval_shortcuts(folder.string(), clock); !made)
            return made.error();
        std::vector<std::string> read = dependencies(folder.string());
        // Of the adapter at least itself; what it includes is known after the compiler has run.
        if (m.adapter.given()) read.push_back(m.adapter.file);
        std::optional<FileHashes> before = hash_files(read);
        if (before && vhdl_before)
            before->insert(before->end(), vhdl_before->begin(), vhdl_before->end());
        else
            before.reset();
        read.insert(read.end(), vhdl.begin(), vhdl.end());

        log("compiling " + m.core.name + " (" + tools->cxx_version + ", " + optimise + ")");
        const auto make = [&](const std::string& target) {
            return detail::run_command(detail::make_command(folder.string(), "Vdut", tools->cxx,
                                                            optimise, options.jobs, target),
                                       {}, options.stop);
        };
        // The adapter first: that is where a mistake is likely.
        Result<detail::CommandResult> made = make(m.adapter.given() ? "user_adapter.o" : "Vdut");
        if (m.adapter.given() && made && made->status == 0) {
            const std::string object = read_file((folder / "user_adapter.o").string());
            if (object.find("spikelock_make_adapter") == std::string::npos)
                return Error{Errc::Build,
                             "the adapter is not named: expected SPIKELOCK_ADAPTER(YourClass) at "
                             "the end of the file",
                             m.adapter.file};
            made = make("Vdut");
        }
        if (!made)
            return made.error().code == Errc::NotFound
                       ? Error{Errc::Environment, "make is missing: apt-get install make", "make"}
                       : made.error();
        (void)write_file(log_file, verilated->output + made->output);
        if (made->status != 0) return detail::build_error(tools->cxx, made->output, log_file);

        const std::optional<FileHashes> after = hash_files(read);
        if (!before || !after || *before != *after) {
            log("a source changed while it was being built; building again");
            continue;
        }
        FileHashes files = *after;
        if (m.adapter.given()) {
            const std::optional<FileHashes> included = hash_files(adapter_includes(m, folder));
            if (!included) {
                log("a file of the adapter changed while it was being built; building again");
                continue;
            }
            files.insert(files.end(), included->begin(), included->end());
        }
        for (const std::string& line : lines_of(verilated->output))
            if (line.rfind("%Warning", 0) == 0) warnings += line + "\n";
        Result<CacheEntry> kept = cache.keep((folder / "Vdut").string(), std::move(files), warnings,
                                             "name " + m.core.name + "\ntop " + m.core.top + "\n");
        if (!kept) return kept.error();
        return finish(std::move(*kept), false);
    }
    return Error{Errc::Build, "the sources keep changing while they are being built",
                 m.core.sources.front()};
}

}  // namespace spikelock::sim

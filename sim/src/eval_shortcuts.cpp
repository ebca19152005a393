// SPDX-License-Identifier: Apache-2.0
#include "eval_shortcuts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <functional>
#include <regex>
#include <span>
#include <sstream>
#include <string_view>
#include <vector>

#include "build_cache.hpp"

namespace spikelock::sim::detail {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view kCall = "        Vdut___024root___eval_ico(vlSelf);\n";
constexpr std::string_view kSkippableCall =
    "        if (!spikelock_inputs_settled) Vdut___024root___eval_ico(vlSelf);\n";

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// How often a body of code names member `name` of an object.
std::size_t uses_of(std::string_view body, const std::string& name) {
    std::size_t uses = 0;
    for (std::size_t at = body.find(name); at != std::string_view::npos;
         at = body.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        const bool whole = end >= body.size() || !is_name(body[end]);
        if (whole && at > 0 && (body[at - 1] == '>' || body[at - 1] == '.')) ++uses;
    }
    return uses;
}

struct File {
    std::string path;
    std::string text;
};

/// The code of the model's modules: not that of its outside, which only hands signals on.
std::vector<File> model_files(const std::string& folder) {
    std::vector<File> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (entry.path().extension() == ".cpp" && name.starts_with("Vdut_") &&
            !name.starts_with("Vdut__Syms") && !name.starts_with("Vdut__ALL"))
            files.push_back({entry.path().string(), read_file(entry.path().string())});
    }
    return files;
}

/// Calls `visit` with the line that begins each function's definition, and with its body. Both
/// begin and end at the beginning of a line.
void each_function(std::string_view code,
                   const std::function<void(std::string_view, std::string_view)>& visit) {
    for (std::size_t at = 0; at < code.size();) {
        const std::size_t line_end = std::min(code.find('\n', at), code.size());
        const std::string_view line = code.substr(at, line_end - at);
        at = line_end + 1;
        if (line.size() < 4 || !line.ends_with(") {") || line[0] == ' ') continue;
        const std::size_t end = std::min(code.find("\n}", line_end), code.size());
        visit(line, code.substr(line_end, end - line_end));
        at = end + 1;
    }
}

/// What of the code looks at the clock, and what else keeps evals from being left out.
struct Uses {
    bool clock_by_input_logic = false;  ///< or by what that may call
    bool clock_by_other_logic = false;  ///< than the look for edges
    bool impure_input_logic = false;    ///< it gives something else each time, or has effects
    std::vector<std::string> edges;     ///< bodies of the functions that look for edges
};

bool contains_any(std::string_view text, std::span<const std::string_view> parts) {
    return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
        return text.find(part) != std::string_view::npos;
    });
}

Uses find_uses(const std::vector<File>& files, const std::string& clock) {
    // Run once, or only in a model built for debugging.
    static constexpr std::array<std::string_view, 4> kHarmless = {
        "___eval_initial", "___eval_debug_assertions", "___ctor_var_reset", "___dump_triggers"};
    // Parts of an eval that are not the inputs' logic; what has another name may belong to it.
    static constexpr std::array<std::string_view, 3> kLater = {"___nba_", "___act_", "___stl_"};
    // Time, random numbers, DPI, events, objects, and tasks that may have any of them.
    static constexpr std::array<std::string_view, 9> kImpure = {
        "VL_TIME", "VL_RAND",   "VL_URANDOM",    "VL_DIST",     "__Vdpi",
        ".fire()", "fireEvent", "VL_NULL_CHECK", "__VnoInFunc_"};
    Uses uses;
    for (const File& file : files)
        each_function(file.text, [&](std::string_view name, std::string_view body) {
            if (name.find("___eval_triggers__act(") != std::string_view::npos) {
                uses.edges.emplace_back(body);
                return;
            }
            const bool input_logic = name.find("___ico_") != std::string_view::npos ||
                                     name.find("___eval_ico(") != std::string_view::npos;
            if (input_logic && contains_any(body, kImpure)) uses.impure_input_logic = true;
            if (uses_of(body, clock) == 0 || contains_any(name, kHarmless)) return;
            uses.clock_by_other_logic = true;
            if (!contains_any(name, kLater)) uses.clock_by_input_logic = true;
        });
    return uses;
}

/// Notes what the function that looks for edges allows: of the clock it must look for rising ones
/// only, `clock & ~before`, and keep `before = clock` for the next eval.
void read_edges(std::string body, const std::string& clock, EvalShortcuts& shortcuts) {
    std::erase_if(body, [](unsigned char c) { return std::isspace(c) != 0; });
    const std::string self = "vlSelf(?:->|Ref\\.)";
    const std::regex rises("\\(\\(IData\\)\\(" + self + clock + "\\)&\\(~\\(IData\\)\\(" + self +
                           "(\\w+)\\)\\)\\)");
    std::string before;
    std::size_t looks = 0;
    for (std::sregex_iterator at(body.begin(), body.end(), rises), end; at != end; ++at, ++looks) {
        if (looks > 0 && (*at)[1] != before) return;
        before = (*at)[1];
    }
    const std::regex keeps(self + before + "=" + self + clock + ";");
    if (looks == 0 || !std::regex_search(body, keeps) || uses_of(body, clock) != looks + 1 ||
        uses_of(body, before) != looks + 1)
        return;
    shortcuts.clock_before = before;
    // Each signal whose edges are looked at has such a member.
    const std::regex members(self + "(__Vtrig\\w+)");
    shortcuts.clock_alone =
        body.find("isFired") == std::string::npos &&
        std::all_of(std::sregex_iterator(body.begin(), body.end(), members), std::sregex_iterator(),
                    [&](const std::smatch& m) { return m[1] == before; });
}

/// Whether the model's outside, called eval(), does nothing after the first time but call what
/// evaluates the model, and see to messages of other threads and to objects, of which there are
/// none.
bool eval_alone(const std::string& folder, const std::vector<File>& files) {
    for (const File& file : files)
        if (file.text.find("VlClass") != std::string::npos) return false;
    const std::string outside = read_file((fs::path(folder) / "Vdut.cpp").string());
    const std::size_t begin = outside.find("void Vdut::eval_step() {\n");
    if (begin == std::string::npos) return false;
    static constexpr std::array<std::string_view, 8> kKnown = {
        "VL_DEBUG_IF(", "//", "vlSymsp->__Vm_deleter.deleteAll();", "Verilated::mtaskId(0);",
        "Verilated::endOfThreadMTask(vlSymsp->__Vm_evalMsgQp);",
        "Verilated::endOfEval(vlSymsp->__Vm_evalMsgQp);",
        // Once, or of a model built for debugging.
        "if (VL_UNLIKELY(!vlSymsp->__Vm_didInit)) {", "#ifdef VL_DEBUG"};
    static constexpr std::string_view kEval = "Vdut___024root___eval(&(vlSymsp->TOP));";
    std::istringstream lines(outside.substr(outside.find('\n', begin) + 1));
    std::size_t evals = 0;
    std::string_view until;
    for (std::string line; std::getline(lines, line) && line != "}";) {
        line.erase(0, line.find_first_not_of(' '));
        if (!until.empty()) {
            if (line.starts_with(until)) until = {};
        } else if (line == kEval) {
            ++evals;
        } else if (std::none_of(kKnown.begin(), kKnown.end(),
                                [&](std::string_view known) { return line.starts_with(known); })) {
            return false;
        } else if (line.starts_with("#ifdef")) {
            until = "#endif";
        } else if (line.ends_with("{")) {
            until = "}";
        }
    }
    return evals == 1;
}
}  // namespace

Result<EvalShortcuts> make_eval_shortcuts(const std::string& folder,
                                          const std::string& clock_member) {
    EvalShortcuts shortcuts;
    if (!clock_member.empty()) {
        std::vector<File> files = model_files(folder);
        const Uses uses = find_uses(files, clock_member);
        File* caller = nullptr;
        std::size_t calls = 0;
        bool samples = false;
        for (File& file : files) {
            for (std::size_t at = file.text.find(kCall); at != std::string::npos;
                 at = file.text.find(kCall, at + 1)) {
                ++calls;
                caller = &file;
            }
            samples = samples || file.text.find("__Vsampled") != std::string::npos;
        }
        // A clock that no edge follows is none that is understood here.
        if (uses.edges.size() == 1 && !uses.clock_by_other_logic && !uses.impure_input_logic)
            read_edges(uses.edges[0], clock_member, shortcuts);
        const bool followed = uses.edges.size() == 1 && uses_of(uses.edges[0], clock_member) > 0;
        if (calls == 1 && followed && !uses.clock_by_input_logic && !uses.impure_input_logic) {
            caller->text.replace(caller->text.find(kCall), kCall.size(), kSkippableCall);
            caller->text.insert(0, "extern bool spikelock_inputs_settled;\n");
            if (Status written = write_file(caller->path, caller->text); !written)
                return written.error();
            shortcuts.settled_inputs = true;
        }
        if (samples) shortcuts.clock_alone = false;
        shortcuts.eval_alone = eval_alone(folder, files);
    }
    std::string text;
    if (!shortcuts.clock_before.empty())
        text += "#define SPIKELOCK_CLOCK_BEFORE " + shortcuts.clock_before + "\n";
    if (shortcuts.clock_alone) text += "#define SPIKELOCK_CLOCK_ALONE\n";
    if (shortcuts.eval_alone) text += "#define SPIKELOCK_EVAL_ALONE\n";
    if (Status written = write_file((fs::path(folder) / "shortcuts.inc").string(), text); !written)
        return written.error();
    return shortcuts;
}

}  // namespace spikelock::sim::detail

// SPDX-License-Identifier: Apache-2.0
#include "input_logic.hpp"

#include <cctype>
#include <filesystem>
#include <string_view>

#include "build_cache.hpp"

namespace spikelock::sim::detail {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view kCall = "        Vdut___024root___eval_ico(vlSelf);\n";
constexpr std::string_view kSkippableCall =
    "        if (!spikelock_inputs_settled) Vdut___024root___eval_ico(vlSelf);\n";

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Whether a body of code reads member `name` of an object.
bool reads_member(std::string_view body, const std::string& name) {
    for (std::size_t at = body.find(name); at != std::string_view::npos;
         at = body.find(name, at + 1)) {
        const std::size_t end = at + name.size();
        const bool whole = end >= body.size() || !is_name(body[end]);
        if (whole && at > 0 && (body[at - 1] == '>' || body[at - 1] == '.')) return true;
    }
    return false;
}

/// Whether a function of the inputs' logic, which has "___ico_" in its name, reads the clock.
bool input_logic_reads(std::string_view code, const std::string& clock) {
    // A definition starts at the beginning of a line and ends with a brace there.
    for (std::size_t at = code.find("___ico_"); at != std::string_view::npos;
         at = code.find("___ico_", at + 1)) {
        const std::size_t line_end = code.find('\n', at);
        if (line_end == std::string_view::npos || code[line_end - 1] != '{') continue;
        const std::size_t end = code.find("\n}", line_end);
        if (reads_member(code.substr(line_end, end - line_end), clock)) return true;
    }
    return false;
}
}  // namespace

Result<bool> make_input_logic_skippable(const std::string& folder,
                                        const std::string& clock_member) {
    std::string file;
    std::string code;
    std::size_t calls = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (entry.path().extension() != ".cpp" || name.rfind("Vdut", 0) != 0) continue;
        std::string text = read_file(entry.path().string());
        if (input_logic_reads(text, clock_member)) return false;
        for (std::size_t at = text.find(kCall); at != std::string::npos;
             at = text.find(kCall, at + 1))
            ++calls;
        if (calls == 1 && file.empty() && text.find(kCall) != std::string::npos) {
            file = entry.path().string();
            code = std::move(text);
        }
    }
    if (calls != 1) return false;
    code.replace(code.find(kCall), kCall.size(), kSkippableCall);
    code.insert(0, "extern bool spikelock_inputs_settled;\n");
    if (Status written = write_file(file, code); !written) return written.error();
    return true;
}

}  // namespace spikelock::sim::detail

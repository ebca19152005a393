// SPDX-License-Identifier: Apache-2.0
#include "command_line.hpp"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

#include "spikelock/base/text.hpp"

namespace spikelock::app {

namespace {
/// Takes "A" or "A-B" (both inclusive) off `text` into begin..end-1.
bool take_range(std::string_view& text, std::uint64_t& begin, std::uint64_t& end) {
    const auto number = [&](std::uint64_t& value) {
        const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc()) return false;
        text.remove_prefix(static_cast<std::size_t>(next - text.data()));
        return true;
    };
    if (!number(begin)) return false;
    end = begin;
    if (!text.empty() && text[0] == '-') {
        text.remove_prefix(1);
        if (!number(end)) return false;
    }
    if (end < begin) return false;
    ++end;
    return true;
}
}  // namespace

Result<lockstep::Mask> parse_mask(const std::string& text) {
    lockstep::Mask mask;
    const std::size_t name = text.find_first_of(":@~");
    mask.field = text.substr(0, name);
    std::string_view rest =
        name == std::string::npos ? std::string_view{} : std::string_view(text).substr(name);
    const auto bad = [&](const std::string& what) {
        return Error{Errc::BadConfig,
                     what + "; expected FIELD[:N[-M]][@T[-U]][~BITS], e.g. v:0-9@100-200~1",
                     "--mask " + text};
    };
    if (mask.field.empty()) return bad("no field named");
    while (!rest.empty()) {
        const char kind = rest[0];
        rest.remove_prefix(1);
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        if (!take_range(rest, begin, end)) return bad("expected a number or range");
        if (kind == ':') {
            if (end > 0xffffffffULL) return bad("neuron out of range");
            mask.neuron_begin = static_cast<std::uint32_t>(begin);
            mask.neuron_end = static_cast<std::uint32_t>(end);
        } else if (kind == '@') {
            mask.step_begin = begin;
            mask.step_end = end;
        } else if (kind == '~' && begin >= 1 && begin <= 63) {
            mask.low_bits = static_cast<int>(begin);
        } else {
            return bad("unexpected part");
        }
    }
    return mask;
}

std::string shell_quoted(const std::string& word) {
    const bool plain =
        !word.empty() && word.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "_-./=:,+@%") == std::string::npos;
    if (plain) return word;
    std::string quoted = "'";
    for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted + "'";
}

CLI::Validator at_least(double low) {
    const std::string wanted = fmt::format("a number from {:g}", low);
    const auto check = [=](const std::string& text) {
        double value = 0.0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error == std::errc() && end == text.data() + text.size() && value >= low)
            return std::string();
        return "expected " + wanted + ", got '" + text + "'";
    };
    return {check, ""};
}

namespace {
/// What is wrong with the arguments: an unknown verb or option with the nearest known ones, else in
/// the parser's words.
std::string usage_error(const CLI::App& app, const std::vector<std::string>& arguments,
                        const CLI::ParseError& error) {
    const auto chosen = app.get_subcommands();
    std::vector<std::string> known;
    if (chosen.empty()) {
        const auto verb = std::find_if(arguments.begin(), arguments.end(),
                                       [](const auto& a) { return !a.empty() && a[0] != '-'; });
        if (verb == arguments.end()) return error.what();
        for (const CLI::App* sub : app.get_subcommands({})) known.push_back(sub->get_name());
        return "unknown verb '" + *verb + "'" + did_you_mean(*verb, known);
    }
    const auto unknown = std::find_if(arguments.begin(), arguments.end(), [&](const auto& a) {
        const std::string name = a.substr(0, a.find('='));
        return a.starts_with("--") && a.size() > 2 &&
               chosen[0]->get_option_no_throw(name) == nullptr;
    });
    if (unknown == arguments.end() ||
        error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError))
        return error.what();
    for (const CLI::Option* option : chosen[0]->get_options())
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    const std::string name = unknown->substr(0, unknown->find('='));
    return "unknown option '" + name + "'" + did_you_mean(name, known);
}
}  // namespace

int run_command_line(const std::vector<std::string>& arguments, Console& console) {
    CLI::App app(
        "Spikelock runs a bit-exact golden model and a Verilated neuron core in lockstep and says "
        "where,\n"
        "when and why they first part.\n",
        "spikelock");
    app.require_subcommand(1);
    app.set_version_flag("--version", "spikelock " SPIKELOCK_VERSION);
    app.failure_message(CLI::FailureMessage::help);
    app.footer(
        "Exit codes: 0 MATCH or done, 1 DIVERGED, 2 usage, configuration, build or environment,\n"
        "3 INCONCLUSIVE, 4 ASSERTED, HUNG or CRASHED, 5 internal error, 130 interrupted.\n"
        "Start with: spikelock run examples/010_digits/cosim.toml");
    int exit_code = 0;
    add_run(app, exit_code, console);
    add_build(app, exit_code, console);
    add_diff(app, exit_code, console);
    add_convert(app, exit_code, console);
    add_waves(app, exit_code, console);
    add_fit(app, exit_code, console);
    add_show(app, exit_code, console);
    add_record(app, exit_code, console);
    add_quantise(app, exit_code, console);
    add_recover(app, exit_code, console);
    add_signals(app, exit_code, console);
    add_check(app, exit_code, console);
    add_cache(app, exit_code, console);
    add_init(app, exit_code, console);

    console.command_line = "spikelock";
    for (const std::string& argument : arguments)
        console.command_line += " " + shell_quoted(argument);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) {  // --help, --version
            return app.exit(error, console.out, console.err);
        }
        const auto chosen = app.get_subcommands();
        fmt::print(console.err, "error: {}\n", usage_error(app, arguments, error));
        fmt::print(console.err, "Run 'spikelock {}--help' for what is possible.\n",
                   chosen.empty() ? std::string() : chosen[0]->get_name() + " ");
        return static_cast<int>(ExitCode::Usage);
    }
    return exit_code;
}

}  // namespace spikelock::app

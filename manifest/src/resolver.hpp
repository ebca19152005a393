// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "spikelock/manifest/expression.hpp"
#include "spikelock/manifest/manifest.hpp"
#include "spikelock/manifest/plan.hpp"

namespace spikelock::manifest::detail {

/// Carries an Error out of nested planning; never leaves the module.
struct PlanError {
    Error error;
};
[[noreturn]] void plan_error(Errc code, std::string message, std::string where);

/// A bit field of a signal.
struct FieldRef {
    std::uint32_t signal = 0;
    std::uint32_t word = 0;
    std::uint32_t lsb = 0;
    std::uint32_t width = 0;

    bool operator==(const FieldRef& other) const {
        return signal == other.signal && word == other.word && lsb == other.lsb &&
               width == other.width;
    }
};

/// What is known of a value that an expression computes in the host.
struct Sized {
    std::uint32_t width = 0;  ///< 0: not known
    bool is_signed = false;   ///< sign-extended to 64 bits
};

/// Looks up names of a manifest in a core's signals, and turns expressions into the host's postfix
/// code. Throws PlanError.
class Resolver {
public:
    /// @param plan  gets the signals that are used; outlives this
    /// @param shown_by  whose signals they are, for messages
    Resolver(const Manifest& manifest, const SignalTable& table, Plan& plan,
             const char* shown_by = "the core")
        : manifest_(manifest), table_(table), plan_(plan), shown_by_(shown_by) {}

    std::uint32_t index(const std::string& name, const std::string& where);
    /// An input port, or a bit or slice of one.
    FieldRef driven(const Expression::Node& node, const std::string& where,
                    std::optional<std::int64_t> i);
    FieldRef input(const std::string& text, const std::string& where);
    /// A signal that is read, or a slice of one.
    FieldRef output(const std::string& text, const std::string& where);
    /// The bit field that a name, bit select or slice means; `i` stands for the neuron.
    FieldRef field(const Expression::Node& node, const std::string& where,
                   std::optional<std::int64_t> i);
    /// @returns f, which has at most 64 bits
    FieldRef checked(FieldRef f, const std::string& where) const;
    /// Value of a name in an index: the neuron, or a parameter that the manifest sets.
    Result<std::int64_t> look_up(const std::string& name, const std::string& where,
                                 std::optional<std::int64_t> i) const;
    std::int64_t number(const Expression::Node& node, const std::string& where,
                        std::optional<std::int64_t> i) const;
    /// Appends the postfix code of an expression over signals.
    Sized emit(const Expression::Node& node, const std::string& where,
               std::optional<std::int64_t> i, std::vector<std::string>& tokens);

    static void put(std::ostream& out, const FieldRef& f);
    /// " <count> <postfix tokens>"
    static void put(std::ostream& out, const std::vector<std::string>& tokens,
                    const std::string& where);
    void put(std::ostream& out, const Expression& e);

private:
    const Signal& signal(const std::string& name, const std::string& where) const;
    FieldRef whole(const std::string& name, const std::string& where);
    bool constant_index(const Expression::Node& node, const std::string& where,
                        std::optional<std::int64_t> i) const;
    /// First bit and width of a bit select or slice of something `bits` wide.
    std::pair<std::uint32_t, std::uint32_t> slice(const Expression::Node& node,
                                                  const std::string& name, std::uint32_t bits,
                                                  const std::string& where,
                                                  std::optional<std::int64_t> i) const;
    Sized emit_field(const Expression::Node& node, const std::string& where,
                     std::optional<std::int64_t> i, std::vector<std::string>& tokens);
    Sized emit_concat(const Expression::Node& node, const std::string& where,
                      std::optional<std::int64_t> i, std::vector<std::string>& tokens);
    Sized emit_binary(const Expression::Node& node, const std::string& where,
                      std::optional<std::int64_t> i, std::vector<std::string>& tokens);

    const Manifest& manifest_;
    const SignalTable& table_;
    Plan& plan_;
    const char* shown_by_;
    std::map<std::string, std::uint32_t> indices_;
};

}  // namespace spikelock::manifest::detail

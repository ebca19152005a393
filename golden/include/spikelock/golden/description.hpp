// SPDX-License-Identifier: Apache-2.0
// The arithmetic of a neuron core as a description: what docs/golden.md says, as data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"

namespace spikelock::golden {

// Enumerators are in the order of their names in description.cpp; those names are the ones that a
// manifest uses and docs/golden.md explains.

/// How x / 2^s becomes an integer.
enum class Round : std::uint8_t {
    Floor,
    TowardZero,
    AwayFromZero,
    NearestEven,
    Up,        ///< toward plus infinity
    HalfUp,    ///< half added, then floor
    HalfAway,  ///< nearest, ties away from zero
    Stochastic,
};
/// What an overflow does on one side of a range.
enum class Edge : std::uint8_t { Wrap, Saturate, At };

/// What happens to a value that leaves its range: `At` clamps to a bound of its own.
struct OverflowRule {
    Edge low = Edge::Saturate;
    Edge high = Edge::Saturate;
    std::int64_t low_at = 0;
    std::int64_t high_at = 0;
    bool operator==(const OverflowRule&) const = default;
    static OverflowRule wrap() { return {Edge::Wrap, Edge::Wrap, 0, 0}; }
};

/// A width and what happens beyond it; no bits: the exact value is kept.
struct Width {
    int bits = 0;
    OverflowRule overflow = OverflowRule::wrap();
    bool operator==(const Width&) const = default;
};

/// The format of a state variable.
struct Signal {
    int bits = 16;
    bool is_signed = true;
    int frac = 0;  ///< one LSB is 2^-frac; tells the scale of the field, computes nothing
    OverflowRule overflow;
    bool operator==(const Signal&) const = default;
};

/// A number for every neuron.
struct Param {
    enum class From : std::uint8_t { Network, Scalar, Populations, Neurons } from = From::Scalar;
    std::vector<std::int64_t> values{0};  ///< of Scalar: one; of Neurons: n_neurons
    std::vector<std::pair<std::string, std::int64_t>> by_population;
    std::string where;  ///< for messages

    static Param network() { return {From::Network, {}, {}, {}}; }
    static Param scalar(std::int64_t value) { return {From::Scalar, {value}, {}, {}}; }
    bool is_scalar(std::int64_t value) const {
        return from == From::Scalar && values.front() == value;
    }
    bool operator==(const Param& other) const {
        return from == other.from && values == other.values && by_population == other.by_population;
    }
};

enum class LeakKind : std::uint8_t { None, Constant, Shift, TwoShifts, Multiply };
enum class LeakForm : std::uint8_t { Auto, Keep, Subtract, Add };
enum class LeakPast : std::uint8_t { Stop, Continue };
enum class LeakWhen : std::uint8_t { Always, WithoutInput, WithoutEvent, Lazy };
enum class LeakInput : std::uint8_t { Apart, Inside };
enum class SecondSign : std::uint8_t { Subtract, Add };

/// How a variable decays, relative to a target (0, or the resting value).
/// @source docs/golden.md section 4
struct LeakRule {
    LeakKind kind = LeakKind::None;
    LeakForm form = LeakForm::Auto;
    Param amount = Param::network();  ///< constant, shift, or multiplier in units of 2^-frac
    Param second = Param::scalar(0);  ///< second shift
    SecondSign second_sign = SecondSign::Subtract;
    int frac = 12;
    Round rounding = Round::Floor;
    bool toward_rest = false;
    LeakPast past = LeakPast::Stop;
    LeakWhen when = LeakWhen::Always;
    LeakInput input = LeakInput::Apart;
    Width product;    ///< of multiplication, before it is rounded
    Width result;     ///< of the whole
    int dt_bits = 8;  ///< lazy: the counter of timesteps stops at 2^dt_bits - 1
    bool operator==(const LeakRule&) const = default;
};

enum class Semantics : std::uint8_t { Timestep, Event };
enum class Model : std::uint8_t { Network, If, Lif, CubaLif, Li, AdaptiveLif, Izhikevich };
enum class Stage : std::uint8_t { Leak, Integrate, Threshold };
enum class Filter : std::uint8_t { Network, None, All };
enum class When : std::uint8_t { Next, Previous };
enum class BiasInto : std::uint8_t { Input, V };
enum class CompareOp : std::uint8_t { GreaterEqual, Greater };
enum class NegativeCompare : std::uint8_t { Less, LessEqual };
enum class ThresholdOn : std::uint8_t { Next, Previous, PreLeak };
enum class NegativeAction : std::uint8_t { None, Clamp, Reset, Subtract, Spike };
enum class ResetKind : std::uint8_t { Value, Subtract, Zero, Rest, None };
enum class ResetBy : std::uint8_t { Effective, Base };
enum class During : std::uint8_t { Hold, Drop, Accumulate };
enum class FitWhen : std::uint8_t { Each, Sum };
enum class Duplicates : std::uint8_t { Delivered, Merged, Counted };
enum class Effect : std::uint8_t { None, Current, Threshold };
enum class IzhForm : std::uint8_t { Expanded, Horner };
enum class LfsrForm : std::uint8_t { Fibonacci, Galois };
enum class Direction : std::uint8_t { Left, Right };
enum class Advance : std::uint8_t { Event, Update, Neuron, Timestep };
enum class Read : std::uint8_t { Before, After };
enum class NoiseUse : std::uint8_t { V, Input, Threshold, Rounding };
enum class TickAt : std::uint8_t { AfterDrain, AfterInputs, First };
enum class AfterTick : std::uint8_t { Drain, Next };
enum class Updates : std::uint8_t { Reached, All };
enum class FifoPop : std::uint8_t { Start, End };
enum class FifoOrder : std::uint8_t { Fifo, Any };
enum class Shown : std::uint8_t { Fired, Accepted, Taken };

/// x * factor / 2^frac, rounded; `width` holds the rounded result.
struct Product {
    Param factor = Param::scalar(0);
    int frac = 0;
    Round rounding = Round::Floor;
    Width width;
    bool operator==(const Product&) const = default;
};

/// A linear feedback shift register and what its value does.
/// @source docs/golden.md section 9
struct Noise {
    std::string name;       ///< of its field; empty: not shown
    int bits = 16;          ///< 2..32
    std::int64_t taps = 0;  ///< bit i set: cell i takes part
    LfsrForm form = LfsrForm::Fibonacci;
    Direction direction = Direction::Left;
    bool xnor = false;              ///< feedback inverted
    Param seed = Param::scalar(1);  ///< per neuron where it advances per neuron
    int shifts = 1;                 ///< of the register per advance
    Advance advance = Advance::Timestep;
    Read read = Read::After;  ///< the value is taken before or after the advance
    int lsb = 0;              ///< first bit that is used
    int width = 1;            ///< bits that are used
    bool is_signed = false;   ///< of these bits
    std::int64_t offset = 0;  ///< added
    int shift = 0;            ///< then shifted left
    NoiseUse use = NoiseUse::V;
    bool seed_on_clear = false;  ///< a cleared state has the seed again
    bool operator==(const Noise&) const = default;
};

/// The arithmetic of a core. The defaults of a manifest are not those below but describe(network):
/// what docs/model.md says for the network's Arithmetic.
struct Description {
    std::string preset;  ///< name, for reports
    Semantics semantics = Semantics::Timestep;
    Model model = Model::Network;
    std::vector<Stage> order{Stage::Leak, Stage::Integrate, Stage::Threshold};
    std::vector<Stage> on_event{Stage::Integrate, Stage::Threshold};
    std::vector<Stage> on_tick{Stage::Leak};
    Param rest = Param::scalar(0);

    Signal v;
    Param v_init = Param::network();
    LeakRule leak;
    Width integrate;  ///< of v after the input was added

    Width input;  ///< of i_syn + bias
    Param bias = Param::network();
    BiasInto bias_into = BiasInto::Input;

    Filter filter = Filter::Network;
    Signal u;
    LeakRule u_leak;
    int u_shift = 0;
    Round u_rounding = Round::Floor;
    When u_drive = When::Next;

    struct Threshold {
        Param value = Param::network();
        CompareOp compare = CompareOp::GreaterEqual;
        bool is_unsigned = false;
        ThresholdOn on = ThresholdOn::Next;
        bool hysteresis = false;
        Param rearm = Param::scalar(0);
        NegativeAction negative_action = NegativeAction::None;
        NegativeCompare negative_compare = NegativeCompare::Less;
        Param negative = Param::scalar(0);
        Param negative_reset = Param::scalar(0);
        bool operator==(const Threshold&) const = default;
    } threshold;
    struct Reset {
        ResetKind kind = ResetKind::Value;
        Param value = Param::network();
        ResetBy by = ResetBy::Effective;
        bool delay = false;
        Width result;  ///< of a subtraction; no bits: that of v
        bool operator==(const Reset&) const = default;
    } reset;
    struct Refractory {
        Param steps = Param::network();
        int bits = 8;
        During during = During::Hold;
        bool operator==(const Refractory&) const = default;
    } refractory;
    struct Synapse {
        int bits = 20;
        OverflowRule overflow = OverflowRule::wrap();
        FitWhen fit = FitWhen::Each;
        int weight_shift = 0;  ///< left; negative: right, rounded
        Round rounding = Round::Floor;
        Duplicates duplicates = Duplicates::Delivered;
        bool graded = false;
        bool weights_unsigned = false;    ///< weight_bits of the network without a sign
        std::vector<std::int64_t> types;  ///< of axons, then of neurons; empty: no table
        std::vector<Param> weights;       ///< by type
        bool operator==(const Synapse&) const = default;
    } synapse;
    struct Output {
        Param spiking = Param::network();
        Param masked = Param::scalar(0);
        bool masked_delivers = false;
        bool operator==(const Output&) const = default;
    } output;
    struct Adaptation {
        Effect effect = Effect::None;
        Signal w;
        Param init = Param::scalar(0);
        LeakRule leak;
        Param jump = Param::scalar(0);
        Param coupling = Param::scalar(0);
        int coupling_frac = 0;
        int shift = 0;
        Round rounding = Round::Floor;
        When use = When::Next;
        bool operator==(const Adaptation&) const = default;
    } adaptation;
    struct Izhikevich {
        IzhForm form = IzhForm::Expanded;
        Signal u;
        Param u_init = Param::scalar(0);
        int square_shift = 0;  ///< of v * v
        Round square_rounding = Round::Floor;
        Width square;
        Product quadratic;                  ///< 0.04
        Product linear;                     ///< 5
        Param constant = Param::scalar(0);  ///< 140
        Width sum;                          ///< of the derivative of v
        int dt_shift = 0;
        Round dt_rounding = Round::Floor;
        int u_dt_shift = 0;
        int substeps = 1;  ///< of v
        Product a, b;
        Width difference;  ///< of b v - u
        Param d = Param::scalar(0);
        When u_from = When::Previous;  ///< v in the update of u
        When jump_from = When::Next;   ///< u that d is added to
        bool operator==(const Izhikevich&) const = default;
    } izhikevich;
    std::vector<Noise> noise;
    struct Event {
        bool closed_loop = true;
        std::int64_t fifo_depth = 0;  ///< 0: no bound
        FifoPop fifo_pop = FifoPop::Start;
        FifoOrder fifo_order = FifoOrder::Fifo;
        Shown output = Shown::Fired;  ///< when a spike is seen: also where dropped, or only later
        TickAt tick = TickAt::AfterDrain;
        AfterTick after_tick = AfterTick::Drain;
        Updates updates = Updates::Reached;
        std::int64_t limit = 1000000;  ///< of events in a timestep
        bool operator==(const Event&) const = default;
    } event;

    bool operator==(const Description&) const = default;
};

struct NamedSetting;
/// A value as a manifest gives it, with its place.
struct Setting {
    using Table = std::vector<NamedSetting>;
    std::variant<std::monostate, bool, std::int64_t, std::string, std::vector<Setting>, Table>
        value;
    std::string where;  ///< "cosim.toml:12"
};
/// A key of a table. (A std::pair of a type that is not complete is none to clang.)
struct NamedSetting {
    std::string name;
    Setting value;
};

/// What docs/model.md says for this network, as a description.
Description describe(const Network& network);

/// Puts the keys of a table into a description: first `preset`, then `model`, then all others.
/// @errors Errc::BadConfig naming place and key, with what was expected; the nearest key for one
/// that does not exist
Status apply(const Setting& table, Description& description);

/// Every key that apply() takes, in the order of docs/golden.md, e.g. "v.bits".
std::vector<std::string> description_keys();

/// The keys whose values differ from describe()'s of an empty network, as lines of TOML.
std::string to_toml(const Description& description);

/// The value of a key of description_keys(), as TOML; "noise" gives the whole list.
/// @returns empty where there is no such key
std::string value_text(const Description& description, std::string_view key);

/// Reads lines of "key = value" as to_toml() writes them; keys may be dotted.
/// @errors Errc::BadFormat naming the line
Result<Setting> settings_from_text(std::string_view text);

/// A known family of cores or models by name.
struct Preset {
    std::string_view name;
    std::string_view summary;  ///< one line
    std::string_view source;   ///< the public description that it follows
    std::string_view toml;     ///< keys that it sets, one "key = value" a line
};
const std::vector<Preset>& presets();

}  // namespace spikelock::golden

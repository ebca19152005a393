// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/vcd/reader.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "header_parser.hpp"
#include "input.hpp"
#include "scan.hpp"
#include "spikelock/base/random.hpp"

namespace spikelock::bridge::vcd {
namespace {

using detail::Hit;
using detail::Input;
using detail::quoted;
using detail::Scanner;
using detail::Slot;

/// Readable bytes before the data, for decode() and the scanner.
constexpr std::size_t kFront = 64;
/// Regular text is left to the tokeniser for at least that long once it was irregular.
constexpr std::size_t kLeastSlow = 256;
constexpr std::size_t kMostSlow = 65536;
constexpr std::size_t kMostChanges = 8192;  ///< of a batch from the tokeniser

const Scanner* scanner_of(Simd simd) {
    switch (simd) {
        case Simd::Scalar:
            return detail::scanner_scalar();
        case Simd::Avx2:
            return detail::scanner_avx2();
        case Simd::Avx512:
            return detail::scanner_avx512();
        case Simd::Auto:
            break;
    }
    if (const Scanner* best = detail::scanner_avx512()) return best;
    if (const Scanner* good = detail::scanner_avx2()) return good;
    return detail::scanner_scalar();
}

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
/// Ends a word: blanks, and control characters, which are then found out.
bool ends_word(char c) { return static_cast<unsigned char>(c) <= ' '; }

/// Selected identifiers for the scanner.
class IdTable {
public:
    /// @returns false where no table was found: every line is then looked up in full
    bool build(const std::vector<std::pair<std::uint64_t, std::uint32_t>>& keys) {
        for (auto bits = static_cast<unsigned>(std::bit_width(2 * keys.size() + 1)); bits < 40;
             ++bits) {
            for (std::uint64_t attempt = 0; attempt < 8; ++attempt)
                if (fill(keys, std::max(bits, 3U), attempt)) return true;
            if ((std::size_t{1} << bits) > 64 * (keys.size() + 1)) break;
        }
        slots_.assign(8, {});
        table_ = {slots_.data(), 1, 61};
        return false;
    }
    const detail::Table& table() const { return table_; }

private:
    bool fill(const std::vector<std::pair<std::uint64_t, std::uint32_t>>& keys, unsigned bits,
              std::uint64_t attempt) {
        slots_.assign(std::size_t{1} << bits, {});
        table_.slots = slots_.data();
        table_.shift = 64 - bits;
        table_.factor = CounterRandom(bits, attempt).bits(0) | 1;
        for (const auto& [key, index] : keys) {
            Slot slot{key, index};
            bool second = false;
            for (int kicks = 0;; ++kicks) {
                if (kicks > 200) return false;
                const std::uint64_t product = slot.key * table_.factor;
                Slot& place =
                    slots_[second ? second_place(table_, product) : first_place(table_, product)];
                std::swap(place, slot);
                if (slot.key == 0) break;
                // The one that was there goes to its other place.
                const std::uint64_t other = slot.key * table_.factor;
                second = &slots_[first_place(table_, other)] == &place;
            }
        }
        return true;
    }

    std::vector<Slot> slots_;
    detail::Table table_;
};

class TextReader : public Reader {
public:
    enum class Origin : std::uint8_t { File, Memory, Stream };

    TextReader(std::unique_ptr<Input> input, std::string name, std::span<const char> memory,
               Origin origin, const ReaderOptions& options)
        : input_(std::move(input)),
          name_(std::move(name)),
          memory_(memory),
          origin_(origin),
          options_(options),
          scanner_(scanner_of(options.simd)),
          marks_(std::make_unique_for_overwrite<detail::Marks>()),
          hits_(std::make_unique_for_overwrite<Hit[]>(detail::kMarks)) {
        capacity_ = std::max<std::size_t>(options.buffer_bytes, 64);
        store_.resize(kFront + capacity_ + detail::kPadding);
        at_ = end_ = kFront;
    }

    Status read_header() {
        if (scanner_ == nullptr)
            return Error{Errc::Unsupported, "this processor has not the instructions asked for",
                         name_};
        HeaderWords words(*this);
        if (Status s = detail::parse_header(words, header_, ids_); !s) return s;
        wanted_.assign(header_.signals.size(), 0);
        build_table();
        return {};
    }

    const Header& header() const noexcept override { return header_; }

    void select(std::span<const std::uint32_t> signals) override {
        std::fill(wanted_.begin(), wanted_.end(), std::uint8_t{0});
        for (const std::uint32_t signal : signals)
            if (signal < wanted_.size()) wanted_[signal] = 1;
        build_table();
    }

    Result<std::span<const Change>> next() override {
        changes_.clear();
        for (;;) {
            if (error_) return *error_;
            Progress progress = Progress::Starved;
            if (fast_ && at_ < end_) {
                progress = fast();
            } else if (at_ < end_ || eof_) {
                progress = slow();
            }
            if (!changes_.empty()) return std::span<const Change>(changes_);
            if (error_) return *error_;
            if (progress == Progress::Done) return std::span<const Change>();
            if (progress == Progress::Some) continue;
            Result<bool> more = refill();
            if (!more) {
                error_ = more.error();
                return *error_;
            }
            if (!*more && options_.growing) return std::span<const Change>();
        }
    }

    std::uint64_t offset_of(const Change& change) const noexcept override {
        if (change.signal == Change::kTime || change.signal == Change::kMark) return offset(at_);
        return offset(static_cast<std::size_t>(change.data - store_.data()));
    }
    std::uint64_t bytes_read() const noexcept override { return offset(end_); }

    Error error_at(std::uint64_t where, Errc code, const std::string& message) const override {
        std::uint64_t line = 1;
        std::uint64_t column = where + 1;
        std::unique_ptr<Input> again;
        if (origin_ == Origin::Stream) {
            return {code, message + " (byte " + std::to_string(where) + ")", name_};
        } else if (origin_ == Origin::Memory) {
            again = detail::open_memory(memory_);
        } else if (auto opened = detail::open_file(name_)) {
            again = std::move(*opened);
        }
        std::vector<char> part(65536);
        for (std::uint64_t done = 0; again && done < where;) {
            Result<std::size_t> got = again->read(part.data(), part.size());
            if (!got || *got == 0) break;
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(*got, where - done));
            for (std::size_t i = 0; i < size; ++i) {
                if (part[i] != '\n') continue;
                ++line;
                column = where - (done + i);
            }
            done += size;
        }
        return {code, message + " (byte " + std::to_string(where) + ")",
                name_ + ":" + std::to_string(line) + ":" + std::to_string(column)};
    }

private:
    enum class Progress : std::uint8_t {
        Some,     ///< something was consumed
        Starved,  ///< more bytes are needed
        Done,     ///< the end
    };

    std::uint64_t offset(std::size_t at) const noexcept { return base_ + (at - kFront); }

    /// Moves what is unread to the front and reads on. @returns whether there was anything
    Result<bool> refill() {
        const std::size_t left = end_ - at_;
        base_ += at_ - kFront;
        std::memmove(store_.data() + kFront, store_.data() + at_, left);
        at_ = kFront;
        end_ = kFront + left;
        if (left > capacity_ / 2) {
            capacity_ *= 2;
            store_.resize(kFront + capacity_ + detail::kPadding);
        }
        Result<std::size_t> got = input_->read(store_.data() + end_, capacity_ - left);
        if (!got) return got.error();
        end_ += *got;
        eof_ = *got == 0;
        // What the scanner reads behind the data has no meaning, but has a value.
        std::memset(store_.data() + end_, 0, detail::kPadding);
        return *got > 0;
    }

    class HeaderWords : public detail::Words {
    public:
        explicit HeaderWords(TextReader& reader) : reader_(reader) {}
        Result<std::optional<std::string_view>> next() override { return reader_.header_word(); }
        Error error(Errc code, const std::string& message) const override {
            return reader_.error_at(reader_.word_at_, code, message);
        }

    private:
        TextReader& reader_;
    };

    Result<std::optional<std::string_view>> header_word() {
        for (;;) {
            std::size_t begin = 0;
            std::size_t end = 0;
            if (word(at_, begin, end)) {
                word_at_ = offset(begin);
                at_ = end;
                if (begin < end) return std::optional(view(begin, end));
                if (begin == end_) return std::optional<std::string_view>();
                return fault(begin, Errc::BadFormat, control_message(begin));
            }
            at_ = begin;
            Result<bool> more = refill();
            if (!more) return more.error();
            if (!*more && options_.growing) {
                word_at_ = offset(at_);
                return std::optional<std::string_view>();
            }
        }
    }
    std::string control_message(std::size_t at) const {
        return "a control character (code " + std::to_string(static_cast<int>(store_[at])) +
               "), expected text";
    }

    Error fault(std::size_t at, Errc code, const std::string& message) const {
        return error_at(offset(at), code, message);
    }

    // ---- selection
    void build_table() {
        std::vector<std::pair<std::uint64_t, std::uint32_t>> keys;
        for (std::uint32_t i = 0; i < header_.signals.size(); ++i) {
            const std::string& id = header_.signals[i].id;
            if ((wanted_[i] == 0 && !options_.check_all) || id.size() > 8) continue;
            std::uint64_t key = 0;
            std::memcpy(&key, id.data(), id.size());
            keys.emplace_back(key, i);
        }
        // Lines of an irregular file are found all the same, only slower.
        table_holds_ = table_.build(keys);
    }
    /// Index of an identifier, or kNoId where it is not wanted.
    /// @returns false where it must be known and is not
    bool signal_of(std::string_view id, std::uint32_t& signal) const {
        const auto found = ids_.find(id);
        signal = detail::kNoId;
        if (found == ids_.end()) return !options_.check_all;
        if (wanted_[found->second] != 0 || options_.check_all) signal = found->second;
        return true;
    }

    // ---- regular lines
    Progress fast() {
        const char* text = store_.data() + at_;
        const std::size_t size = std::min(end_ - at_, detail::kSegment);
        bool regular = true;
        const std::size_t lines = scanner_->scan(text, size, *marks_, &regular);
        if (lines == 0) {
            if (regular && !eof_ && size < detail::kSegment) return Progress::Starved;
            fast_ = false;
            slow_until_ = offset(at_) + quota_;
            quota_ = std::min(2 * quota_, kMostSlow);
            return Progress::Some;
        }
        if (lines > 64) quota_ = kLeastSlow;
        std::size_t hits = 0;
        if (table_holds_) {
            hits = scanner_->lookup(text, *marks_, lines, table_.table(), hits_.get());
        } else {
            for (; hits < lines; ++hits) {
                const std::uint16_t line =
                    hits > 0 ? static_cast<std::uint16_t>(marks_->end[hits - 1] + 1)
                             : std::uint16_t{0};
                const std::uint16_t start = marks_->start[hits];
                hits_[hits] = {start == line ? detail::kTimeLine : detail::kLongId, line, start,
                               marks_->end[hits], 0};
            }
        }
        if (options_.check_all && hits != lines) {
            // One of them is undeclared: the tokeniser says which.
            fast_ = false;
            slow_until_ = offset(at_) + marks_->end[lines - 1] + 1;
            return Progress::Some;
        }
        const std::size_t segment = at_;
        at_ += std::size_t{marks_->end[lines - 1]} + 1;
        changes_.resize(hits);
        std::size_t n = 0;
        for (std::size_t i = 0; i < hits; ++i) {
            const Hit& hit = hits_[i];
            Change& change = changes_[n];
            if (hit.index == detail::kTimeLine) {
                std::uint64_t time = 0;
                if (!parse_time(text + hit.line + 1, text + hit.end, time)) {
                    error_ = time_error(segment + hit.line);
                    break;
                }
                if (time == time_ && timed_) continue;
                time_ = time;
                timed_ = true;
                change.time = time;
                change.length = 0;
                change.signal = Change::kTime;
                ++n;
                continue;
            }
            std::uint32_t signal = hit.index;
            if (signal == detail::kLongId) {
                const std::string_view id(text + hit.start,
                                          static_cast<std::size_t>(hit.end - hit.start));
                if (!signal_of(id, signal)) {
                    error_ = undeclared(segment + hit.line, id);
                    break;
                }
                if (signal == detail::kNoId) continue;
            }
            const std::uint32_t vector = (text[hit.line] | 0x20) == 'b' ? 1 : 0;
            change.data = text + hit.line + vector;
            change.length = static_cast<std::uint32_t>(hit.start - hit.line) - 2 * vector;
            change.signal = signal;
            change.kind = Change::Kind::Bits;
            if (options_.check_all) {
                if (Status s = verify(change, segment + hit.line); !s) {
                    error_ = s.error();
                    break;
                }
                if (wanted_[signal] == 0) continue;
            }
            ++n;
        }
        changes_.resize(n);
        return Progress::Some;
    }

    static bool parse_time(const char* at, const char* end, std::uint64_t& time) {
        if (at == end || end - at > 20) return false;
        std::uint64_t value = 0;
        if (end - at <= 19) {  // cannot overflow
            for (; at < end; ++at) {
                const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(*at)) -
                                   std::uint64_t{'0'};
                if (digit > 9) return false;
                value = value * 10 + digit;
            }
        } else {
            for (; at < end; ++at) {
                const auto digit = static_cast<std::uint64_t>(static_cast<unsigned char>(*at)) -
                                   std::uint64_t{'0'};
                if (digit > 9 || value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
                    return false;
                value = value * 10 + digit;
            }
        }
        time = value;
        return true;
    }

    Error time_error(std::size_t at) const {
        return fault(at, Errc::BadFormat,
                     "expected '#' and a time of at most 64 bits, found " + quoted(word_from(at)));
    }
    Error undeclared(std::size_t at, std::string_view id) const {
        return fault(at, Errc::BadFormat, "a change of " + quoted(id) + ", which no $var declares");
    }
    /// The word at a place, for messages.
    std::string_view word_from(std::size_t at) const {
        std::size_t end = at;
        while (end < end_ && !ends_word(store_[end])) ++end;
        return {store_.data() + at, end - at};
    }
    /// That a value suits its signal.
    Status verify(const Change& change, std::size_t at) {
        const Signal& signal = header_.signals[change.signal];
        bool good = true;
        if (change.kind == Change::Kind::Real) {
            double value = 0;
            good = decode_real(change, value);
        } else if (change.kind != Change::Kind::String) {
            const std::size_t words = (std::size_t{signal.bits} + 63) / 64;
            if (scratch_.size() < 2 * words) scratch_.resize(2 * words);
            good = decode_words(change, signal.bits, scratch_.data(), scratch_.data() + words) !=
                   Decoded::Bad;
        }
        if (good) return {};
        return fault(at, Errc::BadFormat,
                     "expected a value of " + std::to_string(signal.bits) + " bits for " +
                         quoted(signal.id) + ", found " + quoted(change.text()));
    }

    // ---- words
    /// Finds the word at or behind `at`. @returns false where more bytes are needed
    /// @post begin == end at the end of the file
    bool word(std::size_t at, std::size_t& begin, std::size_t& end) const {
        while (at < end_ && is_blank(store_[at])) ++at;
        begin = end = at;
        if (at == end_) return finished();
        while (end < end_ && !ends_word(store_[end])) ++end;
        return end < end_ || finished();
    }
    bool finished() const { return eof_ && !options_.growing; }

    std::string_view view(std::size_t begin, std::size_t end) const {
        return {store_.data() + begin, end - begin};
    }
    void mark(Change::Mark what) {
        Change& change = changes_.emplace_back();
        change.time = 0;
        change.signal = Change::kMark;
        change.mark = what;
    }
    Progress stop(std::size_t at, Errc code, const std::string& message) {
        error_ = fault(at, code, message);
        return Progress::Done;
    }

    /// Word by word, until the text may be regular again.
    Progress slow() {
        const std::size_t from = at_;
        for (;;) {
            if (changes_.size() >= kMostChanges) return Progress::Some;
            std::size_t begin = 0;
            std::size_t end = 0;
            if (!word(at_, begin, end)) return skipping_ ? skip_rest(begin) : starved(from, begin);
            if (begin == end) {
                at_ = begin;
                if (begin < end_ && skipping_) {
                    ++at_;
                    continue;
                }
                if (begin < end_) return stop(begin, Errc::BadFormat, control_message(begin));
                if (skipping_)
                    return stop(begin, Errc::Truncated,
                                "the file ends before the $end of " + skipping_of_);
                return Progress::Done;
            }
            const Progress done = element(begin, end);
            if (error_) return Progress::Done;
            if (done == Progress::Starved) return starved(from, begin);
            // `at_` is behind the element: a line end there makes the next text a line.
            if (at_ < end_ && store_[at_] == '\r' && at_ + 1 < end_ && store_[at_ + 1] == '\n')
                ++at_;
            if (at_ < end_ && store_[at_] == '\n') {
                ++at_;
                if (!skipping_ && offset(at_) >= slow_until_) {
                    fast_ = true;
                    return Progress::Some;
                }
            }
        }
    }
    /// Consumed up to `begin`, where an unfinished element begins.
    Progress starved(std::size_t from, std::size_t begin) {
        at_ = begin;
        if (at_ > from && !changes_.empty()) return Progress::Some;
        return Progress::Starved;
    }
    /// In a text that is passed over: only the end of a long word matters.
    Progress skip_rest(std::size_t begin) {
        at_ = end_ - begin > 64 && !finished() ? end_ - 32 : begin;
        return Progress::Starved;
    }

    /// One element at [begin, end) and, for some, the words behind; at_ is set behind it.
    Progress element(std::size_t begin, std::size_t end) {
        if (skipping_) {
            if (view(begin, end) == "$end") skipping_ = false;
            at_ = end;
            return Progress::Some;
        }
        const char first = store_[begin];
        switch (first) {
            case '#': {
                std::uint64_t time = 0;
                if (!parse_time(store_.data() + begin + 1, store_.data() + end, time)) {
                    error_ = time_error(begin);
                    return Progress::Done;
                }
                at_ = end;
                if (time == time_ && timed_) return Progress::Some;
                time_ = time;
                timed_ = true;
                Change& change = changes_.emplace_back();
                change.time = time;
                change.signal = Change::kTime;
                return Progress::Some;
            }
            case '$':
                return keyword(begin, end);
            case 'b':
            case 'B':
                return value(begin, end, Change::Kind::Bits, 1);
            case 'r':
            case 'R':
                return value(begin, end, Change::Kind::Real, 1);
            case 's':
            case 'S':
                return value(begin, end, Change::Kind::String, 1);
            case 'p':
            case 'P':
                return value(begin, end, Change::Kind::Port, 3);
            case '0':
            case '1':
            case 'x':
            case 'X':
            case 'z':
            case 'Z':
            case 'u':
            case 'U':
            case 'w':
            case 'W':
            case 'l':
            case 'L':
            case 'h':
            case 'H':
            case '-':
                if (end == begin + 1)
                    return stop(begin, Errc::BadFormat,
                                "expected the identifier right behind the value " +
                                    quoted(view(begin, end)));
                at_ = end;
                return change(begin, begin, begin + 1, begin + 1, end, Change::Kind::Bits);
            default:
                return stop(begin, Errc::BadFormat,
                            "expected a time, a value change or a keyword, found " +
                                quoted(view(begin, end)));
        }
    }
    /// A value with words behind it, the last of which is the identifier.
    Progress value(std::size_t begin, std::size_t end, Change::Kind kind, int words) {
        std::size_t id = end;
        std::size_t id_end = end;
        for (int i = 0; i < words; ++i) {
            if (!word(id_end, id, id_end)) return Progress::Starved;
            if (id == id_end)
                return stop(
                    begin, id < end_ ? Errc::BadFormat : Errc::Truncated,
                    "expected the identifier behind the value " + quoted(view(begin, end)) +
                        (id < end_ ? ", found a control character" : "; the file ends there"));
        }
        at_ = id_end;
        return change(begin, begin + 1, end, id, id_end, kind);
    }
    Progress change(std::size_t at, std::size_t begin, std::size_t end, std::size_t id,
                    std::size_t id_end, Change::Kind kind) {
        std::uint32_t signal = detail::kNoId;
        if (!signal_of(view(id, id_end), signal)) {
            error_ = undeclared(at, view(id, id_end));
            return Progress::Done;
        }
        if (signal == detail::kNoId) return Progress::Some;
        if (end - begin > std::numeric_limits<std::uint32_t>::max())
            return stop(at, Errc::Limit, "a value of more than 4294967295 characters");
        Change c;
        c.data = store_.data() + begin;
        c.length = static_cast<std::uint32_t>(end - begin);
        c.signal = signal;
        c.kind = kind;
        if (options_.check_all) {
            if (Status s = verify(c, at); !s) {
                error_ = s.error();
                return Progress::Done;
            }
            if (wanted_[signal] == 0) return Progress::Some;
        }
        changes_.push_back(c);
        return Progress::Some;
    }
    Progress keyword(std::size_t begin, std::size_t end) {
        static constexpr std::pair<std::string_view, Change::Mark> kSections[] = {
            {"$end", Change::Mark::End},
            {"$dumpvars", Change::Mark::DumpVars},
            {"$dumpall", Change::Mark::DumpAll},
            {"$dumpon", Change::Mark::DumpOn},
            {"$dumpoff", Change::Mark::DumpOff},
            {"$dumpports", Change::Mark::DumpVars},
            {"$dumpportsall", Change::Mark::DumpAll},
            {"$dumpportson", Change::Mark::DumpOn},
            {"$dumpportsoff", Change::Mark::DumpOff},
        };
        const std::string_view name = view(begin, end);
        at_ = end;
        for (const auto& [section, what] : kSections) {
            if (name != section) continue;
            mark(what);
            return Progress::Some;
        }
        for (const std::string_view late :
             {"$var", "$scope", "$upscope", "$enddefinitions", "$timescale"})
            if (name == late)
                return stop(begin, Errc::Unsupported,
                            std::string(name) + " behind $enddefinitions; expected values");
        // $comment, $vcdclose and what tools invent.
        skipping_ = true;
        skipping_of_ = name.substr(0, 40);
        return Progress::Some;
    }

    std::unique_ptr<Input> input_;
    std::string name_;
    std::span<const char> memory_;
    Origin origin_;
    ReaderOptions options_;
    const Scanner* scanner_;
    std::unique_ptr<detail::Marks> marks_;
    std::unique_ptr<Hit[]> hits_;
    Header header_;
    detail::IdMap ids_;
    std::vector<std::uint8_t> wanted_;
    IdTable table_;
    bool table_holds_ = true;

    std::vector<char> store_;  ///< kFront bytes, data up to end_, padding
    std::size_t capacity_ = 0;
    std::size_t at_ = 0;  ///< unread from here
    std::size_t end_ = 0;
    std::uint64_t base_ = 0;  ///< offset in the file of store_[kFront]
    bool eof_ = false;
    std::uint64_t word_at_ = 0;  ///< offset of the header's last word

    bool fast_ = false;
    std::uint64_t slow_until_ = 0;
    std::size_t quota_ = kLeastSlow;
    bool skipping_ = false;
    std::string skipping_of_;
    std::uint64_t time_ = 0;
    bool timed_ = false;
    std::vector<Change> changes_;
    std::vector<std::uint64_t> scratch_;
    std::optional<Error> error_;
};

Result<std::unique_ptr<Reader>> opened(std::unique_ptr<TextReader> reader) {
    if (Status s = reader->read_header(); !s) return s.error();
    return std::unique_ptr<Reader>(std::move(reader));
}

}  // namespace

std::vector<Simd> available_simd() {
    std::vector<Simd> all = {Simd::Scalar};
    if (detail::scanner_avx2() != nullptr) all.push_back(Simd::Avx2);
    if (detail::scanner_avx512() != nullptr) all.push_back(Simd::Avx512);
    return all;
}

Result<std::unique_ptr<Reader>> Reader::open(const std::string& path,
                                             const ReaderOptions& options) {
    Result<std::unique_ptr<Input>> input = detail::open_file(path, {true, options.watch});
    if (!input) return input.error();
    return opened(std::make_unique<TextReader>(std::move(*input), path, std::span<const char>(),
                                               TextReader::Origin::File, options));
}

Result<std::unique_ptr<Reader>> Reader::from_memory(std::span<const char> bytes,
                                                    const std::string& name,
                                                    const ReaderOptions& options) {
    return opened(std::make_unique<TextReader>(detail::open_memory(bytes), name, bytes,
                                               TextReader::Origin::Memory, options));
}

Result<std::unique_ptr<Reader>> Reader::from_stream(std::unique_ptr<ByteStream> stream,
                                                    const std::string& name,
                                                    const ReaderOptions& options) {
    return opened(std::make_unique<TextReader>(std::move(stream), name, std::span<const char>(),
                                               TextReader::Origin::Stream, options));
}

void Reader::select_all() {
    std::vector<std::uint32_t> all(header().signals.size());
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    select(all);
}

Result<History> read_history(const std::string& path, std::string_view full_name) {
    Result<std::unique_ptr<Reader>> reader = Reader::open(path);
    if (!reader) return reader.error();
    Result<std::uint32_t> var = (*reader)->header().find(full_name);
    if (!var) {
        Error error = var.error();
        error.where = path;
        return error;
    }
    const std::uint32_t signal = (*reader)->header().vars[*var].signal;
    (*reader)->select(std::span(&signal, 1));
    History history;
    std::uint64_t time = 0;
    for (;;) {
        Result<std::span<const Change>> batch = (*reader)->next();
        if (!batch) return batch.error();
        if (batch->empty()) return history;
        for (const Change& change : *batch) {
            if (change.signal == Change::kTime) time = change.time;
            if (change.signal != signal) continue;
            history.times.push_back(time);
            history.values.emplace_back(change.text());
        }
    }
}

}  // namespace spikelock::bridge::vcd

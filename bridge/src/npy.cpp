// SPDX-License-Identifier: Apache-2.0
#include "spikelock/bridge/npy.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "file_io.hpp"

namespace spikelock::bridge {
namespace {
using detail::InputFile;
using detail::quoted;

struct TypeRow {
    ElementType type;
    char kind;  ///< as in numpy's array protocol
    std::uint8_t size;
    std::string_view name;
};
constexpr std::array<TypeRow, 11> kTypes = {{{ElementType::Bool, 'b', 1, "bool"},
                                             {ElementType::I8, 'i', 1, "int8"},
                                             {ElementType::I16, 'i', 2, "int16"},
                                             {ElementType::I32, 'i', 4, "int32"},
                                             {ElementType::I64, 'i', 8, "int64"},
                                             {ElementType::U8, 'u', 1, "uint8"},
                                             {ElementType::U16, 'u', 2, "uint16"},
                                             {ElementType::U32, 'u', 4, "uint32"},
                                             {ElementType::U64, 'u', 8, "uint64"},
                                             {ElementType::F32, 'f', 4, "float32"},
                                             {ElementType::F64, 'f', 8, "float64"}}};
const TypeRow& row_of(ElementType type) noexcept { return kTypes[static_cast<std::size_t>(type)]; }

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxDims = 32;                      // numpy's own limit
constexpr std::size_t kMaxHeader = std::size_t{1} << 16;  // numpy writes 128 bytes for most arrays
constexpr bool kLittleEndian = std::endian::native == std::endian::little;

/// Calls f with a value of the C++ type that stands for `type`.
template <typename F>
auto with_type(ElementType type, F&& f) {
    switch (type) {
        case ElementType::I8:
            return f(std::int8_t{});
        case ElementType::I16:
            return f(std::int16_t{});
        case ElementType::I32:
            return f(std::int32_t{});
        case ElementType::I64:
            return f(std::int64_t{});
        case ElementType::U16:
            return f(std::uint16_t{});
        case ElementType::U32:
            return f(std::uint32_t{});
        case ElementType::U64:
            return f(std::uint64_t{});
        case ElementType::F32:
            return f(float{});
        case ElementType::F64:
            return f(double{});
        case ElementType::Bool:
        case ElementType::U8:
            break;
    }
    return f(std::uint8_t{});
}

std::string at_byte(const std::string& origin, std::uint64_t offset) {
    return fmt::format("{}: byte {}", origin, offset);
}

/// Product of `factors`, or nothing where it does not fit; a 0 anywhere makes it 0.
std::optional<std::size_t> product(std::span<const std::size_t> factors) noexcept {
    if (std::find(factors.begin(), factors.end(), 0U) != factors.end()) return 0;
    std::size_t all = 1;
    for (const std::size_t factor : factors)
        if (__builtin_mul_overflow(all, factor, &all)) return std::nullopt;
    return all;
}

/// Parses the header's Python dictionary; knows just what numpy.lib.format may write.
class HeaderParser {
public:
    HeaderParser(std::string_view text, std::uint64_t offset, const std::string& origin)
        : text_(text), offset_(offset), origin_(origin) {}

    Result<NpyHeader> parse() {
        NpyHeader header;
        bool descr = false;
        bool order = false;
        bool shape = false;
        if (!take('{')) return expected("'{'");
        while (!take('}')) {
            const std::size_t key_at = skip();
            std::string_view key;
            if (!string(key)) return expected("a key in quotes or '}'");
            if (!take(':')) return expected("':'");
            bool* seen = key == "descr"           ? &descr
                         : key == "fortran_order" ? &order
                         : key == "shape"         ? &shape
                                                  : nullptr;
            if (seen == nullptr) return error(key_at, "unknown key " + quoted(key));
            if (*seen) return error(key_at, fmt::format("key '{}' twice", key));
            *seen = true;
            Status status = key == "descr"           ? parse_descr(header)
                            : key == "fortran_order" ? parse_order(header)
                                                     : parse_shape(header);
            if (!status) return status.error();
            if (!take(',')) {
                if (!take('}')) return expected("',' or '}'");
                break;
            }
        }
        if (skip() != text_.size()) return expected("the end of the header");
        if (!descr || !order || !shape)
            return error(0, fmt::format("no key '{}' in the header", !descr   ? "descr"
                                                                     : !order ? "fortran_order"
                                                                              : "shape"));
        return header;
    }

private:
    Error error(std::size_t at, std::string message, Errc code = Errc::BadFormat) const {
        return {code, std::move(message), at_byte(origin_, offset_ + at)};
    }
    Error expected(std::string_view what) {
        const std::size_t at = skip();
        if (at == text_.size()) return error(at, fmt::format("expected {}, header ends", what));
        return error(at, fmt::format("expected {}, found {}", what, quoted(text_.substr(at, 1))));
    }
    std::size_t skip() noexcept {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' ||
                                      text_[at_] == '\t' || text_[at_] == '\r'))
            ++at_;
        return at_;
    }
    bool take(char c) noexcept {
        if (skip() == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    bool word(std::string_view w) noexcept {
        if (!text_.substr(skip()).starts_with(w)) return false;
        at_ += w.size();
        return true;
    }
    bool string(std::string_view& out) noexcept {
        if (skip() == text_.size() || (text_[at_] != '\'' && text_[at_] != '"')) return false;
        const std::size_t end = text_.find(text_[at_], at_ + 1);
        if (end == std::string_view::npos) return false;
        out = text_.substr(at_ + 1, end - at_ - 1);
        at_ = end + 1;
        return true;
    }

    Status parse_descr(NpyHeader& header) {
        const std::size_t at = skip();
        if (at < text_.size() && text_[at] == '[')
            return error(at, "structured arrays are not read, expected bool, integers or floats",
                         Errc::Unsupported);
        std::string_view descr;
        if (!string(descr)) return expected("an element type in quotes");
        const auto unknown = [&] {
            return error(at,
                         fmt::format("element type {} is not read, expected bool, integers of 1 to "
                                     "8 bytes or floats of 4 or 8",
                                     quoted(descr)),
                         Errc::Unsupported);
        };
        if (descr.size() != 3) return unknown();
        const char order = descr[0];
        const auto* found = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeRow& row) {
            return row.kind == descr[1] && row.size == descr[2] - '0';
        });
        if (found == kTypes.end() || std::string_view("<>|=").find(order) == std::string_view::npos)
            return unknown();
        if (order == '|' && found->size > 1)
            return error(at, fmt::format("element type {} has no byte order", quoted(descr)));
        header.type = found->type;
        header.swapped = found->size > 1 && order == (kLittleEndian ? '>' : '<');
        return {};
    }

    Status parse_order(NpyHeader& header) {
        header.fortran_order = word("True");
        if (!header.fortran_order && !word("False")) return expected("True or False");
        return {};
    }

    Status parse_shape(NpyHeader& header) {
        if (!take('(')) return expected("'('");
        for (bool comma = true; !take(')');) {
            if (!comma) return expected("',' or ')'");
            const std::size_t at = skip();
            std::size_t dim = 0;
            const char* const end = text_.data() + text_.size();
            const auto [stop, code] = std::from_chars(text_.data() + at, end, dim);
            if (code == std::errc::result_out_of_range)
                return error(at, "dimension does not fit in 64 bits", Errc::Limit);
            if (code != std::errc{}) return expected("a dimension");
            if (header.shape.size() == kMaxDims)
                return error(at, fmt::format("more than {} dimensions", kMaxDims), Errc::Limit);
            header.shape.push_back(dim);
            at_ = static_cast<std::size_t>(stop - text_.data());
            if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // a long of Python 2
            comma = take(',');
            // (3) is a number in Python and no tuple, but what is meant is not in doubt.
        }
        return {};
    }

    std::string_view text_;
    std::uint64_t offset_;
    const std::string& origin_;
    std::size_t at_ = 0;
};
}  // namespace

std::size_t size_of(ElementType type) noexcept { return row_of(type).size; }
std::string_view name_of(ElementType type) noexcept { return row_of(type).name; }

std::size_t NdArray::size() const noexcept {
    const auto all = product(shape);
    SPIKELOCK_ASSERT(all.has_value());
    return *all;
}

std::vector<double> NdArray::to_doubles() const {
    std::vector<double> out;
    out.reserve(bytes.size() / size_of(type));
    const auto append = [&](auto zero) {
        for (std::size_t at = 0; at < bytes.size(); at += sizeof zero) {
            std::memcpy(&zero, bytes.data() + at, sizeof zero);
            out.push_back(static_cast<double>(zero));
        }
    };
    with_type(type, append);
    return out;
}

Result<std::vector<std::int64_t>> NdArray::to_integers() const {
    if (type == ElementType::F32 || type == ElementType::F64)
        return Error{
            Errc::Unsupported, fmt::format("expected integers, found {}", name_of(type)), {}};
    std::vector<std::int64_t> out;
    out.reserve(bytes.size() / size_of(type));
    const auto append = [&](auto value) -> Status {
        for (std::size_t at = 0; at < bytes.size(); at += sizeof value) {
            std::memcpy(&value, bytes.data() + at, sizeof value);
            if constexpr (std::is_same_v<decltype(value), std::uint64_t>) {
                if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
                    return Error{Errc::Limit,
                                 fmt::format("element {} is {}, which does not fit in int64",
                                             at / sizeof value, value),
                                 {}};
            }
            out.push_back(static_cast<std::int64_t>(value));
        }
        return {};
    };
    if (Status status = with_type(type, append); !status) return status.error();
    return out;
}

/// Where the bytes come from, and what is known of them.
struct NpyReader::Impl {
    std::optional<InputFile> file;
    std::span<const std::byte> memory;  // used where there is no file
    std::string origin;
    std::uint64_t total = 0;  // bytes
    NpyHeader header;
    std::size_t n_rows = 1;
    std::size_t n_columns = 1;  // elements of a row

    Status fetch(std::uint64_t offset, std::span<std::byte> into) const {
        if (into.empty()) return {};
        if (file) return file->read_at(offset, into);
        const auto from = memory.subspan(static_cast<std::size_t>(offset), into.size());
        std::memcpy(into.data(), from.data(), from.size());
        return {};
    }
    std::uint64_t offset_of(std::size_t element_in_file) const {
        return header.data_offset + std::uint64_t{element_in_file} * size_of(header.type);
    }
    Status read_header();
    Status read_c_order(std::size_t first, std::size_t count, std::span<std::byte> out) const;
    Status read_fortran_order(std::size_t first, std::size_t count, std::span<std::byte> out) const;
    /// Index in C order of the next column of a row, columns taken in Fortran order.
    struct ColumnWalk {
        std::vector<std::size_t> sizes;    // of the dimensions after the first
        std::vector<std::size_t> strides;  // in C order, elements
        std::vector<std::size_t> index;
        std::size_t column = 0;
        explicit ColumnWalk(const std::vector<std::size_t>& shape);
        void next() noexcept;
    };
};

Status NpyReader::Impl::read_header() {
    std::array<std::byte, 12> start{};
    const std::size_t got = static_cast<std::size_t>(std::min<std::uint64_t>(total, start.size()));
    if (Status status = fetch(0, std::span(start).first(got)); !status) return status;
    const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(start[i]); };
    const std::size_t compared = std::min(got, kMagic.size());
    if (std::memcmp(start.data(), kMagic.data(), compared) != 0)
        return Error{Errc::BadFormat, "no NPY file: the first bytes are not \\x93NUMPY",
                     at_byte(origin, 0)};
    const auto truncated = [&](std::uint64_t needed) {
        return Error{Errc::Truncated, fmt::format("header ends early: expected {} bytes", needed),
                     at_byte(origin, total)};
    };
    if (got < 10) return truncated(10);
    const std::uint32_t major = byte(6);
    if (major < 1 || major > 3 || byte(7) != 0)
        return Error{Errc::Unsupported,
                     fmt::format("NPY version {}.{}, expected 1.0, 2.0 or 3.0", major, byte(7)),
                     at_byte(origin, 6)};
    const std::size_t begin = major == 1 ? 10 : 12;
    if (got < begin) return truncated(begin);
    std::uint32_t length = byte(8) | byte(9) << 8;
    if (major > 1) length |= byte(10) << 16 | byte(11) << 24;
    if (length > kMaxHeader)
        return Error{Errc::Limit,
                     fmt::format("header of {} bytes, expected at most {}", length, kMaxHeader),
                     at_byte(origin, 8)};
    if (total - begin < length) return truncated(std::uint64_t{begin} + length);
    std::string text(length, '\0');
    if (Status status = fetch(begin, std::as_writable_bytes(std::span(text))); !status)
        return status;
    auto parsed = HeaderParser(text, begin, origin).parse();
    if (!parsed) return parsed.error();
    header = *std::move(parsed);
    header.data_offset = std::uint64_t{begin} + length;

    const std::span<const std::size_t> shape = header.shape;
    const auto elements = product(shape);
    std::uint64_t data_bytes = 0;
    if (!elements ||
        __builtin_mul_overflow(std::uint64_t{*elements}, size_of(header.type), &data_bytes))
        return Error{Errc::Truncated,
                     fmt::format("array of shape ({}) does not fit in any file",
                                 fmt::join(header.shape, ", ")),
                     at_byte(origin, total)};
    const std::uint64_t held = total - header.data_offset;
    if (held < data_bytes)
        return Error{
            Errc::Truncated,
            fmt::format("array ends early: expected {} bytes of data for {} of shape "
                        "({}), found {}",
                        data_bytes, name_of(header.type), fmt::join(header.shape, ", "), held),
            at_byte(origin, total)};
    if (held > data_bytes)
        return Error{Errc::BadFormat,
                     fmt::format("{} byte{} after the array", held - data_bytes,
                                 held - data_bytes == 1 ? "" : "s"),
                     at_byte(origin, header.data_offset + data_bytes)};
    if (!shape.empty()) {
        n_rows = shape[0];
        // With 0 elements the product of the rest may not fit, and is not needed.
        n_columns = *elements == 0 ? product(shape.subspan(1)).value_or(0) : *elements / n_rows;
    }
    return {};
}

Status NpyReader::Impl::read_c_order(std::size_t first, std::size_t count,
                                     std::span<std::byte> out) const {
    SPIKELOCK_ASSERT(out.size() == count * n_columns * size_of(header.type));
    return fetch(offset_of(first * n_columns), out);
}

NpyReader::Impl::ColumnWalk::ColumnWalk(const std::vector<std::size_t>& shape)
    : sizes(shape.begin() + 1, shape.end()), strides(sizes.size(), 1), index(sizes.size(), 0) {
    for (std::size_t d = sizes.size(); d-- > 1;) strides[d - 1] = strides[d] * sizes[d];
}

void NpyReader::Impl::ColumnWalk::next() noexcept {
    for (std::size_t d = 0; d < sizes.size(); ++d) {
        column += strides[d];
        if (++index[d] < sizes[d]) return;
        column -= strides[d] * sizes[d];
        index[d] = 0;
    }
}

Status NpyReader::Impl::read_fortran_order(std::size_t first, std::size_t count,
                                           std::span<std::byte> out) const {
    const std::size_t size = size_of(header.type);
    // The wanted rows of one column lie together. Where these are all rows, whole columns follow
    // each other, and many are fetched at once.
    constexpr std::size_t kFetch = std::size_t{1} << 20;
    const std::size_t columns_at_once =
        count == n_rows ? std::clamp<std::size_t>(kFetch / (count * size), 1, n_columns) : 1;
    std::vector<std::byte> buffer(columns_at_once * count * size);
    ColumnWalk walk(header.shape);
    for (std::size_t done = 0; done < n_columns;) {
        const std::size_t columns = std::min(columns_at_once, n_columns - done);
        const auto part = std::span(buffer).first(columns * count * size);
        if (Status status = fetch(offset_of(done * n_rows + first), part); !status) return status;
        for (std::size_t c = 0; c < columns; ++c, walk.next())
            for (std::size_t r = 0; r < count; ++r)
                std::memcpy(out.data() + (r * n_columns + walk.column) * size,
                            part.data() + (c * count + r) * size, size);
        done += columns;
    }
    return {};
}

NpyReader::NpyReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
NpyReader::NpyReader(NpyReader&&) noexcept = default;
NpyReader& NpyReader::operator=(NpyReader&&) noexcept = default;
NpyReader::~NpyReader() = default;

Result<NpyReader> NpyReader::open(const std::string& path) {
    auto file = InputFile::open(path);
    if (!file) return file.error();
    const auto size = file->size();
    if (!size) return size.error();
    auto impl = std::make_unique<Impl>();
    impl->file = *std::move(file);
    impl->origin = path;
    impl->total = *size;
    if (Status status = impl->read_header(); !status) return status.error();
    return NpyReader(std::move(impl));
}

Result<NpyReader> NpyReader::over(std::span<const std::byte> bytes, std::string origin) {
    auto impl = std::make_unique<Impl>();
    impl->memory = bytes;
    impl->origin = std::move(origin);
    impl->total = bytes.size();
    if (Status status = impl->read_header(); !status) return status.error();
    return NpyReader(std::move(impl));
}

const NpyHeader& NpyReader::header() const noexcept { return impl_->header; }
std::size_t NpyReader::rows() const noexcept { return impl_->n_rows; }
std::size_t NpyReader::row_size() const noexcept { return impl_->n_columns; }

std::string NpyReader::where_of(std::size_t index) const {
    const Impl& in = *impl_;
    std::size_t place = index;
    if (in.header.fortran_order && in.header.shape.size() > 1) {
        place = 0;
        std::size_t stride = 1;
        std::vector<std::size_t> digits(in.header.shape.size());
        for (std::size_t d = digits.size(); d-- > 0; index /= in.header.shape[d])
            digits[d] = index % in.header.shape[d];
        for (std::size_t d = 0; d < digits.size(); stride *= in.header.shape[d], ++d)
            place += digits[d] * stride;
    }
    return at_byte(in.origin, in.offset_of(place));
}

Result<NdArray> NpyReader::read_rows(std::size_t first, std::size_t count) {
    const Impl& in = *impl_;
    SPIKELOCK_ASSERT(first <= in.n_rows && count <= in.n_rows - first);
    NdArray array{in.header.type, in.header.shape, {}};
    if (array.shape.empty())
        array.shape.push_back(count);
    else
        array.shape[0] = count;
    const std::size_t size = size_of(array.type);
    // Every array here is part of one whose bytes were counted against the file.
    array.bytes.resize(array.size() * size);
    if (array.bytes.empty()) return array;
    const bool columns = in.header.fortran_order && in.header.shape.size() > 1;
    if (Status status = columns ? in.read_fortran_order(first, count, array.bytes)
                                : in.read_c_order(first, count, array.bytes);
        !status)
        return status.error();
    if (in.header.swapped)
        for (auto at = array.bytes.begin(); at != array.bytes.end();
             at += static_cast<std::ptrdiff_t>(size))
            std::reverse(at, at + static_cast<std::ptrdiff_t>(size));
    if (array.type == ElementType::Bool) {
        const auto bad = std::find_if(array.bytes.begin(), array.bytes.end(),
                                      [](std::byte b) { return b > std::byte{1}; });
        if (bad != array.bytes.end()) {
            const auto index = static_cast<std::size_t>(bad - array.bytes.begin());
            return Error{
                Errc::BadFormat,
                fmt::format("expected a bool of 0 or 1, found {}", std::to_integer<unsigned>(*bad)),
                where_of(first * in.n_columns + index)};
        }
    }
    return array;
}

Result<NdArray> NpyReader::read_all() {
    auto array = read_rows(0, impl_->n_rows);
    if (array) array->shape = impl_->header.shape;
    return array;
}

namespace {
Result<NdArray> read_limited(Result<NpyReader> reader, const std::string& origin) {
    if (!reader) return reader.error();
    const NpyHeader& header = reader->header();
    const std::size_t elements = product(header.shape).value_or(0);
    if (elements > kMaxArrayBytes / size_of(header.type))
        return Error{Errc::Limit,
                     fmt::format("array of {} {} elements, expected at most {} bytes", elements,
                                 name_of(header.type), kMaxArrayBytes),
                     origin};
    return reader->read_all();
}
}  // namespace

Result<NdArray> read_npy(const std::string& path) {
    return read_limited(NpyReader::open(path), path);
}

Result<NdArray> parse_npy(std::span<const std::byte> bytes, const std::string& origin) {
    return read_limited(NpyReader::over(bytes, origin), origin);
}

std::vector<std::byte> format_npy(const NdArray& array) {
    SPIKELOCK_ASSERT(array.shape.size() <= kMaxDims);
    SPIKELOCK_ASSERT(array.bytes.size() == array.size() * size_of(array.type));
    const TypeRow& row = row_of(array.type);
    const char order = row.size == 1 ? '|' : kLittleEndian ? '<' : '>';
    std::string text = fmt::format(
        "{{'descr': '{}{}{}', 'fortran_order': False, 'shape': ({}{}), }}", order, row.kind,
        row.size, fmt::join(array.shape, ", "), array.shape.size() == 1 ? "," : "");
    // numpy leaves room for the first dimension to grow to 21 digits in place, and brings the data
    // to a multiple of 64 bytes.
    if (!array.shape.empty()) text.append(21 - fmt::format("{}", array.shape[0]).size(), ' ');
    constexpr std::size_t kBegin = 10;
    text.append(64 - (kBegin + text.size() + 1) % 64, ' ');
    text += '\n';
    std::string start(kMagic);
    start += '\x01';
    start += '\x00';
    start += static_cast<char>(text.size() & 0xff);
    start += static_cast<char>(text.size() >> 8);
    start += text;
    std::vector<std::byte> out(start.size() + array.bytes.size());
    std::memcpy(out.data(), start.data(), start.size());
    std::copy(array.bytes.begin(), array.bytes.end(),
              out.begin() + static_cast<std::ptrdiff_t>(start.size()));
    return out;
}

Status write_npy(const std::string& path, const NdArray& array) {
    return detail::write_whole(path, format_npy(array));
}

}  // namespace spikelock::bridge

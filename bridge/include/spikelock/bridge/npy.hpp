// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "spikelock/base/assert.hpp"
#include "spikelock/base/result.hpp"

namespace spikelock::bridge {

/// Types of array elements that are read and written.
enum class ElementType : std::uint8_t { Bool, I8, I16, I32, I64, U8, U16, U32, U64, F32, F64 };

/// Bytes of one element, 1..8.
std::size_t size_of(ElementType type) noexcept;
/// Name as numpy gives it, e.g. "int16".
std::string_view name_of(ElementType type) noexcept;

/// The ElementType of a C++ type; bool is stored as one byte, 0 or 1, and read as std::uint8_t.
template <typename T>
constexpr ElementType element_type() noexcept {
    if constexpr (std::is_same_v<T, float>) return ElementType::F32;
    if constexpr (std::is_same_v<T, double>) return ElementType::F64;
    static_assert(std::is_floating_point_v<T> || (std::is_integral_v<T> && sizeof(T) <= 8));
    constexpr auto base = static_cast<int>(std::is_signed_v<T> ? ElementType::I8 : ElementType::U8);
    constexpr int log2 = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 1 : sizeof(T) == 4 ? 2 : 3;
    return static_cast<ElementType>(base + log2);
}

/// An array in memory: any number of dimensions, in C order and the machine's byte order.
struct NdArray {
    ElementType type = ElementType::F64;
    std::vector<std::size_t> shape;  ///< empty: one scalar
    std::vector<std::byte> bytes;    ///< size() * size_of(type) bytes

    /// Elements in all.
    /// @pre the shape is that of a value that was read or made here, so that the product fits
    std::size_t size() const noexcept;
    /// The elements in C order; valid until the array changes.
    /// @pre element_type<T>() is `type`, or T is std::uint8_t and `type` is Bool
    template <typename T>
    std::span<const T> as() const {
        SPIKELOCK_ASSERT(element_type<T>() == type ||
                         (type == ElementType::Bool && std::is_same_v<T, std::uint8_t>));
        return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
    }
    /// All elements as float64, C order; 64-bit integers beyond 2^53 are rounded to nearest.
    std::vector<double> to_doubles() const;
    /// All elements as integers, C order.
    /// @errors Errc::Unsupported for a floating-point array; Errc::Limit for a value of 2^63 or
    /// more; the message names the index
    Result<std::vector<std::int64_t>> to_integers() const;

    /// An array that holds a copy of `values`.
    /// @pre values has as many elements as the shape
    template <typename T>
    static NdArray of(std::vector<std::size_t> shape, std::span<const T> values) {
        const auto raw = std::as_bytes(values);
        NdArray array{element_type<T>(), std::move(shape), {raw.begin(), raw.end()}};
        SPIKELOCK_ASSERT(array.size() == values.size());
        return array;
    }
};

/// What the header of an NPY file says.
struct NpyHeader {
    ElementType type = ElementType::F64;
    bool swapped = false;        ///< elements are in the other byte order than this machine's
    bool fortran_order = false;  ///< first index varies fastest
    std::vector<std::size_t> shape;
    std::uint64_t data_offset = 0;  ///< bytes before the first element
};

/// Reads an NPY file by rows (the first dimension), so that memory need not grow with the file.
/// One thread uses a reader at a time.
/// @source numpy.lib.format, versions 1.0 to 3.0; structured, complex, text and object arrays are
/// refused
class NpyReader {
public:
    /// Opens a file and checks its header against its size.
    /// @errors Errc::NotFound, Errc::Io; Errc::BadFormat and Errc::Truncated with the byte offset;
    /// Errc::Unsupported naming the element type or version
    static Result<NpyReader> open(const std::string& path);
    /// The same over bytes in memory, which must outlive the reader.
    /// @param origin  stands for the path in errors
    static Result<NpyReader> over(std::span<const std::byte> bytes, std::string origin);

    NpyReader(NpyReader&&) noexcept;
    NpyReader& operator=(NpyReader&&) noexcept;
    ~NpyReader();

    const NpyHeader& header() const noexcept;
    /// Size of the first dimension; 1 for a scalar.
    std::size_t rows() const noexcept;
    /// Elements of a row.
    std::size_t row_size() const noexcept;
    /// Rows first..first+count-1; the result's shape is (count, rest).
    /// @pre first + count <= rows()
    /// @errors Errc::BadFormat for a bool that is neither 0 nor 1, with its byte offset; Errc::Io
    /// and Errc::Truncated when the file changed under the reader
    Result<NdArray> read_rows(std::size_t first, std::size_t count);
    /// The whole array in its own shape.
    Result<NdArray> read_all();
    /// "origin: byte N" of an element given by its index in C order, for errors about its value.
    std::string where_of(std::size_t index) const;

private:
    struct Impl;
    explicit NpyReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Largest array that read_npy and parse_npy bring into memory at once, bytes.
inline constexpr std::uint64_t kMaxArrayBytes = std::uint64_t{4} << 30;

/// Reads a whole NPY file.
/// @errors those of NpyReader; Errc::Limit when the array is larger than kMaxArrayBytes
Result<NdArray> read_npy(const std::string& path);
/// The same from bytes in memory. @param origin  stands for the path in errors
Result<NdArray> parse_npy(std::span<const std::byte> bytes, const std::string& origin);

/// The array as an NPY file of version 1.0, byte for byte what numpy.save writes for it.
/// @pre bytes.size() is size() * size_of(type); at most 32 dimensions
std::vector<std::byte> format_npy(const NdArray& array);
/// Writes format_npy under a temporary name in the same folder and renames it to `path`.
/// @errors Errc::Io, Errc::Environment (disk full)
Status write_npy(const std::string& path, const NdArray& array);

}  // namespace spikelock::bridge

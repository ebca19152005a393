// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spikelock/base/result.hpp"
#include "spikelock/bridge/vcd/changes.hpp"
#include "spikelock/bridge/vcd/header.hpp"

namespace spikelock::bridge::vcd {

/// Which instructions find the lines of a file. All give the same result.
enum class Simd : std::uint8_t { Auto, Scalar, Avx2, Avx512 };

/// Those that this processor has, Scalar first.
std::vector<Simd> available_simd();

struct ReaderOptions {
    Simd simd = Simd::Auto;
    /// Every change is looked at: an undeclared identifier is an error. Without it only the
    /// selected signals are looked at, and what is no selected identifier is passed over.
    bool check_all = false;
    /// The file may still be written: what an unfinished end holds is left alone, and an empty
    /// batch means that there is nothing more for now. Not for gzip.
    bool growing = false;
    std::size_t buffer_bytes = 256 << 10;  ///< read at once, at least 64
    /// Is given all bytes of the file as they are stored, in order, for a checksum. Of a compressed
    /// file another thread calls it; it has returned for the last time when next() gives the end.
    std::function<void(std::span<const char>)> watch{};
};

/// Bytes in order, from wherever.
class ByteStream {
public:
    ByteStream() = default;
    ByteStream(const ByteStream&) = delete;
    ByteStream& operator=(const ByteStream&) = delete;
    virtual ~ByteStream() = default;
    /// Up to `size` bytes; 0 at the end (of what still grows: for now).
    virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
};

/// Streams a value change dump, plain or compressed by gzip: four-state and extended VCD.
/// Memory depends on the header and on the longest value, not on the length of the file. A
/// compressed file is decompressed by a thread of the reader's own.
/// Total: any bytes give a result or an Error whose `where` is file:line:column and whose message
/// holds the byte offset. One thread uses a reader at a time; distinct readers are independent.
/// @source IEEE 1800-2017, 21.7
class Reader {
public:
    /// Opens a file and reads its header.
    /// @errors Errc::NotFound, Errc::Io; Errc::BadFormat, Errc::Truncated with the place
    static Result<std::unique_ptr<Reader>> open(const std::string& path,
                                                const ReaderOptions& options = {});
    /// The same for bytes at hand, which must outlive the reader.
    /// @param name  for messages
    static Result<std::unique_ptr<Reader>> from_memory(std::span<const char> bytes,
                                                       const std::string& name,
                                                       const ReaderOptions& options = {});
    /// The same for a stream; errors name the byte, as there is nothing to count lines in.
    /// @param name  for messages
    static Result<std::unique_ptr<Reader>> from_stream(std::unique_ptr<ByteStream> stream,
                                                       const std::string& name,
                                                       const ReaderOptions& options = {});
    Reader() = default;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    virtual ~Reader() = default;

    virtual const Header& header() const noexcept = 0;
    /// Chooses the signals whose changes are delivered; before the first next(), none are.
    /// @param signals  indices in Header::signals
    virtual void select(std::span<const std::uint32_t> signals) = 0;
    void select_all();
    /// The next entries; an empty span at the end. Valid until the next call.
    /// What precedes an error is delivered before it.
    /// @errors Errc::BadFormat, Errc::Truncated, Errc::Limit, Errc::Io
    virtual Result<std::span<const Change>> next() = 0;
    /// Byte offset (uncompressed) of a change of the last batch.
    virtual std::uint64_t offset_of(const Change& change) const noexcept = 0;
    /// Bytes read so far, uncompressed.
    virtual std::uint64_t bytes_read() const noexcept = 0;
    /// An error at a place of the file. Reads the file again up to there to count lines.
    virtual Error error_at(std::uint64_t offset, Errc code, const std::string& message) const = 0;
};

/// The value of one signal over time.
struct History {
    std::vector<std::uint64_t> times;
    std::vector<std::string> values;  ///< as written, without their letter
};

/// Reads the changes of one variable, for small questions.
/// @errors as Reader; Errc::NotFound with the nearest names
Result<History> read_history(const std::string& path, std::string_view full_name);

}  // namespace spikelock::bridge::vcd

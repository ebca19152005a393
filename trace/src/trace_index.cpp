// SPDX-License-Identifier: Apache-2.0
#include "trace_index.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "deflate.hpp"

namespace spikelock::trace::detail {

namespace {
constexpr std::array<char, 8> kMagic = {'S', 'P', 'K', 'L', 'I', 'D', 'X', '1'};

struct RecordHead {
    std::uint32_t type = 0;
    std::uint32_t size = 0;  // of the payload
    std::uint32_t crc = 0;   // of type, size and payload
};
static_assert(sizeof(RecordHead) == 12);

std::uint32_t record_crc(RecordHead head, std::span<const std::byte> payload) {
    head.crc = 0;
    return checksum(payload, checksum(std::as_bytes(std::span(&head, 1))));
}

Error system_error(const std::string& path, const std::string& doing) {
    const int why = errno;
    const bool full = why == ENOSPC || why == EDQUOT || why == EFBIG;
    return Error{full ? Errc::Environment : Errc::Io,
                 full ? "disk full while " + doing : doing + " failed: " + std::strerror(why),
                 path};
}
}  // namespace

std::string index_path(const std::string& trace_path) { return trace_path + ".index"; }

Result<std::unique_ptr<IndexWriter>> IndexWriter::create(const std::string& path) {
    const std::string name = index_path(path);
    for (;;) {
        const int fd = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0) return system_error(name, "creating the trace's index");
        if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
            ::close(fd);
            return Error{Errc::Environment,
                         "another process is recording to this trace; wait for it or choose "
                         "another file",
                         path};
        }
        // The last writer may have removed the file between our open and our lock.
        struct stat ours{};
        struct stat named{};
        if (::fstat(fd, &ours) == 0 && ::stat(name.c_str(), &named) == 0 &&
            ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
            std::unique_ptr<IndexWriter> index(new IndexWriter(name, fd));
            if (::ftruncate(fd, 0) != 0) return system_error(name, "emptying the trace's index");
            const auto magic = std::as_bytes(std::span(kMagic));
            if (::write(fd, magic.data(), magic.size()) != static_cast<ssize_t>(magic.size())) {
                return system_error(name, "writing the trace's index");
            }
            return index;
        }
        ::close(fd);
    }
}

IndexWriter::~IndexWriter() {
    if (fd_ >= 0) ::close(fd_);
}

Status IndexWriter::add(IndexRecord type, std::span<const std::byte> payload) {
    if (payload.size() > UINT32_MAX / 2) {
        return Error{Errc::Limit, "index record larger than 2 GiB", path_};
    }
    RecordHead head{static_cast<std::uint32_t>(type), static_cast<std::uint32_t>(payload.size()),
                    0};
    head.crc = record_crc(head, payload);
    buffer_.resize(sizeof head + payload.size());
    std::memcpy(buffer_.data(), &head, sizeof head);
    if (!payload.empty()) {
        std::memcpy(buffer_.data() + sizeof head, payload.data(), payload.size());
    }
    std::span<const std::byte> left = buffer_;
    while (!left.empty()) {
        const ssize_t done = ::write(fd_, left.data(), left.size());
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return system_error(path_, "writing the trace's index");
        left = left.subspan(static_cast<std::size_t>(done));
    }
    return {};
}

Status IndexWriter::add(IndexRecord type, std::string_view payload) {
    return add(type, std::as_bytes(std::span(payload)));
}

void IndexWriter::remove() noexcept {
    if (fd_ < 0) return;
    ::unlink(path_.c_str());
    ::close(fd_);
    fd_ = -1;
}

Result<std::unique_ptr<IndexReader>> IndexReader::open(const std::string& path) {
    const std::string name = index_path(path);
    const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT) {
            return Error{Errc::NotFound, "there is no index '" + name + "' to recover from", path};
        }
        return system_error(name, "opening the trace's index");
    }
    std::unique_ptr<IndexReader> reader(new IndexReader(fd));
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return Error{Errc::Environment, "a living process is recording to this trace", path};
    }
    struct stat info{};
    if (::fstat(fd, &info) != 0) return system_error(name, "reading the trace's index");
    reader->size_ = static_cast<std::uint64_t>(info.st_size);
    std::array<char, 8> magic{};
    if (::pread(fd, magic.data(), magic.size(), 0) != static_cast<ssize_t>(magic.size()) ||
        magic != kMagic) {
        return Error{Errc::BadFormat, "not the index of a trace (it starts with 'SPKLIDX1')", name};
    }
    reader->rewind();
    return reader;
}

IndexReader::~IndexReader() {
    if (fd_ >= 0) ::close(fd_);
}

void IndexReader::rewind() noexcept { at_ = kMagic.size(); }

bool IndexReader::next(IndexRecord& type, std::span<const std::byte>& payload) {
    RecordHead head;
    if (size_ - at_ < sizeof head) return false;
    if (::pread(fd_, &head, sizeof head, static_cast<off_t>(at_)) !=
        static_cast<ssize_t>(sizeof head)) {
        return false;
    }
    if (head.size > size_ - at_ - sizeof head) return false;  // torn by the kill
    buffer_.resize(head.size);
    std::size_t got = 0;
    while (got < head.size) {
        const ssize_t part = ::pread(fd_, buffer_.data() + got, head.size - got,
                                     static_cast<off_t>(at_ + sizeof head + got));
        if (part <= 0) return false;
        got += static_cast<std::size_t>(part);
    }
    if (record_crc(head, buffer_) != head.crc) return false;
    type = static_cast<IndexRecord>(head.type);
    payload = buffer_;
    at_ += sizeof head + head.size;
    return true;
}

}  // namespace spikelock::trace::detail

// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>

#include "spikelock/base/assert.hpp"
#include "spikelock/base/result.hpp"

namespace spikelock {

namespace detail {
void assertion_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "spikelock: internal error: %s:%d: %s does not hold\n", file, line,
                 condition);
    std::abort();
}
}  // namespace detail

std::string_view name_of(Errc code) noexcept {
    switch (code) {
        case Errc::BadConfig:
            return "BadConfig";
        case Errc::BadFormat:
            return "BadFormat";
        case Errc::Truncated:
            return "Truncated";
        case Errc::Io:
            return "Io";
        case Errc::NotFound:
            return "NotFound";
        case Errc::Unsupported:
            return "Unsupported";
        case Errc::Build:
            return "Build";
        case Errc::Environment:
            return "Environment";
        case Errc::Timeout:
            return "Timeout";
        case Errc::Closed:
            return "Closed";
        case Errc::Limit:
            return "Limit";
        case Errc::Mismatch:
            return "Mismatch";
        case Errc::Interrupted:
            return "Interrupted";
        case Errc::Internal:
            return "Internal";
    }
    return "Unknown";
}

}  // namespace spikelock

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "spikelock/base/result.hpp"
#include "spikelock/golden/network.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::golden {

/// The bit-exact model of a network as a source of observations. Computes in read(), on the
/// caller's thread.
/// @source docs/model.md section 3
class GoldenSource : public trace::StepSource {
public:
    /// @errors Errc::BadConfig when the network fails Network::check()
    static Result<std::unique_ptr<GoldenSource>> create(Network network);
    /// The network that is computed.
    virtual const Network& network() const = 0;
    /// Name of the arithmetic kernel in use, e.g. "lif/multiply/saturate/i32"; for reports.
    virtual std::string kernel() const = 0;
};

}  // namespace spikelock::golden

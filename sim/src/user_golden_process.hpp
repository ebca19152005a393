// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fd.hpp"
#include "golden_protocol.hpp"
#include "spikelock/base/result.hpp"
#include "spikelock/sim/user_golden.hpp"
#include "spikelock/trace/step_source.hpp"

namespace spikelock::sim::detail {

/// The process of a user's golden with its pipes and shared memory.
class GoldenProcess {
public:
    GoldenProcess() = default;
    GoldenProcess(const GoldenProcess&) = delete;
    GoldenProcess& operator=(const GoldenProcess&) = delete;
    ~GoldenProcess();

    /// @param name  of the model, for messages
    /// @errors Errc::Environment
    Status start(std::vector<std::string> arguments, const std::string& folder,
                 const std::string& name, const UserGoldenOptions& options);
    /// Sizes and maps the shared memory. @errors Errc::Environment
    Status map(std::uint64_t bytes);
    std::byte* memory() { return base_; }
    std::uint64_t steps_done() const;

    /// Queues a request; it is written while the pipe takes it, the rest in wait().
    void send(user::Tag tag, const void* payload, std::size_t bytes);
    struct Answer {
        user::Tag tag = user::Tag::Done;
        std::string text;
    };
    /// Next answer; nothing when the model has died or was killed for taking longer than `limit_s`
    /// for a timestep: end() says how.
    /// @errors Errc::Interrupted
    Result<std::optional<Answer>> wait(double limit_s);
    /// How the process ended; its timestep is not filled in.
    const std::optional<trace::SourceEnd>& end() const { return end_; }
    int pid() const { return pid_; }

private:
    void pump();
    bool take_answer(Answer& answer);
    void read_answers();
    void drain_output();
    void reap(bool hung, double limit_s);
    void stop();

    UserGoldenOptions options_;
    std::string name_;
    Fd requests_;
    Fd answers_;
    Fd memory_;
    Fd output_;
    Fd pidfd_;
    std::byte* base_ = nullptr;
    std::uint64_t bytes_ = 0;
    pid_t pid_ = -1;
    std::deque<std::string> queue_;  ///< requests that the pipe has not taken yet
    std::size_t sent_ = 0;           ///< bytes of the first
    std::string received_;
    std::string printed_;
    std::string line_;
    std::optional<trace::SourceEnd> end_;
};

}  // namespace spikelock::sim::detail

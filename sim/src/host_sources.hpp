// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace spikelock::sim::detail {
extern const char* const kGenerator;       ///< hashes of the code that writes files beside it
extern const char* const kHostSource;      ///< sim/host/host.cpp
extern const char* const kProtocolHeader;  ///< sim/host/protocol.hpp
extern const char* const kSignalsHeader;   ///< sim/host/signals.hpp
extern const char* const kMovesHeader;     ///< sim/host/moves.hpp
/// Of trace/include/spikelock/trace: observation_plan.hpp, observation_rows.hpp
extern const char* const kObservationPlan;
extern const char* const kObservationRows;
extern const char* const kAdapterHeader;     ///< sim/host/spikelock_adapter.hpp
extern const char* const kGoldenHeader;      ///< sim/user/spikelock_golden.h
extern const char* const kGoldenProtocol;    ///< sim/user/golden_protocol.hpp
extern const char* const kGoldenRunner;      ///< sim/user/golden_runner.cpp
extern const char* const kPythonRunner;      ///< sim/python/spikelock_golden_runner.py
extern const char* const kVhdlCheckSource;   ///< sim/check/vhdl_check.vhd
extern const char* const kVhdlCheckProgram;  ///< sim/check/vhdl_check.cpp
}  // namespace spikelock::sim::detail

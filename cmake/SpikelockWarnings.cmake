# SPDX-License-Identifier: Apache-2.0
# g++ 12 sees an overlapping copy in every `"text" + std::string(...)` (GCC bug 105651), g++ 13 does
# not.
set(false_positives
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
add_library(spikelock_warnings INTERFACE)
target_compile_options(spikelock_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast ${false_positives} $<$<BOOL:${SPIKELOCK_WERROR}>:-Werror>)

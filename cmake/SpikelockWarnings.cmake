# SPDX-License-Identifier: Apache-2.0
add_library(spikelock_warnings INTERFACE)
target_compile_options(spikelock_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast $<$<BOOL:${SPIKELOCK_WERROR}>:-Werror>)

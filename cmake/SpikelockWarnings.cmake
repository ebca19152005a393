# SPDX-License-Identifier: Apache-2.0
# What g++ warns of from its optimiser differs from release to release and is at times wrong:
# - g++ 12 sees an overlapping copy in every `"text" + std::string(...)` (GCC bug 105651);
# - g++ 14 sees an overflow in vector::insert of another vector's range.
# Those two are off, the others of their kind do not end the build; the sanitizer presets are the
# judges of such errors.
set(gnu_exceptions -Wno-stringop-overflow -Wno-error=array-bounds -Wno-error=stringop-overread
  -Wno-error=maybe-uninitialized -Wno-error=dangling-pointer -Wno-error=free-nonheap-object)
# clang tells of each loop that a vectorising hint did not help, and of a deprecated function that
# std::stable_sort of g++ 12's library uses.
set(clang_exceptions -Wno-pass-failed -Wno-deprecated-declarations)
add_library(spikelock_warnings INTERFACE)
target_compile_options(spikelock_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast
  $<$<BOOL:${SPIKELOCK_WERROR}>:-Werror>
  "$<$<CXX_COMPILER_ID:GNU>:${gnu_exceptions}>"
  "$<$<CXX_COMPILER_ID:Clang>:${clang_exceptions}>"
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
